/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The study of log codes as Markdown, CSV and SVG. The same results give the same bytes; nothing in
 * here depends on when or how fast they came.
 */
#include "engine/lab/lognet.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/lab/lab.h"
#include "engine/lab/plot.h"

#define CLOSE 1.0 /* points within which accuracies count as one; more is "clearly" */

static const char *const part_titles[LAB_LOGNET_PARTS] = {
    "activations", "activations, ranges by the largest value alone", "weights of the dense layers",
    "weights of the convolutions"};
static const char *const grid_titles[LAB_LOGNET_GRIDS] = {"linear", "log, base 2",
                                                          "log, base sqrt 2"};

static const char *const training_titles[LAB_LOGNET_TRAININGS] = {"float", "log, base 2", "linear",
                                                                  "log, base sqrt 2"};

/* ---- claims ---- */

/* `known` false: a figure is missing. The text goes on after the verdict. */
static void put_verdict(FILE *text, bool known, bool held, const char *claim)
{
    fprintf(text, "- %s: %s", claim, !known ? "not known yet" : held ? "**held**" : "**missed**");
    fputs(known ? ", " : ".\n", text);
}

static bool complete(const struct lab_lognet *lognet, const struct lab_lognet_value *value)
{
    return value->seeds == lognet->seeds;
}

static struct lab_lognet_value coded(struct lab_lognet *lognet, enum lab_lognet_part part,
                                     enum lab_lognet_grid grid, uint32_t bits)
{
    const struct lab_lognet_coding coding = {part, grid, bits - LAB_LOGNET_BITS_MIN};
    return lab_lognet_coded(lognet, &coding);
}

/* `how` the ranges were found, for the text. */
static void judge_activations(struct lab_lognet *lognet, enum lab_lognet_part part, const char *how,
                              FILE *text)
{
    const struct lab_lognet_value whole = lab_lognet_accuracy(lognet, LAB_LOGNET_FLOAT);
    const struct lab_lognet_value log = coded(lognet, part, LAB_LOGNET_BASE2, 3);
    const struct lab_lognet_value linear = coded(lognet, part, LAB_LOGNET_STEPS, 3);
    char claim[160];
    bool known = complete(lognet, &whole) && complete(lognet, &log);
    snprintf(claim, sizeof(claim), "log activations of 3 bits are within 1 point of float (%s)",
             how);
    put_verdict(text, known, whole.mean - log.mean <= CLOSE, claim);
    if (known) {
        fprintf(text, "%.2f %% against %.2f %%, %.2f points lost\n", log.mean, whole.mean,
                whole.mean - log.mean);
    }
    known = known && complete(lognet, &linear);
    snprintf(claim, sizeof(claim),
             "linear activations of 3 bits lose clearly more (over 1 point) than log ones (%s)",
             how);
    put_verdict(text, known, log.mean - linear.mean > CLOSE, claim);
    if (known) {
        fprintf(text, "%.2f %% against %.2f %%, %.2f points lost\n", linear.mean, log.mean,
                whole.mean - linear.mean);
    }
}

static void judge_weights(struct lab_lognet *lognet, enum lab_lognet_part part,
                          enum lab_lognet_grid ahead, enum lab_lognet_grid behind, uint32_t bits,
                          FILE *text)
{
    const struct lab_lognet_value a = coded(lognet, part, ahead, bits);
    const struct lab_lognet_value b = coded(lognet, part, behind, bits);
    const bool known = complete(lognet, &a) && complete(lognet, &b);
    char claim[128];
    snprintf(claim, sizeof(claim), "%s of %u bits: %s is ahead of %s", part_titles[part], bits,
             grid_titles[ahead], grid_titles[behind]);
    put_verdict(text, known, a.mean > b.mean, claim);
    if (known) {
        fprintf(text, "%.2f %% against %.2f %%\n", a.mean, b.mean);
    }
}

static void judge_training(struct lab_lognet *lognet, enum lab_lognet_training ahead, FILE *text)
{
    const struct lab_lognet_value a = lab_lognet_accuracy(lognet, ahead);
    const struct lab_lognet_value b = lab_lognet_accuracy(lognet, LAB_LOGNET_LINEAR);
    const bool known = complete(lognet, &a) && complete(lognet, &b);
    uint32_t seeds = 0;
    char claim[128];
    for (uint32_t s = 0; s < lognet->seeds; s++) {
        seeds += lognet->trained[ahead][s].right > lognet->trained[LAB_LOGNET_LINEAR][s].right;
    }
    snprintf(claim, sizeof(claim), "training in codes of 5 bits: %s is ahead of linear",
             training_titles[ahead]);
    put_verdict(text, known, a.mean > b.mean, claim);
    if (known) {
        fprintf(text, "%.2f %% against %.2f %%, ahead with %" PRIu32 " of %" PRIu32 " seeds\n",
                a.mean, b.mean, seeds, lognet->seeds);
    }
}

void lab_lognet_print_verdicts(struct lab_lognet *lognet, FILE *text)
{
    judge_activations(lognet, LAB_LOGNET_ACTIVATIONS, "ranges chosen by the loss", text);
    judge_activations(lognet, LAB_LOGNET_PEAKS, "ranges by the largest value", text);
    judge_weights(lognet, LAB_LOGNET_DENSE, LAB_LOGNET_BASE2, LAB_LOGNET_STEPS, 4, text);
    judge_weights(lognet, LAB_LOGNET_CONV, LAB_LOGNET_ROOT2, LAB_LOGNET_BASE2, 4, text);
    judge_weights(lognet, LAB_LOGNET_CONV, LAB_LOGNET_ROOT2, LAB_LOGNET_BASE2, 5, text);
    judge_training(lognet, LAB_LOGNET_LOG, text);
    judge_training(lognet, LAB_LOGNET_SQRT2, text);
}

/* ---- tables ---- */

static void put_value(FILE *text, const struct lab_lognet_value *value)
{
    if (value->seeds == 0) {
        fputs(" - |", text);
    } else {
        fprintf(text, " %.2f (%.2f to %.2f) |", value->mean, value->low, value->high);
    }
}

static void put_head(FILE *text, const struct lab_lognet *lognet)
{
    fprintf(
        text,
        "# Logarithmic codes for weights, activations and gradients (%s)\n\n"
        "What `ocellus-lab reproduce lognet` found. It repeats experiments of Daisuke Miyashita, "
        "Edward H. Lee and Boris\nMurmann, *Convolutional Neural Networks using Logarithmic Data "
        "Representation* (1603.01025), with a small network.\n\n"
        "| | |\n|---|---|\n"
        "| training pictures | %" PRIu32 ", of %" PRIu32 " classes |\n| epochs | %" PRIu32 " |\n"
        "| seeds | %" PRIu32 ", 1 to %" PRIu32 " |\n| test pictures | %" PRIu32 " |\n"
        "| pictures to choose ranges by | the first %" PRIu32 " training pictures |\n\n",
        lognet->title, lognet->pictures, lognet->classes, lognet->epochs, lognet->seeds,
        lognet->seeds, lognet->test, lognet->calibration);
}

static void put_method(FILE *text)
{
    fputs(
        "## How\n\n"
        "- Data: 32x32 colour pictures in folders of JPEG files. CIFAR-10 is here "
        "JPEG-recompressed (quality about 75): no figure is\n  comparable with published ones.\n"
        "- Network: 3x3 convolutions of 16, 32 and 64 channels (batch norm, ReLU, 2x2 max pool "
        "each), dense layers of 64 (batch norm,\n  ReLU) and of the classes. SGD, rate 0.1 falling "
        "by a cosine, batch 128, mirroring. The paper's are AlexNet and VGG16 on\n  ImageNet, and "
        "a VGG-like network of 64 to 256 channels on CIFAR-10.\n"
        "- Codes: LogQuant and LinearQuant of the paper. b bits hold 2^b codes of the magnitude, "
        "zero among them; weights and gradients\n  have a sign beside them, so that \"5 bits\" of "
        "a weight take 6. The paper does not say whether its bits hold the sign: read the\n  row "
        "one above for the other reading. Log exponents are fsr - 2^b + 1 to fsr - 1, or on a grid "
        "of halves up to fsr - 1/2;\n  linear codes are 0 to 2^b - 1 steps of 2^(fsr - b). "
        "Nearest codes are taken, in the log domain for log ones.\n"
        "- Without retraining: batch norms are folded into the weights and biases first, then the "
        "one part is coded, everything else stays\n  float, the picture too. fsr of each layer: "
        "from the input on, the one of four (the one that holds the largest magnitude seen and\n  "
        "the three below) with the least cross-entropy on the pictures named above, after ReLU "
        "and the folded norm; earlier layers in\n  their codes. No test picture has a say. One "
        "table takes the range that holds the largest value "
        "as it is, as a\n  device does that does not look at losses.\n"
        "- Training: weights of all layers, outputs of all but the last and the gradients at every "
        "layer in codes of 5 bits, fsr tracked\n  (the largest magnitude of the weights, or a "
        "running one of the batches); master weights and updates are float (the paper's\n  "
        "algorithm 1). Initial weights and the order of pictures are the same for all "
        "trainings of a seed.\n\n",
        text);
}

static void put_trainings(FILE *text, const struct lab_lognet *lognet)
{
    static const char *const paper[LAB_LOGNET_TRAININGS] = {"94.10", "93.79", "92.53", ""};
    fputs("## Trained in codes of 5 bits\n\nTest accuracy in percent (CIFAR-10 JPEG-recompressed): "
          "mean over "
          "the seeds (lowest to highest), then each seed.\nThe paper's column is its CIFAR-10 "
          "network's.\n\n| weights, activations, gradients | accuracy |",
          text);
    for (uint32_t s = 0; s < lognet->seeds; s++) {
        fprintf(text, " seed %" PRIu32 " |", s + 1);
    }
    fputs(" paper |\n|---|---|", text);
    for (uint32_t s = 0; s < lognet->seeds; s++) {
        fputs("---|", text);
    }
    fputs("---|\n", text);
    for (uint32_t t = 0; t < LAB_LOGNET_TRAININGS; t++) {
        const struct lab_lognet_value value =
            lab_lognet_accuracy(lognet, (enum lab_lognet_training)t);
        fprintf(text, "| %s |", training_titles[t]);
        put_value(text, &value);
        for (uint32_t s = 0; s < lognet->seeds; s++) {
            const struct lab_lognet_trained *trained = &lognet->trained[t][s];
            if (trained->pictures == 0) {
                fputs(" - |", text);
            } else {
                fprintf(text, " %.2f%s |", 100.0 * trained->right / trained->pictures,
                        trained->diverged ? ", diverged" : "");
            }
        }
        fprintf(text, " %s |\n", paper[t]);
    }
    fputs("\n", text);
}

static void put_fsr(FILE *text, struct lab_lognet *lognet, const struct lab_lognet_coding *coding)
{
    const struct lab_lognet_row *row = lab_lognet_row(lognet, 0, coding);
    for (uint32_t l = 0; l < LAB_LOGNET_LAYERS; l++) {
        if (row->pictures > 0 &&
            (lab_lognet_has_weights(coding->part, l) || lab_lognet_has_outputs(coding->part, l))) {
            fprintf(text, " %d", row->fsr[l]);
        }
    }
    fputs(" |\n", text);
}

static void put_part(FILE *text, struct lab_lognet *lognet, enum lab_lognet_part part)
{
    const struct lab_lognet_value whole = lab_lognet_accuracy(lognet, LAB_LOGNET_FLOAT);
    struct lab_lognet_coding coding;
    fprintf(text,
            "### %s\n\n| code | bits%s | accuracy | points lost | fsr |\n|---|---|---|---|---|\n",
            part_titles[part], part < LAB_LOGNET_DENSE ? "" : ", with the sign");
    for (uint32_t i = 0; lab_lognet_coding_at(i, &coding); i++) {
        const struct lab_lognet_value value = lab_lognet_coded(lognet, &coding);
        const uint32_t bits = coding.bits + LAB_LOGNET_BITS_MIN;
        if (coding.part != part) {
            continue;
        }
        fprintf(text, "| %s | %" PRIu32, grid_titles[coding.grid], bits);
        if (part >= LAB_LOGNET_DENSE) {
            fprintf(text, ", %" PRIu32, bits + 1);
        }
        fputs(" |", text);
        put_value(text, &value);
        if (value.seeds > 0) {
            fprintf(text, " %.2f |", whole.mean - value.mean);
        } else {
            fputs(" - |", text);
        }
        put_fsr(text, lognet, &coding);
    }
    fprintf(text, "\n![%s](%s.svg)\n\n", part_titles[part], lab_lognet_part_names[part]);
}

static void put_parts(FILE *text, struct lab_lognet *lognet)
{
    const struct lab_lognet_value whole = lab_lognet_accuracy(lognet, LAB_LOGNET_FLOAT);
    fputs("## Without retraining\n\nTest accuracy in percent (CIFAR-10 JPEG-recompressed) of the "
          "float networks with one part coded: mean over the seeds (lowest\nto highest). ",
          text);
    fprintf(text,
            "Float has %.2f. fsr: of the coded layers, input first, with seed 1; all are in\n"
            "codings-SEED.csv.\n\n",
            whole.mean);
    for (uint32_t p = 0; p < LAB_LOGNET_PARTS; p++) {
        put_part(text, lognet, (enum lab_lognet_part)p);
    }
    fputs("The paper, top-5 accuracy of VGG16 on ImageNet, float 89.8: activations of 3 bits log "
          "89.2, linear 83.0, of 4 bits 89.8 and 89.4;\nthen convolution weights of 5 bits linear "
          "85.1, log base 2 83.4, base sqrt 2 89.0.\n\n",
          text);
}

/* ---- charts ---- */

static int write_chart(struct lab_lognet *lognet, enum lab_lognet_part part)
{
    const struct lab_lognet_value whole = lab_lognet_accuracy(lognet, LAB_LOGNET_FLOAT);
    const char *name = lab_lognet_part_names[part];
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        return -ENOMEM;
    }
    fputs("bits,float", text);
    for (uint32_t g = 0; g < LAB_LOGNET_GRIDS; g++) {
        fprintf(text, ",%s", lab_lognet_grid_names[g]);
    }
    for (uint32_t b = 0; b < LAB_LOGNET_BITS; b++) {
        fprintf(text, "\n%" PRIu32 ",%.3f", b + LAB_LOGNET_BITS_MIN, whole.mean);
        for (uint32_t g = 0; g < LAB_LOGNET_GRIDS; g++) {
            const struct lab_lognet_coding coding = {part, (enum lab_lognet_grid)g, b};
            const struct lab_lognet_value value = lab_lognet_coded(lognet, &coding);
            if (value.seeds > 0) {
                fprintf(text, ",%.3f", value.mean);
            } else {
                fputs(",", text);
            }
        }
    }
    fputs("\n", text);
    return lab_study_save(lognet->directory, name, ".csv", text, &bytes, &size);
}

static int draw(struct lab_lognet *lognet, enum lab_lognet_part part)
{
    const char *name = lab_lognet_part_names[part];
    char file[LAB_LOGNET_NAME_MAX];
    struct lab_series series[LAB_LOGNET_GRIDS + 1];
    snprintf(file, sizeof(file), "%s.csv", name);
    for (uint32_t g = 0; g < LAB_LOGNET_GRIDS; g++) {
        series[g] = (struct lab_series){
            .csv = file, .x = "bits", .y = lab_lognet_grid_names[g], .title = grid_titles[g]};
    }
    series[LAB_LOGNET_GRIDS] =
        (struct lab_series){.csv = file, .x = "bits", .y = "float", .title = "float"};
    const struct lab_plot plot = {.title = part_titles[part],
                                  .x = {.label = "bits of the magnitude"},
                                  .y = {.label = "percent right, mean over the seeds"},
                                  .series = series,
                                  .series_count = LAB_LOGNET_GRIDS + 1};
    int r = write_chart(lognet, part);
    return r < 0 ? r : lab_plot_draw(&plot, lognet->directory, name);
}

static bool all_trained(const struct lab_lognet *lognet)
{
    bool all = true;
    for (uint32_t t = 0; t < LAB_LOGNET_TRAININGS; t++) {
        const struct lab_lognet_value value =
            lab_lognet_accuracy(lognet, (enum lab_lognet_training)t);
        all = all && complete(lognet, &value);
    }
    return all;
}

static bool all_coded(struct lab_lognet *lognet)
{
    struct lab_lognet_coding coding;
    bool all = true;
    for (uint32_t i = 0; lab_lognet_coding_at(i, &coding); i++) {
        const struct lab_lognet_value value = lab_lognet_coded(lognet, &coding);
        all = all && complete(lognet, &value);
    }
    return all;
}

int lab_lognet_report(struct lab_lognet *lognet)
{
    const bool charts = all_coded(lognet), done = charts && all_trained(lognet);
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        lab_error("report: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    put_head(text, lognet);
    fprintf(text, "## What holds\n\n%s", done ? "" : "Not complete: trainings are missing.\n\n");
    lab_lognet_print_verdicts(lognet, text);
    fputs("\n", text);
    put_trainings(text, lognet);
    put_parts(text, lognet);
    put_method(text);
    int r = lab_study_save(lognet->directory, "report", ".md", text, &bytes, &size);
    for (uint32_t p = 0; r == 0 && charts && p < LAB_LOGNET_PARTS; p++) {
        r = draw(lognet, (enum lab_lognet_part)p);
    }
    return r;
}
