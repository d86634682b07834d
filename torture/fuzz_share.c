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

static bool shares_blocks(const struct world *w)
{
	return kind_fs(&w->kind)->shares_blocks;
}

/* For ioctls that only XFS has, or only ext4. */
static bool on_xfs(const struct world *w)
{
	return kind_is(&w->kind, "xfs");
}

/* a: source, b: destination, x and y: where, z: length */
static void make_two(struct world *w, struct op *op)
{
	op->a = some_file(w, op->actor);
	op->b = some_file(w, op->actor);
	if (!rnd(w, 3))
		return;
	op->x = rnd(w, 10) ? file_offset(w) : wild(w);
	op->y = rnd(w, 10) ? file_offset(w) : wild(w);
	op->z = rnd(w, 10) ? file_offset(w) : wild(w);
}

struct two {
	struct ofd *from, *to;
	bool blocked;
};

/* Both descriptors, and whether the layout of either may change. */
static struct two two_files(struct world *w, const struct op *op,
			    struct answers *want)
{
	struct two two = { usable(w, op, op->a), usable(w, op, op->b) };

	if (!two.from || !two.to || !(two.from->mode & READS) ||
	    !(two.to->mode & WRITES))
		may(want, EBADF);
	return two;
}

static void share_two(struct world *w, const struct op *op, struct two *two,
		      struct answers *want)
{
	two->blocked = model_share(w, op->actor, two->from->file, want);
	two->blocked |= model_share(w, op->actor, two->to->file, want);
	if (two->blocked)
		want->ofds = 0;
}

/* Who could not take a lease makes nobody lose one by sharing blocks. */
static bool must_not_ask(const struct world *w, const struct op *op, int file)
{
	unsigned int uid = w->actor[op->actor].uid;
	struct answers share = { };

	return uid && uid != w->files[file].uid &&
		!model_share(w, op->actor, file, &share) && share.ofds;
}

static void share_blocks(struct world *w, const struct op *op, struct two *two,
			 struct answers *want)
{
	share_two(w, op, two, want);
	if (!two->blocked && (must_not_ask(w, op, two->from->file) ||
			      must_not_ask(w, op, two->to->file))) {
		may(want, ETXTBSY);
		two->blocked = true;
		want->ofds = 0;
	}
}

static void wrong_area(const struct op *op, struct answers *want)
{
	if (op->x < 0 || op->y < 0 || op->z < 0 ||
	    op->x > LONG_MAX - op->z || op->y > LONG_MAX - op->z)
		may(want, EINVAL);
}

static bool overlap(const struct two *two, unsigned long x, unsigned long y,
		    unsigned long len)
{
	return two->from->file == two->to->file && y + len > x && y < x + len;
}

/* What a clone takes: the length, or an errno below 0. */
static long clone_length(const struct world *w, const struct op *op,
			 const struct two *two)
{
	long size = w->files[two->from->file].size;
	long size_to = w->files[two->to->file].size;
	long len = op->z, covers;

	if (!len && op->x == size)
		return 0;
	if (op->x >= size || op->x % PAGE || op->y % PAGE)
		return -EINVAL;
	if (!len)
		len = size - op->x;
	if (op->y >= w->max_bytes)
		return -EFBIG;
	if (len > size - op->x || len > w->max_bytes - op->y)
		return -EINVAL;
	covers = op->x + len == size ? (len + PAGE - 1) & -PAGE : len;
	if (op->x + len != size && len % PAGE)
		return -EINVAL;
	if (overlap(two, op->x, op->y, covers))
		return -EINVAL;
	if (len % PAGE && op->y + len < size_to)
		return -EINVAL;
	return len;
}

static void predict_clone(struct world *w, const struct op *op,
			  struct answers *want)
{
	struct two two = two_files(w, op, want);
	long len;

	if (!shares_blocks(w))
		may(want, EOPNOTSUPP);
	wrong_area(op, want);
	if (want->nr)
		return;
	share_blocks(w, op, &two, want);
	len = clone_length(w, op, &two);
	if (len < 0)
		may(want, -len);
	else if (!len || !two.blocked)	/* of nothing: no block is shared */
		may(want, 0);
	if (len > 0 && !two.blocked)
		want->breaks = BREAKS_ALL;
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

static void apply_clone(struct world *w, const struct op *op, int got)
{
	struct two two = { usable(w, op, op->a), usable(w, op, op->b) };
	struct file *to;
	long len;

	if (got)
		return;
	len = clone_length(w, op, &two);
	if (!len)
		return;
	to = &w->files[two.to->file];
	if (op->y + len > to->size)
		to->size = op->y + len;
	to->sharing = SHARED;
	w->files[two.from->file].sharing = SHARED;
}

static void maybe_share(struct file *file)
{
	if (file->sharing == NOT_SHARED)
		file->sharing = MAYBE_SHARED;
}

#define DEDUPE_MOST	(1L << 30)

static void predict_dedupe(struct world *w, const struct op *op,
			   struct answers *want)
{
	struct two two = { usable(w, op, op->a), usable(w, op, op->b) };
	struct op cut = *op;

	if (!two.from || !two.to) {
		may(want, EBADF);
		if (two.from && op->z > w->files[two.from->file].size)
			may(want, EINVAL);
	}
	if (two.from && !(two.from->mode & READS))
		may(want, EINVAL);
	if (!shares_blocks(w))
		may(want, EOPNOTSUPP);
	/* No more than so much at once, before the second file is looked at. */
	if (cut.z > DEDUPE_MOST)
		cut.z = DEDUPE_MOST;
	wrong_area(&cut, want);
	if (two.from && op->x >= 0 && op->z >= 0 &&
	    (unsigned long)op->x + op->z >
	    (unsigned long)w->files[two.from->file].size)
		may(want, EINVAL);
	if (want->nr)
		return;
	if (!op->z) {
		may(want, 0);
		return;
	}
	if (op->z > 16 * w->unit)
		want->skip = true;
	share_blocks(w, op, &two, want);
	may(want, EINVAL);
	/* What is rounded down to nothing shares no block. */
	if (op->z < PAGE)
		may(want, 0);
	if (!two.blocked) {
		may(want, 0);
		may(want, VALUE + FILE_DEDUPE_RANGE_DIFFERS);
	}
}

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
	return args.info.status < 0 ? -args.info.status :
		args.info.status ? VALUE + args.info.status : 0;
}

static void apply_dedupe(struct world *w, const struct op *op, int got)
{
	if (got || !op->z)
		return;
	maybe_share(&w->files[usable(w, op, op->a)->file]);
	maybe_share(&w->files[usable(w, op, op->b)->file]);
}

static void make_copy(struct world *w, struct op *op)
{
	make_two(w, op);
	if (op->z > COPY_MOST)
		op->z = rnd(w, 2) ? COPY_MOST : wild(w);
}

static long copy_length(const struct world *w, const struct op *op,
			const struct two *two)
{
	long size = w->files[two->from->file].size;
	long len = op->x >= size ? 0 : size - op->x;

	return op->z < len ? op->z : len;
}

/* It falls back to copying where it must not share. */
static void predict_copy(struct world *w, const struct op *op,
			 struct answers *want)
{
	struct two two = two_files(w, op, want);
	long len;

	if (op->z < 0)		/* all of the file: that takes too long */
		want->skip = true;
	if (want->nr || want->skip)
		return;
	if (op->x < 0 || op->y < 0) {
		may(want, EINVAL);
		may(want, EOVERFLOW);
		return;
	}
	len = copy_length(w, op, &two);
	if (len && op->y >= w->max_bytes)
		may(want, EFBIG);
	if (overlap(&two, op->x, op->y, len))
		may(want, EINVAL);
	if (len > COPY_MOST || (!want->nr && len > w->max_bytes - op->y))
		want->skip = true;
	if (want->nr)
		return;
	may(want, 0);		/* and asks nobody */
}

static int run_copy(struct world *w, const struct op *op)
{
	loff_t in = op->x, out = op->y;

	w->learned = copy_file_range(fd_of(w, op, op->a), &in,
				     fd_of(w, op, op->b), &out, op->z, 0);
	return errno_of(w->learned);
}

static void apply_copy(struct world *w, const struct op *op, int got)
{
	struct two two = { usable(w, op, op->a), usable(w, op, op->b) };
	struct file *to;
	long len;

	if (got)
		return;
	len = copy_length(w, op, &two);
	if (w->learned > len || (len && w->learned <= 0))
		fail(w, WRONG_TABLE, "copied %ld of %ld bytes", w->learned, len);
	if (w->learned <= 0)
		return;
	to = &w->files[two.to->file];
	if (op->y + w->learned > to->size)
		to->size = op->y + w->learned;
	if (shares_blocks(w)) {
		maybe_share(to);
		maybe_share(&w->files[two.from->file]);
	}
}

/* It wants to be told all about the file, and goes for the whole of it. */
static void predict_swap(struct world *w, const struct op *op,
			 struct answers *want)
{
	struct two two = { usable(w, op, op->a), usable(w, op, op->b) };
	int both = READS | WRITES;

	if (!two.from)
		may(want, EBADF);
	else if (!on_xfs(w))
		may(want, ENOTTY);
	if (want->nr)
		return;
	if (!two.to)
		may(want, EINVAL);
	if ((two.from->mode & both) != both ||
	    (two.to && (two.to->mode & both) != both))
		may(want, EBADF);
	if (two.to && two.from->file == two.to->file)
		may(want, EINVAL);
	if (want->nr)
		return;
	share_two(w, op, &two, want);
	may(want, EFAULT);
	may(want, EINVAL);
	may(want, EBUSY);
	if (!two.blocked)
		may(want, 0);
}

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
	struct file *from, *to;

	if (got)
		return;
	from = &w->files[usable(w, op, op->a)->file];
	to = &w->files[usable(w, op, op->b)->file];
	if (from->sharing != to->sharing) {
		from->sharing = MAYBE_SHARED;
		to->sharing = MAYBE_SHARED;
	}
}

static void make_boot(struct world *w, struct op *op)
{
	op->a = some_file(w, op->actor);
}

static void predict_boot(struct world *w, const struct op *op,
			 struct answers *want)
{
	struct ofd *ofd = usable(w, op, op->a);
	bool blocked;

	if (!ofd || (!on_xfs(w) && !(ofd->mode & WRITES)))
		may(want, EBADF);
	else if (on_xfs(w))
		may(want, ENOTTY);
	if (want->nr)
		return;
	if (w->actor[op->actor].uid)
		may(want, EPERM);
	if (!w->files[ofd->file].named || w->files[ofd->file].odd)
		may(want, EINVAL);
	blocked = model_share(w, op->actor, ofd->file, want);
	if (want->nr && !(w->files[ofd->file].odd && want->nr == 1))
		return;
	/*
	 * Where it succeeds ext4 leaves extent blocks with the checksums of the
	 * other inode, on the stock kernel as well: the file would be lost.
	 */
	if (!blocked)
		want->skip = true;
}

static int run_boot(struct world *w, const struct op *op)
{
	return errno_of(ioctl(fd_of(w, op, op->a), EXT4_IOC_SWAP_BOOT));
}

const struct call share_calls[] = {
	{ "clone", 24, false, make_two, predict_clone, run_clone,
	  apply_clone },
	{ "dedupe", 12, false, make_two, predict_dedupe, run_dedupe,
	  apply_dedupe },
	{ "copy", 10, false, make_copy, predict_copy, run_copy, apply_copy },
	{ "swap", 10, false, make_two, predict_swap, run_swap, apply_swap },
	{ "boot", 6, false, make_boot, predict_boot, run_boot },
	{ }
};
