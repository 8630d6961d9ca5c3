/* SPDX-License-Identifier: MIT */
/* Fuzzes the start of a connection: the input is what a client sends, first byte apart, which says
 * in what pieces it arrives. A replica that gets the bytes whole and one that gets them in
 * pieces must do the same: same output, same end, same words, same log. A session with a
 * known id and password is there to be resumed. */
#include "base/mem.h"
#include "replica/replica.h"

#define STEPS_MAX 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct replica *replica;
    struct replica_update update;
    struct mk_buffer output;
    struct mk_buffer kept; /* sent, not consumed */
    bool ended;
    uint32_t commands;
    char word[5];
    uint64_t mask;
    int64_t durable_zxid, logged_zxid;
    int steps;
};

static void step(struct run *run, struct replica_event event)
{
    MK_ASSERT(++run->steps < STEPS_MAX);
    event.now_ms = 1000;
    event.wall_ms = 0x0f2e85;
    replica_step(run->replica, &event, &run->update);
}

/* Performs updates until nothing is left. */
static void settle(struct run *run)
{
    struct replica_update *update = &run->update;
    while (update->touched_count || update->log_count || update->command_count || update->again) {
        if (update->again)
            step(run, (struct replica_event){.type = REPLICA_CONTINUE});
        if (update->log_count)
            run->logged_zxid = update->log[update->log_count - 1].zxid;
        for (size_t i = 0; i < update->command_count; i++, run->commands++) {
            memcpy(run->word, update->commands[i].word, 5);
            run->mask = update->commands[i].mask;
        }
        replica_update_clear(run->replica, update);
        struct replica_link *link = replica_link(run->replica, 0);
        if (link && !run->ended) {
            bool had_output = link->output.length > 0;
            mk_buffer_append(&run->output, link->output.data, link->output.length);
            mk_buffer_clear(&link->output);
            if (link->closing) {
                run->ended = true;
                step(run, (struct replica_event){.type = REPLICA_DISCONNECT});
            } else if (link->paused && had_output) {
                step(run, (struct replica_event){.type = REPLICA_DRAINED});
            }
        }
        if (run->logged_zxid > run->durable_zxid) {
            run->durable_zxid = run->logged_zxid;
            step(run, (struct replica_event){.type = REPLICA_DURABLE, .zxid = run->durable_zxid});
        }
    }
}

static void feed_kept(struct run *run)
{
    for (;;) {
        settle(run);
        const struct replica_link *link = replica_link(run->replica, 0);
        if (run->ended || !link || link->paused || run->kept.length == 0)
            return;
        step(run,
             (struct replica_event){.type = REPLICA_BYTES, .bytes = mk_buffer_bytes(&run->kept)});
        size_t consumed = run->update.consumed;
        MK_ASSERT(consumed <= run->kept.length);
        mk_buffer_consume(&run->kept, consumed);
        if (consumed == 0 && !replica_link(run->replica, 0)->paused) {
            settle(run);
            return; /* it waits for more */
        }
    }
}

static void begin(struct run *run)
{
    struct replica_options options;
    replica_options_init(&options);
    options.frame_bytes_max = 4096;
    options.requests_in_flight_max = 4;
    options.output_pause_bytes = 256;
    options.command_words = "ruoksrvrstmk";
    *run = (struct run){.replica = replica_new(&options)};
    replica_update_init(&run->update);
    step(run, (struct replica_event){.type = REPLICA_START});
    /* The session 0x0100000f2e850000 is made by connection 0, which then leaves. */
    static const uint8_t connect[49] = {0, 0, 0, 45, [18] = 0x27, [19] = 0x10, [31] = 16};
    step(run, (struct replica_event){.type = REPLICA_CONNECT, .bytes = MK_BYTES("127.0.0.1")});
    step(run, (struct replica_event){.type = REPLICA_BYTES, .bytes = mk_bytes_of(connect, 49)});
    settle(run);
    MK_ASSERT(run->output.length == 41);
    step(run, (struct replica_event){.type = REPLICA_DISCONNECT});
    settle(run);
    mk_buffer_clear(&run->output);
    step(run, (struct replica_event){.type = REPLICA_CONNECT, .bytes = MK_BYTES("127.0.0.1")});
}

/* The one place where pieces may matter: stmk ends the connection unless its mask came with it. */
static size_t uncut_bytes(const uint8_t *data, size_t size)
{
    return size >= 12 && memcmp(data, "stmk", 4) == 0 ? 12 : 0;
}

static void run_pieces(struct run *run, const uint8_t *data, size_t size, uint8_t pieces)
{
    begin(run);
    uint32_t chance = pieces;
    size_t uncut = uncut_bytes(data, size);
    while (size > 0 && !run->ended) {
        size_t piece = size;
        if (pieces == 1) {
            piece = 1;
        } else if (pieces) {
            chance = chance * 1103515245u + 12345u;
            piece = MK_MIN(size, 1 + (chance >> 16) % pieces);
        }
        piece = MK_MAX(piece, uncut);
        uncut = 0;
        mk_buffer_append(&run->kept, data, piece);
        feed_kept(run);
        data += piece;
        size -= piece;
    }
    tree_check(replica_tree(run->replica));
}

static void end(struct run *run)
{
    replica_free(run->replica);
    replica_update_fini(&run->update);
    mk_buffer_fini(&run->output);
    mk_buffer_fini(&run->kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 20000)
        return 0;
    struct run whole, pieces;
    run_pieces(&whole, data + 1, size - 1, 0);
    run_pieces(&pieces, data + 1, size - 1, data[0] ? data[0] : 1);
    MK_ASSERT(whole.ended == pieces.ended);
    MK_ASSERT(whole.commands == pieces.commands && whole.commands <= 1);
    MK_ASSERT(memcmp(whole.word, pieces.word, 5) == 0 && whole.mask == pieces.mask);
    MK_ASSERT(whole.logged_zxid == pieces.logged_zxid);
    MK_ASSERT(tree_digest(replica_tree(whole.replica)) ==
              tree_digest(replica_tree(pieces.replica)));
    /* Answers of the turn in which a bad frame came are thrown away with it. */
    size_t same = MK_MIN(whole.output.length, pieces.output.length);
    MK_ASSERT(whole.ended || whole.output.length == pieces.output.length);
    MK_ASSERT(same == 0 || memcmp(whole.output.data, pieces.output.data, same) == 0);
    MK_ASSERT(whole.ended || whole.kept.length == pieces.kept.length);
    end(&whole);
    end(&pieces);
    return 0;
}
