/* SPDX-License-Identifier: MIT */
/* Elections on real sockets: who dials whom, which message is sent when several wait, and who is
 * refused at the doors. */
#include "tests/lib/peers_fixture.h"

#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>

/* --- elections -------------------------------------------------------------------------------- */

static bool all_up(struct world *world)
{
    for (int i = 0; i < NODES; i++)
        for (int id = 1; id <= NODES; id++)
            if (id != i + 1 && !is_up(&world->nodes[i], id))
                return false;
    return true;
}

static void test_every_pair_is_connected_once(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < NODES; i++)
        started(world, i);
    RUN_UNTIL(world, all_up(world));
    run_for(world, 50);
    assert_true(all_up(world));
    say(&world->nodes[0], 3, "a", 1);
    say(&world->nodes[2], 1, "b", 1);
    say(&world->nodes[2], 1, "c", 1);
    RUN_UNTIL(world,
              mk_bytes_equal_string(mk_buffer_bytes(&world->nodes[0].messages), "3:b;3:c;") &&
                  mk_bytes_equal_string(mk_buffer_bytes(&world->nodes[2].messages), "1:a;"));

    /* One of them starts again, first the largest and then the smallest id. */
    for (int i = NODES - 1; i >= 0; i -= 2) {
        node_stop(world, &world->nodes[i]);
        RUN_UNTIL(world, !is_up(&world->nodes[1], i + 1));
        started(world, i);
        RUN_UNTIL(world, all_up(world));
    }
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int descriptor = socket(AF_INET6, SOCK_STREAM, 0);
    bool has =
        descriptor >= 0 && bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0;
    close(descriptor);
    return has;
}

static void test_names_and_address_families(void **state)
{
    struct world *world = *state;
    world->members[0].host = "localhost";
    world->members[1].host = has_ipv6() ? "::1" : "127.0.0.1";
    for (int i = 0; i < NODES; i++) {
        world->options.listen_on_all = i == 2;
        started(world, i);
    }
    RUN_UNTIL(world, all_up(world));
    /* A name that cannot be one (so that no resolver has to be waited for), of a larger and of a
     * smaller id: told once, tried for ever. */
    node_stop(world, &world->nodes[0]);
    node_stop(world, &world->nodes[1]);
    node_stop(world, &world->nodes[2]);
    world->members[0].host = world->members[2].host =
        "a-label-of-a-name-that-is-longer-than-the-sixty-three-bytes-that-one-may-have.invalid";
    world->options.listen_on_all = false;
    mk_buffer_clear(&world->log);
    struct node *node = started(world, 1);
    RUN_UNTIL(world, logged(world, "server 1 cannot be reached") &&
                         logged(world, "server 3 cannot be reached"));
    run_for(world, 500);
    assert_int_equal(node->ups[1] + node->ups[3], 0);
    mk_buffer_clear(&world->log);
    run_for(world, 500);
    assert_int_equal(world->log.length, 0);
    assert_true(node->peers->timer_at_ms != INT64_MAX || node->peers->dials);
}

/* Takes the place of the C library's for the whole program, libuv's threads included. */
static atomic_bool resolver_hangs;

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    memcpy(&real, &symbol, sizeof real);
    if (resolver_hangs)
        usleep(800000);
    return real(host, service, hints, found);
}

static void test_a_hanging_resolver_does_not_delay_the_end(void **state)
{
    struct world *world = *state;
    struct node *node = started(world, 1);
    resolver_hangs = true;
    while (!node->peers->dials) /* UV_RUN_ONCE would wait for the resolver */
        uv_run(&world->loop, UV_RUN_NOWAIT);
    usleep(50000); /* it cannot be cancelled any more */
    uint64_t began_ns = uv_hrtime();
    peers_stop(node->peers);
    while (!node->closed && uv_hrtime() - began_ns < UINT64_C(5000000000))
        uv_run(&world->loop, UV_RUN_NOWAIT);
    resolver_hangs = false;
    node->peers = NULL;
    assert_true(uv_hrtime() - began_ns < UINT64_C(500000000));
}

static void test_an_unsent_message_is_replaced(void **state)
{
    struct world *world = *state;
    uint16_t port;
    int listener = listen_any(&port);
    world->members[0].election_port = port; /* we are server 1 */
    struct node *node = started(world, 1);
    RUN_UNTIL(world, is_up(node, 1));
    int descriptor = accept(listener, NULL, NULL);
    enum { SIZE = 200000, COUNT = 60 };
    uint8_t *message = calloc(1, SIZE + 4);
    for (uint32_t i = 0; i < COUNT; i++) {
        mk_store_u32(message, i);
        say(node, 1, message, SIZE);
        uv_run(&world->loop, UV_RUN_NOWAIT);
    }
    /* Now it is read: whole messages, the first ones and the last one, not all. */
    struct mk_buffer received = MK_BUFFER_EMPTY;
    uint32_t seen = 0, last = 0;
    struct election_hello hello;
    const char *reason;
    bool greeted = false;
    while (last != COUNT - 1) {
        uv_run(&world->loop, UV_RUN_NOWAIT);
        struct pollfd ready = {.fd = descriptor, .events = POLLIN};
        if (poll(&ready, 1, 10) != 1)
            continue;
        ssize_t size = recv(descriptor, mk_buffer_reserve(&received, SIZE), SIZE, 0);
        assert_true(size > 0);
        received.length += (size_t)size;
        if (!greeted) {
            int length = election_hello_read(received.data, received.length, &hello, &reason);
            assert_true(length >= 0);
            greeted = length > 0;
            mk_buffer_consume(&received, (size_t)length);
        }
        struct mk_bytes text;
        int taken;
        while (greeted &&
               (taken = election_message_read(received.data, received.length, &text)) > 0) {
            assert_int_equal(text.length, SIZE);
            assert_true(seen == 0 || mk_load_u32(text.data) > last);
            last = mk_load_u32(text.data);
            seen++;
            mk_buffer_consume(&received, (size_t)taken);
        }
    }
    assert_int_equal(hello.id, 2);
    assert_int_equal(received.length, 0);
    assert_true(seen >= 2);
    assert_true(seen < COUNT);
    /* A new connection is told nothing of the old one's. */
    say(node, 1, message, SIZE);
    close(descriptor);
    RUN_UNTIL(world, node->downs[1] == 1 && is_up(node, 1));
    descriptor = accept(listener, NULL, NULL);
    run_for(world, 100);
    ssize_t size = recv(descriptor, received.data, SIZE, 0);
    assert_int_equal(election_hello_read(received.data, (size_t)size, &hello, &reason), size);
    close(descriptor);
    close(listener);
    free(message);
    mk_buffer_fini(&received);
}

static void send_hello(int descriptor, int64_t id, const char *host, uint16_t port)
{
    struct mk_buffer hello = MK_BUFFER_EMPTY;
    election_hello_write(&hello, id, host, port);
    assert_int_equal(send(descriptor, hello.data, hello.length, 0), hello.length);
    mk_buffer_fini(&hello);
}

static void test_a_stranger_that_knocks_is_dialled(void **state)
{
    struct world *world = *state;
    uint16_t port;
    int listener = listen_any(&port);
    world->options.count = 2; /* servers 1 and 2 */
    struct node *node = started(world, 1);
    world->options.count = NODES;
    int knock = connect_to(world->members[1].election_port);
    send_hello(knock, 0, "127.0.0.1", port); /* smaller than 2, in no list */
    RUN_UNTIL(world, is_up(node, 0));
    int descriptor = accept(listener, NULL, NULL);
    say(node, 0, "x", 1);
    uint8_t buffer[100];
    RUN_UNTIL(world, recv(descriptor, buffer, sizeof buffer, MSG_DONTWAIT | MSG_PEEK) > 20 + 9);
    close(knock);
    close(descriptor);
    close(listener);
    RUN_UNTIL(world, !is_up(node, 0));
    /* A larger id that is in no list is kept as it comes. */
    int larger = connect_to(world->members[1].election_port);
    send_hello(larger, 9, "127.0.0.1", 1);
    assert_int_equal(send(larger, "\0\0\0\1z", 5, 0), 5);
    RUN_UNTIL(world, is_up(node, 9) && node->messages.length > 0);
    assert_true(mk_bytes_equal_string(mk_buffer_bytes(&node->messages), "9:z;"));
    /* And a newer one takes its place. */
    int newer = connect_to(world->members[1].election_port);
    send_hello(newer, 9, "127.0.0.1", 2);
    RUN_UNTIL(world, node->ups[9] == 2 && node->downs[9] == 1);
    assert_true(logged(world, "are there two servers with the id 9?"));
    assert_int_equal(recv(larger, buffer, sizeof buffer, 0), 0);
    close(larger);
    close(newer);
}

static void test_refused_at_the_election_door(void **state)
{
    struct world *world = *state;
    started(world, 1);
    uint16_t port = world->members[1].election_port;
    struct mk_buffer hello = MK_BUFFER_EMPTY;
    election_hello_write(&hello, 2, "10.1.2.3", 3888);
    expect_refusal(world, port, hello.data, hello.length,
                   "it says that it is server 2, at 10.1.2.3:3888, and so is this one");
    mk_store_u64(hello.data + 8, 256);
    expect_refusal(world, port, hello.data, hello.length, "ids are 1 to 254");
    mk_store_u32(hello.data + 16, 2049);
    expect_refusal(world, port, hello.data, hello.length, "the length of its address");
    expect_refusal(world, port, "\x80PROXY TCP4", 11, "no version of the election protocol");
    mk_buffer_clear(&hello);
    election_hello_write(&hello, 3, "127.0.0.1", 1);
    mk_buffer_append(&hello, "\0\x08\0\1", 4); /* a message of 524,289 bytes */
    expect_refusal(world, port, hello.data, hello.length, "whose length is not in 1..524288");
    mk_buffer_fini(&hello);
}

static void test_strangers_are_few_and_leave(void **state)
{
    struct world *world = *state;
    world->options.strangers_max = 4;
    world->options.handshake_timeout_ms = 300;
    struct node *node = started(world, 1);
    int descriptors[24];
    for (int i = 0; i < 24; i++) {
        descriptors[i] = connect_to(world->members[1].election_port);
        uv_run(&world->loop, UV_RUN_NOWAIT);
    }
    RUN_UNTIL(world, node->peers->election_door.count == 4);
    RUN_UNTIL(world, node->peers->election_door.count == 0);
    uint8_t byte;
    for (int i = 0; i < 24; i++) {
        assert_int_equal(recv(descriptors[i], &byte, 1, 0), 0);
        close(descriptors[i]);
    }
    size_t lines = 0;
    for (size_t i = 0; i < world->log.length; i++)
        lines += world->log.data[i] == '\n';
    assert_true(lines <= MK_QUIET_LINES + 4);
}

static void test_an_address_in_use_is_told(void **state)
{
    struct world *world = *state;
    uint16_t port;
    char reason[512] = "";
    int listener = listen_any(&port);
    world->members[1].quorum_port = port;
    assert_int_not_equal(node_start(world, 1, reason, sizeof reason), 0);
    char expected[80];
    snprintf(expected, sizeof expected, "cannot listen for other servers on 127.0.0.1 port %u",
             port);
    assert_non_null(strstr(reason, expected));
    assert_non_null(strstr(reason, "address already in use"));
    assert_null(world->nodes[1].peers);
    RUN_UNTIL(world, world->nodes[1].closed);
    world->nodes[1].closed = false;
    world->options.id = 77;
    struct peers_callbacks callbacks = {&world->nodes[1], on_event, on_link, on_closed};
    assert_int_not_equal(
        peers_start(&world->options, &callbacks, &world->nodes[1].peers, reason, sizeof reason), 0);
    assert_non_null(strstr(reason, "server 77 is not in its own list"));
    RUN_UNTIL(world, world->nodes[1].closed);
    close(listener);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_pair_is_connected_once),
        TEST(names_and_address_families),
        TEST(a_hanging_resolver_does_not_delay_the_end),
        TEST(an_unsent_message_is_replaced),
        TEST(a_stranger_that_knocks_is_dialled),
        TEST(refused_at_the_election_door),
        TEST(strangers_are_few_and_leave),
        TEST(an_address_in_use_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
