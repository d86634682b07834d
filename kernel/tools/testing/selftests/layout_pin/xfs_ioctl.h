/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What exchanges blocks on XFS. Where the distribution's headers are too old,
 * as in fs/xfs/libxfs/xfs_fs.h.
 */
#ifndef LAYOUT_PIN_XFS_IOCTL_H
#define LAYOUT_PIN_XFS_IOCTL_H

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/types.h>
#include <xfs/xfs.h>

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

/*
 * Arguments that are right as long as nobody changes the file at @fd, as
 * xfs_fsr has them. A @size of 0 is that of the file.
 */
static inline int swapping(int fd, int donor, long size,
			   struct xfs_swapext *args)
{
	struct stat st;

	if (fstat(fd, &st))
		return errno;
	*args = (struct xfs_swapext){
		.sx_version = XFS_SX_VERSION,
		.sx_fdtarget = fd,
		.sx_fdtmp = donor,
		.sx_length = size ?: st.st_size,
	};
	args->sx_stat.bs_ino = st.st_ino;
	args->sx_stat.bs_ctime.tv_sec = st.st_ctim.tv_sec;
	args->sx_stat.bs_ctime.tv_nsec = st.st_ctim.tv_nsec;
	args->sx_stat.bs_mtime.tv_sec = st.st_mtim.tv_sec;
	args->sx_stat.bs_mtime.tv_nsec = st.st_mtim.tv_nsec;
	return 0;
}

static inline int swap_extents(struct xfs_swapext *args)
{
	return ioctl(args->sx_fdtarget, XFS_IOC_SWAPEXT, args) ? errno : 0;
}

#endif /* LAYOUT_PIN_XFS_IOCTL_H */
