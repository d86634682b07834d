// SPDX-License-Identifier: GPL-2.0
/*
 * For scripts, not a test of its own:
 *
 *	rdma_file FILE
 *		takes an exclusive layout lease on FILE, registers its first
 *		page with an RDMA device, and then obeys its input, a line at a
 *		time:
 *
 *	write C	 fill the page with that character, by RDMA
 *	sync	 fsync(2)
 *	end	 deregister the page
 *
 * Says "done" when it is ready, and for each.
 */
#include "layout_pin_test.h"
#include "rdma_loop.h"
#include <err.h>

static int obey(struct rdma_loop *loop, int fd, const char *line)
{
	if (!strncmp(line, "write ", 6)) {
		memset(loop->buffer, line[6], PAGE);
		return loop_transfer(loop, IBV_WR_RDMA_WRITE);
	}
	if (!strcmp(line, "sync\n"))
		return fsync(fd) ? errno : 0;
	if (!strcmp(line, "end\n"))
		return loop_deregister(loop);
	return EINVAL;
}

int main(int argc, char **argv)
{
	struct rdma_loop loop;
	void *memory;
	char line[64];
	int fd, error;

	if (argc != 2)
		errx(2, "Usage: rdma_file FILE");
	fd = open(argv[1], O_RDWR);
	if (fd < 0 || fcntl(fd, F_SETLEASE, F_LAYOUT | F_EXCLUSIVE))
		err(1, "%s", argv[1]);
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	error = loop_open(&loop, PAGE) ?: loop_register(&loop, memory);
	if (error)
		errx(1, "RDMA: %s", strerror(error));
	do {
		puts("done");
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin))
			return 0;
		error = obey(&loop, fd, line);
	} while (!error);
	errx(1, "%s: %s", line, strerror(error));
}
