/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Apart from the sinks themselves, so that a program that only checks a configuration needs neither
 * their loop nor their libraries.
 */
#include "resolver/telemetry/sink_target.h"

#include <stdio.h>
#include <string.h>

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
	       endpoint_from_text(&out->endpoint, text + 1, SYSLOG_PORT) == TD_OK;
}
