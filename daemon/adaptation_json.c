/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Counters and verdicts -> trees. */
#include "daemon/adaptation_json.h"

#include <math.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "engine/network/network.h"
#include "proto/base64.h"

/* A tree under construction: `good` turns false when memory runs out, and stays so. */
struct builder {
    bool good;
};

static void put(struct builder *builder, cJSON *object, const char *name, cJSON *item)
{
    if (!cJSON_AddItemToObjectCS(object, name, item)) {
        cJSON_Delete(item);
        builder->good = false;
    }
}

static void put_number(struct builder *builder, cJSON *object, const char *name, double value)
{
    put(builder, object, name, cJSON_CreateNumber(isfinite(value) ? value : 0));
}

static void put_string(struct builder *builder, cJSON *object, const char *name, const char *text)
{
    put(builder, object, name, cJSON_CreateString(text));
}

static cJSON *put_object(struct builder *builder, cJSON *object, const char *name)
{
    cJSON *child = cJSON_CreateObject();
    put(builder, object, name, child);
    return builder->good ? child : NULL;
}

static cJSON *put_array(struct builder *builder, cJSON *object, const char *name)
{
    cJSON *child = cJSON_CreateArray();
    put(builder, object, name, child);
    return builder->good ? child : NULL;
}

static cJSON *append_object(struct builder *builder, cJSON *array)
{
    cJSON *child = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(array, child)) {
        cJSON_Delete(child);
        builder->good = false;
        return NULL;
    }
    return child;
}

static cJSON *finish(const struct builder *builder, cJSON *root)
{
    if (!builder->good) {
        cJSON_Delete(root);
        return NULL;
    }
    return root;
}

static double seconds(int64_t us)
{
    return us < 0 ? -1 : ceil((double)us / 1e5) / 10;
}

static void put_verdict(struct builder *builder, cJSON *object,
                        const struct train_online_verdict *verdict)
{
    static const char *const heads[] = {"auto", "lowrank", "prototype", "bias"};
    cJSON *entry = put_object(builder, object, "verdict");
    put_number(builder, entry, "holdout", verdict->count);
    put_number(builder, entry, "holdout_before", verdict->before);
    put_number(builder, entry, "holdout_after", verdict->after);
    put_number(builder, entry, "recent", verdict->recent_count);
    put_number(builder, entry, "recent_before", verdict->recent_before);
    put_number(builder, entry, "recent_after", verdict->recent_after);
    put_string(builder, entry, "head", heads[verdict->head & 3]);
}

static void put_label(struct builder *builder, cJSON *root, const struct adaptation *adaptation,
                      const struct trainer_request *request)
{
    const struct network_model *network = adaptation_model(adaptation, request->adapter)->network;
    put_string(builder, root, "predicted", network_model_label(network, request->answer.predicted));
    put_number(builder, root, "loss", request->answer.loss);
    put(builder, root, "held_out", cJSON_CreateBool(request->answer.held_out));
}

static void put_export(struct builder *builder, cJSON *root, const struct trainer_request *request)
{
    char *text = malloc(PROTO_BASE64_LENGTH(request->exported_bytes) + 1);
    if (text == NULL) {
        builder->good = false;
        return;
    }
    proto_base64_encode(request->exported, request->exported_bytes, text);
    put_string(builder, root, "data", text);
    free(text);
}

cJSON *adaptation_reply_to_json(const struct adaptation *adaptation,
                                const struct trainer_request *request)
{
    struct builder builder = {.good = true};
    const struct adapter_answer *told = &request->answer;
    const uint64_t applied = adaptation_applied(adaptation, request->adapter);
    cJSON *root = cJSON_CreateObject();
    put_string(&builder, root, "adapter", adaptation_name(adaptation, request->adapter));
    if (request->op == TRAINER_EXPORT) {
        put_export(&builder, root, request);
        return finish(&builder, root);
    }
    put_number(&builder, root, "sequence", (double)told->sequence);
    put_string(&builder, root, "state",
               told->durable >= told->sequence ? "durable"
               : applied >= told->sequence     ? "applied"
                                               : "accepted");
    put_number(&builder, root, "applied", (double)applied);
    put_number(&builder, root, "durable", (double)told->durable);
    put_number(&builder, root, "wait_s", seconds(told->wait_us));
    if (request->op == TRAINER_LABEL) {
        put_label(&builder, root, adaptation, request);
    }
    if (told->judged) {
        put_verdict(&builder, root, &told->verdict);
    }
    return finish(&builder, root);
}

static void put_budget(struct builder *builder, cJSON *entry, const struct adapter_status *status)
{
    cJSON *budget = put_object(builder, entry, "budget");
    put_number(builder, budget, "day", (double)status->budget_day);
    put_number(builder, budget, "left", (double)status->ledger.budget_left);
    put_number(builder, budget, "wait_s", seconds(status->wait_us));
    put_number(builder, budget, "charged", (double)status->ledger.charged);
    put_number(builder, budget, "record_bytes", (double)status->ledger.record_bytes);
    put_number(builder, budget, "records", (double)status->ledger.records);
    put_number(builder, budget, "syncs", (double)status->ledger.syncs);
    put_number(builder, budget, "snapshots", (double)status->ledger.snapshots);
}

static void put_layers(struct builder *builder, cJSON *entry,
                       const struct train_online_status *online)
{
    cJSON *layers = put_array(builder, entry, "layers");
    for (uint32_t i = 0; builder->good && i < online->layer_count; i++) {
        const struct train_online_layer_status *layer = &online->layers[i];
        cJSON *one = append_object(builder, layers);
        put_number(builder, one, "layer", layer->layer);
        put_number(builder, one, "lambda_max", layer->lambda);
        put_number(builder, one, "capped", layer->cap);
        put_number(builder, one, "energy", layer->energy);
        put_number(builder, one, "terms", (double)layer->terms);
        put_number(builder, one, "skipped", (double)layer->skipped);
        put_number(builder, one, "cells", (double)layer->cells);
        put_number(builder, one, "written", (double)layer->cells_written);
        put_number(builder, one, "worst", layer->worst);
    }
}

static void put_learning(struct builder *builder, cJSON *entry, const struct adapter_status *status)
{
    const struct train_online_status *online = &status->online;
    put_number(builder, entry, "labels", (double)online->labels);
    put_number(builder, entry, "correct", (double)online->correct);
    put_number(builder, entry, "accuracy", status->accuracy < 0 ? 0 : status->accuracy);
    put_number(builder, entry, "loss", online->loss);
    put_number(builder, entry, "held_out", online->holdout);
    put_number(builder, entry, "kept", online->recent);
    put_number(builder, entry, "left_out_right", online->loo_right);
    put_number(builder, entry, "left_out_count", online->loo_count);
    put_number(builder, entry, "refused", (double)online->refused);
    put_verdict(builder, entry, &online->last);
    cJSON *distrusted = put_array(builder, entry, "distrusted");
    for (uint32_t i = 0; builder->good && i < status->distrusted_count; i++) {
        builder->good =
            cJSON_AddItemToArray(distrusted, cJSON_CreateNumber((double)status->distrusted[i]));
    }
    put_layers(builder, entry, online);
}

static void put_adapter(struct builder *builder, cJSON *adapters, struct adaptation *adaptation,
                        uint32_t index)
{
    static const char *const stores[] = {"fresh", "clean", "cut", "damaged", "foreign"};
    struct adapter_status status;
    cJSON *entry = append_object(builder, adapters);
    adaptation_get_status(adaptation, index, &status);
    put_string(builder, entry, "name", adaptation_name(adaptation, index));
    put_string(builder, entry, "model", adaptation_model(adaptation, index)->name);
    put(builder, entry, "learns", cJSON_CreateBool(status.open && !status.read_only));
    put_string(builder, entry, "store", stores[status.store]);
    put_string(builder, entry, "reason", status.reason);
    put_number(builder, entry, "sequence", (double)status.sequence);
    put_number(builder, entry, "applied", (double)adaptation_applied(adaptation, index));
    put_number(builder, entry, "durable", (double)status.durable);
    put_number(builder, entry, "memory_bytes", (double)status.bytes);
    put_budget(builder, entry, &status);
    put_learning(builder, entry, &status);
}

cJSON *adaptation_to_json(struct adaptation *adaptation)
{
    struct builder builder = {.good = true};
    cJSON *root = cJSON_CreateObject();
    cJSON *adapters = put_array(&builder, root, "adapters");
    for (uint32_t i = 0; builder.good && i < adaptation_count(adaptation); i++) {
        put_adapter(&builder, adapters, adaptation, i);
    }
    return finish(&builder, root);
}
