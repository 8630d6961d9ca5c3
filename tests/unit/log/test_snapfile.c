/* SPDX-License-Identifier: MIT */
/* Snapshot files: round trips in any slicing, every flip and cut found, nothing partial ever named
 * like a snapshot, all three formats. */
#include "tests/unit/log/files.h"

#include "base/checksum.h"

#define SEAL ((struct snapfile_seal){true, 9, 2, 0x123456789, true, 9})

static void add_string(struct mk_buffer *body, const char *string)
{
    uint8_t length[4];
    mk_store_u32(length, (uint32_t)strlen(string));
    mk_buffer_append(body, length, 4);
    mk_buffer_append_string(body, string);
}

/* Sessions, an ACL list, and `nodes` nodes of `size` bytes. */
static void body_make(struct mk_buffer *body, int sessions, int nodes, int size)
{
    uint8_t number[8] = {0};
    mk_store_u32(number, (uint32_t)sessions);
    mk_buffer_append(body, number, 4);
    for (int i = 0; i < sessions; i++) {
        mk_store_u64(number, (uint64_t)i);
        mk_buffer_append(body, number, 8);
        mk_buffer_append(body, number, 4);
    }
    mk_store_u32(number, 1);
    mk_buffer_append(body, number, 4); /* one list */
    mk_store_u64(number, 1);
    mk_buffer_append(body, number, 8); /* its reference */
    mk_store_u32(number, 1);
    mk_buffer_append(body, number, 4); /* its length */
    mk_buffer_append(body, number, 4); /* perms */
    add_string(body, "world");
    add_string(body, "anyone");
    for (int i = 0; i < nodes; i++) {
        char path[32];
        uint8_t stat[68] = {0};
        snprintf(path, sizeof path, "/node-%d", i);
        add_string(body, i ? path : "");
        mk_store_u32(number, (uint32_t)size);
        mk_buffer_append(body, number, 4);
        memset(mk_buffer_reserve(body, (size_t)size), 'a' + i % 26, (size_t)size);
        body->length += (size_t)size;
        mk_buffer_append(body, stat, sizeof stat);
    }
    add_string(body, "/");
}

/* A consumer that hashes, and takes little at a time. */
struct sink {
    struct snapfile_walk walk;
    uint64_t hash;
    uint64_t bytes;
    size_t bite;
};

static int sink_body(void *context, const uint8_t *data, size_t size, size_t *consumed,
                     const char **reason)
{
    struct sink *sink = context;
    size_t bite = sink->bite;
    int result;
    do { /* an item may be larger than a bite */
        result = snapfile_walk_body(&sink->walk, data, MK_MIN(size, bite), consumed, reason);
        bite *= 2;
    } while (*consumed == 0 && result == 0 && bite / 2 < size);
    for (size_t i = 0; i < *consumed; i++)
        sink->hash = sink->hash * 31 + data[i];
    sink->bytes += *consumed;
    return result;
}

static void sink_init(struct sink *sink, size_t bite)
{
    *sink = (struct sink){.bite = bite};
    snapfile_walk_init(&sink->walk);
}

static void write_sliced(struct memory_store *memory, const struct mk_buffer *body, size_t slice,
                         int64_t zxid)
{
    struct snapfile_writer *writer;
    struct log_error error;
    uint64_t bytes;
    struct snapfile_seal seal = SEAL;
    assert_int_equal(snapfile_begin(memory_store_of(memory), zxid, &writer, &error), 0);
    for (size_t at = 0; at < body->length; at += slice)
        assert_int_equal(
            snapfile_write(writer, body->data + at, MK_MIN(slice, body->length - at), &error), 0);
    assert_int_equal(snapfile_finish(writer, &seal, &bytes, &error), 0);
    assert_int_equal(bytes, 16 + body->length + 3 * 13 + 20 + 8);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct mk_buffer body = MK_BUFFER_EMPTY;
    body_make(&body, 100, 3000, 1000); /* 3 MB */
    static const size_t slices[] = {1 << 16, 4096, 1 << 20, 8 << 20, 77777};
    uint64_t hash = 0;
    for (size_t i = 0; i < body.length; i++)
        hash = hash * 31 + body.data[i];
    for (size_t i = 0; i < MK_ARRAY_LENGTH(slices); i++) {
        struct memory_store *memory = memory_store_new(1);
        write_sliced(memory, &body, slices[i], 9);
        assert_null(memory_store_name(memory, 1)); /* nothing but snapshot.9 */
        struct sink sink;
        struct snapfile_info info;
        struct log_error error;
        sink_init(&sink, slices[i]);
        assert_int_equal(snapfile_looks_valid(memory_store_of(memory), "snapshot.9", &error), 1);
        assert_int_equal(
            snapfile_read(memory_store_of(memory), "snapshot.9", sink_body, &sink, &info, &error),
            0);
        assert_true(sink.hash == hash);
        assert_int_equal(sink.bytes, body.length);
        assert_int_equal(sink.walk.nodes, 3000);
        assert_int_equal(sink.walk.sessions, 100);
        assert_int_equal(sink.walk.acls, 1);
        assert_int_equal(info.zxid, 9);
        assert_int_equal(info.seal.digest_zxid, 9);
        assert_true(info.seal.digest == 0x123456789);
        assert_true(info.seal.has_last_zxid);
        /* A crash right behind finish keeps it whole. */
        memory_store_crash(memory, 0);
        sink_init(&sink, 1 << 20);
        assert_int_equal(
            snapfile_read(memory_store_of(memory), "snapshot.9", sink_body, &sink, &info, &error),
            0);
        memory_store_free(memory);
    }
    mk_buffer_fini(&body);
}

/* An item that does not fit into the reader's first buffer. */
static void test_large_item(void **state)
{
    (void)state;
    struct mk_buffer body = MK_BUFFER_EMPTY;
    body_make(&body, 0, 3, 2000000);
    struct memory_store *memory = memory_store_new(1);
    write_sliced(memory, &body, 1 << 20, 9);
    struct sink sink;
    struct snapfile_info info;
    struct log_error error;
    sink_init(&sink, SIZE_MAX / 4);
    assert_int_equal(
        snapfile_read(memory_store_of(memory), "snapshot.9", sink_body, &sink, &info, &error), 0);
    assert_int_equal(sink.walk.data_bytes, 6000000);
    memory_store_free(memory);
    mk_buffer_fini(&body);
}

/* Reads `name` after the change; good only if the body's bytes are all the same. */
static bool still_good(struct memory_store *memory, const char *name, uint64_t hash)
{
    struct sink sink;
    struct snapfile_info info;
    struct log_error error;
    sink_init(&sink, SIZE_MAX / 4);
    int result = snapfile_read(memory_store_of(memory), name, sink_body, &sink, &info, &error);
    if (result < 0) {
        assert_int_equal(result, MK_ERR_CORRUPT);
        assert_non_null(strstr(error.text, name));
        return false;
    }
    assert_true(sink.hash == hash);
    return true;
}

static void flips_and_cuts(const char *directory, const char *name, bool strict)
{
    struct memory_store *memory = vectors_load(directory);
    struct sink sink;
    struct snapfile_info info;
    struct log_error error;
    size_t size;
    sink_init(&sink, SIZE_MAX / 4);
    assert_int_equal(snapfile_read(memory_store_of(memory), name, sink_body, &sink, &info, &error),
                     0);
    uint8_t *data = memory_store_get(memory, name, &size);
    int survived = 0;
    for (size_t at = 0; at < size; at++) {
        data[at] ^= (uint8_t)(1 << at % 8);
        survived += still_good(memory, name, sink.hash);
        data[at] ^= (uint8_t)(1 << at % 8);
    }
    /* The compressed formats have bytes without meaning, and two codes for the same content. */
    assert_true(survived <= (strict ? 0 : (int)size / 25));
    struct memory_store *cut = memory_store_new(1);
    for (size_t length = 0; length < size; length++) {
        memory_store_put(cut, name, data, length);
        (void)still_good(cut, name, sink.hash);
    }
    memory_store_free(cut);
    memory_store_free(memory);
}

static void test_flips_and_cuts(void **state)
{
    (void)state;
    flips_and_cuts("snapshot-variants", "snapshot.200000008", true);
    flips_and_cuts("snapshot-variants/3.9.4", "snapshot.200000008", true);
    flips_and_cuts("snapshot-variants", "snapshot.200000008.gz", false);
    flips_and_cuts("snapshot-variants", "snapshot.200000008.snappy", false);
}

/* Each call of the writer fails once: no file named like a snapshot is left, nor a leftover. */
static void test_failing_writer(void **state)
{
    (void)state;
    struct mk_buffer body = MK_BUFFER_EMPTY;
    body_make(&body, 1, 5, 1000);
    int failures = 0;
    for (uint64_t call = 1; call < 12; call++) {
        for (int code = 0; code < 2; code++) {
            struct memory_store *memory = memory_store_new(call);
            struct snapfile_writer *writer;
            struct log_error error;
            struct snapfile_seal seal = SEAL;
            memory_store_faults(memory)->fail_call = call;
            memory_store_faults(memory)->fail_code = code ? MK_ERR_NO_SPACE : MK_ERR_IO;
            int result = snapfile_begin(memory_store_of(memory), 9, &writer, &error);
            if (result == 0) {
                result = snapfile_write(writer, body.data, body.length, &error);
                if (result < 0)
                    snapfile_abort(writer);
                else
                    result = snapfile_finish(writer, &seal, NULL, &error);
            }
            if (result < 0) {
                failures++;
                assert_int_equal(result, code ? MK_ERR_NO_SPACE : MK_ERR_IO);
                const char *left = memory_store_name(memory, 0);
                assert_true(!left || strcmp(left, "snapshot.9") == 0);
                if (left) /* only the directory sync failed: complete, if not durable */
                    assert_int_equal(snapfile_looks_valid(memory_store_of(memory), left, &error),
                                     1);
            }
            memory_store_free(memory);
        }
    }
    assert_int_equal(failures, 2 * 5); /* create, write, sync, rename, directory sync */
    mk_buffer_fini(&body);
}

/* The disk lies: what is read back is not what was written. */
static int64_t (*true_read)(struct store_file *file, uint64_t offset, void *data, size_t size,
                            struct log_error *error);

static int64_t lying_read(struct store_file *file, uint64_t offset, void *data, size_t size,
                          struct log_error *error)
{
    int64_t got = true_read(file, offset, data, size, error);
    if (got > 40)
        ((uint8_t *)data)[40] ^= 16;
    return got;
}

static void test_read_back(void **state)
{
    (void)state;
    struct memory_store *memory = memory_store_new(1);
    struct store_calls calls = *memory_store_of(memory)->calls;
    true_read = calls.read;
    calls.read = lying_read;
    memory_store_of(memory)->calls = &calls;
    struct mk_buffer body = MK_BUFFER_EMPTY;
    body_make(&body, 1, 5, 10);
    struct snapfile_writer *writer;
    struct log_error error;
    struct snapfile_seal seal = SEAL;
    assert_int_equal(snapfile_begin(memory_store_of(memory), 9, &writer, &error), 0);
    assert_int_equal(snapfile_write(writer, body.data, body.length, &error), 0);
    assert_int_equal(snapfile_finish(writer, &seal, NULL, &error), MK_ERR_CORRUPT);
    assert_null(memory_store_name(memory, 0));
    mk_buffer_fini(&body);
    memory_store_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_large_item),
        cmocka_unit_test(test_flips_and_cuts), cmocka_unit_test(test_failing_writer),
        cmocka_unit_test(test_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
