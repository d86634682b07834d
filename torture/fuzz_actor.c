// SPDX-License-Identifier: GPL-2.0-only
/*
 * One call of fuzz.c: choose it, predict the answer, make it, compare, apply
 * the answer to the model. Whichever actor's turn it is does this, in its own
 * process; the turn is passed through futexes in shared memory, and mostly
 * kept, since a switch costs more than a call.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include "fuzz.h"

#define AT_ONCE		5	/* seconds; others may run on this machine, too */

const struct call *calls[128];
int nr_calls;

static void calls_add(const struct call *call)
{
	for (; call->name; call++)
		calls[nr_calls++] = call;
}

void calls_init(void)
{
	calls_add(lease_calls);
	calls_add(file_calls);
	calls_add(change_calls);
	calls_add(share_calls);
	calls_add(ioctl_calls);
	calls_add(map_calls);
	calls_add(pin_calls);
	calls_add(verbs_calls);
	calls_add(process_calls);
}

static void futex(volatile int *word, int op, int value,
		  const struct timespec *timeout)
{
	syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

void pass_turn(struct world *w, int to)
{
	w->actor[to].go = 1;
	futex(&w->actor[to].go, FUTEX_WAKE, 1, NULL);
}

/* False if it did not come within that time. */
bool wait_turn(struct world *w, int slot, int limit)
{
	struct timespec timeout = { limit };
	double end = seconds() + limit;

	while (!w->actor[slot].go) {
		if (limit && seconds() > end)
			return false;
		futex(&w->actor[slot].go, FUTEX_WAIT, 0,
		      limit ? &timeout : NULL);
	}
	w->actor[slot].go = 0;
	return true;
}

/* xorshift64* */
unsigned long rnd(struct world *w, unsigned long below)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return (w->random * 0x2545f4914f6cdd1dUL >> 16) % below;
}

/* A number that somebody may have forgotten to check. */
long wild(struct world *w)
{
	static const long edges[] = {
		0, 1, -1, 2, 255, 511, 512, 4095, 4096, 4097, 65536, -4096,
		INT32_MAX, INT32_MIN, UINT32_MAX, 1L << 32, LONG_MAX, LONG_MIN,
		LONG_MAX - 4095, LONG_MIN + 4096, 1L << 62, 1L << 47,
		(1L << 47) - 4096, 1L << 44,
	};

	switch (rnd(w, 4)) {
	case 0:
		return edges[rnd(w, sizeof(edges) / sizeof(*edges))] +
			(long)rnd(w, 3) - 1;
	case 1:
		return rnd(w, UINT32_MAX) << rnd(w, 33);
	case 2:
		return 1L << rnd(w, 64);
	default:
		return edges[rnd(w, sizeof(edges) / sizeof(*edges))];
	}
}

void fail(struct world *w, int got, const char *format, ...)
{
	va_list list;

	if (w->failed)
		return;
	w->failed = true;
	w->got = got;
	va_start(list, format);
	vsnprintf(w->note, sizeof(w->note), format, list);
	va_end(list);
}

/* It runs in whoever holds a lease that is being broken: let go of it. */
static struct world *handler_world;
static int handler_slot;

static void let_go(int sig)
{
	struct world *w = handler_world;
	struct actor *actor = &w->actor[handler_slot];
	int i, kept = errno;

	actor->handling++;
	actor->signals++;
	for (i = 0; i < FDS; i++) {
		struct descriptor *d = &actor->file[i];
		struct ofd *ofd;

		if (d->of < 0 || w->ofds[d->of].lease == NO_LEASE)
			continue;
		ofd = &w->ofds[d->of];
		if (fcntl(d->fd, F_GETLEASE) != model_kind(ofd->lease) &&
		    !fcntl(d->fd, F_SETLEASE, F_UNLCK))
			ofd->released = true;
	}
	actor->handling--;
	errno = kept;
}

void catch_signals(struct world *w, int slot)
{
	struct sigaction action = {
		.sa_handler = let_go, .sa_flags = SA_RESTART,
	};

	handler_world = w;
	handler_slot = slot;
	sigaction(SIGIO, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	sigaction(SIGRTMIN + 1, &action, NULL);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

static const struct call *choose_call(struct world *w, int *index)
{
	static int total;
	int i, dice;

	if (!total)
		for (i = 0; i < nr_calls; i++)
			total += calls[i]->weight;
	dice = rnd(w, total);
	for (i = 0; dice >= calls[i]->weight; i++)
		dice -= calls[i]->weight;
	*index = i;
	return calls[i];
}

static int choose_actor(struct world *w)
{
	int i, slot = w->last_actor;

	if (slot && w->actor[slot].alive && rnd(w, 8))
		return slot;
	for (i = 0; i < 16; i++) {
		slot = 1 + rnd(w, ACTORS - 1);
		if (w->actor[slot].alive)
			return w->last_actor = slot;
	}
	return 1;
}

static void make_op(struct world *w)
{
	struct op op = { };
	const struct call *call;
	int index;

	call = choose_call(w, &index);
	op.call = index;
	op.actor = choose_actor(w);
	if (rnd(w, 8))
		call->make(w, &op);
	else
		make_step(w, &op);
	call = calls[op.call];
	if (op.actor != SUPERVISOR && !call->alone && !rnd(w, 32))
		op.flags |= IN_THREAD;
	w->op = op;
}

/* The next call, or false at the end. */
static bool next_op(struct world *w)
{
	if (w->have_op)
		return true;
	if (w->next >= w->limit || w->failed)
		return false;
	if (w->replay)
		w->op = w->history[w->next];
	else
		make_op(w);
	w->have_op = true;
	return true;
}

struct errand {
	struct world *w;
	const struct op *op;
	int got;
};

static void *run_errand(void *arg)
{
	struct errand *errand = arg;

	errand->got = calls[errand->op->call]->run(errand->w, errand->op);
	return NULL;
}

static int make_call(struct world *w, const struct op *op)
{
	struct errand errand = { w, op };
	pthread_t thread;

	if (!(op->flags & IN_THREAD) ||
	    pthread_create(&thread, NULL, run_errand, &errand))
		return calls[op->call]->run(w, op);
	pthread_join(thread, NULL);
	w->threads++;
	return errand.got;
}

/* Who gets a signal if all of @ofds are asked. */
static unsigned int asked(const struct world *w, unsigned long ofds)
{
	unsigned int slots = 0;
	int i;

	for (i = 0; i < OFDS; i++)
		if ((ofds & 1UL << i) && alive(w, w->ofds[i].signal_to) &&
		    !w->ofds[i].signal_group)
			slots |= 1U << w->ofds[i].signal_to.slot;
	return slots;
}

/* Whoever lets go of a lease says so only after the breaker may go on. */
static void wait_for_handlers(const struct world *w)
{
	int i, patience = 5000;

	for (i = 1; i < ACTORS; i++)
		while (w->actor[i].alive && w->actor[i].handling && patience--)
			usleep(1000);
}

/* Leases that were broken are gone; nobody else was asked. */
static void judge_breaks(struct world *w, const struct answers *want, int got)
{
	unsigned int slots = got == ETXTBSY ? 0 : asked(w, want->ofds);
	bool done = want->breaks == BREAKS_ALL && (!got || got >= VALUE);
	int i;

	for (i = 1; i < ACTORS; i++)
		if (w->actor[i].signals && !(slots & 1U << i))
			fail(w, WRONG_SIGNAL, "actor %d was signalled", i);
	for (i = 0; i < OFDS; i++) {
		struct ofd *ofd = &w->ofds[i];

		if (!ofd->used || ofd->lease == NO_LEASE)
			continue;
		if (ofd->released && (!(want->ofds & 1UL << i) || got == ETXTBSY))
			fail(w, WRONG_SIGNAL, "lease of open file %d was broken",
			     i);
		if (done && (want->ofds & 1UL << i) && !ofd->released &&
		    responsive(w, i))
			fail(w, WRONG_SILENCE, "open file %d was not asked", i);
		if (ofd->released || (done && (want->ofds & 1UL << i)))
			model_released(w, i);
	}
}

static void judge(struct world *w, const struct op *op,
		  const struct answers *want, int got, double took)
{
	if (!allowed(want, got)) {
		w->wanted = *want;
		fail(w, got, "%s", "not what the model says");
		return;
	}
	if (got == ETXTBSY && took > AT_ONCE)
		fail(w, WRONG_SLEEP, "refused after %.1f s", took);
	wait_for_handlers(w);
	judge_breaks(w, want, got);
}

static void clear_marks(struct world *w)
{
	int i;

	for (i = 1; i < ACTORS; i++)
		w->actor[i].signals = 0;
	for (i = 0; i < OFDS; i++)
		w->ofds[i].released = false;
}

/*
 * How long the kernel waits for holders: long, so that a slow machine breaks
 * nobody's lease early, but not where nobody is going to answer.
 */
static int break_time(const struct world *w, const struct answers *want)
{
	int i;

	for (i = 0; i < OFDS; i++)
		if ((want->ofds & 1UL << i) && !responsive(w, i))
			return 1;
	return 20;
}

/* False if the call is not to be made. */
static bool predict(struct world *w, const struct op *op, struct answers *want)
{
	calls[op->call]->predict(w, op, want);
	if (want->skip || !want->nr)
		return false;
	if (want->breaks == BREAKS_NONE || break_time(w, want) == 20)
		return true;
	/* Whether it was broken could not be told; and time is short. */
	if (want->breaks == BREAKS_SOME || (!w->replay && rnd(w, 16)))
		return false;
	return true;
}

static void count(struct world *w, const struct op *op, int got)
{
	w->calls++;
	w->made[op->call]++;
	if (!got || got >= VALUE)
		w->succeeded[op->call]++;
	if (got == ETXTBSY)
		w->refused++;
}

static void execute(struct world *w, struct op *op)
{
	struct answers want = { };
	double start;
	int got;

	w->progress++;
	if (!predict(w, op, &want)) {
		w->have_op = false;
		if (w->replay)
			w->next++;
		return;
	}
	if (want.ofds && w->break_time != break_time(w, &want)) {
		w->hook = HOOK_TIME;
		w->hook_arg = break_time(w, &want);
		return;
	}
	clear_marks(w);
	if (!w->replay)
		w->history[w->nr_history++] = *op;
	if (w->verbose) {
		print_op(stderr, op);
		fflush(stderr);
	}
	w->have_op = false;
	w->next++;
	start = seconds();
	got = make_call(w, op);
	judge(w, op, &want, got, seconds() - start);
	count(w, op, got);
	if (w->failed)
		return;
	if (calls[op->call]->apply)
		calls[op->call]->apply(w, op, got);
	recount(w);
}

/*
 * Everything until it is somebody else's turn: true if that was passed on. The
 * supervisor also returns if there is something to do for it, or nothing more.
 */
bool step(struct world *w, int slot)
{
	for (;;) {
		if (w->hook != NO_HOOK || !next_op(w) || w->failed) {
			if (slot == SUPERVISOR)
				return false;
			pass_turn(w, SUPERVISOR);
			return true;
		}
		if (w->op.actor != slot) {
			if (w->op.actor != SUPERVISOR &&
			    !w->actor[w->op.actor].alive) {
				w->have_op = false;
				w->next += w->replay;
				continue;
			}
			pass_turn(w, w->op.actor);
			return true;
		}
		execute(w, &w->op);
	}
}

static void actor_loop(struct world *w, int slot)
{
	for (;;) {
		wait_turn(w, slot, 0);
		if (w->stop || w->quit == slot)
			_exit(0);
		step(w, slot);
	}
}

void actor_main(struct world *w, int slot)
{
	catch_signals(w, slot);
	actor_loop(w, slot);
	_exit(0);
}

/* After its execve(2), which was the call: so it is still this one's turn. */
void actor_again(struct world *w, int slot)
{
	catch_signals(w, slot);
	count(w, &w->op, 0);
	recount(w);
	step(w, slot);
	actor_loop(w, slot);
	_exit(0);
}
