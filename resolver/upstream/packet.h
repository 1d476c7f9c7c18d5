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
#include "lib/dns/subnet.h"

#define COOKIE_CLIENT_SIZE 8 /* RFC 7873, 4 */
#define COOKIE_SERVER_MIN 8
#define COOKIE_SERVER_MAX 32
#define COOKIE_MAX (COOKIE_CLIENT_SIZE + COOKIE_SERVER_MAX)
/* header, question, our OPT, a cookie and a client's subnet in it */
#define PACKET_MAX (12 + NAME_WIRE_MAX + 4 + 11 + 4 + COOKIE_MAX + 4 + SUBNET_SENT_MAX)
#define PACKET_CASE_BITS ((NAME_WIRE_MAX + 7) / 8)

struct upstream_question {
	struct name qname; /* as it is to be sent */
	uint16_t qtype;
	bool dnssec_ok;         /* DO */
	bool checking_disabled; /* CD */
	struct subnet subnet;   /* of a client, where it is passed on */
};

/* What one packet has of its own, besides the question. */
struct packet_form {
	uint16_t id;
	bool without_edns;
	bool vary_case; /* a set bit turns the octet's letter, if it is one */
	uint8_t case_bits[PACKET_CASE_BITS];
	uint8_t cookie_length; /* 0: none */
	const uint8_t *cookie; /* the client's part first */
};

/* As it leaves. It is also what the reply is held against. */
struct packet {
	uint16_t length;
	uint16_t question_end;  /* offset behind the question */
	uint16_t cookie_offset; /* of the cookie's first octet; 0: there is none */
	uint8_t cookie_length;
	bool without_edns;
	bool case_varied;
	uint8_t octets[PACKET_MAX];
};

/* The question's name is a valid one. */
void packet_compose(struct packet *packet, const struct upstream_question *question,
	const struct packet_form *form);

uint16_t packet_id(const struct packet *packet);

/* For a connection, where no other question may have the same. */
void packet_set_id(struct packet *packet, uint16_t id);

enum packet_cookie {
	PACKET_COOKIE_NONE,
	PACKET_COOKIE_WRONG, /* not the client's part that was sent, or of a length that cannot be
			      */
	PACKET_COOKIE_RIGHT,
};

/* A reply that has the right id and question. */
struct packet_reply {
	uint16_t flags;
	uint16_t rcode;    /* with the upper bits of its OPT record */
	bool has_question; /* always, but where EDNS is refused by a header alone */
	bool case_kept;
	enum packet_cookie cookie;    /* NONE when none was sent */
	uint8_t server_cookie_length; /* RIGHT: 0, or COOKIE_SERVER_MIN to COOKIE_SERVER_MAX */
	const uint8_t *server_cookie; /* within the reply */
};

/*
 * Whether these octets, that came from where the packet went, are a reply to it: id, QR, opcode,
 * name (without regard to case), type and class (RFC 5452, 9.1). A reply without a question counts
 * only when it refuses EDNS. False: it is to be ignored.
 */
bool packet_match(
	const struct packet *sent, const uint8_t *reply, size_t size, struct packet_reply *out);

/* True for a reply of a server that may not know EDNS, or not the option: it is to be asked
 * without. */
bool packet_refuses_edns(const struct packet *sent, uint16_t rcode);

/*
 * Puts the question back as it was given to packet_compose, for names that the server compressed
 * against it.
 */
void packet_restore_question(const struct upstream_question *question, uint8_t *reply, size_t size);
