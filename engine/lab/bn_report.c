/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The batch norm experiments as Markdown and charts; says of every training whether it has run. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/bn_study.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/plot.h"
#include "engine/lab/study.h"

#define TRACE_MAX ((size_t)1 << 20)
#define FIELDS    (3 + 4 * LAB_BN_LAYERS) /* of a trace's row */

static const char *const set_names[LAB_BN_SETS] = {"plain", "spread"};

/* ---- the linear parts ---- */

static void put_head(FILE *text, const struct lab_bn_study *study)
{
    fprintf(
        text,
        "# Batch normalisation as an adaptive filter (%s)\n\n"
        "What `ocellus-lab reproduce batchnorm` found, after Elaina Chai, Mert Pilanci and Boris "
        "Murmann, *Separating the Effects of\nBatch Normalization on CNN Training Speed and "
        "Stability Using Classical Adaptive Filter Theory* (2002.10674): a layer's\nweights learn "
        "along the eigenvectors of its input's autocorrelation, at speeds that its small "
        "eigenvalues limit and up to\nrates that its largest one limits. Batch norm raises the "
        "former where a channel's deviation is below 1, lowers the latter\nwhere it is above. "
        "`amplify` does the one alone, dividing by min(deviation, 1), `suppress` the other, by "
        "max(deviation, 1);\n`center`, our control, takes the mean away as all of them do and "
        "divides by nothing; `nlms` divides the steps of weights by\nthe power of what they read "
        "and leaves the network alone (NORMS in `engine/train/train.h`).\n\n"
        "That division is ours: the paper's own networks and figures were not at hand, its "
        "abstract's claims are what is tested.\n\n",
        study->sizes.title);
}

static void put_figure(FILE *text, uint32_t index, double value)
{
    if (isinf(value)) {
        fputs("diverges", text);
    } else if (index >= LAB_BN_TOY_FIRST_RATE && value > LAB_BN_TOY_STEPS) {
        fprintf(text, ">%u", LAB_BN_TOY_STEPS);
    } else if (index >= LAB_BN_TOY_FIRST_RATE || index == LAB_BN_TOY_SPREAD) {
        fprintf(text, "%.0f", value);
    } else {
        fprintf(text, "%.3g", value);
    }
}

static void put_toy(FILE *text, const struct lab_bn_toy *toy)
{
    fprintf(text,
            "## The linear toy\n\nEight channels with deviations from 0.1 to 3.16, four taps each, "
            "512 samples, full-batch LMS (`bn_toy.h`): medians of %u draws,\nin brackets the "
            "reference, one earlier draw whose random numbers were not kept. A figure passes where "
            "the reference lies\nwithin the range of the draws and within a factor %g of their "
            "median. Steps until the error is a hundredth.\n\n"
            "| variant | least eigenvalue | largest | ratio | 2 / largest |",
            toy->draws, LAB_BN_TOY_FACTOR);
    for (uint32_t i = 0; i < LAB_BN_TOY_RATES; i++) {
        fprintf(text, " steps at %g |", lab_bn_toy_rates[i]);
    }
    fputs(" |\n|---|---|---|---|---|---|---|---|---|---|\n", text);
    for (uint32_t v = 0; v < LAB_BN_TOY_VARIANTS; v++) {
        uint32_t agree = 0;
        fprintf(text, "| %s |", lab_bn_toy_name(v));
        for (uint32_t f = 0; f < LAB_BN_TOY_FIGURES; f++) {
            const struct lab_bn_toy_figure *figure = &toy->figures[v][f];
            fputs(" ", text);
            put_figure(text, f, figure->median);
            fputs(" (", text);
            put_figure(text, f, figure->reference);
            fprintf(text, ")%s |", figure->agrees ? "" : " **no**");
            agree += figure->agrees;
        }
        fprintf(text, " %s |\n", agree == LAB_BN_TOY_FIGURES ? "pass" : "FAIL");
    }
    fprintf(text,
            "\n%u of %u figures pass. At 0.98 of 2 / largest the filter stays and at 1.02 it "
            "diverges in %u of %u cases.\n\n",
            toy->agree, LAB_BN_TOY_VARIANTS * LAB_BN_TOY_FIGURES, toy->bracketed,
            toy->draws * LAB_BN_TOY_VARIANTS);
}

static void put_first(FILE *text, const struct lab_bn_first *first)
{
    fprintf(
        text,
        "## The first step\n\nA layer that reads a batch norm against the same function without "
        "one, learning by NLMS. Conditions: gamma 1 and beta 0,\nboth held; channels of zero mean; "
        "the deviation a constant; the same epsilon and rate. Length of the difference over that "
        "of\nNLMS's step:\n\n"
        "| | difference |\n|---|---|\n| first step, by the formulas | %.2g |\n| first step, in the "
        "trainer (single precision) | %.2g |\n| second step, gamma and beta learning along | %.2g "
        "|\n| tenth | %.2g |\n| first step, channels with a mean of one deviation | %.2g |\n\n"
        "%s: at most %g is wanted of the first two. The last three show where the identity "
        "ends.\n\n",
        first->exact, first->trained, first->second, first->tenth, first->with_mean,
        first->exact <= LAB_BN_FIRST_MAX && first->trained <= LAB_BN_FIRST_MAX ? "Hit" : "Missed",
        LAB_BN_FIRST_MAX);
}

/* ---- the network ---- */

static void put_network(FILE *text, const struct lab_bn_sizes *sizes)
{
    fprintf(text,
            "## The network\n\nThree 3x3 convolutions of 8, 16 and 16 channels, each with norm "
            "and ReLU, the first two with 2x2 max pool, and a dense layer,\non MNIST's digits at "
            "14x14 in batches of %u: SGD without momentum at one rate, %u steps, %u seed%s. Norms "
            "of one seed start from the "
            "same weights and see\nthe same digits in the same order. *Plain*: first weights as "
            "drawn (He). *Spread*: those of a convolution's channels times 0.1 to\n3.16, so that "
            "each layer has quiet and loud channels, as the toy has. A training diverges when a "
            "loss is no number or %g times the\nfirst; it is stuck when it ends above %g (guessing "
            "is 2.30).\n\n",
            LAB_BN_BATCH, sizes->steps, sizes->seeds, sizes->seeds > 1 ? "s" : "", LAB_BN_DIVERGED,
            LAB_BN_STUCK);
}

static void put_group(FILE *text, const struct lab_bn_sizes *sizes, const struct lab_bn_group *g)
{
    if (g->ran == 0) {
        fputs(" - |", text);
    } else if (g->diverged == g->ran) {
        fprintf(text, " diverges at %.0f |", g->diverged_at);
    } else if (g->diverged > 0) {
        fprintf(text, " %u of %u diverge at %.0f |", g->diverged, g->ran, g->diverged_at);
    } else if (g->stuck > 0) {
        fprintf(text, " %u of %u stuck |", g->stuck, g->ran);
    } else if (g->reached == g->ran) {
        fprintf(text, " %.0f |", g->steps);
    } else {
        fprintf(text, " >%.0f (%u of %u), %.2f |", g->steps, g->reached, sizes->seeds, g->last);
    }
}

static void put_map(FILE *text, const struct lab_bn_study *study, uint32_t set)
{
    fprintf(text,
            "### Steps to a loss of %g, %s weights\n\nMean over seeds of the first step at which "
            "the last %u batches have a mean loss of %g; where some seed did not get there, a "
            "bound\nfrom below, how many did, and the mean loss at the end.\n\n| rate |",
            LAB_BN_TARGET, set_names[set], LAB_BN_WINDOW, LAB_BN_TARGET);
    for (uint32_t n = 0; n < LAB_BN_NORMS; n++) {
        fprintf(text, " %s |", lab_bn_norm_name((uint8_t)n));
    }
    fputs("\n|---|---|---|---|---|---|---|\n", text);
    for (uint32_t rate = 0; rate < study->sizes.rate_count; rate++) {
        fprintf(text, "| %g |", study->sizes.rates[rate]);
        for (uint32_t n = 0; n < LAB_BN_NORMS; n++) {
            struct lab_bn_group g;
            lab_bn_study_group(study, set, n, rate, &g);
            put_group(text, &study->sizes, &g);
        }
        fputs("\n", text);
    }
    fputs("\n", text);
}

static void put_claims(FILE *text, const struct lab_bn_study *study, uint32_t set)
{
    struct lab_bn_claim claim;
    fprintf(text,
            "### Claims, %s weights\n\n"
            "Speed is told at the lowest rate at which one of the two reaches the target with "
            "every seed: below, both are cut off.\n\n"
            "| claim | | figures |\n|---|---|---|\n",
            set_names[set]);
    for (uint32_t i = 0; lab_bn_study_claim(study, set, i, &claim); i++) {
        fprintf(text, "| %s | %s | %s |\n", claim.text,
                !claim.known ? "has not run"
                : claim.hit  ? "hit"
                             : "**missed**",
                claim.figures);
    }
    fputs("\n", text);
}

/* ---- traces ---- */

static struct lab_bn_cell traced_cell(const struct lab_bn_study *study, uint32_t norm,
                                      uint32_t which)
{
    return lab_bn_study_cell(study, 1, norm, study->sizes.traced[which], 0);
}

/* The first and last row of a trace. Errors: -ENOENT  there is none. */
static int read_trace(const struct lab_bn_study *study, uint32_t norm, uint32_t which,
                      double first[FIELDS], double last[FIELDS])
{
    const struct lab_bn_cell cell = traced_cell(study, norm, which);
    char path[4096], name[LAB_BN_NAME];
    uint8_t *bytes;
    size_t size;
    uint32_t rows = 0;
    lab_bn_cell_name(&cell, name);
    snprintf(path, sizeof(path), "%s/trace-%s.csv", study->directory, name);
    int r = lab_file_read(path, TRACE_MAX, &bytes, &size);
    if (r < 0) {
        return r;
    }
    FILE *text = fmemopen(bytes, size > 0 ? size : 1, "r");
    char *line = NULL;
    size_t room = 0;
    while (text && getline(&line, &room, text) > 0) {
        const char *at = line;
        double row[FIELDS] = {0};
        for (uint32_t i = 0; i < FIELDS && at; i++) {
            row[i] = strtod(at, NULL);
            at = strchr(at, ',');
            at += at != NULL;
        }
        if (line[0] >= '0' && line[0] <= '9') {
            memcpy(last, row, sizeof(row));
            memcpy(first, rows++ == 0 ? row : first, sizeof(row));
        }
    }
    free(line);
    if (text) {
        fclose(text);
    }
    free(bytes);
    return rows > 0 ? 0 : -ENOENT;
}

/* The smallest 2 / largest of the layers in a row of a trace. */
static double least_bound(const double *row)
{
    double bound = INFINITY;
    for (uint32_t layer = 0; layer < LAB_BN_LAYERS; layer++) {
        bound = fmin(bound, row[3 + 4 * layer + 1]);
    }
    return bound;
}

static void put_bounds(FILE *text, const struct lab_bn_study *study)
{
    fprintf(text,
            "## Eigenvalues, spread weights, seed 1\n\nSmallest over the layers of 2 / largest "
            "eigenvalue of the input's autocorrelation, before the first step and at the end of\n"
            "the training at rate %g, beside what was seen. The bound is that of a linear layer "
            "with squared error: it orders the norms,\nand is no prediction of the rate at which a "
            "network diverges. Of `nlms` the bound in force is another one, since its steps\nare "
            "divided.\n\n| norm | bound, first | last | trains up to | without divergence up to "
            "|\n|---|---|---|---|---|\n",
            study->sizes.rates[study->sizes.traced[0]]);
    for (uint32_t n = 0; n < LAB_BN_NORMS; n++) {
        double first[FIELDS], last[FIELDS];
        if (read_trace(study, n, 0, first, last) == 0) {
            fprintf(text, "| %s | %.3g | %.3g | %g | %g |\n", lab_bn_norm_name((uint8_t)n),
                    least_bound(first), least_bound(last), lab_bn_study_survives(study, 1, n, true),
                    lab_bn_study_survives(study, 1, n, false));
        }
    }
    fputs("\nEvery layer and channel: `trace-*.csv` and `channels-*.csv`.\n\n", text);
}

/* ---- charts ---- */

/* Mean steps where all seeds reached the target, or with `last` the mean loss at the end where none
 * diverged; NAN. */
static double cell_value(const struct lab_bn_study *study, uint32_t set, bool last, uint32_t norm,
                         uint32_t rate)
{
    struct lab_bn_group g;
    lab_bn_study_group(study, set, norm, rate, &g);
    return g.ran > 0 && (last ? g.diverged == 0 : g.reached == g.ran) ? last ? g.last : g.steps
                                                                      : (double)NAN;
}

static bool has_values(const struct lab_bn_study *study, uint32_t set, bool last, uint32_t norm)
{
    bool any = false;
    for (uint32_t rate = 0; rate < study->sizes.rate_count; rate++) {
        any = any || !isnan(cell_value(study, set, last, norm, rate));
    }
    return any;
}

/* rate, a column of cell_value for each norm. */
static int write_columns(const struct lab_bn_study *study, uint32_t set, bool last,
                         const char *name)
{
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        return -ENOMEM;
    }
    fputs("rate", text);
    for (uint32_t n = 0; n < LAB_BN_NORMS; n++) {
        fprintf(text, ",%s", lab_bn_norm_name((uint8_t)n));
    }
    fputs("\n", text);
    for (uint32_t rate = 0; rate < study->sizes.rate_count; rate++) {
        fprintf(text, "%g", study->sizes.rates[rate]);
        for (uint32_t n = 0; n < LAB_BN_NORMS; n++) {
            const double value = cell_value(study, set, last, n, rate);
            if (isnan(value)) {
                fputs(",", text);
            } else {
                fprintf(text, ",%.4g", value);
            }
        }
        fputs("\n", text);
    }
    return lab_study_save(study->directory, name, ".csv", text, &bytes, &size);
}

static int draw_columns(const struct lab_bn_study *study, uint32_t set, bool last, FILE *text)
{
    struct lab_series series[LAB_BN_NORMS];
    char name[32], csv[40], title[64];
    snprintf(name, sizeof(name), "%s-%s", last ? "last" : "speed", set_names[set]);
    snprintf(csv, sizeof(csv), "%s.csv", name);
    snprintf(title, sizeof(title),
             last ? "mean loss at the end, %s weights" : "steps to a loss of 0.5, %s weights",
             set_names[set]);
    uint32_t count = 0;
    for (uint32_t n = 0; n < LAB_BN_NORMS; n++) {
        const char *norm = lab_bn_norm_name((uint8_t)n);
        if (has_values(study, set, last, n)) {
            series[count++] =
                (struct lab_series){.csv = csv, .x = "rate", .y = norm, .title = norm};
        }
    }
    if (count == 0) {
        return 0; /* none of these has run, or none got there */
    }
    const struct lab_plot plot = {
        .title = title,
        .x = {.label = "learning rate", .scale = LAB_AXIS_LOG10},
        .y = {.label = last ? "loss" : "steps", .scale = LAB_AXIS_LOG10},
        .series = series,
        .series_count = count,
    };
    int r = write_columns(study, set, last, name);
    fprintf(text, "![%s](%s.svg)\n\n", title, name);
    return r < 0 ? r : lab_plot_draw(&plot, study->directory, name);
}

/* A column of the traces at a rate over the steps, one line a norm. */
static int draw_traces(const struct lab_bn_study *study, uint32_t which, const char *column,
                       const char *label, const char *name, FILE *text)
{
    struct lab_series series[LAB_BN_NORMS + 1];
    char files[LAB_BN_NORMS][LAB_BN_NAME + 16], title[96];
    uint32_t count = 0;
    for (uint32_t n = 0; n < LAB_BN_NORMS; n++) {
        double first[FIELDS], last[FIELDS];
        const struct lab_bn_cell cell = traced_cell(study, n, which);
        char cell_name[LAB_BN_NAME];
        if (read_trace(study, n, which, first, last) < 0) {
            continue;
        }
        lab_bn_cell_name(&cell, cell_name);
        snprintf(files[count], sizeof(files[count]), "trace-%s.csv", cell_name);
        series[count] = (struct lab_series){
            .csv = files[count], .x = "step", .y = column, .title = lab_bn_norm_name((uint8_t)n)};
        count++;
    }
    if (count == 0) {
        return 0;
    }
    if (which == 1) {
        series[count++] =
            (struct lab_series){.csv = files[0], .x = "step", .y = "rate", .title = "the rate"};
    }
    snprintf(title, sizeof(title), "%s, rate %g", label,
             study->sizes.rates[study->sizes.traced[which]]);
    const struct lab_plot plot = {.title = title,
                                  .x = {.label = "step"},
                                  .y = {.label = label, .scale = LAB_AXIS_LOG10},
                                  .series = series,
                                  .series_count = count};
    fprintf(text, "![%s](%s.svg)\n\n", title, name);
    return lab_plot_draw(&plot, study->directory, name);
}

static int draw_all(const struct lab_bn_study *study, FILE *text)
{
    int r = draw_traces(study, 0, "conv2_largest", "conv2: largest eigenvalue", "largest", text);
    r = r < 0 ? r
              : draw_traces(study, 0, "conv2_channel_least", "conv2: least eigenvalue of a channel",
                            "least", text);
    return r < 0 ? r
                 : draw_traces(study, 1, "conv2_bound", "conv2: 2 / largest eigenvalue", "bound",
                               text);
}

int lab_bn_report(const struct lab_bn_study *study)
{
    char *bytes = NULL;
    size_t size;
    int r = 0;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        return -ENOMEM;
    }
    put_head(text, study);
    put_toy(text, &study->toy);
    put_first(text, &study->first);
    put_network(text, &study->sizes);
    for (uint32_t set = LAB_BN_SETS; set-- > 0;) {
        put_claims(text, study, set);
        put_map(text, study, set);
        r = r < 0 ? r : draw_columns(study, set, false, text);
        r = r < 0 ? r : draw_columns(study, set, true, text);
    }
    put_bounds(text, study);
    r = r < 0 ? r : draw_all(study, text);
    if (r < 0) {
        fclose(text);
        free(bytes);
        return r;
    }
    return lab_study_save(study->directory, "report", ".md", text, &bytes, &size);
}
