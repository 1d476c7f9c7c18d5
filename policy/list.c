/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists that people have, other than RPZ: hosts files, domains, wildcards, dnsmasq lines, Adblock.
 * A reader a format stands in a file of its own; here is what they share.
 *
 * Such files come from the web as they are, so nothing in them is taken on trust and nothing ends
 * the reading: a line that cannot be used costs itself. It is reported, unless it is merely
 * repeated or a rule for something else than DNS (half of a list for browsers is): those are only
 * counted, or the one line that deserves a look would drown.
 *
 * Names go through a reader of their own instead of name_from_text: what has a blank, a slash or a
 * colon in it is no name here, but a page that somebody saved under the name of a list.
 */
#include "policy/list.h"

#include <string.h>

#include "config.h"
#include "lib/dns/message.h"
#include "policy/plain_name.h"
#ifdef HAVE_LIBIDN2
#include <idn2.h>
#include <stdlib.h>
#endif

static const char not_a_name[] = "not a domain name";

/* --- text --- */

bool list_is_blank(char c)
{
	static const bool blanks[256] = {
		[' '] = true, ['\t'] = true, ['\r'] = true, ['\f'] = true, ['\v'] = true};

	return blanks[(unsigned char)c];
}

void list_rewind(struct list *list)
{
	static const char mark[3] = "\xef\xbb\xbf";
	const char *text;

	list_input_rewind(list->input);
	if (list_input_look(list->input, sizeof(mark), &text) >= sizeof(mark) &&
		!memcmp(text, mark, sizeof(mark)))
		list_input_step(list->input, sizeof(mark));
	list->reading.load->lines = 0;
}

enum td_error list_begin(struct list *list, struct policy_builder *builder, const char *source,
	struct input *input, policy_report_fn *report, void *context, struct policy_load *load)
{
	list->input = input;
	list->line = (struct span){"", 0};
	list->address_length = SIZE_MAX;
	list->address_good = false;
	enum td_error error = reading_begin(&list->reading, builder, source, report, context, load);
	if (!error)
		list_rewind(list);
	return error;
}

struct span span_trim(struct span span)
{
	while (span.length && list_is_blank(span.text[0]))
		span = span_behind(span, 1);
	while (span.length && list_is_blank(span.text[span.length - 1]))
		span.length--;
	return span;
}

bool list_next(struct list *list)
{
	do {
		struct span line;
		if (!list_input_line(list->input, &line.text, &line.length))
			return false;
		list->line = span_trim(line);
		list->reading.load->lines++;
	} while (!list->line.length);
	return true;
}

struct span span_behind(struct span span, size_t count)
{
	return (struct span){span.text + count, span.length - count};
}

struct span span_word(struct span *rest)
{
	size_t start = 0, end;

	while (start < rest->length && list_is_blank(rest->text[start]))
		start++;
	for (end = start; end < rest->length && !list_is_blank(rest->text[end]); end++)
		;
	struct span word = {rest->text + start, end - start};
	*rest = span_behind(*rest, end);
	return word;
}

struct span span_without_comment(struct span line)
{
	const char *from = line.text, *end = line.text + line.length, *sign;

	while (from < end && (sign = memchr(from, '#', (size_t)(end - from)))) {
		if (sign == line.text || list_is_blank(sign[-1]))
			return span_trim((struct span){line.text, (size_t)(sign - line.text)});
		from = sign + 1;
	}
	return line;
}

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

bool span_starts(struct span span, const char *start)
{
	size_t i;

	for (i = 0; start[i]; i++)
		if (i == span.length || to_lower(span.text[i]) != start[i])
			return false;
	return true;
}

bool span_is(struct span span, const char *word)
{
	return strlen(word) == span.length && span_starts(span, word);
}

bool span_has(struct span span, char c)
{
	return span.length && memchr(span.text, c, span.length) != NULL;
}

/* --- names --- */

static bool label_is_number(const uint8_t *label)
{
	for (size_t i = 1; i <= label[0]; i++)
		if (label[i] < '0' || label[i] > '9')
			return false;
	return true;
}

/* The last one of a name that is not the root. */
static const uint8_t *last_label(const struct name *name)
{
	size_t at = 0, last = 0;

	for (; name->wire[at]; at += (size_t)1 + name->wire[at])
		last = at;
	return name->wire + last;
}

/* What is wrong with what is none, in words. */
static const char *name_fault(struct span text)
{
	size_t label = 0, longest = 0;

	for (size_t i = 0; i < text.length; i++) {
		bool dot = text.text[i] == '.';
		if (dot ? !label : !plain_name_octet(text.text[i]))
			return not_a_name;
		label = dot ? 0 : label + 1;
		longest = label > longest ? label : longest;
	}
	if (!text.length)
		return not_a_name;
	return text.length < NAME_WIRE_MAX && longest > NAME_LABEL_MAX
		       ? "a label is longer than 63 octets"
		       : "longer than a name can be";
}

/* Of ASCII characters. NULL, or what is wrong. */
static const char *read_ascii(struct span text, struct name *out)
{
	size_t length;
	size_t taken =
		plain_name_read(text.text, text.length, out->wire, NAME_WIRE_MAX, &length);

	if (!taken || taken != text.length)
		return name_fault(text);
	out->length = (uint8_t)length;
	return label_is_number(last_label(out)) ? "an address, not a name" : NULL;
}

#ifdef HAVE_LIBIDN2
static const char *read_idn(struct span text, struct name *out)
{
	char copy[NAME_TEXT_MAX];
	uint8_t *found = NULL;

	if (text.length >= sizeof(copy))
		return "longer than a name can be";
	memcpy(copy, text.text, text.length);
	copy[text.length] = '\0';
	if (strlen(copy) != text.length ||
		idn2_lookup_u8((const uint8_t *)copy, &found,
			IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return not_a_name;
	const char *why =
		read_ascii((struct span){(const char *)found, strlen((const char *)found)}, out);
	idn2_free(found);
	return why;
}
#else
static const char *read_idn(struct span text, struct name *out)
{
	(void)text;
	(void)out;
	return "not in ASCII: its form that begins with xn-- is needed";
}
#endif

static bool is_ascii(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if ((unsigned char)text.text[i] >= 0x80)
			return false;
	return true;
}

const char *list_name(struct span text, struct name *out)
{
	const char *why = read_ascii(text, out);

	return why && !is_ascii(text) ? read_idn(text, out) : why;
}

/* --- what becomes of a line --- */

void list_fault(struct list *list, enum policy_fault fault, const char *words)
{
	reading_fault(&list->reading, list->reading.load->lines, fault, words);
}

void list_bad_name(struct list *list, const char *words)
{
	list_fault(list, FAULT_NAME, words);
}

void list_foreign(struct list *list)
{
	list->reading.load->foreign++;
}

/* --- rules --- */

void list_count(struct list *list, unsigned added)
{
	if (added)
		list->reading.load->used++;
	else
		list->reading.load->repeated++;
}

/* What adding gave, counted; only TD_NOMEM is left. */
static enum td_error settle(struct list *list, enum td_error error, const char *too_many)
{
	if (error == TD_FULL)
		list_fault(list, FAULT_FULL, too_many);
	else if (error != TD_NOMEM)
		list_count(list, error == TD_OK);
	return error == TD_NOMEM ? TD_NOMEM : TD_OK;
}

enum td_error list_rule(
	struct list *list, const struct name *folded, unsigned where, enum policy_action action)
{
	return reading_rule(&list->reading, folded->wire, folded->length, where, action,
		list->reading.load->lines);
}

/* TD_INVALID: it is there, or the name has another rule. */
static enum td_error part_data(
	struct list *list, uint32_t node, bool below, const struct policy_record *record)
{
	struct policy_zone *zone = list->reading.zone;
	uint32_t rule = zone_rule_find(zone, node, below);

	if (rule == RULE_NONE) {
		enum td_error error = zone_rule_add(
			zone, node, below, ACTION_LOCAL_DATA, list->reading.load->lines, &rule);
		if (error)
			return error;
	} else if (zone_rule_action(zone, rule) != ACTION_LOCAL_DATA) {
		return TD_INVALID;
	}
	return zone_record_add(zone, rule, record);
}

enum td_error list_data(
	struct list *list, const struct name *folded, unsigned where, const struct address *address)
{
	const struct policy_record record = {
		.type = address->family == ADDRESS_V4 ? TYPE_A : TYPE_AAAA,
		.ttl_s = LIST_TTL_S,
		.rdata = address->octets,
		.rdata_length = (uint16_t)address_octets(address),
	};
	uint32_t node;
	enum td_error itself = TD_INVALID, below = TD_INVALID,
		      error = reading_flush(&list->reading);

	if (!error)
		error = zone_node_add(list->reading.zone, folded->wire, &node);
	if (!error && where & RULE_ITSELF)
		itself = part_data(list, node, false, &record);
	if (!error && where & RULE_BELOW && itself != TD_NOMEM)
		below = part_data(list, node, true, &record);
	if (!error)
		error = itself == TD_NOMEM || below == TD_NOMEM ? TD_NOMEM
			: itself == TD_OK || below == TD_OK     ? TD_OK
			: itself == TD_FULL || below == TD_FULL ? TD_FULL
								: TD_INVALID;
	return settle(list, error, "too many addresses for one name: at most 100");
}

bool list_is_pattern(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if (!plain_name_octet(text.text[i]) && text.text[i] != '.' &&
			text.text[i] != '*')
			return false;
	return text.length > 0 && text.length <= NAME_WIRE_MAX;
}

enum td_error list_pattern(struct list *list, struct span text, enum policy_action action)
{
	const char *why = not_a_name;
	enum td_error error = reading_flush(&list->reading);

	if (error)
		return error;
	error = list_is_pattern(text)
			? pattern_add(list->reading.builder, text.text, text.length, action,
				  list->reading.load->lines, &why)
			: TD_MALFORMED;
	if (error && error != TD_NOMEM && error != TD_INVALID)
		list_fault(list, error == TD_FULL ? FAULT_FULL : FAULT_NAME,
			why ? why : "names that were chosen to be slow to find");
	return error;
}

/* --- one way into all formats --- */

/*
 * About how many nodes the text makes: a list has a name a line, and names share what is above
 * them. Too few makes the table grow once more, too many is given back.
 */
static size_t nodes_expected(struct input *input)
{
	size_t lines = 1, length;
	const char *line;

	while (list_input_line(input, &line, &length))
		lines++;
	return lines + lines / 5;
}

static enum td_error read_lines(struct list *list, enum zone_format format)
{
	switch (format) {
	case FORMAT_HOSTS:
		return list_read_hosts(list);
	case FORMAT_DOMAINS:
		return list_read_domains(list);
	case FORMAT_WILDCARDS:
		return list_read_wildcards(list);
	case FORMAT_DNSMASQ:
		return list_read_dnsmasq(list);
	case FORMAT_ADBLOCK:
		return list_read_adblock(list);
	case FORMAT_RPZ:
	case FORMAT_PATTERNS:
	case ZONE_FORMATS:
		break;
	}
	return TD_UNSUPPORTED;
}

static enum td_error read_list(struct policy_builder *builder, enum zone_format format,
	const char *source, struct input *input, policy_report_fn *report, void *context,
	struct policy_load *load)
{
	struct list list;
	enum td_error error = list_begin(&list, builder, source, input, report, context, load);

	if (!error)
		error = zone_reserve(list.reading.zone, nodes_expected(input));
	list_rewind(&list);
	if (!error)
		error = read_lines(&list, format);
	return error ? error : reading_flush(&list.reading);
}

static enum td_error read_input(struct policy_builder *builder, enum zone_format format,
	const char *source, struct input *input, policy_report_fn *report, void *context,
	struct policy_load *load)
{
	enum td_error error;

	if (format == FORMAT_RPZ)
		error = rpz_read_input(builder, source, input, report, context, load);
	else if (format == FORMAT_PATTERNS)
		error = patterns_read_input(builder, source, input, report, context, load);
	else
		error = read_list(builder, format, source, input, report, context, load);
	return input->failed ? TD_NOMEM : error;
}

enum td_error policy_builder_read(struct policy_builder *builder, enum zone_format format,
	const char *source, const char *text, size_t size, policy_report_fn *report, void *context,
	struct policy_load *load)
{
	struct input input;

	list_input_init_text(&input, text, size);
	return read_input(builder, format, source, &input, report, context, load);
}

enum td_error policy_builder_read_input(struct policy_builder *builder, enum zone_format format,
	const char *source, const struct policy_input *from, policy_report_fn *report,
	void *context, struct policy_load *load)
{
	struct input input;
	enum td_error error;

	list_input_init(&input, from);
	error = read_input(builder, format, source, &input, report, context, load);
	list_input_deinit(&input);
	return error;
}

enum td_error policy_builder_rpz(struct policy_builder *builder, const char *source,
	const char *text, size_t size, policy_report_fn *report, void *context,
	struct policy_load *load)
{
	return policy_builder_read(
		builder, FORMAT_RPZ, source, text, size, report, context, load);
}

enum td_error policy_builder_patterns(struct policy_builder *builder, const char *source,
	const char *text, size_t size, policy_report_fn *report, void *context,
	struct policy_load *load)
{
	return policy_builder_read(
		builder, FORMAT_PATTERNS, source, text, size, report, context, load);
}
