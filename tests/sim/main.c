/* SPDX-License-Identifier: MIT */
/* Runs seeds and says what they showed:
 *   moonkeeper-sim [--seeds N] [--seed S] [--steps N] [--verbose] [--tap]
 * Seeds 1..N; --seed runs that one alone, with --verbose printing the server's log. Each 50th
 * seed is run twice and must give the same trace. Exit code 1 if a promise was broken. */
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STEPS_DEFAULT 4000
#define TWICE_EVERY 50

struct totals {
    uint64_t seeds, failed, events, restarts;
    int64_t simulated_ms;
};

static uint64_t number_argument(const char *option, const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = text ? strtoull(text, &end, 10) : 0;
    if (!text || end == text || *end || errno) {
        fprintf(stderr, "moonkeeper-sim: %s wants a number, not \"%s\"\n", option,
                text ? text : "");
        exit(2);
    }
    return value;
}

static uint64_t run_seed(const struct sim_options *options, struct totals *totals)
{
    static struct sim sim;
    sim_run(&sim, options);
    uint64_t trace = sim.trace;
    totals->seeds++;
    totals->events += sim.events;
    totals->restarts += sim.restarts;
    totals->simulated_ms += sim.now_ms;
    if (sim.failure[0]) {
        totals->failed++;
        printf("# seed %llu: %s\n", (unsigned long long)options->seed, sim.failure);
        printf("#   replay: moonkeeper-sim --seed %llu --steps %u --verbose\n",
               (unsigned long long)options->seed, options->steps);
    }
    sim_fini(&sim);
    return trace;
}

int main(int argc, char **argv)
{
    struct sim_options options = {.steps = STEPS_DEFAULT};
    uint64_t first = 1, count = 100;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--seeds") == 0) {
            count = number_argument(argv[i++], value);
        } else if (strcmp(argv[i], "--seed") == 0) {
            first = number_argument(argv[i++], value);
            count = 1;
        } else if (strcmp(argv[i], "--steps") == 0) {
            options.steps = (uint32_t)number_argument(argv[i++], value);
        } else if (strcmp(argv[i], "--verbose") == 0) {
            options.verbose = true;
        } else if (strcmp(argv[i], "--tap") != 0) {
            fprintf(stderr, "moonkeeper-sim: unknown option %s\n", argv[i]);
            return 2;
        }
    }
    struct totals totals = {0, 0, 0, 0, 0};
    uint64_t not_repeatable = 0;
    clock_t began = clock();
    for (uint64_t seed = first; seed < first + count; seed++) {
        options.seed = seed;
        uint64_t trace = run_seed(&options, &totals);
        if (seed % TWICE_EVERY != 0)
            continue;
        struct totals again = {0, 0, 0, 0, 0};
        if (run_seed(&options, &again) != trace) {
            printf("# seed %llu: two runs gave two traces\n", (unsigned long long)seed);
            not_repeatable++;
        }
    }
    double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
    printf("%s 1 - %llu seeds keep every promise\n", totals.failed ? "not ok" : "ok",
           (unsigned long long)totals.seeds);
    printf("%s 2 - a seed replays the same trace\n", not_repeatable ? "not ok" : "ok");
    printf("1..2\n");
    printf("# %llu events, %llu restarts, %.1f simulated hours in %.1f s: %.0f events/s\n",
           (unsigned long long)totals.events, (unsigned long long)totals.restarts,
           (double)totals.simulated_ms / 3600000.0, seconds,
           seconds > 0 ? (double)totals.events / seconds : 0.0);
    return totals.failed || not_repeatable ? 1 : 0;
}
