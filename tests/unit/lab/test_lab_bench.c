/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What ocellus-lab bench prints, and the networks that it generates; not how fast they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "engine/kernel/kernel.h"
#include "engine/lab/lab.h"
#include "engine/lab/model.h"
#include "engine/lab/options.h"
#include "engine/lab/topology.h"
#include "engine/network/plan.h"

/* Standard output of one lab_bench, in `text`. */
static int bench(const struct lab_args *args, char *text, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    assert_true(kept >= 0 && dup2(fileno(file), STDOUT_FILENO) >= 0);
    int status = lab_bench(args);
    fflush(stdout);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    close(kept);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
    return status;
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsNumber(item));
    assert_true(item->valuedouble >= 0);
    return item->valuedouble;
}

static void check_text(const cJSON *object, const char *key, const char *expected)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsString(item));
    assert_string_equal(item->valuestring, expected);
}

static void check_layers(const cJSON *root)
{
    static const char *const names[] = {"conv1", "conv3", "conv5", "dense"};
    static const char *const ops[] = {"conv+maxpool", "conv+maxpool", "conv+maxpool", "conv"};
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(root, "layers");
    assert_int_equal(cJSON_GetArraySize(layers), 4);
    for (int i = 0; i < 4; i++) {
        const cJSON *layer = cJSON_GetArrayItem(layers, i);
        check_text(layer, "name", names[i]);
        check_text(layer, "kernel", ops[i]);
        assert_true(number(layer, "us") > 0);
    }
}

static void test_prints_one_object_a_line(void **state)
{
    (void)state;
    struct lab_args args = {.operands = {"lg3-32-64-128", "small-32-64-64"}};
    char text[8192];
    args.values[LAB_OPTION_JSON] = "";
    args.values[LAB_OPTION_RUNS] = "5";
    args.values[LAB_OPTION_CPU_MASK] = "c";
    assert_int_equal(bench(&args, text, sizeof(text)), LAB_EXIT_OK);

    char *end = strchr(text, '\n');
    assert_non_null(end);
    cJSON *root = cJSON_ParseWithLength(text, (size_t)(end - text));
    assert_non_null(root);
    check_text(root, "net", "lg3-32-64-128");
    check_text(root, "mask", "c");
    assert_true(number(root, "cpu") == 0);
    assert_true(number(root, "runs") == 5);
    assert_true(number(root, "macs") == 1769472 + 2 * 4718592 + 20480);
    assert_true(number(root, "p99_us") >= number(root, "median_us"));
    assert_true(number(root, "median_us") >= number(root, "min_us"));
    assert_true(number(root, "frames_per_s") * number(root, "median_us") > 0.99e6);
    assert_true(number(root, "gops") > 0);
    assert_true(number(root, "arena_bytes") >= 34 * 34 * 6 + 18 * 18 * 32);
    assert_true(number(root, "packed_bytes") >= 54 * 32 + 288 * 64 + 576 * 128 + 20480);
    assert_true(number(root, "load_us") > 0);
    check_layers(root);
    cJSON_Delete(root);

    root = cJSON_Parse(end + 1);
    assert_non_null(root);
    check_text(root, "net", "small-32-64-64");
    assert_true(number(root, "macs") == 884736 + 4718592 + 2359296 + 640);
    cJSON_Delete(root);
}

static void test_refuses_what_is_no_model(void **state)
{
    (void)state;
    static const struct lab_command command = {.name = "bench"};
    struct lab_args args = {.command = &command, .operands = {"no-such-network"}};
    char text[1024];
    assert_int_equal(bench(&args, text, sizeof(text)), LAB_EXIT_FAILED);
    args.operands[0] = SOURCE_ROOT "/meson.build";
    assert_int_equal(bench(&args, text, sizeof(text)), LAB_EXIT_FAILED);
    args.values[LAB_OPTION_RUNS] = "0";
    assert_int_equal(bench(&args, text, sizeof(text)), LAB_EXIT_USAGE);
}

static uint64_t macs_of(const char *name)
{
    struct kernel_table kernels;
    struct lab_model model;
    uint8_t *bytes;
    size_t size;
    kernel_table_init(&kernels, 0);
    assert_int_equal(lab_topology_write(name, &bytes, &size), 0);
    assert_int_equal(lab_model_open_bytes(&model, name, bytes, size, &kernels), 0);
    uint64_t macs = network_plan_macs(model.plan);
    lab_model_close(&model);
    free(bytes);
    return macs;
}

static void test_generates_every_topology(void **state)
{
    (void)state;
    uint8_t *bytes = NULL;
    size_t size;
    for (size_t i = 0; lab_topology_name(i); i++) {
        assert_true(macs_of(lab_topology_name(i)) > 1000000);
    }
    /* conv1, then pixels of the maps times 256 * 1024 taps, then the dense layer */
    assert_int_equal(macs_of("net-b"),
                     961u * 12 * 256 + (900u + 196 + 169 + 25 + 16 + 9 + 4) * 256 * 1024 + 2560);
    assert_true(lab_topology_write("net-x", &bytes, &size) < 0);
    assert_null(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prints_one_object_a_line),
        cmocka_unit_test(test_refuses_what_is_no_model),
        cmocka_unit_test(test_generates_every_topology),
    };
    return cmocka_run_group_tests_name("lab_bench", tests, NULL, NULL);
}
