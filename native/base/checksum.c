/* SPDX-License-Identifier: MIT */
/* Checksums; see checksum.h. CRC-32C has a table version for processors without the
 * instruction; both are compared in the unit test. */
#include "base/checksum.h"

#include "base/mk.h"

#include <libdeflate.h>

uint32_t mk_adler32(uint32_t adler, const void *data, size_t size)
{
    return size ? libdeflate_adler32(adler, data, size) : adler;
}

uint32_t mk_crc32(uint32_t crc, const void *data, size_t size)
{
    return size ? libdeflate_crc32(crc, data, size) : crc;
}

/* Reflected polynomial 0x82f63b78, four bits a step. */
static const uint32_t crc32c_nibble[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static uint32_t crc32c_portable(uint32_t crc, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ crc32c_nibble[crc & 15];
        crc = crc >> 4 ^ crc32c_nibble[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const uint8_t *data,
                                                               size_t size)
{
    uint64_t state = crc;
    while (size >= 8) {
        uint64_t word;
        memcpy(&word, data, sizeof word);
        state = __builtin_ia32_crc32di(state, word);
        data += 8;
        size -= 8;
    }
    crc = (uint32_t)state;
    while (size--)
        crc = __builtin_ia32_crc32qi(crc, *data++);
    return crc;
}
#endif

uint32_t mk_crc32c(uint32_t crc, const void *data, size_t size)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc32c_sse42(~crc, data, size);
#endif
    return ~crc32c_portable(~crc, data, size);
}
