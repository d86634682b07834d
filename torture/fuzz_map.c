// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: mappings. Each actor maps files into a few arenas at fixed
 * addresses, a cell of an arena being one unit (4 KiB or 2 MiB) of a file.
 * Mappings keep an open file, and decide what can be pinned.
 */
#include "fuzz.h"

static void make_cells(struct world *w, struct op *op)
{
	op->b = rnd(w, ARENAS);
	op->c = rnd(w, CELLS);
	op->z = 1 + rnd(w, CELLS - op->c);
}

static void make_cell(struct world *w, struct op *op)
{
	make_cells(w, op);
	op->z = 1;
}

static struct cell *cell_of(struct world *w, const struct op *op)
{
	return &w->actor[op->actor].cell[op->b][op->c];
}

static int some_prot(struct world *w)
{
	static const int prots[] = {
		PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE, PROT_READ, PROT_WRITE, PROT_NONE,
	};

	return PICK(w, prots);
}

#define IS_PRIVATE	16	/* beside the protection */

/* a: slot, b and c: arena and cell, x: prot, y: unit of the file, z: cells */
static void make_mmap(struct world *w, struct op *op)
{
	make_cells(w, op);
	op->a = some_file(w, op->actor);
	op->x = some_prot(w) | (rnd(w, 6) ? 0 : IS_PRIVATE);
	op->y = rnd(w, 2) ? op->c : (long)rnd(w, 8);
	if (rnd(w, 4))
		return;
	op->x = PROT_READ | PROT_WRITE;	/* such as can be pinned */
	op->y = rnd(w, 4);
	op->z = 1;
}

static int run_mmap(struct world *w, const struct op *op)
{
	char *at = cell_at(w, op->b, op->c), *got;
	int kind = op->x & IS_PRIVATE ? MAP_PRIVATE : MAP_SHARED;

	got = mmap(at, op->z * w->unit, op->x & ~IS_PRIVATE, MAP_FIXED | kind,
		   fd_of(w, op, op->a), op->y * w->unit);
	return got == MAP_FAILED ? errno : 0;
}

static void apply_mmap(struct world *w, const struct op *op, int got)
{
	struct cell *cell = cell_of(w, op);
	struct ofd *ofd = usable(w, op, op->a);
	bool shared = !(op->x & IS_PRIVATE);
	int i;

	for (i = 0; !got && i < op->z; i++)
		cell[i] = (struct cell){
			.ofd = ofd - w->ofds, .index = op->y + i,
			.prot = op->x & ~IS_PRIVATE, .shared = shared,
			.may_write = !shared || (ofd->mode & WRITES),
		};
}

static int run_munmap(struct world *w, const struct op *op)
{
	return errno_of(munmap(cell_at(w, op->b, op->c), op->z * w->unit));
}

static void apply_munmap(struct world *w, const struct op *op, int got)
{
	int i;

	for (i = 0; !got && i < op->z; i++)
		cell_of(w, op)[i].ofd = -1;
}

static void make_mprotect(struct world *w, struct op *op)
{
	make_cell(w, op);
	op->x = some_prot(w);
}

static int run_mprotect(struct world *w, const struct op *op)
{
	return errno_of(mprotect(cell_at(w, op->b, op->c), w->unit, op->x));
}

static void apply_mprotect(struct world *w, const struct op *op, int got)
{
	if (!got)
		cell_of(w, op)->prot = op->x;
}

enum { MOVE, LEAVE, DOUBLE, HOW };

/* b and c: arena and cell, x: cell to move to, y: how */
static void make_mremap(struct world *w, struct op *op)
{
	make_cell(w, op);
	op->x = rnd(w, ARENAS * CELLS);
	op->y = rnd(w, HOW);
}

static void rule_mremap(struct world *w, const struct op *op,
			struct rule *rule)
{
	rule->skip = op->x == op->b * CELLS + op->c;
}

static char *target(const struct world *w, const struct op *op)
{
	return cell_at(w, op->x / CELLS, op->x % CELLS);
}

static int run_mremap(struct world *w, const struct op *op)
{
	static const int flags[] = {
		[MOVE] = MREMAP_MAYMOVE | MREMAP_FIXED,
		[LEAVE] = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
		[DOUBLE] = MREMAP_MAYMOVE | MREMAP_FIXED,
	};
	void *got = mremap(cell_at(w, op->b, op->c),
			   op->y == DOUBLE ? 0 : w->unit, w->unit,
			   flags[op->y], target(w, op));

	return got == MAP_FAILED ? errno : 0;
}

/* What was at the target may go even if nothing can come there. */
static void apply_mremap(struct world *w, const struct op *op, int got)
{
	struct cell *cell = cell_of(w, op);
	struct cell *to;

	to = &w->actor[op->actor].cell[op->x / CELLS][op->x % CELLS];
	if (got) {
		if (msync(target(w, op), w->unit, MS_ASYNC) && errno == ENOMEM)
			to->ofd = -1;
		return;
	}
	*to = *cell;
	if (op->y == MOVE)
		cell->ofd = -1;
}

/* x: advice, none that stays with the mapping, or poisons memory */
static void make_madvise(struct world *w, struct op *op)
{
	static const int advice[] = {
		MADV_NORMAL, MADV_WILLNEED, MADV_DONTNEED, MADV_COLD,
		MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
		MADV_FREE, -1,
	};

	make_cell(w, op);
	op->x = PICK(w, advice);
}

static int run_madvise(struct world *w, const struct op *op)
{
	return errno_of(madvise(cell_at(w, op->b, op->c), w->unit, op->x));
}

static void apply_madvise(struct world *w, const struct op *op, int got)
{
	if (op->x == MADV_POPULATE_WRITE && !cell_of(w, op)->shared)
		cell_of(w, op)->copied = true;
}

/* A store or a load, made by the kernel, which then answers EFAULT. */
static void make_touch(struct world *w, struct op *op)
{
	make_cell(w, op);
	op->x = rnd(w, w->unit / PAGE) * PAGE + rnd(w, PAGE - 64);
	op->y = rnd(w, 4) ? PROT_WRITE : PROT_READ;
}

static int run_touch(struct world *w, const struct op *op)
{
	char *at = cell_at(w, op->b, op->c) + op->x;

	if (op->y == PROT_WRITE)
		return errno_of(read(w->zero_fd, at, 64));
	return errno_of(pwrite(w->null_fd, at, 64, 0));
}

static void apply_touch(struct world *w, const struct op *op, int got)
{
	if (!got && op->y == PROT_WRITE && !cell_of(w, op)->shared)
		cell_of(w, op)->copied = true;
}

const struct call map_calls[] = {
	{ "mmap", 80, false, make_mmap, NULL, run_mmap, apply_mmap },
	{ "munmap", 30, false, make_cells, NULL, run_munmap, apply_munmap },
	{ "mprotect", 10, false, make_mprotect, NULL, run_mprotect,
	  apply_mprotect },
	{ "mremap", 12, false, make_mremap, rule_mremap, run_mremap,
	  apply_mremap },
	{ "madvise", 12, false, make_madvise, NULL, run_madvise,
	  apply_madvise },
	{ "touch", 40, false, make_touch, NULL, run_touch, apply_touch },
	{ }
};
