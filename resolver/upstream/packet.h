/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One packet to an upstream server, and whether what came back is the reply to it. Pure functions:
 * when to send and what to do next is the exchange's (exchange.h), random bits are passed in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/name.h"

#define PACKET_MAX (12 + NAME_WIRE_MAX + 4 + 11) /* header, question, our OPT */

struct upstream_question {
	struct name qname; /* as it is to be sent */
	uint16_t qtype;
	bool dnssec_ok;         /* DO */
	bool checking_disabled; /* CD */
};

/* What one packet has of its own, besides the question. */
struct packet_form {
	uint16_t id;
	bool without_edns;
};

/* As it leaves. It is also what the reply is held against. */
struct packet {
	uint16_t length;
	uint16_t question_end; /* offset behind the question */
	bool without_edns;
	uint8_t octets[PACKET_MAX];
};

/* The question's name is a valid one. */
void packet_compose(struct packet *packet, const struct upstream_question *question,
	const struct packet_form *form);

uint16_t packet_id(const struct packet *packet);

/* For a connection, where no other question may have the same. */
void packet_set_id(struct packet *packet, uint16_t id);

enum packet_match {
	PACKET_STRANGE,    /* not a reply to it: to be ignored (RFC 5452, 9.1) */
	PACKET_OTHER_CASE, /* a reply, but for the case of letters in the question */
	PACKET_REPLY,
};

/*
 * Whether these octets, that came from where the packet went, are the reply to it: id, QR, opcode,
 * name, type and class. A reply without a question counts only when it refuses EDNS. *flags: of the
 * reply, unless it is strange.
 */
enum packet_match packet_match(
	const struct packet *sent, const uint8_t *reply, size_t size, uint16_t *flags);

/* True for a matching reply of a server that may not know EDNS: it is to be asked without. */
bool packet_refuses_edns(const struct packet *sent, uint16_t flags);
