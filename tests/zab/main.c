/* SPDX-License-Identifier: MIT */
/* Runs seeds and says what they showed:
 *   zab_sim [--seeds FIRST-LAST | --seeds COUNT | --seed N [--print]] [--twice] [--keep-going]
 * Prints TAP. Each 50th seed (all with --twice) is run twice and must give the same trace; from 200
 * seeds on, each rare place must have been reached. Exit code 1 if a check failed. Built with
 * MK_MUTANTS (zab_sim_mutants): --mutant M [--print] runs with one planted bug; --mutants prints a
 * table of all of them, each over the seeds until a check kills it. */
#include "tests/zab/sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef MK_MUTANTS
extern int zab_mutant;
#endif

#define TWICE_EVERY 50
#define PLACES_SEEDS_MIN 200

struct totals {
    uint64_t seeds, failed, events, steps;
    int64_t simulated_ms;
    uint64_t marks[MARKS];
};

struct arguments {
    uint64_t first, seeds;
    bool print, twice, mutants, keep_going;
};

static uint64_t number_argument(const char *option, const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = text ? strtoull(text, &end, 10) : 0;
    if (!text || end == text || *end || errno) {
        fprintf(stderr, "zab_sim: %s wants a number, not \"%s\"\n", option, text ? text : "");
        exit(2);
    }
    return value;
}

/* FIRST-LAST, or how many from 1. */
static void seeds_argument(const char *option, char *text, struct arguments *arguments)
{
    char *dash = text ? strchr(text, '-') : NULL;
    if (!dash) {
        arguments->seeds = number_argument(option, text);
        return;
    }
    *dash = 0;
    arguments->first = number_argument(option, text);
    uint64_t last = number_argument(option, dash + 1);
    arguments->seeds = last >= arguments->first ? last - arguments->first + 1 : 0;
}

static void parse(int argc, char **argv, struct arguments *arguments)
{
    for (int i = 1; i < argc; i++) {
        char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--seeds") == 0) {
            seeds_argument(argv[i++], value, arguments);
        } else if (strcmp(argv[i], "--seed") == 0) {
            arguments->first = number_argument(argv[i++], value);
            arguments->seeds = 1;
        } else if (strcmp(argv[i], "--print") == 0) {
            arguments->print = true;
        } else if (strcmp(argv[i], "--twice") == 0) {
            arguments->twice = true;
        } else if (strcmp(argv[i], "--keep-going") == 0) {
            arguments->keep_going = true;
#ifdef MK_MUTANTS
        } else if (strcmp(argv[i], "--mutant") == 0) {
            zab_mutant = (int)number_argument(argv[i++], value);
        } else if (strcmp(argv[i], "--mutants") == 0) {
            arguments->mutants = true;
#endif
        } else {
            fprintf(stderr, "zab_sim: unknown option %s\n", argv[i]);
            exit(2);
        }
    }
}

static uint64_t run_seed(uint64_t seed, bool print, struct totals *totals)
{
    static struct sim sim;
    sim_run(&sim, seed, print);
    totals->seeds++;
    totals->events += sim.events;
    totals->steps += sim.steps;
    totals->simulated_ms += sim.now;
    for (int mark = 0; mark < MARKS; mark++)
        totals->marks[mark] += sim.marks[mark];
    if (sim.failed) {
        totals->failed++;
        printf("# seed %llu fails %s after %llu events: %s\n", (unsigned long long)seed, sim.check,
               (unsigned long long)sim.events, sim.failure);
        printf("#   replay: zab_sim --seed %llu --print\n", (unsigned long long)seed);
    }
    uint64_t trace = sim.trace;
    sim_fini(&sim);
    return trace;
}

static void report(const struct totals *totals, double seconds)
{
    printf("# %llu seeds, %.1f simulated hours, %llu steps, %llu events in %.1f s: %.0f events/s\n",
           (unsigned long long)totals->seeds, (double)totals->simulated_ms / 3600000.0,
           (unsigned long long)totals->steps, (unsigned long long)totals->events, seconds,
           seconds > 0 ? (double)totals->events / seconds : 0.0);
    printf("# reached:");
    for (int mark = 0; mark < MARKS; mark++)
        printf(" %s %llu%s", mark_name((enum mark)mark), (unsigned long long)totals->marks[mark],
               mark + 1 < MARKS ? "," : "\n");
}

static unsigned places_missed(const struct totals *totals)
{
    unsigned missed = 0;
    for (int mark = 0; mark < MARKS; mark++) {
        if (totals->marks[mark] >= totals->seeds / 100)
            continue;
        printf("# reached too rarely: %s\n", mark_name((enum mark)mark));
        missed++;
    }
    return missed;
}

static int run_seeds(const struct arguments *arguments)
{
    struct totals totals = {.seeds = 0};
    uint64_t not_repeatable = 0, traces = 0;
    clock_t began = clock();
    for (uint64_t i = 0; i < arguments->seeds; i++) {
        uint64_t seed = arguments->first + i;
        uint64_t trace = run_seed(seed, arguments->print, &totals);
        traces = mk_hash_u64(trace, traces);
        if (!arguments->print && (arguments->twice || seed % TWICE_EVERY == 0)) {
            struct totals again = {.seeds = 0};
            if (run_seed(seed, false, &again) != trace) {
                printf("# seed %llu: two runs gave two traces\n", (unsigned long long)seed);
                not_repeatable++;
            }
        }
        if (totals.failed && !arguments->keep_going)
            break;
        fflush(stdout);
    }
    unsigned missed = totals.seeds >= PLACES_SEEDS_MIN ? places_missed(&totals) : 0;
    printf("%s 1 - %llu seeds keep every promise of the ensemble\n",
           totals.failed ? "not ok" : "ok", (unsigned long long)totals.seeds);
    printf("%s 2 - a seed replays the same trace\n", not_repeatable ? "not ok" : "ok");
    printf("%s 3 - the rare places are reached\n1..3\n", missed ? "not ok" : "ok");
    report(&totals, (double)(clock() - began) / CLOCKS_PER_SEC);
    printf("# all traces: %016llx\n", (unsigned long long)traces);
    return totals.failed || not_repeatable || missed ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.first = 1, .seeds = 100};
    parse(argc, argv, &arguments);
#ifdef MK_MUTANTS
    if (arguments.mutants)
        return mutants_run(arguments.first, arguments.seeds);
#endif
    return run_seeds(&arguments);
}
