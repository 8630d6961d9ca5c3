/* SPDX-License-Identifier: MIT */
/* Proves that no bytes, random or bent, make the C codec leave its input or write something
 * that it reads differently (mk_fuzz_record asserts it); the seed is fixed.
 *
 * With the argument --pipe it is the C half of tests/spec/wire/property_spec.lua, which compares
 * both codecs: stdin carries cases { int record, int length, bytes }, stdout answers each with
 * { int error, int length, bytes as the C codec writes them }. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "wire/fuzz.gen.h"

#define SEED 20240607
#define ROUNDS 200
#define CASE_BYTES_MAX (1 << 20)

/* Small numbers as counts and lengths make bytes that are often decodable. */
static size_t make_bytes(struct mk_rand *rand, uint8_t *data, size_t size_max)
{
    size_t size = mk_rand_below(rand, size_max + 1);
    for (size_t i = 0; i < size; i++)
        data[i] = mk_rand_below(rand, 4) ? 0 : (uint8_t)mk_rand_below(rand, 5);
    if (size && mk_rand_below(rand, 4) == 0)
        data[mk_rand_below(rand, size)] = (uint8_t)mk_rand_next(rand);
    return size;
}

static void random_bytes_are_safe(void **state)
{
    (void)state;
    struct mk_rand rand;
    int decoded = 0, refused = 0;
    mk_rand_init(&rand, SEED);
    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned index = 0; index < MK_RECORD_COUNT; index++) {
            uint8_t data[160];
            size_t size = make_bytes(&rand, data, sizeof data);
            if (mk_fuzz_record(index, data, size) == 0)
                decoded++;
            else
                refused++;
        }
    }
    /* both ways must have been taken often, or this test shows nothing */
    assert_true(decoded > ROUNDS * 5);
    assert_true(refused > ROUNDS * 5);
}

static int run_pipe(void)
{
    uint8_t head[8];
    struct mk_buffer input = MK_BUFFER_EMPTY, output = MK_BUFFER_EMPTY;
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        struct mk_arena arena;
        struct mk_reader reader;
        uint32_t index = mk_load_u32(head), size = mk_load_u32(head + 4);
        if (index >= MK_RECORD_COUNT || size > CASE_BYTES_MAX)
            return 2;
        mk_buffer_clear(&input);
        if (fread(mk_buffer_reserve(&input, size + 1), 1, size, stdin) != size)
            return 2;
        mk_arena_init(&arena);
        mk_buffer_clear(&output);
        mk_reader_init(&reader, input.data, size, &arena);
        int error = mk_record_copy(index, &reader, &output);
        mk_store_int(head, error);
        mk_store_int(head + 4, (int32_t)output.length);
        fwrite(head, 1, sizeof head, stdout);
        if (output.length)
            fwrite(output.data, 1, output.length, stdout);
        mk_arena_fini(&arena);
    }
    mk_buffer_fini(&input);
    mk_buffer_fini(&output);
    return fflush(stdout) ? 2 : 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--pipe") == 0)
        return run_pipe();
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_bytes_are_safe)};
    return cmocka_run_group_tests_name("wire/property", tests, NULL, NULL);
}
