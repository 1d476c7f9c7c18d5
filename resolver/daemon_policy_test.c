/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The request `policy test`: which rule decides about a name, and why no other did. The steps are
 * those of policy_decide itself (policy_explain); nothing of the decision is repeated here.
 *
 * Rules on the answer need one. What is cached is taken from the cache, like `teredown cache` does;
 * else a worker asks upstream, as it does for what it refreshes, for no client: nothing is counted
 * as a query. That the question is not pending any more says that it is over; then the cache has an
 * answer, or a failure, or neither, where the answer may not be kept. Waiting for the worker to say
 * so was rejected: it would have to carry somebody who waits through every way in which a question
 * ends.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/base/clock.h"
#include "lib/base/strbuf.h"
#include "lib/dns/text.h"
#include "resolver/cache_walk.h"
#include "resolver/daemon_explain.h"
#include "resolver/daemon_policy.h"

#define TESTS_MAX 16        /* at once */
#define COPIES_MAX 8        /* variants of one question */
#define POLL_US (10 * 1000) /* for an answer */
#define WAIT_MAX_MS 4000    /* less than the command waits for us */

struct policy_test {
	struct daemon *daemon;
	struct control_reply *reply;
	LIST_ENTRY(policy_test) next;
	struct event *poll;
	struct name name; /* folded */
	uint16_t type;
	bool has_client;
	struct address client;
	struct cache_key key;
	int64_t until_us;
	bool asked; /* for this test */
};

/* What the rules on the answer are judged by. */
struct evidence {
	const char *from; /* cache, upstream, none */
	const char
		*why; /* there is none: not-needed, not-cached, failed, not-kept, timeout; else - */
	struct answer *answer;
};

/* --- the reply --- */

static const char *const trigger_names[] = {[TRIGGER_CLIENT] = "client",
	[TRIGGER_QUESTION] = "question",
	[TRIGGER_CHAIN] = "chain",
	[TRIGGER_ADDRESS] = "address"};

static const char *const outcome_names[] = {[OUTCOME_BEHIND] = "behind",
	[OUTCOME_IGNORED] = "ignored",
	[OUTCOME_WATCHED] = "watched",
	[OUTCOME_RECORDED] = "recorded",
	[OUTCOME_EXEMPT] = "exempt",
	[OUTCOME_WON] = "won"};

static void add_step(struct control_reply *reply, const struct explained *explained,
	const struct policy_step *step)
{
	const struct policy_index *index = explained->view->index;
	const struct policy_match *match = step->match;
	const char *source = NULL;
	char rule[NAME_TEXT_MAX];
	struct strbuf text;
	uint32_t line = 0;

	policy_rule_text(index, match, rule);
	bool known = policy_rule_source(index, match, &source, &line);
	strbuf_init(&text);
	strbuf_printf(&text,
		"zone=%s mode=%s trigger=%s action=%s outcome=%s line=%u rule=%s source=%s",
		policy_zone_name(index, match->zone), explain_mode(explained, match->zone),
		trigger_names[match->trigger], policy_action_name(step->action),
		outcome_names[step->outcome], (unsigned)line, rule, known ? source : "");
	control_reply_add(reply, "step", text.failed ? "" : text.data);
	strbuf_deinit(&text);
}

/* Zones without a rule that matches, from *next on, up to the zone `end`. */
static void add_idle_zones(struct control_reply *reply, const struct explained *explained,
	uint64_t busy, size_t *next, size_t end)
{
	const struct policy_index *index = explained->view->index;
	char text[POLICY_ZONE_NAME_MAX + 48];

	for (; *next < end; ++*next) {
		if (busy >> *next & 1)
			continue;
		snprintf(text, sizeof text, "zone=%s mode=%s outcome=none",
			policy_zone_name(index, *next), explain_mode(explained, *next));
		control_reply_add(reply, "step", text);
	}
}

/* In the order in which they are looked at; zones without a rule stand where one on the question
 * would. */
static void add_steps(struct control_reply *reply, const struct explained *explained,
	const struct policy_trace *trace)
{
	size_t next = 0, zones = policy_zone_count(explained->view->index);
	uint64_t busy = 0;

	for (size_t i = 0; i < trace->count; i++)
		busy |= UINT64_C(1) << trace->steps[i].match->zone;
	for (size_t i = 0; i < trace->count; i++) {
		const struct policy_match *match = trace->steps[i].match;
		add_idle_zones(reply, explained, busy, &next,
			match->trigger > TRIGGER_QUESTION ? zones : match->zone);
		add_step(reply, explained, &trace->steps[i]);
	}
	add_idle_zones(reply, explained, busy, &next, zones);
}

static void add_answer_records(struct control_reply *reply, const struct answer *answer)
{
	static uint8_t message[DNS_MESSAGE_MAX];
	bool truncated;
	size_t size = answer_write(answer, daemon_mono_us(), message, sizeof message, &truncated);
	struct wire_reader reader = wire_reader_init(message, size);
	struct message_header header = message_read_header(&reader);
	struct message_rr rr;
	struct name name;
	uint16_t qtype, qclass;

	message_read_question(&reader, &name, &qtype, &qclass);
	for (unsigned i = 0; i < header.ancount; i++)
		if (message_read_rr(&reader, &rr))
			daemon_add_rr(reply, "record", message, size, &rr);
}

static void add_evidence(struct control_reply *reply, const struct evidence *evidence)
{
	char text[96];

	snprintf(text, sizeof text, "from=%s why=%s rcode=%s", evidence->from, evidence->why,
		evidence->answer ? rcode_to_text(evidence->answer->flags & DNS_FLAG_RCODE) : "-");
	control_reply_add(reply, "answer", text);
	if (evidence->answer)
		add_answer_records(reply, evidence->answer);
}

/* The rule's own data, as far as it is of the type asked for; an alias stands for all types. */
static size_t add_data(struct control_reply *reply, const struct policy_test *test,
	const struct policy_index *index, const struct policy_match *match)
{
	struct policy_record record;
	size_t position = 0, count = 0;

	while (policy_rule_record(index, match, TYPE_ANY, &position, &record)) {
		if (record.type != test->type && record.type != TYPE_CNAME &&
			test->type != TYPE_ANY)
			continue;
		struct message_rr rr = {.owner = test->name,
			.type = record.type,
			.rr_class = CLASS_IN,
			.ttl = record.ttl_s,
			.rdata_offset = 0,
			.rdata_length = record.rdata_length};
		daemon_add_rr(reply, "data", record.rdata, record.rdata_length, &rr);
		count++;
	}
	return count;
}

static const char *words_of_action(enum policy_action action)
{
	switch (action) {
	case ACTION_NXDOMAIN:
		return "NXDOMAIN";
	case ACTION_NODATA:
		return "NOERROR without records";
	case ACTION_DROP:
		return "no reply";
	case ACTION_TCP_ONLY:
		return "truncated over UDP, the servers' answer over TCP";
	case ACTION_NONE:
	case ACTION_PASSTHRU:
	case ACTION_LOCAL_DATA:
		break;
	}
	return "the servers' answer";
}

/* The alias that stands in place of a zone's actions (its option override). */
static void add_alias(
	struct control_reply *reply, const struct policy_test *test, const struct name *alias)
{
	const struct message_rr rr = {.owner = test->name,
		.type = TYPE_CNAME,
		.rr_class = CLASS_IN,
		.ttl = test->daemon->policy->block_ttl_s,
		.rdata_length = alias->length};

	daemon_add_rr(reply, "data", alias->wire, alias->length, &rr);
}

static void add_reply(struct control_reply *reply, const struct policy_test *test,
	const struct explained *explained, const struct policy_verdict *verdict)
{
	const char *words = words_of_action(verdict->action);

	if (verdict->alias) {
		add_alias(reply, test, verdict->alias);
		words = "an alias, with what its target has";
	} else if (verdict->action == ACTION_LOCAL_DATA) {
		words = add_data(reply, test, explained->view->index, verdict->enforced)
				? "the rule's data"
				: "the rule's data: no records of this type";
	} else if (!verdict->enforced && test->type == TYPE_ANY) {
		words = "the minimal answer to ANY (RFC 8482)";
	} else if (!verdict->enforced && explained->place.host) {
		words = "the data of a hosts file";
	} else if (!verdict->enforced && explained->place.never) {
		words = "NXDOMAIN or NOERROR without records: never forwarded";
	}
	control_reply_add(reply, "reply", words);
}

static void add_client(const struct policy_test *test, const struct explained *explained)
{
	char text[ADDRESS_TEXT_MAX];

	if (!test->has_client)
		return;
	control_reply_add(test->reply, "client", address_to_text(&test->client, text));
	size_t group = explained->who ? explained->who->group : 0;
	if (group && group <= test->daemon->options->group_count)
		control_reply_add(test->reply, "group", test->daemon->options->groups[group - 1].name);
	explain_access(test->daemon, test->reply, &test->client);
}

static void test_free(struct policy_test *test)
{
	LIST_REMOVE(test, next);
	test->daemon->policy_test_count--;
	if (test->poll)
		event_free(test->poll);
	free(test);
}

/* Replies, and ends the test. */
static void conclude(struct policy_test *test, const struct evidence *evidence)
{
	struct control_reply *reply = test->reply;
	struct policy_match matches[POLICY_MATCHES_MAX];
	const struct policy_match *judged = matches;
	char name[NAME_TEXT_MAX], type[TYPE_TEXT_MAX];
	struct explained explained;
	struct policy_trace trace;
	size_t count;

	explain_question(
		test->daemon, &test->name, test->has_client ? &test->client : NULL, &explained);
	if (evidence->answer && !explain_is_settled(&explained)) {
		const struct answer *answer = evidence->answer;
		count = answer_match_copy(answer->bytes, answer->length, explained.view, matches);
		count = site_overrule(&explained.place, explained.view->index, test->name.wire,
			test->name.length, matches, count);
	} else {
		judged = explained.matches;
		count = explained.count;
	}
	struct policy_verdict verdict =
		policy_explain(explained.view, explained.who, judged, count, &trace);
	name_to_text(test->name.wire, name);
	control_reply_add(reply, "resolver", test->daemon->options->resolver_name);
	control_reply_add(reply, "name", name);
	control_reply_add(reply, "type", type_to_text(test->type, type));
	add_client(test, &explained);
	explain_verdict(reply, &explained, judged, count);
	add_reply(reply, test, &explained, &verdict);
	add_steps(reply, &explained, &trace);
	add_evidence(reply, evidence);
	free(evidence->answer);
	control_reply_end(reply);
	test_free(test);
}

/* --- the answer --- */

/* The answer in the cache, one to a plain question where there is. NULL: none, or no memory. */
static struct answer *find_cached(const struct policy_test *test)
{
	const struct cache_filter filter = {
		.name = test->name.wire, .length = test->name.length, .qtype = test->type};
	struct cache_copy copies[COPIES_MAX];
	int64_t now_us = daemon_mono_us();
	struct answer *found = NULL;
	bool more, plain = false;

	size_t count = cache_find(test->daemon->cache, &filter, copies, COPIES_MAX, &more);
	for (size_t i = 0; i < count; i++) {
		bool fresh = copies[i].answer->expires_us > now_us;
		if (fresh && (!found || (!plain && copies[i].flags == 0))) {
			free(found);
			found = copies[i].answer;
			plain = copies[i].flags == 0;
		} else {
			free(copies[i].answer);
		}
	}
	return found;
}

static bool has_failed(const struct policy_test *test)
{
	const struct cache_filter filter = {
		.name = test->name.wire, .length = test->name.length, .qtype = test->type};
	uint16_t type;

	return cache_find_failures(test->daemon->cache, &filter, &type, 1) > 0;
}

static void poll_soon(struct policy_test *test)
{
	const struct timeval wait = {.tv_usec = POLL_US};

	event_add(test->poll, &wait);
}

static void on_poll(evutil_socket_t fd, short what, void *context)
{
	struct policy_test *test = context;
	bool pending = cache_is_pending(test->daemon->cache, &test->key);

	(void)fd;
	(void)what;
	if (pending && daemon_mono_us() < test->until_us) {
		poll_soon(test);
		return;
	}
	struct evidence evidence = {"none", "-", find_cached(test)};
	if (evidence.answer)
		evidence.from = "upstream";
	else
		evidence.why = pending ? "timeout" : has_failed(test) ? "failed" : "not-kept";
	conclude(test, &evidence);
}

/* The worker has begun, or somebody else had. The test is gone where it was forgotten meanwhile. */
static void on_asked(struct daemon *daemon, struct broadcast *broadcast)
{
	struct policy_test *test;

	LIST_FOREACH(test, &daemon->policy_tests, next)
	if (test == broadcast->context && test->poll)
		poll_soon(test);
}

static bool ask(struct policy_test *test)
{
	struct daemon *daemon = test->daemon;

	test->poll = event_new(daemon->base, -1, 0, on_poll, test);
	test->until_us = daemon_mono_us() + WAIT_MAX_MS * US_PER_MS;
	cache_key_make(
		daemon->cache, &test->key, test->name.wire, test->name.length, test->type, 0);
	return test->poll && daemon_learn(daemon, &test->name, test->type, on_asked, test);
}

/* --- the request --- */

static struct policy_test *test_new(struct daemon *daemon, struct control_reply *reply)
{
	struct policy_test *test =
		daemon->policy_test_count < TESTS_MAX ? calloc(1, sizeof *test) : NULL;

	if (!test)
		return NULL;
	test->daemon = daemon;
	test->reply = reply;
	daemon->policy_test_count++;
	LIST_INSERT_HEAD(&daemon->policy_tests, test, next);
	return test;
}

/* NULL, or what is wrong with the words. */
static const char *read_words(struct policy_test *test, char *const words[])
{
	if (name_from_text(&test->name, words[0], strlen(words[0])) != TD_OK)
		return "this is no name";
	name_fold(test->name.wire, test->name.wire, test->name.length);
	if (!type_from_text(&test->type, words[1]))
		return "this is no type of records";
	if (test->type == TYPE_AXFR || test->type == TYPE_IXFR)
		return "questions of this type are refused, whatever the rules say";
	test->has_client = strcmp(words[2], "-") != 0;
	if (test->has_client && !client_from_text(&test->client, words[2]))
		return "this is no client";
	return strcmp(words[3], "ask") == 0 || strcmp(words[3], "know") == 0
		       ? NULL
		       : "the last word is ask or know";
}

static void refuse(struct policy_test *test, const char *why)
{
	control_reply_fail(test->reply, why);
	test_free(test);
}

void daemon_policy_test(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[])
{
	struct evidence evidence = {"none", "not-needed", NULL};
	struct explained explained;

	if (count != 4) {
		control_reply_fail(reply, "policy test needs a name, a type, a client or -, and "
					  "ask or know");
		return;
	}
	struct policy_test *test = test_new(daemon, reply);
	if (!test) {
		control_reply_fail(reply, "too many tests at once; try again");
		return;
	}
	const char *why = read_words(test, words);
	if (why) {
		refuse(test, why);
		return;
	}
	explain_question(daemon, &test->name, test->has_client ? &test->client : NULL, &explained);
	/* ANY is answered from here, and never asked. */
	if (explain_is_settled(&explained) || test->type == TYPE_ANY) {
		conclude(test, &evidence);
		return;
	}
	evidence = (struct evidence){"cache", "-", find_cached(test)};
	if (!evidence.answer && strcmp(words[3], "know") == 0)
		evidence = (struct evidence){"none", "not-cached", NULL};
	if (evidence.answer || strcmp(words[3], "know") == 0)
		conclude(test, &evidence);
	else if (!ask(test))
		refuse(test, "out of memory");
}

void daemon_policy_forget(struct daemon *daemon)
{
	while (!LIST_EMPTY(&daemon->policy_tests))
		test_free(LIST_FIRST(&daemon->policy_tests));
}
