/* SPDX-License-Identifier: MIT */
/* Preparing log files ahead; see store_ahead.h. The thread makes `moonkeeper.spare.tmp`; creating
 * a file renames it instead, and zeros that are asked for where zeros are already cost nothing.
 * Trouble in the thread (a full disk) only means that nothing is prepared for a while. */
#include "server/store_ahead.h"

#include "base/mem.h"
#include "wire/errors.gen.h"

#include <pthread.h>
#include <sys/resource.h>
#include <uv.h>

#define SPARE_NAME "moonkeeper.spare.tmp"
/* Synced in steps: smaller ones disturb the log's own syncs by their number, larger ones by their
 * size. */
#define STEP_BYTES ((uint64_t)4 << 20)
#define FREE_SPACE_FACTOR 4
#define RETRY_AFTER_NS (60ull * 1000 * 1000 * 1000)
#define NICENESS 5

enum spare_state { SPARE_NONE, SPARE_WANTED, SPARE_READY };

struct ahead_file {
    struct store_file base;
    struct store_file *inner;
};

struct ahead {
    struct store base;
    struct store *inner;
    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t wake;
    bool running;
    /* Under the mutex. */
    bool stop;
    enum spare_state state;
    uint64_t spare_bytes;
    uint64_t retry_at_ns;
    /* The log thread's. */
    struct ahead_file *newest; /* created last; NULL once it is closed */
    uint64_t zeroed;           /* its bytes are zero from the last write up to here */
};

static struct ahead *ahead_of(struct store *store)
{
    return MK_CONTAINER_OF(store, struct ahead, base);
}

static struct ahead_file *file_of(struct store_file *file)
{
    return MK_CONTAINER_OF(file, struct ahead_file, base);
}

/* --- the thread ---------------------------------------------------------------------------------
 */

static bool is_stopping(struct ahead *ahead)
{
    uv_mutex_lock(&ahead->mutex);
    bool stop = ahead->stop;
    uv_mutex_unlock(&ahead->mutex);
    return stop;
}

static int fill(struct ahead *ahead, struct store_file *file, uint64_t bytes)
{
    int code = 0;
    for (uint64_t at = 0; at < bytes && code == 0; at += STEP_BYTES) {
        if (is_stopping(ahead))
            return MK_ERR_CANCELLED;
        code = store_write_zeros(file, at, MK_MIN(STEP_BYTES, bytes - at), NULL);
        if (code == 0)
            code = store_sync_data(file, NULL);
    }
    return code == 0 ? store_sync_full(file, NULL) : code;
}

static int make_spare(struct ahead *ahead, uint64_t bytes)
{
    int64_t space = store_free_space(ahead->inner, NULL);
    if (space < 0 || (uint64_t)space < bytes * FREE_SPACE_FACTOR)
        return MK_ERR_NO_SPACE;
    (void)store_remove(ahead->inner, SPARE_NAME, NULL);
    struct store_file *file;
    int code = store_open(ahead->inner, SPARE_NAME, STORE_CREATE, &file, NULL);
    if (code != 0)
        return code;
    code = fill(ahead, file, bytes);
    store_close(file);
    if (code != 0)
        (void)store_remove(ahead->inner, SPARE_NAME, NULL);
    return code;
}

static void run(void *argument)
{
    struct ahead *ahead = argument;
    pthread_setname_np(pthread_self(), "mk-ahead");
    (void)setpriority(PRIO_PROCESS, 0, NICENESS);
    uv_mutex_lock(&ahead->mutex);
    while (!ahead->stop) {
        if (ahead->state != SPARE_WANTED) {
            uv_cond_wait(&ahead->wake, &ahead->mutex);
            continue;
        }
        uint64_t bytes = ahead->spare_bytes;
        uv_mutex_unlock(&ahead->mutex);
        int code = make_spare(ahead, bytes);
        uv_mutex_lock(&ahead->mutex);
        ahead->state = code == 0 ? SPARE_READY : SPARE_NONE;
        ahead->retry_at_ns = code == 0 ? 0 : uv_hrtime() + RETRY_AFTER_NS;
    }
    uv_mutex_unlock(&ahead->mutex);
}

void store_ahead_want(struct store *store, uint64_t bytes)
{
    struct ahead *ahead = ahead_of(store);
    if (!ahead->running) {
        if (uv_thread_create(&ahead->thread, run, ahead) != 0)
            return; /* it goes without */
        ahead->running = true;
    }
    uv_mutex_lock(&ahead->mutex);
    if (ahead->state == SPARE_NONE && uv_hrtime() >= ahead->retry_at_ns) {
        ahead->state = SPARE_WANTED;
        ahead->spare_bytes = bytes;
        uv_cond_signal(&ahead->wake);
    }
    uv_mutex_unlock(&ahead->mutex);
}

bool store_ahead_is_ready(struct store *store)
{
    struct ahead *ahead = ahead_of(store);
    uv_mutex_lock(&ahead->mutex);
    bool ready = ahead->state == SPARE_READY;
    uv_mutex_unlock(&ahead->mutex);
    return ready;
}

uint64_t store_ahead_room(struct store *store, uint64_t position)
{
    const struct ahead *ahead = ahead_of(store);
    return ahead->newest && ahead->zeroed > position ? ahead->zeroed - position : 0;
}

/* --- the store
 * ------------------------------------------------------------------------------------- */

/* Gives the prepared file the wanted name; true if there was one. */
static bool take_spare(struct ahead *ahead, const char *name)
{
    uv_mutex_lock(&ahead->mutex);
    bool taken =
        ahead->state == SPARE_READY && store_rename(ahead->inner, SPARE_NAME, name, NULL) == 0;
    if (ahead->state == SPARE_READY)
        ahead->state = SPARE_NONE;
    ahead->zeroed = taken ? ahead->spare_bytes : 0;
    uv_mutex_unlock(&ahead->mutex);
    return taken;
}

static int ahead_list(struct store *store, void (*each)(void *context, const char *name),
                      void *context, struct log_error *error)
{
    return store_list(ahead_of(store)->inner, each, context, error);
}

static int ahead_open(struct store *store, const char *name, enum store_mode mode,
                      struct store_file **file, struct log_error *error)
{
    struct ahead *ahead = ahead_of(store);
    enum store_mode inner_mode = mode;
    if (mode == STORE_CREATE && take_spare(ahead, name))
        inner_mode = STORE_UPDATE;
    struct store_file *inner;
    int code = store_open(ahead->inner, name, inner_mode, &inner, error);
    if (code != 0)
        return code;
    struct ahead_file *opened = mk_calloc(1, sizeof *opened);
    opened->base.store = store;
    opened->inner = inner;
    if (mode == STORE_CREATE)
        ahead->newest = opened;
    *file = &opened->base;
    return 0;
}

static void ahead_close(struct store_file *file)
{
    struct ahead *ahead = ahead_of(file->store);
    if (ahead->newest == file_of(file))
        ahead->newest = NULL;
    store_close(file_of(file)->inner);
    mk_free(file_of(file));
}

static int64_t ahead_read(struct store_file *file, uint64_t offset, void *data, size_t size,
                          struct log_error *error)
{
    return store_read(file_of(file)->inner, offset, data, size, error);
}

static int ahead_write(struct store_file *file, uint64_t offset, const void *data, size_t size,
                       struct log_error *error)
{
    return store_write(file_of(file)->inner, offset, data, size, error);
}

static int ahead_write_blocks(struct store_file *file, uint64_t offset, const void *data,
                              size_t size, struct log_error *error)
{
    return store_write_blocks(file_of(file)->inner, offset, data, size, error);
}

/* The log asks for zeros behind all that it has written: where a prepared file has them, there is
 * nothing to do. */
static int ahead_write_zeros(struct store_file *file, uint64_t offset, uint64_t size,
                             struct log_error *error)
{
    struct ahead *ahead = ahead_of(file->store);
    bool newest = ahead->newest == file_of(file);
    uint64_t end = offset + size;
    if (newest && ahead->zeroed > offset) {
        offset = MK_MIN(ahead->zeroed, end);
        size = end - offset;
    }
    if (size == 0)
        return 0;
    int code = store_write_zeros(file_of(file)->inner, offset, size, error);
    if (code == 0 && newest)
        ahead->zeroed = MK_MAX(ahead->zeroed, end);
    return code;
}

static int ahead_sync_data(struct store_file *file, struct log_error *error)
{
    return store_sync_data(file_of(file)->inner, error);
}

static int ahead_sync_full(struct store_file *file, struct log_error *error)
{
    return store_sync_full(file_of(file)->inner, error);
}

static void ahead_write_out(struct store_file *file, uint64_t offset, uint64_t size)
{
    store_write_out(file_of(file)->inner, offset, size);
}

static void ahead_forget_cache(struct store_file *file)
{
    store_forget_cache(file_of(file)->inner);
}

static int ahead_truncate(struct store_file *file, uint64_t size, struct log_error *error)
{
    struct ahead *ahead = ahead_of(file->store);
    if (ahead->newest == file_of(file))
        ahead->zeroed = MK_MIN(ahead->zeroed, size);
    return store_truncate(file_of(file)->inner, size, error);
}

static int64_t ahead_size(struct store_file *file, struct log_error *error)
{
    return store_size(file_of(file)->inner, error);
}

static int ahead_rename(struct store *store, const char *from, const char *to,
                        struct log_error *error)
{
    return store_rename(ahead_of(store)->inner, from, to, error);
}

static int ahead_remove(struct store *store, const char *name, struct log_error *error)
{
    return store_remove(ahead_of(store)->inner, name, error);
}

static int ahead_sync_directory(struct store *store, struct log_error *error)
{
    return store_sync_directory(ahead_of(store)->inner, error);
}

static int ahead_lock(struct store *store, struct log_error *error)
{
    return store_lock(ahead_of(store)->inner, error);
}

static int64_t ahead_free_space(struct store *store, struct log_error *error)
{
    return store_free_space(ahead_of(store)->inner, error);
}

static const struct store_calls ahead_calls = {
    .list = ahead_list,
    .open = ahead_open,
    .close = ahead_close,
    .read = ahead_read,
    .write = ahead_write,
    .write_blocks = ahead_write_blocks,
    .write_zeros = ahead_write_zeros,
    .sync_data = ahead_sync_data,
    .sync_full = ahead_sync_full,
    .write_out = ahead_write_out,
    .forget_cache = ahead_forget_cache,
    .truncate = ahead_truncate,
    .size = ahead_size,
    .rename = ahead_rename,
    .remove = ahead_remove,
    .sync_directory = ahead_sync_directory,
    .lock = ahead_lock,
    .free_space = ahead_free_space,
};

struct store *store_ahead_new(struct store *inner)
{
    struct ahead *ahead = mk_calloc(1, sizeof *ahead);
    ahead->base.calls = &ahead_calls;
    ahead->base.path = inner->path;
    ahead->base.block_bytes = inner->block_bytes;
    ahead->inner = inner;
    MK_ASSERT(uv_mutex_init(&ahead->mutex) == 0);
    MK_ASSERT(uv_cond_init(&ahead->wake) == 0);
    return &ahead->base;
}

void store_ahead_free(struct store *store)
{
    if (!store)
        return;
    struct ahead *ahead = ahead_of(store);
    if (ahead->running) {
        uv_mutex_lock(&ahead->mutex);
        ahead->stop = true;
        uv_cond_signal(&ahead->wake);
        uv_mutex_unlock(&ahead->mutex);
        uv_thread_join(&ahead->thread);
        if (ahead->state == SPARE_READY)
            (void)store_remove(ahead->inner, SPARE_NAME, NULL);
    }
    uv_cond_destroy(&ahead->wake);
    uv_mutex_destroy(&ahead->mutex);
    mk_free(ahead);
}
