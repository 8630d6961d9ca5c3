/* SPDX-License-Identifier: MIT */
/* Golden bytes of Apache ZooKeeper's quorum and election ports, from tests/vectors/peer: blocks
 * with a name and hex digits, and whole conversations, one packet a line. Tests only: asserts
 * instead of reporting. */
#ifndef TESTS_UNIT_ZAB_GOLDEN_H
#define TESTS_UNIT_ZAB_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buffer.h"

/* The file with a zero behind it. */
static inline void golden_load(const char *file, struct mk_buffer *content)
{
    char path[512];
    snprintf(path, sizeof path, MK_SOURCE_DIR "/tests/vectors/peer/%s", file);
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    size_t count;
    do {
        count = fread(mk_buffer_reserve(content, 4096), 1, 4096, stream);
        content->length += count;
    } while (count > 0);
    fclose(stream);
    mk_buffer_append(content, "", 1);
}

static inline int golden_digit(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

/* Appends the bytes of the digits at `hex`, up to the first other character. */
static inline const char *golden_decode(const char *hex, struct mk_buffer *bytes)
{
    for (; golden_digit(hex[0]) >= 0; hex += 2) {
        assert_true(golden_digit(hex[1]) >= 0);
        uint8_t byte = (uint8_t)(golden_digit(hex[0]) << 4 | golden_digit(hex[1]));
        mk_buffer_append(bytes, &byte, 1);
    }
    return hex;
}

/* The bytes of the block `name` of a file. */
static inline void golden_find(const char *file, const char *name, struct mk_buffer *bytes)
{
    struct mk_buffer content = MK_BUFFER_EMPTY;
    char wanted[128];
    golden_load(file, &content);
    snprintf(wanted, sizeof wanted, "name: %s\n", name);
    const char *at = strstr((const char *)content.data, wanted);
    if (!at)
        fail_msg("%s has no %s", file, name);
    at = strstr(at, "\nhex: ");
    assert_non_null(at);
    mk_buffer_clear(bytes);
    golden_decode(at + 6, bytes);
    mk_buffer_fini(&content);
}

#endif
