/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Varlink messages over bytes: framing with either terminator, the strict reader of calls, the
 * builder of replies, and the text of the interface io.ocellus. No sockets, no fds.
 *
 * FRAMING (design section 6)
 *   The first message fixes the terminator of the connection: NUL, or newline when a newline
 * directly follows the closing brace of the first top-level object. Replies end the same way.
 * Newline mode carries no fds.
 */
#ifndef OCELLUS_PROTO_VARLINK_H
#define OCELLUS_PROTO_VARLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;

enum varlink_terminator {
    VARLINK_TERMINATOR_UNKNOWN = -1,
    VARLINK_TERMINATOR_NUL = 0,
    VARLINK_TERMINATOR_NEWLINE = '\n'
};

/* Incremental scanner for the end of the next message. Zero-initialised = start of a connection,
 * but for terminator = VARLINK_TERMINATOR_UNKNOWN. */
struct varlink_scanner {
    int terminator;
    size_t scanned; /* bytes of the pending message that were looked at already */
    uint32_t depth;
    bool in_string, escaped, closed;
};

/*
 * Look for a whole message at the start of data[0..size). Call again with the same start and more
 * bytes after -EAGAIN; after success drop *ret_consumed bytes and go on. Returns 0: the message is
 * data[0..*ret_length), the terminator included in *ret_consumed. Errors: -EAGAIN more bytes are
 * needed, -EBADMSG not a JSON object or no terminator after it.
 */
int varlink_scan(struct varlink_scanner *scanner, const char *data, size_t size, size_t *ret_length,
                 size_t *ret_consumed);

struct varlink_call {
    struct cJSON *root; /* owns everything below */
    const char *method;
    const struct cJSON *parameters; /* an object; NULL when absent */
    bool oneway, more, upgrade;
};

#define VARLINK_JSON_DEPTH_MAX 16u

/*
 * Parse one message. Refused (-EBADMSG, *ret_reason a static sentence): not an object, unknown or
 * duplicate top-level keys, wrong types, nesting over VARLINK_JSON_DEPTH_MAX, bytes after the
 * object, invalid UTF-8, NUL escapes. -ENOMEM.
 */
int varlink_call_parse(const char *data, size_t length, struct varlink_call *ret_call,
                       const char **ret_reason);
void varlink_call_finish(struct varlink_call *call);

/* Text of the interface, for GetInterfaceDescription: "io.ocellus", "org.varlink.service" or NULL.
 */
const char *varlink_interface_text(const char *name);

#endif
