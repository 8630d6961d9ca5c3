/* SPDX-License-Identifier: MIT */
/* Frames and four-letter words; see frame.h. Called for every byte that arrives, so it does
 * not copy and does not allocate. */
#include "wire/frame.h"

enum mk_frame_result mk_frame_next(const void *data, size_t length, int32_t payload_max,
                                   struct mk_frame *frame)
{
    *frame = (struct mk_frame){.payload = MK_BYTES_NULL};
    if (length < MK_FRAME_PREFIX_BYTES) {
        frame->needed = MK_FRAME_PREFIX_BYTES;
        return MK_FRAME_MORE;
    }
    int32_t payload_length = (int32_t)mk_load_u32(data);
    if (payload_length < 0)
        return MK_FRAME_NEGATIVE;
    if (payload_length > payload_max)
        return MK_FRAME_TOO_LARGE;
    size_t total = MK_FRAME_PREFIX_BYTES + (size_t)payload_length;
    if (length < total) {
        frame->needed = total;
        return MK_FRAME_MORE;
    }
    frame->payload =
        mk_bytes_of((const uint8_t *)data + MK_FRAME_PREFIX_BYTES, (size_t)payload_length);
    frame->consumed = total;
    return MK_FRAME_READY;
}

enum mk_word_result mk_frame_word(const void *data, size_t length,
                                  bool (*known)(uint32_t word, void *context), void *context,
                                  uint32_t *word)
{
    if (length < 4)
        return MK_WORD_MORE;
    uint32_t candidate = mk_load_u32(data);
    if (!known(candidate, context))
        return MK_WORD_NONE;
    *word = candidate;
    return MK_WORD_KNOWN;
}

size_t mk_frame_begin(struct mk_buffer *buffer)
{
    size_t begin = buffer->length;
    mk_buffer_reserve(buffer, MK_FRAME_PREFIX_BYTES);
    buffer->length += MK_FRAME_PREFIX_BYTES;
    return begin;
}

void mk_frame_end(struct mk_buffer *buffer, size_t begin)
{
    size_t payload_length = buffer->length - begin - MK_FRAME_PREFIX_BYTES;
    MK_ASSERT(payload_length <= INT32_MAX);
    mk_store_u32(buffer->data + begin, (uint32_t)payload_length);
}
