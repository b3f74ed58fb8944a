/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* One buffer that doubles up to the largest message. */
#include "daemon/varlink_input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/admission.h"
#include "daemon/limits.h"

#define FIRST_BYTES 4096u
#define BYTES_MAX   (LIMIT_VARLINK_MESSAGE_BYTES + 1u)

int varlink_input_init(struct varlink_input *input)
{
    char *bytes = malloc(FIRST_BYTES);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    *input = (struct varlink_input){.bytes = bytes, .size = FIRST_BYTES};
    return 0;
}

void varlink_input_finish(struct varlink_input *input)
{
    free(input->bytes);
    input->bytes = NULL;
}

int varlink_input_grow(struct varlink_input *input, struct admission *admission)
{
    if (input->start > 0) {
        memmove(input->bytes, input->bytes + input->start, input->end - input->start);
        input->end -= input->start;
        input->start = 0;
    }
    if (input->end < input->size) {
        return 0;
    }
    if (input->size == BYTES_MAX) {
        return -EFBIG;
    }
    size_t size = input->size * 2 < BYTES_MAX ? input->size * 2 : BYTES_MAX;
    if (!admission_reserve(admission, size - input->size)) {
        return -ENOBUFS;
    }
    char *bytes = realloc(input->bytes, size);
    if (bytes == NULL) {
        admission_release(admission, size - input->size);
        return -ENOMEM;
    }
    input->bytes = bytes;
    input->size = size;
    return 0;
}

void varlink_input_shrink(struct varlink_input *input, struct admission *admission)
{
    if (input->start < input->end) {
        return;
    }
    input->start = input->end = 0;
    if (input->size > FIRST_BYTES) {
        char *bytes = realloc(input->bytes, FIRST_BYTES);
        if (bytes != NULL) {
            admission_release(admission, input->size - FIRST_BYTES);
            input->bytes = bytes;
            input->size = FIRST_BYTES;
        }
    }
}

void varlink_input_release(struct varlink_input *input, struct admission *admission)
{
    admission_release(admission, input->size - FIRST_BYTES);
}
