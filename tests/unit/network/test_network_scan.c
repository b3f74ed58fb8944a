/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Scans of random chains of layers of every coding against network_run on each window cut out
 * alone, for every instruction set of this machine and every choice of kernels, whole levels and
 * areas, between guard pages.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/network/plan.h"
#include "engine/network/scan.h"
#include "graphs.h"
#include "network_test.h"

/* ---- scans against windows ---- */

/* Codes of the levels of a scan, and the margins of all windows. */
struct scene {
    struct guarded codes[NETWORK_SCAN_LEVELS_MAX];
    int32_t *margins[NETWORK_SCAN_LEVELS_MAX];
    uint32_t label;
};

static void random_codes(struct graph *graph, uint8_t *codes, size_t count)
{
    const struct gradient_spec *front = &graph->point.input.front;
    const uint32_t peak = front->coding == GRADIENT_CODING_TERNARY ? 1
                          : front->coding == GRADIENT_CODING_SEVEN ? 3
                                                                   : 0;
    const uint32_t most = peak > 0                                       ? 2 * peak
                          : front->coding == GRADIENT_CODING_THERMOMETER ? front->levels
                                                                         : 127;

    for (size_t i = 0; i < count; i++) {
        if (front->coding == GRADIENT_CODING_F32) {
            ((float *)(void *)codes)[i] = (float)graph_range(graph, 0, 2000) / 1000 - 1;
        } else {
            codes[i] = (uint8_t)(graph_range(graph, 0, most) - peak);
        }
    }
}

static int32_t expected_margin(const int32_t *scores, uint32_t labels, uint32_t label)
{
    int64_t best = INT64_MIN;

    for (uint32_t i = 0; i < labels; i++) {
        best = i != label && scores[i] > best ? scores[i] : best;
    }
    best = scores[label] - best;
    return (int32_t)(best > INT32_MAX ? INT32_MAX : best < INT32_MIN ? INT32_MIN : best);
}

/* The margins by network_run, window by window. */
static void scene_init(struct scene *scene, struct graph *graph, const struct network_model *model,
                       const struct network_scan *scan, uint32_t label)
{
    const struct network_shape window = network_input_shape(&graph->point.input);
    const uint32_t labels = graph->description.label_count;
    _Alignas(float) uint8_t cut[11 * 11 * 6 * sizeof(float)];
    struct kernel_table c;
    struct network_plan *plan;
    int32_t scores[16];

    scene->label = label;
    kernel_table_init(&c, 0);
    assert_int_equal(network_plan_create(model, 0, 1, &c, &plan), 0);
    void *arena = aligned_alloc(64, network_plan_arena_bytes(plan));
    assert_non_null(arena);
    for (uint32_t i = 0; i < network_scan_levels(scan); i++) {
        const struct network_scan_level *level = network_scan_level(scan, i);
        const size_t codes = (size_t)level->width * level->height * window.channels;

        scene->codes[i] = guard(codes * gradient_code_size(&graph->point.input.front));
        random_codes(graph, scene->codes[i].bytes, codes);
        scene->margins[i] = malloc(level->columns * level->rows * sizeof(int32_t));
        assert_non_null(scene->margins[i]);
        for (uint32_t k = 0; k < level->columns * level->rows; k++) {
            network_scan_cut(scan, i, scene->codes[i].bytes, k % level->columns, k / level->columns,
                             cut);
            network_run(plan, arena, cut, scores);
            scene->margins[i][k] = expected_margin(scores, labels, label);
        }
    }
    free(arena);
    network_plan_destroy(plan);
}

static void scene_finish(struct scene *scene, uint32_t levels)
{
    for (uint32_t i = 0; i < levels; i++) {
        release(scene->codes[i]);
        free(scene->margins[i]);
    }
}

static bool inside(const struct network_scan_area *area, uint32_t column, uint32_t row)
{
    return column >= area->column && column < area->column + area->columns && row >= area->row &&
           row < area->row + area->rows;
}

/* area NULL: all. */
static void check_run(const struct network_scan *scan, void *arena, uint32_t index,
                      const struct scene *scene, const struct network_scan_area *area,
                      uint64_t seed, uint32_t cpu)
{
    const struct network_scan_level *level = network_scan_level(scan, index);
    const uint32_t windows = level->columns * level->rows;
    struct guarded margins = guard(windows * sizeof(int32_t));
    const int32_t *got = (const int32_t *)(const void *)margins.bytes, untouched = 0x7e7e7e7e;

    memset(margins.bytes, 0x7e, windows * sizeof(int32_t));
    assert_int_equal(network_scan_run(scan, arena, index, scene->codes[index].bytes, area,
                                      (int32_t *)(void *)margins.bytes),
                     0);
    for (uint32_t k = 0; k < windows; k++) {
        const uint32_t x = k % level->columns, y = k / level->columns;
        const bool asked = area == NULL || inside(area, x, y);

        if (got[k] != (asked ? scene->margins[index][k] : untouched)) {
            fail_msg("seed %lu cpu %#x level %u window %u, %u: %d, should be %d",
                     (unsigned long)seed, cpu, index, x, y, got[k],
                     asked ? scene->margins[index][k] : untouched);
        }
    }
    release(margins);
}

static void check_scan(struct network_scan *scan, struct graph *graph, const struct scene *scene,
                       uint64_t seed, uint32_t cpu)
{
    struct guarded arena = guard(network_scan_arena_bytes(scan));

    assert_int_equal((uintptr_t)arena.bytes % 64, 0);
    memset(arena.bytes, 0xa5, network_scan_arena_bytes(scan));
    for (uint32_t i = 0; i < network_scan_levels(scan); i++) {
        const struct network_scan_level *level = network_scan_level(scan, i);

        check_run(scan, arena.bytes, i, scene, NULL, seed, cpu);
        for (int k = 0; k < 3; k++) {
            struct network_scan_area area = {
                .column = graph_range(graph, 0, level->columns - 1),
                .row = graph_range(graph, 0, level->rows - 1),
            };
            area.columns = k == 0 ? 1 : graph_range(graph, 1, level->columns - area.column);
            area.rows = k == 1 ? 1 : graph_range(graph, 1, level->rows - area.row);
            check_run(scan, arena.bytes, i, scene, &area, seed, cpu);
        }
    }
    release(arena);
}

/* Other weights for the layer that became the convolution over the map, and back. */
static void check_swap(struct network_scan *scan, struct graph *graph,
                       const struct network_model *model, const struct scene *scene, uint64_t seed,
                       uint32_t cpu)
{
    const uint32_t layer = graph->point.layer_count - 1;
    struct network_plan *plan = network_scan_plan(scan);
    struct network_layer values = graph->layers[layer];
    void *arena = aligned_alloc(64, network_scan_arena_bytes(scan));
    void *group = aligned_alloc(64, network_plan_group_bytes(plan, layer));
    struct kernel_table c;
    struct network_plan *window;
    _Alignas(float) uint8_t cut[11 * 11 * 6 * sizeof(float)];
    int32_t scores[16], *margins = malloc(network_scan_level(scan, 0)->columns *
                                          network_scan_level(scan, 0)->rows * sizeof *margins);

    assert_non_null(arena);
    assert_non_null(group);
    assert_non_null(margins);
    graph_refill(graph, &values);
    if (network_plan_pack(plan, layer, &values, group) == 0) {
        kernel_table_init(&c, 0);
        assert_int_equal(network_plan_create(model, 0, 1, &c, &window), 0);
        void *own = aligned_alloc(64, network_plan_arena_bytes(window));
        void *other = aligned_alloc(64, network_plan_group_bytes(window, layer));
        assert_non_null(own);
        assert_non_null(other);
        assert_int_equal(network_plan_pack(window, layer, &values, other), 0);
        assert_int_equal(network_plan_use(window, layer, other), 0);
        assert_int_equal(network_plan_use(plan, layer, group), 0);
        assert_int_equal(network_scan_run(scan, arena, 0, scene->codes[0].bytes, NULL, margins), 0);
        network_scan_cut(scan, 0, scene->codes[0].bytes, 0, 0, cut);
        network_run(window, own, cut, scores);
        assert_int_equal(margins[0],
                         expected_margin(scores, graph->description.label_count, scene->label));
        assert_int_equal(network_plan_use(plan, layer, NULL), 0);
        free(own);
        free(other);
        network_plan_destroy(window);
    }
    check_run(scan, arena, 0, scene, NULL, seed, cpu);
    free(arena);
    free(group);
    free(margins);
}

struct tally {
    uint32_t scans, levels, bits, conv, pools, hidden, log, wide, strided, real;
};

static void count_layers(const struct graph *graph, const struct network_scan *scan,
                         const struct network_plan *plan, struct tally *tally)
{
    for (uint32_t i = 0; i < network_plan_steps(plan); i++) {
        struct network_step step;

        network_plan_step(plan, i, &step);
        tally->bits += strcmp(step.kernel, "bits") == 0;
        tally->conv += strcmp(step.kernel, "conv") == 0;
        tally->real += strncmp(step.kernel, "float", 5) == 0;
        tally->wide += strcmp(step.kernel, "log") == 0;
        tally->pools += strcmp(step.kernel, "pool") == 0 || step.first != step.last;
    }
    for (uint32_t i = 0; i + 1 < graph->point.layer_count; i++) {
        tally->hidden += graph->layers[i].op == NETWORK_OP_DENSE;
        tally->log += graph->layers[i].weights == NETWORK_WEIGHTS_LOG;
    }
    tally->scans++;
    tally->levels += network_scan_levels(scan);
}

static void compare(uint64_t seed, uint32_t floats, const struct kernel_table *tables,
                    size_t table_count, struct tally *tally)
{
    struct network_scan_settings settings = {.factor = 1147, .overlap = 128, .boxes_max = 8};
    struct scene scene;
    struct graph graph;
    uint32_t step, levels = 0;

    graph_create_chain(&graph, seed, floats);
    struct network_model *model = model_of(&graph.description);
    if (network_scan_check(model, 0, &step, NULL) < 0) {
        goto out;
    }
    const uint32_t width = graph.point.input.target.width;
    const uint32_t height = graph.point.input.target.height;
    const uint32_t frame_width = width + graph_range(&graph, 0, 16);
    const uint32_t frame_height = height + graph_range(&graph, 0, 16);

    settings.label = graph_range(&graph, 0, graph.description.label_count - 1);
    settings.object_min = height + graph_range(&graph, 0, 1);
    settings.factor = graph_range(&graph, 1100, 1800);
    settings.stride = step * graph_range(&graph, 0, 2);
    tally->strided += settings.stride == 2 * step;
    for (size_t i = 0; i < table_count; i++) {
        struct network_scan *scan;

        assert_int_equal(
            network_scan_create(model, &settings, frame_width, frame_height, &tables[i], &scan), 0);
        if (i == 0) {
            levels = network_scan_levels(scan);
            scene_init(&scene, &graph, model, scan, settings.label);
        }
        if (levels > 0) {
            check_scan(scan, &graph, &scene, seed, tables[i].cpu);
            check_swap(scan, &graph, model, &scene, seed, tables[i].cpu);
            count_layers(&graph, scan, network_scan_plan(scan), tally);
        }
        network_scan_destroy(scan);
    }
    scene_finish(&scene, levels);
out:
    network_model_destroy(model);
    graph_destroy(&graph);
}

static void test_windows_are_equal(void **state)
{
    struct kernel_table tables[24];
    const size_t table_count = make_tables(tables);
    struct tally tally = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= 80; seed++) {
        compare(seed, 0, tables, table_count, &tally);
    }
    print_message(
        "%u scans, %u levels: %u conv, %u bits, %u pools, %u hidden dense, %u log, %u wide, "
        "%u strided\n",
        tally.scans, tally.levels, tally.conv, tally.bits, tally.pools, tally.hidden, tally.log,
        tally.wide, tally.strided);
    assert_true(tally.scans > 40 * table_count && tally.levels > 2 * tally.scans);
    assert_true(tally.conv > 100 && tally.bits > 100 && tally.pools > 50 && tally.hidden > 20);
    assert_true(tally.log > 20 && tally.wide > 100 && tally.strided > 10);
}

static void test_float_windows_are_equal(void **state)
{
    struct kernel_table tables[24];
    struct tally tally = {0};

    make_tables(tables);
    (void)state;
    for (uint64_t seed = 500; seed <= 530; seed++) {
        compare(seed, 10, tables, 1, &tally);
    }
    assert_true(tally.real > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_are_equal),
        cmocka_unit_test(test_float_windows_are_equal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
