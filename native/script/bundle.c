/* SPDX-License-Identifier: MIT */
/* Finding Lua files in the executable; see bundle.h. */
#include "script/bundle.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>

static const struct bundle_file *find(const struct bundle *bundle, const char *path)
{
    size_t low = 0, high = bundle->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(path, bundle->files[middle].path);
        if (order == 0)
            return &bundle->files[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* Pushes the text of a file on disk and returns true, or pushes nothing. */
static bool push_from_disk(lua_State *L, const struct bundle *bundle, const char *path)
{
    if (!bundle->disk_path)
        return false;
    const char *full = lua_pushfstring(L, "%s/%s", bundle->disk_path, path);
    FILE *file = fopen(full, "rb");
    if (!file) {
        lua_pop(L, 1);
        return false;
    }
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    size_t got;
    do {
        char *space = luaL_prepbuffer(&buffer);
        got = fread(space, 1, LUAL_BUFFERSIZE, file);
        luaL_addsize(&buffer, got);
    } while (got > 0);
    fclose(file);
    luaL_pushresult(&buffer);
    lua_remove(L, -2);
    return true;
}

/* Pushes the text of a file and returns true, or pushes nothing. */
static bool push_text(lua_State *L, const struct bundle *bundle, const char *path)
{
    if (push_from_disk(L, bundle, path))
        return true;
    const struct bundle_file *file = find(bundle, path);
    if (!file)
        return false;
    lua_pushlstring(L, file->text, file->length);
    return true;
}

static const struct bundle *bundle_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

int bundle_lua_read(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    if (!push_text(L, bundle_of(L), path))
        lua_pushnil(L);
    return 1;
}

int bundle_lua_list(lua_State *L)
{
    const struct bundle *bundle = bundle_of(L);
    size_t length;
    const char *prefix = luaL_checklstring(L, 1, &length);
    lua_newtable(L);
    lua_Integer count = 0;
    for (size_t i = 0; i < bundle->count; i++) {
        if (strncmp(bundle->files[i].path, prefix, length) == 0) {
            lua_pushstring(L, bundle->files[i].path);
            lua_rawseti(L, -2, ++count);
        }
    }
    return 1;
}

/* The searcher: "moonkeeper.cli.run" is lua/moonkeeper/cli/run.lua or .../run/init.lua. */
static int search(lua_State *L)
{
    const struct bundle *bundle = bundle_of(L);
    const char *relative = luaL_gsub(L, luaL_checkstring(L, 1), ".", "/");
    const char *path = lua_pushfstring(L, "lua/%s.lua", relative);
    if (!push_text(L, bundle, path)) {
        path = lua_pushfstring(L, "lua/%s/init.lua", relative);
        if (!push_text(L, bundle, path)) {
            lua_pushfstring(L, "no file 'lua/%s.lua' in the executable", relative);
            return 1;
        }
    }
    /* stack: name, relative, path..., text */
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    const char *chunk_name = lua_pushfstring(L, "@%s", path);
    if (luaL_loadbufferx(L, text, length, chunk_name, "t") != LUA_OK)
        return luaL_error(L, "cannot load module '%s': %s", lua_tostring(L, 1),
                          lua_tostring(L, -1));
    lua_pushstring(L, path);
    return 2;
}

void bundle_install(lua_State *L, const struct bundle *bundle)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    /* stack: package, searchers; 1 is the preload searcher, ours becomes 2 */
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i >= 2; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushlightuserdata(L, (void *)bundle);
    lua_pushcclosure(L, search, 1);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}
