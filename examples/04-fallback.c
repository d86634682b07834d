// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Register a file wherever it is: 04-fallback FILE. FILE is made if it is not there.
 *
 * Under a lease where there is one; as ordinary memory where that can be pinned;
 * else with on-demand paging, which needs no pin but a device that has it. Exit
 * status 0 if there is a region, 3 if the device cannot page on demand and the
 * file cannot be pinned, 1 if anything else went wrong.
 */
#define _GNU_SOURCE
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <infiniband/verbs.h>
#include "layout_lease.h"

#define SIZE	1048576UL
#define ACCESS	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE)

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

/* Shared: other processes that run this program may have the file as well. */
static int take_lease(int fd)
{
	enum layout_lease_reason reason;
	int kind = F_LAYOUT | F_UNBREAK;

	reason = layout_lease_probe(fd, kind, NULL);
	if (reason == LAYOUT_LEASE_OK && !fcntl(fd, F_SETLEASE, kind))
		return 1;
	printf("no lease: %s\n", reason == LAYOUT_LEASE_OK ? strerror(errno) :
	       layout_lease_why(reason));
	return 0;
}

int main(int argc, char **argv)
{
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct stat st;
	void *memory;
	int fd, leased;

	if (argc != 2)
		errx(2, "usage: 04-fallback FILE");
	fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		err(1, "%s", argv[1]);
	leased = take_lease(fd);
	/* Growing is always allowed; the rest of a larger file is left alone. */
	if (fstat(fd, &st) ||
	    (st.st_size < (off_t)SIZE && ftruncate(fd, SIZE)))
		err(1, "cannot set the size of %s", argv[1]);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	pd = open_device();

	mr = ibv_reg_mr(pd, memory, SIZE, ACCESS);
	if (mr) {
		printf("registered: pinned %s\n", leased ? "under a lease" :
		       "without a lease, which this memory does not need");
		return !!ibv_dereg_mr(mr);
	}

	/* This errno, and no other, means: the memory cannot be pinned. */
	if (errno != EOPNOTSUPP || leased)
		err(1, "ibv_reg_mr");
	printf("cannot be pinned: %s\n", strerror(errno));
	mr = ibv_reg_mr(pd, memory, SIZE, ACCESS | IBV_ACCESS_ON_DEMAND);
	if (mr) {
		puts("registered: on-demand paging");
		return !!ibv_dereg_mr(mr);
	}
	printf("no on-demand paging on %s: %s\n",
	       ibv_get_device_name(pd->context->device), strerror(errno));
	puts("left to do: take a lease, or send from a copy");
	return 3;
}
