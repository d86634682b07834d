// SPDX-License-Identifier: GPL-2.0
/*
 * What XFS does to files unasked: it frees blocks that it allocated behind
 * their end, in the background and when they are closed, and repairs their
 * maps while they are in use. A file that is leased or pinned is left alone,
 * and nobody is signalled.
 *
 * Who is asked to let go dies of the signal, and his lease with him.
 */
#define LAYOUT_PIN_SMALL_ONLY
#define LAYOUT_PIN_XFS_ONLY
#include "layout_pin_fixture.h"
#include "holes.h"
#include <xfs/xfs.h>

#define UNBREAK		(F_LAYOUT | F_UNBREAK)
#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)
#define SIZE		(1L << 20)
#define LIFETIME	"/proc/sys/fs/xfs/speculative_prealloc_lifetime"

#ifndef XFS_SCRUB_IFLAG_FORCE_REBUILD	/* of 6.2 */
#define XFS_SCRUB_IFLAG_FORCE_REBUILD	(1u << 8)
#endif

static const int kinds[] = { F_LAYOUT, UNBREAK, EXCLUSIVE };

/*
 * Without DAX it allocates 4 MiB more for every write that makes a file
 * longer.
 */
static int mount_without_dax(FIXTURE_DATA(layout) *self)
{
	return mount_again(self, "dax=never,allocsize=4m");
}

/* Blocks behind the end: of a file that grows by writing to it. */
static int grow(FIXTURE_DATA(layout) *self)
{
	static char data[SIZE / 16];
	int i;

	let_go(self);
	unlink(self->path);
	self->fd = open(self->path, O_RDWR | O_CREAT, 0644);
	for (i = 0; i < 16; i++)
		if (write(self->fd, data, sizeof(data)) != sizeof(data))
			return -1;
	return fsync(self->fd);
}

/*
 * The same with DAX: what is allocated at a time is more than what is written.
 */
static int grow_by_hint(FIXTURE_DATA(layout) *self)
{
	struct fsxattr attr = { };
	char data[PAGE] = { };

	let_go(self);
	unlink(self->path);
	self->fd = open(self->path, O_RDWR | O_CREAT, 0644);
	if (ioctl(self->fd, FS_IOC_FSGETXATTR, &attr))
		return -1;
	attr.fsx_xflags |= FS_XFLAG_EXTSIZE;
	attr.fsx_extsize = SIZE;
	if (ioctl(self->fd, FS_IOC_FSSETXATTR, &attr) ||
	    write(self->fd, data, PAGE) != PAGE)
		return -1;
	self->memory = map_file(self->fd, PAGE);
	return self->memory == MAP_FAILED ? -1 : fsync(self->fd);
}

/* In bytes. */
static long allocated(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_blocks * 512;
}

static int free_behind_the_end(const struct kind *kind)
{
	struct xfs_fs_eofblocks args = {
		.eof_version = 1, .eof_flags = XFS_EOF_FLAGS_SYNC,
	};
	int fd = open(kind_dir(kind), O_RDONLY);
	int error = ioctl(fd, XFS_IOC_FREE_EOFBLOCKS, &args) ? errno : 0;

	close(fd);
	return error;
}

TEST_F(layout, asked_to_free_behind_the_end_it_skips_what_is_leased)
{
	struct holder holder;
	unsigned int i;
	long before;

	ASSERT_EQ(0, mount_without_dax(self));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, grow(self));
		before = allocated(self->path);
		ASSERT_LT(SIZE, before);
		holder = start_holder(self->path, kinds[i], self->unit, 0, 0);
		ASSERT_EQ(0, holder.error);
		EXPECT_EQ(0, free_behind_the_end(&self->kind));
		EXPECT_EQ(before, allocated(self->path));
		EXPECT_EQ(1, count_locks("LAYOUT"));
		end_holder(holder);
	}
	ASSERT_EQ(0, grow(self));
	ASSERT_LT(SIZE, allocated(self->path));
	EXPECT_EQ(0, free_behind_the_end(&self->kind));
	EXPECT_EQ(SIZE, allocated(self->path));
}

/* It flushes the worker, which begins anew with the thaw. */
static int freeze_and_thaw(const struct kind *kind)
{
	int fd = open(kind_dir(kind), O_RDONLY);
	int error = ioctl(fd, FIFREEZE, 0) || ioctl(fd, FITHAW, 0) ? errno : 0;

	close(fd);
	return error;
}

/*
 * The worker comes every so many seconds, and once more when the lease is
 * gone.
 */
TEST_F(layout, worker_skips_what_is_leased)
{
	struct holder holder;
	long before;
	int i;

	ASSERT_EQ(0, mount_without_dax(self));
	ASSERT_EQ(0, grow(self));
	before = allocated(self->path);
	ASSERT_LT(SIZE, before);
	holder = start_holder(self->path, F_LAYOUT, self->unit, 0, 0);
	ASSERT_EQ(0, holder.error);
	EXPECT_EQ(0, write_text(LIFETIME, "1"));
	EXPECT_EQ(0, freeze_and_thaw(&self->kind));
	EXPECT_EQ(before, allocated(self->path));
	sleep(4);
	EXPECT_EQ(before, allocated(self->path));
	EXPECT_EQ(1, count_locks("LAYOUT"));
	end_holder(holder);
	for (i = 0; i < 100 && allocated(self->path) > SIZE; i++)
		usleep(100000);
	EXPECT_EQ(SIZE, allocated(self->path));
	EXPECT_EQ(0, write_text(LIFETIME, "300"));
}

static void open_and_close(const char *path)
{
	close(open(path, O_RDWR));
}

TEST_F(layout, close_skips_what_is_leased)
{
	struct holder holder;
	unsigned int i;
	long before;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, grow_by_hint(self));
		before = allocated(self->path);
		ASSERT_LT(PAGE, before);
		holder = start_holder(self->path, kinds[i], self->unit, 0, 0);
		ASSERT_EQ(0, holder.error);
		open_and_close(self->path);
		EXPECT_EQ(before, allocated(self->path));
		EXPECT_EQ(1, count_locks("LAYOUT"));
		/* He closes the file, too, and by then has no lease. */
		end_holder(holder);
		EXPECT_EQ(PAGE, allocated(self->path));
	}
	ASSERT_EQ(0, grow_by_hint(self));
	ASSERT_LT(PAGE, allocated(self->path));
	open_and_close(self->path);
	EXPECT_EQ(PAGE, allocated(self->path));
}

/* No lease is live, nor is there a descriptor: what counts is the pin. */
TEST_F(layout, close_skips_what_is_pinned)
{
	struct pin p;
	long before;

	ASSERT_EQ(0, grow_by_hint(self));
	before = allocated(self->path);
	ASSERT_LT(PAGE, before);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	let_go(self);
	EXPECT_EQ(1, count_locks("ZOMBIE"));
	open_and_close(self->path);
	EXPECT_EQ(before, allocated(self->path));
	EXPECT_EQ(0, free_behind_the_end(&self->kind));
	EXPECT_EQ(before, allocated(self->path));
	unpin(p);
	open_and_close(self->path);
	EXPECT_EQ(PAGE, allocated(self->path));
}

/* Only a file system that knows whose each block is can be repaired in use. */
static int mount_for_repair(FIXTURE_DATA(layout) *self)
{
	const struct file_system *fs = kind_fs(&self->kind);

	let_go(self);
	kind_make_anew_later(&self->kind);
	if (kind_umount(&self->kind) ||
	    fs_make(fs, "-m rmapbt=1", fs->aligned, fs->device) ||
	    kind_mount_with(&self->kind, "dax"))
		return -1;
	self->fd = make_file(self->path, self->unit);
	self->memory = map_file(self->fd, self->unit);
	return self->memory == MAP_FAILED ? -1 : 0;
}

/* Make the map of the file anew, as for a file whose map is damaged. */
static int repair(const char *path)
{
	struct xfs_scrub_metadata args = {
		.sm_type = XFS_SCRUB_TYPE_BMBTD,
		.sm_flags = XFS_SCRUB_IFLAG_REPAIR |
			    XFS_SCRUB_IFLAG_FORCE_REBUILD,
	};
	int fd = open(path, O_RDONLY);
	int error = ioctl(fd, XFS_IOC_SCRUB_METADATA, &args) ? errno : 0;

	close(fd);
	return error;
}

/* To look is not to touch. */
static int scrub(const char *path)
{
	struct xfs_scrub_metadata args = { .sm_type = XFS_SCRUB_TYPE_BMBTD };
	int fd = open(path, O_RDONLY);
	int error = ioctl(fd, XFS_IOC_SCRUB_METADATA, &args) ? errno : 0;

	close(fd);
	return error;
}

/* EBUSY is what makes xfs_scrub come back later. */
TEST_F(layout, repair_skips_what_is_leased)
{
	struct holder holder;
	unsigned int i;

	ASSERT_EQ(0, mount_for_repair(self));
	if (repair(self->path) == EOPNOTSUPP)
		SKIP(return, "this kernel has no online repair");
	ASSERT_EQ(0, repair(self->path));
	for (i = 0; i < 3; i++) {
		holder = start_holder(self->path, kinds[i], self->unit, 0, 0);
		ASSERT_EQ(0, holder.error);
		EXPECT_EQ(0, scrub(self->path));
		EXPECT_EQ(EBUSY, repair(self->path));
		EXPECT_EQ(1, count_locks("LAYOUT"));
		end_holder(holder);
	}
	EXPECT_EQ(0, repair(self->path));
}

/* The page stays the file's, and the device writes into the file. */
TEST_F(layout, repair_skips_what_is_pinned)
{
	struct pin p;
	int fd;

	ASSERT_EQ(0, mount_for_repair(self));
	if (repair(self->path) == EOPNOTSUPP)
		SKIP(return, "this kernel has no online repair");
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	EXPECT_EQ(EBUSY, repair(self->path));
	let_go(self);
	EXPECT_EQ(0, scrub(self->path));
	EXPECT_EQ(EBUSY, repair(self->path));
	fd = open(self->path, O_RDWR);
	EXPECT_EQ(ETXTBSY, ftruncate(fd, 0) ? errno : 0);
	close(fd);
	unpin(p);
	EXPECT_EQ(0, repair(self->path));
}

/* Nor is a page that a pipe has forgotten, or waited for with locks held. */
TEST_F(layout, repair_skips_what_has_a_short_reference)
{
	struct job job;
	int fds[2];

	ASSERT_EQ(0, mount_for_repair(self));
	if (repair(self->path) == EOPNOTSUPP)
		SKIP(return, "this kernel has no online repair");
	ASSERT_EQ(0, hold_page(self->memory, fds));
	job = start(repair(self->path));
	EXPECT_EQ(EBUSY, wait_for(&job, SOON));
	end_job(&job);
	EXPECT_TRUE(drop_page(fds));
	EXPECT_EQ(0, repair(self->path));
}

TEST_HARNESS_MAIN
