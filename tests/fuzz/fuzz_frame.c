/* SPDX-License-Identifier: MIT */
/* Fuzzes the frame splitter: cuts the input twice, once as a whole and once with every frame
 * handed over byte by byte, and asserts that both ways see the same frames and the same end. */
#include "wire/frame.h"

#define PAYLOAD_MAX 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool knows_ruok(uint32_t word, void *context)
{
    (void)context;
    return word == MK_WORD('r', 'u', 'o', 'k');
}

/* The first frame of the input, with no more bytes shown than the splitter asks for. */
static enum mk_frame_result next_by_bytes(const uint8_t *data, size_t size, struct mk_frame *frame)
{
    size_t shown = 0;
    enum mk_frame_result result = mk_frame_next(data, shown, PAYLOAD_MAX, frame);
    while (result == MK_FRAME_MORE && frame->needed <= size) {
        MK_ASSERT(frame->needed > shown);
        shown = frame->needed;
        result = mk_frame_next(data, shown, PAYLOAD_MAX, frame);
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t word = 0;
    enum mk_word_result found = mk_frame_word(data, size, knows_ruok, NULL, &word);
    MK_ASSERT((found == MK_WORD_MORE) == (size < 4));
    MK_ASSERT((found == MK_WORD_KNOWN) == (size >= 4 && memcmp(data, "ruok", 4) == 0));
    for (;;) {
        struct mk_frame whole, bytes;
        enum mk_frame_result result = mk_frame_next(data, size, PAYLOAD_MAX, &whole);
        MK_ASSERT(next_by_bytes(data, size, &bytes) == result);
        MK_ASSERT(whole.consumed == bytes.consumed);
        MK_ASSERT(whole.payload.length == bytes.payload.length);
        if (result != MK_FRAME_READY)
            return 0;
        MK_ASSERT(whole.consumed == (size_t)whole.payload.length + MK_FRAME_PREFIX_BYTES);
        MK_ASSERT(whole.consumed <= size);
        MK_ASSERT(whole.payload.length <= PAYLOAD_MAX);
        data += whole.consumed;
        size -= whole.consumed;
    }
}
