/* SPDX-License-Identifier: MIT */
/* Fuzzes the log reader with one or two files and, if asked by the first byte, a durable mark and
 * repaired Adler-32 sums. Whatever the bytes are: no crash, zxids rise, nothing is changed by
 * reading, and a log that is accepted can be continued and then read again to its new end. */
#include "log/recover.h"

#include "base/checksum.h"
#include "base/mem.h"
#include "log/check.h"
#include "log/format.h"
#include "log/index.h"

#include "../lib/memory_store.c"

#include <stdlib.h>

#define OPTION_TWO_FILES 1
#define OPTION_REPAIR 2
#define OPTION_MARK 4
#define OPTION_DROP 8
#define OPTION_SNAPSHOT 16
#define ENTRIES_MAX 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Gives frames that hold together a good Adler-32, so that the fuzzer gets behind it. */
static void repair(uint8_t *file, size_t size)
{
    size_t at = LOG_HEADER_BYTES;
    for (int i = 0; i < ENTRIES_MAX && size >= at + TXNLOG_FRAME_BYTES; i++) {
        uint32_t length = mk_load_u32(file + at + 8);
        if (length == 0 || length > size - at - TXNLOG_FRAME_BYTES)
            return;
        mk_store_u64(file + at, mk_adler32(1, file + at + TXNLOG_PREFIX_BYTES, length));
        file[at + TXNLOG_PREFIX_BYTES + length] = TXNLOG_LAST_BYTE;
        at += TXNLOG_FRAME_BYTES + length;
    }
}

static void put_file(struct memory_store *memory, const char *name, const uint8_t *data,
                     size_t size, uint8_t options)
{
    memory_store_put(memory, name, data, size);
    size_t same;
    if (options & OPTION_REPAIR)
        repair(memory_store_get(memory, name, &same), size);
}

static void reset(void *context)
{
    *(int64_t *)context = -1;
}

static int body(void *context, const uint8_t *data, size_t size, size_t *consumed,
                const char **reason)
{
    (void)context;
    (void)data;
    (void)reason;
    *consumed = size < 5 ? 0 : 5;
    return size < 5 ? 0 : 1;
}

static int snapshot_done(void *context, const struct snapfile_info *info, const char **reason)
{
    (void)reason;
    *(int64_t *)context = info->zxid;
    return 0;
}

static int transaction(void *context, const struct txnlog_entry *entry, const char **reason)
{
    int64_t *last = context;
    (void)reason;
    MK_ASSERT(entry->zxid > *last);
    MK_ASSERT(entry->length >= TXN_HEADER_BYTES);
    MK_ASSERT((int64_t)mk_load_u64(entry->data + TXN_HEADER_ZXID_AT) == entry->zxid);
    *last = entry->zxid;
    return 0;
}

static const struct log_recover_calls calls = {
    .reset = reset,
    .snapshot_body = body,
    .snapshot_done = snapshot_done,
    .transaction = transaction,
};

static void put_snapshot(struct store *store)
{
    struct snapfile_writer *writer;
    struct snapfile_seal seal = {.has_digest = false};
    MK_ASSERT(snapfile_begin(store, 0, &writer, NULL) == 0);
    MK_ASSERT(snapfile_write(writer, "\0\0\0\1/", 5, NULL) == 0);
    MK_ASSERT(snapfile_finish(writer, &seal, NULL, NULL) == 0);
}

static void put_mark(struct store *store, const uint8_t *data)
{
    struct log_index *index;
    struct log_mark mark = {
        .file_zxid = data[0] & 3, .offset = data[1], .zxid = data[2], .file_id = data[3]};
    MK_ASSERT(log_index_open(store, &index, NULL) == 0);
    MK_ASSERT(log_index_write(index, &mark, NULL) == 0);
    log_index_free(index);
}

/* The log was accepted: our writer goes on with it. */
static void go_on(const struct log_stores *stores, const struct log_recover_result *found,
                  const struct log_recover_options *options)
{
    struct txnlog_options log_options;
    struct txnlog *log;
    struct log_recover_result again;
    struct log_error error;
    int64_t last, next = found->last_zxid + 1;
    uint8_t payload[TXN_HEADER_BYTES] = {0};
    if (found->last_zxid == INT64_MAX)
        return;
    txnlog_options_init(&log_options);
    log_options.preallocate_bytes = 512;
    MK_ASSERT(txnlog_open(stores->logs, &log_options, &found->tail, &log, &error) == 0);
    mk_store_u64(payload + TXN_HEADER_ZXID_AT, (uint64_t)next);
    MK_ASSERT(txnlog_append(log, next, payload, sizeof payload, &error) == 0);
    MK_ASSERT(txnlog_flush(log, &error) == 0);
    txnlog_free(log);
    struct log_recover_options plain = {.trust_empty = options->trust_empty};
    MK_ASSERT(log_recover(stores, &plain, &calls, &last, &again, NULL, &error) == 0);
    MK_ASSERT(again.last_zxid == next);
    MK_ASSERT(again.transactions == found->transactions + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 8)
        return 0;
    uint8_t options = data[0];
    struct memory_store *memory = memory_store_new(1);
    struct store *store = memory_store_of(memory);
    struct log_stores stores = {store, store};
    const uint8_t *content = data + 8;
    size_t length = size - 8, first = length;
    if (options & OPTION_TWO_FILES)
        first = MK_MIN(length, (size_t)data[1] << 8 | data[2]);
    put_file(memory, "log.1", content, first, options);
    if (options & OPTION_TWO_FILES)
        put_file(memory, "log.3", content + first, length - first, options);
    if (options & OPTION_MARK)
        put_mark(store, data + 4);
    if (options & OPTION_SNAPSHOT)
        put_snapshot(store);
    struct log_recover_options recovery = {.trust_empty = !(options & OPTION_SNAPSHOT),
                                           .drop_damaged_tail = (options & OPTION_DROP) != 0};
    struct log_recover_result found;
    struct log_check_result checked;
    struct log_report report;
    struct log_error error;
    struct mk_buffer text = MK_BUFFER_EMPTY;
    int64_t last;
    uint64_t before = memory_store_calls(memory);
    log_report_init(&report);
    int result = log_recover(&stores, &recovery, &calls, &last, &found, &report, &error);
    MK_ASSERT(log_check(&stores, (options & OPTION_DROP) != 0, &checked, &report, &text, &error) ==
              0);
    MK_ASSERT(memory_store_calls(memory) == before);
    MK_ASSERT(result == 0 || result == MK_ERR_CORRUPT);
    if (result == 0)
        go_on(&stores, &found, &recovery);
    mk_buffer_fini(&text);
    log_report_fini(&report);
    memory_store_free(memory);
    return 0;
}
