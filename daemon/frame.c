/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Makes and frees frames. Knows neither doors nor workers. */
#include "daemon/frame.h"

#include <stdlib.h>
#include <unistd.h>

struct frame *frame_create(void)
{
    struct frame *frame = calloc(1, sizeof(*frame));
    if (frame != NULL) {
        frame->fd = -1;
    }
    return frame;
}

void frame_destroy(struct frame *frame)
{
    if (frame == NULL) {
        return;
    }
    if (frame->fd >= 0) {
        close(frame->fd);
    }
    free(frame->bytes);
    free(frame);
}
