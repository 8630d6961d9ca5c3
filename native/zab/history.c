/* SPDX-License-Identifier: MIT */
/* The ring of recent transactions; see history.h. Used by zab.c for what is appended, durable and
 * applied, and by lead_sync.c to bring learners up to date. Owns the bytes of its entries. It must
 * never hold a hole: whoever reads it trusts that two neighbours are neighbours in the log too
 * (hazards 2846, 4352, 4925). Pointers to entries hold until the next append, their bytes until
 * the entry is dropped. */
#include "zab/history.h"

#include "base/mem.h"
#include "base/zxid.h"

#define CAPACITY_MIN 64

static int64_t epoch_of(int64_t zxid)
{
    return zxid < 0 ? -1 : (int64_t)mk_zxid_epoch(zxid);
}

static struct zab_entry *slot(const struct history *history, uint32_t index)
{
    return &history->ring[(history->first + index) & (history->capacity - 1)];
}

void history_init(struct history *history, uint32_t entries_max, size_t bytes_max)
{
    *history = (struct history){.entries_max = entries_max, .bytes_max = bytes_max};
}

static void drop_all(struct history *history)
{
    for (uint32_t i = 0; i < history->count; i++)
        mk_free((void *)(uintptr_t)slot(history, i)->data);
    history->first = 0;
    history->count = 0;
    history->bytes = 0;
}

void history_fini(struct history *history)
{
    drop_all(history);
    mk_free(history->ring);
    *history = (struct history){0};
}

bool history_follows(const struct history *history, int64_t zxid)
{
    int64_t last = history_last(history);
    if (zxid <= last || mk_zxid_counter(zxid) == 0) /* counter 0 belongs to no transaction */
        return false;
    if (epoch_of(zxid) == epoch_of(last))
        return zxid == last + 1 || (history->count == 0 && mk_zxid_counter(last) == 0);
    return mk_zxid_counter(zxid) == 1 || history->count == 0;
}

static void grow(struct history *history)
{
    uint32_t capacity = history->capacity ? history->capacity * 2 : CAPACITY_MIN;
    MK_ASSERT(capacity > history->capacity);
    struct zab_entry *ring = mk_alloc(capacity * sizeof *ring);
    for (uint32_t i = 0; i < history->count; i++)
        ring[i] = *slot(history, i);
    mk_free(history->ring);
    history->ring = ring;
    history->capacity = capacity;
    history->first = 0;
}

const struct zab_entry *history_append(struct history *history, int64_t zxid, struct mk_bytes bytes)
{
    MK_ASSERT(history_follows(history, zxid));
    if (history->count == history->capacity)
        grow(history);
    size_t size = mk_bytes_size(bytes);
    uint8_t *copy = mk_alloc(size);
    if (size)
        memcpy(copy, bytes.data, size);
    struct zab_entry *entry = slot(history, history->count++);
    *entry = (struct zab_entry){.zxid = zxid, .data = copy, .length = (uint32_t)size};
    history->bytes += size;
    return entry;
}

void history_reset(struct history *history, int64_t zxid)
{
    drop_all(history);
    history->base = zxid;
}

void history_truncate(struct history *history, int64_t zxid)
{
    while (history->count && slot(history, history->count - 1)->zxid > zxid) {
        struct zab_entry *entry = slot(history, --history->count);
        history->bytes -= entry->length;
        mk_free((void *)(uintptr_t)entry->data);
    }
}

void history_trim(struct history *history, int64_t keep_above)
{
    while (history->count &&
           (history->count > history->entries_max || history->bytes > history->bytes_max)) {
        struct zab_entry *oldest = slot(history, 0);
        if (oldest->zxid > keep_above)
            return;
        history->base = oldest->zxid;
        history->bytes -= oldest->length;
        mk_free((void *)(uintptr_t)oldest->data);
        history->first = (history->first + 1) & (history->capacity - 1);
        history->count--;
    }
}

int64_t history_last(const struct history *history)
{
    return history->count ? slot(history, history->count - 1)->zxid : history->base;
}

const struct zab_entry *history_at(const struct history *history, uint32_t index)
{
    MK_ASSERT(index < history->count);
    return slot(history, index);
}

uint32_t history_after(const struct history *history, int64_t zxid)
{
    uint32_t low = 0;
    uint32_t high = history->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (slot(history, middle)->zxid > zxid)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

const struct zab_entry *history_find(const struct history *history, int64_t zxid)
{
    uint32_t index = history_after(history, zxid);
    if (index == 0 || slot(history, index - 1)->zxid != zxid)
        return NULL;
    return slot(history, index - 1);
}
