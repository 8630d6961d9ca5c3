/* SPDX-License-Identifier: MIT */
/* The network side of a server, in memory-only mode: requests through a plain socket, frames in
 * pieces and in bulk, slow readers, limits, descriptors, and the end of connections. */
#include "base/quiet.h"
#include "tests/lib/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include <cmocka.h>

struct world {
    struct server_address address;
    struct server_options options;
    struct fixture fixture;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    fixture_options_init(&world->options, &world->address);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void start(struct world *world)
{
    if (!fixture_start(&world->fixture, &world->options))
        fail_msg("not started: %s", world->fixture.error);
}

static void test_requests(void **state)
{
    struct world *world = *state;
    start(world);
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    assert_true(send_create(&client, "/a", "hello", 5, 0));
    assert_int_equal(reply_error(&client), 0);
    assert_true(send_create(&client, "/a", "hello", 5, 0));
    assert_int_equal(reply_error(&client), MK_ERR_NODE_EXISTS);
    assert_true(send_get(&client, "/a"));
    struct mk_reply_header header;
    struct mk_reader body;
    struct mk_get_data_response response;
    assert_true(reply_receive(&client, &header, &body));
    mk_get_data_response_read(&body, &response);
    assert_int_equal(body.error, 0);
    assert_true(mk_bytes_equal_string(response.data, "hello"));
    assert_true(header.zxid >= response.stat.czxid);
    client_close(&client);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

/* The reply to closeSession is read whole before the end, though more was sent behind it. */
static void test_close_session(void **state)
{
    struct world *world = *state;
    start(world);
    for (int i = 0; i < 50; i++) {
        struct client client = {0};
        assert_true(client_connect(&client, world->fixture.port));
        assert_true(send_close_session(&client));
        int32_t xid = client.xid;
        send_get(&client, "/"); /* has no reader any more */
        client.xid = xid;
        assert_int_equal(reply_error(&client), 0);
        assert_true(socket_is_ended(client.socket));
        client_close(&client);
    }
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

static void test_frame_in_pieces(void **state)
{
    struct world *world = *state;
    start(world);
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    struct mk_buffer frame = MK_BUFFER_EMPTY;
    struct mk_get_data_request request = {.path = MK_BYTES("/zookeeper")};
    request_begin(&client, &frame, MK_OP_GET_DATA);
    mk_get_data_request_write(&frame, &request);
    mk_store_u32(frame.data, (uint32_t)(frame.length - 4));
    for (size_t i = 0; i < frame.length; i++) {
        assert_true(socket_send(client.socket, frame.data + i, 1));
        usleep(1000);
    }
    assert_int_equal(reply_error(&client), 0);
    mk_buffer_fini(&frame);
    client_close(&client);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

/* Frames larger than the shared read buffer, and small ones right behind them. */
static void test_large_frames(void **state)
{
    struct world *world = *state;
    start(world);
    struct client client = {0};
    size_t size = 900000;
    uint8_t *data = malloc(size);
    memset(data, 'x', size);
    assert_true(client_connect(&client, world->fixture.port));
    char path[32];
    for (int i = 0; i < 8; i++) {
        snprintf(path, sizeof path, "/large%d", i);
        assert_true(send_create(&client, path, data, size, 0));
        assert_true(send_get(&client, "/zookeeper"));
    }
    int32_t expected = 0;
    for (int i = 0; i < 16; i++) {
        struct mk_reply_header header;
        struct mk_reader body;
        assert_true(reply_receive(&client, &header, &body));
        assert_int_equal(header.err, 0);
        assert_int_equal(header.xid, ++expected);
    }
    assert_true(send_get(&client, "/large7"));
    assert_int_equal(reply_error(&client), 0);
    assert_true(client.reply.length > size);
    free(data);
    client_close(&client);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

static void test_bad_frame_ends_the_connection(void **state)
{
    struct world *world = *state;
    start(world);
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    assert_true(socket_send(client.socket, "\x7f\xff\xff\xff garbage", 12));
    assert_true(socket_is_ended(client.socket));
    client_close(&client);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

/* Thousands of pipelined requests, far more than may be in flight, all answered in order. */
static void test_pipeline_beyond_the_limits(void **state)
{
    struct world *world = *state;
    world->options.replica.requests_in_flight_max = 16;
    world->options.replica.output_pause_bytes = 4096;
    start(world);
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    int count = 20000;
    pid_t sender = fork();
    if (sender == 0) {
        for (int i = 0; i < count; i++) {
            char path[32];
            snprintf(path, sizeof path, "/n%d", i / 2);
            if (!(i % 2 ? send_get(&client, path) : send_create(&client, path, "d", 1, 0)))
                _exit(1);
        }
        _exit(0);
    }
    for (int32_t i = 1; i <= count; i++) {
        struct mk_reply_header header;
        struct mk_reader body;
        assert_true(reply_receive(&client, &header, &body));
        assert_int_equal(header.xid, i);
        assert_int_equal(header.err, 0);
    }
    int status;
    waitpid(sender, &status, 0);
    assert_int_equal(status, 0);
    client_close(&client);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

static size_t resident_kib(pid_t pid)
{
    char path[64], line[256];
    size_t kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "VmRSS: %zu", &kib) == 1)
            break;
    }
    if (file)
        fclose(file);
    return kib;
}

/* A client asks for far more than it reads: others are served meanwhile, memory stays bounded. */
static void test_slow_reader(void **state)
{
    struct world *world = *state;
    start(world);
    struct client slow = {0}, other = {0};
    assert_true(client_connect(&slow, world->fixture.port));
    assert_true(client_connect(&other, world->fixture.port));
    size_t size = 500000;
    uint8_t *data = calloc(1, size);
    assert_true(send_create(&slow, "/big", data, size, 0));
    assert_int_equal(reply_error(&slow), 0);
    free(data);
    size_t before = resident_kib(world->fixture.pid);
    int flags = fcntl(slow.socket, F_GETFL);
    fcntl(slow.socket, F_SETFL, flags | O_NONBLOCK);
    for (int i = 0; i < 20000 && send_get(&slow, "/big"); i++)
        ; /* 10 GB of replies are asked for, or the way is jammed */
    for (int i = 0; i < 500; i++) {
        assert_true(send_get(&other, "/zookeeper"));
        assert_int_equal(reply_error(&other), 0);
    }
    size_t grown = resident_kib(world->fixture.pid) - before;
    if (grown > 64 * 1024)
        fail_msg("a slow reader cost %zu KiB", grown);
    fcntl(slow.socket, F_SETFL, flags);
    for (int32_t xid = 2; xid < 40; xid++) { /* it may go on reading where it was */
        struct mk_reply_header header;
        struct mk_reader body;
        assert_true(reply_receive(&slow, &header, &body));
        assert_int_equal(header.xid, xid);
    }
    client_close(&slow);
    client_close(&other);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

static void test_limit_per_address(void **state)
{
    struct world *world = *state;
    world->options.connections_per_address_max = 3;
    start(world);
    struct client clients[4] = {0};
    for (int i = 0; i < 3; i++)
        assert_true(client_connect(&clients[i], world->fixture.port));
    assert_false(client_connect(&clients[3], world->fixture.port));
    client_close(&clients[3]);
    client_close(&clients[0]);
    usleep(100000);
    clients[0] = (struct client){0};
    assert_true(client_connect(&clients[0], world->fixture.port));
    for (int i = 0; i < 3; i++)
        client_close(&clients[i]);
    usleep(100000);
    char answer[64];
    assert_true(word_ask(world->fixture.port, "mntr", answer, sizeof answer) > 0);
    assert_int_equal(strtol(answer, NULL, 10), 1);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

static void test_limit_in_total(void **state)
{
    struct world *world = *state;
    world->options.connections_max = 2;
    world->options.connections_per_address_max = 0;
    start(world);
    int sockets[3];
    for (int i = 0; i < 3; i++)
        sockets[i] = socket_open(world->fixture.port);
    assert_true(socket_is_ended(sockets[2]));
    for (int i = 0; i < 3; i++)
        close(sockets[i]);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

static void few_descriptors(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* No descriptors for clients are left: newcomers are turned away, those inside are served, and
 * the log and the snapshots still get theirs. */
static void test_descriptors_run_out(void **state)
{
    struct world *world = *state;
    char directory[64];
    directory_make(directory);
    world->options.memory_only = false;
    world->options.data_dir = directory;
    world->options.connections_per_address_max = 0;
    if (!fixture_start_with(&world->fixture, &world->options, few_descriptors))
        fail_msg("not started: %s", world->fixture.error);
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    int sockets[100];
    for (int i = 0; i < 100; i++)
        sockets[i] = socket_open(world->fixture.port);
    assert_true(sockets[99] < 0 || socket_is_ended(sockets[99]));
    for (int i = 0; i < 3; i++) {
        char path[16];
        snprintf(path, sizeof path, "/n%d", i);
        assert_true(send_create(&client, path, "x", 1, 0));
        assert_int_equal(reply_error(&client), 0);
        fixture_order(&world->fixture, 's'); /* a snapshot, and the log rolls */
        usleep(100000);
    }
    for (int i = 0; i < 100; i++)
        close(sockets[i]);
    usleep(100000);
    char answer[64];
    assert_true(word_ask(world->fixture.port, "mntr", answer, sizeof answer) > 0);
    long long rejected, snapshot_zxid;
    assert_int_equal(sscanf(answer, "%lld %lld", &rejected, &snapshot_zxid), 2);
    assert_true(rejected >= 50);
    assert_true(snapshot_zxid >= 4);
    client_close(&client);
    assert_int_equal(fixture_stop(&world->fixture), 0);
    directory_remove(directory);
}

/* The whole answer arrives, though the client shut down its side, and it ends without a reset. */
static void test_words(void **state)
{
    struct world *world = *state;
    start(world);
    char answer[64];
    for (int i = 0; i < 20; i++) {
        assert_int_equal(word_ask(world->fixture.port, "ruok", answer, sizeof answer), 4);
        assert_string_equal(answer, "imok");
    }
    assert_int_equal(word_ask(world->fixture.port, "dump", answer, sizeof answer), 8 << 20);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

static void test_handshake_timeout(void **state)
{
    struct world *world = *state;
    world->options.replica.handshake_timeout_ms = 200;
    start(world);
    int silent = socket_open(world->fixture.port);
    assert_true(socket_is_ended(silent));
    close(silent);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

static void test_several_addresses(void **state)
{
    struct world *world = *state;
    struct server_address addresses[2] = {{.host = "127.0.0.1"}, {.host = "::1"}};
    world->options.addresses = addresses;
    world->options.address_count = 2;
    start(world);
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    client_close(&client);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

static void test_port_in_use(void **state)
{
    struct world *world = *state;
    start(world);
    struct fixture second;
    world->address.port = (uint16_t)world->fixture.port;
    assert_false(fixture_start(&second, &world->options));
    assert_non_null(strstr(second.error, "cannot listen on 127.0.0.1 port"));
    assert_non_null(strstr(second.error, "another process listens there"));
    assert_int_equal(fixture_wait(&second), 3);

    /* told before the data is looked at, which may take long */
    char directory[64], path[80];
    directory_make(directory);
    world->options.memory_only = false;
    world->options.data_dir = directory;
    assert_false(fixture_start(&second, &world->options));
    assert_non_null(strstr(second.error, "another process listens there"));
    assert_int_equal(fixture_wait(&second), 3);
    snprintf(path, sizeof path, "%s/version-2", directory);
    assert_int_not_equal(access(path, F_OK), 0);
    directory_remove(directory);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

/* --- what libuv cannot accept
 * ----------------------------------------------------------------------- */

#define ACCEPT_FAILURES 300

static int accept_failures_left;

/* libuv calls this one instead of libc's. */
int failing_accept(int listener, struct sockaddr *address, socklen_t *length,
                   int flags) __asm__("accept4");
int failing_accept(int listener, struct sockaddr *address, socklen_t *length, int flags)
{
    if (accept_failures_left > 0) {
        accept_failures_left--;
        errno = ENOBUFS;
        return -1;
    }
    return (int)syscall(SYS_accept4, listener, address, length, flags);
}

static FILE *lines;

static void fail_to_accept(void)
{
    accept_failures_left = ACCEPT_FAILURES;
    setenv("SERVER_TEST_TRACE", "1", 1);
    dup2(fileno(lines), STDERR_FILENO);
}

static void test_accept_failures_are_told_a_few_times(void **state)
{
    struct world *world = *state;
    lines = tmpfile();
    assert_non_null(lines);
    assert_true(fixture_start_with(&world->fixture, &world->options, fail_to_accept));
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    client_close(&client);
    assert_int_equal(fixture_stop(&world->fixture), 0);
    rewind(lines);
    char line[1024];
    int failures = 0;
    while (fgets(line, sizeof line, lines))
        failures += strstr(line, "cannot be accepted") != NULL;
    assert_int_equal(failures, MK_QUIET_LINES);
    fclose(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_session, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frame_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_frame_ends_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipeline_beyond_the_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit_per_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit_in_total, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descriptors_run_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_accept_failures_are_told_a_few_times, setup, teardown),
        cmocka_unit_test_setup_teardown(test_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_handshake_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_several_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_port_in_use, setup, teardown),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
