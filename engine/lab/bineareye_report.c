/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The study of bineareye.h as Markdown, CSV and SVG. The same results give the same bytes. */
#include "engine/lab/bineareye.h"

#include <errno.h>

#include "engine/lab/lab.h"
#include "engine/lab/plot.h"

#define FIRST_EXPOSURE 1u  /* 1/16 */
#define LOST_AT_MOST   1.7 /* points, of log gradients */
#define LOST_AT_LEAST  10.0

static const char *const input_titles[LAB_BINEAREYE_INPUTS] = {"thermometer of sRGB",
                                                               "log gradient, 1.5 bit"};

/* ---- figures ---- */

static double percent(const struct lab_bineareye_cell *cell, uint32_t exposure)
{
    const uint32_t right = exposure == LAB_LIGHT_EXPOSURES ? cell->decoded : cell->right[exposure];
    return 100.0 * right / cell->pictures;
}

static void add(struct lab_bineareye_value *value, double x)
{
    value->low = value->seeds == 0 || x < value->low ? x : value->low;
    value->high = value->seeds == 0 || x > value->high ? x : value->high;
    value->mean += (x - value->mean) / ++value->seeds;
}

struct lab_bineareye_value lab_bineareye_value(const struct lab_bineareye *study,
                                               enum lab_bineareye_input input, uint32_t shape,
                                               uint32_t exposure)
{
    struct lab_bineareye_value value = {0};
    for (uint32_t s = 0; s < study->seeds; s++) {
        const struct lab_bineareye_cell *cell = &study->cells[input][shape][s];
        if (cell->pictures > 0) {
            add(&value, percent(cell, exposure));
        }
    }
    return value;
}

struct lab_bineareye_value lab_bineareye_loss(const struct lab_bineareye *study,
                                              enum lab_bineareye_input input, uint32_t shape)
{
    struct lab_bineareye_value value = {0};
    for (uint32_t s = 0; s < study->seeds; s++) {
        const struct lab_bineareye_cell *cell = &study->cells[input][shape][s];
        double worst = 0;
        for (uint32_t e = FIRST_EXPOSURE; cell->pictures > 0 && e < LAB_LIGHT_EXPOSURES; e++) {
            const double lost = percent(cell, LAB_LIGHT_NOMINAL) - percent(cell, e);
            worst = lost > worst ? lost : worst;
        }
        if (cell->pictures > 0) {
            add(&value, worst);
        }
    }
    return value;
}

/* ---- text ---- */

static void put_value(FILE *text, const struct lab_bineareye_value *value)
{
    if (value->seeds == 0) {
        fputs(" - |", text);
    } else if (value->seeds == 1) {
        fprintf(text, " %.1f |", value->mean);
    } else {
        fprintf(text, " %.1f (%.1f to %.1f) |", value->mean, value->low, value->high);
    }
}

static const char *word(bool known, bool held)
{
    return !known ? "not known yet" : held ? "held" : "missed";
}

void lab_bineareye_print_verdicts(const struct lab_bineareye *study, FILE *text)
{
    for (uint32_t i = 0; i < LAB_BINEAREYE_INPUTS; i++) {
        struct lab_bineareye_value v[3];
        for (uint32_t w = 0; w < 3; w++) {
            v[w] = lab_bineareye_value(study, (enum lab_bineareye_input)i, LAB_BINEAREYE_DEEP + w,
                                       LAB_LIGHT_EXPOSURES);
        }
        const bool known = v[0].seeds > 0 && v[1].seeds > 0 && v[2].seeds > 0;
        fprintf(text,
                "- Width trades accuracy for operations, %s: **%s**. %.1f, %.1f and %.1f %% at "
                "widths 64, 128 and 256 (0: not known).\n",
                input_titles[i], word(known, v[0].mean < v[1].mean && v[1].mean < v[2].mean),
                v[0].mean, v[1].mean, v[2].mean);
    }
    const struct lab_bineareye_value gradient =
        lab_bineareye_loss(study, LAB_BINEAREYE_LOG_GRADIENT, LAB_BINEAREYE_DEEP);
    const struct lab_bineareye_value thermometer =
        lab_bineareye_loss(study, LAB_BINEAREYE_THERMOMETER, LAB_BINEAREYE_DEEP);
    fprintf(text,
            "- Log gradients keep a binary network of width 64 seeing: at most %.1f points lost at "
            "the worst exposure from 1/16 to 8\n  (16 bit), with every seed: **%s**, %.1f to %.1f "
            "of %u.\n",
            LOST_AT_MOST, word(gradient.seeds > 0, gradient.high <= LOST_AT_MOST), gradient.low,
            gradient.high, gradient.seeds);
    fprintf(text, "- where the thermometer loses at least %.0f: **%s**, %.1f to %.1f of %u.\n",
            LOST_AT_LEAST, word(thermometer.seeds > 0, thermometer.low >= LOST_AT_LEAST),
            thermometer.low, thermometer.high, thermometer.seeds);
}

static void put_head(FILE *text, const struct lab_bineareye *study)
{
    fprintf(
        text,
        "# Binary networks of programmable width and depth (%s)\n\n"
        "What `ocellus-lab reproduce bineareye` found. It repeats, in software, what Bert Moons, "
        "Daniel Bankman, Lita Yang,\nBoris Murmann and Marian Verhelst built as a chip, "
        "*BinarEye: An Always-On Energy-Accuracy-Scalable Binary CNN\nProcessor* (CICC 2018, "
        "1804.05554): 2x2 convolutions whose weights and maps are single bits, with OR-pools,\n"
        "and asks the same of networks that see log gradients.\n\n"
        "| | |\n|---|---|\n| training pictures | %u, of %u classes |\n"
        "| epochs | %u; of width 128 two thirds; of 256 a sixth, after those of width 128 |\n| "
        "seeds | %u |\n"
        "| test pictures | %u |\n\n"
        "Of pictures that were compressed again as JPEG no figure is comparable with published "
        "ones, and the paper's networks\nhad 250 epochs. More than one seed is trained of width "
        "64 in full depth alone. Width 256 begins as the\nnetwork of width 128, widened, and so on "
        "its thermometer of 41 levels where the paper's has 85 (2011 million "
        "operations).\nOperations are counted as the chip counts them: each plane of "
        "the thermometer is a bit, a multiply and an add are two.\n\n",
        study->title, study->pictures, study->classes, study->epochs, study->seeds, study->test);
}

static void put_table(FILE *text, const struct lab_bineareye *study)
{
    static const uint32_t exposures[] = {LAB_LIGHT_EXPOSURES, 1, 3, LAB_LIGHT_NOMINAL, 7, 8};
    fputs("## Percent right\n\n| input | width, layers | million operations | as decoded | 1/16 | "
          "1/4 | 1 | 4 | 8 |\n|---|---|---|---|---|---|---|---|---|\n",
          text);
    for (uint32_t i = 0; i < LAB_BINEAREYE_INPUTS; i++) {
        const enum lab_bineareye_input input = (enum lab_bineareye_input)i;
        for (uint32_t s = 0; s < LAB_BINEAREYE_SHAPES; s++) {
            const struct lab_bineareye_shape *shape = &lab_bineareye_shapes[s];
            const uint32_t *c = shape->convolutions;
            fprintf(text, "| %s | %u, %u | %.0f |", input_titles[i], shape->width,
                    c[0] + c[1] + c[2] + 1,
                    lab_bineareye_operations(shape, lab_bineareye_planes(shape, input)) / 1e6);
            for (uint32_t e = 0; e < sizeof(exposures) / sizeof(exposures[0]); e++) {
                const struct lab_bineareye_value value =
                    lab_bineareye_value(study, input, s, exposures[e]);
                put_value(text, &value);
            }
            fputs("\n", text);
        }
    }
    fputs("\nExposures are of a simulated 16-bit sensor without noise, nominal white at 1/8 of "
          "full scale.\n\n![accuracy over operations](operations.svg)\n\n"
          "![accuracy over exposures, width 64](exposures.svg)\n",
          text);
}

static int put_report(const struct lab_bineareye *study)
{
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        lab_error("report.md: out of memory");
        return -ENOMEM;
    }
    put_head(text, study);
    fputs("## Claims\n\n", text);
    lab_bineareye_print_verdicts(study, text);
    fputs("\n", text);
    put_table(text, study);
    return lab_study_save(study->directory, "report", ".md", text, &bytes, &size);
}

/* ---- charts ---- */

/* A column of each input; rows that are not known have a dash, which charts pass over. */
static void put_pair(FILE *text, const struct lab_bineareye *study, uint32_t shape,
                     uint32_t exposure)
{
    for (uint32_t i = 0; i < LAB_BINEAREYE_INPUTS; i++) {
        const struct lab_bineareye_value value =
            lab_bineareye_value(study, (enum lab_bineareye_input)i, shape, exposure);
        if (value.seeds > 0) {
            fprintf(text, ",%.2f", value.mean);
        } else {
            fputs(",-", text);
        }
    }
    fputs("\n", text);
}

static int put_csv(const struct lab_bineareye *study, bool exposures)
{
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        lab_error("out of memory");
        return -ENOMEM;
    }
    fprintf(text, "%s,thermometer,log_gradient\n", exposures ? "exposure" : "operations");
    for (uint32_t e = 0; exposures && e < LAB_LIGHT_EXPOSURES; e++) {
        fprintf(text, "%g", (double)lab_light_exposures[e][0] / lab_light_exposures[e][1]);
        put_pair(text, study, LAB_BINEAREYE_DEEP, e);
    }
    for (uint32_t s = 0; !exposures && s < LAB_BINEAREYE_SHAPES; s++) {
        const struct lab_bineareye_shape *shape = &lab_bineareye_shapes[s];
        const uint32_t planes = lab_bineareye_planes(shape, LAB_BINEAREYE_THERMOMETER);
        fprintf(text, "%.0f", lab_bineareye_operations(shape, planes) / 1e6);
        put_pair(text, study, s, LAB_LIGHT_EXPOSURES);
    }
    return lab_study_save(study->directory, exposures ? "exposures" : "operations", ".csv", text,
                          &bytes, &size);
}

static int draw(const struct lab_bineareye *study, bool exposures)
{
    const char *csv = exposures ? "exposures.csv" : "operations.csv";
    const char *x = exposures ? "exposure" : "operations";
    const struct lab_series series[] = {
        {.csv = csv, .x = x, .y = "thermometer", .title = input_titles[0], .points = !exposures},
        {.csv = csv, .x = x, .y = "log_gradient", .title = input_titles[1], .points = !exposures},
    };
    const struct lab_plot plot = {
        .title = exposures ? "Width 64, nine layers" : "Widths and depths",
        .x = {exposures ? "exposure" : "million operations of a frame (thermometer)",
              exposures ? LAB_AXIS_LOG2 : LAB_AXIS_LOG10},
        .y = {"percent right", LAB_AXIS_LINEAR},
        .series = series,
        .series_count = 2,
    };
    return lab_plot_draw(&plot, study->directory, exposures ? "exposures" : "operations");
}

int lab_bineareye_report(const struct lab_bineareye *study)
{
    int r = put_csv(study, true);
    r = r < 0 ? r : put_csv(study, false);
    r = r < 0 ? r : put_report(study);
    const bool some = study->cells[0][LAB_BINEAREYE_DEEP][0].pictures > 0 &&
                      study->cells[1][LAB_BINEAREYE_DEEP][0].pictures > 0;
    r = r == 0 && some ? draw(study, true) : r;
    return r == 0 && some ? draw(study, false) : r;
}
