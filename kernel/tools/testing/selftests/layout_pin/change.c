// SPDX-License-Identifier: GPL-2.0
/*
 * What may change the layout of a file, in every state that it can be in: the
 * first table of section 3 of the contract, row by row.
 *
 * states[] says for each state what an operation gets that meets the pinned
 * range, one that does not, and one that moves no block. ops[] has the
 * operations. Each test is one of both on one file system with one size of
 * mapping, in a process of its own; afterwards every lease, record and pinned
 * page is gone and the file system unmounts.
 *
 * A file has four units (of 4 KiB, or 2 MiB). One page is pinned, in the second
 * unit; where the mapping is huge, operations that "meet" the pin touch another
 * page of the same entry.
 */
#include "change.h"

static int op_truncate(struct world *w, long at)
{
	return ftruncate(w->fd, at) ? errno : 0;
}

static int op_truncate_hit(struct world *w)
{
	return op_truncate(w, w->unit);
}

static int op_truncate_miss(struct world *w)
{
	return op_truncate(w, 2 * w->unit);
}

static int op_truncate_path(struct world *w)
{
	return truncate(w->path, 0) ? errno : 0;
}

static int op_open_trunc(struct world *w)
{
	int fd = open(w->path, O_RDWR | O_TRUNC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int op_fallocate(struct world *w, int mode, long at, long len)
{
	return fallocate(w->fd, mode, at, len) ? errno : 0;
}

/* Part of a huge entry, but not the pinned page; or the page itself. */
static long hit_at(struct world *w)
{
	return w->unit + (w->unit > PAGE ? w->unit / 2 : 0);
}

#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static int op_punch_hit(struct world *w)
{
	return op_fallocate(w, PUNCH, hit_at(w), PAGE);
}

static int op_punch_partly(struct world *w)
{
	return op_fallocate(w, PUNCH, w->unit / 2, w->unit);
}

static int op_punch_byte(struct world *w)
{
	return op_fallocate(w, PUNCH, hit_at(w) + 17, 1);
}

static int op_punch_miss(struct world *w)
{
	return op_fallocate(w, PUNCH, 2 * w->unit, w->unit);
}

static int op_zero_hit(struct world *w)
{
	return op_fallocate(w, FALLOC_FL_ZERO_RANGE, hit_at(w), PAGE);
}

static int op_zero_miss(struct world *w)
{
	return op_fallocate(w, FALLOC_FL_ZERO_RANGE, 2 * w->unit, w->unit);
}

static int op_collapse_hit(struct world *w)
{
	return op_fallocate(w, FALLOC_FL_COLLAPSE_RANGE, 0, w->unit);
}

static int op_collapse_miss(struct world *w)
{
	return op_fallocate(w, FALLOC_FL_COLLAPSE_RANGE, 2 * w->unit, w->unit);
}

static int op_insert_hit(struct world *w)
{
	return op_fallocate(w, FALLOC_FL_INSERT_RANGE, w->unit, w->unit);
}

static int op_insert_miss(struct world *w)
{
	return op_fallocate(w, FALLOC_FL_INSERT_RANGE, 2 * w->unit, w->unit);
}

static int op_unshare_hit(struct world *w)
{
	return op_fallocate(w, FALLOC_FL_UNSHARE_RANGE, hit_at(w), PAGE);
}

static int op_unshare_miss(struct world *w)
{
	return op_fallocate(w, FALLOC_FL_UNSHARE_RANGE, 2 * w->unit, w->unit);
}

static int op_truncate_same(struct world *w)
{
	return op_truncate(w, FILE_SIZE(w->unit));
}

/* Into the pinned unit, but not to its start. */
static int op_truncate_into(struct world *w)
{
	return op_truncate(w, hit_at(w) + 17);
}

static int op_madvise(struct world *w, long at, long len)
{
	return madvise(w->memory + at, len, MADV_REMOVE) ? errno : 0;
}

static int op_madvise_hit(struct world *w)
{
	return op_madvise(w, hit_at(w), PAGE);
}

static int op_madvise_miss(struct world *w)
{
	return op_madvise(w, 2 * w->unit, w->unit);
}

static int op_grow(struct world *w)
{
	return op_truncate(w, FILE_SIZE(w->unit) + w->unit);
}

static int op_allocate(struct world *w)
{
	return op_fallocate(w, 0, 0, FILE_SIZE(w->unit) + w->unit);
}

static int op_write(struct world *w)
{
	return pwrite(w->fd, "text", 4, hit_at(w)) == 4 ? 0 : errno;
}

static int op_append(struct world *w)
{
	return pwrite(w->fd, "text", 4, FILE_SIZE(w->unit)) == 4 ? 0 : errno;
}

static int op_fill_hole(struct world *w)
{
	return pwrite(w->fd, "text", 4, HOLE_AT(w)) == 4 ? 0 : errno;
}

static int op_store(struct world *w)
{
	w->memory[hit_at(w)] = 'x';
	return 0;
}

static int op_fsync(struct world *w)
{
	return fsync(w->fd) ? errno : 0;
}

#define EXT4_NONE(error) .ext4 = error
#define XFS_NONE(error) .xfs = error

static const struct op ops[] = {
	{ "truncate_hit", op_truncate_hit, HIT },
	{ "truncate_miss", op_truncate_miss, MISS },
	{ "truncate_path_to_nothing", op_truncate_path, HIT },
	{ "truncate_into_page", op_truncate_into, HIT },
	{ "truncate_to_same_size", op_truncate_same, NO_CHANGE },
	{ "open_trunc", op_open_trunc, HIT },
	{ "punch_hit", op_punch_hit, HIT },
	{ "punch_partly", op_punch_partly, HIT },
	{ "punch_one_byte", op_punch_byte, HIT },
	{ "punch_miss", op_punch_miss, MISS },
	{ "zero_hit", op_zero_hit, HIT },
	{ "zero_miss", op_zero_miss, MISS },
	{ "collapse_hit", op_collapse_hit, HIT },
	{ "collapse_miss", op_collapse_miss, MISS },
	{ "insert_hit", op_insert_hit, HIT },
	{ "insert_miss", op_insert_miss, MISS },
	{ "unshare_hit", op_unshare_hit, HIT, EXT4_NONE(EOPNOTSUPP) },
	{ "unshare_miss", op_unshare_miss, MISS, EXT4_NONE(EOPNOTSUPP) },
	{ "madvise_remove_hit", op_madvise_hit, HIT },
	{ "madvise_remove_miss", op_madvise_miss, MISS },
	{ "grow", op_grow, NO_CHANGE },
	{ "allocate", op_allocate, NO_CHANGE },
	{ "write", op_write, NO_CHANGE },
	{ "append", op_append, NO_CHANGE },
	{ "fill_hole", op_fill_hole, NO_CHANGE },
	{ "store", op_store, NO_CHANGE },
	{ "fsync", op_fsync, NO_CHANGE },
	{ "clone_from", op_clone_from, SHARE, EXT4_NONE(EOPNOTSUPP) },
	{ "clone_to", op_clone_to, SHARE, EXT4_NONE(EOPNOTSUPP) },
	{ "dedupe_from", op_dedupe_from, SHARE, EXT4_NONE(EOPNOTSUPP) },
	{ "dedupe_to", op_dedupe_to, SHARE, EXT4_NONE(EOPNOTSUPP) },
	{ "copy_from", op_copy_from, COPY },
	{ "copy_to", op_copy_to, COPY },
	{ "swap_extents", op_swap_extents, SHARE, EXT4_NONE(ENOTTY) },
	{ "move_extents", op_move_extents, SHARE, EXT4_NONE(EOPNOTSUPP),
	  XFS_NONE(ENOTTY) },
	{ "donate_extents", op_donate_extents, SHARE, EXT4_NONE(EOPNOTSUPP),
	  XFS_NONE(ENOTTY) },
	{ "swap_boot", op_swap_boot, SHARE, XFS_NONE(ENOTTY) },
};

static const struct state states[] = {
	/* name, how to get there, pins?, answers: hit, miss, share; signals */
	{ "no_lease", enter_nothing, 0, 0, 0, 0 },
	{ "breakable_of_another", enter_breakable_other, 0, 0, 0, 0, 1 },
	{ "breakable_own", enter_breakable_own, 0, 0, 0, 0 },
	{ "unbreak_of_another", enter_unbreak_other, 0,
	  ETXTBSY, ETXTBSY, ETXTBSY },
	{ "exclusive_of_another_pinned", enter_exclusive_other, 1,
	  ETXTBSY, ETXTBSY, ETXTBSY },
	{ "unbreak_own_unpinned", enter_unbreak_own, 0, 0, 0, ETXTBSY },
	{ "unbreak_own_pinned", enter_unbreak_own_pinned, 1,
	  ETXTBSY, 0, ETXTBSY },
	{ "exclusive_own_pinned", enter_exclusive_own_pinned, 1,
	  ETXTBSY, 0, ETXTBSY },
	{ "own_beside_anothers", enter_own_beside_other, 1,
	  ETXTBSY, ETXTBSY, ETXTBSY },
	{ "zombie_own", enter_zombie_own, 1, ETXTBSY, 0, ETXTBSY },
	{ "zombie_of_the_dead", enter_zombie_other, 1, ETXTBSY, 0, ETXTBSY },
	{ "taker_dead_but_open", enter_taker_dead, 1,
	  ETXTBSY, ETXTBSY, ETXTBSY },
};

static void run_table(const struct kind *kind)
{
	unsigned int s, o;
	char name[128];
	struct row row;
	bool ok;

	for (s = 0; s < ARRAY_SIZE(states); s++)
		for (o = 0; o < ARRAY_SIZE(ops); o++) {
			row = (struct row){ kind, &states[s], &ops[o] };
			ok = run_row(&row, name, sizeof(name));
			ksft_test_result(ok, "%s\n", name);
		}
}

int main(int argc, char **argv)
{
	const struct file_system *fs = file_systems;
	unsigned int i, nr = ARRAY_SIZE(file_systems);

	ksft_print_header();
	ksft_set_plan(nr * (2 * ARRAY_SIZE(states) * ARRAY_SIZE(ops) + 1));
	for (i = 0; i < nr; i++) {
		run_table(&(struct kind){ fs[i].name, false });
		run_table(&(struct kind){ fs[i].name, true });
	}
	/* Their checkers have nothing to say at the end. */
	for (i = 0; i < nr; i++)
		ksft_test_result(!fs_check(&fs[i], "/dev/null"),
				 "%s is consistent\n", fs[i].name);
	ksft_finished();
}
