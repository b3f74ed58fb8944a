/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* ocellusd: options and configuration. Everything else is in server.c. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "daemon/log.h"
#include "daemon/server.h"

static const char usage[] =
    "Usage: ocellusd [OPTION]...\n"
    "Take camera frames over local sockets and tell what they show.\n"
    "\n"
    "  -c, --config FILE   read FILE and the drop-ins in FILE.d (default: " OCELLUS_CONFIG_PATH
    ")\n"
    "      --check-config  check the configuration and the models it names, then exit\n"
    "      --version       print the version and exit\n"
    "  -h, --help          print this and exit\n"
    "\n"
    "See ocellusd(8) and ocellus.conf(5).\n";

enum option_value { OPTION_CHECK = 256, OPTION_VERSION };

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check-config", no_argument, NULL, OPTION_CHECK},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

int main(int argc, char **argv)
{
    const char *path = OCELLUS_CONFIG_PATH;
    bool check = false;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case OPTION_CHECK:
            check = true;
            break;
        case OPTION_VERSION:
            puts("ocellusd " OCELLUS_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            return 2; /* getopt_long has said why */
        }
    }
    if (optind < argc) {
        fprintf(stderr, "ocellusd: unexpected argument '%s'\n", argv[optind]);
        return 2;
    }
    struct config *config;
    struct config_error error;
    if (config_load(path, &config, &error) < 0) {
        char text[CONFIG_ERROR_BYTES];
        config_error_format(&error, text, sizeof(text));
        log_message(NULL, LOG_ID_CONFIG_REFUSED, "%s", text);
        return EXIT_FAILURE;
    }
    int r = check ? server_check(config) : server_run(config, path);
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
