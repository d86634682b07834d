// SPDX-License-Identifier: GPL-2.0
/*
 * The device goes away under a file system, whatever state that is in: no call
 * may look at memory that is not there, and nothing is flushed to it.
 */
#include "layout_pin_fixture.h"
#include "holes.h"

#define UNBREAK	(F_LAYOUT | F_UNBREAK)
#define WRITEBACK_EVENT	\
	"/sys/kernel/tracing/events/fs_dax/dax_writeback_one/enable"

static int shut_down(int fd)
{
	unsigned int how = 2;	/* without flushing the log */

	return ioctl(fd, _IOR('X', 125, unsigned int), &how) ? errno : 0;
}

/* The device comes back, and the file system is as it was. */
static void come_back(struct __test_metadata *_metadata,
		      FIXTURE_DATA(layout) *self)
{
	let_go(self);
	EXPECT_EQ(0, kind_umount(&self->kind));
	EXPECT_EQ(0, kind_driver(&self->kind, "bind"));
	EXPECT_EQ(0, kind_mount(&self->kind));
}

/*
 * A file system that is shut down leaves its pages mapped for writing, so that
 * what pins finds them.
 */
TEST_F(layout, pin_of_a_mapping_whose_device_is_gone_fails)
{
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	memset(self->memory, 'k', self->unit);
	p = pin(self->memory, self->unit);
	EXPECT_EQ(0, p.error);
	unpin(p);
	EXPECT_EQ(0, shut_down(self->fd));
	ASSERT_EQ(0, kind_driver(&self->kind, "unbind"));
	p = pin(self->memory, self->unit);
	EXPECT_NE(0, p.error);
	unpin(p);
	come_back(_metadata, self);
}

static long writebacks(void)
{
	return count_lines("/sys/kernel/tracing/trace", "dax_writeback_one:");
}

/* Unbind while a pin stands; then the pin goes, and the unbind ends. */
static void unbind_after_a_pin(struct __test_metadata *_metadata,
			       FIXTURE_DATA(layout) *self)
{
	struct job job;
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	memset(self->memory, 'k', self->unit);
	p = pin(self->memory, self->unit);
	ASSERT_EQ(0, p.error);
	munmap(self->memory, UNITS * self->unit);
	self->memory = NULL;
	{
		int fd = self->fd, owner = p.fd;

		job = start((close(fd), close(owner),
			     kind_driver(&self->kind, "unbind")));
	}
	EXPECT_EQ(RUNNING, wait_for(&job, 2 * WAITS));
	unpin(p);
	EXPECT_EQ(0, wait_for(&job, 2 * SOON));
	end_job(&job);
}

TEST_F(layout, fsync_flushes_nothing_to_a_device_that_is_gone)
{
	unbind_after_a_pin(_metadata, self);
	write_text("/sys/kernel/tracing/trace", "");
	write_text(WRITEBACK_EVENT, "1");
	fsync(self->fd);
	syncfs(self->fd);
	write_text(WRITEBACK_EVENT, "0");
	EXPECT_EQ(0, writebacks());
	come_back(_metadata, self);
}

/* Each may fail as it likes, but the machine lives. */
TEST_F(layout, changes_of_a_file_whose_device_is_gone_do_no_harm)
{
	unbind_after_a_pin(_metadata, self);
	fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		  PAGE);
	if (!ftruncate(self->fd, PAGE))
		TH_LOG("truncate succeeds");
	fallocate(self->fd, FALLOC_FL_ZERO_RANGE, 0, PAGE);
	fsync(self->fd);
	come_back(_metadata, self);
}

TEST_F(layout, changes_of_an_unmapped_file_do_no_harm)
{
	memset(self->memory, 'k', self->unit);
	munmap(self->memory, UNITS * self->unit);
	self->memory = NULL;
	ASSERT_EQ(0, kind_driver(&self->kind, "unbind"));
	fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		  PAGE);
	if (!ftruncate(self->fd, 0))
		TH_LOG("truncate succeeds");
	come_back(_metadata, self);
}

/* The truncate has the page in its hand when the device goes. */
TEST_F(layout, truncate_that_waits_while_the_device_goes)
{
	struct job change, gone;
	int fds[2];

	ASSERT_EQ(0, hold_page(self->memory, fds));
	change = start(truncate(self->path, 0) ? errno : 0);
	EXPECT_EQ(RUNNING, wait_for(&change, WAITS));
	gone = start(kind_driver(&self->kind, "unbind"));
	EXPECT_EQ(RUNNING, wait_for(&gone, 2 * WAITS));
	drop_page(fds);
	EXPECT_NE(RUNNING, wait_for(&change, SOON));
	EXPECT_EQ(0, wait_for(&gone, 2 * SOON));
	end_job(&change);
	end_job(&gone);
	come_back(_metadata, self);
}

static bool is_bound(const struct kind *kind)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/nd/devices/namespace%c.0/driver",
		 kind_number(kind));
	return !access(path, F_OK);
}

/* Root asks for the removal, and thinks better of it: it goes on by itself. */
static void killed_unbind(struct __test_metadata *_metadata,
			  FIXTURE_DATA(layout) *self)
{
	struct job gone;

	gone = start(kind_driver(&self->kind, "unbind"));
	EXPECT_EQ(RUNNING, wait_for(&gone, WAITS));
	kill(gone.pid, SIGKILL);
	EXPECT_EQ(BY_SIGNAL + SIGKILL, wait_for(&gone, SOON));
	end_job(&gone);
}

static void gone_in_the_end(struct __test_metadata *_metadata,
			    FIXTURE_DATA(layout) *self)
{
	double until = seconds() + 2 * SOON;

	while (is_bound(&self->kind) && seconds() < until)
		usleep(20000);
	EXPECT_FALSE(is_bound(&self->kind));
	come_back(_metadata, self);
	EXPECT_TRUE(is_bound(&self->kind));
}

TEST_F(layout, unbind_that_waits_for_a_pin_can_be_killed)
{
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	let_go(self);
	/* The child has the owner as well, until it is killed. */
	killed_unbind(_metadata, self);
	EXPECT_EQ(1, count_pins());
	unpin(p);
	gone_in_the_end(_metadata, self);
}

TEST_F(layout, unbind_that_waits_for_a_page_can_be_killed)
{
	int fds[2];

	ASSERT_EQ(0, hold_page(self->memory, fds));
	killed_unbind(_metadata, self);
	/* Nobody knows of a pipe; of the file he does. */
	EXPECT_EQ(0, system("dmesg | tail -20 | grep -q "
			    "'removal of the memory.*page.*inode.*, file'"));
	drop_page(fds);
	gone_in_the_end(_metadata, self);
}

/*
 * One file system over two devices: dm stays, one leg goes. Everything of the
 * other leg works on, and nothing of the gone one is looked at.
 */
static int dm(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int dm_make(const struct kind *first, const struct kind *second)
{
	char command[512];

	snprintf(command, sizeof(command), "one=%s two=%s;"
		 "a=$(blockdev --getsz $one) b=$(blockdev --getsz $two);"
		 "printf '0 %%d linear %%s 0\\n%%d %%d linear %%s 0\\n'"
		 " $a $one $a $b $two |"
		 " dmsetup create --noudevsync layout_two &&"
		 "dmsetup mknodes layout_two",
		 kind_device(first), kind_device(second));
	return dm(command);
}

TEST(one_of_two_devices_under_device_mapper_goes)
{
	/* The kinds that have these devices in other tests. */
	static const struct kind legs[] = {
		{ "ext4", false }, { "xfs", false },
	};
	const struct file_system *fs = file_systems;
	char *memory;
	unsigned int i;
	long at;
	int fd;

	if (dm("dmsetup version > /dev/null 2>&1"))
		SKIP(return, "no device mapper");
	mkdir("/tmp/layout_two", 0700);
	for (i = 0; i < ARRAY_SIZE(file_systems); i++) {
		ASSERT_EQ(0, dm_make(&legs[0], &legs[1]));
		ASSERT_EQ(0, fs_make(&fs[i], "/dev/mapper/layout_two"));
		ASSERT_EQ(0, mount("/dev/mapper/layout_two", "/tmp/layout_two",
				   fs[i].name, 0, "dax"));
		/* So large that it is on both. */
		fd = open("/tmp/layout_two/file", O_RDWR | O_CREAT, 0600);
		ASSERT_EQ(0, fallocate(fd, 0, 0, 900L << 20));
		memory = mmap(NULL, 900L << 20, PROT_READ | PROT_WRITE,
			      MAP_SHARED, fd, 0);
		ASSERT_NE(MAP_FAILED, memory);
		for (at = 0; at < 900L << 20; at += 25L << 20)
			memory[at] = 'k';
		fsync(fd);
		munmap(memory, 900L << 20);
		ASSERT_EQ(0, kind_driver(&legs[1], "unbind"));
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			  800L << 20);
		fsync(fd);
		close(fd);
		EXPECT_EQ(0, umount("/tmp/layout_two"));
		EXPECT_EQ(0, dm("dmsetup remove --noudevsync layout_two"));
		EXPECT_EQ(0, kind_driver(&legs[1], "bind"));
	}
	for (i = 0; i < 2; i++)
		kind_make_anew_later(&legs[i]);
}

TEST_HARNESS_MAIN
