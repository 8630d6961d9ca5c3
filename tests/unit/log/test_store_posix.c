/* SPDX-License-Identifier: MIT */
/* The real disk behind the seam (it lives in server/, the seam in log/). */
#include "tests/unit/log/machine.h"

#include "server/store_posix.c"

#include <stdlib.h>
#include <sys/wait.h>

static char root[] = "/tmp/moonkeeper-store-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static struct store *open_at(const char *name)
{
    char path[256];
    struct store *store;
    struct log_error error;
    snprintf(path, sizeof path, "%s/%s", root, name);
    int result = store_posix_open(path, true, &store, &error);
    if (result < 0)
        print_error("%s\n", error.text);
    assert_int_equal(result, 0);
    return store;
}

static void count_names(void *context, const char *name)
{
    int *count = context;
    *count += strcmp(name, "b") == 0 ? 1 : 100;
}

static void test_calls(void **state)
{
    (void)state;
    struct store *store = open_at("a/deep/er");
    struct store_file *file, *none;
    struct log_error error;
    char text[16] = {0};
    assert_int_equal(store_open(store, "a", STORE_READ, &none, &error), MK_ERR_NOT_FOUND);
    assert_non_null(strstr(error.text, "a/deep/er/a: No such file"));
    assert_int_equal(store_open(store, "a", STORE_UPDATE, &none, &error), MK_ERR_NOT_FOUND);
    assert_int_equal(store_open(store, "a", STORE_CREATE, &file, &error), 0);
    assert_int_equal(store_open(store, "a", STORE_CREATE, &none, &error), MK_ERR_IO);
    assert_int_equal(store_write(file, 5, "hello", 5, &error), 0);
    assert_int_equal(store_write_zeros(file, 10, 700000, &error), 0);
    assert_int_equal(store_size(file, &error), 700010);
    assert_int_equal(store_sync_data(file, &error), 0);
    assert_int_equal(store_truncate(file, 12, &error), 0);
    assert_int_equal(store_sync_full(file, &error), 0);
    store_forget_cache(file);
    assert_int_equal(store_read(file, 3, text, 16, &error), 9);
    assert_memory_equal(text, "\0\0hello\0\0", 9);
    assert_int_equal(store_read(file, 99, text, 16, &error), 0);
    assert_int_equal(store_rename(store, "a", "b", &error), 0);
    assert_int_equal(store_sync_directory(store, &error), 0);
    int count = 0;
    assert_int_equal(store_list(store, count_names, &count, &error), 0);
    assert_int_equal(count, 1);
    assert_int_equal(store_remove(store, "b", &error), 0);
    assert_int_equal(store_remove(store, "b", &error), MK_ERR_NOT_FOUND);
    assert_true(store_free_space(store, &error) > 0);
    store_close(file);
    store_posix_free(store);
}

/* Whole blocks go past the page cache, all else through it, in any order. */
static void test_blocks(void **state)
{
    (void)state;
    struct store *store = open_at("blocks");
    store_posix_direct(store);
    uint32_t block = store->block_bytes;
    assert_int_equal(block & (block - 1), 0);
    struct store_file *file;
    struct log_error error;
    uint8_t *data = aligned_alloc(block, 4 * (size_t)block), byte = 0;
    memset(data, 'x', 4 * (size_t)block);
    assert_int_equal(store_open(store, "a", STORE_CREATE, &file, &error), 0);
    assert_int_equal(store_write(file, 0, "header", 6, &error), 0);
    assert_int_equal(store_write_zeros(file, 6, 1000000, &error), 0);
    assert_int_equal(store_size(file, &error), 1000006);
    assert_int_equal(store_write_blocks(file, block, data, 4 * (size_t)block, &error), 0);
    assert_int_equal(store_write(file, 2 * (uint64_t)block - 1, "ab", 2, &error), 0);
    assert_int_equal(store_write_blocks(file, 4 * (uint64_t)block, data, block, &error), 0);
    assert_int_equal(store_sync_data(file, &error), 0);
    assert_int_equal(store_size(file, &error), 1000006);
    for (uint64_t at = 0; at < 6 * (uint64_t)block; at++) {
        assert_int_equal(store_read(file, at, &byte, 1, &error), 1);
        uint8_t wanted = at < 6                                    ? (uint8_t) "header"[at]
                         : at == 2 * (uint64_t)block - 1           ? 'a'
                         : at == 2 * (uint64_t)block               ? 'b'
                         : at >= block && at < 5 * (uint64_t)block ? 'x'
                                                                   : 0;
        assert_int_equal(byte, wanted);
    }
    /* Reading whole blocks, also over the end of the file, which is none of a block. */
    assert_int_equal(store_read(file, 4 * (uint64_t)block, data, 2 * (size_t)block, &error),
                     2 * (size_t)block);
    assert_int_equal(data[0], 'x');
    assert_int_equal(data[block], 0);
    uint64_t last = 1000006 / block * block;
    assert_int_equal(store_write(file, last, "end", 3, &error), 0);
    assert_int_equal(store_read(file, last, data, 2 * (size_t)block, &error), 1000006 - last);
    assert_memory_equal(data, "end", 4);
    assert_int_equal(store_read(file, last + block, data, block, &error), 0);
    memset(data, 'x', 4 * (size_t)block);
    /* A file system that refuses: the same bytes through the page cache. */
    posix_file_of(file)->direct_refused = true;
    assert_int_equal(store_write_blocks(file, 0, data, block, &error), 0);
    assert_false(posix_file_of(file)->direct);
    assert_int_equal(store_read(file, block - 1, &byte, 1, &error), 1);
    assert_int_equal(byte, 'x');
    store_close(file);
    store_posix_free(store);
    free(data);
}

static void test_lock(void **state)
{
    (void)state;
    struct store *first = open_at("locked"), *second = open_at("locked");
    struct log_error error;
    assert_int_equal(store_lock(first, &error), 0);
    assert_int_equal(store_lock(second, &error), MK_ERR_LOCKED);
    char holder[64];
    snprintf(holder, sizeof holder, "in use by another process, pid %ld", (long)getpid());
    assert_non_null(strstr(error.text, holder));
    pid_t child = fork();
    if (child == 0)
        _exit(store_lock(second, &error) == MK_ERR_LOCKED ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    store_posix_free(first);
    assert_int_equal(store_lock(second, &error), 0);
    store_posix_free(second);
}

static void test_missing_directory(void **state)
{
    (void)state;
    struct store *store;
    struct log_error error;
    assert_int_equal(store_posix_open("/nowhere/at/all", false, &store, &error), MK_ERR_NOT_FOUND);
    assert_non_null(strstr(error.text, "/nowhere/at/all"));
}

/* The log layer on a real disk: write, be cut off, recover. */
static void log_life(const char *name, bool direct)
{
    struct machine machine;
    machine_init(&machine, memory_store_new(1));
    machine.store = open_at(name);
    if (direct)
        store_posix_direct(machine.store);
    must(machine_recover(&machine), &machine);
    must(machine_open(&machine, 5, 1 << 20), &machine);
    for (int i = 0; i < 200; i++) {
        must(machine_append(&machine, (uint64_t)i, (size_t)i * 10), &machine);
        if (i % 10 == 0)
            must(txnlog_flush(machine.log, &machine.error), &machine);
        if (i == 100)
            must(machine_snapshot(&machine), &machine);
        if (i == 120)
            must(txnlog_roll(machine.log, &machine.error), &machine);
    }
    txnlog_free(machine.log); /* nine entries were never flushed */
    machine.log = NULL;
    must(machine_recover(&machine), &machine);
    assert_int_equal(machine.last_zxid, 191);
    assert_int_equal(machine.recovered.snapshot_zxid, 101);
    assert_true(machine.hash == machine.expected[191]);
    must(machine_open(&machine, 6, 1 << 20), &machine);
    must(machine_append(&machine, 9, 10), &machine);
    must(txnlog_close(machine.log, &machine.error), &machine);
    must(machine_recover(&machine), &machine);
    assert_int_equal(machine.last_zxid, 192);
    assert_true(machine.hash == machine.expected[192]);
    struct store *store = machine.store;
    machine_fini(&machine);
    store_posix_free(store);
}

static void test_log(void **state)
{
    (void)state;
    log_life("log", false);
    log_life("log-direct", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls), cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_lock),  cmocka_unit_test(test_missing_directory),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
