// SPDX-License-Identifier: GPL-2.0
/*
 * Holes that kernels without layout leases have: a file loses blocks under a
 * page that somebody uses, or somebody waits who need not. Leases would stand
 * on sand there, so they are closed for everybody, and every test here fails on
 * such a kernel.
 */
#include "layout_pin_fixture.h"
#include <sys/time.h>
#include "holes.h"

/* FIXTURE_DATA(layout), in the way that other types are named. */
#define layout_file	_test_data_layout

/*
 * Blocks that were freed under a user of their page belong to the next file
 * that grows, and its data to that user.
 */

/*
 * Nothing is free but what the file gives back, and what the file system keeps
 * for itself: less than the file has, or the other file might do with that.
 */
static int take_rest(struct layout_file *self, const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR, 0600);
	long size, at = 0;

	if (ftruncate(self->fd, 0) || fallocate(self->fd, 0, 0, 64 * HUGE))
		return -1;
	for (size = 64 * HUGE; size >= PAGE; size /= 2)
		while (!fallocate(fd, 0, at, size))
			at += size;
	return close(fd);
}

/* All that is free gets into a file. */
static void fill_rest(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR, 0600);
	char *data = malloc(HUGE);
	long size;

	/* Frees what was only marked for that. */
	syncfs(fd);
	memset(data, 'x', HUGE);
	for (size = HUGE; size >= PAGE; size /= 2)
		while (write(fd, data, size) == size)
			;
	free(data);
	close(fd);
}

static void blocks_stay(struct __test_metadata *_metadata,
			struct layout_file *self,
			int (*change)(const char *path), int at_first)
{
	char most[64], rest[64];
	struct job job;
	int fds[2];

	ASSERT_EQ(0, take_rest(self, kind_path(&self->kind, most, "most")));
	ASSERT_EQ(0, hold_page(self->memory, fds));
	let_go(self);
	job = start(change(self->path) ? errno : 0);
	EXPECT_EQ(at_first, wait_for(&job, WAITS));
	fill_rest(kind_path(&self->kind, rest, "rest"));
	EXPECT_TRUE(drop_page(fds)) {
		TH_LOG("another file has the block");
	}
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);
	unlink(most);
	unlink(rest);
}

static int to_nothing(const char *path)
{
	return truncate(path, 0);
}

TEST_F(layout, truncate_waits_for_page_of_unmapped_file)
{
	blocks_stay(_metadata, self, to_nothing, RUNNING);
}

/*
 * Nobody else has it open, so this is the end of the inode as well: the blocks
 * stay, but nobody waits for them.
 */
TEST_F(layout, unlinked_file_keeps_block_of_page_in_use)
{
	blocks_stay(_metadata, self, unlink, 0);
}

static void each_tick(int sig)
{
}

/*
 * Write back the entry of one page all the time, as fsync does, which locks it;
 * for longer if it is huge. With DAX only those who wait write anything back.
 * Ends by SIGBUS if the file is truncated.
 */
static int write_back(struct layout_file *self)
{
	signal(SIGALRM, SIG_DFL);
	for (;;) {
		*self->memory = 'k';
		if (sync_file_range(self->fd, 0, self->unit,
				    SYNC_FILE_RANGE_WRITE_AND_WAIT))
			return errno;
	}
}

/*
 * A look for pages in use must not skip entries that fsync has locked. It looks
 * once, then waits, so interrupt it and let it look again.
 */
TEST_F(layout, truncate_beside_fsync_sees_page_in_use)
{
	const struct itimerval often = { { 0, 4000 }, { 0, 4000 } };
	const struct itimerval never = { };
	struct sigaction action = { .sa_handler = each_tick };
	double until;
	struct job job;
	int fds[2], nr = 0, error;

	ASSERT_EQ(0, hold_page(self->memory, fds));
	job = start(write_back(self));
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	until = seconds() + (self->unit == PAGE ? 10 : 3);
	do {
		error = ftruncate(self->fd, 0) ? errno : 0;
		nr++;
	} while (error == EINTR && seconds() < until);
	setitimer(ITIMER_REAL, &never, NULL);
	EXPECT_EQ(EINTR, error) {
		TH_LOG("at the %dth look", nr);
	}
	/* It did look, and there was something to meet. */
	EXPECT_TRUE(error != EINTR || nr >= 100);
	EXPECT_EQ(RUNNING, wait_for(&job, 0.1));
	end_job(&job);
	drop_page(fds);
}

/*
 * Nobody waits for a page that stays where it is. The second unit is not that
 * of the page in use.
 */
static void does_not_wait(struct __test_metadata *_metadata,
			  struct layout_file *self,
			  int (*change)(int fd, long unit))
{
	struct job job;
	int fds[2];

	ASSERT_EQ(0, hold_page(self->memory, fds));
	job = start(change(self->fd, self->unit) ? errno : 0);
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);
	EXPECT_TRUE(drop_page(fds));
}

static int grow(int fd, long unit)
{
	return ftruncate(fd, (UNITS + 1) * unit);
}

TEST_F(layout, growing_does_not_wait)
{
	does_not_wait(_metadata, self, grow);
}

static int cut(int fd, long unit)
{
	return ftruncate(fd, unit);
}

TEST_F(layout, truncate_behind_page_in_use_does_not_wait)
{
	does_not_wait(_metadata, self, cut);
}

static int punch(int fd, long unit)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, unit,
			 unit);
}

TEST_F(layout, punching_elsewhere_does_not_wait)
{
	does_not_wait(_metadata, self, punch);
}

static int collapse(int fd, long unit)
{
	return fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, unit, unit);
}

TEST_F(layout, collapse_behind_page_in_use_does_not_wait)
{
	does_not_wait(_metadata, self, collapse);
}

/* What only XFS got wrong. */
FIXTURE(xfs) {
	FIXTURE_DATA(layout) file;
};

FIXTURE_VARIANT(xfs) {
	FIXTURE_VARIANT(layout) layout;
};

FIXTURE_VARIANT_ADD(xfs, 4k) { .layout.kind = { "xfs", false } };
FIXTURE_VARIANT_ADD(xfs, 2m) { .layout.kind = { "xfs", true } };

FIXTURE_SETUP(xfs)
{
	layout_setup(_metadata, &self->file, &variant->layout);
}

FIXTURE_TEARDOWN(xfs)
{
	layout_teardown(_metadata, &self->file, &variant->layout);
}

static int preallocate(int fd, long unit)
{
	return fallocate(fd, 0, 0, (UNITS + 1) * unit);
}

TEST_F(xfs, preallocation_does_not_wait)
{
	does_not_wait(_metadata, &self->file, preallocate);
}

/*
 * The memory map of a device stays as long as somebody uses a page of it. Else
 * the reference is put in a memory map that is gone, which ends the machine, or
 * in a new one that does not count it. So, where this fails, put it in a new
 * one, then make that anew.
 */
static void unbind_waits(struct __test_metadata *_metadata,
			 struct layout_file *self, bool mounted)
{
	struct job job;
	int fds[2];

	ASSERT_EQ(0, hold_page(self->memory, fds));
	fsync(self->fd);
	let_go(self);
	/* An unmount in the ordinary way is busy. */
	job = start(!mounted && umount2(kind_dir(&self->kind), MNT_DETACH) ?
		    errno : kind_driver(&self->kind, "unbind"));
	EXPECT_EQ(RUNNING, wait_for(&job, 2 * WAITS));
	if (job.result == RUNNING) {
		drop_page(fds);
	} else {
		EXPECT_EQ(0, kind_driver(&self->kind, "bind"));
		drop_page(fds);
		EXPECT_EQ(0, kind_driver(&self->kind, "unbind"));
	}
	EXPECT_EQ(0, wait_for(&job, 2 * SOON));
	EXPECT_EQ(0, kind_driver(&self->kind, "bind"));
	if (mounted)
		EXPECT_EQ(0, kind_umount(&self->kind));
	EXPECT_EQ(0, kind_mount(&self->kind));
}

TEST_F(layout, unbind_waits_for_page_in_use)
{
	unbind_waits(_metadata, self, false);
}

/* The file system has blocks in its memory that the driver has let go of. */
TEST_F(layout, unbind_under_file_system_waits_for_page_in_use)
{
	unbind_waits(_metadata, self, true);
}

TEST_HARNESS_MAIN
