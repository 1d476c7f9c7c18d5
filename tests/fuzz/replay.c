/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Feeds a fuzz target without libFuzzer, so that every build replays what was once found: the seeds
 * of the target, files and folders given as arguments, and the shared seeds and captures that lie
 * beside the source tree, when they do. Of a capture every UDP payload of DNS, and every one from
 * a Teredo server, is an input, and the file itself too.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/strbuf.h"
#include "lib/dns/wire.h"
#include "tests/fuzz/fuzz.h"

#define DEPTH_MAX 8

static unsigned inputs;

/* From a copy of exactly the size, so that a sanitizer sees one octet too far. */
static void feed(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	FUZZ_CHECK(copy);
	if (size)
		memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	inputs++;
}

/* Little-endian or big-endian, as the capture's first four octets say. */
static uint32_t pcap_u32(struct wire_reader *reader, bool swapped)
{
	uint32_t value = wire_read_u32(reader);
	return swapped ? __builtin_bswap32(value) : value;
}

static bool is_wanted(uint16_t source, uint16_t destination)
{
	return source == 53 || destination == 53 || source == 5353 || source == 3544;
}

static void feed_udp(struct wire_reader packet)
{
	uint16_t source = wire_read_u16(&packet), destination = wire_read_u16(&packet);
	wire_read_u32(&packet); /* length and checksum */
	if (packet.error == TD_OK && is_wanted(source, destination))
		feed(packet.data + packet.position, wire_left(&packet));
}

static void feed_ip(struct wire_reader packet)
{
	const uint8_t *start = wire_read_bytes(&packet, 0);
	uint8_t first = wire_read_u8(&packet);
	size_t header = first >> 4 == 4 ? (size_t)(first & 0xf) * 4 : 40;
	if (packet.error != TD_OK || (first >> 4 != 4 && first >> 4 != 6) ||
		wire_left(&packet) + 1 < header || header < 20)
		return;
	if (start[first >> 4 == 4 ? 9 : 6] != 17)
		return;
	wire_read_bytes(&packet, header - 1);
	feed_udp(packet);
}

/* Steps over the link layer: Ethernet with VLAN tags, raw IP, BSD loopback or Linux cooked. */
static void feed_frame(uint32_t link_type, struct wire_reader frame)
{
	switch (link_type) {
	case 1:
		wire_read_bytes(&frame, 12);
		while (wire_read_u16(&frame) == 0x8100)
			wire_read_u16(&frame);
		break;
	case 0:
	case 108:
		wire_read_bytes(&frame, 4);
		break;
	case 113:
		wire_read_bytes(&frame, 16);
		break;
	default:
		break;
	}
	feed_ip(frame);
}

static bool feed_capture(const uint8_t *data, size_t size)
{
	struct wire_reader reader = wire_reader_init(data, size);
	uint32_t magic = wire_read_u32(&reader);
	bool swapped = magic == UINT32_C(0xd4c3b2a1) || magic == UINT32_C(0x4d3cb2a1);
	if (!swapped && magic != UINT32_C(0xa1b2c3d4) && magic != UINT32_C(0xa1b23c4d))
		return false;
	wire_read_bytes(&reader, 16);
	uint32_t link_type = pcap_u32(&reader, swapped) & 0xffff;
	while (wire_left(&reader) > 0) {
		wire_read_bytes(&reader, 8);
		uint32_t length = pcap_u32(&reader, swapped);
		wire_read_bytes(&reader, 4);
		const uint8_t *frame = wire_read_bytes(&reader, length);
		if (frame)
			feed_frame(link_type, wire_reader_init(frame, length));
	}
	return true;
}

static void feed_file(const char *path)
{
	struct strbuf content;
	char block[65536];
	size_t got;
	FILE *file = fopen(path, "rb");
	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	strbuf_init(&content);
	while ((got = fread(block, 1, sizeof(block), file)) > 0)
		strbuf_append(&content, block, got);
	fclose(file);
	FUZZ_CHECK(!content.failed);
	feed_capture((const uint8_t *)content.data, content.length);
	feed((const uint8_t *)content.data, content.length);
	strbuf_deinit(&content);
}

static void feed_path(const char *path, int depth)
{
	struct stat st;
	DIR *folder;
	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
		feed_file(path);
		return;
	}
	if (depth == DEPTH_MAX || !(folder = opendir(path)))
		return;
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		struct strbuf inner;
		if (entry->d_name[0] == '.')
			continue;
		strbuf_init(&inner);
		strbuf_printf(&inner, "%s/%s", path, entry->d_name);
		FUZZ_CHECK(!inner.failed);
		feed_path(inner.data, depth + 1);
		strbuf_deinit(&inner);
	}
	closedir(folder);
}

/* A folder below the source tree; says so when it is not there. */
static bool feed_below_source(const char *folder, const char *name)
{
	const char *source = getenv("TEREDOWN_SOURCE");
	struct strbuf path;
	unsigned before = inputs;
	struct stat st;
	strbuf_init(&path);
	strbuf_printf(&path, "%s/%s%s", source ? source : ".", folder, name);
	FUZZ_CHECK(!path.failed);
	bool there = stat(path.data, &st) == 0 && S_ISDIR(st.st_mode);
	if (there) {
		feed_path(path.data, 0);
		printf("%s: %u inputs\n", path.data, inputs - before);
	} else {
		printf("%s: skipped, there is no such folder\n", path.data);
	}
	strbuf_deinit(&path);
	return there;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *target = slash ? slash + 1 : argv[0];
	feed(NULL, 0);
	for (int i = 1; i < argc; i++)
		feed_path(argv[i], 0);
	if (argc > 1)
		return 0;
	bool has_seeds = feed_below_source("tests/fuzz/seeds/", target);
	feed_below_source("../shared/data/", "fuzz-seeds");
	feed_below_source("../shared/data/", "captures");
	printf("%s: %u inputs in all\n", target, inputs);
	return has_seeds ? 0 : 1;
}
