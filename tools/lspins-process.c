// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes and the files they have pinned, from /proc/<pid>/file_pins.
 *
 * A process that ends while it is read is none: whatever of it cannot be read is
 * left out or unknown, without a complaint.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <pwd.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lspins-data.h"

static const char escaped[] = " \t\n\\";

static int process_compare(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

struct process *process_get(struct snapshot *snap, pid_t pid)
{
	struct process key = { .pid = pid };
	struct process **found = tfind(&key, &snap->processes, process_compare);
	struct process *process;

	if (found)
		return *found;
	process = snap_alloc(snap, sizeof(*process));
	process->pid = pid;
	if (!tsearch(process, &snap->processes, process_compare))
		err(EXIT_FAILED, NULL);
	return process;
}

/*
 * Where descriptors and memory are found: those of the first thread are gone when it
 * has ended, though others go on.
 */
const char *process_dir(struct snapshot *snap, const struct process *process)
{
	if (!process->thread)
		return snap_printf(snap, "%s/proc/%d", snap->root, process->pid);
	return snap_printf(snap, "%s/proc/%d/task/%d", snap->root, process->pid,
			   process->thread);
}

static char *process_text(struct snapshot *snap, struct process *process,
			  const char *name)
{
	return read_text(snap, snap_printf(snap, "%s/proc/%d/%s", snap->root,
					   process->pid, name));
}

static bool thread_lives(struct snapshot *snap, struct process *process, pid_t tid)
{
	char *text = process_text(snap, process,
				  snap_printf(snap, "task/%d/stat", tid));

	text = text ? strrchr(text, ')') : NULL;
	return text && text[1] == ' ' && !strchr("ZX", text[2]);
}

/* A process whose first thread is a zombie may have others that live. */
static void find_thread(struct snapshot *snap, struct process *process)
{
	DIR *dir = opendir(snap_printf(snap, "%s/proc/%d/task", snap->root,
				       process->pid));
	struct dirent *entry;
	pid_t tid;

	while (dir && !process->thread && (entry = readdir(dir))) {
		tid = atoi(entry->d_name);
		if (tid > 0 && tid != process->pid &&
		    thread_lives(snap, process, tid))
			process->thread = tid;
	}
	if (dir)
		closedir(dir);
}

/* State and start, fields 3 and 22; the command before them may have any name. */
static void parse_stat(struct snapshot *snap, struct process *process, char *text)
{
	char *field = text ? strrchr(text, ')') : NULL;
	unsigned long long start;
	char state;

	if (!field || sscanf(field + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u "
			     "%*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			     &state, &start) != 2)
		return;
	if (state == 'Z')
		find_thread(snap, process);
	process->alive = process->thread || (state != 'Z' && state != 'X');
	process->start = (double)start / sysconf(_SC_CLK_TCK);
}

/* Command, user and whether it is there. */
void process_identify(struct snapshot *snap, struct process *process)
{
	char *text;

	if (process->command)
		return;
	text = process_text(snap, process, "comm");
	if (!text)
		return;
	text[strcspn(text, "\n")] = 0;
	process->command = text;
	process->alive = true;
	parse_stat(snap, process, process_text(snap, process, "stat"));
	text = process_text(snap, process, "status");
	text = text ? strstr(text, "\nUid:") : NULL;
	if (text) {
		process->uid = strtoul(text + 5, NULL, 10);
		process->has_uid = true;
	}
}

/* Whether this can be who did something then: numbers are used again. */
bool process_since(const struct process *process, double since)
{
	return process->alive && process->start <= since + 1;
}

/* Names are of the running system; below another root there are numbers. */
const char *process_user(struct snapshot *snap, const struct process *process)
{
	static struct { uid_t uid; char *name; } *cache;
	static size_t nr;
	struct passwd *entry;
	char *name;
	size_t i;

	if (*snap->root)
		return snap_printf(snap, "%u", process->uid);
	for (i = 0; i < nr; i++)
		if (cache[i].uid == process->uid)
			return cache[i].name;
	entry = getpwuid(process->uid);
	name = entry ? entry->pw_name : snap_printf(snap, "%u", process->uid);
	cache = reallocarray(cache, nr + 1, sizeof(*cache));
	if (!cache)
		err(EXIT_FAILED, NULL);
	cache[nr].uid = process->uid;
	cache[nr].name = strdup(name);
	if (!cache[nr].name)
		err(EXIT_FAILED, NULL);
	return cache[nr++].name;
}

/*
 * "4: /dev/infiniband/uverbs0": a descriptor, and the path after it. Where the
 * process has the owner without a descriptor, a word says how.
 */
static bool parse_owner(char *line, struct pin *owner)
{
	char *end = line + strcspn(line, ":");
	int fd;

	if (isdigit((unsigned char)*line))
		fd = strtol(line, &end, 10);
	else if (!strncmp(line, "vma:", 4))
		fd = FD_VMA;
	else if (!strncmp(line, "io_uring:", 9))
		fd = FD_IO_URING;
	else
		return false;
	if (end[0] != ':' || end[1] != ' ')
		return false;
	owner->fd = fd;
	owner->owner = end + 2;
	unescape(end + 2, escaped);
	return true;
}

static void claim(struct snapshot *snap, struct process *process,
		  unsigned int table, uint64_t number)
{
	struct claim *claim = snap_alloc(snap, sizeof(*claim));

	*claim = (struct claim){ .table = table, .number = number };
	list_add(&process->claims, claim);
}

/* The number of an owner by its descriptor; not every kernel tells it. */
static uint64_t descriptor_number(struct snapshot *snap, struct process *process,
				  int fd)
{
	char *text = read_text(snap, snap_printf(snap, "%s/fdinfo/%d",
						 process_dir(snap, process), fd));

	text = text ? strstr(text, "\npin_owner:") : NULL;
	return text ? strtoull(text + strlen("\npin_owner:"), NULL, 10) : 0;
}

/* Which owner a line belongs to; 0 if that is not known. */
uint64_t pin_number(const struct pin *pin)
{
	const struct list *claims = &pin->process->claims;
	const struct claim *claim;
	size_t i;

	for (i = 0; i < claims->nr; i++) {
		claim = claims->item[i];
		if (claim->table == pin->table)
			return claim->number;
	}
	return 0;
}

/*
 * What a process has without a descriptor is shown once, and not if it has one. So it
 * is no owner that another paragraph has.
 */
bool pin_may_be(const struct pin *pin, uint64_t number)
{
	const struct list *claims = &pin->process->claims;
	uint64_t own = pin_number(pin);
	size_t i;

	if (own)
		return own == number;
	if (pin->fd != FD_VMA && pin->fd != FD_IO_URING)
		return true;
	for (i = 0; i < claims->nr; i++)
		if (((struct claim *)claims->item[i])->number == number)
			return false;
	return true;
}

/* The other lines of the paragraph are of that owner, then. */
void pin_is(struct snapshot *snap, const struct pin *pin, uint64_t number)
{
	if (number && (pin->fd == FD_VMA || pin->fd == FD_IO_URING) &&
	    !pin_number(pin))
		claim(snap, pin->process, pin->table, number);
}

static void parse_pins(struct snapshot *snap, struct process *process, char *text)
{
	static unsigned int table;
	struct pin owner = { .process = process, .owner = "mm", .fd = FD_MM };
	uint64_t number;
	struct pin *pin;
	char *line;

	owner.table = ++table;
	while ((line = strsep(&text, "\n"))) {
		if (parse_owner(line, &owner)) {
			owner.table = ++table;
			number = owner.fd < 0 ? 0 :
				 descriptor_number(snap, process, owner.fd);
			if (number)
				claim(snap, process, owner.table, number);
			continue;
		}
		if (*line == '/' && owner.fd != FD_MM) {
			owner.fd = FD_MM;
			owner.owner = "mm";
			owner.table = ++table;
		}
		line += *line == '\t';
		if (*line != '/')
			continue;
		unescape(line, escaped);
		pin = snap_alloc(snap, sizeof(*pin));
		*pin = owner;
		pin->path = line;
		list_add(&snap->pins, pin);
	}
}

/* What another thread has, where that of the first one is empty or gone. */
static char *thread_pins(struct snapshot *snap, struct process *process, char *text)
{
	int error = errno;

	if (!process->command)
		process_identify(snap, process);
	if (process->thread)
		return process_text(snap, process,
				    snap_printf(snap, "task/%d/file_pins",
						process->thread));
	errno = error;
	return text;
}

static void process_read(struct snapshot *snap, pid_t pid)
{
	struct process *process = process_get(snap, pid);
	char *text = process_text(snap, process, "file_pins");

	if (text ? !*text : errno == ESRCH || errno == ENOENT)
		text = thread_pins(snap, process, text);

	if (text) {
		snap->supported = true;
		if (*text)
			process_identify(snap, process);
		parse_pins(snap, process, text);
	} else if (errno == EACCES || errno == EPERM) {
		snap->supported = true;
		snap->unreadable++;
	} else if (errno != ENOENT && errno != ESRCH) {
		warn("/proc/%d/file_pins", pid);
	}
}

void processes_read(struct snapshot *snap)
{
	DIR *dir = opendir(snap_printf(snap, "%s/proc", snap->root));
	struct dirent *entry;

	if (!dir)
		err(EXIT_FAILED, "%s/proc", snap->root);
	while ((entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			process_read(snap, atoi(entry->d_name));
	closedir(dir);
}
