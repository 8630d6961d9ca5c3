/* SPDX-License-Identifier: MIT */
/* Who a connection is (client-protocol reference, sections 8.2 and 8.3, Appendix B): digest
 * credentials, the super user, addresses, refused schemes, and when an identity counts. */
#include "tests/lib/replica_fixture.c"

static void assert_digest(struct world *world, uint32_t number, const char *credentials,
                          const char *id)
{
    session_open(world, number);
    send_auth(world, number, "digest", credentials);
    assert_int_equal(expect_reply(world, number, MK_XID_AUTH, 0), 0);
    expect_end_of_body(world);
    char path[16];
    snprintf(path, sizeof path, "/%u", number);
    expect_reply(world, number, send_create_acl(world, number, path, "31:auth:"), 0);
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_write_string(&body, path);
    int32_t xid = send_raw(world, number, MK_OP_GET_ACL, mk_buffer_bytes(&body));
    mk_buffer_fini(&body);
    expect_reply(world, number, xid, 0);
    struct mk_get_acl_response response;
    mk_get_acl_response_read(&world->body, &response);
    expect_end_of_body(world);
    assert_int_equal(response.acl.count, 1);
    assert_true(mk_bytes_equal_string(response.acl.items[0].id.scheme, "digest"));
    if (!mk_bytes_equal_string(response.acl.items[0].id.id, id))
        fail_msg("%.*s", (int)response.acl.items[0].id.id.length,
                 (const char *)response.acl.items[0].id.id.data);
}

static void test_digest_vectors(void **state)
{
    struct world *world = *state;
    assert_digest(world, 0, "super:secret", "super:lK75jTNcA+U9vtVEw5vB51mj/w4=");
    assert_digest(world, 1, "nocolon", "nocolon:Ra+cHr2ZoHvBjtNArFGNGlVie4g=");
    assert_digest(world, 2, "", ":2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
    assert_digest(world, 3, "u:p", "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=");
}

static void test_permission_follows_the_connection(void **state)
{
    struct world *world = *state;
    assert_digest(world, 0, "u:p", "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=");
    session_open(world, 1);
    expect_reply(world, 1, send_get(world, 1, "/0", false), MK_ERR_NO_AUTH);
    send_auth(world, 1, "digest", "u:wrong");
    expect_reply(world, 1, MK_XID_AUTH, 0);
    expect_reply(world, 1, send_get(world, 1, "/0", false), MK_ERR_NO_AUTH);
    send_auth(world, 1, "digest", "u:p");
    expect_reply(world, 1, MK_XID_AUTH, 0);
    expect_reply(world, 1, send_get(world, 1, "/0", false), 0);
    /* It is the connection's, not the session's. */
    peer_close(world, 1);
    session_resume(world, 2, 1);
    expect_reply(world, 2, send_get(world, 2, "/0", false), MK_ERR_NO_AUTH);
}

static void test_super(void **state)
{
    struct world *world = *state;
    world->options.super_digest = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";
    world_start(world);
    session_open(world, 0);
    send_auth(world, 0, "digest", "u:p");
    expect_reply(world, 0, MK_XID_AUTH, 0);
    expect_reply(world, 0, send_create_acl(world, 0, "/a", "1:auth:"), 0);
    session_open(world, 1);
    send_auth(world, 1, "digest", "super:wrong");
    expect_reply(world, 1, MK_XID_AUTH, 0);
    expect_reply(world, 1, send_set(world, 1, "/a", "y", -1), MK_ERR_NO_AUTH);
    send_auth(world, 1, "digest", "super:secret");
    expect_reply(world, 1, MK_XID_AUTH, 0);
    expect_reply(world, 1, send_set(world, 1, "/a", "y", -1), 0);
    expect_reply(world, 1, send_set(world, 1, "/zookeeper/config", "y", -1), 0);
}

static void test_ip(void **state)
{
    struct world *world = *state;
    peer_open_from(world, 0, "10.1.2.3");
    peer_send_connect(world, 0, &(struct connect){.timeout_ms = 10000});
    assert_true(peer_established(world, 0));
    peer_open_from(world, 1, "10.2.2.3");
    peer_send_connect(world, 1, &(struct connect){.timeout_ms = 10000});
    assert_true(peer_established(world, 1));
    expect_reply(world, 0, send_create_acl(world, 0, "/a", "31:ip:10.1.0.0/16"), 0);
    expect_reply(world, 0, send_get(world, 0, "/a", false), 0);
    expect_reply(world, 1, send_get(world, 1, "/a", false), MK_ERR_NO_AUTH);
    send_auth(world, 1, "ip", "10.1.2.3"); /* fine, and changes nothing */
    assert_int_equal(expect_reply(world, 1, MK_XID_AUTH, 0), 0);
    expect_reply(world, 1, send_get(world, 1, "/a", false), MK_ERR_NO_AUTH);
}

static void test_refused(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *scheme, *credentials;
    } cases[] = {{"world", "anyone"}, {"sasl", "x"},    {"super", "x"}, {"x509", "x"},
                 {"", "x"},           {"digest", NULL}, {NULL, "x"},    {"Digest", "u:p"}};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(cases); i++) {
        session_open(world, 0);
        send_auth(world, 0, cases[i].scheme, cases[i].credentials);
        assert_int_equal(expect_reply(world, 0, MK_XID_AUTH, MK_ERR_AUTH_FAILED), 0);
        assert_ended(world, 0);
    }
    assert_int_equal(replica_stats(world->replica)->auth_failed_count, MK_ARRAY_LENGTH(cases));
    /* The sessions live on. */
    assert_int_equal(tree_session_count(replica_tree(world->replica)), MK_ARRAY_LENGTH(cases));
}

static void test_refused_in_order(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    world->hold = true;
    int32_t write = send_create(world, 0, "/a", "x", 0);
    int32_t read = send_get(world, 0, "/a", false);
    send_auth(world, 0, "nobody", "x");
    send_create(world, 0, "/b", "x", 0); /* no longer read */
    assert_silent(world, 0);
    world_durable_all(world);
    expect_reply(world, 0, write, 0);
    expect_data(world, 0, read, "x");
    expect_reply(world, 0, MK_XID_AUTH, MK_ERR_AUTH_FAILED);
    assert_ended(world, 0);
    assert_false(tree_has(world, "/b"));
}

static void test_digest_disabled(void **state)
{
    struct world *world = *state;
    world->options.digest_enabled = false;
    world_start(world);
    session_open(world, 0);
    send_auth(world, 0, "digest", "u:p");
    expect_reply(world, 0, MK_XID_AUTH, MK_ERR_AUTH_FAILED);
    assert_ended(world, 0);
}

static void expect_identities(struct world *world, uint32_t number, int32_t xid,
                              const char *const *wanted)
{
    expect_reply(world, number, xid, 0);
    struct mk_who_am_i_response response;
    mk_who_am_i_response_read(&world->body, &response);
    expect_end_of_body(world);
    int32_t count = 0;
    for (; wanted[2 * count]; count++) {
        assert_true(count < response.client_info.count);
        const struct mk_client_info *info = &response.client_info.items[count];
        assert_true(mk_bytes_equal_string(info->auth_scheme, wanted[2 * count]));
        assert_true(mk_bytes_equal_string(info->user, wanted[2 * count + 1]));
    }
    assert_int_equal(response.client_info.count, count);
}

static void test_who_am_i(void **state)
{
    struct world *world = *state;
    world->options.super_digest = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";
    world_start(world);
    session_open(world, 0);
    int32_t xid = send_raw(world, 0, MK_OP_WHO_AM_I, MK_BYTES_NULL);
    expect_identities(world, 0, xid, (const char *const[]){"ip", "127.0.0.1", NULL});
    send_auth(world, 0, "digest", "u:p");
    send_auth(world, 0, "digest", "u:p"); /* once is enough */
    send_auth(world, 0, "digest", "super:secret");
    for (int i = 0; i < 3; i++)
        expect_reply(world, 0, MK_XID_AUTH, 0);
    xid = send_raw(world, 0, MK_OP_WHO_AM_I, MK_BYTES_NULL);
    expect_identities(world, 0, xid,
                      (const char *const[]){"ip", "127.0.0.1", "digest", "u", "super", "", "digest",
                                            "super", NULL});
}

/* An identity counts for what is sent behind it, not for what still waits before it. */
static void test_identity_counts_from_here_on(void **state)
{
    struct world *world = *state;
    assert_digest(world, 0, "u:p", "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=");
    session_open(world, 1);
    world->hold = true;
    int32_t write = send_create(world, 1, "/w", "x", 0);
    int32_t before = send_get(world, 1, "/0", false);
    int32_t who = send_raw(world, 1, MK_OP_WHO_AM_I, MK_BYTES_NULL);
    send_auth(world, 1, "digest", "u:p");
    int32_t after = send_get(world, 1, "/0", false);
    world_durable_all(world);
    expect_reply(world, 1, write, 0);
    expect_reply(world, 1, before, MK_ERR_NO_AUTH);
    expect_identities(world, 1, who, (const char *const[]){"ip", "127.0.0.1", NULL});
    expect_reply(world, 1, MK_XID_AUTH, 0);
    expect_data(world, 1, after, "x");
}

/* Whoever sends credentials without end is shown the door: each one is kept and compared. */
static void test_identities_are_bounded(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    int count = 0;
    char credentials[1024];
    memset(credentials, 'u', sizeof credentials);
    for (; count < 100000 && world->peers[0].open; count++) {
        snprintf(credentials + 1000, 20, "%d", count);
        send_auth(world, 0, "digest", credentials);
    }
    assert_true(count > 100);
    assert_true(count < 10000);
    for (int i = 1; i < count; i++)
        expect_reply(world, 0, MK_XID_AUTH, 0);
    expect_reply(world, 0, MK_XID_AUTH, MK_ERR_AUTH_FAILED);
    assert_ended(world, 0);
}

#define STARTED(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
#define PREPARED(test) cmocka_unit_test_setup_teardown(test, world_prepare, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STARTED(test_digest_vectors),
        STARTED(test_permission_follows_the_connection),
        PREPARED(test_super),
        STARTED(test_ip),
        STARTED(test_refused),
        STARTED(test_refused_in_order),
        PREPARED(test_digest_disabled),
        PREPARED(test_who_am_i),
        STARTED(test_identity_counts_from_here_on),
        STARTED(test_identities_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
