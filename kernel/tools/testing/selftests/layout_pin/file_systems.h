/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The file systems that the tests run on: how each is made and checked, on
 * which device, where it is mounted, and what it has that others do not. To
 * add one, add a row here, and a kind of it where programs list theirs, as the
 * fixture of most does in layout_pin_fixture.h.
 *
 * What is of one file system by nature, as an ioctl, stays with its test.
 */
#ifndef LAYOUT_PIN_FILE_SYSTEMS_H
#define LAYOUT_PIN_FILE_SYSTEMS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As kselftest.h has it, which not every user of this file includes. */
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(arr) (sizeof(arr) / sizeof((arr)[0]))
#endif

struct file_system {
	const char *name;	/* for mount(2), and in the names of tests */
	const char *device;
	const char *dir;	/* where it is mounted */
	const char *mkfs;	/* of whatever size and options */
	const char *aligned;	/* of mkfs: to allocate 2 MiB aligned */
	const char *fsck;	/* looks, and repairs nothing */
	const char *quota;	/* of mount: with DAX, and quota for users */
	bool shares_blocks;	/* among files: it has reflink */
};

static const struct file_system file_systems[] = {
	{
		.name = "ext4",
		.device = "/dev/pmem0",
		.dir = "/mnt/layout_ext4",
		.mkfs = "mkfs.ext4 -q -b 4096 -F",
		.aligned = "-E stride=512,stripe_width=512",
		.fsck = "e2fsck -fn",
		.quota = "dax,usrquota",
	},
	{
		.name = "xfs",
		.device = "/dev/pmem1",
		.dir = "/mnt/layout_xfs",
		.mkfs = "mkfs.xfs -q -f",
		.aligned = "-d su=2m,sw=1",
		.fsck = "xfs_repair -n",
		.quota = "dax,uquota",
		.shares_blocks = true,
	},
};

/* The row of that name. A name without one is a mistake in the test. */
static inline const struct file_system *fs_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(file_systems); i++)
		if (!strcmp(file_systems[i].name, name))
			return &file_systems[i];
	fprintf(stderr, "no file system '%s' in file_systems.h\n", name);
	abort();
}

/* Make one. What follows is said to mkfs, in this order, unless it is "". */
#define fs_make(fs, ...)						\
	fs_make_with(fs, (const char * const []){ __VA_ARGS__, NULL })

static inline int fs_make_with(const struct file_system *fs,
			       const char * const *words)
{
	char command[256];
	size_t at = snprintf(command, sizeof(command), "%s", fs->mkfs);

	for (; *words && at < sizeof(command); words++)
		if (**words)
			at += snprintf(command + at, sizeof(command) - at,
				       " %s", *words);
	return at < sizeof(command) ? system(command) : -1;
}

/* Not 0 if its checker has something to say, which goes to a file. */
static inline int fs_check(const struct file_system *fs, const char *output)
{
	char command[128];

	snprintf(command, sizeof(command), "%s %s >%s 2>&1", fs->fsck,
		 fs->device, output);
	return system(command);
}

/*
 * While there is this file, the device has the usual file system, as the tests
 * of most programs share it.
 */
static inline const char *fs_made(const struct file_system *fs, char *path,
				  size_t size)
{
	snprintf(path, size, "/tmp/layout_pin.%s", fs->name);
	return path;
}

static inline bool fs_is_made(const struct file_system *fs)
{
	char path[64];

	return !access(fs_made(fs, path, sizeof(path)), F_OK);
}

/*
 * The device has, or will have, something else on it: the next test that wants
 * the usual file system makes it anew.
 */
static inline void make_anew_later(const char *device)
{
	char path[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(file_systems); i++)
		if (!strcmp(file_systems[i].device, device))
			unlink(fs_made(&file_systems[i], path, sizeof(path)));
}

/* It is there now, and what else was on the device is not. */
static inline void fs_set_made(const struct file_system *fs)
{
	char path[64];

	make_anew_later(fs->device);
	close(open(fs_made(fs, path, sizeof(path)), O_CREAT | O_WRONLY, 0600));
	mkdir(fs->dir, 0755);
}

#endif /* LAYOUT_PIN_FILE_SYSTEMS_H */
