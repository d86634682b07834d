// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: fcntl(2), with everything about leases and the processes
 * that a break signals, and with commands and arguments that mean nothing here.
 */
#include "fuzz.h"

/* Kinds and garbage; what means something comes more often. */
static void make_setlease(struct world *w, struct op *op)
{
	static const int good[] = {
		F_LAYOUT, F_LAYOUT | F_UNBREAK, F_LAYOUT | F_EXCLUSIVE,
		F_LAYOUT | F_UNBREAK, F_LAYOUT | F_UNBREAK,
		F_LAYOUT | F_EXCLUSIVE, F_LAYOUT | F_EXCLUSIVE | F_UNBREAK,
		F_UNLCK, F_UNLCK, F_RDLCK, F_WRLCK,
	};

	make_fd(w, op);
	if (rnd(w, 8))
		op->x = PICK(w, good);
	else if (rnd(w, 2))
		op->x = rnd(w, 256);
	else
		op->x = (int)wild(w);
}

static void rule_setlease(struct world *w, const struct op *op,
			  struct rule *rule)
{
	if (usable(w, op, op->a))
		model_setlease(w, op->actor, file_slot(w, op, op->a)->of,
			       op->x, rule);
}

/*
 * A plain lease is kept only as long as it takes to see that no layout lease
 * fits beside it: others who open the file would break it.
 */
static int run_setlease(struct world *w, const struct op *op)
{
	int fd = fd_of(w, op, op->a);
	int error = set_lease(fd, op->x);

	if (error || (op->x != F_RDLCK && op->x != F_WRLCK))
		return error;
	if (!set_lease(fd, F_LAYOUT))
		fail(w, 0, "a layout lease beside a plain one");
	return set_lease(fd, F_UNLCK);
}

static void apply_setlease(struct world *w, const struct op *op, int got)
{
	struct ofd *ofd = usable(w, op, op->a);

	if (got == EOPNOTSUPP && ofd &&
	    w->files[ofd->file].sharing == MAYBE_SHARED)
		w->files[ofd->file].sharing = SHARED;
	if (got)
		return;
	if (op->x & F_LAYOUT)
		model_granted(w, op->actor, ofd - w->ofds, op->x);
	else
		model_released(w, ofd - w->ofds);
}

static void rule_getlease(struct world *w, const struct op *op,
			  struct rule *rule)
{
	struct ofd *ofd = usable(w, op, op->a);

	if (ofd)
		may(rule, VALUE + model_kind(ofd->lease));
}

static int run_getlease(struct world *w, const struct op *op)
{
	int value = fcntl(fd_of(w, op, op->a), F_GETLEASE);

	return value < 0 ? errno : VALUE + value;
}

/* x: an actor, 0 for nobody, or nonsense below 0 */
static void make_setown(struct world *w, struct op *op)
{
	make_fd(w, op);
	op->x = (long)rnd(w, ACTORS + 1) - 1;
	if (op->x > 0 && rnd(w, 4))	/* or few leases have their holder */
		op->x = op->actor;
}

static void rule_setown(struct world *w, const struct op *op,
			struct rule *rule)
{
	rule->skip = op->x >= ACTORS ||
		(op->x > 0 && !w->actor[op->x].alive);
}

static int run_setown(struct world *w, const struct op *op)
{
	int pid = op->x > 0 ? w->actor[op->x].pid : op->x ? INT32_MIN : 0;

	return errno_of(fcntl(fd_of(w, op, op->a), F_SETOWN, pid));
}

static void apply_setown(struct world *w, const struct op *op, int got)
{
	struct ofd *ofd = usable(w, op, op->a);

	if (got)
		return;
	ofd->signal_to = op->x > 0 ? me(w, op->x) : (struct who){ -1 };
	ofd->signal_uid = w->actor[op->actor].uid;
}

/*
 * No signal that ends a process: nobody would be left to ask. The owner of
 * signals stays as it is.
 */
static const struct {
	int command;
	long argument;
} others[] = {
	{ F_SETSIG, 0 }, { F_SETSIG, SIGUSR1 }, { F_SETSIG, SIGUSR2 },
	{ F_SETSIG, SIGIO }, { F_SETSIG, 35 }, { F_SETSIG, 65 },
	{ F_SETSIG, INT32_MIN }, { F_GETSIG, 0 }, { F_GETOWN, 0 },
	{ 777, 0 }, { -1, 0 }, { 1024 + 99, 16 }, { F_DUPFD, 1 << 30 },
	{ F_NOTIFY, 1 }, { F_SETPIPE_SZ, 4096 }, { F_ADD_SEALS, 1 },
	{ F_GET_SEALS, 0 }, { F_SETLK, 0 }, { F_GETLK, 1 },
	{ F_OFD_SETLK, -4096 }, { F_SETOWN_EX, 0 }, { F_SETOWN_EX, LONG_MIN },
	{ F_GETOWN_EX, 0 },
};

static void make_other(struct world *w, struct op *op)
{
	make_fd(w, op);
	op->x = rnd(w, ARRAY_SIZE(others));
}

static int run_other(struct world *w, const struct op *op)
{
	return errno_of(fcntl(fd_of(w, op, op->a), others[op->x].command,
			      others[op->x].argument));
}

const struct call lease_calls[] = {
	{ "setlease", 160, false, make_setlease, rule_setlease, run_setlease,
	  apply_setlease },
	{ "getlease", 20, false, make_fd, rule_getlease, run_getlease },
	{ "setown", 6, false, make_setown, rule_setown, run_setown,
	  apply_setown },
	{ "fcntl", 16, false, make_other, NULL, run_other },
	{ }
};
