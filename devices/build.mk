# devices: what a guest sees
lib-y += devices/bells.o
lib-y += devices/devices.o
lib-y += devices/early.o
lib-y += devices/ivshmem.o
lib-y += devices/ivshmem_by_hand.o
lib-y += devices/ivshmem_conf.o
lib-y += devices/ivshmem_memory.o
lib-y += devices/ivshmem_stats.o
lib-y += devices/msix.o
lib-y += devices/pci.o
lib-y += devices/serial.o
