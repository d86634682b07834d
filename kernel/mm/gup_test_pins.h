/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What mm/gup_test.c calls of mm/gup_test_pins.c. A header of its own, since
 * programs include gup_test.h.
 */
#ifndef _MM_GUP_TEST_PINS_H
#define _MM_GUP_TEST_PINS_H

struct file;
struct inode;

int pin_longterm_test_open(struct inode *inode, struct file *file);
int pin_longterm_test_release(struct inode *inode, struct file *file);
long pin_longterm_test_ioctl(struct file *file, unsigned int cmd,
			     unsigned long arg);

#endif /* _MM_GUP_TEST_PINS_H */
