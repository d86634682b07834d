/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process that dies at a chosen point inside the kernel: it counts events of a
 * trace point with perf, and the event's signal, which is SIGKILL, comes with
 * the n-th. Each lock that is taken is such an event where lockdep is built in,
 * so nearly every line of the kernel is near one.
 */
#ifndef LAYOUT_PIN_SIGKILL_H
#define LAYOUT_PIN_SIGKILL_H

#include <ctype.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/perf_event.h>

#define EVENTS		"/sys/kernel/tracing/events/"
#define NEVER		(1ULL << 40)

/* The finest steps that this kernel has. */
static inline const char *step_event(void)
{
	static const char * const events[] = {
		"lock/lock_acquire", "kmem/kmem_cache_alloc",
	};
	static char path[96];
	unsigned int i;

	for (i = 0; i < sizeof(events) / sizeof(*events); i++) {
		snprintf(path, sizeof(path), EVENTS "%s/id", events[i]);
		if (!access(path, R_OK))
			return events[i];
	}
	return NULL;
}

static inline int step_id(void)
{
	const char *event = step_event();
	char path[96];
	FILE *file;
	int id = -1;

	if (!event)
		return -1;
	snprintf(path, sizeof(path), EVENTS "%s/id", event);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%d", &id) != 1)
		id = -1;
	if (file)
		fclose(file);
	return id;
}

/* Not enabled yet. The calling task dies with the n-th event after that. */
static inline int step_open(__u64 n)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = step_id(),
		.sample_period = n,
		.wakeup_events = 1,
		.disabled = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1,
			 PERF_FLAG_FD_CLOEXEC);

	if (fd < 0 || fcntl(fd, F_SETOWN, getpid()) ||
	    fcntl(fd, F_SETSIG, SIGKILL) || fcntl(fd, F_SETFL, O_ASYNC))
		return -1;
	return fd;
}

static inline int step_enable(int fd)
{
	return ioctl(fd, PERF_EVENT_IOC_REFRESH, 1);
}

/* How many there were. */
static inline __u64 step_disable(int fd)
{
	__u64 count = 0;

	ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
	if (read(fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

/* Where a task sleeps in the kernel; empty if it does not. */
static inline void where_it_sleeps(pid_t task, char *where, size_t size)
{
	char path[64];
	FILE *file;

	where[0] = 0;
	snprintf(path, sizeof(path), "/proc/%d/wchan", task);
	file = fopen(path, "re");
	if (file && !fgets(where, size, file))
		where[0] = 0;
	if (file)
		fclose(file);
}

/* True once it sleeps in a function that has either in its name. */
static inline bool sleeps_in(pid_t task, const char *function, const char *other)
{
	char where[128] = "";
	int i;

	for (i = 0; i < 1000; i++) {
		where_it_sleeps(task, where, sizeof(where));
		if (strstr(where, function) || strstr(where, other))
			return true;
		usleep(10000);
	}
	printf("# sleeps in '%s', not in '%s'\n", where, function);
	return false;
}

#endif /* LAYOUT_PIN_SIGKILL_H */
