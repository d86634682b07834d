// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Four processes register one file, as the ranks of a parallel job do:
 * 02-shared FILE. FILE is made if it is not there.
 *
 * Each takes a shared, unbreakable lease of its own, through a descriptor of its
 * own: the right to pin is not inherited. The file is free when the last is gone.
 */
#define _GNU_SOURCE
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <infiniband/verbs.h>
#include "layout_lease.h"

#define RANKS	4
#define SIZE	1048576UL

/* Register the file, say so with a byte, stay until the parent closes @stay. */
static int rank(const char *name, int ready, int stay)
{
	struct ibv_device **devices = ibv_get_device_list(NULL);
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	void *memory;
	char byte;
	int fd = open(name, O_RDWR);

	if (!devices || !devices[0])
		errx(1, "no RDMA device");
	context = ibv_open_device(devices[0]);
	pd = context ? ibv_alloc_pd(context) : NULL;
	if (!pd)
		errx(1, "the RDMA device cannot be opened");
	if (fd < 0 || fcntl(fd, F_SETLEASE, F_LAYOUT | F_UNBREAK))
		err(1, "%s: F_SETLEASE", name);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	mr = ibv_reg_mr(pd, memory, SIZE,
			IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	if (!mr)
		err(1, "ibv_reg_mr");
	/* Closed, so that the parent sees when there are no more to come. */
	if (write(ready, "r", 1) != 1 || close(ready) ||
	    read(stay, &byte, 1) != 0)
		errx(1, "the parent failed");
	return ibv_dereg_mr(mr) || fcntl(fd, F_SETLEASE, F_UNLCK);
}

int main(int argc, char **argv)
{
	int fd, i, status, failed = 0, ready[2], stay[2];
	char byte;

	if (argc != 2)
		errx(2, "usage: 02-shared FILE");
	fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, SIZE) || posix_fallocate(fd, 0, SIZE))
		err(1, "%s", argv[1]);
	if (pipe(ready) || pipe(stay))
		err(1, "pipe");
	for (i = 0; i < RANKS; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(ready[0]);
			close(stay[1]);
			exit(rank(argv[1], ready[1], stay[0]));
		}
	}
	close(ready[1]);
	for (i = 0; i < RANKS && read(ready[0], &byte, 1) == 1; i++)
		;
	if (i != RANKS)
		errx(1, "%d of %d processes registered the file", i, RANKS);
	printf("%d processes registered the same file\n", RANKS);

	/* The parent holds nothing: it is somebody else to the ranks. */
	if (!fcntl(fd, F_SETLEASE, F_LAYOUT | F_EXCLUSIVE) || errno != EAGAIN)
		errx(1, "an exclusive lease was granted beside theirs");
	if (!ftruncate(fd, 0) || errno != ETXTBSY)
		errx(1, "a truncate was not refused");
	puts("an exclusive lease and a truncate are refused");

	close(stay[1]);
	for (i = 0; i < RANKS; i++)
		if (wait(&status) < 0 || status)
			failed = 1;
	if (failed)
		errx(1, "a process failed");
	if (ftruncate(fd, 0))
		err(1, "truncate after the last release");
	puts("all let go; truncate: done");
	return 0;
}
