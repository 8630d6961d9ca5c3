/* SPDX-License-Identifier: MIT */
/* Pieces of a log file and searches; see txnlog_window.h. */
#include "log/txnlog_window.h"

#include "base/checksum.h"
#include "base/mem.h"
#include "log/format.h"
#include "wire/errors.gen.h"

#define WINDOW_BYTES (1u << 20)
#define WINDOW_ALIGNMENT ((uint64_t)4096) /* lets a store read past the page cache */
/* Work that the search for an entry may spend on checksums of what only looks like one. */
#define SEARCH_SUM_BYTES_MAX (256u << 20)
/* Memory is copied, and read by devices, in steps that are multiples of this. */
#define TEAR_BYTES 8u

int txnlog_window(struct txnlog_file *file, uint64_t offset, size_t size, const uint8_t **bytes,
                  struct log_error *error)
{
    MK_ASSERT(offset <= file->size);
    MK_ASSERT(size <= file->size - offset);
    if (offset >= file->window_at && offset - file->window_at <= file->window_size &&
        size <= file->window_size - (size_t)(offset - file->window_at)) {
        *bytes = file->window + (offset - file->window_at);
        return 0;
    }
    uint64_t start = offset & ~(WINDOW_ALIGNMENT - 1);
    uint64_t end = MK_MIN(MK_MAX(offset + size, start + WINDOW_BYTES), file->size);
    size_t want = (size_t)((end - start + WINDOW_ALIGNMENT - 1) & ~(WINDOW_ALIGNMENT - 1));
    if (want > file->window_capacity) {
        mk_free(file->window);
        file->window_capacity = want;
        file->window = mk_alloc_aligned(WINDOW_ALIGNMENT, want);
    }
    file->window_size = 0;
    int64_t got = store_read(file->file, start, file->window, want, error);
    if (got < 0)
        return (int)got;
    got = MK_MIN(got, (int64_t)(file->size - start)); /* not what came behind since */
    if (start + (uint64_t)got < offset + size)
        return log_error_set(error, MK_ERR_IO, "%s/%s became shorter while it was read",
                             file->file->store->path, file->name.name);
    file->window_at = start;
    file->window_size = (size_t)got;
    *bytes = file->window + (offset - start);
    return 0;
}

static bool all_zero(const uint8_t *data, size_t size)
{
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

int txnlog_find_nonzero(struct txnlog_file *file, uint64_t offset, uint64_t *at,
                        struct log_error *error)
{
    while (offset < file->size) {
        size_t part = (size_t)MK_MIN(file->size - offset, 4096);
        const uint8_t *bytes;
        int result = txnlog_window(file, offset, part, &bytes, error);
        if (result < 0)
            return result;
        if (!all_zero(bytes, part)) {
            while (*bytes == 0) {
                bytes++;
                offset++;
            }
            break;
        }
        offset += part;
    }
    *at = offset;
    return 0;
}

static void trailer_note(struct txnlog_file *file, uint64_t at, const uint8_t *trailer,
                         struct txnlog_traces *traces)
{
    uint64_t id = mk_load_u64(trailer + TRAILER_FILE_ID_AT);
    uint64_t offset = mk_load_u64(trailer + TRAILER_OFFSET_AT);
    uint64_t durable = mk_load_u64(trailer + TRAILER_DURABLE_AT);
    uint64_t known = file->file_id ? file->file_id : traces->file_id;
    if ((known && id != known) || offset >= at || offset < LOG_HEADER_BYTES || durable > offset)
        return;
    traces->found = true;
    traces->file_id = id;
    traces->durable = MK_MAX(traces->durable, durable);
    if (offset == file->position)
        traces->own_end = at + TRAILER_BYTES + 1;
}

int txnlog_find_trailers(struct txnlog_file *file, struct txnlog_traces *traces,
                         struct log_error *error)
{
    uint8_t sign[8] = {0};
    mk_store_u32(sign + 4, TRAILER_MAGIC);
    *traces = (struct txnlog_traces){0};
    uint64_t offset = file->position;
    while (offset + TRAILER_BYTES <= file->size) {
        size_t part = (size_t)MK_MIN(file->size - offset, 65536);
        const uint8_t *bytes;
        int result = txnlog_window(file, offset, part, &bytes, error);
        if (result < 0)
            return result;
        const uint8_t *from = bytes, *end = bytes + part;
        const uint8_t *hit;
        while ((hit = memmem(from, (size_t)(end - from), sign, sizeof sign)) != NULL &&
               end - hit >= TRAILER_BYTES) {
            trailer_note(file, offset + (uint64_t)(hit - bytes), hit, traces);
            from = hit + 1;
        }
        if (part < 65536)
            break;
        offset += part - TRAILER_BYTES + 1;
    }
    return 0;
}

/* Cheap tests first; the checksum's upper half is always 0. */
static bool entry_plausible(const struct txnlog_file *file, uint64_t at, const uint8_t *bytes,
                            uint32_t *length)
{
    if (mk_load_u32(bytes) != 0)
        return false;
    *length = mk_load_u32(bytes + 8);
    if (*length < TXN_HEADER_BYTES || *length > TXNLOG_ENTRY_BYTES_MAX + TRAILER_BYTES ||
        *length > file->size - at - TXNLOG_FRAME_BYTES)
        return false;
    int64_t zxid = (int64_t)mk_load_u64(bytes + TXNLOG_PREFIX_BYTES + TXN_HEADER_ZXID_AT);
    return zxid >= file->name.zxid && (!file->entries || zxid > file->last_zxid);
}

int txnlog_find_entry(struct txnlog_file *file, uint64_t *at, struct log_error *error)
{
    const size_t head = TXNLOG_PREFIX_BYTES + TXN_HEADER_BYTES;
    uint64_t budget = SEARCH_SUM_BYTES_MAX;
    *at = 0;
    uint64_t offset = MK_MAX(file->position, LOG_HEADER_BYTES) + 1;
    while (offset + head + 1 <= file->size) {
        const uint8_t *bytes;
        int result = txnlog_window(file, offset, head, &bytes, error);
        if (result < 0)
            return result;
        uint32_t length;
        if (entry_plausible(file, offset, bytes, &length) && length <= budget) {
            result = txnlog_window(file, offset, length + TXNLOG_FRAME_BYTES, &bytes, error);
            if (result < 0)
                return result;
            const uint8_t *payload = bytes + TXNLOG_PREFIX_BYTES;
            if (payload[length] == TXNLOG_LAST_BYTE) {
                budget -= length;
                if (mk_adler32(1, payload, length) == mk_load_u64(bytes)) {
                    *at = offset;
                    return 0;
                }
            }
        }
        offset++;
    }
    return 0;
}

/* What is lost of a sector is lost from some point to its end. The entry's last byte is never
 * zero; in front of another sector's end a few zeros may be data, eight are taken as a sign. */
int txnlog_find_lost_sector(struct txnlog_file *file, uint64_t end, uint64_t until, bool *lost,
                            struct log_error *error)
{
    *lost = false;
    end = MK_MIN(end, file->size);
    uint64_t at = file->position + 4; /* the first four bytes of an entry are always zero */
    while (at < MK_MIN(end, until) && !*lost) {
        uint64_t next = MK_MIN((at / LOG_SECTOR_BYTES + 1) * LOG_SECTOR_BYTES, end);
        size_t run = next == end ? 1 : (size_t)MK_MIN(next - at, TEAR_BYTES);
        const uint8_t *bytes;
        int result = txnlog_window(file, next - run, run, &bytes, error);
        if (result < 0)
            return result;
        *lost = all_zero(bytes, run);
        at = next;
    }
    return 0;
}
