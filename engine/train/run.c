/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Forward and backward passes. A pass is cut where a batch norm needs all images; between the cuts
 * each shard runs on its own, image by image through all layers while the image is in the cache.
 * Sums over shards are made here, in order.
 */
#include "engine/train/graph.h"

#include <math.h>
#include <string.h>

/* The part of a pass between two cuts: nodes first .. last going forward, or last .. first back. */
struct stretch {
    struct train *train;
    uint32_t from, to;
};

static void run_all(const struct train_workers *workers, uint32_t count,
                    void (*task)(void *argument, uint32_t index), void *argument)
{
    if (workers != NULL) {
        workers->run(workers->context, count, task, argument);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        task(argument, i);
    }
}

/* Images of the pass in a shard. */
static uint32_t shard_images(const struct train *train, uint32_t shard)
{
    const uint32_t first = shard * train->shard_size;

    if (first >= train->count) {
        return 0;
    }
    return train->count - first < train->shard_size ? train->count - first : train->shard_size;
}

static uint32_t shards_in_use(const struct train *train)
{
    return (train->count + train->shard_size - 1) / train->shard_size;
}

/* A batch norm that waits for all images between its operation and its tail. */
static bool waits(const struct train *train, uint32_t node)
{
    return train->learn && train_normalises(&train->nodes[node].spec);
}

static bool is_dense(const struct train *train, uint32_t node)
{
    return train->nodes[node].spec.operation == TRAIN_DENSE;
}

/* ---- forward ---- */

static void operation_forward(struct train *train, struct train_node *node, size_t image,
                              struct train_scratch *scratch)
{
    const float *in = node->input->out + image * node->input->size;
    float *sums = node->sums + image * node->mid_size;

    switch ((enum train_operation)node->spec.operation) {
    case TRAIN_CONV:
        train_conv_forward(train->ops, node, train->learn, in, sums, scratch);
        break;
    case TRAIN_DEPTHWISE:
        train_depthwise_forward(train->ops, node, in, sums, scratch);
        break;
    case TRAIN_AVERAGE_POOL:
    case TRAIN_GLOBAL_POOL:
        train_pool_forward(node, in, sums);
        break;
    case TRAIN_ADD:
        train_add_forward(node, in, node->other->out + image * node->other->size, sums);
        break;
    case TRAIN_IDENTITY:
        memcpy(sums, in, node->mid_size * sizeof(*sums));
        break;
    case TRAIN_DENSE: /* all images of the shard are done before */
        break;
    }
}

static uint8_t *taps_at(const struct train_node *node, size_t image)
{
    return node->tap != NULL ? node->tap + image * node->size : NULL;
}

static void tail_forward(struct train *train, struct train_node *node, size_t image, uint32_t shard)
{
    const bool tracked =
        train->learn && (node->spec.output.kind == TRAIN_U7 || train_has_fsr(&node->spec.output));

    if (node->fixed.in_force && node->fixed.wide) {
        train_exact_forward(train->ops, node, node->input->out + image * node->input->size,
                            train->scratch[shard].exact, node->out + image * node->size);
    } else if (!node->bare) {
        train_tail_forward(train->ops, node, node->sums + image * node->mid_size,
                           node->top + image * node->size, taps_at(node, image),
                           node->out + image * node->size, tracked ? &node->part[shard] : NULL,
                           &train->scratch[shard]);
    }
}

/* Nodes i .. end - 1 for one image. The operation of s->from was done before the cut. */
static void forward_image(const struct stretch *s, uint32_t i, uint32_t end, size_t image,
                          uint32_t shard)
{
    struct train *train = s->train;

    for (; i < end; i++) {
        struct train_node *node = &train->nodes[i];

        if (i != s->from) {
            operation_forward(train, node, image, &train->scratch[shard]);
            if (waits(train, i)) {
                train_tail_measure(train->ops, node, node->sums + image * node->mid_size,
                                   &node->part[shard], &train->scratch[shard]);
                return;
            }
        }
        tail_forward(train, node, image, shard);
    }
}

static void forward_shard(void *argument, uint32_t shard)
{
    const struct stretch *s = argument;
    struct train *train = s->train;
    const size_t first = (size_t)shard * train->shard_size;
    const uint32_t count = shard_images(train, shard);

    for (uint32_t i = s->from, end; count > 0 && i <= s->to; i = end) {
        if (is_dense(train, i) && i != s->from) {
            struct train_node *node = &train->nodes[i];
            train_dense_forward(train->ops, node, node->input->out + first * node->input->size,
                                count, node->sums + first * node->mid_size);
        }
        for (end = i + 1; end <= s->to && !is_dense(train, end); end++) {
        }
        for (uint32_t k = 0; k < count; k++) {
            forward_image(s, i, end, first + k, shard);
        }
    }
}

static void clear_part(struct train_node *node)
{
    for (uint32_t s = 0; s < TRAIN_SHARDS && train_normalises(&node->spec); s++) {
        struct train_part *part = &node->part[s];

        memset(part->first, 0, node->mid.channels * sizeof(*part->first));
        memset(part->second, 0, node->mid.channels * sizeof(*part->second));
    }
}

/* Ranges follow what the batch has shown; the first sight counts in full. */
static void follow(float *range, float seen)
{
    if (seen > 0.0f) {
        *range = *range > 0.0f ? *range + TRAIN_CLIP_MOMENTUM * (seen - *range) : seen;
    }
}

static void settle_peak(struct train *train, struct train_node *node)
{
    float peak = 0.0f;

    for (uint32_t s = 0; s < TRAIN_SHARDS; s++) {
        peak = fmaxf(peak, node->part[s].peak);
        node->part[s].peak = 0.0f;
    }
    follow(&train->state[node->range.at], peak);
    if (node->clip.count > 0 && !(train->values[node->clip.at] > 0.0f)) {
        train->values[node->clip.at] = peak;
    }
}

static void prepare_node(void *argument, uint32_t index)
{
    struct train *train = argument;

    train_prepare_weights(train, &train->nodes[index + 1]);
}

static void prepare(struct train *train, const struct train_workers *workers)
{
    if (!train->fresh) {
        train_prepare_steps(train);
        run_all(workers, train->node_count - 1, prepare_node, train);
        train->fresh = true;
    }
    for (uint32_t i = 1; i < train->node_count; i++) {
        train_prepare_map(train, &train->nodes[i]);
        clear_part(&train->nodes[i]);
    }
}

/* Where a stretch that starts at `from` ends: at the next node that waits, or at the last. */
static uint32_t forward_end(const struct train *train, uint32_t from)
{
    for (uint32_t i = from + 1; i < train->node_count; i++) {
        if (waits(train, i)) {
            return i;
        }
    }
    return train->node_count - 1;
}

void train_forward(struct train *train, const float *images, uint32_t count, bool learn,
                   const struct train_workers *workers)
{
    struct stretch s = {.train = train};
    bool more = true;

    train->nodes[0].out = (float *)images; /* never written through */
    train->count = count;
    train->learn = learn;
    prepare(train, workers);
    while (more) {
        s.to = forward_end(train, s.from);
        more = s.to != s.from && waits(train, s.to);
        run_all(workers, TRAIN_SHARDS, forward_shard, &s);
        if (more) {
            train_tail_settle(train, &train->nodes[s.to]);
        }
        s.from = s.to;
    }
    for (uint32_t i = 1; learn && i < train->node_count; i++) {
        settle_peak(train, &train->nodes[i]);
        train->fresh = false; /* steps have moved with the ranges */
    }
}

/* ---- backward ---- */

/* Where gradients with respect to an input go; NULL where nobody wants them. */
static float *gradient_at(const struct train_node *node, size_t image)
{
    return node->grad != NULL ? node->grad + image * node->size : NULL;
}

/* Gradient of one image's sums: what the tail makes of that of the output, log-coded if asked for.
 */
static const float *tail_backward(struct train *train, struct train_node *node, size_t image,
                                  uint32_t shard, float *delta)
{
    float *gradients = train->shard_gradients + shard * train->parameters;
    const float *grad = node->grad + image * node->size;
    struct train_part *part = &node->part[shard];

    if (!node->bare) {
        train_tail_backward(train->ops, node, node->sums + image * node->mid_size,
                            node->top + image * node->size, taps_at(node, image), grad, delta,
                            node->bias.count > 0 ? gradients + node->bias.at : NULL,
                            node->clip.count > 0 ? gradients + node->clip.at : NULL,
                            &train->scratch[shard]);
    } else if (train->settings.gradients.kind == TRAIN_F32) {
        return grad;
    } else {
        memcpy(delta, grad, node->size * sizeof(*delta));
    }
    if (train->settings.gradients.kind != TRAIN_F32) {
        part->steepest = fmaxf(part->steepest, train->ops->largest(node->mid_size, delta, true));
    }
    if (node->power.low <= node->power.high) {
        train->ops->power(&node->power, node->mid_size, delta, delta);
    }
    return delta;
}

static void operation_backward(struct train *train, struct train_node *node, size_t image,
                               uint32_t shard, const float *delta)
{
    const bool adds = image != (size_t)shard * train->shard_size;
    const float *in = node->input->out + image * node->input->size;
    float *in_gradient = gradient_at(node->input, image);
    float *weights = train->shard_gradients + shard * train->parameters + node->weight.at;

    switch ((enum train_operation)node->spec.operation) {
    case TRAIN_CONV:
        train_conv_backward(train->ops, node, in, delta, weights, adds, in_gradient,
                            &train->scratch[shard]);
        break;
    case TRAIN_DEPTHWISE:
        train_depthwise_backward(train->ops, node, in, delta, weights, adds, in_gradient,
                                 &train->scratch[shard]);
        break;
    case TRAIN_AVERAGE_POOL:
    case TRAIN_GLOBAL_POOL:
        train_pool_backward(node, delta, in_gradient);
        break;
    case TRAIN_ADD:
        train_add_backward(node, delta, in_gradient, gradient_at(node->other, image));
        break;
    case TRAIN_IDENTITY:
        train_identity_backward(node, delta, in_gradient);
        break;
    case TRAIN_DENSE: /* all images of the shard at once, in dense_backward */
        break;
    }
}

/* Nodes i .. end + 1 for one image, until one waits. Node s->from has been reduced before the cut.
 */
static void backward_image(const struct stretch *s, uint32_t i, uint32_t end, size_t image,
                           uint32_t shard)
{
    struct train *train = s->train;

    for (; i > end; i--) {
        struct train_node *node = &train->nodes[i];

        if (waits(train, i) && i != s->from) {
            train_tail_reduce(train->ops, node, node->top + image * node->size,
                              node->grad + image * node->size, &node->part[shard],
                              &train->scratch[shard]);
            return;
        }
        operation_backward(train, node, image, shard,
                           tail_backward(train, node, image, shard, train->scratch[shard].delta));
    }
}

static void dense_backward(struct train *train, struct train_node *node, uint32_t shard)
{
    const size_t first = (size_t)shard * train->shard_size;
    const uint32_t count = shard_images(train, shard);
    float *weights = train->shard_gradients + shard * train->parameters + node->weight.at;
    const float *delta = train->scratch[shard].delta;

    for (uint32_t k = 0; k < count; k++) {
        const float *d = tail_backward(train, node, first + k, shard,
                                       train->scratch[shard].delta + k * node->mid_size);
        delta = k == 0 ? d : delta;
    }
    train_dense_backward(train->ops, node, node->input->out + first * node->input->size, delta,
                         count, weights, gradient_at(node->input, first));
}

/* Loss and its gradient; biases and clips, which are only added to, start at 0. */
static void loss_shard(struct train *train, uint32_t shard)
{
    const struct train_node *last = &train->nodes[train->node_count - 1];
    const size_t first = (size_t)shard * train->shard_size;
    float *gradients = train->shard_gradients + shard * train->parameters;

    for (uint32_t i = 1; i < train->node_count; i++) {
        const struct train_node *node = &train->nodes[i];

        memset(gradients + node->bias.at, 0, node->bias.count * sizeof(*gradients));
        memset(gradients + node->clip.at, 0, node->clip.count * sizeof(*gradients));
    }
    train->shard_loss[shard] =
        train_loss_shard(train->loss, last->out + first * last->size, train->labels + first,
                         shard_images(train, shard), last->shape.channels, train->count,
                         last->grad + first * last->size, &train->shard_correct[shard]);
}

static void backward_shard(void *argument, uint32_t shard)
{
    const struct stretch *s = argument;
    struct train *train = s->train;
    const size_t first = (size_t)shard * train->shard_size;
    const uint32_t count = shard_images(train, shard);

    if (count == 0) {
        return;
    }
    if (s->from == train->node_count) {
        loss_shard(train, shard);
    }
    for (uint32_t i = s->from < train->node_count ? s->from : s->from - 1, end; i >= s->to;
         i = end) {
        end = i - 1;
        if (is_dense(train, i) && (i == s->from || !waits(train, i))) {
            dense_backward(train, &train->nodes[i], shard);
            continue;
        }
        while (end >= s->to && !is_dense(train, end)) {
            end--;
        }
        for (uint32_t k = 0; k < count; k++) {
            backward_image(s, i, end, first + k, shard);
        }
    }
}

/* A sixteenth of a tensor's gradients: shards in order, then from codes to weights. */
static void gather_slot(struct train *train, struct train_slot slot, const float *scale,
                        uint32_t columns, uint32_t index)
{
    const size_t from = slot.count * index / TRAIN_SHARDS;
    const size_t to = slot.count * (index + 1) / TRAIN_SHARDS;
    float *out = train->gradients + slot.at;

    memcpy(out + from, train->shard_gradients + slot.at + from, (to - from) * sizeof(*out));
    for (uint32_t s = 1; s < shards_in_use(train); s++) {
        const float *part = train->shard_gradients + s * train->parameters + slot.at;

        for (size_t i = from; i < to; i++) {
            out[i] += part[i];
        }
    }
    for (size_t i = from; scale != NULL && i < to; i++) {
        out[i] /= scale[i % columns];
    }
}

/* Mean square of each channel that an nlms layer reads, over the whole batch. */
static void measure_input(const struct train *train, struct train_node *node)
{
    const struct train_node *in = node->input;
    const size_t channels = in->shape.channels, pixels = in->size / channels * train->count;
    const double scale = (double)in->step * (double)in->step / (double)pixels;

    memset(node->input_power, 0, channels * sizeof(*node->input_power));
    for (size_t p = 0; p < pixels; p++) {
        const float *x = in->out + p * channels;

        for (size_t c = 0; c < channels; c++) {
            node->input_power[c] += (double)x[c] * (double)x[c];
        }
    }
    for (size_t c = 0; c < channels; c++) {
        node->input_power[c] *= scale;
    }
}

/* A sixteenth of an nlms layer's weight gradients, divided. */
static void divide_by_power(struct train *train, const struct train_node *node, uint32_t index)
{
    const size_t channels = node->input->shape.channels, count = node->weight.count;
    const size_t columns = node->spec.operation == TRAIN_DEPTHWISE ? 1 : node->mid.channels;
    float *gradient = train->gradients + node->weight.at;

    for (size_t i = count * index / TRAIN_SHARDS; i < count * (index + 1) / TRAIN_SHARDS; i++) {
        const double power = node->input_power[i / columns % channels];
        gradient[i] = (float)((double)gradient[i] / (power + (double)TRAIN_NORM_EPSILON));
    }
}

static void gather(void *argument, uint32_t index)
{
    struct train *train = argument;

    for (uint32_t i = 1; i < train->node_count; i++) {
        const struct train_node *node = &train->nodes[i];

        gather_slot(train, node->weight, node->scale, node->mid.channels, index);
        if (node->spec.norm == TRAIN_NORM_NLMS) {
            divide_by_power(train, node, index);
        }
        gather_slot(train, node->bias, NULL, 1, index);
        gather_slot(train, node->clip, NULL, 1, index);
    }
}

static void settle_steepest(struct train *train, struct train_node *node)
{
    float steepest = 0.0f;

    for (uint32_t s = 0; s < TRAIN_SHARDS; s++) {
        steepest = fmaxf(steepest, node->part[s].steepest);
        node->part[s].steepest = 0.0f;
    }
    follow(&train->state[node->range.at + 1], steepest);
}

static void sum_losses(struct train *train, struct train_result *ret_result)
{
    struct train_result result = {0};

    for (uint32_t s = 0; s < shards_in_use(train); s++) {
        result.loss += train->shard_loss[s];
        result.correct += train->shard_correct[s];
        train->shard_correct[s] = 0;
    }
    result.loss /= train->count;
    *ret_result = result;
}

void train_backward(struct train *train, enum train_loss loss, const uint32_t *labels,
                    const struct train_workers *workers, struct train_result *ret_result)
{
    struct stretch s = {.train = train, .from = train->node_count};
    bool more = true;

    train->labels = labels;
    train->loss = (uint8_t)loss;
    while (more) {
        s.to = s.from > 1 ? s.from - 1 : 1;
        while (s.to > 1 && !waits(train, s.to)) {
            s.to--;
        }
        more = s.to != s.from && waits(train, s.to);
        if (more) {
            clear_part(&train->nodes[s.to]);
        }
        run_all(workers, TRAIN_SHARDS, backward_shard, &s);
        if (more) {
            train_tail_settle_backward(train, &train->nodes[s.to]);
        }
        s.from = s.to;
    }
    for (uint32_t i = 1; i < train->node_count; i++) {
        if (train->nodes[i].spec.norm == TRAIN_NORM_NLMS) {
            measure_input(train, &train->nodes[i]);
        }
    }
    run_all(workers, TRAIN_SHARDS, gather, train);
    for (uint32_t i = 1; i < train->node_count; i++) {
        settle_steepest(train, &train->nodes[i]);
    }
    sum_losses(train, ret_result);
}

void train_measure(struct train *train, enum train_loss loss, const uint32_t *labels,
                   struct train_result *ret_result)
{
    const struct train_node *last = &train->nodes[train->node_count - 1];

    for (uint32_t s = 0; s < shards_in_use(train); s++) {
        const size_t first = (size_t)s * train->shard_size;

        train->shard_loss[s] = train_loss_shard(
            (uint8_t)loss, last->out + first * last->size, labels + first, shard_images(train, s),
            last->shape.channels, train->count, NULL, &train->shard_correct[s]);
    }
    sum_losses(train, ret_result);
}
