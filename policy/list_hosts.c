/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hosts files as block lists: "0.0.0.0 NAME". The address says what is meant: one that leads
 * nowhere or back to the client means that the name is blocked, and the reply is NXDOMAIN like that
 * of any other list, for AAAA too; another one is an answer. A rule is for the name alone, as in
 * /etc/hosts and in every other reader of such lists.
 */
#include <string.h>

#include "policy/list.h"

bool list_address_blocks(const struct address *address)
{
	static const uint8_t nowhere[16], loopback_v6[16] = {[15] = 1};
	static const uint8_t loopback_v4[4] = {127, 0, 0, 1};
	size_t length = address_octets(address);

	return !memcmp(address->octets, nowhere, length) ||
	       !memcmp(address->octets, length == 4 ? loopback_v4 : loopback_v6, length);
}

/* Nearly every line has the address of the line before. */
bool list_address(struct list *list, struct span word, struct address *out)
{
	if (word.length != list->address_length ||
		memcmp(word.text, list->address_text, word.length) != 0) {
		list->address_length = SIZE_MAX;
		list->address_good = false;
		if (word.length < sizeof(list->address_text)) {
			memcpy(list->address_text, word.text, word.length);
			list->address_text[word.length] = '\0';
			list->address_length = word.length;
			list->address_good =
				address_from_text(&list->address, list->address_text);
		}
	}
	*out = list->address;
	return list->address_good;
}

bool list_name_is_local(struct span name)
{
	static const char *const names[] = {"localhost", "localhost.localdomain", "local",
		"broadcasthost", "localhost4", "localhost6", "localhost4.localdomain4",
		"localhost6.localdomain6", "0.0.0.0"};

	if (name.length && name.text[name.length - 1] == '.')
		name.length--;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_is(name, names[i]))
			return true;
	return span_starts(name, "ip6-");
}

static enum td_error host_add(struct list *list, struct span text, const struct address *address)
{
	struct name name;
	const char *why = list_name(text, &name);

	if (why) {
		list_bad_name(list, why);
		return TD_OK;
	}
	if (list_address_blocks(address))
		return list_rule(list, &name, RULE_ITSELF, ACTION_NXDOMAIN);
	return list_data(list, &name, RULE_ITSELF, address);
}

static enum td_error line_read(struct list *list, struct span rest)
{
	struct span first = span_word(&rest), word = span_word(&rest);
	struct address address;
	enum td_error error = TD_OK;
	bool good = list_address(list, first, &address);

	if (!word.length || (!good && !list_name_is_local(word))) {
		list_fault(list, FAULT_FORM,
			good ? "a name is missing behind the address"
			     : "not a line of a hosts file: it begins with an address");
		return TD_OK;
	}
	for (; !error && word.length; word = span_word(&rest)) {
		if (list_name_is_local(word))
			list_foreign(list);
		else if (good)
			error = host_add(list, word, &address);
	}
	return error;
}

enum td_error list_read_hosts(struct list *list)
{
	enum td_error error = TD_OK;

	while (!error && list_next(list)) {
		struct span line = span_without_comment(list->line);
		if (line.length)
			error = line_read(list, line);
	}
	return error;
}
