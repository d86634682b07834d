/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The machinery under the table of change.c: how a file gets into a state, how
 * one row is run and judged.
 */
#ifndef LAYOUT_PIN_CHANGE_H
#define LAYOUT_PIN_CHANGE_H

#include <sys/vfs.h>
#include "layout_pin_test.h"
#include "kselftest.h"

/* "At once", for a machine whose instructions are emulated. */
#define AT_ONCE		1.0
#ifndef SOON
/* Until the holder of a breakable lease was scheduled and let go. */
#define SOON		5.0
#endif

/* There is a hole behind the four units, and some more of the file. */
#define HOLE_AT(w)	((UNITS + 1) * (w)->unit)
#define FILE_SIZE(unit)	((UNITS + 3) * (unit))

/*
 * What an operation does: takes blocks away from the pinned range, or from
 * another one, or from none; or it shares or exchanges the blocks of the file
 * with another one, which no unbreakable lease allows. A copy shares if it may
 * and copies if not.
 */
enum answer { HIT, MISS, NO_CHANGE, SHARE, COPY };

struct outcome {	/* shared by the processes of a row */
	int failed_at;	/* line, when the state could not be had */
	int error;
	int answer;
	double took;
	int signals;
};

struct world {
	const struct kind *kind;
	long unit;
	char path[64];
	char other[64];		/* a second file of the same size */
	int other_fd;
	int fd;			/* what operations use */
	char *memory;		/* a mapping of that */
	int lease_fd;		/* what the states use */
	char *lease_memory;
	int owner;
	struct holder holder;
	struct outcome *out;
};

struct op {
	const char *name;
	int (*run)(struct world *w);
	enum answer answer;
	int ext4;		/* what ext4 answers in every state, or 0 */
	int xfs;		/* what XFS answers in every state, or 0 */
};

/* What a file system that has no such operation answers, or 0. */
static inline int op_is_missing(const struct op *op, const struct kind *kind)
{
	if (kind_is(kind, "ext4"))
		return op->ext4;
	return kind_is(kind, "xfs") ? op->xfs : 0;
}

struct state {
	const char *name;
	int (*enter)(struct world *w);
	int pins;
	int hit, miss, share;
	int signals;
};

struct row {
	const struct kind *kind;
	const struct state *state;
	const struct op *op;
};

int enter_nothing(struct world *w);
int enter_breakable_other(struct world *w);
int enter_breakable_own(struct world *w);
int enter_unbreak_other(struct world *w);
int enter_exclusive_other(struct world *w);
int enter_unbreak_own(struct world *w);
int enter_unbreak_own_pinned(struct world *w);
int enter_exclusive_own_pinned(struct world *w);
int enter_own_beside_other(struct world *w);
int enter_zombie_own(struct world *w);
int enter_zombie_other(struct world *w);
int enter_taker_dead(struct world *w);

int op_clone_from(struct world *w);
int op_clone_to(struct world *w);
int op_dedupe_from(struct world *w);
int op_dedupe_to(struct world *w);
int op_copy_from(struct world *w);
int op_copy_to(struct world *w);
int op_swap_extents(struct world *w);
int op_move_extents(struct world *w);
int op_donate_extents(struct world *w);
int op_swap_boot(struct world *w);

/* Neither counts: kselftest.h keeps its counters per source file. */
bool run_row(const struct row *row, char *name, size_t size);

#endif /* LAYOUT_PIN_CHANGE_H */
