/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Start, accept, stop. What is done for clients is in the doors and the method table. */
#include "daemon/server.h"

#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/adaptation.h"
#include "daemon/admission.h"
#include "daemon/door_http.h"
#include "daemon/door_varlink.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/memory_plan.h"
#include "daemon/method.h"
#include "daemon/models.h"
#include "daemon/pool.h"
#include "daemon/status.h"
#include "engine/kernel/cpu.h"
#include "engine/kernel/rates.h"
#include "proto/http.h"

#define ACCEPT_PER_TURN    16   /* then connections that are open get their turn */
#define ACCEPT_PAUSE_MS    100u /* after descriptors or memory ran out */
#define DESCRIPTORS_WANTED 4096u

void server_add(struct server *server, struct connection *connection)
{
    connection->server = server;
    connection->previous = NULL;
    connection->next = server->connections;
    if (connection->next != NULL) {
        connection->next->previous = connection;
    }
    server->connections = connection;
    server->connection_count++;
}

void server_remove(struct connection *connection)
{
    struct server *server = connection->server;
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        server->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    server->connection_count--;
}

bool server_peer_gone(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = 0};
    return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLHUP | POLLERR)) != 0;
}

bool server_allows(const struct server *server, const struct method *method,
                   const struct peer *peer)
{
    return authorise_allows(method->column, peer->class, server->config->allow_other);
}

bool server_ready(const struct server *server)
{
    struct pool_stats stats;
    pool_get_stats(server->pool, &stats);
    return stats.ready > 0 && server->service.announced && !server->stopping;
}

static bool has_room(const struct server *server, const struct peer *peer)
{
    uint32_t same = 0;
    for (const struct connection *other = server->connections; other != NULL; other = other->next) {
        same += authorise_same_peer(&other->peer, peer);
    }
    return server->connection_count < LIMIT_CONNECTIONS && same < LIMIT_CONNECTIONS_PER_PEER;
}

/* Tell a client for which there is no room to come back later, in the language of its door. */
static void send_refusal(int fd, bool http)
{
    static const char text[] = "{\"error\":\"io.ocellus.TooBusy\","
                               "\"parameters\":{\"message\":\"too many connections\"}}";
    char reply[HTTP_RESPONSE_HEAD_BYTES + sizeof(text)];
    size_t head = 0, length = http ? sizeof(text) - 1 : sizeof(text); /* a NUL ends Varlink's */
    if (http) {
        const struct http_response response = {
            .status = proto_error_http_status(PROTO_TOO_BUSY),
            .content_type = "application/json",
            .content_length = length,
            .retry_after = 1,
        };
        head = http_response_head(&response, reply);
    }
    memcpy(reply + head, text, length);
    send(fd, reply, head + length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void admit_connection(struct server *server, const struct listener *listener, int fd)
{
    struct peer peer;
    bool http = listener->door != LISTEN_VARLINK;
    if (authorise_peer(fd, server->service_uid, server->client_gid, server->trainer_gid, &peer) <
        0) {
        close(fd);
        return;
    }
    if (listener->door == LISTEN_METRICS) {
        peer.class = PEER_MONITOR;
    }
    if (!has_room(server, &peer)) {
        send_refusal(fd, http);
        close(fd);
    } else {
        http ? door_http_open(server, fd, &peer) : door_varlink_open(server, fd, &peer);
    }
}

static void on_connection(uv_poll_t *poll, int status, int events);

static void listen_start(struct server *server)
{
    for (uint32_t i = 0; i < server->listener_count; i++) {
        uv_poll_start(&server->listeners[i].poll, UV_READABLE, on_connection);
    }
}

static void on_accept_timer(uv_timer_t *timer)
{
    listen_start(timer->data);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;
    struct server *server = poll->loop->data;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPT_PER_TURN; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit_connection(server, listener, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            /* The socket stays readable: without a pause the loop would spin. */
            for (uint32_t k = 0; k < server->listener_count; k++) {
                uv_poll_stop(&server->listeners[k].poll);
            }
            uv_timer_start(&server->accept_timer, on_accept_timer, ACCEPT_PAUSE_MS, 0);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return; /* EAGAIN: that was all */
        }
    }
}

void server_use(struct server *server, struct setup *setup)
{
    server->setup = setup;
    server->config = setup->config;
    server->models = setup->models;
    server->pool = setup->pool;
}

/* The group of that name; `none` where the name is empty. */
static int find_group(const char *key, const char *name, gid_t none, gid_t *ret_group)
{
    if (name[0] == '\0') {
        *ret_group = none;
        return 0;
    }
    errno = 0;
    const struct group *group = getgrnam(name);
    if (group == NULL) {
        log_message(NULL, LOG_ID_START_FAILED, "%s: there is no group '%s'", key, name);
        return errno != 0 ? -errno : -ENOENT;
    }
    *ret_group = group->gr_gid;
    return 0;
}

/* Members of the sockets' group, else of our own, are clients. */
static int find_groups(const struct config *config, gid_t *ret_clients, gid_t *ret_trainers)
{
    int r = find_group("socket-group", config->socket_group, getegid(), ret_clients);
    return r < 0 ? r
                 : find_group("trainer-group", config->adaptation.trainer_group, (gid_t)-1,
                              ret_trainers);
}

/* The daemon measures, once for all workers: each must pack weights as the others do. */
static int init_kernels(struct server *server)
{
    uint32_t mask = KERNEL_CPU_ALL;
    int r = kernel_cpu_mask_parse(server->config->cpu_mask, &mask);
    if (r < 0) {
        log_message(NULL, LOG_ID_START_FAILED, "cpu-mask: there is no instruction set '%s'",
                    server->config->cpu_mask);
        return r;
    }
    kernel_table_init(&server->kernels, kernel_cpu_detect() & mask);
    kernel_table_measure(&server->kernels);
    return 0;
}

/* Takes the configuration. */
static int start_work(struct server *server, struct config *config)
{
    char reason[CONFIG_ERROR_BYTES];
    struct setup *setup;
    int r = install_init(&server->install, server, config);
    if (r < 0) {
        snprintf(reason, sizeof(reason), "out of memory");
    }
    r = r < 0 ? r : setup_create(server, config, reason, sizeof(reason), &setup);
    if (r < 0) {
        log_message(NULL, LOG_ID_START_FAILED, "%s", reason);
        config_destroy(config);
        return r;
    }
    server_use(server, setup);
    r = admission_create(&server->loop, setup, &server->admission);
    if (r < 0) {
        log_message(NULL, LOG_ID_START_FAILED, "%s", strerror(-r));
        return r;
    }
    r = adaptation_create(&server->loop, config, server->models, &server->kernels, server->pool,
                          &server->events, &server->adaptation);
    setup->pinned = setup->fleet->pinned = server->adaptation != NULL;
    return r;
}

static int start_listening(struct server *server)
{
    char reason[512];
    int r = listen_open(server->config, server->client_gid, server->listeners,
                        &server->listener_count, reason, sizeof(reason));
    if (r < 0) {
        log_message(NULL, LOG_ID_START_FAILED, "%s", reason);
        return r;
    }
    for (uint32_t i = 0; i < server->listener_count; i++) {
        struct listener *listener = &server->listeners[i];
        uv_poll_init(&server->loop, &listener->poll, listener->fd);
        listener->poll.data = listener;
    }
    listen_start(server);
    return 0;
}

/* Nothing more comes in, what is in flight is answered, then everything is closed. */
static void stop(struct server *server)
{
    if (server->stopping) {
        return;
    }
    server->stopping = true;
    service_stop(&server->service);
    uv_close((uv_handle_t *)&server->accept_timer, NULL);
    for (size_t i = 0; i < SERVER_SIGNALS; i++) {
        uv_close((uv_handle_t *)&server->signals[i], NULL);
    }
    for (uint32_t i = 0; i < server->listener_count; i++) {
        uv_close((uv_handle_t *)&server->listeners[i].poll, NULL);
        listen_close(&server->listeners[i]);
    }
    if (server->admission != NULL) {
        admission_stop(server->admission);
    }
    reload_stop(&server->reload);
    install_stop(&server->install);
    fleet_stop_all(server);
    while (server->connections != NULL) {
        server->connections->close(server->connections);
    }
    adaptation_destroy(server->adaptation); /* what is learned gets durable here */
    server->adaptation = NULL;
}

void server_fail(struct server *server, const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    log_message(NULL, LOG_ID_START_FAILED, "%s", reason);
    server->result = -EIO;
    stop(server);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;
    if (number == SIGHUP) {
        reload_soon(&server->reload);
        return;
    }
    log_message(NULL, LOG_ID_STOPPING, "stopping on %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
    stop(server);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < DESCRIPTORS_WANTED) {
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS_WANTED ? limit.rlim_max : DESCRIPTORS_WANTED;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void init_handles(struct server *server, const char *path)
{
    static const int numbers[SERVER_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    uv_timer_init(&server->loop, &server->accept_timer);
    server->accept_timer.data = server;
    service_init(&server->service, server);
    reload_init(&server->reload, server, path);
    for (size_t i = 0; i < SERVER_SIGNALS; i++) {
        uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
        uv_signal_start(&server->signals[i], on_signal, numbers[i]);
    }
}

static void free_setup(struct setup *setup)
{
    if (setup != NULL) {
        config_destroy(setup->config);
        free(setup);
    }
}

static int run(struct server *server, struct config *config, const char *path)
{
    int r = uv_loop_init(&server->loop);
    if (r < 0) {
        log_message(NULL, LOG_ID_START_FAILED, "%s", uv_strerror(r));
        config_destroy(config);
        return r;
    }
    server->loop.data = server;
    init_handles(server, path);
    r = start_work(server, config);
    if (r == 0) {
        r = start_listening(server);
    }
    if (r < 0) {
        stop(server);
    }
    uv_run(&server->loop, UV_RUN_DEFAULT);
    r = r < 0 ? r : server->result;
    if (uv_loop_close(&server->loop) < 0) {
        log_message(NULL, LOG_ID_LEFTOVERS, "handles were left open at the end");
        r = r == 0 ? -EBUSY : r;
    }
    admission_destroy(server->admission);
    events_finish(&server->events);
    install_finish(&server->install);
    fleet_free_all(server);
    free_setup(server->setup);
    free_setup(server->pinned);
    return r;
}

/* Print what memory can be taken. */
static int check_memory(const struct config *config, const struct models *models)
{
    struct memory_plan plan;
    char text[CONFIG_ERROR_BYTES];
    int r = memory_plan_make(config, models, fleet_count_workers(config),
                             memory_plan_control_group(), &plan);
    if (r < 0) {
        memory_plan_refuse(&plan, text, sizeof(text));
        log_message(NULL, LOG_ID_START_FAILED, "%s", text);
    } else {
        memory_plan_format(&plan, text);
        puts(text);
    }
    return r;
}

int server_check(struct config *config)
{
    struct models *models;
    gid_t clients, trainers;
    int r = find_groups(config, &clients, &trainers);
    if (r == 0 && access(config->worker_path, X_OK) < 0) {
        r = -errno;
        log_message(NULL, LOG_ID_START_FAILED, "worker: %s: %s", config->worker_path, strerror(-r));
    }
    if (r == 0) {
        char reason[CONFIG_ERROR_BYTES];
        r = models_load(config, NULL, &models, reason, sizeof(reason));
        if (r < 0) {
            log_message(NULL, LOG_ID_START_FAILED, "%s", reason);
        } else {
            r = check_memory(config, models);
            models_destroy(models);
        }
    }
    config_destroy(config);
    return r;
}

int server_run(struct config *config, const char *path)
{
    struct server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        log_message(NULL, LOG_ID_START_FAILED, "out of memory");
        config_destroy(config);
        return -ENOMEM;
    }
    setenv("UV_THREADPOOL_SIZE", "1", 1); /* files of models are synced there, one at a time */
    signal(SIGPIPE, SIG_IGN);             /* libuv writes to clients that may be gone */
    raise_descriptor_limit();
    /* Large bodies go back to the system when they are freed. Unset, the C library learns to keep
     * them. */
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
    server->config = config;
    server->service_uid = geteuid();
    server->started_ns = uv_hrtime();

    int r = find_groups(config, &server->client_gid, &server->trainer_gid);
    if (r == 0) {
        r = init_kernels(server);
    }
    if (r == 0) {
        r = run(server, config, path);
    } else {
        config_destroy(config);
    }
    free(server);
    return r;
}
