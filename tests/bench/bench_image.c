/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Speed of image decoding beside what cannot be avoided: sensor buffers beside one reading sum over
 * their bytes, a JPEG beside libjpeg's own scaled decode. Synthetic pictures. Usage: bench_image
 * [MASK ...], default c avx2 all; pin it to one core (taskset -c 0). Prints a table; medians.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "engine/image/image.h"
#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "tests/bench/timing.h"

enum { RUNS = 41, WIDTH = 4096, HEIGHT = 3072, FRAMES = 4 };

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

static void *need(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "bench_image: out of memory\n");
        exit(1);
    }
    return memory;
}

/* Two things timed in turn, so that both see the same machine; medians in us. */
static void time_pair(void (*first)(void *), void (*second)(void *), void *context,
                      double *ret_first, double *ret_second)
{
    double a[RUNS], b[RUNS];

    first(context);
    second(context);
    for (int i = 0; i < RUNS; i++) {
        double t0 = timing_now_us();
        first(context);
        double t1 = timing_now_us();
        second(context);
        double t2 = timing_now_us();
        a[i] = t1 - t0;
        b[i] = t2 - t1;
    }
    *ret_first = timing_median(a, RUNS);
    *ret_second = timing_median(b, RUNS);
}

struct work {
    struct image_decoder *decoder;
    const uint8_t *bytes;
    const uint8_t *frames[FRAMES]; /* taken in turn, more than caches hold; NULL: always `bytes` */
    unsigned frame;
    size_t size;
    const struct image_sensor *sensor;
    struct image_target target;
    uint16_t planes[3 * 128 * 128];
    uint64_t sink;
};

/* A camera's next frame is not in the cache: each run takes another one. */
static void next_frame(struct work *w)
{
    if (w->frames[0] != NULL) {
        w->bytes = w->frames[w->frame++ % FRAMES];
    }
}

static void run_decode(void *context)
{
    struct work *w = context;
    struct image_info info;
    next_frame(w);
    enum image_kind kind = w->sensor != NULL ? IMAGE_KIND_SENSOR : IMAGE_KIND_JPEG;

    int r =
        image_decode(w->decoder, w->bytes, w->size, kind, w->sensor, &w->target, w->planes, &info);
    if (r < 0) {
        fprintf(stderr, "bench_image: %s\n", strerror(-r));
        exit(1);
    }
}

/* Every byte is read once; the compiler makes of it what it can. */
static void run_sum(void *context)
{
    struct work *w = context;
    uint64_t sum = 0;

    next_frame(w);
    const uint64_t *words = (const uint64_t *)(const void *)w->bytes;
    for (size_t i = 0; i < w->size / 8; i++) {
        sum += words[i];
    }
    w->sink += sum;
}

static void run_libjpeg(void *context)
{
    struct work *w = context;
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr error;
    uint8_t pixels[640 * 3];
    JSAMPROW row = pixels;

    cinfo.err = jpeg_std_error(&error);
    jpeg_create_decompress(&cinfo);
    jpeg_mem_src(&cinfo, w->bytes, w->size);
    jpeg_read_header(&cinfo, TRUE);
    cinfo.scale_num = 1;
    cinfo.scale_denom = w->target.width > 60 ? 2 : w->target.width > 30 ? 4 : 8;
    cinfo.out_color_space = w->target.channels == IMAGE_RGB ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_start_decompress(&cinfo);
    while (cinfo.output_scanline < cinfo.output_height) {
        jpeg_read_scanlines(&cinfo, &row, 1);
    }
    jpeg_finish_decompress(&cinfo);
    jpeg_destroy_decompress(&cinfo);
}

static void bench_sensors(struct work *w)
{
    static const struct {
        const char *name;
        enum image_packing packing;
        uint32_t stride;
        uint16_t white;
    } cases[] = {{"U16LE", IMAGE_PACKING_U16LE, WIDTH * 2, 4095},
                 {"U8", IMAGE_PACKING_U8, WIDTH, 255},
                 {"MIPI10", IMAGE_PACKING_MIPI10, WIDTH / 4 * 5, 1023},
                 {"MIPI12", IMAGE_PACKING_MIPI12, WIDTH / 2 * 3, 4095}};
    uint8_t *frames[FRAMES];

    for (int f = 0; f < FRAMES; f++) {
        frames[f] = need(aligned_alloc(64, (size_t)WIDTH * HEIGHT * 2));
        for (size_t i = 0; i < (size_t)WIDTH * HEIGHT * 2; i++) {
            frames[f][i] = (uint8_t)(i % 2 ? random_below(16) : random_below(256));
        }
    }
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        bool fresh = i % 2;
        struct image_sensor sensor = {.width = WIDTH,
                                      .height = HEIGHT,
                                      .stride = cases[i / 2].stride,
                                      .cfa = IMAGE_CFA_RGGB,
                                      .packing = (uint8_t)cases[i / 2].packing,
                                      .black = 10,
                                      .white = cases[i / 2].white};
        double sum, decode;
        for (int f = 0; f < FRAMES; f++) {
            w->frames[f] = fresh ? frames[f] : NULL;
        }
        w->bytes = frames[0];
        w->size = (size_t)sensor.stride * HEIGHT;
        w->sensor = &sensor;
        w->target = (struct image_target){32, 32, IMAGE_RGB, IMAGE_FIT_STRETCH};
        time_pair(run_sum, run_decode, w, &sum, &decode);
        printf("  %-6s %ux%u -> 32x32x3, %s   sum %6.0f us   decode %6.0f us   ratio %.3f\n",
               cases[i / 2].name, WIDTH, HEIGHT, fresh ? "fresh " : "cached", sum, decode,
               decode / sum);
    }
    w->frames[0] = NULL;
    for (int f = 0; f < FRAMES; f++) {
        free(frames[f]);
    }
}

static uint8_t *make_jpeg(size_t *ret_size)
{
    struct jpeg_compress_struct cinfo;
    struct jpeg_error_mgr error;
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    uint8_t pixels[640 * 3];
    JSAMPROW row = pixels;

    cinfo.err = jpeg_std_error(&error);
    jpeg_create_compress(&cinfo);
    jpeg_mem_dest(&cinfo, &bytes, &size);
    cinfo.image_width = 640;
    cinfo.image_height = 480;
    cinfo.input_components = 3;
    cinfo.in_color_space = JCS_RGB;
    jpeg_set_defaults(&cinfo);
    jpeg_set_quality(&cinfo, 85, TRUE);
    jpeg_start_compress(&cinfo, TRUE);
    for (uint32_t y = 0; y < 480; y++) {
        for (uint32_t x = 0; x < 640 * 3; x++) {
            uint32_t wave = (x / 3 * 2 + y * (1 + x % 3)) % 512;
            pixels[x] = (uint8_t)((wave & 256 ? 511 - wave : wave) * 3 / 4 + random_below(24));
        }
        jpeg_write_scanlines(&cinfo, &row, 1);
    }
    jpeg_finish_compress(&cinfo);
    jpeg_destroy_compress(&cinfo);
    *ret_size = size;
    return bytes;
}

static void bench_jpeg(struct work *w)
{
    uint8_t *bytes = make_jpeg(&w->size);

    w->bytes = bytes;
    w->sensor = NULL;
    for (unsigned channels = IMAGE_GREY; channels <= IMAGE_RGB; channels += 2) {
        static const uint32_t sizes[] = {28, 32, 64, 96};
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            double library, decode;
            w->target =
                (struct image_target){sizes[i], sizes[i], (uint8_t)channels, IMAGE_FIT_COVER};
            time_pair(run_libjpeg, run_decode, w, &library, &decode);
            printf("  JPEG   640x480 %zu bytes -> %ux%ux%u   libjpeg %6.0f us   decode %6.0f us   "
                   "ratio %.3f\n",
                   w->size, sizes[i], sizes[i], channels, library, decode, decode / library);
        }
    }
    free(bytes);
}

int main(int argc, char **argv)
{
    static const char *defaults[] = {"c", "avx2", "all"};
    int count = argc > 1 ? argc - 1 : 3;
    struct work *work = need(calloc(1, sizeof(*work)));

    for (int i = 0; i < count; i++) {
        const char *name = argc > 1 ? argv[i + 1] : defaults[i];
        struct kernel_table table;
        uint32_t mask;
        if (kernel_cpu_mask_parse(name, &mask) < 0) {
            fprintf(stderr, "bench_image: %s: no such mask\n", name);
            return 2;
        }
        kernel_table_init(&table, kernel_cpu_detect() & mask);
        struct image_ops ops = {table.accumulate_u16, table.accumulate_u8, table.unpack_mipi10,
                                table.unpack_mipi12};
        if (image_decoder_create(NULL, &ops, &work->decoder) < 0) {
            return 1;
        }
        printf("mask %s\n", name);
        bench_sensors(work);
        bench_jpeg(work);
        image_decoder_destroy(work->decoder);
    }
    free(work);
    return 0;
}
