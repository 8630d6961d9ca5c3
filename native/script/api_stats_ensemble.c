/* SPDX-License-Identifier: MIT */
/* The fields of `stats` that tell of this server as a member of an ensemble; see api_stats.c. A
 * field that a single server, or a server in another role, does not have is nil. */
#include "replica/stats.h"
#include "script/script_int.h"

#include <lua.h>

struct view {
    struct replica *replica;
    const struct server_options *options;
    bool member; /* of an ensemble */
    struct zab_status status;
    int64_t now_ms;
};

static void push_optional(lua_State *L, bool present, int64_t value)
{
    if (present)
        lua_pushinteger(L, value);
    else
        lua_pushnil(L);
}

static void push_role(lua_State *L, const struct view *view)
{
    static const char *const names[] = {[ZAB_LOOKING] = "looking",
                                        [ZAB_FOLLOWING] = "follower",
                                        [ZAB_LEADING] = "leader",
                                        [ZAB_OBSERVING] = "observer"};
    lua_pushstring(L, !view->member                         ? "standalone"
                      : replica_is_read_only(view->replica) ? "read-only"
                                                            : names[view->status.role]);
}

/* As Apache words it. */
static void push_peer_state(lua_State *L, const struct view *view)
{
    static const char *const roles[] = {[ZAB_LOOKING] = "looking",
                                        [ZAB_FOLLOWING] = "following",
                                        [ZAB_LEADING] = "leading",
                                        [ZAB_OBSERVING] = "observing"};
    static const char *const phases[] = {[ZAB_ELECTION] = "election",
                                         [ZAB_DISCOVERY] = "discovery",
                                         [ZAB_SYNCHRONIZATION] = "synchronization",
                                         [ZAB_BROADCAST] = "broadcast"};
    if (view->member)
        lua_pushfstring(L, "%s - %s", roles[view->status.role], phases[view->status.phase]);
    else
        lua_pushnil(L);
}

static void push_serving(lua_State *L, const struct view *view)
{
    lua_pushboolean(L, replica_is_serving(view->replica) || replica_is_read_only(view->replica));
}

static void push_epoch(lua_State *L, const struct view *view)
{
    push_optional(L, view->member && view->status.role != ZAB_LOOKING, view->status.epoch);
}

static bool has_leader(const struct view *view)
{
    return view->member && view->status.leader != ZAB_NOBODY;
}

static void push_leader_id(lua_State *L, const struct view *view)
{
    push_optional(L, has_leader(view), view->status.leader);
}

static void push_observer_master_id(lua_State *L, const struct view *view)
{
    push_optional(L, has_leader(view) && view->status.role == ZAB_OBSERVING, view->status.leader);
}

static void push_quorum_size(lua_State *L, const struct view *view)
{
    int64_t voters = 0;
    for (size_t i = 0; i < view->options->member_count; i++)
        voters += !view->options->members[i].observer;
    push_optional(L, view->member, voters);
}

static bool leads(const struct view *view)
{
    return view->member && view->status.role == ZAB_LEADING;
}

static void push_leader_uptime_ms(lua_State *L, const struct view *view)
{
    push_optional(L, leads(view) && view->status.serving,
                  view->now_ms - replica_serving_since_ms(view->replica));
}

static void push_proposal(lua_State *L, const struct view *view, uint64_t bytes)
{
    bool any = replica_stats(view->replica)->proposal_bytes.count > 0;
    push_optional(L, leads(view), any ? (int64_t)bytes : -1);
}

static void push_proposal_last_bytes(lua_State *L, const struct view *view)
{
    push_proposal(L, view, replica_stats(view->replica)->proposal_last_bytes);
}

static void push_proposal_max_bytes(lua_State *L, const struct view *view)
{
    push_proposal(L, view, replica_stats(view->replica)->proposal_bytes.max);
}

static void push_proposal_min_bytes(lua_State *L, const struct view *view)
{
    push_proposal(L, view, mk_summary_min(&replica_stats(view->replica)->proposal_bytes));
}

#define LEARNERS(name, member)                                                                     \
    static void push_##name(lua_State *L, const struct view *view)                                 \
    {                                                                                              \
        struct zab_learners learners = {0};                                                        \
        if (leads(view))                                                                           \
            zab_learners(replica_zab(view->replica), &learners);                                   \
        push_optional(L, leads(view), learners.member);                                            \
    }

LEARNERS(learner_count, linked)
LEARNERS(synced_follower_count, synced_followers)
LEARNERS(synced_non_voting_count, synced_without_vote)
LEARNERS(synced_observer_count, synced_observers)
LEARNERS(pending_sync_count, pending_syncs)

#define ROW(name)                                                                                  \
    {                                                                                              \
#name, push_##name                                                                         \
    }
static const struct {
    const char *name;
    void (*push)(lua_State *L, const struct view *view);
} fields[] = {
    ROW(role),
    ROW(peer_state),
    ROW(serving),
    ROW(epoch),
    ROW(leader_id),
    ROW(observer_master_id),
    ROW(quorum_size),
    ROW(leader_uptime_ms),
    ROW(proposal_last_bytes),
    ROW(proposal_max_bytes),
    ROW(proposal_min_bytes),
    ROW(learner_count),
    ROW(synced_follower_count),
    ROW(synced_non_voting_count),
    ROW(synced_observer_count),
    ROW(pending_sync_count),
};

bool stats_push_member(lua_State *L, struct stats *stats, const char *name)
{
    struct server *server = stats->host->server;
    struct view view = {.replica = server_replica(server), .options = server_options(server)};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(fields); i++) {
        if (strcmp(fields[i].name, name) != 0)
            continue;
        view.now_ms = server_now_ms(server);
        view.member = replica_zab_status(view.replica, &view.status);
        fields[i].push(L, &view);
        return true;
    }
    return false;
}
