// SPDX-License-Identifier: GPL-2.0-only
/*
 * An episode of fuzz.c: fresh files and fresh processes, a number of calls that
 * are made up on the way or given, and at the end nothing may be left: no lease,
 * no record, and a file system that unmounts. The supervisor's side of it.
 */
#include <dirent.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include "fuzz.h"

#define WORLD		((void *)0x180000000000UL)
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
	/* What the inode of ext4 can say with blocks of 4 KiB. */
	w->max_bytes = kind_is(kind, "ext4") ? ((1L << 32) - 1) * PAGE :
		LONG_MAX;
}

struct world *attach_world(int fd)
{
	struct world *w = mmap(WORLD, sizeof(struct world),
			       PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);

	return w == MAP_FAILED ? NULL : w;
}

struct world *make_world(void)
{
	int i, fd = memfd_create("world", 0);
	struct world *w;

	if (fd < 0 || ftruncate(fd, sizeof(struct world)))
		return NULL;
	w = attach_world(fd);
	if (!w)
		return NULL;
	w->world_fd = fd;
	w->exe_fd = open("/proc/self/exe", O_PATH);
	w->zero_fd = open("/dev/zero", O_RDONLY);
	w->null_fd = memfd_create("scratch", 0);
	for (i = 0; i < INODES; i++)
		w->files[i].path_fd = -1;
	return w;
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
	char path[64], name[16];
	struct stat st = { };

	if (file->path_fd >= 0)
		close(file->path_fd);
	snprintf(name, sizeof(name), "file%d", file->name);
	file->path_fd = open(kind_path(&w->kind, path, name),
			     O_PATH | O_CLOEXEC);
	fstat(file->path_fd, &st);
	file->ino = st.st_ino;
}

/* One is allocated, one all hole, and one is an ordinary user's. */
static bool new_file(struct world *w, int index)
{
	char path[64], name[16];
	int fd;

	snprintf(name, sizeof(name), "file%d", index);
	fd = open(kind_path(&w->kind, path, name), O_RDWR | O_CREAT, 0666);
	if (fd < 0)
		return false;
	if (fchmod(fd, 0666) || ftruncate(fd, 4 * w->unit) ||
	    (index % 2 == 0 && fallocate(fd, 0, 0, 4 * w->unit)) ||
	    (index == NAMES - 1 && fchown(fd, NOBODY, NOBODY))) {
		close(fd);
		return false;
	}
	close(fd);
	w->name[index] = index;
	w->files[index] = (struct file){
		.used = true, .named = true, .name = index,
		.uid = index == NAMES - 1 ? NOBODY : 0,
		.size = 4 * w->unit, .path_fd = w->files[index].path_fd,
	};
	look_up(w, index);
	return true;
}

static void forget(struct world *w)
{
	int i, j;

	memset(w->ofds, 0, sizeof(w->ofds));
	memset(w->owners, 0, sizeof(w->owners));
	memset(w->pins, 0, sizeof(w->pins));
	memset(w->queued, 0, sizeof(w->queued));
	for (i = 0; i < INODES; i++)
		w->files[i].used = false;
	for (i = 0; i < ACTORS; i++) {
		w->actor[i].alive = false;
		w->actor[i].go = 0;
		for (j = 0; j < FDS; j++)
			w->actor[i].file[j] = (struct descriptor){ .of = -1 };
		for (j = 0; j < OWNS; j++)
			w->actor[i].own[j] = (struct descriptor){ .of = -1 };
		unmap_all(&w->actor[i]);
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
	const struct call *spawn = process_calls;
	struct op op = { .actor = SUPERVISOR };
	int i;

	while (strcmp(spawn->name, "spawn"))
		spawn++;
	for (i = 1; i < ACTORS; i++) {
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, w->sockets[i]))
			return false;
	}
	for (i = 1; i < ACTORS; i++) {
		op.a = i;
		if (spawn->run(w, &op))
			return false;
		spawn->apply(w, &op, 0);
		recount(w);
	}
	return true;
}

static bool begin(struct world *w)
{
	int i;

	forget(w);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (kind_mount(&w->kind) || !set_break_time(w, 20))
		return false;
	remove_files(w);
	for (i = 0; i < NAMES; i++)
		if (!new_file(w, i))
			return false;
	return start_actors(w);
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
	/* All of them are ours: we are who orphans fall to. */
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

/* Somebody else's turn: it must come back, and whoever has it must live. */
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
