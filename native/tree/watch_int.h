/* SPDX-License-Identifier: MIT */
/* How watches lie in memory: shared by watch.c (the table), watch_trigger.c (events) and
 * watch_walk.c (lists). Included by these only. */
#ifndef TREE_WATCH_INT_H
#define TREE_WATCH_INT_H

#include "base/hash.h"
#include "tree/block.h"
#include "tree/slab.h"
#include "tree/table.h"
#include "tree/watch.h"

#define MODE_BIT(mode) (1u << (mode))
#define MODES_DATA_TABLE                                                                           \
    (MODE_BIT(WATCH_DATA) | MODE_BIT(WATCH_PERSISTENT) | MODE_BIT(WATCH_RECURSIVE))
#define MODES_CHILD_TABLE (MODE_BIT(WATCH_CHILD) | MODE_BIT(WATCH_PERSISTENT))
#define MODES_ALL (MODES_DATA_TABLE | MODES_CHILD_TABLE)

/* What a watch, and a path's record, take with their place in an index. */
#define WATCH_ENTRY_BYTES 40u
#define PATH_ENTRY_BYTES 40u

/* Numbers are slab numbers; 0 is none. */
struct watch {
    uint32_t hash_next; /* also the slab's free link */
    uint32_t path;
    uint32_t watcher;
    uint32_t path_next; /* recursive ones have a list of their own */
    uint32_t path_previous;
    uint32_t watcher_next;
    uint32_t watcher_previous;
    uint32_t modes;
};

struct watched_path {
    uint32_t hash_next;
    uint32_t hash;
    uint32_t recursive; /* watches with, and without, mode WATCH_RECURSIVE */
    uint32_t plain;
    uint32_t data_count; /* watches of the data table */
    uint32_t length;     /* of the path */
    uint8_t *text;
};

struct watcher {
    uint32_t hash_next;
    uint32_t number; /* as the caller knows it */
    uint32_t first;
    uint32_t count;
    uint32_t data_count; /* watches of the data table */
    bool gone;           /* forgotten: out of the index, in the list of those to be swept */
    uint64_t told;       /* stamp of the last trigger that told it something */
    uint64_t bytes;      /* of its watches: an entry and a path each */
};

struct watch_table {
    struct slab watches;
    struct slab paths;
    struct slab watchers;
    struct table watch_index; /* by watcher and path */
    struct table path_index;
    struct table watcher_index;
    struct block_heap texts;
    uint64_t hash_seed;
    uint32_t root_hash; /* of the path "/" */
    uint64_t stamp;
    uint64_t data_watches;
    uint64_t child_watches;
    uint64_t recursive_watches;
    uint64_t data_paths, data_watchers; /* with at least one watch of the data table */
    uint64_t bytes;                     /* of all watches, and of each path once */
    uint64_t watcher_bytes_max, bytes_max;
    uint32_t gone_first;      /* watchers to be swept, linked by hash_next */
    struct watch_walk *walks; /* that go on */
};

static inline struct watch *watch_at(const struct watch_table *table, uint32_t number)
{
    return slab_at(&table->watches, number);
}

static inline struct watched_path *path_at(const struct watch_table *table, uint32_t number)
{
    return slab_at(&table->paths, number);
}

static inline struct watcher *watcher_at(const struct watch_table *table, uint32_t number)
{
    return slab_at(&table->watchers, number);
}

static inline struct mk_bytes path_text(const struct watched_path *path)
{
    return (struct mk_bytes){path->text, (int32_t)path->length};
}

/* Goes over a path component by component. After each step `hash` and `length` are those of
 * the prefix up to there. */
struct path_steps {
    struct mk_bytes path;
    uint64_t hash;
    int32_t length;
    int32_t next; /* where the next component starts */
};

static inline struct path_steps steps_begin(const struct watch_table *table, struct mk_bytes path)
{
    return (struct path_steps){path, table->hash_seed, 0, 0};
}

static inline bool steps_next(struct path_steps *steps)
{
    int32_t start = steps->next;
    if (start > steps->path.length)
        return false;
    size_t left = (size_t)(steps->path.length - start);
    size_t length = left;
    if (left == 0) {
        steps->hash = mk_hash_data(NULL, 0, steps->hash);
    } else {
        const uint8_t *at = steps->path.data + start;
        const uint8_t *slash = memchr(at, '/', left);
        length = slash ? (size_t)(slash - at) : left;
        steps->hash = mk_hash_data(at, length, steps->hash);
    }
    steps->length = start + (int32_t)length;
    steps->next = steps->length + 1;
    return true;
}

/* Number of the record of a path whose hash is known (the last of path_steps), or 0. */
uint32_t watch_find_path(const struct watch_table *table, struct mk_bytes path, uint32_t hash);
uint32_t watch_hash_path(const struct watch_table *table, struct mk_bytes path);
/* Changes the modes of a watch; the one without any goes, its path's record too when it was
 * the last there. The watcher's record stays. */
void watch_set_modes(struct watch_table *table, uint32_t number, uint32_t modes);
void watch_drop_watcher_if_unused(struct watch_table *table, uint32_t number);
/* No walk may stand on a watch that is about to leave its watcher's list, or on any of a watcher
 * that is gone. */
void watch_walks_leave(struct watch_table *table, uint32_t number);
void watch_walks_leave_watcher(struct watch_table *table, uint32_t number);

#endif
