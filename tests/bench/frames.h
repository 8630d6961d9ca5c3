/* SPDX-License-Identifier: MIT */
/* The few pieces of the client protocol that the benchmark programs speak: big-endian numbers,
 * operation numbers, sizes. Shared by the load generator and the do-nothing server. It stands
 * alone on purpose: the yardstick must not share code with what it measures. */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include <stdint.h>
#include <string.h>

enum {
    OP_CREATE = 1,
    OP_EXISTS = 3,
    OP_GET_DATA = 4,
    OP_SET_DATA = 5,
    OP_PING = 11,
    OP_CLOSE_SESSION = -11
};

enum { XID_EVENT = -1, XID_PING = -2 };

enum { ERR_NODE_EXISTS = -110 };

#define STAT_BYTES 68          /* the record that tells a znode's versions and times */
#define REPLY_HEADER_BYTES 16  /* xid, zxid, err */
#define REQUEST_HEADER_BYTES 8 /* xid, operation */
#define CONNECT_REQUEST_BYTES 45
#define CONNECT_REPLY_BYTES 37
#define FRAME_BYTES_MAX (1u << 20)

static inline uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return __builtin_bswap32(value);
}

static inline int32_t get_i32(const uint8_t *at)
{
    return (int32_t)get_u32(at);
}

static inline int64_t get_i64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
    return (int64_t)__builtin_bswap64(value);
}

/* Each put returns the place behind what it wrote. */
static inline uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(at, &value, 4);
    return at + 4;
}

static inline uint8_t *put_i32(uint8_t *at, int32_t value)
{
    return put_u32(at, (uint32_t)value);
}

static inline uint8_t *put_i64(uint8_t *at, int64_t value)
{
    uint64_t raw = __builtin_bswap64((uint64_t)value);
    memcpy(at, &raw, 8);
    return at + 8;
}

/* A length-prefixed run of bytes: ustring and buffer look alike. */
static inline uint8_t *put_bytes(uint8_t *at, const void *bytes, uint32_t length)
{
    at = put_u32(at, length);
    memcpy(at, bytes, length);
    return at + length;
}

#endif
