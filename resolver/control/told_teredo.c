/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client that was told the address of a Teredo server can open its tunnel without asking again,
 * until its cache forgets it: so what counts is since when, and when last.
 */
#include "resolver/control/told_teredo.h"

#include "resolver/control/output.h"

struct told_teredo told_teredo_of(const struct reader_fields *fields)
{
	int64_t since_ms = reader_field_i64(fields, "told_teredo", 0);

	return (struct told_teredo){
		.since_ms = since_ms > 0 ? since_ms : 0,
		.last_ms = reader_field_i64(fields, "told_teredo_last", since_ms),
		.server = reader_field_text(fields, "told_teredo_server"),
	};
}

void told_teredo_words(
	const struct told_teredo *told, const char *before, const char *behind, struct strbuf *out)
{
	if (!told->since_ms)
		return;
	strbuf_append_text(out, before);
	strbuf_append_text(out, "told a Teredo server since ");
	output_time(out, told->since_ms);
	strbuf_append_text(out, " (last ");
	output_time(out, told->last_ms);
	if (told->server) {
		strbuf_append_text(out, ": ");
		output_text(out, told->server);
	}
	strbuf_append_char(out, ')');
	strbuf_append_text(out, behind);
}

void told_teredo_json(const struct told_teredo *told, struct strbuf *out)
{
	if (!told->since_ms)
		return;
	strbuf_json_key(out, "told_teredo");
	strbuf_append_char(out, '{');
	output_json_time(out, "since", told->since_ms);
	output_json_time(out, "last", told->last_ms > 0 ? told->last_ms : told->since_ms);
	strbuf_json_text(out, "server", told->server);
	strbuf_append_char(out, '}');
}

void told_teredo_json_or_null(const struct told_teredo *told, struct strbuf *out)
{
	if (told->since_ms)
		told_teredo_json(told, out);
	else
		strbuf_json_text(out, "told_teredo", NULL);
}
