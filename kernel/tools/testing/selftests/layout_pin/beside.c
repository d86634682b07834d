// SPDX-License-Identifier: GPL-2.0
/*
 * Layout leases beside what else users have: quota, system calls of 32 bits,
 * page faults that are handled in user space, and mappings beside a change.
 */
#define LAYOUT_PIN_SMALL_ONLY
#include "layout_pin_fixture.h"
#include <sys/quota.h>
#include <sys/resource.h>

#include "userfault.h"

#define UNBREAK		(F_LAYOUT | F_UNBREAK)
#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)
#define SOMEBODY	4711
#define BLOCK		1024	/* what limits are in */
#define SIZE		(64 * PAGE)	/* XFS wants more room than it uses */

/* With quota for users; the file is somebody's, and has no block yet. */
static int use_quota(FIXTURE_DATA(layout) *self)
{
	const struct file_system *fs = kind_fs(&self->kind);

	let_go(self);
	/* It is ext4 that has to be told when it is made. */
	if (kind_umount(&self->kind) ||
	    (kind_is(&self->kind, "ext4") &&
	     fs_make(fs, "-O quota", fs->device)) ||
	    kind_mount_with(&self->kind, fs->quota))
		return -1;
	/* The next test has one without. */
	kind_make_anew_later(&self->kind);
	unlink(self->path);
	self->fd = open(self->path, O_RDWR | O_CREAT, 0644);
	self->memory = map_file(self->fd, self->unit);
	return ftruncate(self->fd, SIZE) ||
		fchown(self->fd, SOMEBODY, SOMEBODY);
}

/* Bytes that are charged to somebody, or -1. */
static long charged(const struct kind *kind)
{
	struct dqblk quota = { };

	if (quotactl(QCMD(Q_GETQUOTA, USRQUOTA), kind_device(kind), SOMEBODY,
		     (void *)&quota))
		return errno == ENOENT || errno == ESRCH ? 0 : -1;
	return quota.dqb_curspace;
}

static int limit(const struct kind *kind, long bytes)
{
	struct dqblk quota = {
		.dqb_bhardlimit = bytes / BLOCK, .dqb_valid = QIF_BLIMITS,
	};

	return quotactl(QCMD(Q_SETQUOTA, USRQUOTA), kind_device(kind), SOMEBODY,
			(void *)&quota);
}

/* Root's descriptor of the owner, somebody's file: root is in no quota. */
static int pin_as_somebody(const char *path, long size)
{
	int owner = open_owner(), fd;
	void *memory;

	if (setgid(SOMEBODY) || setuid(SOMEBODY))
		return EPERM;
	fd = open(path, O_RDWR);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return set_lease(fd, EXCLUSIVE) ?:
		pin_with(owner, memory, size, PIN_WRITE | PIN_FAST);
}

TEST_F(layout, over_quota_is_efault_and_leaves_no_pin)
{
	struct stat st;

	ASSERT_EQ(0, use_quota(self));
	ASSERT_EQ(0, limit(&self->kind, SIZE / 2));
	EXPECT_EQ(EFAULT, elsewhere(pin_as_somebody(self->path, SIZE)));
	EXPECT_EQ(0, count_pins());
	EXPECT_EQ(0, count_locks("LAYOUT"));
	/* The blocks that it could get are the file's, and counted. */
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_LT(0, st.st_blocks);
	EXPECT_EQ(st.st_blocks * 512L, charged(&self->kind));
	EXPECT_GE(SIZE / 2, charged(&self->kind));
	EXPECT_EQ(0, elsewhere(pin_as_somebody(self->path,
					       st.st_blocks * 512L)));
	/* And with room for the rest all of it goes. */
	ASSERT_EQ(0, limit(&self->kind, 2 * SIZE));
	EXPECT_EQ(0, elsewhere(pin_as_somebody(self->path, SIZE)));
	EXPECT_EQ(SIZE, charged(&self->kind));
}

TEST_F(layout, quota_is_freed_at_the_last_unpin)
{
	struct pin p;
	int i;

	ASSERT_EQ(0, use_quota(self));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, UNITS * PAGE);
	ASSERT_EQ(0, p.error);
	EXPECT_EQ(UNITS * PAGE, charged(&self->kind));
	ASSERT_EQ(0, unlink(self->path));
	let_go(self);
	EXPECT_EQ(UNITS * PAGE, charged(&self->kind));
	unpin(p);
	for (i = 0; i < 500 && charged(&self->kind); i++)
		usleep(20000);
	EXPECT_EQ(0, charged(&self->kind));
}

#ifdef __x86_64__
#define FCNTL_32	55
#define FCNTL64_32	221

/* As a program of 32 bits calls it: its errno is negative. */
static int fcntl_32(int call, int fd, int what, int arg)
{
	int result;

	asm volatile("int $0x80" : "=a" (result)
		     : "a" (call), "b" (fd), "c" (what), "d" (arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return result;
}

TEST_F(layout, programs_of_32_bits_take_leases)
{
	static const int calls[] = { FCNTL_32, FCNTL64_32 };
	static const int kinds[] = { F_LAYOUT, UNBREAK, EXCLUSIVE };
	unsigned int i, j;
	struct pin p;

	for (i = 0; i < 2; i++) {
		for (j = 0; j < 3; j++) {
			EXPECT_EQ(0, fcntl_32(calls[i], self->fd, F_SETLEASE,
					      kinds[j]));
			EXPECT_EQ(kinds[j], fcntl_32(calls[i], self->fd,
						     F_GETLEASE, 0));
		}
		EXPECT_EQ(-EINVAL, fcntl_32(calls[i], self->fd, F_SETLEASE,
					    F_LAYOUT | F_WRLCK));
		EXPECT_EQ(-EINVAL, fcntl_32(calls[i], self->fd, F_SETLEASE,
					    F_LAYOUT | 1 << 30));
		p = pin(self->memory, PAGE);
		EXPECT_EQ(0, p.error);
		EXPECT_EQ(-EBUSY, fcntl_32(calls[i], self->fd, F_SETLEASE,
					   F_UNLCK));
		unpin(p);
		EXPECT_EQ(0, fcntl_32(calls[i], self->fd, F_SETLEASE, F_UNLCK));
		EXPECT_EQ(F_UNLCK, fcntl_32(calls[i], self->fd, F_GETLEASE, 0));
	}
}
#endif

/* A mapped file is no memory for these, leased or not. */
TEST_F(layout, missing_and_minor_faults_stay_the_kernels)
{
	int uffd = userfault_open(0);

	ASSERT_LE(0, uffd);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(EINVAL, userfault_register(uffd, self->memory, UNITS * PAGE,
					     UFFDIO_REGISTER_MODE_MISSING));
	EXPECT_EQ(EINVAL, userfault_register(uffd, self->memory, UNITS * PAGE,
					     UFFDIO_REGISTER_MODE_MINOR));
	EXPECT_EQ(EINVAL, userfault_register(uffd, self->memory, UNITS * PAGE,
					     UFFDIO_REGISTER_MODE_WP));
	close(uffd);
}

/*
 * From now on a write to one of these pages is noted; the fault goes on by
 * itself.
 */
static int watch(void *memory, long size)
{
	struct uffdio_writeprotect args = {
		.range = { (uintptr_t)memory, size },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	int uffd = userfault_open(UFFD_FEATURE_WP_ASYNC);

	if (uffd < 0)
		return errno;
	return userfault_register(uffd, memory, size,
				  UFFDIO_REGISTER_MODE_WP) ?:
		ioctl(uffd, UFFDIO_WRITEPROTECT, &args) ? errno : 0;
}

/* To pin a page is to write to it. */
TEST_F(layout, pages_that_are_watched_for_writes_are_pinned)
{
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	memset(self->memory, 'a', UNITS * PAGE);
	ASSERT_EQ(0, watch(self->memory, UNITS * PAGE));
	p = pin(self->memory, UNITS * PAGE);
	EXPECT_EQ(0, p.error);
	EXPECT_EQ(1, count_pins());
	unpin(p);
}

/* Watched before it has an entry: a store and a pin into this page. */
static int store_or_pin(const char *path, bool store)
{
	int fd = open(path, O_RDWR), error = set_lease(fd, UNBREAK);
	char *memory = map_file(fd, PAGE);

	error = error ?: watch(memory, PAGE);
	if (error || !store)
		return error ?: pin(memory, PAGE).error;
	*(volatile char *)memory = 'a';
	return 0;
}

/* In stock kernels neither ends: the fault comes again forever. */
TEST_F(layout, holes_that_are_watched_for_writes_are_pinned)
{
	int i, status;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		pid = fork();
		if (!pid)
			_exit(store_or_pin(self->path, i));
		status = -1;
		EXPECT_TRUE(ends_within(pid, &status, 30)) {
			kill(pid, SIGKILL);
		}
		EXPECT_EQ(0, status);
	}
	EXPECT_EQ(0, count_pins());
}

/* How many page faults does it take to read both pages? */
static long faults_of(const volatile char *one, const volatile char *other)
{
	struct rusage before, after;

	getrusage(RUSAGE_SELF, &before);
	(void)(*one + *other);
	getrusage(RUSAGE_SELF, &after);
	return after.ru_minflt - before.ru_minflt;
}

TEST_F(layout, punching_leaves_the_neighbours_mapped)
{
	const char *first = self->memory, *third = first + 2 * PAGE;

	memset(self->memory, 'x', 3 * PAGE);
	ASSERT_EQ(0, faults_of(first, third));
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, PAGE, PAGE));
	EXPECT_EQ(0, faults_of(first, third));
	EXPECT_EQ(1, faults_of(first, first + PAGE));
}

/* Two pages of the file, and behind them one that is never there. */
static int pin_into_a_fault(const char *path, int tell)
{
	int fd = open(path, O_RDWR), uffd, error = set_lease(fd, UNBREAK);
	char *memory = map_file(fd, PAGE);

	if (!error && !userfault_page(memory + 2 * PAGE, &uffd))
		error = ENODEV;
	if (write(tell, &error, sizeof(error)) < 0)
		return errno;
	return error ?: pin(memory, 3 * PAGE).error;
}

TEST_F(layout, pinner_who_waits_for_a_fault_can_be_killed)
{
	int tell[2], status = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(tell));
	pid = fork();
	if (!pid)
		_exit(pin_into_a_fault(self->path, tell[1]));
	ASSERT_EQ(0, hear(tell));
	EXPECT_TRUE(userfault_waits(pid, pid));
	kill(pid, SIGKILL);
	EXPECT_TRUE(ends_within(pid, &status, 30));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_EQ(0, count_pins());
	EXPECT_EQ(0, count_locks("LAYOUT"));
	EXPECT_EQ(0, ftruncate(self->fd, 0));
}

TEST_HARNESS_MAIN
