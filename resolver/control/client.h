/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking a running daemon over its control socket: one request, blocking, with a timeout. See
 * server.h for the form. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"

enum control_outcome {
	CONTROL_OK,
	CONTROL_FAILED,    /* the daemon said why: answer->words */
	CONTROL_NO_DAEMON, /* no socket there, or nobody behind it */
	CONTROL_DENIED,    /* the socket belongs to someone else */
	CONTROL_SILENT,    /* no whole reply within the time */
	CONTROL_BROKEN,    /* anything else; answer->words says what */
};

struct control_line {
	const char *key, *value; /* unescaped */
};

struct control_answer {
	const char *words;          /* of CONTROL_FAILED and CONTROL_BROKEN, else "" */
	struct control_line *lines; /* in the order of the daemon */
	size_t count;
	struct strbuf text; /* what the pointers above point into */
};

/*
 * Sends the words and reads the reply. Words are not empty and hold no space or control character
 * (CONTROL_BROKEN). Whatever the outcome, the caller frees answer with control_answer_free.
 */
enum control_outcome control_ask(const char *path, int timeout_ms, unsigned count,
	const char *const words[], struct control_answer *answer);
void control_answer_free(struct control_answer *answer);

/* The first value of key, or NULL. */
const char *control_answer_value(const struct control_answer *answer, const char *key);
/* The same as a number; missing where there is none. */
uint64_t control_answer_u64(const struct control_answer *answer, const char *key, uint64_t missing);
