/* SPDX-License-Identifier: MIT */
/* What the files of an ensemble's network share. One struct peers, owned by the loop's thread:
 *   peers_socket.c    a connection: bytes in and out
 *   peers_dial.c      an attempt to reach an address
 *   peers_door.c      the two listening ports, and strangers until they said what they are
 *   election_hello.c  the first words on an election connection
 *   election_links.c  the connection of each pair of servers
 *   election_dials.c  which server is dialled when
 *   quorum_links.c    the links between leader and learners
 *   peers.c           the life of the whole, the timer, the updates */
#ifndef SERVER_PEERS_INT_H
#define SERVER_PEERS_INT_H

#include "base/buffer.h"
#include "base/quiet.h"
#include "base/rand.h"
#include "server/election_hello.h"
#include "server/peers.h"

#define PEER_HOST_BYTES 256
#define PEER_ADDRESS_BYTES 64 /* of a numeric address with port, as text */

#define PEERS_TRACE(peers, level, ...)                                                             \
    mk_trace((peers)->options.trace, MK_LEVEL_##level, "peers", __VA_ARGS__)

/* --- peers_socket.c ----------------------------------------------------------------------------
 */

struct peer_socket;

/* What the owner of a socket hears. After peer_socket_close it hears nothing more. */
struct peer_socket_use {
    void (*input)(struct peer_socket *socket);             /* more bytes at the end of `input` */
    void (*ended)(struct peer_socket *socket, int status); /* UV_EOF, or what broke it */
    void (*sent)(struct peer_socket *socket);              /* all that had to wait is sent */
};

struct peer_socket_unsent;

struct peer_socket {
    uv_tcp_t tcp;
    struct peers *peers;
    void *owner;
    const struct peer_socket_use *use;
    struct mk_buffer input;
    size_t taken; /* bytes at the front of `input` that are done with; the rest never moves while
                   * reading is stopped */
    struct peer_socket_unsent *unsent; /* output that the kernel did not take yet */
    bool reading, closed;
    char address[PEER_ADDRESS_BYTES]; /* of the other end: "host:port" */
    char host[PEER_ADDRESS_BYTES];    /* without the port */
};

/* A handle without connection, for uv_accept or uv_tcp_connect. */
struct peer_socket *peer_socket_new(struct peers *peers);
/* It is connected: finds out the address, sets the options. False when it is gone already. */
bool peer_socket_connected(struct peer_socket *socket);
/* For a connection whose other end always reads: if what was sent is not acknowledged for
 * connect_timeout_ms, it breaks, and a new attempt is made, which is not slowed down by the
 * retransmissions of a way that was cut. (A learner that makes a snapshot durable may well not read
 * for longer.) */
void peer_socket_watch(struct peer_socket *socket);
void peer_socket_own(struct peer_socket *socket, void *owner, const struct peer_socket_use *use);
void peer_socket_read(struct peer_socket *socket);
void peer_socket_stop_reading(struct peer_socket *socket);
static inline struct mk_bytes peer_socket_input(const struct peer_socket *socket)
{
    return mk_bytes_of(socket->input.data + socket->taken, socket->input.length - socket->taken);
}
/* Sends what is in `output`, and keeps its memory when the kernel does not take all: then `unsent`
 * is set until `sent` is called. Only while it is NULL. 0, or libuv's error. */
int peer_socket_send(struct peer_socket *socket, struct mk_buffer *output);
size_t peer_socket_unsent_bytes(const struct peer_socket *socket);
/* Frees it later. With `keep_input` its input stays until the next peers_perform is over. */
void peer_socket_close(struct peer_socket *socket, bool keep_input);

/* --- peers_dial.c ------------------------------------------------------------------------------
 */

struct peer_dial;

/* A socket that is connected, or NULL and libuv's error. The dial is gone when this is called. */
typedef void (*peer_dial_done)(void *owner, struct peer_socket *socket, int error);

/* Resolves the name and tries its addresses in turn, each for connect_timeout_ms. `done` is never
 * called before this returns. */
struct peer_dial *peer_dial_start(struct peers *peers, const char *host, uint16_t port,
                                  peer_dial_done done, void *owner);
/* `done` is not called any more. */
void peer_dial_cancel(struct peer_dial *dial);
void peer_dials_tick(struct peers *peers, int64_t now_ms);
int64_t peer_dials_deadline(const struct peers *peers);

/* --- peers_door.c ------------------------------------------------------------------------------
 */

/* Somebody at a door who has not said yet what it is. */
struct peer_stranger {
    struct peer_socket *socket;
    struct peer_door *door;
    struct peer_stranger *previous, *next; /* older, newer */
    int64_t since_ms;
};

struct peer_listener {
    uv_tcp_t tcp;
    struct peer_door *door;
};

/* One of the two ports. */
struct peer_door {
    struct peers *peers;
    const char *name; /* "election" or "quorum" */
    struct peer_listener **listeners;
    size_t listener_count;
    struct peer_stranger *oldest, *newest;
    uint32_t count;
    size_t hello_bytes_max;
    /* Looks at what a stranger said so far: leaves it, refuses it or takes its socket. */
    void (*look)(struct peer_stranger *stranger);
    struct mk_quiet refusals;
};

/* 0, or MK_ERR_BAD_CONFIG and `reason`. */
int peer_door_open(struct peer_door *door, const char *host, uint16_t port, char *reason,
                   size_t reason_size);
void peer_door_close(struct peer_door *door);
/* Looks at all of them again. */
void peer_door_look(struct peer_door *door);
/* Closes it, and says why unless there were many such lines. */
void peer_stranger_refuse(struct peer_stranger *stranger, const char *format, ...) MK_PRINTF(2, 3);
/* The stranger is known now: its socket goes to a new owner. */
struct peer_socket *peer_stranger_take(struct peer_stranger *stranger);
void peer_door_tick(struct peer_door *door, int64_t now_ms);
int64_t peer_door_deadline(const struct peer_door *door);

/* --- election_links.c, election_dials.c --------------------------------------------------------
 */

/* Another server, as far as elections go: a member, or one that said hello. */
struct election_peer {
    struct peers *peers;
    int64_t id;
    const struct peer_address *member; /* NULL: it is in no configuration */
    struct peer_socket *socket;        /* NULL: not connected */
    bool broken;                       /* sending failed; closed soon */
    int64_t connected_ms;
    struct mk_buffer waiting; /* the newest message that is not sent, with its length */
    /* Dialling: */
    struct peer_dial *dial;
    int64_t dial_at_ms; /* INT64_MAX: no attempt is due */
    int32_t retry_ms;   /* wait after the next failure */
    bool told;          /* that it cannot be reached */
    char dialled[PEER_HOST_BYTES + 8];
    char *hello_addresses;    /* of its last hello; NULL: none */
    struct mk_bytes hello_at; /* those of them that were not tried yet */
    struct mk_quiet twice;    /* lines that it may exist twice */
    struct mk_quiet changes;  /* lines that the connection begins or ends */
};

struct election_links {
    struct election_peer *peers[256]; /* by id; NULL: never heard of */
};

void election_links_init(struct peers *peers);
void election_look(struct peer_stranger *stranger);
void election_send(struct peers *peers, int64_t id, const uint8_t *message, size_t length);
/* This is the connection of the pair now. Feeds events. */
void election_link_adopt(struct election_peer *peer, struct peer_socket *socket);
/* Feeds ZAB_PEER_DOWN if it was up. */
void election_link_drop(struct election_peer *peer, const char *why);
void election_links_later(struct peers *peers); /* closes those that broke while sending */
void election_links_close(struct peers *peers);
void election_links_free(struct peers *peers);

/* This server dials it by itself. */
static inline bool election_is_wanted(const struct election_peer *peer)
{
    return peer->member && !peer->member->observer;
}
/* An attempt soon: now, or after a little chance. */
void election_dial_soon(struct election_peer *peer, int32_t within_ms);
/* For hello_addresses. */
char *election_copy_addresses(struct mk_bytes addresses);
/* It knocked: dial what it said. */
void election_dial_back(struct election_peer *peer, struct mk_bytes addresses);
/* All that are wanted: an election begins. */
void election_dial_all(struct peers *peers);
void election_dials_tick(struct peers *peers, int64_t now_ms);
int64_t election_dials_deadline(const struct peers *peers);

/* --- quorum_links.c ----------------------------------------------------------------------------
 */

struct quorum_link {
    struct peers *peers;
    struct peer_socket *socket;
    uint32_t number;
    bool dialled;
    bool paused;   /* zab reads no bytes of it now */
    bool feed_due; /* it does again */
    bool drained_due;
    bool broken; /* to be closed soon */
};

struct quorum_links {
    struct quorum_link **links; /* by number; NULL: free */
    uint32_t capacity, accepted;
    struct peer_dial *dial;
    bool refuse_due;      /* ZAB_LINK_REFUSED is to be fed */
    struct mk_quiet ends; /* lines that a learner closed its link */
};

void quorum_look(struct peer_stranger *stranger);
void quorum_links_dial(struct peers *peers, int64_t id);
/* The leader is not wanted any more. */
void quorum_links_dial_cancel(struct peers *peers);
void quorum_link_perform(struct peers *peers, uint32_t number);
void quorum_links_consumed(struct peers *peers, size_t consumed);
void quorum_links_later(struct peers *peers);
void quorum_links_close(struct peers *peers);
void quorum_links_free(struct peers *peers);

/* --- peers.c -----------------------------------------------------------------------------------
 */

struct peers {
    struct peers_options options; /* an owned copy, strings too */
    struct peers_callbacks callbacks;
    const struct peer_address *own;
    uv_timer_t timer;
    uv_idle_t later;
    bool later_due;
    int64_t timer_at_ms; /* INT64_MAX: not armed */
    int open;            /* handles and requests of libuv that are not closed yet */
    bool stopping;
    enum zab_role role;
    struct mk_rand rand;
    struct peer_door election_door, quorum_door;
    struct peer_dial *dials;
    struct election_links election;
    struct quorum_links quorum;
    struct mk_buffer *graves; /* input that an update may point into */
    size_t grave_count;
};

static inline int64_t peers_now(const struct peers *peers)
{
    return (int64_t)uv_now(peers->options.loop);
}

/* A handle or a request is open; the last one that closes after peers_stop frees the peers. */
static inline void peers_opened(struct peers *peers)
{
    peers->open++;
}
void peers_one_closed(struct peers *peers);
/* The timer shall look at that moment at the latest. */
void peers_wake_at(struct peers *peers, int64_t at_ms);
/* Something was found where nothing may be fed: the `_later` calls come in the next turn. */
void peers_later(struct peers *peers);
const struct peer_address *peers_member(const struct peers *peers, int64_t id);
size_t peers_feed(struct peers *peers, struct zab_event *event);

#endif
