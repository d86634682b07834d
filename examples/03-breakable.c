// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hold a breakable layout lease and let go when somebody wants to change the
 * layout: 03-breakable FILE. FILE is made if it is not there.
 *
 * This is for programs that act on what they know of the layout, a block map for
 * instance. Memory cannot be registered under this kind: it has no right to pin.
 */
#define _GNU_SOURCE
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include "layout_lease.h"

#define SIZE	1048576UL

static volatile sig_atomic_t broken_fd = -1;

/*
 * F_SETSIG makes si_fd say which descriptor it is about. fcntl() may be called
 * in a handler; stop all use of the layout before it.
 */
static void let_go(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if (info->si_code == SI_USER || info->si_code == SI_QUEUE)
		return;		/* a process sent it, there is no si_fd */
	fcntl(info->si_fd, F_SETLEASE, F_UNLCK);
	broken_fd = info->si_fd;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = let_go,
				    .sa_flags = SA_SIGINFO | SA_RESTART };
	sigset_t blocked, old;
	double start;
	pid_t pid;
	int fd, status;

	if (argc != 2)
		errx(2, "usage: 03-breakable FILE");
	fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, SIZE))
		err(1, "%s", argv[1]);

	/* Held back until sigsuspend(), so that it cannot come too early. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &blocked, &old);
	sigaction(SIGRTMIN, &action, NULL);

	/* A lease that ends resets F_SETSIG: set it for each. */
	if (fcntl(fd, F_SETSIG, SIGRTMIN))
		err(1, "F_SETSIG");
	if (fcntl(fd, F_SETLEASE, F_LAYOUT))
		err(1, "%s: F_SETLEASE", argv[1]);

	/* Writes inside the file break nothing. */
	if (pwrite(fd, "x", 1, 0) != 1)
		err(1, "write");
	start = now();
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid)
		_exit(truncate(argv[1], 0) ? errno : 0);
	alarm(30);	/* ends the program if the signal never comes */
	while (broken_fd < 0)
		sigsuspend(&old);
	alarm(0);
	if (broken_fd != fd)
		errx(1, "the signal was about descriptor %d, not %d",
		     (int)broken_fd, fd);
	puts("somebody wants to change the layout: let go");
	if (waitpid(pid, &status, 0) != pid || status)
		errx(1, "the truncate failed");
	printf("truncate by another process: done after %.3f s\n",
	       now() - start);
	if (fcntl(fd, F_GETLEASE) != F_UNLCK)
		errx(1, "there still is a lease");
	return 0;
}
