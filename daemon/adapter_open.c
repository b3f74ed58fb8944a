/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Birth and end of an adapter: its directory, its store, the replay. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/adapter_internal.h"
#include "engine/gradient/gradient.h"

#define LOG_BYTES_MAX (UINT64_C(256) << 10) /* then a snapshot takes the log's place */
#define LOG_RESERVE   (UINT64_C(16) << 10)

void adapter_close_weights(const struct pool_weights *weights, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (weights[i].memfd >= 0) {
            close(weights[i].memfd);
        }
    }
}

void adapter_free(struct adapter *adapter)
{
    if (adapter == NULL) {
        return;
    }
    if (adapter->store != NULL) {
        store_close(adapter->store);
    }
    if (adapter->directory >= 0) {
        close(adapter->directory);
    }
    history_destroy(adapter->history);
    train_online_destroy(adapter->online);
    network_plan_destroy(adapter->plan);
    free(adapter->codes);
    free(adapter);
}

static size_t code_count(const struct network_input *input)
{
    return (size_t)input->target.width * input->target.height * gradient_channels(&input->front);
}

static bool within(const struct gradient_spec *front, const uint8_t *codes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int value = front->coding == GRADIENT_CODING_SEVEN ? (int8_t)codes[i] : codes[i];
        if (value < (front->coding == GRADIENT_CODING_SEVEN ? -3 : 0) ||
            value > (front->coding == GRADIENT_CODING_SEVEN ? 3
                     : front->coding == GRADIENT_CODING_U7  ? 127
                                                            : front->levels)) {
            return false;
        }
    }
    return true;
}

static bool finite_codes(const float *codes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(codes[i])) {
            return false;
        }
    }
    return true;
}

int adapter_unpack(struct adapter *adapter, const void *packed, size_t size)
{
    const struct network_input *input =
        network_model_input(adapter->settings.model, adapter->settings.point);
    const struct gradient_spec *front = &input->front;
    const size_t count = code_count(input);
    if (front->coding == GRADIENT_CODING_TERNARY) {
        const size_t plane = gradient_bits_bytes(count);
        return size == 2 * plane ? gradient_unpack_ternary(packed, (const uint8_t *)packed + plane,
                                                           count, adapter->codes)
                                 : -EBADMSG;
    }
    if (size != adapter->codes_bytes) {
        return -EBADMSG;
    }
    memcpy(adapter->codes, packed, size);
    return (front->coding == GRADIENT_CODING_F32 ? finite_codes(adapter->codes, count)
                                                 : within(front, adapter->codes, count))
               ? 0
               : -EBADMSG;
}

/* The adapter cannot learn, and why. Not an error of the daemon. */
static int refuse(struct adapter *adapter, const char *what, const char *why)
{
    adapter->read_only = true;
    snprintf(adapter->reason, sizeof(adapter->reason), "%s%s%s", what, why[0] != '\0' ? ": " : "",
             why);
    return -EROFS;
}

static int make_trainer(struct adapter *adapter)
{
    const struct adapter_settings *settings = &adapter->settings;
    const struct network_input *input = network_model_input(settings->model, settings->point);
    struct train_online_settings training;
    struct train_online_status status;
    const char *reason = "";
    train_online_defaults(settings->model, settings->point, &training);
    training.cpu = settings->kernels->cpu;
    if (settings->flush != 0) {
        training.flush = settings->flush;
        training.recent = training.recent < training.flush ? training.flush : training.recent;
    }
    int r =
        train_online_create(settings->model, settings->point, &training, &adapter->online, &reason);
    if (r < 0) {
        return r == -ENOMEM ? r : refuse(adapter, "the model cannot be trained", reason);
    }
    train_online_get(adapter->online, &status);
    adapter->layer_count = status.layer_count;
    for (uint32_t i = 0; i < status.layer_count; i++) {
        adapter->layers[i] = status.layers[i].layer;
    }
    adapter->codes_bytes = code_count(input) * gradient_code_size(&input->front);
    adapter->codes = aligned_alloc(64, (adapter->codes_bytes + 63) / 64 * 64);
    adapter->history = history_create();
    if (adapter->codes == NULL || adapter->history == NULL) {
        return -ENOMEM;
    }
    return network_plan_create(settings->model, settings->point, 1, settings->kernels,
                               &adapter->plan);
}

/* Records belong to the model's file, the point and the trained layers. */
static void name_base(const struct adapter *adapter, uint8_t base[STORE_ID_BYTES])
{
    const char *id = network_model_id(adapter->settings.model);
    const uint64_t trained = train_online_base(adapter->online);
    memset(base, 0, STORE_ID_BYTES);
    for (size_t i = 0; i < STORE_ID_BYTES - 8 && id[2 * i] != '\0'; i++) {
        const char digits[3] = {id[2 * i], id[2 * i + 1], '\0'};
        base[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    for (unsigned i = 0; i < 8; i++) {
        base[STORE_ID_BYTES - 8 + i] = (uint8_t)(trained >> 8 * i);
    }
}

static int add_record(void *user, uint64_t sequence, const void *payload, size_t size,
                      bool is_snapshot)
{
    struct adapter *adapter = user;
    int r = history_add(adapter->history, payload, size);
    if (r == 0 && !is_snapshot) {
        history_stored(adapter->history, sequence);
    }
    return r;
}

static int open_store(struct adapter *adapter)
{
    struct store_settings settings = {
        .budget_day = adapter->settings.budget_day,
        .journal_allowance = adapter->settings.journal_allowance,
        .log_max = LOG_BYTES_MAX,
        .reserve = LOG_RESERVE,
    };
    struct store_opened opened;
    name_base(adapter, settings.base);
    if (mkdir(adapter->settings.directory, 0700) < 0 && errno != EEXIST) {
        return refuse(adapter, "its directory cannot be made", strerror(errno));
    }
    adapter->directory =
        open(adapter->settings.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (adapter->directory < 0) {
        return refuse(adapter, "its directory cannot be opened", strerror(errno));
    }
    adapter->io = store_io_posix(&adapter->directory);
    int r = store_open(&adapter->io, &settings, &adapter->store, &opened);
    if (r < 0) {
        return r == -ENOMEM  ? r
               : r == -EBUSY ? refuse(adapter, "its store is used by another process", "")
                             : refuse(adapter, "its store cannot be opened", strerror(-r));
    }
    adapter->found = (enum store_state)opened.state;
    adapter->read_only = opened.read_only;
    snprintf(adapter->reason, sizeof(adapter->reason), "%s", opened.reason);
    return 0;
}

static int read_store(struct adapter *adapter)
{
    int r = store_read(adapter->store, add_record, adapter);
    if (r == 0) {
        r = history_replay(adapter->history, adapter->online);
    }
    if (r == -ENOMEM) {
        return r;
    }
    if (r < 0) {
        /* Intact files that make no sense: of a bug or another version. Serve the model as it is.
         */
        train_online_reset(adapter->online);
        return refuse(adapter, "its records cannot be replayed", strerror(-r));
    }
    adapter->sequence = history_sequence(adapter->history);
    adapter->recorded = adapter->durable = adapter->sequence;
    return 0;
}

int adapter_open(const struct adapter_settings *settings, struct adapter **ret_adapter)
{
    struct adapter *adapter = calloc(1, sizeof(*adapter));
    if (adapter == NULL) {
        return -ENOMEM;
    }
    adapter->settings = *settings;
    adapter->directory = -1;
    adapter->accuracy = -1;
    int r = make_trainer(adapter);
    if (r == 0) {
        r = open_store(adapter);
    }
    if (r == 0) {
        r = read_store(adapter);
    }
    if (r == -ENOMEM) {
        adapter_free(adapter);
        return r;
    }
    adapter->open = r == 0;
    *ret_adapter = adapter;
    return 0;
}
