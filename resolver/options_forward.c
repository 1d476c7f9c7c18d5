/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sections `forward "ZONE" { upstream = { … } }`. Whether their titles are good and stand
 * beside each other is asked of the very table that will serve them (route_table.h), which is made
 * here for that alone: two descriptions of the same rules would part one day.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "resolver/options_private.h"
#include "resolver/upstream/route_table.h"
#include "resolver/upstream/server.h"

#define TITLE_SHOWN_MAX 80

/* The list means what the option `upstream` means, our own addresses among it refused. */
static void set_servers(struct options *options, struct forward_options *forward,
	const struct forward_section *section, struct faults *faults)
{
	const struct option_row *row = option_row_find("upstream");
	const struct row_settings *given = &section->upstream;
	bool empty = given->count == 1 && given->items[0].text[0] == '\0';
	struct options scratch = *options;
	char why[WHY_MAX];

	scratch.upstream = NULL;
	scratch.upstream_count = 0;
	for (size_t i = 0; i < given->count && !empty; i++) {
		if (!option_set(&scratch, row, given->items[i].text, why))
			faults_add(faults, given->items[i].line, "forward \"%.*s\": upstream: %s",
				TITLE_SHOWN_MAX, section->title, why);
	}
	forward->upstream = scratch.upstream;
	forward->upstream_count = scratch.upstream_count;
}

static void check_title(
	struct route_table *table, const struct forward_section *section, struct faults *faults)
{
	const char *other;
	enum td_error error =
		strlen(section->title) >= ROUTE_TITLE_MAX || option_has_control(section->title)
			? TD_INVALID
			: route_table_add(table, section->title, NULL, 0, &other);

	if (error == TD_INVALID)
		faults_add(faults, section->line,
			"forward \"%.*s\": this is no domain and no network, expected one such as "
			"corp.example, 10.1.0.0/16 or 2001:db8::/32 (for all names: the option "
			"upstream)",
			TITLE_SHOWN_MAX, section->title);
	else if (error == TD_REFUSED)
		faults_add(faults, section->line,
			"forward \"%.*s\": section \"%.*s\" is for the same names, expected each "
			"zone once",
			TITLE_SHOWN_MAX, section->title, TITLE_SHOWN_MAX, other);
	else if (error == TD_FULL)
		faults_add(faults, section->line,
			"forward \"%.*s\": this is one section too many, expected at most %d",
			TITLE_SHOWN_MAX, section->title, ROUTE_SECTIONS_MAX);
	else if (error != TD_OK)
		faults->no_memory = true;
}

static void apply_section(struct options *options, struct route_table *table,
	const struct forward_section *section, struct faults *faults)
{
	struct forward_options *forward = &options->forwards[options->forward_count++];

	forward->title = strdup(section->title);
	if (!forward->title)
		faults->no_memory = true;
	check_title(table, section, faults);
	if (section->upstream.line == 0)
		faults_add(faults, section->line,
			"forward \"%.*s\": no server is named, expected upstream = { \"ADDRESS\" "
			"}, "
			"or upstream = { } for names that are never forwarded",
			TITLE_SHOWN_MAX, section->title);
	set_servers(options, forward, section, faults);
}

void options_apply_forwards(
	struct options *options, const struct settings *settings, struct faults *faults)
{
	struct route_table *table = route_table_new(NULL, 0);

	options->forwards = calloc(settings->forward_count + 1, sizeof(options->forwards[0]));
	if (!table || !options->forwards) {
		faults->no_memory = true;
		route_table_free(table);
		return;
	}
	for (size_t i = 0; i < settings->forward_count; i++)
		apply_section(options, table, &settings->forwards[i], faults);
	route_table_free(table);
}

void options_forget_forwards(struct options *options)
{
	for (size_t i = 0; i < options->forward_count; i++) {
		free(options->forwards[i].title);
		free(options->forwards[i].upstream);
	}
	free(options->forwards);
}

void options_print_forwards(const struct options *options, FILE *out)
{
	const struct option_row *row = option_row_find("upstream");
	struct options scratch = *options;

	for (size_t i = 0; i < options->forward_count; i++) {
		scratch.upstream = options->forwards[i].upstream;
		scratch.upstream_count = options->forwards[i].upstream_count;
		fputs("\nforward ", out);
		option_print_quoted(options->forwards[i].title, out);
		fputs(" {\n\tupstream = ", out);
		option_print_value(&scratch, row, out);
		fputs("\n}\n", out);
	}
}

void options_print_forward_sample(FILE *out)
{
	fputs("\n"
	      "# Names below a domain, or the reverse names of a network, are asked of servers of "
	      "their own;\n"
	      "# the longest one counts. Without a server they are never forwarded. Takes effect "
	      "at a reload.\n"
	      "\n"
	      "#forward \"corp.example\" { upstream = { \"10.0.0.53\" } }\n"
	      "#forward \"10.1.0.0/16\" { upstream = { \"10.0.0.53\", \"10.0.0.54\" } }\n"
	      "#forward \"lan\" { upstream = { } }\n",
		out);
}

void options_print_forward_manual(FILE *out)
{
	fputs(".SH FORWARDING\n"
	      "A section \\fBforward\\fR \\(dq\\fIzone\\fR\\(dq { ... } names the servers for one "
	      "part of the names.\n"
	      "The zone is a domain, for itself and all names below it, or a network such as "
	      "\\fB10.1.0.0/16\\fR or \\fB2001:db8::/32\\fR, for the reverse names (PTR) of its "
	      "addresses, also where its length is no multiple of 8 or 4.\n"
	      "Of several zones the longest counts; names in none belong to the option "
	      "\\fBupstream\\fR.\n"
	      "There are at most 256 sections. A reload brings them into effect: a server that "
	      "stays keeps what is known of it, questions on their way end with the servers they "
	      "were sent to, and what was cached for names of a section that came, went or "
	      "changed is dropped.\n"
	      ".TP\n"
	      "\\fBupstream\\fR = \\fI{ \\(dqaddress\\(dq, ... }\\fR\n"
	      "As the option of that name, for this zone; needed. The empty list \\fB{ }\\fR: "
	      "names "
	      "of this zone are never forwarded, and answered that they do not exist, but for "
	      "those out of a hosts file.\n",
		out);
}
