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

static bool container_is_due(const struct replica *replica, const struct mk_stat_persisted *stat)
{
    if (stat->cversion > 0)
        return true;
    int64_t never_used_ms = replica->options.container_never_used_ms;
    return never_used_ms > 0 && replica->wall_ms - stat->mtime > never_used_ms;
}

/* Nodes made before the wall clock jumped forward are not charged for the jump. */
static bool ttl_is_due(const struct replica *replica, const struct mk_stat_persisted *stat)
{
    int64_t elapsed = replica->wall_ms - stat->mtime;
    if (stat->mtime <= replica->wall_jump.before_ms)
        elapsed -= replica->wall_jump.by_ms;
    return elapsed > (stat->ephemeral_owner & TREE_TTL_MS_MAX);
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
    uint64_t per_run = (uint64_t)options->container_checks_per_minute_max *
                       (uint64_t)options->container_check_interval_ms / MINUTE_MS;
    struct reaping reaping = {.replica = replica, .left = MK_MAX(per_run, (uint64_t)1)};
    tree_expirable_visit(replica->tree, collect, &reaping);
    struct mk_reader reader;
    mk_reader_init(&reader, reaping.paths.data, reaping.paths.length, NULL);
    while (mk_reader_left(&reader) > 0) {
        propose_delete_container(replica, mk_read_bytes(&reader));
        mk_arena_reset(&replica->arena);
    }
    mk_buffer_fini(&reaping.paths);
    replica->reaper_next_ms = replica->now_ms + options->container_check_interval_ms;
}
