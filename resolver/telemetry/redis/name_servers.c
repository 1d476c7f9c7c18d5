/* SPDX-License-Identifier: BSD-3-Clause */
/* A list behind a lock: it is read when a connection is opened, and written by a reload. */
#include "resolver/telemetry/redis/name_servers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct name_servers {
	pthread_mutex_t lock;
	size_t count;
	struct endpoint list[NAME_SERVERS_MAX];
};

struct name_servers *name_servers_new(void)
{
	struct name_servers *servers = calloc(1, sizeof(*servers));

	if (servers)
		pthread_mutex_init(&servers->lock, NULL);
	return servers;
}

void name_servers_free(struct name_servers *servers)
{
	if (!servers)
		return;
	pthread_mutex_destroy(&servers->lock);
	free(servers);
}

void name_servers_set(struct name_servers *servers, const struct endpoint *list, size_t count)
{
	pthread_mutex_lock(&servers->lock);
	servers->count = count < NAME_SERVERS_MAX ? count : NAME_SERVERS_MAX;
	if (servers->count > 0)
		memcpy(servers->list, list, servers->count * sizeof(list[0]));
	pthread_mutex_unlock(&servers->lock);
}

size_t name_servers_get(struct name_servers *servers, struct endpoint out[NAME_SERVERS_MAX])
{
	if (!servers)
		return 0;
	pthread_mutex_lock(&servers->lock);
	size_t count = servers->count;
	memcpy(out, servers->list, count * sizeof(out[0]));
	pthread_mutex_unlock(&servers->lock);
	return count;
}
