// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is done with a history of fuzz.c that went wrong: it is made as short as
 * it can be, by leaving calls out and trying again, and printed so that it can
 * be tried again later:
 *
 *	#  kind ext4_4k
 *	#  op setlease 1 0 0 0 0 48 0 0
 *
 * that is call, actor, a, b, c, flags, x, y, z; what these mean is said beside
 * each call.
 */
#include "fuzz.h"

#define PATIENCE	30	/* seconds */

static bool parse_op(const char *line, struct op *op)
{
	int actor, a, b, c, flags;
	char name[32];

	if (sscanf(line, "# op %31s %d %d %d %d %d %ld %ld %ld", name, &actor,
		   &a, &b, &c, &flags, &op->x, &op->y, &op->z) != 9 ||
	    actor < 0 || actor >= ACTORS)
		return false;
	op->actor = actor;
	op->a = a;
	op->b = b;
	op->c = c;
	op->flags = flags;
	for (op->call = 0; op->call < nr_calls; op->call++)
		if (!strcmp(calls[op->call]->name, name))
			return true;
	return false;
}

static void answer_name(int answer, char *text, size_t size)
{
	static const char * const wrong[] = {
		"a signal", "no signal", "sleep", "state", "hang", "death",
		"leftovers",
	};

	if (answer >= WRONG_SIGNAL)
		snprintf(text, size, "wrong %s", wrong[answer - WRONG_SIGNAL]);
	else if (answer >= VALUE)
		snprintf(text, size, "%#x", answer - VALUE);
	else
		snprintf(text, size, "%s",
			 answer ? strerrorname_np(answer) : "success");
}

/* What the contract allowed instead. */
static void print_rule(const struct rule *rule)
{
	char text[32];
	int i;

	if (rule->blocked)
		printf("%s", rule->plain ? " ETXTBSY" : " an errno");
	else if (!rule->nr)
		printf(" %s but ETXTBSY", rule->fails ? "an errno" : "all");
	for (i = 0; i < rule->nr; i++) {
		answer_name(rule->list[i], text, sizeof(text));
		printf(" %s", text);
	}
}

/* What went wrong, and after what if @history. */
void report(struct world *w, bool history)
{
	char text[32];
	int i;

	answer_name(w->got, text, sizeof(text));
	ksft_print_msg("kernel: %s: %s; model:", text, w->note);
	if (w->got < WRONG_SIGNAL)
		print_rule(&w->wanted);
	printf("\n#  kind %s\n", kind_name(w));
	for (i = 0; i < w->nr_history && history; i++)
		print_op(stdout, &w->history[i]);
	fflush(stdout);
}

struct signature {
	int got;
	unsigned char call;
};

static struct signature signature(const struct world *w)
{
	return (struct signature){
		w->got, w->nr_history ?
			w->history[w->nr_history - 1].call : 0,
	};
}

static bool same(struct signature a, struct signature b)
{
	return a.got == b.got && a.call == b.call;
}

/* Without calls @from to @to of @ops: does it still fail in the same way? */
static bool fails_without(struct world *w, struct op *ops, int *nr, int from,
			  int to, struct signature how)
{
	static struct op fewer[HISTORY];
	int left = *nr - (to - from);

	memcpy(fewer, ops, from * sizeof(*ops));
	memcpy(fewer + from, ops + to, (*nr - to) * sizeof(*ops));
	if (run_episode(w, 0, left, fewer) || !same(signature(w), how))
		return false;
	*nr = w->nr_history;
	memcpy(ops, w->history, *nr * sizeof(*ops));
	return true;
}

/* Drop halves, quarters, down to single calls, while it still fails. */
void shrink(struct world *w)
{
	static struct op ops[HISTORY];
	struct signature how = signature(w);
	int nr = w->nr_history, from, chunk;
	double end = seconds() + PATIENCE;

	if (how.got == WRONG_HANG)
		return;
	memcpy(ops, w->history, nr * sizeof(*ops));
	ksft_print_msg("%d calls; leaving out what is not needed\n", nr);
	for (chunk = nr / 2; chunk && seconds() < end; chunk /= 2)
		for (from = 0; from + chunk < nr && seconds() < end;)
			if (!fails_without(w, ops, &nr, from, from + chunk,
					   how))
				from += chunk;
	/* Once more, so that what is reported is what happened. */
	if (run_episode(w, 0, nr, ops)) {
		ksft_print_msg("it does not always happen\n");
		w->nr_history = nr;
		memcpy(w->history, ops, nr * sizeof(*ops));
	}
}

static bool parse_kind(struct world *w, const char *line)
{
	struct kind kind;
	char name[16];
	int i;

	if (sscanf(line, "# kind %15s", name) != 1)
		return false;
	for (i = 0; i < NR_KINDS; i++) {
		kind = kind_nr(i);
		set_kind(w, &kind);
		if (!strcmp(name, kind_name(w)))
			return true;
	}
	return false;
}

/* True if nothing goes wrong. */
bool replay_file(struct world *w, const char *path)
{
	static struct op ops[HISTORY];
	FILE *file = fopen(path, "re");
	struct kind kind = kind_nr(0);
	char line[256];
	int nr = 0;

	set_kind(w, &kind);
	while (file && nr < HISTORY && fgets(line, sizeof(line), file)) {
		if (!parse_kind(w, line) && parse_op(line, &ops[nr]))
			nr++;
	}
	if (!nr) {
		fail(w, WRONG_LEFT, "no history in '%s'", path);
		return false;
	}
	fclose(file);
	ksft_print_msg("%d calls on %s\n", nr, kind_name(w));
	return run_episode(w, 0, nr, ops);
}
