/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long answers took lately: the daemon's histograms count from its start, so what stood there
 * some minutes ago is taken off. Two copies are kept, the younger one becomes the older one every
 * few minutes; as long as the dashboard has not looked on for so long, it is the time since the
 * start.
 */
#include <string.h>

#include "resolver/control/dashboard/overview_private.h"

#define STEP_MS 150000 /* so that it is of two and a half to five minutes */

struct latency_sum {
	struct overview_facts *facts;
	struct latency classes[LATENCY_CLASSES];
	bool known;
};

static void add_text(struct latency_sum *sum, enum latency_class class, const char *text)
{
	struct latency one;

	if (!text || !latency_from_text(&one, text))
		return;
	latency_merge(&sum->classes[class], &one);
	sum->known = true;
}

static enum td_error add_member(void *context, struct fleet_member *member)
{
	struct latency_sum *sum = context;
	struct reader_fields meta;
	char field[64];
	enum td_error error = reader_meta(member->reader, &sum->facts->context->cli->arena, &meta);

	for (int c = 0; c < LATENCY_CLASSES && error == TD_OK; c++) {
		snprintf(field, sizeof(field), "gauge_%s",
			latency_figure_name((enum latency_class)c));
		add_text(sum, (enum latency_class)c, reader_field_text(&meta, field));
	}
	return error;
}

/* Whether all of it has only grown: a daemon that started anew, or other resolvers, have not. */
static bool has_grown(const struct latency *before, const struct latency *now)
{
	for (int c = 0; c < LATENCY_CLASSES; c++)
		for (int b = 0; b < LATENCY_BUCKETS; b++)
			if (now[c].counts[b] < before[c].counts[b])
				return false;
	return true;
}

static void keep_copies(
	struct overview_latency *kept, const struct latency *now, int64_t mono_ms, uint64_t sources)
{
	if (!has_grown(kept->younger, now) || !has_grown(kept->older, now) ||
		kept->sources != sources) {
		memset(kept, 0, sizeof(*kept));
		kept->sources = sources;
	}
	if (kept->turned_ms == 0)
		kept->turned_ms = mono_ms;
	if (mono_ms - kept->turned_ms < STEP_MS)
		return;
	memcpy(kept->older, kept->younger, sizeof(kept->older));
	memcpy(kept->younger, now, sizeof(kept->younger));
	kept->turned_ms = mono_ms;
}

static void append_class(struct strbuf *out, enum latency_class class, const struct latency *before,
	const struct latency *now)
{
	static const struct {
		const char *key;
		unsigned permille;
	} shown[] = {{"p50_us", 500}, {"p90_us", 900}, {"p99_us", 990}};
	struct latency lately = *now;

	for (int b = 0; b < LATENCY_BUCKETS; b++)
		lately.counts[b] -= before->counts[b];
	uint64_t count = latency_count(&lately);
	strbuf_json_key(out, latency_class_name(class));
	strbuf_append_char(out, '{');
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		strbuf_json_key(out, shown[i].key);
		if (count)
			strbuf_append_u64(out, latency_quantile_us(&lately, shown[i].permille));
		else
			strbuf_append_text(out, "null");
	}
	strbuf_json_u64(out, "count", count);
	strbuf_append_char(out, '}');
}

enum td_error overview_read_latency(struct overview_facts *facts, uint64_t sources, bool is_due)
{
	struct overview *overview = facts->overview;
	struct latency_sum sum = {.facts = facts};
	enum td_error error = TD_OK;

	if (facts->has_daemon && !facts->whole) {
		for (int c = 0; c < LATENCY_CLASSES; c++)
			add_text(&sum, (enum latency_class)c,
				control_answer_value(&facts->status,
					latency_figure_name((enum latency_class)c)));
	} else if (facts->fleet && is_due) {
		error = fleet_each(facts->fleet, add_member, &sum);
	}
	if (error != TD_OK || !sum.known)
		return error; /* as it was known last */
	keep_copies(&overview->latencies, sum.classes, facts->mono_ms, sources);
	strbuf_clear(&overview->latency);
	strbuf_append_char(&overview->latency, '{');
	for (int c = 0; c < LATENCY_CLASSES; c++)
		append_class(&overview->latency, (enum latency_class)c,
			&overview->latencies.older[c], &sum.classes[c]);
	strbuf_append_char(&overview->latency, '}');
	return TD_OK;
}
