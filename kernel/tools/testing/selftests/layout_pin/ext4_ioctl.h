/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What exchanges blocks on ext4: of fs/ext4/ext4.h, of which user space has
 * none.
 */
#ifndef LAYOUT_PIN_EXT4_IOCTL_H
#define LAYOUT_PIN_EXT4_IOCTL_H

#include <sys/ioctl.h>
#include <linux/types.h>

struct move_extent {
	__u32 reserved;
	__u32 donor_fd;
	__u64 orig_start;
	__u64 donor_start;
	__u64 len;
	__u64 moved_len;
};

#define EXT4_IOC_MOVE_EXT	_IOWR('f', 15, struct move_extent)
#define EXT4_IOC_SWAP_BOOT	_IO('f', 17)

#endif /* LAYOUT_PIN_EXT4_IOCTL_H */
