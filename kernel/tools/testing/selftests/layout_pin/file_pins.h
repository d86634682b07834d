/* SPDX-License-Identifier: GPL-2.0 */
/* Reading /proc/<pid>/file_pins, and what its lines are made of. */
#ifndef LAYOUT_PIN_FILE_PINS_H
#define LAYOUT_PIN_FILE_PINS_H

#include "layout_pin_test.h"

#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)
#define SHARED		(F_LAYOUT | F_UNBREAK)
#define OWNER		"/sys/kernel/debug/gup_test"

static char text[1 << 16];	/* the last one that was read */

/* All of a file, or what errno says. */
static inline const char *read_file(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t size, all = 0;

	while (fd >= 0 &&
	       (size = read(fd, text + all, sizeof(text) - 1 - all)) > 0)
		all += size;
	if (fd >= 0)
		close(fd);
	text[all] = 0;
	return fd < 0 ? strerror(errno) : text;
}

static inline const char *file_pins_of(pid_t pid)
{
	char path[64];

	sprintf(path, "/proc/%d/file_pins", pid);
	return read_file(path);
}

static inline const char *file_pins(void)
{
	return file_pins_of(getpid());
}

static inline const char *file_pins_of_thread(pid_t pid, pid_t tid)
{
	char path[64];

	sprintf(path, "/proc/%d/task/%d/file_pins", pid, tid);
	return read_file(path);
}

#endif /* LAYOUT_PIN_FILE_PINS_H */
