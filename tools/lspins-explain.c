// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who blocks truncation of a file, in sentences, and the command that would end it.
 * Nothing is killed here.
 *
 * The rules: a live unbreakable lease refuses every layout change, a pin those that
 * meet it, a breakable lease makes them wait.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "lspins-data.h"

/* A process that has the file open or mapped. */
struct opener {
	struct process *process;
	int fd;			/* -1: mapped */
};

struct story {
	struct snapshot *snap;
	const struct file *file;
	struct list leases;	/* of the file, without zombies */
	struct list zombies;
	struct list pins;	/* rows */
	struct list openers;
	struct list kill;	/* processes to end */
	bool refused;		/* by a pin or an unbreakable lease */
};

/* Names may hold anything; a terminal is to see only letters. */
static const char *printable(struct snapshot *snap, const char *text)
{
	char *copy = snap_copy(snap, text), *c;

	for (c = copy; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	return copy;
}

/* "process 812 (ib_write_bw, user alice)" */
static const char *who(struct snapshot *snap, const struct process *process)
{
	const char *lives = process->thread ?
			    "; its first thread has ended, others live" : "";

	if (!process->command)
		return snap_printf(snap, "process %d", process->pid);
	if (!process->has_uid)
		return snap_printf(snap, "process %d (%s%s)", process->pid,
				   printable(snap, process->command), lives);
	return snap_printf(snap, "process %d (%s, user %s%s)", process->pid,
			   printable(snap, process->command),
			   process_user(snap, process), lives);
}

/*
 * "Nobody" is only for who sees everybody's pins. That no process was found that
 * cannot be read does not suffice, for /proc may hide them.
 */
static bool sees_all(const struct snapshot *snap)
{
	return snap->regions_read && !snap->unreadable;
}

static const char *capital(struct snapshot *snap, const char *text)
{
	char *copy = snap_copy(snap, text);

	*copy = toupper((unsigned char)*copy);
	return copy;
}

static const char *ago(struct snapshot *snap, double since)
{
	static const struct { unsigned int seconds; const char *name; } units[] = {
		{ 86400, "day" }, { 3600, "hour" }, { 60, "minute" },
		{ 1, "second" },
	};
	double age = snap->uptime > since ? snap->uptime - since : 0;
	unsigned int i, nr = 0;

	for (i = 0; i < 4; i++) {
		nr = age / units[i].seconds;
		if (nr)
			break;
	}
	if (i == 4)
		return "just now";
	return snap_printf(snap, "%u %s%s ago", nr, units[i].name,
			   nr == 1 ? "" : "s");
}

static void add_kill(struct story *story, struct process *process)
{
	size_t i;

	for (i = 0; i < story->kill.nr; i++)
		if (story->kill.item[i] == process)
			return;
	list_add(&story->kill, process);
}

/* A breakable lease only makes others wait; it is to end if nothing else blocks. */
static void add_lease_kill(struct story *story, const struct lease *lease,
			   struct process *process)
{
	if (lease->kind != LEASE_SHARED || !story->refused)
		add_kill(story, process);
}

static void find_opener(const void *node, VISIT visit, void *data)
{
	struct process *process = *(struct process **)node;
	struct story *story = data;
	struct opener *opener;
	size_t i;

	if (visit != postorder && visit != leaf)
		return;
	for (i = 0; i < process->opens.nr; i++) {
		const struct open_file *open = process->opens.item[i];

		if (open->file != story->file)
			continue;
		opener = snap_alloc(story->snap, sizeof(*opener));
		opener->process = process;
		opener->fd = open->fd;
		list_add(&story->openers, opener);
	}
}

static void collect(struct story *story, const struct list *rows)
{
	struct snapshot *snap = story->snap;
	size_t i;

	for (i = 0; i < rows->nr; i++) {
		struct row *row = rows->item[i];

		story->file = row->file;
		if (row->owner)
			list_add(&story->pins, row);
		if (row->owner || row->lease->kind != LEASE_SHARED)
			story->refused = true;
	}
	for (i = 0; i < snap->leases.nr; i++) {
		struct lease *lease = snap->leases.item[i];

		if (lease->file == story->file)
			list_add(lease->state == STATE_ZOMBIE ?
				 &story->zombies : &story->leases, lease);
	}
	processes_open_all(snap);
	twalk_r(snap->processes, find_opener, story);
}

/* The descriptors that keep a lease alive, wherever they were passed. */
static unsigned int tell_carriers(struct story *story, const struct lease *lease)
{
	unsigned int nr = 0;
	size_t i;

	for (i = 0; i < story->openers.nr; i++) {
		const struct opener *opener = story->openers.item[i];

		if (opener->fd < 0 || !fd_has_lease(story->snap, opener->process,
						    opener->fd, lease))
			continue;
		printf("%s descriptor %d of %s", nr++ ? "," : "  It is open as",
		       opener->fd, who(story->snap, opener->process));
		add_lease_kill(story, lease, opener->process);
	}
	if (nr)
		puts(".");
	return nr;
}

static bool has_open(const struct story *story, const struct process *process)
{
	size_t i;

	for (i = 0; i < story->openers.nr; i++)
		if (((struct opener *)story->openers.item[i])->process == process)
			return true;
	return false;
}

/* No descriptor: then a mapping, perhaps of another process, keeps it alive. */
static void tell_mapped(struct story *story, const struct lease *lease)
{
	struct process *taker = lease->process;
	unsigned int nr = 0;
	size_t i;

	if (taker->alive && (taker->opens_denied || has_open(story, taker))) {
		puts(taker->opens_denied ?
		     "  Whether it has the file open cannot be read." :
		     "  It has the file mapped, or open without the lease.");
		add_lease_kill(story, lease, taker);
		return;
	}
	for (i = 0; i < story->openers.nr; i++) {
		const struct opener *opener = story->openers.item[i];

		if (opener->fd >= 0)
			continue;
		printf("%s %s", nr++ ? "," : "  It can live in a mapping of",
		       who(story->snap, opener->process));
		add_lease_kill(story, lease, opener->process);
	}
	puts(nr ? "." : "  No process that can be read has the file open with it.");
}

static bool has_pins(const struct story *story, const struct process *process)
{
	size_t i;

	for (i = 0; i < story->pins.nr; i++)
		if (((struct row *)story->pins.item[i])->process == process)
			return true;
	return false;
}

/*
 * The right stays with a wrapper, and its child is refused. That the child asked
 * cannot be known here: the refusal leaves no trace.
 */
static void tell_right(const struct story *story, const struct lease *lease)
{
	if (lease->kind == LEASE_SHARED || !lease->process->alive ||
	    has_pins(story, lease->process))
		return;
	printf("  Only process %d itself may register memory under it, not its "
	       "children; it has not.\n", lease->process->pid);
}

static void tell_lease(struct story *story, const struct lease *lease)
{
	static const char * const kinds[] = { "a breakable", "an unbreakable",
					      "an exclusive" };

	printf("%s took %s lease, which is %s%s.\n",
	       capital(story->snap, who(story->snap, lease->process)),
	       kinds[lease->kind], lease_state_name(lease),
	       lease->process->alive ? "" : "; the process has ended");
	if (!tell_carriers(story, lease))
		tell_mapped(story, lease);
	tell_right(story, lease);
}

static void tell_group(struct snapshot *snap, const struct group *group)
{
	const char *date = time_text(snap, group->since);

	printf("  %s in %zu region%s, bytes %s, since %s%s%s%s.\n",
	       human_size(snap, group->bytes), group->nr,
	       group->nr == 1 ? "" : "s", group_ranges(snap, group, ' '),
	       date ? date : "", date ? " (" : "", ago(snap, group->since),
	       date ? ")" : "");
}

/* Where others of the same path have the file pinned, too, which one this is. */
static const char *owner_number(const struct story *story, const struct row *row)
{
	size_t i;

	for (i = 0; i < story->pins.nr; i++) {
		const struct row *other = story->pins.item[i];

		if (row->number && other->number && row->number != other->number &&
		    *row->owner == '/' && !strcmp(row->owner, other->owner))
			return snap_printf(story->snap, " (owner %" PRIu64 ")",
					   row->number);
	}
	return "";
}

/* Pins that no descriptor table shows: only who made them is known. */
static void tell_unseen(struct story *story, const struct row *row)
{
	struct snapshot *snap = story->snap;
	struct process *pinner = process_get(snap, row->group->pid);
	bool alive = process_since(pinner, row->group->since);

	printf("%s pinned through %s%s%s.\n", alive ?
	       capital(snap, who(snap, pinner)) :
	       snap_printf(snap, "Process %d", pinner->pid),
	       printable(snap, row->owner), owner_number(story, row),
	       alive ? "" : "; the process has ended");
	tell_group(snap, row->group);
	puts("  No process that can be read has this owner open. A message in a "
	     "Unix socket\n  may carry it: 'ss -xp' lists those.");
	if (alive)
		add_kill(story, pinner);
}

/* Through what the process has these pins. */
static const char *through(struct snapshot *snap, const struct row *row)
{
	const char *owner = printable(snap, row->owner);

	switch (row->fd) {
	case FD_MM:
		return "its memory map";
	case FD_VMA:
		return snap_printf(snap, "a mapping of %s, without a descriptor",
				   owner);
	case FD_IO_URING:
		if (!strcmp(owner_short(row->owner), "io_uring"))
			return snap_printf(snap, "%s, registered without a descriptor",
					   owner);
		return snap_printf(snap, "%s, a registered file of its io_uring",
				   owner);
	default:
		return snap_printf(snap, "descriptor %d, %s", row->fd, owner);
	}
}

static void tell_pin(struct story *story, const struct row *row)
{
	struct snapshot *snap = story->snap;
	const struct process *process = row->process;

	printf("%s has pins through %s%s.\n", capital(snap, who(snap, process)),
	       through(snap, row), owner_number(story, row));
	if (row->group)
		tell_group(snap, row->group);
	else
		puts("  Which bytes and since when cannot be read.");
	if (has_open(story, process))
		puts("  It still has the file open or mapped.");
	else if (process->opens_denied)
		puts("  Whether it has the file open cannot be read.");
	else
		puts("  It no longer has the file open.");
	if (owner_ends(row->owner))
		printf("  They end by %s.\n", owner_ends(row->owner));
	add_kill(story, row->process);
}

/* The end of the last pinned byte, or 0 where that is not known for every pin. */
static uint64_t pins_end(const struct story *story)
{
	uint64_t end = 0;
	size_t i;

	for (i = 0; i < story->pins.nr; i++) {
		const struct group *group =
			((struct row *)story->pins.item[i])->group;

		if (!group)
			return 0;
		if (group->end > end)
			end = group->end;
	}
	return end;
}

/* By whose leases everybody else is refused; @sole is NULL if that is not one. */
static bool leases_refuse(const struct story *story, const struct process **sole)
{
	const struct process *first = NULL;
	bool one = true;
	size_t i;

	for (i = 0; i < story->leases.nr; i++) {
		const struct lease *lease = story->leases.item[i];

		if (lease->kind == LEASE_SHARED)
			continue;
		if (!first)
			first = lease->process;
		one = one && first == lease->process;
	}
	*sole = one ? first : NULL;
	return first;
}

static void tell_verdict(const struct story *story, const char *name)
{
	struct snapshot *snap = story->snap;
	uint64_t end = pins_end(story);
	const struct process *holder;
	char *text;

	if (leases_refuse(story, &holder)) {
		printf("%s: a lease refuses truncation and every other layout "
		       "change (ETXTBSY).\n", name);
		if (holder && holder->alive)
			printf("  Process %d may change what is not pinned.\n",
			       holder->pid);
		return;
	}
	if (story->refused) {
		printf("%s: pins refuse layout changes that meet them (ETXTBSY)",
		       name);
		if (end)
			printf(", as truncation below %" PRIu64 " bytes", end);
		puts(".");
	}
	if (!story->leases.nr)
		return;
	text = read_text(snap, snap_printf(snap, "%s/proc/sys/fs/lease-break-time",
					   snap->root));
	printf("%s: %struncation waits for breakable leases, at most %d seconds.\n",
	       name, story->refused ? "other " : "", text ? atoi(text) : 45);
}

/* Ending all of these ends all of that, so far as it can be seen. */
static void tell_command(const struct story *story)
{
	size_t i;

	if (!story->kill.nr) {
		puts(sees_all(story->snap) ?
		     "No process can be named that would end it." :
		     "No process that you may see would end it.");
		return;
	}
	printf("To end it: kill");
	for (i = 0; i < story->kill.nr; i++)
		printf(" %d", ((struct process *)story->kill.item[i])->pid);
	puts("");
}

/* False if nothing blocks, as far as can be seen. */
bool explain(struct snapshot *snap, const char *name, const struct list *rows)
{
	struct story story = { .snap = snap };
	size_t i;

	if (!rows->nr) {
		printf("%s: no layout lease and no pin %sblocks truncation.\n",
		       printable(snap, name),
		       sees_all(snap) ? "" : "that you may see ");
		return false;
	}
	collect(&story, rows);
	tell_verdict(&story, printable(snap, name));
	for (i = 0; i < story.leases.nr; i++)
		tell_lease(&story, story.leases.item[i]);
	for (i = 0; i < story.zombies.nr; i++)
		printf("The lease of process %d is a zombie: no longer open, it "
		       "ends with its last pin.\n",
		       ((struct lease *)story.zombies.item[i])->process->pid);
	for (i = 0; i < story.pins.nr; i++) {
		const struct row *row = story.pins.item[i];

		if (row->process)
			tell_pin(&story, row);
		else
			tell_unseen(&story, row);
	}
	tell_command(&story);
	free(story.leases.item);
	free(story.zombies.item);
	free(story.pins.item);
	free(story.openers.item);
	free(story.kill.item);
	return true;
}
