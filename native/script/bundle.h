/* SPDX-License-Identifier: MIT */
/* Lua files that are compiled into the executable (native/gen/emit_bundle.lua writes the table),
 * and how they are found: by their path in the repository ("lua/moonkeeper/init.lua",
 * "server-scripts/commands/ruok.lua"). For development a directory on disk can go first. */
#ifndef SCRIPT_BUNDLE_H
#define SCRIPT_BUNDLE_H

#include "base/mk.h"

struct bundle_file {
    const char *path;
    const char *text; /* zero-terminated */
    size_t length;
};

/* Sorted by path. Only the executable has these two. */
extern const struct bundle_file bundle_files[];
extern const size_t bundle_file_count;

struct bundle {
    const struct bundle_file *files; /* sorted by path */
    size_t count;
    const char *disk_path; /* a checkout that is looked into first; NULL: none */
};

struct lua_State;

/* Makes `require` look into the bundle, before everything but package.preload. `bundle` must
 * outlive the state. */
void bundle_install(struct lua_State *L, const struct bundle *bundle);
/* Functions for moonkeeper.core; the bundle is upvalue 1 (light userdata).
 * bundle_read(path) -> text, or nil; bundle_list(prefix) -> paths, sorted. */
int bundle_lua_read(struct lua_State *L);
int bundle_lua_list(struct lua_State *L);

#endif
