/* SPDX-License-Identifier: MIT */
/* The network of up to three servers on a real loop and real sockets, with a recorder in zab's
 * place, for tests/unit/server. Header-only: each test program is one file. */
#ifndef TESTS_PEERS_FIXTURE_H
#define TESTS_PEERS_FIXTURE_H

#include "base/mem.h"
#include "server/peers_int.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define NODES 3
#define LINKS 8

struct node {
    struct world *world;
    struct peers *peers;
    struct zab_update update;
    enum zab_role role;
    int ups[256], downs[256];
    struct mk_buffer messages; /* "from:text;" */
    struct zab_link *links[LINKS];
    int accepted, connected, refused, down, drained;
    uint32_t last_link;
    size_t consume_max; /* of each ZAB_LINK_BYTES */
    struct mk_buffer bytes;
    const uint8_t *fed; /* where the bytes of the last ZAB_LINK_BYTES began */
    bool closed;
};

struct world {
    uv_loop_t loop;
    uv_timer_t limit;
    struct peer_address members[NODES];
    struct peers_options options;
    struct node nodes[NODES];
    struct mk_buffer log;
    struct mk_trace trace;
    bool expired;
};

/* --- a recorder in zab's place ---------------------------------------------------------------- */

static inline void link_open(struct node *node, uint32_t link)
{
    assert_true(link < LINKS);
    assert_null(node->links[link]);
    node->links[link] = mk_calloc(1, sizeof *node->links[link]);
    node->last_link = link;
}

static inline size_t on_event(void *context, struct zab_event *event)
{
    struct node *node = context;
    size_t size = mk_bytes_size(event->bytes);
    switch (event->type) {
    case ZAB_PEER_UP:
        node->ups[event->server]++;
        return 0;
    case ZAB_PEER_DOWN:
        node->downs[event->server]++;
        return 0;
    case ZAB_PEER_MESSAGE:
        mk_buffer_print(&node->messages, "%d:%.*s;", (int)event->server, (int)MK_MIN(size, 20u),
                        (const char *)event->bytes.data);
        return 0;
    case ZAB_LINK_ACCEPTED:
        assert_true(size > 0);
        node->accepted++;
        link_open(node, event->link);
        return 0;
    case ZAB_LINK_CONNECTED:
        node->connected++;
        link_open(node, event->link);
        return 0;
    case ZAB_LINK_REFUSED:
        node->refused++;
        return 0;
    case ZAB_LINK_BYTES:
        assert_false(node->links[event->link]->paused);
        assert_false(node->links[event->link]->closing);
        node->fed = event->bytes.data;
        size = MK_MIN(size, node->consume_max);
        mk_buffer_append(&node->bytes, event->bytes.data, size);
        return size;
    case ZAB_LINK_DOWN:
        node->down++;
        mk_buffer_fini(&node->links[event->link]->output);
        mk_free(node->links[event->link]);
        node->links[event->link] = NULL;
        return 0;
    case ZAB_LINK_DRAINED:
        node->drained++;
        return 0;
    default:
        fail_msg("event %d is not the network's", event->type);
        return 0;
    }
}

static inline struct zab_link *on_link(void *context, uint32_t link)
{
    struct node *node = context;
    return link < LINKS ? node->links[link] : NULL;
}

static inline void on_closed(void *context)
{
    struct node *node = context;
    node->closed = true;
}

static inline void perform(struct node *node)
{
    peers_perform(node->peers, &node->update, node->role);
    node->update.touched_count = node->update.message_count = 0;
    node->update.connect = false;
    mk_buffer_clear(&node->update.message_bytes);
}

static inline void become(struct node *node, enum zab_role role)
{
    node->role = role;
    perform(node);
}

static inline void say(struct node *node, int64_t server, const void *text, size_t length)
{
    struct zab_message message = {server, 0, length};
    mk_buffer_append(&node->update.message_bytes, text, length);
    node->update.messages = &message;
    node->update.message_count = 1;
    perform(node);
    node->update.messages = NULL;
}

static inline void touch(struct node *node, uint32_t link)
{
    node->update.touched = &link;
    node->update.touched_count = 1;
    perform(node);
    node->update.touched = NULL;
}

static inline void dial(struct node *node, int64_t server)
{
    node->update.connect = true;
    node->update.connect_to = server;
    perform(node);
}

/* --- the world -------------------------------------------------------------------------------- */

static inline void on_line(void *context, enum mk_level level, const char *component,
                           const char *text)
{
    struct world *world = context;
    (void)level;
    (void)component;
    mk_buffer_print(&world->log, "%s\n", text);
}

static inline bool logged(struct world *world, const char *text)
{
    mk_buffer_append(&world->log, "", 1);
    world->log.length--;
    return strstr((const char *)world->log.data, text) != NULL;
}

static inline void on_limit(uv_timer_t *timer)
{
    ((struct world *)timer->data)->expired = true;
}

/* Runs the loop until the condition holds, or fails. */
#define RUN_UNTIL(world, condition)                                                                \
    do {                                                                                           \
        (world)->expired = false;                                                                  \
        uv_timer_start(&(world)->limit, on_limit, 10000, 0);                                       \
        while (!(condition)) {                                                                     \
            uv_run(&(world)->loop, UV_RUN_ONCE);                                                   \
            if ((world)->expired)                                                                  \
                fail_msg("not in time: %s\n%.*s", #condition, (int)(world)->log.length,            \
                         (const char *)(world)->log.data);                                         \
        }                                                                                          \
        uv_timer_stop(&(world)->limit);                                                            \
    } while (0)

static inline void run_for(struct world *world, uint64_t wait_ms)
{
    world->expired = false;
    uv_timer_start(&world->limit, on_limit, wait_ms, 0);
    while (!world->expired)
        uv_run(&world->loop, UV_RUN_ONCE);
}

static inline int listen_any(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    int yes = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(descriptor, 16), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &bytes), 0);
    *port = ntohs(address.sin_port);
    return descriptor;
}

static inline uint16_t free_port(void)
{
    uint16_t port;
    close(listen_any(&port));
    return port;
}

static inline int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

static inline int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    uv_loop_init(&world->loop);
    uv_timer_init(&world->loop, &world->limit);
    world->limit.data = world;
    world->trace = (struct mk_trace){MK_LEVEL_DEBUG, on_line, world};
    for (int i = 0; i < NODES; i++)
        world->members[i] = (struct peer_address){.id = i + 1,
                                                  .host = "127.0.0.1",
                                                  .quorum_port = free_port(),
                                                  .election_port = free_port()};
    peers_options_init(&world->options);
    world->options.loop = &world->loop;
    world->options.members = world->members;
    world->options.count = NODES;
    world->options.trace = &world->trace;
    *state = world;
    return 0;
}

static inline int node_start(struct world *world, int index, char *reason, size_t reason_size)
{
    struct node *node = &world->nodes[index];
    node->world = world;
    node->closed = false;
    node->consume_max = SIZE_MAX;
    world->options.id = index + 1;
    struct peers_callbacks callbacks = {node, on_event, on_link, on_closed};
    return peers_start(&world->options, &callbacks, &node->peers, reason, reason_size);
}

static inline struct node *started(struct world *world, int index)
{
    char reason[512];
    if (node_start(world, index, reason, sizeof reason) != 0)
        fail_msg("%s", reason);
    return &world->nodes[index];
}

static inline void node_stop(struct world *world, struct node *node)
{
    if (!node->peers)
        return;
    peers_stop(node->peers);
    RUN_UNTIL(world, node->closed);
    node->peers = NULL;
    for (int i = 0; i < LINKS; i++) {
        if (node->links[i])
            mk_buffer_fini(&node->links[i]->output);
        mk_free(node->links[i]);
        node->links[i] = NULL;
    }
    mk_buffer_fini(&node->messages);
    mk_buffer_fini(&node->bytes);
    mk_buffer_fini(&node->update.message_bytes);
    memset(node->ups, 0, sizeof node->ups);
    memset(node->downs, 0, sizeof node->downs);
}

static inline int teardown(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < NODES; i++)
        node_stop(world, &world->nodes[i]);
    uv_close((uv_handle_t *)&world->limit, NULL);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0); /* no handle is left open */
    mk_buffer_fini(&world->log);
    free(world);
    return 0;
}

static inline bool is_up(const struct node *node, int id)
{
    return node->ups[id] == node->downs[id] + 1;
}

/* Sends bytes to a port, runs until it is closed there. */
static inline void expect_refusal(struct world *world, uint16_t port, const void *data, size_t size,
                                  const char *reason)
{
    uint8_t byte;
    mk_buffer_clear(&world->log);
    int descriptor = connect_to(port);
    assert_int_equal(send(descriptor, data, size, 0), size);
    RUN_UNTIL(world, recv(descriptor, &byte, 1, MSG_DONTWAIT) == 0 ||
                         (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR));
    if (!logged(world, reason))
        fail_msg("no line says '%s':\n%.*s", reason, (int)world->log.length,
                 (const char *)world->log.data);
    close(descriptor);
}

#endif
