/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* config_load on whole files: what is read, what is refused, and whether the error names the right
 * file and line. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"

#define MODEL   "[model a]\npath=/m/a\n"
#define X16     "xxxxxxxxxxxxxxxx"
#define NAME_63 X16 X16 X16 "xxxxxxxxxxxxxxx"

struct place {
    char directory[64];
    char main[128];
    char drop_ins[128];
};

static void write_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    strcpy(place->directory, "/tmp/ocellus-config-XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    snprintf(place->main, sizeof(place->main), "%s/ocellus.conf", place->directory);
    snprintf(place->drop_ins, sizeof(place->drop_ins), "%s/ocellus.conf.d", place->directory);
    *state = place;
    return 0;
}

static void drop_in(const struct place *place, const char *name, const char *text)
{
    char path[256];

    mkdir(place->drop_ins, 0700);
    snprintf(path, sizeof(path), "%s/%s", place->drop_ins, name);
    write_bytes(path, text, strlen(text));
}

static int clear_place(void **state)
{
    struct place *place = *state;
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", place->directory);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static struct config *load(const struct place *place)
{
    struct config *config = NULL;
    struct config_error error = {.line = 0};

    if (config_load(place->main, &config, &error) < 0) {
        fail_msg("%s:%u: %s", error.file, error.line, error.reason);
    }
    return config;
}

static struct config *load_text(const struct place *place, const char *text)
{
    write_bytes(place->main, text, strlen(text));
    return load(place);
}

/* The file is refused with this line and a reason that contains these words. */
static void refuse(const struct place *place, const char *what, int result, const char *file,
                   unsigned line, const char *words)
{
    struct config *config = (void *)place;
    struct config_error error = {.line = 0};
    int r = config_load(place->main, &config, &error);

    if (r != result || strcmp(error.file, file) != 0 || error.line != line ||
        strstr(error.reason, words) == NULL) {
        fail_msg("'%s': got %d %s:%u: %s; wanted %d %s:%u: %s", what, r, error.file, error.line,
                 error.reason, result, file, line, words);
    }
    assert_ptr_equal(config, place);
}

static void test_defaults(void **state)
{
    struct config *config = load_text(*state, MODEL);

    assert_string_equal(config->http_socket, "/run/ocellus/http.sock");
    assert_string_equal(config->varlink_socket, "/run/ocellus/varlink.sock");
    assert_string_equal(config->http_tcp, "");
    assert_int_equal(config->socket_mode, 0660);
    assert_string_equal(config->socket_group, "");
    assert_false(config->allow_other);
    assert_int_equal(config->workers, 0);
    assert_string_equal(config->worker_path, "/usr/libexec/ocellus/ocellus-worker");
    assert_string_equal(config->cpu_mask, "all");
    assert_int_equal(config->frame_bytes_max, 32 << 20);
    assert_int_equal(config->queue_bytes_max, 128 << 20);
    assert_int_equal(config->cameras_max, 64);
    assert_int_equal(config->deadline_ms, 1000);
    assert_int_equal(config->worker_timeout_ms, 800);
    assert_int_equal(config->worker_frames_max, 100000);
    assert_int_equal(config->pixels_max, 100000000);
    assert_int_equal(config->spin_us, 0);
    assert_string_equal(config->default_model, "a");
    assert_int_equal(config->model_count, 1);
    assert_string_equal(config->models[0].path, "/m/a");
    assert_int_equal(config->camera_count, 0);
    config_destroy(config);
    config_destroy(NULL);
}

static void test_every_key(void **state)
{
    struct config *config = load_text(*state, "\xef\xbb\xbf# a comment\r\n"
                                              "; another = one\r\n"
                                              "\t\r\n"
                                              "[daemon]\r\n"
                                              "http=/a/http\r\n"
                                              "varlink =\r\n"
                                              "http-tcp = [::1]:8080\r\n"
                                              "socket-mode = 666\n"
                                              "socket-group = video_1\n"
                                              "allow-other = on\n"
                                              "workers = 3\n"
                                              "worker = /x/y z;w#=\n"
                                              "cpu-mask = 0x1f\n"
                                              "frame-bytes-max = 1G\n"
                                              "queue-bytes-max\t=\t64G\t\n"
                                              "cameras-max = 1K\n"
                                              "deadline = 2s\n"
                                              "worker-timeout = 1500ms\n"
                                              "worker-frames-max = 0\n"
                                              "pixels-max = 4G\n"
                                              "spin-us = 50us\n"
                                              "model = b\n"
                                              "[model a]\n"
                                              "path = /m/a\n"
                                              "wakes = b\n"
                                              "wake-label = a cat\n"
                                              "wake-confidence = 99\n"
                                              "[camera porch]\n"
                                              "[model b]\n"
                                              "path = /m/b\n"
                                              "[camera " NAME_63 "]\n"
                                              "model = a\n"
                                              "point = auto\n"
                                              "enabled = no");

    assert_string_equal(config->http_socket, "/a/http");
    assert_string_equal(config->varlink_socket, "");
    assert_string_equal(config->http_tcp, "[::1]:8080");
    assert_int_equal(config->socket_mode, 0666);
    assert_string_equal(config->socket_group, "video_1");
    assert_true(config->allow_other);
    assert_int_equal(config->workers, 3);
    assert_string_equal(config->worker_path, "/x/y z;w#=");
    assert_string_equal(config->cpu_mask, "0x1f");
    assert_int_equal(config->frame_bytes_max, 1 << 30);
    assert_true(config->queue_bytes_max == UINT64_C(64) << 30);
    assert_int_equal(config->cameras_max, 1000);
    assert_int_equal(config->deadline_ms, 2000);
    assert_int_equal(config->worker_timeout_ms, 1500);
    assert_int_equal(config->worker_frames_max, 0);
    assert_true(config->pixels_max == UINT64_C(4000000000));
    assert_int_equal(config->spin_us, 50);
    assert_string_equal(config->default_model, "b");
    assert_int_equal(config->model_count, 2);
    assert_string_equal(config->models[1].name, "b");
    assert_string_equal(config->models[0].wakes, "b");
    assert_string_equal(config->models[0].wake_label, "a cat");
    assert_int_equal(config->models[0].wake_confidence, 99);
    assert_string_equal(config->models[1].wakes, "");
    assert_int_equal(config->models[1].wake_confidence, 50);
    assert_string_equal(config->cameras[1].point, "auto");
    assert_string_equal(config->models[1].path, "/m/b");
    assert_int_equal(config->camera_count, 2);
    assert_string_equal(config->cameras[0].name, "porch");
    assert_string_equal(config->cameras[0].model, "b");
    assert_true(config->cameras[0].enabled);
    assert_string_equal(config->cameras[1].name, NAME_63);
    assert_string_equal(config->cameras[1].model, "a");
    assert_false(config->cameras[1].enabled);
    config_destroy(config);
}

/* In a [daemon] section, on line 4. */
static const struct {
    const char *line;
    const char *words;
} bad_lines[] = {
    {"workers", "neither [section], key = value nor # comment"},
    {"workers : 3", "neither"},
    {"worker: /x=y", "neither"},
    {"= 3", "unknown key ''"},
    {"wrkers = 3", "unknown key 'wrkers'"},
    {"Workers = 3", "unknown key 'Workers'"},
    {"http = /tmp/again", "'http' appears twice, first in line 3"},
    {" workers = 3", "indented"},
    {"\tworkers = 3", "indented"},
    {"workers = 3 # three", "a comment needs a line of its own"},
    {"workers = 3 ; three", "a comment needs a line of its own"},
    {"workers = 3\x01", "control character 0x01"},
    {"workers = 3\r3", "control character 0x0d"},
    {"[daemon]", "section [daemon] appears twice, first in line 2"},
    {"[deamon]", "unknown section [deamon]"},
    {"[daemon", "a section ends with ]"},
    {"[", "a section ends with ]"},
    {"[]", "unknown section []"},
    {"[ daemon]", "unknown section [ daemon]"},
    {"[model]", "unknown section [model]"},
    {"[model ]", "'' is not a name"},
    {"[model  a]", "' a' is not a name"},
    {"[model a b]", "'a b' is not a name"},
    {"[model .a]", "'.a' is not a name"},
    {"[camera -a]", "'-a' is not a name"},
    {"[camera a/b]", "'a/b' is not a name"},
    {"[camera " NAME_63 "x]", "is not a name"},
    {"[model a]x", "a section ends with ]"},
    {"worker = /" X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16, "limit is 199"},
    {"workers =", "'workers' is not a number"},
    {"workers = -1", "'workers' is not a number"},
    {"workers = +1", "'workers' is not a number"},
    {"workers = 0x10", "'workers' is not a number"},
    {"workers = 1 0", "'workers' is not a number"},
    {"workers = 1KM", "'workers' is not a number"},
    {"workers = 65", "'workers' must lie between 0 and 64"},
    {"workers = 18446744073709551616", "'workers' must lie between 0 and 64"},
    {"workers = 18446744073709551G", "'workers' must lie between 0 and 64"},
    {"workers = 4294967297", "'workers' must lie between 0 and 64"},
    {"frame-bytes-max = 4095", "'frame-bytes-max' must lie between 4096 and 1073741824"},
    {"frame-bytes-max = 2G", "'frame-bytes-max' must lie between"},
    {"frame-bytes-max = 32MB", "'frame-bytes-max' is not a number of bytes"},
    {"frame-bytes-max = 32m", "'frame-bytes-max' is not a number of bytes"},
    {"deadline = 9", "'deadline' must lie between 10 and 600000"},
    {"deadline = 1h", "'deadline' is not a time"},
    {"deadline = 601s", "'deadline' must lie between"},
    {"spin-us = 1ms", "'spin-us' is not a time"},
    {"spin-us = 1001", "'spin-us' must lie between 0 and 1000"},
    {"cameras-max = 0", "'cameras-max' must lie between 1 and 1024"},
    {"pixels-max = 0", "'pixels-max' must lie between"},
    {"allow-other = maybe", "'allow-other' is neither yes nor no"},
    {"allow-other = Yes", "'allow-other' is neither yes nor no"},
    {"allow-other =", "'allow-other' is neither yes nor no"},
    {"socket-mode = 0o660", "'socket-mode' is not an octal file mode"},
    {"socket-mode = 680", "'socket-mode' is not an octal file mode"},
    {"socket-mode = 1777", "'socket-mode' is not an octal file mode"},
    {"socket-mode = 66", "'socket-mode' is not an octal file mode"},
    {"socket-group = a b", "'socket-group' is not the name of a group"},
    {"varlink = run/x", "'varlink' is not an absolute path"},
    {"varlink = /tmp/h", "'varlink' and 'http' are the same socket"},
    {"varlink = /" X16 X16 X16 X16 X16 X16 "xxxxxxxxxxx", "'varlink' is too long: 108 bytes"},
    {"worker =", "'worker' is not an absolute path"},
    {"cpu-mask = ALL", "'cpu-mask' is not a word"},
    {"cpu-mask =", "'cpu-mask' is not a word"},
    {"cpu-mask = " X16 X16, "'cpu-mask' is too long"},
    {"http-tcp = 8080", "'http-tcp' is not an address"},
    {"http-tcp = :8080", "'http-tcp' is not an address"},
    {"http-tcp = localhost:8080", "'http-tcp' is not an address"},
    {"http-tcp = 127.0.0.1:0", "'http-tcp' is not an address"},
    {"http-tcp = 127.0.0.1:65536", "'http-tcp' is not an address"},
    {"http-tcp = 127.0.0.1:8K", "'http-tcp' is not an address"},
    {"http-tcp = ::1:8080", "'http-tcp' is not an address"},
    {"http-tcp = [::1]", "'http-tcp' is not an address"},
    {"http-tcp = []:1", "'http-tcp' is not an address"},
    {"http-tcp = [127.0.0.1]:1", "'http-tcp' is not an address"},
    {"model = zebra", "there is no [model zebra]"},
    {"model =", "'model' is not a name"},
    {"queue-bytes-max = 1M", "'queue-bytes-max' is less than 'frame-bytes-max'"},
    {"frame-bytes-max = 256M", "'queue-bytes-max' is less than 'frame-bytes-max'"},
};

static void test_bad_lines(void **state)
{
    struct place *place = *state;
    char text[1024];

    for (size_t i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
        /* The last row breaks a rule through the default of a key that no line sets. */
        bool whole = strncmp(bad_lines[i].line, "frame-bytes-max = 256M", 22) == 0;
        int n = snprintf(text, sizeof(text), "\n[daemon]\nhttp = /tmp/h\n%s\n" MODEL,
                         bad_lines[i].line);
        write_bytes(place->main, text, (size_t)n);
        refuse(place, bad_lines[i].line, -EBADMSG, place->main, whole ? 0 : 4, bad_lines[i].words);
    }
}

#define CAMERA MODEL "[camera x]\n"
#define AREA   "area = 0,0 1,1 1,0\n"

static const struct {
    const char *text;
    unsigned line;
    const char *words;
} bad_files[] = {
    {"", 0, "no [model NAME] section"},
    {"[daemon]\n", 0, "no [model NAME] section"},
    {"workers = 1\n[daemon]\n", 1, "'workers' stands before any section"},
    {"[model a]\n", 1, "model 'a' has no path"},
    {"[model a]\npath = /m\nwakes = a\nwake-label = x\n", 1, "which is no other [model]"},
    {"[model a]\npath = /m\nwake-label = x\n", 1, "needs both 'wakes' and 'wake-label'"},
    {"[model a]\npath = /m\nwake-confidence = 100\n", 3, "wake-confidence"},
    {MODEL "path = /m/b\n", 3, "'path' appears twice, first in line 2"},
    {MODEL MODEL, 3, "section [model a] appears twice, first in line 1"},
    {"[model a]\npath=m/a\n", 2, "'path' is not an absolute path"},
    {MODEL "[camera x]\npath = /x\n", 4, "unknown key 'path'"},
    {MODEL "[camera x]\n[camera y]\n\n[camera x]\n", 6, "section [camera x] appears twice"},
    {MODEL "[camera x]\n\nmodel = b\n", 5, "there is no [model b]"},
    {MODEL "[camera x]\nenabled = 2\n", 4, "'enabled' is neither yes nor no"},
    {MODEL "[camera x]\n[camera y]\n[daemon]\ncameras-max = 1\n", 6, "less than the 2 [camera]s"},
    {MODEL "[daemon]\nhttp=\nvarlink=\n", 4, "every door is closed"},
    {CAMERA "scan = maybe\n", 4, "'scan' is neither yes nor no"},
    {CAMERA "scan-object-min = 0\n", 4, "'scan-object-min' must lie between 1 and 100"},
    {CAMERA "scan-object-min = 101\n", 4, "'scan-object-min' must lie between"},
    {CAMERA "scan-factor = 1\n", 4, "'scan-factor' is not a number such as 1.12 between 1.01 and"},
    {CAMERA "scan-factor = 4.01\n", 4, "'scan-factor' is not a number"},
    {CAMERA "scan-factor = 1.\n", 4, "'scan-factor' is not a number"},
    {CAMERA "scan-factor = 1.1234\n", 4, "'scan-factor' is not a number"},
    {CAMERA "scan-factor = .5\n", 4, "'scan-factor' is not a number"},
    {CAMERA "scan-factor = 99999999999\n", 4, "'scan-factor' is not a number"},
    {CAMERA "scan-confidence = 100\n", 4, "'scan-confidence' must lie between 1 and 99"},
    {CAMERA "scan-boxes = 65\n", 4, "'scan-boxes' must lie between 1 and 64"},
    {CAMERA "scan-confirm = a b\n", 4, "'scan-confirm' is not a name"},
    {CAMERA "scan-label =\n", 4, "'scan-label' is not a label"},
    {CAMERA "motion-whole = 99\n", 4, "'motion-whole' must lie between 100"},
    {CAMERA "[zone x drive]\n", 4, "zone 'drive' has no area"},
    {CAMERA "\n[mask x drive]\n", 5, "mask 'drive' has no area"},
    {CAMERA "[zone y drive]\n", 4, "there is no [camera y] before [zone y drive]"},
    {CAMERA "[zone x]\n", 4, "[zone x] does not name a camera and then a zone"},
    {CAMERA "[zone x a b]\n", 4, "does not name a camera and then a zone"},
    {CAMERA "[mask x ]\n", 4, "[mask x ] does not name a camera and then a mask"},
    {CAMERA "[zone x a]\n" AREA "[zone x a]\n", 6, "section [zone x a] appears twice"},
    {CAMERA "[zone x a]\nscan = yes\n", 5, "unknown key 'scan'"},
    {CAMERA "[zone x a]\narea = 0,0 1,1\n", 5, "'area' is not 3 to 16 corners x,y in percent"},
    {CAMERA "[zone x a]\narea = 0,0 1,1 2\n", 5, "'area' is not 3 to 16 corners"},
    {CAMERA "[zone x a]\narea = 0,0 1,1 2,2,3\n", 5, "'area' is not 3 to 16 corners"},
    {CAMERA "[zone x a]\narea = 0,0 1,1 2,100.01\n", 5, "'area' is not 3 to 16 corners"},
    {CAMERA "[zone x a]\narea = 0,0 1,1 -2,2\n", 5, "'area' is not 3 to 16 corners"},
    {CAMERA "[zone x a]\narea = 0,0 1,1 2.555,2\n", 5, "'area' is not 3 to 16 corners"},
    {CAMERA "[zone x a]\narea = 1,1 1,1 1,1 1,1 1,1 1,1 1,1 1,1 1,1 1,1 1,1 1,1 1,1 1,1 1,1 1,1 "
            "1,1\n",
     5, "'area' is not 3 to 16 corners"},
    /* Both lines are bad; the first is named. */
    {MODEL "[daemon]\nworkers\nworkers = 99\n", 4, "neither"},
    {MODEL "[daemon]\nworkers = 99\nworkers\n", 4, "must lie between"},
};

static void test_bad_files(void **state)
{
    struct place *place = *state;

    for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
        write_bytes(place->main, bad_files[i].text, strlen(bad_files[i].text));
        refuse(place, bad_files[i].text, -EBADMSG, place->main, bad_files[i].line,
               bad_files[i].words);
    }
}

static void test_scan(void **state)
{
    struct place *place = *state;

    drop_in(place, "x.conf",
            "[zone x drive]\narea = 0,0 0,100 100,0\n[camera x]\nscan-boxes = 2\n");
    struct config *config = load_text(
        place, CAMERA "scan = yes\nscan-label = person\nscan-object-min = 7\nscan-factor = 1.5\n"
                      "scan-stride = 8\nscan-confidence = 99\nscan-overlap = 0\nscan-boxes = 64\n"
                      "scan-confirm = b\nmotion = on\nmotion-whole = 2s\n"
                      "[zone x drive]\n" AREA "[zone x lawn]\narea = 0,60.5  100,60.25 99.99,100\n"
                      "[mask x tree]\n" AREA "[camera y]\n[mask y tree]\n" AREA);
    const struct config_scan *scan = &config->cameras[0].scan;
    assert_true(scan->enabled && scan->motion);
    assert_string_equal(scan->label, "person");
    assert_string_equal(scan->confirm, "b");
    assert_int_equal(scan->object_min, 7);
    assert_int_equal(scan->factor, 1536);
    assert_int_equal(scan->stride, 8);
    assert_int_equal(scan->confidence, 99);
    assert_int_equal(scan->overlap, 0);
    assert_int_equal(scan->boxes_max, 2);
    assert_int_equal(scan->motion_whole_ms, 2000);
    assert_int_equal(scan->zone_count, 2);
    assert_int_equal(scan->mask_count, 1);
    assert_string_equal(scan->zones[0].name, "drive");
    assert_int_equal(scan->zones[0].corners[1].y, 10000); /* the drop-in's */
    assert_string_equal(scan->zones[1].name, "lawn");
    assert_int_equal(scan->zones[1].count, 3);
    assert_int_equal(scan->zones[1].corners[0].y, 6050);
    assert_int_equal(scan->zones[1].corners[1].y, 6025);
    assert_int_equal(scan->zones[1].corners[2].x, 9999);
    assert_string_equal(scan->masks[0].name, "tree");
    assert_false(config->cameras[1].scan.enabled);
    assert_int_equal(config->cameras[1].scan.mask_count, 1);
    assert_int_equal(config->cameras[1].scan.boxes_max, 16);
    assert_int_equal(config->other.scan.factor, 1147); /* 1.12 */
    assert_true(config->other.enabled && !config->other.scan.enabled);
    assert_string_equal(config->other.model, "a");
    config_destroy(config);
}

static void test_too_many_zones(void **state)
{
    struct place *place = *state;
    char text[2048] = CAMERA;
    size_t length = strlen(text);

    for (unsigned i = 0; i <= CONFIG_POLYGONS_MAX; i++) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, "[zone x z%u]\n" AREA, i);
    }
    write_bytes(place->main, text, length);
    refuse(place, "zones", -EBADMSG, place->main, 4 + 2 * CONFIG_POLYGONS_MAX,
           "more than 8 zones of camera 'x'");
}

static void test_nul_byte(void **state)
{
    struct place *place = *state;
    static const char text[] = "[model a]\npath=/m/a\0b\n";

    write_bytes(place->main, text, sizeof(text) - 1);
    refuse(place, "NUL", -EBADMSG, place->main, 2, "control character 0x00");
}

static void test_too_many(void **state)
{
    struct place *place = *state;
    static const struct {
        unsigned max;
        const char *words;
    } rows[] = {{CONFIG_MODELS_MAX, "more than 16 models"},
                {CONFIG_CAMERAS_MAX, "more than 64 cameras"}};

    for (size_t row = 0; row < 2; row++) {
        char text[8192] = MODEL;
        size_t length = row == 0 ? 0 : strlen(text);
        unsigned first = row == 0 ? 1 : 3;
        for (unsigned i = 0; i < rows[row].max; i++) {
            length += (size_t)snprintf(
                text + length, sizeof(text) - length,
                row == 0 ? "[model m%u]\npath=/m\n" : "[camera c%u]\nenabled=no\n", i);
        }
        write_bytes(place->main, text, length);
        config_destroy(load(place));
        length += (size_t)snprintf(text + length, sizeof(text) - length,
                                   row == 0 ? "[model z]\npath=/m\n" : "[camera z]\n");
        write_bytes(place->main, text, length);
        refuse(place, "too many", -EBADMSG, place->main, first + 2 * rows[row].max,
               rows[row].words);
    }
}

static void test_drop_ins(void **state)
{
    struct place *place = *state;
    const char *ignored[] = {".hidden.conf", "90-backup.conf~", "README", ".conf"};

    for (size_t i = 0; i < 4; i++) {
        drop_in(place, ignored[i], "nonsense\n");
    }
    drop_in(place, "20-late.conf", "[daemon]\nworkers = 3\n[model a]\npath = /late\n");
    drop_in(place, "10-early.conf", "[daemon]\nworkers = 2\nspin-us = 7\n[model b]\npath = /b\n");
    struct config *config = load_text(place, "[daemon]\nworkers = 1\ndeadline = 50\n" MODEL);

    assert_int_equal(config->workers, 3);
    assert_int_equal(config->spin_us, 7);
    assert_int_equal(config->deadline_ms, 50);
    assert_int_equal(config->model_count, 2);
    assert_string_equal(config->models[0].path, "/late");
    assert_string_equal(config->models[1].path, "/b");
    config_destroy(config);
}

static void test_bad_drop_ins(void **state)
{
    struct place *place = *state;
    char path[256];

    write_bytes(place->main, MODEL, strlen(MODEL));
    snprintf(path, sizeof(path), "%s/x.conf", place->drop_ins);
    drop_in(place, "x.conf", "\n[daemon]\nworkers = 1\nworkers = 1\n");
    refuse(place, "duplicate", -EBADMSG, path, 4, "'workers' appears twice, first in line 3");
    drop_in(place, "x.conf", "\n[camera x]\nmodel = b\n");
    refuse(place, "no such model", -EBADMSG, path, 3, "there is no [model b]");
    drop_in(place, "x.conf", "[daemon]\nqueue-bytes-max = 1M");
    refuse(place, "across files", -EBADMSG, path, 2, "'queue-bytes-max' is less");
    drop_in(place, "x.conf", "[model q]\n");
    refuse(place, "no path", -EBADMSG, path, 1, "model 'q' has no path");
    /* A key continues no section of another file. */
    drop_in(place, "x.conf", "path = /y\n");
    refuse(place, "no section", -EBADMSG, path, 1, "'path' stands before any section");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/nowhere", path), 0);
    refuse(place, "dangling", -ENOENT, path, 0, "No such file");
}

static void test_files_that_are_none(void **state)
{
    struct place *place = *state;
    static char large[256 * 1024 + 1];

    refuse(place, "missing", -ENOENT, place->main, 0, "No such file");
    assert_int_equal(mkfifo(place->main, 0600), 0);
    refuse(place, "fifo", -EBADMSG, place->main, 0, "not a regular file");
    assert_int_equal(unlink(place->main), 0);
    assert_int_equal(mkdir(place->main, 0700), 0);
    refuse(place, "directory", -EBADMSG, place->main, 0, "not a regular file");
    assert_int_equal(rmdir(place->main), 0);
    memset(large, '\n', sizeof(large));
    write_bytes(place->main, large, sizeof(large));
    refuse(place, "large", -EBADMSG, place->main, 0, "larger than 262144 bytes");
    memcpy(large, MODEL, strlen(MODEL));
    write_bytes(place->main, large, sizeof(large) - 1);
    config_destroy(load(place));
    write_bytes(place->drop_ins, "", 0);
    refuse(place, "drop-ins no directory", -ENOTDIR, place->drop_ins, 0, "Not a directory");
}

/* The installed example is a valid file, names every key, and says the defaults that are in force.
 */
static void test_example_shows_defaults(void **state)
{
    struct place *place = *state;
    char line[512], *text = NULL;
    size_t size = 0;
    unsigned keys = 0;
    FILE *example = fopen(OCELLUS_SOURCE_ROOT "/packaging/examples/ocellus.conf", "re");
    FILE *shown = open_memstream(&text, &size);

    assert_true(example != NULL && shown != NULL);
    while (fgets(line, sizeof(line), example) != NULL) {
        bool commented = line[0] == '#' && line[1] != ' ' && line[1] != '\n';
        keys += commented && line[1] != '[';
        fputs(line + commented, shown);
    }
    fclose(example);
    fclose(shown);
    struct config *plain = load_text(place, "[model person]\npath = /usr/share/ocellus/models/"
                                            "person.safetensors\n");
    struct config *config = load_text(place, text);
    assert_int_equal(keys, 20 + 7 + 3 + 9);
    assert_memory_equal(&config->adaptation, &plain->adaptation, sizeof(plain->adaptation));
    assert_memory_equal(config, plain, offsetof(struct config, models));
    assert_memory_equal(config->models, plain->models, sizeof(plain->models));
    assert_int_equal(config->camera_count, 1);
    assert_memory_equal(&config->cameras[0].scan, &plain->other.scan, sizeof(plain->other.scan));
    config_destroy(plain);
    config_destroy(config);
    free(text);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_place, clear_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_every_key),
        TEST(test_bad_lines),
        TEST(test_bad_files),
        TEST(test_scan),
        TEST(test_too_many_zones),
        TEST(test_nul_byte),
        TEST(test_too_many),
        TEST(test_drop_ins),
        TEST(test_bad_drop_ins),
        TEST(test_files_that_are_none),
        TEST(test_example_shows_defaults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
