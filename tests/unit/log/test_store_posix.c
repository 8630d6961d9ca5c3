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
static void test_log(void **state)
{
    (void)state;
    struct machine machine;
    machine_init(&machine, memory_store_new(1));
    machine.store = open_at("log");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_missing_directory),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
