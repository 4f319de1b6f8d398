/* SPDX-License-Identifier: MIT */
/* vmm/kvm.c - /dev/kvm, and what belfry needs of it */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "base/own.h"
#include "vmm/machine.h"

static const struct {
	int cap;
	const char *name;
} needed[] = {
	{ KVM_CAP_USER_MEMORY, "memory slots" },
	{ KVM_CAP_IRQCHIP, "an in-kernel interrupt controller" },
	{ KVM_CAP_IRQ_ROUTING, "interrupt routing" },
	{ KVM_CAP_IRQFD, "irqfd" },
	{ KVM_CAP_IOEVENTFD, "ioeventfd" },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, "ioeventfds of any length" },
	{ KVM_CAP_SIGNAL_MSI, "MSIs" },
};

static int kvm_open_device(struct belfry_vm *vm, struct belfry_error *err)
{
	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm >= 0)
		return 0;
	switch (errno) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		return bf_err(
			err, ENODEV,
			"/dev/kvm: not there; load the module kvm_intel or kvm_amd, and "
			"enable virtualization in the firmware");
	case EACCES:
	case EPERM:
		return bf_err(
			err, EPERM,
			"/dev/kvm: permission denied; add yourself to the group that "
			"owns it (kvm), or run as root");
	default:
		return bf_err_sys(err, errno, "/dev/kvm");
	}
}

int bf_kvm_open(struct belfry_vm *vm, struct belfry_error *err)
{
	int e = kvm_open_device(vm, err);

	if (e < 0)
		return e;
	/* Documentation/virt/kvm/api.rst, 4.1: "refuse to run if it returns other than
	 * 12" */
	if (ioctl(vm->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return bf_err(err, EOPNOTSUPP, "/dev/kvm: not KVM's API version %d",
			      KVM_API_VERSION);
	for (unsigned int i = 0; i < BF_ARRAY_LEN(needed); i++)
		if (ioctl(vm->kvm, KVM_CHECK_EXTENSION, needed[i].cap) <= 0)
			return bf_err(err, EOPNOTSUPP, "/dev/kvm does not offer %s",
				      needed[i].name);
	return 0;
}

int bf_kvm_create_vm(struct belfry_vm *vm, struct belfry_error *err)
{
	/* EINTR: io_uring has work for this thread, which is as good as a signal */
	do
		vm->vm = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	while (vm->vm < 0 && errno == EINTR);
	if (vm->vm < 0)
		return bf_err_sys(err, errno, "/dev/kvm: create a VM");
	return 0;
}
