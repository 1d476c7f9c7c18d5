/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cisco ASA, PIX and Firepower. Each message has a number and a sentence of its own, but they are
 * of few shapes: addresses stand behind "src … dst", "from … to", "for … to", or around "->". A
 * table gives each number its shape; a connection counts once, when it is built, and of its two
 * ends the direction tells which one began.
 */
#include "resolver/control/ingest/log_private.h"

enum shape {
	SHAPE_SRC_DST, /* "Deny udp src inside:192.0.2.7/5353 dst outside:…" */
	SHAPE_FROM_TO, /* "Deny inbound UDP from 192.0.2.7/5353 to …" */
	SHAPE_ARROW,   /* "access-list out denied udp inside/192.0.2.7(5353) -> outside/…" */
	SHAPE_BUILT, /* "Built outbound UDP connection 7 for outside:…/53 (…) to inside:…/…" */
	SHAPE_BUILT_ICMP, /* "Built outbound ICMP connection for faddr … gaddr … laddr …" */
};

struct message {
	uint32_t number;
	uint8_t shape;
	bool pass;
	uint8_t protocol; /* 0: the sentence says it */
};

static const struct message messages[] = {
	{106001, SHAPE_FROM_TO, false, 6},
	{106006, SHAPE_FROM_TO, false, 17},
	{106007, SHAPE_FROM_TO, false, 17},
	{106010, SHAPE_SRC_DST, false, 0},
	{106014, SHAPE_SRC_DST, false, 1},
	{106015, SHAPE_FROM_TO, false, 6},
	{106021, SHAPE_FROM_TO, false, 0},
	{106023, SHAPE_SRC_DST, false, 0},
	{106100, SHAPE_ARROW, false, 0},
	{302013, SHAPE_BUILT, true, 6},
	{302015, SHAPE_BUILT, true, 17},
	{302020, SHAPE_BUILT_ICMP, true, 1},
	{710002, SHAPE_FROM_TO, true, 0},
	{710003, SHAPE_FROM_TO, false, 0},
	{710005, SHAPE_FROM_TO, false, 0},
};

/* Behind "%ASA-4-106023: "; false when there is none. */
static bool find_message(struct span *line, uint64_t *number)
{
	if (!span_seek(line, "%ASA-") && !span_seek(line, "%FTD-") && !span_seek(line, "%PIX-"))
		return false;
	span_until(line, '-');
	return span_take_number(line, 999999, number) && span_take(line, ":");
}

static unsigned score(struct span line)
{
	uint64_t number;
	return find_message(&line, &number) ? 3 : 0;
}

static const struct message *message_of(uint64_t number)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
		if (messages[i].number == number)
			return &messages[i];
	}
	return NULL;
}

struct socket {
	struct address address;
	uint16_t port;
};

static bool take_socket(struct span text, struct socket *out)
{
	struct span address = span_until(&text, '/');
	out->port = log_port(text);
	return log_take_address(address, &out->address);
}

/* "outside:192.0.2.7/53", also without the interface, the port, and with "(user)" behind. */
static bool read_socket(struct span word, struct socket *out)
{
	struct span rest;
	if (!span_empty(word) && (word.end[-1] == '.' || word.end[-1] == ','))
		word.end--;
	rest = word = span_until(&word, '(');
	if (take_socket(word, out))
		return true;
	span_until(&rest, ':');
	return take_socket(rest, out);
}

/* "inside/192.0.2.7(5353)". */
static bool read_listed_socket(struct span word, struct socket *out)
{
	span_until(&word, '/');
	struct span address = span_until(&word, '(');
	out->port = log_port(span_until(&word, ')'));
	return log_take_address(address, &out->address);
}

/* The word behind text, which has spaces around it; the space behind the word stays. */
static bool read_behind(struct span *text, const char *word, size_t length, struct socket *out)
{
	if (!span_find(text, word, length))
		return false;
	struct span rest = *text, found = span_word(&rest);
	text->at = found.end;
	return read_socket(found, out);
}
#define READ_BEHIND(text, word, out) read_behind(text, word, sizeof(word) - 1, out)

/* "udp", or "protocol 41". */
static uint8_t take_protocol(struct span text)
{
	struct span word = span_word(&text);
	if (span_is_folded(word, "inbound"))
		word = span_word(&text);
	return log_protocol(span_is_folded(word, "protocol") ? span_word(&text) : word);
}

/* Fails for sentences in which Deny has other words behind it. */
static bool read_pair(struct span text, enum shape shape, struct log_entry *out,
	struct socket *source, struct socket *destination)
{
	struct span words = text;
	span_take(&words, "Deny ");
	if (out->protocol == 0)
		out->protocol = take_protocol(words);
	if (shape == SHAPE_FROM_TO)
		return READ_BEHIND(&text, " from ", source) &&
		       READ_BEHIND(&text, " to ", destination);
	return READ_BEHIND(&text, " src ", source) && READ_BEHIND(&text, " dst ", destination);
}

/* "access-list NAME denied udp …"; "est-allowed" is what the list denied and the firewall passed.
 */
static bool read_listed(
	struct span text, struct log_entry *out, struct socket *source, struct socket *destination)
{
	uint64_t count;
	span_word(&text);
	span_word(&text);
	struct span verdict = span_word(&text);
	if (span_is(verdict, "permitted") || span_is(verdict, "est-allowed"))
		out->kind = LOG_PASS;
	else if (!span_is(verdict, "denied"))
		return false;
	out->protocol = take_protocol(text);
	span_word(&text);
	if (!read_listed_socket(span_word(&text), source) || !span_seek(&text, "-> ") ||
		!read_listed_socket(span_word(&text), destination))
		return false;
	if (span_seek(&text, " hit-cnt ") && span_take_number(&text, UINT32_MAX, &count) && count)
		out->count = count;
	return true;
}

static bool read_built(
	struct span text, enum shape shape, struct socket *source, struct socket *destination)
{
	bool outbound = span_starts(text, "Built outbound ");
	struct socket *foreign = outbound ? destination : source;
	struct socket *local = outbound ? source : destination;
	if (!outbound && !span_starts(text, "Built inbound "))
		return false;
	if (shape == SHAPE_BUILT)
		return READ_BEHIND(&text, " for ", foreign) && READ_BEHIND(&text, " to ", local);
	return READ_BEHIND(&text, " faddr ", foreign) && READ_BEHIND(&text, " laddr ", local);
}

static bool read_sockets(struct span text, enum shape shape, struct log_entry *out)
{
	struct socket source = {0}, destination = {0};
	bool read;
	span_skip_spaces(&text);
	if (shape == SHAPE_ARROW)
		read = read_listed(text, out, &source, &destination);
	else if (shape == SHAPE_BUILT || shape == SHAPE_BUILT_ICMP)
		read = read_built(text, shape, &source, &destination);
	else
		read = read_pair(text, shape, out, &source, &destination);
	out->source = source.address;
	out->destination = destination.address;
	if (out->protocol == 6 || out->protocol == 17)
		out->port = destination.port;
	return read;
}

static enum log_result read(struct log_context *context, struct span line, struct log_entry *out)
{
	int64_t at_ms;
	uint64_t number;
	bool rfc5424;
	struct span message = line;
	if (!find_message(&message, &number))
		return log_take_stamp(&context->clock, &line, &at_ms, &rfc5424) ? LOG_SKIPPED
										: LOG_UNREADABLE;
	const struct message *known = message_of(number);
	if (!known)
		return LOG_SKIPPED;
	if (!log_take_stamp(&context->clock, &line, &at_ms, &rfc5424))
		return LOG_UNREADABLE;
	log_entry_clear(out, known->pass ? LOG_PASS : LOG_DROP);
	out->at_ms = at_ms;
	out->protocol = known->protocol;
	return read_sockets(message, (enum shape)known->shape, out) ? LOG_USED : LOG_UNREADABLE;
}

const struct log_format log_asa = {
	.name = "asa",
	.summary = "syslog of Cisco ASA, PIX and Firepower",
	.score = score,
	.read = read,
};
