/* SPDX-License-Identifier: BSD-3-Clause */
/* Every code a function of Teredown can return, with the words shown to a person. */
#pragma once

#define TD_ERRORS(X) \
	X(OK, "success") \
	X(NOMEM, "out of memory") \
	X(TRUNCATED, "the message ends early") \
	X(MALFORMED, "malformed") \
	X(LOOP, "a compression pointer does not point backwards") \
	X(TOO_LONG, "longer than the format allows") \
	X(NO_SPACE, "the buffer is too small") \
	X(FULL, "the table is full") \
	X(NOT_FOUND, "not found") \
	X(INVALID, "invalid value") \
	X(UNSUPPORTED, "not supported") \
	X(IO, "input or output failed") \
	X(TIMEOUT, "timed out") \
	X(REFUSED, "refused")

enum td_error {
#define X(name, words) TD_##name,
	TD_ERRORS(X)
#undef X
	TD_ERROR_COUNT
};

/* The words for a code; never NULL, "unknown error" outside the table. Static storage. */
const char *error_text(enum td_error error);
