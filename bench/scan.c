// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scan KIND FILE: truncate of a 512 MiB file, all of it mapped and touched, that
 * cannot be done now.
 *
 * With leases: all of it is registered by its holder, another process gets
 * ETXTBSY. Without, as on the stock kernel: the last page is in a pipe
 * (vmsplice), so truncate unmaps the file, scans it for busy pages and sleeps;
 * a signal ends that after a while, with EINTR. What is counted is the CPU
 * time of the caller, to the end of one scan; sleep is not in it.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define FILE_SIZE	(512L << 20)
#define SAMPLES		5

static uint64_t cpu_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void touch_all(struct memory *memory)
{
	size_t i;

	for (i = 0; i < memory->size; i += PAGE)
		memory->at[i]++;
}

static uint64_t one_truncate(int fd, int expected)
{
	/* Far longer than a scan takes, and virtual: nobody waits for it. */
	struct itimerval in_a_while = { .it_value.tv_sec = 2 };
	uint64_t start;

	setitimer(ITIMER_REAL, &in_a_while, NULL);
	start = cpu_time();
	if (!ftruncate(fd, 0) || errno != expected)
		err(1, "truncate, which was to fail");
	return cpu_time() - start;
}

static void hold_last_page(struct memory *memory)
{
	struct iovec last = { memory->at + memory->size - PAGE, PAGE };
	int ends[2];

	if (pipe(ends) || vmsplice(ends[1], &last, 1, 0) != PAGE)
		err(1, "vmsplice");
}

static void truncates(struct memory *memory, const char *path, int expected)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct series series = { };
	int fd = open(path, O_RDWR), i;

	sigaction(SIGALRM, &action, NULL);
	for (i = 0; i < SAMPLES; i++) {
		/* The scan of the stock kernel unmapped it. */
		touch_all(memory);
		add(&series, one_truncate(fd, expected));
	}
	print(&series, "scan", memory->kind, FILE_SIZE);
}

int measure_scan(int argc, char **argv)
{
	struct memory memory;
	int status = 0;

	if (argc != 2)
		return 2;
	map_memory(&memory, argv[0], argv[1], FILE_SIZE);
	if (fcntl(memory.fd, F_SETLEASE, F_LAYOUT | F_UNBREAK)) {
		hold_last_page(&memory);
		truncates(&memory, argv[1], EINTR);
		return 0;
	}
	reg(open_device("rxe0"), memory.at, FILE_SIZE);
	if (!fork()) {
		truncates(&memory, argv[1], ETXTBSY);
		_exit(0);
	}
	wait(&status);
	return status ? 1 : 0;
}
