/* SPDX-License-Identifier: MIT */
/* Watches: one-shot (data and child), persistent, persistent-recursive. A change goes in, the
 * watchers to be told come out. A watcher is the small number of a connection. All modes of
 * one watcher coexist on one path (as 3.9). A recursive watch costs O(depth) a change; a
 * million watches fit in 100 MB; a connection's watches are dropped in O(their number), in slices.
 * Rules: client-protocol reference, section 6. */
#ifndef TREE_WATCH_H
#define TREE_WATCH_H

#include "base/mk.h"

enum watch_mode {
    WATCH_DATA,       /* one-shot: created, deleted, data changed */
    WATCH_CHILD,      /* one-shot: deleted, children changed */
    WATCH_PERSISTENT, /* both, stays */
    WATCH_RECURSIVE   /* created, deleted, data changed of the node and all below, stays */
};

struct watch_table;

struct watch_table *watch_table_new(uint64_t hash_seed);
void watch_table_free(struct watch_table *table);

/* How many bytes the watches of one watcher may take, an entry and a path each; and those of all
 * watchers, where a path that many watch counts once. A fresh table has no limit. */
void watch_limit(struct watch_table *table, uint64_t watcher_bytes_max, uint64_t bytes_max);

enum watch_refusal {
    WATCH_ADDED = 0,
    WATCH_WATCHER_IS_FULL, /* the limit of this watcher */
    WATCH_TABLE_IS_FULL    /* the limit of all */
};
/* Adding twice is one watch, and another mode on a watched path takes no memory: neither is ever
 * refused. A refusal changes nothing. */
enum watch_refusal watch_add(struct watch_table *table, uint32_t watcher, struct mk_bytes path,
                             enum watch_mode mode);
/* `type` as in removeWatches: 1 children, 2 data, 3 any, 4 persistent, 5 recursive. `has` tells,
 * `remove` removes; both false when this watcher has none such on exactly this path. */
bool watch_has(const struct watch_table *table, uint32_t watcher, struct mk_bytes path,
               int32_t type);
bool watch_remove(struct watch_table *table, uint32_t watcher, struct mk_bytes path, int32_t type);
/* The connection is gone, and told of nothing any more; its number may come again at once. Its
 * watches are in the table (and in all figures) until watch_sweep, which drops so many in a call
 * and returns true while there are more. */
void watch_forget(struct watch_table *table, uint32_t watcher);
bool watch_sweep(struct watch_table *table, uint64_t steps_max);
bool watch_sweep_is_due(const struct watch_table *table);

/* One event for one watcher. `path` is the event's path (for children changed the parent),
 * `on_parent` tells that it is the parent's ACL that decides. The callback must not change
 * the table. */
typedef void watch_deliver(void *context, uint32_t watcher, int32_t event_type,
                           struct mk_bytes path, bool on_parent);

/* A node was created, deleted or its data changed (`event_type` 1, 2 or 3): delivers data
 * events of the node, then for created and deleted the children-changed event of its parent;
 * for deleted also to child watchers of the node that were not told through data. One-shot
 * watches that match leave the table. At most one event per watcher and table trigger. Other
 * event types trigger nothing. */
void watch_trigger(struct watch_table *table, int32_t event_type, struct mk_bytes path,
                   watch_deliver *deliver, void *context);

/* Nobody watches anything. */
bool watch_is_empty(const struct watch_table *table);
/* Figures for wchs, mntr: connections with watches, watched paths, and watches: as Apache counts
 * them, one for each (watcher, path) in the data table and one for each in the child table. */
struct watch_counts {
    uint64_t watchers, paths, watches;
    uint64_t data_watches, child_watches; /* the two parts of `watches` */
    uint64_t data_paths, data_watchers;   /* those that the data table has (wchs) */
};
void watch_count(const struct watch_table *table, struct watch_counts *counts);
/* Paths that one watcher watches, in whatever modes (for the limit per connection). */
uint64_t watch_count_of(const struct watch_table *table, uint32_t watcher);
/* What counts against the limits. */
uint64_t watch_bytes(const struct watch_table *table);
uint64_t watch_bytes_of(const struct watch_table *table, uint32_t watcher);
/* A walk over every (watcher, path) pair of the data table (wchc, wchp), in slices between which
 * the table may change: a pair that is there from begin to end is visited once; one that comes or
 * goes meanwhile may be, if it is there then. */
enum watch_order { WATCHES_BY_PATH, WATCHES_BY_WATCHER };

struct watch_walk {
    struct watch_table *table; /* NULL: not begun, or ended */
    enum watch_order order;
    uint32_t at, end;        /* number of the path or watcher at hand; the first not to look at */
    uint32_t watch;          /* by watcher: the next of the one at hand */
    struct watch_walk *next; /* of those that go on in this table */
};

void watch_walk_begin(struct watch_walk *walk, struct watch_table *table, enum watch_order order);
/* About `steps_max` entries, visited or not (the watchers of one path are visited together). The
 * callback must not change the table. False when that was all: then the walk has ended. */
bool watch_walk_next(struct watch_walk *walk, uint32_t steps_max,
                     void (*visit)(void *context, struct mk_bytes path, uint32_t watcher),
                     void *context);
/* A second end does nothing; freeing the table ends all. */
void watch_walk_end(struct watch_walk *walk);

#endif
