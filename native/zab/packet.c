/* SPDX-License-Identifier: MIT */
/* QuorumPacket to and from bytes (quorum-protocol reference, 4). Called by link.c with whatever
 * a peer has sent so far. Borrows from its input and owns nothing. It must never read beyond what
 * is there, and must never wait for bytes that it would refuse in the end: a length is judged as
 * soon as it is seen, so what the host buffers for one packet is bounded. */
#include "zab/packet.h"

#include "wire/errors.gen.h"
#include "wire/jute.h"

#define HEAD_BYTES 16            /* type, zxid, length of the data */
#define COUNT_BYTES 4            /* of the vector */
#define IDENTITY_BYTES 8         /* two empty strings: the least that an Id takes */
#define IDENTITIES_MAX (1 << 20) /* bytes of all identities of one client [ours] */

/* Measures the vector<Id> at the start of `bytes`. 1: it is `*size` bytes long; 0: not complete
 * yet; negative: it never will be one. */
static int measure_identities(struct mk_bytes bytes, size_t *size)
{
    size_t left = mk_bytes_size(bytes);
    if (left < COUNT_BYTES)
        return 0;
    int32_t count = (int32_t)mk_load_u32(bytes.data);
    if (count < -1)
        return MK_ERR_MARSHALLING;
    if (count > IDENTITIES_MAX / IDENTITY_BYTES)
        return MK_ERR_TOO_LARGE;
    size_t at = COUNT_BYTES;
    for (int64_t strings = 2 * (int64_t)count; strings > 0; strings--) {
        if (left - at < 4)
            return 0;
        int32_t length = (int32_t)mk_load_u32(bytes.data + at);
        if (length < -1)
            return MK_ERR_MARSHALLING;
        at += 4;
        if (at + (size_t)MK_MAX(length, 0) > IDENTITIES_MAX)
            return MK_ERR_TOO_LARGE;
        if (length > 0 && left - at < (size_t)length)
            return 0;
        at += (size_t)MK_MAX(length, 0);
    }
    *size = at;
    return 1;
}

int packet_read(struct mk_bytes bytes, size_t data_max, struct packet *packet, size_t *consumed)
{
    size_t left = mk_bytes_size(bytes);
    if (left < HEAD_BYTES)
        return 0;
    int32_t length = (int32_t)mk_load_u32(bytes.data + 12);
    if (length < -1)
        return MK_ERR_MARSHALLING;
    if (length > 0 && (size_t)length > data_max)
        return MK_ERR_TOO_LARGE;
    size_t data_size = (size_t)MK_MAX(length, 0);
    if (left - HEAD_BYTES < data_size)
        return 0;
    size_t at = HEAD_BYTES + data_size;
    struct mk_bytes tail = mk_bytes_of(bytes.data + at, left - at);
    size_t size = 0;
    int result = measure_identities(tail, &size);
    if (result != 1)
        return result;
    *packet = (struct packet){
        .type = (int32_t)mk_load_u32(bytes.data),
        .zxid = (int64_t)mk_load_u64(bytes.data + 4),
        .data = length < 0 ? MK_BYTES_NULL : mk_bytes_of(bytes.data + HEAD_BYTES, data_size),
        .identities =
            (int32_t)mk_load_u32(tail.data) < 0 ? MK_BYTES_NULL : mk_bytes_of(tail.data, size)};
    *consumed = at + size;
    return 1;
}

void packet_write(struct mk_buffer *buffer, const struct packet *packet)
{
    size_t identities = mk_bytes_size(packet->identities);
    size_t size = HEAD_BYTES + mk_bytes_size(packet->data) + MK_MAX(identities, COUNT_BYTES);
    uint8_t *at = mk_buffer_reserve(buffer, size);
    at = mk_store_int(at, packet->type);
    at = mk_store_long(at, packet->zxid);
    at = mk_store_bytes(at, packet->data);
    if (identities) {
        memcpy(at, packet->identities.data, identities);
        at += identities;
    } else { /* no encoding of a vector is empty */
        at = mk_store_int(at, -1);
    }
    mk_buffer_stored(buffer, at);
}

const char *packet_name(int32_t type)
{
    static const char *const names[] = {
        [PACKET_REQUEST] = "REQUEST",
        [PACKET_PROPOSAL] = "PROPOSAL",
        [PACKET_ACK] = "ACK",
        [PACKET_COMMIT] = "COMMIT",
        [PACKET_PING] = "PING",
        [PACKET_REVALIDATE] = "REVALIDATE",
        [PACKET_SYNC] = "SYNC",
        [PACKET_INFORM] = "INFORM",
        [PACKET_COMMIT_AND_ACTIVATE] = "COMMITANDACTIVATE",
        [PACKET_NEW_LEADER] = "NEWLEADER",
        [PACKET_FOLLOWER_INFO] = "FOLLOWERINFO",
        [PACKET_UP_TO_DATE] = "UPTODATE",
        [PACKET_DIFF] = "DIFF",
        [PACKET_TRUNC] = "TRUNC",
        [PACKET_SNAP] = "SNAP",
        [PACKET_OBSERVER_INFO] = "OBSERVERINFO",
        [PACKET_LEADER_INFO] = "LEADERINFO",
        [PACKET_ACK_EPOCH] = "ACKEPOCH",
        [PACKET_INFORM_AND_ACTIVATE] = "INFORMANDACTIVATE",
    };
    if (type < PACKET_REQUEST || (size_t)type >= MK_ARRAY_LENGTH(names))
        return "an unknown packet";
    return names[type];
}
