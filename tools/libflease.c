// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libflease - a lease of its own for each process under flease --each
 *
 * The right to register memory belongs to the process that took the lease, and no
 * parent can take one for a child. So flease has this library loaded into each
 * program that is started, where it takes a shared, unbreakable lease on each file
 * that $FLEASE_FILES names, a line each; again in each child that only forks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef F_LAYOUT
#define F_LAYOUT	16
#define F_UNBREAK	64
#endif

/* The names, one behind the other, and an empty one. */
static char *names;

/* In a child of fork(2) this is all that may be used to say something. */
static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

/*
 * The lease lives in a mapping: a program may count on the descriptors that it gets,
 * or close all that it does not know. It is not inherited, or a child would keep the
 * lease of its parent, who is the one that lspins names.
 */
static int take_lease(const char *name)
{
	int fd = open(name, O_RDWR | O_CLOEXEC), error = 0;
	long page = sysconf(_SC_PAGESIZE);
	void *keep;

	if (fd < 0)
		return errno;
	if (fcntl(fd, F_SETLEASE, F_LAYOUT | F_UNBREAK)) {
		error = errno;
	} else {
		keep = mmap(NULL, page, PROT_NONE, MAP_SHARED, fd, 0);
		if (keep == MAP_FAILED || madvise(keep, page, MADV_DONTFORK))
			error = errno;
	}
	close(fd);
	return error;
}

/* A program that needs no lease goes on without; one that does is refused later. */
static void take_leases(void)
{
	const char *name, *why;
	int error;

	for (name = names; *name; name += strlen(name) + 1) {
		error = take_lease(name);
		if (!error)
			continue;
		why = strerrordesc_np(error);
		say("libflease: no lease on ");
		say(name);
		say(": ");
		say(why ? why : "unknown error");
		say("\n");
	}
}

__attribute__((constructor)) static void begin(void)
{
	const char *files = getenv("FLEASE_FILES");
	int error = errno;
	char *at;

	names = files ? calloc(1, strlen(files) + 2) : NULL;
	if (names) {
		memcpy(names, files, strlen(files));
		for (at = names; (at = strchr(at, '\n')); at++)
			*at = 0;
		take_leases();
		pthread_atfork(NULL, NULL, take_leases);
	}
	errno = error;
}
