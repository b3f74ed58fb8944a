/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Who is at the other end of a connection, and what such a peer may do. The answer for each method
 * is a column of the method table (method.c); what is not allowed there is refused. Local peers are
 * told apart once, at accept, by what the kernel says about them; on TCP each request may bring a
 * token, whose role says what it may do.
 */
#ifndef OCELLUS_DAEMON_AUTHORISE_H
#define OCELLUS_DAEMON_AUTHORISE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"

enum peer_class {
    PEER_ROOT = 0,
    PEER_SERVICE,     /* the user that the daemon runs as */
    PEER_TRAINER,     /* in the trainers' group; may do all that PEER_GROUP may */
    PEER_GROUP,       /* in the group of the sockets */
    PEER_OTHER,       /* any other local user that could open the socket */
    PEER_TCP,         /* without a token */
    PEER_TCP_CLIENT,  /* with one of a role: as PEER_GROUP */
    PEER_TCP_TRAINER, /* as PEER_TRAINER */
    PEER_TCP_ADMIN,   /* as PEER_ROOT */
    PEER_MONITOR,     /* whoever came by the socket named metrics, even root */
    PEER_CLASS_COUNT,
};

struct peer {
    enum peer_class class;
    uid_t uid;               /* (uid_t)-1 on TCP */
    struct in6_addr address; /* on TCP, else zeros; IPv4 is mapped */
};

/* What a column of the method table is made of. */
#define AUTHORISE(class)          (1u << (class))
#define AUTHORISE_OTHER_IF_CONFIG (1u << PEER_CLASS_COUNT) /* OTHER when allow-other = yes */

#define AUTHORISE_OPERATORS                                                                        \
    (AUTHORISE(PEER_ROOT) | AUTHORISE(PEER_SERVICE) | AUTHORISE(PEER_TCP_ADMIN))
#define AUTHORISE_TRAINERS                                                                         \
    (AUTHORISE_OPERATORS | AUTHORISE(PEER_TRAINER) | AUTHORISE(PEER_TCP_TRAINER))
#define AUTHORISE_CLIENTS                                                                          \
    (AUTHORISE_TRAINERS | AUTHORISE(PEER_GROUP) | AUTHORISE(PEER_TCP_CLIENT) |                     \
     AUTHORISE_OTHER_IF_CONFIG)
#define AUTHORISE_EVERYONE                                                                         \
    (AUTHORISE_CLIENTS | AUTHORISE(PEER_OTHER) | AUTHORISE(PEER_TCP) | AUTHORISE(PEER_MONITOR))

bool authorise_allows(uint32_t column, enum peer_class class, bool allow_other);

/*
 * The peer of a connected stream socket. `service`, `group` and `trainers` are the ids of the
 * daemon's user, of the sockets' group and of the trainers' ((gid_t)-1: none). Errors: negative
 * errno of the calls that ask the kernel; the connection must be closed then.
 */
int authorise_peer(int fd, uid_t service, gid_t group, gid_t trainers, struct peer *ret_peer);

/* The class of a peer on TCP by the token of its request: the value of an Authorization header,
 * "Bearer TOKEN"; NULL: none. PEER_TCP for one that is not in the list. Takes as long whatever the
 * token is. */
enum peer_class authorise_token(const struct config *config, const char *authorization);

/* Do two connections come from the same user or address? */
bool authorise_same_peer(const struct peer *a, const struct peer *b);

#endif
