/* A disk that tells what it was asked to do, and that can fail.
 *
 * Preloaded, it looks at what is written to files whose path begins with $DISK_PATH.
 *   $DISK_JOURNAL: every write, truncation, sync and removal is appended to this file, in the order in which they happened:
 *       one line "W <path> <offset> <length>\n" followed by the bytes, "T <path> <length>\n", "S <path>\n", "U <path>\n".
 *   $DISK_FAULT: while this file exists, writes and syncs fail with the errno that stands in it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static ssize_t raw_write(int fd, const void *data, size_t size) {
    REAL(write);
    return real(fd, data, size);
}

/* Whether the file is one of those that are looked at; its path is then in `path`. */
static int watched(int fd, char *path, size_t size) {
    const char *prefix = getenv("DISK_PATH");
    char link[64];
    if (!prefix) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return strncmp(path, prefix, strlen(prefix)) == 0 && !strstr(path, "-shm");
}

static int fault(void) {
    const char *where = getenv("DISK_FAULT");
    char text[16] = {0};
    if (!where) return 0;
    int fd = open(where, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    return got > 0 ? atoi(text) : 0;
}

static void note(const char *head, const void *data, size_t size) {
    const char *where = getenv("DISK_JOURNAL");
    if (!where) return;
    if (journal < 0) journal = open(where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (raw_write(journal, head, strlen(head)) < 0 || (size && raw_write(journal, data, size) < 0)) abort();
}

static ssize_t writing(int fd, const void *data, size_t size, off_t at, ssize_t (*act)(int, const void *, size_t, off_t)) {
    char path[4096], head[4200];
    if (!watched(fd, path, sizeof path)) return act(fd, data, size, at);
    int error = fault();
    if (error) { errno = error; return -1; }
    pthread_mutex_lock(&lock);
    off_t place = at >= 0 ? at : lseek(fd, 0, SEEK_CUR);
    ssize_t done = act(fd, data, size, at);
    if (done > 0) {
        snprintf(head, sizeof head, "W %s %lld %zd\n", path, (long long)place, done);
        note(head, data, (size_t)done);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

static ssize_t act_write(int fd, const void *data, size_t size, off_t at) { (void)at; return raw_write(fd, data, size); }
static ssize_t act_pwrite(int fd, const void *data, size_t size, off_t at) { REAL(pwrite); return real(fd, data, size, at); }

ssize_t write(int fd, const void *data, size_t size) { return writing(fd, data, size, -1, act_write); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return writing(fd, data, size, at, act_pwrite); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return writing(fd, data, size, at, act_pwrite); }

static int done_to(int fd, const char *head, int (*act)(int, off_t), off_t length) {
    char path[4096], line[4200];
    if (!watched(fd, path, sizeof path)) return act(fd, length);
    int error = fault();
    if (error) { errno = error; return -1; }
    pthread_mutex_lock(&lock);
    int result = act(fd, length);
    if (result == 0) {
        if (*head == 'T') snprintf(line, sizeof line, "T %s %lld\n", path, (long long)length);
        else snprintf(line, sizeof line, "S %s\n", path);
        note(line, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static int act_truncate(int fd, off_t length) { REAL(ftruncate); return real(fd, length); }
static int act_sync(int fd, off_t length) { (void)length; REAL(fsync); return real(fd); }
static int act_datasync(int fd, off_t length) { (void)length; REAL(fdatasync); return real(fd); }

int ftruncate(int fd, off_t length) { return done_to(fd, "T", act_truncate, length); }
int ftruncate64(int fd, off64_t length) { return done_to(fd, "T", act_truncate, length); }
int fsync(int fd) { return done_to(fd, "S", act_sync, 0); }
int fdatasync(int fd) { return done_to(fd, "S", act_datasync, 0); }

int unlink(const char *path) {
    REAL(unlink);
    const char *prefix = getenv("DISK_PATH");
    char line[4200];
    pthread_mutex_lock(&lock);
    int result = real(path);
    if (result == 0 && prefix && strncmp(path, prefix, strlen(prefix)) == 0) {
        snprintf(line, sizeof line, "U %s\n", path);
        note(line, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}
