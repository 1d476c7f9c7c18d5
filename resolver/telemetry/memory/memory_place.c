/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /dev/shm is open to everyone: a folder there is used only if it is ours and nobody else can enter
 * it, and every file is opened relative to its descriptor. The lock is a file of its own because
 * the others are replaced.
 */
#include "resolver/telemetry/memory/memory_place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/telemetry/telemetry.h"

#define LOCK_NAME "lock"

static void read_kernel(char out[MEMORY_KERNEL_LENGTH + 1])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd >= 0 ? read(fd, out, MEMORY_KERNEL_LENGTH) : -1;

	memset(out + (length > 0 ? length : 0), '-',
		MEMORY_KERNEL_LENGTH - (size_t)(length > 0 ? length : 0));
	out[MEMORY_KERNEL_LENGTH] = '\0';
	if (fd >= 0)
		close(fd);
}

/* False with errno. */
static bool open_folder(struct memory_place *place)
{
	struct stat status;

	place->dir_fd = open(place->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (place->dir_fd < 0)
		return false;
	if (fstat(place->dir_fd, &status) == 0 && status.st_uid == geteuid() &&
		(status.st_mode & 077) == 0)
		return true;
	close(place->dir_fd);
	place->dir_fd = -1;
	errno = EPERM;
	return false;
}

static bool use(struct memory_place *place, bool make)
{
	if (make && mkdir(place->path, 0700) != 0 && errno != EEXIST)
		return false;
	return open_folder(place);
}

static bool is_tmpfs(const char *path)
{
	struct statfs status;

	return statfs(path, &status) == 0 &&
	       (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC);
}

/* In many a container /run is on a disk, and /dev/shm is not. */
static bool use_auto(struct memory_place *place, const char *instance, bool make)
{
	if (make)
		mkdir(TELEMETRY_RUN_DIR, 0755);
	snprintf(place->path, sizeof(place->path), TELEMETRY_RUN_DIR "/%s", instance);
	if ((!make || is_tmpfs(TELEMETRY_RUN_DIR)) && use(place, make))
		return true;
	if (make && !is_tmpfs(TELEMETRY_RUN_DIR))
		rmdir(TELEMETRY_RUN_DIR);
	snprintf(place->path, sizeof(place->path), "/dev/shm/teredown-%s", instance);
	return use(place, make);
}

static bool find_folder(struct memory_place *place, const char *dir, const char *instance)
{
	if (strcmp(dir, "auto") == 0)
		return use_auto(place, instance, false) || use_auto(place, instance, true);
	int length = snprintf(place->path, sizeof(place->path), "%s/%s", dir, instance);
	errno = ENAMETOOLONG;
	return length > 0 && (size_t)length < sizeof(place->path) && use(place, true);
}

static void warn_of_disk(const struct memory_place *place)
{
	if (!is_tmpfs(place->path))
		log_warning("memory: %s is not on tmpfs: where a disk writes back what is counted "
			    "there, answers may have to wait for it",
			place->path);
}

bool memory_place_open(struct memory_place *place, const char *dir, const char *instance)
{
	*place = (struct memory_place){.dir_fd = -1, .lock_fd = -1};
	if (!find_folder(place, dir, instance)) {
		log_warning("memory: %s: %s; counts are in plain memory, which a crash loses",
			place->path, strerror(errno));
		return false;
	}
	place->lock_fd =
		openat(place->dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (place->lock_fd < 0 || flock(place->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		log_warning("memory: %s: it cannot be locked (%s); counts are in plain memory, "
			    "which a crash loses",
			place->path, strerror(errno));
		memory_place_close(place);
		return false;
	}
	warn_of_disk(place);
	read_kernel(place->kernel);
	return true;
}

void memory_place_close(struct memory_place *place)
{
	if (place->lock_fd >= 0)
		close(place->lock_fd);
	if (place->dir_fd >= 0)
		close(place->dir_fd);
	place->dir_fd = place->lock_fd = -1;
}

void memory_place_empty(const struct memory_place *place)
{
	static const char *const names[] = {MEMORY_LOG_NAME, MEMORY_LOG_NAME ".new",
		MEMORY_TALLIES_NAME, MEMORY_TALLIES_NAME ".new", LOCK_NAME};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(place->dir_fd, names[i], 0);
	rmdir(place->path);
}

void memory_place_set_aside(const struct memory_place *place, const char *name)
{
	char aside[64];

	snprintf(aside, sizeof(aside), "%s.aside", name);
	if (renameat(place->dir_fd, name, place->dir_fd, aside) != 0 && errno != ENOENT)
		unlinkat(place->dir_fd, name, 0);
}
