/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conn.log of Zeek as JSON, one flat object a line. Read by a cursor: a JSON library builds a tree
 * with an allocation for each of the 20 members, which takes longer than a line may. Members that
 * are not of interest, and values inside values, are stepped over; an escape is never undone,
 * because no key, address or number of ours has one.
 */
#include "resolver/control/ingest/log_private.h"

static unsigned score(struct span line)
{
	return span_first(line) == '{' && span_has(line, "\"id.orig_h\"") &&
			       span_has(line, "\"conn_state\"")
		       ? 10
		       : 0;
}

static void skip_blanks(struct span *line)
{
	while (!span_empty(*line) && (*line->at == ' ' || *line->at == '\t' || *line->at == '\r'))
		line->at++;
}

/* A string behind its quote, as it stands. */
static bool take_string(struct span *line, struct span *out)
{
	const char *at = line->at;
	while (at < line->end && *at != '"')
		at += *at == '\\' && at + 1 < line->end ? 2 : 1;
	if (at >= line->end)
		return false;
	*out = (struct span){line->at, at};
	line->at = at + 1;
	return true;
}

/* Steps over an array or object. */
static bool skip_nested(struct span *line)
{
	unsigned depth = 0;
	struct span ignored;
	while (!span_empty(*line)) {
		char c = *line->at++;
		if (c == '"' && !take_string(line, &ignored))
			return false;
		if (c == '[' || c == '{')
			depth++;
		if ((c == ']' || c == '}') && --depth == 0)
			return true;
	}
	return false;
}

/* A string without its quotes, a number or word as it stands, nothing for what is nested. */
static bool take_value(struct span *line, struct span *out)
{
	skip_blanks(line);
	*out = (struct span){line->at, line->at};
	if (span_take(line, "\""))
		return take_string(line, out);
	if (span_first(*line) == '[' || span_first(*line) == '{')
		return skip_nested(line);
	while (!span_empty(*line) && *line->at != ',' && *line->at != '}' && *line->at != ' ')
		line->at++;
	out->end = line->at;
	return !span_empty(*out);
}

static bool set_time(struct log_clock *clock, struct span value, struct log_entry *out, bool *timed)
{
	*timed = log_take_time(clock, value, &out->at_ms);
	return *timed;
}

static void set_protocol(struct span value, bool number, struct log_entry *out)
{
	uint8_t protocol = log_protocol(value);
	if (protocol && (number || out->protocol == 0))
		out->protocol = protocol;
}

static bool set_member(struct log_clock *clock, struct span key, struct span value,
	struct log_entry *out, bool *timed)
{
	uint64_t count;
	if (span_is(key, "ts"))
		return set_time(clock, value, out, timed);
	if (span_is(key, "id.orig_h"))
		return log_take_address(value, &out->source);
	if (span_is(key, "id.resp_h"))
		return log_take_address(value, &out->destination);
	if (span_is(key, "id.resp_p"))
		out->port = log_port(value);
	else if (span_is(key, "proto"))
		set_protocol(value, false, out);
	else if (span_is(key, "ip_proto"))
		set_protocol(value, true, out);
	else if (span_is(key, "orig_pkts") && span_number(value, UINT32_MAX, &count) && count)
		out->count = count;
	return true;
}

static bool take_member(
	struct log_clock *clock, struct span *line, struct log_entry *out, bool *timed)
{
	struct span key, value;
	skip_blanks(line);
	if (!span_take(line, "\"") || !take_string(line, &key))
		return false;
	skip_blanks(line);
	if (!span_take(line, ":") || !take_value(line, &value))
		return false;
	skip_blanks(line);
	return set_member(clock, key, value, out, timed);
}

static enum log_result read(struct log_context *context, struct span line, struct log_entry *out)
{
	bool timed = false;
	skip_blanks(&line);
	if (!span_take(&line, "{"))
		return LOG_UNREADABLE;
	log_entry_clear(out, LOG_PASS);
	do {
		if (!take_member(&context->clock, &line, out, &timed))
			return LOG_UNREADABLE;
	} while (span_take(&line, ","));
	if (!span_take(&line, "}") || !timed)
		return LOG_UNREADABLE;
	if (out->source.family == ADDRESS_NONE || out->destination.family == ADDRESS_NONE)
		return LOG_SKIPPED; /* another log of Zeek */
	if (out->protocol != 6 && out->protocol != 17 && out->protocol != 132)
		out->port = 0; /* of ICMP it is the code */
	return LOG_USED;
}

const struct log_format log_zeek_json = {
	.name = "zeek-json",
	.summary = "conn.log of Zeek as JSON",
	.score = score,
	.read = read,
};
