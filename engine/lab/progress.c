/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The progress bar of ocellus-lab. Draws at most ten times a second; knows nothing of the work. */
#include "engine/lab/progress.h"

#include <string.h>
#include <unistd.h>

#define BAR_WIDTH   30u
#define REDRAW_NS   100000000LL
#define PLAIN_STEPS 10u

static int64_t nanoseconds_since(const struct timespec *start, const struct timespec *now)
{
    return (int64_t)(now->tv_sec - start->tv_sec) * 1000000000LL + (now->tv_nsec - start->tv_nsec);
}

void lab_progress_init(struct lab_progress *progress, const char *what, uint64_t total)
{
    memset(progress, 0, sizeof(*progress));
    progress->stream = stderr;
    progress->what = what;
    progress->total = total;
    progress->terminal = isatty(fileno(stderr)) == 1;
    clock_gettime(CLOCK_MONOTONIC, &progress->start);
}

static void draw_bar(struct lab_progress *progress, const struct timespec *now)
{
    char bar[BAR_WIDTH + 1];
    uint64_t filled = progress->done * BAR_WIDTH / progress->total;
    for (uint64_t i = 0; i < BAR_WIDTH; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    bar[BAR_WIDTH] = '\0';
    double elapsed = (double)nanoseconds_since(&progress->start, now) / 1e9;
    double left = elapsed * (double)(progress->total - progress->done) / (double)progress->done;
    fprintf(progress->stream, "\r%s [%s] %3u%% %llu/%llu, %.0f s left\033[K", progress->what, bar,
            (unsigned)(progress->done * 100 / progress->total), (unsigned long long)progress->done,
            (unsigned long long)progress->total, left);
    fflush(progress->stream);
    progress->shown = *now;
}

void lab_progress_step(struct lab_progress *progress)
{
    uint64_t before = progress->done * PLAIN_STEPS / progress->total;
    progress->done++;
    if (!progress->terminal) {
        if (progress->done * PLAIN_STEPS / progress->total != before) {
            fprintf(progress->stream, "%s: %llu/%llu\n", progress->what,
                    (unsigned long long)progress->done, (unsigned long long)progress->total);
        }
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (nanoseconds_since(&progress->shown, &now) >= REDRAW_NS) {
        draw_bar(progress, &now);
    }
}

void lab_progress_finish(struct lab_progress *progress)
{
    if (progress->terminal) {
        fputs("\r\033[K", progress->stream);
        fflush(progress->stream);
    }
}
