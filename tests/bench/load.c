/* SPDX-License-Identifier: MIT */
/* bench_load: the load generator of `make bench`. Reads the options, runs one mode, prints one
 * line of JSON. It speaks the client protocol itself, on one thread and raw epoll, and takes
 * nothing from the server's code, so that it measures any ZooKeeper server alike. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const char usage[] =
    "usage: bench_load load|tree|watch --server HOST:PORT [options]\n"
    "  --operation NAME    load: read, write, create, mixed or ping (read)\n"
    "  --connections N     connections that work, or watchers (16)\n"
    "  --outstanding N     requests in flight on each connection (16)\n"
    "  --data BYTES        data of each znode (100)\n"
    "  --seconds S         measured time (3)\n"
    "  --warmup S          time before it that is not measured (0.5)\n"
    "  --write-percent N   mixed: share of writes (20)\n"
    "  --parent PATH       where the znodes are (/bench)\n"
    "  --count N           number of znodes (1000)\n"
    "  --first N           create: number of the first znode (0)\n"
    "  --spread N          znodes in each parent, 0: all in one (0)\n"
    "  --rate N            load: requests a second, 0: as fast as answers come (0)\n"
    "  --idle N            load: further connections that only ping (0)\n"
    "  --rounds N          watch: changes to measure (20)\n"
    "  --timeout MS        session timeout to ask for (30000)\n"
    "  --pid N             load: report the processor time of this process as the server's\n";

static double parse_number(const char *option, const char *text, double lowest, double highest)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= lowest && value <= highest)) {
        fail("--%s must be a number from %.0f to %.0f, not '%s'", option, lowest, highest, text);
    }
    return value;
}

static enum operation parse_operation(const char *text)
{
    static const char *const names[] = {"read", "write", "create", "mixed", "ping"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            return (enum operation)i;
        }
    }
    fail("there is no operation '%s'", text);
}

/* The options that are numbers. */
struct number_option {
    const char *name;
    double lowest, highest;
    uint32_t *count; /* where it goes: a whole number, or ... */
    double *real;    /* ... any */
};

#define NUMBER_OPTIONS 14

static void list_number_options(struct options *to, struct number_option table[NUMBER_OPTIONS])
{
    const struct number_option rows[NUMBER_OPTIONS] = {
        {"connections", 1, 100000, &to->connections, NULL},
        {"outstanding", 1, 100000, &to->outstanding, NULL},
        {"data", 0, 1000000, &to->data_bytes, NULL},
        {"seconds", 0.01, 3600, NULL, &to->seconds},
        {"warmup", 0, 3600, NULL, &to->warmup_seconds},
        {"write-percent", 0, 100, &to->write_percent, NULL},
        {"count", 1, 99999999, &to->count, NULL},
        {"first", 0, 99999999, &to->first, NULL},
        {"spread", 0, 99999999, &to->spread, NULL},
        {"rate", 0, 1e8, NULL, &to->rate},
        {"idle", 0, 100000, &to->idle, NULL},
        {"rounds", 1, 100000, &to->rounds, NULL},
        {"timeout", 1000, 3600000, &to->timeout_ms, NULL},
        {"pid", 1, 4194304, &to->pid, NULL},
    };
    memcpy(table, rows, sizeof rows);
}

static void take_option(struct options *options, const char *name, const char *text)
{
    struct number_option table[NUMBER_OPTIONS];
    list_number_options(options, table);
    for (unsigned i = 0; i < NUMBER_OPTIONS; i++) {
        const struct number_option *row = &table[i];
        if (strcmp(row->name, name) != 0) {
            continue;
        }
        double value = parse_number(name, text, row->lowest, row->highest);
        if (row->count != NULL) {
            *row->count = (uint32_t)value;
        } else {
            *row->real = value;
        }
        return;
    }
    if (strcmp(name, "server") == 0) {
        options->server = text;
    } else if (strcmp(name, "parent") == 0) {
        options->parent = text;
    } else if (strcmp(name, "operation") == 0) {
        options->operation = parse_operation(text);
        options->operation_name = text;
    } else {
        fail("there is no option --%s", name);
    }
}

static void parse_options(struct options *options, int argc, char **argv)
{
    for (int i = 0; i < argc; i += 2) {
        if (strncmp(argv[i], "--", 2) != 0 || i + 1 == argc) {
            fputs(usage, stderr);
            exit(2);
        }
        take_option(options, argv[i] + 2, argv[i + 1]);
    }
    if (options->server == NULL) {
        fputs(usage, stderr);
        exit(2);
    }
    uint64_t groups = options->spread > 0 ? options->count / options->spread : 0;
    if (groups > 99999) {
        fail("--spread %u gives more than 99999 parents", options->spread);
    }
}

int main(int argc, char **argv)
{
    struct options options = {.operation_name = "read",
                              .operation = OPERATION_READ,
                              .connections = 16,
                              .outstanding = 16,
                              .data_bytes = 100,
                              .seconds = 3,
                              .warmup_seconds = 0.5,
                              .write_percent = 20,
                              .parent = "/bench",
                              .count = 1000,
                              .rounds = 20,
                              .timeout_ms = 30000};
    static const struct {
        const char *name;
        void (*run)(const struct options *options);
    } modes[] = {{"load", run_load}, {"tree", run_tree}, {"watch", run_watch}};
    if (argc < 2) {
        fputs(usage, stderr);
        return 2;
    }
    parse_options(&options, argc - 2, argv + 2);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    prctl(PR_SET_TIMERSLACK, 1000ul); /* a steady rate needs wake-ups that are on time */
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(argv[1], modes[i].name) == 0) {
            modes[i].run(&options);
            return 0;
        }
    }
    fputs(usage, stderr);
    return 2;
}
