// SPDX-License-Identifier: GPL-2.0
/*
 * End to end: memory regions of a real RDMA driver (soft RoCE) on leased files.
 *
 * Needs persistent memory, root, and rdma(8) to make rxe0 on a dummy interface.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/capability.h>
#include <infiniband/verbs.h>

#include "kselftest_harness.h"
#include "file_systems.h"

/* Making a file system takes seconds where instructions are emulated. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 120

#ifndef F_LAYOUT
#define F_LAYOUT	16
#define F_EXCLUSIVE	32
#define F_UNBREAK	64
#endif

/* Of whatever file system. */
#define DEVICE		(file_systems[0].device)
#define DIR		"/mnt/layout_pin_rdma"
#define FILENAME	DIR "/file"
#define SIZE		(1UL << 20)

FIXTURE(rdma) {
	struct ibv_context *context;
	struct ibv_pd *pd;
	int fd;
	void *memory;
};

FIXTURE_VARIANT(rdma) {
	const char *fs;
	const char *options;	/* of mkfs */
};

FIXTURE_VARIANT_ADD(rdma, ext4) { "ext4", "" };
FIXTURE_VARIANT_ADD(rdma, xfs) { "xfs", "-m reflink=0" };

static struct ibv_context *open_rxe(void)
{
	struct ibv_device **list;
	struct ibv_context *context = NULL;
	int i, nr = 0;

	if (system("rdma link show rxe0/1 >/dev/null 2>&1") &&
	    system("(ip link add dummy0 type dummy; "
		   "ip addr add 10.9.0.1/24 dev dummy0; ip link set dummy0 up; "
		   "rdma link add rxe0 type rxe netdev dummy0) "
		   ">/dev/null 2>&1"))
		return NULL;
	list = ibv_get_device_list(&nr);
	for (i = 0; list && i < nr; i++)
		if (!strcmp(ibv_get_device_name(list[i]), "rxe0"))
			context = ibv_open_device(list[i]);
	if (list)
		ibv_free_device_list(list);
	return context;
}

FIXTURE_SETUP(rdma)
{
	mkdir(DIR, 0755);
	ASSERT_EQ(0, fs_make(fs_find(variant->fs), variant->options, DEVICE));
	ASSERT_EQ(0, mount(DEVICE, DIR, variant->fs, 0, "dax"));
	self->context = open_rxe();
	ASSERT_NE(NULL, self->context);
	self->pd = ibv_alloc_pd(self->context);
	ASSERT_NE(NULL, self->pd);
	self->fd = open(FILENAME, O_RDWR | O_CREAT, 0600);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, SIZE));
	self->memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			    self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->memory);
}

/* Everything is let go by now, or the file system does not unmount. */
FIXTURE_TEARDOWN(rdma)
{
	if (self->memory)
		munmap(self->memory, SIZE);
	if (self->fd >= 0)
		close(self->fd);
	if (self->pd)
		EXPECT_EQ(0, ibv_dealloc_pd(self->pd));
	if (self->context)
		ibv_close_device(self->context);
	EXPECT_EQ(0, umount(DIR));
}

static int lease(int fd, int arg)
{
	return fcntl(fd, F_SETLEASE, arg) ? errno : 0;
}

/* The errno of a truncate by another process. */
static int truncate_elsewhere(off_t size)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(truncate(FILENAME, size) ? errno : 0);
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static struct ibv_mr *reg(struct ibv_pd *pd, void *memory)
{
	return ibv_reg_mr(pd, memory, SIZE,
			  IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
}

static void read_pins(pid_t pid, char *text, size_t size)
{
	char path[64];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/file_pins", pid);
	fd = open(path, O_RDONLY);
	len = fd < 0 ? -1 : read(fd, text, size - 1);
	text[len > 0 ? len : 0] = 0;
	close(fd);
}

TEST_F(rdma, without_lease_registration_is_not_supported)
{
	EXPECT_EQ(NULL, reg(self->pd, self->memory));
	EXPECT_EQ(EOPNOTSUPP, errno);
}

TEST_F(rdma, breakable_lease_is_not_enough)
{
	ASSERT_EQ(0, lease(self->fd, F_LAYOUT));
	EXPECT_EQ(NULL, reg(self->pd, self->memory));
	EXPECT_EQ(EOPNOTSUPP, errno);
}

TEST_F(rdma, region_keeps_its_blocks)
{
	struct ibv_mr *mr;

	ASSERT_EQ(0, lease(self->fd, F_LAYOUT | F_EXCLUSIVE));
	mr = reg(self->pd, self->memory);
	ASSERT_NE(NULL, mr);
	EXPECT_EQ(ETXTBSY, truncate_elsewhere(0));
	EXPECT_EQ(-1, ftruncate(self->fd, 0));
	EXPECT_EQ(ETXTBSY, errno);
	EXPECT_EQ(-1, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE |
				FALLOC_FL_KEEP_SIZE, 0, 4096));
	EXPECT_EQ(ETXTBSY, errno);
	EXPECT_EQ(0, ftruncate(self->fd, 2 * SIZE));
	EXPECT_EQ(4, pwrite(self->fd, "text", 4, SIZE));
	EXPECT_EQ(EBUSY, lease(self->fd, F_UNLCK));
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	EXPECT_EQ(0, lease(self->fd, F_UNLCK));
	EXPECT_EQ(0, truncate_elsewhere(0));
}

TEST_F(rdma, file_pins_shows_descriptor_and_path)
{
	char want[256], text[4096];
	struct ibv_mr *mr;

	ASSERT_EQ(0, lease(self->fd, F_LAYOUT | F_UNBREAK));
	mr = reg(self->pd, self->memory);
	ASSERT_NE(NULL, mr);
	snprintf(want, sizeof(want), "%d: /dev/infiniband/uverbs0\n\t%s\n",
		 self->context->cmd_fd, FILENAME);
	read_pins(getpid(), text, sizeof(text));
	EXPECT_STREQ(want, text);
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	read_pins(getpid(), text, sizeof(text));
	EXPECT_STREQ("", text);

	/* The kernel still knows the device's open file. */
	mr = reg(self->pd, self->memory);
	ASSERT_NE(NULL, mr);
	read_pins(getpid(), text, sizeof(text));
	EXPECT_STREQ(want, text);
	EXPECT_EQ(0, ibv_dereg_mr(mr));
}

TEST_F(rdma, pins_outlive_descriptor_and_mapping)
{
	struct ibv_mr *mr;
	char text[4096];

	ASSERT_EQ(0, lease(self->fd, F_LAYOUT | F_EXCLUSIVE));
	mr = reg(self->pd, self->memory);
	ASSERT_NE(NULL, mr);
	ASSERT_EQ(0, munmap(self->memory, SIZE));
	ASSERT_EQ(0, close(self->fd));
	self->memory = NULL;
	self->fd = -1;
	EXPECT_EQ(ETXTBSY, truncate_elsewhere(0));
	EXPECT_EQ(0, truncate_elsewhere(2 * SIZE));
	EXPECT_EQ(0, truncate_elsewhere(SIZE));
	read_pins(getpid(), text, sizeof(text));
	EXPECT_NE(NULL, strstr(text, FILENAME));
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	EXPECT_EQ(0, truncate_elsewhere(0));
}

TEST_F(rdma, forked_child_may_not_register)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, lease(self->fd, F_LAYOUT | F_EXCLUSIVE));
	pid = fork();
	if (!pid)
		_exit(reg(self->pd, self->memory) ? 0 : errno);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(EOPNOTSUPP, WEXITSTATUS(status));
}

TEST_F(rdma, kill_ends_the_pins)
{
	int status, tell[2];
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(tell));
	pid = fork();
	if (!pid) {
		struct ibv_context *context = open_rxe();
		int fd = open(FILENAME, O_RDWR);

		if (lease(fd, F_LAYOUT | F_EXCLUSIVE) ||
		    !reg(ibv_alloc_pd(context), self->memory) ||
		    write(tell[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(tell[1]);
	ASSERT_EQ(1, read(tell[0], &byte, 1));
	EXPECT_EQ(ETXTBSY, truncate_elsewhere(0));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, truncate_elsewhere(0));
	close(tell[0]);
}

TEST_F(rdma, failed_registration_leaves_nothing)
{
	/* Past the end of the file: the second half cannot be faulted in. */
	ASSERT_EQ(0, ftruncate(self->fd, SIZE / 2));
	ASSERT_EQ(0, lease(self->fd, F_LAYOUT | F_EXCLUSIVE));
	EXPECT_EQ(NULL, reg(self->pd, self->memory));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, lease(self->fd, F_UNLCK));
	EXPECT_EQ(0, truncate_elsewhere(0));
}

TEST_F(rdma, anonymous_memory_needs_no_lease)
{
	void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ibv_mr *mr;

	ASSERT_NE(MAP_FAILED, memory);
	mr = reg(self->pd, memory);
	ASSERT_NE(NULL, mr);
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	munmap(memory, SIZE);
}

/* As somebody without CAP_IPC_LOCK, with room for half of it. */
static int reg_over_the_limit(struct ibv_pd *pd, void *memory, int fd)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct rlimit limit = { SIZE / 2, SIZE / 2 };
	struct __user_cap_data_struct data[2];

	if (lease(fd, F_LAYOUT | F_EXCLUSIVE) ||
	    setrlimit(RLIMIT_MEMLOCK, &limit) ||
	    syscall(SYS_capget, &header, data))
		return 255;
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	if (syscall(SYS_capset, &header, data))
		return 255;
	return reg(pd, memory) ? 0 : errno;
}

TEST_F(rdma, over_the_limit_of_locked_memory)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(reg_over_the_limit(self->pd, self->memory, self->fd));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(ENOMEM, WEXITSTATUS(status));
	EXPECT_EQ(0, lease(self->fd, F_UNLCK));
	EXPECT_EQ(0, truncate_elsewhere(0));
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* The best of some, since the machine has other things to do. */
static double time_of_reading(void)
{
	double start, took, best = 1e9;
	char text[4096];
	int i, j;

	for (i = 0; i < 10; i++) {
		start = seconds();
		for (j = 0; j < 20; j++)
			read_pins(getpid(), text, sizeof(text));
		took = seconds() - start;
		if (took < best)
			best = took;
	}
	return best;
}

/* Twice the time is for noise; a thousand regions would be a thousand times. */
TEST_F(rdma, reading_costs_by_the_file_not_by_the_region)
{
	static struct ibv_mr *mr[1000];
	double one, many;
	int i;

	ASSERT_EQ(0, lease(self->fd, F_LAYOUT | F_UNBREAK));
	mr[0] = reg(self->pd, self->memory);
	ASSERT_NE(NULL, mr[0]);
	one = time_of_reading();
	for (i = 1; i < 1000; i++) {
		mr[i] = ibv_reg_mr(self->pd, self->memory, 4096,
				   IBV_ACCESS_LOCAL_WRITE);
		ASSERT_NE(NULL, mr[i]);
	}
	many = time_of_reading();
	EXPECT_GE(2 * one, many) {
		TH_LOG("1 region: %.4f s, 1000 regions: %.4f s", one, many);
	}
	for (i = 0; i < 1000; i++)
		EXPECT_EQ(0, ibv_dereg_mr(mr[i]));
}

/* One line of the table; the next call goes on behind it. */
static long next_line(int fd)
{
	char line[512];
	long first = -1;
	size_t len = 0;

	while (len < sizeof(line) - 1 && read(fd, line + len, 1) == 1)
		if (line[len++] == '\n')
			break;
	line[len] = 0;
	return sscanf(line, "%*s %ld-", &first) == 1 ? first : -1;
}

/* It goes on where it was, even if the records there are gone by then. */
TEST_F(rdma, table_shows_what_stays_while_others_go)
{
	struct ibv_mr *mr[8];
	int i, fd;

	ASSERT_EQ(0, lease(self->fd, F_LAYOUT | F_UNBREAK));
	memset(self->memory, 0, SIZE);
	/* Three of each of the first two pages, and one behind. */
	for (i = 0; i < 8; i++) {
		mr[i] = ibv_reg_mr(self->pd, self->memory + i / 3 * 4096, 4096,
				   IBV_ACCESS_LOCAL_WRITE);
		ASSERT_NE(NULL, mr[i]);
	}
	fd = open("/sys/kernel/debug/layout_pin/pins", O_RDONLY);
	ASSERT_LE(0, fd);
	/* The end of a line fetches the next one, so its place is the third. */
	EXPECT_EQ(0, next_line(fd));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, ibv_dereg_mr(mr[i]));
	EXPECT_EQ(0, next_line(fd));
	/* A change elsewhere. */
	EXPECT_EQ(0, ibv_dereg_mr(mr[7]));
	EXPECT_EQ(4096, next_line(fd));
	EXPECT_EQ(4096, next_line(fd));
	EXPECT_EQ(4096, next_line(fd));
	EXPECT_EQ(8192, next_line(fd));
	EXPECT_EQ(-1, next_line(fd));
	close(fd);
	for (i = 3; i < 7; i++)
		EXPECT_EQ(0, ibv_dereg_mr(mr[i]));
}

/* Whose blocks nobody moves: as on a kernel without leases. */
TEST_F(rdma, device_dax_needs_no_lease)
{
	struct ibv_mr *mr;
	void *memory;
	int fd;

	ASSERT_EQ(0, system("ndctl create-namespace -f -e namespace1.0 "
			    "-m devdax --align=2M >/dev/null"));
	fd = open("/dev/dax1.0", O_RDWR);
	ASSERT_LE(0, fd);
	memory = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      0);
	ASSERT_NE(MAP_FAILED, memory);
	mr = reg(self->pd, memory);
	ASSERT_NE(NULL, mr);
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	munmap(memory, 2 * SIZE);
	close(fd);

	/* What it was is what it is by default. */
	EXPECT_EQ(0, system("ndctl destroy-namespace -f namespace1.0 "
			    ">/dev/null 2>&1"));
	EXPECT_EQ(0, system("ndctl enable-namespace namespace1.0 "
			    ">/dev/null 2>&1"));
}

TEST_HARNESS_MAIN
