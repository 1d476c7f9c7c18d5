/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The request `explain NAME [CLIENT]`: what would become of this client's question for this name
 * now. The main thread asks the same index with the same modes as the workers, and nothing is
 * counted or changed. A worker could have been asked instead; but its answer would come from the
 * very same immutable snapshot, only later.
 *
 * Only the question is judged: the names at which a CNAME leads are known when the answer comes.
 * Whoever knows one asks for it too.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/strbuf.h"
#include "resolver/daemon.h"
#include "resolver/daemon_site.h"

static const char *match_mode(const struct policy_view *view, const struct policy_match *match)
{
	if (policy_zone_kind(view->index, match->zone) == ZONE_LOCAL)
		return "always";
	return policy_mode_name((enum policy_mode)view->mode[0][match->zone]);
}

void daemon_add_match(struct control_reply *reply, const char *key, const struct policy_view *view,
	const struct policy_match *match)
{
	char rule[NAME_TEXT_MAX];
	struct strbuf text;

	policy_rule_text(view->index, match, rule);
	strbuf_init(&text);
	strbuf_printf(&text, "%s mode=%s action=%s rule=%s",
		policy_zone_name(view->index, match->zone), match_mode(view, match),
		policy_action_name((enum policy_action)match->action), rule);
	control_reply_add(reply, key, text.failed ? "" : text.data);
	strbuf_deinit(&text);
}

/* A rule in block mode that lets the question through ends the search without a trace in the
 * verdict. */
static const struct policy_match *find_passthru(
	const struct policy_view *view, const struct policy_match *matches, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (matches[i].action == ACTION_PASSTHRU &&
			strcmp(match_mode(view, &matches[i]), "block") == 0)
			return &matches[i];
	return NULL;
}

/* A host, or a name that is never forwarded, where no rule says otherwise. */
static void add_site_verdict(
	struct control_reply *reply, const struct site_place *place, const struct name *name)
{
	char rule[NAME_TEXT_MAX], text[NAME_TEXT_MAX + 64];

	name_to_text(name->wire + (place->host ? 0 : name->length - place->zone_length), rule);
	snprintf(text, sizeof text, "%s mode=always action=%s rule=%s%s",
		place->host ? "hosts" : "forward",
		policy_action_name(place->host ? ACTION_LOCAL_DATA : ACTION_NXDOMAIN),
		place->host ? "" : "*.", rule);
	control_reply_add(reply, "verdict", "local");
	control_reply_add(reply, "decided", text);
}

static void add_verdict(struct control_reply *reply, const struct policy_view *view,
	const struct policy_match *matches, size_t count)
{
	struct policy_verdict verdict = policy_decide(view, NULL, matches, count);
	const struct policy_match *passthru = find_passthru(view, matches, count);
	const struct policy_match *decided = verdict.enforced ? verdict.enforced : verdict.hit;
	const char *word = verdict.enforced && verdict.hit == verdict.enforced ? "block"
			   : verdict.enforced                                  ? "local"
			   : verdict.hit                                       ? "watch"
			   : passthru                                          ? "pass"
									       : "none";

	control_reply_add(reply, "verdict", word);
	if (decided || passthru)
		daemon_add_match(reply, "decided", view, decided ? decided : passthru);
}

/* Whether a client of that address is served at all. */
static void add_access(const struct daemon *daemon, struct control_reply *reply, const char *client)
{
	const struct query_policy *policy = daemon->policy;
	struct address address;

	if (!address_from_text(&address, client))
		return;
	for (size_t i = 0; i < policy->allow_count; i++) {
		if (prefix_contains(&policy->allow[i], &address)) {
			control_reply_add(reply, "access", "allowed");
			return;
		}
	}
	control_reply_add(reply, "access", "refused");
}

void daemon_explain(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[])
{
	const struct policy_view *view = &daemon->policy->view;
	struct policy_match matches[POLICY_MATCHES_MAX];
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
	size_t found = policy_match_name(view->index, name.wire, name.length, matches);
	struct site_place place = site_find(daemon->site, name.wire, name.length);
	found = site_overrule(&place, view->index, name.wire, name.length, matches, found);
	control_reply_add(reply, "resolver", daemon->options->resolver_name);
	if (count > 2)
		add_access(daemon, reply, words[2]);
	if ((place.host || place.never) && !policy_decide(view, NULL, matches, found).hit)
		add_site_verdict(reply, &place, &name);
	else
		add_verdict(reply, view, matches, found);
	daemon_site_explain(daemon, reply, &name);
	for (size_t i = 0; i < found; i++)
		daemon_add_match(reply, "match", view, &matches[i]);
	control_reply_end(reply);
}
