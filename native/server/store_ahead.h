/* SPDX-License-Identifier: MIT */
/* A store in front of the log's: a thread prepares the next log file, zeros written and synced,
 * while the log thread writes the current one. So neither a new file nor the growth of a file
 * makes a write wait for the allocation of blocks. Prepared is one file at most, under a name
 * that recovery removes. The log layer notices nothing but speed. */
#ifndef SERVER_STORE_AHEAD_H
#define SERVER_STORE_AHEAD_H

#include "log/store.h"

/* `inner` must outlive it. No thread is started before the first want. */
struct store *store_ahead_new(struct store *inner);
/* A file of so many bytes is wanted, if none is ready or under way. */
void store_ahead_want(struct store *store, uint64_t bytes);
/* The next created file will be the prepared one. */
bool store_ahead_is_ready(struct store *store);
/* Zeros that are known to lie behind `position` in the file created last. */
uint64_t store_ahead_room(struct store *store, uint64_t position);
/* Ends the thread, removes what was prepared. All files must be closed. `store` may be NULL. */
void store_ahead_free(struct store *store);

#endif
