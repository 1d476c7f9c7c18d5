/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One line at a time, split into a bounded number of fields; only ISC's blocks need a state between
 * lines. In ISC's and Kea's files the last entry of an address is the one that holds, so a later
 * one that is over takes the name away.
 *
 * dnsmasq: "EXPIRY MAC ADDRESS NAME CLIENT-ID", for IPv6 "EXPIRY IAID ADDRESS NAME DUID" behind a
 * line "duid …"; "*" is no name; expiry 0 is for ever. Kea: CSV whose first line names the columns;
 * "&#x2c" stands for a comma, state 0 is assigned. ISC: dhcpd.leases(5).
 */
#include "resolver/name_files.h"

#include <stdbool.h>
#include <string.h>

#define LINE_MAX_OCTETS 4096
#define FIELDS_MAX 24
#define FOREVER INT64_MAX

struct span {
	const char *at;
	size_t length;
};

struct sink {
	name_found_fn *found;
	void *context;
	int64_t now_s;
};

/* --- text --- */

static bool span_is(struct span span, const char *text)
{
	return span.length == strlen(text) && memcmp(span.at, text, span.length) == 0;
}

static bool span_copy(struct span span, char *out, size_t size)
{
	if (span.length >= size)
		return false;
	memcpy(out, span.at, span.length);
	out[span.length] = '\0';
	return true;
}

static bool read_address(struct span span, struct address *out)
{
	char text[ADDRESS_TEXT_MAX];
	return span_copy(span, text, sizeof(text)) && address_from_text(out, text);
}

/* None when it is no MAC address of Ethernet. */
static struct address read_mac(struct span span)
{
	struct address mac = {0};
	char text[ADDRESS_TEXT_MAX];
	if (!span_copy(span, text, sizeof(text)) || !client_from_text(&mac, text) ||
		mac.family != ADDRESS_MAC)
		return (struct address){0};
	return mac;
}

static bool read_number(struct span span, int64_t *out)
{
	int64_t value = 0;
	if (span.length == 0 || span.length > 15)
		return false;
	for (size_t i = 0; i < span.length; i++) {
		if (span.at[i] < '0' || span.at[i] > '9')
			return false;
		value = value * 10 + (span.at[i] - '0');
	}
	*out = value;
	return true;
}

/* Without its final dot; length 0 when it cannot be shown as it is. */
static struct span read_name(struct span span)
{
	if (span.length && span.at[span.length - 1] == '.')
		span.length--;
	if (span.length > HOST_NAME_MAX_OCTETS)
		span.length = 0;
	for (size_t i = 0; i < span.length; i++) {
		unsigned char c = (unsigned char)span.at[i];
		if (c < 0x21 || c > 0x7e || c == '"' || c == '\\')
			span.length = 0;
	}
	return span;
}

static void report(const struct sink *sink, const struct address *address,
	const struct address *mac, struct span name, int64_t expires_s)
{
	static const struct address none = {0};
	name = read_name(name);
	if (expires_s < sink->now_s)
		name.length = 0;
	sink->found(sink->context, address, name.length && mac ? mac : &none,
		name.length ? name.at : "", name.length);
}

/* Fields between any of the separators; with skip, runs of them count as one. */
static size_t split(
	struct span line, const char *separators, bool skip, struct span fields[FIELDS_MAX])
{
	size_t count = 0, start = 0;
	for (size_t i = 0; i <= line.length && count < FIELDS_MAX; i++) {
		if (i < line.length && !memchr(separators, line.at[i], strlen(separators)))
			continue;
		if (i > start || !skip)
			fields[count++] = (struct span){line.at + start, i - start};
		start = i + 1;
	}
	return count;
}

/* The next line that has an end; empty ones too. False when there is none. */
static bool next_line(const char **text, size_t *size, struct span *line)
{
	const char *end = *size ? memchr(*text, '\n', *size) : NULL;
	if (!end)
		return false;
	*line = (struct span){*text, (size_t)(end - *text)};
	*size -= line->length + 1;
	*text = end + 1;
	if (line->length && line->at[line->length - 1] == '\r')
		line->length--;
	if (line->length > LINE_MAX_OCTETS)
		line->length = 0;
	return true;
}

/* --- hosts and dnsmasq --- */

/* The next field between blanks, taken off the front of rest; length 0 at the end. */
static struct span take_field(struct span *rest)
{
	struct span field;

	while (rest->length && (*rest->at == ' ' || *rest->at == '\t'))
		rest->at++, rest->length--;
	field = (struct span){rest->at, 0};
	while (rest->length && *rest->at != ' ' && *rest->at != '\t')
		rest->at++, rest->length--, field.length++;
	return field;
}

static struct span without_comment(struct span line)
{
	const char *comment = line.length ? memchr(line.at, '#', line.length) : NULL;

	return comment ? (struct span){line.at, (size_t)(comment - line.at)} : line;
}

/* The first name of the line: what the host is called, before its aliases. */
static void read_hosts_line(struct span line, const struct sink *sink)
{
	struct span rest = without_comment(line), name;
	struct address address;

	if (!read_address(take_field(&rest), &address) || (name = take_field(&rest)).length == 0)
		return;
	report(sink, &address, NULL, name, FOREVER);
}

static void read_whole_hosts_line(struct span rest, unsigned number, hosts_found_fn *found,
	hosts_bad_fn *bad, void *context)
{
	struct span field = take_field(&rest);
	struct address address;
	bool first = true;

	if (field.length == 0)
		return;
	if (!read_address(field, &address)) {
		bad(context, number, "this is not an address, expected ADDRESS NAME …");
		return;
	}
	for (field = take_field(&rest); field.length; field = take_field(&rest)) {
		found(context, number, &address, field.at, field.length, first);
		first = false;
	}
	if (first)
		bad(context, number, "there is no name behind the address");
}

void hosts_file_read(const char *text, size_t size, hosts_found_fn *found, hosts_bad_fn *bad,
	void *context)
{
	unsigned number = 0;

	while (size) {
		const char *end = memchr(text, '\n', size);
		struct span line = {text, end ? (size_t)(end - text) : size};

		size -= line.length + (end != NULL);
		text += line.length + (end != NULL);
		number++;
		if (line.length && line.at[line.length - 1] == '\r')
			line.length--;
		if (line.length > LINE_MAX_OCTETS)
			bad(context, number, "this line is longer than 4096 bytes");
		else
			read_whole_hosts_line(without_comment(line), number, found, bad, context);
	}
}

static void read_dnsmasq_line(struct span line, const struct sink *sink)
{
	struct span fields[FIELDS_MAX];
	struct address address;
	int64_t expires_s;
	if (split(line, " ", true, fields) < 4 || !read_number(fields[0], &expires_s) ||
		!read_address(fields[2], &address) || span_is(fields[3], "*"))
		return;
	struct address mac = read_mac(fields[1]);
	report(sink, &address, &mac, fields[3], expires_s ? expires_s : FOREVER);
}

/* --- Kea --- */

struct kea_columns {
	size_t address, mac, expire, name, state, lifetime; /* FIELDS_MAX: there is none */
};

static void read_kea_header(const struct span *fields, size_t count, struct kea_columns *columns)
{
	*columns = (struct kea_columns){
		FIELDS_MAX, FIELDS_MAX, FIELDS_MAX, FIELDS_MAX, FIELDS_MAX, FIELDS_MAX};
	for (size_t i = 0; i < count; i++) {
		if (span_is(fields[i], "address"))
			columns->address = i;
		else if (span_is(fields[i], "hwaddr"))
			columns->mac = i;
		else if (span_is(fields[i], "expire"))
			columns->expire = i;
		else if (span_is(fields[i], "hostname"))
			columns->name = i;
		else if (span_is(fields[i], "state"))
			columns->state = i;
		else if (span_is(fields[i], "valid_lifetime"))
			columns->lifetime = i;
	}
}

static struct span field_at(const struct span *fields, size_t count, size_t column)
{
	return column < count ? fields[column] : (struct span){"", 0};
}

static void read_kea_line(struct span line, struct kea_columns *columns, const struct sink *sink)
{
	struct span fields[FIELDS_MAX];
	size_t count = split(line, ",", false, fields);
	struct address address;
	int64_t expires_s, state = 0, lifetime_s = 1;
	if (count && span_is(fields[0], "address")) {
		read_kea_header(fields, count, columns);
		return;
	}
	if (!read_address(field_at(fields, count, columns->address), &address) ||
		!read_number(field_at(fields, count, columns->expire), &expires_s))
		return;
	read_number(field_at(fields, count, columns->state), &state);
	read_number(field_at(fields, count, columns->lifetime), &lifetime_s);
	if (lifetime_s ==
		UINT32_MAX) /* infinite: the sum with the time of the lease has no meaning */
		expires_s = FOREVER;
	struct address mac = read_mac(field_at(fields, count, columns->mac));
	report(sink, &address, &mac, field_at(fields, count, columns->name),
		state == 0 && lifetime_s ? expires_s : 0);
}

/* --- ISC --- */

struct isc_lease {
	bool open;
	struct address address, mac;
	char name[HOST_NAME_MAX_OCTETS + 1];
	bool active;
	int64_t ends_s;
};

/* Days since 1970 of a date (H. Hinnant, days_from_civil). */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	year -= month <= 2;
	int64_t era = year / 400, of_era = year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Three numbers between separators. */
static bool read_triple(struct span span, char separator, int64_t out[3])
{
	const char separators[2] = {separator, '\0'};
	struct span fields[FIELDS_MAX];
	return split(span, separators, false, fields) == 3 && read_number(fields[0], &out[0]) &&
	       read_number(fields[1], &out[1]) && read_number(fields[2], &out[2]);
}

/* "ends never", "ends epoch 1700000000", "ends 4 2026/11/26 12:00:00" (UTC). */
static int64_t read_isc_time(const struct span *fields, size_t count)
{
	int64_t date[3], time[3], epoch;
	if (count >= 2 && span_is(fields[1], "never"))
		return FOREVER;
	if (count >= 3 && span_is(fields[1], "epoch") && read_number(fields[2], &epoch))
		return epoch;
	if (count < 4 || !read_triple(fields[2], '/', date) || !read_triple(fields[3], ':', time) ||
		date[0] < 1970 || date[0] > 9999 || date[1] < 1 || date[1] > 12 || date[2] < 1 ||
		date[2] > 31 || time[0] > 24 || time[1] > 60 || time[2] > 60)
		return 0;
	return days_of(date[0], date[1], date[2]) * 86400 + time[0] * 3600 + time[1] * 60 + time[2];
}

static void end_isc_lease(struct isc_lease *lease, const struct sink *sink)
{
	if (lease->open)
		report(sink, &lease->address, &lease->mac,
			(struct span){lease->name, strlen(lease->name)},
			lease->active ? lease->ends_s : 0);
	lease->open = false;
}

static void begin_isc_lease(
	struct isc_lease *lease, const struct span *fields, size_t count, const struct sink *sink)
{
	end_isc_lease(lease, sink);
	memset(lease, 0, sizeof(*lease));
	lease->ends_s = FOREVER;
	lease->open = count >= 2 && read_address(fields[1], &lease->address);
}

/* A quoted word of the line. False when there is none that fits. */
static bool read_quoted(struct span line, char *out, size_t size)
{
	const char *open = memchr(line.at, '"', line.length);
	if (!open)
		return false;
	size_t left = line.length - (size_t)(open + 1 - line.at);
	const char *close = memchr(open + 1, '"', left);
	return close && span_copy((struct span){open + 1, (size_t)(close - open - 1)}, out, size);
}

static void read_isc_line(struct span line, struct isc_lease *lease, const struct sink *sink)
{
	struct span fields[FIELDS_MAX];
	size_t count = split(line, " \t;{", true, fields);
	if (count == 0)
		return;
	if (span_is(fields[0], "lease") || span_is(fields[0], "iaaddr"))
		begin_isc_lease(lease, fields, count, sink);
	else if (span_is(fields[0], "}"))
		end_isc_lease(lease, sink);
	else if (span_is(fields[0], "ends"))
		lease->ends_s = read_isc_time(fields, count);
	else if (span_is(fields[0], "binding") && count >= 3)
		lease->active = span_is(fields[2], "active") || span_is(fields[2], "bound");
	else if (span_is(fields[0], "hardware") && count >= 3)
		lease->mac = read_mac(fields[2]);
	else if (span_is(fields[0], "client-hostname"))
		read_quoted(line, lease->name, sizeof(lease->name));
	else if (span_is(fields[0], "set") && count >= 2 && lease->name[0] == '\0' &&
		 span_is(fields[1], "ddns-fwd-name"))
		read_quoted(line, lease->name, sizeof(lease->name));
}

void name_file_read(enum name_format format, const char *text, size_t size, int64_t now_s,
	name_found_fn *found, void *context)
{
	const struct sink sink = {found, context, now_s};
	struct kea_columns columns;
	struct isc_lease lease = {0};
	struct span line;

	read_kea_header(NULL, 0, &columns);
	while (next_line(&text, &size, &line)) {
		switch (format) {
		case NAMES_HOSTS:
			read_hosts_line(line, &sink);
			break;
		case NAMES_DNSMASQ:
			read_dnsmasq_line(line, &sink);
			break;
		case NAMES_ISC:
			read_isc_line(line, &lease, &sink);
			break;
		case NAMES_KEA:
			read_kea_line(line, &columns, &sink);
			break;
		}
	}
}

bool name_source_read(const char *text, enum name_format *format, const char **path)
{
	static const char *const starts[] = {[NAMES_HOSTS] = "hosts:",
		[NAMES_DNSMASQ] = "dnsmasq:",
		[NAMES_ISC] = "isc:",
		[NAMES_KEA] = "kea:"};

	*path = NULL;
	if (strcmp(text, "ptr") == 0)
		return true;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		size_t length = strlen(starts[i]);
		if (strncmp(text, starts[i], length) != 0 || text[length] != '/')
			continue;
		*format = (enum name_format)i;
		*path = text + length;
		return true;
	}
	return false;
}
