/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What identity.c and alive.c share: the fixture, and other processes that take
 * leases and pin under them.
 */
#ifndef LAYOUT_PIN_IDENTITY_H
#define LAYOUT_PIN_IDENTITY_H

#define LAYOUT_PIN_SMALL_ONLY
#include "layout_pin_fixture.h"
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define UNBREAK		(F_LAYOUT | F_UNBREAK)
#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)
#define NOBODY		65534
#define LEASE_FD	100	/* where a child has it, for others to find */

/* FIXTURE_DATA(layout), in the way that other types are named. */
#define layout_file	_test_data_layout

/* Pin a page and let go at once: only the answer matters. */
static inline int try_pin(void *addr)
{
	struct pin p = pin(addr, PAGE);

	unpin(p);
	return p.error;
}

/* What somebody else is told who truncates the file to nothing. */
static inline int truncated(const char *path)
{
	return elsewhere(truncate(path, 0) ? errno : 0);
}

static inline int no_lease(void)
{
	return !count_locks("LAYOUT") && !count_pins();
}

/* The last reference to a file may be put by a work item of the kernel. */
static inline int settle(void)
{
	int i;

	for (i = 0; i < 1000 && !no_lease(); i++)
		usleep(5000);
	return no_lease();
}

static inline int locks_of(const char *what, pid_t pid)
{
	char want[64];

	snprintf(want, sizeof(want), "LAYOUT %s %d ", what, pid);
	return count_locks(want);
}

static inline int shown(pid_t pid, const char *line)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/%d/file_pins", pid);
	return count_lines(name, line);
}

/* As fork(), into new namespaces. */
static inline pid_t fork_into(int flags)
{
	return syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
}

/* A child that does this, tells the answer, and waits until it is killed. */
static inline struct holder start(int flags,
				  int (*act)(struct layout_file *self),
				  struct layout_file *self)
{
	struct holder holder = { };
	int tell[2];

	if (pipe(tell))
		return (struct holder){ .error = errno };
	holder.pid = fork_into(flags);
	if (holder.pid < 0)
		return (struct holder){ .error = errno };
	if (!holder.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		holder.error = act(self);
		tell_and_wait(tell[1], holder.error);
	}
	holder.error = hear(tell);
	return holder;
}

/* Through an open file of its own. */
static inline int take_own(struct layout_file *self)
{
	int fd = dup2(open(self->path, O_RDWR), LEASE_FD);

	return fd < 0 ? errno : set_lease(fd, EXCLUSIVE);
}

static inline int take_and_pin(struct layout_file *self)
{
	return take_own(self) ?:
		pin(map_file(LEASE_FD, self->unit), PAGE).error;
}

#endif /* LAYOUT_PIN_IDENTITY_H */
