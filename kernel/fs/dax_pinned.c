// SPDX-License-Identifier: GPL-2.0-only
/*
 * The references that long-term pins have to the entries of a DAX file.
 *
 * A pin under a layout lease has one reference to each entry of the mapping, on
 * the first page of it, and not one to each of the 512 pages that a large entry
 * has: see mm/vaddr_pin.c.
 *
 * No lock of ours. The record of a pinned range keeps its entries: locked or
 * not, dirty or not, they go on naming the same memory. So RCU is enough to
 * read them.
 */
#include <linux/dax.h>
#include <linux/layout_pin.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rcupdate_wait.h>
#include <linux/xarray.h>

/*
 * Call a function for each entry of a range, with its first page, until it says
 * no. Inline, so that each page of a small mapping does not cost an indirect
 * call. Return: the page offset at which the walk ended, or one behind @last.
 */
static __always_inline pgoff_t dax_walk_pinned(struct address_space *mapping,
					       pgoff_t first, pgoff_t last,
					       bool (*each)(struct page *page))
{
	XA_STATE(xas, &mapping->i_pages, first);
	pgoff_t end = last + 1;
	void *entry;

	rcu_read_lock();
	xas_for_each(&xas, entry, last) {
		if (xas_retry(&xas, entry))
			continue;
		if (!each(pfn_to_page(dax_to_pfn(entry)))) {
			end = xas.xa_index;
			break;
		}
		/*
		 * Not on into the siblings of an entry that is the last one.
		 * Large entries start at multiples of their size.
		 */
		if (IS_ALIGNED(xas.xa_index, 1UL << PMD_ORDER) &&
		    (xas.xa_index | ((1UL << dax_entry_order(entry)) - 1)) >=
		    last)
			break;
		if (need_resched()) {
			xas_pause(&xas);
			cond_resched_rcu();
		}
	}
	rcu_read_unlock();
	return end;
}

static __always_inline bool dax_unpin_entry(struct page *page)
{
	unpin_user_page(page);
	return true;
}

/**
 * dax_unpin_entries() - put references of a long-term pin
 * @mapping: of the file
 * @first: page offset in the first entry of the mapping
 * @last: page offset in the last one
 *
 * Context: may sleep. A record of the range stands.
 */
void dax_unpin_entries(struct address_space *mapping, pgoff_t first,
		       pgoff_t last)
{
	dax_walk_pinned(mapping, first, last, dax_unpin_entry);
}

/**
 * dax_pin_entries() - take references as a long-term pin of the range has
 * @mapping: of the file
 * @first: page offset in the first entry of the mapping
 * @last: page offset in the last one
 *
 * Context: may sleep. Two records of the range stand: one whose references
 *	these are to be, and one that has references already.
 * Return: 0, or -ENOMEM if a page has too many references; then none was taken.
 */
int dax_pin_entries(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	pgoff_t end = dax_walk_pinned(mapping, first, last, vaddr_pin_again);

	if (end > last)
		return 0;
	if (end > first)
		dax_unpin_entries(mapping, first, end - 1);
	return -ENOMEM;
}
