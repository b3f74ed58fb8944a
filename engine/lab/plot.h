/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Charts of columns of CSV files, drawn as SVG by gnuplot. Measures nothing.
 */
#ifndef OCELLUS_ENGINE_LAB_PLOT_H
#define OCELLUS_ENGINE_LAB_PLOT_H

#include <stdbool.h>
#include <stdint.h>

enum lab_axis_scale {
    LAB_AXIS_LINEAR = 0,
    LAB_AXIS_LOG2, /* marked at powers of two, 1/4, 1/2, 1, 2, 4 and so on */
    LAB_AXIS_LOG10,
};

struct lab_axis {
    const char *label;
    uint8_t scale; /* enum lab_axis_scale */
};

/* A column over another one of the same file. Rows where either is no number are passed over. */
struct lab_series {
    const char *csv;   /* a file with a line of column names, in the chart's folder; no path */
    const char *x, *y; /* names of columns */
    const char *title;
    bool points; /* points alone instead of points joined by lines */
};

struct lab_plot {
    const char *title;
    struct lab_axis x, y;
    const struct lab_series *series;
    uint32_t series_count; /* 1 or more */
};

/*
 * Writes DIRECTORY/NAME.gp, a script, and runs gnuplot in DIRECTORY to draw NAME.svg by it. Strings
 * are text without control characters. Without gnuplot the script stays, standard error says so
 * and 0 is returned: a chart is no reason for a long job to fail. Errors (told on standard error):
 * -EINVAL (a string that cannot be written), -EIO (gnuplot failed), -ENOMEM, the system's.
 */
int lab_plot_draw(const struct lab_plot *plot, const char *directory, const char *name);

#endif
