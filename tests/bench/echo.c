/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bare limit: what the kernel takes for receiving and sending a packet, with a batch of up to
 * 64 for each system call, as the daemon does it. Sets QR and sends every packet back; no parsing,
 * no cache, no counting. All that a resolver spends above this is its own.
 *
 *   echo PORT [THREADS]      on 127.0.0.1, SO_REUSEPORT; at SIGTERM prints packets and batches
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BATCH 64
#define PACKET_MAX 4096
#define HEADER_SIZE 12
#define THREADS_MAX 64
#define BUFFER_SIZE (4 << 20)

static _Atomic uint64_t packets, batches;

static int echo_open(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int on = 1, size = BUFFER_SIZE;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) != 0 ||
		bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		perror("echo");
		exit(1);
	}
	return fd;
}

static void *echo_run(void *context)
{
	static _Thread_local uint8_t data[BATCH][PACKET_MAX];
	struct sockaddr_in peers[BATCH];
	struct iovec vectors[BATCH];
	struct mmsghdr messages[BATCH];
	int fd = *(int *)context;

	for (;;) {
		for (int i = 0; i < BATCH; i++) {
			vectors[i] = (struct iovec){.iov_base = data[i], .iov_len = PACKET_MAX};
			messages[i].msg_hdr = (struct msghdr){.msg_name = &peers[i],
				.msg_namelen = sizeof(peers[i]),
				.msg_iov = &vectors[i],
				.msg_iovlen = 1};
		}
		int got = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		int kept = 0;

		for (int i = 0; i < got; i++) {
			if (messages[i].msg_len < HEADER_SIZE)
				continue;
			data[i][2] |= 0x80;
			vectors[i].iov_len = messages[i].msg_len;
			messages[kept++].msg_hdr = messages[i].msg_hdr;
		}
		for (int sent = 0, n; sent < kept; sent += n) {
			n = sendmmsg(fd, messages + sent, (unsigned)(kept - sent), 0);
			if (n <= 0)
				break;
		}
		atomic_fetch_add_explicit(&packets, (uint64_t)kept, memory_order_relaxed);
		atomic_fetch_add_explicit(&batches, 1, memory_order_relaxed);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static int fds[THREADS_MAX];
	long port = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
	long threads = argc > 2 ? strtol(argv[2], NULL, 10) : 1;
	sigset_t ends;
	int number;

	if (argc > 3 || port < 1 || port > 65535 || threads < 1 || threads > THREADS_MAX) {
		fprintf(stderr, "usage: echo PORT [THREADS]\n");
		return 1;
	}
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	for (long i = 0; i < threads; i++) {
		pthread_t thread;

		fds[i] = echo_open((uint16_t)port);
		if (pthread_create(&thread, NULL, echo_run, &fds[i]) != 0)
			return 1;
	}
	sigwait(&ends, &number);
	printf("packets %llu\nbatches %llu\n", (unsigned long long)atomic_load(&packets),
		(unsigned long long)atomic_load(&batches));
	return 0;
}
