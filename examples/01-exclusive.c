// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Register a file on a DAX file system with an RDMA device, under an exclusive
 * layout lease: 01-exclusive FILE. FILE is made if it is not there.
 *
 * Shows that nobody can truncate the file meanwhile, that the lease cannot be
 * given back under the region, and that both are possible afterwards.
 */
#define _GNU_SOURCE
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <infiniband/verbs.h>
#include "layout_lease.h"

#define SIZE	1048576UL

/* The errno of a truncate by another process, 0 if that succeeds. */
static int truncate_elsewhere(const char *name)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (!pid)
		_exit(truncate(name, 0) ? errno : 0);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		errx(1, "the child was lost");
	return WEXITSTATUS(status);
}

static struct ibv_pd *open_device(void)
{
	struct ibv_device **devices = ibv_get_device_list(NULL);
	struct ibv_context *context = NULL;
	struct ibv_pd *pd = NULL;

	if (devices && devices[0])
		context = ibv_open_device(devices[0]);
	if (context)
		pd = ibv_alloc_pd(context);
	if (!pd)
		errx(1, "no RDMA device that can be opened");
	return pd;
}

int main(int argc, char **argv)
{
	enum layout_lease_reason reason;
	struct ibv_mr *mr;
	void *memory;
	int fd;

	if (argc != 2)
		errx(2, "usage: 01-exclusive FILE");
	fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		err(1, "%s", argv[1]);

	/* Ask before, so that a refusal has a reason to show. */
	reason = layout_lease_probe(fd, F_LAYOUT | F_EXCLUSIVE, NULL);
	if (reason != LAYOUT_LEASE_OK)
		errx(1, "%s: %s", argv[1], layout_lease_why(reason));
	if (fcntl(fd, F_SETLEASE, F_LAYOUT | F_EXCLUSIVE))
		err(1, "%s: F_SETLEASE", argv[1]);

	/* Blocks that are there now stay where they are from here on. */
	if (ftruncate(fd, SIZE) || posix_fallocate(fd, 0, SIZE))
		err(1, "cannot allocate %s", argv[1]);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	mr = ibv_reg_mr(open_device(), memory, SIZE,
			IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	if (!mr)
		err(1, "ibv_reg_mr");
	printf("registered %lu bytes, rkey %#x\n", SIZE, mr->rkey);

	if (truncate_elsewhere(argv[1]) != ETXTBSY)
		errx(1, "a truncate by somebody else was not refused");
	printf("truncate by another process: %s\n", strerror(ETXTBSY));
	if (!fcntl(fd, F_SETLEASE, F_UNLCK) || errno != EBUSY)
		errx(1, "the lease was let go under the region");
	printf("release of the lease: %s\n", strerror(EBUSY));

	/* In this order: the region, then the lease. */
	if (ibv_dereg_mr(mr))
		err(1, "ibv_dereg_mr");
	if (fcntl(fd, F_SETLEASE, F_UNLCK))
		err(1, "F_UNLCK");
	if (truncate_elsewhere(argv[1]))
		errx(1, "the file is still held");
	puts("let go; truncate by another process: done");
	return 0;
}
