/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every allocation, and every copy to or from user space, of an operation
 * failed in turn (fail-nth), for the programs that do so.
 */
#ifndef LAYOUT_PIN_FAULTS_H
#define LAYOUT_PIN_FAULTS_H

#define MOST		1000	/* an operation has fewer that can fail */

/* Allocations that may sleep fail, too, silently. */
static inline int allow_faults(void)
{
	static const char * const files[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	char path[128];
	unsigned int i;
	int error;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		sprintf(path, "/sys/kernel/debug/%s", files[i][0]);
		error = write_text(path, files[i][1]);
		if (error)
			return error;
	}
	return 0;
}

/*
 * Have a function of the kernel fail when it is called next, instead of doing
 * anything; without a name none. It has to be one that allows it.
 */
static inline int fail_function(const char *name)
{
	static const char dir[] = "/sys/kernel/debug/fail_function";
	static const char * const settings[][2] = {
		{ "verbose", "0" }, { "probability", "100" }, { "times", "1" },
	};
	char path[128];
	unsigned int i;
	int error;

	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		sprintf(path, "%s/%s", dir, settings[i][0]);
		error = write_text(path, settings[i][1]);
		if (error)
			return error;
	}
	sprintf(path, "%s/inject", dir);
	return write_text(path, name ?: "\n");
}

static int fail_fd;

static inline int fail_nth(int n)
{
	char text[16];

	if (!fail_fd)
		fail_fd = open("/proc/thread-self/fail-nth", O_RDWR);
	sprintf(text, "%d", n);
	return pwrite(fail_fd, text, strlen(text), 0) < 0 ? errno : 0;
}

/*
 * How far it was from failing: 0 means that it did. -1 if the next thing was to
 * fail, which is this read.
 */
static inline int fails_left(void)
{
	char text[16] = "";

	if (pread(fail_fd, text, sizeof(text) - 1, 0) < 0)
		return -1;
	fail_nth(0);
	return atoi(text);
}

/* What an allocation or a copy that failed is answered with. */
static inline bool is_of_a_fault(int error)
{
	return error == ENOMEM || error == EFAULT || error == ENOBUFS;
}

/*
 * Runs @operation, an expression that is an errno, with its first, second, ...
 * allocation or copy failed, until it has no more; @undo after it worked; and
 * @same has to be true after each.
 */
#define sweep(operation, undo, same) do {				\
	int __n, __left = 0, __error, __faults = 0;			\
									\
	for (__n = 1; __n < MOST && !__left; __n++) {			\
		ASSERT_EQ(0, fail_nth(__n));				\
		__error = (operation);					\
		__left = fails_left();					\
		__faults += !__left;					\
		EXPECT_TRUE(!__error || (!__left && is_of_a_fault(__error))) {\
			TH_LOG("fault %d: %s", __n, strerror(__error));	\
		}							\
		if (!__error)						\
			undo;						\
		EXPECT_TRUE(same) {					\
			TH_LOG("after fault %d", __n);			\
		}							\
	}								\
	EXPECT_LT(0, __faults);						\
	EXPECT_LT(__n, MOST);						\
} while (0)

#endif /* LAYOUT_PIN_FAULTS_H */
