/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file system that can exchange ranges of files, and the calls that share and
 * exchange them. Behind layout_pin_fixture.h, for XFS only.
 */
#ifndef LAYOUT_PIN_EXCHANGE_H
#define LAYOUT_PIN_EXCHANGE_H

#include <linux/fs.h>
#include "xfs_ioctl.h"

static inline int clone(int from, long at, long len, int to, long to_at)
{
	struct file_clone_range range = {
		.src_fd = from, .src_offset = at, .src_length = len,
		.dest_offset = to_at,
	};

	return ioctl(to, FICLONERANGE, &range) ? errno : 0;
}

/*
 * An errno, of the call or of the file, or what FILE_DEDUPE_RANGE_DIFFERS is.
 */
static inline int dedupe(int from, long at, long len, int to, long to_at)
{
	struct {
		struct file_dedupe_range range;
		struct file_dedupe_range_info info;
	} args = {
		.range = {
			.src_offset = at, .src_length = len, .dest_count = 1,
		},
		.info = { .dest_fd = to, .dest_offset = to_at },
	};

	if (ioctl(from, FIDEDUPERANGE, &args))
		return errno;
	return args.info.status < 0 ? -args.info.status : args.info.status;
}

/* With a feature that the distribution's mkfs cannot switch on. */
static inline int mount_with_exchange(FIXTURE_DATA(layout) *self)
{
	char command[256];

	snprintf(command, sizeof(command), "d=%s; "
		 "f=$(xfs_db -r -c 'sb 0' -c 'p features_incompat' $d) && "
		 "xfs_db -x -c 'sb 0' -c \"write -d features_incompat "
		 "$(printf '0x%%x' $((${f##*= } | 0x40)))\" $d >/dev/null",
		 kind_device(&self->kind));
	let_go(self);
	kind_make_anew_later(&self->kind);
	if (kind_umount(&self->kind) || kind_mkfs(&self->kind) ||
	    system(command) || kind_mount_with(&self->kind, "dax"))
		return -1;
	self->fd = make_file(self->path, self->unit);
	self->memory = map_file(self->fd, self->unit);
	return 0;
}

static inline int exchange_range(int b, struct exchange_range *args)
{
	return ioctl(b, IOC_EXCHANGE_RANGE, args) ? errno : 0;
}

static inline int exchange(int a, int b, long size)
{
	return exchange_range(b, &(struct exchange_range){
			.file1_fd = a, .length = size });
}

/* If nobody has changed @fresh since, which is to be @b. */
static inline int commit_if(int fresh, int a, int b, long size)
{
	struct commit_range args = { };

	if (ioctl(fresh, IOC_START_COMMIT, &args))
		return errno;
	args.range = (struct exchange_range){ .file1_fd = a, .length = size };
	return ioctl(b, IOC_COMMIT_RANGE, &args) ? errno : 0;
}

static inline int commit(int a, int b, long size)
{
	return commit_if(b, a, b, size);
}

#endif /* LAYOUT_PIN_EXCHANGE_H */
