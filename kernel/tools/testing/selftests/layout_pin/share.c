// SPDX-License-Identifier: GPL-2.0
/*
 * Files whose blocks are shared, exchanged, or about to be: what XFS refuses,
 * how sharing ends, and that nothing of it can be done behind a lease. ext4 has
 * no reflink.
 */
#define LAYOUT_PIN_SMALL_ONLY
#define LAYOUT_PIN_XFS_ONLY
#include "layout_pin_fixture.h"
#include <linux/fs.h>
#include <xfs/xfs.h>

#include "exchange.h"
#include "short_reference.h"

#define UNBREAK		(F_LAYOUT | F_UNBREAK)
#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)

static int open_other(FIXTURE_DATA(layout) *self, char *path)
{
	return make_file(kind_path(&self->kind, path, "other"), self->unit);
}

TEST_F(layout, file_that_shares_takes_no_layout_lease)
{
	char path[64];
	int other;

	memset(self->memory, 'a', UNITS * self->unit);
	other = open_other(self, path);
	ASSERT_EQ(0, ioctl(other, FICLONE, self->fd));
	EXPECT_EQ(EOPNOTSUPP, set_lease(self->fd, F_LAYOUT));
	EXPECT_EQ(EOPNOTSUPP, set_lease(self->fd, UNBREAK));
	EXPECT_EQ(EOPNOTSUPP, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(EOPNOTSUPP, set_lease(other, F_LAYOUT));
	EXPECT_EQ(EOPNOTSUPP, set_lease(other, EXCLUSIVE));
	EXPECT_EQ(F_UNLCK, fcntl(self->fd, F_GETLEASE));
	close(other);
	unlink(path);
}

TEST_F(layout, unsharing_all_of_it_clears_that)
{
	char path[64];
	struct pin p;
	int other;

	memset(self->memory, 'a', UNITS * self->unit);
	other = open_other(self, path);
	ASSERT_EQ(0, ioctl(other, FICLONE, self->fd));
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_UNSHARE_RANGE, 0,
			       UNITS * self->unit));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, UNITS * self->unit);
	EXPECT_EQ(0, p.error);
	unpin(p);
	close(other);
	unlink(path);
}

/* A lease without pins, then sharing, then a pin: the second step fails. */
TEST_F(layout, sharing_does_not_come_in_behind_a_lease)
{
	char path[64];
	struct pin p;
	int other;

	memset(self->memory, 'a', UNITS * self->unit);
	other = open_other(self, path);
	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	EXPECT_EQ(-1, ioctl(other, FICLONE, self->fd));
	EXPECT_EQ(ETXTBSY, errno);
	p = pin(self->memory, self->unit);
	EXPECT_EQ(0, p.error);
	EXPECT_EQ(4, pwrite(self->fd, "text", 4, 0));
	EXPECT_EQ(0, memcmp(self->memory, "text", 4));
	unpin(p);
	ASSERT_EQ(0, set_lease(self->fd, F_UNLCK));
	EXPECT_EQ(0, ioctl(other, FICLONE, self->fd));
	close(other);
	unlink(path);
}

/* A part of a file that shares with another part of itself. */
TEST_F(layout, sharing_with_itself_is_sharing)
{
	struct file_clone_range range = { .src_fd = self->fd };

	memset(self->memory, 'a', UNITS * self->unit);
	range.src_length = self->unit;
	range.dest_offset = 2 * self->unit;
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(-1, ioctl(self->fd, FICLONERANGE, &range));
	EXPECT_EQ(ETXTBSY, errno);
	ASSERT_EQ(0, set_lease(self->fd, F_UNLCK));
	ASSERT_EQ(0, ioctl(self->fd, FICLONERANGE, &range));
	EXPECT_EQ(EOPNOTSUPP, set_lease(self->fd, EXCLUSIVE));
}

TEST_F(layout, ranges_are_not_exchanged_under_a_lease)
{
	char path[64];
	int other, i;
	long size;

	ASSERT_EQ(0, mount_with_exchange(self));
	size = UNITS * self->unit;
	other = open_other(self, path);
	ASSERT_EQ(0, exchange(other, self->fd, size));
	ASSERT_EQ(0, commit(other, self->fd, size));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, set_lease(self->fd, i ? EXCLUSIVE : UNBREAK));
		EXPECT_EQ(ETXTBSY, exchange(other, self->fd, size));
		EXPECT_EQ(ETXTBSY, exchange(self->fd, other, size));
		EXPECT_EQ(ETXTBSY, commit(other, self->fd, size));
		EXPECT_EQ(ETXTBSY, commit(self->fd, other, size));
	}
	ASSERT_EQ(0, set_lease(self->fd, F_UNLCK));
	EXPECT_EQ(0, exchange(other, self->fd, size));
	close(other);
	unlink(path);
}

static void go_on(int sig)
{
}

/* The errno, EINTR if it waited. */
#define WITHOUT_A_WAIT(expression) ({					\
	int __error;							\
									\
	alarm(5);							\
	__error = (expression);						\
	alarm(0);							\
	__error;							\
})

/* The caller's own lease refuses, so there is nothing to wait for. */
TEST_F(layout, refused_at_once_beside_a_page_in_use)
{
	struct xfs_swapext args;
	struct exchange_range dry_run = { .flags = EXCHANGE_RANGE_DRY_RUN };
	struct sigaction interrupt = { .sa_handler = go_on };
	char path[64];
	int other, fds[2];
	long size;

	ASSERT_EQ(0, mount_with_exchange(self));
	size = UNITS * self->unit;
	other = open_other(self, path);
	memset(self->memory, 'a', size);
	dry_run.file1_fd = other;
	dry_run.length = size;
	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	ASSERT_EQ(0, short_reference(self->memory, fds));
	ASSERT_EQ(0, sigaction(SIGALRM, &interrupt, NULL));
	EXPECT_EQ(ETXTBSY, WITHOUT_A_WAIT(ioctl(other, FICLONE, self->fd) ?
					  errno : 0));
	EXPECT_EQ(ETXTBSY, WITHOUT_A_WAIT(ioctl(self->fd, FICLONE, other) ?
					  errno : 0));
	EXPECT_EQ(ETXTBSY, WITHOUT_A_WAIT(exchange(other, self->fd, size)));
	ASSERT_EQ(0, swapping(self->fd, other, size, &args));
	EXPECT_EQ(ETXTBSY, WITHOUT_A_WAIT(swap_extents(&args)));
	drop_reference(fds);
	/* What is only tried says what the exchange would. */
	EXPECT_EQ(ETXTBSY, exchange_range(self->fd, &dry_run));
	ASSERT_EQ(0, set_lease(self->fd, F_UNLCK));
	EXPECT_EQ(0, exchange_range(self->fd, &dry_run));
	close(other);
	unlink(path);
}

/* Whether the data is the same or not. */
TEST_F(layout, dedupe_of_a_held_file_is_refused)
{
	char path[64];
	int other, i;

	memset(self->memory, 'a', UNITS * self->unit);
	other = open_other(self, path);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(1, pwrite(other, i ? "b" : "c", 1, i));
		EXPECT_EQ(FILE_DEDUPE_RANGE_DIFFERS,
			  dedupe(self->fd, 0, PAGE, other, 0));
		ASSERT_EQ(0, set_lease(self->fd, i ? EXCLUSIVE : UNBREAK));
		EXPECT_EQ(ETXTBSY, dedupe(self->fd, 0, PAGE, other, 0));
		EXPECT_EQ(ETXTBSY, dedupe(other, 0, PAGE, self->fd, 0));
		EXPECT_EQ(ETXTBSY,
			  elsewhere(dedupe(self->fd, 0, PAGE, other, 0)));
		EXPECT_EQ(ETXTBSY,
			  elsewhere(dedupe(other, 0, PAGE, self->fd, 0)));
		ASSERT_EQ(0, set_lease(self->fd, F_UNLCK));
	}
	close(other);
	unlink(path);
}

/* By the holder, or by another process. */
TEST_F(layout, sharing_nothing_is_no_sharing)
{
	long size = UNITS * self->unit;
	char path[64];
	int other;

	memset(self->memory, 'a', size);
	other = open_other(self, path);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(0, clone(self->fd, size, 0, other, 0));
	EXPECT_EQ(0, elsewhere(clone(self->fd, size, 0, other, 0)));
	/* What is wrong is wrong. */
	EXPECT_EQ(EINVAL, clone(self->fd, 100, PAGE, other, 0));
	EXPECT_EQ(EINVAL, elsewhere(clone(self->fd, 100, PAGE, other, 0)));
	EXPECT_EQ(ETXTBSY, clone(self->fd, 0, PAGE, other, 0));
	EXPECT_EQ(ETXTBSY, elsewhere(clone(self->fd, 0, PAGE, other, 0)));
	close(other);
	unlink(path);
}

TEST_HARNESS_MAIN
