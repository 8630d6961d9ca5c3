/* SPDX-License-Identifier: MIT */
/* Keyed hashing for tables whose keys clients choose. The seed is a parameter: the pure
 * layers draw no random numbers, the server passes one in at start. */
#ifndef MK_BASE_HASH_H
#define MK_BASE_HASH_H

#include "base/mk.h"

static inline uint64_t mk_hash_mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t mk_hash_u64(uint64_t value, uint64_t seed)
{
    return mk_hash_mix(value ^ 0x9e3779b97f4a7c15u, seed ^ 0xd6e8feb86659fd93u);
}

/* Up to 8 bytes as one word. Loads of fixed sizes that may overlap: a memcpy of a variable length
 * would go through memory. Equal lengths only compare equal, as the length is hashed too. */
static inline uint64_t mk_hash_tail(const uint8_t *data, size_t length)
{
    if (length >= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        return word;
    }
    if (length >= 4) {
        uint32_t first, last;
        memcpy(&first, data, 4);
        memcpy(&last, data + length - 4, 4);
        return (uint64_t)last << 32 | first;
    }
    if (length == 0)
        return 0;
    return (uint64_t)data[length / 2] << 16 | (uint64_t)data[length - 1] << 8 | data[0];
}

/* A 64-bit hash of `length` bytes: two words a round through a 64x64 to 128 bit multiply. */
static inline uint64_t mk_hash_data(const uint8_t *data, size_t length, uint64_t seed)
{
    uint64_t state = seed ^ 0xa0761d6478bd642fu;
    size_t left = length;
    while (left > 16) {
        uint64_t words[2];
        memcpy(words, data, sizeof words);
        state = mk_hash_mix(words[0] ^ state, words[1] ^ 0xe7037ed1a0b428dbu);
        data += 16;
        left -= 16;
    }
    uint64_t first = left ? mk_hash_tail(data, MK_MIN(left, 8u)) : 0;
    uint64_t second = left > 8 ? mk_hash_tail(data + 8, left - 8) : 0;
    state = mk_hash_mix(first ^ state ^ 0x8ebc6af09c88c6e3u, second ^ 0x589965cc75374cc3u);
    return mk_hash_mix(state ^ seed, (uint64_t)length ^ 0x1d8e4e27c47d124fu);
}

#endif
