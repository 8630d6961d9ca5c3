/* SPDX-License-Identifier: MIT */
/* One log file, entry by entry; see txnlog_file.h. Every length is checked against the size of
 * the file before it is believed. */
#include "log/txnlog_file.h"

#include "base/checksum.h"
#include "base/mem.h"
#include "log/format.h"
#include "log/txnlog_window.h"
#include "wire/errors.gen.h"

const char *txnlog_end_text(enum txnlog_end end)
{
    static const char *const texts[] = {
        [TXNLOG_END_CLEAN] = "the log ends here",
        [TXNLOG_END_ZERO] = "an entry of length 0 with data behind it",
        [TXNLOG_END_SHORT] = "the file ends inside an entry",
        [TXNLOG_END_BYTE] = "an entry without its end byte",
        [TXNLOG_END_SUM] = "the Adler-32 checksum of an entry is wrong",
        [TXNLOG_END_LENGTH] = "an entry with an impossible length",
        [TXNLOG_END_HEADER] = "the file does not begin with a log header",
        [TXNLOG_END_TRAILER] = "an entry without trailer in a file whose entries have one",
        [TXNLOG_END_CRC] = "the CRC-32C of an entry is wrong",
        [TXNLOG_END_PLACE] = "an entry that was written for another place",
        [TXNLOG_END_CHAIN] = "an entry that does not follow the one before it",
        [TXNLOG_END_ORDER] = "an entry whose zxid is not above the one before it",
    };
    return texts[end];
}

int txnlog_file_open(struct store *logs, const struct log_name *name, struct txnlog_file *file,
                     struct log_error *error)
{
    *file = (struct txnlog_file){.name = *name, .position = LOG_HEADER_BYTES};
    int result = store_open(logs, name->name, STORE_READ, &file->file, error);
    if (result < 0)
        return result;
    int64_t size = store_size(file->file, error);
    if (size < 0) {
        txnlog_file_close(file);
        return (int)size;
    }
    file->size = (uint64_t)size;
    if (size == 0) { /* a file that nothing was written to: as if it were not there */
        file->position = 0;
        return 0;
    }
    const uint8_t *header = NULL;
    if (size >= LOG_HEADER_BYTES) {
        result = txnlog_window(file, 0, LOG_HEADER_BYTES, &header, error);
        if (result < 0) {
            txnlog_file_close(file);
            return result;
        }
    }
    if (!header || mk_load_u32(header) != TXNLOG_MAGIC) {
        file->end = TXNLOG_END_HEADER;
        file->position = 0;
    }
    return 0;
}

void txnlog_file_close(struct txnlog_file *file)
{
    store_close(file->file);
    mk_free(file->window);
    file->file = NULL;
    file->window = NULL;
}

/* The trailer's fields against the place where the entry lies. */
static bool trailer_check(struct txnlog_file *file, struct txnlog_entry *entry,
                          const uint8_t *payload, size_t length, uint32_t *previous)
{
    const uint8_t *trailer = payload + length - TRAILER_BYTES;
    entry->crc = mk_load_u32(trailer + TRAILER_CRC_AT);
    *previous = mk_load_u32(trailer + TRAILER_PREVIOUS_AT);
    uint64_t id = mk_load_u64(trailer + TRAILER_FILE_ID_AT);
    uint64_t durable = mk_load_u64(trailer + TRAILER_DURABLE_AT);
    file->end = TXNLOG_END_CRC;
    if (mk_crc32c(0, payload, length - 4) != entry->crc)
        return false;
    file->end = TXNLOG_END_PLACE;
    if (mk_load_u64(trailer + TRAILER_OFFSET_AT) != file->position || durable > file->position)
        return false;
    if (file->entries && file->file_id != id)
        return false;
    file->end = TXNLOG_END_CHAIN;
    if (file->entries && *previous != file->crc)
        return false;
    file->file_id = id;
    file->crc = entry->crc;
    file->durable = MK_MAX(file->durable, durable);
    return true;
}

/* A whole payload with a good Adler-32. */
static bool payload_check(struct txnlog_file *file, const uint8_t *payload, size_t length,
                          struct txnlog_entry *entry, uint32_t *previous)
{
    file->end = TXNLOG_END_LENGTH;
    if (length < TXN_HEADER_BYTES)
        return false;
    const uint8_t *trailer = payload + length - TRAILER_BYTES;
    *entry = (struct txnlog_entry){.data = payload, .length = length};
    entry->zxid = (int64_t)mk_load_u64(payload + TXN_HEADER_ZXID_AT);
    entry->file = file->name.name;
    entry->offset = file->position;
    entry->has_trailer = length >= TXN_HEADER_BYTES + TRAILER_BYTES &&
                         mk_load_u32(trailer + TRAILER_ZERO_AT) == 0 &&
                         mk_load_u32(trailer + TRAILER_MAGIC_AT) == TRAILER_MAGIC;
    *previous = 0;
    file->end = TXNLOG_END_TRAILER;
    if (file->entries && file->trailers != entry->has_trailer)
        return false;
    if (entry->has_trailer && !trailer_check(file, entry, payload, length, previous))
        return false;
    if (entry->has_trailer)
        entry->length -= TRAILER_BYTES;
    file->end = TXNLOG_END_ORDER;
    if (entry->zxid < 0 || (file->entries && entry->zxid <= file->last_zxid))
        return false;
    /* A file's name promises that nothing below it is inside. */
    if (!file->entries && entry->zxid < file->name.zxid)
        return false;
    file->trailers = entry->has_trailer;
    return true;
}

static int end_at(struct txnlog_file *file, enum txnlog_end end)
{
    file->end = end;
    return 0;
}

/* Length 0: the end, if all the rest is zeros too. */
static int end_of_zeros(struct txnlog_file *file, struct log_error *error)
{
    uint64_t at;
    int result = txnlog_find_nonzero(file, file->position, &at, error);
    if (result < 0)
        return result;
    return end_at(file, at == file->size ? TXNLOG_END_CLEAN : TXNLOG_END_ZERO);
}

int txnlog_file_next(struct txnlog_file *file, struct txnlog_entry *entry, uint32_t *previous,
                     struct log_error *error)
{
    if (file->end != TXNLOG_END_CLEAN)
        return 0;
    uint64_t left = file->size - file->position;
    if (left < TXNLOG_FRAME_BYTES)
        return left == 0 ? 0 : end_of_zeros(file, error);
    const uint8_t *bytes;
    int result = txnlog_window(file, file->position, TXNLOG_PREFIX_BYTES, &bytes, error);
    if (result < 0)
        return result;
    uint64_t checksum = mk_load_u64(bytes);
    uint32_t length = mk_load_u32(bytes + 8);
    if (length == 0)
        return end_of_zeros(file, error);
    if (length > TXNLOG_ENTRY_BYTES_MAX + TRAILER_BYTES)
        return end_at(file, TXNLOG_END_LENGTH);
    if (length > left - TXNLOG_FRAME_BYTES)
        return end_at(file, TXNLOG_END_SHORT);
    result = txnlog_window(file, file->position, length + TXNLOG_FRAME_BYTES, &bytes, error);
    if (result < 0)
        return result;
    const uint8_t *payload = bytes + TXNLOG_PREFIX_BYTES;
    if (payload[length] != TXNLOG_LAST_BYTE)
        return end_at(file, TXNLOG_END_BYTE);
    if (mk_adler32(1, payload, length) != checksum)
        return end_at(file, TXNLOG_END_SUM);
    if (!payload_check(file, payload, length, entry, previous))
        return 0;
    file->end = TXNLOG_END_CLEAN;
    file->position += length + TXNLOG_FRAME_BYTES;
    file->last_zxid = entry->zxid;
    file->entries++;
    return 1;
}
