/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The words for a transaction's parts, as they stand in records and in Redis. Each list exists
 * once: an X-macro or an array beside its enum, so that a counter cannot be declared and forgotten
 * elsewhere.
 */
#include "resolver/telemetry/transaction.h"

#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *client_counter_name(enum client_counter counter)
{
	static const char *const names[CLIENT_COUNTER_COUNT] = {
#define X(name) [COUNTER_##name] = #name,
		CLIENT_COUNTERS(X)
#undef X
	};

	return (size_t)counter < COUNT(names) ? names[counter] : "unknown";
}

const char *transaction_source_name(enum transaction_source source)
{
	static const char *const names[] = {
		[SOURCE_CACHE] = "cache",
		[SOURCE_STALE] = "stale",
		[SOURCE_UPSTREAM] = "upstream",
		[SOURCE_POLICY] = "policy",
		[SOURCE_LOCAL] = "local",
		[SOURCE_ERROR] = "error",
	};

	return (size_t)source < COUNT(names) ? names[source] : "unknown";
}

const char *transaction_action_name(enum transaction_action action)
{
	static const char *const names[] = {
		[TRANSACTION_NONE] = "none",
		[TRANSACTION_WATCH] = "watch",
		[TRANSACTION_BLOCK] = "block",
	};

	return (size_t)action < COUNT(names) ? names[action] : "unknown";
}
