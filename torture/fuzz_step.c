// SPDX-License-Identifier: GPL-2.0-only
/*
 * One call of fuzz.c: choose it, ask the model for the rule, make it, judge the
 * answer, apply it to the state. The actor whose turn it is does this, in its
 * own process; the turn is passed through futexes in shared memory, and mostly
 * kept, since a switch costs more than a call.
 */
#include <pthread.h>
#include "fuzz.h"

#define AT_ONCE		5	/* seconds; others may run on this machine */
#define PATIENT		20	/* seconds for holders to let go */

void calls_init(void)
{
	calls_add(lease_calls);
	calls_add(file_calls);
	calls_add(change_calls);
	calls_add(share_calls);
	calls_add(ioctl_calls);
	calls_add(map_calls);
	calls_add(pin_calls);
	calls_add(process_calls);
}

/* It runs in a process that is asked to let go of a lease. */
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

static void catch_signals(struct world *w, int slot)
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

static int choose_call(struct world *w)
{
	static int total;
	int i, dice;

	if (!total)
		for (i = 0; i < nr_calls; i++)
			total += calls[i]->weight;
	dice = rnd(w, total);
	for (i = 0; dice >= calls[i]->weight; i++)
		dice -= calls[i]->weight;
	return i;
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
	struct op op = { .call = choose_call(w) };
	const struct call *call = calls[op.call];

	op.actor = choose_actor(w);
	call->make(w, &op);
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

static void actor_loop(struct world *w, int slot)
{
	for (;;) {
		wait_turn(w, slot, 0);
		if (w->stop || w->quit == slot)
			_exit(0);
		step(w, slot);
	}
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

/* Only make it. A process that this creates goes on here. */
static int make_call(struct world *w, const struct op *op)
{
	struct errand errand = { w, op };
	pthread_t thread;

	if (!(op->flags & IN_THREAD) ||
	    pthread_create(&thread, NULL, run_errand, &errand)) {
		errand.got = calls[op->call]->run(w, op);
		if (errand.got == NEWBORN) {
			catch_signals(w, op->a);
			actor_loop(w, op->a);
		}
		return errand.got;
	}
	pthread_join(thread, NULL);
	w->threads++;
	return errand.got;
}

/* Make a call and apply it, without any of the rest: to begin with. */
int perform(struct world *w, const struct op *op)
{
	int got = make_call(w, op);

	if (!got) {
		calls[op->call]->apply(w, op, got);
		recount(w);
	}
	return got;
}

/* The actors that get a signal if all of @ofds are asked. */
static unsigned int asked(const struct world *w, unsigned long ofds)
{
	unsigned int slots = 0;
	int i;

	for (i = 0; i < OFDS; i++)
		if ((ofds & 1UL << i) && alive(w, w->ofds[i].signal_to))
			slots |= 1U << w->ofds[i].signal_to.slot;
	return slots;
}

/* A holder lets go before it says so, and then the breaker may be faster. */
static void wait_for_handlers(const struct world *w)
{
	int i, patience = 5000;

	for (i = 1; i < ACTORS; i++)
		while (w->actor[i].alive && w->actor[i].handling && patience--)
			usleep(1000);
}

/*
 * No holder is asked in vain, and none if the call is refused. After a plain
 * change all that it asks are gone; after another one those that answered.
 */
static void judge_breaks(struct world *w, const struct rule *rule, int got)
{
	unsigned long ofds = got == ETXTBSY ? 0 : rule->asks;
	unsigned int slots = asked(w, ofds);
	bool done = rule->plain && succeeded(got);
	int i;

	for (i = 1; i < ACTORS; i++)
		if (w->actor[i].signals && !(slots & 1U << i))
			fail(w, WRONG_SIGNAL, "actor %d was signalled", i);
	for (i = 0; i < OFDS; i++) {
		struct ofd *ofd = &w->ofds[i];
		bool gone = done && (ofds & 1UL << i);

		if (!ofd->used || ofd->lease == NO_LEASE)
			continue;
		if (ofd->released && !(ofds & 1UL << i))
			fail(w, WRONG_SIGNAL, "lease of open file %d is broken",
			     i);
		if (gone && !ofd->released && responsive(w, i))
			fail(w, WRONG_SILENCE, "open file %d was not asked", i);
		if (ofd->released || gone)
			model_released(w, i);
	}
}

static void judge(struct world *w, const struct rule *rule, int got,
		  double took)
{
	bool busy = got == ETXTBSY, done = succeeded(got);

	if ((busy && !rule->blocked && !rule->pinned) ||
	    (done && rule->fails) ||
	    (rule->blocked && (done || (rule->plain && !busy))) ||
	    (rule->nr && !allowed(rule, got))) {
		w->wanted = *rule;
		fail(w, got, "not what the contract says");
		return;
	}
	if (busy && took > AT_ONCE)
		fail(w, WRONG_SLEEP, "refused after %.1f s", took);
	wait_for_handlers(w);
	judge_breaks(w, rule, got);
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
static int break_time(const struct world *w, const struct rule *rule)
{
	int i;

	for (i = 0; i < OFDS; i++)
		if ((rule->asks & 1UL << i) && !responsive(w, i))
			return 1;
	return PATIENT;
}

/* False if the call is not to be made. */
static bool ask_model(struct world *w, const struct op *op, struct rule *rule)
{
	const struct call *call = calls[op->call];

	if (call->rule)
		call->rule(w, op, rule);
	if (rule->blocked)
		rule->asks = 0;
	if (rule->skip)
		return false;
	if (!rule->asks || break_time(w, rule) == PATIENT)
		return true;
	/* Whether it was broken could not be told; and time is short. */
	return rule->plain && (w->replay || !rnd(w, 16));
}

static void count(struct world *w, const struct op *op, int got)
{
	w->calls++;
	w->made[op->call]++;
	if (succeeded(got))
		w->succeeded[op->call]++;
	if (got == ETXTBSY)
		w->refused++;
}

/* A call leaves the history if the model has no room for it. */
static void drop_op(struct world *w)
{
	w->have_op = false;
	w->next += w->replay;
}

static void execute(struct world *w)
{
	struct op op = w->op;
	struct rule rule = { };
	double start;
	int got;

	w->progress++;
	if (!ask_model(w, &op, &rule)) {
		drop_op(w);
		return;
	}
	if (rule.asks && w->break_time != break_time(w, &rule)) {
		w->hook = HOOK_TIME;
		w->hook_arg = break_time(w, &rule);
		return;
	}
	clear_marks(w);
	if (!w->replay)
		w->history[w->nr_history++] = op;
	if (w->verbose) {
		print_op(stderr, &op);
		fflush(stderr);
	}
	w->have_op = false;
	w->next++;
	start = seconds();
	got = make_call(w, &op);
	judge(w, &rule, got, seconds() - start);
	count(w, &op, got);
	if (w->failed)
		return;
	if (calls[op.call]->apply)
		calls[op.call]->apply(w, &op, got);
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
		if (w->op.actor == slot) {
			execute(w);
		} else if (w->op.actor != SUPERVISOR &&
			   !w->actor[w->op.actor].alive) {
			drop_op(w);
		} else {
			pass_turn(w, w->op.actor);
			return true;
		}
	}
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
