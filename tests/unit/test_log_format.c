/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control/ingest: log formats. Each sample of tests/data/logs is read whole, as a person would, and
 * what comes out is compared with the file of the same name that ends in .expected; then every
 * sample once more with each line cut at each place. The rest are the parts that have traps: time,
 * names, what a rule's words say, records in buffers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "lib/base/strbuf.h"
#include "resolver/control/ingest/log_private.h"

#define REFERENCE INT64_C(1795330000000) /* 2026-11-22T06:46:40Z */

static struct log_context context;

static int set_up(void **state)
{
	(void)state;
	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	log_context_init(&context, REFERENCE);
	return 0;
}

static void set_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
	log_context_init(&context, REFERENCE);
}

/* --- what an entry says, as one line --- */

static void append_address(struct strbuf *out, const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];
	strbuf_append_text(out, address_to_text(address, text));
}

static void append_entry(struct strbuf *out, const struct log_entry *entry)
{
	static const char *const kinds[] = {"drop", "pass", "proxy", "query", "reply", "event"};
	static const char *const states[] = {"", " active", " inactive", " failed"};
	strbuf_append_text(out, kinds[entry->kind]);
	strbuf_append_char(out, ' ');
	strbuf_append_time(out, entry->at_ms * 1000);
	if (entry->kind == LOG_EVENT) {
		strbuf_printf(out, " %s %u%s [%s]\n", entry->host, entry->event,
			states[entry->state], entry->text);
		return;
	}
	strbuf_append_char(out, ' ');
	append_address(out, &entry->source);
	strbuf_append_text(out, " > ");
	append_address(out, &entry->destination);
	strbuf_printf(out, " %u/%u x%llu", entry->protocol, entry->port,
		(unsigned long long)entry->count);
	if (entry->name[0])
		strbuf_printf(out, " %s", entry->name);
	if (entry->serial)
		strbuf_printf(out, " #%u", entry->serial);
	if (entry->certain)
		strbuf_append_text(out, " certain");
	strbuf_append_char(out, '\n');
}

static void append_result(struct strbuf *out, enum log_result result, const struct log_entry *entry)
{
	static const char *const words[] = {"", "skipped\n", "unreadable\n", "header\n"};
	if (result == LOG_USED)
		append_entry(out, entry);
	else
		strbuf_append_text(out, words[result]);
}

static enum log_result read_text(
	const struct log_format *format, const char *line, struct log_entry *entry)
{
	return log_format_read(format, &context, line, strlen(line), entry);
}

static void assert_read(const char *format, const char *line, const char *expected)
{
	struct log_entry entry;
	struct strbuf out;
	strbuf_init(&out);
	append_result(&out, read_text(log_format_find(format), line, &entry), &entry);
	assert_string_equal(out.data, expected);
	strbuf_deinit(&out);
}

/* --- samples --- */

static void load(struct strbuf *out, const char *name, const char *ending)
{
	const char *source = getenv("TEREDOWN_SOURCE");
	char path[1024], block[4096];
	size_t got;
	snprintf(
		path, sizeof(path), "%s/tests/data/logs/%s%s", source ? source : ".", name, ending);
	FILE *file = fopen(path, "rb");
	if (!file)
		fail_msg("%s cannot be opened", path);
	strbuf_init(out);
	strbuf_append(out, "", 0);
	while ((got = fread(block, 1, sizeof(block), file)) > 0)
		strbuf_append(out, block, got);
	fclose(file);
	assert_false(out->failed);
}

static void read_all(const struct log_format *format, const struct strbuf *text, struct strbuf *out)
{
	struct log_record record;
	struct log_entry entry;
	size_t at = 0;
	while (log_format_record(format, text->data + at, text->length - at, true, &record)) {
		append_result(out,
			log_format_read(format, &context, text->data + at + record.start,
				record.length, &entry),
			&entry);
		at += record.next;
	}
}

static void assert_sample(const char *name, const char *format_name)
{
	struct strbuf text, expected, out;
	load(&text, name, "");
	load(&expected, name, ".expected");
	strbuf_init(&out);
	const struct log_format *format = log_format_detect(text.data, text.length, &context);
	assert_non_null(format);
	assert_string_equal(log_format_name(format), format_name);
	read_all(format, &text, &out);
	if (getenv("SHOW_SAMPLES"))
		fprintf(stderr, "== %s\n%s", name, out.data);
	else
		assert_string_equal(out.data, expected.data);
	strbuf_deinit(&out);
	strbuf_deinit(&expected);
	strbuf_deinit(&text);
}

static const struct sample {
	const char *name, *format;
} samples[] = {
	{"netfilter.log", "netfilter"},
	{"pf.log", "pf"},
	{"asa.log", "asa"},
	{"pfirewall.log", "windows-firewall"},
	{"squid.log", "squid"},
	{"w3c-proxy.log", "w3c"},
	{"combined.log", "combined"},
	{"zeek-conn.log", "zeek"},
	{"zeek-conn.json", "zeek-json"},
#ifdef HAVE_EXPAT
	{"eventlog.xml", "eventlog-xml"},
#endif
	{"windows-dns.log", "windows-dns"},
	{"windows-dns-german.log", "windows-dns"},
	{"dnsmasq.log", "dnsmasq"},
	{"dnsmasq-extra.log", "dnsmasq"},
};
#define SAMPLES (sizeof(samples) / sizeof(*samples))

static void samples_say_what_is_expected(void **state)
{
	for (size_t i = 0; i < SAMPLES; i++) {
		set_up(state);
		assert_sample(samples[i].name, samples[i].format);
	}
}

static void csv_sample(void **state)
{
	char words[128];
	(void)state;
	assert_true(log_context_columns(&context,
		"time=when,src=Source IP,dst=destination ip,port=4,proto=proto,action=verdict,"
		"count=hits",
		words, sizeof(words)));
	assert_sample("firewall.csv", "csv");
}

/* From memory of exactly its length, so that a sanitizer sees an octet too far. */
static void read_cut(const struct log_format *format, const char *line, size_t length)
{
	struct log_context copy = context;
	struct log_entry entry;
	char *cut = malloc(length ? length : 1);
	assert_non_null(cut);
	memcpy(cut, line, length);
	log_format_read(format, &copy, cut, length, &entry);
	free(cut);
}

static void cut_lines_are_harmless(void **state)
{
	struct log_record record;
	for (size_t i = 0; i < SAMPLES; i++) {
		struct strbuf text;
		size_t at = 0;
		set_up(state);
		load(&text, samples[i].name, "");
		const struct log_format *format = log_format_find(samples[i].format);
		log_format_learn(format, text.data, text.length, &context);
		while (log_format_record(format, text.data + at, text.length - at, true, &record)) {
			for (size_t length = 0; length <= record.length && length < 600; length++)
				read_cut(format, text.data + at + record.start, length);
			at += record.next;
		}
		strbuf_deinit(&text);
	}
}

static void assert_foreign(const struct sample *sample, const struct log_format *format)
{
	const struct log_format *own = log_format_find(sample->format);
	struct log_record record;
	struct log_entry entry;
	struct strbuf text;
	size_t at = 0;
	load(&text, sample->name, "");
	while (log_format_record(own, text.data + at, text.length - at, true, &record)) {
		const char *line = text.data + at + record.start;
		if (log_format_read(format, &context, line, record.length, &entry) == LOG_USED)
			fail_msg("%s takes a line of %s: %.*s", log_format_name(format),
				sample->name, (int)record.length, line);
		at += record.next;
	}
	strbuf_deinit(&text);
}

/* A line of one format is nothing to the others. */
static void foreign_lines_are_not_used(void **state)
{
	for (size_t i = 0; i < SAMPLES; i++) {
		for (size_t other = 0; log_format_at(other); other++) {
			set_up(state);
			if (log_format_at(other) != log_format_find(samples[i].format))
				assert_foreign(&samples[i], log_format_at(other));
		}
	}
}

/* --- detection, headers, records --- */

static void nothing_is_detected_in_other_text(void **state)
{
	static const char text[] = "Dear all,\n\nthe #Fields are \"green\" [today] at 10:00:00.\n"
				   "SRC=1.2.3.4 IN= DST=5\n{\"ts\":1}\n1.2.3.4 - -\n";
	(void)state;
	assert_null(log_format_detect(text, sizeof(text) - 1, &context));
	assert_null(log_format_detect("", 0, &context));
	assert_null(log_format_detect("\0\0\0\0", 4, &context));
}

static void a_mixed_log_is_what_most_of_it_is(void **state)
{
	static const char text[] =
		"Nov 22 05:28:30 gw dnsmasq[5]: query[A] a.example from 192.0.2.7\n"
		"Nov 22 05:28:30 gw kernel: DROP IN=a OUT= SRC=192.0.2.7 DST=192.0.2.1 PROTO=41\n"
		"Nov 22 05:28:30 gw dnsmasq[5]: query[A] b.example from 192.0.2.7\n";
	(void)state;
	const struct log_format *format = log_format_detect(text, sizeof(text) - 1, &context);
	assert_non_null(format);
	assert_string_equal(log_format_name(format), "dnsmasq");
}

/* A file is read on where it stopped: the header is not read again, but learned. */
static void headers_are_learned(void **state)
{
	static const char start[] = "#Fields: time c-ip date cs-host\n05:28:30 192.0.2.7 x y\n";
	(void)state;
	log_format_learn(log_format_find("w3c"), start, sizeof(start) - 1, &context);
	assert_read("w3c", "04:28:30 192.0.2.7 2026-11-22 a.example",
		"proxy 2026-11-22T04:28:30.000000Z 192.0.2.7 > - 6/0 x1 a.example.\n");
}

static void without_a_header_there_are_no_columns(void **state)
{
	(void)state;
	assert_read("w3c", "04:28:30 192.0.2.7 2026-11-22 a.example", "unreadable\n");
	assert_read("zeek", "1795321710.1\tx\t192.0.2.7", "unreadable\n");
	assert_read("csv", "a,b,c", "unreadable\n");
	assert_read("windows-firewall", "2026-11-22 05:28:30 DROP UDP 192.0.2.7 192.0.2.1 1 3544",
		"drop 2026-11-22T04:28:30.000000Z 192.0.2.7 > 192.0.2.1 17/3544 x1\n");
}

static void lines_in_buffers(void **state)
{
	const struct log_format *format = log_format_find("pf");
	struct log_record record;
	(void)state;
	assert_true(log_format_record(format, "ab\r\ncd", 6, false, &record));
	assert_int_equal(record.length, 2);
	assert_int_equal(record.next, 4);
	assert_false(log_format_record(format, "cd", 2, false, &record));
	assert_int_equal(record.next, 0);
	assert_true(log_format_record(format, "cd", 2, true, &record));
	assert_int_equal(record.length, 2);
	assert_int_equal(record.next, 2);
	assert_true(log_format_record(format, "\n", 1, false, &record));
	assert_int_equal(record.length, 0);
	assert_int_equal(record.next, 1);
	assert_false(log_format_record(format, "", 0, true, &record));
}

#ifdef HAVE_EXPAT
static void elements_in_buffers(void **state)
{
	static const char text[] = "<Events>junk<Event a='1'><EventID>5</EventID></Event> <Ev";
	const struct log_format *format = log_format_find("eventlog-xml");
	struct log_record record;
	(void)state;
	assert_true(log_format_record(format, text, sizeof(text) - 1, false, &record));
	assert_int_equal(record.start, 12);
	assert_int_equal(record.length, strlen("<Event a='1'><EventID>5</EventID></Event>"));
	size_t next = record.next;
	assert_false(
		log_format_record(format, text + next, sizeof(text) - 1 - next, true, &record));
	assert_true(record.next <= sizeof(text) - 1 - next - strlen("<Ev"));
	/* Cut anywhere, the beginning of the element is never thrown away. */
	for (size_t length = 0; length < 53; length++) {
		assert_false(log_format_record(format, text, length, false, &record));
		assert_true(record.next <= 12);
	}
}

/* PowerShell writes UTF-16. */
static void events_in_utf16(void **state)
{
	static const char element[] = "<Event><System><Provider Name='Microsoft-Windows-Iphlpsvc'/>"
				      "<EventID>4000</EventID><TimeCreated "
				      "SystemTime='2026-11-22T04:28:30Z'/><Computer>A</Computer>"
				      "</System></Event>";
	char wide[2 * sizeof(element) + 2] = "\xff\xfe";
	struct log_record record;
	struct log_entry entry;
	(void)state;
	size_t size = 2 * sizeof(element);
	for (size_t i = 0; i < sizeof(element) - 1; i++) {
		wide[2 * i + 2] = element[i];
		wide[2 * i + 3] = '\0';
	}
	const struct log_format *format = log_format_detect(wide, size, &context);
	assert_non_null(format);
	assert_true(log_format_record(format, wide, size, false, &record));
	assert_int_equal(record.start, 2);
	assert_int_equal(
		log_format_read(format, &context, wide + 2, record.length, &entry), LOG_USED);
	assert_int_equal(entry.state, LOG_STATE_ACTIVE);
	assert_string_equal(entry.host, "A");
}

static void events_in_a_code_page(void **state)
{
	struct log_entry entry;
	(void)state;
	assert_int_equal(
		read_text(log_format_find("eventlog-xml"),
			"<Event><System><Provider Name='Microsoft-Windows-Iphlpsvc'/>"
			"<EventID>4201</EventID><TimeCreated SystemTime='2026-11-22T04:28:30Z'/>"
			"</System><EventData><Data>Teredo gr\xf6\xdf"
			"er</Data></EventData></Event>",
			&entry),
		LOG_USED);
	assert_string_equal(entry.text, "4201: Teredo gr\xc3\xb6\xc3\x9f"
					"er");
	assert_int_equal(entry.state, LOG_STATE_INACTIVE);
}

static void a_bomb_of_entities_is_unreadable(void **state)
{
	struct log_entry entry;
	(void)state;
	assert_int_equal(read_text(log_format_find("eventlog-xml"),
				 "<!DOCTYPE Event [<!ENTITY a 'aaaa'>]><Event>&a;</Event>", &entry),
		LOG_UNREADABLE);
	assert_int_equal(read_text(log_format_find("eventlog-xml"), "<Event>&a;</Event>", &entry),
		LOG_UNREADABLE);
}
#endif

/* --- columns of CSV --- */

static void columns_are_checked(void **state)
{
	char words[256];
	(void)state;
	assert_false(log_context_columns(&context, "time=a,from=b", words, sizeof(words)));
	assert_non_null(strstr(words, "\"from\" is no column"));
	assert_false(log_context_columns(&context, "time=,src=b", words, sizeof(words)));
	assert_non_null(strstr(words, "time= needs"));
	assert_false(log_context_columns(&context, "src=b", words, sizeof(words)));
	assert_non_null(strstr(words, "time=NAME"));
	assert_false(log_context_columns(&context, "time=a", words, sizeof(words)));
	assert_non_null(strstr(words, "src, dst and name"));
	assert_false(log_context_columns(&context, "", words, sizeof(words)));
}

static void columns_by_number_need_no_header(void **state)
{
	char words[256];
	(void)state;
	assert_true(log_context_columns(&context, "time=3,src=1,dst=2", words, sizeof(words)));
	assert_read("csv", "192.0.2.7|192.0.2.1|1795321710",
		"drop 2026-11-22T04:28:30.000000Z 192.0.2.7 > 192.0.2.1 0/0 x1\n");
	assert_read("csv", "192.0.2.7|192.0.2.1", "unreadable\n");
}

static void a_missing_column_is_told(void **state)
{
	char words[256];
	(void)state;
	assert_true(log_context_columns(&context, "time=when,src=who", words, sizeof(words)));
	assert_read("csv", "when,whom", "unreadable\n");
	assert_read("csv", "when,who", "header\n");
	assert_read("csv", "when,who", "header\n");
}

/* --- time --- */

static void assert_time(const char *text, const char *expected)
{
	struct strbuf out;
	int64_t at_ms;
	strbuf_init(&out);
	if (log_take_time(&context.clock, span_of(text, strlen(text)), &at_ms))
		strbuf_append_time(&out, at_ms * 1000);
	else
		strbuf_append_text(&out, "none");
	assert_string_equal(out.data, expected);
	strbuf_deinit(&out);
}

static void times_in_every_form(void **state)
{
	(void)state;
	assert_time("2026-11-22T05:28:30Z", "2026-11-22T05:28:30.000000Z");
	assert_time("2026-11-22 05:28:30", "2026-11-22T04:28:30.000000Z");
	assert_time("2026-11-22T05:28:30.1239+05:45", "2026-11-21T23:43:30.123000Z");
	assert_time("2026-11-22T05:28:30,5-0330", "2026-11-22T08:58:30.500000Z");
	assert_time("2026/11/22 05:28:30 UTC", "2026-11-22T05:28:30.000000Z");
	assert_time("Nov 22 05:28:30", "2026-11-22T04:28:30.000000Z");
	assert_time("Nov  2 05:28:30.250", "2026-11-02T04:28:30.250000Z");
	assert_time("Nov 2 05:28:30 UTC", "2026-11-02T05:28:30.000000Z");
	assert_time("Nov 22 2019 05:28:30", "2019-11-22T04:28:30.000000Z");
	assert_time("[Sun Nov 22 05:28:30 2026]", "2026-11-22T04:28:30.000000Z");
	assert_time("1795321710", "2026-11-22T04:28:30.000000Z");
	assert_time("1795321710.5", "2026-11-22T04:28:30.500000Z");
	assert_time("1795321710500", "2026-11-22T04:28:30.500000Z");
	assert_time("1795321710500123", "2026-11-22T04:28:30.500000Z");
	assert_time("1795321710500123456", "2026-11-22T04:28:30.500000Z");
}

static void what_is_no_time(void **state)
{
	static const char *const texts[] = {"", "x", "2026-13-01 00:00:00", "2026-02-29 00:00:00",
		"2026-11-22", "2026-11-22 24:00:00", "2026-11-22 05:60:00", "Nov 31 05:28:30",
		"Nov 22 05:28", "Xyz 22 05:28:30", "99999999999999999999", "1795321710x",
		"1969-12-31 00:00:00Z", "<999>Nov 22 05:28:30", "2026-11-22T05:28:30Zx"};
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_time(texts[i], "none");
}

static void a_year_is_the_newest_that_is_over(void **state)
{
	(void)state;
	assert_time("Nov 23 05:28:30", "2026-11-23T04:28:30.000000Z"); /* a clock that runs ahead */
	assert_time("Nov 24 05:28:30", "2025-11-24T04:28:30.000000Z");
	assert_time("Dec 31 23:59:59", "2025-12-31T22:59:59.000000Z");
	assert_time("Jan  1 00:00:00", "2025-12-31T23:00:00.000000Z");
	assert_time("Feb 29 12:00:00", "2024-02-29T11:00:00.000000Z");
	context.clock.reference_ms = INT64_C(1798840800000); /* 2027-01-01T22:00:00Z */
	assert_time("Dec 31 23:59:59", "2026-12-31T22:59:59.000000Z");
	assert_time("Jan  1 12:00:00", "2027-01-01T11:00:00.000000Z");
}

/* In the hour that comes twice, the line before says which one it is. */
static void clocks_set_back(void **state)
{
	(void)state;
	assert_time("2026-10-25 01:59:59", "2026-10-24T23:59:59.000000Z");
	assert_time("2026-10-25 02:30:00", "2026-10-25T00:30:00.000000Z");
	assert_time("2026-10-25 02:59:59", "2026-10-25T00:59:59.000000Z");
	assert_time("2026-10-25 02:59:57", "2026-10-25T00:59:57.000000Z");
	assert_time("2026-10-25 02:00:00", "2026-10-25T01:00:00.000000Z");
	assert_time("2026-10-25 02:30:00", "2026-10-25T01:30:00.000000Z");
	assert_time("2026-10-25 02:59:59", "2026-10-25T01:59:59.000000Z");
	assert_time("2026-10-25 03:00:00", "2026-10-25T02:00:00.000000Z");
}

static void clocks_set_forward(void **state)
{
	(void)state;
	assert_time("2026-03-29 01:59:59", "2026-03-29T00:59:59.000000Z");
	assert_time("2026-03-29 03:00:00", "2026-03-29T01:00:00.000000Z");
}

static void odd_zones(void **state)
{
	(void)state;
	set_zone("Asia/Kathmandu");
	assert_time("2026-11-22 05:28:30", "2026-11-21T23:43:30.000000Z");
	set_zone("Australia/Lord_Howe"); /* its clock moves by half an hour */
	assert_time("2026-04-05 01:45:00", "2026-04-04T14:45:00.000000Z");
	assert_time("2026-04-05 01:31:00", "2026-04-04T15:01:00.000000Z");
	assert_time("2026-10-04 02:30:00", "2026-10-03T15:30:00.000000Z");
	set_zone("UTC");
	assert_time("2026-11-22 05:28:30", "2026-11-22T05:28:30.000000Z");
}

static void dates_of_windows(void **state)
{
	static const char tail[] = " 0E70 PACKET  0 UDP Rcv 192.0.2.7 5b47   Q [0001] A (1)a(0)";
	static const struct {
		const char *date, *expected;
	} dates[] = {
		{"11/5/2026 5:28:30 PM", "2026-11-05T16:28:30"},
		{"11/5/2026 12:28:30 AM", "2026-11-04T23:28:30"},
		{"05/11/2026 05:28:30", "2026-11-05T04:28:30"}, /* nearer to the reference */
		{"22/11/2026 05:28:30", "2026-11-22T04:28:30"},
		{"02/03/2026 05:28:30", "2026-03-02T04:28:30"}, /* as it learned from the last */
		{"2026/03/02 05:28:30", "2026-03-02T04:28:30"},
		{"2.3.26 05:28:30", "2026-03-02T04:28:30"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(dates) / sizeof(*dates); i++) {
		char line[160], expected[160];
		if (i == 2)
			log_context_init(&context, REFERENCE);
		snprintf(line, sizeof(line), "%s%s", dates[i].date, tail);
		snprintf(expected, sizeof(expected), "query %s.000000Z 192.0.2.7 > - 0/0 x1 a.\n",
			dates[i].expected);
		assert_read("windows-dns", line, expected);
	}
}

/* --- parts --- */

static void assert_verdict(const char *words, enum log_verdict expected)
{
	assert_int_equal(log_verdict(span_of(words, strlen(words))), expected);
}

static void words_of_rules(void **state)
{
	(void)state;
	assert_verdict("[UFW BLOCK] ", VERDICT_DROP);
	assert_verdict("[UFW LIMIT BLOCK] ", VERDICT_DROP);
	assert_verdict("[UFW AUDIT INVALID] ", VERDICT_NEITHER);
	assert_verdict("STATE_INVALID_DROP: ", VERDICT_DROP);
	assert_verdict("accept-then-drop ", VERDICT_DROP);
	assert_verdict("Allowed: ", VERDICT_PASS);
	assert_verdict("[eth0-in-R]", VERDICT_DROP);
	assert_verdict("[eth0-in-A]", VERDICT_PASS);
	assert_verdict("Dropbox traffic", VERDICT_NONE);
	assert_verdict("-D", VERDICT_NONE);
	assert_verdict("", VERDICT_NONE);
}

static void lines_without_a_verdict(void **state)
{
	static const char line[] =
		"Nov 22 05:28:30 gw kernel: tunnel IN=a OUT= SRC=192.0.2.7 DST=192.0.2.1 PROTO=41";
	(void)state;
	assert_read("netfilter", line,
		"drop 2026-11-22T04:28:30.000000Z 192.0.2.7 > 192.0.2.1 41/0 x1\n");
	context.unmarked = LOG_PASS;
	assert_read("netfilter", line,
		"pass 2026-11-22T04:28:30.000000Z 192.0.2.7 > 192.0.2.1 41/0 x1\n");
}

static void assert_name(const char *text, const char *expected)
{
	char name[NAME_TEXT_MAX];
	bool read = log_take_name(span_of(text, strlen(text)), name);
	assert_int_equal(read, expected != NULL);
	assert_string_equal(name, expected ? expected : "");
}

static void names_are_presentation_format(void **state)
{
	char text[320];
	(void)state;
	assert_name("Teredo.IPv6.example", "teredo.ipv6.example.");
	assert_name("example.", "example.");
	assert_name("_dns.a-b.example", "_dns.a-b.example.");
	assert_name("a b.example", "a\\032b.example.");
	assert_name("a\"b.example", "a\\\"b.example.");
	assert_name("\xc3\xa4.example", "\\195\\164.example.");
	assert_name("", NULL);
	assert_name("a..b", NULL);
	assert_name(".a", NULL);
	memset(text, 'a', sizeof(text));
	text[63] = '\0';
	assert_int_equal(log_take_name(span_of(text, 63), (char[NAME_TEXT_MAX]){0}), true);
	text[63] = 'a';
	text[64] = '\0';
	assert_name(text, NULL);
	for (size_t i = 1; i < 300; i += 2)
		text[i] = '.';
	assert_int_equal(log_take_name(span_of(text, 253), (char[NAME_TEXT_MAX]){0}), true);
	assert_int_equal(log_take_name(span_of(text, 255), (char[NAME_TEXT_MAX]){0}), false);
}

static void addresses_of_logs(void **state)
{
	static const char *const none[] = {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4",
		"1.2.3.4 ", "1..2.3", "::1::", "fe80", "[", "[]", "%eth0", "1.2.3.-4"};
	struct address address;
	char text[ADDRESS_TEXT_MAX];
	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_false(log_take_address(span_of(none[i], strlen(none[i])), &address));
	assert_true(log_take_address(span_of("::ffff:192.0.2.7", 16), &address));
	assert_string_equal(address_to_text(&address, text), "192.0.2.7");
	assert_true(log_take_address(span_of("fe80::1%eth0", 12), &address));
	assert_string_equal(address_to_text(&address, text), "fe80::1");
	assert_true(log_take_address(span_of("[2001:db8::1]", 13), &address));
	assert_string_equal(address_to_text(&address, text), "2001:db8::1");
}

static void texts_are_cut_at_characters(void **state)
{
	char out[5];
	(void)state;
	log_copy_text(out, sizeof(out), span_of("abc\xc3\xa4", 5));
	assert_string_equal(out, "abc");
	log_copy_text(out, sizeof(out), span_of("a\n\t\x7f", 4));
	assert_string_equal(out, "a   ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(samples_say_what_is_expected, set_up),
		cmocka_unit_test_setup(csv_sample, set_up),
		cmocka_unit_test_setup(cut_lines_are_harmless, set_up),
		cmocka_unit_test_setup(foreign_lines_are_not_used, set_up),
		cmocka_unit_test_setup(nothing_is_detected_in_other_text, set_up),
		cmocka_unit_test_setup(a_mixed_log_is_what_most_of_it_is, set_up),
		cmocka_unit_test_setup(headers_are_learned, set_up),
		cmocka_unit_test_setup(without_a_header_there_are_no_columns, set_up),
		cmocka_unit_test_setup(lines_in_buffers, set_up),
#ifdef HAVE_EXPAT
		cmocka_unit_test_setup(elements_in_buffers, set_up),
		cmocka_unit_test_setup(events_in_utf16, set_up),
		cmocka_unit_test_setup(events_in_a_code_page, set_up),
		cmocka_unit_test_setup(a_bomb_of_entities_is_unreadable, set_up),
#endif
		cmocka_unit_test_setup(columns_are_checked, set_up),
		cmocka_unit_test_setup(columns_by_number_need_no_header, set_up),
		cmocka_unit_test_setup(a_missing_column_is_told, set_up),
		cmocka_unit_test_setup(times_in_every_form, set_up),
		cmocka_unit_test_setup(what_is_no_time, set_up),
		cmocka_unit_test_setup(a_year_is_the_newest_that_is_over, set_up),
		cmocka_unit_test_setup(clocks_set_back, set_up),
		cmocka_unit_test_setup(clocks_set_forward, set_up),
		cmocka_unit_test_setup(odd_zones, set_up),
		cmocka_unit_test_setup(dates_of_windows, set_up),
		cmocka_unit_test_setup(words_of_rules, set_up),
		cmocka_unit_test_setup(lines_without_a_verdict, set_up),
		cmocka_unit_test_setup(names_are_presentation_format, set_up),
		cmocka_unit_test_setup(addresses_of_logs, set_up),
		cmocka_unit_test_setup(texts_are_cut_at_characters, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
