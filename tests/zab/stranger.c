/* SPDX-License-Identifier: MIT */
/* Somebody who is no member, on the ports of a server (fault N12): bytes that are no packet,
 * packets that nobody asked for, unknown ids with epochs far ahead, votes that cannot be read. None
 * of it may change anything: the run goes on under all checks. Called by fault.c. */
#include "tests/zab/sim.h"

#define TALK_MAX 6

static void append_packet(struct sim *sim, struct mk_buffer *bytes)
{
    static const int32_t types[] = {PACKET_ACK,     PACKET_ACK_EPOCH, PACKET_PROPOSAL,
                                    PACKET_REQUEST, PACKET_PING,      PACKET_NEW_LEADER,
                                    PACKET_COMMIT,  PACKET_UP_TO_DATE};
    uint8_t data[20];
    mk_store_u64(data, 220 + sim_below(sim, 30)); /* members' ids are lower */
    mk_store_u32(data + 8, sim_one_in(sim, 4) ? 1 : PACKET_PROTOCOL_VERSION);
    mk_store_u64(data + 12, sim_one_in(sim, 4) ? 1 : 0);
    struct packet packet = {.identities = MK_BYTES_NULL, .data = mk_bytes_of(data, sizeof data)};
    if (sim_one_in(sim, 2)) {
        packet.type = sim_one_in(sim, 2) ? PACKET_FOLLOWER_INFO : PACKET_OBSERVER_INFO;
        packet.zxid =
            (int64_t)(sim_one_in(sim, 2) ? sim_below(sim, 100) : 0x7fffffff - sim_below(sim, 40))
            << 32;
    } else {
        packet.type = types[sim_below(sim, MK_ARRAY_LENGTH(types))];
        packet.zxid = (int64_t)mk_rand_next(&sim->rand);
        if (sim_one_in(sim, 2))
            packet.data = mk_bytes_of(data, (size_t)sim_below(sim, sizeof data));
    }
    packet_write(bytes, &packet);
}

static void append_garbage(struct sim *sim, struct mk_buffer *bytes)
{
    size_t count = 1 + (size_t)sim_below(sim, 60);
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = (uint8_t)mk_rand_next(&sim->rand);
        mk_buffer_append(bytes, &byte, 1);
    }
}

/* A whole short life of a link, which the sim's wires do not know. */
static void talk(struct node *node, uint32_t number)
{
    struct sim *sim = node->sim;
    struct mk_buffer bytes = MK_BUFFER_EMPTY;
    node_feed(node, &(struct zab_event){.type = ZAB_LINK_ACCEPTED,
                                        .link = number,
                                        .bytes = MK_BYTES("192.0.2.7:4711")});
    for (uint64_t words = 1 + sim_below(sim, TALK_MAX); words > 0; words--) {
        if (sim_one_in(sim, 4))
            append_garbage(sim, &bytes);
        else
            append_packet(sim, &bytes);
        struct zab_link *link = zab_link(node->zab, number);
        if (!link || link->closing || sim->failed)
            break;
        node->stranger_consumed = 0;
        node->stranger_talks = true;
        node_feed(node, &(struct zab_event){.type = ZAB_LINK_BYTES,
                                            .link = number,
                                            .bytes = mk_buffer_bytes(&bytes)});
        node->stranger_talks = false;
        mk_buffer_consume(&bytes, node->stranger_consumed);
    }
    mk_buffer_fini(&bytes);
    node_feed(node, &(struct zab_event){.type = ZAB_LINK_DOWN, .link = number});
}

void stranger_come(struct node *node)
{
    struct sim *sim = node->sim;
    if (!node->up || node->paused_until > sim->now)
        return;
    sim->marks[MARK_STRANGERS]++;
    sim_say(sim, node, "A STRANGER COMES");
    if (sim_one_in(sim, 3)) {
        struct mk_buffer bytes = MK_BUFFER_EMPTY;
        append_garbage(sim, &bytes);
        node_feed(node,
                  &(struct zab_event){.type = ZAB_PEER_MESSAGE,
                                      .server = sim->nodes[sim_below(sim, sim->node_count)].id,
                                      .bytes = mk_buffer_bytes(&bytes)});
        mk_buffer_fini(&bytes);
        return;
    }
    for (uint32_t number = 0; number < NUMBERS_MAX; number++) {
        if (node->links[number].used)
            continue;
        node->links[number].used = node->links[number].stranger = true;
        talk(node, number);
        node->links[number].used = node->links[number].stranger = false;
        return;
    }
}
