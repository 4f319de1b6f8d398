# tests: NAME-test-y lists what the test program NAME is linked with

include tests/config.mk
include $(wildcard tests/bench.mk tests/ivshmem.mk tests/devices.mk)

tests-y += null
null-test-y = tests/unit/null_test.o $(lib-y)

ifdef IS_x86_64
vm-tests-y += vm trouble life by_hand misuse process seccomp shortage
endif
vm-test-y = tests/guest/vm_test.o $(lib-y)
life-test-y = tests/guest/life_test.o $(lib-y)
by_hand-test-y = tests/guest/by_hand_test.o $(lib-y)
misuse-test-y = tests/guest/misuse_test.o $(lib-y)
process-test-y = tests/guest/process_test.o $(lib-y)
seccomp-test-y = tests/guest/seccomp_test.o $(lib-y)
$(O)/tests/seccomp.t: private LIBS += -lseccomp
shortage-test-y = tests/guest/shortage_test.o $(lib-y)
# What the library asks of the host fails when the test wants it.
shortage-wrapped := mmap pthread_create open fcntl ioctl socket socketpair accept4 eventfd memfd_create \
	shm_open epoll_create1 inotify_init1 mkostemp posix_openpt fopen io_uring_queue_init_params \
	$(if $(SANITIZE),malloc calloc realloc)
$(O)/tests/guest/shortage_test.o: private CPPFLAGS += $(if $(SANITIZE),-DSANITIZED)
$(O)/tests/shortage.t: private LDFLAGS += $(shortage-wrapped:%=-Wl,--wrap=%)
trouble-test-y = tests/guest/trouble_test.o tests/peers/fake_server.o $(lib-y)

programs-y += no_io_uring
no_io_uring-prog-y := tests/cli/no_io_uring.o

# the program as it is without libsystemd, for systemd.t
programs-y += no_systemd
no_systemd-prog-y = $(filter-out cli/systemd.o,$(sort $(cli-y) cli/no_systemd.o)) $(lib-y)
no_systemd-libs = $(filter-out -lsystemd,$(cli-libs-y)) $(LIBS)

# a link whose crowd comes late, for server.t
programs-y += crowd
crowd-prog-y := tests/cli/crowd.o bench/crowd.o base/err.o
