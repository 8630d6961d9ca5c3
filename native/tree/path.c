/* SPDX-License-Identifier: MIT */
/* znode paths; see path.h. Java, whose rules these are, looks at UTF-16 units after decoding
 * UTF-8: a 4-byte sequence becomes surrogates and malformed input becomes U+FFFD, both of
 * them forbidden, so here the bytes can be judged as they are. */
#include "tree/path.h"

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Code points that no path may hold (client-protocol reference, 4.3). */
static bool code_point_is_allowed(uint32_t code_point)
{
    return code_point >= 0x20 && (code_point < 0x7f || code_point > 0x9f) &&
           (code_point < 0xd800 || code_point > 0xf8ff) &&
           (code_point < 0xfff0 || code_point > 0xffff);
}

/* Bytes of the allowed character at `p`; 0 when it is malformed or not allowed. */
static size_t character_length(const uint8_t *p, size_t left)
{
    uint32_t code_point = p[0];
    if (code_point < 0x80)
        return code_point_is_allowed(code_point) ? 1 : 0;
    if (code_point < 0xe0) {
        if (left < 2 || !is_continuation(p[1]))
            return 0;
        code_point = (code_point & 0x1f) << 6 | (p[1] & 0x3f);
        /* an overlong form (c0, c1), or a continuation byte in front, gives less than 0x80 */
        return p[0] >= 0xc2 && code_point_is_allowed(code_point) ? 2 : 0;
    }
    if (code_point >= 0xf0 || left < 3 || !is_continuation(p[1]) || !is_continuation(p[2]))
        return 0;
    code_point = (code_point & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
    return code_point >= 0x800 && code_point_is_allowed(code_point) ? 3 : 0;
}

static bool component_is_valid(const uint8_t *name, size_t length)
{
    if (length == 0 || (length == 1 && name[0] == '.'))
        return false;
    return !(length == 2 && name[0] == '.' && name[1] == '.');
}

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* How many of the eight bytes at `p`, from the first on, are plain: ASCII from '0' on, so neither
 * the end of a component nor control characters nor parts of longer ones. */
static size_t plain_length(const uint8_t *p)
{
    uint64_t word = (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
                    (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
                    (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
    /* In each byte bit 7 marks what is not plain: 0x80 and above by itself, 0x7f with 1 added,
     * and without 0x50 added all from '0' to 0x7f lack it. A carry out of a byte of 0xb0 or more
     * only disturbs bytes behind one that is marked already. */
    uint64_t odd = (word | (word + EACH_BYTE(1)) | ~(word + EACH_BYTE(0x50))) & EACH_BYTE(0x80);
    return odd ? (size_t)__builtin_ctzll(odd) / 8 : 8;
}

bool path_is_valid(struct mk_bytes path)
{
    size_t length = mk_bytes_size(path);
    if (length == 0 || path.data[0] != '/')
        return false;
    if (length == 1)
        return true;
    size_t start = 1; /* of the current component */
    size_t i = 1;
    while (i < length) {
        if (length - i >= 8) {
            size_t plain = plain_length(path.data + i);
            i += plain;
            if (plain == 8)
                continue;
        }
        if (path.data[i] == '/') {
            if (!component_is_valid(path.data + start, i - start))
                return false;
            start = ++i;
            continue;
        }
        size_t step = character_length(path.data + i, length - i);
        if (step == 0)
            return false;
        i += step;
    }
    return component_is_valid(path.data + start, length - start);
}

/* Offset of the last '/', or -1. */
static int32_t last_slash(struct mk_bytes path)
{
    const uint8_t *slash = path.length > 0 ? memrchr(path.data, '/', (size_t)path.length) : NULL;
    return slash ? (int32_t)(slash - path.data) : -1;
}

bool path_has_parent(struct mk_bytes path)
{
    size_t length = mk_bytes_size(path);
    if (length == 0 || last_slash(path) < 0)
        return false;
    return memchr(path.data, '\0', length) == NULL;
}

struct mk_bytes path_parent(struct mk_bytes path)
{
    int32_t slash = last_slash(path);
    MK_ASSERT(slash >= 0);
    return (struct mk_bytes){path.data, slash};
}

struct mk_bytes path_name(struct mk_bytes path)
{
    int32_t slash = last_slash(path);
    if (slash < 0)
        return path;
    return (struct mk_bytes){path.data + slash + 1, path.length - slash - 1};
}

void path_append_sequence(struct mk_buffer *buffer, int32_t counter)
{
    /* the sign counts as one of the ten places, in C's printf as in Java's */
    mk_buffer_print(buffer, "%0*d", PATH_SEQUENCE_DIGITS, (int)counter);
}

bool path_is_system(struct mk_bytes path)
{
    return mk_bytes_equal_string(path, "/") || mk_bytes_equal_string(path, "/zookeeper") ||
           mk_bytes_equal_string(path, "/zookeeper/quota") ||
           mk_bytes_equal_string(path, "/zookeeper/config");
}
