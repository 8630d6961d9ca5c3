/* SPDX-License-Identifier: MIT */
/* The uncompressed bytes of a snapshot file: plain, gzip, or the Java library's snappy stream (not
 * the snappy project's framing; storage reference, section 5.5). Used by snapread.c only. */
#ifndef LOG_SNAPSOURCE_H
#define LOG_SNAPSOURCE_H

#include "log/store.h"

struct snapsource;

/* Which format it is, the name's last suffix says. */
int snapsource_open(struct store *snapshots, const char *name, struct snapsource **source,
                    struct log_error *error);
void snapsource_free(struct snapsource *source);
/* Up to `size` bytes; 0 only at the end. MK_ERR_CORRUPT: the compressed stream is damaged. */
int64_t snapsource_read(struct snapsource *source, uint8_t *data, size_t size,
                        struct log_error *error);
uint64_t snapsource_file_bytes(const struct snapsource *source);

#endif
