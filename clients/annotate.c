/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Reads a picture, draws rectangles and a line of text on it, writes it as JPEG. Judges nothing. */
#include "clients/annotate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpeglib.h>

#define QUALITY   90
#define FILE_MAX  ((off_t)1 << 30)
#define CANVAS    96 /* grey */
#define TEXT_MAX  96u
#define GLYPH_W   3u
#define GLYPH_H   5u
#define GLYPH_GAP 1u

/* 8-bit RGB, [height][width][3]. */
struct picture {
    uint32_t width, height;
    uint8_t *rgb;
};

struct jpeg_failure {
    struct jpeg_error_mgr manager;
    jmp_buf jump;
};

static const uint8_t ink[3] = {255, 214, 0}, paper[3] = {0, 0, 0};

static int make_picture(struct picture *picture, uint32_t width, uint32_t height)
{
    size_t bytes;
    if (__builtin_mul_overflow((size_t)width, height, &bytes) ||
        __builtin_mul_overflow(bytes, (size_t)3, &bytes) || bytes == 0) {
        return -EBADMSG;
    }
    picture->rgb = malloc(bytes);
    picture->width = width;
    picture->height = height;
    return picture->rgb != NULL ? 0 : -ENOMEM;
}

/* The whole file, malloc'd. */
static int read_file(int fd, uint8_t **ret_bytes, size_t *ret_size)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    if (st.st_size <= 0 || st.st_size > FILE_MAX) {
        return -EFBIG;
    }
    size_t size = (size_t)st.st_size, done = 0;
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    while (done < size) {
        ssize_t n = pread(fd, bytes + done, size - done, (off_t)done);
        if (n <= 0 && !(n < 0 && errno == EINTR)) {
            free(bytes);
            return n < 0 ? -errno : -EBADMSG;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    *ret_bytes = bytes;
    *ret_size = size;
    return 0;
}

static void on_jpeg_error(j_common_ptr common)
{
    struct jpeg_failure *failure = (struct jpeg_failure *)common->err;
    longjmp(failure->jump, 1);
}

static void on_jpeg_message(j_common_ptr common)
{
    (void)common; /* the daemon has said what is wrong with the picture */
}

static void set_error(j_common_ptr common, struct jpeg_failure *failure)
{
    common->err = jpeg_std_error(&failure->manager);
    failure->manager.error_exit = on_jpeg_error;
    failure->manager.output_message = on_jpeg_message;
}

static int read_jpeg(const uint8_t *bytes, size_t size, struct picture *picture)
{
    struct jpeg_decompress_struct jpeg;
    struct jpeg_failure failure;
    int err;

    set_error((j_common_ptr)&jpeg, &failure);
    if (setjmp(failure.jump) != 0) {
        jpeg_destroy_decompress(&jpeg);
        return -EBADMSG;
    }
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, bytes, size);
    jpeg_read_header(&jpeg, TRUE);
    jpeg.out_color_space = JCS_RGB;
    jpeg_start_decompress(&jpeg);
    err = make_picture(picture, jpeg.output_width, jpeg.output_height);
    while (err == 0 && jpeg.output_scanline < jpeg.output_height) {
        JSAMPROW row = picture->rgb + (size_t)jpeg.output_scanline * picture->width * 3;
        jpeg_read_scanlines(&jpeg, &row, 1);
    }
    jpeg_destroy_decompress(&jpeg);
    return err;
}

/* A number of a PNM header, after blanks and comments; -1 when there is none. */
static long pnm_number(const uint8_t *bytes, size_t size, size_t *at)
{
    long value = -1;
    bool comment = false;
    for (; *at < size; ++*at) {
        const uint8_t byte = bytes[*at];
        const bool digit = byte >= '0' && byte <= '9';
        if (comment || byte == '#') {
            comment = byte != '\n';
        } else if (digit && value <= 65535) {
            value = (value < 0 ? 0 : value) * 10 + (byte - '0');
        } else if (value >= 0 || digit) {
            return digit ? -1 : value;
        }
    }
    return -1;
}

static int read_pnm(const uint8_t *bytes, size_t size, struct picture *picture)
{
    size_t at = 2;
    const size_t channels = size > 2 && bytes[1] == '6' ? 3 : 1;
    const long width = pnm_number(bytes, size, &at), height = pnm_number(bytes, size, &at);
    const long white = pnm_number(bytes, size, &at);
    const size_t wide = white > 255 ? 2 : 1;

    if (width < 1 || height < 1 || white < 1 || width > 65535 || height > 65535 || white > 65535 ||
        at >= size || (size - at - 1) / channels / wide / (size_t)width < (size_t)height) {
        return -EBADMSG;
    }
    int err = make_picture(picture, (uint32_t)width, (uint32_t)height);
    const uint8_t *sample = bytes + at + 1;
    for (size_t i = 0; err == 0 && i < (size_t)width * (size_t)height * 3; i++) {
        const uint8_t *from = sample + (channels == 3 ? i : i / 3) * wide;
        const long value = wide == 2 ? from[0] * 256L + from[1] : from[0];
        picture->rgb[i] = (uint8_t)(value >= white ? 255 : value * 255 / white);
    }
    return err;
}

/* Turn the picture as Exif's orientation says. */
static int turn(struct picture *picture, uint32_t orientation)
{
    const bool transposed = orientation >= 5;
    const bool flip_x = orientation == 2 || orientation == 3 || orientation >= 7;
    const bool flip_y =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    struct picture stored = *picture;

    if (orientation == 1) {
        return 0;
    }
    int err = make_picture(picture, transposed ? stored.height : stored.width,
                           transposed ? stored.width : stored.height);
    if (err < 0) {
        *picture = stored;
        return err;
    }
    for (uint32_t y = 0; y < picture->height; y++) {
        for (uint32_t x = 0; x < picture->width; x++) {
            uint32_t u = transposed ? y : x, v = transposed ? x : y;
            u = flip_x ? stored.width - 1 - u : u;
            v = flip_y ? stored.height - 1 - v : v;
            memcpy(picture->rgb + ((size_t)y * picture->width + x) * 3,
                   stored.rgb + ((size_t)v * stored.width + u) * 3, 3);
        }
    }
    free(stored.rgb);
    return 0;
}

/* What lies outside of the picture is not drawn. */
static void fill(struct picture *picture, int64_t left, int64_t top, int64_t width, int64_t height,
                 const uint8_t colour[3])
{
    for (int64_t y = top > 0 ? top : 0; y < top + height && y < picture->height; y++) {
        for (int64_t x = left > 0 ? left : 0; x < left + width && x < picture->width; x++) {
            memcpy(picture->rgb + ((size_t)y * picture->width + (size_t)x) * 3, colour, 3);
        }
    }
}

/* Rows of three bits from the top, the left one first. */
static unsigned glyph_of(char letter)
{
    static const uint16_t glyphs[36] = {
        0x7b6f, 0x2c97, 0x73e7, 0x72cf, 0x5bc9, 0x79cf, 0x79ef, 0x7252, 0x7bef,
        0x7bcf, 0x2bed, 0x6bae, 0x3923, 0x6b6e, 0x79a7, 0x79a4, 0x396b, 0x5bed,
        0x7497, 0x126a, 0x5bad, 0x4927, 0x5fed, 0x6b6d, 0x2b6a, 0x6ba4, 0x2b51,
        0x6bad, 0x388e, 0x7492, 0x5b6f, 0x5b6a, 0x5bfd, 0x5aad, 0x5a92, 0x72a7,
    };
    if (letter >= '0' && letter <= '9') {
        return glyphs[letter - '0'];
    }
    if ((letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z')) {
        return glyphs[10 + (letter & 0x1f) - 1];
    }
    switch (letter) {
    case ' ':
        return 0;
    case '%':
        return 0x52a5;
    case '.':
        return 0x0002;
    case '-':
        return 0x01c0;
    case '_':
        return 0x0007;
    default:
        return 0x7fff;
    }
}

static void draw_text(struct picture *picture, int64_t left, int64_t top, uint32_t scale,
                      const char *text)
{
    const int64_t pitch = (int64_t)(GLYPH_W + GLYPH_GAP) * scale, size = scale;

    fill(picture, left, top, (int64_t)strlen(text) * pitch + size, (GLYPH_H + 2) * size, paper);
    for (; *text != '\0'; text++, left += pitch) {
        const unsigned glyph = glyph_of(*text);
        for (unsigned i = 0; i < GLYPH_W * GLYPH_H; i++) {
            if ((glyph >> (GLYPH_W * GLYPH_H - 1 - i) & 1) != 0) {
                fill(picture, left + (1 + i % GLYPH_W) * size, top + (1 + i / GLYPH_W) * size, size,
                     size, ink);
            }
        }
    }
}

static void draw_box(struct picture *picture, const struct ocellus_box *box)
{
    const uint32_t side = picture->width < picture->height ? picture->width : picture->height;
    const uint32_t line = 1 + side / 240, scale = 1 + side / 240;
    const int64_t text_height = (int64_t)(GLYPH_H + 2) * scale;
    char text[TEXT_MAX];

    fill(picture, box->x, box->y, box->width, line, ink);
    fill(picture, box->x, (int64_t)box->y + box->height - line, box->width, line, ink);
    fill(picture, box->x, box->y, line, box->height, ink);
    fill(picture, (int64_t)box->x + box->width - line, box->y, line, box->height, ink);
    snprintf(text, sizeof(text), "%s %.0f%%", box->label, box->confidence * 100);
    draw_text(picture, box->x, box->y >= text_height ? box->y - text_height : box->y, scale, text);
}

static int write_jpeg(const struct picture *picture, const char *path)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_failure failure;
    FILE *file = fopen(path, "wb");

    if (file == NULL) {
        return -errno;
    }
    set_error((j_common_ptr)&jpeg, &failure);
    if (setjmp(failure.jump) != 0) {
        jpeg_destroy_compress(&jpeg);
        fclose(file);
        return -EIO;
    }
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = picture->width;
    jpeg.image_height = picture->height;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, QUALITY, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
        JSAMPROW row = picture->rgb + (size_t)jpeg.next_scanline * picture->width * 3;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return fclose(file) == 0 ? 0 : -errno;
}

static int read_picture(int fd, const struct ocellus_result *result, struct picture *picture)
{
    const bool jpeg = strcmp(result->format, "jpeg") == 0;
    uint8_t *bytes = NULL;
    size_t size = 0;

    if (!jpeg && strcmp(result->format, "pnm") != 0) {
        int err = make_picture(picture, result->width, result->height);
        if (err == 0) {
            memset(picture->rgb, CANVAS, (size_t)picture->width * picture->height * 3);
        }
        return err;
    }
    int err = read_file(fd, &bytes, &size);
    if (err == 0) {
        err = jpeg ? read_jpeg(bytes, size, picture) : read_pnm(bytes, size, picture);
    }
    free(bytes);
    if (err == 0) {
        err = turn(picture, result->orientation);
    }
    if (err == 0 && (picture->width != result->width || picture->height != result->height)) {
        err = -EBADMSG;
    }
    return err;
}

int annotate(int fd, const struct ocellus_result *result, const char *path)
{
    struct picture picture = {0};
    int err = read_picture(fd, result, &picture);

    for (size_t i = result->box_count; err == 0 && i > 0; i--) { /* the strongest on top */
        draw_box(&picture, &result->boxes[i - 1]);
    }
    if (err == 0) {
        err = write_jpeg(&picture, path);
    }
    free(picture.rgb);
    return err;
}
