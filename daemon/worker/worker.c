/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Models, buffers and messages. No system call here but those for memory, the clock and a passed
 * file. */
#include "daemon/worker/worker.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/worker/builtin.h"
#include "daemon/worker/clock.h"
#include "daemon/worker/worker_frame.h"
#include "daemon/worker/worker_scan.h"
#include "engine/gradient/gradient.h"
#include "engine/kernel/cpu.h"

/* Private copies above this are given back when they are no longer needed. */
#define LARGE_BYTES ((size_t)1 << 20)

#define BUFFER_ALIGN 64
#define MIB          ((uint64_t)1 << 20)

uint64_t worker_memory_bytes(const struct worker_options *options)
{
    /* Models, and the 512 MiB that LibRaw may take; scans; the region, the private copy, mapped
     * frames. */
    const uint64_t most = 2048 * MIB + SCANNER_BYTES_MAX +
                          (uint64_t)(2 + FRAME_MAP_COUNT) * options->frame_bytes_max;
    return options->memory_max != 0 && options->memory_max < most ? options->memory_max : most;
}

static int make_decoder(struct worker *worker)
{
    struct image_limits limits = {
        .max_bytes = worker->options.frame_bytes_max,
        .max_pixels = worker->options.pixels_max,
    };
    worker->ops = (struct image_ops){
        .accumulate_u16 = worker->kernels.accumulate_u16,
        .accumulate_u8 = worker->kernels.accumulate_u8,
        .unpack_mipi10 = worker->kernels.unpack_mipi10,
        .unpack_mipi12 = worker->kernels.unpack_mipi12,
    };
    return image_decoder_create(&limits, &worker->ops, &worker->decoder);
}

static int compare_bytes(const void *a, const void *b)
{
    return *(const uint8_t *)a - *(const uint8_t *)b;
}

/* The libraries read configuration, grow tables and bind symbols at their first use: let that be
 * now. */
static int warm_up(struct worker *worker)
{
    const struct image_target target = {.width = 8, .height = 8, .channels = IMAGE_RGB};
    uint16_t planes[3 * 8 * 8];
    uint8_t unsorted[2048] = {1};
    struct image_info info;
    int err = image_decode(worker->decoder, builtin_jpeg, sizeof(builtin_jpeg), IMAGE_KIND_AUTO,
                           NULL, &target, planes, &info);
    if (err == 0) {
        err = image_decode(worker->decoder, builtin_dng, sizeof(builtin_dng), IMAGE_KIND_AUTO, NULL,
                           &target, planes, &info);
    }
    /* glibc's first qsort of more than a kilobyte asks for the size of memory, which the sandbox
     * forbids. */
    qsort(unsorted, sizeof(unsorted), 1, compare_bytes);
    return err == -ENOMEM || err == 0 ? err : -ENOTRECOVERABLE;
}

static void touch(const volatile uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i += 4096) {
        (void)bytes[i];
    }
}

static int map_region(struct worker *worker, int region_fd)
{
    size_t size = job_region_bytes(worker->options.frame_bytes_max);
    struct stat stat;
    if (size == 0 || frame_map_stat(region_fd, &stat) < 0 || (uint64_t)stat.st_size < size) {
        return -EINVAL;
    }
    void *region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, region_fd, 0);
    if (region == MAP_FAILED) {
        return -ENOMEM;
    }
    worker->region = region;
    /* The daemon has allocated these pages; here they only get their entries in the page table. */
    size_t frame = job_frame_offset();
    touch(region, JOB_RESULT_HEAD_BYTES);
    touch((uint8_t *)region + frame, size - frame < LARGE_BYTES ? size - frame : LARGE_BYTES);
    return 0;
}

int worker_init(struct worker *worker, const struct worker_options *options, int region_fd)
{
    *worker = (struct worker){.options = *options};
    kernel_table_init(&worker->kernels, kernel_cpu_detect() & options->cpu_mask);
    if (options->rates[0] != 0) {
        memcpy(worker->kernels.rates, options->rates, sizeof(options->rates));
    } else {
        kernel_table_measure(&worker->kernels);
    }
    int err = map_region(worker, region_fd);
    if (err < 0) {
        goto fail;
    }
    void *bytes = mmap(NULL, options->frame_bytes_max, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bytes == MAP_FAILED) {
        err = -ENOMEM;
        goto fail;
    }
    worker->private_bytes = bytes;
    /* Large blocks go back to the kernel when they are freed; glibc would otherwise learn to keep
     * them. */
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    err = make_decoder(worker);
    if (err == 0) {
        err = warm_up(worker);
    }
    if (err == 0) {
        return 0;
    }
fail:
    worker_finish(worker);
    return err;
}

static void unload(struct worker_model *model)
{
    for (size_t i = 0; i < NETWORK_POINTS_MAX; i++) {
        network_plan_destroy(model->plans[i]);
    }
    network_model_destroy(model->model);
    *model = (struct worker_model){0};
}

void worker_finish(struct worker *worker)
{
    for (size_t i = 0; i < JOB_ADAPTERS_MAX; i++) {
        adapter_finish(&worker->adapters[i]);
    }
    for (size_t i = 0; i < JOB_MODELS_MAX; i++) {
        unload(&worker->models[i]);
    }
    scanner_forget(&worker->scanner, UINT32_MAX);
    frame_maps_drop(&worker->maps, UINT64_MAX);
    free(worker->arena);
    free(worker->planes);
    free(worker->codes);
    image_decoder_destroy(worker->decoder);
    if (worker->private_bytes != NULL) {
        munmap(worker->private_bytes, worker->options.frame_bytes_max);
    }
    if (worker->region != NULL) {
        munmap(worker->region, job_region_bytes(worker->options.frame_bytes_max));
    }
    *worker = (struct worker){0};
}

/* Make *buffer at least `size` bytes. Its content is lost. */
static int reserve(void **buffer, size_t *capacity, size_t size)
{
    if (size <= *capacity) {
        return 0;
    }
    size = (size + BUFFER_ALIGN - 1) / BUFFER_ALIGN * BUFFER_ALIGN;
    void *bytes = aligned_alloc(BUFFER_ALIGN, size);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    memset(bytes, 0, size); /* takes the page faults */
    free(*buffer);
    *buffer = bytes;
    *capacity = size;
    return 0;
}

/* target is at most 4096x4096 with 3 planes, codes at most 6 of 4 bytes a pixel: no product
 * overflows 64 bits. */
static int reserve_buffers(struct worker *worker, const struct worker_model *model, uint32_t point)
{
    const struct network_input *input = network_model_input(model->model, point);
    size_t values = (size_t)input->target.width * input->target.height * input->target.channels;
    void *planes = worker->planes;
    void *codes = worker->codes;
    int err = reserve(&worker->arena, &worker->arena_bytes,
                      network_plan_arena_bytes(model->plans[point]));
    if (err == 0) {
        err = reserve(&planes, &worker->planes_bytes, values * sizeof(uint16_t));
        worker->planes = planes;
    }
    if (err == 0) {
        err = reserve(&codes, &worker->codes_bytes,
                      worker_code_count(input) * gradient_code_size(&input->front));
        worker->codes = codes;
    }
    return err;
}

static int prepare_point(struct worker *worker, struct worker_model *model, uint32_t point)
{
    const struct worker_frame frame = {builtin_jpeg, sizeof(builtin_jpeg), IMAGE_KIND_JPEG, NULL};
    int err = network_plan_create(model->model, point, 1, &worker->kernels, &model->plans[point]);
    if (err == 0) {
        err = reserve_buffers(worker, model, point);
    }
    if (err == 0) {
        /* The first frame shall cost what every other does. */
        err = worker_frame_try(worker, model, point, &frame);
    }
    return err;
}

/* Errors: those of network_model_load and network_plan_create; the old model then stays. */
static int load(struct worker *worker, const struct job_message *message, int fd)
{
    struct worker_model model = {.generation = message->generation};
    struct stat stat;
    if (frame_map_stat(fd, &stat) < 0 || stat.st_size <= 0 ||
        (uint64_t)stat.st_size != message->length) {
        return -EINVAL;
    }
    void *bytes = mmap(NULL, message->length, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) {
        return -ENOMEM;
    }
    int err = network_model_load(bytes, message->length, &model.model, NULL);
    munmap(bytes, message->length);
    for (uint32_t i = 0; err == 0 && i < network_model_points(model.model); i++) {
        err = prepare_point(worker, &model, i);
    }
    if (err < 0) {
        unload(&model);
        return err;
    }
    scanner_forget(&worker->scanner, message->model);
    for (size_t i = 0; i < JOB_ADAPTERS_MAX; i++) {
        if (worker->adapters[i].model == message->model) {
            adapter_finish(&worker->adapters[i]); /* it borrowed the old one */
        }
    }
    unload(&worker->models[message->model]);
    worker->models[message->model] = model;
    return 0;
}

/* LibRaw reads its input twice and must not see it change. */
static bool must_be_private(enum image_kind kind)
{
    return kind == IMAGE_KIND_RAW || kind == IMAGE_KIND_AUTO;
}

static int read_file(struct worker *worker, int fd, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t count = pread(fd, worker->private_bytes + done, length - done, (off_t)done);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return -EINVAL;
        }
        if (count == 0) {
            return -EBADMSG;
        }
        done += (size_t)count;
    }
    return 0;
}

static int find_bytes(struct worker *worker, const struct job_message *message, int fd,
                      const uint8_t **ret_bytes)
{
    int err = 0;
    switch ((enum job_source)message->source) {
    case JOB_SOURCE_REGION:
        *ret_bytes = (uint8_t *)worker->region + job_frame_offset();
        return 0;
    case JOB_SOURCE_MAP:
        err = frame_maps_get(&worker->maps, fd, message->length, worker->options.frame_bytes_max,
                             clock_ns(), ret_bytes);
        if (err < 0 || !must_be_private(message->kind)) {
            return err;
        }
        memcpy(worker->private_bytes, *ret_bytes, message->length);
        break;
    case JOB_SOURCE_PREAD:
        err = read_file(worker, fd, message->length);
        break;
    }
    if (message->length > LARGE_BYTES) {
        worker->private_ns = clock_ns();
    }
    *ret_bytes = worker->private_bytes;
    return err;
}

/* After an error inside LibRaw the process is not used again: its long past says that its state may
 * be damaged. The other parsers are smaller, and a client that sends them rubbish shall not cost a
 * process each time. */
static bool wants_recycling(enum image_kind kind, const uint8_t *bytes, size_t length, int err)
{
    bool raw = kind == IMAGE_KIND_RAW ||
               (kind == IMAGE_KIND_AUTO && length > 0 && bytes[0] != 0xff && bytes[0] != 'P');
    return err == -ENOMEM || (err == -EBADMSG && raw);
}

static void handle_frame(struct worker *worker, const struct job_message *message, int fd,
                         struct job_done *done)
{
    struct job_result *result = worker->region;
    struct worker_frame frame = {
        .size = message->length,
        .kind = message->kind,
        .sensor = message->kind == IMAGE_KIND_SENSOR ? &message->sensor : NULL,
    };
    done->status = find_bytes(worker, message, fd, &frame.bytes);
    if (done->status < 0) {
        return;
    }
    worker_frame_start(result);
    done->status = message->scan.wanted ? worker_scan(worker, message, &frame)
                                        : worker_frame_classify(worker, message, &frame);
    if (done->status == 0 && message->want_colour) {
        done->status = worker_frame_look_for_colour(worker, &frame);
    }
    if (done->status < 0) {
        done->recycle = wants_recycling(frame.kind, frame.bytes, frame.size, done->status);
        return;
    }
    result->sequence = message->sequence;
}

/* The models, the operating point and the adapter that the message names are here. */
static bool known_networks(const struct worker *worker, const struct job_message *message)
{
    const struct worker_model *model = &worker->models[message->model];
    if (model->model == NULL || message->point >= network_model_points(model->model) ||
        (message->exits && !network_model_has_exits(model->model))) {
        return false;
    }
    if (message->adapter != 0) {
        const struct worker_adapter *adapter =
            message->adapter <= JOB_ADAPTERS_MAX ? &worker->adapters[message->adapter - 1] : NULL;
        if (adapter == NULL || adapter->plan == NULL || adapter->model != message->model ||
            adapter->point != message->point) {
            return false;
        }
    }
    return message->wakes == 0 ||
           (message->wakes <= JOB_MODELS_MAX && worker->models[message->wakes - 1].model != NULL &&
            message->wake_label < network_model_labels(model->model));
}

static bool understood(const struct worker *worker, const struct job_message *message, int fd)
{
    if (message->model >= JOB_MODELS_MAX) {
        return false;
    }
    if (message->op == JOB_OP_MODEL) {
        return fd >= 0 && message->length <= SIZE_MAX;
    }
    if (message->op == JOB_OP_WEIGHTS) {
        return worker->models[message->model].model != NULL && message->adapter != 0 &&
               message->adapter <= JOB_ADAPTERS_MAX && message->length <= SIZE_MAX &&
               (message->length == 0) == (fd < 0);
    }
    return message->op == JOB_OP_FRAME && known_networks(worker, message) &&
           message->length <= worker->options.frame_bytes_max &&
           message->source <= JOB_SOURCE_PREAD && message->kind <= IMAGE_KIND_SENSOR &&
           worker_scan_understood(worker, message) &&
           (message->source == JOB_SOURCE_REGION) == (fd < 0);
}

int worker_handle(struct worker *worker, const struct job_message *message, int fd,
                  struct job_done *ret_done)
{
    struct job_done done = {.sequence = message->sequence};
    if (!understood(worker, message, fd)) {
        return -EPROTO;
    }
    if (message->op == JOB_OP_MODEL) {
        done.status = load(worker, message, fd);
    } else if (message->op == JOB_OP_WEIGHTS) {
        done.status =
            adapter_take(&worker->adapters[message->adapter - 1],
                         worker->models[message->model].model, &worker->kernels, message, fd);
    } else {
        handle_frame(worker, message, fd, &done);
    }
    *ret_done = done;
    return 0;
}

bool worker_release(struct worker *worker)
{
    uint64_t before = clock_ns() - WORKER_HOLD_NS;
    bool mapped = frame_maps_drop(&worker->maps, before);
    if (worker->private_ns != 0 && worker->private_ns < before) {
        madvise(worker->private_bytes, worker->options.frame_bytes_max, MADV_DONTNEED);
        worker->private_ns = 0;
    }
    return mapped || worker->private_ns != 0;
}
