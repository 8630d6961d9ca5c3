/* SPDX-License-Identifier: MIT */
/* The real disk; see store_posix.h. All paths are relative to a directory descriptor, so a
 * directory that is renamed meanwhile stays the same one. Interrupted calls are repeated,
 * short writes carried on; a failed sync is never repeated. */
#include "server/store_posix.h"

#include "base/mem.h"
#include "wire/errors.gen.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LOCK_NAME "moonkeeper.lock"
#define ZEROS_BYTES (256u << 10)
#define BLOCK_BYTES 4096u /* a multiple of what all devices and file systems ask of O_DIRECT */
#define CALL_BYTES_MAX                                                                             \
    (1u << 30) /* one read or write call; the kernel's limit is just below 2 GiB */

struct posix_store {
    struct store store;
    int directory;
    int lock; /* -1: not taken */
    char *path;
    uint8_t *zeros_memory, *zeros; /* never touched, so they take no memory */
};

struct posix_file {
    struct store_file file;
    int descriptor;
    bool direct;         /* O_DIRECT is set */
    bool direct_refused; /* by the file system */
    int write_out_error; /* 0, or an errno that the next sync has to tell */
    char name[NAME_MAX + 1];
};

static struct posix_store *posix_of(struct store *store)
{
    return MK_CONTAINER_OF(store, struct posix_store, store);
}

static struct posix_file *posix_file_of(struct store_file *file)
{
    return MK_CONTAINER_OF(file, struct posix_file, file);
}

static int system_code(int system_error)
{
    switch (system_error) {
    case ENOENT:
        return MK_ERR_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
        return MK_ERR_NO_SPACE;
    default:
        return MK_ERR_IO;
    }
}

/* `what` completes "cannot ... PATH: system text". */
static int posix_fail(struct log_error *error, const char *what, const struct store *store,
                      const char *name, int system_error)
{
    char text[128];
    const char *message = strerror_r(system_error, text, sizeof text);
    return log_error_set(error, system_code(system_error), "cannot %s %s%s%s: %s", what,
                         store->path, name ? "/" : "", name ? name : "", message);
}

static int posix_fail_file(struct log_error *error, const char *what, const struct posix_file *file,
                           int system_error)
{
    return posix_fail(error, what, file->file.store, file->name, system_error);
}

static int posix_list(struct store *store, void (*each)(void *context, const char *name),
                      void *context, struct log_error *error)
{
    int descriptor = openat(posix_of(store)->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = descriptor < 0 ? NULL : fdopendir(descriptor);
    if (!directory) {
        int saved = errno;
        if (descriptor >= 0)
            close(descriptor);
        return posix_fail(error, "list", store, NULL, saved);
    }
    struct dirent *entry;
    errno = 0;
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_type == DT_REG || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN) {
            if (entry->d_name[0] != '.')
                each(context, entry->d_name);
        }
        errno = 0;
    }
    int saved = errno;
    closedir(directory);
    return saved ? posix_fail(error, "list", store, NULL, saved) : 0;
}

static int posix_open(struct store *store, const char *name, enum store_mode mode,
                      struct store_file **file, struct log_error *error)
{
    static const int flags[] = {O_RDONLY, O_RDWR | O_CREAT | O_EXCL, O_RDWR};
    static const char *const verbs[] = {"read", "create", "write"};
    MK_ASSERT(strlen(name) <= NAME_MAX);
    int descriptor;
    do
        descriptor = openat(posix_of(store)->directory, name, flags[mode] | O_CLOEXEC, 0640);
    while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0)
        return posix_fail(error, verbs[mode], store, name, errno);
    struct posix_file *opened = mk_calloc(1, sizeof *opened);
    opened->file.store = store;
    opened->descriptor = descriptor;
    memcpy(opened->name, name, strlen(name) + 1);
    *file = &opened->file;
    return 0;
}

static void posix_close(struct store_file *file)
{
    close(posix_file_of(file)->descriptor);
    mk_free(posix_file_of(file));
}

/* One descriptor for both ways of writing: a log file changes its way a few times in its life. */
static bool set_direct(struct posix_file *self, bool direct)
{
    if (self->direct == direct)
        return true;
    int flags = fcntl(self->descriptor, F_GETFL);
    if (flags < 0 ||
        fcntl(self->descriptor, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) < 0)
        return false;
    self->direct = direct;
    return true;
}

/* O_DIRECT for whole blocks in aligned memory, if the store is for that. */
static bool set_way(struct posix_file *self, uint64_t offset, const void *data, size_t size)
{
    bool blocks = self->file.store->block_bytes > 0 && !self->direct_refused &&
                  ((offset | size | (uintptr_t)data) & (BLOCK_BYTES - 1)) == 0;
    if (blocks && set_direct(self, true))
        return true;
    self->direct_refused |= blocks; /* it is buffered then */
    return set_direct(self, false);
}

/* The file system has other ideas of alignment, from the start or behind a short call: true if the
 * call may be tried again, through the page cache. */
static bool refuse_direct(struct posix_file *self, int system_error)
{
    if (!self->direct || system_error != EINVAL)
        return false;
    self->direct_refused = true;
    return set_direct(self, false);
}

static int64_t posix_read(struct store_file *file, uint64_t offset, void *data, size_t size,
                          struct log_error *error)
{
    struct posix_file *self = posix_file_of(file);
    size_t done = 0;
    if (!set_way(self, offset, data, size))
        return posix_fail_file(error, "read", self, errno);
    while (done < size) {
        size_t part = MK_MIN(size - done, CALL_BYTES_MAX);
        ssize_t got = pread(self->descriptor, (char *)data + done, part, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && refuse_direct(self, errno))
            continue;
        if (got < 0)
            return posix_fail_file(error, "read", self, errno);
        if (got == 0)
            break;
        done += (size_t)got;
        if (done % BLOCK_BYTES && !set_direct(self, false)) /* the end of the file, most likely */
            return posix_fail_file(error, "read", self, errno);
    }
    return (int64_t)done;
}

static int write_all(struct posix_file *self, uint64_t offset, const void *data, size_t size,
                     struct log_error *error)
{
    size_t done = 0;
    while (done < size) {
        size_t part = MK_MIN(size - done, CALL_BYTES_MAX);
        ssize_t put =
            pwrite(self->descriptor, (const char *)data + done, part, (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && refuse_direct(self, errno))
            continue;
        if (put <= 0)
            return posix_fail_file(error, "write", self, put < 0 ? errno : EIO);
        done += (size_t)put;
    }
    return 0;
}

static int posix_write(struct store_file *file, uint64_t offset, const void *data, size_t size,
                       struct log_error *error)
{
    struct posix_file *self = posix_file_of(file);
    if (!set_direct(self, false))
        return posix_fail_file(error, "write", self, errno);
    return write_all(self, offset, data, size, error);
}

static int posix_write_blocks(struct store_file *file, uint64_t offset, const void *data,
                              size_t size, struct log_error *error)
{
    struct posix_file *self = posix_file_of(file);
    MK_ASSERT(((offset | size | (uintptr_t)data) & (BLOCK_BYTES - 1)) == 0);
    if (!set_way(self, offset, data, size))
        return posix_fail_file(error, "write", self, errno);
    return write_all(self, offset, data, size, error);
}

static int posix_write_zeros(struct store_file *file, uint64_t offset, uint64_t size,
                             struct log_error *error)
{
    const uint8_t *zeros = posix_of(file->store)->zeros;
    while (size > 0) {
        size_t part = (size_t)MK_MIN(size, ZEROS_BYTES);
        size_t odd = offset % BLOCK_BYTES;
        if (odd > 0)
            part = MK_MIN(part, BLOCK_BYTES - odd);
        else if (part > BLOCK_BYTES)
            part -= part % BLOCK_BYTES;
        bool blocks = file->store->block_bytes > 0 && odd == 0 && part % BLOCK_BYTES == 0;
        int result = blocks ? posix_write_blocks(file, offset, zeros, part, error)
                            : posix_write(file, offset, zeros, part, error);
        if (result < 0)
            return result;
        offset += part;
        size -= part;
    }
    return 0;
}

static int posix_sync_data(struct store_file *file, struct log_error *error)
{
    struct posix_file *self = posix_file_of(file);
    if (self->write_out_error)
        return posix_fail_file(error, "write out", self, self->write_out_error);
    if (fdatasync(self->descriptor) < 0)
        return posix_fail_file(error, "make durable (fdatasync)", self, errno);
    return 0;
}

static int posix_sync_full(struct store_file *file, struct log_error *error)
{
    struct posix_file *self = posix_file_of(file);
    if (self->write_out_error)
        return posix_fail_file(error, "write out", self, self->write_out_error);
    if (fsync(self->descriptor) < 0)
        return posix_fail_file(error, "make durable (fsync)", self, errno);
    return 0;
}

static void posix_write_out(struct store_file *file, uint64_t offset, uint64_t size)
{
    struct posix_file *self = posix_file_of(file);
    /* The kernel tells a failed write once: after this, a sync would pass for good. */
    if (sync_file_range(self->descriptor, (off64_t)offset, (off64_t)size,
                        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                            SYNC_FILE_RANGE_WAIT_AFTER) < 0 &&
        (errno == EIO || errno == ENOSPC || errno == EDQUOT))
        self->write_out_error = errno;
}

static void posix_forget_cache(struct store_file *file)
{
    (void)posix_fadvise(posix_file_of(file)->descriptor, 0, 0, POSIX_FADV_DONTNEED);
}

static int posix_truncate(struct store_file *file, uint64_t size, struct log_error *error)
{
    struct posix_file *self = posix_file_of(file);
    int result;
    do
        result = ftruncate(self->descriptor, (off_t)size);
    while (result < 0 && errno == EINTR);
    return result < 0 ? posix_fail_file(error, "cut", self, errno) : 0;
}

static int64_t posix_size(struct store_file *file, struct log_error *error)
{
    struct posix_file *self = posix_file_of(file);
    struct stat status;
    if (fstat(self->descriptor, &status) < 0)
        return posix_fail_file(error, "read the size of", self, errno);
    return (int64_t)status.st_size;
}

static int posix_rename(struct store *store, const char *from, const char *to,
                        struct log_error *error)
{
    int directory = posix_of(store)->directory;
    if (renameat(directory, from, directory, to) < 0)
        return posix_fail(error, "rename", store, from, errno);
    return 0;
}

static int posix_remove(struct store *store, const char *name, struct log_error *error)
{
    if (unlinkat(posix_of(store)->directory, name, 0) < 0)
        return posix_fail(error, "remove", store, name, errno);
    return 0;
}

static int posix_sync_directory(struct store *store, struct log_error *error)
{
    if (fsync(posix_of(store)->directory) < 0)
        return posix_fail(error, "make durable (fsync)", store, NULL, errno);
    return 0;
}

/* Leaves the holder's process id in the file, for the message of the second one. */
static int posix_lock(struct store *store, struct log_error *error)
{
    struct posix_store *self = posix_of(store);
    MK_ASSERT(self->lock < 0);
    int descriptor = openat(self->directory, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (descriptor < 0)
        return posix_fail(error, "lock", store, LOCK_NAME, errno);
    if (flock(descriptor, LOCK_EX | LOCK_NB) < 0) {
        int saved = errno;
        char holder[32] = "";
        ssize_t got = pread(descriptor, holder, sizeof holder - 1, 0);
        holder[got > 0 ? (size_t)got : 0] = '\0';
        holder[strcspn(holder, "\n")] = '\0';
        close(descriptor);
        if (saved != EWOULDBLOCK)
            return posix_fail(error, "lock", store, LOCK_NAME, saved);
        return log_error_set(error, MK_ERR_LOCKED,
                             "%s is in use by another process%s%s: stop that one first",
                             store->path, *holder ? ", pid " : "", holder);
    }
    self->lock = descriptor;
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(descriptor, 0) < 0 || pwrite(descriptor, text, (size_t)length, 0) < 0)
        return posix_fail(error, "write", store, LOCK_NAME, errno);
    return 0;
}

static int64_t posix_free_space(struct store *store, struct log_error *error)
{
    struct statvfs status;
    if (fstatvfs(posix_of(store)->directory, &status) < 0)
        return posix_fail(error, "read the free space of", store, NULL, errno);
    uint64_t bytes = (uint64_t)status.f_bavail * (uint64_t)status.f_frsize;
    return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

static const struct store_calls posix_calls = {
    .list = posix_list,
    .open = posix_open,
    .close = posix_close,
    .read = posix_read,
    .write = posix_write,
    .write_blocks = posix_write_blocks,
    .write_zeros = posix_write_zeros,
    .sync_data = posix_sync_data,
    .sync_full = posix_sync_full,
    .write_out = posix_write_out,
    .forget_cache = posix_forget_cache,
    .truncate = posix_truncate,
    .size = posix_size,
    .rename = posix_rename,
    .remove = posix_remove,
    .sync_directory = posix_sync_directory,
    .lock = posix_lock,
    .free_space = posix_free_space,
};

static int sync_parent(const char *path)
{
    char *parent = mk_string_copy(path, strlen(path));
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent ? 1 : 0] = '\0';
    int descriptor = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mk_free(parent);
    if (descriptor < 0)
        return -1;
    int result = fsync(descriptor);
    int saved = errno;
    close(descriptor);
    errno = saved;
    return result;
}

/* mkdir -p, each new level synced in its parent. */
static int make_directories(char *path)
{
    for (char *p = path + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char saved = *p;
        *p = '\0';
        int result = mkdir(path, 0750);
        if (result == 0)
            result = sync_parent(path);
        else if (errno == EEXIST)
            result = 0;
        *p = saved;
        if (result < 0)
            return -1;
        if (!saved)
            return 0;
    }
}

int store_posix_open(const char *path, bool create, struct store **store, struct log_error *error)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    struct posix_store *self = mk_calloc(1, sizeof *self);
    self->path = mk_string_copy(path, length);
    self->store.calls = &posix_calls;
    self->store.path = self->path;
    self->directory = self->lock = -1;
    int result = 0;
    if (create && length && make_directories(self->path) < 0)
        result = posix_fail(error, "create the directory", &self->store, NULL, errno);
    if (result == 0) {
        self->directory = open(self->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (self->directory < 0)
            result = posix_fail(error, "open the directory", &self->store, NULL, errno);
    }
    if (result < 0) {
        store_posix_free(&self->store);
        return result;
    }
    self->zeros_memory = mk_calloc(1, ZEROS_BYTES + BLOCK_BYTES);
    self->zeros = self->zeros_memory + BLOCK_BYTES - (uintptr_t)self->zeros_memory % BLOCK_BYTES;
    *store = &self->store;
    return 0;
}

void store_posix_direct(struct store *store)
{
    store->block_bytes = BLOCK_BYTES;
}

void store_posix_free(struct store *store)
{
    if (!store)
        return;
    struct posix_store *self = posix_of(store);
    if (self->directory >= 0)
        close(self->directory);
    if (self->lock >= 0)
        close(self->lock);
    mk_free(self->zeros_memory);
    mk_free(self->path);
    mk_free(self);
}
