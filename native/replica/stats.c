/* SPDX-License-Identifier: MIT */
/* Counters behind the four-letter words; see stats.h. */
#include "replica/stats.h"

#include "base/mem.h"
#include "replica/replica_int.h"

static void latency_add(struct replica_latency *latency, int64_t elapsed_ms)
{
    if (latency->count == 0 || elapsed_ms < latency->min_ms)
        latency->min_ms = elapsed_ms;
    if (elapsed_ms > latency->max_ms)
        latency->max_ms = elapsed_ms;
    latency->total_ms += elapsed_ms;
    latency->count++;
}

enum metric_histogram stats_latency_of(int32_t op)
{
    const struct mk_op_info *info = mk_op_find(op);
    return info && info->kind == MK_KIND_WRITE ? HISTOGRAM_UPDATELATENCY : HISTOGRAM_READLATENCY;
}

struct replica_latency replica_latency(const struct replica_stats *stats)
{
    static const enum metric_histogram parts[] = {HISTOGRAM_READLATENCY, HISTOGRAM_UPDATELATENCY};
    struct replica_latency latency = {0, 0, 0, 0};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(parts); i++) {
        const struct mk_summary *part = &stats->histograms[parts[i]].summary;
        if (part->count == 0)
            continue;
        int64_t min_ms = (int64_t)mk_summary_min(part);
        latency.min_ms = latency.count ? MK_MIN(latency.min_ms, min_ms) : min_ms;
        latency.max_ms = MK_MAX(latency.max_ms, (int64_t)part->max);
        latency.total_ms += (int64_t)part->sum;
        latency.count += part->count;
    }
    return latency;
}

void stats_replied(struct replica *replica, struct connection *connection,
                   enum metric_histogram latency, int32_t xid, int32_t op, int64_t zxid,
                   int64_t started_ms)
{
    int64_t elapsed_ms = replica->now_ms - started_ms;
    replica->stats.packets_sent++;
    mk_histogram_add(&replica->stats.histograms[latency], (uint64_t)elapsed_ms);
    struct replica_connection_info *info = &connection->info;
    latency_add(&info->latency, elapsed_ms);
    info->sent++;
    info->last_op = op;
    if (xid >= 0)
        info->last_xid = xid; /* as Apache: pings and the like leave it */
    info->last_zxid = zxid;
    info->last_response_now_ms = replica->now_ms;
    info->last_latency_ms = elapsed_ms;
}

void stats_sent(struct replica *replica, size_t bytes)
{
    replica->stats.response_last_bytes = bytes;
    mk_summary_add(&replica->stats.response_bytes, bytes);
}

void stats_digest(struct replica *replica, int64_t zxid)
{
    if (!replica->options.tree_digest_enabled || zxid % DIGEST_INTERVAL != 0)
        return;
    if (!replica->digests)
        replica->digests = mk_calloc(DIGESTS_KEPT_MAX, sizeof *replica->digests);
    if (replica->digest_count == DIGESTS_KEPT_MAX) {
        replica->digest_count--;
        memmove(replica->digests, replica->digests + 1,
                replica->digest_count * sizeof *replica->digests);
    }
    replica->digests[replica->digest_count++] =
        (struct replica_digest){.zxid = zxid, .digest = tree_digest(replica->tree)};
}

size_t replica_digests(const struct replica *replica, const struct replica_digest **digests)
{
    *digests = replica->digests;
    return replica->digest_count;
}

const struct replica_stats *replica_stats(const struct replica *replica)
{
    return &replica->stats;
}

void replica_stats_reset(struct replica *replica)
{
    struct replica_stats *stats = &replica->stats;
    stats->packets_received = stats->packets_sent = 0;
    stats->bytes_received = stats->bytes_sent = 0;
    stats->sessions_expired_count = stats->connection_drop_count = 0;
    stats->response_bytes = (struct mk_summary){0};
    stats->response_last_bytes = 0;
    stats->proposal_bytes = (struct mk_summary){0};
    stats->proposal_last_bytes = 0;
    memset(stats->op_count, 0, sizeof stats->op_count);
    memset(stats->counters, 0, sizeof stats->counters);
    memset(stats->summaries, 0, sizeof stats->summaries);
    memset(stats->histograms, 0, sizeof stats->histograms);
}

void replica_connections_reset(struct replica *replica)
{
    for (size_t i = 0; i < replica->connection_capacity; i++) {
        struct connection *connection = replica->connections[i];
        if (!connection)
            continue;
        struct replica_connection_info *info = &connection->info;
        info->latency = (struct replica_latency){0, 0, 0, 0};
        info->received = info->sent = 0;
        info->last_op = info->last_xid = 0;
        info->last_zxid = info->last_latency_ms = 0;
    }
}

uint64_t replica_connection_count(const struct replica *replica)
{
    return replica->connection_open_count;
}

bool replica_connection_visit(const struct replica *replica, uint32_t *from, uint32_t steps_max,
                              void (*visit)(void *context,
                                            const struct replica_connection_info *info),
                              void *context)
{
    size_t number = *from, end = MK_MIN(number + steps_max, replica->connection_capacity);
    for (; number < end; number++) {
        struct connection *connection = replica->connections[number];
        if (!connection)
            continue;
        connection->info.queued = connection->queue_length;
        visit(context, &connection->info);
    }
    *from = (uint32_t)number;
    return number < replica->connection_capacity;
}

/* By their numbers in the tree. One that is still being made has none. */
bool replica_session_visit(const struct replica *replica, uint32_t *from, uint32_t steps_max,
                           void (*visit)(void *context, int64_t session_id, int32_t timeout_ms,
                                         int64_t expires_now_ms),
                           void *context)
{
    uint32_t number = MK_MAX(*from, 1u), end = tree_session_end(replica->tree);
    for (uint32_t steps = 0; number < end && steps < steps_max; number++, steps++) {
        int64_t id;
        if (!tree_session_at(replica->tree, number, &id))
            continue;
        const struct session *session = session_find(replica, id);
        if (!session)
            continue;
        int64_t left = expiry_session_deadline_ms(replica, session) - replica->expiry.clock_ms;
        visit(context, session->id, session->timeout_ms, replica->now_ms + left);
    }
    *from = number;
    return number < end;
}

struct watch_table *replica_watches(const struct replica *replica)
{
    return replica->watches;
}

int64_t replica_watcher_session(const struct replica *replica, uint32_t watcher)
{
    const struct connection *connection = connection_find(replica, watcher);
    return connection && connection->session ? connection->session->id : 0;
}
