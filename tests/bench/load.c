/* SPDX-License-Identifier: MIT */
/* bench_load: the load generator of `make bench`. Reads the options, runs one mode, prints one
 * line of JSON. It speaks the client protocol itself, on one thread and raw epoll, and takes
 * nothing from the server's code, so that it measures any ZooKeeper server alike. */
#include "load.h"

#include <errno.h>
#include <getopt.h>
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

static uint32_t parse_count(const char *option, const char *text, double lowest, double highest)
{
    return (uint32_t)parse_number(option, text, lowest, highest);
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

static void take_option(struct options *options, const char *name, int letter, const char *text)
{
    switch (letter) {
    case 's': options->server = text; break;
    case 'o':
        options->operation_name = text;
        options->operation = parse_operation(text);
        break;
    case 'p': options->parent = text; break;
    case 'c': options->connections = parse_count(name, text, 1, 100000); break;
    case 'k': options->outstanding = parse_count(name, text, 1, 100000); break;
    case 'd': options->data_bytes = parse_count(name, text, 0, 1000000); break;
    case 't': options->seconds = parse_number(name, text, 0.01, 3600); break;
    case 'w': options->warmup_seconds = parse_number(name, text, 0, 3600); break;
    case 'm': options->write_percent = parse_count(name, text, 0, 100); break;
    case 'n': options->count = parse_count(name, text, 1, 99999999); break;
    case 'f': options->first = parse_count(name, text, 0, 99999999); break;
    case 'g': options->spread = parse_count(name, text, 0, 99999999); break;
    case 'r': options->rate = parse_number(name, text, 0, 1e8); break;
    case 'i': options->idle = parse_count(name, text, 0, 100000); break;
    case 'R': options->rounds = parse_count(name, text, 1, 100000); break;
    case 'T': options->timeout_ms = parse_count(name, text, 1000, 3600000); break;
    case 'P': options->pid = parse_count(name, text, 1, 4194304); break;
    default: fputs(usage, stderr); exit(2);
    }
}

static void parse_options(struct options *options, int argc, char **argv)
{
    static const struct option table[] = {
        {"server", 1, NULL, 's'},        {"operation", 1, NULL, 'o'}, {"parent", 1, NULL, 'p'},
        {"connections", 1, NULL, 'c'},   {"outstanding", 1, NULL, 'k'}, {"data", 1, NULL, 'd'},
        {"seconds", 1, NULL, 't'},       {"warmup", 1, NULL, 'w'},    {"count", 1, NULL, 'n'},
        {"write-percent", 1, NULL, 'm'}, {"spread", 1, NULL, 'g'},    {"rate", 1, NULL, 'r'},
        {"idle", 1, NULL, 'i'},          {"rounds", 1, NULL, 'R'},    {"timeout", 1, NULL, 'T'},
        {"pid", 1, NULL, 'P'},           {"first", 1, NULL, 'f'},
        {NULL, 0, NULL, 0}};
    int which = 0;
    int letter;
    while ((letter = getopt_long(argc, argv, "", table, &which)) != -1) {
        take_option(options, table[which].name, letter, optarg);
    }
    if (options->server == NULL || optind != argc) {
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
    parse_options(&options, argc - 1, argv + 1);
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
