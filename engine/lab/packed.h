/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Data sets that pack many small pictures into one file: CIFAR-10's binary format and IDX. Checks
 * sizes and labels before anything is used; decodes nothing.
 *
 * A path names
 *   a folder with data_batch_1.bin (CIFAR-10: all of data_batch_1.bin, data_batch_2.bin and so on)
 *   or with train-images-idx3-ubyte (that and train-labels-idx1-ubyte; either may end in .gz); or
 *   one file: an IDX file of pictures (with "images-idx3" in its name, and the one with
 *   "labels-idx1" beside it) or one batch of CIFAR-10, which must end in .bin.
 *
 * CIFAR-10: records of 3073 bytes, a label of 0..9 and 32 x 32 bytes each of red, green and blue.
 * IDX: big-endian 32-bit numbers. Pictures: 0x803, count, rows, columns, a byte a pixel. Labels:
 * 0x801, count, a byte a picture.
 */
#ifndef OCELLUS_ENGINE_LAB_PACKED_H
#define OCELLUS_ENGINE_LAB_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAB_PACKED_BYTES_MAX ((size_t)1 << 30) /* of all pictures */

struct lab_packed {
    uint32_t count, width, height, channels; /* channels: 1, or 3 */
    uint8_t *pixels;                         /* [count][channels][height][width], sRGB */
    uint8_t *labels;                         /* [count] */
    bool cifar10;                            /* labels have its names, else they are numbers */
};

/* Whether the path names such a data set, by names alone. */
bool lab_packed_is(const char *path);

/* Errors (told on standard error): -EBADMSG (not such a file, cut off, or too long), -EFBIG,
 * -ENOMEM, the system's. */
int lab_packed_open(const char *path, struct lab_packed *ret_packed);
void lab_packed_close(struct lab_packed *packed);

/* The name of a label; text: 16 bytes. */
void lab_packed_class(const struct lab_packed *packed, uint32_t label, char *text);

/*
 * A picture as a PNM of 16 bit whose samples are the linear light of its sRGB ones, which
 * engine/image scales as it scales JPEGs; grey of colours is that of PNMs, not a JPEG's Y. The
 * caller frees *ret_bytes. Errors: -ENOMEM.
 */
int lab_packed_picture(const struct lab_packed *packed, uint32_t index, uint8_t **ret_bytes,
                       size_t *ret_size);

#endif
