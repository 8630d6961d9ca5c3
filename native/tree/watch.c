/* SPDX-License-Identifier: MIT */
/* The table of watches; see watch.h. One entry of 32 bytes for each (watcher, path), whose
 * modes say what is watched; found through a table, and linked with the others of its path and
 * of its watcher. Paths are hashed component by component, so that one pass over a path gives
 * the hashes of all its ancestors. */
#include "tree/watch.h"

#include "base/mem.h"
#include "tree/watch_int.h"
#include "wire/ops.gen.h"

/* --- hashes ------------------------------------------------------------------------------ */

static uint32_t hash_watch(const struct watch_table *table, uint32_t watcher, uint32_t path)
{
    return (uint32_t)mk_hash_u64((uint64_t)watcher << 32 | path, table->hash_seed);
}

static uint32_t hash_watcher(const struct watch_table *table, uint32_t number)
{
    return (uint32_t)mk_hash_u64(number, table->hash_seed);
}

uint32_t watch_hash_path(const struct watch_table *table, struct mk_bytes path)
{
    struct path_steps steps = steps_begin(table, path);
    while (steps_next(&steps))
        continue;
    return (uint32_t)steps.hash;
}

static uint32_t *watch_entry(const void *context, uint32_t number, uint32_t *hash)
{
    struct watch *watch = watch_at(context, number);
    *hash = hash_watch(context, watch->watcher, watch->path);
    return &watch->hash_next;
}

static uint32_t *path_entry(const void *context, uint32_t number, uint32_t *hash)
{
    struct watched_path *path = path_at(context, number);
    *hash = path->hash;
    return &path->hash_next;
}

static uint32_t *watcher_entry(const void *context, uint32_t number, uint32_t *hash)
{
    struct watcher *watcher = watcher_at(context, number);
    *hash = hash_watcher(context, watcher->number);
    return &watcher->hash_next;
}

/* --- life -------------------------------------------------------------------------------- */

struct watch_table *watch_table_new(uint64_t hash_seed)
{
    struct watch_table *table = mk_calloc(1, sizeof *table);
    table->hash_seed = hash_seed;
    /* two empty components */
    table->root_hash = (uint32_t)mk_hash_data(NULL, 0, mk_hash_data(NULL, 0, hash_seed));
    slab_init(&table->watches, sizeof(struct watch));
    slab_init(&table->paths, sizeof(struct watched_path));
    slab_init(&table->watchers, sizeof(struct watcher));
    table_init(&table->watch_index);
    table_init(&table->path_index);
    table_init(&table->watcher_index);
    block_heap_init(&table->texts);
    watch_limit(table, UINT64_MAX, UINT64_MAX);
    return table;
}

void watch_limit(struct watch_table *table, uint64_t watcher_bytes_max, uint64_t bytes_max)
{
    table->watcher_bytes_max = watcher_bytes_max;
    table->bytes_max = bytes_max;
}

/* --- paths and watchers ------------------------------------------------------------------ */

static size_t text_size(size_t length)
{
    return MK_MAX(length, (size_t)1);
}

uint32_t watch_find_path(const struct watch_table *table, struct mk_bytes path, uint32_t hash)
{
    uint32_t number = *table_head(&table->path_index, hash);
    while (number) {
        const struct watched_path *entry = path_at(table, number);
        if (entry->hash == hash && mk_bytes_equal(path_text(entry), path))
            return number;
        number = entry->hash_next;
    }
    return 0;
}

/* A client may send a null path; here it is an empty one. */
static struct mk_bytes not_null(struct mk_bytes path)
{
    return (struct mk_bytes){path.data, MK_MAX(path.length, 0)};
}

static uint32_t find_path(const struct watch_table *table, struct mk_bytes path)
{
    path = not_null(path);
    return watch_find_path(table, path, watch_hash_path(table, path));
}

static uint32_t add_path(struct watch_table *table, struct mk_bytes path, uint32_t hash)
{
    size_t length = mk_bytes_size(path);
    uint8_t *text = block_alloc(&table->texts, text_size(length));
    if (length)
        memcpy(text, path.data, length);
    uint32_t number = slab_alloc(&table->paths);
    struct watched_path *entry = path_at(table, number);
    *entry = (struct watched_path){.hash = hash, .length = (uint32_t)length, .text = text};
    table_insert(&table->path_index, hash, number, &entry->hash_next, path_entry, table);
    table->bytes += PATH_ENTRY_BYTES + length;
    return number;
}

static void drop_path_if_unused(struct watch_table *table, uint32_t number)
{
    struct watched_path *path = path_at(table, number);
    if (path->plain || path->recursive)
        return;
    table_remove(&table->path_index, path->hash, number, path_entry, table);
    table->bytes -= PATH_ENTRY_BYTES + path->length;
    block_free(&table->texts, path->text, text_size(path->length));
    slab_free(&table->paths, number);
}

static uint32_t find_watcher(const struct watch_table *table, uint32_t number)
{
    uint32_t found = *table_head(&table->watcher_index, hash_watcher(table, number));
    while (found && watcher_at(table, found)->number != number)
        found = watcher_at(table, found)->hash_next;
    return found;
}

static uint32_t add_watcher(struct watch_table *table, uint32_t number)
{
    uint32_t found = slab_alloc(&table->watchers);
    struct watcher *watcher = watcher_at(table, found);
    *watcher = (struct watcher){.number = number};
    table_insert(&table->watcher_index, hash_watcher(table, number), found, &watcher->hash_next,
                 watcher_entry, table);
    return found;
}

void watch_drop_watcher_if_unused(struct watch_table *table, uint32_t number)
{
    struct watcher *watcher = watcher_at(table, number);
    if (watcher->first || watcher->gone)
        return;
    table_remove(&table->watcher_index, hash_watcher(table, watcher->number), number, watcher_entry,
                 table);
    slab_free(&table->watchers, number);
}

/* --- watches ----------------------------------------------------------------------------- */

static uint32_t find_watch(const struct watch_table *table, uint32_t watcher, uint32_t path)
{
    uint32_t number = *table_head(&table->watch_index, hash_watch(table, watcher, path));
    while (number) {
        const struct watch *watch = watch_at(table, number);
        if (watch->watcher == watcher && watch->path == path)
            return number;
        number = watch->hash_next;
    }
    return 0;
}

static uint32_t *path_list(const struct watch_table *table, const struct watch *watch)
{
    struct watched_path *path = path_at(table, watch->path);
    return watch->modes & MODE_BIT(WATCH_RECURSIVE) ? &path->recursive : &path->plain;
}

static void link_to_path(struct watch_table *table, uint32_t number)
{
    struct watch *watch = watch_at(table, number);
    uint32_t *first = path_list(table, watch);
    watch->path_next = *first;
    watch->path_previous = 0;
    if (*first)
        watch_at(table, *first)->path_previous = number;
    *first = number;
}

static void unlink_from_path(struct watch_table *table, uint32_t number)
{
    struct watch *watch = watch_at(table, number);
    if (watch->path_previous)
        watch_at(table, watch->path_previous)->path_next = watch->path_next;
    else
        *path_list(table, watch) = watch->path_next;
    if (watch->path_next)
        watch_at(table, watch->path_next)->path_previous = watch->path_previous;
}

static void link_to_watcher(struct watch_table *table, uint32_t number)
{
    struct watch *watch = watch_at(table, number);
    struct watcher *watcher = watcher_at(table, watch->watcher);
    watch->watcher_next = watcher->first;
    watch->watcher_previous = 0;
    if (watcher->first)
        watch_at(table, watcher->first)->watcher_previous = number;
    watcher->first = number;
    watcher->count++;
    watcher->bytes += WATCH_ENTRY_BYTES + path_at(table, watch->path)->length;
}

static void unlink_from_watcher(struct watch_table *table, uint32_t number)
{
    struct watch *watch = watch_at(table, number);
    struct watcher *watcher = watcher_at(table, watch->watcher);
    if (table->walks)
        watch_walks_leave(table, number);
    if (watch->watcher_previous)
        watch_at(table, watch->watcher_previous)->watcher_next = watch->watcher_next;
    else
        watcher->first = watch->watcher_next;
    if (watch->watcher_next)
        watch_at(table, watch->watcher_next)->watcher_previous = watch->watcher_previous;
    watcher->count--;
    watcher->bytes -= WATCH_ENTRY_BYTES + path_at(table, watch->path)->length;
}

static void count_data(struct watch_table *table, const struct watch *watch, bool more)
{
    struct watched_path *path = path_at(table, watch->path);
    struct watcher *watcher = watcher_at(table, watch->watcher);
    if (more) {
        table->data_watches++;
        table->data_paths += path->data_count++ == 0;
        table->data_watchers += watcher->data_count++ == 0;
    } else {
        table->data_watches--;
        table->data_paths -= --path->data_count == 0;
        table->data_watchers -= --watcher->data_count == 0;
    }
}

/* The modes of a watch change from `before` to `after`; its path and watcher still have it. */
static void count_modes(struct watch_table *table, const struct watch *watch, uint32_t before,
                        uint32_t after)
{
    bool was_data = before & MODES_DATA_TABLE, is_data = after & MODES_DATA_TABLE;
    if (was_data != is_data)
        count_data(table, watch, is_data);
    table->child_watches += (after & MODES_CHILD_TABLE) != 0;
    table->child_watches -= (before & MODES_CHILD_TABLE) != 0;
    table->recursive_watches += (after & MODE_BIT(WATCH_RECURSIVE)) != 0;
    table->recursive_watches -= (before & MODE_BIT(WATCH_RECURSIVE)) != 0;
}

void watch_set_modes(struct watch_table *table, uint32_t number, uint32_t modes)
{
    struct watch *watch = watch_at(table, number);
    bool moves = (watch->modes ^ modes) & MODE_BIT(WATCH_RECURSIVE);
    count_modes(table, watch, watch->modes, modes);
    if (!moves && modes) {
        watch->modes = modes;
        return;
    }
    unlink_from_path(table, number);
    watch->modes = modes;
    if (modes) {
        link_to_path(table, number);
        return;
    }
    unlink_from_watcher(table, number);
    table_remove(&table->watch_index, hash_watch(table, watch->watcher, watch->path), number,
                 watch_entry, table);
    drop_path_if_unused(table, watch->path);
    slab_free(&table->watches, number);
    table->bytes -= WATCH_ENTRY_BYTES;
}

/* Whether one more watch has room; 0 for a watcher or a path that has none yet. */
static enum watch_refusal find_room(const struct watch_table *table, uint32_t watcher,
                                    uint32_t path, size_t length)
{
    uint64_t own = watcher ? watcher_at(table, watcher)->bytes : 0;
    if (own + WATCH_ENTRY_BYTES + length > table->watcher_bytes_max)
        return WATCH_WATCHER_IS_FULL;
    uint64_t more = WATCH_ENTRY_BYTES + (path ? 0 : PATH_ENTRY_BYTES + length);
    return table->bytes + more > table->bytes_max ? WATCH_TABLE_IS_FULL : WATCH_ADDED;
}

enum watch_refusal watch_add(struct watch_table *table, uint32_t watcher, struct mk_bytes path,
                             enum watch_mode mode)
{
    path = not_null(path);
    uint32_t hash = watch_hash_path(table, path);
    uint32_t path_number = watch_find_path(table, path, hash);
    uint32_t watcher_number = find_watcher(table, watcher);
    uint32_t number =
        path_number && watcher_number ? find_watch(table, watcher_number, path_number) : 0;
    if (number) {
        watch_set_modes(table, number, watch_at(table, number)->modes | MODE_BIT(mode));
        return WATCH_ADDED;
    }
    enum watch_refusal refusal = find_room(table, watcher_number, path_number, mk_bytes_size(path));
    if (refusal)
        return refusal;
    if (!path_number)
        path_number = add_path(table, path, hash);
    if (!watcher_number)
        watcher_number = add_watcher(table, watcher);
    number = slab_alloc(&table->watches);
    struct watch *watch = watch_at(table, number);
    *watch =
        (struct watch){.path = path_number, .watcher = watcher_number, .modes = MODE_BIT(mode)};
    count_modes(table, watch, 0, watch->modes);
    link_to_path(table, number);
    link_to_watcher(table, number);
    table_insert(&table->watch_index, hash_watch(table, watcher_number, path_number), number,
                 &watch->hash_next, watch_entry, table);
    table->bytes += WATCH_ENTRY_BYTES;
    return WATCH_ADDED;
}

/* Modes that a watcher type of removeWatches means (client-protocol reference, 6.4). */
static uint32_t modes_of_type(int32_t type)
{
    switch (type) {
    case MK_WATCHER_CHILDREN:
        return MODE_BIT(WATCH_CHILD);
    case MK_WATCHER_DATA:
        return MODE_BIT(WATCH_DATA);
    case MK_WATCHER_ANY:
        return MODES_ALL;
    case MK_WATCHER_PERSISTENT:
        return MODE_BIT(WATCH_PERSISTENT);
    case MK_WATCHER_PERSISTENT_RECURSIVE:
        return MODE_BIT(WATCH_RECURSIVE);
    default:
        return 0;
    }
}

/* The watch of this watcher on this path that has one of the modes, or 0. */
static uint32_t find_with_modes(const struct watch_table *table, uint32_t watcher,
                                struct mk_bytes path, uint32_t modes)
{
    uint32_t watcher_number = find_watcher(table, watcher);
    uint32_t path_number = watcher_number ? find_path(table, path) : 0;
    uint32_t number = path_number ? find_watch(table, watcher_number, path_number) : 0;
    return number && (watch_at(table, number)->modes & modes) ? number : 0;
}

bool watch_has(const struct watch_table *table, uint32_t watcher, struct mk_bytes path,
               int32_t type)
{
    return find_with_modes(table, watcher, path, modes_of_type(type)) != 0;
}

bool watch_remove(struct watch_table *table, uint32_t watcher, struct mk_bytes path, int32_t type)
{
    uint32_t modes = modes_of_type(type);
    uint32_t number = find_with_modes(table, watcher, path, modes);
    if (!number)
        return false;
    uint32_t watcher_number = watch_at(table, number)->watcher;
    watch_set_modes(table, number, watch_at(table, number)->modes & ~modes);
    watch_drop_watcher_if_unused(table, watcher_number);
    return true;
}

/* Out of the index, so that another client may come under the same number. */
void watch_forget(struct watch_table *table, uint32_t watcher)
{
    uint32_t number = find_watcher(table, watcher);
    if (!number)
        return;
    struct watcher *entry = watcher_at(table, number);
    table_remove(&table->watcher_index, hash_watcher(table, watcher), number, watcher_entry, table);
    watch_walks_leave_watcher(table, number);
    entry->gone = true;
    entry->hash_next = table->gone_first;
    table->gone_first = number;
}

bool watch_sweep(struct watch_table *table, uint64_t steps_max)
{
    uint64_t steps = 0;
    while (table->gone_first && steps < steps_max) {
        uint32_t number = table->gone_first;
        const struct watcher *watcher = watcher_at(table, number);
        for (; watcher->first && steps < steps_max; steps++)
            watch_set_modes(table, watcher->first, 0);
        if (watcher->first)
            break;
        table->gone_first = watcher->hash_next;
        slab_free(&table->watchers, number);
        steps++;
    }
    return table->gone_first != 0;
}

bool watch_sweep_is_due(const struct watch_table *table)
{
    return table->gone_first != 0;
}

void watch_table_free(struct watch_table *table)
{
    if (!table)
        return;
    while (table->walks)
        watch_walk_end(table->walks);
    for (uint32_t bucket = 0; bucket < table_bucket_count(&table->path_index); bucket++) {
        uint32_t number = *table_bucket(&table->path_index, bucket);
        for (; number && table->texts.large_count; number = path_at(table, number)->hash_next) {
            struct watched_path *path = path_at(table, number);
            if (path->length > BLOCK_SMALL_BYTES_MAX)
                block_free(&table->texts, path->text, path->length);
        }
    }
    block_heap_fini(&table->texts);
    slab_fini(&table->watches);
    slab_fini(&table->paths);
    slab_fini(&table->watchers);
    table_fini(&table->watch_index);
    table_fini(&table->path_index);
    table_fini(&table->watcher_index);
    mk_free(table);
}

/* --- figures ----------------------------------------------------------------------------- */

void watch_count(const struct watch_table *table, struct watch_counts *counts)
{
    *counts = (struct watch_counts){
        .watchers = table->watchers.live,
        .paths = table->paths.live,
        .watches = table->data_watches + table->child_watches,
        .data_watches = table->data_watches,
        .child_watches = table->child_watches,
        .data_paths = table->data_paths,
        .data_watchers = table->data_watchers,
    };
}

uint64_t watch_count_of(const struct watch_table *table, uint32_t watcher)
{
    uint32_t number = find_watcher(table, watcher);
    return number ? watcher_at(table, number)->count : 0;
}

uint64_t watch_bytes(const struct watch_table *table)
{
    return table->bytes;
}

uint64_t watch_bytes_of(const struct watch_table *table, uint32_t watcher)
{
    uint32_t number = find_watcher(table, watcher);
    return number ? watcher_at(table, number)->bytes : 0;
}
