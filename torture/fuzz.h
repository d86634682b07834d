/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the fuzzer share.
 *
 * A handful of processes ("actors") make one system call at a time on a few
 * files. struct world, in shared memory, has each actor's descriptors,
 * mappings, leases and pins. This state follows from what calls answered; what
 * does not follow from an answer is read back from the kernel. Actor 0 is the
 * supervisor: it starts and ends the others, looks at everything from outside,
 * and does not touch the files.
 *
 * The model does not predict what other people's code answers. It says whether
 * a call must be refused with ETXTBSY, must not be, or must fail; and what the
 * calls about leases and pins answer, as far as the contract says.
 *
 * A file calls functions of the files below it only:
 *
 *	fuzz.c		options, tests, what is printed
 *	fuzz_shrink.c	the shortest history that still fails
 *	fuzz_run.c	an episode: from fresh files to an unmounted file system
 *	fuzz_step.c	one call: choose, make, judge, apply
 *	fuzz_lease.c, fuzz_file.c, fuzz_change.c, fuzz_share.c, fuzz_ioctl.c,
 *	fuzz_map.c, fuzz_pin.c, fuzz_process.c
 *			the calls; these do not call each other
 *	fuzz_check.c	blocks, tables and sizes, compared with the state
 *	fuzz_model.c	the contract
 *	fuzz_world.c	look up things in struct world
 *	fuzz_util.c	chance, failures, turns, the table of calls
 */
#ifndef LAYOUT_PIN_FUZZ_H
#define LAYOUT_PIN_FUZZ_H

#include <limits.h>
#include <sys/syscall.h>
#include "layout_pin_test.h"
#include "kselftest.h"

#define ACTORS		5	/* with the supervisor */
#define SUPERVISOR	0
#define FDS		6	/* descriptors of files, for each actor */
#define OWNS		4	/* descriptors of drivers, for each actor */
#define ARENAS		3	/* where an actor maps files */
#define CELLS		8	/* units of an arena: what is mapped at once */
#define NAMES		3
#define INODES		10
#define OFDS		40	/* open file descriptions */
#define OWNERS		20	/* open files of drivers */
#define MRS		3	/* regions of a verbs context */
#define PINS		48
#define QUEUE		4	/* descriptors in flight to one actor */
#define HISTORY		4096
#define CALLS		64
#define NOBODY		65534

/* Answers: 0, an errno, or this and what the call returned. */
#define VALUE		0x10000
/* What run() returns in a process that it created. */
#define NEWBORN		0x20000
/* What no kernel answers: something else is wrong. */
#define WRONG_SIGNAL	0x10000000	/* somebody was signalled in vain */
#define WRONG_SILENCE	0x10000001	/* somebody was not asked */
#define WRONG_SLEEP	0x10000002	/* refused, but not at once */
#define WRONG_TABLE	0x10000003	/* a table, a size, a block; see note */
#define WRONG_HANG	0x10000004	/* a call does not return */
#define WRONG_DEATH	0x10000005	/* an actor died */
#define WRONG_LEFT	0x10000006	/* something is left behind */

struct op {
	unsigned char call;
	unsigned char actor;
	signed char a, b, c;
	unsigned char flags;
	long x, y, z;
};

/* Of op.flags. */
#define IN_THREAD	1	/* another thread makes the call */

struct who {
	int slot;		/* -1: nobody */
	unsigned int life;	/* slots are used again */
};

enum lease { NO_LEASE, LAYOUT, UNBREAK, EXCLUSIVE };
enum sharing { NOT_SHARED, MAYBE_SHARED, SHARED };
enum { READS = 1, WRITES = 2, PATH_ONLY = 4 };

struct file {			/* an inode */
	bool used;
	bool named;
	bool odd;		/* flags were changed: not all modes work */
	enum sharing sharing;
	int name;
	unsigned int uid;
	long size;
	unsigned long ino;
	int path_fd;		/* the supervisor's */
};

struct ofd {
	bool used;
	int file;
	int mode;
	int refs;		/* of descriptors, mappings, messages */
	enum lease lease;
	unsigned int granted;	/* when: the order of the inode's list */
	struct who holder;
	pid_t holder_pid;	/* stays when the holder dies */
	int pins;
	struct who signal_to;
	unsigned int signal_uid;
	volatile bool released;	/* by the handler of its signal */
};

struct owner {
	bool used;
	bool verbs;
	bool busy;		/* gup_test holds pages */
	int refs;
	bool region[MRS];
};

struct pinned {
	bool used;
	int owner;
	int region;		/* -1 for gup_test */
	bool by_mm;
	struct who mm;		/* its life is that of the mm */
	int file;
	int ofd;		/* whose lease it is under */
	long first, last;	/* pages that are referenced */
	long from, to;		/* pages that are protected; -1: not known */
	unsigned long blocks;	/* hash of where they are */
};

struct cell {			/* one unit of an arena */
	int ofd;		/* -1: not mapped */
	long index;		/* which unit of the file */
	int prot;
	bool shared;
	bool may_write;
	bool copied;		/* private, and may have pages of its own */
};

struct descriptor {
	int fd;
	int of;			/* index of struct ofd or owner; -1: unused */
	bool cloexec;
	bool native;		/* a verbs context that this process opened */
};

struct actor {
	bool alive;
	unsigned int life;
	unsigned int mm_life;
	unsigned int uid;
	pid_t pid;
	struct descriptor file[FDS];
	struct descriptor own[OWNS];
	struct cell cell[ARENAS][CELLS];
	volatile int signals;
	volatile int handling;	/* a handler of them runs */
	volatile int go;	/* futex: it is this actor's turn */
};

struct flight {
	bool owner;
	int of;
};

/* What the contract says of a call; a clean struct allows all but ETXTBSY. */
struct rule {
	bool skip;		/* not to be made: no room to note the effect */
	bool plain;		/* nothing else is wrong with the call */
	bool blocked;		/* must fail; with ETXTBSY if it is plain */
	bool pinned;		/* may fail with ETXTBSY */
	bool fails;		/* must fail */
	int nr;
	int list[8];		/* the answer is one of these, if there are */
	unsigned long asks;	/* open files whose leases it may break */
};

enum hook { NO_HOOK, HOOK_PIN, HOOK_FILE, HOOK_TIME };

struct world {
	struct kind kind;
	char fs[8];		/* kind.fs, which all actors have here */
	long unit;
	unsigned long random;
	unsigned int grants;
	int break_time;		/* seconds, as set */
	int name[NAMES];	/* index of struct file */
	struct file files[INODES];
	struct ofd ofds[OFDS];
	struct owner owners[OWNERS];
	struct pinned pins[PINS];
	struct actor actor[ACTORS];
	struct flight queue[ACTORS][QUEUE];
	int queued[ACTORS];
	int sockets[ACTORS][2];
	int exe_fd, world_fd, zero_fd, null_fd;

	int quit;		/* an actor that is to exit */
	bool replay;		/* history is given, not made */
	bool stop;
	bool verbose;
	bool verbs;		/* there is an RDMA device */
	int last_actor;
	int limit;		/* of this episode */
	int next;		/* in history */
	int nr_history;
	struct op history[HISTORY];
	struct op op;
	bool have_op;
	volatile unsigned long progress;

	enum hook hook;
	int hook_arg;
	long learned;		/* what run() found out and apply() wants */

	bool failed;
	int got;		/* what was answered */
	struct rule wanted;	/* instead of this */
	char note[512];

	unsigned long calls, refused, pinned, threads;
	unsigned long made[CALLS], succeeded[CALLS];
};

/*
 * A call: make() chooses arguments, rule() says what the contract says of it,
 * run() makes it, apply() notes the effect if it succeeded. Without rule() it
 * may answer anything but ETXTBSY.
 */
struct call {
	const char *name;
	int weight;
	bool alone;		/* not for another thread */
	void (*make)(struct world *w, struct op *op);
	void (*rule)(struct world *w, const struct op *op, struct rule *rule);
	int (*run)(struct world *w, const struct op *op);
	void (*apply)(struct world *w, const struct op *op, int got);
};

extern const struct call lease_calls[], file_calls[], change_calls[],
	share_calls[], ioctl_calls[], map_calls[], pin_calls[],
	process_calls[];

/* fuzz_util.c */
extern const struct call *calls[CALLS];
extern int nr_calls;
void calls_add(const struct call *call);
void print_op(FILE *out, const struct op *op);
unsigned long rnd(struct world *w, unsigned long below);
long wild(struct world *w);
void __printf(3, 4) fail(struct world *w, int got, const char *format, ...);
void pass_turn(struct world *w, int to);
bool wait_turn(struct world *w, int slot, int limit);
int errno_of(long result);

#define PICK(w, array)	((array)[rnd(w, ARRAY_SIZE(array))])

static inline bool succeeded(int got)
{
	return !got || got >= VALUE;
}

/* fuzz_world.c */
struct world *make_world(void);
struct world *attach_world(int fd);
bool is(const struct world *w, struct who whom, int slot);
struct who me(const struct world *w, int slot);
bool alive(const struct world *w, struct who whom);
bool shares_blocks(const struct world *w);
char *file_path(const struct world *w, int name, char *path);
int create_file(const struct world *w, int name, const char *path);
void new_file(struct world *w, int file, int name);
struct descriptor *file_slot(struct world *w, const struct op *op, int slot);
struct descriptor *own_slot(struct world *w, const struct op *op, int slot);
struct descriptor *driver(struct world *w, const struct op *op, bool verbs);
int fd_of(struct world *w, const struct op *op, int slot);
struct ofd *usable(struct world *w, const struct op *op, int slot);
struct file *file_of(struct world *w, const struct op *op, int slot);
int some_file(struct world *w, int actor);
int some_own(struct world *w, int actor, bool verbs);
int free_file_slot(const struct world *w, int actor);
int free_own_slot(const struct world *w, int actor);
int free_ofd(const struct world *w);
int free_owner(const struct world *w);
long some_offset(struct world *w);
void make_fd(struct world *w, struct op *op);
char *cell_at(const struct world *w, int arena, int cell);
void forget_actor(struct actor *actor);
void unmap_all(struct actor *actor);

/* fuzz_model.c */
struct pinning {
	int owner, region;
	bool tracks, by_mm;
	unsigned long at, size;	/* whole pages */
};

void may(struct rule *rule, int answer);
bool allowed(const struct rule *rule, int answer);
bool unbreakable(enum lease lease);
int model_kind(enum lease lease);
void model_setlease(const struct world *w, int actor, int ofd, int arg,
		    struct rule *rule);
void model_granted(struct world *w, int actor, int ofd, int arg);
void model_released(struct world *w, int ofd);
bool model_change(const struct world *w, int actor, int file, long first,
		  long last, struct rule *rule);
bool model_exchange(const struct world *w, int actor, int file,
		    struct rule *rule);
bool model_share(const struct world *w, int actor, int file,
		 struct rule *rule);
bool model_nothing(const struct world *w, int actor, int file,
		   struct rule *rule);
bool pinnable(const struct world *w, int actor, const struct cell *cell);
void model_pin(const struct world *w, int actor, const struct pinning *p,
	       struct rule *rule);
void model_pinned(struct world *w, int actor, const struct pinning *p);
void model_unpinned(struct world *w, int owner, int region);
bool responsive(const struct world *w, int ofd);
void recount(struct world *w);

/* fuzz_check.c */
void check_world(struct world *w);
void hook_pin(struct world *w);
const char *file_pins_differ(const struct world *w, int slot);

/* fuzz_step.c */
void calls_init(void);
int perform(struct world *w, const struct op *op);
void __noreturn actor_again(struct world *w, int slot);
bool step(struct world *w, int slot);

/* fuzz_run.c */
bool run_episode(struct world *w, unsigned long seed, int limit,
		 const struct op *ops);
void set_kind(struct world *w, const struct kind *kind);
const char *kind_name(const struct world *w);

/* Each file system with small entries, then each with huge ones. */
#define NR_KINDS	(2 * (int)ARRAY_SIZE(file_systems))
struct kind kind_nr(int nr);

/* fuzz_shrink.c */
void report(struct world *w, bool history);
void shrink(struct world *w);
bool replay_file(struct world *w, const char *path);

#endif /* LAYOUT_PIN_FUZZ_H */
