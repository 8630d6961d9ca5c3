/* SPDX-License-Identifier: MIT */
/* Proves that the C codec reads every golden row of tests/vectors/wire.lua to its end and
 * writes the same bytes again. The file is Lua and belongs to the Lua specs too; here it is read
 * as text: `records =` gives the names, `hex =` or `frame =` the bytes. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wire/frame.h"
#include "wire/fuzz.gen.h"

#define VECTORS_PATH MK_SOURCE_DIR "/tests/vectors/wire.lua"
#define ROWS_MIN 40

/* All text between quotes from `from` up to the comma behind them. */
static const char *quoted(const char *from, struct mk_buffer *text)
{
    bool inside = false;
    mk_buffer_clear(text);
    for (; *from && (inside || *from != ','); from++) {
        if (*from == '"')
            inside = !inside;
        else if (inside)
            mk_buffer_append(text, from, 1);
    }
    return from;
}

static int digit(char character)
{
    return isdigit((unsigned char)character) ? character - '0' : tolower(character) - 'a' + 10;
}

static void decode_hex(const struct mk_buffer *text, struct mk_buffer *bytes)
{
    int high = -1;
    mk_buffer_clear(bytes);
    for (size_t i = 0; i < text->length; i++) {
        char character = (char)text->data[i];
        if (character == ' ')
            continue;
        assert_true(isxdigit((unsigned char)character));
        if (high < 0) {
            high = digit(character);
            continue;
        }
        uint8_t byte = (uint8_t)(high << 4 | digit(character));
        mk_buffer_append(bytes, &byte, 1);
        high = -1;
    }
    assert_int_equal(high, -1);
}

static unsigned record_index(const char *name)
{
    for (unsigned i = 0; i < MK_RECORD_COUNT; i++)
        if (strcmp(mk_record_name(i), name) == 0)
            return i;
    fail_msg("no record %s", name);
    return 0;
}

/* Sends the payload through the codec, record by record. */
static void check_row(struct mk_buffer *names, struct mk_bytes payload)
{
    struct mk_arena arena;
    struct mk_reader reader;
    struct mk_buffer copy = MK_BUFFER_EMPTY;
    char *rest = NULL;
    mk_arena_init(&arena);
    mk_reader_init_bytes(&reader, payload, &arena);
    mk_buffer_append(names, "", 1);
    char *name = strtok_r((char *)names->data, " ", &rest);
    for (; name; name = strtok_r(NULL, " ", &rest))
        assert_int_equal(mk_record_copy(record_index(name), &reader, &copy), 0);
    assert_int_equal(mk_reader_left(&reader), 0);
    assert_int_equal(copy.length, payload.length);
    assert_memory_equal(copy.data, payload.data, copy.length);
    mk_buffer_fini(&copy);
    mk_arena_fini(&arena);
}

static void load(const char *path, struct mk_buffer *content)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t count;
    do {
        count = fread(mk_buffer_reserve(content, 4096), 1, 4096, file);
        content->length += count;
    } while (count > 0);
    fclose(file);
    mk_buffer_append(content, "", 1);
}

static void golden_rows_round_trip(void **state)
{
    (void)state;
    struct mk_buffer content = MK_BUFFER_EMPTY, names = MK_BUFFER_EMPTY;
    struct mk_buffer text = MK_BUFFER_EMPTY, bytes = MK_BUFFER_EMPTY;
    int rows = 0;
    load(VECTORS_PATH, &content);
    const char *at = strstr((const char *)content.data, "return {");
    assert_non_null(at);
    while ((at = strstr(at, "records = ")) != NULL) {
        at = quoted(at, &names);
        const char *hex = strstr(at, "hex = ");
        const char *frame = strstr(at, "frame = ");
        bool framed = !hex || (frame && frame < hex);
        at = quoted(framed ? frame : hex, &text);
        decode_hex(&text, &bytes);
        struct mk_bytes payload = mk_buffer_bytes(&bytes);
        struct mk_frame cut;
        if (framed) {
            assert_int_equal(mk_frame_next(bytes.data, bytes.length, 1 << 20, &cut),
                             MK_FRAME_READY);
            assert_int_equal(cut.consumed, bytes.length);
            payload = cut.payload;
        }
        check_row(&names, payload);
        rows++;
    }
    assert_true(rows >= ROWS_MIN);
    mk_buffer_fini(&content);
    mk_buffer_fini(&names);
    mk_buffer_fini(&text);
    mk_buffer_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden_rows_round_trip)};
    return cmocka_run_group_tests_name("wire/vectors", tests, NULL, NULL);
}
