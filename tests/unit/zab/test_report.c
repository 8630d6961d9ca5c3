/* SPDX-License-Identifier: MIT */
/* Proves what an operator is told of an ensemble: who is linked to the leader and how far, and the
 * counts, over three members (the third one an observer) with a network and a disk that do all at
 * once. */
#include "tests/unit/zab/golden.h"

#include "base/mem.h"
#include "base/zxid.h"
#include "zab/zab.h"

#define MEMBERS 3
#define LINKS_MAX 32
#define LETTERS_MAX 256

struct wire { /* of a link, to one of its ends */
    struct mk_buffer bytes;
    bool open;
};

struct node {
    struct zab *zab;
    struct zab_update update;
    struct wire from[LINKS_MAX]; /* what has come, by link */
    int64_t apply_to;
    int64_t dial; /* the server to connect to, or 0 */
    bool up;
};

struct letter { /* a message of an election, on its way */
    int to;
    int64_t from;
    struct mk_buffer bytes;
};

struct world {
    struct node nodes[MEMBERS]; /* by id - 1 */
    int ends[LINKS_MAX][2];     /* who dialled, who accepted */
    uint32_t links;
    struct letter letters[LETTERS_MAX];
    size_t letter_count;
    int64_t now_ms;
    bool news;
};

static void step(struct world *world, int index, struct zab_event event);
static void perform(struct world *world, int index);

static void feed(struct world *world, int index, uint32_t link)
{
    struct node *node = &world->nodes[index];
    struct wire *wire = &node->from[link];
    size_t consumed = 1;
    while (wire->open && wire->bytes.length > 0 && consumed > 0) {
        struct mk_buffer bytes = wire->bytes;
        wire->bytes = MK_BUFFER_EMPTY;
        struct zab_event event = {
            .type = ZAB_LINK_BYTES, .link = link, .bytes = mk_buffer_bytes(&bytes)};
        event.now_ms = world->now_ms;
        zab_step(node->zab, &event, &node->update);
        consumed = node->update.consumed;
        mk_buffer_consume(&bytes, consumed);
        mk_buffer_append(&bytes, wire->bytes.data, wire->bytes.length);
        mk_buffer_fini(&wire->bytes);
        wire->bytes = bytes;
        world->news = true;
        perform(world, index);
    }
}

/* Who looks for a leader itself lets a learner wait. */
static void dial(struct world *world, int index)
{
    int other = (int)world->nodes[index].dial - 1;
    struct zab_status status;
    if (other < 0)
        return;
    zab_status(world->nodes[other].zab, &status);
    if (status.role == ZAB_LOOKING || !world->nodes[other].up)
        return;
    world->nodes[index].dial = 0;
    world->news = true;
    uint32_t link = world->links++;
    assert_true(link < LINKS_MAX);
    world->ends[link][0] = index;
    world->ends[link][1] = other;
    world->nodes[index].from[link].open = world->nodes[other].from[link].open = true;
    step(world, other,
         (struct zab_event){
             .type = ZAB_LINK_ACCEPTED, .link = link, .bytes = mk_bytes_of_string("here")});
    step(world, index, (struct zab_event){.type = ZAB_LINK_CONNECTED, .link = link});
}

static void close_link(struct world *world, uint32_t link)
{
    for (int i = 0; i < 2; i++) {
        struct node *node = &world->nodes[world->ends[link][i]];
        if (!node->from[link].open)
            continue;
        node->from[link].open = false;
        step(world, world->ends[link][i], (struct zab_event){.type = ZAB_LINK_DOWN, .link = link});
    }
}

static void send_output(struct world *world, int index, uint32_t link)
{
    struct zab_link *out = zab_link(world->nodes[index].zab, link);
    if (!out || !world->nodes[index].from[link].open)
        return;
    int other = world->ends[link][0] == index ? world->ends[link][1] : world->ends[link][0];
    if (out->output.length > 0) {
        mk_buffer_append(&world->nodes[other].from[link].bytes, out->output.data,
                         out->output.length);
        mk_buffer_consume(&out->output, out->output.length);
        world->news = true;
    }
    if (out->closing)
        close_link(world, link);
}

/* The network's part waits in `world`; the disk is done at once, the memory too. */
static void perform(struct world *world, int index)
{
    struct node *node = &world->nodes[index];
    struct zab_update *update = &node->update;
    uint64_t ticket = update->disk_count ? update->disk[update->disk_count - 1].ticket : 0;
    bool connect = update->connect, reload = update->reload;
    int64_t server = update->connect_to;
    for (size_t i = 0; i < update->message_count; i++) {
        const struct zab_message *message = &update->messages[i];
        assert_true(world->letter_count < LETTERS_MAX);
        struct letter *letter = &world->letters[world->letter_count++];
        *letter = (struct letter){.to = (int)message->server - 1, .from = index + 1};
        mk_buffer_append(&letter->bytes, update->message_bytes.data + message->offset,
                         message->length);
    }
    zab_update_clear(node->zab, update);
    if (ticket)
        step(world, index, (struct zab_event){.type = ZAB_DISK_DONE, .ticket = ticket});
    if (reload)
        step(world, index, (struct zab_event){.type = ZAB_RELOADED, .zxid = node->apply_to});
    int64_t apply_to = zab_apply_to(node->zab);
    if (apply_to > node->apply_to) {
        node->apply_to = apply_to;
        step(world, index, (struct zab_event){.type = ZAB_APPLIED, .zxid = apply_to});
    }
    if (connect)
        node->dial = server;
}

static void step(struct world *world, int index, struct zab_event event)
{
    struct node *node = &world->nodes[index];
    event.now_ms = world->now_ms;
    zab_step(node->zab, &event, &node->update);
    perform(world, index);
}

static void deliver_letters(struct world *world)
{
    for (size_t i = 0; i < world->letter_count; i++) {
        struct letter letter = world->letters[i];
        world->news = true;
        if (world->nodes[letter.to].up && world->nodes[letter.from - 1].up)
            step(world, letter.to,
                 (struct zab_event){.type = ZAB_PEER_MESSAGE,
                                    .server = letter.from,
                                    .bytes = mk_buffer_bytes(&letter.bytes)});
        mk_buffer_fini(&letter.bytes);
    }
    world->letter_count = 0;
}

static void run(struct world *world, int64_t until_ms)
{
    while (world->now_ms < until_ms) {
        world->news = false;
        deliver_letters(world);
        for (int i = 0; i < MEMBERS; i++)
            dial(world, i);
        for (int i = 0; i < MEMBERS; i++)
            for (uint32_t link = 0; link < world->links; link++)
                if (world->nodes[i].up)
                    send_output(world, i, link);
        for (int i = 0; i < MEMBERS; i++)
            for (uint32_t link = 0; link < world->links; link++)
                if (world->nodes[i].up)
                    feed(world, i, link);
        if (world->news)
            continue;
        world->now_ms += 10;
        for (int i = 0; i < MEMBERS; i++)
            if (world->nodes[i].up)
                step(world, i, (struct zab_event){.type = ZAB_TICK});
    }
}

#define TWO "server.1=a:1:2:participant\nserver.2=b:1:2:participant\n"
#define OBSERVER "server.3=c:1:2:observer\nversion=0"

static void start_with(struct world *world, int64_t id, int64_t last_zxid, const char *config,
                       const struct mk_trace *trace)
{
    struct zab_options options;
    zab_options_init(&options);
    char reason[200];
    assert_int_equal(
        quorum_parse(&options.quorum, mk_bytes_of_string(config), reason, sizeof reason), 0);
    options.id = id;
    options.observer = quorum_find(&options.quorum, id)->observer;
    options.trace = trace;
    options.config = mk_bytes_of_string(config);
    struct node *node = &world->nodes[id - 1];
    node->zab = zab_new(&options);
    zab_update_init(&node->update);
    node->up = true;
    node->apply_to = last_zxid;
    int64_t epoch = mk_zxid_epoch(last_zxid);
    step(world, (int)id - 1,
         (struct zab_event){.type = ZAB_START, .state = {last_zxid, epoch, epoch}});
    for (int64_t other = 1; other <= MEMBERS; other++) {
        if (other == id || !world->nodes[other - 1].up)
            continue;
        step(world, (int)id - 1, (struct zab_event){.type = ZAB_PEER_UP, .server = other});
        step(world, (int)other - 1, (struct zab_event){.type = ZAB_PEER_UP, .server = id});
    }
}

static void start(struct world *world, int64_t id, int64_t last_zxid)
{
    start_with(world, id, last_zxid, TWO OBSERVER, NULL);
}

static void finish(struct world *world)
{
    for (int i = 0; i < MEMBERS; i++) {
        struct node *node = &world->nodes[i];
        if (!node->zab)
            continue;
        for (uint32_t link = 0; link < LINKS_MAX; link++)
            mk_buffer_fini(&node->from[link].bytes);
        zab_update_fini(&node->update);
        zab_free(node->zab);
    }
}

static void submit(struct world *world, int64_t id, int count)
{
    for (int i = 0; i < count; i++)
        step(world, (int)id - 1,
             (struct zab_event){.type = ZAB_SUBMIT,
                                .zxid = zab_next_zxid(world->nodes[id - 1].zab),
                                .bytes = mk_bytes_of_string("transaction")});
}

static void the_leader_knows_who_follows(void **state)
{
    (void)state;
    struct world world = {0};
    struct zab_learners learners;
    start(&world, 1, 0);
    start(&world, 2, 0);
    zab_learners(world.nodes[1].zab, &learners);
    assert_int_equal(learners.linked, 0);
    run(&world, 3000);
    struct zab_status status;
    zab_status(world.nodes[1].zab, &status);
    assert_int_equal(status.role, ZAB_LEADING);
    assert_true(status.serving);
    zab_learners(world.nodes[1].zab, &learners);
    assert_int_equal(learners.linked, 1);
    assert_int_equal(learners.synced_followers, 1);
    assert_int_equal(learners.synced_observers, 0);
    assert_int_equal(learners.synced_without_vote, 0);

    start(&world, 3, 0);
    run(&world, 6000);
    zab_learners(world.nodes[1].zab, &learners);
    assert_int_equal(learners.linked, 2);
    assert_int_equal(learners.synced_followers, 1);
    assert_int_equal(learners.synced_observers, 1);
    zab_learners(world.nodes[0].zab, &learners); /* a follower has none */
    assert_int_equal(learners.linked, 0);
    finish(&world);
}

static void counts_are_those_of_what_happened(void **state)
{
    (void)state;
    struct world world = {0};
    for (int64_t id = 1; id <= MEMBERS; id++)
        start(&world, id, 0);
    run(&world, 3000);
    submit(&world, 2, 5);
    run(&world, 4000);
    const struct zab_counts *leader = zab_counts(world.nodes[1].zab);
    assert_int_equal(leader->looking, 1);
    assert_int_equal(leader->proposals, 5);
    assert_int_equal(leader->commits, 5);
    assert_int_equal(leader->differences, 2);
    assert_int_equal(leader->trees, 0);
    assert_int_equal(leader->proposals_received, 0);
    const struct zab_counts *follower = zab_counts(world.nodes[0].zab);
    assert_int_equal(follower->proposals, 0);
    assert_int_equal(follower->proposals_received, 5);
    assert_int_equal(follower->commits_received, 5);
    const struct zab_counts *observer = zab_counts(world.nodes[2].zab);
    assert_int_equal(observer->proposals_received, 0); /* INFORM is counted as a commit */
    assert_int_equal(observer->commits_received, 5);

    world.nodes[1].up = false; /* the leader falls silent */
    for (uint32_t link = 0; link < world.links; link++)
        close_link(&world, link);
    run(&world, 5000);
    assert_int_equal(follower->looking, 2);
    assert_int_equal(observer->looking, 2);
    assert_int_equal(follower->proposals_received, 5);
    finish(&world);
}

static void a_tree_is_counted(void **state)
{
    (void)state;
    struct world world = {0};
    start(&world, 1, 0);
    start(&world, 2, mk_zxid_make(1, 7)); /* with nothing in memory but the tree */
    run(&world, 1000);
    struct zab_learners learners;
    zab_learners(world.nodes[1].zab, &learners);
    assert_int_equal(zab_counts(world.nodes[1].zab)->trees, 1);
    assert_int_equal(zab_counts(world.nodes[1].zab)->differences, 0);
    assert_int_equal(learners.linked, 1);
    assert_int_equal(learners.synced_followers, 0); /* it does not have it yet */
    finish(&world);
}

static void remember(void *context, enum mk_level level, const char *component, const char *text)
{
    (void)component;
    struct mk_buffer *lines = context;
    if (level == MK_LEVEL_WARN)
        mk_buffer_print(lines, "%s\n", text);
}

/* The leader has another list than server 3. */
static void check_disagreement(const char *leaders, const char *learners, const char *line)
{
    struct world world = {0};
    struct mk_buffer lines = MK_BUFFER_EMPTY;
    struct mk_trace trace = {.level = MK_LEVEL_WARN, .write = remember, .context = &lines};
    start(&world, 1, 0);
    start_with(&world, 2, 0, leaders, &trace);
    run(&world, 2000);
    start_with(&world, 3, 0, learners, NULL);
    run(&world, 4000);
    mk_buffer_append(&lines, "", 1);
    if (line)
        assert_non_null(strstr((const char *)lines.data, line));
    else
        assert_string_equal((const char *)lines.data, "");
    mk_buffer_fini(&lines);
    finish(&world);
}

static void lists_that_differ_are_named(void **state)
{
    (void)state;
    check_disagreement(TWO OBSERVER, TWO OBSERVER, NULL);
    check_disagreement(TWO "version=0", TWO OBSERVER,
                       "server 3 (here) is not among the servers that this one knows");
    check_disagreement(TWO "server.3=c:1:2:participant\nversion=0", TWO OBSERVER,
                       "server 3 (here) comes as an observer, but is a participant");
    /* As their votes tell, too. */
    check_disagreement(TWO "version=0", TWO OBSERVER,
                       "server 3 has another list of servers: server 3 is only there. The lists");
    check_disagreement(TWO "version=0", TWO OBSERVER,
                       "server 1 has another list of servers: server 3 is only there. The lists");
    check_disagreement(TWO "server.3=c:1:2:participant\nversion=0", TWO OBSERVER,
                       "server 1 has another list of servers: server 3 is an observer only there");
    check_disagreement(
        TWO "server.3=c:1:2\nserver.4=d:1:2:observer\nversion=0", TWO "server.3=c:1:2\nversion=0",
        "server 3 has another list of servers: server 4 is only in the list of this");
    check_disagreement(
        TWO "server.3=c:1:2:observer\nversion=100000000", TWO OBSERVER,
        "server 1 has another list of servers: its version is 0, that of this one is "
        "100000000");
    /* Other addresses are no other list. */
    check_disagreement("server.1=x:3:4\nserver.2=127.0.0.1:5:6;127.0.0.1:7\n" OBSERVER,
                       TWO OBSERVER, NULL);
}

static void groups_that_differ_are_named(void **state)
{
    (void)state;
    static const char members[] = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";
    char leaders[200], learners[200];
    snprintf(leaders, sizeof leaders, "%sgroup.1=1:2:3\nweight.3=2\nversion=0", members);
    snprintf(learners, sizeof learners, "%sgroup.1=1:2:3\nversion=0", members);
    check_disagreement(leaders, learners,
                       "server 3 has another list of servers: server 3 is in another group, or has "
                       "another weight");
}

static void it_is_said_once(void **state)
{
    (void)state;
    struct world world = {0};
    struct mk_buffer lines = MK_BUFFER_EMPTY;
    struct mk_trace trace = {.level = MK_LEVEL_WARN, .write = remember, .context = &lines};
    start(&world, 1, 0);
    start_with(&world, 2, 0, TWO "version=0", &trace);
    run(&world, 20000);
    for (int i = 0; i < 3; i++) { /* new elections, more votes */
        for (uint32_t link = 0; link < world.links; link++)
            close_link(&world, link);
        run(&world, world.now_ms + 5000);
    }
    mk_buffer_append(&lines, "", 1);
    const char *first = strstr((const char *)lines.data, "another list");
    assert_non_null(first);
    assert_null(strstr(first + 1, "another list"));
    mk_buffer_fini(&lines);
    finish(&world);
}

static void a_server_that_is_not_listed_follows(void **state)
{
    (void)state;
    struct world world = {0};
    struct zab_learners learners;
    start_with(&world, 1, 0, TWO "version=0", NULL);
    start_with(&world, 2, 0, TWO "version=0", NULL);
    start_with(&world, 3, 0, TWO "server.3=c:1:2:participant\nversion=0", NULL);
    run(&world, 4000);
    zab_learners(world.nodes[1].zab, &learners);
    assert_int_equal(learners.linked, 2);
    assert_int_equal(learners.synced_followers, 1);
    assert_int_equal(learners.synced_without_vote, 1);
    finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_leader_knows_who_follows),
        cmocka_unit_test(counts_are_those_of_what_happened),
        cmocka_unit_test(a_tree_is_counted),
        cmocka_unit_test(a_server_that_is_not_listed_follows),
        cmocka_unit_test(lists_that_differ_are_named),
        cmocka_unit_test(groups_that_differ_are_named),
        cmocka_unit_test(it_is_said_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
