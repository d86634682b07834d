// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lspins - list layout leases and pinned files
 *
 * In the manner of lslocks(8). Options, and which rows are shown.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lspins-data.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

struct target {
	const char *name;
	dev_t dev;
	ino_t ino;
};

struct options {
	struct table_options table;
	const char *root;
	const char *command;	/* pattern, or NULL */
	const char *state;	/* or NULL */
	struct list pids;	/* of pid_t */
	struct list targets;
	double watch;		/* seconds, 0: once */
	bool explain;
};

static void usage(FILE *to)
{
	fprintf(to,
"Usage: lspins [options] [FILE...]\n"
"List layout leases and pinned files, all of them or those of each FILE.\n"
"\n"
" -p, --pid PID[,PID...]      only of these processes\n"
" -c, --command PATTERN       only of processes whose command matches\n"
" -s, --state STATE           only under a lease that is active, breaking, zombie\n"
" -e, --explain               say who blocks truncation of FILE and what ends it\n"
" -w, --watch[=SECONDS]       show it again when it has changed (2)\n"
" -o, --output [+]LIST        columns to show, or to add\n"
"     --output-all            all columns\n"
"     --list-columns          describe the columns\n"
" -J, --json                  JSON\n"
" -r, --raw                   columns not aligned\n"
" -n, --noheadings            no headings\n"
" -b, --bytes                 sizes in bytes\n"
"     --sysroot DIR           read proc and sys below DIR\n"
" -h, --help                  show this text\n"
" -V, --version               show the version\n");
}

__attribute__((noreturn)) static void bad_usage(const char *what, const char *arg)
{
	fprintf(stderr, "lspins: %s%s%s; try 'lspins --help'\n", what,
		arg ? " " : "", arg ? arg : "");
	exit(EXIT_USAGE);
}

static void parse_pids(struct options *opt, const char *text)
{
	char *end;
	long pid;

	do {
		errno = 0;
		pid = strtol(text, &end, 10);
		if (errno || end == text || pid <= 0 || pid != (pid_t)pid ||
		    (*end && *end != ','))
			bad_usage("not a process:", text);
		list_add(&opt->pids, (void *)pid);
		text = end + 1;
	} while (*end);
}

static double parse_seconds(const char *text)
{
	char *end;
	double value;

	if (!text)
		return 2;
	value = strtod(text, &end);
	if (end == text || *end || !(value >= 0.01 && value <= 1e6))
		bad_usage("not a number of seconds:", text);
	return value;
}

static const char *parse_state(const char *text)
{
	if (strcmp(text, "active") && strcmp(text, "breaking") &&
	    strcmp(text, "zombie"))
		bad_usage("not a state:", text);
	return text;
}

static void parse_option(struct options *opt, int c)
{
	switch (c) {
	case 'p':
		parse_pids(opt, optarg);
		break;
	case 'c':
		opt->command = optarg;
		break;
	case 's':
		opt->state = parse_state(optarg);
		break;
	case 'e':
		opt->explain = true;
		break;
	case 'w':
		opt->watch = parse_seconds(optarg);
		break;
	case 'o':
		if (!columns_parse(optarg))
			bad_usage("unknown column in", optarg);
		break;
	case 'A':
		columns_all();
		break;
	case 'L':
		columns_list(stdout);
		exit(0);
	case 'J':
		opt->table.json = true;
		break;
	case 'r':
		opt->table.raw = true;
		break;
	case 'n':
		opt->table.noheadings = true;
		break;
	case 'b':
		opt->table.bytes = true;
		break;
	case 'R':
		opt->root = optarg;
		break;
	case 'h':
		usage(stdout);
		exit(0);
	case 'V':
		puts("lspins from holdfast " VERSION);
		exit(0);
	default:
		bad_usage("bad option", NULL);
	}
}

static void parse_options(int argc, char **argv, struct options *opt)
{
	static const struct option longs[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "command", required_argument, NULL, 'c' },
		{ "state", required_argument, NULL, 's' },
		{ "explain", no_argument, NULL, 'e' },
		{ "watch", optional_argument, NULL, 'w' },
		{ "output", required_argument, NULL, 'o' },
		{ "output-all", no_argument, NULL, 'A' },
		{ "list-columns", no_argument, NULL, 'L' },
		{ "json", no_argument, NULL, 'J' },
		{ "raw", no_argument, NULL, 'r' },
		{ "noheadings", no_argument, NULL, 'n' },
		{ "bytes", no_argument, NULL, 'b' },
		{ "sysroot", required_argument, NULL, 'R' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "p:c:s:ew::o:JrnbhV", longs,
				NULL)) != -1)
		parse_option(opt, c);
	if (opt->table.json && opt->table.raw)
		bad_usage("--json and --raw exclude each other", NULL);
	if (opt->explain && optind == argc)
		bad_usage("no file to explain", NULL);
	if (opt->explain && (opt->table.json || opt->table.raw || opt->watch ||
			     opt->pids.nr || opt->command || opt->state))
		bad_usage("--explain takes files and --sysroot only", NULL);
}

static void add_target(struct options *opt, const char *name)
{
	struct target *target = malloc(sizeof(*target));
	struct stat st;
	char *path;

	if (!target || asprintf(&path, "%s%s", opt->root, name) < 0)
		err(EXIT_FAILED, NULL);
	if (stat(path, &st))
		err(EXIT_FAILED, "%s", name);
	free(path);
	*target = (struct target){ name, st.st_dev, st.st_ino };
	list_add(&opt->targets, target);
}

static bool is_target(const struct row *row, const struct target *target)
{
	return row->file->known && row->file->dev == target->dev &&
	       row->file->ino == target->ino;
}

static bool target_wanted(const struct options *opt, const struct row *row)
{
	size_t i;

	for (i = 0; i < opt->targets.nr; i++)
		if (is_target(row, opt->targets.item[i]))
			return true;
	return !opt->targets.nr;
}

/* Pins that no process shows are of the process that made them. */
static bool pid_wanted(const struct options *opt, const struct row *row)
{
	pid_t pid = row->process ? row->process->pid : row->group->pid;
	size_t i;

	for (i = 0; i < opt->pids.nr; i++)
		if ((long)opt->pids.item[i] == pid)
			return true;
	return !opt->pids.nr;
}

static bool command_wanted(const struct options *opt, const struct row *row)
{
	const char *command = row->process ? row->process->command : NULL;

	return !opt->command || (command && !fnmatch(opt->command, command, 0));
}

static bool state_wanted(const struct options *opt, const struct row *row)
{
	return !opt->state || (row->lease &&
			       !strcmp(opt->state, lease_state_name(row->lease)));
}

/* What the caller may not read is missing above; say so, and why. */
static void tell_missing(const struct snapshot *snap)
{
	bool denied = snap->regions_error == EACCES ||
		      snap->regions_error == EPERM;

	fflush(stdout);	/* in this order where both go to one place */
	if (snap->unreadable)
		fprintf(stderr, "lspins: %u process%s cannot be read; root sees "
			"more\n", snap->unreadable,
			snap->unreadable == 1 ? "" : "es");
	if (denied)
		fprintf(stderr, "lspins: pinned ranges cannot be read; root sees "
			"more\n");
	else if (!snap->regions_read)
		fprintf(stderr, "lspins: pinned ranges are unknown: debugfs is not "
			"mounted\n");
}

static struct snapshot *take(const struct options *opt)
{
	struct snapshot *snap = snapshot_take(opt->root);

	if (!snap->supported)
		errx(EXIT_FAILED, "this kernel has no layout leases");
	return snap;
}

static int explain_targets(const struct options *opt)
{
	struct snapshot *snap = take(opt);
	int status = EXIT_NOTHING;
	size_t i, j;

	for (i = 0; i < opt->targets.nr; i++) {
		const struct target *target = opt->targets.item[i];
		struct list rows = { };

		for (j = 0; j < snap->rows.nr; j++)
			if (is_target(snap->rows.item[j], target))
				list_add(&rows, snap->rows.item[j]);
		if (explain(snap, target->name, &rows))
			status = 0;
		free(rows.item);
	}
	tell_missing(snap);
	snapshot_free(snap);
	return status;
}

/* The table as text; of what is behind it only numbers remain. */
static char *table_text(const struct options *opt, struct snapshot *summary,
			bool *any)
{
	struct snapshot *snap = take(opt);
	struct list rows = { };
	char *text;
	size_t i;

	for (i = 0; i < snap->rows.nr; i++) {
		struct row *row = snap->rows.item[i];

		if (target_wanted(opt, row) && pid_wanted(opt, row) &&
		    command_wanted(opt, row) && state_wanted(opt, row))
			list_add(&rows, row);
	}
	*any = rows.nr;
	text = table_print(snap, &rows, &opt->table);
	*summary = *snap;
	snapshot_free(snap);
	free(rows.item);
	return text;
}

static void put(const char *text)
{
	fputs(text, stdout);
	if (*text && text[strlen(text) - 1] != '\n')
		putchar('\n');
	if (fflush(stdout))
		err(EXIT_FAILED, "cannot write");
}

/* Each change is a whole table; people get the time before it. */
__attribute__((noreturn)) static void watch(const struct options *opt)
{
	double whole, part = modf(opt->watch, &whole);
	const struct timespec pause = { whole, part * 1e9 };
	char *text, *before = NULL, date[32];
	struct snapshot summary;
	bool any;
	time_t now;

	for (;;) {
		text = table_text(opt, &summary, &any);
		if (!before || strcmp(text, before)) {
			now = time(NULL);
			strftime(date, sizeof(date), "%FT%T%z\n", localtime(&now));
			if (!opt->table.json && !opt->table.raw)
				put(date);
			put(text);
		}
		if (!before)
			tell_missing(&summary);
		free(before);
		before = text;
		nanosleep(&pause, NULL);
	}
}

static int show(const struct options *opt)
{
	struct snapshot summary;
	bool any;
	char *text = table_text(opt, &summary, &any);

	if (any || opt->table.json)
		put(text);
	tell_missing(&summary);
	free(text);
	return any ? 0 : EXIT_NOTHING;
}

int main(int argc, char **argv)
{
	struct options opt = { .root = "" };
	int status;
	size_t i;

	parse_options(argc, argv, &opt);
	for (; optind < argc; optind++)
		add_target(&opt, argv[optind]);
	if (opt.watch)
		watch(&opt);
	status = opt.explain ? explain_targets(&opt) : show(&opt);
	for (i = 0; i < opt.targets.nr; i++)
		free(opt.targets.item[i]);
	free(opt.targets.item);
	free(opt.pids.item);
	return status;
}
