/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A look goes through the primaries in their order, beginning with the one that sent a NOTIFY,
 * until one says that our serial is its own or has given a newer zone. All of it goes over one TCP
 * connection: an SOA question first, since primaries without IXFR would send everything each time.
 * UDP was rejected: it saves a round trip every few hours and lets others answer.
 *
 * Whatever goes wrong with changes, the same primary is asked for the zone whole once, over a new
 * connection; whatever goes wrong with that ends this primary's turn. What has arrived so far is
 * dropped, and the zone stays as it is.
 *
 * Deadlines are on the monotonic clock. That a zone expires is counted from when it was confirmed,
 * also before a restart, by the wall clock.
 */
#include "resolver/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/message.h"

enum phase {
	PHASE_IDLE,
	PHASE_CONNECTING,
	PHASE_ASKING, /* for the SOA */
	PHASE_RECEIVING,
	PHASE_INSTALLING,
};

struct transfer {
	struct transfer_settings settings;
	struct transfer_io io;
	enum phase phase;
	bool has_zone;
	struct zone_soa soa;
	int64_t checked_us;   /* wall */
	int64_t failing_us;   /* wall: since when no look has ended well; 0: the last one did */
	int64_t due_us;       /* mono: of the next look, or of the deadline of what is under way */
	int64_t whole_due_us; /* mono: when the answer has to be there */
	int64_t looked_us;    /* mono: when the last look began */
	unsigned first_retry_s;
	/* The look under way. */
	size_t first, tried; /* the primary it began with; how many had their turn */
	bool forced, again;  /* older serials are taken; something asked for another look */
	bool force_again;
	bool whole;         /* no changes are asked for */
	bool must_be_whole; /* what came last is in the copy and could not be put into force */
	int64_t began_us;   /* mono: the answer */
	struct zone_stream stream;
	bool streaming;
	uint8_t *message;       /* with its length in front */
	size_t have;            /* octets of it */
	uint64_t octets;        /* of the answer */
	struct zone_soa coming; /* while it is being put into force */
	struct transfer_status status;
};

bool transfer_is_expired(const struct transfer *transfer, const struct now *now)
{
	int64_t expire_s = transfer->soa.expire_s;

	if (!transfer->has_zone)
		return false;
	if (expire_s > TRANSFER_EXPIRE_MAX_S)
		expire_s = TRANSFER_EXPIRE_MAX_S;
	return now->wall_us - transfer->checked_us > expire_s * US_PER_S;
}

/* --- when --- */

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
	return value < min ? min : value > max ? max : value;
}

/* A tenth less at most, so that many who began together do not go on together. */
static int64_t spread_us(struct transfer *transfer, int64_t time_s)
{
	int64_t most_ms = time_s * 100;

	return time_s * US_PER_S -
	       (int64_t)transfer->io.random(transfer->io.context, (uint32_t)most_ms + 1) *
		       US_PER_MS;
}

static int64_t refresh_s(const struct transfer *transfer)
{
	return clamp(transfer->soa.refresh_s, TRANSFER_REFRESH_MIN_S, TRANSFER_REFRESH_MAX_S);
}

/* Never longer than the zone wants to be looked at anyway. */
static int64_t retry_s(struct transfer *transfer)
{
	int64_t retry_s;

	if (transfer->has_zone) {
		retry_s = clamp(transfer->soa.retry_s, TRANSFER_RETRY_MIN_S, TRANSFER_RETRY_MAX_S);
		return retry_s < refresh_s(transfer) ? retry_s : refresh_s(transfer);
	}
	retry_s = transfer->first_retry_s;
	transfer->first_retry_s =
		(unsigned)clamp(2 * retry_s, TRANSFER_FIRST_RETRY_S, TRANSFER_FIRST_RETRY_MAX_S);
	return retry_s;
}

static void hang_up(struct transfer *transfer)
{
	transfer->io.close(transfer->io.context);
	if (transfer->streaming)
		stream_end(&transfer->stream);
	transfer->streaming = false;
	transfer->have = 0;
	free(transfer->message);
	transfer->message = NULL;
}

/* The look is over; the next one is due in so many seconds, or soon. */
static void rest(struct transfer *transfer, int64_t wait_s, const struct now *now)
{
	hang_up(transfer);
	transfer->phase = PHASE_IDLE;
	transfer->due_us = now->mono_us + spread_us(transfer, wait_s);
	if (transfer->again && transfer->due_us > transfer->looked_us + TRANSFER_NOTIFY_GAP_US) {
		transfer->due_us = transfer->looked_us + TRANSFER_NOTIFY_GAP_US;
		transfer->tried = 0;
	}
	transfer->forced = transfer->force_again;
	transfer->again = transfer->force_again = false;
}

/* --- a look --- */

static const struct endpoint *primary(const struct transfer *transfer)
{
	const struct transfer_settings *settings = &transfer->settings;

	return &settings->primaries[(transfer->first + transfer->tried) % settings->primary_count];
}

static void note(struct transfer *transfer, const char *what, const char *why)
{
	char from[ENDPOINT_TEXT_MAX];

	snprintf(transfer->status.error, sizeof transfer->status.error, "%s: %s%s%s",
		endpoint_to_text(primary(transfer), from), what, why ? ": " : "", why ? why : "");
}

static void call(struct transfer *transfer, const struct now *now);

/* This primary has had its turn. */
static void fail(
	struct transfer *transfer, const char *what, const char *why, const struct now *now)
{
	note(transfer, what, why);
	transfer->io.abort(transfer->io.context);
	hang_up(transfer);
	transfer->whole = false;
	if (++transfer->tried < transfer->settings.primary_count) {
		call(transfer, now);
		return;
	}
	transfer->status.failures++;
	if (!transfer->failing_us)
		transfer->failing_us = now->wall_us;
	transfer->first = 0;
	rest(transfer, retry_s(transfer), now);
}

/* The same primary once more, for the zone whole. */
static void fall_back(struct transfer *transfer, const char *why, const struct now *now)
{
	transfer->io.abort(transfer->io.context);
	hang_up(transfer);
	note(transfer, "IXFR", why);
	transfer->whole = true;
	call(transfer, now);
}

static void call(struct transfer *transfer, const struct now *now)
{
	const char *why;

	transfer->phase = PHASE_CONNECTING;
	transfer->due_us = now->mono_us + TRANSFER_CONNECT_US;
	why = transfer->io.connect(transfer->io.context, primary(transfer));
	if (why)
		fail(transfer, "cannot be connected", why, now);
}

static void look(struct transfer *transfer, const struct now *now)
{
	transfer->tried = 0;
	transfer->whole = false;
	transfer->looked_us = now->mono_us;
	transfer->status.checks++;
	call(transfer, now);
}

static bool ask(struct transfer *transfer, enum stream_kind kind, const struct now *now)
{
	const struct transfer_settings *settings = &transfer->settings;
	uint8_t octets[2 + STREAM_QUESTION_MAX];
	uint16_t id = (uint16_t)transfer->io.random(transfer->io.context, 65536);
	size_t length;

	if (transfer->streaming)
		stream_end(&transfer->stream);
	length = stream_begin(&transfer->stream, kind, &settings->apex, id, transfer->soa.serial,
		settings->has_key ? &settings->key : NULL, (uint64_t)(now->wall_us / US_PER_S),
		octets + 2);
	transfer->streaming = true;
	if (length == 0)
		return false;
	wire_put_u16(octets, sizeof octets, 0, (uint16_t)length);
	transfer->phase = kind == STREAM_SOA ? PHASE_ASKING : PHASE_RECEIVING;
	transfer->began_us = now->mono_us;
	transfer->due_us = now->mono_us + TRANSFER_MESSAGE_US;
	transfer->whole_due_us = now->mono_us + TRANSFER_WHOLE_US;
	transfer->octets = 0;
	transfer->io.send(transfer->io.context, octets, length + 2);
	return true;
}

static void ask_or_fail(struct transfer *transfer, enum stream_kind kind, const struct now *now)
{
	if (!ask(transfer, kind, now))
		fail(transfer, transfer->stream.why, NULL, now);
}

static void ask_for_zone(struct transfer *transfer, const struct now *now)
{
	bool changes = transfer->has_zone && !transfer->whole && !transfer->must_be_whole &&
		       transfer->io.takes_changes(transfer->io.context) &&
		       serial_is_later(transfer->stream.soa.serial, transfer->soa.serial);

	ask_or_fail(transfer, changes ? STREAM_IXFR : STREAM_AXFR, now);
}

/* Our zone is the primary's. */
static void confirm(struct transfer *transfer, const struct now *now)
{
	transfer->checked_us = now->wall_us;
	transfer->failing_us = 0;
	transfer->first = 0;
	transfer->status.error[0] = '\0';
	transfer->io.checked(transfer->io.context, now);
	rest(transfer, refresh_s(transfer), now);
}

static void compare(struct transfer *transfer, const struct now *now)
{
	uint32_t theirs = transfer->stream.soa.serial, ours = transfer->soa.serial;
	char words[80];

	if (!transfer->stream.authoritative) {
		fail(transfer, "it is no authority for the zone", NULL, now);
	} else if (!transfer->has_zone || serial_is_later(theirs, ours) ||
		   (theirs == ours && transfer->must_be_whole) ||
		   (theirs != ours && transfer->forced)) {
		ask_for_zone(transfer, now);
	} else if (theirs == ours) {
		confirm(transfer, now);
	} else {
		snprintf(words, sizeof words, "its serial %u is older than ours, %u", theirs, ours);
		fail(transfer, words, NULL, now);
	}
}

/* --- the answer --- */

static void keep_soa(struct transfer *transfer)
{
	struct transfer_status *status = &transfer->status;

	transfer->coming = transfer->stream.soa;
	status->primary = *primary(transfer);
	status->octets = transfer->octets;
	status->records = transfer->stream.records;
	status->outside = transfer->stream.outside;
}

static void arrived(struct transfer *transfer, enum transfer_form form, const struct now *now)
{
	bool newer = !transfer->has_zone || transfer->forced || transfer->must_be_whole ||
		     serial_is_later(transfer->stream.soa.serial, transfer->soa.serial);

	if (!newer) {
		fail(transfer, "it gave an older zone than it had told of", NULL, now);
		return;
	}
	keep_soa(transfer);
	if (!transfer->io.commit(transfer->io.context, &transfer->coming, now)) {
		fail(transfer, "the zone cannot be kept", transfer->io.why(transfer->io.context),
			now);
		return;
	}
	transfer->status.form = form;
	transfer->status.took_us = now->mono_us - transfer->began_us;
	hang_up(transfer);
	transfer->phase = PHASE_INSTALLING;
	transfer->due_us = now->mono_us + TRANSFER_INSTALL_US;
}

static void refused(struct transfer *transfer, enum stream_result result, const struct now *now)
{
	static const char *const words[] = {
		[STREAM_SOA] = "SOA", [STREAM_AXFR] = "AXFR", [STREAM_IXFR] = "IXFR"};
	enum stream_kind kind = transfer->stream.kind;

	if (result == STREAM_SINK)
		fail(transfer, "the zone cannot be kept", transfer->io.why(transfer->io.context),
			now);
	else if (kind == STREAM_IXFR && result != STREAM_KEY)
		fall_back(transfer, transfer->stream.why, now);
	else
		fail(transfer, words[kind], transfer->stream.why, now);
}

static void take_message(
	struct transfer *transfer, const uint8_t *message, size_t size, const struct now *now)
{
	const struct stream_sink sink = {.context = transfer->io.context,
		.begin = transfer->io.begin,
		.record = transfer->io.record};
	enum stream_result result = stream_take(
		&transfer->stream, message, size, (uint64_t)(now->wall_us / US_PER_S), &sink);

	switch (result) {
	case STREAM_MORE:
		transfer->due_us = now->mono_us + TRANSFER_MESSAGE_US;
		if (transfer->due_us > transfer->whole_due_us)
			transfer->due_us = transfer->whole_due_us;
		break;
	case STREAM_TOLD:
		if (transfer->stream.kind == STREAM_SOA)
			compare(transfer, now);
		else
			fall_back(transfer, "nothing newer than what the SOA told of", now);
		break;
	case STREAM_WHOLE:
		arrived(transfer, FORM_AXFR, now);
		break;
	case STREAM_CHANGED:
		arrived(transfer, FORM_IXFR, now);
		break;
	default:
		refused(transfer, result, now);
	}
}

static bool is_open(const struct transfer *transfer)
{
	return transfer->phase == PHASE_ASKING || transfer->phase == PHASE_RECEIVING;
}

static size_t message_needs(const struct transfer *transfer)
{
	if (transfer->have < 2)
		return 2;
	return 2 + (size_t)(transfer->message[0] << 8 | transfer->message[1]);
}

void transfer_input(
	struct transfer *transfer, const uint8_t *octets, size_t size, const struct now *now)
{
	if (is_open(transfer) && !transfer->message)
		transfer->message = malloc(2 + DNS_MESSAGE_MAX);
	if (is_open(transfer) && !transfer->message)
		fail(transfer, "out of memory", NULL, now);
	while (size > 0 && is_open(transfer)) {
		size_t needs = message_needs(transfer), take = needs - transfer->have;
		take = take < size ? take : size;
		memcpy(transfer->message + transfer->have, octets, take);
		transfer->have += take;
		transfer->octets += take;
		octets += take;
		size -= take;
		if (transfer->octets > transfer->settings.octets_max) {
			fail(transfer, "the zone is larger than zone-transfer-max", NULL, now);
		} else if (transfer->have >= 2 && transfer->have == message_needs(transfer)) {
			transfer->have = 0;
			take_message(transfer, transfer->message + 2, needs - 2, now);
		}
	}
}

/* --- the rest of what happens --- */

void transfer_connected(struct transfer *transfer, const struct now *now)
{
	if (transfer->phase != PHASE_CONNECTING)
		return;
	if (transfer->whole)
		ask_or_fail(transfer, STREAM_AXFR, now);
	else
		ask_or_fail(transfer, STREAM_SOA, now);
}

void transfer_lost(struct transfer *transfer, const char *why, const struct now *now)
{
	if (transfer->phase == PHASE_CONNECTING)
		fail(transfer, "cannot be connected", why, now);
	else if (transfer->phase == PHASE_RECEIVING && transfer->stream.kind == STREAM_IXFR)
		fall_back(transfer, why, now);
	else if (is_open(transfer))
		fail(transfer, "the connection ended in the middle", why, now);
}

void transfer_installed(struct transfer *transfer, const char *why, const struct now *now)
{
	struct transfer_status *status = &transfer->status;

	if (transfer->phase != PHASE_INSTALLING)
		return;
	if (why) {
		/* The copy is ahead of what is in force: changes to either would meet the other. */
		transfer->must_be_whole = true;
		transfer->again = status->form == FORM_IXFR;
		fail(transfer, "the zone cannot be put into force", why, now);
		return;
	}
	transfer->soa = transfer->coming;
	transfer->has_zone = true;
	transfer->must_be_whole = false;
	transfer->first_retry_s = TRANSFER_FIRST_RETRY_S;
	status->transfers++;
	status->done_us = now->wall_us;
	confirm(transfer, now);
}

static void soon(struct transfer *transfer, const struct now *now)
{
	int64_t at_us = transfer->looked_us + TRANSFER_NOTIFY_GAP_US;

	if (transfer->phase != PHASE_IDLE) {
		transfer->again = true;
		return;
	}
	at_us = at_us > now->mono_us ? at_us : now->mono_us;
	if (at_us < transfer->due_us)
		transfer->due_us = at_us;
}

void transfer_notify(struct transfer *transfer, const struct address *from, const struct now *now)
{
	const struct transfer_settings *settings = &transfer->settings;

	transfer->status.notifies++;
	soon(transfer, now);
	if (transfer->phase != PHASE_IDLE)
		return;
	for (size_t i = settings->primary_count; i-- > 0;)
		if (address_equal(&settings->primaries[i].address, from))
			transfer->first = i;
}

void transfer_refresh(struct transfer *transfer, const struct now *now)
{
	if (transfer->phase == PHASE_IDLE)
		transfer->forced = true;
	else
		transfer->force_again = true;
	soon(transfer, now);
	if (transfer->phase == PHASE_IDLE)
		transfer->due_us = now->mono_us;
}

int64_t transfer_next_due(const struct transfer *transfer)
{
	return transfer->due_us;
}

void transfer_tick(struct transfer *transfer, const struct now *now)
{
	if (now->mono_us < transfer->due_us)
		return;
	switch (transfer->phase) {
	case PHASE_IDLE:
		look(transfer, now);
		break;
	case PHASE_CONNECTING:
		fail(transfer, "cannot be connected", "no answer in time", now);
		break;
	case PHASE_ASKING:
	case PHASE_RECEIVING:
		transfer_lost(transfer, "no answer in time", now);
		break;
	case PHASE_INSTALLING:
		transfer_installed(transfer, "it was not compiled in time", now);
		break;
	}
}

/* --- what is known --- */

const char *transfer_state_name(enum transfer_state state)
{
	static const char *const names[] = {[TRANSFER_NEVER] = "never",
		[TRANSFER_CURRENT] = "current",
		[TRANSFER_REFRESHING] = "refreshing",
		[TRANSFER_RETRYING] = "retrying",
		[TRANSFER_EXPIRED] = "expired"};

	return names[state];
}

static enum transfer_state state_of(const struct transfer *transfer, const struct now *now)
{
	if (transfer_is_expired(transfer, now))
		return TRANSFER_EXPIRED;
	if (transfer->phase != PHASE_IDLE)
		return TRANSFER_REFRESHING;
	if (transfer->failing_us)
		return TRANSFER_RETRYING;
	return transfer->has_zone ? TRANSFER_CURRENT : TRANSFER_NEVER;
}

void transfer_status(
	const struct transfer *transfer, const struct now *now, struct transfer_status *out)
{
	*out = transfer->status;
	out->state = state_of(transfer, now);
	out->has_zone = transfer->has_zone;
	out->soa = transfer->soa;
	out->checked_us = transfer->checked_us;
	out->since_us = transfer->failing_us;
	if (out->state == TRANSFER_EXPIRED)
		out->since_us = transfer->checked_us +
				clamp(transfer->soa.expire_s, 0, TRANSFER_EXPIRE_MAX_S) * US_PER_S;
	if (transfer->phase == PHASE_IDLE)
		out->due_us = now->wall_us + transfer->due_us - now->mono_us;
	else
		out->primary = *primary(transfer);
}

struct transfer *transfer_new(const struct transfer_settings *settings,
	const struct transfer_io *io, const struct zone_soa *have, int64_t checked_s,
	const struct now *now)
{
	struct transfer *transfer = calloc(1, sizeof *transfer);

	if (!transfer)
		return NULL;
	transfer->settings = *settings;
	transfer->io = *io;
	transfer->first_retry_s = TRANSFER_FIRST_RETRY_S;
	transfer->due_us = now->mono_us;
	transfer->looked_us = now->mono_us - TRANSFER_NOTIFY_GAP_US;
	if (!have)
		return transfer;
	transfer->has_zone = true;
	transfer->soa = *have;
	/* A clock that was ahead once does not make the zone good for longer. */
	transfer->checked_us = checked_s * US_PER_S;
	if (transfer->checked_us > now->wall_us)
		transfer->checked_us = now->wall_us;
	return transfer;
}

void transfer_free(struct transfer *transfer)
{
	if (!transfer)
		return;
	transfer->io.abort(transfer->io.context);
	hang_up(transfer);
	explicit_bzero(transfer->settings.key.secret, sizeof transfer->settings.key.secret);
	free(transfer);
}
