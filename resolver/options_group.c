/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sections group "NAME" { clients = { … } zone "ZONE" { mode schedule } }, and the schedules of
 * zones. A client is in one group: which of two was meant nobody could tell, so that is a fault; it
 * is found among all clients sorted. Of networks within one another the longest counts, which is
 * how one host of a network is put into a group of its own.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "resolver/options_private.h"

#define MAC_PREFIX "mac:"

/* --- schedules --- */

static void apply_schedule(struct schedule *schedule, const struct row_settings *given,
	const char *where, struct faults *faults)
{
	bool empty = given->count == 1 && given->items[0].text[0] == '\0';
	const char *why;

	for (size_t i = 0; i < given->count && !empty; i++) {
		const struct setting *item = &given->items[i];
		if (schedule->count == SCHEDULE_RULES_MAX)
			faults_add(faults, item->line,
				"%s: schedule: has too many entries, expected at most %d", where,
				SCHEDULE_RULES_MAX);
		else if (!schedule_rule_from_text(
				 &schedule->rules[schedule->count], item->text, &why))
			faults_add(faults, item->line,
				"%s: schedule: \"%.60s\" is not understood, expected %s", where,
				item->text, why);
		else
			schedule->count++;
	}
}

static struct zone_options *find_zone(const struct options *options, const char *name)
{
	for (size_t i = 0; options->zones && i < options->zone_count; i++) {
		if (strcmp(options->zones[i].name, name) == 0)
			return &options->zones[i];
	}
	return NULL;
}

static void apply_zone_schedule(
	struct options *options, const struct zone_section *section, struct faults *faults)
{
	struct zone_options *zone = find_zone(options, section->name);
	char where[64];

	if (!zone || section->schedule.line == 0)
		return;
	snprintf(where, sizeof(where), "zone \"%s\"", zone->name);
	if (zone->kind == ZONE_LOCAL)
		faults_add(faults, section->schedule.line,
			"%s: schedule: this zone is local data and always in force, expected no "
			"schedule here",
			where);
	apply_schedule(&zone->schedule, &section->schedule, where, faults);
}

/* --- clients --- */

static bool read_client(struct group_client *out, const char *text)
{
	*out = (struct group_client){0};
	if (prefix_from_text(&out->network, text) == TD_OK)
		return true;
	out->network = (struct prefix){0};
	if (strncmp(text, MAC_PREFIX, strlen(MAC_PREFIX)) == 0)
		text += strlen(MAC_PREFIX);
	return client_from_text(&out->client, text) &&
	       (out->client.family == ADDRESS_MAC || out->client.family == ADDRESS_LABEL);
}

static void apply_clients(
	struct group_options *group, const struct group_section *section, struct faults *faults)
{
	const struct row_settings *given = &section->clients;
	bool empty = given->count == 1 && given->items[0].text[0] == '\0';
	struct group_client client;

	group->clients = calloc(given->count + 1, sizeof(group->clients[0]));
	if (!group->clients) {
		faults->no_memory = true;
		return;
	}
	for (size_t i = 0; i < given->count && !empty; i++) {
		const struct setting *item = &given->items[i];
		if (group->client_count == GROUP_CLIENTS_MAX) {
			faults_add(faults, item->line,
				"group \"%s\": clients: has too many entries, expected at most %d",
				group->name, GROUP_CLIENTS_MAX);
			return;
		}
		if (read_client(&client, item->text))
			group->clients[group->client_count++] = client;
		else
			faults_add(faults, item->line,
				"group \"%s\": clients: \"%.80s\" is no client, expected an "
				"address, a network such as 192.168.0.0/24 with no bit set behind "
				"its length, a MAC address such as 02:00:5e:10:00:01, or what a "
				"forwarder calls one, such as id-kitchen",
				group->name, item->text);
	}
}

/* --- clients given twice --- */

struct listed_client {
	struct group_client client;
	const struct setting *setting;
	const struct group_section *group;
};

static int compare_listed(const void *a, const void *b)
{
	const struct listed_client *x = a, *y = b;
	int order = memcmp(&x->client, &y->client, sizeof(x->client));

	_Static_assert(
		sizeof(struct group_client) == sizeof(struct prefix) + sizeof(struct address),
		"no octet of it is padding");
	return order ? order : (int)x->setting->line - (int)y->setting->line;
}

static size_t list_clients(const struct settings *settings, struct listed_client *out)
{
	size_t count = 0;

	for (size_t i = 0; i < settings->group_count; i++) {
		const struct group_section *group = &settings->groups[i];
		for (size_t k = 0; k < group->clients.count; k++) {
			out[count] = (struct listed_client){
				.setting = &group->clients.items[k], .group = group};
			count += read_client(&out[count].client, out[count].setting->text);
		}
	}
	return count;
}

static void check_repeated(const struct settings *settings, struct faults *faults)
{
	size_t count = 0;

	for (size_t i = 0; i < settings->group_count; i++)
		count += settings->groups[i].clients.count;
	struct listed_client *clients = calloc(count + 1, sizeof(*clients));
	if (!clients) {
		faults->no_memory = true;
		return;
	}
	count = list_clients(settings, clients);
	qsort(clients, count, sizeof(*clients), compare_listed);
	for (size_t i = 1; i < count; i++) {
		if (memcmp(&clients[i].client, &clients[i - 1].client, sizeof(clients[i].client)))
			continue;
		faults_add(faults, clients[i].setting->line,
			"group \"%.40s\": clients: \"%.80s\" is in group \"%.40s\" already (line "
			"%u), expected each client once",
			clients[i].group->title, clients[i].setting->text,
			clients[i - 1].group->title, clients[i - 1].setting->line);
	}
	free(clients);
}

/* --- zones of a group --- */

/* The zones that a group can have a mode for, for people. */
static void list_zones(const struct options *options, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < options->zone_count && used < size; i++) {
		if (options->zones[i].kind != ZONE_LOCAL)
			used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "",
				options->zones[i].name);
	}
}

static bool is_usable_zone(const struct options *options, const struct group_section *group,
	const struct group_zone_section *section, struct faults *faults)
{
	const struct zone_options *zone = find_zone(options, section->zone);
	char zones[200];

	if (zone && zone->kind != ZONE_LOCAL)
		return true;
	list_zones(options, zones, sizeof(zones));
	faults_add(faults, section->line, "group \"%.40s\": zone \"%.40s\": %s, expected one of %s",
		group->title, section->zone,
		zone ? "this zone is local data and always in force" : "there is no such zone",
		zones);
	return false;
}

static void apply_group_zone(const struct options *options, struct group_options *group,
	const struct group_section *parent, const struct group_zone_section *section,
	struct faults *faults)
{
	char where[128], expected[WHY_MAX];
	unsigned word;

	snprintf(where, sizeof(where), "group \"%.40s\": zone \"%.40s\"", parent->title,
		section->zone);
	if (!is_usable_zone(options, parent, section, faults))
		return;
	struct group_zone_options *zone = &group->zones[group->zone_count++];
	snprintf(zone->zone, sizeof(zone->zone), "%s", section->zone);
	zone->has_mode = section->mode.text != NULL;
	if (zone->has_mode && option_find_word(option_mode_words, section->mode.text, &word)) {
		zone->mode = (enum policy_mode)word;
	} else if (zone->has_mode) {
		option_list_words(option_mode_words, expected);
		faults_add(faults, section->mode.line,
			"%s: mode: \"%.40s\" is not known, expected %s", where, section->mode.text,
			expected);
	} else if (section->schedule.line == 0) {
		faults_add(faults, section->line,
			"%s: nothing is said of it, expected mode = watch, block or ignore", where);
	}
	apply_schedule(&zone->schedule, &section->schedule, where, faults);
}

/* --- groups --- */

static bool is_group_name(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return length > 0 && name[length] == '\0' && length < POLICY_ZONE_NAME_MAX;
}

static void apply_group(
	struct options *options, const struct group_section *section, struct faults *faults)
{
	struct group_options *group = &options->groups[options->group_count++];

	snprintf(group->name, sizeof(group->name), "%s", section->title);
	group->zones = calloc(section->zone_count + 1, sizeof(group->zones[0]));
	if (!group->zones) {
		faults->no_memory = true;
		return;
	}
	if (!is_group_name(section->title))
		faults_add(faults, section->line,
			"group \"%.40s\": this is not a group's name, expected 1 to 31 of a to z, "
			"0 "
			"to 9 and -",
			section->title);
	if (section->clients.line == 0)
		faults_add(faults, section->line,
			"group \"%.40s\": no client is named, expected clients = { \"ADDRESS\" }",
			section->title);
	apply_clients(group, section, faults);
	for (size_t i = 0; i < section->zone_count; i++)
		apply_group_zone(options, group, section, &section->zones[i], faults);
}

void options_apply_groups(
	struct options *options, const struct settings *settings, struct faults *faults)
{
	for (size_t i = 0; i < settings->zone_count; i++)
		apply_zone_schedule(options, &settings->zones[i], faults);
	options->groups = calloc(POLICY_GROUPS_MAX, sizeof(options->groups[0]));
	if (!options->groups) {
		faults->no_memory = true;
		return;
	}
	for (size_t i = 0; i < settings->group_count; i++) {
		if (options->group_count < POLICY_GROUPS_MAX - 1)
			apply_group(options, &settings->groups[i], faults);
		else
			faults_add(faults, settings->groups[i].line,
				"group \"%.40s\": this is one group too many, expected at most %d",
				settings->groups[i].title, POLICY_GROUPS_MAX - 1);
	}
	check_repeated(settings, faults);
}

void options_forget_groups(struct options *options)
{
	for (size_t i = 0; i < options->group_count; i++) {
		free(options->groups[i].clients);
		free(options->groups[i].zones);
	}
	free(options->groups);
}

/* --- as text --- */

void options_print_schedule(const struct schedule *schedule, const char *indent, FILE *out)
{
	char text[SCHEDULE_TEXT_MAX];

	if (schedule->count == 0)
		return;
	fprintf(out, "%sschedule = {", indent);
	for (unsigned i = 0; i < schedule->count; i++) {
		schedule_rule_to_text(&schedule->rules[i], text);
		fprintf(out, "%s \"%s\"", i ? "," : "", text);
	}
	fputs(" }\n", out);
}

static void print_client(const struct group_client *client, FILE *out)
{
	char text[ADDRESS_TEXT_MAX];

	if (client->client.family != ADDRESS_NONE)
		fprintf(out, "\"%s\"", address_to_text(&client->client, text));
	else if (client->network.length == 8 * address_octets(&client->network.address))
		fprintf(out, "\"%s\"", address_to_text(&client->network.address, text));
	else
		fprintf(out, "\"%s/%u\"", address_to_text(&client->network.address, text),
			client->network.length);
}

static void print_group(const struct group_options *group, FILE *out)
{
	fprintf(out, "\ngroup \"%s\" {\n\tclients = {", group->name);
	for (size_t i = 0; i < group->client_count; i++) {
		fputs(i ? ", " : " ", out);
		print_client(&group->clients[i], out);
	}
	fputs(" }\n", out);
	for (size_t i = 0; i < group->zone_count; i++) {
		const struct group_zone_options *zone = &group->zones[i];
		fprintf(out, "\tzone \"%s\" {\n", zone->zone);
		if (zone->has_mode)
			fprintf(out, "\t\tmode = %s\n", option_mode_words[zone->mode]);
		options_print_schedule(&zone->schedule, "\t\t", out);
		fputs("\t}\n", out);
	}
	fputs("}\n", out);
}

void options_print_groups(const struct options *options, FILE *out)
{
	for (size_t i = 0; i < options->group_count; i++)
		print_group(&options->groups[i], out);
}

void options_print_group_sample(FILE *out)
{
	fputs("\n"
	      "# Modes by the time of the week, in a zone or for a group: the first that fits counts "
	      "in\n"
	      "# place of mode.\n"
	      "\n"
	      "#zone \"social\" { file = \"/etc/teredown/social.rpz\" mode = ignore schedule = { "
	      "\"mon-fri 08:00-16:00 block\" } }\n"
	      "\n"
	      "# Clients with modes of their own: addresses, networks, MAC addresses. Zones that are "
	      "not\n"
	      "# named are for a group as they are for all. Takes effect at a reload.\n"
	      "\n"
	      "#group \"gaming\" { clients = { \"192.168.1.40\" } zone \"teredo\" { mode = watch } }\n"
	      "#group \"kids\" { clients = { \"192.168.2.0/24\", \"02:00:5e:10:00:01\" } zone "
	      "\"social\" { schedule = { \"sun-thu 20:00-07:00 block\" } } }\n",
		out);
}

void options_print_group_manual(FILE *out)
{
	fputs(".TP\n"
	      "\\fBschedule\\fR = \\fI{ \\(dq[days] from\\-to mode\\(dq, ... }\\fR\n"
	      "Modes by the time of the week: the first entry that fits counts in place of mode. "
	      "Days are such as \\fBmon\\-fri\\fR or \\fBsat,sun\\fR, without them every day; "
	      "times "
	      "are from 00:00 to 24:00. A span over midnight belongs to the day on which it "
	      "begins: "
	      "\\fBfri 20:00\\-07:00 block\\fR blocks until Saturday morning. Days and times are "
	      "those that the clock on the wall shows, in the time zone of the system (or of TZ in "
	      "the environment of the daemon): where summer time ends, an hour comes twice and so "
	      "does what it holds; where it begins, an hour is left out. At most 16 entries. A "
	      "change takes effect within a second, after a step of the clock within a minute, and "
	      "is an event.\n"
	      ".SH GROUPS\n"
	      "A section \\fBgroup\\fR \\(dq\\fIname\\fR\\(dq { ... } gives clients modes of their "
	      "own. Names are 1 to 31 of a to z, 0 to 9 and \\-; there are at most 31 groups. A "
	      "reload brings them into effect.\n"
	      ".PP\n"
	      ".EX\n"
	      "    group \\(dqgaming\\(dq { clients = { \\(dq192.168.1.40\\(dq } zone "
	      "\\(dqteredo\\(dq { mode = watch } }\n"
	      "    group \\(dqkids\\(dq {\n"
	      "        clients = { \\(dq192.168.2.0/24\\(dq, \\(dq02:00:5e:10:00:01\\(dq }\n"
	      "        zone \\(dqsocial\\(dq { mode = ignore schedule = { \\(dqsun\\-thu "
	      "20:00\\-07:00 block\\(dq } }\n"
	      "    }\n"
	      ".EE\n"
	      ".TP\n"
	      "\\fBclients\\fR = \\fI{ \\(dqclient\\(dq, ... }\\fR\n"
	      "Needed: addresses, networks, MAC addresses (also as mac:02:00:5e:10:00:01), and "
	      "what "
	      "a forwarder calls a client (id\\-kitchen), at most 1024. A client is in the group "
	      "that "
	      "its MAC address is in, as the neighbour table of the system has it for the client's "
	      "address or a forwarder of trust\\-forwarder gives it; else in that of the longest "
	      "network around its address. Behind such a forwarder, or a proxy of "
	      "proxy\\-protocol, the client is whom that names, never the forwarder; one that is "
	      "told as a network is in a group that has all of it. To name the same client twice "
	      "is "
	      "a fault.\n"
	      ".TP\n"
	      "\\fBzone\\fR \\(dq\\fIname\\fR\\(dq { \\fBmode\\fR = ... \\fBschedule\\fR = { ... } "
	      "}\n"
	      "What a zone of this configuration does for these clients, with one of the two or "
	      "both. "
	      "Without mode, and where no entry of schedule fits, it is the mode of the zone; so "
	      "it "
	      "is for zones that are not named. A mode set by teredown mode without \\-\\-group "
	      "leaves "
	      "a group's own mode as it is.\n",
		out);
}
