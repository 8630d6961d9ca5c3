/* SPDX-License-Identifier: MIT */
/* Latency histogram with logarithmic buckets: 128 sub-buckets for each power of two, so every
 * percentile is right within 0.8 percent whatever its size. Used by the load generator only.
 * Values are nanoseconds. It never allocates and never loses a value. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_SUB_COUNT (1u << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB_COUNT)

struct histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Adds one value. */
static inline void histogram_record(struct histogram *self, uint64_t value)
{
    unsigned index;
    if (value < HISTOGRAM_SUB_COUNT) {
        index = (unsigned)value;
    } else {
        unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
        index = (shift + 1) * HISTOGRAM_SUB_COUNT +
                (unsigned)((value >> shift) & (HISTOGRAM_SUB_COUNT - 1));
    }
    self->buckets[index]++;
    self->count++;
    self->sum += value;
    if (value > self->max) {
        self->max = value;
    }
}

/* Forgets everything. */
void histogram_clear(struct histogram *self);

/* The value that the given share (0 to 1) of all values does not exceed; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *self, double share);

/* Prints `"NAME":{"p50":..,"p90":..,"p99":..,"p999":..,"max":..,"mean":..}` in microseconds. */
void histogram_print_json(const struct histogram *self, const char *name);

#endif
