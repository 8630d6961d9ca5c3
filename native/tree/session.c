/* SPDX-License-Identifier: MIT */
/* Sessions, which are replicated with the tree, and the lists of what has an owner: ephemerals
 * by session, containers and TTL nodes in one list of the tree. Linking and unlinking is O(1).
 * The clocks of sessions are none of the tree's business. */
#include "base/mem.h"
#include "tree/tree.h"
#include "tree/tree_int.h"

#include <stdlib.h>

static uint32_t hash_session(const struct tree *tree, int64_t session_id)
{
    return (uint32_t)mk_hash_u64((uint64_t)session_id, tree->options.hash_seed);
}

static uint32_t *session_table_entry(const void *context, uint32_t number, uint32_t *hash)
{
    struct session *session = session_at(context, number);
    *hash = session->hash;
    return &session->hash_next;
}

uint32_t tree_session_number(const struct tree *tree, int64_t session_id)
{
    uint32_t number = *table_head(&tree->session_table, hash_session(tree, session_id));
    while (number && session_at(tree, number)->session_id != session_id)
        number = session_at(tree, number)->hash_next;
    return number;
}

static uint32_t session_need(struct tree *tree, int64_t session_id)
{
    uint32_t number = tree_session_number(tree, session_id);
    if (number)
        return number;
    number = slab_alloc(&tree->sessions);
    struct session *session = session_at(tree, number);
    *session = (struct session){.session_id = session_id, .hash = hash_session(tree, session_id)};
    table_insert(&tree->session_table, session->hash, number, &session->hash_next,
                 session_table_entry, tree);
    return number;
}

static void session_drop_if_unused(struct tree *tree, uint32_t number)
{
    struct session *session = session_at(tree, number);
    if (session->alive || session->ephemeral_count)
        return;
    table_remove(&tree->session_table, session->hash, number, session_table_entry, tree);
    slab_free(&tree->sessions, number);
}

/* --- sessions ---------------------------------------------------------------------------- */

void tree_session_add(struct tree *tree, int64_t session_id, int32_t timeout_ms)
{
    struct session *session = session_at(tree, session_need(tree, session_id));
    if (!session->alive)
        tree->session_count++;
    session->alive = 1;
    session->timeout_ms = timeout_ms;
}

void tree_session_remove(struct tree *tree, int64_t session_id)
{
    uint32_t number = tree_session_number(tree, session_id);
    if (!number || !session_at(tree, number)->alive)
        return;
    session_at(tree, number)->alive = 0;
    tree->session_count--;
    session_drop_if_unused(tree, number);
}

bool tree_session_find(const struct tree *tree, int64_t session_id, int32_t *timeout_ms)
{
    uint32_t number = tree_session_number(tree, session_id);
    if (!number || !session_at(tree, number)->alive)
        return false;
    *timeout_ms = session_at(tree, number)->timeout_ms;
    return true;
}

uint64_t tree_session_count(const struct tree *tree)
{
    return tree->session_count;
}

static int compare_sessions(const void *a, const void *b)
{
    int64_t x = (*(const struct session *const *)a)->session_id;
    int64_t y = (*(const struct session *const *)b)->session_id;
    return (x > y) - (x < y);
}

/* All records in ascending order of id; the caller frees the array. */
static const struct session **sorted_sessions(const struct tree *tree, size_t *count)
{
    const struct session **list = mk_alloc(tree->sessions.live * sizeof *list);
    *count = 0;
    for (uint32_t bucket = 0; bucket < table_bucket_count(&tree->session_table); bucket++) {
        uint32_t number = *table_bucket(&tree->session_table, bucket);
        for (; number; number = session_at(tree, number)->hash_next)
            list[(*count)++] = session_at(tree, number);
    }
    MK_ASSERT(*count == tree->sessions.live);
    qsort(list, *count, sizeof *list, compare_sessions);
    return list;
}

void tree_session_visit(const struct tree *tree,
                        void (*visit)(void *context, int64_t session_id, int32_t timeout_ms),
                        void *context)
{
    size_t count;
    const struct session **list = sorted_sessions(tree, &count);
    for (size_t i = 0; i < count; i++)
        if (list[i]->alive)
            visit(context, list[i]->session_id, list[i]->timeout_ms);
    mk_free(list);
}

/* --- what has an owner ------------------------------------------------------------------- */

/* The head of the list that a node of this owner belongs to. */
static uint32_t *owner_list(struct tree *tree, int64_t owner)
{
    if (tree_kind(owner) != ZNODE_EPHEMERAL)
        return &tree->expirable_first;
    return &session_at(tree, session_need(tree, owner))->first;
}

void owner_link(struct tree *tree, uint32_t number)
{
    struct znode_extra *extra = extra_of(tree, node_at(tree, number));
    uint32_t *first = owner_list(tree, extra->owner);
    extra->owned_next = *first;
    extra->owned_previous = 0;
    if (*first)
        extra_of(tree, node_at(tree, *first))->owned_previous = number;
    *first = number;
    if (tree_kind(extra->owner) == ZNODE_EPHEMERAL) {
        struct session *session = session_at(tree, tree_session_number(tree, extra->owner));
        tree->owner_count += session->ephemeral_count++ == 0;
        tree->ephemeral_count++;
    }
}

void owner_unlink(struct tree *tree, uint32_t number)
{
    struct znode_extra *extra = extra_of(tree, node_at(tree, number));
    if (tree->walks)
        owner_walks_leave(tree, number);
    if (extra->owned_previous)
        extra_of(tree, node_at(tree, extra->owned_previous))->owned_next = extra->owned_next;
    else
        *owner_list(tree, extra->owner) = extra->owned_next;
    if (extra->owned_next)
        extra_of(tree, node_at(tree, extra->owned_next))->owned_previous = extra->owned_previous;
    if (tree_kind(extra->owner) == ZNODE_EPHEMERAL) {
        uint32_t session = tree_session_number(tree, extra->owner);
        tree->owner_count -= --session_at(tree, session)->ephemeral_count == 0;
        tree->ephemeral_count--;
        session_drop_if_unused(tree, session);
    }
}

static void visit_owned(const struct tree *tree, uint32_t number,
                        void (*visit)(void *context, const struct znode *node), void *context)
{
    while (number) {
        const struct znode *node = node_at(tree, number);
        number = extra_of(tree, node)->owned_next;
        visit(context, node);
    }
}

void tree_ephemeral_visit(const struct tree *tree, int64_t session_id,
                          void (*visit)(void *context, const struct znode *node), void *context)
{
    uint32_t number = tree_session_number(tree, session_id);
    if (number)
        visit_owned(tree, session_at(tree, number)->first, visit, context);
}

uint64_t tree_ephemeral_count(const struct tree *tree)
{
    return tree->ephemeral_count;
}

uint64_t tree_ephemeral_owner_count(const struct tree *tree)
{
    return tree->owner_count;
}

void tree_ephemeral_owner_visit(const struct tree *tree,
                                void (*visit)(void *context, int64_t session_id), void *context)
{
    size_t count;
    const struct session **list = sorted_sessions(tree, &count);
    for (size_t i = 0; i < count; i++)
        if (list[i]->ephemeral_count)
            visit(context, list[i]->session_id);
    mk_free(list);
}

void tree_expirable_visit(const struct tree *tree,
                          void (*visit)(void *context, const struct znode *node), void *context)
{
    visit_owned(tree, tree->expirable_first, visit, context);
}
