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

/* All points of the largest network, or a scan and what confirms it. JSON carries whole numbers
 * below 2^53. */
#define MACS_MAX (UINT64_C(1) << 50)

#define WARNINGS_KNOWN (IMAGE_WARN_CONSTANT | IMAGE_WARN_DAMAGED | IMAGE_WARN_TRUNCATED)

size_t job_frame_offset(void)
{
    return (sizeof(struct job_shared) + PAGE - 1) / PAGE * PAGE;
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

static bool light_valid(const struct image_light *light)
{
    return light->colour <= IMAGE_COLOUR_YES;
}

static bool box_valid(const struct job_box *box, const struct image_info *info,
                      const struct job_scan *scan, uint32_t levels)
{
    return box->width > 0 && box->height > 0 && box->x < info->width &&
           box->width <= info->width - box->x && box->y < info->height &&
           box->height <= info->height - box->y && box->margin >= scan->threshold &&
           box->level < levels && box->zero == 0;
}

static bool scan_valid(const struct job_result *result, const struct job_scan *scan)
{
    if (result->scanned != scan->wanted || result->box_count > scan->boxes_max ||
        result->box_count > NETWORK_SCAN_BOXES_MAX || result->levels > NETWORK_SCAN_LEVELS_MAX ||
        result->motion_bytes > JOB_MOTION_MAX || result->windows > NETWORK_SCAN_WINDOWS_MAX ||
        result->windows_run > result->windows) {
        return false;
    }
    if (!scan->wanted) {
        return result->box_count == 0 && result->levels == 0 && result->windows == 0 &&
               result->peak == 0 && result->motion_bytes == 0;
    }
    for (uint32_t i = 0; i < result->box_count; i++) {
        if (!box_valid(&result->boxes[i], &result->info, scan, result->levels) ||
            (i > 0 && result->boxes[i].margin > result->boxes[i - 1].margin)) {
            return false;
        }
    }
    return (result->box_count == 0 || result->peak >= result->boxes[0].margin) &&
           (result->motion_bytes == 0 || (scan->motion && result->motion_level < result->levels));
}

/* Only exits may answer from another point than the one asked for; recognisers have one. */
static bool point_valid(const struct job_result *result, const struct job_message *asked)
{
    return result->awake  ? result->point == 0
           : asked->exits ? result->point <= asked->point
                          : result->point == asked->point;
}

bool job_result_valid(const struct job_result *result, const struct job_message *asked,
                      uint32_t label_count)
{
    return result->sequence == asked->sequence && result->label_count == label_count &&
           label_count <= NETWORK_LABELS_MAX && result->awake <= 1 && point_valid(result, asked) &&
           result->macs <= MACS_MAX && result->codes_bytes <= JOB_CODES_MAX &&
           result->decode_ns <= STAGE_NS_MAX && result->gradient_ns <= STAGE_NS_MAX &&
           result->network_ns <= STAGE_NS_MAX && result->average_ns <= STAGE_NS_MAX &&
           info_valid(&result->info) && light_valid(&result->light) &&
           scan_valid(result, &asked->scan);
}

static bool same_front(const struct gradient_spec *a, const struct gradient_spec *b)
{
    for (size_t i = 0; i < sizeof(a->ratio) / sizeof(a->ratio[0]); i++) {
        if (a->ratio[i].p != b->ratio[i].p || a->ratio[i].q != b->ratio[i].q) {
            return false;
        }
    }
    return a->source == b->source && a->coding == b->coding && a->merge == b->merge &&
           a->planes == b->planes && a->levels == b->levels && a->even == b->even &&
           a->floor == b->floor;
}

bool job_same_input(const struct network_input *a, const struct network_input *b)
{
    return a->target.width == b->target.width && a->target.height == b->target.height &&
           a->target.channels == b->target.channels && same_front(&a->front, &b->front);
}

bool job_polygon_holds(const struct job_polygon *polygon, const struct job_box *box, uint32_t width,
                       uint32_t height)
{
    int64_t x = (int64_t)(((uint64_t)box->x * 2 + box->width) * 5000 / width);
    int64_t y = (int64_t)((((uint64_t)box->y + box->height) * 2 - 1) * 5000 / height);
    bool inside = false;
    for (uint32_t i = 0, k = polygon->count - 1; i < polygon->count; k = i++) {
        int64_t ax = polygon->corners[i].x, ay = polygon->corners[i].y;
        int64_t bx = polygon->corners[k].x, by = polygon->corners[k].y;
        /* The edge crosses the row of the point, to its right: no division. */
        if ((ay > y) != (by > y) && ((x - ax) * (by - ay) < (bx - ax) * (y - ay)) == (by > ay)) {
            inside = !inside;
        }
    }
    return inside;
}
