// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of layout leases: every encoding of F_SETLEASE's argument, and
 * who may hold what at once. Pure functions, so no lock and no file.
 */
#include <kunit/test.h>
#include <linux/fcntl.h>
#include <linux/filelock.h>

#include "layout_pin_internal.h"

#define USER	(FL_LAYOUT | FL_LAYOUT_USER)

static void parse_knows_every_encoding(struct kunit *test)
{
	unsigned int flags, want;
	int arg, error;

	for (arg = 0; arg < 256; arg++) {
		int type = arg & ~(F_LAYOUT | F_EXCLUSIVE | F_UNBREAK);
		bool good = (arg & F_LAYOUT) && (!type || type == F_RDLCK);

		error = layout_lease_parse(arg, &flags);
		KUNIT_EXPECT_EQ_MSG(test, error, good ? 0 : -EINVAL,
				    "argument %d", arg);
		if (error)
			continue;
		want = USER;
		if (arg & F_EXCLUSIVE)
			want |= FL_EXCLUSIVE | FL_UNBREAK;
		if (arg & F_UNBREAK)
			want |= FL_UNBREAK;
		KUNIT_EXPECT_EQ_MSG(test, flags, want, "argument %d", arg);
	}
}

static void parse_refuses_write_and_unlock(struct kunit *test)
{
	unsigned int flags;

	KUNIT_EXPECT_EQ(test, layout_lease_parse(F_LAYOUT | F_WRLCK, &flags),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, layout_lease_parse(F_LAYOUT | F_UNLCK, &flags),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, layout_lease_parse(F_LAYOUT | (1 << 30), &flags),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, layout_lease_parse(-1, &flags), -EINVAL);
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
	struct file_lock_core unmap = { .flc_flags = FL_LAYOUT | FL_LAYOUT_UNMAP };

	KUNIT_EXPECT_FALSE(test, layout_lease_ignores(&nfsd, &write));
	KUNIT_EXPECT_FALSE(test, layout_lease_ignores(&nfsd, &unmap));
	KUNIT_EXPECT_TRUE(test, layout_lease_ignores(&shared, &write));
	KUNIT_EXPECT_FALSE(test, layout_lease_ignores(&shared, &unmap));
	KUNIT_EXPECT_TRUE(test, layout_lease_ignores(&unbreak, &write));
	KUNIT_EXPECT_TRUE(test, layout_lease_ignores(&unbreak, &unmap));
}

static struct kunit_case layout_pin_cases[] = {
	KUNIT_CASE(parse_knows_every_encoding),
	KUNIT_CASE(parse_refuses_write_and_unlock),
	KUNIT_CASE(grant_matrix_is_the_contract),
	KUNIT_CASE(break_leaves_alone_what_it_should),
	{}
};

static struct kunit_suite layout_pin_suite = {
	.name = "layout_pin",
	.test_cases = layout_pin_cases,
};
kunit_test_suite(layout_pin_suite);

MODULE_DESCRIPTION("KUnit tests of layout leases");
MODULE_LICENSE("GPL");
