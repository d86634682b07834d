// SPDX-License-Identifier: GPL-2.0
/*
 * SIGKILL at many points of taking a lease, changing and dropping it, pinning,
 * registering, passing, reading and letting go, and while the victim sleeps in
 * each place that has a name. Nothing is left afterwards: no lease, no record,
 * and others can change and unmount the file.
 *
 * --points N: that many points of each operation (a few), 0: each of them.
 * --seed N: which points. Other arguments are the harness's.
 */
#include "layout_pin_fixture.h"
#include "descriptor.h"
#include "rdma_loop.h"
#include "short_reference.h"
#include "sigkill.h"
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 1800	/* --points 0; a victim has BOUND */

#define UNBREAK		(F_LAYOUT | F_UNBREAK)
#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)
#define BOUND		20.0	/* seconds to die in */

static unsigned int points = 2, seed = 1;

struct victim {
	const char *path;
	long unit;
	int fd;
	int owner;
	char *memory;
	int pair[2];
	struct rdma_loop loop;
};

static int open_file(struct victim *v)
{
	v->fd = open(v->path, O_RDWR);
	return v->fd < 0 ? errno : 0;
}

static int take_unbreak(struct victim *v)
{
	return open_file(v) ?: set_lease(v->fd, UNBREAK);
}

static int take(struct victim *v)
{
	return set_lease(v->fd, EXCLUSIVE);
}

static int drop(struct victim *v)
{
	return set_lease(v->fd, F_UNLCK);
}

/* Entries of the mapping are not there: the pin faults them in. */
static int take_and_map(struct victim *v)
{
	int error = open_file(v) ?: take(v);

	v->owner = open_owner();
	v->memory = map_file(v->fd, v->unit);
	return error ?: v->memory == MAP_FAILED ? ENOMEM : 0;
}

static int pin_all(struct victim *v)
{
	return pin_with(v->owner, v->memory, UNITS * v->unit,
			PIN_WRITE | PIN_FAST);
}

static int take_and_pin(struct victim *v)
{
	return take_and_map(v) ?: pin_all(v);
}

static int unpin_all(struct victim *v)
{
	return ioctl(v->owner, PIN_LONGTERM_TEST_STOP) ? errno : 0;
}

static int let_go_of_all(struct victim *v)
{
	close(v->fd);
	munmap(v->memory, UNITS * v->unit);
	return close(v->owner) ? errno : 0;
}

static int read_pins(struct victim *v)
{
	return count_lines("/proc/self/file_pins", v->path) == 1 &&
		count_locks("LAYOUT") == 1 ? 0 : ENODATA;
}

static int pair_up(struct victim *v)
{
	return take_and_pin(v) ?:
		socketpair(AF_UNIX, SOCK_STREAM, 0, v->pair) ? errno : 0;
}

/* Both descriptors are for a moment in the socket only. */
static int pass(struct victim *v)
{
	int error = send_descriptor(v->pair[0], v->owner) ?:
		send_descriptor(v->pair[0], v->fd);

	close(v->owner);
	close(v->fd);
	v->owner = receive_descriptor(v->pair[1]);
	v->fd = receive_descriptor(v->pair[1]);
	return error ?: v->owner < 0 || v->fd < 0 ? EBADF : 0;
}

static int open_device(struct victim *v)
{
	int error = take_and_map(v) ?: loop_open_device(&v->loop);

	v->loop.size = UNITS * v->unit;
	if (!error)
		v->loop.pd = ibv_alloc_pd(v->loop.context);
	return error ?: v->loop.pd ? 0 : ENOMEM;
}

static int register_all(struct victim *v)
{
	return loop_register(&v->loop, v->memory);
}

static int open_and_register(struct victim *v)
{
	return open_device(v) ?: register_all(v);
}

static int deregister(struct victim *v)
{
	return loop_deregister(&v->loop);
}

/* A pinned part: refused; another one: changed. */
static int change(struct victim *v)
{
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	if (!fallocate(v->fd, mode, 0, v->unit) || errno != ETXTBSY)
		return EINVAL;
	return fallocate(v->fd, mode, v->unit, v->unit) ? errno : 0;
}

static int take_and_pin_one(struct victim *v)
{
	return take_and_map(v) ?: pin_with(v->owner, v->memory, v->unit,
					   PIN_WRITE | PIN_FAST);
}

struct told {
	int error;
	__u64 events;
};

static void be_the_victim(struct victim *v, int (*prepare)(struct victim *),
			  int (*operation)(struct victim *), __u64 n, int tell)
{
	struct told told = { .error = prepare(v) };
	int perf = step_open(n);

	if (!told.error && (perf < 0 || step_enable(perf)))
		told.error = ENODEV;
	if (!told.error) {
		told.error = operation(v);
		told.events = step_disable(perf);
	}
	if (write(tell, &told, sizeof(told)) < 0)
		_exit(1);
	for (;;)
		pause();
}

struct death {
	bool inside;		/* of the operation */
	bool in_time;
	struct told told;	/* unless inside */
};

static struct death die_at(FIXTURE_DATA(layout) *self,
			   int (*prepare)(struct victim *),
			   int (*operation)(struct victim *), __u64 n)
{
	struct victim v = { .path = self->path, .unit = self->unit };
	struct death death = { };
	int tell[2];
	pid_t pid;

	if (pipe(tell))
		return death;
	pid = fork();
	if (!pid) {
		let_go(self);
		close(tell[0]);
		be_the_victim(&v, prepare, operation, n, tell[1]);
	}
	close(tell[1]);
	death.inside = read(tell[0], &death.told, sizeof(death.told)) !=
		sizeof(death.told);
	close(tell[0]);
	kill(pid, SIGKILL);
	death.in_time = ends_within(pid, NULL, BOUND);
	return death;
}

/* And the file is as it was before. */
static bool nothing_is_left(FIXTURE_DATA(layout) *self)
{
	int i;

	for (i = 0; i < 1000 && (count_locks("LAYOUT") || count_pins()); i++)
		usleep(5000);
	if (count_locks("LAYOUT") || count_pins())
		return false;
	if (elsewhere(truncate(self->path, 0) ? errno : 0))
		return false;
	return !fallocate(self->fd, 0, 0, UNITS * self->unit);
}

#define sweep(prepare, operation)					\
	do_sweep(_metadata, self, prepare, operation)

static void do_sweep(struct __test_metadata *_metadata,
		     FIXTURE_DATA(layout) *self,
		     int (*prepare)(struct victim *),
		     int (*operation)(struct victim *))
{
	unsigned long events = ULONG_MAX, step, n;
	int tried, inside = 0;
	struct death death;

	/*
	 * The first time there are more, since nothing is cached. Of the others
	 * the least counts: an interrupt has events, too.
	 */
	for (tried = 0; tried < 4; tried++) {
		death = die_at(self, prepare, operation, NEVER);
		ASSERT_FALSE(death.inside);
		ASSERT_EQ(0, death.told.error);
		ASSERT_TRUE(nothing_is_left(self));
		ASSERT_NE(0UL, death.told.events);
		if (tried && death.told.events < events)
			events = death.told.events;
	}
	tried = 0;
	step = points && points < events ? events / points : 1;
	srandom(seed);
	for (n = 1 + random() % step; n <= events; n += step) {
		death = die_at(self, prepare, operation, n);
		tried++;
		inside += death.inside;
		ASSERT_TRUE(death.in_time) TH_LOG("event %lu", n);
		ASSERT_TRUE(death.inside || !death.told.error);
		ASSERT_TRUE(nothing_is_left(self)) TH_LOG("event %lu", n);
	}
	/* Not as many events as the first time, now and then. */
	EXPECT_LE(tried, 2 * inside);
	TH_LOG("%lu of %s, died at %d of %d", events, step_event(), inside,
	       tried);
}

/*
 * Stays open while the program runs, and counts nothing. The first event patches
 * calls into the scheduler and the trace point, and some time after the last they are
 * patched out: for each of a thousand victims. An emulated processor may meet a
 * patch that was done a moment ago, half way, and the machine is lost (int3).
 */
static void __attribute__((constructor)) keep_the_kernel_patched(void)
{
	step_open(NEVER);
}

TEST_F(layout, taking_a_lease) { sweep(open_file, take); }
TEST_F(layout, changing_its_kind) { sweep(take_unbreak, take); }
TEST_F(layout, dropping_it) { sweep(take_unbreak, drop); }
TEST_F(layout, pinning) { sweep(take_and_map, pin_all); }
TEST_F(layout, unpinning) { sweep(take_and_pin, unpin_all); }
TEST_F(layout, letting_go_of_all) { sweep(take_and_pin, let_go_of_all); }
TEST_F(layout, reading) { sweep(take_and_pin, read_pins); }
TEST_F(layout, passing) { sweep(pair_up, pass); }
TEST_F(layout, registering) { sweep(open_device, register_all); }
TEST_F(layout, deregistering) { sweep(open_and_register, deregister); }
TEST_F(layout, changing_the_layout) { sweep(take_and_pin_one, change); }

/* The places in which a victim sleeps, one after the other. */

/* A change of the layout by a child, for which @fd was opened before. */
static pid_t start_change(int fd)
{
	pid_t pid = fork();

	if (!pid)
		_exit(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				0, PAGE) ? errno : 0);
	return pid;
}

TEST_F(layout, waiting_for_a_breakable_lease)
{
	struct holder holder = start_holder(self->path, F_LAYOUT, self->unit,
					    0, 0);
	pid_t pid;

	ASSERT_EQ(0, holder.error);
	kill(holder.pid, SIGSTOP);
	pid = start_change(self->fd);
	EXPECT_TRUE(sleeps_in(pid, "__break_lease", "__layout_break"));
	kill(pid, SIGKILL);
	EXPECT_TRUE(ends_within(pid, NULL, BOUND));
	EXPECT_EQ(1, count_locks("LAYOUT"));
	end_holder(holder);
	EXPECT_TRUE(nothing_is_left(self));
	/* Its wait is over also in the count of those who wait. */
	EXPECT_EQ(0, set_lease(self->fd, F_LAYOUT));
}

TEST_F(layout, waiting_for_a_short_reference)
{
	int fds[2];
	pid_t pid;

	*self->memory = 'x';
	ASSERT_EQ(0, short_reference(self->memory, fds));
	pid = start_change(self->fd);
	EXPECT_TRUE(sleeps_in(pid, "layout_wait_", "layout_wait_"));
	kill(pid, SIGKILL);
	EXPECT_TRUE(ends_within(pid, NULL, BOUND));
	drop_reference(fds);
	EXPECT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	let_go(self);
	EXPECT_EQ(0, count_locks("LAYOUT"));
}

struct late {
	struct victim *victim;
	int after;		/* tenths of a second */
	bool pins;
};

static void *be_late(void *arg)
{
	struct late *late = arg;
	struct victim v = *late->victim;

	v.owner = open_owner();
	usleep(late->after * 100000);
	if (late->pins)
		pin_all(&v);
	else
		mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return NULL;
}

/*
 * Once the file system is frozen the first fills a hole and sleeps with
 * mmap_lock, the second wants that for writing, the others to pin.
 */
static void pin_three_times(struct victim *v, int tell)
{
	struct late late[3] = {
		{ v, 5, true }, { v, 7, false }, { v, 9, true },
	};
	int i, error = take_and_map(v);
	pthread_t thread;

	for (i = 0; i < 3; i++)
		error = error ?: pthread_create(&thread, NULL, be_late, &late[i]);
	if (write(tell, &error, sizeof(error)) < 0)
		_exit(1);
	usleep(1100000);
	pin_all(v);
	pause();
}

/* Nobody dies before the thaw, and nothing is left after it. */
TEST_F(layout, waiting_for_a_thaw_to_pin)
{
	struct victim v = { .path = self->path, .unit = self->unit };
	int tell[2], dir;
	pid_t pid;

	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(0, ftruncate(self->fd, UNITS * self->unit));
	ASSERT_EQ(0, pipe(tell));
	pid = fork();
	if (!pid)
		pin_three_times(&v, tell[1]);
	ASSERT_EQ(0, hear(tell));
	dir = open(kind_dir(&self->kind), O_RDONLY);
	ASSERT_EQ(0, ioctl(dir, FIFREEZE, 0));
	EXPECT_TRUE(sleeps_in(pid, "mmap_read_lock", "vaddr_pin"));
	kill(pid, SIGKILL);
	EXPECT_FALSE(ends_within(pid, NULL, 0.5));
	ASSERT_EQ(0, ioctl(dir, FITHAW, 0));
	close(dir);
	EXPECT_TRUE(ends_within(pid, NULL, BOUND));
	EXPECT_TRUE(nothing_is_left(self));
}

int main(int argc, char **argv)
{
	char **from = argv + 1, **to = argv + 1;

	for (; *from; from++) {
		if (!strcmp(*from, "--points") && from[1])
			points = strtoul(*++from, NULL, 0);
		else if (!strcmp(*from, "--seed") && from[1])
			seed = strtoul(*++from, NULL, 0);
		else
			*to++ = *from;
	}
	*to = NULL;
	return test_harness_run(to - argv, argv);
}
