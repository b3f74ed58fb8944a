/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The scenes of ocellus-lab adapt: each is the same twice, leaves windows nearly alone when it is
 * weak and changes them much when it is strong; patterns stay in place, noise does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/lab/adapt.h"

#define WIDTH  32u
#define HEIGHT 64u
#define VALUES (WIDTH * HEIGHT * 2)

static const struct lab_adapt_window window = {WIDTH, HEIGHT, 2};

static void draw(uint16_t *planes)
{
    for (uint32_t i = 0; i < VALUES; i++) {
        planes[i] = (uint16_t)(20000 + 9000 * (i / 5 % 2) + 40 * (i % 300));
    }
}

static void show(enum lab_adapt_scene scene, double strength, uint64_t number, uint16_t *to)
{
    static uint16_t from[VALUES];
    static float work[2 * VALUES];

    draw(from);
    lab_adapt_show(scene, &window, strength, 3, number, from, work, to);
}

static double difference(const uint16_t *a, const uint16_t *b)
{
    double sum = 0;

    for (uint32_t i = 0; i < VALUES; i++) {
        sum += abs((int)a[i] - (int)b[i]) / (double)VALUES;
    }
    return sum;
}

static void test_scenes(void **state)
{
    static uint16_t plain[VALUES], weak[VALUES], strong[VALUES], again[VALUES];

    (void)state;
    draw(plain);
    for (uint32_t i = 0; i < LAB_ADAPT_SCENES; i++) {
        const enum lab_adapt_scene scene = (enum lab_adapt_scene)i;

        show(scene, 0, 0, weak);
        show(scene, 0.5, 0, strong);
        assert_true(difference(plain, weak) < 600);
        assert_true(difference(plain, strong) > 1500);
        show(scene, 0.5, 0, again);
        assert_memory_equal(strong, again, sizeof(strong));
        show(scene, 0.5, 1, again); /* of another window: noise alone is another */
        assert_int_equal(memcmp(strong, again, sizeof(strong)) != 0, scene == LAB_ADAPT_DUSK);
    }
}

/* A hedge of half the height hides the lower half and nothing else. */
static void test_hedge(void **state)
{
    static uint16_t plain[VALUES], hedge[VALUES];
    const size_t half = VALUES / 4;

    (void)state;
    draw(plain);
    show(LAB_ADAPT_HEDGE, 0.5, 0, hedge);
    assert_memory_equal(plain, hedge, half * sizeof(*plain));
    for (size_t i = half; i < 2 * half; i++) {
        assert_true(hedge[i] >= 3276 && hedge[i] <= 22938);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenes),
        cmocka_unit_test(test_hedge),
    };

    return cmocka_run_group_tests_name("lab_adapt", tests, NULL, NULL);
}
