/* SPDX-License-Identifier: MIT */
/* core.check: the walk over a data directory behind `moonkeeper check DIR`. Changes nothing, so
 * it takes no lock and creates no directory. */
#include "log/check.h"

#include "log/recover.h"
#include "script/script_int.h"
#include "server/store_posix.h"
#include "wire/errors.gen.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <unistd.h>

/* Opens DIR/version-2 if it is there, otherwise DIR itself. *initialize is set if there is a file
 * of this name beside version-2. */
static int open_store(const char *directory, struct store **store, bool *initialize,
                      struct log_error *error)
{
    char path[4096], mark[4096];
    int length = snprintf(path, sizeof path, "%s/version-2", directory);
    if (length < 0 || (size_t)length + sizeof "/../" LOG_INITIALIZE_NAME > sizeof path)
        return log_error_set(error, MK_ERR_BAD_CONFIG, "the name of the directory is too long");
    bool within = access(path, F_OK) != 0;
    snprintf(mark, sizeof mark, "%s/%s" LOG_INITIALIZE_NAME, directory, within ? "../" : "");
    if (access(mark, F_OK) == 0)
        *initialize = true;
    return store_posix_open(within ? directory : path, false, store, error);
}

/* core.check(snapshot_dir, log_dir) -> text, usable, empty | nil, message */
int check_lua_check(lua_State *L)
{
    const char *snapshot_dir = luaL_checkstring(L, 1);
    const char *log_dir = luaL_optstring(L, 2, snapshot_dir);
    struct log_error error = {0, ""};
    struct log_stores stores = {NULL, NULL};
    struct log_check_result result;
    struct log_report report;
    struct mk_buffer text = MK_BUFFER_EMPTY;
    log_report_init(&report);
    bool initialize = false;
    int code = open_store(snapshot_dir, &stores.snapshots, &initialize, &error);
    if (!code && strcmp(snapshot_dir, log_dir) == 0)
        stores.logs = stores.snapshots;
    else if (!code)
        code = open_store(log_dir, &stores.logs, &initialize, &error);
    if (!code)
        code = log_check(&stores, initialize, &result, &report, &text, &error);
    int results = 2;
    if (code) {
        lua_pushnil(L);
        lua_pushstring(L, error.text);
    } else {
        lua_pushlstring(L, (const char *)text.data, text.length);
        lua_pushboolean(L, result.usable);
        lua_pushboolean(L, result.empty);
        results = 3;
    }
    if (stores.logs != stores.snapshots)
        store_posix_free(stores.logs);
    if (stores.snapshots)
        store_posix_free(stores.snapshots);
    mk_buffer_fini(&text);
    log_report_fini(&report);
    return results;
}
