// SPDX-License-Identifier: GPL-2.0
/*
 * An append that fails half way drops what it allocated, and all else behind
 * the end of the file: that is nobody's. What is before the end stays where it
 * is, whoever has leased or pinned it, to the last page, which the end is
 * within.
 */
#define LAYOUT_PIN_SMALL_ONLY
#include "layout_pin_fixture.h"
#include <linux/fiemap.h>
#include <linux/fs.h>

#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)
#define SIZE		(UNITS * PAGE - 100)
#define LAST		((UNITS - 1) * PAGE)
#define BEHIND		(64 * PAGE)

/* Where the page is on the device, or 0. */
static unsigned long long block_of(int fd, long at)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extent;
	} one = {
		.map = { .fm_start = at, .fm_length = PAGE,
			 .fm_extent_count = 1 },
	};

	if (ioctl(fd, FS_IOC_FIEMAP, &one.map) || !one.map.fm_mapped_extents)
		return 0;
	return one.extent.fe_physical + (at - one.extent.fe_logical);
}

/* Some bytes that can be read, and then memory that is not there. */
static int append(const char *path, long good)
{
	char *data = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(path, O_WRONLY | O_APPEND);
	long done;

	memset(data, 'z', 2 * PAGE);
	mprotect(data + PAGE, PAGE, PROT_NONE);
	done = write(fd, data + PAGE - good, BEHIND);
	close(fd);
	return done < 0 ? errno : 0;
}

static int shape(FIXTURE_DATA(layout) *self)
{
	memset(self->memory, 'a', UNITS * PAGE);
	return ftruncate(self->fd, SIZE) || fsync(self->fd) ||
		fallocate(self->fd, FALLOC_FL_KEEP_SIZE, UNITS * PAGE, BEHIND);
}

static void stays(struct __test_metadata *_metadata,
		  FIXTURE_DATA(layout) *self, int lease)
{
	unsigned long long blocks[UNITS];
	struct holder holder;
	char data[SIZE];
	struct stat st;
	long i;

	ASSERT_EQ(0, shape(self));
	for (i = 0; i < UNITS; i++)
		blocks[i] = block_of(self->fd, i * PAGE);
	holder = start_holder(self->path, lease, self->unit, LAST,
			      lease == F_LAYOUT ? 0 : PAGE);
	ASSERT_EQ(0, holder.error);
	EXPECT_EQ(EFAULT, append(self->path, 0));
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(SIZE, st.st_size);
	for (i = 0; i < UNITS; i++)
		EXPECT_EQ(blocks[i], block_of(self->fd, i * PAGE));
	EXPECT_EQ(SIZE, pread(self->fd, data, SIZE, 0));
	for (i = 0; i < SIZE; i++)
		ASSERT_EQ('a', data[i]);
	/* Nobody was asked, and what is no change goes on. */
	EXPECT_EQ(1, count_locks("LAYOUT"));
	EXPECT_EQ(0, append(self->path, 10));
	ASSERT_EQ(0, fstat(self->fd, &st));
	/* A copy that fails need not have made the most of it. */
	EXPECT_LT(SIZE, st.st_size);
	EXPECT_GE(SIZE + 10, st.st_size);
	EXPECT_EQ(blocks[UNITS - 1], block_of(self->fd, LAST));
	if (lease != F_LAYOUT)
		EXPECT_EQ(ETXTBSY, ftruncate(self->fd, SIZE) ? errno : 0);
	end_holder(holder);
}

TEST_F(layout, failed_append_takes_nothing_that_is_leased)
{
	stays(_metadata, self, F_LAYOUT);
}

TEST_F(layout, failed_append_takes_nothing_that_is_pinned)
{
	stays(_metadata, self, EXCLUSIVE);
}

TEST_HARNESS_MAIN
