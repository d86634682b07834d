// SPDX-License-Identifier: GPL-2.0
/*
 * Nobody who has a file pinned stays out of sight: owners that are only mapped,
 * processes whose first thread has ended, who an unbind waits for; and what a
 * device wrote is seen by the times of the file.
 */
#define LAYOUT_PIN_SMALL_ONLY
#include "layout_pin_fixture.h"
#include "file_pins.h"
#include "rdma_loop.h"
#include "unbind.h"
#include <linux/fs.h>
#include <pthread.h>

#define MANY		150	/* more than the kernel looks at in one go */

/*
 * An RDMA context that lives in the mapped memory of its queues, and only
 * there.
 */
static int hold_by_mapping(const char *path)
{
	static struct rdma_loop loop;
	int fd = open(path, O_RDWR), error;
	void *memory = map_file(fd, PAGE);

	error = set_lease(fd, SHARED) ?: loop_open(&loop, PAGE) ?:
		loop_register(&loop, memory);
	if (error)
		return error;
	munmap(memory, UNITS * PAGE);
	return 0;
}

TEST_F(layout, owner_that_is_only_mapped_is_shown)
{
	int tell[2], status, error;
	char want[256];
	pid_t pid;

	ASSERT_EQ(0, pipe(tell));
	pid = fork();
	if (!pid) {
		error = hold_by_mapping(self->path);
		dup2(tell[1], 3);
		closefrom(4);
		tell_and_wait(3, error);
	}
	ASSERT_EQ(0, hear(tell));
	sprintf(want, "vma: /dev/infiniband/uverbs0\n\t%s\n", self->path);
	EXPECT_STREQ(want, file_pins_of(pid));
	EXPECT_EQ(ETXTBSY, ftruncate(self->fd, 0) ? errno : 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	EXPECT_STREQ("", file_pins());
}

/* Descriptor and mappings of one owner: one line for the descriptor. */
TEST_F(layout, owner_with_a_descriptor_is_not_shown_as_mapped)
{
	struct rdma_loop loop;
	char want[256];

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, loop_open(&loop, PAGE));
	ASSERT_EQ(0, loop_register(&loop, self->memory));
	sprintf(want, "%d: /dev/infiniband/uverbs0\n\t%s\n",
		loop.context->cmd_fd, self->path);
	EXPECT_STREQ(want, file_pins());
	loop_close(&loop);
}

static void *stay(void *unused)
{
	for (;;)
		pause();
	return NULL;
}

/*
 * Owner 4, say, and a file pinned by the mm: both are the process's, not the
 * thread's.
 */
static int pin_twice(const char *path)
{
	int fd = open(path, O_RDWR), error = set_lease(fd, SHARED);
	char *memory = map_file(fd, PAGE);
	struct pin p;

	if (error)
		return error;
	p = pin(memory, PAGE);
	return p.error ?: pin_with(open_owner(), memory + PAGE, PAGE,
				   PIN_WRITE | PIN_FAST | PIN_MM);
}

TEST_F(layout, process_without_its_first_thread_is_shown)
{
	char want[256], *at;
	pthread_t thread;
	int tell[2], error;
	pid_t pid;

	ASSERT_EQ(0, pipe(tell));
	pid = fork();
	if (!pid) {
		error = pin_twice(self->path);
		pthread_create(&thread, NULL, stay, NULL);
		if (write(tell[1], &error, sizeof(error)) < 0)
			_exit(1);
		pthread_exit(NULL);
	}
	ASSERT_EQ(0, hear(tell));
	sprintf(want, "/proc/%d/status", pid);
	while (!count_lines(want, "Z (zombie)"))
		usleep(10000);
	at = strchr(file_pins_of(pid), ':');
	sprintf(want, ": " OWNER "\n\t%s\n%s\n", self->path, self->path);
	EXPECT_STREQ(want, at ?: text);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Or "\134012" in a name could not be told from a newline. */
TEST_F(layout, backslash_in_a_path_can_be_read_back)
{
	char path[64], want[256];
	struct pin p;

	ASSERT_EQ(0, rename(self->path,
			    kind_path(&self->kind, path, "back\\012\nslash")));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	sprintf(want, "%d: " OWNER "\n\t%s/back\\134012\\012slash\n", p.fd,
		kind_dir(&self->kind));
	EXPECT_STREQ(want, file_pins());
	unpin(p);
	rename(path, self->path);
}

#define TRACING		"/sys/kernel/tracing/"
#define PROBE		TRACING "events/seen/paths/enable"

/* How many paths the kernel took under its lock, from now on, by a probe. */
static int start_counting(void)
{
	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	return write_text(TRACING "trace", "") ?:
		write_text(TRACING "kprobe_events",
			   "r:seen/paths layout_owner_paths n=$retval:u32\n") ?:
		write_text(PROBE, "1");
}

/* The most at once, of how many that are noted. */
static int stop_counting(int *nr)
{
	FILE *file = fopen(TRACING "trace", "re");
	char line[512], *at;
	int most = 0;

	for (*nr = 0; file && fgets(line, sizeof(line), file); ) {
		at = strstr(line, " n=");
		if (!at)
			continue;
		++*nr;
		if (atoi(at + 3) > most)
			most = atoi(at + 3);
	}
	if (file)
		fclose(file);
	write_text(PROBE, "0");
	write_text(TRACING "kprobe_events", "");
	return most;
}

/*
 * Each once, in the order of the pins, and only some under the lock at a time,
 * or all others who pin would wait for who reads.
 */
TEST_F(layout, many_files_are_each_shown_once)
{
	char *memory, *want = malloc(sizeof(text)), *at = want;
	char path[64], name[16];
	int i, nr, fd[MANY];
	struct pin p;

	memory = mmap(NULL, MANY * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	p.fd = open_owner();
	at += sprintf(at, "%d: " OWNER "\n", p.fd);
	for (i = 0; i < MANY; i++) {
		sprintf(name, "many%d", i);
		fd[i] = make_file(kind_path(&self->kind, path, name), PAGE);
		ASSERT_NE(MAP_FAILED, mmap(memory + i * PAGE, PAGE,
					   PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_FIXED, fd[i], 0));
		ASSERT_EQ(0, set_lease(fd[i], EXCLUSIVE));
		at += sprintf(at, "\t%s\n", path);
	}
	ASSERT_EQ(0, pin_with(p.fd, memory, MANY * PAGE, PIN_WRITE | PIN_FAST));
	ASSERT_EQ(0, start_counting());
	EXPECT_STREQ(want, file_pins());
	EXPECT_GE(64, stop_counting(&nr));
	EXPECT_LE(MANY / 64, nr);
	unpin(p);
	EXPECT_STREQ("", file_pins());
	munmap(memory, MANY * PAGE);
	for (i = 0; i < MANY; i++) {
		close(fd[i]);
		sprintf(name, "many%d", i);
		unlink(kind_path(&self->kind, path, name));
	}
	free(want);
}

/* Numbers of the owners in the table, in the order of the pins. */
static int owner_numbers(unsigned long long numbers[], int room)
{
	char line[512];
	FILE *file = fopen("/sys/kernel/debug/layout_pin/pins", "re");
	int nr = 0;

	while (file && nr < room && fgets(line, sizeof(line), file))
		nr += sscanf(line, "%*s %*s pid %*d since %*d owner %llu /",
			     &numbers[nr]) == 1;
	if (file)
		fclose(file);
	return nr;
}

TEST_F(layout, owners_of_one_process_on_one_file_have_numbers)
{
	unsigned long long first[2], then[2];
	struct pin a, b;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	a = pin(self->memory, PAGE);
	b = pin(self->memory, PAGE);
	ASSERT_EQ(2, owner_numbers(first, 2));
	EXPECT_LT(first[0], first[1]);
	unpin(a);
	a = pin(self->memory, PAGE);
	ASSERT_EQ(2, owner_numbers(then, 2));
	EXPECT_EQ(first[1], then[0]);
	EXPECT_LT(first[1], then[1]);
	unpin(a);
	unpin(b);
}

/* Times of a file; those that come after it differ, since it waits for that. */
static struct stat times(int fd)
{
	struct stat st;

	fstat(fd, &st);
	usleep(30000);
	return st;
}

static bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec ||
		(a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

/* 0: as before, 1: both are later; else one of them only. */
static int moved(int fd, struct stat *before)
{
	struct stat now = times(fd);
	int mtime = later(now.st_mtim, before->st_mtim);
	int ctime = later(now.st_ctim, before->st_ctim);

	*before = now;
	return mtime == ctime ? mtime : 2;
}

TEST_F(layout, end_of_a_writable_region_moves_the_times)
{
	struct stat st, again;
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	st = times(self->fd);
	EXPECT_EQ(0, moved(self->fd, &st));
	unpin(p);
	EXPECT_EQ(1, moved(self->fd, &st));
	/* Nothing is left that could move them. */
	EXPECT_EQ(0, fsync(self->fd));
	EXPECT_EQ(0, moved(self->fd, &st));
	/* And they are on the disk. */
	let_go(self);
	ASSERT_EQ(0, kind_umount(&self->kind));
	ASSERT_EQ(0, kind_mount(&self->kind));
	ASSERT_EQ(0, stat(self->path, &again));
	EXPECT_EQ(st.st_mtim.tv_sec, again.st_mtim.tv_sec);
	EXPECT_EQ(st.st_mtim.tv_nsec, again.st_mtim.tv_nsec);
}

/* Also of a zombie lease: the last reference to the open file is the pins'. */
TEST_F(layout, end_of_a_region_moves_the_times_when_all_is_closed)
{
	struct stat st;
	struct pin p;
	int fd;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	let_go(self);
	fd = open(self->path, O_RDONLY);
	st = times(fd);
	unpin(p);
	EXPECT_EQ(1, moved(fd, &st));
	close(fd);
}

TEST_F(layout, fsync_and_sync_move_the_times_while_a_region_stands)
{
	struct stat st;
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	st = times(self->fd);
	EXPECT_EQ(0, fsync(self->fd));
	EXPECT_EQ(1, moved(self->fd, &st));
	EXPECT_EQ(0, fdatasync(self->fd));
	EXPECT_EQ(1, moved(self->fd, &st));
	EXPECT_EQ(0, syncfs(self->fd));
	EXPECT_EQ(1, moved(self->fd, &st));
	sync();
	EXPECT_EQ(1, moved(self->fd, &st));
	EXPECT_EQ(0, msync(self->memory, PAGE, MS_SYNC));
	EXPECT_EQ(1, moved(self->fd, &st));
	EXPECT_EQ(0, moved(self->fd, &st));
	unpin(p);
}

TEST_F(layout, region_that_is_only_read_moves_no_times)
{
	struct pin p = { .fd = open_owner() };
	struct stat st;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, pin_with(p.fd, self->memory, PAGE, PIN_FAST));
	ASSERT_EQ(0, fsync(self->fd));
	st = times(self->fd);
	EXPECT_EQ(0, fsync(self->fd));
	EXPECT_EQ(0, moved(self->fd, &st));
	unpin(p);
	EXPECT_EQ(0, moved(self->fd, &st));
}

/* Nobody waits for the thaw, and the times move nevertheless. */
TEST_F(layout, end_of_a_region_on_a_frozen_file_system)
{
	int dir = open(kind_dir(&self->kind), O_RDONLY), status = -1;
	struct stat st;
	struct pin p;
	pid_t pid;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	st = times(self->fd);
	ASSERT_EQ(0, ioctl(dir, FIFREEZE, 0));
	pid = fork();
	if (!pid)	/* the last one who has it is who ends it */
		_exit(usleep(300000) || fsync(self->fd) || close(p.fd));
	unpin(p);
	EXPECT_TRUE(ends_within(pid, &status, 30));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, count_pins());
	EXPECT_EQ(1, moved(self->fd, &st));
	ASSERT_EQ(0, ioctl(dir, FITHAW, 0));
	close(dir);
}

/* What rsync sees of a file that RDMA writes to. */
TEST_F(layout, rdma_writes_show_in_the_times)
{
	struct rdma_loop loop;
	struct stat st;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, loop_open(&loop, PAGE));
	ASSERT_EQ(0, loop_register(&loop, self->memory));
	st = times(self->fd);
	memset(loop.buffer, 'A', PAGE);
	EXPECT_EQ(0, loop_transfer(&loop, IBV_WR_RDMA_WRITE));
	EXPECT_EQ(0, fsync(self->fd));
	EXPECT_EQ(1, moved(self->fd, &st));
	memset(loop.buffer, 'B', PAGE);
	EXPECT_EQ(0, loop_transfer(&loop, IBV_WR_RDMA_WRITE));
	EXPECT_EQ(0, loop_deregister(&loop));
	EXPECT_EQ(1, moved(self->fd, &st));
	loop_close(&loop);
}

/* Not who pinned, who has no descriptor any more, but who got it from him. */
TEST_F(layout, unbind_says_who_has_the_owner)
{
	pid_t unbind, heir;
	struct pin p;
	int status = -1;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	let_go(self);
	heir = fork();
	if (!heir)
		stay(NULL);
	unpin(p);
	unbind = fork();
	if (!unbind)
		_exit(kind_driver(&self->kind, "unbind"));
	EXPECT_TRUE(unbind_names(heir));
	kill(heir, SIGKILL);
	waitpid(heir, NULL, 0);
	EXPECT_TRUE(ends_within(unbind, &status, 30));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, kind_anew(&self->kind));
}

TEST_HARNESS_MAIN
