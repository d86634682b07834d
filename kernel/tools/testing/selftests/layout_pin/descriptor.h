/* SPDX-License-Identifier: GPL-2.0 */
/* Descriptors that go from process to process over a Unix socket. */
#ifndef LAYOUT_PIN_DESCRIPTOR_H
#define LAYOUT_PIN_DESCRIPTOR_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Returns an errno. */
static inline int send_descriptor(int to, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { };
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	return sendmsg(to, &message, 0) == 1 ? 0 : errno;
}

/* Returns the descriptor, or -1. */
static inline int receive_descriptor(int from)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(from, &message, 0) != 1 || !CMSG_FIRSTHDR(&message))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return fd;
}

#endif /* LAYOUT_PIN_DESCRIPTOR_H */
