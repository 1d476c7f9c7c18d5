/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One socket for all hosts, not connected: the answer to a cone solicitation comes from an address
 * that was never asked, and a connected socket would not get it. ICMP errors come through the error
 * queue instead (IP_RECVERR, ip(7)), with the destination that they are about. With that option the
 * kernel also reports an error of an earlier packet at the next send; so when a send fails, the
 * queue is read, and it is tried again while there was something in it.
 *
 * A connected socket for each host, as a simpler way to hear of ICMP, was rejected: it hears of no
 * router's name, and ten thousand findings would want ten thousand descriptors.
 */
#include "resolver/control/probe_loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/errqueue.h>
#include <netinet/in.h>

#include "lib/base/clock.h"
#include "resolver/upstream/random.h"

#define DATAGRAM_MAX 2048
#define READS_A_TURN 64 /* then it is looked at what is due, also under a flood */
#define SEND_ATTEMPTS 16
#define FULL_WAIT_MS 20 /* the device's queue is full */
#define TICK_US (US_PER_S / 4)

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

int64_t probe_clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

bool probe_source(const struct endpoint *destination, struct address *out)
{
	struct sockaddr_storage to, from;
	socklen_t length = endpoint_to_sockaddr(destination, &to), size = sizeof(from);
	struct endpoint local = {.port = 0};
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	bool known = connect(fd, (struct sockaddr *)&to, length) == 0 &&
		     getsockname(fd, (struct sockaddr *)&from, &size) == 0 &&
		     endpoint_from_sockaddr(&local, (struct sockaddr *)&from);
	close(fd);
	*out = local.address;
	return known;
}

static int open_socket(void)
{
	const int on = 1;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)) != 0) {
		int reason = errno;
		close(fd);
		errno = reason;
		return -1;
	}
	return fd;
}

/* --- ICMP --- */

static void take_error(struct probe *probe, struct msghdr *message, const struct sockaddr *to)
{
	struct endpoint destination, offender = {.port = 0};

	if (message->msg_namelen == 0 || !endpoint_from_sockaddr(&destination, to))
		return;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
		part = CMSG_NXTHDR(message, part)) {
		struct sock_extended_err error;
		if (part->cmsg_level != IPPROTO_IP || part->cmsg_type != IP_RECVERR ||
			part->cmsg_len < CMSG_LEN(sizeof(error) + sizeof(struct sockaddr_in)))
			continue;
		memcpy(&error, CMSG_DATA(part), sizeof(error));
		if (error.ee_origin != SO_EE_ORIGIN_ICMP)
			continue;
		const struct sock_extended_err *place = (const void *)CMSG_DATA(part);
		endpoint_from_sockaddr(&offender, SO_EE_OFFENDER(place));
		probe_icmp(probe, &destination, error.ee_type, error.ee_code, &offender.address);
	}
}

/* Takes one from the queue; false when it is empty. */
static bool next_error(struct probe *probe, int fd)
{
	union {
		struct cmsghdr alignment;
		char octets[512];
	} control;
	struct sockaddr_storage to;
	char quoted[DATAGRAM_MAX];
	struct iovec part = {.iov_base = quoted, .iov_len = sizeof(quoted)};
	struct msghdr message = {
		.msg_name = &to,
		.msg_namelen = sizeof(to),
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return errno == EINTR;
	take_error(probe, &message, (struct sockaddr *)&to);
	return true;
}

static bool drain_errors(struct probe *probe, int fd)
{
	bool some = false;

	for (unsigned i = 0; i < READS_A_TURN && next_error(probe, fd); i++)
		some = true;
	return some;
}

/* --- packets --- */

/* 0, or the errno that stays. */
static int send_packet(struct probe *probe, int fd, const struct probe_step *step)
{
	struct sockaddr_storage to;
	socklen_t length = endpoint_to_sockaddr(&step->target->endpoint, &to);
	struct pollfd room = {.fd = fd, .events = POLLOUT};
	int reason = 0;

	for (unsigned i = 0; i < SEND_ATTEMPTS; i++) {
		if (sendto(fd, step->packet, step->size, 0, (struct sockaddr *)&to, length) >= 0)
			return 0;
		reason = errno;
		if (reason == EAGAIN || reason == ENOBUFS)
			poll(&room, 1, FULL_WAIT_MS);
		else if (!drain_errors(probe, fd) && reason != EINTR && reason != ECONNREFUSED)
			return reason;
	}
	return reason;
}

static void receive(struct probe *probe, int fd)
{
	for (unsigned i = 0; i < READS_A_TURN; i++) {
		uint8_t data[DATAGRAM_MAX];
		struct sockaddr_storage from;
		socklen_t length = sizeof(from);
		struct endpoint source;
		ssize_t size =
			recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &length);
		if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (size >= 0 && endpoint_from_sockaddr(&source, (struct sockaddr *)&from))
			probe_input(probe, &source, data, (size_t)size, probe_clock_us());
		else
			drain_errors(probe, fd);
	}
}

/* Signals are let in here only, so that none is missed between a look and the wait. */
static void wait_until(int fd, int64_t until_us, int64_t now_us, const sigset_t *open)
{
	struct pollfd input = {.fd = fd, .events = POLLIN};
	int64_t left = until_us - now_us;

	if (left < 0)
		left = 0;
	if (left > TICK_US)
		left = TICK_US;
	struct timespec ts = {.tv_sec = left / US_PER_S, .tv_nsec = left % US_PER_S * 1000};
	ppoll(&input, 1, &ts, open);
}

/* --- the loop --- */

static enum probe_end run_on(
	struct probe *probe, int fd, const sigset_t *open, probe_tick *tick, void *context)
{
	struct random_pool pool = {.left = 0};
	int64_t ticked_us = 0;

	for (;;) {
		uint8_t nonce[TEREDO_NONCE_SIZE];
		struct probe_step step;
		int64_t now_us = probe_clock_us();
		random_bytes(&pool, nonce, sizeof(nonce));
		if (interrupted)
			probe_stop(probe);
		probe_next(probe, nonce, now_us, &step);
		if (step.act == PROBE_END)
			return interrupted ? PROBE_INTERRUPTED : PROBE_ENDED;
		int reason = step.act == PROBE_SEND ? send_packet(probe, fd, &step) : 0;
		if (reason)
			probe_send_failed(probe, step.target, reason);
		if (step.act == PROBE_WAIT)
			wait_until(fd, step.until_us, now_us, open);
		drain_errors(probe, fd);
		receive(probe, fd);
		if (now_us - ticked_us >= TICK_US) {
			tick(context, probe);
			ticked_us = now_us;
		}
	}
}

enum probe_end probe_run(struct probe *probe, probe_tick *tick, void *context)
{
	const struct sigaction action = {.sa_handler = on_signal};
	struct sigaction before_int, before_term;
	sigset_t ours, before;
	int fd = open_socket();

	if (fd < 0)
		return PROBE_BROKEN;
	interrupted = 0;
	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &ours, &before);
	sigaction(SIGINT, &action, &before_int);
	sigaction(SIGTERM, &action, &before_term);
	enum probe_end end = run_on(probe, fd, &before, tick, context);
	sigaction(SIGINT, &before_int, NULL);
	sigaction(SIGTERM, &before_term, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(fd);
	return end;
}
