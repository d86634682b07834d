// SPDX-License-Identifier: GPL-2.0-only
/*
 * Layout leases: the kinds that fcntl(2) can take, and which of them may stand
 * at once.
 *
 * A layout lease is an ordinary struct file_lease on the inode's list with
 * FL_LAYOUT and FL_LAYOUT_USER set, and not FL_LEASE: so opens and nfsd's
 * caches do not see it. Unbreakable leases have FL_UNBREAK, and sole ones
 * FL_EXCLUSIVE on top. A break of leases never touches those:
 * layout_pin_check() enforces them.
 *
 * flc_lock of the inode protects everything here, see internal.h.
 */
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/layout_pin_compat.h>
#include <linux/layout_wait.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "internal.h"

#include <trace/events/layout_pin.h>

#define LAYOUT_KIND_FLAGS	(FL_UNBREAK | FL_EXCLUSIVE)

/**
 * layout_lease_parse() - translate an argument of F_SETLEASE
 * @arg: as given by the caller
 * @rdlck: F_RDLCK, whose value is the architecture's own
 * @flags: where to put the FL_ flags
 *
 * F_RDLCK is accepted beside F_LAYOUT and means nothing; it is 0 on most
 * architectures. F_WRLCK is refused: it would be a second spelling of
 * F_EXCLUSIVE.
 *
 * Return: 0, or -EINVAL for unknown bits, F_WRLCK, F_UNLCK with a kind, or a
 *	kind without F_LAYOUT.
 */
int layout_lease_parse(int arg, int rdlck, unsigned int *flags)
{
	int type = arg & ~LAYOUT_ARG_BITS;

	if (!(arg & F_LAYOUT) || (type && type != rdlck))
		return -EINVAL;

	*flags = FL_LAYOUT | FL_LAYOUT_USER;
	if (arg & F_EXCLUSIVE)
		*flags |= FL_EXCLUSIVE | FL_UNBREAK;
	if (arg & F_UNBREAK)
		*flags |= FL_UNBREAK;
	return 0;
}

/**
 * layout_lease_init() - make a layout lease of a fresh lease
 * @fl: lease that nobody else sees yet
 * @arg: argument of F_SETLEASE
 *
 * Allocates all that the grant can need, since the grant runs under flc_lock.
 *
 * Context: may sleep.
 * Return: 0, -EINVAL as layout_lease_parse(), -ENOMEM.
 */
int layout_lease_init(struct file_lease *fl, int arg)
{
	struct layout_lease *lease;
	unsigned int flags;
	int error;

	error = layout_lease_parse(arg, F_RDLCK, &flags);
	if (error)
		return error;

	lease = kzalloc(sizeof(*lease), GFP_KERNEL_ACCOUNT);
	if (!lease)
		return -ENOMEM;
	lease->ctx = kzalloc(sizeof(*lease->ctx), GFP_KERNEL_ACCOUNT);
	if (!lease->ctx) {
		kfree(lease);
		return -ENOMEM;
	}
	lease->ctx->pins = RB_ROOT_CACHED;
	lease->ctx->links = RB_ROOT;
	lease->fl = fl;
	lease->holder = get_pid(task_tgid(current));
	fl->fl_layout = lease;
	fl->c.flc_flags = flags;
	return 0;
}

void __layout_lease_free(struct file_lease *fl)
{
	struct layout_lease *lease = fl->fl_layout;

	WARN_ON_ONCE(lease->nr_pins);
	put_pid(lease->holder);
	kfree(lease->ctx);
	kfree(lease);
}

bool __layout_lease_held(struct file *filp)
{
	struct file_lock_context *ctx = locks_inode_context(file_inode(filp));
	struct file_lease *fl;
	bool held = false;

	spin_lock(&ctx->flc_lock);
	list_for_each_entry(fl, &ctx->flc_lease, c.flc_list)
		held |= fl->c.flc_file == filp && layout_lease_user(&fl->c);
	spin_unlock(&ctx->flc_lock);
	return held;
}

/**
 * layout_ctx_free() - free what layout leases keep for an inode
 * @ctx: lock context of an inode that goes; it has no pin, since a pin holds
 *	the inode
 */
void layout_ctx_free(struct file_lock_context *ctx)
{
	if (!ctx->flc_layout)
		return;
	WARN_ON_ONCE(!RB_EMPTY_ROOT(&ctx->flc_layout->pins.rb_root));
	layout_links_free(ctx);
	kfree(ctx->flc_layout);
}

/**
 * layout_lease_live() - is the lease's open file still open?
 * @lease: an unbreakable lease
 *
 * The pins of a lease together hold one reference to its open file. If that is
 * the only one, nothing can reach the open file again: the lease is a zombie.
 * If a lease without pins has no reference, __fput() is about to remove it.
 *
 * Context: flc_lock held.
 */
bool layout_lease_live(const struct layout_lease *lease)
{
	return layout_file_refs(lease->fl->c.flc_file) >
		(lease->nr_pins ? 1 : 0);
}

/**
 * layout_lease_find() - the lease under which a process may pin
 * @inode: file
 * @holder: process
 *
 * Context: flc_lock held; the inode has a lock context.
 * Return: a live unbreakable lease of this process, or NULL.
 */
struct layout_lease *layout_lease_find(struct inode *inode, struct pid *holder)
{
	struct file_lock_context *ctx = locks_inode_context(inode);
	struct file_lease *fl;

	lockdep_assert_held(&ctx->flc_lock);
	list_for_each_entry(fl, &ctx->flc_lease, c.flc_list) {
		if (!(fl->c.flc_flags & FL_UNBREAK))
			continue;
		if (fl->fl_layout->holder == holder &&
		    layout_lease_live(fl->fl_layout))
			return fl->fl_layout;
	}
	return NULL;
}

/**
 * layout_lease_conflict() - do two leases exclude each other?
 * @held: FL_ flags of a lease that stands
 * @asked: FL_ flags of a lease asked for on another open file description
 *
 * Return: true if the second one is to be refused.
 */
bool layout_lease_conflict(unsigned int held, unsigned int asked)
{
	if (!(held & FL_LAYOUT) || !(asked & FL_LAYOUT))
		return false;		/* plain leases: fs/locks.c decides */
	if (!((held | asked) & FL_UNBREAK))
		return false;		/* breakable ones and nfsd's */
	if ((held | asked) & FL_EXCLUSIVE)
		return true;
	return !(held & asked & FL_LAYOUT_USER); /* nfsd beside unbreakable */
}

/*
 * If this open file has a layout lease already, store the requested kind in it:
 * layout_lease_change() applies it.
 */
int __layout_lease_grant(struct file_lock_context *ctx, struct file_lease *fl)
{
	struct file_lease *held, *mine = NULL;
	bool user = fl->c.flc_flags & FL_LAYOUT_USER;

	lockdep_assert_held(&ctx->flc_lock);
	list_for_each_entry(held, &ctx->flc_lease, c.flc_list) {
		if (held->c.flc_file == fl->c.flc_file &&
		    held->c.flc_owner == fl->c.flc_owner)
			mine = held;
	}
	if (mine && user != !!(mine->c.flc_flags & FL_LAYOUT_USER))
		return -EINVAL;
	/*
	 * This includes nfsd's leases: a break asks the holders that it finds
	 * when it begins, and would wait for a newcomer that nobody asks.
	 */
	if ((fl->c.flc_flags & FL_LAYOUT) &&
	    layout_wait_closed(file_inode(fl->c.flc_file)))
		return -EAGAIN;

	list_for_each_entry(held, &ctx->flc_lease, c.flc_list) {
		if (held != mine &&
		    layout_lease_conflict(held->c.flc_flags, fl->c.flc_flags))
			return -EAGAIN;
	}
	if (!user)
		return 0;
	if (mine) {
		mine->fl_layout->want = fl->c.flc_flags;
		return 0;
	}
	fl->fl_layout->flctx = ctx;
	if (!ctx->flc_layout) {
		/* Pairs with the lockless read in layout_pin_inode(). */
		smp_store_release(&ctx->flc_layout, fl->fl_layout->ctx);
		fl->fl_layout->ctx = NULL;
	}
	return 0;
}

static bool layout_kind_weaker(unsigned int want, unsigned int have)
{
	return (have & LAYOUT_KIND_FLAGS) & ~want;
}

static bool layout_holder_dead(struct pid *holder)
{
	struct task_struct *task;
	bool dead;

	rcu_read_lock();
	task = pid_task(holder, PIDTYPE_TGID);
	/* Dead even if nobody has waited for it yet. */
	dead = !task ||
		(READ_ONCE(task->exit_state) && thread_group_empty(task));
	rcu_read_unlock();
	return dead;
}

static void layout_lease_move(struct file_lease *fl, struct pid *to)
{
	struct layout_lease *lease = fl->fl_layout;
	struct pid *from = lease->holder;

	/* A break signals this process, unless F_SETOWN named another. */
	layout_file_move_owner(fl->c.flc_file, from, to);

	lease->holder = get_pid(to);
	put_pid(from);
	fl->c.flc_pid = pid_nr(to);
}

/**
 * layout_lease_change() - ->lm_change() of layout leases
 * @fl: lease on the list
 * @arg: F_UNLCK to drop it; anything else: apply the kind that
 *	layout_lease_grant() stored, for the calling process
 * @dispose: where a dropped lease goes
 *
 * Taking the lease again makes the caller the process that may pin. That fails
 * while another living process has pins: they would change hands behind its
 * back. To answer 0 and leave them would not do: the caller could not pin.
 *
 * Context: flc_lock held.
 * Return: 0, -EBUSY if there are pins and the lease would become weaker or
 *	another living process holds it, -EAGAIN if it is being broken.
 */
int layout_lease_change(struct file_lease *fl, int arg,
			struct list_head *dispose)
{
	struct layout_lease *lease = fl->fl_layout;
	struct pid *caller = task_tgid(current);

	if (arg == F_UNLCK) {
		if (lease->nr_pins)
			return -EBUSY;
		return lease_modify(fl, F_UNLCK, dispose);
	}

	if (fl->c.flc_flags & FL_UNLOCK_PENDING)
		return -EAGAIN;
	if (lease->nr_pins && layout_kind_weaker(lease->want, fl->c.flc_flags))
		return -EBUSY;
	if (lease->nr_pins && lease->holder != caller &&
	    !layout_holder_dead(lease->holder))
		return -EBUSY;

	fl->c.flc_flags &= ~LAYOUT_KIND_FLAGS;
	fl->c.flc_flags |= lease->want & LAYOUT_KIND_FLAGS;
	if (lease->holder != caller)
		layout_lease_move(fl, caller);
	return 0;
}

/**
 * layout_lease_break() - ->lm_break() of layout leases
 * @fl: lease on the list, breakable
 *
 * Context: flc_lock held.
 * Return: false: the lease stays until its holder lets go or time is up.
 */
bool layout_lease_break(struct file_lease *fl)
{
	trace_lease_break(file_inode(fl->c.flc_file), F_LAYOUT);
	kill_fasync(&fl->fl_fasync, SIGIO, POLL_MSG);
	return false;
}

/**
 * layout_lease_own() - ->lm_breaker_owns_lease() of layout leases
 * @fl: lease on the list
 *
 * Return: true if the running process holds it: no process breaks its own.
 */
bool layout_lease_own(struct file_lease *fl)
{
	return fl->fl_layout->holder == task_tgid(current);
}

/**
 * layout_lease_type() - what F_GETLEASE answers
 * @fl: a layout lease
 */
int layout_lease_type(const struct file_lease *fl)
{
	if (fl->c.flc_flags & FL_UNLOCK_PENDING)
		return F_UNLCK;
	if (fl->c.flc_flags & FL_EXCLUSIVE)
		return F_LAYOUT | F_EXCLUSIVE;
	if (fl->c.flc_flags & FL_UNBREAK)
		return F_LAYOUT | F_UNBREAK;
	return F_LAYOUT;
}

/**
 * layout_lease_pid() - number of the process that holds a lease
 * @fl: a layout lease
 * @ns: namespace of the reader
 *
 * Answers even for a dead process, whose number another one may have by now: a
 * lease that is left behind has to be seen.
 *
 * Context: flc_lock or file_rwsem held, so that the holder does not change.
 * Return: the number, or 0 if the namespace does not know the process.
 */
pid_t layout_lease_pid(struct file_lease *fl, struct pid_namespace *ns)
{
	return pid_nr_ns(fl->fl_layout->holder, ns);
}

/**
 * layout_lease_show() - the first columns of a line of /proc/locks
 * @m: the text
 * @fl: a layout lease
 *
 * Context: may run without flc_lock; the state is a snapshot.
 */
void layout_lease_show(struct seq_file *m, struct file_lease *fl)
{
	const char *state = "ACTIVE   ", *kind = "SHARED";

	if (fl->c.flc_flags & FL_UNLOCK_PENDING)
		state = "BREAKING ";
	else if (fl->fl_layout->nr_pins && !layout_lease_live(fl->fl_layout))
		state = "ZOMBIE   ";
	if (fl->c.flc_flags & FL_EXCLUSIVE)
		kind = "EXCL";
	else if (fl->c.flc_flags & FL_UNBREAK)
		kind = "UNBREAK";
	seq_printf(m, "LAYOUT %s %s ", state, kind);
}
