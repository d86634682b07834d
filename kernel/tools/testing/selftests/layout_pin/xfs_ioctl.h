/* SPDX-License-Identifier: GPL-2.0 */
/* What exchanges blocks on XFS: of fs/xfs/libxfs/xfs_fs.h, newer than the distribution's. */
#ifndef LAYOUT_PIN_XFS_IOCTL_H
#define LAYOUT_PIN_XFS_IOCTL_H

#include <sys/ioctl.h>
#include <linux/types.h>

struct exchange_range {
	__s32 file1_fd;
	__u32 pad;
	__u64 file1_offset;
	__u64 file2_offset;
	__u64 length;
	__u64 flags;
};

struct commit_range {
	struct exchange_range range;
	__u64 file2_freshness[6];
};

#define EXCHANGE_RANGE_DRY_RUN	(1ULL << 2)

#define IOC_EXCHANGE_RANGE	_IOW('X', 129, struct exchange_range)
#define IOC_START_COMMIT	_IOR('X', 130, struct commit_range)
#define IOC_COMMIT_RANGE	_IOW('X', 131, struct commit_range)

#endif /* LAYOUT_PIN_XFS_IOCTL_H */
