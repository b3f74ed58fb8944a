/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The daemon's log: one line an event to standard error, with the <N> priority prefix when standard
 * error is the journal. Quiet by default: state changes and faults, never a line for each frame,
 * never raw bytes of a client.
 */
#ifndef OCELLUS_DAEMON_LOG_H
#define OCELLUS_DAEMON_LOG_H

/* printf-like; the line needs no newline. Control characters are replaced by '?'. Any thread. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
