/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Peer classes from SO_PEERCRED, SO_PEERGROUPS and tokens. Process ids are never looked at: they
 * are reused. */
#include "daemon/authorise.h"

#include <errno.h>
#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

bool authorise_allows(uint32_t column, enum peer_class class, bool allow_other)
{
    if ((unsigned)class >= PEER_CLASS_COUNT) {
        return false;
    }
    if (class == PEER_OTHER && allow_other && (column & AUTHORISE_OTHER_IF_CONFIG) != 0) {
        return true;
    }
    return (column & AUTHORISE(class)) != 0;
}

/* 1 when `group` is the peer's or among its supplementary groups, 0 when not, or a negative errno.
 */
static int in_group(int fd, const struct ucred *credentials, gid_t group)
{
    if (group == (gid_t)-1 || credentials->gid == group) {
        return group != (gid_t)-1;
    }
    gid_t few[32];
    gid_t *groups = few;
    socklen_t size = sizeof(few);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
        if (errno != ERANGE) { /* ERANGE: size now tells how much is needed */
            return -errno;
        }
        groups = malloc(size);
        if (groups == NULL) {
            return -ENOMEM;
        }
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
            int error = -errno;
            free(groups);
            return error;
        }
    }
    int found = 0;
    for (size_t i = 0; i < size / sizeof(gid_t); i++) {
        found |= groups[i] == group;
    }
    if (groups != few) {
        free(groups);
    }
    return found;
}

static int local_peer(int fd, uid_t service, gid_t group, gid_t trainers, struct peer *ret_peer)
{
    struct ucred credentials;
    socklen_t size = sizeof(credentials);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) {
        return -errno;
    }
    struct peer peer = {.class = PEER_OTHER, .uid = credentials.uid};
    if (credentials.uid == 0) {
        peer.class = PEER_ROOT;
    } else if (credentials.uid == service) {
        peer.class = PEER_SERVICE;
    } else {
        int trainer = in_group(fd, &credentials, trainers);
        int member = trainer == 0 ? in_group(fd, &credentials, group) : 0;
        if (trainer < 0 || member < 0) {
            return trainer < 0 ? trainer : member;
        }
        peer.class = trainer ? PEER_TRAINER : member ? PEER_GROUP : PEER_OTHER;
    }
    *ret_peer = peer;
    return 0;
}

int authorise_peer(int fd, uid_t service, gid_t group, gid_t trainers, struct peer *ret_peer)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage storage;
    } address = {.storage = {0}};
    int domain;
    socklen_t size = sizeof(domain);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0) {
        return -errno;
    }
    if (domain == AF_UNIX) {
        return local_peer(fd, service, group, trainers, ret_peer);
    }
    size = sizeof(address);
    if (getpeername(fd, &address.any, &size) < 0) {
        return -errno;
    }
    struct peer peer = {.class = PEER_TCP, .uid = (uid_t)-1};
    if (address.any.sa_family == AF_INET6) {
        peer.address = address.v6.sin6_addr;
    } else if (address.any.sa_family == AF_INET) {
        peer.address.s6_addr[10] = peer.address.s6_addr[11] = 0xff;
        memcpy(peer.address.s6_addr + 12, &address.v4.sin_addr, 4);
    } else {
        return -EAFNOSUPPORT;
    }
    *ret_peer = peer;
    return 0;
}

enum peer_class authorise_token(const struct config *config, const char *authorization)
{
    static const enum peer_class classes[] = {
        [CONFIG_ROLE_CLIENT] = PEER_TCP_CLIENT,
        [CONFIG_ROLE_TRAINER] = PEER_TCP_TRAINER,
        [CONFIG_ROLE_ADMIN] = PEER_TCP_ADMIN,
    };
    static const char scheme[] = "bearer ";
    enum peer_class class = PEER_TCP;
    char digest[SHA256_DIGEST_STRING_LENGTH];
    if (authorization == NULL || strncasecmp(authorization, scheme, strlen(scheme)) != 0) {
        return class;
    }
    const char *token = authorization + strlen(scheme);
    SHA256Data((const uint8_t *)token, strlen(token), digest);
    for (uint32_t i = 0; i < config->token_count; i++) {
        unsigned differ = 0;
        for (size_t k = 0; k < CONFIG_DIGEST_CHARS; k++) {
            differ |= (unsigned)(digest[k] ^ config->tokens[i].sha256[k]);
        }
        class = differ == 0 ? classes[config->tokens[i].role] : class;
    }
    return class;
}

bool authorise_same_peer(const struct peer *a, const struct peer *b)
{
    return a->uid == b->uid && memcmp(&a->address, &b->address, sizeof(a->address)) == 0;
}
