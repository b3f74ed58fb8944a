/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See lrt_run.h. A saved state holds the rows as well, so that both always agree. */
#include "engine/lab/lrt_run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "engine/lab/file.h"
#include "engine/lab/lab.h"

#define FOLLOW    0.001 /* weight of a picture in the running accuracy */
#define GATE      0.01
#define ROWS_MAX  ((size_t)256 << 10)
#define STATE_MAX ((size_t)1 << 30)

static const char columns[] = "picture,accuracy,last,terms,samples,changes,density,held,ms\n";

struct run {
    const struct lab_lrt_cell *cell;
    const struct lab_lrt_place *place;
    struct lab_lrt_net net, frozen; /* frozen: of gated cells */
    struct lab_lrt_learner learner;
    char csv[4096], state[4096];
    uint8_t *saved; /* room for a state */
    size_t saved_bytes;
    char *rows;
    struct progress {
        uint64_t pictures, rows_bytes;
        double accuracy, recent[2]; /* running means; of the gate: learner, frozen */
        double seconds;
        uint8_t right[LAB_LRT_LAST];
    } progress;
};

size_t lab_lrt_base_bytes(const struct lab_lrt_net *net)
{
    return net->state_bytes + LAB_LRT_NORMS * sizeof(uint32_t);
}

void lab_lrt_base_save(const struct lab_lrt_net *net, uint8_t *base)
{
    memcpy(base, net->memory, net->state_bytes);
    for (uint32_t i = 0; i < LAB_LRT_NORMS; i++) {
        memcpy(base + net->state_bytes + i * sizeof(uint32_t), &net->norm[i].steps,
               sizeof(uint32_t));
    }
}

void lab_lrt_base_load(struct lab_lrt_net *net, const uint8_t *base)
{
    memcpy(net->memory, base, net->state_bytes);
    for (uint32_t i = 0; i < LAB_LRT_NORMS; i++) {
        memcpy(&net->norm[i].steps, base + net->state_bytes + i * sizeof(uint32_t),
               sizeof(uint32_t));
    }
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        lab_lrt_net_touch(net, i);
    }
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- one picture ---- */

static bool answer(struct run *run, const float *pixels, uint32_t label)
{
    struct progress *p = &run->progress;
    const bool still = run->cell->scheme.kind == LAB_LRT_INFERENCE;
    lab_lrt_net_forward(&run->net, pixels, !still);
    bool right = lab_lrt_net_class(&run->net) == label;
    if (run->cell->gated) {
        lab_lrt_net_forward(&run->frozen, pixels, false);
        const bool other = lab_lrt_net_class(&run->frozen) == label;
        const bool learner = p->recent[0] > p->recent[1];
        p->recent[0] += GATE * (right - p->recent[0]);
        p->recent[1] += GATE * (other - p->recent[1]);
        right = learner ? right : other;
    }
    return right;
}

static void one(struct run *run, const struct lab_lrt_stream *stream)
{
    struct progress *p = &run->progress;
    float pixels[LAB_LRT_PIXELS];
    uint32_t label;
    lab_lrt_picture(stream, p->pictures, pixels, &label);
    const bool right = answer(run, pixels, label);
    p->accuracy += FOLLOW * (right - p->accuracy);
    p->right[p->pictures % LAB_LRT_LAST] = right;
    lab_lrt_learn(&run->learner, label);
    p->pictures++;
    if (p->pictures % LAB_LRT_DRIFT_EACH == 0) {
        lab_lrt_drift(&run->net, run->cell->environment, run->cell->seed, p->pictures);
    }
}

static void add_row(struct run *run)
{
    struct progress *p = &run->progress;
    struct lab_lrt_worst worst;
    uint64_t last = p->pictures < LAB_LRT_LAST ? p->pictures : LAB_LRT_LAST, right = 0;
    lab_lrt_worst(&run->learner, &worst);
    for (uint64_t i = 0; i < last; i++) {
        right += p->right[i];
    }
    int used =
        snprintf(run->rows + p->rows_bytes, ROWS_MAX - p->rows_bytes,
                 "%llu,%.5f,%.4f,%llu,%llu,%llu,%.4g,%llu,%.2f\n", (unsigned long long)p->pictures,
                 p->accuracy / (1 - pow(1 - FOLLOW, (double)p->pictures)),
                 (double)right / (double)last, (unsigned long long)worst.terms,
                 (unsigned long long)worst.samples, (unsigned long long)worst.changes,
                 (double)worst.all_changes / ((double)worst.cells * (double)p->pictures),
                 (unsigned long long)run->learner.held, 1e3 * p->seconds / (double)p->pictures);
    p->rows_bytes += (uint64_t)used;
}

/* ---- broken off and taken up ---- */

static int save(struct run *run)
{
    memcpy(run->saved, &run->progress, sizeof(run->progress));
    memcpy(run->saved + sizeof(run->progress), run->rows, ROWS_MAX);
    lab_lrt_save(&run->learner, run->saved + sizeof(run->progress) + ROWS_MAX);
    int r = lab_file_write(run->csv, run->rows, run->progress.rows_bytes);
    return r < 0 ? r : lab_file_write(run->state, run->saved, run->saved_bytes);
}

static int restore(struct run *run)
{
    uint8_t *bytes;
    size_t size;
    int r = lab_file_read(run->state, STATE_MAX, &bytes, &size);
    if (r < 0) {
        return r == -ENOENT ? 0 : r;
    }
    if (size == run->saved_bytes) {
        memcpy(&run->progress, bytes, sizeof(run->progress));
        memcpy(run->rows, bytes + sizeof(run->progress), ROWS_MAX);
        lab_lrt_restore(&run->learner, bytes + sizeof(run->progress) + ROWS_MAX);
    } else {
        r = -EBADMSG;
    }
    free(bytes);
    return r;
}

static int start(struct run *run)
{
    const struct lab_lrt_cell *cell = run->cell;
    const uint32_t cpu = run->place->cpu;
    int r = lab_lrt_net_create(&run->net, cell->bits, cell->seed, cpu);
    if (r == 0 && cell->gated) {
        r = lab_lrt_net_create(&run->frozen, cell->bits, cell->seed, cpu);
    }
    if (r == 0) {
        r = lab_lrt_learner_create(&run->learner, &cell->scheme, &run->net, cell->seed, cpu);
    }
    if (r < 0) {
        return r;
    }
    if (!cell->scratch) {
        lab_lrt_base_load(&run->net, run->place->base);
        if (cell->gated) {
            lab_lrt_base_load(&run->frozen, run->place->base);
        }
    }
    run->saved_bytes = sizeof(run->progress) + ROWS_MAX + lab_lrt_state_bytes(&run->learner);
    run->saved = malloc(run->saved_bytes);
    run->rows = calloc(1, ROWS_MAX);
    if (!run->saved || !run->rows) {
        return -ENOMEM;
    }
    memcpy(run->rows, columns, sizeof(columns) - 1);
    run->progress.rows_bytes = sizeof(columns) - 1;
    return restore(run);
}

static int work(struct run *run)
{
    const struct lab_lrt_cell *cell = run->cell;
    const struct lab_lrt_stream stream = {
        .digits = run->place->digits,
        .source = LAB_LRT_FROM_ONLINE,
        .environment = cell->environment,
        .seed = cell->seed,
        .length = cell->pictures,
    };
    struct progress *p = &run->progress;
    double before = now_s();
    while (p->pictures < cell->pictures) {
        one(run, &stream);
        if (p->pictures % LAB_LRT_ROW_EACH == 0 || p->pictures == cell->pictures) {
            const double now = now_s();
            p->seconds += now - before;
            before = now;
            add_row(run);
        }
        if (p->pictures % LAB_LRT_SAVE_EACH == 0 || p->pictures == cell->pictures) {
            int r = save(run);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

int lab_lrt_cell_run(const struct lab_lrt_cell *cell, const struct lab_lrt_place *place)
{
    struct run *run = calloc(1, sizeof(*run));
    char lock[4096];
    if (!run) {
        return -ENOMEM;
    }
    *run = (struct run){.cell = cell, .place = place};
    struct lab_lrt_outcome done = {0};
    if (lab_lrt_cell_read(cell, place->directory, 0, &done) == 0 &&
        done.pictures == cell->pictures) {
        free(run);
        return 0;
    }
    snprintf(run->csv, sizeof(run->csv), "%s/%s.csv", place->directory, cell->name);
    snprintf(run->state, sizeof(run->state), "%s/%s.state", place->directory, cell->name);
    snprintf(lock, sizeof(lock), "%s/%s.lock", place->directory, cell->name);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    int r = fd < 0 ? -errno : 0;
    if (r == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        r = -EAGAIN;
    }
    if (r == 0) {
        r = start(run);
    }
    if (r == 0) {
        r = work(run);
    }
    if (r == 0) {
        unlink(run->state);
        unlink(lock);
    } else if (r != -EAGAIN) {
        lab_error("%s: %s", cell->name, strerror(-r));
    }
    if (fd >= 0) {
        close(fd);
    }
    lab_lrt_learner_destroy(&run->learner);
    lab_lrt_net_destroy(&run->net);
    lab_lrt_net_destroy(&run->frozen);
    free(run->saved);
    free(run->rows);
    free(run);
    return r;
}

int lab_lrt_cell_read(const struct lab_lrt_cell *cell, const char *directory, uint64_t picture,
                      struct lab_lrt_outcome *ret_outcome)
{
    struct lab_lrt_outcome o = {0};
    char path[4096];
    uint8_t *bytes;
    size_t size;
    double held;
    snprintf(path, sizeof(path), "%s/%s.csv", directory, cell->name);
    int r = lab_file_read(path, ROWS_MAX - 1, &bytes, &size);
    if (r < 0) {
        return r;
    }
    bool found = false;
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(bytes + at, '\n', size - at);
        const size_t length = end ? (size_t)(end - bytes) - at : size - at;
        char row[256] = {0};
        unsigned long long count;
        memcpy(row, bytes + at, length < sizeof(row) ? length : sizeof(row) - 1);
        at += length + 1;
        if (sscanf(row, "%llu,%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf", &count, &o.accuracy, &o.last,
                   &o.terms, &o.samples, &o.changes, &o.density, &held, &o.milliseconds) == 9 &&
            (picture == 0 || count == picture)) {
            o.pictures = count;
            *ret_outcome = o;
            found = true;
        }
    }
    free(bytes);
    return found ? 0 : -ENOENT;
}
