/* SPDX-License-Identifier: MIT */
/* The real disk behind log/store.h: one directory, POSIX calls, interrupted and short calls
 * carried on. Safe to use from several threads as the seam demands. */
#ifndef SERVER_STORE_POSIX_H
#define SERVER_STORE_POSIX_H

#include "log/store.h"

/* Opens the directory; `create` makes it (and its parents) and syncs them. */
int store_posix_open(const char *path, bool create, struct store **store, struct log_error *error);
/* From now on whole blocks and zeros go to the device past the page cache (O_DIRECT), where the
 * file system lets them, and so do reads of whole blocks into aligned memory: for files that are
 * written once and hardly ever read. */
void store_posix_direct(struct store *store);
/* Releases the lock too. All files must be closed. `store` may be NULL. */
void store_posix_free(struct store *store);

#endif
