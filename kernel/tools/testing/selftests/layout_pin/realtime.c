// SPDX-License-Identifier: GPL-2.0
/*
 * Files on the realtime device of XFS, which allocates many pages at a time: a
 * change of the layout is as large as the extents that it touches.
 *
 * The pinned page is in the middle of the second of four extents. What is
 * realtime is on the device of XFS, the rest on that of ext4. XFS shares no
 * realtime blocks.
 */
#include "layout_pin_test.h"
#include "kselftest_harness.h"
#include <linux/fs.h>

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 120

#define DIR		"/mnt/layout_realtime"
#define FILE_PATH	DIR "/file"
#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)
#define PUNCH		(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO		(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)
#define NR_EXTENTS	4

FIXTURE(realtime) {
	int fd;
	char *memory;
	long extent;
	long pinned;	/* offset */
	struct pin pin;
};

FIXTURE_VARIANT(realtime) {
	long extent;
};

FIXTURE_VARIANT_ADD(realtime, 64k) { .extent = 64 << 10 };
FIXTURE_VARIANT_ADD(realtime, 1m) { .extent = 1 << 20 };
/* Need not be a power of 2. */
FIXTURE_VARIANT_ADD(realtime, 28k) { .extent = 28 << 10 };

static int make_file_system(long extent)
{
	const struct file_system *xfs = fs_find("xfs");
	const char *device = fs_find("ext4")->device;
	char realtime[64], options[64];

	make_anew_later(device);
	make_anew_later(xfs->device);
	mkdir(DIR, 0755);
	snprintf(realtime, sizeof(realtime), "-r rtdev=%s,extsize=%ld",
		 xfs->device, extent);
	if (fs_make(xfs, "-m reflink=0,rmapbt=0 -d rtinherit=1", realtime,
		    device))
		return -1;
	snprintf(options, sizeof(options), "dax,rtdev=%s", xfs->device);
	return mount(device, DIR, xfs->name, 0, options);
}

/* By single pages: what one huge entry covers is protected as a whole. */
static void *map_small(int fd, long size)
{
	char *area = mmap(NULL, size + 2 * HUGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));

	return mmap(at + PAGE, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, fd, 0);
}

static bool is_realtime(int fd)
{
	struct fsxattr attr = { };

	return !ioctl(fd, FS_IOC_FSGETXATTR, &attr) &&
		attr.fsx_xflags & FS_XFLAG_REALTIME;
}

FIXTURE_SETUP(realtime)
{
	self->extent = variant->extent;
	self->pinned = self->extent + 3 * PAGE;
	self->pin.fd = -1;
	self->fd = -1;
	ASSERT_EQ(0, make_file_system(self->extent));
	self->fd = open(FILE_PATH, O_RDWR | O_CREAT, 0644);
	ASSERT_LE(0, self->fd);
	ASSERT_TRUE(is_realtime(self->fd));
	ASSERT_EQ(0, fallocate(self->fd, 0, 0, NR_EXTENTS * self->extent));
	self->memory = map_small(self->fd, NR_EXTENTS * self->extent);
	ASSERT_NE(MAP_FAILED, self->memory);
}

FIXTURE_TEARDOWN(realtime)
{
	unpin(self->pin);
	munmap(self->memory, NR_EXTENTS * self->extent);
	close(self->fd);
	EXPECT_EQ(0, umount(DIR));
	EXPECT_EQ(0, count_locks("LAYOUT"));
	EXPECT_EQ(0, count_pins());
}

static int lease_and_pin(FIXTURE_DATA(realtime) *self)
{
	int error = set_lease(self->fd, EXCLUSIVE);

	if (error)
		return error;
	self->pin = pin(self->memory + self->pinned, PAGE);
	return self->pin.error;
}

static int change(FIXTURE_DATA(realtime) *self, int mode, long at, long len)
{
	return fallocate(self->fd, mode, at, len) ? errno : 0;
}

/* Whatever touches the extent of the pinned page, at either end of it. */
static void rounds_outwards(struct __test_metadata *_metadata,
			    FIXTURE_DATA(realtime) *self, int mode)
{
	long from = self->extent, to = 2 * self->extent;

	ASSERT_EQ(0, lease_and_pin(self));
	EXPECT_EQ(ETXTBSY, change(self, mode, self->pinned, PAGE));
	EXPECT_EQ(ETXTBSY, change(self, mode, from, PAGE));
	EXPECT_EQ(ETXTBSY, change(self, mode, to - PAGE, PAGE));
	EXPECT_EQ(ETXTBSY, change(self, mode, from - PAGE, PAGE + 1));
	EXPECT_EQ(ETXTBSY, change(self, mode, to - 1, PAGE));
	EXPECT_EQ(ETXTBSY, change(self, mode, 0, NR_EXTENTS * self->extent));
	EXPECT_EQ(0, change(self, mode, 0, from));
	EXPECT_EQ(0, change(self, mode, from - PAGE, PAGE));
	EXPECT_EQ(0, change(self, mode, to, PAGE));
	EXPECT_EQ(0, change(self, mode, to, self->extent));
}

TEST_F(realtime, punch_rounds_outwards_to_the_extent)
{
	rounds_outwards(_metadata, self, PUNCH);
}

TEST_F(realtime, zero_range_rounds_outwards_to_the_extent)
{
	rounds_outwards(_metadata, self, ZERO);
}

static int shrink(FIXTURE_DATA(realtime) *self, long size)
{
	return ftruncate(self->fd, size) ? errno : 0;
}

TEST_F(realtime, truncate_rounds_outwards_to_the_extent)
{
	ASSERT_EQ(0, lease_and_pin(self));
	EXPECT_EQ(ETXTBSY, shrink(self, 0));
	EXPECT_EQ(ETXTBSY, shrink(self, self->extent));
	EXPECT_EQ(ETXTBSY, shrink(self, self->pinned));
	/* Behind the page, but in its extent. */
	EXPECT_EQ(ETXTBSY, shrink(self, self->pinned + PAGE));
	EXPECT_EQ(ETXTBSY, shrink(self, 2 * self->extent - 1));
	EXPECT_EQ(0, shrink(self, 3 * self->extent + 1));
	EXPECT_EQ(0, shrink(self, 2 * self->extent));
	EXPECT_EQ(0, ftruncate(self->fd, NR_EXTENTS * self->extent));
}

/* What comes behind moves: the pinned page is before, or it is not. */
TEST_F(realtime, collapse_and_insert_move_what_comes_behind)
{
	long extent = self->extent;

	ASSERT_EQ(0, lease_and_pin(self));
	EXPECT_EQ(ETXTBSY, change(self, FALLOC_FL_COLLAPSE_RANGE, 0, extent));
	EXPECT_EQ(ETXTBSY, change(self, FALLOC_FL_INSERT_RANGE, extent,
				  extent));
	EXPECT_EQ(0, change(self, FALLOC_FL_INSERT_RANGE, 2 * extent, extent));
	EXPECT_EQ(0, change(self, FALLOC_FL_COLLAPSE_RANGE, 2 * extent,
			    extent));
}

/* The test of the test: it is the pin that refuses. */
TEST_F(realtime, without_a_pin_all_of_it_may_go)
{
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(0, change(self, PUNCH, self->pinned, PAGE));
	EXPECT_EQ(0, change(self, ZERO, self->extent, self->extent));
	EXPECT_EQ(0, shrink(self, self->extent + PAGE));
}

TEST_F(realtime, pinned_page_is_the_file)
{
	char data[PAGE], text[] = "written behind its back";

	ASSERT_EQ(0, lease_and_pin(self));
	strcpy(self->memory + self->pinned, text);
	EXPECT_EQ(0, change(self, PUNCH, 0, self->extent));
	EXPECT_EQ(ETXTBSY, change(self, PUNCH, self->extent, PAGE));
	EXPECT_EQ(0, fsync(self->fd));
	EXPECT_EQ(PAGE, pread(self->fd, data, PAGE, self->pinned));
	EXPECT_STREQ(text, data);
}

TEST_F(realtime, lease_of_another_process_covers_all)
{
	struct holder holder;

	holder = start_holder(FILE_PATH, F_LAYOUT | F_UNBREAK, PAGE, 0, 0);
	ASSERT_EQ(0, holder.error);
	EXPECT_EQ(ETXTBSY, shrink(self, 3 * self->extent));
	EXPECT_EQ(ETXTBSY, change(self, PUNCH, 0, PAGE));
	EXPECT_EQ(PAGE, pwrite(self->fd, self->memory, PAGE, 0));
	end_holder(holder);
	EXPECT_EQ(0, shrink(self, 3 * self->extent));
}

TEST_F(realtime, sharing_is_not_supported_and_asks_nobody)
{
	struct holder holder;
	int other;

	other = open(DIR "/other", O_RDWR | O_CREAT, 0644);
	holder = start_holder(FILE_PATH, F_LAYOUT, PAGE, 0, 0);
	ASSERT_EQ(0, holder.error);
	EXPECT_EQ(EOPNOTSUPP, ioctl(other, FICLONE, self->fd) ? errno : 0);
	EXPECT_EQ(1, count_locks("LAYOUT ACTIVE"));
	end_holder(holder);
	close(other);
}

TEST_HARNESS_MAIN
