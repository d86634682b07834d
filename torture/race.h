/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the race test share. Workers are processes, and threads of
 * them, that do one kind of thing over and over to a few files of two file
 * systems. All of them write down what they were answered, and what they hold,
 * in memory that all of them have.
 *
 * race.c		starts and kills the workers, watches them, tells
 * race_state.c		answers, what is held, tags in pages, blocks of files
 * race_hold.c		who takes leases and pins, and lets go in any order
 * race_thread.c	threads of one process that do so against each other
 * race_pass.c		who passes descriptors, forks and executes
 * race_change.c	who changes layouts, grows, writes, frees, freezes
 * race_look.c		who compares: blocks, contents, what /proc shows
 * race_unbind.c	the device goes while all that is under way
 */
#ifndef LAYOUT_PIN_RACE_H
#define LAYOUT_PIN_RACE_H

#include "layout_pin_test.h"
#include "kselftest.h"
#include <limits.h>

#define UNBREAK		(F_LAYOUT | F_UNBREAK)
#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)

#define NR_FS		2
#define FILES		3		/* of a file system, for everybody */
#define HELD		FILES		/* leased and pinned all the time */
#define FREE		(FILES + 1)	/* never leased by anybody */
#define ALL_FILES	(FILES + 2)
#define FILE_SIZE	(2 * HUGE)
#define FILE_PAGES	(FILE_SIZE / PAGE)
#define MAX_PAGES	(HUGE / PAGE)	/* of a pin */
#define MAX_WORKERS	128
#define SHARED_FD	200		/* where a worker that executes finds it */
#define MESSAGES	24

/* What is counted. The rules are in race_state.c. */
enum op {
	TAKE_LAYOUT, TAKE_UNBREAK, TAKE_EXCLUSIVE, TAKE_PLAIN,
	GET_LEASE, DROP, DROP_PINNED, DROP_BROKEN, DROP_CLASH,
	PIN, PIN_WITHOUT, PIN_CLASH, UNPIN, REGISTER, DEREGISTER, TRANSFER,
	TRUNCATE, OPEN_TRUNC, PUNCH, ZERO, COLLAPSE, INSERT, REMOVE, UNSHARE,
	CLONE, DEDUPE, REPLACE, GROW, WRITE, FSYNC,
	FREEZE, THAW, MAP, REMAP, UNMAP, DUPLICATE, CLOSE, FORK, EXEC,
	SEND, RECEIVE, READ_PINS, READ_LOCKS, READ_TABLE,
	CHURN, KILL, NR_OPS
};

enum answer {
	OK, IS_TXTBSY, IS_AGAIN, IS_BUSY, IS_NOTSUPP, IS_NOSPC, IS_INVAL,
	IS_FAULT, IS_OTHER, NR_ANSWERS
};

/* What can go wrong, each a test of its own. */
enum wrong { ANSWER, BLOCKS, FOREIGN, LOST_LEASE, SHOWN, HANG, NR_WRONG };

/* What was compared, so that nothing wrong means something. */
enum look { LOOK_BLOCKS, LOOK_FRAMES, LOOK_CONTENT, LOOK_DEVICE, LOOK_CHURN,
	    LOOK_LEASE, LOOK_PINS, LOOK_LOCKS, LOOK_TABLE, NR_LOOKS };

/* ZOMBIE: pinned, but the lease refuses only there. */
enum held { NOTHING, LEASED, PINNED, ZOMBIE };

/* What a worker certainly holds. An odd number of changes: it is being written. */
struct slot {
	unsigned int changes;
	enum held held;
	int fs, file;
	ino_t ino;
	long first, nr;			/* pages that are pinned */
	__u64 block[MAX_PAGES];		/* bytes, from the start of the device */
};

struct worker {
	pid_t pid, tid;
	const struct role *role;
	int fs, nr;
	unsigned int generation;
	bool doomed;			/* what it holds does not count any more */
	enum op doing;
	unsigned long since;		/* ms; 0: between two of them */
	unsigned long done;
	struct slot slot;
};

struct shared {
	unsigned int seed;
	bool stop;
	bool lenient;			/* the device goes: any answer will do */
	__u64 resource[NR_FS];		/* physical address of the device */
	unsigned long answers[NR_OPS][NR_ANSWERS];
	unsigned long longest[NR_OPS];	/* ms */
	unsigned long looks[NR_LOOKS];
	unsigned long wrong[NR_WRONG];
	unsigned int messages;
	char message[MESSAGES][160];
	int nr_workers;
	struct worker worker[MAX_WORKERS];
};

/* A kind of worker; it does @round over and over until all are to stop. */
struct role {
	const char *name;
	void (*round)(void);
	const struct role *also;	/* another thread of the same process */
	bool mortal;			/* may be killed at any time */
};

extern struct shared *shared;
extern __thread struct worker *me;
extern const struct kind kinds[NR_FS];

extern const struct role holder, device, clash, passer, executer, changer,
	writer, taker, churner, freezer, checker, scanner, reader;

/* race_state.c */
unsigned long now_ms(void);
void begin(enum op op);
int answered(enum op op, int error);
__printf(2, 3) void wrong(enum wrong what, const char *format, ...);
void looked(enum look what);
bool rules_are_kept(bool print);
long roll(long sides);
void nap(int most);
void path_of(char *path, int fs, int file);
int open_raced(int fs, int file);
void now_held(enum held held, int fs, int file, int fd);
void now_pinned(int fd, long first, long nr, void *memory);
void held_no_more(enum held held);
unsigned int look_at(const struct slot *slot);
bool still_so(const struct worker *worker, unsigned int changes);
int blocks_of(int fd, long first, long nr, __u64 *block);
void tag_page(void *page, int file, long index);
bool has_tag(const void *page, int file, long index);
void check_pinned(int owner, int fd, int file, long first, long nr);

/* race_hold.c */
int make_device(void);
int take_lease(int fd, int arg);
char *map_raced(int fd, bool huge);
int make_room(int fd, long first, long nr);
void tag_pages(char *memory, int file, long first, long nr);

/* race_pass.c */
int make_ring(void);
void close_ring(void);
void pass_on(int fd);
void executed(int fs, int file, int fd);

/* race_change.c */
void fill_with_churn(int fs);

/* race_look.c */
unsigned long scan_churn(int fs);

/* race.c */
void attach(int fd);
struct worker *spawn(const struct role *role, int fs);
__noreturn void work(void);
bool stop_all(double bound);

/* race_unbind.c */
bool unbind_race(int fs);

/* The errno of a call. */
#define errno_of(call)	((call) < 0 ? errno : 0)

/* Do it, count it, and hand on its errno. */
#define perform(op, error)						\
({									\
	begin(op);							\
	answered(op, error);						\
})

#endif /* LAYOUT_PIN_RACE_H */
