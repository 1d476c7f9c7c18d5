/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Three quarters of what is left for a worker go to TCP clients where so many are wanted, the rest
 * to questions, of which each may have a socket for each packet it sends.
 */
#include "resolver/descriptors.h"

#define OTHERS 200         /* control socket, Redis, dnstap, files, event loops */
#define OF_A_WORKER 8      /* event loop, wake-ups */
#define OF_A_QUESTION 3    /* packets of one question */
#define QUESTIONS_LEAST 16 /* however few there are: sockets that cannot be opened make room */

bool descriptors_share(uint64_t limit, unsigned workers, size_t listen_count,
	const struct descriptor_shares *wanted, struct descriptor_shares *out)
{
	uint64_t fixed = OTHERS + workers * (OF_A_WORKER + 2 * listen_count);
	uint64_t each = limit > fixed ? (limit - fixed) / workers : 0;
	uint64_t tcp = each > 1 ? each * 3 / 4 : 1;

	if (tcp > wanted->tcp_clients)
		tcp = wanted->tcp_clients;
	uint64_t questions = each > tcp ? (each - tcp) / OF_A_QUESTION : 0;
	if (questions > wanted->questions)
		questions = wanted->questions;
	if (questions < QUESTIONS_LEAST)
		questions = QUESTIONS_LEAST;
	*out = (struct descriptor_shares){(unsigned)tcp, (unsigned)questions};
	return tcp == wanted->tcp_clients;
}
