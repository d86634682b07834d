// SPDX-License-Identifier: GPL-2.0
/*
 * Taking, changing and dropping a layout lease: section 1 of the contract. Who
 * is refused and why, who may hold what at once, and what is seen of it.
 */
#define LAYOUT_PIN_SMALL_ONLY
#include "layout_pin_fixture.h"
#include <sys/swap.h>

#define UNBREAK		(F_LAYOUT | F_UNBREAK)
#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)

static const int kinds[] = { F_LAYOUT, UNBREAK, EXCLUSIVE };

#define for_each_kind(kind)						\
	for (const int *kind = kinds; kind < kinds + ARRAY_SIZE(kinds); kind++)

static int get_lease(int fd)
{
	return fcntl(fd, F_GETLEASE);
}

static int write_number(const char *path, int value)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return -1;
	fprintf(file, "%d\n", value);
	return fclose(file);
}

/* Bits that mean nothing must not be granted as something. */
TEST_F(layout, bad_arguments_are_invalid)
{
	static const int bad[] = {
		F_EXCLUSIVE, F_UNBREAK, F_EXCLUSIVE | F_UNBREAK,
		F_LAYOUT | F_WRLCK, UNBREAK | F_WRLCK, EXCLUSIVE | F_WRLCK,
		F_LAYOUT | F_UNLCK, EXCLUSIVE | F_UNLCK, F_LAYOUT | 3,
		F_LAYOUT | 4, F_LAYOUT | 8, UNBREAK | 128, F_LAYOUT | 1 << 30,
		-1, 3, 4, 128,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(EINVAL, set_lease(self->fd, bad[i])) {
			TH_LOG("argument %#x", bad[i]);
		}
	EXPECT_EQ(F_UNLCK, get_lease(self->fd));
}

TEST_F(layout, explicit_read_lock_type_is_accepted)
{
	for_each_kind(kind)
		EXPECT_EQ(0, set_lease(self->fd, *kind | F_RDLCK));
}

TEST_F(layout, getlease_answers_the_kind)
{
	EXPECT_EQ(F_UNLCK, get_lease(self->fd));
	for_each_kind(kind) {
		EXPECT_EQ(0, set_lease(self->fd, *kind));
		EXPECT_EQ(*kind, get_lease(self->fd));
	}
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	EXPECT_EQ(F_UNLCK, get_lease(self->fd));
}

TEST_F(layout, exclusive_implies_unbreakable)
{
	EXPECT_EQ(0, set_lease(self->fd, EXCLUSIVE | F_UNBREAK));
	EXPECT_EQ(EXCLUSIVE, get_lease(self->fd));
}

static int lease_as_nobody(int fd, int kind)
{
	return setuid(65534) ? errno : set_lease(fd, kind);
}

TEST_F(layout, file_of_another_uid_is_eacces)
{
	for_each_kind(kind)
		EXPECT_EQ(EACCES, elsewhere(lease_as_nobody(self->fd, *kind)));
}

TEST_F(layout, own_file_needs_no_capability)
{
	ASSERT_EQ(0, fchown(self->fd, 65534, 65534));
	for_each_kind(kind)
		EXPECT_EQ(0, elsewhere(lease_as_nobody(self->fd, *kind)));
}

/* The lease stands when the file changes hands; a new one is the owner's. */
TEST_F(layout, lease_survives_chown)
{
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, fchown(self->fd, 65534, 65534));
	EXPECT_EQ(EXCLUSIVE, get_lease(self->fd));
	EXPECT_EQ(ETXTBSY, elsewhere(truncate(self->path, 0) ? errno : 0));
}

TEST_F(layout, unbreakable_needs_a_writable_descriptor)
{
	int fd = open(self->path, O_RDONLY);

	EXPECT_EQ(0, set_lease(fd, F_LAYOUT));
	EXPECT_EQ(EBADF, set_lease(fd, UNBREAK));
	EXPECT_EQ(EBADF, set_lease(fd, EXCLUSIVE));
	EXPECT_EQ(F_LAYOUT, get_lease(fd));
	close(fd);
}

TEST_F(layout, other_file_systems_have_not_opted_in)
{
	int fd = open("/dev/shm/layout_pin", O_RDWR | O_CREAT, 0600);

	ASSERT_LE(0, fd);
	for_each_kind(kind)
		EXPECT_EQ(EOPNOTSUPP, set_lease(fd, *kind));
	EXPECT_EQ(F_UNLCK, get_lease(fd));
	close(fd);
	unlink("/dev/shm/layout_pin");
}

TEST_F(layout, not_a_regular_file_is_invalid)
{
	int fd = open(kind_dir(&self->kind), O_RDONLY | O_DIRECTORY);

	EXPECT_EQ(EINVAL, set_lease(fd, F_LAYOUT));
	close(fd);
}

TEST_F(layout, switched_off_is_invalid)
{
	static const char * const sysctls[] = {
		"/proc/sys/fs/layout-leases-enable",
		"/proc/sys/fs/leases-enable",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sysctls); i++) {
		ASSERT_EQ(0, write_number(sysctls[i], 0));
		for_each_kind(kind)
			EXPECT_EQ(EINVAL, set_lease(self->fd, *kind));
		ASSERT_EQ(0, write_number(sysctls[i], 1));
	}
	EXPECT_EQ(0, set_lease(self->fd, EXCLUSIVE));
}

/* Those that stand when it is switched off stand, and can be dropped. */
TEST_F(layout, switching_off_leaves_leases_alone)
{
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, write_number("/proc/sys/fs/layout-leases-enable", 0));
	EXPECT_EQ(ETXTBSY, elsewhere(truncate(self->path, 0) ? errno : 0));
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	ASSERT_EQ(0, write_number("/proc/sys/fs/layout-leases-enable", 1));
}

/* A swap file has to be written by the file system, so not with DAX. */
TEST_F(layout, swap_file_is_text_busy)
{
	char command[512];

	ASSERT_EQ(0, mount_again(self, "dax=never"));
	snprintf(command, sizeof(command),
		 "dd if=/dev/zero of=%s bs=64k count=16 2>/dev/null; "
		 "chmod 600 %s; mkswap %s >/dev/null",
		 self->path, self->path, self->path);
	ASSERT_EQ(0, system(command));
	self->fd = open(self->path, O_RDWR);

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(ETXTBSY, swapon(self->path, 0) ? errno : 0);
	ASSERT_EQ(0, set_lease(self->fd, F_UNLCK));
	ASSERT_EQ(0, swapon(self->path, 0));
	for_each_kind(kind)
		EXPECT_EQ(ETXTBSY, set_lease(self->fd, *kind));
	EXPECT_EQ(0, swapoff(self->path));
	EXPECT_EQ(0, set_lease(self->fd, EXCLUSIVE));
}

TEST_F(layout, kinds_beside_each_other)
{
	static const int answers[3][3] = {
		/* F_LAYOUT, F_UNBREAK, F_EXCLUSIVE asked for */
		{ 0, 0, EAGAIN },
		{ 0, 0, EAGAIN },
		{ EAGAIN, EAGAIN, EAGAIN },
	};
	struct holder holder;
	int held, asked;

	for (held = 0; held < 3; held++) {
		holder = start_holder(self->path, kinds[held], self->unit, 0,
				      0);
		ASSERT_EQ(0, holder.error);
		for (asked = 0; asked < 3; asked++) {
			EXPECT_EQ(answers[held][asked],
				  set_lease(self->fd, kinds[asked])) {
				TH_LOG("%#x held, %#x asked", kinds[held],
				       kinds[asked]);
			}
			set_lease(self->fd, F_UNLCK);
		}
		end_holder(holder);
	}
}

/* A zombie is in the way of the same leases as when it was alive. */
TEST_F(layout, kinds_beside_a_zombie)
{
	static const int answers[2][3] = {
		{ 0, 0, EAGAIN },
		{ EAGAIN, EAGAIN, EAGAIN },
	};
	int held, asked, fd, lease_fd;
	struct pin p;

	for (held = 0; held < 2; held++) {
		lease_fd = open(self->path, O_RDWR);
		ASSERT_EQ(0, set_lease(lease_fd, kinds[held + 1]));
		p = pin(self->memory, PAGE);
		ASSERT_EQ(0, p.error);
		close(lease_fd);
		ASSERT_EQ(1, count_locks("ZOMBIE"));
		for (asked = 0; asked < 3; asked++) {
			fd = open(self->path, O_RDWR);
			EXPECT_EQ(answers[held][asked],
				  set_lease(fd, kinds[asked])) {
				TH_LOG("%#x held, %#x asked", kinds[held + 1],
				       kinds[asked]);
			}
			close(fd);
		}
		unpin(p);
	}
}

/* Plain leases look at who has the file open for writing, and nothing else. */
TEST_F(layout, plain_read_lease_beside_a_breakable_one)
{
	int first, second;

	let_go(self);
	first = open(self->path, O_RDONLY);
	second = open(self->path, O_RDONLY);
	EXPECT_EQ(0, set_lease(first, F_LAYOUT));
	EXPECT_EQ(0, set_lease(second, F_RDLCK));
	EXPECT_EQ(F_RDLCK, get_lease(second));
	EXPECT_EQ(0, set_lease(second, F_UNLCK));
	EXPECT_EQ(EAGAIN, set_lease(second, F_WRLCK));

	EXPECT_EQ(0, set_lease(first, F_UNLCK));
	EXPECT_EQ(0, set_lease(second, F_RDLCK));
	EXPECT_EQ(0, set_lease(first, F_LAYOUT));
	close(first);
	close(second);
}

TEST_F(layout, plain_lease_beside_an_unbreakable_one)
{
	int fd = open(self->path, O_RDONLY);

	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	EXPECT_EQ(EAGAIN, set_lease(fd, F_RDLCK));
	EXPECT_EQ(EAGAIN, set_lease(fd, F_WRLCK));
	close(fd);
}

TEST_F(layout, plain_and_layout_lease_on_one_open_file)
{
	int fd;

	let_go(self);
	fd = open(self->path, O_RDONLY);
	ASSERT_EQ(0, set_lease(fd, F_RDLCK));
	EXPECT_EQ(EINVAL, set_lease(fd, F_LAYOUT));
	EXPECT_EQ(F_RDLCK, get_lease(fd));
	ASSERT_EQ(0, set_lease(fd, F_UNLCK));
	ASSERT_EQ(0, set_lease(fd, F_LAYOUT));
	EXPECT_EQ(EINVAL, set_lease(fd, F_RDLCK));
	EXPECT_EQ(F_LAYOUT, get_lease(fd));
	close(fd);
}

TEST_F(layout, to_exclusive_while_nobody_else_holds)
{
	struct holder holder;

	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	holder = start_holder(self->path, UNBREAK, self->unit, 0, 0);
	ASSERT_EQ(0, holder.error);
	EXPECT_EQ(EAGAIN, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(UNBREAK, get_lease(self->fd));
	end_holder(holder);
	EXPECT_EQ(0, set_lease(self->fd, EXCLUSIVE));
}

/* From strong to weak: not while there are pins. */
TEST_F(layout, weaker_is_busy_with_pins)
{
	static const int weaker[] = { UNBREAK, F_LAYOUT, F_UNLCK };
	struct pin p;
	unsigned int i;

	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	EXPECT_EQ(EBUSY, set_lease(self->fd, F_LAYOUT));
	EXPECT_EQ(EBUSY, set_lease(self->fd, F_UNLCK));
	EXPECT_EQ(UNBREAK, get_lease(self->fd));
	EXPECT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	for (i = 0; i < ARRAY_SIZE(weaker); i++)
		EXPECT_EQ(EBUSY, set_lease(self->fd, weaker[i]));
	EXPECT_EQ(EXCLUSIVE, get_lease(self->fd));
	unpin(p);
	for (i = 0; i < ARRAY_SIZE(weaker); i++)
		EXPECT_EQ(0, set_lease(self->fd, weaker[i]));
}

TEST_F(layout, unlock_without_a_lease_is_eagain)
{
	EXPECT_EQ(EAGAIN, set_lease(self->fd, F_UNLCK));
}

/* dup, fork: one open file, one lease. */
TEST_F(layout, who_shares_the_open_file_may_drop_it)
{
	int fd = dup(self->fd);

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(EXCLUSIVE, get_lease(fd));
	EXPECT_EQ(0, set_lease(fd, F_UNLCK));
	EXPECT_EQ(F_UNLCK, get_lease(self->fd));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(0, elsewhere(set_lease(fd, F_UNLCK)));
	EXPECT_EQ(F_UNLCK, get_lease(self->fd));
	close(fd);
}

TEST_F(layout, last_close_drops_it)
{
	int fd = dup(self->fd);

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	let_go(self);
	EXPECT_EQ(1, count_locks("LAYOUT"));
	close(fd);
	EXPECT_EQ(0, count_locks("LAYOUT"));
}

/* Whoever takes it last is the one who may pin. */
TEST_F(layout, taking_again_moves_the_right_to_pin)
{
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(0, elsewhere(set_lease(self->fd, EXCLUSIVE) ?:
			       pin(self->memory, PAGE).error));
	p = pin(self->memory, PAGE);
	EXPECT_EQ(EOPNOTSUPP, p.error);
	unpin(p);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	EXPECT_EQ(0, p.error);
	/* Not from under the pins of somebody who is alive. */
	EXPECT_EQ(EBUSY, elsewhere(set_lease(self->fd, EXCLUSIVE)));
	unpin(p);
}

TEST_F(layout, proc_locks_names_kind_and_holder)
{
	static const char * const names[] = { "SHARED", "UNBREAK", "EXCL" };
	struct stat st;
	char want[128];
	int i;

	ASSERT_EQ(0, fstat(self->fd, &st));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, set_lease(self->fd, kinds[i]));
		snprintf(want, sizeof(want),
			 "LAYOUT ACTIVE    %s %d %02x:%02x:%lu 0 EOF", names[i],
			 getpid(), major(st.st_dev), minor(st.st_dev),
			 st.st_ino);
		EXPECT_EQ(1, count_locks(want)) {
			TH_LOG("no line '%s'", want);
		}
	}
}

static volatile sig_atomic_t signals;

static void count_signal(int sig)
{
	signals++;
}

/* A holder that does not let go loses the lease when its time is up. */
TEST_F(layout, breakable_lease_ends_with_its_time)
{
	double start;

	signal(SIGIO, count_signal);
	ASSERT_EQ(0, write_number("/proc/sys/fs/lease-break-time", 2));
	ASSERT_EQ(0, set_lease(self->fd, F_LAYOUT));
	start = seconds();
	EXPECT_EQ(0, elsewhere(truncate(self->path, 0) ? errno : 0));
	EXPECT_LE(1.0, seconds() - start);
	EXPECT_GE(10.0, seconds() - start);
	EXPECT_EQ(1, signals);
	EXPECT_EQ(0, count_locks("LAYOUT"));
	ASSERT_EQ(0, write_number("/proc/sys/fs/lease-break-time", 45));
}

TEST_F(layout, breaking_shows_and_asks_with_the_chosen_signal)
{
	pid_t pid;

	signal(SIGUSR1, count_signal);
	ASSERT_EQ(0, fcntl(self->fd, F_SETSIG, SIGUSR1));
	ASSERT_EQ(0, set_lease(self->fd, F_LAYOUT));
	pid = fork();
	if (!pid)
		_exit(truncate(self->path, 0) ? errno : 0);
	while (!signals)
		usleep(1000);
	EXPECT_EQ(F_UNLCK, get_lease(self->fd));
	EXPECT_EQ(1, count_locks("LAYOUT BREAKING  SHARED"));
	EXPECT_EQ(EAGAIN, set_lease(self->fd, UNBREAK));
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	waitpid(pid, NULL, 0);
	EXPECT_EQ(1, signals);
}

/* The one who waits for a lease can be killed. */
TEST_F(layout, waiting_for_a_lease_can_be_interrupted)
{
	int status;
	pid_t pid;

	signal(SIGIO, count_signal);
	ASSERT_EQ(0, set_lease(self->fd, F_LAYOUT));
	pid = fork();
	if (!pid)
		_exit(truncate(self->path, 0) ? errno : 0);
	while (!signals)
		usleep(1000);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
}

/* A change that is going to be refused asks nobody to let go. */
TEST_F(layout, refused_change_signals_nobody)
{
	struct holder holder;

	signal(SIGIO, count_signal);
	ASSERT_EQ(0, set_lease(self->fd, F_LAYOUT));
	holder = start_holder(self->path, UNBREAK, self->unit, 0, 0);
	ASSERT_EQ(0, holder.error);
	EXPECT_EQ(ETXTBSY, elsewhere(truncate(self->path, 0) ? errno : 0));
	EXPECT_EQ(0, signals);
	EXPECT_EQ(F_LAYOUT, get_lease(self->fd));
	end_holder(holder);
}

/* On a file system that opted in the rules hold without DAX as well. */
TEST_F(layout, rules_hold_without_dax)
{
	ASSERT_EQ(0, mount_again(self, "dax=never"));
	self->fd = open(self->path, O_RDWR);
	self->memory = map_file(self->fd, self->unit);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(ETXTBSY, elsewhere(truncate(self->path, 0) ? errno : 0));
	EXPECT_EQ(0, truncate(self->path, 2 * self->unit) ? errno : 0);
	EXPECT_EQ(0, elsewhere(truncate(self->path, 4 * self->unit) ?
			       errno : 0));
}

TEST_HARNESS_MAIN
