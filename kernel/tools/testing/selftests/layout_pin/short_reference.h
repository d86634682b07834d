/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A user of one page of a file that takes no privilege but read access, and has
 * no end: a pipe, for as long as that is not read.
 */
#ifndef LAYOUT_PIN_SHORT_REFERENCE_H
#define LAYOUT_PIN_SHORT_REFERENCE_H

#include <sys/uio.h>
#include "layout_pin_test.h"

static inline int short_reference(void *addr, int *pipe_fds)
{
	struct iovec iov = { .iov_base = addr, .iov_len = PAGE };

	return pipe(pipe_fds) || vmsplice(pipe_fds[1], &iov, 1, 0) != PAGE;
}

static inline void drop_reference(int *pipe_fds)
{
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

#endif /* LAYOUT_PIN_SHORT_REFERENCE_H */
