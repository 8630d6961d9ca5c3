/* SPDX-License-Identifier: MIT */
/* Proves which sets are quorums: against the rules of the reference by hand, and by enumeration
 * that any two quorums of any config meet, which is what all of ZAB stands on. And that the text
 * form is read as Apache writes it, and refused where Apache refuses it. */
#include "tests/unit/zab/golden.h"

#include "base/rand.h"
#include "wire/errors.gen.h"
#include "zab/quorum.h"

static struct quorum parsed(const char *text)
{
    struct quorum quorum;
    char reason[200] = "";
    if (quorum_parse(&quorum, mk_bytes_of_string(text), reason, sizeof reason) != 0)
        fail_msg("%s", reason);
    return quorum;
}

static struct quorum_set set_of_bits(const struct quorum *quorum, unsigned bits)
{
    struct quorum_set set;
    quorum_set_clear(&set);
    for (size_t i = 0; i < quorum->count; i++)
        if (bits >> i & 1)
            quorum_set_add(&set, quorum->members[i].id);
    return set;
}

static bool reached(const struct quorum *quorum, unsigned bits)
{
    struct quorum_set set = set_of_bits(quorum, bits);
    return quorum_reached(quorum, &set);
}

static void majorities(void **state)
{
    (void)state;
    for (size_t voters = 1; voters <= 7; voters++) {
        struct quorum quorum = {0};
        for (size_t i = 0; i < voters; i++)
            quorum.members[quorum.count++] = (struct quorum_member){.id = 10 + (int64_t)i};
        for (unsigned bits = 0; bits < 1u << voters; bits++)
            assert_int_equal(reached(&quorum, bits), (size_t)__builtin_popcount(bits) * 2 > voters);
    }
}

static void observers_and_strangers_never_count(void **state)
{
    (void)state;
    struct quorum quorum = parsed("server.1=a:1:2\nserver.2=a:1:2:observer\nserver.3=a:1:2\n"
                                  "server.4=a:1:2:OBSERVER\nserver.5=a:1:2:Participant\n");
    struct quorum_set set = set_of_bits(&quorum, 1 << 0 | 1 << 1 | 1 << 3);
    quorum_set_add(&set, 0);
    quorum_set_add(&set, 77);
    quorum_set_add(&set, -5);
    quorum_set_add(&set, 256);
    assert_false(quorum_reached(&quorum, &set));
    quorum_set_add(&set, 3);
    assert_true(quorum_reached(&quorum, &set));
    quorum_set_remove(&set, 3);
    assert_false(quorum_reached(&quorum, &set));
    assert_true(quorum_votes(&quorum, 5));
    assert_false(quorum_votes(&quorum, 4));
    assert_false(quorum_votes(&quorum, 77));
    assert_false(quorum_votes(&quorum, INT64_MIN));
    assert_true(quorum_may_lead(&quorum, 1));
    assert_false(quorum_may_lead(&quorum, 2));
    assert_null(quorum_find(&quorum, 6));
    assert_int_equal(quorum_find(&quorum, 2)->id, 2);
    struct quorum none = {0};
    assert_false(quorum_reached(&none, &set));
}

static void groups_by_hand(void **state)
{
    (void)state;
    struct quorum quorum = parsed(
        "server.1=a:1:2\nserver.2=a:1:2\nserver.3=a:1:2\nserver.4=a:1:2\nserver.5=a:1:2\n"
        "server.6=a:1:2\nserver.7=a:1:2\ngroup.1=1:2:3\ngroup.2=4:5:6\ngroup.9=7\nweight.4=3\n"
        "weight.7=0\nversion=10000000a");
    assert_true(quorum.hierarchical);
    assert_int_equal(quorum.version, 0x10000000a);
    assert_int_equal(quorum_find(&quorum, 7)->weight, 0);
    /* Two groups weigh, so both must be won; server 4 alone wins its group, group 9 counts for
     * nothing. */
    assert_true(reached(&quorum, 1 << 0 | 1 << 1 | 1 << 3));
    assert_false(reached(&quorum, 1 << 0 | 1 << 1 | 1 << 4 | 1 << 5));
    assert_false(reached(&quorum, 1 << 0 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6));
    assert_false(reached(&quorum, 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6));
    assert_true(quorum_votes(&quorum, 7));
    assert_false(quorum_may_lead(&quorum, 7));
    assert_true(quorum_may_lead(&quorum, 4));

    /* Exactly half of a group does not win it. */
    quorum = parsed("server.1=a:1:2\nserver.2=a:1:2\ngroup.1=1:2");
    assert_false(reached(&quorum, 1));
    assert_true(reached(&quorum, 3));

    /* An observer in a group weighs there, as Apache adds it up, but never helps. */
    quorum = parsed("server.1=a:1:2\nserver.2=a:1:2:observer\ngroup.1=1:2\nweight.2=1");
    assert_false(reached(&quorum, 3));
    quorum = parsed("server.1=a:1:2\nserver.2=a:1:2:observer\ngroup.1=1:2\nweight.2=0");
    assert_true(reached(&quorum, 1));

    /* Nobody weighs anything: there is no quorum at all. */
    quorum = parsed("server.1=a:1:2\ngroup.1=1\nweight.1=0");
    assert_false(reached(&quorum, 1));
}

static void draw(struct mk_rand *rand, struct quorum *quorum)
{
    *quorum = (struct quorum){.hierarchical = mk_rand_next(rand) % 4 != 0};
    quorum->count = 1 + mk_rand_next(rand) % 8;
    for (size_t i = 0; i < quorum->count; i++)
        quorum->members[i] = (struct quorum_member){.id = (int64_t)i + 1,
                                                    .observer = mk_rand_next(rand) % 5 == 0,
                                                    .group = 1 + (int64_t)(mk_rand_next(rand) % 4),
                                                    .weight = mk_rand_next(rand) % 4};
}

static void any_two_quorums_meet(void **state)
{
    (void)state;
    struct mk_rand rand;
    mk_rand_init(&rand, 5);
    size_t seen = 0;
    for (int round = 0; round < 300; round++) {
        struct quorum quorum;
        bool is[256];
        draw(&rand, &quorum);
        unsigned voters = 0;
        for (size_t i = 0; i < quorum.count; i++)
            voters |= quorum.members[i].observer ? 0 : 1u << i;
        unsigned count = 1u << quorum.count;
        for (unsigned bits = 0; bits < count; bits++) {
            is[bits] = reached(&quorum, bits);
            assert_true(is[bits] == is[bits & voters] || (bits & voters) == bits);
        }
        assert_false(is[0]);
        for (unsigned one = 0; one < count; one++)
            for (unsigned other = 0; is[one] && other < count; other++) {
                if (!is[other])
                    continue;
                seen++;
                assert_true((one & other & voters) != 0);
                assert_true(is[one | other]);
            }
    }
    assert_true(seen > 10000);
}

static void the_value_that_a_quorum_has(void **state)
{
    (void)state;
    struct quorum three = parsed("server.1=a:1:2\nserver.2=a:1:2\nserver.3=a:1:2");
    int64_t values[QUORUM_MEMBERS_MAX] = {7, 9, 8};
    assert_int_equal(quorum_reached_value(&three, values, 0), 8);
    assert_int_equal(quorum_reached_value(&three, values, 8), 8);
    assert_int_equal(quorum_reached_value(&three, values, 100), 100);

    struct mk_rand rand;
    mk_rand_init(&rand, 6);
    for (int round = 0; round < 3000; round++) {
        struct quorum quorum;
        draw(&rand, &quorum);
        for (size_t i = 0; i < quorum.count; i++)
            values[i] = (int64_t)(mk_rand_next(&rand) % 6);
        int64_t none = (int64_t)(mk_rand_next(&rand) % 3) - 1;
        int64_t wanted = none;
        for (int64_t value = none; value < 6; value++) {
            unsigned bits = 0;
            for (size_t i = 0; i < quorum.count; i++)
                bits |= values[i] >= value ? 1u << i : 0;
            if (reached(&quorum, bits))
                wanted = value;
        }
        assert_int_equal(quorum_reached_value(&quorum, values, none), wanted);
    }
}

static void reads_what_apache_sends(void **state)
{
    (void)state;
    struct mk_buffer bytes = MK_BUFFER_EMPTY;
    struct quorum quorum;
    golden_find("election.txt", "notification-following", &bytes);
    struct mk_bytes text = mk_bytes_of(bytes.data + 48, bytes.length - 48);
    assert_int_equal(quorum_parse(&quorum, text, NULL, 0), 0);
    assert_int_equal(quorum.count, 4);
    assert_false(quorum.hierarchical);
    assert_int_equal(quorum.version, 0);
    assert_true(quorum_votes(&quorum, 3) && !quorum_votes(&quorum, 4));

    golden_find("quorum.txt", "newleader-dynamic", &bytes);
    text = mk_bytes_of(bytes.data + 16, bytes.length - 20);
    assert_int_equal(quorum_parse(&quorum, text, NULL, 0), 0);
    assert_int_equal(quorum.version, 0x100000000);
    assert_int_equal(quorum.members[0].weight, 1);

    quorum = parsed("# by hand\n\n  version = 1f \r\n!\nweight.2=5\ngroup.3=2:1\n"
                    "server.2=[fe80::1]:2888:3888;[::]:2181\n"
                    "server.1=h1:1:2|h2:3:4:participant;2181;h:2281\n"
                    "server.3=h1:1:2:observer|h2:1:2:observer;;h:1\n");
    assert_int_equal(quorum.count, 3);
    assert_int_equal(quorum.version, 0x1f);
    assert_int_equal(quorum_find(&quorum, 2)->weight, 5);
    assert_int_equal(quorum_find(&quorum, 2)->group, 3);
    assert_true(quorum_find(&quorum, 3)->observer);
    mk_buffer_fini(&bytes);
}

static void refused(const char *text, const char *wanted)
{
    struct quorum quorum = {.version = 42};
    char reason[200] = "";
    assert_int_equal(quorum_parse(&quorum, mk_bytes_of_string(text), reason, sizeof reason),
                     MK_ERR_BAD_CONFIG);
    if (!strstr(reason, wanted))
        fail_msg("\"%s\" does not say \"%s\"", reason, wanted);
    assert_int_equal(quorum.version, 42); /* untouched */
    char small[4];
    assert_int_equal(quorum_parse(&quorum, mk_bytes_of_string(text), small, sizeof small),
                     MK_ERR_BAD_CONFIG);
    assert_int_equal(strlen(small), 3);
    assert_int_equal(quorum_parse(&quorum, mk_bytes_of_string(text), NULL, 0), MK_ERR_BAD_CONFIG);
}

static void refuses_bad_lists(void **state)
{
    (void)state;
    refused("", "no server is a participant");
    refused("server.1=a:1:2:observer", "no server is a participant");
    refused("server.1=a:1:2\nserver.1=b:1:2", "line 2: server 1 is listed twice");
    refused("server.1=a:1:2\nserver.01=b:1:2", "listed twice");
    refused("server.0=a:1:2", "1 to 254");
    refused("server.255=a:1:2", "1 to 254");
    refused("server.-1=a:1:2", "1 to 254");
    refused("server.18446744073709551617=a:1:2", "1 to 254");
    refused("server.=a:1:2", "1 to 254");
    refused("server.1", "\"=\" is missing");
    refused("server.1=", "host is missing");
    refused("server.1=a", "host:port:electionport");
    refused("server.1=a:1", "host:port:electionport");
    refused("server.1=a:1:", "a port is");
    refused("server.1=a:65536:1", "a port is");
    refused("server.1=a:0:1", "a port is");
    refused("server.1=a:1:2:leader", "participant or an observer");
    refused("server.1=a:1:2:observer:x", "too many parts");
    refused("server.1=fe80::1:2888:3888", "a port is");
    refused("server.1=[fe80::1:2888:3888", "brackets");
    refused("server.1=[]:2888:3888", "brackets");
    refused("server.1=a:1:2|", "host is missing");
    refused("server.1=a:1:2:observer|b:1:2:participant", "two roles");
    refused("server.1=a:1:2;x;y;z", "client addresses");
    refused("server.1=a:1:2\nclientPort=2181", "line 2: unknown key");
    refused("server.1=a:1:2\nversion=0x1", "version");
    refused("server.1=a:1:2\nversion=8000000000000000", "version");
    refused("server.1=a:1:2\nversion=", "version");
    refused("server.1=a:1:2\nversion=1\nversion=1", "twice");
    refused("server.1=a:1:2\ngroup.1=2", "there is no server 2");
    refused("server.1=a:1:2\ngroup.1=", "list of server ids");
    refused("server.1=a:1:2\ngroup.1=1:", "list of server ids");
    refused("server.1=a:1:2\ngroup.0=1", "a group has a number");
    refused("server.1=a:1:2\ngroup=1", "a group has a number");
    refused("server.1=a:1:2\ngroup.1=1\ngroup.2=1", "server 1 is in two groups");
    refused("server.1=a:1:2\nserver.2=a:1:2\ngroup.1=1\ngroup.1=2", "group 1 is listed twice");
    refused("server.1=a:1:2\nserver.2=a:1:2\ngroup.1=1", "server 2 is in no group");
    refused("server.1=a:1:2\nweight.1=2", "server 1 is in no group");
    refused("server.1=a:1:2\ngroup.1=1\nweight.1=-1", "a weight is");
    refused("server.1=a:1:2\ngroup.1=1\nweight.1=2147483648", "a weight is");
    refused("server.1=a:1:2\ngroup.1=1\nweight.1=1\nweight.1=2", "two weights");
    refused("server.1=a:1:2\ngroup.1=1\nweight.2=1", "a weight belongs");
}

static void too_many_servers(void **state)
{
    (void)state;
    struct mk_buffer text = MK_BUFFER_EMPTY;
    struct quorum quorum;
    for (int id = 1; id <= QUORUM_MEMBERS_MAX; id++)
        mk_buffer_print(&text, "server.%d=h:1:2\n", id);
    assert_int_equal(quorum_parse(&quorum, mk_buffer_bytes(&text), NULL, 0), 0);
    assert_int_equal(quorum.count, QUORUM_MEMBERS_MAX);
    mk_buffer_print(&text, "server.99=h:1:2\n");
    assert_int_equal(quorum_parse(&quorum, mk_buffer_bytes(&text), NULL, 0), MK_ERR_BAD_CONFIG);
    mk_buffer_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(majorities),
        cmocka_unit_test(observers_and_strangers_never_count),
        cmocka_unit_test(groups_by_hand),
        cmocka_unit_test(any_two_quorums_meet),
        cmocka_unit_test(the_value_that_a_quorum_has),
        cmocka_unit_test(reads_what_apache_sends),
        cmocka_unit_test(refuses_bad_lists),
        cmocka_unit_test(too_many_servers),
    };
    return cmocka_run_group_tests_name("zab/quorum", tests, NULL, NULL);
}
