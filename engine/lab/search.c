/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab search: small networks within bounds on memory, model bytes and multiplications, by
 * aging evolution (Real et al. 2019, 1802.01548) with the fitness of uNAS (2010.14246, equation 2):
 * each tournament draws weights l in (0, 1] anew and takes the candidate with the least
 * max(error / (wanted l0), memory / (bound l1), bytes / (bound l2), macs / (bound l3)). Candidates
 * beyond a bound are not trained. A fifth of the training pictures is held out to tell the error.
 *
 * DIRECTORY
 *   NAME.ini        the recipe under a comment that says seed, pictures and classes
 *   NAME.csv        a row per candidate
 *   NAME-front.csv, report.md, search.svg   see search_report.c
 * A search goes on by walking the same way again: rows that are there stand for their training. So
 * it also goes on to more candidates.
 */
#include "engine/lab/search.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/learn.h"
#include "engine/lab/options.h"
#include "engine/lab/progress.h"
#include "engine/lab/threads.h"

#define DEFAULT_THREADS 2u
#define HELD_PART       5u
#define TRIES           10000u /* to find a network within the bounds */
#define REPORT_EVERY    10u    /* candidates */
#define ROWS_MAX        ((size_t)64 << 20)
#define STREAM          ((uint64_t)3 << 32) /* of train_random, beside those of learn.c */
#define DRAWS           ((uint64_t)1 << 24) /* random numbers of one candidate at most */
#define HEADER          "candidate,network,memory,bytes,macs,error,test_error\n"

struct search {
    struct lab_contest contests[LAB_SEARCH_RECIPES_MAX];
    uint32_t contest_count;
    struct kernel_table kernels;
    struct lab_threads *threads;
    struct train_workers workers;
    uint32_t cpu;
    uint64_t seed;
    const char *directory;
};

static int tell(const char *what, int r)
{
    lab_error("%s: %s", what, strerror(-r));
    return r;
}

static int out_of_memory(void)
{
    lab_error("out of memory");
    return -ENOMEM;
}

/* ---- opening ---- */

/* The recipe's text with the layers of a genome behind it. */
static int make_recipe(const struct lab_contest *contest, const struct lab_genome *genome,
                       uint32_t classes, struct lab_recipe *ret_recipe)
{
    char layers[LAB_GENOME_RECIPE], *text;
    lab_genome_recipe(genome, classes, layers);
    if (asprintf(&text, "%s\n%s", contest->text, layers) < 0) {
        return out_of_memory();
    }
    int r = lab_recipe_parse(contest->path, text, strlen(text), ret_recipe);
    free(text);
    return r;
}

static int read_recipe(struct lab_contest *contest)
{
    static const struct lab_genome smallest = {
        .block_count = 1, .blocks = {{.kernel = 1, .stride = 1, .channels = 2}}};
    uint8_t *bytes;
    size_t size;
    int r = lab_file_read(contest->path, LAB_RECIPE_BYTES_MAX, &bytes, &size);
    if (r < 0) {
        return tell(contest->path, r);
    }
    contest->text = strndup((const char *)bytes, size);
    free(bytes);
    if (!contest->text) {
        return out_of_memory();
    }
    r = make_recipe(contest, &smallest, 2, &contest->recipe);
    if (r == 0 && contest->recipe.layer_count != 2) {
        lab_error("%s: a recipe to search by has no layers", contest->path);
        r = -EINVAL;
    }
    if (r == 0 && contest->recipe.search.sample > contest->recipe.search.population) {
        lab_error("%s: the sample is larger than the population", contest->path);
        r = -EINVAL;
    }
    return r;
}

static int read_pictures(struct search *search, struct lab_contest *contest, const char *data,
                         const char *test)
{
    const struct network_input *input = &contest->recipe.input;
    int r = lab_samples_init(&contest->data, data, input, &search->kernels);
    if (r == 0) {
        r = lab_samples_hold_out(&contest->data, HELD_PART, &contest->held);
        if (r < 0) {
            lab_error("%s: %s", data,
                      r == -EINVAL ? "a class of fewer than 5 pictures" : strerror(-r));
        }
    }
    if (r == 0) {
        r = lab_samples_init(&contest->test, test, input, &search->kernels);
    }
    const struct lab_tree *trees[] = {&contest->data.tree, &contest->test.tree};
    bool equal = r == 0 && trees[0]->class_count == trees[1]->class_count;
    for (uint32_t c = 0; equal && c < trees[0]->class_count; c++) {
        equal = strcmp(trees[0]->classes[c], trees[1]->classes[c]) == 0;
    }
    if (r == 0 && !equal) {
        lab_error("the classes of --test are not those of --data");
        r = -EINVAL;
    }
    return r;
}

/* What the results depend on, in words; the caller frees it. NULL: no memory. */
static char *describe(const struct search *search, const struct lab_contest *contest)
{
    char *text;
    int length =
        asprintf(&text,
                 "# ocellus-lab search: seed %" PRIu64
                 ", %u pictures, %u held out, %u to test, %u classes\n%s",
                 search->seed, contest->data.tree.file_count, contest->held.tree.file_count,
                 contest->test.tree.file_count, contest->data.tree.class_count, contest->text);
    return length < 0 ? NULL : text;
}

/* NAME and an ending in the folder; the caller frees it. NULL: no memory. */
static char *path_of(const struct search *search, const struct lab_contest *contest,
                     const char *ending)
{
    char *path;
    return asprintf(&path, "%s/%s%s", search->directory, contest->recipe.name, ending) < 0 ? NULL
                                                                                           : path;
}

/* *ret_text is NULL where there is no such file. */
static int load(const char *path, char **ret_text)
{
    uint8_t *bytes;
    size_t size;
    int r = lab_file_read(path, ROWS_MAX, &bytes, &size);
    if (r == -ENOENT) {
        *ret_text = NULL;
        return 0;
    }
    if (r < 0) {
        return tell(path, r);
    }
    *ret_text = strndup((const char *)bytes, size);
    free(bytes);
    return *ret_text ? 0 : out_of_memory();
}

static int save(const char *path, const char *text)
{
    int r = lab_file_write(path, text, strlen(text));
    return r < 0 ? tell(path, r) : 0;
}

static const char *skip_candidates(const char *line)
{
    while (strncmp(line, "candidates", strlen("candidates")) == 0) {
        line = line + strcspn(line, "\n");
        line += *line == '\n';
    }
    return line;
}

/* Line by line, but for the number of candidates. */
static bool same_search(const char *a, const char *b)
{
    for (a = skip_candidates(a), b = skip_candidates(b); *a && *b;
         a = skip_candidates(a), b = skip_candidates(b)) {
        size_t length = strcspn(a, "\n") + 1;
        if (strncmp(a, b, length) != 0) {
            return false;
        }
        a += strlen(a) < length ? strlen(a) : length;
        b += strlen(b) < length ? strlen(b) : length;
    }
    return *a == *b;
}

/* Starts or goes on with one recipe's part of the folder. */
static int enter(const struct search *search, struct lab_contest *contest, bool go_on)
{
    char *recipe_path = path_of(search, contest, ".ini"), *found = NULL;
    char *rows_path = path_of(search, contest, ".csv"), *wanted = describe(search, contest);
    int r = recipe_path && rows_path && wanted ? load(recipe_path, &found) : out_of_memory();
    if (r == 0 && found && !go_on) {
        lab_error("%s is there; --resume goes on with it", recipe_path);
        r = -EEXIST;
    } else if (r == 0 && found && !same_search(found, wanted)) {
        lab_error("%s: made with another recipe, seed or data", recipe_path);
        r = -EINVAL;
    } else if (r == 0) {
        r = found ? load(rows_path, &contest->rows) : 0;
        r = r < 0 ? r : save(recipe_path, wanted);
    }
    if (r == 0 && !contest->rows) {
        contest->rows = strdup(HEADER);
        r = contest->rows ? 0 : out_of_memory();
    }
    free(recipe_path);
    free(rows_path);
    free(found);
    free(wanted);
    return r;
}

static int open_contest(struct search *search, uint32_t index, const struct lab_args *args)
{
    struct lab_contest *contest = &search->contests[index];
    contest->path = args->operands[index];
    search->contest_count++;
    int r = read_recipe(contest);
    for (uint32_t i = 0; r == 0 && i < index; i++) {
        if (strcmp(search->contests[i].recipe.name, contest->recipe.name) == 0) {
            lab_error("%s: the name '%s' is taken", contest->path, contest->recipe.name);
            r = -EINVAL;
        }
        if (r == 0 &&
            search->contests[i].recipe.search.candidates != contest->recipe.search.candidates) {
            lab_error("%s: has another number of candidates", contest->path);
            r = -EINVAL;
        }
    }
    if (r == 0) {
        r = read_pictures(search, contest, args->values[LAB_OPTION_DATA],
                          args->values[LAB_OPTION_TEST]);
    }
    if (r == 0) {
        contest->input = network_input_shape(&contest->recipe.input);
        contest->candidates =
            calloc(contest->recipe.search.candidates, sizeof(*contest->candidates));
        r = contest->candidates ? enter(search, contest, lab_args_given(args, LAB_OPTION_RESUME))
                                : out_of_memory();
    }
    return r;
}

static void close_all(struct search *search)
{
    for (uint32_t i = 0; i < search->contest_count; i++) {
        struct lab_contest *contest = &search->contests[i];
        lab_samples_finish(&contest->data);
        lab_samples_finish(&contest->held);
        lab_samples_finish(&contest->test);
        free(contest->text);
        free(contest->rows);
        free(contest->candidates);
    }
    lab_threads_destroy(search->threads);
}

/* ---- evolution ---- */

static bool fits(const struct lab_contest *contest, struct lab_candidate *candidate)
{
    const struct lab_recipe_search *bounds = &contest->recipe.search;
    const struct lab_genome_cost *cost = &candidate->cost;
    return lab_genome_cost(&candidate->genome, contest->input, contest->data.tree.class_count,
                           &candidate->cost) &&
           cost->memory <= bounds->memory && cost->bytes <= bounds->bytes &&
           cost->macs <= bounds->macs;
}

/* The smaller the fitter. */
static double burden(const struct lab_contest *contest, const struct lab_candidate *candidate,
                     const double *weights)
{
    const struct lab_recipe_search *bounds = &contest->recipe.search;
    double worst = candidate->error / ((double)bounds->error * weights[0]);
    worst = fmax(worst, (double)candidate->cost.memory / (bounds->memory * weights[1]));
    worst = fmax(worst, (double)candidate->cost.bytes / (bounds->bytes * weights[2]));
    return fmax(worst, (double)candidate->cost.macs / (bounds->macs * weights[3]));
}

static const struct lab_candidate *pick_parent(const struct lab_contest *contest, uint32_t index,
                                               struct lab_genome_random *random)
{
    const struct lab_recipe_search *spec = &contest->recipe.search;
    const struct lab_candidate *best = NULL;
    double weights[4];
    for (size_t i = 0; i < 4; i++) {
        weights[i] = (1.0 + lab_genome_draw(random, 1u << 24)) / 0x1p24;
    }
    for (uint32_t i = 0; i < spec->sample; i++) {
        const struct lab_candidate *one =
            &contest->candidates[index - 1 - lab_genome_draw(random, spec->population)];
        if (!best || burden(contest, one, weights) < burden(contest, best, weights)) {
            best = one;
        }
    }
    return best;
}

/* The genome of a candidate follows from the seed and the candidates before it. All recipes draw
 * the same numbers, so that they start from the same networks where these fit. */
static int breed(const struct search *search, const struct lab_contest *contest, uint32_t index,
                 struct lab_candidate *ret_candidate)
{
    struct lab_genome_random random = {search->seed, STREAM, index * DRAWS};
    const struct lab_candidate *parent =
        index < contest->recipe.search.population ? NULL : pick_parent(contest, index, &random);
    struct lab_candidate candidate = {0};
    for (uint32_t i = 0; i < TRIES; i++) {
        if (parent) {
            candidate.genome = parent->genome;
            lab_genome_mutate(&random, &candidate.genome);
        } else {
            lab_genome_random(&random, &candidate.genome);
        }
        bool same =
            parent && memcmp(&candidate.genome, &parent->genome, sizeof(parent->genome)) == 0;
        if (!same && fits(contest, &candidate)) {
            *ret_candidate = candidate;
            return 0;
        }
    }
    lab_error("%s: no network is found within the bounds", contest->path);
    return -ERANGE;
}

/* As it is read back from a table. */
static double error_of(struct lab_learner *learner, const struct lab_samples *samples)
{
    struct lab_score score;
    lab_learner_measure(learner, samples, &score);
    return floor((double)(score.count - score.right) * 1e6 / score.count + 0.5) / 1e6;
}

/* A network whose loss overflows is one that is always wrong. */
static int train_candidate(struct search *search, struct lab_contest *contest,
                           struct lab_candidate *candidate)
{
    struct lab_recipe *recipe = malloc(sizeof(*recipe)); /* too large for the stack */
    struct lab_learner learner;
    struct train_result mean;
    const char *reason = NULL;
    float rate;
    int r = recipe
                ? make_recipe(contest, &candidate->genome, contest->data.tree.class_count, recipe)
                : out_of_memory();
    if (r == 0) {
        r = lab_learner_init(&learner, recipe, &contest->data, search->seed, search->cpu,
                             &search->workers, &reason);
        if (r < 0) {
            lab_error("%s: %s", contest->path, reason ? reason : strerror(-r));
        } else {
            for (uint32_t e = 0; r == 0 && e < recipe->epochs; e++) {
                r = lab_learner_learn(&learner, NULL, &mean, &rate);
            }
            candidate->error = r == 0 ? error_of(&learner, &contest->held) : 1;
            candidate->test_error = r == 0 ? error_of(&learner, &contest->test) : 1;
            r = r == -ERANGE ? 0 : r;
            lab_learner_finish(&learner);
        }
    }
    free(recipe);
    return r;
}

/* ---- rows ---- */

static void write_row(const struct lab_candidate *candidate, uint32_t index, char *row, size_t room)
{
    char network[LAB_GENOME_TEXT];
    lab_genome_write(&candidate->genome, network);
    snprintf(row, room, "%u,%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.6f,%.6f\n", index + 1, network,
             candidate->cost.memory, candidate->cost.bytes, candidate->cost.macs, candidate->error,
             candidate->test_error);
}

/* Takes the errors from row `index` of the table. 1: there is no such row. */
static int read_row(const struct lab_contest *contest, uint32_t index,
                    struct lab_candidate *candidate)
{
    const char *row = contest->rows;
    char expected[LAB_GENOME_TEXT + 128];
    double *errors[] = {&candidate->error, &candidate->test_error};
    for (uint32_t i = 0; i <= index && row; i++) {
        row = strchr(row, '\n');
        row = row ? row + 1 : NULL;
    }
    if (!row || !strchr(row, '\n')) {
        return 1;
    }
    const char *at = row;
    for (uint32_t comma = 0; at && comma < 5; comma++) {
        at = strchr(at, ',');
        at = at ? at + 1 : NULL;
    }
    for (size_t i = 0; at && i < 2; i++) {
        char *end;
        *errors[i] = strtod(at, &end);
        at = end > at ? end + 1 : NULL;
    }
    write_row(candidate, index, expected, sizeof(expected));
    if (!at || strncmp(row, expected, strlen(expected)) != 0) {
        lab_error("%s.csv: row %u is not what this search would have written", contest->recipe.name,
                  index + 1);
        return -EINVAL;
    }
    return 0;
}

static int add_row(const struct search *search, struct lab_contest *contest,
                   const struct lab_candidate *candidate, uint32_t index)
{
    char row[LAB_GENOME_TEXT + 128], *rows, *path = path_of(search, contest, ".csv");
    write_row(candidate, index, row, sizeof(row));
    /* What a killed search may have left of a row goes. */
    char *end = strrchr(contest->rows, '\n');
    int whole = end ? (int)(end + 1 - contest->rows) : 0;
    if (!path || asprintf(&rows, "%.*s%s", whole, contest->rows, row) < 0) {
        free(path);
        return out_of_memory();
    }
    free(contest->rows);
    contest->rows = rows;
    int r = save(path, rows);
    free(path);
    printf("%s %s", contest->recipe.name, row);
    fflush(stdout);
    return r;
}

/* ---- the whole ---- */

/* The same network was trained before: the result is the same. */
static bool is_known(const struct lab_contest *contest, struct lab_candidate *candidate)
{
    for (uint32_t i = 0; i < contest->count; i++) {
        const struct lab_candidate *other = &contest->candidates[i];
        if (memcmp(&other->genome, &candidate->genome, sizeof(other->genome)) == 0) {
            candidate->error = other->error;
            candidate->test_error = other->test_error;
            return true;
        }
    }
    return false;
}

static int run_candidate(struct search *search, struct lab_contest *contest, uint32_t index)
{
    struct lab_candidate candidate;
    int r = breed(search, contest, index, &candidate);
    if (r < 0) {
        return r;
    }
    r = read_row(contest, index, &candidate);
    if (r == 1) {
        r = is_known(contest, &candidate) ? 0 : train_candidate(search, contest, &candidate);
        if (r == 0) {
            r = add_row(search, contest, &candidate, index);
        }
    }
    if (r == 0) {
        contest->candidates[contest->count++] = candidate;
    }
    return r;
}

static int run(struct search *search)
{
    uint32_t rounds = search->contests[0].recipe.search.candidates;
    struct lab_progress progress;
    int r = 0;
    lab_progress_init(&progress, "search", (uint64_t)rounds * search->contest_count);
    for (uint32_t i = 0; r == 0 && i < rounds; i++) {
        for (uint32_t c = 0; r == 0 && c < search->contest_count; c++) {
            r = run_candidate(search, &search->contests[c], i);
            lab_progress_step(&progress);
        }
        bool last = i + 1 == rounds;
        if (r == 0 && (last || (i + 1) % REPORT_EVERY == 0)) {
            r = lab_search_report(search->contests, search->contest_count, search->seed,
                                  search->directory, last);
        }
    }
    lab_progress_finish(&progress);
    return r;
}

static int parse(const struct lab_args *args, struct search *search, uint64_t *ret_threads)
{
    uint32_t mask = KERNEL_CPU_ALL;
    *ret_threads = DEFAULT_THREADS;
    search->seed = 1;
    if (lab_args_number(args, LAB_OPTION_SEED, 0, UINT64_MAX, &search->seed) < 0 ||
        lab_args_number(args, LAB_OPTION_THREADS, 1, LAB_THREADS_MAX, ret_threads) < 0 ||
        lab_args_cpu_mask(args, &mask) < 0) {
        return -EINVAL;
    }
    if (!args->operands[0] || args->operands[LAB_SEARCH_RECIPES_MAX]) {
        lab_error("search takes 1 to %u recipes", LAB_SEARCH_RECIPES_MAX);
        return -EINVAL;
    }
    search->cpu = kernel_cpu_detect() & mask;
    kernel_table_init(&search->kernels, search->cpu);
    search->directory = args->values[LAB_OPTION_OUT];
    return 0;
}

static int open_and_run(struct search *search, const struct lab_args *args, uint64_t threads)
{
    if (mkdir(search->directory, 0777) != 0 && errno != EEXIST) {
        return tell(search->directory, -errno);
    }
    int r = lab_threads_create((uint32_t)threads, &search->threads);
    if (r < 0) {
        return tell("threads", r);
    }
    search->workers = (struct train_workers){lab_threads_run, search->threads};
    for (uint32_t i = 0; r == 0 && i < LAB_SEARCH_RECIPES_MAX && args->operands[i]; i++) {
        r = open_contest(search, i, args);
    }
    return r == 0 ? run(search) : r;
}

int lab_search(const struct lab_args *args)
{
    struct search *search = calloc(1, sizeof(*search)); /* recipes are large */
    uint64_t threads;
    if (!search) {
        out_of_memory();
        return LAB_EXIT_FAILED;
    }
    if (parse(args, search, &threads) < 0) {
        free(search);
        return LAB_EXIT_USAGE;
    }
    int r = open_and_run(search, args, threads);
    close_all(search);
    free(search);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
