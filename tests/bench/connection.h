/* SPDX-License-Identifier: MIT */
/* Client connections of the load generator: one epoll descriptor, one thread, no library.
 * The modes (load, tree, watch) fill frames into a connection's output, send them in one write,
 * and get called for each reply in the order in which the requests were sent. A reply out of
 * order or a lost connection ends the program: a benchmark of wrong answers is worth nothing. */
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include "frames.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct connection;

/* One request in flight; `kind` is the operation, `since_ns` where its latency starts. */
struct slot {
    uint64_t since_ns;
    int32_t xid;
    int32_t kind;
};

/* What a mode wants to hear; `context` is its own. Any of them may be NULL. */
struct handler {
    void *context;
    /* A reply; the body is what follows the 16-byte header. */
    void (*on_reply)(void *context, struct connection *connection, const struct slot *slot,
                     int32_t err, const uint8_t *body, size_t body_bytes, uint64_t now_ns);
    /* A watch event. */
    void (*on_event)(void *context, struct connection *connection, uint64_t now_ns);
    /* All frames of one read have been handled: the moment to send new requests. */
    void (*on_batch)(void *context, struct connection *connection, uint64_t now_ns);
};

enum connection_state { CONNECTION_CLOSED, CONNECTION_OPENING, CONNECTION_READY };

struct connection {
    int fd;
    uint32_t index;
    enum connection_state state;
    bool waits_for_room; /* EPOLLOUT is armed */
    bool closing;
    int32_t xid_last;
    uint32_t slot_mask; /* ring size minus one */
    uint32_t sent;      /* requests ever sent; the ring index is this value and slot_mask */
    uint32_t answered;
    struct slot *slots;
    uint8_t *partial; /* the first part of a frame whose rest has not come yet */
    uint32_t partial_bytes, partial_room;
    uint8_t *output; /* frames not yet given to the kernel */
    uint32_t output_bytes, output_room;
    uint64_t last_sent_ns;
};

/* All connections of the process. */
struct pool {
    int epoll_fd;
    struct sockaddr_storage address;
    socklen_t address_bytes;
    uint32_t session_timeout_ms;
    struct connection *connections;
    uint32_t count;
    uint32_t opening, ready;
    uint8_t *input;
    const struct handler *handler;
    /* Where kernel_times is set before pool_open: wall-clock time in nanoseconds at which the
     * kernel received the bytes that are being handled. */
    bool kernel_times;
    uint64_t arrived_ns;
};

/* Prints to stderr and ends the process with 1. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Monotonic time in nanoseconds. */
uint64_t now_ns(void);

/* Wall-clock time in nanoseconds, to compare with arrived_ns. */
uint64_t wall_ns(void);

/* Opens `count` connections with a session each, some dozens at a time (servers have short accept
 * queues), and returns when all have their session. Each can have `in_flight_max` requests in
 * flight. Fails the process when that takes more than a minute. The caller has zeroed the pool,
 * apart from kernel_times. */
void pool_open(struct pool *pool, const char *host_port, uint32_t count, uint32_t in_flight_max,
               uint32_t session_timeout_ms);

/* Ends all sessions (so that none expires in the middle of a later measurement) and frees. */
void pool_close(struct pool *pool);

/* Waits at most `wait_ns` for the network and runs the handler for what came; returns how many
 * connections had something. */
int pool_turn(struct pool *pool, uint64_t wait_ns);

/* Sends a ping on every connection from index `first` on that has sent nothing for a third of
 * the session timeout. Call it some ten times a second. */
void pool_ping_idle(struct pool *pool, uint32_t first, uint64_t now);

/* Requests in flight on a connection. */
static inline uint32_t connection_in_flight(const struct connection *self)
{
    return self->sent - self->answered;
}

/* Room for one frame of exactly `frame_bytes` (length prefix included) at the end of the output.
 * The caller fills it, apart from the xid, and then calls connection_queue. */
uint8_t *connection_reserve(struct connection *self, uint32_t frame_bytes);

/* Takes the reserved frame into the output: patches the xid, remembers it for the reply. */
void connection_queue(struct connection *self, uint8_t *frame, uint32_t frame_bytes, int32_t kind,
                      uint64_t since_ns);

/* Gives the output to the kernel in one write; the rest follows by itself when there is room. */
void connection_flush(struct pool *pool, struct connection *self, uint64_t now);

/* Queues and sends a request that has a header only (ping, closeSession). */
void connection_send_bare(struct pool *pool, struct connection *self, int32_t op, uint64_t now);

#endif
