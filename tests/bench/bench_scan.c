/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * From the bytes of a JPEG to boxes, on one core: the time of each stage, frames a second, memory,
 * and the share of the instruction set's ceiling that the network reaches. A network of the shape
 * of engine/models/recipes/person.ini, grey and without padding, with random weights; pictures of
 * overlapping discs, whose edges are like those of nature. Usage: bench_scan [--cpu-mask MASK]
 * [--object-min ROWS] [FILE.jpg ...]; pin it to one core (taskset -c 0). Medians of one run, in
 * processor time: the line waits for nothing, so on an idle machine that is the time on the clock.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jpeglib.h>

#include "engine/gradient/gradient.h"
#include "engine/image/image.h"
#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/ceiling.h"
#include "engine/network/model.h"
#include "engine/network/scan.h"
#include "tests/bench/timing.h"

enum { RUNS = 31, FACTOR = 1147, OVERLAP = 64, BOXES = 32, CEILING_BYTES = 24576 };
enum stage { DECODE, AVERAGE, ENCODE, NETWORK, BOXING, STAGES };

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

static _Noreturn void fail(const char *what, int error)
{
    fprintf(stderr, "bench_scan: %s: %s\n", what, strerror(error));
    exit(1);
}

static void *need(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 127) / 64 * 64);

    if (memory == NULL) {
        fail("memory", ENOMEM);
    }
    return memory;
}

static double processor_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

/* ---- pictures ---- */

struct file {
    const char *name;
    uint8_t *bytes;
    size_t size;
};

/* Discs that cover one another, the number of a size falling with its cube; and a little noise. */
static uint8_t *paint(uint32_t width, uint32_t height)
{
    uint8_t *pixels = need((size_t)width * height * 3);

    memset(pixels, 110, (size_t)width * height * 3);
    for (int disc = 0; disc < 3000; disc++) {
        const uint32_t size = height * 2 / 5 * 16 / (16 + random_below(16 * 24));
        const int32_t cx = (int32_t)random_below(width), cy = (int32_t)random_below(height);
        const int32_t r = (int32_t)size;
        const uint8_t colour[3] = {(uint8_t)random_below(256), (uint8_t)random_below(256),
                                   (uint8_t)random_below(256)};
        const uint8_t base = (uint8_t)random_below(256);

        for (int32_t y = cy > r ? cy - r : 0; y < (int32_t)height && y <= cy + r; y++) {
            for (int32_t x = cx > r ? cx - r : 0; x < (int32_t)width && x <= cx + r; x++) {
                uint8_t *pixel = pixels + ((size_t)y * width + (size_t)x) * 3;

                for (int c = 0; c < 3 && (x - cx) * (x - cx) + (y - cy) * (y - cy) <= r * r; c++) {
                    pixel[c] = (uint8_t)((3 * base + colour[c]) / 4);
                }
            }
        }
    }
    for (size_t i = 0; i < (size_t)width * height * 3; i++) {
        const int noisy = pixels[i] + (int)random_below(9) - 4;
        pixels[i] = (uint8_t)(noisy < 0 ? 0 : noisy > 255 ? 255 : noisy);
    }
    return pixels;
}

static struct file make_jpeg(const char *name, uint32_t width, uint32_t height)
{
    uint8_t *pixels = paint(width, height);
    struct jpeg_compress_struct cinfo;
    struct jpeg_error_mgr error;
    struct file file = {.name = name};
    unsigned long size = 0;

    cinfo.err = jpeg_std_error(&error);
    jpeg_create_compress(&cinfo);
    jpeg_mem_dest(&cinfo, &file.bytes, &size);
    cinfo.image_width = width;
    cinfo.image_height = height;
    cinfo.input_components = 3;
    cinfo.in_color_space = JCS_RGB;
    jpeg_set_defaults(&cinfo);
    jpeg_set_quality(&cinfo, 85, TRUE);
    jpeg_start_compress(&cinfo, TRUE);
    for (uint32_t y = 0; y < height; y++) {
        JSAMPROW row = pixels + (size_t)y * width * 3;
        jpeg_write_scanlines(&cinfo, &row, 1);
    }
    jpeg_finish_compress(&cinfo);
    jpeg_destroy_compress(&cinfo);
    free(pixels);
    file.size = size;
    return file;
}

static struct file read_file(const char *path)
{
    struct file file = {.name = path};
    FILE *stream = fopen(path, "rb");

    if (stream == NULL || fseek(stream, 0, SEEK_END) != 0) {
        fail(path, errno);
    }
    file.size = (size_t)ftell(stream);
    file.bytes = need(file.size);
    rewind(stream);
    if (fread(file.bytes, 1, file.size, stream) != file.size) {
        fail(path, EIO);
    }
    fclose(stream);
    return file;
}

/* ---- a network ---- */

/* Sums of three dice, as trained weights are distributed, with the largest at 127. */
static void fill_layer(struct network_layer *layer, uint32_t taps, double input)
{
    int8_t *weights = need(layer->out * (size_t)taps);
    int32_t *bias = need(layer->out * sizeof *bias), *mult = need(layer->out * sizeof *mult);
    uint64_t most = 1;

    for (uint32_t o = 0; o < layer->out; o++) {
        uint64_t sum = 0;

        for (uint32_t i = 0; i < taps; i++) {
            const int weight = (int)(random_below(85) + random_below(85) + random_below(85)) - 126;
            weights[o * (size_t)taps + i] = (int8_t)weight;
            sum += (uint64_t)(weight < 0 ? -weight : weight) * 127;
        }
        most = sum > most ? sum : most;
        bias[o] = 0;
        mult[o] = 1 << 30;
    }
    while (most << (layer->preshift + 1u) < UINT64_C(1) << 30) {
        layer->preshift++;
    }
    /* Sums spread by about 42 * input * sqrt(taps); outputs by about 40. */
    double spread = 42 * input * (1u << layer->preshift) / 4;
    for (double root = 1; root * root < taps; root += 1) {
        spread += 42 * input * (1u << layer->preshift) / 4;
    }
    for (layer->shift = 1; spread / (double)(UINT64_C(1) << layer->shift) > 40;) {
        layer->shift++;
    }
    layer->weight_s8 = weights;
    layer->bias_s32 = bias;
    layer->mult = mult;
}

static struct network_layer conv(const char *name, uint32_t out)
{
    return (struct network_layer){.op = NETWORK_OP_CONV,
                                  .output = NETWORK_OUTPUT_U7,
                                  .relu = true,
                                  .kernel = {3, 3},
                                  .stride = {1, 1},
                                  .out = out,
                                  .name = name};
}

static struct network_model *make_model(void)
{
    static const char *const labels[] = {"background", "person"};
    const struct network_layer pool = {
        .op = NETWORK_OP_MAXPOOL, .kernel = {2, 2}, .stride = {2, 2}};
    struct network_layer layers[] = {
        conv("conv1", 16),
        pool,
        conv("conv2", 32),
        pool,
        conv("conv3", 48),
        {.op = NETWORK_OP_DENSE, .output = NETWORK_OUTPUT_SCORES, .out = 2, .name = "fc"}};
    struct network_point point = {
        .name = "default",
        .input = {.target = {32, 64, 1, IMAGE_FIT_COVER},
                  .front = {.source = GRADIENT_SOURCE_LOG_GRADIENT,
                            .coding = GRADIENT_CODING_TERNARY,
                            .merge = GRADIENT_MERGE_ALL,
                            .planes = 1,
                            .floor = 32,
                            .ratio = {{9, 8}}}},
        .layer_count = 6,
        .layers = layers,
    };
    const struct network_description description = {
        .name = "bench", .label_count = 2, .labels = labels, .point_count = 1, .points = &point};
    struct network_model *model;
    const char *reason = "";
    void *bytes;
    size_t size;

    fill_layer(&layers[0], 9 * 2, 0.7);
    fill_layer(&layers[2], 9 * 16, 40);
    fill_layer(&layers[4], 9 * 32, 40);
    fill_layer(&layers[5], 4 * 12 * 48, 40);
    for (uint32_t i = 0; i < 6; i++) {
        layers[i].input = i;
    }
    if (network_model_write(&description, &bytes, &size, &reason) < 0 ||
        network_model_load(bytes, size, &model, &reason) < 0) {
        fprintf(stderr, "bench_scan: %s\n", reason);
        exit(1);
    }
    free(bytes);
    return model;
}

/* ---- the line ---- */

struct line {
    const struct file *file;
    const struct network_input *input;
    struct image_ops ops;
    struct image_decoder *decoder;
    struct network_scan *scan;
    struct image_info info;
    uint16_t *planes, *smaller;
    void *scratch, *arena;
    uint8_t *codes;
    int32_t *margins[NETWORK_SCAN_LEVELS_MAX];
    uint32_t windows, boxes;
    size_t buffer_bytes;
    double us[STAGES][RUNS];
};

static void *buffer(struct line *line, size_t bytes)
{
    line->buffer_bytes += bytes;
    return need(bytes);
}

static struct network_scan *scan_of(const struct line *line, const struct network_model *model,
                                    const struct kernel_table *kernels, uint32_t object_min,
                                    int32_t threshold)
{
    const struct network_scan_settings settings = {.label = 1,
                                                   .object_min = object_min,
                                                   .factor = FACTOR,
                                                   .threshold = threshold,
                                                   .overlap = OVERLAP,
                                                   .boxes_max = BOXES};
    struct network_scan *scan;
    int result =
        network_scan_create(model, &settings, line->info.width, line->info.height, kernels, &scan);

    if (result < 0 || network_scan_levels(scan) == 0) {
        fail("scan", result < 0 ? -result : EINVAL);
    }
    return scan;
}

static void prepare(struct line *line, const struct kernel_table *kernels)
{
    const struct network_scan_level *first = network_scan_level(line->scan, 0);
    const size_t pixels = (size_t)first->width * first->height;

    line->ops = (struct image_ops){kernels->accumulate_u16, kernels->accumulate_u8,
                                   kernels->unpack_mipi10, kernels->unpack_mipi12};
    line->buffer_bytes = 0;
    line->planes = buffer(line, pixels * sizeof *line->planes);
    line->smaller = buffer(line, pixels * sizeof *line->smaller);
    line->codes = buffer(line, pixels * gradient_channels(&line->input->front));
    line->scratch = buffer(line, image_average_bytes(first->width, first->width));
    line->arena = buffer(line, network_scan_arena_bytes(line->scan));
    line->windows = 0;
    for (uint32_t i = 0; i < network_scan_levels(line->scan); i++) {
        const struct network_scan_level *level = network_scan_level(line->scan, i);
        const uint32_t windows = level->columns * level->rows;

        line->windows += windows;
        line->margins[i] = buffer(line, windows * sizeof(int32_t));
    }
}

static void release(struct line *line)
{
    for (uint32_t i = 0; i < network_scan_levels(line->scan); i++) {
        free(line->margins[i]);
    }
    free(line->planes);
    free(line->smaller);
    free(line->codes);
    free(line->scratch);
    free(line->arena);
    network_scan_destroy(line->scan);
}

/* Adds what has passed since *since to a stage. */
static void clock_in(struct line *line, enum stage stage, int run, double *since)
{
    const double now = processor_us();

    line->us[stage][run] += now - *since;
    *since = now;
}

static void run_level(struct line *line, uint32_t index, int run)
{
    const struct network_scan_level *first = network_scan_level(line->scan, 0);
    const struct network_scan_level *level = network_scan_level(line->scan, index);
    double since = processor_us();

    if (index > 0 &&
        image_average_planes(&line->ops, line->planes, 1, first->width, first->height, level->width,
                             level->height, line->scratch, line->smaller) < 0) {
        fail("average", EINVAL);
    }
    clock_in(line, AVERAGE, run, &since);
    gradient_encode(&line->input->front, index > 0 ? line->smaller : line->planes, level->width,
                    level->height, line->info.nominal_white, line->codes);
    clock_in(line, ENCODE, run, &since);
    network_scan_run(line->scan, line->arena, index, line->codes, NULL, line->margins[index]);
    clock_in(line, NETWORK, run, &since);
}

static void run_line(struct line *line, int run)
{
    const struct network_scan_level *first = network_scan_level(line->scan, 0);
    const struct image_target target = {first->width, first->height, IMAGE_GREY, IMAGE_FIT_STRETCH};
    struct network_scan_box boxes[BOXES];
    double since = processor_us();

    for (int i = 0; i < STAGES; i++) {
        line->us[i][run] = 0;
    }
    int result = image_decode(line->decoder, line->file->bytes, line->file->size, IMAGE_KIND_JPEG,
                              NULL, &target, line->planes, &line->info);
    if (result < 0) {
        fail(line->file->name, -result);
    }
    clock_in(line, DECODE, run, &since);
    for (uint32_t i = 0; i < network_scan_levels(line->scan); i++) {
        run_level(line, i, run);
    }
    since = processor_us();
    line->boxes = network_scan_boxes(line->scan, (const int32_t *const *)line->margins, boxes);
    clock_in(line, BOXING, run, &since);
}

static int ascending(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

/* The margin that one window of 200 reaches. */
static int32_t high_margin(const struct line *line)
{
    const struct network_scan_level *level = network_scan_level(line->scan, 0);
    const size_t windows = (size_t)level->columns * level->rows;
    int32_t *sorted = need(windows * sizeof *sorted);

    memcpy(sorted, line->margins[0], windows * sizeof *sorted);
    qsort(sorted, windows, sizeof *sorted, ascending);
    const int32_t margin = sorted[windows - 1 - windows / 200];
    free(sorted);
    return margin;
}

/* Operations a microsecond of the instruction set's multiply-add; 0: no ceiling is known. */
static double ceiling_rate(uint32_t cpu)
{
    ceiling_function *loop = ceiling_of(cpu);
    int8_t *weights = need(CEILING_BYTES);
    double rate = 0;
    int32_t sink = 0;

    for (size_t i = 0; i < CEILING_BYTES; i++) {
        weights[i] = (int8_t)random_below(100);
    }
    for (int i = 0; i < 5 && loop != NULL; i++) {
        const double start = processor_us();
        const double operations = (double)loop(weights, CEILING_BYTES, 400, &sink);
        const double now = operations / (processor_us() - start);

        rate = now > rate ? now : rate;
    }
    free(weights);
    return sink == 42 ? 0 : rate;
}

static void print_line(struct line *line, uint32_t object_min, uint32_t cpu)
{
    static const char *const names[] = {"decode", "average", "encode", "network", "boxes"};
    double whole[RUNS] = {0}, us[STAGES];

    for (int run = 0; run < RUNS; run++) {
        for (int i = 0; i < STAGES; i++) {
            whole[run] += line->us[i][run];
        }
    }
    const double total = timing_median(whole, RUNS), least = whole[0];
    for (int i = 0; i < STAGES; i++) {
        us[i] = timing_median(line->us[i], RUNS);
    }
    const double operations = 2.0 * (double)network_scan_macs(line->scan);
    const double rate = ceiling_rate(cpu);
    printf("%s %ux%u, objects from %u rows: %u levels, %u windows, %.0f million products\n",
           line->file->name, line->info.width, line->info.height, object_min,
           network_scan_levels(line->scan), line->windows, operations / 2e6);
    for (int i = 0; i < STAGES; i++) {
        printf("  %-8s %9.0f us  %4.1f %%\n", names[i], us[i], 100 * us[i] / total);
    }
    printf("  whole    %9.0f us  %6.1f frames/s (the fastest run %.1f), %u boxes\n", total,
           1e6 / total, 1e6 / least, line->boxes);
    if (rate > 0) {
        printf("  network at %.0f Gop/s, %.0f %% of the ceiling of %.0f\n",
               operations / us[NETWORK] / 1e3, 100 * operations / us[NETWORK] / rate, rate / 1e3);
    }
    printf("  memory: scan %zu KiB, arena %zu KiB, all buffers %zu KiB\n",
           network_scan_bytes(line->scan) >> 10, network_scan_arena_bytes(line->scan) >> 10,
           (line->buffer_bytes + network_scan_bytes(line->scan)) >> 10);
    fflush(stdout);
}

static void bench(const struct file *file, const struct network_model *model,
                  const struct kernel_table *kernels, uint32_t object_min)
{
    struct line line = {.file = file, .input = network_model_input(model, 0)};
    int32_t threshold = INT32_MAX;

    int result = image_decoder_create(
        NULL, &(struct image_ops){kernels->accumulate_u16, kernels->accumulate_u8, NULL, NULL},
        &line.decoder);
    if (result == 0) {
        result =
            image_probe(line.decoder, file->bytes, file->size, IMAGE_KIND_JPEG, NULL, &line.info);
    }
    if (result < 0) {
        fail(file->name, -result);
    }
    for (int round = 0; round < 2; round++) { /* the first one finds a threshold */
        line.scan = scan_of(&line, model, kernels, object_min, threshold);
        prepare(&line, kernels);
        for (int run = 0; run < (round == 0 ? 1 : RUNS); run++) {
            run_line(&line, run);
        }
        threshold = high_margin(&line);
        if (round == 1) {
            print_line(&line, object_min, kernels->cpu);
        }
        release(&line);
    }
    image_decoder_destroy(line.decoder);
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_scan [--cpu-mask MASK] [--object-min ROWS] [FILE.jpg ...]\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct kernel_table kernels;
    uint32_t mask = KERNEL_CPU_ALL, object_min = 128;
    int at = 1;

    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        if (strcmp(argv[at], "--object-min") == 0) {
            object_min = (uint32_t)strtoul(argv[at + 1], NULL, 10);
        } else if (strcmp(argv[at], "--cpu-mask") != 0 ||
                   kernel_cpu_mask_parse(argv[at + 1], &mask) < 0) {
            return usage();
        }
    }
    if (at < argc && argv[at][0] == '-') {
        return usage();
    }
    kernel_table_init(&kernels, kernel_cpu_detect() & mask);
    struct network_model *model = make_model();
    for (; at < argc; at++) {
        struct file file = read_file(argv[at]);
        bench(&file, model, &kernels, object_min);
        free(file.bytes);
        if (at + 1 == argc) {
            network_model_destroy(model);
            return 0;
        }
    }
    struct file vga = make_jpeg("made", 640, 480), hd = make_jpeg("made", 1920, 1080);
    bench(&vga, model, &kernels, object_min);
    bench(&hd, model, &kernels, object_min);
    free(vga.bytes);
    free(hd.bytes);
    network_model_destroy(model);
    return 0;
}
