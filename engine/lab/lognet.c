/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See lognet.h. Recipes and results as files; trains and measures nothing. */
#include "engine/lab/lognet.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/lab.h"

static const char trained_header[] = "right,pictures,diverged\n";
static const char rows_header[] =
    "coded,grid,bits,right,pictures,conv1,conv2,conv3,dense1,dense2\n";

const char *const lab_lognet_training_names[LAB_LOGNET_TRAININGS] = {"float", "log", "linear",
                                                                     "sqrt2"};
const char *const lab_lognet_part_names[LAB_LOGNET_PARTS] = {"activations", "peaks", "dense",
                                                             "conv"};
const char *const lab_lognet_grid_names[LAB_LOGNET_GRIDS] = {"linear", "log", "log-sqrt2"};
const char *const lab_lognet_layer_names[LAB_LOGNET_LAYERS] = {"conv1", "conv2", "conv3", "dense1",
                                                               "dense2"};

bool lab_lognet_has_weights(enum lab_lognet_part part, uint32_t layer)
{
    return (part == LAB_LOGNET_CONV && layer < LAB_LOGNET_CONVS) ||
           (part == LAB_LOGNET_DENSE && layer >= LAB_LOGNET_CONVS);
}

bool lab_lognet_has_outputs(enum lab_lognet_part part, uint32_t layer)
{
    return (part == LAB_LOGNET_ACTIVATIONS || part == LAB_LOGNET_PEAKS) &&
           layer + 1 < LAB_LOGNET_LAYERS;
}

bool lab_lognet_coding_at(uint32_t index, struct lab_lognet_coding *ret_coding)
{
    *ret_coding = (struct lab_lognet_coding){
        .part = index / (LAB_LOGNET_BITS * LAB_LOGNET_GRIDS),
        .bits = index / LAB_LOGNET_GRIDS % LAB_LOGNET_BITS,
        .grid = index % LAB_LOGNET_GRIDS,
    };
    return ret_coding->part < LAB_LOGNET_PARTS;
}

struct lab_lognet_row *lab_lognet_row(struct lab_lognet *lognet, uint32_t seed,
                                      const struct lab_lognet_coding *coding)
{
    return &lognet->rows[seed][coding->part][coding->bits][coding->grid];
}

char *lab_lognet_recipe(const struct lab_lognet *lognet, enum lab_lognet_training training)
{
    static const unsigned channels[] = {16, 32, 64};
    static const char *const codings[LAB_LOGNET_TRAININGS] = {"f32", "log:5", "linear:5",
                                                              "log:5:sqrt2"};
    const char *coding = codings[training];
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        return NULL;
    }
    fprintf(text,
            "[model]\nname = %s\n"
            "[input]\nsource = srgb\ncoding = f32\nwidth = 32\nheight = 32\nplanes = rgb\n",
            lab_lognet_training_names[training]);
    for (unsigned i = 0; i < LAB_LOGNET_CONVS; i++) {
        fprintf(text,
                "[layer conv%u]\nop = conv\nout = %u\nkernel = 3\npad = 1\nnorm = yes\npool = 2\n"
                "weights = %s\n",
                i + 1, channels[i], coding);
    }
    fprintf(text,
            "[layer dense1]\nop = dense\nout = 64\nnorm = yes\nweights = %s\n"
            "[layer dense2]\nop = dense\nout = %u\nweights = %s\n"
            "[quantise]\nactivations = %s\ngradients = %s\n"
            "[train]\noptimiser = sgd\ndecay = 0.0005\nrate = 0.1\nwarmup = %u\nepochs = %u\n"
            "batch = 128\n[augment]\nmirror = yes\n",
            coding, lognet->classes, coding, coding, coding, lognet->epochs > 1, lognet->epochs);
    if (fclose(text) != 0) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

void lab_lognet_name(enum lab_lognet_training training, uint32_t seed,
                     char name[LAB_LOGNET_NAME_MAX])
{
    snprintf(name, LAB_LOGNET_NAME_MAX, "%s-%u", lab_lognet_training_names[training], seed + 1);
}

/* ---- results as files ---- */

static int tell(const char *name, int r)
{
    lab_error("%s.csv: %s", name, r == -EBADMSG ? "not what was written there" : strerror(-r));
    return r;
}

static bool plausible(const struct lab_lognet *lognet, uint32_t right, uint32_t pictures)
{
    return pictures == lognet->test && right <= pictures;
}

static int load_trained(struct lab_lognet *lognet, enum lab_lognet_training training, uint32_t seed)
{
    struct lab_lognet_trained *trained = &lognet->trained[training][seed];
    char name[LAB_LOGNET_NAME_MAX], *text;
    uint32_t right, pictures;
    unsigned diverged;
    lab_lognet_name(training, seed, name);
    int r = lab_study_load(lognet->directory, name, &text);
    if (r < 0 || !text) {
        return r;
    }
    const bool good = strncmp(text, trained_header, strlen(trained_header)) == 0 &&
                      sscanf(text + strlen(trained_header), "%" SCNu32 ",%" SCNu32 ",%u\n", &right,
                             &pictures, &diverged) == 3 &&
                      plausible(lognet, right, pictures) && diverged <= 1;
    free(text);
    if (!good) {
        return tell(name, -EBADMSG);
    }
    *trained = (struct lab_lognet_trained){right, pictures, diverged == 1};
    return 0;
}

int lab_lognet_save_trained(const struct lab_lognet *lognet, enum lab_lognet_training training,
                            uint32_t seed)
{
    const struct lab_lognet_trained *trained = &lognet->trained[training][seed];
    char name[LAB_LOGNET_NAME_MAX], *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    lab_lognet_name(training, seed, name);
    if (!text) {
        return tell(name, -ENOMEM);
    }
    fprintf(text, "%s%" PRIu32 ",%" PRIu32 ",%u\n", trained_header, trained->right,
            trained->pictures, (unsigned)trained->diverged);
    return lab_study_save(lognet->directory, name, ".csv", text, &bytes, &size);
}

static const char *rows_name(uint32_t seed, char name[LAB_LOGNET_NAME_MAX])
{
    snprintf(name, LAB_LOGNET_NAME_MAX, "codings-%u", seed + 1);
    return name;
}

static int coding_of(const char *part, const char *grid, uint32_t bits,
                     struct lab_lognet_coding *ret_coding)
{
    for (uint32_t i = 0; lab_lognet_coding_at(i, ret_coding); i++) {
        if (strcmp(part, lab_lognet_part_names[ret_coding->part]) == 0 &&
            strcmp(grid, lab_lognet_grid_names[ret_coding->grid]) == 0 &&
            bits == ret_coding->bits + LAB_LOGNET_BITS_MIN) {
            return 0;
        }
    }
    return -EBADMSG;
}

static int load_row(struct lab_lognet *lognet, uint32_t seed, const char *line)
{
    struct lab_lognet_coding coding;
    struct lab_lognet_row row;
    char part[16], grid[16];
    uint32_t bits;
    int fsr[LAB_LOGNET_LAYERS];
    if (sscanf(line, "%15[^,],%15[^,],%" SCNu32 ",%" SCNu32 ",%" SCNu32 ",%d,%d,%d,%d,%d", part,
               grid, &bits, &row.right, &row.pictures, &fsr[0], &fsr[1], &fsr[2], &fsr[3],
               &fsr[4]) != 10 ||
        coding_of(part, grid, bits, &coding) < 0 || !plausible(lognet, row.right, row.pictures)) {
        return -EBADMSG;
    }
    for (uint32_t i = 0; i < LAB_LOGNET_LAYERS; i++) {
        if (fsr[i] < -60 || fsr[i] > 60) {
            return -EBADMSG;
        }
        row.fsr[i] = (int8_t)fsr[i];
    }
    *lab_lognet_row(lognet, seed, &coding) = row;
    return 0;
}

static int load_rows(struct lab_lognet *lognet, uint32_t seed)
{
    char name[LAB_LOGNET_NAME_MAX], *text;
    int r = lab_study_load(lognet->directory, rows_name(seed, name), &text);
    if (r < 0 || !text) {
        return r;
    }
    char *at = text + strlen(rows_header);
    r = strncmp(text, rows_header, strlen(rows_header)) == 0 ? 0 : -EBADMSG;
    while (r == 0 && *at != '\0') {
        char *end = strchr(at, '\n');
        r = end ? load_row(lognet, seed, at) : -EBADMSG;
        at = end ? end + 1 : at;
    }
    free(text);
    return r < 0 ? tell(name, r) : 0;
}

int lab_lognet_save_rows(struct lab_lognet *lognet, uint32_t seed)
{
    struct lab_lognet_coding coding;
    char name[LAB_LOGNET_NAME_MAX], *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    rows_name(seed, name);
    if (!text) {
        return tell(name, -ENOMEM);
    }
    fputs(rows_header, text);
    for (uint32_t i = 0; lab_lognet_coding_at(i, &coding); i++) {
        const struct lab_lognet_row *row = lab_lognet_row(lognet, seed, &coding);
        if (row->pictures == 0) {
            continue;
        }
        fprintf(text, "%s,%s,%" PRIu32 ",%" PRIu32 ",%" PRIu32, lab_lognet_part_names[coding.part],
                lab_lognet_grid_names[coding.grid], coding.bits + LAB_LOGNET_BITS_MIN, row->right,
                row->pictures);
        for (uint32_t l = 0; l < LAB_LOGNET_LAYERS; l++) {
            fprintf(text, ",%d", row->fsr[l]);
        }
        fputc('\n', text);
    }
    return lab_study_save(lognet->directory, name, ".csv", text, &bytes, &size);
}

int lab_lognet_load(struct lab_lognet *lognet)
{
    int r = 0;
    for (uint32_t seed = 0; r == 0 && seed < lognet->seeds; seed++) {
        for (uint32_t t = 0; r == 0 && t < LAB_LOGNET_TRAININGS; t++) {
            r = load_trained(lognet, (enum lab_lognet_training)t, seed);
        }
        r = r < 0 ? r : load_rows(lognet, seed);
    }
    return r;
}

/* ---- means ---- */

static void add(struct lab_lognet_value *value, uint32_t right, uint32_t pictures)
{
    const double percent = 100.0 * right / (pictures > 0 ? pictures : 1);
    if (pictures == 0) {
        return;
    }
    value->low = value->seeds == 0 || percent < value->low ? percent : value->low;
    value->high = value->seeds == 0 || percent > value->high ? percent : value->high;
    value->mean = (value->mean * value->seeds + percent) / (value->seeds + 1);
    value->seeds++;
}

struct lab_lognet_value lab_lognet_accuracy(const struct lab_lognet *lognet,
                                            enum lab_lognet_training training)
{
    struct lab_lognet_value value = {0};
    for (uint32_t seed = 0; seed < lognet->seeds; seed++) {
        add(&value, lognet->trained[training][seed].right,
            lognet->trained[training][seed].pictures);
    }
    return value;
}

struct lab_lognet_value lab_lognet_coded(struct lab_lognet *lognet,
                                         const struct lab_lognet_coding *coding)
{
    struct lab_lognet_value value = {0};
    for (uint32_t seed = 0; seed < lognet->seeds; seed++) {
        const struct lab_lognet_row *row = lab_lognet_row(lognet, seed, coding);
        add(&value, row->right, row->pictures);
    }
    return value;
}
