/* SPDX-License-Identifier: MIT */
/* Figures of many values in constant room: count, sum, least and greatest; a histogram gives
 * quantiles too. Adding a value is a handful of instructions, allocates nothing and reads no
 * clock. Zeroed memory is an empty one. Used by the counters of replica/ and server/. */
#ifndef MK_BASE_SUMMARY_H
#define MK_BASE_SUMMARY_H

#include "base/mk.h"

struct mk_summary {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t max_inverted; /* the greatest ~value: the least value, so that zero is a start */
};

static inline void mk_summary_add(struct mk_summary *summary, uint64_t value)
{
    summary->count++;
    summary->sum += value;
    summary->max = MK_MAX(summary->max, value);
    summary->max_inverted = MK_MAX(summary->max_inverted, ~value);
}

/* 0 when it is empty. */
static inline uint64_t mk_summary_min(const struct mk_summary *summary)
{
    return summary->count ? ~summary->max_inverted : 0;
}

/* Values below MK_HISTOGRAM_EXACT have a bucket each; above, each power of two has
 * MK_HISTOGRAM_STEPS of them. Values from 2^MK_HISTOGRAM_BITS on share the last bucket. */
#define MK_HISTOGRAM_EXACT 16u
#define MK_HISTOGRAM_STEPS 8u
#define MK_HISTOGRAM_BITS 40
#define MK_HISTOGRAM_BUCKETS (MK_HISTOGRAM_EXACT + (MK_HISTOGRAM_BITS - 4) * MK_HISTOGRAM_STEPS)

struct mk_histogram {
    struct mk_summary summary;
    uint64_t buckets[MK_HISTOGRAM_BUCKETS];
};

static inline uint32_t mk_histogram_bucket(uint64_t value)
{
    if (MK_LIKELY(value < MK_HISTOGRAM_EXACT))
        return (uint32_t)value;
    uint32_t exponent = 63u - (uint32_t)__builtin_clzll(value);
    uint32_t step = (uint32_t)(value >> (exponent - 3)) % MK_HISTOGRAM_STEPS;
    uint32_t bucket = MK_HISTOGRAM_EXACT + (exponent - 4) * MK_HISTOGRAM_STEPS + step;
    return MK_MIN(bucket, MK_HISTOGRAM_BUCKETS - 1);
}

static inline void mk_histogram_add(struct mk_histogram *histogram, uint64_t value)
{
    mk_summary_add(&histogram->summary, value);
    histogram->buckets[mk_histogram_bucket(value)]++;
}

/* The value that `thousandths` of all values do not exceed (500 is the median). It is never less
 * than the true one and at most an eighth more; exact below MK_HISTOGRAM_EXACT. 0 when it is
 * empty. */
uint64_t mk_histogram_quantile(const struct mk_histogram *histogram, uint32_t thousandths);

#endif
