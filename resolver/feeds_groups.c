/* SPDX-License-Identifier: BSD-3-Clause */
/* The groups of clients that the options name. In a file of its own: the dashboard asks for them
 * too, and has no use for all else that a policy is made of. */
#include "resolver/feeds.h"

static enum td_error add_client(
	struct policy_groups *groups, const struct group_client *client, uint8_t group)
{
	if (client->client.family != ADDRESS_NONE)
		return policy_groups_add_client(groups, &client->client, group);
	return policy_groups_add_prefix(groups, &client->network, group);
}

struct policy_groups *feeds_groups(const struct options *options)
{
	struct policy_groups *groups = policy_groups_new();
	bool good = groups != NULL;

	for (size_t i = 0; good && i < options->group_count; i++)
		for (size_t k = 0; good && k < options->groups[i].client_count; k++)
			good = add_client(groups, &options->groups[i].clients[k],
				       (uint8_t)(i + 1)) == TD_OK;
	if (good && policy_groups_seal(groups))
		return groups;
	policy_groups_free(groups);
	return NULL;
}
