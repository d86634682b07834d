// SPDX-License-Identifier: GPL-2.0
/*
 * What is so again after a wait for a breakable lease, and who has to wait for
 * one, or may make others lose theirs, at all.
 */
#define LAYOUT_PIN_SMALL_ONLY
#include "layout_pin_fixture.h"
#include "asked_holder.h"
#include "short_reference.h"
#include "ext4_ioctl.h"
#include <limits.h>
#include <linux/fs.h>
#include <sys/resource.h>
#include <sys/swap.h>

#define UNBREAK		(F_LAYOUT | F_UNBREAK)
#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)
#define PUNCH		(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define NOBODY		65534

/* "At once", for a machine whose instructions are emulated. */
#define AT_ONCE		2.0

static int punch(int fd, long at, long len)
{
	return fallocate(fd, PUNCH, at, len) ? errno : 0;
}

static int set_flags(int fd, int flags)
{
	return ioctl(fd, FS_IOC_SETFLAGS, &flags) ? errno : 0;
}

static int get_flags(int fd)
{
	int flags = 0;

	ioctl(fd, FS_IOC_GETFLAGS, &flags);
	return flags;
}

/* An immutable file loses no block, also if it became so during the wait. */
TEST_F(layout, fallocate_looks_again_at_immutable)
{
	int flags = get_flags(self->fd), status;
	struct holder holder = hold(self->path);
	struct stat before, after;
	pid_t pid;

	ASSERT_EQ(0, holder.error);
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, fstat(self->fd, &before));
	pid = fork();
	if (!pid)
		_exit(punch(self->fd, 0, self->unit));
	EXPECT_TRUE(is_asked());
	EXPECT_EQ(0, set_flags(self->fd, flags | FS_IMMUTABLE_FL));
	shared->let_go = 1;
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(EPERM, WEXITSTATUS(status));
	ASSERT_EQ(0, fstat(self->fd, &after));
	EXPECT_EQ(before.st_blocks, after.st_blocks);
	EXPECT_EQ(0, set_flags(self->fd, flags));
	end_holder(holder);
}

/* The same of a file that may only grow, which truncate(2) looks at first. */
TEST_F(layout, truncate_looks_again_at_append_only)
{
	int flags = get_flags(self->fd), status;
	struct holder holder = hold(self->path);
	struct stat st;
	pid_t pid;

	ASSERT_EQ(0, holder.error);
	pid = fork();
	if (!pid)
		_exit(truncate(self->path, 0) ? errno : 0);
	EXPECT_TRUE(is_asked());
	EXPECT_EQ(0, set_flags(self->fd, flags | FS_APPEND_FL));
	shared->let_go = 1;
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(EPERM, WEXITSTATUS(status));
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(UNITS * self->unit, st.st_size);
	EXPECT_EQ(0, set_flags(self->fd, flags));
	end_holder(holder);
}

/* A breakable lease is in the way of swapon; it asks nobody. */
TEST_F(layout, no_swap_to_a_breakable_lease)
{
	struct holder holder;
	char command[512];

	ASSERT_EQ(0, mount_again(self, "dax=never"));
	snprintf(command, sizeof(command),
		 "dd if=/dev/zero of=%s bs=64k count=16 2>/dev/null; "
		 "chmod 600 %s; mkswap %s >/dev/null",
		 self->path, self->path, self->path);
	ASSERT_EQ(0, system(command));
	holder = hold(self->path);
	ASSERT_EQ(0, holder.error);
	EXPECT_EQ(ETXTBSY, swapon(self->path, 0) ? errno : 0);
	EXPECT_EQ(0, shared->asked);
	end_holder(holder);
	EXPECT_EQ(0, swapon(self->path, 0) ? errno : 0);
	swapoff(self->path);
}

/* Who opens with O_NONBLOCK asks the holders, but does not wait. */
TEST_F(layout, nonblocking_open_does_not_wait)
{
	struct holder holder = hold(self->path);
	double start = seconds();
	int fd, status;
	pid_t pid;

	ASSERT_EQ(0, holder.error);
	fd = open(self->path, O_RDWR | O_TRUNC | O_NONBLOCK);
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_GE(AT_ONCE, seconds() - start);
	EXPECT_TRUE(is_asked());
	/* The descriptor of a regular file waits, as ever. */
	fd = open(self->path, O_RDWR | O_NONBLOCK);
	pid = fork();
	if (!pid)
		_exit(ftruncate(fd, 0) ? errno : 0);
	EXPECT_FALSE(ends_within(pid, &status, 0.3));
	shared->let_go = 1;
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	close(fd);
	end_holder(holder);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int sig)
{
	alarms++;
}

/* A truncate that waits for a page has the inode lock: not for F_SETLEASE. */
TEST_F(layout, setlease_does_not_sleep_on_a_change)
{
	int pipe_fds[2], status, error;
	double start;
	pid_t pid;

	*self->memory = 'x';
	ASSERT_EQ(0, short_reference(self->memory, pipe_fds));
	pid = fork();
	if (!pid) {
		/* Or the pipe would have a reader for as long as this waits. */
		drop_reference(pipe_fds);
		_exit(truncate(self->path, 0) ? errno : 0);
	}
	EXPECT_FALSE(ends_within(pid, &status, 0.5));
	start = seconds();
	EXPECT_EQ(EAGAIN, set_lease(self->fd, F_LAYOUT));
	EXPECT_GE(AT_ONCE, seconds() - start);
	/* Any signal ends it, if it is in time. */
	signal(SIGALRM, count_alarm);
	ualarm(20000, 0);
	error = set_lease(self->fd, EXCLUSIVE);
	EXPECT_TRUE(error == EINTR || error == EAGAIN);
	while (!alarms)
		usleep(1000);
	drop_reference(pipe_fds);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	EXPECT_EQ(0, set_lease(self->fd, EXCLUSIVE));
}

/* What is preallocated behind the end is nobody's. */
TEST_F(layout, same_size_is_no_change)
{
	struct holder holder = hold(self->path);
	struct stat before, after;
	long size = UNITS * self->unit;

	ASSERT_EQ(0, holder.error);
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, fstat(self->fd, &before));
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_KEEP_SIZE, size, 64 * PAGE));
	EXPECT_EQ(0, ftruncate(self->fd, size) ? errno : 0);
	EXPECT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, fstat(self->fd, &after));
	EXPECT_LE(after.st_blocks, before.st_blocks + 8);
	EXPECT_EQ(0, shared->asked);
	end_holder(holder);

	holder = start_holder(self->path, EXCLUSIVE, self->unit, 0, PAGE);
	ASSERT_EQ(0, holder.error);
	EXPECT_EQ(0, ftruncate(self->fd, size) ? errno : 0);
	EXPECT_EQ(ETXTBSY, ftruncate(self->fd, size - 1) ? errno : 0);
	end_holder(holder);
}

static int take_and_drop(const char *path)
{
	int fd;

	if (setuid(NOBODY))
		return errno;
	fd = open(path, O_RDWR);
	if (set_lease(fd, EXCLUSIVE))
		return 100;
	/* Root gives the file away meanwhile. */
	kill(getpid(), SIGSTOP);
	if (set_lease(fd, F_UNLCK))
		return errno;
	return set_lease(fd, F_LAYOUT) == EACCES ? 0 : 101;
}

/* The new owner waits for nothing else. */
TEST_F(layout, unlock_after_chown)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, fchown(self->fd, NOBODY, NOBODY));
	pid = fork();
	if (!pid)
		_exit(take_and_drop(self->path));
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(0, fchown(self->fd, 0, 0));
	kill(pid, SIGCONT);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	EXPECT_EQ(0, truncate(self->path, 0) ? errno : 0);
}

/* A success would be one for nothing: the right to pin stays. */
TEST_F(layout, no_retaking_from_under_anothers_pins)
{
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	EXPECT_EQ(EBUSY, elsewhere(set_lease(self->fd, UNBREAK)));
	EXPECT_EQ(EBUSY, elsewhere(set_lease(self->fd, EXCLUSIVE)));
	EXPECT_EQ(UNBREAK, fcntl(self->fd, F_GETLEASE));
	EXPECT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	unpin(p);
	EXPECT_EQ(0, elsewhere(set_lease(self->fd, UNBREAK)));
}

/* What a reader of a file of somebody else does, as nobody. */
static int copy_as_nobody(const char *from, const char *to, bool clone)
{
	int in, out;
	ssize_t done;

	if (setuid(NOBODY))
		return errno;
	in = open(from, O_RDONLY);
	out = open(to, O_RDWR);
	if (in < 0 || out < 0)
		return errno;
	if (clone)
		return ioctl(out, FICLONE, in) ? errno : 0;
	done = copy_file_range(in, NULL, out, NULL, PAGE, 0);
	return done == PAGE ? 0 : done < 0 ? errno : ENODATA;
}

/* Without reflink the row is that copying asks nobody. */
TEST_F(layout, reading_breaks_no_lease)
{
	bool shares = kind_fs(&self->kind)->shares_blocks;
	struct holder holder;
	double start;
	char path[64];
	int other;

	memset(self->memory, 'a', UNITS * self->unit);
	other = make_file(kind_path(&self->kind, path, "other"), self->unit);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, fchown(other, NOBODY, NOBODY));
	holder = hold(self->path);
	ASSERT_EQ(0, holder.error);
	start = seconds();
	EXPECT_EQ(0, elsewhere(copy_as_nobody(self->path, path, false)));
	EXPECT_EQ(shares ? ETXTBSY : EOPNOTSUPP,
		  elsewhere(copy_as_nobody(self->path, path, true)));
	/* Not by root either, and not into the file. */
	EXPECT_EQ(PAGE, copy_file_range(self->fd, &(loff_t){ 0 }, other,
					&(loff_t){ 0 }, PAGE, 0));
	EXPECT_EQ(PAGE, copy_file_range(other, &(loff_t){ 0 }, self->fd,
					&(loff_t){ 0 }, PAGE, 0));
	EXPECT_GE(AT_ONCE, seconds() - start);
	EXPECT_EQ(0, shared->asked);
	EXPECT_EQ(1, count_locks("LAYOUT ACTIVE"));
	/* Who could take it himself asks. */
	if (shares) {
		shared->let_go = 1;
		EXPECT_EQ(0, ioctl(other, FICLONE, self->fd) ? errno : 0);
	}
	end_holder(holder);
	close(other);
	unlink(path);
}

/* What cannot succeed asks nobody. */
TEST_F(layout, wrong_arguments_break_no_lease)
{
	struct move_extent args = { .orig_start = 1 << 20,
				    .donor_start = 1 << 20, .len = 1 };
	struct holder holder;
	double start;
	char path[64];
	int other;

	if (!kind_is(&self->kind, "ext4"))
		SKIP(return, "MOVE_EXT is ext4's");
	ASSERT_EQ(0, mount_again(self, "dax=never"));
	self->fd = open(self->path, O_RDWR);
	other = make_file(kind_path(&self->kind, path, "other"), self->unit);
	ASSERT_LE(0, other);
	args.donor_fd = other;
	holder = hold(self->path);
	ASSERT_EQ(0, holder.error);
	start = seconds();
	EXPECT_EQ(EINVAL,
		  ioctl(self->fd, EXT4_IOC_MOVE_EXT, &args) ? errno : 0);
	EXPECT_GE(AT_ONCE, seconds() - start);
	EXPECT_EQ(0, shared->asked);
	end_holder(holder);
	close(other);
	unlink(path);
}

struct wrong_range {
	int mode;
	long at, len;
	int error;
};

/* Which both file systems refuse, whoever has the file. */
static const struct wrong_range wrong_ranges[] = {
	/* Not whole blocks. */
	{ FALLOC_FL_COLLAPSE_RANGE, 1, PAGE, EINVAL },
	{ FALLOC_FL_COLLAPSE_RANGE, 0, 1, EINVAL },
	{ FALLOC_FL_INSERT_RANGE, 1, PAGE, EINVAL },
	{ FALLOC_FL_INSERT_RANGE, 0, 1, EINVAL },
	/* To the end, and behind it. */
	{ FALLOC_FL_COLLAPSE_RANGE, 0, UNITS * PAGE, EINVAL },
	{ FALLOC_FL_COLLAPSE_RANGE, UNITS * PAGE, PAGE, EINVAL },
	{ FALLOC_FL_INSERT_RANGE, UNITS * PAGE, PAGE, EINVAL },
	/* More than a file can have, and than this process may write. */
	{ FALLOC_FL_INSERT_RANGE, 0, LONG_MAX & -PAGE, EFBIG },
	{ FALLOC_FL_ZERO_RANGE, 0, (UNITS + 1) * PAGE, EFBIG },
};

TEST_F(layout, wrong_ranges_break_no_lease)
{
	struct rlimit old, small = { UNITS * PAGE, RLIM_INFINITY };
	const struct wrong_range *r = wrong_ranges;
	struct holder holder;
	double start;
	pid_t pid;
	int status;

	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &old));
	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &small));
	holder = hold(self->path);
	ASSERT_EQ(0, holder.error);
	start = seconds();
	for (; r < wrong_ranges + ARRAY_SIZE(wrong_ranges); r++)
		EXPECT_EQ(r->error,
			  fallocate(self->fd, r->mode, r->at, r->len) ?
			  errno : 0) {
			TH_LOG("mode %d, %ld bytes at %ld", r->mode, r->len,
			       r->at);
		}
	EXPECT_GE(AT_ONCE, seconds() - start);
	EXPECT_EQ(0, shared->asked);
	EXPECT_EQ(1, count_locks("LAYOUT ACTIVE"));
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &old));
	/* The test of the test: what is right asks. */
	pid = fork();
	if (!pid)
		_exit(fallocate(self->fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE) ?
		      errno : 0);
	EXPECT_TRUE(is_asked());
	shared->let_go = 1;
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	end_holder(holder);
}

static int truncate_as_nobody(const char *path)
{
	return setuid(NOBODY) || truncate(path, 0) ? errno : 0;
}

/* He may keep the page in use himself, for as long as he likes. */
TEST_F(layout, stranger_who_waits_for_a_page_keeps_nobody_from_a_lease)
{
	int pipe_fds[2], status;
	pid_t pid;

	ASSERT_EQ(0, fchmod(self->fd, 0666));
	*self->memory = 'x';
	ASSERT_EQ(0, short_reference(self->memory, pipe_fds));
	pid = fork();
	if (!pid) {
		drop_reference(pipe_fds);
		_exit(truncate_as_nobody(self->path));
	}
	EXPECT_FALSE(ends_within(pid, &status, 0.5));
	/* The change asks this process when it looks again. */
	signal(SIGIO, SIG_IGN);
	EXPECT_EQ(0, set_lease(self->fd, F_LAYOUT));
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	drop_reference(pipe_fds);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

/* An overlay of two folders of this file system, the file in one of them. */
static int mount_overlay(FIXTURE_DATA(layout) *self, const char *layer)
{
	const char *dir = kind_dir(&self->kind);
	char command[512];

	snprintf(command, sizeof(command),
		 "cd %s && mkdir -p lower upper work merged && mv file %s/ && "
		 "mount -t overlay "
		 "-o lowerdir=lower,upperdir=upper,workdir=work "
		 "overlay merged", dir, layer);
	snprintf(self->path, sizeof(self->path), "%s/%s/file", dir, layer);
	return system(command);
}

static int umount_overlay(FIXTURE_DATA(layout) *self)
{
	char command[512];

	let_go(self);
	snprintf(command, sizeof(command), "cd %s && umount merged && "
		 "rm -rf lower upper work merged", kind_dir(&self->kind));
	return system(command);
}

static int open_for_writing(const char *path)
{
	return open(path, O_RDWR) < 0 ? errno : 0;
}

/* It clones where it can, as a copy. */
TEST_F(layout, copy_up_breaks_no_lease)
{
	struct holder holder;
	char path[128];
	double start;

	*self->memory = 'x';
	ASSERT_EQ(0, mount_overlay(self, "lower"));
	kind_path(&self->kind, path, "merged/file");
	holder = hold(self->path);
	ASSERT_EQ(0, holder.error);
	start = seconds();
	EXPECT_EQ(0, elsewhere(open_for_writing(path)));
	EXPECT_GE(AT_ONCE, seconds() - start);
	EXPECT_EQ(0, shared->asked);
	EXPECT_EQ(1, count_locks("LAYOUT ACTIVE"));
	end_holder(holder);
	EXPECT_EQ(0, umount_overlay(self));
}

/* The overlay acts with the rights of root, who mounted it. */
TEST_F(layout, overlay_lends_nobody_its_rights)
{
	bool shares = kind_fs(&self->kind)->shares_blocks;
	struct holder holder;
	char from[128], to[128];
	double start;
	int fd;

	ASSERT_EQ(0, mount_overlay(self, "upper"));
	kind_path(&self->kind, from, "merged/file");
	kind_path(&self->kind, to, "merged/other");
	ASSERT_EQ(0, chmod(from, 0644));
	fd = open(to, O_CREAT | O_RDWR, 0644);
	ASSERT_EQ(0, fchown(fd, NOBODY, NOBODY));
	close(fd);
	holder = hold(self->path);
	ASSERT_EQ(0, holder.error);
	start = seconds();
	EXPECT_EQ(shares ? ETXTBSY : EOPNOTSUPP,
		  elsewhere(copy_as_nobody(from, to, true)));
	EXPECT_GE(AT_ONCE, seconds() - start);
	EXPECT_EQ(0, shared->asked);
	end_holder(holder);
	EXPECT_EQ(0, umount_overlay(self));
}

TEST_HARNESS_MAIN
