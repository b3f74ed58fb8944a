/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Every cell of the authorisation table, and what the kernel says about peers. */
#include "daemon/authorise.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/method.h"

static const char *method_title(const struct method *method)
{
    return method->name != NULL ? method->name : method->path;
}

/* Written out, so that a change of the method table has to be made twice. */
static const struct {
    const char *method;
    const char
        *allowed; /* root, service, trainer, group, other, other with allow-other = yes, tcp,
                     tcp with a client's, a trainer's, an admin's token, the monitors' socket */
} expected[] = {
    {"io.ocellus.Infer", "yyyynynyyyn"},
    {"io.ocellus.Status", "yyyynynyyyn"},
    {"io.ocellus.Label", "yyynnnnnyyn"},
    {"io.ocellus.AdaptationStatus", "yyyynynyyyn"},
    {"io.ocellus.Sync", "yyynnnnnyyn"},
    {"io.ocellus.Undo", "yyynnnnnyyn"},
    {"io.ocellus.Rollback", "yyynnnnnyyn"},
    {"io.ocellus.Reset", "yyynnnnnyyn"},
    {"io.ocellus.Export", "yyynnnnnyyn"},
    {"io.ocellus.Import", "yyynnnnnyyn"},
    {"io.ocellus.Reload", "yynnnnnnnyn"},
    {"io.ocellus.LoadModel", "yynnnnnnnyn"},
    {"io.ocellus.RollbackModel", "yynnnnnnnyn"},
    {"io.ocellus.Subscribe", "yyyynynyyyn"},
    {"/healthz", "yyyyyyyyyyy"},
    {"/readyz", "yyyyyyyyyyy"},
    {"/metrics", "yyyynynyyyy"},
    {"org.varlink.service.GetInfo", "yyyyyyyyyyy"},
    {"org.varlink.service.GetInterfaceDescription", "yyyyyyyyyyy"},
};

static void test_every_cell(void **state)
{
    (void)state;
    unsigned count = 0;
    for (const struct method *method; (method = method_at(count)) != NULL; count++) {
        assert_in_range(count, 0, sizeof(expected) / sizeof(expected[0]) - 1);
        assert_string_equal(method_title(method), expected[count].method);
        char seen[12] = "";
        for (unsigned class = 0; class < PEER_CLASS_COUNT; class ++) {
            for (int other = 0; other <= 1; other++) {
                bool allowed =
                    authorise_allows(method->column, (enum peer_class) class, other == 1);
                if (class == PEER_OTHER) {
                    seen[4 + other] = allowed ? 'y' : 'n';
                } else if (other == 0) {
                    seen[class < PEER_OTHER ? class : class + 1] = allowed ? 'y' : 'n';
                } else {
                    assert_int_equal(
                        allowed, authorise_allows(method->column, (enum peer_class) class, false));
                }
            }
        }
        assert_string_equal(seen, expected[count].allowed);
    }
    assert_int_equal(count, sizeof(expected) / sizeof(expected[0]));
}

static void test_nothing_is_allowed_by_default(void **state)
{
    (void)state;
    for (unsigned class = 0; class < 32; class ++) {
        assert_false(authorise_allows(0, (enum peer_class) class, false));
        assert_false(authorise_allows(0, (enum peer_class) class, true));
    }
    for (unsigned class = PEER_CLASS_COUNT; class < 32; class ++) {
        assert_false(authorise_allows(UINT32_MAX, (enum peer_class) class, true));
    }
}

static void test_local_peers(void **state)
{
    (void)state;
    int pair[2];
    struct peer peer;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    if (geteuid() == 0) {
        assert_int_equal(authorise_peer(pair[0], 0, (gid_t)-1, (gid_t)-1, &peer), 0);
        assert_int_equal(peer.class, PEER_ROOT);
    } else {
        assert_int_equal(authorise_peer(pair[0], geteuid(), (gid_t)-1, (gid_t)-1, &peer), 0);
        assert_int_equal(peer.class, PEER_SERVICE);
        assert_int_equal(authorise_peer(pair[0], geteuid() + 1, getegid(), (gid_t)-1, &peer), 0);
        assert_int_equal(peer.class, PEER_GROUP);
        assert_int_equal(authorise_peer(pair[0], geteuid() + 1, (gid_t)-1, getegid(), &peer), 0);
        assert_int_equal(peer.class, PEER_TRAINER);
        assert_int_equal(authorise_peer(pair[0], geteuid() + 1, (gid_t)-1, (gid_t)-1, &peer), 0);
        assert_int_equal(peer.class, PEER_OTHER);
    }
    assert_int_equal(peer.uid, geteuid());
    assert_true(authorise_same_peer(&peer, &peer));
    close(pair[0]);
    close(pair[1]);
    assert_true(authorise_peer(pair[0], 0, 0, 0, &peer) < 0);
}

static void test_tcp_peers(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    int server = accept(listener, NULL, NULL);
    struct peer peer, other;
    assert_int_equal(authorise_peer(server, getuid(), getgid(), getgid(), &peer), 0);
    assert_int_equal(peer.class, PEER_TCP);
    assert_true(IN6_IS_ADDR_V4MAPPED(&peer.address));
    assert_int_equal(peer.address.s6_addr[12], 127);
    other = peer;
    assert_true(authorise_same_peer(&peer, &other));
    other.address.s6_addr[15]++;
    assert_false(authorise_same_peer(&peer, &other));
    other = (struct peer){.class = PEER_ROOT};
    assert_false(authorise_same_peer(&peer, &other));
    close(server);
    close(client);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cell),
        cmocka_unit_test(test_nothing_is_allowed_by_default),
        cmocka_unit_test(test_local_peers),
        cmocka_unit_test(test_tcp_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
