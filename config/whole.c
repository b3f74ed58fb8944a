/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Defaults, and what sections say together. Reads no file. */
#include "config/whole.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void config_set_defaults(struct config *config)
{
    *config = (struct config){
        .http_socket = "/run/ocellus/http.sock",
        .varlink_socket = "/run/ocellus/varlink.sock",
        .socket_mode = 0660,
        .worker_path = OCELLUS_WORKER_PATH,
        .cpu_mask = "all",
        .frame_bytes_max = 32u << 20,
        .queue_bytes_max = 128u << 20,
        .cameras_max = 64,
        .deadline_ms = 1000,
        .worker_timeout_ms = 800,
        .worker_frames_max = 100000,
        .pixels_max = 100000000,
        .adaptation =
            {
                .adapters_max = 4,
                .budget_day = 4u << 20,
                .journal_allowance = 16u << 10,
                .ring_bytes = 256u << 10,
                .commit_after_ms = 1800000,
            },
        .other =
            {
                .enabled = true,
                .scan =
                    {
                        .object_min = 20,
                        .factor = 1147,
                        .confidence = 50,
                        .overlap = 40,
                        .boxes_max = 16,
                        .motion_whole_ms = 10000,
                    },
            },
    };
}

/* The camera's adapter, which may be a new one; NULL: there is no room. */
static struct config_adapter *find_adapter(struct config *config,
                                           const struct config_camera *camera)
{
    uint32_t i = 0;
    while (i < config->adapter_count && strcmp(config->adapters[i].name, camera->adapter) != 0) {
        i++;
    }
    if (i == config->adaptation.adapters_max) {
        return NULL;
    }
    struct config_adapter *adapter = &config->adapters[i];
    if (i == config->adapter_count) {
        memcpy(adapter->name, camera->adapter, sizeof(adapter->name));
        memcpy(adapter->model, camera->model, sizeof(adapter->model));
        memcpy(adapter->point, camera->point, sizeof(adapter->point));
        config->adapter_count++;
    }
    return adapter;
}

static bool wakes_another(const struct config *config, const char *model)
{
    for (uint32_t i = 0; i < config->model_count; i++) {
        if (strcmp(config->models[i].name, model) == 0) {
            return config->models[i].wakes[0] != '\0';
        }
    }
    return false;
}

int config_link_adapters(struct config *config, uint32_t *ret_camera, const char **ret_reason)
{
    for (uint32_t i = 0; i < config->camera_count; i++) {
        struct config_camera *camera = &config->cameras[i];
        *ret_camera = i;
        if (camera->adapter[0] == '\0') {
            continue;
        }
        const struct config_adapter *adapter = find_adapter(config, camera);
        if (adapter == NULL) {
            *ret_reason = "there are more adapters than 'adapters-max'";
            return -EBADMSG;
        }
        if (strcmp(adapter->model, camera->model) != 0 ||
            strcmp(adapter->point, camera->point) != 0) {
            *ret_reason = "the cameras of an adapter need the same model and point";
            return -EBADMSG;
        }
        if (strcmp(camera->point, "auto") == 0) {
            *ret_reason = "an adapter needs one point, not auto";
            return -EBADMSG;
        }
        if (wakes_another(config, camera->model)) {
            *ret_reason = "its model wakes another one: no single model can learn";
            return -EBADMSG;
        }
        camera->adapter_slot = 1 + (uint32_t)(adapter - config->adapters);
    }
    return 0;
}

void config_error_format(const struct config_error *error, char *out, size_t size)
{
    char line[16] = "";
    if (error->line > 0) {
        snprintf(line, sizeof(line), "%u:", error->line);
    }
    snprintf(out, size, "%s:%s %s", error->file, line, error->reason);
}

int config_find_camera(const struct config *config, const char *name)
{
    for (uint32_t i = 0; i < config->camera_count; i++) {
        if (strcmp(config->cameras[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -ENOENT;
}

const char *config_state(const struct config *config)
{
    const char *given = getenv("STATE_DIRECTORY");
    const char *state = config->adaptation.state[0] != '\0' ? config->adaptation.state : given;
    return state != NULL && state[0] == '/' ? state : NULL;
}
