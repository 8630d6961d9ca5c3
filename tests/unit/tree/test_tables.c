/* SPDX-License-Identifier: MIT */
/* The machinery below the tree: blocks keep their content and give empty pages back to all
 * classes, slabs reuse numbers, both hash tables keep every entry while they grow one bucket at
 * a time and while entries leave in another order. */
#include "base/hash.h"
#include "base/rand.h"
#include "tests/unit/tree/tree_test.h"
#include "tree/block.h"
#include "tree/index.h"
#include "tree/slab.h"
#include "tree/table.h"

#define BLOCKS 4000

struct held {
    uint8_t *block;
    size_t size;
};

static void assert_content(const struct held *held, size_t tag)
{
    for (size_t i = 0; i < held->size; i++)
        assert_int_equal(held->block[i], (uint8_t)(tag + i));
}

static void test_blocks_keep_content(void **state)
{
    (void)state;
    struct held *held = mk_calloc(BLOCKS, sizeof *held);
    struct block_heap heap;
    struct mk_rand rand;
    block_heap_init(&heap);
    mk_rand_init(&rand, 1);
    for (int step = 0; step < 40000; step++) {
        size_t which = mk_rand_below(&rand, BLOCKS);
        struct held *slot = &held[which];
        if (slot->block) {
            assert_content(slot, which);
            block_free(&heap, slot->block, slot->size);
            slot->block = NULL;
            continue;
        }
        slot->size = 1 + mk_rand_below(&rand, mk_rand_below(&rand, 20) ? 200 : 1500);
        slot->block = block_alloc(&heap, slot->size);
        assert_int_equal((uintptr_t)slot->block % 8, 0);
        for (size_t i = 0; i < slot->size; i++)
            slot->block[i] = (uint8_t)(which + i);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (!held[i].block)
            continue;
        assert_content(&held[i], i);
        block_free(&heap, held[i].block, held[i].size);
    }
    assert_int_equal(heap.small_count + heap.large_count + heap.page_count, 0);
    block_heap_fini(&heap);
    mk_free(held);
}

static void test_empty_pages_serve_other_classes(void **state)
{
    (void)state;
    void **blocks = mk_calloc(BLOCKS, sizeof *blocks);
    struct block_heap heap;
    block_heap_init(&heap);
    size_t chunks = 0;
    for (size_t size = 100; size <= 1000; size += 100) {
        for (size_t i = 0; i < BLOCKS / (size / 100); i++)
            blocks[i] = block_alloc(&heap, size);
        chunks = chunks ? chunks : heap.region.chunk_count;
        for (size_t i = 0; i < BLOCKS / (size / 100); i++)
            block_free(&heap, blocks[i], size);
    }
    assert_int_equal(heap.region.chunk_count, chunks);
    block_heap_fini(&heap);
    mk_free(blocks);
}

static void test_slab(void **state)
{
    (void)state;
    struct slab slab;
    slab_init(&slab, 24);
    for (uint32_t i = 1; i <= 5000; i++) {
        assert_int_equal(slab_alloc(&slab), i);
        memset(slab_at(&slab, i), (int)(i & 0xff), 24);
    }
    for (uint32_t i = 1; i <= 5000; i++)
        assert_int_equal(*((uint8_t *)slab_at(&slab, i) + 23), i & 0xff);
    slab_free(&slab, 17);
    slab_free(&slab, 4000);
    assert_int_equal(slab.live, 4998);
    assert_int_equal(slab_alloc(&slab), 4000);
    assert_int_equal(slab_alloc(&slab), 17);
    assert_int_equal(slab_alloc(&slab), 5001);
    slab_fini(&slab);
}

#define ENTRIES 100000

struct chained {
    uint32_t links[ENTRIES + 1];
};

static uint32_t hash_of_number(uint32_t number)
{
    return (uint32_t)mk_hash_u64(number, 77);
}

static uint32_t *chained_entry(const void *context, uint32_t number, uint32_t *hash)
{
    const struct chained *chained = context;
    *hash = hash_of_number(number);
    return (uint32_t *)(uintptr_t)&chained->links[number];
}

static bool table_has(const struct table *table, const struct chained *chained, uint32_t number)
{
    uint32_t at = *table_head(table, hash_of_number(number));
    while (at && at != number)
        at = chained->links[at];
    return at != 0;
}

static void test_table(void **state)
{
    (void)state;
    struct chained *chained = mk_calloc(1, sizeof *chained);
    struct table table;
    table_init(&table);
    for (uint32_t i = 1; i <= ENTRIES; i++)
        table_insert(&table, hash_of_number(i), i, &chained->links[i], chained_entry, chained);
    assert_int_equal(table.count, ENTRIES);
    assert_int_equal(table_bucket_count(&table), ENTRIES);
    for (uint32_t i = 1; i <= ENTRIES; i++)
        assert_true(table_has(&table, chained, i));
    for (uint32_t i = 1; i <= ENTRIES; i += 3)
        table_remove(&table, hash_of_number(i), i, chained_entry, chained);
    for (uint32_t i = 1; i <= ENTRIES; i++)
        assert_int_equal(table_has(&table, chained, i), i % 3 != 1);
    table_fini(&table);
    mk_free(chained);
}

static uint32_t index_hash_of(const void *context, uint32_t number)
{
    (void)context;
    return hash_of_number(number);
}

static bool index_has(const struct index *index, uint32_t number)
{
    const struct index_line *line = index_line_of(index, hash_of_number(number));
    for (; line; line = index_line_next(index, line))
        for (int i = 0; i < INDEX_LINE_SLOTS; i++)
            if (line->numbers[i] == number && line->tags[i] == index_tag(hash_of_number(number)))
                return true;
    return false;
}

static void count_number(void *context, uint32_t number)
{
    uint64_t *sum = context;
    *sum += number;
}

static void test_index(void **state)
{
    (void)state;
    struct index index;
    index_init(&index);
    for (uint32_t i = 1; i <= ENTRIES; i++) {
        index_insert(&index, hash_of_number(i), i, index_hash_of, NULL);
        if ((i & (i - 1)) == 0)
            for (uint32_t j = 1; j <= i; j++)
                assert_true(index_has(&index, j));
    }
    assert_int_equal(index.count, ENTRIES);
    uint64_t sum = 0;
    index_visit(&index, count_number, &sum);
    assert_int_equal(sum, (uint64_t)ENTRIES * (ENTRIES + 1) / 2);
    for (uint32_t i = 1; i <= ENTRIES; i += 3)
        index_remove(&index, hash_of_number(i), i);
    for (uint32_t i = 1; i <= ENTRIES; i++)
        assert_int_equal(index_has(&index, i), i % 3 != 1);
    for (uint32_t i = ENTRIES; i > 0; i--)
        if (i % 3 != 1)
            index_remove(&index, hash_of_number(i), i);
    assert_int_equal(index.count + index.overflow.live, 0);
    index_fini(&index);
}

/* Everything in one bucket: correct all the same. */
static void test_index_with_one_hash(void **state)
{
    (void)state;
    struct index index;
    index_init(&index);
    for (uint32_t i = 1; i <= 500; i++)
        index_insert(&index, 5, i, index_hash_of, NULL);
    for (uint32_t i = 1; i <= 500; i += 2)
        index_remove(&index, 5, i);
    uint64_t sum = 0;
    index_visit(&index, count_number, &sum);
    assert_int_equal(sum, 250 * 251);
    for (uint32_t i = 2; i <= 500; i += 2)
        index_remove(&index, 5, i);
    assert_int_equal(index.overflow.live, 0);
    index_fini(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_keep_content),
        cmocka_unit_test(test_empty_pages_serve_other_classes),
        cmocka_unit_test(test_slab),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_index_with_one_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
