/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Where the frame of a Varlink call comes from: a descriptor of its message, or base64 in its
 * parameters. */
#ifndef OCELLUS_DAEMON_VARLINK_FRAME_H
#define OCELLUS_DAEMON_VARLINK_FRAME_H

#include <stdbool.h>

#include "daemon/method.h"
#include "proto/error.h"

/*
 * Fill in source, length and bytes or fd of a call whose request was read. `fds` came with its
 * message; one that is taken over becomes -1 there, the others stay the caller's. PROTO_OK, or the
 * error to answer with *ret_message, a static sentence; the call may hold memory then, for
 * method_call_drop.
 */
enum proto_error varlink_frame_take(const struct server *server, bool newline_mode,
                                    struct method_call *call, int *fds, unsigned fd_count,
                                    const char **ret_message);

/* The same of a model's file, which is always a descriptor. */
enum proto_error varlink_model_take(bool newline_mode, struct method_call *call, int *fds,
                                    unsigned fd_count, const char **ret_message);

/* {"parameters":{...}}, or {"parameters":{"name":{...}}} when the result has a name. Takes the
 * result over. NULL: out of memory. */
struct cJSON *varlink_wrap_result(const struct method *method, struct cJSON *result);

/* {"error":"org.varlink.service.MethodNotFound","parameters":{"message":"...","method":"..."}};
 * NULL: out of memory. */
struct cJSON *varlink_method_not_found(const char *message, const char *method);

#endif
