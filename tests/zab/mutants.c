/* SPDX-License-Identifier: MIT */
/* The planted bugs (ZAB_MUTANT in native/zab, numbers of the reliability reference): each is run,
 * in a process of its own, over seeds until a check kills it. Prints a table and TAP; a bug that
 * survives is a hole in the checks. Only in zab_sim_mutants. */
#include "tests/zab/sim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern int zab_mutant;

#define SEED_SECONDS_MAX 60

static const char *const stories[64] = {
    [1] = "ack before fsync",
    [2] = "fsync skipped for each 16th batch",
    [3] = "NEWLEADER acked before currentEpoch is durable",
    [4] = "NEWLEADER acked before the synced history is durable",
    [5] = "currentEpoch before the synced history",
    [6] = "ACKEPOCH before acceptedEpoch is durable",
    [7] = "acceptedEpoch rebuilt from the zxid",
    [10] = "memory kept after a failed append",
    [11] = "zxid compared before epoch",
    [12] = "server id compared first",
    [13] = "votes of an old round counted",
    [14] = "one server's vote counted twice",
    [15] = "a wiped or damaged server votes",
    [16] = "follows a leader that does not lead",
    [17] = "commit on a minority",
    [18] = "ack counted twice after a reconnect",
    [19] = "observer's ack counted",
    [20] = "commits out of order",
    [21] = "reply before commit",
    [22] = "reply after the own fsync only",
    [23] = "deposed leader still answers",
    [24] = "proposal of an old epoch accepted",
    [25] = "messages of an old connection accepted",
    [26] = "TRUNC one too few",
    [27] = "TRUNC one too many",
    [28] = "DIFF without the TRUNC that it needs",
    [29] = "DIFF starts one late",
    [30] = "SNAP not durable before the ack",
    [31] = "proposals between NEWLEADER and UPTODATE lost",
    [32] = "UPTODATE before the quorum",
    [33] = "counter wraps without a new epoch",
};

struct outcome { /* shared with the child */
    uint64_t seed;
    bool failed;
    char check[24], failure[400];
};

static void run_child(int number, uint64_t first, uint64_t seeds, struct outcome *outcome)
{
    static struct sim sim;
    zab_mutant = number;
    if (!freopen("/dev/null", "w", stderr)) /* a broken assertion is an outcome, too */
        _exit(2);
    for (uint64_t i = 0; i < seeds; i++) {
        outcome->seed = first + i;
        alarm(SEED_SECONDS_MAX);
        sim_run(&sim, first + i, false);
        if (sim.failed) {
            outcome->failed = true;
            memcpy(outcome->check, sim.check, sizeof outcome->check);
            memcpy(outcome->failure, sim.failure, sizeof outcome->failure);
            _exit(0);
        }
        sim_fini(&sim);
    }
    _exit(0);
}

int mutants_run(uint64_t first, uint64_t seeds)
{
    static const int planted[] = {MK_MUTANT_NUMBERS};
    struct outcome *outcome =
        mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int survivors = 0;
    if (outcome == MAP_FAILED)
        return 2;
    for (size_t i = 0; i < MK_ARRAY_LENGTH(planted); i++) {
        int number = planted[i], status = 0;
        memset(outcome, 0, sizeof *outcome);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            run_child(number, first, seeds, outcome);
        if (child < 0 || waitpid(child, &status, 0) != child)
            return 2;
        bool killed = outcome->failed || WIFSIGNALED(status);
        survivors += !killed;
        const char *check = outcome->failed ? outcome->check
                            : WIFSIGNALED(status)
                                ? (WTERMSIG(status) == SIGALRM ? "time" : "assert")
                                : "-";
        const char *story = number < 64 && stories[number] ? stories[number] : "";
        printf("%s %zu - mutant %d (%s): %s by %s at seed %llu%s%s\n", killed ? "ok" : "not ok",
               i + 1, number, story, killed ? "killed" : "survived", check,
               (unsigned long long)outcome->seed, outcome->failed ? " # " : "",
               outcome->failed ? outcome->failure : "");
    }
    printf("1..%zu\n# %d of %zu planted bugs survived %llu seeds\n", MK_ARRAY_LENGTH(planted),
           survivors, MK_ARRAY_LENGTH(planted), (unsigned long long)seeds);
    return survivors > 0 ? 1 : 0;
}
