// SPDX-License-Identifier: GPL-2.0-only
/*
 * A walk through all records, by owner, file and offset: for the table in
 * debugfs, and for the log.
 *
 * A walk that has found a record holds the owner's lock and flc_lock of the
 * file. It drops them now and then, since a file may have a million records;
 * its user may drop them too. It keeps its place by the numbers of owner and
 * link, which are never used twice, and by the record. The record is still
 * there if the file's records did not change. If they did, the walk goes on at
 * its offset.
 */
#include <linux/fs.h>
#include <linux/sched.h>

#include "internal.h"

/* Records and files that a walk looks at before it drops the locks. */
#define LAYOUT_WALK_HELD	1024

static struct layout_pin *layout_walk_pin(struct rb_node *node)
{
	return node ? rb_entry(node, struct layout_pin, it.rb) : NULL;
}

static struct layout_ctx *layout_walk_ctx(const struct layout_walk *walk)
{
	return walk->link->flctx->flc_layout;
}

/* The first record that starts at this page or after it. */
static struct layout_pin *layout_walk_from(struct layout_ctx *lctx,
					   pgoff_t start)
{
	struct rb_node *node = lctx->pins.rb_root.rb_node;
	struct layout_pin *pin, *found = NULL;

	while (node) {
		pin = layout_walk_pin(node);
		if (pin->it.start >= start) {
			found = pin;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

/* The record that a reader noted, or the one that is in its place by now. */
static struct layout_pin *layout_walk_again(struct layout_walk *walk)
{
	struct layout_ctx *lctx = layout_walk_ctx(walk);
	unsigned long skip = walk->skip;
	struct layout_pin *pin;

	if (walk->pin && lctx->changes == walk->changes)
		return walk->pin;
	pin = layout_walk_from(lctx, walk->start);
	for (; pin && skip && pin->it.start == walk->start; skip--)
		pin = layout_walk_pin(rb_next(&pin->it.rb));
	if (pin && pin->it.start != walk->start) {
		walk->start = pin->it.start;
		walk->skip = 0;
	}
	return pin;
}

static void layout_walk_step(struct layout_walk *walk)
{
	struct layout_pin *pin = walk->pin;

	walk->pin = layout_walk_pin(rb_next(&pin->it.rb));
	if (!walk->pin || walk->pin->it.start != pin->it.start) {
		walk->start = pin->it.start + 1;
		walk->skip = 0;
	} else {
		walk->start = pin->it.start;
		walk->skip++;
	}
}

/*
 * The locks of a walk are held between calls, and the second one only at a
 * file. sparse cannot follow that: it is told that each of these changes
 * nothing.
 */
static void layout_walk_lock_link(struct layout_walk *walk)
{
	spin_lock(&walk->link->flctx->flc_lock);
	__release(&walk->link->flctx->flc_lock);
}

static void layout_walk_unlock_link(struct layout_walk *walk)
{
	__acquire(&walk->link->flctx->flc_lock);
	spin_unlock(&walk->link->flctx->flc_lock);
}

static void layout_walk_lock(struct layout_walk *walk)
{
	spin_lock(&walk->owner->lock);
	__release(&walk->owner->lock);
	walk->held = 0;
	if (walk->link) {
		/* A link that ended is off the tree: none has its number. */
		walk->link = layout_link_next(walk->owner, walk->number - 1);
		if (walk->link && walk->link->number != walk->number)
			walk->link = NULL;
	}
	if (walk->link) {
		layout_walk_lock_link(walk);
		walk->pin = layout_walk_again(walk);
	}
}

/**
 * layout_walk_unlock() - pause at a record
 * @walk: the walk, which has found one; go on with layout_walk_seek()
 */
void layout_walk_unlock(struct layout_walk *walk)
{
	if (walk->link) {
		walk->changes = layout_walk_ctx(walk)->changes;
		layout_walk_unlock_link(walk);
	}
	__acquire(&walk->owner->lock);
	spin_unlock(&walk->owner->lock);
}

/* Go on with the next file of the owner. False if there is none. */
static bool layout_walk_next_link(struct layout_walk *walk)
{
	if (walk->link)
		layout_walk_unlock_link(walk);
	do {
		walk->link = layout_link_next(walk->owner, walk->number);
		if (!walk->link)
			return false;
		walk->number = walk->link->number;
	} while (!READ_ONCE(walk->link->nr_pins));
	layout_walk_lock_link(walk);
	walk->start = 0;
	walk->skip = 0;
	walk->pin = layout_walk_from(layout_walk_ctx(walk), 0);
	return true;
}

/*
 * Find the next record of the owner. False if there is none, or, with *@more
 * set, if this walk has held the locks for long enough.
 */
static bool layout_walk_find(struct layout_walk *walk, bool *more)
{
	*more = false;
	while (walk->held++ < LAYOUT_WALK_HELD) {
		if (walk->link && walk->pin) {
			if (walk->pin->link == walk->link)
				return true;
			layout_walk_step(walk);
		} else if (!layout_walk_next_link(walk)) {
			return false;
		}
	}
	*more = true;
	return false;
}

/**
 * layout_walk_begin() - begin a walk, or begin it again
 * @walk: the walk, all zero at first; ends with layout_walk_end()
 */
void layout_walk_begin(struct layout_walk *walk)
{
	layout_walk_end(walk);
	walk->owner = layout_owner_next(0);
	walk->link = NULL;
	walk->number = 0;
}

/**
 * layout_walk_seek() - go to the record that is next
 * @walk: the walk; no locks held
 *
 * Context: may sleep.
 * Return: true with owner->lock and flc_lock of the record held, or false at
 *	the end.
 */
bool layout_walk_seek(struct layout_walk *walk)
{
	struct layout_owner *owner;
	bool more;

	while (walk->owner) {
		layout_walk_lock(walk);
		if (layout_walk_find(walk, &more))
			return true;
		layout_walk_unlock(walk);
		cond_resched();
		if (more)
			continue;
		owner = walk->owner;
		walk->owner = layout_owner_next(owner->number);
		walk->link = NULL;
		walk->number = 0;
		layout_owner_put(owner);
	}
	return false;
}

/**
 * layout_walk_next() - go to the record after this one
 * @walk: the walk, with the locks of a record held; drops them now and then
 *
 * Context: may sleep, once the locks are dropped.
 * Return: as layout_walk_seek().
 */
bool layout_walk_next(struct layout_walk *walk)
{
	bool more;

	layout_walk_step(walk);
	if (layout_walk_find(walk, &more))
		return true;
	layout_walk_unlock(walk);
	return layout_walk_seek(walk);
}

/**
 * layout_walk_end() - end a walk
 * @walk: the walk; no locks held
 */
void layout_walk_end(struct layout_walk *walk)
{
	if (walk->owner)
		layout_owner_put(walk->owner);
	walk->owner = NULL;
}
