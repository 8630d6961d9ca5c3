/* SPDX-License-Identifier: MIT */
/* Mode `watch`: N connections watch one znode, another one changes it, and the time runs from the
 * write until the last watcher's event has been read. The reading is done by this one thread, so
 * its own cost is part of the figure; the same run against the do-nothing server shows how much. */
#include "histogram.h"
#include "load.h"

#include <stdio.h>
#include <stdlib.h>

struct fanout {
    const struct options *options;
    uint32_t armed;
    uint32_t told;
    uint32_t written;
    uint64_t start_ns, last_ns;
    struct histogram each, last;
};

static void on_reply(void *context, struct connection *connection, const struct slot *slot,
                     int32_t err, const uint8_t *body, size_t body_bytes, uint64_t now)
{
    struct fanout *self = context;
    (void)connection, (void)body, (void)body_bytes, (void)now;
    if (err != 0) {
        fail("the server answered with error %d", (int)err);
    }
    self->armed += slot->kind == OP_GET_DATA;
    self->written += slot->kind == OP_SET_DATA;
}

static void on_event(void *context, struct connection *connection, uint64_t now)
{
    struct fanout *self = context;
    (void)connection;
    self->told++;
    self->last_ns = now;
    histogram_record(&self->each, now - self->start_ns);
}

/* Waits until a counter reaches a value; a lost event must not hang the benchmark. */
static void wait_for(struct pool *pool, const uint32_t *counter, uint32_t value, const char *what)
{
    uint64_t deadline = now_ns() + 10000000000ull;
    while (*counter < value) {
        pool_turn(pool, 100000000);
        if (now_ns() > deadline) {
            fail("only %u of %u %s within 10 s", *counter, value, what);
        }
    }
}

static void run_round(struct fanout *self, struct pool *pool, const struct template *read,
                      const struct template *write)
{
    uint32_t watchers = self->options->connections;
    self->armed = self->told = self->written = 0;
    for (uint32_t i = 0; i < watchers; i++) {
        template_queue(read, NULL, &pool->connections[i], 0, now_ns());
        connection_flush(pool, &pool->connections[i], now_ns());
    }
    wait_for(pool, &self->armed, watchers, "watches were set");
    self->start_ns = now_ns();
    template_queue(write, NULL, &pool->connections[watchers], 0, self->start_ns);
    connection_flush(pool, &pool->connections[watchers], self->start_ns);
    wait_for(pool, &self->told, watchers, "watchers were told");
    wait_for(pool, &self->written, 1, "writes were answered");
    histogram_record(&self->last, self->last_ns - self->start_ns);
}

void run_watch(const struct options *options)
{
    static struct fanout fanout; /* the histograms are large for a stack */
    struct pool pool;
    struct template read, write;
    fanout.options = options;
    ensure_path(options, options->parent);
    template_init_path(&read, OP_GET_DATA, options->parent, 0, true);
    template_init_path(&write, OP_SET_DATA, options->parent, options->data_bytes, false);
    pool_open(&pool, options->server, options->connections + 1, 4, options->timeout_ms);
    struct handler handler = {.context = &fanout, .on_reply = on_reply, .on_event = on_event};
    pool.handler = &handler;
    for (uint32_t round = 0; round < options->rounds + 2; round++) {
        if (round == 2) { /* two rounds to warm up */
            histogram_clear(&fanout.each);
            histogram_clear(&fanout.last);
        }
        run_round(&fanout, &pool, &read, &write);
    }
    pool_close(&pool);
    printf("{\"mode\":\"watch\",\"watchers\":%u,\"rounds\":%u,", options->connections,
           options->rounds);
    histogram_print_json(&fanout.last, "last_told_us");
    printf(",");
    histogram_print_json(&fanout.each, "each_told_us");
    printf("}\n");
    template_fini(&read);
    template_fini(&write);
}
