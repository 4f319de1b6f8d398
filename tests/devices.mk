# tests/devices.mk - what a guest sees, against a machine without KVM
fake-vm-objs := tests/unit/fake_vm.o vmm/bus.o devices/pci.o base/err.o base/log.o

tests-y += bus
bus-test-y := tests/unit/bus_test.o vmm/bus.o base/err.o

tests-y += pci
pci-test-y := tests/unit/pci_test.o $(fake-vm-objs)

tests-y += msix
msix-test-y := tests/unit/msix_test.o devices/msix.o $(fake-vm-objs)
