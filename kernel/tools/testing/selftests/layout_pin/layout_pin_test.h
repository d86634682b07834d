/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of layout leases share: file systems on persistent memory,
 * leases, pins through debugfs/gup_test, and other processes. A "section N of
 * the contract" that a test cites is one of docs/contract.md in the project.
 *
 * A file system is made once for each machine, on a device that file_systems.h
 * names, and mounted anew for each test: a reference that is left shows as an
 * unmount that fails.
 */
#ifndef LAYOUT_PIN_TEST_H
#define LAYOUT_PIN_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/types.h>

#include "file_systems.h"

#ifndef F_LAYOUT
#define F_LAYOUT	16
#define F_EXCLUSIVE	32
#define F_UNBREAK	64
#endif

/* mm/gup_test.h, which is not a header for user space. */
struct pin_longterm_test {
	__u64 addr;
	__u64 size;
	__u32 flags;
};

#define PIN_LONGTERM_TEST_START		_IOW('g', 7, struct pin_longterm_test)
#define PIN_LONGTERM_TEST_STOP		_IO('g', 8)
#define PIN_LONGTERM_TEST_READ		_IOW('g', 9, __u64)
#define PIN_WRITE	1
#define PIN_FAST	2
#define PIN_MM		4

#define PAGE	4096L
#define HUGE	(2L << 20)
#define UNITS	4		/* of a test file */

/*
 * A file system and the size of mapping entries. By name, since a row of the
 * table has another address in each program and after each exec.
 */
struct kind {
	const char *fs;
	bool huge;
};

static inline const struct file_system *kind_fs(const struct kind *kind)
{
	return fs_find(kind->fs);
}

/* For what only one file system has, or has not. */
static inline bool kind_is(const struct kind *kind, const char *fs)
{
	return !strcmp(kind->fs, fs);
}

static inline const char *kind_dir(const struct kind *kind)
{
	return kind_fs(kind)->dir;
}

static inline const char *kind_device(const struct kind *kind)
{
	return kind_fs(kind)->device;
}

/* The N of /dev/pmemN; the namespace has the same. */
static inline char kind_number(const struct kind *kind)
{
	return kind_device(kind)[strlen("/dev/pmem")];
}

/* What one mapping entry covers. */
static inline long kind_unit(const struct kind *kind)
{
	return kind->huge ? HUGE : PAGE;
}

/* The file system is made to allocate 2 MiB aligned, so that entries can be. */
static inline int kind_mkfs(const struct kind *kind)
{
	const struct file_system *fs = kind_fs(kind);

	return fs_make(fs, fs->aligned, fs->device);
}

/* What is on the device, however it was made. */
static inline int kind_mount_with(const struct kind *kind, const char *options)
{
	return mount(kind_device(kind), kind_dir(kind), kind->fs, 0, options);
}

/* The usual file system, which is made if it is not there. */
static inline int kind_mount(const struct kind *kind)
{
	if (!fs_is_made(kind_fs(kind))) {
		if (kind_mkfs(kind))
			return -1;
		fs_set_made(kind_fs(kind));
	}
	return kind_mount_with(kind, "dax");
}

/* See make_anew_later(). */
static inline void kind_make_anew_later(const struct kind *kind)
{
	make_anew_later(kind_device(kind));
}

/* An owner may still be on its way out of exit. */
static inline int kind_umount(const struct kind *kind)
{
	int i, error = -1;

	for (i = 0; i < 50 && error; i++) {
		error = umount(kind_dir(kind));
		if (error)
			usleep(20000);
	}
	return error;
}

/* Mount what is on the device again, in another way. */
static inline int kind_mount_again(const struct kind *kind, const char *options)
{
	return kind_umount(kind) || kind_mount_with(kind, options);
}

/* "bind" or "unbind" the device, which the driver knows as a namespace. */
static inline int kind_driver(const struct kind *kind, const char *what)
{
	char path[64];
	int fd, error = 0;

	snprintf(path, sizeof(path), "/sys/bus/nd/drivers/nd_pmem/%s", what);
	fd = open(path, O_WRONLY);
	if (dprintf(fd, "namespace%c.0", kind_number(kind)) < 0)
		error = errno;
	close(fd);
	return error;
}

static inline char *kind_path(const struct kind *kind, char *path,
			      const char *name)
{
	sprintf(path, "%s/%s", kind_dir(kind), name);
	return path;
}

/* A file of UNITS units, all allocated. */
static inline int make_file(const char *path, long unit)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (fd >= 0 && fallocate(fd, 0, 0, UNITS * unit)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A shared mapping, 2 MiB congruent if huge entries are wanted, else not. */
static inline void *map_file(int fd, long unit)
{
	char *area = mmap(NULL, UNITS * unit + 2 * HUGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));

	if (area == MAP_FAILED)
		return area;
	if (unit != HUGE)
		at += PAGE;
	return mmap(at, UNITS * unit, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, fd, 0);
}

static inline int set_lease(int fd, int arg)
{
	return fcntl(fd, F_SETLEASE, arg) ? errno : 0;
}

struct pin {
	int fd;		/* the owner */
	int error;
};

static inline int pin_with(int fd, void *addr, long size, unsigned int flags)
{
	struct pin_longterm_test args = {
		.addr = (uintptr_t)addr, .size = size, .flags = flags,
	};

	return ioctl(fd, PIN_LONGTERM_TEST_START, &args) ? errno : 0;
}

static inline int open_owner(void)
{
	return open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC);
}

/* Pin for a device that writes; the errno is in the result. */
static inline struct pin pin(void *addr, long size)
{
	struct pin pin = { .fd = open_owner() };

	pin.error = pin.fd < 0 ? errno :
		pin_with(pin.fd, addr, size, PIN_WRITE | PIN_FAST);
	return pin;
}

static inline void unpin(struct pin pin)
{
	close(pin.fd);
}

/*
 * Instead of what a file has; most are the kernel's, and take it as a setting.
 */
static inline int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC), error = 0;

	if (fd < 0)
		return errno;
	errno = 0;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		error = errno ?: EIO;
	close(fd);
	return error;
}

/* How many lines of a file have this in them. */
static inline int count_lines(const char *path, const char *what)
{
	FILE *file = fopen(path, "re");
	char line[512];
	int nr = 0;

	while (file && fgets(line, sizeof(line), file))
		nr += !!strstr(line, what);
	if (file)
		fclose(file);
	return nr;
}

static inline int count_locks(const char *what)
{
	return count_lines("/proc/locks", what);
}

/* Records of pins, of all files. */
static inline int count_pins(void)
{
	return count_lines("/sys/kernel/debug/layout_pin/pins", "");
}

/* Run this in another process; its result is an errno. */
#define elsewhere(expression) ({					\
	int __status;							\
	pid_t __pid = fork();						\
									\
	if (!__pid)							\
		_exit(expression);					\
	waitpid(__pid, &__status, 0);					\
	WIFEXITED(__status) ? WEXITSTATUS(__status) : 255;		\
})

struct holder {
	pid_t pid;
	int error;
};

/* What a holder does once it has, or has not, what it is for. */
static inline void tell_and_wait(int tell, int error)
{
	if (write(tell, &error, sizeof(error)) < 0)
		_exit(1);
	for (;;)
		pause();
}

/* Its errno, as told through the pipe, which is closed. */
static inline int hear(int tell[2])
{
	int error;

	close(tell[1]);
	if (read(tell[0], &error, sizeof(error)) != sizeof(error))
		error = EPIPE;
	close(tell[0]);
	return error;
}

/*
 * Another process that takes a lease on the file, pins @size bytes of it from
 * @at if there are to be any, and then does nothing until it is killed.
 */
static inline struct holder start_holder(const char *path, int arg, long unit,
					 long at, long size)
{
	struct holder holder = { };
	int tell[2], fd;
	struct pin p;

	if (pipe(tell))
		return (struct holder){ .error = errno };
	holder.pid = fork();
	if (!holder.pid) {
		fd = open(path, O_RDWR);
		holder.error = set_lease(fd, arg);
		if (!holder.error && size) {
			p = pin((char *)map_file(fd, unit) + at, size);
			holder.error = p.error;
		}
		tell_and_wait(tell[1], holder.error);
	}
	holder.error = hear(tell);
	return holder;
}

static inline void end_holder(struct holder holder)
{
	if (holder.pid <= 0)	/* there is none; not everybody */
		return;
	kill(holder.pid, SIGKILL);
	waitpid(holder.pid, NULL, 0);
}

static inline double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Reap a child; false if it is still there after so many seconds. */
static inline bool ends_within(pid_t pid, int *status, double bound)
{
	double end = seconds() + bound;

	while (waitpid(pid, status, WNOHANG) != pid) {
		if (seconds() > end)
			return false;
		usleep(5000);
	}
	return true;
}

#endif /* LAYOUT_PIN_TEST_H */
