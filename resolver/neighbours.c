/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An rtnetlink socket (rtnetlink(7)): one request for a dump, and membership in the group that is
 * told of changes. When the kernel had to drop messages (ENOBUFS), the dump is asked for again: it
 * is the truth, and the changes are only quicker. libmnl would save two of these functions.
 */
#include "resolver/neighbours.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"

#define READS_A_TURN 16
#define NUD_KNOWN (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)

struct neighbours {
	struct event *event;
	int fd;
	neighbour_fn *found;
	void *context;
	_Alignas(struct nlmsghdr) uint8_t buffer[32768];
};

static bool ask_for_all(struct neighbours *neighbours)
{
	struct {
		struct nlmsghdr header;
		struct ndmsg body;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_GETNEIGH,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.body = {.ndm_family = AF_UNSPEC},
	};

	return send(neighbours->fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request);
}

static bool read_address(struct address *out, uint8_t family, const struct rtattr *attribute)
{
	if (family == AF_INET && RTA_PAYLOAD(attribute) == 4)
		*out = address_v4(RTA_DATA(attribute));
	else if (family == AF_INET6 && RTA_PAYLOAD(attribute) == 16)
		*out = address_v6(RTA_DATA(attribute));
	else
		return false;
	return true;
}

static void take_neighbour(struct neighbours *neighbours, struct nlmsghdr *header)
{
	struct ndmsg *body = NLMSG_DATA(header);
	int left = (int)header->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*body));
	struct address address = {0};
	const uint8_t *mac = NULL;

	if (left < 0 || !(body->ndm_state & NUD_KNOWN) || body->ndm_flags & NTF_PROXY)
		return;
	for (struct rtattr *at = (struct rtattr *)(void *)(body + 1); RTA_OK(at, left);
		at = RTA_NEXT(at, left)) {
		if (at->rta_type == NDA_DST)
			read_address(&address, body->ndm_family, at);
		else if (at->rta_type == NDA_LLADDR && RTA_PAYLOAD(at) == 6)
			mac = RTA_DATA(at);
	}
	if (address.family != ADDRESS_NONE && mac)
		neighbours->found(neighbours->context, &address, mac);
}

/* Not with NLMSG_OK and NLMSG_NEXT, whose arithmetic is signed here and unsigned there. */
static void take_messages(struct neighbours *neighbours, size_t size)
{
	size_t at = 0;

	while (size - at >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr *header = (struct nlmsghdr *)(void *)(neighbours->buffer + at);
		size_t length = header->nlmsg_len, aligned = NLMSG_ALIGN(length);
		if (length < sizeof(*header) || length > size - at)
			return;
		if (header->nlmsg_type == RTM_NEWNEIGH)
			take_neighbour(neighbours, header);
		if (aligned >= size - at)
			return;
		at += aligned;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
	struct neighbours *neighbours = context;

	(void)what;
	for (int i = 0; i < READS_A_TURN; i++) {
		struct sockaddr_nl from;
		socklen_t from_size = sizeof(from);
		ssize_t size = recvfrom(fd, neighbours->buffer, sizeof(neighbours->buffer),
			MSG_DONTWAIT, (struct sockaddr *)&from, &from_size);
		if (size < 0 && errno == ENOBUFS)
			ask_for_all(neighbours);
		if (size <= 0)
			return;
		if (from.nl_pid == 0) /* the kernel, and no one else */
			take_messages(neighbours, (size_t)size);
	}
}

struct neighbours *neighbours_open(struct event_base *base, neighbour_fn *found, void *context)
{
	struct sockaddr_nl own = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_NEIGH};
	struct neighbours *neighbours = calloc(1, sizeof(*neighbours));

	if (!neighbours)
		return NULL;
	neighbours->found = found;
	neighbours->context = context;
	neighbours->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (neighbours->fd >= 0)
		neighbours->event = event_new(
			base, neighbours->fd, EV_READ | EV_PERSIST, on_readable, neighbours);
	if (!neighbours->event || bind(neighbours->fd, (struct sockaddr *)&own, sizeof(own)) != 0 ||
		!ask_for_all(neighbours) || event_add(neighbours->event, NULL) != 0) {
		log_error("the system's neighbour table, which client-identity or exclude needs, cannot "
			  "be read: %s",
			strerror(errno));
		neighbours_close(neighbours);
		return NULL;
	}
	return neighbours;
}

void neighbours_close(struct neighbours *neighbours)
{
	if (!neighbours)
		return;
	if (neighbours->event)
		event_free(neighbours->event);
	if (neighbours->fd >= 0)
		close(neighbours->fd);
	free(neighbours);
}
