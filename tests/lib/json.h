/* SPDX-License-Identifier: MIT */
/* A JSON reader for the fixtures in tests/vectors: trusted files, so it asserts instead of
 * reporting. Values live in the arena; strings are unescaped. Header only, tests only. */
#ifndef TESTS_LIB_JSON_H
#define TESTS_LIB_JSON_H

#include <stdlib.h>

#include "base/arena.h"
#include "base/buffer.h"

enum json_type { JSON_NULL, JSON_BOOLEAN, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_type type;
    struct mk_bytes string; /* also the digits of a number, and "true" or "false" */
    struct mk_bytes name;   /* as a member of an object */
    struct json *first, *next;
};

struct json_cursor {
    const char *at;
    struct mk_arena *arena;
};

static inline void json_blanks(struct json_cursor *cursor)
{
    while (*cursor->at && strchr(" \t\r\n,:", *cursor->at))
        cursor->at++;
}

static inline void json_utf8(struct mk_buffer *out, unsigned code)
{
    MK_ASSERT(code < 0xd800 || code > 0xdfff);
    if (code < 0x80)
        mk_buffer_print(out, "%c", (char)code);
    else if (code < 0x800)
        mk_buffer_print(out, "%c%c", (char)(0xc0 | code >> 6), (char)(0x80 | (code & 0x3f)));
    else
        mk_buffer_print(out, "%c%c%c", (char)(0xe0 | code >> 12), (char)(0x80 | (code >> 6 & 0x3f)),
                        (char)(0x80 | (code & 0x3f)));
}

static inline struct mk_bytes json_string(struct json_cursor *cursor)
{
    struct mk_buffer out = MK_BUFFER_EMPTY;
    MK_ASSERT(*cursor->at == '"');
    for (cursor->at++; *cursor->at != '"'; cursor->at++) {
        MK_ASSERT(*cursor->at);
        if (*cursor->at != '\\') {
            mk_buffer_append(&out, cursor->at, 1);
            continue;
        }
        cursor->at++;
        if (*cursor->at == 'u') {
            char digits[5] = {0};
            memcpy(digits, cursor->at + 1, 4);
            json_utf8(&out, (unsigned)strtoul(digits, NULL, 16));
            cursor->at += 4;
        } else {
            mk_buffer_append(&out, *cursor->at == 'n' ? "\n" : cursor->at, 1);
        }
    }
    cursor->at++;
    struct mk_bytes copy =
        mk_bytes_of(mk_arena_copy(cursor->arena, out.data, out.length), out.length);
    mk_buffer_fini(&out);
    return copy;
}

static inline struct json *json_value(struct json_cursor *cursor)
{
    struct json *value = mk_arena_alloc(cursor->arena, sizeof *value);
    memset(value, 0, sizeof *value);
    json_blanks(cursor);
    char open = *cursor->at;
    if (open == '"') {
        value->type = JSON_STRING;
        value->string = json_string(cursor);
        return value;
    }
    if (open == '{' || open == '[') {
        struct json **end = &value->first;
        value->type = open == '{' ? JSON_OBJECT : JSON_ARRAY;
        for (cursor->at++; json_blanks(cursor), *cursor->at != (open == '{' ? '}' : ']');) {
            struct mk_bytes name = open == '{' ? json_string(cursor) : MK_BYTES("");
            *end = json_value(cursor);
            (*end)->name = name;
            end = &(*end)->next;
        }
        cursor->at++;
        return value;
    }
    size_t length = strspn(cursor->at, "-+.0123456789eEtrufalsn");
    MK_ASSERT(length > 0);
    value->string = mk_bytes_of(cursor->at, length);
    value->type = open == 'n' ? JSON_NULL : open == 't' || open == 'f' ? JSON_BOOLEAN : JSON_NUMBER;
    cursor->at += length;
    return value;
}

/* `text` is zero-terminated and must outlive the result. */
static inline struct json *json_parse(const char *text, struct mk_arena *arena)
{
    struct json_cursor cursor = {text, arena};
    return json_value(&cursor);
}

/* The member of that name; NULL when there is none. */
static inline const struct json *json_get(const struct json *object, const char *name)
{
    for (const struct json *member = object->first; member; member = member->next)
        if (mk_bytes_equal_string(member->name, name))
            return member;
    return NULL;
}

/* A number, or a string that holds one ("0x..." is hexadecimal, unsigned). */
static inline int64_t json_integer(const struct json *value)
{
    char digits[40] = {0};
    MK_ASSERT(value && mk_bytes_size(value->string) < sizeof digits);
    memcpy(digits, value->string.data, mk_bytes_size(value->string));
    if (digits[0] == '-')
        return strtoll(digits, NULL, 10);
    return (int64_t)strtoull(digits, NULL, digits[1] == 'x' ? 16 : 10);
}

/* Decoded base64; null stays null. */
static inline struct mk_bytes json_base64(const struct json *value, struct mk_arena *arena)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (value->type == JSON_NULL)
        return MK_BYTES_NULL;
    size_t size = mk_bytes_size(value->string), length = 0;
    uint8_t *out = mk_arena_alloc(arena, size + 1);
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < size && value->string.data[i] != '='; i++) {
        bits = bits << 6 | (unsigned)(strchr(alphabet, value->string.data[i]) - alphabet);
        have += 6;
        if (have >= 8)
            out[length++] = (uint8_t)(bits >> (have -= 8));
    }
    return mk_bytes_of(out, length);
}

#endif
