/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Events -> one line of text each. What a newer daemon tells beyond that is left out. */
#include "clients/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

static double number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static const char *text(const cJSON *object, const char *name)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return value != NULL ? value : "";
}

static bool is_true(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static void print_result(const cJSON *result)
{
    const cJSON *boxes = cJSON_GetObjectItemCaseSensitive(result, "boxes");
    printf("%s: %s %.1f%%", text(result, "camera"), text(result, "label"),
           number(result, "confidence") * 100);
    if (cJSON_IsArray(boxes)) {
        const int count = cJSON_GetArraySize(boxes);
        printf(", %d %s", count, count == 1 ? "box" : "boxes");
    }
    printf(" (%.2f ms, frame %.0f)",
           number(cJSON_GetObjectItemCaseSensitive(result, "times_us"), "total") / 1000,
           number(result, "frame"));
}

static void print_adaptation(const cJSON *change)
{
    printf("adapter %s: update %.0f is applied, %.0f is durable; %.0f labels, loss %.3f",
           text(change, "adapter"), number(change, "applied"), number(change, "durable"),
           number(change, "labels"), number(change, "loss"));
}

static void print_state(const cJSON *state)
{
    printf("the daemon is %s%s%s",
           is_true(state, "stopping") ? "stopping"
           : is_true(state, "ready")  ? "ready"
                                      : "not ready",
           is_true(state, "lowered") ? ", load lowers the operating point" : "",
           is_true(state, "starving") ? ", a worker does not answer" : "");
}

static void print_event(const cJSON *event)
{
    const char *name = text(event, "event");
    const cJSON *body = cJSON_GetObjectItemCaseSensitive(event, name);
    char clock[16] = "";
    time_t now = time(NULL);
    struct tm parts;
    if (localtime_r(&now, &parts) != NULL) {
        strftime(clock, sizeof(clock), "%H:%M:%S ", &parts);
    }
    fputs(clock, stdout);
    if (strcmp(name, "result") == 0) {
        print_result(body);
    } else if (strcmp(name, "adaptation") == 0) {
        print_adaptation(body);
    } else if (strcmp(name, "state") == 0) {
        print_state(body);
    } else if (strcmp(name, "reload") == 0) {
        const char *error = text(body, "error");
        printf("reload %s%s", error[0] != '\0' ? "refused: " : "done", error);
    } else if (strcmp(name, "dropped") == 0) {
        printf("%.0f events were lost: they came faster than they were read",
               number(body, "events"));
    } else {
        fputs(name, stdout);
    }
    putchar('\n');
}

enum ocellus_error watch(struct ocellus_client *client, const char *camera, bool json)
{
    char *line = NULL;
    enum ocellus_error error = ocellus_client_subscribe(client, camera);
    while (error == OCELLUS_OK && (error = ocellus_client_next(client, &line)) == OCELLUS_OK) {
        if (json) {
            puts(line);
        } else {
            cJSON *event = cJSON_Parse(line);
            print_event(event);
            cJSON_Delete(event);
        }
        free(line);
        if (fflush(stdout) != 0) {
            return OCELLUS_OK; /* nobody reads any more: main tells why */
        }
    }
    return error;
}
