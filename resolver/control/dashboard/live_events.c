/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * New entries of the streams of events, one stream a resolver. What was there before the first look
 * is not new; a resolver that comes later begins with its first look too. Where a list of one's
 * place is lost (a reconnection), nothing is: the place is kept by name.
 */
#include <stdlib.h>
#include <string.h>

#include "resolver/control/dashboard/live.h"

#define RESOLVERS_MAX FLEET_MAX
#define AT_ONCE 32 /* events of a resolver in one round; the rest comes in the next */
#define ID_MAX 48

struct place {
	char resolver[64];
	char id[ID_MAX];
};

struct live_events {
	size_t count;
	struct place places[RESOLVERS_MAX];
};

struct round {
	struct live_events *events;
	struct arena *arena;
	struct strbuf *out;
};

struct live_events *live_events_new(void)
{
	return calloc(1, sizeof(struct live_events));
}

void live_events_free(struct live_events *events)
{
	free(events);
}

static struct place *place_of(struct live_events *events, const char *resolver)
{
	for (size_t i = 0; i < events->count; i++)
		if (strcmp(events->places[i].resolver, resolver) == 0)
			return &events->places[i];
	if (events->count == RESOLVERS_MAX)
		return NULL;
	struct place *place = &events->places[events->count++];
	snprintf(place->resolver, sizeof(place->resolver), "%s", resolver);
	place->id[0] = '\0';
	return place;
}

/* What is no line of JSON would be taken for something else by who reads the stream. */
static bool is_line(const struct reader_record *record)
{
	if (record->json_length < 2 || record->json[0] != '{')
		return false;
	for (size_t i = 0; i < record->json_length; i++)
		if ((unsigned char)record->json[i] < 0x20)
			return false;
	return true;
}

static void append_event(struct strbuf *out, const struct reader_record *record)
{
	if (!is_line(record))
		return;
	strbuf_append_text(out, "event: event\ndata: ");
	strbuf_append(out, record->json, record->json_length);
	strbuf_append_text(out, "\n\n");
}

static enum td_error read_member(void *context, struct fleet_member *member)
{
	struct round *round = context;
	struct place *place = place_of(round->events, member->resolver);
	struct reader_records records;
	enum td_error error;

	if (!place)
		return TD_OK;
	bool first = !place->id[0];
	if (first)
		error = reader_last_records(
			member->reader, round->arena, READER_EVENTS, 1, &records);
	else
		error = reader_next_records(member->reader, round->arena, READER_EVENTS, place->id,
			1, AT_ONCE, &records);
	if (error != TD_OK)
		return error;
	for (size_t i = 0; i < records.count && !first; i++)
		append_event(round->out, &records.rows[i]);
	if (records.count)
		snprintf(place->id, sizeof(place->id), "%s", records.rows[records.count - 1].id);
	else if (first)
		snprintf(place->id, sizeof(place->id), "0-0");
	return TD_OK;
}

void live_read_events(struct live_events *events, struct api_context *context, struct strbuf *out)
{
	static const struct api_request request = {.body = "", .from = "", .cookie = ""};
	struct round round = {events, &context->cli->arena, out};
	struct api_reply reply = {.status = 200};

	strbuf_init(&reply.body);
	struct fleet *fleet = api_fleet(context, &request, &reply);
	if (fleet && fleet_each(fleet, read_member, &round) != TD_OK)
		api_fleet_failed(context, fleet, &reply);
	strbuf_deinit(&reply.body);
}
