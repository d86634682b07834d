// SPDX-License-Identifier: GPL-2.0
/*
 * End to end: a device that writes a key nobody else has into its region of a
 * file, all the time, on a small file system that others keep full. If a block
 * of the region ever went to another file, that file would have the key.
 *
 * Also the other way round: the region never shows what others wrote.
 */
#include "layout_pin_test.h"
#include "kselftest_harness.h"
#include "churn.h"
#include "rdma_loop.h"
#include <dirent.h>
#include <sys/prctl.h>
#include <sys/random.h>

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 240

#define TOP		"/mnt/layout_oracle"
#define PINNED		TOP "/pinned"
#define OTHER_NAME	TOP "/other_name"
#define FILLER		TOP "/filler"
#define SIZE		(512L << 10)	/* of the region */
#define ROOM		(12L << 20)	/* for files that come and go */
#define CELL		64		/* bytes; each begins with the key */
#define CHURNERS	2
#define NAMES		48		/* of each churner */
#define PHASE		7.0		/* seconds */

struct key {
	char bytes[16];
};

enum phase { START, LEASED, ZOMBIE, UNLINKED, END };

/* Shared by all processes. Sums are for phases, faults are for ever. */
struct tally {
	enum phase phase;
	struct key key;
	int out_of_space[END];
	int refused[END];
	int scanned[END];
	int written[END];
	int leaked;		/* blocks of other files with the key */
	int unexpected;		/* answers that are none of the expected ones */
	int what, error;	/* the last of those */
};

FIXTURE(oracle) {
	struct tally *tally;
	pid_t processes[CHURNERS + 2];
	struct rdma_loop loop;
};

FIXTURE_VARIANT(oracle) {
	const char *fs;
	const char *options, *size;	/* of mkfs: before, behind the device */
};

FIXTURE_VARIANT_ADD(oracle, ext4) { "ext4", "", "64M" };
FIXTURE_VARIANT_ADD(oracle, xfs) { "xfs", "-m reflink=0 -d size=300m", "" };

static int count(int *counter)
{
	return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static enum phase now(struct tally *tally)
{
	return __atomic_load_n(&tally->phase, __ATOMIC_ACQUIRE);
}

static void unexpected(struct tally *tally, int what, int error)
{
	tally->what = what;
	tally->error = error;
	count(&tally->unexpected);
}

/* Pages that begin with the key: a block is a page or more. */
static int pages_with_key(int dir, const char *name, const struct key *key)
{
	int fd = openat(dir, name, O_RDONLY), nr = 0;
	struct key seen = { };
	off_t at;

	if (fd < 0)
		return 0;
	for (at = 0; pread(fd, &seen, sizeof(seen), at) > 0; at += PAGE)
		nr += !memcmp(&seen, key, sizeof(seen));
	close(fd);
	return nr;
}

/* All files of a directory but those that have the region. */
static int scan_dir(const char *path, const struct key *key, bool filler)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	int nr = 0;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_REG ||
		    !strcmp(entry->d_name, "pinned") ||
		    !strcmp(entry->d_name, "other_name") ||
		    (!filler && !strcmp(entry->d_name, "filler")))
			continue;
		nr += pages_with_key(dirfd(dir), entry->d_name, key);
	}
	if (dir)
		closedir(dir);
	return nr;
}

static int scan(const struct key *key, bool filler)
{
	char path[64];
	int i, nr = scan_dir(TOP, key, filler);

	for (i = 0; i < CHURNERS; i++) {
		snprintf(path, sizeof(path), TOP "/churn%d", i);
		nr += scan_dir(path, key, filler);
	}
	return nr;
}

static void scanner(struct tally *tally, int nr)
{
	enum phase phase;
	int pages;

	for (;;) {
		phase = now(tally);
		pages = scan(&tally->key, false);
		__atomic_fetch_add(&tally->leaked, pages, __ATOMIC_RELAXED);
		count(&tally->scanned[phase]);
		usleep(1000);
	}
}

/* Keeps the file system full, of blocks that just were somebody else's. */
static void churner(struct tally *tally, int nr)
{
	char path[64];
	int error, i;

	srandom(nr + 1);
	for (;;) {
		snprintf(path, sizeof(path), TOP "/churn%d/%ld", nr,
			 random() % NAMES);
		error = churn(path, random());
		if (error == ENOSPC) {
			count(&tally->out_of_space[now(tally)]);
			for (i = 0; i < 4; i++) {
				snprintf(path, sizeof(path), TOP "/churn%d/%ld",
					 nr, random() % NAMES);
				unlink(path);
			}
		} else if (error) {
			unexpected(tally, 100, error);
		}
	}
}

static int attack(int fd, int what)
{
	void *memory;
	int error;

	switch (what) {
	case 0:
		return truncate(PINNED, 0);
	case 1:
		return ftruncate(fd, SIZE / 2);
	case 2:
		return open(PINNED, O_RDWR | O_TRUNC);
	case 3:
		return fallocate(fd, FALLOC_FL_PUNCH_HOLE |
				 FALLOC_FL_KEEP_SIZE, SIZE / 4, SIZE / 4);
	case 4:
		return fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, SIZE);
	case 5:
		return fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, SIZE / 2);
	}
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	error = madvise(memory, SIZE, MADV_REMOVE) ? errno : 0;
	munmap(memory, SIZE);
	errno = error;
	return error ? -1 : 0;
}

/* Whatever takes blocks from the region is refused, with one errno. */
static void attacker(struct tally *tally, int nr)
{
	int fd, what;

	while (now(tally) < LEASED)
		usleep(1000);
	for (what = 0;; what = (what + 1) % 7) {
		/* Anew each time: this must not be what keeps the file. */
		fd = open(PINNED, O_RDWR);
		if (fd < 0)
			unexpected(tally, 200, errno);
		else if (attack(fd, what) >= 0)
			unexpected(tally, what, 0);
		else if (errno != ETXTBSY)
			unexpected(tally, what, errno);
		else
			count(&tally->refused[now(tally)]);
		close(fd);
		usleep(2000);
		if (what)
			continue;
		/* Names may come and go. */
		unlink(OTHER_NAME);
		if (link(PINNED, OTHER_NAME) && errno != ENOSPC)
			unexpected(tally, 300, errno);
	}
}

static pid_t start(void (*function)(struct tally *, int), struct tally *tally,
		   int nr)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		function(tally, nr);
		_exit(0);
	}
	return pid;
}

static void end(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

static long free_pages(void)
{
	struct statvfs st;
	int fd = open(TOP, O_RDONLY);

	/* What is freed in the background is not free yet. */
	syncfs(fd);
	close(fd);
	return statvfs(TOP, &st) ? -1 : (long)st.f_bfree;
}

static int fill_up(void)
{
	int fd = open(FILLER, O_RDWR | O_CREAT, 0600);
	int error = fallocate(fd, 0, 0, free_pages() * PAGE - ROOM);

	close(fd);
	return error;
}

FIXTURE_SETUP(oracle)
{
	const struct file_system *fs = fs_find(variant->fs);
	char path[64];
	int i, fd;

	self->tally = mmap(NULL, sizeof(*self->tally), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->tally);
	ASSERT_EQ((ssize_t)sizeof(struct key),
		  getrandom(&self->tally->key, sizeof(struct key), 0));
	make_anew_later(fs->device);
	mkdir(TOP, 0755);
	ASSERT_EQ(0, fs_make(fs, variant->options, fs->device, variant->size));
	ASSERT_EQ(0, mount(fs->device, TOP, fs->name, 0, "dax"));
	for (i = 0; i < CHURNERS; i++) {
		snprintf(path, sizeof(path), TOP "/churn%d", i);
		ASSERT_EQ(0, mkdir(path, 0700));
	}
	fd = open(PINNED, O_RDWR | O_CREAT, 0600);
	ASSERT_EQ(0, fallocate(fd, 0, 0, SIZE));
	close(fd);
	ASSERT_EQ(0, link(PINNED, OTHER_NAME));
	ASSERT_EQ(0, fill_up());
}

FIXTURE_TEARDOWN(oracle)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(self->processes); i++)
		end(&self->processes[i]);
	loop_close(&self->loop);
	EXPECT_EQ(0, umount(TOP));
	EXPECT_EQ(0, fs_check(fs_find(variant->fs), "/dev/null"));
}

static void make_pattern(char *buffer, const struct key *key, unsigned int nr)
{
	long at;

	for (at = 0; at < SIZE; at += CELL) {
		memset(buffer + at, nr, CELL);
		memcpy(buffer + at, key, sizeof(*key));
		memcpy(buffer + at + sizeof(*key), &at, sizeof(at));
	}
}

/* What the file system says is in the region. */
static int read_by_name(char *buffer)
{
	int fd = open(PINNED, O_RDONLY);
	ssize_t size = pread(fd, buffer, SIZE, 0);

	close(fd);
	return size == SIZE ? 0 : EIO;
}

/* Write through the device and look from both sides, for a while. */
static void run_phase(struct __test_metadata *_metadata,
		      FIXTURE_DATA(oracle) * self, enum phase phase)
{
	struct rdma_loop *loop = &self->loop;
	struct tally *tally = self->tally;
	double until = seconds() + PHASE;
	char *want = malloc(SIZE), *seen = malloc(SIZE);
	unsigned int nr = 0;

	__atomic_store_n(&tally->phase, phase, __ATOMIC_RELEASE);
	do {
		make_pattern(want, &tally->key, phase * 64 + nr++ % 64);
		memcpy(loop->buffer, want, SIZE);
		ASSERT_EQ(0, loop_transfer(loop, IBV_WR_RDMA_WRITE));
		if (phase < UNLINKED) {
			ASSERT_EQ(0, read_by_name(seen));
			ASSERT_EQ(0, memcmp(want, seen, SIZE));
		}
		memset(loop->buffer, 0, SIZE);
		ASSERT_EQ(0, loop_transfer(loop, IBV_WR_RDMA_READ));
		ASSERT_EQ(0, memcmp(want, loop->buffer, SIZE));
		tally->written[phase]++;
		EXPECT_EQ(0, tally->leaked);
	} while (seconds() < until);
	free(want);
	free(seen);

	TH_LOG("phase %d: %d writes, %d scans, %d times full, %d refused",
	       phase, tally->written[phase], tally->scanned[phase],
	       tally->out_of_space[phase], tally->refused[phase]);
	EXPECT_LT(0, tally->scanned[phase]);
	EXPECT_LT(0, tally->out_of_space[phase]);
	if (phase < UNLINKED)
		EXPECT_LT(0, tally->refused[phase]);
	EXPECT_EQ(0, tally->unexpected) {
		TH_LOG("the last was %d: %s", tally->what,
		       strerror(tally->error));
	}
}

/* A scan that finds nothing says something only if it can find. */
static void scan_finds(struct __test_metadata *_metadata)
{
	struct key probe = { "this one is here" };
	int fd = open(TOP "/churn1/probe", O_RDWR | O_CREAT, 0600);

	ASSERT_EQ(0, ftruncate(fd, 4 * PAGE));
	ASSERT_EQ(0, scan(&probe, true));
	ASSERT_EQ((ssize_t)sizeof(probe),
		  pwrite(fd, &probe, sizeof(probe), 2 * PAGE));
	ASSERT_EQ(1, scan(&probe, true));
	close(fd);
	unlink(TOP "/churn1/probe");
}

/* Unlinked, closed, unmapped: the blocks go with the region, not before. */
static void freed_with_the_region(struct __test_metadata *_metadata,
				  FIXTURE_DATA(oracle) * self)
{
	long before = free_pages();
	int i;

	EXPECT_EQ(0, loop_deregister(&self->loop));
	for (i = 0; i < 200 && free_pages() < before + SIZE / PAGE; i++)
		usleep(10000);
	EXPECT_LE(before + SIZE / PAGE, free_pages());
}

TEST_F(oracle, nobody_else_gets_the_blocks_of_a_region)
{
	struct tally *tally = self->tally;
	void *memory;
	int fd, i;

	scan_finds(_metadata);
	/* Before the file is opened, so that none of them keeps it. */
	for (i = 0; i < CHURNERS; i++)
		self->processes[i] = start(churner, tally, i);
	self->processes[i++] = start(scanner, tally, 0);
	self->processes[i] = start(attacker, tally, 0);

	ASSERT_EQ(0, loop_open(&self->loop, SIZE));
	fd = open(PINNED, O_RDWR);
	ASSERT_EQ(0, set_lease(fd, F_LAYOUT | F_EXCLUSIVE));
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, memory);
	ASSERT_EQ(0, loop_register(&self->loop, memory));
	run_phase(_metadata, self, LEASED);

	ASSERT_EQ(0, munmap(memory, SIZE));
	ASSERT_EQ(0, close(fd));
	EXPECT_EQ(1, count_locks("LAYOUT ZOMBIE    EXCL"));
	run_phase(_metadata, self, ZOMBIE);

	end(&self->processes[i]);
	unlink(OTHER_NAME);
	EXPECT_EQ(0, unlink(PINNED));
	run_phase(_metadata, self, UNLINKED);

	while (i--)
		end(&self->processes[i]);
	EXPECT_EQ(0, tally->leaked);
	EXPECT_EQ(0, scan(&tally->key, true));
	freed_with_the_region(_metadata, self);
	EXPECT_EQ(0, count_locks("LAYOUT"));
	EXPECT_EQ(0, count_pins());
}

TEST_HARNESS_MAIN
