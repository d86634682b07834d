// SPDX-License-Identifier: GPL-2.0
/*
 * Letting go: section 4 of the contract. Descriptor, mapping and owner go in
 * every order, by every way a process can end, and the pins stand exactly as
 * long as their owner.
 */
#include "layout_pin_fixture.h"
#include "descriptor.h"
#include "short_reference.h"
#include "unbind.h"
#include <pthread.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <linux/fs.h>

#define UNBREAK		(F_LAYOUT | F_UNBREAK)
#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)

/* What somebody else is told who truncates the file to nothing. */
static int truncated(const char *path)
{
	return elsewhere(truncate(path, 0) ? errno : 0);
}

/* The last reference to a file is put a little later than its owner is gone. */
static int settle(int (*condition)(void))
{
	int i;

	for (i = 0; i < 200 && !condition(); i++)
		usleep(5000);
	return condition();
}

static int no_lease(void)
{
	return !count_locks("LAYOUT") && !count_pins();
}

enum step { CLOSE, UNMAP, END };

static void do_step(FIXTURE_DATA(layout) *self, enum step step, struct pin *p)
{
	if (step == CLOSE) {
		close(self->fd);
		self->fd = -1;
	} else if (step == UNMAP) {
		munmap(self->memory, UNITS * self->unit);
		self->memory = NULL;
	} else {
		unpin(*p);
	}
}

/* Close, munmap and the end of the region, in each of their six orders. */
TEST_F(layout, every_order_of_letting_go)
{
	static const enum step orders[][3] = {
		{ CLOSE, UNMAP, END }, { CLOSE, END, UNMAP },
		{ UNMAP, CLOSE, END }, { UNMAP, END, CLOSE },
		{ END, CLOSE, UNMAP }, { END, UNMAP, CLOSE },
	};
	struct pin p;
	bool pinned;
	int i, j;

	for (i = 0; i < (int)ARRAY_SIZE(orders); i++) {
		let_go(self);
		self->fd = make_file(self->path, self->unit);
		self->memory = map_file(self->fd, self->unit);
		ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
		p = pin(self->memory, self->unit);
		ASSERT_EQ(0, p.error);
		pinned = true;
		for (j = 0; j < 3; j++) {
			do_step(self, orders[i][j], &p);
			if (orders[i][j] == END)
				pinned = false;
			EXPECT_EQ(pinned || j < 2 ? ETXTBSY : 0,
				  truncated(self->path)) {
				TH_LOG("order %d after step %d", i, j);
			}
		}
		EXPECT_TRUE(settle(no_lease));
	}
}

static void hold_and_wait(const char *path, long unit)
{
	int fd = open(path, O_RDWR);

	if (!set_lease(fd, EXCLUSIVE))
		pin(map_file(fd, unit), unit);
	pause();
}

TEST_F(layout, sigkill_ends_pins_and_lease)
{
	struct holder holder = start_holder(self->path, EXCLUSIVE, self->unit,
					    0, self->unit);

	ASSERT_EQ(0, holder.error);
	EXPECT_EQ(ETXTBSY, truncated(self->path));
	end_holder(holder);
	EXPECT_TRUE(settle(no_lease));
	EXPECT_EQ(0, truncated(self->path));
}

/* Killed at some time between open and the end of the pin: never a hang. */
TEST_F(layout, sigkill_at_any_time_leaves_nothing)
{
	pid_t pid;
	int i;

	for (i = 0; i < 100; i++) {
		pid = fork();
		if (!pid)
			hold_and_wait(self->path, self->unit);
		usleep(i * 100);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		ASSERT_TRUE(settle(no_lease));
	}
	EXPECT_EQ(0, truncated(self->path));
}

TEST_F(layout, exit_in_both_orders_of_descriptors)
{
	int first;

	for (first = 0; first < 2; first++) {
		EXPECT_EQ(0, elsewhere(({
			struct pin p = { .fd = first ? open_owner() : -1 };
			int fd = open(self->path, O_RDWR), error;

			error = set_lease(fd, EXCLUSIVE);
			if (!first)
				p.fd = open_owner();
			error ?: pin_with(p.fd, map_file(fd, self->unit),
					  PAGE, PIN_WRITE | PIN_FAST);
		})));
		EXPECT_TRUE(settle(no_lease));
	}
}

static bool shows(pid_t pid, const char *path)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/%d/file_pins", pid);
	return count_lines(name, path);
}

/* The first process dies; whoever has the owner has the pins. */
TEST_F(layout, pins_follow_the_owner_to_a_child)
{
	int owner = open_owner();

	EXPECT_EQ(0, elsewhere(({
		int fd = open(self->path, O_RDWR);

		set_lease(fd, EXCLUSIVE) ?:
			pin_with(owner, map_file(fd, self->unit), PAGE,
				 PIN_WRITE | PIN_FAST);
	})));
	EXPECT_EQ(1, count_locks("LAYOUT ZOMBIE    EXCL"));
	EXPECT_TRUE(shows(getpid(), self->path));
	EXPECT_EQ(ETXTBSY, truncate(self->path, 0) ? errno : 0);
	close(owner);
	EXPECT_TRUE(settle(no_lease));
	EXPECT_EQ(0, truncate(self->path, 0) ? errno : 0);
}

TEST_F(layout, pins_follow_the_owner_by_pidfd)
{
	struct holder holder = start_holder(self->path, EXCLUSIVE, self->unit,
					    0, PAGE);
	int pidfd = syscall(SYS_pidfd_open, holder.pid, 0), fd, owner = -1;
	char name[64], target[64];
	ssize_t size;

	ASSERT_EQ(0, holder.error);
	for (fd = 3; fd < 64 && owner < 0; fd++) {
		snprintf(name, sizeof(name), "/proc/%d/fd/%d", holder.pid, fd);
		size = readlink(name, target, sizeof(target) - 1);
		target[size > 0 ? size : 0] = 0;
		if (strstr(target, "gup_test"))
			owner = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	}
	ASSERT_LE(0, owner);
	end_holder(holder);
	EXPECT_TRUE(shows(getpid(), self->path));
	EXPECT_EQ(ETXTBSY, truncated(self->path));
	close(owner);
	close(pidfd);
	EXPECT_TRUE(settle(no_lease));
}

/* In a socket no process has it: then root sees it in debugfs. */
TEST_F(layout, owner_in_flight_keeps_pins)
{
	struct pin p;
	int pair[2];

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	ASSERT_EQ(0, send_descriptor(pair[0], p.fd));
	unpin(p);
	let_go(self);
	EXPECT_EQ(0, shows(getpid(), self->path));
	EXPECT_EQ(1, count_lines("/sys/kernel/debug/layout_pin/pins",
				 "gup_test"));
	EXPECT_EQ(ETXTBSY, truncated(self->path));
	close(pair[0]);
	close(pair[1]);
	EXPECT_TRUE(settle(no_lease));
}

static unsigned long free_blocks(FIXTURE_DATA(layout) *self)
{
	struct statvfs st;
	int fd = open(kind_dir(&self->kind), O_RDONLY);

	syncfs(fd);
	close(fd);
	return statvfs(kind_dir(&self->kind), &st) ? 0 : st.f_bfree;
}

/* Blocks of a file without a name go back when the last pin is gone. */
static void freed_at_last_unpin(struct __test_metadata *_metadata,
				FIXTURE_DATA(layout) *self, bool rename_over)
{
	unsigned long before, blocks = UNITS * self->unit / PAGE;
	char other[64];
	struct pin p;
	int i;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, self->unit);
	ASSERT_EQ(0, p.error);
	if (rename_over) {
		close(open(kind_path(&self->kind, other, "other"),
			   O_CREAT | O_RDWR, 0600));
		ASSERT_EQ(0, rename(other, self->path));
	} else {
		ASSERT_EQ(0, unlink(self->path));
	}
	let_go(self);
	before = free_blocks(self);
	unpin(p);
	for (i = 0; i < 200 && free_blocks(self) < before + blocks; i++)
		usleep(10000);
	EXPECT_LE(before + blocks, free_blocks(self));
}

TEST_F(layout, unlinked_file_is_freed_at_last_unpin)
{
	freed_at_last_unpin(_metadata, self, false);
}

TEST_F(layout, file_renamed_over_is_freed_at_last_unpin)
{
	freed_at_last_unpin(_metadata, self, true);
}

TEST_F(layout, umount_and_read_only_remount_are_busy)
{
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	let_go(self);
	EXPECT_EQ(EBUSY, umount(kind_dir(&self->kind)) ? errno : 0);
	EXPECT_EQ(EBUSY, mount(NULL, kind_dir(&self->kind), NULL,
			       MS_REMOUNT | MS_RDONLY, "dax") ? errno : 0);
	unpin(p);
}

/* A file system can be frozen under pins, which can go while it is. */
TEST_F(layout, freeze_succeeds_and_unpin_goes_on)
{
	struct pin p;
	int fd;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	fd = open(kind_dir(&self->kind), O_RDONLY);
	ASSERT_EQ(0, ioctl(fd, FIFREEZE, 0));
	unpin(p);
	EXPECT_EQ(0, count_pins());
	EXPECT_EQ(0, ioctl(fd, FITHAW, 0));
	close(fd);
}

TEST_F(layout, dax_flag_may_change_under_pins)
{
	struct fsxattr attr;
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	ASSERT_EQ(0, ioctl(self->fd, FS_IOC_FSGETXATTR, &attr));
	attr.fsx_xflags ^= FS_XFLAG_DAX;
	EXPECT_EQ(0, ioctl(self->fd, FS_IOC_FSSETXATTR, &attr));
	EXPECT_EQ(ETXTBSY, ftruncate(self->fd, 0) ? errno : 0);
	strcpy(self->memory, "still the block");
	EXPECT_EQ(0, fsync(self->fd));
	attr.fsx_xflags ^= FS_XFLAG_DAX;
	EXPECT_EQ(0, ioctl(self->fd, FS_IOC_FSSETXATTR, &attr));
	unpin(p);
}

/* EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN have one number. */
TEST_F(layout, pins_live_through_a_shutdown)
{
	__u32 no_flush = 2;
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	ASSERT_EQ(0, ioctl(self->fd, _IOR('X', 125, __u32), &no_flush));
	EXPECT_NE(0, ftruncate(self->fd, 0));
	EXPECT_EQ(1, count_pins());
	EXPECT_EQ(EBUSY, set_lease(self->fd, F_UNLCK));
	unpin(p);
	EXPECT_EQ(0, count_pins());
	let_go(self);
	ASSERT_EQ(0, kind_umount(&self->kind));
	/* The journal may be dirty: what comes next replays it. */
	ASSERT_EQ(0, kind_mount(&self->kind));
}

/* The device is gone when the last pin is, and not before. */
TEST_F(layout, unbind_waits_for_pins_and_says_for_whom)
{
	struct pin p;
	int status;
	pid_t pid;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	let_go(self);
	pid = fork();
	if (!pid) {
		close(p.fd);	/* or it would hold what it waits for */
		_exit(kind_driver(&self->kind, "unbind"));
	}
	EXPECT_TRUE(unbind_names(getpid()));
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	EXPECT_EQ(1, count_pins());
	unpin(p);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	ASSERT_EQ(0, kind_anew(&self->kind));
}

struct change {
	int fd;
	int error;
	double took;
};

static void *truncate_in_a_thread(void *arg)
{
	struct change *change = arg;
	double start = seconds();

	change->error = ftruncate(change->fd, 0) ? errno : 0;
	change->took = seconds() - start;
	return NULL;
}

TEST_F(layout, short_reference_is_waited_for)
{
	struct change change = { .fd = self->fd, .error = -1 };
	pthread_t thread;
	int fds[2];

	*self->memory = 'x';
	ASSERT_EQ(0, short_reference(self->memory, fds));
	ASSERT_EQ(0, pthread_create(&thread, NULL, truncate_in_a_thread,
				    &change));
	usleep(500000);
	EXPECT_EQ(-1, change.error);
	drop_reference(fds);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, change.error);
	EXPECT_LE(0.3, change.took);
}

/*
 * A pin may come while a change waits for something short: no waiting for that.
 */
TEST_F(layout, pin_that_comes_later_refuses_the_change)
{
	struct change change = { .fd = self->fd, .error = -1 };
	pthread_t thread;
	struct pin p;
	int fds[2];

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	*self->memory = 'x';
	ASSERT_EQ(0, short_reference(self->memory, fds));
	ASSERT_EQ(0, pthread_create(&thread, NULL, truncate_in_a_thread,
				    &change));
	usleep(500000);
	EXPECT_EQ(-1, change.error);
	p = pin(self->memory, PAGE);
	EXPECT_EQ(0, p.error);
	pthread_join(thread, NULL);
	EXPECT_EQ(ETXTBSY, change.error);
	EXPECT_GE(2.0, change.took);
	drop_reference(fds);
	unpin(p);
}

/* Elsewhere in the file nobody waits for it. */
TEST_F(layout, short_reference_does_not_stop_growth)
{
	double start = seconds();
	int fds[2];

	*self->memory = 'x';
	ASSERT_EQ(0, short_reference(self->memory, fds));
	EXPECT_EQ(0, ftruncate(self->fd, (UNITS + 1) * self->unit));
	EXPECT_EQ(0, fallocate(self->fd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       self->unit, self->unit));
	EXPECT_GE(1.0, seconds() - start);
	drop_reference(fds);
}

TEST_HARNESS_MAIN
