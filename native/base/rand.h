/* SPDX-License-Identifier: MIT */
/* A seeded pseudo-random generator (xorshift64*, state in the caller's struct): for the
 * simulator, tests, and places where a seed is handed in. Not for secrets. */
#ifndef MK_BASE_RAND_H
#define MK_BASE_RAND_H

#include <stdint.h>

struct mk_rand {
    uint64_t state; /* never 0 */
};

static inline uint64_t mk_rand_next(struct mk_rand *rand)
{
    uint64_t x = rand->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    rand->state = x;
    return x * 0x2545f4914f6cdd1du;
}

static inline void mk_rand_init(struct mk_rand *rand, uint64_t seed)
{
    seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u + 0x9e3779b97f4a7c15u;
    rand->state = seed ? seed : 1;
    (void)mk_rand_next(rand);
}

/* Uniform enough in [0, limit); limit > 0. */
static inline uint64_t mk_rand_below(struct mk_rand *rand, uint64_t limit)
{
    return (mk_rand_next(rand) >> 11) % limit;
}

#endif
