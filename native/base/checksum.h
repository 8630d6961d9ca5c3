/* SPDX-License-Identifier: MIT */
/* The three checksums of the disk formats: Adler-32 (Apache's log entries and snapshots),
 * CRC-32 (Apache's tree digest), both by libdeflate, and CRC-32C (Castagnoli, our log
 * trailer) with the processor's instruction where there is one. */
#ifndef MK_BASE_CHECKSUM_H
#define MK_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Continues `adler`; start with 1. */
uint32_t mk_adler32(uint32_t adler, const void *data, size_t size);
/* Continues `crc`; start with 0. */
uint32_t mk_crc32(uint32_t crc, const void *data, size_t size);
/* Continues `crc`; start with 0. */
uint32_t mk_crc32c(uint32_t crc, const void *data, size_t size);

#endif
