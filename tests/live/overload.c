/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client for the audit of overload: one socket that asks for names of equal length, either with
 * so many questions open at once (which finds out what a server can do), or at a rate, whatever
 * becomes of them. To send more than a server can take from less processor time than the server
 * has, it leaves the cutting into datagrams to the system (UDP_SEGMENT).
 *
 *   overload PORT open COUNT  NAMES SECONDS PREFIX
 *   overload PORT rate RATE   NAMES SECONDS PREFIX
 *
 * The names are PREFIX (one letter), seven digits and ".example.org", NAMES of them in turn. Prints
 * what was sent, what was answered with records, what was answered otherwise, and how long it took.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BURST 32
#define QUERY_SIZE (12 + 9 + 13 + 4)
#define REPLY_MAX 512
#define PATIENCE_MS 100 /* without any answer, the open questions are lost */
#define END_MS 300      /* for the last answers */

struct load {
	int socket;
	unsigned names;
	char prefix;
	uint64_t sent, answered, other;
	uint8_t queries[BURST * QUERY_SIZE];
	uint8_t replies[BURST][REPLY_MAX];
	struct mmsghdr in[BURST];
	struct iovec parts[BURST];
};

static double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void make_query(const struct load *load, uint64_t number, uint8_t *packet)
{
	static const uint8_t header[12] = {0, 0, 1, 0, 0, 1};
	static const uint8_t tail[] = {"\7example\3org\0\0\1\0\1"}; /* its NUL is not sent */
	unsigned name = (unsigned)(number % load->names);

	memcpy(packet, header, sizeof header);
	packet[0] = (uint8_t)(number >> 8);
	packet[1] = (uint8_t)number;
	packet[12] = 8;
	packet[13] = (uint8_t)load->prefix;
	for (int i = 6; i >= 0; i--, name /= 10)
		packet[14 + i] = (uint8_t)('0' + name % 10);
	memcpy(packet + 21, tail, sizeof tail - 1);
}

static bool send_burst(struct load *load, unsigned count)
{
	union {
		struct cmsghdr header;
		uint8_t octets[CMSG_SPACE(sizeof(uint16_t))];
	} control = {.header = {.cmsg_level = SOL_UDP,
			     .cmsg_type = UDP_SEGMENT,
			     .cmsg_len = CMSG_LEN(sizeof(uint16_t))}};
	struct iovec part = {load->queries, (size_t)count * QUERY_SIZE};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control.octets};
	uint16_t size = QUERY_SIZE;

	memcpy(CMSG_DATA(&control.header), &size, sizeof size);
	for (unsigned i = 0; i < count; i++)
		make_query(load, load->sent + i, load->queries + (size_t)i * QUERY_SIZE);
	if (sendmsg(load->socket, &message, 0) < 0 && errno != ECONNREFUSED && errno != EINTR) {
		perror("overload: sendmsg");
		return false;
	}
	load->sent += count;
	return true;
}

static unsigned receive(struct load *load)
{
	int count = recvmmsg(load->socket, load->in, BURST, MSG_DONTWAIT, NULL);

	for (int i = 0; i < count; i++) {
		const uint8_t *reply = load->replies[i];
		if (load->in[i].msg_len >= 12 && (reply[3] & 15) == 0 && (reply[6] | reply[7]))
			load->answered++;
		else
			load->other++;
	}
	return count > 0 ? (unsigned)count : 0;
}

static bool run_open(struct load *load, unsigned window, double end)
{
	struct pollfd wait = {.fd = load->socket, .events = POLLIN};
	uint64_t done = 0; /* answered, or given up */

	while (seconds_now() < end) {
		if (load->sent - done + BURST <= window) {
			if (!send_burst(load, BURST))
				return false;
		} else {
			unsigned count = receive(load);
			done += count;
			if (count == 0 && poll(&wait, 1, PATIENCE_MS) == 0)
				done = load->sent;
			if (done > load->sent)
				done = load->sent;
		}
	}
	return true;
}

static bool run_rate(struct load *load, double rate, double begin, double end)
{
	for (double now = begin; now < end; now = seconds_now()) {
		double due = (now - begin) * rate - (double)load->sent;
		if (due >= BURST && !send_burst(load, BURST))
			return false;
		while (receive(load) == BURST)
			continue;
	}
	return true;
}

static void receive_last(struct load *load)
{
	struct pollfd wait = {.fd = load->socket, .events = POLLIN};

	while (receive(load) > 0 || poll(&wait, 1, END_MS) > 0)
		continue;
}

static bool open_socket(struct load *load, uint16_t port)
{
	struct sockaddr_in server = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int size = 4 << 20;

	for (unsigned i = 0; i < BURST; i++) {
		load->parts[i] = (struct iovec){load->replies[i], REPLY_MAX};
		load->in[i].msg_hdr = (struct msghdr){.msg_iov = &load->parts[i], .msg_iovlen = 1};
	}
	load->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(load->socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	setsockopt(load->socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	return connect(load->socket, (struct sockaddr *)&server, sizeof server) == 0;
}

int main(int argc, char **argv)
{
	static struct load load;

	if (argc != 7) {
		fprintf(stderr, "usage: overload PORT open|rate NUMBER NAMES SECONDS PREFIX\n");
		return 2;
	}
	load.names = (unsigned)atoi(argv[4]);
	load.prefix = argv[6][0];
	if (load.names == 0 || !open_socket(&load, (uint16_t)atoi(argv[1])))
		return 2;
	double begin = seconds_now(), end = begin + atof(argv[5]);
	bool good = strcmp(argv[2], "open") == 0 ? run_open(&load, (unsigned)atoi(argv[3]), end)
						 : run_rate(&load, atof(argv[3]), begin, end);
	double took = seconds_now() - begin;
	receive_last(&load);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %f\n", load.sent, load.answered, load.other,
		took);
	return good ? 0 : 1;
}
