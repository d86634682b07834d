// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: ioctls that have nothing to say about the layout, with
 * arguments that nobody has thought of. They may answer anything but ETXTBSY,
 * and must not move a block.
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
} ioctls[] = {
	{ FS_IOC_GETFLAGS, RANDOM },
	{ FS_IOC_SETFLAGS, FLAGS },
	{ FS_IOC_FSGETXATTR, RANDOM },
	{ FS_IOC_FSSETXATTR, XATTR },
	{ FS_IOC_FIEMAP, MAP },
	{ FIGETBSZ, RANDOM },
	{ FIONREAD, RANDOM },
	{ FIBMAP, RANDOM },
	{ FIOASYNC, RANDOM },
	{ FIDEDUPERANGE, RANDOM },
	/* ext4: version, migrate, extents cache, delayed blocks, state */
	{ _IOR('v', 1, long), RANDOM },
	{ MIGRATE, RANDOM },
	{ _IO('f', 18), RANDOM },
	{ _IO('f', 40), RANDOM },
	{ _IO('f', 12), RANDOM },
	{ _IOW('f', 41, __u32), RANDOM },
	{ _IOWR('f', 42, struct fiemap), MAP },
	{ _IOW('f', 43, __u32), RANDOM },
	/* XFS: geometry, direct I/O, extents, blocks behind the end, inodes */
	{ _IOR('X', 126, char[256]), RANDOM },
	{ _IOR('X', 30, char[12]), RANDOM },
	{ _IOWR('X', 56, char[32]), BMAP },
	{ _IOR('X', 58, char[128]), RANDOM },
	{ _IOR('X', 58, char[128]), EOF_BLOCKS },
	{ _IOWR('X', 61, char[128]), RANDOM },
	{ _IOR('X', 127, char[64]), BULK },
	/* Nobody's. */
	{ _IO('Q', 1), RANDOM },
	{ _IOWR('z', 99, char[100]), RANDOM },
};

/* a: slot, b: which, c: kind of pointer, x: seed of the argument */
static void make_ioctl(struct world *w, struct op *op)
{
	make_fd(w, op);
	op->b = rnd(w, ARRAY_SIZE(ioctls));
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
	if (what == XATTR)
		fill_xattr((struct fsxattr *)buffer, seed);
	else if (what == EOF_BLOCKS)
		word[0] = 1;
	else
		fill_random(buffer, what == MAP ? sizeof(struct fiemap) : 256,
			    seed);
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

/* Flags out of a mapped file could be any. */
static void rule_ioctl(struct world *w, const struct op *op,
		       struct rule *rule)
{
	int fill = ioctls[op->b].fill;

	rule->skip = op->c == 3 && (fill == FLAGS || fill == XATTR);
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
	struct file *file = file_of(w, op, op->a);
	bool changes_flags = ioctls[op->b].fill == FLAGS ||
			     ioctls[op->b].request == MIGRATE;

	if (file && kind_is(&w->kind, "ext4") && changes_flags)
		file->odd = true;
	if (op->c == 3 && !w->actor[op->actor].cell[0][0].shared)
		w->actor[op->actor].cell[0][0].copied = true;
}

const struct call ioctl_calls[] = {
	{ "ioctl", 50, false, make_ioctl, rule_ioctl, run_ioctl, apply_ioctl },
	{ }
};
