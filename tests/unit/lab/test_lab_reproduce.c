/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab reproduce log-gradient: its verdicts follow the figures, choices follow the study,
 * and a run that was killed goes on to the same report.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/light.h"
#include "engine/lab/options.h"
#include "tests/unit/lab/folder.h"

#define PICTURES 10u /* of a class */
#define SEEDS    3u

static int make_pictures(void **state)
{
    (void)state;
    return make_trees(PICTURES);
}

/* ---- verdicts ---- */

static void fill(struct lab_light_curve *curve, uint32_t nominal, uint32_t lost_dark,
                 uint32_t lost_bright)
{
    curve->pictures = 1000;
    curve->decoded = nominal;
    for (uint32_t s = 0; s < LAB_LIGHT_SENSORS; s++) {
        for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
            curve->right[s][e] = nominal - (e < LAB_LIGHT_NOMINAL   ? lost_dark
                                            : e > LAB_LIGHT_NOMINAL ? lost_bright
                                                                    : 0);
        }
    }
}

/* Results on which every claim holds. */
static void fill_all(struct lab_light *light)
{
    memset(light, 0, sizeof(*light));
    light->seeds = SEEDS;
    for (uint32_t f = 0; f < LAB_LIGHT_FLOORS; f++) {
        fill(&light->floors[f], 600 + f, 0, 0);
    }
    for (uint32_t r = 0; r < LAB_LIGHT_RATIOS; r++) {
        fill(&light->ratios[r], 590, 0, 0);
    }
    for (uint32_t s = 0; s < SEEDS; s++) {
        fill(&light->inputs[LAB_LIGHT_SRGB][s], 800 + s, 300, 200);
        fill(&light->inputs[LAB_LIGHT_FLOAT][s], 790 + s, 15, 5);
        fill(&light->inputs[LAB_LIGHT_SEVEN][s], 790 + s, 15, 5);
        fill(&light->inputs[LAB_LIGHT_TERNARY][s], 785 + s, 16, 5);
        for (uint32_t i = 0; i < LAB_LIGHT_STEPS; i++) {
            light->pruned[0][s].pictures = light->pruned[1][s].pictures = 1000;
            light->pruned[0][s].right[i] = 800 - 30 * i;
            light->pruned[1][s].right[i] = 780 - 20 * i;
            light->pruned[0][s].similarity[i] = 0.2;
            light->pruned[1][s].similarity[i] = 0.3;
        }
    }
}

static char *verdicts(struct lab_light *light)
{
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    assert_non_null(text);
    lab_light_print_verdicts(light, text);
    assert_int_equal(fclose(text), 0);
    return bytes;
}

static void expect(struct lab_light *light, unsigned held, unsigned missed, unsigned unknown)
{
    char *text = verdicts(light);
    print_message("%s\n", text);
    assert_int_equal(count_words(text, "**held**"), held);
    assert_int_equal(count_words(text, "**missed**"), missed);
    assert_int_equal(count_words(text, "not known yet"), unknown);
    free(text);
}

static void test_verdicts_follow_the_figures(void **state)
{
    (void)state;
    struct lab_light *light = malloc(sizeof(*light));
    assert_non_null(light);
    fill_all(light);
    expect(light, 7, 0, 0);
    for (uint32_t s = 0; s < SEEDS; s++) {
        light->inputs[LAB_LIGHT_TERNARY][s].right[LAB_LIGHT_16][0] -= 2; /* 1.8 points, at 1/32 */
    }
    expect(light, 6, 1, 0);
    light->inputs[LAB_LIGHT_SRGB][0].right[LAB_LIGHT_NOISE][3] = 1000; /* one exposure, 1/4 */
    light->inputs[LAB_LIGHT_SRGB][1].right[LAB_LIGHT_NOISE][3] = 1000;
    expect(light, 5, 2, 0);
    light->pruned[1][0].right[3] -= 200;
    light->pruned[1][1].similarity[0] = 0.0;
    light->pruned[1][2].similarity[0] = 0.0;
    expect(light, 3, 4, 0);
    light->inputs[LAB_LIGHT_SRGB][2].pictures = 0; /* a seed is missing */
    expect(light, 1, 3, 3);
    memset(light->inputs, 0, sizeof(light->inputs));
    memset(light->pruned, 0, sizeof(light->pruned));
    expect(light, 0, 0, 7);
    free(light);
}

static void test_choices_follow_the_study(void **state)
{
    (void)state;
    struct lab_light *light = malloc(sizeof(*light));
    struct lab_light_choice choice;
    struct lab_light_job job;
    assert_non_null(light);
    fill_all(light);
    assert_true(lab_light_choose(light, LAB_LIGHT_16, &choice));
    assert_int_equal(choice.floor, 128);
    assert_int_equal(choice.ratio.p, 9);
    assert_false(lab_light_input_job(light, LAB_LIGHT_NOISY, 0, &job)); /* nothing of its own */

    light->ratios[3].right[LAB_LIGHT_NOISE][0] += 200; /* 3/2 suits noise */
    assert_true(lab_light_choose(light, LAB_LIGHT_NOISE, &choice));
    assert_int_equal(choice.ratio.p, 3);
    assert_true(lab_light_input_job(light, LAB_LIGHT_NOISY, 1, &job));
    assert_string_equal(job.name, "noisy-2");
    assert_int_equal(job.choice.ratio.p, 3);
    assert_true(lab_light_input_job(light, LAB_LIGHT_TERNARY, 1, &job));
    assert_int_equal(job.choice.ratio.p, 9);

    light->ratios[3].pictures = 0;
    assert_false(lab_light_choose(light, LAB_LIGHT_16, &choice));
    assert_false(lab_light_input_job(light, LAB_LIGHT_TERNARY, 0, &job));
    assert_true(lab_light_input_job(light, LAB_LIGHT_SRGB, 0, &job));
    free(light);
}

/* ---- whole runs ---- */

static int reproduce(const char *out, const char *seeds, const char *epochs)
{
    static const struct lab_command command = {.name = "reproduce"};
    struct lab_args args = {.command = &command, .operands = {"log-gradient"}};
    args.values[LAB_OPTION_DATA] = at("train");
    args.values[LAB_OPTION_TEST] = at("test");
    args.values[LAB_OPTION_OUT] = at(out);
    args.values[LAB_OPTION_EPOCHS] = epochs;
    args.values[LAB_OPTION_SEEDS] = seeds;
    args.values[LAB_OPTION_LIMIT] = "4";
    args.values[LAB_OPTION_THREADS] = "2";
    return lab_reproduce(&args);
}

static char *read_text(const char *path)
{
    uint8_t *bytes;
    size_t size;
    assert_int_equal(lab_file_read(path, 1 << 20, &bytes, &size), 0);
    char *text = strndup((char *)bytes, size);
    assert_non_null(text);
    free(bytes);
    return text;
}

static void assert_same_text(const char *a, const char *b)
{
    char *first = read_text(a), *second = read_text(b);
    assert_string_equal(first, second);
    free(first);
    free(second);
}

static void run_and_kill(const char *out, const char *until)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(reproduce(out, "1", "1"));
    }
    while (access(until, F_OK) != 0) {
        assert_int_equal(waitpid(child, NULL, WNOHANG), 0); /* it still runs */
        usleep(500);
    }
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void test_killed_run_goes_on_to_the_same_report(void **state)
{
    (void)state;
    struct stat before, after;
    assert_int_equal(reproduce("a", "1", "1"), LAB_EXIT_OK);
    char *text = read_text(at("a/report.md"));
    assert_null(strstr(text, "Not complete"));
    assert_null(strstr(text, "not known yet"));
    assert_non_null(strstr(text, "**missed**")); /* nobody learns from ten pictures */
    free(text);

    run_and_kill("b", at("b/srgb-1.csv"));
    assert_int_not_equal(access(at("b/pruned-ternary-1.csv"), F_OK), 0);
    text = read_text(at("b/report.md"));
    assert_non_null(strstr(text, "Not complete"));
    assert_non_null(strstr(text, "not known yet"));
    free(text);
    assert_int_equal(stat(at("b/srgb-1.safetensors"), &before), 0);
    assert_int_equal(reproduce("b", "1", "1"), LAB_EXIT_OK);
    assert_int_equal(stat(at("b/srgb-1.safetensors"), &after), 0);
    assert_true(before.st_ino == after.st_ino); /* not trained again */
    assert_same_text(at("a/report.md"), at("b/report.md"));
    assert_same_text(at("a/filters.csv"), at("b/filters.csv"));
    assert_same_text(at("a/study.csv"), at("b/study.csv"));
}

static void test_runs_are_not_mixed(void **state)
{
    (void)state;
    assert_int_equal(reproduce("a", "1", "2"), LAB_EXIT_FAILED);
    assert_same_text(at("a/report.md"), at("b/report.md"));
}

static void test_changed_results_are_refused(void **state)
{
    (void)state;
    char *text = read_text(at("b/srgb-1.csv"));
    text[strlen(text) - 2] = '9'; /* of 4 pictures */
    assert_int_equal(lab_file_write(at("b/srgb-1.csv"), text, strlen(text)), 0);
    free(text);
    assert_int_equal(reproduce("b", "1", "1"), LAB_EXIT_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts_follow_the_figures),
        cmocka_unit_test(test_choices_follow_the_study),
        cmocka_unit_test(test_killed_run_goes_on_to_the_same_report),
        cmocka_unit_test(test_runs_are_not_mixed),
        cmocka_unit_test(test_changed_results_are_refused),
    };
    return cmocka_run_group_tests(tests, make_pictures, remove_root);
}
