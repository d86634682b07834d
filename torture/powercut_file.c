// SPDX-License-Identifier: GPL-2.0
/*
 * The inside of vm/powercut, not a test of its own:
 *
 *	powercut_file run DIR KEY
 *		writes a file in DIR, partly by RDMA under a layout lease,
 *		partly by its mapping, again and again, while other files come
 *		and go; says "synced NUMBER" after each fsync
 *	powercut_file check DIR KEY NUMBER
 *		is what was there at that fsync still there?
 */
#include "layout_pin_test.h"
#include "churn.h"
#include "rdma_loop.h"
#include <err.h>
#include <sys/prctl.h>

#define SIZE	(128L << 10)	/* of the region, and of what is beside it */
#define NAMES	32

struct cell {
	__u64 key;
	__u32 number;	/* of the fsync that comes next */
	__u32 index;
	char fill[48];
};

#define CELLS	(SIZE / (long)sizeof(struct cell))

static void fill(struct cell *cells, __u64 key, __u32 number, long first)
{
	long i;

	for (i = 0; i < CELLS; i++) {
		memset(&cells[i], number, sizeof(*cells));
		cells[i].key = key;
		cells[i].number = number;
		cells[i].index = first + i;
	}
}

static void start_churn(const char *dir)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/churn", dir);
	if (mkdir(path, 0700))
		err(1, "%s", path);
	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		snprintf(path, sizeof(path), "%s/churn/%ld", dir,
			 random() % NAMES);
		errno = churn(path, random());
		if (errno && errno != ENOSPC)
			err(1, "%s", path);
	}
}

/* A file with a hole for each page, leased. */
static char *make_leased(const char *dir, const char *name, int *fd)
{
	char path[256], *memory;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	*fd = open(path, O_RDWR | O_CREAT, 0600);
	if (*fd < 0 || ftruncate(*fd, 2 * SIZE))
		err(1, "%s", path);
	memory = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      *fd, 0);
	if (memory == MAP_FAILED)
		err(1, "%s: mmap", path);
	if (fcntl(*fd, F_SETLEASE, F_LAYOUT | F_EXCLUSIVE))
		err(1, "%s: lease", path);
	return memory;
}

static int run(const char *dir, __u64 key)
{
	char path[256], *memory, *other;
	struct rdma_loop loop;
	__u32 number;
	int fd, other_fd;

	start_churn(dir);
	memory = make_leased(dir, "file", &fd);
	other = make_leased(dir, "unlinked", &other_fd);
	errno = loop_open(&loop, SIZE) ?: loop_register(&loop, memory);
	if (errno)
		err(1, "RDMA");
	/* Its blocks are for the journal to free: a device has them now. */
	if (!ibv_reg_mr(loop.pd, other, 2 * SIZE, IBV_ACCESS_LOCAL_WRITE))
		err(1, "ibv_reg_mr");
	snprintf(path, sizeof(path), "%s/unlinked", dir);
	if (unlink(path))
		err(1, "%s", path);

	for (number = 1;; number++) {
		fill((struct cell *)loop.buffer, key, number, 0);
		errno = loop_transfer(&loop, IBV_WR_RDMA_WRITE);
		if (errno)
			err(1, "RDMA write");
		fill((struct cell *)(memory + SIZE), key, number, CELLS);
		if (fsync(fd))
			err(1, "fsync");
		printf("%s synced %u\n", dir, number);
		fflush(stdout);
	}
}

/* Each cell is of the last fsync or of what was being written after it. */
static int check(const char *dir, __u64 key, __u32 least)
{
	struct cell *cells = malloc(2 * SIZE);
	__u32 low = ~0U, high = 0;
	char path[256];
	long i;
	int fd;

	snprintf(path, sizeof(path), "%s/unlinked", dir);
	if (!access(path, F_OK))
		errx(1, "%s is there", path);
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDONLY);
	if (fd < 0 || pread(fd, cells, 2 * SIZE, 0) != 2 * SIZE)
		err(1, "%s", path);
	for (i = 0; i < 2 * CELLS; i++) {
		if (cells[i].key != key || cells[i].index != i)
			errx(1, "%s: foreign data at %ld", path,
			     i * (long)sizeof(*cells));
		low = cells[i].number < low ? cells[i].number : low;
		high = cells[i].number > high ? cells[i].number : high;
	}
	printf("# %s: synced %u, found %u to %u\n", path, least, low, high);
	if (low < least || high > low + 1)
		errx(1, "%s: what was synced is not there", path);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "run"))
		return run(argv[2], strtoull(argv[3], NULL, 0));
	if (argc == 5 && !strcmp(argv[1], "check"))
		return check(argv[2], strtoull(argv[3], NULL, 0),
			     strtoul(argv[4], NULL, 0));
	fprintf(stderr, "Usage: powercut_file run DIR KEY\n"
			"       powercut_file check DIR KEY NUMBER\n");
	return 2;
}
