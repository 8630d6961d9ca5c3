/* SPDX-License-Identifier: MIT */
/* From a change to the watchers to be told; see watch.h. Called for every change that commits:
 * without watches it costs nothing, without recursive ones no ancestor is looked up. */
#include "tree/watch_int.h"
#include "wire/ops.gen.h"

struct trigger {
    struct watch_table *table;
    int32_t event_type;
    struct mk_bytes path; /* that the event tells */
    bool on_parent;
    uint32_t modes;    /* that match */
    uint32_t one_shot; /* those of them that are used up */
    watch_deliver *deliver;
    void *context;
};

/* Delivers to the watches of a list, each watcher once per stamp. One-shot watches are used
 * up even when their watcher has been told already. */
static void trigger_list(const struct trigger *trigger, uint32_t first)
{
    struct watch_table *table = trigger->table;
    uint32_t number = first;
    while (number) {
        struct watch *watch = watch_at(table, number);
        uint32_t next = watch->path_next;
        if (watch->modes & trigger->modes) {
            uint32_t watcher_number = watch->watcher;
            struct watcher *watcher = watcher_at(table, watcher_number);
            if (watcher->told != table->stamp && !watcher->gone) {
                watcher->told = table->stamp;
                trigger->deliver(trigger->context, watcher->number, trigger->event_type,
                                 trigger->path, trigger->on_parent);
            }
            if (watch->modes & trigger->one_shot) {
                watch_set_modes(table, number, watch->modes & ~trigger->one_shot);
                watch_drop_watcher_if_unused(table, watcher_number);
            }
        }
        number = next;
    }
}

/* The recursive list first: what is in it stays, and keeps the path's record alive. */
static void trigger_path(const struct trigger *trigger, struct mk_bytes path, uint32_t hash)
{
    struct watch_table *table = trigger->table;
    uint32_t number = watch_find_path(table, path, hash);
    if (!number)
        return;
    trigger_list(trigger, path_at(table, number)->recursive);
    trigger_list(trigger, path_at(table, number)->plain);
}

/* An ancestor: its recursive watches match, and what else its watchers asked for stays. */
static void trigger_recursive(const struct trigger *trigger, struct mk_bytes path, uint32_t hash)
{
    uint32_t number = watch_find_path(trigger->table, path, hash);
    if (!number)
        return;
    struct trigger above = *trigger;
    above.modes = MODE_BIT(WATCH_RECURSIVE);
    above.one_shot = 0;
    trigger_list(&above, path_at(trigger->table, number)->recursive);
}

static void trigger_data(struct trigger *trigger, struct mk_bytes path)
{
    struct watch_table *table = trigger->table;
    trigger->modes = MODES_DATA_TABLE;
    trigger->one_shot = MODE_BIT(WATCH_DATA);
    struct path_steps steps = steps_begin(table, path);
    bool climb = table->recursive_watches > 0 && path.length > 1 && path.data[0] == '/';
    while (steps_next(&steps)) {
        if (!climb || steps.length == 0 || steps.length == path.length)
            continue;
        trigger_recursive(trigger, (struct mk_bytes){path.data, steps.length},
                          (uint32_t)steps.hash);
    }
    if (climb)
        trigger_recursive(trigger, MK_BYTES("/"), table->root_hash);
    trigger_path(trigger, path, (uint32_t)steps.hash);
}

static void trigger_child(struct trigger *trigger, struct mk_bytes path)
{
    trigger->modes = MODES_CHILD_TABLE;
    trigger->one_shot = MODE_BIT(WATCH_CHILD);
    trigger_path(trigger, path, watch_hash_path(trigger->table, path));
}

/* "/a" -> "/"; a path without '/' has none: null. */
static struct mk_bytes parent_of(struct mk_bytes path)
{
    int32_t length = path.length - 1;
    while (length >= 0 && path.data[length] != '/')
        length--;
    if (length < 0 || path.length <= 1)
        return MK_BYTES_NULL;
    return (struct mk_bytes){path.data, MK_MAX(length, 1)};
}

bool watch_is_empty(const struct watch_table *table)
{
    return table->watches.live == 0;
}

void watch_trigger(struct watch_table *table, int32_t event_type, struct mk_bytes path,
                   watch_deliver *deliver, void *context)
{
    if (event_type < MK_EVENT_NODE_CREATED || event_type > MK_EVENT_NODE_DATA_CHANGED)
        return;
    if (table->watches.live == 0 || path.length <= 0)
        return;
    struct trigger trigger = {.table = table,
                              .event_type = event_type,
                              .path = path,
                              .deliver = deliver,
                              .context = context};
    table->stamp++;
    trigger_data(&trigger, path);
    if (event_type == MK_EVENT_NODE_DELETED)
        trigger_child(&trigger, path); /* same stamp: who was told is not told again */
    struct mk_bytes parent = parent_of(path);
    if (event_type == MK_EVENT_NODE_DATA_CHANGED || parent.length < 0)
        return;
    table->stamp++;
    trigger.event_type = MK_EVENT_NODE_CHILDREN_CHANGED;
    trigger.path = parent;
    trigger.on_parent = true;
    trigger_child(&trigger, parent);
}
