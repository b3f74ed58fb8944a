/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Counters of a made up powercap tree: packages are added up, their parts are not, a wrap is
 * understood, and where there is nothing to read nothing is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/lab/energy.h"
#include "tests/unit/lab/folder.h"

static void write_file(const char *name, const char *text)
{
    assert_int_equal(lab_file_write(at(name), text, strlen(text)), 0);
}

static void make_domain(const char *name, const char *kind, const char *microjoules)
{
    char path[64];
    assert_int_equal(mkdir(at(name), 0700), 0);
    snprintf(path, sizeof(path), "%s/name", name);
    write_file(path, kind);
    snprintf(path, sizeof(path), "%s/max_energy_range_uj", name);
    write_file(path, "1000000\n");
    snprintf(path, sizeof(path), "%s/energy_uj", name);
    write_file(path, microjoules);
}

static void test_packages_are_added_up(void **state)
{
    struct lab_energy energy;
    double joules = -1;
    (void)state;
    lab_energy_begin(&energy, at("nowhere"));
    assert_false(lab_energy_end(&energy, &joules));
    lab_energy_begin(&energy, at("."));
    assert_false(lab_energy_end(&energy, &joules));
    assert_true(joules == -1);

    make_domain("rapl:0", "package-0\n", "100000\n");
    make_domain("rapl:0:0", "core\n", "5\n");
    make_domain("rapl:1", "package-1\n", "900000\n");
    lab_energy_begin(&energy, at("."));
    assert_int_equal(energy.count, 2);
    write_file("rapl:0/energy_uj", "350000\n");
    write_file("rapl:0:0/energy_uj", "900\n");
    write_file("rapl:1/energy_uj", "50000\n"); /* once around */
    assert_true(lab_energy_end(&energy, &joules));
    assert_true(joules > 0.3999 && joules < 0.4001);
    assert_int_equal(unlink(at("rapl:1/energy_uj")), 0);
    assert_false(lab_energy_end(&energy, &joules));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_packages_are_added_up)};
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
