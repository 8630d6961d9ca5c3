/* SPDX-License-Identifier: MIT */
/* Cuts a stream of bytes into frames: an int length, then that many bytes, in both directions
 * of the client protocol and on election connections. Also tells a four-letter word at the
 * start of a connection from a frame. Looks only, owns nothing, keeps no state: the caller
 * holds the bytes and drops `consumed` of them. */
#ifndef MK_WIRE_FRAME_H
#define MK_WIRE_FRAME_H

#include "base/buffer.h"
#include "base/mk.h"

#define MK_FRAME_PREFIX_BYTES 4

enum mk_frame_result {
    MK_FRAME_MORE,     /* not complete yet; see `needed` */
    MK_FRAME_READY,    /* `payload` and `consumed` are set */
    MK_FRAME_NEGATIVE, /* negative length: the connection is beyond repair */
    MK_FRAME_TOO_LARGE /* length above the limit (equal is allowed): the same */
};

struct mk_frame {
    struct mk_bytes payload; /* without the length; borrowed from the input */
    size_t consumed;         /* bytes of the input that the frame takes; 0 unless ready */
    size_t needed;           /* MK_FRAME_MORE: bytes that the input must have, as far as known */
};

/* Looks at the start of `data`. Length 0 is a frame with an empty payload. */
enum mk_frame_result mk_frame_next(const void *data, size_t length, int32_t payload_max,
                                   struct mk_frame *frame);

/* Four ASCII letters as the big-endian number that they would be as a length. */
#define MK_WORD(a, b, c, d)                                                                        \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

enum mk_word_result {
    MK_WORD_MORE,  /* fewer than four bytes so far */
    MK_WORD_KNOWN, /* `word` is set: the connection carries a command */
    MK_WORD_NONE   /* a frame follows */
};

/* Before the connect request is processed the first four bytes are compared with the known
 * words, case-sensitively (ZooKeeper administrator's guide, "The Four Letter Words"). `known`
 * says which these are; the telnet interrupt FF F4 FF FD is one for whoever wants it to be. */
enum mk_word_result mk_frame_word(const void *data, size_t length,
                                  bool (*known)(uint32_t word, void *context), void *context,
                                  uint32_t *word);

/* Room for the length of a frame that begins here; returns what mk_frame_end wants. */
size_t mk_frame_begin(struct mk_buffer *buffer);
/* Puts in the length of all that was appended since. */
void mk_frame_end(struct mk_buffer *buffer, size_t begin);

#endif
