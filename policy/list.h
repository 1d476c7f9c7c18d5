/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside policy/ only: what the readers of lists other than RPZ share: lines, words, names, and how
 * a rule gets into the zone opened last. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/dns/address.h"
#include "lib/dns/name.h"
#include "policy/builder.h"
#include "policy/input.h"
#include "policy/reading.h"

#define LIST_TTL_S 300 /* of addresses that a list gives to a name */

/* A piece of the text; not terminated. */
struct span {
	const char *text;
	size_t length;
};

struct list {
	struct reading reading;
	struct input *input;
	struct span line;     /* the one being read, without the blanks around it */
	/* Of the hosts line before, and what it meant: most have the same. */
	char address_text[ADDRESS_TEXT_MAX];
	size_t address_length; /* of the text, SIZE_MAX: there is none */
	struct address address;
	bool address_good;
};

/* --- text --- */

/* TD_INVALID when no zone is open. A byte order mark is stepped over. */
enum td_error list_begin(struct list *list, struct policy_builder *builder, const char *source,
	struct input *input, policy_report_fn *report, void *context, struct policy_load *load);

/* The next line that is not blank; false at the end. Blank lines are counted. */
bool list_next(struct list *list);

/* Again from the first line. */
void list_rewind(struct list *list);

bool list_is_blank(char c);
struct span span_trim(struct span span);
/* The next word, taken off *rest; length 0 at the end. */
struct span span_word(struct span *rest);
/* The line without a comment: `#` at its start or behind a blank. */
struct span span_without_comment(struct span line);
/* word is in lower case, text in any. */
bool span_is(struct span span, const char *word);
bool span_starts(struct span span, const char *start);
/* Without its first count characters. */
struct span span_behind(struct span span, size_t count);
bool span_has(struct span span, char c);

/*
 * Reads a name, folded; letters, digits, `-` and `_` only, with or without the final dot. Other
 * scripts become what DNS calls them where libidn2 is there. NULL, or what is wrong.
 */
const char *list_name(struct span text, struct name *out);

/* --- what becomes of a line --- */

/* Reports the line being read and counts it. */
void list_fault(struct list *list, enum policy_fault fault, const char *words);
/* Words of list_name. */
void list_bad_name(struct list *list, const char *words);
void list_foreign(struct list *list);

/* --- rules; TD_NOMEM only, what is repeated is counted --- */

/* One rule for the names that `where` says. */
enum td_error list_rule(
	struct list *list, const struct name *folded, unsigned where, enum policy_action action);
/* An address as local data. */
enum td_error list_data(struct list *list, const struct name *folded, unsigned where,
	const struct address *address);
/* Whether all of it may stand in a pattern, and it is not too long for one. */
bool list_is_pattern(struct span text);
/*
 * A pattern as policy_builder_patterns takes it, of what names may have, dots and stars.
 * TD_INVALID: it is there already; TD_NOMEM; any other error has been reported. Nothing is counted
 * as used.
 */
enum td_error list_pattern(struct list *list, struct span text, enum policy_action action);
/* A rule was taken, or repeated where it added nothing. */
void list_count(struct list *list, unsigned added);

/* --- hosts lines (list_hosts.c) --- */

/* 0.0.0.0, 127.0.0.1, :: and ::1 stand for a name that is blocked. */
bool list_address_blocks(const struct address *address);
/* The first word of a hosts line. False when it is no address. */
bool list_address(struct list *list, struct span word, struct address *out);
/* Names that every hosts file has for the machine itself: not rules. */
bool list_name_is_local(struct span name);

/* --- the readers: as policy_builder_read; the list has begun --- */

enum td_error list_read_hosts(struct list *list);
enum td_error list_read_domains(struct list *list);
enum td_error list_read_wildcards(struct list *list);
enum td_error list_read_dnsmasq(struct list *list);
enum td_error list_read_adblock(struct list *list);
