/* SPDX-License-Identifier: MIT */
/* A real server in a child process, and a plain blocking client, for tests/unit/server. The
 * child runs one loop; the parent tells it what to do through a pipe. A child that leaks, trips
 * a sanitizer or dies is seen in its exit code. Header-only: each test program is one file. */
#ifndef TESTS_SERVER_FIXTURE_H
#define TESTS_SERVER_FIXTURE_H

#include "base/mem.h"
#include "server/logger.h"
#include "server/server.h"
#include "wire/errors.gen.h"
#include "wire/ops.gen.h"
#include "wire/records.gen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIXTURE_WAIT_MS 20000

/* --- the child ------------------------------------------------------------------------------- */

struct fixture {
    pid_t pid;
    int control; /* one byte: a command to the child */
    int port;
    char error[1100]; /* why the start was refused */
};

struct fixture_child {
    struct server *server;
    uv_pipe_t control;
    char input[16];
};

static inline void fixture_stopped(void *context, struct server *server, int error)
{
    struct fixture_child *child = context;
    (void)server;
    if (error != 0)
        abort();
    uv_close((uv_handle_t *)&child->control, NULL);
}

static inline void fixture_command(void *context, struct server *server, uint32_t connection,
                                   const char *word, uint64_t mask)
{
    (void)context;
    (void)mask;
    struct server_figures figures;
    server_figures(server, &figures);
    struct mk_buffer text = MK_BUFFER_EMPTY;
    if (strcmp(word, "ruok") == 0)
        mk_buffer_append_string(&text, "imok");
    else if (strcmp(word, "dump") == 0) /* a long answer */
        mk_buffer_print(&text, "%0*d", 8 << 20, 7);
    else
        mk_buffer_print(&text, "%llu %lld %llu", (unsigned long long)figures.connections_rejected,
                        (long long)figures.last_snapshot_zxid,
                        (unsigned long long)figures.data_dir_bytes);
    server_answer(server, connection, mk_buffer_bytes(&text));
    mk_buffer_fini(&text);
}

static inline void fixture_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct fixture_child *child = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(child->input, sizeof child->input);
}

static inline void fixture_control(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct fixture_child *child = stream->data;
    (void)buffer;
    if (size < 0)
        server_stop(child->server);
    for (ssize_t i = 0; i < size; i++) {
        if (child->input[i] == 's')
            server_snapshot_now(child->server);
        else if (child->input[i] == 'q')
            server_stop(child->server);
    }
}

static inline void fixture_tell(int descriptor, const char *text)
{
    if (write(descriptor, text, strlen(text) + 1) < 0)
        abort();
}

/* `prepare` runs in the child before the start (limits and the like); may be NULL. */
_Noreturn static inline void fixture_child_main(const struct server_options *options, int control,
                                                int report, void (*prepare)(void))
{
    signal(SIGPIPE, SIG_IGN);
    alarm(120);
    if (prepare)
        prepare();
    struct logger *logger =
        logger_new(2, LOGGER_TEXT, getenv("SERVER_TEST_TRACE") ? MK_LEVEL_DEBUG : MK_LEVEL_ERROR);
    struct server_options own = *options;
    own.replica.trace = logger_trace(logger);
    struct fixture_child child = {0};
    struct server_callbacks callbacks = {
        .context = &child, .command = fixture_command, .stopped = fixture_stopped};
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct server_error error = {0};
    char text[1100];
    int code = server_start(&loop, &own, &callbacks, &child.server, &error);
    if (code == 0) {
        snprintf(text, sizeof text, "%d", server_port(child.server, 0));
        uv_pipe_init(&loop, &child.control, 0);
        uv_pipe_open(&child.control, control);
        child.control.data = &child;
        uv_read_start((uv_stream_t *)&child.control, fixture_alloc, fixture_control);
    } else {
        snprintf(text, sizeof text, "%s", error.text);
    }
    fixture_tell(report, text);
    close(report);
    uv_run(&loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&loop) != 0)
        abort(); /* a handle was left open */
    logger_free(logger);
    exit(code == 0 ? 0 : 3);
}

static inline void fixture_options_init(struct server_options *options,
                                        struct server_address *address)
{
    server_options_init(options);
    *address = (struct server_address){.host = "127.0.0.1"};
    options->addresses = address;
    options->address_count = 1;
    options->replica.command_words = "ruokmntrdump";
    options->replica.snapshot_transactions = 0;
    options->memory_only = true;
}

/* True when it serves; false with fixture->error. */
static inline bool fixture_start_with(struct fixture *fixture, const struct server_options *options,
                                      void (*prepare)(void))
{
    int control[2], report[2];
    if (pipe(control) != 0 || pipe(report) != 0)
        abort();
    fflush(NULL);
    fixture->pid = fork();
    if (fixture->pid == 0) {
        close(control[1]);
        close(report[0]);
        fixture_child_main(options, control[0], report[1], prepare);
    }
    close(control[0]);
    close(report[1]);
    fixture->control = control[1];
    fcntl(fixture->control, F_SETFD, FD_CLOEXEC);
    size_t length = 0;
    ssize_t got;
    while (length < sizeof fixture->error - 1 &&
           (got = read(report[0], fixture->error + length, sizeof fixture->error - 1 - length)) > 0)
        length += (size_t)got;
    fixture->error[length] = 0;
    close(report[0]);
    char *end;
    fixture->port = (int)strtol(fixture->error, &end, 10);
    return fixture->port > 0 && *end == 0;
}

static inline bool fixture_start(struct fixture *fixture, const struct server_options *options)
{
    return fixture_start_with(fixture, options, NULL);
}

/* The exit code, or 1000 + signal. */
static inline int fixture_wait(struct fixture *fixture)
{
    int status = 0;
    close(fixture->control);
    while (waitpid(fixture->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static inline void fixture_order(struct fixture *fixture, char order)
{
    if (write(fixture->control, &order, 1) != 1)
        abort();
}

static inline int fixture_stop(struct fixture *fixture)
{
    fixture_order(fixture, 'q');
    return fixture_wait(fixture);
}

static inline int fixture_kill(struct fixture *fixture)
{
    kill(fixture->pid, SIGKILL);
    return fixture_wait(fixture);
}

/* --- a data directory ----------------------------------------------------------------------------
 */

static inline void directory_make(char path[64])
{
    snprintf(path, 64, "/tmp/mk-server-test-XXXXXX");
    if (!mkdtemp(path))
        abort();
}

static inline void directory_remove(const char *path)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0)
        abort();
}

/* --- a client
 * -------------------------------------------------------------------------------------- */

struct client {
    int socket;
    int64_t session_id;
    uint8_t password[16];
    int32_t xid; /* of the last request */
    struct mk_buffer reply;
};

/* -1: refused. */
static inline int socket_open(int port)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct timeval wait = {.tv_sec = FIXTURE_WAIT_MS / 1000};
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
        close(descriptor);
        return -1;
    }
    return descriptor;
}

static inline bool socket_send(int descriptor, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size > 0) {
        ssize_t sent = send(descriptor, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* Exactly `size` bytes. */
static inline bool socket_receive(int descriptor, void *data, size_t size)
{
    uint8_t *at = data;
    while (size > 0) {
        ssize_t got = recv(descriptor, at, size, 0);
        if (got <= 0)
            return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

/* The peer's end or reset within a second. */
static inline bool socket_is_ended(int descriptor)
{
    struct pollfd item = {.fd = descriptor, .events = POLLIN};
    char byte;
    return poll(&item, 1, 1000) == 1 && recv(descriptor, &byte, 1, 0) <= 0;
}

static inline bool frame_send(int descriptor, struct mk_buffer *frame)
{
    mk_store_u32(frame->data, (uint32_t)(frame->length - 4));
    bool sent = socket_send(descriptor, frame->data, frame->length);
    mk_buffer_fini(frame);
    return sent;
}

/* The payload of the next frame. */
static inline bool frame_receive(struct client *client)
{
    uint8_t prefix[4];
    if (!socket_receive(client->socket, prefix, 4))
        return false;
    uint32_t length = mk_load_u32(prefix);
    mk_buffer_clear(&client->reply);
    if (length > 64u << 20)
        return false;
    uint8_t *at = mk_buffer_reserve(&client->reply, length + 1);
    client->reply.length = length;
    return socket_receive(client->socket, at, length);
}

/* A new session, or the old one if `client` has one. */
static inline bool client_connect(struct client *client, int port)
{
    client->socket = socket_open(port);
    if (client->socket < 0)
        return false;
    struct mk_buffer frame = MK_BUFFER_EMPTY;
    mk_buffer_append(&frame, "\0\0\0\0", 4);
    struct mk_connect_request request = {.timeout = 10000,
                                         .session_id = client->session_id,
                                         .password = mk_bytes_of(client->password, 16)};
    mk_connect_request_write(&frame, &request);
    if (!frame_send(client->socket, &frame) || !frame_receive(client))
        return false;
    struct mk_reader reader;
    struct mk_connect_response response;
    mk_reader_init(&reader, client->reply.data, client->reply.length, NULL);
    mk_connect_response_read(&reader, &response);
    client->session_id = response.session_id;
    if (reader.error || response.session_id == 0 || response.password.length != 16)
        return false;
    memcpy(client->password, response.password.data, 16);
    return true;
}

static inline void client_close(struct client *client)
{
    close(client->socket);
    mk_buffer_fini(&client->reply);
}

static inline void request_begin(struct client *client, struct mk_buffer *frame, int32_t op)
{
    mk_buffer_append(frame, "\0\0\0\0", 4);
    struct mk_request_header header = {.xid = ++client->xid, .type = op};
    mk_request_header_write(frame, &header);
}

static inline bool send_create(struct client *client, const char *path, const void *data,
                               size_t size, int32_t flags)
{
    struct mk_acl acl = {.perms = 31, .id = {MK_BYTES("world"), MK_BYTES("anyone")}};
    struct mk_create_request request = {.path = mk_bytes_of_string(path),
                                        .data = mk_bytes_of(data, size),
                                        .acl = {1, &acl},
                                        .flags = flags};
    struct mk_buffer frame = MK_BUFFER_EMPTY;
    request_begin(client, &frame, MK_OP_CREATE);
    mk_create_request_write(&frame, &request);
    return frame_send(client->socket, &frame);
}

static inline bool send_get(struct client *client, const char *path)
{
    struct mk_get_data_request request = {.path = mk_bytes_of_string(path)};
    struct mk_buffer frame = MK_BUFFER_EMPTY;
    request_begin(client, &frame, MK_OP_GET_DATA);
    mk_get_data_request_write(&frame, &request);
    return frame_send(client->socket, &frame);
}

static inline bool send_close_session(struct client *client)
{
    struct mk_buffer frame = MK_BUFFER_EMPTY;
    request_begin(client, &frame, MK_OP_CLOSE_SESSION);
    return frame_send(client->socket, &frame);
}

/* The header of the next reply. */
static inline bool reply_receive(struct client *client, struct mk_reply_header *header,
                                 struct mk_reader *body)
{
    if (!frame_receive(client))
        return false;
    mk_reader_init(body, client->reply.data, client->reply.length, NULL);
    mk_reply_header_read(body, header);
    return body->error == 0;
}

/* The error of the reply to the request just sent; 1 when the connection ended. */
static inline int reply_error(struct client *client)
{
    struct mk_reply_header header;
    struct mk_reader body;
    if (!reply_receive(client, &header, &body) || header.xid != client->xid)
        return 1;
    return header.err;
}

/* Sends a four-letter word and reads to the end; bytes received. */
static inline size_t word_ask(int port, const char *word, char *answer, size_t size)
{
    int descriptor = socket_open(port);
    if (descriptor < 0 || !socket_send(descriptor, word, 4))
        return 0;
    shutdown(descriptor, SHUT_WR);
    size_t total = 0;
    ssize_t got;
    char rest[4096];
    while ((got = recv(descriptor, rest, sizeof rest, 0)) > 0) {
        for (ssize_t i = 0; i < got && total + (size_t)i + 1 < size; i++)
            answer[total + (size_t)i] = rest[i];
        total += (size_t)got;
    }
    answer[MK_MIN(total, size - 1)] = 0;
    close(descriptor);
    return got == 0 ? total : 0;
}

#endif
