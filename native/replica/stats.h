/* SPDX-License-Identifier: MIT */
/* What the server tells about itself: the figures behind the four-letter words (client-protocol
 * reference, 11.1 and 11.3). Borrowed views; nothing here changes the replica, except the two
 * resets. */
#ifndef REPLICA_STATS_H
#define REPLICA_STATS_H

#include "base/summary.h"
#include "replica/metrics.gen.h"
#include "replica/replica.h"

struct replica_latency { /* milliseconds, from a request read to its reply written */
    int64_t min_ms, max_ms;
    int64_t total_ms;
    uint64_t count;
};

struct replica_stats {
    uint64_t packets_received, packets_sent;
    uint64_t bytes_received, bytes_sent;
    uint64_t outstanding_requests;
    uint64_t connection_count; /* with a session */
    uint64_t transactions_since_snapshot;
    uint64_t snapshot_count; /* finished since start */
    uint64_t auth_failed_count;
    uint64_t sessions_expired_count;
    uint64_t connection_drop_count;
    uint64_t op_count[128];           /* by opcode 0..127 */
    int64_t start_now_ms;             /* for uptime */
    struct mk_summary response_bytes; /* of frames to clients, without their length */
    uint64_t response_last_bytes;
    struct mk_summary proposal_bytes; /* as leader of an ensemble */
    uint64_t proposal_last_bytes;
    /* Those of schema/metrics.lua that have no member above. */
    uint64_t counters[COUNTER_COUNT];
    struct mk_summary summaries[SUMMARY_COUNT];
    struct mk_histogram histograms[HISTOGRAM_COUNT];
};

struct replica_connection_info {
    uint32_t connection;
    struct mk_bytes address; /* as given at REPLICA_CONNECT */
    bool has_session;
    int64_t session_id;
    int32_t timeout_ms;
    uint32_t queued; /* requests waiting for their reply */
    uint64_t received, sent;
    int32_t last_op; /* opcode, 0 before the first */
    int32_t last_xid;
    int64_t last_zxid;
    int64_t established_wall_ms;
    int64_t last_response_now_ms;
    int64_t last_latency_ms;
    struct replica_latency latency;
};

/* Of all requests: those of the two histograms, of reads and of writes, together. */
struct replica_latency replica_latency(const struct replica_stats *stats);
const struct replica_stats *replica_stats(const struct replica *replica);
/* The monotonic time since which clients are served, for the time that a leader leads. */
int64_t replica_serving_since_ms(const struct replica *replica);
/* srst: begins all counters and summaries anew, but not what tells the present state. */
void replica_stats_reset(struct replica *replica);
void replica_connections_reset(struct replica *replica);          /* crst */
uint64_t replica_connection_count(const struct replica *replica); /* with and without a session */
/* Lists in slices: each call goes on at *from (0 at first), looks at no more than `steps_max`
 * numbers, and returns false when that was all. Between two calls anything may change: what is
 * there all the time comes once. In ascending order of connection number. */
bool replica_connection_visit(const struct replica *replica, uint32_t *from, uint32_t steps_max,
                              void (*visit)(void *context,
                                            const struct replica_connection_info *info),
                              void *context);
/* Each session with the monotonic time at which it expires if nothing is heard. */
bool replica_session_visit(const struct replica *replica, uint32_t *from, uint32_t steps_max,
                           void (*visit)(void *context, int64_t session_id, int32_t timeout_ms,
                                         int64_t expires_now_ms),
                           void *context);
struct watch_table *replica_watches(const struct replica *replica);
/* What counts against buffers_total_bytes; may be a little too high. */
uint64_t replica_buffer_bytes(const struct replica *replica);
/* The session of a watcher (a connection number); 0 when it has none. */
int64_t replica_watcher_session(const struct replica *replica, uint32_t watcher);
/* The last digests: one per 128 transactions, newest last (word `hash`). */
struct replica_digest {
    int64_t zxid;
    uint64_t digest;
};
size_t replica_digests(const struct replica *replica, const struct replica_digest **digests);

#endif
