/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A question is sent and its answer is nobody's business: what counts is who asks us. So the
 * sockets live from one tick to the next and nothing is read from them.
 */
#include "resolver/loop_prober.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/dns/message.h"
#include "lib/dns/wire.h"
#include "resolver/upstream/random.h"

#define TICK_US 500000
#define QUESTION_SIZE (DNS_HEADER_SIZE + LOOP_NAME_LENGTH + 4)

struct loop_prober {
	struct loop_watch *watch;
	struct event *tick;
	struct random_pool random;
	int sockets[2]; /* of IPv4 and IPv6; -1: none */
	size_t looping; /* at the last tick */
};

static void close_sockets(struct loop_prober *prober)
{
	for (int i = 0; i < 2; i++) {
		if (prober->sockets[i] >= 0)
			close(prober->sockets[i]);
		prober->sockets[i] = -1;
	}
}

/* A server that cannot be reached leads nowhere. */
static void send_question(
	struct loop_prober *prober, const struct endpoint *server, const struct name *marker)
{
	int *fd = &prober->sockets[server->address.family == ADDRESS_V6];
	uint8_t packet[QUESTION_SIZE];
	struct wire_writer writer = wire_writer_init(packet, sizeof packet);
	struct sockaddr_storage storage;
	socklen_t length = endpoint_to_sockaddr(server, &storage);
	uint16_t id;

	if (*fd < 0)
		*fd = socket(storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return;
	random_bytes(&prober->random, &id, sizeof id);
	wire_write_u16(&writer, id);
	wire_write_u16(&writer, DNS_FLAG_RD);
	wire_write_u16(&writer, 1);
	wire_write_u16(&writer, 0);
	wire_write_u32(&writer, 0);
	wire_write_bytes(&writer, marker->wire, marker->length);
	wire_write_u16(&writer, TYPE_A);
	wire_write_u16(&writer, CLASS_IN);
	if (sendto(*fd, packet, writer.position, 0, (struct sockaddr *)&storage, length) < 0)
		log_debug("loop: a question could not be sent");
}

static void tell(struct loop_prober *prober)
{
	uint64_t found;
	size_t looping = loop_watch_count(prober->watch, &found);

	if (looping > prober->looping)
		log_warning("upstream: %zu server%s back to this resolver, and %s not asked; see "
			    "`teredown status`",
			looping, looping == 1 ? " leads" : "s lead", looping == 1 ? "is" : "are");
	else if (looping < prober->looping)
		log_info("upstream: a server no longer leads back to this resolver; %zu still do%s",
			looping, looping == 1 ? "es" : "");
	prober->looping = looping;
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
	struct loop_prober *prober = context;
	struct endpoint server;
	struct name marker;
	struct timespec ts;

	(void)fd;
	(void)what;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	close_sockets(prober);
	while (loop_watch_next(
		prober->watch, ts.tv_sec * US_PER_S + ts.tv_nsec / 1000, &server, &marker))
		send_question(prober, &server, &marker);
	tell(prober);
}

struct loop_prober *loop_prober_new(struct event_base *base, struct loop_watch *watch)
{
	struct loop_prober *prober = calloc(1, sizeof *prober);
	struct timeval interval = {.tv_usec = TICK_US};

	if (!prober)
		return NULL;
	prober->watch = watch;
	prober->sockets[0] = prober->sockets[1] = -1;
	prober->tick = event_new(base, -1, EV_PERSIST, on_tick, prober);
	if (!prober->tick || event_add(prober->tick, &interval) != 0) {
		loop_prober_free(prober);
		return NULL;
	}
	event_active(prober->tick, EV_TIMEOUT, 1);
	return prober;
}

void loop_prober_free(struct loop_prober *prober)
{
	if (!prober)
		return;
	if (prober->tick)
		event_free(prober->tick);
	close_sockets(prober);
	free(prober);
}
