// SPDX-License-Identifier: GPL-2.0
/*
 * How the file of a row of change.c gets into its state, and what has to be so
 * after the row.
 *
 * Every row runs in a process of its own, the caller of the operation; holders
 * are further processes. They tell what happened through a shared page.
 */
#include <sys/prctl.h>
#include "change.h"

static struct outcome *outcome;

#define need(condition) do {						\
	if (!(condition)) {						\
		outcome->failed_at = __LINE__;				\
		outcome->error = errno;					\
		return -1;						\
	}								\
} while (0)

/*
 * The one page that is pinned: not the first one of its unit, if it has more.
 */
static long pinned_at(struct world *w)
{
	return w->unit + (w->unit > PAGE ? 3 * PAGE : 0);
}

static int open_lease_file(struct world *w)
{
	w->lease_fd = open(w->path, O_RDWR);
	need(w->lease_fd >= 0);
	w->lease_memory = map_file(w->lease_fd, w->unit);
	need(w->lease_memory != MAP_FAILED);
	return 0;
}

static int take(struct world *w, int kind)
{
	if (open_lease_file(w))
		return -1;
	need(!(errno = set_lease(w->lease_fd, kind)));
	return 0;
}

static int pin_one(struct world *w)
{
	w->owner = open_owner();
	need(w->owner >= 0);
	need(!(errno = pin_with(w->owner, w->lease_memory + pinned_at(w), PAGE,
				PIN_WRITE | PIN_FAST)));
	return 0;
}

static int take_other(struct world *w, int kind, long size)
{
	w->holder = start_holder(w->path, kind, w->unit, pinned_at(w), size);
	need(!(errno = w->holder.error));
	return 0;
}

int enter_nothing(struct world *w)
{
	return 0;
}

static int breakable_fd;

static void let_go_when_asked(int sig)
{
	outcome->signals++;
	fcntl(breakable_fd, F_SETLEASE, F_UNLCK);
}

static void hold_breakable(struct world *w, int tell)
{
	int error;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	breakable_fd = open(w->path, O_RDONLY);
	signal(SIGIO, let_go_when_asked);
	error = set_lease(breakable_fd, F_LAYOUT);
	if (write(tell, &error, sizeof(error)) < 0)
		_exit(1);
	for (;;)
		pause();
}

int enter_breakable_other(struct world *w)
{
	int tell[2];

	need(!pipe(tell));
	w->holder.pid = fork();
	if (!w->holder.pid)
		hold_breakable(w, tell[1]);
	need(read(tell[0], &errno, sizeof(errno)) == sizeof(errno) && !errno);
	return 0;
}

int enter_breakable_own(struct world *w)
{
	signal(SIGIO, let_go_when_asked);
	return take(w, F_LAYOUT);
}

int enter_unbreak_other(struct world *w)
{
	return take_other(w, F_LAYOUT | F_UNBREAK, 0);
}

int enter_exclusive_other(struct world *w)
{
	return take_other(w, F_LAYOUT | F_EXCLUSIVE, PAGE);
}

int enter_unbreak_own(struct world *w)
{
	return take(w, F_LAYOUT | F_UNBREAK);
}

int enter_unbreak_own_pinned(struct world *w)
{
	return take(w, F_LAYOUT | F_UNBREAK) ?: pin_one(w);
}

int enter_exclusive_own_pinned(struct world *w)
{
	return take(w, F_LAYOUT | F_EXCLUSIVE) ?: pin_one(w);
}

int enter_own_beside_other(struct world *w)
{
	return take_other(w, F_LAYOUT | F_UNBREAK, 0) ?:
		enter_unbreak_own_pinned(w);
}

int enter_zombie_own(struct world *w)
{
	if (enter_exclusive_own_pinned(w))
		return -1;
	need(!munmap(w->lease_memory, UNITS * w->unit));
	need(!close(w->lease_fd));
	need(count_locks("ZOMBIE") == 1);
	return 0;
}

/* A process that takes and pins through an owner of ours, then is gone. */
static int pinned_by_the_dead(struct world *w, int lease_fd)
{
	int status;
	pid_t pid;

	w->owner = open_owner();
	need(w->owner >= 0);
	pid = fork();
	if (!pid) {
		w->lease_fd = lease_fd >= 0 ? lease_fd : open(w->path, O_RDWR);
		w->lease_memory = map_file(w->lease_fd, w->unit);
		_exit(set_lease(w->lease_fd, F_LAYOUT | F_EXCLUSIVE) ?:
		      pin_with(w->owner, w->lease_memory + pinned_at(w), PAGE,
			       PIN_WRITE | PIN_FAST));
	}
	need(waitpid(pid, &status, 0) == pid);
	need(!(errno = WEXITSTATUS(status)));
	return 0;
}

int enter_zombie_other(struct world *w)
{
	if (pinned_by_the_dead(w, -1))
		return -1;
	need(count_locks("ZOMBIE") == 1);
	return 0;
}

int enter_taker_dead(struct world *w)
{
	if (open_lease_file(w) || pinned_by_the_dead(w, w->lease_fd))
		return -1;
	need(count_locks("ACTIVE") == 1);
	return 0;
}

/* What the records say of the pin: all of its entry, or its page only. */
static int check_record(struct world *w)
{
	const char *table = "/sys/kernel/debug/layout_pin/pins";
	char want[128];

	snprintf(want, sizeof(want), " %ld-%ld pid ", w->unit, 2 * w->unit - 1);
	need(count_lines(table, want) == 1);
	snprintf(want, sizeof(want), " file %s\n", w->path);
	need(count_lines(table, want) == 1);
	return 0;
}

/* The other file of an operation on two, of the same size and text. */
static int row_other(struct world *w)
{
	char *memory;

	kind_path(w->kind, w->other, "other");
	w->other_fd = make_file(w->other, w->unit);
	need(w->other_fd >= 0);
	need(!ftruncate(w->other_fd, FILE_SIZE(w->unit)));
	memory = map_file(w->other_fd, w->unit);
	need(memory != MAP_FAILED);
	memset(memory, 'a', UNITS * w->unit);
	need(!munmap(memory, UNITS * w->unit));
	return 0;
}

static int row_world(const struct row *row, struct world *w)
{
	w->kind = row->kind;
	w->unit = kind_unit(row->kind);
	kind_path(row->kind, w->path, "file");
	w->fd = make_file(w->path, w->unit);
	need(w->fd >= 0);
	need(!ftruncate(w->fd, FILE_SIZE(w->unit)));
	w->memory = map_file(w->fd, w->unit);
	need(w->memory != MAP_FAILED);
	/* So that huge entries are there before anybody maps less. */
	memset(w->memory, 'a', UNITS * w->unit);
	return row_other(w);
}

static void row_process(const struct row *row)
{
	struct world w = { .owner = -1, .lease_fd = -1, .out = outcome };
	double start;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!row_world(row, &w) && !row->state->enter(&w) &&
	    (!row->state->pins || !check_record(&w))) {
		start = seconds();
		outcome->answer = row->op->run(&w);
		outcome->took = seconds() - start;
	}
	if (w.holder.pid)
		end_holder(w.holder);
	_exit(0);
}

static long pinned_pages(void)
{
	long acquired = 0, released = 0, value;
	FILE *file;
	char name[64];

	file = fopen("/proc/sys/vm/stat_refresh", "w");
	if (file) {
		fputc('1', file);
		fclose(file);
	}
	file = fopen("/proc/vmstat", "r");
	while (file && fscanf(file, "%63s %ld", name, &value) == 2) {
		if (!strcmp(name, "nr_foll_pin_acquired"))
			acquired = value;
		if (!strcmp(name, "nr_foll_pin_released"))
			released = value;
	}
	if (file)
		fclose(file);
	return acquired - released;
}

/* Everything is gone when the processes are; returns what is not. */
static const char *left_behind(const struct row *row)
{
	if (count_locks("LAYOUT"))
		return "a lease";
	if (count_pins())
		return "a record";
	if (pinned_pages())
		return "pinned pages";
	if (kind_umount(row->kind))
		return "a reference: the file system does not unmount";
	return NULL;
}

/* What has to be answered, and how many signals the holders get. */
static int expected_answer(const struct row *row, int *signals)
{
	const struct state *state = row->state;
	int always = op_is_missing(row->op, row->kind);

	*signals = 0;
	if (always)
		return always;
	*signals = state->signals;
	switch (row->op->answer) {
	case HIT:
		return state->hit;
	case MISS:
		return state->miss;
	case SHARE:
		return state->share;
	case COPY:	/* reading a file asks nobody */
	default:
		*signals = 0;
		return 0;
	}
}

static bool judge(const struct row *row, const char *name)
{
	int expected, signals;
	double bound;

	if (outcome->failed_at) {
		ksft_print_msg("%s: not in its state: line %d, %s\n", name,
			       outcome->failed_at, strerror(outcome->error));
		return false;
	}
	expected = expected_answer(row, &signals);
	bound = signals ? SOON : AT_ONCE;
	if (outcome->answer == expected && outcome->signals == signals &&
	    outcome->took < bound)
		return true;
	ksft_print_msg("%s: %s in %.2f s with %d signals, expected %s in %.0f s with %d\n",
		       name, strerror(outcome->answer), outcome->took,
		       outcome->signals, strerror(expected), bound, signals);
	return false;
}

bool run_row(const struct row *row, char *name, size_t size)
{
	const char *left;
	pid_t pid;
	bool ok;

	snprintf(name, size, "%s_%s %s: %s", row->kind->fs,
		 row->kind->huge ? "2m" : "4k", row->state->name,
		 row->op->name);
	if (!outcome)
		outcome = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(outcome, 0, sizeof(*outcome));
	outcome->answer = ECHILD;
	if (kind_mount(row->kind)) {
		ksft_print_msg("%s: cannot mount\n", name);
		return false;
	}
	fflush(stdout);
	pid = fork();
	if (!pid)
		row_process(row);
	waitpid(pid, NULL, 0);
	ok = judge(row, name);
	left = left_behind(row);
	if (left)
		ksft_print_msg("%s: left behind: %s\n", name, left);
	return ok && !left;
}
