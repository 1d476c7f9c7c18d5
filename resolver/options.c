/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration as a whole: settings are put into struct options row by row, then what concerns
 * several options is checked, and the zones are put in order. Nothing ends at the first fault: all
 * of them are collected and printed in the order of their lines, because a person who mends a file
 * wants to mend it once.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/cookie_file.h"
#include "resolver/options_private.h"

#define ZONE_FILE_MAX 1024

const char options_default_path[] = SYSCONFDIR "/teredown.conf";

static size_t row_index(const char *name)
{
	size_t i = 0;
	while (strcmp(option_rows[i].name, name) != 0)
		i++;
	return i;
}

const struct option_row *option_row_find(const char *name)
{
	return &option_rows[row_index(name)];
}

/* Where the file gives an option; 0: it does not. */
unsigned settings_line(const struct settings *settings, const char *name)
{
	return settings->rows[row_index(name)].line;
}

/* --- one option --- */

static bool set_or_complain(struct options *options, const struct option_row *row, const char *text,
	unsigned line, struct faults *faults)
{
	char why[WHY_MAX];
	if (option_set(options, row, text, why))
		return true;
	faults_add(faults, line, "%s: %s", row->name, why);
	return false;
}

static void apply_default(
	struct options *options, const struct option_row *row, struct faults *faults)
{
	char text[256];
	if (row->initial) {
		set_or_complain(options, row, row->initial, 0, faults);
	} else if (row->compute) {
		row->compute(text, sizeof(text));
		set_or_complain(options, row, text, 0, faults);
	}
}

/* A list arrives with its default, if it has one. One empty text alone is an empty list. */
static void apply_list(struct options *options, const struct option_row *row,
	const struct row_settings *given, struct faults *faults)
{
	size_t good = 0;
	bool empty = given->count == 1 && given->items[0].text[0] == '\0';
	for (size_t i = 0; i < given->count && !empty; i++)
		good += set_or_complain(
			options, row, given->items[i].text, given->items[i].line, faults);
	if (given->line && good < row->min && good == given->count - empty)
		faults_add(faults, given->line, "%s: has too few entries, expected at least %u",
			row->name, (unsigned)row->min);
}

static void apply_row(struct options *options, const struct option_row *row,
	const struct row_settings *given, struct faults *faults)
{
	if (option_is_list(row))
		apply_list(options, row, given, faults);
	else if (given->count == 0)
		apply_default(options, row, faults);
	else
		set_or_complain(options, row, given->items[0].text, given->items[0].line, faults);
}

/* --- several options --- */

static void check_query_log(
	const struct options *options, const struct settings *settings, struct faults *faults)
{
	if (options->query_log != QUERY_LOG_ALL || !options->query_log_file ||
		options->query_log_file[0] != '\0')
		return;
	faults_add(faults, settings_line(settings, "query-log"),
		"query-log: all writes every transaction to a file and none is named, "
		"expected query-log-file as well: add query-log-file = "
		"\"/var/log/teredown/query.log\"");
}

static void apply_cookies(
	struct options *options, const struct settings *settings, struct faults *faults)
{
	const char *path = options->cookie_secret_file;
	char why[WHY_MAX];

	if (!path || path[0] == '\0' ||
		cookie_file_read(path, &options->cookie_secrets, why, sizeof why))
		return;
	faults_add(faults, settings_line(settings, "cookie-secret-file"),
		"cookie-secret-file: \"%.200s\": %s", path, why);
}

/* --- upstreams from resolv.conf --- */

static bool is_own(void *context, const struct endpoint *server)
{
	return option_is_ourselves(context, server);
}

enum td_error options_read_resolv_conf(const struct options *options, struct resolv_conf *out)
{
	bool system = strcmp(options->resolv_conf, RESOLV_CONF_SYSTEM) == 0;
	return resolv_conf_read(out, options->resolv_conf, system ? resolv_conf_uplinks : NULL,
		is_own, (void *)(uintptr_t)options);
}

bool options_set_upstream(struct options *options, const struct resolv_conf *conf)
{
	struct server_address *servers = calloc(conf->count + 1, sizeof(*servers));
	if (!servers)
		return false;
	memcpy(servers, conf->servers, conf->count * sizeof(*servers));
	free(options->upstream);
	options->upstream = servers;
	options->upstream_count = conf->count;
	options->upstream_source = conf->path;
	return true;
}

/*
 * At a start, and for -t, there has to be somebody to ask. Whoever reads the configuration of a
 * daemon that runs must not fail because the file is another by now.
 */
static void apply_resolv_conf(struct options *options, const struct settings *settings, bool start,
	struct faults *faults)
{
	const char *path = options->resolv_conf;
	struct resolv_conf conf;
	if (settings_line(settings, "upstream") || !path || path[0] == '\0')
		return;
	options->upstream_from_resolv_conf = true;
	if (options_read_resolv_conf(options, &conf) != TD_OK) {
		if (start && settings_line(settings, "resolv-conf"))
			faults_add(faults, settings_line(settings, "resolv-conf"),
				"resolv-conf: \"%.200s\" cannot be opened: %s, expected a readable "
				"file or \"\"",
				path, strerror(errno));
		return;
	}
	if (!options_set_upstream(options, &conf))
		faults->no_memory = true;
	if (start && conf.ourselves && conf.count == 0)
		faults_add(faults, 0,
			"upstream: is not given, and \"%.200s\" names nobody but this resolver "
			"itself, expected servers to "
			"ask: add upstream = { \"9.9.9.9\" } with the provider's or a public "
			"server",
			path);
}

/* --- zones --- */

struct shipped_zone {
	const char *name;
	enum policy_zone_kind kind;
};

/* In policy order: special-use names are local data, and come before anything that could hide them.
 */
static const struct shipped_zone shipped_zones[] = {{"special-use", ZONE_LOCAL},
	{"teredo", ZONE_TUNNEL}, {"6to4", ZONE_TUNNEL}, {"isatap", ZONE_TUNNEL},
	{"tunnel-brokers", ZONE_TUNNEL}, {"bypass", ZONE_LIST}};
#define SHIPPED_COUNT (sizeof(shipped_zones) / sizeof(shipped_zones[0]))

static const struct shipped_zone *find_shipped(const char *name)
{
	for (size_t i = 0; i < SHIPPED_COUNT; i++) {
		if (strcmp(shipped_zones[i].name, name) == 0)
			return &shipped_zones[i];
	}
	return NULL;
}

static const struct zone_section *find_section(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->zone_count; i++) {
		if (strcmp(settings->zones[i].name, name) == 0)
			return &settings->zones[i];
	}
	return NULL;
}

/* directory/name; name alone where it is absolute. malloc'd. */
static char *join_path(const char *directory, const char *name, const char *ending)
{
	char *path = NULL;
	int written = name[0] == '/' ? asprintf(&path, "%s%s", name, ending)
				     : asprintf(&path, "%s/%s%s", directory, name, ending);
	return written < 0 ? NULL : path;
}

/* "x.rpz" has "x.patterns" beside it, any other name "name.patterns". malloc'd. */
static char *patterns_beside(const char *file)
{
	char *path = NULL;
	size_t length = strlen(file);
	if (length > 4 && strcmp(file + length - 4, ".rpz") == 0)
		length -= 4;
	return asprintf(&path, "%.*s.patterns", (int)length, file) < 0 ? NULL : path;
}

static bool is_zone_name(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return length > 0 && name[length] == '\0' && length < POLICY_ZONE_NAME_MAX;
}

static void zone_complain(const struct zone_section *section, enum zone_field field,
	struct faults *faults, const char *what, const char *expected)
{
	faults_add(faults, field < ZONE_FIELD_COUNT ? section->fields[field].line : section->line,
		"zone \"%.40s\": %s%s%s, expected %s", section->name,
		field < ZONE_FIELD_COUNT ? zone_rows[field].name : "",
		field < ZONE_FIELD_COUNT ? ": " : "", what, expected);
}

/* The position of the field's value in words; fallback where it is not given or a fault. */
static unsigned zone_word(const struct zone_section *section, enum zone_field field,
	const char *const *words, unsigned fallback, struct faults *faults)
{
	char expected[WHY_MAX], what[64];
	const char *text = section ? section->fields[field].text : NULL;
	if (!text || option_find_word(words, text, &fallback))
		return fallback;
	option_list_words(words, expected);
	snprintf(what, sizeof(what), "\"%.40s\" is not known", text);
	zone_complain(section, field, faults, what, expected);
	return fallback;
}

static enum policy_mode zone_default_mode(
	const struct options *options, const struct shipped_zone *shipped)
{
	if (!shipped)
		return MODE_WATCH;
	switch (shipped->kind) {
	case ZONE_TUNNEL:
		return options->mode;
	case ZONE_LOCAL:
		return MODE_BLOCK;
	case ZONE_LIST:
		break;
	}
	return MODE_IGNORE;
}

static void check_files(const struct zone_section *section, struct faults *faults)
{
	for (size_t i = 0; i < section->files.count; i++) {
		const char *file = section->files.items[i].text;
		if (file[0] != '\0' && strlen(file) <= ZONE_FILE_MAX && !option_has_control(file))
			continue;
		zone_complain(section, ZONE_FIELD_FILE, faults, "this is not the path of a file",
			"1 to 1024 printable bytes");
		return;
	}
	if (section->files.count > ZONE_FILES_MAX)
		zone_complain(section, ZONE_FIELD_FILE, faults, "these are too many files",
			"at most 32");
}

static void check_section(const struct zone_section *section, const struct shipped_zone *shipped,
	struct faults *faults)
{
	const char *file = section->fields[ZONE_FIELD_FILE].text;
	if (!is_zone_name(section->name))
		zone_complain(section, ZONE_FIELD_COUNT, faults, "this is not a zone's name",
			"1 to 31 of a to z, 0 to 9 and -");
	if (!file && !shipped && section->primaries.line == 0)
		zone_complain(
			section, ZONE_FIELD_COUNT, faults, "no file is named", "file = \"PATH\" or primary = \"ADDRESS\"");
	check_files(section, faults);
	if (section->fields[ZONE_FIELD_MODE].text && shipped && shipped->kind == ZONE_LOCAL)
		zone_complain(section, ZONE_FIELD_MODE, faults,
			"this zone is local data and always in force", "no mode here");
	if (section->fields[ZONE_FIELD_OVERRIDE].text && shipped && shipped->kind == ZONE_LOCAL)
		zone_complain(section, ZONE_FIELD_OVERRIDE, faults,
			"this zone is local data and always in force", "no override here");
}

static void zone_override(struct zone_options *zone, const struct zone_section *section,
	struct faults *faults)
{
	const char *text = section ? section->fields[ZONE_FIELD_OVERRIDE].text : NULL;
	char what[64];

	if (!text || option_set_override(zone, text))
		return;
	snprintf(what, sizeof(what), "\"%.40s\" is not known", text);
	zone_complain(section, ZONE_FIELD_OVERRIDE, faults, what,
		"none, nxdomain, nodata, passthru, drop, tcp-only or \"cname NAME\"");
}

static bool name_file(
	const char *directory, struct zone_options *zone, const char *name, const char *ending)
{
	struct zone_file *file = &zone->files[zone->file_count++];
	bool is_rpz = zone->format == FORMAT_RPZ;
	file->path = join_path(directory, name, ending);
	file->patterns = is_rpz && file->path ? patterns_beside(file->path) : NULL;
	return file->path && (!is_rpz || file->patterns);
}

/* Those of the section, or (NULL) that of a shipped zone. False: out of memory. */
static bool name_files(const char *directory, struct zone_options *zone,
	const struct zone_section *section)
{
	size_t count = section ? section->files.count : 1;
	zone->files = calloc(count, sizeof(zone->files[0]));
	bool good = zone->files != NULL;
	if (!section)
		return good && name_file(directory, zone, zone->name,
				       zone->format == FORMAT_RPZ ? ".rpz" : ".patterns");
	for (size_t i = 0; good && i < count; i++)
		good = name_file(directory, zone, section->files.items[i].text, "");
	return good;
}

static void forget_files(struct zone_options *zone)
{
	for (size_t i = 0; i < zone->file_count; i++) {
		free(zone->files[i].path);
		free(zone->files[i].patterns);
	}
	free(zone->files);
}

/* Puts the next zone in order: shipped, from a section of the file, or both. */
static void append_zone(struct options *options, const struct shipped_zone *shipped,
	const struct zone_section *section, struct faults *faults)
{
	struct zone_options *zone = &options->zones[options->zone_count];
	bool named = section && section->files.count;
	if (section)
		check_section(section, shipped, faults);
	if (options->zone_count == POLICY_ZONES_MAX) {
		char expected[64];
		snprintf(expected, sizeof(expected), "at most %d with the shipped ones",
			POLICY_ZONES_MAX);
		if (section)
			zone_complain(section, ZONE_FIELD_COUNT, faults,
				"this is one zone too many", expected);
		return;
	}
	options->zone_count++;
	snprintf(zone->name, sizeof(zone->name), "%s", shipped ? shipped->name : section->name);
	zone->kind = shipped ? shipped->kind : ZONE_LIST;
	zone->required = named;
	zone->format =
		zone_word(section, ZONE_FIELD_FORMAT, option_format_words, FORMAT_RPZ, faults);
	zone->mode = zone_word(section, ZONE_FIELD_MODE, option_mode_words,
		zone_default_mode(options, shipped), faults);
	zone->reason = EDE_BLOCKED + (int)zone_word(section, ZONE_FIELD_REASON,
					     option_reason_words, 0, faults);
	zone_override(zone, section, faults);
	if (section && section->primaries.line)
		return;
	if (!name_files(options->zone_dir ? options->zone_dir : "", zone, named ? section : NULL))
		faults->no_memory = true;
}

/* Special-use first; shipped ones that no section names; then the sections in the file's order. */
static void apply_zones(
	struct options *options, const struct settings *settings, struct faults *faults)
{
	options->zones = calloc(POLICY_ZONES_MAX + 1, sizeof(options->zones[0]));
	if (!options->zones) {
		faults->no_memory = true;
		return;
	}
	for (size_t i = 0; i < SHIPPED_COUNT; i++) {
		const struct zone_section *section = find_section(settings, shipped_zones[i].name);
		if (!section || shipped_zones[i].kind == ZONE_LOCAL)
			append_zone(options, &shipped_zones[i], section, faults);
	}
	for (size_t i = 0; i < settings->zone_count; i++) {
		const struct shipped_zone *shipped = find_shipped(settings->zones[i].name);
		if (!shipped || shipped->kind != ZONE_LOCAL)
			append_zone(options, shipped, &settings->zones[i], faults);
	}
}

/* --- public --- */

/* Where the text was not read to its end, what an option lacks may stand behind it: nothing is said
 * of that. */
static void apply_settings(struct options *options, const struct settings *settings, bool whole,
	bool secrets, struct faults *faults)
{
	for (size_t i = 0; i < option_row_count; i++)
		apply_row(options, &option_rows[i], &settings->rows[i], faults);
	apply_zones(options, settings, faults);
	options_apply_transfers(options, settings, secrets, faults);
	options_apply_forwards(options, settings, faults);
	if (!whole)
		return;
	options_apply_groups(options, settings, faults);
	apply_resolv_conf(options, settings, secrets, faults);
	options_apply_redis(options, settings, secrets, faults);
	if (secrets)
		apply_cookies(options, settings, faults);
	check_query_log(options, settings, faults);
}

static struct options *load(const char *path, bool secrets)
{
	struct faults faults = {0};
	struct settings settings = {0};
	struct options *options = calloc(1, sizeof(*options));
	char *text = path ? settings_load_text(path, &faults) : strdup("");
	if (options && text) {
		bool whole = settings_read(&settings, text, &faults);
		if (settings.rows)
			apply_settings(options, &settings, whole, secrets, &faults);
	} else if (!options || !path) {
		faults.no_memory = true;
	}
	if (faults.count || faults.no_memory) {
		faults_print(&faults, path ? path : "defaults", stderr);
		options_free(options);
		options = NULL;
	}
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	settings_free(&settings);
	faults_free(&faults);
	return options;
}

struct options *options_load(const char *path)
{
	return load(path, true);
}

struct options *options_load_without_passwords(const char *path)
{
	return load(path, false);
}

void options_free(struct options *options)
{
	if (!options)
		return;
	for (size_t i = 0; i < options->zone_count; i++) {
		forget_files(&options->zones[i]);
		free(options->zones[i].primaries);
		free(options->zones[i].key);
	}
	free(options->zones);
	options_forget_forwards(options);
	options_forget_keys(options);
	options_forget_groups(options);
	option_fields_free(options);
	options_forget_redis(options);
	explicit_bzero(&options->cookie_secrets, sizeof options->cookie_secrets);
	free(options);
}

void options_exchange_reloadable(struct options *options, struct options *with)
{
	for (size_t i = 0; i < option_row_count; i++) {
		if (option_rows[i].reloadable)
			option_exchange(options, with, &option_rows[i]);
	}
	struct zone_options *zones = options->zones;
	size_t zone_count = options->zone_count;
	options->zones = with->zones;
	options->zone_count = with->zone_count;
	with->zones = zones;
	with->zone_count = zone_count;
	struct forward_options *forwards = options->forwards;
	size_t forward_count = options->forward_count;
	options->forwards = with->forwards;
	options->forward_count = with->forward_count;
	with->forwards = forwards;
	with->forward_count = forward_count;
	struct key_options *keys = options->keys;
	size_t key_count = options->key_count;
	options->keys = with->keys;
	options->key_count = with->key_count;
	with->keys = keys;
	with->key_count = key_count;
	struct group_options *groups = options->groups;
	size_t group_count = options->group_count;
	options->groups = with->groups;
	options->group_count = with->group_count;
	with->groups = groups;
	with->group_count = group_count;
	bool from_resolv_conf = options->upstream_from_resolv_conf;
	options->upstream_from_resolv_conf = with->upstream_from_resolv_conf;
	with->upstream_from_resolv_conf = from_resolv_conf;
	const char *source = options->upstream_source;
	options->upstream_source = with->upstream_source;
	with->upstream_source = source;
}

void options_describe_restart(
	const struct options *before, const struct options *after, char *out, size_t size)
{
	size_t used = 0;
	if (size == 0)
		return;
	out[0] = '\0';
	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];
		if (row->reloadable || option_equal(before, after, row))
			continue;
		size_t length = strlen(row->name) + (used ? 2 : 0);
		if (length >= size - used)
			return;
		used += (size_t)snprintf(
			out + used, size - used, "%s%s", used ? ", " : "", row->name);
	}
}

/* Where a process of this machine finds a listener. */
static struct endpoint reachable(const struct endpoint *listen)
{
	static const uint8_t zero[16], v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};
	struct endpoint endpoint = *listen;
	bool any = memcmp(listen->address.octets, zero, sizeof(zero)) == 0;
	if (any)
		endpoint.address = listen->address.family == 4 ? address_v4(v4) : address_v6(v6);
	return endpoint;
}

size_t options_plain_servers(const struct options *options, struct endpoint *out, size_t max)
{
	size_t count = 0;
	for (size_t i = 0; i < options->upstream_count && count < max; i++) {
		if (options->upstream[i].transport == SERVER_UDP)
			out[count++] = options->upstream[i].endpoint;
	}
	if (count == 0 && options->upstream_count > 0 && options->listen_count > 0 && max > 0)
		out[count++] = reachable(&options->listen[0]);
	return count;
}

static bool any_tls(const struct server_address *servers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (servers[i].transport == SERVER_TLS)
			return true;
	}
	return false;
}

bool options_use_tls(const struct options *options)
{
	bool any = any_tls(options->upstream, options->upstream_count);
	for (size_t i = 0; i < options->forward_count; i++)
		any |= any_tls(options->forwards[i].upstream, options->forwards[i].upstream_count);
	return any;
}

enum td_error options_control_path(const struct options *options, char *out, size_t size)
{
	int length = snprintf(out, size, "%s/control.sock", options->state_dir);
	return length < 0 || (size_t)length >= size ? TD_TOO_LONG : TD_OK;
}
