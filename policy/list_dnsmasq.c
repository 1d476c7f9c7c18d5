/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lines of dnsmasq's configuration that say what becomes of a name:
 *
 *   address=/x/y/            NXDOMAIN for these names and all below them
 *   local=/x/  server=/x/    the same
 *   address=/x/#             the null address: NXDOMAIN, as 0.0.0.0, 127.0.0.1, :: and ::1 are
 *   address=/x/192.0.2.1     that address
 *   server=/x/#              asked as usual: an exception from a shorter name
 *
 * A domain is one name with all below it; `.x` is x, `*.x` is what is below x, `*x` also what ends
 * in x within a label, `#` is everything (dnsmasq(8), --address and --server). Of several the
 * longest counts, here as there. All other lines are dnsmasq's own affair: they are counted and not
 * reported, except that one of these forms with a fault is.
 */
#include <string.h>

#include "policy/list.h"

struct effect {
	enum policy_action action; /* ACTION_LOCAL_DATA: the address */
	struct address address;
};

/* The domains of "/x/y/", without the outer slashes, and what stands behind them. */
static bool split(struct span value, struct span *domains, struct span *target)
{
	size_t last = value.length;

	if (!value.length || value.text[0] != '/')
		return false;
	while (value.text[last - 1] != '/')
		last--;
	*target = span_trim(span_behind(value, last));
	*domains = last > 2 ? (struct span){value.text + 1, last - 2} : (struct span){"", 0};
	return last > 1;
}

/* NULL, or what is wrong. */
static const char *address_effect(struct list *list, struct span target, struct effect *effect)
{
	effect->action = ACTION_NXDOMAIN;
	if (!target.length || span_is(target, "#"))
		return NULL;
	if (!list_address(list, target, &effect->address))
		return "not an address behind the last slash";
	if (!list_address_blocks(&effect->address))
		effect->action = ACTION_LOCAL_DATA;
	return NULL;
}

/* False: the line names a server, which is no rule. */
static bool server_effect(struct span target, struct effect *effect)
{
	effect->action = target.length ? ACTION_PASSTHRU : ACTION_NXDOMAIN;
	return !target.length || span_is(target, "#");
}

/* "*x": what ends in x. */
static enum td_error suffix_add(struct list *list, struct span domain, const struct effect *effect)
{
	char text[NAME_WIRE_MAX + 4] = "*.";

	if (domain.length > NAME_WIRE_MAX) {
		list_bad_name(list, "longer than a name can be");
		return TD_OK;
	}
	if (effect->action != ACTION_NXDOMAIN) {
		list_fault(list, FAULT_UNSUPPORTED, "a * within a label is for NXDOMAIN only");
		return TD_OK;
	}
	memcpy(text + 2, domain.text, domain.length);
	enum td_error alone =
		list_pattern(list, (struct span){text + 2, domain.length}, ACTION_NXDOMAIN);
	if (alone && alone != TD_INVALID)
		return alone == TD_NOMEM ? alone : TD_OK;
	enum td_error below =
		list_pattern(list, (struct span){text, domain.length + 2}, ACTION_NXDOMAIN);
	if (below && below != TD_INVALID)
		return below == TD_NOMEM ? below : TD_OK;
	list_count(list, !alone || !below);
	return TD_OK;
}

static enum td_error domain_add(struct list *list, struct span domain, const struct effect *effect)
{
	struct name name = {.length = 1};
	unsigned where = RULE_ITSELF | RULE_BELOW;
	const char *why = NULL;

	if (!domain.length) {
		list_fault(list, FAULT_UNSUPPORTED, "names without a dot (//) cannot be said here");
		return TD_OK;
	}
	if (domain.text[0] == '*' && !span_starts(domain, "*."))
		return suffix_add(list, domain, effect);
	if (domain.text[0] == '*') {
		domain = span_behind(domain, 2);
		where = RULE_BELOW;
	} else if (domain.text[0] == '.') {
		domain = span_behind(domain, 1);
	}
	if (span_is(domain, "#"))
		where = RULE_BELOW;
	else
		why = list_name(domain, &name);
	if (why) {
		list_bad_name(list, why);
		return TD_OK;
	}
	if (effect->action == ACTION_LOCAL_DATA)
		return list_data(list, &name, where, &effect->address);
	return list_rule(list, &name, where, effect->action);
}

static enum td_error domains_add(
	struct list *list, struct span domains, const struct effect *effect)
{
	enum td_error error = TD_OK;

	for (bool more = true; !error && more;) {
		const char *slash =
			domains.length ? memchr(domains.text, '/', domains.length) : NULL;
		size_t length = slash ? (size_t)(slash - domains.text) : domains.length;
		error = domain_add(list, (struct span){domains.text, length}, effect);
		more = slash != NULL;
		domains = span_behind(domains, more ? length + 1 : length);
	}
	return error;
}

static enum td_error line_read(struct list *list, struct span line)
{
	const char *sign = memchr(line.text, '=', line.length);
	size_t length = sign ? (size_t)(sign - line.text) : line.length;
	struct span word = span_trim((struct span){line.text, length});
	struct span value = sign ? span_trim(span_behind(line, length + 1)) : (struct span){"", 0};
	bool address = span_is(word, "address");
	struct span domains, target;
	struct effect effect;
	const char *why = NULL;

	if (!address && !span_is(word, "server") && !span_is(word, "local")) {
		list_foreign(list);
		return TD_OK;
	}
	if (!split(value, &domains, &target)) {
		if (address)
			list_fault(list, FAULT_FORM, "names between slashes are missing");
		else
			list_foreign(list); /* a server for everything */
		return TD_OK;
	}
	if (address)
		why = address_effect(list, target, &effect);
	else if (!server_effect(target, &effect)) {
		list_foreign(list);
		return TD_OK;
	}
	if (why) {
		list_fault(list, FAULT_FORM, why);
		return TD_OK;
	}
	return domains_add(list, domains, &effect);
}

enum td_error list_read_dnsmasq(struct list *list)
{
	enum td_error error = TD_OK;

	while (!error && list_next(list)) {
		struct span line = span_without_comment(list->line);
		if (line.length)
			error = line_read(list, line);
	}
	return error;
}
