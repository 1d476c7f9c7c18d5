/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a person asks of the cache over the control socket. The main thread looks at the shards
 * itself, a slice at a time under their locks; workers are asked only for what they have counted.
 * A flush by letters to the workers was rejected: the cache is one for all of them, and nobody
 * keeps an answer for longer than it takes to send it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/strbuf.h"
#include "lib/dns/text.h"
#include "resolver/cache_walk.h"
#include "resolver/daemon.h"

#define ENTRIES_SHOWN_MAX 32 /* variants of one name */

/* --- flush --- */

/* TYPE or "*", then a name for two of the scopes. NULL, or what is wrong. */
static const char *read_filter(struct cache_filter *filter, struct name *name, const char *scope,
	unsigned count, char *const words[])
{
	bool all = strcmp(scope, "all") == 0;

	*filter = (struct cache_filter){.below = strcmp(scope, "suffix") == 0};
	if (!all && !filter->below && strcmp(scope, "name") != 0)
		return "the scope is one of all, name, suffix";
	if (count != (all ? 1u : 2u))
		return all ? "all needs a type or *" : "this scope needs a type or *, and a name";
	if (strcmp(words[0], "*") != 0 && !type_from_text(&filter->qtype, words[0]))
		return "this is no type of records";
	if (all)
		return NULL;
	if (name_from_text(name, words[1], strlen(words[1])) != TD_OK)
		return "this is no name";
	name_fold(name->wire, name->wire, name->length);
	filter->name = name->wire;
	filter->length = name->length;
	return NULL;
}

void daemon_flush(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[])
{
	char text[NAME_TEXT_MAX] = "", type[TYPE_TEXT_MAX] = "";
	struct cache_flushed flushed;
	struct cache_filter filter;
	struct name name;
	const char *why = count < 3 ? "flush needs all, name or suffix, and a type or *"
				    : read_filter(&filter, &name, words[1], count - 2, words + 2);

	if (why) {
		control_reply_fail(reply, why);
		return;
	}
	cache_sweep_failures(daemon->cache, daemon_mono_us());
	if (cache_flush(daemon->cache, &filter, &flushed) != TD_OK) {
		control_reply_fail(reply, "out of memory");
		return;
	}
	daemon_cache_forget_saved(daemon);
	if (filter.name)
		name_to_text(filter.name, text);
	log_info("cache: flushed %s%s, type %s: %" PRIu64 " entries, %" PRIu64
		 " failures; asked for by uid %u%s",
		filter.name ? text : "everything", filter.below ? " and below" : "",
		filter.qtype ? type_to_text(filter.qtype, type) : "any", flushed.entries,
		flushed.failures, (unsigned)control_reply_uid(reply), control_reply_via(reply));
	control_reply_add_u64(reply, "entries", flushed.entries);
	control_reply_add_u64(reply, "failures", flushed.failures);
	control_reply_end(reply);
}

/* --- one entry --- */

void daemon_add_rr(struct control_reply *reply, const char *key, const uint8_t *message,
	size_t size, const struct message_rr *rr)
{
	char owner[NAME_TEXT_MAX], type[TYPE_TEXT_MAX];
	struct strbuf text;

	name_to_text(rr->owner.wire, owner);
	strbuf_init(&text);
	strbuf_printf(&text, "%s %u %s ", owner, (unsigned)rr->ttl, type_to_text(rr->type, type));
	rdata_to_text(&text, message, size, rr);
	control_reply_add(reply, key, text.failed ? "" : text.data);
	strbuf_deinit(&text);
}

static void add_records(struct control_reply *reply, const struct answer *answer, int64_t now_us)
{
	static uint8_t message[DNS_MESSAGE_MAX];
	bool truncated;
	size_t size = answer_write(answer, now_us, message, sizeof message, &truncated);
	struct wire_reader reader = wire_reader_init(message, size);
	struct message_header header = message_read_header(&reader);
	struct message_rr rr;
	struct name name;
	uint16_t qtype, qclass;

	message_read_question(&reader, &name, &qtype, &qclass);
	for (unsigned i = 0; i < header.ancount + 0u + header.nscount; i++)
		if (message_read_rr(&reader, &rr))
			daemon_add_rr(reply, "record", message, size, &rr);
}

static void add_matches(
	const struct daemon *daemon, struct control_reply *reply, const struct answer *answer)
{
	const struct policy_view *view = &daemon->policy->view;
	struct policy_match matches[POLICY_MATCHES_MAX];
	size_t count = answer_match_copy(answer->bytes, answer->length, view, matches);

	for (size_t i = 0; i < count; i++)
		daemon_add_match(reply, "match", view, &matches[i]);
}

static void add_entry(const struct daemon *daemon, struct control_reply *reply,
	const struct cache_copy *copy, int64_t now_us)
{
	const struct answer *answer = copy->answer;
	char type[TYPE_TEXT_MAX], upstream[ENDPOINT_TEXT_MAX], text[256];
	int64_t left_us = answer->expires_us - now_us;

	snprintf(text, sizeof text,
		"type=%s rcode=%s kind=%s dnssec-ok=%d checking-disabled=%d state=%s "
		"left_s=%" PRId64 " age_s=%" PRId64 " hits=%u upstream=%s",
		type_to_text(copy->qtype, type), rcode_to_text(answer->flags & DNS_FLAG_RCODE),
		answer->positive ? "positive" : "negative", (copy->flags & CACHE_DNSSEC_OK) != 0,
		(copy->flags & CACHE_CHECKING_DISABLED) != 0, left_us > 0 ? "fresh" : "stale",
		left_us / US_PER_S, (now_us - answer->stored_us) / US_PER_S, copy->hits,
		answer->upstream.address.family ? endpoint_to_text(&answer->upstream, upstream)
						: "unknown");
	control_reply_add(reply, "entry", text);
	add_records(reply, answer, now_us);
	add_matches(daemon, reply, answer);
}

static void add_failures(
	struct daemon *daemon, struct control_reply *reply, const struct cache_filter *filter)
{
	uint16_t types[ENTRIES_SHOWN_MAX];
	char text[TYPE_TEXT_MAX];

	cache_sweep_failures(daemon->cache, daemon_mono_us());
	size_t count = cache_find_failures(daemon->cache, filter, types, ENTRIES_SHOWN_MAX);
	for (size_t i = 0; i < count; i++)
		control_reply_add(reply, "failure", type_to_text(types[i], text));
}

static void look_up(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[])
{
	struct cache_copy copies[ENTRIES_SHOWN_MAX];
	struct cache_filter filter;
	struct name name;
	bool more = false;
	const char *why = read_filter(&filter, &name, "name", count, words);
	int64_t now_us = daemon_mono_us();

	if (why) {
		control_reply_fail(reply, why);
		return;
	}
	size_t found = cache_find(daemon->cache, &filter, copies, ENTRIES_SHOWN_MAX, &more);
	for (size_t i = 0; i < found; i++) {
		add_entry(daemon, reply, &copies[i], now_us);
		free(copies[i].answer);
	}
	add_failures(daemon, reply, &filter);
	control_reply_add(reply, "more", more ? "yes" : "no");
	control_reply_end(reply);
}

/* --- figures --- */

static struct cache_sample sample_of(const struct daemon *daemon, const struct broadcast *broadcast)
{
	struct cache_sample sample = {.at_us = daemon_mono_us()};

	for (unsigned i = 0; i < daemon->worker_count; i++) {
		sample.hits += broadcast->messages[i].status.counters.cache_hits;
		sample.misses += broadcast->messages[i].status.counters.cache_misses;
	}
	return sample;
}

void daemon_cache_note(struct daemon *daemon, const struct broadcast *broadcast)
{
	struct cache_sample sample = sample_of(daemon, broadcast);

	cache_rate_note(&daemon->cache_rate, &sample);
}

static void add_minute(
	const struct daemon *daemon, struct control_reply *reply, const struct cache_sample *now)
{
	struct cache_sample minute;

	if (!cache_rate_minute(&daemon->cache_rate, now, &minute))
		return;
	control_reply_add_u64(reply, "recent_s", (uint64_t)(minute.at_us / US_PER_S));
	control_reply_add_u64(reply, "recent_hits", minute.hits);
	control_reply_add_u64(reply, "recent_misses", minute.misses);
}

static void on_counted(struct daemon *daemon, struct broadcast *broadcast)
{
	struct control_reply *reply = broadcast->context;
	struct cache_sample sample = sample_of(daemon, broadcast);
	struct cache_kinds kinds = cache_count(daemon->cache, sample.at_us);
	struct cache_status status;

	cache_sweep_failures(daemon->cache, sample.at_us);
	cache_status(daemon->cache, &status);
	const struct {
		const char *name;
		uint64_t value;
	} figures[] = {{"bytes", status.bytes}, {"limit", status.limit},
		{"entries", status.entries}, {"positive", kinds.positive}, {"nodata", kinds.nodata},
		{"nxdomain", kinds.nxdomain}, {"stale", kinds.stale}, {"failures", status.failing},
		{"hits", sample.hits}, {"misses", sample.misses}, {"evicted", status.evicted},
		{"expired", status.expired}, {"refreshed", status.refreshed},
		{"flushed", status.flushed}, {"outdated", status.outdated},
		{"uptime_s", (uint64_t)((sample.at_us - daemon->started_us) / US_PER_S)}};

	for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
		control_reply_add_u64(reply, figures[i].name, figures[i].value);
	add_minute(daemon, reply, &sample);
	cache_rate_note(&daemon->cache_rate, &sample);
	control_reply_end(reply);
}

void daemon_cache(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[])
{
	if (count > 1 && strcmp(words[1], "lookup") == 0)
		look_up(daemon, reply, count - 2, words + 2);
	else if (count > 1)
		control_reply_fail(reply, "cache takes nothing, or lookup with a type and a name");
	else if (!daemon_broadcast(daemon, WORKER_STATUS, on_counted, reply))
		control_reply_fail(reply, "out of memory");
}
