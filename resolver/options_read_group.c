/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sections group "NAME" { … zone "ZONE" { … } } as settings. libconfuse does not tell a callback of
 * an inner section which outer one it is in; but sections do not overlap, so it is the one that was
 * begun last. A section that the file gives again is complained of, and what it holds is dropped.
 */
#include "resolver/options_reading.h"

#include <stdlib.h>
#include <string.h>

static char section_begins[] = "{" SECTION_BEGINS "}";

/* --- settings --- */

static void group_zones_clear(struct group_section *group)
{
	for (size_t i = 0; i < group->zone_count; i++) {
		free(group->zones[i].zone);
		free(group->zones[i].mode.text);
		row_settings_clear(&group->zones[i].schedule);
	}
	free(group->zones);
}

void group_sections_clear(struct settings *settings)
{
	for (size_t i = 0; i < settings->group_count; i++) {
		free(settings->groups[i].title);
		row_settings_clear(&settings->groups[i].clients);
		group_zones_clear(&settings->groups[i]);
	}
	free(settings->groups);
	settings->groups = NULL;
	settings->group_count = 0;
}

static struct group_section *find_group(struct settings *settings, const char *title)
{
	for (size_t i = 0; i < settings->group_count; i++) {
		if (strcmp(settings->groups[i].title, title) == 0)
			return &settings->groups[i];
	}
	return NULL;
}

static struct group_section *append_group(struct settings *settings, const char *title)
{
	struct group_section *groups =
		reallocarray(settings->groups, settings->group_count + 1, sizeof(*groups));
	if (!groups)
		return NULL;
	settings->groups = groups;
	struct group_section *group = &groups[settings->group_count];
	*group = (struct group_section){.title = strdup(title)};
	if (!group->title)
		return NULL;
	settings->group_count++;
	return group;
}

static struct group_zone_section *find_group_zone(struct group_section *group, const char *zone)
{
	for (size_t i = 0; i < group->zone_count; i++) {
		if (strcmp(group->zones[i].zone, zone) == 0)
			return &group->zones[i];
	}
	return NULL;
}

static struct group_zone_section *append_group_zone(struct group_section *group, const char *zone)
{
	struct group_zone_section *zones =
		reallocarray(group->zones, group->zone_count + 1, sizeof(*zones));
	if (!zones)
		return NULL;
	group->zones = zones;
	struct group_zone_section *section = &zones[group->zone_count];
	*section = (struct group_zone_section){.zone = strdup(zone)};
	if (!section->zone)
		return NULL;
	group->zone_count++;
	return section;
}

/* The group whose section is being read; NULL: one that is dropped. */
static struct group_section *current_group(void)
{
	struct settings *settings = reading_settings();
	struct group_section *group =
		settings->group_count ? &settings->groups[settings->group_now] : NULL;

	return group && !group->again ? group : NULL;
}

/* --- callbacks --- */

/* A list of values; what comes after it was given a second time is complained of and dropped. */
static void append_value(const cfg_opt_t *opt, struct row_settings *row, const char *value,
	unsigned line, const char *where)
{
	if (opt->nvalues == 1 && row->line) {
		faults_add(reading_faults(), line,
			"%s: %s: given again, expected once (first on line %u)", where, opt->name,
			row->line);
		row->again = true;
	}
	if (row->again)
		return;
	if (!row_settings_append(row, value, line))
		reading_out_of_memory();
	if (row->line == 0)
		row->line = line;
}

static void begin_group(const char *title, unsigned line)
{
	struct settings *settings = reading_settings();
	struct group_section *group = find_group(settings, title);

	if (group) {
		group->again = true;
		faults_add(reading_faults(), line,
			"group \"%.40s\": given again, expected once (first on line %u)", title,
			group->line);
	} else {
		group = append_group(settings, title);
	}
	if (!group) {
		reading_out_of_memory();
		return;
	}
	if (!group->again)
		group->line = line;
	settings->group_now = (size_t)(group - settings->groups);
}

/* Its first call comes with the default, when libconfuse opens the section. */
static int on_clients(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	char where[64];

	*(const char **)result = value;
	if (!cfg->title)
		return 0;
	if (strcmp(value, SECTION_BEGINS) == 0) {
		begin_group(cfg->title, (unsigned)cfg->line);
		return 0;
	}
	struct group_section *group = current_group();
	snprintf(where, sizeof(where), "group \"%.40s\"", cfg->title);
	if (group)
		append_value(opt, &group->clients, value, (unsigned)cfg->line, where);
	return 0;
}

static void begin_group_zone(struct group_section *group, const char *title, unsigned line)
{
	struct group_zone_section *zone = find_group_zone(group, title);

	if (zone) {
		zone->again = true;
		faults_add(reading_faults(), line,
			"group \"%.40s\": zone \"%.40s\": given again, expected once (first on "
			"line %u)",
			group->title, title, zone->line);
		return;
	}
	zone = append_group_zone(group, title);
	if (zone)
		zone->line = line;
	else
		reading_out_of_memory();
}

static int on_group_schedule(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct group_section *group = current_group();
	unsigned line = (unsigned)cfg->line;
	char where[128];

	*(const char **)result = value;
	if (!cfg->title || !group)
		return 0;
	if (strcmp(value, SECTION_BEGINS) == 0) {
		begin_group_zone(group, cfg->title, line);
		return 0;
	}
	struct group_zone_section *zone = find_group_zone(group, cfg->title);
	snprintf(where, sizeof(where), "group \"%.40s\": zone \"%.40s\"", group->title, cfg->title);
	if (zone && !zone->again)
		append_value(opt, &zone->schedule, value, line, where);
	return 0;
}

static int on_group_mode(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct group_section *group = current_group();

	(void)opt;
	*(const char **)result = value;
	struct group_zone_section *zone =
		group && cfg->title ? find_group_zone(group, cfg->title) : NULL;
	if (!zone || zone->again)
		return 0;
	if (zone->mode.text) {
		faults_add(reading_faults(), (unsigned)cfg->line,
			"group \"%.40s\": zone \"%.40s\": mode: given again, expected once (first "
			"on line %u)",
			group->title, cfg->title, zone->mode.line);
		return 0;
	}
	zone->mode = (struct setting){strdup(value), (unsigned)cfg->line};
	if (!zone->mode.text)
		reading_out_of_memory();
	return 0;
}

static int on_zone_schedule(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	char where[64];

	*(const char **)result = value;
	if (!cfg->title)
		return 0;
	struct zone_section *zone = settings_find_zone(reading_settings(), cfg->title);
	snprintf(where, sizeof(where), "zone \"%.40s\"", cfg->title);
	if (zone)
		append_value(opt, &zone->schedule, value, (unsigned)cfg->line, where);
	return 0;
}

/* --- options --- */

void group_zone_options(cfg_opt_t *out)
{
	*out++ = (cfg_opt_t)CFG_STR_LIST_CB(
		"schedule", section_begins, CFGF_NONE, on_group_schedule);
	*out++ = (cfg_opt_t)CFG_STR_CB("mode", NULL, CFGF_NODEFAULT, on_group_mode);
	out += reading_unknown_options(out, "zone");
	*out = (cfg_opt_t)CFG_END();
}

void group_options(cfg_opt_t *out, cfg_opt_t *zone)
{
	*out++ = (cfg_opt_t)CFG_STR_LIST_CB("clients", section_begins, CFGF_NONE, on_clients);
	*out++ = (cfg_opt_t)CFG_SEC("zone", zone, CFGF_TITLE | CFGF_MULTI);
	out += reading_unknown_options(out, "group");
	*out = (cfg_opt_t)CFG_END();
}

cfg_opt_t zone_schedule_option(void)
{
	return (cfg_opt_t)CFG_STR_LIST_CB("schedule", NULL, CFGF_NODEFAULT, on_zone_schedule);
}
