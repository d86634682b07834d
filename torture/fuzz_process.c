// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: processes come and go, by fork, execve, exit and SIGKILL,
 * and look at each other's file_pins. The supervisor makes those that an actor
 * cannot: it ends others and starts fresh ones.
 */
#include <poll.h>
#include <sys/resource.h>
#include "fuzz.h"

static int dead_slot(struct world *w)
{
	int i, slot = 1 + rnd(w, ACTORS - 1);

	for (i = 1; i < ACTORS; i++, slot = slot % (ACTORS - 1) + 1)
		if (!w->actor[slot].alive)
			return slot;
	return -1;
}

static int nr_alive(const struct world *w)
{
	int i, nr = 0;

	for (i = 1; i < ACTORS; i++)
		nr += w->actor[i].alive;
	return nr;
}

static void born(struct world *w, int slot, pid_t pid)
{
	struct actor *actor = &w->actor[slot];

	actor->alive = true;
	actor->pid = pid;
	actor->life++;
	actor->mm_life++;
	actor->go = 0;
	actor->signals = 0;
	actor->handling = 0;
}

static void make_fork(struct world *w, struct op *op)
{
	op->a = dead_slot(w);
}

static void rule_fork(struct world *w, const struct op *op,
		      struct rule *rule)
{
	rule->skip = op->a < 1 || w->actor[op->a].alive || free_owner(w) < 0;
	may(rule, 0);
}

static int run_fork(struct world *w, const struct op *op)
{
	pid_t pid = fork();

	if (!pid)
		return NEWBORN;
	w->learned = pid;
	return errno_of(pid);
}

static void apply_fork(struct world *w, const struct op *op, int got)
{
	struct actor *child = &w->actor[op->a];
	unsigned int life = child->life, mm_life = child->mm_life;
	int i;

	if (got)
		return;
	*child = w->actor[op->actor];
	child->life = life;
	child->mm_life = mm_life;
	for (i = 0; i < OWNS; i++)
		child->own[i].native = false;
	born(w, op->a, w->learned);
}

static void make_nothing(struct world *w, struct op *op)
{
}

/*
 * The program becomes itself again: its main() finds the turn to be its own.
 * What execve(2) changes is applied before, since nobody could afterwards.
 */
static int run_exec(struct world *w, const struct op *op)
{
	struct actor *actor = &w->actor[op->actor];
	char slot[16], fd[16];
	char * const args[] = {
		"fuzz", "--actor", slot, "--world", fd, NULL
	};
	int i;

	for (i = 0; i < FDS; i++)
		if (actor->file[i].cloexec)
			actor->file[i].of = -1;
	for (i = 0; i < OWNS; i++) {
		if (actor->own[i].cloexec)
			actor->own[i] = (struct descriptor){ .of = -1 };
		actor->own[i].native = false;
	}
	unmap_all(actor);
	actor->mm_life++;
	snprintf(slot, sizeof(slot), "%d", op->actor);
	snprintf(fd, sizeof(fd), "%d", w->world_fd);
	return errno_of(syscall(SYS_execveat, w->exe_fd, "", args, environ,
				AT_EMPTY_PATH));
}

/* a: actor, x: by exit or by SIGKILL */
static void make_end(struct world *w, struct op *op)
{
	op->actor = SUPERVISOR;
	op->a = 1 + rnd(w, ACTORS - 1);
	op->x = rnd(w, 2);
	if (nr_alive(w) < 3)
		op->a = -1;
}

/* No pin delays the end of a process. */
static void rule_end(struct world *w, const struct op *op, struct rule *rule)
{
	rule->skip = op->a < 1 || !w->actor[op->a].alive;
	may(rule, 0);
}

static int run_end(struct world *w, const struct op *op)
{
	struct pollfd end = { .events = POLLIN };
	int nr;

	end.fd = syscall(SYS_pidfd_open, w->actor[op->a].pid, 0);
	if (end.fd < 0)
		return errno;
	if (op->x) {
		kill(w->actor[op->a].pid, SIGKILL);
	} else {
		w->quit = op->a;
		pass_turn(w, op->a);
	}
	nr = poll(&end, 1, 60000);
	close(end.fd);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return nr == 1 ? 0 : ETIMEDOUT;
}

static void apply_end(struct world *w, const struct op *op, int got)
{
	forget_actor(&w->actor[op->a]);
	w->quit = 0;
}

static bool is_user(int slot)
{
	return slot > (ACTORS - 1) / 2;
}

static void make_spawn(struct world *w, struct op *op)
{
	op->actor = SUPERVISOR;
	op->a = dead_slot(w);
}

/* A fresh process; those of higher numbers are ordinary users. */
static int run_spawn(struct world *w, const struct op *op)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	pid_t pid = fork();

	if (!pid) {
		setrlimit(RLIMIT_MEMLOCK, &unlimited);
		w->learned = open_owner();
		if (is_user(op->a) && (setresgid(NOBODY, NOBODY, NOBODY) ||
				       setresuid(NOBODY, NOBODY, NOBODY)))
			_exit(1);
		pass_turn(w, SUPERVISOR);
		return NEWBORN;
	}
	w->actor[op->a].pid = pid;
	if (pid < 0)
		return errno;
	return wait_turn(w, SUPERVISOR, 60) ? 0 : ETIMEDOUT;
}

static void apply_spawn(struct world *w, const struct op *op, int got)
{
	struct actor *actor = &w->actor[op->a];
	int owner = free_owner(w);

	actor->uid = is_user(op->a) ? NOBODY : 0;
	w->owners[owner] = (struct owner){ .used = true };
	actor->own[0] = (struct descriptor){
		.fd = w->learned, .of = owner, .cloexec = true,
	};
	born(w, op->a, actor->pid);
}

/* a: the actor whose file_pins is read */
static void make_pins(struct world *w, struct op *op)
{
	op->a = 1 + rnd(w, ACTORS - 1);
}

static void rule_pins(struct world *w, const struct op *op,
		      struct rule *rule)
{
	rule->skip = !w->actor[op->a].alive;
	if (!w->actor[op->actor].uid || op->a == op->actor)
		may(rule, 0);
}

static int run_pins(struct world *w, const struct op *op)
{
	const char *differs = file_pins_differ(w, op->a);

	if (differs && !*differs)
		return errno;
	if (differs)
		fail(w, WRONG_TABLE, "file_pins of actor %d: %s", op->a,
		     differs);
	return 0;
}

/* The whole of it, from outside. */
static void make_check(struct world *w, struct op *op)
{
	op->actor = SUPERVISOR;
}

static int run_check(struct world *w, const struct op *op)
{
	check_world(w);
	return 0;
}

static bool open_for_writing(const struct world *w)
{
	int i;

	for (i = 0; i < OFDS; i++)
		if (w->ofds[i].used && (w->ofds[i].mode & WRITES))
			return true;
	return false;
}

/* Pins count as files that are open, even if no process has these. */
static void rule_remount(struct world *w, const struct op *op,
			 struct rule *rule)
{
	rule->skip = w->actor[op->actor].uid || !open_for_writing(w);
	may(rule, EBUSY);
}

static int run_remount(struct world *w, const struct op *op)
{
	return errno_of(mount(NULL, kind_dir(&w->kind), NULL,
			      MS_REMOUNT | MS_RDONLY, "dax"));
}

const struct call process_calls[] = {
	{ "fork", 6, true, make_fork, rule_fork, run_fork, apply_fork },
	{ "exec", 2, true, make_nothing, NULL, run_exec },
	{ "end", 5, true, make_end, rule_end, run_end, apply_end },
	{ "spawn", 5, true, make_spawn, rule_fork, run_spawn, apply_spawn },
	{ "file_pins", 10, false, make_pins, rule_pins, run_pins },
	{ "check", 4, true, make_check, NULL, run_check },
	{ "remount", 2, false, make_nothing, rule_remount, run_remount },
	{ }
};
