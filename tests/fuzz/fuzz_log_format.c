/* SPDX-License-Identifier: BSD-3-Clause */
/* A file as each log format in turn, and as what it is taken for. What comes out can be stored and
 * shown, and reading ends. */
#include <stdio.h>
#include <string.h>

#include "resolver/control/ingest/log_format.h"
#include "tests/fuzz/fuzz.h"

static void check_text(const char *text, size_t size)
{
	size_t length = strnlen(text, size);
	FUZZ_CHECK(length < size);
	for (size_t i = 0; i < length; i++)
		FUZZ_CHECK((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

static void check_name(const char *text)
{
	struct name name;
	check_text(text, NAME_TEXT_MAX);
	if (text[0] == '\0')
		return;
	FUZZ_CHECK(text[strlen(text) - 1] == '.');
	FUZZ_CHECK(name_from_text(&name, text, strlen(text)) == TD_OK);
}

static void check_entry(const struct log_entry *entry)
{
	FUZZ_CHECK(entry->kind <= LOG_EVENT && entry->state <= LOG_STATE_FAILED);
	FUZZ_CHECK(entry->at_ms > -86400000 && entry->count >= 1);
	FUZZ_CHECK(entry->source.family == ADDRESS_NONE || address_is_ip(&entry->source));
	FUZZ_CHECK(entry->destination.family == ADDRESS_NONE || address_is_ip(&entry->destination));
	FUZZ_CHECK(!entry->certain || address_is_ip(&entry->source));
	check_name(entry->name);
	check_text(entry->host, sizeof(entry->host));
	check_text(entry->text, sizeof(entry->text));
}

static void read_all(
	const struct log_format *format, struct log_context *context, const char *data, size_t size)
{
	struct log_record record;
	struct log_entry entry;
	size_t at = 0;
	while (log_format_record(format, data + at, size - at, true, &record)) {
		FUZZ_CHECK(record.next > 0 && record.start + record.length <= record.next);
		FUZZ_CHECK(record.next <= size - at);
		if (log_format_read(format, context, data + at + record.start, record.length,
			    &entry) == LOG_USED)
			check_entry(&entry);
		at += record.next;
	}
	FUZZ_CHECK(record.next <= size - at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = size ? (const char *)data : "";
	struct log_context context;
	char words[128];
	for (size_t i = 0; log_format_at(i); i++) {
		log_context_init(&context, INT64_C(1795330000000));
		if (i % 2)
			log_format_learn(log_format_at(i), text, size, &context);
		if (strcmp(log_format_name(log_format_at(i)), "csv") == 0)
			log_context_columns(&context, "time=1,src=2,dst=3,name=4,action=5,count=6",
				words, sizeof(words));
		read_all(log_format_at(i), &context, text, size);
	}
	log_context_init(&context, INT64_C(1795330000000));
	const struct log_format *format = log_format_detect(text, size, &context);
	if (format)
		read_all(format, &context, text, size);
	return 0;
}
