/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The client's reading of a result from any JSON: what it accepts is whole, and prints as JSON
 * again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "clients/result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cJSON *json = cJSON_ParseWithLength((const char *)data, size);
    struct ocellus_result *result = NULL;

    if (json != NULL && result_from_json(json, &result) == OCELLUS_OK) {
        size_t length = strlen(result->camera) + strlen(result->label) +
                        strlen(result->model_name) + strlen(result->model_id) +
                        strlen(result->format);
        for (size_t i = 0; i < result->score_count; i++) {
            length += strlen(result->scores[i].label);
        }
        for (size_t i = 0; i < result->box_count; i++) {
            const char *zone = result->boxes[i].zone;
            length += strlen(result->boxes[i].label) + (zone != NULL ? strlen(zone) : 0);
        }
        check(result->score_count > 0 && length <= size && result->json[0] == '{');
        cJSON *again = cJSON_Parse(result->json);
        check(again != NULL);
        cJSON_Delete(again);
        result_destroy(result);
    }
    cJSON_Delete(json);
    return 0;
}
