// SPDX-License-Identifier: GPL-2.0
/*
 * The race test: who looks. What a worker holds is compared with what the file
 * system, /proc and debugfs say; when both differ and the worker still holds it
 * afterwards, something is wrong.
 */
#include "race.h"
#include <dirent.h>

#define TABLE	"/sys/kernel/debug/layout_pin/pins"

struct claim {
	struct worker *worker;
	unsigned int changes;
	struct slot slot;
	int fd;
};

/* A copy of what the worker holds, and its file, if that has its name yet. */
static bool open_claim(struct claim *claim)
{
	struct slot *slot = &claim->worker->slot;
	char path[64];
	struct stat st;

	claim->changes = look_at(slot);
	if (claim->changes == 1 || slot->held == NOTHING)
		return false;
	claim->slot = *slot;
	if (!still_so(claim->worker, claim->changes))
		return false;
	path_of(path, claim->slot.fs, claim->slot.file);
	claim->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (claim->fd < 0)
		return false;
	if (!fstat(claim->fd, &st) && st.st_ino == claim->slot.ino)
		return true;
	close(claim->fd);
	return false;
}

static bool stands(const struct claim *claim)
{
	return still_so(claim->worker, claim->changes);
}

static void compare_blocks(const struct claim *claim)
{
	static __u64 block[MAX_PAGES];
	const struct slot *slot = &claim->slot;
	long i;

	if (blocks_of(claim->fd, slot->first, slot->nr, block)) {
		wrong(ANSWER, "fiemap: %s", strerror(errno));
		return;
	}
	for (i = 0; i < slot->nr; i++)
		if (block[i] != slot->block[i] && stands(claim)) {
			wrong(BLOCKS, "%s %d: page %ld of %d/%d: %#llx was %#llx",
			      claim->worker->role->name, claim->worker->nr,
			      slot->first + i, slot->fs, slot->file, block[i],
			      slot->block[i]);
			break;
		}
	looked(LOOK_BLOCKS);
}

static void compare_content(const struct claim *claim)
{
	__u64 start[2];
	const struct slot *slot = &claim->slot;
	long i;

	for (i = slot->first; i < slot->first + slot->nr; i++) {
		memset(start, 0, sizeof(start));
		if (pread(claim->fd, start, sizeof(start), i * PAGE) ==
		    sizeof(start) && has_tag(start, slot->file, i))
			continue;
		if (stands(claim)) {
			wrong(FOREIGN, "%s %d: page %ld of %d/%d reads %#llx",
			      claim->worker->role->name, claim->worker->nr, i,
			      slot->fs, slot->file, start[0]);
			break;
		}
	}
	looked(LOOK_CONTENT);
}

/* A line of the file that has both of these. */
static bool line_with(const char *path, const char *one, const char *other)
{
	FILE *file = fopen(path, "re");
	bool found = false;
	char line[512];

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, one) && strstr(line, other);
	if (file)
		fclose(file);
	return found;
}

/*
 * The file is read in pieces, each from where the last one ended, in lines: one
 * may be missed while others before it go. A lease that is lost stays so.
 */
static bool lease_is_shown(const char *inode)
{
	int i;

	for (i = 0; i < 5; i++) {
		if (line_with("/proc/locks", "LAYOUT", inode))
			return true;
	}
	return false;
}

static void compare_locks(const struct claim *claim)
{
	char inode[32];

	sprintf(inode, ":%lu ", (unsigned long)claim->slot.ino);
	if (!lease_is_shown(inode) && stands(claim))
		wrong(LOST_LEASE, "%s %d: no lease of %d/%d is shown",
		      claim->worker->role->name, claim->worker->nr,
		      claim->slot.fs, claim->slot.file);
	looked(LOOK_LOCKS);
}

/* The process itself has the owner; the name is the file's, maybe an old one. */
static void compare_pins(const struct claim *claim)
{
	char pins[64], name[64];

	sprintf(pins, "/proc/%d/file_pins", claim->worker->pid);
	path_of(name, claim->slot.fs, claim->slot.file);
	if (!line_with(pins, name, "") && stands(claim))
		wrong(SHOWN, "%s %d: %s is not in its file_pins",
		      claim->worker->role->name, claim->worker->nr, name);
	looked(LOOK_PINS);
}

/* A record that covers the first page that is pinned. */
static bool table_has(const struct slot *slot)
{
	unsigned long long first, last, at = slot->first * PAGE;
	FILE *file = fopen(TABLE, "re");
	bool found = false;
	char line[512];
	unsigned long ino;

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%*x:%*x:%lu %llu-%llu", &ino, &first,
			       &last) == 3 && ino == slot->ino && first <= at &&
			at <= last;
	if (file)
		fclose(file);
	return found;
}

static void compare_table(const struct claim *claim)
{
	if (!table_has(&claim->slot) && stands(claim))
		wrong(SHOWN, "%s %d: page %ld of %d/%d is in no record",
		      claim->worker->role->name, claim->worker->nr,
		      claim->slot.first, claim->slot.fs, claim->slot.file);
	looked(LOOK_TABLE);
}

static void check_round(void)
{
	struct claim claim;
	int i;

	for (i = 0; i < shared->nr_workers && !shared->stop; i++) {
		claim.worker = &shared->worker[i];
		if (claim.worker == me || !open_claim(&claim))
			continue;
		begin(READ_LOCKS);
		compare_locks(&claim);
		answered(READ_LOCKS, 0);
		if (claim.slot.held != LEASED) {
			compare_blocks(&claim);
			compare_content(&claim);
			compare_pins(&claim);
			begin(READ_TABLE);
			compare_table(&claim);
			answered(READ_TABLE, 0);
		}
		close(claim.fd);
	}
	nap(10);
}

const struct role checker = { .name = "checker", .round = check_round };

/* All that was ever written there is the letter of the churners, and zeroes. */
static unsigned long scan_file(int fd)
{
	unsigned char bytes[16];
	unsigned long bad = 0;
	off_t at;
	int i;

	for (at = 0; pread(fd, bytes, sizeof(bytes), at) == sizeof(bytes);
	     at += PAGE) {
		for (i = 0; i < 16; i++)
			if (bytes[i] && bytes[i] != 'c')
				break;
		bad += i < 16;
	}
	return bad;
}

/* Pages of other files that somebody else wrote to. */
unsigned long scan_churn(int fs)
{
	struct dirent *entry;
	unsigned long bad = 0;
	char path[64];
	DIR *dir;
	int fd;

	sprintf(path, "%s/churn", kind_dir(&kinds[fs]));
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_REG)
			continue;
		fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		bad += scan_file(fd);
		close(fd);
		looked(LOOK_CHURN);
	}
	if (dir)
		closedir(dir);
	return bad;
}

static void scan_round(void)
{
	unsigned long bad;

	begin(CHURN);
	bad = scan_churn(me->fs);
	me->since = 0;
	if (bad)
		wrong(FOREIGN, "%lu pages of other files on %s are foreign", bad,
		      kinds[me->fs].fs);
	nap(2000);
}

const struct role scanner = {
	.name = "scanner", .round = scan_round, .mortal = true,
};

/* To the end, and nothing else: what matters is that it can be read. */
static int read_all(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
	char buffer[4096];
	ssize_t size;

	if (fd < 0)
		return errno;
	while ((size = read(fd, buffer, sizeof(buffer))) > 0)
		;
	if (size < 0)
		error = errno;
	close(fd);
	return error;
}

static void read_round(void)
{
	char path[64];
	struct worker *worker = &shared->worker[roll(shared->nr_workers)];

	/* It may be gone. */
	sprintf(path, "/proc/%d/task/%d/file_pins", worker->pid, worker->tid);
	perform(READ_PINS, read_all(path));
	sprintf(path, "/proc/%d/file_pins", worker->pid);
	perform(READ_PINS, read_all(path));
	perform(READ_LOCKS, read_all("/proc/locks"));
	perform(READ_TABLE, read_all(TABLE));
	nap(40);
}

const struct role reader = {
	.name = "reader", .round = read_round, .mortal = true,
};
