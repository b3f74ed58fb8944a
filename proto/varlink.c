/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Framing, the strict reader of calls, and the interface texts. Holds no buffer of its own. */
#include "proto/varlink.h"

#include <errno.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "proto/json.h"

#define METHOD_NAME_MAX 255u

/* Called for each byte of a message but its terminator. */
static int scan_byte(struct varlink_scanner *scanner, char c)
{
    if (c == '\0') {
        return -EBADMSG; /* no JSON text holds one: the message ended too early */
    }
    if (scanner->in_string) {
        if (scanner->escaped) {
            scanner->escaped = false;
        } else if (c == '\\') {
            scanner->escaped = true;
        } else if (c == '"') {
            scanner->in_string = false;
        }
        return 0;
    }
    if (scanner->scanned == 0 && c != '{') {
        return -EBADMSG;
    }
    if (c == '"') {
        scanner->in_string = true;
    } else if (c == '{' || c == '[') {
        scanner->depth++;
    } else if (c == '}' || c == ']') {
        scanner->depth--; /* never below 0: a message starts with a brace and is closed at 0 */
        scanner->closed = scanner->depth == 0;
    }
    return 0;
}

static int take_terminator(struct varlink_scanner *scanner, char c)
{
    if (c != VARLINK_TERMINATOR_NUL && c != VARLINK_TERMINATOR_NEWLINE) {
        return -EBADMSG;
    }
    if (scanner->terminator == VARLINK_TERMINATOR_UNKNOWN) {
        scanner->terminator = c;
    }
    return c == scanner->terminator ? 0 : -EBADMSG;
}

int varlink_scan(struct varlink_scanner *scanner, const char *data, size_t size, size_t *ret_length,
                 size_t *ret_consumed)
{
    while (scanner->scanned < size) {
        if (scanner->in_string && !scanner->escaped) {
            scanner->scanned += proto_json_plain(data + scanner->scanned, size - scanner->scanned);
            if (scanner->scanned == size) {
                break;
            }
        }
        char c = data[scanner->scanned];
        int r = scanner->closed ? take_terminator(scanner, c) : scan_byte(scanner, c);
        if (r < 0) {
            return r;
        }
        if (scanner->closed && scanner->scanned > 0 && (c == '\0' || c == '\n')) {
            *ret_length = scanner->scanned;
            *ret_consumed = scanner->scanned + 1;
            *scanner = (struct varlink_scanner){.terminator = scanner->terminator};
            return 0;
        }
        scanner->scanned++;
    }
    return -EAGAIN;
}

static int refuse(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return -EBADMSG;
}

/* interface.Method: what may be repeated in an error reply. */
static bool method_name_valid(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= METHOD_NAME_MAX &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-") ==
               length;
}

static int read_flag(const cJSON *item, bool *flag, const char **ret_reason)
{
    if (!cJSON_IsBool(item)) {
        return refuse(ret_reason, "oneway, more and upgrade are true or false");
    }
    *flag = cJSON_IsTrue(item) != 0;
    return 0;
}

static int read_member(const cJSON *item, struct varlink_call *call, const char **ret_reason)
{
    if (strcmp(item->string, "method") == 0) {
        call->method = cJSON_GetStringValue(item);
        return call->method != NULL && method_name_valid(call->method)
                   ? 0
                   : refuse(ret_reason, "method is a name like interface.Method");
    }
    if (strcmp(item->string, "parameters") == 0) {
        call->parameters = item;
        return cJSON_IsObject(item) ? 0 : refuse(ret_reason, "parameters is an object");
    }
    if (strcmp(item->string, "oneway") == 0) {
        return read_flag(item, &call->oneway, ret_reason);
    }
    if (strcmp(item->string, "more") == 0) {
        return read_flag(item, &call->more, ret_reason);
    }
    if (strcmp(item->string, "upgrade") == 0) {
        return read_flag(item, &call->upgrade, ret_reason);
    }
    return refuse(ret_reason, "a call has only method, parameters, oneway, more and upgrade");
}

static int read_call(struct varlink_call *call, const char **ret_reason)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, call->root)
    {
        /* All names are known, so a repeated one shows up within six steps. */
        for (const cJSON *other = call->root->child; other != item; other = other->next) {
            if (strcmp(other->string, item->string) == 0) {
                return refuse(ret_reason, "a member is given twice");
            }
        }
        int r = read_member(item, call, ret_reason);
        if (r < 0) {
            return r;
        }
    }
    if (call->method == NULL) {
        return refuse(ret_reason, "the method is missing");
    }
    if (call->oneway && (call->more || call->upgrade)) {
        return refuse(ret_reason, "oneway excludes more and upgrade");
    }
    return 0;
}

int varlink_call_parse(const char *data, size_t length, struct varlink_call *ret_call,
                       const char **ret_reason)
{
    struct varlink_call call = {0};
    int r = proto_json_parse(data, length, VARLINK_JSON_DEPTH_MAX, &call.root, ret_reason);
    if (r < 0) {
        return r;
    }
    r = cJSON_IsObject(call.root) ? read_call(&call, ret_reason)
                                  : refuse(ret_reason, "a call is an object");
    if (r < 0) {
        varlink_call_finish(&call);
        return r;
    }
    *ret_call = call;
    return 0;
}

void varlink_call_finish(struct varlink_call *call)
{
    cJSON_Delete(call->root);
    *call = (struct varlink_call){0};
}

/* The .varlink files beside this one, quoted line by line at build time. */
const char *varlink_interface_text(const char *name)
{
    static const char ocellus[] =
#include "io.ocellus.varlink.inc"
        ;
    static const char service[] =
#include "org.varlink.service.varlink.inc"
        ;
    if (strcmp(name, "io.ocellus") == 0) {
        return ocellus;
    }
    return strcmp(name, "org.varlink.service") == 0 ? service : NULL;
}
