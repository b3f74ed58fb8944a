/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Words of lines. */
#include "config/tokens.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/file.h"
#include "config/value.h"

static bool read_digest(const char *text, char digest[CONFIG_DIGEST_CHARS + 1])
{
    if (strlen(text) != CONFIG_DIGEST_CHARS ||
        strspn(text, "0123456789abcdefABCDEF") != CONFIG_DIGEST_CHARS) {
        return false;
    }
    for (size_t i = 0; i < CONFIG_DIGEST_CHARS; i++) {
        digest[i] = (char)tolower(text[i]);
    }
    return true; /* it ends in the NUL that was there */
}

/* A line without its end; it is cut into words. NULL, or what is wrong with it. */
static const char *add_line(struct config *config, char *line)
{
    static const char *const roles[] = {"client", "trainer", "admin"};
    static const char blanks[] = " \t\r";
    struct config_token token = {.name = ""};
    char *rest;
    const char *role = strtok_r(line, blanks, &rest);
    if (role == NULL || role[0] == '#') {
        return NULL;
    }
    const char *name = strtok_r(NULL, blanks, &rest), *digest = strtok_r(NULL, blanks, &rest);
    while (token.role < CONFIG_ROLES && strcmp(roles[token.role], role) != 0) {
        token.role++;
    }
    if (token.role == CONFIG_ROLES) {
        return "the role of a token is client, trainer or admin";
    }
    if (name == NULL || !config_value_name_valid(name)) {
        return "the name of a token is 1 to 63 of A-Z a-z 0-9 _ . -";
    }
    if (digest == NULL || !read_digest(digest, token.sha256)) {
        return "a token is told by its SHA-256, 64 hexadecimal digits";
    }
    if (strtok_r(NULL, blanks, &rest) != NULL) {
        return "a line has a role, a name and a SHA-256";
    }
    if (config->token_count == CONFIG_TOKENS_MAX) {
        return "there are too many tokens";
    }
    snprintf(token.name, sizeof(token.name), "%s", name);
    config->tokens[config->token_count++] = token;
    return NULL;
}

/* The path of the file, or NULL: there is none. */
static const char *find_file(const struct config *config, char *path, size_t size)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (config->tokens_path[0] != '\0') {
        return config->tokens_path;
    }
    if (directory == NULL || snprintf(path, size, "%s/tokens", directory) >= (int)size ||
        (access(path, F_OK) < 0 && errno == ENOENT)) {
        return NULL;
    }
    return path;
}

int config_tokens_load(struct config *config, struct config_error *ret_error)
{
    char place[4096], *text, *next;
    size_t size;
    const char *path = find_file(config, place, sizeof(place)), *reason = NULL;
    if (path == NULL) {
        return 0;
    }
    int r = config_file_read(path, &text, &size, ret_error);
    if (r < 0) {
        return r;
    }
    text[size] = '\0'; /* config_file_read leaves room */
    next = text;
    for (unsigned line = 1; next != NULL && reason == NULL; line++) {
        char *end = strchr(next, '\n');
        if (end != NULL) {
            *end++ = '\0';
        } else if (strlen(next) != size - (size_t)(next - text)) {
            reason = "a NUL byte";
        }
        if (reason == NULL) {
            reason = add_line(config, next);
        }
        if (reason != NULL) {
            *ret_error = (struct config_error){.line = line};
            snprintf(ret_error->file, sizeof(ret_error->file), "%s", path);
            snprintf(ret_error->reason, sizeof(ret_error->reason), "%s", reason);
        }
        next = end;
    }
    free(text);
    return reason != NULL ? -EBADMSG : 0;
}
