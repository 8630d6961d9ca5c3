/* SPDX-License-Identifier: MIT */
/* Decompression of snapshots; see snapsource.h. */
#include "log/snapsource.h"

#include "base/mem.h"
#include "log/names.h"
#include "log/snapfile.h"
#include "wire/errors.gen.h"

#include <snappy-c.h>
#include <zlib.h>

#define INPUT_BYTES (256u << 10)
#define SNAPPY_HEADER_BYTES 16 /* magic, int version, int compatible version */
#define SNAPPY_BLOCK_BYTES_MAX (64u << 20)

enum snap_format { SNAP_PLAIN, SNAP_GZIP, SNAP_SNAPPY };

struct snapsource {
    struct store_file *file;
    const char *name; /* borrowed until free */
    enum snap_format format;
    uint64_t size, offset;
    z_stream zlib;
    bool zlib_open, zlib_end;
    uint8_t *input; /* gzip: compressed bytes */
    char *block;    /* snappy: the uncompressed block */
    size_t block_size, block_used;
};

static int damaged(struct snapsource *source, const char *what, struct log_error *error)
{
    return log_error_set(error, MK_ERR_CORRUPT, "%s/%s, near byte %llu of the file: %s",
                         source->file->store->path, source->name,
                         (unsigned long long)source->offset, what);
}

static int gzip_open(struct snapsource *source)
{
    source->input = mk_alloc(INPUT_BYTES);
    MK_ASSERT(inflateInit2(&source->zlib, 16 + MAX_WBITS) == Z_OK);
    source->zlib_open = true;
    return 0;
}

static int snappy_open(struct snapsource *source, struct log_error *error)
{
    static const uint8_t magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
    uint8_t header[SNAPPY_HEADER_BYTES];
    int64_t got = store_read(source->file, 0, header, sizeof header, error);
    if (got < 0)
        return (int)got;
    if (got < (int64_t)sizeof header || memcmp(header, magic, sizeof magic) != 0)
        return damaged(source, "no snappy header", error);
    source->offset = sizeof header;
    return 0;
}

int snapsource_open(struct store *snapshots, const char *name, struct snapsource **source,
                    struct log_error *error)
{
    struct snapsource *self = mk_calloc(1, sizeof *self);
    self->name = name;
    int result = store_open(snapshots, name, STORE_READ, &self->file, error);
    if (result == 0) {
        int64_t size = store_size(self->file, error);
        self->size = size < 0 ? 0 : (uint64_t)size;
        result = size < 0 ? (int)size : 0;
    }
    if (log_name_ends_with(name, ".gz"))
        self->format = SNAP_GZIP;
    else if (log_name_ends_with(name, ".snappy"))
        self->format = SNAP_SNAPPY;
    if (result == 0 && self->format == SNAP_GZIP)
        result = gzip_open(self);
    if (result == 0 && self->format == SNAP_SNAPPY)
        result = snappy_open(self, error);
    if (result < 0) {
        snapsource_free(self);
        return result;
    }
    *source = self;
    return 0;
}

void snapsource_free(struct snapsource *source)
{
    if (!source)
        return;
    if (source->zlib_open)
        inflateEnd(&source->zlib);
    store_close(source->file);
    mk_free(source->input);
    mk_free(source->block);
    mk_free(source);
}

static int64_t plain_read(struct snapsource *source, uint8_t *data, size_t size,
                          struct log_error *error)
{
    int64_t got = store_read(source->file, source->offset, data, size, error);
    if (got > 0)
        source->offset += (uint64_t)got;
    return got;
}

static int64_t gzip_read(struct snapsource *source, uint8_t *data, size_t size,
                         struct log_error *error)
{
    z_stream *zlib = &source->zlib;
    size = MK_MIN(size, 1u << 30);
    zlib->next_out = data;
    zlib->avail_out = (uInt)size;
    while (zlib->avail_out == size && !source->zlib_end) {
        if (zlib->avail_in == 0) {
            int64_t got = plain_read(source, source->input, INPUT_BYTES, error);
            if (got < 0)
                return got;
            if (got == 0)
                return damaged(source, "the gzip stream is cut off", error);
            zlib->next_in = source->input;
            zlib->avail_in = (uInt)got;
        }
        int status = inflate(zlib, Z_NO_FLUSH);
        if (status == Z_STREAM_END)
            source->zlib_end = true;
        else if (status != Z_OK)
            return damaged(source, zlib->msg ? zlib->msg : "the gzip stream is damaged", error);
    }
    return (int64_t)(size - zlib->avail_out);
}

/* The next block into source->block. 1, or 0 at the end of the file. */
static int snappy_block(struct snapsource *source, struct log_error *error)
{
    uint8_t head[4];
    int64_t got = store_read(source->file, source->offset, head, sizeof head, error);
    if (got <= 0)
        return (int)got;
    uint64_t left = source->size - MK_MIN(source->size, source->offset + 4);
    uint32_t length = mk_load_u32(head);
    if (got < 4 || length == 0 || length > left || length > SNAPPY_BLOCK_BYTES_MAX)
        return damaged(source, "a snappy block with an impossible length", error);
    char *compressed = mk_alloc(length);
    size_t size = 0;
    got = store_read(source->file, source->offset + 4, compressed, length, error);
    int result = got < 0 ? (int)got : 1;
    if (result == 1 && (got != (int64_t)length ||
                        snappy_uncompressed_length(compressed, length, &size) != SNAPPY_OK ||
                        size > SNAPPY_BLOCK_BYTES_MAX))
        result = damaged(source, "a damaged snappy block", error);
    if (result == 1) {
        source->block = mk_realloc(source->block, size);
        if (snappy_uncompress(compressed, length, source->block, &size) != SNAPPY_OK)
            result = damaged(source, "a damaged snappy block", error);
    }
    mk_free(compressed);
    source->block_size = result == 1 ? size : 0;
    source->block_used = 0;
    source->offset += 4 + (uint64_t)length;
    return result;
}

static int64_t snappy_read(struct snapsource *source, uint8_t *data, size_t size,
                           struct log_error *error)
{
    while (source->block_used == source->block_size) {
        int result = snappy_block(source, error);
        if (result <= 0)
            return result;
    }
    size_t part = MK_MIN(size, source->block_size - source->block_used);
    memcpy(data, source->block + source->block_used, part);
    source->block_used += part;
    return (int64_t)part;
}

int64_t snapsource_read(struct snapsource *source, uint8_t *data, size_t size,
                        struct log_error *error)
{
    switch (source->format) {
    case SNAP_GZIP:
        return gzip_read(source, data, size, error);
    case SNAP_SNAPPY:
        return snappy_read(source, data, size, error);
    default:
        return plain_read(source, data, size, error);
    }
}

uint64_t snapsource_file_bytes(const struct snapsource *source)
{
    return source->size;
}

static int tail_valid(struct store_file *file, struct log_error *error)
{
    static const uint8_t seal[5] = {0, 0, 0, 1, '/'};
    uint8_t tail[5];
    int64_t size = store_size(file, error);
    if (size < 10)
        return size < 0 ? (int)size : 0;
    int64_t got = store_read(file, (uint64_t)size - sizeof tail, tail, sizeof tail, error);
    if (got < 0)
        return (int)got;
    return got == (int64_t)sizeof tail && memcmp(tail, seal, sizeof seal) == 0;
}

int snapfile_looks_valid(struct store *snapshots, const char *name, struct log_error *error)
{
    static const uint8_t gzip[2] = {0x1f, 0x8b};
    static const uint8_t snappy[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
    struct store_file *file;
    int result = store_open(snapshots, name, STORE_READ, &file, error);
    if (result < 0)
        return result;
    uint8_t head[8] = {0};
    int64_t got = store_read(file, 0, head, sizeof head, error);
    if (got < 0)
        result = (int)got;
    else if (log_name_ends_with(name, ".gz"))
        result = memcmp(head, gzip, sizeof gzip) == 0;
    else if (log_name_ends_with(name, ".snappy"))
        result = memcmp(head, snappy, sizeof snappy) == 0;
    else
        result = tail_valid(file, error);
    store_close(file);
    return result;
}
