/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SO_REUSEPORT lets a second daemon of the same user share the port without an error and steal half
 * the clients. So each address is first bound without it, as a probe: whoever holds it already is
 * found and named.
 */
#include "resolver/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"

#define TCP_BACKLOG 1024
#define TCP_SEND_BYTES (64 << 10) /* of a connection; what the system would let a slow reader grow to is 4 MB */
#define UDP_BUFFER_BYTES (1 << 20) /* a burst of some thousand queries; the system may grant less \
				    */

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value);
}

static bool is_wildcard(const struct address *address)
{
	static const uint8_t zeros[16];

	return memcmp(address->octets, zeros, sizeof zeros) == 0;
}

static int open_bound(const struct endpoint *endpoint, int type, bool shared)
{
	struct sockaddr_storage sa;
	socklen_t length = endpoint_to_sockaddr(endpoint, &sa);
	int fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if ((sa.ss_family == AF_INET6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) != 0) ||
		(shared && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0) ||
		(type == SOCK_STREAM && set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0) ||
		bind(fd, (struct sockaddr *)&sa, length) != 0) {
		int saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static void log_bind_failure(const struct endpoint *endpoint, const char *protocol)
{
	char text[ENDPOINT_TEXT_MAX];
	const char *hint = "";

	endpoint_to_text(endpoint, text);
	if (errno == EADDRINUSE && endpoint->port == 53)
		hint = ": another resolver holds port 53 (see `ss -lunp sport = 53`). If it is "
		       "systemd-resolved, set DNSStubListener=no in "
		       "/etc/systemd/resolved.conf and restart it; stop dnsmasq, unbound or bind, "
		       "or listen on another address";
	else if (errno == EADDRINUSE)
		hint = ": another program listens there (see `ss -lunpt`); stop it or change the "
		       "option `listen`";
	else if (errno == EACCES)
		hint = ": ports below 1024 need root or CAP_NET_BIND_SERVICE; start as root and "
		       "set the option `user`";
	else if (errno == EADDRNOTAVAIL)
		hint = ": this host does not have that address; see `ip addr` and the option "
		       "`listen`";
	log_error("cannot listen on %s (%s): %s%s", text, protocol, strerror(errno), hint);
}

static bool probe(const struct endpoint *endpoint)
{
	static const struct {
		int type;
		const char *name;
	} kinds[] = {{SOCK_DGRAM, "UDP"}, {SOCK_STREAM, "TCP"}};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		int fd = open_bound(endpoint, kinds[i].type, false);
		bool taken = fd < 0 || (kinds[i].type == SOCK_STREAM && listen(fd, 1) != 0);
		if (taken)
			log_bind_failure(endpoint, kinds[i].name);
		if (fd >= 0)
			close(fd);
		if (taken)
			return false;
	}
	return true;
}

static int open_udp(const struct endpoint *endpoint, bool wildcard)
{
	int fd = open_bound(endpoint, SOCK_DGRAM, true);
	bool v6 = endpoint->address.family == 6;

	if (fd < 0)
		return -1;
	set_option(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER_BYTES);
	set_option(fd, SOL_SOCKET, SO_SNDBUF, UDP_BUFFER_BYTES);
	/* Replies over the path MTU are cut by IP rather than refused, and a forged ICMP cannot
	 * shrink them (RFC 9715). */
	if (v6)
		set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
	else
		set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
	if (wildcard && set_option(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
				v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int open_tcp(const struct endpoint *endpoint)
{
	int fd = open_bound(endpoint, SOCK_STREAM, true);

	if (fd < 0)
		return -1;
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_SNDBUF, TCP_SEND_BYTES);
	if (listen(fd, TCP_BACKLOG) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool open_one(struct listen_socket *socket, const struct endpoint *endpoint)
{
	socket->endpoint = *endpoint;
	socket->wildcard = is_wildcard(&endpoint->address);
	socket->udp = open_udp(endpoint, socket->wildcard);
	if (socket->udp < 0) {
		log_bind_failure(endpoint, "UDP");
		return false;
	}
	socket->tcp = open_tcp(endpoint);
	if (socket->tcp < 0)
		log_bind_failure(endpoint, "TCP");
	return socket->tcp >= 0;
}

enum td_error sockets_open(struct listen_sockets *sockets, const struct endpoint *addresses,
	size_t address_count, size_t worker_count)
{
	size_t count = address_count * worker_count;

	*sockets = (struct listen_sockets){
		.address_count = address_count, .worker_count = worker_count};
	sockets->sockets = calloc(count ? count : 1, sizeof sockets->sockets[0]);
	if (!sockets->sockets)
		return TD_NOMEM;
	for (size_t i = 0; i < count; i++)
		sockets->sockets[i].udp = sockets->sockets[i].tcp = -1;
	for (size_t i = 0; i < address_count; i++)
		if (!probe(&addresses[i]))
			goto fail;
	for (size_t i = 0; i < count; i++)
		if (!open_one(&sockets->sockets[i], &addresses[i % address_count]))
			goto fail;
	return TD_OK;
fail:
	sockets_close(sockets);
	return TD_IO;
}

struct listen_socket *sockets_of(const struct listen_sockets *sockets, size_t worker)
{
	return &sockets->sockets[worker * sockets->address_count];
}

void sockets_close(struct listen_sockets *sockets)
{
	for (size_t i = 0; sockets->sockets && i < sockets->address_count * sockets->worker_count;
		i++) {
		if (sockets->sockets[i].udp >= 0)
			close(sockets->sockets[i].udp);
		if (sockets->sockets[i].tcp >= 0)
			close(sockets->sockets[i].tcp);
	}
	free(sockets->sockets);
	*sockets = (struct listen_sockets){0};
}
