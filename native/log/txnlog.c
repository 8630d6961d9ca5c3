/* SPDX-License-Identifier: MIT */
/* The log writer; see txnlog.h. Entries are encoded straight into the batch buffer: payload,
 * CRC-32C over it and the trailer, Adler-32 over both, so a flush is one write and one
 * fdatasync. On a store with blocks a flush writes whole ones: the last block of the flush before
 * once more, and zeros behind the last entry, which the file has there anyway. Files come into
 * being complete (header written and synced under another name, then renamed), so a log file with a
 * torn header is never ours. */
#include "log/txnlog.h"

#include "base/checksum.h"
#include "base/hash.h"
#include "base/mem.h"
#include "log/batch.h"
#include "log/format.h"
#include "log/index.h"
#include "log/names.h"
#include "wire/errors.gen.h"

#define BATCH_KEEP_BYTES ((size_t)4 << 20)  /* buffer memory kept between flushes */
#define BATCH_IDLE_BYTES ((size_t)64 << 10) /* and when there are none */
#define STEP_MIN_BYTES (64u << 10)          /* first step of zeros in a new file */
#define REWRITE_BYTES (64u << 10)
#define PREALLOCATE_DEFAULT (4u << 20)

struct txnlog {
    struct store *logs;
    struct txnlog_options options;
    struct log_index *index;
    struct log_error failure; /* code 0: none so far */
    /* the current file */
    struct store_file *file; /* NULL: the next flush creates one */
    int64_t file_zxid;       /* of its first entry, in its name */
    uint64_t file_id;
    uint64_t written; /* behind the last durable entry */
    uint64_t zeroed;  /* the file's blocks exist up to here */
    uint64_t step;    /* next number of zero bytes ahead */
    bool no_zeros;    /* space ran out: this file goes on without */
    /* the chain */
    uint32_t crc; /* of the last appended entry; 0: unknown */
    int64_t last_zxid;
    int64_t durable_zxid;
    bool mark_dirty; /* the mark was written but not synced */
    struct log_batch batch;
};

void txnlog_options_init(struct txnlog_options *options)
{
    *options = (struct txnlog_options){.preallocate_bytes = PREALLOCATE_DEFAULT, .identity = 1};
}

static int log_fail(struct txnlog *log, int code, const struct log_error *error)
{
    log->failure = *error;
    log->failure.code = code;
    return code;
}

static int log_refuse(const struct txnlog *log, struct log_error *error)
{
    if (error)
        *error = log->failure;
    return log->failure.code;
}

/* --- opening ---------------------------------------------------------------------------------- */

/* Nothing may claim to be durable that recovery did not find (the operator let it drop). */
static int mark_lower(struct txnlog *log, const struct txnlog_tail *tail, struct log_error *error)
{
    struct log_mark mark;
    int result = log_index_read(log->logs, &mark, error);
    if (result <= 0 || mark.zxid <= tail->last_zxid)
        return result < 0 ? result : 0;
    mark = (struct log_mark){.zxid = tail->last_zxid, .crc = tail->crc};
    return log_index_replace(log->index, &mark, error);
}

/* After a failed sync the kernel takes pages for clean that never reached the disk; a restarted
 * process reads them from the cache all the same. Only writing them again brings them there. */
static int file_rewrite(struct store_file *file, uint64_t from, uint64_t end,
                        struct log_error *error)
{
    uint8_t *chunk = mk_alloc(REWRITE_BYTES);
    int result = 0;
    while (from < end && result == 0) {
        size_t part = (size_t)MK_MIN(end - from, REWRITE_BYTES);
        int64_t got = store_read(file, from, chunk, part, error);
        if (got < 0)
            result = (int)got;
        else if (got < (int64_t)part)
            result = log_error_set(error, MK_ERR_IO, "the newest log file became shorter");
        else
            result = store_write(file, from, chunk, part, error);
        from += part;
    }
    mk_free(chunk);
    return result;
}

static int file_settle(struct store *logs, const struct txnlog_tail *tail, struct log_error *error)
{
    struct store_file *file;
    int result = store_open(logs, tail->newest_file, STORE_UPDATE, &file, error);
    if (result < 0)
        return result;
    int64_t size = store_size(file, error);
    result = size < 0 ? (int)size : 0;
    if (result == 0 && (uint64_t)size > tail->newest_file_end)
        result = store_truncate(file, tail->newest_file_end, error);
    if (result == 0)
        result = file_rewrite(file, tail->newest_file_durable, tail->newest_file_end, error);
    if (result == 0)
        result = store_sync_full(file, error);
    store_close(file);
    return result;
}

/* Files named beyond the last zxid hold no entry: recovery read them all. */
static int files_remove(struct store *logs, int64_t last_zxid, struct log_error *error)
{
    struct log_names names;
    int result = log_names_list(logs, LOG_KIND_LOG, &names, error);
    if (result < 0)
        return result;
    for (size_t i = names.count; i > 0 && result == 0 && names.items[i - 1].zxid > last_zxid; i--)
        result = store_remove(logs, names.items[i - 1].name, error);
    log_names_fini(&names);
    return result;
}

static int tail_settle(struct store *logs, const struct txnlog_tail *tail, struct log_error *error)
{
    int result = files_remove(logs, tail->last_zxid, error);
    if (result == 0 && tail->newest_file[0])
        result = file_settle(logs, tail, error);
    return result == 0 ? store_sync_directory(logs, error) : result;
}

int txnlog_open(struct store *logs, const struct txnlog_options *options,
                const struct txnlog_tail *tail, struct txnlog **log, struct log_error *error)
{
    struct txnlog *self = mk_calloc(1, sizeof *self);
    self->logs = logs;
    self->options = *options;
    log_batch_init(&self->batch, logs->block_bytes);
    self->crc = tail->chained ? tail->crc : 0;
    self->last_zxid = self->durable_zxid = tail->last_zxid;
    int result = log_index_open(logs, &self->index, error);
    if (result == 0)
        result = mark_lower(self, tail, error);
    if (result == 0)
        result = tail_settle(logs, tail, error);
    if (result < 0) {
        txnlog_free(self);
        return result;
    }
    *log = self;
    return 0;
}

void txnlog_free(struct txnlog *log)
{
    if (!log)
        return;
    store_close(log->file);
    log_index_free(log->index);
    log_batch_fini(&log->batch);
    mk_free(log);
}

/* --- appending -------------------------------------------------------------------------------- */

static void header_store(uint8_t *header)
{
    memset(header, 0, LOG_HEADER_BYTES);
    mk_store_u32(header, TXNLOG_MAGIC);
    mk_store_u32(header + 4, LOG_FORMAT_VERSION);
}

/* Decides where the next file begins: its header is 16 bytes, its first entry comes behind. */
static void file_plan(struct txnlog *log, int64_t zxid)
{
    log->file_zxid = zxid;
    log->file_id = mk_hash_u64((uint64_t)zxid, log->options.identity) | 1;
    log->written = LOG_HEADER_BYTES;
    log->zeroed = 0;
    log->step = STEP_MIN_BYTES;
    log->no_zeros = log->options.preallocate_bytes == 0;
    uint8_t header[LOG_HEADER_BYTES];
    header_store(header);
    log_batch_restart(&log->batch, header, sizeof header);
}

static void trailer_store(const struct txnlog *log, uint64_t offset, uint8_t *trailer)
{
    mk_store_u32(trailer + TRAILER_ZERO_AT, 0);
    mk_store_u32(trailer + TRAILER_MAGIC_AT, TRAILER_MAGIC);
    mk_store_u64(trailer + TRAILER_FILE_ID_AT, log->file_id);
    mk_store_u64(trailer + TRAILER_OFFSET_AT, offset);
    mk_store_u64(trailer + TRAILER_DURABLE_AT, log->written);
    mk_store_u32(trailer + TRAILER_PREVIOUS_AT, log->crc);
}

int txnlog_append(struct txnlog *log, int64_t zxid, const void *data, size_t length,
                  struct log_error *error)
{
    if (log->failure.code)
        return log_refuse(log, error);
    MK_ASSERT(length >= TXN_HEADER_BYTES);
    MK_ASSERT((int64_t)mk_load_u64((const uint8_t *)data + TXN_HEADER_ZXID_AT) == zxid);
    MK_ASSERT(zxid > log->last_zxid);
    if (length > TXNLOG_ENTRY_BYTES_MAX)
        return log_error_set(error, MK_ERR_TOO_LARGE,
                             "a transaction of %zu bytes does not fit into the log (limit %u)",
                             length, TXNLOG_ENTRY_BYTES_MAX);
    if (!log->file && log_batch_size(&log->batch) == 0)
        file_plan(log, zxid);
    uint64_t offset = log->written + log_batch_size(&log->batch);
    size_t payload_length = length + TRAILER_BYTES;
    uint8_t *entry = log_batch_reserve(&log->batch, payload_length + TXNLOG_FRAME_BYTES);
    uint8_t *payload = entry + TXNLOG_PREFIX_BYTES;
    uint8_t *trailer = payload + length;
    memcpy(payload, data, length);
    trailer_store(log, offset, trailer);
    log->crc = mk_crc32c(0, payload, length + TRAILER_CRC_AT);
    mk_store_u32(trailer + TRAILER_CRC_AT, log->crc);
    mk_store_u64(entry, mk_adler32(1, payload, payload_length));
    mk_store_u32(entry + 8, (uint32_t)payload_length);
    payload[payload_length] = TXNLOG_LAST_BYTE;
    log->batch.length += payload_length + TXNLOG_FRAME_BYTES;
    log->last_zxid = zxid;
    return 0;
}

/* --- flushing --------------------------------------------------------------------------------- */

/* A file with this name holds no entry, or recovery would have stopped the server from writing
 * this zxid again; txnlog_open removed such a file. Finding one means that someone else writes
 * here. */
static int name_is_free(struct txnlog *log, const char *name, struct log_error *error)
{
    struct store_file *file;
    int result = store_open(log->logs, name, STORE_READ, &file, error);
    if (result == MK_ERR_NOT_FOUND)
        return 0;
    if (result < 0)
        return result;
    store_close(file);
    return log_error_set(error, MK_ERR_IO, "%s/%s exists already: another process writes here",
                         log->logs->path, name);
}

static int zeros_ahead(struct txnlog *log, uint64_t from, struct log_error *error)
{
    from =
        (from + log->batch.block - 1) & ~(uint64_t)(log->batch.block - 1); /* padded by flushes */
    uint64_t step = MK_MIN(log->step, log->options.preallocate_bytes);
    int result = store_write_zeros(log->file, from, step, error);
    if (result == MK_ERR_NO_SPACE) { /* the entries themselves may still fit */
        log->no_zeros = true;
        return 0;
    }
    if (result < 0)
        return result;
    log->zeroed = from + step;
    log->step = MK_MIN(log->step * 2, log->options.preallocate_bytes);
    return 0;
}

static int file_create(struct txnlog *log, struct log_error *error)
{
    char name[LOG_NAME_BYTES];
    uint8_t header[LOG_HEADER_BYTES];
    log_name_make(LOG_KIND_LOG, log->file_zxid, name);
    header_store(header);
    int result = name_is_free(log, name, error);
    if (result == 0)
        result = store_remove(log->logs, TXNLOG_NEW_NAME, error);
    if (result < 0 && result != MK_ERR_NOT_FOUND)
        return result;
    result = store_open(log->logs, TXNLOG_NEW_NAME, STORE_CREATE, &log->file, error);
    if (result == 0)
        result = store_write(log->file, 0, header, sizeof header, error);
    if (result == 0 && !log->no_zeros)
        result = zeros_ahead(log, LOG_HEADER_BYTES, error);
    if (result == 0)
        result = store_sync_full(log->file, error);
    if (result == 0)
        result = store_rename(log->logs, TXNLOG_NEW_NAME, name, error);
    if (result == 0)
        result = store_sync_directory(log->logs, error);
    return result;
}

static int mark_write(struct txnlog *log, struct log_error *error)
{
    struct log_mark mark = {
        .file_zxid = log->file_zxid,
        .file_id = log->file_id,
        .offset = log->written,
        .zxid = log->durable_zxid,
        .crc = log->crc,
    };
    log->mark_dirty = true;
    return log_index_write(log->index, &mark, error);
}

static int batch_write(struct txnlog *log, struct log_error *error)
{
    int result = log->file ? 0 : file_create(log, error);
    if (result < 0)
        return result;
    struct log_batch *batch = &log->batch;
    uint64_t end = log->written + log_batch_size(batch);
    if (batch->block > 1)
        result = store_write_blocks(log->file, log->written - batch->head, batch->data,
                                    log_batch_pad(batch), error);
    else
        result = store_write(log->file, log->written, batch->data, batch->length, error);
    if (result == 0 && !log->no_zeros && end > log->zeroed)
        result = zeros_ahead(log, end, error);
    if (result == 0)
        result = store_sync_data(log->file, error);
    if (result < 0)
        return result;
    log->written = end;
    log->durable_zxid = log->last_zxid;
    log_batch_written(batch);
    log_batch_trim(batch, BATCH_KEEP_BYTES);
    return mark_write(log, error);
}

int txnlog_flush(struct txnlog *log, struct log_error *error)
{
    struct log_error own;
    if (log->failure.code)
        return log_refuse(log, error);
    if (log_batch_size(&log->batch) == 0)
        return 0;
    error = error ? error : &own;
    int result = batch_write(log, error);
    return result < 0 ? log_fail(log, result, error) : 0;
}

static int mark_sync(struct txnlog *log, struct log_error *error)
{
    if (!log->mark_dirty)
        return 0;
    log->mark_dirty = false;
    return log_index_sync(log->index, error);
}

static int file_finish(struct txnlog *log, struct log_error *error)
{
    if (!log->file)
        return 0;
    int result = store_truncate(log->file, log->written, error);
    if (result == 0)
        result = store_sync_full(log->file, error);
    store_close(log->file);
    log->file = NULL;
    return result == 0 ? mark_sync(log, error) : result;
}

int txnlog_roll(struct txnlog *log, struct log_error *error)
{
    struct log_error own;
    error = error ? error : &own;
    int result = txnlog_flush(log, error);
    if (result < 0)
        return result;
    result = file_finish(log, error);
    return result < 0 ? log_fail(log, result, error) : 0;
}

int txnlog_idle(struct txnlog *log, bool *more, struct log_error *error)
{
    struct log_error own;
    *more = false;
    if (log->failure.code)
        return log_refuse(log, error);
    error = error ? error : &own;
    int result = 0;
    log_batch_trim(&log->batch, BATCH_IDLE_BYTES);
    if (log->file && !log->no_zeros && log_batch_size(&log->batch) == 0 &&
        log->zeroed < log->written + log->options.preallocate_bytes / 2) {
        result = zeros_ahead(log, MK_MAX(log->zeroed, log->written), error);
        if (result == 0)
            result = store_sync_data(log->file, error);
        *more = true;
    } else {
        result = mark_sync(log, error);
    }
    return result < 0 ? log_fail(log, result, error) : 0;
}

int txnlog_close(struct txnlog *log, struct log_error *error)
{
    return txnlog_roll(log, error);
}

int64_t txnlog_durable_zxid(const struct txnlog *log)
{
    return log->durable_zxid;
}

uint64_t txnlog_file_bytes(const struct txnlog *log)
{
    if (!log->file && log_batch_size(&log->batch) == 0)
        return 0;
    return log->written + log_batch_size(&log->batch);
}
