/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A socket, and the address that it is to have or to connect to. */
#ifndef HOLDFAST_UNIX_SOCKET_H
#define HOLDFAST_UNIX_SOCKET_H

#include <err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

static inline int unix_socket(const char *path, struct sockaddr_un *addr)
{
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);

	if (sock < 0)
		err(1, "socket");
	*addr = (struct sockaddr_un) { .sun_family = AF_UNIX };
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s", path);
	return sock;
}

#endif /* HOLDFAST_UNIX_SOCKET_H */
