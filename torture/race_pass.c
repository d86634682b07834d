// SPDX-License-Identifier: GPL-2.0
/*
 * The race test: owners and leased files that go round in a ring of sockets,
 * and a process that takes a lease, executes itself and pins then.
 */
#include "race.h"
#include "descriptor.h"
#include <poll.h>

#define RING	3

static int ring[RING][2];

int make_ring(void)
{
	int i;

	for (i = 0; i < RING; i++)
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			       0, ring[i]))
			return errno;
	return 0;
}

void close_ring(void)
{
	int i;

	for (i = 0; i < RING; i++) {
		close(ring[i][0]);
		close(ring[i][1]);
	}
}

/* Full: EAGAIN. */
void pass_on(int fd)
{
	perform(SEND, send_descriptor(ring[roll(RING)][0], fd));
}

static void pass_round(void)
{
	struct pollfd poll_fd = {
		.fd = ring[me->nr % RING][1], .events = POLLIN,
	};
	int fd;

	if (poll(&poll_fd, 1, 20) != 1)
		return;
	begin(RECEIVE);
	fd = receive_descriptor(poll_fd.fd);
	if (fd < 0) {
		/* Another one of the ring was quicker. */
		me->since = 0;
		return;
	}
	answered(RECEIVE, 0);
	count_lines("/proc/self/file_pins", "");
	if (roll(4))
		perform(SEND, send_descriptor(ring[(me->nr + 1) % RING][0], fd));
	nap(5);
	perform(CLOSE, errno_of(close(fd)));
}

const struct role passer = {
	.name = "passer", .round = pass_round, .mortal = true,
};

/* The lease lives through it: the new program pins under it. */
static void execute_round(void)
{
	int file = roll(FILES), fd = open_raced(me->fs, file);
	char words[3][16];

	if (fd < 0)
		return;
	fcntl(fd, F_SETFD, 0);
	if (take_lease(fd, UNBREAK)) {
		close(fd);
		nap(50);
		return;
	}
	now_held(LEASED, me->fs, file, fd);
	sprintf(words[0], "%d", me->nr);
	sprintf(words[1], "%d", file);
	sprintf(words[2], "%d", fd);
	begin(EXEC);
	execl("/proc/self/exe", "race", "--executed", words[0], words[1],
	      words[2], NULL);
	answered(EXEC, errno);
	held_no_more(NOTHING);
	close(fd);
}

void executed(int fs, int file, int fd)
{
	long nr = 1 + roll(8), first = roll(FILE_PAGES - nr);
	int owner = open_owner(), error;
	char *memory;

	answered(EXEC, 0);
	memory = map_raced(fd, false);
	if (memory && !make_room(fd, first, nr)) {
		error = perform(PIN, pin_with(owner, memory + first * PAGE,
					      nr * PAGE, PIN_WRITE | PIN_FAST));
		if (!error) {
			tag_pages(memory, file, first, nr);
			now_pinned(fd, first, nr, memory + first * PAGE);
			nap(20);
			check_pinned(owner, fd, file, first, nr);
		}
	}
	held_no_more(NOTHING);
	if (memory)
		perform(UNMAP, errno_of(munmap(memory, FILE_SIZE)));
	perform(CLOSE, errno_of(close(owner)));
	perform(CLOSE, errno_of(close(fd)));
	nap(300);
}

const struct role executer = {
	.name = "executer", .round = execute_round, .mortal = true,
};
