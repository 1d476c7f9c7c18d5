/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zones that come by transfer: what stands of primaries in a section `zone`, and the sections `key
 * "NAME" { algorithm = … secret-file = … }`. A secret is in no file but its own, so that the
 * configuration can be shown to anybody; it is read at a start, and again at a reload where whoever
 * the daemon runs as by then may read it.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/base64.h"
#include "resolver/options_private.h"

#define LINE_SIZE 1024
#define NAME_SHOWN_MAX 80

/* --- secrets --- */

static size_t base64_octets(const char *text, size_t length)
{
	size_t pads = 0;

	while (pads < 2 && pads < length && text[length - 1 - pads] == '=')
		pads++;
	return length / 4 * 3 - pads;
}

static bool read_secret(FILE *file, char line[LINE_SIZE], struct tsig_key *key)
{
	size_t length;

	if (!fgets(line, LINE_SIZE, file))
		return false;
	length = strcspn(line, " \t\r\n");
	if (length == 0 || length % 4 != 0 || base64_octets(line, length) > TSIG_SECRET_MAX)
		return false;
	key->secret_length = (uint16_t)base64_octets(line, length);
	return base64_decode(line, length, key->secret, key->secret_length);
}

bool options_read_key(struct key_options *key, char *why, size_t size)
{
	struct tsig_key with = key->key;
	char line[LINE_SIZE];
	FILE *file = fopen(key->secret_file, "re");
	bool good = false;

	if (!file) {
		snprintf(why, size, "cannot be opened: %s", strerror(errno));
		return false;
	}
	setvbuf(file, NULL, _IONBF, 0); /* leaves no copy behind */
	good = read_secret(file, line, &with);
	if (good)
		key->key = with;
	else
		snprintf(why, size,
			"its first line is no secret, expected 1 to %d octets in base64",
			TSIG_SECRET_MAX);
	fclose(file);
	explicit_bzero(line, sizeof line);
	explicit_bzero(with.secret, sizeof with.secret);
	return good;
}

/* --- sections key --- */

static void key_complain(const struct key_section *section, unsigned line, struct faults *faults,
	const char *what, const char *expected)
{
	faults_add(faults, line ? line : section->line, "key \"%.*s\": %s, expected %s",
		NAME_SHOWN_MAX, section->title, what, expected);
}

static void set_algorithm(
	struct key_options *key, const struct key_section *section, struct faults *faults)
{
	const struct setting *given = &section->fields[KEY_FIELD_ALGORITHM];
	char words[WHY_MAX];
	unsigned algorithm = TSIG_SHA256;

	option_list_words(tsig_algorithm_words, words);
	if (given->text && !option_find_word(tsig_algorithm_words, given->text, &algorithm))
		key_complain(section, given->line, faults, "algorithm: is not known", words);
	key->key.algorithm = (enum tsig_algorithm)algorithm;
}

static void set_secret(struct key_options *key, const struct key_section *section, bool secrets,
	struct faults *faults)
{
	const struct setting *given = &section->fields[KEY_FIELD_SECRET_FILE];
	char why[WHY_MAX];

	if (!given->text || given->text[0] != '/') {
		key_complain(section, given->line, faults, "no file with the secret is named",
			"secret-file = \"/PATH\"");
		return;
	}
	key->secret_file = strdup(given->text);
	if (!key->secret_file)
		faults->no_memory = true;
	else if (secrets && !options_read_key(key, why, sizeof why))
		faults_add(faults, given->line, "key \"%.*s\": secret-file: \"%.200s\": %s",
			NAME_SHOWN_MAX, section->title, given->text, why);
}

static void apply_key(struct options *options, const struct key_section *section, bool secrets,
	struct faults *faults)
{
	struct key_options *key = &options->keys[options->key_count++];

	key->title = strdup(section->title);
	if (!key->title)
		faults->no_memory = true;
	if (!tsig_is_available())
		key_complain(section, 0, faults, "this build cannot sign",
			"no such section (build it with OpenSSL)");
	if (name_from_text(&key->key.name, section->title, strlen(section->title)) != TD_OK)
		key_complain(section, 0, faults, "this is no name of a key", "a domain name");
	name_fold(key->key.name.wire, key->key.name.wire, key->key.name.length);
	set_algorithm(key, section, faults);
	set_secret(key, section, secrets, faults);
}

/* --- zones --- */

static void zone_fault(const struct zone_section *section, unsigned line, struct faults *faults,
	const char *field, const char *text, const char *words)
{
	faults_add(faults, line, "zone \"%.40s\": %s: \"%.*s\" %s", section->name, field,
		NAME_SHOWN_MAX, text, words);
}

static void set_primaries(
	struct zone_options *zone, const struct zone_section *section, struct faults *faults)
{
	const struct row_settings *given = &section->primaries;

	if (given->count > ZONE_PRIMARIES_MAX)
		zone_fault(section, given->line, faults, "primary", given->items[0].text,
			"and the others are too many, expected at most 8");
	zone->primaries = calloc(given->count + 1, sizeof(zone->primaries[0]));
	if (!zone->primaries) {
		faults->no_memory = true;
		return;
	}
	for (size_t i = 0; i < given->count && i < ZONE_PRIMARIES_MAX; i++) {
		struct endpoint *primary = &zone->primaries[zone->primary_count++];
		if (!server_endpoint_from_text(primary, given->items[i].text, 53))
			zone_fault(section, given->items[i].line, faults, "primary",
				given->items[i].text,
				"is no address, expected one such as 192.0.2.1 or "
				"[2001:db8::1]:53");
	}
}

static void set_zone_name(
	struct zone_options *zone, const struct zone_section *section, struct faults *faults)
{
	const struct setting *given = &section->fields[ZONE_FIELD_ZONE_NAME];
	const char *text = given->text ? given->text : section->name;

	if (name_from_text(&zone->zone_name, text, strlen(text)) != TD_OK ||
		zone->zone_name.length == 1)
		zone_fault(section, given->line ? given->line : section->line, faults, "zone-name",
			text, "is no domain name");
	name_fold(zone->zone_name.wire, zone->zone_name.wire, zone->zone_name.length);
}

static bool is_key(const struct options *options, const char *title)
{
	for (size_t i = 0; i < options->key_count; i++)
		if (strcmp(options->keys[i].title, title) == 0)
			return true;
	return false;
}

static void set_key(const struct options *options, struct zone_options *zone,
	const struct zone_section *section, struct faults *faults)
{
	const struct setting *given = &section->fields[ZONE_FIELD_KEY];

	if (!given->text)
		return;
	if (!is_key(options, given->text))
		zone_fault(section, given->line, faults, "key", given->text,
			"is not there, expected the name of a section key");
	zone->key = strdup(given->text);
	if (!zone->key)
		faults->no_memory = true;
}

/* What is said of transfers, and no primary is named. */
static void check_without_primary(const struct zone_section *section, struct faults *faults)
{
	static const enum zone_field fields[] = {ZONE_FIELD_ZONE_NAME, ZONE_FIELD_KEY};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (section->fields[fields[i]].text)
			zone_fault(section, section->fields[fields[i]].line, faults,
				zone_rows[fields[i]].name, section->fields[fields[i]].text,
				"is for zones that come by transfer, expected primary as well");
}

static void apply_zone(struct options *options, struct zone_options *zone,
	const struct zone_section *section, struct faults *faults)
{
	if (section->primaries.line == 0) {
		check_without_primary(section, faults);
		return;
	}
	if (section->fields[ZONE_FIELD_FILE].text)
		zone_fault(section, section->fields[ZONE_FIELD_FILE].line, faults, "file",
			section->fields[ZONE_FIELD_FILE].text,
			"stands beside primary, expected one of the two");
	if (zone->format != FORMAT_RPZ)
		zone_fault(section, section->fields[ZONE_FIELD_FORMAT].line, faults, "format",
			section->fields[ZONE_FIELD_FORMAT].text,
			"stands beside primary, expected rpz");
	set_primaries(zone, section, faults);
	set_zone_name(zone, section, faults);
	set_key(options, zone, section, faults);
}

/* --- public --- */

void options_apply_transfers(struct options *options, const struct settings *settings, bool secrets,
	struct faults *faults)
{
	options->keys = calloc(settings->key_count + 1, sizeof(options->keys[0]));
	if (!options->keys) {
		faults->no_memory = true;
		return;
	}
	for (size_t i = 0; i < settings->key_count; i++)
		apply_key(options, &settings->keys[i], secrets, faults);
	for (size_t i = 0; options->zones && i < settings->zone_count; i++)
		for (size_t k = 0; k < options->zone_count; k++)
			if (strcmp(options->zones[k].name, settings->zones[i].name) == 0)
				apply_zone(
					options, &options->zones[k], &settings->zones[i], faults);
}

void options_forget_keys(struct options *options)
{
	for (size_t i = 0; i < options->key_count; i++) {
		free(options->keys[i].title);
		free(options->keys[i].secret_file);
		explicit_bzero(options->keys[i].key.secret, sizeof options->keys[i].key.secret);
	}
	free(options->keys);
}

void options_print_primaries(const struct zone_options *zone, FILE *out)
{
	char text[ENDPOINT_TEXT_MAX], name[NAME_TEXT_MAX];

	fputs("\tprimary = { ", out);
	for (size_t i = 0; i < zone->primary_count; i++)
		fprintf(out, "%s\"%s\"", i ? ", " : "",
			endpoint_to_text(&zone->primaries[i], text));
	name_to_text(zone->zone_name.wire, name);
	fputs(" }\n\tzone-name = ", out);
	option_print_quoted(name, out);
	if (zone->key) {
		fputs("\n\tkey = ", out);
		option_print_quoted(zone->key, out);
	}
	fputc('\n', out);
}

void options_print_keys(const struct options *options, FILE *out)
{
	for (size_t i = 0; i < options->key_count; i++) {
		const struct key_options *key = &options->keys[i];
		fputs("\nkey ", out);
		option_print_quoted(key->title, out);
		fprintf(out, " {\n\talgorithm = %s\n\tsecret-file = ",
			tsig_algorithm_words[key->key.algorithm]);
		option_print_quoted(key->secret_file, out);
		fputs("\n}\n", out);
	}
}

void options_print_key_sample(FILE *out)
{
	fputs("\n"
	      "# A zone that comes by transfer (AXFR, IXFR), and the key its transfers are signed "
	      "with, whose\n"
	      "# secret, in base64, is the first line of a file of its own. Takes effect at a "
	      "reload.\n"
	      "#\n"
	      "#   key \"feed.example\" { secret-file = \"/etc/teredown/feed.key\" }\n"
	      "#   zone \"feed\" { primary = { \"192.0.2.1\", \"192.0.2.2\" } zone-name = "
	      "\"rpz.example\" key = \"feed.example\" }\n",
		out);
}

void options_print_key_manual(FILE *out)
{
	fputs(".SH ZONES BY TRANSFER\n"
	      "A zone with the option \\fBprimary\\fR comes by AXFR (RFC 5936) and is kept up to "
	      "date by IXFR (RFC 1995), or by AXFR where a primary has no IXFR.\n"
	      "The primaries are asked in their order, over TCP, when the refresh time of the "
	      "zone's SOA has passed, when one of them sends a NOTIFY (RFC 1996), and by "
	      "\\fBteredown policy refresh\\fR; the retry time counts after a failure. Both are "
	      "held within 10 seconds and 7 days, and 5 seconds and a day.\n"
	      "A NOTIFY is taken from the address of a primary only, and where the zone has a key "
	      "only with its signature.\n"
	      "A transfer that ends early, is signed wrongly, or is larger than "
	      "\\fBzone-transfer-max\\fR leaves the zone as it was. So does a primary whose "
	      "serial is older than ours; \\fBteredown policy refresh\\fR takes that one too.\n"
	      "The last good zone is kept in \\fIstate-dir\\fR/zones and in force from the start "
	      "on, before any primary has answered. A zone that no primary has confirmed for its "
	      "expire time (at most 28 days are believed) is told as expired, and its rules stay "
	      "in force: an old list blocks more rightly than none.\n"
	      "Records outside the zone are left out and counted.\n"
	      ".PP\n"
	      "A section \\fBkey\\fR \\(dq\\fIname\\fR\\(dq { ... } is a secret shared with "
	      "primaries (TSIG, RFC 8945). Its name is part of what is signed and has to be the "
	      "primary's. The two clocks may differ by 300 seconds.\n"
	      ".TP\n"
	      "\\fBalgorithm\\fR = \\fIword\\fR\n"
	      "One of hmac\\-sha1, hmac\\-sha224, hmac\\-sha256, hmac\\-sha384, hmac\\-sha512. "
	      "Default: \\fBhmac\\-sha256\\fR.\n"
	      ".TP\n"
	      "\\fBsecret\\-file\\fR = \\fI\\(dqpath\\(dq\\fR\n"
	      "A file whose first line is the secret in base64, as \\fBtsig\\-keygen\\fR(8) prints "
	      "it. Nobody else should be able to read it. It is read before the daemon becomes "
	      "\\fBuser\\fR, and again at a reload, if that user may; else the secret stays as it "
	      "was. The secret is never printed and never logged.\n",
		out);
}
