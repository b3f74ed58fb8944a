/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Writes gnuplot scripts and runs gnuplot. Strings go in between single quotes, where gnuplot
 * expands nothing; paths are handed over as the folder it runs in, never in the script.
 */
#include "engine/lab/plot.h"

#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/lab/file.h"
#include "engine/lab/lab.h"

#define FRACTIONS 12 /* of a log 2 axis are written as such, from 1/2 down */

static void put_quoted(FILE *script, const char *text)
{
    fputc('\'', script);
    for (; *text; text++) {
        if (*text == '\'') {
            fputc('\'', script);
        }
        fputc(*text, script);
    }
    fputc('\'', script);
}

static void put_axis(FILE *script, char letter, const struct lab_axis *axis)
{
    fprintf(script, "set %clabel ", letter);
    put_quoted(script, axis->label);
    fputc('\n', script);
    if (axis->scale == LAB_AXIS_LOG10) {
        fprintf(script, "set logscale %c 10\n", letter);
    }
    if (axis->scale == LAB_AXIS_LOG2) {
        /* A full list of marks in place of gnuplot's own makes it warn about their room. */
        fprintf(script, "set logscale %c 2\nset %ctics 2\n", letter, letter);
        for (int power = 1; power <= FRACTIONS; power++) {
            fprintf(script, "set %ctics add ('1/%d' 2.0**-%d)\n", letter, 1 << power, power);
        }
    }
}

static void put_script(FILE *script, const struct lab_plot *plot, const char *name)
{
    fputs("# Drawn by: gnuplot ", script);
    fprintf(script, "%s.gp, in this folder\n", name);
    fputs("set terminal svg size 800,500 noenhanced background 'white'\nset output ", script);
    fprintf(script, "'%s.svg'\nset datafile separator comma\nset grid\nset key below\nset title ",
            name);
    put_quoted(script, plot->title);
    fputc('\n', script);
    put_axis(script, 'x', &plot->x);
    put_axis(script, 'y', &plot->y);
    for (uint32_t i = 0; i < plot->series_count; i++) {
        const struct lab_series *series = &plot->series[i];
        fputs(i == 0 ? "plot " : ", \\\n     ", script);
        put_quoted(script, series->csv);
        fputs(" using (column(", script);
        put_quoted(script, series->x);
        fputs(")):(column(", script);
        put_quoted(script, series->y);
        fprintf(script, ")) with %s pointtype 7 pointsize 0.5 title ",
                series->points ? "points" : "linespoints");
        put_quoted(script, series->title);
    }
    fputc('\n', script);
}

static bool clean(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool all_clean(const struct lab_plot *plot, const char *name)
{
    bool good = plot->series_count > 0 && clean(plot->title) && clean(plot->x.label) &&
                clean(plot->y.label) && clean(name) && !strpbrk(name, "'/");
    for (uint32_t i = 0; good && i < plot->series_count; i++) {
        const struct lab_series *series = &plot->series[i];
        good = clean(series->csv) && !strchr(series->csv, '/') && clean(series->x) &&
               clean(series->y) && clean(series->title);
    }
    return good;
}

/* Runs gnuplot on a script in a folder. -ENOENT: there is no gnuplot. */
static int run_gnuplot(const char *directory, const char *script)
{
    /* -d: without the user's own settings. posix_spawn changes no argument. */
    char *const arguments[] = {(char *)(uintptr_t) "gnuplot", (char *)(uintptr_t) "-d",
                               (char *)(uintptr_t)script, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status;
    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0) {
        return -r;
    }
    r = posix_spawn_file_actions_addchdir_np(&actions, directory);
    if (r == 0) {
        r = posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    if (r != 0) {
        return -r;
    }
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

static int write_script(const struct lab_plot *plot, const char *directory, const char *name)
{
    char *text = NULL, *path = NULL;
    size_t size;
    FILE *script = open_memstream(&text, &size);
    if (!script) {
        return -ENOMEM;
    }
    put_script(script, plot, name);
    int r = fclose(script) == 0 ? 0 : -ENOMEM;
    if (r == 0 && asprintf(&path, "%s/%s.gp", directory, name) < 0) {
        path = NULL;
        r = -ENOMEM;
    }
    if (r == 0) {
        r = lab_file_write(path, text, size);
    }
    free(path);
    free(text);
    return r;
}

int lab_plot_draw(const struct lab_plot *plot, const char *directory, const char *name)
{
    char *script = NULL;
    int r = all_clean(plot, name) ? write_script(plot, directory, name) : -EINVAL;
    if (r < 0) {
        lab_error("%s/%s.gp: %s", directory, name, strerror(-r));
        return r;
    }
    if (asprintf(&script, "%s.gp", name) < 0) {
        lab_error("out of memory");
        return -ENOMEM;
    }
    r = run_gnuplot(directory, script);
    if (r == -ENOENT) {
        lab_error("%s/%s.svg is not drawn: gnuplot is not installed (the package gnuplot-nox); "
                  "'gnuplot %s' draws it there",
                  directory, name, script);
        r = 0;
    } else if (r < 0) {
        lab_error("%s/%s.svg: gnuplot: %s", directory, name, strerror(-r));
    }
    free(script);
    return r;
}
