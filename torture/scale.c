// SPDX-License-Identifier: GPL-2.0
/*
 * Many of everything: regions of one file, owners of one file, leased files, and
 * one region of many pages; what that costs in memory and in time. What tracking
 * costs is the difference to the same with anonymous memory, which is not
 * tracked.
 *
 * A few thousand; --full: a million regions, 100,000 files, 512 MiB. Other
 * arguments are the harness's.
 */
#include "layout_pin_fixture.h"
#include "rdma_loop.h"
#include "scale.h"

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 1800	/* --full */

#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)
#define RECORD		128		/* bytes for a region, at most */
#define LEASE		192		/* for a lease, beside a plain one's */
#define TABLE		"/sys/kernel/debug/layout_pin/pins"
#define AT_ONCE		1.0		/* seconds: does not grow with the regions */

static bool full;

static long how_many(long few, long many)
{
	return full ? many : few;
}

static int *open_owners(long nr)
{
	int *owners = calloc(nr, sizeof(*owners));
	long i;

	if (!owners || allow_descriptors(nr))
		return NULL;
	for (i = 0; i < nr; i++) {
		owners[i] = open_owner();
		if (owners[i] < 0)
			return NULL;
	}
	return owners;
}

static void close_owners(int *owners, long nr)
{
	long i;

	for (i = 0; i < nr; i++)
		close(owners[i]);
	free(owners);
}

/* Page after page of @pages, round and round. Returns the first errno. */
static int pin_each(const int *owners, long nr, char *memory, long pages,
		    unsigned int flags, struct tenths *tenths)
{
	int error = 0;
	long i;

	for (i = 0; i < nr && !error; i++) {
		error = pin_with(owners[i], memory + i % pages * PAGE, PAGE,
				 PIN_WRITE | PIN_FAST | flags);
		tenth(tenths, i, nr);
	}
	return error;
}

static void unpin_each(const int *owners, long nr)
{
	long i;

	for (i = 0; i < nr; i++)
		ioctl(owners[i], PIN_LONGTERM_TEST_STOP);
}

#define expect_quick(what, bound) do {					\
	double __start = seconds();					\
									\
	what;								\
	__start = seconds() - __start;					\
	EXPECT_GE(bound, __start) {					\
		TH_LOG(#what ": %.2f s", __start);			\
	}								\
} while (0)

/* What others see and are told takes as long as with one region. */
static void looks_are_quick(struct __test_metadata *_metadata,
			    FIXTURE_DATA(layout) *self, long nr)
{
	expect_quick(EXPECT_EQ(ETXTBSY, elsewhere(truncate(self->path, 0) ?
						  errno : 0)), AT_ONCE);
	expect_quick(EXPECT_EQ(EBUSY, set_lease(self->fd, F_UNLCK)), AT_ONCE);
	expect_quick(EXPECT_EQ(1, count_lines("/proc/self/file_pins",
					      self->path)), AT_ONCE);
	expect_quick(EXPECT_EQ(1, count_locks("LAYOUT")), AT_ONCE);
	/* A line for each, so much for each. */
	expect_quick(EXPECT_EQ(nr, count_pins()), AT_ONCE + nr * 200e-6);
}

TEST_F(layout, regions_of_one_file)
{
	long nr = how_many(10000, 1000000), pages = UNITS * self->unit / PAGE;
	struct tenths tenths, ignored;
	struct slab start, other, ours;
	double bytes, release;
	int *owners;
	char *anon;

	if (self->kind.huge)
		SKIP(return, "the size of entries is no matter for one page");
	anon = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	owners = open_owners(nr);
	ASSERT_NE(NULL, owners);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));

	start = slab_now();
	ASSERT_EQ(0, pin_each(owners, nr, anon, pages, PIN_MM, &ignored));
	other = slab_since(start);
	unpin_each(owners, nr);
	start = slab_now();
	ASSERT_EQ(0, pin_each(owners, nr, self->memory, pages, PIN_MM, &tenths));
	ours = slab_since(start);

	bytes = per_object(ours.kmalloc - other.kmalloc, nr);
	TH_LOG("%ld regions, %.1f bytes for each (%.1f with other memory)", nr,
	       bytes, per_object(other.kmalloc, nr));
	TH_LOG("slabs grew by %ld KiB (%ld), the first tenth took %.2f s, the last %.2f s",
	       ours.all >> 10, other.all >> 10, tenths.first, tenths.last);
	EXPECT_GE(RECORD + slack(nr, RECORD), bytes);
	EXPECT_GE(4 * tenths.first + 0.5, tenths.last);
	looks_are_quick(_metadata, self, nr);

	release = seconds();
	close_owners(owners, nr);
	TH_LOG("closed in %.2f s", seconds() - release);
	EXPECT_EQ(0, count_pins());
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
}

/* Each through an open file of its own, as the processes of a job. */
TEST_F(layout, owners_of_one_file)
{
	long nr = how_many(2000, 20000);
	struct tenths tenths;
	int *owners;

	if (self->kind.huge)
		SKIP(return, "the size of entries is no matter for one page");
	owners = open_owners(nr);
	ASSERT_NE(NULL, owners);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, pin_each(owners, nr, self->memory, 1, 0, &tenths));
	TH_LOG("%ld owners, the first tenth in %.2f s, the last in %.2f s", nr,
	       tenths.first, tenths.last);
	EXPECT_GE(4 * tenths.first + 0.5, tenths.last);
	EXPECT_EQ(nr, count_pins());
	EXPECT_EQ(nr, count_lines("/proc/self/file_pins", self->path));
	close_owners(owners, nr);
	EXPECT_EQ(0, count_pins());
}

/* The device's limit is the limit. */
TEST_F(layout, regions_of_soft_roce)
{
	long nr = how_many(1000, 100000), pages = UNITS * self->unit / PAGE, i;
	struct ibv_mr **mrs = calloc(nr, sizeof(*mrs));
	struct slab start, ours[2];
	struct rdma_loop loop = { };
	double took = 0;
	char *memory[2];
	int side;

	if (self->kind.huge)
		SKIP(return, "the size of entries is no matter for one page");
	memory[0] = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	memory[1] = self->memory;
	ASSERT_EQ(0, loop_open_device(&loop));
	loop.pd = ibv_alloc_pd(loop.context);
	ASSERT_NE(NULL, loop.pd);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	for (side = 0; side < 2; side++) {
		start = slab_now();
		took = seconds();
		for (i = 0; i < nr; i++) {
			mrs[i] = ibv_reg_mr(loop.pd, memory[side] +
					    i % pages * PAGE, PAGE,
					    IBV_ACCESS_LOCAL_WRITE);
			ASSERT_NE(NULL, mrs[i]);
		}
		took = seconds() - took;
		ours[side] = slab_since(start);
		if (side)
			looks_are_quick(_metadata, self, nr);
		for (i = 0; i < nr; i++)
			ASSERT_EQ(0, ibv_dereg_mr(mrs[i]));
	}
	TH_LOG("%ld regions of RDMA in %.2f s, %.1f bytes for each (%.1f with other memory)",
	       nr, took, per_object(ours[1].kmalloc - ours[0].kmalloc, nr),
	       per_object(ours[0].kmalloc, nr));
	EXPECT_GE(RECORD + slack(nr, RECORD),
		  per_object(ours[1].kmalloc - ours[0].kmalloc, nr));
	EXPECT_EQ(0, count_pins());
	ibv_dealloc_pd(loop.pd);
	ibv_close_device(loop.context);
	free(mrs);
}

/* A file system with room for so many small files, instead of the usual one. */
static int make_room_for_files(const struct kind *kind)
{
	/* It is ext4 that has to be told when it is made. */
	const char *inodes = kind_is(kind, "ext4") ? "-N 130000" : "";

	if (kind_umount(kind))
		return errno;
	kind_make_anew_later(kind);
	if (fs_make(kind_fs(kind), inodes, kind_device(kind)))
		return EIO;
	return kind_mount_with(kind, "dax") ? errno : 0;
}

static int *make_files(const struct kind *kind, long nr)
{
	int *fds = calloc(nr, sizeof(*fds));
	char path[64];
	long i;

	if (!fds || allow_descriptors(2 * nr))
		return NULL;
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s/%ld", kind_dir(kind), i);
		fds[i] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fds[i] < 0 || ftruncate(fds[i], PAGE))
			return NULL;
	}
	return fds;
}

static int lease_each(const int *fds, long nr, int arg)
{
	long i;

	for (i = 0; i < nr; i++)
		if (set_lease(fds[i], arg))
			return errno;
	return 0;
}

/*
 * What plain leases of the same files cost in memory, and in seconds to read of
 * them all. Nobody may have them open to write.
 */
static long plain_leases(const struct kind *kind, int *fds, long nr, double *read)
{
	struct slab start;
	char path[64];
	long i, bytes;
	int fd;

	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		close(fds[i]);
		fds[i] = fd;
	}
	if (lease_each(fds, nr, F_RDLCK))
		return -1;
	*read = seconds();
	if (count_locks("LEASE") != nr)
		return -1;
	*read = seconds() - *read;
	start = slab_now();
	if (lease_each(fds, nr, F_UNLCK))
		return -1;
	bytes = -slab_since(start).kmalloc;
	for (i = 0; i < nr; i++) {
		close(fds[i]);
		snprintf(path, sizeof(path), "%s/%ld", kind_dir(kind), i);
		fds[i] = open(path, O_RDWR | O_CLOEXEC);
	}
	return bytes;
}

static int pin_one_page(int owner, int fd)
{
	void *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int error = pin_with(owner, memory, PAGE, PIN_WRITE | PIN_FAST | PIN_MM);

	munmap(memory, PAGE);
	return error;
}

TEST_F(layout, leased_files)
{
	long nr = how_many(2000, 100000), plain, ours, i;
	int *fds, *owners;
	struct slab start;
	double read;

	if (self->kind.huge)
		SKIP(return, "the size of entries is no matter for one page");
	let_go(self);
	ASSERT_EQ(0, make_room_for_files(&self->kind));
	fds = make_files(&self->kind, nr);
	ASSERT_NE(NULL, fds);
	plain = plain_leases(&self->kind, fds, nr, &read);
	ASSERT_LE(0, plain);
	start = slab_now();
	ASSERT_EQ(0, lease_each(fds, nr, EXCLUSIVE));
	ours = slab_since(start).kmalloc;
	TH_LOG("%ld leased files, %.1f bytes for each (plain leases %.1f)", nr,
	       per_object(ours, nr), per_object(plain, nr));
	EXPECT_GE(LEASE + slack(nr, LEASE), per_object(ours - plain, nr));
	TH_LOG("plain leases are read in %.2f s", read);
	/* For each page that is read the kernel walks all again: no more than that. */
	expect_quick(EXPECT_EQ(nr, count_locks("LAYOUT ACTIVE")),
		     AT_ONCE + 1.5 * read);

	owners = open_owners(nr);
	ASSERT_NE(NULL, owners);
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, pin_one_page(owners[i], fds[i]));
	expect_quick(EXPECT_EQ(nr, count_lines("/proc/self/file_pins",
					       kind_dir(&self->kind))),
		     AT_ONCE + nr * 400e-6);
	EXPECT_EQ(nr, count_pins());
	close_owners(owners, nr);
	EXPECT_EQ(0, count_pins());
	EXPECT_EQ(0, lease_each(fds, nr, F_UNLCK));
	EXPECT_EQ(0, count_locks("LAYOUT"));
	close_owners(fds, nr);
}

/* At a place that lets entries be as large as the kind says. */
static char *map_big(int fd, long size, bool huge)
{
	char *area = mmap(NULL, size + 2 * HUGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));

	return mmap(at + (huge ? 0 : PAGE), size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, fd, 0);
}

/* One record whatever its size, and all of the region is protected. */
static void check_big(struct __test_metadata *_metadata, int fd, long size)
{
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	long at;

	EXPECT_EQ(1, count_pins());
	for (at = 0; at < size; at += size / 16)
		EXPECT_EQ(ETXTBSY, fallocate(fd, mode, at, PAGE) ? errno : 0);
	EXPECT_EQ(ETXTBSY, fallocate(fd, mode, size - PAGE, PAGE) ? errno : 0);
}

TEST_F(layout, one_region_of_many_pages)
{
	long size = how_many(16L << 20, 512L << 20), faults;
	struct rdma_loop loop = { .size = size };
	double pinned, registered;
	struct slab start, ours;
	char *memory, path[64];
	struct pin p;
	int fd;

	fd = open(kind_path(&self->kind, path, "big"), O_RDWR | O_CREAT, 0600);
	ASSERT_EQ(0, fallocate(fd, 0, 0, size));
	memory = map_big(fd, size, self->kind.huge);
	ASSERT_NE(MAP_FAILED, memory);
	ASSERT_EQ(0, set_lease(fd, EXCLUSIVE));
	faults = faults_now();
	pinned = seconds();
	p = pin(memory, size);
	pinned = seconds() - pinned;
	ASSERT_EQ(0, p.error);
	faults = faults_now() - faults;
	/* Entries are as large as the test's name says. */
	EXPECT_TRUE(self->kind.huge ? faults <= size / HUGE + 64 :
		    faults >= size / PAGE);
	check_big(_metadata, fd, size);
	unpin(p);

	ASSERT_EQ(0, loop_open_device(&loop));
	loop.pd = ibv_alloc_pd(loop.context);
	start = slab_now();
	registered = seconds();
	ASSERT_EQ(0, loop_register(&loop, memory));
	registered = seconds() - registered;
	ours = slab_since(start);
	check_big(_metadata, fd, size);
	TH_LOG("%ld MiB: %ld faults, pinned in %.2f s, registered in %.2f s, %ld bytes of kmalloc",
	       size >> 20, faults, pinned, registered, ours.kmalloc);
	EXPECT_EQ(0, loop_deregister(&loop));
	ibv_dealloc_pd(loop.pd);
	ibv_close_device(loop.context);
	munmap(memory, size);
	close(fd);
	unlink(path);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--full")) {
		full = true;
		argv++;
		argc--;
	}
	return test_harness_run(argc, argv);
}
