/* SPDX-License-Identifier: MIT */
/* The znode index: from the hash of (parent, name) to node numbers. Linear hashing like
 * table.h, but a bucket is one cache line of ten numbers with 16 bits of their hashes each, so
 * that a look-up that finds nothing costs one cache miss and one that finds costs three, and
 * growing does not touch the nodes at all once there are 4096 buckets: the tag then holds the
 * bit of the hash that decides. Used by the tree only. */
#ifndef TREE_INDEX_H
#define TREE_INDEX_H

#include "tree/slab.h"

#define INDEX_LINE_SLOTS 10
#define INDEX_SEGMENT_LINES 256u
#define INDEX_SEGMENT_SHIFT 8
#define INDEX_LINE_BYTES 64u
#define INDEX_TAG_SHIFT 12 /* bits 12 to 27 of the hash are the tag */
#define INDEX_TAG_BITS 16

struct index_line { /* index_line_match knows the number of slots */
    uint16_t tags[INDEX_LINE_SLOTS];
    uint32_t numbers[INDEX_LINE_SLOTS]; /* filled from the front; 0: free */
    uint32_t overflow;                  /* number of the next line of the bucket, or 0 */
};

struct index {
    struct mk_region region; /* what the segments are cut from */
    struct index_line **segments;
    uint32_t segment_count;
    uint32_t segment_capacity;
    uint32_t level; /* 1 << level buckets before this round of splits */
    uint32_t split; /* next bucket to be split */
    uint64_t count;
    struct slab overflow; /* lines */
};

/* The hash of a node that is in the index. */
typedef uint32_t index_hash(const void *context, uint32_t number);

void index_init(struct index *index);
void index_fini(struct index *index);
void index_insert(struct index *index, uint32_t hash, uint32_t number, index_hash *hash_of,
                  const void *context);
/* `number` must be there. */
void index_remove(struct index *index, uint32_t hash, uint32_t number);
/* Every number, in no order. */
void index_visit(const struct index *index, void (*visit)(void *context, uint32_t number),
                 void *context);

static inline uint16_t index_tag(uint32_t hash)
{
    return (uint16_t)(hash >> INDEX_TAG_SHIFT);
}

static inline uint32_t index_bucket_count(const struct index *index)
{
    return ((uint32_t)1 << index->level) + index->split;
}

static inline struct index_line *index_line_at(const struct index *index, uint32_t bucket)
{
    return index->segments[bucket >> INDEX_SEGMENT_SHIFT] + (bucket & (INDEX_SEGMENT_LINES - 1));
}

/* The first line of the bucket that has, or will have, this hash. */
static inline struct index_line *index_line_of(const struct index *index, uint32_t hash)
{
    uint32_t mask = ((uint32_t)1 << index->level) - 1;
    uint32_t bucket = hash & (mask << 1 | 1);
    if (bucket >= index_bucket_count(index))
        bucket = hash & mask;
    return index_line_at(index, bucket);
}

/* Of four tags in a word: bit n is set if the n-th from below equals the one that is in all four
 * places of `wanted`. No carry leaves a place. */
static inline uint32_t index_match_four(uint64_t tags, uint64_t wanted)
{
    const uint64_t low = UINT64_C(0x7fff7fff7fff7fff);
    uint64_t odd = tags ^ wanted;
    uint64_t same = ~(((odd & low) + low) | odd | low); /* the top bit of each place */
    return (uint32_t)((same >> 15) * UINT64_C(0x0001000200040008) >> 48);
}

/* The slots whose tag this is, as bits. A free slot may be among them. */
static inline uint32_t index_line_match(const struct index_line *line, uint16_t tag)
{
    uint64_t words[2], wanted = UINT64_C(0x0001000100010001) * tag;
    uint32_t rest;
    memcpy(words, line->tags, sizeof words);
    memcpy(&rest, &line->tags[8], sizeof rest);
    return index_match_four(words[0], wanted) | index_match_four(words[1], wanted) << 4 |
           (index_match_four(rest, wanted) & 3) << 8;
}

/* The line behind this one, or NULL. */
static inline struct index_line *index_line_next(const struct index *index,
                                                 const struct index_line *line)
{
    return MK_UNLIKELY(line->overflow) ? slab_at(&index->overflow, line->overflow) : NULL;
}

#endif
