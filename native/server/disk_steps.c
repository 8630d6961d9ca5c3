/* SPDX-License-Identifier: MIT */
/* zab's steps on the log thread; see disk.h. Everything that changes the data directory of an
 * ensemble's member, apart from snapshots of its own, is done here, by one thread, in the order in
 * which zab wants it (hazard 4712). */
#include "server/disk_int.h"

#include "base/mem.h"
#include "log/cut.h"
#include "log/epochs.h"
#include "server/snapshots.h"
#include "server/store_filter.h"

/* --- on the loop ------------------------------------------------------------------------------ */

static void step_take(struct disk_step *to, const struct zab_disk_step *from)
{
    *to = (struct disk_step){.ticket = from->ticket, .type = from->type};
    switch (from->type) {
    case ZAB_DISK_APPEND:
        to->entry.zxid = from->entry.zxid;
        to->entry.data = from->entry.data;
        to->entry.length = from->entry.length;
        return;
    case ZAB_DISK_TRUNCATE:
    case ZAB_DISK_INSTALL_SNAPSHOT:
        to->number = from->zxid;
        return;
    case ZAB_DISK_ACCEPTED_EPOCH:
    case ZAB_DISK_PREPARE_EPOCH:
    case ZAB_DISK_CURRENT_EPOCH:
        to->number = from->epoch;
        return;
    }
    MK_ASSERT(false);
}

void disk_submit_steps(struct disk *disk, const struct zab_disk_step *steps, size_t count,
                       int64_t roll_at_zxid)
{
    if (count == 0)
        return;
    uv_mutex_lock(&disk->mutex);
    struct step_list *list = &disk->steps;
    if (list->count + count > list->capacity) {
        list->capacity = MK_MAX(list->capacity * 2, list->count + count);
        list->items = mk_realloc(list->items, list->capacity * sizeof *list->items);
    }
    for (size_t i = 0; i < count; i++) {
        struct disk_step *step = &list->items[list->count++];
        step_take(step, &steps[i]);
        if (roll_at_zxid && step->type == ZAB_DISK_APPEND && step->entry.zxid >= roll_at_zxid) {
            step->entry.roll = true;
            roll_at_zxid = 0;
        }
        if (step->type == ZAB_DISK_INSTALL_SNAPSHOT) {
            MK_ASSERT(disk->received.state == RECEIVED_ENDED);
            disk->received.state = RECEIVED_INSTALLING;
        }
    }
    disk_unlock_and_wake(disk);
}

/* --- on the thread ---------------------------------------------------------------------------- */

static void post_done(struct disk *disk, uint64_t ticket)
{
    uv_mutex_lock(&disk->mutex);
    disk->done_ticket = ticket;
    uv_mutex_unlock(&disk->mutex);
    uv_async_send(&disk->async);
}

/* Entries that stand side by side; returns how many there were. */
static size_t append_run(struct disk *disk, const struct disk_step *steps, size_t count)
{
    struct entry_list *list = &disk->writing;
    size_t run = 0;
    while (run < count && steps[run].type == ZAB_DISK_APPEND)
        run++;
    if (run > list->capacity) {
        list->capacity = MK_MAX(list->capacity * 2, run);
        list->items = mk_realloc(list->items, list->capacity * sizeof *list->items);
    }
    for (size_t i = 0; i < run; i++)
        list->items[i] = steps[i].entry;
    uint64_t elapsed_ns = disk_write_batch(disk, list->items, run);
    uv_mutex_lock(&disk->mutex);
    disk_count_sync(disk, elapsed_ns, run);
    uv_mutex_unlock(&disk->mutex);
    return run;
}

static void note_epoch(struct disk *disk, const struct disk_step *step)
{
    const char *name = step->type == ZAB_DISK_ACCEPTED_EPOCH  ? LOG_EPOCH_ACCEPTED
                       : step->type == ZAB_DISK_PREPARE_EPOCH ? LOG_EPOCH_PREPARED
                                                              : LOG_EPOCH_CURRENT;
    struct log_error error;
    if (log_epoch_write(disk->server->snapshot_store, name, step->number, &error) != 0)
        disk_failed(disk, "the epoch cannot be written", &error);
}

/* Both need the directory for themselves, and begin the log anew. */
static void change_history(struct disk *disk, const struct disk_step *step)
{
    struct server *server = disk->server;
    struct log_stores stores = {.snapshots = server->snapshot_store, .logs = server->log_store};
    struct txnlog_tail tail;
    struct log_error error;
    bool cut = step->type == ZAB_DISK_TRUNCATE;
    uint64_t began_ns = uv_hrtime();
    int code = disk->log ? txnlog_close(disk->log, &error) : 0;
    txnlog_free(disk->log);
    disk->log = NULL;
    snapshots_hold(server->snapshots);
    if (code == 0)
        code = cut ? log_truncate(&stores, step->number, &tail, &error)
                   : log_install_snapshot(&stores, step->number, &tail, &error);
    if (code == 0)
        code = storage_open_log(server, &tail, &disk->log, &error);
    snapshots_release(server->snapshots);
    if (code != 0)
        disk_failed(disk,
                    cut ? "the log cannot be cut" : "the leader's snapshot cannot be installed",
                    &error);
    mk_trace(server->trace, MK_LEVEL_INFO, "log", "%s: the log begins behind zxid %llx (%llu ms)",
             cut ? "what was never committed is dropped" : "the leader's snapshot is installed",
             (unsigned long long)tail.last_zxid,
             (unsigned long long)((uv_hrtime() - began_ns) / 1000000));
}

static void installed(struct disk *disk)
{
    uv_mutex_lock(&disk->mutex);
    disk->received.state = RECEIVED_NONE;
    uv_mutex_unlock(&disk->mutex);
}

/* Performs the first of them, and what can be done with it at once; returns how many. */
static size_t perform(struct disk *disk, const struct disk_step *steps, size_t count)
{
    switch (steps->type) {
    case ZAB_DISK_APPEND:
        return append_run(disk, steps, count);
    case ZAB_DISK_INSTALL_SNAPSHOT:
        change_history(disk, steps);
        installed(disk);
        return 1;
    case ZAB_DISK_TRUNCATE:
        change_history(disk, steps);
        return 1;
    case ZAB_DISK_ACCEPTED_EPOCH:
    case ZAB_DISK_PREPARE_EPOCH:
    case ZAB_DISK_CURRENT_EPOCH:
        note_epoch(disk, steps);
        return 1;
    }
    MK_ASSERT(false);
    return 1;
}

bool disk_steps_wait(const struct disk *disk)
{
    const struct received_orders *orders = &disk->received.orders;
    return disk->steps.count || orders->abort || orders->begin || orders->body.length ||
           orders->end;
}

void disk_steps_perform(struct disk *disk)
{
    struct step_list taken = disk->steps;
    disk->steps = disk->performing;
    disk->steps.count = 0;
    disk->performing = taken;
    struct received_orders orders = disk->received.orders;
    disk->received.orders = (struct received_orders){.abort = false};
    uv_mutex_unlock(&disk->mutex);
    /* A body that a step installs was complete before the step was submitted. */
    disk_snapshot_obey(disk, &orders);
    for (size_t i = 0; i < taken.count;) {
        i += perform(disk, taken.items + i, taken.count - i);
        post_done(disk, taken.items[i - 1].ticket);
    }
    uv_mutex_lock(&disk->mutex);
}

void disk_steps_fini(struct disk *disk)
{
    mk_free(disk->steps.items);
    mk_free(disk->performing.items);
    mk_buffer_fini(&disk->received.orders.body);
    store_filter_free(disk->received.store);
}
