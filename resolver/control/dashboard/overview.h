/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The overview: what the first page shows, as one JSON object, and the state behind it: rates out
 * of differences, and the last known figures for a time when Redis or the daemon is away. One for
 * each resolver that is asked for, and one for all of them.
 *
 * Whoever finds it older than a second builds it; who comes meanwhile gets the last one, unless
 * nobody has asked for so long that this would be of another time. Any thread that has a context
 * (api.h).
 */
#pragma once

#include "resolver/control/dashboard/api.h"

#define OVERVIEWS_MAX 8       /* of one process: what is asked for least recently makes room */
#define OVERVIEW_FRESH_MS 900 /* so long it is told again as it is */
#define OVERVIEW_OLD_MS 10000 /* so long it is told while a newer one is built */
#define OVERVIEW_SLOW_MS 3000 /* how often zones and who hit them are looked up */

struct overviews;

struct overviews *overviews_new(void); /* NULL: out of memory */
void overviews_free(struct overviews **overviews);

/*
 * Appends the object, without a newline, to the body of the reply, which is empty before. A Redis
 * or a daemon that is away is no error but a state in it. A resolver that cannot be is 400, one that
 * never wrote to Redis 404; while Redis is away one that nobody asked for before is 503.
 */
void overview_answer(struct overviews *overviews, struct api_context *context,
	const struct api_request *request, struct api_reply *reply);
