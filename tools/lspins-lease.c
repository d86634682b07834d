// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Layout leases, from /proc/locks.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "lspins-data.h"

static const char * const kinds[] = { "SHARED", "UNBREAK", "EXCL" };
static const char * const kind_names[] = { "shared", "unbreak", "exclusive" };
static const char * const states[] = { "ACTIVE", "BREAKING", "ZOMBIE" };
static const char * const state_names[] = { "active", "breaking", "zombie" };

const char *lease_kind_name(const struct lease *lease)
{
	return kind_names[lease->kind];
}

const char *lease_state_name(const struct lease *lease)
{
	return state_names[lease->state];
}

static int word_index(const char *word, const char * const words[3])
{
	int i;

	for (i = 0; i < 3; i++)
		if (!strcmp(word, words[i]))
			return i;
	return -1;
}

/* Kind and state go to @lease; false for what is no layout lease. */
bool lease_parse(char *line, struct lease *lease, pid_t *pid, dev_t *dev,
		 ino_t *ino)
{
	unsigned int major, minor;
	unsigned long inode;
	char state[16], kind[16];
	int kind_index, state_index;

	if (sscanf(line, " %*d: LAYOUT %15s %15s %d %x:%x:%lu", state, kind, pid,
		   &major, &minor, &inode) != 6)
		return false;
	kind_index = word_index(kind, kinds);
	state_index = word_index(state, states);
	if (kind_index < 0 || state_index < 0) {
		warnx("/proc/locks: unknown layout lease: %s %s", state, kind);
		return false;
	}
	lease->kind = kind_index;
	lease->state = state_index;
	*dev = makedev(major, minor);
	*ino = inode;
	return true;
}

/* By file and process, what may pin before what may not. */
static int lease_compare(const void *a, const void *b)
{
	const struct lease *x = a, *y = b;

	if (x->file->dev != y->file->dev)
		return x->file->dev < y->file->dev ? -1 : 1;
	if (x->file->ino != y->file->ino)
		return x->file->ino < y->file->ino ? -1 : 1;
	if (x->process->pid != y->process->pid)
		return x->process->pid < y->process->pid ? -1 : 1;
	return (int)y->kind - (int)x->kind;
}

void leases_read(struct snapshot *snap)
{
	char *path = snap_printf(snap, "%s/proc/locks", snap->root);
	char *text = read_text(snap, path), *line;
	struct lease parsed, *lease;
	dev_t dev;
	ino_t ino;
	pid_t pid;

	if (!text && errno != ENOENT)
		warn("%s", path);
	while (text && (line = strsep(&text, "\n"))) {
		if (!lease_parse(line, &parsed, &pid, &dev, &ino))
			continue;
		snap->supported = true;
		lease = snap_alloc(snap, sizeof(*lease));
		lease->kind = parsed.kind;
		lease->state = parsed.state;
		lease->file = file_get(snap, dev, ino);
		lease->process = process_get(snap, pid);
		process_identify(snap, lease->process);
		if (lease->kind != LEASE_SHARED) {
			lease->file->unbreak = lease;
			lease->file->nr_unbreak++;
		}
		list_add(&snap->leases, lease);
	}
	list_sort(&snap->leases, lease_compare);
}

/*
 * The lease under which @pid pins @file: its own, or, where it only holds the
 * descriptor of somebody's pins, the only one there is.
 */
struct lease *lease_find(struct snapshot *snap, const struct file *file,
			 pid_t pid)
{
	struct process process = { .pid = pid };
	struct lease key = { .process = &process, .kind = LEASE_EXCLUSIVE };
	struct lease *lease;
	size_t at;

	key.file = (struct file *)file;
	at = list_find(&snap->leases, &key, lease_compare);
	if (at < snap->leases.nr) {
		lease = snap->leases.item[at];
		if (lease->file == file && lease->process->pid == pid &&
		    lease->kind != LEASE_SHARED)
			return lease;
	}
	return file->nr_unbreak == 1 ? file->unbreak : NULL;
}
