/* SPDX-License-Identifier: MIT */
/* The table of interned lists; see acl.h. Each list is one allocation (items, then the bytes
 * of scheme and id), found by content and by number through two linear-hashing tables over
 * one slab. */
#include "tree/acl.h"

#include "base/hash.h"
#include "base/mem.h"
#include "tree/slab.h"
#include "tree/table.h"

#include <stdlib.h>

struct acl_item {
    uint32_t next_by_content; /* also the slab's free link */
    uint32_t next_by_reference;
    uint32_t content_hash;
    uint32_t reference;
    uint64_t users;
    uint64_t serial;
    struct mk_acl_vector acl;
    int32_t everyone; /* permissions that (world, anyone) has */
};

struct acl_last;

struct acl_table {
    struct slab items;
    struct table by_content;
    struct table by_reference;
    uint64_t hash_seed;
    uint64_t serial;
    uint32_t next_reference;
    struct acl_last *last;
};

/* The list that was asked for last: most znodes have the same. Changes under a const table. */
struct acl_last {
    uint32_t reference; /* 0: none */
    uint32_t number;
    struct acl_item *item; /* items stay where they are */
};

static struct acl_item *item_at(const struct acl_table *table, uint32_t number)
{
    return slab_at(&table->items, number);
}

static uint32_t hash_reference(const struct acl_table *table, uint32_t reference)
{
    return (uint32_t)mk_hash_u64(reference, table->hash_seed);
}

static uint64_t hash_bytes(struct mk_bytes bytes, uint64_t state)
{
    return mk_hash_data(bytes.data, mk_bytes_size(bytes), state ^ (uint64_t)(uint32_t)bytes.length);
}

static uint32_t hash_content(const struct acl_table *table, const struct mk_acl_vector *acl)
{
    uint64_t state = table->hash_seed;
    for (int32_t i = 0; i < acl->count; i++) {
        state = mk_hash_u64((uint32_t)acl->items[i].perms, state);
        state = hash_bytes(acl->items[i].id.scheme, state);
        state = hash_bytes(acl->items[i].id.id, state);
    }
    return (uint32_t)mk_hash_u64((uint64_t)(uint32_t)acl->count, state);
}

static uint32_t *entry_by_content(const void *context, uint32_t number, uint32_t *hash)
{
    struct acl_item *item = item_at(context, number);
    *hash = item->content_hash;
    return &item->next_by_content;
}

static uint32_t *entry_by_reference(const void *context, uint32_t number, uint32_t *hash)
{
    struct acl_item *item = item_at(context, number);
    *hash = hash_reference(context, item->reference);
    return &item->next_by_reference;
}

struct acl_table *acl_table_new(uint64_t hash_seed)
{
    struct acl_table *table = mk_alloc(sizeof *table);
    *table = (struct acl_table){.hash_seed = hash_seed, .next_reference = 1};
    table->last = mk_calloc(1, sizeof *table->last);
    slab_init(&table->items, sizeof(struct acl_item));
    table_init(&table->by_content);
    table_init(&table->by_reference);
    return table;
}

void acl_table_free(struct acl_table *table)
{
    if (!table)
        return;
    for (uint32_t bucket = 0; bucket < table_bucket_count(&table->by_content); bucket++) {
        uint32_t number = *table_bucket(&table->by_content, bucket);
        for (; number; number = item_at(table, number)->next_by_content)
            mk_free(item_at(table, number)->acl.items);
    }
    table_fini(&table->by_content);
    table_fini(&table->by_reference);
    slab_fini(&table->items);
    mk_free(table->last);
    mk_free(table);
}

static bool acl_equal(const struct mk_acl_vector *a, const struct mk_acl_vector *b)
{
    if (a->count != b->count)
        return false;
    for (int32_t i = 0; i < a->count; i++) {
        const struct mk_acl *x = &a->items[i];
        const struct mk_acl *y = &b->items[i];
        if (x->perms != y->perms || !mk_bytes_equal(x->id.scheme, y->id.scheme) ||
            !mk_bytes_equal(x->id.id, y->id.id))
            return false;
    }
    return true;
}

static struct mk_bytes copy_bytes(uint8_t **at, struct mk_bytes bytes)
{
    size_t size = mk_bytes_size(bytes);
    struct mk_bytes copy = {*at, bytes.length};
    if (size)
        memcpy(*at, bytes.data, size);
    *at += size;
    return copy;
}

/* A deep copy in one allocation, which starts at `items`. */
static struct mk_acl_vector acl_copy(const struct mk_acl_vector *acl)
{
    MK_ASSERT(acl->count >= 0);
    size_t size = (size_t)acl->count * sizeof *acl->items;
    for (int32_t i = 0; i < acl->count; i++) {
        size += mk_bytes_size(acl->items[i].id.scheme);
        size += mk_bytes_size(acl->items[i].id.id);
    }
    struct mk_acl_vector copy = {acl->count, mk_alloc(size)};
    uint8_t *at = (uint8_t *)(copy.items + acl->count);
    for (int32_t i = 0; i < acl->count; i++) {
        copy.items[i].perms = acl->items[i].perms;
        copy.items[i].id.scheme = copy_bytes(&at, acl->items[i].id.scheme);
        copy.items[i].id.id = copy_bytes(&at, acl->items[i].id.id);
    }
    return copy;
}

static void set_last(const struct acl_table *table, uint32_t reference, uint32_t number)
{
    *table->last = (struct acl_last){reference, number, item_at(table, number)};
}

static uint32_t find_reference(const struct acl_table *table, uint32_t reference)
{
    if (reference == 0 || reference == ACL_OPEN_UNSAFE)
        return 0;
    if (table->last->reference == reference)
        return table->last->number;
    uint32_t number = *table_head(&table->by_reference, hash_reference(table, reference));
    while (number && item_at(table, number)->reference != reference)
        number = item_at(table, number)->next_by_reference;
    if (number)
        set_last(table, reference, number);
    return number;
}

/* NULL if it is not in the table. */
static inline struct acl_item *find_item(const struct acl_table *table, uint32_t reference)
{
    if (MK_LIKELY(reference != 0 && table->last->reference == reference))
        return table->last->item;
    return find_reference(table, reference) ? table->last->item : NULL;
}

static int32_t everyone_may(const struct mk_acl_vector *acl)
{
    int32_t permissions = 0;
    for (int32_t i = 0; i < acl->count; i++) {
        const struct mk_id *id = &acl->items[i].id;
        if (mk_bytes_equal_string(id->scheme, "world") && mk_bytes_equal_string(id->id, "anyone"))
            permissions |= acl->items[i].perms;
    }
    return permissions;
}

static void add_item(struct acl_table *table, uint32_t reference, const struct mk_acl_vector *acl,
                     uint32_t content_hash, uint64_t users)
{
    uint32_t number = slab_alloc(&table->items);
    struct acl_item *item = item_at(table, number);
    *item = (struct acl_item){.content_hash = content_hash,
                              .reference = reference,
                              .users = users,
                              .serial = ++table->serial,
                              .acl = acl_copy(acl),
                              .everyone = everyone_may(acl)};
    table_insert(&table->by_content, content_hash, number, &item->next_by_content, entry_by_content,
                 table);
    table_insert(&table->by_reference, hash_reference(table, reference), number,
                 &item->next_by_reference, entry_by_reference, table);
}

static void remove_item(struct acl_table *table, uint32_t number)
{
    struct acl_item *item = item_at(table, number);
    table_remove(&table->by_content, item->content_hash, number, entry_by_content, table);
    table_remove(&table->by_reference, hash_reference(table, item->reference), number,
                 entry_by_reference, table);
    if (table->last->number == number)
        table->last->reference = 0;
    mk_free(item->acl.items);
    slab_free(&table->items, number);
}

static uint32_t next_reference(struct acl_table *table)
{
    for (;;) {
        uint32_t reference = table->next_reference++;
        if (reference != 0 && reference != ACL_OPEN_UNSAFE && !find_reference(table, reference))
            return reference;
    }
}

uint32_t acl_intern(struct acl_table *table, const struct mk_acl_vector *acl)
{
    if (table->last->reference) {
        struct acl_item *item = item_at(table, table->last->number);
        if (acl_equal(&item->acl, acl)) {
            item->users++;
            return item->reference;
        }
    }
    uint32_t hash = hash_content(table, acl);
    uint32_t number = *table_head(&table->by_content, hash);
    while (number) {
        struct acl_item *item = item_at(table, number);
        if (item->content_hash == hash && acl_equal(&item->acl, acl)) {
            item->users++;
            set_last(table, item->reference, number);
            return item->reference;
        }
        number = item->next_by_content;
    }
    uint32_t reference = next_reference(table);
    add_item(table, reference, acl, hash, 1);
    return reference;
}

bool acl_retain(struct acl_table *table, uint32_t reference)
{
    struct acl_item *item = find_item(table, reference);
    if (item)
        item->users++;
    return item || reference == ACL_OPEN_UNSAFE;
}

void acl_release(struct acl_table *table, uint32_t reference)
{
    struct acl_item *item = find_item(table, reference);
    if (!item)
        return;
    MK_ASSERT(item->users > 0);
    if (--item->users == 0)
        remove_item(table, table->last->number);
}

void acl_reserve(struct acl_table *table, uint32_t reference)
{
    if (reference != ACL_OPEN_UNSAFE && reference >= table->next_reference)
        table->next_reference = reference + 1;
}

void acl_define(struct acl_table *table, uint32_t reference, const struct mk_acl_vector *acl)
{
    MK_ASSERT(reference != 0);
    MK_ASSERT(reference != ACL_OPEN_UNSAFE);
    uint32_t number = find_reference(table, reference);
    if (number) {
        MK_ASSERT(item_at(table, number)->users == 0);
        remove_item(table, number);
    }
    add_item(table, reference, acl, hash_content(table, acl), 0);
    acl_reserve(table, reference);
}

/* The numbers of all lists, in ascending order; the caller frees them. */
static uint32_t *all_references(const struct acl_table *table);

void acl_collect(struct acl_table *table)
{
    uint32_t count = acl_count(table);
    uint32_t *references = all_references(table);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = find_reference(table, references[i]);
        if (item_at(table, number)->users == 0)
            remove_item(table, number);
    }
    mk_free(references);
}

const struct mk_acl_vector *acl_get(const struct acl_table *table, uint32_t reference)
{
    static const struct mk_acl open_item = {
        31, {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}};
    /* readers take `const struct mk_acl_vector *` and never write through it */
    static const struct mk_acl_vector open_acl = {1, (struct mk_acl *)(uintptr_t)&open_item};
    if (reference == ACL_OPEN_UNSAFE)
        return &open_acl;
    const struct acl_item *item = find_item(table, reference);
    return item ? &item->acl : NULL;
}

bool acl_allows(const struct acl_table *table, uint32_t reference, int32_t permissions,
                const struct mk_id_vector *identities)
{
    if (reference == ACL_OPEN_UNSAFE)
        return true;
    const struct acl_item *item = find_item(table, reference);
    if (item && (item->everyone & permissions))
        return true;
    return acl_permits(item ? &item->acl : NULL, permissions, identities);
}

uint32_t acl_count(const struct acl_table *table)
{
    return table->items.live;
}

uint64_t acl_user_count(const struct acl_table *table, uint32_t reference)
{
    uint32_t number = find_reference(table, reference);
    return number ? item_at(table, number)->users : 0;
}

uint64_t acl_serial(const struct acl_table *table)
{
    return table->serial;
}

uint64_t acl_serial_of(const struct acl_table *table, uint32_t reference)
{
    uint32_t number = find_reference(table, reference);
    MK_ASSERT(number != 0);
    return item_at(table, number)->serial;
}

static int compare_references(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t *all_references(const struct acl_table *table)
{
    uint32_t *references = mk_alloc(acl_count(table) * sizeof *references);
    uint32_t count = 0;
    for (uint32_t bucket = 0; bucket < table_bucket_count(&table->by_reference); bucket++) {
        uint32_t number = *table_bucket(&table->by_reference, bucket);
        for (; number; number = item_at(table, number)->next_by_reference)
            references[count++] = item_at(table, number)->reference;
    }
    MK_ASSERT(count == acl_count(table));
    qsort(references, count, sizeof *references, compare_references);
    return references;
}

void acl_visit(const struct acl_table *table,
               void (*visit)(void *context, uint32_t reference, const struct mk_acl_vector *acl),
               void *context)
{
    uint32_t *references = all_references(table);
    for (uint32_t i = 0; i < acl_count(table); i++)
        visit(context, references[i], acl_get(table, references[i]));
    mk_free(references);
}
