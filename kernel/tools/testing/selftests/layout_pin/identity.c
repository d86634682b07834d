// SPDX-License-Identifier: GPL-2.0
/*
 * Whose lease it is: the process's that took it, known by what it is and not by
 * number, memory or descriptor, in whichever namespace it is.
 */
#include "identity.h"
#include <linux/sched.h>

#define STACK		(256L << 10)

/* Run in a process that shares memory and what else the flags say. */
static int cloned(int flags, int (*function)(void *), void *arg)
{
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	int status = 0;
	pid_t pid;

	if (stack == MAP_FAILED)
		return errno;
	pid = clone(function, stack + STACK, flags | SIGCHLD, arg);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return errno;
	munmap(stack, STACK);
	return WEXITSTATUS(status);
}

static int pin_cloned(void *arg)
{
	return try_pin(((struct layout_file *)arg)->memory);
}

static int take_and_pin_cloned(void *arg)
{
	struct layout_file *self = arg;
	int fd = open(self->path, O_RDWR);

	return set_lease(fd, UNBREAK) ?: try_pin(self->memory);
}

/* vfork() and its like: one mm is not one process. */
TEST_F(layout, process_that_shares_memory_has_no_right)
{
	static const int flags[] = {
		CLONE_VM | CLONE_VFORK, CLONE_VM, CLONE_VM | CLONE_FILES,
		CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND,
	};
	unsigned int i;

	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		EXPECT_EQ(EOPNOTSUPP, cloned(flags[i], pin_cloned, self)) {
			TH_LOG("flags %#x", flags[i]);
		}
	EXPECT_EQ(0, try_pin(self->memory));
	EXPECT_EQ(0, cloned(CLONE_VM, take_and_pin_cloned, self));
}

static void *take_in_a_thread(void *arg)
{
	return (void *)(long)set_lease(*(int *)arg, EXCLUSIVE);
}

static void *pin_in_a_thread(void *arg)
{
	return (void *)(long)try_pin(arg);
}

/* The right is the process's, whichever thread took it and is gone. */
TEST_F(layout, thread_that_took_it_may_be_gone)
{
	pthread_t thread;
	void *error;

	ASSERT_EQ(0, pthread_create(&thread, NULL, take_in_a_thread,
				    &self->fd));
	ASSERT_EQ(0, pthread_join(thread, &error));
	ASSERT_EQ(NULL, error);
	EXPECT_EQ(0, try_pin(self->memory));
	EXPECT_EQ(1, locks_of("ACTIVE    EXCL", getpid()));
	ASSERT_EQ(0, pthread_create(&thread, NULL, pin_in_a_thread,
				    self->memory));
	ASSERT_EQ(0, pthread_join(thread, &error));
	EXPECT_EQ(NULL, error);
}

static void *pin_without_leader(void *memory)
{
	while (!count_lines("/proc/self/status", "State:\tZ"))
		usleep(1000);
	_exit(try_pin(memory));
}

TEST_F(layout, leader_of_the_threads_may_be_gone)
{
	pthread_t thread;

	EXPECT_EQ(0, elsewhere(({
		if (set_lease(self->fd, EXCLUSIVE) ||
		    pthread_create(&thread, NULL, pin_without_leader,
				   self->memory))
			_exit(255);
		pthread_exit(NULL);
		255;
	})));
}

/* What runs after execve. */
static int after_exec(char **argv)
{
	int fd = atoi(argv[2]);

	if (fcntl(fd, F_GETLEASE) != EXCLUSIVE)
		return ENOLCK;
	return try_pin(map_file(fd, PAGE));
}

static void *exec_in_a_thread(void *arg)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", *(int *)arg);
	execl("/proc/self/exe", "identity", "--after-exec", number, NULL);
	_exit(255);
}

/* The thread becomes the leader, and the process is the same one. */
TEST_F(layout, exec_by_another_thread_keeps_the_right)
{
	pthread_t thread;

	EXPECT_EQ(0, elsewhere(({
		if (set_lease(self->fd, EXCLUSIVE) ||
		    pthread_create(&thread, NULL, exec_in_a_thread, &self->fd))
			_exit(255);
		for (;;)
			pause();
		255;
	})));
}

/* A child that is like a given one in its number only. */
static pid_t fork_with_number(pid_t number)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&number,
		.set_tid_size = 1,
	};

	return syscall(SYS_clone3, &args, sizeof(args));
}

TEST_F(layout, recycled_number_has_no_right)
{
	static const struct {
		const char *what;
		int answer;
	} steps[] = {
		{ "pin", EOPNOTSUPP },
		{ "truncate", ETXTBSY },
		{ "take and pin", 0 },
	};
	int status, i, error;
	pid_t pid = fork();

	if (!pid)
		_exit(set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	for (i = 0; i < (int)ARRAY_SIZE(steps); i++) {
		ASSERT_EQ(1, locks_of("ACTIVE    EXCL", pid));
		if (!fork_with_number(pid)) {
			error = i == 0 ? try_pin(self->memory) :
				i == 1 ? (truncate(self->path, 0) ? errno : 0) :
				set_lease(self->fd, EXCLUSIVE) ?:
					try_pin(self->memory);
			_exit(error);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(steps[i].answer, WEXITSTATUS(status)) {
			TH_LOG("%s", steps[i].what);
		}
	}
}

/* There the process is number 1, and so it reads its own lease. */
static int take_as_number_one(struct layout_file *self)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("proc", "/proc", "proc", 0, NULL))
		return errno;
	if (getpid() != 1)
		return ESRCH;
	return take_and_pin(self) ?:
		(locks_of("ACTIVE    EXCL", 1) == 1 ? 0 : ENOLCK) ?:
		(shown(1, self->path) == 1 ? 0 : ENOENT);
}

TEST_F(layout, pid_namespace_has_numbers_of_its_own)
{
	struct holder holder = start(CLONE_NEWPID | CLONE_NEWNS,
				     take_as_number_one, self);

	ASSERT_EQ(0, holder.error);
	EXPECT_EQ(1, locks_of("ACTIVE    EXCL", holder.pid));
	EXPECT_EQ(0, locks_of("ACTIVE    EXCL", 1));
	EXPECT_EQ(1, shown(holder.pid, self->path));
	EXPECT_EQ(ETXTBSY, truncated(self->path));
	end_holder(holder);
	EXPECT_TRUE(settle());
	EXPECT_EQ(0, truncated(self->path));
}

/*
 * A process in a chroot makes no user namespace, and the machine's user space
 * may be in one: leave it, as root can.
 */
static int leave_chroot(void)
{
	int i;

	mkdir("/tmp/inner", 0700);
	if (chroot("/tmp/inner"))
		return errno;
	for (i = 0; i < 64; i++)
		if (chdir(".."))
			return errno;
	return chroot(".") ? errno : 0;
}

static int take_in_user_namespace(struct layout_file *self)
{
	int error = leave_chroot();

	if (error || unshare(CLONE_NEWUSER))
		return error ?: errno;
	return set_lease(self->fd, EXCLUSIVE);
}

/* Capabilities in a namespace of one's own are none over others' files. */
TEST_F(layout, user_namespace_gives_no_capability)
{
	struct holder holder;

	ASSERT_EQ(0, fchown(self->fd, NOBODY, NOBODY));
	holder = start(0, take_in_user_namespace, self);
	EXPECT_EQ(EACCES, holder.error);
	end_holder(holder);
	EXPECT_EQ(0, count_locks("LAYOUT"));

	ASSERT_EQ(0, fchown(self->fd, 0, 0));
	holder = start(0, take_in_user_namespace, self);
	EXPECT_EQ(0, holder.error);
	EXPECT_EQ(1, locks_of("ACTIVE    EXCL", holder.pid));
	end_holder(holder);
}

static int take_in_private_mounts(struct layout_file *self)
{
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ? errno :
		take_and_pin(self);
}

/* A mount that no namespace shows any more still has its files. */
static int take_then_detach(struct layout_file *self)
{
	return take_in_private_mounts(self) ?:
		umount2(kind_dir(&self->kind), MNT_DETACH) ? errno : 0;
}

static int take_in_a_chroot(struct layout_file *self)
{
	int owner = open_owner(), fd;

	if (chroot(kind_dir(&self->kind)))
		return errno;
	fd = open("/file", O_RDWR);
	if (fd < 0)
		return errno;
	return set_lease(fd, EXCLUSIVE) ?:
		pin_with(owner, map_file(fd, self->unit), PAGE,
			 PIN_WRITE | PIN_FAST);
}

static void seen_from_outside(struct __test_metadata *_metadata,
			      struct layout_file *self, int flags,
			      int (*act)(struct layout_file *self),
			      const char *path)
{
	struct holder holder = start(flags, act, self);

	ASSERT_EQ(0, holder.error);
	EXPECT_EQ(1, shown(holder.pid, "/sys/kernel/debug/gup_test\n"));
	EXPECT_EQ(1, shown(holder.pid, path));
	EXPECT_EQ(1, locks_of("ACTIVE    EXCL", holder.pid));
	EXPECT_EQ(ETXTBSY, truncated(self->path));
	end_holder(holder);
	EXPECT_TRUE(settle());
}

TEST_F(layout, chroot_is_seen_from_outside)
{
	char line[80];

	snprintf(line, sizeof(line), "\t%s\n", self->path);
	seen_from_outside(_metadata, self, 0, take_in_a_chroot, line);
}

TEST_F(layout, mount_namespace_is_seen_from_outside)
{
	char line[80];

	snprintf(line, sizeof(line), "%s\n", self->path);
	seen_from_outside(_metadata, self, CLONE_NEWNS, take_in_private_mounts,
			  line);
}

TEST_F(layout, detached_mount_is_seen_from_outside)
{
	seen_from_outside(_metadata, self, CLONE_NEWNS, take_then_detach,
			  "\t/file\n");
}

static int take_as(uid_t uid, struct layout_file *self)
{
	return setuid(uid) ? EPERM : set_lease(self->fd, UNBREAK);
}

/* The lease stands when the file changes hands; a new one is the owner's. */
TEST_F(layout, new_owner_of_the_file_takes_new_leases)
{
	int other;

	ASSERT_EQ(0, fchown(self->fd, NOBODY, NOBODY));
	EXPECT_EQ(0, elsewhere(take_as(NOBODY, self)));
	EXPECT_EQ(1, count_locks("LAYOUT ACTIVE    UNBREAK"));
	ASSERT_EQ(0, fchown(self->fd, NOBODY - 1, NOBODY));
	EXPECT_EQ(1, count_locks("LAYOUT ACTIVE    UNBREAK"));
	other = self->fd;
	self->fd = open(self->path, O_RDWR);
	EXPECT_EQ(EACCES, elsewhere(take_as(NOBODY, self)));
	EXPECT_EQ(0, elsewhere(take_as(NOBODY - 1, self)));
	EXPECT_EQ(2, count_locks("LAYOUT ACTIVE    UNBREAK"));
	close(other);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--after-exec"))
		return after_exec(argv);
	return test_harness_run(argc, argv);
}
