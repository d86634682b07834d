// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: fcntl(2), with everything about leases and who is told of
 * them, and with commands and arguments that mean nothing here.
 */
#include "fuzz.h"

static void make_fd(struct world *w, struct op *op)
{
	op->a = some_file(w, op->actor);
}

/* Kinds and garbage; what means something comes more often. */
static void make_setlease(struct world *w, struct op *op)
{
	static const int good[] = {
		F_LAYOUT, F_LAYOUT | F_UNBREAK, F_LAYOUT | F_EXCLUSIVE,
		F_LAYOUT | F_UNBREAK, F_LAYOUT | F_EXCLUSIVE,
		F_LAYOUT | F_EXCLUSIVE | F_UNBREAK, F_UNLCK, F_UNLCK, F_UNLCK,
		F_RDLCK, F_WRLCK,
	};

	make_fd(w, op);
	if (rnd(w, 8))
		op->x = good[rnd(w, sizeof(good) / sizeof(*good))];
	else if (rnd(w, 2))
		op->x = rnd(w, 256);
	else
		op->x = (int)wild(w);
}

static void predict_setlease(struct world *w, const struct op *op,
			     struct answers *want)
{
	if (!usable(w, op, op->a))
		may(want, EBADF);
	else
		model_setlease(w, op->actor, file_slot(w, op, op->a)->of,
			       op->x, want);
}

static int run_setlease(struct world *w, const struct op *op)
{
	return errno_of(fcntl(fd_of(w, op, op->a), F_SETLEASE, (int)op->x));
}

static void apply_setlease(struct world *w, const struct op *op, int got)
{
	struct ofd *ofd = usable(w, op, op->a);

	if (got == EOPNOTSUPP &&
	    w->files[ofd->file].sharing == MAYBE_SHARED)
		w->files[ofd->file].sharing = SHARED;
	if (got)
		return;
	if (op->x == F_UNLCK)
		model_released(w, ofd - w->ofds);
	else
		model_granted(w, op->actor, ofd - w->ofds, op->x);
}

static void predict_getlease(struct world *w, const struct op *op,
			     struct answers *want)
{
	struct ofd *ofd = usable(w, op, op->a);

	may(want, ofd ? VALUE + model_kind(ofd->lease) : EBADF);
}

static int run_getlease(struct world *w, const struct op *op)
{
	int value = fcntl(fd_of(w, op, op->a), F_GETLEASE);

	return value < 0 ? errno : VALUE + value;
}

/* Nobody, an actor, a group that is none, nonsense: in y, for the model. */
static void make_setown(struct world *w, struct op *op)
{
	make_fd(w, op);
	op->y = rnd(w, 6);
	op->x = 1 + rnd(w, ACTORS - 1);
	if (op->y < 2 && rnd(w, 4))	/* or few leases have their holder */
		op->x = op->actor;
}

static int setown_pid(const struct world *w, const struct op *op)
{
	switch (op->y) {
	case 0:
	case 1:
		return w->actor[op->x].pid;
	case 2:
		return -w->actor[op->x].pid;
	case 3:
		return 0;
	case 4:
		return INT32_MIN;
	default:
		return 1 << 30;
	}
}

static void predict_setown(struct world *w, const struct op *op,
			   struct answers *want)
{
	if (!usable(w, op, op->a))
		may(want, EBADF);
	else if (op->y == 4)
		may(want, EINVAL);
	else if (op->y > 4)
		may(want, ESRCH);
	else if (op->y < 3 && !w->actor[op->x].alive)
		want->skip = true;
	else
		may(want, 0);
}

static int run_setown(struct world *w, const struct op *op)
{
	return errno_of(fcntl(fd_of(w, op, op->a), F_SETOWN,
			      setown_pid(w, op)));
}

static void apply_setown(struct world *w, const struct op *op, int got)
{
	struct ofd *ofd = usable(w, op, op->a);

	if (got)
		return;
	ofd->signal_to.slot = -1;
	ofd->signal_group = op->y == 2;
	if (op->y == 3)
		return;
	ofd->signal_to = me(w, op->x);
	ofd->signal_uid = w->actor[op->actor].uid;
}

static void predict_getown(struct world *w, const struct op *op,
			   struct answers *want)
{
	struct ofd *ofd = usable(w, op, op->a);

	if (!ofd)
		may(want, EBADF);
	else if (alive(w, ofd->signal_to) && !ofd->signal_group)
		may(want, VALUE + w->actor[ofd->signal_to.slot].pid);
	else
		may(want, VALUE);
}

static int run_getown(struct world *w, const struct op *op)
{
	int value = fcntl(fd_of(w, op, op->a), F_GETOWN);

	return value < 0 ? errno : VALUE + value;
}

/* Not those that end a process: then nobody would be left to ask. */
static void make_setsig(struct world *w, struct op *op)
{
	const int signals[] = {
		0, SIGUSR1, SIGUSR2, SIGIO, SIGRTMIN + 1, 65, 128, -1,
		INT32_MAX, INT32_MIN,
	};

	make_fd(w, op);
	op->x = signals[rnd(w, sizeof(signals) / sizeof(*signals))];
}

static void predict_setsig(struct world *w, const struct op *op,
			   struct answers *want)
{
	if (!usable(w, op, op->a))
		may(want, EBADF);
	else
		may(want, op->x >= 0 && op->x <= 64 ? 0 : EINVAL);
}

static int run_setsig(struct world *w, const struct op *op)
{
	return errno_of(fcntl(fd_of(w, op, op->a), F_SETSIG, (int)op->x));
}

static void apply_setsig(struct world *w, const struct op *op, int got)
{
	if (!got)
		usable(w, op, op->a)->signal = op->x;
}

static void predict_getsig(struct world *w, const struct op *op,
			   struct answers *want)
{
	struct ofd *ofd = usable(w, op, op->a);

	may(want, ofd ? VALUE + ofd->signal : EBADF);
}

static int run_getsig(struct world *w, const struct op *op)
{
	int value = fcntl(fd_of(w, op, op->a), F_GETSIG);

	return value < 0 ? errno : VALUE + value;
}

/* Other commands, with what each has to answer on a file of ours. */
static const struct {
	int command;
	long argument;
	int answers[3];
} strange[] = {
	{ 777, 0, { EINVAL } },
	{ -1, 0, { EINVAL } },
	{ 1024 + 99, 16, { EINVAL } },
	{ F_DUPFD, 1 << 30, { EINVAL } },
	{ F_DUPFD, -1, { EINVAL } },
	{ F_NOTIFY, 1, { ENOTDIR, EINVAL } },	/* CONFIG_DNOTIFY */
	{ F_SETPIPE_SZ, 4096, { EBADF } },
	{ F_GETPIPE_SZ, 0, { EBADF } },
	{ F_ADD_SEALS, 1, { EINVAL, EPERM } },
	{ F_GET_SEALS, 0, { EINVAL } },
	{ F_SETLK, 0, { EFAULT } },
	{ F_GETLK, 1, { EFAULT } },
	{ F_OFD_SETLK, -4096, { EFAULT } },
	{ F_SETOWN_EX, 0, { EFAULT } },
	{ F_SETOWN_EX, LONG_MIN, { EFAULT } },
	{ F_GETOWN_EX, 0, { EFAULT } },
};

#define STRANGE	(sizeof(strange) / sizeof(*strange))

static void make_strange(struct world *w, struct op *op)
{
	make_fd(w, op);
	op->x = rnd(w, STRANGE);
}

static void predict_strange(struct world *w, const struct op *op,
			    struct answers *want)
{
	int i;

	if (op->x < 0 || op->x >= (long)STRANGE)
		return;
	if (!file_slot(w, op, op->a) || file_slot(w, op, op->a)->of < 0) {
		may(want, EBADF);
		return;
	}
	/* fcntl() of a mere path knows few commands. */
	if (!usable(w, op, op->a))
		may(want, EBADF);
	for (i = 0; i < 3; i++)
		if (strange[op->x].answers[i])
			may(want, strange[op->x].answers[i]);
}

static int run_strange(struct world *w, const struct op *op)
{
	return errno_of(fcntl(fd_of(w, op, op->a), strange[op->x].command,
			      strange[op->x].argument));
}

const struct call lease_calls[] = {
	{ "setlease", 160, false, make_setlease, predict_setlease,
	  run_setlease, apply_setlease },
	{ "getlease", 20, false, make_fd, predict_getlease, run_getlease },
	{ "setown", 4, false, make_setown, predict_setown, run_setown,
	  apply_setown },
	{ "getown", 4, false, make_fd, predict_getown, run_getown },
	{ "setsig", 6, false, make_setsig, predict_setsig, run_setsig,
	  apply_setsig },
	{ "getsig", 3, false, make_fd, predict_getsig, run_getsig },
	{ "fcntl", 12, false, make_strange, predict_strange, run_strange },
	{ }
};
