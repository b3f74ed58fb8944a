/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The command `ocellus`: hands files to ocellusd and prints what it saw, or the daemon's state. It
 * looks into no image itself. See ocellus(1).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "clients/adapt.h"
#include "clients/annotate.h"
#include "clients/manage.h"
#include "clients/ocellus_client.h"
#include "clients/status.h"
#include "clients/token.h"
#include "clients/watch.h"

enum exit_code { EXIT_ALL = 0, EXIT_SOME_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_DAEMON = 3 };

/* A stream without an end is cut here; the daemon's own limit is lower. */
#define STREAM_BYTES_MAX (1u << 30)

struct options {
    const char *socket;
    struct ocellus_frame frame;
    const char *annotate; /* NULL: draw nothing */
    struct adapt_options adapt;
    const char *sha256; /* of a model's file; NULL: as it is */
    bool json;
};

static const char usage_text[] =
    "usage: ocellus infer FILE... [--camera NAME] [--model NAME] [--point NAME] [--json]\n"
    "                             [--scan yes|no] [--annotate OUT.jpg] [--socket PATH]\n"
    "       ocellus label FRAME LABEL [--box N] [--json] [--socket PATH]\n"
    "       ocellus adapt [status | sync | undo | reset | rollback NUMBER | export FILE |\n"
    "                      import FILE] [--adapter NAME] [--json] [--socket PATH]\n"
    "       ocellus model load FILE [--model NAME] [--sha256 DIGEST] [--json] [--socket PATH]\n"
    "       ocellus model rollback [--model NAME] [--json] [--socket PATH]\n"
    "       ocellus reload [--json] [--socket PATH]\n"
    "       ocellus token client|trainer|admin NAME\n"
    "       ocellus status [--json] [--socket PATH]\n"
    "       ocellus watch [--camera NAME] [--json] [--socket PATH]\n"
    "       ocellus --help | --version\n"
    "\n"
    "infer   classify JPEG, camera RAW, DNG and PGM/PPM files; - is standard input\n"
    "label   teach a camera's adapter what a recent frame shows\n"
    "adapt   what adapters learned, and how to keep it or take it back\n"
    "model   use another file for a model, or the one before again; for operators\n"
    "reload  read the configuration and its models again; for operators\n"
    "token   make a secret for a client that comes by TCP\n"
    "status  what the daemon is and does\n"
    "watch   what happens, as it happens: results, learning, reloads\n"
    "\n"
    "  -c, --camera NAME  the camera the frames came from (default: default); of watch: its "
    "results\n"
    "  -m, --model NAME   a model other than the camera's; of model: than the default one\n"
    "  -d, --sha256 HEX   what the SHA-256 of the model's file must be\n"
    "  -p, --point NAME   an operating point of the model, or auto\n"
    "  -S, --scan yes|no  look for objects in the whole scene (default: as the camera does)\n"
    "  -a, --annotate OUT draw the boxes of a scan on the picture; with one FILE\n"
    "  -A, --adapter NAME the adapter, where there are several\n"
    "  -b, --box N        the box of a scanned frame, counted from 0\n"
    "  -j, --json         one JSON object per line\n"
    "  -s, --socket PATH  the daemon's socket (default: $OCELLUS_SOCKET, else " OCELLUS_SOCKET ")\n"
    "\n"
    "exit status: 0 all well, 1 some frame failed, 2 wrong usage, 3 no daemon\n";

__attribute__((format(printf, 1, 2))) static int usage_error(const char *format, ...)
{
    va_list arguments;

    fputs("ocellus: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs("\nTry 'ocellus --help'.\n", stderr);
    return EXIT_USAGE;
}

static void complain_unreachable(const char *socket, int error)
{
    fprintf(stderr, "ocellus: no daemon at %s: %s\n", socket, strerror(error));
    if (error == EACCES || error == EPERM) {
        fprintf(stderr, "You may not use this socket. 'ls -l %s' shows whose group may.\n", socket);
    } else if (error == ENOENT || error == ECONNREFUSED) {
        fputs("Is ocellusd running? 'systemctl status ocellusd' tells; --socket names another.\n",
              stderr);
    }
}

/* EXIT_ALL, or the exit status of the whole command. */
static int open_client(const struct options *options, struct ocellus_client **ret_client)
{
    enum ocellus_error error = ocellus_client_open(options->socket, 0, ret_client);

    if (error == OCELLUS_UNREACHABLE) {
        complain_unreachable(options->socket, errno);
    } else if (error != OCELLUS_OK) {
        fprintf(stderr, "ocellus: %s\n", ocellus_error_name(error));
    }
    return error == OCELLUS_OK ? EXIT_ALL : EXIT_NO_DAEMON;
}

/* The text as a JSON string; NULL when out of memory. */
static char *quote(const char *text)
{
    cJSON *item = cJSON_CreateString(text);
    char *quoted = item != NULL ? cJSON_PrintUnformatted(item) : NULL;

    cJSON_Delete(item);
    return quoted;
}

static void print_failure(const struct options *options, const char *file, const char *error,
                          const char *message)
{
    fprintf(stderr, "ocellus: %s: %s: %s\n", file, error, message);
    if (options->json) {
        char *name = quote(file), *text = quote(message);
        if (name != NULL && text != NULL) {
            printf("{\"file\":%s,\"error\":\"%s\",\"message\":%s}\n", name, error, text);
        }
        free(name);
        free(text);
    }
}

static void print_warnings(uint32_t warnings)
{
    static const struct {
        uint32_t bit;
        const char *text;
    } texts[] = {
        {OCELLUS_WARNING_CONSTANT, "every pixel is the same"},
        {OCELLUS_WARNING_DAMAGED, "the image is damaged"},
        {OCELLUS_WARNING_TRUNCATED, "the image ends early"},
        {OCELLUS_WARNING_OTHER, "a warning this command does not know, see --json"},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if ((warnings & texts[i].bit) != 0) {
            printf("; %s", texts[i].text);
        }
    }
}

static void print_boxes(const struct ocellus_result *result)
{
    for (size_t i = 0; i < result->box_count; i++) {
        const struct ocellus_box *box = &result->boxes[i];
        printf("  %s %.1f%%  %ux%u at %u,%u%s%s\n", box->label, box->confidence * 100, box->width,
               box->height, box->x, box->y, box->zone != NULL ? "  in " : "",
               box->zone != NULL ? box->zone : "");
    }
}

static void print_result(const struct options *options, const char *file,
                         const struct ocellus_result *result)
{
    const struct ocellus_times *times = &result->times;

    if (options->json) {
        char *name = quote(file);
        if (name != NULL) {
            printf("{\"file\":%s,%s\n", name, result->json + 1);
        }
        free(name);
        return;
    }
    printf("%s: %s %.1f%%  (decode %.2f ms", file, result->label, result->confidence * 100,
           times->decode / 1000);
    if (result->scanned) {
        printf(", average %.2f", times->average / 1000);
    }
    printf(", gradient %.2f, network %.2f, total %.2f; frame %llu)", times->gradient / 1000,
           times->network / 1000, times->total / 1000, (unsigned long long)result->frame);
    if (result->cascade.detector != NULL) {
        printf("; %s: %s %.1f%%", result->cascade.detector, result->cascade.label,
               result->cascade.confidence * 100);
    }
    print_warnings(result->warnings);
    putchar('\n');
    print_boxes(result);
}

/* Pipes and the like cannot be handed over: their bytes go into a sealed memfd. Takes fd over; -1
 * with errno set. */
static int copy_stream(int fd)
{
    char block[65536];
    size_t total = 0;
    ssize_t n = 1;
    int error = 0;
    int copy = memfd_create("ocellus-frame", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    while (copy >= 0 && n > 0 && error == 0) {
        n = read(fd, block, sizeof(block));
        total += n > 0 ? (size_t)n : 0;
        if (n < 0 && errno == EINTR) {
            n = 1;
        } else if (n < 0 || (n > 0 && write(copy, block, (size_t)n) != n)) {
            error = errno;
        } else if (total > STREAM_BYTES_MAX) {
            error = EFBIG;
        }
    }
    if (copy < 0 || (error == 0 && fcntl(copy, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE) < 0)) {
        error = errno;
    }
    close(fd);
    if (error != 0) {
        if (copy >= 0) {
            close(copy);
        }
        errno = error;
        return -1;
    }
    return copy;
}

/* A descriptor that the daemon takes; -1 with errno set. */
static int open_frame(const char *file)
{
    struct stat st;
    int fd = strcmp(file, "-") == 0 ? dup(STDIN_FILENO) : open(file, O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode)) {
        /* A regular file on standard input may be open for writing, or stand in the middle. */
        bool plain = S_ISREG(st.st_mode) && strcmp(file, "-") != 0;
        return plain ? fd : copy_stream(fd);
    }
    if (fd >= 0) {
        close(fd);
        errno = EISDIR;
    }
    return -1;
}

static int infer_file(const struct options *options, struct ocellus_client *client,
                      const char *file)
{
    struct ocellus_result *result = NULL;
    int fd = open_frame(file);

    if (fd < 0) {
        print_failure(options, file, "unreadable", strerror(errno));
        return EXIT_SOME_FAILED;
    }
    enum ocellus_error error = ocellus_client_infer_fd(client, fd, &options->frame, &result);
    int drawn = error == OCELLUS_OK && options->annotate != NULL
                    ? annotate(fd, result, options->annotate)
                    : 0;
    close(fd);
    if (error != OCELLUS_OK) {
        print_failure(options, file, ocellus_error_name(error), ocellus_client_message(client));
        return error == OCELLUS_DISCONNECTED ? EXIT_NO_DAEMON : EXIT_SOME_FAILED;
    }
    print_result(options, file, result);
    ocellus_result_destroy(result);
    if (drawn < 0) {
        fprintf(stderr, "ocellus: %s: %s\n", options->annotate, strerror(-drawn));
    }
    return drawn < 0 ? EXIT_SOME_FAILED : EXIT_ALL;
}

static int run_infer(const struct options *options, char **files, int count)
{
    struct ocellus_client *client = NULL;
    int code;

    if (count == 0) {
        return usage_error("infer needs a file");
    }
    if (options->annotate != NULL && count != 1) {
        return usage_error("--annotate takes one file");
    }
    code = open_client(options, &client);
    for (int i = 0; i < count && code != EXIT_NO_DAEMON; i++) {
        int r = infer_file(options, client, files[i]);
        code = r > code ? r : code;
        fflush(stdout);
    }
    ocellus_client_close(client);
    return code;
}

static int run_status(const struct options *options, int count)
{
    struct ocellus_client *client = NULL;
    char *json = NULL;
    int code;

    if (count != 0) {
        return usage_error("status takes no file");
    }
    code = open_client(options, &client);
    if (code != EXIT_ALL) {
        return code;
    }
    enum ocellus_error error = ocellus_client_status(client, &json);
    if (error != OCELLUS_OK) {
        fprintf(stderr, "ocellus: %s: %s\n", ocellus_error_name(error),
                ocellus_client_message(client));
        code = error == OCELLUS_DISCONNECTED ? EXIT_NO_DAEMON : EXIT_SOME_FAILED;
    } else if (options->json) {
        puts(json);
    } else {
        status_print(json);
    }
    free(json);
    ocellus_client_close(client);
    return code;
}

static int run_watch(const struct options *options, int count)
{
    struct ocellus_client *client = NULL;
    if (count != 0) {
        return usage_error("watch takes no file");
    }
    int code = open_client(options, &client);
    if (code != EXIT_ALL) {
        return code;
    }
    enum ocellus_error error = watch(client, options->frame.camera, options->json);
    if (error != OCELLUS_OK) {
        fprintf(stderr, "ocellus: %s: %s\n", ocellus_error_name(error),
                ocellus_client_message(client));
        code = error == OCELLUS_DISCONNECTED ? EXIT_NO_DAEMON : EXIT_SOME_FAILED;
    }
    ocellus_client_close(client);
    return code;
}

static bool read_box(const char *text, int *ret_box)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > 63) {
        return false;
    }
    *ret_box = (int)value;
    return true;
}

static int run_adapt(const struct options *options, bool label, char **arguments, int count)
{
    static const int codes[] = {
        [ADAPT_DONE] = EXIT_ALL,
        [ADAPT_FAILED] = EXIT_SOME_FAILED,
        [ADAPT_USAGE] = EXIT_USAGE,
        [ADAPT_GONE] = EXIT_NO_DAEMON,
    };
    struct ocellus_client *client = NULL;
    int code = open_client(options, &client);
    if (code != EXIT_ALL) {
        return code;
    }
    code = codes[label ? adapt_label(client, &options->adapt, arguments, count)
                       : adapt_change(client, &options->adapt, arguments, count)];
    ocellus_client_close(client);
    return code;
}

static int run_manage(const struct options *options, bool reload, char **arguments, int count)
{
    const struct manage_options wanted = {options->frame.model, options->sha256, options->json};
    struct ocellus_client *client = NULL;
    if (reload ? count != 0 : !manage_understands(arguments, count)) {
        return usage_error(reload ? "reload takes nothing"
                                  : "model is followed by load FILE or rollback");
    }
    int code = open_client(options, &client);
    if (code != EXIT_ALL) {
        return code;
    }
    enum ocellus_error error =
        reload ? manage_reload(client, &wanted) : manage_model(client, &wanted, arguments, count);
    code = error == OCELLUS_OK             ? EXIT_ALL
           : error == OCELLUS_DISCONNECTED ? EXIT_NO_DAEMON
                                           : EXIT_SOME_FAILED;
    ocellus_client_close(client);
    return code;
}

static int run_token(char **arguments, int count)
{
    if (count == 2 && token_make(arguments[0], arguments[1])) {
        return EXIT_ALL;
    }
    if (count == 2 && errno != 0) {
        fprintf(stderr, "ocellus: no random numbers: %s\n", strerror(errno));
        return EXIT_SOME_FAILED;
    }
    return usage_error(
        "token is followed by client, trainer or admin and a name of A-Z a-z 0-9 _ . -");
}

/* -1: go on; else the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
    static const struct option long_options[] = {
        {"camera", required_argument, NULL, 'c'},
        {"model", required_argument, NULL, 'm'},
        {"point", required_argument, NULL, 'p'},
        {"json", no_argument, NULL, 'j'},
        {"socket", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {"scan", required_argument, NULL, 'S'},
        {"annotate", required_argument, NULL, 'a'},
        {"adapter", required_argument, NULL, 'A'},
        {"box", required_argument, NULL, 'b'},
        {"sha256", required_argument, NULL, 'd'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "c:m:p:S:a:A:b:d:js:h", long_options, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->frame.camera = optarg;
            break;
        case 'm':
            options->frame.model = optarg;
            break;
        case 'p':
            options->frame.point = optarg;
            break;
        case 'S':
            options->frame.scan = optarg;
            break;
        case 'a':
            options->annotate = optarg;
            break;
        case 'A':
            options->adapt.adapter = optarg;
            break;
        case 'b':
            if (!read_box(optarg, &options->adapt.box)) {
                return usage_error("--box is a number from 0 to 63");
            }
            break;
        case 'd':
            options->sha256 = optarg;
            break;
        case 'j':
            options->json = options->adapt.json = true;
            break;
        case 's':
            options->socket = optarg;
            break;
        case 'h':
            fputs(usage_text, stdout);
            return EXIT_ALL;
        case 'V':
            puts("ocellus " OCELLUS_VERSION);
            return EXIT_ALL;
        default:
            fputs("Try 'ocellus --help'.\n", stderr);
            return EXIT_USAGE;
        }
    }
    return -1;
}

int main(int argc, char **argv)
{
    const char *from_environment = getenv("OCELLUS_SOCKET");
    struct options options = {.socket = from_environment != NULL && from_environment[0] != '\0'
                                            ? from_environment
                                            : OCELLUS_SOCKET,
                              .adapt.box = -1};
    int code = parse_options(argc, argv, &options);

    if (code < 0 && optind == argc) {
        code = usage_error(
            "what shall I do? infer, label, adapt, model, reload, token, status or watch");
    }
    if (code < 0) {
        const char *command = argv[optind++];
        if (strcmp(command, "infer") == 0) {
            if (options.annotate != NULL && options.frame.scan == NULL) {
                options.frame.scan = "yes";
            }
            code = run_infer(&options, argv + optind, argc - optind);
        } else if (strcmp(command, "status") == 0) {
            code = run_status(&options, argc - optind);
        } else if (strcmp(command, "watch") == 0) {
            code = run_watch(&options, argc - optind);
        } else if (strcmp(command, "label") == 0 || strcmp(command, "adapt") == 0) {
            code = run_adapt(&options, command[0] == 'l', argv + optind, argc - optind);
        } else if (strcmp(command, "model") == 0 || strcmp(command, "reload") == 0) {
            code = run_manage(&options, command[0] == 'r', argv + optind, argc - optind);
        } else if (strcmp(command, "token") == 0) {
            code = run_token(argv + optind, argc - optind);
        } else {
            code = usage_error("unknown command '%s'", command);
        }
    }
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fprintf(stderr, "ocellus: cannot write the output: %s\n", strerror(errno));
        code = code == EXIT_ALL ? EXIT_SOME_FAILED : code;
    }
    return code;
}
