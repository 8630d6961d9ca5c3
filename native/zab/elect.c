/* SPDX-License-Identifier: MIT */
/* Fast leader election (quorum-protocol reference, 2.3 to 2.5). Each server votes for the most
 * advanced history that it has heard of; when a quorum votes alike, that server leads. Called by
 * zab.c and by the roles when they end. Owns struct election. It must never vote with a history
 * that is not durable (a round begins only on a quiet disk), never count a vote of another round,
 * of a stranger or of a server that distrusts its own data, and never follow a server that did not
 * say itself that it leads. */
#include "zab/zab_int.h"

#define UNKNOWN_PEER_EPOCH INT64_MIN

static const struct quorum *quorum_of(const struct zab *zab)
{
    return &zab->options.quorum;
}

static bool is_voter(const struct zab *zab)
{
    return !zab->options.observer && quorum_votes(quorum_of(zab), zab->options.id);
}

static struct vote initial_vote(const struct zab *zab)
{
    if (zab->options.observer)
        return (struct vote){ZAB_NOBODY, ZAB_NOBODY, UNKNOWN_PEER_EPOCH, zab->election.round};
    return (struct vote){.leader = is_voter(zab) ? zab->options.id : ZAB_NOBODY,
                         .zxid = zab->trusted ? zab_last_logged(zab) : -1,
                         .peer_epoch = zab->current_epoch,
                         .round = zab->election.round};
}

/* --- telling ---------------------------------------------------------------------------------- */

/* The word of who has no vote counts for nobody: it asks, but never answers (a voter answers it
 * each time, and so on without end). */
static void answer(struct zab *zab, int64_t server)
{
    if (is_voter(zab) && quorum_set_has(&zab->election.up, server))
        vote_send(zab, server);
}

static void tell(struct zab *zab, int64_t server)
{
    if (quorum_set_has(&zab->election.up, server))
        vote_send(zab, server);
}

static void tell_all(struct zab *zab)
{
    const struct quorum *quorum = quorum_of(zab);
    for (size_t i = 0; i < quorum->count; i++)
        if (!quorum->members[i].observer && quorum->members[i].id != zab->options.id)
            tell(zab, quorum->members[i].id);
}

/* Those that look for a leader too need not wait for the repetition of their question. */
static void tell_waiting(struct zab *zab)
{
    for (int64_t server = 0; server <= QUORUM_ID_MAX; server++)
        if (quorum_set_has(&zab->election.waiting, server) && server != zab->options.id)
            answer(zab, server);
    quorum_set_clear(&zab->election.waiting);
}

/* --- counting --------------------------------------------------------------------------------- */

static bool same_vote(const struct vote *a, const struct vote *b)
{
    return a->leader == b->leader && a->zxid == b->zxid && a->peer_epoch == b->peer_epoch &&
           (a->round == b->round || ZAB_MUTANT(13));
}

/* The voters that cast `vote` in this round, this server among them. */
static void collect_looking(const struct zab *zab, const struct vote *vote, struct quorum_set *set)
{
    const struct election *election = &zab->election;
    const struct quorum *quorum = quorum_of(zab);
    quorum_set_clear(set);
    if (is_voter(zab) && zab->trusted && same_vote(&election->own, vote))
        quorum_set_add(set, zab->options.id);
    for (size_t i = 0; i < quorum->count; i++) {
        const struct ballot *ballot = &election->looking[i];
        if (ballot->known && same_vote(&ballot->vote, vote)) {
            quorum_set_add(set, quorum->members[i].id);
            if (ZAB_MUTANT(14))
                quorum_set_add(set, quorum->members[(i + 1) % quorum->count].id);
        }
    }
}

/* The voters that follow or lead under `leader`. Rounds and zxids are not compared: they differ
 * with the moment at which each of them joined (hazards 1805, 1732). */
static void collect_settled(const struct zab *zab, int64_t leader, struct quorum_set *set)
{
    const struct quorum *quorum = quorum_of(zab);
    quorum_set_clear(set);
    for (size_t i = 0; i < quorum->count; i++)
        if (zab->election.settled[i].known && zab->election.settled[i].vote.leader == leader)
            quorum_set_add(set, quorum->members[i].id);
}

/* Everybody who can be heard has voted alike, so no better vote can come. */
static bool all_agree(const struct zab *zab)
{
    const struct quorum *quorum = quorum_of(zab);
    for (size_t i = 0; i < quorum->count; i++) {
        const struct quorum_member *member = &quorum->members[i];
        if (member->observer || member->id == zab->options.id ||
            !quorum_set_has(&zab->election.up, member->id))
            continue;
        const struct ballot *ballot = &zab->election.looking[i];
        if (!ballot->known || !same_vote(&ballot->vote, &zab->election.own))
            return false;
    }
    return true;
}

/* --- the end of a round ----------------------------------------------------------------------- */

static void elected(struct zab *zab, const struct vote *vote)
{
    struct election *election = &zab->election;
    election->running = false;
    election->own = *vote;
    election->round = vote->round;
    if (vote->leader == zab->options.id)
        lead_begin(zab);
    else
        learn_begin(zab);
    tell_waiting(zab);
}

static void conclude(struct zab *zab)
{
    struct election *election = &zab->election;
    struct quorum_set set;
    collect_looking(zab, &election->own, &set);
    if (!quorum_reached(quorum_of(zab), &set)) {
        election->finalize_ms = 0;
        return;
    }
    if (election->finalize_ms == 0)
        election->finalize_ms = zab->now_ms + zab->options.finalize_wait_ms;
    if (zab->now_ms >= election->finalize_ms || all_agree(zab)) {
        struct vote winner = election->own;
        elected(zab, &winner);
    }
}

/* The others may believe that somebody leads who has given up. */
static bool says_it_leads(const struct zab *zab, int64_t server)
{
    int index = member_index(zab, server);
    return index >= 0 && zab->election.settled[index].known &&
           zab->election.settled[index].state == ZAB_LEADING;
}

/* A quorum follows `leader`, and it says itself that it leads. If that is this server (the others
 * have not noticed yet that it looks again), only in the same round. */
static bool join_settled(struct zab *zab, const struct vote *vote)
{
    struct election *election = &zab->election;
    struct quorum_set set;
    collect_settled(zab, vote->leader, &set);
    if (!quorum_reached(quorum_of(zab), &set))
        return false;
    if (vote->leader == zab->options.id) {
        if (vote->round != election->round || !zab->trusted)
            return false;
    } else if (!says_it_leads(zab, vote->leader) && !ZAB_MUTANT(16)) {
        return false;
    }
    elected(zab, vote);
    return true;
}

/* --- hearing ---------------------------------------------------------------------------------- */

static void change_vote(struct zab *zab, const struct vote *vote)
{
    struct election *election = &zab->election;
    election->own = *vote;
    election->own.round = election->round;
    election->finalize_ms = 0;
    tell_all(zab);
}

static void hear_looking(struct zab *zab, int64_t server, int index, const struct vote *vote)
{
    struct election *election = &zab->election;
    election->settled[index].known = false; /* whatever its vote is worth: it leads nobody */
    if (vote->zxid < 0 || !zab->trusted)
        return; /* data that is not to be trusted: its owner's or this server's own */
    bool told = false;
    if (vote->round > election->round && !ZAB_MUTANT(13)) {
        election->round = vote->round;
        memset(election->looking, 0, sizeof election->looking);
        struct vote initial = initial_vote(zab);
        change_vote(zab, vote_beats(zab, vote, &initial) ? vote : &initial);
        told = true;
    } else if (vote->round < election->round && !ZAB_MUTANT(13)) {
        answer(zab, server);
        return;
    } else if (vote_beats(zab, vote, &election->own)) {
        change_vote(zab, vote);
        told = true;
    }
    if (!election->looking[index].known && !told)
        answer(zab, server); /* it has not seen this round's vote yet */
    election->looking[index] = (struct ballot){true, ZAB_LOOKING, *vote};
    conclude(zab);
}

static void hear_settled(struct zab *zab, int index, enum zab_role state, const struct vote *vote)
{
    struct election *election = &zab->election;
    election->settled[index] = (struct ballot){true, state, *vote};
    election->looking[index].known = false; /* its vote in this round is over */
    if (join_settled(zab, vote))
        return;
    /* In this round its vote counts with those of the servers that still look: it may be the one
     * that completes a quorum whose other members it followed at once. */
    if (vote->round == election->round && zab->trusted && vote->zxid >= 0) {
        election->looking[index] = (struct ballot){true, state, *vote};
        struct quorum_set set;
        collect_looking(zab, vote, &set);
        if (quorum_reached(quorum_of(zab), &set) &&
            (vote->leader == zab->options.id || says_it_leads(zab, vote->leader)))
            elected(zab, vote);
    }
}

static void hear(struct zab *zab, int64_t server, enum zab_role state, const struct vote *vote)
{
    int index = member_index(zab, server);
    if (index < 0 || !quorum_votes(quorum_of(zab), server) ||
        !quorum_votes(quorum_of(zab), vote->leader))
        return;
    if (state == ZAB_LOOKING)
        hear_looking(zab, server, index, vote);
    else if (state != ZAB_OBSERVING)
        hear_settled(zab, index, state, vote);
}

void elect_message(struct zab *zab, int64_t server, struct mk_bytes bytes)
{
    struct election *election = &zab->election;
    enum zab_role state;
    struct vote vote;
    if (vote_read(bytes, &state, &vote)) {
        ZAB_TRACE(zab, MK_LEVEL_WARN, "server %lld sent a vote that cannot be read (%d bytes)",
                  (long long)server, bytes.length);
        return;
    }
    lists_compare(zab, server, bytes);
    if (state == ZAB_LOOKING)
        quorum_set_add(&election->waiting, server);
    else
        quorum_set_remove(&election->waiting, server);
    int index = member_index(zab, server);
    if (zab->role == ZAB_LOOKING && !election->running) {
        if (index >= 0)
            election->heard[index] = (struct ballot){true, state, vote};
        return;
    }
    bool outsider = !quorum_votes(quorum_of(zab), server);
    if (state == ZAB_LOOKING && (zab->role != ZAB_LOOKING || outsider))
        answer(zab, server);
    if (zab->role == ZAB_LOOKING)
        hear(zab, server, state, &vote);
}

/* --- connections ------------------------------------------------------------------------------ */

void elect_peer_up(struct zab *zab, int64_t server)
{
    quorum_set_add(&zab->election.up, server);
    if (zab->election.running && quorum_votes(quorum_of(zab), server))
        tell(zab, server);
}

void elect_peer_down(struct zab *zab, int64_t server)
{
    struct election *election = &zab->election;
    quorum_set_remove(&election->up, server);
    quorum_set_remove(&election->waiting, server);
    int index = member_index(zab, server);
    if (index < 0)
        return;
    election->heard[index].known = false;
    election->looking[index].known = false;
    election->settled[index].known = false;
    if (!election->running)
        return;
    if (election->own.leader == server)
        elect_begin(zab); /* the others need another candidate, and will see the new round */
    else
        conclude(zab);
}

/* --- rounds ----------------------------------------------------------------------------------- */

void elect_later(struct zab *zab)
{
    struct election *election = &zab->election;
    election->due = true;
    election->running = false;
    memset(election->heard, 0, sizeof election->heard);
}

static void schedule_repeat(struct zab *zab)
{
    zab->election.repeat_ms = zab->now_ms + zab->election.repeat_after_ms;
}

void elect_begin(struct zab *zab)
{
    struct election *election = &zab->election;
    const struct quorum *quorum = quorum_of(zab);
    MK_ASSERT(disk_idle(zab) && !zab->reloading && zab->role == ZAB_LOOKING);
    election->due = false;
    election->running = true;
    election->round++;
    election->own = initial_vote(zab);
    election->finalize_ms = 0;
    memset(election->looking, 0, sizeof election->looking);
    memset(election->settled, 0, sizeof election->settled);
    election->repeat_after_ms = zab->options.notification_min_ms;
    schedule_repeat(zab);
    tell_all(zab);
    ZAB_TRACE(zab, MK_LEVEL_INFO, "election round %lld begins: last zxid 0x%llx, epoch %lld",
              (long long)election->round, (unsigned long long)zab_last_logged(zab),
              (long long)zab->current_epoch);
    for (size_t i = 0; i < quorum->count && election->running; i++) {
        struct ballot ballot = election->heard[i];
        election->heard[i].known = false;
        if (ballot.known)
            hear(zab, quorum->members[i].id, ballot.state, &ballot.vote);
    }
    if (election->running)
        conclude(zab);
}

void elect_tick(struct zab *zab)
{
    struct election *election = &zab->election;
    if (!election->running)
        return;
    if (election->finalize_ms && zab->now_ms >= election->finalize_ms) {
        conclude(zab);
        if (!election->running)
            return;
    }
    if (zab->now_ms < election->repeat_ms)
        return;
    tell_all(zab);
    election->repeat_after_ms =
        MK_MIN(election->repeat_after_ms * 2, (int64_t)zab->options.notification_max_ms);
    schedule_repeat(zab);
}

int64_t elect_deadline(const struct zab *zab)
{
    const struct election *election = &zab->election;
    if (!election->running)
        return INT64_MAX;
    if (election->finalize_ms)
        return MK_MIN(election->finalize_ms, election->repeat_ms);
    return election->repeat_ms;
}

void elect_settled(struct zab *zab, int64_t epoch)
{
    zab->election.own.peer_epoch = epoch;
    tell_waiting(zab);
}
