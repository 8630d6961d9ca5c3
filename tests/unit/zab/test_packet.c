/* SPDX-License-Identifier: MIT */
/* Proves that packets are cut exactly where Apache's end, whatever pieces they come in, that they
 * are written back byte for byte, and that no absurd length is waited for. */
#include "tests/unit/zab/golden.h"

#include "base/mem.h"
#include "base/rand.h"
#include "wire/errors.gen.h"
#include "wire/records.gen.h"
#include "zab/packet.h"

#define DATA_MAX (1 << 20)

/* Reads through a copy that ends where the bytes end, so that ASan sees a byte too many. */
static int read_exact(const uint8_t *data, size_t length, size_t data_max, struct packet *packet,
                      size_t *consumed)
{
    uint8_t *copy = mk_alloc(length);
    if (length)
        memcpy(copy, data, length);
    int result = packet_read(mk_bytes_of(copy, length), data_max, packet, consumed);
    if (result == 1) { /* must borrow from the input */
        if (packet->data.length > 0)
            assert_true(packet->data.data >= copy && packet->data.data < copy + length);
        packet->data.data = packet->data.length > 0 ? data + (packet->data.data - copy) : NULL;
        packet->identities.data =
            packet->identities.length > 0 ? data + (packet->identities.data - copy) : NULL;
    }
    mk_free(copy);
    return result;
}

/* `bytes` is one packet: found whole, not found in any prefix, written back alike, and the same
 * that the generated codec reads. */
static struct packet check_packet(const uint8_t *data, size_t length)
{
    struct packet packet = {0};
    size_t consumed = 0;
    for (size_t part = 0; part < length; part++)
        assert_int_equal(read_exact(data, part, DATA_MAX, &packet, &consumed), 0);
    assert_int_equal(consumed, 0);
    assert_int_equal(read_exact(data, length, DATA_MAX, &packet, &consumed), 1);
    assert_int_equal(consumed, length);

    struct mk_buffer copy = MK_BUFFER_EMPTY;
    packet_write(&copy, &packet);
    assert_int_equal(copy.length, length);
    assert_memory_equal(copy.data, data, length);
    mk_buffer_fini(&copy);

    struct mk_arena arena;
    struct mk_reader reader;
    struct mk_quorum_packet record;
    mk_arena_init(&arena);
    mk_reader_init(&reader, data, length, &arena);
    mk_quorum_packet_read(&reader, &record);
    assert_int_equal(reader.error, 0);
    assert_int_equal(mk_reader_left(&reader), 0);
    assert_int_equal(record.type, packet.type);
    assert_true(record.zxid == packet.zxid);
    assert_true(mk_bytes_equal(record.data, packet.data));
    assert_int_equal(record.authinfo.count < 0, packet.identities.length < 0);
    mk_arena_fini(&arena);
    return packet;
}

static void every_golden_packet(void **state)
{
    (void)state;
    struct mk_buffer content = MK_BUFFER_EMPTY, bytes = MK_BUFFER_EMPTY;
    int count = 0;
    golden_load("quorum.txt", &content);
    for (const char *at = (const char *)content.data; (at = strstr(at, "name: ")) != NULL; at++) {
        if (strncmp(at, "name: snap-stream", 17) == 0)
            continue;
        mk_buffer_clear(&bytes);
        golden_decode(strstr(at, "\nhex: ") + 6, &bytes);
        check_packet(bytes.data, bytes.length);
        count++;
    }
    assert_int_equal(count, 38);
    mk_buffer_fini(&content);
    mk_buffer_fini(&bytes);
}

/* A whole conversation, one direction as one stream, fed in pieces of `piece` bytes. */
static int check_stream(const char *file, char direction, size_t piece)
{
    struct mk_buffer content = MK_BUFFER_EMPTY, stream = MK_BUFFER_EMPTY, input = MK_BUFFER_EMPTY;
    char names[4096] = "", seen[4096] = "";
    golden_load(file, &content);
    char *rest = NULL;
    char *line = strtok_r((char *)content.data, "\n", &rest);
    for (; line; line = strtok_r(NULL, "\n", &rest)) {
        char name[32];
        int digits;
        if (line[0] != direction || sscanf(line + 1, " %31s %n", name, &digits) != 1 ||
            strcmp(name, "SNAPSTREAM") == 0)
            continue;
        golden_decode(line + 1 + digits, &stream);
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s ", name);
    }
    int count = 0;
    for (size_t at = 0; at < stream.length; at += piece) {
        struct packet packet;
        size_t consumed;
        mk_buffer_append(&input, stream.data + at, MK_MIN(piece, stream.length - at));
        while (packet_read(mk_buffer_bytes(&input), DATA_MAX, &packet, &consumed) == 1) {
            snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s ",
                     packet_name(packet.type));
            mk_buffer_consume(&input, consumed);
            count++;
        }
    }
    assert_int_equal(input.length, 0);
    assert_string_equal(seen, names);
    mk_buffer_fini(&content);
    mk_buffer_fini(&stream);
    mk_buffer_fini(&input);
    return count;
}

static void whole_conversations(void **state)
{
    (void)state;
    static const char *const files[] = {"conversation-first-join-diff.txt",
                                        "conversation-observer-master.txt",
                                        "conversation-observer.txt",
                                        "conversation-reconfig.txt",
                                        "conversation-rejoin-diff.txt",
                                        "conversation-rejoin-diff-3.9.4.txt",
                                        "conversation-snap.txt",
                                        "conversation-trunc.txt"};
    static const size_t pieces[] = {1, 7, 64, 100000};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(files); i++)
        for (size_t j = 0; j < MK_ARRAY_LENGTH(pieces); j++) {
            assert_true(check_stream(files[i], 'S', pieces[j]) > 5);
            assert_true(check_stream(files[i], 'C', pieces[j]) > 3);
        }
}

static void identities_are_cut_out_whole(void **state)
{
    (void)state;
    struct mk_buffer bytes = MK_BUFFER_EMPTY;
    golden_find("quorum.txt", "request-setData-two-ids", &bytes);
    struct packet packet = check_packet(bytes.data, bytes.length);
    assert_int_equal(packet.type, PACKET_REQUEST);
    assert_int_equal(mk_load_u32(packet.identities.data), 2);
    assert_ptr_equal(packet.identities.data + packet.identities.length, bytes.data + bytes.length);
    golden_find("quorum.txt", "ping-reply-empty", &bytes);
    packet = check_packet(bytes.data, bytes.length);
    assert_int_equal(packet.data.length, 0);
    assert_int_equal(packet.identities.length, -1);
    golden_find("quorum.txt", "ping", &bytes);
    packet = check_packet(bytes.data, bytes.length);
    assert_int_equal(packet.data.length, -1);

    /* An empty list is not null, and strings of it may be null. */
    static const uint8_t empty[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    assert_int_equal(check_packet(empty, sizeof empty).identities.length, 4);
    static const uint8_t nulls[] = {0, 0, 0, 1, 0, 0,    0,    0,    0,    0, 0, 0, 0, 0,  0,
                                    0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 'x'};
    assert_int_equal(check_packet(nulls, sizeof nulls).identities.length, 13);

    /* What was never filled in is written as null. */
    struct packet blank = {.type = PACKET_UP_TO_DATE, .zxid = -1, .data = MK_BYTES_NULL};
    struct mk_buffer written = MK_BUFFER_EMPTY;
    packet_write(&written, &blank);
    golden_find("quorum.txt", "uptodate", &bytes);
    assert_int_equal(written.length, bytes.length);
    assert_memory_equal(written.data, bytes.data, bytes.length);
    mk_buffer_fini(&written);
    mk_buffer_fini(&bytes);
}

/* The result for a head with this length of data, and nothing behind it. */
static int judge_data(int32_t length, size_t data_max)
{
    uint8_t head[16] = {0};
    struct packet packet;
    size_t consumed;
    mk_store_u32(head + 12, (uint32_t)length);
    return read_exact(head, sizeof head, data_max, &packet, &consumed);
}

static int judge_identities(int32_t count, int32_t length)
{
    uint8_t bytes[24] = {0};
    struct packet packet;
    size_t consumed;
    mk_store_u32(bytes + 12, UINT32_MAX);
    mk_store_u32(bytes + 16, (uint32_t)count);
    mk_store_u32(bytes + 20, (uint32_t)length);
    return read_exact(bytes, sizeof bytes, DATA_MAX, &packet, &consumed);
}

static void absurd_lengths_are_not_waited_for(void **state)
{
    (void)state;
    assert_int_equal(judge_data(100, 100), 0);
    assert_int_equal(judge_data(101, 100), MK_ERR_TOO_LARGE);
    assert_int_equal(judge_data(INT32_MAX, DATA_MAX), MK_ERR_TOO_LARGE);
    assert_int_equal(judge_data(INT32_MAX, SIZE_MAX), 0);
    assert_int_equal(judge_data(-2, DATA_MAX), MK_ERR_MARSHALLING);
    assert_int_equal(judge_data(INT32_MIN, DATA_MAX), MK_ERR_MARSHALLING);
    assert_int_equal(judge_identities(-2, 0), MK_ERR_MARSHALLING);
    assert_int_equal(judge_identities(INT32_MIN, 0), MK_ERR_MARSHALLING);
    assert_int_equal(judge_identities(INT32_MAX, 0), MK_ERR_TOO_LARGE);
    assert_int_equal(judge_identities(1, 5), 0);
    assert_int_equal(judge_identities(1, -2), MK_ERR_MARSHALLING);
    assert_int_equal(judge_identities(1, INT32_MAX), MK_ERR_TOO_LARGE);
    assert_int_equal(judge_identities(1, 1 << 20), MK_ERR_TOO_LARGE);

    /* A web browser on the quorum port. */
    static const char http[] = "GET / HTTP/1.1\r\n";
    struct packet packet;
    size_t consumed;
    assert_int_equal(
        read_exact((const uint8_t *)http, sizeof http - 1, DATA_MAX, &packet, &consumed),
        MK_ERR_TOO_LARGE);
}

/* The sum of the strings is bounded too, not only each of them. */
static void many_identities_are_bounded(void **state)
{
    (void)state;
    struct mk_buffer bytes = MK_BUFFER_EMPTY;
    struct packet packet;
    size_t consumed;
    struct packet head = {.type = PACKET_REQUEST, .data = MK_BYTES_NULL};
    packet_write(&bytes, &head);
    mk_store_u32(bytes.data + 16, 1000);
    static uint8_t block[4 + 4096];
    mk_store_u32(block, 4096);
    int result = 0;
    while (bytes.length < 4 << 20 && result == 0) {
        mk_buffer_append(&bytes, block, sizeof block);
        result = packet_read(mk_buffer_bytes(&bytes), DATA_MAX, &packet, &consumed);
    }
    assert_int_equal(result, MK_ERR_TOO_LARGE);
    assert_true(bytes.length < (1 << 20) + 2 * sizeof block + 20);
    mk_buffer_fini(&bytes);
}

static void garbage_never_reads_beyond(void **state)
{
    (void)state;
    struct mk_rand rand;
    int found = 0;
    mk_rand_init(&rand, 3);
    for (int round = 0; round < 200000; round++) {
        uint8_t bytes[64];
        size_t length = mk_rand_next(&rand) % (sizeof bytes + 1);
        for (size_t i = 0; i < length; i++) {
            uint64_t draw = mk_rand_next(&rand);
            bytes[i] = draw % 8 ? (draw % 16 == 1 ? 0xff : 0) : (uint8_t)(draw >> 8) & 15;
        }
        struct packet packet;
        size_t consumed = 0;
        if (read_exact(bytes, length, 40, &packet, &consumed) == 1) {
            assert_true(consumed >= 20 && consumed <= length);
            check_packet(bytes, consumed);
            found++;
        }
    }
    assert_true(found > 100);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(packet_name(1), "REQUEST");
    assert_string_equal(packet_name(19), "INFORMANDACTIVATE");
    assert_string_equal(packet_name(0), "an unknown packet");
    assert_string_equal(packet_name(20), "an unknown packet");
    assert_string_equal(packet_name(-1), "an unknown packet");
    assert_string_equal(packet_name(INT32_MIN), "an unknown packet");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_golden_packet),
        cmocka_unit_test(whole_conversations),
        cmocka_unit_test(identities_are_cut_out_whole),
        cmocka_unit_test(absurd_lengths_are_not_waited_for),
        cmocka_unit_test(many_identities_are_bounded),
        cmocka_unit_test(garbage_never_reads_beyond),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests_name("zab/packet", tests, NULL, NULL);
}
