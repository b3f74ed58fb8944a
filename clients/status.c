/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Lays out the daemon's state in a few lines. It decides nothing: a field that it does not know is
 * not shown. */
#include "clients/status.h"

#include <stdbool.h>
#include <stdio.h>

#include <cjson/cJSON.h>

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

static void print_duration(double seconds)
{
    if (seconds < 120) {
        printf("%.0f s", seconds);
    } else if (seconds < 7200) {
        printf("%.0f min", seconds / 60);
    } else if (seconds < 172800) {
        printf("%.1f h", seconds / 3600);
    } else {
        printf("%.1f days", seconds / 86400);
    }
}

static void print_bytes(const char *name, double bytes)
{
    if (bytes < 1048576) {
        printf("%s %.0f KiB", name, bytes / 1024);
    } else {
        printf("%s %.1f MiB", name, bytes / 1048576);
    }
}

/* What happened to the frames: all that is not zero. */
static void print_frames(const cJSON *frames)
{
    const cJSON *item;

    printf("%.0f received", number(frames, "received"));
    cJSON_ArrayForEach(item, frames)
    {
        if (cJSON_IsNumber(item) && item->valuedouble > 0 && item != member(frames, "received")) {
            printf(", %.0f %s", item->valuedouble, item->string);
        }
    }
    putchar('\n');
}

static void print_workers(const cJSON *workers)
{
    static const char *const troubles[] = {"crashes", "timeouts", "lies", "recycled"};

    printf("workers   %.0f of %.0f ready, %.0f busy", number(workers, "ready"),
           number(workers, "configured"), number(workers, "busy"));
    for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
        if (number(workers, troubles[i]) > 0) {
            printf(", %s %.0f", troubles[i], number(workers, troubles[i]));
        }
    }
    putchar('\n');
}

void status_print(const char *json)
{
    cJSON *root = cJSON_Parse(json);
    const cJSON *memory = member(root, "memory_bytes");
    const cJSON *item;

    printf("ocellusd  %s, %s, up ", text(root, "version"),
           cJSON_IsTrue(member(root, "ready")) ? "ready" : "not ready");
    print_duration(number(root, "uptime_s"));
    printf(", %.0f connections\n", number(root, "connections"));
    if (cJSON_IsString(member(root, "reload_error"))) {
        printf("reload    failed, the configuration before it is in force: %s\n",
               text(root, "reload_error"));
    }
    print_workers(member(root, "workers"));
    print_bytes("memory    daemon", number(memory, "daemon"));
    print_bytes(", workers", number(memory, "workers"));
    print_bytes(", queue", number(memory, "queue"));
    printf("\nframes    ");
    print_frames(member(root, "frames"));
    cJSON_ArrayForEach(item, member(root, "models"))
    {
        printf("model     %s: %d labels, generation %.0f, id %.12s\n", text(item, "name"),
               cJSON_GetArraySize(member(item, "labels")), number(item, "generation"),
               text(item, "id"));
    }
    cJSON_ArrayForEach(item, member(root, "cameras"))
    {
        printf("camera    %s: model %s, %s", text(item, "name"), text(item, "model"),
               cJSON_IsFalse(member(item, "enabled")) ? "disabled, " : "");
        print_frames(member(item, "frames"));
    }
    cJSON_Delete(root);
}
