/* SPDX-License-Identifier: MIT */
/* The checker; see check.h. Reads everything, writes nothing. The verdict comes from a recovery
 * without a state, so it is the server's own. */
#include "log/check.h"

#include "log/epochs.h"
#include "log/format.h"
#include "log/names.h"
#include "log/pending.h"
#include "log/recover.h"
#include "wire/errors.gen.h"

#include <stdio.h>

struct check {
    const struct log_stores *stores;
    bool snapshot_alone;
    struct log_check_result *result;
    struct log_report *report;
    struct mk_buffer *text;
    struct log_error *error;
};

/* --- snapshots -------------------------------------------------------------------------------- */

static void print_snapshot(struct check *check, const struct log_name *name,
                           const struct snapfile_info *info, const struct snapfile_walk *walk)
{
    mk_buffer_print(check->text,
                    "%s: good, %llu bytes, zxid 0x%llx, %llu sessions, %llu znodes, %llu bytes of "
                    "data",
                    name->name, (unsigned long long)info->file_bytes,
                    (unsigned long long)info->zxid, (unsigned long long)walk->sessions,
                    (unsigned long long)walk->nodes, (unsigned long long)walk->data_bytes);
    if (info->seal.has_digest)
        mk_buffer_print(check->text, ", digest %llu at zxid 0x%llx",
                        (unsigned long long)info->seal.digest,
                        (unsigned long long)info->seal.digest_zxid);
    mk_buffer_print(check->text, "\n");
}

static int check_snapshots(struct check *check)
{
    struct log_names names;
    int result = log_names_list(check->stores->snapshots, LOG_KIND_SNAPSHOT, &names, check->error);
    for (size_t i = 0; result == 0 && i < names.count; i++) {
        struct snapfile_walk walk;
        struct snapfile_info info;
        struct log_error why;
        snapfile_walk_init(&walk);
        check->result->snapshots++;
        if (snapfile_read(check->stores->snapshots, names.items[i].name, snapfile_walk_body, &walk,
                          &info, &why) == 0) {
            check->result->best_snapshot_zxid = info.zxid;
            print_snapshot(check, &names.items[i], &info, &walk);
            continue;
        }
        check->result->snapshots_bad++;
        mk_buffer_print(check->text, "%s: not usable\n", names.items[i].name);
        log_report_add(check->report, LOG_WARNING, names.items[i].name, -1,
                       "an older snapshot and the logs behind it replace it, if they are there",
                       "%s", why.text);
    }
    log_names_fini(&names);
    return result;
}

/* --- logs ------------------------------------------------------------------------------------- */

struct log_line {
    char file[LOG_NAME_BYTES];
    int64_t first, last;
    uint64_t entries, bytes;
    bool trailers;
};

static void print_log(struct check *check, const struct log_line *line)
{
    if (!line->entries)
        return;
    mk_buffer_print(check->text, "%s: %llu transactions, zxid 0x%llx to 0x%llx, %llu bytes, %s\n",
                    line->file, (unsigned long long)line->entries, (unsigned long long)line->first,
                    (unsigned long long)line->last, (unsigned long long)line->bytes,
                    line->trailers ? "with trailers" : "without trailers");
}

static void count_entry(struct check *check, struct log_line *line,
                        const struct txnlog_entry *entry)
{
    struct log_check_result *result = check->result;
    if (strcmp(line->file, entry->file) != 0) {
        print_log(check, line);
        *line = (struct log_line){.first = entry->zxid, .trailers = entry->has_trailer};
        snprintf(line->file, sizeof line->file, "%s", entry->file);
    }
    line->entries++;
    line->last = entry->zxid;
    line->bytes += entry->length + TXNLOG_FRAME_BYTES + (entry->has_trailer ? TRAILER_BYTES : 0);
    result->entries++;
    if (result->first_zxid < 0)
        result->first_zxid = entry->zxid;
    result->last_zxid = MK_MAX(result->last_zxid, entry->zxid);
}

static int check_logs(struct check *check)
{
    struct log_names names;
    int result = log_names_list(check->stores->logs, LOG_KIND_LOG, &names, check->error);
    check->result->logs = names.count;
    log_names_fini(&names);
    struct txnlog_scan_options options = {
        .base_zxid = -1,
        .covered_zxid = check->result->best_snapshot_zxid,
        .all_files = true,
        .report = check->report,
    };
    struct txnlog_scan *scan;
    if (result == 0)
        result = txnlog_scan_open(check->stores->logs, &options, &scan, check->error);
    if (result < 0)
        return result;
    struct log_line line = {.entries = 0};
    struct txnlog_entry entry;
    while ((result = txnlog_scan_next(scan, &entry, check->error)) == 1)
        count_entry(check, &line, &entry);
    print_log(check, &line);
    txnlog_scan_free(scan);
    return result;
}

/* --- epochs ------------------------------------------------------------------------------------
 */

static int print_epoch(struct check *check, const char *label, int result, int64_t epoch)
{
    if (result < 0 && result != MK_ERR_CORRUPT)
        return result;
    if (result == 1)
        mk_buffer_print(check->text, "%s %lld", label, (long long)epoch);
    else
        mk_buffer_print(check->text, "%s %s", label, result == 0 ? "missing" : "damaged");
    return 0;
}

/* Of a member of an ensemble; nothing is said where there is none. */
static int check_epochs(struct check *check)
{
    static const char *const names[] = {LOG_EPOCH_ACCEPTED, LOG_EPOCH_CURRENT};
    struct store *snapshots = check->stores->snapshots;
    int results[4], any = 0;
    int64_t epochs[4] = {0};
    for (int i = 0; i < 2; i++) {
        results[2 * i] = log_epoch_read(snapshots, names[i], &epochs[2 * i], check->error);
        results[2 * i + 1] =
            log_epoch_read_copy(snapshots, names[i], &epochs[2 * i + 1], check->error);
        any |= results[2 * i] | results[2 * i + 1];
    }
    for (int i = 0; i < 2 && any; i++) {
        int result = print_epoch(check, names[i], results[2 * i], epochs[2 * i]);
        if (result == 0)
            result = print_epoch(check, ", second copy", results[2 * i + 1], epochs[2 * i + 1]);
        if (result < 0)
            return result;
        mk_buffer_print(check->text, "\n");
    }
    return 0;
}

/* --- the verdict ------------------------------------------------------------------------------ */

static void verdict_reset(void *context)
{
    snapfile_walk_init(context);
}

static int verdict_snapshot_done(void *context, const struct snapfile_info *info,
                                 const char **reason)
{
    (void)context;
    (void)info;
    (void)reason;
    return 0;
}

static int verdict_transaction(void *context, const struct txnlog_entry *entry, const char **reason)
{
    (void)context;
    (void)entry;
    (void)reason;
    return 0;
}

static void print_verdict(struct check *check)
{
    static const struct log_recover_calls calls = {
        .reset = verdict_reset,
        .snapshot_body = snapfile_walk_body,
        .snapshot_done = verdict_snapshot_done,
        .transaction = verdict_transaction,
    };
    struct log_recover_options options = {.snapshot_alone = check->snapshot_alone};
    struct log_recover_result recovered;
    struct snapfile_walk walk;
    struct log_error why;
    int result = log_recover(check->stores, &options, &calls, &walk, &recovered, NULL, &why);
    check->result->usable = result == 0;
    check->result->empty = result == 0 && recovered.empty;
    if (result < 0)
        mk_buffer_print(check->text, "A server refuses to start from this directory: %s\n",
                        why.text);
    else if (recovered.empty)
        mk_buffer_print(check->text,
                        "%s holds no data: there is nothing to check. A server would start afresh "
                        "here; is it the right directory?\n",
                        check->stores->snapshots->path);
    else
        mk_buffer_print(check->text,
                        "A server starts from this directory at zxid 0x%llx (%s%s and %llu "
                        "transactions).\n",
                        (unsigned long long)recovered.last_zxid,
                        recovered.snapshot_zxid < 0 ? "no snapshot" : "", recovered.snapshot_file,
                        (unsigned long long)recovered.transactions);
}

static void print_findings(struct check *check)
{
    static const char *const words[] = {"note", "warning", "DAMAGE"};
    for (size_t i = 0; i < check->report->count; i++) {
        const struct log_finding *finding = &check->report->findings[i];
        mk_buffer_print(check->text, "%s: %s", words[finding->severity], finding->file);
        if (finding->offset >= 0)
            mk_buffer_print(check->text, ", byte %lld", (long long)finding->offset);
        mk_buffer_print(check->text, ": %s", finding->text);
        if (finding->advice[0])
            mk_buffer_print(check->text, ". What to do: %s", finding->advice);
        mk_buffer_print(check->text, "\n");
    }
    if (check->report->dropped)
        mk_buffer_print(check->text, "and %zu more findings\n", check->report->dropped);
}

/* 1: the directory is half old and half new, and the next start makes it whole. */
static int check_pending(struct check *check)
{
    struct log_pending pending;
    int result = log_pending_read(check->stores->snapshots, &pending, check->error);
    if (result != 1)
        return result;
    check->result->usable = true;
    mk_buffer_print(check->text,
                    "%s: %s at zxid 0x%llx, which was interrupted. The next start of a server "
                    "completes it; until then the logs are not checked. Start it, then check "
                    "again.\n",
                    LOG_PENDING_NAME, log_pending_text(&pending), (unsigned long long)pending.zxid);
    return 1;
}

int log_check(const struct log_stores *stores, bool snapshot_alone, struct log_check_result *result,
              struct log_report *report, struct mk_buffer *text, struct log_error *error)
{
    struct check check = {stores, snapshot_alone, result, report, text, error};
    *result =
        (struct log_check_result){.first_zxid = -1, .last_zxid = -1, .best_snapshot_zxid = -1};
    int status = check_snapshots(&check);
    if (status == 0)
        status = check_epochs(&check);
    int pending = status == 0 ? check_pending(&check) : status;
    if (pending != 0)
        return MK_MIN(pending, 0);
    status = check_logs(&check);
    if (status < 0)
        return status;
    print_findings(&check);
    print_verdict(&check);
    return 0;
}
