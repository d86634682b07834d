// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of layout leases and pins: every encoding of F_SETLEASE's
 * argument, which leases may stand at once, the ranges that operations take
 * away, and records of pins against a bitmap. No test has a file; locks are the
 * test's own.
 */
#include <kunit/test.h>
#include <linux/dax.h>
#include <linux/fcntl.h>
#include <linux/filelock.h>
#include <linux/prandom.h>
#include <linux/sizes.h>

#include <linux/layout_wait.h>

#include "internal.h"

#define USER	(FL_LAYOUT | FL_LAYOUT_USER)

/* Values of the types of locks; alpha, sparc and parisc have their own. */
static const struct arch_types {
	const char *name;
	int rdlck, wrlck, unlck;
} arches[] = {
	{ "generic", 0, 1, 2 },
	{ "alpha", 1, 2, 8 },
	{ "sparc", 1, 2, 3 },
	{ "parisc", 1, 2, 3 },
};

static void parse_knows_every_encoding(struct kunit *test)
{
	const struct arch_types *arch;
	unsigned int flags, want;
	int arg, error;

	for (arch = arches; arch < arches + ARRAY_SIZE(arches); arch++)
		for (arg = 0; arg < 256; arg++) {
			int type = arg & ~(F_LAYOUT | F_EXCLUSIVE | F_UNBREAK);
			bool good = (arg & F_LAYOUT) &&
				(!type || type == arch->rdlck);

			error = layout_lease_parse(arg, arch->rdlck, &flags);
			KUNIT_EXPECT_EQ_MSG(test, error, good ? 0 : -EINVAL,
					    "%s: %d", arch->name, arg);
			if (error)
				continue;
			want = USER;
			if (arg & F_EXCLUSIVE)
				want |= FL_EXCLUSIVE | FL_UNBREAK;
			if (arg & F_UNBREAK)
				want |= FL_UNBREAK;
			KUNIT_EXPECT_EQ_MSG(test, flags, want, "%s: %d",
					    arch->name, arg);
		}
}

static void parse_refuses_write_and_unlock(struct kunit *test)
{
	const struct arch_types *arch;
	unsigned int flags;

	for (arch = arches; arch < arches + ARRAY_SIZE(arches); arch++) {
		const int bad[] = {
			F_LAYOUT | arch->wrlck, F_LAYOUT | arch->unlck,
			F_LAYOUT | F_EXCLUSIVE | arch->wrlck,
			F_LAYOUT | F_UNBREAK | arch->unlck,
			F_LAYOUT | (1 << 30), -1,
		};
		int i;

		for (i = 0; i < ARRAY_SIZE(bad); i++)
			KUNIT_EXPECT_EQ_MSG(test, -EINVAL,
					    layout_lease_parse(bad[i],
							       arch->rdlck,
							       &flags),
					    "%s: %#x", arch->name, bad[i]);
	}
}

/* The bits mean nothing else to F_SETLEASE anywhere. */
static void bits_are_free_on_every_architecture(struct kunit *test)
{
	const struct arch_types *arch;

	for (arch = arches; arch < arches + ARRAY_SIZE(arches); arch++)
		KUNIT_EXPECT_EQ(test, 0,
				(F_LAYOUT | F_EXCLUSIVE | F_UNBREAK) &
				(arch->rdlck | arch->wrlck | arch->unlck));
}

static void grant_matrix_is_the_contract(struct kunit *test)
{
	/* Plain, nfsd's layout, F_LAYOUT, F_UNBREAK, F_EXCLUSIVE */
	static const unsigned int kinds[] = {
		FL_LEASE, FL_LAYOUT, USER, USER | FL_UNBREAK,
		USER | FL_UNBREAK | FL_EXCLUSIVE,
	};
	static const bool refused[5][5] = {
		{ 0, 0, 0, 0, 0 },
		{ 0, 0, 0, 1, 1 },
		{ 0, 0, 0, 0, 1 },
		{ 0, 1, 0, 0, 1 },
		{ 0, 1, 1, 1, 1 },
	};
	int held, asked;

	for (held = 0; held < 5; held++)
		for (asked = 0; asked < 5; asked++)
			KUNIT_EXPECT_EQ_MSG(test, refused[held][asked],
					    layout_lease_conflict(kinds[held],
								  kinds[asked]),
					    "held %d asked %d", held, asked);
}

static void break_leaves_alone_what_it_should(struct kunit *test)
{
	struct file_lock_core nfsd = { .flc_flags = FL_LAYOUT };
	struct file_lock_core shared = { .flc_flags = USER };
	struct file_lock_core unbreak = { .flc_flags = USER | FL_UNBREAK };
	struct file_lock_core write = { .flc_flags = FL_LAYOUT };
	struct file_lock_core unmap = {
		.flc_flags = FL_LAYOUT | FL_LAYOUT_UNMAP,
	};

	KUNIT_EXPECT_FALSE(test, layout_lease_ignores(&nfsd, &write));
	KUNIT_EXPECT_FALSE(test, layout_lease_ignores(&nfsd, &unmap));
	KUNIT_EXPECT_TRUE(test, layout_lease_ignores(&shared, &write));
	KUNIT_EXPECT_FALSE(test, layout_lease_ignores(&shared, &unmap));
	KUNIT_EXPECT_TRUE(test, layout_lease_ignores(&unbreak, &write));
	KUNIT_EXPECT_TRUE(test, layout_lease_ignores(&unbreak, &unmap));
}

static void being_broken_keeps_layout_leases_away(struct kunit *test)
{
	struct file_lock_core plain = { .flc_flags = FL_LEASE };
	struct file_lock_core nfsd = { .flc_flags = FL_LAYOUT };
	struct file_lock_core ours = { .flc_flags = USER };

	KUNIT_EXPECT_TRUE(test, layout_lease_unrelated(&plain, &ours));
	KUNIT_EXPECT_TRUE(test, layout_lease_unrelated(&ours, &plain));
	KUNIT_EXPECT_FALSE(test, layout_lease_unrelated(&nfsd, &ours));
	KUNIT_EXPECT_FALSE(test, layout_lease_unrelated(&ours, &nfsd));
	KUNIT_EXPECT_FALSE(test, layout_lease_unrelated(&ours, &ours));
	/* Unchanged by layout leases of processes. */
	KUNIT_EXPECT_FALSE(test, layout_lease_unrelated(&plain, &nfsd));
	KUNIT_EXPECT_FALSE(test, layout_lease_unrelated(&nfsd, &plain));
}

/* A change that waits keeps nfsd's layouts out: nobody would recall them. */
static void waiting_change_keeps_layout_leases_away(struct kunit *test)
{
	static const unsigned int kinds[] = {
		FL_LAYOUT, USER, USER | FL_UNBREAK,
		USER | FL_UNBREAK | FL_EXCLUSIVE,
	};
	struct layout_ctx lctx = { };
	struct file_lock_context flctx = { .flc_layout = &lctx };
	struct file_lease *fl = kunit_kzalloc(test, sizeof(*fl), GFP_KERNEL);
	struct file *file = kunit_kzalloc(test, sizeof(*file), GFP_KERNEL);
	struct inode *inode = kunit_kzalloc(test, sizeof(*inode), GFP_KERNEL);
	struct layout_wait wait;
	int error = -EAGAIN;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, fl);
	KUNIT_ASSERT_NOT_NULL(test, file);
	KUNIT_ASSERT_NOT_NULL(test, inode);
	atomic_set(&inode->i_count, 2);
	file->f_inode = inode;
	fl->c.flc_file = file;
	spin_lock_init(&flctx.flc_lock);
	INIT_LIST_HEAD(&flctx.flc_lease);

	layout_wait_begin(&wait, false);
	KUNIT_EXPECT_EQ(test, layout_wait_lease(inode), -EAGAIN);
	layout_wait_close(&wait, inode);
	spin_lock(&flctx.flc_lock);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		fl->c.flc_flags = kinds[i];
		KUNIT_EXPECT_EQ(test, layout_lease_grant(&flctx, fl), -EAGAIN);
	}
	fl->c.flc_flags = FL_LEASE;
	KUNIT_EXPECT_EQ(test, layout_lease_grant(&flctx, fl), 0);
	spin_unlock(&flctx.flc_lock);

	/* A call that succeeds after all does not wait. */
	error = 0;
	KUNIT_EXPECT_FALSE(test, layout_wait_again(&wait, &error));
	KUNIT_EXPECT_EQ(test, error, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&inode->i_count), 2);
	spin_lock(&flctx.flc_lock);
	fl->c.flc_flags = FL_LAYOUT;
	KUNIT_EXPECT_EQ(test, layout_lease_grant(&flctx, fl), 0);
	spin_unlock(&flctx.flc_lock);
}

static void only_the_outermost_call_waits(struct kunit *test)
{
	struct inode *inode = kunit_kzalloc(test, sizeof(*inode), GFP_KERNEL);
	struct layout_wait outer, inner;
	int error;

	KUNIT_ASSERT_NOT_NULL(test, inode);
	atomic_set(&inode->i_count, 2);
	layout_wait_begin(&outer, true);
	layout_wait_begin(&inner, false);
	error = layout_wait_lease(inode);
	KUNIT_EXPECT_EQ(test, error, -EAGAIN);
	KUNIT_EXPECT_FALSE(test, layout_wait_again(&inner, &error));
	KUNIT_EXPECT_EQ(test, error, -EAGAIN);
	KUNIT_EXPECT_PTR_EQ(test, current->layout_wait, &outer);
	/* The outer call was told not to wait. */
	KUNIT_EXPECT_FALSE(test, layout_wait_again(&outer, &error));
	KUNIT_EXPECT_EQ(test, error, -EAGAIN);
	KUNIT_EXPECT_NULL(test, current->layout_wait);
	KUNIT_EXPECT_EQ(test, atomic_read(&inode->i_count), 2);
}

static void an_eagain_of_somebody_else_stands(struct kunit *test)
{
	struct layout_wait wait;
	int error = -EAGAIN;

	layout_wait_begin(&wait, false);
	KUNIT_EXPECT_FALSE(test, layout_wait_again(&wait, &error));
	KUNIT_EXPECT_EQ(test, error, -EAGAIN);
	KUNIT_EXPECT_NULL(test, current->layout_wait);
}

/*
 * Records against a bitmap: add, trim and drop records at random, and expect
 * pins exactly where a count for each page says so.
 */
#define ORACLE_PAGES	2048
#define ORACLE_RECORDS	64
#define ORACLE_STEPS	4000

struct record_oracle {
	struct file_lock_context flctx;
	struct layout_ctx lctx;
	struct layout_lease lease;
	struct layout_pin pins[ORACLE_RECORDS];
	bool used[ORACLE_RECORDS];
	u8 count[ORACLE_PAGES];
	struct rnd_state rnd;
};

static void oracle_count(struct record_oracle *oracle, struct layout_pin *pin,
			 int by)
{
	pgoff_t page;

	for (page = pin->it.start; page <= pin->it.last; page++)
		oracle->count[page] += by;
}

/* Round out, then trim, as layout_pin_add() and layout_pin_commit() do. */
static void oracle_add(struct record_oracle *oracle, struct layout_pin *pin)
{
	pgoff_t first = prandom_u32_state(&oracle->rnd) % ORACLE_PAGES;
	pgoff_t last = min_t(pgoff_t, ORACLE_PAGES - 1,
			     first + prandom_u32_state(&oracle->rnd) % 700);
	bool huge = prandom_u32_state(&oracle->rnd) % 2;
	unsigned int order = huge ? PMD_ORDER : 0;

	pin->lease = &oracle->lease;
	pin->it.start = layout_round_down(first, PMD_ORDER);
	pin->it.last = layout_round_up(last, PMD_ORDER);
	interval_tree_insert(&pin->it, &oracle->lctx.pins);
	layout_pin_resize(pin, layout_round_down(first, order),
			  layout_round_up(last, order));
	oracle_count(oracle, pin, 1);
}

static bool oracle_pinned(struct record_oracle *oracle, pgoff_t first,
			  pgoff_t last)
{
	for (; first <= last; first++)
		if (oracle->count[first])
			return true;
	return false;
}

static void oracle_step(struct kunit *test, struct record_oracle *oracle)
{
	int i = prandom_u32_state(&oracle->rnd) % ORACLE_RECORDS;
	pgoff_t first = prandom_u32_state(&oracle->rnd) % ORACLE_PAGES;
	pgoff_t last = first + prandom_u32_state(&oracle->rnd) %
		(ORACLE_PAGES - first);

	spin_lock(&oracle->flctx.flc_lock);
	if (oracle->used[i]) {
		oracle_count(oracle, &oracle->pins[i], -1);
		interval_tree_remove(&oracle->pins[i].it, &oracle->lctx.pins);
	} else {
		oracle_add(oracle, &oracle->pins[i]);
	}
	oracle->used[i] = !oracle->used[i];
	spin_unlock(&oracle->flctx.flc_lock);

	KUNIT_EXPECT_EQ_MSG(test, oracle_pinned(oracle, first, last),
			    layout_range_pinned(&oracle->lctx, first, last),
			    "pages %lu to %lu", first, last);
	KUNIT_EXPECT_EQ_MSG(test, oracle_pinned(oracle, first, first),
			    layout_range_pinned(&oracle->lctx, first, first),
			    "page %lu", first);
}

static void records_are_what_a_bitmap_says(struct kunit *test)
{
	struct record_oracle *oracle = kunit_kzalloc(test, sizeof(*oracle),
						     GFP_KERNEL);
	int step;

	KUNIT_ASSERT_NOT_NULL(test, oracle);
	spin_lock_init(&oracle->flctx.flc_lock);
	oracle->lctx.pins = RB_ROOT_CACHED;
	oracle->flctx.flc_layout = &oracle->lctx;
	oracle->lease.flctx = &oracle->flctx;
	prandom_seed_state(&oracle->rnd, 612);
	for (step = 0; step < ORACLE_STEPS; step++)
		oracle_step(test, oracle);
}

/* What each mode of fallocate takes away, computed from units. */
static void fallocate_expect(struct kunit *test, int mode, loff_t offset,
			     loff_t len, u64 alloc_unit, bool rest)
{
	u64 unit = max_t(u64, alloc_unit, PAGE_SIZE);
	u64 first = div64_u64(offset, unit);
	u64 last = div64_u64(offset + len - 1, unit);
	loff_t start, end;

	KUNIT_EXPECT_TRUE(test, layout_fallocate_range(mode, offset, len,
						       alloc_unit, &start,
						       &end));
	KUNIT_EXPECT_EQ(test, start, (loff_t)(first * unit));
	KUNIT_EXPECT_EQ(test, end, rest ? LLONG_MAX :
			(loff_t)((last + 1) * unit - 1));
}

static void fallocate_ranges_cover_what_moves(struct kunit *test)
{
	static const u64 units[] = { 512, 4096, 12288, 65536, SZ_2M };
	static const int modes[] = {
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_UNSHARE_RANGE, FALLOC_FL_COLLAPSE_RANGE,
		FALLOC_FL_INSERT_RANGE,
	};
	struct rnd_state rnd;
	loff_t start, end;
	int i, u, m;

	prandom_seed_state(&rnd, 612);
	for (i = 0; i < 1000; i++) {
		loff_t offset = prandom_u32_state(&rnd);
		loff_t len = 1 + prandom_u32_state(&rnd) % SZ_8M;

		for (u = 0; u < ARRAY_SIZE(units); u++)
			for (m = 0; m < ARRAY_SIZE(modes); m++)
				fallocate_expect(test, modes[m], offset, len,
						 units[u], m >= 4);
	}
	KUNIT_EXPECT_FALSE(test, layout_fallocate_range(0, 0, 1, SZ_4K, &start,
							&end));
	KUNIT_EXPECT_FALSE(test, layout_fallocate_range(FALLOC_FL_KEEP_SIZE, 0,
							1, SZ_4K, &start,
							&end));
	/* Where rounding up would overflow, the range ends with the file. */
	KUNIT_EXPECT_TRUE(test, layout_fallocate_range(modes[0], 0, LLONG_MAX,
						       SZ_2M, &start, &end));
	KUNIT_EXPECT_EQ(test, end, LLONG_MAX);
}

static void truncate_ranges_cover_what_is_freed(struct kunit *test)
{
	loff_t start;

	KUNIT_EXPECT_FALSE(test, layout_truncate_start(4096, 4097, SZ_4K,
						       &start));
	KUNIT_EXPECT_FALSE(test, layout_truncate_start(0, 1, SZ_4K, &start));
	/* The same size: blocks preallocated behind it are nobody's. */
	KUNIT_EXPECT_FALSE(test, layout_truncate_start(4097, 4097, SZ_4K,
						       &start));
	KUNIT_EXPECT_FALSE(test, layout_truncate_start(SZ_8K, SZ_8K, SZ_2M,
						       &start));
	KUNIT_EXPECT_FALSE(test, layout_truncate_start(0, 0, SZ_4K, &start));
	/* Smaller: the page, or the unit, that has the new end goes as well. */
	KUNIT_EXPECT_TRUE(test, layout_truncate_start(2 * PAGE_SIZE,
						      PAGE_SIZE + 1, SZ_4K,
						      &start));
	KUNIT_EXPECT_EQ(test, start, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, layout_truncate_start(SZ_8M, SZ_2M + 1, SZ_2M,
						      &start));
	KUNIT_EXPECT_EQ(test, start, SZ_2M);
	KUNIT_EXPECT_TRUE(test, layout_truncate_start(SZ_8M, 0, SZ_64K,
						      &start));
	KUNIT_EXPECT_EQ(test, start, 0);
}

/* A task that found the device alive uses it until kill_dax() has waited. */
static void dax_device_that_goes_keeps_its_data(struct kunit *test)
{
	struct dax_device *dax_dev = alloc_dax(test, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dax_dev);
	KUNIT_EXPECT_PTR_EQ(test, dax_get_private(dax_dev), (void *)test);
	kill_dax(dax_dev);
	KUNIT_EXPECT_PTR_EQ(test, dax_get_private(dax_dev), (void *)test);
	put_dax(dax_dev);
}

static struct kunit_case layout_pin_cases[] = {
	KUNIT_CASE(parse_knows_every_encoding),
	KUNIT_CASE(parse_refuses_write_and_unlock),
	KUNIT_CASE(bits_are_free_on_every_architecture),
	KUNIT_CASE(grant_matrix_is_the_contract),
	KUNIT_CASE(break_leaves_alone_what_it_should),
	KUNIT_CASE(being_broken_keeps_layout_leases_away),
	KUNIT_CASE(waiting_change_keeps_layout_leases_away),
	KUNIT_CASE(only_the_outermost_call_waits),
	KUNIT_CASE(an_eagain_of_somebody_else_stands),
	KUNIT_CASE(records_are_what_a_bitmap_says),
	KUNIT_CASE(fallocate_ranges_cover_what_moves),
	KUNIT_CASE(truncate_ranges_cover_what_is_freed),
	KUNIT_CASE(dax_device_that_goes_keeps_its_data),
	{}
};

static struct kunit_suite layout_pin_suite = {
	.name = "layout_pin",
	.test_cases = layout_pin_cases,
};

kunit_test_suite(layout_pin_suite);

MODULE_DESCRIPTION("KUnit tests of layout leases");
MODULE_LICENSE("GPL");
