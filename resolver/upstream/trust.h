/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a server has to repeat so that a reply is believed, besides id and question: the case of
 * letters (0x20), our DNS cookie (RFC 7873, 9018). Servers, and the boxes before them, that cannot
 * are told apart from forgeries by asking again over TCP, where nobody off the path can answer.
 * Pure arithmetic; time and random bits are passed in. One worker's thread.
 *
 *   UDP reply ── repeats all ──────────────────────────────→ believed
 *       └── lacks something → over TCP ── lacks it, too ───→ believed; not demanded for a while
 *                                 ├────── repeats all ─────→ believed
 *                                 └────── no TCP → UDP anew; TRUST_STRIKES such replies in a row
 *                                                  → believed; not demanded for a while
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/dns/address.h"
#include "resolver/upstream/packet.h"
#include "resolver/upstream/random.h"

#define TRUST_AGAIN_US (INT64_C(900) * 1000000)    /* then it is demanded again */
#define TRUST_STRIKES 3                            /* each with a port and an id of its own */
#define TRUST_TCP_AGAIN_US (INT64_C(60) * 1000000) /* after TCP failed */
#define TRUST_STRANGE_MAX 16                       /* packets that are no reply to one question */
#define COOKIE_LIFE_US (INT64_C(86400) * 1000000)  /* RFC 7873, 7.1: about a day */

/* Part of a server's state. All zero: nothing is demanded, nothing known. */
struct server_trust {
	bool vary_case, use_cookies; /* options; off where the transport itself is safe */
	bool cookie_tolerated;       /* it answered a packet that had one */
	bool question_repeated;      /* it answered a packet with EDNS as it should be */
	uint8_t strikes;
	uint8_t server_cookie_length; /* 0: it has sent none */
	uint8_t cookie[COOKIE_MAX];   /* ours, then the server's */
	struct address cookie_local;  /* our address that it was made for */
	int64_t local_again_us;       /* when to look whether that address is still ours */
	int64_t cookie_until_us;      /* then it is made anew; 0: there is none */
	int64_t case_again_us;        /* it changes letters: not varied before */
	int64_t cookies_again_us;     /* it spoils cookies, or lost them: none before */
	int64_t tcp_again_us;         /* TCP failed: not tried for the sake of trust before */
	uint64_t doubted;             /* replies that lacked something */
	uint64_t spoofed; /* questions with more than TRUST_STRANGE_MAX strange packets */
};

/*
 * What the next packet to this server carries of it; form->id and without_edns are the caller's.
 * with_cookie false: the option itself may be what it chokes on.
 */
void trust_fill(struct server_trust *trust, struct packet_form *form, size_t qname_length,
	bool with_cookie, struct random_pool *random, int64_t now_us);

enum trust_verdict {
	TRUST_BELIEVE,
	TRUST_BADCOOKIE, /* ask again: the server's new cookie is known now (RFC 7873, 5.3) */
	TRUST_DOUBT,     /* ask again: over TCP if trust_tcp_possible, else from a new port */
};

/* Judges a reply that matched sent, and learns of it. */
enum trust_verdict trust_judge(struct server_trust *trust, const struct packet *sent,
	const struct packet_reply *reply, bool tcp, int64_t now_us);

bool trust_tcp_possible(const struct server_trust *trust, int64_t now_us);
void trust_tcp_failed(struct server_trust *trust, int64_t now_us);

/* It answered well without a cookie, after trouble with one: none for a while. */
void trust_cookie_not_needed(struct server_trust *trust, int64_t now_us);

/*
 * Packets leave from this address of ours now. True when the cookie was made for another one: a
 * packet that carries it has to be composed anew, or it would tell the server that we moved (RFC
 * 9018, 3).
 */
bool trust_bind_local(struct server_trust *trust, const struct address *local);

/* Adds another worker's view: counts are summed, and what one found out all have. */
void trust_merge(struct server_trust *sum, const struct server_trust *more);

/* For `status`: "off", "no" (not for a while), "yes", of cookies also "unknown". */
const char *trust_case_word(const struct server_trust *trust, int64_t now_us);
const char *trust_cookies_word(const struct server_trust *trust, int64_t now_us);

bool trust_case_lost(const struct server_trust *trust, int64_t now_us);
bool trust_cookies_lost(const struct server_trust *trust, int64_t now_us);
