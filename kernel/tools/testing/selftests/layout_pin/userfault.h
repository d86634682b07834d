/* SPDX-License-Identifier: GPL-2.0 */
/* Memory in which a page fault waits for somebody, who need not come. */
#ifndef LAYOUT_PIN_USERFAULT_H
#define LAYOUT_PIN_USERFAULT_H

#include <linux/userfaultfd.h>
#include <sys/syscall.h>
#include "layout_pin_test.h"

#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC	(1 << 15)
#endif

static inline int userfault_open(__u64 features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline int userfault_register(int fd, void *memory, long size,
				     __u64 mode)
{
	struct uffdio_register args = {
		.range = { (uintptr_t)memory, size }, .mode = mode,
	};

	return ioctl(fd, UFFDIO_REGISTER, &args) ? errno : 0;
}

/* Make @page, or a new one, anonymous memory in which a fault waits. */
static inline char *userfault_page(void *page, int *fd)
{
	page = mmap(page, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | (page ? MAP_FIXED : 0),
		    -1, 0);
	*fd = userfault_open(0);
	if (page == MAP_FAILED || *fd < 0 ||
	    userfault_register(*fd, page, PAGE, UFFDIO_REGISTER_MODE_MISSING))
		return NULL;
	return page;
}

/* A thread of some process waits for that somebody. */
static inline bool userfault_waits(pid_t pid, pid_t tid)
{
	char path[64];
	int i;

	sprintf(path, "/proc/%d/task/%d/stack", pid, tid);
	for (i = 0; i < 500; i++) {
		if (count_lines(path, "handle_userfault"))
			return true;
		usleep(20000);
	}
	return false;
}

#endif /* LAYOUT_PIN_USERFAULT_H */
