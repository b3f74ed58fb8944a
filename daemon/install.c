/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Copy and check, reload, name; each step only after the one before it. */
#include "daemon/install.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "daemon/json_builder.h"
#include "daemon/reload.h"
#include "daemon/server.h"

static_assert(sizeof(((struct install *)0)->digest) == SHA256_DIGEST_STRING_LENGTH, "as text");

int install_init(struct install *install, struct server *server, const struct config *config)
{
    *install = (struct install){.server = server, .from = -1, .file = -1};
    if (config_state(config) == NULL) {
        return 0;
    }
    install->state = strdup(config_state(config));
    if (install->state == NULL || asprintf(&install->directory, "%s/.models", install->state) < 0) {
        install->directory = NULL;
        return -ENOMEM;
    }
    return 0;
}

static void close_file(int *file)
{
    if (*file >= 0) {
        close(*file);
        *file = -1;
    }
}

void install_stop(struct install *install)
{
    install->stop = true;
    install->call = NULL;
}

void install_finish(struct install *install)
{
    close_file(&install->from);
    close_file(&install->file);
    free(install->state);
    free(install->directory);
}

struct models_source install_source(const struct install *install)
{
    const bool chosen = install->busy && install->whole;
    return (struct models_source){
        .directory = install->directory,
        .name = chosen ? install->name : NULL,
        .file = chosen ? install->file : -1,
        .installed = !install->rollback || install->has_previous,
    };
}

/* ---- The end ---- */

static cJSON *describe(const struct install *install)
{
    const struct models *models = install->server->models;
    const int index = models_find(models, install->name);
    struct json_builder builder = {.good = index >= 0};
    cJSON *root = cJSON_CreateObject();
    json_put_string(&builder, root, "model", install->name);
    if (index >= 0) {
        json_put_string(&builder, root, "id", network_model_id(models->list[index].network));
    }
    json_put_number(&builder, root, "configuration", install->configuration);
    return json_builder_finish(&builder, root);
}

static void end(struct install *install)
{
    struct method_call *call = install->call;
    close_file(&install->from);
    close_file(&install->file);
    install->busy = install->whole = false;
    install->call = NULL;
    if (call == NULL || install->server->stopping) {
        return;
    }
    call->installing = false;
    cJSON *result = install->error == PROTO_OK ? describe(install) : NULL;
    if (install->error != PROTO_OK) {
        call->done(call, install->error, install->message, NULL);
    } else if (result == NULL) {
        call->done(call, PROTO_INTERNAL, "out of memory", NULL);
    } else {
        call->done(call, PROTO_OK, NULL, result);
    }
}

static void fail(struct install *install, enum proto_error error, const char *what, int number)
{
    install->error = error;
    snprintf(install->message, sizeof(install->message), "%s%s%s", what, number != 0 ? ": " : "",
             number != 0 ? strerror(number) : "");
}

/* ---- Files; in a thread of the loop's pool ---- */

/* A directory in another one, durable where it had to be made. Returns a descriptor, or a negative
 * errno. */
static int enter(int parent, const char *name)
{
    const int made = mkdirat(parent, name, 0700);
    if ((made < 0 && errno != EEXIST) || (made == 0 && fsync(parent) < 0)) {
        return -errno;
    }
    const int own = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return own < 0 ? -errno : own;
}

/* The model's directory, made where it is not there. Errors: negative errno. */
static int open_directory(const struct install *install, int *ret_directory)
{
    int state = open(install->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int all = state < 0 ? -errno : enter(state, ".models");
    int own = all < 0 ? all : enter(all, install->name);
    if (state >= 0) {
        close(state);
    }
    if (all >= 0) {
        close(all);
    }
    if (own < 0) {
        return own;
    }
    *ret_directory = own;
    return 0;
}

/* Copy from..file, summed up. Errors: negative errno; -ECANCELED the daemon ends. */
static int copy(struct install *install, char digest[SHA256_DIGEST_STRING_LENGTH])
{
    uint8_t buffer[64 * 1024];
    SHA2_CTX sum;
    SHA256Init(&sum);
    for (off_t at = 0;;) {
        ssize_t got = pread(install->from, buffer, sizeof(buffer), at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            SHA256End(&sum, digest);
            return fsync(install->file) < 0 ? -errno : 0;
        }
        if (at + got > (off_t)NETWORK_FILE_MAX) {
            return -EFBIG; /* it grew since it was looked at */
        }
        if (install->stop) {
            return -ECANCELED;
        }
        SHA256Update(&sum, buffer, (size_t)got);
        for (ssize_t put = 0; put < got;) {
            ssize_t n = pwrite(install->file, buffer + put, (size_t)(got - put), at + put);
            if (n < 0 && errno != EINTR) {
                return -errno;
            }
            put += n > 0 ? n : 0;
        }
        at += got;
    }
}

static void write_new(uv_work_t *work)
{
    struct install *install = work->data;
    char digest[SHA256_DIGEST_STRING_LENGTH];
    int directory;
    int r = open_directory(install, &directory);
    if (r < 0) {
        fail(install, PROTO_INTERNAL, "the directory for models", -r);
        return;
    }
    install->file =
        openat(directory, "new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    r = install->file < 0 ? -errno : copy(install, digest);
    if (r < 0) {
        fail(install, PROTO_INTERNAL, "the model cannot be kept", -r);
    } else if (strcmp(digest, install->digest) != 0) {
        fail(install, PROTO_BAD_REQUEST, "the file has another SHA-256", 0);
    }
    if (install->error != PROTO_OK && install->file >= 0) {
        unlinkat(directory, "new", 0);
        close_file(&install->file);
    }
    close(directory);
}

/* `current` is there at every moment at which it was or will be. */
static int name_new(int directory)
{
    unlinkat(directory, "before", 0);
    if (linkat(directory, "current", directory, "before", 0) == 0) {
        if (renameat(directory, "before", directory, "previous") < 0) {
            return -errno;
        }
        unlinkat(directory, "before", 0); /* rename does nothing where both are one file */
    } else if (errno != ENOENT) {
        return -errno;
    }
    return renameat(directory, "new", directory, "current") < 0 ? -errno : 0;
}

static void commit(uv_work_t *work)
{
    struct install *install = work->data;
    int directory;
    int r = open_directory(install, &directory);
    if (r == 0) {
        if (!install->rollback) {
            r = name_new(directory);
        } else if ((install->has_previous ? renameat(directory, "previous", directory, "current")
                                          : unlinkat(directory, "current", 0)) < 0) {
            r = -errno;
        }
        if (fsync(directory) < 0 && r == 0) {
            r = -errno;
        }
        close(directory);
    }
    if (r < 0) {
        fail(install, PROTO_INTERNAL, "in force, but not kept over a restart", -r);
    }
}

/* ---- The way ---- */

static void on_committed(uv_work_t *work, int status)
{
    (void)status;
    end(work->data);
}

/* Nothing came of the file. */
static void drop_new(struct install *install)
{
    int directory;
    if (!install->rollback && open_directory(install, &directory) == 0) {
        unlinkat(directory, "new", 0);
        close(directory);
    }
}

static void on_reloaded(struct method_call *call, enum proto_error error, const char *message,
                        cJSON *result)
{
    struct install *install = call->door;
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(result, "configuration");
    install->configuration = cJSON_IsNumber(number) ? number->valuedouble : 0;
    cJSON_Delete(result);
    if (error == PROTO_OK) {
        if (uv_queue_work(&install->server->loop, &install->work, commit, on_committed) == 0) {
            return;
        }
        error = PROTO_INTERNAL;
        message = "out of memory";
    }
    fail(install, error, message, 0);
    drop_new(install);
    end(install);
}

static void reload(struct install *install)
{
    install->whole = true;
    install->reload = (struct method_call){.fd = -1, .done = on_reloaded, .door = install};
    reload_call(&install->server->reload, &install->reload);
}

static void on_written(uv_work_t *work, int status)
{
    struct install *install = work->data;
    (void)status;
    if (install->error != PROTO_OK || install->server->stopping) {
        end(install);
    } else {
        reload(install);
    }
}

/* False: the call is answered. */
static bool begin(struct install *install, struct method_call *call)
{
    const struct models *models = install->server->models;
    const char *name = call->request.model;
    if (install->directory == NULL) {
        call->done(call, PROTO_BAD_REQUEST,
                   "there is no place to keep models: set 'state' in [adaptation]", NULL);
        return false;
    }
    if (mkdir(install->state, 0700) < 0 && errno != EEXIST) {
        call->done(call, PROTO_INTERNAL, strerror(errno), NULL);
        return false;
    }
    if (install->busy) {
        call->done(call, PROTO_TOO_BUSY, "another model is being changed", NULL);
        return false;
    }
    if (name[0] == '\0') {
        name = models->list[models->standard].name;
    } else if (models_find(models, name) < 0) {
        call->done(call, PROTO_NOT_FOUND, "the configuration has no such model", NULL);
        return false;
    }
    snprintf(install->name, sizeof(install->name), "%s", name);
    install->error = PROTO_OK;
    install->work.data = install;
    return true;
}

static void wait_for_end(struct install *install, struct method_call *call)
{
    install->busy = true;
    install->call = call;
    call->server = install->server;
    call->installing = true;
}

void install_load(struct install *install, struct method_call *call)
{
    if (!begin(install, call)) {
        return;
    }
    install->rollback = false;
    install->from = call->fd;
    call->fd = -1;
    memcpy(install->digest, call->request.sha256, sizeof(install->digest));
    if (uv_queue_work(&install->server->loop, &install->work, write_new, on_written) < 0) {
        close_file(&install->from);
        call->done(call, PROTO_INTERNAL, "out of memory", NULL);
        return;
    }
    wait_for_end(install, call);
}

/* Opens what a rollback goes back to. Errors: -ENOENT there is nothing to take back; negative
 * errno. */
static int open_previous(struct install *install)
{
    const struct config *config = install->server->config;
    const int index = models_find(install->server->models, install->name);
    int directory;
    int r = open_directory(install, &directory);
    if (r < 0) {
        return r;
    }
    if (faccessat(directory, "current", F_OK, 0) < 0) {
        r = -errno;
    } else {
        install->file = openat(directory, "previous", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        install->has_previous = install->file >= 0;
        if (install->file < 0 && errno == ENOENT) {
            install->file =
                open(config->models[index].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* no fifo */
        }
        r = install->file < 0 ? -errno : 0;
    }
    close(directory);
    return r;
}

void install_rollback(struct install *install, struct method_call *call)
{
    if (!begin(install, call)) {
        return;
    }
    install->rollback = true;
    int r = open_previous(install);
    if (r < 0) {
        call->done(call, r == -ENOENT ? PROTO_NOT_FOUND : PROTO_INTERNAL,
                   r == -ENOENT ? "nothing was loaded that could be taken back" : strerror(-r),
                   NULL);
        return;
    }
    wait_for_end(install, call);
    reload(install);
}

void install_cancel(struct install *install, const struct method_call *call)
{
    if (install->call == call) {
        install->call = NULL;
    }
}
