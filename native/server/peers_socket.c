/* SPDX-License-Identifier: MIT */
/* One connection of the ensemble's network: bytes in, bytes out, and its end. Its owners are
 * strangers at a door, election links and quorum links. It owns what was read and not taken, and
 * what could not be sent yet. It must never move its input while reading is stopped: an update may
 * point into it. */
#include "server/peers_int.h"

#include "base/mem.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#define READ_BYTES ((size_t)64 << 10)
#define OUTPUT_KEEP_BYTES ((size_t)1 << 20) /* what a leader under load sends in a turn */
#define KEEPALIVE_SECONDS 10

struct peer_socket_unsent {
    uv_write_t request;
    struct peer_socket *socket;
    struct mk_buffer buffer;
};

struct peer_socket *peer_socket_new(struct peers *peers)
{
    struct peer_socket *socket = mk_calloc(1, sizeof *socket);
    socket->peers = peers;
    uv_tcp_init(peers->options.loop, &socket->tcp);
    socket->tcp.data = socket;
    peers_opened(peers);
    return socket;
}

static void address_text(struct peer_socket *socket, const struct sockaddr_storage *address)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        uv_inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, host, sizeof host);
    else if (address->ss_family == AF_INET6)
        uv_inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    else
        uv_inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    unsigned port = ntohs(address->ss_family == AF_INET6 ? v6->sin6_port : v4->sin_port);
    snprintf(socket->host, sizeof socket->host, "%s", host);
    snprintf(socket->address, sizeof socket->address, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
             port);
}

bool peer_socket_connected(struct peer_socket *socket)
{
    struct sockaddr_storage own, other;
    int own_bytes = sizeof own, other_bytes = sizeof other;
    memset(&own, 0, sizeof own);
    memset(&other, 0, sizeof other);
    if (uv_tcp_getsockname(&socket->tcp, (struct sockaddr *)&own, &own_bytes) != 0 ||
        uv_tcp_getpeername(&socket->tcp, (struct sockaddr *)&other, &other_bytes) != 0)
        return false;
    /* A dial of a free local port may meet itself (both ends open at the same time). */
    if (own_bytes == other_bytes && memcmp(&own, &other, (size_t)own_bytes) == 0)
        return false;
    address_text(socket, &other);
    uv_tcp_nodelay(&socket->tcp, 1);
    uv_tcp_keepalive(&socket->tcp, 1, KEEPALIVE_SECONDS);
    return true;
}

void peer_socket_watch(struct peer_socket *socket)
{
    uv_os_fd_t descriptor;
    unsigned limit = (unsigned)socket->peers->options.connect_timeout_ms;
    if (uv_fileno((uv_handle_t *)&socket->tcp, &descriptor) == 0)
        setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
}

void peer_socket_own(struct peer_socket *socket, void *owner, const struct peer_socket_use *use)
{
    socket->owner = owner;
    socket->use = use;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct peer_socket *socket = handle->data;
    (void)suggested;
    mk_buffer_consume(&socket->input, socket->taken);
    socket->taken = 0;
    uint8_t *at = mk_buffer_reserve(&socket->input, READ_BYTES);
    *buffer = uv_buf_init((char *)at, (unsigned)READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct peer_socket *socket = stream->data;
    (void)buffer;
    if (size == 0 || socket->closed)
        return;
    if (size < 0) {
        peer_socket_stop_reading(socket);
        socket->use->ended(socket, (int)size);
        return;
    }
    socket->input.length += (size_t)size;
    socket->use->input(socket);
    if (!socket->closed && socket->taken == socket->input.length) {
        mk_buffer_clear(&socket->input);
        mk_buffer_shrink(&socket->input, READ_BYTES);
        socket->taken = 0;
    }
}

void peer_socket_read(struct peer_socket *socket)
{
    if (socket->reading || socket->closed)
        return;
    socket->reading = true;
    uv_read_start((uv_stream_t *)&socket->tcp, on_alloc, on_read);
}

void peer_socket_stop_reading(struct peer_socket *socket)
{
    if (!socket->reading)
        return;
    socket->reading = false;
    uv_read_stop((uv_stream_t *)&socket->tcp);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void on_written(uv_write_t *request, int status)
{
    struct peer_socket_unsent *unsent =
        MK_CONTAINER_OF(request, struct peer_socket_unsent, request);
    struct peer_socket *socket = unsent->socket;
    socket->unsent = NULL;
    mk_buffer_fini(&unsent->buffer);
    mk_free(unsent);
    if (socket->closed)
        return;
    if (status != 0)
        socket->use->ended(socket, status);
    else
        socket->use->sent(socket);
}

/* What the kernel did not take goes to libuv, with its memory. */
static int send_later(struct peer_socket *socket, struct mk_buffer *output, size_t sent)
{
    struct peer_socket_unsent *unsent = mk_calloc(1, sizeof *unsent);
    unsent->socket = socket;
    unsent->buffer = *output;
    *output = MK_BUFFER_EMPTY;
    uv_buf_t rest =
        uv_buf_init((char *)unsent->buffer.data + sent, (unsigned)(unsent->buffer.length - sent));
    int error = uv_write(&unsent->request, (uv_stream_t *)&socket->tcp, &rest, 1, on_written);
    if (error == 0) {
        socket->unsent = unsent;
        return 0;
    }
    mk_buffer_fini(&unsent->buffer);
    mk_free(unsent);
    return error;
}

int peer_socket_send(struct peer_socket *socket, struct mk_buffer *output)
{
    MK_ASSERT(!socket->unsent);
    MK_ASSERT(!socket->closed);
    if (output->length == 0)
        return 0;
    uv_buf_t all = uv_buf_init((char *)output->data, (unsigned)output->length);
    int sent = uv_try_write((uv_stream_t *)&socket->tcp, &all, 1);
    if (sent < 0 && sent != UV_EAGAIN)
        return sent;
    if ((size_t)MK_MAX(sent, 0) < output->length)
        return send_later(socket, output, (size_t)MK_MAX(sent, 0));
    mk_buffer_clear(output);
    mk_buffer_shrink(output, OUTPUT_KEEP_BYTES);
    return 0;
}

size_t peer_socket_unsent_bytes(const struct peer_socket *socket)
{
    return socket->unsent ? uv_stream_get_write_queue_size((const uv_stream_t *)&socket->tcp) : 0;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct peer_socket *socket = handle->data;
    struct peers *peers = socket->peers;
    mk_buffer_fini(&socket->input);
    mk_free(socket);
    peers_one_closed(peers);
}

void peer_socket_close(struct peer_socket *socket, bool keep_input)
{
    struct peers *peers = socket->peers;
    if (socket->closed)
        return;
    socket->closed = true;
    if (keep_input && socket->input.data) {
        peers->graves = mk_realloc(peers->graves, (peers->grave_count + 1) * sizeof *peers->graves);
        peers->graves[peers->grave_count++] = socket->input;
        socket->input = MK_BUFFER_EMPTY;
    }
    uv_close((uv_handle_t *)&socket->tcp, on_closed);
}
