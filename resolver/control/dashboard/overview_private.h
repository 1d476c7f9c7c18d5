/* SPDX-License-Identifier: BSD-3-Clause */
/* One overview between two buildings, and the parts of which it is built. Whoever builds has it to
 * himself. */
#pragma once

#include "resolver/control/dashboard/overview.h"
#include "resolver/control/dashboard/rates.h"
#include "resolver/telemetry/latency.h"
#include "policy/policy.h"

#define OVERVIEW_TUNNELLING_MAX 10
#define OVERVIEW_FIRST_HITS 64
#define OVERVIEW_KEY_MAX 256

/* When a client was first reported in a zone: found in the events, which do not say it for ever. */
struct first_hit {
	char of[320];      /* "CLIENT in zone ZONE", as the event has it */
	int64_t first_ms;  /* 0: it is not known */
	int64_t looked_ms; /* monotonic */
};

/* What a zone had when it was read last. */
struct known_zone {
	char name[POLICY_ZONE_NAME_MAX];
	uint64_t clients, hits;
};

/* Who hit a tunnel zone, as it was read last; the mode is of now. */
struct known_tunneller {
	char zone[POLICY_ZONE_NAME_MAX], group[POLICY_ZONE_NAME_MAX];
	bool has_group;      /* whether it is in one is known: group, or "" */
	struct strbuf members; /* of its object, but for the mode */
};

/* Histograms of the daemon as they were some minutes ago. */
struct overview_latency {
	struct latency older[LATENCY_CLASSES], younger[LATENCY_CLASSES];
	int64_t turned_ms; /* monotonic: when the younger one became what it is; 0: not yet */
	uint64_t sources;  /* of which resolvers */
};

struct overview {
	char key[OVERVIEW_KEY_MAX]; /* what the request said of resolvers */
	unsigned users;             /* under the lock of struct overviews, as the next ones */
	uint64_t used;
	bool building;
	struct strbuf text; /* the whole object as it was last */
	int64_t built_ms;   /* monotonic; 0: not yet */

	/* Of who builds: */
	struct rates rates;
	bool is_alone;    /* there is no daemon beside us, as far as Redis was known to tell */
	int64_t as_of_ms; /* wall clock: when Redis was read last; 0: never */
	int64_t slow_ms;  /* monotonic; 0: not yet */
	/* Pieces as they were last known, each a run of members or a value. */
	struct strbuf frame, day, hours, latency, upstreams, zones, tunnelling;
	struct known_tunneller tunnellers[OVERVIEW_TUNNELLING_MAX];
	size_t tunneller_count;
	struct known_zone known_zones[POLICY_ZONES_MAX];
	size_t known_zone_count;
	struct overview_latency latencies;
	struct first_hit first_hits[OVERVIEW_FIRST_HITS];
	size_t first_hit_next;
};

/* What one building found. */
struct overview_facts {
	struct api_context *context;
	struct overview *overview;
	int64_t mono_ms;
	bool whole; /* all resolvers were asked for */
	bool ours;  /* the daemon beside us is among them */
	bool redis_off;
	bool has_redis, has_daemon;
	enum control_outcome outcome; /* of asking the daemon beside us */
	bool is_alive;           /* a resolver elsewhere, as its lease says */
	const char *redis_words; /* a JSON string with its quotes */
	char daemon_words[256];
	struct control_answer status; /* of has_daemon */
	struct fleet *fleet;          /* of has_redis */
	struct strbuf *fresh;         /* what a visit of each resolver writes to */
};

/* --- overview_zones.c --- */

/* Writes the pieces upstreams and zones as the daemon says, and where is_due says so their figures
 * and who tunnels out of Redis. Without a fleet these stay as they were known. */
enum td_error overview_read_zones(struct overview_facts *facts, bool is_due);

/* --- overview_latency.c --- */

/* Writes the piece latency, as far as the daemon or, where is_due says so, Redis tells. sources
 * differs when it is of other resolvers than before. */
enum td_error overview_read_latency(struct overview_facts *facts, uint64_t sources, bool is_due);

/* The value behind "KEY=" in a line of status as JSON: a number or null. */
void overview_json_attribute(
	struct strbuf *out, const char *key, const char *text, const char *attribute);
