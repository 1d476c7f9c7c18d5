/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing and opening copies. Records go through one small buffer straight into the file: a zone
 * that arrives costs memory for nothing but that. Kept in memory it would stand there beside the
 * old rules and the new ones, and be written afterwards all the same.
 *
 * When a zone was last known to be current is the file's time of modification, so a check that
 * finds nothing new writes nothing.
 */
#include "resolver/transfer_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/crc32c.h"
#include "lib/dns/wire.h"
#include "resolver/transfer_copy_private.h"

#define BUFFER_SIZE 65536
#define CHANGES_FREE (UINT64_C(1) << 16) /* octets of changes that are always cheaper to keep */

struct zone_copy {
	char *path, *part_path;
	struct name apex;
	int fd;             /* -1: there is no copy */
	uint64_t unsettled; /* the version that is in the part file still; 0: none is */
	struct copy_segment segments[COPY_SEGMENTS_MAX];
	size_t count;
	/* The segment that is being written. */
	bool writing;
	int out; /* fd, or the part file's */
	struct copy_segment segment;
	uint32_t crc;
	uint8_t buffer[BUFFER_SIZE];
	size_t buffered;
	char why[COPY_WHY_SIZE];
};

static uint64_t last_version = COPY_VERSION_EMPTY; /* main thread */

static bool fail(struct zone_copy *copy, const char *what)
{
	snprintf(copy->why, sizeof copy->why, "%s: %s: %s", copy->path, what, strerror(errno));
	return false;
}

/* --- octets --- */

static bool write_all(int fd, const uint8_t *octets, size_t size, uint64_t offset)
{
	while (size > 0) {
		ssize_t done = pwrite(fd, octets, size, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		octets += done;
		size -= (size_t)done;
		offset += (uint64_t)done;
	}
	return true;
}

bool copy_pread(int fd, uint8_t *octets, size_t size, uint64_t offset)
{
	while (size > 0) {
		ssize_t done = pread(fd, octets, size, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		octets += done;
		size -= (size_t)done;
		offset += (uint64_t)done;
	}
	return true;
}

/* --- heads --- */

static void head_write(const struct name *apex, uint8_t out[COPY_HEAD_SIZE])
{
	struct wire_writer writer = wire_writer_init(out, COPY_HEAD_SIZE);

	memset(out, 0, COPY_HEAD_SIZE);
	wire_write_bytes(&writer, COPY_MAGIC, 8);
	wire_write_u8(&writer, apex->length);
	wire_write_bytes(&writer, apex->wire, apex->length);
	writer.position = COPY_HEAD_SIZE - 4;
	wire_write_u32(&writer, crc32c(0, out, COPY_HEAD_SIZE - 4));
}

static void segment_write(
	const struct copy_segment *segment, uint32_t crc, uint8_t out[SEGMENT_HEAD_SIZE])
{
	struct wire_writer writer = wire_writer_init(out, SEGMENT_HEAD_SIZE);

	wire_write_u32(&writer, SEGMENT_MAGIC);
	wire_write_u32(&writer, segment->whole);
	wire_write_u32(&writer, segment->from);
	wire_write_u32(&writer, segment->soa.serial);
	wire_write_u32(&writer, segment->soa.refresh_s);
	wire_write_u32(&writer, segment->soa.retry_s);
	wire_write_u32(&writer, segment->soa.expire_s);
	wire_write_u32(&writer, segment->soa.minimum_s);
	wire_write_u64(&writer, segment->records);
	wire_write_u64(&writer, segment->length);
	wire_write_u32(&writer, crc);
	wire_write_u32(&writer, crc32c(0, out, SEGMENT_HEAD_SIZE - 4));
}

/* Of the octets of a head. False: they are none. */
static bool segment_parse(
	const uint8_t in[SEGMENT_HEAD_SIZE], struct copy_segment *out, uint32_t *crc)
{
	struct wire_reader reader = wire_reader_init(in, SEGMENT_HEAD_SIZE);
	bool magic = wire_read_u32(&reader) == SEGMENT_MAGIC;

	out->whole = wire_read_u32(&reader);
	out->from = wire_read_u32(&reader);
	out->soa.serial = wire_read_u32(&reader);
	out->soa.refresh_s = wire_read_u32(&reader);
	out->soa.retry_s = wire_read_u32(&reader);
	out->soa.expire_s = wire_read_u32(&reader);
	out->soa.minimum_s = wire_read_u32(&reader);
	out->records = wire_read_u64(&reader);
	out->length = wire_read_u64(&reader);
	*crc = wire_read_u32(&reader);
	return magic && wire_read_u32(&reader) == crc32c(0, in, SEGMENT_HEAD_SIZE - 4);
}

/* --- opening --- */

static bool octets_are_whole(int fd, const struct copy_segment *segment, uint32_t expected)
{
	uint8_t *buffer = malloc(BUFFER_SIZE);
	uint64_t done = 0;
	uint32_t crc = 0;
	bool good = buffer != NULL;

	while (good && done < segment->length) {
		size_t size = segment->length - done < BUFFER_SIZE
				      ? (size_t)(segment->length - done)
				      : BUFFER_SIZE;
		good = copy_pread(fd, buffer, size, segment->offset + done);
		if (good)
			crc = crc32c(crc, buffer, size);
		done += size;
	}
	free(buffer);
	return good && crc == expected;
}

/* The segment whose head stands at offset, behind those known. */
static bool segment_load(struct zone_copy *copy, int fd, uint64_t offset, uint64_t size)
{
	struct copy_segment segment = {.offset = offset + SEGMENT_HEAD_SIZE};
	const struct copy_segment *before = copy->count ? &copy->segments[copy->count - 1] : NULL;
	uint8_t head[SEGMENT_HEAD_SIZE];
	uint32_t crc;

	if (copy->count == COPY_SEGMENTS_MAX || size - offset < SEGMENT_HEAD_SIZE ||
		!copy_pread(fd, head, sizeof head, offset) || !segment_parse(head, &segment, &crc))
		return false;
	if (segment.length > size - segment.offset || segment.whole != !before ||
		(before && segment.from != before->soa.serial))
		return false;
	if (!octets_are_whole(fd, &segment, crc))
		return false;
	segment.version = ++last_version;
	copy->segments[copy->count++] = segment;
	return true;
}

static uint64_t end_of(const struct zone_copy *copy)
{
	const struct copy_segment *last;

	if (copy->count == 0)
		return COPY_HEAD_SIZE;
	last = &copy->segments[copy->count - 1];
	return last->offset + last->length;
}

/* NULL, or why nothing of it can be used. */
static const char *load(struct zone_copy *copy, int fd, char why[COPY_WHY_SIZE])
{
	uint8_t head[COPY_HEAD_SIZE], expected[COPY_HEAD_SIZE];
	struct stat st;

	head_write(&copy->apex, expected);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return "is not a file";
	if (!copy_pread(fd, head, sizeof head, 0) || memcmp(head, COPY_MAGIC, 8) != 0)
		return "is damaged, or no copy of a zone";
	if (memcmp(head, expected, sizeof head) != 0)
		return "is of another zone";
	while (end_of(copy) < (uint64_t)st.st_size &&
		segment_load(copy, fd, end_of(copy), (uint64_t)st.st_size))
		continue;
	if (copy->count == 0)
		return "is damaged";
	if (end_of(copy) < (uint64_t)st.st_size) {
		snprintf(why, COPY_WHY_SIZE,
			"%s: what stands behind serial %u is damaged and thrown away", copy->path,
			copy->segments[copy->count - 1].soa.serial);
		if (ftruncate(fd, (off_t)end_of(copy)) != 0)
			return "cannot be cut";
	}
	return NULL;
}

static void load_path(struct zone_copy *copy, char why[COPY_WHY_SIZE])
{
	int fd = open(copy->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	const char *words;

	if (fd < 0) {
		if (errno != ENOENT)
			snprintf(why, COPY_WHY_SIZE, "%s: cannot be opened: %s", copy->path,
				strerror(errno));
		return;
	}
	words = load(copy, fd, why);
	if (!words) {
		copy->fd = fd;
		return;
	}
	snprintf(why, COPY_WHY_SIZE, "%s: %s; it is thrown away", copy->path, words);
	copy->count = 0;
	close(fd);
	unlink(copy->path);
}

struct zone_copy *copy_open(
	const char *folder, const char *name, const struct name *apex, char why[COPY_WHY_SIZE])
{
	struct zone_copy *copy = calloc(1, sizeof *copy);

	why[0] = '\0';
	if (!copy)
		return NULL;
	copy->apex = *apex;
	copy->fd = copy->out = -1;
	if (asprintf(&copy->path, "%s/%s.zone", folder, name) < 0)
		copy->path = NULL;
	if (asprintf(&copy->part_path, "%s/%s.part", folder, name) < 0)
		copy->part_path = NULL;
	if (!copy->path || !copy->part_path) {
		copy_close(copy);
		return NULL;
	}
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		snprintf(why, COPY_WHY_SIZE, "%s: %s", folder, strerror(errno));
	unlink(copy->part_path);
	load_path(copy, why);
	return copy;
}

void copy_close(struct zone_copy *copy)
{
	if (!copy)
		return;
	copy_abort(copy);
	if (copy->unsettled)
		unlink(copy->part_path);
	if (copy->fd >= 0)
		close(copy->fd);
	free(copy->path);
	free(copy->part_path);
	free(copy);
}

/* --- what it holds --- */

bool copy_soa(const struct zone_copy *copy, struct zone_soa *soa, int64_t *checked_s)
{
	struct stat st;

	if (copy->fd < 0)
		return false;
	*soa = copy->segments[copy->count - 1].soa;
	*checked_s = fstat(copy->fd, &st) == 0 ? (int64_t)st.st_mtime : 0;
	return true;
}

uint64_t copy_version(const struct zone_copy *copy)
{
	return copy->fd < 0 ? COPY_VERSION_EMPTY : copy->segments[copy->count - 1].version;
}

bool copy_takes_changes(const struct zone_copy *copy)
{
	uint64_t whole = copy->count ? copy->segments[0].length : 0;

	return copy->fd >= 0 && copy->count < COPY_SEGMENTS_MAX &&
	       end_of(copy) - COPY_HEAD_SIZE - SEGMENT_HEAD_SIZE < 2 * whole + CHANGES_FREE;
}

struct copy_snapshot *copy_snapshot(const struct zone_copy *copy)
{
	struct copy_snapshot *snapshot;

	if (copy->fd < 0)
		return NULL;
	snapshot = malloc(sizeof *snapshot + copy->count * sizeof snapshot->segments[0]);
	if (!snapshot)
		return NULL;
	snapshot->fd = fcntl(copy->fd, F_DUPFD_CLOEXEC, 0);
	if (snapshot->fd < 0) {
		free(snapshot);
		return NULL;
	}
	snapshot->apex = copy->apex;
	snapshot->version = copy_version(copy);
	snapshot->count = copy->count;
	memcpy(snapshot->segments, copy->segments, copy->count * sizeof snapshot->segments[0]);
	return snapshot;
}

void copy_snapshot_free(struct copy_snapshot *snapshot)
{
	if (!snapshot)
		return;
	close(snapshot->fd);
	free(snapshot);
}

const char *copy_why(const struct zone_copy *copy)
{
	return copy->why;
}

/* --- writing --- */

static bool flush(struct zone_copy *copy)
{
	uint64_t offset = copy->segment.offset + copy->segment.length;

	if (!write_all(copy->out, copy->buffer, copy->buffered, offset))
		return fail(copy, "cannot be written");
	copy->crc = crc32c(copy->crc, copy->buffer, copy->buffered);
	copy->segment.length += copy->buffered;
	copy->buffered = 0;
	return true;
}

static bool begin_file(struct zone_copy *copy)
{
	uint8_t head[COPY_HEAD_SIZE];

	head_write(&copy->apex, head);
	copy->unsettled = 0; /* what stands there goes, and this must not be put in its place */
	unlink(copy->part_path);
	copy->out = open(copy->part_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (copy->out < 0)
		return fail(copy, "cannot be made");
	return write_all(copy->out, head, sizeof head, 0) || fail(copy, "cannot be written");
}

bool copy_begin(struct zone_copy *copy, bool whole)
{
	copy_abort(copy);
	if (!whole && copy->fd < 0)
		return false;
	copy->segment = (struct copy_segment){.whole = whole,
		.offset = (whole ? COPY_HEAD_SIZE : end_of(copy)) + SEGMENT_HEAD_SIZE,
		.from = whole ? 0 : copy->segments[copy->count - 1].soa.serial};
	copy->buffered = 0;
	copy->crc = 0;
	copy->out = whole ? -1 : copy->fd;
	copy->writing = true;
	return !whole || begin_file(copy);
}

bool copy_add(struct zone_copy *copy, bool removed, const struct zone_record *record)
{
	size_t trigger = (size_t)record->owner_length - copy->apex.length;
	struct wire_writer writer;

	if (trigger == 0) /* the zone's own records are no rules */
		return true;
	if (BUFFER_SIZE - copy->buffered < ENTRY_HEAD_SIZE + NAME_WIRE_MAX && !flush(copy))
		return false;
	writer = wire_writer_init(copy->buffer + copy->buffered, BUFFER_SIZE - copy->buffered);
	wire_write_u8(&writer, removed);
	wire_write_u8(&writer, (uint8_t)trigger);
	wire_write_u16(&writer, record->type);
	wire_write_u32(&writer, record->ttl_s);
	wire_write_u16(&writer, record->rdata_length);
	wire_write_bytes(&writer, record->owner, trigger);
	copy->buffered += writer.position;
	copy->segment.records++;
	if (BUFFER_SIZE - copy->buffered >= record->rdata_length) {
		memcpy(copy->buffer + copy->buffered, record->rdata, record->rdata_length);
		copy->buffered += record->rdata_length;
		return true;
	}
	if (!flush(copy))
		return false;
	memcpy(copy->buffer, record->rdata, record->rdata_length);
	copy->buffered = record->rdata_length;
	return true;
}

bool copy_commit(struct zone_copy *copy, const struct zone_soa *soa, int64_t now_s)
{
	uint8_t head[SEGMENT_HEAD_SIZE];

	if (!copy->writing || !flush(copy))
		return false;
	copy->segment.soa = *soa;
	segment_write(&copy->segment, copy->crc, head);
	if (!write_all(copy->out, head, sizeof head, copy->segment.offset - SEGMENT_HEAD_SIZE))
		return fail(copy, "cannot be written");
	copy->segment.version = ++last_version;
	if (copy->segment.whole) {
		if (copy->fd >= 0)
			close(copy->fd);
		copy->fd = copy->out;
		copy->count = 0;
		copy->unsettled = copy->segment.version;
	}
	copy->segments[copy->count++] = copy->segment;
	copy->out = -1;
	copy->writing = false;
	copy_checked(copy, now_s);
	return true;
}

void copy_abort(struct zone_copy *copy)
{
	if (!copy->writing)
		return;
	copy->writing = false;
	if (!copy->segment.whole) {
		if (ftruncate(copy->fd, (off_t)end_of(copy)) != 0)
			fail(copy, "cannot be cut");
	} else if (copy->out >= 0) {
		close(copy->out);
		unlink(copy->part_path);
	}
	copy->out = -1;
}

void copy_checked(struct zone_copy *copy, int64_t now_s)
{
	const struct timespec times[2] = {{.tv_sec = now_s}, {.tv_sec = now_s}};

	if (copy->fd >= 0 && futimens(copy->fd, times) != 0)
		fail(copy, "its time cannot be set");
}

void copy_settle(struct zone_copy *copy, uint64_t version)
{
	if (!copy->unsettled || version < copy->unsettled)
		return;
	if (rename(copy->part_path, copy->path) != 0)
		fail(copy, "cannot be renamed");
	copy->unsettled = 0;
}
