/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What a worker may still do, as one list of system calls. Decodes nothing. */
#include "daemon/worker/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "daemon/worker/job.h"

static int limit(int resource, rlim_t value)
{
    struct rlimit both = {.rlim_cur = value, .rlim_max = value};
    return setrlimit((__rlimit_resource_t)resource, &both) < 0 ? -errno : 0;
}

static int limit_resources(uint64_t memory_bytes)
{
    /* The five inherited descriptors, and the one that comes with a message. */
    int err = limit(RLIMIT_NOFILE, SANDBOX_WIDE ? 32 : JOB_FD_REGION + 2);
    if (err == 0) {
        err = limit(RLIMIT_CORE, 0);
    }
    if (err == 0) {
        err = limit(RLIMIT_NPROC, 0);
    }
    if (err == 0 && !SANDBOX_WIDE) {
        err = limit(RLIMIT_AS, memory_bytes);
    }
    /* No RLIMIT_FSIZE: it would count writes to shared memory that the daemon sized. */
    return err;
}

int sandbox_shed(uint64_t memory_bytes)
{
    if (close_range(JOB_FD_REGION + 1, ~0u, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) {
        return -errno;
    }
    /* LibRaw calls mktime, which would open /etc/localtime. */
    if (setenv("TZ", "UTC0", 1) < 0) {
        return -errno;
    }
    tzset();
    return limit_resources(memory_bytes);
}

/* A call is let through when all its comparisons hold; without any, always. */
struct rule {
    int call;
    unsigned count;
    struct scmp_arg_cmp comparisons[2];
};

/* Plain initialisers: libseccomp's SCMP_A macros are no constant expressions in C. */
#define ANY(name)                                                                                  \
    {                                                                                              \
        SCMP_SYS(name), 0,                                                                         \
        {                                                                                          \
            {                                                                                      \
                0, SCMP_CMP_EQ, 0, 0                                                               \
            }                                                                                      \
        }                                                                                          \
    }
#define IF(name, index, op, a, b)                                                                  \
    {                                                                                              \
        SCMP_SYS(name), 1,                                                                         \
        {                                                                                          \
            {                                                                                      \
                index, op, a, b                                                                    \
            }                                                                                      \
        }                                                                                          \
    }

static const struct rule rules[] = {
    /* the doorbell, and waiting for it with a timeout to give memory back when nothing comes */
    IF(recvmsg, 0, SCMP_CMP_EQ, JOB_FD_DOORBELL, 0),
    IF(sendmsg, 0, SCMP_CMP_EQ, JOB_FD_DOORBELL, 0),
    ANY(ppoll),
    /* a descriptor that came with a message */
    IF(pread64, 0, SCMP_CMP_GT, JOB_FD_REGION, 0),
    ANY(fstat),
    ANY(close),
#if !SANDBOX_WIDE
    /* Memory: never executable, and writable only where no file is behind it, so that a worker
     * cannot write to the memfd of a client. No mprotect, which would undo both. */
    IF(mmap, 2, SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, 0),
    {SCMP_SYS(mmap),
     2,
     {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}, {4, SCMP_CMP_MASKED_EQ, UINT32_MAX, UINT32_MAX}}},
    IF(madvise, 2, SCMP_CMP_EQ, MADV_DONTNEED, 0),
#endif
    ANY(munmap),
    ANY(mremap),
    ANY(brk),
    /* the C and C++ libraries; clock_gettime where the vDSO cannot answer; a wait that SIGSTOP
       interrupted */
    ANY(futex),
    ANY(clock_gettime),
    ANY(restart_syscall),
    ANY(exit_group),
#if SANDBOX_WIDE
    /* A sanitizer reports by writing to stderr, and reads /proc/self and the program's own files to
       name its frames. */
    IF(write, 0, SCMP_CMP_EQ, STDERR_FILENO, 0),
    IF(mmap, 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
    IF(mprotect, 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
    ANY(madvise),
    ANY(rt_sigreturn),
    ANY(openat),
    ANY(open),
    ANY(read),
    ANY(lseek),
    ANY(readlink),
    ANY(readlinkat),
    ANY(newfstatat),
    ANY(getpid),
    ANY(gettid),
    ANY(getuid),
    ANY(geteuid),
    ANY(getrandom),
    ANY(getrlimit),
    ANY(prlimit64),
    ANY(prctl),
    ANY(sched_yield),
    ANY(sched_getaffinity),
    ANY(sigaltstack),
    ANY(rt_sigaction),
    ANY(rt_sigprocmask),
    ANY(mincore),
    ANY(msync),
    ANY(tgkill),
#endif
};

static int add_rules(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct rule *rule = &rules[i];
        if (rule->call < 0) {
            continue; /* not a call of this architecture */
        }
        int err = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, rule->count,
                                         rule->comparisons);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

int sandbox_enter(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (filter == NULL) {
        return -ENOMEM;
    }
    /* Calls of another architecture (32 bit, x32) end the process too. */
    int err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (err == 0) {
        err = add_rules(filter);
    }
    if (err == 0) {
        err = seccomp_load(filter);
    }
    seccomp_release(filter);
    return err;
}
