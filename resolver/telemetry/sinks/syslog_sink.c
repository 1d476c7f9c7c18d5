/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libc's syslog(3) was rejected: it waits for a daemon that does not read. So was RFC 5424 over
 * /dev/log: what listens there expects the form of libc, and journald shows the whole header as
 * text otherwise. A unix datagram socket says EAGAIN while the daemon's queue (some hundred
 * messages) is full; then the loop says when there is room. The queue here covers the time in
 * between.
 *
 * Over UDP nobody tells whether a message arrived. Where the kernel says that one was refused, it
 * is counted as dropped.
 */
#include "resolver/telemetry/sinks/syslog_sink.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/telemetry/sinks/outbox.h"

#define SEVERITY_INFO 6
#define RETRY_US US_PER_S
#define QUIET_US (5 * US_PER_S) /* without a refusal, before UDP counts as working */
#define SEND_AT ((size_t)128 << 10)
#define BATCH 64
#define HEADER_MAX 256
#define TIME_AT 7 /* in a line: {"ts":" */
#define TIME_LENGTH 27
#define CUT ",\"cut\":true}"

struct syslog_sink {
	struct syslog_target target;
	struct event_base *base;
	struct event *writable;
	int fd; /* -1: away */
	int64_t retry_us, refused_us;
	bool blocked; /* waits for room in the daemon's queue */
	bool failing; /* the last attempt failed and was logged */
	struct outbox box;
	uint64_t written;
	uint64_t lost;           /* refused after they were handed over, or too long */
	int64_t header_second;   /* of the time in `header` */
	char header[HEADER_MAX]; /* unix: all of it; UDP: what is before the time */
	size_t header_length;
	char behind_time[HEADER_MAX]; /* UDP */
	size_t behind_length;
};

static bool is_local(const struct syslog_sink *sink)
{
	return sink->target.path[0] != '\0';
}

static const char *describe(const struct syslog_sink *sink, char out[128])
{
	char text[ENDPOINT_TEXT_MAX];

	snprintf(out, 128, "%s",
		is_local(sink) ? sink->target.path
			       : endpoint_to_text(&sink->target.endpoint, text));
	return out;
}

/* --- the socket --- */

static void log_failure(struct syslog_sink *sink, const char *what)
{
	char text[128];

	if (!sink->failing)
		log_error("syslog %s: %s: %s; what does not fit the queue is dropped and counted",
			describe(sink, text), what, strerror(errno));
	sink->failing = true;
}

static void log_success(struct syslog_sink *sink, const struct now *now)
{
	char text[128];

	if (!sink->failing || (!is_local(sink) && now->mono_us - sink->refused_us < QUIET_US))
		return;
	log_info("syslog %s: taken again, %llu records were dropped so far", describe(sink, text),
		(unsigned long long)(sink->box.dropped + sink->lost));
	sink->failing = false;
}

static void disconnect(struct syslog_sink *sink)
{
	if (sink->writable)
		event_free(sink->writable);
	sink->writable = NULL;
	if (sink->fd >= 0)
		close(sink->fd);
	sink->fd = -1;
	sink->blocked = false;
}

static socklen_t make_address(const struct syslog_sink *sink, struct sockaddr_storage *out)
{
	struct sockaddr_un *local = (struct sockaddr_un *)out;

	if (!is_local(sink))
		return endpoint_to_sockaddr(&sink->target.endpoint, out);
	*local = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(local->sun_path, sink->target.path, sizeof(local->sun_path));
	return sizeof(*local);
}

static void on_writable(evutil_socket_t fd, short what, void *context);

/* Connecting a datagram socket waits for nobody. */
static bool connect_socket(struct syslog_sink *sink)
{
	struct sockaddr_storage address;
	socklen_t length = make_address(sink, &address);

	sink->fd = socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (sink->fd < 0 || connect(sink->fd, (struct sockaddr *)&address, length) != 0)
		return false;
	sink->writable = event_new(sink->base, sink->fd, EV_WRITE, on_writable, sink);
	return sink->writable != NULL;
}

static bool be_connected(struct syslog_sink *sink, const struct now *now)
{
	if (sink->fd >= 0)
		return true;
	if (now->mono_us < sink->retry_us)
		return false;
	if (connect_socket(sink))
		return true;
	log_failure(sink, "connect");
	disconnect(sink);
	sink->retry_us = now->mono_us + RETRY_US;
	return false;
}

/* --- sending --- */

static int send_batch(struct syslog_sink *sink)
{
	struct mmsghdr messages[BATCH] = {0};
	struct iovec vectors[BATCH];
	const uint8_t *octets;
	size_t place = 0, length;
	unsigned count = 0;

	while (count < BATCH && (octets = outbox_next(&sink->box, &place, &length))) {
		vectors[count] = (struct iovec){(void *)(uintptr_t)octets, length};
		messages[count].msg_hdr =
			(struct msghdr){.msg_iov = &vectors[count], .msg_iovlen = 1};
		count++;
	}
	return sendmmsg(sink->fd, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What an error of send says; false when nothing more can be sent now. */
static bool go_on_after_error(struct syslog_sink *sink, const struct now *now)
{
	switch (errno) {
	case EINTR:
		return true;
	case EAGAIN:
		sink->blocked = event_add(sink->writable, NULL) == 0;
		return false;
	case ENOBUFS:
		return false;
	case EMSGSIZE: /* less than SYSLOG_MESSAGE_MAX: the system's own limit */
		outbox_drop(&sink->box, 1);
		sink->lost++;
		return true;
	default:
		break;
	}
	log_failure(sink, "send");
	if (!is_local(sink) && errno == ECONNREFUSED) { /* an earlier one was */
		sink->refused_us = now->mono_us;
		sink->lost += sink->written > 0;
		sink->written -= sink->written > 0;
		return true;
	}
	disconnect(sink);
	sink->retry_us = now->mono_us + RETRY_US;
	return false;
}

static void send_all(struct syslog_sink *sink, const struct now *now)
{
	while (sink->box.count > 0) {
		int sent = send_batch(sink);
		if (sent > 0) {
			outbox_drop(&sink->box, (size_t)sent);
			sink->written += (uint64_t)sent;
			log_success(sink, now);
		} else if (!go_on_after_error(sink, now)) {
			return;
		}
	}
}

void syslog_sink_flush(struct syslog_sink *sink, const struct now *now)
{
	if (!sink->blocked && be_connected(sink, now))
		send_all(sink, now);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
	struct syslog_sink *sink = context;
	struct timespec mono;

	(void)fd;
	(void)what;
	clock_gettime(CLOCK_MONOTONIC, &mono);
	sink->blocked = false;
	syslog_sink_flush(
		sink, &(struct now){.mono_us = mono.tv_sec * US_PER_S + mono.tv_nsec / 1000});
}

/* --- the message --- */

/* "<30>Nov 21 20:52:11 teredownd[4711]: ", in local time as libc does it. */
static void make_local_header(struct syslog_sink *sink, int64_t second)
{
	static const char months[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t when = (time_t)second;
	struct tm tm;

	localtime_r(&when, &tm);
	sink->header_length = (size_t)snprintf(sink->header, sizeof(sink->header),
		"<%u>%s %2d %02d:%02d:%02d teredownd[%d]: ",
		sink->target.facility << 3 | SEVERITY_INFO, months[tm.tm_mon % 12], tm.tm_mday,
		tm.tm_hour, tm.tm_min, tm.tm_sec, (int)getpid());
	sink->header_second = second;
}

/* RFC 5424 section 6: "<30>1 TIME gw1 teredownd 4711 transaction - ". */
static void make_remote_header(struct syslog_sink *sink, const char *resolver_name)
{
	sink->header_length = (size_t)snprintf(sink->header, sizeof(sink->header), "<%u>1 ",
		sink->target.facility << 3 | SEVERITY_INFO);
	sink->behind_length = (size_t)snprintf(sink->behind_time, sizeof(sink->behind_time),
		" %.64s teredownd %d transaction - ", resolver_name, (int)getpid());
}

static uint8_t *put(uint8_t *at, const void *octets, size_t length)
{
	memcpy(at, octets, length);
	return at + length;
}

static uint8_t *put_header(const struct syslog_sink *sink, uint8_t *at, const char *line)
{
	at = put(at, sink->header, sink->header_length);
	if (is_local(sink))
		return at;
	at = put(at, line + TIME_AT, TIME_LENGTH);
	return put(at, sink->behind_time, sink->behind_length);
}

void syslog_sink_append(struct syslog_sink *sink, const char *line, size_t length, size_t lists,
	const struct now *now)
{
	if (is_local(sink) && now->wall_us / US_PER_S != sink->header_second)
		make_local_header(sink, now->wall_us / US_PER_S);
	size_t header = sink->header_length;
	if (!is_local(sink))
		header += TIME_LENGTH + sink->behind_length;

	size_t body = length - 1, ending = 0; /* without the newline */
	if (header + body > SYSLOG_MESSAGE_MAX) {
		body = lists;
		ending = sizeof(CUT) - 1;
	}
	size_t whole = header + body + ending;
	if (whole > SYSLOG_MESSAGE_MAX) {
		sink->lost++;
		return;
	}
	if (sink->box.end - sink->box.first >= SEND_AT)
		syslog_sink_flush(sink, now);
	uint8_t *at = outbox_reserve(&sink->box, whole);
	if (!at)
		return;
	at = put_header(sink, at, line);
	at = put(at, line, body);
	put(at, CUT, ending);
	outbox_commit(&sink->box, whole);
}

/* --- life --- */

struct syslog_sink *syslog_sink_new(struct event_base *base, const struct syslog_target *target,
	const char *resolver_name, const struct now *now)
{
	struct syslog_sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return NULL;
	sink->base = base;
	sink->target = *target;
	sink->fd = -1;
	sink->header_second = INT64_MIN;
	if (!outbox_init(&sink->box, SYSLOG_QUEUE_MAX)) {
		free(sink);
		return NULL;
	}
	if (!is_local(sink))
		make_remote_header(sink, resolver_name);
	be_connected(sink, now);
	return sink;
}

void syslog_sink_free(struct syslog_sink **sink)
{
	if (!*sink)
		return;
	disconnect(*sink);
	outbox_deinit(&(*sink)->box);
	free(*sink);
	*sink = NULL;
}

void syslog_sink_status(const struct syslog_sink *sink, struct syslog_sink_status *out)
{
	*out = (struct syslog_sink_status){.state = sink->fd < 0    ? "away"
						    : sink->blocked ? "slow"
								    : "writing",
		.waiting = sink->box.count,
		.written = sink->written,
		.dropped = sink->box.dropped + sink->lost};
}
