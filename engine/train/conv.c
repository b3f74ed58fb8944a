/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Convolution and depthwise convolution, forward and backward, one image at a time. The input with
 * its border is a matrix whose rows overlap, so that a convolution is a product and nothing is
 * gathered into columns.
 */
#include "engine/train/graph.h"

#include <string.h>

/* in [height][width][channels] -> out [height + 2 pad y][width + 2 pad x][channels], zeros around.
 * Returns `in` itself where there is no border. */
static const float *with_border(const struct train_node *node, const float *in, float *out)
{
    const struct train_shape s = node->input->shape;
    const size_t line = (size_t)s.width * s.channels;
    const size_t side = (size_t)node->spec.pad[1] * s.channels, row = line + 2 * side;

    if (node->spec.pad[0] == 0 && node->spec.pad[1] == 0) {
        return in;
    }
    memset(out, 0, node->spec.pad[0] * row * sizeof(*out));
    float *to = out + node->spec.pad[0] * row;
    for (uint32_t y = 0; y < s.height; y++, to += row, in += line) {
        memset(to, 0, side * sizeof(*to));
        memcpy(to + side, in, line * sizeof(*to));
        memset(to + side + line, 0, side * sizeof(*to));
    }
    memset(to, 0, node->spec.pad[0] * row * sizeof(*out));
    return out;
}

/* Floats of one row of an input with its border. */
static size_t border_row(const struct train_node *node)
{
    return ((size_t)node->input->shape.width + 2u * node->spec.pad[1]) *
           node->input->shape.channels;
}

static size_t border_height(const struct train_node *node)
{
    return node->input->shape.height + 2u * node->spec.pad[0];
}

/*
 * delta [mid] -> out [in height + kernel y - 1][in width + kernel x - 1][mid channels]: each
 * gradient where a flipped kernel over `out` finds it, at (y stride + kernel - 1 - pad), zeros
 * elsewhere. Returns `delta` itself where that changes nothing.
 */
static const float *spread_out(const struct train_node *node, const float *delta, float *out)
{
    const struct train_layer *l = &node->spec;
    const struct train_shape in = node->input->shape, mid = node->mid;
    const size_t height = in.height + l->kernel[0] - 1u, width = in.width + l->kernel[1] - 1u;
    const size_t top = l->kernel[0] - 1u - l->pad[0], left = l->kernel[1] - 1u - l->pad[1];

    if (height == mid.height && width == mid.width) {
        return delta;
    }
    memset(out, 0, height * width * mid.channels * sizeof(*out));
    for (size_t y = 0; y < mid.height; y++) {
        float *to = out + ((top + y * l->stride[0]) * width + left) * mid.channels;

        if (l->stride[1] == 1) {
            memcpy(to, delta + y * mid.width * mid.channels,
                   (size_t)mid.width * mid.channels * sizeof(*to));
            continue;
        }
        for (size_t x = 0; x < mid.width; x++) {
            memcpy(to + x * l->stride[1] * mid.channels, delta + (y * mid.width + x) * mid.channels,
                   mid.channels * sizeof(*to));
        }
    }
    return out;
}

static void product(const struct train_ops *ops, const struct train_product *p)
{
    if (p->signs) {
        ops->product_signs(p);
    } else if (p->pairs) {
        ops->product_pairs(p);
    } else {
        ops->product(p);
    }
}

/* p, whose terms were floats next to each other, gets elements of `terms` of them each. */
static void merge_terms(ptrdiff_t terms, const uint32_t *a, const uint32_t *b,
                        struct train_product *p)
{
    p->a = (const float *)a;
    p->b = (const float *)b;
    p->a_line /= terms;
    p->a_row /= terms;
    p->a_outer /= terms;
    p->inner /= (uint32_t)terms;
    p->b_outer /= terms;
    p->panel /= terms;
    p->pairs = terms == 2;
    p->signs = terms == 32;
}

/*
 * A product whose lines are windows over `height` rows of values between `pad` rows of zeros, one
 * line every `stride` rows: lines at the top and the bottom leave out the kernel rows that meet
 * only zeros there. Sums stay the same, bit for bit.
 */
static void product_inside(const struct train_ops *ops, const struct train_product *whole,
                           uint32_t height, uint32_t pad, uint32_t stride)
{
    struct train_product p = *whole;
    const ptrdiff_t row = whole->a_outer;
    uint32_t line = 0;

    while (line < whole->lines) {
        const uint32_t top = line * stride; /* the kernel's first row, counted with the border */
        const uint32_t first = top < pad ? pad - top : 0;
        const uint32_t last = top + whole->outer > height + pad ? height + pad - top : whole->outer;
        uint32_t end = line + 1;

        if (first == 0 && last == whole->outer) { /* and all lines that lie inside as well */
            end = (height + pad - whole->outer) / stride + 1;
        }
        p.a = whole->a + line * whole->a_line + first * row;
        p.b = whole->b + first * whole->b_outer;
        p.c = whole->c + line * whole->c_line;
        p.outer = last - first;
        p.lines = end - line;
        product(ops, &p);
        line = end;
    }
}

void train_conv_forward(const struct train_ops *ops, const struct train_node *node, bool learn,
                        const float *in, float *sums, struct train_scratch *scratch)
{
    const struct train_layer *l = &node->spec;
    const ptrdiff_t channels = node->input->shape.channels, out = node->mid.channels;
    const ptrdiff_t row = (ptrdiff_t)border_row(node), inner = l->kernel[1] * channels;

    /* rows of a: the windows of one line of outputs; each is kernel y pieces of `inner` floats */
    struct train_product p = {
        .a = with_border(node, in, scratch->padded),
        .a_line = l->stride[0] * row,
        .a_row = l->stride[1] * channels,
        .a_outer = row,
        .a_inner = 1,
        .b = node->pack,
        .b_outer = inner * TRAIN_PANEL,
        .b_inner = TRAIN_PANEL,
        .panel = (ptrdiff_t)(node->fan_in * TRAIN_PANEL),
        .c = sums,
        .c_line = node->mid.width * out,
        .c_row = out,
        .lines = node->mid.height,
        .rows = node->mid.width,
        .columns = node->mid.channels,
        .outer = l->kernel[0],
        .inner = (uint32_t)inner,
    };
    const size_t count = border_height(node) * (size_t)row;
    if (node->signed_only) {
        ops->signs(count / 32, 1, p.a, scratch->pairs[0]);
        merge_terms(32, scratch->pairs[0], node->signs, &p);
    } else if (learn && node->halved) {
        ops->pair_neighbours(count / 2, p.a, scratch->pairs[0]);
        merge_terms(2, scratch->pairs[0], node->pairs, &p);
    }
    product_inside(ops, &p, node->input->shape.height, l->pad[0], l->stride[0]);
}

/* Pixels of a row of outputs, two by two; the last is alone where they are odd in number. */
static uint32_t pixel_pairs(const struct train_node *node)
{
    return (node->mid.width + 1) / 2;
}

/* Pair every pixel of the border's image with the next one, and those of delta two by two. */
static void pair_pixels(const struct train_ops *ops, const struct train_node *node,
                        const float *padded, const float *delta, struct train_scratch *scratch)
{
    const size_t channels = node->input->shape.channels, out = node->mid.channels;
    const size_t count = border_height(node) * border_row(node);
    uint32_t *to = scratch->pairs[1];

    ops->pair(count - channels, padded, padded + channels, scratch->pairs[0]);
    ops->pair(channels, padded + count - channels, padded + count - channels,
              scratch->pairs[0] + count - channels); /* meets delta's zeros alone */
    for (uint32_t y = 0; y < node->mid.height; y++) {
        for (uint32_t x = 0; x + 1 < node->mid.width; x += 2, delta += 2 * out, to += out) {
            ops->pair(out, delta, delta + out, to);
        }
        if (node->mid.width % 2 == 1) {
            memset(scratch->row[0], 0, out * sizeof(*delta));
            ops->pair(out, delta, scratch->row[0], to);
            delta += out;
            to += out;
        }
    }
}

/* weight_gradient [kernel y][kernel x][in][out] = transposed windows times delta; each kernel row
 * leaves out the lines of outputs where it meets only the border's zeros. */
static void conv_weights(const struct train_ops *ops, const struct train_node *node,
                         const float *padded, const float *delta, float *weight_gradient, bool adds,
                         struct train_scratch *scratch)
{
    const struct train_layer *l = &node->spec;
    const ptrdiff_t channels = node->input->shape.channels, out = node->mid.channels;
    const ptrdiff_t row = (ptrdiff_t)border_row(node), inner = l->kernel[1] * channels;
    const uint32_t terms = node->halved ? pixel_pairs(node) : node->mid.width; /* of one row */
    const uint32_t stride = l->stride[0], bottom = node->input->shape.height + l->pad[0];

    const float *a = padded, *b = delta;

    if (node->halved) {
        pair_pixels(ops, node, padded, delta, scratch);
        a = (const float *)scratch->pairs[0];
        b = (const float *)scratch->pairs[1];
    }
    for (uint32_t k = 0; k < l->kernel[0]; k++) {
        uint32_t first = k < l->pad[0] ? (l->pad[0] - k + stride - 1) / stride : 0;
        uint32_t end = (bottom - k + stride - 1) / stride;

        end = end < node->mid.height ? end : node->mid.height;
        if (k >= bottom || first >= end) { /* zeros alone: their sums are still to be written */
            first = 0;
            end = node->mid.height;
        }
        product(ops, &(struct train_product){
                         .a = a + (k + first * stride) * row,
                         .a_row = 1,
                         .a_outer = stride * row,
                         .a_inner = l->stride[1] * channels * (node->halved ? 2 : 1),
                         .b = b + (ptrdiff_t)first * terms * out,
                         .b_outer = terms * out,
                         .b_inner = out,
                         .c = weight_gradient + k * inner * out,
                         .c_row = out,
                         .lines = 1,
                         .rows = (uint32_t)inner,
                         .columns = node->mid.channels,
                         .outer = end - first,
                         .inner = terms,
                         .accumulate = adds,
                         .pairs = node->halved,
                     });
    }
}

void train_conv_backward(const struct train_ops *ops, const struct train_node *node,
                         const float *in, const float *delta, float *weight_gradient, bool adds,
                         float *in_gradient, struct train_scratch *scratch)
{
    const struct train_layer *l = &node->spec;
    const struct train_shape s = node->input->shape;
    const ptrdiff_t out = node->mid.channels;
    const ptrdiff_t row = (s.width + l->kernel[1] - 1) * out, inner = l->kernel[1] * out;

    conv_weights(ops, node, with_border(node, in, scratch->padded), delta, weight_gradient, adds,
                 scratch);
    if (in_gradient == NULL) {
        return;
    }
    /* The input's gradient is a convolution too: of the spread gradients with flipped kernels. */
    struct train_product p = {
        .a = spread_out(node, delta, scratch->spread),
        .a_line = row,
        .a_row = out,
        .a_outer = row,
        .a_inner = 1,
        .b = node->pack_back,
        .b_outer = inner * TRAIN_PANEL,
        .b_inner = TRAIN_PANEL,
        .panel = l->kernel[0] * inner * TRAIN_PANEL,
        .c = in_gradient,
        .c_line = (ptrdiff_t)s.width * s.channels,
        .c_row = s.channels,
        .lines = s.height,
        .rows = s.width,
        .columns = s.channels,
        .outer = l->kernel[0],
        .inner = (uint32_t)inner,
        .accumulate = node->input_adds,
    };
    if (node->halved) {
        ops->pair_neighbours((s.height + l->kernel[0] - 1u) * (size_t)row / 2, p.a,
                             scratch->pairs[0]);
        merge_terms(2, scratch->pairs[0], node->pairs_back, &p);
    }
    if (l->stride[0] == 1) {
        product_inside(ops, &p, node->mid.height, l->kernel[0] - 1u - l->pad[0], 1);
    } else { /* zeros lie everywhere */
        ops->product(&p);
    }
}

static struct train_window depthwise_window(const struct train_node *node, const float *in,
                                            size_t row, uint32_t width, uint32_t stride)
{
    return (struct train_window){
        .from = in,
        .row = row,
        .width = width,
        .channels = node->mid.channels,
        .kernel = {node->spec.kernel[0], node->spec.kernel[1]},
        .stride = stride,
    };
}

void train_depthwise_forward(const struct train_ops *ops, const struct train_node *node,
                             const float *in, float *sums, struct train_scratch *scratch)
{
    const float *padded = with_border(node, in, scratch->padded);
    const size_t row = border_row(node), line = (size_t)node->mid.width * node->mid.channels;

    for (uint32_t y = 0; y < node->mid.height; y++) {
        struct train_window w = depthwise_window(node, padded + y * node->spec.stride[0] * row, row,
                                                 node->mid.width, node->spec.stride[1]);
        ops->depthwise(&w, node->pack, sums + y * line);
    }
}

void train_depthwise_backward(const struct train_ops *ops, const struct train_node *node,
                              const float *in, const float *delta, float *weight_gradient,
                              bool adds, float *in_gradient, struct train_scratch *scratch)
{
    const struct train_shape s = node->input->shape;
    const float *padded = with_border(node, in, scratch->padded);
    const size_t row = border_row(node), line = (size_t)node->mid.width * node->mid.channels;
    const size_t in_line = (size_t)s.width * s.channels;

    if (!adds) {
        memset(weight_gradient, 0, node->weight.count * sizeof(*weight_gradient));
    }
    for (uint32_t y = 0; y < node->mid.height; y++) {
        struct train_window w = depthwise_window(node, padded + y * node->spec.stride[0] * row, row,
                                                 node->mid.width, node->spec.stride[1]);
        ops->depthwise_gradient(&w, delta + y * line, weight_gradient);
    }
    if (in_gradient == NULL) {
        return;
    }
    const float *spread = spread_out(node, delta, scratch->spread);
    const size_t spread_row = (size_t)(s.width + node->spec.kernel[1] - 1u) * s.channels;
    for (uint32_t y = 0; y < s.height; y++) {
        struct train_window w =
            depthwise_window(node, spread + y * spread_row, spread_row, s.width, 1);
        float *to = in_gradient + y * in_line;

        ops->depthwise(&w, node->pack_back, node->input_adds ? scratch->row[0] : to);
        for (size_t i = 0; node->input_adds && i < in_line; i++) {
            to[i] += scratch->row[0][i];
        }
    }
}
