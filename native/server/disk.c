/* SPDX-License-Identifier: MIT */
/* Group commit; see disk.h. Two arrays of entries change places under the mutex: the loop fills
 * `gathering` while the thread works through `writing`. The txnlog belongs to the thread from
 * disk_new until disk_stop has joined it.
 *
 * A failed write or sync is never retried (the kernel may have dropped the dirty pages and
 * would call a second fsync a success): the thread says which file and why and ends the
 * process, so nothing of the batch is ever acknowledged. */
#include "server/disk.h"

#include "base/mem.h"
#include "wire/errors.gen.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define EXIT_LOG_FAILED 74 /* EX_IOERR */
#define IDLE_AFTER_NS (20u * 1000 * 1000)
#define SYNC_WEIGHT 8 /* of the past in the usual time of a sync */

struct entry_list {
    struct replica_log_entry *items;
    size_t count, capacity;
};

struct disk {
    struct server *server;
    struct txnlog *log; /* the thread's */
    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t wake;
    uv_async_t async;
    /* Under the mutex. */
    struct entry_list gathering;
    int64_t durable_zxid;
    bool stop, sleeping;
    struct disk_figures figures;
    /* Hints, read without the mutex. */
    atomic_bool idle;
    atomic_uint_least64_t sync_ns;
    /* The thread's. */
    struct entry_list writing;
    bool idle_work; /* txnlog_idle has something to do */
    /* The loop's. */
    int64_t told_zxid;
    bool running; /* there is a thread to join */
};

_Noreturn static void disk_failed(struct disk *disk, const struct log_error *error)
{
    mk_trace(disk->server->trace, MK_LEVEL_ERROR, "log",
             "the transaction log cannot be written: %s; the process ends now, nothing of the "
             "last batch was acknowledged; restart it when the disk is in order",
             error->text);
    _exit(EXIT_LOG_FAILED);
}

static void count_sync(struct disk *disk, uint64_t started_ns, size_t entries)
{
    uint64_t elapsed_ns = uv_hrtime() - started_ns, elapsed_us = elapsed_ns / 1000;
    uint64_t usual_ns = atomic_load_explicit(&disk->sync_ns, memory_order_relaxed);
    usual_ns += elapsed_ns / SYNC_WEIGHT - usual_ns / SYNC_WEIGHT;
    atomic_store_explicit(&disk->sync_ns, usual_ns, memory_order_relaxed);
    int32_t warning_ms = disk->server->options.slow_sync_warning_ms;
    if (warning_ms > 0 && elapsed_us >= (uint64_t)warning_ms * 1000)
        mk_trace(disk->server->trace, MK_LEVEL_WARN, "log",
                 "syncing %zu log entries took %llu ms: the disk is slow, and every write waits "
                 "for it",
                 entries, (unsigned long long)(elapsed_us / 1000));
    uv_mutex_lock(&disk->mutex);
    disk->figures.sync_count++;
    disk->figures.sync_total_us += elapsed_us;
    disk->figures.sync_max_us = MK_MAX(disk->figures.sync_max_us, elapsed_us);
    uv_mutex_unlock(&disk->mutex);
}

static void write_batch(struct disk *disk)
{
    struct log_error error;
    uint64_t file_bytes_max = disk->server->options.log_file_bytes_max;
    for (size_t i = 0; i < disk->writing.count; i++) {
        const struct replica_log_entry *entry = &disk->writing.items[i];
        bool full = file_bytes_max > 0 && txnlog_file_bytes(disk->log) >= file_bytes_max;
        if ((entry->roll || full) && txnlog_roll(disk->log, &error) != 0)
            disk_failed(disk, &error);
        if (txnlog_append(disk->log, entry->zxid, entry->data, entry->length, &error) != 0)
            disk_failed(disk, &error);
    }
    uint64_t started_ns = uv_hrtime();
    if (txnlog_flush(disk->log, &error) != 0)
        disk_failed(disk, &error);
    count_sync(disk, started_ns, disk->writing.count);
    disk->idle_work = true;
}

/* With the mutex held: sleeps until there is work. The log's own chores (zeros ahead, its durable
 * mark) are done once nothing came for a while, so that they never stand before a write. */
static void wait_for_work(struct disk *disk)
{
    disk->sleeping = true;
    if (!disk->idle_work) {
        uv_cond_wait(&disk->wake, &disk->mutex);
    } else if (uv_cond_timedwait(&disk->wake, &disk->mutex, IDLE_AFTER_NS) == UV_ETIMEDOUT) {
        disk->sleeping = false;
        uv_mutex_unlock(&disk->mutex);
        struct log_error error;
        if (txnlog_idle(disk->log, &disk->idle_work, &error) != 0)
            disk_failed(disk, &error);
        uv_mutex_lock(&disk->mutex);
    }
    disk->sleeping = false;
}

static void run(void *argument)
{
    struct disk *disk = argument;
    pthread_setname_np(pthread_self(), "mk-log");
    uv_mutex_lock(&disk->mutex);
    for (;;) {
        if (disk->gathering.count == 0) {
            if (disk->stop)
                break;
            wait_for_work(disk);
            continue;
        }
        struct entry_list taken = disk->gathering;
        disk->gathering = disk->writing;
        disk->gathering.count = 0;
        disk->writing = taken;
        uv_mutex_unlock(&disk->mutex);
        write_batch(disk);
        uv_mutex_lock(&disk->mutex);
        disk->durable_zxid = disk->writing.items[disk->writing.count - 1].zxid;
        atomic_store_explicit(&disk->idle, disk->gathering.count == 0, memory_order_relaxed);
        uv_mutex_unlock(&disk->mutex);
        uv_async_send(&disk->async);
        uv_mutex_lock(&disk->mutex);
    }
    uv_mutex_unlock(&disk->mutex);
    struct log_error error;
    if (txnlog_close(disk->log, &error) != 0)
        disk_failed(disk, &error);
}

/* On the loop: tells the replica how far the log is durable. */
static void tell_durable(struct disk *disk)
{
    uv_mutex_lock(&disk->mutex);
    int64_t durable_zxid = disk->durable_zxid;
    uv_mutex_unlock(&disk->mutex);
    if (durable_zxid <= disk->told_zxid)
        return;
    disk->told_zxid = durable_zxid;
    struct replica_event event = {.type = REPLICA_DURABLE, .zxid = durable_zxid};
    server_feed(disk->server, &event);
}

static void on_durable(uv_async_t *async)
{
    tell_durable(async->data);
}

int disk_new(struct server *server, struct txnlog *log, struct disk **result)
{
    struct disk *disk = mk_calloc(1, sizeof *disk);
    disk->server = server;
    disk->log = log;
    disk->durable_zxid = disk->told_zxid = txnlog_durable_zxid(log);
    disk->idle_work = true;
    atomic_init(&disk->idle, true);
    atomic_init(&disk->sync_ns, 0);
    MK_ASSERT(uv_mutex_init(&disk->mutex) == 0);
    MK_ASSERT(uv_cond_init(&disk->wake) == 0);
    int error = uv_async_init(server->loop, &disk->async, on_durable);
    if (error == 0) {
        server_handle_opened(server);
        disk->async.data = disk;
        error = uv_thread_create(&disk->thread, run, disk);
        disk->running = error == 0;
        *result = disk; /* freed with the server, also after a failure */
        return error;
    }
    disk->log = NULL;
    disk_free(disk);
    return error;
}

void disk_submit(struct disk *disk, const struct replica_log_entry *entries, size_t count)
{
    if (count == 0)
        return;
    uv_mutex_lock(&disk->mutex);
    struct entry_list *list = &disk->gathering;
    if (list->count + count > list->capacity) {
        list->capacity = MK_MAX(list->capacity * 2, list->count + count);
        list->items = mk_realloc(list->items, list->capacity * sizeof *list->items);
    }
    memcpy(list->items + list->count, entries, count * sizeof *entries);
    list->count += count;
    bool wake = disk->sleeping;
    atomic_store_explicit(&disk->idle, false, memory_order_relaxed);
    uv_mutex_unlock(&disk->mutex);
    if (wake)
        uv_cond_signal(&disk->wake);
}

bool disk_is_idle(const struct disk *disk)
{
    return atomic_load_explicit(&disk->idle, memory_order_relaxed);
}

uint64_t disk_sync_ns(const struct disk *disk)
{
    return atomic_load_explicit(&disk->sync_ns, memory_order_relaxed);
}

void disk_stop(struct disk *disk)
{
    if (!disk->running)
        return;
    disk->running = false;
    uv_mutex_lock(&disk->mutex);
    disk->stop = true;
    uv_mutex_unlock(&disk->mutex);
    uv_cond_signal(&disk->wake);
    uv_thread_join(&disk->thread);
}

static void on_async_closed(uv_handle_t *handle)
{
    struct disk *disk = handle->data;
    server_handle_closed(disk->server);
}

void disk_close(struct disk *disk)
{
    uv_close((uv_handle_t *)&disk->async, on_async_closed);
}

void disk_free(struct disk *disk)
{
    if (!disk)
        return;
    uv_cond_destroy(&disk->wake);
    uv_mutex_destroy(&disk->mutex);
    txnlog_free(disk->log);
    mk_free(disk->gathering.items);
    mk_free(disk->writing.items);
    mk_free(disk);
}

void disk_figures(struct disk *disk, struct disk_figures *figures)
{
    uv_mutex_lock(&disk->mutex);
    *figures = disk->figures;
    uv_mutex_unlock(&disk->mutex);
}
