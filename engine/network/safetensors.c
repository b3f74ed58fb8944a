/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Reading: header to a list of tensors sorted by offset, checked to tile the data, then one aligned
 * copy. Nothing of the input is trusted, no size is computed unchecked.
 */
#include "engine/network/safetensors.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "engine/network/json.h"

#define ALIGNMENT      64u
#define NAME_MAX_BYTES 255u

static const char *const dtype_names[] = {"F32", "I8", "U8", "I16", "I32", "U32", "I64", NULL};
static const uint8_t dtype_sizes[] = {4, 1, 1, 2, 4, 4, 8};

struct network_safetensors {
    cJSON *header; /* owns names and metadata */
    const cJSON *metadata;
    uint32_t count;
    struct network_tensor *tensors;
    void *data;
};

static int refuse(const char **ret_reason, int error, const char *reason)
{
    *ret_reason = reason;
    return error;
}

/* bytes of a tensor; false when the product does not fit. */
static bool tensor_bytes(const struct network_tensor *tensor, size_t *ret_bytes)
{
    size_t bytes = dtype_sizes[tensor->dtype];

    for (uint8_t i = 0; i < tensor->rank; i++) {
        if (__builtin_mul_overflow(bytes, tensor->shape[i], &bytes)) {
            return false;
        }
    }
    *ret_bytes = bytes;
    return true;
}

struct span {
    size_t begin, end; /* in the data section */
};

static bool read_shape(const cJSON *shape, struct network_tensor *tensor)
{
    if (!cJSON_IsArray(shape)) {
        return false;
    }
    for (const cJSON *item = shape->child; item != NULL; item = item->next) {
        int64_t side;

        if (tensor->rank == NETWORK_RANK_MAX ||
            !network_json_integer(item, 0, INT64_C(1) << 40, &side)) {
            return false;
        }
        tensor->shape[tensor->rank++] = (uint64_t)side;
    }
    return true;
}

static bool read_span(const cJSON *offsets, size_t data_size, struct span *span)
{
    int64_t begin, end;

    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        !network_json_integer(offsets->child, 0, INT64_C(1) << 40, &begin) ||
        !network_json_integer(offsets->child->next, begin, INT64_C(1) << 40, &end) ||
        (uint64_t)end > data_size) {
        return false;
    }
    *span = (struct span){(size_t)begin, (size_t)end};
    return true;
}

static int read_tensor(const cJSON *item, size_t data_size, struct network_tensor *tensor,
                       struct span *span, const char **ret_reason)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets", NULL};
    size_t length = strlen(item->string);

    if (!cJSON_IsObject(item) || !network_json_only(item, keys)) {
        return refuse(ret_reason, -EBADMSG,
                      "A tensor of the header is not described as it should be.");
    }
    if (length < 1 || length > NAME_MAX_BYTES) {
        return refuse(ret_reason, -EBADMSG, "A tensor's name is empty or too long.");
    }

    int dtype = network_json_word(cJSON_GetObjectItemCaseSensitive(item, "dtype"), dtype_names);
    if (dtype < 0) {
        return refuse(ret_reason, -EBADMSG, "A tensor has a data type that is not read here.");
    }
    *tensor = (struct network_tensor){.name = item->string, .dtype = (uint8_t)dtype};
    if (!read_shape(cJSON_GetObjectItemCaseSensitive(item, "shape"), tensor)) {
        return refuse(ret_reason, -EBADMSG, "A tensor's shape is no list of a few sizes.");
    }
    if (!read_span(cJSON_GetObjectItemCaseSensitive(item, "data_offsets"), data_size, span)) {
        return refuse(ret_reason, -EBADMSG, "A tensor's offsets are not inside the file.");
    }
    if (!tensor_bytes(tensor, &tensor->bytes) || tensor->bytes != span->end - span->begin) {
        return refuse(ret_reason, -EBADMSG, "A tensor's offsets do not match its shape.");
    }
    return 0;
}

struct entry {
    struct network_tensor tensor;
    struct span span;
};

/* Empty tensors share their offset with a neighbour: they come first. */
static int compare_entries(const void *a, const void *b)
{
    const struct span *x = &((const struct entry *)a)->span, *y = &((const struct entry *)b)->span;

    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    return x->end < y->end ? -1 : x->end > y->end;
}

/* Sorts the entries and checks that they cover 0..data_size without gap or overlap. */
static int tile(struct entry *entries, uint32_t count, size_t data_size, const char **ret_reason)
{
    size_t at = 0;

    qsort(entries, count, sizeof *entries, compare_entries);
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].span.begin != at) {
            return refuse(ret_reason, -EBADMSG, "Tensors overlap or leave a gap.");
        }
        at = entries[i].span.end;
    }
    if (at != data_size) {
        return refuse(ret_reason, -EBADMSG, "The tensors do not end where the file ends.");
    }
    return 0;
}

static int read_metadata(struct network_safetensors *file, const char **ret_reason)
{
    file->metadata = cJSON_GetObjectItemCaseSensitive(file->header, "__metadata__");
    if (file->metadata == NULL) {
        return 0;
    }
    if (!cJSON_IsObject(file->metadata)) {
        return refuse(ret_reason, -EBADMSG, "The metadata is not a JSON object.");
    }
    for (const cJSON *item = file->metadata->child; item != NULL; item = item->next) {
        if (!cJSON_IsString(item)) {
            return refuse(ret_reason, -EBADMSG, "A metadata value is not a string.");
        }
    }
    return 0;
}

static int read_entries(const struct network_safetensors *file, size_t data_size,
                        struct entry *entries, const char **ret_reason)
{
    uint32_t count = 0;

    for (const cJSON *item = file->header->child; item != NULL; item = item->next) {
        if (item == file->metadata) {
            continue;
        }
        int result =
            read_tensor(item, data_size, &entries[count].tensor, &entries[count].span, ret_reason);
        if (result < 0) {
            return result;
        }
        count++;
    }
    return tile(entries, count, data_size, ret_reason);
}

/* One block for all tensors, each at a multiple of the alignment. */
static int copy_data(struct network_safetensors *file, const struct entry *entries,
                     const uint8_t *data)
{
    size_t total = ALIGNMENT;

    for (uint32_t i = 0; i < file->count; i++) {
        total += (entries[i].tensor.bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    file->tensors = calloc(file->count + 1u, sizeof *file->tensors);
    file->data = aligned_alloc(ALIGNMENT, total);
    if (file->tensors == NULL || file->data == NULL) {
        return -ENOMEM;
    }

    uint8_t *to = file->data;
    for (uint32_t i = 0; i < file->count; i++) {
        struct network_tensor *tensor = &file->tensors[i];

        *tensor = entries[i].tensor;
        tensor->data = to;
        memcpy(to, data + entries[i].span.begin, tensor->bytes);
        to += (tensor->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return 0;
}

static int read_body(struct network_safetensors *file, const uint8_t *data, size_t data_size,
                     const char **ret_reason)
{
    int result = read_metadata(file, ret_reason);
    if (result < 0) {
        return result;
    }

    int items = cJSON_GetArraySize(file->header) - (file->metadata != NULL);
    if (items > (int)NETWORK_TENSORS_MAX) {
        return refuse(ret_reason, -EFBIG, "The file has too many tensors.");
    }
    file->count = (uint32_t)items;

    struct entry *entries = calloc(file->count + 1u, sizeof *entries);
    if (entries == NULL) {
        return -ENOMEM;
    }
    result = read_entries(file, data_size, entries, ret_reason);
    if (result == 0) {
        result = copy_data(file, entries, data);
    }
    free(entries);
    return result;
}

static int read_header(const uint8_t *bytes, size_t length, cJSON **ret_header,
                       const char **ret_reason)
{
    char *text = malloc(length + 1);
    if (text == NULL) {
        return -ENOMEM;
    }
    memcpy(text, bytes, length);
    text[length] = '\0';
    int result = network_json_parse(text, length, ret_header, ret_reason);
    free(text);
    return result;
}

int network_safetensors_read(const void *bytes, size_t size, struct network_safetensors **ret_file,
                             const char **ret_reason)
{
    const uint8_t *at = bytes;
    const char *unused;
    uint64_t length = 0;

    ret_reason = ret_reason != NULL ? ret_reason : &unused;
    if (size < 8) {
        return refuse(ret_reason, -EBADMSG, "The file is shorter than a header length.");
    }
    for (unsigned i = 0; i < 8; i++) {
        length |= (uint64_t)at[i] << (8 * i);
    }
    if (length > size - 8) {
        return refuse(ret_reason, -EBADMSG, "The header is longer than the file.");
    }
    if (length > NETWORK_HEADER_MAX) {
        return refuse(ret_reason, -EFBIG, "The header is too long.");
    }

    struct network_safetensors *file = calloc(1, sizeof *file);
    if (file == NULL) {
        return -ENOMEM;
    }
    int result = read_header(at + 8, (size_t)length, &file->header, ret_reason);
    if (result == 0) {
        result = read_body(file, at + 8 + length, size - 8 - (size_t)length, ret_reason);
    }
    if (result < 0) {
        network_safetensors_destroy(file);
        return result;
    }
    *ret_file = file;
    return 0;
}

void network_safetensors_destroy(struct network_safetensors *file)
{
    if (file == NULL) {
        return;
    }
    cJSON_Delete(file->header);
    free(file->tensors);
    free(file->data);
    free(file);
}

uint32_t network_safetensors_count(const struct network_safetensors *file)
{
    return file->count;
}

const struct network_tensor *network_safetensors_at(const struct network_safetensors *file,
                                                    uint32_t index)
{
    return &file->tensors[index];
}

const struct network_tensor *network_safetensors_find(const struct network_safetensors *file,
                                                      const char *name)
{
    for (uint32_t i = 0; i < file->count; i++) {
        if (strcmp(file->tensors[i].name, name) == 0) {
            return &file->tensors[i];
        }
    }
    return NULL;
}

const char *network_safetensors_metadata(const struct network_safetensors *file, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(file->metadata, key);

    return value != NULL ? value->valuestring : NULL;
}

/* Writing. */

static int check_tensor(const struct network_tensor *tensor, size_t *ret_bytes)
{
    size_t length = strlen(tensor->name);

    if (length < 1 || length > NAME_MAX_BYTES || !network_utf8(tensor->name, length, false) ||
        strcmp(tensor->name, "__metadata__") == 0 || tensor->rank > NETWORK_RANK_MAX ||
        tensor->dtype >= sizeof dtype_sizes) {
        return -EINVAL;
    }
    return tensor_bytes(tensor, ret_bytes) ? 0 : -EINVAL;
}

static bool add_number(cJSON *array, uint64_t number)
{
    return number <= UINT64_C(1) << 40 &&
           network_json_add(array, NULL, cJSON_CreateNumber((double)number));
}

static bool describe_tensor(cJSON *header, const struct network_tensor *tensor, size_t at,
                            size_t bytes)
{
    cJSON *item = cJSON_AddObjectToObject(header, tensor->name);
    bool ok = cJSON_AddStringToObject(item, "dtype", dtype_names[tensor->dtype]) != NULL;
    cJSON *shape = cJSON_AddArrayToObject(item, "shape");

    for (uint8_t i = 0; i < tensor->rank; i++) {
        ok = ok && add_number(shape, tensor->shape[i]);
    }
    cJSON *offsets = cJSON_AddArrayToObject(item, "data_offsets");
    return ok && shape != NULL && offsets != NULL && add_number(offsets, at) &&
           add_number(offsets, at + bytes);
}

static int build_header(const struct network_tensor *tensors, uint32_t count,
                        const struct network_metadata *metadata, uint32_t metadata_count,
                        cJSON *header, size_t *ret_data_size)
{
    cJSON *map = metadata_count > 0 ? cJSON_AddObjectToObject(header, "__metadata__") : NULL;
    size_t at = 0, bytes;

    for (uint32_t i = 0; i < metadata_count; i++) {
        if (cJSON_AddStringToObject(map, metadata[i].key, metadata[i].value) == NULL) {
            return -ENOMEM;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        int result = check_tensor(&tensors[i], &bytes);
        if (result < 0) {
            return result;
        }
        if (!describe_tensor(header, &tensors[i], at, bytes)) {
            return -ENOMEM;
        }
        if (__builtin_add_overflow(at, bytes, &at)) {
            return -EFBIG;
        }
    }
    *ret_data_size = at;
    return 0;
}

/* Spaces make the data start at a multiple of 8, as other writers of the format do. */
static int assemble(const char *text, const struct network_tensor *tensors, uint32_t count,
                    size_t data_size, void **ret_bytes, size_t *ret_size)
{
    size_t length = strlen(text), padded = (length + 7) / 8 * 8, size;

    if (padded > NETWORK_HEADER_MAX || __builtin_add_overflow(8 + padded, data_size, &size)) {
        return -EFBIG;
    }
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)((uint64_t)padded >> (8 * i));
    }
    memset(bytes + 8, ' ', padded);
    memcpy(bytes + 8, text, length);

    uint8_t *to = bytes + 8 + padded;
    for (uint32_t i = 0; i < count; i++) {
        size_t n = 0;

        tensor_bytes(&tensors[i], &n);
        if (n > 0) {
            memcpy(to, tensors[i].data, n);
        }
        to += n;
    }
    *ret_bytes = bytes;
    *ret_size = size;
    return 0;
}

int network_safetensors_write(const struct network_tensor *tensors, uint32_t count,
                              const struct network_metadata *metadata, uint32_t metadata_count,
                              void **ret_bytes, size_t *ret_size)
{
    size_t data_size;

    if (count > NETWORK_TENSORS_MAX) {
        return -EFBIG;
    }
    cJSON *header = cJSON_CreateObject();
    if (header == NULL) {
        return -ENOMEM;
    }
    int result = build_header(tensors, count, metadata, metadata_count, header, &data_size);
    char *text = result == 0 ? cJSON_PrintUnformatted(header) : NULL;
    cJSON_Delete(header);
    if (result < 0) {
        return result;
    }
    if (text == NULL) {
        return -ENOMEM;
    }

    /* The parser knows what else makes a header unreadable: names that occur twice, bad text. */
    const char *unused;
    cJSON *parsed;
    result = network_json_parse(text, strlen(text), &parsed, &unused);
    if (result == 0) {
        cJSON_Delete(parsed);
        result = assemble(text, tensors, count, data_size, ret_bytes, ret_size);
    } else if (result == -EBADMSG) {
        result = -EINVAL;
    }
    free(text);
    return result;
}
