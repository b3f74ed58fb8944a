/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The client library against a scripted daemon: what it sends, what it makes of good, bad, late and
 * missing replies. The script's reply waits in the socket before the call is made, so that one
 * thread plays both sides.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "clients/ocellus_client.h"

#define SCAN                                                                                       \
    "\"boxes\":[{\"x\":1,\"y\":2,\"width\":30,\"height\":40,\"label\":\"cat\","                    \
    "\"confidence\":0.83,\"score\":-9,\"level\":3,\"zone\":\"drive\"},"                            \
    "{\"x\":5,\"y\":6,\"width\":7,\"height\":8,\"label\":\"cat\",\"confidence\":0.5,"              \
    "\"score\":0,\"level\":0}],\"motion\":{\"share\":0.25},"                                       \
    "\"light\":{\"level\":0.2,\"saturated\":0.1,\"dark\":0.3,\"mono\":true},"
#define RESULT                                                                                     \
    "{\"camera\":\"porch\",\"frame\":7204631552000001,\"label\":\"cat\",\"confidence\":0.83,"      \
    "\"scores\":[{\"label\":\"cat\",\"probability\":0.83,\"score\":131072},"                       \
    "{\"label\":\"dog\",\"probability\":0.17,\"score\":-65536}],"                                  \
    "\"model\":{\"name\":\"m\",\"point\":\"w64\",\"id\":\"3f\",\"generation\":9007199254740991},"  \
    "\"macs\":123456,\"cascade\":{\"detector\":\"d\",\"label\":\"face\",\"confidence\":0.5,"       \
    "\"awake\":true},"                                                                             \
    "\"image\":{\"format\":\"jpeg\",\"width\":640,\"height\":480,\"orientation\":6,"               \
    "\"reduction\":4},\"times_us\":{\"wait\":3.1,\"decode\":511,\"gradient\":12.4,"                \
    "\"network\":96,\"total\":640.2}," SCAN "\"warnings\":[\"damaged\",\"novel\"]}"
#define REPLY(text) "{\"parameters\":" text "}"

struct stage {
    char directory[64], path[128];
    int listener, peer;
    struct ocellus_client *client;
};

static int set_up(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert_non_null(stage);
    strcpy(stage->directory, "/tmp/ocellus-client-XXXXXX");
    assert_non_null(mkdtemp(stage->directory));
    snprintf(stage->path, sizeof(stage->path), "%s/socket", stage->directory);
    strcpy(address.sun_path, stage->path);
    stage->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(stage->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(stage->listener, 4), 0);
    assert_int_equal(ocellus_client_open(stage->path, 200, &stage->client), OCELLUS_OK);
    stage->peer = accept(stage->listener, NULL, NULL);
    assert_true(stage->peer >= 0);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;

    ocellus_client_close(stage->client);
    close(stage->peer);
    close(stage->listener);
    unlink(stage->path);
    rmdir(stage->directory);
    free(stage);
    return 0;
}

/* Puts a reply, its NUL included, where the client will find it. */
static void script(const struct stage *stage, const char *reply)
{
    size_t size = strlen(reply) + 1;

    assert_int_equal(write(stage->peer, reply, size), size);
}

/* What the client sent: one message of exactly this text, in one piece, with or without a
 * descriptor. */
static int expect_sent(const struct stage *stage, const char *text)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control;
    char data[4096] = {0};
    struct iovec part = {.iov_base = data, .iov_len = sizeof(data)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(stage->peer, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int fd = -1;

    assert_int_equal(n, strlen(text) + 1);
    assert_string_equal(data, text);
    if (header != NULL) {
        assert_int_equal(header->cmsg_len, CMSG_LEN(sizeof(int)));
        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    }
    return fd;
}

static void test_result(void **state)
{
    struct stage *stage = *state;
    struct ocellus_result *result = NULL;
    char bytes[8] = {0};

    script(stage, REPLY("{\"result\":" RESULT "}"));
    assert_int_equal(ocellus_client_infer_bytes(stage->client, "pixels", 6, NULL, &result),
                     OCELLUS_OK);
    assert_string_equal(result->camera, "porch");
    assert_true(result->frame == UINT64_C(7204631552000001));
    assert_string_equal(result->label, "cat");
    assert_true(result->confidence == 0.83);
    assert_int_equal(result->score_count, 2);
    assert_string_equal(result->scores[1].label, "dog");
    assert_true(result->scores[1].probability == 0.17);
    assert_int_equal(result->scores[0].score, 131072);
    assert_int_equal(result->scores[1].score, -65536);
    assert_string_equal(result->model_name, "m");
    assert_string_equal(result->model_id, "3f");
    assert_string_equal(result->point, "w64");
    assert_int_equal(result->macs, 123456);
    assert_string_equal(result->cascade.detector, "d");
    assert_string_equal(result->cascade.label, "face");
    assert_true(result->cascade.confidence == 0.5 && result->cascade.awake);
    assert_true(result->generation == UINT64_C(9007199254740991));
    assert_string_equal(result->format, "jpeg");
    assert_int_equal(result->width, 640);
    assert_int_equal(result->height, 480);
    assert_int_equal(result->orientation, 6);
    assert_int_equal(result->reduction, 4);
    assert_true(result->times.wait == 3.1 && result->times.decode == 511);
    assert_true(result->times.gradient == 12.4 && result->times.network == 96);
    assert_true(result->times.total == 640.2);
    assert_int_equal(result->warnings, OCELLUS_WARNING_DAMAGED | OCELLUS_WARNING_OTHER);
    assert_true(result->scanned && result->motion_share == 0.25);
    assert_int_equal(result->box_count, 2);
    const struct ocellus_box *box = &result->boxes[0];
    assert_true(box->x == 1 && box->y == 2 && box->width == 30 && box->height == 40);
    assert_string_equal(box->label, "cat");
    assert_string_equal(box->zone, "drive");
    assert_true(box->confidence == 0.83 && box->score == -9 && box->level == 3);
    assert_null(result->boxes[1].zone);
    assert_true(result->light.level == 0.2 && result->light.saturated == 0.1);
    assert_true(result->light.dark == 0.3 && result->light.mono == 1);
    assert_string_equal(result->json, RESULT);
    ocellus_result_destroy(result);

    int fd = expect_sent(stage, "{\"method\":\"io.ocellus.Infer\",\"parameters\":{\"fd\":0}}");
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), 6);
    assert_string_equal(bytes, "pixels");
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    assert_int_equal(fcntl(fd, F_GET_SEALS), seals);
    close(fd);
}

static void test_frame_fields(void **state)
{
    struct stage *stage = *state;
    struct ocellus_result *result = NULL;
    const struct ocellus_sensor sensor = {
        .width = 640, .height = 480, .cfa = "GBRG", .packing = "mipi10", .black = 64};
    const struct ocellus_frame frame = {.camera = "a\"b",
                                        .model = "m",
                                        .point = "w64",
                                        .scan = "yes",
                                        .format = "sensor",
                                        .sensor = &sensor};
    struct stat given, sent;
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

    script(stage, REPLY("{\"result\":" RESULT "}"));
    assert_int_equal(ocellus_client_infer_fd(stage->client, file, &frame, &result), OCELLUS_OK);
    ocellus_result_destroy(result);
    int fd = expect_sent(stage, "{\"method\":\"io.ocellus.Infer\",\"parameters\":{\"fd\":0,"
                                "\"camera\":\"a\\\"b\",\"model\":\"m\",\"point\":\"w64\",\"scan\":"
                                "\"yes\",\"format\":\"sensor\","
                                "\"sensor\":{\"width\":640,\"height\":480,\"cfa\":\"GBRG\","
                                "\"packing\":\"mipi10\",\"black\":64}}}");
    assert_int_equal(fstat(file, &given) | fstat(fd, &sent), 0);
    assert_true(given.st_ino == sent.st_ino && given.st_dev == sent.st_dev);
    assert_int_equal(close(file), 0);
    close(fd);
}

static void test_errors_of_the_daemon(void **state)
{
    struct stage *stage = *state;
    static const struct {
        const char *reply;
        enum ocellus_error error;
        const char *message;
    } rows[] = {
        {"{\"error\":\"io.ocellus.Corrupt\",\"parameters\":{\"message\":\"cut\"}}", OCELLUS_CORRUPT,
         "cut"},
        {"{\"error\":\"io.ocellus.TooBusy\"}", OCELLUS_TOO_BUSY, "io.ocellus.TooBusy"},
        {"{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":\"x\"}}",
         OCELLUS_METHOD_NOT_FOUND, "org.varlink.service.MethodNotFound"},
        {"{\"error\":\"io.ocellus.FromTheFuture\"}", OCELLUS_INTERNAL, "io.ocellus.FromTheFuture"},
    };

    /* The connection goes on after each. */
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ocellus_result *result = (void *)stage;
        script(stage, rows[i].reply);
        assert_int_equal(ocellus_client_infer_bytes(stage->client, "", 0, NULL, &result),
                         rows[i].error);
        assert_string_equal(ocellus_client_message(stage->client), rows[i].message);
        assert_ptr_equal(result, stage);
    }
    char *json = NULL;
    script(stage, REPLY("{\"version\":\"0.1.0\"}"));
    assert_int_equal(ocellus_client_status(stage->client, &json), OCELLUS_OK);
    free(json);
}

/* A result with one thing gone or of another kind is refused, and nothing is leaked or read. */
static void test_results_that_are_none(void **state)
{
    struct stage *stage = *state;
    static const char *const swaps[][2] = {
        {"\"camera\"", "\"kamera\""},
        {"7204631552000001", "0.5"},
        {"7204631552000001", "-1"},
        {"7204631552000001", "1e16"},
        {"\"label\":\"cat\",\"con", "\"con"},
        {"0.83,\"scores\"", "\"x\",\"scores\""},
        {":[{\"label\":\"cat\"", ":[{\"label\":1"},
        {"131072", "2147483648"},
        {"131072", "null"},
        {"{\"name\"", "{\"nome\""},
        {"\"3f\"", "3"},
        {"9007199254740991", "\"1\""},
        {"\"format\":\"jpeg\"", "\"format\":{}"},
        {"\"width\":640", "\"width\":4294967296"},
        {"\"wait\":3.1", "\"wait\":[]"},
        {"[\"damaged\",\"novel\"]", "\"damaged\""},
        {",\"warnings\"", ",\"w\""},
        {"\"boxes\":[", "\"boxes\":7,\"b\":["},
        {"\"boxes\":[", "\"boxes\":[1,"},
        {"\"x\":1", "\"x\":-1"},
        {"\"x\":1", "\"x\":4294967296"},
        {"\"score\":-9", "\"score\":0.5"},
        {"\"zone\":\"drive\"", "\"zone\":3"},
        {"{\"share\":0.25}", "{}"},
        {"{\"level\":0.2", "{\"level\":\"dim\""},
        {"\"mono\":true", "\"mono\":1"},
    };
    static const char *const whole[] = {"", "{}", "[]", "7", "\"cat\"", "{\"scores\":[]}"};
    const size_t swap_count = sizeof(swaps) / sizeof(swaps[0]);

    for (size_t i = 0; i < swap_count + sizeof(whole) / sizeof(whole[0]); i++) {
        char reply[2048];
        struct ocellus_result *result = (void *)stage;
        if (i >= swap_count) {
            const char *text = whole[i - swap_count];
            snprintf(reply, sizeof(reply),
                     text[0] == '\0' ? "{\"parameters\":{}}" : "{\"parameters\":{\"result\":%s}}",
                     text);
        } else {
            const char *all = REPLY("{\"result\":" RESULT "}");
            const char *at = strstr(all, swaps[i][0]);
            assert_non_null(at);
            snprintf(reply, sizeof(reply), "%.*s%s%s", (int)(at - all), all, swaps[i][1],
                     at + strlen(swaps[i][0]));
        }
        struct ocellus_client *client = NULL;
        assert_int_equal(ocellus_client_open(stage->path, 200, &client), OCELLUS_OK);
        int peer = accept(stage->listener, NULL, NULL);
        assert_int_equal(write(peer, reply, strlen(reply) + 1), strlen(reply) + 1);
        if (ocellus_client_infer_bytes(client, "", 0, NULL, &result) != OCELLUS_DISCONNECTED) {
            fail_msg("taken: %s", reply);
        }
        assert_string_equal(ocellus_client_message(client), "the result is not understood");
        assert_ptr_equal(result, stage);
        ocellus_client_close(client);
        close(peer);
    }
}

static void test_replies_that_are_none(void **state)
{
    struct stage *stage = *state;
    static const char *const replies[] = {"nonsense", "{\"a\":1}", "{\"parameters\":[]}",
                                          "{broken}"};

    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        struct ocellus_client *client = NULL;
        char *json = NULL;
        assert_int_equal(ocellus_client_open(stage->path, 200, &client), OCELLUS_OK);
        int peer = accept(stage->listener, NULL, NULL);
        assert_int_equal(write(peer, replies[i], strlen(replies[i]) + 1), strlen(replies[i]) + 1);
        assert_int_equal(ocellus_client_status(client, &json), OCELLUS_DISCONNECTED);
        /* It stays broken: the next reply could belong to this call. */
        assert_int_equal(write(peer, "{\"parameters\":{}}", 18), 18);
        assert_int_equal(ocellus_client_status(client, &json), OCELLUS_DISCONNECTED);
        assert_string_equal(ocellus_client_message(client), "the connection is broken");
        assert_null(json);
        ocellus_client_close(client);
        close(peer);
    }
}

static void test_silence(void **state)
{
    struct stage *stage = *state;
    char *json = NULL;

    assert_int_equal(ocellus_client_status(stage->client, &json), OCELLUS_DISCONNECTED);
    assert_string_equal(ocellus_client_message(stage->client), "no reply within 200 ms");
    expect_sent(stage, "{\"method\":\"io.ocellus.Status\"}");
}

static void test_hang_up(void **state)
{
    struct stage *stage = *state;
    char *json = NULL;

    shutdown(stage->peer, SHUT_RDWR);
    assert_int_equal(ocellus_client_status(stage->client, &json), OCELLUS_DISCONNECTED);
    assert_non_null(strstr(ocellus_client_message(stage->client), "closed the connection"));
}

static void test_descriptor_that_is_none(void **state)
{
    struct stage *stage = *state;
    struct ocellus_result *result = NULL;

    assert_int_equal(ocellus_client_infer_fd(stage->client, -1, NULL, &result),
                     OCELLUS_BAD_REQUEST);
    assert_int_equal(ocellus_client_infer_fd(stage->client, 1000, NULL, &result),
                     OCELLUS_BAD_REQUEST);
    script(stage, REPLY("{\"result\":" RESULT "}"));
    assert_int_equal(ocellus_client_infer_bytes(stage->client, "", 0, NULL, &result), OCELLUS_OK);
    ocellus_result_destroy(result);
    ocellus_result_destroy(NULL);
}

/* Single bytes, with pauses: the timeout is for the whole reply, not for each byte. */
static void *drip(void *argument)
{
    struct stage *stage = argument;
    const char *reply = REPLY("{\"a\":1}");

    for (size_t i = 0; i <= strlen(reply); i++) {
        if (send(stage->peer, reply + i, 1, MSG_NOSIGNAL) != 1) {
            break;
        }
        usleep(2000);
    }
    return NULL;
}

static void test_slow_reply(void **state)
{
    struct stage *stage = *state;
    pthread_t thread;
    char *json = NULL;

    assert_int_equal(pthread_create(&thread, NULL, drip, stage), 0);
    assert_int_equal(ocellus_client_status(stage->client, &json), OCELLUS_OK);
    assert_string_equal(json, "{\"a\":1}");
    free(json);
    pthread_join(thread, NULL);

    struct ocellus_client *hasty = NULL;
    assert_int_equal(ocellus_client_open(stage->path, 20, &hasty), OCELLUS_OK);
    close(stage->peer);
    stage->peer = accept(stage->listener, NULL, NULL);
    assert_int_equal(pthread_create(&thread, NULL, drip, stage), 0);
    assert_int_equal(ocellus_client_status(hasty, &json), OCELLUS_DISCONNECTED);
    ocellus_client_close(hasty);
    pthread_join(thread, NULL);
}

static void test_endless_reply(void **state)
{
    struct stage *stage = *state;
    char *json = NULL;
    struct ocellus_client *client = NULL;
    pid_t child;

    assert_int_equal(ocellus_client_open(stage->path, 20000, &client), OCELLUS_OK);
    int peer = accept(stage->listener, NULL, NULL);
    child = fork();
    if (child == 0) {
        static char block[65536];
        memset(block, ' ', sizeof(block));
        block[0] = '{';
        while (send(peer, block, sizeof(block), MSG_NOSIGNAL) > 0) {
            block[0] = ' ';
        }
        _exit(0);
    }
    assert_true(child > 0);
    close(peer);
    assert_int_equal(ocellus_client_status(client, &json), OCELLUS_DISCONNECTED);
    assert_string_equal(ocellus_client_message(client), "the reply is too long");
    ocellus_client_close(client);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_nobody_there(void **state)
{
    struct stage *stage = *state;
    struct ocellus_client *client = (void *)stage;
    char path[256];

    close(stage->listener);
    stage->listener = -1;
    assert_int_equal(ocellus_client_open(stage->path, 0, &client), OCELLUS_UNREACHABLE);
    assert_int_equal(errno, ECONNREFUSED);
    assert_int_equal(ocellus_client_open("/nowhere/socket", 0, &client), OCELLUS_UNREACHABLE);
    assert_int_equal(errno, ENOENT);
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(ocellus_client_open(path, 0, &client), OCELLUS_UNREACHABLE);
    assert_int_equal(errno, ENAMETOOLONG);
    assert_ptr_equal(client, stage);
    ocellus_client_close(NULL);
}

static void test_error_names(void **state)
{
    (void)state;
    for (int i = 0; i <= OCELLUS_MEMORY; i++) {
        assert_true(strlen(ocellus_error_name((enum ocellus_error)i)) > 1);
    }
    assert_string_equal(ocellus_error_name((enum ocellus_error)(OCELLUS_MEMORY + 1)), "unknown");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_result),
        TEST(test_frame_fields),
        TEST(test_errors_of_the_daemon),
        TEST(test_results_that_are_none),
        TEST(test_replies_that_are_none),
        TEST(test_silence),
        TEST(test_hang_up),
        TEST(test_descriptor_that_is_none),
        TEST(test_slow_reply),
        TEST(test_endless_reply),
        TEST(test_nobody_there),
        cmocka_unit_test(test_error_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
