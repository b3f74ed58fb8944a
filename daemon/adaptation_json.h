/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Replies and state of learning as JSON, as io.ocellus.varlink describes them. Changes nothing. */
#ifndef OCELLUS_DAEMON_ADAPTATION_JSON_H
#define OCELLUS_DAEMON_ADAPTATION_JSON_H

#include "daemon/adaptation.h"

/* Of a request that succeeded. NULL: out of memory. The caller owns the tree. */
struct cJSON *adaptation_reply_to_json(const struct adaptation *adaptation,
                                       const struct trainer_request *request);

/* {"adapters":[...]}; `adaptation` may be NULL. */
struct cJSON *adaptation_to_json(struct adaptation *adaptation);

/* What an adapter's event says: the last update that judges frames, and how it does. NULL when out
 * of memory. */
struct cJSON *adaptation_change_to_json(struct adaptation *adaptation, uint32_t adapter);

#endif
