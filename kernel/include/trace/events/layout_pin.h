/* SPDX-License-Identifier: GPL-2.0-only */
/* Trace points of layout leases and long-term pins of FS DAX pages. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM layout_pin

#if !defined(_TRACE_LAYOUT_PIN_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_LAYOUT_PIN_H

#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/tracepoint.h>

/* @kind is the argument of F_SETLEASE. */
DECLARE_EVENT_CLASS(layout_pin_lease,
	TP_PROTO(struct inode *inode, int kind),
	TP_ARGS(inode, kind),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(int, kind)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		/* For user space, which does not know the flags. */
		__entry->kind = kind & F_EXCLUSIVE ? 2 :
			kind & F_UNBREAK ? 1 : 0;
	),
	TP_printk("dev %d:%d ino %llu kind %s",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __print_symbolic(__entry->kind, { 0, "SHARED" },
				   { 1, "UNBREAK" }, { 2, "EXCL" }))
);

DEFINE_EVENT(layout_pin_lease, lease_set,
	TP_PROTO(struct inode *inode, int kind),
	TP_ARGS(inode, kind));

DEFINE_EVENT(layout_pin_lease, lease_break,
	TP_PROTO(struct inode *inode, int kind),
	TP_ARGS(inode, kind));

TRACE_EVENT(change_refused,
	TP_PROTO(struct inode *inode, loff_t start, loff_t end),
	TP_ARGS(inode, start, end),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(loff_t, start)
		__field(loff_t, end)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->start = start;
		__entry->end = end;
	),
	TP_printk("dev %d:%d ino %llu bytes %lld-%lld",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->start, __entry->end)
);

DECLARE_EVENT_CLASS(layout_pin_pages,
	TP_PROTO(struct inode *inode, unsigned long first, unsigned long last),
	TP_ARGS(inode, first, last),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(unsigned long, first)
		__field(unsigned long, last)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->first = first;
		__entry->last = last;
	),
	TP_printk("dev %d:%d ino %llu pages %lu-%lu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->first, __entry->last)
);

DEFINE_EVENT(layout_pin_pages, pin_add,
	TP_PROTO(struct inode *inode, unsigned long first, unsigned long last),
	TP_ARGS(inode, first, last));

DEFINE_EVENT(layout_pin_pages, pin_drop,
	TP_PROTO(struct inode *inode, unsigned long first, unsigned long last),
	TP_ARGS(inode, first, last));

#endif /* _TRACE_LAYOUT_PIN_H */

#include <trace/define_trace.h>
