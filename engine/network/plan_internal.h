/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the files plan*.c lay out and run*.c follow: steps over buffers in one arena. Not for use
 * outside engine/network.
 */
#ifndef OCELLUS_ENGINE_NETWORK_PLAN_INTERNAL_H
#define OCELLUS_ENGINE_NETWORK_PLAN_INTERNAL_H

#include "engine/kernel/kernel.h"
#include "engine/network/model_internal.h"
#include "engine/network/plan.h"

#define PLAN_ALIGNMENT 64u

/* A weighted layer that needs scratch works on so many of its output rows at a time that the
 * scratch stays about this small. */
#define PLAN_BAND_BYTES 32768u

/* Every layer reads two maps at most, each by a buffer of its own at worst, and writes one; a layer
 * may have scratch. A step writes every buffer but the input's and scratch. */
#define PLAN_STEPS_MAX   (3 * NETWORK_LAYERS_MAX)
#define PLAN_BUFFERS_MAX (4 * NETWORK_LAYERS_MAX + 1)

/*
 * How a map lies in the arena.
 *   BYTES    u8 [y][x][c], values with an offset added so that none is negative (struct plan_bytes)
 *            or the codes of a log map whose values need more than 7 bits
 *   BITS     uint64 [y][x][words], kernel/bits.h
 *   PLANES   two such arrays one after the other, signs and nonzero
 *   F32      float [y][x][c], values
 */
enum plan_form { PLAN_BYTES = 0, PLAN_BITS, PLAN_PLANES, PLAN_REAL };

/* value = scale * byte - offset, bytes up to peak. Log codes: the byte is the code. */
struct plan_bytes {
    uint8_t offset, scale, peak;
    bool codes;
};

/* A map of each image in one form, with its border; or scratch of one step, which the images share.
 */
struct plan_buffer {
    struct network_flow flow; /* of the map; its shape is without the border */
    uint8_t form;
    uint8_t pad_code; /* of the border, as in the model */
    uint16_t pad[2];
    bool scratch;
    size_t unit;          /* elements of a pixel */
    size_t row;           /* elements from one row to the next */
    size_t plane;         /* elements from signs to nonzero */
    size_t stride;        /* bytes of one image, or of the scratch; a multiple of 64 */
    size_t bytes;         /* of all images */
    size_t at;            /* in the arena */
    uint16_t first, last; /* steps that write and last read it; the input's counts as step 0 */
};

enum plan_kind {
    PLAN_CONV = 0, /* these three are struct plan_weighted: conv2d and dense of integers */
    PLAN_COUNT,    /* by counting bits */
    PLAN_SHIFT,    /* wide sums, and log codes of more than 3 bits */
    PLAN_DEPTHWISE,
    PLAN_FLOAT, /* conv2d and dense */
    PLAN_FLOAT_DEPTHWISE,
    PLAN_POOL,
    PLAN_ADD,
    PLAN_CONVERT, /* one buffer of a map to another */
};

/* What is done to the sums of a kernel. */
enum plan_finish {
    PLAN_FINISH_NONE = 0, /* the kernel did it all */
    PLAN_FINISH_U7,
    PLAN_FINISH_CODES,
    PLAN_FINISH_SCORES,
    PLAN_FINISH_WIDE_SCORES, /* int64 sums */
};

/* So many outputs, or fewer, leave half of a kernel's vectors empty or more. */
#define PLAN_FOLD_MAX 8u

/*
 * FOLDED  Scores over a map: few outputs of a kernel of many rows. Each row of that kernel becomes
 * outputs of its own, [row][output], of a convolution one row high over all rows of the map; scores
 * are sums of its results from one row each. The same products, in vectors that are full.
 *
 * A band of output rows at a time: [gather patches] -> kernel -> [sums to codes] -> [bytes to
 * bits]; what stands in brackets has a part of the step's scratch.
 */
struct plan_weighted {
    union {
        struct kernel_conv conv;
        struct kernel_bits_conv bits;
        struct kernel_log log;
    };
    struct kernel_bits_gather gather; /* in_c 0: none */
    uint8_t finish;                   /* enum plan_finish */
    uint8_t levels, codes[32];        /* thresholds of a channel, and the bytes that they part */
    bool to_bits;                     /* the output is BITS or PLANES, but the kernel's is not */
    bool joined;                      /* dense over all images at once: a row is an image */
    uint32_t out_w, out_h, out_c;     /* as in the kernel */
    uint32_t in_rows;                 /* input rows from one output row to the next */
    uint32_t band;                    /* output rows; folded: of the convolution */
    uint32_t fold_h, fold_y;          /* folded: rows of the kernel, and its stride; else 0 */
    size_t patches, sums, bytes, workspace; /* in the scratch */
};

struct plan_real {
    struct kernel_real kernel;
    bool joined;
};

/* Where the parts of a group of weights lie in it; the head is struct plan_head. */
struct plan_group {
    size_t bias, mult, threshold, kernel; /* 0: none */
    size_t bytes;                         /* a multiple of 64; 0: a step without weights */
    uint64_t layout;                      /* differs where groups cannot be exchanged */
};

struct plan_head {
    uint64_t layout;
    uint32_t preshift, shift, narrow;
};

struct plan_step {
    uint8_t kind;        /* enum plan_kind */
    uint8_t first, last; /* layers that it covers */
    uint16_t in[2], out; /* buffers */
    uint16_t scratch;    /* PLAN_NONE: none */
    size_t in_at[2];     /* elements from the buffer's start to where the kernel starts */
    struct plan_group group;
    const void *own, *packed; /* weights: the model's, and those in use */
    union {
        struct plan_weighted weighted;
        struct plan_real real;
        struct kernel_depthwise depthwise;
        struct kernel_pool pool;
        struct kernel_add add;
        struct network_shape convert; /* of the map */
    };
};

#define PLAN_NONE UINT16_MAX /* no buffer: the scores */

struct network_plan {
    const struct network_model *model;
    const struct network_point *point;
    const struct network_layer *layers; /* the point's, or what a scan makes of them */
    struct network_shape input;
    struct kernel_table kernels;
    uint32_t labels, lanes;
    uint32_t steps, buffers;
    struct plan_step step[PLAN_STEPS_MAX];
    struct plan_buffer buffer[PLAN_BUFFERS_MAX];
    size_t arena_bytes, packed_bytes;
    uint64_t macs, generation;
    void *packed; /* the model's own groups */
};

/* One map of the network while it is planned: the input, then the output of each layer. */
struct plan_map {
    struct network_flow flow;
    uint16_t buffer; /* the first; PLAN_NONE: it lives only inside a fused step, or is the scores */
};

struct plan_draft {
    struct network_plan *plan;
    const struct network_layer *layers;
    uint32_t count;
    struct plan_map map[NETWORK_LAYERS_MAX + 1];
    uint8_t kind[NETWORK_LAYERS_MAX];   /* enum plan_kind */
    uint8_t reads[NETWORK_LAYERS_MAX];  /* enum plan_form */
    bool fused[NETWORK_LAYERS_MAX];     /* it takes the pool behind it */
    uint16_t in[NETWORK_LAYERS_MAX][2]; /* buffers */
};

static inline size_t plan_round_up(size_t bytes)
{
    return (bytes + PLAN_ALIGNMENT - 1) / PLAN_ALIGNMENT * PLAN_ALIGNMENT;
}

static inline uint32_t plan_words(uint32_t channels)
{
    return (channels + 63) / 64;
}

static inline size_t plan_element(uint8_t form)
{
    return form == PLAN_BYTES ? 1 : form == PLAN_REAL ? sizeof(float) : sizeof(uint64_t);
}

static inline uint64_t plan_values(struct network_shape shape)
{
    return (uint64_t)shape.height * shape.width * shape.channels;
}

/* Whether the layer reads map `map` of struct plan_draft. */
static inline bool plan_reads(const struct network_layer *layer, uint32_t map)
{
    return layer->input == map || (layer->op == NETWORK_OP_ADD && layer->other == map);
}

/* Whether the bits kernel gets the pixels of a patch gathered in one word, where they would be
 * mostly empty words of their own. */
static inline bool plan_gathers(const struct network_layer *layer, struct network_shape in)
{
    const uint64_t taps = (uint64_t)layer->kernel[0] * layer->kernel[1];

    return layer->op == NETWORK_OP_CONV && taps > 1 && taps * in.channels <= 64;
}

/* plan.c: network_plan_create over an input of another size, with `layers` in place of the point's,
 * as many, which must outlive the plan: dense layers may have become convolutions. Shapes fit. */
int network_plan_create_over(const struct network_model *model, uint32_t point,
                             const struct network_layer *layers, uint32_t width, uint32_t height,
                             uint32_t lanes, const struct kernel_table *kernels,
                             struct network_plan **ret_plan);

/* plan_coding.c */
struct plan_bytes network_code_bytes(struct network_flow flow);
/* The byte of the n-th code. A border's code of ternary and seven, always 0, is the value 0. */
uint8_t network_code_byte(struct network_flow flow, uint8_t code);
uint8_t network_code_pad(struct network_flow flow, uint8_t code);
/* The value of a byte. */
float network_code_real(struct network_flow flow, uint8_t byte);

/* plan_choose.c: which kernel runs each layer, in which form it reads, what is fused. */
void network_plan_choose(struct plan_draft *draft);
/* plan_layer.c: appends the step of a layer, given all buffers of maps. */
void network_plan_layer(struct plan_draft *draft, uint32_t index);

/* plan_graph.c */
void network_plan_graph(struct plan_draft *draft);
struct plan_step *network_plan_add_step(struct network_plan *plan, uint8_t kind, uint32_t layer,
                                        uint16_t in, uint16_t out);
uint16_t network_plan_add_scratch(struct network_plan *plan, size_t bytes);

/* plan_arena.c: lifetimes and places of all buffers. */
void network_plan_arena(struct network_plan *plan);

/* plan_weights.c: the weights of a layer, `count` of each output, as bytes; of log weights values
 * of base 2 or signed codes, the others times `scale`. The caller frees them. NULL: no memory. */
int8_t *network_plan_expand(const struct network_layer *layer, uint64_t count, bool codes,
                            int8_t scale);
/* An array of bits of the file as [out][taps][words]. */
void network_plan_words(const uint8_t *from, uint32_t out, uint32_t taps, uint32_t channels,
                        uint64_t *to);

/* plan_pack.c */
void network_plan_lay_group(const struct network_plan *plan, struct plan_step *step);
int network_plan_pack_step(const struct network_plan *plan, const struct plan_step *step,
                           const struct network_layer *values, void *to);

/* run_step.c: one step for images 0..count - 1; borders of its output are filled already. */
void network_run_step(const struct network_plan *plan, const struct plan_step *step, uint8_t *arena,
                      uint32_t count, int32_t *scores);
/* run.c: one run over the top left part of the plan's input, whose rows lie `pitch` bytes apart.
 * Layers without padding, lanes 1. scores: those of the part's last map, without gaps. */
void network_run_part(const struct network_plan *plan, void *arena, const void *codes, size_t pitch,
                      uint32_t width, uint32_t height, int32_t *scores);
/* run_convert.c */
void network_run_convert(const struct network_plan *plan, const struct plan_step *step,
                         uint8_t *arena, uint32_t image);

/* The first element of the map of an image, inside its border. */
static inline void *plan_inside(const struct plan_buffer *buffer, uint8_t *arena, uint32_t image)
{
    size_t elements = buffer->pad[0] * buffer->row + buffer->pad[1] * buffer->unit;

    return arena + buffer->at + image * buffer->stride + elements * plan_element(buffer->form);
}

#endif
