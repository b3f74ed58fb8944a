/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * One worker process: its birth, its messages, its answers and its end. Nothing that the process
 * wrote is used before it was copied out of shared memory and checked.
 */
#include "daemon/pool_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/limits.h"

#define NS_PER_MS UINT64_C(1000000)

/* Frame bytes of the region that stay allocated; pages beyond go back after the frame that needed
 * them. Larger JPEG and RAW files take tens of milliseconds to decode, beside which that is
 * nothing. */
#define REGION_KEEP_BYTES ((size_t)1 << 20)

/* Allocate and map what every frame needs, so that none of them pays for it. */
static int region_touch(struct pool_worker *worker)
{
    size_t end = job_frame_offset() + REGION_KEEP_BYTES;
    if (end > worker->pool->region_bytes) {
        end = worker->pool->region_bytes;
    }
    if (fallocate(worker->region_fd, 0, 0, (off_t)end) < 0) {
        return -errno;
    }
    memset(worker->region, 0, end);
    return 0;
}

int pool_worker_init(struct pool_worker *worker, struct pool *pool)
{
    worker->pool = pool;
    worker->state = POOL_DOWN;
    worker->deadline_ns = UINT64_MAX;
    worker->lost_ns = uv_hrtime();
    worker->region_fd = memfd_create("ocellus-region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (worker->region_fd < 0 || ftruncate(worker->region_fd, (off_t)pool->region_bytes) < 0 ||
        fcntl(worker->region_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        return -errno;
    }
    void *region =
        mmap(NULL, pool->region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, worker->region_fd, 0);
    if (region == MAP_FAILED) {
        return -errno;
    }
    worker->region = region;
    return region_touch(worker);
}

void pool_worker_finish(struct pool_worker *worker)
{
    if (worker->region != NULL) {
        munmap(worker->region, worker->pool->region_bytes);
    }
    if (worker->region_fd >= 0) {
        close(worker->region_fd);
    }
}

static void region_trim(struct pool_worker *worker)
{
    size_t keep = job_frame_offset() + REGION_KEEP_BYTES;
    if (keep < worker->pool->region_bytes) {
        madvise((uint8_t *)worker->region + keep, worker->pool->region_bytes - keep, MADV_REMOVE);
    }
}

/* Large frames are written by system call: where memory runs out that is an error, a store to the
 * mapping would be a signal. Errors: -ENOMEM. */
static int region_fill(struct pool_worker *worker, const struct frame *frame)
{
    size_t offset = job_frame_offset();
    if (frame->length <= REGION_KEEP_BYTES) {
        memcpy((uint8_t *)worker->region + offset, frame->bytes, frame->length);
        return 0;
    }
    ssize_t written = pwrite(worker->region_fd, frame->bytes, frame->length, (off_t)offset);
    if (written != (ssize_t)frame->length) {
        region_trim(worker);
        return -ENOMEM;
    }
    return 0;
}

/* Start again at once, or after a growing pause when the last starts led to nothing. */
static void schedule_start(struct pool_worker *worker)
{
    uint64_t wait_ms = 0;
    if (worker->failed_starts > 0) {
        uint32_t shift = worker->failed_starts < 16 ? worker->failed_starts - 1 : 15;
        wait_ms = (uint64_t)LIMIT_WORKER_BACKOFF_MS << shift;
        if (wait_ms > LIMIT_WORKER_BACKOFF_MAX_MS) {
            wait_ms = LIMIT_WORKER_BACKOFF_MAX_MS;
        }
    }
    worker->state = POOL_DOWN;
    worker->deadline_ns = uv_hrtime() + wait_ms * NS_PER_MS;
    pool_arm(worker->pool, worker->deadline_ns);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct pool_worker *worker = handle->data;
    if (--worker->handles > 0) {
        return;
    }
    region_trim(worker);
    if (worker->pool->destroying) {
        pool_slot_closed(worker->pool);
    } else {
        schedule_start(worker);
    }
}

void pool_worker_retire(struct pool_worker *worker, enum proto_error error, const char *message)
{
    struct pool *pool = worker->pool;
    struct frame *frame = worker->frame;
    worker->frame = NULL;
    worker->deadline_ns = UINT64_MAX;
    if (worker->state == POOL_DOWN || worker->state == POOL_DYING) {
        return;
    }
    /* Frames of clients may kill a worker as often as they like: the next is started at once. */
    if (worker->state == POOL_STARTING ||
        (worker->frames == 0 && (worker->state != POOL_BUSY || frame->probe))) {
        worker->failed_starts++;
    }
    worker->lost_ns = uv_hrtime();
    pool->stats.ready -= worker->state != POOL_STARTING;
    pool->stats.busy -= worker->state == POOL_BUSY;
    worker->state = POOL_DYING;
    if (worker->running) {
        uv_process_kill(&worker->process, SIGKILL);
    }
    uv_close((uv_handle_t *)&worker->poll, on_handle_closed);
    close(worker->doorbell);
    worker->doorbell = -1;
    if (frame != NULL) {
        pool->options.finished(pool->options.context, frame, error, message, NULL);
    }
}

static int send_message(struct pool_worker *worker, const struct job_message *message, int fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)message, .iov_len = sizeof(*message)};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
    }
    ssize_t sent;
    do {
        sent = sendmsg(worker->doorbell, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof(*message) ? 0 : -EIO;
}

/* The first published weights that the worker does not have, or NULL. */
static const struct pool_published *next_weights(const struct pool_worker *worker)
{
    const struct pool *pool = worker->pool;
    const struct pool_published *next = NULL;
    for (uint32_t i = 0; i < pool->published_count; i++) {
        const struct pool_published *published = &pool->published[i];
        if (published->number > worker->weights &&
            (next == NULL || published->number < next->number)) {
            next = published;
        }
    }
    return next;
}

/* Errors: -EIO. */
static int send_weights(struct pool_worker *worker, const struct pool_published *published)
{
    const struct pool_weights *weights = &published->weights;
    worker->sequence = ++worker->pool->sequence;
    worker->weights = published->number;
    struct job_message message = {
        .op = JOB_OP_WEIGHTS,
        .model = weights->model,
        .point = weights->point,
        .adapter = 1 + weights->adapter,
        .layer = weights->layer,
        .generation = weights->generation,
        .sequence = worker->sequence,
        .length = weights->memfd >= 0 ? weights->bytes : 0,
    };
    return send_message(worker, &message, weights->memfd);
}

/* Hand over the next model or weights, or be ready when there is nothing left. Errors: -EIO. */
static int send_next(struct pool_worker *worker)
{
    struct pool *pool = worker->pool;
    if (worker->models == pool->options.model_count) {
        const struct pool_published *published = next_weights(worker);
        if (published != NULL) {
            return send_weights(worker, published);
        }
        pool->stats.ready += worker->state == POOL_STARTING;
        worker->state = POOL_IDLE;
        worker->deadline_ns = UINT64_MAX;
        return 0;
    }
    const struct pool_model *model = &pool->options.models[worker->models];
    worker->sequence = ++pool->sequence;
    struct job_message message = {
        .op = JOB_OP_MODEL,
        .model = worker->models,
        .generation = model->generation,
        .sequence = worker->sequence,
        .length = model->bytes,
    };
    return send_message(worker, &message, model->memfd);
}

static void hand_over_motion(struct job_shared *region, const struct job_motion *before)
{
    if (before == NULL) {
        region->before.bytes = 0;
        return;
    }
    memcpy(&region->before, before, offsetof(struct job_motion, codes) + before->bytes);
}

/* An adapter of which nothing was published is the model as it is. */
static bool has_weights(const struct pool *pool, uint32_t adapter)
{
    return adapter != 0 && pool->generations[adapter - 1] != 0;
}

int pool_worker_run(struct pool_worker *worker, struct frame *frame)
{
    struct pool *pool = worker->pool;
    const struct pool_model *model = &pool->options.models[frame->model_index];
    struct job_message message = {
        .op = JOB_OP_FRAME,
        .model = frame->model_index,
        .point = frame->point_index,
        .exits = frame->exits,
        .wakes = model->wakes,
        .wake_label = model->wake_label,
        .wake_margin = model->wake_margin,
        .sequence = ++pool->sequence,
        .length = frame->length,
        .source = frame->source,
        .kind = frame->kind,
        .want_codes = frame->want_codes,
        .want_colour = frame->want_colour,
        .scan = frame->scan,
        .adapter = has_weights(pool, frame->adapter) ? frame->adapter : 0,
        .sensor = frame->sensor,
    };
    if (frame->source == JOB_SOURCE_REGION && region_fill(worker, frame) < 0) {
        return -ENOMEM;
    }
    if (frame->scan.motion) {
        hand_over_motion(worker->region, frame->before);
    }
    frame->started_ns = uv_hrtime();
    if (send_message(worker, &message, frame->source == JOB_SOURCE_REGION ? -1 : frame->fd) < 0) {
        pool->stats.crashes++;
        pool_worker_retire(worker, PROTO_WORKER_FAILED, NULL);
        return -EIO;
    }
    worker->sequence = message.sequence;
    worker->generation = pool_generation(pool, frame);
    worker->asked = message;
    worker->frame = frame;
    worker->state = POOL_BUSY;
    worker->deadline_ns = frame->started_ns + pool->options.timeout_ms * NS_PER_MS;
    pool->stats.busy++;
    pool_arm(pool, worker->deadline_ns);
    return 0;
}

static void worker_lied(struct pool_worker *worker)
{
    worker->pool->stats.lies++;
    pool_worker_retire(worker, PROTO_WORKER_FAILED, "the worker's answer made no sense");
    pool_changed(worker->pool);
}

static void worker_died(struct pool_worker *worker)
{
    worker->pool->stats.crashes++;
    pool_worker_retire(worker, PROTO_WORKER_FAILED, "the worker died on this frame");
    pool_changed(worker->pool);
}

/* Whether another stage of a cascade answered than its margin says. */
static bool wrong_stage(const struct pool_model *model, const struct job_result *result)
{
    if (model->wakes == 0 || result->scanned) { /* a scan wakes nobody */
        return result->awake || result->wake_margin != 0;
    }
    return result->awake != (result->wake_margin >= model->wake_margin);
}

/* None, or whole windows: one of a plain frame, at most one for each box of a scanned one. */
static bool codes_fit(const struct pool_model *model, const struct frame *frame,
                      const struct job_result *result)
{
    const size_t window = model->codes_bytes[result->point];
    const size_t most = !frame->want_codes ? 0 : result->scanned ? result->box_count : 1;
    return result->codes_bytes == 0 || (window > 0 && result->codes_bytes % window == 0 &&
                                        result->codes_bytes / window <= most);
}

/* Copies the result of the worker's frame out of the region, then checks the copy. */
static bool take_result(const struct pool_worker *worker, struct job_result *result)
{
    const struct frame *frame = worker->frame;
    const struct pool_model *model = &worker->pool->options.models[frame->model_index];
    uint64_t generation = worker->generation;
    memcpy(result, worker->region, JOB_RESULT_HEAD_BYTES);
    /* Shared memory must not be read a second time in place of the copy. */
    atomic_signal_fence(memory_order_seq_cst);
    if (wrong_stage(model, result)) {
        return false;
    }
    if (result->awake) {
        model = &worker->pool->options.models[model->wakes - 1];
        generation = model->generation;
    }
    if (!job_result_valid(result, &worker->asked, model->label_count) ||
        result->generation != generation ||
        (frame->kind != IMAGE_KIND_AUTO && result->info.kind != frame->kind) ||
        result->decode_ns + result->average_ns + result->gradient_ns + result->network_ns >
            uv_hrtime() - frame->started_ns ||
        !codes_fit(model, frame, result)) {
        return false;
    }
    const struct job_result *shared = worker->region;
    memcpy(result->codes, shared->codes, result->codes_bytes);
    memcpy(result->motion, shared->motion, result->motion_bytes);
    return true;
}

void pool_worker_update(struct pool_worker *worker)
{
    if (next_weights(worker) == NULL) {
        return;
    }
    worker->state = POOL_UPDATING;
    worker->deadline_ns = uv_hrtime() + LIMIT_WORKER_START_MS * NS_PER_MS;
    pool_arm(worker->pool, worker->deadline_ns);
    if (send_next(worker) < 0) {
        worker->pool->stats.crashes++;
        pool_worker_retire(worker, PROTO_WORKER_FAILED, NULL);
    }
}

static const char *status_message(int status)
{
    switch (status) {
    case -EBADMSG:
        return "the image is corrupt or truncated";
    case -ENOTSUP:
        return "this kind of image is not supported";
    case -EFBIG:
        return "the image is over a limit";
    case -EINVAL:
        return "the description of the frame does not fit its bytes";
    case -ENOMEM:
        return "the worker is out of memory";
    default:
        return "the worker could not read the frame";
    }
}

static void frame_done(struct pool_worker *worker, const struct job_done *done)
{
    struct pool *pool = worker->pool;
    struct frame *frame = worker->frame;
    struct job_result *result = NULL;
    if (done->status == 0) {
        result = pool->result;
        if (!take_result(worker, result)) {
            worker_lied(worker);
            return;
        }
    }
    worker->frame = NULL;
    worker->state = POOL_IDLE;
    worker->deadline_ns = UINT64_MAX;
    worker->frames++;
    worker->failed_starts = 0;
    worker->answered_ns = uv_hrtime();
    pool->stats.busy--;
    pool->stats.frames += !frame->probe;
    if (frame->source == JOB_SOURCE_REGION && frame->length > REGION_KEEP_BYTES) {
        region_trim(worker);
    }
    if (done->recycle || worker->frames == pool->options.frames_max) {
        pool->stats.recycled++;
        pool_worker_retire(worker, PROTO_OK, NULL);
    } else {
        pool_worker_update(worker); /* before the owner can give it another frame */
    }
    if (result != NULL) {
        pool->options.finished(pool->options.context, frame, PROTO_OK, NULL, result);
    } else {
        pool->options.finished(pool->options.context, frame, proto_error_from_errno(done->status),
                               status_message(done->status), NULL);
    }
    pool_changed(pool);
}

static void answer(struct pool_worker *worker, const struct job_done *done)
{
    if (done->sequence != worker->sequence || done->status > 0 || done->status < -4095) {
        worker_lied(worker);
    } else if (worker->state == POOL_BUSY) {
        frame_done(worker, done);
    } else if (done->status < 0) {
        worker_died(worker); /* of no use without the model */
    } else {
        worker->models += worker->models < worker->pool->options.model_count;
        if (send_next(worker) < 0) {
            worker_died(worker);
        } else if (worker->state == POOL_IDLE) {
            pool_changed(worker->pool);
        }
    }
}

void pool_worker_collect(struct pool_worker *worker)
{
    struct pool *pool = worker->pool;
    struct job_done done;
    /* No room for control data: descriptors that a worker may send are dropped by the kernel. */
    ssize_t length = recv(worker->doorbell, &done, sizeof(done), MSG_DONTWAIT | MSG_TRUNC);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    pool->answering = true;
    if (length <= 0) {
        worker_died(worker);
    } else if (length != sizeof(done) || worker->state == POOL_IDLE) {
        worker_lied(worker);
    } else {
        answer(worker, &done);
    }
    pool->answering = false;
}

static void on_doorbell(uv_poll_t *poll, int status, int events)
{
    (void)events;
    if (status < 0) {
        worker_died(poll->data);
    } else {
        pool_worker_collect(poll->data);
    }
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal)
{
    struct pool_worker *worker = process->data;
    (void)status;
    (void)signal;
    worker->running = false;
    /* An answer sent before the end was taken already: libuv looks at signals last. */
    if (worker->state != POOL_DYING) {
        worker_died(worker);
    }
    uv_close((uv_handle_t *)process, on_handle_closed);
}

void pool_worker_start(struct pool_worker *worker)
{
    struct pool *pool = worker->pool;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        worker->failed_starts++;
        schedule_start(worker);
        return;
    }
    if (uv_poll_init(pool->loop, &worker->poll, pair[0]) < 0) {
        close(pair[0]);
        close(pair[1]);
        worker->failed_starts++;
        schedule_start(worker);
        return;
    }
    worker->poll.data = worker;
    worker->process.data = worker;
    worker->handles = 2;
    worker->doorbell = pair[0];
    worker->state = POOL_STARTING;
    worker->models = 0;
    worker->weights = worker->frames = worker->answered_ns = 0;
    worker->deadline_ns = uv_hrtime() + LIMIT_WORKER_START_MS * NS_PER_MS;
    pool_arm(pool, worker->deadline_ns);
    uv_poll_start(&worker->poll, UV_READABLE, on_doorbell);
    worker->running = pool_worker_spawn(worker, pair[1], on_process_exit) == 0;
    close(pair[1]);
    if (!worker->running) {
        uv_close((uv_handle_t *)&worker->process, on_handle_closed);
    }
    if (!worker->running || send_next(worker) < 0) {
        pool->stats.crashes++;
        pool_worker_retire(worker, PROTO_WORKER_FAILED, NULL);
    }
}

void pool_worker_expire(struct pool_worker *worker)
{
    if (worker->state == POOL_DOWN) {
        pool_worker_start(worker);
        return;
    }
    worker->pool->stats.timeouts++;
    pool_worker_retire(worker, PROTO_DEADLINE, "the frame took the worker too long");
    pool_changed(worker->pool);
}
