// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: ioctls that have nothing to say about the layout, with
 * arguments that nobody has thought of. They must not move a block either.
 *
 * Left out are those that end the fun: freezing, shutting down or resizing the
 * file system, and making a file immutable or append-only.
 */
#include <linux/fiemap.h>
#include <linux/fs.h>
#include "fuzz.h"

#define ARGUMENT	4096		/* no argument is larger */
#define EXT4_EXTENTS	0x00080000

#define MIGRATE		_IO('f', 9)	/* of ext4 */
#define FORBIDDEN_FLAGS	(FS_IMMUTABLE_FL | FS_APPEND_FL)
#define FORBIDDEN_XFLAGS (FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND)

/* What the argument is filled with. */
enum { RANDOM, FLAGS, XATTR, MAP, BMAP, BULK, EOF_BLOCKS };

static const struct {
	unsigned long request;
	int fill;
	int answers[10];	/* 0 ends the list */
	bool may_succeed;
} ioctls[] = {
	{ FS_IOC_GETFLAGS, RANDOM, { }, true },
	{ FS_IOC_SETFLAGS, FLAGS, { EOPNOTSUPP, EINVAL, EPERM, EACCES, EBUSY },
	  true },
	{ FS_IOC_FSGETXATTR, RANDOM, { }, true },
	{ FS_IOC_FSSETXATTR, XATTR, { EOPNOTSUPP, EINVAL, EPERM, EACCES },
	  true },
	{ FS_IOC_FIEMAP, MAP, { EINVAL, EBADR, EFAULT, EOPNOTSUPP, EFBIG },
	  true },
	{ FIGETBSZ, RANDOM, { }, true },
	{ FIONREAD, RANDOM, { }, true },
	{ FIBMAP, RANDOM, { EINVAL, EPERM, EOPNOTSUPP, ERANGE, EFBIG }, true },
	{ FIOASYNC, RANDOM, { ENOTTY }, true },
	{ FIDEDUPERANGE, RANDOM, { EINVAL, ENOMEM, EOPNOTSUPP, EFAULT },
	  true },
	/* ext4: version, migrate, extents cache, delayed blocks, state */
	{ _IOR('v', 1, long), RANDOM, { ENOTTY }, true },
	{ MIGRATE, RANDOM, { ENOTTY, EACCES, EINVAL, EOPNOTSUPP }, true },
	{ _IO('f', 18), RANDOM, { ENOTTY, EINVAL }, true },
	{ _IO('f', 40), RANDOM, { ENOTTY, EACCES, EPERM }, true },
	{ _IO('f', 12), RANDOM, { ENOTTY, EACCES, EINVAL }, true },
	{ _IOW('f', 41, __u32), RANDOM, { ENOTTY }, true },
	{ _IOWR('f', 42, struct fiemap), MAP,
	  { ENOTTY, EINVAL, EBADR, EFAULT, EFBIG }, true },
	{ _IOW('f', 43, __u32), RANDOM,
	  { ENOTTY, EPERM, EINVAL, EOPNOTSUPP }, true },
	/* XFS: geometry, direct I/O, extents, blocks behind the end, inodes */
	{ _IOR('X', 126, char[256]), RANDOM, { ENOTTY }, true },
	{ _IOR('X', 30, char[12]), RANDOM, { ENOTTY }, true },
	{ _IOWR('X', 56, char[32]), BMAP,
	  { ENOTTY, EINVAL, ENOMEM, EFAULT, EPERM }, true },
	{ _IOR('X', 58, char[128]), RANDOM,
	  { ENOTTY, EINVAL, EPERM, EOPNOTSUPP }, false },
	{ _IOR('X', 58, char[128]), EOF_BLOCKS, { ENOTTY, EPERM }, true },
	{ _IOWR('X', 61, char[128]), RANDOM, { ENOTTY, EINVAL }, true },
	{ _IOR('X', 127, char[64]), BULK,
	  { ENOTTY, EINVAL, EPERM, EFAULT, ENOMEM }, true },
	/* Nobody's. */
	{ _IO('Q', 1), RANDOM, { ENOTTY }, false },
	{ _IOWR('z', 99, char[100]), RANDOM, { ENOTTY }, false },
};

#define IOCTLS	(sizeof(ioctls) / sizeof(*ioctls))

/* a: slot, b: which, c: kind of pointer, x: seed of the argument */
static void make_ioctl(struct world *w, struct op *op)
{
	op->a = some_file(w, op->actor);
	op->b = rnd(w, IOCTLS);
	op->c = rnd(w, 8) ? 0 : rnd(w, 4);
	op->x = rnd(w, LONG_MAX);
}

static unsigned long next(unsigned long *seed)
{
	*seed = *seed * 6364136223846793005UL + 1442695040888963407UL;
	return *seed >> 24;
}

static void fill_random(void *buffer, size_t size, unsigned long seed)
{
	unsigned char *byte = buffer;
	size_t i;

	for (i = 0; i < size; i++)
		byte[i] = next(&seed) & 7 ? next(&seed) : 0;
}

static void fill_xattr(struct fsxattr *attr, unsigned long seed)
{
	memset(attr, 0, sizeof(*attr));
	attr->fsx_xflags = next(&seed) & (next(&seed) | FS_XFLAG_DAX);
	attr->fsx_xflags &= ~FORBIDDEN_XFLAGS;
	attr->fsx_extsize = next(&seed) % 3 ? 0 : next(&seed);
	attr->fsx_cowextsize = next(&seed) % 3 ? 0 : next(&seed);
	attr->fsx_projid = next(&seed) % 3 ? 0 : next(&seed);
}

/* What tells how much is written back is bounded by the buffer. */
static void fill(char *buffer, int what, unsigned long seed)
{
	unsigned int *word = (unsigned int *)buffer;

	memset(buffer, 0, ARGUMENT);
	if (what == XATTR) {
		fill_xattr((struct fsxattr *)buffer, seed);
		return;
	}
	fill_random(buffer, what == MAP ? sizeof(struct fiemap) : 256, seed);
	if (what == FLAGS) {	/* few of them; mostly with extents */
		word[0] &= next(&seed) & ~FORBIDDEN_FLAGS;
		word[0] |= next(&seed) % 8 ? EXT4_EXTENTS : 0;
	} else if (what == MAP) {
		if (next(&seed) % 2)
			word[4] &= FIEMAP_FLAG_SYNC;
		word[6] %= 32;
	} else if (what == BMAP) {
		word[6] %= 32;
	} else if (what == BULK) {
		word[3] %= 16;
	} else if (what == EOF_BLOCKS) {
		memset(buffer, 0, 256);
		word[0] = 1;
	}
}

static void *pointer(const struct world *w, const struct op *op, char *buffer)
{
	switch (op->c) {
	case 1:
		return NULL;
	case 2:
		return (void *)(1UL << 63 | 4096);
	case 3:
		return cell_at(w, 0, 0);
	default:
		return buffer;
	}
}

static void predict_ioctl(struct world *w, const struct op *op,
			  struct answers *want)
{
	int i;

	if (op->b < 0 || op->b >= (int)IOCTLS)
		return;
	if (!usable(w, op, op->a)) {
		may(want, EBADF);
		return;
	}
	for (i = 0; ioctls[op->b].answers[i]; i++)
		may(want, ioctls[op->b].answers[i]);
	if (ioctls[op->b].may_succeed)
		may(want, 0);
	if (ioctls[op->b].fill == FLAGS || ioctls[op->b].fill == XATTR)
		want->skip = op->c == 3;	/* flags out of a file */
	/* What a file has in it is no version that XFS knows. */
	if (ioctls[op->b].fill == EOF_BLOCKS && op->c == 3)
		may(want, EINVAL);
	if (op->c)
		may(want, EFAULT);
}

static int run_ioctl(struct world *w, const struct op *op)
{
	static char buffer[ARGUMENT];

	fill(buffer, ioctls[op->b].fill, op->x);
	return errno_of(ioctl(fd_of(w, op, op->a), ioctls[op->b].request,
			      pointer(w, op, buffer)));
}

/* Flags of ext4 decide which modes of fallocate(2) there are. */
static void apply_ioctl(struct world *w, const struct op *op, int got)
{
	if (kind_is(&w->kind, "ext4") && got != EBADF && got != EFAULT &&
	    (ioctls[op->b].fill == FLAGS ||
	     ioctls[op->b].request == MIGRATE))
		w->files[usable(w, op, op->a)->file].odd = true;
}

/* x: a request without a meaning */
static void make_unknown(struct world *w, struct op *op)
{
	op->a = some_file(w, op->actor);
	op->x = rnd(w, UINT32_MAX);
	op->y = rnd(w, 2) ? (long)cell_at(w, 0, 0) : wild(w);
}

static bool has_meaning(unsigned int request)
{
	unsigned int type = request >> 8 & 0xff;

	return type == 'f' || type == 'X' || type == 'T' || type == 'v' ||
		type == 0 || type == 0x12 || type == 0x94 || type == 0x89 ||
		type == 'x' || type == 'E' || type == 'r' || type == 0x15;
}

static void predict_unknown(struct world *w, const struct op *op,
			    struct answers *want)
{
	if (has_meaning(op->x))
		want->skip = true;
	may(want, usable(w, op, op->a) ? ENOTTY : EBADF);
}

static int run_unknown(struct world *w, const struct op *op)
{
	return errno_of(ioctl(fd_of(w, op, op->a), (unsigned int)op->x, op->y));
}

const struct call ioctl_calls[] = {
	{ "ioctl", 50, false, make_ioctl, predict_ioctl, run_ioctl,
	  apply_ioctl },
	{ "unknown", 6, false, make_unknown, predict_unknown, run_unknown },
	{ }
};
