/* SPDX-License-Identifier: MIT */
/* Cutting a data directory, and replacing all that it holds; see cut.h. First a plan, which reads
 * only and refuses what would leave no state; then the note; then the calls, in an order in which
 * those that were done change nothing about the plan of whoever completes it. */
#include "log/cut.h"

#include "log/format.h"
#include "log/index.h"
#include "log/names.h"
#include "log/pending.h"
#include "log/snapfile.h"
#include "log/txnlog_file.h"
#include "log/txnlog_scan.h"
#include "wire/errors.gen.h"

#include <stdio.h>

#define ADVICE "What to do: keep a copy of the directory, empty it, and let the server synchronize"

/* --- both ------------------------------------------------------------------------------------- */

static int file_is_there(struct store *snapshots, const char *name, struct log_error *error)
{
    struct store_file *file;
    int result = store_open(snapshots, name, STORE_READ, &file, error);
    if (result < 0)
        return result == MK_ERR_NOT_FOUND ? 0 : result;
    store_close(file);
    return 1;
}

/* The durable mark must exist before the last log goes: it tells that this is the right directory
 * for logs (recover.c). */
static int mark_make(struct store *logs, struct log_error *error)
{
    struct log_index *index;
    int result = log_index_open(logs, &index, error);
    if (result < 0)
        return result;
    log_index_free(index);
    return store_sync_directory(logs, error);
}

/* It must not claim more than is left, and not before that is decided. Written in any case: what it
 * says may come from the cache of a process that died before its sync. */
static int mark_lower(struct store *logs, int64_t last_zxid, uint32_t crc, struct log_error *error)
{
    struct log_mark mark;
    struct log_index *index;
    int result = log_index_read(logs, &mark, error);
    if (result <= 0)
        return result;
    result = log_index_open(logs, &index, error);
    if (result < 0)
        return result;
    if (mark.zxid > last_zxid)
        mark = (struct log_mark){.zxid = last_zxid, .crc = crc};
    result = log_index_replace(index, &mark, error);
    log_index_free(index);
    return result;
}

/* Newest first and one by one: whatever is left begins where it began, without a hole. */
static int remove_logs_beyond(struct store *logs, int64_t zxid, struct log_error *error)
{
    struct log_names names;
    int result = log_names_list(logs, LOG_KIND_LOG, &names, error);
    for (size_t i = names.count; i > 0 && result == 0 && names.items[i - 1].zxid > zxid; i--) {
        result = store_remove(logs, names.items[i - 1].name, error);
        if (result == 0)
            result = store_sync_directory(logs, error);
    }
    log_names_fini(&names);
    return result;
}

/* Where the newest log that is not named beyond a zxid stops being readable or goes beyond it. */
struct straddle {
    char name[LOG_NAME_BYTES]; /* "": there is nothing to cut */
    uint64_t offset;
};

static int straddle_read(struct txnlog_file *file, int64_t zxid, struct straddle *straddle,
                         struct log_error *error)
{
    struct txnlog_entry entry;
    uint32_t previous;
    int result;
    do {
        straddle->offset = file->position;
        result = txnlog_file_next(file, &entry, &previous, error);
    } while (result == 1 && entry.zxid <= zxid);
    if (result == 1 || (result == 0 && file->end != TXNLOG_END_CLEAN))
        snprintf(straddle->name, sizeof straddle->name, "%s", file->name.name);
    return MK_MIN(result, 0);
}

static int straddle_find(struct store *logs, int64_t zxid, struct straddle *straddle,
                         struct log_error *error)
{
    struct log_names names;
    struct txnlog_file file;
    *straddle = (struct straddle){.offset = 0};
    int result = log_names_list(logs, LOG_KIND_LOG, &names, error);
    size_t count = names.count;
    while (count > 0 && names.items[count - 1].zxid > zxid)
        count--;
    if (result == 0 && count > 0) {
        result = txnlog_file_open(logs, &names.items[count - 1], &file, error);
        if (result == 0) {
            result = straddle_read(&file, zxid, straddle, error);
            txnlog_file_close(&file);
        }
    }
    log_names_fini(&names);
    return result;
}

/* A file of nothing but a header is removed. */
static int straddle_cut(struct store *logs, const struct straddle *straddle,
                        struct log_error *error)
{
    struct store_file *file;
    if (!straddle->name[0])
        return 0;
    if (straddle->offset <= LOG_HEADER_BYTES) {
        int result = store_remove(logs, straddle->name, error);
        return result == 0 ? store_sync_directory(logs, error) : result;
    }
    int result = store_open(logs, straddle->name, STORE_UPDATE, &file, error);
    if (result < 0)
        return result;
    result = store_truncate(file, straddle->offset, error);
    if (result == 0)
        result = store_sync_full(file, error);
    store_close(file);
    return result;
}

/* --- truncate: the plan ----------------------------------------------------------------------- */

struct plan {
    const struct log_stores *stores;
    int64_t zxid;
    bool begun;              /* snapshots may be gone already */
    struct log_names doomed; /* snapshots; ascending */
    int64_t base_zxid;       /* of the snapshot that recovery would begin with; -1: none */
    bool logs_beyond;        /* there are files named beyond zxid */
    struct straddle straddle;
    int64_t last_zxid; /* that is left */
    uint32_t last_crc; /* of its trailer; 0: it has none */
};

static int read_whole(struct store *snapshots, const char *name, struct log_error *error)
{
    struct snapfile_walk walk;
    struct snapfile_info info;
    snapfile_walk_init(&walk);
    int result = snapfile_read(snapshots, name, snapfile_walk_body, &walk, &info, error);
    return result == MK_ERR_CORRUPT ? 0 : result == 0 ? 1 : result;
}

/* Divides the snapshots into those that go and those that stay. */
static int plan_snapshots(struct plan *plan, struct log_names *stay, struct log_error *error)
{
    struct store *snapshots = plan->stores->snapshots;
    int result = log_names_list(snapshots, LOG_KIND_SNAPSHOT, stay, error);
    size_t kept = 0;
    for (size_t i = 0; result >= 0 && i < stay->count; i++) {
        int64_t reach = -1;
        if (stay->items[i].zxid <= plan->zxid)
            result = snapfile_reach(snapshots, stay->items[i].name, &reach, error);
        if (result < 0)
            break;
        if (MK_MAX(reach, stay->items[i].zxid) > plan->zxid)
            log_names_add(&plan->doomed, stay->items[i].name, stay->items[i].zxid);
        else
            stay->items[kept++] = stay->items[i];
    }
    stay->count = kept;
    return result < 0 ? result : 0;
}

/* The newest one that stays and is good. While no snapshot goes, recovery would begin with none
 * other than before the cut, so it need not be read whole. */
static int plan_base(struct plan *plan, struct log_error *error)
{
    struct store *snapshots = plan->stores->snapshots;
    struct log_names stay;
    int result = plan_snapshots(plan, &stay, error);
    plan->base_zxid = -1;
    for (size_t i = stay.count; i > 0 && result == 0 && plan->base_zxid < 0; i--) {
        const char *name = stay.items[i - 1].name;
        result = snapfile_looks_valid(snapshots, name, error);
        if (result == 1 && (plan->begun || plan->doomed.count))
            result = read_whole(snapshots, name, error);
        if (result == 1)
            plan->base_zxid = stay.items[i - 1].zxid;
        result = MK_MIN(result, 0);
    }
    log_names_fini(&stay);
    return result;
}

static int scan_from(const struct plan *plan, struct txnlog_scan **scan, struct log_error *error)
{
    struct txnlog_scan_options options = {
        .from_zxid = plan->base_zxid + 1,
        .base_zxid = plan->base_zxid,
    };
    return txnlog_scan_open(plan->stores->logs, &options, scan, error);
}

/* What is left: every entry between the snapshot and zxid must be there. What lies behind is not
 * looked at; it may be damaged. */
static int plan_left(struct plan *plan, struct log_error *error)
{
    struct txnlog_scan *scan;
    struct txnlog_entry entry;
    int result = scan_from(plan, &scan, error);
    if (result < 0)
        return result;
    plan->last_zxid = plan->base_zxid;
    while (plan->last_zxid < plan->zxid && (result = txnlog_scan_next(scan, &entry, error)) == 1) {
        /* As in recovery: without a snapshot only the first of all is the beginning. */
        if (entry.zxid > plan->zxid || (plan->last_zxid < 0 && entry.zxid != 1))
            break;
        plan->last_zxid = entry.zxid;
        plan->last_crc = entry.crc;
    }
    txnlog_scan_free(scan);
    if (result < 0)
        return result;
    if (plan->last_zxid >= 0)
        return 0;
    return log_error_set(error, MK_ERR_CORRUPT,
                         "%s cannot be cut at zxid 0x%llx: no readable snapshot is as old as that, "
                         "and the log does not begin at the beginning. " ADVICE,
                         plan->stores->snapshots->path, (unsigned long long)plan->zxid);
}

static int plan_logs(struct plan *plan, struct log_error *error)
{
    struct log_names names;
    int result = log_names_list(plan->stores->logs, LOG_KIND_LOG, &names, error);
    plan->logs_beyond =
        result == 0 && names.count && names.items[names.count - 1].zxid > plan->zxid;
    log_names_fini(&names);
    return result == 0 ? straddle_find(plan->stores->logs, plan->zxid, &plan->straddle, error)
                       : result;
}

static int plan_make(struct plan *plan, struct log_error *error)
{
    int result = plan_base(plan, error);
    if (result == 0)
        result = plan_left(plan, error);
    return result == 0 ? plan_logs(plan, error) : result;
}

/* --- truncate: the work ----------------------------------------------------------------------- */

/* Snapshots go first: what is left then is the old state still. */
static int plan_perform(const struct plan *plan, struct log_error *error)
{
    struct store *snapshots = plan->stores->snapshots, *logs = plan->stores->logs;
    int result = 0;
    for (size_t i = plan->doomed.count; i > 0 && result == 0; i--)
        result = store_remove(snapshots, plan->doomed.items[i - 1].name, error);
    if (result == 0 && plan->doomed.count)
        result = store_sync_directory(snapshots, error);
    if (result == 0)
        result = mark_lower(logs, plan->last_zxid, plan->last_crc, error);
    if (result == 0)
        result = remove_logs_beyond(logs, plan->zxid, error);
    return result == 0 ? straddle_cut(logs, &plan->straddle, error) : result;
}

/* What recovery will find; also proves it. */
static int plan_tail(const struct plan *plan, struct txnlog_tail *tail, struct log_error *error)
{
    struct txnlog_scan *scan;
    struct txnlog_entry entry;
    int result = scan_from(plan, &scan, error);
    if (result < 0)
        return result;
    while ((result = txnlog_scan_next(scan, &entry, error)) == 1)
        ;
    txnlog_scan_tail(scan, tail);
    txnlog_scan_free(scan);
    if (result == 0 && tail->last_zxid != plan->last_zxid)
        result =
            log_error_set(error, MK_ERR_CORRUPT,
                          "%s: after the cut at zxid 0x%llx the log ends at 0x%llx, not at "
                          "0x%llx. " ADVICE,
                          plan->stores->logs->path, (unsigned long long)plan->zxid,
                          (unsigned long long)tail->last_zxid, (unsigned long long)plan->last_zxid);
    return result;
}

static int plan_commit(const struct plan *plan, struct log_error *error)
{
    struct store *snapshots = plan->stores->snapshots;
    struct log_pending pending = {.type = LOG_PENDING_TRUNCATE, .zxid = plan->zxid};
    int result = mark_make(plan->stores->logs, error);
    if (result == 0)
        result = log_pending_write(snapshots, &pending, error);
    if (result == 0)
        result = plan_perform(plan, error);
    return result == 0 ? log_pending_remove(snapshots, error) : result;
}

int log_truncate(const struct log_stores *stores, int64_t zxid, struct txnlog_tail *tail,
                 struct log_error *error)
{
    MK_ASSERT(zxid >= 0);
    struct plan plan = {.stores = stores, .zxid = zxid};
    int result = plan_make(&plan, error);
    if (result == 0 && (plan.doomed.count || plan.logs_beyond || plan.straddle.name[0]))
        result = plan_commit(&plan, error);
    if (result == 0)
        result = plan_tail(&plan, tail, error);
    log_names_fini(&plan.doomed);
    return result;
}

/* --- install ---------------------------------------------------------------------------------- */

/* Removes snapshots from `zxid` on, or all, except the one of that name. */
static int remove_snapshots(struct store *snapshots, int64_t from_zxid, const char *except,
                            struct log_error *error)
{
    struct log_names names;
    int result = log_names_list(snapshots, LOG_KIND_SNAPSHOT, &names, error);
    bool any = false;
    for (size_t i = names.count; i > 0 && result == 0; i--) {
        const struct log_name *name = &names.items[i - 1];
        if (name->zxid < from_zxid || strcmp(name->name, except) == 0)
            continue;
        result = store_remove(snapshots, name->name, error);
        any = true;
    }
    log_names_fini(&names);
    return result == 0 && any ? store_sync_directory(snapshots, error) : result;
}

/* Old things beyond the snapshot go before it gets its name, all others after it: so whoever looks
 * never finds it with old entries on top, and never less than the older state without it. */
static int publish(const struct log_stores *stores, int64_t zxid, const char *name,
                   struct log_error *error)
{
    struct straddle straddle;
    int result = file_is_there(stores->snapshots, SNAPFILE_RECEIVED_NAME, error);
    if (result < 0)
        return result;
    if (result == 0) {
        result = file_is_there(stores->snapshots, name, error);
        return result != 0
                   ? MK_MIN(result, 0)
                   : log_error_set(error, MK_ERR_CORRUPT,
                                   "%s: the leader's snapshot that was being installed is "
                                   "gone, and so is a part of what was there before. " ADVICE,
                                   stores->snapshots->path);
    }
    result = remove_snapshots(stores->snapshots, zxid, name, error);
    if (result == 0)
        result = remove_logs_beyond(stores->logs, zxid, error);
    if (result == 0)
        result = straddle_find(stores->logs, zxid, &straddle, error);
    if (result == 0)
        result = straddle_cut(stores->logs, &straddle, error);
    if (result == 0)
        result = store_rename(stores->snapshots, SNAPFILE_RECEIVED_NAME, name, error);
    return result == 0 ? store_sync_directory(stores->snapshots, error) : result;
}

static int install(const struct log_stores *stores, int64_t zxid, struct log_error *error)
{
    char name[LOG_NAME_BYTES];
    log_name_make(LOG_KIND_SNAPSHOT, zxid, name);
    int result = mark_lower(stores->logs, zxid, 0, error);
    if (result == 0)
        result = publish(stores, zxid, name, error);
    if (result == 0)
        result = remove_logs_beyond(stores->logs, -1, error);
    return result == 0 ? remove_snapshots(stores->snapshots, 0, name, error) : result;
}

int log_install_snapshot(const struct log_stores *stores, int64_t zxid, struct txnlog_tail *tail,
                         struct log_error *error)
{
    MK_ASSERT(zxid >= 0);
    struct log_pending pending = {.type = LOG_PENDING_INSTALL, .zxid = zxid};
    *tail = (struct txnlog_tail){.last_zxid = zxid};
    int result = mark_make(stores->logs, error);
    if (result == 0)
        result = log_pending_write(stores->snapshots, &pending, error);
    if (result == 0)
        result = install(stores, zxid, error);
    return result == 0 ? log_pending_remove(stores->snapshots, error) : result;
}

/* --- recovery --------------------------------------------------------------------------------- */

static int truncate_again(const struct log_stores *stores, int64_t zxid, struct log_error *error)
{
    struct plan plan = {.stores = stores, .zxid = zxid, .begun = true};
    int result = plan_make(&plan, error);
    if (result == 0)
        result = plan_perform(&plan, error);
    log_names_fini(&plan.doomed);
    return result;
}

int log_cut_complete(const struct log_stores *stores, struct log_report *report,
                     struct log_error *error)
{
    struct log_pending pending;
    /* What a process that died did to the directory may not be on the disk yet: a note that is seen
     * could vanish while its work is half done, one that was removed could come back. */
    int result = store_sync_directory(stores->snapshots, error);
    if (result == 0)
        result = log_pending_read(stores->snapshots, &pending, error);
    if (result <= 0)
        return result;
    result = file_is_there(stores->logs, LOG_INDEX_NAME, error);
    if (result < 0)
        return result;
    if (result == 0) /* a data_log_dir that was forgotten */
        return log_error_set(error, MK_ERR_CORRUPT,
                             "%s: %s, which was interrupted, but %s is not the directory of its "
                             "logs: there is no " LOG_INDEX_NAME ". What to do: set data_log_dir "
                             "(in a zoo.cfg: dataLogDir) to where the logs are",
                             stores->snapshots->path, log_pending_text(&pending),
                             stores->logs->path);
    if (pending.type == LOG_PENDING_TRUNCATE)
        result = truncate_again(stores, pending.zxid, error);
    else
        result = install(stores, pending.zxid, error);
    if (result == 0)
        result = log_pending_remove(stores->snapshots, error);
    if (result == 0)
        log_report_add(report, LOG_NOTE, LOG_PENDING_NAME, -1, NULL,
                       "completed what was interrupted: %s at zxid 0x%llx",
                       log_pending_text(&pending), (unsigned long long)pending.zxid);
    return result;
}
