/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What a search found: the candidates that none is both smaller and better than, as CSV and SVG,
 * and the model bytes that each recipe needs for the same error, as Markdown. Trains nothing.
 */
#include "engine/lab/search.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/plot.h"

static const double levels[] = {0.10, 0.08, 0.06, 0.05, 0.04, 0.03, 0.025, 0.02, 0.015, 0.01};

static int compare_sizes(const void *a, const void *b)
{
    const struct lab_candidate *const *x = a, *const *y = b;
    if ((*x)->cost.bytes != (*y)->cost.bytes) {
        return (*x)->cost.bytes < (*y)->cost.bytes ? -1 : 1;
    }
    return (*x)->error < (*y)->error ? -1 : (*x)->error > (*y)->error;
}

/* Those whose error is below that of all that are no larger, smallest first; the caller frees
 * *ret_front, which holds *ret_count of them. */
static int find_front(const struct lab_contest *contest, const struct lab_candidate ***ret_front,
                      uint32_t *ret_count)
{
    const struct lab_candidate **front = calloc(contest->count, sizeof(*front));
    uint32_t count = 0;
    if (!front) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < contest->count; i++) {
        front[i] = &contest->candidates[i];
    }
    qsort(front, contest->count, sizeof(*front), compare_sizes);
    for (uint32_t i = 0; i < contest->count; i++) {
        if (count == 0 || front[i]->error < front[count - 1]->error) {
            front[count++] = front[i];
        }
    }
    *ret_front = front;
    *ret_count = count;
    return 0;
}

static int save_text(const char *directory, const char *name, const char *ending, const char *text,
                     size_t size)
{
    char *path;
    if (asprintf(&path, "%s/%s%s", directory, name, ending) < 0) {
        return -ENOMEM;
    }
    int r = lab_file_write(path, text, size);
    if (r < 0) {
        lab_error("%s: %s", path, strerror(-r));
    }
    free(path);
    return r;
}

static int write_front(const struct lab_contest *contest, const char *directory)
{
    const struct lab_candidate **front;
    char *text = NULL, network[LAB_GENOME_TEXT];
    size_t size;
    uint32_t count;
    int r = find_front(contest, &front, &count);
    if (r < 0) {
        return r;
    }
    FILE *stream = open_memstream(&text, &size);
    r = stream ? 0 : -ENOMEM;
    if (r == 0) {
        fputs("bytes,error,test_error,memory,macs,network\n", stream);
        for (uint32_t i = 0; i < count; i++) {
            lab_genome_write(&front[i]->genome, network);
            fprintf(stream, "%" PRIu64 ",%.6f,%.6f,%" PRIu64 ",%" PRIu64 ",%s\n",
                    front[i]->cost.bytes, front[i]->error, front[i]->test_error,
                    front[i]->cost.memory, front[i]->cost.macs, network);
        }
        r = fclose(stream) == 0
                ? save_text(directory, contest->recipe.name, "-front.csv", text, size)
                : -ENOMEM;
    }
    free(text);
    free(front);
    return r;
}

/* The smallest with at most that error, or NULL. */
static const struct lab_candidate *smallest(const struct lab_contest *contest, double error)
{
    const struct lab_candidate *best = NULL;
    for (uint32_t i = 0; i < contest->count; i++) {
        const struct lab_candidate *one = &contest->candidates[i];
        if (one->error <= error && (!best || one->cost.bytes < best->cost.bytes)) {
            best = one;
        }
    }
    return best;
}

static void put_table(FILE *stream, const struct lab_contest *contests, uint32_t count)
{
    fputs("| error at most |", stream);
    for (uint32_t c = 0; c < count; c++) {
        fprintf(stream, " %s: bytes | MACs | memory | test error |", contests[c].recipe.name);
    }
    fputs(count == 2 ? " bytes, second / first |\n|---|" : "\n|---|", stream);
    for (uint32_t c = 0; c < count; c++) {
        fputs("---|---|---|---|", stream);
    }
    fputs(count == 2 ? "---|\n" : "\n", stream);
    for (size_t l = 0; l < sizeof(levels) / sizeof(levels[0]); l++) {
        const struct lab_candidate *found[LAB_SEARCH_RECIPES_MAX];
        fprintf(stream, "| %g %% |", 100 * levels[l]);
        for (uint32_t c = 0; c < count; c++) {
            found[c] = smallest(&contests[c], levels[l]);
            if (found[c]) {
                fprintf(stream, " %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %.2f %% |",
                        found[c]->cost.bytes, found[c]->cost.macs, found[c]->cost.memory,
                        100 * found[c]->test_error);
            } else {
                fputs(" none | | | |", stream);
            }
        }
        if (count == 2 && found[0] && found[1]) {
            fprintf(stream, " %.2f |", (double)found[1]->cost.bytes / (double)found[0]->cost.bytes);
        } else if (count == 2) {
            fputs(" |", stream);
        }
        fputc('\n', stream);
    }
}

static void put_report(FILE *stream, const struct lab_contest *contests, uint32_t count,
                       uint64_t seed)
{
    const struct lab_contest *first = &contests[0];
    const struct lab_recipe_search *bounds = &first->recipe.search;
    fputs("# Small networks by evolution", stream);
    if (first->count < bounds->candidates) {
        fprintf(stream, ": partial, %u of %u candidates", first->count, bounds->candidates);
    }
    fprintf(stream,
            "\n\n%u candidates for each recipe, seed %" PRIu64 ". Each learned %u epochs of %u "
            "pictures. Errors are those on %u held-out\ntraining pictures, by which the evolution "
            "chose; test errors on %u others. Bounds: memory %u bytes, model %u bytes, %u\n"
            "multiplications. The smallest model of each recipe that reaches an error:\n\n",
            first->count, seed, first->recipe.epochs, first->data.tree.file_count,
            first->held.tree.file_count, first->test.tree.file_count, bounds->memory, bounds->bytes,
            bounds->macs);
    put_table(stream, contests, count);
    fputs("\nBytes are those of 8-bit weights and 8 for each output. Memory counts a byte a value, "
          "inputs and outputs of one operation\ntogether. All candidates are in NAME.csv, those "
          "that none is both smaller and better than in NAME-front.csv, drawn in\nsearch.svg.\n",
          stream);
}

static int draw(const struct lab_contest *contests, uint32_t count, const char *directory)
{
    struct lab_series series[2 * LAB_SEARCH_RECIPES_MAX];
    char names[2 * LAB_SEARCH_RECIPES_MAX][NETWORK_NAME_MAX + 16];
    char titles[LAB_SEARCH_RECIPES_MAX][NETWORK_NAME_MAX + 16];
    const struct lab_plot plot = {.title = "Model size and error",
                                  .x = {"bytes of the model", LAB_AXIS_LOG10},
                                  .y = {"share wrong, held-out pictures", LAB_AXIS_LOG10},
                                  .series = series,
                                  .series_count = 2 * count};
    for (uint32_t c = 0; c < count; c++) {
        const char *name = contests[c].recipe.name;
        snprintf(names[2 * c], sizeof(names[0]), "%s.csv", name);
        snprintf(names[2 * c + 1], sizeof(names[0]), "%s-front.csv", name);
        snprintf(titles[c], sizeof(titles[0]), "%s, front", name);
        series[2 * c] = (struct lab_series){names[2 * c], "bytes", "error", name, true};
        series[2 * c + 1] =
            (struct lab_series){names[2 * c + 1], "bytes", "error", titles[c], false};
    }
    return lab_plot_draw(&plot, directory, "search");
}

int lab_search_report(const struct lab_contest *contests, uint32_t contest_count, uint64_t seed,
                      const char *directory, bool print)
{
    char *text = NULL;
    size_t size;
    int r = 0;
    for (uint32_t c = 0; r == 0 && c < contest_count; c++) {
        r = write_front(&contests[c], directory);
    }
    FILE *stream = r == 0 ? open_memstream(&text, &size) : NULL;
    if (stream) {
        put_report(stream, contests, contest_count, seed);
        r = fclose(stream) == 0 ? save_text(directory, "report", ".md", text, size) : -ENOMEM;
    } else if (r == 0) {
        r = -ENOMEM;
    }
    if (r == 0 && print) {
        printf("\n%s", text);
    }
    free(text);
    if (r == -ENOMEM) {
        lab_error("out of memory");
    }
    if (r == 0) {
        draw(contests, contest_count, directory); /* what goes wrong is told and passed over */
    }
    return r;
}
