/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * filterlog of pfSense and OPNsense: pf's decisions as comma-separated values behind a syslog
 * header. The fields up to the IP version are common, then IPv4 and IPv6 each have their own
 * before length, source and destination.
 */
#include "resolver/control/ingest/log_private.h"

enum {
	FIELD_ACTION = 6,
	FIELD_VERSION = 8,
	FIELD_V4_PROTOCOL = 15,
	FIELD_V4_SOURCE = 18,
	FIELD_V6_PROTOCOL = 13,
	FIELD_V6_SOURCE = 15,
	FIELDS_MAX = 22
};

static unsigned score(struct span line)
{
	return span_has(line, "filterlog") ? 3 : 0;
}

/* The first word that begins with a number and a comma: tags, process ids and RFC 5424's
 * structured data stand before it. */
static bool find_values(struct span *line)
{
	if (!span_seek(line, "filterlog"))
		return false;
	while (!span_empty(*line)) {
		struct span before = *line, word = span_word(line);
		uint64_t rule;
		if (span_take_number(&word, UINT32_MAX, &rule) && span_first(word) == ',') {
			*line = before;
			span_skip_spaces(line);
			return true;
		}
	}
	return false;
}

static enum log_result read_packet(const struct span *fields, size_t count, struct log_entry *out)
{
	bool v6 = span_is(fields[FIELD_VERSION], "6");
	size_t source = v6 ? FIELD_V6_SOURCE : FIELD_V4_SOURCE;
	if (count <= source + 1 || (!v6 && !span_is(fields[FIELD_VERSION], "4")))
		return LOG_UNREADABLE;
	/* IPv6 has the number behind the name, as "UDP,17"; IPv4 before it, as "17,udp". */
	out->protocol = log_protocol(fields[v6 ? FIELD_V6_PROTOCOL : FIELD_V4_PROTOCOL]);
	if (!log_take_address(fields[source], &out->source) ||
		!log_take_address(fields[source + 1], &out->destination))
		return LOG_UNREADABLE;
	bool has_ports = out->protocol == 6 || out->protocol == 17;
	if (has_ports && count > source + 3)
		out->port = log_port(fields[source + 3]);
	return LOG_USED;
}

static enum log_result read(struct log_context *context, struct span line, struct log_entry *out)
{
	struct span fields[FIELDS_MAX];
	size_t count = 0;
	int64_t at_ms;
	bool rfc5424;
	if (!span_has(line, "filterlog"))
		return log_take_stamp(&context->clock, &line, &at_ms, &rfc5424) ? LOG_SKIPPED
										: LOG_UNREADABLE;
	if (!log_take_stamp(&context->clock, &line, &at_ms, &rfc5424) || !find_values(&line))
		return LOG_UNREADABLE;
	while (count < FIELDS_MAX && !span_empty(line))
		fields[count++] = span_until(&line, ',');
	if (count <= FIELD_VERSION)
		return LOG_UNREADABLE;
	bool pass = span_is(fields[FIELD_ACTION], "pass");
	if (!pass && !span_is(fields[FIELD_ACTION], "block") &&
		!span_is(fields[FIELD_ACTION], "reject"))
		return LOG_SKIPPED; /* nat, rdr, scrub: the decision is another line's */
	log_entry_clear(out, pass ? LOG_PASS : LOG_DROP);
	out->at_ms = at_ms;
	return read_packet(fields, count, out);
}

const struct log_format log_pf = {
	.name = "pf",
	.summary = "filterlog of pfSense and OPNsense",
	.score = score,
	.read = read,
};
