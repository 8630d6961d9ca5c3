/* SPDX-License-Identifier: MIT */
/* A disk in memory behind log/store.h, for unit tests and the simulator: one directory whose
 * files have a durable image and a current one. A crash keeps a random subset of what was not
 * synced: 512-byte sectors, sizes, directory entries. Calls can be made to fail, to crash the
 * disk, or to run out of space; bytes can be flipped. Deterministic for a seed. Tests include
 * memory_store.c or link it. */
#ifndef TESTS_LIB_MEMORY_STORE_H
#define TESTS_LIB_MEMORY_STORE_H

#include "base/rand.h"
#include "log/store.h"

enum memory_call {
    MEMORY_LIST,
    MEMORY_OPEN,
    MEMORY_READ,
    MEMORY_WRITE,
    MEMORY_ZEROS,
    MEMORY_SYNC,
    MEMORY_TRUNCATE,
    MEMORY_RENAME,
    MEMORY_REMOVE,
    MEMORY_SYNC_DIRECTORY,
    MEMORY_CALLS
};

struct memory_store;

struct memory_faults {
    /* Counted from 1 over the calls that change the disk or sync it; 0: never. */
    uint64_t fail_call;  /* this call fails with fail_code (a write may have been done in part) */
    int fail_code;       /* MK_ERR_IO or MK_ERR_NO_SPACE */
    uint64_t crash_call; /* this call is done in part, then every call fails until _crash */
    uint64_t fail_read;  /* likewise for reads, counted apart; fails with MK_ERR_IO */
    uint64_t bytes_max;  /* space for all files; 0: endless */
};

struct memory_store *memory_store_new(uint64_t seed);
void memory_store_free(struct memory_store *memory);
/* A second disk with the same current content, everything durable. */
struct memory_store *memory_store_clone(const struct memory_store *memory, uint64_t seed);

struct store *memory_store_of(struct memory_store *memory);
/* Before anything is opened: the store asks for whole blocks (store.block_bytes). */
void memory_store_set_block(struct memory_store *memory, uint32_t block_bytes);
/* May be changed at any time. */
struct memory_faults *memory_store_faults(struct memory_store *memory);
/* Calls so far that change the disk or sync it. */
uint64_t memory_store_calls(const struct memory_store *memory);
uint64_t memory_store_count(const struct memory_store *memory, enum memory_call call);

/* The power goes, and comes back: unsynced things survive at random (`keep_percent` 0: nothing
 * does, 100: all does). Faults are cleared, the lock is gone, open files are dead (close them). */
void memory_store_crash(struct memory_store *memory, unsigned keep_percent);
/* The process dies, the machine does not: everything written stays. */
void memory_store_kill(struct memory_store *memory);

/* Direct access for tests; everything is durable at once. */
void memory_store_put(struct memory_store *memory, const char *name, const void *data, size_t size);
/* Current content, valid until the next change; NULL if there is no such file. */
uint8_t *memory_store_get(struct memory_store *memory, const char *name, size_t *size);
bool memory_store_delete(struct memory_store *memory, const char *name);
/* Name of the n-th file, NULL behind the last. */
const char *memory_store_name(const struct memory_store *memory, size_t n);

#endif
