/* SPDX-License-Identifier: MIT */
/* What clients ask for, and what they may believe of the answers. Each client has nodes of its
 * own, so it knows exactly what it must see; all share one watched node, one parent of
 * sequential nodes and one of ephemerals. */
#include "tests/sim/sim.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static struct mk_acl open_entries[] = {
    {.perms = MK_PERM_ALL, .id = {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}}};
static const struct mk_acl_vector open_acl = {1, open_entries};

static void send_create(struct sim_client *client, enum sim_request_kind kind, const char *path,
                        int64_t value, int32_t flags)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    struct mk_create_request request = {.path = mk_bytes_of_string(path),
                                        .data = mk_bytes_of_string(text),
                                        .acl = open_acl,
                                        .flags = flags};
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_create_request_write(&body, &request);
    client_append_request(client, kind, value, -1, MK_OP_CREATE, &body);
    mk_buffer_fini(&body);
}

static void write_set(struct mk_buffer *body, const char *path, int64_t value, int32_t version)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    struct mk_set_data_request request = {
        .path = mk_bytes_of_string(path), .data = mk_bytes_of_string(text), .version = version};
    mk_set_data_request_write(body, &request);
}

static void send_set(struct sim_client *client, enum sim_request_kind kind, const char *path,
                     int64_t value, int32_t version)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    write_set(&body, path, value, version);
    client_append_request(client, kind, value, -1, MK_OP_SET_DATA, &body);
    mk_buffer_fini(&body);
}

static void send_get(struct sim_client *client, enum sim_request_kind kind, const char *path,
                     bool watch, int64_t expect)
{
    struct mk_get_data_request request = {.path = mk_bytes_of_string(path), .watch = watch};
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_get_data_request_write(&body, &request);
    client_append_request(client, kind, 0, expect, MK_OP_GET_DATA, &body);
    mk_buffer_fini(&body);
}

static void multi_part(struct mk_buffer *body, int32_t type, bool done)
{
    struct mk_multi_header header = {.type = type, .done = done, .err = -1};
    mk_multi_header_write(body, &header);
}

/* Sets both nodes of the pair in one transaction; with `bad` a failing check comes last. */
static void send_multi(struct sim_client *client, bool bad)
{
    char path[64];
    int64_t value = client->next_value++;
    struct mk_buffer body = MK_BUFFER_EMPTY;
    for (int i = 1; i <= 2; i++) {
        multi_part(&body, MK_OP_SET_DATA, false);
        snprintf(path, sizeof path, "/c%u/m%d", client->index, i);
        write_set(&body, path, value, -1);
    }
    if (bad) {
        multi_part(&body, MK_OP_CHECK, false);
        struct mk_check_version_request check = {.path = mk_bytes_of_string(path),
                                                 .version = INT32_MAX};
        mk_check_version_request_write(&body, &check);
    }
    multi_part(&body, -1, true);
    client_append_request(client, bad ? SIM_MULTI_BAD : SIM_MULTI, value, -1, MK_OP_MULTI, &body);
    mk_buffer_fini(&body);
}

static void send_set_watches(struct sim_client *client)
{
    struct mk_bytes path = MK_BYTES("/shared");
    struct mk_set_watches request = {.relative_zxid = client->last_zxid,
                                     .data_watches = {1, &path}};
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_set_watches_write(&body, &request);
    client_append_request(client, SIM_SET_WATCHES, 0, -1, MK_OP_SET_WATCHES, &body);
    mk_buffer_fini(&body);
}

void workload_setup(struct sim_client *client)
{
    static const char *const shared[] = {"/shared", "/e", "/q"};
    char path[64];
    if (client->watch_set)
        send_set_watches(client);
    for (size_t i = 0; i < MK_ARRAY_LENGTH(shared); i++)
        send_create(client, SIM_SETUP, shared[i], 0, MK_CREATE_PERSISTENT);
    static const char *const own[] = {"", "/v", "/m1", "/m2"};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(own); i++) {
        snprintf(path, sizeof path, "/c%u%s", client->index, own[i]);
        send_create(client, SIM_SETUP, path, 0, MK_CREATE_PERSISTENT);
    }
}

static void remember(int64_t **list, size_t *count, size_t *capacity, int64_t value)
{
    if (*count == *capacity) {
        *capacity = MK_MAX(*capacity * 2, (size_t)64);
        *list = mk_realloc(*list, *capacity * sizeof **list);
    }
    (*list)[(*count)++] = value;
}

static void send_one(struct sim_client *client)
{
    struct sim *sim = client->sim;
    char path[64];
    int64_t value;
    switch (mk_rand_below(&sim->rand, 14)) {
    case 0:
    case 1:
        value = client->next_value++;
        snprintf(path, sizeof path, "/c%u/u-%lld", client->index, (long long)value);
        send_create(client, SIM_CREATE_UNIQUE, path, value, MK_CREATE_PERSISTENT);
        remember(&client->unique_sent, &client->unique_sent_count, &client->unique_sent_capacity,
                 value);
        break;
    case 2:
    case 3:
        value = client->next_value++;
        snprintf(path, sizeof path, "/c%u/v", client->index);
        send_set(client, SIM_SET, path, value, -1);
        client->value_sent = value;
        break;
    case 4:
    case 5:
        snprintf(path, sizeof path, "/c%u/v", client->index);
        send_get(client, SIM_GET, path, false, client->value_sent);
        break;
    case 6:
        snprintf(path, sizeof path, "/c%u/v", client->index);
        send_set(client, SIM_SET_BAD, path, client->next_value++, INT32_MAX);
        break;
    case 7:
        send_multi(client, mk_rand_below(&sim->rand, 3) == 0);
        break;
    case 8:
        if (client->queue_length + 2 > SIM_QUEUE_MAX)
            break;
        snprintf(path, sizeof path, "/c%u/m1", client->index);
        send_get(client, SIM_GET_PAIR_1, path, false, -1);
        snprintf(path, sizeof path, "/c%u/m2", client->index);
        send_get(client, SIM_GET_PAIR_2, path, false, -1);
        break;
    case 9:
        value = client->next_value++;
        snprintf(path, sizeof path, "/e/%u-%lld", client->index, (long long)value);
        send_create(client, SIM_EPHEMERAL, path, value, MK_CREATE_EPHEMERAL);
        break;
    case 10:
        send_create(client, SIM_SEQUENTIAL, "/q/s-", 0, MK_CREATE_PERSISTENT_SEQUENTIAL);
        break;
    case 11:
        send_set(client, SIM_SHARED_SET, "/shared", client->next_value++, -1);
        break;
    case 12:
        if (!client->watch_set)
            send_get(client, SIM_SHARED_WATCH, "/shared", true, -1);
        break;
    default:
        client_append_request(client, SIM_PING, 0, -1, MK_OP_PING, NULL);
    }
}

void workload_send(struct sim_client *client)
{
    struct sim *sim = client->sim;
    uint64_t count = mk_rand_below(&sim->rand, 8);
    for (uint64_t i = 0; i < count && client->queue_length + 1 < SIM_QUEUE_MAX; i++)
        send_one(client);
    if (mk_rand_below(&sim->rand, 400) == 0 && client->queue_length < SIM_QUEUE_MAX) {
        client_append_request(client, SIM_CLOSE, 0, -1, MK_OP_CLOSE_SESSION, NULL);
        client->closing = client->close_sent = true;
    }
}

/* --- answers -------------------------------------------------------------------------------------
 */

static int64_t number_of(struct mk_bytes text)
{
    char copy[32];
    size_t length = MK_MIN(mk_bytes_size(text), sizeof copy - 1);
    if (length)
        memcpy(copy, text.data, length);
    copy[length] = '\0';
    return strtoll(copy, NULL, 10);
}

static void expect_error(struct sim_client *client, const struct sim_request *request,
                         const struct mk_reply_header *header, int32_t expected)
{
    if (header->err != expected)
        sim_fail(client->sim, "client %u: request kind %d answered %s, expected %s", client->index,
                 (int)request->kind, mk_error_name(header->err), mk_error_name(expected));
}

/* A state of /shared newer than the one that the watch was set on must not be seen before the
 * event (client-protocol reference, 6.5). */
static void check_watch(struct sim_client *client, const struct mk_stat *stat)
{
    if (client->watch_set && stat->mzxid > client->watch_zxid)
        sim_fail(client->sim,
                 "client %u: saw /shared at 0x%llx before the event of its watch from 0x%llx",
                 client->index, (unsigned long long)stat->mzxid,
                 (unsigned long long)client->watch_zxid);
}

static void reply_get(struct sim_client *client, const struct sim_request *request,
                      struct mk_reader *body)
{
    struct mk_get_data_response response;
    mk_get_data_response_read(body, &response);
    int64_t value = number_of(response.data);
    switch (request->kind) {
    case SIM_GET:
        if (request->expect >= 0 && value != request->expect)
            sim_fail(client->sim, "client %u: read %lld, its last write before was %lld",
                     client->index, (long long)value, (long long)request->expect);
        if (value < client->value_acked)
            sim_fail(client->sim, "client %u: read %lld after %lld was acknowledged", client->index,
                     (long long)value, (long long)client->value_acked);
        break;
    case SIM_GET_PAIR_1:
        client->pair_seen = value;
        break;
    case SIM_GET_PAIR_2:
        if (client->pair_seen >= 0 && value != client->pair_seen)
            sim_fail(client->sim, "client %u: a multi half visible: %lld and %lld", client->index,
                     (long long)client->pair_seen, (long long)value);
        client->pair_seen = -1;
        break;
    case SIM_SHARED_WATCH:
        check_watch(client, &response.stat);
        if (!client->watch_set) {
            client->watch_set = true;
            client->watch_zxid = response.stat.mzxid;
        }
        break;
    default:
        break;
    }
}

static void reply_sequential(struct sim_client *client, const struct mk_reply_header *header,
                             struct mk_reader *body)
{
    struct sim *sim = client->sim;
    struct mk_bytes path = mk_read_bytes(body);
    if (path.length < 10) {
        sim_fail(sim, "client %u: a sequential name too short", client->index);
        return;
    }
    int64_t number = number_of(mk_bytes_of(path.data + path.length - 10, 10));
    /* Replies reach clients in any order: compare along zxids. */
    bool later = header->zxid > sim->last_sequential_zxid;
    if (sim->last_sequential_zxid != 0 && later != (number > sim->last_sequential))
        sim_fail(sim, "sequence %lld at zxid 0x%llx, but %lld at 0x%llx", (long long)number,
                 (unsigned long long)header->zxid, (long long)sim->last_sequential,
                 (unsigned long long)sim->last_sequential_zxid);
    if (later) {
        sim->last_sequential = number;
        sim->last_sequential_zxid = header->zxid;
    }
}

static void reply_multi(struct sim_client *client, const struct sim_request *request,
                        struct mk_reader *body)
{
    struct mk_multi_header part;
    mk_multi_header_read(body, &part);
    bool failed = part.type == MK_OP_ERROR && !part.done;
    if (failed != (request->kind == SIM_MULTI_BAD))
        sim_fail(client->sim, "client %u: multi kind %d answered with part type %d", client->index,
                 (int)request->kind, (int)part.type);
}

void workload_reply(struct sim_client *client, const struct sim_request *request,
                    const struct mk_reply_header *header, struct mk_reader *body)
{
    struct mk_stat stat;
    switch (request->kind) {
    case SIM_CREATE_UNIQUE:
        expect_error(client, request, header, 0);
        remember(&client->unique_acked, &client->unique_acked_count, &client->unique_acked_capacity,
                 request->value);
        break;
    case SIM_SET:
        expect_error(client, request, header, 0);
        client->value_acked = MK_MAX(client->value_acked, request->value);
        break;
    case SIM_SET_BAD:
        expect_error(client, request, header, MK_ERR_BAD_VERSION);
        break;
    case SIM_GET:
    case SIM_GET_PAIR_1:
    case SIM_GET_PAIR_2:
    case SIM_SHARED_WATCH:
        expect_error(client, request, header, 0);
        if (header->err == 0)
            reply_get(client, request, body);
        break;
    case SIM_MULTI:
    case SIM_MULTI_BAD:
        expect_error(client, request, header, 0);
        reply_multi(client, request, body);
        break;
    case SIM_SEQUENTIAL:
        expect_error(client, request, header, 0);
        if (header->err == 0)
            reply_sequential(client, header, body);
        break;
    case SIM_SHARED_SET:
        expect_error(client, request, header, 0);
        mk_stat_read(body, &stat);
        if (header->err == 0)
            check_watch(client, &stat);
        break;
    case SIM_SETUP:
        if (header->err != 0 && header->err != MK_ERR_NODE_EXISTS)
            expect_error(client, request, header, 0);
        break;
    case SIM_EPHEMERAL:
    case SIM_SET_WATCHES:
    case SIM_PING:
    case SIM_CLOSE:
        expect_error(client, request, header, 0);
        break;
    }
}

void workload_event(struct sim_client *client, const struct mk_watcher_event *event)
{
    if (!mk_bytes_equal_string(event->path, "/shared") ||
        event->type != MK_EVENT_NODE_DATA_CHANGED) {
        sim_fail(client->sim, "client %u: an event %d that no watch asked for", client->index,
                 (int)event->type);
        return;
    }
    if (!client->watch_set)
        sim_fail(client->sim, "client %u: a one-shot watch fired twice", client->index);
    client->watch_set = false;
}
