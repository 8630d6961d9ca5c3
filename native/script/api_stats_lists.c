/* SPDX-License-Identifier: MIT */
/* Methods of `stats` that list things: connections, sessions, ephemerals, watches, digests,
 * counts by operation, the environment. A list is taken when the method is called and handed
 * out by an iterator, so a command never sees it change. */
#include "base/buffer.h"
#include "replica/stats.h"
#include "script/script_int.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

struct listing {
    lua_State *L;
    struct stats *stats;
    lua_Integer count;
};

static struct replica *replica_of(const struct listing *listing)
{
    return server_replica(listing->stats->host->server);
}

static void set_integer(lua_State *L, const char *name, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static void set_bytes(lua_State *L, const char *name, struct mk_bytes bytes)
{
    lua_pushlstring(L, (const char *)bytes.data, mk_bytes_size(bytes));
    lua_setfield(L, -2, name);
}

/* Upvalues: the list, the position. Returns the next item, or the two of a pair. */
static int next_item(lua_State *L)
{
    lua_Integer position = lua_tointeger(L, lua_upvalueindex(2)) + 1;
    lua_pushinteger(L, position);
    lua_replace(L, lua_upvalueindex(2));
    if (lua_rawgeti(L, lua_upvalueindex(1), position) != LUA_TTABLE)
        return 1;
    if (lua_rawgeti(L, -1, 1) == LUA_TNIL) {
        lua_pop(L, 1);
        return 1;
    }
    lua_rawgeti(L, -2, 2);
    return 2;
}

/* The list is at the top of the stack. */
static int push_iterator(lua_State *L)
{
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_item, 2);
    return 1;
}

/* --- connections ---------------------------------------------------------------------------------
 */

static void add_connection(void *context, const struct replica_connection_info *info)
{
    struct listing *listing = context;
    lua_State *L = listing->L;
    const struct replica_latency *latency = &info->latency;
    lua_createtable(L, 0, 18);
    set_bytes(L, "address", info->address);
    set_integer(L, "port", server_peer_port(listing->stats->host->server, info->connection));
    lua_pushboolean(L, info->connection == listing->stats->connection);
    lua_setfield(L, -2, "asking");
    lua_pushboolean(L, info->has_session);
    lua_setfield(L, -2, "has_session");
    set_integer(L, "session_id", info->session_id);
    set_integer(L, "timeout_ms", info->timeout_ms);
    set_integer(L, "queued", info->queued);
    set_integer(L, "received", (int64_t)info->received);
    set_integer(L, "sent", (int64_t)info->sent);
    set_integer(L, "last_op", info->last_op);
    set_integer(L, "last_xid", info->last_xid);
    set_integer(L, "last_zxid", info->last_zxid);
    set_integer(L, "established_wall_ms", info->established_wall_ms);
    set_integer(L, "last_response_now_ms", info->last_response_now_ms);
    set_integer(L, "last_latency_ms", info->last_latency_ms);
    set_integer(L, "latency_min_ms", latency->min_ms);
    set_integer(L, "latency_max_ms", latency->max_ms);
    lua_pushnumber(L, latency->count ? (double)latency->total_ms / (double)latency->count : 0);
    lua_setfield(L, -2, "latency_avg_ms");
    lua_rawseti(L, -2, ++listing->count);
}

static int connections(lua_State *L)
{
    struct listing listing = {L, stats_check(L), 0};
    lua_newtable(L);
    replica_connection_visit(replica_of(&listing), add_connection, &listing);
    return push_iterator(L);
}

/* --- sessions and their ephemerals
 * ----------------------------------------------------------------- */

static void add_session(void *context, int64_t session_id, int32_t timeout_ms,
                        int64_t expires_now_ms)
{
    struct listing *listing = context;
    lua_createtable(listing->L, 0, 3);
    set_integer(listing->L, "id", session_id);
    set_integer(listing->L, "timeout_ms", timeout_ms);
    set_integer(listing->L, "expires_now_ms", expires_now_ms);
    lua_rawseti(listing->L, -2, ++listing->count);
}

static int sessions(lua_State *L)
{
    struct listing listing = {L, stats_check(L), 0};
    lua_newtable(L);
    replica_session_visit(replica_of(&listing), add_session, &listing);
    return push_iterator(L);
}

/* stack: ..., paths */
static void add_ephemeral(void *context, const struct znode *node)
{
    struct listing *listing = context;
    struct mk_buffer path = MK_BUFFER_EMPTY;
    tree_append_path(replica_tree(replica_of(listing)), node, &path);
    lua_pushlstring(listing->L, (const char *)path.data, path.length);
    mk_buffer_fini(&path);
    lua_rawseti(listing->L, -2, (lua_Integer)lua_rawlen(listing->L, -2) + 1);
}

/* stack: list */
static void add_owner(void *context, int64_t session_id)
{
    struct listing *listing = context;
    lua_createtable(listing->L, 2, 0);
    lua_pushinteger(listing->L, session_id);
    lua_rawseti(listing->L, -2, 1);
    lua_newtable(listing->L);
    tree_ephemeral_visit(replica_tree(replica_of(listing)), session_id, add_ephemeral, listing);
    lua_rawseti(listing->L, -2, 2);
    lua_rawseti(listing->L, -2, ++listing->count);
}

/* for session_id, paths in stats:ephemerals() */
static int ephemerals(lua_State *L)
{
    struct listing listing = {L, stats_check(L), 0};
    lua_newtable(L);
    tree_ephemeral_owner_visit(replica_tree(replica_of(&listing)), add_owner, &listing);
    return push_iterator(L);
}

/* --- watches
 * ------------------------------------------------------------------------------------------ */

static void add_watch(void *context, struct mk_bytes path, uint32_t watcher)
{
    struct listing *listing = context;
    lua_createtable(listing->L, 2, 0);
    lua_pushlstring(listing->L, (const char *)path.data, mk_bytes_size(path));
    lua_rawseti(listing->L, -2, 1);
    lua_pushinteger(listing->L, replica_watcher_session(replica_of(listing), watcher));
    lua_rawseti(listing->L, -2, 2);
    lua_rawseti(listing->L, -2, ++listing->count);
}

/* for path, session_id in stats:watches(): grouped by path */
static int watches(lua_State *L)
{
    struct listing listing = {L, stats_check(L), 0};
    lua_newtable(L);
    watch_visit(replica_watches(replica_of(&listing)), add_watch, &listing);
    return push_iterator(L);
}

/* connections, paths, watches = stats:watch_summary() */
static int watch_summary(lua_State *L)
{
    struct listing listing = {L, stats_check(L), 0};
    struct watch_counts counts;
    watch_count(replica_watches(replica_of(&listing)), &counts);
    lua_pushinteger(L, (lua_Integer)counts.watchers);
    lua_pushinteger(L, (lua_Integer)counts.paths);
    lua_pushinteger(L, (lua_Integer)counts.watches);
    return 3;
}

/* --- others
 * ------------------------------------------------------------------------------------------- */

/* for digest in stats:digests(): { zxid, digest }, digest as an unsigned decimal text */
static int digests(lua_State *L)
{
    struct listing listing = {L, stats_check(L), 0};
    const struct replica_digest *list;
    size_t count = replica_digests(replica_of(&listing), &list);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)list[i].digest);
        lua_createtable(L, 0, 2);
        set_integer(L, "zxid", list[i].zxid);
        lua_pushstring(L, text);
        lua_setfield(L, -2, "digest");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return push_iterator(L);
}

/* Requests so far by opcode. */
static int op_counts(lua_State *L)
{
    struct listing listing = {L, stats_check(L), 0};
    const struct replica_stats *stats = replica_stats(replica_of(&listing));
    lua_newtable(L);
    for (size_t i = 0; i < MK_ARRAY_LENGTH(stats->op_count); i++) {
        lua_pushinteger(L, (lua_Integer)stats->op_count[i]);
        lua_rawseti(L, -2, (lua_Integer)i);
    }
    return 1;
}

static void set_string(lua_State *L, const char *name, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

static void set_mebibytes(lua_State *L, const char *name, uint64_t bytes)
{
    lua_pushfstring(L, "%IMB", (lua_Integer)(bytes >> 20));
    lua_setfield(L, -2, name);
}

static int environment(lua_State *L)
{
    stats_check(L);
    struct utsname system;
    char text[1024];
    size_t size = sizeof text;
    lua_newtable(L);
    if (uname(&system) == 0) {
        set_string(L, "host.name", system.nodename);
        set_string(L, "os.name", system.sysname);
        set_string(L, "os.arch", system.machine);
        set_string(L, "os.version", system.release);
    }
    if (uv_cwd(text, &size) == 0)
        set_string(L, "user.dir", text);
    uv_passwd_t user;
    if (uv_os_get_passwd(&user) == 0) {
        set_string(L, "user.name", user.username);
        set_string(L, "user.home", user.homedir);
        uv_os_free_passwd(&user);
    }
    size_t resident = 0;
    uv_resident_set_memory(&resident);
    set_mebibytes(L, "os.memory.free", uv_get_free_memory());
    set_mebibytes(L, "os.memory.max", uv_get_total_memory());
    set_mebibytes(L, "os.memory.total", resident);
    set_string(L, "lua.version", LUA_RELEASE);
    set_string(L, "libuv.version", uv_version_string());
    return 1;
}

void stats_list_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"connections", connections}, {"sessions", sessions},           {"ephemerals", ephemerals},
        {"watches", watches},         {"watch_summary", watch_summary}, {"digests", digests},
        {"op_counts", op_counts},     {"environment", environment},     {NULL, NULL},
    };
    luaL_setfuncs(L, methods, 0);
}
