// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * path NAME DIRECTORY: what a file system does for files without leases that
 * the patches have a hand in: truncate, punch, open, leases as they ever were,
 * write. NAME is that of the file system, for the figures.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define FILE_SIZE	(256L << 10)
#define SAMPLES		49
#define BATCH		32	/* operations a sample: their mean */

struct file {
	char path[256];
	int fd;
	int step;	/* where the next operation goes */
	char *memory;	/* of the whole file, or NULL */
};

static void write_pages(struct file *file, off_t at, off_t size)
{
	static char page[PAGE];

	for (; size > 0; at += PAGE, size -= PAGE)
		if (pwrite(file->fd, page, PAGE, at) != PAGE)
			err(1, "%s", file->path);
}

static void fill(struct file *file)
{
	write_pages(file, 0, FILE_SIZE);
}

static void unmap(struct file *file)
{
	munmap(file->memory, FILE_SIZE);
	file->memory = NULL;
}

/* Filled and mapped: for a DAX file the kernel then knows its pages. */
static void fill_mapped(struct file *file)
{
	long at;

	if (file->memory)
		unmap(file);
	fill(file);
	file->memory = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			    file->fd, 0);
	if (file->memory == MAP_FAILED)
		err(1, "mmap");
	for (at = 0; at < FILE_SIZE; at += PAGE)
		file->memory[at] = 1;
}

static void fill_once_mapped(struct file *file)
{
	fill_mapped(file);
	unmap(file);
}

static void do_truncate(struct file *file)
{
	if (ftruncate(file->fd, 0))
		err(1, "truncate");
}

/* The page that the former punch took away comes back. */
static void refill(struct file *file)
{
	off_t at = file->step * PAGE % FILE_SIZE;

	write_pages(file, at, PAGE);
	file->step++;
}

static void do_punch(struct file *file)
{
	if (fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      file->step * PAGE % FILE_SIZE, PAGE))
		err(1, "punch");
}

static void do_open(struct file *file)
{
	int fd = open(file->path, O_RDWR);

	if (fd < 0 || close(fd))
		err(1, "%s", file->path);
}

static void do_write(struct file *file)
{
	write_pages(file, 0, PAGE);
}

/* On a descriptor of its own: nobody may have the file open for writing. */
static void reopen_for_reading(struct file *file)
{
	close(file->fd);
	file->fd = open(file->path, O_RDONLY);
	if (file->fd < 0)
		err(1, "%s", file->path);
}

static void do_lease(struct file *file)
{
	if (fcntl(file->fd, F_SETLEASE, F_RDLCK) ||
	    fcntl(file->fd, F_SETLEASE, F_UNLCK))
		err(1, "lease");
}

/* In the order in which they are measured: truncate leaves the file empty. */
static const struct operation {
	const char *name;
	void (*prepare)(struct file *file);	/* each time, not counted */
	void (*once)(struct file *file);	/* before all of them */
	void (*run)(struct file *file);
} operations[] = {
	{ "write", NULL, fill, do_write },
	{ "open", NULL, NULL, do_open },
	{ "punch", refill, NULL, do_punch },
	{ "truncate", fill, NULL, do_truncate },
	{ "truncate-mapped", fill_mapped, NULL, do_truncate },
	{ "truncate-once-mapped", fill_once_mapped, NULL, do_truncate },
	{ "lease", NULL, reopen_for_reading, do_lease },
};

/* The mean of one operation, without what prepares it. */
static uint64_t batch(const struct operation *operation, struct file *file)
{
	uint64_t start = now(), sum = 0;
	int i;

	for (i = 0; i < BATCH; i++) {
		if (operation->prepare) {
			operation->prepare(file);
			start = now();
		}
		operation->run(file);
		if (operation->prepare)
			sum += now() - start;
	}
	return (operation->prepare ? sum : now() - start) / BATCH;
}

static void one_operation(const struct operation *operation, struct file *file,
			  const char *name)
{
	struct series series = { };
	char subject[64];
	int i;

	if (operation->once)
		operation->once(file);
	batch(operation, file);
	for (i = 0; i < SAMPLES; i++)
		add(&series, batch(operation, file));
	snprintf(subject, sizeof(subject), "%s-%s", name, operation->name);
	print(&series, "path", subject, 0);
}

int measure_path(int argc, char **argv)
{
	struct file file = { };
	size_t i;

	if (argc != 2)
		return 2;
	snprintf(file.path, sizeof(file.path), "%s/file", argv[1]);
	file.fd = make_file(file.path, FILE_SIZE);
	for (i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		one_operation(&operations[i], &file, argv[0]);
	return 0;
}
