/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What fs/locks.c calls of layout leases. On a file that never had one, plain
 * leases pay for the inline functions only. Locks: internal.h.
 */
#ifndef _FS_LAYOUT_LEASE_H
#define _FS_LAYOUT_LEASE_H

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/filelock.h>
#include <linux/layout_pin.h>
#include <linux/types.h>

struct file;
struct pid_namespace;
struct seq_file;

#ifdef CONFIG_LAYOUT_PIN

int layout_lease_init(struct file_lease *fl, int arg);
void __layout_lease_free(struct file_lease *fl);
bool __layout_lease_held(struct file *filp);
int __layout_lease_grant(struct file_lock_context *ctx, struct file_lease *fl);
int layout_lease_change(struct file_lease *fl, int arg,
			struct list_head *dispose);
bool layout_lease_break(struct file_lease *fl);
bool layout_lease_own(struct file_lease *fl);
int layout_lease_type(const struct file_lease *fl);
pid_t layout_lease_pid(struct file_lease *fl, struct pid_namespace *ns);
void layout_lease_show(struct seq_file *m, struct file_lease *fl);
void layout_ctx_free(struct file_lock_context *ctx);

/* Does a break by @breaker leave @lease alone though both are FL_LAYOUT? */
static inline bool layout_lease_ignores(const struct file_lock_core *lease,
					const struct file_lock_core *breaker)
{
	if (lease->flc_flags & FL_UNBREAK)
		return true;
	return (lease->flc_flags & FL_LAYOUT_USER) &&
		!(breaker->flc_flags & FL_LAYOUT_UNMAP);
}

static inline bool layout_lease_user(const struct file_lock_core *flc)
{
	return flc->flc_flags & FL_LAYOUT_USER;
}

/*
 * A layout lease of a process and a lease without FL_LAYOUT have nothing to do
 * with each other: a break of one does not keep the other away.
 */
static inline bool layout_lease_unrelated(const struct file_lock_core *a,
					  const struct file_lock_core *b)
{
	return (layout_lease_user(a) && !(b->flc_flags & FL_LAYOUT)) ||
		(layout_lease_user(b) && !(a->flc_flags & FL_LAYOUT));
}

#define LAYOUT_ARG_BITS		(F_LAYOUT | F_EXCLUSIVE | F_UNBREAK)

/* Does this argument of F_SETLEASE ask for a layout lease? */
static inline bool layout_lease_arg(int arg)
{
	return arg & LAYOUT_ARG_BITS;
}

/* Does this open file have a layout lease? */
static inline bool layout_lease_held(struct file *filp)
{
	return layout_pin_inode(file_inode(filp)) && __layout_lease_held(filp);
}

/* Undo layout_lease_init(). The lease is on no list. */
static inline void layout_lease_free(struct file_lease *fl)
{
	if (fl->fl_layout)
		__layout_lease_free(fl);
}

/**
 * layout_lease_grant() - may this lease be granted now?
 * @ctx: lock context of the inode
 * @fl: the requested lease, of any kind, not on the list yet
 *
 * Context: flc_lock held.
 * Return: 0, -EINVAL if the open file has a lease of the other family (plain or
 *	layout), -EAGAIN if another open file's lease stands against it, or
 *	while a change of the layout waits.
 */
static inline int layout_lease_grant(struct file_lock_context *ctx,
				     struct file_lease *fl)
{
	/* On a file that never had a layout lease, skip the search. */
	if (!layout_lease_user(&fl->c) && !ctx->flc_layout)
		return 0;
	return __layout_lease_grant(ctx, fl);
}

#else /* !CONFIG_LAYOUT_PIN */

static inline bool layout_lease_arg(int arg)
{
	return false;
}

static inline int layout_lease_init(struct file_lease *fl, int arg)
{
	return -EINVAL;
}

static inline void layout_lease_free(struct file_lease *fl)
{
}

static inline bool layout_lease_held(struct file *filp)
{
	return false;
}

static inline int layout_lease_grant(struct file_lock_context *ctx,
				     struct file_lease *fl)
{
	return 0;
}

static inline int layout_lease_change(struct file_lease *fl, int arg,
				      struct list_head *dispose)
{
	return -EINVAL;
}

static inline bool layout_lease_break(struct file_lease *fl)
{
	return false;
}

static inline bool layout_lease_own(struct file_lease *fl)
{
	return false;
}

static inline int layout_lease_type(const struct file_lease *fl)
{
	return fl->c.flc_type;
}

static inline pid_t layout_lease_pid(struct file_lease *fl,
				     struct pid_namespace *ns)
{
	return 0;
}

static inline void layout_lease_show(struct seq_file *m, struct file_lease *fl)
{
}

static inline void layout_ctx_free(struct file_lock_context *ctx)
{
}

static inline bool layout_lease_ignores(const struct file_lock_core *lease,
					const struct file_lock_core *breaker)
{
	return false;
}

static inline bool layout_lease_user(const struct file_lock_core *flc)
{
	return false;
}

static inline bool layout_lease_unrelated(const struct file_lock_core *a,
					  const struct file_lock_core *b)
{
	return false;
}

#endif /* CONFIG_LAYOUT_PIN */
#endif /* _FS_LAYOUT_LEASE_H */
