/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal of what was changed through the dashboard, by whom, and what became of it: a line of
 * JSON each in the state directory. Any thread, and several processes.
 *
 * What comes from somebody who has not signed in stands in a file of its own: however much of that
 * there is, it pushes out nothing that was done, and no disk is waited for on its behalf. Either
 * file is turned to ".1" when it is full, so the last half at least of what they may hold is there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"

#define CHANGES_FILE "dashboard-changes.jsonl"
#define CHANGES_STRANGERS_FILE "dashboard-refused.jsonl"
#define CHANGES_SIZE_MAX (1 << 20) /* octets of a file before it is turned */
#define CHANGES_LINE_MAX 16384
#define CHANGES_SHOWN_MAX 1000

struct change {
	int64_t wall_ms;
	const char *from;   /* an address, or "command" */
	const char *what;   /* an object of JSON: the request */
	const char *result; /* "done", "refused", "failed" */
	const char *words;  /* what the daemon did or said, or why it was not asked */
	bool stranger;      /* it did not come with a session */
};

/* On the disk when it returns, but for what a stranger did. False, with errno: it stands nowhere
 * but on stderr, where each change is said. */
bool changes_add(const char *folder, const struct change *change);

/* The newest `limit` of both, newest first, as an array of JSON. Lines that are not whole are left
 * out. False: out of memory, or a file cannot be read (errno). */
bool changes_read(const char *folder, size_t limit, struct strbuf *out);
