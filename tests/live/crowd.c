/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many clients in one process, whose tally is the truth that the chaos run compares with Redis.
 * Each client has an address of its own in 127.0.0.0/8, a connected UDP socket, and some a TCP
 * connection. An answer is counted when it was received and belongs to an open question (id,
 * spelling); nothing is ever asked again. Counted are answers, by client and by the hour of the
 * clients' own clock.
 *
 * A question without an answer is the only thing a tally cannot decide: the daemon may have died
 * before or after it counted. Such questions are reported beside the answers and never mixed with
 * them. They keep their id until the run ends a round ("forget"), so a late answer is recognised.
 * Around the turn of an hour nothing is asked; what was open over it all the same is "ambiguous".
 *
 *   crowd PORT FIRST-ADDRESS CLIENTS TCP-CLIENTS SEED NAMES-FILE
 *
 * A line of the file is "weight class type name", class p(lain), w(atched) or b(locked). Commands
 * are read from stdin, one a line, answers go to stdout:
 *
 *   go RATE WINDOW  ask RATE questions a second, at most WINDOW open
 *   count           "count ASKED ANSWERED", now
 *   pause           ask no more; when every question has its answer or is older than PATIENCE:
 *                     row CLIENT HOUR queries watched blocked nxdomain tcp unanswered ambiguous
 *                     sum asked answered unanswered strays wrong p50 p90 p99 p999 max
 *                     end
 *                   p50 to max in microseconds, of the answers since the last pause
 *   forget          questions without an answer are over: their ids may be used again
 *   offset SECONDS  the clients' clock is the system's plus this
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 4096
#define NAMES_MAX 4096
#define HOURS_MAX 512
#define SLOTS 1024 /* of a client: the low ten bits of an id */
#define QUEUE 65536
#define QUERY_MAX 300
#define BUFFER_BYTES (4 << 20)
#define STALE_US 400000     /* then a question no longer takes a place in the window */
#define PATIENCE_US 3000000 /* then nobody waits for its answer */
#define TURN_US 300000      /* before and after the turn of an hour nothing is asked */
#define RECONNECT_US 50000
#define US_PER_S INT64_C(1000000)
#define US_PER_HOUR (3600 * US_PER_S)
#define LATENCIES_MAX (1 << 22)

enum counter { QUERIES, WATCHED, BLOCKED, NXDOMAIN, TCP, UNANSWERED, AMBIGUOUS, COUNTERS };
enum state { FREE, OPEN, STALE, GONE };

struct slot {
	int64_t sent_us, sent_wall_us;
	uint16_t name;
	uint8_t state, turn;
	bool tcp;
};

struct client {
	struct in_addr address;
	int udp, tcp; /* -1: none */
	int64_t connect_us;
	unsigned next;
	struct slot slots[SLOTS];
	uint32_t (*rows)[COUNTERS]; /* by hour's index */
	uint8_t *buffer;            /* of TCP */
	size_t buffered;
};

struct name {
	char class;
	uint8_t question[QUERY_MAX];
	size_t length;
	unsigned up_to; /* sum of weights so far */
};

struct sent {
	int64_t sent_us;
	uint16_t client, slot;
};

static struct client *clients;
static struct name names[NAMES_MAX];
static unsigned client_count, tcp_count, name_count;
static int64_t hours[HOURS_MAX];
static unsigned hour_count;
static struct sent queue[QUEUE];
static unsigned queue_head, queue_stale,
	queue_tail; /* tail ≤ stale ≤ head: given up, stale, sent */
static uint64_t asked, answered, unanswered, strays, wrong;
static unsigned open_count; /* in the window */
static uint32_t *latencies;
static size_t latency_count;
static uint64_t random_state;
static int64_t offset_us;
static int poll_fd;
static struct sockaddr_in server;
static double rate;
static unsigned window;
static bool pausing;

static void die(const char *what)
{
	fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int64_t now_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

static int64_t wall_us(void)
{
	return now_us(CLOCK_REALTIME) + offset_us;
}

static uint64_t random_next(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(0x2545F4914F6CDD1D) >> 16;
}

/* --- the tally --- */

static unsigned hour_index(int64_t wall)
{
	int64_t hour = wall / US_PER_HOUR;

	for (unsigned i = hour_count; i > 0; i--) {
		if (hours[i - 1] == hour)
			return i - 1;
	}
	if (hour_count == HOURS_MAX) {
		fprintf(stderr, "crowd: more than %d hours\n", HOURS_MAX);
		exit(2);
	}
	hours[hour_count] = hour;
	return hour_count++;
}

static uint32_t *row_of(struct client *client, int64_t wall)
{
	return client->rows[hour_index(wall)];
}

static void count_answer(struct client *client, const struct slot *slot, const uint8_t *reply)
{
	int64_t wall = wall_us();
	uint32_t *row = row_of(client, wall);
	char class = names[slot->name].class;
	bool denied = (reply[3] & 15) == 3;

	row[QUERIES]++;
	row[WATCHED] += class == 'w';
	row[BLOCKED] += class == 'b';
	row[NXDOMAIN] += denied;
	row[TCP] += slot->tcp;
	row[AMBIGUOUS] += (slot->sent_wall_us - TURN_US) / US_PER_HOUR != wall / US_PER_HOUR;
	answered++;
	if (latency_count < LATENCIES_MAX)
		latencies[latency_count++] = (uint32_t)(now_us(CLOCK_MONOTONIC) - slot->sent_us);
}

/* --- answers --- */

static void take_reply(struct client *client, const uint8_t *reply, size_t length, bool tcp)
{
	unsigned id = length < 12 ? 0 : (unsigned)reply[0] << 8 | reply[1];
	struct slot *slot = &client->slots[id % SLOTS];
	const struct name *name = &names[slot->name];

	if (length < 12 || slot->state == FREE || slot->turn != id / SLOTS || slot->tcp != tcp) {
		strays++;
		return;
	}
	if (!(reply[2] & 0x80) || length < 12 + name->length ||
		memcmp(reply + 12, name->question, name->length) != 0) {
		wrong++;
		return;
	}
	if (slot->state == OPEN)
		open_count--;
	if (slot->state == GONE) {
		row_of(client, slot->sent_wall_us)[UNANSWERED]--;
		unanswered--;
	}
	count_answer(client, slot, reply);
	slot->state = FREE;
}

static void read_udp(struct client *client)
{
	uint8_t reply[4096];

	for (;;) {
		ssize_t length = recv(client->udp, reply, sizeof(reply), 0);
		if (length < 0 && (errno == ECONNREFUSED || errno == EINTR))
			continue;
		if (length < 0)
			return;
		take_reply(client, reply, (size_t)length, false);
	}
}

static void close_tcp(struct client *client)
{
	if (client->tcp >= 0)
		close(client->tcp);
	client->tcp = -1;
	client->buffered = 0;
}

static void take_framed(struct client *client)
{
	size_t at = 0;

	while (client->buffered - at >= 2) {
		size_t length = (size_t)client->buffer[at] << 8 | client->buffer[at + 1];
		if (client->buffered - at < 2 + length)
			break;
		take_reply(client, client->buffer + at + 2, length, true);
		at += 2 + length;
	}
	client->buffered -= at;
	memmove(client->buffer, client->buffer + at, client->buffered);
}

static void read_tcp(struct client *client)
{
	while (client->tcp >= 0) {
		ssize_t length = recv(client->tcp, client->buffer + client->buffered,
			65538 - client->buffered, 0);
		if (length < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (length <= 0) {
			close_tcp(client);
			return;
		}
		client->buffered += (size_t)length;
		take_framed(client);
	}
}

/* --- questions --- */

static void watch(int fd, uint64_t what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = what};

	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		die("epoll_ctl");
}

static int open_socket(const struct client *client, int type)
{
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr = client->address};
	int fd = socket(AF_INET, type, 0), size = BUFFER_BYTES, on = 1;

	if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof(local)) != 0)
		die("socket");
	if (type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	else
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&server, sizeof(server)) != 0) {
		close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static bool connected_tcp(struct client *client, int64_t now)
{
	if (client->tcp >= 0)
		return true;
	if (now < client->connect_us)
		return false;
	client->connect_us = now + RECONNECT_US;
	client->tcp = open_socket(client, SOCK_STREAM);
	if (client->tcp < 0)
		return false;
	watch(client->tcp, (uint64_t)(client - clients) << 1 | 1);
	return true;
}

static unsigned choose_name(void)
{
	unsigned at = (unsigned)(random_next() % names[name_count - 1].up_to), low = 0,
		 high = name_count;

	while (low < high) {
		unsigned middle = (low + high) / 2;
		if (names[middle].up_to <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* NULL when the client has too many questions without an answer. */
static struct slot *free_slot(struct client *client)
{
	for (unsigned tries = 0; tries < SLOTS; tries++) {
		struct slot *slot = &client->slots[client->next++ % SLOTS];
		if (slot->state == FREE)
			return slot;
	}
	return NULL;
}

/* On loopback the refusal of a packet is there when send returns: then nobody saw the question. */
static bool send_udp(const struct client *client, const uint8_t *packet, size_t length)
{
	int error = 0;
	socklen_t size = sizeof(error);

	return send(client->udp, packet, length, MSG_NOSIGNAL) == (ssize_t)length &&
	       getsockopt(client->udp, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

/* False when nothing left: then it was not asked. */
static bool send_query(struct client *client, unsigned id, const struct name *name, bool tcp)
{
	uint8_t packet[2 + 12 + QUERY_MAX] = {0};
	size_t length = 12 + name->length;

	packet[0] = (uint8_t)(length >> 8);
	packet[1] = (uint8_t)length;
	packet[2] = (uint8_t)(id >> 8);
	packet[3] = (uint8_t)id;
	packet[4] = 1; /* RD */
	packet[7] = 1;
	memcpy(packet + 14, name->question, name->length);
	if (!tcp)
		return send_udp(client, packet + 2, length);
	if (send(client->tcp, packet, 2 + length, MSG_NOSIGNAL) == (ssize_t)(2 + length))
		return true;
	read_tcp(client); /* what is there before it is closed */
	close_tcp(client);
	return false;
}

static void ask(int64_t now, int64_t wall)
{
	unsigned index = (unsigned)(random_next() % client_count);
	struct client *client = &clients[index];
	bool tcp = index < tcp_count && random_next() % 4 == 0 && connected_tcp(client, now);
	struct slot *slot = free_slot(client);

	if (!slot || queue_head - queue_tail == QUEUE)
		return;
	unsigned turn = (slot->turn + 1u) % (65536 / SLOTS),
		 place = (unsigned)(slot - client->slots);
	unsigned name = choose_name();
	*slot = (struct slot){now, wall, (uint16_t)name, OPEN, (uint8_t)turn, tcp};
	if (!send_query(client, turn * SLOTS + place, &names[name], tcp)) {
		slot->state = FREE;
		return;
	}
	queue[queue_head++ % QUEUE] = (struct sent){now, (uint16_t)index, (uint16_t)place};
	open_count++;
	asked++;
}

static struct slot *slot_of(const struct sent *sent)
{
	struct slot *slot = &clients[sent->client].slots[sent->slot];

	return slot->sent_us == sent->sent_us ? slot : NULL;
}

/* Questions grow old in the order in which they were asked. */
static void age(int64_t now)
{
	for (; queue_stale != queue_head; queue_stale++) {
		const struct sent *sent = &queue[queue_stale % QUEUE];
		struct slot *slot = slot_of(sent);
		if (!slot || slot->state != OPEN)
			continue;
		if (now - sent->sent_us < STALE_US)
			break;
		slot->state = STALE;
		open_count--;
	}
	for (; queue_tail != queue_stale; queue_tail++) {
		const struct sent *sent = &queue[queue_tail % QUEUE];
		struct slot *slot = slot_of(sent);
		if (slot && slot->state == STALE && now - sent->sent_us < PATIENCE_US)
			break;
		if (slot && slot->state == STALE) {
			slot->state = GONE;
			unanswered++;
			row_of(&clients[sent->client], slot->sent_wall_us)[UNANSWERED]++;
		}
	}
}

static bool is_near_turn(int64_t wall)
{
	int64_t into = wall % US_PER_HOUR;

	return into < TURN_US || into > US_PER_HOUR - 2 * TURN_US;
}

static void ask_what_is_due(int64_t now)
{
	static double due;
	static int64_t last;
	int64_t wall = wall_us();

	due += (double)(now - last) * rate / US_PER_S;
	last = now;
	if (due > rate / 50 + 1)
		due = rate / 50 + 1;
	if (rate == 0 || is_near_turn(wall))
		due = 0;
	for (; due >= 1 && open_count < window; due--)
		ask(now, wall);
}

/* --- commands --- */

static int compare_latency(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

static unsigned percentile(double part)
{
	size_t at = (size_t)(part * (double)latency_count);

	return latency_count ? latencies[at < latency_count ? at : latency_count - 1] : 0;
}

static void report(void)
{
	char text[INET_ADDRSTRLEN];

	for (unsigned i = 0; i < client_count; i++) {
		inet_ntop(AF_INET, &clients[i].address, text, sizeof(text));
		for (unsigned h = 0; h < hour_count; h++) {
			const uint32_t *row = clients[i].rows[h];
			if (row[QUERIES] == 0 && row[UNANSWERED] == 0)
				continue;
			printf("row %s %lld", text, (long long)hours[h]);
			for (unsigned c = 0; c < COUNTERS; c++)
				printf(" %u", row[c]);
			printf("\n");
		}
	}
	qsort(latencies, latency_count, sizeof(*latencies), compare_latency);
	printf("sum %llu %llu %llu %llu %llu %u %u %u %u %u\nend\n", (unsigned long long)asked,
		(unsigned long long)answered, (unsigned long long)unanswered,
		(unsigned long long)strays, (unsigned long long)wrong, percentile(0.5),
		percentile(0.9), percentile(0.99), percentile(0.999), percentile(1));
	fflush(stdout);
	latency_count = 0;
}

/* Ids without an answer are free again; the tally keeps them as unanswered. */
static void forget(void)
{
	for (unsigned i = 0; i < client_count; i++) {
		for (unsigned s = 0; s < SLOTS; s++) {
			if (clients[i].slots[s].state == GONE)
				clients[i].slots[s].state = FREE;
		}
	}
}

static void obey(const char *line)
{
	double new_rate;
	unsigned new_window;
	long long seconds;

	if (sscanf(line, "go %lf %u", &new_rate, &new_window) == 2) {
		rate = new_rate;
		window = new_window;
	} else if (sscanf(line, "offset %lld", &seconds) == 1) {
		offset_us = seconds * US_PER_S;
	} else if (strcmp(line, "count") == 0) {
		printf("count %llu %llu\n", (unsigned long long)asked,
			(unsigned long long)answered);
		fflush(stdout);
	} else if (strcmp(line, "pause") == 0) {
		rate = 0;
		pausing = true;
	} else if (strcmp(line, "forget") == 0) {
		forget();
	} else {
		fprintf(stderr, "crowd: what is \"%s\"?\n", line);
		exit(2);
	}
}

static void read_commands(void)
{
	static char text[4096];
	static size_t length;
	ssize_t got = read(STDIN_FILENO, text + length, sizeof(text) - 1 - length);

	if (got <= 0)
		exit(0);
	length += (size_t)got;
	text[length] = '\0';
	char *line = text;
	for (char *end = strchr(line, '\n'); end; end = strchr(line, '\n')) {
		*end = '\0';
		obey(line);
		line = end + 1;
	}
	length -= (size_t)(line - text);
	memmove(text, line, length + 1);
}

/* --- the start --- */

static void add_name(unsigned weight, char class, unsigned type, const char *text)
{
	struct name *name = &names[name_count];
	uint8_t *out = name->question;

	for (const char *label = text; *label;) {
		size_t length = strcspn(label, ".");
		*out++ = (uint8_t)length;
		memcpy(out, label, length);
		out += length;
		label += length + (label[length] == '.');
	}
	*out++ = 0;
	memcpy(out, (const uint8_t[]){(uint8_t)(type >> 8), (uint8_t)type, 0, 1}, 4);
	name->length = (size_t)(out + 4 - name->question);
	name->class = class;
	name->up_to = weight + (name_count ? names[name_count - 1].up_to : 0);
	name_count++;
}

static void read_names(const char *path)
{
	FILE *in = fopen(path, "r");
	unsigned weight, type;
	char class, text[256];

	if (!in)
		die(path);
	while (name_count < NAMES_MAX &&
		fscanf(in, "%u %c %u %255s", &weight, &class, &type, text) == 4)
		add_name(weight, class, type, text);
	fclose(in);
	if (name_count == 0) {
		fprintf(stderr, "crowd: no names in %s\n", path);
		exit(2);
	}
}

static void make_clients(const char *first)
{
	struct in_addr base;

	if (client_count == 0 || client_count > CLIENTS_MAX ||
		inet_pton(AF_INET, first, &base) != 1) {
		fprintf(stderr, "crowd: 1 to %d clients, the first an IPv4 address\n", CLIENTS_MAX);
		exit(2);
	}
	clients = calloc(client_count, sizeof(*clients));
	latencies = malloc(LATENCIES_MAX * sizeof(*latencies));
	if (!clients || !latencies)
		die("memory");
	for (unsigned i = 0; i < client_count; i++) {
		struct client *client = &clients[i];
		client->address.s_addr = htonl(ntohl(base.s_addr) + i);
		client->rows = calloc(HOURS_MAX, sizeof(*client->rows));
		client->buffer = i < tcp_count ? malloc(65538) : NULL;
		if (!client->rows || (i < tcp_count && !client->buffer))
			die("memory");
		client->tcp = -1;
		client->udp = open_socket(client, SOCK_DGRAM);
		if (client->udp < 0)
			die("connect");
		watch(client->udp, (uint64_t)i << 1);
	}
}

static void turn(void)
{
	struct epoll_event events[256];
	int count = epoll_wait(poll_fd, events, 256, rate > 0 ? 1 : 20);

	for (int i = 0; i < count; i++) {
		uint64_t what = events[i].data.u64;
		if (what == UINT64_MAX)
			read_commands();
		else if (what & 1)
			read_tcp(&clients[what >> 1]);
		else
			read_udp(&clients[what >> 1]);
	}
	int64_t now = now_us(CLOCK_MONOTONIC);
	age(now);
	ask_what_is_due(now);
	if (pausing && queue_tail == queue_head) {
		pausing = false;
		report();
	}
}

int main(int argc, char **argv)
{
	if (argc != 7) {
		fprintf(stderr,
			"usage: crowd PORT FIRST-ADDRESS CLIENTS TCP-CLIENTS SEED NAMES-FILE\n");
		return 2;
	}
	server = (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(argv[1])),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	client_count = (unsigned)atoi(argv[3]);
	tcp_count = (unsigned)atoi(argv[4]);
	random_state = strtoull(argv[5], NULL, 10) * 2 + 0x9E3779B97F4A7C15;
	read_names(argv[6]);
	poll_fd = epoll_create1(0);
	make_clients(argv[2]);
	watch(STDIN_FILENO, UINT64_MAX);
	for (;;)
		turn();
}
