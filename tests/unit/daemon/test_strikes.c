/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Who is out for how long, and that nobody else is. */
#include "daemon/strikes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)
#define WINDOW (LIMIT_STRIKE_MS * UINT64_C(1000000))

static struct peer local(uid_t uid)
{
    return (struct peer){.class = uid == 0 ? PEER_ROOT : PEER_GROUP, .uid = uid};
}

static void test_one_is_out_and_comes_back(void **state)
{
    (void)state;
    struct strikes strikes = {0};
    const struct peer bad = local(1000), good = local(1001);
    for (unsigned i = 0; i < LIMIT_STRIKES; i++) {
        assert_false(strikes_out(&strikes, &bad, (1 + i) * SECOND));
        strikes_add(&strikes, &bad, (1 + i) * SECOND);
    }
    assert_true(strikes_out(&strikes, &bad, LIMIT_STRIKES * SECOND));
    assert_false(strikes_out(&strikes, &good, LIMIT_STRIKES * SECOND));
    assert_true(strikes_out(&strikes, &bad, SECOND + WINDOW - 1));
    assert_false(strikes_out(&strikes, &bad, SECOND + WINDOW)); /* the first is forgotten */
    strikes_add(&strikes, &bad, SECOND + WINDOW);
    assert_true(strikes_out(&strikes, &bad, SECOND + WINDOW));
}

static void test_root_is_not_counted(void **state)
{
    (void)state;
    struct strikes strikes = {0};
    const struct peer root = local(0);
    for (unsigned i = 0; i < 2 * LIMIT_STRIKES; i++) {
        strikes_add(&strikes, &root, SECOND);
    }
    assert_false(strikes_out(&strikes, &root, SECOND));
}

/* A network address after the other: the table stays as large as it is. */
static void test_addresses_that_change(void **state)
{
    (void)state;
    struct strikes strikes = {0};
    const struct peer bad = local(1000);
    for (unsigned i = 0; i < LIMIT_STRIKERS; i++) {
        struct peer peer = {.class = PEER_TCP, .uid = (uid_t)-1};
        peer.address.s6_addr[15] = (uint8_t)(i + 1);
        strikes_add(&strikes, &peer, WINDOW - SECOND + i);
    }
    for (unsigned i = 0; i < LIMIT_STRIKES; i++) {
        strikes_add(&strikes, &bad, WINDOW);
    }
    assert_true(strikes_out(&strikes, &bad, WINDOW));
    struct peer last = {.class = PEER_TCP, .uid = (uid_t)-1};
    last.address.s6_addr[15] = LIMIT_STRIKERS;
    assert_false(strikes_out(&strikes, &last, WINDOW));
    for (unsigned i = 1; i < LIMIT_STRIKES; i++) {
        strikes_add(&strikes, &last, WINDOW);
    }
    assert_true(strikes_out(&strikes, &last, WINDOW)); /* its first was still known */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_is_out_and_comes_back),
        cmocka_unit_test(test_root_is_not_counted),
        cmocka_unit_test(test_addresses_that_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
