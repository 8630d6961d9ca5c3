/* SPDX-License-Identifier: MIT */
/* The last paths that were looked up: one node and one directory. Clients work below the same few
 * parents, and applying a transaction looks at one node several times, so most look-ups need
 * one component instead of all, or none. Only what exists is remembered; whoever frees a node
 * says so. Owned by the tree; a cache, so it changes under a const tree. */
#ifndef TREE_RECALL_H
#define TREE_RECALL_H

#include "base/mk.h"

#define RECALL_PATH_BYTES 120

struct recalled {
    uint32_t number; /* 0: nothing is remembered */
    uint32_t length;
    uint8_t path[RECALL_PATH_BYTES];
};

struct recall {
    struct recalled node, directory;
};

static inline uint32_t recall_find(const struct recalled *recalled, const uint8_t *path,
                                   size_t length)
{
    if (recalled->length != length || !recalled->number ||
        !mk_is_same(recalled->path, path, length))
        return 0;
    return recalled->number;
}

static inline void recall_set(struct recalled *recalled, const uint8_t *path, size_t length,
                              uint32_t number)
{
    if (!number || length > RECALL_PATH_BYTES)
        return;
    recalled->number = number;
    recalled->length = (uint32_t)length;
    memcpy(recalled->path, path, length);
}

static inline void recall_forget(struct recall *recall, uint32_t number)
{
    if (recall->node.number == number)
        recall->node.number = 0;
    if (recall->directory.number == number)
        recall->directory.number = 0;
}

#endif
