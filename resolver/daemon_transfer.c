/* SPDX-License-Identifier: BSD-3-Clause */
/* What the daemon does with zones by transfer: opens them before the first compilation, so that
 * they block before the network is there, and compiles anew when one of them has changed. */
#include "resolver/daemon_transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "resolver/daemon_reload.h"

static void on_changed(void *context)
{
	daemon_zones_changed(context);
}

bool daemon_transfer_open(struct daemon *daemon)
{
	daemon->transfers = transfers_new(on_changed, daemon);
	if (!daemon->transfers || !transfers_follow(daemon->transfers, daemon->options)) {
		log_error("out of memory while opening zones by transfer");
		return false;
	}
	daemon->zone_feed = transfers_feed(daemon->transfers);
	return true;
}

void daemon_transfer_start(struct daemon *daemon)
{
	transfers_start(daemon->transfers, daemon->base);
}

void daemon_transfer_close(struct daemon *daemon)
{
	transfers_free(daemon->transfers);
	daemon->transfers = NULL;
	daemon->zone_feed = NULL;
}

/* A file that can no longer be read leaves the secret as it was. */
static void keep_secret(struct key_options *key, const struct options *before, const char *why)
{
	for (size_t i = 0; i < before->key_count; i++) {
		const struct key_options *old = &before->keys[i];
		if (strcmp(old->title, key->title) != 0 || old->key.secret_length == 0)
			continue;
		key->key.secret_length = old->key.secret_length;
		memcpy(key->key.secret, old->key.secret, old->key.secret_length);
		log_error("reload: key \"%s\": secret-file: \"%s\": %s; the old secret stays",
			key->title, key->secret_file, why);
		return;
	}
	log_error("reload: key \"%s\": secret-file: \"%s\": %s; its zones cannot be transferred",
		key->title, key->secret_file, why);
}

void daemon_transfer_follow(struct daemon *daemon, const struct options *before)
{
	struct options *options = daemon->options;
	char why[256];

	for (size_t i = 0; i < options->key_count; i++)
		if (!options_read_key(&options->keys[i], why, sizeof why))
			keep_secret(&options->keys[i], before, why);
	if (!transfers_follow(daemon->transfers, options))
		log_error("reload: too little memory for zones by transfer");
}

/* --- what is asked of it --- */

static int64_t wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

/* "key=<seconds>"; - where there is no such time. */
static void put_seconds(char *out, size_t size, const char *key, bool is_set, int64_t us)
{
	size_t used = strlen(out);

	if (is_set)
		snprintf(out + used, size - used, " %s=%" PRId64, key, us > 0 ? us / US_PER_S : 0);
	else
		snprintf(out + used, size - used, " %s=-", key);
}

static void add_status(
	const char *zone, const struct transfer_status *status, struct control_reply *reply)
{
	static const char *const forms[] = {
		[FORM_NONE] = "-", [FORM_AXFR] = "AXFR", [FORM_IXFR] = "IXFR"};
	char text[512], serial[16] = "-", primary[ENDPOINT_TEXT_MAX] = "-";
	char error[POLICY_ZONE_NAME_MAX + TRANSFER_WHY_SIZE];
	int64_t now_us = wall_us();

	if (status->has_zone)
		snprintf(serial, sizeof serial, "%" PRIu32, status->soa.serial);
	if (address_is_ip(&status->primary.address))
		endpoint_to_text(&status->primary, primary);
	snprintf(text, sizeof text,
		"%s state=%s serial=%s primary=%s last=%s octets=%" PRIu64 " records=%" PRIu64
		" outside=%" PRIu64 " took_us=%" PRId64 " transfers=%" PRIu64 " checks=%" PRIu64
		" notifies=%" PRIu64 " failures=%" PRIu64,
		zone, transfer_state_name(status->state), serial, primary, forms[status->form],
		status->octets, status->records, status->outside, status->took_us,
		status->transfers, status->checks, status->notifies, status->failures);
	put_seconds(text, sizeof text, "since_s", status->since_us != 0, now_us - status->since_us);
	put_seconds(text, sizeof text, "checked_s", status->checked_us != 0,
		now_us - status->checked_us);
	put_seconds(text, sizeof text, "next_s", status->due_us != 0, status->due_us - now_us);
	control_reply_add(reply, "transfer", text);
	if (!status->error[0])
		return;
	snprintf(error, sizeof error, "%s: %s", zone, status->error);
	control_reply_add(reply, "transfer_error", error);
}

void daemon_transfer_status(const struct daemon *daemon, struct control_reply *reply)
{
	struct transfer_status status;
	const char *zone;

	for (size_t i = 0; (zone = transfers_status(daemon->transfers, i, &status)); i++)
		add_status(zone, &status, reply);
}

void daemon_refresh(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[])
{
	size_t asked = transfers_refresh(daemon->transfers, count > 1 ? words[1] : NULL);

	if (count > 1 && asked == 0) {
		control_reply_fail(reply, "there is no such zone that comes by transfer");
		return;
	}
	log_info("transfer: %zu zones are refreshed, asked for by uid %u%s", asked,
		(unsigned)control_reply_uid(reply), control_reply_via(reply));
	control_reply_add_u64(reply, "asked", asked);
	control_reply_end(reply);
}
