/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Four states, and for each the words of what was seen. A word for programs (`reason`) and a
 * sentence for people come from the same place, so that they cannot disagree. What a state means
 * for a finding stands below the table, once, and only for states that occur.
 */
#include "resolver/control/probe_report.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/dns/tunnel.h"
#include "resolver/control/probe_loop.h"

static const char *const state_words[] = {
	[PROBE_UNTESTED] = "untested",
	[PROBE_INCONCLUSIVE] = "inconclusive",
	[PROBE_REFUSED] = "refused",
	[PROBE_ANSWERS] = "answers",
};

static enum probe_state state_of(const struct probe_row *row)
{
	return row->target ? row->target->state : PROBE_UNTESTED;
}

struct probe_counts probe_report_count(const struct probe_row *rows)
{
	struct probe_counts counts = {.rows = 0};

	for (const struct probe_row *row = rows; row; row = row->next) {
		counts.rows++;
		counts.state[state_of(row)]++;
	}
	return counts;
}

/* --- ICMP --- */

static const char *icmp_words(uint8_t type, uint8_t code, char *out, size_t size)
{
	static const char *const unreachable[] = {
		[0] = "network unreachable",
		[1] = "host unreachable",
		[2] = "protocol unreachable",
		[3] = "port unreachable",
		[9] = "network prohibited",
		[10] = "host prohibited",
		[13] = "communication prohibited",
	};

	if (type == 3 && code < sizeof(unreachable) / sizeof(unreachable[0]) && unreachable[code])
		return unreachable[code];
	if (type == 11)
		return "time to live exceeded";
	snprintf(out, size, "ICMP type %u code %u", type, code);
	return out;
}

/* --- why --- */

/* One word that stays the same, for programs. NULL: the state says it all. */
static const char *reason_of(const struct probe_row *row)
{
	const struct probe_target *target = row->target;

	if (!target)
		return "unresolved";
	switch (target->state) {
	case PROBE_ANSWERS:
		return NULL;
	case PROBE_REFUSED:
		return target->icmp_code == 2 || target->icmp_code == 3 ? "unreachable-port"
									: "prohibited";
	case PROBE_UNTESTED:
		return target->local_error ? "not-sent" : "not-asked";
	case PROBE_INCONCLUSIVE:
		break;
	}
	if (target->invalid)
		return "invalid";
	return target->icmp_told ? "unreachable" : "silence";
}

static void append_endpoint(struct strbuf *out, const struct endpoint *endpoint)
{
	char text[ENDPOINT_TEXT_MAX];

	strbuf_append_text(out, endpoint_to_text(endpoint, text));
}

static void append_address(struct strbuf *out, const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];

	strbuf_append_text(out, address_to_text(address, text));
}

static void append_prefix(struct strbuf *out, const struct prefix *prefix)
{
	append_address(out, &prefix->address);
	strbuf_printf(out, "/%u", prefix->length);
}

static void append_second(struct strbuf *out, const struct probe_target *target)
{
	if (target->second.address.family) {
		strbuf_append_text(out, "; second address ");
		if (target->second.port == target->endpoint.port)
			append_address(out, &target->second.address);
		else
			append_endpoint(out, &target->second);
	} else if (target->cone_answered) {
		strbuf_append_text(out, "; no second address: it answers all from this one");
	} else {
		strbuf_append_text(out, "; nothing came from a second address");
	}
}

/* What is unusual about an answer. */
static void append_oddities(struct strbuf *out, const struct probe_target *target)
{
	struct tunnel inside = tunnel_decode(&target->answer.prefix.address);

	if (inside.kind != TUNNEL_TEREDO)
		strbuf_append_text(out, "; that is no Teredo prefix of RFC 4380");
	else if (!address_equal(&inside.server, &target->endpoint.address)) {
		strbuf_append_text(out, "; its prefix names the server ");
		append_address(out, &inside.server);
	}
	if (!target->answer.cone && !endpoint_equal(&target->from, &target->endpoint)) {
		strbuf_append_text(out, "; the answer came from ");
		append_endpoint(out, &target->from);
	}
	if (target->answer.cone)
		strbuf_append_text(out, "; only to a solicitation with the cone bit");
	if (target->late)
		strbuf_append_text(out, "; late");
}

static void append_answer(struct strbuf *out, const struct probe_target *target)
{
	strbuf_append_text(out, "prefix ");
	append_prefix(out, &target->answer.prefix);
	if (target->answer.origin.address.family) {
		strbuf_append_text(out, "; sees us as ");
		append_endpoint(out, &target->answer.origin);
	} else {
		strbuf_append_text(out, "; without an origin indication");
	}
	append_second(out, target);
	append_oddities(out, target);
}

static void append_icmp(struct strbuf *out, const struct probe_target *target)
{
	char words[40];
	bool itself = address_equal(&target->icmp_from, &target->endpoint.address);

	strbuf_append_text(
		out, icmp_words(target->icmp_type, target->icmp_code, words, sizeof(words)));
	strbuf_append_text(out, ", says ");
	if (itself)
		strbuf_append_text(out, "the host itself");
	else
		append_address(out, &target->icmp_from);
}

static void append_inconclusive(struct strbuf *out, const struct probe_target *target)
{
	if (target->invalid) {
		output_count(out, target->invalid, "datagram");
		strbuf_printf(out, " came, but no answer: the last has %s",
			teredo_fault_words(target->fault));
		return;
	}
	if (target->icmp_told) {
		append_icmp(out, target);
		return;
	}
	strbuf_append_text(out, "silence after ");
	output_count(out, target->sent, "packet");
}

static void append_words(struct strbuf *out, const struct probe_row *row)
{
	const struct probe_target *target = row->target;

	if (!target) {
		strbuf_append_text(out, row->why);
		return;
	}
	switch (target->state) {
	case PROBE_ANSWERS:
		append_answer(out, target);
		break;
	case PROBE_REFUSED:
		append_icmp(out, target);
		break;
	case PROBE_INCONCLUSIVE:
		append_inconclusive(out, target);
		break;
	case PROBE_UNTESTED:
		strbuf_append_text(out, target->local_error ? strerror(target->local_error)
							    : "ended before its turn");
		break;
	}
}

/* --- for people --- */

static void append_row(struct grid *grid, const struct probe_row *row)
{
	const struct probe_target *target = row->target;
	char text[ENDPOINT_TEXT_MAX];
	struct strbuf words;

	strbuf_init(&words);
	grid_cell(grid, row->host->name);
	grid_cell(grid, target ? endpoint_to_text(&target->endpoint, text) : "-");
	grid_cell(grid, state_words[state_of(row)]);
	if (state_of(row) == PROBE_ANSWERS)
		snprintf(text, sizeof(text), "%.1f ms", (double)target->round_trip_us / US_PER_MS);
	grid_cell(grid, state_of(row) == PROBE_ANSWERS ? text : "-");
	append_words(&words, row);
	grid_cell(grid, words.failed ? "" : words.data);
	strbuf_deinit(&words);
}

/* The address that a silent host would have seen, if it is one that servers have to drop. */
static bool find_dropped_source(const struct probe_row *rows, struct address *out)
{
	for (const struct probe_row *row = rows; row; row = row->next)
		if (state_of(row) == PROBE_INCONCLUSIVE &&
			probe_source(&row->target->endpoint, out) && teredo_source_is_dropped(out))
			return true;
	return false;
}

static void explain_inconclusive(struct cli *cli, const struct probe_row *rows)
{
	struct strbuf *out = &cli->out;
	struct address source;

	strbuf_append_text(out,
		"inconclusive: no valid answer, which proves nothing. A firewall may drop the "
		"packets or the answers, the port\n"
		"may be closed without a word, or a server ignores us: it must not answer private "
		"addresses (RFC 4380, 5.3.1).\n");
	if (!find_dropped_source(rows, &source))
		return;
	strbuf_append_text(out, "We ask from ");
	append_address(out, &source);
	strbuf_append_text(out, ", which is such an address unless a translator (NAT) replaces it: "
				"ask again from a\nhost with a global one.\n");
}

static void explain(
	struct cli *cli, const struct probe_row *rows, const struct probe_counts *counts)
{
	struct strbuf *out = &cli->out;

	strbuf_append_char(out, '\n');
	if (counts->state[PROBE_ANSWERS])
		strbuf_append_text(out, "answers: a Teredo server listens there.\n");
	if (counts->state[PROBE_REFUSED])
		strbuf_append_text(out,
			"refused: no Teredo server can be reached from here. The host says that "
			"the port is closed, or a firewall rejects the packets.\n");
	if (counts->state[PROBE_INCONCLUSIVE])
		explain_inconclusive(cli, rows);
	if (counts->state[PROBE_UNTESTED])
		strbuf_append_text(out, "untested: nothing was sent there.\n");
}

static void append_summary(struct strbuf *out, const struct probe_counts *counts)
{
	const char *before = ": ";

	output_count(out, counts->rows, "host");
	for (int state = PROBE_ANSWERS; state >= PROBE_UNTESTED; state--) {
		if (counts->state[state] == 0)
			continue;
		strbuf_printf(out, "%s%zu %s", before, counts->state[state], state_words[state]);
		before = ", ";
	}
	strbuf_append_text(out, ".\n");
}

void probe_report_text(struct cli *cli, const struct probe_row *rows, bool interrupted)
{
	struct probe_counts counts = probe_report_count(rows);
	struct grid grid;

	output_style(&cli->out, cli->colour, STYLE_BOLD);
	append_summary(&cli->out, &counts);
	output_style(&cli->out, cli->colour, STYLE_PLAIN);
	if (interrupted)
		strbuf_append_text(&cli->out, "It was ended before all were asked.\n");
	strbuf_append_char(&cli->out, '\n');
	grid_init(&grid, "HOST|ADDRESS|RESULT|>TIME|WHAT CAME");
	for (const struct probe_row *row = rows; row; row = row->next)
		append_row(&grid, row);
	grid_print(&grid, &cli->out, 0, cli->colour);
	grid_deinit(&grid);
	explain(cli, rows, &counts);
}

/* --- for programs --- */

static void json_address(struct strbuf *out, const char *key, const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];

	strbuf_json_text(out, key, address->family ? address_to_text(address, text) : NULL);
}

/* null where there is none. */
static void json_endpoint(struct strbuf *out, const char *key, const struct endpoint *endpoint)
{
	strbuf_json_key(out, key);
	if (endpoint->address.family == ADDRESS_NONE) {
		strbuf_append_text(out, "null");
		return;
	}
	strbuf_append_char(out, '{');
	json_address(out, "address", &endpoint->address);
	strbuf_json_u64(out, "port", endpoint->port);
	strbuf_append_char(out, '}');
}

static void json_answer(struct strbuf *out, const struct probe_target *target)
{
	const struct teredo_answer *answer = &target->answer;
	struct tunnel inside = tunnel_decode(&answer->prefix.address);

	strbuf_json_u64(out, "rtt_us", (uint64_t)target->round_trip_us);
	strbuf_json_key(out, "prefix");
	strbuf_append_char(out, '"');
	append_prefix(out, &answer->prefix);
	strbuf_append_char(out, '"');
	json_address(out, "server", &inside.server);
	json_endpoint(out, "origin", &answer->origin);
	json_endpoint(out, "from", &target->from);
	json_endpoint(out, "second", &target->second);
	strbuf_json_bool(out, "cone_answered", target->cone_answered);
	json_address(out, "router", &answer->router);
	strbuf_json_u64(out, "mtu", answer->mtu);
	strbuf_json_bool(out, "late", target->late);
}

static void json_icmp(struct strbuf *out, const struct probe_target *target)
{
	strbuf_json_key(out, "icmp");
	strbuf_append_char(out, '{');
	strbuf_json_u64(out, "type", target->icmp_type);
	strbuf_json_u64(out, "code", target->icmp_code);
	json_address(out, "from", &target->icmp_from);
	strbuf_append_char(out, '}');
}

static void json_source(struct strbuf *out, const struct probe_target *target)
{
	struct address source = {.family = ADDRESS_NONE};

	bool known = probe_source(&target->endpoint, &source);
	json_address(out, "source", &source);
	strbuf_json_bool(out, "source_ignored", known && teredo_source_is_dropped(&source));
}

static void json_target(struct strbuf *out, const struct probe_target *target)
{
	json_address(out, "address", &target->endpoint.address);
	strbuf_json_u64(out, "packets", target->sent);
	if (target->state == PROBE_ANSWERS)
		json_answer(out, target);
	if (target->icmp_told && target->state != PROBE_ANSWERS)
		json_icmp(out, target);
	if (target->invalid) {
		strbuf_json_u64(out, "invalid", target->invalid);
		strbuf_json_text(out, "fault", teredo_fault_words(target->fault));
	}
	if (target->state == PROBE_INCONCLUSIVE)
		json_source(out, target);
}

static void json_row(struct strbuf *out, const struct probe_row *row)
{
	struct strbuf words;

	strbuf_init(&words);
	append_words(&words, row);
	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "host", row->host->name);
	strbuf_json_u64(out, "port", row->host->port);
	if (row->host->file)
		strbuf_json_u64(out, "line", row->host->line);
	strbuf_json_text(out, "state", state_words[state_of(row)]);
	strbuf_json_text(out, "reason", reason_of(row));
	strbuf_json_text(out, "words", words.failed ? NULL : words.data);
	if (row->target)
		json_target(out, row->target);
	strbuf_append_char(out, '}');
	strbuf_deinit(&words);
}

void probe_report_json(struct cli *cli, const struct probe_row *rows, bool interrupted)
{
	struct probe_counts counts = probe_report_count(rows);
	struct strbuf *out = &cli->out;

	strbuf_append_char(out, '{');
	output_json_time(out, "at", cli->now_ms);
	strbuf_json_bool(out, "interrupted", interrupted);
	strbuf_json_key(out, "summary");
	strbuf_append_char(out, '{');
	strbuf_json_u64(out, "hosts", counts.rows);
	for (int state = PROBE_ANSWERS; state >= PROBE_UNTESTED; state--)
		strbuf_json_u64(out, state_words[state], counts.state[state]);
	strbuf_append_text(out, "}");
	strbuf_json_key(out, "hosts");
	strbuf_append_char(out, '[');
	for (const struct probe_row *row = rows; row; row = row->next)
		json_row(out, row);
	strbuf_append_text(out, "]}\n");
}
