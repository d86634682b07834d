// SPDX-License-Identifier: GPL-2.0
/*
 * Who may pin, through which mapping, and what a pin does to the file: section
 * 2 of the contract.
 */
#include "layout_pin_fixture.h"
#include "descriptor.h"
#include <pthread.h>
#include <sys/socket.h>
#include <linux/fs.h>
#include <linux/fiemap.h>

#define UNBREAK		(F_LAYOUT | F_UNBREAK)
#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)

/* Pin and let go at once: only the answer matters. */
static int try_pin_flags(void *addr, long size, unsigned int flags)
{
	int fd = open_owner(), error;

	if (fd < 0)
		return errno;
	error = pin_with(fd, addr, size, flags);
	close(fd);
	return error;
}

static int try_pin(void *addr, long size)
{
	return try_pin_flags(addr, size, PIN_WRITE | PIN_FAST);
}

TEST_F(layout, without_a_lease_is_not_supported)
{
	EXPECT_EQ(EOPNOTSUPP, try_pin(self->memory, PAGE));
	EXPECT_EQ(EOPNOTSUPP, try_pin_flags(self->memory, PAGE, PIN_FAST));
}

TEST_F(layout, breakable_lease_is_not_enough)
{
	ASSERT_EQ(0, set_lease(self->fd, F_LAYOUT));
	EXPECT_EQ(EOPNOTSUPP, try_pin(self->memory, PAGE));
}

TEST_F(layout, plain_lease_is_not_enough)
{
	int fd;

	let_go(self);
	fd = open(self->path, O_RDONLY);
	ASSERT_EQ(0, set_lease(fd, F_RDLCK));
	self->memory = mmap(NULL, UNITS * self->unit, PROT_READ, MAP_SHARED,
			    fd, 0);
	EXPECT_EQ(EOPNOTSUPP, try_pin_flags(self->memory, PAGE, PIN_FAST));
	close(fd);
}

TEST_F(layout, dropped_lease_is_not_enough)
{
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(0, try_pin(self->memory, PAGE));
	ASSERT_EQ(0, set_lease(self->fd, F_UNLCK));
	EXPECT_EQ(EOPNOTSUPP, try_pin(self->memory, PAGE));
}

TEST_F(layout, lease_of_another_process_is_not_enough)
{
	struct holder holder = start_holder(self->path, UNBREAK, self->unit, 0,
					    0);

	ASSERT_EQ(0, holder.error);
	EXPECT_EQ(EOPNOTSUPP, try_pin(self->memory, PAGE));
	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	EXPECT_EQ(0, try_pin(self->memory, PAGE));
	end_holder(holder);
}

TEST_F(layout, lease_of_the_dead_is_not_enough)
{
	EXPECT_EQ(0, elsewhere(set_lease(self->fd, EXCLUSIVE)));
	EXPECT_EQ(1, count_locks("LAYOUT ACTIVE"));
	EXPECT_EQ(EOPNOTSUPP, try_pin(self->memory, PAGE));
	EXPECT_EQ(ETXTBSY, truncate(self->path, 0) ? errno : 0);
	EXPECT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(0, try_pin(self->memory, PAGE));
}

TEST_F(layout, zombie_is_not_enough)
{
	int other = open(self->path, O_RDWR);
	char *memory = map_file(other, self->unit);
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	let_go(self);
	EXPECT_EQ(1, count_locks("ZOMBIE"));
	EXPECT_EQ(EOPNOTSUPP, try_pin(memory, PAGE));
	unpin(p);
	munmap(memory, UNITS * self->unit);
	close(other);
}

TEST_F(layout, both_unbreakable_kinds_are_enough)
{
	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	EXPECT_EQ(0, try_pin(self->memory, UNITS * self->unit));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(0, try_pin(self->memory, UNITS * self->unit));
}

/* However and through whichever descriptor it was mapped. */
TEST_F(layout, any_shared_writable_mapping_will_do)
{
	int other = open(self->path, O_RDWR);
	char *memory = map_file(other, self->unit);

	close(other);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(0, try_pin(memory, UNITS * self->unit));
	munmap(memory, UNITS * self->unit);
}

/* The lease lives as long as a mapping of its open file does. */
TEST_F(layout, mapping_keeps_the_lease_alive)
{
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, try_pin(self->memory, PAGE));
	EXPECT_EQ(1, count_locks("LAYOUT ACTIVE"));
	EXPECT_EQ(ETXTBSY, elsewhere(truncate(self->path, 0) ? errno : 0));
}

TEST_F(layout, private_and_read_only_mappings_are_not_supported)
{
	char *private, *read_only;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		       self->fd, 0);
	read_only = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0);
	EXPECT_EQ(EOPNOTSUPP, try_pin_flags(private, PAGE, PIN_FAST));
	EXPECT_EQ(EOPNOTSUPP, try_pin(private, PAGE));
	EXPECT_EQ(EOPNOTSUPP, try_pin_flags(read_only, PAGE, PIN_FAST));
	munmap(private, PAGE);
	munmap(read_only, PAGE);
}

/* Whose access path GUP takes first: the driver does not record. */
TEST_F(layout, driver_that_does_not_track_is_not_supported)
{
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(EOPNOTSUPP, try_pin_flags(self->memory, PAGE, PIN_WRITE));
	EXPECT_EQ(EOPNOTSUPP, try_pin_flags(self->memory, PAGE, 0));
}

/* Memory of no file, and what is not mapped. */
static void pin_other_memory(struct __test_metadata *_metadata)
{
	char *anon = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	EXPECT_EQ(0, try_pin(anon, 4 * PAGE));
	EXPECT_EQ(0, try_pin(shared, 4 * PAGE));
	EXPECT_EQ(0, try_pin_flags(anon, 4 * PAGE, 0));
	ASSERT_EQ(0, mprotect(shared, 4 * PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, try_pin(shared, PAGE));
	munmap(anon, 4 * PAGE);
	EXPECT_EQ(EFAULT, try_pin(anon, PAGE));
	munmap(shared, 4 * PAGE);
	EXPECT_EQ(0, count_pins());
}

TEST_F(layout, other_memory_needs_no_lease)
{
	pin_other_memory(_metadata);
}

/* Of a process that has one the mapping is looked at first: to no effect. */
TEST_F(layout, other_memory_beside_a_lease)
{
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	pin_other_memory(_metadata);
}

/* What may not be written to is no address; but first comes the lease. */
TEST_F(layout, protection_key_is_respected)
{
	int key = pkey_alloc(0, PKEY_DISABLE_WRITE);

	if (key < 0)
		SKIP(return, "no protection keys");
	ASSERT_EQ(0, pkey_mprotect(self->memory, PAGE, PROT_READ | PROT_WRITE,
				   key));
	EXPECT_EQ(EOPNOTSUPP, try_pin(self->memory, PAGE));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(EFAULT, try_pin(self->memory, PAGE));
	EXPECT_EQ(0, count_pins());
	ASSERT_EQ(0, pkey_set(key, 0));
	EXPECT_EQ(0, try_pin(self->memory, PAGE));
	pkey_free(key);
}

static void *pin_in_a_thread(void *addr)
{
	return (void *)(long)try_pin(addr, PAGE);
}

TEST_F(layout, threads_share_the_right)
{
	pthread_t thread;
	void *error;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, pthread_create(&thread, NULL, pin_in_a_thread,
				    self->memory));
	ASSERT_EQ(0, pthread_join(thread, &error));
	EXPECT_EQ(NULL, error);
}

TEST_F(layout, forked_child_takes_its_own)
{
	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	EXPECT_EQ(EOPNOTSUPP, elsewhere(try_pin(self->memory, PAGE)));
	EXPECT_EQ(0, elsewhere(set_lease(open(self->path, O_RDWR), UNBREAK) ?:
			       try_pin(self->memory, PAGE)));
}

static int receive_and_pin(int from, long unit)
{
	int fd = receive_descriptor(from);
	char *memory = map_file(fd, unit);

	if (fcntl(fd, F_GETLEASE) != EXCLUSIVE)
		return ENOLCK;
	return try_pin(memory, PAGE);
}

TEST_F(layout, receiver_of_the_descriptor_has_no_right)
{
	int pair[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, send_descriptor(pair[0], self->fd));
	EXPECT_EQ(EOPNOTSUPP, elsewhere(receive_and_pin(pair[1], self->unit)));
	close(pair[0]);
	close(pair[1]);
}

/* What runs after execve, in a process whose number did not change. */
static int after_exec(char **argv)
{
	struct kind kind = { argv[3], atoi(argv[4]) };
	int fd = atoi(argv[2]);
	char *memory = map_file(fd, kind_unit(&kind));

	return fcntl(fd, F_GETLEASE) == EXCLUSIVE ? try_pin(memory, PAGE) :
						    ENOLCK;
}

TEST_F(layout, exec_keeps_the_right)
{
	char number[16], huge[4];
	int status;
	pid_t pid = fork();

	if (!pid) {
		snprintf(number, sizeof(number), "%d", self->fd);
		snprintf(huge, sizeof(huge), "%d", self->kind.huge);
		if (!set_lease(self->fd, EXCLUSIVE))
			execl("/proc/self/exe", "pin", "--after-exec", number,
			      self->kind.fs, huge, NULL);
		_exit(255);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

static int count_extents(int fd)
{
	struct fiemap map = {
		.fm_length = ~0ULL, .fm_flags = FIEMAP_FLAG_SYNC,
	};

	return ioctl(fd, FS_IOC_FIEMAP, &map) ? -1 : (int)map.fm_mapped_extents;
}

/*
 * A device that only reads must see what the file will hold, not a zero page.
 */
TEST_F(layout, pin_for_reading_allocates_the_hole)
{
	int owner = open_owner();
	char *seen = malloc(PAGE);

	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(0, ftruncate(self->fd, UNITS * self->unit));
	ASSERT_EQ(0, count_extents(self->fd));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, pin_with(owner, self->memory, PAGE, PIN_FAST));
	EXPECT_LE(1, count_extents(self->fd));
	strcpy(self->memory, "written by the processor");
	ASSERT_EQ(0, ioctl(owner, PIN_LONGTERM_TEST_READ, &seen));
	EXPECT_STREQ("written by the processor", seen);
	close(owner);
	free(seen);
}

/* What the file system reads and what is pinned is one thing. */
TEST_F(layout, pinned_pages_are_the_file)
{
	int owner = open_owner();
	char *seen = malloc(2 * PAGE), text[32];

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, pin_with(owner, self->memory + self->unit, 2 * PAGE,
			      PIN_WRITE | PIN_FAST));
	snprintf(text, sizeof(text), "at %ld", self->unit + PAGE);
	ASSERT_EQ((ssize_t)sizeof(text),
		  pwrite(self->fd, text, sizeof(text), self->unit + PAGE));
	ASSERT_EQ(0, ioctl(owner, PIN_LONGTERM_TEST_READ, &seen));
	EXPECT_STREQ(text, seen + PAGE);
	close(owner);
	free(seen);
}

/* All or nothing: the first pages could be had, the last ones not. */
TEST_F(layout, failed_pin_leaves_nothing_behind)
{
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, ftruncate(self->fd, self->unit));
	EXPECT_EQ(EFAULT, try_pin(self->memory, UNITS * self->unit));
	EXPECT_EQ(0, count_pins());
	EXPECT_EQ(0, ftruncate(self->fd, 0));
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
}

/* A region across files is one region: each part under a lease of its own. */
TEST_F(layout, region_across_two_files)
{
	char path[64], *second;
	int fd = make_file(kind_path(&self->kind, path, "second"), self->unit);
	struct pin p;

	second = mmap(self->memory + self->unit, self->unit,
		      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	ASSERT_NE(MAP_FAILED, second);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(EOPNOTSUPP, try_pin(self->memory, 2 * self->unit));
	EXPECT_EQ(0, count_pins());
	ASSERT_EQ(0, set_lease(fd, EXCLUSIVE));
	p = pin(self->memory, 2 * self->unit);
	EXPECT_EQ(0, p.error);
	EXPECT_EQ(2, count_pins());
	EXPECT_EQ(ETXTBSY, truncate(path, 0) ? errno : 0);
	EXPECT_EQ(ETXTBSY, truncate(self->path, 0) ? errno : 0);
	unpin(p);
	close(fd);
	unlink(path);
}

/* One region may have many chunks; what is next to each other is one record. */
TEST_F(layout, one_region_one_record)
{
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, UNITS * self->unit);
	ASSERT_EQ(0, p.error);
	EXPECT_EQ(1, count_pins());
	unpin(p);
}

/* The same pages under several regions stay until the last one goes. */
TEST_F(layout, regions_may_overlap)
{
	struct pin first, second;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	first = pin(self->memory, 2 * self->unit);
	second = pin(self->memory + self->unit, 2 * self->unit);
	ASSERT_EQ(0, first.error ?: second.error);
	unpin(first);
	EXPECT_EQ(ETXTBSY, ftruncate(self->fd, self->unit) ? errno : 0);
	EXPECT_EQ(ETXTBSY, ftruncate(self->fd, 2 * self->unit) ? errno : 0);
	EXPECT_EQ(0, ftruncate(self->fd, 3 * self->unit) ? errno : 0);
	unpin(second);
	EXPECT_EQ(0, ftruncate(self->fd, 0) ? errno : 0);
}

static void *take_and_drop(void *arg)
{
	int fd = *(int *)arg, i;

	for (i = 0; i < 2000; i++) {
		set_lease(fd, EXCLUSIVE);
		set_lease(fd, F_UNLCK);
	}
	return NULL;
}

/* Whichever wins, an answer is one of two, and nothing is left. */
TEST_F(layout, pin_while_threads_take_and_drop)
{
	pthread_t threads[2];
	int i, error, other = open(self->path, O_RDWR);
	int *fds[2] = { &self->fd, &other };

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, take_and_drop,
					    fds[i]));
	for (i = 0; i < 500; i++) {
		error = try_pin(self->memory, PAGE);
		EXPECT_TRUE(!error || error == EOPNOTSUPP);
	}
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	close(other);
	set_lease(self->fd, F_UNLCK);
	EXPECT_EQ(0, count_locks("LAYOUT"));
}

#define MANY_PAGES	512	/* their faults take longer than an fsync */

static void *fsync_always(void *arg)
{
	for (;;)
		fsync(*(int *)arg);
	return NULL;
}

/* Mapped by small pages, even where its entries are large. */
static int pin_beside_fsync(int fd)
{
	char *memory = map_file(fd, MANY_PAGES * PAGE / UNITS);
	pthread_t thread;

	if (memory == MAP_FAILED || set_lease(fd, EXCLUSIVE) ||
	    pthread_create(&thread, NULL, fsync_always, &fd))
		return EINVAL;
	return pin(memory, MANY_PAGES * PAGE).error;
}

/*
 * fsync takes away the permission to write to a page, which a pin has to have.
 */
TEST_F(layout, pin_beside_endless_fsync)
{
	int status = -1;
	pid_t pid;

	ASSERT_EQ(0, fallocate(self->fd, 0, 0, MANY_PAGES * PAGE));
	pid = fork();
	if (!pid)
		_exit(pin_beside_fsync(self->fd));
	EXPECT_TRUE(ends_within(pid, &status, 40)) {
		kill(pid, SIGKILL);
		ends_within(pid, &status, 30);
	}
	EXPECT_EQ(0, status);
}

static int overlay_lease(const char *lower)
{
	char options[256];
	int fd, error;

	if (mkdir("/dev/shm/upper", 0700) || mkdir("/dev/shm/work", 0700) ||
	    mkdir("/dev/shm/merged", 0700))
		return errno;
	snprintf(options, sizeof(options),
		 "lowerdir=%s,upperdir=/dev/shm/upper,workdir=/dev/shm/work",
		 lower);
	if (mount("overlay", "/dev/shm/merged", "overlay", 0, options))
		return errno;
	fd = open("/dev/shm/merged/file", O_RDONLY);
	error = fd < 0 ? errno : set_lease(fd, F_LAYOUT);
	close(fd);
	umount("/dev/shm/merged");
	return error;
}

TEST_F(layout, overlay_has_not_opted_in)
{
	EXPECT_EQ(EOPNOTSUPP, overlay_lease(kind_dir(&self->kind)));
	EXPECT_EQ(0, system("rm -rf /dev/shm/upper /dev/shm/work "
			    "/dev/shm/merged"));
}

TEST_F(layout, bind_mount_is_the_same_file)
{
	int fd;

	mkdir("/tmp/bound", 0700);
	ASSERT_EQ(0, mount(kind_dir(&self->kind), "/tmp/bound", NULL, MS_BIND,
			   NULL));
	fd = open("/tmp/bound/file", O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, set_lease(fd, EXCLUSIVE));
	EXPECT_EQ(0, try_pin(self->memory, PAGE));
	EXPECT_EQ(ETXTBSY, elsewhere(truncate(self->path, 0) ? errno : 0));
	close(fd);
	EXPECT_EQ(0, umount("/tmp/bound"));
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "--after-exec"))
		return after_exec(argv);
	return test_harness_run(argc, argv);
}
