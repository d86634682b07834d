// SPDX-License-Identifier: GPL-2.0
/*
 * One reference to each entry of the mapping is what a pin has, not one to
 * each page: the same entry may come in pieces, twice in one region, mapped by
 * small pages, and next to memory of other kinds.
 *
 * A reference too many would let the truncate at the end of a test wait for
 * ever. One too few makes the count negative, of which the next pin complains;
 * the machine counts pins and unpins as well.
 */
#include <infiniband/verbs.h>

#include "layout_pin_fixture.h"
#include "rdma_loop.h"

#define EXCLUSIVE	(F_LAYOUT | F_UNBREAK | F_EXCLUSIVE)
#define ACCESS		(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE)

static bool pages_kept(FIXTURE_DATA(layout) *self)
{
	long at;

	for (at = 0; at < UNITS * self->unit; at += self->unit) {
		if (fallocate(self->fd, FALLOC_FL_PUNCH_HOLE |
			      FALLOC_FL_KEEP_SIZE, at, PAGE) != -1 ||
		    errno != ETXTBSY)
			return false;
	}
	return true;
}

/* Pin, and again, so that a count that went wrong is seen; then truncate. */
static int pin_twice(FIXTURE_DATA(layout) *self, char *memory, long size)
{
	struct pin p;
	int i;

	for (i = 0; i < 2; i++) {
		p = pin(memory, size);
		unpin(p);
		if (p.error)
			return p.error;
	}
	return ftruncate(self->fd, 0) ? errno : 0;
}

/* The driver pins 512 pages at a time: each piece ends inside an entry. */
TEST_F(layout, region_that_starts_inside_an_entry)
{
	long skip = self->kind.huge ? 3 * PAGE : 0;
	struct rdma_loop loop = { };
	struct ibv_mr *mr;
	int i;

	ASSERT_EQ(0, loop_open_device(&loop));
	loop.pd = ibv_alloc_pd(loop.context);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	for (i = 0; i < 2; i++) {
		mr = ibv_reg_mr(loop.pd, self->memory + skip,
				UNITS * self->unit - 2 * skip, ACCESS);
		ASSERT_NE(NULL, mr);
		EXPECT_EQ(1, count_pins());
		EXPECT_TRUE(pages_kept(self));
		EXPECT_EQ(0, ibv_dereg_mr(mr));
	}
	EXPECT_EQ(0, ftruncate(self->fd, 0));
	loop_close(&loop);
}

/* The file's first unit, the second and the first again, as one region. */
TEST_F(layout, same_entry_twice_in_one_region)
{
	char *again = mmap(self->memory + 2 * self->unit, self->unit,
			   PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			   self->fd, 0);
	struct rdma_loop loop = { };
	struct ibv_mr *mr;
	int i;

	ASSERT_NE(MAP_FAILED, again);
	ASSERT_EQ(0, loop_open_device(&loop));
	loop.pd = ibv_alloc_pd(loop.context);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	for (i = 0; i < 2; i++) {
		mr = ibv_reg_mr(loop.pd, self->memory, 3 * self->unit, ACCESS);
		ASSERT_NE(NULL, mr);
		EXPECT_EQ(-1, ftruncate(self->fd, self->unit));
		EXPECT_EQ(0, ibv_dereg_mr(mr));
	}
	EXPECT_EQ(0, ftruncate(self->fd, 0));
	loop_close(&loop);
}

/* A mapping that is not congruent has small pages, of the same huge entries. */
TEST_F(layout, huge_entries_mapped_by_small_pages)
{
	char *area, *small;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	memset(self->memory, 1, UNITS * self->unit);
	area = mmap(NULL, (UNITS + 2) * HUGE, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	small = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1)) + 7 * PAGE;
	small = mmap(small, UNITS * self->unit, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, small);
	EXPECT_EQ(0, pin_twice(self, small, UNITS * self->unit));
	munmap(area, (UNITS + 2) * HUGE);
}

/* Both at once: each has references of its own. */
TEST_F(layout, huge_and_small_mappings_of_one_entry)
{
	char *small = mmap(NULL, UNITS * self->unit, PROT_READ | PROT_WRITE,
			   MAP_SHARED, self->fd, 0);
	struct pin first, second;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	memset(self->memory, 1, UNITS * self->unit);
	first = pin(self->memory, UNITS * self->unit);
	second = pin(small, self->unit);
	ASSERT_EQ(0, first.error ?: second.error);
	unpin(first);
	EXPECT_EQ(0, ftruncate(self->fd, self->unit));
	EXPECT_EQ(-1, ftruncate(self->fd, 0));
	unpin(second);
	EXPECT_EQ(0, ftruncate(self->fd, 0));
	munmap(small, UNITS * self->unit);
}

/* Some pages mapped, some not, some only for reading. */
TEST_F(layout, pages_that_are_not_mapped_yet)
{
	char *memory = self->memory;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	memory[self->unit] = 1;
	ASSERT_EQ(0, madvise(memory + 2 * self->unit, PAGE,
			     MADV_POPULATE_READ));
	EXPECT_EQ(0, pin_twice(self, self->memory, UNITS * self->unit));
}

/* A file of holes and small extents: the entries are of both sizes. */
TEST_F(layout, entries_of_both_sizes)
{
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, self->unit, self->unit));
	EXPECT_EQ(0, pin_twice(self, self->memory, UNITS * self->unit));
}

/* Memory before and behind that is not of the file is unpinned as ever. */
TEST_F(layout, between_anonymous_memory)
{
	long size = UNITS * self->unit;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_NE(MAP_FAILED, mmap(self->memory, self->unit,
				   PROT_READ | PROT_WRITE, MAP_PRIVATE |
				   MAP_FIXED | MAP_ANONYMOUS, -1, 0));
	ASSERT_NE(MAP_FAILED, mmap(self->memory + size - self->unit, self->unit,
				   PROT_READ | PROT_WRITE, MAP_PRIVATE |
				   MAP_FIXED | MAP_ANONYMOUS, -1, 0));
	EXPECT_EQ(0, pin_twice(self, self->memory, size));
}

TEST_HARNESS_MAIN
