/* SPDX-License-Identifier: MIT */
/* From the checked table of options to struct server_options, by the generated table: no list of
 * fields is written here. server/config.lua has checked types and ranges; what does not fit
 * its member all the same is a bug of the schema, hence an assertion. */
#include "base/mem.h"
#include "script/options.gen.h"
#include "script/script_int.h"

#include <lauxlib.h>
#include <lua.h>

static bool fits_signed(lua_Integer value, size_t size)
{
    int64_t limit = size >= 8 ? INT64_MAX : (INT64_C(1) << (size * 8 - 1)) - 1;
    return value <= limit && value >= -limit - 1;
}

static bool fits_unsigned(lua_Integer value, size_t size)
{
    return value >= 0 && (size >= 8 || (uint64_t)value >> (size * 8) == 0);
}

/* Little-endian: the low bytes come first (mk.h refuses other machines). */
static void store_integer(char *member, const struct option_row *row, lua_Integer value)
{
    MK_ASSERT(row->kind == OPTION_SIGNED ? fits_signed(value, row->size)
                                         : fits_unsigned(value, row->size));
    int64_t wide = value;
    memcpy(member, &wide, row->size);
}

/* The value is at the top of the stack. */
static void store(lua_State *L, struct server_options *options, const struct option_row *row)
{
    char *member = (char *)options + row->offset;
    if (row->kind == OPTION_BOOLEAN) {
        bool value = lua_toboolean(L, -1);
        memcpy(member, &value, sizeof value);
    } else if (row->kind == OPTION_STRING) {
        const char *value = luaL_checkstring(L, -1);
        memcpy(member, &value, sizeof value);
    } else {
        store_integer(member, row, luaL_checkinteger(L, -1));
    }
}

static void read_addresses(lua_State *L, int index, struct server_options *options)
{
    lua_getfield(L, index, "client_address");
    /* stack: list of { host, port } */
    size_t count = (size_t)luaL_len(L, -1);
    options->addresses = mk_calloc(count, sizeof *options->addresses);
    options->address_count = count;
    for (size_t i = 0; i < count; i++) {
        struct server_address *address = &options->addresses[i];
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        lua_getfield(L, -1, "host");
        lua_getfield(L, -2, "port");
        size_t length;
        const char *host = lua_tolstring(L, -2, &length);
        MK_ASSERT(host && length < sizeof address->host);
        memcpy(address->host, host, length + 1);
        address->port = (uint16_t)lua_tointeger(L, -1);
        lua_pop(L, 3);
    }
    lua_pop(L, 1);
}

/* The text of a field of the table at the top of the stack, which has no longer one than fits. */
static void copy_field(lua_State *L, const char *field, char *to, size_t size)
{
    size_t length;
    lua_getfield(L, -1, field);
    const char *text = lua_tolstring(L, -1, &length);
    MK_ASSERT(text && length < size);
    memcpy(to, text, length + 1);
    lua_pop(L, 1);
}

static lua_Integer integer_field(lua_State *L, const char *field)
{
    lua_getfield(L, -1, field);
    lua_Integer value = luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    return value;
}

/* The member at the top of the stack, as server/members.lua made it. */
static void read_member(lua_State *L, struct server_member *member)
{
    member->id = integer_field(L, "id");
    copy_field(L, "host", member->host, sizeof member->host);
    member->quorum_port = (uint16_t)integer_field(L, "quorum_port");
    member->election_port = (uint16_t)integer_field(L, "election_port");
    lua_getfield(L, -1, "observer");
    member->observer = lua_toboolean(L, -1);
    lua_pop(L, 1);
    member->group = integer_field(L, "group");
    member->weight = (uint64_t)integer_field(L, "weight");
    copy_field(L, "client", member->client, sizeof member->client);
}

static void read_members(lua_State *L, int index, struct server_options *options)
{
    if (lua_getfield(L, index, "servers") == LUA_TTABLE) {
        size_t count = (size_t)luaL_len(L, -1);
        options->members = mk_calloc(count, sizeof *options->members);
        options->member_count = count;
        for (size_t i = 0; i < count; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
            read_member(L, &options->members[i]);
            lua_pop(L, 1);
        }
        lua_getfield(L, -1, "hierarchical");
        options->hierarchical = lua_toboolean(L, -1);
        lua_getfield(L, -2, "version");
        options->members_version = lua_tointeger(L, -1);
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
}

void config_read(lua_State *L, int index, struct server_options *options)
{
    index = lua_absindex(L, index);
    server_options_init(options);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (lua_getfield(L, index, option_table[i].name) != LUA_TNIL)
            store(L, options, &option_table[i]);
        lua_pop(L, 1);
    }
    read_addresses(L, index, options);
    read_members(L, index, options);
}

void config_fini(struct server_options *options)
{
    mk_free(options->addresses);
    options->addresses = NULL;
    options->address_count = 0;
    mk_free(options->members);
    options->members = NULL;
    options->member_count = 0;
}
