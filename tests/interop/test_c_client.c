/* SPDX-License-Identifier: MIT */
/* Drives a server with the official C client (libzookeeper_mt) and prints TAP.
 *
 *   test_c_client HOST:PORT
 *
 * tests/interop/run.py starts the server and this program. It uses the client as applications do:
 * synchronous and asynchronous calls, watches, multi, ACLs, a session that outlives its process.
 * It must leave nothing behind but ordinary nodes under its own root.
 */
#define THREADED
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

#define ROOT "/c-client"
#define WAIT_SECONDS 10

static int test_count;
static int test_failures;

static void ok(bool good, const char *name)
{
    test_count++;
    test_failures += good ? 0 : 1;
    printf("%s %d - C client: %s\n", good ? "ok" : "not ok", test_count, name);
    fflush(stdout);
}

static void is_code(int got, int wanted, const char *name)
{
    ok(got == wanted, name);
    if (got != wanted) {
        printf("#   got %d (%s), wanted %d\n", got, zerror(got), wanted);
    }
}

/* ---- what watchers and completions leave behind ---------------------------------------- */

struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int session_state; /* last state that a session event told */
    int event_count;
    int event_type;
    char event_path[256];
    int completions;
    int out_of_order;
    int last_code;
};

static void inbox_init(struct inbox *inbox)
{
    memset(inbox, 0, sizeof *inbox);
    pthread_mutex_init(&inbox->lock, NULL);
    pthread_cond_init(&inbox->changed, NULL);
}

static void on_event(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    struct inbox *inbox = context ? context : (struct inbox *)zoo_get_context(handle);
    pthread_mutex_lock(&inbox->lock);
    if (type == ZOO_SESSION_EVENT) {
        inbox->session_state = state;
    } else {
        inbox->event_count++;
        inbox->event_type = type;
        snprintf(inbox->event_path, sizeof inbox->event_path, "%s", path);
    }
    pthread_cond_broadcast(&inbox->changed);
    pthread_mutex_unlock(&inbox->lock);
}

/* Waits until *number reaches wanted (or equals it, for states); false when time is up. */
static bool wait_for(struct inbox *inbox, const int *number, int wanted, bool exactly)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_SECONDS;
    pthread_mutex_lock(&inbox->lock);
    int late = 0;
    while (late == 0 && (exactly ? *number != wanted : *number < wanted)) {
        late = pthread_cond_timedwait(&inbox->changed, &inbox->lock, &deadline);
    }
    pthread_mutex_unlock(&inbox->lock);
    return late == 0;
}

static zhandle_t *connect_client(const char *address, struct inbox *inbox,
                                 const clientid_t *session)
{
    inbox_init(inbox);
    zhandle_t *handle = zookeeper_init(address, on_event, 10000, session, inbox, 0);
    if (handle == NULL) {
        printf("Bail out! zookeeper_init failed\n");
        exit(1);
    }
    return handle;
}

static bool is_connected(struct inbox *inbox)
{
    return wait_for(inbox, &inbox->session_state, ZOO_CONNECTED_STATE, true);
}

/* ---- tests ------------------------------------------------------------------------------ */

static void test_nodes(zhandle_t *handle)
{
    char path[256];
    char data[64];
    int length = sizeof data;
    struct Stat stat;
    is_code(zoo_create(handle, ROOT, "root", 4, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path), ZOK,
            "create");
    ok(strcmp(path, ROOT) == 0, "create answers the path");
    is_code(zoo_create(handle, ROOT, "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZNODEEXISTS,
            "create of an existing node");
    is_code(zoo_get(handle, ROOT, 0, data, &length, &stat), ZOK, "get");
    ok(length == 4 && memcmp(data, "root", 4) == 0 && stat.version == 0, "get returns the data");
    is_code(zoo_set2(handle, ROOT, "xy", 2, 0, &stat), ZOK, "set with the right version");
    ok(stat.version == 1 && stat.dataLength == 2, "set returns the new stat");
    is_code(zoo_set(handle, ROOT, "z", 1, 0), ZBADVERSION, "set with an old version");
    is_code(zoo_create(handle, ROOT "/null", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK,
            "create with null data");
    length = sizeof data;
    is_code(zoo_get(handle, ROOT "/null", 0, data, &length, NULL), ZOK, "get of null data");
    ok(length == -1, "null data comes back as null");
    is_code(zoo_create2(handle, ROOT "/s-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL,
                        path, sizeof path, &stat),
            ZOK, "create2, sequential");
    ok(strcmp(path, ROOT "/s-0000000001") == 0 && stat.czxid != 0, "the suffix has ten digits");
    is_code(
        zoo_create(handle, ROOT "/container", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_CONTAINER, NULL, 0),
        ZOK, "create of a container");
    is_code(zoo_create_ttl(handle, ROOT "/ttl", "", 0, &ZOO_OPEN_ACL_UNSAFE,
                           ZOO_PERSISTENT_WITH_TTL, 60000, NULL, 0),
            ZOK, "create with TTL");
    is_code(zoo_delete(handle, ROOT, -1), ZNOTEMPTY, "delete of a node with children");
    is_code(zoo_delete(handle, ROOT "/null", 0), ZOK, "delete");
    is_code(zoo_exists(handle, ROOT "/null", 0, NULL), ZNONODE, "exists after delete");
    struct String_vector children = {0, NULL};
    is_code(zoo_get_children2(handle, ROOT, 0, &children, &stat), ZOK, "get_children2");
    ok(children.count == 3 && stat.numChildren == 3, "get_children2 shows three children");
    deallocate_String_vector(&children);
    length = sizeof data;
    is_code(zoo_getconfig(handle, 0, data, &length, &stat), ZOK, "getconfig");
    is_code(zoo_create(handle, "relative", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZBADARGUMENTS,
            "create with a relative path");
}

static void test_watches(zhandle_t *handle, zhandle_t *other)
{
    struct inbox inbox;
    char data[64];
    int length = sizeof data;
    inbox_init(&inbox);
    is_code(zoo_wexists(handle, ROOT "/w", on_event, &inbox, NULL), ZNONODE, "exists, watched");
    is_code(zoo_create(other, ROOT "/w", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK,
            "another client creates it");
    ok(wait_for(&inbox, &inbox.event_count, 1, false) && inbox.event_type == ZOO_CREATED_EVENT &&
           strcmp(inbox.event_path, ROOT "/w") == 0,
       "the watch tells of the creation");
    is_code(zoo_wget(handle, ROOT "/w", on_event, &inbox, data, &length, NULL), ZOK,
            "get, watched");
    is_code(zoo_set(handle, ROOT "/w", "1", 1, -1), ZOK, "own set");
    ok(wait_for(&inbox, &inbox.event_count, 2, false) && inbox.event_type == ZOO_CHANGED_EVENT,
       "the watch tells of the change");
    struct String_vector children = {0, NULL};
    is_code(zoo_wget_children(handle, ROOT "/w", on_event, &inbox, &children), ZOK,
            "get_children, watched");
    deallocate_String_vector(&children);
    is_code(zoo_create(other, ROOT "/w/x", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK,
            "another client creates a child");
    ok(wait_for(&inbox, &inbox.event_count, 3, false) && inbox.event_type == ZOO_CHILD_EVENT,
       "the watch tells of the child");
    is_code(zoo_wexists(handle, ROOT "/w/x", on_event, &inbox, NULL), ZOK, "exists, watched again");
    is_code(zoo_remove_watches(handle, ROOT "/w/x", ZWATCHTYPE_DATA, on_event, &inbox, 0), ZOK,
            "remove_watches");
    is_code(zoo_remove_watches(handle, ROOT "/w/x", ZWATCHTYPE_DATA, on_event, &inbox, 0),
            ZNOWATCHER, "remove_watches without a watch");
}

static void test_multi(zhandle_t *handle)
{
    char path[256];
    struct Stat stat;
    zoo_op_t ops[4];
    zoo_op_result_t results[4];
    zoo_create_op_init(&ops[0], ROOT "/m", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path);
    zoo_set_op_init(&ops[1], ROOT "/m", "data", 4, 0, &stat);
    zoo_check_op_init(&ops[2], ROOT "/m", 1);
    zoo_delete_op_init(&ops[3], ROOT "/m", 1);
    is_code(zoo_multi(handle, 4, ops, results), ZOK, "multi of create, set, check, delete");
    ok(results[3].err == ZOK && stat.version == 1 && strcmp(path, ROOT "/m") == 0,
       "multi returns what its parts return");
    zoo_check_op_init(&ops[2], ROOT "/m", 5);
    is_code(zoo_multi(handle, 4, ops, results), ZBADVERSION, "multi that fails at its third part");
    ok(results[0].err == ZOK && results[2].err == ZBADVERSION &&
           results[3].err == ZRUNTIMEINCONSISTENCY,
       "the results name the part that failed");
    is_code(zoo_exists(handle, ROOT "/m", 0, NULL), ZNONODE, "a failed multi leaves nothing");
}

static void on_auth(int code, const void *context)
{
    struct inbox *inbox = (struct inbox *)context;
    pthread_mutex_lock(&inbox->lock);
    inbox->last_code = code;
    inbox->completions++;
    pthread_cond_broadcast(&inbox->changed);
    pthread_mutex_unlock(&inbox->lock);
}

static void test_acl(const char *address, zhandle_t *other)
{
    struct inbox inbox;
    char data[8];
    int length = sizeof data;
    zhandle_t *handle = connect_client(address, &inbox, NULL);
    ok(is_connected(&inbox), "a client for the ACL tests connects");
    zoo_add_auth(handle, "digest", "user:password", 13, on_auth, &inbox);
    ok(wait_for(&inbox, &inbox.completions, 1, false) && inbox.last_code == ZOK, "add_auth");
    is_code(zoo_create(handle, ROOT "/private", "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZOK,
            "create for the creator only");
    is_code(zoo_get(other, ROOT "/private", 0, data, &length, NULL), ZNOAUTH,
            "another client cannot read it");
    is_code(zoo_set(other, ROOT "/private", "y", 1, -1), ZNOAUTH, "nor write it");
    struct ACL_vector acl = {0, NULL};
    struct Stat stat;
    is_code(zoo_get_acl(handle, ROOT "/private", &acl, &stat), ZOK, "get_acl");
    ok(acl.count == 1 && strcmp(acl.data[0].id.scheme, "digest") == 0 &&
           strncmp(acl.data[0].id.id, "user:", 5) == 0,
       "the ACL names the digest of the creator");
    deallocate_ACL_vector(&acl);
    is_code(zoo_set_acl(handle, ROOT "/private", 0, &ZOO_READ_ACL_UNSAFE), ZOK, "set_acl");
    length = sizeof data;
    is_code(zoo_get(other, ROOT "/private", 0, data, &length, NULL), ZOK,
            "another client reads it now");
    is_code(zookeeper_close(handle), ZOK, "close");
}

/* A child process opens a session, makes an ephemeral node and dies without closing. */
static bool orphan_session(const char *address, clientid_t *session)
{
    int channel[2];
    if (pipe(channel) != 0) {
        return false;
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct inbox inbox;
        zhandle_t *handle = connect_client(address, &inbox, NULL);
        bool good =
            is_connected(&inbox) && zoo_create(handle, ROOT "/ephemeral", "", 0,
                                               &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0) == ZOK;
        good = good && write(channel[1], zoo_client_id(handle), sizeof *session) > 0;
        _exit(good ? 0 : 1);
    }
    close(channel[1]);
    bool good = read(channel[0], session, sizeof *session) == (ssize_t)sizeof *session;
    close(channel[0]);
    int status = 1;
    waitpid(child, &status, 0);
    return good && status == 0;
}

static void test_session(const char *address, zhandle_t *other)
{
    struct inbox inbox;
    clientid_t session;
    struct Stat stat;
    ok(orphan_session(address, &session), "a process dies without closing its session");
    is_code(zoo_exists(other, ROOT "/ephemeral", 0, &stat), ZOK, "its ephemeral node stays");
    ok(stat.ephemeralOwner == session.client_id, "and belongs to that session");
    zhandle_t *handle = connect_client(address, &inbox, &session);
    ok(is_connected(&inbox), "another process resumes the session");
    ok(zoo_client_id(handle)->client_id == session.client_id, "with the same id");
    is_code(zoo_delete(handle, ROOT, -1), ZNOTEMPTY, "and works with it");
    is_code(zookeeper_close(handle), ZOK, "close of the resumed session");
    is_code(zoo_exists(other, ROOT "/ephemeral", 0, NULL), ZNONODE, "its ephemeral node is gone");
    handle = connect_client(address, &inbox, &session);
    ok(wait_for(&inbox, &inbox.session_state, ZOO_EXPIRED_SESSION_STATE, true),
       "a closed session cannot be resumed");
    zookeeper_close(handle);
}

struct pipelined {
    struct inbox *inbox;
    int number;
};

static void on_set(int code, const struct Stat *stat, const void *context)
{
    const struct pipelined *request = context;
    struct inbox *inbox = request->inbox;
    pthread_mutex_lock(&inbox->lock);
    if (code != ZOK || stat == NULL || stat->version != request->number + 1 ||
        inbox->completions != request->number) {
        inbox->out_of_order++;
    }
    inbox->completions++;
    pthread_cond_broadcast(&inbox->changed);
    pthread_mutex_unlock(&inbox->lock);
}

static void test_pipelining(zhandle_t *handle)
{
    enum { REQUESTS = 2000 };
    static struct pipelined requests[REQUESTS];
    struct inbox inbox;
    int refused = 0;
    inbox_init(&inbox);
    is_code(zoo_create(handle, ROOT "/p", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK,
            "a node to write to");
    for (int number = 0; number < REQUESTS; number++) {
        requests[number] = (struct pipelined){&inbox, number};
        refused +=
            zoo_aset(handle, ROOT "/p", "0123456789", 10, number, on_set, &requests[number]) != ZOK;
    }
    ok(refused == 0, "2000 writes without waiting");
    ok(wait_for(&inbox, &inbox.completions, REQUESTS, false), "all of them complete");
    ok(inbox.out_of_order == 0, "in order, each with its own version");
}

int main(int argc, char **argv)
{
    struct inbox inbox;
    struct inbox other_inbox;
    if (argc != 2) {
        fprintf(stderr, "usage: test_c_client HOST:PORT\n");
        return 2;
    }
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    zhandle_t *handle = connect_client(argv[1], &inbox, NULL);
    zhandle_t *other = connect_client(argv[1], &other_inbox, NULL);
    ok(is_connected(&inbox) && is_connected(&other_inbox), "two clients connect");
    ok(zoo_recv_timeout(handle) == 10000, "the timeout is as asked");
    test_nodes(handle);
    test_watches(handle, other);
    test_multi(handle);
    test_acl(argv[1], other);
    test_session(argv[1], other);
    test_pipelining(handle);
    is_code(zookeeper_close(handle), ZOK, "close of the first client");
    is_code(zookeeper_close(other), ZOK, "close of the second client");
    printf("1..%d\n", test_count);
    return test_failures == 0 ? 0 : 1;
}
