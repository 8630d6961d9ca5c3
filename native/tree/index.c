/* SPDX-License-Identifier: MIT */
/* Growth, insertion and removal of the znode index; see index.h. */
#include "tree/index.h"

#include "base/mem.h"

#define INDEX_LEVEL_MIN INDEX_SEGMENT_SHIFT
#define INDEX_LEVEL_MAX 30
#define INDEX_DIRECTORY_MIN 16
/* Buckets that are still to be split hold up to twice the average; six of ten keeps the lines
 * behind the first ones few at 11 bytes a znode. */
#define INDEX_LOAD 6

_Static_assert(sizeof(struct index_line) == INDEX_LINE_BYTES, "a bucket is one cache line");

static void add_segment(struct index *index)
{
    if (index->segment_count == index->segment_capacity) {
        index->segment_capacity = MK_MAX(index->segment_capacity * 2, INDEX_DIRECTORY_MIN);
        index->segments =
            mk_realloc(index->segments, index->segment_capacity * sizeof *index->segments);
    }
    size_t bytes = INDEX_SEGMENT_LINES * sizeof(struct index_line);
    struct index_line *segment = mk_region_alloc(&index->region, bytes, INDEX_LINE_BYTES);
    memset(segment, 0, bytes);
    index->segments[index->segment_count++] = segment;
}

void index_init(struct index *index)
{
    *index = (struct index){.level = INDEX_LEVEL_MIN};
    slab_init(&index->overflow, sizeof(struct index_line));
    add_segment(index);
}

void index_fini(struct index *index)
{
    mk_region_fini(&index->region);
    mk_free(index->segments);
    slab_fini(&index->overflow);
}

/* Puts an entry into the first free slot of a bucket. */
static void append(struct index *index, struct index_line *line, uint16_t tag, uint32_t number)
{
    while (line->numbers[INDEX_LINE_SLOTS - 1]) {
        if (!line->overflow) {
            line->overflow = slab_alloc(&index->overflow);
            *(struct index_line *)slab_at(&index->overflow, line->overflow) =
                (struct index_line){.overflow = 0};
        }
        line = index_line_next(index, line);
    }
    uint32_t slot = 0;
    while (line->numbers[slot])
        slot++;
    line->tags[slot] = tag;
    line->numbers[slot] = number;
}

/* True if the entry's hash has the bit that decides about a split. */
static bool deciding_bit(const struct index *index, const struct index_line *line, uint32_t slot,
                         index_hash *hash_of, const void *context)
{
    uint32_t level = index->level;
    if (level >= INDEX_TAG_SHIFT && level < INDEX_TAG_SHIFT + INDEX_TAG_BITS)
        return line->tags[slot] >> (level - INDEX_TAG_SHIFT) & 1;
    return hash_of(context, line->numbers[slot]) >> level & 1;
}

/* Shares out one bucket between itself and a new one. */
static void split_bucket(struct index *index, index_hash *hash_of, const void *context)
{
    uint32_t fresh = index_bucket_count(index);
    if (fresh >> INDEX_SEGMENT_SHIFT == index->segment_count)
        add_segment(index);
    struct index_line *stay = index_line_at(index, index->split);
    struct index_line *move = index_line_at(index, fresh);
    struct index_line old = *stay;
    *stay = (struct index_line){.overflow = 0};
    for (;;) {
        for (uint32_t i = 0; i < INDEX_LINE_SLOTS && old.numbers[i]; i++) {
            bool moves = deciding_bit(index, &old, i, hash_of, context);
            append(index, moves ? move : stay, old.tags[i], old.numbers[i]);
        }
        uint32_t overflow = old.overflow;
        if (!overflow)
            break;
        old = *(struct index_line *)slab_at(&index->overflow, overflow);
        slab_free(&index->overflow, overflow);
    }
    if (++index->split == (uint32_t)1 << index->level) {
        index->level++;
        index->split = 0;
    }
}

void index_insert(struct index *index, uint32_t hash, uint32_t number, index_hash *hash_of,
                  const void *context)
{
    append(index, index_line_of(index, hash), index_tag(hash), number);
    if (++index->count > (uint64_t)index_bucket_count(index) * INDEX_LOAD &&
        index->level <= INDEX_LEVEL_MAX)
        split_bucket(index, hash_of, context);
}

/* The last entry of the bucket takes the place of the one that goes. */
void index_remove(struct index *index, uint32_t hash, uint32_t number)
{
    struct index_line *line = index_line_of(index, hash);
    struct index_line *found = NULL;
    uint32_t found_slot = 0;
    struct index_line *before_last = NULL;
    for (;;) {
        for (uint32_t i = 0; i < INDEX_LINE_SLOTS && !found; i++) {
            if (line->numbers[i] == number) {
                found = line;
                found_slot = i;
            }
        }
        if (!line->overflow)
            break;
        before_last = line;
        line = index_line_next(index, line);
    }
    MK_ASSERT(found != NULL);
    uint32_t last = INDEX_LINE_SLOTS - 1;
    while (!line->numbers[last])
        last--;
    found->tags[found_slot] = line->tags[last];
    found->numbers[found_slot] = line->numbers[last];
    line->numbers[last] = 0;
    if (last == 0 && before_last) {
        slab_free(&index->overflow, before_last->overflow);
        before_last->overflow = 0;
    }
    index->count--;
}

void index_visit(const struct index *index, void (*visit)(void *context, uint32_t number),
                 void *context)
{
    for (uint32_t bucket = 0; bucket < index_bucket_count(index); bucket++) {
        const struct index_line *line = index_line_at(index, bucket);
        for (; line; line = index_line_next(index, line))
            for (uint32_t i = 0; i < INDEX_LINE_SLOTS && line->numbers[i]; i++)
                visit(context, line->numbers[i]);
    }
}
