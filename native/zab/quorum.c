/* SPDX-License-Identifier: MIT */
/* Majorities and weighted groups (quorum-protocol reference, 3.1 and 3.2). Called wherever votes,
 * promises, synchronised learners or acknowledgements are counted: this is the only place that
 * knows how many are enough. Owns nothing, and never counts an observer or a stranger, whatever
 * set it is handed (hazard 2959: observers' acks were taken for votes). */
#include "zab/quorum.h"

#include "zab/zab_int.h"

const struct quorum_member *quorum_find(const struct quorum *quorum, int64_t id)
{
    for (size_t i = 0; i < quorum->count; i++)
        if (quorum->members[i].id == id)
            return &quorum->members[i];
    return NULL;
}

bool quorum_votes(const struct quorum *quorum, int64_t id)
{
    const struct quorum_member *member = quorum_find(quorum, id);
    return member && !member->observer;
}

bool quorum_may_lead(const struct quorum *quorum, int64_t id)
{
    const struct quorum_member *member = quorum_find(quorum, id);
    return member && !member->observer && (!quorum->hierarchical || member->weight != 0);
}

/* How many of `count` equal shares are strictly more than half of them. */
static size_t more_than_half(size_t count)
{
    if (ZAB_MUTANT(17))
        return MK_MAX(count / 2, 1);
    return count / 2 + 1;
}

static bool majority_reached(const struct quorum *quorum, const struct quorum_set *set)
{
    size_t voters = 0;
    size_t present = 0;
    for (size_t i = 0; i < quorum->count; i++) {
        const struct quorum_member *member = &quorum->members[i];
        if (member->observer)
            continue;
        voters++;
        present += quorum_set_has(set, member->id);
    }
    return present >= more_than_half(voters);
}

struct group_weight {
    int64_t group;
    uint64_t all, present;
};

static struct group_weight *group_find(struct group_weight *groups, size_t *count, int64_t group)
{
    for (size_t i = 0; i < *count; i++)
        if (groups[i].group == group)
            return &groups[i];
    groups[*count] = (struct group_weight){.group = group};
    return &groups[(*count)++];
}

/* An observer that a group line lists weighs in the group but is never present: as Apache adds it
 * up, and mixed ensembles must agree about what a quorum is. */
static bool groups_reached(const struct quorum *quorum, const struct quorum_set *set)
{
    struct group_weight groups[QUORUM_MEMBERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < quorum->count; i++) {
        const struct quorum_member *member = &quorum->members[i];
        if (member->group == 0)
            continue;
        struct group_weight *group = group_find(groups, &count, member->group);
        group->all += member->weight;
        if (!member->observer && quorum_set_has(set, member->id))
            group->present += member->weight;
    }
    size_t weighty = 0;
    size_t won = 0;
    for (size_t i = 0; i < count; i++) {
        weighty += groups[i].all != 0;
        won += groups[i].present > groups[i].all / 2;
    }
    return won >= more_than_half(weighty);
}

bool quorum_reached(const struct quorum *quorum, const struct quorum_set *set)
{
    return quorum->hierarchical ? groups_reached(quorum, set) : majority_reached(quorum, set);
}

int64_t quorum_reached_value(const struct quorum *quorum, const int64_t *values, int64_t none)
{
    size_t order[QUORUM_MEMBERS_MAX]; /* voters, largest value first */
    size_t count = 0;
    for (size_t i = 0; i < quorum->count; i++) {
        if (quorum->members[i].observer)
            continue;
        size_t at = count++;
        for (; at > 0 && values[order[at - 1]] < values[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    /* Whoever has reached the larger value has reached the smaller one too. */
    struct quorum_set set;
    quorum_set_clear(&set);
    for (size_t i = 0; i < count && values[order[i]] > none; i++) {
        quorum_set_add(&set, quorum->members[order[i]].id);
        if (quorum_reached(quorum, &set))
            return values[order[i]];
    }
    return none;
}
