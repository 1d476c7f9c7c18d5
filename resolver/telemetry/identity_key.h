/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The key of pseudonyms, in the file `anonymize.key` of the state directory (mode 0600), so that a
 * client keeps its pseudonym over restarts. Renewed after some days, nobody can tell any more that
 * an old and a new pseudonym are one client, nor, without the file, whose they were.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/hash.h"

/*
 * The key of the file; a new one, written there, when there is none, when it cannot be understood,
 * or when it is renew_days (0: never) old. *renewed says whether it is a new one. TD_IO, logged:
 * there is no key that would last.
 */
enum td_error identity_key_load(const char *state_dir, unsigned renew_days, int64_t wall_us,
	struct hash_seed *out, bool *renewed);
