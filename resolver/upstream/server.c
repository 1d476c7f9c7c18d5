/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arithmetic of upstream servers.
 *
 * Round trips are smoothed as TCP does it (RFC 6298), the mean deviation with them: a resolver that
 * has most names at hand and has to ask others for the rest varies much, and is not late until it
 * is later than that. What a client waited in vain is a round trip too, of at least that length,
 * unless the server is dead: so a server that slows down loses its place, and one that dies and
 * returns has it again.
 *
 * That a server is dead is seen by its silence as a whole, not by counting lost packets. One packet
 * may be lost, and one name may take long; nothing at all since a packet that is overdue, and again
 * nothing since another sent after that, is neither. A wrong guess costs little, because the first
 * sign already sends a probe, and a living server's answer takes the sign back.
 *
 * Probes ask for the root's name servers, which any resolver has at hand, and they are sent at a
 * steady pace: growing pauses were rejected, because the server would be missed for as long as the
 * pause when it is back, and two small packets a second harm nobody. Since a resolver that has lost
 * its own way out still knows the root, an answered probe only makes it *returning*: it has to
 * answer a copy of a client's question before clients have to rely on it.
 */
#include "resolver/upstream/server.h"

#include "lib/base/clock.h"

#define UNMEASURED_US (400 * US_PER_MS)
#define TIMEOUT_SLACK_US (300 * US_PER_MS) /* a server may have to ask others */
#define TIMEOUT_MAX_US (1000 * US_PER_MS)
#define USUAL_MIN_US (50 * US_PER_MS)
#define USUAL_MAX_US (500 * US_PER_MS)
#define USUAL_UNMEASURED_US (200 * US_PER_MS)
#define BAND_US (5 * US_PER_MS) /* and a quarter of the best: no difference to anybody */
#define SILENCES_MAX 2
#define LOSSES_MAX 4
#define SILENT_PACKETS 4
#define FAILURES_MAX 5
#define HEDGE_COST 1000
#define HEDGE_EARNED 100
#define HEDGES_SAVED 10
#define EXPLORE_US US_PER_S
#define EXPLORE_QUESTIONS 10 /* few clients are not to have each question told to two servers */
#define COPY_PAUSE_US US_PER_S /* an unanswered copy is not repeated before that */

/* --- round trips --- */

static void server_measure(struct server_state *server, int64_t round_trip_us, int64_t now_us)
{
	if (round_trip_us < 1)
		round_trip_us = 1;
	server->measured_us = now_us;
	if (server->srtt_us == 0) {
		server->srtt_us = round_trip_us;
		server->rttvar_us = round_trip_us / 2;
		return;
	}
	int64_t error_us = round_trip_us - server->srtt_us;

	server->rttvar_us += ((error_us < 0 ? -error_us : error_us) - server->rttvar_us) / 4;
	server->srtt_us += error_us / 8;
}

static int64_t server_late_us(const struct server_state *server)
{
	return server->srtt_us + 4 * server->rttvar_us;
}

int64_t server_timeout_us(const struct server_state *server)
{
	if (server->srtt_us == 0)
		return UNMEASURED_US;
	int64_t timeout_us = server_late_us(server) + TIMEOUT_SLACK_US;

	return timeout_us < TIMEOUT_MAX_US ? timeout_us : TIMEOUT_MAX_US;
}

int64_t server_usual_us(const struct server_state *server)
{
	if (server->srtt_us == 0)
		return USUAL_UNMEASURED_US;
	int64_t usual_us = server_late_us(server);

	if (usual_us < USUAL_MIN_US)
		return USUAL_MIN_US;
	return usual_us < USUAL_MAX_US ? usual_us : USUAL_MAX_US;
}

/* --- whom to ask --- */

bool server_fails(const struct server_state *server)
{
	return server->failures_in_row >= FAILURES_MAX;
}

int64_t server_band_us(int64_t round_trip_us)
{
	return round_trip_us + round_trip_us / 4 + BAND_US;
}

static int64_t server_expected_us(const struct server_state *server)
{
	return server->srtt_us ? server->srtt_us : UNMEASURED_US;
}

/* What matters more than speed and order: below 0, a is better. */
static int server_compare(const struct server_state *a, uint8_t a_packets,
	const struct server_state *b, uint8_t b_packets)
{
	if (a->health != b->health)
		return (int)a->health - (int)b->health;
	if (a_packets != b_packets)
		return a_packets < b_packets ? -1 : 1;
	return (int)server_fails(a) - (int)server_fails(b);
}

/* Among those that are as good as the best one, the shortest round trip. */
static int64_t best_expected_us(const struct server_group *group, const uint8_t *packets, int best)
{
	int64_t best_us = INT64_MAX;

	for (size_t i = 0; i < group->count; i++) {
		const struct server_state *server = &group->servers[i];

		if (packets[i] < EXCHANGE_PACKETS_MAX && server_expected_us(server) < best_us &&
			server_compare(server, packets[i], &group->servers[best], packets[best]) ==
				0)
			best_us = server_expected_us(server);
	}
	return best_us;
}

int server_choose(const struct server_group *group, const uint8_t *packets)
{
	int best = -1;

	for (size_t i = 0; i < group->count; i++) {
		if (packets[i] < EXCHANGE_PACKETS_MAX &&
			(best < 0 || server_compare(&group->servers[i], packets[i],
					     &group->servers[best], packets[best]) < 0))
			best = (int)i;
	}
	if (best < 0 || group->strict || group->count == 1)
		return best;

	int64_t band_us = server_band_us(best_expected_us(group, packets, best));

	for (size_t i = (size_t)best; i < group->count; i++) {
		const struct server_state *server = &group->servers[i];

		if (packets[i] < EXCHANGE_PACKETS_MAX && server_expected_us(server) <= band_us &&
			server_compare(server, packets[i], &group->servers[best], packets[best]) ==
				0)
			return (int)i;
	}
	return best;
}

/* --- what became of a packet --- */

void server_asked(struct server_state *server, int64_t now_us)
{
	server->sent++;
	if (server->unanswered++ == 0)
		server->silent_since_us = now_us;
}

/* It is there. Where a client waited in vain meanwhile, it was slow. */
static void server_heard(struct server_state *server, int64_t now_us)
{
	if (server->late_us > server->srtt_us && server->srtt_us > 0)
		server_measure(server, server->late_us, now_us);
	server->answered++;
	server->answered_us = now_us;
	server->unanswered = 0;
	server->silent_since_us = 0;
	server->silences = 0;
	server->silence_us = 0;
	server->late_us = 0;
	server->probes = 0;
	server->probe_us = 0;
}

void server_answered(struct server_state *server, int64_t round_trip_us, int64_t now_us)
{
	server_heard(server, now_us);
	server->question_us = now_us;
	server->losses = 0;
	if (round_trip_us >= 0)
		server_measure(server, round_trip_us, now_us);
	server->health = SERVER_UP;
}

void server_failed(struct server_state *server)
{
	server->failed++;
	server->failures_in_row++;
}

void server_succeeded(struct server_state *server)
{
	server->failures_in_row = 0;
}

static void server_probe_at(struct server_group *group, struct server_state *server, int64_t at_us)
{
	server->probe_us = at_us;
	group->attention = true;
}

static void server_take_down(
	struct server_group *group, struct server_state *server, int64_t now_us)
{
	if (server->health == SERVER_UP) {
		server->downs++;
		server->down_us = now_us;
	}
	server->health = SERVER_DOWN;
	server->late_us = 0;
	if (server->probe_us == 0)
		server_probe_at(group, server, now_us);
}

/* A sign adds to those before when its packet left after the last one was noted. */
static bool sign_note(unsigned *signs, int64_t *noted_us, int64_t sent_us, int64_t now_us)
{
	if (*signs > 0 && sent_us < *noted_us)
		return false;
	++*signs;
	*noted_us = now_us;
	return true;
}

void server_was_silent(
	struct server_group *group, struct server_state *server, int64_t sent_us, int64_t now_us)
{
	int64_t waited_us = now_us - sent_us;
	bool alive = sent_us < server->answered_us;

	if (alive && waited_us > server->srtt_us)
		server_measure(server, waited_us, now_us);
	if (sent_us >= server->question_us)
		sign_note(&server->losses, &server->loss_us, sent_us, now_us);
	bool sign = !alive && sign_note(&server->silences, &server->silence_us, sent_us, now_us);

	if (server->silences >= SILENCES_MAX || server->losses >= LOSSES_MAX ||
		server->health != SERVER_UP) {
		server_take_down(group, server, now_us);
	} else if (sign) {
		server->late_us = waited_us;
		server_probe_at(group, server, now_us);
	}
}

bool server_is_silent(const struct server_state *server, int64_t now_us)
{
	return server->unanswered >= SILENT_PACKETS &&
	       now_us - server->silent_since_us >= server_usual_us(server);
}

/* --- hedges --- */

void server_group_begin(struct server_group *group)
{
	group->hedge_tokens = HEDGES_SAVED * HEDGE_COST;
}

void server_group_asked(struct server_group *group)
{
	group->unexplored++;
	if (group->hedge_tokens < HEDGES_SAVED * HEDGE_COST)
		group->hedge_tokens += HEDGE_EARNED;
}

int server_hedge(struct server_group *group, const struct server_state *late,
	const uint8_t *packets, bool unreachable, int64_t now_us)
{
	int other = server_choose(group, packets);

	if (other < 0 || packets[other] > 0 || group->servers[other].health != SERVER_UP ||
		server_is_silent(&group->servers[other], now_us))
		return -1;
	if (late->health == SERVER_UP && !unreachable && !server_is_silent(late, now_us)) {
		if (group->hedge_tokens < HEDGE_COST) {
			group->hedges_refused++;
			return -1;
		}
		group->hedge_tokens -= HEDGE_COST;
	}
	group->hedges++;
	group->servers[other].hedges++;
	return other;
}

/* --- copies --- */

/* The one that was measured longest ago, of those that are up. */
static int server_stalest(const struct server_group *group, int asked)
{
	int stalest = -1;

	for (size_t i = 0; i < group->count; i++) {
		const struct server_state *server = &group->servers[i];

		if ((int)i != asked && server->health == SERVER_UP && !server->looping &&
			(stalest < 0 || server->copied_us < group->servers[stalest].copied_us))
			stalest = (int)i;
	}
	return stalest;
}

static int server_to_copy(struct server_group *group, int asked, int64_t now_us)
{
	for (size_t i = 0; i < group->count; i++) {
		const struct server_state *server = &group->servers[i];
		bool wanted =
			server->health == SERVER_RETURNING ||
			(server->srtt_us == 0 && server->health == SERVER_UP && !group->strict);

		if (wanted && (int)i != asked && !server->looping &&
			(server->copied_us == 0 || now_us - server->copied_us >= COPY_PAUSE_US))
			return (int)i;
	}
	if (group->strict || group->unexplored < EXPLORE_QUESTIONS ||
		now_us - group->explored_us < EXPLORE_US)
		return -1;
	group->explored_us = now_us;
	group->unexplored = 0;
	return server_stalest(group, asked);
}

int server_explore(struct server_group *group, int asked, int64_t now_us)
{
	if (group->count < 2)
		return -1;
	int to = server_to_copy(group, asked, now_us);

	if (to >= 0)
		group->servers[to].copied_us = now_us;
	return to;
}

/* --- probes --- */

int64_t server_group_probe_us(const struct server_group *group)
{
	int64_t first_us = INT64_MAX;

	for (size_t i = 0; i < group->count; i++) {
		int64_t probe_us = group->servers[i].probe_us;

		if (probe_us != 0 && probe_us < first_us)
			first_us = probe_us;
	}
	return first_us;
}

int server_probe(struct server_group *group, int64_t now_us)
{
	for (size_t i = 0; i < group->count; i++) {
		struct server_state *server = &group->servers[i];

		if (server->probe_us == 0 || server->probe_us > now_us)
			continue;
		server->probe_us = now_us + SERVER_PROBE_MS * US_PER_MS;
		server->probes++;
		return (int)i;
	}
	return -1;
}

void server_probe_answered(struct server_group *group, struct server_state *server,
	int64_t round_trip_us, int64_t now_us)
{
	bool others = false;

	for (size_t i = 0; i < group->count; i++)
		others = others ||
			 (&group->servers[i] != server && group->servers[i].health == SERVER_UP);
	server_heard(server, now_us);
	/* The root's servers are at hand: any other name takes at least as long. */
	if (round_trip_us > server->srtt_us)
		server_measure(server, round_trip_us, now_us);
	if (server->health == SERVER_UP)
		return;
	server->health = others ? SERVER_RETURNING : SERVER_UP;
	server->copied_us = 0;
}
