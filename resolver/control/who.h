/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of `teredown who`: one view for an address, a name and a client each; what is loaded for
 * them, a file each (policy, retries, logs, history, hosts), with the table and the JSON of it; and
 * the tables they share. All results live in the command's arena. Functions that read Redis fail as
 * those of fleet.h do.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"
#include "lib/dns/name.h"
#include "resolver/control/cli.h"
#include "resolver/control/who_story.h"
#include "resolver/telemetry/redis/reader_hours.h"
#include "resolver/telemetry/redis/reader_imports.h"

#define WHO_ADDRESSES_MAX 1000 /* of one name */
#define WHO_ASKS_MAX 200000    /* possible pairs looked up for one answer */
#define WHO_RULES_MAX 20       /* names about which the daemon is asked */
#define WHO_HOSTS_MAX 1000     /* clients of which is said what is known of them */
#define WHO_SERIES_MAX 50      /* addresses or names whose timelines are read */

struct who {
	struct cli *cli;
	struct fleet *fleet;
	size_t limit; /* rows of a table */
	struct cli_coverage coverage;
	const char *word;         /* as it was given */
	char name[NAME_TEXT_MAX]; /* folded, with its final dot; "" when the word is no name */
	char address_words[ADDRESS_TEXT_MAX];
	struct address address; /* family 0 when the word is no address */
	struct reader_span hours; /* as far as hours are kept, the present one the last */
	bool silent;              /* the daemon did not answer: it is not asked again */
};

/*
 * Each appends its view to cli->out: text, or the members of a JSON object. found is set when there
 * is something recorded; an address or name without anything is explained, a client without
 * anything is passed over in silence.
 */
enum td_error who_show_address(struct who *who, bool *found);
enum td_error who_show_name(struct who *who, bool *found);
enum td_error who_show_client(struct who *who, const char *client, bool *found);
/* Whether a client that asked nothing is known from logs, or marked. */
enum td_error who_find_in_logs(struct who *who, const char *client, bool *found);

/* --- who_policy.c: what the daemon does with a name now --- */

struct who_rules {
	struct who_rule *rows;
	size_t count;
	bool known; /* the daemon that these records are of has answered */
};
/* Asks about the first WHO_RULES_MAX names, for this client (NULL: any). The owner of a pair is
 * asked about where the name itself has no rule. TD_NOMEM only. */
enum td_error who_load_rules(struct who *who, const struct who_list *names,
	const struct reader_pairs *pairs, const char *client, struct who_rules *out);
void who_append_rules(struct who *who, const struct who_rules *rules);
/* "policy":[…], or null where the daemon did not answer. */
void who_append_rules_json(struct who *who, const struct who_rules *rules);

/* --- who_retries.c: when they ask again --- */

struct who_retry {
	const char *client, *name;
	struct period period;
	uint64_t watched; /* watched and blocked answers in the hours that are kept */
	int64_t first_ms, last_ms; /* as far as the stream reaches; 0: not in it */
};
struct who_hour {
	const char *client, *name;
	size_t hour; /* from the first of who->hours */
	uint64_t count;
};
struct who_retries {
	struct who_retry *rows; /* by client, name */
	size_t count;
	struct who_hour *hours; /* by client, name, hour */
	size_t hour_count;
	bool cut; /* there is more than was read */
};
/* Of these names, or with a client of all that it asked; of watched and blocked questions. */
enum td_error who_load_retries(struct who *who, const char *client, const struct who_list *names,
	struct who_retries *out);
/* The best that is known of a pair, or of (client, name) without one (NULL). */
struct period who_period(const struct who_retries *retries, const char *client, const char *name,
	const struct reader_pair *pair);
/* The earlier of two times, of which 0 is none. */
int64_t who_earlier(int64_t a, int64_t b);
/* Watched and blocked answers of a client (NULL: of all) from the first to the last of these
 * hours, counted since 1970. */
uint64_t who_lookups_between(const struct who *who, const struct who_retries *retries,
	const char *client, int64_t first, int64_t last);
/* "30 s", "~30 s", "avg 45 s", "-" */
void who_period_cell(const struct period *period, char *out, size_t size);
/* Members of a JSON object: period_ms and period_of, and what it rests on. */
void who_append_period_json(struct strbuf *out, const struct period *period);

/* --- who_logs.c: what logs say of addresses --- */

struct who_drop {
	const char *client, *address;
	const char *name; /* for which it was told the address; NULL: none here; "" several */
	uint64_t packets, udp3544, proto41; /* packets are all of them */
	int64_t first_hour, last_hour;      /* since 1970 */
};
struct who_drops {
	struct who_drop *rows; /* most packets first */
	size_t count;
	bool others; /* a bound of the store took who it was of some */
	bool cut;
};
struct who_series {
	struct {
		const char *address;
		struct who_logs logs;
	} * rows;
	size_t count;
};
/* The timelines of the first WHO_SERIES_MAX addresses, and their sum, which is added to; lookups
 * are those of the daemon. */
enum td_error who_load_series(struct who *who, const struct who_list *addresses,
	struct who_series *out, struct who_logs *sum);
/* A table of those addresses of which a log tells something. */
void who_append_series(struct who *who, const struct who_series *series);
/* Adds proxy hits of a name. */
enum td_error who_add_proxied(struct who *who, const char *name, struct who_logs *logs);
/* Dropped packets of this client, or to this address (NULL: any), or to one of the list. */
enum td_error who_load_drops(struct who *who, const char *client, const struct who_list *addresses,
	struct who_drops *out);
enum td_error who_load_sources(
	struct who *who, struct who_log_source sources[WHO_LOG_KINDS]);
/* Sets the names. TD_NOMEM only. */
enum td_error who_name_drops(
	struct who *who, struct who_drops *drops, const struct reader_pairs *pairs);
void who_append_drops(struct who *who, const struct who_drops *drops);
/* A line for each kind of log: how many were read, from when to when. */
void who_append_sources(struct who *who, const struct who_facts *facts);
/* "logs":{…} */
void who_append_logs_json(struct who *who, const struct who_facts *facts,
	const struct who_series *series, const struct who_drops *drops);

/* --- who_history.c: what other servers' logs say --- */

enum td_error who_load_history(struct who *who, const struct reader_history_wanted *wanted,
	struct reader_histories *out);
void who_append_history(struct who *who, const struct reader_histories *history);
void who_append_history_json(struct who *who, const struct reader_histories *history);

/* --- who_hosts.c: what is known of clients --- */

struct who_host {
	const char *client;
	const char *name; /* and these: NULL for none */
	const char *event, *event_state, *event_text;
	const char *by, *method;
	int64_t event_ms, remediated_ms; /* 0: none */
};
struct who_hosts {
	struct who_host *rows; /* by client */
	size_t count;
};
/* Of the first WHO_HOSTS_MAX clients. */
enum td_error who_load_hosts(
	struct who *who, const struct who_list *clients, struct who_hosts *out);
/* The clients of which an event log or a mark tells something. */
void who_append_hosts(struct who *who, const struct who_hosts *hosts);
/* "hosts":{"<client>":{…}}: those of which something is known. */
void who_append_hosts_json(struct who *who, const struct who_hosts *hosts);

/* --- shared (who_parts.c) --- */

/* First, last and sum of a set of pairs; 0 for none. */
struct summary {
	int64_t first_ms, last_ms;
	uint64_t count;
};
struct summary who_summarize(const struct reader_pairs *pairs);

/* Most often told first. */
void who_sort(struct reader_pairs *pairs);

/* The different words of a column, those told most often first; what a bound of the store took is
 * not among them, but `cut`. TD_NOMEM only. */
enum who_column { COLUMN_CLIENT, COLUMN_NAME, COLUMN_ADDRESS };
enum td_error who_rank(struct arena *arena, const struct reader_pairs *pairs,
	enum who_column column, struct who_list *out);
/* The same of members of a ranking. */
enum td_error who_list_ranks(
	struct arena *arena, const struct reader_ranks *ranks, struct who_list *out);
/* Both, each word once. */
enum td_error who_list_join(
	struct arena *arena, struct who_list *list, const struct who_list *more);

/* A bound of the store turned members away: what is listed is not all. */
bool who_has_other(const struct reader_ranks *ranks);

void who_append_bold(struct who *who, const char *text);
/* "first …, last … (3 min ago).\n" */
void who_append_period(struct who *who, const struct summary *summary);
/* A table of at most who->limit rows. headers as for grid_init; the first letter of each says
 * which: Address, Client, Name, Times, Every, First, Last, By way of. Of a fleet each row names its
 * resolver. */
void who_append_pairs(struct who *who, const struct reader_pairs *pairs,
	const struct who_retries *retries, const char *headers);
/* Members and values under a title; nothing for none. */
void who_append_ranks(
	struct who *who, const struct reader_ranks *ranks, const char *title, const char *headers);

/* Members of a JSON object: first, last, count, cut and pairs; arrays under key. */
void who_append_pairs_json(struct who *who, const struct reader_pairs *pairs,
	const struct who_retries *retries);
void who_append_ranks_json(
	struct who *who, const char *key, const char *member, const struct reader_ranks *ranks);
void who_append_words_json(struct who *who, const char *key, const struct who_list *words);
/* "totals":{…}: how many rows there are in lists of which at most who->limit are given. */
struct who_total {
	const char *list;
	size_t rows;
};
void who_append_totals_json(struct who *who, const struct who_total *totals, size_t count);
/* Sets often and seldom from the pairs' periods, or where there are none from the retries'. */
void who_set_periods(struct who_facts *facts, const struct reader_pairs *pairs,
	const struct who_retries *retries);
/* The paragraph, and as "summary":"…". */
void who_append_story(struct who *who, const struct who_facts *facts);
void who_append_story_json(struct who *who, const struct who_facts *facts);
