/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files that come, grow, shrink and go, beside those under test. Functions
 * return 0 or what errno was.
 */
#ifndef LAYOUT_PIN_CHURN_H
#define LAYOUT_PIN_CHURN_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CHUNK	(64L << 10)

static inline int write_some(int fd, long size)
{
	static char data[CHUNK];
	long at;

	memset(data, 'c', sizeof(data));
	for (at = 0; at < size; at += CHUNK)
		if (pwrite(fd, data, CHUNK, at) < 0)
			return errno;
	return 0;
}

/* One change of a file that may be there, by chance. */
static inline int churn(const char *path, unsigned int dice)
{
	int error = 0, fd;

	if (dice % 8 == 7)
		return unlink(path) && errno != ENOENT ? errno : 0;
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return errno;
	if (dice % 8 == 6 && ftruncate(fd, (dice >> 8) % (8 * CHUNK)))
		error = errno;
	else if (dice % 8 == 5 &&
		 fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			   (dice >> 8) % (8 * CHUNK), CHUNK))
		error = errno;
	else if (dice % 8 < 5)
		error = write_some(fd, ((dice >> 8) % 8 + 1) * CHUNK);
	close(fd);
	return error;
}

#endif /* LAYOUT_PIN_CHURN_H */
