// SPDX-License-Identifier: GPL-2.0
/*
 * What a device wrote is flushed by every fsync for as long as it has the
 * pages: it writes past the page tables, so that nothing else makes them dirty.
 * Seen by the trace event of each entry that is flushed.
 */
#include "layout_pin_fixture.h"
#include <limits.h>
#include <linux/fiemap.h>
#include <linux/fs.h>

#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)
#define INSTANCE	"/sys/kernel/tracing/instances/layout_durability"
#define EVENT		INSTANCE "/events/fs_dax/dax_writeback_one"

#ifndef MAP_SYNC
#define MAP_SYNC	0x80000
#endif

/* From here on the flushes of this file are traced, apart from others. */
static int start_trace(int fd)
{
	struct stat st;
	char filter[32];

	if (access("/sys/kernel/tracing/instances", F_OK))
		mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	if (fstat(fd, &st) || (mkdir(INSTANCE, 0700) && errno != EEXIST))
		return -1;
	snprintf(filter, sizeof(filter), "ino == %lu", st.st_ino);
	return write_text(EVENT "/filter", filter) ?:
		write_text(EVENT "/enable", "1");
}

static void end_trace(void)
{
	write_text(EVENT "/enable", "0");
	rmdir(INSTANCE);
}

/* How many bytes of this range an fsync flushes; -1 is an error. */
static long flushed(int fd, long from, long size)
{
	unsigned long ino, offset, pages;
	char line[512], *text;
	long low, high, sum = 0;
	FILE *file;

	if (write_text(INSTANCE "/trace", " ") || fsync(fd))
		return -1;
	file = fopen(INSTANCE "/trace", "re");
	while (file && fgets(line, sizeof(line), file)) {
		text = strstr(line, "dax_writeback_one: ");
		if (!text || sscanf(strstr(text, "ino "),
				    "ino %lx pgoff %lx pglen %lx",
				    &ino, &offset, &pages) != 3)
			continue;
		low = (long)offset * PAGE;
		high = low + (long)pages * PAGE;
		low = low < from ? from : low;
		high = high > from + size ? from + size : high;
		if (low < high)
			sum += high - low;
	}
	if (file)
		fclose(file);
	return file ? sum : -1;
}

/* All of the file. */
static long flushed_anywhere(int fd)
{
	return flushed(fd, 0, LONG_MAX);
}

/* The test of the test: without a pin what is clean is not flushed. */
TEST_F(layout, without_a_pin_it_is_flushed_once)
{
	ASSERT_EQ(0, start_trace(self->fd));
	self->memory[self->unit] = 'x';
	EXPECT_EQ(self->unit, flushed_anywhere(self->fd));
	EXPECT_EQ(0, flushed_anywhere(self->fd));
	self->memory[self->unit] = 'y';
	EXPECT_EQ(self->unit, flushed_anywhere(self->fd));
	EXPECT_EQ(0, flushed_anywhere(self->fd));
	end_trace();
}

/* The second of four units is pinned; the first is only written to. */
static void flushed_every_time(struct __test_metadata *_metadata,
			       FIXTURE_DATA(layout) * self)
{
	long unit = self->unit;
	struct pin p;
	int i;

	ASSERT_EQ(0, start_trace(self->fd));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	self->memory[0] = 'x';
	p = pin(self->memory + unit, unit);
	ASSERT_EQ(0, p.error);
	EXPECT_EQ(unit, flushed(self->fd, unit, unit));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(unit, flushed(self->fd, unit, unit));
		EXPECT_EQ(unit, flushed_anywhere(self->fd));
		self->memory[unit] = i;
	}
	unpin(p);
	/* What was written last, and then there is nothing more. */
	EXPECT_EQ(unit, flushed_anywhere(self->fd));
	EXPECT_EQ(0, flushed_anywhere(self->fd));
	end_trace();
}

TEST_F(layout, pinned_range_is_flushed_every_time)
{
	flushed_every_time(_metadata, self);
}

/* Of MAP_SYNC the file system makes the blocks durable, not the data. */
TEST_F(layout, so_it_is_with_map_sync)
{
	ASSERT_NE(MAP_FAILED, mmap(self->memory, UNITS * self->unit,
				   PROT_READ | PROT_WRITE, MAP_FIXED |
				   MAP_SHARED_VALIDATE | MAP_SYNC,
				   self->fd, 0));
	flushed_every_time(_metadata, self);
}

/* A device that only reads may be given to one that writes: no difference. */
TEST_F(layout, so_it_is_for_a_device_that_reads)
{
	int owner = open_owner();

	ASSERT_EQ(0, start_trace(self->fd));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, pin_with(owner, self->memory, PAGE, PIN_FAST));
	EXPECT_EQ(self->unit, flushed_anywhere(self->fd));
	close(owner);
	flushed_anywhere(self->fd);
	EXPECT_EQ(0, flushed_anywhere(self->fd));
	end_trace();
}

TEST_F(layout, as_long_as_one_of_two_pins_stands)
{
	struct pin first, second;

	ASSERT_EQ(0, start_trace(self->fd));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	first = pin(self->memory, self->unit);
	second = pin(self->memory, 2 * self->unit);
	ASSERT_EQ(0, first.error ?: second.error);
	EXPECT_EQ(2 * self->unit, flushed_anywhere(self->fd));
	EXPECT_EQ(2 * self->unit, flushed_anywhere(self->fd));
	unpin(second);
	EXPECT_EQ(2 * self->unit, flushed_anywhere(self->fd));
	EXPECT_EQ(self->unit, flushed_anywhere(self->fd));
	EXPECT_EQ(self->unit, flushed_anywhere(self->fd));
	unpin(first);
	flushed_anywhere(self->fd);
	EXPECT_EQ(0, flushed_anywhere(self->fd));
	end_trace();
}

/* Somebody else syncs the file of a zombie lease. */
TEST_F(layout, zombies_range_is_flushed_every_time)
{
	struct pin p;
	int fd;

	ASSERT_EQ(0, start_trace(self->fd));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, self->unit);
	ASSERT_EQ(0, p.error);
	let_go(self);
	fd = open(self->path, O_RDONLY);
	EXPECT_EQ(self->unit, flushed_anywhere(fd));
	EXPECT_EQ(self->unit, flushed_anywhere(fd));
	unpin(p);
	flushed_anywhere(fd);
	EXPECT_EQ(0, flushed_anywhere(fd));
	close(fd);
	end_trace();
}

/* Bytes of the range that are in blocks that were written. */
static long written_bytes(int fd, long from, long size)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extents[64];
	} all = {
		.map = { .fm_start = from, .fm_length = size,
			 .fm_extent_count = 64 },
	};
	long low, high, sum = 0;
	unsigned int i;

	if (ioctl(fd, FS_IOC_FIEMAP, &all.map))
		return -1;
	for (i = 0; i < all.map.fm_mapped_extents; i++) {
		if (all.extents[i].fe_flags & (FIEMAP_EXTENT_UNWRITTEN |
					       FIEMAP_EXTENT_DELALLOC))
			continue;
		low = all.extents[i].fe_logical;
		high = low + (long)all.extents[i].fe_length;
		low = low < from ? from : low;
		high = high > from + size ? from + size : high;
		sum += high - low;
	}
	return sum;
}

/* After a crash a block that is not written yet would read as zeros. */
static void blocks_are_written(struct __test_metadata *_metadata,
			       FIXTURE_DATA(layout) * self, unsigned int flags)
{
	int owner = open_owner();

	ASSERT_EQ(0, written_bytes(self->fd, 0, UNITS * self->unit));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, pin_with(owner, self->memory + self->unit, 2 * self->unit,
			      flags));
	EXPECT_EQ(0, fsync(self->fd));
	EXPECT_EQ(2 * self->unit,
		  written_bytes(self->fd, self->unit, 2 * self->unit));
	close(owner);
}

TEST_F(layout, blocks_of_preallocated_space_are_written)
{
	blocks_are_written(_metadata, self, PIN_WRITE | PIN_FAST);
}

TEST_F(layout, blocks_of_a_hole_are_written)
{
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(0, ftruncate(self->fd, UNITS * self->unit));
	blocks_are_written(_metadata, self, PIN_WRITE | PIN_FAST);
}

TEST_F(layout, blocks_of_a_hole_are_written_for_reading)
{
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(0, ftruncate(self->fd, UNITS * self->unit));
	blocks_are_written(_metadata, self, PIN_FAST);
}

TEST_HARNESS_MAIN
