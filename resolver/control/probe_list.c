/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A list is read whole before anything is sent, and all its faults are told at once: whoever has
 * exported ten thousand findings wants to mend the list once. What the system's resolver would
 * take for an address in a way of its own ("10.1" is 10.0.0.1 to it) is refused; a scanner does not
 * write that, but a cut line looks like it.
 */
#include "resolver/control/probe_list.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/output.h"

#define LINE_MAX_OCTETS 4096
#define BLANKS " \t\r\v\f"

void probe_list_init(struct probe_list *list)
{
	*list = (struct probe_list){.count = 0};
	arena_init(&list->arena);
	strbuf_init(&list->messages);
}

void probe_list_deinit(struct probe_list *list)
{
	free(list->hosts);
	strbuf_deinit(&list->messages);
	arena_deinit(&list->arena);
}

/* --- faults --- */

/* word NULL: about the line. */
static void tell(struct probe_list *list, const char *file, unsigned line, const char *word,
	const char *fault)
{
	struct strbuf *out = &list->messages;

	if (list->faults++ >= PROBE_LIST_FAULTS_MAX)
		return;
	if (file) {
		output_text(out, file);
		strbuf_printf(out, ":%u: ", line);
	}
	if (word) {
		strbuf_append_char(out, '"');
		output_text(out, word);
		strbuf_append_text(out, "\" ");
	}
	strbuf_append_text(out, fault);
	strbuf_append_char(out, '\n');
}

/* --- one host --- */

static bool is_unicast(const struct address *address)
{
	return address->octets[0] != 0 && address->octets[0] < 224;
}

/* Why the part before the port is no host that can be asked; NULL: it is one. */
static const char *host_fault(const char *host)
{
	static const char name_characters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	struct address address;

	if (address_from_text(&address, host)) {
		if (address.family != ADDRESS_V4)
			return "is an IPv6 address; Teredo servers have IPv4 addresses";
		return is_unicast(&address) ? NULL : "is not the address of a host";
	}
	if (strchr(host, '/'))
		return "is a network or a path; each host is to be named";
	if (!*host || strlen(host) >= PROBE_HOST_MAX ||
		strspn(host, name_characters) != strlen(host) || *host == '.' || *host == '-')
		return "is neither an IPv4 address nor a name, with :PORT or without";
	if (strspn(host, "0123456789.") == strlen(host))
		return "is not a whole IPv4 address";
	return NULL;
}

/* Cuts ":PORT" off; false when there is one that is none. */
static bool take_port(char *host, uint16_t *port)
{
	char *colon = strchr(host, ':');
	char *end;

	if (!colon || strchr(colon + 1, ':'))
		return true;
	unsigned long number = strtoul(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end || number == 0 || number > 65535)
		return false;
	*port = (uint16_t)number;
	*colon = '\0';
	return true;
}

static bool append_host(struct probe_list *list, const struct probe_host *host)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 16;
		struct probe_host *hosts = realloc(list->hosts, capacity * sizeof(*hosts));
		if (!hosts)
			return false;
		list->hosts = hosts;
		list->capacity = capacity;
	}
	list->hosts[list->count] = *host;
	list->hosts[list->count].name =
		arena_copy(&list->arena, host->name, strlen(host->name) + 1);
	return list->hosts[list->count++].name != NULL;
}

void probe_list_add(
	struct probe_list *list, const char *word, uint16_t port, const char *file, unsigned line)
{
	char name[PROBE_HOST_MAX + 8];
	struct probe_host host = {.name = name, .port = port, .file = file, .line = line};

	if (strlen(word) >= sizeof(name)) {
		tell(list, file, line, NULL, "a host's name is too long");
		return;
	}
	memcpy(name, word, strlen(word) + 1);
	if (!take_port(name, &host.port)) {
		tell(list, file, line, word, "has a port that is not a number from 1 to 65535");
		return;
	}
	const char *fault = host_fault(name);
	if (fault)
		tell(list, file, line, word, fault);
	else if (list->count >= PROBE_TARGETS_MAX)
		tell(list, file, line, NULL, "there are more than 65536 hosts; split the list");
	else if (!append_host(list, &host))
		tell(list, file, line, NULL, error_text(TD_NOMEM));
}

/* --- a file --- */

static void read_line(
	struct probe_list *list, char *line, const char *name, unsigned number, uint16_t port)
{
	char *rest = NULL;

	line[strcspn(line, "#")] = '\0';
	for (char *word = strtok_r(line, BLANKS, &rest); word; word = strtok_r(NULL, BLANKS, &rest))
		probe_list_add(list, word, port, name, number);
}

enum line_kind { LINE_END, LINE_FINE, LINE_LONG, LINE_BINARY };

/* The next line without its end; all of it is consumed, whatever it is. */
static enum line_kind next_line(FILE *file, char line[LINE_MAX_OCTETS])
{
	enum line_kind kind = LINE_FINE;
	size_t length = 0;
	int c = getc(file);

	if (c == EOF)
		return LINE_END;
	for (; c != EOF && c != '\n'; c = getc(file)) {
		if (c == '\0')
			kind = LINE_BINARY;
		else if (length == LINE_MAX_OCTETS - 1)
			kind = LINE_LONG;
		else
			line[length++] = (char)c;
	}
	line[length] = '\0';
	return kind;
}

bool probe_list_read(struct probe_list *list, FILE *file, const char *name, uint16_t port)
{
	static const char mark[] = "\xef\xbb\xbf";
	char line[LINE_MAX_OCTETS] = "";
	enum line_kind kind;

	for (unsigned number = 1; (kind = next_line(file, line)) != LINE_END; number++) {
		bool marked = number == 1 && memcmp(line, mark, strlen(mark)) == 0;
		if (kind == LINE_FINE)
			read_line(list, line + (marked ? strlen(mark) : 0), name, number, port);
		else
			tell(list, name, number, NULL,
				kind == LINE_LONG ? "this line is too long for a list of hosts"
						  : "there is a NUL: this is no text");
	}
	return !ferror(file);
}

/* --- addresses --- */

size_t probe_list_resolve(
	const struct probe_host *host, struct endpoint out[], size_t max, const char **why)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found = NULL;
	struct address address;
	size_t count = 0;

	*why = NULL;
	if (address_from_text(&address, host->name)) {
		out[0] = (struct endpoint){.address = address, .port = host->port};
		return 1;
	}
	int status = getaddrinfo(host->name, NULL, &hints, &found);
	if (status != 0) {
		*why = gai_strerror(status);
		return 0;
	}
	for (const struct addrinfo *each = found; each && count < max; each = each->ai_next) {
		if (!endpoint_from_sockaddr(&out[count], each->ai_addr))
			continue;
		out[count].port = host->port;
		count += is_unicast(&out[count].address);
	}
	freeaddrinfo(found);
	if (count == 0)
		*why = "it has no address of a host";
	return count;
}
