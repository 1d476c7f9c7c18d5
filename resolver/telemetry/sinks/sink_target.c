/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Apart from the sinks themselves, so that a program that only checks a configuration needs neither
 * their loop nor their libraries.
 */
#include "resolver/telemetry/sinks/sink_target.h"

#include <stdio.h>
#include <string.h>

#include "config.h"

#define SYSLOG_PATH "/dev/log"
#define SYSLOG_PORT 514
#define FACILITY_DAEMON 3

static const char *const facilities[24] = {"kern", "user", "mail", "daemon", "auth", "syslog",
	"lpr", "news", "uucp", "cron", "authpriv", "ftp", "", "", "", "", "local0", "local1",
	"local2", "local3", "local4", "local5", "local6", "local7"};

static bool parse_facility(struct syslog_target *out, const char *text, size_t length)
{
	for (unsigned i = 0; i < 24; i++) {
		if (length > 0 && strlen(facilities[i]) == length &&
			memcmp(facilities[i], text, length) == 0) {
			out->facility = i;
			return true;
		}
	}
	return false;
}

static bool parse_path(char out[SINK_PATH_MAX], const char *text)
{
	return text[0] == '/' && snprintf(out, SINK_PATH_MAX, "%s", text) < SINK_PATH_MAX;
}

bool syslog_target_parse(struct syslog_target *out, const char *text)
{
	*out = (struct syslog_target){.facility = FACILITY_DAEMON, .path = SYSLOG_PATH};
	if (strncmp(text, "syslog", 6) != 0)
		return false;
	text += 6;
	if (*text == ':') {
		size_t length = strcspn(text + 1, "@");
		if (!parse_facility(out, text + 1, length))
			return false;
		text += 1 + length;
	}
	if (*text != '@')
		return *text == '\0';
	out->path[0] = '\0';
	return parse_path(out->path, text + 1) ||
	       (endpoint_from_text(&out->endpoint, text + 1, SYSLOG_PORT) == TD_OK &&
		       out->endpoint.port != 0);
}

/* --- dnstap --- */

bool dnstap_is_available(void)
{
#ifdef HAVE_DNSTAP
	return true;
#else
	return false;
#endif
}

bool dnstap_target_parse(struct dnstap_target *out, const char *text)
{
	*out = (struct dnstap_target){.kind = DNSTAP_FILE};
	if (strncmp(text, "file:", 5) == 0)
		return parse_path(out->path, text + 5);
	out->kind = DNSTAP_UNIX;
	if (strncmp(text, "unix:", 5) == 0)
		return parse_path(out->path, text + 5);
	out->kind = DNSTAP_TCP;
	return strncmp(text, "tcp://", 6) == 0 &&
	       endpoint_from_text(&out->endpoint, text + 6, 0) == TD_OK && out->endpoint.port != 0;
}

void dnstap_target_to_text(const struct dnstap_target *target, char *out)
{
	char text[ENDPOINT_TEXT_MAX];

	if (target->kind == DNSTAP_TCP)
		snprintf(out, SINK_PATH_MAX + 8, "tcp://%s",
			endpoint_to_text(&target->endpoint, text));
	else
		snprintf(out, SINK_PATH_MAX + 8, "%s:%s",
			target->kind == DNSTAP_FILE ? "file" : "unix", target->path);
}

unsigned dnstap_message_parse(const char *word)
{
	static const char *const words[] = {
		"client-query", "client-response", "forwarder-query", "forwarder-response"};

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i], word) == 0)
			return 1U << i;
	}
	return 0;
}
