/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * engine/train, online: learns from single labels over a packed model. It takes codes and labels
 * and gives records (delta.h) and the present arrays of the layers that it changed; it opens no
 * file, knows no time and starts no thread. One thread at a time per trainer.
 *
 * STATE is integers: 8-bit weight codes (there is no hidden float copy), biases and prototypes. It
 * has two parts:
 *   durable   base + records, in order. A replay of the same records on any machine gives the same
 *             bytes (train_online_digest)
 *   fresh     what biases moved since the last record, in memory only, gone after a restart; the
 *             next record holds it. Predictions and train_online_layer have it
 *   Accumulators, recent labelled codes and the holdout are memory only, and no part of the state.
 *
 * ONE LABEL  train_online_learn predicts, counts, then learns: biases of the trained layers take a
 *   small step along the gradient of the cross-entropy; the input of the first trained layer, 8
 *   bits a value, goes to the recent ones. After HOLDOUT_FROM labels one in HOLDOUT_EACH is drawn
 *   for the holdout (a reservoir) instead, and teaches nothing.
 *
 * FLUSH  train_online_flush goes over the recent labels `passes` times in shuffled order. Each one
 *   asks for a margin: the score of its class less the largest other one. Where the state at the
 *   start gives `margin` or more, its scores are to stay as they are; else these two are to move
 *   by equal parts until they give it. dz is the score less that aim (least mean squares), and goes
 *   back through the requantisation (derivative mult * 2^-shift, inside the clip) and the tap that
 *   a pool took. Each layer's step is a sum of outer products in rank `rank` (lowrank.h) on top of
 *   the codes; these change once, when the record is applied. Where a step came out longer than a
 *   record may hold, less margin is asked for.
 *     NLMS      step = rate * |dz|^2 / (layers * S^2), S = sum over pixels of |dt| |a|: of a dense
 *               layer the exact projection; at most as long as 2 / lambda with lambda the running
 *               largest eigenvalue of the autocorrelation of the layer's inputs
 *     max-norm  dt and a are divided by their max-norms, step = rate in codes / 127; capped alike
 *
 * PROTOTYPES are means of the features that the last layer reads, per class (prototype.h); their
 *   scores are linear in the features, and are folded into the arrays of the last layer that
 *   train_online_layer gives. Whoever runs the network need not know of them. A record with
 *   prototypes replaces those before.
 *
 * THE RULE  Both heads are made from the recent labels less one part and tried on that part:
 *   leave-one-out up to FOLDS labels, FOLDS parts beyond. The low-rank one is kept unless
 *   prototypes get more than a tenth of the labels more right; prototypes only where each class
 *   has a label. Do no harm: nothing is changed where, of the labels that are new since the last
 *   flush, it gets fewer right than the state before did (by more than one in 20, which is
 *   chance), or where the holdout then comes out worse. The parts also tell the leave-one-out
 *   score, and the labels that the others contradict.
 */
#ifndef OCELLUS_ENGINE_TRAIN_ONLINE_H
#define OCELLUS_ENGINE_TRAIN_ONLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/network/model.h"

#define TRAIN_ONLINE_LAYERS_MAX   8u    /* that are trained */
#define TRAIN_ONLINE_RECENT_MAX   4096u /* labelled codes kept */
#define TRAIN_ONLINE_HOLDOUT_FROM 32u
#define TRAIN_ONLINE_HOLDOUT_EACH 4u
#define TRAIN_ONLINE_FOLDS        20u

enum train_online_head {
    TRAIN_ONLINE_AUTO = 0, /* the rule picks */
    TRAIN_ONLINE_LOWRANK,
    TRAIN_ONLINE_PROTOTYPE, /* biases and prototypes, no weights */
    TRAIN_ONLINE_BIAS,      /* biases alone */
};

enum train_online_norm { TRAIN_ONLINE_MAX_NORM = 0, TRAIN_ONLINE_NLMS };

struct train_online_settings {
    uint32_t layer_count; /* 0: the last layer */
    /* Indices of the point, ascending; s8 conv or dense with u7 or scores outputs. */
    uint32_t layers[TRAIN_ONLINE_LAYERS_MAX];
    uint32_t rank; /* 1..10 */
    float rate;    /* of weights, 0..1; see FLUSH */
    /* Of biases, 0..1: so much of the way that the gradient asks of the scores, at each label. */
    float bias_rate;
    float margin;     /* that a label asks for, in units of 2^16 of a score; 0..1000 */
    uint32_t flush;   /* labels after which a flush is due, 1..RECENT_MAX */
    uint32_t passes;  /* over the recent labels in a flush, 1..1000 */
    uint32_t recent;  /* labelled codes kept, 1..RECENT_MAX */
    uint32_t holdout; /* labelled codes kept apart, 0..RECENT_MAX */
    float hold;       /* rho_min */
    float kappa;
    uint8_t norm; /* enum train_online_norm */
    uint8_t head; /* enum train_online_head */
    bool unbiased;
    uint32_t writes_max; /* of any one weight cell; 0: no limit. Cells that reached it stay */
    uint64_t seed;
    uint32_t cpu; /* kernel_cpu_detect() & mask */
};

struct train_online;

/* What the trainer chooses for a model by itself. */
void train_online_defaults(const struct network_model *model, uint32_t point,
                           struct train_online_settings *ret_settings);

/*
 * Lay out a trainer; its memory does not grow later. The model must outlive it.
 * Errors: -ENOTSUP  the point has no layers that can be trained, or one between them that gradients
 * cannot pass (*ret_reason, may be NULL, points to a static sentence); -EINVAL  settings out of
 * range, likewise; -ENOMEM.
 */
int train_online_create(const struct network_model *model, uint32_t point,
                        const struct train_online_settings *settings,
                        struct train_online **ret_online, const char **ret_reason);
void train_online_destroy(struct train_online *online);

/* All memory that it holds. */
size_t train_online_bytes(const struct train_online *online);

/* Names the base: the arrays of the point's 8-bit layers, and which of them are trained. */
uint64_t train_online_base(const struct train_online *online);

/* Scores of the present state, equal to network_run's with the layers of train_online_layer. */
void train_online_predict(struct train_online *online, const void *codes, int32_t *scores);

struct train_online_answer {
    uint32_t predicted; /* before learning */
    float loss;         /* cross-entropy before learning */
    bool held_out;      /* went to the holdout: nothing was learned from it */
    bool flush_due;
};

/*
 * Predict, then learn. codes: as network_run reads them, copied. tag: the caller's name of the
 * label, for train_online_distrusted. Errors: -EINVAL  label not below the number of labels.
 */
int train_online_learn(struct train_online *online, const void *codes, uint32_t label, uint64_t tag,
                       struct train_online_answer *ret_answer);

/* How many labelled codes a verdict rests on, and how many of them came out right. */
struct train_online_verdict {
    uint32_t count, before, after; /* of the holdout; after: if the update is kept */
    /* Of the recent labels; parts: right when left out, by the head that was picked. */
    uint32_t recent_count, recent_before, recent_after, recent_parts;
    uint8_t head; /* what was picked: enum train_online_head, not AUTO */
};

/*
 * Make a record of what was learned since the last one. *ret_record is the trainer's and stays
 * until the next call with this trainer. Errors, the state then being what it was: -EAGAIN  nothing
 * to record (no labels since, or fewer cells than `hold` would change and biases are as they were);
 * -ECANCELED  what was learned would do harm: fresh changes are taken back, *ret_verdict tells;
 * -ENOMEM.
 */
int train_online_flush(struct train_online *online, const void **ret_record, size_t *ret_size,
                       struct train_online_verdict *ret_verdict);

/*
 * Apply a record: of a replay, or made elsewhere. Everything is checked first. Errors, nothing
 * being changed: -EBADMSG  no record, of another base, or it does not fit the layers; -ERANGE  a
 * step beyond TRAIN_DELTA_STEP_MAX (delta.h).
 */
int train_online_apply(struct train_online *online, const void *record, size_t size);

/* Apply a record made elsewhere if the holdout and the recent labels agree. Errors: those of
 * train_online_apply; -ECANCELED  it would do harm, nothing is changed. The caller stores the same
 * bytes as a record. */
int train_online_import(struct train_online *online, const void *record, size_t size,
                        struct train_online_verdict *ret_verdict);

/* All that records did to the base as one record, for another trainer over the same base; the
 * caller frees *ret_record. Where nothing was learned yet its state becomes the same, but for the
 * counts of writes. Errors: -ENOENT  nothing was learned; -ERANGE  a bias moved by more than 2^31;
 * -ENOMEM. */
int train_online_difference(const struct train_online *online, void **ret_record, size_t *ret_size);

/* Drop labelled codes, held out or not, whose tag is larger: what they taught is to be taken back,
 * and the next flush shall not learn it again. Prototypes and weights stay. */
void train_online_forget(struct train_online *online, uint64_t tag);

/* Everything but the settings and the labelled codes, back to the base. */
void train_online_reset(struct train_online *online);

/* The durable part, as bytes: what a replay of all records gives, with the counts of writes. The
 * caller frees *ret_bytes. Errors: -ENOMEM. */
int train_online_snapshot(const struct train_online *online, void **ret_bytes, size_t *ret_size);
/* As train_online_reset, then the state of a snapshot. Errors, nothing being changed: -EBADMSG. */
int train_online_restore(struct train_online *online, const void *bytes, size_t size);

/* XXH64 of the durable part. */
uint64_t train_online_digest(const struct train_online *online);

/* Rises with every change of what train_online_layer gives; 0: the base. */
uint64_t train_online_generation(const struct train_online *online);
/* Generation at which a layer of the point last changed; 0: it is the base's. */
uint64_t train_online_layer_generation(const struct train_online *online, uint32_t layer);
/* Present arrays of a layer, for network_plan_pack; the trainer's, until the next call that may
 * change them. Errors: -ENOENT  the layer is not trained. */
int train_online_layer(const struct train_online *online, uint32_t layer,
                       struct network_layer *ret_values);

struct train_online_layer_status {
    uint32_t layer;
    float lambda; /* largest eigenvalue of the autocorrelation of its inputs, as codes; 0: not known
                   */
    float cap;    /* share of steps that 2 / lambda held, 0..1 */
    float energy; /* of the largest singular value, of all, in the last flush; 0..1 */
    uint64_t terms, skipped;
    uint64_t cells, cells_written; /* cells_written: writes in all */
    uint32_t worst;                /* writes to the worst cell */
};

struct train_online_status {
    uint64_t labels, correct; /* predicted before learning */
    float loss;               /* running mean, weight 0.95 */
    uint32_t recent, holdout;
    uint32_t loo_right, loo_count; /* of the recent labels left out, at the last flush */
    uint64_t records, record_bytes;
    uint64_t refused; /* flushes and imports that would have done harm */
    struct train_online_verdict last;
    uint32_t layer_count;
    struct train_online_layer_status layers[TRAIN_ONLINE_LAYERS_MAX];
};

void train_online_get(struct train_online *online, struct train_online_status *ret_status);

/* Tags of recent labels that the others contradict (leave-one-out), the worst first. Returns how
 * many were written, at most `max`. */
uint32_t train_online_distrusted(struct train_online *online, uint64_t *ret_tags, uint32_t max);

#endif
