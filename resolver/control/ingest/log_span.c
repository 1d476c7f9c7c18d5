/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts that many log formats have: numbers, addresses, protocols, names, hosts of URLs and the
 * words of rules. Reading is by cursors over the line and copies nothing but what ends in an entry:
 * regular expressions took more than the time that a line has (about a microsecond), and inet_pton
 * needs a copy with a NUL, so IPv4 is read here and only IPv6 goes there.
 */
#include "resolver/control/ingest/log_private.h"

#include <stdlib.h>

bool span_is_folded(struct span span, const char *text)
{
	for (; *text; text++, span.at++) {
		if (fold(span_first(span)) != (unsigned char)*text)
			return false;
	}
	return span_empty(span);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

struct span span_trim(struct span span)
{
	while (!span_empty(span) && is_blank(*span.at))
		span.at++;
	while (!span_empty(span) && is_blank(span.end[-1]))
		span.end--;
	return span;
}

bool span_take_number(struct span *span, uint64_t most, uint64_t *out)
{
	const char *at = span->at;
	uint64_t value = 0;
	for (; at < span->end && is_digit((unsigned char)*at); at++) {
		unsigned digit = (unsigned)(*at - '0');
		if (value > (most - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (at == span->at)
		return false;
	span->at = at;
	*out = value;
	return true;
}

bool span_take_digits(struct span *span, unsigned count, int *out)
{
	int value = 0;
	if (span_length(*span) < count)
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (!is_digit((unsigned char)span->at[i]))
			return false;
		value = value * 10 + (span->at[i] - '0');
	}
	span->at += count;
	*out = value;
	return true;
}

bool span_number(struct span span, uint64_t most, uint64_t *out)
{
	return span_take_number(&span, most, out) && span_empty(span);
}

/* --- addresses and ports --- */

/* Dotted decimal without zeros in front, as inet_pton takes it. */
static bool take_v4(struct span span, struct address *out)
{
	uint8_t octets[4];
	for (unsigned i = 0; i < 4; i++) {
		unsigned value = 0, digits = 0;
		for (; digits < 3 && is_digit(span_first(span)); digits++)
			value = value * 10 + (unsigned)(*span.at++ - '0');
		if (digits == 0 || value > 255 || (digits > 1 && span.at[-(int)digits] == '0'))
			return false;
		octets[i] = (uint8_t)value;
		if (i < 3 && !span_take(&span, "."))
			return false;
	}
	if (!span_empty(span))
		return false;
	*out = address_v4(octets);
	return true;
}

static bool take_v6(struct span span, struct address *out)
{
	char text[ADDRESS_TEXT_MAX];
	if (span_first(span) == '[' && span.end[-1] == ']') {
		span.at++;
		span.end--;
	}
	span = span_until(&span, '%');
	size_t length = span_length(span);
	if (length < 2 || length >= sizeof(text) || !memchr(span.at, ':', length))
		return false;
	memcpy(text, span.at, length);
	text[length] = '\0';
	if (strlen(text) != length || !address_from_text(out, text))
		return false;
	*out = address_v6_unmapped(out->octets);
	return true;
}

bool log_take_address(struct span span, struct address *out)
{
	return take_v4(span, out) || take_v6(span, out);
}

uint16_t log_port(struct span span)
{
	uint64_t port;
	return span_number(span, UINT16_MAX, &port) ? (uint16_t)port : 0;
}

uint8_t log_protocol(struct span span)
{
	static const struct {
		const char *name;
		uint8_t number;
	} names[] = {{"udp", 17}, {"tcp", 6}, {"icmp", 1}, {"ipv6", 41}, {"icmpv6", 58},
		{"ipv6-icmp", 58}, {"icmp6", 58}, {"gre", 47}, {"esp", 50}, {"ah", 51}, {"igmp", 2},
		{"ipip", 4}, {"ipencap", 4}, {"ipinip", 4}, {"sctp", 132}, {"udplite", 136},
		{"6in4", 41}, {"ospf", 89}, {"pim", 103}, {"carp", 112}, {"vrrp", 112}};
	uint64_t number;
	if (is_digit(span_first(span)) && span_number(span, UINT8_MAX, &number))
		return (uint8_t)number;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (span_is_folded(span, names[i].name))
			return names[i].number;
	}
	return 0;
}

/* --- names --- */

/* A name that needs no escape, the usual one, straight into out. */
static bool take_plain_name(struct span span, char *out)
{
	size_t length = span_length(span), label = 0;
	if (length == 0 || length > NAME_WIRE_MAX - 2)
		return false;
	for (size_t i = 0; i < length; i++) {
		unsigned char c = fold((unsigned char)span.at[i]);
		bool dot = c == '.';
		if (dot ? label == 0
			: ++label > NAME_LABEL_MAX || !((c >= 'a' && c <= 'z') || is_digit(c) ||
							      c == '-' || c == '_'))
			return false;
		if (dot)
			label = 0;
		out[i] = (char)c;
	}
	if (label)
		out[length++] = '.';
	out[length] = '\0';
	return true;
}

bool log_take_name(struct span span, char *out)
{
	struct name name;
	if (take_plain_name(span, out))
		return true;
	out[0] = '\0';
	if (name_from_text(&name, span.at, span_length(span)) != TD_OK)
		return false;
	name_fold(name.wire, name.wire, name.length);
	name_to_text(name.wire, out);
	return true;
}

/* Behind "scheme://", with the scheme's port. */
static uint16_t take_scheme(struct span *url)
{
	struct span rest = *url;
	if (!span_seek(&rest, "://"))
		return 0;
	struct span scheme = {url->at, rest.at - 3};
	*url = rest;
	if (span_is_folded(scheme, "http") || span_is_folded(scheme, "ws"))
		return 80;
	if (span_is_folded(scheme, "https") || span_is_folded(scheme, "wss"))
		return 443;
	return span_is_folded(scheme, "ftp") ? 21 : 0;
}

/* Up to the path; without "user:password@". */
static struct span take_authority(struct span url)
{
	const char *end = url.at;
	while (end < url.end && *end != '/' && *end != '?' && *end != '#' && *end != ' ')
		end++;
	url.end = end;
	const char *at = span_empty(url) ? NULL : memrchr(url.at, '@', span_length(url));
	if (at)
		url.at = at + 1;
	return url;
}

bool log_take_host(struct span url, struct log_entry *out)
{
	uint16_t port = take_scheme(&url);
	struct span host = take_authority(url), tail = host;
	struct address address;
	if (span_first(host) == '[') {
		host = span_until(&tail, ']');
		host.at++;
		span_take(&tail, ":");
	} else if (!log_take_address(host, &address)) {
		host = span_until(&tail, ':');
	} else {
		tail.at = tail.end;
	}
	if (!span_empty(tail) && !log_port(tail))
		return false; /* "error:invalid-request", "urn:…" */
	if (!span_empty(tail))
		port = log_port(tail);
	if (port)
		out->port = port;
	if (log_take_address(host, &address)) {
		if (out->destination.family == ADDRESS_NONE)
			out->destination = address;
		return true;
	}
	return log_take_name(host, out->name);
}

/* --- entries --- */

void log_copy_text(char *out, size_t size, struct span span)
{
	size_t length = span_length(span);
	if (length >= size) {
		length = size - 1;
		while (length > 0 && ((unsigned char)span.at[length] & 0xc0) == 0x80)
			length--;
	}
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)span.at[i];
		out[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
	}
	out[length] = '\0';
}

void log_entry_clear(struct log_entry *out, enum log_kind kind)
{
	out->kind = kind;
	out->at_ms = 0;
	memset(&out->source, 0, sizeof(out->source));
	memset(&out->destination, 0, sizeof(out->destination));
	out->port = 0;
	out->protocol = 0;
	out->count = 1;
	out->name[0] = out->host[0] = out->text[0] = '\0';
	out->event = 0;
	out->state = LOG_STATE_NONE;
	out->serial = 0;
	out->certain = false;
}

/* --- what a rule's words say --- */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static enum log_verdict verdict_of_word(struct span word)
{
	static const char *const drops[] = {"drop", "dropped", "drops", "dropping", "block",
		"blocked", "deny", "denied", "reject", "rejected", "discard", "discarded",
		"prevent", "refuse", "refused", NULL};
	static const char *const passes[] = {"accept", "accepted", "allow", "allowed", "pass",
		"passed", "permit", "permitted", "open", NULL};
	size_t length = span_length(word);
	if (length < 4 || length > 9)
		return VERDICT_NONE;
	for (const char *const *drop = drops; *drop; drop++) {
		if (span_is_folded(word, *drop))
			return VERDICT_DROP;
	}
	for (const char *const *pass = passes; *pass; pass++) {
		if (span_is_folded(word, *pass))
			return VERDICT_PASS;
	}
	return span_is_folded(word, "audit") ? VERDICT_NEITHER : VERDICT_NONE;
}

/* "[wan_in-default-D]", "[NAM-20-R]", "[WAN_IN-A-4001]" as VyOS and its relatives write. */
static enum log_verdict verdict_of_letter(struct span words, const char *letter)
{
	char before = letter > words.at ? letter[-1] : '\0';
	char after = letter + 1 < words.end ? letter[1] : '\0';
	if (before != '-' || (after != ']' && after != '-'))
		return VERDICT_NONE;
	if (*letter == 'D' || *letter == 'R')
		return VERDICT_DROP;
	return *letter == 'A' ? VERDICT_PASS : VERDICT_NONE;
}

enum log_verdict log_verdict(struct span words)
{
	enum log_verdict best = VERDICT_NONE;
	const char *at = words.at;
	while (at < words.end && best != VERDICT_DROP) {
		struct span word = {at, at};
		while (word.end < words.end && is_letter(*word.end))
			word.end++;
		enum log_verdict verdict = span_length(word) == 1 ? verdict_of_letter(words, at)
								  : verdict_of_word(word);
		if (verdict == VERDICT_DROP || best == VERDICT_NONE)
			best = verdict;
		at = word.end > at ? word.end : at + 1;
	}
	return best;
}
