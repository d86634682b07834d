// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files "bind" and "unbind" of the drivers of persistent memory.
 *
 * Removing a device waits for all users of its pages, and long-term pins may
 * keep them for hours. A removal cannot stop half-way, since the driver core
 * frees what the pages need as soon as the wait returns. So a thread removes
 * the device, and the task that wrote to "unbind" waits for the thread. That
 * task can be killed; the removal goes on.
 *
 * struct nd_unbind belongs to the thread and to the task that waits; the last
 * of them frees it. Neither holds a lock while it sleeps, except those that the
 * driver core takes.
 */
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/device/driver.h>
#include <linux/kref.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "nd-core.h"

struct nd_unbind {
	struct kref kref;
	struct completion done;
	struct device *dev;
};

static void nd_unbind_free(struct kref *kref)
{
	struct nd_unbind *job = container_of(kref, struct nd_unbind, kref);

	put_device(job->dev);
	kfree(job);
}

static int nd_unbind_thread(void *data)
{
	struct nd_unbind *job = data;

	device_release_driver(job->dev);
	complete(&job->done);
	kref_put(&job->kref, nd_unbind_free);
	module_put_and_kthread_exit(0);
	return 0;
}

/* Takes over the caller's reference to the device. */
static int nd_unbind(struct device *dev)
{
	struct nd_unbind *job = kzalloc(sizeof(*job), GFP_KERNEL);
	struct task_struct *thread;
	int error;

	if (!job) {
		put_device(dev);
		return -ENOMEM;
	}
	kref_init(&job->kref);
	init_completion(&job->done);
	job->dev = dev;

	kref_get(&job->kref);
	__module_get(THIS_MODULE);
	thread = kthread_run(nd_unbind_thread, job, "unbind/%s", dev_name(dev));
	if (IS_ERR(thread)) {
		module_put(THIS_MODULE);
		kref_put(&job->kref, nd_unbind_free);
		error = PTR_ERR(thread);
	} else {
		error = wait_for_completion_killable(&job->done);
	}
	kref_put(&job->kref, nd_unbind_free);
	return error;
}

static ssize_t unbind_store(struct device_driver *drv, const char *buf,
			    size_t count)
{
	struct device *dev = bus_find_device_by_name(drv->bus, NULL, buf);
	int error;

	if (!dev || dev->driver != drv) {
		put_device(dev);
		return -ENODEV;
	}
	error = nd_unbind(dev);
	return error ?: count;
}

/* lockdep ignores this file: a removal takes no lock of it. */
static struct driver_attribute driver_attr_unbind =
	__ATTR_IGNORE_LOCKDEP(unbind, 0200, NULL, unbind_store);

static ssize_t bind_store(struct device_driver *drv, const char *buf,
			  size_t count)
{
	struct device *dev = bus_find_device_by_name(drv->bus, NULL, buf);
	int error = -ENODEV;

	if (dev && drv->bus->match(dev, drv))
		error = device_driver_attach(drv, dev);
	put_device(dev);
	return error ?: count;
}

static struct driver_attribute driver_attr_bind =
	__ATTR_IGNORE_LOCKDEP(bind, 0200, NULL, bind_store);

static struct attribute *nd_bind_attrs[] = {
	&driver_attr_unbind.attr,
	&driver_attr_bind.attr,
	NULL,
};
ATTRIBUTE_GROUPS(nd_bind);

/**
 * nd_driver_bind_files() - give a driver these files, not those of the core
 * @drv: driver of a region or a namespace, before it is registered
 */
void nd_driver_bind_files(struct device_driver *drv)
{
	drv->suppress_bind_attrs = true;
	drv->groups = nd_bind_groups;
}
