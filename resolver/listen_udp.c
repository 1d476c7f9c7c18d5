/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Up to 64 packets a system call each way. Replies go out in the order of their queries;
 * transactions are recorded after the system took them, so what is counted as answered has been
 * sent. The buffers belong to the worker and are used by one listener at a time.
 */
#include "resolver/listen_udp.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64
#define BATCHES_A_TURN 4 /* full batches in a row before other events get their turn */
#define BATCHES_AT_END 64 /* more than a socket's buffer holds, so that a flood cannot hold up the end */
#define QUERY_MAX 4096   /* longer queries are cut by the system and fail to parse */
#define CONTROL_MAX CMSG_SPACE(sizeof(struct in6_pktinfo))

struct udp_batch {
	struct mmsghdr in[BATCH], out[BATCH];
	struct iovec in_vec[BATCH], out_vec[BATCH];
	struct sockaddr_storage peers[BATCH];
	uint8_t in_control[BATCH][CONTROL_MAX] __attribute__((aligned(8)));
	uint8_t out_control[BATCH][CONTROL_MAX] __attribute__((aligned(8)));
	struct query_slot slots[BATCH]; /* of out */
	uint8_t queries[BATCH][QUERY_MAX];
	uint8_t replies[BATCH][DNS_UDP_PAYLOAD];
};

struct udp_listener {
	struct udp_listener_config config;
	struct event *event;
	int fd;
	bool wildcard;
};

struct udp_batch *udp_batch_new(void)
{
	struct udp_batch *batch = calloc(1, sizeof *batch);

	if (!batch)
		return NULL;
	for (unsigned i = 0; i < BATCH; i++) {
		batch->in_vec[i] = (struct iovec){batch->queries[i], QUERY_MAX};
		batch->in[i].msg_hdr = (struct msghdr){.msg_name = &batch->peers[i],
			.msg_iov = &batch->in_vec[i],
			.msg_iovlen = 1};
		batch->out_vec[i] = (struct iovec){batch->replies[i], 0};
		batch->out[i].msg_hdr =
			(struct msghdr){.msg_iov = &batch->out_vec[i], .msg_iovlen = 1};
	}
	return batch;
}

void udp_batch_free(struct udp_batch *batch)
{
	free(batch);
}

/* The address and interface that were asked, from the control data. */
static void read_path(const struct msghdr *msg, struct reply_path *path)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR((struct msghdr *)msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof info);
			path->local = address_v4((const uint8_t *)&info.ipi_addr);
			path->interface = (uint32_t)info.ipi_ifindex;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof info);
			path->local = address_v6(info.ipi6_addr.s6_addr);
			path->interface = info.ipi6_ifindex;
		}
	}
}

/* Makes the reply leave from the address that was asked; over the interface only where the address
 * says nothing by itself. */
static void write_path(struct msghdr *msg, void *control, const struct reply_path *path)
{
	struct cmsghdr *c = control;
	bool link_local = path->local.family == 6 && path->local.octets[0] == 0xfe &&
			  (path->local.octets[1] & 0xc0) == 0x80;

	if (path->local.family == 0)
		return;
	memset(control, 0, CONTROL_MAX);
	if (path->local.family == 4) {
		struct in_pktinfo info = {0};
		memcpy(&info.ipi_spec_dst, path->local.octets, 4);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof info);
		memcpy(CMSG_DATA(c), &info, sizeof info);
		msg->msg_controllen = CMSG_SPACE(sizeof info);
	} else {
		struct in6_pktinfo info = {.ipi6_ifindex = link_local ? path->interface : 0};
		memcpy(info.ipi6_addr.s6_addr, path->local.octets, 16);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof info);
		memcpy(CMSG_DATA(c), &info, sizeof info);
		msg->msg_controllen = CMSG_SPACE(sizeof info);
	}
	msg->msg_control = control;
}

static int receive(struct udp_listener *listener)
{
	struct udp_batch *batch = listener->config.batch;

	for (unsigned i = 0; i < BATCH; i++) {
		struct msghdr *msg = &batch->in[i].msg_hdr;
		msg->msg_namelen = sizeof batch->peers[i];
		msg->msg_control = listener->wildcard ? batch->in_control[i] : NULL;
		msg->msg_controllen = listener->wildcard ? CONTROL_MAX : 0;
	}
	return recvmmsg(listener->fd, batch->in, BATCH, MSG_DONTWAIT, NULL);
}

/* Takes a PROXY header off the packet. False when there has to be one and is not. */
static bool take_proxy_header(struct udp_listener *listener, struct query_client *client,
	const uint8_t **packet, size_t *size)
{
	size_t length;

	client->origin = client->peer;
	if (!query_is_proxy(listener->config.engine, &client->peer.address))
		return true;
	if (query_read_proxy(client, *packet, *size, &length) != TD_OK) {
		query_drop_proxied(listener->config.engine);
		return false;
	}
	*packet += length;
	*size -= length;
	return true;
}

/* Puts the reply for query i, if there is one now, into place `out` of the outgoing batch. */
static bool handle(struct udp_listener *listener, unsigned i, unsigned out, const struct now *now)
{
	struct udp_batch *batch = listener->config.batch;
	struct query_client client = {.path = {.listener = listener->config.index}};
	struct msghdr *reply = &batch->out[out].msg_hdr;
	const uint8_t *packet = batch->queries[i];
	size_t size = batch->in[i].msg_len;

	if (!endpoint_from_sockaddr(&client.peer, (struct sockaddr *)&batch->peers[i])) {
		listener->config.counters->received++;
		listener->config.counters->dropped_malformed++;
		return false;
	}
	if (!take_proxy_header(listener, &client, &packet, &size))
		return false;
	if (listener->wildcard)
		read_path(&batch->in[i].msg_hdr, &client.path);
	batch->out_vec[out].iov_len =
		query_handle(listener->config.engine, packet, size,
			&client, now, &batch->slots[out], batch->replies[out], DNS_UDP_PAYLOAD);
	if (batch->out_vec[out].iov_len == 0)
		return false;
	reply->msg_name = &batch->peers[i];
	reply->msg_namelen = batch->in[i].msg_hdr.msg_namelen;
	reply->msg_control = NULL;
	reply->msg_controllen = 0;
	if (listener->wildcard)
		write_path(reply, batch->out_control[out], &client.path);
	return true;
}

/* How long a reply took is known for all of a batch at once: they leave by one call. */
static void send_replies(struct udp_listener *listener, unsigned count, const struct now *now)
{
	struct udp_batch *batch = listener->config.batch;
	unsigned done = 0, taken = 0;

	while (done < count) {
		int sent = sendmmsg(listener->fd, &batch->out[done], count - done, MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0) { /* this one is refused; the next may not be */
			query_unsent(listener->config.engine);
			done++;
			continue;
		}
		for (int i = 0; i < sent; i++)
			query_sent(listener->config.engine, &batch->slots[done++], now);
		taken += (unsigned)sent;
	}
	if (taken)
		query_took(listener->config.engine, taken,
			listener->config.mono() - now->mono_us);
}

/* One batch in and out. How many queries there were; 0 or less: none. */
static int serve_batch(struct udp_listener *listener)
{
	int received = receive(listener);
	unsigned replies = 0;

	if (received <= 0)
		return received;
	struct now now = listener->config.clock();
	listener->config.counters->receive_batches++;
	for (int i = 0; i < received; i++)
		replies += handle(listener, (unsigned)i, replies, &now);
	send_replies(listener, replies, &now);
	listener->config.turn(listener->config.turn_context, &now);
	return received;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
	int received = BATCH;

	(void)fd;
	(void)what;
	for (unsigned turn = 0; turn < BATCHES_A_TURN && received == BATCH; turn++)
		received = serve_batch(context);
}

struct udp_listener *udp_listener_new(
	const struct udp_listener_config *config, struct listen_socket *socket)
{
	struct udp_listener *listener = calloc(1, sizeof *listener);

	if (!listener)
		return NULL;
	listener->config = *config;
	listener->fd = socket->udp;
	listener->wildcard = socket->wildcard;
	listener->event =
		event_new(config->base, listener->fd, EV_READ | EV_PERSIST, on_readable, listener);
	if (!listener->event || event_add(listener->event, NULL) != 0) {
		if (listener->event)
			event_free(listener->event);
		free(listener);
		return NULL;
	}
	socket->udp = -1;
	return listener;
}

void udp_listener_drain(struct udp_listener *listener)
{
	for (unsigned i = 0; i < BATCHES_AT_END && serve_batch(listener) > 0; i++)
		continue;
}

void udp_listener_free(struct udp_listener *listener)
{
	if (!listener)
		return;
	event_free(listener->event);
	close(listener->fd);
	free(listener);
}

enum td_error udp_listener_respond(struct udp_listener *listener, const struct query_client *client,
	const uint8_t *reply, size_t length)
{
	struct sockaddr_storage peer;
	uint8_t control[CONTROL_MAX] __attribute__((aligned(8)));
	struct iovec vec = {(void *)(uintptr_t)reply, length};
	struct msghdr msg = {.msg_name = &peer, .msg_iov = &vec, .msg_iovlen = 1};
	ssize_t sent;

	msg.msg_namelen = endpoint_to_sockaddr(&client->peer, &peer);
	if (listener->wildcard)
		write_path(&msg, control, &client->path);
	do
		sent = sendmsg(listener->fd, &msg, MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent >= 0 ? TD_OK : TD_IO;
}
