/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From bytes to sums: records out of the buffer, entries out of records, and what each kind of
 * entry counts for. A chunk is written before the record that has no place in it is read, so the
 * position in Redis always stands between two records.
 */
#include "resolver/control/ingest/ingest.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "resolver/control/clock.h"
#include "resolver/telemetry/redis/schema.h"

#define PULSE 1024                      /* records between two looks at the clock */
#define FLUSH_MS 1000                   /* of a log that goes on */
#define CHUNK_BYTES ((int64_t)32 << 20) /* the most that an interruption has to read again */
#define PIPE_WAIT_MS 500
#define BEFORE_BYTES ((int64_t)256 << 10) /* read again for what follows from earlier lines */
#define FUTURE_MS (24 * MS_PER_HOUR)
#define TEREDO_PORT 3544

/* --- what an entry counts for; false: nothing --- */

/* Who the client counts as. name: what it asked, or NULL. */
static struct address client_of(
	struct ingest_run *run, const struct address *source, const char *name)
{
	struct transaction transaction = {.client = {.address = *source}};
	struct name wire = {.length = 0};

	if (!run->rules || !address_is_ip(source))
		return *source;
	if (name && name_from_text(&wire, name, strlen(name)) == TD_OK) {
		transaction.qname = wire.wire;
		transaction.qname_length = wire.length;
	}
	transaction.zone = ZONE_ID_NONE;
	identity_apply(&run->identity, &transaction);
	return transaction.client.address;
}

static enum gather_tunnel tunnel_of(const struct log_entry *entry)
{
	if (entry->protocol == IPPROTO_IPV6)
		return TUNNEL_PROTO41;
	return entry->protocol == IPPROTO_UDP && entry->port == TEREDO_PORT ? TUNNEL_UDP3544
									    : TUNNEL_NONE;
}

static bool is_kept(struct ingest_source *source, int64_t at_ms, int64_t oldest_ms)
{
	if (at_ms >= oldest_ms)
		return true;
	source->counts.old++;
	return false;
}

static bool use_drop(struct ingest_source *source, const struct log_entry *entry)
{
	struct ingest_run *run = source->run;
	enum gather_tunnel tunnel = tunnel_of(entry);

	if (!is_kept(source, entry->at_ms, run->oldest_ms))
		return false;
	struct address client = client_of(run, &entry->source, NULL);
	gather_timeline(&run->gather, &entry->destination, entry->at_ms, COLUMN_DROP, entry->count);
	gather_drop(&run->gather, &client, &entry->destination, entry->at_ms, tunnel, entry->count);
	run->totals.drops += entry->count;
	run->totals.tunnel_drops += tunnel != TUNNEL_NONE ? entry->count : 0;
	return true;
}

static bool use_pass(struct ingest_source *source, const struct log_entry *entry)
{
	struct ingest_run *run = source->run;

	if (!is_kept(source, entry->at_ms, run->oldest_ms))
		return false;
	gather_timeline(&run->gather, &entry->destination, entry->at_ms, COLUMN_PASS, entry->count);
	run->totals.passes += entry->count;
	run->totals.tunnel_passes += tunnel_of(entry) != TUNNEL_NONE ? entry->count : 0;
	return true;
}

static bool use_proxy(struct ingest_source *source, const struct log_entry *entry)
{
	struct ingest_run *run = source->run;
	bool addressed = entry->destination.family != ADDRESS_NONE;

	if ((!addressed && !entry->name[0]) || !is_kept(source, entry->at_ms, run->oldest_ms))
		return false;
	if (addressed)
		gather_timeline(&run->gather, &entry->destination, entry->at_ms, COLUMN_PROXY,
			entry->count);
	else
		gather_name(&run->gather, entry->name, entry->at_ms, entry->count);
	run->totals.proxy_hits += entry->count;
	return true;
}

static bool use_reply(struct ingest_source *source, const struct log_entry *entry)
{
	struct ingest_run *run = source->run;
	struct history_told told[GATHER_NAMES_MAX];
	size_t used = 0;

	if (!entry->name[0] || !is_kept(source, entry->at_ms, run->oldest_pair_ms))
		return false;
	size_t count = history_told(source->history, entry, told);
	for (size_t i = 0; i < count; i++) {
		struct address client = client_of(run, &told[i].client, told[i].name);
		if (client.family == ADDRESS_EXCLUDED)
			continue;
		gather_history(&run->gather, &client, told[i].name, &entry->destination,
			entry->at_ms, told[i].certain);
		run->totals.certain_answers += told[i].certain;
		used++;
	}
	run->totals.answers += used;
	return used > 0;
}

/* Names of computers are compared without case, as those of hosts are. */
static const char *computer_of(const struct log_entry *entry, char out[LOG_HOST_MAX])
{
	size_t length = 0;

	if (!entry->host[0] && entry->source.family != ADDRESS_NONE)
		return address_to_text(&entry->source, out);
	for (; entry->host[length] && length + 1 < LOG_HOST_MAX; length++)
		out[length] = (char)tolower((unsigned char)entry->host[length]);
	out[length] = '\0';
	return out;
}

static void gather_state(
	struct ingest_run *run, const struct log_entry *entry, const char *computer)
{
	static const char *const states[] = {[LOG_STATE_NONE] = "",
		[LOG_STATE_ACTIVE] = "active",
		[LOG_STATE_INACTIVE] = "inactive",
		[LOG_STATE_FAILED] = "failed"};
	struct strbuf json;

	strbuf_init(&json);
	strbuf_append_char(&json, '{');
	strbuf_json_u64(&json, "at", (uint64_t)entry->at_ms);
	strbuf_json_text(&json, "state", states[entry->state]);
	strbuf_json_u64(&json, "event", entry->event);
	strbuf_json_text(&json, "text", entry->text);
	strbuf_append_char(&json, '}');
	if (json.failed)
		run->gather.failed = true;
	else
		gather_event(&run->gather, computer, entry->at_ms, json.data);
	strbuf_deinit(&json);
}

/* Names of computers are not kept where clients are to stay anonymous. */
static bool use_event(struct ingest_source *source, const struct log_entry *entry)
{
	struct ingest_run *run = source->run;
	char text[LOG_HOST_MAX];
	const char *computer = computer_of(entry, text);
	bool used = false;

	if (entry->destination.family != ADDRESS_NONE &&
		is_kept(source, entry->at_ms, run->oldest_ms)) {
		gather_timeline(&run->gather, &entry->destination, entry->at_ms, COLUMN_EVENTLOG,
			entry->count);
		used = true;
	}
	if (entry->state != LOG_STATE_NONE && *computer &&
		run->cli->options->anonymize == ANONYMIZE_OFF) {
		gather_state(run, entry, computer);
		run->totals.events++;
		used = true;
	}
	return used;
}

static bool use(struct ingest_source *source, const struct log_entry *entry)
{
	bool addressed = entry->destination.family != ADDRESS_NONE;

	if (entry->at_ms > source->run->wall_ms + FUTURE_MS) {
		source->counts.future++;
		return false;
	}
	switch (entry->kind) {
	case LOG_DROP:
		return addressed && use_drop(source, entry);
	case LOG_PASS:
		return addressed && use_pass(source, entry);
	case LOG_PROXY:
		return use_proxy(source, entry);
	case LOG_DNS_QUERY:
		history_asked(source->history, entry);
		return true;
	case LOG_DNS_REPLY:
		return addressed && use_reply(source, entry);
	case LOG_EVENT:
		return use_event(source, entry);
	}
	return false;
}

/* --- records --- */

/* Numbers that no log means: they would not fit the sums. */
static bool is_sane(const struct log_entry *entry)
{
	return entry->at_ms >= 0 && entry->count >= 1 && entry->count <= GATHER_COUNT_MAX;
}

static void count_unreadable(struct ingest_source *source, const char *line, size_t length)
{
	source->counts.unreadable++;
	ingest_show_unreadable(source, line, length);
}

static void take_record(struct ingest_source *source, const char *line, size_t length)
{
	struct ingest_counts *counts = &source->counts;
	struct log_entry entry;
	enum log_result result;

	counts->lines++;
	while (length > 0 && *line == '\0') { /* a hole, where a log was cut beneath its writer */
		line++;
		length--;
	}
	result = log_format_read(source->format, &source->context, line, length, &entry);
	source->in_header = source->in_header && result == LOG_HEADER;
	switch (result) {
	case LOG_USED:
		if (!is_sane(&entry)) {
			count_unreadable(source, line, length);
		} else if (use(source, &entry)) {
			counts->used++;
			ingest_count_time(counts, entry.at_ms);
		} else {
			counts->skipped++;
		}
		break;
	case LOG_UNREADABLE:
		count_unreadable(source, line, length);
		break;
	case LOG_HEADER:
		if (!source->in_header)
			source->header = source->input.offset;
		source->in_header = true;
		counts->headers++;
		counts->skipped++;
		break;
	case LOG_SKIPPED:
		counts->skipped++;
		break;
	}
}

/* Without an end in sight it is no record: one unreadable line, up to where the next begins, but
 * for XML, where that need not be a line. */
static void give_up(struct ingest_source *source)
{
	struct input *input = &source->input;

	source->counts.lines++;
	count_unreadable(source, input->buffer + input->start, 80);
	input_consume(input, input->end - input->start);
	source->discards = strcmp(log_format_name(source->format), "eventlog-xml") != 0;
}

/* True when the buffer begins with a line again. */
static bool discard(struct ingest_source *source)
{
	struct input *input = &source->input;
	const char *at = input->buffer + input->start;
	const char *end = memchr(at, '\n', input->end - input->start);

	input_consume(input, end ? (size_t)(end - at) + 1 : input->end - input->start);
	source->discards = !end;
	return end != NULL;
}

static bool next_record(struct ingest_source *source, bool last, struct log_record *record)
{
	struct input *input = &source->input;

	if (source->discards && !discard(source))
		return false;
	if (input->end == input->start)
		return false;
	if (log_format_record(source->format, input->buffer + input->start,
		    input->end - input->start, last, record))
		return true;
	input_consume(input, record->next);
	if (input->end - input->start >= INPUT_RECORD)
		give_up(source);
	return false;
}

/* --- reading on --- */

static bool goes_on(const struct ingest_source *source)
{
	return source->run->follow || !source->input.is_file;
}

/* A line without a year is of this one, where lines are read as they are written. */
static void look_at_clock(struct ingest_source *source)
{
	ingest_look_at_clock(source->run);
	if (goes_on(source))
		source->context.clock.reference_ms = source->run->wall_ms;
}

static bool pulse(struct ingest_source *source)
{
	int64_t now_ms = clock_mono_ms();

	look_at_clock(source);
	ingest_progress(source);
	if ((goes_on(source) && now_ms - source->flushed_ms >= FLUSH_MS) ||
		source->input.offset - source->written >= CHUNK_BYTES)
		return ingest_source_flush(source);
	return true;
}

/* What the buffer holds. False: a chunk could not be written. */
static bool read_buffer(struct ingest_source *source, bool last)
{
	struct input *input = &source->input;
	struct log_record record;

	while (!ingest_stopped && next_record(source, last, &record)) {
		if (!gather_has_room(&source->run->gather) && !ingest_source_flush(source))
			return false;
		take_record(source, input->buffer + input->start + record.start, record.length);
		input_consume(input, record.next);
		if (source->counts.lines % PULSE == 0 && !pulse(source))
			return false;
	}
	return true;
}

enum ingest_state ingest_read(struct ingest_source *source, bool last)
{
	struct input *input = &source->input;

	look_at_clock(source);
	if (input->is_file)
		input->ended = false; /* it may have grown */
	while (!ingest_stopped) {
		size_t before = input->end - input->start;
		bool at_end = input->ended;
		if (!read_buffer(source, last && at_end))
			return INGEST_FAILED;
		if (at_end && before == input->end - input->start)
			return INGEST_END;
		size_t held = input->end - input->start;
		enum td_error error = input_fill(input, PIPE_WAIT_MS);
		if (error != TD_OK) {
			ingest_say(source->run, source->path, input->words);
			return INGEST_FAILED;
		}
		if (!input->ended && !input->is_file && held == input->end - input->start)
			return INGEST_MORE;
	}
	return INGEST_MORE;
}

/* --- up to where it was read --- */

/* Records before offset, for what the context and the history learn of them. */
static void learn_until(struct ingest_source *source, int64_t offset, bool headers_only)
{
	struct input *input = &source->input;
	struct log_record record;
	struct log_entry entry;

	while (input->offset < offset) {
		size_t held = input->end - input->start;
		bool all = (int64_t)held >= offset - input->offset;
		if (all)
			held = (size_t)(offset - input->offset);
		const char *at = input->buffer + input->start;
		if (held && log_format_record(source->format, at, held, all, &record)) {
			enum log_result result = log_format_read(source->format, &source->context,
				at + record.start, record.length, &entry);
			if (headers_only && result != LOG_HEADER)
				return;
			if (result == LOG_USED && entry.kind == LOG_DNS_QUERY)
				history_asked(source->history, &entry);
			input_consume(input, record.next);
		} else if (all || input_fill(input, -1) != TD_OK ||
			   (input->ended && held == input->end - input->start)) {
			return;
		}
	}
}

/* To where a line begins, at most to offset. */
static enum td_error align(struct ingest_source *source, int64_t offset)
{
	struct input *input = &source->input;
	enum td_error error = TD_OK;

	while (error == TD_OK && input->offset < offset) {
		const char *at = input->buffer + input->start;
		size_t held = input->end - input->start;
		if ((int64_t)held > offset - input->offset)
			held = (size_t)(offset - input->offset);
		const char *end = held ? memchr(at, '\n', held) : NULL;
		input_consume(input, end ? (size_t)(end - at) + 1 : held);
		if (end)
			break;
		if (input->start == input->end)
			error = input_fill(input, -1);
		if (input->ended && input->start == input->end)
			break;
	}
	return error;
}

enum ingest_state ingest_read_before(struct ingest_source *source, int64_t offset)
{
	struct input *input = &source->input;
	int64_t from = offset > BEFORE_BYTES ? offset - BEFORE_BYTES : 0;
	enum td_error error = TD_OK;

	if (source->header >= 0 && source->header < from) {
		error = input_skip_to(input, source->header);
		if (error == TD_OK)
			learn_until(source, from, true);
	}
	if (error == TD_OK)
		error = input_skip_to(input, from);
	if (error == TD_OK && from > 0)
		error = align(source, offset);
	if (error == TD_OK)
		learn_until(source, offset, false);
	if (error == TD_OK)
		error = input_skip_to(input, offset);
	return error == TD_OK ? INGEST_MORE : INGEST_FAILED;
}
