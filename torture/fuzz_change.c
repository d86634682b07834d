// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: truncate(2), fallocate(2) in each mode and in none, and what
 * else ends up there. Offsets and lengths are mostly such that something moves.
 */
#include <linux/falloc.h>
#include "fuzz.h"

#define KEEP		FALLOC_FL_KEEP_SIZE
#define PUNCH		FALLOC_FL_PUNCH_HOLE
#define ZERO		FALLOC_FL_ZERO_RANGE
#define COLLAPSE	FALLOC_FL_COLLAPSE_RANGE
#define INSERT		FALLOC_FL_INSERT_RANGE
#define UNSHARE		FALLOC_FL_UNSHARE_RANGE
#define HUGE_SIZE	(1L << 40)	/* at the limits of ext4 */
#define CHANGES		(PUNCH | ZERO | COLLAPSE | INSERT | UNSHARE)

/* Fewer blocks are shared, or none. */
static void blocks_went(struct file *file)
{
	if (file->sharing == SHARED)
		file->sharing = MAYBE_SHARED;
}

static void rule_size(struct world *w, int actor, int index, long size,
		      struct rule *rule)
{
	const struct file *file = &w->files[index];

	rule->plain = size >= 0 && !file->odd;
	if (size >= 0 && size < file->size)
		model_change(w, actor, index, size / PAGE, LONG_MAX, rule);
}

static void make_ftruncate(struct world *w, struct op *op)
{
	make_fd(w, op);
	op->x = some_offset(w);
}

static void rule_ftruncate(struct world *w, const struct op *op,
			   struct rule *rule)
{
	struct ofd *ofd = usable(w, op, op->a);

	if (ofd && (ofd->mode & WRITES))
		rule_size(w, op->actor, ofd->file, op->x, rule);
}

static int run_ftruncate(struct world *w, const struct op *op)
{
	return errno_of(ftruncate(fd_of(w, op, op->a), op->x));
}

static void apply_ftruncate(struct world *w, const struct op *op, int got)
{
	if (got)
		return;
	blocks_went(file_of(w, op, op->a));
	file_of(w, op, op->a)->size = op->x;
}

static void make_truncate(struct world *w, struct op *op)
{
	op->a = rnd(w, NAMES);
	op->x = some_offset(w);
}

static void rule_truncate(struct world *w, const struct op *op,
			  struct rule *rule)
{
	rule_size(w, op->actor, w->name[op->a], op->x, rule);
}

static int run_truncate(struct world *w, const struct op *op)
{
	char path[64];

	return errno_of(truncate(file_path(w, op->a, path), op->x));
}

static void apply_truncate(struct world *w, const struct op *op, int got)
{
	struct file *file = &w->files[w->name[op->a]];

	if (got)
		return;
	blocks_went(file);
	file->size = op->x;
}

/* Allocating a lot takes a lot of time, and of disk. */
static bool too_much(const struct world *w, int mode, long at, long len)
{
	return (mode & CHANGES) != PUNCH && at >= 0 && len > 16 * w->unit &&
		at <= LONG_MAX - len;
}

static void make_range(struct world *w, struct op *op)
{
	op->x = some_offset(w);
	op->y = some_offset(w);
	if (too_much(w, op->z, op->x, op->y))
		op->y = w->unit;
}

/* Nothing is wrong with the range, whatever the file system checks. */
static bool is_plain(const struct world *w, const struct file *file, int mode,
		     long at, long len)
{
	long unit = mode & (COLLAPSE | INSERT) ? PAGE : 1;

	return !file->odd && file->size < HUGE_SIZE && at >= 0 &&
		at < file->size && len > 0 && len < file->size - at &&
		at % unit == 0 && len % unit == 0 &&
		(shares_blocks(w) || !(mode & UNSHARE));
}

static void rule_range(struct world *w, int actor, const struct ofd *ofd,
		       int mode, long at, long len, struct rule *rule)
{
	const struct file *file = &w->files[ofd->file];
	long last = LONG_MAX;

	rule->skip = too_much(w, mode, at, len);
	if (!(mode & CHANGES) || !(ofd->mode & WRITES) || at < 0 || len <= 0 ||
	    len > LONG_MAX - at)
		return;
	rule->plain = is_plain(w, file, mode, at, len);
	if (!(mode & (COLLAPSE | INSERT)))
		last = (at + len - 1) / PAGE;
	model_change(w, actor, ofd->file, at / PAGE, last, rule);
}

static void apply_range(struct world *w, const struct op *op, int mode,
			long at, long len)
{
	struct file *file = file_of(w, op, op->a);
	struct stat st;

	if (!fstat(fd_of(w, op, op->a), &st))
		file->size = st.st_size;
	if ((mode & UNSHARE) && !at && file->size && len >= file->size)
		file->sharing = NOT_SHARED;
	else if (mode & CHANGES)
		blocks_went(file);
}

/* a: slot, x: offset, y: length, z: mode */
static void make_fallocate(struct world *w, struct op *op)
{
	static const int modes[] = {
		0, KEEP, PUNCH | KEEP, PUNCH | KEEP, ZERO, ZERO | KEEP,
		COLLAPSE, INSERT, UNSHARE, UNSHARE | KEEP,
	};

	make_fd(w, op);
	op->z = PICK(w, modes);
	if (!rnd(w, 10))
		op->z = rnd(w, 2) ? (long)rnd(w, 256) : (int)wild(w);
	make_range(w, op);
}

/* Two modes at once, or half of one, are nobody's. */
static bool is_mode(int mode)
{
	switch (mode & ~KEEP) {
	case PUNCH:
		return mode & KEEP;
	case COLLAPSE:
	case INSERT:
		return !(mode & KEEP);
	default:
		return mode == 0 || (mode & ~KEEP) == ZERO ||
			(mode & ~KEEP) == UNSHARE;
	}
}

static void rule_fallocate(struct world *w, const struct op *op,
			   struct rule *rule)
{
	struct ofd *ofd = usable(w, op, op->a);

	if (!ofd)
		return;
	rule_range(w, op->actor, ofd, op->z, op->x, op->y, rule);
	rule->plain = rule->plain && is_mode(op->z);
}

static int run_fallocate(struct world *w, const struct op *op)
{
	return errno_of(fallocate(fd_of(w, op, op->a), op->z, op->x, op->y));
}

static void apply_fallocate(struct world *w, const struct op *op, int got)
{
	if (!got)
		apply_range(w, op, op->z, op->x, op->y);
}

/* a: arena, b: cell, x: where in it, y: length */
static void make_remove(struct world *w, struct op *op)
{
	op->a = rnd(w, ARENAS);
	op->b = rnd(w, CELLS);
	op->x = rnd(w, w->unit / PAGE) * PAGE;
	op->y = rnd(w, 2) ? PAGE : w->unit - op->x;
	if (!rnd(w, 8))
		op->x += 1 + rnd(w, PAGE - 1);
}

static void rule_remove(struct world *w, const struct op *op,
			struct rule *rule)
{
	struct cell *cell = &w->actor[op->actor].cell[op->a][op->b];

	rule->skip = op->x + op->y > w->unit;
	if (cell->ofd >= 0 && cell->shared && cell->may_write)
		rule_range(w, op->actor, &w->ofds[cell->ofd], PUNCH | KEEP,
			   cell->index * w->unit + op->x, op->y, rule);
	rule->plain = rule->plain && op->x % PAGE == 0;
}

static int run_remove(struct world *w, const struct op *op)
{
	return errno_of(madvise(cell_at(w, op->a, op->b) + op->x, op->y,
				MADV_REMOVE));
}

static void apply_remove(struct world *w, const struct op *op, int got)
{
	struct cell *cell = &w->actor[op->actor].cell[op->a][op->b];

	if (!got)
		blocks_went(&w->files[w->ofds[cell->ofd].file]);
}

const struct call change_calls[] = {
	{ "ftruncate", 50, false, make_ftruncate, rule_ftruncate,
	  run_ftruncate, apply_ftruncate },
	{ "truncate", 30, false, make_truncate, rule_truncate, run_truncate,
	  apply_truncate },
	{ "fallocate", 130, false, make_fallocate, rule_fallocate,
	  run_fallocate, apply_fallocate },
	{ "madvise_remove", 30, false, make_remove, rule_remove, run_remove,
	  apply_remove },
	{ }
};
