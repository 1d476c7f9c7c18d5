/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pattern lists: what RPZ cannot say, such as `win*.ipv6.microsoft.com` and `isatap.*`.
 *
 * A pattern is compiled to atoms (octets and stars), label by label, and hung at the node of its
 * fixed end: the labels behind the last star. A lookup that walks down the tree tries it there
 * only, so patterns with a fixed end cost nothing to other names; those without one are tried for
 * every name, which is why their number is bounded. Regular expressions were rejected: they match
 * across labels, their cost is hard to bound, and no known tunnel name needs them.
 */
#include <string.h>

#include "policy/builder.h"
#include "policy/index.h"
#include "policy/reading.h"

/*
 * A pattern while it is read. It is never longer than a name, a star counted as an octet, so its
 * text fits where a name's does.
 */
struct compile {
	uint16_t atoms[NAME_WIRE_MAX];
	uint8_t starts[NAME_WIRE_MAX]; /* first atom of each label */
	unsigned atom_count, labels;
	unsigned label_octets, octets; /* stars included */
	bool open_start, open_end;
};

/* --- text to atoms --- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The octet after a backslash, \c or \DDD; false when it is neither. *used counts the characters.
 */
static bool escape_read(const char *text, size_t size, uint16_t *atom, size_t *used)
{
	if (size < 2)
		return false;
	if (!is_digit(text[1])) {
		*atom = (uint8_t)text[1];
		*used = 2;
		return true;
	}
	if (size < 4 || !is_digit(text[2]) || !is_digit(text[3]))
		return false;
	*atom = (uint16_t)((text[1] - '0') * 100 + (text[2] - '0') * 10 + (text[3] - '0'));
	*used = 4;
	return *atom <= 0xff;
}

static uint16_t fold_atom(uint16_t atom)
{
	return atom >= 'A' && atom <= 'Z' ? (uint16_t)(atom + 'a' - 'A') : atom;
}

/* Two stars in a row say what one says. */
static const char *label_atom(struct compile *compile, uint16_t atom)
{
	if (atom == ATOM_STAR && compile->label_octets &&
		compile->atoms[compile->atom_count - 1] == ATOM_STAR)
		return NULL;
	if (++compile->label_octets > NAME_LABEL_MAX)
		return "a label is longer than 63 octets";
	if (++compile->octets + compile->labels + 2 > NAME_WIRE_MAX)
		return "longer than a name can be";
	compile->atoms[compile->atom_count++] = fold_atom(atom);
	return NULL;
}

static const char *label_close(struct compile *compile)
{
	if (!compile->label_octets)
		return "an empty label";
	compile->starts[compile->labels++] = (uint8_t)(compile->atom_count - compile->label_octets);
	compile->atoms[compile->atom_count++] = ATOM_END;
	compile->label_octets = 0;
	return NULL;
}

/* NULL, or what is wrong. */
static const char *compile_text(struct compile *compile, const char *text, size_t size)
{
	const char *why = NULL;

	for (size_t i = 0, used; !why && i < size; i += used) {
		uint16_t atom = text[i] == '*' ? ATOM_STAR : (uint8_t)text[i];
		used = 1;
		if (text[i] == '.')
			why = label_close(compile);
		else if (text[i] == '\\' && !escape_read(text + i, size - i, &atom, &used))
			why = "a backslash is followed by one character or by three digits up to "
			      "255";
		else
			why = label_atom(compile, atom);
	}
	if (!why && compile->label_octets)
		why = label_close(compile);
	return why;
}

/* --- labels that stand for any number of labels, and the fixed end --- */

static bool label_is_star(const struct compile *compile, unsigned label)
{
	const uint16_t *atoms = compile->atoms + compile->starts[label];

	return atoms[0] == ATOM_STAR && atoms[1] == ATOM_END;
}

static bool label_is_fixed(const struct compile *compile, unsigned label)
{
	const uint16_t *atom = compile->atoms + compile->starts[label];

	while (*atom != ATOM_STAR && *atom != ATOM_END)
		atom++;
	return *atom == ATOM_END;
}

/* Takes a first and last label `*` away; a lone `*` is the first. */
static void compile_open_ends(struct compile *compile)
{
	if (label_is_star(compile, 0)) {
		compile->open_start = true;
		compile->labels--;
		compile->atom_count -= 2;
		memmove(compile->atoms, compile->atoms + 2,
			compile->atom_count * sizeof(*compile->atoms));
		for (unsigned i = 0; i < compile->labels; i++)
			compile->starts[i] = (uint8_t)(compile->starts[i + 1] - 2);
	}
	if (compile->labels && label_is_star(compile, compile->labels - 1)) {
		compile->open_end = true;
		compile->labels--;
		compile->atom_count -= 2;
	}
}

/* The labels behind the last star as a name. */
static void compile_fixed_end(const struct compile *compile, struct name *out)
{
	unsigned first = compile->labels;
	size_t length = 0;

	while (!compile->open_end && first && label_is_fixed(compile, first - 1))
		first--;
	for (; first < compile->labels && !compile->open_end; first++) {
		size_t at = length++;
		for (const uint16_t *atom = compile->atoms + compile->starts[first];
			*atom != ATOM_END; atom++)
			out->wire[length++] = (uint8_t)*atom;
		out->wire[at] = (uint8_t)(length - at - 1);
	}
	out->wire[length++] = 0;
	out->length = (uint8_t)length;
}

static bool pattern_is_known(
	const struct policy_zone *zone, const struct pattern *pattern, const uint16_t *atoms)
{
	for (size_t i = zone->pattern_count; i-- > 0;) {
		const struct pattern *other = &zone->patterns[i];
		if (other->node != pattern->node || other->open_start != pattern->open_start ||
			other->open_end != pattern->open_end ||
			other->atom_count != pattern->atom_count || other->action != pattern->action)
			continue;
		if (!memcmp(zone->atoms + other->atoms, atoms,
			    pattern->atom_count * sizeof(*atoms)))
			return true;
	}
	return false;
}

static enum td_error pattern_store(
	struct policy_zone *zone, const struct pattern *pattern, const uint16_t *atoms)
{
	void *patterns = zone->patterns, *pool = zone->atoms;
	enum td_error error;

	error = array_grow(&patterns, &zone->pattern_capacity, zone->pattern_count + 1,
		sizeof(*zone->patterns));
	zone->patterns = patterns;
	if (error)
		return error;
	/* One more than needed: a lone `*` has no atoms, and there is an array all the same. */
	error = array_grow(&pool, &zone->atom_capacity,
		zone->atom_count + pattern->atom_count + 1, sizeof(*zone->atoms));
	zone->atoms = pool;
	if (error)
		return error;
	memcpy(zone->atoms + zone->atom_count, atoms, pattern->atom_count * sizeof(*atoms));
	zone->atom_count += pattern->atom_count;
	zone->patterns[zone->pattern_count++] = *pattern;
	zone_filter_note(zone, pattern->node);
	zone->rules++;
	return TD_OK;
}

/* Those without a fixed end are tried for every name, whatever the zone. */
static size_t pattern_count(const struct policy_builder *builder)
{
	size_t count = 0;

	for (size_t i = 0; i < builder->index->zone_count; i++)
		count += builder->index->zones[i]->pattern_count;
	return count;
}

enum td_error pattern_add(struct policy_builder *builder, const char *text, size_t size,
	enum policy_action action, unsigned line, const char **why)
{
	struct policy_zone *zone = builder->zone;
	struct compile compile = {.atom_count = 0};
	struct pattern pattern = {.action = (uint8_t)action, .line = zone_line(zone, line)};
	struct name end;

	*why = compile_text(&compile, text, size);
	if (*why)
		return TD_MALFORMED;
	/* Before it leaves a node behind, and is compared with all of them: there may be a million more. */
	if (pattern_count(builder) >= INDEX_PATTERNS_MAX) {
		*why = "too many patterns: at most 4096 in all zones";
		return TD_FULL;
	}
	compile_open_ends(&compile);
	compile_fixed_end(&compile, &end);
	enum td_error error = zone_node_add(zone, end.wire, &pattern.node);
	if (error)
		return error;
	pattern.atoms = (uint32_t)zone->atom_count;
	pattern.atom_count = (uint16_t)compile.atom_count;
	pattern.labels = (uint8_t)compile.labels;
	pattern.open_start = compile.open_start;
	pattern.open_end = compile.open_end;
	if (pattern_is_known(zone, &pattern, compile.atoms)) {
		*why = "repeated: this pattern stands above already";
		return TD_INVALID;
	}
	return pattern_store(zone, &pattern, compile.atoms);
}

/* --- a list --- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* The pattern of a line, comment and blanks removed; length 0: there is none. */
static size_t line_pattern(const char *line, size_t length, const char **pattern)
{
	size_t start = 0, end = 0;

	while (end < length && line[end] != '#')
		end += line[end] == '\\' && end + 1 < length ? 2 : 1;
	while (start < end && is_blank(line[start]))
		start++;
	while (end > start && is_blank(line[end - 1]))
		end--;
	*pattern = line + start;
	return end - start;
}

/* A rule on the addresses of answers: TD_INVALID, TD_FULL and TD_MALFORMED with words, as pattern_add. */
static enum td_error masked_rule_add(struct policy_zone *zone, const char *text, size_t size,
	unsigned line, const char **why)
{
	struct masked masked;
	struct name name;
	uint32_t node, rule;

	*why = masked_read(text, size, &masked);
	if (*why)
		return TD_MALFORMED;
	masked_name(&masked, &name);
	enum td_error error = zone_node_add(zone, name.wire, &node);
	if (error)
		return error;
	if (zone_rule_find(zone, node, false) != RULE_NONE) {
		*why = "repeated: this mask stands above already";
		return TD_INVALID;
	}
	if (zone->addresses.masked_read == MASKED_MAX) {
		*why = "too many masks: at most 64 in a zone";
		return TD_FULL;
	}
	error = zone_rule_add(zone, node, false, ACTION_NXDOMAIN, line, &rule);
	zone->addresses.masked_read += !error;
	return error;
}

static enum td_error line_read(struct reading *reading, const char *line, size_t length)
{
	const char *pattern, *why = NULL;
	size_t size = line_pattern(line, length, &pattern);

	if (!size)
		return TD_OK;
	for (size_t i = 0; i < size; i++)
		if (is_blank(pattern[i]))
			why = "one pattern a line";
	if (!why) {
		unsigned number = reading->load->lines;
		enum td_error error =
			*pattern == '@'
				? masked_rule_add(reading->zone, pattern + 1, size - 1, number, &why)
				: pattern_add(reading->builder, pattern, size, ACTION_NXDOMAIN, number,
					  &why);
		if (error && !why)
			return error;
	}
	if (why)
		reading_skip(reading, reading->load->lines, why);
	else
		reading->load->used++;
	return TD_OK;
}

enum td_error patterns_read_input(struct policy_builder *builder, const char *source,
	struct input *input, policy_report_fn *report, void *context, struct policy_load *load)
{
	struct reading reading;
	const char *line;
	size_t length;

	enum td_error error = reading_begin(&reading, builder, source, report, context, load);
	while (!error && list_input_line(input, &line, &length)) {
		reading.load->lines++;
		error = line_read(&reading, line, length);
	}
	return error;
}

/* --- matching --- */

/*
 * Does the label at octets match the atoms? The usual walk with one place to return to: stars are
 * never nested.
 */
static bool label_matches(const uint16_t *atom, const uint8_t *label)
{
	const uint8_t *octet = label + 1, *end = octet + label[0], *retry_octet = NULL;
	const uint16_t *retry_atom = NULL;

	while (octet < end) {
		if (*atom == ATOM_STAR) {
			retry_atom = ++atom;
			retry_octet = octet;
		} else if (*atom == *octet) {
			atom++;
			octet++;
		} else if (retry_atom) {
			atom = retry_atom;
			octet = ++retry_octet;
		} else {
			return false;
		}
	}
	while (*atom == ATOM_STAR)
		atom++;
	return *atom == ATOM_END;
}

static bool labels_match(
	const uint16_t *atom, unsigned labels, const struct name_path *name, unsigned first)
{
	for (unsigned i = 0; i < labels; i++) {
		if (!label_matches(atom, name->wire + name->at[first + i]))
			return false;
		while (*atom++ != ATOM_END)
			;
	}
	return true;
}

bool pattern_matches(const struct policy_zone *zone, const struct pattern *pattern,
	const struct name_path *name)
{
	const uint16_t *atoms = zone->atoms + pattern->atoms;
	unsigned least = pattern->labels + pattern->open_start + pattern->open_end;

	if (name->count < least ||
		(name->count > least && !pattern->open_start && !pattern->open_end))
		return false;
	/* The labels of the pattern begin at one place of the name, except where both ends are
	 * open. */
	unsigned first = pattern->open_start && !pattern->open_end ? name->count - pattern->labels
								   : pattern->open_start;
	unsigned last = pattern->open_end && pattern->open_start ? name->count - pattern->labels - 1
								 : first;
	for (; first <= last; first++)
		if (labels_match(atoms, pattern->labels, name, first))
			return true;
	return false;
}

/* --- atoms to text --- */

static size_t octet_to_text(uint8_t octet, char *out)
{
	if (octet < 0x21 || octet > 0x7e) {
		out[0] = '\\';
		out[1] = (char)('0' + octet / 100);
		out[2] = (char)('0' + octet / 10 % 10);
		out[3] = (char)('0' + octet % 10);
		return 4;
	}
	size_t length = 0;
	if (strchr(".*\\\"();@$#", octet))
		out[length++] = '\\';
	out[length++] = (char)octet;
	return length;
}

/* A pattern whose end is open has no final dot: what it ends in is not the root. */
size_t pattern_to_text(const struct policy_zone *zone, const struct pattern *pattern, char *out)
{
	const uint16_t *atom = zone->atoms + pattern->atoms, *end = atom + pattern->atom_count;
	size_t length = 0;

	if (pattern->open_start) {
		out[length++] = '*';
		if (pattern->atom_count || pattern->open_end)
			out[length++] = '.';
	}
	for (; atom < end; atom++) {
		if (*atom == ATOM_END)
			out[length++] = '.';
		else if (*atom == ATOM_STAR)
			out[length++] = '*';
		else
			length += octet_to_text((uint8_t)*atom, out + length);
	}
	if (pattern->open_end)
		out[length++] = '*';
	out[length] = '\0';
	return length;
}
