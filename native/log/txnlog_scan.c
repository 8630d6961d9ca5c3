/* SPDX-License-Identifier: MIT */
/* All log files as one sequence of entries; see txnlog_scan.h. txnlog_file.c reads a file,
 * txnlog_judge.c says what the end of the newest one means; here is what holds between files:
 * nothing may be missing, unless the snapshot covers it. */
#include "log/txnlog_scan.h"

#include "base/mem.h"
#include "log/format.h"
#include "log/txnlog_file.h"
#include "wire/errors.gen.h"

#include <stdio.h>

#define ADVICE_DAMAGE                                                                              \
    "keep a copy of the directory. In an ensemble: empty this server's data directory and let "    \
    "it synchronize. Otherwise restore a backup. `moonkeeper check DIR` lists all that is "        \
    "wrong; docs/storage.md tells how to repair by hand"
#define ADVICE_SUSPECT                                                                             \
    "keep a copy of the directory. In an ensemble: empty this server's data directory and let "    \
    "it synchronize. Otherwise, if losing what begins at this byte is acceptable, start once "     \
    "with drop_damaged_last_record = true"

/* The end of a file that was read, until the next one's first entry tells whether it matters. */
struct scan_end {
    bool set;
    char file[LOG_NAME_BYTES];
    uint64_t offset;
    enum txnlog_verdict verdict;
    char reason[256];
};

struct txnlog_scan {
    struct store *logs;
    struct txnlog_scan_options options;
    struct log_names names;
    size_t next_file;
    struct txnlog_file file; /* file.file NULL: none open */
    bool has_mark;
    struct log_mark mark;
    bool any;         /* last_zxid is valid */
    bool chained;     /* crc is that of the last entry */
    bool restarted;   /* all_files: continuity is unknown behind damage */
    bool newest_ours; /* the newest file with entries has trailers */
    uint32_t crc;
    int64_t last_zxid;
    struct scan_end end; /* of the last file read to its end */
    struct txnlog_tail tail;
    bool done;
};

int txnlog_scan_open(struct store *logs, const struct txnlog_scan_options *options,
                     struct txnlog_scan **scan, struct log_error *error)
{
    struct txnlog_scan *self = mk_calloc(1, sizeof *self);
    self->logs = logs;
    self->options = *options;
    int result = log_names_list(logs, LOG_KIND_LOG, &self->names, error);
    if (result == 0) {
        result = log_index_read(logs, &self->mark, error);
        self->has_mark = result == 1;
    }
    if (result < 0) {
        txnlog_scan_free(self);
        return result;
    }
    /* The file with the largest name <= from may hold it; older ones hold only less. */
    for (size_t i = 0; i < self->names.count; i++) {
        if (self->names.items[i].zxid <= options->from_zxid)
            self->next_file = i;
    }
    *scan = self;
    return 0;
}

void txnlog_scan_free(struct txnlog_scan *scan)
{
    if (!scan)
        return;
    txnlog_file_close(&scan->file);
    log_names_fini(&scan->names);
    mk_free(scan);
}

static const char *advice_for(enum txnlog_verdict verdict)
{
    return verdict == TXNLOG_VERDICT_SUSPECT ? ADVICE_SUSPECT : ADVICE_DAMAGE;
}

static int damaged(struct txnlog_scan *scan, const char *file, uint64_t offset, const char *advice,
                   const char *reason, struct log_error *error)
{
    log_report_add(scan->options.report, LOG_DAMAGE, file, (int64_t)offset, advice, "%s", reason);
    if (scan->options.all_files) {
        scan->restarted = true;
        scan->chained = false;
        return 0;
    }
    scan->done = true;
    return log_error_set(error, MK_ERR_CORRUPT, "%s/%s, byte %llu: %s. What to do: %s",
                         scan->logs->path, file, (unsigned long long)offset, reason, advice);
}

static int64_t reached(const struct txnlog_scan *scan)
{
    return scan->any ? MK_MAX(scan->last_zxid, scan->options.base_zxid) : scan->options.base_zxid;
}

/* --- between files ---------------------------------------------------------------------------- */

/* The first entry of a file against what was read before it. */
static int check_continuity(struct txnlog_scan *scan, const struct txnlog_entry *entry,
                            uint32_t previous, struct log_error *error)
{
    const struct scan_end *end = &scan->end;
    int64_t base = scan->options.base_zxid;
    if (scan->any && entry->zxid <= scan->last_zxid)
        return damaged(scan, entry->file, entry->offset, ADVICE_DAMAGE,
                       "the file begins with a zxid that an older file has already", error);
    bool start = !scan->any && (base < 0 || entry->zxid <= base);
    bool covered = base >= 0 && reached(scan) == base &&
                   (entry->zxid <= base || log_zxid_follows(base, entry->zxid));
    if (scan->restarted || start || covered) {
        if (end->set && end->verdict > TXNLOG_VERDICT_TORN && !scan->restarted)
            log_report_add(scan->options.report, LOG_WARNING, end->file, (int64_t)end->offset,
                           "nothing: the snapshot holds what is lost here", "%s", end->reason);
        return 0;
    }
    if (scan->any && scan->chained && entry->has_trailer && previous) {
        if (previous == scan->crc)
            return 0; /* whoever wrote this file knew that the other ends there */
        return damaged(scan, end->file, end->offset, ADVICE_DAMAGE,
                       "entries between this file and the next are missing", error);
    }
    if (end->set && end->verdict > TXNLOG_VERDICT_TORN)
        return damaged(scan, end->file, end->offset, ADVICE_DAMAGE, end->reason, error);
    if (log_zxid_follows(reached(scan), entry->zxid))
        return 0;
    char reason[160];
    snprintf(reason, sizeof reason,
             "the log begins with zxid 0x%llx here, but what is before it ends at 0x%llx: "
             "transactions in between are missing",
             (unsigned long long)entry->zxid, (unsigned long long)reached(scan));
    return damaged(scan, entry->file, entry->offset, ADVICE_DAMAGE, reason, error);
}

static int file_end(struct txnlog_scan *scan, struct log_error *error)
{
    struct scan_end end = {.set = true};
    struct txnlog_file *file = &scan->file;
    const struct log_mark *mark =
        scan->has_mark && scan->mark.zxid > scan->options.base_zxid ? &scan->mark : NULL;
    int result = txnlog_file_judge(file, mark, &end.verdict, end.reason, sizeof end.reason, error);
    if (result < 0)
        return result;
    end.offset = file->position;
    memcpy(end.file, file->name.name, sizeof end.file);
    if (file->entries) {
        memcpy(scan->tail.newest_file, end.file, sizeof end.file);
        scan->tail.newest_file_end = file->position;
        scan->tail.newest_file_durable = file->trailers ? file->durable : file->position;
        scan->newest_ours = file->trailers;
    } else if (scan->any && file->name.zxid <= scan->last_zxid &&
               end.verdict == TXNLOG_VERDICT_SUSPECT) {
        end.verdict = TXNLOG_VERDICT_DAMAGE; /* no last entry: an older file reaches beyond it */
    }
    /* A file without entries does not make good the end of the one before. */
    if (file->entries || !scan->end.set || end.verdict > scan->end.verdict)
        scan->end = end;
    txnlog_file_close(file);
    return 0;
}

/* --- the end of the log ----------------------------------------------------------------------- */

/* The mark may say that more was durable than all the files hold. */
static int check_mark(struct txnlog_scan *scan, struct log_error *error)
{
    int64_t left = MK_MAX(MK_MAX(reached(scan), scan->options.covered_zxid), INT64_C(0));
    if (!scan->has_mark || scan->mark.zxid <= left || scan->restarted)
        return 0;
    if (scan->tail.newest_file[0] && !scan->newest_ours) {
        /* Apache went on with this directory, and may have cut our part of the log. */
        log_report_add(scan->options.report, LOG_WARNING, LOG_INDEX_NAME, -1, NULL,
                       "the durable mark is older than the newest log file and is not used");
        return 0;
    }
    char reason[200], name[LOG_NAME_BYTES];
    log_name_make(LOG_KIND_LOG, scan->mark.file_zxid, name);
    snprintf(reason, sizeof reason,
             "the log was durable up to zxid 0x%llx (%s), but what is left ends at 0x%llx: "
             "acknowledged transactions are lost",
             (unsigned long long)scan->mark.zxid, name, (unsigned long long)left);
    return damaged(scan, scan->end.set ? scan->end.file : LOG_INDEX_NAME, scan->end.offset,
                   ADVICE_DAMAGE, reason, error);
}

static int log_end(struct txnlog_scan *scan, struct log_error *error)
{
    const struct scan_end *end = &scan->end;
    scan->done = true;
    if (end->set && end->verdict == TXNLOG_VERDICT_TORN)
        log_report_add(scan->options.report, LOG_NOTE, end->file, (int64_t)end->offset, NULL,
                       "torn tail dropped (%s); it was never acknowledged", end->reason);
    bool drop = end->verdict == TXNLOG_VERDICT_SUSPECT && scan->options.drop_damaged_tail;
    if (end->set && end->verdict > TXNLOG_VERDICT_TORN) {
        if (drop)
            log_report_add(scan->options.report, LOG_WARNING, end->file, (int64_t)end->offset, NULL,
                           "dropped as the operator wished: %s", end->reason);
        else
            return damaged(scan, end->file, end->offset, advice_for(end->verdict), end->reason,
                           error);
    }
    return check_mark(scan, error);
}

/* --- the walk --------------------------------------------------------------------------------- */

static void entry_passed(struct txnlog_scan *scan, const struct txnlog_entry *entry)
{
    scan->any = true;
    scan->restarted = false;
    scan->last_zxid = entry->zxid;
    scan->chained = entry->has_trailer;
    scan->crc = entry->crc;
}

int txnlog_scan_next(struct txnlog_scan *scan, struct txnlog_entry *entry, struct log_error *error)
{
    while (!scan->done) {
        int result;
        if (!scan->file.file) {
            if (scan->next_file == scan->names.count)
                return log_end(scan, error);
            result = txnlog_file_open(scan->logs, &scan->names.items[scan->next_file++],
                                      &scan->file, error);
            if (result < 0)
                return result;
        }
        uint32_t previous;
        result = txnlog_file_next(&scan->file, entry, &previous, error);
        if (result == 0)
            result = file_end(scan, error);
        else if (result == 1) {
            if (scan->file.entries == 1)
                result = check_continuity(scan, entry, previous, error);
            if (result >= 0) {
                entry_passed(scan, entry);
                if (entry->zxid >= scan->options.from_zxid)
                    return 1;
            }
        }
        if (result < 0)
            return result;
    }
    return 0;
}

void txnlog_scan_tail(const struct txnlog_scan *scan, struct txnlog_tail *tail)
{
    *tail = scan->tail;
    tail->last_zxid = MK_MAX(reached(scan), 0);
    tail->chained = scan->any && scan->chained && scan->last_zxid == tail->last_zxid;
    tail->crc = tail->chained ? scan->crc : 0;
}
