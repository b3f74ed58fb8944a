/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the daemon adds to the work itself: the time from a client's request to its reply, the
 * network's own time taken off, beside decoding alone in this process, a bare echo over a socket,
 * and one read of the bytes. One run, medians. Usage: bench_line BUILD-FOLDER MODEL VGA.jpg
 * SMALL.jpg   (start it on an otherwise idle machine)
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "engine/image/image.h"
#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/network/network.h"
#include "tests/bench/timing.h"

enum { RUNS = 1001, WARMUP = 100, BIG_RUNS = 101, BIG_W = 4096, BIG_H = 3072 };

static char directory[] = "/tmp/bench-line-XXXXXX";
static char reply[256 * 1024];
static pid_t daemon_pid;

static void stop_daemon(void)
{
    char command[64];

    if (daemon_pid > 0) {
        kill(daemon_pid, SIGTERM);
        waitpid(daemon_pid, NULL, 0);
    }
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    if (system(command) != 0) {
        fprintf(stderr, "bench_line: %s is left behind\n", directory);
    }
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench_line: %s: %s\n", what, strerror(errno));
    exit(1);
}

struct file {
    uint8_t *bytes;
    size_t size;
};

static struct file read_file(const char *path)
{
    struct stat status;
    struct file file = {NULL, 0};
    int fd = open(path, O_RDONLY);

    if (fd < 0 || fstat(fd, &status) < 0 || (file.bytes = malloc((size_t)status.st_size)) == NULL ||
        read(fd, file.bytes, (size_t)status.st_size) != status.st_size) {
        fail(path);
    }
    close(fd);
    file.size = (size_t)status.st_size;
    return file;
}

static int connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", directory, name);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static void start_daemon(const char *build_folder, const char *model_file)
{
    char path[256], program[512];
    const char *build = realpath(build_folder, NULL), *model = realpath(model_file, NULL);

    if (build == NULL || model == NULL || mkdtemp(directory) == NULL) {
        fail("cannot prepare");
    }
    snprintf(path, sizeof(path), "%s/conf", directory);
    FILE *config = fopen(path, "w");
    if (config == NULL) {
        fail(path);
    }
    fprintf(config,
            "[daemon]\nhttp = %s/http\nvarlink = %s/varlink\nworker = "
            "%s/daemon/worker/ocellus-worker\nworkers = 1\n\n[model m]\npath = %s\n",
            directory, directory, build, model);
    fclose(config);
    snprintf(program, sizeof(program), "%s/daemon/ocellusd", build);
    daemon_pid = fork();
    if (daemon_pid == 0) {
        execl(program, program, "--config", path, (char *)NULL);
        _exit(127);
    }
    atexit(stop_daemon);
    for (int i = 0; i < 500; i++) {
        int fd = connect_to("http");
        if (fd >= 0) {
            close(fd);
            usleep(300000); /* the workers load their model */
            return;
        }
        usleep(10000);
    }
    fail("the daemon did not start");
}

static void send_all(int fd, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t sent = send(fd, (const uint8_t *)bytes + done, size - done, MSG_NOSIGNAL);
        if (sent <= 0) {
            fail("send");
        }
        done += (size_t)sent;
    }
}

/* One HTTP exchange; returns the body, which stays valid until the next. */
static const char *post(int fd, const struct file *request)
{
    size_t got = 0;

    send_all(fd, request->bytes, request->size);
    for (;;) {
        ssize_t more = recv(fd, reply + got, sizeof(reply) - 1 - got, 0);
        if (more <= 0) {
            fail("recv");
        }
        got += (size_t)more;
        reply[got] = '\0';
        char *body = strstr(reply, "\r\n\r\n");
        char *length = strcasestr(reply, "content-length:");
        if (body != NULL && length != NULL &&
            got >= (size_t)(body + 4 - reply) + strtoul(length + 15, NULL, 10)) {
            return body + 4;
        }
    }
}

/* One Varlink call with one descriptor. */
static const char *call(int fd, const char *message, int passed)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {(void *)(uintptr_t)message, strlen(message) + 1};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
    size_t got = 0;

    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cmsg), &passed, sizeof(passed));
    if (sendmsg(fd, &header, MSG_NOSIGNAL) != (ssize_t)iov.iov_len) {
        fail("sendmsg");
    }
    do {
        ssize_t more = recv(fd, reply + got, sizeof(reply) - got, 0);
        if (more <= 0) {
            fail("recv");
        }
        got += (size_t)more;
    } while (reply[got - 1] != '\0');
    return reply;
}

/* The network's share that a result reports, in microseconds. */
static double network_us(const char *json)
{
    cJSON *root = cJSON_Parse(json);
    const cJSON *result = root;
    const cJSON *parameters = cJSON_GetObjectItem(root, "parameters");

    if (parameters != NULL && cJSON_GetObjectItem(parameters, "result") != NULL) {
        result = cJSON_GetObjectItem(parameters, "result");
    }
    const cJSON *times = cJSON_GetObjectItem(result, "times_us");
    const cJSON *network = cJSON_GetObjectItem(times, "network");
    if (!cJSON_IsNumber(network)) {
        fprintf(stderr, "bench_line: unexpected reply: %s\n", json);
        exit(1);
    }
    double value = network->valuedouble;
    cJSON_Delete(root);
    return value;
}

static double echo_us(void)
{
    double us[RUNS];
    char bytes[64] = {0};
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
        fail("socketpair");
    }
    pid_t child = fork();
    if (child == 0) {
        close(pair[0]);
        while (recv(pair[1], bytes, sizeof(bytes), 0) > 0 &&
               send(pair[1], bytes, sizeof(bytes), 0) > 0) {
        }
        _exit(0);
    }
    close(pair[1]);
    for (int i = -WARMUP; i < RUNS; i++) {
        double start = timing_now_us();
        send_all(pair[0], bytes, sizeof(bytes));
        if (recv(pair[0], bytes, sizeof(bytes), MSG_WAITALL) != sizeof(bytes)) {
            fail("echo");
        }
        if (i >= 0) {
            us[i] = timing_now_us() - start;
        }
    }
    close(pair[0]);
    waitpid(child, NULL, 0);
    return timing_median(us, RUNS);
}

static double decode_us(const struct file *jpeg, const struct image_target *target,
                        const struct image_ops *ops)
{
    struct image_decoder *decoder;
    struct image_info info;
    uint16_t *planes =
        malloc((size_t)target->width * target->height * target->channels * sizeof(*planes));
    double us[RUNS];

    if (planes == NULL || image_decoder_create(NULL, ops, &decoder) < 0) {
        fail("decoder");
    }
    for (int i = -WARMUP; i < RUNS; i++) {
        double start = timing_now_us();
        if (image_decode(decoder, jpeg->bytes, jpeg->size, IMAGE_KIND_JPEG, NULL, target, planes,
                         &info) < 0) {
            fail("decode");
        }
        if (i >= 0) {
            us[i] = timing_now_us() - start;
        }
    }
    image_decoder_destroy(decoder);
    free(planes);
    return timing_median(us, RUNS);
}

/* Median round trip over HTTP, and the same less the network's time. */
static double http_us(const struct file *jpeg, double *ret_line)
{
    double us[RUNS], line[RUNS];
    char head[256];
    int fd = connect_to("http");
    int length = snprintf(
        head, sizeof(head),
        "PUT /v1/frames/bench HTTP/1.1\r\nHost: bench\r\nContent-Length: %zu\r\n\r\n", jpeg->size);
    struct file request = {malloc((size_t)length + jpeg->size), (size_t)length + jpeg->size};

    if (fd < 0 || request.bytes == NULL) {
        fail("http");
    }
    memcpy(request.bytes, head, (size_t)length);
    memcpy(request.bytes + length, jpeg->bytes, jpeg->size);
    for (int i = -WARMUP; i < RUNS; i++) {
        double start = timing_now_us();
        const char *body = post(fd, &request);
        double took = timing_now_us() - start;
        double network = network_us(body);
        if (i >= 0) {
            us[i] = took;
            line[i] = took - network;
        }
    }
    close(fd);
    free(request.bytes);
    *ret_line = timing_median(line, RUNS);
    return timing_median(us, RUNS);
}

static uint64_t read_once(const uint64_t *words, size_t count)
{
    uint64_t a = 0, b = 0, c = 0, d = 0;

    for (size_t i = 0; i + 32 <= count;
         i += 32) { /* a word of each line is not enough: every byte is loaded */
        for (size_t j = 0; j < 32; j += 4) {
            a += words[i + j];
            b += words[i + j + 1];
            c += words[i + j + 2];
            d += words[i + j + 3];
        }
    }
    return a + b + c + d;
}

static void bench_sensor(void)
{
    const size_t bytes = (size_t)BIG_W * BIG_H * 2;
    const char *message = "{\"method\":\"io.ocellus.Infer\",\"parameters\":{\"camera\":\"big\","
                          "\"format\":\"sensor\",\"fd\":0,"
                          "\"sensor\":{\"width\":4096,\"height\":3072,\"cfa\":\"RGGB\",\"packing\":"
                          "\"u16le\",\"white\":4095}}}";
    double line[BIG_RUNS], reading[BIG_RUNS];
    volatile uint64_t sink = 0;
    int memfd = memfd_create("bench", MFD_ALLOW_SEALING), fd = connect_to("varlink");

    if (memfd < 0 || fd < 0 || ftruncate(memfd, (off_t)bytes) < 0) {
        fail("sensor buffer");
    }
    uint16_t *samples = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (samples == MAP_FAILED || fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
        fail("sensor buffer");
    }
    for (size_t i = 0; i < bytes / 2; i++) {
        samples[i] = (uint16_t)((i * 2654435761u) >> 20 & 4095);
    }
    for (int i = -10; i < BIG_RUNS; i++) {
        double start = timing_now_us();
        const char *json = call(fd, message, memfd);
        double took = timing_now_us() - start - network_us(json);
        start = timing_now_us();
        sink += read_once((const uint64_t *)(const void *)samples, bytes / 8);
        if (i >= 0) {
            line[i] = took;
            reading[i] = timing_now_us() - start;
        }
    }
    double a = timing_median(line, BIG_RUNS), b = timing_median(reading, BIG_RUNS);
    printf("24 MiB sensor buffer, reused memfd: %8.1f us  one read of its bytes %8.1f us  ratio "
           "%.2f\n",
           a, b, a / b);
    close(fd);
    close(memfd);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: bench_line BUILD-FOLDER MODEL VGA.jpg SMALL.jpg\n");
        return 2;
    }
    const struct file vga = read_file(argv[3]), small = read_file(argv[4]),
                      file = read_file(argv[2]);
    struct network_model *model;
    struct kernel_table kernels;
    const char *reason;
    double line;

    if (network_model_load(file.bytes, file.size, &model, &reason) < 0) {
        fail(argv[2]);
    }
    kernel_table_init(&kernels, kernel_cpu_detect());
    const struct image_ops ops = {kernels.accumulate_u16, kernels.accumulate_u8,
                                  kernels.unpack_mipi10, kernels.unpack_mipi12};
    const struct image_target *target = &network_model_input(model, 0)->target;
    start_daemon(argv[1], argv[2]);
    printf("echo of 64 bytes between two processes:  %8.1f us\n", echo_us());
    const struct file *frames[] = {&vga, &small};
    for (int i = 0; i < 2; i++) {
        double decode = decode_us(frames[i], target, &ops);
        double whole = http_us(frames[i], &line);
        printf("%-24.24s over HTTP: %8.1f us  without the network %8.1f us  decoding alone %8.1f "
               "us  ratio %.2f\n",
               strrchr(argv[3 + i], '/') ? strrchr(argv[3 + i], '/') + 1 : argv[3 + i], whole, line,
               decode, line / decode);
    }
    bench_sensor();
    network_model_destroy(model);
    return 0;
}
