/* SPDX-License-Identifier: MIT */
/* bench_nothing: the do-nothing server, the limit that a real server is measured against. A good
 * libuv loop that reads all frames there are, answers them with one write and keeps no state: a
 * fixed reply of the right size for getData, a Stat for setData, the path for create, a header for
 * the rest. With --group-commit FILE it adds ideal durability: all write requests of one loop turn
 * go to a preallocated file in one write() and one fdatasync(), then they are answered. It also
 * tells watchers of a setData, so that the fan-out has a limit to compare with. */
#include "frames.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#define INPUT_BYTES (256u << 10)
#define LOG_FILE_BYTES (64u << 20)
/* What a log record has besides path and data: its frame (checksum, length, end mark), the txn
 * header, and about what a create or setData record and a checksum trailer take. */
#define LOG_RECORD_EXTRA_BYTES (13 + 32 + 8 + 60)

struct bytes {
    uint8_t *at;
    size_t length, room;
};

struct server;

struct client {
    uv_tcp_t tcp;
    struct server *server;
    struct client *next_dirty;    /* list of those with unsent replies in this turn */
    struct client *next, **owner; /* list of all */
    struct bytes partial, output;
    bool has_session, dirty, waits_for_commit, watches, leaving, closing;
};

struct server {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_check_t check;
    uv_signal_t terminate, interrupt;
    struct client *clients, *dirty;
    struct bytes log;
    int log_fd; /* -1: no group commit */
    size_t log_position;
    uint32_t data_bytes;
    int64_t zxid, next_session;
    uint64_t commits, commit_records;
    uint8_t input[INPUT_BYTES];
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_nothing: %s: %s\n", what, why);
    exit(1);
}

static uint8_t *bytes_reserve(struct bytes *self, size_t more)
{
    if (self->length + more > self->room) {
        self->room = (self->length + more) * 2;
        self->at = realloc(self->at, self->room);
        if (self->at == NULL) {
            die("memory", "exhausted");
        }
    }
    return self->at + self->length;
}

static void mark_dirty(struct client *client)
{
    if (!client->dirty) {
        client->dirty = true;
        client->next_dirty = client->server->dirty;
        client->server->dirty = client;
    }
}

/* Reply header; the caller adds `body_bytes` and takes them into the output. */
static uint8_t *start_reply(struct client *client, int32_t xid, size_t body_bytes)
{
    uint8_t *at = bytes_reserve(&client->output, 4 + REPLY_HEADER_BYTES + body_bytes);
    client->output.length += 4 + REPLY_HEADER_BYTES + body_bytes;
    at = put_u32(at, (uint32_t)(REPLY_HEADER_BYTES + body_bytes));
    at = put_i32(at, xid);
    at = put_i64(at, client->server->zxid);
    return put_i32(at, 0);
}

static uint8_t *put_stat(uint8_t *at, int64_t zxid, uint32_t data_bytes)
{
    memset(at, 0, STAT_BYTES);
    put_i64(at, 1);
    put_i64(at + 8, zxid);
    put_u32(at + 52, data_bytes);
    return at + STAT_BYTES;
}

static void on_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    free(client->partial.at);
    free(client->output.at);
    free(client);
}

static void close_client(struct client *client)
{
    if (client->closing) {
        return;
    }
    client->closing = true;
    if (client->dirty) {
        struct client **place = &client->server->dirty;
        while (*place != client) {
            place = &(*place)->next_dirty;
        }
        *place = client->next_dirty;
    }
    *client->owner = client->next;
    if (client->next != NULL) {
        client->next->owner = client->owner;
    }
    uv_close((uv_handle_t *)&client->tcp, on_closed);
}

static void on_written(uv_write_t *request, int status)
{
    (void)status;
    free(request->data);
    free(request);
}

/* One write for all replies of a client; what the kernel does not take at once is queued. */
static void flush_client(struct client *client)
{
    uv_stream_t *stream = (uv_stream_t *)&client->tcp;
    uv_buf_t buffer = uv_buf_init((char *)client->output.at, (unsigned)client->output.length);
    int sent = client->output.length > 0 ? uv_try_write(stream, &buffer, 1) : 0;
    if (sent < 0 && sent != UV_EAGAIN) {
        close_client(client);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done < client->output.length) {
        uv_write_t *request = malloc(sizeof *request);
        if (request == NULL) {
            die("memory", "exhausted");
        }
        request->data = client->output.at;
        uv_buf_t rest =
            uv_buf_init((char *)client->output.at + done, (unsigned)(client->output.length - done));
        uv_write(request, stream, &rest, 1, on_written);
        client->output = (struct bytes){0};
    }
    client->output.length = 0;
    if (client->leaving) {
        close_client(client);
    }
}

static void flush_dirty(struct server *server)
{
    while (server->dirty != NULL) {
        struct client *client = server->dirty;
        server->dirty = client->next_dirty;
        client->dirty = false;
        client->waits_for_commit = false;
        flush_client(client);
    }
}

/* Keeps a record of a write for this turn's commit. */
static void log_write(struct client *client, const uint8_t *body, size_t body_bytes)
{
    struct server *server = client->server;
    server->zxid++;
    if (server->log_fd < 0) {
        return;
    }
    size_t record_bytes = body_bytes + LOG_RECORD_EXTRA_BYTES;
    uint8_t *at = bytes_reserve(&server->log, record_bytes);
    memcpy(at, body, body_bytes);
    memset(at + body_bytes, 'x', record_bytes - body_bytes);
    server->log.length += record_bytes;
    server->commit_records++;
    client->waits_for_commit = true;
}

static void tell_watchers(struct server *server, const uint8_t *path, uint32_t path_bytes)
{
    for (struct client *client = server->clients; client != NULL; client = client->next) {
        if (!client->watches) {
            continue;
        }
        client->watches = false;
        uint8_t *at = start_reply(client, XID_EVENT, 12 + path_bytes);
        at = put_i32(at, 3); /* NodeDataChanged, connected */
        at = put_i32(at, 3);
        put_bytes(at, path, path_bytes);
        mark_dirty(client);
    }
}

/* The path's bytes at the start of a request body, or NULL. */
static const uint8_t *read_path(const uint8_t *body, size_t body_bytes, uint32_t *path_bytes)
{
    if (body_bytes < 4 || get_u32(body) > body_bytes - 4) {
        return NULL;
    }
    *path_bytes = get_u32(body);
    return body + 4;
}

static void answer_request(struct client *client, const uint8_t *frame, size_t bytes)
{
    struct server *server = client->server;
    int32_t xid = get_i32(frame);
    int32_t op = get_i32(frame + 4);
    const uint8_t *body = frame + REQUEST_HEADER_BYTES;
    size_t body_bytes = bytes - REQUEST_HEADER_BYTES;
    uint32_t path_bytes = 0;
    const uint8_t *path = read_path(body, body_bytes, &path_bytes);
    uint8_t *at;
    if (op == OP_GET_DATA && path != NULL) {
        client->watches |= body[body_bytes - 1] != 0;
        at = start_reply(client, xid, 4 + server->data_bytes + STAT_BYTES);
        at = put_u32(at, server->data_bytes);
        memset(at, 'd', server->data_bytes);
        put_stat(at + server->data_bytes, server->zxid, server->data_bytes);
    } else if (op == OP_SET_DATA && path != NULL) {
        log_write(client, body, body_bytes);
        tell_watchers(server, path, path_bytes);
        at = start_reply(client, xid, STAT_BYTES);
        put_stat(at, server->zxid, server->data_bytes);
    } else if (op == OP_CREATE && path != NULL) {
        log_write(client, body, body_bytes);
        at = start_reply(client, xid, 4 + path_bytes);
        put_bytes(at, path, path_bytes);
    } else if (op == OP_EXISTS) {
        put_stat(start_reply(client, xid, STAT_BYTES), server->zxid, server->data_bytes);
    } else {
        client->leaving = op == OP_CLOSE_SESSION;
        start_reply(client, xid, 0);
    }
}

static void answer_handshake(struct client *client, const uint8_t *frame, size_t bytes)
{
    size_t reply_bytes = bytes >= CONNECT_REQUEST_BYTES ? CONNECT_REPLY_BYTES : 36;
    uint8_t *at = bytes_reserve(&client->output, 4 + reply_bytes);
    memset(at, 0, 4 + reply_bytes);
    client->output.length += 4 + reply_bytes;
    at = put_u32(at, (uint32_t)reply_bytes) + 4;
    at = put_i32(at, bytes >= 16 ? get_i32(frame + 12) : 10000);
    at = put_i64(at, client->server->next_session++);
    put_u32(at, 16);
    client->has_session = true;
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    struct client *client = stream->data;
    (void)buffer;
    if (got < 0) {
        close_client(client);
        return;
    }
    const uint8_t *at = client->server->input;
    const uint8_t *end = at + client->partial.length + (size_t)got;
    while (end - at >= 4) {
        uint32_t length = get_u32(at);
        if (length > FRAME_BYTES_MAX / 8 || length < REQUEST_HEADER_BYTES) {
            close_client(client);
            return;
        }
        if ((size_t)(end - at) < 4 + (size_t)length) {
            break;
        }
        if (client->has_session) {
            answer_request(client, at + 4, length);
        } else {
            answer_handshake(client, at + 4, length);
        }
        at += 4 + (size_t)length;
    }
    client->partial.length = 0;
    if (at < end) {
        memcpy(bytes_reserve(&client->partial, (size_t)(end - at)), at, (size_t)(end - at));
        client->partial.length = (size_t)(end - at);
    }
    if (client->waits_for_commit) {
        mark_dirty(client);
    } else {
        flush_client(client);
    }
}

/* All clients read into one buffer, behind what the last read left of a frame. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct client *client = handle->data;
    struct server *server = client->server;
    size_t have = client->partial.length;
    (void)suggested;
    if (have > 0) {
        memcpy(server->input, client->partial.at, have);
    }
    *buffer = uv_buf_init((char *)server->input + have, (unsigned)(INPUT_BYTES - have));
}

/* After the network has been read: one write, one fdatasync, then the answers. */
static void on_check(uv_check_t *check)
{
    struct server *server = check->data;
    if (server->log.length > 0) {
        if (server->log_position + server->log.length > LOG_FILE_BYTES) {
            server->log_position = 0;
            lseek(server->log_fd, 0, SEEK_SET);
        }
        ssize_t written = write(server->log_fd, server->log.at, server->log.length);
        if (written != (ssize_t)server->log.length || fdatasync(server->log_fd) != 0) {
            die("group commit", strerror(errno));
        }
        server->log_position += server->log.length;
        server->log.length = 0;
        server->commits++;
    }
    flush_dirty(server);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;
    struct client *client = calloc(1, sizeof *client);
    if (status != 0 || client == NULL) {
        die("accept", status != 0 ? uv_strerror(status) : "memory");
    }
    client->server = server;
    uv_tcp_init(&server->loop, &client->tcp);
    client->tcp.data = client;
    client->next = server->clients;
    client->owner = &server->clients;
    if (client->next != NULL) {
        client->next->owner = &client->next;
    }
    server->clients = client;
    if (uv_accept(listener, (uv_stream_t *)&client->tcp) != 0) {
        close_client(client);
        return;
    }
    uv_tcp_nodelay(&client->tcp, 1);
    uv_read_start((uv_stream_t *)&client->tcp, on_alloc, on_read);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;
    (void)number;
    fprintf(stderr, "bench_nothing: %llu writes in %llu commits\n",
            (unsigned long long)server->commit_records, (unsigned long long)server->commits);
    exit(0);
}

/* Writes the whole file once, so that a later fdatasync has no metadata to write. */
static int open_log(const char *name)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint8_t *zeroes = calloc(1, 1u << 20);
    if (fd < 0 || zeroes == NULL) {
        die(name, strerror(errno));
    }
    for (size_t i = 0; i < LOG_FILE_BYTES >> 20; i++) {
        if (write(fd, zeroes, 1u << 20) != 1 << 20) {
            die(name, strerror(errno));
        }
    }
    free(zeroes);
    if (fsync(fd) != 0 || lseek(fd, 0, SEEK_SET) != 0) {
        die(name, strerror(errno));
    }
    return fd;
}

static void listen_on(struct server *server, int port)
{
    struct sockaddr_in address;
    int bytes = sizeof address;
    uv_ip4_addr("127.0.0.1", port, &address);
    uv_tcp_init(&server->loop, &server->listener);
    server->listener.data = server;
    int error = uv_tcp_bind(&server->listener, (const struct sockaddr *)&address, 0);
    if (error == 0) {
        error = uv_listen((uv_stream_t *)&server->listener, 1024, on_connection);
    }
    if (error == 0) {
        error = uv_tcp_getsockname(&server->listener, (struct sockaddr *)&address, &bytes);
    }
    if (error != 0) {
        die("listen", uv_strerror(error));
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct server server = {.log_fd = -1, .data_bytes = 100, .next_session = 1};
    int port = 0;
    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--group-commit") == 0) {
            server.log_fd = open_log(argv[++i]);
        } else if (i + 1 < argc && strcmp(argv[i], "--port") == 0) {
            port = (int)strtol(argv[++i], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--data") == 0) {
            server.data_bytes = (uint32_t)strtol(argv[++i], NULL, 10);
        } else {
            fputs("usage: bench_nothing [--port N] [--data BYTES] [--group-commit FILE]\n", stderr);
            return 2;
        }
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    uv_loop_init(&server.loop);
    uv_check_init(&server.loop, &server.check);
    server.check.data = &server;
    uv_check_start(&server.check, on_check);
    uv_signal_init(&server.loop, &server.terminate);
    uv_signal_init(&server.loop, &server.interrupt);
    server.terminate.data = server.interrupt.data = &server;
    uv_signal_start(&server.terminate, on_signal, SIGTERM);
    uv_signal_start(&server.interrupt, on_signal, SIGINT);
    listen_on(&server, port);
    return uv_run(&server.loop, UV_RUN_DEFAULT);
}
