/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Reads the main file and its drop-ins into one struct and checks that it makes sense as a whole.
 * libinih splits keys from values; every line is checked before libinih sees it, since it cuts long
 * lines, joins indented ones and drops what follows a semicolon without a word. Nothing is printed
 * or logged here.
 */
#include "config/config.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/file.h"
#include "config/tokens.h"
#include "config/value.h"
#include "config/whole.h"

#define KEY(type, key, kind, field, min, max)                                                      \
    {                                                                                              \
        key, kind, offsetof(type, field), sizeof(((type *)0)->field), min, max                     \
    }

#define DAEMON(...) KEY(struct config, __VA_ARGS__)

static const struct value_key daemon_keys[] = {
    DAEMON("http", VALUE_SOCKET, http_socket, 0, 0),
    DAEMON("varlink", VALUE_SOCKET, varlink_socket, 0, 0),
    DAEMON("http-tcp", VALUE_ADDRESS, http_tcp, 0, 0),
    DAEMON("tokens", VALUE_SOCKET, tokens_path, 0, 0),
    DAEMON("socket-mode", VALUE_MODE, socket_mode, 0, 0),
    DAEMON("socket-group", VALUE_GROUP, socket_group, 0, 0),
    DAEMON("allow-other", VALUE_BOOL, allow_other, 0, 0),
    DAEMON("workers", VALUE_COUNT, workers, 0, 64),
    DAEMON("worker", VALUE_PATH, worker_path, 0, 0),
    DAEMON("cpu-mask", VALUE_WORD, cpu_mask, 0, 0),
    DAEMON("frame-bytes-max", VALUE_BYTES, frame_bytes_max, 4u << 10, 1u << 30),
    DAEMON("queue-bytes-max", VALUE_BYTES, queue_bytes_max, 4u << 10, UINT64_C(64) << 30),
    DAEMON("memory-max", VALUE_BYTES, memory_max, 0, UINT64_C(1) << 40),
    DAEMON("cameras-max", VALUE_COUNT, cameras_max, 1, 1024),
    DAEMON("deadline", VALUE_MS, deadline_ms, 10, 600000),
    DAEMON("worker-timeout", VALUE_MS, worker_timeout_ms, 10, 600000),
    DAEMON("worker-frames-max", VALUE_COUNT, worker_frames_max, 0, 1000000000),
    DAEMON("pixels-max", VALUE_COUNT, pixels_max, 1, UINT64_C(4294967295)),
    DAEMON("spin-us", VALUE_US, spin_us, 0, 1000),
    DAEMON("model", VALUE_NAME, default_model, 0, 0),
};
static const struct value_key model_keys[] = {
    KEY(struct config_model, "path", VALUE_PATH, path, 0, 0),
    KEY(struct config_model, "wakes", VALUE_NAME, wakes, 0, 0),
    KEY(struct config_model, "wake-label", VALUE_LABEL, wake_label, 0, 0),
    KEY(struct config_model, "wake-confidence", VALUE_COUNT, wake_confidence, 1, 99),
};
static const struct value_key camera_keys[] = {
    KEY(struct config_camera, "model", VALUE_NAME, model, 0, 0),
    KEY(struct config_camera, "point", VALUE_NAME, point, 0, 0),
    KEY(struct config_camera, "adapter", VALUE_NAME, adapter, 0, 0),
    KEY(struct config_camera, "enabled", VALUE_BOOL, enabled, 0, 0),
    KEY(struct config_camera, "scan", VALUE_BOOL, scan.enabled, 0, 0),
    KEY(struct config_camera, "scan-label", VALUE_LABEL, scan.label, 0, 0),
    KEY(struct config_camera, "scan-object-min", VALUE_COUNT, scan.object_min, 1, 100),
    KEY(struct config_camera, "scan-factor", VALUE_RATIO, scan.factor, 1034, 4096),
    KEY(struct config_camera, "scan-stride", VALUE_COUNT, scan.stride, 0, 256),
    KEY(struct config_camera, "scan-confidence", VALUE_COUNT, scan.confidence, 1, 99),
    KEY(struct config_camera, "scan-overlap", VALUE_COUNT, scan.overlap, 0, 100),
    KEY(struct config_camera, "scan-boxes", VALUE_COUNT, scan.boxes_max, 1, 64),
    KEY(struct config_camera, "scan-confirm", VALUE_NAME, scan.confirm, 0, 0),
    KEY(struct config_camera, "motion", VALUE_BOOL, scan.motion, 0, 0),
    KEY(struct config_camera, "motion-whole", VALUE_MS, scan.motion_whole_ms, 100, 3600000),
};
static const struct value_key adaptation_keys[] = {
    KEY(struct config, "state", VALUE_PATH, adaptation.state, 0, 0),
    KEY(struct config, "trainer-group", VALUE_GROUP, adaptation.trainer_group, 0, 0),
    KEY(struct config, "adapters-max", VALUE_COUNT, adaptation.adapters_max, 1, 16),
    KEY(struct config, "budget-day", VALUE_BYTES, adaptation.budget_day, 1u << 20,
        UINT64_C(1) << 40),
    KEY(struct config, "journal-allowance", VALUE_BYTES, adaptation.journal_allowance, 0, 1u << 20),
    KEY(struct config, "ring-bytes", VALUE_BYTES, adaptation.ring_bytes, 4u << 10, 64u << 20),
    KEY(struct config, "flush", VALUE_COUNT, adaptation.flush, 0, 4096),
    KEY(struct config, "commit-after", VALUE_MS, adaptation.commit_after_ms, 1000, 86400000),
};
static const struct value_key polygon_keys[] = {
    {"area", VALUE_CORNERS, offsetof(struct config_polygon, count),
     sizeof(struct config_polygon) - offsetof(struct config_polygon, count), 0, 0},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEYS_MAX     COUNT(daemon_keys)

enum { ZONE, MASK, POLYGON_KINDS };
/* Where something was written, for errors that are only seen when everything is read. */
struct origin {
    const char *file;
    unsigned line;
};

struct loader {
    struct config *config;
    struct config_error *error;
    int result;

    /* the file being read */
    const char *file;
    const char *text, *end;
    unsigned line;
    unsigned daemon_line, adaptation_line, model_line[CONFIG_MODELS_MAX],
        camera_line[CONFIG_CAMERAS_MAX];
    unsigned polygon_line[CONFIG_CAMERAS_MAX][POLYGON_KINDS][CONFIG_POLYGONS_MAX];

    /* the section being read */
    const struct value_key *keys;
    size_t key_count;
    void *fields;
    struct origin *origins; /* NULL, or one for each key */
    unsigned key_line[KEYS_MAX];

    struct origin daemon_origin[COUNT(daemon_keys)];
    struct origin model_origin[CONFIG_MODELS_MAX];
    struct origin camera_origin[CONFIG_CAMERAS_MAX][COUNT(camera_keys)];
    struct origin polygon_origin[CONFIG_CAMERAS_MAX][POLYGON_KINDS][CONFIG_POLYGONS_MAX];
};

__attribute__((format(printf, 5, 6))) static int
fail(struct loader *loader, int error, const char *file, unsigned line, const char *format, ...)
{
    va_list arguments;

    snprintf(loader->error->file, sizeof(loader->error->file), "%s", file);
    loader->error->line = line;
    va_start(arguments, format);
    vsnprintf(loader->error->reason, sizeof(loader->error->reason), format, arguments);
    va_end(arguments);
    loader->result = error;
    return error;
}

#define FAIL_HERE(loader, ...) fail(loader, -EBADMSG, (loader)->file, (loader)->line, __VA_ARGS__)

static void open_section(struct loader *loader, const struct value_key *keys, size_t key_count,
                         void *fields, struct origin *origins)
{
    loader->keys = keys;
    loader->key_count = key_count;
    loader->fields = fields;
    loader->origins = origins;
    memset(loader->key_line, 0, sizeof(loader->key_line));
}

/* A section may appear once in a file: remembers its line in *first. */
static int enter_once(struct loader *loader, const char *title, unsigned *first)
{
    if (*first != 0) {
        return FAIL_HERE(loader, "section [%s] appears twice, first in line %u", title, *first);
    }
    *first = loader->line;
    return 0;
}

/* Its index, or model_count. */
static uint32_t find_model(const struct config *config, const char *name)
{
    uint32_t i = 0;

    while (i < config->model_count && strcmp(config->models[i].name, name) != 0) {
        i++;
    }
    return i;
}

static int enter_model(struct loader *loader, const char *title, const char *name)
{
    struct config *config = loader->config;
    uint32_t i = find_model(config, name);

    if (i == CONFIG_MODELS_MAX) {
        return FAIL_HERE(loader, "more than %u models", CONFIG_MODELS_MAX);
    }
    if (i == config->model_count) {
        memcpy(config->models[i].name, name, strlen(name) + 1);
        config->models[i].wake_confidence = 50;
        loader->model_origin[i] = (struct origin){loader->file, loader->line};
        config->model_count++;
    }
    open_section(loader, model_keys, COUNT(model_keys), &config->models[i], NULL);
    return enter_once(loader, title, &loader->model_line[i]);
}

/* Its index, or camera_count. */
static uint32_t find_camera(const struct config *config, const char *name)
{
    uint32_t i = 0;

    while (i < config->camera_count && strcmp(config->cameras[i].name, name) != 0) {
        i++;
    }
    return i;
}

static int enter_camera(struct loader *loader, const char *title, const char *name)
{
    struct config *config = loader->config;
    uint32_t i = find_camera(config, name);
    if (i == CONFIG_CAMERAS_MAX) {
        return FAIL_HERE(loader, "more than %u cameras", CONFIG_CAMERAS_MAX);
    }
    if (i == config->camera_count) {
        config->cameras[i] = config->other;
        memcpy(config->cameras[i].name, name, strlen(name) + 1);
        config->camera_count++;
    }
    open_section(loader, camera_keys, COUNT(camera_keys), &config->cameras[i],
                 loader->camera_origin[i]);
    return enter_once(loader, title, &loader->camera_line[i]);
}

/* `names`: of the camera and of the polygon. */
static int enter_polygon(struct loader *loader, const char *title, const char *names, int kind)
{
    struct config *config = loader->config;
    char camera[CONFIG_NAME_BYTES * 4];
    const char *blank = strchr(names, ' ');
    const char *name = blank != NULL ? blank + 1 : "";
    uint32_t i = 0;

    snprintf(camera, sizeof(camera), "%.*s", (int)(blank != NULL ? blank - names : 0), names);
    if (!config_value_name_valid(camera) || !config_value_name_valid(name)) {
        return FAIL_HERE(loader, "[%s] does not name a camera and then a %s", title,
                         kind == ZONE ? "zone" : "mask");
    }
    uint32_t owner = find_camera(config, camera);
    if (owner == config->camera_count) {
        return FAIL_HERE(loader, "there is no [camera %s] before [%s]", camera, title);
    }
    struct config_scan *scan = &config->cameras[owner].scan;
    struct config_polygon *list = kind == ZONE ? scan->zones : scan->masks;
    uint32_t *count = kind == ZONE ? &scan->zone_count : &scan->mask_count;
    while (i < *count && strcmp(list[i].name, name) != 0) {
        i++;
    }
    if (i == CONFIG_POLYGONS_MAX) {
        return FAIL_HERE(loader, "more than %u %ss of camera '%s'", CONFIG_POLYGONS_MAX,
                         kind == ZONE ? "zone" : "mask", camera);
    }
    if (i == *count) {
        memcpy(list[i].name, name, strlen(name) + 1);
        loader->polygon_origin[owner][kind][i] = (struct origin){loader->file, loader->line};
        ++*count;
    }
    open_section(loader, polygon_keys, COUNT(polygon_keys), &list[i], NULL);
    return enter_once(loader, title, &loader->polygon_line[owner][kind][i]);
}

/* `title` is what stands between the brackets. */
static int enter_section(struct loader *loader, const char *title)
{
    bool model = strncmp(title, "model ", 6) == 0;
    bool camera = strncmp(title, "camera ", 7) == 0;

    if (strcmp(title, "daemon") == 0) {
        open_section(loader, daemon_keys, COUNT(daemon_keys), loader->config,
                     loader->daemon_origin);
        return enter_once(loader, title, &loader->daemon_line);
    }
    if (strcmp(title, "adaptation") == 0) {
        open_section(loader, adaptation_keys, COUNT(adaptation_keys), loader->config, NULL);
        return enter_once(loader, title, &loader->adaptation_line);
    }
    if (strncmp(title, "zone ", 5) == 0 || strncmp(title, "mask ", 5) == 0) {
        return enter_polygon(loader, title, title + 5, title[0] == 'z' ? ZONE : MASK);
    }
    if (!model && !camera) {
        return FAIL_HERE(loader,
                         "unknown section [%s]; there are [daemon], [adaptation], "
                         "[model NAME], [camera NAME], [zone CAMERA NAME], [mask CAMERA NAME]",
                         title);
    }
    const char *name = strchr(title, ' ') + 1;
    if (!config_value_name_valid(name)) {
        return FAIL_HERE(loader, "'%s' is not a name (letters, digits, _ . -, at most 63)", name);
    }
    return model ? enter_model(loader, title, name) : enter_camera(loader, title, name);
}

/* Checks a line (without its end) for what libinih would misread, and enters the section that it
 * may open. */
static int check_line(struct loader *loader, char *line)
{
    size_t length = strlen(line);

    while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t')) {
        line[--length] = '\0';
    }
    if (length == 0 || line[0] == '#' || line[0] == ';') {
        return 0;
    }
    if (line[0] == ' ' || line[0] == '\t') {
        return FAIL_HERE(loader, "the line is indented; keys and sections start at the margin");
    }
    for (size_t i = 1; i < length; i++) {
        bool space_before = line[i - 1] == ' ' || line[i - 1] == '\t';
        if (space_before && (line[i] == '#' || line[i] == ';')) {
            return FAIL_HERE(loader, "a comment needs a line of its own");
        }
    }
    if (line[0] == '[') {
        if (line[length - 1] != ']') {
            return FAIL_HERE(loader, "a section ends with ]");
        }
        char title[CONFIG_NAME_BYTES * 4];
        snprintf(title, sizeof(title), "%.*s", (int)length - 2, line + 1);
        return enter_section(loader, title);
    }
    if (line[strcspn(line, "=:")] != '=') { /* libinih takes a colon, too */
        return FAIL_HERE(loader, "the line is neither [section], key = value nor # comment");
    }
    return 0;
}

/* libinih's reader: the next line, checked, or NULL at the end and after an error. */
static char *read_line(char *line, int room, void *stream)
{
    struct loader *loader = stream;

    if (loader->result < 0 || loader->text == loader->end) {
        return NULL;
    }
    size_t left = (size_t)(loader->end - loader->text);
    const char *newline = memchr(loader->text, '\n', left);
    size_t length = newline != NULL ? (size_t)(newline - loader->text) : left;
    const char *start = loader->text;

    loader->text += newline != NULL ? length + 1 : length;
    loader->line++;
    if (length > 0 && start[length - 1] == '\r') {
        length--;
    }
    if (length >= (size_t)room) {
        FAIL_HERE(loader, "the line has %zu bytes; the limit is %d", length, room - 1);
        return NULL;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)start[i];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
            FAIL_HERE(loader, "the line holds the control character 0x%02x", byte);
            return NULL;
        }
    }
    memcpy(line, start, length);
    line[length] = '\0';
    return check_line(loader, line) == 0 ? line : NULL;
}

/* libinih's handler. The section that it names is cut at 49 bytes, so read_line keeps track
 * instead. */
static int handle_pair(void *user, const char *section, const char *name, const char *value)
{
    struct loader *loader = user;
    char reason[sizeof(loader->error->reason)];
    size_t i = 0;

    (void)section;
    if (loader->keys == NULL) {
        FAIL_HERE(loader, "'%s' stands before any section", name);
        return 0;
    }
    while (i < loader->key_count && strcmp(loader->keys[i].name, name) != 0) {
        i++;
    }
    if (i == loader->key_count) {
        FAIL_HERE(loader, "unknown key '%s'", name);
        return 0;
    }
    if (loader->key_line[i] != 0) {
        FAIL_HERE(loader, "'%s' appears twice, first in line %u", name, loader->key_line[i]);
        return 0;
    }
    loader->key_line[i] = loader->line;
    if (config_value_set(&loader->keys[i], value, loader->fields, reason, sizeof(reason)) < 0) {
        FAIL_HERE(loader, "%s", reason);
        return 0;
    }
    if (loader->origins != NULL) {
        loader->origins[i] = (struct origin){loader->file, loader->line};
    }
    return 1;
}

static int load_file(struct loader *loader, const char *path)
{
    static const char bom[] = "\xef\xbb\xbf";
    char *text = NULL;
    size_t size = 0;

    loader->result = config_file_read(path, &text, &size, loader->error);
    if (loader->result < 0) {
        return loader->result;
    }
    loader->file = path;
    loader->text = text;
    loader->end = text + size;
    loader->line = 0;
    loader->daemon_line = loader->adaptation_line = 0;
    memset(loader->model_line, 0, sizeof(loader->model_line));
    memset(loader->camera_line, 0, sizeof(loader->camera_line));
    memset(loader->polygon_line, 0, sizeof(loader->polygon_line));
    open_section(loader, NULL, 0, NULL, NULL);
    if (size >= 3 && memcmp(text, bom, 3) == 0) {
        loader->text += 3;
    }

    int bad_line = ini_parse_stream(read_line, loader, handle_pair, loader);
    if (loader->result == 0 && bad_line != 0) {
        fail(loader, bad_line > 0 ? -EBADMSG : -ENOMEM, path, bad_line > 0 ? (unsigned)bad_line : 0,
             "the line cannot be read");
    }
    free(text);
    return loader->result;
}

static const struct origin *daemon_origin(const struct loader *loader, const char *key)
{
    for (size_t i = 0; i < COUNT(daemon_keys); i++) {
        if (strcmp(daemon_keys[i].name, key) == 0) {
            return &loader->daemon_origin[i];
        }
    }
    return NULL;
}

/* Names the line of `key` in [daemon], or the whole main file where the default stands. */
__attribute__((format(printf, 4, 5))) static int fail_key(struct loader *loader, const char *path,
                                                          const char *key, const char *format, ...)
{
    const struct origin *origin = daemon_origin(loader, key);
    char reason[sizeof(loader->error->reason)];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    return fail(loader, -EBADMSG, origin->file != NULL ? origin->file : path, origin->line, "%s",
                reason);
}

static int check_model(struct loader *loader, uint32_t index)
{
    const struct config_model *model = &loader->config->models[index];
    const struct origin *origin = &loader->model_origin[index];

    if (model->path[0] == '\0') {
        return fail(loader, -EBADMSG, origin->file, origin->line, "model '%s' has no path",
                    model->name);
    }
    if ((model->wakes[0] == '\0') != (model->wake_label[0] == '\0')) {
        return fail(loader, -EBADMSG, origin->file, origin->line,
                    "model '%s' needs both 'wakes' and 'wake-label', or neither", model->name);
    }
    if (model->wakes[0] != '\0' &&
        (find_model(loader->config, model->wakes) == loader->config->model_count ||
         strcmp(model->wakes, model->name) == 0)) {
        return fail(loader, -EBADMSG, origin->file, origin->line,
                    "model '%s' wakes '%s', which is no other [model]", model->name, model->wakes);
    }
    return 0;
}

static int check_polygons(struct loader *loader, uint32_t camera, int kind,
                          const struct config_polygon *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct origin *origin = &loader->polygon_origin[camera][kind][i];
        if (list[i].count == 0) {
            return fail(loader, -EBADMSG, origin->file, origin->line, "%s '%s' has no area",
                        kind == ZONE ? "zone" : "mask", list[i].name);
        }
    }
    return 0;
}

static int check_camera(struct loader *loader, uint32_t index)
{
    struct config *config = loader->config;
    struct config_camera *camera = &config->cameras[index];
    const struct origin *origin = &loader->camera_origin[index][0];

    if (camera->model[0] == '\0') {
        memcpy(camera->model, config->default_model, sizeof(camera->model));
    } else if (find_model(config, camera->model) == config->model_count) {
        return fail(loader, -EBADMSG, origin->file, origin->line, "there is no [model %s]",
                    camera->model);
    }
    const struct config_scan *scan = &camera->scan;
    int r = check_polygons(loader, index, ZONE, scan->zones, scan->zone_count);
    return r < 0 ? r : check_polygons(loader, index, MASK, scan->masks, scan->mask_count);
}

/* What only the whole can break. Fills in the names of default models. */
static int check_whole(struct loader *loader, const char *path)
{
    struct config *config = loader->config;

    if (config->model_count == 0) {
        return fail(loader, -EBADMSG, path, 0, "no [model NAME] section");
    }
    for (uint32_t i = 0; i < config->model_count; i++) {
        if (check_model(loader, i) < 0) {
            return loader->result;
        }
    }
    if (config->default_model[0] == '\0') {
        memcpy(config->default_model, config->models[0].name, sizeof(config->default_model));
    } else if (find_model(config, config->default_model) == config->model_count) {
        return fail_key(loader, path, "model", "there is no [model %s]", config->default_model);
    }
    memcpy(config->other.model, config->default_model, sizeof(config->other.model));
    for (uint32_t i = 0; i < config->camera_count; i++) {
        if (check_camera(loader, i) < 0) {
            return loader->result;
        }
    }
    uint32_t camera;
    const char *reason;
    if (config_link_adapters(config, &camera, &reason) < 0) {
        const struct origin *origin = &loader->camera_origin[camera][0];
        return fail(loader, -EBADMSG, origin->file, origin->line, "camera '%s', adapter '%s': %s",
                    config->cameras[camera].name, config->cameras[camera].adapter, reason);
    }
    if (config->camera_count > config->cameras_max) {
        return fail_key(loader, path, "cameras-max", "'cameras-max' is less than the %u [camera]s",
                        config->camera_count);
    }
    if (config->queue_bytes_max < config->frame_bytes_max) {
        return fail_key(loader, path, "queue-bytes-max",
                        "'queue-bytes-max' is less than 'frame-bytes-max'");
    }
    if (config->varlink_socket[0] != '\0' &&
        strcmp(config->http_socket, config->varlink_socket) == 0) {
        return fail_key(loader, path, "varlink", "'varlink' and 'http' are the same socket");
    }
    if (config->http_socket[0] == '\0' && config->varlink_socket[0] == '\0' &&
        config->http_tcp[0] == '\0') {
        return fail_key(loader, path, "http", "every door is closed: http, varlink and http-tcp");
    }
    return 0;
}

int config_load(const char *path, struct config **ret_config, struct config_error *ret_error)
{
    struct config_error error = {.line = 0};
    struct loader *loader = calloc(1, sizeof(*loader));
    struct config *config = malloc(sizeof(*config));
    char **paths = NULL;
    int count = 0, r = -ENOMEM;

    if (loader == NULL || config == NULL) {
        snprintf(error.file, sizeof(error.file), "%s", path);
        snprintf(error.reason, sizeof(error.reason), "out of memory");
        goto out;
    }
    config_set_defaults(config);
    loader->config = config;
    loader->error = &error;

    r = load_file(loader, path);
    if (r == 0) {
        r = config_file_list_drop_ins(path, &paths, &count, &error);
    }
    for (int i = 0; i < count && r == 0; i++) {
        r = load_file(loader, paths[i]);
    }
    if (r == 0) {
        r = check_whole(loader, path);
    }
    r = r < 0 ? r : config_tokens_load(config, &error);
    for (int i = 0; i < count; i++) {
        free(paths[i]);
    }
    free(paths);
out:
    free(loader);
    if (r < 0) {
        free(config);
        *ret_error = error;
        return r;
    }
    *ret_config = config;
    return 0;
}

void config_destroy(struct config *config)
{
    free(config);
}
