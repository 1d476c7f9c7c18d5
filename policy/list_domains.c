/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One name a line. The two formats differ in what a bare name means, and only whoever made the list
 * knows: in a list of domains the name alone, which is how Pi-hole, AdGuard Home and Blocky read it
 * (its makers list every subdomain they mean); in a list of wildcards the name and all below it,
 * with
 * `*.` or a dot in front or without. A `*.` says the latter in either.
 */
#include <string.h>

#include "policy/list.h"

/* What begins a line that is a comment as a whole; behind a name only `#` does. */
static bool is_comment(struct span line)
{
	return line.text[0] == '!' || line.text[0] == ';' || span_starts(line, "//");
}

static enum td_error line_read(
	struct list *list, struct span line, bool dot_is_wildcard, unsigned where)
{
	struct span rest = line, word = span_word(&rest);
	struct name name;

	if (span_word(&rest).length) {
		list_fault(list, FAULT_FORM, "one name a line");
		return TD_OK;
	}
	if (span_starts(word, "*.")) {
		word = span_behind(word, 2);
		where = RULE_ITSELF | RULE_BELOW;
	} else if (dot_is_wildcard && word.text[0] == '.') {
		word = span_behind(word, 1);
	}
	const char *why = list_name(word, &name);
	if (why) {
		list_bad_name(list, why);
		return TD_OK;
	}
	return list_rule(list, &name, where, ACTION_NXDOMAIN);
}

static enum td_error read_names(struct list *list, bool dot_is_wildcard, unsigned where)
{
	enum td_error error = TD_OK;

	while (!error && list_next(list)) {
		struct span line = span_without_comment(list->line);
		if (line.length && !is_comment(line))
			error = line_read(list, line, dot_is_wildcard, where);
	}
	return error;
}

enum td_error list_read_domains(struct list *list)
{
	return read_names(list, false, RULE_ITSELF);
}

enum td_error list_read_wildcards(struct list *list)
{
	return read_names(list, true, RULE_ITSELF | RULE_BELOW);
}
