/* SPDX-License-Identifier: MIT */
/* Quantiles of a histogram; see summary.h. */
#include "base/summary.h"

/* The greatest value that belongs to a bucket. */
static uint64_t bucket_last(uint32_t bucket)
{
    if (bucket < MK_HISTOGRAM_EXACT)
        return bucket;
    uint32_t above = bucket - MK_HISTOGRAM_EXACT;
    uint32_t shift = above / MK_HISTOGRAM_STEPS + 1;
    uint64_t first = (uint64_t)(MK_HISTOGRAM_STEPS + above % MK_HISTOGRAM_STEPS) << shift;
    return first + ((uint64_t)1 << shift) - 1;
}

uint64_t mk_histogram_quantile(const struct mk_histogram *histogram, uint32_t thousandths)
{
    MK_ASSERT(thousandths <= 1000);
    uint64_t count = histogram->summary.count;
    /* rounded up, in an order that does not overflow */
    uint64_t rank = count / 1000 * thousandths + (count % 1000 * thousandths + 999) / 1000;
    uint64_t seen = 0;
    for (uint32_t bucket = 0; bucket < MK_HISTOGRAM_BUCKETS - 1; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen >= rank && seen > 0)
            return MK_MIN(bucket_last(bucket), histogram->summary.max);
    }
    return histogram->summary.max;
}
