/* SPDX-License-Identifier: BSD-3-Clause */
/* A zone file as text that comes in pieces. One thread. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "policy/policy.h"
#include "resolver/file_mark.h"

struct zone_text {
	struct policy_input input; /* lives where the struct does */
	struct file_mark mark;     /* as the file was when it was opened */
	int fd;
	int error;                    /* errno of a reading that failed, 0: none did */
	const atomic_bool *cancelled; /* the text ends when it is set; NULL: never */
};

/* False, and errno says why not: EINVAL for what is no regular file, EFBIG beyond a gigabyte. */
bool zone_text_open(struct zone_text *text, const char *path, const atomic_bool *cancelled);

/* False when the file was written since it was opened: what was read may be parts of both. */
bool zone_text_close(struct zone_text *text);
