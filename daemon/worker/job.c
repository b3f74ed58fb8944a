/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The sizes of a worker's region and the check of its results. Pure functions: touches no
 * descriptor. */
#include "daemon/worker/job.h"

/* The largest page that Linux uses on the processors we know. */
#define PAGE ((size_t)65536)

/* No stage of one frame takes this long: a worker is killed far earlier. Keeps sums of times from
 * wrapping. */
#define STAGE_NS_MAX UINT64_C(3600000000000)

/* Two stages of the largest network. JSON carries whole numbers below 2^53. */
#define MACS_MAX (UINT64_C(1) << 42)

#define WARNINGS_KNOWN (IMAGE_WARN_CONSTANT | IMAGE_WARN_DAMAGED | IMAGE_WARN_TRUNCATED)

size_t job_frame_offset(void)
{
    return (sizeof(struct job_result) + PAGE - 1) / PAGE * PAGE;
}

size_t job_region_bytes(size_t frame_bytes_max)
{
    size_t bytes;
    if (__builtin_add_overflow(job_frame_offset() + PAGE - 1, frame_bytes_max, &bytes)) {
        return 0;
    }
    return bytes / PAGE * PAGE;
}

static bool info_valid(const struct image_info *info)
{
    if (info->kind < IMAGE_KIND_JPEG || info->kind > IMAGE_KIND_SENSOR) {
        return false;
    }
    if (info->orientation < 1 || info->orientation > 8) {
        return false;
    }
    if (info->reduction != 1 &&
        (info->kind != IMAGE_KIND_JPEG ||
         (info->reduction != 2 && info->reduction != 4 && info->reduction != 8))) {
        return false;
    }
    return (info->warnings & ~(uint32_t)WARNINGS_KNOWN) == 0 && info->width > 0 &&
           info->width <= 65535 && info->height > 0 && info->height <= 65535 &&
           info->nominal_white > 0;
}

bool job_result_valid(const struct job_result *result, uint64_t sequence, uint32_t label_count)
{
    return result->sequence == sequence && result->label_count == label_count &&
           label_count <= NETWORK_LABELS_MAX && result->awake <= 1 && result->macs <= MACS_MAX &&
           result->codes_bytes <= JOB_CODES_MAX && result->decode_ns <= STAGE_NS_MAX &&
           result->gradient_ns <= STAGE_NS_MAX && result->network_ns <= STAGE_NS_MAX &&
           info_valid(&result->info);
}
