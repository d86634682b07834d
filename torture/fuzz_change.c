// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: truncate(2), fallocate(2) in each mode and in none, and what
 * else ends up there. Offsets and lengths are mostly such that something moves.
 */
#include <linux/falloc.h>
#include "fuzz.h"

#define MODE_MASK	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE | \
			 FALLOC_FL_ZERO_RANGE | FALLOC_FL_INSERT_RANGE | \
			 FALLOC_FL_UNSHARE_RANGE)

static void blocks_went(struct file *file)
{
	if (file->sharing == SHARED)
		file->sharing = MAYBE_SHARED;
}

static void predict_size(struct world *w, int actor, int index, long size,
			 struct answers *want)
{
	struct file *file = &w->files[index];
	bool blocked = false;

	if (file->odd)
		may(want, EFBIG);
	if (size < file->size)
		blocked = model_change(w, actor, index, size / PAGE, LONG_MAX,
				       want);
	if (!blocked)
		may(want, 0);
}

static void apply_size(struct world *w, int index, long size)
{
	struct file *file = &w->files[index];

	if (size <= file->size)
		blocks_went(file);
	file->size = size;
}

static void make_ftruncate(struct world *w, struct op *op)
{
	op->a = some_file(w, op->actor);
	op->x = rnd(w, 8) ? file_offset(w) : wild(w);
}

static void predict_ftruncate(struct world *w, const struct op *op,
			      struct answers *want)
{
	struct ofd *ofd = usable(w, op, op->a);

	if (!ofd)
		may(want, EBADF);
	else if (!(ofd->mode & WRITES))
		may(want, EINVAL);
	if (op->x < 0)
		may(want, EINVAL);
	if (op->x > w->max_bytes)
		may(want, EFBIG);
	if (!want->nr)
		predict_size(w, op->actor, ofd->file, op->x, want);
}

static int run_ftruncate(struct world *w, const struct op *op)
{
	return errno_of(ftruncate(fd_of(w, op, op->a), op->x));
}

static void apply_ftruncate(struct world *w, const struct op *op, int got)
{
	if (!got)
		apply_size(w, usable(w, op, op->a)->file, op->x);
}

static void make_truncate(struct world *w, struct op *op)
{
	op->a = rnd(w, NAMES);
	op->x = rnd(w, 8) ? file_offset(w) : wild(w);
}

static void predict_truncate(struct world *w, const struct op *op,
			     struct answers *want)
{
	if (op->a < 0 || op->a >= NAMES)
		return;
	if (op->x < 0)
		may(want, EINVAL);
	if (op->x > w->max_bytes)
		may(want, EFBIG);
	/* It is a kind of opening for writing. */
	if (op->x >= 0)
		model_open(w, op->actor, w->name[op->a], WRITES, want);
	if (!want->nr)
		predict_size(w, op->actor, w->name[op->a], op->x, want);
	else if (want->ofds)
		want->breaks = BREAKS_SOME;
}

static int run_truncate(struct world *w, const struct op *op)
{
	char path[64], name[16];

	snprintf(name, sizeof(name), "file%d", op->a);
	return errno_of(truncate(kind_path(&w->kind, path, name), op->x));
}

static void apply_truncate(struct world *w, const struct op *op, int got)
{
	if (!got)
		apply_size(w, w->name[op->a], op->x);
}

/* The modes one by one, and what no mode is. */
static int some_mode(struct world *w)
{
	static const int good[] = {
		0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
		FALLOC_FL_UNSHARE_RANGE,
		FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE,
	};

	if (rnd(w, 10))
		return good[rnd(w, sizeof(good) / sizeof(*good))];
	return rnd(w, 2) ? (long)rnd(w, 256) : wild(w);
}

static bool is_one_mode(int mode)
{
	int what = mode & MODE_MASK;
	bool keep = mode & FALLOC_FL_KEEP_SIZE;

	if ((mode & ~(MODE_MASK | FALLOC_FL_KEEP_SIZE)) || (what & (what - 1)))
		return false;
	if (what == FALLOC_FL_PUNCH_HOLE)
		return keep;
	if (what == FALLOC_FL_COLLAPSE_RANGE || what == FALLOC_FL_INSERT_RANGE)
		return !keep;
	return true;
}

/* Allocating a lot takes a lot of time, and of disk. */
static bool too_much(const struct world *w, int mode, long at, long len)
{
	return (mode & MODE_MASK) != FALLOC_FL_PUNCH_HOLE && at >= 0 &&
		len > 16 * w->unit && at <= w->max_bytes - len;
}

static void make_range(struct world *w, struct op *op)
{
	op->x = rnd(w, 8) ? file_offset(w) : wild(w);
	op->y = rnd(w, 8) ? file_offset(w) : wild(w);
	if (too_much(w, op->z, op->x, op->y))
		op->y = w->unit;
}

/* What the man page says of the arguments, whatever the file. */
static void predict_arguments(const struct world *w, int mode, int ofd_mode,
			      long at, long len, struct answers *want)
{
	if (at < 0 || len <= 0)
		may(want, EINVAL);
	else if (at > LONG_MAX - len || at + len > w->max_bytes)
		may(want, EFBIG);
	if (!is_one_mode(mode))
		may(want, EOPNOTSUPP);
	if (!(ofd_mode & WRITES))
		may(want, EBADF);
	if ((mode & FALLOC_FL_UNSHARE_RANGE) && !kind_fs(&w->kind)->shares_blocks)
		may(want, EOPNOTSUPP);
}

/* What it says about the range and the size of this file. */
static void predict_move(const struct world *w, int what, long size, long at,
			 long len, struct answers *want)
{
	if (what != FALLOC_FL_COLLAPSE_RANGE && what != FALLOC_FL_INSERT_RANGE)
		return;
	if (at % PAGE || len % PAGE)
		may(want, EINVAL);
	if (what == FALLOC_FL_COLLAPSE_RANGE && at + len >= size)
		may(want, EINVAL);
	if (what == FALLOC_FL_INSERT_RANGE && at >= size)
		may(want, EINVAL);
	if (what == FALLOC_FL_INSERT_RANGE && len > w->max_bytes - size)
		may(want, EFBIG);
}

static void predict_range(struct world *w, int actor, const struct ofd *ofd,
			  int mode, long at, long len, struct answers *want)
{
	const struct file *file = &w->files[ofd->file];
	int what = mode & MODE_MASK;
	bool blocked = false;
	long last;

	predict_arguments(w, mode, ofd->mode, at, len, want);
	if (want->nr)
		return;
	if (too_much(w, mode, at, len))
		want->skip = true;
	predict_move(w, what, file->size, at, len, want);
	last = what == FALLOC_FL_COLLAPSE_RANGE ||
	       what == FALLOC_FL_INSERT_RANGE ? LONG_MAX : (at + len - 1) / PAGE;
	if (what)
		blocked = model_change(w, actor, ofd->file, at / PAGE, last,
				       want);
	if (!want->nr)
		may(want, 0);
	else if (!blocked)
		want->breaks = BREAKS_SOME;
	if (file->odd) {
		may(want, EOPNOTSUPP);
		want->breaks = BREAKS_SOME;
	}
}

static void apply_range(struct world *w, int index, int mode, long at, long len)
{
	struct file *file = &w->files[index];
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	int what = mode & MODE_MASK;

	if (what == FALLOC_FL_COLLAPSE_RANGE)
		file->size -= len;
	else if (what == FALLOC_FL_INSERT_RANGE)
		file->size += len;
	if (what == FALLOC_FL_UNSHARE_RANGE && file->sharing != NOT_SHARED)
		file->sharing = !at && len >= file->size && file->size ?
			NOT_SHARED : MAYBE_SHARED;
	else if (what)
		blocks_went(file);
	if (!keep && (!what || what == FALLOC_FL_ZERO_RANGE ||
		      what == FALLOC_FL_UNSHARE_RANGE) &&
	    at + len > file->size)
		file->size = at + len;
}

/* a: slot, x: offset, y: length, z: mode */
static void make_fallocate(struct world *w, struct op *op)
{
	op->a = some_file(w, op->actor);
	op->z = some_mode(w);
	make_range(w, op);
}

static void predict_fallocate(struct world *w, const struct op *op,
			      struct answers *want)
{
	struct ofd *ofd = usable(w, op, op->a);

	if (!ofd)
		may(want, EBADF);
	else
		predict_range(w, op->actor, ofd, op->z, op->x, op->y, want);
}

static int run_fallocate(struct world *w, const struct op *op)
{
	return errno_of(fallocate(fd_of(w, op, op->a), op->z, op->x, op->y));
}

static void apply_fallocate(struct world *w, const struct op *op, int got)
{
	if (!got)
		apply_range(w, usable(w, op, op->a)->file, op->z, op->x, op->y);
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

static void predict_remove(struct world *w, const struct op *op,
			   struct answers *want)
{
	struct cell *cell;

	if (op->a < 0 || op->a >= ARENAS || op->b < 0 || op->b >= CELLS ||
	    op->x < 0 || op->y <= 0 || op->x + op->y > w->unit + PAGE)
		return;
	cell = &w->actor[op->actor].cell[op->a][op->b];
	if (op->x % PAGE)
		may(want, EINVAL);
	else if (op->x + op->y > w->unit)
		want->skip = true;
	else if (cell->ofd < 0)
		may(want, ENOMEM);
	else if (!cell->shared || !cell->may_write)
		may(want, EACCES);
	else
		predict_range(w, op->actor, &w->ofds[cell->ofd],
			      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      cell->index * w->unit + op->x, op->y, want);
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
	{ "ftruncate", 50, false, make_ftruncate, predict_ftruncate,
	  run_ftruncate, apply_ftruncate },
	{ "truncate", 30, false, make_truncate, predict_truncate,
	  run_truncate, apply_truncate },
	{ "fallocate", 130, false, make_fallocate, predict_fallocate,
	  run_fallocate, apply_fallocate },
	{ "madvise_remove", 30, false, make_remove, predict_remove,
	  run_remove, apply_remove },
	{ }
};
