/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The worker's sandbox, in two steps: shed what the process inherited, then, when all is loaded and
 * warm, close the system-call filter. Single-threaded processes only; there is no way back.
 */
#ifndef OCELLUS_DAEMON_WORKER_SANDBOX_H
#define OCELLUS_DAEMON_WORKER_SANDBOX_H

#include <stdint.h>

/* Sanitizer builds have a wider filter and no memory limit: their reports need more calls and their
 * shadow memory is larger than any limit. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_WIDE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) ||                         \
    __has_feature(thread_sanitizer)
#define SANDBOX_WIDE 1
#endif
#endif
#ifndef SANDBOX_WIDE
#define SANDBOX_WIDE 0
#endif

/*
 * Closes every descriptor above JOB_FD_REGION, gives up new privileges, core dumps and ptrace by
 * equals, dies with its parent, fixes the time zone to UTC, and sets resource limits: no processes,
 * few descriptors, `memory_bytes` of address space. Errors: negative errno.
 */
int sandbox_shed(uint64_t memory_bytes);

/* Installs the filter: from here on any other system call ends the process (SIGSYS). Errors:
 * negative errno; then no filter is in force and the caller must exit. */
int sandbox_enter(void);

#endif
