/* Take a layout lease on a DAX file and register its memory with RDMA. */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <infiniband/verbs.h>

#ifndef F_LAYOUT
#define F_LAYOUT	16
#define F_EXCLUSIVE	32
#endif

int main(int argc, char **argv)
{
	struct ibv_device **devices = ibv_get_device_list(NULL);
	struct ibv_context *context;
	struct ibv_mr *mr;
	struct stat st;
	void *memory;
	int fd;

	if (argc != 2)
		errx(2, "usage: register FILE");
	if (!devices || !devices[0])
		errx(1, "no RDMA device");
	context = ibv_open_device(devices[0]);
	fd = open(argv[1], O_RDWR);
	if (!context || fd < 0 || fstat(fd, &st))
		err(1, "%s", argv[1]);
	memory = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	if (fcntl(fd, F_SETLEASE, F_LAYOUT | F_EXCLUSIVE))
		err(1, "no layout lease on %s", argv[1]);
	mr = ibv_reg_mr(ibv_alloc_pd(context), memory, st.st_size,
			IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	if (!mr)
		err(1, "ibv_reg_mr");
	printf("registered %lld bytes of %s, rkey %#x\n",
	       (long long)st.st_size, argv[1], mr->rkey);
	return 0;	/* exit ends the region, the pins and the lease */
}
