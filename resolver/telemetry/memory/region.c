/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One file, made whole under another name before it gets its own: whoever finds it finds all of it.
 * posix_fallocate gives every page, because a store to a page that tmpfs has no room for is a
 * SIGBUS, and a store is what a worker does for each query.
 *
 * Rejected: System V shared memory, which nothing removes when a state directory is deleted, and
 * POSIX shm_open, which is a file in /dev/shm without a choice of the place.
 */
#include "resolver/telemetry/memory/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x524d4454u /* "TDMR" */
#define VERSION 2         /* raised when a tally of equal size would mean something else */
#define PAGE ((size_t)4096)
#define TALLIES_OFFSET ((sizeof(struct region_header) + PAGE - 1) & ~(PAGE - 1))
#define NAME_ROOM 64
#define COUNT_MAX 65536

static bool map(struct region *region, int fd, int protection, int flags)
{
	void *block = mmap(NULL, region->size, protection, flags, fd, 0);

	if (block == MAP_FAILED)
		return false;
	region->block = block;
	return true;
}

bool region_open_plain(struct region *region, size_t count)
{
	*region = (struct region){.count = count, .size = count * sizeof(struct tally)};
	if (!map(region, -1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS))
		return false;
	region->tallies = region->block;
	return true;
}

static void fill_header(struct region *region, const char *boot, const char *kernel)
{
	struct region_header *header = region->block;

	region->header = header;
	region->tallies = (void *)((char *)region->block + TALLIES_OFFSET);
	header->magic = MAGIC;
	header->version = VERSION;
	header->tallies_offset = TALLIES_OFFSET;
	header->tally_size = sizeof(struct tally);
	header->tally_count = (uint32_t)region->count;
	header->counters = CLIENT_COUNTER_COUNT;
	snprintf(header->boot, sizeof(header->boot), "%s", boot);
	snprintf(header->kernel, sizeof(header->kernel), "%s", kernel);
}

enum td_error region_create(struct region *region, int dir_fd, const char *name, size_t count,
	const char *boot, const char *kernel)
{
	char making[NAME_ROOM];

	*region = (struct region){
		.count = count, .size = TALLIES_OFFSET + count * sizeof(struct tally)};
	snprintf(making, sizeof(making), "%s.new", name);
	unlinkat(dir_fd, making, 0);
	int fd = openat(dir_fd, making, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return TD_IO;
	int error = posix_fallocate(fd, 0, (off_t)region->size);
	if (error == 0 && !map(region, fd, PROT_READ | PROT_WRITE, MAP_SHARED))
		error = errno;
	if (error == 0) {
		fill_header(region, boot, kernel);
		if (renameat(dir_fd, making, dir_fd, name) != 0)
			error = errno;
	}
	close(fd);
	if (error == 0)
		return TD_OK;
	region_close(region);
	unlinkat(dir_fd, making, 0);
	errno = error;
	return TD_IO;
}

/* The first word of a tally is its number of queries in every layout. */
static uint64_t count_lost(const struct region *region, const struct region_header *header)
{
	uint64_t lost = 0, queries;

	if (header->tally_size < sizeof(queries) || header->tally_count > COUNT_MAX)
		return 0;
	for (size_t i = 0; i < header->tally_count; i++) {
		size_t at = header->tallies_offset + i * header->tally_size;
		if (at > region->size || region->size - at < sizeof(queries))
			break;
		memcpy(&queries, (const char *)region->block + at, sizeof(queries));
		lost += queries;
	}
	return lost;
}

static enum td_error check(struct region *region, uint64_t *lost)
{
	struct region_header *header = region->block;

	if (region->size < PAGE || header->magic != MAGIC)
		return TD_MALFORMED;
	if (header->version != VERSION || header->tallies_offset != TALLIES_OFFSET ||
		header->tally_size != sizeof(struct tally) ||
		header->counters != CLIENT_COUNTER_COUNT) {
		*lost = count_lost(region, header);
		return TD_UNSUPPORTED;
	}
	if (header->tally_count > COUNT_MAX ||
		region->size < TALLIES_OFFSET + header->tally_count * sizeof(struct tally))
		return TD_MALFORMED;
	header->boot[REGION_ID_SIZE - 1] = '\0';
	header->kernel[REGION_KERNEL_SIZE - 1] = '\0';
	for (size_t i = 0; i < ZONE_IDS_MAX; i++)
		header->zones[i][ZONE_IDS_NAME_SIZE - 1] = '\0';
	region->header = header;
	region->count = header->tally_count;
	region->tallies = (void *)((char *)region->block + TALLIES_OFFSET);
	return TD_OK;
}

enum td_error region_read(struct region *region, int dir_fd, const char *name, uint64_t *lost)
{
	struct stat status;
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	*region = (struct region){0};
	*lost = 0;
	if (fd < 0)
		return errno == ENOENT ? TD_NOT_FOUND : TD_IO;
	enum td_error error = TD_IO;
	if (fstat(fd, &status) == 0) {
		region->size = (size_t)status.st_size;
		if (region->size < PAGE)
			error = TD_MALFORMED;
		else if (map(region, fd, PROT_READ | PROT_WRITE, MAP_PRIVATE))
			error = check(region, lost);
	}
	int saved = errno;
	close(fd);
	if (error != TD_OK)
		region_close(region);
	errno = saved;
	return error;
}

void region_close(struct region *region)
{
	if (region->block)
		munmap(region->block, region->size);
	*region = (struct region){0};
}
