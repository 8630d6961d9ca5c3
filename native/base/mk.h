/* SPDX-License-Identifier: MIT */
/* What every layer shares: assertions that stay on in production, borrowed byte
 * slices, and big-endian loads and stores (every number on the wire and on disk is
 * big-endian two's complement: "jute binary archive" of the ZooKeeper protocol).
 * Nothing here allocates, and nothing here knows a layer above. */
#ifndef MK_BASE_MK_H
#define MK_BASE_MK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A broken invariant: reports the place and ends the process (abort). Never used for
 * input that a client, a file or an operator controls: that is an error code. */
_Noreturn void mk_assert_failed(const char *expression, const char *file, int line);

#define MK_ASSERT(expression)                                                                      \
    ((expression) ? (void)0 : mk_assert_failed(#expression, __FILE__, __LINE__))

#define MK_ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define MK_CONTAINER_OF(pointer, type, member)                                                     \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
#define MK_MIN(a, b) ((a) < (b) ? (a) : (b))
#define MK_MAX(a, b) ((a) > (b) ? (a) : (b))

#if defined(__GNUC__)
#define MK_LIKELY(x) __builtin_expect(!!(x), 1)
#define MK_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define MK_PRINTF(format_at, first) __attribute__((format(printf, format_at, first)))
#else
#define MK_LIKELY(x) (x)
#define MK_UNLIKELY(x) (x)
#define MK_PRINTF(format_at, first)
#endif

/* Borrowed bytes: valid until the call that received them returns, unless its header
 * says otherwise. `length` -1 means null, which ZooKeeper tells from empty (0). Used for
 * jute strings (UTF-8, not zero-terminated) and buffers alike. */
struct mk_bytes {
    const uint8_t *data;
    int32_t length;
};

#define MK_BYTES_NULL ((struct mk_bytes){NULL, -1})
/* A slice over a string literal. */
#define MK_BYTES(literal)                                                                          \
    ((struct mk_bytes){(const uint8_t *)("" literal), (int32_t)sizeof(literal) - 1})

static inline struct mk_bytes mk_bytes_of(const void *data, size_t length)
{
    return (struct mk_bytes){(const uint8_t *)data, (int32_t)length};
}

/* A slice over a zero-terminated string; it must stay alive. */
static inline struct mk_bytes mk_bytes_of_string(const char *string)
{
    return mk_bytes_of(string, strlen(string));
}

/* Bytes that are there: 0 for null. */
static inline size_t mk_bytes_size(struct mk_bytes bytes)
{
    return bytes.length > 0 ? (size_t)bytes.length : 0;
}

/* As memcmp(a, b, length) == 0, without a call where names and schemes are short: loads of fixed
 * sizes, which may overlap. */
static inline bool mk_is_same(const uint8_t *a, const uint8_t *b, size_t length)
{
    if (length > 16)
        return memcmp(a, b, length) == 0;
    if (length >= 8) {
        uint64_t words[4];
        memcpy(&words[0], a, 8);
        memcpy(&words[1], b, 8);
        memcpy(&words[2], a + length - 8, 8);
        memcpy(&words[3], b + length - 8, 8);
        return ((words[0] ^ words[1]) | (words[2] ^ words[3])) == 0;
    }
    if (length >= 4) {
        uint32_t words[4];
        memcpy(&words[0], a, 4);
        memcpy(&words[1], b, 4);
        memcpy(&words[2], a + length - 4, 4);
        memcpy(&words[3], b + length - 4, 4);
        return ((words[0] ^ words[1]) | (words[2] ^ words[3])) == 0;
    }
    for (size_t i = 0; i < length; i++) {
        if (a[i] != b[i])
            return false;
    }
    return true;
}

/* Equal content; null equals only null. */
static inline bool mk_bytes_equal(struct mk_bytes a, struct mk_bytes b)
{
    return a.length == b.length && (a.length <= 0 || mk_is_same(a.data, b.data, (size_t)a.length));
}

static inline bool mk_bytes_equal_string(struct mk_bytes a, const char *string)
{
    return mk_bytes_equal(a, mk_bytes_of_string(string));
}

static inline bool mk_bytes_starts_with(struct mk_bytes bytes, struct mk_bytes prefix)
{
    size_t length = mk_bytes_size(prefix);
    return mk_bytes_size(bytes) >= length &&
           (length == 0 || memcmp(bytes.data, prefix.data, length) == 0);
}

static inline uint32_t mk_load_u32(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return __builtin_bswap32(value);
}

static inline uint64_t mk_load_u64(const uint8_t *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return __builtin_bswap64(value);
}

static inline void mk_store_u32(uint8_t *p, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(p, &value, sizeof value);
}

static inline void mk_store_u64(uint8_t *p, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(p, &value, sizeof value);
}

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "moonkeeper is built and tested on little-endian machines only"
#endif

#endif
