// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: those that share, copy or exchange blocks between two files,
 * which may be one. While either has a pin or an unbreakable lease no block may
 * move, whatever the arguments.
 */
#include <linux/fs.h>
#include "ext4_ioctl.h"
#include "xfs_ioctl.h"
#include "fuzz.h"

#define COPY_MOST	(256L << 10)

/* a: source, b: destination, x and y: where, z: length */
static void make_two(struct world *w, struct op *op)
{
	op->a = some_file(w, op->actor);
	op->b = some_file(w, op->actor);
	if (!rnd(w, 3))
		return;
	op->x = some_offset(w);
	op->y = some_offset(w);
	op->z = some_offset(w);
}

static void maybe_share(struct file *file)
{
	if (file->sharing == NOT_SHARED)
		file->sharing = MAYBE_SHARED;
}

static void grown(struct world *w, const struct op *op, int slot)
{
	struct stat st;

	if (!fstat(fd_of(w, op, slot), &st))
		file_of(w, op, slot)->size = st.st_size;
}

typedef bool model_fn(const struct world *w, int actor, int file,
		      struct rule *rule);

/* Both files; one descriptor may be of no use, and then the call fails. */
static void rule_two(struct world *w, const struct op *op, model_fn *model,
		     struct rule *rule)
{
	struct ofd *from = usable(w, op, op->a), *to = usable(w, op, op->b);

	rule->fails = !from || !to;
	if (rule->fails)
		return;
	model(w, op->actor, from->file, rule);
	model(w, op->actor, to->file, rule);
}

static void rule_clone(struct world *w, const struct op *op,
		       struct rule *rule)
{
	struct ofd *from = usable(w, op, op->a), *to = usable(w, op, op->b);
	bool nothing = from && !op->z && op->x == w->files[from->file].size;

	rule_two(w, op, nothing ? model_nothing : model_share, rule);
	/* All of a file: it must end with a block, or replace an end. */
	rule->plain = from && to && shares_blocks(w) && (from->mode & READS) &&
		(to->mode & WRITES) && from->file != to->file &&
		!op->x && !op->y && !op->z &&
		w->files[from->file].size % PAGE == 0 &&
		w->files[from->file].size;
}

static int run_clone(struct world *w, const struct op *op)
{
	struct file_clone_range range = {
		.src_fd = fd_of(w, op, op->a), .src_offset = op->x,
		.dest_offset = op->y, .src_length = op->z,
	};
	int to = fd_of(w, op, op->b);

	if (!op->x && !op->y && !op->z)
		return errno_of(ioctl(to, FICLONE, fd_of(w, op, op->a)));
	return errno_of(ioctl(to, FICLONERANGE, &range));
}

/* Without a length it takes the rest of the file, which may be nothing. */
static void apply_clone(struct world *w, const struct op *op, int got)
{
	struct file *from = file_of(w, op, op->a);
	struct file *to = file_of(w, op, op->b);

	if (got || (!op->z && op->x == from->size))
		return;
	from->sharing = SHARED;
	to->sharing = SHARED;
	grown(w, op, op->b);
}

/* Less than a block is rounded down to nothing, unless both files end there. */
static bool rounds_to_nothing(struct world *w, const struct op *op)
{
	const struct file *from = file_of(w, op, op->a);
	const struct file *to = file_of(w, op, op->b);

	return op->z >= 0 && op->z < PAGE && from && to &&
		(op->x != from->size - op->z || op->y != to->size - op->z);
}

static void rule_dedupe(struct world *w, const struct op *op,
			struct rule *rule)
{
	rule->skip = op->z > 16 * w->unit;
	if (op->z)
		rule_two(w, op, rounds_to_nothing(w, op) ? model_nothing :
			 model_share, rule);
}

/* EINVAL stands for "they differ". */
static int run_dedupe(struct world *w, const struct op *op)
{
	struct {
		struct file_dedupe_range range;
		struct file_dedupe_range_info info;
	} args = {
		.range = { .src_offset = op->x, .src_length = op->z,
			   .dest_count = 1 },
		.info = { .dest_fd = fd_of(w, op, op->b),
			  .dest_offset = op->y },
	};

	if (ioctl(fd_of(w, op, op->a), FIDEDUPERANGE, &args))
		return errno;
	return args.info.status > 0 ? EINVAL : -args.info.status;
}

static void apply_dedupe(struct world *w, const struct op *op, int got)
{
	if (got || !op->z)
		return;
	maybe_share(file_of(w, op, op->a));
	maybe_share(file_of(w, op, op->b));
}

/* It copies where it must not share: no lease and no pin is in its way. */
static void make_copy(struct world *w, struct op *op)
{
	make_two(w, op);
	if (op->z < 0 || op->z > COPY_MOST)
		op->z = COPY_MOST;
}

static int run_copy(struct world *w, const struct op *op)
{
	loff_t in = op->x, out = op->y;

	return errno_of(copy_file_range(fd_of(w, op, op->a), &in,
					fd_of(w, op, op->b), &out, op->z, 0));
}

static void apply_copy(struct world *w, const struct op *op, int got)
{
	if (got)
		return;
	grown(w, op, op->b);
	if (shares_blocks(w)) {
		maybe_share(file_of(w, op, op->a));
		maybe_share(file_of(w, op, op->b));
	}
}

static void rule_exchange(struct world *w, const struct op *op,
			  struct rule *rule)
{
	rule_two(w, op, model_exchange, rule);
}

/* It wants to be told all about the file, and goes for the whole of it. */
static int run_swap(struct world *w, const struct op *op)
{
	struct xfs_swapext args;
	int error = swapping(fd_of(w, op, op->a), fd_of(w, op, op->b), op->z,
			     &args);

	if (error)
		return error;
	args.sx_offset = op->x;
	return swap_extents(&args);
}

static void apply_swap(struct world *w, const struct op *op, int got)
{
	if (got)
		return;
	if (file_of(w, op, op->a)->sharing == file_of(w, op, op->b)->sharing)
		return;
	file_of(w, op, op->a)->sharing = MAYBE_SHARED;
	file_of(w, op, op->b)->sharing = MAYBE_SHARED;
}

/*
 * Where it succeeds ext4 leaves extent blocks with the checksums of the other
 * inode, even on the stock kernel: the file would be lost.
 */
static void rule_boot(struct world *w, const struct op *op,
		      struct rule *rule)
{
	struct ofd *ofd = usable(w, op, op->a);

	rule->skip = !ofd || !model_exchange(w, op->actor, ofd->file, rule);
}

static int run_boot(struct world *w, const struct op *op)
{
	return errno_of(ioctl(fd_of(w, op, op->a), EXT4_IOC_SWAP_BOOT));
}

const struct call share_calls[] = {
	{ "clone", 24, false, make_two, rule_clone, run_clone, apply_clone },
	{ "dedupe", 12, false, make_two, rule_dedupe, run_dedupe,
	  apply_dedupe },
	{ "copy", 10, false, make_copy, NULL, run_copy, apply_copy },
	{ "swap", 10, false, make_two, rule_exchange, run_swap, apply_swap },
	{ "boot", 6, false, make_fd, rule_boot, run_boot },
	{ }
};
