/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Counters and verdicts -> trees. */
#include "daemon/adaptation_json.h"

#include <math.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "daemon/json_builder.h"
#include "engine/network/network.h"
#include "proto/base64.h"

static double seconds(int64_t us)
{
    return us < 0 ? -1 : ceil((double)us / 1e5) / 10;
}

static void put_verdict(struct json_builder *builder, cJSON *object,
                        const struct train_online_verdict *verdict)
{
    static const char *const heads[] = {"auto", "lowrank", "prototype", "bias"};
    cJSON *entry = json_put_object(builder, object, "verdict");
    json_put_number(builder, entry, "holdout", verdict->count);
    json_put_number(builder, entry, "holdout_before", verdict->before);
    json_put_number(builder, entry, "holdout_after", verdict->after);
    json_put_number(builder, entry, "recent", verdict->recent_count);
    json_put_number(builder, entry, "recent_before", verdict->recent_before);
    json_put_number(builder, entry, "recent_after", verdict->recent_after);
    json_put_string(builder, entry, "head", heads[verdict->head & 3]);
}

static void put_label(struct json_builder *builder, cJSON *root,
                      const struct adaptation *adaptation, const struct trainer_request *request)
{
    const struct network_model *network = adaptation_model(adaptation, request->adapter)->network;
    json_put_string(builder, root, "predicted",
                    network_model_label(network, request->answer.predicted));
    json_put_number(builder, root, "loss", request->answer.loss);
    json_put(builder, root, "held_out", cJSON_CreateBool(request->answer.held_out));
}

static void put_export(struct json_builder *builder, cJSON *root,
                       const struct trainer_request *request)
{
    char *text = malloc(PROTO_BASE64_LENGTH(request->exported_bytes) + 1);
    if (text == NULL) {
        builder->good = false;
        return;
    }
    proto_base64_encode(request->exported, request->exported_bytes, text);
    json_put_string(builder, root, "data", text);
    free(text);
}

cJSON *adaptation_reply_to_json(const struct adaptation *adaptation,
                                const struct trainer_request *request)
{
    struct json_builder builder = {.good = true};
    const struct adapter_answer *told = &request->answer;
    const uint64_t applied = adaptation_applied(adaptation, request->adapter);
    cJSON *root = cJSON_CreateObject();
    json_put_string(&builder, root, "adapter", adaptation_name(adaptation, request->adapter));
    if (request->op == TRAINER_EXPORT) {
        put_export(&builder, root, request);
        return json_builder_finish(&builder, root);
    }
    json_put_number(&builder, root, "sequence", (double)told->sequence);
    json_put_string(&builder, root, "state",
                    told->durable >= told->sequence ? "durable"
                    : applied >= told->sequence     ? "applied"
                                                    : "accepted");
    json_put_number(&builder, root, "applied", (double)applied);
    json_put_number(&builder, root, "durable", (double)told->durable);
    json_put_number(&builder, root, "wait_s", seconds(told->wait_us));
    if (request->op == TRAINER_LABEL) {
        put_label(&builder, root, adaptation, request);
    }
    if (told->judged) {
        put_verdict(&builder, root, &told->verdict);
    }
    return json_builder_finish(&builder, root);
}

static void put_budget(struct json_builder *builder, cJSON *entry,
                       const struct adapter_status *status)
{
    cJSON *budget = json_put_object(builder, entry, "budget");
    json_put_number(builder, budget, "day", (double)status->budget_day);
    json_put_number(builder, budget, "left", (double)status->ledger.budget_left);
    json_put_number(builder, budget, "wait_s", seconds(status->wait_us));
    json_put_number(builder, budget, "charged", (double)status->ledger.charged);
    json_put_number(builder, budget, "record_bytes", (double)status->ledger.record_bytes);
    json_put_number(builder, budget, "records", (double)status->ledger.records);
    json_put_number(builder, budget, "syncs", (double)status->ledger.syncs);
    json_put_number(builder, budget, "snapshots", (double)status->ledger.snapshots);
}

static void put_layers(struct json_builder *builder, cJSON *entry,
                       const struct train_online_status *online)
{
    cJSON *layers = json_put_array(builder, entry, "layers");
    for (uint32_t i = 0; builder->good && i < online->layer_count; i++) {
        const struct train_online_layer_status *layer = &online->layers[i];
        cJSON *one = json_append_object(builder, layers);
        json_put_number(builder, one, "layer", layer->layer);
        json_put_number(builder, one, "lambda_max", layer->lambda);
        json_put_number(builder, one, "capped", layer->cap);
        json_put_number(builder, one, "energy", layer->energy);
        json_put_number(builder, one, "terms", (double)layer->terms);
        json_put_number(builder, one, "skipped", (double)layer->skipped);
        json_put_number(builder, one, "cells", (double)layer->cells);
        json_put_number(builder, one, "written", (double)layer->cells_written);
        json_put_number(builder, one, "worst", layer->worst);
    }
}

static void put_learning(struct json_builder *builder, cJSON *entry,
                         const struct adapter_status *status)
{
    const struct train_online_status *online = &status->online;
    json_put_number(builder, entry, "labels", (double)online->labels);
    json_put_number(builder, entry, "correct", (double)online->correct);
    json_put_number(builder, entry, "accuracy", status->accuracy < 0 ? 0 : status->accuracy);
    json_put_number(builder, entry, "loss", online->loss);
    json_put_number(builder, entry, "held_out", online->holdout);
    json_put_number(builder, entry, "kept", online->recent);
    json_put_number(builder, entry, "left_out_right", online->loo_right);
    json_put_number(builder, entry, "left_out_count", online->loo_count);
    json_put_number(builder, entry, "refused", (double)online->refused);
    put_verdict(builder, entry, &online->last);
    cJSON *distrusted = json_put_array(builder, entry, "distrusted");
    for (uint32_t i = 0; builder->good && i < status->distrusted_count; i++) {
        builder->good =
            cJSON_AddItemToArray(distrusted, cJSON_CreateNumber((double)status->distrusted[i]));
    }
    put_layers(builder, entry, online);
}

static void put_adapter(struct json_builder *builder, cJSON *adapters,
                        struct adaptation *adaptation, uint32_t index)
{
    static const char *const stores[] = {"fresh", "clean", "cut", "damaged", "foreign"};
    struct adapter_status status;
    cJSON *entry = json_append_object(builder, adapters);
    adaptation_get_status(adaptation, index, &status);
    json_put_string(builder, entry, "name", adaptation_name(adaptation, index));
    json_put_string(builder, entry, "model", adaptation_model(adaptation, index)->name);
    json_put(builder, entry, "learns", cJSON_CreateBool(status.open && !status.read_only));
    json_put_string(builder, entry, "store", stores[status.store]);
    json_put_string(builder, entry, "reason", status.reason);
    json_put_number(builder, entry, "sequence", (double)status.sequence);
    json_put_number(builder, entry, "applied", (double)adaptation_applied(adaptation, index));
    json_put_number(builder, entry, "durable", (double)status.durable);
    json_put_number(builder, entry, "memory_bytes", (double)status.bytes);
    put_budget(builder, entry, &status);
    put_learning(builder, entry, &status);
}

cJSON *adaptation_to_json(struct adaptation *adaptation)
{
    struct json_builder builder = {.good = true};
    cJSON *root = cJSON_CreateObject();
    cJSON *adapters = json_put_array(&builder, root, "adapters");
    for (uint32_t i = 0; builder.good && i < adaptation_count(adaptation); i++) {
        put_adapter(&builder, adapters, adaptation, i);
    }
    return json_builder_finish(&builder, root);
}

cJSON *adaptation_change_to_json(struct adaptation *adaptation, uint32_t adapter)
{
    struct json_builder builder = {.good = true};
    struct adapter_status status;
    cJSON *root = cJSON_CreateObject();
    adaptation_get_status(adaptation, adapter, &status);
    json_put_string(&builder, root, "adapter", adaptation_name(adaptation, adapter));
    json_put_number(&builder, root, "applied", (double)adaptation_applied(adaptation, adapter));
    json_put_number(&builder, root, "durable", (double)status.durable);
    json_put_number(&builder, root, "labels", (double)status.online.labels);
    json_put_number(&builder, root, "accuracy", status.accuracy < 0 ? 0 : status.accuracy);
    json_put_number(&builder, root, "loss", status.online.loss);
    put_verdict(&builder, root, &status.online.last);
    return json_builder_finish(&builder, root);
}
