/* SPDX-License-Identifier: MIT */
/* znode paths: what is valid, parents, names, sequence suffixes. Pure functions over
 * borrowed bytes. Rules: client-protocol reference, sections 4.3 and 4.4. */
#ifndef TREE_PATH_H
#define TREE_PATH_H

#include "base/buffer.h"

/* Digits of a sequence suffix ("%010d"). */
#define PATH_SEQUENCE_DIGITS 10

/* True for a path that a znode may have: starts with '/', no empty, "." or ".." component,
 * no trailing '/' (but "/" itself), no forbidden code point (control characters, surrogates
 * and private use, so also every 4-byte sequence, U+FFF0-FFFF, malformed UTF-8). */
bool path_is_valid(struct mk_bytes path);
/* The quick test that create and delete make first: has a '/', has no NUL. */
bool path_has_parent(struct mk_bytes path);
/* The part before the last '/': "/a/b" -> "/a", "/a" -> "" (the root), "foo/bar" -> "foo".
 * The path must contain a '/'. */
struct mk_bytes path_parent(struct mk_bytes path);
/* The part behind the last '/'; the whole path where there is none. */
struct mk_bytes path_name(struct mk_bytes path);
/* Appends the sequence suffix of `counter`: ten digits, zero-padded; negative values as
 * Java's "%010d" prints them ("-000000001"). */
void path_append_sequence(struct mk_buffer *buffer, int32_t counter);
/* True for "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config": never deleted. */
bool path_is_system(struct mk_bytes path);

#endif
