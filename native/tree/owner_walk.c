/* SPDX-License-Identifier: MIT */
/* Lists of sessions and of all ephemerals, in slices; see tree.h. They go by the numbers of the
 * slab of sessions, which never move. A slot is free when its session is neither alive nor an
 * owner. Within the ephemerals of one session a walk stands on the next one, and steps aside when
 * that goes: new ones come in at the front, behind it. */
#include "tree/tree.h"
#include "tree/tree_int.h"

uint32_t tree_session_end(const struct tree *tree)
{
    return tree->sessions.next;
}

bool tree_session_at(const struct tree *tree, uint32_t number, int64_t *session_id)
{
    const struct session *session = session_at(tree, number);
    *session_id = session->session_id;
    return session->alive;
}

void tree_owner_walk_begin(struct tree_owner_walk *walk, struct tree *tree)
{
    *walk =
        (struct tree_owner_walk){.tree = tree, .end = tree_session_end(tree), .next = tree->walks};
    tree->walks = walk;
}

void tree_owner_walk_end(struct tree_owner_walk *walk)
{
    if (!walk->tree)
        return;
    struct tree_owner_walk **link = &walk->tree->walks;
    while (*link != walk)
        link = &(*link)->next;
    *link = walk->next;
    walk->tree = NULL;
}

void owner_walks_end(struct tree *tree)
{
    while (tree->walks)
        tree_owner_walk_end(tree->walks);
}

void owner_walks_leave(struct tree *tree, uint32_t number)
{
    for (struct tree_owner_walk *walk = tree->walks; walk; walk = walk->next) {
        if (walk->node == number)
            walk->node = extra_of(tree, node_at(tree, number))->owned_next;
    }
}

bool tree_owner_walk_next(struct tree_owner_walk *walk, uint32_t steps_max,
                          void (*visit)(void *context, int64_t session_id,
                                        const struct znode *node),
                          void *context)
{
    const struct tree *tree = walk->tree;
    for (uint32_t steps = 0; walk->tree; steps++) {
        if (!walk->node && walk->at + 1 >= walk->end) {
            tree_owner_walk_end(walk);
            break;
        }
        if (steps >= steps_max)
            break;
        if (!walk->node) {
            const struct session *session = session_at(tree, ++walk->at);
            walk->node = session->ephemeral_count ? session->first : 0;
            continue;
        }
        const struct znode *node = node_at(tree, walk->node);
        walk->node = extra_of(tree, node)->owned_next;
        visit(context, session_at(tree, walk->at)->session_id, node);
    }
    return walk->tree != NULL;
}
