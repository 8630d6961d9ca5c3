/* SPDX-License-Identifier: MIT */
/* The stores that stand in front of the real one: files prepared ahead are all zeros, take the
 * wanted name, cost nothing to extend, and leave nothing behind; pacing holds its rate. */
#include "server/store_ahead.h"
#include "server/store_filter.h"
#include "server/store_posix.h"
#include "wire/errors.gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

struct place {
    char path[64];
    struct store *disk;
};

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    snprintf(place->path, sizeof place->path, "/tmp/mk-store-test-XXXXXX");
    assert_non_null(mkdtemp(place->path));
    struct log_error error;
    assert_int_equal(store_posix_open(place->path, true, &place->disk, &error), 0);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    char command[128];
    store_posix_free(place->disk);
    snprintf(command, sizeof command, "rm -rf '%s'", place->path);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static void count_name(void *context, const char *name)
{
    (void)name;
    ++*(int *)context;
}

static int names_in(struct store *store)
{
    int count = 0;
    struct log_error error;
    assert_int_equal(store_list(store, count_name, &count, &error), 0);
    return count;
}

static void wait_until_ready(struct store *ahead)
{
    for (int i = 0; i < 2000 && !store_ahead_is_ready(ahead); i++)
        usleep(5000);
    assert_true(store_ahead_is_ready(ahead));
}

static void test_prepared_file(void **state)
{
    struct place *place = *state;
    struct log_error error;
    struct store *ahead = store_ahead_new(place->disk);
    uint64_t bytes = (3u << 20) + 17;
    store_ahead_want(ahead, bytes);
    store_ahead_want(ahead, 99); /* one is under way: no effect */
    wait_until_ready(ahead);
    struct store_file *file;
    assert_int_equal(store_open(ahead, "log.1", STORE_CREATE, &file, &error), 0);
    assert_false(store_ahead_is_ready(ahead));
    assert_int_equal(names_in(place->disk), 1);
    assert_int_equal(store_size(file, &error), bytes);
    uint8_t *data = malloc(bytes);
    assert_int_equal(store_read(file, 0, data, bytes, &error), bytes);
    for (uint64_t i = 0; i < bytes; i++)
        assert_int_equal(data[i], 0);
    /* Behind what was written there is room; zeros beyond the prepared part are written. */
    assert_int_equal(store_write(file, 0, "abc", 3, &error), 0);
    assert_int_equal(store_ahead_room(ahead, 3), bytes - 3);
    assert_int_equal(store_write_zeros(file, 3, 1000, &error), 0);
    assert_int_equal(store_size(file, &error), bytes);
    assert_int_equal(store_write_zeros(file, bytes - 10, 100, &error), 0);
    assert_int_equal(store_size(file, &error), bytes + 90);
    assert_int_equal(store_ahead_room(ahead, bytes), 90);
    assert_int_equal(store_read(file, 0, data, 4, &error), 4);
    assert_memory_equal(data, "abc", 4);
    assert_int_equal(store_truncate(file, 3, &error), 0);
    assert_int_equal(store_ahead_room(ahead, 3), 0);
    free(data);
    store_close(file);
    store_ahead_free(ahead);
}

static void test_without_a_prepared_file(void **state)
{
    struct place *place = *state;
    struct log_error error;
    struct store *ahead = store_ahead_new(place->disk);
    struct store_file *file;
    assert_int_equal(store_open(ahead, "log.1", STORE_CREATE, &file, &error), 0);
    assert_int_equal(store_size(file, &error), 0);
    assert_int_equal(store_write_zeros(file, 0, 100, &error), 0);
    assert_int_equal(store_size(file, &error), 100);
    assert_int_equal(store_ahead_room(ahead, 40), 60);
    store_close(file);
    assert_int_equal(store_ahead_room(ahead, 40), 0);
    store_ahead_free(ahead);
}

static void test_nothing_is_left(void **state)
{
    struct place *place = *state;
    struct store *ahead = store_ahead_new(place->disk);
    store_ahead_want(ahead, 1u << 20);
    wait_until_ready(ahead);
    assert_int_equal(names_in(place->disk), 1);
    store_ahead_free(ahead);
    assert_int_equal(names_in(place->disk), 0);
    ahead = store_ahead_new(place->disk); /* stopped in the middle */
    store_ahead_want(ahead, 64u << 20);
    usleep(3000);
    store_ahead_free(ahead);
    assert_int_equal(names_in(place->disk), 0);
}

static bool yes(void *context)
{
    (void)context;
    return true;
}

static uint64_t write_ms(struct store *disk, const struct store_filter_options *options)
{
    struct log_error error;
    struct store *store = store_filter_new(disk, options);
    struct store_file *file;
    static const uint8_t chunk[10000];
    assert_int_equal(store_open(store, "paced", STORE_CREATE, &file, &error), 0);
    uint64_t began_ns = uv_hrtime();
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(store_write(file, i * sizeof chunk, chunk, sizeof chunk, &error), 0);
    uint64_t took_ms = (uv_hrtime() - began_ns) / 1000000;
    assert_int_equal(store_size(file, &error), 500000);
    store_close(file);
    assert_int_equal(store_remove(store, "paced", &error), 0);
    store_filter_free(store);
    return took_ms;
}

static void test_pace(void **state)
{
    struct place *place = *state;
    struct store_filter_options options = {.bytes_per_second = 1000000};
    assert_in_range(write_ms(place->disk, &options), 350, 5000); /* 500 ms less the burst */
    options.hurry = yes;
    assert_true(write_ms(place->disk, &options) < 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_prepared_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_prepared_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pace, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
