/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each message is built on the stack, points into the record, and is packed by protobuf-c straight
 * into the queue: nothing is allocated and an octet is copied once.
 */
#include "resolver/telemetry/sinks/dnstap_message.h"

#include <string.h>

#include "lib/base/clock.h"
#include "resolver/telemetry/sinks/dnstap.pb-c.h"
#include "resolver/telemetry/sinks/sink_target.h"

#define NS_PER_US 1000

static ProtobufCBinaryData binary(const void *octets, size_t length)
{
	return (ProtobufCBinaryData){length, (uint8_t *)(uintptr_t)octets};
}

static void put(struct outbox *box, const struct dnstap_source *source, Dnstap__Message *message)
{
	Dnstap__Dnstap dnstap = DNSTAP__DNSTAP__INIT;

	dnstap.type = DNSTAP__DNSTAP__TYPE__MESSAGE;
	dnstap.message = message;
	dnstap.has_identity = true;
	dnstap.identity = binary(source->identity, strlen(source->identity));
	dnstap.has_version = true;
	dnstap.version = binary(source->version, strlen(source->version));
	size_t length = dnstap__dnstap__get_packed_size(&dnstap);
	uint8_t *room = outbox_reserve(box, length);
	if (!room)
		return;
	dnstap__dnstap__pack(&dnstap, room);
	outbox_commit(box, length);
}

static void set_query_time(Dnstap__Message *message, int64_t wall_us)
{
	message->has_query_time_sec = message->has_query_time_nsec = true;
	message->query_time_sec = (uint64_t)(wall_us / US_PER_S);
	message->query_time_nsec = (uint32_t)(wall_us % US_PER_S) * NS_PER_US;
}

static void set_response_time(Dnstap__Message *message, int64_t wall_us)
{
	message->has_response_time_sec = message->has_response_time_nsec = true;
	message->response_time_sec = (uint64_t)(wall_us / US_PER_S);
	message->response_time_nsec = (uint32_t)(wall_us % US_PER_S) * NS_PER_US;
}

/* asker and answerer: families other than 4 and 6 are left out, and their ports as well. */
static void set_addresses(Dnstap__Message *message, const struct address *asker,
	uint16_t asker_port, const struct endpoint *answerer)
{
	size_t asker_octets = address_octets(asker);
	size_t answerer_octets = address_octets(&answerer->address);

	if (asker_octets) {
		message->has_query_address = message->has_query_port = true;
		message->query_address = binary(asker->octets, asker_octets);
		message->query_port = asker_port;
	}
	if (answerer_octets && (!asker_octets || asker_octets == answerer_octets)) {
		message->has_response_address = true;
		message->response_address = binary(answerer->address.octets, answerer_octets);
	}
	if (answerer->port) {
		message->has_response_port = true;
		message->response_port = answerer->port;
	}
	if (!asker_octets)
		asker_octets = answerer_octets;
	message->has_socket_family = asker_octets != 0;
	message->socket_family =
		asker_octets == 16 ? DNSTAP__SOCKET_FAMILY__INET6 : DNSTAP__SOCKET_FAMILY__INET;
}

static Dnstap__Message message_of(const struct record *record, Dnstap__Message__Type type)
{
	Dnstap__Message message = DNSTAP__MESSAGE__INIT;

	message.type = type;
	message.has_socket_protocol = true;
	message.socket_protocol =
		record->tcp ? DNSTAP__SOCKET_PROTOCOL__TCP : DNSTAP__SOCKET_PROTOCOL__UDP;
	set_query_time(&message, record->wall_us - record->duration_us);
	return message;
}

static void put_client(struct outbox *box, const struct dnstap_source *source, unsigned messages,
	const struct record *record)
{
	const struct address *client = &record->client.address;
	Dnstap__Message message;

	if (address_octets(&record->address))
		client = &record->address;
	if (messages & DNSTAP_CLIENT_QUERY) {
		message = message_of(record, DNSTAP__MESSAGE__TYPE__CLIENT_QUERY);
		set_addresses(&message, client, record->client.port, &record->server);
		message.has_query_message = record->query_length > 0;
		message.query_message = binary(record_query(record), record->query_length);
		put(box, source, &message);
	}
	if (messages & DNSTAP_CLIENT_RESPONSE) {
		message = message_of(record, DNSTAP__MESSAGE__TYPE__CLIENT_RESPONSE);
		set_addresses(&message, client, record->client.port, &record->server);
		set_response_time(&message, record->wall_us);
		message.has_response_message = true;
		message.response_message = binary(record_reply(record), record->reply_kept);
		put(box, source, &message);
	}
}

static void put_forwarder(
	struct outbox *box, const struct dnstap_source *source, const struct record *record)
{
	static const struct address unknown;
	bool reply = record->kind == RECORD_UPSTREAM_REPLY;
	Dnstap__Message message =
		message_of(record, reply ? DNSTAP__MESSAGE__TYPE__FORWARDER_RESPONSE
					 : DNSTAP__MESSAGE__TYPE__FORWARDER_QUERY);
	ProtobufCBinaryData octets = binary(record_reply(record), record->reply_kept);

	set_addresses(&message, &unknown, 0, &record->upstream);
	if (reply) {
		set_response_time(&message, record->wall_us);
		message.has_response_message = true;
		message.response_message = octets;
	} else {
		message.has_query_message = true;
		message.query_message = octets;
	}
	put(box, source, &message);
}

void dnstap_put(struct outbox *box, const struct dnstap_source *source, unsigned messages,
	const struct record *record)
{
	switch ((enum record_kind)record->kind) {
	case RECORD_ANSWER:
		put_client(box, source, messages, record);
		break;
	case RECORD_UPSTREAM_QUERY:
		if (messages & DNSTAP_FORWARDER_QUERY)
			put_forwarder(box, source, record);
		break;
	case RECORD_UPSTREAM_REPLY:
		if (messages & DNSTAP_FORWARDER_RESPONSE)
			put_forwarder(box, source, record);
		break;
	}
}
