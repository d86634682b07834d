// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * threads MODE NUMBER [DIRECTORY]: ibv_reg_mr() plus ibv_dereg_mr() of 1 MiB by
 * a number of threads at once. MODE says of what memory:
 *
 *	one-file	a part each of one file under a lease
 *	own-files	each thread has a file of its own under a lease
 *	anon		a huge page each
 *
 * A figure is the time that one operation took all of them, in nanoseconds of
 * the clock on the wall, divided by their number: with as many processors as
 * threads and no lock between them it is that of one thread, divided.
 */
#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

#define REGION		(1L << 20)
#define OPERATIONS	200
#define ROUNDS		9
#define MAX_THREADS	8

struct worker {
	pthread_t thread;
	struct ibv_pd *pd;
	char *at;
};

static pthread_barrier_t barrier;

static void *work(void *argument)
{
	struct worker *worker = argument;
	int round, i;

	for (round = 0; round < ROUNDS + 1; round++) {
		pthread_barrier_wait(&barrier);
		for (i = 0; i < OPERATIONS; i++)
			dereg(reg(worker->pd, worker->at, REGION));
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static uint64_t wall(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* The memory of each thread, all under leases that this process holds. */
static void spread(struct worker *workers, int nr, const char *mode,
		   const char *directory)
{
	bool own = !strcmp(mode, "own-files"), file = own || !strcmp(mode, "one-file");
	struct ibv_pd *pd = open_device("rxe0");
	struct memory memory;
	char path[256];
	int i;

	for (i = 0; i < nr; i++) {
		if (!i || own) {
			snprintf(path, sizeof(path), "%s/file%d", directory, i);
			map_memory(&memory, file ? "fsdax-2m" : "thp", path,
				   MAX_THREADS * HUGE);
			if (file)
				take_lease(memory.fd, F_LAYOUT | F_UNBREAK);
		}
		workers[i].pd = pd;
		workers[i].at = memory.at + i * HUGE;
	}
}

int measure_threads(int argc, char **argv)
{
	struct worker workers[MAX_THREADS] = { };
	struct series series = { };
	int nr = argc > 1 ? atoi(argv[1]) : 0, i;
	uint64_t start;

	if (nr < 1 || nr > MAX_THREADS)
		return 2;
	spread(workers, nr, argv[0], argc > 2 ? argv[2] : "");
	pthread_barrier_init(&barrier, NULL, nr + 1);
	for (i = 0; i < nr; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			errx(1, "cannot start a thread");
	for (i = 0; i < ROUNDS + 1; i++) {
		pthread_barrier_wait(&barrier);
		start = wall();
		pthread_barrier_wait(&barrier);
		if (i)	/* the first one warms up */
			add(&series, (wall() - start) / (nr * OPERATIONS));
	}
	for (i = 0; i < nr; i++)
		pthread_join(workers[i].thread, NULL);
	print(&series, "threads", argv[0], nr);
	return 0;
}
