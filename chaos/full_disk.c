/* A disk that is full whenever a certain file exists, where no small file system can be mounted. To be preloaded into the
 * programs that write there.
 *
 * FULL_DISK_OF names the directory, FULL_DISK_WHILE the file. What would write to a file in the directory then fails with
 * ENOSPC, also where the file would not grow: a real disk can be as full as that when it copies on write. */

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int full(int fd) {
    const char *directory = getenv("FULL_DISK_OF"), *file = getenv("FULL_DISK_WHILE");
    char link[64], path[PATH_MAX];
    if (!directory || !file || access(file, F_OK))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t found = readlink(link, path, sizeof path - 1);
    if (found < 0)
        return 0;
    path[found] = 0;
    size_t length = strlen(directory);
    if (strncmp(path, directory, length) || path[length] != '/')
        return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t write(int fd, const void *from, size_t size) { return full(fd) ? -1 : syscall(SYS_write, fd, from, size); }

ssize_t pwrite(int fd, const void *from, size_t size, off_t at) {
    return full(fd) ? -1 : syscall(SYS_pwrite64, fd, from, size, at);
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
    return full(fd) ? -1 : syscall(SYS_pwrite64, fd, from, size, at);
}
