/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process that has F_LAYOUT on a file. It counts its signals, and lets go
 * when the test says so, not before: what is to happen while somebody waits
 * for it has all the time it needs.
 */
#ifndef LAYOUT_PIN_ASKED_HOLDER_H
#define LAYOUT_PIN_ASKED_HOLDER_H

#include "layout_pin_test.h"

/* In memory that processes share: a handler may run at any time. */
struct shared {
	volatile int asked;
	volatile int let_go;
};

static struct shared *shared;

static inline void count_signal(int sig)
{
	shared->asked++;
}

static inline void keep_until_told(const char *path, int tell)
{
	int fd = open(path, O_RDONLY), error;

	signal(SIGIO, count_signal);
	error = set_lease(fd, F_LAYOUT);
	if (write(tell, &error, sizeof(error)) < 0)
		_exit(1);
	while (!shared->let_go)
		usleep(5000);
	set_lease(fd, F_UNLCK);
	for (;;)
		pause();
}

static inline struct holder hold(const char *path)
{
	struct holder holder = { };
	int tell[2];

	if (!shared)
		shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared->asked = 0;
	shared->let_go = 0;
	if (pipe(tell))
		return (struct holder){ .error = errno };
	holder.pid = fork();
	if (!holder.pid)
		keep_until_told(path, tell[1]);
	holder.error = hear(tell);
	return holder;
}

/* In time, on any machine. */
static inline bool is_asked(void)
{
	double until = seconds() + 10;

	while (!shared->asked && seconds() < until)
		usleep(1000);
	return shared->asked;
}

#endif /* LAYOUT_PIN_ASKED_HOLDER_H */
