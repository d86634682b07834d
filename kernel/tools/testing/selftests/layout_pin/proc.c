// SPDX-License-Identifier: GPL-2.0
/*
 * What an administrator sees: section 5 of the contract, the text of
 * /proc/<pid>/file_pins to the byte, who may read it, and the table in debugfs.
 */
#define LAYOUT_PIN_SMALL_ONLY
#include "layout_pin_fixture.h"
#include "file_pins.h"
#include <pthread.h>

TEST_F(layout, empty_without_pins)
{
	EXPECT_STREQ("", file_pins());
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_STREQ("", file_pins());
}

TEST_F(layout, owner_then_its_files)
{
	char want[256];
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	sprintf(want, "%d: " OWNER "\n\t%s\n", p.fd, self->path);
	EXPECT_STREQ(want, file_pins());
	unpin(p);
	EXPECT_STREQ("", file_pins());
}

TEST_F(layout, failed_pin_shows_nothing)
{
	struct pin p;

	p = pin(self->memory, PAGE);
	EXPECT_EQ(EOPNOTSUPP, p.error);
	EXPECT_STREQ("", file_pins());
	unpin(p);
}

TEST_F(layout, each_descriptor_of_an_owner_has_its_line)
{
	char want[512];
	struct pin p;
	int fd;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	fd = dup(p.fd);
	sprintf(want, "%d: " OWNER "\n\t%s\n%d: " OWNER "\n\t%s\n",
		p.fd, self->path, fd, self->path);
	EXPECT_STREQ(want, file_pins());
	unpin(p);
	close(fd);
}

/* Records of file, second, file: two lines. */
TEST_F(layout, each_file_once_however_often_pinned)
{
	char path[64], want[512];
	int fd = make_file(kind_path(&self->kind, path, "second"), self->unit);
	struct pin p;

	ASSERT_NE(MAP_FAILED, mmap(self->memory + PAGE, PAGE,
				   PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_FIXED, fd, 0));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, set_lease(fd, EXCLUSIVE));
	p = pin(self->memory, 3 * PAGE);
	ASSERT_EQ(0, p.error);
	EXPECT_EQ(3, count_pins());
	sprintf(want, "%d: " OWNER "\n\t%s\n\t%s\n", p.fd, self->path, path);
	EXPECT_STREQ(want, file_pins());
	unpin(p);
	close(fd);
	unlink(path);
}

TEST_F(layout, what_the_mm_pinned_is_not_indented)
{
	char want[256];
	struct pin p = { .fd = open_owner() };

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, pin_with(p.fd, self->memory, PAGE,
			      PIN_WRITE | PIN_FAST | PIN_MM));
	sprintf(want, "%s\n", self->path);
	EXPECT_STREQ(want, file_pins());
	/* A child has another mm, and no pins through that. */
	EXPECT_EQ(0, elsewhere(!!*file_pins()));
	unpin(p);
}

TEST_F(layout, unlinked_file_is_deleted)
{
	char want[256];
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, unlink(self->path));
	sprintf(want, "%d: " OWNER "\n\t%s (deleted)\n", p.fd, self->path);
	EXPECT_STREQ(want, file_pins());
	unpin(p);
}

/* Also after the process that pinned closed and unmapped everything. */
TEST_F(layout, zombie_is_shown)
{
	char want[256];
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	let_go(self);
	sprintf(want, "%d: " OWNER "\n\t%s\n", p.fd, self->path);
	EXPECT_STREQ(want, file_pins());
	sprintf(want, "LAYOUT ZOMBIE    EXCL %d ", getpid());
	EXPECT_EQ(1, count_locks(want));
	unpin(p);
}

TEST_F(layout, forked_child_shows_the_owner_too)
{
	char want[256];
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	sprintf(want, "%d: " OWNER "\n\t%s\n", p.fd, self->path);
	EXPECT_EQ(0, elsewhere(!!strcmp(want, file_pins())));
	unpin(p);
}

static int read_as_nobody(const char *path)
{
	if (setgid(65534) || setuid(65534))
		return errno;
	return open(path, O_RDONLY) < 0 ? errno : 0;
}

TEST_F(layout, readable_where_fdinfo_is)
{
	char path[64];

	sprintf(path, "/proc/%d/file_pins", getpid());
	EXPECT_EQ(EACCES, elsewhere(read_as_nobody(path)));
	EXPECT_EQ(0, elsewhere(open(path, O_RDONLY) < 0 ? errno : 0));
}

static void *read_of_thread(void *want)
{
	return (void *)(long)strcmp(want, file_pins_of_thread(getpid(),
							      gettid()));
}

TEST_F(layout, each_thread_has_the_file)
{
	char want[256];
	pthread_t thread;
	void *differs;
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	sprintf(want, "%d: " OWNER "\n\t%s\n", p.fd, self->path);
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_of_thread, want));
	pthread_join(thread, &differs);
	EXPECT_EQ(NULL, differs);
	unpin(p);
}

TEST_F(layout, kernel_threads_and_the_dead_are_no_error)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	EXPECT_STREQ("", read_file("/proc/2/file_pins"));
	while (waitid(P_PID, pid, &(siginfo_t){ }, WEXITED | WNOWAIT))
		;
	EXPECT_STREQ("", file_pins_of(pid));
	waitpid(pid, NULL, 0);
}

TEST_F(layout, debugfs_has_file_range_process_and_owner)
{
	struct timespec now;
	struct stat st;
	char want[256];
	long since = 0;
	int end = 0;
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory + PAGE, 2 * PAGE);
	ASSERT_EQ(0, fstat(self->fd, &st));
	sprintf(want, "%02x:%02x:%lu 4096-12287 pid %d since %%ld owner %%*u "
		OWNER " file %s\n%%n", major(st.st_dev), minor(st.st_dev),
		st.st_ino, getpid(), self->path);
	read_file("/sys/kernel/debug/layout_pin/pins");
	EXPECT_EQ(1, sscanf(text, want, &since, &end)) {
		TH_LOG("%s", text);
	}
	EXPECT_EQ((int)strlen(text), end);
	clock_gettime(CLOCK_BOOTTIME, &now);
	EXPECT_GE(2, now.tv_sec - since);
	unpin(p);
	EXPECT_STREQ("", read_file("/sys/kernel/debug/layout_pin/pins"));
}

TEST_F(layout, trace_points_are_there)
{
	static const char * const names[] = {
		"lease_set", "lease_break", "pin_add", "pin_drop",
		"change_refused",
	};
	unsigned int i;

	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		sprintf(text, "/sys/kernel/tracing/events/layout_pin/%s/format",
			names[i]);
		EXPECT_EQ(0, access(text, F_OK)) {
			TH_LOG("no %s", text);
		}
	}
}

TEST_HARNESS_MAIN
