/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* One value of a key: text -> field. It accepts nothing that it does not understand whole. */
#include "config/value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"

struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit count_units[] = {{"", 1}, {"K", 1000}, {"M", 1000000}, {"G", 1000000000}};
static const struct unit byte_units[] = {
    {"", 1}, {"K", 1u << 10}, {"M", 1u << 20}, {"G", 1u << 30}};
static const struct unit ms_units[] = {{"", 1}, {"ms", 1}, {"s", 1000}};
static const struct unit us_units[] = {{"", 1}, {"us", 1}};

struct units {
    const struct unit *list;
    size_t count;
    const char *example;
};

static struct units units_of(uint8_t kind)
{
    switch (kind) {
    case VALUE_BYTES:
        return (struct units){byte_units, 4, "a number of bytes such as 65536, 64K, 32M or 1G"};
    case VALUE_MS:
        return (struct units){ms_units, 3, "a time such as 800, 800ms or 2s"};
    case VALUE_US:
        return (struct units){us_units, 2, "a time such as 50 or 50us"};
    default:
        return (struct units){count_units, 4, "a number such as 12, 5K or 100M"};
    }
}

/* Digits and one of the suffixes. -EBADMSG when it is something else, -ERANGE when it is over 2^64.
 */
static int parse_number(const char *text, const struct units *units, uint64_t *ret_value)
{
    uint64_t value = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value)) {
            return -ERANGE;
        }
    }
    if (p == text) {
        return -EBADMSG;
    }
    for (size_t i = 0; i < units->count; i++) {
        if (strcmp(p, units->list[i].suffix) == 0) {
            if (__builtin_mul_overflow(value, units->list[i].factor, &value)) {
                return -ERANGE;
            }
            *ret_value = value;
            return 0;
        }
    }
    return -EBADMSG;
}

static int set_number(const struct value_key *key, const char *text, void *field, char *reason,
                      size_t reason_size)
{
    struct units units = units_of(key->kind);
    uint64_t value = 0;
    int r = parse_number(text, &units, &value);

    if (r == -EBADMSG) {
        snprintf(reason, reason_size, "'%s' is not %s", key->name, units.example);
        return -EBADMSG;
    }
    if (r == -ERANGE || value < key->min || value > key->max) {
        snprintf(reason, reason_size, "'%s' must lie between %llu and %llu", key->name,
                 (unsigned long long)key->min, (unsigned long long)key->max);
        return -EBADMSG;
    }
    if (key->size == sizeof(uint64_t)) {
        memcpy(field, &value, sizeof(value));
    } else {
        uint32_t narrow = (uint32_t)value;
        memcpy(field, &narrow, sizeof(narrow));
    }
    return 0;
}

static int set_bool(const char *text, bool *ret_value)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_value = i % 2 == 1;
            return 0;
        }
    }
    return -EBADMSG;
}

static int set_mode(const char *text, uint32_t *ret_value)
{
    size_t length = strlen(text);
    uint32_t value = 0;

    if (strspn(text, "01234567") != length || length < 3 || length > 4) {
        return -EBADMSG;
    }
    for (const char *p = text; *p != '\0'; p++) {
        value = value * 8 + (uint32_t)(*p - '0');
    }
    if (value > 0777) {
        return -EBADMSG;
    }
    *ret_value = value;
    return 0;
}

static bool address_valid(const char *text)
{
    static const struct units plain = {count_units, 1, ""};
    unsigned char binary[sizeof(struct in6_addr)];
    char host[CONFIG_PATH_BYTES];
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;

    if (colon == NULL || parse_number(colon + 1, &plain, &port) < 0 || port < 1 || port > 65535) {
        return false;
    }
    size_t length = (size_t)(colon - text);
    bool bracketed = length >= 2 && text[0] == '[' && colon[-1] == ']';
    if (bracketed) {
        text++;
        length -= 2;
    }
    if (length >= sizeof(host)) {
        return false;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    return inet_pton(bracketed ? AF_INET6 : AF_INET, host, binary) == 1;
}

bool config_value_name_valid(const char *text)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t length = strlen(text);

    return length > 0 && length < CONFIG_NAME_BYTES && strspn(text, letters) == length &&
           text[0] != '.' && text[0] != '-';
}

/* A number with up to `digits` decimals, in units of the last of them: 12.5 with two is 1250.
 * *ret_end is what follows it. False when there is none, or one of over 1000000. */
static bool parse_decimal(const char *text, unsigned digits, const char **ret_end,
                          uint32_t *ret_value)
{
    const char *p = text;
    uint32_t value = 0;

    for (; *p >= '0' && *p <= '9' && value <= 100000; p++) {
        value = value * 10 + (uint32_t)(*p - '0');
    }
    if (p == text || value > 1000000) {
        return false;
    }
    bool point = *p == '.';
    p += point;
    for (unsigned i = 0; i < digits; i++) {
        bool digit = point && *p >= '0' && *p <= '9';
        value = value * 10 + (digit ? (uint32_t)(*p - '0') : 0);
        p += digit;
    }
    if (point && p[-1] == '.') {
        return false;
    }
    *ret_end = p;
    *ret_value = value;
    return true;
}

static int set_ratio(const struct value_key *key, const char *text, uint32_t *ret_value)
{
    const char *end;
    uint32_t thousandths;

    if (!parse_decimal(text, 3, &end, &thousandths) || *end != '\0') {
        return -EBADMSG;
    }
    uint32_t value = (uint32_t)(((uint64_t)thousandths * 1024 + 500) / 1000);
    if (value < key->min || value > key->max) {
        return -EBADMSG;
    }
    *ret_value = value;
    return 0;
}

/* Corners x,y with blanks between them. */
static int set_corners(const char *text, struct config_polygon *polygon)
{
    uint32_t count = 0;

    for (const char *p = text; *p != '\0'; count++) {
        uint32_t x, y;
        if (count == CONFIG_CORNERS_MAX || !parse_decimal(p, 2, &p, &x) || *p != ',' ||
            !parse_decimal(p + 1, 2, &p, &y) || (*p != '\0' && *p != ' ') || x > 10000 ||
            y > 10000) {
            return -EBADMSG;
        }
        polygon->corners[count].x = (uint16_t)x;
        polygon->corners[count].y = (uint16_t)y;
        p += strspn(p, " ");
    }
    polygon->count = count;
    return count >= 3 ? 0 : -EBADMSG;
}

/* NULL when the text is such a string, else what it should be. */
static const char *string_fault(uint8_t kind, const char *text)
{
    bool empty = text[0] == '\0';

    switch (kind) {
    case VALUE_PATH:
        return text[0] == '/' ? NULL : "an absolute path";
    case VALUE_SOCKET:
        return empty || text[0] == '/' ? NULL : "an absolute path, or nothing";
    case VALUE_ADDRESS:
        return empty || address_valid(text) ? NULL
                                            : "an address such as 127.0.0.1:8080 or [::1]:8080";
    case VALUE_NAME:
        return config_value_name_valid(text) ? NULL : "a name (letters, digits, _ . -, at most 63)";
    case VALUE_LABEL:
        return !empty ? NULL : "a label";
    case VALUE_GROUP:
        return empty || config_value_name_valid(text) ? NULL : "the name of a group";
    default:
        return !empty && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(text)
                   ? NULL
                   : "a word of small letters and digits";
    }
}

static int set_string(const struct value_key *key, const char *text, char *field, char *reason,
                      size_t reason_size)
{
    const char *fault = string_fault(key->kind, text);
    size_t length = strlen(text);

    if (fault != NULL) {
        snprintf(reason, reason_size, "'%s' is not %s", key->name, fault);
        return -EBADMSG;
    }
    if (length >= key->size) {
        snprintf(reason, reason_size, "'%s' is too long: %zu bytes where %zu fit", key->name,
                 length, key->size - 1);
        return -EBADMSG;
    }
    memcpy(field, text, length + 1);
    return 0;
}

int config_value_set(const struct value_key *key, const char *text, void *fields, char *reason,
                     size_t reason_size)
{
    char *field = (char *)fields + key->offset;
    struct config_polygon polygon = {.count = 0};
    uint32_t mode = 0, ratio = 0;
    bool flag = false;

    switch (key->kind) {
    case VALUE_BOOL:
        if (set_bool(text, &flag) < 0) {
            snprintf(reason, reason_size, "'%s' is neither yes nor no", key->name);
            return -EBADMSG;
        }
        memcpy(field, &flag, sizeof(flag));
        return 0;
    case VALUE_MODE:
        if (set_mode(text, &mode) < 0) {
            snprintf(reason, reason_size, "'%s' is not an octal file mode such as 0660", key->name);
            return -EBADMSG;
        }
        memcpy(field, &mode, sizeof(mode));
        return 0;
    case VALUE_RATIO:
        if (set_ratio(key, text, &ratio) < 0) {
            snprintf(reason, reason_size, "'%s' is not a number such as 1.12 between %.2f and %.2f",
                     key->name, (double)key->min / 1024, (double)key->max / 1024);
            return -EBADMSG;
        }
        memcpy(field, &ratio, sizeof(ratio));
        return 0;
    case VALUE_CORNERS:
        if (set_corners(text, &polygon) < 0) {
            snprintf(reason, reason_size,
                     "'%s' is not 3 to %u corners x,y in percent, such as 0,60 100,60 50,99.5",
                     key->name, CONFIG_CORNERS_MAX);
            return -EBADMSG;
        }
        memcpy(field, (char *)&polygon + offsetof(struct config_polygon, count), key->size);
        return 0;
    case VALUE_COUNT:
    case VALUE_BYTES:
    case VALUE_MS:
    case VALUE_US:
        return set_number(key, text, field, reason, reason_size);
    default:
        return set_string(key, text, field, reason, reason_size);
    }
}
