/* SPDX-License-Identifier: MIT */
/* ZooKeeper's encoding ("jute" binary archive), by hand for the six primitive types; the
 * records are generated on top of it (records.gen.h). Called by every layer that decodes or
 * encodes a frame, a packet or a file.
 *
 * Reading is bounded and sticky: no byte outside the input is touched, the first error stays,
 * and after it every read gives a zero value, so a caller reads straight on and looks at
 * `error` once at the end. Lengths and counts are checked against the bytes that are left
 * before they are believed. What is read borrows from the input, vectors from the arena.
 *
 * Writing has two steps: *_size gives the exact number of bytes, *_store puts them down and
 * returns the place behind them. *_write does both at the end of a buffer. */
#ifndef MK_WIRE_JUTE_H
#define MK_WIRE_JUTE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/mk.h"

struct mk_reader {
    const uint8_t *data;
    size_t length;
    size_t offset;          /* next byte; equals length after an error */
    int error;              /* 0, MK_ERR_MARSHALLING or MK_ERR_TOO_LARGE */
    int32_t length_max;     /* limit of one string or buffer; INT32_MAX at first */
    struct mk_arena *arena; /* for vectors; NULL when the record has none */
};

/* Strings or buffers; count -1 means null. */
struct mk_bytes_vector {
    int32_t count;
    struct mk_bytes *items;
};

/* `data` must outlive the reader and all that was read; `arena` may be NULL when no vector
 * is read. */
static inline void mk_reader_init(struct mk_reader *reader, const void *data, size_t length,
                                  struct mk_arena *arena)
{
    *reader =
        (struct mk_reader){.data = data, .length = length, .length_max = INT32_MAX, .arena = arena};
}

/* Over bytes; null counts as empty. */
static inline void mk_reader_init_bytes(struct mk_reader *reader, struct mk_bytes bytes,
                                        struct mk_arena *arena)
{
    mk_reader_init(reader, bytes.data, mk_bytes_size(bytes), arena);
}

/* Bytes that are left; 0 after an error. */
static inline size_t mk_reader_left(const struct mk_reader *reader)
{
    return reader->length - reader->offset;
}

/* What has not been read yet, borrowed. */
static inline struct mk_bytes mk_reader_rest(const struct mk_reader *reader)
{
    size_t left = mk_reader_left(reader);
    return mk_bytes_of(left ? reader->data + reader->offset : NULL, left);
}

/* Notes `error` unless there was one before; all later reads give zero values. */
void mk_reader_fail(struct mk_reader *reader, int error);

/* Slow paths of the reads below: notes MK_ERR_MARSHALLING. */
void mk_reader_fail_short(struct mk_reader *reader);

/* The next `size` bytes (more than 0), or NULL when fewer are left (an error). */
static inline const uint8_t *mk_read_take(struct mk_reader *reader, size_t size)
{
    if (MK_UNLIKELY(mk_reader_left(reader) < size)) {
        mk_reader_fail_short(reader);
        return NULL;
    }
    const uint8_t *at = reader->data + reader->offset;
    reader->offset += size;
    return at;
}

/* Any byte but 0 is true, as Apache reads it. */
static inline bool mk_read_boolean(struct mk_reader *reader)
{
    const uint8_t *at = mk_read_take(reader, 1);
    return at && *at != 0;
}

static inline int32_t mk_read_int(struct mk_reader *reader)
{
    const uint8_t *at = mk_read_take(reader, 4);
    return at ? (int32_t)mk_load_u32(at) : 0;
}

static inline int64_t mk_read_long(struct mk_reader *reader)
{
    const uint8_t *at = mk_read_take(reader, 8);
    return at ? (int64_t)mk_load_u64(at) : 0;
}

/* A string or buffer, borrowed from the input. Length -1 is null, below -1 an error, above
 * length_max MK_ERR_TOO_LARGE. After an error: length 0. */
struct mk_bytes mk_read_bytes(struct mk_reader *reader);

/* The count of a vector whose elements take at least `element_bytes_min` (> 0) each: -1 for
 * null, 0 for anything below -1 (as Apache reads it), never more than the bytes left can
 * hold (an error, and 0). */
int32_t mk_read_count(struct mk_reader *reader, size_t element_bytes_min);

void mk_bytes_vector_read(struct mk_reader *reader, struct mk_bytes_vector *vector);
size_t mk_bytes_vector_size(const struct mk_bytes_vector *vector);
uint8_t *mk_bytes_vector_store(uint8_t *at, const struct mk_bytes_vector *vector);

static inline uint8_t *mk_store_boolean(uint8_t *at, bool value)
{
    *at = value ? 1 : 0;
    return at + 1;
}

static inline uint8_t *mk_store_int(uint8_t *at, int32_t value)
{
    mk_store_u32(at, (uint32_t)value);
    return at + 4;
}

static inline uint8_t *mk_store_long(uint8_t *at, int64_t value)
{
    mk_store_u64(at, (uint64_t)value);
    return at + 8;
}

/* Length and bytes: 4 + mk_bytes_size(bytes) bytes. */
static inline uint8_t *mk_store_bytes(uint8_t *at, struct mk_bytes bytes)
{
    size_t size = mk_bytes_size(bytes);
    at = mk_store_int(at, bytes.length);
    if (size)
        memcpy(at, bytes.data, size);
    return at + size;
}

/* The end of a store into room that mk_buffer_reserve gave. */
static inline void mk_buffer_stored(struct mk_buffer *buffer, const uint8_t *end)
{
    buffer->length = (size_t)(end - buffer->data);
}

static inline void mk_write_boolean(struct mk_buffer *buffer, bool value)
{
    mk_buffer_stored(buffer, mk_store_boolean(mk_buffer_reserve(buffer, 1), value));
}

static inline void mk_write_int(struct mk_buffer *buffer, int32_t value)
{
    mk_buffer_stored(buffer, mk_store_int(mk_buffer_reserve(buffer, 4), value));
}

static inline void mk_write_long(struct mk_buffer *buffer, int64_t value)
{
    mk_buffer_stored(buffer, mk_store_long(mk_buffer_reserve(buffer, 8), value));
}

static inline void mk_write_bytes(struct mk_buffer *buffer, struct mk_bytes bytes)
{
    uint8_t *at = mk_buffer_reserve(buffer, 4 + mk_bytes_size(bytes));
    mk_buffer_stored(buffer, mk_store_bytes(at, bytes));
}

/* A zero-terminated string; NULL writes null. */
static inline void mk_write_string(struct mk_buffer *buffer, const char *string)
{
    mk_write_bytes(buffer, string ? mk_bytes_of_string(string) : MK_BYTES_NULL);
}

static inline void mk_bytes_vector_write(struct mk_buffer *buffer,
                                         const struct mk_bytes_vector *vector)
{
    uint8_t *at = mk_buffer_reserve(buffer, mk_bytes_vector_size(vector));
    mk_buffer_stored(buffer, mk_bytes_vector_store(at, vector));
}

#endif
