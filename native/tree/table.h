/* SPDX-License-Identifier: MIT */
/* A hash table that grows by splitting one bucket per insert (linear hashing), so that no
 * insert ever pays for moving all entries. It holds the heads of chains of 32-bit numbers;
 * the links and hashes stay in the caller's items. Used by the tree, the ACL table and the
 * watch table. It does not shrink: 4 bytes for each entry it ever held at once. */
#ifndef TREE_TABLE_H
#define TREE_TABLE_H

#include "base/mk.h"

#define TABLE_SEGMENT_HEADS 1024u
#define TABLE_SEGMENT_SHIFT 10

struct table {
    uint32_t **segments; /* each 1024 heads; 0 ends a chain */
    uint32_t segment_count;
    uint32_t segment_capacity;
    uint32_t base;  /* a power of two: buckets before this round of splits */
    uint32_t split; /* next bucket to be split, < base */
    uint64_t count; /* entries */
};

/* What a table must know of an entry: its hash, and where the link to the next one is. */
typedef uint32_t *table_entry(const void *context, uint32_t number, uint32_t *hash);

void table_init(struct table *table);
void table_fini(struct table *table);
/* Slow path of table_insert. */
void table_add_segment(struct table *table);

static inline uint32_t table_bucket_count(const struct table *table)
{
    return table->base + table->split;
}

static inline uint32_t *table_bucket(const struct table *table, uint32_t bucket)
{
    return &table->segments[bucket >> TABLE_SEGMENT_SHIFT][bucket & (TABLE_SEGMENT_HEADS - 1)];
}

/* The head of the chain that has, or will have, the entries of this hash. */
static inline uint32_t *table_head(const struct table *table, uint32_t hash)
{
    uint32_t bucket = hash & (table->base * 2 - 1);
    if (bucket >= table_bucket_count(table))
        bucket = hash & (table->base - 1);
    return table_bucket(table, bucket);
}

/* Moves what belongs to the new bucket out of the one it splits off from. */
static inline void table_split_bucket(struct table *table, table_entry *entry, const void *context)
{
    uint32_t fresh = table_bucket_count(table);
    if (MK_UNLIKELY(fresh >> TABLE_SEGMENT_SHIFT == table->segment_count))
        table_add_segment(table);
    uint32_t *stay = table_bucket(table, table->split);
    uint32_t *move = table_bucket(table, fresh);
    uint32_t number = *stay;
    while (number) {
        uint32_t hash;
        uint32_t *link = entry(context, number, &hash);
        uint32_t next = *link;
        if (hash & table->base) {
            *move = number;
            move = link;
        } else {
            *stay = number;
            stay = link;
        }
        number = next;
    }
    *stay = 0;
    *move = 0;
    if (++table->split == table->base) {
        table->base *= 2;
        table->split = 0;
    }
}

/* Enters `number`, whose hash is `hash` and whose link is `link`; splits one bucket when there
 * are more entries than buckets. `entry` must be able to tell about `number`, too. */
static inline void table_insert(struct table *table, uint32_t hash, uint32_t number, uint32_t *link,
                                table_entry *entry, const void *context)
{
    uint32_t *head = table_head(table, hash);
    *link = *head;
    *head = number;
    if (++table->count > table_bucket_count(table) && table->base <= UINT32_MAX / 4)
        table_split_bucket(table, entry, context);
}

/* Takes out an entry, which must be there. */
static inline void table_remove(struct table *table, uint32_t hash, uint32_t number,
                                table_entry *entry, const void *context)
{
    uint32_t *link = table_head(table, hash);
    uint32_t ignored;
    while (*link != number) {
        MK_ASSERT(*link != 0);
        link = entry(context, *link, &ignored);
    }
    *link = *entry(context, number, &ignored);
    table->count--;
}

#endif
