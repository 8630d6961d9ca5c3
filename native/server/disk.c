/* SPDX-License-Identifier: MIT */
/* Group commit; see disk.h. Two arrays of entries change places under the mutex: the loop fills
 * `gathering` while the thread works through `writing`. The txnlog belongs to the thread from
 * disk_new until disk_stop has joined it, except while the thread sleeps on its condition: then
 * it belongs to whoever holds the mutex.
 *
 * A failed write or sync is never retried (the kernel may have dropped the dirty pages and
 * would call a second fsync a success): the thread says which file and why and ends the
 * process, so nothing of the batch is ever acknowledged. */
#include "server/disk_int.h"

#include "base/mem.h"
#include "server/store_ahead.h"
#include "wire/errors.gen.h"

#include <pthread.h>
#include <unistd.h>

#define EXIT_LOG_FAILED 74 /* EX_IOERR */
#define IDLE_AFTER_NS (20u * 1000 * 1000)
/* The next log file is prepared once the current one is worth it. One that is used up sooner
 * than AHEAD_SHORT_NS is followed by one of twice the size. */
#define AHEAD_FROM_BYTES ((uint64_t)256 << 10)
#define AHEAD_BYTES_MIN ((uint64_t)8 << 20)
#define AHEAD_BYTES_MAX ((uint64_t)64 << 20)
#define AHEAD_SHORT_NS (10ull * 1000 * 1000 * 1000)
/* The loop writes itself only while a sync takes less than HERE_USUAL_NS as a rule; one beyond
 * HERE_SLOW_NS sends all writes to the thread for HERE_AVOID_NS. */
#define HERE_USUAL_NS (1000u * 1000)
#define HERE_SLOW_NS (20u * 1000 * 1000)
#define HERE_AVOID_NS (1000u * 1000 * 1000)
#define USUAL_WEIGHT 16      /* of the past in the usual time */
#define ENTRY_EXTRA_BYTES 96 /* more than what the log adds to an entry */

void disk_failed(const struct disk *disk, const char *what, const struct log_error *error)
{
    mk_trace(disk->server->trace, MK_LEVEL_ERROR, "log",
             "%s: %s; the process ends now, nothing of it was acknowledged; restart it when the "
             "disk is in order",
             what, error->text);
    _exit(EXIT_LOG_FAILED);
}

/* Of the log, as a rule. */
_Noreturn static void write_failed(const struct disk *disk, const struct log_error *error)
{
    disk_failed(disk, "the transaction log cannot be written", error);
}

void disk_count_sync(struct disk *disk, uint64_t elapsed_ns, size_t entries)
{
    disk->written_at_ns = uv_hrtime();
    mk_histogram_add(&disk->figures.sync_us, elapsed_ns / 1000);
    mk_summary_add(&disk->figures.sync_batch, entries);
    disk->usual_ns += elapsed_ns / USUAL_WEIGHT - disk->usual_ns / USUAL_WEIGHT;
    if (elapsed_ns > HERE_SLOW_NS)
        disk->slow_at_ns = disk->written_at_ns;
}

static void warn_if_slow(const struct disk *disk, uint64_t elapsed_ns, size_t entries)
{
    int32_t warning_ms = disk->server->options.slow_sync_warning_ms;
    if (warning_ms > 0 && elapsed_ns / 1000000 >= (uint64_t)warning_ms)
        mk_trace(disk->server->trace, MK_LEVEL_WARN, "log",
                 "syncing %zu log entries took %llu ms: the disk is slow, and every write waits "
                 "for it",
                 entries, (unsigned long long)(elapsed_ns / 1000000));
}

/* `full`: because the file's prepared blocks are used up, not because the replica wants it. */
static void roll(struct disk *disk, bool full)
{
    struct log_error error;
    uint64_t now_ns = uv_hrtime(), used_bytes = txnlog_file_bytes(disk->log);
    if (!full)
        disk->ahead_bytes = used_bytes + used_bytes / 4;
    else if (now_ns - disk->rolled_at_ns < AHEAD_SHORT_NS)
        disk->ahead_bytes = MK_MAX(used_bytes, disk->ahead_bytes) * 2;
    disk->ahead_bytes = MK_MAX(MK_MIN(disk->ahead_bytes, AHEAD_BYTES_MAX), AHEAD_BYTES_MIN);
    disk->rolled_at_ns = now_ns;
    if (txnlog_roll(disk->log, &error) != 0)
        write_failed(disk, &error);
}

/* Rather goes on in a prepared file than waits for the growth of this one. */
static bool is_full(const struct disk *disk, const struct replica_log_entry *entries, size_t count)
{
    struct store *ahead = disk->server->log_ahead;
    uint64_t file_bytes = txnlog_file_bytes(disk->log), batch_bytes = 0;
    if (!ahead || file_bytes < AHEAD_FROM_BYTES)
        return false;
    for (size_t i = 0; i < count; i++)
        batch_bytes += entries[i].length + ENTRY_EXTRA_BYTES;
    return store_ahead_room(ahead, file_bytes) < batch_bytes && store_ahead_is_ready(ahead);
}

static bool wants_roll(const struct disk *disk, const struct replica_log_entry *entry)
{
    uint64_t file_bytes_max = disk->server->options.log_file_bytes_max;
    return entry->roll || (file_bytes_max > 0 && txnlog_file_bytes(disk->log) >= file_bytes_max);
}

/* A new file costs more syncs than the loop should wait for. */
static bool wants_roll_within(const struct disk *disk, const struct replica_log_entry *entries,
                              size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (wants_roll(disk, &entries[i]))
            return true;
    }
    return false;
}

uint64_t disk_write_batch(struct disk *disk, const struct replica_log_entry *entries, size_t count)
{
    struct log_error error;
    if (is_full(disk, entries, count))
        roll(disk, true);
    for (size_t i = 0; i < count; i++) {
        if (wants_roll(disk, &entries[i]))
            roll(disk, false);
        if (txnlog_append(disk->log, entries[i].zxid, entries[i].data, entries[i].length, &error) !=
            0)
            write_failed(disk, &error);
    }
    uint64_t started_ns = uv_hrtime();
    if (txnlog_flush(disk->log, &error) != 0)
        write_failed(disk, &error);
    uint64_t elapsed_ns = uv_hrtime() - started_ns;
    warn_if_slow(disk, elapsed_ns, count);
    if (disk->server->log_ahead && txnlog_file_bytes(disk->log) >= AHEAD_FROM_BYTES)
        store_ahead_want(disk->server->log_ahead, disk->ahead_bytes);
    disk->idle_work = true;
    return elapsed_ns;
}

/* With the mutex held: sleeps until there is work. The log's own chores (zeros ahead, its durable
 * mark) are done once nothing came for a while, so that they never stand before a write. */
static void wait_for_work(struct disk *disk)
{
    disk->sleeping = true;
    if (!disk->idle_work) {
        uv_cond_wait(&disk->wake, &disk->mutex);
    } else if (uv_cond_timedwait(&disk->wake, &disk->mutex, IDLE_AFTER_NS) == UV_ETIMEDOUT &&
               uv_hrtime() - disk->written_at_ns >= IDLE_AFTER_NS) {
        disk->sleeping = false;
        uv_mutex_unlock(&disk->mutex);
        struct log_error error;
        if (!disk->log) /* until the leader's tree is here */
            disk->idle_work = false;
        else if (txnlog_idle(disk->log, &disk->idle_work, &error) != 0)
            write_failed(disk, &error);
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
            if (disk_steps_wait(disk)) {
                disk_steps_perform(disk);
                continue;
            }
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
        uint64_t elapsed_ns = disk_write_batch(disk, taken.items, taken.count);
        uv_mutex_lock(&disk->mutex);
        disk_count_sync(disk, elapsed_ns, disk->writing.count);
        disk->durable_zxid = disk->writing.items[disk->writing.count - 1].zxid;
        uv_mutex_unlock(&disk->mutex);
        uv_async_send(&disk->async);
        uv_mutex_lock(&disk->mutex);
    }
    uv_mutex_unlock(&disk->mutex);
    disk_snapshot_drop(disk);
    struct log_error error;
    if (disk->log && txnlog_close(disk->log, &error) != 0)
        write_failed(disk, &error);
}

/* On the loop: tells the replica how far the log is durable, and zab which steps are done. */
static void on_durable(uv_async_t *async)
{
    struct disk *disk = async->data;
    uv_mutex_lock(&disk->mutex);
    int64_t durable_zxid = disk->durable_zxid;
    uint64_t ticket = disk->done_ticket;
    bool drained = disk->received.drained;
    disk->received.drained = false;
    uv_mutex_unlock(&disk->mutex);
    if (durable_zxid > disk->told_zxid) {
        disk->told_zxid = durable_zxid;
        struct replica_event event = {.type = REPLICA_DURABLE, .zxid = durable_zxid};
        server_feed(disk->server, &event);
    }
    if (ticket > disk->told_ticket) {
        disk->told_ticket = ticket;
        disk->listener.ticket_done(disk->listener.context, ticket);
    }
    if (drained)
        disk->listener.snapshot_drained(disk->listener.context);
}

int disk_new(struct server *server, struct txnlog *log, struct disk **result)
{
    struct disk *disk = mk_calloc(1, sizeof *disk);
    disk->server = server;
    disk->log = log;
    disk->durable_zxid = disk->told_zxid = log ? txnlog_durable_zxid(log) : 0;
    disk->idle_work = true;
    disk->ahead_bytes = AHEAD_BYTES_MIN;
    MK_ASSERT(uv_mutex_init(&disk->mutex) == 0);
    MK_ASSERT(uv_cond_init(&disk->wake) == 0);
    int error = uv_async_init(server->loop, &disk->async, on_durable);
    if (error == 0) {
        server_handle_opened(server);
        disk->async.data = disk;
        error = uv_thread_create(&disk->thread, run, disk);
        disk->running = error == 0;
        if (error != 0)
            disk->log = NULL;
        *result = disk; /* freed with the server, also after a failure */
        return error;
    }
    disk->log = NULL;
    disk_free(disk);
    return error;
}

void disk_unlock_and_wake(struct disk *disk)
{
    bool wake = disk->sleeping;
    uv_mutex_unlock(&disk->mutex);
    if (wake)
        uv_cond_signal(&disk->wake);
}

void disk_listen(struct disk *disk, const struct disk_listener *listener)
{
    disk->listener = *listener;
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
    disk_unlock_and_wake(disk);
}

bool disk_write_here(struct disk *disk, const struct replica_log_entry *entries, size_t count)
{
    bool done = false;
    if (count == 0 || uv_mutex_trylock(&disk->mutex) != 0)
        return false;
    if (disk->sleeping && !disk->stop && disk->gathering.count == 0 &&
        disk->usual_ns < HERE_USUAL_NS && uv_hrtime() - disk->slow_at_ns > HERE_AVOID_NS &&
        !is_full(disk, entries, count) && !wants_roll_within(disk, entries, count)) {
        bool sleeps_for_long = !disk->idle_work;
        disk_count_sync(disk, disk_write_batch(disk, entries, count), count);
        if (sleeps_for_long)
            uv_cond_signal(&disk->wake); /* there are chores again, once the writes pause */
        disk->durable_zxid = disk->told_zxid = entries[count - 1].zxid;
        done = true;
    }
    uv_mutex_unlock(&disk->mutex);
    return done;
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
    disk_steps_fini(disk);
    mk_free(disk);
}

void disk_figures(struct disk *disk, struct disk_figures *figures)
{
    uv_mutex_lock(&disk->mutex);
    *figures = disk->figures;
    uv_mutex_unlock(&disk->mutex);
}

void disk_figures_reset(struct disk *disk)
{
    uv_mutex_lock(&disk->mutex);
    disk->figures = (struct disk_figures){0};
    uv_mutex_unlock(&disk->mutex);
}
