/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading the logs of firewalls, proxies, sensors, event logs and DNS servers: one line (of XML:
 * one element) becomes one entry. Pure text work: no I/O, no allocation (except inside expat), no
 * clock; what a line does not say of its time comes from the context. Every byte is hostile: any
 * line of any length may be given, and a context may be used on, whatever was in it.
 *
 * A context belongs to one file and one thread. Formats are static.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"
#include "lib/dns/name.h"

enum log_kind { LOG_DROP, LOG_PASS, LOG_PROXY, LOG_DNS_QUERY, LOG_DNS_REPLY, LOG_EVENT };

/* What an event says of Teredo on its computer. */
enum log_state { LOG_STATE_NONE, LOG_STATE_ACTIVE, LOG_STATE_INACTIVE, LOG_STATE_FAILED };

#define LOG_HOST_MAX 256
#define LOG_TEXT_MAX 256

/* All text is NUL-terminated UTF-8 or ASCII as the log had it, and may hold any byte above 0x1f. */
struct log_entry {
	enum log_kind kind;
	int64_t at_ms;                      /* Unix time */
	struct address source, destination; /* family 0: not told; IPv4-mapped ones are IPv4 */
	uint16_t port;                      /* destination port; 0 none */
	uint8_t protocol;                   /* IP protocol; 0 not told */
	uint64_t count;                     /* packets or requests that it stands for, at least 1 */
	char name[NAME_TEXT_MAX]; /* DNS name asked for, or the host of a proxy's request, in
				     presentation format, folded, with its final dot; "" none */
	char host[LOG_HOST_MAX];  /* of an event: the computer; "" none */
	char text[LOG_TEXT_MAX];  /* of an event: what it says, cut at a character */
	uint32_t event;           /* its number; 0 none */
	enum log_state state;
	uint32_t serial; /* of dnsmasq with log-queries=extra: joins query and reply; 0 none */
	bool certain;    /* LOG_DNS_REPLY: the log itself says which client was told (source) */
};

enum log_result {
	LOG_USED,       /* *out is filled */
	LOG_SKIPPED,    /* understood, of no interest */
	LOG_UNREADABLE, /* not a line of this format */
	LOG_HEADER,     /* a #Fields line and the like; the context knows now */
};

/* What a column of a log with named columns is. */
enum log_role {
	LOG_ROLE_NONE,
	LOG_ROLE_TIME, /* or the time of day, where there is a date too */
	LOG_ROLE_DATE,
	LOG_ROLE_SOURCE,
	LOG_ROLE_DESTINATION,
	LOG_ROLE_PORT,
	LOG_ROLE_PROTOCOL,
	LOG_ROLE_ACTION,
	LOG_ROLE_COUNT,
	LOG_ROLE_NAME,            /* a host name, a URL or host:port */
	LOG_ROLE_PROTOCOL_NUMBER, /* goes before LOG_ROLE_PROTOCOL */
	LOG_ROLES,
};

#define LOG_COLUMNS_MAX 96
#define LOG_COLUMN_NAME_MAX 64

struct log_columns {
	uint8_t count; /* 0: no header yet */
	uint8_t role[LOG_COLUMNS_MAX];
};

/* Times without a zone are local, and mktime(3) is slow: the start of the last quarter of an hour
 * is kept. */
struct log_clock {
	int64_t reference_ms; /* see log_context_init */
	int64_t last_s;       /* time of the last line */
	int64_t quarter;      /* number of the quarter, in local time; -1 none */
	int64_t quarter_s[2]; /* its beginning; two when clocks were set back, first the earlier */
	uint8_t day_order;    /* of dates like 1/2/2026: 0 unknown, 1 month first, 2 day first */
};

struct log_context {
	struct log_clock clock;
	struct log_columns columns;
	bool header_utc; /* the header says that times are UTC */
	char separator;  /* of CSV and W3C; 0: not known yet */

	/* --columns: the name or number (from 1) of each role's column; "" not given. */
	char wanted[LOG_ROLES][LOG_COLUMN_NAME_MAX];
	bool has_wanted;

	/* What a firewall's line means that says neither drop nor pass: the LOG target of netfilter
	 * says only what its prefix says. LOG_DROP unless changed. */
	enum log_kind unmarked;

	/* The reply that the lines of a Windows DNS log now describe; family 0: none. */
	struct address told;
	char told_name[NAME_TEXT_MAX];
	int64_t told_ms;
	bool told_answers; /* inside its answer section */
};

struct log_format;

/*
 * reference_ms: when the file was last written (for a pipe: now), from which a line without a year
 * takes it: the newest year that is not more than a day later. A caller that follows a file may
 * move context->clock.reference_ms on.
 */
void log_context_init(struct log_context *context, int64_t reference_ms);

/*
 * "time=ts,src=source ip,dst=4,port=…,proto=…,action=…,count=…,name=…,date=…": for format csv, in
 * which time is needed, and src, dst or name. False: words (words_size bytes) say what is wrong.
 */
bool log_context_columns(
	struct log_context *context, const char *columns, char *words, size_t words_size);

/* "netfilter", "pf", "asa", "windows-firewall", "squid", "w3c", "combined", "zeek", "zeek-json",
 * "eventlog-xml" (if built with expat), "windows-dns", "dnsmasq", "csv"; NULL: there is none. */
const struct log_format *log_format_find(const char *name);
const char *log_format_name(const struct log_format *format);
const char *log_format_summary(const struct log_format *format); /* half a line, for help */
const struct log_format *log_format_at(size_t index); /* in the order of help; NULL at the end */

/*
 * The format of a file, by its first lines (up to 64 KiB of it are looked at): the one that most of
 * them fit, csv where columns were given; NULL: none. Also tells the context of the headers among
 * them, as log_format_learn.
 */
const struct log_format *log_format_detect(
	const char *start, size_t length, struct log_context *context);

/* Where the format is given: headers and dates among a file's first lines. Needed before reading
 * goes on in the middle of a file; harmless else. */
void log_format_learn(const struct log_format *format, const char *start, size_t length,
	struct log_context *context);

/*
 * The next record in a buffer: a line, without its end, or for eventlog-xml <Event>…</Event>.
 * False: there is no whole one; then *next octets of the buffer can be thrown away, as no record
 * begins in them. last: nothing follows the buffer, so a line may end with it.
 */
struct log_record {
	size_t start, length;
	size_t next; /* where to go on */
};
bool log_format_record(const struct log_format *format, const char *buffer, size_t length,
	bool last, struct log_record *out);

/* Reads one record. *out is only of use after LOG_USED. */
enum log_result log_format_read(const struct log_format *format, struct log_context *context,
	const char *line, size_t length, struct log_entry *out);
