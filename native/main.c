/* SPDX-License-Identifier: MIT */
/* The executable: a Lua state with the bundled files that runs the command line
 * (lua/moonkeeper/cli/main.lua). `--lua-path DIR` as the first option reads Lua files from a
 * checkout before the bundled ones, for development. */
#include "script/script.h"

#include <stdio.h>
#include <string.h>

/* What a command prints waits here, so that one check at the end finds a full disk; what a server
 * prints is flushed by the line. */
static char output[256 << 10];

#ifdef MK_HAVE_LUV
#include <luv/luv.h>

/* Scripts share the loop of the server. */
static int open_luv(lua_State *L)
{
    luv_set_loop(L, script_loop(script_of(L)));
    luv_set_callback(L, script_luv_call);
    return luaopen_luv(L);
}
#endif

int main(int argc, char **argv)
{
    setvbuf(stdout, output, _IOFBF, sizeof output);
    struct script_options options = {
        .bundle = {.files = bundle_files, .count = bundle_file_count},
        .version = MK_VERSION,
        .build_date = MK_BUILD_DATE,
#ifdef MK_HAVE_LUV
        .open_luv = open_luv,
#endif
    };
    int first = 1;
    if (argc > 2 && strcmp(argv[1], "--lua-path") == 0) {
        options.bundle.disk_path = argv[2];
        first = 3;
    }
    struct script *script = script_new(&options);
    int code = script_main(script, "moonkeeper.cli.main", argc - first, argv + first);
    script_free(script);
    return code;
}
