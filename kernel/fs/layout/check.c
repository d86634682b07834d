// SPDX-License-Identifier: GPL-2.0-only
/*
 * What file systems and the VFS ask before blocks of a file move: may the
 * blocks move, and which holders have to let go first.
 *
 * The answer is on the inode's list of leases and in its tree of records, both
 * under flc_lock, see internal.h. For an inode that never had a layout lease
 * the inline functions of linux/layout_pin.h answer with a load or two.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fcntl.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/layout_pin_compat.h>
#include <linux/layout_range.h>
#include <linux/layout_wait.h>
#include <linux/sched/signal.h>

#include "internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/layout_pin.h>

/* Does a live unbreakable lease stand against @caller, whatever the range? */
static bool layout_lease_stands(struct file_lock_context *ctx,
				struct pid *caller)
{
	struct file_lease *fl;

	list_for_each_entry(fl, &ctx->flc_lease, c.flc_list) {
		if (!(fl->c.flc_flags & FL_UNBREAK))
			continue;
		if (fl->fl_layout->holder != caller &&
		    layout_lease_live(fl->fl_layout))
			return true;
	}
	return false;
}

int __layout_pin_check(struct inode *inode, loff_t start, loff_t end)
{
	struct file_lock_context *ctx = locks_inode_context(inode);
	bool busy;

	if (start > end)
		return 0;
	spin_lock(&ctx->flc_lock);
	busy = layout_range_pinned(ctx->flc_layout, start >> PAGE_SHIFT,
				   end >> PAGE_SHIFT) ||
		layout_lease_stands(ctx, task_tgid(current));
	spin_unlock(&ctx->flc_lock);
	if (!busy)
		return 0;
	trace_change_refused(inode, start, end);
	return -ETXTBSY;
}
EXPORT_SYMBOL_GPL(__layout_pin_check);

/* Is there any pin or any live unbreakable lease, even the caller's own? */
static int layout_pin_check_all(struct inode *inode)
{
	struct file_lock_context *ctx = locks_inode_context(inode);
	bool busy;

	/* No holder is NULL: every live lease stands, even the caller's own. */
	spin_lock(&ctx->flc_lock);
	busy = layout_range_pinned(ctx->flc_layout, 0, ULONG_MAX) ||
		layout_lease_stands(ctx, NULL);
	spin_unlock(&ctx->flc_lock);
	if (!busy)
		return 0;
	trace_change_refused(inode, 0, LLONG_MAX);
	return -ETXTBSY;
}

bool __layout_in_use(struct inode *inode)
{
	struct file_lock_context *ctx = locks_inode_context(inode);
	struct file_lease *fl;
	bool busy;

	spin_lock(&ctx->flc_lock);
	busy = layout_range_pinned(ctx->flc_layout, 0, ULONG_MAX);
	list_for_each_entry(fl, &ctx->flc_lease, c.flc_list)
		busy |= layout_lease_user(&fl->c);
	spin_unlock(&ctx->flc_lock);
	return busy;
}
EXPORT_SYMBOL_GPL(__layout_in_use);

/**
 * layout_break_endless() - may a holder take as long as it likes to let go?
 * @inode: file whose holders were asked
 *
 * Return: true if lease-break-time was 0 when one of them was asked.
 */
bool layout_break_endless(struct inode *inode)
{
	struct file_lock_context *ctx = locks_inode_context(inode);
	struct file_lease *fl;
	bool endless = false;

	spin_lock(&ctx->flc_lock);
	list_for_each_entry(fl, &ctx->flc_lease, c.flc_list)
		endless |= layout_lease_user(&fl->c) &&
			!(fl->c.flc_flags & FL_UNBREAK) && !fl->fl_break_time;
	spin_unlock(&ctx->flc_lock);
	return endless;
}

static int layout_ask(struct inode *inode)
{
	int error = layout_break_leases(inode, false);

	return error == -EWOULDBLOCK ? layout_wait_lease(inode) : error;
}

int __layout_break(struct inode *inode, loff_t start, loff_t end)
{
	return __layout_pin_check(inode, start, end) ?: layout_ask(inode);
}
EXPORT_SYMBOL_GPL(__layout_break);

/* Is a part of the file that begins and ends with a unit of allocation? */
static bool layout_in_units(loff_t offset, loff_t len, u64 unit)
{
	return layout_unit_start(offset, unit) == offset &&
		layout_unit_start(len, unit) == len;
}

bool __layout_fallocate_fails(struct inode *inode, int mode, loff_t offset,
			      loff_t len, u64 unit)
{
	unsigned long limit = rlimit(RLIMIT_FSIZE);
	loff_t size;

	/* Direct I/O that is under way may move the end of the file. */
	inode_dio_wait(inode);
	size = i_size_read(inode);
	switch (mode & FALLOC_FL_MODE_MASK) {
	case FALLOC_FL_COLLAPSE_RANGE:
		return !layout_in_units(offset, len, unit) ||
			offset + len >= size;
	case FALLOC_FL_INSERT_RANGE:
		return !layout_in_units(offset, len, unit) || offset >= size ||
			inode->i_sb->s_maxbytes - size < len;
	case FALLOC_FL_ALLOCATE_RANGE:
		return false;
	default:
		/* What may write behind the end of the file. */
		return !(mode & FALLOC_FL_KEEP_SIZE) && offset + len > size &&
			limit != RLIM_INFINITY && offset + len > limit;
	}
}
EXPORT_SYMBOL_GPL(__layout_fallocate_fails);

/* Does another process hold a breakable lease? */
static bool layout_lease_of_others(struct inode *inode)
{
	struct file_lock_context *ctx = locks_inode_context(inode);
	struct file_lease *fl;
	bool found = false;

	spin_lock(&ctx->flc_lock);
	list_for_each_entry(fl, &ctx->flc_lease, c.flc_list)
		found |= layout_lease_user(&fl->c) && !layout_lease_own(fl);
	spin_unlock(&ctx->flc_lock);
	return found;
}

/* May this file share or exchange blocks? With @ask, holders can be asked. */
static int layout_share_check(struct inode *inode, bool ask)
{
	if (!layout_pin_inode(inode))
		return 0;
	return layout_pin_check_all(inode) ?:
		(!ask && layout_lease_of_others(inode) ? -ETXTBSY : 0);
}

/* Check both files before asking any holder, so that none is asked in vain. */
static int layout_share(struct inode *inode1, bool ask1,
			struct inode *inode2, bool ask2)
{
	int error = layout_share_check(inode1, ask1) ?:
		layout_share_check(inode2, ask2);

	if (!error && layout_pin_inode(inode1))
		error = layout_ask(inode1);
	if (!error && layout_pin_inode(inode2))
		error = layout_ask(inode2);
	return error;
}

int __layout_exchange_check(struct inode *inode1, struct inode *inode2)
{
	return layout_share_check(inode1, true) ?:
		layout_share_check(inode2, true);
}
EXPORT_SYMBOL_GPL(__layout_exchange_check);

int __layout_exchange(struct inode *inode1, struct inode *inode2)
{
	return layout_share(inode1, true, inode2, true);
}
EXPORT_SYMBOL_GPL(__layout_exchange);

/**
 * layout_may_lease() - could the caller take a layout lease on this file?
 * @idmap: of the mount by which he has the file
 * @inode: the file
 *
 * A stacked file system acts with the rights of its mounter, which are not the
 * caller's: look at his own. A server acts with the name of its client, but has
 * capabilities of its own: look at the name only. No audit, since there is
 * usually no lease and the capability is not used.
 */
bool layout_may_lease(struct mnt_idmap *idmap, struct inode *inode)
{
	vfsuid_t vfsuid = i_uid_into_vfsuid(idmap, inode);

	if (current->flags & PF_KTHREAD)
		return vfsuid_eq_kuid(vfsuid, current_fsuid());
	return vfsuid_eq_kuid(vfsuid, current_real_cred()->fsuid) ||
		has_ns_capability_noaudit(current, &init_user_ns, CAP_LEASE);
}

static bool layout_may_ask(struct file *filp)
{
	return layout_may_lease(file_mnt_idmap(filp), file_inode(filp));
}

int __layout_remap(struct file *file_in, struct file *file_out,
		   unsigned int remap_flags)
{
	bool ask = !(remap_flags & REMAP_FILE_CAN_SHORTEN) ||
		(remap_flags & REMAP_FILE_DEDUP);

	return layout_share(file_inode(file_in),
			    ask && layout_may_ask(file_in),
			    file_inode(file_out),
			    ask && layout_may_ask(file_out));
}

bool __layout_pin_covers(struct inode *inode, pgoff_t index, pgoff_t last)
{
	struct file_lock_context *ctx = locks_inode_context(inode);
	bool pinned;

	spin_lock(&ctx->flc_lock);
	pinned = layout_range_pinned(ctx->flc_layout, index, last);
	spin_unlock(&ctx->flc_lock);
	return pinned;
}
