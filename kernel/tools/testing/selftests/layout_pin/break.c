// SPDX-License-Identifier: GPL-2.0
/*
 * Breakable leases while they are broken: what the holder can still do, who is
 * asked, and that the wait has an end whatever the holder does.
 */
#define LAYOUT_PIN_SMALL_ONLY
#include "layout_pin_fixture.h"
#include <linux/fs.h>
#include <pthread.h>

#define UNBREAK		(F_LAYOUT | F_UNBREAK)
#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)

/*
 * What a handler saw, in memory that processes share: it may run at any time.
 */
struct seen {
	volatile int asked;
	volatile int retaken;
};

static struct seen *seen_here;
static int handler_fd;

static void count_signal(int sig)
{
	seen_here->asked++;
}

static void write_and_let_go(int sig)
{
	if (pwrite(handler_fd, "last words", 10, 0) == 10)
		fcntl(handler_fd, F_SETLEASE, F_UNLCK);
	seen_here->asked++;
}

static void let_go_and_take_again(int sig)
{
	fcntl(handler_fd, F_SETLEASE, F_UNLCK);
	seen_here->retaken = set_lease(handler_fd, F_LAYOUT);
	seen_here->asked++;
}

/*
 * A holder in another process that handles its signal so, until it is killed.
 */
static pid_t hold(const char *path, void (*handler)(int), struct seen *seen)
{
	int tell[2];
	pid_t pid;
	char byte;

	if (pipe(tell))
		return -1;
	pid = fork();
	if (!pid) {
		seen_here = seen;
		handler_fd = open(path, O_RDWR);
		signal(SIGIO, handler);
		if (set_lease(handler_fd, F_LAYOUT) ||
		    write(tell[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(tell[1]);
	if (read(tell[0], &byte, 1) != 1)
		pid = -1;
	close(tell[0]);
	return pid;
}

static struct seen *shared_memory(void)
{
	return mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Nobody waits for a lease with the inode locked. */
TEST_F(layout, holder_may_write_before_it_lets_go)
{
	struct seen *seen = shared_memory();
	pid_t pid = hold(self->path, write_and_let_go, seen);
	double start = seconds();

	ASSERT_LT(0, pid);
	EXPECT_EQ(0, truncate(self->path, self->unit) ? errno : 0);
	EXPECT_GE(5.0, seconds() - start);
	pid = (end(pid), hold(self->path, write_and_let_go, seen));
	ASSERT_LT(0, pid);
	start = seconds();
	EXPECT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, 0, self->unit));
	EXPECT_GE(5.0, seconds() - start);
	end(pid);
}

/* The natural handler takes it again at once: not before the change is done. */
TEST_F(layout, lease_is_not_taken_again_under_a_break)
{
	struct seen *seen = shared_memory();
	pid_t pid = hold(self->path, let_go_and_take_again, seen);
	double start = seconds();

	ASSERT_LT(0, pid);
	EXPECT_EQ(0, truncate(self->path, self->unit) ? errno : 0);
	EXPECT_GE(5.0, seconds() - start);
	while (!seen->asked)
		usleep(1000);
	EXPECT_EQ(1, seen->asked);
	/* Or the change was quicker than the handler. */
	EXPECT_TRUE(seen->retaken == EAGAIN || seen->retaken == 0);
	EXPECT_EQ(0, set_lease(self->fd, F_LAYOUT));
	end(pid);
}

/* Whoever asks meanwhile has to ask again, whatever the kind. */
TEST_F(layout, no_lease_is_had_under_a_break)
{
	struct seen *seen = shared_memory();
	int status;
	pid_t holder = hold(self->path, count_signal, seen);
	pid_t pid = fork();

	ASSERT_LT(0, holder);
	if (!pid)
		_exit(truncate(self->path, 0) ? errno : 0);
	while (!seen->asked)
		usleep(1000);
	EXPECT_EQ(EAGAIN, set_lease(self->fd, F_LAYOUT));
	EXPECT_EQ(EAGAIN, set_lease(self->fd, UNBREAK));
	EXPECT_EQ(EAGAIN, set_lease(self->fd, EXCLUSIVE));
	end(holder);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	EXPECT_EQ(0, set_lease(self->fd, EXCLUSIVE));
}

/* Who takes it again is who is asked. */
TEST_F(layout, signal_goes_to_who_took_it_last)
{
	struct seen *first = shared_memory(), *last = shared_memory();
	int tell[2];
	char byte;
	pid_t pid;

	seen_here = first;
	signal(SIGIO, count_signal);
	ASSERT_EQ(0, set_lease(self->fd, F_LAYOUT));
	ASSERT_EQ(0, pipe(tell));
	pid = fork();
	if (!pid) {
		seen_here = last;
		handler_fd = self->fd;
		signal(SIGIO, write_and_let_go);
		if (set_lease(self->fd, F_LAYOUT) ||
		    write(tell[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	ASSERT_EQ(1, read(tell[0], &byte, 1));
	EXPECT_EQ(0, elsewhere(truncate(self->path, 0) ? errno : 0));
	while (!last->asked)
		usleep(1000);
	EXPECT_EQ(1, last->asked);
	EXPECT_EQ(0, first->asked);
	end(pid);
	close(tell[0]);
	close(tell[1]);
}

/* F_SETOWN chose nobody; that stays so when the lease changes hands. */
TEST_F(layout, nobody_is_who_was_chosen)
{
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, fcntl(self->fd, F_SETOWN, 0));
	EXPECT_EQ(0, elsewhere(set_lease(self->fd, EXCLUSIVE)));
	EXPECT_EQ(0, fcntl(self->fd, F_GETOWN));
}

/* Each of several holders is asked once, and all are waited for. */
TEST_F(layout, every_holder_is_asked_once)
{
	struct seen *seen[3];
	int i;
	pid_t pid[3];

	for (i = 0; i < 3; i++) {
		seen[i] = shared_memory();
		pid[i] = hold(self->path, write_and_let_go, seen[i]);
		ASSERT_LT(0, pid[i]);
	}
	EXPECT_EQ(0, truncate(self->path, 0) ? errno : 0);
	EXPECT_EQ(0, count_locks("LAYOUT"));
	for (i = 0; i < 3; i++) {
		while (!seen[i]->asked)
			usleep(1000);
		EXPECT_EQ(1, seen[i]->asked);
		end(pid[i]);
	}
}

/* Growth, writes and stores ask nobody. */
TEST_F(layout, what_moves_no_block_asks_nobody)
{
	struct seen *seen = shared_memory();
	pid_t pid = hold(self->path, count_signal, seen);

	ASSERT_LT(0, pid);
	EXPECT_EQ(4, pwrite(self->fd, "text", 4, 0));
	EXPECT_EQ(0, ftruncate(self->fd, (UNITS + 1) * self->unit));
	EXPECT_EQ(0, fallocate(self->fd, 0, 0, (UNITS + 2) * self->unit));
	*self->memory = 'x';
	EXPECT_EQ(0, fsync(self->fd));
	usleep(100000);
	EXPECT_EQ(0, seen->asked);
	end(pid);
}

static void *take_lease(void *fd)
{
	return (void *)(long)set_lease(*(int *)fd, F_LAYOUT);
}

/* Not the thread, which may be gone. */
TEST_F(layout, process_is_asked_whose_thread_took_it)
{
	double start = seconds();
	pthread_t thread;
	void *error;
	int status;
	pid_t pid;

	seen_here = shared_memory();
	handler_fd = self->fd;
	signal(SIGIO, write_and_let_go);
	ASSERT_EQ(0, pthread_create(&thread, NULL, take_lease, &self->fd));
	ASSERT_EQ(0, pthread_join(thread, &error));
	ASSERT_EQ(NULL, error);
	EXPECT_EQ(getpid(), fcntl(self->fd, F_GETOWN));
	pid = fork();
	if (!pid)
		_exit(truncate(self->path, 0) ? errno : 0);
	while (waitpid(pid, &status, 0) != pid)
		;
	EXPECT_EQ(0, status);
	EXPECT_GE(5.0, seconds() - start);
	EXPECT_EQ(1, seen_here->asked);
}

TEST_HARNESS_MAIN
