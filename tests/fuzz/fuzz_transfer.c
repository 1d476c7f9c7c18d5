/* SPDX-License-Identifier: BSD-3-Clause */
/* What primaries send: an answer in messages, each behind its length, a NOTIFY, a signature. */
#include <string.h>

#include "lib/dns/tsig.h"
#include "resolver/notify.h"
#include "resolver/transfer_stream.h"
#include "tests/fuzz/fuzz.h"

static const struct name apex = {.length = 13, .wire = "\003rpz\007example"};

struct heard {
	bool begun, whole;
};

static bool on_begin(void *context, bool whole)
{
	struct heard *heard = context;

	FUZZ_CHECK(!heard->begun);
	*heard = (struct heard){true, whole};
	return true;
}

static bool on_record(void *context, bool removed, const struct zone_record *record)
{
	struct heard *heard = context;
	struct name owner = {.length = record->owner_length};

	FUZZ_CHECK(heard->begun && !(heard->whole && removed));
	FUZZ_CHECK(name_wire_length(record->owner, record->owner_length) == record->owner_length);
	memcpy(owner.wire, record->owner, record->owner_length);
	FUZZ_CHECK(name_is_within(&owner, &apex));
	if (record->type == 5 /* CNAME */)
		FUZZ_CHECK(name_wire_length(record->rdata, record->rdata_length) ==
			   record->rdata_length);
	if (record->type == 1 /* A */)
		FUZZ_CHECK(record->rdata_length == 4);
	return true;
}

static struct tsig_key key_of(void)
{
	return (struct tsig_key){.name = {.length = 6, .wire = "\004feed"},
		.algorithm = TSIG_SHA256,
		.secret_length = 6,
		.secret = "secret"};
}

/* A message that we signed is good, whatever is in it, as long as it is one. */
static void check_signature(const uint8_t *message, size_t size)
{
	const struct tsig_key key = key_of();
	uint8_t copy[70000];
	struct tsig_check check = tsig_verify(&key, message, size, NULL, 1700000000);
	size_t length = size;

	FUZZ_CHECK(check.result != TSIG_GOOD || check.length < size);
	if (check.result != TSIG_MISSING || size + TSIG_RECORD_MAX > sizeof(copy))
		return;
	memcpy(copy, message, size);
	if (tsig_sign(&key, copy, &length, sizeof(copy), NULL, 1700000000, 1700000000, 0, NULL))
		return;
	check = tsig_verify(&key, copy, length, NULL, 1700000000);
	/* Behind octets that belong to no record it is not found, or its name is another. */
	FUZZ_CHECK(check.result != TSIG_WRONG && check.result != TSIG_TRUNCATED &&
		   check.result != TSIG_OTHER_TIME);
}

static void check_notify(const uint8_t *packet, size_t size)
{
	static struct notify_zones *zones;
	struct notify_box box = {.wake_fd = -1};
	const uint8_t octets[4] = {192, 0, 2, 1};
	const struct address from = address_v4(octets);
	enum notify_result result;
	uint8_t reply[1232];

	if (!zones)
		zones = calloc(1, sizeof(*zones) + sizeof(zones->zones[0]));
	FUZZ_CHECK(zones);
	zones->count = 1;
	zones->zones[0].apex = apex;
	zones->zones[0].primaries[0] = from;
	zones->zones[0].primary_count = 1;
	size_t length = notify_answer(
		zones, &box, packet, size, &from, 1700000000, reply, sizeof(reply), &result);
	FUZZ_CHECK(length <= size && length <= sizeof(reply));
	FUZZ_CHECK((result == NOTIFY_TAKEN) == (box.heard[0] == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t question[STREAM_QUESTION_MAX];
	enum stream_result result = STREAM_MORE;
	struct heard heard = {0};
	const struct stream_sink sink = {&heard, on_begin, on_record};
	const struct tsig_key key = key_of();
	struct zone_stream stream;

	if (size < 2)
		return 0;
	stream_begin(&stream, (enum stream_kind)(data[0] % 3), &apex, 77, data[1],
		data[0] & 0x80 ? &key : NULL, 1700000000, question);
	for (data += 2, size -= 2; size >= 2 && result == STREAM_MORE;) {
		size_t length = (size_t)(data[0] << 8 | data[1]);
		length = length < size - 2 ? length : size - 2;
		check_signature(data + 2, length);
		check_notify(data + 2, length);
		result = stream_take(&stream, data + 2, length, 1700000000, &sink);
		data += 2 + length;
		size -= 2 + length;
	}
	FUZZ_CHECK(result != STREAM_CHANGED || (heard.begun && !heard.whole));
	FUZZ_CHECK(result != STREAM_WHOLE || (heard.begun && heard.whole));
	stream_end(&stream);
	return 0;
}
