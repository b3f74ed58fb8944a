/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the files of ocellus-lab share: its exit codes, its command functions and how errors are
 * told. The lab is a program: it may read and write files and print. Nothing links it but its own
 * tests.
 */
#ifndef OCELLUS_ENGINE_LAB_LAB_H
#define OCELLUS_ENGINE_LAB_LAB_H

struct lab_args;

enum lab_exit {
    LAB_EXIT_OK = 0,
    LAB_EXIT_FAILED = 1, /* the work could not be done */
    LAB_EXIT_USAGE = 2,  /* the command line is wrong */
};

/* "ocellus-lab: <text>" and a newline on standard error. */
void lab_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A sentence for an error of engine/image, or strerror for any other; a static string. */
const char *lab_image_error(int error);

/* The commands; each returns an enum lab_exit. */
int lab_adapt(const struct lab_args *args);
int lab_bench(const struct lab_args *args);
int lab_calibrate(const struct lab_args *args);
int lab_bn_reproduce(const struct lab_args *args);        /* of lab_reproduce: batchnorm */
int lab_bineareye_reproduce(const struct lab_args *args); /* bineareye */
int lab_capture(const struct lab_args *args);
int lab_compose(const struct lab_args *args);
int lab_exits(const struct lab_args *args);
int lab_export(const struct lab_args *args);
int lab_eval(const struct lab_args *args);
int lab_join(const struct lab_args *args);
int lab_mine(const struct lab_args *args);
int lab_prune(const struct lab_args *args);
int lab_reproduce(const struct lab_args *args);
int lab_scan(const struct lab_args *args);
int lab_lrt_reproduce(const struct lab_args *args);    /* of lab_reproduce: low-rank */
int lab_lognet_reproduce(const struct lab_args *args); /* lognet */
int lab_search(const struct lab_args *args);
int lab_show(const struct lab_args *args);
int lab_train(const struct lab_args *args);

#endif
