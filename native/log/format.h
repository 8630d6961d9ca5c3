/* SPDX-License-Identifier: MIT */
/* Numbers of the disk formats (storage reference, sections 2 and 5) and the layout of our
 * trailer. Only files of this layer include it. */
#ifndef LOG_FORMAT_H
#define LOG_FORMAT_H

#include "base/mk.h"
#include "base/zxid.h"

/* --- both ------------------------------------------------------------------------------------- */

#define LOG_HEADER_BYTES 16 /* int magic, int version 2, long dbid */
#define LOG_FORMAT_VERSION 2
#define LOG_SECTOR_BYTES 512 /* the smallest piece of a write that a disk keeps or loses whole */

/* --- transaction log -------------------------------------------------------------------------- */

#define TXNLOG_MAGIC 0x5a4b4c47u /* "ZKLG" */
#define TXNLOG_PREFIX_BYTES 12   /* long Adler-32, int length */
#define TXNLOG_FRAME_BYTES 13    /* prefix, and the end byte behind the payload */
#define TXNLOG_LAST_BYTE 0x42
#define TXN_HEADER_BYTES 32   /* TxnHeader */
#define TXN_HEADER_ZXID_AT 12 /* in it */
#define TXNLOG_NEW_NAME "moonkeeper.newlog.tmp"

/* The trailer: the last bytes of the payload. Apache's reader stops before it, or takes its first
 * 12 bytes for the TxnDigest that an error transaction does not have: version 0, which it does
 * not compare. A closeSession without its list reads the first int as an empty list. */
#define TRAILER_MAGIC 0x4d4b5431u /* "MKT1" */
#define TRAILER_BYTES 40
#define TRAILER_ZERO_AT 0      /* int 0 */
#define TRAILER_MAGIC_AT 4     /* int */
#define TRAILER_FILE_ID_AT 8   /* long; the same in all entries of a file */
#define TRAILER_OFFSET_AT 16   /* long; of this entry (its checksum field) in its file */
#define TRAILER_DURABLE_AT 24  /* long; the file was durable up to here when this was written */
#define TRAILER_PREVIOUS_AT 32 /* int; CRC of the entry before, also across files; 0 unknown */
#define TRAILER_CRC_AT 36      /* int; CRC-32C of the payload up to here */

/* --- snapshot --------------------------------------------------------------------------------- */

#define SNAPFILE_MAGIC 0x5a4b534eu /* "ZKSN" */
#define SNAPFILE_SEAL_BYTES 13     /* long Adler-32, ustring "/" */
#define SNAPFILE_TEMPORARY "moonkeeper.snapshot."

/* Whether `next` may directly follow `zxid` in a log without a hole in between. */
static inline bool log_zxid_follows(int64_t zxid, int64_t next)
{
    if (next == zxid + 1)
        return true;
    return mk_zxid_epoch(next) > mk_zxid_epoch(zxid) && mk_zxid_counter(next) == 1;
}

#endif
