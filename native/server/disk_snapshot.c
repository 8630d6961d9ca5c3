/* SPDX-License-Identifier: MIT */
/* A snapshot that comes from the leader, on its way to the disk; see disk.h. The loop leaves orders
 * and bytes under the mutex, the log thread obeys: it has nothing else to do while a member is
 * synchronized. In memory are at most what waits (BEHIND_BYTES and one more piece) and as much that
 * is being written. */
#include "server/disk_int.h"

#include "base/mem.h"
#include "server/store_filter.h"
#include "wire/errors.gen.h"

#define BEHIND_BYTES ((size_t)4 << 20)

/* --- on the loop ------------------------------------------------------------------------------ */

/* With the mutex held: whatever was ordered before is void. */
static void orders_reset(struct disk *disk, bool begin)
{
    struct received *received = &disk->received;
    MK_ASSERT(received->state != RECEIVED_INSTALLING);
    mk_buffer_fini(&received->orders.body);
    received->orders = (struct received_orders){.abort = true, .begin = begin};
    received->behind = received->drained = false;
    received->state = begin ? RECEIVED_OPEN : RECEIVED_NONE;
}

void disk_snapshot_begin(struct disk *disk)
{
    uv_mutex_lock(&disk->mutex);
    orders_reset(disk, true);
    disk_unlock_and_wake(disk);
}

bool disk_snapshot_body(struct disk *disk, struct mk_bytes bytes)
{
    struct received *received = &disk->received;
    uv_mutex_lock(&disk->mutex);
    MK_ASSERT(received->state == RECEIVED_OPEN);
    mk_buffer_append_bytes(&received->orders.body, bytes);
    /* It stays so until the host was told that it is over, whatever the thread has taken by now. */
    bool behind = received->behind =
        received->behind || received->orders.body.length >= BEHIND_BYTES;
    disk_unlock_and_wake(disk);
    return !behind;
}

void disk_snapshot_end(struct disk *disk, const struct snapfile_seal *seal)
{
    struct received *received = &disk->received;
    uv_mutex_lock(&disk->mutex);
    MK_ASSERT(received->state == RECEIVED_OPEN);
    received->state = RECEIVED_ENDED;
    received->orders.end = true;
    received->orders.seal = *seal;
    disk_unlock_and_wake(disk);
}

void disk_snapshot_abort(struct disk *disk)
{
    uv_mutex_lock(&disk->mutex);
    enum received_state state = disk->received.state;
    if (state == RECEIVED_OPEN || state == RECEIVED_ENDED)
        orders_reset(disk, false);
    disk_unlock_and_wake(disk);
}

/* --- on the thread ---------------------------------------------------------------------------- */

_Noreturn static void receive_failed(const struct disk *disk, const struct log_error *error)
{
    disk_failed(disk, "the leader's snapshot cannot be written", error);
}

/* Complete or not. */
static void drop(struct disk *disk)
{
    struct received *received = &disk->received;
    struct log_error error;
    snapfile_abort(received->writer);
    received->writer = NULL;
    int code = store_remove(disk->server->snapshot_store, SNAPFILE_RECEIVED_NAME, &error);
    if (code != 0 && code != MK_ERR_NOT_FOUND)
        receive_failed(disk, &error);
}

static void begin(struct disk *disk)
{
    struct received *received = &disk->received;
    struct log_error error;
    if (!received->store) { /* so that the last sync does not find gigabytes in the cache */
        struct store_filter_options options = {.write_out = true};
        received->store = store_filter_new(disk->server->snapshot_store, &options);
    }
    received->began_ns = uv_hrtime();
    if (snapfile_begin_received(received->store, &received->writer, &error) != 0)
        receive_failed(disk, &error);
}

static void write_body(struct disk *disk, const struct mk_buffer *body)
{
    struct received *received = &disk->received;
    struct log_error error;
    if (snapfile_write(received->writer, body->data, body->length, &error) != 0)
        receive_failed(disk, &error);
    uv_mutex_lock(&disk->mutex);
    bool drained = received->behind && received->orders.body.length < BEHIND_BYTES;
    if (drained) {
        received->behind = false;
        received->drained = true;
    }
    uv_mutex_unlock(&disk->mutex);
    if (drained)
        uv_async_send(&disk->async);
}

static void end(struct disk *disk, const struct snapfile_seal *seal)
{
    struct received *received = &disk->received;
    struct snapfile_writer *writer = received->writer;
    struct log_error error;
    uint64_t file_bytes;
    received->writer = NULL;
    if (snapfile_finish(writer, seal, &file_bytes, &error) != 0)
        receive_failed(disk, &error);
    mk_trace(disk->server->trace, MK_LEVEL_INFO, "snapshot",
             "the leader's snapshot is written and verified: %llu bytes in %llu ms",
             (unsigned long long)file_bytes,
             (unsigned long long)((uv_hrtime() - received->began_ns) / 1000000));
}

void disk_snapshot_obey(struct disk *disk, struct received_orders *orders)
{
    if (orders->abort)
        drop(disk);
    if (orders->begin)
        begin(disk);
    if (orders->body.length)
        write_body(disk, &orders->body);
    if (orders->end)
        end(disk, &orders->seal);
    mk_buffer_fini(&orders->body);
}

void disk_snapshot_drop(struct disk *disk)
{
    snapfile_abort(disk->received.writer);
    disk->received.writer = NULL;
}
