/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The debug log of Windows' DNS server: a line for each packet, and with "Details" the whole
 * message below it in words. A packet line tells who asked; only the details of a reply tell the
 * addresses, and as they stand below the line with the client, they are certain. So the context
 * remembers the reply that is being described.
 *
 * Dates are written as the server's locale has them. With AM or PM, or dots, or the year first, the
 * order is clear; else a day above 12 anywhere in the log settles it, and until then the order that
 * gives the newest day not after the reference.
 */
#include "resolver/control/ingest/log_private.h"

enum { ORDER_UNKNOWN, ORDER_MONTH_FIRST, ORDER_DAY_FIRST };

/* --- time --- */

/* "11/22/2026", "22.11.2026", "2026/11/22": three numbers in the order written. */
static bool take_parts(struct span *line, int parts[3], char *separator)
{
	for (int i = 0; i < 3; i++) {
		uint64_t number;
		if (!span_take_number(line, 9999, &number))
			return false;
		parts[i] = (int)number;
		if (i == 2)
			break;
		*separator = (char)span_first(*line);
		if (*separator != '/' && *separator != '.' && *separator != '-')
			return false;
		line->at++;
	}
	return true;
}

static void set_order(struct log_civil *civil, const int parts[3], int order)
{
	civil->month = parts[order == ORDER_DAY_FIRST];
	civil->day = parts[order != ORDER_DAY_FIRST];
	civil->year = parts[2] + (parts[2] < 100 ? 2000 : 0);
}

static bool is_before_reference(
	const struct log_clock *clock, const int parts[3], int order, int64_t *days)
{
	struct log_civil civil;
	set_order(&civil, parts, order);
	if (civil.month < 1 || civil.month > 12)
		return false;
	*days = log_days(civil.year, civil.month, civil.day);
	return *days <= clock->reference_ms / 86400000 + 1;
}

static int guess_order(const struct log_clock *clock, const int parts[3])
{
	int64_t month_first = 0, day_first = 0;
	bool month_fits = is_before_reference(clock, parts, ORDER_MONTH_FIRST, &month_first);
	bool day_fits = is_before_reference(clock, parts, ORDER_DAY_FIRST, &day_first);
	if (month_fits != day_fits)
		return month_fits ? ORDER_MONTH_FIRST : ORDER_DAY_FIRST;
	return month_fits && month_first < day_first ? ORDER_DAY_FIRST : ORDER_MONTH_FIRST;
}

/* " AM" or " PM" behind the time. */
static bool take_half(struct span *line, struct log_civil *civil)
{
	struct span at = *line, half = span_word(&at);
	bool afternoon = span_is(half, "PM");
	if (!afternoon && !span_is(half, "AM"))
		return false;
	civil->hour = civil->hour % 12 + (afternoon ? 12 : 0);
	*line = at;
	return true;
}

static bool take_time(struct log_clock *clock, struct span *line, struct log_civil *civil)
{
	int parts[3];
	char separator = 0;
	*civil = (struct log_civil){0};
	if (!take_parts(line, parts, &separator) || !span_take(line, " "))
		return false;
	span_skip_spaces(line);
	if (!log_take_clock(line, civil))
		return false;
	bool half = take_half(line, civil);
	if (parts[0] > 31) {
		civil->year = parts[0];
		civil->month = parts[1];
		civil->day = parts[2];
		return true;
	}
	if (half || parts[1] > 12)
		clock->day_order = ORDER_MONTH_FIRST;
	else if (separator != '/' || parts[0] > 12)
		clock->day_order = ORDER_DAY_FIRST;
	set_order(civil, parts, clock->day_order ? clock->day_order : guess_order(clock, parts));
	return true;
}

/* --- names --- */

/* "(6)teredo(4)ipv6(0)" as presentation format; the quotes and "[C00C]" of details in front. */
static bool take_counted_name(struct span text, char *out)
{
	struct name name = {0};
	out[0] = '\0';
	while (!span_empty(text)) {
		uint64_t length;
		if (!span_take(&text, "(") || !span_take_number(&text, NAME_LABEL_MAX, &length) ||
			!span_take(&text, ")") || span_length(text) < length ||
			name.length + length + 1 > NAME_WIRE_MAX)
			return false;
		name.wire[name.length++] = (uint8_t)length;
		if (length == 0)
			break;
		for (uint64_t i = 0; i < length; i++)
			name.wire[name.length++] = fold((unsigned char)text.at[i]);
		text.at += length;
	}
	if (name.length == 0 || name.wire[name.length - 1] != 0)
		return false;
	name_to_text(name.wire, out);
	return true;
}

/* --- lines --- */

/* "UDP Rcv 192.0.2.7 0002   Q [0001 D NOERROR] A (6)teredo…", behind "PACKET  id ". */
struct packet {
	bool sent, response;
	bool query; /* else a notification, an update, … */
	struct address remote;
	struct span name;
};

static bool take_packet(struct span *line, struct packet *out)
{
	struct span word = span_word(line);
	if (!span_is(word, "UDP") && !span_is(word, "TCP"))
		return false;
	word = span_word(line);
	out->sent = span_is(word, "Snd");
	if (!out->sent && !span_is(word, "Rcv"))
		return false;
	if (!log_take_address(span_word(line), &out->remote))
		return false;
	span_word(line); /* id */
	span_skip_spaces(line);
	out->response = span_take(line, "R ");
	out->query = span_is(span_word(line), "Q");
	if (!span_seek(line, "]"))
		return false;
	span_word(line); /* type */
	span_skip_spaces(line);
	out->name = span_trim(*line);
	return true;
}

/* Finds "PACKET", and goes behind the packet's number. */
static bool find_packet(struct span *line)
{
	if (!span_seek(line, " PACKET "))
		return false;
	span_word(line);
	return true;
}

static enum log_result read_packet(struct log_context *context, const struct packet *packet,
	const struct log_civil *civil, struct log_entry *out)
{
	int64_t at_ms;
	if (!log_time_resolve(&context->clock, civil, &at_ms))
		return LOG_UNREADABLE;
	if (!packet->query)
		return LOG_SKIPPED;
	if (packet->sent && packet->response &&
		take_counted_name(packet->name, context->told_name)) {
		context->told = packet->remote;
		context->told_ms = at_ms;
	}
	if (packet->sent || packet->response)
		return LOG_SKIPPED;
	log_entry_clear(out, LOG_DNS_QUERY);
	out->at_ms = at_ms;
	out->source = packet->remote;
	return take_counted_name(packet->name, out->name) ? LOG_USED : LOG_UNREADABLE;
}

/* A line of the details of a reply: of interest are "DATA   192.0.2.1" in the answer section. */
static enum log_result read_detail(
	struct log_context *context, struct span line, struct log_entry *out)
{
	struct span text = span_trim(line);
	if (span_has(text, " SECTION:"))
		context->told_answers = span_starts(text, "ANSWER SECTION:");
	if (!context->told_answers || context->told.family == ADDRESS_NONE ||
		!span_take(&text, "DATA "))
		return LOG_SKIPPED;
	log_entry_clear(out, LOG_DNS_REPLY);
	if (!log_take_address(span_trim(text), &out->destination))
		return LOG_SKIPPED;
	out->at_ms = context->told_ms;
	out->source = context->told;
	out->certain = true;
	memcpy(out->name, context->told_name, strlen(context->told_name) + 1);
	return LOG_USED;
}

static enum log_result read(struct log_context *context, struct span line, struct log_entry *out)
{
	struct log_civil civil;
	struct packet packet;
	struct span rest = line;
	if (!is_digit(span_first(line)) || !take_time(&context->clock, &rest, &civil))
		return read_detail(context, line, out);
	context->told.family = ADDRESS_NONE;
	context->told_answers = false;
	if (!find_packet(&rest))
		return LOG_SKIPPED; /* EVENT, DSPOLL and others */
	return take_packet(&rest, &packet) ? read_packet(context, &packet, &civil, out)
					   : LOG_UNREADABLE;
}

static unsigned score(struct span line)
{
	struct log_clock clock = {.quarter = -1};
	struct log_civil civil;
	struct packet packet;
	if (span_starts(line, "Message logging key (for packets"))
		return 1000;
	if (!is_digit(span_first(line)) || !take_time(&clock, &line, &civil) || !find_packet(&line))
		return 0;
	return take_packet(&line, &packet) ? 10 : 0;
}

/* Of dates only. */
static bool learn(struct log_context *context, struct span line)
{
	struct log_civil civil;
	if (is_digit(span_first(line)))
		take_time(&context->clock, &line, &civil);
	return context->clock.day_order == ORDER_UNKNOWN;
}

const struct log_format log_windows_dns = {
	.name = "windows-dns",
	.summary = "debug log of Windows' DNS server, best with details",
	.score = score,
	.read = read,
	.learn = learn,
};
