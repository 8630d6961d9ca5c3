/* SPDX-License-Identifier: MIT */
/* Mode `load`: N connections keep K requests in flight each (closed loop), or send at a fixed rate
 * (then latency counts from the moment at which a request was due, so that a stalled server cannot
 * hide its stall by holding up the generator). Further connections may sit idle and ping. */
#include "histogram.h"
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct load {
    const struct options *options;
    struct pool *pool;
    struct layout layout;
    struct template read, write, create, ping;
    struct histogram reads, writes;
    uint64_t random;
    uint32_t next_create;
    bool measuring, sending;
    uint64_t errors;
    int32_t first_error;
};

static uint32_t draw(struct load *load, uint32_t bound)
{
    load->random ^= load->random << 13;
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return (uint32_t)(((load->random >> 32) * bound) >> 32);
}

static void queue_one(struct load *load, struct connection *connection, uint64_t since_ns)
{
    const struct template *template = NULL;
    uint32_t index = 0;
    switch (load->options->operation) {
    case OPERATION_CREATE:
        template = &load->create;
        index = load->next_create++;
        break;
    case OPERATION_PING:
        template = &load->ping;
        break;
    case OPERATION_READ:
        template = &load->read;
        index = draw(load, load->options->count);
        break;
    case OPERATION_WRITE:
        template = &load->write;
        index = draw(load, load->options->count);
        break;
    case OPERATION_MIXED:
        template = draw(load, 100) < load->options->write_percent ? &load->write : &load->read;
        index = draw(load, load->options->count);
        break;
    }
    template_queue(template, &load->layout, connection, index, since_ns);
}

static void on_reply(void *context, struct connection *connection, const struct slot *slot,
                     int32_t err, const uint8_t *body, size_t body_bytes, uint64_t now)
{
    struct load *load = context;
    (void)body;
    if (connection->index >= load->options->connections) {
        return; /* a ping of an idle connection */
    }
    if (err != 0) {
        load->first_error = load->errors++ == 0 ? err : load->first_error;
    } else if (slot->kind == OP_GET_DATA &&
               body_bytes != 4 + (size_t)load->options->data_bytes + STAT_BYTES) {
        fail("getData answered %zu bytes", body_bytes);
    }
    if (load->measuring) {
        bool is_read = slot->kind == OP_GET_DATA || slot->kind == OP_PING;
        histogram_record(is_read ? &load->reads : &load->writes, now - slot->since_ns);
    }
}

static void on_batch(void *context, struct connection *connection, uint64_t now)
{
    struct load *load = context;
    if (!load->sending || connection->index >= load->options->connections) {
        return;
    }
    while (connection_in_flight(connection) < load->options->outstanding) {
        queue_one(load, connection, now);
    }
    connection_flush(load->pool, connection, now);
}

/* Sends what is due at the wished rate, round robin, one write for each connection. */
static void send_due(struct load *load, uint64_t start_ns, uint64_t now, uint64_t *sent)
{
    double interval_ns = 1e9 / load->options->rate;
    uint64_t due = (uint64_t)((double)(now - start_ns) / interval_ns);
    uint32_t full = 0;
    while (*sent < due && full < load->options->connections) {
        uint32_t turn = (uint32_t)(*sent % load->options->connections) + full;
        struct connection *connection = &load->pool->connections[turn % load->options->connections];
        if (connection_in_flight(connection) >= load->options->outstanding) {
            full++;
            continue;
        }
        full = 0;
        queue_one(load, connection, start_ns + (uint64_t)((double)*sent * interval_ns));
        (*sent)++;
        connection_flush(load->pool, connection, now);
    }
}

/* Runs until a moment; pings the idle ones ten times a second. */
static void run_until(struct load *load, uint64_t end_ns, uint64_t start_ns, uint64_t *sent)
{
    uint64_t next_ping = 0;
    for (uint64_t now = now_ns(); now < end_ns; now = now_ns()) {
        uint64_t wait_ns = 10000000;
        if (load->options->rate > 0) {
            send_due(load, start_ns, now, sent);
            uint64_t next = start_ns + (uint64_t)((double)(*sent + 1) * 1e9 / load->options->rate);
            now = now_ns();
            wait_ns = next > now ? next - now : 50000;
            wait_ns = wait_ns > 10000000 ? 10000000 : wait_ns;
        }
        pool_turn(load->pool, wait_ns);
        if (now > next_ping) {
            pool_ping_idle(load->pool, load->options->connections, now);
            next_ping = now + 100000000;
        }
    }
}

/* Processor time of another process, all its threads; 0 when it cannot be read. */
static double server_cpu_seconds(uint32_t pid)
{
    char name[64], text[1024];
    snprintf(name, sizeof name, "/proc/%u/stat", pid);
    FILE *file = pid > 0 ? fopen(name, "r") : NULL;
    if (file == NULL) {
        return 0;
    }
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    unsigned long user = 0, system = 0;
    const char *fields = strrchr(text, ')'); /* the name in parentheses may hold anything */
    if (fields == NULL || sscanf(fields + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                                 &user, &system) != 2) {
        return 0;
    }
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void report(const struct load *load, double seconds, double cpu_share, double server_share)
{
    const struct options *options = load->options;
    uint64_t requests = load->reads.count + load->writes.count;
    printf("{\"mode\":\"load\",\"operation\":\"%s\",\"connections\":%u,\"outstanding\":%u,"
           "\"data_bytes\":%u,\"count\":%u,\"idle\":%u,\"rate\":%.0f,\"seconds\":%.3f,"
           "\"requests\":%llu,\"requests_per_second\":%.1f,\"errors\":%llu,\"first_error\":%d,"
           "\"generator_cpu_percent\":%.1f,\"server_cpu_percent\":%.1f,",
           options->operation_name, options->connections, options->outstanding, options->data_bytes,
           options->count, options->idle, options->rate, seconds, (unsigned long long)requests,
           (double)requests / seconds, (unsigned long long)load->errors, (int)load->first_error,
           cpu_share * 100, server_share * 100);
    histogram_print_json(&load->reads, "read_us");
    printf(",");
    histogram_print_json(&load->writes, "write_us");
    printf("}\n");
}

static void finish_requests(struct load *load)
{
    load->sending = false;
    load->measuring = false;
    uint64_t deadline = now_ns() + 10000000000ull;
    for (uint32_t i = 0; i < load->options->connections; i++) {
        while (connection_in_flight(&load->pool->connections[i]) > 0) {
            pool_turn(load->pool, 10000000);
            if (now_ns() > deadline) {
                fail("requests were not answered within 10 s");
            }
        }
    }
}

void run_load(const struct options *options)
{
    static struct load load; /* the histograms are large for a stack */
    struct pool pool = {0};
    load.options = options;
    load.pool = &pool;
    load.random = 88172645463325252ull;
    load.next_create = options->first;
    layout_init(&load.layout, options->parent, options->spread);
    template_init(&load.read, OP_GET_DATA, &load.layout, 0, false);
    template_init(&load.write, OP_SET_DATA, &load.layout, options->data_bytes, false);
    template_init(&load.create, OP_CREATE, &load.layout, options->data_bytes, false);
    template_init(&load.ping, OP_PING, &load.layout, 0, false);
    if (options->operation == OPERATION_CREATE) {
        ensure_path(options, options->parent);
    }
    pool_open(&pool, options->server, options->connections + options->idle, options->outstanding,
              options->timeout_ms);
    struct handler handler = {.context = &load, .on_reply = on_reply};
    handler.on_batch = options->rate > 0 ? NULL : on_batch;
    pool.handler = &handler;
    load.sending = true;
    uint64_t sent = 0;
    uint64_t start = now_ns();
    if (options->rate <= 0) {
        for (uint32_t i = 0; i < options->connections; i++) {
            on_batch(&load, &pool.connections[i], start);
        }
    }
    uint64_t from = start + (uint64_t)(options->warmup_seconds * 1e9);
    run_until(&load, from, start, &sent);
    load.measuring = true;
    from = now_ns();
    double cpu = cpu_seconds(), server_cpu = server_cpu_seconds(options->pid);
    run_until(&load, from + (uint64_t)(options->seconds * 1e9), start, &sent);
    double seconds = (double)(now_ns() - from) / 1e9;
    cpu = (cpu_seconds() - cpu) / seconds;
    server_cpu = (server_cpu_seconds(options->pid) - server_cpu) / seconds;
    finish_requests(&load);
    pool_close(&pool);
    report(&load, seconds, cpu, server_cpu);
    template_fini(&load.read);
    template_fini(&load.write);
    template_fini(&load.create);
    template_fini(&load.ping);
}
