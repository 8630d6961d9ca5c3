/* SPDX-License-Identifier: MIT */
/* Mode `tree`: creates many znodes fast, pipelined, under one parent or spread over many. Znodes
 * that are there already count as fine, so a run can be repeated. Also creates single paths for
 * the other modes. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>

struct populate {
    const struct options *options;
    struct pool *pool;
    struct layout layout;
    struct template create;
    uint32_t next; /* the next znode to ask for */
    uint32_t end;
    uint32_t answered;
    uint32_t existed;
};

static void check_created(struct populate *self, int32_t err)
{
    self->answered++;
    if (err == ERR_NODE_EXISTS) {
        self->existed++;
    } else if (err != 0) {
        fail("create failed with error %d", (int)err);
    }
}

static void on_reply(void *context, struct connection *connection, const struct slot *slot,
                     int32_t err, const uint8_t *body, size_t body_bytes, uint64_t now)
{
    (void)connection, (void)body, (void)body_bytes, (void)now;
    if (slot->kind == OP_CREATE) {
        check_created(context, err);
    }
}

static void on_batch(void *context, struct connection *connection, uint64_t now)
{
    struct populate *self = context;
    while (self->next < self->end &&
           connection_in_flight(connection) < self->options->outstanding) {
        template_queue(&self->create, &self->layout, connection, self->next++, now);
    }
    connection_flush(self->pool, connection, now);
}

static void create_path(struct populate *self, const char *path, uint32_t data_bytes)
{
    struct template template;
    template_init_path(&template, OP_CREATE, path, data_bytes, false);
    struct connection *connection = &self->pool->connections[0];
    uint32_t answered = self->answered;
    template_queue(&template, NULL, connection, 0, now_ns());
    connection_flush(self->pool, connection, now_ns());
    while (self->answered == answered) {
        pool_turn(self->pool, 100000000);
    }
    template_fini(&template);
}

static void create_ancestors(struct populate *self, const char *path)
{
    char part[512];
    size_t length = strlen(path);
    if (length >= sizeof part) {
        fail("the path is too long");
    }
    for (size_t i = 1; i <= length; i++) {
        if (path[i] == '/' || path[i] == '\0') {
            memcpy(part, path, i);
            part[i] = '\0';
            create_path(self, part, 0);
        }
    }
}

void ensure_path(const struct options *options, const char *path)
{
    struct pool pool = {0};
    struct populate populate = {.options = options, .pool = &pool};
    struct handler handler = {.context = &populate, .on_reply = on_reply};
    pool_open(&pool, options->server, 1, 1, options->timeout_ms);
    pool.handler = &handler;
    create_ancestors(&populate, path);
    pool_close(&pool);
}

static void create_all(struct populate *self)
{
    struct handler handler = {.context = self, .on_reply = on_reply, .on_batch = on_batch};
    self->pool->handler = &handler;
    self->answered = self->existed = 0;
    for (uint32_t i = 0; i < self->pool->count; i++) {
        on_batch(self, &self->pool->connections[i], now_ns());
    }
    while (self->answered < self->end) {
        pool_turn(self->pool, 100000000);
    }
    self->pool->handler = NULL;
}

/* The parents of spread znodes must stand before their children are asked for. */
static void create_groups(struct populate *self)
{
    char path[512];
    uint32_t groups = (self->end + self->layout.spread - 1) / self->layout.spread;
    for (uint32_t i = 0; i < groups; i++) {
        snprintf(path, sizeof path, "%s/p%0*u", self->layout.parent, GROUP_DIGITS, i);
        create_path(self, path, 0);
    }
}

void run_tree(const struct options *options)
{
    struct pool pool = {0};
    struct populate populate = {.options = options, .pool = &pool, .end = options->count};
    layout_init(&populate.layout, options->parent, options->spread);
    template_init(&populate.create, OP_CREATE, &populate.layout, options->data_bytes, false);
    pool_open(&pool, options->server, options->connections, options->outstanding,
              options->timeout_ms);
    struct handler handler = {.context = &populate, .on_reply = on_reply};
    pool.handler = &handler;
    create_ancestors(&populate, options->parent);
    if (options->spread > 0) {
        create_groups(&populate);
    }
    uint64_t start = now_ns();
    create_all(&populate);
    double seconds = (double)(now_ns() - start) / 1e9;
    pool_close(&pool);
    template_fini(&populate.create);
    printf("{\"mode\":\"tree\",\"count\":%u,\"spread\":%u,\"data_bytes\":%u,\"existed\":%u,"
           "\"seconds\":%.3f,\"requests_per_second\":%.1f}\n",
           options->count, options->spread, options->data_bytes, populate.existed, seconds,
           options->count / seconds);
}
