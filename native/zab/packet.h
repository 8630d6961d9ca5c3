/* SPDX-License-Identifier: MIT */
/* The packets between leader and learner: their numbers, and QuorumPacket from and to bytes
 * (quorum-protocol reference, 4). A packet has no length before it: its own fields delimit it. */
#ifndef ZAB_PACKET_H
#define ZAB_PACKET_H

#include "base/buffer.h"

enum packet_type {
    PACKET_REQUEST = 1,
    PACKET_PROPOSAL = 2,
    PACKET_ACK = 3,
    PACKET_COMMIT = 4,
    PACKET_PING = 5,
    PACKET_REVALIDATE = 6,
    PACKET_SYNC = 7,
    PACKET_INFORM = 8,
    PACKET_COMMIT_AND_ACTIVATE = 9,
    PACKET_NEW_LEADER = 10,
    PACKET_FOLLOWER_INFO = 11,
    PACKET_UP_TO_DATE = 12,
    PACKET_DIFF = 13,
    PACKET_TRUNC = 14,
    PACKET_SNAP = 15,
    PACKET_OBSERVER_INFO = 16,
    PACKET_LEADER_INFO = 17,
    PACKET_ACK_EPOCH = 18,
    PACKET_INFORM_AND_ACTIVATE = 19
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
