/* Remembers what a power cut would leave of a directory. To be preloaded into the programs that write there.
 *
 * What fsync or fdatasync has not brought to the disk is lost: of a file that is synced, the content of that moment is
 * copied; of a directory that is synced, its names. tests/power_cut.py puts together what is left. A real disk may have
 * kept more, never less.
 *
 * POWER_CUT_OF names the directory, POWER_CUT_KEPT another one for the copies. Nothing is really synced there, so that the
 * speed of the disk does not matter. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A copy that is not made would look like a loss, or hide one. */
static void demand(int good, const char *what) {
    if (!good) {
        perror(what);
        abort();
    }
}

/* 0: elsewhere; 1: the directory itself; 2: something in it. */
static int place(int fd, const char *directory) {
    char link[64], path[PATH_MAX];
    size_t length = strlen(directory);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t found = readlink(link, path, sizeof path - 1);
    if (found < 0)
        return 0;
    path[found] = 0;
    if (strncmp(path, directory, length))
        return 0;
    return path[length] == '/' ? 2 : !path[length];
}

/* The file of a copy; 0 where the name has just been removed. The number of an inode is used again after a file was
 * removed, with another time of birth. */
static int name_copy(char *to, size_t size, int directory, const char *name) {
    struct statx found;
    int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
    if (statx(directory, name, flags, STATX_BASIC_STATS | STATX_BTIME, &found)) {
        demand(errno == ENOENT, "statx");
        return 0;
    }
    snprintf(to, size, "%llu-%lld-%u%s", (unsigned long long)found.stx_ino, (long long)found.stx_btime.tv_sec,
             found.stx_btime.tv_nsec, S_ISDIR(found.stx_mode) ? ".names" : "");
    return 1;
}

static void copy_names(int fd, FILE *to) {
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY);
    demand(own >= 0, "openat");
    DIR *directory = fdopendir(own);
    demand(directory != NULL, "fdopendir");
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) {
            char copy[128];
            if (name_copy(copy, sizeof copy, own, entry->d_name))
                fprintf(to, "%s %s\n", copy, entry->d_name);
        }
    closedir(directory);
}

/* Through the descriptor that is synced, if it can be read from, as SQLite's can: to close another one of the same file
 * would drop the locks that SQLite has on it. */
static void copy_content(int fd, FILE *to) {
    char buffer[65536], link[64];
    ssize_t n;
    int own = -1;
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        own = fd = open(link, O_RDONLY | O_CLOEXEC);
        demand(own >= 0, "open");
    }
    for (off_t at = 0; (n = pread(fd, buffer, sizeof buffer, at)) != 0; at += n) {
        demand(n > 0, "pread");
        fwrite(buffer, 1, (size_t)n, to);
    }
    if (own >= 0)
        close(own);
}

static int sync_or_keep(int fd, long real) {
    const char *of = getenv("POWER_CUT_OF"), *kept = getenv("POWER_CUT_KEPT");
    int where = of && kept ? place(fd, of) : 0;
    if (!where)
        return (int)syscall(real, fd);
    char copy[128] = "root.names", path[PATH_MAX], draft[PATH_MAX];
    struct stat status;
    demand(!fstat(fd, &status), "fstat");
    if (where == 2)
        demand(name_copy(copy, sizeof copy, fd, ""), "statx");

    /* One at a time, of all threads and processes: an older copy must not take the place of a newer one. */
    snprintf(path, sizeof path, "%s/lock", kept);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    demand(lock >= 0 && !flock(lock, LOCK_EX), "lock");
    snprintf(path, sizeof path, "%s/%s", kept, copy);
    snprintf(draft, sizeof draft, "%s/draft", kept);
    FILE *to = fopen(draft, "we");
    demand(to != NULL, "fopen");
    if (S_ISDIR(status.st_mode))
        copy_names(fd, to);
    else
        copy_content(fd, to);
    demand(!ferror(to) && !fclose(to) && !rename(draft, path), "copy");
    close(lock);
    return 0;
}

int fsync(int fd) { return sync_or_keep(fd, SYS_fsync); }

int fdatasync(int fd) { return sync_or_keep(fd, SYS_fdatasync); }
