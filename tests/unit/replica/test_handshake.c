/* SPDX-License-Identifier: MIT */
/* The first frame of a connection (client-protocol reference, sections 1.3, 1.4, 2 and traps 1-4
 * of 14): new, resumed and refused sessions, four-letter words, garbage, silence. */
#include "tests/lib/replica_fixture.c"

static const uint8_t zeros[16];

static void from_hex(struct mk_buffer *buffer, const char *hex)
{
    for (; *hex; hex++) {
        if (*hex == ' ')
            continue;
        char pair[3] = {hex[0], hex[1], 0};
        uint8_t byte = (uint8_t)strtol(pair, NULL, 16);
        mk_buffer_append(buffer, &byte, 1);
        hex++;
    }
}

static void assert_hex(const struct mk_buffer *buffer, const char *hex)
{
    struct mk_buffer expected = MK_BUFFER_EMPTY;
    from_hex(&expected, hex);
    assert_int_equal(buffer->length, expected.length);
    assert_memory_equal(buffer->data, expected.data, expected.length);
    mk_buffer_fini(&expected);
}

/* --- new sessions -------------------------------------------------------------------------------
 */

static void test_new_session_bytes(void **state)
{
    struct world *world = *state;
    world->options.server_id = 1;
    /* (ms << 24) >>> 8 is 0x0f2e850000 for these 40 bits of the clock. */
    world->wall_ms = INT64_C(0x0f2e85);
    world_start(world);
    struct mk_buffer frame = MK_BUFFER_EMPTY;
    from_hex(&frame, "0000002d 00000000 0000000000000000 00002710 0000000000000000 00000010 "
                     "00000000000000000000000000000000 00");
    peer_open(world, 0);
    peer_send(world, 0, frame.data, frame.length);
    assert_hex(&world->peers[0].received, "00000025 00000000 00002710 0100000f2e850000 00000010 "
                                          "51920c1c0a44102a17c0469363bc8ae2 00");
    mk_buffer_clear(&world->peers[0].received);
    /* The password of Appendix B's second vector belongs to the next id. */
    session_open(world, 1);
    assert_true(world->peers[1].session_id == 0x0100000f2e850001);
    struct mk_buffer password = MK_BUFFER_EMPTY;
    mk_buffer_append(&password, world->peers[1].password, 16);
    assert_hex(&password, "64b3061caa8fef6e0c03aebe37459faf");
    mk_buffer_fini(&password);
    mk_buffer_fini(&frame);
}

static void test_password_of_another_clock(void **state)
{
    struct world *world = *state;
    world->wall_ms = INT64_C(0x02a60b2);
    world_start(world);
    session_open(world, 0);
    assert_true(world->peers[0].session_id == 0x0100002a60b20000);
    struct mk_buffer password = MK_BUFFER_EMPTY;
    mk_buffer_append(&password, world->peers[0].password, 16);
    assert_hex(&password, "7c7ade9a59c0aa11baa79016cace6213");
    mk_buffer_fini(&password);
}

static void test_response_mirrors_read_only(void **state)
{
    struct world *world = *state;
    peer_open(world, 0);
    peer_send_connect(world, 0, &(struct connect){.timeout_ms = 10000, .read_only = -1});
    assert_true(peer_receive(world, 0));
    assert_int_equal(world->frame.length, 36);
    peer_open(world, 1);
    peer_send_connect(world, 1, &(struct connect){.timeout_ms = 10000, .read_only = 1});
    assert_true(peer_receive(world, 1));
    assert_int_equal(world->frame.length, 37);
    assert_int_equal(world->frame.data[36], 0); /* the server is not read-only */
}

static void test_timeouts_are_clamped(void **state)
{
    struct world *world = *state;
    static const int32_t cases[][2] = {{10000, 10000}, {0, 4000},         {-1, 4000},
                                       {3999, 4000},   {INT32_MIN, 4000}, {40001, 40000},
                                       {4001, 4001},   {INT32_MAX, 40000}};
    for (uint32_t i = 0; i < MK_ARRAY_LENGTH(cases); i++) {
        session_open_with(world, i, cases[i][0]);
        assert_int_equal(world->peers[i].timeout_ms, cases[i][1]);
    }
}

static void test_any_password_for_a_new_session(void **state)
{
    struct world *world = *state;
    const struct mk_bytes passwords[] = {MK_BYTES_NULL, MK_BYTES(""), MK_BYTES("short"),
                                         MK_BYTES("longer than sixteen bytes")};
    for (uint32_t i = 0; i < MK_ARRAY_LENGTH(passwords); i++) {
        peer_open(world, i);
        peer_send_connect(world, i,
                          &(struct connect){.timeout_ms = 10000, .password = passwords[i]});
        assert_true(peer_established(world, i));
        assert_true(world->peers[i].session_id != 0);
    }
}

/* createSession takes a zxid, and nobody is told before it is durable. */
static void test_session_waits_for_the_log(void **state)
{
    struct world *world = *state;
    world->hold = true;
    peer_open(world, 0);
    peer_send_connect(world, 0, &(struct connect){.timeout_ms = 10000});
    assert_int_equal(world_last_logged(world), 1);
    assert_silent(world, 0);
    world_durable(world, 1);
    assert_true(peer_established(world, 0));
    send_ping(world, 0);
    assert_int_equal(expect_reply(world, 0, MK_XID_PING, 0), 1);
}

static void test_pipelined_behind_connect(void **state)
{
    struct world *world = *state;
    world->hold = true;
    struct mk_buffer bytes = MK_BUFFER_EMPTY;
    connect_write(&bytes, &(struct connect){.timeout_ms = 10000});
    request_write(&bytes, MK_XID_PING, MK_OP_PING, MK_BYTES_NULL);
    request_write(&bytes, 7, MK_OP_WHO_AM_I, MK_BYTES_NULL);
    peer_open(world, 0);
    peer_send(world, 0, bytes.data, bytes.length);
    assert_true(replica_link(world->replica, 0)->paused);
    assert_silent(world, 0);
    world_durable_all(world);
    assert_true(peer_established(world, 0));
    expect_reply(world, 0, MK_XID_PING, 0);
    expect_reply(world, 0, 7, 0);
    assert_silent(world, 0);
    mk_buffer_fini(&bytes);
}

static void test_bytes_in_pieces_of_one(void **state)
{
    struct world *world = *state;
    struct mk_buffer bytes = MK_BUFFER_EMPTY;
    connect_write(&bytes, &(struct connect){.timeout_ms = 10000});
    request_write(&bytes, MK_XID_PING, MK_OP_PING, MK_BYTES_NULL);
    request_write(&bytes, 2, MK_OP_CLOSE_SESSION, MK_BYTES_NULL);
    peer_open(world, 0);
    peer_send_bytewise(world, 0, bytes.data, bytes.length);
    assert_true(peer_established(world, 0));
    expect_reply(world, 0, MK_XID_PING, 0);
    expect_reply(world, 0, 2, 0);
    assert_ended(world, 0);
    mk_buffer_fini(&bytes);
}

static void test_trailing_bytes_are_ignored(void **state)
{
    struct world *world = *state;
    struct mk_buffer bytes = MK_BUFFER_EMPTY;
    connect_write(&bytes, &(struct connect){.timeout_ms = 10000, .password = {zeros, 16}});
    mk_buffer_append(&bytes, "extra", 5);
    mk_store_u32(bytes.data, (uint32_t)bytes.length - 4);
    peer_open(world, 0);
    peer_send(world, 0, bytes.data, bytes.length);
    assert_true(peer_established(world, 0));
    mk_buffer_fini(&bytes);
}

/* The client goes while its createSession is in the log's hands: the session is made, has no
 * connection, and expires. */
static void test_client_leaves_early(void **state)
{
    struct world *world = *state;
    world->hold = true;
    peer_open(world, 0);
    peer_send_connect(world, 0, &(struct connect){.timeout_ms = 4000});
    peer_close(world, 0);
    peer_open(world, 0); /* the number is used again at once */
    world->hold = false;
    world_durable_all(world);
    assert_silent(world, 0);
    assert_int_equal(tree_session_count(replica_tree(world->replica)), 1);
    assert_int_equal(replica_stats(world->replica)->connection_count, 0);
    world_pass(world, 4000 + TICK_MS);
    assert_int_equal(tree_session_count(replica_tree(world->replica)), 0);
    assert_int_equal(replica_last_zxid(world->replica), 2);
}

/* --- resumed sessions
 * ------------------------------------------------------------------------------ */

static void assert_refused(struct world *world, uint32_t number, size_t frame_bytes)
{
    assert_true(peer_receive(world, number));
    assert_int_equal(world->frame.length, frame_bytes);
    uint8_t expected[37] = {0};
    expected[19] = 16;
    assert_memory_equal(world->frame.data, expected, frame_bytes);
    assert_ended(world, number);
}

static void test_resume(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    int64_t zxid = replica_last_zxid(world->replica);
    peer_close(world, 0);
    session_resume(world, 1, 0);
    assert_memory_equal(world->peers[1].password, world->peers[0].password, 16);
    assert_int_equal(replica_last_zxid(world->replica), zxid); /* no transaction */
    send_ping(world, 1);
    expect_reply(world, 1, MK_XID_PING, 0);
    assert_int_equal(replica_stats(world->replica)->connection_count, 1);
}

static void test_resume_with_another_timeout(void **state)
{
    struct world *world = *state;
    session_open_with(world, 0, 30000);
    peer_close(world, 0);
    world->peers[0].timeout_ms = 1; /* asked for, clamped to 4000 */
    session_resume(world, 1, 0);
    assert_int_equal(world->peers[1].timeout_ms, 4000);
    int32_t stored = 0;
    assert_true(
        tree_session_find(replica_tree(world->replica), world->peers[1].session_id, &stored));
    assert_int_equal(stored, 30000); /* as createSession said */
    world_pass(world, 4000 + TICK_MS);
    assert_true(world->peers[1].ended);
    assert_int_equal(tree_session_count(replica_tree(world->replica)), 0);
}

static void try_resume(struct world *world, uint32_t number, int64_t session_id,
                       struct mk_bytes password, int read_only)
{
    peer_open(world, number);
    peer_send_connect(world, number,
                      &(struct connect){.timeout_ms = 10000,
                                        .session_id = session_id,
                                        .password = password,
                                        .read_only = read_only});
}

/* A wrong password tells nothing, and does not harm who is connected (in Apache it closes the
 * first connection). */
static void test_wrong_password(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    struct peer *first = &world->peers[0];
    uint8_t wrong[16];
    memcpy(wrong, first->password, 16);
    wrong[15] ^= 1;
    try_resume(world, 1, first->session_id, mk_bytes_of(wrong, 16), 0);
    assert_refused(world, 1, 37);
    try_resume(world, 2, first->session_id, mk_bytes_of(first->password, 15), 0);
    assert_refused(world, 2, 37);
    try_resume(world, 3, first->session_id, MK_BYTES_NULL, -1);
    assert_refused(world, 3, 36);
    assert_open(world, 0);
    send_ping(world, 0);
    expect_reply(world, 0, MK_XID_PING, 0);
}

static void test_unknown_session(void **state)
{
    struct world *world = *state;
    try_resume(world, 0, 0x1234, mk_bytes_of(zeros, 16), 0);
    assert_refused(world, 0, 37);
    try_resume(world, 1, -1, mk_bytes_of(zeros, 16), -1);
    assert_refused(world, 1, 36);
    assert_int_equal(world_last_logged(world), 0);
}

static void test_expired_session_is_refused(void **state)
{
    struct world *world = *state;
    session_open_with(world, 0, 4000);
    struct peer first = world->peers[0];
    peer_close(world, 0);
    world_pass(world, 4000 + TICK_MS);
    try_resume(world, 1, first.session_id, mk_bytes_of(first.password, 16), 0);
    assert_refused(world, 1, 37);
}

/* Its end is not durable yet: neither "expired" nor "welcome" would be true. */
static void test_closing_session(void **state)
{
    struct world *world = *state;
    session_open_with(world, 0, 4000);
    struct peer first = world->peers[0];
    peer_close(world, 0);
    world->hold = true;
    world_pass(world, 4000 + TICK_MS);
    try_resume(world, 1, first.session_id, mk_bytes_of(first.password, 16), 0);
    assert_ended(world, 1); /* not a byte */
    world_durable_all(world);
    try_resume(world, 2, first.session_id, mk_bytes_of(first.password, 16), 0);
    assert_refused(world, 2, 37);
}

static void test_last_zxid_ahead(void **state)
{
    struct world *world = *state;
    session_open(world, 0); /* zxid 1 */
    peer_open(world, 1);
    peer_send_connect(world, 1, &(struct connect){.timeout_ms = 10000, .last_zxid_seen = 2});
    assert_ended(world, 1);
    peer_open(world, 2); /* equal is fine */
    peer_send_connect(world, 2, &(struct connect){.timeout_ms = 10000, .last_zxid_seen = 1});
    assert_true(peer_established(world, 2));
    /* Ahead of what is applied, not of what is logged. */
    world->hold = true;
    send_create(world, 0, "/a", "x", 0);
    peer_open(world, 3);
    peer_send_connect(world, 3, &(struct connect){.timeout_ms = 10000, .last_zxid_seen = 3});
    assert_ended(world, 3);
}

static void test_take_over(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/e", MK_CREATE_EPHEMERAL);
    send_get(world, 0, "/e", true);
    assert_true(peer_receive(world, 0));
    session_resume(world, 1, 0);
    assert_ended(world, 0);
    assert_true(tree_has(world, "/e"));
    set(world, 1, "/e", "y"); /* no event: the watch was the first connection's */
    assert_silent(world, 1);
    assert_int_equal(replica_stats(world->replica)->connection_count, 1);
}

/* The first connection has writes and reads in flight when it loses its session; its host is
 * slow to close it. */
static void test_take_over_with_requests_in_flight(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/a", 0);
    world->hold = true;
    send_set(world, 0, "/a", "1", -1);
    send_get(world, 0, "/a", false);
    send_set(world, 0, "/a", "2", -1);
    send_get(world, 0, "/a", false);
    struct peer first = world->peers[0];
    struct mk_buffer frame = MK_BUFFER_EMPTY;
    connect_write(&frame, &(struct connect){.timeout_ms = 10000,
                                            .session_id = first.session_id,
                                            .password = mk_bytes_of(first.password, 16)});
    peer_open(world, 1);
    world_step(world, &(struct replica_event){.type = REPLICA_BYTES,
                                              .connection = 1,
                                              .bytes = mk_buffer_bytes(&frame)});
    world_step(world,
               &(struct replica_event){.type = REPLICA_DURABLE, .zxid = world_last_logged(world)});
    world->durable_zxid = world_last_logged(world);
    world_settle(world);
    assert_ended(world, 0);
    assert_true(peer_established(world, 1));
    expect_data(world, 1, send_get(world, 1, "/a", false), "2");
    assert_int_equal(replica_stats(world->replica)->outstanding_requests, 0);
    mk_buffer_fini(&frame);
}

/* --- garbage and silence
 * ----------------------------------------------------------------------------- */

static void assert_dropped(struct world *world, const void *bytes, size_t size)
{
    peer_open(world, 0);
    peer_send(world, 0, bytes, size);
    assert_ended(world, 0);
}

static void test_bad_first_frames(void **state)
{
    struct world *world = *state;
    assert_dropped(world, "\xff\xff\xff\xff", 4);        /* negative */
    assert_dropped(world, "\x80\x00\x00\x00", 4);        /* most negative */
    assert_dropped(world, "\x00\x10\x00\x00", 4);        /* one above the limit */
    assert_dropped(world, "GET / HTTP/1.1\r\n\r\n", 18); /* a web browser */
    assert_dropped(world, "\x00\x00\x00\x00", 4);        /* empty */
    assert_dropped(world,
                   "\x00\x00\x00\x04"
                   "abcd",
                   8);                /* too short for a record */
    assert_dropped(world, "RUOK", 4); /* words are case-sensitive */
    assert_dropped(world, "wxyz", 4); /* no such word */
    assert_int_equal(world_last_logged(world), 0);
}

static void test_frame_limit_is_inclusive(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/a", 0);
    /* path 4+2, data length 4, version 4, header 8: 20 + len(P) in all */
    size_t largest = 0xfffff - 22;
    char *data = mk_calloc(1, largest + 2);
    memset(data, 'x', largest);
    expect_reply(world, 0, send_set(world, 0, "/a", data, -1), 0);
    data[largest] = 'x';
    send_set(world, 0, "/a", data, -1);
    assert_ended(world, 0);
    mk_free(data);
    assert_int_equal(tree_session_count(replica_tree(world->replica)), 1); /* it lives on */
}

static void test_bad_later_frames(void **state)
{
    struct world *world = *state;
    static const char *const frames[] = {"\xff\xff\xff\xff", "\x00\x10\x00\x00", "ruok",
                                         "\x00\x00\x00\x00",
                                         "\x00\x00\x00\x07"
                                         "1234567"};
    static const size_t sizes[] = {4, 4, 4, 4, 11};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(frames); i++) {
        session_open(world, 0);
        peer_send(world, 0, frames[i], sizes[i]);
        assert_ended(world, 0);
    }
    assert_int_equal(world->command_count, 0);
    assert_int_equal(tree_session_count(replica_tree(world->replica)), 5);
}

static void test_silence_is_dropped(void **state)
{
    struct world *world = *state;
    peer_open(world, 0);
    peer_open(world, 1);
    peer_send(world, 1, "\x00\x00", 2); /* the start of something */
    session_open_with(world, 2, 40000);
    world_pass(world, 9999);
    assert_open(world, 0);
    assert_open(world, 1);
    world_pass(world, 1);
    assert_ended(world, 0);
    assert_ended(world, 1);
    assert_open(world, 2); /* has a session */
}

/* --- four-letter words
 * ----------------------------------------------------------------------------- */

static void test_words(void **state)
{
    struct world *world = *state;
    peer_open(world, 0);
    peer_send_bytewise(world, 0, "ruok\n", 5);
    assert_int_equal(world->command_count, 1);
    assert_int_equal(world->commands[0].connection, 0);
    assert_string_equal(world->commands[0].word, "ruok");
    assert_open(world, 0);
    world_step(world, &(struct replica_event){.type = REPLICA_COMMAND_TEXT,
                                              .connection = 0,
                                              .bytes = MK_BYTES("imok")});
    world_settle(world);
    assert_int_equal(world->peers[0].received.length, 4);
    assert_memory_equal(world->peers[0].received.data, "imok", 4);
    mk_buffer_clear(&world->peers[0].received);
    assert_ended(world, 0);
}

static void part(struct world *world, enum replica_event_type type, const char *bytes)
{
    world_step(world, &(struct replica_event){
                          .type = type, .connection = 0, .bytes = mk_bytes_of_string(bytes)});
    world_settle(world);
}

static void test_word_in_parts(void **state)
{
    struct world *world = *state;
    peer_open(world, 0);
    peer_send(world, 0, "srvr", 4);
    part(world, REPLICA_COMMAND_PART, "one ");
    part(world, REPLICA_COMMAND_PART, "");
    assert_int_equal(world->peers[0].received.length, 4); /* sent before the end is known */
    assert_open(world, 0);
    part(world, REPLICA_COMMAND_PART, "two ");
    part(world, REPLICA_COMMAND_TEXT, "three");
    assert_int_equal(world->peers[0].received.length, 13);
    assert_memory_equal(world->peers[0].received.data, "one two three", 13);
    mk_buffer_clear(&world->peers[0].received);
    assert_ended(world, 0);
}

/* Whoever does not read a long answer costs a bounded amount of memory. */
static void test_word_that_nobody_reads(void **state)
{
    struct world *world = *state;
    world->options.output_close_bytes = 1000;
    world_start(world);
    peer_open(world, 0);
    peer_send(world, 0, "srvr", 4);
    world->peers[0].stuck = true;
    char text[301];
    memset(text, 'x', 300);
    text[300] = '\0';
    for (int i = 0; i < 5 && !world->peers[0].ended; i++)
        part(world, REPLICA_COMMAND_PART, text);
    assert_ended(world, 0);
}

static void test_word_with_mask(void **state)
{
    struct world *world = *state;
    peer_open(world, 0);
    peer_send(world, 0, "stmk\0\0\0\0\0\0\1\2", 12);
    assert_int_equal(world->command_count, 1);
    assert_int_equal(world->commands[0].mask, 0x102);
    /* As Apache: a mask that does not come with its word ends the connection. */
    peer_open(world, 1);
    peer_send(world, 1, "stmk\0\0\0", 7);
    assert_int_equal(world->command_count, 1);
    assert_ended(world, 1);
}

/* The answer comes when the client is gone, or for a connection that asked nothing. */
static void test_late_command_text(void **state)
{
    struct world *world = *state;
    peer_open(world, 0);
    peer_send(world, 0, "srvr", 4);
    peer_close(world, 0);
    struct replica_event event = {.type = REPLICA_COMMAND_TEXT, .bytes = MK_BYTES("text")};
    world_step(world, &event);
    session_open(world, 0);
    world_step(world, &event);
    world_settle(world);
    assert_silent(world, 0);
    assert_open(world, 0);
}

static void test_telnet_interrupt(void **state)
{
    struct world *world = *state;
    peer_open(world, 0);
    peer_send_bytewise(world, 0, "\xff\xf4\xff\xfd\x06", 5);
    assert_ended(world, 0);
    assert_int_equal(world->command_count, 0);
}

/* A connection that waits for the answer of a word is not a silent one. */
static void test_word_outlives_the_handshake_timeout(void **state)
{
    struct world *world = *state;
    peer_open(world, 0);
    peer_send(world, 0, "srvr", 4);
    world_pass(world, 20000);
    assert_open(world, 0);
}

/* A client sends a word and is gone within one turn, and its number is another client's: that one
 * must not get the answer. */
static void test_word_of_one_who_left(void **state)
{
    struct world *world = *state;
    struct replica_event connect = {.type = REPLICA_CONNECT, .bytes = MK_BYTES("127.0.0.1")};
    struct replica_event word = {.type = REPLICA_BYTES, .bytes = MK_BYTES("ruok")};
    world_step(world, &connect);
    world_step(world, &word);
    assert_int_equal(world->update.command_count, 1);
    world_step(world, &(struct replica_event){.type = REPLICA_DISCONNECT});
    assert_int_equal(world->update.command_count, 0);
    world_step(world, &connect);
    word.bytes = MK_BYTES("srvr");
    world_step(world, &word);
    assert_int_equal(world->update.command_count, 1);
    assert_string_equal(world->update.commands[0].word, "srvr");
    world_step(world, &(struct replica_event){.type = REPLICA_DISCONNECT});
    world_settle(world);
}

#define STARTED(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
#define PREPARED(test) cmocka_unit_test_setup_teardown(test, world_prepare, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PREPARED(test_new_session_bytes),
        PREPARED(test_password_of_another_clock),
        STARTED(test_response_mirrors_read_only),
        STARTED(test_word_of_one_who_left),
        STARTED(test_timeouts_are_clamped),
        STARTED(test_any_password_for_a_new_session),
        STARTED(test_session_waits_for_the_log),
        STARTED(test_pipelined_behind_connect),
        STARTED(test_bytes_in_pieces_of_one),
        STARTED(test_trailing_bytes_are_ignored),
        STARTED(test_client_leaves_early),
        STARTED(test_resume),
        STARTED(test_resume_with_another_timeout),
        STARTED(test_wrong_password),
        STARTED(test_unknown_session),
        STARTED(test_expired_session_is_refused),
        STARTED(test_closing_session),
        STARTED(test_last_zxid_ahead),
        STARTED(test_take_over),
        STARTED(test_take_over_with_requests_in_flight),
        STARTED(test_bad_first_frames),
        STARTED(test_frame_limit_is_inclusive),
        STARTED(test_bad_later_frames),
        STARTED(test_silence_is_dropped),
        STARTED(test_words),
        STARTED(test_word_with_mask),
        STARTED(test_late_command_text),
        STARTED(test_word_in_parts),
        PREPARED(test_word_that_nobody_reads),
        STARTED(test_telnet_interrupt),
        STARTED(test_word_outlives_the_handshake_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
