/* SPDX-License-Identifier: MIT */
/* Real directories into the memory store and back, for the tests over golden files and those that
 * start Apache's programs. */
#ifndef TESTS_UNIT_LOG_FILES_H
#define TESTS_UNIT_LOG_FILES_H

#include "tests/unit/log/machine.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

static inline uint8_t *file_load(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    struct stat status;
    assert_int_equal(fstat(fileno(file), &status), 0);
    *size = (size_t)status.st_size;
    uint8_t *data = mk_alloc(*size + 1);
    assert_int_equal(fread(data, 1, *size, file), *size);
    data[*size] = 0;
    fclose(file);
    return data;
}

static inline size_t directory_load(struct memory_store *memory, const char *path)
{
    size_t count = 0;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        char name[4400];
        size_t size;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        struct stat status;
        if (stat(name, &status) < 0 || !S_ISREG(status.st_mode))
            continue;
        uint8_t *data = file_load(name, &size);
        memory_store_put(memory, entry->d_name, data, size);
        mk_free(data);
        count++;
    }
    closedir(directory);
    return count;
}

static inline void directory_save(struct memory_store *memory, const char *path)
{
    const char *name;
    for (size_t i = 0; (name = memory_store_name(memory, i)) != NULL; i++) {
        char file_name[4400];
        size_t size;
        uint8_t *data = memory_store_get(memory, name, &size);
        snprintf(file_name, sizeof file_name, "%s/%s", path, name);
        FILE *file = fopen(file_name, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(data, 1, size, file), size);
        assert_int_equal(fclose(file), 0);
    }
}

/* A store with one of the golden directories. */
static inline struct memory_store *vectors_load(const char *name)
{
    char path[4096];
    struct memory_store *memory = memory_store_new(1);
    snprintf(path, sizeof path, MK_SOURCE_DIR "/tests/vectors/storage/%s", name);
    assert_true(directory_load(memory, path) > 0);
    return memory;
}

/* --- a state for real data: counts, and a hash over what was replayed ---------------------------
 */

struct replay {
    struct snapfile_walk walk;
    struct snapfile_info info;
    uint64_t transactions, hash;
    int64_t last_zxid;
};

static inline void replay_reset(void *context)
{
    struct replay *replay = context;
    *replay = (struct replay){.last_zxid = 0};
    snapfile_walk_init(&replay->walk);
}

static inline int replay_body(void *context, const uint8_t *data, size_t size, size_t *consumed,
                              const char **reason)
{
    struct replay *replay = context;
    return snapfile_walk_body(&replay->walk, data, size, consumed, reason);
}

static inline int replay_done(void *context, const struct snapfile_info *info, const char **reason)
{
    struct replay *replay = context;
    (void)reason;
    replay->info = *info;
    return 0;
}

static inline int replay_entry_into(void *context, const struct txnlog_entry *entry,
                                    const char **reason)
{
    struct replay *replay = context;
    (void)reason;
    replay->transactions++;
    replay->hash = machine_hash(replay->hash, entry->data, entry->length);
    replay->last_zxid = entry->zxid;
    return 0;
}

static const struct log_recover_calls replay_calls = {
    .reset = replay_reset,
    .snapshot_body = replay_body,
    .snapshot_done = replay_done,
    .transaction = replay_entry_into,
};

static inline int replay_all(struct memory_store *memory, struct log_recover_options options,
                             struct replay *replay, struct log_recover_result *result,
                             struct log_report *report, struct log_error *error)
{
    struct store *store = memory_store_of(memory);
    struct log_stores stores = {store, store};
    error->text[0] = '\0';
    return log_recover(&stores, &options, &replay_calls, replay, result, report, error);
}

#endif
