/* SPDX-License-Identifier: MIT */
/* Who may vote, and which sets of servers are a quorum: majorities, or groups with weights
 * (quorum-protocol reference, 3.1 and 3.2). A value without pointers: it is copied, never shared.
 * Server ids are 1..254 for members; anybody else has no vote. */
#ifndef ZAB_QUORUM_H
#define ZAB_QUORUM_H

#include "base/mk.h"

#define QUORUM_ID_MAX 255
#define QUORUM_MEMBERS_MAX 64

/* A set of server ids; those outside 0..QUORUM_ID_MAX are never in it. */
struct quorum_set {
    uint64_t bits[(QUORUM_ID_MAX + 1) / 64];
};

struct quorum_member {
    int64_t id;
    bool observer;
    int64_t group;   /* 0: in none */
    uint64_t weight; /* 1 by default; 0: may vote, never leads, weighs nothing */
};

struct quorum {
    struct quorum_member members[QUORUM_MEMBERS_MAX];
    size_t count;
    bool hierarchical;
    int64_t version; /* of the config, a zxid; 0: never agreed */
};

static inline void quorum_set_clear(struct quorum_set *set)
{
    memset(set, 0, sizeof *set);
}

static inline void quorum_set_add(struct quorum_set *set, int64_t id)
{
    if (id >= 0 && id <= QUORUM_ID_MAX)
        set->bits[id / 64] |= UINT64_C(1) << (id % 64);
}

static inline void quorum_set_remove(struct quorum_set *set, int64_t id)
{
    if (id >= 0 && id <= QUORUM_ID_MAX)
        set->bits[id / 64] &= ~(UINT64_C(1) << (id % 64));
}

static inline bool quorum_set_has(const struct quorum_set *set, int64_t id)
{
    return id >= 0 && id <= QUORUM_ID_MAX && (set->bits[id / 64] >> (id % 64) & 1) != 0;
}

/* NULL when `id` is no member. */
const struct quorum_member *quorum_find(const struct quorum *quorum, int64_t id);
/* A member that is no observer. */
bool quorum_votes(const struct quorum *quorum, int64_t id);
/* A vote for `id` can win: it votes and its weight is not 0. */
bool quorum_may_lead(const struct quorum *quorum, int64_t id);
/* Members of `set` that vote reach a quorum. The empty set never does. */
bool quorum_reached(const struct quorum *quorum, const struct quorum_set *set);

/* The largest value that a quorum has reached, `values[i]` being that of members[i] (observers'
 * are not looked at); `none` if there is none above it. */
int64_t quorum_reached_value(const struct quorum *quorum, const int64_t *values, int64_t none);

/* Reads the text form: lines "server.N=...", "group.G=N:N", "weight.N=W", "version=HEX"
 * (quorum-protocol reference, 3.3). 0, or MK_ERR_BAD_CONFIG and in `reason` the line and what is
 * wrong there (`quorum` is then left as it was). Checks what Apache checks: unique ids, every
 * participant of a hierarchical config in exactly one group, no unknown keys; and our bounds. */
int quorum_parse(struct quorum *quorum, struct mk_bytes text, char *reason, size_t reason_size);

#endif
