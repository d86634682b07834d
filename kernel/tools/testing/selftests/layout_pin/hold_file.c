// SPDX-License-Identifier: GPL-2.0
/*
 * For scripts, not a test of its own:
 *
 *	hold_file FILE BYTES
 *		takes an exclusive layout lease on FILE, pins its first BYTES
 *		if there are to be any, says "held", and holds that until its
 *		input ends
 */
#include "layout_pin_test.h"
#include <err.h>

int main(int argc, char **argv)
{
	long size = argc == 3 ? atol(argv[2]) : -1;
	void *memory;
	struct pin p;
	char byte;
	int fd;

	if (size < 0)
		errx(2, "Usage: hold_file FILE BYTES");
	fd = open(argv[1], O_RDWR);
	if (fd < 0 || fcntl(fd, F_SETLEASE, F_LAYOUT | F_EXCLUSIVE))
		err(1, "%s", argv[1]);
	if (size) {
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			      fd, 0);
		if (memory == MAP_FAILED)
			err(1, "mmap");
		p = pin(memory, size);
		if (p.error)
			errx(1, "pin: %s", strerror(p.error));
	}
	puts("held");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
