// SPDX-License-Identifier: GPL-2.0
/*
 * Quota while a short reference outlives the file: section 4 of the contract.
 * What the file takes is charged until its blocks are freed, which is when the
 * page is let go of, and nobody who turns quota off waits for that.
 *
 * ext4 keeps quota in files of its own, and XFS counts itself.
 */
#define LAYOUT_PIN_SMALL_ONLY
#include "layout_pin_fixture.h"
#include "holes.h"
#include <sys/quota.h>
#include <linux/dqblk_xfs.h>

#define SOMEBODY	4711
#define LARGE		(4 * HUGE)

static bool is_xfs(FIXTURE_DATA(layout) *self)
{
	return kind_is(&self->kind, "xfs");
}

static int quota_call(FIXTURE_DATA(layout) *self, int cmd, int id, void *arg)
{
	return quotactl(QCMD(cmd, USRQUOTA), kind_device(&self->kind), id,
			arg) ? errno : 0;
}

/* Bytes that are charged to somebody, or -1. */
static long charged(FIXTURE_DATA(layout) *self)
{
	struct fs_disk_quota xfs = { };
	struct dqblk ext4 = { };
	int error;

	if (!is_xfs(self)) {
		error = quota_call(self, Q_GETQUOTA, SOMEBODY, &ext4);
		return error ? -1 : (long)ext4.dqb_curspace;
	}
	error = quota_call(self, Q_XGETQUOTA, SOMEBODY, &xfs);
	if (error)
		return error == ENOENT ? 0 : -1;
	return xfs.d_bcount * 512;
}

static bool is_freed(FIXTURE_DATA(layout) *self)
{
	double until = seconds() + SOON;

	while (charged(self) && seconds() < until)
		usleep(20000);
	return !charged(self);
}

/* Counting goes on; what ends is that a limit is one. */
static int quota_off(FIXTURE_DATA(layout) *self)
{
	unsigned int flags = FS_QUOTA_UDQ_ENFD;

	return is_xfs(self) ? quota_call(self, Q_XQUOTAOFF, 0, &flags) :
		quota_call(self, Q_QUOTAOFF, 0, NULL);
}

static int mount_with_quota(FIXTURE_DATA(layout) *self)
{
	return kind_mount_with(&self->kind, kind_fs(&self->kind)->quota);
}

/* To have the files, or "^" not to have them. XFS has nothing to be told. */
static int tune(FIXTURE_DATA(layout) *self, const char *not)
{
	char command[64];

	if (is_xfs(self))
		return 0;
	snprintf(command, sizeof(command),
		 "tune2fs -Q %susrquota %s >/dev/null",
		 not, kind_device(&self->kind));
	return system(command);
}

/* A large file of somebody's; ext4 is told when it is made to count. */
static int make_charged_file(FIXTURE_DATA(layout) *self)
{
	let_go(self);
	unlink(self->path);
	if (kind_umount(&self->kind) || tune(self, "") ||
	    mount_with_quota(self))
		return -1;
	self->fd = make_file(self->path, self->unit);
	if (self->fd < 0 || fallocate(self->fd, 0, 0, LARGE) ||
	    fchown(self->fd, SOMEBODY, SOMEBODY) || fsync(self->fd))
		return -1;
	self->memory = map_file(self->fd, self->unit);
	return self->memory == MAP_FAILED ? -1 : 0;
}

/* Nothing has the file any more but a page of it in a pipe. */
static int unlink_in_use(FIXTURE_DATA(layout) *self, int *fds)
{
	if (make_charged_file(self) || hold_page(self->memory, fds) ||
	    unlink(self->path))
		return -1;
	let_go(self);
	return 0;
}

/* Other tests do without. */
static void end_quota(struct __test_metadata *_metadata,
		      FIXTURE_DATA(layout) *self)
{
	EXPECT_EQ(0, kind_umount(&self->kind));
	/* That of ext4 compares what is charged with what is there. */
	EXPECT_EQ(0, fs_check(kind_fs(&self->kind), "/dev/null"));
	EXPECT_EQ(0, tune(self, "^"));
	EXPECT_EQ(0, kind_mount(&self->kind));
}

TEST_F(layout, quota_is_freed_with_the_last_reference)
{
	int fds[2];

	ASSERT_EQ(0, make_charged_file(self));
	EXPECT_LE(LARGE, charged(self));
	ASSERT_EQ(0, hold_page(self->memory, fds));
	ASSERT_EQ(0, unlink(self->path));
	let_go(self);
	usleep(300000);
	EXPECT_LE(LARGE, charged(self));
	EXPECT_TRUE(drop_page(fds));
	EXPECT_TRUE(is_freed(self));
	end_quota(_metadata, self);
}

TEST_F(layout, quota_is_turned_off_while_an_inode_waits)
{
	struct job job;
	int fds[2];

	ASSERT_EQ(0, unlink_in_use(self, fds));
	job = start(quota_off(self));
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);
	EXPECT_LE(LARGE, charged(self));
	EXPECT_TRUE(drop_page(fds));
	EXPECT_TRUE(is_freed(self));
	end_quota(_metadata, self);
}

TEST_F(layout, umount_with_quota_is_busy_while_an_inode_waits)
{
	struct job job;
	int fds[2];

	ASSERT_EQ(0, unlink_in_use(self, fds));
	job = start(umount(kind_dir(&self->kind)) ? errno : 0);
	EXPECT_EQ(EBUSY, wait_for(&job, SOON));
	end_job(&job);
	EXPECT_LE(LARGE, charged(self));
	EXPECT_TRUE(drop_page(fds));
	EXPECT_EQ(0, umount(kind_dir(&self->kind)));
	ASSERT_EQ(0, mount_with_quota(self));
	EXPECT_EQ(0, charged(self));
	end_quota(_metadata, self);
}

static int exceed(FIXTURE_DATA(layout) *self)
{
	char path[64];
	int fd;

	fd = open(kind_path(&self->kind, path, "another"), O_RDWR | O_CREAT,
		  0644);
	if (fd < 0 || fchown(fd, SOMEBODY, SOMEBODY) ||
	    setgid(SOMEBODY) || setuid(SOMEBODY))
		return 255;
	return fallocate(fd, 0, 0, LARGE / 2) ? errno : 0;
}

static int set_limit(FIXTURE_DATA(layout) *self, long bytes)
{
	struct fs_disk_quota xfs = {
		.d_version = FS_DQUOT_VERSION, .d_flags = FS_USER_QUOTA,
		.d_fieldmask = FS_DQ_BHARD, .d_id = SOMEBODY,
		.d_blk_hardlimit = bytes / 512,
	};
	struct dqblk ext4 = {
		.dqb_bhardlimit = bytes / 1024, .dqb_valid = QIF_BLIMITS,
	};

	return is_xfs(self) ? quota_call(self, Q_XSETQLIM, SOMEBODY, &xfs) :
		quota_call(self, Q_SETQUOTA, SOMEBODY, &ext4);
}

/* Who has unlinked all that he had cannot fill the device a second time. */
TEST_F(layout, limit_counts_what_waits)
{
	char path[64];
	int fds[2];

	ASSERT_EQ(0, make_charged_file(self));
	ASSERT_EQ(0, set_limit(self, LARGE + LARGE / 4));
	ASSERT_EQ(0, hold_page(self->memory, fds));
	ASSERT_EQ(0, unlink(self->path));
	let_go(self);
	EXPECT_EQ(EDQUOT, elsewhere(exceed(self)));
	EXPECT_TRUE(drop_page(fds));
	unlink(kind_path(&self->kind, path, "another"));
	EXPECT_TRUE(is_freed(self));
	EXPECT_EQ(0, elsewhere(exceed(self)));
	unlink(path);
	EXPECT_TRUE(is_freed(self));
	ASSERT_EQ(0, set_limit(self, 0));
	end_quota(_metadata, self);
}

TEST_HARNESS_MAIN
