// SPDX-License-Identifier: GPL-2.0
/*
 * The operations of change.c that share or exchange blocks between the file and
 * another one, in each direction. All are ioctls, and each answers an errno.
 */
#include <sys/syscall.h>
#include <linux/fs.h>
#include "change.h"
#include "ext4_ioctl.h"
#include "xfs_ioctl.h"

static int clone_range(int from, int to)
{
	return ioctl(to, FICLONE, from) ? errno : 0;
}

int op_clone_from(struct world *w)
{
	return clone_range(w->fd, w->other_fd);
}

int op_clone_to(struct world *w)
{
	return clone_range(w->other_fd, w->fd);
}

static int dedupe(int from, int to, long size)
{
	struct {
		struct file_dedupe_range range;
		struct file_dedupe_range_info info;
	} args = {
		.range = { .src_length = size, .dest_count = 1 },
		.info = { .dest_fd = to },
	};

	if (ioctl(from, FIDEDUPERANGE, &args))
		return errno;
	return args.info.status < 0 ? -args.info.status : args.info.status;
}

int op_dedupe_from(struct world *w)
{
	return dedupe(w->fd, w->other_fd, UNITS * w->unit);
}

int op_dedupe_to(struct world *w)
{
	return dedupe(w->other_fd, w->fd, UNITS * w->unit);
}

static int copy(int from, int to, long size)
{
	loff_t in = 0, out = 0;
	ssize_t done;

	while (out < size) {
		done = copy_file_range(from, &in, to, &out, size - out, 0);
		if (done <= 0)
			return done ? errno : ENODATA;
	}
	return 0;
}

int op_copy_from(struct world *w)
{
	return copy(w->fd, w->other_fd, 2 * w->unit);
}

int op_copy_to(struct world *w)
{
	return copy(w->other_fd, w->fd, 2 * w->unit);
}

/* Goes ahead only if nobody changed the file since it was looked at. */
int op_swap_extents(struct world *w)
{
	struct xfs_swapext args;

	return swapping(w->fd, w->other_fd, FILE_SIZE(w->unit), &args) ?:
		swap_extents(&args);
}

static int move(int orig, int donor)
{
	struct move_extent args = { .donor_fd = donor, .len = 1 };

	return ioctl(orig, EXT4_IOC_MOVE_EXT, &args) ? errno : 0;
}

int op_move_extents(struct world *w)
{
	return move(w->fd, w->other_fd);
}

int op_donate_extents(struct world *w)
{
	return move(w->other_fd, w->fd);
}

int op_swap_boot(struct world *w)
{
	return ioctl(w->fd, EXT4_IOC_SWAP_BOOT) ? errno : 0;
}
