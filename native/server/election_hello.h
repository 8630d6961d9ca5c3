/* SPDX-License-Identifier: MIT */
/* What the dialling side of an election connection says first, and which of two servers keeps the
 * connection (quorum-protocol reference, 1.1 and 1.2). Pure functions over bytes: used by
 * election_links.c, unit tests and a fuzzer. */
#ifndef SERVER_ELECTION_HELLO_H
#define SERVER_ELECTION_HELLO_H

#include "base/buffer.h"

#define ELECTION_HELLO_ADDRESS_BYTES_MAX 2048
#define ELECTION_HELLO_BYTES_MAX (8 + 8 + 4 + ELECTION_HELLO_ADDRESS_BYTES_MAX)
#define ELECTION_MESSAGE_BYTES_MAX 524288

struct election_hello {
    int64_t id;
    /* "host:port", several joined with '|'; null from servers before 3.5. Borrowed. */
    struct mk_bytes addresses;
};

/* Reads one from the front of what has arrived: its length, 0 for more bytes, or MK_ERR_CORRUPT
 * with *reason. Takes both versions and the id alone of old servers. */
int election_hello_read(const uint8_t *data, size_t size, struct election_hello *hello,
                        const char **reason);
/* Appends version 1, the one that every release reads (hazard 3720). */
void election_hello_write(struct mk_buffer *buffer, int64_t id, const char *host, uint16_t port);

/* Takes the next usable address off the front of `addresses`: wildcards, and what is no address,
 * are passed over (hazard 2164). False when there is none. */
bool election_hello_next_address(struct mk_bytes *addresses, char *host, size_t host_size,
                                 uint16_t *port);

enum election_tie {
    ELECTION_KEEP,      /* this is the connection of the pair; an older one is dropped */
    ELECTION_WAIT,      /* close it; the other server, whose id is larger, dials */
    ELECTION_DIAL_BACK, /* close it and an older one; dial the other server */
    ELECTION_SAME_ID    /* refuse it: two servers with one id */
};

enum election_tie election_tie(bool dialled, int64_t own_id, int64_t other_id);

/* Looks at the front of what has arrived: the message there, without its length. Returns the bytes
 * it took with its length, 0 for more bytes, MK_ERR_CORRUPT for an impossible length. */
int election_message_read(const uint8_t *data, size_t size, struct mk_bytes *message);

#endif
