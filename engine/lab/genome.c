/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Genomes of small networks. All randomness is train_random's; costs are counted layer by layer. */
#include "engine/lab/genome.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/train/train.h"

#define CHANNELS_MIN 2u
#define HIDDEN_MIN   8u
#define HIDDEN_MAX   64u
#define OUTPUT_BYTES 8u /* bias and multiplier */

static const uint8_t kernels[] = {1, 3, 3, 5}; /* 3 twice: the likeliest */
static const uint8_t means[] = {0, 1, 2, 4};

uint32_t lab_genome_draw(struct lab_genome_random *random, uint32_t count)
{
    uint64_t bits = train_random(random->seed, random->stream, random->next++);
    return (uint32_t)((bits >> 32) * count >> 32);
}

static struct lab_genome_block random_block(struct lab_genome_random *random)
{
    struct lab_genome_block block;
    block.separable = lab_genome_draw(random, 2) == 0;
    block.kernel = kernels[lab_genome_draw(random, sizeof(kernels))];
    block.stride = lab_genome_draw(random, 3) == 0 ? 2 : 1;
    block.pool = lab_genome_draw(random, 2) == 0;
    block.channels = (uint8_t)(CHANNELS_MIN + lab_genome_draw(random, 31));
    return block;
}

void lab_genome_random(struct lab_genome_random *random, struct lab_genome *ret_genome)
{
    struct lab_genome genome = {0};
    genome.block_count = (uint8_t)(1 + lab_genome_draw(random, 4));
    for (uint8_t i = 0; i < genome.block_count; i++) {
        genome.blocks[i] = random_block(random);
    }
    genome.mean = means[lab_genome_draw(random, sizeof(means))];
    if (lab_genome_draw(random, 3) == 0) {
        genome.hidden = (uint8_t)(HIDDEN_MIN + lab_genome_draw(random, HIDDEN_MAX - HIDDEN_MIN));
    }
    *ret_genome = genome;
}

/* From two thirds to three halves of it, and never the same. */
static uint8_t resize(struct lab_genome_random *random, uint32_t size, uint32_t min, uint32_t max)
{
    uint32_t step = 1 + lab_genome_draw(random, size / 2 + 1);
    bool grow = lab_genome_draw(random, 2) == 0;
    uint32_t lower = step < size && size - step > min ? size - step : min;
    uint32_t upper = size + step < max ? size + step : max;
    return (uint8_t)((grow && size < max) || size == min ? upper : lower);
}

static void insert_block(struct lab_genome_random *random, struct lab_genome *genome, uint32_t at)
{
    if (genome->block_count == LAB_GENOME_BLOCKS_MAX) {
        return;
    }
    memmove(&genome->blocks[at + 1], &genome->blocks[at],
            (genome->block_count - at) * sizeof(genome->blocks[0]));
    genome->blocks[at] = random_block(random);
    genome->block_count++;
}

static void remove_block(struct lab_genome *genome, uint32_t at)
{
    if (genome->block_count == 1) {
        return;
    }
    genome->block_count--;
    memmove(&genome->blocks[at], &genome->blocks[at + 1],
            (genome->block_count - at) * sizeof(genome->blocks[0]));
    memset(&genome->blocks[genome->block_count], 0, sizeof(genome->blocks[0]));
}

static void change_end(struct lab_genome_random *random, struct lab_genome *genome)
{
    if (lab_genome_draw(random, 2) == 0) {
        genome->mean = means[lab_genome_draw(random, sizeof(means))];
    } else if (genome->hidden == 0) {
        genome->hidden = (uint8_t)(HIDDEN_MIN + lab_genome_draw(random, HIDDEN_MAX - HIDDEN_MIN));
    } else if (lab_genome_draw(random, 2) == 0) {
        genome->hidden = 0;
    } else {
        genome->hidden = resize(random, genome->hidden, HIDDEN_MIN, HIDDEN_MAX);
    }
}

void lab_genome_mutate(struct lab_genome_random *random, struct lab_genome *genome)
{
    uint32_t at = lab_genome_draw(random, genome->block_count);
    struct lab_genome_block *block = &genome->blocks[at];
    switch (lab_genome_draw(random, 10)) {
    case 0:
        block->kernel = kernels[lab_genome_draw(random, sizeof(kernels))];
        break;
    case 1:
        block->stride = block->stride == 1 ? 2 : 1;
        break;
    case 2:
        block->pool = !block->pool;
        break;
    case 3:
        block->separable = !block->separable;
        break;
    case 4:
        insert_block(random, genome, lab_genome_draw(random, genome->block_count + 1u));
        break;
    case 5:
        remove_block(genome, at);
        break;
    case 6:
    case 7:
        change_end(random, genome);
        break;
    default:
        block->channels = resize(random, block->channels, CHANNELS_MIN, LAB_GENOME_CHANNELS_MAX);
    }
}

/* ---- costs ---- */

static uint64_t volume(struct network_shape shape)
{
    return (uint64_t)shape.height * shape.width * shape.channels;
}

static void add_operation(struct lab_genome_cost *cost, struct network_shape in,
                          struct network_shape out, uint64_t weights, uint64_t macs)
{
    uint64_t memory = volume(in) + volume(out);
    cost->memory = memory > cost->memory ? memory : cost->memory;
    cost->bytes += weights + (weights > 0 ? (uint64_t)out.channels * OUTPUT_BYTES : 0);
    cost->macs += macs;
}

/* A convolution with its border padded, so that a stride of 1 keeps the shape. */
static void add_conv(struct lab_genome_cost *cost, struct network_shape *shape, uint32_t kernel,
                     uint32_t stride, uint32_t channels, bool depthwise)
{
    struct network_shape in = *shape;
    uint32_t pad = kernel / 2;
    shape->height = (in.height + 2 * pad - kernel) / stride + 1;
    shape->width = (in.width + 2 * pad - kernel) / stride + 1;
    shape->channels = channels;
    uint64_t terms = (uint64_t)kernel * kernel * (depthwise ? 1 : in.channels);
    add_operation(cost, in, *shape, terms * channels, terms * volume(*shape));
}

static bool add_window(struct lab_genome_cost *cost, struct network_shape *shape, uint32_t side)
{
    struct network_shape in = *shape;
    if (in.height < side || in.width < side) {
        return false;
    }
    shape->height /= side;
    shape->width /= side;
    add_operation(cost, in, *shape, 0, 0);
    return true;
}

static void add_dense(struct lab_genome_cost *cost, struct network_shape *shape, uint32_t out)
{
    struct network_shape in = *shape;
    *shape = (struct network_shape){1, 1, out};
    add_operation(cost, in, *shape, volume(in) * out, volume(in) * out);
}

bool lab_genome_cost(const struct lab_genome *genome, struct network_shape input, uint32_t classes,
                     struct lab_genome_cost *ret_cost)
{
    struct lab_genome_cost cost = {0};
    struct network_shape shape = input;
    for (uint8_t i = 0; i < genome->block_count; i++) {
        const struct lab_genome_block *block = &genome->blocks[i];
        if (block->separable) {
            add_conv(&cost, &shape, block->kernel, block->stride, shape.channels, true);
            add_conv(&cost, &shape, 1, 1, block->channels, false);
        } else {
            add_conv(&cost, &shape, block->kernel, block->stride, block->channels, false);
        }
        if (block->pool && !add_window(&cost, &shape, 2)) {
            return false;
        }
    }
    if (genome->mean == 1) {
        struct network_shape in = shape;
        shape.height = shape.width = 1;
        add_operation(&cost, in, shape, 0, 0);
    } else if (genome->mean > 1 && !add_window(&cost, &shape, genome->mean)) {
        return false;
    }
    if (genome->hidden > 0) {
        add_dense(&cost, &shape, genome->hidden);
    }
    add_dense(&cost, &shape, classes);
    *ret_cost = cost;
    return true;
}

/* ---- texts ---- */

/* Appends to a text whose room is known to be enough for all genomes. */
__attribute__((format(printf, 3, 4))) static void put(char *text, size_t room, const char *format,
                                                      ...)
{
    size_t at = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + at, room - at, format, arguments);
    va_end(arguments);
}

void lab_genome_write(const struct lab_genome *genome, char *text)
{
    text[0] = '\0';
    for (uint8_t i = 0; i < genome->block_count; i++) {
        const struct lab_genome_block *block = &genome->blocks[i];
        put(text, LAB_GENOME_TEXT, "%s%s%ux%u%s%s", i > 0 ? " " : "",
            block->separable ? "sep" : "conv", block->kernel, block->channels,
            block->stride == 2 ? "/2" : "", block->pool ? "p" : "");
    }
    if (genome->mean > 0) {
        put(text, LAB_GENOME_TEXT, genome->mean == 1 ? " mean" : " mean%u", genome->mean);
    }
    if (genome->hidden > 0) {
        put(text, LAB_GENOME_TEXT, " dense%u", genome->hidden);
    }
}

static void put_conv(char *text, const char *name, const struct lab_genome_block *block,
                     uint32_t number)
{
    bool deep = strcmp(name, "deep") == 0;
    bool point = strcmp(name, "point") == 0;
    uint32_t kernel = point ? 1 : block->kernel;
    put(text, LAB_GENOME_RECIPE, "[layer %s%u]\nop = %s\nkernel = %u\npad = %u\nstride = %u\n",
        name, number, deep ? "depthwise" : "conv", kernel, kernel / 2, point ? 1 : block->stride);
    put(text, LAB_GENOME_RECIPE, "norm = yes\n");
    if (!deep) {
        put(text, LAB_GENOME_RECIPE, "out = %u\n%s", block->channels,
            block->pool ? "pool = 2\n" : "");
    }
}

void lab_genome_recipe(const struct lab_genome *genome, uint32_t classes, char *text)
{
    text[0] = '\0';
    for (uint8_t i = 0; i < genome->block_count; i++) {
        const struct lab_genome_block *block = &genome->blocks[i];
        if (block->separable) {
            put_conv(text, "deep", block, i + 1u);
            put_conv(text, "point", block, i + 1u);
        } else {
            put_conv(text, "conv", block, i + 1u);
        }
    }
    if (genome->mean == 1) {
        put(text, LAB_GENOME_RECIPE, "[layer mean]\nop = globalavgpool\n");
    } else if (genome->mean > 1) {
        put(text, LAB_GENOME_RECIPE, "[layer mean]\nop = avgpool\nkernel = %u\n", genome->mean);
    }
    if (genome->hidden > 0) {
        put(text, LAB_GENOME_RECIPE, "[layer hidden]\nop = dense\nnorm = yes\nout = %u\n",
            genome->hidden);
    }
    put(text, LAB_GENOME_RECIPE, "[layer scores]\nop = dense\nout = %u\n", classes);
}
