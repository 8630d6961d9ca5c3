/* SPDX-License-Identifier: MIT */
/* Lists of all watches, in slices; see watch.h. A walk goes by the numbers of the slabs, which
 * never move: a path or a watcher without watches is a free slot or an unused one. Within the
 * watches of one watcher it stands on the next one, and steps aside when that goes: new ones come
 * in at the front, behind it. */
#include "tree/watch_int.h"

void watch_walk_begin(struct watch_walk *walk, struct watch_table *table, enum watch_order order)
{
    const struct slab *slab = order == WATCHES_BY_PATH ? &table->paths : &table->watchers;
    *walk = (struct watch_walk){
        .table = table, .order = order, .end = slab->next, .next = table->walks};
    table->walks = walk;
}

void watch_walk_end(struct watch_walk *walk)
{
    if (!walk->table)
        return;
    struct watch_walk **link = &walk->table->walks;
    while (*link != walk)
        link = &(*link)->next;
    *link = walk->next;
    walk->table = NULL;
}

void watch_walks_leave(struct watch_table *table, uint32_t number)
{
    for (struct watch_walk *walk = table->walks; walk; walk = walk->next) {
        if (walk->watch == number)
            walk->watch = watch_at(table, number)->watcher_next;
    }
}

void watch_walks_leave_watcher(struct watch_table *table, uint32_t number)
{
    for (struct watch_walk *walk = table->walks; walk; walk = walk->next) {
        if (walk->order == WATCHES_BY_WATCHER && walk->at == number)
            walk->watch = 0;
    }
}

struct visitor {
    const struct watch_table *table;
    void (*visit)(void *context, struct mk_bytes path, uint32_t watcher);
    void *context;
};

static void visit(const struct visitor *visitor, const struct watch *watch)
{
    const struct watcher *watcher = watcher_at(visitor->table, watch->watcher);
    if ((watch->modes & MODES_DATA_TABLE) && !watcher->gone)
        visitor->visit(visitor->context, path_text(path_at(visitor->table, watch->path)),
                       watcher->number);
}

static uint32_t visit_list(const struct visitor *visitor, uint32_t first)
{
    uint32_t steps = 0;
    for (uint32_t number = first; number; steps++) {
        const struct watch *watch = watch_at(visitor->table, number);
        number = watch->path_next;
        visit(visitor, watch);
    }
    return steps;
}

static uint32_t visit_path(const struct visitor *visitor, struct watch_walk *walk)
{
    const struct watched_path *path = path_at(visitor->table, ++walk->at);
    if (!path->recursive && !path->plain)
        return 1; /* a free slot: nothing else of it may be looked at */
    return 1 + visit_list(visitor, path->recursive) + visit_list(visitor, path->plain);
}

/* One watch of the watcher at hand, or on to the next watcher. */
static uint32_t visit_watcher(const struct visitor *visitor, struct watch_walk *walk)
{
    if (!walk->watch) {
        const struct watcher *watcher = watcher_at(visitor->table, ++walk->at);
        walk->watch = watcher->gone ? 0 : watcher->first;
        return 1;
    }
    const struct watch *watch = watch_at(visitor->table, walk->watch);
    walk->watch = watch->watcher_next;
    visit(visitor, watch);
    return 1;
}

bool watch_walk_next(struct watch_walk *walk, uint32_t steps_max,
                     void (*visit_pair)(void *context, struct mk_bytes path, uint32_t watcher),
                     void *context)
{
    struct visitor visitor = {walk->table, visit_pair, context};
    uint32_t steps = 0;
    while (walk->table) {
        if (!walk->watch && walk->at + 1 >= walk->end) {
            watch_walk_end(walk);
            break;
        }
        if (steps >= steps_max)
            break;
        steps += walk->order == WATCHES_BY_PATH ? visit_path(&visitor, walk)
                                                : visit_watcher(&visitor, walk);
    }
    return walk->table != NULL;
}
