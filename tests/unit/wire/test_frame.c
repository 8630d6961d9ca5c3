/* SPDX-License-Identifier: MIT */
/* Proves that frames are cut where their length says, that limits hold to the byte, and that
 * four-letter words are told from lengths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/frame.h"

static void waits_until_a_frame_is_whole(void **state)
{
    (void)state;
    static const uint8_t data[] = {0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0};
    struct mk_frame frame;
    for (size_t length = 0; length < 7; length++) {
        assert_int_equal(mk_frame_next(data, length, 100, &frame), MK_FRAME_MORE);
        assert_int_equal(frame.consumed, 0);
        assert_int_equal(frame.needed, length < 4 ? 4 : 7);
    }
    assert_int_equal(mk_frame_next(data, sizeof data, 100, &frame), MK_FRAME_READY);
    assert_true(mk_bytes_equal_string(frame.payload, "abc"));
    assert_ptr_equal(frame.payload.data, data + 4);
    assert_int_equal(frame.consumed, 7);
    assert_int_equal(mk_frame_next(data + 7, sizeof data - 7, 100, &frame), MK_FRAME_READY);
    assert_int_equal(frame.payload.length, 0);
    assert_int_equal(frame.consumed, 4);
}

static enum mk_frame_result result_of_length(uint32_t length, int32_t limit)
{
    uint8_t data[16] = {0};
    struct mk_frame frame;
    mk_store_u32(data, length);
    return mk_frame_next(data, sizeof data, limit, &frame);
}

static void limit_is_exact(void **state)
{
    (void)state;
    assert_int_equal(result_of_length(12, 12), MK_FRAME_READY);
    assert_int_equal(result_of_length(13, 12), MK_FRAME_TOO_LARGE);
    assert_int_equal(result_of_length(INT32_MAX, 1048575), MK_FRAME_TOO_LARGE);
    assert_int_equal(result_of_length(INT32_MAX, INT32_MAX), MK_FRAME_MORE);
    assert_int_equal(result_of_length(UINT32_MAX, INT32_MAX), MK_FRAME_NEGATIVE);
    assert_int_equal(result_of_length(0x80000000u, INT32_MAX), MK_FRAME_NEGATIVE);
}

static bool knows_ruok(uint32_t word, void *context)
{
    (*(int *)context)++;
    return word == MK_WORD('r', 'u', 'o', 'k');
}

static void words_are_recognised(void **state)
{
    (void)state;
    int asked = 0;
    uint32_t word = 0;
    for (size_t length = 0; length < 4; length++)
        assert_int_equal(mk_frame_word("ruok", length, knows_ruok, &asked, &word), MK_WORD_MORE);
    assert_int_equal(asked, 0);
    assert_int_equal(mk_frame_word("ruok\n", 5, knows_ruok, &asked, &word), MK_WORD_KNOWN);
    assert_int_equal(word, 0x72756f6b);
    assert_int_equal(mk_frame_word("RUOK", 4, knows_ruok, &asked, &word), MK_WORD_NONE);
    assert_int_equal(mk_frame_word("\0\0\0\x2d", 4, knows_ruok, &asked, &word), MK_WORD_NONE);
    assert_int_equal(asked, 3);
}

static void length_is_put_in_behind(void **state)
{
    (void)state;
    struct mk_buffer buffer = MK_BUFFER_EMPTY;
    struct mk_frame frame;
    mk_buffer_append_string(&buffer, "before");
    size_t begin = mk_frame_begin(&buffer);
    mk_buffer_append_string(&buffer, "payload");
    mk_frame_end(&buffer, begin);
    assert_int_equal(mk_frame_next(buffer.data + begin, buffer.length - begin, 7, &frame),
                     MK_FRAME_READY);
    assert_true(mk_bytes_equal_string(frame.payload, "payload"));
    mk_buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_until_a_frame_is_whole),
        cmocka_unit_test(limit_is_exact),
        cmocka_unit_test(words_are_recognised),
        cmocka_unit_test(length_is_put_in_behind),
    };
    return cmocka_run_group_tests_name("wire/frame", tests, NULL, NULL);
}
