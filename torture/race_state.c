// SPDX-License-Identifier: GPL-2.0
/*
 * The race test: what each operation may be answered and has to be answered at
 * least once, what workers hold, tags in pages, and blocks of files.
 */
#include "race.h"
#include <stdarg.h>
#include <linux/fiemap.h>
#include <linux/fs.h>

#define MAGIC	0x70696e73

#define B(answer)	(1U << (answer))
#define CHANGES		(B(OK) | B(IS_TXTBSY) | B(IS_NOSPC))

/* A change of the layout is refused at some time, and at another one it is not. */
static const struct rule {
	const char *name;
	unsigned int must, may;
} rules[NR_OPS] = {
	/* Not supported: somebody cloned it. */
	[TAKE_LAYOUT]	= { "take a breakable lease", B(OK),
			    B(IS_AGAIN) | B(IS_NOTSUPP) },
	/* Busy: it is held as an exclusive one, and pinned. */
	[TAKE_UNBREAK]	= { "take an unbreakable one", B(OK) | B(IS_AGAIN),
			    B(IS_NOTSUPP) | B(IS_BUSY) },
	[TAKE_EXCLUSIVE] = { "take an exclusive one", B(OK) | B(IS_AGAIN),
			     B(IS_NOTSUPP) },
	[TAKE_PLAIN]	= { "take a plain one", B(IS_AGAIN), B(OK) },
	[GET_LEASE]	= { "ask what is held", B(OK), 0 },
	[DROP]		= { "drop it", B(OK), 0 },
	[DROP_PINNED]	= { "drop it, pinned", B(IS_BUSY), 0 },
	[DROP_BROKEN]	= { "drop it, being broken", B(OK), B(IS_AGAIN) },
	[DROP_CLASH]	= { "drop what is being pinned", B(OK) | B(IS_BUSY),
			    B(IS_AGAIN) },
	[PIN]		= { "pin", B(OK), 0 },
	[PIN_WITHOUT]	= { "pin without a lease", B(IS_NOTSUPP), 0 },
	[PIN_CLASH]	= { "pin what is being unmapped", B(OK) | B(IS_NOTSUPP),
			    B(IS_FAULT) | B(IS_NOSPC) },
	[UNPIN]		= { "unpin", B(OK), 0 },
	[REGISTER]	= { "register", B(OK), 0 },
	[DEREGISTER]	= { "deregister", B(OK), 0 },
	[TRANSFER]	= { "write and read by RDMA", B(OK), 0 },
	[TRUNCATE]	= { "truncate", B(OK) | B(IS_TXTBSY), CHANGES },
	[OPEN_TRUNC]	= { "open with O_TRUNC", B(OK) | B(IS_TXTBSY), CHANGES },
	[PUNCH]		= { "punch", B(OK) | B(IS_TXTBSY), CHANGES },
	[ZERO]		= { "zero", B(OK) | B(IS_TXTBSY), CHANGES },
	[COLLAPSE]	= { "collapse", B(OK) | B(IS_TXTBSY),
			    CHANGES | B(IS_INVAL) },
	[INSERT]	= { "insert", B(OK) | B(IS_TXTBSY),
			    CHANGES | B(IS_INVAL) },
	[REMOVE]	= { "MADV_REMOVE", B(OK) | B(IS_TXTBSY), CHANGES },
	[UNSHARE]	= { "unshare", B(OK), CHANGES },
	[CLONE]		= { "clone", B(OK) | B(IS_TXTBSY),
			    CHANGES | B(IS_NOTSUPP) },
	[DEDUPE]	= { "dedupe", B(IS_TXTBSY),
			    CHANGES | B(IS_NOTSUPP) | B(IS_INVAL) },
	[REPLACE]	= { "rename over", B(OK), B(IS_NOSPC) },
	[GROW]		= { "grow", B(OK), B(IS_NOSPC) },
	[WRITE]		= { "write", B(OK), B(IS_NOSPC) },
	[FSYNC]		= { "fsync", B(OK), 0 },
	[FREEZE]	= { "freeze", B(OK), 0 },
	[THAW]		= { "thaw", B(OK), 0 },
	[MAP]		= { "map", B(OK), 0 },
	[REMAP]		= { "remap", B(OK), 0 },
	[UNMAP]		= { "unmap", B(OK), 0 },
	[DUPLICATE]	= { "duplicate", B(OK), 0 },
	[CLOSE]		= { "close", B(OK), 0 },
	[FORK]		= { "fork", B(OK), 0 },
	[EXEC]		= { "exec and pin", B(OK), 0 },
	[SEND]		= { "send a descriptor", B(OK), B(IS_AGAIN) },
	[RECEIVE]	= { "receive one", B(OK), 0 },
	[READ_PINS]	= { "read file_pins", B(OK), B(IS_OTHER) },
	[READ_LOCKS]	= { "read locks", B(OK), 0 },
	[READ_TABLE]	= { "read the table of pins", B(OK), 0 },
	[CHURN]		= { "make and free other files", B(OK), B(IS_NOSPC) },
	[KILL]		= { "kill", B(OK), 0 },
};

static const char * const answer_names[NR_ANSWERS] = {
	"ok", "ETXTBSY", "EAGAIN", "EBUSY", "EOPNOTSUPP", "ENOSPC", "EINVAL",
	"EFAULT", "other",
};

static enum answer answer_of(int error)
{
	switch (error) {
	case 0:			return OK;
	case ETXTBSY:		return IS_TXTBSY;
	case EAGAIN:		return IS_AGAIN;
	case EBUSY:		return IS_BUSY;
	case EOPNOTSUPP:	return IS_NOTSUPP;
	case ENOSPC:		return IS_NOSPC;
	case EINVAL:		return IS_INVAL;
	case EFAULT:		return IS_FAULT;
	}
	return IS_OTHER;
}

unsigned long now_ms(void)
{
	return seconds() * 1000;
}

void begin(enum op op)
{
	me->doing = op;
	__atomic_store_n(&me->since, now_ms(), __ATOMIC_RELEASE);
}

int answered(enum op op, int error)
{
	enum answer answer = answer_of(error);
	unsigned long took = now_ms() - me->since;

	__atomic_store_n(&me->since, 0, __ATOMIC_RELEASE);
	me->done++;
	__atomic_fetch_add(&shared->answers[op][answer], 1, __ATOMIC_RELAXED);
	if (took > shared->longest[op])
		shared->longest[op] = took;
	if (!((rules[op].must | rules[op].may) & B(answer)))
		wrong(ANSWER, "%s %d: %s: %s", me->role->name, me->nr,
		      rules[op].name, strerror(error));
	return error;
}

void wrong(enum wrong what, const char *format, ...)
{
	unsigned int nr;
	va_list list;

	if (shared->lenient && what != HANG)
		return;
	__atomic_fetch_add(&shared->wrong[what], 1, __ATOMIC_RELAXED);
	nr = __atomic_fetch_add(&shared->messages, 1, __ATOMIC_RELAXED);
	if (nr >= MESSAGES)
		return;
	va_start(list, format);
	vsnprintf(shared->message[nr], sizeof(shared->message[nr]), format, list);
	va_end(list);
}

void looked(enum look what)
{
	__atomic_fetch_add(&shared->looks[what], 1, __ATOMIC_RELAXED);
}

/* Each operation was answered in each way that it has to be. */
bool rules_are_kept(bool print)
{
	bool kept = true;
	char line[256];
	int op, i, at;

	for (op = 0; op < NR_OPS; op++) {
		at = sprintf(line, "# %-28s", rules[op].name);
		for (i = 0; i < NR_ANSWERS; i++) {
			if (shared->answers[op][i])
				at += sprintf(line + at, " %s %lu",
					      answer_names[i],
					      shared->answers[op][i]);
			else if (rules[op].must & B(i)) {
				at += sprintf(line + at, " NEVER %s",
					      answer_names[i]);
				kept = false;
			}
		}
		if (print)
			printf("%s, %lu ms at most\n", line, shared->longest[op]);
	}
	return kept;
}

/* A number below @sides. */
long roll(long sides)
{
	return random() % sides;
}

/* So many milliseconds at most. */
void nap(int most)
{
	usleep(roll(most * 1000L));
}

void path_of(char *path, int fs, int file)
{
	sprintf(path, "%s/%d", kind_dir(&kinds[fs]), file);
}

int open_raced(int fs, int file)
{
	char path[64];
	int fd;

	path_of(path, fs, file);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		wrong(ANSWER, "open %s: %s", path, strerror(errno));
	return fd;
}

static struct slot *change_slot(void)
{
	__atomic_fetch_add(&me->slot.changes, 1, __ATOMIC_SEQ_CST);
	return &me->slot;
}

static void slot_changed(void)
{
	__atomic_fetch_add(&me->slot.changes, 1, __ATOMIC_SEQ_CST);
}

/* From here on, until it is taken back, nobody else may change the file. */
void now_held(enum held held, int fs, int file, int fd)
{
	struct slot *slot = change_slot();
	struct stat st = { };

	fstat(fd, &st);
	slot->fs = fs;
	slot->file = file;
	slot->ino = st.st_ino;
	slot->nr = 0;
	slot->held = held;
	slot_changed();
}

/* Before the first thing is let go that the claim depends on. */
void held_no_more(enum held held)
{
	change_slot()->held = held;
	slot_changed();
}

/* An even number, or 1 if somebody is writing it. */
unsigned int look_at(const struct slot *slot)
{
	unsigned int changes = __atomic_load_n(&slot->changes, __ATOMIC_SEQ_CST);

	return changes & 1 ? 1 : changes;
}

bool still_so(const struct worker *worker, unsigned int changes)
{
	if (__atomic_load_n(&worker->slot.changes, __ATOMIC_SEQ_CST) != changes)
		return false;
	return !__atomic_load_n(&worker->doomed, __ATOMIC_SEQ_CST);
}

/* Where the device has these pages of a file; 0 for a hole. Returns an errno. */
int blocks_of(int fd, long first, long nr, __u64 *block)
{
	static __thread struct {
		struct fiemap map;
		struct fiemap_extent extent[64];
	} ask;
	struct fiemap_extent *extent;
	long page = first, i;
	__u64 at, end;

	memset(block, 0, nr * sizeof(*block));
	while (page < first + nr) {
		memset(&ask.map, 0, sizeof(ask.map));
		ask.map.fm_start = page * PAGE;
		ask.map.fm_length = (first + nr - page) * PAGE;
		ask.map.fm_extent_count = ARRAY_SIZE(ask.extent);
		if (ioctl(fd, FS_IOC_FIEMAP, &ask.map))
			return errno;
		if (!ask.map.fm_mapped_extents)
			break;
		for (i = 0; i < ask.map.fm_mapped_extents; i++) {
			extent = &ask.extent[i];
			end = extent->fe_logical + extent->fe_length;
			at = page * PAGE;
			if (at < extent->fe_logical)
				at = extent->fe_logical;
			for (; at < end && (long)(at / PAGE) < first + nr; at += PAGE)
				block[at / PAGE - first] = extent->fe_physical +
					at - extent->fe_logical;
			page = at / PAGE;
		}
	}
	return 0;
}

/* The frame that a page of memory is in, 0 if there is none. */
static __u64 frame_of(void *memory)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	__u64 entry = 0;

	if (pread(fd, &entry, sizeof(entry),
		  (uintptr_t)memory / PAGE * sizeof(entry)) != sizeof(entry))
		entry = 0;
	close(fd);
	return entry >> 63 ? (entry & ((1ULL << 55) - 1)) * PAGE : 0;
}

/* What was pinned, and the frames that it is in. */
void now_pinned(int fd, long first, long nr, void *memory)
{
	struct slot *slot = change_slot();
	long i, last = nr - 1;
	int error = blocks_of(fd, first, nr, slot->block);
	__u64 frame;

	slot->first = first;
	slot->nr = nr;
	slot->held = PINNED;
	slot_changed();
	if (error)
		wrong(ANSWER, "fiemap: %s", strerror(error));
	for (i = 0; memory && i < nr; i += last ?: 1) {
		frame = frame_of((char *)memory + i * PAGE);
		if (!frame)
			continue;
		if (frame != shared->resource[slot->fs] + slot->block[i])
			wrong(BLOCKS, "pinned %d/%d page %ld: frame %#llx, block %#llx",
			      slot->fs, slot->file, first + i, frame,
			      slot->block[i]);
		looked(LOOK_FRAMES);
	}
}

struct tag {
	__u32 magic;
	__u32 file;
	__u64 index;
};

void tag_page(void *page, int file, long index)
{
	*(struct tag *)page = (struct tag){ MAGIC, file, index };
}

bool has_tag(const void *page, int file, long index)
{
	const struct tag *tag = page;

	return tag->magic == MAGIC && tag->file == (__u32)file &&
		tag->index == (__u64)index;
}

/* Through the device, and, if it has the file open, by read. */
void check_pinned(int owner, int fd, int file, long first, long nr)
{
	char *buffer = malloc(nr * PAGE);
	__u64 address = (uintptr_t)buffer;
	struct tag tag;
	long i;

	memset(buffer, 0, nr * PAGE);
	if (ioctl(owner, PIN_LONGTERM_TEST_READ, &address))
		wrong(ANSWER, "reading what is pinned: %s", strerror(errno));
	for (i = 0; i < nr; i++) {
		if (!has_tag(buffer + i * PAGE, file, first + i))
			wrong(FOREIGN, "the device sees %#x %#x in page %ld of %d",
			      *(int *)(buffer + i * PAGE),
			      *(int *)(buffer + i * PAGE + 4), first + i, file);
		if (fd >= 0 && (pread(fd, &tag, sizeof(tag), (first + i) * PAGE) !=
				sizeof(tag) || !has_tag(&tag, file, first + i)))
			wrong(FOREIGN, "page %ld of %d does not read what is pinned",
			      first + i, file);
	}
	looked(LOOK_DEVICE);
	free(buffer);
}
