/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What would become of a question, now. The main thread asks the same index with the same modes as
 * the workers, and nothing is counted or changed. A worker could have been asked instead; but its
 * verdict would come from the very same immutable snapshot, only later.
 *
 * The request `explain NAME [CLIENT]` judges the question only: the names at which a CNAME leads are
 * known when the answer comes. Whoever knows one asks for it too; `policy test` has the answer.
 */
#include "resolver/daemon_explain.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/strbuf.h"
#include "resolver/daemon_site.h"
#include "resolver/telemetry/identity.h"

static const char *mode_word(
	const struct policy_view *view, const struct policy_client *who, size_t zone)
{
	if (policy_zone_kind(view->index, zone) == ZONE_LOCAL)
		return "always";
	return policy_mode_name((enum policy_mode)view->mode[who ? who->group : 0][zone]);
}

const char *explain_mode(const struct explained *explained, size_t zone)
{
	return mode_word(explained->view, explained->who, zone);
}

static void add_match(struct control_reply *reply, const char *key, const struct policy_view *view,
	const struct policy_client *who, const struct policy_match *match)
{
	char rule[NAME_TEXT_MAX];
	struct strbuf text;

	policy_rule_text(view->index, match, rule);
	strbuf_init(&text);
	strbuf_printf(&text, "%s mode=%s action=%s rule=%s",
		policy_zone_name(view->index, match->zone), mode_word(view, who, match->zone),
		policy_action_name((enum policy_action)match->action), rule);
	control_reply_add(reply, key, text.failed ? "" : text.data);
	strbuf_deinit(&text);
}

void daemon_add_match(struct control_reply *reply, const char *key, const struct policy_view *view,
	const struct policy_match *match)
{
	add_match(reply, key, view, NULL, match);
}

/* --- the question --- */

static void find_client(
	const struct query_policy *policy, const struct address *client, struct explained *out)
{
	struct address mac = {.family = ADDRESS_NONE};

	if (client->family == ADDRESS_MAC)
		mac = *client;
	else if (policy->neighbours && address_is_ip(client))
		identity_find_neighbour(policy->neighbours, client, &mac);
	policy_client_find(out->view, client, &mac, &out->client);
	out->who = &out->client;
}

void explain_question(const struct daemon *daemon, const struct name *folded,
	const struct address *client, struct explained *out)
{
	const struct query_policy *policy = daemon->policy;

	out->view = &policy->view;
	out->name = *folded;
	out->who = NULL;
	if (client && policy_knows_clients(out->view, 1))
		find_client(policy, client, out);
	out->place = site_find(daemon->site, folded->wire, folded->length);
	out->count = policy_match_name(
		out->view->index, folded->wire, folded->length, out->matches);
	out->count = site_overrule(&out->place, out->view->index, folded->wire, folded->length,
		out->matches, out->count);
}

/* --- the verdict --- */

/* A host, or a name that is never forwarded. */
static void add_site_verdict(struct control_reply *reply, const struct explained *explained)
{
	const struct site_place *place = &explained->place;
	const struct name *name = &explained->name;
	char rule[NAME_TEXT_MAX], text[NAME_TEXT_MAX + 64];

	name_to_text(name->wire + (place->host ? 0 : name->length - place->zone_length), rule);
	snprintf(text, sizeof text, "%s mode=always action=%s rule=%s%s",
		place->host ? "hosts" : "forward",
		policy_action_name(place->host ? ACTION_LOCAL_DATA : ACTION_NXDOMAIN),
		place->host ? "" : "*.", rule);
	control_reply_add(reply, "verdict", "local");
	control_reply_add(reply, "decided", text);
}

/* A rule that lets the question through ends the search without a trace in the verdict. */
static const struct policy_match *find_passthru(const struct policy_trace *trace)
{
	for (size_t i = 0; i < trace->count; i++)
		if (trace->steps[i].outcome == OUTCOME_WON)
			return trace->steps[i].match;
	return NULL;
}

void explain_verdict(struct control_reply *reply, const struct explained *explained,
	const struct policy_match *matches, size_t count)
{
	struct policy_trace trace;
	struct policy_verdict verdict =
		policy_explain(explained->view, explained->who, matches, count, &trace);
	const struct policy_match *passthru = verdict.enforced ? NULL : find_passthru(&trace);
	const struct policy_match *decided = verdict.enforced ? verdict.enforced : verdict.hit;
	const char *word = verdict.enforced && verdict.hit == verdict.enforced ? "block"
			   : verdict.enforced                                  ? "local"
			   : verdict.hit                                       ? "watch"
			   : passthru                                          ? "pass"
									       : "none";

	/* A special-use name below one that is never forwarded is answered by its own rule. */
	if ((explained->place.host || explained->place.never) && !verdict.hit && !verdict.enforced) {
		add_site_verdict(reply, explained);
		return;
	}
	control_reply_add(reply, "verdict", word);
	if (decided || passthru)
		add_match(reply, "decided", explained->view, explained->who,
			decided ? decided : passthru);
}

bool explain_is_settled(const struct explained *explained)
{
	struct policy_trace trace;
	struct policy_verdict verdict = policy_explain(explained->view, explained->who,
		explained->matches, explained->count, &trace);

	return verdict.enforced || explained->place.host || explained->place.never ||
	       find_passthru(&trace);
}

void explain_access(
	const struct daemon *daemon, struct control_reply *reply, const struct address *client)
{
	const struct query_policy *policy = daemon->policy;
	bool allowed = false;

	if (!address_is_ip(client))
		return;
	for (size_t i = 0; i < policy->allow_count && !allowed; i++)
		allowed = prefix_contains(&policy->allow[i], client);
	control_reply_add(reply, "access", allowed ? "allowed" : "refused");
}

void daemon_explain(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[])
{
	struct explained explained;
	struct address client;
	struct name name;

	if (count < 2 || name_from_text(&name, words[1], strlen(words[1])) != TD_OK) {
		control_reply_fail(reply, "explain needs a name, and may have a client");
		return;
	}
	if (count > 2 && !client_from_text(&client, words[2])) {
		control_reply_fail(reply, "this is no client");
		return;
	}
	name_fold(name.wire, name.wire, name.length);
	explain_question(daemon, &name, count > 2 ? &client : NULL, &explained);
	control_reply_add(reply, "resolver", daemon->options->resolver_name);
	if (count > 2)
		explain_access(daemon, reply, &client);
	if (explained.who && explained.who->group)
		control_reply_add(reply, "group",
			daemon->options->groups[explained.who->group - 1].name);
	explain_verdict(reply, &explained, explained.matches, explained.count);
	daemon_site_explain(daemon, reply, &name);
	for (size_t i = 0; i < explained.count; i++)
		add_match(reply, "match", explained.view, explained.who, &explained.matches[i]);
	control_reply_end(reply);
}
