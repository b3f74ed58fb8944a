/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The low-rank training experiments as Markdown and charts; says of every cell whether it has run.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/lrt_study.h"
#include "engine/lab/plot.h"

enum { SGD = 2, LOWRANK = 3, LOWRANK_MAX = 4 };

static bool outcome_of(const struct lab_lrt_study *study, uint32_t cell, uint64_t picture,
                       struct lab_lrt_outcome *ret_outcome)
{
    return lab_lrt_cell_read(&study->cell[cell], study->directory, picture, ret_outcome) == 0;
}

/* ---- tables ---- */

static void put_head(FILE *text, const struct lab_lrt_study *study)
{
    fprintf(text,
            "# Low-rank training for memories with costly writes (%s)\n\n"
            "What `ocellus-lab reproduce low-rank` found. It repeats experiments of Albert Gural, "
            "Phillip Nadeau, Mehul Tikekar and\nBoris Murmann, *Low-Rank Training of Deep Neural "
            "Networks for Emerging Memory Technology* (2009.03887): four 3x3\nconvolutions of 128 "
            "channels and two dense layers, 8-bit weights that exist as codes alone, one labelled "
            "digit at a time,\nclassified before its label is used.\n\n"
            "The network was prepared on %llu distorted digits; frozen it has %.1f %% of 1,000 "
            "validation digits right. Rank 4, kappa 100,\nrate 0.01, rho_min 0.01, weights after "
            "10 pictures (dense layers: 100), seed 1 unless said otherwise.\n\n"
            "## What differs from the paper\n\n"
            "- Digits before the stream: %llu pictures instead of 30 epochs of 50,000.\n"
            "- Elastic distortion: the paper's pairs of sigma and alpha, with a tenth of alpha "
            "(`lrt_data.h` says why); the shifts'\n  numbers are the paper's, the clustering of "
            "classes is our reading of it.\n"
            "- The drift flips each bit independently, and weights are clipped to 127/128.\n"
            "- Streams of %llu pictures (SGD and low rank with max-norm under drift: %llu) instead "
            "of 100,000, one seed.\n\n",
            study->sizes.title, (unsigned long long)study->sizes.prepare, 100 * study->prepared,
            (unsigned long long)study->sizes.prepare, (unsigned long long)study->sizes.environment,
            (unsigned long long)study->sizes.drift_long);
}

static void put_accuracies(FILE *text, const struct lab_lrt_study *study, uint64_t picture)
{
    fprintf(text,
            "## Accuracy after %llu pictures\n\nPercent right, running mean with weight 1/1000; a "
            "dash: has not run, or not so far.\n\n"
            "| environment |",
            (unsigned long long)picture);
    for (uint32_t s = 0; s < LAB_LRT_SCHEMES; s++) {
        fprintf(text, " %s |", lab_lrt_scheme_title(s));
    }
    fputs("\n|---|---|---|---|---|---|\n", text);
    for (uint32_t e = 0; e < LAB_LRT_ENVIRONMENTS; e++) {
        fprintf(text, "| %s |", lab_lrt_environment_name(e));
        for (uint32_t s = 0; s < LAB_LRT_SCHEMES; s++) {
            struct lab_lrt_outcome o;
            if (outcome_of(study, study->environment[e][s], picture, &o)) {
                fprintf(text, " %.1f |", 100 * o.accuracy);
            } else {
                fputs(" - |", text);
            }
        }
        fputs("\n", text);
    }
    fputs("\n", text);
}

static void put_gate(FILE *text, const struct lab_lrt_study *study)
{
    struct lab_lrt_outcome o, frozen;
    if (outcome_of(study, study->gated, study->sizes.environment, &o) &&
        outcome_of(study, study->environment[LAB_LRT_CONTROL][0], study->sizes.environment,
                   &frozen)) {
        fprintf(text,
                "Do no harm: where the prepared network stays beside the one that learns, and "
                "answers while it has been right more often\n(running mean with weight 1/100), "
                "control is %.1f %%, the frozen network %.1f %%.\n\n",
                100 * o.accuracy, 100 * frozen.accuracy);
    }
}

static void put_segments(FILE *text, const struct lab_lrt_study *study)
{
    fputs("## Shift, at the end of each segment\n\n| segment |", text);
    for (uint32_t s = 0; s < LAB_LRT_SCHEMES; s++) {
        fprintf(text, " %s |", lab_lrt_scheme_title(s));
    }
    fputs("\n|---|---|---|---|---|---|\n", text);
    for (uint32_t i = 0; i < LAB_LRT_SEGMENTS; i++) {
        fprintf(text, "| %s |", lab_lrt_segment_name(i));
        for (uint32_t s = 0; s < LAB_LRT_SCHEMES; s++) {
            const uint32_t cell = study->environment[LAB_LRT_SHIFT][s];
            struct lab_lrt_outcome o;
            if (outcome_of(study, cell, (i + 1) * study->cell[cell].pictures / LAB_LRT_SEGMENTS,
                           &o)) {
                fprintf(text, " %.1f |", 100 * o.last);
            } else {
                fputs(" - |", text);
            }
        }
        fputs("\n", text);
    }
    fprintf(text, "\nMean of the last %u pictures.\n\n", LAB_LRT_LAST);
}

static void put_writes(FILE *text, const struct lab_lrt_study *study, uint64_t picture)
{
    fprintf(text,
            "## Writes to the most written weight, after %llu pictures\n\n"
            "SGD by the paper's count, a write for every pixel whose product of gradient and input "
            "is not zero; by pictures whose\ngradient is not zero; and codes that really changed. "
            "Density: codes changed, per weight and picture.\n\n"
            "| environment | SGD, pixels | SGD, pictures | SGD, changes | low rank, max-norm | "
            "pixels, ratio | pictures, ratio | density of SGD | of low rank |\n"
            "|---|---|---|---|---|---|---|---|---|\n",
            (unsigned long long)picture);
    for (uint32_t e = 0; e < LAB_LRT_ENVIRONMENTS; e++) {
        struct lab_lrt_outcome sgd, low;
        if (outcome_of(study, study->environment[e][SGD], picture, &sgd) &&
            outcome_of(study, study->environment[e][LOWRANK_MAX], picture, &low)) {
            fprintf(text, "| %s | %.0f | %.0f | %.0f | %.0f | %.0f | %.1f | %.2g | %.2g |\n",
                    lab_lrt_environment_name(e), sgd.terms, sgd.samples, sgd.changes, low.changes,
                    sgd.terms / fmax(low.changes, 1), sgd.samples / fmax(low.changes, 1),
                    sgd.density, low.density);
        }
    }
    fputs("\n", text);
}

static void put_patient(FILE *text, const struct lab_lrt_study *study)
{
    fprintf(text,
            "A picture can write a weight once, and low rank writes after 10 pictures (dense "
            "layers: 100): counted by pictures the paper's\nsettings cannot write less than about "
            "a tenth of SGD. With weights after %u times as many pictures:\n\n"
            "| environment | accuracy | as the paper | writes, worst weight | SGD by pictures, "
            "ratio |\n|---|---|---|---|---|\n",
            LAB_LRT_PATIENCE);
    for (uint32_t e = 0; e < LAB_LRT_ENVIRONMENTS; e++) {
        const uint64_t picture = study->sizes.environment;
        struct lab_lrt_outcome patient, plain, sgd;
        if (outcome_of(study, study->patient[e], picture, &patient) &&
            outcome_of(study, study->environment[e][LOWRANK_MAX], picture, &plain) &&
            outcome_of(study, study->environment[e][SGD], picture, &sgd)) {
            fprintf(text, "| %s | %.1f | %.1f | %.0f | %.0f |\n", lab_lrt_environment_name(e),
                    100 * patient.accuracy, 100 * plain.accuracy, patient.changes,
                    sgd.samples / fmax(patient.changes, 1));
        }
    }
    fputs("\n", text);
}

/* Mean and standard deviation of the last pictures over seeds. */
static void put_mean(FILE *text, const struct lab_lrt_study *study, const uint32_t *cells)
{
    double sum = 0, squares = 0;
    uint32_t count = 0;
    for (uint32_t seed = 0; seed < study->sizes.seeds; seed++) {
        struct lab_lrt_outcome o;
        if (outcome_of(study, cells[seed], study->sizes.table, &o)) {
            sum += 100 * o.last;
            squares += 1e4 * o.last * o.last;
            count++;
        }
    }
    if (count == 0) {
        fputs(" - |", text);
        return;
    }
    const double mean = sum / count;
    const double variance = count > 1 ? fmax(0, (squares - count * mean * mean) / (count - 1)) : 0;
    fprintf(text, " %.1f (%.1f, %u) |", mean, sqrt(variance), count);
}

/* Those of the first seed alone, which learn from as many pictures as the paper's. */
static void put_long_ablations(FILE *text, const struct lab_lrt_study *study,
                               const double paper[LAB_LRT_ABLATIONS][2])
{
    fprintf(text,
            "The same after %llu pictures, one seed:\n\n"
            "| | without | with max-norm | paper, without | with |\n|---|---|---|---|---|\n",
            (unsigned long long)study->sizes.table_long);
    for (uint32_t i = 0; i < LAB_LRT_ABLATIONS; i++) {
        fprintf(text, "| %s |", lab_lrt_ablation_title(i));
        for (uint32_t norm = 0; norm < 2; norm++) {
            struct lab_lrt_outcome o;
            if (outcome_of(study, study->ablation[i][norm][0], study->sizes.table_long, &o)) {
                fprintf(text, " %.1f |", 100 * o.last);
            } else {
                fputs(" - |", text);
            }
        }
        fprintf(text, " %.1f | %.1f |\n", paper[i][0], paper[i][1]);
    }
    fputs("\n", text);
}

static void put_ablations(FILE *text, const struct lab_lrt_study *study)
{
    /* Tables 1 and 2 of the paper, 10,000 pictures, 5 seeds. */
    static const double paper[LAB_LRT_ABLATIONS][2] = {
        {81.0, 83.6}, {77.7, 84.6}, {83.0, 82.4}, {79.7, 82.7},
        {51.8, 68.6}, {68.2, 81.8}, {81.3, 83.0}, {79.8, 84.2},
    };
    fprintf(text,
            "## From random weights, %llu pictures\n\n"
            "Percent right of the last %u; in brackets the standard deviation and the number of "
            "seeds. Beside it the paper's, after\n10,000 pictures and with 5 seeds.\n\n"
            "| | without | with max-norm | paper, without | with |\n|---|---|---|---|---|\n",
            (unsigned long long)study->sizes.table, LAB_LRT_LAST);
    for (uint32_t i = 0; i < LAB_LRT_ABLATIONS; i++) {
        fprintf(text, "| %s |", lab_lrt_ablation_title(i));
        put_mean(text, study, study->ablation[i][0]);
        put_mean(text, study, study->ablation[i][1]);
        fprintf(text, " %.1f | %.1f |\n", paper[i][0], paper[i][1]);
    }
    fputs("\n", text);
    if (study->sizes.table_long > study->sizes.table) {
        put_long_ablations(text, study, paper);
    }
}

static void put_ranks(FILE *text, const struct lab_lrt_study *study)
{
    fprintf(text,
            "## Rank against bits of a weight, %llu pictures from random weights, max-norm\n\n"
            "Percent right of the last %u.\n\n| bits |",
            (unsigned long long)study->sizes.rank, LAB_LRT_LAST);
    for (uint32_t r = 0; r < LAB_LRT_RANKS; r++) {
        fprintf(text, " rank %u |", lab_lrt_ranks[r]);
    }
    fputs("\n|---|---|---|---|---|---|---|\n", text);
    for (uint32_t w = 0; w < LAB_LRT_WIDTHS; w++) {
        fprintf(text, "| %u |", lab_lrt_widths[w]);
        for (uint32_t r = 0; r < LAB_LRT_RANKS; r++) {
            struct lab_lrt_outcome o;
            if (outcome_of(study, study->rank[w][r], study->sizes.rank, &o)) {
                fprintf(text, " %.1f |", 100 * o.last);
            } else {
                fputs(" - |", text);
            }
        }
        fputs("\n", text);
    }
    fputs("\n", text);
}

static void put_times(FILE *text, const struct lab_lrt_study *study)
{
    fputs(
        "## Time\n\nMilliseconds of processor time a picture, drift and distortion included, over "
        "the whole cell:",
        text);
    for (uint32_t s = 0; s < LAB_LRT_SCHEMES; s++) {
        struct lab_lrt_outcome o = {0};
        const uint32_t cell = study->environment[LAB_LRT_CONTROL][s];
        if (outcome_of(study, cell, study->cell[cell].pictures, &o)) {
            fprintf(text, " %s %.1f%s", lab_lrt_scheme_title(s), o.milliseconds,
                    s + 1 < LAB_LRT_SCHEMES ? "," : "");
        }
    }
    fputs(" (control).\n\n", text);
}

/* ---- charts ---- */

static int draw(const struct lab_lrt_study *study, uint32_t environment, FILE *text)
{
    struct lab_series series[LAB_LRT_SCHEMES];
    char files[LAB_LRT_SCHEMES][LAB_LRT_NAME_BYTES + 4];
    uint32_t count = 0;
    for (uint32_t s = 0; s < LAB_LRT_SCHEMES; s++) {
        const uint32_t cell = study->environment[environment][s];
        struct lab_lrt_outcome o;
        if (!outcome_of(study, cell, 0, &o)) {
            continue;
        }
        snprintf(files[count], sizeof(files[count]), "%s.csv", study->cell[cell].name);
        series[count] = (struct lab_series){
            .csv = files[count], .x = "picture", .y = "accuracy", .title = lab_lrt_scheme_title(s)};
        count++;
    }
    if (count == 0) {
        return 0;
    }
    const char *name = lab_lrt_environment_name(environment);
    const struct lab_plot plot = {.title = name,
                                  .x = {.label = "pictures"},
                                  .y = {.label = "right, running mean"},
                                  .series = series,
                                  .series_count = count};
    fprintf(text, "![%s](%s.svg)\n\n", name, name);
    return lab_plot_draw(&plot, study->directory, name);
}

int lab_lrt_report(const struct lab_lrt_study *study)
{
    char path[4096], *bytes = NULL;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        return -ENOMEM;
    }
    put_head(text, study);
    put_accuracies(text, study, study->sizes.environment);
    if (study->sizes.drift_long > study->sizes.environment) {
        put_accuracies(text, study, study->sizes.drift_long);
    }
    put_gate(text, study);
    int r = 0;
    for (uint32_t e = 0; r == 0 && e < LAB_LRT_ENVIRONMENTS; e++) {
        r = draw(study, e, text);
    }
    put_segments(text, study);
    put_writes(text, study, study->sizes.environment);
    if (study->sizes.drift_long > study->sizes.environment) {
        put_writes(text, study, study->sizes.drift_long);
    }
    put_patient(text, study);
    put_ablations(text, study);
    put_ranks(text, study);
    put_times(text, study);
    if (fclose(text) != 0) {
        r = r < 0 ? r : -EIO;
    }
    snprintf(path, sizeof(path), "%s/report.md", study->directory);
    r = r < 0 ? r : lab_file_write(path, bytes, size);
    free(bytes);
    return r;
}
