/* SPDX-License-Identifier: MIT */
/* Finds containers without children and TTL nodes past their time, and proposes to delete them.
 * Rules: client-protocol reference, section 10. Validation sees changes in flight, so a child
 * that is being created saves its container. */
#include "replica/replica_int.h"

#include "base/mem.h"

#define MINUTE_MS 60000

struct reaping {
    struct replica *replica;
    struct mk_buffer paths; /* each with its length before it */
    uint64_t left;
};

/* --- the wall clock ------------------------------------------------------------------------------
 */

void wall_history_init(struct replica *replica)
{
    struct wall_history *history = &replica->wall_history;
    history->wall_begin_ms = history->first_wall_ms = replica->wall_ms;
    history->first_now_ms = replica->now_ms;
}

void wall_history_jump(struct replica *replica, int64_t wall_ms)
{
    struct wall_history *history = &replica->wall_history;
    if (history->count == WALL_ERAS_MAX) {
        history->first_now_ms = history->eras[0].now_end_ms;
        history->first_wall_ms = history->eras[1].wall_begin_ms;
        history->forgot = true;
        history->count--;
        memmove(history->eras, history->eras + 1, history->count * sizeof *history->eras);
    }
    history->eras[history->count++] =
        (struct wall_era){history->wall_begin_ms, replica->wall_ms, replica->now_ms};
    history->wall_begin_ms = wall_ms;
}

/* How long ago the wall clock showed this time, if it did so more than once the last time: what
 * is deleted must never be too young. */
static int64_t age_ms(const struct replica *replica, int64_t wall_ms)
{
    const struct wall_history *history = &replica->wall_history;
    wall_ms = MK_MAX(wall_ms, INT64_C(0)); /* a snapshot may say anything */
    if (wall_ms >= history->wall_begin_ms && wall_ms <= replica->wall_ms + WALL_JUMP_MS)
        return MK_MAX(replica->wall_ms - wall_ms, INT64_C(0));
    for (uint32_t i = history->count; i-- > 0;) {
        const struct wall_era *era = &history->eras[i];
        if (wall_ms >= era->wall_begin_ms && wall_ms <= era->wall_end_ms + WALL_JUMP_MS)
            return replica->now_ms - era->now_end_ms +
                   MK_MAX(era->wall_end_ms - wall_ms, INT64_C(0));
    }
    /* Before all that we know. */
    int64_t known_ms = replica->now_ms - history->first_now_ms;
    if (history->forgot || wall_ms > history->first_wall_ms)
        return known_ms;
    return known_ms + history->first_wall_ms - wall_ms;
}

/* --- what is due ---------------------------------------------------------------------------------
 */

static bool container_is_due(const struct replica *replica, const struct mk_stat_persisted *stat)
{
    if (stat->cversion > 0)
        return true;
    int64_t never_used_ms = replica->options.container_never_used_ms;
    return never_used_ms > 0 && age_ms(replica, stat->mtime) > never_used_ms;
}

static bool ttl_is_due(const struct replica *replica, const struct mk_stat_persisted *stat)
{
    return age_ms(replica, stat->mtime) > (stat->ephemeral_owner & TREE_TTL_MS_MAX);
}

static void collect(void *context, const struct znode *node)
{
    struct reaping *reaping = context;
    const struct replica *replica = reaping->replica;
    if (reaping->left == 0 || tree_child_count(replica->tree, node) > 0)
        return;
    struct mk_stat_persisted stat;
    tree_stat_persisted(replica->tree, node, &stat);
    bool is_due = tree_kind(stat.ephemeral_owner) == ZNODE_CONTAINER
                      ? container_is_due(replica, &stat)
                      : ttl_is_due(replica, &stat);
    if (!is_due)
        return;
    reaping->left--;
    size_t length_at = reaping->paths.length;
    mk_write_int(&reaping->paths, 0);
    tree_append_path(replica->tree, node, &reaping->paths);
    mk_store_u32(reaping->paths.data + length_at,
                 (uint32_t)(reaping->paths.length - length_at - 4));
}

void reaper_run(struct replica *replica)
{
    const struct replica_options *options = &replica->options;
    replica->reaper_next_ms = replica->now_ms + options->container_check_interval_ms;
    if (!replica_leads(replica) || !replica_may_propose(replica))
        return;
    uint64_t per_run = (uint64_t)options->container_checks_per_minute_max *
                       (uint64_t)options->container_check_interval_ms / MINUTE_MS;
    struct reaping reaping = {.replica = replica, .left = MK_MAX(per_run, (uint64_t)1)};
    tree_expirable_visit(replica->tree, collect, &reaping);
    struct mk_reader reader;
    mk_reader_init(&reader, reaping.paths.data, reaping.paths.length, NULL);
    while (mk_reader_left(&reader) > 0 && replica_may_propose(replica)) {
        propose_delete_container(replica, mk_read_bytes(&reader));
        mk_arena_reset(&replica->arena);
    }
    mk_buffer_fini(&reaping.paths);
}
