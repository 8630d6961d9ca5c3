/* SPDX-License-Identifier: MIT */
/* The methods of `stats` that go through connections, sessions, ephemerals, watches and digests,
 * and the environment. An iterator collects some plain C data at a time, in memory that it owns,
 * and only then makes Lua values: an error that Lua raises (out of its memory budget) never jumps
 * through the replica or the tree. Between two of these slices the command may pause and the
 * server change: what is there all the time comes once. */
#include "base/buffer.h"
#include "replica/stats.h"
#include "script/script_int.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <sys/utsname.h>

#define LISTING_TYPE "moonkeeper.listing"
#define ADDRESS_BYTES 64
#define QUOTA_NAME_BYTES 256
#define QUOTA_NODES_MAX 3000 /* of /zookeeper/quota; each quota has three or more */
#define SLICE_STEPS 512      /* what is looked at at a time: some 100 microseconds */

/* Puts some more behind `items`; false when there is no more to come. */
typedef bool listing_fill(struct listing *listing);

/* Items one behind the other; `position` is where the next one begins. */
struct listing {
    struct mk_buffer items;
    size_t position;
    listing_fill *fill;   /* NULL: all was collected */
    struct stats *stats;  /* NULL: all was collected, or the command is over */
    struct listing *next; /* in stats->listings */
    /* Where it goes on, one of them. */
    uint32_t number;
    struct watch_walk watches;
    struct tree_owner_walk owners;
};

/* Nothing more is collected. What was collected can still be handed out. */
static void listing_end(struct listing *listing)
{
    if (!listing->stats)
        return;
    struct listing **link = &listing->stats->listings;
    while (*link != listing)
        link = &(*link)->next;
    *link = listing->next;
    listing->stats = NULL;
    watch_walk_end(&listing->watches);
    tree_owner_walk_end(&listing->owners);
}

static int listing_collect(lua_State *L)
{
    struct listing *listing = luaL_checkudata(L, 1, LISTING_TYPE);
    listing_end(listing);
    mk_buffer_fini(&listing->items);
    return 0;
}

void stats_close_listings(struct stats *stats)
{
    while (stats->listings)
        listing_end(stats->listings);
}

static struct replica *replica_of(const struct listing *listing)
{
    return server_replica(listing->stats->host->server);
}

/* Pushes a listing that knows nothing yet. */
static struct listing *listing_push(lua_State *L, listing_fill *fill)
{
    struct stats *stats = stats_check(L);
    struct listing *listing = lua_newuserdatauv(L, sizeof *listing, 0);
    *listing = (struct listing){.items = MK_BUFFER_EMPTY, .fill = fill};
    if (luaL_newmetatable(L, LISTING_TYPE)) {
        lua_pushcfunction(L, listing_collect);
        lua_setfield(L, -2, "__gc");
        lua_pushliteral(L, "locked");
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    listing->stats = stats;
    listing->next = stats->listings;
    stats->listings = listing;
    return listing;
}

/* The listing of an iterator, its upvalue, with an item to be handed out; NULL when there is none,
 * and its memory freed. `iterator` is the function that calls this. */
static struct listing *listing_next(lua_State *L, lua_CFunction iterator)
{
    struct listing *listing = lua_touserdata(L, lua_upvalueindex(1));
    if (listing->position < listing->items.length)
        return listing;
    mk_buffer_clear(&listing->items);
    listing->position = 0;
    while (listing->stats && listing->items.length == 0) {
        if (!listing->fill(listing))
            listing_end(listing);
        else if (listing->items.length == 0)
            script_pause_if_over(L, iterator); /* a long way without anything to tell */
    }
    if (listing->items.length > 0)
        return listing;
    mk_buffer_fini(&listing->items);
    return NULL;
}

static void take(struct listing *listing, void *item, size_t size)
{
    MK_ASSERT(listing->items.length - listing->position >= size);
    memcpy(item, listing->items.data + listing->position, size);
    listing->position += size;
}

/* The listing is at the top of the stack; leaves the iterator in its place. */
static int push_iterator(lua_State *L, lua_CFunction next)
{
    lua_pushcclosure(L, next, 1);
    return 1;
}

static void set_integer(lua_State *L, const char *name, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static void set_boolean(lua_State *L, const char *name, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, name);
}

static void set_string(lua_State *L, const char *name, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

/* --- connections ---------------------------------------------------------------------------- */

struct connection_item {
    struct replica_connection_info info; /* its address is in `address` */
    char address[ADDRESS_BYTES];
    uint16_t port;
    bool asking;
};

static void add_connection(void *context, const struct replica_connection_info *info)
{
    struct listing *listing = context;
    struct connection_item item = {
        .info = *info,
        .port = server_peer_port(listing->stats->host->server, info->connection),
        .asking = info->connection == listing->stats->connection,
    };
    size_t length = MK_MIN(mk_bytes_size(info->address), sizeof item.address - 1);
    memcpy(item.address, info->address.data, length);
    mk_buffer_append(&listing->items, &item, sizeof item);
}

static int next_connection(lua_State *L)
{
    struct listing *listing = listing_next(L, next_connection);
    if (!listing)
        return 0;
    struct connection_item item;
    take(listing, &item, sizeof item);
    const struct replica_connection_info *info = &item.info;
    const struct replica_latency *latency = &info->latency;
    lua_createtable(L, 0, 20);
    set_string(L, "address", item.address);
    set_integer(L, "port", item.port);
    set_boolean(L, "asking", item.asking);
    set_boolean(L, "has_session", info->has_session);
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
    return 1;
}

static bool fill_connections(struct listing *listing)
{
    return replica_connection_visit(replica_of(listing), &listing->number, SLICE_STEPS,
                                    add_connection, listing);
}

/* for connection in stats:connections() */
static int connections(lua_State *L)
{
    listing_push(L, fill_connections);
    return push_iterator(L, next_connection);
}

/* --- sessions ------------------------------------------------------------------------------- */

struct session_item {
    int64_t id, expires_now_ms;
    int32_t timeout_ms;
};

static void add_session(void *context, int64_t session_id, int32_t timeout_ms,
                        int64_t expires_now_ms)
{
    struct listing *listing = context;
    struct session_item item = {session_id, expires_now_ms, timeout_ms};
    mk_buffer_append(&listing->items, &item, sizeof item);
}

static int next_session(lua_State *L)
{
    struct listing *listing = listing_next(L, next_session);
    if (!listing)
        return 0;
    struct session_item item;
    take(listing, &item, sizeof item);
    lua_createtable(L, 0, 3);
    set_integer(L, "id", item.id);
    set_integer(L, "timeout_ms", item.timeout_ms);
    set_integer(L, "expires_now_ms", item.expires_now_ms);
    return 1;
}

static bool fill_sessions(struct listing *listing)
{
    return replica_session_visit(replica_of(listing), &listing->number, SLICE_STEPS, add_session,
                                 listing);
}

/* for session in stats:sessions() */
static int sessions(lua_State *L)
{
    listing_push(L, fill_sessions);
    return push_iterator(L, next_session);
}

/* --- ephemerals and watches: pairs of a session and a path ------------------------------------ */

struct path_item {
    int64_t session_id;
    size_t length; /* of the path, whose bytes follow */
};

static void add_path(struct listing *listing, int64_t session_id, struct mk_bytes path)
{
    struct path_item item = {session_id, mk_bytes_size(path)};
    mk_buffer_append(&listing->items, &item, sizeof item);
    mk_buffer_append_bytes(&listing->items, path);
}

/* Pushes the path behind `item`. */
static void take_path(lua_State *L, struct listing *listing, const struct path_item *item)
{
    MK_ASSERT(listing->items.length - listing->position >= item->length);
    const uint8_t *path = listing->items.data + listing->position;
    listing->position += item->length;
    lua_pushlstring(L, (const char *)path, item->length);
}

/* Hands out path and session, or the other way round. */
static int next_pair(lua_State *L, lua_CFunction iterator, bool path_first)
{
    struct listing *listing = listing_next(L, iterator);
    if (!listing)
        return 0;
    struct path_item item;
    take(listing, &item, sizeof item);
    take_path(L, listing, &item);
    lua_pushinteger(L, item.session_id);
    if (!path_first)
        lua_insert(L, -2);
    return 2;
}

static int next_path(lua_State *L)
{
    return next_pair(L, next_path, true);
}

static int next_of_session(lua_State *L)
{
    return next_pair(L, next_of_session, false);
}

static void add_ephemeral(void *context, int64_t session_id, const struct znode *node)
{
    struct listing *listing = context;
    struct mk_buffer path = MK_BUFFER_EMPTY;
    tree_append_path(replica_tree(replica_of(listing)), node, &path);
    add_path(listing, session_id, mk_buffer_bytes(&path));
    mk_buffer_fini(&path);
}

static bool fill_ephemerals(struct listing *listing)
{
    return tree_owner_walk_next(&listing->owners, SLICE_STEPS, add_ephemeral, listing);
}

/* for session_id, path in stats:ephemerals(): grouped by session */
static int ephemerals(lua_State *L)
{
    struct listing *listing = listing_push(L, fill_ephemerals);
    tree_owner_walk_begin(&listing->owners, replica_tree(replica_of(listing)));
    return push_iterator(L, next_of_session);
}

static void add_watch(void *context, struct mk_bytes path, uint32_t watcher)
{
    struct listing *listing = context;
    add_path(listing, replica_watcher_session(replica_of(listing), watcher), path);
}

static bool fill_watches(struct listing *listing)
{
    return watch_walk_next(&listing->watches, SLICE_STEPS, add_watch, listing);
}

static int list_watches(lua_State *L, enum watch_order order, lua_CFunction next)
{
    struct listing *listing = listing_push(L, fill_watches);
    watch_walk_begin(&listing->watches, replica_watches(replica_of(listing)), order);
    return push_iterator(L, next);
}

/* for path, session_id in stats:watches(): grouped by path; the data table only, as Apache */
static int watches(lua_State *L)
{
    return list_watches(L, WATCHES_BY_PATH, next_path);
}

/* for session_id, path in stats:watches_by_session(): the same, grouped by session */
static int watches_by_session(lua_State *L)
{
    return list_watches(L, WATCHES_BY_WATCHER, next_of_session);
}

/* connections, paths, watches = stats:watch_summary(): of the data table */
static int watch_summary(lua_State *L)
{
    const struct stats *stats = stats_check(L);
    struct watch_counts counts;
    watch_count(replica_watches(server_replica(stats->host->server)), &counts);
    lua_pushinteger(L, (lua_Integer)counts.data_watchers);
    lua_pushinteger(L, (lua_Integer)counts.data_paths);
    lua_pushinteger(L, (lua_Integer)counts.data_watches);
    return 3;
}

/* --- others ------------------------------------------------------------------------------------
 */

static int next_digest(lua_State *L)
{
    struct listing *listing = listing_next(L, next_digest);
    if (!listing)
        return 0;
    struct replica_digest item;
    take(listing, &item, sizeof item);
    lua_pushinteger(L, item.zxid);
    lua_pushinteger(L, (lua_Integer)item.digest); /* signed, as Apache prints it */
    return 2;
}

static bool fill_digests(struct listing *listing)
{
    const struct replica_digest *list;
    size_t count = replica_digests(replica_of(listing), &list);
    mk_buffer_append(&listing->items, list, count * sizeof *list);
    return false;
}

/* for zxid, digest in stats:digests(): the newest last */
static int digests(lua_State *L)
{
    listing_push(L, fill_digests);
    return push_iterator(L, next_digest);
}

struct quota_item {
    char name[QUOTA_NAME_BYTES]; /* cut off */
    int64_t count_limit, bytes_limit, count_used, bytes_used;
};

static void add_quota(void *context, const struct tree_quota_sum *sum)
{
    struct listing *listing = context;
    struct quota_item item = {.count_limit = sum->count_limit,
                              .bytes_limit = sum->bytes_limit,
                              .count_used = sum->count_used,
                              .bytes_used = sum->bytes_used};
    snprintf(item.name, sizeof item.name, "%.*s", sum->name.length, (const char *)sum->name.data);
    mk_buffer_append(&listing->items, &item, sizeof item);
}

static int next_quota(lua_State *L)
{
    struct listing *listing = listing_next(L, next_quota);
    if (!listing)
        return 0;
    struct quota_item item;
    take(listing, &item, sizeof item);
    lua_createtable(L, 0, 5);
    set_string(L, "name", item.name);
    set_integer(L, "count_limit", item.count_limit);
    set_integer(L, "bytes_limit", item.bytes_limit);
    set_integer(L, "count_used", item.count_used);
    set_integer(L, "bytes_used", item.bytes_used);
    return 1;
}

/* In one slice: there are few quotas, and beyond QUOTA_NODES_MAX none is told. */
static bool fill_quotas(struct listing *listing)
{
    const struct tree *tree = replica_tree(replica_of(listing));
    if (!tree_quota_sums(tree, QUOTA_NODES_MAX, add_quota, listing))
        mk_buffer_clear(&listing->items);
    return false;
}

/* for quota in stats:quotas(): what the quotas below each top-level znode add up to; -1 for no
 * limit, and for what is not known */
static int quotas(lua_State *L)
{
    listing_push(L, fill_quotas);
    return push_iterator(L, next_quota);
}

/* Requests so far by opcode. */
static int op_counts(lua_State *L)
{
    const struct stats *self = stats_check(L);
    const struct replica_stats *stats = replica_stats(server_replica(self->host->server));
    lua_newtable(L);
    for (size_t i = 0; i < MK_ARRAY_LENGTH(stats->op_count); i++) {
        lua_pushinteger(L, (lua_Integer)stats->op_count[i]);
        lua_rawseti(L, -2, (lua_Integer)i);
    }
    return 1;
}

static void set_mebibytes(lua_State *L, const char *name, uint64_t bytes)
{
    lua_pushfstring(L, "%IMB", (lua_Integer)(bytes >> 20));
    lua_setfield(L, -2, name);
}

static void set_user(lua_State *L)
{
    uv_passwd_t user;
    if (uv_os_get_passwd(&user) != 0)
        return;
    char name[256], home[1024];
    size_t name_length = MK_MIN(strlen(user.username), sizeof name - 1);
    size_t home_length = MK_MIN(strlen(user.homedir), sizeof home - 1);
    memcpy(name, user.username, name_length);
    memcpy(home, user.homedir, home_length);
    name[name_length] = home[home_length] = '\0';
    uv_os_free_passwd(&user); /* before anything that may raise */
    set_string(L, "user.name", name);
    set_string(L, "user.home", home);
}

/* Where the server runs, under the names of the word envi. */
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
    set_user(L);
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
        {"connections", connections},
        {"sessions", sessions},
        {"ephemerals", ephemerals},
        {"watches", watches},
        {"watches_by_session", watches_by_session},
        {"watch_summary", watch_summary},
        {"digests", digests},
        {"quotas", quotas},
        {"op_counts", op_counts},
        {"environment", environment},
        {NULL, NULL},
    };
    luaL_setfuncs(L, methods, 0);
}
