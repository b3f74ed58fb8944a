/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What the light study consists of, its choices, and its results as files. Trains nothing. */
#include "engine/lab/light.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/lab.h"

#define USUAL_RATIO 1u /* index of 9/8, with which floors are studied */
#define STUDY_SEED  1u

const char *const lab_light_sensor_names[] = {"16-bit", "12-bit", "12-bit-noise"};
const char *const lab_light_input_names[] = {"srgb", "float", "seven", "ternary", "noisy"};
const char *const lab_light_input_titles[] = {"sRGB, 8 bit", "log gradient, float",
                                              "log gradient, 7 levels", "log gradient, 1.5 bit",
                                              "log gradient, 1.5 bit, set for noise"};
const char *const lab_light_exposure_names[] = {"1/32", "1/16", "1/8", "1/4", "1/2",
                                                "1",    "2",    "4",   "8"};
const uint32_t lab_light_exposures[][2] = {{1, 32}, {1, 16}, {1, 8}, {1, 4}, {1, 2},
                                           {1, 1},  {2, 1},  {4, 1}, {8, 1}};
const uint16_t lab_light_floors[] = {8, 32, 128};
const struct gradient_ratio lab_light_ratios[] = {{17, 16}, {9, 8}, {5, 4}, {3, 2}};
const uint32_t lab_light_filters[] = {32, 16, 8, 4, 2};

/* ---- choices ---- */

double lab_light_mean(const struct lab_light_curve *curve, enum lab_light_sensor sensor)
{
    double sum = 0.0;
    for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
        sum += curve->right[sensor][e];
    }
    return curve->pictures > 0 ? sum / LAB_LIGHT_EXPOSURES / curve->pictures : 0.0;
}

static bool better(const struct lab_light_curve *a, const struct lab_light_curve *b,
                   enum lab_light_sensor sensor)
{
    return lab_light_mean(a, sensor) > lab_light_mean(b, sensor);
}

static bool best_floor(const struct lab_light *light, enum lab_light_sensor sensor,
                       uint32_t *ret_index)
{
    uint32_t best = 0;
    for (uint32_t f = 0; f < LAB_LIGHT_FLOORS; f++) {
        if (light->floors[f].pictures == 0) {
            return false;
        }
        best = better(&light->floors[f], &light->floors[best], sensor) ? f : best;
    }
    *ret_index = best;
    return true;
}

bool lab_light_choose_floor(const struct lab_light *light, uint16_t *ret_floor)
{
    uint32_t index;
    if (!best_floor(light, LAB_LIGHT_16, &index)) {
        return false;
    }
    *ret_floor = lab_light_floors[index];
    return true;
}

bool lab_light_choose(const struct lab_light *light, enum lab_light_sensor sensor,
                      struct lab_light_choice *ret_choice)
{
    uint16_t floor;
    uint32_t index;
    if (!lab_light_choose_floor(light, &floor) || !best_floor(light, sensor, &index)) {
        return false;
    }
    struct lab_light_choice choice = {lab_light_floors[index], lab_light_ratios[USUAL_RATIO]};
    const struct lab_light_curve *best = &light->floors[index];
    for (uint32_t r = 0; r < LAB_LIGHT_RATIOS; r++) {
        const struct lab_light_curve *curve = &light->ratios[r];
        if (r != USUAL_RATIO && curve->pictures == 0) {
            return false;
        }
        if (r != USUAL_RATIO && better(curve, best, sensor)) {
            choice = (struct lab_light_choice){floor, lab_light_ratios[r]};
            best = curve;
        }
    }
    *ret_choice = choice;
    return true;
}

/* ---- jobs ---- */

bool lab_light_study_job(struct lab_light *light, uint32_t index, struct lab_light_job *ret_job)
{
    struct lab_light_job job = {.input = LAB_LIGHT_TERNARY, .seed = STUDY_SEED, .study = true};
    if (index < LAB_LIGHT_FLOORS) {
        job.choice =
            (struct lab_light_choice){lab_light_floors[index], lab_light_ratios[USUAL_RATIO]};
        job.curve = &light->floors[index];
    } else {
        index -= LAB_LIGHT_FLOORS;
        index += index >= USUAL_RATIO; /* the floors have that one */
        if (index >= LAB_LIGHT_RATIOS || !lab_light_choose_floor(light, &job.choice.floor)) {
            return false;
        }
        job.choice.ratio = lab_light_ratios[index];
        job.curve = &light->ratios[index];
    }
    snprintf(job.name, sizeof(job.name), "study-floor-%u-ratio-%u-%u", job.choice.floor,
             job.choice.ratio.p, job.choice.ratio.q);
    *ret_job = job;
    return true;
}

bool lab_light_input_job(struct lab_light *light, enum lab_light_input input, uint32_t seed,
                         struct lab_light_job *ret_job)
{
    struct lab_light_job job = {.input = input, .seed = seed + 1};
    struct lab_light_choice usual;
    if (input != LAB_LIGHT_SRGB) {
        if (!lab_light_choose(light, LAB_LIGHT_16, &usual)) {
            return false;
        }
        job.choice = usual;
    }
    if (input == LAB_LIGHT_NOISY) {
        lab_light_choose(light, LAB_LIGHT_NOISE, &job.choice); /* known with the usual one */
        if (job.choice.floor == usual.floor && job.choice.ratio.p == usual.ratio.p &&
            job.choice.ratio.q == usual.ratio.q) {
            return false;
        }
    }
    job.curve = &light->inputs[input][seed];
    snprintf(job.name, sizeof(job.name), "%s-%u", lab_light_input_names[input], seed + 1);
    *ret_job = job;
    return true;
}

bool lab_light_pruning_job(struct lab_light *light, uint32_t which, uint32_t seed,
                           struct lab_light_job *ret_job, char name[LAB_LIGHT_NAME_MAX],
                           struct lab_light_pruning **ret_pruning)
{
    enum lab_light_input input = which == 0 ? LAB_LIGHT_SRGB : LAB_LIGHT_TERNARY;
    if (!lab_light_input_job(light, input, seed, ret_job)) {
        return false;
    }
    snprintf(name, LAB_LIGHT_NAME_MAX, "pruned-%s-%u", lab_light_input_names[input], seed + 1);
    *ret_pruning = &light->pruned[which][seed];
    return true;
}

static void print_input(FILE *text, const struct lab_light_job *job)
{
    const struct gradient_ratio *ratio = &job->choice.ratio;
    fputs("[input]\nwidth = 32\nheight = 32\nplanes = rgb\n", text);
    switch (job->input) {
    case LAB_LIGHT_SRGB:
        fputs("source = srgb\ncoding = f32\n", text);
        return;
    case LAB_LIGHT_FLOAT:
        fputs("coding = f32\n", text);
        break;
    case LAB_LIGHT_SEVEN: /* each logarithm about twice the one before */
        fputs("coding = seven\nratio = 9/8 5/4 8/5\n", text);
        break;
    default:
        fprintf(text, "coding = ternary\nratio = %u/%u\n", ratio->p, ratio->q);
        break;
    }
    fprintf(text, "source = log-gradient\nfloor = %u\n", job->choice.floor);
}

char *lab_light_recipe(const struct lab_light *light, const struct lab_light_job *job)
{
    static const unsigned channels[] = {32, 64, 128};
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        return NULL;
    }
    fprintf(text, "[model]\nname = %s\n", job->name);
    print_input(text, job);
    for (unsigned i = 0; i < 3; i++) {
        fprintf(text,
                "[layer conv%u]\nop = conv\nout = %u\nkernel = 3\npad = 1\nnorm = yes\npool = 2\n",
                i + 1, channels[i]);
    }
    fprintf(text,
            "[layer fc]\nop = dense\nout = %u\n"
            "[quantise]\nweights = f32\nactivations = f32\n"
            "[train]\ndecay = 0.0005\nrate = 0.002\nwarmup = %u\nepochs = %u\nbatch = 64\n"
            "[augment]\nshift = 2\nmirror = yes\n",
            light->classes, light->epochs > 1, light->epochs);
    if (fclose(text) != 0) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

/* ---- results as files ---- */

static int tell(const char *name, int r, const char *reason)
{
    lab_error("%s: %s", name, reason ? reason : strerror(-r));
    return r;
}

static void print_curve(FILE *text, const struct lab_light_curve *curve)
{
    fprintf(text, "sensor,exposure,right,pictures\nnone,1,%u,%u\n", curve->decoded,
            curve->pictures);
    for (uint32_t s = 0; s < LAB_LIGHT_SENSORS; s++) {
        for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
            fprintf(text, "%s,%s,%u,%u\n", lab_light_sensor_names[s], lab_light_exposure_names[e],
                    curve->right[s][e], curve->pictures);
        }
    }
}

int lab_light_save_curve(const struct lab_light *light, const struct lab_light_job *job)
{
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        return tell(job->name, -ENOMEM, NULL);
    }
    print_curve(text, job->curve);
    return lab_study_save(light->directory, job->name, ".csv", text, &bytes, &size);
}

/* A row's two numbers, in the order in which they are written; false: it is not that row. */
static bool read_row(char **at, const char *sensor, const char *exposure, uint32_t *ret_right,
                     uint32_t *pictures)
{
    char head[64];
    uint32_t right, count;
    int used = 0;
    int length = snprintf(head, sizeof(head), "%s,%s,", sensor, exposure);
    if (strncmp(*at, head, (size_t)length) != 0 ||
        sscanf(*at + length, "%" SCNu32 ",%" SCNu32 "%n", &right, &count, &used) != 2 ||
        (*at)[length + used] != '\n' || count == 0 || right > count ||
        (*pictures != 0 && *pictures != count)) {
        return false;
    }
    *at += length + used + 1;
    *ret_right = right;
    *pictures = count;
    return true;
}

int lab_light_load_curve(const struct lab_light *light, const struct lab_light_job *job)
{
    static const char header[] = "sensor,exposure,right,pictures\n";
    struct lab_light_curve curve = {0};
    char *text;
    memset(job->curve, 0, sizeof(*job->curve));
    int r = lab_study_load(light->directory, job->name, &text);
    if (r < 0 || !text) {
        return r;
    }
    char *at = text;
    bool good = strncmp(at, header, strlen(header)) == 0;
    if (good) {
        at += strlen(header);
        good = read_row(&at, "none", "1", &curve.decoded, &curve.pictures);
    }
    for (uint32_t s = 0; s < LAB_LIGHT_SENSORS; s++) {
        for (uint32_t e = 0; good && e < LAB_LIGHT_EXPOSURES; e++) {
            good = read_row(&at, lab_light_sensor_names[s], lab_light_exposure_names[e],
                            &curve.right[s][e], &curve.pictures);
        }
    }
    free(text);
    if (!good || curve.pictures != (job->study ? light->held : light->test)) {
        return tell(job->name, -EBADMSG, "its CSV file is not what was written there");
    }
    *job->curve = curve;
    return 0;
}

int lab_light_save_pruning(const struct lab_light *light, const char *name,
                           const struct lab_light_pruning *pruning)
{
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        return tell(name, -ENOMEM, NULL);
    }
    fputs("filters,similarity,right,pictures\n", text);
    for (uint32_t i = 0; i < LAB_LIGHT_STEPS; i++) {
        fprintf(text, "%u,%.6f,%u,%u\n", lab_light_filters[i], pruning->similarity[i],
                pruning->right[i], pruning->pictures);
    }
    return lab_study_save(light->directory, name, ".csv", text, &bytes, &size);
}

int lab_light_load_pruning(const struct lab_light *light, const char *name,
                           struct lab_light_pruning *ret_pruning)
{
    struct lab_light_pruning pruning = {0};
    char *text;
    memset(ret_pruning, 0, sizeof(*ret_pruning));
    int r = lab_study_load(light->directory, name, &text);
    if (r < 0 || !text) {
        return r;
    }
    char *at = strchr(text, '\n');
    bool good = at != NULL;
    for (uint32_t i = 0; good && i < LAB_LIGHT_STEPS; i++) {
        uint32_t filters;
        good = sscanf(at + 1, "%" SCNu32 ",%lf,%" SCNu32 ",%" SCNu32 "\n", &filters,
                      &pruning.similarity[i], &pruning.right[i], &pruning.pictures) == 4 &&
               filters == lab_light_filters[i] && pruning.pictures == light->test &&
               pruning.right[i] <= pruning.pictures;
        at = good ? strchr(at + 1, '\n') : NULL;
        good = good && at;
    }
    free(text);
    if (!good) {
        return tell(name, -EBADMSG, "its CSV file is not what was written there");
    }
    *ret_pruning = pruning;
    return 0;
}
