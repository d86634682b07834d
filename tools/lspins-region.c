// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pinned ranges, from the table in debugfs that only root may read.
 *
 * The table has a line for each region, of which there may be a million, and no more
 * groups than owners and files. So a line is not kept, and its text is looked at
 * only to find the group.
 *
 * The table names the process that pinned, file_pins the processes that have the
 * owner open. Usually these are the same.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lspins-data.h"

#define BUFFER_SIZE	(1 << 18)

static const char table_path[] = "/sys/kernel/debug/layout_pin/pins";
static const char escaped[] = " \t\n\\";

/* One line: what tells its group from others, and what it adds to it. */
struct line {
	dev_t dev;
	ino_t ino;
	pid_t pid;
	char *rest;		/* "7 PATH file PATH", not unescaped */
	struct range range;
	uint64_t since;
};

/* A number and what comes after it; false for anything else. */
static bool take_number(char **at, unsigned int base, const char *after,
			uint64_t *value)
{
	char *from = *at;
	unsigned int digit;

	for (*value = 0;; ++*at) {
		if (**at >= '0' && **at <= '9')
			digit = **at - '0';
		else if (base == 16 && **at >= 'a' && **at <= 'f')
			digit = **at - 'a' + 10;
		else
			break;
		*value = *value * base + digit;
	}
	if (*at == from || strncmp(*at, after, strlen(after)))
		return false;
	*at += strlen(after);
	return true;
}

/* "103:00:12 4096-12287 pid 812 since 5230 owner 7 PATH file PATH" */
static bool parse_line(char *at, struct line *line)
{
	uint64_t major, minor, ino, pid;

	if (!take_number(&at, 16, ":", &major) ||
	    !take_number(&at, 16, ":", &minor) ||
	    !take_number(&at, 10, " ", &ino) ||
	    !take_number(&at, 10, "-", &line->range.first) ||
	    !take_number(&at, 10, " pid ", &line->range.last) ||
	    !take_number(&at, 10, " since ", &pid) ||
	    !take_number(&at, 10, " owner ", &line->since) ||
	    line->range.last < line->range.first || !strstr(at, " file "))
		return false;
	line->dev = makedev(major, minor);
	line->ino = ino;
	line->pid = pid;
	line->rest = at;
	return true;
}

/* In the order in which it is fast to tell lines apart. */
static int raw_compare(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->file->ino != y->file->ino)
		return x->file->ino < y->file->ino ? -1 : 1;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->file->dev != y->file->dev)
		return x->file->dev < y->file->dev ? -1 : 1;
	return strcmp(x->raw, y->raw);
}

/* The number of the owner, which no path begins with, was not always there. */
static struct group *new_group(struct snapshot *snap, const struct line *line)
{
	struct group *group = snap_alloc(snap, sizeof(*group));
	char *owner = snap_copy(snap, line->rest), *path;

	group->raw = snap_copy(snap, line->rest);
	group->number = strtoull(owner, &owner, 10);
	owner += *owner == ' ';
	path = strstr(owner, " file ");
	*path = 0;
	path += strlen(" file ");
	unescape(owner, escaped);
	unescape(path, escaped);
	group->owner = owner;
	group->path = path;
	group->pid = line->pid;
	group->since = line->since;
	group->file = file_get(snap, line->dev, line->ino);
	if (!group->file->path)
		group->file->path = path;
	list_add(&snap->groups, group);
	return group;
}

static struct group *line_group(struct snapshot *snap, void **tree,
				const struct line *line)
{
	struct file file = { .dev = line->dev, .ino = line->ino };
	struct group key = { .raw = line->rest, .file = &file,
			     .pid = line->pid };
	struct group **found = tfind(&key, tree, raw_compare), *group;

	if (found)
		return *found;
	group = new_group(snap, line);
	if (!tsearch(group, tree, raw_compare))
		err(EXIT_FAILED, NULL);
	return group;
}

static void add_range(struct group *group, const struct line *line)
{
	if (group->nr == group->max) {
		group->max = group->max ? 2 * group->max : 4;
		group->ranges = reallocarray(group->ranges, group->max,
					     sizeof(*group->ranges));
		if (!group->ranges)
			err(EXIT_FAILED, NULL);
	}
	group->ranges[group->nr++] = line->range;
	if (line->since < group->since)
		group->since = line->since;
}

/* Whole lines are taken from the buffer; returns how many are not understood. */
static unsigned int take_lines(struct snapshot *snap, void **tree, char *text)
{
	unsigned int bad = 0;
	struct line line;
	char *at;

	while ((at = strsep(&text, "\n"))) {
		if (parse_line(at, &line))
			add_range(line_group(snap, tree, &line), &line);
		else if (*at)
			bad++;
	}
	return bad;
}

/* Returns 0, or what errno was; what is read until then is used. */
static int read_lines(struct snapshot *snap, int fd, unsigned int *bad)
{
	char *buffer = malloc(BUFFER_SIZE), *end;
	void *tree = NULL;
	size_t have = 0;
	ssize_t nr;
	int error;

	if (!buffer)
		err(EXIT_FAILED, NULL);
	while ((nr = read(fd, buffer + have, BUFFER_SIZE - 1 - have)) > 0) {
		have += nr;
		end = memrchr(buffer, '\n', have);
		if (!end)
			continue;
		*end++ = 0;
		*bad += take_lines(snap, &tree, buffer);
		have -= end - buffer;
		memmove(buffer, end, have);
	}
	error = nr < 0 ? errno : 0;
	buffer[have] = 0;
	*bad += take_lines(snap, &tree, buffer);
	tdestroy(tree, keep_node);
	free(buffer);
	return error;
}

static int range_compare(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Regions may overlap; what two of them pin is counted once. */
static void sum_up(struct group *group)
{
	const struct range *range = group->ranges;
	uint64_t from;

	qsort(group->ranges, group->nr, sizeof(*group->ranges), range_compare);
	for (; range < group->ranges + group->nr; range++) {
		from = range->first > group->end ? range->first : group->end;
		if (range->last + 1 > from) {
			group->bytes += range->last + 1 - from;
			group->end = range->last + 1;
		}
	}
}

/* By owner and path, then by process: where a line of file_pins is looked up. */
static int key_compare(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	int order = strcmp(x->owner, y->owner);

	if (!order)
		order = strcmp(x->path, y->path);
	if (order)
		return order;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* Then by number of the owner, and by file: paths are not unique. */
static int group_compare(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	int order = key_compare(x, y);

	if (order)
		return order;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	if (x->file->dev != y->file->dev)
		return x->file->dev < y->file->dev ? -1 : 1;
	return x->file->ino < y->file->ino ? -1 : x->file->ino > y->file->ino;
}

void regions_read(struct snapshot *snap)
{
	const char *path = snap_printf(snap, "%s%s", snap->root, table_path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned int bad = 0;
	size_t i;

	snap->regions_error = fd < 0 ? errno : read_lines(snap, fd, &bad);
	if (fd >= 0)
		close(fd);
	snap->regions_read = !snap->regions_error;
	if (!snap->regions_read && snap->regions_error != ENOENT &&
	    snap->regions_error != EACCES && snap->regions_error != EPERM) {
		errno = snap->regions_error;
		warn("%s", path);
	}
	if (bad)
		warnx("%s: %u lines are not understood", path, bad);
	for (i = 0; i < snap->groups.nr; i++)
		sum_up(snap->groups.item[i]);
	list_sort(&snap->groups, group_compare);
}

static bool same_path(const struct group *a, const struct group *b)
{
	return !strcmp(a->owner, b->owner) && !strcmp(a->path, b->path);
}

/* One file has one line in an owner's paragraph, so take each group once. */
static struct group *take(struct snapshot *snap, struct group *group,
			  const struct pin *pin)
{
	if (group->table == pin->table || !pin_may_be(pin, group->number))
		return NULL;
	pin_is(snap, pin, group->number);
	group->table = pin->table;
	group->shown = true;
	return group;
}

/* What the process itself pinned, or anybody through an owner of that number. */
static struct group *group_certain(struct snapshot *snap, const struct pin *pin)
{
	struct group key = { .owner = pin->owner, .path = pin->path,
			     .pid = pin->process->pid }, *group;
	size_t i = list_find(&snap->groups, &key, key_compare);

	for (; i < snap->groups.nr; i++) {
		group = snap->groups.item[i];
		if (key_compare(group, &key))
			break;
		if (take(snap, group, pin))
			return group;
	}
	if (!pin_number(pin))
		return NULL;
	key.pid = -1;
	i = list_find(&snap->groups, &key, key_compare);
	for (; i < snap->groups.nr; i++) {
		group = snap->groups.item[i];
		if (!same_path(group, &key))
			break;
		if (take(snap, group, pin))
			return group;
	}
	return NULL;
}

/* Counts once for all of a path: whose process does not have the owner open? */
static void count_rest(struct snapshot *snap, size_t at)
{
	struct group *first = snap->groups.item[at], *group;
	bool one_pid;
	size_t end;

	for (end = at; end < snap->groups.nr; end++) {
		group = snap->groups.item[end];
		if (!same_path(group, first))
			break;
		if (group->certain)
			continue;
		group->shown = true;
		first->nr_rest++;
		first->rest = group;
	}
	group = snap->groups.item[end - 1];
	one_pid = group->pid == first->pid;
	if (!first->nr_rest && one_pid) {
		first->nr_rest = 1;
		first->rest = group;
	}
	first->counted = true;
}

/*
 * The regions behind a line of file_pins; NULL if several come into question, as
 * when two processes passed descriptors of the same path.
 */
struct group *group_find(struct snapshot *snap, const struct pin *pin)
{
	struct group key = { .owner = pin->owner, .path = pin->path,
			     .pid = -1 };
	struct group *group = group_certain(snap, pin);
	size_t at;

	if (group || pin_number(pin))
		return group;
	at = list_find(&snap->groups, &key, key_compare);
	if (at == snap->groups.nr || !same_path(snap->groups.item[at], &key))
		return NULL;
	group = snap->groups.item[at];
	if (!group->counted)
		count_rest(snap, at);
	return group->nr_rest == 1 ? group->rest : NULL;
}

/* Before the first group_find(): of which groups is it certain who has them? */
void groups_mark(struct snapshot *snap)
{
	struct group *group;
	size_t i;

	for (i = 0; i < snap->pins.nr; i++) {
		group = group_certain(snap, snap->pins.item[i]);
		if (group)
			group->certain = true;
	}
	for (i = 0; i < snap->groups.nr; i++)
		((struct group *)snap->groups.item[i])->table = 0;
}

void groups_free(struct snapshot *snap)
{
	size_t i;

	for (i = 0; i < snap->groups.nr; i++)
		free(((struct group *)snap->groups.item[i])->ranges);
}

/* "4096-12287", ...: ranges that touch are one. */
char *group_ranges(struct snapshot *snap, const struct group *group,
		   char between)
{
	const struct range *range = group->ranges;
	uint64_t first = range->first, last = range->last;

	while (++range < group->ranges + group->nr) {
		if (range->first > last + 1) {
			obstack_printf(&snap->memory, "%" PRIu64 "-%" PRIu64 "%c",
				       first, last, between);
			first = range->first;
			last = range->last;
		}
		if (range->last > last)
			last = range->last;
	}
	return snap_printf(snap, "%" PRIu64 "-%" PRIu64, first, last);
}
