// SPDX-License-Identifier: GPL-2.0
/*
 * For scripts, not a test of its own:
 *
 *	hold_file FILE BYTES
 *		takes an exclusive layout lease on FILE, pins its first BYTES
 *		if there are to be any, says "held", and holds that until its
 *		input ends
 *	hold_file FILE layout
 *		takes a breakable layout lease on FILE, and keeps it as long as
 *		it may, whoever asks
 *	hold_file FILE page
 *		takes no lease, and has the first page of FILE in a pipe instead
 */
#include "short_reference.h"
#include <err.h>

static void *map_first(int fd, long size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			    0);

	if (memory == MAP_FAILED)
		err(1, "mmap");
	return memory;
}

static void lease_and_pin(const char *path, int fd, long size)
{
	struct pin p;

	if (fcntl(fd, F_SETLEASE, F_LAYOUT | F_EXCLUSIVE))
		err(1, "%s", path);
	if (!size)
		return;
	p = pin(map_first(fd, size), size);
	if (p.error)
		errx(1, "pin: %s", strerror(p.error));
}

static void lease_breakable(const char *path, int fd)
{
	signal(SIGIO, SIG_IGN);
	if (fcntl(fd, F_SETLEASE, F_LAYOUT))
		err(1, "%s", path);
}

static void use_page(int fd)
{
	void *memory = map_first(fd, PAGE);
	int fds[2];

	/* Or it might be a hole's. */
	memset(memory, 'x', PAGE);
	if (short_reference(memory, fds))
		err(1, "vmsplice");
	munmap(memory, PAGE);
}

int main(int argc, char **argv)
{
	bool page = argc == 3 && !strcmp(argv[2], "page");
	bool layout = argc == 3 && !strcmp(argv[2], "layout");
	long size = argc == 3 ? atol(argv[2]) : -1;
	char byte;
	int fd;

	if (size < 0)
		errx(2, "Usage: hold_file FILE BYTES|layout|page");
	fd = open(argv[1], O_RDWR);
	if (fd < 0)
		err(1, "%s", argv[1]);
	if (page)
		use_page(fd);
	else if (layout)
		lease_breakable(argv[1], fd);
	else
		lease_and_pin(argv[1], fd, size);
	puts("held");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
