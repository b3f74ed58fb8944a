/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Words -> calls -> a line. */
#include "clients/manage.h"

#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

bool manage_understands(char **arguments, int count)
{
    return (count == 2 && strcmp(arguments[0], "load") == 0) ||
           (count == 1 && strcmp(arguments[0], "rollback") == 0);
}

/* Prints and frees the reply, or says what was wrong. */
static enum ocellus_error end(struct ocellus_client *client, const struct manage_options *options,
                              enum ocellus_error error, char *json)
{
    if (error != OCELLUS_OK) {
        fprintf(stderr, "ocellus: %s: %s\n", ocellus_error_name(error),
                ocellus_client_message(client));
        return error;
    }
    cJSON *root = cJSON_Parse(json);
    const char *model = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "model"));
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "id"));
    const double number =
        cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(root, "configuration"));
    if (options->json) {
        puts(json);
    } else if (model != NULL && id != NULL) {
        printf("%s: %.16s is in force (configuration %.0f)\n", model, id, number);
    } else {
        printf("configuration %.0f is in force\n", number);
    }
    cJSON_Delete(root);
    free(json);
    return OCELLUS_OK;
}

static int sum_up(int fd, char digits[SHA256_DIGEST_STRING_LENGTH])
{
    uint8_t buffer[64 * 1024];
    SHA2_CTX sum;
    ssize_t got;
    SHA256Init(&sum);
    for (off_t at = 0; (got = pread(fd, buffer, sizeof(buffer), at)) > 0; at += got) {
        SHA256Update(&sum, buffer, (size_t)got);
    }
    if (got < 0) {
        return -errno;
    }
    SHA256End(&sum, digits);
    return 0;
}

static enum ocellus_error load(struct ocellus_client *client, const struct manage_options *options,
                               const char *file)
{
    char digits[SHA256_DIGEST_STRING_LENGTH], *json = NULL;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : sum_up(fd, digits);
    if (r < 0) {
        fprintf(stderr, "ocellus: %s: %s\n", file, strerror(-r));
        if (fd >= 0) {
            close(fd);
        }
        return OCELLUS_BAD_REQUEST;
    }
    enum ocellus_error error =
        ocellus_client_manage(client, OCELLUS_MANAGE_LOAD_MODEL, options->model, fd,
                              options->sha256 != NULL ? options->sha256 : digits, &json);
    close(fd);
    return end(client, options, error, json);
}

enum ocellus_error manage_model(struct ocellus_client *client, const struct manage_options *options,
                                char **arguments, int count)
{
    char *json = NULL;
    if (count == 2) {
        return load(client, options, arguments[1]);
    }
    enum ocellus_error error = ocellus_client_manage(client, OCELLUS_MANAGE_ROLLBACK_MODEL,
                                                     options->model, -1, NULL, &json);
    return end(client, options, error, json);
}

enum ocellus_error manage_reload(struct ocellus_client *client,
                                 const struct manage_options *options)
{
    char *json = NULL;
    enum ocellus_error error =
        ocellus_client_manage(client, OCELLUS_MANAGE_RELOAD, NULL, -1, NULL, &json);
    return end(client, options, error, json);
}
