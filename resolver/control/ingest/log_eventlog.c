/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Windows event logs as XML, as `wevtutil qe System /f:xml`, /f:RenderedXml or the Event Viewer
 * write them: one <Event> at a time through expat. Of interest is what the IP Helper service, which
 * runs Teredo, says of it: 4200 an interface came up, 4201 it is no longer active, 4202 its address
 * could not be set; 4000 to 4005 are about a Teredo server on the host. Events of other providers
 * count when they speak of Teredo.
 *
 * The rendered message is there or not, in any language; the data of the event are always there, so
 * the text is the message, or the data one after the other.
 */
#include "config.h"

#include "resolver/control/ingest/log_private.h"

#ifdef HAVE_EXPAT

#include <expat.h>
#include <stdio.h>

#define ELEMENT_MAX (256 * 1024)
#define DEPTH_MAX 32

enum place { PLACE_OTHER, PLACE_ID, PLACE_COMPUTER, PLACE_DATA, PLACE_MESSAGE };

struct event {
	XML_Parser parser;
	enum place place;
	unsigned depth;
	char provider[128], time[40], id[12], computer[LOG_HOST_MAX];
	char data[LOG_TEXT_MAX * 2], message[LOG_TEXT_MAX * 2];
};

/* Appends what has room. */
static void append(char *out, size_t size, const char *text, size_t length)
{
	size_t used = strlen(out);
	if (length > size - 1 - used)
		length = size - 1 - used;
	memcpy(out + used, text, length);
	out[used + length] = '\0';
}

static const char *attribute(const XML_Char **attributes, const char *name)
{
	for (; attributes[0]; attributes += 2) {
		if (strcmp(attributes[0], name) == 0)
			return attributes[1];
	}
	return "";
}

static void begin_data(struct event *event, const XML_Char **attributes)
{
	const char *name = attribute(attributes, "Name");
	if (event->data[0])
		append(event->data, sizeof(event->data), ", ", 2);
	if (name[0]) {
		append(event->data, sizeof(event->data), name, strlen(name));
		append(event->data, sizeof(event->data), " ", 1);
	}
}

static void on_start(void *context, const XML_Char *element, const XML_Char **attributes)
{
	struct event *event = context;
	if (++event->depth > DEPTH_MAX)
		XML_StopParser(event->parser, XML_FALSE);
	event->place = PLACE_OTHER;
	if (strcmp(element, "Provider") == 0) {
		const char *name = attribute(attributes, "Name");
		append(event->provider, sizeof(event->provider), name, strlen(name));
	} else if (strcmp(element, "TimeCreated") == 0) {
		const char *time = attribute(attributes, "SystemTime");
		append(event->time, sizeof(event->time), time, strlen(time));
	} else if (strcmp(element, "EventID") == 0) {
		event->place = PLACE_ID;
	} else if (strcmp(element, "Computer") == 0) {
		event->place = PLACE_COMPUTER;
	} else if (strcmp(element, "Message") == 0) {
		event->place = PLACE_MESSAGE;
	} else if (strcmp(element, "Data") == 0) {
		event->place = PLACE_DATA;
		begin_data(event, attributes);
	}
}

static void on_end(void *context, const XML_Char *element)
{
	struct event *event = context;
	(void)element;
	event->depth--;
	event->place = PLACE_OTHER;
}

static void on_text(void *context, const XML_Char *text, int length)
{
	struct event *event = context;
	size_t size = (size_t)length;
	switch (event->place) {
	case PLACE_ID:
		append(event->id, sizeof(event->id), text, size);
		break;
	case PLACE_COMPUTER:
		append(event->computer, sizeof(event->computer), text, size);
		break;
	case PLACE_DATA:
		append(event->data, sizeof(event->data), text, size);
		break;
	case PLACE_MESSAGE:
		append(event->message, sizeof(event->message), text, size);
		break;
	default:
		break;
	}
}

/* A document type could define entities; no event has one. */
static void on_doctype(void *context, const XML_Char *name, const XML_Char *system,
	const XML_Char *public, int internal)
{
	struct event *event = context;
	(void)name;
	(void)system;
	(void)public;
	(void)internal;
	XML_StopParser(event->parser, XML_FALSE);
}

static bool parse(struct span element, const char *encoding, struct event *event)
{
	event->provider[0] = event->time[0] = event->id[0] = event->computer[0] = '\0';
	event->data[0] = event->message[0] = '\0';
	event->place = PLACE_OTHER;
	event->depth = 0;
	event->parser = XML_ParserCreate(encoding);
	if (!event->parser)
		return false;
	XML_SetUserData(event->parser, event);
	XML_SetElementHandler(event->parser, on_start, on_end);
	XML_SetCharacterDataHandler(event->parser, on_text);
	XML_SetStartDoctypeDeclHandler(event->parser, on_doctype);
	bool parsed = XML_Parse(event->parser, element.at, (int)span_length(element), XML_TRUE) ==
		      XML_STATUS_OK;
	XML_ParserFree(event->parser);
	return parsed;
}

/* The shell that wrote the file chose the encoding: PowerShell UTF-16, cmd the code page of the
 * console, whose letters beyond ASCII come out wrong, but the event is read. */
static bool parse_element(struct span element, struct event *event)
{
	if (span_length(element) > ELEMENT_MAX)
		return false;
	if (span_length(element) > 1 && element.at[1] == '\0')
		return parse(element, "UTF-16LE", event);
	return parse(element, "UTF-8", event) || parse(element, "ISO-8859-1", event);
}

static bool speaks_of(const char *text, const char *word)
{
	return strcasestr(text, word) != NULL;
}

static enum log_state state_of(const struct event *event, uint64_t id)
{
	bool teredo = speaks_of(event->data, "teredo") || speaks_of(event->message, "teredo");
	if (!speaks_of(event->provider, "iphlpsvc"))
		return LOG_STATE_NONE;
	if (id == 4000 || (id == 4200 && teredo))
		return LOG_STATE_ACTIVE;
	if (id == 4005 || (id == 4201 && teredo))
		return LOG_STATE_INACTIVE;
	return (id >= 4001 && id <= 4004) || (id == 4202 && teredo) ? LOG_STATE_FAILED
								    : LOG_STATE_NONE;
}

static bool is_of_interest(const struct event *event)
{
	return speaks_of(event->provider, "iphlpsvc") || speaks_of(event->provider, "teredo") ||
	       speaks_of(event->data, "teredo") || speaks_of(event->message, "teredo");
}

/* "4200: message". */
static void set_text(const struct event *event, struct log_entry *out)
{
	const char *text = event->message[0] ? event->message : event->data;
	char line[LOG_TEXT_MAX * 3];
	int length =
		snprintf(line, sizeof(line), "%.11s%s%s", event->id, text[0] ? ": " : "", text);
	log_copy_text(out->text, sizeof(out->text), span_of(line, (size_t)length));
}

static enum log_result read(struct log_context *context, struct span line, struct log_entry *out)
{
	struct event event;
	uint64_t id;
	if (!parse_element(line, &event))
		return LOG_UNREADABLE;
	log_entry_clear(out, LOG_EVENT);
	if (!log_take_time(&context->clock, span_of(event.time, strlen(event.time)), &out->at_ms) ||
		!span_number(span_of(event.id, strlen(event.id)), UINT32_MAX, &id))
		return LOG_UNREADABLE;
	if (!is_of_interest(&event))
		return LOG_SKIPPED;
	out->event = (uint32_t)id;
	out->state = state_of(&event, id);
	log_copy_text(
		out->host, sizeof(out->host), span_of(event.computer, strlen(event.computer)));
	set_text(&event, out);
	return LOG_USED;
}

static unsigned score(struct span line)
{
	return span_has(line, "<Event ") || span_has(line, "<Event>") ||
			       span_has(line, "<Events>") || span_has(line, "<\0E\0v\0e\0n\0t\0")
		       ? 100
		       : 0;
}

const struct log_format log_eventlog = {
	.name = "eventlog-xml",
	.summary = "Windows event logs as XML (wevtutil qe System /f:xml)",
	.score = score,
	.read = read,
	.elements = true,
};

#endif
