/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Charts: what the script says, what gnuplot draws by it, and what happens without gnuplot. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/lab/file.h"
#include "engine/lab/plot.h"

static char root[64];

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    return path;
}

static char *text_of(const char *name)
{
    uint8_t *bytes;
    size_t size;
    assert_int_equal(lab_file_read(path_of(name), 1 << 20, &bytes, &size), 0);
    char *text = strndup((const char *)bytes, size);
    free(bytes);
    return text;
}

static uint32_t count_of(const char *text, const char *part)
{
    uint32_t count = 0;
    while ((text = strstr(text, part)) != NULL) {
        text += strlen(part);
        count++;
    }
    return count;
}

static const struct lab_series series[] = {
    {"it's.csv", "exposure", "log_gradient", "log-gradient", false},
    {"it's.csv", "exposure", "srgb", "`touch made` it's _sRGB_", true},
};
static const struct lab_plot plot = {
    "Accuracy", {"exposure", LAB_AXIS_LOG2}, {"right, %", LAB_AXIS_LINEAR}, series, 2};

static int setup(void **state)
{
    static const char csv[] = "exposure,log_gradient,srgb\n0.25,70,50\n0.5,75,\n1,80,82\n2,79,75\n";
    (void)state;
    snprintf(root, sizeof(root), "/tmp/test_lab_plot.XXXXXX");
    return mkdtemp(root) ? lab_file_write(path_of("it's.csv"), csv, sizeof(csv) - 1) : -1;
}

static int teardown(void **state)
{
    static const char *const names[] = {"it's.csv", "chart.gp", "chart.svg", "made"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlink(path_of(names[i]));
    }
    return rmdir(root);
}

static void test_script_quotes_all_text(void **state)
{
    (void)state;
    assert_int_equal(lab_plot_draw(&plot, root, "chart"), 0);
    char *script = text_of("chart.gp");
    assert_non_null(strstr(script, "set output 'chart.svg'"));
    assert_non_null(strstr(script, "'it''s.csv' using (column('exposure')):(column('srgb'))"));
    assert_non_null(strstr(script, "title '`touch made` it''s _sRGB_'"));
    assert_non_null(strstr(script, "set logscale x 2"));
    assert_null(strstr(script, "set logscale y"));
    free(script);
}

static void test_gnuplot_draws_both_series(void **state)
{
    (void)state;
    if (system("command -v gnuplot >/dev/null") != 0) {
        print_message("gnuplot is not installed\n");
        skip();
    }
    unlink(path_of("chart.svg"));
    assert_int_equal(lab_plot_draw(&plot, root, "chart"), 0);
    char *svg = text_of("chart.svg");
    assert_int_equal(access(path_of("made"), F_OK), -1);
    assert_non_null(strstr(svg, "log-gradient"));
    assert_non_null(strstr(svg, "`touch made` it's _sRGB_"));
    assert_non_null(strstr(svg, ">1/4<"));
    /* 4 + 3 points, one of each in the key. */
    assert_int_equal(count_of(svg, "xlink:href='#gpPt6'"), 9);
    free(svg);
}

static void test_missing_gnuplot_leaves_the_script(void **state)
{
    (void)state;
    char *before = strdup(getenv("PATH"));
    unlink(path_of("chart.gp"));
    unlink(path_of("chart.svg"));
    setenv("PATH", "/nowhere", 1);
    int r = lab_plot_draw(&plot, root, "chart");
    setenv("PATH", before, 1);
    free(before);
    assert_int_equal(r, 0);
    assert_int_equal(access(path_of("chart.gp"), F_OK), 0);
    assert_int_equal(access(path_of("chart.svg"), F_OK), -1);
}

static void test_errors(void **state)
{
    (void)state;
    struct lab_series other = series[0];
    struct lab_plot bad = plot;
    bad.title = "two\nlines";
    assert_int_equal(lab_plot_draw(&bad, root, "chart"), -EINVAL);
    bad = plot;
    bad.series_count = 0;
    assert_int_equal(lab_plot_draw(&bad, root, "chart"), -EINVAL);
    assert_int_equal(lab_plot_draw(&plot, root, "../chart"), -EINVAL);
    assert_int_equal(lab_plot_draw(&plot, "/nowhere", "chart"), -ENOENT);
    if (system("command -v gnuplot >/dev/null") == 0) {
        other.csv = "none.csv";
        bad = plot;
        bad.series = &other;
        bad.series_count = 1;
        assert_int_equal(lab_plot_draw(&bad, root, "chart"), -EIO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_script_quotes_all_text),
        cmocka_unit_test(test_gnuplot_draws_both_series),
        cmocka_unit_test(test_missing_gnuplot_leaves_the_script),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
