/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The methods that teach: rows of the method table (method.c). Loop thread only. */
#ifndef OCELLUS_DAEMON_METHOD_ADAPT_H
#define OCELLUS_DAEMON_METHOD_ADAPT_H

#include "daemon/method.h"

void method_label(struct server *server, struct method_call *call);
void method_sync(struct server *server, struct method_call *call);
void method_undo(struct server *server, struct method_call *call);
void method_rollback(struct server *server, struct method_call *call);
void method_reset(struct server *server, struct method_call *call);
void method_export(struct server *server, struct method_call *call);
void method_import(struct server *server, struct method_call *call);
void method_adaptation_status(struct server *server, struct method_call *call);

#endif
