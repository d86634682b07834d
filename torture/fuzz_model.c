// SPDX-License-Identifier: GPL-2.0-only
/*
 * The contract of layout leases in plain C, for fuzz.c: which process may take
 * which lease, which one may pin, what may change, and which holders a change
 * asks. It makes no system call. It does not repeat checks of stock code.
 */
#include "fuzz.h"

#define BITS	(F_LAYOUT | F_EXCLUSIVE | F_UNBREAK)

/*
 * Where a call breaks several rules at once any of them may say no: the
 * contract sets no order.
 */
void may(struct rule *rule, int answer)
{
	if (!allowed(rule, answer))
		rule->list[rule->nr++] = answer;
}

bool allowed(const struct rule *rule, int answer)
{
	int i;

	for (i = 0; i < rule->nr; i++)
		if (rule->list[i] == answer)
			return true;
	return false;
}

bool unbreakable(enum lease lease)
{
	return lease == UNBREAK || lease == EXCLUSIVE;
}

/* What F_GETLEASE answers. */
int model_kind(enum lease lease)
{
	static const int kinds[] = {
		[NO_LEASE] = F_UNLCK, [LAYOUT] = F_LAYOUT,
		[UNBREAK] = F_LAYOUT | F_UNBREAK,
		[EXCLUSIVE] = F_LAYOUT | F_EXCLUSIVE,
	};

	return kinds[lease];
}

/* What a valid argument of F_SETLEASE asks for. */
static enum lease model_lease(int arg)
{
	if (arg & F_EXCLUSIVE)
		return EXCLUSIVE;
	if (arg & F_UNBREAK)
		return UNBREAK;
	return arg & F_LAYOUT ? LAYOUT : NO_LEASE;
}

/* Does a layout lease on another open file exclude one that is asked for? */
static bool excluded(const struct world *w, const struct ofd *ofd,
		     enum lease asked)
{
	const struct ofd *other;

	for (other = w->ofds; other < w->ofds + OFDS; other++)
		if (other->used && other != ofd && other->file == ofd->file &&
		    other->lease != NO_LEASE &&
		    (other->lease == EXCLUSIVE || asked == EXCLUSIVE))
			return true;
	return false;
}

/* Leases are for the owner of a file and for root. */
static bool may_take(const struct world *w, int actor, int file)
{
	unsigned int uid = w->actor[actor].uid;

	return !uid || uid == w->files[file].uid;
}

static void setlease_layout(const struct world *w, int actor,
			    const struct ofd *ofd, int arg, struct rule *rule)
{
	enum sharing sharing = w->files[ofd->file].sharing;
	enum lease asked = model_lease(arg);
	bool others = !is(w, ofd->holder, actor) && alive(w, ofd->holder);

	if (!may_take(w, actor, ofd->file))
		may(rule, EACCES);
	if (!(arg & F_LAYOUT) || ((arg & ~BITS) && (arg & ~BITS) != F_RDLCK))
		may(rule, EINVAL);
	if ((arg & (F_UNBREAK | F_EXCLUSIVE)) && !(ofd->mode & WRITES))
		may(rule, EBADF);
	if (rule->nr)
		return;
	if (sharing == SHARED)
		may(rule, EOPNOTSUPP);
	if (excluded(w, ofd, asked))
		may(rule, EAGAIN);
	if (ofd->pins && (asked < ofd->lease || others))
		may(rule, EBUSY);
	if (!rule->nr)
		may(rule, 0);
	if (sharing == MAYBE_SHARED)
		may(rule, EOPNOTSUPP);
}

/* Plain leases are as before, but for those that meet a layout lease. */
static void setlease_plain(const struct world *w, const struct ofd *ofd,
			   int arg, struct rule *rule)
{
	const struct ofd *other;

	rule->fails = ofd->lease != NO_LEASE ||
		(arg != F_RDLCK && arg != F_WRLCK);
	for (other = w->ofds; arg == F_WRLCK && other < w->ofds + OFDS; other++)
		if (other->used && other->file == ofd->file &&
		    other->lease != NO_LEASE)
			rule->fails = true;
}

void model_setlease(const struct world *w, int actor, int index, int arg,
		    struct rule *rule)
{
	const struct ofd *ofd = &w->ofds[index];

	if (arg & BITS)
		setlease_layout(w, actor, ofd, arg, rule);
	else if (arg != F_UNLCK)
		setlease_plain(w, ofd, arg, rule);
	else if (ofd->lease != NO_LEASE)	/* even for other users */
		may(rule, ofd->pins ? EBUSY : 0);
	else
		may(rule, may_take(w, actor, ofd->file) ? EAGAIN : EACCES);
}

/*
 * A break signals the process that F_SETOWN chose, else the one that took the
 * lease last.
 */
static void move_signal(const struct world *w, int actor, struct ofd *ofd,
			struct who from)
{
	if (ofd->signal_to.slot < 0 ||
	    (from.slot >= 0 && (!memcmp(&ofd->signal_to, &from, sizeof(from)) ||
				!alive(w, ofd->signal_to)))) {
		ofd->signal_to = me(w, actor);
		ofd->signal_uid = w->actor[actor].uid;
	}
}

void model_granted(struct world *w, int actor, int index, int arg)
{
	struct ofd *ofd = &w->ofds[index];
	struct who from = { -1 };

	if (ofd->lease == NO_LEASE) {
		ofd->granted = ++w->grants;
		ofd->holder = me(w, actor);
	} else if (!is(w, ofd->holder, actor) &&
		   (!ofd->pins || !alive(w, ofd->holder))) {
		from = ofd->holder;
		ofd->holder = me(w, actor);
	}
	if (is(w, ofd->holder, actor))
		ofd->holder_pid = w->actor[actor].pid;
	ofd->lease = model_lease(arg);
	move_signal(w, actor, ofd, from);
	if (w->files[ofd->file].sharing == MAYBE_SHARED)
		w->files[ofd->file].sharing = NOT_SHARED;
}

void model_released(struct world *w, int index)
{
	struct ofd *ofd = &w->ofds[index];

	ofd->lease = NO_LEASE;
	ofd->signal_to.slot = -1;
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

/* A change asks holders of breakable leases to let go, but not the caller. */
static void ask_others(const struct world *w, int actor, int file,
		       struct rule *rule)
{
	int i;

	for (i = 0; i < OFDS; i++)
		if (w->ofds[i].used && w->ofds[i].file == file &&
		    w->ofds[i].lease == LAYOUT &&
		    !is(w, w->ofds[i].holder, actor))
			rule->asks |= 1UL << i;
}

/* A change of the layout of these pages: true if it must be refused. */
bool model_change(const struct world *w, int actor, int file, long first,
		  long last, struct rule *rule)
{
	if (pinned(w, file, first, last) || stands(w, file, actor))
		rule->blocked = true;
	ask_others(w, actor, file, rule);
	return rule->blocked;
}

/* The same where blocks are exchanged: the caller's own lease counts. */
bool model_exchange(const struct world *w, int actor, int file,
		    struct rule *rule)
{
	if (pinned(w, file, 0, LONG_MAX) || stands(w, file, -1))
		rule->blocked = true;
	ask_others(w, actor, file, rule);
	return rule->blocked;
}

/* Shared: a caller that could not take a lease makes nobody lose one. */
bool model_share(const struct world *w, int actor, int file,
		 struct rule *rule)
{
	struct rule own = { };

	ask_others(w, actor, file, &own);
	if (own.asks && !may_take(w, actor, file))
		rule->blocked = true;
	return model_exchange(w, actor, file, rule);
}

/* No block is to be shared: a lease must not refuse that, but a pin may. */
bool model_nothing(const struct world *w, int actor, int file,
		   struct rule *rule)
{
	rule->pinned |= pinned(w, file, 0, LONG_MAX);
	return false;
}

/* The open file under whose lease a process may pin, or -1. */
static int pin_lease(const struct world *w, int actor, int file)
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

/* May the actor pin this mapping, as far as that goes? */
bool pinnable(const struct world *w, int actor, const struct cell *cell)
{
	return cell->ofd >= 0 && cell->shared && (cell->prot & PROT_WRITE) &&
		pin_lease(w, actor, w->ofds[cell->ofd].file) >= 0;
}

/* The part of a cell that is to be pinned: pages of the file; how many. */
static long overlap(const struct world *w, const struct pinning *p,
		    const struct cell *cell, unsigned long cell_start,
		    long *first)
{
	unsigned long from = cell_start, to = cell_start + w->unit;

	if (from < p->at)
		from = p->at;
	if (to > p->at + p->size)
		to = p->at + p->size;
	*first = (cell->index * w->unit + (from - cell_start)) / PAGE;
	return from < to ? (to - from) / PAGE : 0;
}

#define for_each_cell(w, who, cell, at)					\
	for (int __i = 0; __i < ARENAS * CELLS &&			\
	     (cell = &(w)->actor[who].cell[__i / CELLS][__i % CELLS],	\
	      at = (unsigned long)cell_at(w, __i / CELLS, __i % CELLS)); \
	     __i++)

static int free_pins(const struct world *w)
{
	int i, nr = 0;

	for (i = 0; i < PINS; i++)
		nr += !w->pins[i].used;
	return nr;
}

/*
 * A pin of a range, which is plain if the driver takes the arguments: all or
 * nothing, and nothing without the right to it. A page that the process has
 * copied for itself is anonymous memory; behind the end of a file there is
 * nothing to pin. These are left to the kernel.
 */
void model_pin(const struct world *w, int actor, const struct pinning *p,
	       struct rule *rule)
{
	const struct cell *cell;
	long nr, first, known = 0;
	unsigned long at;
	int cells = 0;

	rule->fails = p->at + p->size < p->at;
	if (rule->fails)
		return;
	for_each_cell(w, actor, cell, at) {
		nr = overlap(w, p, cell, at, &first);
		if (!nr || cell->ofd < 0)
			continue;
		cells++;
		if (!p->tracks || !pinnable(w, actor, cell)) {
			if (cell->copied)
				continue;
			rule->fails = true;
		}
		if ((first + nr - 1) * PAGE <
		    w->files[w->ofds[cell->ofd].file].size)
			known += nr;
	}
	if (free_pins(w) < cells)
		rule->skip = true;
	if (rule->plain && known && known * PAGE == (long)p->size)
		may(rule, rule->fails ? EOPNOTSUPP : 0);
}

static struct pinned *new_pin(struct world *w, int actor,
			      const struct pinning *p, int file, long first)
{
	int i;

	for (i = 0; w->pins[i].used; i++)
		;
	w->pins[i] = (struct pinned){
		.used = true, .owner = p->owner, .region = p->region,
		.by_mm = p->by_mm, .file = file,
		.mm = { actor, w->actor[actor].mm_life },
		.ofd = pin_lease(w, actor, file),
		.first = first, .from = -1,
	};
	w->pinned++;
	return &w->pins[i];
}

void model_pinned(struct world *w, int actor, const struct pinning *p)
{
	struct pinned *pin = NULL;
	const struct cell *cell;
	unsigned long at;
	long nr, first;

	for_each_cell(w, actor, cell, at) {
		int file;

		nr = overlap(w, p, cell, at, &first);
		if (!nr || cell->ofd < 0 || !cell->shared)
			continue;
		file = w->ofds[cell->ofd].file;
		if (!pin || pin->file != file || pin->last + 1 != first)
			pin = new_pin(w, actor, p, file, first);
		pin->last = first + nr - 1;
		w->hook = HOOK_PIN;
	}
}

void model_unpinned(struct world *w, int owner, int region)
{
	struct pinned *pin;

	for (pin = w->pins; pin < w->pins + PINS; pin++)
		if (pin->used && pin->owner == owner && pin->region == region)
			pin->used = false;
}

/* Will the process that a break signals let go of it? */
bool responsive(const struct world *w, int index)
{
	const struct ofd *ofd = &w->ofds[index];
	const struct actor *to;
	int i;

	if (!alive(w, ofd->signal_to))
		return false;
	to = &w->actor[ofd->signal_to.slot];
	if (ofd->signal_uid && ofd->signal_uid != to->uid)
		return false;
	for (i = 0; i < FDS; i++)
		if (to->file[i].of == index)
			return true;
	return false;
}

static void count_references(struct world *w)
{
	int i, j;

	for (i = 0; i < OFDS; i++) {
		w->ofds[i].refs = 0;
		w->ofds[i].pins = 0;
	}
	for (i = 0; i < OWNERS; i++)
		w->owners[i].refs = 0;
	for (i = 1; i < ACTORS; i++) {
		const struct actor *actor = &w->actor[i];
		const struct cell *cell;
		unsigned long at;

		for (j = 0; j < FDS; j++)
			if (actor->file[j].of >= 0)
				w->ofds[actor->file[j].of].refs++;
		for (j = 0; j < OWNS; j++)
			if (actor->own[j].of >= 0)
				w->owners[actor->own[j].of].refs++;
		for_each_cell(w, i, cell, at)
			if (cell->ofd >= 0)
				w->ofds[cell->ofd].refs++;
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
 * After each call: an owner without a reference ends its pins, an open file
 * ends, with its lease, with its last reference or pin, and a file without a
 * name with its last open file.
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
