// SPDX-License-Identifier: GPL-2.0-only
/*
 * An episode of fuzz.c, as the supervisor runs it: fresh files and fresh
 * processes, a number of calls that are made up on the way or given, and at the
 * end nothing may be left: no lease, no record, no mount.
 */
#include <dirent.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include "fuzz.h"

#define HANG		120	/* seconds for a call that never waits */

struct kind kind_nr(int nr)
{
	int nr_fs = ARRAY_SIZE(file_systems);

	return (struct kind){ file_systems[nr % nr_fs].name, nr >= nr_fs };
}

const char *kind_name(const struct world *w)
{
	static char name[16];

	snprintf(name, sizeof(name), "%s_%s", w->fs,
		 w->unit == HUGE ? "2m" : "4k");
	return name;
}

void set_kind(struct world *w, const struct kind *kind)
{
	strcpy(w->fs, kind->fs);
	w->kind = (struct kind){ w->fs, kind->huge };
	w->unit = kind_unit(kind);
}

static bool set_break_time(struct world *w, int value)
{
	FILE *file = fopen("/proc/sys/fs/lease-break-time", "we");

	w->break_time = value;
	if (!file)
		return false;
	fprintf(file, "%d\n", value);
	return !fclose(file);
}

static void look_up(struct world *w, int index)
{
	struct file *file = &w->files[index];
	struct stat st = { };
	char path[64];

	if (file->path_fd >= 0)
		close(file->path_fd);
	file->path_fd = open(file_path(w, file->name, path),
			     O_PATH | O_CLOEXEC);
	fstat(file->path_fd, &st);
	file->ino = st.st_ino;
}

static void forget(struct world *w)
{
	int i;

	memset(w->ofds, 0, sizeof(w->ofds));
	memset(w->owners, 0, sizeof(w->owners));
	memset(w->pins, 0, sizeof(w->pins));
	memset(w->queued, 0, sizeof(w->queued));
	for (i = 0; i < INODES; i++)
		w->files[i].used = false;
	for (i = 0; i < ACTORS; i++) {
		forget_actor(&w->actor[i]);
		w->actor[i].go = 0;
	}
	w->failed = false;
	w->stop = false;
	w->have_op = false;
	w->hook = NO_HOOK;
	w->quit = 0;
	w->next = 0;
	w->last_actor = 0;
	memset(&w->wanted, 0, sizeof(w->wanted));
}

/* What an episode that failed has left. */
static void remove_files(const struct world *w)
{
	DIR *dir = opendir(kind_dir(&w->kind));
	struct dirent *entry;
	char path[300];

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", kind_dir(&w->kind),
			 entry->d_name);
		if (!strncmp(entry->d_name, "file", 4))
			unlink(path);
	}
	if (dir)
		closedir(dir);
}

static bool start_actors(struct world *w)
{
	struct op op = { .actor = SUPERVISOR };
	int i;

	while (strcmp(calls[op.call]->name, "spawn"))
		op.call++;
	for (i = 1; i < ACTORS; i++)
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, w->sockets[i]))
			return false;
	for (op.a = 1; op.a < ACTORS; op.a++)
		if (perform(w, &op))
			return false;
	return true;
}

static bool create_files(struct world *w)
{
	char path[64];
	int i;

	for (i = 0; i < NAMES; i++) {
		if (create_file(w, i, file_path(w, i, path)))
			return false;
		new_file(w, i, i);
		look_up(w, i);
	}
	return true;
}

static bool begin(struct world *w)
{
	forget(w);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (kind_mount(&w->kind) || !set_break_time(w, 20))
		return false;
	remove_files(w);
	return create_files(w) && start_actors(w);
}

static void end_actors(struct world *w)
{
	int i;

	for (i = 1; i < ACTORS; i++)
		if (w->actor[i].alive)
			kill(w->actor[i].pid, SIGKILL);
	for (i = 1; i < ACTORS; i++) {
		close(w->sockets[i][0]);
		close(w->sockets[i][1]);
	}
	/* Every orphan became a child of this process. */
	for (i = 0; i < 6000; i++) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0)
			return;
		usleep(10000);
	}
	fail(w, WRONG_LEFT, "a process does not die");
}

static void end(struct world *w)
{
	int i;

	end_actors(w);
	for (i = 0; i < INODES; i++) {
		if (w->files[i].path_fd >= 0)
			close(w->files[i].path_fd);
		w->files[i].path_fd = -1;
	}
	for (i = 0; i < 500 && (count_locks("LAYOUT") || count_pins()); i++)
		usleep(10000);
	if (count_locks("LAYOUT"))
		fail(w, WRONG_LEFT, "a lease is left");
	if (count_pins())
		fail(w, WRONG_LEFT, "a record is left");
	if (kind_umount(&w->kind))
		fail(w, WRONG_LEFT, "the file system does not unmount: %s",
		     strerror(errno));
}

static void run_hook(struct world *w)
{
	enum hook hook = w->hook;

	w->hook = NO_HOOK;
	if (hook == HOOK_PIN)
		hook_pin(w);
	else if (hook == HOOK_FILE)
		look_up(w, w->hook_arg);
	else if (hook == HOOK_TIME)
		set_break_time(w, w->hook_arg);
}

static void show_stack(const struct world *w, pid_t pid)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		printf("# %d: %s", pid, line);
	if (file)
		fclose(file);
}

/* It is an actor's turn: it must come back, and no actor may die by itself. */
static void wait_for_actors(struct world *w)
{
	double since = seconds();
	unsigned long seen = w->progress;
	int i;

	while (!wait_turn(w, SUPERVISOR, 2)) {
		for (i = 1; i < ACTORS; i++)
			if (w->actor[i].alive &&
			    waitpid(w->actor[i].pid, NULL, WNOHANG) > 0)
				fail(w, WRONG_DEATH, "actor %d died", i);
		if (w->progress != seen) {
			seen = w->progress;
			since = seconds();
		}
		if (seconds() - since > HANG) {
			fail(w, WRONG_HANG, "actor %d hangs in %s",
			     w->op.actor, calls[w->op.call]->name);
			for (i = 1; i < ACTORS; i++)
				show_stack(w, w->actor[i].pid);
		}
		if (w->failed)
			return;
	}
}

static bool done(const struct world *w)
{
	return w->failed || (w->hook == NO_HOOK && !w->have_op &&
			     w->next >= w->limit);
}

/*
 * Up to @limit calls: those of @ops, or such as follow from the seed. False if
 * something is wrong, see w->failed; w->history then ends with what was.
 */
bool run_episode(struct world *w, unsigned long seed, int limit,
		 const struct op *ops)
{
	w->limit = limit;
	w->replay = ops;
	w->nr_history = ops ? limit : 0;
	if (ops)
		memmove(w->history, ops, limit * sizeof(*ops));
	w->random = (seed + 1) * 0x9e3779b97f4a7c15UL | 1;
	if (!begin(w)) {
		fail(w, WRONG_LEFT, "cannot start: %s", strerror(errno));
		end(w);
		return false;
	}
	while (!done(w)) {
		if (w->hook != NO_HOOK)
			run_hook(w);
		else if (step(w, SUPERVISOR))
			wait_for_actors(w);
	}
	if (!w->failed)
		check_world(w);
	if (w->failed)
		w->nr_history = w->next;
	end(w);
	return !w->failed;
}
