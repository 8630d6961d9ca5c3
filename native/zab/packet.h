/* SPDX-License-Identifier: MIT */
/* The packets between leader and learner: their numbers, and QuorumPacket from and to bytes
 * (quorum-protocol reference, 4). A packet has no length before it: its own fields delimit it. */
#ifndef ZAB_PACKET_H
#define ZAB_PACKET_H

#include "base/buffer.h"
#include "wire/ops.gen.h"

/* The numbers are facts of lua/moonkeeper/schema/events.lua. */
enum packet_type {
    PACKET_REQUEST = MK_PACKET_REQUEST,
    PACKET_PROPOSAL = MK_PACKET_PROPOSAL,
    PACKET_ACK = MK_PACKET_ACK,
    PACKET_COMMIT = MK_PACKET_COMMIT,
    PACKET_PING = MK_PACKET_PING,
    PACKET_REVALIDATE = MK_PACKET_REVALIDATE,
    PACKET_SYNC = MK_PACKET_SYNC,
    PACKET_INFORM = MK_PACKET_INFORM,
    PACKET_COMMIT_AND_ACTIVATE = MK_PACKET_COMMIT_AND_ACTIVATE,
    PACKET_NEW_LEADER = MK_PACKET_NEW_LEADER,
    PACKET_FOLLOWER_INFO = MK_PACKET_FOLLOWER_INFO,
    PACKET_UP_TO_DATE = MK_PACKET_UP_TO_DATE,
    PACKET_DIFF = MK_PACKET_DIFF,
    PACKET_TRUNC = MK_PACKET_TRUNC,
    PACKET_SNAP = MK_PACKET_SNAP,
    PACKET_OBSERVER_INFO = MK_PACKET_OBSERVER_INFO,
    PACKET_LEADER_INFO = MK_PACKET_LEADER_INFO,
    PACKET_ACK_EPOCH = MK_PACKET_ACK_EPOCH,
    PACKET_INFORM_AND_ACTIVATE = MK_PACKET_INFORM_AND_ACTIVATE
};

#define PACKET_PROTOCOL_VERSION 0x10000 /* ZAB 1.0: LEADERINFO and ACKEPOCH */
#define PACKET_SNAPSHOT_SIGNATURE "BenWasHere"

struct packet {
    int32_t type;
    int64_t zxid;
    struct mk_bytes data;       /* null: -1 */
    struct mk_bytes identities; /* the encoded vector<Id>, or null */
};

/* Looks at the start of `bytes`. 1: a packet, `consumed` bytes long, borrowing from them. 0: not
 * complete yet. MK_ERR_MARSHALLING or MK_ERR_TOO_LARGE (data above `data_max`): no packet. */
int packet_read(struct mk_bytes bytes, size_t data_max, struct packet *packet, size_t *consumed);
void packet_write(struct mk_buffer *buffer, const struct packet *packet);
/* "PROPOSAL" and so on, "an unknown packet" for other numbers. */
const char *packet_name(int32_t type);

#endif
