/* SPDX-License-Identifier: MIT */
/* Client connections of the load generator over epoll. Called by the modes; owns sockets, the
 * ring of requests in flight, and partial frames. It never blocks outside pool_turn, and never
 * goes on after a protocol error. */
#include "connection.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define OPENING_MAX 32
#define OPEN_SECONDS_MAX 60
#define CLOSE_SECONDS_MAX 10
#define INPUT_BYTES (4u << 20)
#define EVENTS_MAX 512

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench_load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t wall_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void *grow(void *memory, size_t bytes)
{
    void *result = realloc(memory, bytes);
    if (result == NULL) {
        fail("out of memory");
    }
    return result;
}

static void resolve(struct pool *pool, const char *host_port)
{
    char host[256];
    const char *colon = strrchr(host_port, ':');
    if (colon == NULL || (size_t)(colon - host_port) >= sizeof host) {
        fail("'%s' is not HOST:PORT", host_port);
    }
    memcpy(host, host_port, (size_t)(colon - host_port));
    host[colon - host_port] = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host, colon + 1, &hints, &found);
    if (error != 0) {
        fail("%s: %s", host_port, gai_strerror(error));
    }
    memcpy(&pool->address, found->ai_addr, found->ai_addrlen);
    pool->address_bytes = found->ai_addrlen;
    freeaddrinfo(found);
}

static void set_interest(struct pool *pool, struct connection *self, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = self};
    if (epoll_ctl(pool->epoll_fd, operation, self->fd, &event) != 0) {
        fail("epoll_ctl: %s", strerror(errno));
    }
}

uint8_t *connection_reserve(struct connection *self, uint32_t frame_bytes)
{
    uint32_t needed = self->output_bytes + frame_bytes;
    if (needed > self->output_room) {
        self->output_room = needed < 256 ? 256 : needed * 2;
        self->output = grow(self->output, self->output_room);
    }
    return self->output + self->output_bytes;
}

void connection_queue(struct connection *self, uint8_t *frame, uint32_t frame_bytes, int32_t kind,
                      uint64_t since_ns)
{
    int32_t xid = kind == OP_PING ? XID_PING : ++self->xid_last;
    put_i32(frame + 4, xid);
    struct slot *slot = &self->slots[self->sent & self->slot_mask];
    slot->xid = xid;
    slot->kind = kind;
    slot->since_ns = since_ns;
    self->sent++;
    self->output_bytes += frame_bytes;
}

void connection_flush(struct pool *pool, struct connection *self, uint64_t now)
{
    if (self->waits_for_room || self->output_bytes == 0) {
        return;
    }
    ssize_t sent = send(self->fd, self->output, self->output_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
        if (errno != EAGAIN) {
            fail("connection %u: send: %s", self->index, strerror(errno));
        }
        sent = 0;
    }
    self->last_sent_ns = now;
    self->output_bytes -= (uint32_t)sent;
    if (self->output_bytes > 0) {
        memmove(self->output, self->output + sent, self->output_bytes);
        set_interest(pool, self, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
        self->waits_for_room = true;
    }
}

void connection_send_bare(struct pool *pool, struct connection *self, int32_t op, uint64_t now)
{
    uint8_t *frame = connection_reserve(self, 12);
    put_u32(frame, REQUEST_HEADER_BYTES);
    put_i32(frame + 8, op);
    connection_queue(self, frame, 12, op, now);
    connection_flush(pool, self, now);
}

static void start_handshake(struct pool *pool, struct connection *self)
{
    uint8_t frame[4 + CONNECT_REQUEST_BYTES] = {0};
    uint8_t *at = put_u32(frame, CONNECT_REQUEST_BYTES);
    at = put_i32(at, 0);                                 /* protocol version */
    at = put_i64(at, 0);                                 /* last zxid seen */
    at = put_i32(at, (int32_t)pool->session_timeout_ms); /* wished timeout */
    at = put_i64(at, 0);                                 /* a new session */
    put_u32(at, 16);                                     /* password of zeroes, not read-only */
    if (send(self->fd, frame, sizeof frame, MSG_NOSIGNAL) != (ssize_t)sizeof frame) {
        fail("connection %u: handshake: %s", self->index, strerror(errno));
    }
    self->last_sent_ns = now_ns();
}

static void connection_open(struct pool *pool, struct connection *self)
{
    int family = pool->address.ss_family;
    self->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->fd < 0) {
        fail("socket: %s", strerror(errno));
    }
    int one = 1;
    setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (pool->kernel_times &&
        setsockopt(self->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) != 0) {
        fail("SO_TIMESTAMPNS: %s", strerror(errno));
    }
    const struct sockaddr *address = (const struct sockaddr *)&pool->address;
    if (connect(self->fd, address, pool->address_bytes) != 0 && errno != EINPROGRESS) {
        fail("connect: %s", strerror(errno));
    }
    self->state = CONNECTION_OPENING;
    pool->opening++;
    self->waits_for_room = true; /* until connected */
    set_interest(pool, self, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

/* The socket can be written: the connection stands, or there is room for the rest of the output. */
static void handle_writable(struct pool *pool, struct connection *self)
{
    set_interest(pool, self, EPOLL_CTL_MOD, EPOLLIN);
    self->waits_for_room = false;
    if (self->state == CONNECTION_READY) {
        connection_flush(pool, self, now_ns());
        return;
    }
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) {
        fail("connection %u: connect: %s", self->index, strerror(error));
    }
    start_handshake(pool, self);
}

static void handle_connect_reply(struct pool *pool, struct connection *self, const uint8_t *frame,
                                 size_t bytes)
{
    if (bytes < 36 || get_i32(frame + 4) <= 0) {
        fail("connection %u: the server refused a session", self->index);
    }
    self->state = CONNECTION_READY;
    pool->opening--;
    pool->ready++;
}

static void handle_frame(struct pool *pool, struct connection *self, const uint8_t *frame,
                         size_t bytes, uint64_t now)
{
    const struct handler *handler = pool->handler;
    if (self->state == CONNECTION_OPENING) {
        handle_connect_reply(pool, self, frame, bytes);
        return;
    }
    if (bytes < REPLY_HEADER_BYTES) {
        fail("connection %u: a reply of %zu bytes", self->index, bytes);
    }
    int32_t xid = get_i32(frame);
    if (xid == XID_EVENT) {
        if (handler != NULL && handler->on_event != NULL) {
            handler->on_event(handler->context, self, now);
        }
        return;
    }
    const struct slot *slot = &self->slots[self->answered & self->slot_mask];
    if (connection_in_flight(self) == 0 || slot->xid != xid) {
        fail("connection %u: a reply with xid %d is out of order", self->index, (int)xid);
    }
    self->answered++;
    if (handler != NULL && handler->on_reply != NULL) {
        handler->on_reply(handler->context, self, slot, get_i32(frame + 12),
                          frame + REPLY_HEADER_BYTES, bytes - REPLY_HEADER_BYTES, now);
    }
}

/* Cuts the input into frames; what is left of a frame stays with the connection. */
static void handle_input(struct pool *pool, struct connection *self, size_t bytes, uint64_t now)
{
    const uint8_t *at = pool->input;
    const uint8_t *end = pool->input + bytes;
    while (end - at >= 4) {
        uint32_t length = get_u32(at);
        if (length > FRAME_BYTES_MAX) {
            fail("connection %u: a frame of %u bytes", self->index, length);
        }
        if ((size_t)(end - at) < 4 + (size_t)length) {
            break;
        }
        handle_frame(pool, self, at + 4, length, now);
        at += 4 + (size_t)length;
    }
    self->partial_bytes = (uint32_t)(end - at);
    if (self->partial_bytes > self->partial_room) {
        self->partial_room = self->partial_bytes * 2;
        self->partial = grow(self->partial, self->partial_room);
    }
    if (self->partial_bytes > 0) {
        memcpy(self->partial, at, self->partial_bytes);
    }
}

/* As recv, and learns when the kernel got the bytes. */
static ssize_t receive_with_time(struct pool *pool, int fd, uint8_t *at, size_t room)
{
    union {
        struct cmsghdr header;
        uint8_t bytes[128];
    } control;
    struct iovec part = {.iov_base = at, .iov_len = room};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT);
    pool->arrived_ns = 0;
    for (struct cmsghdr *at_header = CMSG_FIRSTHDR(&message); got > 0 && at_header != NULL;
         at_header = CMSG_NXTHDR(&message, at_header)) {
        if (at_header->cmsg_level == SOL_SOCKET && at_header->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec time;
            memcpy(&time, CMSG_DATA(at_header), sizeof time);
            pool->arrived_ns = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
        }
    }
    return got;
}

static void handle_readable(struct pool *pool, struct connection *self)
{
    if (self->partial_bytes > 0) {
        memcpy(pool->input, self->partial, self->partial_bytes);
    }
    size_t have = self->partial_bytes;
    uint8_t *at = pool->input + have;
    ssize_t got = pool->kernel_times ? receive_with_time(pool, self->fd, at, INPUT_BYTES - have)
                                     : recv(self->fd, at, INPUT_BYTES - have, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        if (!self->closing) {
            fail("connection %u: closed by the server (%s)", self->index,
                 got < 0 ? strerror(errno) : "end of stream");
        }
        close(self->fd);
        self->state = CONNECTION_CLOSED;
        pool->ready--;
        return;
    }
    uint64_t now = now_ns();
    handle_input(pool, self, have + (size_t)got, now);
    if (pool->handler != NULL && pool->handler->on_batch != NULL &&
        self->state == CONNECTION_READY) {
        pool->handler->on_batch(pool->handler->context, self, now);
    }
}

int pool_turn(struct pool *pool, uint64_t wait_ns)
{
    struct epoll_event events[EVENTS_MAX];
    struct timespec timeout = {.tv_sec = (time_t)(wait_ns / 1000000000u),
                               .tv_nsec = (long)(wait_ns % 1000000000u)};
    int count = epoll_pwait2(pool->epoll_fd, events, EVENTS_MAX, &timeout, NULL);
    if (count < 0) {
        if (errno != EINTR) {
            fail("epoll_pwait2: %s", strerror(errno));
        }
        return 0;
    }
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
            handle_readable(pool, connection);
        }
        if ((events[i].events & EPOLLOUT) && connection->state != CONNECTION_CLOSED) {
            handle_writable(pool, connection);
        }
    }
    return count;
}

void pool_open(struct pool *pool, const char *host_port, uint32_t count, uint32_t in_flight_max,
               uint32_t session_timeout_ms)
{
    resolve(pool, host_port);
    pool->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    pool->session_timeout_ms = session_timeout_ms;
    pool->input = grow(NULL, INPUT_BYTES);
    pool->connections = calloc(count, sizeof *pool->connections);
    if (pool->connections == NULL || pool->epoll_fd < 0) {
        fail("out of memory or descriptors");
    }
    pool->count = count;
    uint32_t ring = 4;
    while (ring < in_flight_max + 2) { /* room for a ping and the goodbye */
        ring *= 2;
    }
    uint64_t deadline = now_ns() + OPEN_SECONDS_MAX * 1000000000ull;
    uint32_t next = 0;
    while (pool->ready < count) {
        while (next < count && pool->opening < OPENING_MAX) {
            struct connection *connection = &pool->connections[next];
            connection->index = next++;
            connection->slot_mask = ring - 1;
            connection->slots = grow(NULL, ring * sizeof *connection->slots);
            connection_open(pool, connection);
        }
        pool_turn(pool, 100000000u);
        uint64_t now = now_ns();
        if (now > deadline) {
            fail("only %u of %u sessions after %d s", pool->ready, count, OPEN_SECONDS_MAX);
        }
        pool_ping_idle(pool, 0, now);
    }
}

void pool_ping_idle(struct pool *pool, uint32_t first, uint64_t now)
{
    uint64_t limit = (uint64_t)pool->session_timeout_ms * 1000000u / 3;
    for (uint32_t i = first; i < pool->count; i++) {
        struct connection *connection = &pool->connections[i];
        if (connection->state == CONNECTION_READY && now - connection->last_sent_ns > limit &&
            connection_in_flight(connection) == 0) {
            connection_send_bare(pool, connection, OP_PING, now);
        }
    }
}

void pool_close(struct pool *pool)
{
    pool->handler = NULL;
    for (uint32_t i = 0; i < pool->count; i++) {
        pool->connections[i].closing = true;
        connection_send_bare(pool, &pool->connections[i], OP_CLOSE_SESSION, now_ns());
    }
    uint64_t deadline = now_ns() + CLOSE_SECONDS_MAX * 1000000000ull;
    while (pool->ready > 0 && now_ns() < deadline) {
        pool_turn(pool, 100000000u);
    }
    for (uint32_t i = 0; i < pool->count; i++) {
        struct connection *connection = &pool->connections[i];
        if (connection->state != CONNECTION_CLOSED) {
            close(connection->fd);
        }
        free(connection->slots);
        free(connection->partial);
        free(connection->output);
    }
    free(pool->connections);
    free(pool->input);
    close(pool->epoll_fd);
}
