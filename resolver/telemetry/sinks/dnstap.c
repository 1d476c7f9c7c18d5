/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One queue of frames, one descriptor. A socket is written without blocking, and the loop says when
 * it takes more; a file is simply written. When a connection breaks inside a frame, the next one
 * begins with that frame: a reader throws half a frame away, so nothing is lost or doubled by it.
 *
 * What a reader had not taken when it went away is told by the kernel only before it goes. So the
 * last moment at which the socket was empty is remembered; what was written since then counts as
 * dropped when the connection breaks.
 */
#include "resolver/telemetry/sinks/dnstap.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/telemetry/sinks/dnstap_message.h"
#include "resolver/telemetry/sinks/frame_stream.h"
#include "resolver/telemetry/sinks/outbox.h"
#include "resolver/telemetry/sinks/rotate.h"

#define RETRY_US US_PER_S
#define RETRY_WRITE_US (US_PER_S / 5)
#define HANDSHAKE_US (5 * US_PER_S)
#define WRITE_AT ((size_t)256 << 10)
#define READ_MAX 4096

struct dnstap {
	struct dnstap_target target;
	unsigned messages;
	char *identity, *version;
	struct dnstap_source source;
	uint64_t size_max;
	unsigned keep;

	struct event_base *base;
	struct event *readable, *writable;
	int fd;                         /* -1: away */
	bool blocked;                   /* waits until the socket takes more, or is connected */
	bool failing;                   /* the last attempt failed and was logged */
	bool finishing;                 /* the end is near */
	int64_t retry_us, handshake_us; /* monotonic */
	uint64_t size;                  /* of the file */
	bool fresh;                     /* it has no message yet */
	struct frame_stream stream;
	struct outbox box;
	size_t part;      /* octets of the first message that were written */
	uint64_t written; /* messages */
	uint64_t taken;   /* of these, when the socket was empty last */
	uint64_t lost;    /* written, and not taken by a reader that went away */
	char text[SINK_PATH_MAX + 8];
};

static bool is_file(const struct dnstap *dnstap)
{
	return dnstap->target.kind == DNSTAP_FILE;
}

static struct now read_now(void)
{
	struct timespec mono;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	return (struct now){.mono_us = mono.tv_sec * US_PER_S + mono.tv_nsec / 1000};
}

static void log_failure(struct dnstap *dnstap, const char *what, const char *why)
{
	if (!dnstap->failing)
		log_error("dnstap %s: %s: %s; messages that do not fit the queue are dropped and "
			  "counted until it works again",
			dnstap->text, what, why);
	dnstap->failing = true;
}

static void log_success(struct dnstap *dnstap)
{
	if (dnstap->failing)
		log_info("dnstap %s: works again, %llu messages were dropped so far", dnstap->text,
			(unsigned long long)(dnstap->box.dropped + dnstap->lost));
	dnstap->failing = false;
}

/* --- a connection's end --- */

static void close_stream(struct dnstap *dnstap)
{
	if (dnstap->readable)
		event_free(dnstap->readable);
	if (dnstap->writable)
		event_free(dnstap->writable);
	dnstap->readable = dnstap->writable = NULL;
	if (dnstap->fd >= 0)
		close(dnstap->fd);
	dnstap->fd = -1;
	dnstap->part = 0;
	dnstap->blocked = false;
}

static void lose(struct dnstap *dnstap, const char *what, const char *why)
{
	uint64_t unsure = is_file(dnstap) ? 0 : dnstap->written - dnstap->taken;

	log_failure(dnstap, what, why);
	dnstap->lost += unsure;
	dnstap->written -= unsure;
	dnstap->taken = dnstap->written;
	close_stream(dnstap);
	dnstap->retry_us = read_now().mono_us + RETRY_US;
}

/* The reader took all that was written, or the system answers for the rest. */
static void note_taken(struct dnstap *dnstap)
{
	int waiting;

	if (is_file(dnstap) || (ioctl(dnstap->fd, SIOCOUTQ, &waiting) == 0 && waiting == 0))
		dnstap->taken = dnstap->written;
}

/* --- writing --- */

/* How much of the queue goes into the present file: whole messages, up to its size. */
static size_t file_portion(const struct dnstap *dnstap, size_t length)
{
	size_t place = 0, fits = 0, message;

	if (dnstap->size_max == 0 || dnstap->size + length <= dnstap->size_max)
		return length;
	while (outbox_next(&dnstap->box, &place, &message) &&
		dnstap->size + place <= dnstap->size_max)
		fits = place;
	return fits > 0 || !dnstap->fresh ? fits : place;
}

/* A write was cut short: the file gets its last whole message as its end. */
static void cut_back(struct dnstap *dnstap)
{
	struct stat status;

	if (dnstap->part == 0 || fstat(dnstap->fd, &status) != 0 ||
		ftruncate(dnstap->fd, status.st_size - (off_t)dnstap->part) != 0)
		return;
	dnstap->size -= dnstap->part;
	dnstap->part = 0;
}

static ssize_t write_octets(struct dnstap *dnstap, const uint8_t *octets, size_t length)
{
	ssize_t count;

	do
		count = is_file(dnstap)
				? write(dnstap->fd, octets, length)
				: send(dnstap->fd, octets, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (count < 0 && errno == EINTR);
	return count;
}

/* Nothing more is taken now. */
static void pause_writing(struct dnstap *dnstap)
{
	if (is_file(dnstap)) {
		log_failure(dnstap, "write", strerror(errno));
		cut_back(dnstap);
		dnstap->retry_us = read_now().mono_us + RETRY_WRITE_US;
	} else if (errno == EAGAIN) {
		dnstap->blocked = event_add(dnstap->writable, NULL) == 0;
	} else {
		lose(dnstap, "send", strerror(errno));
	}
}

static bool write_control(struct dnstap *dnstap, const uint8_t *octets, size_t length)
{
	ssize_t count = write_octets(dnstap, octets, length);

	if (count < 0) {
		pause_writing(dnstap);
		return false;
	}
	frame_stream_sent(&dnstap->stream, (size_t)count);
	dnstap->size += (size_t)count;
	return true;
}

static bool write_messages(struct dnstap *dnstap, size_t wanted)
{
	size_t length, messages;
	const uint8_t *octets = outbox_stream(&dnstap->box, &length);
	ssize_t count = write_octets(dnstap, octets + dnstap->part, wanted - dnstap->part);

	if (count < 0) {
		pause_writing(dnstap);
		return false;
	}
	dnstap->size += (size_t)count;
	dnstap->fresh = false;
	dnstap->part = outbox_pass(&dnstap->box, dnstap->part + (size_t)count, &messages);
	dnstap->written += messages;
	if (messages > 0)
		log_success(dnstap);
	return true;
}

static void turn(struct dnstap *dnstap);

/* Writes until there is nothing to write or nobody to take it. */
static void push(struct dnstap *dnstap)
{
	while (dnstap->fd >= 0 && !dnstap->blocked) {
		size_t length, wanted;
		const uint8_t *control = frame_stream_output(&dnstap->stream, &length);
		if (length > 0) {
			if (!write_control(dnstap, control, length))
				return;
			continue;
		}
		if (!frame_stream_is_open(&dnstap->stream))
			return;
		outbox_stream(&dnstap->box, &length);
		if (length == 0) {
			if (!dnstap->finishing)
				return;
			frame_stream_stop(&dnstap->stream);
			continue;
		}
		wanted = is_file(dnstap) ? file_portion(dnstap, length) : length;
		if (wanted == 0)
			turn(dnstap);
		else if (!write_messages(dnstap, wanted))
			return;
	}
}

/* --- files --- */

static bool is_same_file(const struct dnstap *dnstap)
{
	struct stat ours, named;

	return fstat(dnstap->fd, &ours) == 0 && stat(dnstap->target.path, &named) == 0 &&
	       ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

static void open_file(struct dnstap *dnstap, const struct now *now)
{
	struct stat status;
	bool used = stat(dnstap->target.path, &status) == 0 && S_ISREG(status.st_mode) &&
		    status.st_size > 0;

	if (!used || rotate_files(dnstap->target.path, dnstap->keep))
		dnstap->fd = open(dnstap->target.path,
			O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
	if (dnstap->fd >= 0 && (fstat(dnstap->fd, &status) != 0 || !S_ISREG(status.st_mode))) {
		close_stream(dnstap);
		errno = EINVAL;
	}
	if (dnstap->fd < 0) {
		log_failure(dnstap, "open", strerror(errno));
		dnstap->retry_us = now->mono_us + RETRY_US;
		return;
	}
	dnstap->size = 0;
	dnstap->fresh = true;
	frame_stream_begin(&dnstap->stream, false);
}

/* A stream's last frame; a disk that has no room for it leaves a file without, which readers take
 * as well. */
static void end_file(struct dnstap *dnstap)
{
	size_t length;

	cut_back(dnstap);
	if (frame_stream_is_open(&dnstap->stream))
		frame_stream_stop(&dnstap->stream);
	const uint8_t *control = frame_stream_output(&dnstap->stream, &length);
	if (write_octets(dnstap, control, length) != (ssize_t)length)
		log_failure(dnstap, "write", strerror(errno));
	close_stream(dnstap);
}

/* The file has its size. */
static void turn(struct dnstap *dnstap)
{
	struct now now = read_now();

	end_file(dnstap);
	open_file(dnstap, &now);
}

/* --- sockets --- */

static void on_writable(evutil_socket_t fd, short what, void *context)
{
	struct dnstap *dnstap = context;
	int error = 0;
	socklen_t length = sizeof(error);

	(void)what;
	dnstap->blocked = false;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error != 0)
		lose(dnstap, "connect", strerror(error));
	else
		push(dnstap);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
	struct dnstap *dnstap = context;
	uint8_t octets[READ_MAX];
	ssize_t count = recv(fd, octets, sizeof(octets), MSG_DONTWAIT);

	(void)what;
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count < 0)
		lose(dnstap, "receive", strerror(errno));
	else if (dnstap->stream.state == FRAME_ENDED)
		close_stream(dnstap);
	else if (count == 0)
		lose(dnstap, "the reader", "it closed the connection");
	else if (!frame_stream_input(&dnstap->stream, octets, (size_t)count))
		lose(dnstap, "the reader", "it does not speak Frame Streams for dnstap");
	else
		push(dnstap);
}

static int open_socket(const struct dnstap *dnstap)
{
	struct sockaddr_storage address;
	struct sockaddr_un *local = (struct sockaddr_un *)&address;
	socklen_t length = sizeof(*local);
	int one = 1;

	if (dnstap->target.kind == DNSTAP_TCP) {
		length = endpoint_to_sockaddr(&dnstap->target.endpoint, &address);
	} else {
		*local = (struct sockaddr_un){.sun_family = AF_UNIX};
		memcpy(local->sun_path, dnstap->target.path, sizeof(local->sun_path));
	}
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&address, length) == 0 || errno == EINPROGRESS)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static void connect_reader(struct dnstap *dnstap, const struct now *now)
{
	dnstap->fd = open_socket(dnstap);
	if (dnstap->fd >= 0) {
		dnstap->readable = event_new(
			dnstap->base, dnstap->fd, EV_READ | EV_PERSIST, on_readable, dnstap);
		dnstap->writable =
			event_new(dnstap->base, dnstap->fd, EV_WRITE, on_writable, dnstap);
	}
	if (dnstap->fd < 0 || !dnstap->readable || !dnstap->writable ||
		event_add(dnstap->readable, NULL) != 0 || event_add(dnstap->writable, NULL) != 0) {
		log_failure(dnstap, "connect", strerror(errno));
		close_stream(dnstap);
		dnstap->retry_us = now->mono_us + RETRY_US;
		return;
	}
	dnstap->blocked = true;
	dnstap->handshake_us = now->mono_us + HANDSHAKE_US;
	frame_stream_begin(&dnstap->stream, true);
}

/* --- public --- */

void dnstap_flush(struct dnstap *dnstap, const struct now *now)
{
	if (dnstap->fd >= 0 && dnstap->stream.state == FRAME_WAITS_ACCEPT &&
		now->mono_us >= dnstap->handshake_us)
		lose(dnstap, "the reader", "it does not answer");
	if (dnstap->fd >= 0)
		note_taken(dnstap);
	if (now->mono_us < dnstap->retry_us)
		return;
	if (dnstap->fd < 0 && !dnstap->finishing) {
		if (is_file(dnstap))
			open_file(dnstap, now);
		else
			connect_reader(dnstap, now);
	}
	push(dnstap);
}

void dnstap_record(struct dnstap *dnstap, const struct record *record, const struct now *now)
{
	dnstap_put(&dnstap->box, &dnstap->source, dnstap->messages, record);
	if (dnstap->box.end - dnstap->box.first >= WRITE_AT && !dnstap->blocked)
		dnstap_flush(dnstap, now);
}

void dnstap_reopen(struct dnstap *dnstap, const struct now *now)
{
	if (!is_file(dnstap) || dnstap->fd < 0 || is_same_file(dnstap))
		return;
	push(dnstap);
	if (dnstap->fd >= 0)
		end_file(dnstap);
	dnstap->retry_us = 0;
	dnstap_flush(dnstap, now);
}

void dnstap_finish(struct dnstap *dnstap, const struct now *now)
{
	dnstap->finishing = true;
	dnstap_flush(dnstap, now);
}

bool dnstap_is_finished(const struct dnstap *dnstap)
{
	size_t control;

	frame_stream_output(&dnstap->stream, &control);
	return dnstap->fd < 0 || (dnstap->stream.state == FRAME_ENDED && control == 0);
}

void dnstap_status(const struct dnstap *dnstap, struct dnstap_status *out)
{
	bool open = dnstap->fd >= 0 && frame_stream_is_open(&dnstap->stream);

	*out = (struct dnstap_status){.state = dnstap->fd < 0                       ? "away"
					       : dnstap->failing && is_file(dnstap) ? "failing"
					       : !open                              ? "connecting"
					       : dnstap->blocked                    ? "slow"
										    : "writing",
		.written = dnstap->written,
		.dropped = dnstap->box.dropped + dnstap->lost};
}

struct dnstap *dnstap_new(
	struct event_base *base, const struct dnstap_settings *settings, const struct now *now)
{
	struct dnstap *dnstap = calloc(1, sizeof(*dnstap));

	if (!dnstap)
		return NULL;
	dnstap->base = base;
	dnstap->fd = -1;
	dnstap->target = *settings->target;
	dnstap->messages = settings->messages;
	dnstap->size_max = settings->size_max;
	dnstap->keep = settings->keep ? settings->keep : 1;
	dnstap->identity = strdup(settings->identity);
	dnstap->version = strdup(settings->version);
	dnstap->source = (struct dnstap_source){dnstap->identity, dnstap->version};
	dnstap_target_to_text(&dnstap->target, dnstap->text);
	if (!dnstap->identity || !dnstap->version || !outbox_init(&dnstap->box, DNSTAP_QUEUE_MAX)) {
		dnstap_free(&dnstap);
		return NULL;
	}
	dnstap_flush(dnstap, now);
	return dnstap;
}

void dnstap_free(struct dnstap **dnstap)
{
	if (!*dnstap)
		return;
	if ((*dnstap)->box.count > 0)
		log_warning("dnstap %s: %zu messages could not be written before the end",
			(*dnstap)->text, (*dnstap)->box.count);
	close_stream(*dnstap);
	outbox_deinit(&(*dnstap)->box);
	free((*dnstap)->identity);
	free((*dnstap)->version);
	free(*dnstap);
	*dnstap = NULL;
}
