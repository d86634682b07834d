/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of holes share: users of pages, and operations that may wait
 * for them.
 *
 * No lease is taken and nothing pinned. The user of a page is a pipe, which
 * takes no privilege but read access to the file, and has no end.
 */
#ifndef LAYOUT_PIN_HOLES_H
#define LAYOUT_PIN_HOLES_H

#include <sys/resource.h>
#include <linux/fs.h>
#include "layout_pin_test.h"
#include "short_reference.h"

#define WAITS	1.0	/* an operation that has not ended by then waits */
#define SOON	10.0	/* one that need not wait has, on any machine */
#define RUNNING	-1
#define BY_SIGNAL 256

/* Put a page into a pipe. It is written first, or it might be a hole's. */
static inline int hold_page(void *addr, int *fds)
{
	memset(addr, 'k', PAGE);
	return short_reference(addr, fds);
}

/*
 * Let go of it, and tell whether it still has what was written. Reading does,
 * also if other processes have inherited the pipe.
 */
static inline bool drop_page(int *fds)
{
	char page[PAGE];
	bool same;
	int i;

	same = read(fds[0], page, PAGE) == PAGE;
	for (i = 0; i < PAGE && same; i++)
		same = page[i] == 'k';
	drop_reference(fds);
	return same;
}

/* A process that does one thing, which may not end. */
struct job {
	pid_t pid;
	int result;	/* RUNNING, an errno, or BY_SIGNAL and more */
	double cpu;	/* seconds that it used, once it has ended */
};

#define start(expression) ({						\
	struct job __job = { .pid = fork(), .result = RUNNING };	\
									\
	if (!__job.pid)							\
		_exit(expression);					\
	__job;								\
})

static inline int wait_for(struct job *job, double limit)
{
	double until = seconds() + limit;
	struct rusage usage;
	int status;

	while (job->result == RUNNING && seconds() < until) {
		if (wait4(job->pid, &status, WNOHANG, &usage) != job->pid) {
			usleep(10000);
			continue;
		}
		job->result = WIFEXITED(status) ? WEXITSTATUS(status) :
			BY_SIGNAL + WTERMSIG(status);
		job->cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
			(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	}
	return job->result;
}

/* For a test that has failed already: the next one finds a clean machine. */
static inline void end_job(struct job *job)
{
	if (job->result == RUNNING)
		kill(job->pid, SIGKILL);
	wait_for(job, SOON);
}

#endif /* LAYOUT_PIN_HOLES_H */
