/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The request `policy` and its part `list`: the zones as they were compiled, with what became of
 * each line of their files. All of it stands with the rules in force, so nothing is read for it.
 */
#include "resolver/daemon_policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/strbuf.h"

static const char *const kind_names[] = {
	[ZONE_TUNNEL] = "tunnel", [ZONE_LIST] = "list", [ZONE_LOCAL] = "local"};

static const struct zone_options *find_options(const struct options *options, const char *name)
{
	for (size_t i = 0; i < options->zone_count; i++)
		if (strcmp(options->zones[i].name, name) == 0)
			return &options->zones[i];
	return NULL;
}

static void add_text(struct control_reply *reply, const char *key, struct strbuf *text)
{
	control_reply_add(reply, key, text->failed ? "" : text->data);
	strbuf_deinit(text);
}

/* A pattern list that may be beside a zone, and is not, was never read. */
static bool is_read(const struct zone_source *source)
{
	return source->required || source->load.lines;
}

static void add_source(struct control_reply *reply, const struct zone_source *source)
{
	const struct policy_load *load = &source->load;
	char words[LOAD_TEXT_MAX];
	struct strbuf text;

	strbuf_init(&text);
	strbuf_printf(&text,
		"format=%s read=%u used=%u skipped=%u repeated=%u foreign=%u overruled=%u",
		policy_format_name(source->format), load->lines, load->used, load->skipped,
		load->repeated, load->foreign, load->overruled);
	add_text(reply, "source", &text);
	control_reply_add(reply, "path", source->path);
	control_reply_add(reply, "lines", policy_load_text(load, words));
}

static void add_zone(const struct daemon *daemon, struct control_reply *reply, size_t position)
{
	const struct policy_index *index = daemon->rules->index;
	const char *name = policy_zone_name(index, position);
	enum policy_zone_kind kind = policy_zone_kind(index, position);
	const struct rules_zone *zone = rules_zone_find(daemon->rules, name);
	const struct zone_options *options = find_options(daemon->options, name);
	struct strbuf text;

	strbuf_init(&text);
	strbuf_printf(&text, "name=%s kind=%s mode=%s format=%s rules=%zu", name, kind_names[kind],
		kind == ZONE_LOCAL ? "always"
				   : policy_mode_name((enum policy_mode)daemon->policy->view.mode[0][position]),
		zone && zone->version ? "transfer"
		: options             ? policy_format_name(options->format)
				      : "unknown",
		policy_zone_rules(index, position));
	if (zone)
		strbuf_printf(&text, " read_us=%" PRId64 " version=%" PRIu64, zone->read_us,
			zone->version);
	add_text(reply, "zone", &text);
	if (zone && zone->fault[0])
		control_reply_add(reply, "fault", zone->fault);
	for (size_t i = 0; zone && i < zone->source_count; i++)
		if (is_read(&zone->sources[i]))
			add_source(reply, &zone->sources[i]);
}

static void list(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[])
{
	const struct policy_index *index = daemon->rules->index;
	size_t only = SIZE_MAX;

	if (count > 1) {
		control_reply_fail(reply, "policy list takes a zone at most");
		return;
	}
	if (count > 0 && !policy_zone_find(index, words[0], &only)) {
		control_reply_fail(reply, "there is no zone of this name; policy list shows all");
		return;
	}
	for (size_t i = 0; i < policy_zone_count(index); i++)
		if (only == SIZE_MAX || i == only)
			add_zone(daemon, reply, i);
	control_reply_end(reply);
}

void daemon_policy(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[])
{
	if (count > 1 && strcmp(words[1], "test") == 0)
		daemon_policy_test(daemon, reply, count - 2, words + 2);
	else if (count > 1 && strcmp(words[1], "list") == 0)
		list(daemon, reply, count - 2, words + 2);
	else
		control_reply_fail(reply, "policy needs test or list");
}
