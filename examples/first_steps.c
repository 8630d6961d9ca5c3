/* SPDX-License-Identifier: MIT */
/* First steps from C, with Apache's own client library: create, read, watch, change.
 *
 *     cc examples/first_steps.c -o first_steps -lzookeeper_mt
 *     ./first_steps [HOST:PORT] */
#define THREADED
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

#define WAIT_STEPS 1000
#define WAIT_STEP_US 10000

static volatile int connected, told;

static void session_watcher(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    (void)handle, (void)path, (void)context;
    if (type == ZOO_SESSION_EVENT && state == ZOO_CONNECTED_STATE)
        connected = 1;
}

static void node_watcher(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    (void)handle, (void)state, (void)context;
    printf("told: event %d on %s\n", type, path);
    told = 1;
}

static void wait_for(const volatile int *flag, const char *what)
{
    for (int i = 0; i < WAIT_STEPS && !*flag; i++)
        usleep(WAIT_STEP_US);
    if (!*flag) {
        fprintf(stderr, "%s did not come within 10 s\n", what);
        exit(1);
    }
}

static void check(int code, const char *what)
{
    if (code == ZOK)
        return;
    fprintf(stderr, "%s: %s\n", what, zerror(code));
    exit(1);
}

int main(int argc, char **argv)
{
    const char *host = argc > 1 ? argv[1] : "127.0.0.1:2181";
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    zhandle_t *handle = zookeeper_init(host, session_watcher, 10000, NULL, NULL, 0);
    if (!handle) {
        perror("zookeeper_init");
        return 1;
    }
    wait_for(&connected, "the connection");

    char path[256], data[256];
    int length = sizeof data;
    struct Stat stat;
    check(zoo_create(handle, "/first-steps-", "hello", 5, &ZOO_OPEN_ACL_UNSAFE,
                     ZOO_PERSISTENT_SEQUENTIAL, path, sizeof path),
          "create");
    check(zoo_wget(handle, path, node_watcher, NULL, data, &length, &stat), "get");
    printf("read: %.*s, version %d\n", length, data, stat.version);
    check(zoo_set(handle, path, "hello again", 11, -1), "set");
    wait_for(&told, "the event");
    check(zoo_delete(handle, path, -1), "delete");
    zookeeper_close(handle);
    printf("done\n");
    return 0;
}
