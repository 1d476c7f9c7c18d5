/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of the kernel's LOG target: iptables, nftables, ufw, firewalld, Shorewall, OpenWrt, VyOS,
 * and ulogd's LOGEMU, which writes the same. The target is put beside a rule and does not say what
 * became of the packet; the prefix, free text of the administrator, nearly always does. Where it
 * does not, the context says what such lines are (log_context.unmarked).
 *
 * An ICMP error shows the packet that it is about in brackets, with addresses of its own; reading
 * stops there.
 */
#include "resolver/control/ingest/log_private.h"

static bool is_packet(struct span line)
{
	struct span at = line;
	return span_seek(&at, "IN=") && span_seek(&at, " SRC=") && span_seek(&at, " DST=");
}

static unsigned score(struct span line)
{
	return is_packet(line) ? 2 : 0;
}

/* What the administrator wrote, and perhaps a tag: between the host and "IN=", which *line is left
 * at. */
static struct span take_prefix(struct span *line, bool has_host)
{
	struct span prefix = *line, inner;
	if (!span_seek(line, "IN="))
		return (struct span){line->at, line->at};
	prefix.end = line->at - 3;
	inner = prefix;
	if (span_seek(&inner, "kernel: "))
		return inner;
	inner = prefix;
	struct span host = span_word(&inner);
	if (has_host && !span_empty(host) && host.end[-1] != ':')
		return inner;
	return prefix;
}

/* One "KEY=value" word. False at the end of what is of interest. */
static bool take_pair(struct span word, struct log_entry *out, bool *bad)
{
	struct span value = word;
	struct span key = span_until(&value, '=');
	if (span_first(key) == '[' && span_is(key, "[SRC"))
		return false;
	if (span_is(key, "SRC"))
		*bad |= !log_take_address(value, &out->source);
	else if (span_is(key, "DST"))
		*bad |= !log_take_address(value, &out->destination);
	else if (span_is(key, "PROTO"))
		out->protocol = log_protocol(value);
	else if (span_is(key, "DPT"))
		out->port = log_port(value);
	return true;
}

static enum log_result read(struct log_context *context, struct span line, struct log_entry *out)
{
	int64_t at_ms;
	bool rfc5424, bad = false, has_host = span_first(line) != '[';
	if (!log_take_stamp(&context->clock, &line, &at_ms, &rfc5424))
		return LOG_UNREADABLE;
	if (rfc5424) {
		log_take_tag(&line, true);
		has_host = false;
	}
	struct span prefix = take_prefix(&line, has_host);
	if (!span_has(line, " SRC="))
		return LOG_SKIPPED;
	enum log_verdict verdict = log_verdict(prefix);
	log_entry_clear(out, verdict == VERDICT_NONE   ? context->unmarked
			     : verdict == VERDICT_DROP ? LOG_DROP
						       : LOG_PASS);
	out->at_ms = at_ms;
	while (!span_empty(line) && take_pair(span_word(&line), out, &bad))
		;
	if (bad || out->source.family == ADDRESS_NONE || out->destination.family == ADDRESS_NONE)
		return LOG_UNREADABLE;
	return verdict == VERDICT_NEITHER ? LOG_SKIPPED : LOG_USED;
}

const struct log_format log_netfilter = {
	.name = "netfilter",
	.summary = "LOG lines of iptables, nftables, ufw, firewalld",
	.score = score,
	.read = read,
};
