/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a configuration's text to settings: which option was given which text, and where. libconfuse
 * reads the syntax; what the values mean is options.c's business, so
 * that one bad value hides no other.
 *
 * What libconfuse 3.3 does not give is made up for here:
 * - It counts the line of a comment more than once, so comments are blanked before it sees the
 * text.
 * - It stops at an unknown option. Its name is noted, and the text is read again with that name
 * known as one to complain of.
 * - It calls nobody for `name = { }`. The blanking puts an empty string there.
 * - Its scanner and its callbacks carry no context, hence the one static pointer. Main thread only.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/options_reading.h"

#define TEXT_MAX (1 << 20) /* bytes of a configuration */
#define NAME_SHOWN_MAX 40

/* --- the text --- */

char *settings_load_text(const char *path, struct faults *faults)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = fopen(path, "re");
	if (!file) {
		faults_add(faults, 0, "cannot be read: %s", strerror(errno));
		return NULL;
	}
	text = malloc(TEXT_MAX + 2);
	if (!text)
		faults->no_memory = true;
	else
		size = fread(text, 1, TEXT_MAX + 1, file);
	if (text && ferror(file))
		faults_add(faults, 0, "cannot be read: %s", strerror(errno));
	else if (size > TEXT_MAX)
		faults_add(faults, 0, "is too large, expected at most %d bytes", TEXT_MAX);
	else if (text && memchr(text, '\0', size))
		faults_add(faults, 0, "is not a text, it has a NUL byte in it");
	fclose(file);
	if (!text || faults->count) {
		free(text);
		return NULL;
	}
	text[size] = '\0';
	return text;
}

struct blanking {
	const char *in;
	char *out;
	unsigned line;
	char last, before_last; /* the latest characters that are no space */
};

static void copy_char(struct blanking *b)
{
	char c = *b->in++;
	if (c == '\n')
		b->line++;
	if (!isspace((unsigned char)c)) {
		b->before_last = b->last;
		b->last = c;
	}
	*b->out++ = c;
}

/* From the opening quote to the closing one; false when there is none on the line. */
static bool copy_quoted(struct blanking *b)
{
	char quote = *b->in;
	copy_char(b);
	while (*b->in && *b->in != '\n') {
		bool escape = *b->in == '\\' && b->in[1] != '\0' && b->in[1] != '\n';
		bool closing = *b->in == quote;
		copy_char(b);
		if (closing)
			return true;
		if (escape)
			copy_char(b);
	}
	return false;
}

/* Steps over a C comment and keeps its newlines; false when it has no end. */
static bool blank_c_comment(struct blanking *b)
{
	*b->out++ = ' ';
	for (b->in += 2; *b->in; b->in++) {
		if (b->in[0] == '*' && b->in[1] == '/') {
			b->in += 2;
			return true;
		}
		if (*b->in == '\n') {
			*b->out++ = '\n';
			b->line++;
		}
	}
	return false;
}

/* `//` within a word is part of it, as in redis://host. */
static bool starts_line_comment(const struct blanking *b, const char *text)
{
	if (b->in[0] == '#')
		return true;
	return b->in[0] == '/' && b->in[1] == '/' &&
	       (b->in == text || strchr(" \t\r\n={}(),", b->in[-1]));
}

/* The text without comments, lines kept, malloc'd; NULL and a fault for a quote or comment without
 * end. */
static char *blank_comments(const char *text, struct faults *faults)
{
	struct blanking b = {.in = text, .line = 1};
	char *blanked = b.out = malloc(2 * strlen(text) + 2);
	const char *endless = NULL;
	unsigned line = 0;
	if (!blanked) {
		faults->no_memory = true;
		return NULL;
	}
	while (*b.in && !endless) {
		line = b.line;
		if (starts_line_comment(&b, text)) {
			b.in += strcspn(b.in, "\n");
		} else if (b.in[0] == '/' && b.in[1] == '*') {
			endless = blank_c_comment(&b) ? NULL : "the comment";
		} else if (*b.in == '"' || *b.in == '\'') {
			endless = copy_quoted(&b) ? NULL : "the quoted string";
		} else {
			if (*b.in == '}' && b.last == '{' && b.before_last == '=') {
				*b.out++ = '"';
				*b.out++ = '"';
			}
			copy_char(&b);
		}
	}
	*b.out++ = '\n';
	*b.out = '\0';
	if (!endless)
		return blanked;
	faults_add(faults, line, "syntax: %s that begins here has no end", endless);
	free(blanked);
	return NULL;
}

/* --- settings --- */

void row_settings_clear(struct row_settings *row)
{
	for (size_t i = 0; i < row->count; i++)
		free(row->items[i].text);
	free(row->items);
	*row = (struct row_settings){0};
}

static void settings_clear(struct settings *settings)
{
	for (size_t i = 0; settings->rows && i < option_row_count; i++)
		row_settings_clear(&settings->rows[i]);
	for (size_t i = 0; i < settings->zone_count; i++) {
		free(settings->zones[i].name);
		for (size_t k = 0; k < ZONE_FIELD_COUNT; k++)
			free(settings->zones[i].fields[k].text);
		row_settings_clear(&settings->zones[i].files);
		row_settings_clear(&settings->zones[i].primaries);
		row_settings_clear(&settings->zones[i].schedule);
	}
	free(settings->zones);
	settings->zones = NULL;
	settings->zone_count = 0;
	for (size_t i = 0; i < settings->forward_count; i++) {
		free(settings->forwards[i].title);
		row_settings_clear(&settings->forwards[i].upstream);
	}
	free(settings->forwards);
	settings->forwards = NULL;
	settings->forward_count = 0;
	for (size_t i = 0; i < settings->key_count; i++) {
		free(settings->keys[i].title);
		for (size_t k = 0; k < KEY_FIELD_COUNT; k++)
			free(settings->keys[i].fields[k].text);
	}
	free(settings->keys);
	settings->keys = NULL;
	settings->key_count = 0;
	group_sections_clear(settings);
}

void settings_free(struct settings *settings)
{
	settings_clear(settings);
	free(settings->rows);
	settings->rows = NULL;
}

bool row_settings_append(struct row_settings *row, const char *text, unsigned line)
{
	struct setting *items = reallocarray(row->items, row->count + 1, sizeof(*items));
	if (!items)
		return false;
	row->items = items;
	items[row->count].line = line;
	items[row->count].text = strdup(text);
	if (!items[row->count].text)
		return false;
	row->count++;
	return true;
}

struct zone_section *settings_find_zone(struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->zone_count; i++) {
		if (strcmp(settings->zones[i].name, name) == 0)
			return &settings->zones[i];
	}
	return NULL;
}

static bool append_zone(struct settings *settings, const char *name, unsigned line)
{
	struct zone_section *zones =
		reallocarray(settings->zones, settings->zone_count + 1, sizeof(*zones));
	if (!zones)
		return false;
	settings->zones = zones;
	struct zone_section *zone = &zones[settings->zone_count];
	*zone = (struct zone_section){.name = strdup(name), .line = line};
	if (!zone->name)
		return false;
	settings->zone_count++;
	return true;
}

static struct forward_section *find_forward(struct settings *settings, const char *title)
{
	for (size_t i = 0; i < settings->forward_count; i++) {
		if (strcmp(settings->forwards[i].title, title) == 0)
			return &settings->forwards[i];
	}
	return NULL;
}

static bool append_forward(struct settings *settings, const char *title, unsigned line)
{
	struct forward_section *forwards =
		reallocarray(settings->forwards, settings->forward_count + 1, sizeof(*forwards));
	if (!forwards)
		return false;
	settings->forwards = forwards;
	struct forward_section *forward = &forwards[settings->forward_count];
	*forward = (struct forward_section){.title = strdup(title), .line = line};
	if (!forward->title)
		return false;
	settings->forward_count++;
	return true;
}

static struct key_section *find_key(struct settings *settings, const char *title)
{
	for (size_t i = 0; i < settings->key_count; i++) {
		if (strcmp(settings->keys[i].title, title) == 0)
			return &settings->keys[i];
	}
	return NULL;
}

static bool append_key(struct settings *settings, const char *title, unsigned line)
{
	struct key_section *keys =
		reallocarray(settings->keys, settings->key_count + 1, sizeof(*keys));
	if (!keys)
		return false;
	settings->keys = keys;
	keys[settings->key_count] = (struct key_section){.title = strdup(title), .line = line};
	return keys[settings->key_count++].title != NULL;
}

/* --- libconfuse's callbacks --- */

struct unknown {
	char *name;
	const char *section; /* one of known_sections */
};

static const char *const known_sections[] = {"root", "zone", "group", "forward", "key"};

struct reading {
	struct settings *settings;
	struct faults *faults;
	struct unknown unknown[UNKNOWN_MAX];
	size_t unknown_count;
	bool again;      /* a name was added to unknown: read once more */
	bool complained; /* libconfuse said why it stopped */
};

static struct reading *reading;

struct settings *reading_settings(void)
{
	return reading->settings;
}

struct faults *reading_faults(void)
{
	return reading->faults;
}

void reading_out_of_memory(void)
{
	reading->faults->no_memory = true;
}

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	size_t i = 0;
	while (strcmp(option_rows[i].name, opt->name) != 0)
		i++;
	struct row_settings *row = &reading->settings->rows[i];
	unsigned line = (unsigned)cfg->line;
	*(const char **)result = value;
	/* libconfuse empties a list before the first value of `=`, and keeps it for `+=`. */
	bool anew = opt->nvalues == 1;
	if (anew && row->line) {
		faults_add(reading->faults, line,
			"%s: given again, expected once (first on line %u)", opt->name, row->line);
		row->again = true;
	}
	if (row->again)
		return 0;
	if (anew)
		row_settings_clear(row);
	if (!row_settings_append(row, value, line))
		reading_out_of_memory();
	if (row->line == 0)
		row->line = line;
	return 0;
}

static enum zone_field zone_field_of(const char *name)
{
	enum zone_field field = 0;
	while (strcmp(zone_rows[field].name, name) != 0)
		field++;
	return field;
}

/*
 * `file` may be a list. libconfuse empties it before the first value of `=`, and keeps it for `+=`.
 * True when nothing is left to do: another one of the list.
 */
static bool take_file(
	struct zone_section *zone, const cfg_opt_t *opt, const char *value, unsigned line)
{
	if (opt->nvalues == 1 && zone->fields[ZONE_FIELD_FILE].text) {
		zone->files_again = true;
		return false;
	}
	if (!zone->files_again && !row_settings_append(&zone->files, value, line))
		reading_out_of_memory();
	return opt->nvalues > 1;
}

/* The first call of a section is that of format's default, made when libconfuse opens the section.
 */
static int on_zone_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	unsigned line = (unsigned)cfg->line;
	*(const char **)result = value;
	if (!cfg->title) {
		faults_add(reading->faults, line,
			"%s: stands outside of a section zone \"NAME\" { … }", opt->name);
		return 0;
	}
	struct zone_section *zone = settings_find_zone(reading->settings, cfg->title);
	if (!zone) {
		if (!append_zone(reading->settings, cfg->title, line))
			reading_out_of_memory();
		return 0;
	}
	enum zone_field field = zone_field_of(opt->name);
	struct setting *setting = &zone->fields[field];
	if (field == ZONE_FIELD_FILE && take_file(zone, opt, value, line))
		return 0;
	if (setting->text) {
		faults_add(reading->faults, line,
			"zone \"%.40s\": %s: given again, expected once (first on line %u)",
			cfg->title, opt->name, setting->line);
		return 0;
	}
	*setting = (struct setting){strdup(value), line};
	if (!setting->text)
		reading_out_of_memory();
	return 0;
}

/* Behind that first call. */
static int on_primary(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	unsigned line = (unsigned)cfg->line;
	struct zone_section *zone = settings_find_zone(reading->settings, cfg->title);
	*(const char **)result = value;
	if (!zone)
		return 0;
	if (opt->nvalues == 1 && zone->primaries.line)
		faults_add(reading->faults, line,
			"zone \"%.40s\": primary: given again, expected once (first on line %u)",
			cfg->title, zone->primaries.line);
	else if (!row_settings_append(&zone->primaries, value, line))
		reading_out_of_memory();
	if (zone->primaries.line == 0)
		zone->primaries.line = line;
	return 0;
}

/* Its first call comes with the default of the algorithm, when libconfuse opens the section. */
static int on_key_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	unsigned line = (unsigned)cfg->line;
	struct key_section *key = find_key(reading->settings, cfg->title);
	enum key_field field = strcmp(opt->name, "algorithm") == 0 ? KEY_FIELD_ALGORITHM
								    : KEY_FIELD_SECRET_FILE;
	*(const char **)result = value;
	if (!key) {
		if (!append_key(reading->settings, cfg->title, line))
			reading_out_of_memory();
		return 0;
	}
	if (key->fields[field].text) {
		faults_add(reading->faults, line,
			"key \"%.80s\": %s: given again, expected once (first on line %u)",
			cfg->title, opt->name, key->fields[field].line);
		return 0;
	}
	key->fields[field] = (struct setting){strdup(value), line};
	if (!key->fields[field].text)
		reading_out_of_memory();
	return 0;
}

/* Its first call comes with the default, when libconfuse opens the section. */
static int on_forward_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	unsigned line = (unsigned)cfg->line;
	*(const char **)result = value;
	if (!cfg->title)
		return 0;
	struct forward_section *forward = find_forward(reading->settings, cfg->title);
	if (strcmp(value, SECTION_BEGINS) == 0) {
		if (forward) {
			forward->again = true;
			faults_add(reading->faults, line,
				"forward \"%.80s\": given again, expected once (first on line %u)",
				cfg->title, forward->line);
		} else if (!append_forward(reading->settings, cfg->title, line)) {
			reading_out_of_memory();
		}
		return 0;
	}
	if (!forward || forward->again)
		return 0;
	bool anew = opt->nvalues == 1;
	if (anew && forward->upstream.line)
		faults_add(reading->faults, line,
			"forward \"%.80s\": upstream: given again, expected once (first on line %u)",
			cfg->title, forward->upstream.line);
	else if (!row_settings_append(&forward->upstream, value, line))
		reading_out_of_memory();
	if (forward->upstream.line == 0)
		forward->upstream.line = line;
	return 0;
}

static void add_unknown_fault(unsigned line, const char *name)
{
	faults_add(reading->faults, line, "%.*s: unknown option, expected one of teredown.conf(5)",
		NAME_SHOWN_MAX, name);
}

static int on_unknown(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	*(const char **)result = value;
	if (opt->nvalues == 1)
		add_unknown_fault((unsigned)cfg->line, opt->name);
	return 0;
}

static bool is_unknown(const char *name, const char *section)
{
	for (size_t i = 0; i < reading->unknown_count; i++) {
		if (strcmp(reading->unknown[i].section, section) == 0 &&
			strcmp(reading->unknown[i].name, name) == 0)
			return true;
	}
	return false;
}

/* A word that is no name may be the rest of a password that was not quoted: it is not repeated. */
static bool is_option_name(const char *name)
{
	for (const char *c = name; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
			return false;
	}
	return *name && strlen(name) <= NAME_SHOWN_MAX;
}

static const char *known_section(const char *name)
{
	for (size_t i = 0; i < sizeof(known_sections) / sizeof(known_sections[0]); i++) {
		if (strcmp(known_sections[i], name) == 0)
			return known_sections[i];
	}
	return NULL;
}

static void note_unknown(const cfg_t *cfg, const char *name)
{
	const char *section = known_section(cfg->name);
	unsigned line = (unsigned)cfg->line;
	if (!is_option_name(name)) {
		faults_add(reading->faults, line,
			"syntax: this is not the name of an option (values with spaces or "
			"one of ={}(),+#\"' need quotes)");
		return;
	}
	add_unknown_fault(line, name);
	if (reading->unknown_count == UNKNOWN_MAX || !section)
		return;
	char *copy = strdup(name);
	if (!copy) {
		reading_out_of_memory();
		return;
	}
	reading->unknown[reading->unknown_count++] = (struct unknown){copy, section};
	reading->again = true;
}

/* Messages of libconfuse that show no more than a name of ours or a token between values. */
static bool is_harmless(const char *format)
{
	static const char *const formats[] = {"unexpected token '%s'", "unexpected closing brace",
		"premature end of file", "missing opening brace for section '%s'",
		"missing title for section '%s'", "attempt to append to non-list option '%s'"};
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(formats[i], format) == 0)
			return true;
	}
	return false;
}

__attribute__((format(printf, 2, 0))) static void on_error(
	cfg_t *cfg, const char *format, va_list ap)
{
	char words[WHY_MAX];
	unsigned line = (unsigned)cfg->line;
	reading->complained = true;
	if (strcmp(format, "no such option '%s'") == 0) {
		note_unknown(cfg, va_arg(ap, const char *));
		return;
	}
	if (strncmp(format, "missing equal sign", 18) == 0) {
		const char *name = va_arg(ap, const char *);
		/* An unknown section: complained of already. */
		if (!is_unknown(name, cfg->name))
			faults_add(reading->faults, line,
				"%s: the = is missing, expected %s = VALUE", name, name);
		return;
	}
	if (strncmp(format, "found duplicate title", 21) == 0) {
		faults_add(reading->faults, line, "zone \"%.40s\": given again, expected once",
			va_arg(ap, const char *));
		return;
	}
	/* Any other message may repeat a part of a password. */
	if (is_harmless(format))
		vsnprintf(words, sizeof(words), format, ap);
	else if (strstr(format, "octal") || strstr(format, "escape"))
		snprintf(words, sizeof(words),
			"a backslash is followed by what is no character code");
	else
		snprintf(words, sizeof(words), "this is not understood");
	faults_add(reading->faults, line, "syntax: %s", words);
}

/* --- reading --- */

static cfg_opt_t value_option(const struct option_row *row)
{
	if (!option_is_list(row))
		return (cfg_opt_t)CFG_STR_CB(row->name, NULL, CFGF_NODEFAULT, on_value);
	return (cfg_opt_t)CFG_STR_LIST_CB(row->name, (char *)row->initial, CFGF_NONE, on_value);
}

/* Options that are known to be unknown take one value or a list. Returns how many were written. */
size_t reading_unknown_options(cfg_opt_t *out, const char *section)
{
	size_t count = 0;
	for (size_t i = 0; i < reading->unknown_count; i++) {
		if (strcmp(reading->unknown[i].section, section) == 0)
			out[count++] = (cfg_opt_t)CFG_STR_LIST_CB(
				reading->unknown[i].name, NULL, CFGF_NODEFAULT, on_unknown);
	}
	return count;
}

static void zone_options(cfg_opt_t *out)
{
	for (size_t i = 0; i < ZONE_FIELD_COUNT; i++)
		*out++ = i == ZONE_FIELD_FILE || i == ZONE_FIELD_PRIMARY
				 ? (cfg_opt_t)CFG_STR_LIST_CB(zone_rows[i].name, NULL,
					   CFGF_NODEFAULT,
					   i == ZONE_FIELD_FILE ? on_zone_value : on_primary)
				 : (cfg_opt_t)CFG_STR_CB(zone_rows[i].name, NULL,
					   CFGF_NODEFAULT, on_zone_value);
	*out++ = zone_schedule_option();
	out += reading_unknown_options(out, "zone");
	*out = (cfg_opt_t)CFG_END();
}

static cfg_t *make_parser(void)
{
	static char begins[] = "{" SECTION_BEGINS "}", rpz[] = "rpz";
	cfg_opt_t zone[ZONE_FIELD_COUNT + 1 + UNKNOWN_MAX + 1];
	cfg_opt_t group_zone[GROUP_ZONE_OPTIONS_MAX], group[GROUP_OPTIONS_MAX];
	cfg_opt_t forward[1 + UNKNOWN_MAX + 1] = {
		CFG_STR_LIST_CB("upstream", begins, CFGF_NONE, on_forward_value)};
	static char sha256[] = "hmac-sha256";
	cfg_opt_t key[2 + UNKNOWN_MAX + 1] = {
		CFG_STR_CB("algorithm", NULL, CFGF_NODEFAULT, on_key_value),
		CFG_STR_CB("secret-file", NULL, CFGF_NODEFAULT, on_key_value)};
	cfg_opt_t sections[] = {
		CFG_SEC("zone", zone, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
		CFG_SEC("group", group, CFGF_TITLE | CFGF_MULTI),
		CFG_SEC("forward", forward, CFGF_TITLE | CFGF_MULTI),
		CFG_SEC("key", key, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES)};
	cfg_opt_t *options = calloc(option_row_count + UNKNOWN_MAX + 5, sizeof(*options)),
		  *out = options;
	if (!options)
		return NULL;
	zone_options(zone);
	key[0].flags = CFGF_NONE;
	key[0].def.parsed = sha256;
	zone[ZONE_FIELD_FORMAT].flags = CFGF_NONE;
	zone[ZONE_FIELD_FORMAT].def.parsed = rpz;
	group_zone_options(group_zone);
	group_options(group, group_zone);
	forward[1 + reading_unknown_options(forward + 1, "forward")] = (cfg_opt_t)CFG_END();
	key[2 + reading_unknown_options(key + 2, "key")] = (cfg_opt_t)CFG_END();
	for (size_t i = 0; i < option_row_count; i++)
		*out++ = value_option(&option_rows[i]);
	out += reading_unknown_options(out, "root");
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		*out++ = sections[i];
	*out = (cfg_opt_t)CFG_END();
	cfg_t *cfg = cfg_init(options, CFGF_NONE);
	free(options);
	return cfg;
}

/* False when libconfuse stopped before the end. */
static bool read_once(char *text)
{
	bool whole = false;
	reading->again = reading->complained = false;
	settings_clear(reading->settings);
	cfg_t *cfg = make_parser();
	FILE *file = fmemopen(text, strlen(text), "r");
	if (cfg && file) {
		cfg_set_error_function(cfg, on_error);
		whole = cfg_parse_fp(cfg, file) == CFG_SUCCESS;
		if (!whole && !reading->complained)
			faults_add(reading->faults, (unsigned)cfg->line,
				"syntax: this is not understood");
	} else {
		reading_out_of_memory();
	}
	if (file)
		fclose(file);
	if (cfg)
		cfg_free(cfg);
	return whole;
}

bool settings_read(struct settings *settings, const char *text, struct faults *faults)
{
	struct reading now = {.settings = settings, .faults = faults};
	bool whole = false;
	*settings = (struct settings){.rows = calloc(option_row_count, sizeof(settings->rows[0]))};
	char *blanked = settings->rows ? blank_comments(text, faults) : NULL;
	if (!settings->rows)
		faults->no_memory = true;
	reading = &now;
	if (blanked) {
		do {
			whole = read_once(blanked);
		} while (now.again);
	}
	reading = NULL;
	for (size_t i = 0; i < now.unknown_count; i++)
		free(now.unknown[i].name);
	if (blanked)
		explicit_bzero(blanked, strlen(blanked));
	free(blanked);
	return whole;
}
