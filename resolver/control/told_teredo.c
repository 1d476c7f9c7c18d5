/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client that was told the address of a Teredo server can open its tunnel without asking again,
 * until its cache forgets it: so what counts is since when, and when last.
 */
#include "resolver/control/told_teredo.h"

#include "resolver/control/output.h"

void told_teredo_words(const struct reader_fields *fields, const char *before, const char *behind,
	struct strbuf *out)
{
	int64_t first_ms = reader_field_i64(fields, "told_teredo", 0);
	const char *server = reader_field_text(fields, "told_teredo_server");

	if (first_ms <= 0)
		return;
	strbuf_append_text(out, before);
	strbuf_append_text(out, "told a Teredo server since ");
	output_time(out, first_ms);
	strbuf_append_text(out, " (last ");
	output_time(out, reader_field_i64(fields, "told_teredo_last", first_ms));
	if (server) {
		strbuf_append_text(out, ": ");
		output_text(out, server);
	}
	strbuf_append_char(out, ')');
	strbuf_append_text(out, behind);
}

void told_teredo_json(const struct reader_fields *fields, struct strbuf *out)
{
	int64_t first_ms = reader_field_i64(fields, "told_teredo", 0);
	const char *server = reader_field_text(fields, "told_teredo_server");

	if (first_ms <= 0)
		return;
	strbuf_json_key(out, "told_teredo");
	strbuf_append_char(out, '{');
	output_json_time(out, "since", first_ms);
	output_json_time(out, "last", reader_field_i64(fields, "told_teredo_last", first_ms));
	strbuf_json_text(out, "server", server);
	strbuf_append_char(out, '}');
}
