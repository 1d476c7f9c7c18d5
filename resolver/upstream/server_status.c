/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each worker learns about the servers by itself, and a worker without clients learns nothing: its
 * view may be old by hours. So of "up or not" the latest news counts, not the worst or the mean.
 */
#include "resolver/upstream/server_status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"

static int64_t server_news_us(const struct server_state *server)
{
	return server->answered_us > server->silence_us ? server->answered_us : server->silence_us;
}

static int64_t weighted_us(int64_t a_us, uint64_t a, int64_t b_us, uint64_t b)
{
	return (int64_t)(((double)a_us * (double)a + (double)b_us * (double)b) / (double)(a + b));
}

static void merge_round_trips(struct server_state *sum, const struct server_state *more)
{
	uint64_t a = sum->srtt_us ? sum->answered : 0, b = more->srtt_us ? more->answered : 0;

	if (a + b == 0)
		return;
	sum->srtt_us = weighted_us(sum->srtt_us, a, more->srtt_us, b);
	sum->rttvar_us = weighted_us(sum->rttvar_us, a, more->rttvar_us, b);
}

void server_status_merge(struct server_state *sum, const struct server_state *more)
{
	merge_round_trips(sum, more);
	if (server_news_us(more) > server_news_us(sum)) {
		sum->health = more->health;
		sum->down_us = more->down_us;
		sum->answered_us = more->answered_us;
		sum->silence_us = more->silence_us;
		sum->failures_in_row = more->failures_in_row;
	}
	if (more->trouble[0])
		memcpy(sum->trouble, more->trouble, sizeof(sum->trouble));
	sum->without_edns |= more->without_edns;
	sum->edns_works |= more->edns_works;
	trust_merge(&sum->trust, &more->trust);
	sum->sent += more->sent;
	sum->answered += more->answered;
	sum->timed_out += more->timed_out;
	sum->failed += more->failed;
	sum->hedges += more->hedges;
	sum->downs += more->downs;
}

const char *server_status_word(const struct server_state *server,
	const struct server_state *servers, size_t count, bool strict)
{
	if (server->health != SERVER_UP)
		return server->health == SERVER_DOWN ? "backoff" : "returning";
	if (server_fails(server))
		return "failing";
	for (size_t i = 0; i < count && !strict; i++) {
		if (servers[i].health == SERVER_UP && servers[i].srtt_us > 0 &&
			server->srtt_us > server_band_us(servers[i].srtt_us))
			return "slow";
	}
	return "ok";
}

const char *server_status_address(const struct server_state *server, char text[SERVER_SHOWN_MAX])
{
	const struct server_address address = {
		.endpoint = server->endpoint, .transport = server->transport};

	return server_address_show(&address, text, SERVER_SHOWN_MAX);
}

static const char *edns_word(const struct server_state *server)
{
	if (server->without_edns)
		return "no";
	return server->edns_works ? "yes" : "unknown";
}

const char *server_status_text(const struct server_state *server, const char *word, int64_t now_us,
	char text[SERVER_STATUS_TEXT_MAX])
{
	int64_t down_us = server->health == SERVER_DOWN ? now_us - server->down_us : 0;

	snprintf(text, SERVER_STATUS_TEXT_MAX,
		"state=%s srtt_us=%" PRId64 " rttvar_us=%" PRId64 " sent=%" PRIu64
		" answered=%" PRIu64 " timeouts=%" PRIu64 " failures=%" PRIu64 " hedges=%" PRIu64
		" backoffs=%" PRIu64 " silent_s=%" PRId64
		" edns=%s case=%s cookies=%s doubted=%" PRIu64 " spoofed=%" PRIu64,
		word, server->srtt_us, server->rttvar_us, server->sent, server->answered,
		server->timed_out, server->failed, server->hedges, server->downs,
		down_us / US_PER_S, edns_word(server), trust_case_word(&server->trust, now_us),
		trust_cookies_word(&server->trust, now_us), server->trust.doubted,
		server->trust.spoofed);
	return text;
}
