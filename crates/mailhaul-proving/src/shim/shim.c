/*
 * Stands between a program and the system's library (LD_PRELOAD): makes writes below one folder fail, and moves the
 * wall clock. What it is to do stands in a small file that it keeps mapped, so that it can be told while the program runs.
 *
 * MAILHAUL_SHIM_CONTROL names that file, MAILHAUL_SHIM_BELOW the folder.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* The same fields, in the same order, as in mod.rs. */
struct control {
    int64_t clock_shift_secs; /* added to the wall clock */
    int64_t writes;           /* so many writes were counted */
    int64_t fail_from;        /* the first that fails, from 1; 0: none */
    int64_t fail_until;       /* the first after it that does not fail */
    int64_t error;            /* errno of those that fail */
    int64_t torn;             /* not 0: half of what was to be written is, before it fails */
    int64_t failed;           /* so many have failed */
};

static struct control nothing;
static struct control *control = &nothing;
static char below[4096];
static size_t below_length;

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("MAILHAUL_SHIM_CONTROL");
    const char *folder = getenv("MAILHAUL_SHIM_BELOW");
    if (folder != NULL && realpath(folder, below) != NULL) below_length = strlen(below);
    if (file == NULL) return;
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int fd = real_open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) abort();
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) abort();
    close(fd);
    control = mapped;
}

static int is_below(const char *path) {
    return below_length > 0 && strncmp(path, below, below_length) == 0 &&
           (path[below_length] == '/' || path[below_length] == '\0');
}

/* Whether this descriptor is a file below the folder: not a socket, not a terminal. */
static int concerns(int fd) {
    if (below_length == 0) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = '\0';
    return is_below(path);
}

/* Counts a write, and says whether it is to fail. */
static int fails(void) {
    int64_t number = __atomic_add_fetch(&control->writes, 1, __ATOMIC_SEQ_CST);
    int64_t from = control->fail_from;
    if (from == 0 || number < from || number >= control->fail_until) return 0;
    __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
    return 1;
}

static int refuse(void) {
    errno = (int)control->error;
    return -1;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (real == NULL) real = dlsym(RTLD_NEXT, name);

ssize_t write(int fd, const void *octets, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t)
    if (concerns(fd) && fails()) {
        if (control->torn && count > 1) (void)!real(fd, octets, count / 2);
        return refuse();
    }
    return real(fd, octets, count);
}

ssize_t pwrite(int fd, const void *octets, size_t count, off_t offset) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t)
    if (concerns(fd) && fails()) {
        if (control->torn && count > 1) (void)!real(fd, octets, count / 2, offset);
        return refuse();
    }
    return real(fd, octets, count, offset);
}

ssize_t pwrite64(int fd, const void *octets, size_t count, off64_t offset) {
    return pwrite(fd, octets, count, (off_t)offset);
}

int ftruncate(int fd, off_t length) {
    REAL(int, "ftruncate", int, off_t)
    if (concerns(fd) && fails()) return refuse();
    return real(fd, length);
}

int ftruncate64(int fd, off64_t length) {
    return ftruncate(fd, (off_t)length);
}

int fsync(int fd) {
    REAL(int, "fsync", int)
    if (concerns(fd) && fails()) return refuse();
    return real(fd);
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", int)
    if (concerns(fd) && fails()) return refuse();
    return real(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(int, "clock_gettime", clockid_t, struct timespec *)
    int outcome = real(clock, now);
    if (outcome == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += control->clock_shift_secs;
    return outcome;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    REAL(int, "gettimeofday", struct timeval *, void *)
    int outcome = real(now, zone);
    if (outcome == 0 && now != NULL) now->tv_sec += control->clock_shift_secs;
    return outcome;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) *out = now.tv_sec;
    return now.tv_sec;
}
