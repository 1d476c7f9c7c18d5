/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The query log of dnsmasq, and of Pi-hole, whose FTL is one: "query[A] NAME from CLIENT", "reply
 * NAME is ADDRESS" and relatives. A plain reply does not say to which question it belongs, still
 * less which client was told; lines of simultaneous queries mix. With log-queries=extra each line
 * has a serial number and the client in front, and then it is certain. Nothing is guessed here.
 *
 * dnsmasq writes names as they came, spaces too, so a hostile name can look like more words. A
 * query's line is clear all the same, as its last word is the client; a reply's line counts only if
 * it has exactly the words it should have.
 */
#include "resolver/control/ingest/log_private.h"

static unsigned score(struct span line)
{
	return span_has(line, "dnsmasq[") ? 2 : 0;
}

/* "5 192.0.2.7/53124 ", which log-queries=extra puts first ("*" where there is no serial). False:
 * it is not there. */
static bool take_extra(struct span *line, struct log_entry *out)
{
	struct span at = *line, serial = span_word(&at), client = span_word(&at);
	uint64_t number = 0;
	if (!span_is(serial, "*") && !span_number(serial, UINT32_MAX, &number))
		return false;
	struct span port = client, address = span_until(&port, '/');
	if (!log_take_address(address, &out->source)) {
		out->serial = (uint32_t)number;
		span_word(line);
		return false;
	}
	out->serial = (uint32_t)number;
	*line = at;
	return true;
}

/* "NAME from CLIENT". The client is the last word, so a name may have any. */
static enum log_result read_query(struct span line, struct log_entry *out)
{
	static const char from[] = " from";
	size_t length = sizeof(from) - 1;
	line = span_trim(line);
	const char *space = span_empty(line) ? NULL : memrchr(line.at, ' ', span_length(line));
	struct span name = {line.at, space ? space : line.at};
	out->kind = LOG_DNS_QUERY;
	if (span_length(name) <= length || memcmp(name.end - length, from, length) != 0 ||
		!log_take_address((struct span){space + 1, line.end}, &out->source))
		return LOG_UNREADABLE;
	name.end -= length;
	return log_take_name(name, out->name) ? LOG_USED : LOG_UNREADABLE;
}

static bool is_unspecified(const struct address *address)
{
	static const uint8_t zeros[sizeof(address->octets)];
	return memcmp(address->octets, zeros, sizeof(zeros)) == 0;
}

/* "NAME is ADDRESS"; other answers (<CNAME>, NODATA, NXDOMAIN, texts) are of no interest. */
static enum log_result read_reply(struct span line, bool extra, struct log_entry *out)
{
	struct span name = span_word(&line), is = span_word(&line);
	struct span value = span_word(&line);
	out->kind = LOG_DNS_REPLY;
	out->certain = extra;
	line = span_trim(line);
	if (!span_is(is, "is") || !(span_empty(line) || span_is(line, "(DNSSEC signed)")) ||
		!log_take_address(value, &out->destination) || is_unspecified(&out->destination))
		return LOG_SKIPPED;
	return log_take_name(name, out->name) ? LOG_USED : LOG_UNREADABLE;
}

static bool is_reply(struct span word)
{
	return span_is(word, "reply") || span_is(word, "cached") || span_is(word, "cached-stale") ||
	       span_is(word, "config") || span_is(word, "DHCP") || span_first(word) == '/';
}

static enum log_result read(struct log_context *context, struct span line, struct log_entry *out)
{
	int64_t at_ms;
	bool rfc5424;
	if (!log_take_stamp(&context->clock, &line, &at_ms, &rfc5424))
		return LOG_UNREADABLE;
	struct span tag = log_take_tag(&line, rfc5424);
	if (!span_starts(tag, "dnsmasq") || span_starts(tag, "dnsmasq-"))
		return LOG_SKIPPED; /* dnsmasq-dhcp, dnsmasq-tftp, others */
	log_entry_clear(out, LOG_DNS_QUERY);
	out->at_ms = at_ms;
	bool extra = take_extra(&line, out);
	struct span word = span_word(&line);
	if (span_starts(word, "query[") || span_starts(word, "auth["))
		return read_query(line, out);
	return is_reply(word) ? read_reply(line, extra, out) : LOG_SKIPPED;
}

const struct log_format log_dnsmasq = {
	.name = "dnsmasq",
	.summary = "query log of dnsmasq and Pi-hole (log-queries, log-queries=extra)",
	.score = score,
	.read = read,
};
