/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A word of hexadecimal digits, colons and dots may be an address. Logs are full of such words
 * (times, MAC addresses, ports), so each is looked at in steps that get dearer: two colons within
 * reach, a beginning or a part that tunnels write, and only then inet_pton.
 *
 * Lines are of no importance here but for their numbers, so a line may be as long as it likes. A
 * regular expression over whole lines was tried on paper: it needs the line in memory, and it takes
 * ten times as long.
 */
#include "resolver/control/decode_filter.h"

#include <string.h>

#include "lib/dns/tunnel.h"
#include "resolver/control/known.h"
#include "resolver/control/output.h"

enum {
	OTHER,
	WORD,
	LETTER
}; /* of an address; another letter, digit or '_': no address beside it */

static const uint8_t classes[256] = {
	['0' ... '9'] = WORD,
	['a' ... 'f'] = WORD,
	['A' ... 'F'] = WORD,
	[':'] = WORD,
	['.'] = WORD,
	['g' ... 'z'] = LETTER,
	['G' ... 'Z'] = LETTER,
	['_'] = LETTER,
};

static int class_of(char c)
{
	return classes[(unsigned char)c];
}

/* --- what goes out --- */

static void append_text(
	const struct decode_filter *filter, const char *text, size_t size, struct strbuf *out)
{
	if (filter->form == DECODE_PLAIN)
		strbuf_append(out, text, size);
	if (filter->form != DECODE_ESCAPED)
		return;
	for (size_t i = 0; i < size; i++) {
		char one[2] = {text[i], '\0'};
		if (text[i] == '\n' || text[i] == '\t')
			strbuf_append_char(out, text[i]);
		else if (text[i] == '\0')
			strbuf_append_text(out, "\\000");
		else
			output_text(out, one);
	}
}

static void append_json(
	const struct decode_filter *filter, const struct address *address, struct strbuf *out)
{
	char text[ADDRESS_TEXT_MAX];

	strbuf_append_char(out, '{');
	strbuf_json_u64(out, "line", filter->line);
	strbuf_json_text(out, "address", address_to_text(address, text));
	known_describe_json(address, out);
	strbuf_append_text(out, "}\n");
}

/* --- words --- */

static bool contains_isatap(const char *word, size_t size)
{
	for (size_t i = 3; i < size; i++)
		if (word[i - 3] == '5' && (word[i - 2] | 0x20) == 'e' &&
			(word[i - 1] | 0x20) == 'f' && (word[i] | 0x20) == 'e')
			return true;
	return false;
}

/* Cheap, and true of every tunnel address. */
static bool is_promising(const char *word, size_t size)
{
	const char *colon = memchr(word, ':', size);

	if (!colon || !memchr(colon + 1, ':', size - (size_t)(colon + 1 - word)))
		return false;
	return (size > 5 && memcmp(word, "200", 3) == 0 && (word[3] == '1' || word[3] == '2') &&
		       word[4] == ':') ||
	       contains_isatap(word, size);
}

static bool is_tunnel(const char *word, size_t size, struct address *address, struct tunnel *tunnel)
{
	char text[ADDRESS_TEXT_MAX];

	if (size < 4 || size >= sizeof(text) || !is_promising(word, size))
		return false;
	memcpy(text, word, size);
	text[size] = '\0';
	if (!address_from_text(address, text))
		return false;
	*tunnel = tunnel_decode(address);
	return tunnel->kind != TUNNEL_NONE;
}

/* What is not of the address: a colon that ends a label before it, the full stop or the colon
 * behind it. */
static void trim_word(const char **word, size_t *size)
{
	if (*size > 1 && (*word)[0] == ':' && (*word)[1] != ':') {
		++*word;
		--*size;
	}
	while (*size > 1 && ((*word)[*size - 1] == '.' ||
				    ((*word)[*size - 1] == ':' && (*word)[*size - 2] != ':')))
		--*size;
}

/* A whole word; joined: a letter or a digit stands right before it, ended: a letter behind it. */
static void take_word(struct decode_filter *filter, const char *text, size_t size, bool joined,
	bool ended, struct strbuf *out)
{
	const char *word = text;
	size_t length = size;
	struct address address;
	struct tunnel tunnel;

	trim_word(&word, &length);
	bool is_free = (!joined || word > text) && (!ended || word + length < text + size);
	if (size >= DECODE_HELD_MAX || !is_free || !is_tunnel(word, length, &address, &tunnel)) {
		append_text(filter, text, size, out);
		return;
	}
	size_t before = (size_t)(word - text) + length;
	filter->found++;
	append_text(filter, text, before, out);
	if (filter->form == DECODE_JSON)
		append_json(filter, &address, out);
	else
		known_append_tunnel(&tunnel, out);
	append_text(filter, text + before, size - before, out);
}

/* --- pieces --- */

/* To the next byte that can belong to an address with a colon before it: nothing else is looked
 * at. */
static const char *find_word(const char *at, const char *end)
{
	const char *start = at;
	const char *colon = memchr(at, ':', (size_t)(end - at));

	for (at = colon ? colon : end; at > start && class_of(at[-1]) == WORD;)
		at--;
	return at;
}

static void count_lines(struct decode_filter *filter, const char *text, size_t size)
{
	const char *end = text + size;

	if (filter->form != DECODE_JSON)
		return;
	while ((text = memchr(text, '\n', (size_t)(end - text))) != NULL) {
		filter->line++;
		text++;
	}
}

/* Text without an address. */
static void pass(struct decode_filter *filter, const char *text, size_t size, struct strbuf *out)
{
	if (size == 0)
		return;
	append_text(filter, text, size, out);
	count_lines(filter, text, size);
	filter->joined = class_of(text[size - 1]) != OTHER;
}

/* All words of a piece that ends with a byte that is of none, or with the text. */
static void take_piece(
	struct decode_filter *filter, const char *at, const char *end, struct strbuf *out)
{
	while (at < end) {
		const char *word = find_word(at, end), *behind = word;
		pass(filter, at, (size_t)(word - at), out);
		while (behind < end && class_of(*behind) == WORD)
			behind++;
		if (behind > word) {
			take_word(filter, word, (size_t)(behind - word), filter->joined,
				behind < end && class_of(*behind) == LETTER, out);
			filter->joined = true;
		}
		at = behind;
	}
}

/* How much at the end may go on in the next piece; more than an address can be is none. */
static size_t unfinished(const char *data, size_t size)
{
	size_t held = 0;

	while (held < size && held < DECODE_HELD_MAX && class_of(data[size - held - 1]) == WORD)
		held++;
	return held < DECODE_HELD_MAX ? held : 0;
}

void decode_filter_init(struct decode_filter *filter, enum decode_form form)
{
	*filter = (struct decode_filter){.form = form, .line = 1};
}

/* The rest of a word that is too long. Returns the bytes taken. */
static size_t finish_run(
	struct decode_filter *filter, const char *data, size_t size, struct strbuf *out)
{
	size_t taken = 0;

	while (taken < size && class_of(data[taken]) == WORD)
		taken++;
	pass(filter, data, taken, out);
	filter->running = taken == size;
	return taken;
}

/* The word that was held back, with as much of the new piece as belongs to it. Returns the bytes
 * taken. */
static size_t finish_held(
	struct decode_filter *filter, const char *data, size_t size, struct strbuf *out)
{
	size_t taken = 0;

	while (taken < size && filter->held < DECODE_HELD_MAX && class_of(data[taken]) == WORD)
		filter->text[filter->held++] = data[taken++];
	if (filter->held < DECODE_HELD_MAX && taken == size && size > 0)
		return taken;
	filter->running = filter->held == DECODE_HELD_MAX;
	if (filter->running)
		pass(filter, filter->text, filter->held, out);
	else
		take_word(filter, filter->text, filter->held, filter->joined,
			taken < size && class_of(data[taken]) == LETTER, out);
	filter->joined = true;
	filter->held = 0;
	return taken;
}

void decode_filter_feed(
	struct decode_filter *filter, const char *data, size_t size, struct strbuf *out)
{
	size_t taken = filter->held ? finish_held(filter, data, size, out) : 0;

	if (filter->held)
		return;
	if (filter->running)
		taken += finish_run(filter, data + taken, size - taken, out);
	data += taken;
	size -= taken;
	size_t held = unfinished(data, size);
	take_piece(filter, data, data + size - held, out);
	if (size && !held)
		filter->running = class_of(data[size - 1]) == WORD;
	if (held)
		memcpy(filter->text, data + size - held, held);
	filter->held = held;
}
