/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Admission on a real loop and a real pool, whose one worker answers at once, but for frames that
 * begin with 'X': they keep it until its time is over. Usage: test_admission HOSTILE-WORKER
 */
#include "daemon/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pool_fixture.h"

static const char *program;

struct bench {
    uv_loop_t loop;
    struct config config;
    struct models models;
    struct pool *pool;
    struct setup setup;
    struct admission *admission;
    int model;
    unsigned fds;
    char seen[1024]; /* "a1 ok;b1 busy;" in the order of the answers */
    char points[32]; /* operating points of the frames that were answered well */
    unsigned answers;
    const char *next; /* a frame to submit from within the next answer; NULL: none */
};

static struct frame *submit(struct bench *bench, const char *name);

/* Frames carry their name, which begins with the camera's, after the first byte. */
static void on_done(struct frame *frame, enum proto_error error, const char *message,
                    const struct proto_result *result)
{
    struct bench *bench = frame->door;
    const char *word = error == PROTO_OK         ? "ok"
                       : error == PROTO_TOO_BUSY ? "busy"
                       : error == PROTO_DEADLINE ? "late"
                                                 : proto_error_name(error);
    size_t used = strlen(bench->seen);
    assert_true((error == PROTO_OK) == (message == NULL));
    assert_true((error == PROTO_OK) == (result != NULL));
    snprintf(bench->seen + used, sizeof(bench->seen) - used, "%s %s;", (char *)frame->bytes + 1,
             word);
    if (error == PROTO_OK) {
        bench->points[strlen(bench->points)] = (char)('0' + frame->point_index);
    }
    bench->answers++;
    if (bench->next != NULL) {
        const char *next = bench->next;
        bench->next = NULL;
        submit(bench, next);
    }
}

static void on_changed(void *context)
{
    struct bench *bench = context;
    if (bench->admission != NULL) {
        admission_changed(bench->admission);
    }
}

static void on_finished(void *context, struct frame *frame, enum proto_error error,
                        const char *message, const struct job_result *result)
{
    struct bench *bench = context;
    const struct proto_result described = {.camera = frame->camera};
    admission_finished(bench->admission, frame, error, message, result != NULL ? &described : NULL);
}

static void on_closed(void *context)
{
    struct bench *bench = context;
    bench->pool = NULL;
}

static void wait_ready(struct bench *bench)
{
    struct pool_stats stats = {.ready = 0};
    while (stats.ready == 0) {
        uv_run(&bench->loop, UV_RUN_ONCE);
        pool_get_stats(bench->pool, &stats);
    }
}

static void open_bench(struct bench *bench, unsigned timeout_ms, unsigned deadline_ms)
{
    memset(bench, 0, sizeof(*bench));
    bench->config = (struct config){
        .cameras_max = 4,
        .frame_bytes_max = 1000,
        .queue_bytes_max = 1000,
        .deadline_ms = deadline_ms,
        .default_model = "m",
        .models = {{.name = "m"}},
        .model_count = 1,
        .cameras = {{.name = "off", .model = "m", .enabled = false}},
        .camera_count = 1,
        .other = {.enabled = true},
    };
    bench->models.count = 1;
    bench->models.list[0] =
        (struct model){.name = "m", .point_count = 3, .points = {"p0", "p1", "p2"}};
    bench->model = make_memfd("model", 5);
    struct pool_options options = pool_fixture_options(program, "hang", bench->model, 5);
    options.timeout_ms = timeout_ms;
    options.changed = on_changed;
    options.finished = on_finished;
    options.context = bench;
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    assert_int_equal(pool_create(&bench->loop, &options, &bench->pool), 0);
    bench->setup =
        (struct setup){.config = &bench->config, .models = &bench->models, .pool = bench->pool};
    assert_int_equal(admission_create(&bench->loop, &bench->setup, &bench->admission), 0);
    wait_ready(bench);
}

static struct admission_counters totals(const struct bench *bench)
{
    struct admission_counters counters;
    uint64_t reserved;
    admission_get_totals(bench->admission, &counters, &reserved);
    return counters;
}

static uint64_t reserved(const struct bench *bench)
{
    struct admission_counters counters;
    uint64_t bytes;
    admission_get_totals(bench->admission, &counters, &bytes);
    return bytes;
}

static void close_bench(struct bench *bench)
{
    admission_stop(bench->admission);
    pool_destroy(bench->pool, on_closed, bench);
    assert_int_equal(uv_run(&bench->loop, UV_RUN_DEFAULT), 0);
    assert_null(bench->pool);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    assert_int_equal(totals(bench).pending, 0);
    assert_int_equal(reserved(bench), 0);
    admission_destroy(bench->admission);
    close(bench->model);
}

/* "a1": a frame of camera a; "Xa1": one that keeps the worker; "a1@m": it asks for model m;
 * "a1#p1": for operating point p1 of the camera's model. */
static struct frame *submit(struct bench *bench, const char *name)
{
    char text[32];
    bool keeps = name[0] == 'X';
    name += keeps;
    snprintf(text, sizeof(text), "%c%s", keeps ? 'X' : '-', name);
    struct frame *frame = make_frame(text, strlen(text) + 1, IMAGE_KIND_AUTO);
    const char *model = strchr(name, '@');
    snprintf(frame->model, sizeof(frame->model), "%s", model != NULL ? model + 1 : "");
    const char *point = strchr(name, '#');
    snprintf(frame->point, sizeof(frame->point), "%s", point != NULL ? point + 1 : "");
    snprintf(frame->camera, sizeof(frame->camera), "%.*s", (int)strcspn(name, "0123456789@#"),
             name);
    frame->arrived_ns = uv_hrtime();
    frame->done = on_done;
    frame->door = bench;
    frame->reserved = 10;
    assert_true(admission_reserve(bench->admission, frame->reserved));
    admission_submit(bench->admission, frame);
    return frame;
}

static void run_until(struct bench *bench, unsigned answers)
{
    while (bench->answers < answers) {
        uv_run(&bench->loop, UV_RUN_ONCE);
    }
    assert_int_equal(bench->answers, answers);
}

static void test_newest_wins_and_cameras_take_turns(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, 100, 5000);
    submit(&bench, "Xa1");
    submit(&bench, "b1");
    submit(&bench, "a2");
    submit(&bench, "c1");
    submit(&bench, "b2");
    submit(&bench, "b3");
    /* A camera with a frame in work comes after those that waited for it. */
    assert_string_equal(bench.seen, "b1 busy;b2 busy;");
    run_until(&bench, 6);
    assert_string_equal(bench.seen, "b1 busy;b2 busy;a1 late;b3 ok;c1 ok;a2 ok;");
    struct admission_counters counters = totals(&bench);
    assert_int_equal(counters.received, 6);
    assert_int_equal(counters.answered, 3);
    assert_int_equal(counters.superseded, 2);
    assert_int_equal(counters.expired, 1);
    close_bench(&bench);
}

static void test_eager_camera_does_not_starve_others(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, 100, 5000);
    submit(&bench, "Xc1");
    submit(&bench, "a1");
    submit(&bench, "b1");
    run_until(&bench, 1);
    bench.next = "a2"; /* from within the answer to a1 */
    run_until(&bench, 4);
    assert_string_equal(bench.seen, "c1 late;a1 ok;b1 ok;a2 ok;");
    close_bench(&bench);
}

/* The loop does not turn, as when many frames came at once. */
static void test_workers_are_not_left_idle_by_a_long_turn(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, 5000, 5000);
    submit(&bench, "a1");
    bench.next = "c1"; /* from within the first answer, be it to an older b */
    for (int i = 0; i < 5000 && strstr(bench.seen, "a1 ok;") == NULL; i++) {
        usleep(1000);
        submit(&bench, "b1");
    }
    assert_non_null(strstr(bench.seen, "a1 ok;"));
    run_until(&bench, (unsigned)totals(&bench).received);
    assert_non_null(strstr(bench.seen, "c1 ok;"));
    assert_int_equal(totals(&bench).answered + totals(&bench).superseded, bench.answers);
    close_bench(&bench);
}

static void test_deadline_is_kept_while_waiting_and_in_work(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, 400, 60);
    uint64_t start = uv_hrtime();
    submit(&bench, "Xa1");
    submit(&bench, "b1");
    run_until(&bench, 2);
    assert_in_range((uv_hrtime() - start) / 1000000, 59, 300);
    assert_string_equal(bench.seen, "a1 late;b1 late;");
    assert_int_equal(totals(&bench).expired, 2);
    assert_int_equal(totals(&bench).pending, 0);
    assert_int_equal(reserved(&bench), 10); /* the worker still has a1 */
    submit(&bench, "c1");
    run_until(&bench, 3);
    assert_string_equal(bench.seen, "a1 late;b1 late;c1 late;");
    uint64_t end = uv_hrtime() + UINT64_C(2000000000);
    while (reserved(&bench) > 0 && uv_hrtime() < end) {
        uv_run(&bench.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(bench.answers, 3); /* a1 was not answered twice */
    close_bench(&bench);
}

static void test_cancelled_frames_are_not_answered(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, 100, 5000);
    struct frame *working = submit(&bench, "Xa1");
    struct frame *waiting = submit(&bench, "b1");
    submit(&bench, "c1");
    admission_cancel(bench.admission, waiting);
    assert_int_equal(reserved(&bench), 20);
    admission_cancel(bench.admission, working);
    submit(&bench, "b2");
    run_until(&bench, 2);
    assert_string_equal(bench.seen, "b2 ok;c1 ok;"); /* b kept its turn */
    struct admission_counters counters = totals(&bench);
    assert_int_equal(counters.cancelled, 2);
    assert_int_equal(counters.answered, 2);
    assert_int_equal(counters.expired + counters.failed, 0);
    close_bench(&bench);
}

static void test_refusals(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, 100, 5000);
    submit(&bench, "a1@none");
    submit(&bench, "off1");
    assert_string_equal(bench.seen, "a1@none io.ocellus.NotFound;off1 io.ocellus.Forbidden;");
    submit(&bench, "b1#none");
    assert_non_null(strstr(bench.seen, ";b1#none io.ocellus.NotFound;"));
    struct admission_camera camera;
    assert_true(admission_get_camera(bench.admission, 0, &camera));
    assert_string_equal(camera.name, "off");
    assert_int_equal(camera.counters.refused, 1);
    assert_false(
        admission_get_camera(bench.admission, 1, &camera)); /* a refused frame makes no camera */
    assert_int_equal(totals(&bench).refused, 3);
    submit(&bench, "a2@m");
    run_until(&bench, 4);
    assert_true(admission_get_camera(bench.admission, 1, &camera));
    close_bench(&bench);
}

/* "auto" is the first point while nothing waits, and a cheaper one for each frame behind it. */
static void test_points(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, 100, 5000);
    submit(&bench, "a1#p2");
    run_until(&bench, 1);
    submit(&bench, "a2");
    run_until(&bench, 2);
    submit(&bench, "a3#auto");
    run_until(&bench, 3);
    assert_string_equal(bench.points, "200");
    submit(&bench, "a4#p3");
    assert_non_null(strstr(bench.seen, "a4#p3 io.ocellus.NotFound;"));
    submit(&bench, "Xa5");
    submit(&bench, "b1#auto");
    submit(&bench, "c1#auto");
    run_until(&bench, 7);
    assert_string_equal(bench.points, "20010");
    close_bench(&bench);
}

static void test_cameras_make_room(void **state)
{
    (void)state;
    struct bench bench;
    struct admission_camera camera;
    open_bench(&bench, 100, 5000);
    const char *const names[] = {"a1", "b1", "a2", "c1", "d1"};
    for (unsigned i = 0; i < 5; i++) {
        submit(&bench, names[i]);
        run_until(&bench, i + 1);
    }
    const char *const kept[] = {"off", "a", "d", "c"}; /* d is in the place of b, the oldest */
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(admission_get_camera(bench.admission, i, &camera));
        assert_string_equal(camera.name, kept[i]);
    }
    submit(&bench, "Xa3");
    submit(&bench, "c2");
    submit(&bench, "d2");
    submit(&bench, "e1"); /* all are needed */
    run_until(&bench, 9);
    assert_non_null(strstr(bench.seen, ";e1 busy;a3 late;c2 ok;d2 ok;"));
    assert_int_equal(totals(&bench).answered, 7);
    close_bench(&bench);
}

static void test_budget(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, 100, 5000);
    assert_true(admission_reserve(bench.admission, 900));
    assert_false(admission_reserve(bench.admission, 101));
    assert_false(admission_reserve(bench.admission, SIZE_MAX));
    assert_true(admission_reserve(bench.admission, 100));
    assert_false(admission_reserve(bench.admission, 1));
    admission_release(bench.admission, 1000);
    assert_true(admission_reserve(bench.admission, 1000));
    admission_release(bench.admission, 1000);
    close_bench(&bench);
}

static void test_ids_grow(void **state)
{
    (void)state;
    struct bench bench;
    uint64_t last = 0;
    open_bench(&bench, 100, 5000);
    for (unsigned i = 0; i < 20; i++) {
        struct frame *frame =
            submit(&bench, "Xa1"); /* the first is in work, each newer one waits */
        assert_true(frame->id > last && frame->id < UINT64_C(1) << 53);
        last = frame->id;
    }
    close_bench(&bench);
    struct bench later;
    usleep(2000);
    open_bench(&later, 100, 5000);
    assert_true(submit(&later, "Xa1")->id > last);
    close_bench(&later);
}

static void test_stop_answers_the_waiting(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, 1000, 5000);
    submit(&bench, "Xa1");
    submit(&bench, "b1");
    admission_stop(bench.admission);
    assert_string_equal(bench.seen, "b1 busy;");
    submit(&bench, "c1");
    assert_string_equal(bench.seen, "b1 busy;c1 busy;");
    pool_destroy(bench.pool, on_closed, &bench);
    assert_string_equal(bench.seen, "b1 busy;c1 busy;a1 busy;");
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench.loop), 0);
    assert_int_equal(reserved(&bench), 0);
    admission_destroy(bench.admission);
    close(bench.model);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 2;
    }
    program = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest_wins_and_cameras_take_turns),
        cmocka_unit_test(test_eager_camera_does_not_starve_others),
        cmocka_unit_test(test_workers_are_not_left_idle_by_a_long_turn),
        cmocka_unit_test(test_deadline_is_kept_while_waiting_and_in_work),
        cmocka_unit_test(test_cancelled_frames_are_not_answered),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_points),
        cmocka_unit_test(test_cameras_make_room),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_ids_grow),
        cmocka_unit_test(test_stop_answers_the_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
