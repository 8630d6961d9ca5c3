/* SPDX-License-Identifier: MIT */
/* A zxid: the epoch in the high 32 bits, a counter in the low 32
 * (client-protocol: "zxid = epoch(32 bits) << 32 | counter"). */
#ifndef MK_BASE_ZXID_H
#define MK_BASE_ZXID_H

#include <stdint.h>

static inline uint32_t mk_zxid_epoch(int64_t zxid)
{
    return (uint32_t)((uint64_t)zxid >> 32);
}

static inline uint32_t mk_zxid_counter(int64_t zxid)
{
    return (uint32_t)zxid;
}

static inline int64_t mk_zxid_make(uint32_t epoch, uint32_t counter)
{
    return (int64_t)((uint64_t)epoch << 32 | counter);
}

#endif
