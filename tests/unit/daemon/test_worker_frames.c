/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The worker's work in this process: the same scores from every source, and messages it does not
 * understand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/worker/builtin.h"
#include "daemon/worker/worker.h"
#include "engine/kernel/cpu.h"
#include "tiny_model.h"

#define FRAME_BYTES_MAX ((size_t)4 << 20)

struct fixture {
    struct worker worker;
    struct job_message message; /* of a good JPEG in the region */
    int region_fd, model_fd;
};

static int make_memfd(const void *bytes, size_t size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    return fd;
}

static struct job_result *result_of(struct fixture *fixture)
{
    return fixture->worker.region;
}

static void put_frame(struct fixture *fixture, const void *bytes, size_t size)
{
    memcpy((uint8_t *)fixture->worker.region + job_frame_offset(), bytes, size);
    fixture->message.length = size;
}

static int handle(struct fixture *fixture, int fd)
{
    struct job_done done = {.status = 1};
    fixture->message.sequence++;
    assert_int_equal(worker_handle(&fixture->worker, &fixture->message, fd, &done), 0);
    assert_int_equal(done.sequence, fixture->message.sequence);
    if (done.status == 0) {
        assert_true(job_result_valid(result_of(fixture), &fixture->message, TINY_LABELS));
        assert_int_equal(done.recycle, 0);
    }
    return done.status != 0 ? done.status : 0;
}

static void load_points(struct fixture *fixture, uint32_t index, const unsigned *seeds,
                        unsigned count, uint64_t generation)
{
    size_t size;
    struct job_done done;
    void *bytes = tiny_model_make_points(seeds, count, &size);
    assert_non_null(bytes);
    int fd = make_memfd(bytes, size);
    free(bytes);
    struct job_message message = {.op = JOB_OP_MODEL,
                                  .model = index,
                                  .generation = generation,
                                  .sequence = 1,
                                  .length = size};
    assert_int_equal(worker_handle(&fixture->worker, &message, fd, &done), 0);
    assert_int_equal(done.status, 0);
    assert_int_equal(done.sequence, 1);
    close(fd);
}

static void load_model(struct fixture *fixture, uint32_t index, unsigned seed, uint64_t generation)
{
    load_points(fixture, index, &seed, 1, generation);
}

static void open_worker(struct fixture *fixture, uint32_t cpu_mask)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->region_fd = memfd_create("region", MFD_CLOEXEC);
    assert_true(fixture->region_fd >= 0);
    assert_int_equal(ftruncate(fixture->region_fd, (off_t)job_region_bytes(FRAME_BYTES_MAX)), 0);
    struct worker_options options = {
        .frame_bytes_max = FRAME_BYTES_MAX, .pixels_max = 1000000, .cpu_mask = cpu_mask};
    assert_int_equal(worker_init(&fixture->worker, &options, fixture->region_fd), 0);
    load_model(fixture, 0, 0, 7);
    fixture->message = (struct job_message){.op = JOB_OP_FRAME, .sequence = 100};
    put_frame(fixture, builtin_jpeg, sizeof(builtin_jpeg));
}

static void close_worker(struct fixture *fixture)
{
    worker_finish(&fixture->worker);
    close(fixture->region_fd);
}

static void test_sources_agree(void **state)
{
    static const struct {
        const uint8_t *bytes;
        size_t size;
        enum image_kind kind;
    } pictures[] = {
        {builtin_jpeg, sizeof(builtin_jpeg), IMAGE_KIND_JPEG},
        {builtin_dng, sizeof(builtin_dng), IMAGE_KIND_RAW},
    };
    struct fixture fixture;
    int32_t scores[TINY_LABELS];
    (void)state;
    open_worker(&fixture, KERNEL_CPU_ALL);
    struct job_result *result = result_of(&fixture);
    for (size_t i = 0; i < 2; i++) {
        int fd = make_memfd(pictures[i].bytes, pictures[i].size);
        put_frame(&fixture, pictures[i].bytes, pictures[i].size);
        fixture.message.source = JOB_SOURCE_REGION;
        fixture.message.kind = IMAGE_KIND_AUTO;
        assert_int_equal(handle(&fixture, -1), 0);
        assert_int_equal(result->info.kind, pictures[i].kind);
        assert_int_equal(result->generation, 7);
        memcpy(scores, result->scores, sizeof(scores));
        for (uint32_t source = JOB_SOURCE_MAP; source <= JOB_SOURCE_PREAD; source++) {
            for (unsigned named = 0; named < 2; named++) {
                fixture.message.source = source;
                fixture.message.kind = named ? pictures[i].kind : IMAGE_KIND_AUTO;
                memset(result, 0, sizeof(*result));
                assert_int_equal(handle(&fixture, fd), 0);
                assert_memory_equal(result->scores, scores, sizeof(scores));
            }
        }
        close(fd);
    }
    close_worker(&fixture);
}

/* The same bytes in, the same scores out, with and without vector kernels. */
static void test_masks_agree(void **state)
{
    struct fixture fixture;
    int32_t scores[TINY_LABELS];
    (void)state;
    open_worker(&fixture, 0);
    assert_int_equal(handle(&fixture, -1), 0);
    memcpy(scores, result_of(&fixture)->scores, sizeof(scores));
    close_worker(&fixture);
    open_worker(&fixture, KERNEL_CPU_ALL);
    assert_int_equal(handle(&fixture, -1), 0);
    assert_memory_equal(result_of(&fixture)->scores, scores, sizeof(scores));
    close_worker(&fixture);
}

/* A point has its own weights, and one that is not there is not the daemon's asking. */
static void test_points(void **state)
{
    static const unsigned seeds[] = {5, 0, 9};
    struct fixture fixture;
    int32_t scores[TINY_LABELS];
    (void)state;
    open_worker(&fixture, KERNEL_CPU_ALL);
    struct job_result *result = result_of(&fixture);
    assert_int_equal(handle(&fixture, -1), 0);
    memcpy(scores, result->scores, sizeof(scores));
    load_points(&fixture, 1, seeds, 3, 8);
    fixture.message.model = 1;
    for (uint32_t point = 0; point < 3; point++) {
        fixture.message.point = point;
        assert_int_equal(handle(&fixture, -1), 0);
        assert_int_equal(memcmp(result->scores, scores, sizeof(scores)) == 0, seeds[point] == 0);
    }
    fixture.message.point = 3;
    struct job_done done;
    assert_int_equal(worker_handle(&fixture.worker, &fixture.message, -1, &done), -EPROTO);
    close_worker(&fixture);
}

static void test_cascade(void **state)
{
    struct fixture fixture;
    int32_t first[TINY_LABELS], second[TINY_LABELS];
    (void)state;
    open_worker(&fixture, KERNEL_CPU_ALL);
    load_model(&fixture, 1, 9, 8);
    struct job_result *result = result_of(&fixture);
    struct job_message *message = &fixture.message;
    message->model = 1;
    assert_int_equal(handle(&fixture, -1), 0);
    memcpy(second, result->scores, sizeof(second));
    message->model = 0;
    assert_int_equal(handle(&fixture, -1), 0);
    memcpy(first, result->scores, sizeof(first));
    uint64_t macs = result->macs;
    assert_true(macs > 0);

    int64_t best = INT32_MIN;
    for (uint32_t i = 1; i < TINY_LABELS; i++) {
        best = first[i] > best ? first[i] : best;
    }
    int32_t reached = (int32_t)(first[0] - best);
    message->wakes = 1 + 1;
    message->wake_margin = reached + 1;
    assert_int_equal(handle(&fixture, -1), 0);
    assert_int_equal(result->awake, 0);
    assert_int_equal(result->wake_margin, reached);
    assert_int_equal(result->generation, 7);
    assert_int_equal(result->macs, macs);
    assert_memory_equal(result->scores, first, sizeof(first));

    message->wake_margin = reached;
    assert_int_equal(handle(&fixture, -1), 0);
    assert_int_equal(result->awake, 1);
    assert_int_equal(result->generation, 8);
    assert_int_equal(result->macs, 2 * macs);
    assert_memory_equal(result->scores, second, sizeof(second));

    struct job_done done;
    message->wakes = 1 + 2; /* no such model */
    assert_int_equal(worker_handle(&fixture.worker, message, -1, &done), -EPROTO);
    message->wakes = 1 + 1;
    message->wake_label = TINY_LABELS;
    assert_int_equal(worker_handle(&fixture.worker, message, -1, &done), -EPROTO);
    close_worker(&fixture);
}

static void test_sensor(void **state)
{
    struct fixture fixture;
    uint8_t samples[64 * 64];
    (void)state;
    for (size_t i = 0; i < sizeof(samples); i++) {
        samples[i] = (uint8_t)(i * 7);
    }
    open_worker(&fixture, KERNEL_CPU_ALL);
    put_frame(&fixture, samples, sizeof(samples));
    fixture.message.kind = IMAGE_KIND_SENSOR;
    fixture.message.sensor = (struct image_sensor){
        .width = 64, .height = 64, .stride = 64, .packing = IMAGE_PACKING_U8, .white = 255};
    assert_int_equal(handle(&fixture, -1), 0);
    assert_int_equal(result_of(&fixture)->info.kind, IMAGE_KIND_SENSOR);
    fixture.message.length--;
    assert_true(handle(&fixture, -1) < 0);
    fixture.message.sensor.stride = 1;
    assert_int_equal(handle(&fixture, -1), -EINVAL);
    close_worker(&fixture);
}

static void test_codes(void **state)
{
    struct fixture fixture;
    int8_t codes[TINY_CODES];
    size_t plane = gradient_bits_bytes(TINY_CODES);
    (void)state;
    open_worker(&fixture, KERNEL_CPU_ALL);
    struct job_result *result = result_of(&fixture);
    assert_int_equal(handle(&fixture, -1), 0);
    assert_int_equal(result->codes_bytes, 0);
    fixture.message.want_codes = 1;
    assert_int_equal(handle(&fixture, -1), 0);
    assert_int_equal(result->codes_bytes, 2 * plane);
    assert_int_equal(
        gradient_unpack_ternary(result->codes, result->codes + plane, TINY_CODES, codes), 0);
    assert_memory_equal(codes, fixture.worker.codes, TINY_CODES);
    unsigned set = 0;
    for (size_t i = 0; i < TINY_CODES; i++) {
        set += codes[i] != 0;
    }
    assert_true(set > TINY_CODES / 10);
    close_worker(&fixture);
}

static int handle_recycle(struct fixture *fixture, uint32_t *ret_recycle)
{
    struct job_done done;
    assert_int_equal(worker_handle(&fixture->worker, &fixture->message, -1, &done), 0);
    *ret_recycle = done.recycle;
    return done.status;
}

/* Damage that LibRaw saw costs the process; damage that others saw does not. */
static void test_errors(void **state)
{
    struct fixture fixture;
    uint32_t recycle;
    char text[1000];
    (void)state;
    open_worker(&fixture, KERNEL_CPU_ALL);
    put_frame(&fixture, builtin_dng, sizeof(builtin_dng) - 50);
    assert_int_equal(handle_recycle(&fixture, &recycle), -EBADMSG);
    assert_int_equal(recycle, 1);
    put_frame(&fixture, builtin_jpeg, 100);
    assert_int_equal(handle_recycle(&fixture, &recycle), -EBADMSG);
    assert_int_equal(recycle, 0);
    put_frame(&fixture, "P5 bad", 6);
    assert_int_equal(handle_recycle(&fixture, &recycle), -EBADMSG);
    assert_int_equal(recycle, 0);
    memset(text, 'a', sizeof(text));
    put_frame(&fixture, text, sizeof(text));
    assert_int_equal(handle_recycle(&fixture, &recycle), -ENOTSUP);
    assert_int_equal(recycle, 0);
    put_frame(&fixture, "", 0);
    assert_true(handle_recycle(&fixture, &recycle) < 0);
    /* And the next good one is read as before. */
    put_frame(&fixture, builtin_jpeg, sizeof(builtin_jpeg));
    assert_int_equal(handle(&fixture, -1), 0);
    close_worker(&fixture);
}

static void test_passed_files(void **state)
{
    struct fixture fixture;
    (void)state;
    open_worker(&fixture, KERNEL_CPU_ALL);
    int fd = make_memfd(builtin_jpeg, sizeof(builtin_jpeg));
    fixture.message.length = sizeof(builtin_jpeg) + 1;
    fixture.message.source = JOB_SOURCE_MAP;
    assert_int_equal(handle(&fixture, fd), -EINVAL);
    fixture.message.source = JOB_SOURCE_PREAD;
    assert_int_equal(handle(&fixture, fd), -EBADMSG);
    close(fd);
    assert_int_equal(handle(&fixture, 999), -EINVAL);
    close_worker(&fixture);
}

static void refused(struct fixture *fixture, struct job_message message, int fd)
{
    struct job_done done;
    assert_int_equal(worker_handle(&fixture->worker, &message, fd, &done), -EPROTO);
}

#define REFUSED(fd, change)                                                                        \
    do {                                                                                           \
        struct job_message message = fixture.message;                                              \
        message.change;                                                                            \
        refused(&fixture, message, fd);                                                            \
    } while (0)

static void test_not_understood(void **state)
{
    struct fixture fixture;
    (void)state;
    open_worker(&fixture, KERNEL_CPU_ALL);
    REFUSED(-1, op = 0);
    REFUSED(-1, op = 3);
    REFUSED(-1, op = JOB_OP_MODEL);
    REFUSED(-1, model = 1); /* not loaded */
    REFUSED(-1, model = JOB_MODELS_MAX);
    REFUSED(-1, length = FRAME_BYTES_MAX + 1);
    REFUSED(-1, length = UINT64_MAX);
    REFUSED(-1, kind = IMAGE_KIND_SENSOR + 1);
    REFUSED(-1, source = JOB_SOURCE_MAP);
    REFUSED(-1, source = JOB_SOURCE_PREAD);
    REFUSED(0, source = JOB_SOURCE_REGION);
    REFUSED(0, source = JOB_SOURCE_PREAD + 1);
    close_worker(&fixture);
}

static void test_models(void **state)
{
    struct fixture fixture;
    struct job_done done;
    int32_t before[TINY_LABELS];
    (void)state;
    open_worker(&fixture, KERNEL_CPU_ALL);
    struct job_result *result = result_of(&fixture);
    assert_int_equal(handle(&fixture, -1), 0);
    memcpy(before, result->scores, sizeof(before));

    /* A bad file leaves the old model in force. */
    int fd = make_memfd("rubbish!", 8);
    struct job_message message = {.op = JOB_OP_MODEL, .generation = 8, .length = 8};
    assert_int_equal(worker_handle(&fixture.worker, &message, fd, &done), 0);
    assert_int_equal(done.status, -EBADMSG);
    message.length = 9;
    assert_int_equal(worker_handle(&fixture.worker, &message, fd, &done), 0);
    assert_int_equal(done.status, -EINVAL);
    close(fd);
    assert_int_equal(handle(&fixture, -1), 0);
    assert_int_equal(result->generation, 7);
    assert_memory_equal(result->scores, before, sizeof(before));

    /* A good one replaces it, and a second stands beside it. */
    load_model(&fixture, 0, 1, 8);
    load_model(&fixture, JOB_MODELS_MAX - 1, 0, 3);
    assert_int_equal(handle(&fixture, -1), 0);
    assert_int_equal(result->generation, 8);
    assert_memory_not_equal(result->scores, before, sizeof(before));
    fixture.message.model = JOB_MODELS_MAX - 1;
    assert_int_equal(handle(&fixture, -1), 0);
    assert_int_equal(result->generation, 3);
    assert_memory_equal(result->scores, before, sizeof(before));
    close_worker(&fixture);
}

static void test_small_region(void **state)
{
    struct worker worker;
    struct worker_options options = {
        .frame_bytes_max = FRAME_BYTES_MAX, .pixels_max = 1000000, .cpu_mask = KERNEL_CPU_ALL};
    int fd = memfd_create("region", MFD_CLOEXEC);
    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)job_region_bytes(FRAME_BYTES_MAX) - 1), 0);
    assert_int_equal(worker_init(&worker, &options, fd), -EINVAL);
    options.frame_bytes_max = SIZE_MAX / 2;
    assert_int_equal(worker_init(&worker, &options, fd), -EINVAL);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources_agree),  cmocka_unit_test(test_masks_agree),
        cmocka_unit_test(test_points),         cmocka_unit_test(test_cascade),
        cmocka_unit_test(test_sensor),         cmocka_unit_test(test_codes),
        cmocka_unit_test(test_errors),         cmocka_unit_test(test_passed_files),
        cmocka_unit_test(test_not_understood), cmocka_unit_test(test_models),
        cmocka_unit_test(test_small_region),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
