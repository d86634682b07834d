// SPDX-License-Identifier: GPL-2.0
/*
 * The memory limit of a cgroup, hit inside of pinning, registering and taking
 * leases: records are charged to who asks for them. Who may not be killed is
 * told ENOMEM, and has what it had; who may is killed, and nothing is left.
 *
 * The one who is limited says what it has in memory that it shares with the
 * test, since at its limit it can neither read /proc nor write to a pipe. So it
 * is the test that limits it, too.
 */
#define LAYOUT_PIN_SMALL_ONLY
#include "layout_pin_fixture.h"
#include "rdma_loop.h"
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define UNBREAK		(F_LAYOUT | F_UNBREAK)
#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)
#define TOP		"/tmp/layout_cgroup"
#define GROUP		TOP "/limited"
#define STEPS		24		/* each one page more than the last */
#define MOST		8000		/* pins, or leases, of all steps */
#define BOUND		60.0		/* seconds */

/* What the limited one says, and what it is to do. */
struct told {
	volatile bool ready;
	volatile int go;		/* so often it was limited */
	volatile int step;		/* and so often it did what it could */
	volatile int error;		/* the last answer */
	volatile int nr;		/* pins or leases that it has */
	volatile bool again;		/* freeing some made room for as many */
};

static long read_number(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	char word[64];
	long number = -1;

	while (file && number < 0 && fscanf(file, "%63s", word) == 1)
		if (!*key || !strcmp(word, key))
			number = *key ? (fscanf(file, "%ld", &number), number) :
					atol(word);
	if (file)
		fclose(file);
	return number;
}

static int make_group(void)
{
	/* What a test that failed has left. */
	rmdir(GROUP);
	umount2(TOP, MNT_DETACH);
	mkdir(TOP, 0755);
	if (mount("none", TOP, "cgroup2", 0, NULL))
		return errno;
	if (write_text(TOP "/cgroup.subtree_control", "+memory"))
		return EINVAL;
	return mkdir(GROUP, 0755) ? errno : 0;
}

/* Its last process may be on its way out yet. */
static int remove_group(void)
{
	int i, error = -1;

	for (i = 0; i < 200 && error; i++) {
		error = rmdir(GROUP) ? errno : 0;
		if (error)
			usleep(20000);
	}
	return error ?: umount(TOP) ? errno : 0;
}

/* What is used now, and @pages more. */
static int limit_to(long pages)
{
	char text[32];

	sprintf(text, "%ld", read_number(GROUP "/memory.current", "") +
		pages * PAGE);
	return write_text(GROUP "/memory.max", text);
}

static int join_group(bool may_be_killed)
{
	return write_text(GROUP "/cgroup.procs", "0") ?:
		write_text("/proc/self/oom_score_adj",
			   may_be_killed ? "1000" : "-1000");
}

/* One kind of thing that costs memory, one more or one less of it. */
struct cost {
	int (*prepare)(void);
	int (*more)(int nr);
	void (*less)(int nr);
};

static struct {
	const char *path;
	long unit;
	char *memory;
	int fds[MOST];
	struct rdma_loop loop;
	struct ibv_mr *mrs[MOST];
} limited;

static int take_and_map(void)
{
	int fd = open(limited.path, O_RDWR);

	limited.memory = map_file(fd, limited.unit);
	if (limited.memory == MAP_FAILED)
		return ENOMEM;
	memset(limited.memory, 'x', UNITS * limited.unit);
	return set_lease(fd, UNBREAK);
}

/* Owners are open before there is a limit: only the pins cost. */
static int prepare_pins(void)
{
	int i;

	for (i = 0; i < MOST; i++)
		limited.fds[i] = open_owner();
	return limited.fds[MOST - 1] < 0 ? errno : take_and_map();
}

static int one_more_pin(int nr)
{
	return pin_with(limited.fds[nr], limited.memory, PAGE,
			PIN_WRITE | PIN_FAST);
}

static void one_pin_less(int nr)
{
	ioctl(limited.fds[nr], PIN_LONGTERM_TEST_STOP);
}

static int prepare_leases(void)
{
	int i;

	for (i = 0; i < MOST; i++)
		limited.fds[i] = open(limited.path, O_RDWR);
	return limited.fds[MOST - 1] < 0 ? errno : 0;
}

static int one_more_lease(int nr)
{
	return set_lease(limited.fds[nr], UNBREAK);
}

static void one_lease_less(int nr)
{
	set_lease(limited.fds[nr], F_UNLCK);
}

/* At its limit libibverbs can have no more memory than this. */
static void keep_memory(void)
{
	void *memory;

	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	memory = malloc(8 << 20);
	memset(memory, 1, 8 << 20);
	free(memory);
	memset(limited.mrs, 0, sizeof(limited.mrs));
}

static int prepare_regions(void)
{
	int error = loop_open_device(&limited.loop);

	limited.loop.pd = error ? NULL : ibv_alloc_pd(limited.loop.context);
	keep_memory();
	return error ?: limited.loop.pd ? take_and_map() : ENOMEM;
}

static int one_more_region(int nr)
{
	limited.mrs[nr] = ibv_reg_mr(limited.loop.pd, limited.memory, PAGE,
				     IBV_ACCESS_LOCAL_WRITE);
	return limited.mrs[nr] ? 0 : errno;
}

static void one_region_less(int nr)
{
	ibv_dereg_mr(limited.mrs[nr]);
}

static const struct cost pins = { prepare_pins, one_more_pin, one_pin_less };

static const struct cost regions = {
	prepare_regions, one_more_region, one_region_less,
};

static const struct cost leases = {
	prepare_leases, one_more_lease, one_lease_less,
};

/* Until the limit; a few less; as many again. */
static void cost_step(const struct cost *cost, struct told *told, int nr)
{
	int i, freed;

	do {
		told->error = nr < MOST ? cost->more(nr) : 0;
		if (!told->error && nr < MOST)
			nr++;
	} while (!told->error && nr < MOST);

	freed = nr < 8 ? nr : 8;
	for (i = 0; i < freed; i++)
		cost->less(nr - 1 - i);
	told->again = freed && !cost->more(nr - freed);
	told->nr = nr - freed + told->again;
}

static void be_limited(const struct cost *cost, struct told *told, bool killed)
{
	struct rlimit limit = { 2 * MOST, 2 * MOST };
	int step;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_NOFILE, &limit);
	/*
	 * What it can do without, pages of libraries, is not to be the
	 * group's.
	 */
	told->error = cost->prepare() ?: join_group(killed);
	if (told->error)
		_exit(1);
	told->nr = 0;
	told->ready = true;
	for (step = 1; step <= STEPS; step++) {
		while (told->go < step)
			usleep(1000);
		cost_step(cost, told, told->nr);
		told->step = step;
	}
	for (;;)
		pause();
}

static struct told *tell(void)
{
	struct told *told = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
				 -1, 0);

	return told == MAP_FAILED ? NULL : told;
}

static int records(void)
{
	return count_pins();
}

static int leases_held(void)
{
	return count_locks("LAYOUT ACTIVE    UNBREAK");
}

static bool nothing_is_left(void)
{
	int i;

	for (i = 0; i < 1000 && (count_locks("LAYOUT") || count_pins()); i++)
		usleep(5000);
	return !count_locks("LAYOUT") && !count_pins();
}

/*
 * Start a step with so many pages more than are used. True if it was done; else
 * the one who is limited is dead, or does not answer.
 */
static bool reached(struct told *told, int step, long pages, pid_t pid,
		    int *status)
{
	double end = seconds() + BOUND;

	while (seconds() < end && told->step < step) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return false;
		if (told->ready && told->go < step) {
			if (limit_to(pages))
				return false;
			told->go = step;
		}
		usleep(2000);
	}
	return told->step >= step;
}

static void told_enomem(struct __test_metadata *_metadata,
			FIXTURE_DATA(layout) *self, const struct cost *cost,
			int (*count)(void))
{
	int step, status = 0, hit = 0, again = 0;
	struct told *told = tell();
	pid_t pid;

	limited.path = self->path;
	limited.unit = self->unit;
	ASSERT_EQ(0, make_group());
	pid = fork();
	if (!pid)
		be_limited(cost, told, false);
	for (step = 1; step <= STEPS; step++) {
		ASSERT_TRUE(reached(told, step, step > 1, pid, &status)) {
			TH_LOG("step %d, status %#x: %s", step, status,
			       strerror(told->error));
		}
		EXPECT_EQ(ENOMEM, told->error) {
			TH_LOG("step %d: %s", step, strerror(told->error));
		}
		EXPECT_EQ(told->nr, count());
		hit += told->error == ENOMEM;
		again += told->again;
	}
	EXPECT_LT(0, hit);
	EXPECT_LT(0, again);
	TH_LOG("the limit was hit %d times, with %d at last; memory freed was had again %d times",
	       hit, told->nr, again);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_TRUE(nothing_is_left());
	EXPECT_EQ(0, truncate(self->path, 0) ? errno : 0);
	EXPECT_EQ(0, remove_group());
}

TEST_F(layout, pinning_at_the_limit_is_enomem)
{
	told_enomem(_metadata, self, &pins, records);
}

TEST_F(layout, registering_at_the_limit_is_enomem)
{
	told_enomem(_metadata, self, &regions, records);
}

TEST_F(layout, taking_leases_at_the_limit_is_enomem)
{
	told_enomem(_metadata, self, &leases, leases_held);
}

static void killed_at_the_limit(struct __test_metadata *_metadata,
				FIXTURE_DATA(layout) *self,
				const struct cost *cost)
{
	struct told *told = tell();
	int step, status = 0;
	pid_t pid;

	limited.path = self->path;
	limited.unit = self->unit;
	ASSERT_EQ(0, make_group());
	pid = fork();
	if (!pid)
		be_limited(cost, told, true);
	for (step = 1; step <= STEPS; step++)
		if (!reached(told, step, 4, pid, &status))
			break;
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		TH_LOG("status %#x", status);
	}
	EXPECT_LT(0, read_number(GROUP "/memory.events", "oom_kill"));
	EXPECT_TRUE(nothing_is_left());
	EXPECT_EQ(0, truncate(self->path, 0) ? errno : 0);
	EXPECT_EQ(0, remove_group());
}

TEST_F(layout, killed_for_memory_in_pinning)
{
	killed_at_the_limit(_metadata, self, &pins);
}

TEST_F(layout, killed_for_memory_in_registering)
{
	killed_at_the_limit(_metadata, self, &regions);
}

TEST_F(layout, killed_for_memory_in_taking_leases)
{
	killed_at_the_limit(_metadata, self, &leases);
}

TEST_HARNESS_MAIN
