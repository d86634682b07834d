/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the generator of bad input share.
 *
 * A handful of processes ("actors") make one system call at a time on a few
 * files. All they know of each other is in struct world, in shared memory:
 * which process has which descriptors, mappings, leases and pins. fuzz_model.c
 * predicts from it what the kernel has to answer; what the kernel did answer
 * is then applied to it. Actor 0 is the supervisor: it starts and ends the
 * others, looks at the whole of it from outside, and makes no calls itself.
 *
 *	fuzz.c		options, tests, what is printed
 *	fuzz_run.c	an episode: from fresh files to an unmounted file system
 *	fuzz_actor.c	one call: choose, predict, make, compare, apply
 *	fuzz_model.c	the contract
 *	fuzz_aim.c	calls that are one step to a pin
 *	fuzz_check.c	what is checked beside answers: blocks, tables, /proc
 *	fuzz_shrink.c	the shortest history that still fails; its text
 *	fuzz_lease.c, fuzz_file.c, fuzz_change.c, fuzz_share.c, fuzz_ioctl.c,
 *	fuzz_map.c, fuzz_pin.c, fuzz_verbs.c, fuzz_process.c
 *			the calls
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

#define NOBODY		65534

/* Answers: 0, an errno, or this and what the call returned. */
#define VALUE		0x10000
/* What no kernel answers: something else is wrong. */
#define WRONG_SIGNAL	0x10000000	/* somebody was signalled in vain */
#define WRONG_SILENCE	0x10000001	/* somebody was not asked */
#define WRONG_SLEEP	0x10000002	/* refused, but not at once */
#define WRONG_TABLE	0x10000003	/* a table, a size, a block; see the note */
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
#define MAP_PRIVATE_TOO	2	/* a private mapping */

struct who {
	int slot;		/* -1: nobody */
	unsigned int life;	/* slots are used again */
};

#define NO_LIFE		UINT_MAX

enum lease { NO_LEASE, LAYOUT, UNBREAK, EXCLUSIVE, PLAIN_READ, PLAIN_WRITE };
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
	pid_t holder_pid;	/* also when it is dead */
	int pins;
	struct who signal_to;
	bool signal_group;	/* F_SETOWN with a group: there is none */
	unsigned int signal_uid;
	int signal;
	volatile bool released;	/* by the handler of its signal */
};

struct owner {
	bool used;
	bool verbs;
	bool busy;		/* gup_test holds pages */
	long pages;
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
	long from, to;		/* pages that are protected */
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
	bool opaque;		/* not dumpable: only root looks into it */
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

enum breaks { BREAKS_NONE, BREAKS_ALL, BREAKS_SOME };

/* What the model allows. */
struct answers {
	int nr;
	int list[16];
	bool skip;		/* the model has no room for it, or no answer */
	enum breaks breaks;
	unsigned long ofds;	/* whose breakable leases have to go */
};

enum hook { NO_HOOK, HOOK_PIN, HOOK_FILE, HOOK_TIME };

struct world {
	struct kind kind;
	char fs[8];		/* kind.fs, which all actors have here */
	long unit;
	long max_bytes;
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
	struct answers wanted;	/* instead of this */
	char note[512];

	unsigned long calls, refused, pinned, threads;
	unsigned long made[128], succeeded[128];
};

struct call {
	const char *name;
	int weight;
	bool alone;		/* not for another thread */
	void (*make)(struct world *w, struct op *op);
	void (*predict)(struct world *w, const struct op *op, struct answers *want);
	int (*run)(struct world *w, const struct op *op);
	void (*apply)(struct world *w, const struct op *op, int got);
};

extern const struct call lease_calls[], file_calls[], change_calls[],
	share_calls[], ioctl_calls[], map_calls[], pin_calls[], verbs_calls[],
	process_calls[];

/* fuzz_actor.c */
extern const struct call *calls[128];
extern int nr_calls;
void calls_init(void);
void __noreturn actor_main(struct world *w, int slot);
void __noreturn actor_again(struct world *w, int slot);
bool step(struct world *w, int slot);
void pass_turn(struct world *w, int to);
bool wait_turn(struct world *w, int slot, int limit);
void catch_signals(struct world *w, int slot);
unsigned long rnd(struct world *w, unsigned long below);
long wild(struct world *w);
void __printf(3, 4) fail(struct world *w, int got, const char *format, ...);

/* fuzz_model.c */
bool is(const struct world *w, struct who whom, int slot);
struct who me(const struct world *w, int slot);
bool alive(const struct world *w, struct who whom);
bool unbreakable(enum lease lease);
void may(struct answers *want, int answer);
bool allowed(const struct answers *want, int answer);
void model_setlease(const struct world *w, int actor, int ofd, int arg,
		    struct answers *want);
int model_kind(enum lease lease);
enum lease model_lease(int arg);
void model_granted(struct world *w, int actor, int ofd, int arg);
void model_released(struct world *w, int ofd);
bool model_change(const struct world *w, int actor, int file, long first,
		  long last, struct answers *want);
bool model_share(const struct world *w, int actor, int file,
		 struct answers *want);
void model_open(const struct world *w, int actor, int file, int mode,
		struct answers *want);
int model_pin_lease(const struct world *w, int actor, int file);
bool responsive(const struct world *w, int ofd);
void recount(struct world *w);

/* fuzz_file.c and others: what calls have in common */
struct descriptor *file_slot(struct world *w, const struct op *op, int slot);
int fd_of(struct world *w, const struct op *op, int slot);
struct ofd *usable(struct world *w, const struct op *op, int slot);
int some_file(struct world *w, int actor);
int free_file_slot(struct world *w, int actor);
int free_ofd(const struct world *w);
void new_ofd(struct world *w, int ofd, int file, int mode);
long file_offset(struct world *w);
int errno_of(long result);

/* fuzz_map.c */
char *cell_at(const struct world *w, int arena, int cell);
struct cell *cell_of(struct world *w, int actor, unsigned long address);
void unmap_all(struct actor *actor);

/* fuzz_pin.c */
struct pinning {
	int owner, region;
	bool tracks, by_mm;
	unsigned long at, size;	/* whole pages */
};

void predict_pin(struct world *w, int actor, const struct pinning *p,
		 struct answers *want);
void apply_pin(struct world *w, int actor, const struct pinning *p);
void drop_pins(struct world *w, int owner, int region);
struct descriptor *own_slot(struct world *w, const struct op *op, int slot);
int free_own_slot(struct world *w, int actor);
int some_own(struct world *w, int actor, bool verbs);
int free_owner(const struct world *w);
bool pinnable(const struct world *w, int actor, const struct cell *cell);

/* fuzz_aim.c */
void make_step(struct world *w, struct op *op);

/* fuzz_verbs.c */
bool verbs_there(void);
void verbs_close(int slot, int fd);
void verbs_forget(void);

/* fuzz_process.c */
pid_t start_actor(struct world *w, int slot);

/* fuzz_check.c */
void check_world(struct world *w);
void hook_pin(struct world *w);
const char *file_pins_differ(const struct world *w, int slot);

/* fuzz_run.c */
bool run_episode(struct world *w, unsigned long seed, int limit,
		 const struct op *ops);
struct world *make_world(void);
struct world *attach_world(int fd);

/* fuzz_shrink.c */
void print_op(FILE *out, const struct op *op);
bool parse_op(const char *line, struct op *op);
void report(struct world *w, bool history);
void shrink(struct world *w);
bool replay_file(struct world *w, const char *path);
void set_kind(struct world *w, const struct kind *kind);
const char *kind_name(const struct world *w);

/* Each file system with small entries, then each with huge ones. */
#define NR_KINDS	(2 * (int)ARRAY_SIZE(file_systems))
struct kind kind_nr(int nr);

#endif /* LAYOUT_PIN_FUZZ_H */
