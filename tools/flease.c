// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * flease - run a command under layout leases
 *
 * In the manner of flock(1): open each file, take its lease, execute the command
 * with the descriptors held. The command replaces this process instead of being
 * its child, because the right to pin belongs to the process that took the
 * lease, and execve(2) keeps it.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "layout_lease.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC	0x58465342
#endif

#ifndef VERSION
#define VERSION "unknown"
#endif

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOEXEC = 126, EXIT_NOCOMMAND = 127 };

struct options {
	int kind;		/* argument of F_SETLEASE */
	double timeout;		/* seconds to wait for others, -1 for ever */
	int conflict_exit;	/* exit status when others do not let go */
	bool each;		/* a lease for each process instead of one */
	bool unshare;		/* give the files blocks of their own first */
};

static void usage(FILE *to)
{
	fprintf(to,
"Usage: flease [options] FILE... -- COMMAND [ARGUMENT...]\n"
"       flease --unshare FILE...\n"
"Run COMMAND while it holds a layout lease on each FILE.\n"
"\n"
" -x, --exclusive             unbreakable, nobody else's beside it (default)\n"
" -s, --shared                unbreakable, others may hold one as well\n"
" -e, --each                  shared, and one for each process that COMMAND starts\n"
" -b, --breakable             a layout change signals COMMAND and waits for it\n"
" -u, --unshare               first give FILE blocks of its own, as XFS needs\n"
" -n, --nonblock              fail if somebody else's lease is in the way\n"
" -w, --timeout SECONDS       wait at most so long for somebody else's lease\n"
" -E, --conflict-exit-code N  exit status after a conflict or timeout (1)\n"
" -h, --help                  show this text\n"
" -V, --version               show the version\n");
}

__attribute__((noreturn)) static void bad_usage(const char *what, const char *arg)
{
	fprintf(stderr, "flease: %s%s%s; try 'flease --help'\n", what,
		arg ? " " : "", arg ? arg : "");
	exit(EXIT_USAGE);
}

static double number(const char *text, double max)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(text, &end);
	if (errno || end == text || *end || !(value >= 0 && value <= max))
		bad_usage("not a valid number:", text);
	return value;
}

/* The process that holds a layout lease on this file, or 0 if that is unseen. */
static int lease_holder(const struct stat *st)
{
	unsigned int major, minor;
	unsigned long inode;
	char line[256];
	int pid, found = 0;
	FILE *file = fopen("/proc/locks", "re");

	while (file && !found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*d: LAYOUT %*s %*s %d %x:%x:%lu", &pid,
			   &major, &minor, &inode) != 4)
			continue;
		if (makedev(major, minor) == st->st_dev && inode == st->st_ino)
			found = pid;
	}
	if (file)
		fclose(file);
	return found;
}

static bool is_fs(int fd, long magic)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == magic;
}

/* Whether any extent is shared at this moment. */
static bool shares_blocks(int fd)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extent[128];
	} m = { };
	unsigned int i;

	m.map.fm_length = FIEMAP_MAX_OFFSET;
	m.map.fm_flags = FIEMAP_FLAG_SYNC;
	do {
		const struct fiemap_extent *extent = m.extent;

		m.map.fm_extent_count = 128;
		if (ioctl(fd, FS_IOC_FIEMAP, &m))
			return false;
		for (i = 0; i < m.map.fm_mapped_extents; i++, extent++) {
			if (extent->fe_flags & FIEMAP_EXTENT_SHARED)
				return true;
			if (extent->fe_flags & FIEMAP_EXTENT_LAST)
				return false;
			m.map.fm_start = extent->fe_logical + extent->fe_length;
		}
	} while (m.map.fm_mapped_extents);
	return false;
}

/* XFS keeps a mark on a file that was ever cloned; only unsharing takes it off. */
static const char *sharing_reason(int fd)
{
	if (shares_blocks(fd))
		return "it shares blocks with another file, as after a plain cp: "
		       "'flease --unshare FILE' gives it blocks of its own";
	return "it once shared blocks with another file, and 'flease --unshare "
	       "FILE' clears that; or this XFS is zoned or always copies on "
	       "write, and offers no layout leases";
}

/* Why F_SETLEASE refused, in the words of layout_lease.h where they are enough. */
static const char *reason(int fd, int error)
{
	enum layout_lease_reason why = layout_lease_reason_of(fd, error);

	switch (why) {
	case LAYOUT_LEASE_SHARED_BLOCKS:
		return sharing_reason(fd);
	case LAYOUT_LEASE_ERROR:
		return strerror(error);
	default:
		return layout_lease_why(why);
	}
}

__attribute__((noreturn))
static void conflict(const char *name, int fd, const struct options *opt)
{
	struct stat st;
	int pid = fstat(fd, &st) ? 0 : lease_holder(&st);

	if (pid)
		fprintf(stderr, "flease: %s: process %d holds a lease on it; end "
			"that, or wait for it with --timeout\n", name, pid);
	else
		fprintf(stderr, "flease: %s: somebody else holds a lease on it; "
			"see /proc/locks\n", name);
	exit(opt->conflict_exit);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* There is nothing to sleep on for a lease, so try again ten times a second. */
static void take_lease(const char *name, int fd, const struct options *opt)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	double deadline = now() + opt->timeout;

	while (fcntl(fd, F_SETLEASE, opt->kind)) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			errx(EXIT_FAILED, "%s: %s", name, reason(fd, errno));
		if (opt->timeout >= 0 && now() >= deadline)
			conflict(name, fd, opt);
		nanosleep(&pause, NULL);
	}
}

static int open_file(const char *name, bool read_only)
{
	int fd = open(name, read_only ? O_RDONLY : O_RDWR);

	if (fd < 0)
		err(EXIT_FAILED, "cannot open %s for %s", name,
		    read_only ? "reading" : "writing");
	return fd;
}

/*
 * With --each the lease is only to find out whether there can be one: it ends where
 * the command begins, which takes its own.
 */
static void lease_file(const char *name, const struct options *opt)
{
	int fd = open_file(name, opt->kind == F_LAYOUT);

	take_lease(name, fd, opt);
	if (opt->each && fcntl(fd, F_SETFD, FD_CLOEXEC))
		err(EXIT_FAILED, "%s", name);
}

/* The library, as it is found from this program: where both were built, installed. */
static char *library(void)
{
	static const char * const places[] = {
		"libflease.so", "../lib/holdfast/libflease.so",
	};
	char self[PATH_MAX], *path;
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	unsigned int i;

	if (len < 0)
		err(EXIT_FAILED, "/proc/self/exe");
	self[len] = 0;
	*strrchr(self, '/') = 0;
	for (i = 0; i < 2; i++) {
		if (asprintf(&path, "%s/%s", self, places[i]) < 0)
			err(EXIT_FAILED, NULL);
		/* What separates libraries cannot be part of a name. */
		if (!access(path, R_OK) && !strpbrk(path, ": "))
			return path;
		free(path);
	}
	errx(EXIT_FAILED, "--each needs %s/%s", self, places[1]);
}

/* @first, and what the variable was before, if it was anything. */
static void put_first(const char *variable, const char *between,
		      const char *first)
{
	const char *before = getenv(variable);
	char *value;

	if (asprintf(&value, "%s%s%s", first,
		     before && *before ? between : "", before ? before : "") < 0 ||
	    setenv(variable, value, 1))
		err(EXIT_FAILED, NULL);
	free(value);
}

/* Each process of the command is to take a lease on this file. */
static void name_file(const char *name)
{
	char *path = realpath(name, NULL);

	if (!path)
		err(EXIT_FAILED, "%s", name);
	if (strchr(path, '\n'))
		errx(EXIT_FAILED, "%s: --each cannot have a newline in a name",
		     name);
	put_first("FLEASE_FILES", "\n", path);
	free(path);
}

/* What an errno of the unsharing fallocate(2) means here. */
static const char *unshare_reason(int error)
{
	switch (error) {
	case EOPNOTSUPP:
		return "the file system cannot unshare blocks (XFS can)";
	case ETXTBSY:
		return "somebody has a lease or pins on it, or it is a swap "
		       "file; see 'lspins FILE'";
	case ENODEV:
		return "it is no regular file";
	default:
		return strerror(error);
	}
}

/* ext4 cannot unshare, and need not: no two of its files share blocks. */
static void unshare_range(const char *name, int fd, off_t size)
{
	while (size && fallocate(fd, FALLOC_FL_UNSHARE_RANGE, 0, size)) {
		if (errno == EINTR)
			continue;
		if (errno == EOPNOTSUPP && is_fs(fd, EXT4_SUPER_MAGIC))
			return;
		errx(EXIT_FAILED, "cannot unshare %s: %s", name,
		     unshare_reason(errno));
	}
}

static bool is_dax(int fd)
{
	struct statx stx;

	return !statx(fd, "", AT_EMPTY_PATH, 0, &stx) &&
	       (stx.stx_attributes & STATX_ATTR_DAX);
}

/*
 * XFS keeps its mark on a file whose page cache is dirty, and unsharing makes it
 * dirty. A whole sync, more than an fsync(2), then lets the second call clear it.
 */
static void unshare_file(const char *name)
{
	int fd = open_file(name, false);
	struct stat st;

	if (fstat(fd, &st))
		err(EXIT_FAILED, "%s", name);
	if (!S_ISREG(st.st_mode))
		errx(EXIT_FAILED, "%s: it is no regular file", name);
	unshare_range(name, fd, st.st_size);
	if (is_fs(fd, XFS_SUPER_MAGIC) && !is_dax(fd)) {
		if (syncfs(fd))
			err(EXIT_FAILED, "cannot sync %s", name);
		unshare_range(name, fd, st.st_size);
	}
	close(fd);
}

static void parse_options(int argc, char **argv, struct options *opt)
{
	static const struct option longs[] = {
		{ "exclusive", no_argument, NULL, 'x' },
		{ "shared", no_argument, NULL, 's' },
		{ "each", no_argument, NULL, 'e' },
		{ "breakable", no_argument, NULL, 'b' },
		{ "unshare", no_argument, NULL, 'u' },
		{ "nonblock", no_argument, NULL, 'n' },
		{ "timeout", required_argument, NULL, 'w' },
		{ "conflict-exit-code", required_argument, NULL, 'E' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+xsebunw:E:hV", longs, NULL)) != -1) {
		switch (c) {
		case 'x':
			opt->kind = F_LAYOUT | F_EXCLUSIVE;
			break;
		case 's':
			opt->kind = F_LAYOUT | F_UNBREAK;
			break;
		case 'e':
			opt->kind = F_LAYOUT | F_UNBREAK;
			opt->each = true;
			break;
		case 'b':
			opt->kind = F_LAYOUT;
			break;
		case 'u':
			opt->unshare = true;
			break;
		case 'n':
			opt->timeout = 0;
			break;
		case 'w':
			opt->timeout = number(optarg, 1e9);
			break;
		case 'E':
			opt->conflict_exit = number(optarg, 255);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		case 'V':
			puts("flease from holdfast " VERSION);
			exit(0);
		default:
			bad_usage("bad option", NULL);
		}
	}
}

int main(int argc, char **argv)
{
	struct options opt = {
		.kind = F_LAYOUT | F_EXCLUSIVE,
		.timeout = -1,
		.conflict_exit = EXIT_FAILED,
	};
	int i, command;

	parse_options(argc, argv, &opt);
	if (opt.each && opt.kind != (F_LAYOUT | F_UNBREAK))
		bad_usage("--each is for shared leases", NULL);
	/* getopt ate a "--" that came before the first file. */
	if (optind > 1 && !strcmp(argv[optind - 1], "--"))
		bad_usage("no file before --", NULL);
	for (command = optind; command < argc; command++)
		if (!strcmp(argv[command], "--"))
			break;
	if (command == optind)
		bad_usage("no file", NULL);
	if (command + 1 >= argc && (command < argc || !opt.unshare))
		bad_usage("no command after --", NULL);

	for (i = optind; i < command && opt.unshare; i++)
		unshare_file(argv[i]);
	if (command == argc)
		return 0;
	for (i = optind; i < command; i++) {
		lease_file(argv[i], &opt);
		if (opt.each)
			name_file(argv[i]);
	}
	if (opt.each)
		put_first("LD_PRELOAD", ":", library());
	execvp(argv[command + 1], argv + command + 1);
	err(errno == ENOENT ? EXIT_NOCOMMAND : EXIT_NOEXEC, "cannot run %s",
	    argv[command + 1]);
}
