/* SPDX-License-Identifier: GPL-2.0 */
/* A device that is unbound while it is in use, and comes back. */
#ifndef LAYOUT_PIN_UNBIND_H
#define LAYOUT_PIN_UNBIND_H

#include "layout_pin_test.h"

/*
 * Within half a minute the log names this process, as one that has the owner.
 */
static inline bool unbind_names(pid_t pid)
{
	char command[256];
	int i;

	snprintf(command, sizeof(command),
		 "dmesg | grep -q 'layout_pin: removal of pmem[0-9] waits for .*/gup_test, which pinned file; processes that have it: %d$'",
		 pid);
	for (i = 0; i < 60; i++) {
		if (!system(command))
			return true;
		usleep(500000);
	}
	return false;
}

/* After an unbind that is done: a new file system on the same device. */
static inline int kind_anew(const struct kind *kind)
{
	kind_make_anew_later(kind);
	return kind_umount(kind) ?: kind_driver(kind, "bind") ?:
	       kind_mount(kind);
}

#endif /* LAYOUT_PIN_UNBIND_H */
