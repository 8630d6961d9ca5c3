/* SPDX-License-Identifier: MIT */
/* Recovery; see recover.h. The order is Apache's (storage reference, section 7.1): newest loadable
 * snapshot, then the log behind it; what is missing or damaged is refused, never guessed. */
#include "log/recover.h"

#include "log/cut.h"
#include "log/format.h"
#include "log/index.h"
#include "log/names.h"
#include "log/pending.h"
#include "wire/errors.gen.h"

#include <stdio.h>

#define SNAPSHOT_TRIES_MAX 100 /* as Apache */
#define PROGRESS_BYTES (4u << 20)

struct recovery {
    const struct log_stores *stores;
    const struct log_recover_options *options;
    const struct log_recover_calls *calls;
    void *context;
    struct log_recover_result *result;
    struct log_report *report;
    struct log_error *error;
    uint64_t total_bytes, done_bytes, told_bytes;
    uint64_t body_bytes;    /* of the attempt that runs */
    struct log_name newest; /* snapshot, usable or not */
};

static void progress(struct recovery *recovery, uint64_t bytes)
{
    recovery->done_bytes += bytes;
    if (recovery->calls->progress &&
        recovery->done_bytes >= recovery->told_bytes + PROGRESS_BYTES) {
        recovery->told_bytes = recovery->done_bytes;
        recovery->calls->progress(recovery->context,
                                  MK_MIN(recovery->done_bytes, recovery->total_bytes),
                                  recovery->total_bytes);
    }
}

/* 0 if the file cannot be opened: only progress depends on it. */
static uint64_t file_bytes(struct store *store, const char *name)
{
    struct store_file *file;
    if (store_open(store, name, STORE_READ, &file, NULL) < 0)
        return 0;
    int64_t size = store_size(file, NULL);
    store_close(file);
    return size > 0 ? (uint64_t)size : 0;
}

/* --- leftovers -------------------------------------------------------------------------------- */

static int remove_leftovers(struct recovery *recovery, struct store *store)
{
    struct log_names names;
    int result = log_names_list_leftovers(store, &names, recovery->error);
    for (size_t i = 0; result == 0 && i < names.count; i++) {
        result = store_remove(store, names.items[i].name, recovery->error);
        log_report_add(recovery->report, LOG_NOTE, names.items[i].name, -1, NULL,
                       "unfinished file removed");
    }
    log_names_fini(&names);
    return result;
}

static int report_odd(struct recovery *recovery, struct store *store)
{
    struct log_names names;
    int result = log_names_list_odd(store, &names, recovery->error);
    for (size_t i = 0; result == 0 && i < names.count; i++)
        log_report_add(recovery->report, LOG_WARNING, names.items[i].name, -1,
                       "move it out of the directory: Apache's server might read it",
                       "not the name of a log or snapshot; not read");
    log_names_fini(&names);
    return result;
}

/* Before anything else: until it is complete the directory is half old and half new. */
static int complete(struct recovery *recovery)
{
    struct log_pending pending;
    if (recovery->options->clean_up)
        return log_cut_complete(recovery->stores, recovery->report, recovery->error);
    int result = log_pending_read(recovery->stores->snapshots, &pending, recovery->error);
    if (result <= 0)
        return result;
    return log_error_set(recovery->error, MK_ERR_CORRUPT,
                         "%s: %s, which was interrupted; a start of the server completes it",
                         recovery->stores->snapshots->path, log_pending_text(&pending));
}

static int tidy(struct recovery *recovery)
{
    struct store *snapshots = recovery->stores->snapshots, *logs = recovery->stores->logs;
    int result = report_odd(recovery, snapshots);
    if (result == 0 && logs != snapshots)
        result = report_odd(recovery, logs);
    if (!recovery->options->clean_up)
        return result;
    if (result == 0)
        result = remove_leftovers(recovery, snapshots);
    if (result == 0 && logs != snapshots)
        result = remove_leftovers(recovery, logs);
    return result;
}

/* --- snapshot --------------------------------------------------------------------------------- */

static int counted_body(void *context, const uint8_t *data, size_t size, size_t *consumed,
                        const char **reason)
{
    struct recovery *recovery = context;
    int result = recovery->calls->snapshot_body(recovery->context, data, size, consumed, reason);
    progress(recovery, *consumed);
    return result;
}

static int try_snapshot(struct recovery *recovery, const struct log_name *name,
                        struct log_error *error)
{
    struct snapfile_info info;
    int result = snapfile_looks_valid(recovery->stores->snapshots, name->name, error);
    if (result < 0)
        return result;
    if (result == 0)
        return log_error_set(error, MK_ERR_CORRUPT,
                             "it does not have the end (or the magic) of a complete snapshot");
    recovery->calls->reset(recovery->context);
    result = snapfile_read(recovery->stores->snapshots, name->name, counted_body, recovery, &info,
                           error);
    if (result < 0)
        return result;
    const char *reason = "the state does not match";
    result = recovery->calls->snapshot_done(recovery->context, &info, &reason);
    if (result < 0)
        return log_error_set(error, result, "%s", reason);
    struct log_recover_result *found = recovery->result;
    found->snapshot_zxid = info.zxid;
    found->snapshot_bytes = info.file_bytes;
    memcpy(found->snapshot_file, name->name, sizeof found->snapshot_file);
    return 0;
}

/* 1: one was loaded, 0: there is none at all. */
static int load_snapshot(struct recovery *recovery)
{
    struct log_names names;
    struct log_error why = {0};
    int result =
        log_names_list(recovery->stores->snapshots, LOG_KIND_SNAPSHOT, &names, recovery->error);
    if (result < 0)
        return result;
    size_t tries = 0;
    if (names.count > 0)
        recovery->newest = names.items[names.count - 1];
    for (size_t i = names.count; i > 0 && tries < SNAPSHOT_TRIES_MAX; i--, tries++) {
        recovery->total_bytes += file_bytes(recovery->stores->snapshots, names.items[i - 1].name);
        result = try_snapshot(recovery, &names.items[i - 1], &why);
        if (result == 0) {
            log_names_fini(&names);
            return 1;
        }
        recovery->result->snapshots_skipped++;
        log_report_add(recovery->report, LOG_WARNING, names.items[i - 1].name, -1,
                       "remove it once the server runs", "snapshot not usable: %s", why.text);
    }
    log_names_fini(&names);
    return 0;
}

/* 1: the log's directory has a log or a durable mark, so it is the right one. */
static int knows_log(struct recovery *recovery)
{
    struct log_names names;
    int result = log_names_list(recovery->stores->logs, LOG_KIND_LOG, &names, recovery->error);
    bool found = result == 0 && names.count > 0;
    log_names_fini(&names);
    if (result < 0 || found)
        return result < 0 ? result : 1;
    struct store_file *mark;
    result = store_open(recovery->stores->logs, LOG_INDEX_NAME, STORE_READ, &mark, recovery->error);
    if (result < 0)
        return result == MK_ERR_NOT_FOUND ? 0 : result;
    store_close(mark);
    return 1;
}

/* Whoever forgets data_log_dir would start from the snapshot, without all that was written since,
 * and nothing would tell. */
static int check_log_is_there(struct recovery *recovery)
{
    if (recovery->newest.zxid <= 0 || recovery->options->snapshot_alone)
        return 0;
    int result = knows_log(recovery);
    if (result != 0)
        return result < 0 ? result : 0;
    return log_error_set(
        recovery->error, MK_ERR_CORRUPT,
        "%s/%s is a snapshot of a server that was written to, but there is no log: %s, where "
        "logs were looked for, has no log.* file and no " LOG_INDEX_NAME ". What to do: set "
        "data_log_dir (in a zoo.cfg: dataLogDir) to where the logs are; or, if there are none and "
        "what was written after the snapshot may be lost, create an empty file "
        "named " LOG_INITIALIZE_NAME " in "
        "the data directory, beside version-2, and start once",
        recovery->stores->snapshots->path, recovery->newest.name, recovery->stores->logs->path);
}

/* --- log -------------------------------------------------------------------------------------- */

static int replay_entry(struct recovery *recovery, const struct txnlog_entry *entry)
{
    struct log_recover_result *found = recovery->result;
    const char *reason = "the transaction does not fit the state";
    /* Without a snapshot only the very first transaction is the beginning of everything. */
    if (found->snapshot_zxid < 0 && found->transactions == 0 && entry->zxid != 1 &&
        !recovery->options->trust_empty)
        return log_error_set(
            recovery->error, MK_ERR_CORRUPT,
            "%s: there are transactions from zxid 0x%llx on (%s), but no usable snapshot holds "
            "what was before. What to do: restore a snapshot file; in an ensemble, empty this "
            "directory and let the server synchronize; or, if nothing was before, start once with "
            "trust_empty_snapshot = true (in a zoo.cfg: snapshot.trust.empty=true)",
            recovery->stores->logs->path, (unsigned long long)entry->zxid, entry->file);
    int result = recovery->calls->transaction(recovery->context, entry, &reason);
    if (result < 0) {
        log_report_add(recovery->report, LOG_DAMAGE, entry->file, (int64_t)entry->offset, NULL,
                       "zxid 0x%llx: %s", (unsigned long long)entry->zxid, reason);
        return log_error_set(
            recovery->error, result,
            "%s/%s, byte %llu, zxid 0x%llx: %s. What to do: keep a copy of the directory; in an "
            "ensemble, empty it and let the server synchronize, otherwise restore a backup",
            recovery->stores->logs->path, entry->file, (unsigned long long)entry->offset,
            (unsigned long long)entry->zxid, reason);
    }
    found->transactions++;
    found->log_bytes += entry->length;
    progress(recovery, entry->length + TXNLOG_FRAME_BYTES);
    return 0;
}

static void add_log_bytes(struct recovery *recovery, int64_t from_zxid)
{
    struct log_names names;
    if (!recovery->calls->progress ||
        log_names_list(recovery->stores->logs, LOG_KIND_LOG, &names, NULL) < 0)
        return;
    for (size_t i = 0; i < names.count; i++) {
        if (i + 1 == names.count || names.items[i + 1].zxid > from_zxid)
            recovery->total_bytes += file_bytes(recovery->stores->logs, names.items[i].name);
    }
    log_names_fini(&names);
}

static int replay(struct recovery *recovery)
{
    struct log_recover_result *found = recovery->result;
    struct txnlog_scan_options options = {
        .from_zxid = found->snapshot_zxid + 1,
        .base_zxid = found->snapshot_zxid,
        .drop_damaged_tail = recovery->options->drop_damaged_tail,
        .report = recovery->report,
    };
    struct txnlog_scan *scan;
    add_log_bytes(recovery, options.from_zxid);
    int result = txnlog_scan_open(recovery->stores->logs, &options, &scan, recovery->error);
    if (result < 0)
        return result;
    struct txnlog_entry entry;
    while ((result = txnlog_scan_next(scan, &entry, recovery->error)) == 1) {
        result = replay_entry(recovery, &entry);
        if (result < 0)
            break;
    }
    txnlog_scan_tail(scan, &found->tail);
    found->last_zxid = found->tail.last_zxid;
    txnlog_scan_free(scan);
    return result;
}

int log_recover(const struct log_stores *stores, const struct log_recover_options *options,
                const struct log_recover_calls *calls, void *context,
                struct log_recover_result *result, struct log_report *report,
                struct log_error *error)
{
    struct recovery recovery = {
        .stores = stores,
        .options = options,
        .calls = calls,
        .context = context,
        .result = result,
        .report = report,
        .error = error,
    };
    *result = (struct log_recover_result){.snapshot_zxid = -1};
    int status = complete(&recovery);
    if (status == 0)
        status = tidy(&recovery);
    if (status < 0)
        return status;
    status = load_snapshot(&recovery);
    if (status < 0)
        return status;
    if (status == 0)
        calls->reset(context);
    else
        status = check_log_is_there(&recovery);
    if (status < 0)
        return status;
    status = replay(&recovery);
    if (status < 0)
        return status;
    result->empty = result->snapshot_zxid < 0 && result->transactions == 0;
    if (result->empty && result->snapshots_skipped > 0)
        return log_error_set(error, MK_ERR_CORRUPT,
                             "%s: none of the %llu snapshots can be read and there is no log to "
                             "rebuild from. What to do: restore a backup, or, in an ensemble, "
                             "empty the directory and let the server synchronize. `moonkeeper "
                             "check DIR` tells what is wrong with each",
                             stores->snapshots->path,
                             (unsigned long long)result->snapshots_skipped);
    return 0;
}
