// SPDX-License-Identifier: GPL-2.0
/*
 * Races: processes and threads take leases, pin, register, let go, pass on, are
 * killed, while others change layouts, free and allocate, sync, freeze and read,
 * on ext4 and XFS at once; and others compare. Then the device goes under all
 * that. See race.h for the parts.
 *
 * Every answer is one that the contract allows; each operation was refused and
 * was done; no block of a pinned page moved; nobody saw foreign data; no lease
 * was lost; everything ends in time and leaves nothing behind.
 *
 * --time S: seconds of the first part (30). --seed N. --threads N: so many of
 * each worker that holds or changes (1). --rounds N: of the second part (1).
 */
#include "race.h"
#include <linux/fs.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define ROOM		(20L << 20)	/* for what comes and goes */
#define LIMIT		60		/* seconds of one operation */

const struct kind kinds[NR_FS] = { { "ext4", true }, { "xfs", true } };

struct shared *shared;
__thread struct worker *me;

/* One for each file system; the first ones as many as are asked for. */
static const struct role * const roles[] = {
	&holder, &changer, &holder, &device, &clash, &passer, &executer,
	&writer, &taker, &churner, &freezer, &scanner,
};

#define CROWD	5	/* of these roles */

static double run_time = 30;
static int crowd = 1, rounds = 1;

void attach(int fd)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED,
		      fd, 0);
	if (shared == MAP_FAILED)
		ksft_exit_fail_perror("shared memory");
}

void work(void)
{
	me->tid = syscall(SYS_gettid);
	srandom(shared->seed * 7919 + me->nr * 131 + me->generation * 17 +
		me->done);
	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED))
		me->role->round();
	held_no_more(NOTHING);
	syscall(SYS_exit_group, 0);
	__builtin_unreachable();
}

static void *work_in_a_thread(void *arg)
{
	me = arg;
	me->pid = getpid();
	work();
}

/* What a killed one held does not count; then it is as new. */
static void renew(struct worker *worker)
{
	worker->slot.changes = (worker->slot.changes + 2) & ~1U;
	worker->slot.held = NOTHING;
	worker->since = 0;
	worker->generation++;
	__atomic_store_n(&worker->doomed, false, __ATOMIC_SEQ_CST);
}

static void start(struct worker *worker)
{
	const struct role *role = worker->role;
	struct worker *thread = worker;
	pid_t pid = fork();
	pthread_t id;

	if (pid < 0)
		ksft_exit_fail_perror("fork");
	/* Shared: what a late child writes here may be the pid that is killed. */
	if (pid) {
		worker->pid = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	me = worker;
	me->pid = getpid();
	for (role = role->also; role; role = role->also) {
		thread++;
		pthread_create(&id, NULL, work_in_a_thread, thread);
	}
	work();
}

/* And a worker for each of its threads, next to it. */
struct worker *spawn(const struct role *role, int fs)
{
	struct worker *first = &shared->worker[shared->nr_workers], *worker;

	for (; role; role = role->also) {
		worker = &shared->worker[shared->nr_workers++];
		worker->role = role;
		worker->fs = fs;
		worker->nr = worker - shared->worker;
	}
	start(first);
	return first;
}

/* Has it hung? Where? */
static void watch(struct worker *worker, unsigned long limit)
{
	unsigned long since = __atomic_load_n(&worker->since, __ATOMIC_ACQUIRE);
	char path[64], line[160] = "";
	FILE *file;

	if (!since || now_ms() < since + limit)
		return;
	sprintf(path, "/proc/%d/task/%d/stack", worker->pid, worker->tid);
	file = fopen(path, "re");
	printf("# %s %d (pid %d) hangs in operation %d for %lu ms:\n",
	       worker->role->name, worker->nr, worker->pid, worker->doing,
	       now_ms() - since);
	while (file && fgets(line, sizeof(line), file))
		printf("#   %s", line);
	if (file)
		fclose(file);
	wrong(HANG, "%s %d hangs", worker->role->name, worker->nr);
	worker->since = now_ms();	/* said once a while */
}

static bool is_thread(const struct worker *worker)
{
	return worker->nr && worker[-1].role->also == worker->role;
}

static void kill_one(struct worker *worker)
{
	const struct role *role = worker->role;
	struct worker *thread;

	if (!role || !role->mortal || is_thread(worker))
		return;
	for (thread = worker; role; role = role->also)
		__atomic_store_n(&thread++->doomed, true, __ATOMIC_SEQ_CST);
	begin(KILL);
	kill(worker->pid, SIGKILL);
	answered(KILL, ends_within(worker->pid, NULL, LIMIT) ? 0 : ETIMEDOUT);
	for (role = worker->role, thread = worker; role; role = role->also)
		renew(thread++);
	start(worker);
}

static void kill_all(void)
{
	int i;

	for (i = 1; i < shared->nr_workers; i++)
		if (!is_thread(&shared->worker[i]))
			kill(shared->worker[i].pid, SIGKILL);
}

/* All of them end by themselves; true if they did. */
bool stop_all(double bound)
{
	double end = seconds() + bound;
	bool ended = true;
	int i;

	__atomic_store_n(&shared->stop, true, __ATOMIC_SEQ_CST);
	for (i = 1; i < shared->nr_workers; i++) {
		if (is_thread(&shared->worker[i]) ||
		    ends_within(shared->worker[i].pid, NULL, end - seconds()))
			continue;
		ended = false;
		shared->worker[i].since = 1;
		watch(&shared->worker[i], 0);
	}
	if (!ended)
		kill_all();
	shared->nr_workers = 1;
	return ended;
}

static int fill_up(int fs)
{
	char path[64];
	struct statvfs st;
	int fd, error;

	sprintf(path, "%s/filler", kind_dir(&kinds[fs]));
	fd = open(path, O_RDWR | O_CREAT, 0600);
	error = fstatvfs(fd, &st) ||
		fallocate(fd, 0, 0, (long)(st.f_bavail * st.f_bsize) - ROOM);
	close(fd);
	return error;
}

/* Where in memory the device is. */
static __u64 resource_of(int fs)
{
	char path[64];
	unsigned long long at = 0;
	FILE *file;

	sprintf(path, "/sys/bus/nd/devices/namespace%c.0/resource",
		kind_number(&kinds[fs]));
	file = fopen(path, "re");
	if (!file || fscanf(file, "%llx", &at) != 1)
		ksft_exit_fail_perror(path);
	fclose(file);
	return at;
}

static void make_file_system(int fs)
{
	/* XFS is not made as small as that. */
	static const char * const options[NR_FS] = { "", "-m reflink=1" };
	static const char * const size[NR_FS] = { "96M", "" };
	const struct file_system *make = kind_fs(&kinds[fs]);
	char path[64];
	int i, fd;

	mkdir(kind_dir(&kinds[fs]), 0755);
	if (fs_make(make, options[fs], make->aligned, make->device, size[fs]) ||
	    kind_mount_with(&kinds[fs], "dax"))
		ksft_exit_fail_perror(kinds[fs].fs);
	for (i = 0; i < ALL_FILES; i++) {
		path_of(path, fs, i);
		fd = open(path, O_RDWR | O_CREAT, 0644);
		if (fd < 0 || fallocate(fd, 0, 0, FILE_SIZE))
			ksft_exit_fail_perror(path);
		close(fd);
	}
	sprintf(path, "%s/churn", kind_dir(&kinds[fs]));
	mkdir(path, 0755);
	if (fill_up(fs))
		ksft_exit_fail_perror("filler");
	fill_with_churn(fs);
	shared->resource[fs] = resource_of(fs);
}

/* One that stands all the time, beside those that come and go. */
static struct pin hold_one(int fs, int *fd, char **memory)
{
	struct pin p = { .fd = -1, .error = EBADF };

	*fd = open_raced(fs, HELD);
	*memory = *fd < 0 ? NULL : map_raced(*fd, true);
	if (*memory && !set_lease(*fd, EXCLUSIVE))
		p = pin(*memory, PAGE);
	if (p.error)
		ksft_exit_fail_msg("no pin on %s: %s\n", kinds[fs].fs,
				   strerror(p.error));
	return p;
}

static void spawn_all(void)
{
	unsigned int i;
	int fs, j;

	for (fs = 0; fs < NR_FS; fs++) {
		for (i = 0; i < ARRAY_SIZE(roles); i++)
			spawn(roles[i], fs);
		for (j = 1; j < crowd; j++)
			for (i = 0; i < CROWD; i++)
				spawn(roles[i], fs);
	}
	spawn(&checker, 0);
	spawn(&reader, 0);
}

static void let_them_race(double duration)
{
	double end = seconds() + duration;
	int i;

	spawn_all();
	while (seconds() < end && !shared->wrong[HANG]) {
		usleep(300000);
		for (i = 1; i < shared->nr_workers; i++)
			watch(&shared->worker[i], LIMIT * 1000);
		kill_one(&shared->worker[1 + roll(shared->nr_workers - 1)]);
	}
}

static bool nothing_is_left(void)
{
	int i;

	for (i = 0; i < 1000 && (count_locks("LAYOUT") || count_pins()); i++)
		usleep(5000);
	return !count_locks("LAYOUT") && !count_pins();
}

static bool is_whole(int fs)
{
	return !fs_check(kind_fs(&kinds[fs]), "/tmp/race.fsck");
}

static void report(bool ended)
{
	static const char * const names[NR_WRONG] = {
		[ANSWER] = "every_answer_is_one_of_the_contract",
		[BLOCKS] = "blocks_of_pinned_ranges_do_not_move",
		[FOREIGN] = "nobody_sees_foreign_data",
		[LOST_LEASE] = "no_lease_is_lost",
		[SHOWN] = "what_is_pinned_is_shown",
		[HANG] = "everything_ends_in_time",
	};
	static const enum look looks[NR_WRONG][2] = {
		[ANSWER] = { LOOK_LOCKS, LOOK_LOCKS },
		[BLOCKS] = { LOOK_BLOCKS, LOOK_FRAMES },
		[FOREIGN] = { LOOK_CONTENT, LOOK_CHURN },
		[LOST_LEASE] = { LOOK_LOCKS, LOOK_LEASE },
		[SHOWN] = { LOOK_PINS, LOOK_TABLE },
		[HANG] = { LOOK_DEVICE, LOOK_DEVICE },
	};
	unsigned long first, second;
	unsigned int i;

	for (i = 0; i < shared->messages && i < MESSAGES; i++)
		printf("# wrong: %s\n", shared->message[i]);
	for (i = 0; i < NR_WRONG; i++) {
		first = shared->looks[looks[i][0]];
		second = shared->looks[looks[i][1]];
		ksft_test_result(!shared->wrong[i] && first && second &&
				 (i != HANG || ended),
				 "%s: %lu wrong, looked %lu and %lu times\n",
				 names[i], shared->wrong[i], first, second);
	}
	ksft_test_result(rules_are_kept(true),
			 "each_operation_is_done_and_refused\n");
}

static void race(void)
{
	unsigned long foreign = 0;
	struct pin p[NR_FS];
	char *memory[NR_FS];
	bool ended, left, whole = true;
	int fd[NR_FS], fs;

	for (fs = 0; fs < NR_FS; fs++) {
		make_file_system(fs);
		p[fs] = hold_one(fs, &fd[fs], &memory[fs]);
	}
	if (make_ring() || make_device())
		ksft_exit_fail_msg("no sockets, or no soft RoCE\n");
	let_them_race(run_time);
	ended = stop_all(LIMIT);
	for (fs = 0; fs < NR_FS; fs++) {
		unpin(p[fs]);
		munmap(memory[fs], FILE_SIZE);
		close(fd[fs]);
		foreign += scan_churn(fs);
	}
	close_ring();
	shared->wrong[FOREIGN] += foreign;
	report(ended);
	left = !nothing_is_left();
	for (fs = 0; fs < NR_FS; fs++) {
		left |= kind_umount(&kinds[fs]) != 0;
		whole &= is_whole(fs);
	}
	ksft_test_result(!left, "nothing_is_left_behind\n");
	ksft_test_result(whole, "file_systems_are_whole\n");
}

static void race_against_unbind(int fs)
{
	bool good = true;
	int i;

	for (i = 0; i < rounds && good; i++) {
		make_file_system(fs);
		good = unbind_race(fs) && nothing_is_left();
		good &= kind_umount(&kinds[fs]) == 0;
		good &= kind_driver(&kinds[fs], "bind") == 0;
	}
	ksft_test_result(good, "%s_goes_while_it_is_pinned: %d of %d rounds\n",
			 kinds[fs].fs, i, rounds);
}

static void set_up(int fd, unsigned int seed)
{
	FILE *file = fopen("/proc/sys/fs/lease-break-time", "we");

	if (fd < 0 || ftruncate(fd, sizeof(*shared)) ||
	    dup2(fd, SHARED_FD) != SHARED_FD)
		ksft_exit_fail_perror("shared memory");
	attach(SHARED_FD);
	shared->seed = seed;
	/* The first one is this process. */
	me = &shared->worker[0];
	me->role = &checker;
	me->pid = getpid();
	shared->nr_workers = 1;
	srandom(seed);
	if (!file || fprintf(file, "1\n") < 0 || fclose(file))
		ksft_exit_fail_perror("lease-break-time");
}

int main(int argc, char **argv)
{
	unsigned int seed = 1;
	int i;

	if (argc == 5 && !strcmp(argv[1], "--executed")) {
		attach(SHARED_FD);
		me = &shared->worker[atoi(argv[2])];
		me->role = &executer;
		srandom(shared->seed + me->done);
		executed(me->fs, atoi(argv[3]), atoi(argv[4]));
		work();
	}
	for (i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--time"))
			run_time = atof(argv[i + 1]);
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoul(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--threads"))
			crowd = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--rounds"))
			rounds = atoi(argv[i + 1]);
		else
			break;
	}
	if (i < argc) {
		fprintf(stderr, "Usage: race [--time S] [--seed N] [--threads N] [--rounds N]\n");
		return 2;
	}
	setlinebuf(stdout);
	ksft_print_header();
	ksft_set_plan(NR_WRONG + 3 + NR_FS);
	set_up(memfd_create("race", 0), seed);
	printf("# seed %u, %.0f s, %d of each, %ld processors\n", seed, run_time,
	       crowd, sysconf(_SC_NPROCESSORS_ONLN));
	race();
	for (i = 0; i < NR_FS; i++)
		race_against_unbind(i);
	ksft_finished();
}
