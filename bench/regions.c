// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * regions FILE: a truncate that is refused, of a file with 1 region and with
 * 1,000,000 regions, by the process that holds the lease and by another.
 * Regions are pages, spread over the file, the last page always among them;
 * truncate takes away all of the file, or its last page only.
 *
 * pins DIRECTORY: reading file_pins with 10 files and 1 region each, then with
 * 10,000 regions each.
 *
 * A soft RoCE device has half a million regions at most, so there are two.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define FILE_SIZE	(512L << 20)
#define REGIONS		1000000
#define SAMPLES		401
#define FILES		10
#define PIN_FILE_SIZE	(4L << 20)
#define PIN_REGIONS	10000

static void refused(const char *path, const char *who, long nr)
{
	static const struct {
		const char *name;
		off_t size;
	} truncates[] = {
		{ "all", 0 },
		{ "last", FILE_SIZE - PAGE },
	};
	char subject[64];
	uint64_t start;
	int fd = open(path, O_RDWR), i, j;

	for (i = 0; i < 2; i++) {
		struct series series = { };

		for (j = 0; j < SAMPLES; j++) {
			start = now();
			if (!ftruncate(fd, truncates[i].size) || errno != ETXTBSY)
				errx(1, "truncate was not refused");
			add(&series, now() - start);
		}
		snprintf(subject, sizeof(subject), "%s-%s", who,
			 truncates[i].name);
		print(&series, "refused", subject, nr);
	}
	close(fd);
}

static void refused_by_all(const char *path, long nr)
{
	int status;

	refused(path, "holder", nr);
	if (!fork()) {
		refused(path, "other", nr);
		_exit(0);
	}
	wait(&status);
	if (status)
		errx(1, "the other process failed");
}

/* Region i of many: the last page first, then page 0 and on, round and round. */
static void add_regions(struct ibv_pd **pd, char *memory, long from, long nr)
{
	long pages = FILE_SIZE / PAGE, i;

	for (i = from; i < nr; i++)
		reg(pd[i % 2], memory + (i + pages - 1) % pages * PAGE, PAGE);
}

int measure_regions(int argc, char **argv)
{
	struct ibv_pd *pd[2] = { open_device("rxe0"), open_device("rxe1") };
	struct memory memory;

	if (argc != 1)
		return 2;
	map_memory(&memory, "fsdax-4k", argv[0], FILE_SIZE);
	take_lease(memory.fd, F_LAYOUT | F_UNBREAK);
	add_regions(pd, memory.at, 0, 1);
	refused_by_all(argv[0], 1);
	add_regions(pd, memory.at, 1, REGIONS);
	refused_by_all(argv[0], REGIONS);
	return 0;
}

static void read_pins(long nr)
{
	struct series series = { };
	static char text[64 << 10];
	uint64_t start;
	ssize_t length;
	int fd, i;

	for (i = 0; i < SAMPLES; i++) {
		start = now();
		fd = open("/proc/self/file_pins", O_RDONLY);
		length = read(fd, text, sizeof(text));
		close(fd);
		add(&series, now() - start);
		if (length <= FILES)
			errx(1, "file_pins: %zd bytes", length);
	}
	print(&series, "file_pins", "10-files", nr);
}

int measure_pins(int argc, char **argv)
{
	struct ibv_pd *pd = open_device("rxe0");
	struct memory memory[FILES];
	char path[256];
	long i, j;

	if (argc != 1)
		return 2;
	for (i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/file%ld", argv[0], i);
		map_memory(&memory[i], "fsdax-4k", path, PIN_FILE_SIZE);
		take_lease(memory[i].fd, F_LAYOUT | F_UNBREAK);
		reg(pd, memory[i].at, PAGE);
	}
	read_pins(FILES);
	for (i = 0; i < FILES; i++)
		for (j = 1; j < PIN_REGIONS; j++)
			reg(pd, memory[i].at + j * PAGE % PIN_FILE_SIZE, PAGE);
	read_pins(FILES * PIN_REGIONS);
	return 0;
}
