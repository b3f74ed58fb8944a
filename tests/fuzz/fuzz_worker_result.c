/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A worker's answer as a hostile worker might write it: what passes the check must be safe to index
 * and add up with. Input: struct job_done, then the head of struct job_result.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/worker/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct job_result result; /* large; only its head is used */
    struct job_done done = {0};
    if (size < sizeof(done)) {
        return 0;
    }
    memset(&result, 0, JOB_RESULT_HEAD_BYTES);
    memcpy(&done, data, sizeof(done));
    size -= sizeof(done);
    memcpy(&result, data + sizeof(done),
           size < JOB_RESULT_HEAD_BYTES ? size : JOB_RESULT_HEAD_BYTES);
    const struct job_message asked = {
        .sequence = done.sequence,
        .scan = {.wanted = (uint32_t)done.status & 1, .boxes_max = NETWORK_SCAN_BOXES_MAX},
    };
    if (job_result_valid(&result, &asked, 10)) {
        for (uint32_t i = 0; i < result.box_count; i++) {
            const struct job_box *box = &result.boxes[i];
            if (!asked.scan.wanted || i >= NETWORK_SCAN_BOXES_MAX ||
                (uint64_t)box->x + box->width > result.info.width ||
                (uint64_t)box->y + box->height > result.info.height) {
                abort();
            }
        }
        uint64_t total = result.decode_ns + result.gradient_ns + result.network_ns;
        if (result.label_count != 10 || result.codes_bytes > JOB_CODES_MAX ||
            result.motion_bytes > JOB_MOTION_MAX || result.windows_run > result.windows ||
            total < result.decode_ns || result.info.width == 0 || result.info.height == 0) {
            abort();
        }
    }
    return 0;
}
