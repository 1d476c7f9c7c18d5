/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Squid's own access log, and the combined (or common) log that Apache, nginx and Squid write. A
 * request is of interest when it names a host: in an absolute URL, in CONNECT, or as the virtual
 * host in front of the line; a web server's line with a path alone says nothing of where it was
 * going.
 *
 * Squid's peer is where the request went only when it went there directly; else it is another
 * proxy.
 */
#include "resolver/control/ingest/log_private.h"

/* "1795325310.123", Squid's time. */
static bool is_squid_time(struct span word)
{
	uint64_t seconds;
	int milliseconds;
	return span_take_number(&word, UINT32_MAX, &seconds) && span_take(&word, ".") &&
	       span_take_digits(&word, 3, &milliseconds) && span_empty(word);
}

static unsigned score_squid(struct span line)
{
	uint64_t elapsed;
	struct address client;
	return is_squid_time(span_word(&line)) &&
			       span_number(span_word(&line), UINT32_MAX, &elapsed) &&
			       log_take_address(span_word(&line), &client) &&
			       span_has(span_word(&line), "/")
		       ? 2
		       : 0;
}

/* "HIER_DIRECT/65.55.158.118". */
static void take_peer(struct span word, struct log_entry *out)
{
	struct span code = span_until(&word, '/');
	if (span_is(code, "HIER_DIRECT") || span_is(code, "DIRECT") ||
		span_is(code, "ORIGINAL_DST") || span_is(code, "PINNED"))
		log_take_address(word, &out->destination);
}

static enum log_result read_squid(
	struct log_context *context, struct span line, struct log_entry *out)
{
	int64_t at_ms;
	bool rfc5424;
	if (!is_digit(span_first(line))) { /* through syslog */
		if (!log_take_stamp(&context->clock, &line, &at_ms, &rfc5424))
			return LOG_UNREADABLE;
		log_take_tag(&line, rfc5424);
	}
	log_entry_clear(out, LOG_PROXY);
	if (!log_take_epoch(span_word(&line), &out->at_ms))
		return LOG_UNREADABLE;
	span_word(&line); /* elapsed */
	if (!log_take_address(span_word(&line), &out->source))
		return LOG_UNREADABLE;
	span_word(&line); /* code/status */
	span_word(&line); /* octets */
	span_word(&line); /* method */
	struct span url = span_word(&line);
	span_word(&line); /* user */
	take_peer(span_word(&line), out);
	if (span_empty(url))
		return LOG_UNREADABLE;
	out->protocol = 6;
	log_take_host(url, out);
	return out->name[0] || out->destination.family ? LOG_USED : LOG_SKIPPED;
}

const struct log_format log_squid = {
	.name = "squid",
	.summary = "access log of Squid, its own form",
	.score = score_squid,
	.read = read_squid,
};

/* --- combined --- */

/* "22/Nov/2026:05:28:30 +0100". */
static bool take_time(struct log_clock *clock, struct span text, int64_t *out_ms)
{
	struct log_civil civil;
	if (!span_take_digits(&text, 2, &civil.day) || !span_take(&text, "/"))
		return false;
	civil.month = log_take_month(&text);
	if (!civil.month || !span_take(&text, "/") || !span_take_digits(&text, 4, &civil.year) ||
		!span_take(&text, ":") || !log_take_clock(&text, &civil))
		return false;
	span_take(&text, " ");
	log_take_zone(&text, &civil);
	return span_empty(text) && log_time_resolve(clock, &civil, out_ms);
}

/* Between the brackets; leaves the line behind them. */
static bool take_bracket(struct span *line, struct span *out)
{
	if (!span_seek(line, "["))
		return false;
	*out = span_until(line, ']');
	return true;
}

static unsigned score_combined(struct span line)
{
	struct log_clock clock = {.quarter = -1};
	struct span time;
	int64_t at_ms;
	return take_bracket(&line, &time) && take_time(&clock, time, &at_ms) &&
			       span_starts(line, " \"")
		       ? 2
		       : 0;
}

/* "client …", or "host:443 client …". */
static bool take_client(struct span line, struct log_entry *out)
{
	struct span first = span_word(&line);
	if (log_take_address(first, &out->source))
		return true;
	if (!log_take_address(span_word(&line), &out->source))
		return false;
	log_take_host(first, out);
	return true;
}

/* "GET http://host/ HTTP/1.1", "CONNECT host:443 HTTP/1.1"; of a path alone the host stays what the
 * line began with. */
static void take_request(struct span request, struct log_entry *out)
{
	struct span method = span_word(&request), url = span_word(&request);
	if (span_has(url, "://") || span_is(method, "CONNECT")) {
		out->name[0] = '\0';
		out->port = 0;
		log_take_host(url, out);
	}
}

static enum log_result read_combined(
	struct log_context *context, struct span line, struct log_entry *out)
{
	struct span rest = line, time;
	log_entry_clear(out, LOG_PROXY);
	if (!take_bracket(&rest, &time) || !take_time(&context->clock, time, &out->at_ms) ||
		!span_seek(&rest, "\""))
		return LOG_UNREADABLE;
	if (!take_client(line, out))
		return LOG_SKIPPED; /* clients as names: HostnameLookups */
	out->protocol = 6;
	take_request(span_until(&rest, '"'), out);
	return out->name[0] || out->destination.family ? LOG_USED : LOG_SKIPPED;
}

const struct log_format log_combined = {
	.name = "combined",
	.summary = "combined or common log of Squid, Apache, nginx",
	.score = score_combined,
	.read = read_combined,
};
