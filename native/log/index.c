/* SPDX-License-Identifier: MIT */
/* The durable mark; see index.h. A slot: magic, version, the six fields of struct log_mark, zeros,
 * CRC-32C in its last four bytes. Slots lie a sector apart, so one write tears at most one. */
#include "log/index.h"

#include "base/checksum.h"
#include "base/mem.h"
#include "log/format.h"
#include "wire/errors.gen.h"

#define INDEX_MAGIC 0x4d4b4455u /* "MKDU" */
#define INDEX_VERSION 1
#define SLOT_BYTES 64
#define INDEX_BYTES (2 * LOG_SECTOR_BYTES)

struct log_index {
    struct store_file *file;
    uint64_t counter;
};

static bool slot_decode(const uint8_t *slot, struct log_mark *mark)
{
    if (mk_load_u32(slot) != INDEX_MAGIC || mk_load_u32(slot + 4) != INDEX_VERSION)
        return false;
    if (mk_load_u32(slot + SLOT_BYTES - 4) != mk_crc32c(0, slot, SLOT_BYTES - 4))
        return false;
    mark->counter = mk_load_u64(slot + 8);
    mark->file_zxid = (int64_t)mk_load_u64(slot + 16);
    mark->file_id = mk_load_u64(slot + 24);
    mark->offset = mk_load_u64(slot + 32);
    mark->zxid = (int64_t)mk_load_u64(slot + 40);
    mark->crc = mk_load_u32(slot + 48);
    return true;
}

static void slot_encode(uint8_t *slot, const struct log_mark *mark)
{
    memset(slot, 0, SLOT_BYTES);
    mk_store_u32(slot, INDEX_MAGIC);
    mk_store_u32(slot + 4, INDEX_VERSION);
    mk_store_u64(slot + 8, mark->counter);
    mk_store_u64(slot + 16, (uint64_t)mark->file_zxid);
    mk_store_u64(slot + 24, mark->file_id);
    mk_store_u64(slot + 32, mark->offset);
    mk_store_u64(slot + 40, (uint64_t)mark->zxid);
    mk_store_u32(slot + 48, mark->crc);
    mk_store_u32(slot + SLOT_BYTES - 4, mk_crc32c(0, slot, SLOT_BYTES - 4));
}

static int index_load(struct store_file *file, struct log_mark *mark, struct log_error *error)
{
    uint8_t data[INDEX_BYTES];
    int64_t got = store_read(file, 0, data, sizeof data, error);
    if (got < 0)
        return (int)got;
    memset(data + got, 0, sizeof data - (size_t)got);
    struct log_mark other;
    bool found = slot_decode(data, mark);
    if (slot_decode(data + LOG_SECTOR_BYTES, &other) && (!found || other.counter > mark->counter)) {
        *mark = other;
        found = true;
    }
    return found ? 1 : 0;
}

int log_index_read(struct store *logs, struct log_mark *mark, struct log_error *error)
{
    struct store_file *file;
    int result = store_open(logs, LOG_INDEX_NAME, STORE_READ, &file, error);
    if (result == MK_ERR_NOT_FOUND)
        return 0;
    if (result < 0)
        return result;
    result = index_load(file, mark, error);
    store_close(file);
    return result;
}

/* The file exists but may be shorter than its slots after a crash while it was created. */
static int index_prepare(struct store *logs, struct store_file *file, struct log_error *error)
{
    int64_t size = store_size(file, error);
    if (size < 0)
        return (int)size;
    if (size >= INDEX_BYTES)
        return 0;
    uint8_t zeros[INDEX_BYTES] = {0};
    int result = store_write(file, (uint64_t)size, zeros, (size_t)(INDEX_BYTES - size), error);
    if (result == 0)
        result = store_sync_full(file, error);
    if (result == 0)
        result = store_sync_directory(logs, error);
    return result;
}

int log_index_open(struct store *logs, struct log_index **index, struct log_error *error)
{
    struct store_file *file;
    int result = store_open(logs, LOG_INDEX_NAME, STORE_UPDATE, &file, error);
    if (result == MK_ERR_NOT_FOUND)
        result = store_open(logs, LOG_INDEX_NAME, STORE_CREATE, &file, error);
    if (result < 0)
        return result;
    struct log_mark mark = {0};
    result = index_prepare(logs, file, error);
    if (result == 0)
        result = index_load(file, &mark, error);
    if (result < 0) {
        store_close(file);
        return result;
    }
    *index = mk_calloc(1, sizeof **index);
    (*index)->file = file;
    (*index)->counter = mark.counter;
    return 0;
}

void log_index_free(struct log_index *index)
{
    if (!index)
        return;
    store_close(index->file);
    mk_free(index);
}

int log_index_write(struct log_index *index, const struct log_mark *mark, struct log_error *error)
{
    uint8_t slot[SLOT_BYTES];
    struct log_mark numbered = *mark;
    numbered.counter = ++index->counter;
    slot_encode(slot, &numbered);
    uint64_t at = (numbered.counter & 1) * LOG_SECTOR_BYTES;
    return store_write(index->file, at, slot, sizeof slot, error);
}

int log_index_sync(struct log_index *index, struct log_error *error)
{
    return store_sync_data(index->file, error);
}

int log_index_replace(struct log_index *index, const struct log_mark *mark, struct log_error *error)
{
    int result = 0;
    for (int slot = 0; slot < 2 && result == 0; slot++) {
        result = log_index_write(index, mark, error);
        if (result == 0)
            result = log_index_sync(index, error);
    }
    return result;
}
