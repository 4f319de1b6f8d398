// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * guest/module/map.c: mmap(2) of the memory, the registers and the window
 *
 * Nothing is mapped by mmap() itself. A fault finds out whether the device is still
 * there, and maps what is around it. So when the driver lets go, ivshmem_hang_up() unmaps
 * once, and what comes later is SIGBUS.
 *
 * Pages are small ones. get_user_pages() tells such mappings from memory that has a
 * struct page by a bit that Linux has in large entries from 6.12 on only.
 */
#include <linux/align.h>
#include <linux/mm.h>
#include <linux/version.h>

#include "ivshmem.h"

#define REGION_PAGES_SHIFT (IVSHMEM_REGION_SHIFT - PAGE_SHIFT)

static unsigned long page_in_region(unsigned long pgoff)
{
	return pgoff & ((1UL << REGION_PAGES_SHIFT) - 1);
}

static const struct ivshmem_region *find_region(const struct ivshmem_device *iv,
						unsigned long pgoff)
{
	const unsigned long n = pgoff >> REGION_PAGES_SHIFT;

	return n < IVSHMEM_REGIONS && iv->regions[n].size ? &iv->regions[n] : NULL;
}

static vm_fault_t map_page(struct vm_area_struct *vma, unsigned long addr)
{
	const struct ivshmem_file *f = vma->vm_file->private_data;
	const unsigned long pgoff =
		vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
	const struct ivshmem_region *region = find_region(f->iv, pgoff);

	return vmf_insert_pfn(vma, addr, PHYS_PFN(region->start) + page_in_region(pgoff));
}

/* Pages beside one that was touched: a fault for each would cost more than they do. */
static void map_around(struct vm_area_struct *vma, unsigned long addr)
{
	const unsigned long first = max(vma->vm_start, ALIGN_DOWN(addr, PMD_SIZE));
	const unsigned long last = min(vma->vm_end - 1, addr | ~PMD_MASK);

	for (addr = first; addr < last; addr += PAGE_SIZE)
		if (map_page(vma, addr) != VM_FAULT_NOPAGE)
			break;
}

static vm_fault_t ivshmem_fault(struct vm_fault *vmf)
{
	struct ivshmem_file *f = vmf->vma->vm_file->private_data;
	vm_fault_t ret;

	if (!ivshmem_enter(f->iv))
		return VM_FAULT_SIGBUS;
	ret = map_page(vmf->vma, vmf->address & PAGE_MASK);
	if (ret == VM_FAULT_NOPAGE)
		map_around(vmf->vma, vmf->address);
	ivshmem_leave(f->iv);
	return ret;
}

static const struct vm_operations_struct ivshmem_vm_ops = {
	.fault = ivshmem_fault,
};

static void set_flags(struct vm_area_struct *vma)
{
	const vm_flags_t flags = VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP;

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
	vma->vm_flags |= flags;
#else
	vm_flags_set(vma, flags);
#endif
}

int ivshmem_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct ivshmem_file *f = file->private_data;
	const struct ivshmem_region *region = find_region(f->iv, vma->vm_pgoff);
	const unsigned long first = page_in_region(vma->vm_pgoff);
	unsigned long pages;

	if (READ_ONCE(f->iv->gone))
		return -ENODEV;
	if (!region)
		return -ENXIO;
	pages = region->size >> PAGE_SHIFT;
	if (first > pages || vma_pages(vma) > pages - first)
		return -EINVAL;
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (region != &f->iv->regions[IVSHMEM_REGION_MEMORY])
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	set_flags(vma);
	vma->vm_ops = &ivshmem_vm_ops;
	return 0;
}
