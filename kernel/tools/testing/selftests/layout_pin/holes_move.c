// SPDX-License-Identifier: GPL-2.0
/*
 * Holes in the operations on two files, which exchange or share their blocks,
 * and in the exchange with ext4's boot loader. See holes.c.
 */
#include "layout_pin_fixture.h"
#include "ext4_ioctl.h"
#include "holes.h"
#include "xfs_ioctl.h"

#define SIZE	(UNITS * PAGE)

/*
 * Two files, the first with the lower inode number, of which each may be DAX.
 */
struct pair {
	struct kind kind;
	char path[2][64];
	int fd[2];
	char *memory;		/* a mapping of one of them */
};

/* New files in the directory are DAX, where dax=inode is mounted, or not. */
static int set_dax(const char *dir, bool dax)
{
	struct fsxattr attr;
	int fd, error;

	mkdir(dir, 0755);
	fd = open(dir, O_RDONLY);
	error = ioctl(fd, FS_IOC_FSGETXATTR, &attr);
	attr.fsx_xflags &= ~FS_XFLAG_DAX;
	attr.fsx_xflags |= dax ? FS_XFLAG_DAX : 0;
	error = error ?: ioctl(fd, FS_IOC_FSSETXATTR, &attr);
	close(fd);
	return error;
}

/* The file's data in one extent on the device: SWAPEXT counts them. */
static int fill_file(int fd, char with)
{
	char data[SIZE];

	memset(data, with, SIZE);
	return pwrite(fd, data, SIZE, 0) != SIZE || fsync(fd);
}

static bool is_dax(int fd)
{
	struct statx stx;

	return !statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) &&
		stx.stx_attributes & STATX_ATTR_DAX;
}

static void pair_setup(struct __test_metadata *_metadata, struct pair *pair,
		       const bool *dax)
{
	struct stat st[2];
	char dir[64];
	int i;

	kind_path(&pair->kind, dir, "dir");
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, set_dax(dir, dax[i]));
		sprintf(pair->path[i], "%s/%d", dir, i);
		pair->fd[i] = make_file(pair->path[i], PAGE);
		ASSERT_LE(0, pair->fd[i]);
		ASSERT_EQ(dax[i], is_dax(pair->fd[i]));
		ASSERT_EQ(0, fill_file(pair->fd[i], i ? 'b' : 'a'));
		ASSERT_EQ(0, fstat(pair->fd[i], &st[i]));
	}
	ASSERT_LT(st[0].st_ino, st[1].st_ino);
}

static void pair_teardown(struct __test_metadata *_metadata, struct pair *pair)
{
	int i;

	if (pair->memory)
		munmap(pair->memory, SIZE);
	for (i = 0; i < 2; i++) {
		close(pair->fd[i]);
		unlink(pair->path[i]);
	}
	EXPECT_EQ(0, kind_umount(&pair->kind));
}

static int hold_page_of(struct pair *pair, int which, int *fds)
{
	pair->memory = map_file(pair->fd[which], PAGE);
	return pair->memory == MAP_FAILED || hold_page(pair->memory, fds);
}

static char first_byte(int fd)
{
	char byte = 0;

	return pread(fd, &byte, 1, 0) == 1 ? byte : 0;
}

FIXTURE(swapext) {
	struct pair pair;
};

FIXTURE_VARIANT(swapext) {
	bool dax[2];
	int held;
};

FIXTURE_VARIANT_ADD(swapext, page_of_target) { { true, true }, 0 };
FIXTURE_VARIANT_ADD(swapext, page_of_donor) { { true, true }, 1 };
FIXTURE_VARIANT_ADD(swapext, only_target_is_dax) { { true, false }, 0 };
FIXTURE_VARIANT_ADD(swapext, only_donor_is_dax) { { false, true }, 1 };

FIXTURE_SETUP(swapext)
{
	self->pair.kind = (struct kind){ "xfs", false };
	ASSERT_EQ(0, kind_mount(&self->pair.kind));
	ASSERT_EQ(0, kind_mount_again(&self->pair.kind, "dax=inode"));
	pair_setup(_metadata, &self->pair, variant->dax);
}

FIXTURE_TEARDOWN(swapext)
{
	pair_teardown(_metadata, &self->pair);
}

static int swap(int target, int donor)
{
	struct xfs_swapext args;

	return swapping(target, donor, SIZE, &args) ?: swap_extents(&args);
}

TEST_F(swapext, swapext_waits_for_page_in_use)
{
	struct pair *pair = &self->pair;
	struct job job;
	int fds[2];

	ASSERT_EQ(0, hold_page_of(pair, variant->held, fds));
	job = start(swap(pair->fd[0], pair->fd[1]));
	EXPECT_EQ(RUNNING, wait_for(&job, WAITS));
	EXPECT_TRUE(drop_page(fds));
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);
	EXPECT_EQ('k', first_byte(pair->fd[!variant->held]));
	EXPECT_EQ(variant->held ? 'a' : 'b',
		  first_byte(pair->fd[variant->held]));
}

FIXTURE(clone) {
	struct pair pair;
};

FIXTURE_SETUP(clone)
{
	const bool dax[2] = { true, true };

	self->pair.kind = (struct kind){ "xfs", false };
	ASSERT_EQ(0, kind_mount(&self->pair.kind));
	pair_setup(_metadata, &self->pair, dax);
}

FIXTURE_TEARDOWN(clone)
{
	pair_teardown(_metadata, &self->pair);
}

/* Both files are locked, in the order of their inode numbers. */
TEST_F(clone, clone_sleeps_for_page_of_second_file)
{
	struct pair *pair = &self->pair;
	struct job job;
	int fds[2];

	ASSERT_EQ(0, hold_page_of(pair, 1, fds));
	job = start(ioctl(pair->fd[0], FICLONE, pair->fd[1]) ? errno : 0);
	EXPECT_EQ(RUNNING, wait_for(&job, 3 * WAITS));
	EXPECT_TRUE(drop_page(fds));
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);
	EXPECT_EQ('k', first_byte(pair->fd[0]));
	EXPECT_GT(WAITS, job.cpu);
}

TEST_F(clone, clone_that_waits_can_be_killed)
{
	struct pair *pair = &self->pair;
	struct job job;
	int fds[2];

	ASSERT_EQ(0, hold_page_of(pair, 1, fds));
	job = start(ioctl(pair->fd[0], FICLONE, pair->fd[1]) ? errno : 0);
	EXPECT_EQ(RUNNING, wait_for(&job, WAITS));
	kill(job.pid, SIGKILL);
	EXPECT_EQ(BY_SIGNAL + SIGKILL, wait_for(&job, 5 * WAITS));
	EXPECT_TRUE(drop_page(fds));
	wait_for(&job, SOON);
	EXPECT_EQ('a', first_byte(pair->fd[0]));
}

FIXTURE(ext4) {
	struct pair pair;
};

FIXTURE_SETUP(ext4)
{
	const bool dax[2] = { false, true };

	self->pair.kind = (struct kind){ "ext4", false };
	ASSERT_EQ(0, kind_mount(&self->pair.kind));
	ASSERT_EQ(0, kind_mount_again(&self->pair.kind, "dax=inode"));
	pair_setup(_metadata, &self->pair, dax);
}

FIXTURE_TEARDOWN(ext4)
{
	pair_teardown(_metadata, &self->pair);
}

static int move_extent(int fd, int donor)
{
	struct move_extent move = { .donor_fd = donor, .len = UNITS };

	return ioctl(fd, EXT4_IOC_MOVE_EXT, &move) ? errno : 0;
}

/*
 * Without a page in use at first. Who moves its blocks then must not be asked
 * to with one, since that ends the machine: page cache takes the place of DAX
 * entries, and eviction of the donor finds one page too many (fs/inode.c).
 */
TEST_F(ext4, move_ext_refuses_donor_that_is_dax)
{
	struct pair *pair = &self->pair;
	int error = move_extent(pair->fd[0], pair->fd[1]), fds[2];

	EXPECT_EQ(EOPNOTSUPP, error);
	if (!error)
		return;
	ASSERT_EQ(0, hold_page_of(pair, 1, fds));
	EXPECT_EQ(EOPNOTSUPP, move_extent(pair->fd[0], pair->fd[1]));
	EXPECT_TRUE(drop_page(fds));
	EXPECT_EQ('a', first_byte(pair->fd[0]));
	EXPECT_EQ('k', first_byte(pair->fd[1]));
}

/* The file of the boot loader has nothing at first. */
TEST_F(ext4, swap_boot_waits_for_page_in_use)
{
	struct pair *pair = &self->pair;
	struct stat st;
	struct job job;
	int fds[2];

	ASSERT_EQ(0, hold_page_of(pair, 1, fds));
	job = start(ioctl(pair->fd[1], EXT4_IOC_SWAP_BOOT) ? errno : 0);
	EXPECT_EQ(RUNNING, wait_for(&job, WAITS));
	EXPECT_TRUE(drop_page(fds));
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);
	EXPECT_EQ(0, fstat(pair->fd[1], &st));
	EXPECT_EQ(0, st.st_size);
	/* Back to where it was. */
	EXPECT_EQ(0, ioctl(pair->fd[1], EXT4_IOC_SWAP_BOOT));
	EXPECT_EQ('k', first_byte(pair->fd[1]));
}

TEST_HARNESS_MAIN
