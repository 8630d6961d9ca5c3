/* SPDX-License-Identifier: MIT */
/* The object `stats` that a four-letter word gets: figures as fields (server-scripts/commands/
 * uses them), computed when they are asked for. Everything is read from the running server;
 * nothing is kept. Lists are in api_stats_lists.c. */
#include "replica/stats.h"
#include "script/script_int.h"

#include <lauxlib.h>
#include <lua.h>

#define STATS_TYPE "moonkeeper.stats"

struct stats *stats_check(lua_State *L)
{
    struct stats *stats = luaL_checkudata(L, 1, STATS_TYPE);
    if (!stats->host)
        luaL_error(L, "stats is used after its command ended");
    return stats;
}

static void set_integer(lua_State *L, const char *name, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

typedef int64_t stats_number(struct stats *stats);

static const struct replica_stats *counters(struct stats *stats)
{
    return replica_stats(server_replica(stats->host->server));
}

static struct tree *tree_of(struct stats *stats)
{
    return replica_tree(server_replica(stats->host->server));
}

/* Asked once for a command: it goes through the directories. */
static const struct server_figures *figures_of(struct stats *stats)
{
    if (!stats->figures_known) {
        server_figures(stats->host->server, &stats->figures);
        stats->figures_known = true;
    }
    return &stats->figures;
}

#define COUNTER(name, member)                                                                      \
    static int64_t get_##name(struct stats *stats)                                                 \
    {                                                                                              \
        return (int64_t)counters(stats)->member;                                                   \
    }
#define FIGURE(name)                                                                               \
    static int64_t get_##name(struct stats *stats)                                                 \
    {                                                                                              \
        return (int64_t)figures_of(stats)->name;                                                   \
    }
#define VALUE(name, expression)                                                                    \
    static int64_t get_##name(struct stats *stats)                                                 \
    {                                                                                              \
        return (int64_t)(expression);                                                              \
    }

VALUE(latency_min_ms, replica_latency(counters(stats)).min_ms)
VALUE(latency_max_ms, replica_latency(counters(stats)).max_ms)
COUNTER(packets_received, packets_received)
COUNTER(packets_sent, packets_sent)
COUNTER(bytes_received, bytes_received)
COUNTER(bytes_sent, bytes_sent)
COUNTER(outstanding_requests, outstanding_requests)
COUNTER(transactions_since_snapshot, transactions_since_snapshot)
COUNTER(snapshot_count, snapshot_count)
COUNTER(auth_failed_count, auth_failed_count)
COUNTER(sessions_expired_count, sessions_expired_count)
COUNTER(connection_drop_count, connection_drop_count)
FIGURE(data_dir_bytes)
FIGURE(log_dir_bytes)
FIGURE(file_descriptors_open)
FIGURE(file_descriptors_max)
FIGURE(last_snapshot_zxid)
FIGURE(last_snapshot_wall_ms)
VALUE(sync_count, figures_of(stats)->sync_us.summary.count)
VALUE(sync_total_us, figures_of(stats)->sync_us.summary.sum)
VALUE(sync_max_us, figures_of(stats)->sync_us.summary.max)
VALUE(snapshot_total_ms, figures_of(stats)->snapshot_ms.sum)
VALUE(connection_rejected_count, figures_of(stats)->connections_rejected)
VALUE(last_zxid, replica_last_zxid(server_replica(stats->host->server)))
/* Apache has the root under two names, "" and "/", and counts both. */
VALUE(znode_count, tree_node_count(tree_of(stats)) + 1)
VALUE(data_bytes, tree_data_size(tree_of(stats)))
VALUE(ephemeral_count, tree_ephemeral_count(tree_of(stats)))
VALUE(ephemeral_owner_count, tree_ephemeral_owner_count(tree_of(stats)))
VALUE(connection_count, replica_connection_count(server_replica(stats->host->server)))
VALUE(session_count, tree_session_count(tree_of(stats)))
VALUE(local_session_count, ((void)stats, 0)) /* every session is a global one */
VALUE(now_ms, server_now_ms(stats->host->server))
VALUE(uptime_ms, server_now_ms(stats->host->server) - counters(stats)->start_now_ms)
VALUE(trace_mask, stats->host->trace_mask)
VALUE(argument, stats->argument)
VALUE(client_port, server_port(stats->host->server, 0))

/* Sizes of the frames to clients; -1 before the first. */
static int64_t or_none(struct stats *stats, uint64_t bytes)
{
    return counters(stats)->response_bytes.count ? (int64_t)bytes : -1;
}

/* Without events and connect responses, as Apache counts. */
VALUE(reply_bytes,
      counters(stats)->response_bytes.sum - counters(stats)->counters[COUNTER_WATCH_BYTES])
VALUE(response_last_bytes, or_none(stats, counters(stats)->response_last_bytes))
VALUE(response_max_bytes, or_none(stats, counters(stats)->response_bytes.max))
VALUE(response_min_bytes, or_none(stats, mk_summary_min(&counters(stats)->response_bytes)))

static int64_t get_wall_ms(struct stats *stats)
{
    (void)stats;
    uv_timeval64_t now;
    uv_gettimeofday(&now);
    return now.tv_sec * 1000 + now.tv_usec / 1000;
}

static int64_t get_watch_count(struct stats *stats)
{
    struct watch_counts counts;
    watch_count(replica_watches(server_replica(stats->host->server)), &counts);
    return (int64_t)counts.watches;
}

static int64_t get_watch_memory_bytes(struct stats *stats)
{
    return (int64_t)watch_bytes(replica_watches(server_replica(stats->host->server)));
}

VALUE(buffer_bytes, replica_buffer_bytes(server_replica(stats->host->server)))

#define ROW(name)                                                                                  \
    {                                                                                              \
#name, get_##name                                                                          \
    }
static const struct {
    const char *name;
    stats_number *get;
} numbers[] = {
    ROW(latency_min_ms),
    ROW(latency_max_ms),
    ROW(packets_received),
    ROW(packets_sent),
    ROW(bytes_received),
    ROW(bytes_sent),
    ROW(outstanding_requests),
    ROW(connection_count),
    ROW(transactions_since_snapshot),
    ROW(snapshot_count),
    ROW(auth_failed_count),
    ROW(sessions_expired_count),
    ROW(connection_drop_count),
    ROW(data_dir_bytes),
    ROW(log_dir_bytes),
    ROW(file_descriptors_open),
    ROW(file_descriptors_max),
    ROW(sync_count),
    ROW(sync_total_us),
    ROW(sync_max_us),
    ROW(snapshot_total_ms),
    ROW(last_snapshot_zxid),
    ROW(last_snapshot_wall_ms),
    ROW(connection_rejected_count),
    ROW(last_zxid),
    ROW(znode_count),
    ROW(data_bytes),
    ROW(ephemeral_count),
    ROW(ephemeral_owner_count),
    ROW(session_count),
    ROW(local_session_count),
    ROW(reply_bytes),
    ROW(response_last_bytes),
    ROW(response_max_bytes),
    ROW(response_min_bytes),
    ROW(now_ms),
    ROW(uptime_ms),
    ROW(trace_mask),
    ROW(argument),
    ROW(client_port),
    ROW(wall_ms),
    ROW(watch_count),
    ROW(watch_memory_bytes),
    ROW(buffer_bytes),
};

static bool push_other(lua_State *L, struct stats *stats, const char *name)
{
    if (strcmp(name, "latency_avg_ms") == 0) {
        struct replica_latency latency = replica_latency(counters(stats));
        lua_pushnumber(L, latency.count ? (double)latency.total_ms / (double)latency.count : 0);
    } else if (strcmp(name, "read_only") == 0) {
        lua_pushboolean(L, replica_is_read_only(server_replica(stats->host->server)));
    } else if (strcmp(name, "version") == 0) {
        const struct script_options *options = &stats->host->script->options;
        lua_pushfstring(L, "3.9.4-moonkeeper-%s, built on %s", options->version,
                        options->build_date);
    } else if (strcmp(name, "config") == 0) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, stats->host->config_ref);
    } else {
        return stats_push_member(L, stats, name);
    }
    return true;
}

/* stats.NAME: a method (upvalue 1), a number, or one of the few others. */
static int index_stats(lua_State *L)
{
    struct stats *stats = stats_check(L);
    const char *name = luaL_checkstring(L, 2);
    if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TNIL)
        return 1;
    for (size_t i = 0; i < MK_ARRAY_LENGTH(numbers); i++) {
        if (strcmp(numbers[i].name, name) == 0) {
            lua_pushinteger(L, numbers[i].get(stats));
            return 1;
        }
    }
    if (push_other(L, stats, name))
        return 1;
    return luaL_error(L, "stats has no field or method named %s", name);
}

/* stats:reset(), stats:reset_connections(), stats:set_trace_mask(mask) */
static int reset(lua_State *L)
{
    struct stats *stats = stats_check(L);
    replica_stats_reset(server_replica(stats->host->server));
    server_figures_reset(stats->host->server);
    stats->figures_known = false;
    return 0;
}

static int reset_connections(lua_State *L)
{
    replica_connections_reset(server_replica(stats_check(L)->host->server));
    return 0;
}

static int set_trace_mask(lua_State *L)
{
    stats_check(L)->host->trace_mask = (uint64_t)luaL_checkinteger(L, 2);
    return 0;
}

/* stats:write(text, ...): a part of the answer, which goes to the client while the word runs on.
 * What the word returns comes last. */
static int write_text(lua_State *L)
{
    struct stats *stats = stats_check(L);
    int count = lua_gettop(L);
    for (int i = 2; i <= count; i++) {
        size_t length;
        const char *text = luaL_checklstring(L, i, &length);
        mk_buffer_append(&stats->text, text, length);
    }
    return 0;
}

static void push_summary(lua_State *L, const char *name, const struct mk_summary *summary)
{
    lua_createtable(L, 0, 8);
    set_integer(L, "count", (int64_t)summary->count);
    set_integer(L, "sum", (int64_t)summary->sum);
    set_integer(L, "min", (int64_t)mk_summary_min(summary));
    set_integer(L, "max", (int64_t)summary->max);
    lua_setfield(L, -2, name);
}

static void push_histogram(lua_State *L, const char *name, const struct mk_histogram *histogram)
{
    push_summary(L, name, &histogram->summary);
    lua_getfield(L, -1, name);
    set_integer(L, "p50", (int64_t)mk_histogram_quantile(histogram, 500));
    set_integer(L, "p95", (int64_t)mk_histogram_quantile(histogram, 950));
    set_integer(L, "p99", (int64_t)mk_histogram_quantile(histogram, 990));
    set_integer(L, "p999", (int64_t)mk_histogram_quantile(histogram, 999));
    lua_pop(L, 1);
}

/* Rows of schema/metrics.lua that the server keeps (`host`), in the units that it counts in. */
static void push_server_metrics(lua_State *L, const struct server_figures *figures)
{
    push_summary(L, "fsynctime", &figures->sync_us.summary);
    push_histogram(L, "sync_processor_queue_flush_time_ms", &figures->sync_us);
    push_summary(L, "sync_processor_batch_size", &figures->sync_batch);
    push_summary(L, "snapshottime", &figures->snapshot_ms);
    push_summary(L, "dbinittime", &figures->restore_ms);
    push_summary(L, "startup_snap_load_time", &figures->snapshot_load_ms);
    push_summary(L, "startup_txns_load_time", &figures->replay_ms);
    push_summary(L, "startup_txns_loaded", &figures->replayed_transactions);
}

/* stats:metrics(): by the name of its row, a number, or { count, sum, min, max, p50, ... } */
static int metrics(lua_State *L)
{
    struct stats *stats = stats_check(L);
    const struct replica_stats *kept = counters(stats);
    lua_newtable(L);
    for (int i = 0; i < COUNTER_COUNT; i++)
        set_integer(L, metric_counter_names[i], (int64_t)kept->counters[i]);
    for (int i = 0; i < SUMMARY_COUNT; i++)
        push_summary(L, metric_summary_names[i], &kept->summaries[i]);
    for (int i = 0; i < HISTOGRAM_COUNT; i++)
        push_histogram(L, metric_histogram_names[i], &kept->histograms[i]);
    push_server_metrics(L, figures_of(stats));
    return 1;
}

static void make_metatable(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"reset", reset},
        {"reset_connections", reset_connections},
        {"set_trace_mask", set_trace_mask},
        {"metrics", metrics},
        {"write", write_text},
        {NULL, NULL},
    };
    luaL_newlib(L, methods);
    stats_list_methods(L);
    lua_pushcclosure(L, index_stats, 1);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "locked");
    lua_setfield(L, -2, "__metatable");
}

struct stats *stats_push(lua_State *L, struct host *host, uint32_t connection, uint64_t argument)
{
    struct stats *stats = lua_newuserdatauv(L, sizeof *stats, 0);
    *stats = (struct stats){
        .host = host, .text = MK_BUFFER_EMPTY, .connection = connection, .argument = argument};
    if (luaL_newmetatable(L, STATS_TYPE))
        make_metatable(L);
    lua_setmetatable(L, -2);
    return stats;
}

void stats_close(struct stats *stats)
{
    stats_close_listings(stats);
    mk_buffer_fini(&stats->text);
    stats->host = NULL;
}
