/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown who ADDRESS|NAME|CLIENT`: who asked, what was told, since when. Everything about
 * addresses comes from pairs (address, client, question) as they were recorded; clients and names
 * of an address are never listed apart and multiplied. A pair that is possible is looked up, and
 * shown only if it exists.
 *
 * An address can be a client as well as something that clients were told; both views are shown
 * then.
 */
#include <string.h>

#include "resolver/control/known.h"
#include "resolver/control/who.h"

#define ROWS_PEOPLE 50 /* rows of a table, unless -n says otherwise */

static bool classify(struct who *who, const char *word)
{
	struct name name;

	who->word = word;
	if (address_from_text(&who->address, word)) {
		address_to_text(&who->address, who->address_words);
		return true;
	}
	who->address = (struct address){.family = 0};
	if (name_from_text(&name, word, strlen(word)) != TD_OK)
		return false;
	name_fold(name.wire, name.wire, name.length);
	name_to_text(name.wire, who->name);
	return true;
}

/* As many hours as the daemon keeps, up to the present one. Another resolver may keep more. */
static void set_hours(struct who *who)
{
	size_t days = who->cli->options->retention_days;
	int64_t now = who->cli->now_ms / INT64_C(3600000);

	who->hours.count = (days < 8 ? 8 : days) * 24 + 1;
	if (who->hours.count > READER_HOURS_MAX)
		who->hours.count = READER_HOURS_MAX;
	if ((int64_t)who->hours.count > now)
		who->hours.count = now > 0 ? (size_t)now : 1;
	who->hours.first = now + 1 - (int64_t)who->hours.count;
}

/* An object a view: {"query":…,"views":[{"kind":"client",…},{"kind":"address",…}]}; each opens with
 * its kind. */
static void open_view(struct who *who, const char *kind)
{
	if (!who->cli->json)
		return;
	output_json_next(&who->cli->out);
	strbuf_append_char(&who->cli->out, '{');
	strbuf_json_text(&who->cli->out, "kind", kind);
}

static void close_view(struct who *who)
{
	if (who->cli->json)
		strbuf_append_char(&who->cli->out, '}');
}

/* The view that the word can have besides being a client. */
static enum td_error show_other(struct who *who, bool *found)
{
	bool address = who->address.family != 0;

	open_view(who, address ? "address" : "name");
	enum td_error error = address ? who_show_address(who, found) : who_show_name(who, found);
	close_view(who);
	return error;
}

/* A client that is no address (behind a forwarder that names it) is looked for under the word as it
 * was given. */
static enum td_error show_views(struct who *who, bool *found)
{
	const char *client = who->address.family ? who->address_words : who->word;
	struct strbuf *out = &who->cli->out;
	struct reader_fields fields;
	bool is_client = false;

	enum td_error error = fleet_client(who->fleet, &who->cli->arena, client, &fields);
	bool known = fields.count > 0;
	if (error == TD_OK && !known)
		error = who_find_in_logs(who, client, &known);
	if (error == TD_OK && known) {
		open_view(who, "client");
		error = who_show_client(who, client, &is_client);
		close_view(who);
	}
	*found = is_client;
	if (error != TD_OK)
		return error;
	size_t before = out->length;
	bool other = false;
	if (is_client && !who->cli->json)
		strbuf_append_char(out, '\n');
	error = show_other(who, &other);
	/* A client need not hear that nobody was told its address. */
	if (error == TD_OK && is_client && !other && before < out->length) {
		out->length = before;
		out->data[before] = '\0';
	}
	*found = is_client || other;
	return error;
}

static int answer(struct who *who)
{
	struct strbuf *out = &who->cli->out;
	bool found = false;

	enum td_error error = cli_coverage(who->cli, who->fleet, &who->coverage);
	if (who->cli->json) {
		strbuf_append_char(out, '{');
		strbuf_json_text(
			out, "query", who->address.family ? who->address_words : who->name);
		output_json_time(out, "recording_since", who->coverage.since_ms);
		strbuf_json_u64(out, "dropped", who->coverage.dropped);
		strbuf_json_key(out, "views");
		strbuf_append_char(out, '[');
	}
	if (error == TD_OK)
		error = show_views(who, &found);
	if (error != TD_OK) {
		strbuf_clear(out);
		return cli_fleet_failed(who->cli, who->fleet);
	}
	if (who->cli->json) {
		strbuf_append_char(out, ']');
		cli_fleet_json(who->fleet, out);
		strbuf_json_bool(out, "found", found);
		strbuf_append_text(out, "}\n");
	}
	return found ? CLI_OK : CLI_NOTHING;
}

static int who_run(struct cli *cli, int count, char **words)
{
	struct who who = {.cli = cli};

	if (count != 1)
		return cli_usage(cli, &command_who, "needs one address, name or client");
	if (!cli_number(cli, CLI_LINES, cli->json ? READER_ROWS_MAX : ROWS_PEOPLE, READER_ROWS_MAX,
		    &who.limit))
		return CLI_USAGE;
	if (!classify(&who, words[0]))
		return cli_usage(cli, &command_who, "this is neither an address nor a name");
	who.fleet = cli_fleet(cli);
	if (!who.fleet) {
		if (who.address.family && !cli->json)
			known_describe(&who.address, true, &cli->out);
		return CLI_ERROR;
	}
	set_hours(&who);
	int code = cli_fleet_code(cli, who.fleet, answer(&who));
	cli_fleet_close(cli, &who.fleet);
	return code;
}

const struct command command_who = {
	.name = "who",
	.arguments = "ADDRESS|NAME|CLIENT",
	.summary = "who asked, what they were told, since when",
	.help = "For an address: the clients that were told it, by which names, first, last and "
		"how often. For a name: who\n"
		"asked it and which addresses each was told. For a client: its counters, names, "
		"addresses and tunnel names.\n"
		"The first paragraph says it in plain words; what logs say that were read by "
		"`teredown ingest`, which rule\n"
		"applies now, and what is known of the hosts stands below.\n"
		"A client, a name and an address stand in one row only if that client was told "
		"that address for that name. With --fleet all resolvers of this Redis are "
		"asked, and each row names its resolver.\n\n"
		"Examples:\n"
		"  teredown who 65.55.158.118\n"
		"  teredown who teredo.ipv6.microsoft.com\n"
		"  teredown who 192.168.1.40 -n 200\n"
		"  teredown who 65.55.158.118 --json | jq '.views[0].logs.drops_per_lookup'\n"
		"  teredown who 65.55.158.118 --json | jq -r '.views[].pairs[] | [.client, .name, "
		".count] | @tsv'",
	.takes = 1u << CLI_LINES | CLI_READS,
	.run = who_run,
};
