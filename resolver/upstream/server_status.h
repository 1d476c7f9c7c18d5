/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a person is told of a server: the views of several workers as one, in words. Pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/upstream/server.h"

#define SERVER_STATUS_TEXT_MAX 512

/*
 * Adds another worker's view: counts are summed, round trips averaged by the questions behind them,
 * and whether it is up is taken from the worker that has the latest news.
 */
void server_status_merge(struct server_state *sum, const struct server_state *more);

/*
 * "ok", "slow" (others among the servers answer so much faster that it is not asked), "failing" (it
 * answers with nothing but failures), "returning" (it is there again and has yet to answer a
 * question), "backoff" (it is silent). The servers: all of its group, itself too.
 */
const char *server_status_word(const struct server_state *server,
	const struct server_state *servers, size_t count, bool strict);

/* Its scheme and endpoint, "tls://9.9.9.9:853". Returns text. */
const char *server_status_address(const struct server_state *server, char text[SERVER_SHOWN_MAX]);

/*
 * "state=ok srtt_us=800 …": each figure as name=value, for `status`. Returns text.
 */
const char *server_status_text(const struct server_state *server, const char *word, int64_t now_us,
	char text[SERVER_STATUS_TEXT_MAX]);
