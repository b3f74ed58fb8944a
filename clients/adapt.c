/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Words -> calls -> lines. */
#include "clients/adapt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#define FILE_BYTES_MAX (1u << 20) /* of an export; the daemon takes less */

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static double number(const cJSON *object, const char *name)
{
    const cJSON *item = member(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static const char *text(const cJSON *object, const char *name)
{
    const char *found = cJSON_GetStringValue(member(object, name));
    return found != NULL ? found : "?";
}

static enum adapt_end complain(struct ocellus_client *client, enum ocellus_error error)
{
    fprintf(stderr, "ocellus: %s: %s\n", ocellus_error_name(error), ocellus_client_message(client));
    return error == OCELLUS_DISCONNECTED ? ADAPT_GONE : ADAPT_FAILED;
}

static enum adapt_end usage(const char *sentence)
{
    fprintf(stderr, "ocellus: %s\nTry 'ocellus --help'.\n", sentence);
    return ADAPT_USAGE;
}

static bool parse_whole(const char *word, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(word, &end, 10);
    if (errno != 0 || word[0] < '0' || word[0] > '9' || *end != '\0') {
        return false;
    }
    *ret_number = value;
    return true;
}

static void print_wait(const cJSON *object)
{
    const double wait = number(object, "wait_s");
    if (wait > 0) {
        printf("; the write budget is spent, %.0f s until more is written", wait);
    } else if (wait < 0) {
        printf("; more than the write budget ever allows");
    }
}

static void print_verdict(const cJSON *verdict)
{
    if (verdict != NULL) {
        printf("; of %.0f labels %.0f right before, %.0f now", number(verdict, "recent"),
               number(verdict, "recent_before"), number(verdict, "recent_after"));
    }
}

/* What became of an update. */
static void print_update(const cJSON *root)
{
    printf("%s: update %.0f %s", text(root, "adapter"), number(root, "sequence"),
           text(root, "state"));
    if (member(root, "predicted") != NULL) {
        printf("; it was seen as %s%s", text(root, "predicted"),
               cJSON_IsTrue(member(root, "held_out")) ? ", and is kept to measure by" : "");
    }
    print_verdict(member(root, "verdict"));
    print_wait(root);
    putchar('\n');
}

static void print_layers(const cJSON *layers)
{
    const cJSON *layer;
    cJSON_ArrayForEach(layer, layers)
    {
        printf("  layer %.0f: %.0f of %.0f cells' writes at most %.0f each, lambda_max %.4g, "
               "energy %.2f\n",
               number(layer, "layer"), number(layer, "written"), number(layer, "cells"),
               number(layer, "worst"), number(layer, "lambda_max"), number(layer, "energy"));
    }
}

static void print_adapter(const cJSON *adapter)
{
    const cJSON *budget = member(adapter, "budget"), *verdict = member(adapter, "verdict");
    const cJSON *label;
    printf("%s: model %s, update %.0f, applied %.0f, durable %.0f%s%s\n", text(adapter, "name"),
           text(adapter, "model"), number(adapter, "sequence"), number(adapter, "applied"),
           number(adapter, "durable"),
           cJSON_IsTrue(member(adapter, "learns")) ? "" : "; does not learn: ",
           cJSON_IsTrue(member(adapter, "learns")) ? "" : text(adapter, "reason"));
    printf("  labels %.0f, right before learning %.0f (lately %.0f%%), loss %.3f\n",
           number(adapter, "labels"), number(adapter, "correct"), number(adapter, "accuracy") * 100,
           number(adapter, "loss"));
    printf("  held out %.0f: right %.0f before the last update, %.0f after; refused updates %.0f\n",
           number(verdict, "holdout"), number(verdict, "holdout_before"),
           number(verdict, "holdout_after"), number(adapter, "refused"));
    printf("  disk %.0f KiB so far, today %.0f of %.0f KiB left", number(budget, "charged") / 1024,
           number(budget, "left") / 1024, number(budget, "day") / 1024);
    print_wait(budget);
    putchar('\n');
    print_layers(member(adapter, "layers"));
    if (cJSON_GetArraySize(member(adapter, "distrusted")) > 0) {
        printf("  labels that others contradict:");
        cJSON_ArrayForEach(label, member(adapter, "distrusted"))
        {
            printf(" %.0f", label->valuedouble);
        }
        putchar('\n');
    }
}

static void print_status(const cJSON *root)
{
    const cJSON *adapter;
    if (cJSON_GetArraySize(member(root, "adapters")) == 0) {
        puts("no camera has an adapter");
    }
    cJSON_ArrayForEach(adapter, member(root, "adapters"))
    {
        print_adapter(adapter);
    }
}

/* Frees the reply. */
static void print_reply(const struct adapt_options *options, char *json,
                        void (*print)(const cJSON *root))
{
    cJSON *root = cJSON_Parse(json);
    if (options->json) {
        puts(json);
    } else {
        print(root);
    }
    cJSON_Delete(root);
    free(json);
}

enum adapt_end adapt_label(struct ocellus_client *client, const struct adapt_options *options,
                           char **arguments, int count)
{
    uint64_t frame;
    char *json;
    if (count != 2 || !parse_whole(arguments[0], &frame)) {
        return usage("label needs the number of a frame and a label");
    }
    enum ocellus_error error =
        ocellus_client_label(client, frame, options->box, arguments[1], &json);
    if (error != OCELLUS_OK) {
        return complain(client, error);
    }
    print_reply(options, json, print_update);
    return ADAPT_DONE;
}

/* The file's text, without white space at its end; the caller frees it. NULL: errno says why. */
static char *read_text(const char *path)
{
    FILE *file = fopen(path, "re");
    char *bytes = malloc(FILE_BYTES_MAX + 1);
    size_t size = 0;
    if (file != NULL && bytes != NULL) {
        size = fread(bytes, 1, FILE_BYTES_MAX, file);
    }
    const bool bad = file == NULL || bytes == NULL || ferror(file) || memchr(bytes, '\0', size);
    const int error = errno;
    if (file != NULL) {
        fclose(file);
    }
    if (bad) {
        free(bytes);
        errno = error != 0 ? error : EINVAL;
        return NULL;
    }
    while (size > 0 && strchr(" \r\n\t", bytes[size - 1]) != NULL) {
        size--;
    }
    bytes[size] = '\0';
    return bytes;
}

/* Frees the reply. */
static enum adapt_end write_export(const char *path, char *json)
{
    cJSON *root = cJSON_Parse(json);
    FILE *file = fopen(path, "we");
    bool written = file != NULL && fprintf(file, "%s\n", text(root, "data")) > 0;
    written = (file == NULL || fclose(file) == 0) && written;
    if (!written) {
        fprintf(stderr, "ocellus: %s: %s\n", path, strerror(errno));
    }
    cJSON_Delete(root);
    free(json);
    return written ? ADAPT_DONE : ADAPT_FAILED;
}

static enum adapt_end run(struct ocellus_client *client, const struct adapt_options *options,
                          enum ocellus_adapt what, uint64_t sequence, const char *path)
{
    char *json, *data = NULL;
    if (what == OCELLUS_ADAPT_IMPORT) {
        data = read_text(path);
        if (data == NULL) {
            fprintf(stderr, "ocellus: %s: %s\n", path, strerror(errno));
            return ADAPT_FAILED;
        }
    }
    enum ocellus_error error =
        ocellus_client_adapt(client, what, options->adapter, sequence, data, &json);
    free(data);
    if (error != OCELLUS_OK) {
        return complain(client, error);
    }
    if (what == OCELLUS_ADAPT_EXPORT) {
        return write_export(path, json);
    }
    print_reply(options, json, what == OCELLUS_ADAPT_STATUS ? print_status : print_update);
    return ADAPT_DONE;
}

enum adapt_end adapt_change(struct ocellus_client *client, const struct adapt_options *options,
                            char **arguments, int count)
{
    static const char *const words[] = {
        [OCELLUS_ADAPT_STATUS] = "status", [OCELLUS_ADAPT_SYNC] = "sync",
        [OCELLUS_ADAPT_UNDO] = "undo",     [OCELLUS_ADAPT_ROLLBACK] = "rollback",
        [OCELLUS_ADAPT_RESET] = "reset",   [OCELLUS_ADAPT_EXPORT] = "export",
        [OCELLUS_ADAPT_IMPORT] = "import",
    };
    const char *word = count > 0 ? arguments[0] : "status";
    unsigned what = 0;
    uint64_t sequence = 0;
    while (what < sizeof(words) / sizeof(words[0]) && strcmp(words[what], word) != 0) {
        what++;
    }
    const bool file = what == OCELLUS_ADAPT_EXPORT || what == OCELLUS_ADAPT_IMPORT;
    const bool more = file || what == OCELLUS_ADAPT_ROLLBACK;
    if (what == sizeof(words) / sizeof(words[0]) || (count > 0 ? count : 1) != (more ? 2 : 1) ||
        (what == OCELLUS_ADAPT_ROLLBACK && !parse_whole(arguments[1], &sequence))) {
        return usage("adapt is followed by status, sync, undo, reset, rollback NUMBER, "
                     "export FILE or import FILE");
    }
    return run(client, options, (enum ocellus_adapt)what, sequence, file ? arguments[1] : NULL);
}
