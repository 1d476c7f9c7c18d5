/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the readers of log formats share: a span of text that is eaten from the front, and the parts
 * that many formats have. Taking from an empty span gives empty spans, so a reader checks what it
 * got, not where it stands. Nothing here writes to the text or reads behind its end.
 */
#pragma once

#include <string.h>

#include "resolver/control/ingest/log_format.h"

struct span {
	const char *at, *end;
};

struct log_format {
	const char *name, *summary;
	/* How sure one line makes: 0 not of this format; where several formats know a line (pf in
	 * syslog, CSV), the greater number wins. */
	unsigned (*score)(struct span line);
	enum log_result (*read)(
		struct log_context *context, struct span line, struct log_entry *out);
	/* One of a file's first lines, before any is read: what the context must know of it. False:
	 * there is no more to learn. NULL: there never is. */
	bool (*learn)(struct log_context *context, struct span line);
	bool elements; /* records are XML elements */
};

extern const struct log_format log_netfilter, log_pf, log_asa, log_windows_firewall, log_squid,
	log_w3c, log_combined, log_zeek, log_zeek_json, log_eventlog, log_windows_dns, log_dnsmasq,
	log_csv;

/* --- spans (log_span.c) --- */

static inline struct span span_of(const char *at, size_t length)
{
	return (struct span){at, at + length};
}

static inline size_t span_length(struct span span)
{
	return (size_t)(span.end - span.at);
}

static inline bool span_empty(struct span span)
{
	return span.at == span.end;
}

/* The octet at the front; 0 for none. */
static inline unsigned char span_first(struct span span)
{
	return span_empty(span) ? 0 : (unsigned char)*span.at;
}

/* The octet at a place; 0 behind the end. */
static inline unsigned char span_at(struct span span, size_t place)
{
	return place < span_length(span) ? (unsigned char)span.at[place] : 0;
}

/* For literals. */
#define span_is(span, text) span_equal(span, text, sizeof(text) - 1)
#define span_starts(span, text) span_begins(span, text, sizeof(text) - 1)
#define span_take(span, text) span_eat(span, text, sizeof(text) - 1)
#define span_seek(span, text) span_find(span, text, sizeof(text) - 1)
#define span_has(span, text) span_contains(span, text, sizeof(text) - 1)

static inline bool span_equal(struct span span, const char *text, size_t length)
{
	return span_length(span) == length && memcmp(span.at, text, length) == 0;
}

static inline bool span_begins(struct span span, const char *text, size_t length)
{
	return span_length(span) >= length && memcmp(span.at, text, length) == 0;
}

static inline bool span_eat(struct span *span, const char *text, size_t length)
{
	if (!span_begins(*span, text, length))
		return false;
	span->at += length;
	return true;
}

/* Goes behind the first place where text stands; false, unmoved, when it is nowhere. */
static inline bool span_find(struct span *span, const char *text, size_t length)
{
	const char *found =
		span_empty(*span) ? NULL : memmem(span->at, span_length(*span), text, length);
	if (found)
		span->at = found + length;
	return found != NULL;
}

static inline void span_skip_spaces(struct span *span)
{
	while (!span_empty(*span) && (*span->at == ' ' || *span->at == '\t'))
		span->at++;
}

static inline bool span_contains(struct span span, const char *text, size_t length)
{
	return span_find(&span, text, length);
}

/* What stands before the next separator, which is stepped over; or all. */
static inline struct span span_until(struct span *span, char separator)
{
	const char *found =
		span_empty(*span) ? NULL : memchr(span->at, separator, span_length(*span));
	struct span part = {span->at, found ? found : span->end};
	span->at = found ? found + 1 : span->end;
	return part;
}

/* The next word between spaces; empty at the end. */
static inline struct span span_word(struct span *span)
{
	span_skip_spaces(span);
	return span_until(span, ' ');
}

static inline bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static inline unsigned char fold(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

/* Equal to lower-case text, whatever the case. */
bool span_is_folded(struct span span, const char *text);
/* Without spaces, tabs and CR at either end. */
struct span span_trim(struct span span);

/* Takes digits from the front; false when there is none, or the number is greater than most. */
bool span_take_number(struct span *span, uint64_t most, uint64_t *out);
/* Takes exactly count digits (at most 9). */
bool span_take_digits(struct span *span, unsigned count, int *out);
/* The whole span as a number. */
bool span_number(struct span span, uint64_t most, uint64_t *out);

/* --- parts of an entry (log_span.c) --- */

/* A whole span as an address; a scope (%eth0) is left out, IPv4-mapped is IPv4, brackets may
 * stand around it. */
bool log_take_address(struct span span, struct address *out);
/* "udp", "UDP", "17", "ipv6" (41), "protocol 41" is the caller's; 0 for others. */
uint8_t log_protocol(struct span span);
/* A whole span as a port; 0 when it is none. */
uint16_t log_port(struct span span);
/* A name in presentation format with or without its final dot; false (out is "") when it is none.
 */
bool log_take_name(struct span span, char *out);
/* The host of "http://host:port/…", "host:port" or "host": a name, or else the destination where
 * none is known yet; and the port, given or of the scheme. False when there is no host. */
bool log_take_host(struct span url, struct log_entry *out);
/* Copies at most size - 1 octets, not half of a UTF-8 character; control characters become spaces.
 */
void log_copy_text(char *out, size_t size, struct span span);
/* An entry that tells nothing yet, but of kind. */
void log_entry_clear(struct log_entry *out, enum log_kind kind);

/* What the words of a rule or an action say: "UFW BLOCK", "wan_in-default-D", "ALLOW". */
enum log_verdict { VERDICT_NONE, VERDICT_DROP, VERDICT_PASS, VERDICT_NEITHER };
enum log_verdict log_verdict(struct span words);

/* --- time (log_time.c) --- */

struct log_civil {
	int year, month, day, hour, minute, second, millisecond;
	bool zoned; /* offset_s is the zone's, east positive; else the clock's own */
	int offset_s;
};

/* To Unix time; false when there is no such date. */
bool log_time_resolve(struct log_clock *clock, const struct log_civil *civil, int64_t *out_ms);
/* "2026-11-22" (or with / or .) from the front. */
bool log_take_date(struct span *span, struct log_civil *out);
/* "05:28:30", a fraction after '.' or ',' too. */
bool log_take_clock(struct span *span, struct log_civil *out);
/* "Z", "+01:00", "+0100", "-05", " UTC", or nothing. */
void log_take_zone(struct span *span, struct log_civil *out);
/* "2026-11-22T05:28:30.123456+01:00" or with a space, with or without a zone. */
bool log_take_iso(struct log_clock *clock, struct span *span, int64_t *out_ms);
/* "Jan" … "Dec" from the front as 1 … 12; 0, unmoved, for others. */
int log_take_month(struct span *span);
/* Of the year of a day without one: the newest that is not after the reference. */
bool log_time_guess_year(const struct log_clock *clock, struct log_civil *civil);
/* "1795325310.123", also in milliseconds (13 digits), microseconds, nanoseconds: the whole span. */
bool log_take_epoch(struct span span, int64_t *out_ms);
/* Any of these forms, and what syslog writes: the whole span. */
bool log_take_time(struct log_clock *clock, struct span span, int64_t *out_ms);
int64_t log_days(int year, int month, int day); /* since 1970 */

/*
 * Takes what syslog, journald or dmesg -T put in front: "<134>", then "Nov 22 05:28:30" (with a
 * year, a fraction or a zone, too), an ISO time, RFC 5424's "1 TIME", or "[Sun Nov 22 05:28:30
 * 2026]". *rfc5424 says whether five fields of that header follow.
 */
bool log_take_stamp(struct log_clock *clock, struct span *line, int64_t *out_ms, bool *rfc5424);
/* Then the host and the tag, or the rest of RFC 5424's header; gives the tag, "dnsmasq[12]:" or
 * "kernel:" without its colon, or empty. */
struct span log_take_tag(struct span *line, bool rfc5424);
