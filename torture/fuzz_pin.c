// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: long-term pins through debugfs/gup_test, and the descriptors
 * of drivers, which keep them. What of a range can be pinned is found page by
 * page, in the order of addresses: all or nothing, and the first page that
 * cannot says why.
 */
#include <stdalign.h>
#include "fuzz.h"

#define MOST	(1UL << 30)	/* beyond, gup_test itself is at fault */
#define BUFFER	64		/* pages */

static alignas(PAGE) char buffer[BUFFER * PAGE];

struct descriptor *own_slot(struct world *w, const struct op *op, int slot)
{
	if (slot < 0 || slot >= OWNS)
		return NULL;
	return &w->actor[op->actor].own[slot];
}

int free_own_slot(struct world *w, int actor)
{
	int i;

	for (i = 0; i < OWNS; i++)
		if (w->actor[actor].own[i].of < 0)
			return i;
	return -1;
}

/* Of that kind; if there is none, any slot. */
int some_own(struct world *w, int actor, bool verbs)
{
	int i, slot;

	for (i = 0; i < 12; i++) {
		const struct descriptor *d;

		slot = rnd(w, OWNS);
		d = &w->actor[actor].own[slot];
		if (d->of >= 0 && w->owners[d->of].verbs == verbs &&
		    (!verbs || d->native) && (i > 6 || !w->owners[d->of].busy))
			return slot;
	}
	return slot;
}

int free_owner(const struct world *w)
{
	int i;

	for (i = 0; i < OWNERS; i++)
		if (!w->owners[i].used)
			return i;
	return -1;
}

static int free_pins(const struct world *w)
{
	int i, nr = 0;

	for (i = 0; i < PINS; i++)
		nr += !w->pins[i].used;
	return nr;
}

static unsigned long cell_end(const struct world *w, unsigned long at)
{
	unsigned long first = (unsigned long)cell_at(w, 0, 0);

	return at + w->unit - (at - first) % w->unit;
}

static long page_of(const struct world *w, const struct cell *cell,
		    unsigned long at)
{
	unsigned long first = (unsigned long)cell_at(w, 0, 0);

	return (cell->index * w->unit + (at - first) % w->unit) / PAGE;
}

/* Why the pages of one cell cannot be pinned, or 0. */
static int cannot_pin(struct world *w, int actor, const struct pinning *p,
		      const struct cell *cell, unsigned long at,
		      unsigned long end)
{
	const struct file *file;
	long last;

	if (!cell || cell->ofd < 0)
		return EFAULT;
	if (!p->tracks || !cell->shared || !(cell->prot & PROT_WRITE) ||
	    model_pin_lease(w, actor, w->ofds[cell->ofd].file) < 0)
		return EOPNOTSUPP;
	file = &w->files[w->ofds[cell->ofd].file];
	last = page_of(w, cell, at) + (end - at) / PAGE - 1;
	return last >= file->size / PAGE + !!(file->size % PAGE) ? EFAULT : 0;
}

void predict_pin(struct world *w, int actor, const struct pinning *p,
		 struct answers *want)
{
	unsigned long at, end;
	int error, nr = 0;

	if (p->tracks && p->at + p->size < p->size) {
		may(want, EOVERFLOW);
		return;
	}
	for (at = p->at; at - p->at < p->size; at = end) {
		const struct cell *cell = cell_of(w, actor, at);

		end = cell ? cell_end(w, at) : at + PAGE;
		if (end - p->at > p->size)
			end = p->at + p->size;
		error = cannot_pin(w, actor, p, cell, at, end);
		/* What it copied for itself is its own, where GUP finds it. */
		if (error && cell && cell->ofd >= 0 && !cell->shared &&
		    cell->copied && p->tracks) {
			may(want, error);
			may(want, EFAULT);
			error = 0;
		}
		if (error) {
			may(want, error);
			return;
		}
		nr++;
	}
	if (free_pins(w) < nr)
		want->skip = true;
	may(want, 0);
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
		.ofd = model_pin_lease(w, actor, file),
		.first = first, .from = -1,
	};
	w->pinned++;
	return &w->pins[i];
}

void apply_pin(struct world *w, int actor, const struct pinning *p)
{
	unsigned long at, end;
	struct pinned *pin = NULL;

	for (at = p->at; at - p->at < p->size; at = end) {
		const struct cell *cell = cell_of(w, actor, at);
		int file = w->ofds[cell->ofd].file;
		long first = page_of(w, cell, at);

		end = cell_end(w, at);
		if (end - p->at > p->size)
			end = p->at + p->size;
		if (!cell->shared)
			continue;
		if (!pin || pin->file != file || pin->last + 1 != first)
			pin = new_pin(w, actor, p, file, first);
		pin->last = first + (end - at) / PAGE - 1;
	}
	if (pin)
		w->hook = HOOK_PIN;
}

void drop_pins(struct world *w, int owner, int region)
{
	struct pinned *pin;

	for (pin = w->pins; pin < w->pins + PINS; pin++)
		if (pin->used && pin->owner == owner && pin->region == region)
			pin->used = false;
}

static void make_own_open(struct world *w, struct op *op)
{
	op->b = free_own_slot(w, op->actor);
	op->c = rnd(w, 2);
}

static void predict_own_open(struct world *w, const struct op *op,
			     struct answers *want)
{
	struct descriptor *d = own_slot(w, op, op->b);

	if (!d || d->of >= 0 || free_owner(w) < 0)
		want->skip = true;
	may(want, w->actor[op->actor].uid ? EACCES : 0);
}

static int run_own_open(struct world *w, const struct op *op)
{
	w->learned = open("/sys/kernel/debug/gup_test",
			  O_RDWR | (op->c ? O_CLOEXEC : 0));
	return errno_of(w->learned);
}

static void apply_own_open(struct world *w, const struct op *op, int got)
{
	int owner = free_owner(w);

	if (got)
		return;
	w->owners[owner] = (struct owner){ .used = true };
	*own_slot(w, op, op->b) = (struct descriptor){
		.fd = w->learned, .of = owner, .cloexec = op->c,
	};
}

static void make_own_close(struct world *w, struct op *op)
{
	op->b = some_own(w, op->actor, !rnd(w, 3));
}

static void predict_own_close(struct world *w, const struct op *op,
			      struct answers *want)
{
	struct descriptor *d = own_slot(w, op, op->b);

	may(want, d && d->of >= 0 ? 0 : EBADF);
}

static int run_own_close(struct world *w, const struct op *op)
{
	struct descriptor *d = own_slot(w, op, op->b);

	if (!d || d->of < 0)
		return errno_of(close(-1));
	if (d->native) {
		verbs_close(op->b, d->fd);
		return 0;
	}
	return errno_of(close(d->fd));
}

static void apply_own_close(struct world *w, const struct op *op, int got)
{
	if (!got)
		*own_slot(w, op, op->b) = (struct descriptor){ .of = -1 };
}

static void make_own_dup(struct world *w, struct op *op)
{
	op->a = some_own(w, op->actor, !rnd(w, 3));
	op->b = free_own_slot(w, op->actor);
}

static void predict_own_dup(struct world *w, const struct op *op,
			    struct answers *want)
{
	struct descriptor *from = own_slot(w, op, op->a);
	struct descriptor *to = own_slot(w, op, op->b);

	if (!from || !to || to->of >= 0)
		want->skip = true;
	may(want, from && from->of >= 0 ? 0 : EBADF);
}

static int run_own_dup(struct world *w, const struct op *op)
{
	struct descriptor *d = own_slot(w, op, op->a);

	w->learned = dup(d->of >= 0 ? d->fd : -1);
	return errno_of(w->learned);
}

static void apply_own_dup(struct world *w, const struct op *op, int got)
{
	if (!got)
		*own_slot(w, op, op->b) = (struct descriptor){
			.fd = w->learned, .of = own_slot(w, op, op->a)->of,
		};
}

/* Is this a mapping that the actor may pin, as far as that goes? */
bool pinnable(const struct world *w, int actor, const struct cell *cell)
{
	return cell->ofd >= 0 && cell->shared && (cell->prot & PROT_WRITE) &&
		model_pin_lease(w, actor, w->ofds[cell->ofd].file) >= 0;
}

/* Somewhere in the arenas, mostly where something can be pinned or is mapped. */
static unsigned long some_address(struct world *w, int actor)
{
	int i, arena, cell, picky = rnd(w, 4) ? 40 : 0;

	for (i = 0; i < 50; i++) {
		const struct cell *at;

		arena = rnd(w, ARENAS);
		cell = rnd(w, CELLS);
		at = &w->actor[actor].cell[arena][cell];
		if (pinnable(w, actor, at) || (i >= picky && at->ofd >= 0))
			break;
	}
	return (unsigned long)cell_at(w, arena, cell) +
		(rnd(w, 2) ? 0 : rnd(w, w->unit / PAGE) * PAGE);
}

static unsigned long some_size(struct world *w)
{
	switch (rnd(w, 4)) {
	case 0:
		return w->unit * (1 + rnd(w, 3));
	case 1:
		return PAGE * (1 + rnd(w, 2 * w->unit / PAGE));
	default:
		return PAGE;
	}
}

/* a: where the argument is, b: slot, x: address, y: size, z: flags */
static void make_pin(struct world *w, struct op *op)
{
	static const int flags[] = {
		PIN_WRITE | PIN_FAST, PIN_WRITE | PIN_FAST, PIN_FAST,
		PIN_WRITE | PIN_FAST | PIN_MM, PIN_WRITE, 0, 8, -1,
	};

	op->b = some_own(w, op->actor, false);
	op->x = some_address(w, op->actor);
	op->y = some_size(w);
	op->z = flags[rnd(w, rnd(w, 4) ? 4 : 8)];
	if (!rnd(w, 16))
		op->x = wild(w);
	if (!rnd(w, 16))
		op->y = wild(w);
	if (!rnd(w, 32))	/* anonymous memory */
		op->a = 1;
	if (!rnd(w, 64))	/* no argument */
		op->a = 2;
}

static void predict_start(struct world *w, const struct op *op,
			  struct answers *want)
{
	struct descriptor *d = own_slot(w, op, op->b);
	struct pinning p = {
		.at = op->x, .size = op->y, .tracks = op->z & PIN_FAST,
	};

	if (d && d->of >= 0 && w->owners[d->of].verbs)
		want->skip = true;
	if (!d || d->of < 0)
		may(want, EBADF);
	else if (w->owners[d->of].busy)
		may(want, EINVAL);
	else if (op->a == 2)
		may(want, EFAULT);
	else if (op->z & ~(PIN_WRITE | PIN_FAST | PIN_MM))
		may(want, EINVAL);
	else if (op->a == 1)
		may(want, 0);
	else if ((op->x | op->y) % PAGE || op->y <= 0)
		may(want, EINVAL);
	else if (op->y > (long)MOST)
		want->skip = true;
	else
		predict_pin(w, op->actor, &p, want);
}

static int run_start(struct world *w, const struct op *op)
{
	struct descriptor *d = own_slot(w, op, op->b);
	struct pin_longterm_test args = {
		.addr = op->a == 1 ? (long)buffer : op->x,
		.size = op->a == 1 ? PAGE : op->y, .flags = op->z,
	};

	return errno_of(ioctl(d && d->of >= 0 ? d->fd : -1,
			      PIN_LONGTERM_TEST_START,
			      op->a == 2 ? NULL : &args));
}

static void apply_start(struct world *w, const struct op *op, int got)
{
	struct pinning p = {
		.region = -1, .at = op->x, .size = op->y,
		.by_mm = op->z & PIN_MM,
	};

	if (got)
		return;
	p.owner = own_slot(w, op, op->b)->of;
	w->owners[p.owner].busy = true;
	w->owners[p.owner].pages = op->a == 1 ? 1 : op->y / PAGE;
	if (op->a != 1)
		apply_pin(w, op->actor, &p);
}

static void make_own(struct world *w, struct op *op)
{
	op->b = some_own(w, op->actor, false);
	op->x = rnd(w, 8) ? 0 : wild(w);
}

static void predict_stop(struct world *w, const struct op *op,
			 struct answers *want)
{
	struct descriptor *d = own_slot(w, op, op->b);

	if (d && d->of >= 0 && w->owners[d->of].verbs)
		want->skip = true;
	may(want, d && d->of >= 0 ? 0 : EBADF);
}

static int run_stop(struct world *w, const struct op *op)
{
	struct descriptor *d = own_slot(w, op, op->b);

	return errno_of(ioctl(d && d->of >= 0 ? d->fd : -1,
			      PIN_LONGTERM_TEST_STOP));
}

static void apply_stop(struct world *w, const struct op *op, int got)
{
	int owner = own_slot(w, op, op->b)->of;

	if (got)
		return;
	w->owners[owner].busy = false;
	drop_pins(w, owner, -1);
}

/* x: where to, which is nowhere unless it is 0 */
static void predict_read(struct world *w, const struct op *op,
			 struct answers *want)
{
	struct descriptor *d = own_slot(w, op, op->b);

	if (d && d->of >= 0 && w->owners[d->of].verbs)
		want->skip = true;
	if (!d || d->of < 0)
		may(want, EBADF);
	else if (!w->owners[d->of].busy)
		may(want, EINVAL);
	else if (cell_of(w, op->actor, op->x) ||
		 (!op->x && w->owners[d->of].pages > BUFFER))
		want->skip = true;
	else
		may(want, op->x ? EFAULT : 0);
}

static int run_read(struct world *w, const struct op *op)
{
	struct descriptor *d = own_slot(w, op, op->b);
	__u64 to = op->x ?: (long)buffer;

	return errno_of(ioctl(d && d->of >= 0 ? d->fd : -1,
			      PIN_LONGTERM_TEST_READ, &to));
}

const struct call pin_calls[] = {
	{ "own_open", 16, false, make_own_open, predict_own_open,
	  run_own_open, apply_own_open },
	{ "own_close", 14, false, make_own_close, predict_own_close,
	  run_own_close, apply_own_close },
	{ "own_dup", 4, false, make_own_dup, predict_own_dup, run_own_dup,
	  apply_own_dup },
	{ "pin", 120, false, make_pin, predict_start, run_start,
	  apply_start },
	{ "unpin", 40, false, make_own, predict_stop, run_stop, apply_stop },
	{ "pin_read", 6, false, make_own, predict_read, run_read },
	{ }
};
