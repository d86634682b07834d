// SPDX-License-Identifier: GPL-2.0-only
/*
 * The contract of layout leases as a model in plain C, for fuzz.c: who may take
 * which lease, who may pin, what may change. It makes no system call.
 *
 * A call that breaks several rules at once may answer with any of them: the
 * contract sets no order. One that breaks none has to succeed.
 */
#include <string.h>
#include "fuzz.h"

#define BITS	(F_LAYOUT | F_EXCLUSIVE | F_UNBREAK)

struct who me(const struct world *w, int slot)
{
	return (struct who){ slot, w->actor[slot].life };
}

bool is(const struct world *w, struct who whom, int slot)
{
	return whom.slot == slot && whom.life == w->actor[slot].life;
}

bool alive(const struct world *w, struct who whom)
{
	return whom.slot > 0 && w->actor[whom.slot].alive &&
		is(w, whom, whom.slot);
}

bool unbreakable(enum lease lease)
{
	return lease == UNBREAK || lease == EXCLUSIVE;
}

static bool plain(enum lease lease)
{
	return lease == PLAIN_READ || lease == PLAIN_WRITE;
}

void may(struct answers *want, int answer)
{
	if (!allowed(want, answer))
		want->list[want->nr++] = answer;
}

bool allowed(const struct answers *want, int answer)
{
	int i;

	for (i = 0; i < want->nr; i++)
		if (want->list[i] == answer)
			return true;
	return false;
}

/* What F_GETLEASE answers. */
int model_kind(enum lease lease)
{
	static const int kinds[] = {
		[NO_LEASE] = F_UNLCK, [LAYOUT] = F_LAYOUT,
		[UNBREAK] = F_LAYOUT | F_UNBREAK,
		[EXCLUSIVE] = F_LAYOUT | F_EXCLUSIVE,
		[PLAIN_READ] = F_RDLCK, [PLAIN_WRITE] = F_WRLCK,
	};

	return kinds[lease];
}

/* What a valid argument of F_SETLEASE asks for. */
enum lease model_lease(int arg)
{
	if (arg & F_EXCLUSIVE)
		return EXCLUSIVE;
	if (arg & F_UNBREAK)
		return UNBREAK;
	if (arg & F_LAYOUT)
		return LAYOUT;
	return arg == F_RDLCK ? PLAIN_READ :
	       arg == F_WRLCK ? PLAIN_WRITE : NO_LEASE;
}

/* Rules about the argument, the caller and the descriptor. */
static void setlease_static(const struct world *w, int actor,
			    const struct ofd *ofd, int arg,
			    struct answers *want)
{
	unsigned int uid = w->actor[actor].uid;

	/* Letting go of a layout lease is for whoever has the open file. */
	if (uid && uid != w->files[ofd->file].uid &&
	    !(arg == F_UNLCK && ofd->lease != NO_LEASE && !plain(ofd->lease)))
		may(want, EACCES);
	if (!(arg & BITS)) {
		if (arg != F_RDLCK && arg != F_WRLCK && arg != F_UNLCK)
			may(want, EINVAL);
		return;
	}
	if (!(arg & F_LAYOUT) || ((arg & ~BITS) && (arg & ~BITS) != F_RDLCK))
		may(want, EINVAL);
	if ((arg & (F_UNBREAK | F_EXCLUSIVE)) && !(ofd->mode & WRITES))
		may(want, EBADF);
}

/* Two layout leases on different open files. */
static bool exclude(enum lease held, enum lease asked)
{
	return held == EXCLUSIVE || asked == EXCLUSIVE;
}

static void setlease_layout(const struct world *w, int actor, int index,
			    enum lease asked, struct answers *want)
{
	const struct ofd *ofd = &w->ofds[index], *other;
	enum sharing sharing = w->files[ofd->file].sharing;

	if (plain(ofd->lease))
		may(want, EINVAL);
	if (sharing == SHARED)
		may(want, EOPNOTSUPP);
	for (other = w->ofds; other < w->ofds + OFDS; other++) {
		if (!other->used || other == ofd || other->file != ofd->file)
			continue;
		if (other->lease != NO_LEASE && !plain(other->lease) &&
		    exclude(other->lease, asked))
			may(want, EAGAIN);
	}
	if (ofd->pins && (asked < ofd->lease ||
			  (!is(w, ofd->holder, actor) && alive(w, ofd->holder))))
		may(want, EBUSY);
	if (!want->nr)
		may(want, 0);
	if (sharing == MAYBE_SHARED)
		may(want, EOPNOTSUPP);
}

static void setlease_plain(const struct world *w, int index, enum lease asked,
			   struct answers *want)
{
	const struct ofd *ofd = &w->ofds[index], *other;

	if (ofd->lease != NO_LEASE && !plain(ofd->lease))
		may(want, EINVAL);
	for (other = w->ofds; other < w->ofds + OFDS; other++) {
		if (!other->used || other->file != ofd->file)
			continue;
		if (asked == PLAIN_READ && (other->mode & WRITES))
			may(want, EAGAIN);
		if (asked == PLAIN_WRITE && other != ofd &&
		    (other->mode & (READS | WRITES) ||
		     other->lease != NO_LEASE))
			may(want, EAGAIN);
	}
	if (!want->nr)
		may(want, 0);
}

void model_setlease(const struct world *w, int actor, int index, int arg,
		    struct answers *want)
{
	const struct ofd *ofd = &w->ofds[index];
	enum lease asked = model_lease(arg);

	setlease_static(w, actor, ofd, arg, want);
	if (want->nr)
		return;
	if (asked == NO_LEASE)
		may(want, ofd->lease == NO_LEASE ? EAGAIN :
			  ofd->pins ? EBUSY : 0);
	else if (plain(asked))
		setlease_plain(w, index, asked, want);
	else
		setlease_layout(w, actor, index, asked, want);
}

/* Whom a break signals: as chosen, else who took the lease last. */
static void move_signal(const struct world *w, int actor, struct ofd *ofd,
			struct who from)
{
	if (ofd->signal_to.slot < 0 ||
	    (from.slot >= 0 && (!memcmp(&ofd->signal_to, &from, sizeof(from)) ||
				!alive(w, ofd->signal_to)))) {
		ofd->signal_to = me(w, actor);
		ofd->signal_group = false;
		ofd->signal_uid = w->actor[actor].uid;
		/* Of plain leases it is the thread that is asked: it is gone. */
		if (plain(ofd->lease) && (w->op.flags & IN_THREAD))
			ofd->signal_to.life = NO_LIFE;
	}
}

void model_granted(struct world *w, int actor, int index, int arg)
{
	struct ofd *ofd = &w->ofds[index];
	struct who nobody = { -1 }, from = nobody;

	if (ofd->lease == NO_LEASE) {
		ofd->granted = ++w->grants;
		ofd->holder = me(w, actor);
	} else if (!plain(ofd->lease) && !is(w, ofd->holder, actor) &&
		   (!ofd->pins || !alive(w, ofd->holder))) {
		from = ofd->holder;
		ofd->holder = me(w, actor);
	}
	if (is(w, ofd->holder, actor))
		ofd->holder_pid = w->actor[actor].pid;
	ofd->lease = model_lease(arg);
	move_signal(w, actor, ofd, from);
	if (!plain(ofd->lease) && w->files[ofd->file].sharing == MAYBE_SHARED)
		w->files[ofd->file].sharing = NOT_SHARED;
}

void model_released(struct world *w, int index)
{
	struct ofd *ofd = &w->ofds[index];

	ofd->lease = NO_LEASE;
	ofd->signal_to.slot = -1;
	ofd->signal_group = false;
	ofd->signal = 0;
	ofd->released = false;
}

static bool pinned(const struct world *w, int file, long first, long last)
{
	const struct pinned *pin;

	for (pin = w->pins; pin < w->pins + PINS; pin++)
		if (pin->used && pin->file == file && pin->from <= last &&
		    pin->to >= first)
			return true;
	return false;
}

/* A live unbreakable lease; @actor's own does not count, if there is one. */
static bool stands(const struct world *w, int file, int actor)
{
	const struct ofd *ofd;

	for (ofd = w->ofds; ofd < w->ofds + OFDS; ofd++)
		if (ofd->used && ofd->file == file && ofd->refs &&
		    unbreakable(ofd->lease) &&
		    !(actor > 0 && is(w, ofd->holder, actor)))
			return true;
	return false;
}

/* Whom a change asks to let go: holders of breakable leases, but the caller. */
static void ask_others(const struct world *w, int actor, int file,
		       struct answers *want)
{
	int i;

	for (i = 0; i < OFDS; i++)
		if (w->ofds[i].used && w->ofds[i].file == file &&
		    w->ofds[i].lease == LAYOUT &&
		    !is(w, w->ofds[i].holder, actor))
			want->ofds |= 1UL << i;
}

/*
 * A change of the layout of these pages: refused with ETXTBSY and true, or
 * it has to ask others first.
 */
bool model_change(const struct world *w, int actor, int file, long first,
		  long last, struct answers *want)
{
	if (pinned(w, file, first, last) || stands(w, file, actor)) {
		may(want, ETXTBSY);
		return true;
	}
	ask_others(w, actor, file, want);
	want->breaks = BREAKS_ALL;
	return false;
}

/* The same where blocks are shared or exchanged: the caller's own count too. */
bool model_share(const struct world *w, int actor, int file,
		 struct answers *want)
{
	if (pinned(w, file, 0, LONG_MAX) || stands(w, file, -1)) {
		may(want, ETXTBSY);
		return true;
	}
	ask_others(w, actor, file, want);
	want->breaks = BREAKS_SOME;
	return false;
}

/* Opening asks the holders of plain leases, its own process included. */
void model_open(const struct world *w, int actor, int file, int mode,
		struct answers *want)
{
	int i;

	for (i = 0; i < OFDS; i++) {
		const struct ofd *ofd = &w->ofds[i];

		if (!ofd->used || ofd->file != file || !plain(ofd->lease) ||
		    !((mode & WRITES) || ofd->lease == PLAIN_WRITE))
			continue;
		want->ofds |= 1UL << i;
		want->breaks = BREAKS_ALL;
		if (!responsive(w, i))	/* it may become a read lease */
			want->skip = true;
	}
}

/* The open file under whose lease a process may pin, or -1. */
int model_pin_lease(const struct world *w, int actor, int file)
{
	int i, best = -1;

	for (i = 0; i < OFDS; i++) {
		const struct ofd *ofd = &w->ofds[i];

		if (ofd->used && ofd->file == file && ofd->refs &&
		    unbreakable(ofd->lease) && is(w, ofd->holder, actor) &&
		    (best < 0 || ofd->granted < w->ofds[best].granted))
			best = i;
	}
	return best;
}

/* Will the handler of whom a break signals let go of it? */
bool responsive(const struct world *w, int index)
{
	const struct ofd *ofd = &w->ofds[index];
	const struct actor *to;
	int i;

	if (!alive(w, ofd->signal_to) || ofd->signal_group)
		return false;
	to = &w->actor[ofd->signal_to.slot];
	if (ofd->signal_uid && ofd->signal_uid != to->uid)
		return false;
	if (to->uid && to->uid != w->files[ofd->file].uid)
		return false;
	for (i = 0; i < FDS; i++)
		if (to->file[i].of == index)
			return true;
	return false;
}

static void count_references(struct world *w)
{
	int i, j, k;

	for (i = 0; i < OFDS; i++) {
		w->ofds[i].refs = 0;
		w->ofds[i].pins = 0;
	}
	for (i = 0; i < OWNERS; i++)
		w->owners[i].refs = 0;
	for (i = 1; i < ACTORS; i++) {
		const struct actor *actor = &w->actor[i];

		for (j = 0; j < FDS; j++)
			if (actor->file[j].of >= 0)
				w->ofds[actor->file[j].of].refs++;
		for (j = 0; j < OWNS; j++)
			if (actor->own[j].of >= 0)
				w->owners[actor->own[j].of].refs++;
		for (j = 0; j < ARENAS; j++)
			for (k = 0; k < CELLS; k++)
				if (actor->cell[j][k].ofd >= 0)
					w->ofds[actor->cell[j][k].ofd].refs++;
		for (j = 0; j < w->queued[i]; j++) {
			const struct flight *flight = &w->queue[i][j];

			if (flight->owner)
				w->owners[flight->of].refs++;
			else
				w->ofds[flight->of].refs++;
		}
	}
}

/*
 * After each call: owners that nobody has any more end their pins, leases end
 * with their open files, open files with their last reference or pin, and
 * files without a name with the last open file.
 */
void recount(struct world *w)
{
	bool open[INODES] = { };
	int i;

	count_references(w);
	for (i = 0; i < OWNERS; i++)
		if (!w->owners[i].refs)
			w->owners[i].used = false;
	for (i = 0; i < PINS; i++) {
		if (!w->pins[i].used)
			continue;
		if (!w->owners[w->pins[i].owner].used)
			w->pins[i].used = false;
		else
			w->ofds[w->pins[i].ofd].pins++;
	}
	for (i = 0; i < OFDS; i++) {
		if (!w->ofds[i].refs && !w->ofds[i].pins)
			w->ofds[i].used = false;
		if (w->ofds[i].used)
			open[w->ofds[i].file] = true;
	}
	for (i = 0; i < INODES; i++)
		if (!w->files[i].named && !open[i])
			w->files[i].used = false;
}
