# tests: NAME-test-y lists what the test program NAME is linked with

include tests/config.mk
include $(wildcard tests/ivshmem.mk tests/devices.mk)

ifdef IS_x86_64
tests-y += vm trouble
endif
vm-test-y = tests/guest/vm_test.o $(lib-y)
trouble-test-y = tests/guest/trouble_test.o tests/peers/fake_server.o $(lib-y)

programs-y += no_io_uring
no_io_uring-prog-y := tests/cli/no_io_uring.o
