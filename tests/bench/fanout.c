/* SPDX-License-Identifier: MIT */
/* Mode `watch`: N connections watch one znode, another one changes it; two times run from the
 * write: until the last watcher's event has reached its socket (the kernel's time stamp: what the
 * server needs to tell all), and until this one thread has read them all (which adds the cost of
 * thousands of clients sharing one thread). Between looks it sleeps, so that the server does not
 * pay for waking it thousands of times: real watchers sit on other machines. */
#include "histogram.h"
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LOOK_EVERY_NS 1000000

struct fanout {
    const struct options *options;
    struct pool *pool;
    uint32_t armed;
    uint32_t told;
    uint32_t written;
    uint64_t start_ns, start_wall_ns;
    uint64_t last_read_ns, last_arrived_ns;
    struct histogram each_arrived, last_arrived, last_read;
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
    uint64_t arrived = self->pool->arrived_ns;
    (void)connection;
    if (arrived < self->start_wall_ns) {
        fail("the kernel gives no usable time stamps");
    }
    arrived -= self->start_wall_ns;
    self->told++;
    self->last_read_ns = now - self->start_ns;
    if (arrived > self->last_arrived_ns) {
        self->last_arrived_ns = arrived;
    }
    histogram_record(&self->each_arrived, arrived);
}

/* Waits until a counter reaches a value; a lost event must not hang the benchmark. */
static void wait_for(struct pool *pool, const uint32_t *counter, uint32_t value, const char *what)
{
    const struct timespec pause = {.tv_nsec = LOOK_EVERY_NS};
    uint64_t deadline = now_ns() + 10000000000ull;
    while (*counter < value) {
        if (pool_turn(pool, 0) == 0) {
            nanosleep(&pause, NULL);
        }
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
    self->last_arrived_ns = self->last_read_ns = 0;
    for (uint32_t i = 0; i < watchers; i++) {
        template_queue(read, NULL, &pool->connections[i], 0, now_ns());
        connection_flush(pool, &pool->connections[i], now_ns());
    }
    wait_for(pool, &self->armed, watchers, "watches were set");
    self->start_ns = now_ns();
    self->start_wall_ns = wall_ns();
    template_queue(write, NULL, &pool->connections[watchers], 0, self->start_ns);
    connection_flush(pool, &pool->connections[watchers], self->start_ns);
    wait_for(pool, &self->told, watchers, "watchers were told");
    wait_for(pool, &self->written, 1, "writes were answered");
    histogram_record(&self->last_arrived, self->last_arrived_ns);
    histogram_record(&self->last_read, self->last_read_ns);
}

void run_watch(const struct options *options)
{
    static struct fanout fanout; /* the histograms are large for a stack */
    struct pool pool = {.kernel_times = true};
    struct template read, write;
    fanout.options = options;
    fanout.pool = &pool;
    ensure_path(options, options->parent);
    template_init_path(&read, OP_GET_DATA, options->parent, 0, true);
    template_init_path(&write, OP_SET_DATA, options->parent, options->data_bytes, false);
    pool_open(&pool, options->server, options->connections + 1, 4, options->timeout_ms);
    struct handler handler = {.context = &fanout, .on_reply = on_reply, .on_event = on_event};
    pool.handler = &handler;
    for (uint32_t round = 0; round < options->rounds + 2; round++) {
        if (round == 2) { /* two rounds to warm up */
            histogram_clear(&fanout.each_arrived);
            histogram_clear(&fanout.last_arrived);
            histogram_clear(&fanout.last_read);
        }
        run_round(&fanout, &pool, &read, &write);
    }
    pool_close(&pool);
    printf("{\"mode\":\"watch\",\"watchers\":%u,\"rounds\":%u,", options->connections,
           options->rounds);
    histogram_print_json(&fanout.last_arrived, "last_told_us");
    printf(",");
    histogram_print_json(&fanout.last_read, "last_read_us");
    printf(",");
    histogram_print_json(&fanout.each_arrived, "each_told_us");
    printf("}\n");
    template_fini(&read);
    template_fini(&write);
}
