/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of options as text: what is in effect (`-p`), a sample file, and the entries of
 * teredown.conf(5). The last two are the same on every machine, so that the files in doc/ can be
 * compared with them: where a default depends on the build or on the machine they say so in words.
 */
#include "config.h"

#include <string.h>

#include "resolver/options_private.h"

#define SAMPLE_WIDTH 76

/* --- the effective configuration --- */

static void print_row(const struct options *options, const struct option_row *row, FILE *out)
{
	bool from_resolv_conf = row->offset == offsetof(struct options, upstream) &&
				options->upstream_from_resolv_conf;
	bool redis = row->offset == offsetof(struct options, redis), user, password_in_url;
	redis_address_userinfo(options->redis, &user, &password_in_url);
	if (from_resolv_conf)
		fputs("# from resolv-conf: ", out);
	fprintf(out, "%s = ", row->name);
	option_print_value(options, row, out);
	if (redis && password_in_url)
		fputs(" # the password is not shown", out);
	fputc('\n', out);
}

static void print_files(const struct zone_options *zone, FILE *out)
{
	bool list = zone->file_count > 1;

	fputs(list ? "{ " : "", out);
	for (size_t i = 0; i < zone->file_count; i++) {
		fputs(i ? ", " : "", out);
		option_print_quoted(zone->files[i].path, out);
	}
	fputs(list ? " }\n" : "\n", out);
}

static void print_zone(const struct zone_options *zone, FILE *out)
{
	fprintf(out, "\nzone \"%s\" {\n\tformat = %s\n", zone->name,
		option_format_words[zone->format]);
	if (zone->primary_count) {
		options_print_primaries(zone, out);
	} else {
		fprintf(out, "\t%sfile = ", zone->required ? "" : "# ");
		print_files(zone, out);
	}
	if (zone->kind != ZONE_LOCAL) {
		fprintf(out, "\tmode = %s\n\treason = %s\n\toverride = ",
			option_mode_words[zone->mode],
			option_reason_words[zone->reason - EDE_BLOCKED]);
		option_print_override(zone, out);
		fputc('\n', out);
	}
	options_print_schedule(&zone->schedule, "\t", out);
	fputs("}\n", out);
}

void options_print(const struct options *options, FILE *out)
{
	for (size_t i = 0; i < option_row_count; i++)
		print_row(options, &option_rows[i], out);
	for (size_t i = 0; i < options->zone_count; i++)
		print_zone(&options->zones[i], out);
	options_print_keys(options, out);
	options_print_groups(options, out);
	options_print_forwards(options, out);
}

/* --- the sample --- */

/* words in lines of at most SAMPLE_WIDTH bytes, each behind "# ". */
static void print_wrapped(const char *words, FILE *out)
{
	while (*words) {
		size_t length = strlen(words);
		if (length > SAMPLE_WIDTH) {
			length = SAMPLE_WIDTH;
			while (length > 1 && words[length] != ' ')
				length--;
		}
		fprintf(out, "# %.*s\n", (int)length, words);
		words += length;
		words += strspn(words, " ");
	}
}

static const char *effect_of(const struct option_row *row)
{
	if (row->effect)
		return row->effect;
	return row->reloadable ? " Takes effect at a reload." : "";
}

static bool is_quoted(const struct option_row *row)
{
	return row->type == OPTION_TEXT;
}

/* The default as it is written in a file; an example where there is none that holds everywhere. */
static void print_sample_value(const struct option_row *row, FILE *out)
{
	if (row->initial_words)
		fputs(row->example, out);
	else if (is_quoted(row))
		option_print_quoted(row->initial, out);
	else
		fputs(row->initial, out);
}

static void print_sample_row(const struct option_row *row, FILE *out)
{
	char range[WHY_MAX], words[2 * WHY_MAX];
	fputc('\n', out);
	print_wrapped(row->help, out);
	option_describe(row, range);
	snprintf(words, sizeof(words), "Expected: %s.%s%s%s%s", range,
		row->initial_words ? " Default: " : "",
		row->initial_words ? row->initial_words : "", row->initial_words ? "." : "",
		effect_of(row));
	print_wrapped(words, out);
	fprintf(out, "#%s = ", row->name);
	print_sample_value(row, out);
	fputc('\n', out);
}

void options_print_sample(FILE *out)
{
	fputs("# Configuration of teredownd, see teredown.conf(5). Every option stands here with "
	      "its\n"
	      "# default, commented out; where the default depends on the machine, with an "
	      "example.\n"
	      "# A change takes effect at a restart, unless an option says that a reload will do.\n"
	      "# Check this file with: teredownd -t -c FILE\n",
		out);
	for (size_t i = 0; i < option_row_count; i++)
		print_sample_row(&option_rows[i], out);
	fputs("\n"
	      "# The shipped zones are always there, in this order: special-use, teredo, 6to4, "
	      "isatap,\n"
	      "# tunnel-brokers, bypass. A section of the same name changes one of them and moves "
	      "it to\n"
	      "# its place among the sections (special-use stays first); other names add zones of "
	      "your own.\n",
		out);
	for (size_t i = 0; i < ZONE_FIELD_COUNT; i++) {
		fprintf(out, "#\n# %s = %s\n", zone_rows[i].name, zone_rows[i].form);
		print_wrapped(zone_rows[i].help, out);
	}
	fputs("\n"
	      "#zone \"teredo\" { mode = block }\n"
	      "#zone \"ads\" { file = \"/etc/teredown/ads.rpz\" mode = block }\n"
	      "#zone \"lab\" { file = \"/etc/teredown/lab.patterns\" format = patterns mode = "
	      "watch }\n",
		out);
	options_print_key_sample(out);
	options_print_group_sample(out);
	options_print_forward_sample(out);
}

/* --- the manual --- */

/* Text as roff: no escape, no request at the beginning of a line, hyphens as typed. */
static void print_roff(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\'')
			fputs("\\(aq", out);
		else if (*text == '"')
			fputs("\\(dq", out);
		else
			fputc(*text, out);
	}
}

static const char *form_of(const struct option_row *row)
{
	switch (row->type) {
	case OPTION_NUMBER:
		return "number";
	case OPTION_SIZE:
		return "size";
	case OPTION_DURATION:
		return "duration";
	case OPTION_WORD:
		return "word";
	case OPTION_TEXT:
		return "\"string\"";
	case OPTION_ENDPOINTS:
		return "{ \"address\", ... }";
	case OPTION_SERVERS:
		return "{ \"server\", ... }";
	case OPTION_PREFIXES:
		return "{ \"network\", ... }";
	case OPTION_TEXTS:
		return "{ \"string\", ... }";
	}
	return "";
}

static void print_manual_default(const struct option_row *row, FILE *out)
{
	if (row->initial_words) {
		print_roff(row->initial_words, out);
		return;
	}
	fputs("\\fB", out);
	print_roff(is_quoted(row) ? "\"" : "", out);
	print_roff(row->initial, out);
	print_roff(is_quoted(row) ? "\"" : "", out);
	fputs("\\fR", out);
}

static void print_manual_row(const struct option_row *row, FILE *out)
{
	char range[WHY_MAX];
	fputs(".TP\n\\fB", out);
	print_roff(row->name, out);
	fputs("\\fR = \\fI", out);
	print_roff(form_of(row), out);
	fputs("\\fR\n", out);
	print_roff(row->help, out);
	fputs("\nExpected: ", out);
	option_describe(row, range);
	print_roff(range, out);
	fputs(".\nDefault: ", out);
	print_manual_default(row, out);
	fprintf(out, ".%s\n", effect_of(row));
}

static void print_manual_zone_row(const struct zone_row *row, FILE *out)
{
	fputs(".TP\n\\fB", out);
	print_roff(row->name, out);
	fputs("\\fR = \\fI", out);
	print_roff(row->form, out);
	fputs("\\fR\n", out);
	print_roff(row->help, out);
	fputc('\n', out);
}

void options_print_manual(FILE *out)
{
	fputs(".SH OPTIONS\n", out);
	for (size_t i = 0; i < option_row_count; i++)
		print_manual_row(&option_rows[i], out);
	options_print_forward_manual(out);
	fputs(".SH ZONES\n"
	      "A section \\fBzone\\fR \\(dq\\fIname\\fR\\(dq { ... } has these options of its "
	      "own:\n",
		out);
	for (size_t i = 0; i < ZONE_FIELD_COUNT; i++)
		print_manual_zone_row(&zone_rows[i], out);
	options_print_key_manual(out);
	options_print_group_manual(out);
}
