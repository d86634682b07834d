/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of a file from which an operation takes blocks away.
 *
 * A file system waits for the users of only those pages, and asks
 * layout_pin_check() about only those. Pure functions, no locks: the caller
 * keeps the size of the file stable (i_rwsem).
 */
#ifndef _LINUX_LAYOUT_RANGE_H
#define _LINUX_LAYOUT_RANGE_H

#include <linux/falloc.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/types.h>

/* Round @pos down to its unit, which need not be a power of 2. */
static inline loff_t layout_unit_start(loff_t pos, u64 unit)
{
	u64 rem;

	div64_u64_rem(pos, unit, &rem);
	return pos - rem;
}

/**
 * layout_fallocate_range() - what a mode of fallocate(2) takes away
 * @mode: FALLOC_FL_ flags, checked by the caller
 * @offset: as given, in bytes
 * @len: as given, in bytes, not 0
 * @unit: what the file system allocates at a time, in bytes
 * @start: where to put the first byte
 * @end: where to put the last byte, LLONG_MAX for "to the end of the file"
 *
 * Rounds out to whole pages and units. A collapse or an insert moves all blocks
 * that come behind.
 *
 * Return: false if the mode takes nothing away (it allocates).
 */
static inline bool layout_fallocate_range(int mode, loff_t offset, loff_t len,
					  u64 unit, loff_t *start, loff_t *end)
{
	if ((mode & FALLOC_FL_MODE_MASK) == FALLOC_FL_ALLOCATE_RANGE)
		return false;

	unit = max_t(u64, unit, PAGE_SIZE);
	*start = layout_unit_start(offset, unit);
	*end = LLONG_MAX;
	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		return true;
	/* The caller checked that offset + len does not overflow. */
	if (offset + len - 1 <= LLONG_MAX - (loff_t)unit)
		*end = layout_unit_start(offset + len - 1, unit) + unit - 1;
	return true;
}

/**
 * layout_truncate_start() - what a new size takes away, to the end of the file
 * @old_size: in bytes
 * @new_size: in bytes
 * @unit: what the file system allocates at a time, in bytes
 * @start: where to put the first byte
 *
 * A lease covers the file up to its size. Blocks preallocated behind that are
 * nobody's, so to set the size that the file already has takes nothing away.
 *
 * Return: false if the file does not shrink, and so loses no block.
 */
static inline bool layout_truncate_start(loff_t old_size, loff_t new_size,
					 u64 unit, loff_t *start)
{
	if (new_size >= old_size)
		return false;
	*start = layout_unit_start(new_size, max_t(u64, unit, PAGE_SIZE));
	return true;
}

#endif /* _LINUX_LAYOUT_RANGE_H */
