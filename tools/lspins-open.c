// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which files a process has open or mapped. Read only of processes of which
 * something is to be known that file_pins and /proc/locks do not tell: the path of
 * a leased file, the inode of an unlinked one, who keeps a lease alive.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lspins-data.h"

static int open_compare(const void *a, const void *b)
{
	const struct open_file *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void add_open(struct snapshot *snap, struct process *process,
		     struct file *file, const char *path, int fd)
{
	struct open_file *open = snap_alloc(snap, sizeof(*open));

	*open = (struct open_file){ .file = file, .path = path, .fd = fd };
	list_add(&process->opens, open);
	if (!file->path)
		file->path = path;
}

/* The link leads to the file itself, unless it is one of a copied tree. */
static void read_fd(struct snapshot *snap, struct process *process,
		    const char *link, int fd)
{
	char target[PATH_MAX];
	ssize_t len = readlink(link, target, sizeof(target) - 1);
	struct file *file;
	struct stat st;

	if (len < 0 || *target != '/')
		return;
	target[len] = 0;
	if (*snap->root) {
		file = file_at(snap, snap_copy(snap, target));
		if (file)
			add_open(snap, process, file, snap_copy(snap, target), fd);
		return;
	}
	if (stat(link, &st) || !S_ISREG(st.st_mode))
		return;
	add_open(snap, process, file_get(snap, st.st_dev, st.st_ino),
		 snap_copy(snap, target), fd);
}

static void read_fds(struct snapshot *snap, struct process *process)
{
	char *path = snap_printf(snap, "%s/fd", process_dir(snap, process));
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir) {
		process->opens_denied = errno == EACCES || errno == EPERM;
		return;
	}
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			read_fd(snap, process, snap_printf(snap, "%s/%s", path,
				entry->d_name), atoi(entry->d_name));
	closedir(dir);
}

static void read_maps(struct snapshot *snap, struct process *process)
{
	char *text = read_text(snap, snap_printf(snap, "%s/maps",
						 process_dir(snap, process)));
	unsigned int major, minor;
	unsigned long inode;
	struct file *file, *before = NULL;
	char *line;
	int path;

	while (text && (line = strsep(&text, "\n"))) {
		path = 0;
		if (sscanf(line, "%*s %*s %*s %x:%x %lu %n", &major, &minor,
			   &inode, &path) != 3 || !inode || line[path] != '/')
			continue;
		file = file_get(snap, makedev(major, minor), inode);
		if (file == before)
			continue;
		before = file;
		unescape(line + path, "\n");
		add_open(snap, process, file, line + path, -1);
	}
}

void process_opens(struct snapshot *snap, struct process *process)
{
	if (process->opens_read)
		return;
	process->opens_read = true;
	read_fds(snap, process);
	read_maps(snap, process);
	list_sort(&process->opens, open_compare);
}

/* The one file that the process has open by this path, or NULL. */
struct file *process_find(struct snapshot *snap, struct process *process,
			  const char *path)
{
	const struct open_file key = { .path = path };
	struct file *file = NULL;
	size_t i;

	process_opens(snap, process);
	for (i = list_find(&process->opens, &key, open_compare);
	     i < process->opens.nr; i++) {
		const struct open_file *open = process->opens.item[i];

		if (strcmp(open->path, path))
			break;
		if (file && file != open->file)
			return NULL;
		file = open->file;
	}
	return file;
}

static void open_node(const void *node, VISIT visit, void *snap)
{
	struct process *process = *(struct process **)node;

	if (visit != postorder && visit != leaf)
		return;
	process_identify(snap, process);
	process_opens(snap, process);
}

void processes_open_all(struct snapshot *snap)
{
	twalk_r(snap->processes, open_node, snap);
}

/* Whether this descriptor refers to the open file that holds the lease. */
bool fd_has_lease(struct snapshot *snap, const struct process *process,
		  int fd, const struct lease *lease)
{
	char *text = read_text(snap, snap_printf(snap, "%s/fdinfo/%d",
						 process_dir(snap, process), fd));
	struct lease held;
	dev_t dev;
	ino_t ino;
	pid_t pid;
	char *line;

	while (text && (line = strsep(&text, "\n"))) {
		if (strncmp(line, "lock:", 5) ||
		    !lease_parse(line + 5, &held, &pid, &dev, &ino))
			continue;
		if (pid == lease->process->pid && dev == lease->file->dev &&
		    ino == lease->file->ino && held.kind == lease->kind)
			return true;
	}
	return false;
}
