/* SPDX-License-Identifier: MIT */
/* Latency histogram: quantiles and printing; recording is inline in the header because it runs
 * once for each reply. Owns nothing. */
#include "histogram.h"

#include <stdio.h>
#include <string.h>

void histogram_clear(struct histogram *self)
{
    memset(self, 0, sizeof *self);
}

/* The largest value that falls into a bucket. */
static uint64_t bucket_top(unsigned index)
{
    unsigned group = index / HISTOGRAM_SUB_COUNT;
    uint64_t sub = index % HISTOGRAM_SUB_COUNT;
    if (group == 0) {
        return sub;
    }
    unsigned shift = group - 1;
    return ((HISTOGRAM_SUB_COUNT + sub) << shift) + (((uint64_t)1 << shift) - 1);
}

uint64_t histogram_quantile(const struct histogram *self, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)self->count + 0.5);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += self->buckets[i];
        if (seen >= wanted && seen > 0) {
            uint64_t top = bucket_top(i);
            return top < self->max ? top : self->max;
        }
    }
    return self->max;
}

void histogram_print_json(const struct histogram *self, const char *name)
{
    static const struct {
        const char *name;
        double share;
    } rows[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    printf("\"%s\":{", name);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        printf("\"%s\":%.1f,", rows[i].name, (double)histogram_quantile(self, rows[i].share) / 1e3);
    }
    double mean = self->count == 0 ? 0 : (double)self->sum / (double)self->count;
    printf("\"max\":%.1f,\"mean\":%.1f}", (double)self->max / 1e3, mean / 1e3);
}
