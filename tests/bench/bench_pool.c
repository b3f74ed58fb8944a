/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What a frame costs on its way through the pool, and what a worker costs to start and to keep.
 * Usage: bench_pool WORKER MODEL LABELS JPEG. Prints medians, 99th percentiles and minima in
 * microseconds.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/pool.h"
#include "tests/bench/timing.h"

#define FRAMES       2000
#define LARGE_FRAMES 100
#define LARGE_BYTES  ((size_t)24 << 20)
#define LARGE_WIDTH  4096u
#define LARGE_HEIGHT 3072u

struct bench {
    uv_loop_t loop;
    struct pool *pool;
    bool finished, closed;
    uint64_t finished_ns;
    uint64_t stage_ns[3]; /* decode, gradient, network */
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void on_changed(void *context)
{
    (void)context;
}

static void on_finished(void *context, struct frame *frame, enum proto_error error,
                        const char *message, const struct job_result *result)
{
    struct bench *bench = context;
    bench->finished_ns = uv_hrtime();
    bench->finished = true;
    (void)frame;
    if (error != PROTO_OK) {
        fprintf(stderr, "frame failed: %s\n", message);
        exit(1);
    }
    bench->stage_ns[0] = result->decode_ns;
    bench->stage_ns[1] = result->gradient_ns;
    bench->stage_ns[2] = result->network_ns;
}

static void on_closed(void *context)
{
    struct bench *bench = context;
    bench->closed = true;
}

static void print(const char *what, double *us, size_t count)
{
    const double median = timing_median(us, count);

    printf("%-44s median %9.1f  p99 %9.1f  min %9.1f us\n", what, median, us[count * 99 / 100],
           us[0]);
}

static void run_frames(struct bench *bench, struct frame *frame, const char *what, size_t count)
{
    static const char *const names[5] = {"whole", "decode", "gradient", "network", "the rest"};
    static double us[5][FRAMES];
    char name[80];
    for (size_t i = 0; i < count; i++) {
        uint64_t start = uv_hrtime();
        bench->finished = false;
        if (pool_start_frame(bench->pool, frame) < 0) {
            die("pool_start_frame");
        }
        while (!bench->finished) {
            uv_run(&bench->loop, UV_RUN_ONCE);
        }
        us[0][i] = (double)(bench->finished_ns - start) / 1e3;
        us[4][i] = us[0][i];
        for (size_t k = 0; k < 3; k++) {
            us[1 + k][i] = (double)bench->stage_ns[k] / 1e3;
            us[4][i] -= us[1 + k][i];
        }
    }
    for (size_t k = 0; k < 5; k++) {
        snprintf(name, sizeof(name), "%s: %s", what, names[k]);
        print(name, us[k], count);
    }
}

static void *map_file(const char *path, size_t *ret_size)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) < 0) {
        die(path);
    }
    void *bytes = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        die(path);
    }
    close(fd);
    *ret_size = (size_t)stat.st_size;
    return bytes;
}

static int make_memfd(const void *bytes, size_t size)
{
    int fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0) {
        die("memfd");
    }
    return fd;
}

static void start(struct bench *bench, const struct pool_options *options)
{
    struct pool_stats stats;
    uint64_t begin = uv_hrtime();
    uv_loop_init(&bench->loop);
    if (pool_create(&bench->loop, options, &bench->pool) < 0) {
        die("pool_create");
    }
    uint64_t created = uv_hrtime();
    do {
        uv_run(&bench->loop, UV_RUN_ONCE);
        pool_get_stats(bench->pool, &stats);
        if (uv_hrtime() - begin > UINT64_C(5000000000)) {
            fprintf(stderr, "no worker takes this model\n");
            exit(1);
        }
    } while (stats.ready < options->workers);
    printf("%u worker(s): created in %.2f ms, ready after %.2f ms\n", options->workers,
           (double)(created - begin) / 1e6, (double)(uv_hrtime() - begin) / 1e6);
}

static void stop(struct bench *bench)
{
    pool_destroy(bench->pool, on_closed, bench);
    while (!bench->closed) {
        uv_run(&bench->loop, UV_RUN_ONCE);
    }
    uv_loop_close(&bench->loop);
}

/* The cost of touching every byte of the mapping once, as the decoder must. */
static void read_once(const uint64_t *words, size_t bytes)
{
    double us[LARGE_FRAMES];
    volatile uint64_t sink = 0;
    for (size_t i = 0; i < LARGE_FRAMES; i++) {
        uint64_t begin = uv_hrtime();
        uint64_t sum[4] = {0};
        for (size_t k = 0; k < bytes / 8; k += 4) {
            for (size_t lane = 0; lane < 4; lane++) {
                sum[lane] += words[k + lane];
            }
        }
        sink = sink + sum[0] + sum[1] + sum[2] + sum[3];
        us[i] = (double)(uv_hrtime() - begin) / 1e3;
    }
    print("24 MiB, one plain read of the bytes", us, LARGE_FRAMES);
}

static void bench_large(struct bench *bench)
{
    int fd = memfd_create("frame", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)LARGE_BYTES) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0) {
        die("memfd");
    }
    uint16_t *samples = mmap(NULL, LARGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (samples == MAP_FAILED) {
        die("mmap");
    }
    for (size_t i = 0; i < LARGE_BYTES / 2; i++) {
        samples[i] = (uint16_t)(i * 2654435761u >> 20);
    }
    read_once((const uint64_t *)(const void *)samples, LARGE_BYTES);
    struct frame *frame = frame_create();
    if (frame == NULL) {
        die("frame");
    }
    frame->source = JOB_SOURCE_MAP;
    frame->fd = fd;
    frame->length = LARGE_BYTES;
    frame->kind = IMAGE_KIND_SENSOR;
    frame->sensor = (struct image_sensor){
        .width = LARGE_WIDTH,
        .height = LARGE_HEIGHT,
        .stride = LARGE_WIDTH * 2,
        .cfa = IMAGE_CFA_RGGB,
        .packing = IMAGE_PACKING_U16LE,
        .black = 64,
        .white = 4095,
    };
    run_frames(bench, frame, "24 MiB Bayer by reused memfd", LARGE_FRAMES);
    frame_destroy(frame);
    munmap(samples, LARGE_BYTES);
}

static void print_memory(const char *what, int pid)
{
    char path[64];
    char line[256];
    long kib;
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    printf("%s:", what);
    while (fgets(line, sizeof(line), file) != NULL) {
        char name[64];
        if (sscanf(line, "%63[^:]: %ld kB", name, &kib) == 2 &&
            (strcmp(name, "Rss") == 0 || strcmp(name, "Pss") == 0 ||
             strcmp(name, "Private_Dirty") == 0)) {
            printf(" %s %ld KiB", name, kib);
        }
    }
    printf("\n");
    fclose(file);
}

static void print_workers(void)
{
    char path[64];
    int pid;
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    while (file != NULL && fscanf(file, "%d", &pid) == 1) {
        print_memory("worker", pid);
    }
    if (file != NULL) {
        fclose(file);
    }
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    size_t model_bytes;
    size_t jpeg_bytes;
    if (argc != 5) {
        fprintf(stderr, "usage: bench_pool WORKER MODEL LABELS JPEG\n");
        return 2;
    }
    void *model = map_file(argv[2], &model_bytes);
    void *jpeg = map_file(argv[4], &jpeg_bytes);
    struct pool_options options = {
        .worker_path = argv[1],
        .cpu_mask = "all",
        .workers = 2,
        .timeout_ms = 2000,
        .frame_bytes_max = (size_t)32 << 20,
        .pixels_max = 100000000,
        .models = {{.memfd = make_memfd(model, model_bytes),
                    .bytes = model_bytes,
                    .label_count = (uint32_t)strtoul(argv[3], NULL, 10)}},
        .model_count = 1,
        .changed = on_changed,
        .finished = on_finished,
        .context = &bench,
    };
    munmap(model, model_bytes);
    start(&bench, &options);
    print_workers();
    print_memory("bench itself", (int)getpid());

    struct frame *frame = frame_create();
    if (frame == NULL) {
        die("frame");
    }
    frame->bytes = malloc(jpeg_bytes);
    if (frame->bytes == NULL) {
        die("frame");
    }
    memcpy(frame->bytes, jpeg, jpeg_bytes);
    frame->length = jpeg_bytes;
    printf("JPEG of %zu bytes\n", jpeg_bytes);
    run_frames(&bench, frame, "JPEG by region", FRAMES);
    frame_destroy(frame);
    bench_large(&bench);
    stop(&bench);
    munmap(jpeg, jpeg_bytes);
    return 0;
}
