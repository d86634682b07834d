// SPDX-License-Identifier: GPL-2.0
/*
 * A short reference outlives the file: section 4 of the contract, its last
 * rows, and 6.5. Whoever puts the last reference to a file goes on at once;
 * what waits for the page is the inode, and nobody else's business.
 *
 * The user of the page is a process without privilege, and its pipe.
 */
#define LAYOUT_PIN_SMALL_ONLY
#include "layout_pin_fixture.h"
#include "holes.h"
#include <sys/socket.h>

#define NOBODY	65534
#define ENOUGH	(8 * HUGE)	/* for a file's blocks to show in statvfs */

static long blocks_free(const struct kind *kind)
{
	struct statvfs st;

	/* XFS frees in the background; this waits for it. */
	if (statvfs(kind_dir(kind), &st))
		return -1;
	return st.f_bfree;
}

/* True if so many blocks become free within some seconds. */
static bool becomes_free(const struct kind *kind, long blocks)
{
	double until = seconds() + SOON;

	while (blocks_free(kind) < blocks && seconds() < until)
		usleep(20000);
	return blocks_free(kind) >= blocks;
}

/* A large file of nobody's, in a directory where everybody may unlink. */
static int give_away(FIXTURE_DATA(layout) *self)
{
	let_go(self);
	self->fd = open(self->path, O_RDWR);
	return fallocate(self->fd, 0, 0, ENOUGH) ||
		fchown(self->fd, NOBODY, NOBODY) ||
		chmod(kind_dir(&self->kind), 01777) || fsync(self->fd);
}

static int become_nobody(void)
{
	return setgid(NOBODY) || setuid(NOBODY);
}

/* Open the file and have its first page in a pipe, without a mapping. */
static int open_and_hold(const char *path, int *fds)
{
	int fd = open(path, O_RDWR);
	void *memory;

	if (fd < 0)
		return -1;
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED || hold_page(memory, fds))
		return -1;
	munmap(memory, PAGE);
	return fd;
}

/* The pipe is of the same process: only it could let go of the page. */
static int unlink_and_close(const char *path)
{
	int fds[2], fd;

	if (become_nobody())
		return EPERM;
	fd = open_and_hold(path, fds);
	if (fd < 0 || unlink(path) || close(fd))
		return errno;
	return drop_page(fds) ? 0 : EIO;
}

/* The pipe has the lower descriptors: the file is put first, by task work. */
static int unlink_and_exit(const char *path)
{
	int fds[2];

	if (become_nobody())
		return EPERM;
	return open_and_hold(path, fds) < 0 || unlink(path) ? errno : 0;
}

/* File and pipe in a cycle of messages, which nobody but the kernel finds. */
static int unlink_and_leave_to_gc(const char *path)
{
	union {
		char buffer[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control = { };
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buffer,
		.msg_controllen = sizeof(control.buffer),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fds[4], pair[2];

	if (become_nobody() || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return errno;
	fds[0] = open_and_hold(path, fds + 1);
	if (fds[0] < 0 || unlink(path))
		return errno;
	fds[3] = pair[1];
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
	return sendmsg(pair[0], &msg, 0) == 1 ? 0 : errno;
}

static void ends_and_frees(struct __test_metadata *_metadata,
			   FIXTURE_DATA(layout) *self,
			   int (*way)(const char *path))
{
	struct job job;
	long before;

	ASSERT_EQ(0, give_away(self));
	before = blocks_free(&self->kind);
	let_go(self);
	job = start(way(self->path));
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);
	EXPECT_TRUE(becomes_free(&self->kind, before + ENOUGH / PAGE - 100));
}

TEST_F(layout, close_of_unlinked_file_does_not_wait_for_own_pipe)
{
	ends_and_frees(_metadata, self, unlink_and_close);
}

TEST_F(layout, exit_does_not_wait_for_own_pipe)
{
	ends_and_frees(_metadata, self, unlink_and_exit);
}

/* Work that others need goes on: the end of the pipe itself is such work. */
TEST_F(layout, cycle_of_messages_blocks_no_worker)
{
	ends_and_frees(_metadata, self, unlink_and_leave_to_gc);
}

/*
 * A page of nobody's file is in a pipe, and nobody has the file; free blocks.
 */
static long give_and_hold(FIXTURE_DATA(layout) *self, int *fds)
{
	int fd = give_away(self) ? -1 : open_and_hold(self->path, fds);

	let_go(self);
	return fd < 0 || close(fd) ? -1 : blocks_free(&self->kind);
}

/*
 * A reader's pipe, somebody else's unlink. Blocks go with the page, not before.
 */
TEST_F(layout, unlink_does_not_wait_for_a_readers_pipe)
{
	struct job job;
	int fds[2];
	long before = give_and_hold(self, fds);

	ASSERT_LE(0, before);
	job = start(unlink(self->path) ? errno : 0);
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);
	usleep(300000);
	EXPECT_GT(before + 100, blocks_free(&self->kind));
	EXPECT_TRUE(drop_page(fds));
	EXPECT_TRUE(becomes_free(&self->kind, before + ENOUGH / PAGE - 100));
}

static bool device_is_free(const struct kind *kind)
{
	double until = seconds() + SOON;
	int fd;

	do {
		fd = open(kind_device(kind), O_RDWR | O_EXCL);
		if (fd >= 0)
			close(fd);
		else
			usleep(20000);
	} while (fd < 0 && seconds() < until);
	return fd >= 0;
}

/*
 * An unmount while there is a page of a file that nobody has open: plain it is
 * refused, lazy it goes on behind; everybody's sync goes on in both cases.
 */
static void umount_with_page(struct __test_metadata *_metadata,
			     FIXTURE_DATA(layout) *self, int how, bool linked)
{
	struct job job;
	int fds[2];

	ASSERT_EQ(0, hold_page(self->memory, fds));
	let_go(self);
	if (!linked)
		EXPECT_EQ(0, unlink(self->path));
	job = start(umount2(kind_dir(&self->kind), how) ? errno : 0);
	EXPECT_EQ(how == MNT_DETACH ? 0 : EBUSY, wait_for(&job, SOON));
	end_job(&job);
	EXPECT_GT(0, open(kind_device(&self->kind), O_RDWR | O_EXCL));
	job = start((sync(), 0));
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);
	EXPECT_TRUE(drop_page(fds));
	/* At once: nothing is left that a second try would find gone. */
	if (how != MNT_DETACH)
		EXPECT_EQ(0, umount(kind_dir(&self->kind)));
	EXPECT_TRUE(device_is_free(&self->kind));
	EXPECT_EQ(0, kind_mount(&self->kind));
}

TEST_F(layout, umount_is_busy_with_a_page_of_a_closed_file)
{
	umount_with_page(_metadata, self, 0, true);
}

TEST_F(layout, umount_is_busy_with_a_page_of_an_unlinked_file)
{
	umount_with_page(_metadata, self, 0, false);
}

/* A second mount of the file system goes as ever. */
TEST_F(layout, umount_of_one_of_two_mounts_is_not_busy)
{
	char second[] = "/tmp/layout_second";
	int fds[2];

	ASSERT_EQ(0, hold_page(self->memory, fds));
	let_go(self);
	mkdir(second, 0700);
	ASSERT_EQ(0, mount(kind_dir(&self->kind), second, NULL, MS_BIND, NULL));
	EXPECT_EQ(0, umount(second));
	EXPECT_TRUE(drop_page(fds));
}

TEST_F(layout, lazy_umount_goes_on_behind_for_a_closed_file)
{
	umount_with_page(_metadata, self, MNT_DETACH, true);
}

TEST_F(layout, lazy_umount_goes_on_behind_for_an_unlinked_file)
{
	umount_with_page(_metadata, self, MNT_DETACH, false);
}

/* A file system on another device. */
static struct kind other_kind(const struct kind *kind)
{
	const struct file_system *fs = file_systems;

	while (!strcmp(fs->device, kind_device(kind)))
		fs++;
	return (struct kind){ fs->name, false };
}

/* Another device is nobody's business of him who holds the page. */
TEST_F(layout, other_device_can_be_removed)
{
	struct kind other = other_kind(&self->kind);
	struct job job;
	int fds[2];

	ASSERT_EQ(0, hold_page(self->memory, fds));
	let_go(self);
	ASSERT_EQ(0, unlink(self->path));
	job = start(kind_driver(&other, "unbind"));
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);
	EXPECT_EQ(0, kind_driver(&other, "bind"));
	EXPECT_TRUE(drop_page(fds));
}

static int freeze(const struct kind *kind, unsigned long request)
{
	int fd = open(kind_dir(kind), O_RDONLY);
	int error = fd < 0 || ioctl(fd, request, 0) ? errno : 0;

	close(fd);
	return error;
}

/* What frees the blocks waits for the thaw, and holds nobody else up. */
TEST_F(layout, freeze_and_thaw_while_an_inode_waits)
{
	int fds[2];
	long before = give_and_hold(self, fds);

	ASSERT_LE(0, before);
	ASSERT_EQ(0, unlink(self->path));
	EXPECT_EQ(0, freeze(&self->kind, FIFREEZE));
	EXPECT_TRUE(drop_page(fds));
	usleep(300000);
	EXPECT_EQ(0, freeze(&self->kind, FITHAW));
	EXPECT_TRUE(becomes_free(&self->kind, before + ENOUGH / PAGE - 100));
}

/* Read-only is refused as for any unlinked file that is in use. */
TEST_F(layout, read_only_remount_is_busy_while_an_inode_waits)
{
	int fds[2];

	ASSERT_EQ(0, hold_page(self->memory, fds));
	let_go(self);
	ASSERT_EQ(0, unlink(self->path));
	EXPECT_NE(0, mount("", kind_dir(&self->kind), NULL,
			   MS_REMOUNT | MS_RDONLY, "dax"));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_TRUE(drop_page(fds));
}

TEST_F(layout, shutdown_while_an_inode_waits)
{
	unsigned int how = 2;	/* without flushing the log */
	int fds[2], fd;

	ASSERT_EQ(0, hold_page(self->memory, fds));
	let_go(self);
	ASSERT_EQ(0, unlink(self->path));
	fd = open(kind_dir(&self->kind), O_RDONLY);
	EXPECT_EQ(0, ioctl(fd, _IOR('X', 125, unsigned int), &how));
	close(fd);
	EXPECT_TRUE(drop_page(fds));
	EXPECT_EQ(0, kind_umount(&self->kind));
	/* The log is replayed, and the unlinked file with it. */
	EXPECT_EQ(0, kind_mount(&self->kind));
}

TEST_F(layout, log_names_device_and_inode_after_ten_seconds)
{
	char line[128];
	struct stat st;
	int fds[2];

	ASSERT_EQ(0, hold_page(self->memory, fds));
	ASSERT_EQ(0, fstat(self->fd, &st));
	let_go(self);
	ASSERT_EQ(0, unlink(self->path));
	sleep(12);
	snprintf(line, sizeof(line),
		 "dmesg | grep -q 'dax: %s: inode %lu cannot be freed yet'",
		 kind_device(&self->kind) + 5, (unsigned long)st.st_ino);
	EXPECT_EQ(0, system(line));
	EXPECT_TRUE(drop_page(fds));
}

TEST_HARNESS_MAIN
