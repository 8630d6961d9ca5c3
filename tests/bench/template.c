/* SPDX-License-Identifier: MIT */
/* Znode paths and pre-encoded requests of the load generator. Pure: no sockets, no clock. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>

void layout_init(struct layout *self, const char *parent, uint32_t spread)
{
    self->parent = parent;
    self->parent_bytes = (uint32_t)strlen(parent);
    self->spread = spread;
    self->path_bytes = self->parent_bytes + 2 + NODE_DIGITS + (spread > 0 ? 2 + GROUP_DIGITS : 0);
}

static void write_digits(uint8_t *at, uint32_t digits, uint32_t value)
{
    while (digits-- > 0) {
        at[digits] = (uint8_t)('0' + value % 10);
        value /= 10;
    }
}

void layout_patch(const struct layout *self, uint8_t *path, uint32_t index)
{
    write_digits(path + self->path_bytes - NODE_DIGITS, NODE_DIGITS, index);
    if (self->spread > 0) {
        write_digits(path + self->parent_bytes + 2, GROUP_DIGITS, index / self->spread);
    }
}

void layout_write_path(const struct layout *self, uint8_t *at, uint32_t index)
{
    memcpy(at, self->parent, self->parent_bytes);
    memcpy(at + self->path_bytes - NODE_DIGITS - 2, "/n", 2);
    if (self->spread > 0) {
        memcpy(at + self->parent_bytes, "/p", 2);
    }
    layout_patch(self, at, index);
}

/* Encodes a request for a path; the data are letters so that a look at a packet is readable. */
static void encode(struct template *self, int32_t op, const uint8_t *path, uint32_t path_bytes,
                   uint32_t data_bytes, bool watch)
{
    uint8_t *data = malloc(data_bytes + 1);
    self->frame = malloc(path_bytes + data_bytes + 128);
    if (data == NULL || self->frame == NULL) {
        fail("out of memory");
    }
    memset(data, 'd', data_bytes);
    self->op = op;
    uint8_t *at = self->frame + 8; /* length and xid come last */
    at = put_i32(at, op);
    if (op != OP_PING) {
        self->path_at = (uint32_t)(at + 4 - self->frame);
        at = put_bytes(at, path, path_bytes);
    }
    if (op == OP_GET_DATA) {
        *at++ = watch;
    } else if (op == OP_SET_DATA) {
        at = put_bytes(at, data, data_bytes);
        at = put_i32(at, -1);
    } else if (op == OP_CREATE) {
        at = put_bytes(at, data, data_bytes);
        at = put_u32(at, 1);
        at = put_i32(at, 31);
        at = put_bytes(at, "world", 5);
        at = put_bytes(at, "anyone", 6);
        at = put_i32(at, 0);
    }
    self->bytes = (uint32_t)(at - self->frame);
    put_u32(self->frame, self->bytes - 4);
    free(data);
}

void template_init(struct template *self, int32_t op, const struct layout *layout,
                   uint32_t data_bytes, bool watch)
{
    uint8_t path[1024];
    memset(self, 0, sizeof *self);
    if (layout->path_bytes > sizeof path) {
        fail("the parent path is too long");
    }
    layout_write_path(layout, path, 0);
    encode(self, op, path, layout->path_bytes, data_bytes, watch);
}

void template_init_path(struct template *self, int32_t op, const char *path, uint32_t data_bytes,
                        bool watch)
{
    memset(self, 0, sizeof *self);
    encode(self, op, (const uint8_t *)path, (uint32_t)strlen(path), data_bytes, watch);
}

void template_fini(struct template *self)
{
    free(self->frame);
    self->frame = NULL;
}

void template_queue(const struct template *self, const struct layout *layout,
                    struct connection *connection, uint32_t index, uint64_t since_ns)
{
    uint8_t *frame = connection_reserve(connection, self->bytes);
    memcpy(frame, self->frame, self->bytes);
    if (layout != NULL && self->path_at > 0) {
        layout_patch(layout, frame + self->path_at, index);
    }
    connection_queue(connection, frame, self->bytes, self->op, since_ns);
}
