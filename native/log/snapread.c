/* SPDX-License-Identifier: MIT */
/* Reads a snapshot file; see snapfile.h. The Adler-32 runs over consumed bytes in big chunks; the
 * consumer alone knows where the body ends, so seals are read after it said so. */
#include "base/checksum.h"
#include "base/mem.h"
#include "log/format.h"
#include "log/names.h"
#include "log/snapfile.h"
#include "log/snapsource.h"
#include "wire/errors.gen.h"

#define BUFFER_BYTES (256u << 10)
#define DIGEST_TEXT_BYTES_MAX 64

struct snapread {
    struct snapsource *source;
    struct store *snapshots;
    const char *name;
    uint8_t *data;
    size_t capacity, start, end; /* unconsumed bytes are [start, end) */
    uint64_t position;           /* uncompressed offset of `start` */
    uint32_t adler;              /* of everything before `start` */
    bool at_end;
};

static int damaged(const struct snapread *read, const char *what, struct log_error *error)
{
    return log_error_set(error, MK_ERR_CORRUPT, "%s/%s, byte %llu: %s", read->snapshots->path,
                         read->name, (unsigned long long)read->position, what);
}

/* Reads once more behind what is there. 1: got something, 0: the file is at its end. */
static int fill(struct snapread *read, struct log_error *error)
{
    if (read->at_end)
        return 0;
    if (read->start > 0 && read->end > read->start)
        memmove(read->data, read->data + read->start, read->end - read->start);
    read->end -= read->start;
    read->start = 0;
    if (read->end == read->capacity) {
        if (read->capacity >= SNAPFILE_ITEM_BYTES_MAX)
            return damaged(read, "an item beyond all limits", error);
        read->capacity *= 2;
        read->data = mk_realloc(read->data, read->capacity);
    }
    int64_t got =
        snapsource_read(read->source, read->data + read->end, read->capacity - read->end, error);
    if (got < 0)
        return (int)got;
    read->at_end = got == 0;
    read->end += (size_t)got;
    return got > 0;
}

static void consume(struct snapread *read, size_t size)
{
    read->adler = mk_adler32(read->adler, read->data + read->start, size);
    read->start += size;
    read->position += size;
}

/* 1: `size` bytes are there, 0: the file ends before. */
static int need(struct snapread *read, size_t size, struct log_error *error)
{
    while (read->end - read->start < size) {
        int result = fill(read, error);
        if (result <= 0)
            return result;
    }
    return 1;
}

static int read_header(struct snapread *read, struct log_error *error)
{
    int result = need(read, LOG_HEADER_BYTES, error);
    if (result < 0)
        return result;
    if (result == 0 || mk_load_u32(read->data + read->start) != SNAPFILE_MAGIC)
        return damaged(read, "the file does not begin with a snapshot header", error);
    consume(read, LOG_HEADER_BYTES);
    return 0;
}

static int read_body(struct snapread *read, snapfile_body *body, void *context,
                     struct log_error *error)
{
    for (;;) {
        size_t consumed = 0, size = read->end - read->start;
        const char *reason = "its content is not that of a snapshot";
        int result = size ? body(context, read->data + read->start, size, &consumed, &reason) : 0;
        MK_ASSERT(consumed <= size);
        consume(read, consumed);
        if (result < 0) {
            (void)damaged(read, reason, error);
            return result;
        }
        if (result == 1)
            return 0;
        if (consumed > 0 && consumed < size)
            continue; /* it may not have looked at all there is */
        result = fill(read, error);
        if (result == 0)
            return damaged(read, "the file ends inside the body", error);
        if (result < 0)
            return result;
    }
}

static int read_seal(struct snapread *read, struct log_error *error)
{
    int result = need(read, SNAPFILE_SEAL_BYTES, error);
    if (result < 0)
        return result;
    if (result == 0)
        return damaged(read, "the file ends inside a seal", error);
    const uint8_t *seal = read->data + read->start;
    if (mk_load_u64(seal) != read->adler)
        return damaged(read, "the Adler-32 checksum of what is before this byte is wrong", error);
    if (mk_load_u32(seal + 8) != 1 || seal[12] != '/')
        return damaged(read, "a seal without its end", error);
    consume(read, SNAPFILE_SEAL_BYTES);
    return 0;
}

/* Versions below 2 wrote the digest as a hexadecimal string, which is not used any more. */
static int read_digest(struct snapread *read, struct snapfile_seal *seal, struct log_error *error)
{
    int result = need(read, 16, error);
    if (result <= 0)
        return result < 0 ? result : damaged(read, "the digest section is cut off", error);
    const uint8_t *section = read->data + read->start;
    seal->digest_zxid = (int64_t)mk_load_u64(section);
    seal->digest_version = (int32_t)mk_load_u32(section + 8);
    size_t size = 20;
    if (seal->digest_version < 2) {
        uint32_t length = mk_load_u32(section + 12);
        if (length > DIGEST_TEXT_BYTES_MAX)
            return damaged(read, "the digest section is damaged", error);
        size = 16 + length;
    }
    result = need(read, size, error);
    if (result <= 0)
        return result < 0 ? result : damaged(read, "the digest section is cut off", error);
    if (seal->digest_version >= 2)
        seal->digest = mk_load_u64(read->data + read->start + 12);
    seal->has_digest = true;
    consume(read, size);
    return 0;
}

/* A section that is not there: older servers did not write it. */
static int read_sections(struct snapread *read, struct snapfile_seal *seal, struct log_error *error)
{
    int result = read_seal(read, error);
    if (result == 0)
        result = need(read, 1, error);
    if (result <= 0)
        return result;
    result = read_digest(read, seal, error);
    if (result == 0)
        result = read_seal(read, error);
    if (result == 0)
        result = need(read, 1, error);
    if (result <= 0)
        return result;
    result = need(read, 8, error);
    if (result <= 0)
        return result < 0 ? result : damaged(read, "the last zxid section is cut off", error);
    seal->last_zxid = (int64_t)mk_load_u64(read->data + read->start);
    seal->has_last_zxid = true;
    consume(read, 8);
    return read_seal(read, error);
}

int snapfile_read(struct store *snapshots, const char *name, snapfile_body *body, void *context,
                  struct snapfile_info *info, struct log_error *error)
{
    struct snapread read = {
        .snapshots = snapshots, .name = name, .capacity = BUFFER_BYTES, .adler = 1};
    *info = (struct snapfile_info){0};
    if (!log_name_parse(LOG_KIND_SNAPSHOT, name, &info->zxid))
        return log_error_set(error, MK_ERR_UNSUPPORTED, "%s is not the name of a snapshot", name);
    int result = snapsource_open(snapshots, name, &read.source, error);
    if (result < 0)
        return result;
    read.data = mk_alloc(read.capacity);
    result = read_header(&read, error);
    if (result == 0)
        result = read_body(&read, body, context, error);
    if (result == 0) {
        info->body_bytes = read.position - LOG_HEADER_BYTES;
        result = read_sections(&read, &info->seal, error);
    }
    info->file_bytes = snapsource_file_bytes(read.source);
    snapsource_free(read.source);
    mk_free(read.data);
    return result;
}
