/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The daemon's state for people. Internal to the command `ocellus`. */
#ifndef OCELLUS_CLIENTS_STATUS_H
#define OCELLUS_CLIENTS_STATUS_H

/* Print the parameters of a Status reply to stdout; what is missing in them is left out. */
void status_print(const char *json);

#endif
