// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: mappings. Each actor maps files into a few arenas at fixed
 * addresses, a cell of an arena being one unit (4 KiB or 2 MiB) of a file. Who
 * maps what decides who keeps an open file, and what can be pinned.
 */
#include "fuzz.h"

#ifndef PROT_SEM
#define PROT_SEM	8
#endif

#define FIRST_ARENA	0x100000000000UL
#define ARENA_SIZE	(64UL << 20)

/* Not congruent with the file unless huge entries are wanted. */
char *cell_at(const struct world *w, int arena, int cell)
{
	unsigned long at = FIRST_ARENA + arena * ARENA_SIZE + cell * w->unit;

	return (char *)(w->unit == HUGE ? at : at + PAGE);
}

struct cell *cell_of(struct world *w, int actor, unsigned long address)
{
	unsigned long first = (unsigned long)cell_at(w, 0, 0);
	unsigned long at = address - first;

	if (address < first || at / ARENA_SIZE >= ARENAS ||
	    at % ARENA_SIZE >= CELLS * (unsigned long)w->unit)
		return NULL;
	return &w->actor[actor].cell[at / ARENA_SIZE]
		[at % ARENA_SIZE / w->unit];
}

void unmap_all(struct actor *actor)
{
	int i, j;

	for (i = 0; i < ARENAS; i++)
		for (j = 0; j < CELLS; j++)
			actor->cell[i][j].ofd = -1;
}

static bool in_arena(int arena, int cell, long nr)
{
	return arena >= 0 && arena < ARENAS && cell >= 0 && nr > 0 &&
		nr <= CELLS && cell + nr <= CELLS;
}

static void make_cells(struct world *w, struct op *op)
{
	op->b = rnd(w, ARENAS);
	op->c = rnd(w, CELLS);
	op->z = 1 + rnd(w, CELLS - op->c);
}

static int some_prot(struct world *w)
{
	static const int prots[] = {
		PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE, PROT_READ, PROT_WRITE, PROT_NONE,
	};

	return prots[rnd(w, sizeof(prots) / sizeof(*prots))];
}

/* a: slot, b and c: arena and cell, x: prot, y: unit of the file, z: cells */
static void make_mmap(struct world *w, struct op *op)
{
	make_cells(w, op);
	op->a = some_file(w, op->actor);
	op->x = some_prot(w);
	op->flags |= rnd(w, 6) ? 0 : MAP_PRIVATE_TOO;
	op->y = rnd(w, 2) ? op->c : (long)rnd(w, 8);
}

static bool is_private(const struct op *op)
{
	return op->flags & MAP_PRIVATE_TOO;
}

static void predict_mmap(struct world *w, const struct op *op,
			 struct answers *want)
{
	struct ofd *ofd = usable(w, op, op->a);

	if (!in_arena(op->b, op->c, op->z) || op->y < 0 || op->y > 64)
		return;
	if (!ofd)
		may(want, EBADF);
	else if (!(ofd->mode & READS))
		may(want, EACCES);
	else if (!is_private(op) && (op->x & PROT_WRITE) &&
		 !(ofd->mode & WRITES))
		may(want, EACCES);
	else
		may(want, 0);
}

static int run_mmap(struct world *w, const struct op *op)
{
	char *at = cell_at(w, op->b, op->c), *got;

	got = mmap(at, op->z * w->unit, op->x, MAP_FIXED |
		   (is_private(op) ? MAP_PRIVATE : MAP_SHARED),
		   fd_of(w, op, op->a), op->y * w->unit);
	return got == MAP_FAILED ? errno : got == at ? 0 : EIO;
}

static void apply_mmap(struct world *w, const struct op *op, int got)
{
	struct cell *cell = &w->actor[op->actor].cell[op->b][op->c];
	struct ofd *ofd = usable(w, op, op->a);
	int i;

	for (i = 0; !got && i < op->z; i++)
		cell[i] = (struct cell){
			.ofd = ofd - w->ofds, .index = op->y + i,
			.prot = op->x, .shared = !is_private(op),
			.may_write = is_private(op) || (ofd->mode & WRITES),
		};
}

/* Arguments that no file can be mapped with, with what each has to answer. */
static const struct {
	long length, prot, flags, offset;
	int answers[3];
} wrong[] = {
	{ 0, 3, MAP_SHARED, 0, { EINVAL } },
	{ PAGE, 3, MAP_SHARED, 1, { EINVAL } },
	{ PAGE, 3, MAP_SHARED, -1, { EINVAL } },
	{ PAGE, 3, 0, 0, { EINVAL } },
	{ PAGE, 3, MAP_SHARED_VALIDATE | 1 << 24, 0, { EOPNOTSUPP } },
	{ LONG_MAX, 3, MAP_SHARED, 0, { ENOMEM, EOVERFLOW } },
	{ -PAGE, 3, MAP_SHARED, 0, { ENOMEM, EOVERFLOW } },
	{ -1, 3, MAP_SHARED, 0, { ENOMEM } },
	{ 2 * PAGE, 3, MAP_SHARED, -PAGE, { EOVERFLOW } },
	{ PAGE, 3, MAP_SHARED | MAP_FIXED, 0, { EINVAL } },
	{ PAGE, 3, MAP_SHARED | MAP_GROWSDOWN, 0, { EINVAL } },
};

#define WRONG	(sizeof(wrong) / sizeof(*wrong))

static void make_wrong(struct world *w, struct op *op)
{
	op->a = some_file(w, op->actor);
	op->x = rnd(w, WRONG);
}

static void predict_wrong(struct world *w, const struct op *op,
			  struct answers *want)
{
	struct ofd *ofd = usable(w, op, op->a);
	int i;

	if (op->x < 0 || op->x >= (long)WRONG)
		return;
	for (i = 0; i < 3 && wrong[op->x].answers[i]; i++)
		may(want, wrong[op->x].answers[i]);
	if (!ofd)
		may(want, EBADF);
	else if (ofd->mode != (READS | WRITES))
		may(want, EACCES);
}

/* Not through the C library, which has its own opinion of offsets. */
static int run_wrong(struct world *w, const struct op *op)
{
	return errno_of(syscall(SYS_mmap, wrong[op->x].flags & MAP_FIXED,
				wrong[op->x].length, wrong[op->x].prot,
				wrong[op->x].flags, fd_of(w, op, op->a),
				wrong[op->x].offset));
}

static void predict_munmap(struct world *w, const struct op *op,
			   struct answers *want)
{
	if (in_arena(op->b, op->c, op->z))
		may(want, 0);
}

static int run_munmap(struct world *w, const struct op *op)
{
	return errno_of(munmap(cell_at(w, op->b, op->c), op->z * w->unit));
}

static void apply_munmap(struct world *w, const struct op *op, int got)
{
	int i;

	for (i = 0; !got && i < op->z; i++)
		w->actor[op->actor].cell[op->b][op->c + i].ofd = -1;
}

static void make_mprotect(struct world *w, struct op *op)
{
	make_cells(w, op);
	op->z = 1;
	op->x = rnd(w, 8) ? some_prot(w) : wild(w);
	op->y = rnd(w, 16) ? 0 : 1;
}

static void predict_mprotect(struct world *w, const struct op *op,
			     struct answers *want)
{
	struct cell *cell;
	int prot = op->x;

	if (!in_arena(op->b, op->c, 1) || op->x & PROT_EXEC)
		return;
	cell = &w->actor[op->actor].cell[op->b][op->c];
	if ((op->x & ~(PROT_READ | PROT_WRITE | PROT_SEM)) || op->y)
		may(want, EINVAL);
	if (cell->ofd < 0 && (op->x & (PROT_GROWSDOWN | PROT_GROWSUP)))
		may(want, ENOMEM);
	if (want->nr)
		return;
	if (cell->ofd < 0)
		may(want, ENOMEM);
	else if (cell->shared && !cell->may_write && (prot & PROT_WRITE))
		may(want, EACCES);
	else
		may(want, 0);
}

static int run_mprotect(struct world *w, const struct op *op)
{
	return errno_of(syscall(SYS_mprotect,
				cell_at(w, op->b, op->c) + op->y, w->unit,
				op->x));
}

static void apply_mprotect(struct world *w, const struct op *op, int got)
{
	if (!got)
		w->actor[op->actor].cell[op->b][op->c].prot = op->x;
}

enum { MOVE, LEAVE, DOUBLE, NONSENSE, HOW };

/* b and c: arena and cell, x: cell to move to, y: how */
static void make_mremap(struct world *w, struct op *op)
{
	make_cells(w, op);
	op->z = 1;
	op->x = rnd(w, ARENAS * CELLS);
	op->y = rnd(w, HOW);
}

static struct cell *target(struct world *w, const struct op *op)
{
	if (op->x < 0 || op->x >= ARENAS * CELLS ||
	    op->x == op->b * CELLS + op->c)
		return NULL;
	return &w->actor[op->actor].cell[op->x / CELLS][op->x % CELLS];
}

static void predict_mremap(struct world *w, const struct op *op,
			   struct answers *want)
{
	struct cell *cell;

	if (!in_arena(op->b, op->c, 1) || !target(w, op))
		return;
	cell = &w->actor[op->actor].cell[op->b][op->c];
	if (op->y == NONSENSE)
		may(want, EINVAL);
	else if (cell->ofd < 0)
		may(want, EFAULT);
	else if (op->y == DOUBLE && !cell->shared)
		may(want, EINVAL);
	else
		may(want, 0);
}

static int run_mremap(struct world *w, const struct op *op)
{
	static const int flags[] = {
		[MOVE] = MREMAP_MAYMOVE | MREMAP_FIXED,
		[LEAVE] = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
		[DOUBLE] = MREMAP_MAYMOVE | MREMAP_FIXED,
		[NONSENSE] = MREMAP_FIXED,
	};
	void *to = cell_at(w, op->x / CELLS, op->x % CELLS);
	void *got = mremap(cell_at(w, op->b, op->c),
			   op->y == DOUBLE ? 0 : w->unit, w->unit,
			   flags[op->y], to);

	return got == MAP_FAILED ? errno : got == to ? 0 : EIO;
}

/* What was at the target goes even if nothing can come there. */
static void apply_mremap(struct world *w, const struct op *op, int got)
{
	struct cell *cell, *to = target(w, op);

	cell = &w->actor[op->actor].cell[op->b][op->c];
	if (got == EINVAL && op->y == DOUBLE)
		to->ofd = -1;
	if (got)
		return;
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
		MADV_FREE, 7, 5000, -1,
	};

	make_cells(w, op);
	op->z = 1;
	op->x = advice[rnd(w, sizeof(advice) / sizeof(*advice))];
}

static bool no_advice(int advice)
{
	return advice == 7 || advice == 5000 || advice == -1;
}

static void predict_madvise(struct world *w, const struct op *op,
			    struct answers *want)
{
	struct cell *cell;

	if (!in_arena(op->b, op->c, 1))
		return;
	cell = &w->actor[op->actor].cell[op->b][op->c];
	if (no_advice(op->x))
		may(want, EINVAL);
	else if (cell->ofd < 0)
		may(want, ENOMEM);
	else if (op->x == MADV_FREE)
		may(want, EINVAL);
	else
		may(want, 0);
	if (cell->ofd >= 0 &&
	    (op->x == MADV_POPULATE_READ || op->x == MADV_POPULATE_WRITE)) {
		may(want, EFAULT);	/* behind the end of the file */
		may(want, EINVAL);	/* not that kind of mapping */
	}
}

static int run_madvise(struct world *w, const struct op *op)
{
	return errno_of(madvise(cell_at(w, op->b, op->c), w->unit, op->x));
}

static void apply_madvise(struct world *w, const struct op *op, int got)
{
	struct cell *cell = &w->actor[op->actor].cell[op->b][op->c];

	if (op->x == MADV_POPULATE_WRITE && cell->ofd >= 0 && !cell->shared)
		cell->copied = true;
}

/* A store or a load, made by the kernel, which then answers EFAULT. */
static void make_touch(struct world *w, struct op *op)
{
	make_cells(w, op);
	op->z = 1;
	op->x = rnd(w, w->unit / PAGE) * PAGE + rnd(w, PAGE - 64);
	op->y = rnd(w, 4) ? PROT_WRITE : PROT_READ;
}

static void predict_touch(struct world *w, const struct op *op,
			  struct answers *want)
{
	struct cell *cell;
	long page;

	if (!in_arena(op->b, op->c, 1) || op->x < 0 ||
	    op->x % PAGE > PAGE - 64 || op->x > w->unit)
		return;
	cell = &w->actor[op->actor].cell[op->b][op->c];
	page = (cell->index * w->unit + op->x) / PAGE;
	/* On x86 what can be written can be read. */
	if (cell->ofd < 0 ||
	    (op->y == PROT_WRITE && !(cell->prot & PROT_WRITE)) ||
	    !(cell->prot & (PROT_READ | PROT_WRITE)) ||
	    page >= w->files[w->ofds[cell->ofd].file].size / PAGE +
	    !!(w->files[w->ofds[cell->ofd].file].size % PAGE))
		may(want, EFAULT);
	else
		may(want, 0);
	/* A page of one's own outlives the end of the file, until cut off. */
	if (cell->ofd >= 0 && !cell->shared && cell->copied)
		may(want, 0);
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
	struct cell *cell = &w->actor[op->actor].cell[op->b][op->c];

	if (!got && op->y == PROT_WRITE && !cell->shared)
		cell->copied = true;
}

const struct call map_calls[] = {
	{ "mmap", 70, false, make_mmap, predict_mmap, run_mmap, apply_mmap },
	{ "mmap_wrong", 8, false, make_wrong, predict_wrong, run_wrong },
	{ "munmap", 30, false, make_cells, predict_munmap, run_munmap,
	  apply_munmap },
	{ "mprotect", 10, false, make_mprotect, predict_mprotect,
	  run_mprotect, apply_mprotect },
	{ "mremap", 12, false, make_mremap, predict_mremap, run_mremap,
	  apply_mremap },
	{ "madvise", 12, false, make_madvise, predict_madvise, run_madvise,
	  apply_madvise },
	{ "touch", 40, false, make_touch, predict_touch, run_touch,
	  apply_touch },
	{ }
};
