// SPDX-License-Identifier: GPL-2.0
/*
 * What keeps an open file, and so its lease, alive; who may pin under one whose
 * taker is dead; and leases taken while others take them or change the file.
 */
#include "identity.h"
#include "descriptor.h"
#include <linux/io_uring.h>

#define RACE		3.0	/* seconds */

static int active(void)
{
	return count_locks("LAYOUT ACTIVE    EXCL");
}

static int receive_and_pin(int from, long unit)
{
	int fd = receive_descriptor(from);

	if (fcntl(fd, F_GETLEASE) != EXCLUSIVE)
		return ENOLCK;
	return try_pin(map_file(fd, unit));
}

TEST_F(layout, descriptor_in_flight_keeps_the_lease)
{
	int pair[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, send_descriptor(pair[0], self->fd));
	let_go(self);
	EXPECT_EQ(1, active());
	EXPECT_EQ(ETXTBSY, truncated(self->path));
	EXPECT_EQ(EOPNOTSUPP, elsewhere(receive_and_pin(pair[1], self->unit)));
	/* The child was the last who had it. */
	EXPECT_TRUE(settle());
	EXPECT_EQ(0, truncated(self->path));

	/* The taker may have it back. */
	self->fd = make_file(self->path, self->unit);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, send_descriptor(pair[0], self->fd));
	let_go(self);
	EXPECT_EQ(1, active());
	self->fd = receive_descriptor(pair[1]);
	self->memory = map_file(self->fd, self->unit);
	EXPECT_EQ(0, try_pin(self->memory));
	close(pair[0]);
	close(pair[1]);
}

/* A socket sent to itself: only the collector finds that nobody has it. */
TEST_F(layout, descriptor_in_a_lost_socket_lets_go)
{
	int pair[2], i, other;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, send_descriptor(pair[0], self->fd));
	ASSERT_EQ(0, send_descriptor(pair[0], pair[1]));
	let_go(self);
	EXPECT_EQ(1, active());
	close(pair[0]);
	close(pair[1]);
	for (i = 0; i < 100 && active(); i++) {
		/* The release of any socket starts it. */
		other = socket(AF_UNIX, SOCK_STREAM, 0);
		close(other);
		usleep(10000);
	}
	EXPECT_EQ(0, active());
}

TEST_F(layout, descriptor_got_by_pidfd_gives_no_right)
{
	struct holder holder = start(0, take_own, self);
	int pidfd = syscall(SYS_pidfd_open, holder.pid, 0), fd;

	ASSERT_EQ(0, holder.error);
	fd = syscall(SYS_pidfd_getfd, pidfd, LEASE_FD, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(EXCLUSIVE, fcntl(fd, F_GETLEASE));
	EXPECT_EQ(EOPNOTSUPP, try_pin(self->memory));
	end_holder(holder);
	EXPECT_EQ(1, active());
	EXPECT_EQ(ETXTBSY, truncate(self->path, 0) ? errno : 0);
	EXPECT_EQ(EOPNOTSUPP, try_pin(self->memory));

	ASSERT_EQ(0, set_lease(fd, EXCLUSIVE));
	EXPECT_EQ(0, try_pin(self->memory));
	EXPECT_EQ(1, locks_of("ACTIVE    EXCL", getpid()));
	close(fd);
	close(pidfd);
	EXPECT_EQ(0, count_locks("LAYOUT"));
}

TEST_F(layout, descriptor_registered_with_io_uring_keeps_the_lease)
{
	struct io_uring_params params = { };
	int ring = syscall(SYS_io_uring_setup, 1, &params), other;
	char *memory;

	if (ring < 0)
		SKIP(return, "no io_uring here");
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES,
			     &self->fd, 1));
	let_go(self);
	EXPECT_EQ(1, active());
	EXPECT_EQ(ETXTBSY, truncated(self->path));

	/* It is live, so that its taker may pin by another mapping. */
	other = open(self->path, O_RDWR);
	memory = map_file(other, self->unit);
	EXPECT_EQ(0, try_pin(memory));
	munmap(memory, UNITS * self->unit);
	close(other);

	close(ring);
	EXPECT_TRUE(settle());
	EXPECT_EQ(0, truncated(self->path));
}

/* The last of them, in whichever process it is. */
TEST_F(layout, duplicates_keep_the_lease)
{
	int fd = fcntl(self->fd, F_DUPFD_CLOEXEC, LEASE_FD);
	pid_t pid;

	ASSERT_EQ(LEASE_FD, fd);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	let_go(self);
	EXPECT_EQ(1, active());
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	close(fd);
	EXPECT_EQ(1, active());
	EXPECT_EQ(ETXTBSY, truncated(self->path));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_TRUE(settle());
	EXPECT_EQ(0, truncated(self->path));
}

/* Another program in a process that has this; returns when it runs. */
static pid_t run_another_program(struct layout_file *self, int owner)
{
	int tell[2], fd;
	char byte;
	pid_t pid;

	if (pipe2(tell, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		fd = open(self->path, O_RDWR | O_CLOEXEC);
		if (set_lease(fd, EXCLUSIVE) ||
		    (owner >= 0 &&
		     pin_with(owner, map_file(fd, self->unit), PAGE,
			      PIN_WRITE | PIN_FAST)))
			_exit(1);
		execlp("sleep", "sleep", "100", NULL);
		_exit(1);
	}
	close(tell[1]);
	if (read(tell[0], &byte, 1))
		return -1;
	close(tell[0]);
	return pid;
}

TEST_F(layout, exec_drops_a_close_on_exec_lease)
{
	pid_t pid = run_another_program(self, -1);

	EXPECT_TRUE(settle());
	EXPECT_EQ(0, kill(pid, SIGKILL));
	waitpid(pid, NULL, 0);
}

/* The driver's descriptor is not closed by it: the pins go on. */
TEST_F(layout, exec_leaves_a_zombie_with_pins)
{
	int owner = open("/sys/kernel/debug/gup_test", O_RDWR);
	pid_t pid = run_another_program(self, owner);

	close(owner);
	EXPECT_EQ(1, locks_of("ZOMBIE    EXCL", pid));
	EXPECT_EQ(1, shown(pid, self->path));
	EXPECT_EQ(ETXTBSY, truncated(self->path));
	EXPECT_EQ(0, kill(pid, SIGKILL));
	waitpid(pid, NULL, 0);
	EXPECT_TRUE(settle());
}

/*
 * The taker pins through an owner of ours and is dead: who shares the open
 * file takes the lease again, and the pins are under it.
 */
static void retake(struct __test_metadata *_metadata, struct layout_file *self,
		   bool reap)
{
	int owner = open_owner();
	siginfo_t info;
	pid_t pid = fork();

	if (!pid)
		_exit(set_lease(self->fd, EXCLUSIVE) ?:
		      pin_with(owner, self->memory, PAGE,
			       PIN_WRITE | PIN_FAST));
	ASSERT_EQ(0, waitid(P_PID, pid, &info,
			    WEXITED | (reap ? 0 : WNOWAIT)));
	ASSERT_EQ(0, info.si_status);
	EXPECT_EQ(1, active());
	EXPECT_EQ(1, count_pins());
	EXPECT_EQ(EOPNOTSUPP, try_pin(self->memory));
	EXPECT_EQ(ETXTBSY, ftruncate(self->fd, PAGE) ? errno : 0);

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(1, locks_of("ACTIVE    EXCL", getpid()));
	EXPECT_EQ(0, try_pin(self->memory));
	EXPECT_EQ(0, try_pin(self->memory + PAGE));
	EXPECT_EQ(0, ftruncate(self->fd, PAGE) ? errno : 0);
	EXPECT_EQ(ETXTBSY, ftruncate(self->fd, 0) ? errno : 0);
	EXPECT_EQ(EBUSY, set_lease(self->fd, F_UNLCK));
	close(owner);
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	if (!reap)
		waitpid(pid, NULL, 0);
}

TEST_F(layout, who_shares_the_file_takes_over_from_the_dead)
{
	retake(_metadata, self, true);
}

/* Dead is dead, also while nobody has waited for it. */
TEST_F(layout, who_shares_the_file_takes_over_from_the_unreaped)
{
	retake(_metadata, self, false);
}

struct contest {
	int fd;
	int *holders;
	int bad;
	int granted;
};

/* An exclusive lease of two open files is held by one at any time. */
static void *take_and_drop(void *arg)
{
	struct contest *contest = arg;
	double end = seconds() + RACE;
	int error;

	while (seconds() < end) {
		error = set_lease(contest->fd, EXCLUSIVE);
		if (error) {
			contest->bad += error != EAGAIN;
			continue;
		}
		contest->granted++;
		contest->bad += __atomic_add_fetch(contest->holders, 1,
						   __ATOMIC_SEQ_CST) != 1;
		__atomic_sub_fetch(contest->holders, 1, __ATOMIC_SEQ_CST);
		contest->bad += set_lease(contest->fd, F_UNLCK) != 0;
	}
	return NULL;
}

TEST_F(layout, threads_take_and_drop_one_at_a_time)
{
	int holders = 0, other = open(self->path, O_RDWR), i;
	struct contest contests[2] = {
		{ .fd = self->fd, .holders = &holders },
		{ .fd = other, .holders = &holders },
	};
	pthread_t threads[2];

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, take_and_drop,
					    &contests[i]));
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, contests[i].bad);
		EXPECT_LT(0, contests[i].granted);
	}
	close(other);
	EXPECT_EQ(0, count_locks("LAYOUT"));
}

/* Up and down until it is killed; an answer other than these ends it. */
static pid_t start_truncating(struct layout_file *self, int allowed)
{
	pid_t pid = fork();
	int i, error;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0;; i++) {
		error = truncate(self->path, (i % 2 + 1) * self->unit) ?
			errno : 0;
		if (error && error != allowed)
			_exit(error);
	}
}

static void end_truncating(struct __test_metadata *_metadata, pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status)) {
		TH_LOG("truncate: %s", strerror(WEXITSTATUS(status)));
	}
}

static volatile sig_atomic_t signals;

static void count_signal(int sig)
{
	signals++;
}

TEST_F(layout, lease_is_broken_while_it_is_taken)
{
	double end = seconds() + RACE;
	pid_t pid = start_truncating(self, 0);
	int error, granted = 0, bad = 0;

	signal(SIGIO, count_signal);
	while (seconds() < end) {
		error = set_lease(self->fd, F_LAYOUT);
		granted += !error;
		bad += error && error != EAGAIN;
		/* Time was up, or it is dropped now. */
		error = set_lease(self->fd, F_UNLCK);
		bad += error && error != EAGAIN;
	}
	end_truncating(_metadata, pid);
	EXPECT_EQ(0, bad);
	EXPECT_LT(0, granted);
	TH_LOG("%d leases, %d signals", granted, (int)signals);
	EXPECT_EQ(0, count_locks("LAYOUT"));
	EXPECT_EQ(0, truncated(self->path));
}

/* Who has the lease and then looks sees a file that nobody shrinks. */
TEST_F(layout, file_does_not_shrink_once_the_lease_is_had)
{
	double end = seconds() + RACE;
	pid_t pid = start_truncating(self, ETXTBSY);
	struct stat before, after;
	int granted = 0, shrunk = 0, i;

	while (seconds() < end) {
		ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
		granted++;
		fstat(self->fd, &before);
		for (i = 0; i < 20; i++)
			sched_yield();
		fstat(self->fd, &after);
		shrunk += after.st_size < before.st_size;
		ASSERT_EQ(0, set_lease(self->fd, F_UNLCK));
		/* The next one comes at any point of a truncate. */
		usleep(random() % 2000);
	}
	end_truncating(_metadata, pid);
	EXPECT_LT(0, granted);
	EXPECT_EQ(0, shrunk) {
		TH_LOG("%d of %d times", shrunk, granted);
	}
}

TEST_HARNESS_MAIN
