/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values of options: from the text of a file into a field of struct options and back, one function
 * for each type. Ranges and units come from the option's row.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/options_private.h"

#define DNS_PORT 53

/* --- values in text --- */

struct suffix {
	const char *text;
	uint64_t factor;
};

static const struct suffix size_suffixes[] = {
	{"G", UINT64_C(1) << 30}, {"M", UINT64_C(1) << 20}, {"K", UINT64_C(1) << 10}, {NULL, 0}};

/* Weeks are read and never written: they stand behind what divides everything. */
static const struct suffix duration_suffixes[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
	{"s", 1000}, {"ms", 1}, {"w", 604800000}, {NULL, 0}};

static const struct suffix *suffixes_of(const struct option_row *row)
{
	return row->type == OPTION_SIZE ? size_suffixes : duration_suffixes;
}

/* Digits at text, *end behind them. False when there is none or they do not fit. */
static bool parse_digits(const char *text, uint64_t *out, char **end)
{
	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*out = strtoull(text, end, 10);
	return errno == 0;
}

/*
 * A number with a suffix, in units of the field. A number alone counts bytes, or for a duration the
 * unit of the field.
 */
static bool parse_scaled(const struct option_row *row, const char *text, uint64_t *out)
{
	uint64_t number;
	char *end;
	if (!parse_digits(text, &number, &end))
		return false;
	uint64_t factor = row->type == OPTION_SIZE ? 1 : row->scale;
	if (*end != '\0') {
		const struct suffix *s = suffixes_of(row);
		while (s->text && strcasecmp(s->text, end) != 0)
			s++;
		if (!s->text)
			return false;
		factor = s->factor;
	}
	if (number > UINT64_MAX / factor || number * factor % row->scale != 0)
		return false;
	*out = number * factor / row->scale;
	return true;
}

bool options_read_duration(const char *text, uint64_t *out_ms)
{
	static const struct option_row row = {.type = OPTION_DURATION, .scale = 1};
	size_t digits = strspn(text, "0123456789");

	return text[digits] && parse_scaled(&row, text, out_ms);
}

/* The shortest form with a suffix: 67108864 is "64M". */
static void format_scaled(const struct option_row *row, uint64_t value, char *out, size_t size)
{
	uint64_t total = value * row->scale;
	const struct suffix *s = suffixes_of(row);
	while (s->text && (total == 0 || total % s->factor != 0))
		s++;
	if (s->text)
		snprintf(out, size, "%" PRIu64 "%s", total / s->factor, s->text);
	else
		snprintf(out, size, "%" PRIu64, total);
}

static void format_value(const struct option_row *row, uint64_t value, char *out, size_t size)
{
	if (row->type == OPTION_NUMBER)
		snprintf(out, size, "%" PRIu64, value);
	else
		format_scaled(row, value, out, size);
}

bool option_find_word(const char *const *words, const char *text, unsigned *out)
{
	for (unsigned i = 0; words[i]; i++) {
		if (strcmp(words[i], text) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

void option_list_words(const char *const *words, char *out)
{
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; words[i] && used < WHY_MAX; i++) {
		const char *between = i == 0 ? "" : words[i + 1] ? ", " : " or ";
		used += (size_t)snprintf(out + used, WHY_MAX - used, "%s%s", between, words[i]);
	}
}

bool option_has_control(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

bool option_refuse(char *why, const char *words)
{
	snprintf(why, WHY_MAX, "%s", words);
	return false;
}

/* --- addresses in text --- */

static bool parse_endpoint(
	const struct option_row *row, const char *text, struct endpoint *out, char *why)
{
	uint16_t port = row->port ? row->port : DNS_PORT;
	if (server_endpoint_from_text(out, text, port) && out->port != 0)
		return true;
	snprintf(why, WHY_MAX,
		"\"%.80s\" is not an address, expected one such as 192.0.2.1, 192.0.2.1:%u or "
		"[2001:db8::1]:%u",
		text, port, port);
	return false;
}

static bool parse_server(const char *text, struct server_address *out, char *why)
{
	const char *words;
	if (server_address_from_text(out, text, &words) != TD_OK) {
		snprintf(why, WHY_MAX, "\"%.80s\" %s", text, words);
		return false;
	}
	if (out->transport == SERVER_TLS && !server_tls_is_available())
		return option_refuse(why, "tls:// cannot be used: this build has no TLS (it was "
					  "configured without OpenSSL), expected ADDRESS or "
					  "tcp://ADDRESS");
	return true;
}

static bool parse_prefix(const char *text, struct prefix *out, char *why)
{
	if (prefix_from_text(out, text) == TD_OK)
		return true;
	snprintf(why, WHY_MAX,
		"\"%.80s\" is not a network, expected one such as 192.168.0.0/16, with no bit set "
		"behind its length",
		text);
	return false;
}

/* --- setting a field --- */

static void *field_of(const struct options *options, const struct option_row *row)
{
	return (char *)options + row->offset;
}

/* The pointer in a field, whatever it points to: pointers of different types must not alias. */
static void *pointer_of(const struct options *options, const struct option_row *row)
{
	void *pointer;
	memcpy(&pointer, field_of(options, row), sizeof(pointer));
	return pointer;
}

static void store_pointer(struct options *options, const struct option_row *row, void *pointer)
{
	memcpy(field_of(options, row), &pointer, sizeof(pointer));
}

static size_t *count_of(const struct options *options, const struct option_row *row)
{
	return (size_t *)(void *)((char *)options + row->count_offset);
}

static uint64_t field_value(const struct options *options, const struct option_row *row)
{
	if (row->size == sizeof(uint64_t))
		return *(const uint64_t *)field_of(options, row);
	return *(const unsigned *)field_of(options, row);
}

static void store_value(struct options *options, const struct option_row *row, uint64_t value)
{
	if (row->size == sizeof(uint64_t))
		*(uint64_t *)field_of(options, row) = value;
	else
		*(unsigned *)field_of(options, row) = (unsigned)value;
}

bool option_is_list(const struct option_row *row)
{
	return row->type == OPTION_ENDPOINTS || row->type == OPTION_SERVERS ||
	       row->type == OPTION_PREFIXES || row->type == OPTION_TEXTS;
}

static bool set_number(
	struct options *options, const struct option_row *row, const char *text, char *why)
{
	char expected[WHY_MAX];
	uint64_t value;
	char *end;
	bool readable = row->type == OPTION_NUMBER
				? parse_digits(text, &value, &end) && *end == '\0'
				: parse_scaled(row, text, &value);
	if (readable && ((value >= row->min && value <= row->max) || (row->or_zero && value == 0))) {
		store_value(options, row, value);
		return true;
	}
	option_describe(row, expected);
	snprintf(why, WHY_MAX, "\"%.40s\" %s, expected %.300s", text,
		readable ? "is out of range" : "is not understood", expected);
	return false;
}

static bool set_word(
	struct options *options, const struct option_row *row, const char *text, char *why)
{
	char expected[WHY_MAX];
	unsigned word;
	if (option_find_word(row->words, text, &word)) {
		store_value(options, row, word);
		return true;
	}
	option_list_words(row->words, expected);
	snprintf(why, WHY_MAX, "\"%.40s\" is not known, expected %.300s", text, expected);
	return false;
}

static bool set_text(
	struct options *options, const struct option_row *row, const char *text, char *why)
{
	size_t length = strlen(text);
	if (length < row->min)
		return option_refuse(why, "is empty, expected a value");
	if (length > row->max) {
		snprintf(why, WHY_MAX, "is too long, expected at most %" PRIu64 " bytes", row->max);
		return false;
	}
	if (row->check && !row->check(options, text, why))
		return false;
	char *copy = strdup(text);
	if (!copy)
		return option_refuse(why, error_text(TD_NOMEM));
	free(pointer_of(options, row));
	store_pointer(options, row, copy);
	return true;
}

static bool refuse_repeated(const char *text, char *why)
{
	snprintf(why, WHY_MAX, "\"%.80s\" is in the list twice, expected each entry once", text);
	return false;
}

static size_t item_size(enum option_type type)
{
	if (type == OPTION_ENDPOINTS)
		return sizeof(struct endpoint);
	if (type == OPTION_SERVERS)
		return sizeof(struct server_address);
	return type == OPTION_TEXTS ? sizeof(char *) : sizeof(struct prefix);
}

static const void *item_at(const struct options *options, const struct option_row *row, size_t i)
{
	return (const char *)pointer_of(options, row) + i * item_size(row->type);
}

static bool items_equal(enum option_type type, const void *a, const void *b)
{
	const struct prefix *left = a, *right = b;
	if (type == OPTION_ENDPOINTS)
		return endpoint_equal(a, b);
	if (type == OPTION_SERVERS)
		return server_address_equal(a, b);
	if (type == OPTION_TEXTS)
		return strcmp(*(char *const *)a, *(char *const *)b) == 0;
	return left->length == right->length && address_equal(&left->address, &right->address);
}

/* Copies the item to the list's end. */
static bool append_item(struct options *options, const struct option_row *row, const void *item,
	const char *text, char *why)
{
	size_t count = option_count(options, row), size = item_size(row->type);
	for (size_t i = 0; i < count && !row->repeats; i++) {
		if (items_equal(row->type, item_at(options, row, i), item))
			return refuse_repeated(text, why);
	}
	if (count >= row->max) {
		snprintf(why, WHY_MAX, "has too many entries, expected at most %" PRIu64, row->max);
		return false;
	}
	char *grown = reallocarray(pointer_of(options, row), count + 1, size);
	if (!grown)
		return option_refuse(why, error_text(TD_NOMEM));
	memcpy(grown + count * size, item, size);
	store_pointer(options, row, grown);
	++*count_of(options, row);
	return true;
}

static bool add_endpoint(
	struct options *options, const struct option_row *row, const char *text, char *why)
{
	struct endpoint endpoint = {0};
	return parse_endpoint(row, text, &endpoint, why) &&
	       (!row->check || row->check(options, text, why)) &&
	       append_item(options, row, &endpoint, text, why);
}

static bool add_server(
	struct options *options, const struct option_row *row, const char *text, char *why)
{
	struct server_address server = {0};
	return parse_server(text, &server, why) &&
	       (!row->check || row->check(options, text, why)) &&
	       append_item(options, row, &server, text, why);
}

static bool add_prefix(
	struct options *options, const struct option_row *row, const char *text, char *why)
{
	struct prefix prefix = {0};
	return parse_prefix(text, &prefix, why) && append_item(options, row, &prefix, text, why);
}

static bool add_text(
	struct options *options, const struct option_row *row, const char *text, char *why)
{
	if (row->check && !row->check(options, text, why))
		return false;
	char *copy = strdup(text);
	if (!copy)
		return option_refuse(why, error_text(TD_NOMEM));
	if (append_item(options, row, &copy, text, why))
		return true;
	free(copy);
	return false;
}

bool option_set(struct options *options, const struct option_row *row, const char *text, char *why)
{
	if (option_has_control(text))
		return option_refuse(why, "has a control character in it, expected printable text");
	switch (row->type) {
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		return set_number(options, row, text, why);
	case OPTION_WORD:
		return set_word(options, row, text, why);
	case OPTION_TEXT:
		return set_text(options, row, text, why);
	case OPTION_ENDPOINTS:
		return add_endpoint(options, row, text, why);
	case OPTION_SERVERS:
		return add_server(options, row, text, why);
	case OPTION_PREFIXES:
		return add_prefix(options, row, text, why);
	case OPTION_TEXTS:
		return add_text(options, row, text, why);
	}
	return option_refuse(why, error_text(TD_UNSUPPORTED));
}

/* --- reading a field --- */

size_t option_count(const struct options *options, const struct option_row *row)
{
	return *count_of(options, row);
}

static bool lists_equal(
	const struct options *a, const struct options *b, const struct option_row *row)
{
	size_t count = option_count(a, row);
	if (count != option_count(b, row))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!items_equal(row->type, item_at(a, row, i), item_at(b, row, i)))
			return false;
	}
	return true;
}

bool option_equal(const struct options *a, const struct options *b, const struct option_row *row)
{
	if (option_is_list(row))
		return lists_equal(a, b, row);
	if (row->type == OPTION_TEXT)
		return strcmp(pointer_of(a, row), pointer_of(b, row)) == 0;
	return field_value(a, row) == field_value(b, row);
}

static void exchange(void *a, void *b, size_t size)
{
	unsigned char kept[sizeof(uint64_t)];
	memcpy(kept, a, size);
	memcpy(a, b, size);
	memcpy(b, kept, size);
}

void option_exchange(struct options *a, struct options *b, const struct option_row *row)
{
	exchange(field_of(a, row), field_of(b, row), row->size);
	if (option_is_list(row))
		exchange(count_of(a, row), count_of(b, row), sizeof(size_t));
}

void option_print_quoted(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text; text++) {
		if (strchr("\"\\$", *text))
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void print_server(const struct server_address *server, FILE *out)
{
	char text[SERVER_ADDRESS_TEXT_MAX];
	fprintf(out, "\"%s\"", server_address_to_text(server, text, sizeof(text)));
}

static void print_endpoint(const struct endpoint *endpoint, FILE *out)
{
	struct server_address server = server_address_plain(endpoint);
	print_server(&server, out);
}

static void print_prefix(const struct prefix *prefix, FILE *out)
{
	char text[ADDRESS_TEXT_MAX];
	fprintf(out, "\"%s/%u\"", address_to_text(&prefix->address, text), prefix->length);
}

static void print_list(const struct options *options, const struct option_row *row, FILE *out)
{
	fputs("{", out);
	for (size_t i = 0; i < option_count(options, row); i++) {
		const void *item = item_at(options, row, i);
		fputs(i == 0 ? " " : ", ", out);
		if (row->type == OPTION_ENDPOINTS)
			print_endpoint(item, out);
		else if (row->type == OPTION_SERVERS)
			print_server(item, out);
		else if (row->type == OPTION_TEXTS)
			option_print_quoted(*(char *const *)item, out);
		else
			print_prefix(item, out);
	}
	fputs(" }", out);
}

void option_print_value(const struct options *options, const struct option_row *row, FILE *out)
{
	char text[32];
	switch (row->type) {
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		format_value(row, field_value(options, row), text, sizeof(text));
		fputs(text, out);
		break;
	case OPTION_WORD:
		fputs(row->words[field_value(options, row)], out);
		break;
	case OPTION_TEXT:
		if (row->offset == offsetof(struct options, redis))
			option_print_redis(options->redis, out);
		else
			option_print_quoted(pointer_of(options, row), out);
		break;
	case OPTION_ENDPOINTS:
	case OPTION_SERVERS:
	case OPTION_PREFIXES:
	case OPTION_TEXTS:
		print_list(options, row, out);
		break;
	}
}

void option_describe(const struct option_row *row, char *out)
{
	static const char *const things[] = {[OPTION_NUMBER] = "a number",
		[OPTION_SIZE] = "a size such as 64M",
		[OPTION_DURATION] = "a duration"};
	char low[32], high[32];
	switch (row->type) {
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		format_value(row, row->min, low, sizeof(low));
		format_value(row, row->max, high, sizeof(high));
		snprintf(out, WHY_MAX, "%s%s from %s to %s%s%s", row->or_zero ? "0, or " : "",
			things[row->type], low, high,
			row->type == OPTION_NUMBER ? "" : ", in ",
			row->type == OPTION_NUMBER ? "" : row->unit);
		break;
	case OPTION_WORD:
		option_list_words(row->words, out);
		break;
	case OPTION_TEXT:
		snprintf(out, WHY_MAX, "%s, at most %" PRIu64 " bytes", row->unit, row->max);
		break;
	case OPTION_ENDPOINTS:
	case OPTION_SERVERS:
	case OPTION_PREFIXES:
	case OPTION_TEXTS:
		snprintf(out, WHY_MAX, "%" PRIu64 " to %" PRIu64 " %s", row->min, row->max,
			row->unit);
		break;
	}
}

static void free_texts(struct options *options, const struct option_row *row)
{
	char **items = pointer_of(options, row);
	for (size_t i = 0; i < option_count(options, row); i++)
		free(items[i]);
}

void option_fields_free(struct options *options)
{
	for (size_t i = 0; i < option_row_count; i++) {
		if (option_rows[i].type == OPTION_TEXTS)
			free_texts(options, &option_rows[i]);
		if (option_is_list(&option_rows[i]) || option_rows[i].type == OPTION_TEXT)
			free(pointer_of(options, &option_rows[i]));
	}
}
