// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * guest/module/pci.c: find out what an ivshmem device has, and let go of it
 *
 * Revision 1 of the device: BAR 0 has registers, BAR 1 the MSI-X table, BAR 2 the shared
 * memory. Without MSI-X it is a plain one: memory only. Some have a doorbell window, and
 * say so in a vendor-specific capability; belfry's ivshmem-doorbell-window(7) specifies
 * it.
 */
#include <linux/bitfield.h>
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "ivshmem.h"

#define MAX_DEVICES 1024

#define BAR_REGISTERS 0
#define BAR_MEMORY    2

#define WINDOW_VERSION   1
#define WINDOW_SIGNATURE 0x4c4c4542 /* "BELL" */
#define WINDOW_MIN_LEN   16
#define WINDOW_MAX_BITS  11
#define WINDOW_AT_LEN    2 /* in the capability */
#define WINDOW_AT_VER    3
#define WINDOW_AT_SIG    4
#define WINDOW_AT_BAR    8
#define WINDOW_AT_BITS   9

static unsigned int max_vectors = 2048;
module_param(max_vectors, uint, 0444);
MODULE_PARM_DESC(max_vectors, "interrupt vectors to take for each device, at most");

static struct class ivshmem_class = { .name = "ivshmem" };
static DEFINE_IDA(minors);
static dev_t first_dev;

/* --- may the hardware be touched? --- */

bool ivshmem_enter(struct ivshmem_device *iv)
{
	down_read(&iv->hardware);
	if (!iv->gone)
		return true;
	up_read(&iv->hardware);
	return false;
}

void ivshmem_leave(struct ivshmem_device *iv)
{
	up_read(&iv->hardware);
}

/* --- a device's life --- */

static void release_device(struct device *dev)
{
	struct ivshmem_device *iv = container_of(dev, struct ivshmem_device, dev);

	ida_free(&minors, MINOR(dev->devt) - MINOR(first_dev));
	kvfree(iv->vectors);
	kfree(iv);
}

static void put_device_action(void *iv)
{
	put_device(&((struct ivshmem_device *)iv)->dev);
}

/* Return: the device; probe()'s reference is given back last, after interrupts are. */
static struct ivshmem_device *create_device(struct pci_dev *pdev)
{
	struct ivshmem_device *iv = kzalloc(sizeof(*iv), GFP_KERNEL);
	int ret, minor;

	if (!iv)
		return ERR_PTR(-ENOMEM);
	minor = ida_alloc_max(&minors, MAX_DEVICES - 1, GFP_KERNEL);
	if (minor < 0) {
		kfree(iv);
		return ERR_PTR(minor);
	}
	iv->pdev = pdev;
	init_rwsem(&iv->hardware);
	mutex_init(&iv->files_lock);
	INIT_LIST_HEAD(&iv->files);
	device_initialize(&iv->dev);
	iv->dev.class = &ivshmem_class;
	iv->dev.parent = &pdev->dev;
	iv->dev.devt = MKDEV(MAJOR(first_dev), MINOR(first_dev) + minor);
	iv->dev.release = release_device;
	ret = devm_add_action_or_reset(&pdev->dev, put_device_action, iv);
	if (!ret)
		ret = dev_set_name(&iv->dev, "ivshmem%d", minor);
	return ret ? ERR_PTR(ret) : iv;
}

/* --- what it has --- */

static bool bar_has_msix(struct pci_dev *pdev, unsigned int bar)
{
	u32 table, pending;

	if (!pdev->msix_cap)
		return false;
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_TABLE, &table);
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_PBA, &pending);
	return FIELD_GET(PCI_MSIX_TABLE_BIR, table) == bar ||
	       FIELD_GET(PCI_MSIX_PBA_BIR, pending) == bar;
}

static void release_padding(void *padding)
{
	release_resource(padding);
}

/*
 * The registers are less than a page. They can be mapped if that page has nothing else,
 * now or later, so take the rest of it.
 */
static int offer_registers(struct ivshmem_device *iv)
{
	struct resource *bar = &iv->pdev->resource[BAR_REGISTERS];
	int ret;

	if (!PAGE_ALIGNED(bar->start) || resource_size(bar) > PAGE_SIZE ||
	    bar_has_msix(iv->pdev, BAR_REGISTERS))
		return 0;
	if (resource_size(bar) < PAGE_SIZE) {
		iv->padding = (struct resource){
			.name = "ivshmem: rest of the registers' page",
			.start = bar->end + 1,
			.end = bar->start + PAGE_SIZE - 1,
			.flags = bar->flags,
		};
		if (!bar->parent || request_resource(bar->parent, &iv->padding))
			return 0;
		ret = devm_add_action_or_reset(&iv->pdev->dev, release_padding,
					       &iv->padding);
		if (ret)
			return ret;
	}
	iv->regions[IVSHMEM_REGION_REGISTERS] =
		(struct ivshmem_region){ .start = bar->start, .size = PAGE_SIZE };
	return 0;
}

static int find_registers(struct ivshmem_device *iv)
{
	struct pci_dev *pdev = iv->pdev;
	int ret = pcim_iomap_regions(pdev, BIT(BAR_REGISTERS), KBUILD_MODNAME);

	if (ret)
		return dev_err_probe(&pdev->dev, ret, "BAR 0, the registers\n");
	iv->registers = pcim_iomap_table(pdev)[BAR_REGISTERS];
	return pdev->msix_cap ? offer_registers(iv) : 0;
}

/* Return: whether the processor caches what is mapped there. */
static bool is_cached(const void *mapped)
{
#ifdef CONFIG_X86
	unsigned int level;
	const pte_t *pte = lookup_address((unsigned long)mapped, &level);

	return pte && !(pte_flags(*pte) & (_PAGE_PCD | _PAGE_PWT));
#else
	return true;
#endif
}

/*
 * The kernel has no use for the memory. Mapping it is what tells x86 that it is to be
 * cached: without that, processes would get it uncached, whatever they are promised. So
 * they do where the firmware's MTRRs say that all of this address range is uncached.
 */
static int map_memory(struct ivshmem_device *iv, resource_size_t start,
		      resource_size_t size)
{
	struct device *dev = &iv->pdev->dev;
	void *mapped;

	if (!devm_request_mem_region(dev, start, size, KBUILD_MODNAME))
		return dev_err_probe(dev, -EBUSY, "BAR 2, the memory, is in use\n");
	mapped = devm_memremap(dev, start, size, MEMREMAP_WB);
	if (IS_ERR(mapped))
		return dev_err_probe(dev, PTR_ERR(mapped), "memory of %pa bytes\n",
				     &size);
	iv->cached = is_cached(mapped);
	if (!iv->cached)
		dev_warn(dev, "MTRRs leave the memory uncached, which is slow\n");
	iv->regions[IVSHMEM_REGION_MEMORY] =
		(struct ivshmem_region){ .start = start, .size = size };
	return 0;
}

static int find_memory(struct ivshmem_device *iv)
{
	struct device *dev = &iv->pdev->dev;
	const resource_size_t start = pci_resource_start(iv->pdev, BAR_MEMORY);
	const resource_size_t size = pci_resource_len(iv->pdev, BAR_MEMORY);

	if (!(pci_resource_flags(iv->pdev, BAR_MEMORY) & IORESOURCE_MEM) || !start ||
	    bar_has_msix(iv->pdev, BAR_MEMORY))
		return dev_err_probe(dev, -ENXIO, "BAR 2 is no shared memory\n");
	if (!PAGE_ALIGNED(start | size) || size > BIT_ULL(IVSHMEM_REGION_SHIFT))
		return dev_err_probe(dev, -ENXIO,
				     "memory of %pa bytes: %lu bytes to 1 TiB\n", &size,
				     PAGE_SIZE);
	return map_memory(iv, start, size);
}

static bool is_window(struct pci_dev *pdev, int cap)
{
	u32 signature;
	u8 len;

	pci_read_config_byte(pdev, cap + WINDOW_AT_LEN, &len);
	pci_read_config_dword(pdev, cap + WINDOW_AT_SIG, &signature);
	return len >= WINDOW_MIN_LEN && signature == WINDOW_SIGNATURE;
}

static int find_window_cap(struct pci_dev *pdev)
{
	int cap = pci_find_capability(pdev, PCI_CAP_ID_VNDR);

	while (cap && !is_window(pdev, cap))
		cap = pci_find_next_capability(pdev, cap, PCI_CAP_ID_VNDR);
	return cap;
}

/* A window that makes no sense is none: there is the register. */
static void find_window(struct ivshmem_device *iv)
{
	struct pci_dev *pdev = iv->pdev;
	const int cap = find_window_cap(pdev);
	u8 version, bar, bits;
	u64 size;

	if (!cap)
		return;
	pci_read_config_byte(pdev, cap + WINDOW_AT_VER, &version);
	pci_read_config_byte(pdev, cap + WINDOW_AT_BAR, &bar);
	pci_read_config_byte(pdev, cap + WINDOW_AT_BITS, &bits);
	if (version != WINDOW_VERSION || bits > WINDOW_MAX_BITS ||
	    bar >= PCI_STD_NUM_BARS || bar == BAR_REGISTERS || bar == BAR_MEMORY ||
	    bar_has_msix(pdev, bar))
		return;
	size = (u64)SZ_256K << bits;
	if (!(pci_resource_flags(pdev, bar) & IORESOURCE_MEM) ||
	    pci_resource_len(pdev, bar) < size ||
	    !devm_request_mem_region(&pdev->dev, pci_resource_start(pdev, bar), size,
				     KBUILD_MODNAME)) {
		pci_warn(pdev, "doorbell window: BAR %u cannot be used\n", bar);
		return;
	}
	iv->window_bits = bits;
	iv->regions[IVSHMEM_REGION_WINDOW] = (struct ivshmem_region){
		.start = pci_resource_start(pdev, bar),
		.size = size,
	};
}

/* --- interrupts --- */

static int request_vector(struct ivshmem_device *iv, unsigned int number)
{
	struct ivshmem_vector *v = &iv->vectors[number];
	struct device *dev = &iv->pdev->dev;
	const char *name =
		devm_kasprintf(dev, GFP_KERNEL, "%s-%u", dev_name(&iv->dev), number);

	if (!name)
		return -ENOMEM;
	v->iv = iv;
	v->number = number;
	INIT_LIST_HEAD(&v->bindings);
	return devm_request_irq(dev, pci_irq_vector(iv->pdev, number), ivshmem_interrupt,
				0, name, v);
}

/* Other devices need some as well, this driver's among them. */
static void give_half_back(struct ivshmem_device *iv)
{
	const unsigned int keep = DIV_ROUND_UP(iv->num_vectors, 2);

	while (iv->num_vectors > keep) {
		iv->num_vectors--;
		devm_free_irq(&iv->pdev->dev, pci_irq_vector(iv->pdev, iv->num_vectors),
			      &iv->vectors[iv->num_vectors]);
	}
}

/*
 * Take as many as there are. Linux may have fewer left than the device has: then half of
 * what it has left.
 */
static int find_vectors(struct ivshmem_device *iv)
{
	struct pci_dev *pdev = iv->pdev;
	int n, ret = 0;

	if (!pdev->msix_cap)
		return 0;
	iv->device_vectors = pci_msix_vec_count(pdev);
	n = pci_alloc_irq_vectors(pdev, 1, clamp(max_vectors, 1U, iv->device_vectors),
				  PCI_IRQ_MSIX);
	if (n < 0)
		return dev_err_probe(&pdev->dev, n, "no interrupt vector to be had\n");
	iv->vectors = kvcalloc(n, sizeof(*iv->vectors), GFP_KERNEL);
	if (!iv->vectors)
		return -ENOMEM;
	while (iv->num_vectors < n) {
		ret = request_vector(iv, iv->num_vectors);
		if (ret)
			break;
		iv->num_vectors++;
	}
	if (ret == -ENOSPC)
		give_half_back(iv);
	return iv->num_vectors ? 0 : dev_err_probe(&pdev->dev, ret, "interrupts\n");
}

/* --- the driver --- */

/* Revision 0 without MSI-X interrupts by INTx, in ways that uio_pci_generic serves. */
static bool is_legacy(const struct pci_dev *pdev)
{
	return !pdev->msix_cap && pdev->pin;
}

static int set_up(struct ivshmem_device *iv)
{
	int ret = find_registers(iv);

	if (!ret)
		ret = find_memory(iv);
	if (ret)
		return ret;
	if (iv->pdev->msix_cap)
		find_window(iv);
	pci_set_master(iv->pdev);
	return find_vectors(iv);
}

static int ivshmem_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct ivshmem_device *iv;
	int ret;

	if (is_legacy(pdev)) {
		pci_info(pdev, "interrupts by INTx: a device for uio_pci_generic\n");
		return -ENODEV;
	}
	ret = pcim_enable_device(pdev);
	if (ret)
		return dev_err_probe(&pdev->dev, ret, "cannot be enabled\n");
	iv = create_device(pdev);
	if (IS_ERR(iv))
		return PTR_ERR(iv);
	ret = set_up(iv);
	if (ret)
		return ret;
	cdev_init(&iv->cdev, &ivshmem_fops);
	iv->cdev.owner = THIS_MODULE;
	ret = cdev_device_add(&iv->cdev, &iv->dev);
	if (ret)
		return ret;
	pci_set_drvdata(pdev, iv);
	pci_info(pdev, "%s: %llu KiB, vectors %u of %u\n", dev_name(&iv->dev),
		 iv->regions[IVSHMEM_REGION_MEMORY].size / SZ_1K, iv->num_vectors,
		 iv->device_vectors);
	return 0;
}

static void ivshmem_remove(struct pci_dev *pdev)
{
	struct ivshmem_device *iv = pci_get_drvdata(pdev);

	cdev_device_del(&iv->cdev, &iv->dev);
	down_write(&iv->hardware);
	WRITE_ONCE(iv->gone, true);
	up_write(&iv->hardware);
	ivshmem_hang_up(iv);
}

static const struct pci_device_id ivshmem_ids[] = { { PCI_DEVICE(0x1af4, 0x1110) }, {} };
MODULE_DEVICE_TABLE(pci, ivshmem_ids);

static struct pci_driver ivshmem_driver = {
	.name = KBUILD_MODNAME,
	.id_table = ivshmem_ids,
	.probe = ivshmem_probe,
	.remove = ivshmem_remove,
};

static int __init ivshmem_init(void)
{
	int ret = class_register(&ivshmem_class);

	if (ret)
		return ret;
	ret = alloc_chrdev_region(&first_dev, 0, MAX_DEVICES, KBUILD_MODNAME);
	if (ret)
		goto no_numbers;
	ret = pci_register_driver(&ivshmem_driver);
	if (ret)
		goto no_driver;
	return 0;

no_driver:
	unregister_chrdev_region(first_dev, MAX_DEVICES);
no_numbers:
	class_unregister(&ivshmem_class);
	return ret;
}
module_init(ivshmem_init);

static void __exit ivshmem_exit(void)
{
	pci_unregister_driver(&ivshmem_driver);
	unregister_chrdev_region(first_dev, MAX_DEVICES);
	class_unregister(&ivshmem_class);
	ida_destroy(&minors);
	rcu_barrier(); /* free_binding() is in this module */
}
module_exit(ivshmem_exit);

MODULE_DESCRIPTION("Shared memory and doorbells between virtual machines (ivshmem)");
MODULE_AUTHOR("The belfry authors");
MODULE_LICENSE("Dual MIT/GPL");
