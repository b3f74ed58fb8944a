/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * engine/image: bytes of a JPEG, a camera RAW file, a PGM/PPM or a bare sensor buffer -> linear
 * sensor planes at the size a model asks for. It is the only parser of image bytes in the project.
 * It opens no file, logs nothing and starts no thread; it knows neither codes nor networks.
 *
 * PLANES
 *   uint16, one scale for every source: 0 is black, 65535 is the source's white. No white balance,
 *   no demosaic, no gamma. Layout [plane][height][width], tight, no padding. Planes are
 *   IMAGE_GREY (1) or IMAGE_RGB (3: R, G, B).
 *
 * FROM SAMPLES TO PLANES (the definition that every path must equal, bit for bit)
 *   1. A sample s of a linear source (Bayer, mono sensor, PGM/PPM, full-colour RAW) becomes the
 *      count
 *          d = min(max(s, black) - black, range),  range = white - black.
 *      A RAW file may have a black for each colour or place of the mosaic: every sample loses its
 *      own, and range = white - the largest. A sample of a JPEG becomes d = srgb_to_linear[s], with
 *      range = 65535 (srgb_to_linear[v] = round(65535 * inverse_sRGB(v / 255)), IEC 61966-2-1).
 *   2. Counts are averaged over the area of each output pixel with integer weights (below), and the
 *      average is brought to the 16-bit scale with a single rounding:
 *          v = floor((S * 65535 + (A * range) / 2) / (A * range)),
 *      S = sum of weight * count, A = sum of the weights. Colour is part of the same sum: on a
 *      Bayer mosaic each 2x2 quad is one pixel, R and B take their sample, G takes both greens
 *      (A doubles), grey takes all four (R + G1 + G2 + B). Full-colour sources: grey = R + 2G + B
 *      with A * 4. A JPEG's grey is its Y channel through the table.
 *      Averaging counts before scaling rounds once instead of twice and costs one add a sample.
 *   3. The result for range == 65535 and A == 1 is the count itself.
 *
 * GEOMETRY
 *   Exif/RAW orientation is applied first: all of this speaks of the upright picture. A Bayer
 *   mosaic is its grid of whole quads as stored (half size, an odd last row or column is dropped).
 *   Pixels are taken as square. The fit chooses the source rectangle (sw x sh at offset) for an
 *   output of w x h:
 *     COVER    largest centred rectangle of the output's aspect:
 *              sw = min(W, floor(H * w / h)), sh = min(H, floor(W * h / w)), at least 1;
 *              offsets floor((W - sw) / 2), floor((H - sh) / 2).
 *     CONTAIN  the whole picture is fitted inside (cw = min(w, floor(h * W / H)), ch likewise, at
 *              least 1, centred by floor), borders repeat the nearest picture pixel.
 *     STRETCH  the whole picture, each axis on its own.
 *   Per axis, shrinking from n samples to m (n >= m): output i covers [i*n, (i+1)*n) in units of
 *   1/m sample; the weight of a sample is the length of the overlap, so weights sum to n.
 *   Enlarging (n < m): sample floor((2*i + 1) * n / (2*m)) with weight 1. Weights of the axes
 *   multiply.
 *
 * JPEG REDUCTION
 *   Part of the definition: decoded with ISLOW, else with libjpeg's defaults, at 1/8, 1/4, 1/2 or
 *   1/1, the largest reduction whose upright source rectangle (computed at full size, then divided
 *   by the reduction) is still at least twice the model's width and height. The rectangle is then
 *   recomputed on the reduced size.
 */
#ifndef OCELLUS_ENGINE_IMAGE_IMAGE_H
#define OCELLUS_ENGINE_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum image_kind {
    IMAGE_KIND_AUTO = 0, /* sniff the magic bytes: JPEG, PNM, else RAW. Never SENSOR. */
    IMAGE_KIND_JPEG,
    IMAGE_KIND_RAW,
    IMAGE_KIND_PNM,
    IMAGE_KIND_SENSOR, /* needs a struct image_sensor */
};

enum image_channels { IMAGE_GREY = 1, IMAGE_RGB = 3 };

enum image_fit { IMAGE_FIT_COVER = 0, IMAGE_FIT_CONTAIN, IMAGE_FIT_STRETCH };

enum image_cfa {
    IMAGE_CFA_RGGB = 0,
    IMAGE_CFA_GRBG,
    IMAGE_CFA_GBRG,
    IMAGE_CFA_BGGR,
    IMAGE_CFA_MONO, /* no mosaic: one sample a pixel; RGB planes are three equal ones */
};

enum image_packing {
    IMAGE_PACKING_U8 = 0, /* one byte a sample */
    IMAGE_PACKING_U16LE,  /* 9..16 bits in two little-endian bytes, value in the low bits */
    IMAGE_PACKING_MIPI10, /* CSI-2 RAW10: 4 high bytes, then 1 byte of low bits; width % 4 == 0 */
    IMAGE_PACKING_MIPI12, /* CSI-2 RAW12: 2 high bytes, then 1 byte of low bits; width % 2 == 0 */
};

/* A bare sensor buffer. Rows start `stride` bytes apart (>= the packed row; the last row need not
 * be padded). black < white <= the packing's largest value (U8 255, MIPI 1023 / 4095, U16LE 65535).
 */
struct image_sensor {
    uint32_t width, height; /* samples, 2..65535 for a mosaic, 1..65535 for mono */
    uint32_t stride;        /* bytes */
    uint8_t cfa;            /* enum image_cfa */
    uint8_t packing;        /* enum image_packing */
    uint16_t black, white;
    uint16_t nominal_white; /* see struct image_info; 0 means 65535 */
};

/* What the planes are wanted for. width, height 1..4096. */
struct image_target {
    uint32_t width, height;
    uint8_t channels; /* enum image_channels */
    uint8_t fit;      /* enum image_fit */
};

/* Checked before any allocation that depends on the input. 0 in a field means its default. */
struct image_limits {
    size_t max_bytes;         /* of input; default 64 MiB */
    uint64_t max_pixels;      /* declared width * height; default 100 Mpixel, at most 2^30 */
    uint32_t max_side;        /* default 32768, at most 65535 */
    uint32_t max_scans;       /* of a JPEG; default 100 */
    uint32_t max_raw_mib;     /* memory that LibRaw or libjpeg may take; default 512 */
    uint64_t max_scan_pixels; /* scans * pixels of a JPEG: bounds its time; default 400 Mpixel */
};

enum image_warning {
    IMAGE_WARN_CONSTANT = 1 << 0,  /* every output sample is equal (a lens cap is constant) */
    IMAGE_WARN_DAMAGED = 1 << 1,   /* the JPEG library reported corrupt data and went on */
    IMAGE_WARN_TRUNCATED = 1 << 2, /* JPEG ended early; the rest is grey (RAW is refused instead) */
};

struct image_info {
    uint8_t kind;           /* what it was: enum image_kind */
    uint8_t orientation;    /* Exif 1..8 that was applied */
    uint8_t reduction;      /* JPEG 1, 2, 4, 8; else 1 */
    uint32_t warnings;      /* enum image_warning, or-ed */
    uint32_t width, height; /* upright, before reduction; a mosaic's in samples, not quads */
    /* The plane value that a nominally exposed white has: 65535, less where the source keeps
     * headroom (DNG BaselineExposure e: 65535 * 2^-e, e held to 0..8; a sensor buffer may declare
     * it). */
    uint16_t nominal_white;
    bool mono; /* the source has no colour at all: a JPEG of one component, PGM, a mono sensor */
};

/* Inner loops that a caller may replace by faster ones with the same result (NULL: portable C). No
 * alignment is promised but that of the types; nothing outside the named elements is touched. */
struct image_ops {
    /* For i < n: acc[i] += the sum of min(max(row[i], black) - black, range) over `rows` rows,
     * which start `pitch` bytes apart. acc cannot overflow: callers add at most 65536 rows. */
    void (*accumulate_u16)(uint32_t *acc, const uint16_t *row, size_t pitch, size_t rows, size_t n,
                           uint16_t black, uint16_t range);
    void (*accumulate_u8)(uint32_t *acc, const uint8_t *row, size_t pitch, size_t rows, size_t n,
                          uint8_t black, uint8_t range);
    /* Groups of IMAGE_PACKING_MIPI10 (5 bytes, 4 samples) and MIPI12 (3 bytes, 2 samples). */
    void (*unpack_mipi10)(uint16_t *out, const uint8_t *in, size_t groups);
    void (*unpack_mipi12)(uint16_t *out, const uint8_t *in, size_t groups);
};

struct image_decoder;

/*
 * A decoder is reused for many images and keeps its buffers between them (bounded by the limits);
 * one thread at a time. `limits` and `ops` are copied; either may be NULL.
 * Errors: -ENOMEM, -EINVAL.
 */
int image_decoder_create(const struct image_limits *limits, const struct image_ops *ops,
                         struct image_decoder **ret_decoder);
void image_decoder_destroy(struct image_decoder *decoder);

/*
 * Decode `size` bytes. `sensor` is needed for IMAGE_KIND_SENSOR and must be NULL otherwise.
 * planes: target->channels * height * width values, owned by the caller; on failure its content is
 * unspecified. ret_info is untouched on failure. The bytes may change under the call (shared
 * memory): the result is then unspecified, memory stays safe, for JPEG, PNM and SENSOR; RAW bytes
 * must be private, since LibRaw reads them twice.
 * Errors: -EINVAL   the caller's target or sensor description is impossible
 *         -EBADMSG  corrupt or truncated
 *         -ENOTSUP  a kind or variant that is not read (CMYK JPEG, X-Trans, GPR, lossy DNG, ...)
 *         -EFBIG    over a limit
 *         -ENOMEM
 */
int image_decode(struct image_decoder *decoder, const void *bytes, size_t size,
                 enum image_kind kind, const struct image_sensor *sensor,
                 const struct image_target *target, uint16_t *planes, struct image_info *ret_info);

/* Read only the header: fills kind, orientation, width, height, nominal_white. Same errors. */
int image_probe(struct image_decoder *decoder, const void *bytes, size_t size, enum image_kind kind,
                const struct image_sensor *sensor, struct image_info *ret_info);

/* 0..65535 for each sRGB byte, IEC 61966-2-1; the table of step 1. Any thread. */
const uint16_t *image_srgb_to_linear(void);

/*
 * Area average of planes to smaller ones: FROM SAMPLES TO PLANES with range 65535, each axis on
 * its own as in STRETCH. planes [channels][height][width],
 * ret_planes [channels][ret_height][ret_width]; they do not overlap. ops may be NULL.
 * scratch: image_average_bytes bytes, aligned for uint64_t. Any thread.
 * Errors: -EINVAL  a size is 0, above 65535 or larger than before, or more than 2^30 pixels
 */
int image_average_planes(const struct image_ops *ops, const uint16_t *planes, uint32_t channels,
                         uint32_t width, uint32_t height, uint32_t ret_width, uint32_t ret_height,
                         void *scratch, uint16_t *ret_planes);
size_t image_average_bytes(uint32_t width, uint32_t ret_width);

/*
 * LIGHT  Shares and levels are in 1/65535.
 *   mean       of grey, (R + 2G + B) / 4, against nominal_white; 65535 for all above it
 *   saturated  pixels of which a channel is at IMAGE_LIGHT_SATURATED, 31/32 of the source's white,
 *              or above: sRGB 252 and up of a JPEG, where encoders leave what was clipped. It is
 *              the source's white and not the nominal one, which a sensor may exceed unharmed.
 *   dark       pixels of which all channels are below 1/256 of the nominal white: sRGB 12 and
 *              down, or 4 counts of a 10-bit sensor, where noise is as large as the signal
 *   colour     of three planes: a pixel has colour where its largest channel is more than 4/3 of
 *              its smallest, which noise and the cast of infrared light on a mosaic seldom reach.
 *              Pixels with a largest channel below 1/64 of the nominal white, or saturated, are
 *              not asked; where these are all but 1/64 it is unknown. Below 1/64 of those asked
 *              (a coloured time stamp is less) the picture has none. Unknown of one plane.
 *   A JPEG that is decoded as grey never has its chroma decoded. Whoever wants to know now and
 *   then decodes it once more as RGB, STRETCH to at most 1/16 of its size: that is its entropy
 *   decoding and little more.
 */
#define IMAGE_LIGHT_SATURATED 63488u

enum image_colour { IMAGE_COLOUR_UNKNOWN = 0, IMAGE_COLOUR_NONE, IMAGE_COLOUR_YES };

struct image_light {
    uint16_t mean, saturated, dark;
    uint8_t colour; /* enum image_colour */
};

/* planes [channels][height][width], channels IMAGE_GREY or IMAGE_RGB; nominal_white as in struct
 * image_info. Errors: -EINVAL  a size is 0 or above 65535, or nominal_white is 0. Any thread. */
int image_measure_light(const uint16_t *planes, uint32_t channels, uint32_t width, uint32_t height,
                        uint16_t nominal_white, struct image_light *ret_light);

/* Bytes that a sensor buffer so described must have at least, or -EINVAL when it is impossible. */
int image_sensor_bytes(const struct image_sensor *sensor, size_t *ret_bytes);

#endif
