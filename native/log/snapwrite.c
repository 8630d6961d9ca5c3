/* SPDX-License-Identifier: MIT */
/* Writes a snapshot file; see snapfile.h. Nothing is named like a snapshot before it is complete,
 * durable and read back, so no reader, ours or Apache's, ever sees a partial one. */
#include "base/buffer.h"
#include "base/checksum.h"
#include "base/mem.h"
#include "log/format.h"
#include "log/names.h"
#include "log/snapfile.h"
#include "wire/errors.gen.h"

#include <stdio.h>

#define CHUNK_BYTES (256u << 10)

struct snapfile_writer {
    struct store *snapshots;
    struct store_file *file;
    char temporary[LOG_NAME_BYTES];
    char name[LOG_NAME_BYTES]; /* "": it keeps its temporary one */
    uint64_t written;
    uint32_t adler; /* of everything so far, buffered bytes included */
    struct mk_buffer chunk;
};

static void writer_append(struct snapfile_writer *writer, const void *data, size_t size)
{
    writer->adler = mk_adler32(writer->adler, data, size);
    mk_buffer_append(&writer->chunk, data, size);
}

static int writer_flush(struct snapfile_writer *writer, struct log_error *error)
{
    int result =
        store_write(writer->file, writer->written, writer->chunk.data, writer->chunk.length, error);
    writer->written += writer->chunk.length;
    mk_buffer_clear(&writer->chunk);
    return result;
}

static void writer_free(struct snapfile_writer *writer)
{
    store_close(writer->file);
    mk_buffer_fini(&writer->chunk);
    mk_free(writer);
}

/* `self` has its names. */
static int begin(struct snapfile_writer *self, struct snapfile_writer **writer,
                 struct log_error *error)
{
    int result = store_remove(self->snapshots, self->temporary, error);
    if (result == 0 || result == MK_ERR_NOT_FOUND)
        result = store_open(self->snapshots, self->temporary, STORE_CREATE, &self->file, error);
    if (result < 0) {
        writer_free(self);
        return result;
    }
    uint8_t header[LOG_HEADER_BYTES];
    mk_store_u32(header, SNAPFILE_MAGIC);
    mk_store_u32(header + 4, LOG_FORMAT_VERSION);
    mk_store_u64(header + 8, UINT64_MAX);
    writer_append(self, header, sizeof header);
    *writer = self;
    return 0;
}

static struct snapfile_writer *writer_new(struct store *snapshots)
{
    struct snapfile_writer *self = mk_calloc(1, sizeof *self);
    self->snapshots = snapshots;
    self->adler = 1;
    return self;
}

int snapfile_begin(struct store *snapshots, int64_t zxid, struct snapfile_writer **writer,
                   struct log_error *error)
{
    MK_ASSERT(zxid >= 0);
    struct snapfile_writer *self = writer_new(snapshots);
    log_name_make(LOG_KIND_SNAPSHOT, zxid, self->name);
    snprintf(self->temporary, sizeof self->temporary, SNAPFILE_TEMPORARY "%llx.tmp",
             (unsigned long long)zxid);
    return begin(self, writer, error);
}

int snapfile_begin_received(struct store *snapshots, struct snapfile_writer **writer,
                            struct log_error *error)
{
    struct snapfile_writer *self = writer_new(snapshots);
    snprintf(self->temporary, sizeof self->temporary, "%s", SNAPFILE_RECEIVED_NAME);
    return begin(self, writer, error);
}

int snapfile_write(struct snapfile_writer *writer, const void *body, size_t size,
                   struct log_error *error)
{
    writer->adler = mk_adler32(writer->adler, body, size);
    if (writer->chunk.length + size >= CHUNK_BYTES) {
        int result = writer_flush(writer, error);
        if (result == 0 && size >= CHUNK_BYTES) {
            result = store_write(writer->file, writer->written, body, size, error);
            writer->written += size;
            return result;
        }
        if (result < 0)
            return result;
    }
    mk_buffer_append(&writer->chunk, body, size);
    return 0;
}

static void append_seal(struct snapfile_writer *writer)
{
    uint8_t seal[SNAPFILE_SEAL_BYTES];
    mk_store_u64(seal, writer->adler);
    mk_store_u32(seal + 8, 1);
    seal[12] = '/';
    writer_append(writer, seal, sizeof seal);
}

static void append_seals(struct snapfile_writer *writer, const struct snapfile_seal *seal)
{
    uint8_t section[20];
    append_seal(writer);
    if (seal->has_digest) {
        MK_ASSERT(seal->digest_version >= 2);
        mk_store_u64(section, (uint64_t)seal->digest_zxid);
        mk_store_u32(section + 8, (uint32_t)seal->digest_version);
        mk_store_u64(section + 12, seal->digest);
        writer_append(writer, section, 20);
        append_seal(writer);
    }
    if (seal->has_last_zxid) {
        MK_ASSERT(seal->has_digest); /* sections are told apart by their order alone */
        mk_store_u64(section, (uint64_t)seal->last_zxid);
        writer_append(writer, section, 8);
        append_seal(writer);
    }
}

/* What the device gives back must have the checksum of what was meant. */
static int read_back(struct snapfile_writer *writer, struct log_error *error)
{
    store_close(writer->file);
    writer->file = NULL;
    int result = store_open(writer->snapshots, writer->temporary, STORE_READ, &writer->file, error);
    if (result < 0)
        return result;
    store_forget_cache(writer->file);
    uint8_t *chunk = mk_alloc(CHUNK_BYTES);
    uint32_t adler = 1;
    uint64_t offset = 0;
    int64_t got;
    do {
        got = store_read(writer->file, offset, chunk, CHUNK_BYTES, error);
        if (got > 0) {
            adler = mk_adler32(adler, chunk, (size_t)got);
            offset += (uint64_t)got;
        }
    } while (got == CHUNK_BYTES);
    mk_free(chunk);
    if (got < 0)
        return (int)got;
    if (offset != writer->written || adler != writer->adler)
        return log_error_set(error, MK_ERR_CORRUPT,
                             "%s/%s: what was read back is not what was written; the disk or its "
                             "path is not reliable",
                             writer->snapshots->path, writer->temporary);
    return 0;
}

static int publish(struct snapfile_writer *writer, struct log_error *error)
{
    int result = writer_flush(writer, error);
    if (result == 0)
        result = store_sync_full(writer->file, error);
    if (result == 0)
        result = read_back(writer, error);
    if (result == 0 && writer->name[0])
        result = store_rename(writer->snapshots, writer->temporary, writer->name, error);
    if (result == 0)
        result = store_sync_directory(writer->snapshots, error);
    return result;
}

int snapfile_finish(struct snapfile_writer *writer, const struct snapfile_seal *seal,
                    uint64_t *file_bytes, struct log_error *error)
{
    append_seals(writer, seal);
    int result = publish(writer, error);
    if (file_bytes)
        *file_bytes = writer->written;
    if (result < 0)
        snapfile_abort(writer);
    else
        writer_free(writer);
    return result;
}

void snapfile_abort(struct snapfile_writer *writer)
{
    if (!writer)
        return;
    store_close(writer->file);
    writer->file = NULL;
    (void)store_remove(writer->snapshots, writer->temporary, NULL);
    writer_free(writer);
}
