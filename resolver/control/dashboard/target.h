/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The target of a request ("/api/v1/clients/192.0.2.7?resolver=gw1") taken apart: the path is cut
 * at its slashes first and decoded once after that, so that an encoded slash is part of a segment
 * and nothing is ever decoded twice. Refused, not mended: what is not a path, bad %, NUL, text that
 * is not UTF-8, "." and ".." as segments, a parameter twice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "resolver/control/dashboard/api.h"

#define TARGET_MAX 8192 /* octets as sent */
#define TARGET_SEGMENTS_MAX 8

struct target {
	const char *segments[TARGET_SEGMENTS_MAX]; /* decoded; of "/" none, of "/a/" "a" and "" */
	size_t segment_count;
	struct api_parameter parameters[API_PARAMETERS_MAX];
	size_t parameter_count;
	char text[TARGET_MAX + 1]; /* what the pointers above point into */
};

/* False: words say why, in a sentence without any of the target in it. Points into itself: must not
 * be moved. Any thread. */
bool target_parse(struct target *target, const char *raw, const char **words);
