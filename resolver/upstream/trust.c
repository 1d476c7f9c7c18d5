/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ids and ports are 32 bits, of which side channels have given away half before (CVE-2020-25705),
 * so a reply has to repeat more. What some servers do not repeat: old proxies lower the case, some
 * home routers cache the cookie of another query and serve it to us, members of an anycast set
 * differ. Throwing such replies away would cut their users off; believing them would make the
 * demand worth nothing. TCP decides, because its handshake proves where a reply comes from.
 *
 * A server is remembered as unable for a while only when TCP said so, or, where TCP is closed,
 * after three replies in a row, each of which a forger would have had to guess a new port and id
 * for. So sending wrong replies does not switch anything off. Unbound compares three answers of as
 * many servers instead, which fails with names whose answers rotate.
 */
#include "resolver/upstream/trust.h"

#include <string.h>

#include "lib/dns/message.h"

enum fault { FAULT_QUESTION = 1, FAULT_CASE = 2, FAULT_COOKIE = 4 };

/* --- sending --- */

static bool cookies_wanted(const struct server_trust *trust, int64_t now_us)
{
	return trust->use_cookies && now_us >= trust->cookies_again_us;
}

static void cookie_make(struct server_trust *trust, struct random_pool *random, int64_t now_us)
{
	random_bytes(random, trust->cookie, COOKIE_CLIENT_SIZE);
	trust->server_cookie_length = 0;
	trust->cookie_until_us = now_us + COOKIE_LIFE_US;
}

void trust_fill(struct server_trust *trust, struct packet_form *form, size_t qname_length,
	bool with_cookie, struct random_pool *random, int64_t now_us)
{
	form->vary_case = trust->vary_case && now_us >= trust->case_again_us;
	if (form->vary_case)
		random_bytes(random, form->case_bits, (qname_length + 7) / 8);
	form->cookie_length = 0;
	if (!with_cookie || form->without_edns || !cookies_wanted(trust, now_us))
		return;
	if (now_us >= trust->cookie_until_us)
		cookie_make(trust, random, now_us);
	form->cookie = trust->cookie;
	form->cookie_length = COOKIE_CLIENT_SIZE + trust->server_cookie_length;
}

bool trust_bind_local(struct server_trust *trust, const struct address *local)
{
	if (address_equal(&trust->cookie_local, local))
		return false;
	bool had_cookie = trust->cookie_until_us != 0 && trust->cookie_local.family;

	trust->cookie_local = *local;
	if (had_cookie)
		trust->cookie_until_us = 0;
	return had_cookie;
}

/* --- judging --- */

/* The packet said that the server speaks cookies: it carried the server's own. */
static bool cookie_expected(const struct packet *sent)
{
	return sent->cookie_length > COOKIE_CLIENT_SIZE;
}

static unsigned reply_faults(const struct server_trust *trust, const struct packet *sent,
	const struct packet_reply *reply)
{
	unsigned faults = 0;

	if (!reply->has_question && trust->question_repeated)
		faults |= FAULT_QUESTION;
	if (sent->case_varied && !reply->case_kept)
		faults |= FAULT_CASE;
	if (reply->cookie == PACKET_COOKIE_WRONG ||
		(reply->cookie == PACKET_COOKIE_NONE && cookie_expected(sent)))
		faults |= FAULT_COOKIE;
	return faults;
}

static void cookies_drop(struct server_trust *trust, int64_t now_us)
{
	trust->cookies_again_us = now_us + TRUST_AGAIN_US;
	trust->cookie_until_us = 0;
	trust->cookie_tolerated = false;
}

static void faults_confirm(struct server_trust *trust, unsigned faults, int64_t now_us)
{
	if (faults & FAULT_QUESTION)
		trust->question_repeated = false;
	if (faults & FAULT_CASE)
		trust->case_again_us = now_us + TRUST_AGAIN_US;
	if (faults & FAULT_COOKIE)
		cookies_drop(trust, now_us);
}

static void learn(
	struct server_trust *trust, const struct packet *sent, const struct packet_reply *reply)
{
	uint8_t length = reply->server_cookie_length;

	if (!sent->without_edns && !packet_refuses_edns(sent, reply->rcode))
		trust->question_repeated = true;
	if (sent->cookie_length && !packet_refuses_edns(sent, reply->rcode))
		trust->cookie_tolerated = true;
	/* Of a cookie of ours that was replaced meanwhile, the server's part is of no use. */
	if (reply->cookie != PACKET_COOKIE_RIGHT || length == 0 ||
		memcmp(trust->cookie, sent->octets + sent->cookie_offset, COOKIE_CLIENT_SIZE) != 0)
		return;
	memcpy(trust->cookie + COOKIE_CLIENT_SIZE, reply->server_cookie, length);
	trust->server_cookie_length = length;
}

enum trust_verdict trust_judge(struct server_trust *trust, const struct packet *sent,
	const struct packet_reply *reply, bool tcp, int64_t now_us)
{
	unsigned faults = reply_faults(trust, sent, reply);

	if (tcp)
		trust->tcp_again_us = 0;
	if (faults == 0 || tcp) {
		trust->strikes = 0;
	} else {
		trust->doubted++;
		trust->strikes += trust->strikes < TRUST_STRIKES;
		if (trust->strikes < TRUST_STRIKES || trust_tcp_possible(trust, now_us))
			return TRUST_DOUBT;
		trust->strikes = 0;
	}
	faults_confirm(trust, faults, now_us);
	learn(trust, sent, reply);
	if (reply->rcode == RCODE_BADCOOKIE && reply->cookie == PACKET_COOKIE_RIGHT)
		return TRUST_BADCOOKIE;
	return TRUST_BELIEVE;
}

/* --- notes --- */

bool trust_tcp_possible(const struct server_trust *trust, int64_t now_us)
{
	return now_us >= trust->tcp_again_us;
}

void trust_tcp_failed(struct server_trust *trust, int64_t now_us)
{
	trust->tcp_again_us = now_us + TRUST_TCP_AGAIN_US;
}

void trust_cookie_not_needed(struct server_trust *trust, int64_t now_us)
{
	if (cookies_wanted(trust, now_us))
		cookies_drop(trust, now_us);
}

static int64_t later(int64_t a_us, int64_t b_us)
{
	return a_us > b_us ? a_us : b_us;
}

void trust_merge(struct server_trust *sum, const struct server_trust *more)
{
	sum->case_again_us = later(sum->case_again_us, more->case_again_us);
	sum->cookies_again_us = later(sum->cookies_again_us, more->cookies_again_us);
	if (more->server_cookie_length)
		sum->server_cookie_length = more->server_cookie_length;
	sum->doubted += more->doubted;
	sum->spoofed += more->spoofed;
}

const char *trust_case_word(const struct server_trust *trust, int64_t now_us)
{
	if (!trust->vary_case)
		return "off";
	return trust_case_lost(trust, now_us) ? "no" : "yes";
}

const char *trust_cookies_word(const struct server_trust *trust, int64_t now_us)
{
	if (!trust->use_cookies)
		return "off";
	if (trust_cookies_lost(trust, now_us))
		return "no";
	return trust->server_cookie_length ? "yes" : "unknown";
}

bool trust_case_lost(const struct server_trust *trust, int64_t now_us)
{
	return now_us < trust->case_again_us;
}

bool trust_cookies_lost(const struct server_trust *trust, int64_t now_us)
{
	return now_us < trust->cookies_again_us;
}
