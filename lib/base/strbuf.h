/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text that grows, with a sticky failure: append freely, check `failed` once at the end.
 * The data is always NUL-terminated after the first append. Also the JSON writer: the caller
 * writes the punctuation of objects and arrays, strbuf_json_* escape and separate.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf {
	char *data; /* NULL before the first append */
	size_t length;
	size_t capacity;
	bool failed; /* out of memory: what was appended since is missing */
};

void strbuf_init(struct strbuf *buf);
void strbuf_deinit(struct strbuf *buf);
void strbuf_clear(struct strbuf *buf); /* keeps the memory, forgets `failed` */

/*
 * For writing in place: room for size bytes behind the text, or NULL and failed. strbuf_commit takes the place behind what was
 * written there (before the next append), at most size bytes further.
 */
char *strbuf_reserve(struct strbuf *buf, size_t size);
void strbuf_commit(struct strbuf *buf, char *end);

void strbuf_append(struct strbuf *buf, const void *data, size_t size);
void strbuf_append_text(struct strbuf *buf, const char *text);
void strbuf_append_char(struct strbuf *buf, char c);
void strbuf_append_u64(struct strbuf *buf, uint64_t value); /* decimal, without printf */
void strbuf_printf(struct strbuf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes. Bytes below 0x20, quote, backslash and every byte from 0x7f up are escaped (\u00XX). */
void strbuf_json_string(struct strbuf *buf, const char *text, size_t size);

/* `"key":`, with a comma before it unless the last byte is '{' or '[' or the buffer is empty. */
void strbuf_json_key(struct strbuf *buf, const char *key);

/* key with a string, number or boolean. A NULL text is written as null. */
void strbuf_json_text(struct strbuf *buf, const char *key, const char *text);
void strbuf_json_u64(struct strbuf *buf, const char *key, uint64_t value);
void strbuf_json_bool(struct strbuf *buf, const char *key, bool value);

/* "2026-11-21T20:52:11.123456Z" (RFC 3339, UTC). */
void strbuf_append_time(struct strbuf *buf, int64_t wall_us);
