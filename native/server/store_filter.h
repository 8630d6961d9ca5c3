/* SPDX-License-Identifier: MIT */
/* A store in front of another that changes one thing: it paces reads and writes (for the snapshot
 * worker, whose gigabytes must not stand before the log's syncs), or leaves out syncs
 * (forceSync=no). */
#ifndef SERVER_STORE_FILTER_H
#define SERVER_STORE_FILTER_H

#include "log/store.h"

struct store_filter_options {
    bool skip_sync;            /* sync calls of files return at once */
    bool write_out;            /* each write goes to the device at once, by no sync */
    uint64_t bytes_per_second; /* read or written; 0: unlimited */
    /* Asked while a write waits for its turn: true ends the waiting. May be NULL. */
    bool (*hurry)(void *context);
    void *context;
};

/* `inner` must outlive the filter. One thread at a time may use it. */
struct store *store_filter_new(struct store *inner, const struct store_filter_options *options);
/* All files must be closed. `store` may be NULL. */
void store_filter_free(struct store *store);

#endif
