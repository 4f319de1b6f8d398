# tests/devices.mk - what a guest sees, against a machine without KVM
fake-vm-objs := tests/unit/fake_vm.o vmm/bus.o devices/pci.o arch/$(ARCH)/arch.o base/number.o base/err.o base/event.o base/log.o

tests-y += bus
bus-test-y := tests/unit/bus_test.o vmm/bus.o base/err.o base/event.o

tests-y += pci
pci-test-y := tests/unit/pci_test.o $(fake-vm-objs)

tests-y += msix
msix-test-y := tests/unit/msix_test.o devices/msix.o $(fake-vm-objs)

ivshmem-objs := tests/unit/fake_peer.o $(fake-vm-objs) devices/bells.o devices/early.o devices/ivshmem.o \
	devices/ivshmem_by_hand.o devices/ivshmem_conf.o devices/ivshmem_memory.o \
	devices/ivshmem_stats.o devices/msix.o tests/unit/fake_loop.o \
	base/number.o

tests-y += ivshmem
ivshmem-test-y := tests/unit/ivshmem_test.o $(ivshmem-objs)

tests-y += ivshmem_plain
ivshmem_plain-test-y := tests/unit/ivshmem_plain_test.o $(ivshmem-objs)

tests-y += serial
serial-test-y := tests/unit/serial_test.o devices/serial.o $(fake-vm-objs)

tests-y += ram
ram-test-y := tests/unit/ram_test.o vmm/ram.o base/hugepages.o base/err.o base/number.o

# --- the PC -----------------------------------------------------------------------------
tests-$(IS_x86_64) += layout
layout-test-y := tests/unit/layout_test.o arch/x86_64/arch.o base/err.o base/event.o base/number.o

boot-objs := boot/acpi.o boot/boot.o boot/bzimage.o boot/dsdt.o boot/pvh.o boot/x86.o \
	$(fake-vm-objs)

tests-$(IS_x86_64) += acpi
acpi-test-y := tests/unit/acpi_test.o boot/acpi.o boot/dsdt.o $(fake-vm-objs)

tests-$(IS_x86_64) += boot_pvh
boot_pvh-test-y := tests/unit/boot_pvh_test.o $(boot-objs)

tests-$(IS_x86_64) += boot_bzimage
boot_bzimage-test-y := tests/unit/boot_bzimage_test.o $(boot-objs)

tests-$(IS_x86_64) += platform
platform-test-y := tests/unit/platform_test.o arch/x86_64/platform.o devices/serial.o \
	$(fake-vm-objs)

# --- fuzz targets: see tests/fuzz/fuzz.mk ------------------------------------------------
boot-fuzz-y := tests/fuzz/boot_fuzz.o $(boot-objs)
mmio-fuzz-y := tests/fuzz/mmio_fuzz.o arch/x86_64/platform.o devices/serial.o \
	$(ivshmem-objs)

# --- doorbells --------------------------------------------------------------------------
tests-y += bells
bells-test-y := tests/unit/bells_test.o devices/bells.o devices/early.o $(fake-vm-objs)
