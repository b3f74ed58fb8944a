/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What cJSON lets pass and a model file must not hold is refused here: keys that occur twice, bytes
 * that are not UTF-8, NUL characters that would cut strings short, trailing text.
 */
#include "engine/network/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

/* Length of the well-formed UTF-8 sequence at the start of text[size] (RFC 3629), or 0. */
static size_t utf8_sequence(const unsigned char *text, size_t size, uint32_t *ret_code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = text[0] < 0x80   ? 1
                    : text[0] < 0xc0 ? 0
                    : text[0] < 0xe0 ? 2
                    : text[0] < 0xf0 ? 3
                    : text[0] < 0xf8 ? 4
                                     : 0;

    if (length == 0 || length > size) {
        return 0;
    }
    uint32_t code = length == 1 ? text[0] : text[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (text[i] & 0x3f);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
        return 0;
    }
    *ret_code = code;
    return length;
}

bool network_utf8(const char *text, size_t size, bool printable)
{
    const unsigned char *bytes = (const unsigned char *)text;
    uint32_t code;

    for (size_t at = 0; at < size;) {
        size_t length = utf8_sequence(bytes + at, size - at, &code);

        if (length == 0 || (printable && (code < 0x20 || (code >= 0x7f && code < 0xa0)))) {
            return false;
        }
        at += length;
    }
    return true;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_keys(const cJSON *object, const char **ret_reason)
{
    size_t count = 0;

    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        count++;
    }
    if (count < 2) {
        return 0;
    }

    const char **keys = malloc(count * sizeof *keys);
    if (keys == NULL) {
        return -ENOMEM;
    }
    count = 0;
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        keys[count++] = item->string;
    }
    qsort(keys, count, sizeof *keys, compare_keys);

    int result = 0;
    for (size_t i = 1; i < count && result == 0; i++) {
        if (strcmp(keys[i - 1], keys[i]) == 0) {
            *ret_reason = "A key occurs twice in one object of the header.";
            result = -EBADMSG;
        }
    }
    free(keys);
    return result;
}

/* Depth is bounded by the limit, not by the text. */
static int check_tree(const cJSON *value, unsigned depth, const char **ret_reason)
{
    if (depth > NETWORK_JSON_DEPTH_MAX) {
        *ret_reason = "The header is nested too deeply.";
        return -EBADMSG;
    }

    int result = cJSON_IsObject(value) ? check_keys(value, ret_reason) : 0;
    for (const cJSON *item = value->child; item != NULL && result == 0; item = item->next) {
        result = check_tree(item, depth + 1, ret_reason);
    }
    return result;
}

int network_json_parse(const char *text, size_t size, struct cJSON **ret_json,
                       const char **ret_reason)
{
    const char *end;

    /* An escaped backslash before u0000 is refused with the real thing: nobody needs either. */
    if (text[0] != '{' || !network_utf8(text, size, false) || memchr(text, '\0', size) != NULL ||
        memmem(text, size, "\\u0000", 6) != NULL) {
        *ret_reason = "The header is not JSON in UTF-8, or it holds a NUL character.";
        return -EBADMSG;
    }

    /* cJSON does not tell bad text from lack of memory; the text is the likelier cause. */
    cJSON *json = cJSON_ParseWithLengthOpts(text, size, &end, 0);
    if (!cJSON_IsObject(json)) {
        cJSON_Delete(json);
        *ret_reason = "The header is not a JSON object.";
        return -EBADMSG;
    }

    int result = -EBADMSG;
    if (end[strspn(end, " ")] != '\0') {
        *ret_reason = "Text follows the JSON object of the header.";
    } else {
        result = check_tree(json, 1, ret_reason);
    }
    if (result < 0) {
        cJSON_Delete(json);
        return result;
    }
    *ret_json = json;
    return 0;
}

bool network_json_only(const cJSON *object, const char *const *keys)
{
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        size_t i = 0;

        while (keys[i] != NULL && strcmp(keys[i], item->string) != 0) {
            i++;
        }
        if (keys[i] == NULL) {
            return false;
        }
    }
    return true;
}

bool network_json_integer(const cJSON *value, int64_t low, int64_t high, int64_t *ret_number)
{
    if (!cJSON_IsNumber(value)) {
        return false;
    }

    double number = value->valuedouble;
    /* NaN fails the first comparison. */
    if (!(number >= (double)low && number <= (double)high) || number != (double)(int64_t)number) {
        return false;
    }
    *ret_number = (int64_t)number;
    return true;
}

int network_json_word(const cJSON *value, const char *const *words)
{
    if (!cJSON_IsString(value)) {
        return -1;
    }
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(value->valuestring, words[i]) == 0) {
            return i;
        }
    }
    return -1;
}

bool network_json_add(cJSON *to, const char *key, cJSON *item)
{
    if (key != NULL ? cJSON_AddItemToObject(to, key, item) : cJSON_AddItemToArray(to, item)) {
        return true;
    }
    cJSON_Delete(item);
    return false;
}
