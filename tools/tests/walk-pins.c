// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * walk-pins - processes that pin files, for walk-live.sh
 *
 *	walk-pins give OWNER FILE SOCKET	pins FILE, sends whoever connects to
 *						SOCKET the owner's descriptor
 *	walk-pins take SOCKET			is the one who connects
 *	walk-pins many OWNER DIR FILES N	N processes that pin a page each of
 *						one of FILES files in DIR
 *	walk-pins regions DIR FILES N		N regions of a page, of FILES files
 *						in DIR, in one RDMA context
 *	walk-pins two FILE			two owners: 9 and 10, of the first page,
 *						and then 3, of the two pages behind it
 *	walk-pins records FILE N		N records by one registration, of a
 *						mapping that goes through FILE page
 *						by page backwards
 *
 * OWNER is rdma, a context of the first RDMA device, or gup, an open gup_test. Each
 * takes the layout leases it needs, says what it did, and waits to be killed.
 */
#include <err.h>
#include <stdnoreturn.h>
#include <sys/prctl.h>
#include <infiniband/verbs.h>

#include "descriptor.h"
#include "layout_pin_test.h"
#include "../../demo/unix_socket.h"

#define UNBREAK		(F_LAYOUT | F_UNBREAK)

/* Told, and then nothing: what was pinned is pinned until the end. */
static noreturn void say(const char *what)
{
	puts(what);
	fflush(stdout);
	for (;;)
		pause();
}

static struct ibv_context *open_rdma(void)
{
	struct ibv_device **devices = ibv_get_device_list(NULL);
	struct ibv_context *context;

	if (!devices || !devices[0])
		errx(1, "no RDMA device");
	context = ibv_open_device(devices[0]);
	if (!context)
		err(1, "cannot open the RDMA device");
	ibv_free_device_list(devices);
	return context;
}

static void reg(struct ibv_pd *pd, void *memory, size_t size)
{
	if (!ibv_reg_mr(pd, memory, size, IBV_ACCESS_LOCAL_WRITE |
					  IBV_ACCESS_REMOTE_WRITE))
		err(1, "ibv_reg_mr");
}

/* Memory of the file, which the caller may pin from now on. */
static void *leased(const char *path, size_t *size)
{
	int fd = open(path, O_RDWR), error;
	struct stat st;
	void *memory;

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	error = set_lease(fd, UNBREAK);
	if (error)
		errx(1, "no layout lease on %s: %s", path, strerror(error));
	*size = st.st_size;
	memory = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	return memory;
}

/* The descriptor of the owner. */
static int pin_by(const char *owner, void *memory, size_t size)
{
	struct ibv_context *context;
	struct pin p;

	if (!strcmp(owner, "rdma")) {
		context = open_rdma();
		reg(ibv_alloc_pd(context), memory, size);
		return context->cmd_fd;
	}
	p = pin(memory, size);
	if (p.error)
		errx(1, "pin: %s", strerror(p.error));
	return p.fd;
}

static void give(const char *owner, const char *path, const char *socket)
{
	struct sockaddr_un addr;
	int sock = unix_socket(socket, &addr), to, fd;
	size_t size;
	void *memory = leased(path, &size);

	fd = pin_by(owner, memory, size);
	if (bind(sock, (struct sockaddr *)&addr, sizeof(addr)) || listen(sock, 1))
		err(1, "%s", socket);
	to = accept(sock, NULL, NULL);
	if (to < 0 || send_descriptor(to, fd))
		err(1, "cannot send");
	say("given");
}

static void take(const char *socket)
{
	struct sockaddr_un addr;
	int sock = unix_socket(socket, &addr);

	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)))
		err(1, "%s", socket);
	if (receive_descriptor(sock) < 0)
		errx(1, "no descriptor came");
	say("taken");
}

/* Of many: ends with the first; a byte if it has its page, and no byte if not. */
static noreturn void one_of_many(const char *owner, const char *path, size_t page, int tell)
{
	size_t size;
	char *memory;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memory = leased(path, &size);
	if ((page + 1) * PAGE > size)
		errx(1, "%s is too short", path);
	pin_by(owner, memory + page * PAGE, PAGE);
	if (write(tell, "x", 1) != 1)
		err(1, "write");
	close(tell);
	for (;;)
		pause();
}

static void many(const char *owner, const char *dir, int files, int nr)
{
	int i, tell[2];
	char path[256], byte;

	if (pipe(tell))
		err(1, "pipe");
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s/%d", dir, i % files);
		switch (fork()) {
		case -1:
			err(1, "fork");
		case 0:
			close(tell[0]);
			one_of_many(owner, path, i / files, tell[1]);
		}
	}
	close(tell[1]);
	for (i = 0; i < nr; i++)
		if (read(tell[0], &byte, 1) != 1)
			errx(1, "%d of %d have pins", i, nr);
	say("held");
}

static void regions(const char *dir, int files, int nr)
{
	struct ibv_pd *pd = ibv_alloc_pd(open_rdma());
	char path[256], *memory = NULL;
	size_t size;
	int i, at;

	for (i = 0; i < files; i++) {
		snprintf(path, sizeof(path), "%s/%d", dir, i);
		memory = leased(path, &size);
		for (at = 0; at < nr / files; at++)
			reg(pd, memory + at * PAGE % size, PAGE);
	}
	say("held");
}

static void two(const char *path)
{
	size_t size;
	char *memory = leased(path, &size);

	if (dup2(pin_by("gup", memory, PAGE), 9) != 9 || dup2(9, 10) != 10)
		err(1, "dup2");
	closefrom(11);
	close_range(3, 8, 0);
	if (pin_by("gup", memory + PAGE, 2 * PAGE) != 3)
		errx(1, "not descriptor 3");
	say("held");
}

/* One VMA for each page: vm.max_map_count has to allow that many. */
static void records(const char *path, long nr)
{
	size_t size;
	char *memory = leased(path, &size), *area;
	long i, pages = size / PAGE;
	int fd = open(path, O_RDWR);

	munmap(memory, size);
	area = mmap(NULL, nr * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	for (i = 0; i < nr; i++)
		if (mmap(area + i * PAGE, PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd,
			 (pages - 1 - i % pages) * PAGE) == MAP_FAILED)
			err(1, "mmap");
	pin_by("gup", area, nr * PAGE);
	say("held");
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "give"))
		give(argv[2], argv[3], argv[4]);
	else if (argc == 3 && !strcmp(argv[1], "take"))
		take(argv[2]);
	else if (argc == 6 && !strcmp(argv[1], "many"))
		many(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]));
	else if (argc == 5 && !strcmp(argv[1], "regions"))
		regions(argv[2], atoi(argv[3]), atoi(argv[4]));
	else if (argc == 3 && !strcmp(argv[1], "two"))
		two(argv[2]);
	else if (argc == 4 && !strcmp(argv[1], "records"))
		records(argv[2], atol(argv[3]));
	fputs("Usage: walk-pins give OWNER FILE SOCKET | take SOCKET |\n"
	      "       many OWNER DIR FILES N | regions DIR FILES N |\n"
	      "       two FILE | records FILE N\n", stderr);
	return 2;
}
