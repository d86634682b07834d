// SPDX-License-Identifier: GPL-2.0
/*
 * Owners that a process has only as registered files of an io_uring, whichever
 * way it has the ring itself: nobody stays out of sight by them, and who looks
 * waits for no user of a ring.
 */
#define LAYOUT_PIN_SMALL_ONLY
#include "layout_pin_fixture.h"
#include "file_pins.h"
#include <pthread.h>

#include "ring.h"
#include "unbind.h"
#include "userfault.h"

/* An owner with a pin that is a file of @ring and nothing else. */
static int pin_registered(char *memory, int ring)
{
	struct pin p = pin(memory, PAGE);
	int files[3] = { -1, p.fd, -1 };
	int error = p.error ?:
		ring_register(ring, IORING_REGISTER_FILES, files, 3);

	close(p.fd);
	return error;
}

static char *line_of(const char *path, char *line)
{
	sprintf(line, "io_uring: " OWNER "\n\t%s\n", path);
	return line;
}

TEST_F(layout, owner_registered_with_a_ring_is_shown)
{
	int ring = ring_new();
	char want[256];

	ASSERT_LE(0, ring);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, pin_registered(self->memory, ring));
	EXPECT_STREQ(line_of(self->path, want), file_pins());
	/* Who got the ring has it, too. */
	EXPECT_EQ(0, elsewhere(!!strcmp(want, file_pins())));
	ASSERT_EQ(0, ring_register(ring, IORING_UNREGISTER_FILES, NULL, 0));
	EXPECT_TRUE(pins_end());
	EXPECT_STREQ("", file_pins());
	close(ring);
}

TEST_F(layout, owner_with_a_descriptor_is_not_shown_as_registered)
{
	int ring = ring_new();
	char want[256];
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	ASSERT_EQ(0, ring_register(ring, IORING_REGISTER_FILES, &p.fd, 1));
	sprintf(want, "%d: " OWNER "\n\t%s\n", p.fd, self->path);
	EXPECT_STREQ(want, file_pins());
	unpin(p);
	EXPECT_STREQ(line_of(self->path, want), file_pins());
	close(ring);
	EXPECT_TRUE(pins_end());
}

/* What the mm has pinned comes last. */
TEST_F(layout, ring_that_is_only_mapped_is_looked_into)
{
	int ring = ring_new(), owner = open_owner();
	char want[256], *mapping;

	mapping = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ring,
		       IORING_OFF_SQ_RING);
	ASSERT_NE(MAP_FAILED, mapping);
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, pin_registered(self->memory, ring));
	ASSERT_EQ(0, pin_with(owner, self->memory + PAGE, PAGE,
			      PIN_WRITE | PIN_FAST | PIN_MM));
	close(ring);
	sprintf(line_of(self->path, want) + strlen(want), "%s\n", self->path);
	EXPECT_STREQ(want, file_pins());
	munmap(mapping, PAGE);
	close(owner);
	EXPECT_TRUE(pins_end());
}

TEST_F(layout, ring_that_is_only_registered_is_looked_into)
{
	char want[256];
	int tell[2];
	pid_t pid;

	ASSERT_EQ(0, set_lease(self->fd, SHARED));
	ASSERT_EQ(0, pipe(tell));
	pid = fork();
	if (!pid) {
		int ring = ring_new(), fd = open(self->path, O_RDWR);

		tell_and_wait(tell[1], set_lease(fd, SHARED) ?:
			      pin_registered(map_file(fd, PAGE), ring) ?:
			      ring_without_descriptor(ring));
	}
	ASSERT_EQ(0, hear(tell));
	EXPECT_STREQ(line_of(self->path, want), file_pins_of(pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_TRUE(pins_end());
}

/* Nor from the log of an unbind that waits. */
TEST_F(layout, unbind_names_who_has_the_ring)
{
	pid_t unbind, holder;
	int status = -1, ring, tell[2];

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, pipe(tell));
	ring = ring_new();
	ASSERT_EQ(0, pin_registered(self->memory, ring));
	holder = fork();
	if (!holder)
		tell_and_wait(tell[1], ring_without_descriptor(ring));
	ASSERT_EQ(0, hear(tell));
	close(ring);
	let_go(self);
	unbind = fork();
	if (!unbind)
		_exit(kind_driver(&self->kind, "unbind"));
	EXPECT_TRUE(unbind_names(holder));
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	EXPECT_TRUE(ends_within(unbind, &status, 30));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, kind_anew(&self->kind));
}

/* Another thread of the process. */
struct side {
	pthread_t thread;
	pthread_barrier_t ready, end;
	pid_t tid;
	int ring, error;
	char *memory;
};

static int side_start(struct side *side, void *(*run)(void *))
{
	int error = pthread_barrier_init(&side->ready, NULL, 2) ?:
		pthread_barrier_init(&side->end, NULL, 2) ?:
		pthread_create(&side->thread, NULL, run, side);

	if (error)
		return error;
	pthread_barrier_wait(&side->ready);
	return side->error;
}

static void *keep_ring(void *data)
{
	struct side *side = data;

	side->tid = gettid();
	side->error = pin_registered(side->memory, side->ring) ?:
		ring_without_descriptor(side->ring);
	pthread_barrier_wait(&side->ready);
	pthread_barrier_wait(&side->end);
	return NULL;
}

TEST_F(layout, ring_of_another_thread_is_looked_into)
{
	struct side side = { .ring = ring_new(), .memory = self->memory };
	char want[256];

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, side_start(&side, keep_ring));
	EXPECT_STREQ(line_of(self->path, want), file_pins());
	EXPECT_STREQ(want, file_pins_of_thread(getpid(), side.tid));
	pthread_barrier_wait(&side.end);
	pthread_join(side.thread, NULL);
	EXPECT_TRUE(pins_end());
	EXPECT_STREQ("", file_pins());
}

/* Sleeps in a page fault that nobody handles, with the lock of the ring. */
static void *keep_lock(void *data)
{
	struct side *side = data;
	struct io_uring_files_update update = {
		.offset = 2, .fds = (uintptr_t)side->memory,
	};

	side->tid = gettid();
	pthread_barrier_wait(&side->ready);
	side->error = ring_register(side->ring, IORING_REGISTER_FILES_UPDATE,
				    &update, 1);
	return NULL;
}

TEST_F(layout, reader_waits_for_no_user_of_a_ring)
{
	struct side side = { .ring = ring_new() };
	int uffd, status = -1;
	char want[256];
	pid_t reader;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, pin_registered(self->memory, side.ring));
	line_of(self->path, want);
	side.memory = userfault_page(NULL, &uffd);
	ASSERT_NE(NULL, side.memory);
	ASSERT_EQ(0, side_start(&side, keep_lock));
	EXPECT_TRUE(userfault_waits(getpid(), side.tid));
	reader = fork();
	if (!reader)
		_exit(!!strcmp(want, file_pins_of(getppid())));
	EXPECT_TRUE(ends_within(reader, &status, 30));
	EXPECT_EQ(0, status);
	/* Then the fault is one like others. */
	close(uffd);
	pthread_join(side.thread, NULL);
	close(side.ring);
	EXPECT_TRUE(pins_end());
}

#define CHURN	3.0	/* seconds */

/* Rings and tables that come and go, each for the time of some calls. */
static void *churn(void *data)
{
	struct side *side = data;
	double end = seconds() + CHURN;
	int ring, error;

	pthread_barrier_wait(&side->ready);
	while (!side->error && seconds() < end) {
		ring = ring_new();
		error = pin_registered(side->memory, ring);
		ring_register(ring, IORING_UNREGISTER_FILES, NULL, 0);
		side->error = error ?:
			pin_registered(side->memory, ring) ?:
			ring_without_descriptor(ring);
		ring_unregister();
	}
	return NULL;
}

TEST_F(layout, readers_beside_rings_that_come_and_go)
{
	struct side side = { .memory = self->memory };
	double end = seconds() + CHURN;

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, side_start(&side, churn));
	while (seconds() < end)
		file_pins();
	pthread_join(side.thread, NULL);
	EXPECT_EQ(0, side.error);
	EXPECT_TRUE(pins_end());
	EXPECT_STREQ("", file_pins());
}

TEST_HARNESS_MAIN
