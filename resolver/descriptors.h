/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the descriptors that the system allows are shared out, so that clients over TCP and questions
 * upstream leave each other some, and the control socket, Redis and files theirs. Without it,
 * whoever uses most of them decides what else works.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct descriptor_shares {
	unsigned tcp_clients; /* of one worker */
	unsigned questions;   /* asked upstream at once by one worker */
};

/*
 * What each of the workers may have of what is wanted, with limit descriptors in all. False: less
 * than wanted of TCP clients.
 */
bool descriptors_share(uint64_t limit, unsigned workers, size_t listen_count,
	const struct descriptor_shares *wanted, struct descriptor_shares *out);
