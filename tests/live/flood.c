/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A flood for the audit of bounds: every query comes from another address of 127.0.0.0/8 (forged
 * clients, as far as the daemon can see) and asks for another random name below "invalid.", which
 * the daemon answers by itself. One socket: the source address of each packet is set with
 * IP_PKTINFO. A window of open queries keeps every buffer from overflowing, so what was sent was
 * answered.
 *
 *   flood PORT QUERIES CLIENTS NAMES [SEED]
 *
 * Prints what it sent and what was answered.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BURST 64
#define WINDOW 128       /* below what a socket's default buffer holds of such packets */
#define PATIENCE_MS 2000 /* without any answer: those that are open are lost */
#define PACKET_MAX 64
#define NXDOMAIN 3
#define FIRST_CLIENT UINT32_C(0x7f010000) /* 127.1.0.0 */

struct flood {
	int socket;
	struct sockaddr_in server;
	uint64_t queries, clients, names, seed;
	uint64_t sent, answered, denied, lost;
	struct mmsghdr out[BURST], in[BURST];
	struct iovec out_parts[BURST], in_parts[BURST];
	uint8_t packets[BURST][PACKET_MAX], replies[BURST][512];
	_Alignas(struct cmsghdr) uint8_t controls[BURST][CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/* splitmix64 */
static uint64_t scramble(uint64_t value)
{
	value += UINT64_C(0x9e3779b97f4a7c15);
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

static size_t make_query(const struct flood *flood, uint64_t number, uint8_t packet[PACKET_MAX])
{
	static const uint8_t header[12] = {0, 0, 1, 0, 0, 1};
	static const uint8_t tail[] = {7, 'i', 'n', 'v', 'a', 'l', 'i', 'd', 0, 0, 1, 0, 1};
	char label[17];

	memcpy(packet, header, sizeof(header));
	packet[0] = (uint8_t)(number >> 8);
	packet[1] = (uint8_t)number;
	snprintf(
		label, sizeof(label), "%016" PRIx64, scramble(flood->seed + number % flood->names));
	packet[12] = 16;
	memcpy(packet + 13, label, 16);
	memcpy(packet + 29, tail, sizeof(tail));
	return 29 + sizeof(tail);
}

/* 127.255.255.255 is no address of a host, and the first addresses belong to others. */
static void set_source(struct flood *flood, uint64_t number, size_t slot)
{
	uint32_t client = (uint32_t)(number % flood->clients);
	struct msghdr *message = &flood->out[slot].msg_hdr;
	struct in_pktinfo source = {.ipi_spec_dst.s_addr = htonl(FIRST_CLIENT + client)};

	message->msg_control = flood->controls[slot];
	message->msg_controllen = sizeof(flood->controls[slot]);
	struct cmsghdr *control = CMSG_FIRSTHDR(message);
	control->cmsg_level = IPPROTO_IP;
	control->cmsg_type = IP_PKTINFO;
	control->cmsg_len = CMSG_LEN(sizeof(source));
	memcpy(CMSG_DATA(control), &source, sizeof(source));
}

static bool send_burst(struct flood *flood)
{
	uint64_t left = flood->queries - flood->sent;
	unsigned count = left < BURST ? (unsigned)left : BURST;

	for (unsigned i = 0; i < count; i++) {
		flood->out_parts[i].iov_base = flood->packets[i];
		flood->out_parts[i].iov_len = make_query(flood, flood->sent + i, flood->packets[i]);
		flood->out[i].msg_hdr = (struct msghdr){.msg_name = &flood->server,
			.msg_namelen = sizeof(flood->server),
			.msg_iov = &flood->out_parts[i],
			.msg_iovlen = 1};
		set_source(flood, flood->sent + i, i);
	}
	int done = sendmmsg(flood->socket, flood->out, count, 0);
	if (done < 0 && errno != EINTR && errno != EAGAIN) {
		perror("flood: sendmmsg");
		return false;
	}
	if (done > 0)
		flood->sent += (uint64_t)done;
	return true;
}

static unsigned receive(struct flood *flood)
{
	for (unsigned i = 0; i < BURST; i++) {
		flood->in_parts[i] = (struct iovec){flood->replies[i], sizeof(flood->replies[i])};
		flood->in[i].msg_hdr =
			(struct msghdr){.msg_iov = &flood->in_parts[i], .msg_iovlen = 1};
	}
	int count = recvmmsg(flood->socket, flood->in, BURST, MSG_DONTWAIT, NULL);
	if (count <= 0)
		return 0;
	for (int i = 0; i < count; i++)
		flood->denied +=
			flood->in[i].msg_len > 3 && (flood->replies[i][3] & 15) == NXDOMAIN;
	flood->answered += (unsigned)count;
	return (unsigned)count;
}

static bool run(struct flood *flood)
{
	struct pollfd wait = {.fd = flood->socket, .events = POLLIN};

	while (flood->answered + flood->lost < flood->queries) {
		uint64_t open = flood->sent - flood->answered - flood->lost;
		if (flood->sent < flood->queries && open + BURST <= WINDOW) {
			if (!send_burst(flood))
				return false;
			continue;
		}
		if (receive(flood) > 0)
			continue;
		if (poll(&wait, 1, PATIENCE_MS) == 0)
			flood->lost += open;
	}
	return true;
}

int main(int argc, char **argv)
{
	static struct flood flood;

	if (argc < 5) {
		fprintf(stderr, "usage: flood PORT QUERIES CLIENTS NAMES [SEED]\n");
		return 2;
	}
	flood.server = (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(argv[1])),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	flood.queries = strtoull(argv[2], NULL, 10);
	flood.clients = strtoull(argv[3], NULL, 10);
	flood.names = strtoull(argv[4], NULL, 10);
	flood.seed = argc > 5 ? strtoull(argv[5], NULL, 10) << 32 : 0;
	if (flood.clients == 0 || flood.clients > 16500000 || flood.names == 0)
		return 2;
	flood.socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (flood.socket < 0 || !run(&flood))
		return 1;
	printf("sent %" PRIu64 " answered %" PRIu64 " lost %" PRIu64 "\n", flood.sent,
		flood.answered, flood.lost);
	if (flood.denied != flood.answered) {
		fprintf(stderr, "flood: only %" PRIu64 " answers say that there is no such name\n",
			flood.denied);
		return 1;
	}
	return 0;
}
