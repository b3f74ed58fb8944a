/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What adapt found, as Markdown, tables and a chart. Computes means and nothing else. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/lab/adapt_study.h"
#include "engine/lab/lab.h"
#include "engine/lab/plot.h"
#include "engine/lab/study.h"

#define LAST (LAB_ADAPT_STOPS - 1) /* all labels */

/* ---- means ---- */

enum value { SCENE = 0, ORIGINAL, DARK, BRIGHT, RECORD, STORE, DEVICE };

static double value_of(const struct lab_adapt_outcome *o, enum value value)
{
    switch (value) {
    case SCENE:
        return o->scene;
    case ORIGINAL:
        return o->original;
    case DARK:
        return o->dark;
    case BRIGHT:
        return o->bright;
    case RECORD:
        return (double)o->record;
    case STORE:
        return (double)o->store;
    default:
        return (double)o->device;
    }
}

struct range {
    double low, mean, high;
};

static void take(struct range *range, uint32_t *count, double value)
{
    range->low = *count == 0 ? value : fmin(range->low, value);
    range->high = *count == 0 ? value : fmax(range->high, value);
    range->mean += (value - range->mean) / ++*count;
}

/* Over the draws of a scene; scene SCENES: of all. `over`: what is taken off, of the same draw. */
static struct range range_of(const struct lab_adapt_results *results, uint32_t scene,
                             uint32_t scheme, uint32_t stop, enum value value, enum value over,
                             bool from_before)
{
    const uint32_t first = scene < LAB_ADAPT_SCENES ? scene : 0;
    const uint32_t end = scene < LAB_ADAPT_SCENES ? scene + 1 : LAB_ADAPT_SCENES;
    struct range range = {0};
    uint32_t count = 0;

    for (uint32_t s = first; s < end; s++) {
        for (uint32_t draw = 0; draw < results->seeds; draw++) {
            const struct lab_adapt_outcome *o = &results->after[s][draw][scheme][stop];
            double x = value_of(o, value);

            if (from_before) {
                x -= value_of(&results->before[s][draw], over);
            } else if (over != value) {
                x -= value_of(o, over);
            }
            take(&range, &count, x);
        }
    }
    return range;
}

static struct range plain(const struct lab_adapt_results *results, uint32_t scene, uint32_t scheme,
                          uint32_t stop, enum value value)
{
    return range_of(results, scene, scheme, stop, value, value, false);
}

static struct range before_of(const struct lab_adapt_results *results, uint32_t scene)
{
    struct range range = {0};
    uint32_t count = 0;

    for (uint32_t draw = 0; draw < results->seeds; draw++) {
        take(&range, &count, results->before[scene][draw].scene);
    }
    return range;
}

/* ---- text ---- */

static void put_scenes(const struct lab_adapt_results *results, FILE *text)
{
    fprintf(text,
            "# Learning from %u labels (%s)\n\n"
            "What `ocellus-lab adapt` found. Five scenes are made of %u test windows, each "
            "what a fixed camera does to every window\nthat it sees, and as strong as the "
            "model's balanced accuracy in it falls to %.0f %%:\n\n"
            "- *dusk*: few electrons (30,000 at white, halved 12 times at strength 1), photon "
            "noise, read noise of 3, 12 bits;\n"
            "- *blur*: a Gaussian, of 4 pixels at strength 1;\n"
            "- *fence*: four dark bars of 2 pixels at fixed places, as opaque as the strength;\n"
            "- *hedge*: of the height the part that the strength says, from below, behind a "
            "fixed soft texture;\n"
            "- *glass*: a fixed soft pattern of light added, the strength its share of white.\n\n"
            "%u windows of %u photographs are labelled, half of each class. Nothing that is "
            "measured comes from these\nphotographs, mirrored windows included. Draws of "
            "labels a scene: %u. Light is that of a sensor whose nominal white is\n1/8 of its "
            "scale.\n\n",
            LAB_ADAPT_LABELS, results->model, results->windows, LAB_ADAPT_AIM, LAB_ADAPT_LABELS,
            LAB_ADAPT_LABELS, results->seeds);
    fputs("- *trainer*: what the daemon does, one record, the trainer's rule picks between "
          "low-rank weights and prototypes;\n"
          "- *prototypes*, *biases*: one record of these alone;\n"
          "- *sgd*: the obvious alternative, a step in the same layer at each label and the "
          "model's file written again.\n\n",
          text);
}

static void put_table(const struct lab_adapt_results *results, FILE *text)
{
    fprintf(text,
            "## After %u labels\n\nBalanced accuracy in the scene, percent, mean of the draws; in "
            "brackets the change of the accuracy on the windows as\nthey are, in points.\n\n"
            "| scene | strength | before |",
            LAB_ADAPT_LABELS);
    for (uint32_t s = 0; s < LAB_ADAPT_SCHEMES; s++) {
        fprintf(text, " %s |", lab_adapt_schemes[s]);
    }
    fputs(" worst and best draw of the trainer |\n|---|---|---|---|---|---|---|---|\n", text);
    for (uint32_t scene = 0; scene < LAB_ADAPT_SCENES; scene++) {
        const struct range draws = plain(results, scene, LAB_ADAPT_RULE, LAST, SCENE);

        fprintf(text, "| %s | %.3f | %.1f |", lab_adapt_names[scene], results->strength[scene],
                before_of(results, scene).mean);
        for (uint32_t s = 0; s < LAB_ADAPT_SCHEMES; s++) {
            fprintf(text, " %.1f (%+.1f) |", plain(results, scene, s, LAST, SCENE).mean,
                    range_of(results, scene, s, LAST, ORIGINAL, ORIGINAL, true).mean);
        }
        fprintf(text, " %.1f to %.1f |\n", draws.low, draws.high);
    }
}

static uint32_t count_prototypes(const struct lab_adapt_results *results)
{
    uint32_t count = 0;

    for (uint32_t scene = 0; scene < LAB_ADAPT_SCENES; scene++) {
        for (uint32_t draw = 0; draw < results->seeds; draw++) {
            count += results->after[scene][draw][LAB_ADAPT_RULE][LAST].prototypes;
        }
    }
    return count;
}

static void put_labels(const struct lab_adapt_results *results, bool chart, FILE *text)
{
    fprintf(text,
            "\nThe rule picked prototypes in %u of %u draws.\n\n## After fewer labels\n\n"
            "Mean of all scenes, and of the worst one. Fewer labels are the first of the same "
            "draw.\n\n| labels |",
            count_prototypes(results), LAB_ADAPT_SCENES * results->seeds);
    for (uint32_t s = 0; s < LAB_ADAPT_SCHEMES; s++) {
        fprintf(text, " %s | worst |", lab_adapt_schemes[s]);
    }
    fputs("\n|---|---|---|---|---|---|---|---|---|\n", text);
    for (uint32_t stop = 0; stop < LAB_ADAPT_STOPS; stop++) {
        fprintf(text, "| %u |", lab_adapt_stops[stop]);
        for (uint32_t s = 0; s < LAB_ADAPT_SCHEMES; s++) {
            double worst = 100;

            for (uint32_t scene = 0; scene < LAB_ADAPT_SCENES; scene++) {
                worst = fmin(worst, plain(results, scene, s, stop, SCENE).mean);
            }
            fprintf(text, " %.1f | %.1f |", plain(results, LAB_ADAPT_SCENES, s, stop, SCENE).mean,
                    worst);
        }
        fputs("\n", text);
    }
    fputs(chart ? "\n![Accuracy against labels](labels.svg)\n\n" : "\n", text);
}

static void put_light(const struct lab_adapt_results *results, FILE *text)
{
    fputs("## Other light\n\nTaught at nominal light, measured at 1/16 and at 4 times of it: "
          "change against nominal light, in points, of the trainer.\n\n| | 1/16 | 4 |\n|---|---|"
          "---|\n",
          text);
    for (uint32_t scene = 0; scene < LAB_ADAPT_SCENES; scene++) {
        fprintf(text, "| %s | %+.1f | %+.1f |\n", lab_adapt_names[scene],
                range_of(results, scene, LAB_ADAPT_RULE, LAST, DARK, SCENE, false).mean,
                range_of(results, scene, LAB_ADAPT_RULE, LAST, BRIGHT, SCENE, false).mean);
    }
}

static void put_bytes(const struct lab_adapt_results *results, FILE *text)
{
    fprintf(text, "\n## Bytes for %u labels\n\n", LAB_ADAPT_LABELS);
    if (results->block > 0) {
        fprintf(
            text,
            "Mean of all draws, and the largest in brackets. *Records*: what the trainer "
            "hands to the store, of sgd the file %u\ntimes; *in the store*: with the store's "
            "own bytes; *at the device*: what the block device counts, under a file system "
            "of\n%u bytes a block, from the first label until all is written back, metadata and "
            "journal included. "
            "The store exists before, as in a daemon\nthat runs; making it takes %" PRIu64
            " bytes once. The file of sgd is written in place and synced each time, the "
            "cheapest way\nthere is: a crash in between leaves a mixture.\n\n"
            "| | records | in the store | at the device |\n|---|---|---|---|\n",
            LAB_ADAPT_LABELS, results->block, results->made);
    } else {
        fprintf(text,
                "What the trainer hands to the store, of sgd the file %u times; the "
                "largest in brackets. No device was measured (`--disk`).\n\n"
                "| | records |\n|---|---|\n",
                LAB_ADAPT_LABELS);
    }
    for (uint32_t s = 0; s < LAB_ADAPT_SCHEMES; s++) {
        const struct range record = plain(results, LAB_ADAPT_SCENES, s, LAST, RECORD);
        const struct range store = plain(results, LAB_ADAPT_SCENES, s, LAST, STORE);
        const struct range device = plain(results, LAB_ADAPT_SCENES, s, LAST, DEVICE);

        fprintf(text, "| %s | %.0f (%.0f) |", lab_adapt_schemes[s], record.mean, record.high);
        if (results->block > 0 && s == LAB_ADAPT_SGD) {
            fprintf(text, " - | %.0f (%.0f) |", device.mean, device.high);
        } else if (results->block > 0) {
            fprintf(text, " %.0f (%.0f) | %.0f (%.0f) |", store.mean, store.high, device.mean,
                    device.high);
        }
        fputs("\n", text);
    }
}

static const struct lab_adapt_row *today_of(const struct lab_adapt_choice *choice, uint32_t scheme)
{
    uint32_t i = 0;

    while (choice->rows[i].scheme != scheme || !choice->rows[i].today) {
        i++;
    }
    return &choice->rows[i];
}

/* Of the factors of the grid only the first varies in the report. */
static bool shown(const struct lab_adapt_row *row, const struct lab_adapt_row *today,
                  const struct lab_adapt_row *best)
{
    const char *a = strchr(row->what, ','), *b = strchr(today->what, ',');

    return row == today || row == best || row->scheme != LAB_ADAPT_RULE ||
           strncmp(row->what, "margin ", 7) != 0 || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void put_rows(const struct lab_adapt_choice *choice, uint32_t scheme, FILE *text)
{
    const struct lab_adapt_row *best = lab_adapt_best(choice, scheme);
    const struct lab_adapt_row *today = today_of(choice, scheme);

    for (uint32_t i = 0; i < choice->count; i++) {
        const struct lab_adapt_row *row = &choice->rows[i];

        if (row->scheme == scheme && shown(row, today, best)) {
            fprintf(text, "| %s | %s%s%s | %.2f | %.2f | %+.2f | %+.2f (%.2f) | %.0f |\n",
                    lab_adapt_schemes[scheme], row->what, row == today ? " (ships)" : "",
                    row == best ? " (best)" : "", row->mean, row->worst, row->change, row->gain,
                    row->error, row->record);
        }
    }
}

static void put_choice(const struct lab_adapt_results *results, FILE *text)
{
    const struct lab_adapt_choice *choice = results->choice;

    fputs("\n## Where the settings were chosen\n\n", text);
    if (choice == NULL) {
        fputs("Not in this run (`--data`).\n", text);
        return;
    }
    fprintf(
        text,
        "On the %u windows of `--data`, none of them a test window; of `person` those that its "
        "recipe held out of the training\n(`recipes/hold-out TRAIN OUT person:160 "
        "background:300`). Other patterns, other draws, %u a scene, all before a test\nwindow "
        "was read. %u settings were tried; `settings.csv` has all of them. A setting takes the "
        "place of what ships if its\nmean is the largest of those with at most 1 point lost on "
        "the windows as they are and 16 KiB of record, and is larger\nby more than two standard "
        "errors. The rates of *biases* and *sgd* were chosen alike. *Windows as they are*: "
        "change of the\naccuracy, in points, of the worst scene. *Gain*: over what ships, mean "
        "of pairs, its standard error in brackets.\n\n"
        "| | setting | balanced | worst scene | windows as they are | gain | bytes |\n"
        "|---|---|---|---|---|---|---|\n",
        choice->windows, choice->draws, choice->count);
    for (uint32_t scheme = 0; scheme < LAB_ADAPT_SCHEMES; scheme++) {
        put_rows(choice, scheme, text);
    }
}

static void put_all(const struct lab_adapt_results *results, bool chart, FILE *text)
{
    put_scenes(results, text);
    put_table(results, text);
    put_labels(results, chart, text);
    put_light(results, text);
    put_bytes(results, text);
    put_choice(results, text);
}

void lab_adapt_print(const struct lab_adapt_results *results, FILE *text)
{
    put_all(results, false, text);
}

/* ---- files ---- */

static void put_draws_csv(const struct lab_adapt_results *results, FILE *text)
{
    fputs("scene,draw,scheme,labels,before,balanced,original_before,original,dark,bright,record,"
          "store,device\n",
          text);
    for (uint32_t i = 0; i < LAB_ADAPT_SCENES * results->seeds; i++) {
        const uint32_t scene = i / results->seeds, draw = i % results->seeds;
        const struct lab_adapt_outcome *b = &results->before[scene][draw];

        for (uint32_t k = 0; k < LAB_ADAPT_SCHEMES * LAB_ADAPT_STOPS; k++) {
            const uint32_t scheme = k / LAB_ADAPT_STOPS, stop = k % LAB_ADAPT_STOPS;
            const struct lab_adapt_outcome *o = &results->after[scene][draw][scheme][stop];

            fprintf(text,
                    "%s,%u,%s,%u,%.3f,%.3f,%.3f,%.3f,%.3f,%.3f,%" PRIu64 ",%" PRIu64 ",%" PRIu64
                    "\n",
                    lab_adapt_names[scene], draw + 1, lab_adapt_schemes[scheme],
                    lab_adapt_stops[stop], b->scene, o->scene, b->original, o->original, o->dark,
                    o->bright, o->record, o->store, o->device);
        }
    }
}

static void put_labels_csv(const struct lab_adapt_results *results, FILE *text)
{
    double before = 0;

    for (uint32_t scene = 0; scene < LAB_ADAPT_SCENES; scene++) {
        before += before_of(results, scene).mean / LAB_ADAPT_SCENES;
    }
    fputs("labels", text);
    for (uint32_t s = 0; s < LAB_ADAPT_SCHEMES; s++) {
        fprintf(text, ",%s", lab_adapt_schemes[s]);
    }
    fputs("\n0", text);
    for (uint32_t s = 0; s < LAB_ADAPT_SCHEMES; s++) {
        fprintf(text, ",%.3f", before);
    }
    for (uint32_t stop = 0; stop < LAB_ADAPT_STOPS; stop++) {
        fprintf(text, "\n%u", lab_adapt_stops[stop]);
        for (uint32_t s = 0; s < LAB_ADAPT_SCHEMES; s++) {
            fprintf(text, ",%.3f", plain(results, LAB_ADAPT_SCENES, s, stop, SCENE).mean);
        }
    }
    fputs("\n", text);
}

static void put_settings_csv(const struct lab_adapt_results *results, FILE *text)
{
    fputs("scheme,setting,ships,balanced,worst,change,gain,error,record\n", text);
    for (uint32_t i = 0; i < results->choice->count; i++) {
        const struct lab_adapt_row *row = &results->choice->rows[i];

        fprintf(text, "%s,\"%s\",%d,%.3f,%.3f,%.3f,%.3f,%.3f,%.0f\n",
                lab_adapt_schemes[row->scheme], row->what, row->today, row->mean, row->worst,
                row->change, row->gain, row->error, row->record);
    }
}

static void put_report(const struct lab_adapt_results *results, FILE *text)
{
    put_all(results, true, text);
}

static int write_file(const struct lab_adapt_results *results, const char *directory,
                      const char *name, const char *suffix,
                      void (*put)(const struct lab_adapt_results *results, FILE *text))
{
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);

    if (text == NULL) {
        lab_error("%s%s: %s", name, suffix, strerror(ENOMEM));
        return -ENOMEM;
    }
    put(results, text);
    return lab_study_save(directory, name, suffix, text, &bytes, &size);
}

static int draw_labels(const char *directory)
{
    struct lab_series series[LAB_ADAPT_SCHEMES];

    for (uint32_t s = 0; s < LAB_ADAPT_SCHEMES; s++) {
        series[s] = (struct lab_series){.csv = "labels.csv",
                                        .x = "labels",
                                        .y = lab_adapt_schemes[s],
                                        .title = lab_adapt_schemes[s]};
    }
    const struct lab_plot plot = {.title = "Balanced accuracy, mean of five scenes",
                                  .x = {.label = "labels"},
                                  .y = {.label = "percent"},
                                  .series = series,
                                  .series_count = LAB_ADAPT_SCHEMES};
    return lab_plot_draw(&plot, directory, "labels");
}

int lab_adapt_report(const struct lab_adapt_results *results, const char *directory)
{
    int r = mkdir(directory, 0777) == 0 || errno == EEXIST ? 0 : -errno;

    if (r < 0) {
        lab_error("%s: %s", directory, strerror(-r));
    }
    if (r == 0) {
        r = write_file(results, directory, "draws", ".csv", put_draws_csv);
    }
    if (r == 0) {
        r = write_file(results, directory, "labels", ".csv", put_labels_csv);
    }
    if (r == 0 && results->choice != NULL) {
        r = write_file(results, directory, "settings", ".csv", put_settings_csv);
    }
    if (r == 0) {
        r = write_file(results, directory, "report", ".md", put_report);
    }
    return r < 0 ? r : draw_labels(directory);
}
