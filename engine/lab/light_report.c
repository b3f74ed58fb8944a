/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The light study as Markdown, CSV and SVG. The same results give the same bytes; nothing in here
 * depends on when or how fast they came.
 */
#include "engine/lab/light.h"

#include <errno.h>
#include <string.h>

#include "engine/lab/lab.h"
#include "engine/lab/plot.h"

static const char *const pruned_names[] = {"srgb", "ternary"};

/* ---- text ---- */

static void put_value(FILE *text, const struct lab_light_value *value, int digits)
{
    if (value->seeds == 0) {
        fputs(" - |", text);
    } else {
        fprintf(text, " %.*f (%.*f to %.*f) |", digits, value->mean, digits, value->low, digits,
                value->high);
    }
}

static void put_head(FILE *text, const struct lab_light *light)
{
    fprintf(
        text,
        "# Log-gradient input under changing light (%s)\n\n"
        "What `ocellus-lab reproduce log-gradient` found. It repeats experiments of Qianyun Lu "
        "and Boris Murmann,\n*Improving the Energy Efficiency and Robustness of tinyML "
        "Computer Vision using Log-Gradient Input Images*\n(tinyML 2022, 2203.02571), with "
        "other data and another network.\n\n"
        "| | |\n|---|---|\n"
        "| training pictures | %u, of %u classes |\n| epochs | %u |\n| seeds | %u, 1 to %u |\n"
        "| test pictures | %u |\n| floor and threshold study | trained on the first %u training "
        "pictures, measured on the %u next ones, seed 1 |\n\n",
        light->title, light->pictures, light->classes, light->epochs, light->seeds, light->seeds,
        light->test, light->study, light->held);
}

static void put_differences(FILE *text)
{
    fputs(
        "## What differs from the paper\n\n"
        "- Data: folders of small pictures instead of PASCAL RAW. With CIFAR-10 as JPEG files "
        "that were compressed again, no figure\n  here is comparable with published ones. The "
        "paper starts from 12-bit RAW photographs; here 8-bit sRGB is made linear\n  and a "
        "simulated sensor photographs it: nominal white at 1/8 of full scale, clipping, rounding, "
        "for the third sensor\n  shot noise of a full well of 10,000 electrons and read noise of "
        "3. The noise is that of one photosite a value.\n"
        "- Network: three 3x3 convolutions (32, 64, 128; batch norm, ReLU, 2x2 max pool) and a "
        "dense layer on 32x32 colour\n  pictures; the journal version of the paper has two "
        "convolutions and a dense layer on 224x224 grey ones. Here the network\n  is the same for "
        "all inputs but for the depth of its first layer: three planes of sRGB, six of log "
        "gradients.\n  Weights and activations are float, as in the paper.\n"
        "- Training: Adam, cosine schedule, shifts of up to 2 pixels and mirroring, on pictures "
        "in nominal light alone.\n"
        "- Similarity of filters: mean |cosine| of their weights. The paper does not give its "
        "metric. Random filters of six\n  planes (54 weights) have a lower one, about 0.11, than "
        "those of three (27), about 0.15, which speaks against log\n  gradient from the start.\n"
        "- Pruning: of the most similar pair the filter with the lower L1 norm goes, then a "
        "thirty-second part of an epoch of\n  learning, and half an epoch at each number of "
        "filters in the table, 32 among them.\n\n",
        text);
}

static void put_inputs(FILE *text, struct lab_light *light)
{
    struct lab_light_job job;
    fputs("## Inputs\n\nAccuracy in percent on pictures as they were decoded: mean over the seeds "
          "(lowest to highest).\n\n"
          "| input | accuracy | floor | threshold ratios |\n|---|---|---|---|\n",
          text);
    for (uint32_t i = 0; i < LAB_LIGHT_INPUTS; i++) {
        if (!lab_light_input_job(light, (enum lab_light_input)i, 0, &job)) {
            continue;
        }
        struct lab_light_value value = lab_light_decoded(light, (enum lab_light_input)i);
        fprintf(text, "| %s |", lab_light_input_titles[i]);
        put_value(text, &value, 2);
        if (i == LAB_LIGHT_SRGB) {
            fputs(" | |\n", text);
        } else if (i == LAB_LIGHT_FLOAT || i == LAB_LIGHT_SEVEN) {
            fprintf(text, " %u | %s |\n", job.choice.floor,
                    i == LAB_LIGHT_SEVEN ? "9/8, 5/4, 8/5" : "");
        } else {
            fprintf(text, " %u | %u/%u |\n", job.choice.floor, job.choice.ratio.p,
                    job.choice.ratio.q);
        }
    }
    fputs("\nThe floor is in counts of a plane whose nominal white is 65535; on the sensors, whose "
          "nominal white is 8192, it is an\neighth of that, 1 at least. Logarithms are taken of a "
          "value and the floor together.\n\n",
          text);
}

/* Most points lost against exposure 1, above it (bright) or below. */
static double lost(const struct lab_light *light, enum lab_light_input input,
                   enum lab_light_sensor sensor, bool bright)
{
    double nominal = lab_light_exposed(light, input, sensor, LAB_LIGHT_NOMINAL).mean, most = 0.0;
    for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
        double drop = nominal - lab_light_exposed(light, input, sensor, e).mean;
        most = (e > LAB_LIGHT_NOMINAL) == bright && drop > most ? drop : most;
    }
    return most;
}

static void put_sweep(FILE *text, const struct lab_light *light, enum lab_light_sensor sensor,
                      bool charts)
{
    double spread = 0.0;
    fprintf(text, "### Sensor: %s\n\n", lab_light_sensor_names[sensor]);
    fputs("| exposure |", text);
    for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
        fprintf(text, " %s |", lab_light_exposure_names[e]);
    }
    fputs(" lost, dark, bright |\n|---|", text);
    for (uint32_t e = 0; e <= LAB_LIGHT_EXPOSURES; e++) {
        fputs("---|", text);
    }
    fputc('\n', text);
    for (uint32_t i = 0; i < LAB_LIGHT_INPUTS; i++) {
        if (lab_light_decoded(light, (enum lab_light_input)i).seeds == 0) {
            continue;
        }
        fprintf(text, "| %s |", lab_light_input_titles[i]);
        for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
            struct lab_light_value value =
                lab_light_exposed(light, (enum lab_light_input)i, sensor, e);
            fprintf(text, " %.2f |", value.mean);
            spread = value.high - value.low > spread ? value.high - value.low : spread;
        }
        fprintf(text, " %.1f, %.1f |\n", lost(light, (enum lab_light_input)i, sensor, false),
                lost(light, (enum lab_light_input)i, sensor, true));
    }
    fprintf(text, "\nThe seeds of one figure lie at most %.2f points apart.\n\n", spread);
    if (charts) {
        fprintf(text, "![accuracy over exposure](brightness-%s.svg)\n\n",
                lab_light_sensor_names[sensor]);
    }
}

static void put_brightness(FILE *text, const struct lab_light *light, bool charts)
{
    fputs("## Brightness\n\nMean accuracy in percent by exposure, with nominal white at 1/8 of "
          "full scale: above 1 pictures go on up to clipping at 8.\nThe last column has the most "
          "points lost against exposure 1 below and above it.\n\n",
          text);
    for (uint32_t s = 0; s < LAB_LIGHT_SENSORS; s++) {
        put_sweep(text, light, (enum lab_light_sensor)s, charts);
    }
}

static void put_study_row(FILE *text, const struct lab_light_job *job)
{
    const struct lab_light_curve *curve = job->curve;
    if (curve->pictures == 0) {
        return;
    }
    fprintf(text, "| %u | %u/%u |", job->choice.floor, job->choice.ratio.p, job->choice.ratio.q);
    for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
        fprintf(text, " %.2f |", 100.0 * curve->right[LAB_LIGHT_16][e] / curve->pictures);
    }
    for (uint32_t s = 0; s < LAB_LIGHT_SENSORS; s++) {
        fprintf(text, " %.2f |", 100.0 * lab_light_mean(curve, (enum lab_light_sensor)s));
    }
    fputc('\n', text);
}

static void put_study(FILE *text, struct lab_light *light)
{
    struct lab_light_choice usual, noisy;
    struct lab_light_job job;
    fputs("## Floor and threshold, 1.5 bit\n\nOn training pictures kept back, one seed: accuracy "
          "on the 16-bit sensor by exposure, and means over the exposures on each\nsensor. The "
          "highest mean on 16 bit decides for all log-gradient inputs, the highest mean with noise "
          "for the one set for noise;\ndifferences of a point mean little.\n\n| floor | ratio |",
          text);
    for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
        fprintf(text, " %s |", lab_light_exposure_names[e]);
    }
    fputs(" mean, 16 bit | mean, 12 bit | mean, noise |\n|---|---|", text);
    for (uint32_t i = 0; i < LAB_LIGHT_EXPOSURES + LAB_LIGHT_SENSORS; i++) {
        fputs("---|", text);
    }
    fputc('\n', text);
    for (uint32_t i = 0; lab_light_study_job(light, i, &job); i++) {
        put_study_row(text, &job);
    }
    if (lab_light_choose(light, LAB_LIGHT_16, &usual) &&
        lab_light_choose(light, LAB_LIGHT_NOISE, &noisy)) {
        fprintf(text, "\nChosen: floor %u, ratio %u/%u; for noise floor %u, ratio %u/%u.\n\n",
                usual.floor, usual.ratio.p, usual.ratio.q, noisy.floor, noisy.ratio.p,
                noisy.ratio.q);
    } else {
        fputs("\nNot complete yet.\n\n", text);
    }
}

static void put_filters(FILE *text, const struct lab_light *light, bool charts)
{
    fputs("## First-layer filters\n\nAccuracy in percent and similarity of the filters left: mean "
          "over the seeds (lowest to highest).\n\n"
          "| filters | sRGB | similarity | log gradient, 1.5 bit | similarity |\n"
          "|---|---|---|---|---|\n",
          text);
    for (uint32_t i = 0; i < LAB_LIGHT_STEPS; i++) {
        fprintf(text, "| %u |", lab_light_filters[i]);
        for (uint32_t which = 0; which < 2; which++) {
            struct lab_light_value accuracy = lab_light_pruned(light, which, i);
            struct lab_light_value similarity = lab_light_similar(light, which, i);
            put_value(text, &accuracy, 2);
            put_value(text, &similarity, 3);
        }
        fputc('\n', text);
    }
    if (charts) {
        fputs("\n![accuracy over filters](filters.svg)\n", text);
    }
}

static void put_lost(FILE *text, const struct lab_light *light, enum lab_light_input input)
{
    if (lab_light_decoded(light, input).seeds == 0) {
        fputs(" - |", text);
    } else {
        fprintf(text, " %.1f, %.1f |", lost(light, input, LAB_LIGHT_16, false),
                lost(light, input, LAB_LIGHT_16, true));
    }
}

static void put_comparison(FILE *text, const struct lab_light *light)
{
    fputs(
        "\n## Beside the paper\n\nMost points lost over 1/32 to 8, below and above nominal light; "
        "here on the 16-bit sensor. Orderings and margins can be\ncompared, not the figures "
        "themselves.\n\n"
        "| | 2022 paper | journal version | here |\n|---|---|---|---|\n"
        "| log gradient | 1.7 on either side | 0.1, 1.7 |",
        text);
    put_lost(text, light, LAB_LIGHT_TERNARY);
    fputs("\n| JPEG there, sRGB here | up to 10 | 10.9, 4.3 |", text);
    put_lost(text, light, LAB_LIGHT_SRGB);
    fputs("\n\nWhat the papers and this report name alike need not be the same: their network, "
          "crops and quantiser are not published\nin full.\n",
          text);
}

static void put_report(FILE *text, struct lab_light *light)
{
    bool complete = lab_light_complete(light);
    put_head(text, light);
    if (!complete) {
        fputs("**Not complete: the run was broken off or goes on.** Means are over the seeds that "
              "are done.\n\n",
              text);
    }
    fputs("## Verdicts\n\nOn means over all seeds.\n\n", text);
    lab_light_print_verdicts(light, text);
    fputc('\n', text);
    put_differences(text);
    put_inputs(text, light);
    put_brightness(text, light, complete);
    put_study(text, light);
    put_filters(text, light, complete);
    put_comparison(text, light);
}

/* ---- tables ---- */

static void put_inputs_csv(FILE *text, struct lab_light *light)
{
    fputs("input,seed,right,pictures\n", text);
    for (uint32_t i = 0; i < LAB_LIGHT_INPUTS; i++) {
        for (uint32_t s = 0; s < light->seeds; s++) {
            const struct lab_light_curve *curve = &light->inputs[i][s];
            if (curve->pictures > 0) {
                fprintf(text, "%s,%u,%u,%u\n", lab_light_input_names[i], s + 1, curve->decoded,
                        curve->pictures);
            }
        }
    }
}

/* A column for each input, of mean accuracy; empty where nothing is known. */
static void put_sweep_csv(FILE *text, const struct lab_light *light, enum lab_light_sensor sensor)
{
    fputs("exposure", text);
    for (uint32_t i = 0; i < LAB_LIGHT_INPUTS; i++) {
        fprintf(text, ",%s", lab_light_input_names[i]);
    }
    fputc('\n', text);
    for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
        fprintf(text, "%g", (double)lab_light_exposures[e][0] / lab_light_exposures[e][1]);
        for (uint32_t i = 0; i < LAB_LIGHT_INPUTS; i++) {
            struct lab_light_value value =
                lab_light_exposed(light, (enum lab_light_input)i, sensor, e);
            fputc(',', text);
            if (value.seeds > 0) {
                fprintf(text, "%.3f", value.mean);
            }
        }
        fputc('\n', text);
    }
}

static void put_16(FILE *text, struct lab_light *light)
{
    put_sweep_csv(text, light, LAB_LIGHT_16);
}

static void put_12(FILE *text, struct lab_light *light)
{
    put_sweep_csv(text, light, LAB_LIGHT_12);
}

static void put_noise(FILE *text, struct lab_light *light)
{
    put_sweep_csv(text, light, LAB_LIGHT_NOISE);
}

static void put_study_csv(FILE *text, struct lab_light *light)
{
    struct lab_light_job job;
    fputs("floor,p,q,sensor,exposure,right,pictures\n", text);
    for (uint32_t i = 0; lab_light_study_job(light, i, &job); i++) {
        for (uint32_t s = 0; s < LAB_LIGHT_SENSORS && job.curve->pictures > 0; s++) {
            for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
                fprintf(text, "%u,%u,%u,%s,%s,%u,%u\n", job.choice.floor, job.choice.ratio.p,
                        job.choice.ratio.q, lab_light_sensor_names[s], lab_light_exposure_names[e],
                        job.curve->right[s][e], job.curve->pictures);
            }
        }
    }
}

static void put_filters_csv(FILE *text, struct lab_light *light)
{
    fputs("filters", text);
    for (uint32_t which = 0; which < 2; which++) {
        fprintf(text, ",%s_accuracy,%s_similarity", pruned_names[which], pruned_names[which]);
    }
    fputc('\n', text);
    for (uint32_t i = 0; i < LAB_LIGHT_STEPS; i++) {
        fprintf(text, "%u", lab_light_filters[i]);
        for (uint32_t which = 0; which < 2; which++) {
            if (lab_light_pruned(light, which, i).seeds > 0) {
                fprintf(text, ",%.3f,%.5f", lab_light_pruned(light, which, i).mean,
                        lab_light_similar(light, which, i).mean);
            } else {
                fputs(",,", text);
            }
        }
        fputc('\n', text);
    }
}

/* ---- charts ---- */

static int draw_sweep(struct lab_light *light, enum lab_light_sensor sensor)
{
    char name[64], csv[80], title[96];
    struct lab_series series[LAB_LIGHT_INPUTS];
    struct lab_plot plot = {.title = title,
                            .x = {"exposure", LAB_AXIS_LOG2},
                            .y = {"accuracy, %", LAB_AXIS_LINEAR},
                            .series = series};
    snprintf(name, sizeof(name), "brightness-%s", lab_light_sensor_names[sensor]);
    snprintf(csv, sizeof(csv), "%s.csv", name);
    snprintf(title, sizeof(title), "Accuracy over exposure, %s", lab_light_sensor_names[sensor]);
    for (uint32_t i = 0; i < LAB_LIGHT_INPUTS; i++) {
        if (lab_light_decoded(light, (enum lab_light_input)i).seeds > 0) {
            series[plot.series_count++] = (struct lab_series){
                csv, "exposure", lab_light_input_names[i], lab_light_input_titles[i], false};
        }
    }
    return lab_plot_draw(&plot, light->directory, name);
}

static int draw(struct lab_light *light)
{
    static const struct lab_series filters[] = {
        {"filters.csv", "filters", "srgb_accuracy", "sRGB", false},
        {"filters.csv", "filters", "ternary_accuracy", "log gradient, 1.5 bit", false},
    };
    static const struct lab_plot plot = {.title = "Accuracy over first-layer filters",
                                         .x = {"filters", LAB_AXIS_LOG2},
                                         .y = {"accuracy, %", LAB_AXIS_LINEAR},
                                         .series = filters,
                                         .series_count = 2};
    int r = 0;
    for (uint32_t s = 0; r == 0 && s < LAB_LIGHT_SENSORS; s++) {
        r = draw_sweep(light, (enum lab_light_sensor)s);
    }
    return r < 0 ? r : lab_plot_draw(&plot, light->directory, "filters");
}

/* ---- files ---- */

static int write_file(struct lab_light *light, const char *name, const char *suffix,
                      void (*put)(FILE *, struct lab_light *))
{
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        lab_error("%s%s: %s", name, suffix, strerror(ENOMEM));
        return -ENOMEM;
    }
    put(text, light);
    return lab_study_save(light->directory, name, suffix, text, &bytes, &size);
}

int lab_light_report(struct lab_light *light)
{
    static const struct {
        const char *name, *suffix;
        void (*put)(FILE *, struct lab_light *);
    } files[] = {
        {"inputs", ".csv", put_inputs_csv},    {"brightness-16-bit", ".csv", put_16},
        {"brightness-12-bit", ".csv", put_12}, {"brightness-12-bit-noise", ".csv", put_noise},
        {"study", ".csv", put_study_csv},      {"filters", ".csv", put_filters_csv},
        {"report", ".md", put_report},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(files) / sizeof(files[0]); i++) {
        r = write_file(light, files[i].name, files[i].suffix, files[i].put);
    }
    return r == 0 && lab_light_complete(light) ? draw(light) : r;
}
