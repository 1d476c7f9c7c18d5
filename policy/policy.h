/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is to happen to a question. Rules come from text (RPZ zones, pattern lists), are compiled once into an immutable
 * index, and are looked up by any number of threads without a lock. Modes change far more often than rules, so they stand
 * apart: a view is an index with the modes that apply now.
 *
 *   text → policy_builder → struct policy_index (rules)  ─┐
 *                              modes by zone             ─┴→ struct policy_view → worker
 *
 * Nothing here does I/O, reads a clock or knows of threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/strbuf.h"
#include "lib/dns/address.h"
#include "lib/dns/name.h"
#include "policy/groups.h"

#define POLICY_ZONES_MAX     64
#define POLICY_MATCHES_MAX   8  /* rules kept for one question: one a zone and trigger, in zone order; more are counted as dropped */
#define POLICY_GROUPS_MAX    32 /* of clients; number 0 is who is in none */
#define POLICY_ZONE_NAME_MAX 32 /* with its NUL; [a-z0-9-] */

enum policy_mode { MODE_IGNORE, MODE_WATCH, MODE_BLOCK };

/* "ignore", "watch", "block"; from text: false when it is none of them. */
const char *policy_mode_name(enum policy_mode mode);
bool policy_mode_from_text(enum policy_mode *out, const char *text);

enum policy_action {
	ACTION_NONE,
	ACTION_NXDOMAIN,
	ACTION_NODATA,
	ACTION_PASSTHRU,   /* ends the search, answers truthfully, is not a hit */
	ACTION_DROP,
	ACTION_TCP_ONLY,
	ACTION_LOCAL_DATA, /* records of the zone; another type than those listed is NODATA */
};
const char *policy_action_name(enum policy_action action);

/* What a rule matched. */
enum policy_trigger {
	TRIGGER_CLIENT,   /* the address of who asks */
	TRIGGER_QUESTION, /* the name that was asked for */
	TRIGGER_CHAIN,    /* a later name of the answer's CNAME chain */
	TRIGGER_ADDRESS,  /* an address of the answer */
};

struct policy_match {
	uint8_t zone;    /* position in policy order */
	uint8_t action;  /* enum policy_action */
	uint8_t trigger; /* enum policy_trigger */
	uint8_t dropped; /* matches behind this one, the last, that found no room */
	uint32_t rule;   /* for policy_rule_* of the same index; a number within its zone */
};

struct policy_index; /* immutable */

/* --- building: one thread --- */

struct policy_builder;
struct policy_record;

enum policy_zone_kind {
	ZONE_TUNNEL, /* follows the option `mode` and `block on|off` */
	ZONE_LIST,   /* has its own mode only */
	ZONE_LOCAL,  /* local data outside all modes: always enforced, never counted as a hit (special-use names) */
};

struct policy_builder *policy_builder_new(void); /* NULL: out of memory */
void policy_builder_free(struct policy_builder *builder); /* NULL is fine */

/* Opens the next zone in order. TD_FULL beyond POLICY_ZONES_MAX, TD_INVALID for a bad or repeated name. */
enum td_error policy_builder_zone(struct policy_builder *builder, const char *name, enum policy_zone_kind kind);

/* Takes one complaint about a line: source and line as passed in, and words. `skipped`: the line has no effect. */
typedef void policy_report_fn(void *context, const char *source, unsigned line, bool skipped, const char *words);

enum policy_fault {
	FAULT_FORM,        /* not a line of this format */
	FAULT_NAME,        /* no domain name */
	FAULT_UNSUPPORTED, /* means something that cannot be done here */
	FAULT_FULL,        /* one of a kind of which there are too many */
	POLICY_FAULTS,
};
/* "not of this format", …: for a sum of such lines. */
const char *policy_fault_name(enum policy_fault fault);

struct policy_load {
	unsigned lines;     /* lines read, empty ones and comments too */
	unsigned used;      /* rules in effect */
	unsigned skipped;   /* lines reported and without effect */
	unsigned repeated;  /* rules that stand above already; those of an RPZ zone and of patterns are reported, and in skipped */
	unsigned foreign;   /* rules for something else than DNS, not reported */
	unsigned overruled; /* rules that an exception of the same list takes away */
	unsigned faults[POLICY_FAULTS]; /* skipped, by kind */
};

/* Sums up the texts of a zone. */
void policy_load_add(struct policy_load *sum, const struct policy_load *load);
#define LOAD_TEXT_MAX 320
/* "17 lines, 9 rules; 3 repeated, 2 not for DNS, 3 skipped: 2 no domain name, 1 not supported"; out holds LOAD_TEXT_MAX; returns out. */
const char *policy_load_text(const struct policy_load *load, char *out);

/* How a zone's text is written. */
enum zone_format {
	FORMAT_RPZ,       /* policy_builder_rpz */
	FORMAT_PATTERNS,  /* policy_builder_patterns */
	FORMAT_HOSTS,     /* "0.0.0.0 NAME": NXDOMAIN for that name; any other address is its local data */
	FORMAT_DOMAINS,   /* a name a line, for itself; "*.NAME" also for all below it */
	FORMAT_WILDCARDS, /* a name a line, for itself and all below it; with "*." or "." in front or without */
	FORMAT_DNSMASQ,   /* lines address=/NAME/…, local=/NAME/, server=/NAME/ of dnsmasq's configuration */
	FORMAT_ADBLOCK,   /* "||NAME^" and what else of Adblock syntax is for DNS */
	ZONE_FORMATS,
};
const char *policy_format_name(enum zone_format format);

/*
 * Adds a text of any of these formats to the zone opened last. A bad line costs that line only; text of FORMAT_RPZ may fail as a whole
 * (TD_MALFORMED: no SOA). TD_INVALID: no zone is open; TD_NOMEM.
 */
enum td_error policy_builder_read(struct policy_builder *builder, enum zone_format format, const char *source,
	const char *text, size_t size, policy_report_fn *report, void *context, struct policy_load *load);

/* Text that comes in pieces, so that a list need not be in memory as a whole. */
struct policy_input {
	void *context;
	/* Up to size octets, from where the last call ended; 0 at the end. Whoever reads may not be able to: that it knows itself. */
	size_t (*read)(void *context, char *out, size_t size);
	void (*rewind)(void *context); /* to the beginning: some formats are read twice */
};

/* The same for such text. Lines of any length; parentheses of a zone hold at most a megabyte. */
enum td_error policy_builder_read_input(struct policy_builder *builder, enum zone_format format, const char *source,
	const struct policy_input *input, policy_report_fn *report, void *context, struct policy_load *load);

/*
 * Adds the rules of an RPZ zone in master file format (draft-vixie-dnsop-dns-rpz) to the zone opened last. Triggers: QNAME and
 * wildcard, client address (rpz-client-ip), address of the answer (rpz-ip). Rules on name servers (rpz-nsdname, rpz-nsip) are reported with
 * their line and skipped, as are addresses with bits behind the prefix. Actions: CNAME . (NXDOMAIN), CNAME *. (NODATA),
 * CNAME rpz-passthru., rpz-drop., rpz-tcp-only.; any other data is local data. $ORIGIN, $TTL, parentheses, comments and quotes are understood;
 * $INCLUDE and $GENERATE are reported. A bad line costs that line only. A repeated rule: the first one stays, reported.
 * TD_NOMEM, or TD_MALFORMED when the text is not a zone at all (no SOA).
 */
enum td_error policy_builder_rpz(struct policy_builder *builder, const char *source, const char *text, size_t size,
	policy_report_fn *report, void *context, struct policy_load *load);

/* A record of local data. */
struct policy_record {
	uint16_t type;
	uint32_t ttl_s;
	const uint8_t *rdata; /* uncompressed; looked up: belongs to the index; added: is copied */
	uint16_t rdata_length;
};

/*
 * The same for records that come otherwise than as text, for the zone opened last: `trigger` is the owner without the zone's name, with
 * the root behind it. What makes no rule is reported with line 0 and skipped. source: what policy_rule_source tells. NULL: out of memory, or
 * no zone is open. _add: TD_NOMEM, TD_FULL as for policy_builder_name. _remove, in a zone that is patched: of a record that made no rule
 * there is nothing to remove.
 */
struct policy_records;
struct policy_records *policy_records_begin(struct policy_builder *builder, const char *source, policy_report_fn *report, void *context,
	struct policy_load *load);
enum td_error policy_records_add(struct policy_records *records, const struct name *trigger, const struct policy_record *record);
enum td_error policy_records_remove(struct policy_records *records, const struct name *trigger, const struct policy_record *record);
void policy_records_end(struct policy_records *records);

/*
 * Makes of a trigger of RPZ (folded, relative to its zone) the name under which its rule stands in the zone, for adding and removing by name:
 * that of an address has another one, which no question matches. NULL, or what is wrong with it.
 */
const char *policy_rpz_trigger(struct name *trigger);

/*
 * Adds a pattern list to the zone opened last: one pattern a line, `#` starts a comment; action NXDOMAIN. A `*` stands for any run
 * of octets within its label; a first or last label that is `*` alone stands for one or more labels. (`win*.ipv6.microsoft.com`, `isatap.*`)
 * A line `@ADDRESS/MASK` is a rule on the addresses of answers, by the bits of the mask. (`@::5efe:0:0/::fdff:ffff:0:0`)
 */
enum td_error policy_builder_patterns(struct policy_builder *builder, const char *source, const char *text, size_t size,
	policy_report_fn *report, void *context, struct policy_load *load);

/*
 * Puts the zone of this name of an older index here, as it is: nothing is read, and both share it. Nothing can be added to it.
 * TD_NOT_FOUND: old is NULL or has none; TD_FULL, TD_INVALID as for policy_builder_zone.
 */
enum td_error policy_builder_keep(struct policy_builder *builder, const struct policy_index *old, const char *name);

/* How many rules the zone opened last has. */
size_t policy_builder_rules(const struct policy_builder *builder);

/* Takes the zone of this name away again, where it is the one opened or put last: what was read of it is not to be used. */
void policy_builder_drop(struct policy_builder *builder, const char *name);

/*
 * The same, but as a copy of its own, which rules can be added to and removed from until the next zone is opened: a change of ten names
 * in a million costs the copy. Removed by name, as they were added.
 */
enum td_error policy_builder_patch(struct policy_builder *builder, const struct policy_index *old, const char *name);

/* Removes the rule on this name (folded), or on all below it, from the zone opened last. TD_NOT_FOUND: there is none with this action. */
enum td_error policy_builder_name_remove(struct policy_builder *builder, const uint8_t *folded, bool below, enum policy_action action);

/* Removes a record of local data, whatever its TTL; with the last one goes the rule. TD_NOT_FOUND. */
enum td_error policy_builder_record_remove(struct policy_builder *builder, const uint8_t *folded, bool below,
	const struct policy_record *record);

/*
 * For readers of other forms: a rule on exactly this name (folded), on the names below it, or both, in the zone opened last. `line` is one
 * of the text being read, 0: unknown. TD_INVALID: all that is asked for is there already (the first rule stays); TD_NOMEM; TD_FULL: names
 * chosen so that their hashes meet, the zone is not to be used.
 */
enum td_error policy_builder_name(struct policy_builder *builder, const uint8_t *folded, bool below, bool itself,
	enum policy_action action, unsigned line);

/*
 * Adds a record to the local data of exactly this name (folded) in the zone opened last. TD_INVALID: it is there already;
 * TD_FULL: the name has 100 of them; TD_REFUSED: a CNAME would stand beside other data, or the name has another rule; TD_NOMEM.
 */
enum td_error policy_builder_record(struct policy_builder *builder, const uint8_t *folded, const struct policy_record *record);

/* Whether exactly this name (folded) has a rule in the zone opened last. */
bool policy_builder_has(struct policy_builder *builder, const uint8_t *folded);

/* The index; the builder is freed in any case and the pointer set to NULL. NULL: out of memory. */
struct policy_index *policy_builder_finish(struct policy_builder **builder);
void policy_index_free(struct policy_index *index); /* NULL is fine */

/* --- looking up: any thread --- */

/*
 * The rules for a folded wire name, at most one a zone, in zone order: exact before wildcard, longer wildcard before shorter
 * (a wildcard never matches its own apex), names before patterns. Returns how many were written to out.
 */
size_t policy_match_name(const struct policy_index *index, const uint8_t *folded, size_t length,
	struct policy_match out[POLICY_MATCHES_MAX]);

/* Whether a rule of any zone is for this folded name or for one below it; patterns are not looked at. */
bool policy_name_is_known(const struct policy_index *index, const uint8_t *folded);

/* Whether any zone has rules of this trigger: TRIGGER_CLIENT or TRIGGER_ADDRESS. */
bool policy_has_trigger(const struct policy_index *index, enum policy_trigger trigger);

/*
 * The rules for these addresses, by TRIGGER_CLIENT or TRIGGER_ADDRESS: at most one a zone, in zone order; in a zone the longest prefix, of two
 * alike that with the smaller address (draft, 5.6 and 5.7). Returns how many were written to out.
 */
size_t policy_match_addresses(const struct policy_index *index, enum policy_trigger trigger, const struct address *addresses, size_t count,
	struct policy_match out[POLICY_MATCHES_MAX]);

size_t policy_zone_count(const struct policy_index *index);
const char *policy_zone_name(const struct policy_index *index, size_t zone);
enum policy_zone_kind policy_zone_kind(const struct policy_index *index, size_t zone);
size_t policy_zone_rules(const struct policy_index *index, size_t zone);
bool policy_zone_find(const struct policy_index *index, const char *name, size_t *zone);

/* The rule as a person wrote it: "teredo.ipv6.microsoft.com.", "*.x.", "win*.ipv6.microsoft.com."; out holds NAME_TEXT_MAX; returns its length. */
size_t policy_rule_text(const struct policy_index *index, const struct policy_match *match, char *out);

/*
 * Where the rule stands: the source as its reader was told, and the line, 0 where there are no lines (a zone transfer). The text
 * lives as long as the index. False: the rule was not read from anything.
 */
bool policy_rule_source(const struct policy_index *index, const struct policy_match *match, const char **source, uint32_t *line);

/*
 * The name that owns the SOA of a denial made by this rule, so that clients cache it (RFC 2308): the rule's own name, the name
 * below which a wildcard applies, the fixed end of a pattern; the question itself where nothing is fixed. Always the question or an ancestor of it.
 */
void policy_rule_apex(const struct policy_index *index, const struct policy_match *match,
	const uint8_t *folded_question, size_t length, struct name *out);

/* Local data: the next record of this type (TYPE_ANY: any type) after *position (start with 0). False at the end. */
bool policy_rule_record(const struct policy_index *index, const struct policy_match *match, uint16_t type,
	size_t *position, struct policy_record *out);

/* --- deciding: any thread --- */

struct policy_view {
	const struct policy_index *index;
	uint64_t generation; /* of the index; matches kept elsewhere are valid for this one only */
	uint8_t mode[POLICY_GROUPS_MAX][POLICY_ZONES_MAX]; /* enum policy_mode, by group and zone */
	const struct policy_groups *groups; /* their numbers are below POLICY_GROUPS_MAX; NULL: there are none */
	uint8_t override[POLICY_ZONES_MAX]; /* enum policy_action of all rules of a zone; ACTION_NONE: each has its own */
	const struct name *alias[POLICY_ZONES_MAX]; /* of an override ACTION_LOCAL_DATA: a CNAME to this name is the data */
};

/* What the policy knows of who asks: never kept with an answer, which others are given too. */
struct policy_client {
	uint8_t group;
	uint8_t count; /* rules that match the client's address, in zone order */
	struct policy_match matches[POLICY_MATCHES_MAX];
};

/* Whether it matters who asks, with so many matches; else policy_client_find need not be called, and mostly is not: groups decide about
 * rules that match, and few names have any. */
static inline bool policy_knows_clients(const struct policy_view *view, size_t matches)
{
	return (view->groups && matches) || policy_has_trigger(view->index, TRIGGER_CLIENT);
}

/* Whether it is worth knowing a client's MAC address. */
static inline bool policy_knows_macs(const struct policy_view *view)
{
	return view->groups && policy_groups_have_macs(view->groups);
}

/* Who asks: an address, or what a forwarder says of its client; mac may be NULL or none. */
void policy_client_find(const struct policy_view *view, const struct address *client,
	const struct address *mac, struct policy_client *out);

struct policy_verdict {
	enum policy_action action;      /* ACTION_NONE: answer truthfully */
	const struct policy_match *hit; /* what to record: the enforcing rule, else the first watched one; NULL: nothing */
	const struct policy_match *enforced; /* the rule that made `action`; NULL when ACTION_NONE. ZONE_LOCAL rules are enforced without being a hit */
	const struct name *alias; /* with ACTION_LOCAL_DATA by an override: what the CNAME leads to; NULL: the rule's own records */
};

/*
 * Walks the matches in order: those of the client and the question by zone, the client's first in each; then those of the answer, as
 * answer_match orders them. So a verdict is the same whether the answer was known or had to be asked for. Ignored zones are passed over, a
 * watched hit is kept and the search goes on, the first enforced rule ends it. PASSTHRU in a zone that enforces ends it with ACTION_NONE, in
 * one that watches it ends what there is to say of that zone. Behind an NXDOMAIN of a ZONE_LOCAL the walk goes on for what is to be recorded.
 * client may be NULL: nobody in particular.
 */
struct policy_verdict policy_decide(const struct policy_view *view, const struct policy_client *client,
	const struct policy_match *matches, size_t count);

/* What became of a match in a decision. */
enum policy_outcome {
	OUTCOME_BEHIND,   /* nothing: what stands before it has ended the search */
	OUTCOME_IGNORED,  /* nothing: its zone is ignored, or has let this through */
	OUTCOME_WATCHED,  /* its zone watches, the search goes on; another hit is the one recorded */
	OUTCOME_RECORDED, /* the same, and this is the hit that is recorded */
	OUTCOME_EXEMPT,   /* its zone watches, and lets this through */
	OUTCOME_WON,      /* it ended the search */
};

struct policy_step {
	const struct policy_match *match;
	enum policy_action action; /* as it is enforced, after an override of the zone */
	enum policy_outcome outcome;
};

struct policy_trace {
	struct policy_step steps[2 * POLICY_MATCHES_MAX];
	size_t count;
};

/* The same decision, and a step for each match in the order in which they are looked at. */
struct policy_verdict policy_explain(const struct policy_view *view, const struct policy_client *client,
	const struct policy_match *matches, size_t count, struct policy_trace *trace);
