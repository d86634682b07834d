// SPDX-License-Identifier: GPL-2.0-only
/*
 * What chance alone does too seldom in fuzz.c: a step of an actor towards a
 * pin. Open a file, take a lease on it, map it, open a driver, and then pin or
 * register what is mapped, with arguments that are good. What comes in between
 * is as hostile as ever, so most attempts are still in vain.
 */
#include <infiniband/verbs.h>
#include "fuzz.h"

/* Have @op made up by the call of that name; its arguments may be changed. */
static void begin_call(struct world *w, struct op *op, const char *name)
{
	int i;

	for (i = 0; strcmp(calls[i]->name, name); i++)
		;
	op->call = i;
	calls[i]->make(w, op);
}

/* A driver's descriptor that can take another region; which one, in op->c. */
static bool ready_own(const struct world *w, struct op *op, bool verbs)
{
	const struct actor *actor = &w->actor[op->actor];
	int i, region;

	for (i = 0; i < OWNS; i++) {
		const struct descriptor *d = &actor->own[i];
		const struct owner *owner = &w->owners[d->of];

		if (d->of < 0 || owner->verbs != verbs)
			continue;
		op->b = i;
		if (!verbs && !owner->busy)
			return true;
		for (region = 0; verbs && d->native && region < MRS; region++) {
			op->c = region;
			if (!owner->region[region])
				return true;
		}
	}
	return false;
}

static void aim_at_own(struct world *w, struct op *op, bool verbs)
{
	if (free_own_slot(w, op->actor) < 0)
		begin_call(w, op, "own_close");
	else
		begin_call(w, op, verbs ? "verbs_open" : "own_open");
}

/* A descriptor to read and write, leased so that its holder may pin, or not. */
static int good_file(const struct world *w, int actor, bool leased)
{
	int i;

	for (i = 0; i < FDS; i++) {
		int of = w->actor[actor].file[i].of;
		const struct ofd *ofd = &w->ofds[of];

		if (of >= 0 && ofd->mode == (READS | WRITES) &&
		    (!leased || (unbreakable(ofd->lease) &&
				 is(w, ofd->holder, actor))))
			return i;
	}
	return -1;
}

static void aim_at_mapping(struct world *w, struct op *op)
{
	int leased = good_file(w, op->actor, true);
	int slot = good_file(w, op->actor, false);

	if (leased >= 0) {
		const struct descriptor *d = &w->actor[op->actor].file[leased];
		long size = w->files[w->ofds[d->of].file].size;

		begin_call(w, op, size < w->unit ? "ftruncate" : "mmap");
		op->a = leased;
		op->x = size < w->unit ? 4 * w->unit : PROT_READ | PROT_WRITE;
		if (size < w->unit)
			return;
		op->y = rnd(w, size / w->unit) % 8;
		op->z = 1;
		op->flags = 0;
	} else if (slot >= 0) {
		begin_call(w, op, "setlease");
		op->a = slot;
		op->x = F_LAYOUT | (rnd(w, 3) ? F_UNBREAK : F_EXCLUSIVE);
	} else if (free_file_slot(w, op->actor) >= 0) {
		begin_call(w, op, "open");
		op->x = 0;
	} else {
		begin_call(w, op, "close");
	}
}

/* Mapped, leased, and within the file. */
static bool good_cell(const struct world *w, int actor, const struct cell *cell)
{
	return pinnable(w, actor, cell) && (cell->index + 1) * w->unit <=
		w->files[w->ofds[cell->ofd].file].size;
}

static bool find_cell(struct world *w, struct op *op)
{
	int i, at = rnd(w, ARENAS * CELLS);

	for (i = 0; i < ARENAS * CELLS; i++, at++) {
		int arena = at / CELLS % ARENAS, cell = at % CELLS;

		if (!good_cell(w, op->actor,
			       &w->actor[op->actor].cell[arena][cell]))
			continue;
		op->x = (unsigned long)cell_at(w, arena, cell);
		return true;
	}
	return false;
}

void make_step(struct world *w, struct op *op)
{
	bool verbs = w->verbs && (w->actor[op->actor].uid || rnd(w, 2));
	struct op own = *op, where = *op;

	if (!ready_own(w, &own, verbs)) {
		aim_at_own(w, op, verbs);
		return;
	}
	if (!find_cell(w, &where)) {
		aim_at_mapping(w, op);
		return;
	}
	begin_call(w, op, verbs ? "reg" : "pin");
	op->a = 0;
	op->b = own.b;
	op->c = own.c;
	op->x = where.x;
	op->y = rnd(w, 2) ? w->unit : PAGE;
	op->z = verbs ? IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE :
		PIN_WRITE | PIN_FAST;
}
