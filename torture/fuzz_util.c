// SPDX-License-Identifier: GPL-2.0-only
/*
 * What every part of fuzz.c needs and what needs no other part: random numbers,
 * the note of a failure, whose turn it is, and the table of all calls.
 */
#include <linux/futex.h>
#include <stdarg.h>
#include "fuzz.h"

const struct call *calls[CALLS];
int nr_calls;

void calls_add(const struct call *call)
{
	for (; call->name; call++)
		calls[nr_calls++] = call;
}

void print_op(FILE *out, const struct op *op)
{
	fprintf(out, "#  op %s %d %d %d %d %d %ld %ld %ld\n",
		calls[op->call]->name, op->actor, op->a, op->b, op->c,
		op->flags, op->x, op->y, op->z);
}

/* xorshift64* */
unsigned long rnd(struct world *w, unsigned long below)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return (w->random * 0x2545f4914f6cdd1dUL >> 16) % below;
}

/* A number that somebody may have forgotten to check. */
long wild(struct world *w)
{
	static const long edges[] = {
		0, 1, -1, 2, 255, 511, 512, 4095, 4096, 4097, 65536, -4096,
		INT32_MAX, INT32_MIN, UINT32_MAX, 1L << 32, LONG_MAX, LONG_MIN,
		LONG_MAX - 4095, LONG_MIN + 4096, 1L << 62, 1L << 47,
		(1L << 47) - 4096, 1L << 44,
	};

	switch (rnd(w, 4)) {
	case 0:
		return PICK(w, edges) + (unsigned long)rnd(w, 3) - 1;
	case 1:
		return rnd(w, UINT32_MAX) << rnd(w, 33);
	case 2:
		return 1L << rnd(w, 64);
	default:
		return PICK(w, edges);
	}
}

/* Only the first failure counts: others may follow from it. */
void fail(struct world *w, int got, const char *format, ...)
{
	va_list list;

	if (w->failed)
		return;
	w->failed = true;
	w->got = got;
	va_start(list, format);
	vsnprintf(w->note, sizeof(w->note), format, list);
	va_end(list);
}

static void futex(volatile int *word, int op, int value,
		  const struct timespec *timeout)
{
	syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

void pass_turn(struct world *w, int to)
{
	w->actor[to].go = 1;
	futex(&w->actor[to].go, FUTEX_WAKE, 1, NULL);
}

/* False if it did not come within that time; 0 waits for ever. */
bool wait_turn(struct world *w, int slot, int limit)
{
	struct timespec timeout = { limit };
	double end = seconds() + limit;

	while (!w->actor[slot].go) {
		if (limit && seconds() > end)
			return false;
		futex(&w->actor[slot].go, FUTEX_WAIT, 0,
		      limit ? &timeout : NULL);
	}
	w->actor[slot].go = 0;
	return true;
}

int errno_of(long result)
{
	return result < 0 ? errno : 0;
}
