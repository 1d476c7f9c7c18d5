/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking into one JSON object without copying it: enough to show the records that the daemon
 * writes. Text that is not JSON gives "not found", never more; nesting is bounded. No allocation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_span {
	const char *start; /* a whole value: "text", 12, true, {…}, […] */
	size_t length;
};

/* The value of key in the object; keys of inner objects do not count. False when there is none. */
bool json_find(const char *json, size_t size, const char *key, struct json_span *value);

/* The values of several keys, all in one walk; one that is not there has a start of NULL. The first
 * of equal keys counts. */
struct json_wanted {
	const char *key;
	struct json_span value;
};
void json_find_each(const char *json, size_t size, struct json_wanted *wanted, size_t count);

/* json_text of a key's value; "" and false when there is none. */
bool json_field(const char *json, size_t size, const char *key, char *out, size_t out_size);

/* Unix milliseconds of a key's value that is a time as the daemon writes them,
 * "2026-11-21T20:52:11.123456Z"; 0 when there is none. */
int64_t json_time(const char *json, size_t size, const char *key);
int64_t json_value_time(struct json_span value);

/* Steps through an array: start with *position = 0. False at the end or when it is no array. */
bool json_each(struct json_span array, size_t *position, struct json_span *item);

/* The bytes of a string (escapes undone, \u00XX as the byte XX, others of \u as "?"), or a number
 * or word as it is; cut to size, NUL-ended. Returns out. */
const char *json_text(struct json_span value, char *out, size_t size);
