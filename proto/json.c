/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A recursive check of JSON texts; its recursion is bounded by the caller's depth. */
#include "proto/json.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <cjson/cJSON.h>

struct reader {
    const char *next, *end;
    unsigned depth_left, values_left;
    const char *reason;
};

static bool fail(struct reader *reader, const char *reason)
{
    reader->reason = reason;
    return false;
}

static bool take(struct reader *reader, char c)
{
    if (reader->next < reader->end && *reader->next == c) {
        reader->next++;
        return true;
    }
    return false;
}

static void skip_space(struct reader *reader)
{
    while (reader->next < reader->end && (*reader->next == ' ' || *reader->next == '\t' ||
                                          *reader->next == '\n' || *reader->next == '\r')) {
        reader->next++;
    }
}

static bool take_digits(struct reader *reader)
{
    const char *start = reader->next;
    while (reader->next < reader->end && *reader->next >= '0' && *reader->next <= '9') {
        reader->next++;
    }
    return reader->next > start;
}

static bool check_number(struct reader *reader)
{
    (void)take(reader, '-');
    if (!take(reader, '0') && !take_digits(reader)) {
        return fail(reader, "a value is malformed");
    }
    if (take(reader, '.') && !take_digits(reader)) {
        return fail(reader, "a number is malformed");
    }
    if (take(reader, 'e') || take(reader, 'E')) {
        if (!take(reader, '+')) {
            (void)take(reader, '-');
        }
        if (!take_digits(reader)) {
            return fail(reader, "a number is malformed");
        }
    }
    return true;
}

/* Four hex digits, or -1. */
static int take_hex4(struct reader *reader)
{
    int value = 0;
    if (reader->end - reader->next < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        char c = *reader->next++;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* After the backslash. */
static bool check_escape(struct reader *reader)
{
    if (reader->next == reader->end || *reader->next == '\0' ||
        strchr("\"\\/bfnrtu", *reader->next) == NULL) {
        return fail(reader, "a string holds an unknown escape");
    }
    if (*reader->next++ != 'u') {
        return true;
    }
    int unit = take_hex4(reader);
    if (unit <= 0) {
        return fail(reader, unit == 0 ? "a string holds a NUL" : "a string holds a bad \\u escape");
    }
    if (unit >= 0xd800 && unit < 0xdc00) {
        int low = take(reader, '\\') && take(reader, 'u') ? take_hex4(reader) : -1;
        if (low < 0xdc00 || low > 0xdfff) {
            return fail(reader, "a string holds half a surrogate pair");
        }
    } else if (unit >= 0xdc00 && unit <= 0xdfff) {
        return fail(reader, "a string holds half a surrogate pair");
    }
    return true;
}

/* Bytes of the well-formed character of RFC 3629 at text[0..size), size >= 1; 0 when there is none.
 */
static size_t utf8_length(const char *text, size_t size)
{
    const unsigned char *byte = (const unsigned char *)text;
    if (byte[0] < 0x80) {
        return 1;
    }
    size_t length = byte[0] >= 0xf0 ? 4 : byte[0] >= 0xe0 ? 3 : 2;
    if (byte[0] < 0xc2 || byte[0] > 0xf4 || size < length) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((byte[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (byte[0] == 0xe0 && byte[1] < 0xa0) || (byte[0] == 0xf0 && byte[1] < 0x90);
    bool surrogate = byte[0] == 0xed && byte[1] > 0x9f;
    bool beyond = byte[0] == 0xf4 && byte[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

#define EACH_BYTE(value) (UINT64_MAX / 255 * (value))

static bool plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* 0 where no byte of the word is below n <= 128. (Where one is, bytes above it may be marked
 * wrongly.) */
static uint64_t bytes_below(uint64_t word, uint64_t n)
{
    return (word - EACH_BYTE(n)) & ~word & EACH_BYTE(0x80);
}

size_t proto_json_plain(const char *text, size_t size)
{
    size_t i = 0;
    for (uint64_t word; size - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, text + i, sizeof(word));
        if (((word & EACH_BYTE(0x80)) | bytes_below(word, 0x20) |
             bytes_below(word ^ EACH_BYTE('"'), 1) | bytes_below(word ^ EACH_BYTE('\\'), 1)) != 0) {
            break;
        }
    }
    while (i < size && plain((unsigned char)text[i])) {
        i++;
    }
    return i;
}

static bool check_string(struct reader *reader)
{
    if (!take(reader, '"')) {
        return fail(reader, "a string is missing");
    }
    while (reader->next < reader->end) {
        reader->next += proto_json_plain(reader->next, (size_t)(reader->end - reader->next));
        if (reader->next == reader->end) {
            break;
        }
        unsigned char c = (unsigned char)*reader->next;
        if (c == '"') {
            reader->next++;
            return true;
        }
        if (c < 0x20) {
            return fail(reader, "a string holds a control character");
        }
        if (c == '\\') {
            reader->next++;
            if (!check_escape(reader)) {
                return false;
            }
        } else {
            size_t length = utf8_length(reader->next, (size_t)(reader->end - reader->next));
            if (length == 0) {
                return fail(reader, "a string is not UTF-8");
            }
            reader->next += length;
        }
    }
    return fail(reader, "a string does not end");
}

static bool check_value(struct reader *reader);

/* After the opening bracket: members (strings before colons) or elements up to `close`. */
static bool check_inside(struct reader *reader, char close)
{
    skip_space(reader);
    if (take(reader, close)) {
        return true;
    }
    do {
        skip_space(reader);
        if (close == '}') {
            if (!check_string(reader)) {
                return false;
            }
            skip_space(reader);
            if (!take(reader, ':')) {
                return fail(reader, "a colon is missing");
            }
        }
        if (!check_value(reader)) {
            return false;
        }
        skip_space(reader);
    } while (take(reader, ','));
    return take(reader, close) || fail(reader, "a bracket is not closed");
}

static bool check_value(struct reader *reader)
{
    skip_space(reader);
    if (reader->values_left == 0) {
        return fail(reader, "too many values");
    }
    reader->values_left--;
    size_t left = (size_t)(reader->end - reader->next);
    if (left == 0) {
        return fail(reader, "a value is missing");
    }
    char c = *reader->next;
    if (c == '{' || c == '[') {
        if (reader->depth_left == 0) {
            return fail(reader, "nested too deep");
        }
        reader->next++;
        reader->depth_left--;
        bool good = check_inside(reader, c == '{' ? '}' : ']');
        reader->depth_left++;
        return good;
    }
    if (c == '"') {
        return check_string(reader);
    }
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < 3; i++) {
        size_t length = strlen(words[i]);
        if (left >= length && memcmp(reader->next, words[i], length) == 0) {
            reader->next += length;
            return true;
        }
    }
    return check_number(reader);
}

int proto_json_check(const char *data, size_t length, unsigned depth_max, const char **ret_reason)
{
    struct reader reader = {.next = data,
                            .end = data + length,
                            .depth_left = depth_max,
                            .values_left = PROTO_JSON_VALUES_MAX};
    if (!check_value(&reader)) {
        *ret_reason = reader.reason;
        return -EBADMSG;
    }
    skip_space(&reader);
    if (reader.next != reader.end) {
        *ret_reason = "something follows the value";
        return -EBADMSG;
    }
    return 0;
}

int proto_json_parse(const char *data, size_t length, unsigned depth_max, struct cJSON **ret_root,
                     const char **ret_reason)
{
    int r = proto_json_check(data, length, depth_max, ret_reason);
    if (r < 0) {
        return r;
    }
    cJSON *root = cJSON_ParseWithLength(data, length);
    if (root == NULL) {
        return -ENOMEM; /* the text is good, so nothing else is left */
    }
    *ret_root = root;
    return 0;
}

int64_t proto_json_whole(const struct cJSON *item)
{
    if (!cJSON_IsNumber(item)) {
        return -1;
    }
    double value = item->valuedouble;
    if (!(value >= 0.0 && value <= 9007199254740992.0) || value != floor(value)) {
        return -1;
    }
    return (int64_t)value;
}
