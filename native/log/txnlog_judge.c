/* SPDX-License-Identifier: MIT */
/* What the end of the newest log file means: a clean end, a torn tail (a batch that was being
 * written when the power went; nobody was told of it), or damage to something that was or may
 * have been acknowledged. The reasoning is in docs/storage.md, "The end of the log". */
#include "log/format.h"
#include "log/txnlog_window.h"

#include <stdio.h>

struct judgement {
    enum txnlog_verdict verdict;
    char *reason;
    size_t reason_size;
};

static int settle(struct judgement *judgement, enum txnlog_verdict verdict, const char *reason)
{
    judgement->verdict = verdict;
    snprintf(judgement->reason, judgement->reason_size, "%s", reason);
    return 0;
}

/* The length field as it is on disk; 0 if the file is too short for it. */
static int length_read(struct txnlog_file *file, uint32_t *length, struct log_error *error)
{
    *length = 0;
    if (file->size - file->position < TXNLOG_PREFIX_BYTES)
        return 0;
    const uint8_t *bytes;
    int result = txnlog_window(file, file->position, TXNLOG_PREFIX_BYTES, &bytes, error);
    if (result == 0)
        *length = mk_load_u32(bytes + 8);
    return result;
}

/* A torn write leaves sectors, or the last part of one, unwritten: hence zero (the file was zeroed
 * ahead) or beyond its end; it never alters a byte. Bytes that are there but wrong are rot. */
static int judge_ours(struct txnlog_file *file, const struct txnlog_traces *traces,
                      struct judgement *judgement, struct log_error *error)
{
    if (file->end > TXNLOG_END_LENGTH)
        return settle(judgement, TXNLOG_VERDICT_DAMAGE, txnlog_end_text(file->end));
    uint32_t length;
    int result = length_read(file, &length, error);
    if (result < 0)
        return result;
    uint64_t end = traces->own_end, until = UINT64_MAX;
    if (end && file->position + TXNLOG_FRAME_BYTES + length != end) {
        /* The length on disk is not what was written: only a lost sector excuses that. */
        until = file->position + TXNLOG_PREFIX_BYTES;
    } else if (!end) {
        end = file->position + TXNLOG_FRAME_BYTES;
        if (length <= TXNLOG_ENTRY_BYTES_MAX + TRAILER_BYTES)
            end += length;
    }
    /* Also when all but the last byte of the entry was written: its trailer told the end. */
    if (end > file->size)
        return settle(judgement, TXNLOG_VERDICT_TORN, "the file ends inside its last entry");
    bool lost;
    result = txnlog_find_lost_sector(file, end, until, &lost, error);
    if (result < 0)
        return result;
    if (lost)
        return settle(judgement, TXNLOG_VERDICT_TORN, "the last batch was not written completely");
    return settle(judgement, TXNLOG_VERDICT_SUSPECT, txnlog_end_text(file->end));
}

/* Files of Apache: its own rules, but whole entries behind the end are not passed over. */
static int judge_apache(struct txnlog_file *file, struct judgement *judgement,
                        struct log_error *error)
{
    if (file->end >= TXNLOG_END_HEADER)
        return settle(judgement, TXNLOG_VERDICT_DAMAGE, txnlog_end_text(file->end));
    uint64_t at;
    int result = txnlog_find_entry(file, &at, error);
    if (result < 0)
        return result;
    if (at) {
        snprintf(judgement->reason, judgement->reason_size, "%s, and a whole entry lies at %llu",
                 txnlog_end_text(file->end), (unsigned long long)at);
        judgement->verdict = TXNLOG_VERDICT_SUSPECT;
        return 0;
    }
    if (file->end < TXNLOG_END_SUM)
        return settle(judgement, TXNLOG_VERDICT_TORN, txnlog_end_text(file->end));
    return settle(judgement, TXNLOG_VERDICT_SUSPECT, txnlog_end_text(file->end));
}

static int judge(struct txnlog_file *file, uint64_t durable, struct judgement *judgement,
                 struct log_error *error)
{
    if (file->end == TXNLOG_END_CLEAN && durable <= file->position)
        return settle(judgement, TXNLOG_VERDICT_CLEAN, txnlog_end_text(file->end));
    struct txnlog_traces traces = {0};
    if (file->end != TXNLOG_END_CLEAN && file->end != TXNLOG_END_HEADER) {
        int result = txnlog_find_trailers(file, &traces, error);
        if (result < 0)
            return result;
    }
    durable = MK_MAX(durable, traces.durable);
    if (durable > file->position) {
        snprintf(judgement->reason, judgement->reason_size,
                 "%s, but the log was durable up to byte %llu: acknowledged entries are lost",
                 txnlog_end_text(file->end), (unsigned long long)durable);
        judgement->verdict = TXNLOG_VERDICT_DAMAGE;
        return 0;
    }
    if ((file->entries && file->trailers) || traces.found)
        return judge_ours(file, &traces, judgement, error);
    return judge_apache(file, judgement, error);
}

int txnlog_file_judge(struct txnlog_file *file, const struct log_mark *mark,
                      enum txnlog_verdict *verdict, char *reason, size_t reason_size,
                      struct log_error *error)
{
    struct judgement judgement = {.reason = reason, .reason_size = reason_size};
    uint64_t durable = file->durable;
    if (mark && mark->file_zxid == file->name.zxid && mark->file_id &&
        (!file->file_id || mark->file_id == file->file_id))
        durable = MK_MAX(durable, mark->offset);
    int result = judge(file, durable, &judgement, error);
    *verdict = judgement.verdict;
    return result;
}
