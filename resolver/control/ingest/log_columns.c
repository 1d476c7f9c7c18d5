/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Logs whose header, or whose reader, names the columns: W3C extended (proxies, IIS), the Windows
 * Firewall's pfirewall.log, which is nearly that, Zeek's conn.log as tab-separated values, and CSV
 * with --columns. A header turns into a role for each column, kept in the context; a line is then
 * one pass over its fields.
 *
 * Times of W3C are UTC, those of the Windows Firewall local ("#Time Format: Local"), Zeek's are
 * Unix time. Zeek watches traffic and stops none, so its connections count as passed.
 */
#include "resolver/control/ingest/log_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct column_name {
	const char *name; /* in lower case */
	uint8_t role;
};

/* One line as its roles say. */
struct row {
	struct log_entry *out;
	struct log_civil civil;
	struct span time; /* where it is not a time of day */
	bool has_date, has_clock;
	enum log_verdict action;
};

static const struct column_name w3c_names[] = {
	{"date", LOG_ROLE_DATE},
	{"time", LOG_ROLE_TIME},
	{"timestamp", LOG_ROLE_TIME},
	{"x-timestamp", LOG_ROLE_TIME},
	{"x-timestamp-unix", LOG_ROLE_TIME},
	{"c-ip", LOG_ROLE_SOURCE},
	{"r-ip", LOG_ROLE_DESTINATION},
	{"cs-ip", LOG_ROLE_DESTINATION},
	{"r-supplier-ip", LOG_ROLE_DESTINATION},
	{"s-supplier-ip", LOG_ROLE_DESTINATION},
	{"r-port", LOG_ROLE_PORT},
	{"cs-uri-port", LOG_ROLE_PORT},
	{"cs-host", LOG_ROLE_NAME},
	{"cs(host)", LOG_ROLE_NAME},
	{"r-host", LOG_ROLE_NAME},
	{"r-dns", LOG_ROLE_NAME},
	{"cs-uri-host", LOG_ROLE_NAME},
	{"cs-uri", LOG_ROLE_NAME},
	{"c-uri", LOG_ROLE_NAME},
	{"cs-url", LOG_ROLE_NAME},
	{NULL, 0},
};

static const struct column_name firewall_names[] = {
	{"date", LOG_ROLE_DATE},
	{"time", LOG_ROLE_TIME},
	{"action", LOG_ROLE_ACTION},
	{"protocol", LOG_ROLE_PROTOCOL},
	{"src-ip", LOG_ROLE_SOURCE},
	{"dst-ip", LOG_ROLE_DESTINATION},
	{"dst-port", LOG_ROLE_PORT},
	{NULL, 0},
};

static const struct column_name zeek_names[] = {
	{"ts", LOG_ROLE_TIME},
	{"id.orig_h", LOG_ROLE_SOURCE},
	{"id.resp_h", LOG_ROLE_DESTINATION},
	{"id.resp_p", LOG_ROLE_PORT},
	{"proto", LOG_ROLE_PROTOCOL},
	{"ip_proto", LOG_ROLE_PROTOCOL_NUMBER},
	{"orig_pkts", LOG_ROLE_COUNT},
	{NULL, 0},
};

/* --columns; the place is the role's in log_context.wanted. */
static const struct column_name option_names[] = {
	{"time", LOG_ROLE_TIME},
	{"date", LOG_ROLE_DATE},
	{"src", LOG_ROLE_SOURCE},
	{"dst", LOG_ROLE_DESTINATION},
	{"port", LOG_ROLE_PORT},
	{"proto", LOG_ROLE_PROTOCOL},
	{"action", LOG_ROLE_ACTION},
	{"count", LOG_ROLE_COUNT},
	{"name", LOG_ROLE_NAME},
	{NULL, 0},
};

static enum log_role role_of(const struct column_name *names, struct span name)
{
	for (; names->name; names++) {
		if (span_is_folded(name, names->name))
			return (enum log_role)names->role;
	}
	return LOG_ROLE_NONE;
}

/* --- fields --- */

/* The next field, without quotes around it (a quote inside is doubled, and stays so). */
static struct span take_field(struct span *line, char separator)
{
	if (span_first(*line) != '"')
		return span_until(line, separator);
	struct span field = {line->at + 1, line->at + 1};
	while (field.end < line->end &&
		(*field.end != '"' || (field.end + 1 < line->end && field.end[1] == '"')))
		field.end += *field.end == '"' ? 2 : 1;
	line->at = field.end < line->end ? field.end + 1 : line->end;
	span_until(line, separator);
	return field;
}

static void add_column(struct log_columns *columns, enum log_role role)
{
	if (columns->count < LOG_COLUMNS_MAX)
		columns->role[columns->count++] = (uint8_t)role;
}

static bool has_role(const struct log_columns *columns, enum log_role role)
{
	return memchr(columns->role, role, columns->count) != NULL;
}

static void set_columns(struct log_context *context, struct span header, char separator,
	const struct column_name *names)
{
	context->columns.count = 0;
	context->separator = separator;
	header = span_trim(header);
	while (!span_empty(header)) {
		if (separator == ' ')
			span_skip_spaces(&header);
		add_column(&context->columns,
			role_of(names, span_trim(take_field(&header, separator))));
	}
}

/* --- one row --- */

static bool is_absent(struct span value)
{
	return span_empty(value) || span_is(value, "-") || span_is(value, "(empty)");
}

static void set_time(struct row *row, struct span value)
{
	struct span at = value;
	row->has_clock = log_take_clock(&at, &row->civil) && span_empty(at);
	if (!row->has_clock)
		row->time = value;
}

static void set_date(struct row *row, struct span value)
{
	row->has_date = log_take_date(&value, &row->civil) && span_empty(value);
}

static void set_count(struct row *row, struct span value)
{
	uint64_t count;
	if (span_number(value, UINT32_MAX, &count) && count)
		row->out->count = count;
}

/* False: the line is not what the header says. */
static bool set_field(struct row *row, enum log_role role, struct span value)
{
	struct log_entry *out = row->out;
	uint8_t protocol;
	if (is_absent(value))
		return true;
	switch (role) {
	case LOG_ROLE_TIME:
		set_time(row, value);
		return true;
	case LOG_ROLE_DATE:
		set_date(row, value);
		return true;
	case LOG_ROLE_SOURCE:
		return log_take_address(value, &out->source);
	case LOG_ROLE_DESTINATION:
		return log_take_address(value, &out->destination);
	case LOG_ROLE_PORT:
		out->port = log_port(value);
		return true;
	case LOG_ROLE_PROTOCOL:
		if (out->protocol == 0)
			out->protocol = log_protocol(value);
		return true;
	case LOG_ROLE_PROTOCOL_NUMBER:
		protocol = log_protocol(value);
		if (protocol)
			out->protocol = protocol;
		return true;
	case LOG_ROLE_ACTION:
		row->action = log_verdict(value);
		return true;
	case LOG_ROLE_COUNT:
		set_count(row, value);
		return true;
	case LOG_ROLE_NAME:
		if (out->name[0] == '\0')
			log_take_host(value, out);
		return true;
	default:
		return true;
	}
}

/* False: the line has not what the header says, or no time. */
static bool read_row(struct log_context *context, struct span line, struct row *row, bool utc)
{
	const struct log_columns *columns = &context->columns;
	char separator = context->separator;
	for (size_t i = 0; i < columns->count && !span_empty(line); i++) {
		if (separator == ' ')
			span_skip_spaces(&line);
		struct span value = take_field(&line, separator);
		enum log_role role = (enum log_role)columns->role[i];
		if (role != LOG_ROLE_NONE && !set_field(row, role, span_trim(value)))
			return false;
	}
	if (row->has_date && row->has_clock) {
		row->civil.zoned = utc;
		row->civil.offset_s = 0;
		return log_time_resolve(&context->clock, &row->civil, &row->out->at_ms);
	}
	return row->time.at && log_take_time(&context->clock, row->time, &row->out->at_ms);
}

static void begin_row(struct row *row, struct log_entry *out, enum log_kind kind)
{
	log_entry_clear(out, kind);
	row->out = out;
	row->time = (struct span){NULL, NULL};
	row->has_date = row->has_clock = false;
	row->action = VERDICT_NONE;
}

/* --- W3C extended --- */

/* Takes "#Fields:"; false for another line with '#'. */
static bool take_w3c_header(
	struct log_context *context, struct span line, const struct column_name *names)
{
	if (!span_take(&line, "#Fields:"))
		return false;
	line = span_trim(line);
	set_columns(context, line, span_has(line, "\t") ? '\t' : ' ', names);
	return true;
}

static unsigned score_w3c(struct span line)
{
	return span_starts(line, "#Fields:") && !span_has(line, " src-ip") ? 1000 : 0;
}

static enum log_result read_w3c(
	struct log_context *context, struct span line, struct log_entry *out)
{
	struct row row;
	if (span_first(line) == '#') {
		take_w3c_header(context, line, w3c_names);
		return LOG_HEADER;
	}
	if (context->columns.count == 0)
		return LOG_UNREADABLE;
	begin_row(&row, out, LOG_PROXY);
	if (!read_row(context, line, &row, true) || out->source.family == ADDRESS_NONE)
		return LOG_UNREADABLE;
	out->protocol = 6;
	return out->name[0] || out->destination.family ? LOG_USED : LOG_SKIPPED;
}

static bool learn_w3c(struct log_context *context, struct span line)
{
	if (span_first(line) == '#')
		take_w3c_header(context, line, w3c_names);
	return true;
}

const struct log_format log_w3c = {
	.name = "w3c",
	.summary = "W3C extended, with its #Fields line (proxies, IIS)",
	.score = score_w3c,
	.read = read_w3c,
	.learn = learn_w3c,
};

/* --- Windows Firewall --- */

static unsigned score_firewall(struct span line)
{
	struct log_civil civil;
	if (span_starts(line, "#Fields:"))
		return span_has(line, " src-ip dst-ip ") ? 1000 : 0;
	if (span_starts(line, "#Software: Microsoft Windows Firewall"))
		return 1000;
	if (!log_take_date(&line, &civil) || !span_take(&line, " ") ||
		!log_take_clock(&line, &civil))
		return 0;
	struct span action = span_word(&line);
	return span_is(action, "DROP") || span_is(action, "ALLOW") ? 2 : 0;
}

static void set_default_firewall(struct log_context *context)
{
	static const char fields[] = "date time action protocol src-ip dst-ip src-port dst-port";
	set_columns(context, span_of(fields, sizeof(fields) - 1), ' ', firewall_names);
}

static bool learn_firewall(struct log_context *context, struct span line)
{
	if (!take_w3c_header(context, line, firewall_names) && span_take(&line, "#Time Format:"))
		context->header_utc = !span_is_folded(span_trim(line), "local");
	return true;
}

static enum log_result read_firewall(
	struct log_context *context, struct span line, struct log_entry *out)
{
	struct row row;
	if (span_first(line) == '#') {
		learn_firewall(context, line);
		return LOG_HEADER;
	}
	if (context->columns.count == 0)
		set_default_firewall(context);
	begin_row(&row, out, LOG_DROP);
	if (!read_row(context, line, &row, context->header_utc))
		return LOG_UNREADABLE;
	if (row.action == VERDICT_NONE)
		return LOG_SKIPPED; /* CLOSE, INFO-EVENTS-LOST */
	if (out->source.family == ADDRESS_NONE || out->destination.family == ADDRESS_NONE)
		return LOG_UNREADABLE;
	out->kind = row.action == VERDICT_DROP ? LOG_DROP : LOG_PASS;
	return LOG_USED;
}

const struct log_format log_windows_firewall = {
	.name = "windows-firewall",
	.summary = "pfirewall.log of Windows",
	.score = score_firewall,
	.read = read_firewall,
	.learn = learn_firewall,
};

/* --- Zeek --- */

static unsigned score_zeek(struct span line)
{
	return span_starts(line, "#fields") && span_has(line, "id.orig_h") &&
			       span_has(line, "conn_state")
		       ? 1000
		       : 0;
}

/* "#separator \x09". */
static void take_zeek_separator(struct log_context *context, struct span line)
{
	char text[3] = "", *end;
	if (!span_take(&line, " \\x") || span_length(line) < 2)
		return;
	memcpy(text, line.at, 2);
	long value = strtol(text, &end, 16);
	if (*end == '\0' && value > 0)
		context->separator = (char)value;
}

static bool learn_zeek(struct log_context *context, struct span line)
{
	if (span_take(&line, "#separator")) {
		take_zeek_separator(context, line);
	} else if (span_take(&line, "#fields")) {
		char separator = context->separator ? context->separator : '\t';
		bool connections = span_has(line, "conn_state");
		if (!span_empty(line))
			line.at++;
		set_columns(context, line, separator, zeek_names);
		if (!connections)
			context->columns.count = 0; /* another log of Zeek */
	}
	return true;
}

static enum log_result read_zeek(
	struct log_context *context, struct span line, struct log_entry *out)
{
	struct row row;
	if (span_first(line) == '#') {
		learn_zeek(context, line);
		return LOG_HEADER;
	}
	if (context->columns.count == 0)
		return LOG_UNREADABLE;
	begin_row(&row, out, LOG_PASS);
	if (!read_row(context, line, &row, true) || out->source.family == ADDRESS_NONE ||
		out->destination.family == ADDRESS_NONE)
		return LOG_UNREADABLE;
	if (out->protocol != 6 && out->protocol != 17 && out->protocol != 132)
		out->port = 0; /* of ICMP it is the code */
	return LOG_USED;
}

const struct log_format log_zeek = {
	.name = "zeek",
	.summary = "conn.log of Zeek, tab-separated",
	.score = score_zeek,
	.read = read_zeek,
	.learn = learn_zeek,
};

/* --- CSV --- */

static bool is_number(const char *text)
{
	uint64_t number;
	return span_number(span_of(text, strlen(text)), LOG_COLUMNS_MAX, &number) && number > 0;
}

/* The separator that the line has most of. */
static char find_separator(struct span line)
{
	static const char candidates[] = ",;\t|";
	char best = ',';
	size_t most = 0;
	for (const char *candidate = candidates; *candidate; candidate++) {
		size_t count = 0;
		for (const char *at = line.at; at < line.end; at++)
			count += *at == *candidate;
		if (count > most) {
			most = count;
			best = *candidate;
		}
	}
	return best;
}

static bool is_wanted(const char *wanted, struct span name, size_t number)
{
	size_t length = span_length(name);
	if (wanted[0] == '\0')
		return false;
	if (is_number(wanted))
		return (size_t)strtoul(wanted, NULL, 10) == number;
	return strlen(wanted) == length && strncasecmp(wanted, name.at, length) == 0;
}

static enum log_role wanted_role(const struct log_context *context, struct span name, size_t number)
{
	for (int role = LOG_ROLE_NONE + 1; role < LOG_ROLES; role++) {
		if (is_wanted(context->wanted[role], name, number))
			return (enum log_role)role;
	}
	return LOG_ROLE_NONE;
}

/* From the first line. False: a column is not there. */
static bool set_csv_columns(struct log_context *context, struct span line)
{
	context->columns.count = 0;
	context->separator = find_separator(line);
	while (!span_empty(line)) {
		struct span name = span_trim(take_field(&line, context->separator));
		add_column(&context->columns,
			wanted_role(context, name, (size_t)context->columns.count + 1));
	}
	bool all = context->columns.count > 0;
	for (int role = LOG_ROLE_NONE + 1; role < LOG_ROLES; role++)
		all &= context->wanted[role][0] == '\0' ||
		       has_role(&context->columns, (enum log_role)role);
	if (!all)
		context->columns.count = 0;
	return all;
}

static bool names_are_numbers(const struct log_context *context)
{
	for (int role = LOG_ROLE_NONE + 1; role < LOG_ROLES; role++) {
		if (context->wanted[role][0] && !is_number(context->wanted[role]))
			return false;
	}
	return true;
}

static enum log_result finish_csv(
	const struct log_context *context, const struct row *row, struct log_entry *out)
{
	if (row->action == VERDICT_NEITHER)
		return LOG_SKIPPED;
	if (row->action != VERDICT_NONE)
		out->kind = row->action == VERDICT_DROP ? LOG_DROP : LOG_PASS;
	else if (context->wanted[LOG_ROLE_NAME][0] && !context->wanted[LOG_ROLE_ACTION][0])
		out->kind = LOG_PROXY;
	return out->destination.family || out->name[0] ? LOG_USED : LOG_SKIPPED;
}

/* The first line, which is read once more when the file is read from its beginning. */
static bool learn_csv(struct log_context *context, struct span line)
{
	span_take(&line, "\xef\xbb\xbf");
	if (context->has_wanted && !names_are_numbers(context))
		set_csv_columns(context, line);
	return false;
}

static bool is_csv_header(const struct log_context *context, struct span line)
{
	const char *time = context->wanted[LOG_ROLE_TIME];
	return !names_are_numbers(context) && span_contains(line, time, strlen(time));
}

static enum log_result read_csv(
	struct log_context *context, struct span line, struct log_entry *out)
{
	struct row row;
	bool first = context->columns.count == 0;
	if (first) {
		span_take(&line, "\xef\xbb\xbf");
		if (!context->has_wanted || !set_csv_columns(context, line))
			return LOG_UNREADABLE;
		if (!names_are_numbers(context))
			return LOG_HEADER;
	}
	begin_row(&row, out, context->unmarked);
	if (!read_row(context, line, &row, context->header_utc))
		return first || is_csv_header(context, line) ? LOG_HEADER : LOG_UNREADABLE;
	return finish_csv(context, &row, out);
}

static unsigned score_csv(struct span line)
{
	(void)line; /* detected by the option only */
	return 0;
}

const struct log_format log_csv = {
	.name = "csv",
	.summary = "values with the columns that --columns names",
	.score = score_csv,
	.read = read_csv,
	.learn = learn_csv,
};

/* --- the option --- */

static bool take_wanted(struct log_context *context, struct span part, char *words, size_t size)
{
	struct span value = part, key = span_until(&value, '=');
	enum log_role role = role_of(option_names, span_trim(key));
	value = span_trim(value);
	if (role == LOG_ROLE_NONE) {
		snprintf(words, size,
			"\"%.*s\" is no column, expected time, date, src, dst, port, proto, "
			"action, "
			"count or name",
			(int)(span_length(key) < 40 ? span_length(key) : 40), key.at);
		return false;
	}
	if (span_empty(value) || span_length(value) >= LOG_COLUMN_NAME_MAX) {
		snprintf(words, size,
			"%.*s= needs the name (at most %d octets) or the number of a column",
			(int)span_length(key), key.at, LOG_COLUMN_NAME_MAX - 1);
		return false;
	}
	memcpy(context->wanted[role], value.at, span_length(value));
	context->wanted[role][span_length(value)] = '\0';
	return true;
}

bool log_context_columns(
	struct log_context *context, const char *columns, char *words, size_t words_size)
{
	struct span rest = span_of(columns, strlen(columns));
	memset(context->wanted, 0, sizeof(context->wanted));
	while (!span_empty(rest)) {
		if (!take_wanted(context, span_until(&rest, ','), words, words_size))
			return false;
	}
	if (!context->wanted[LOG_ROLE_TIME][0]) {
		snprintf(words, words_size, "no column for time, expected time=NAME");
		return false;
	}
	if (!context->wanted[LOG_ROLE_SOURCE][0] && !context->wanted[LOG_ROLE_DESTINATION][0] &&
		!context->wanted[LOG_ROLE_NAME][0]) {
		snprintf(words, words_size, "expected at least one of src, dst and name");
		return false;
	}
	context->has_wanted = true;
	context->columns.count = 0;
	return true;
}
