# belfry: a small KVM virtual machine monitor with ivshmem doorbells
#
#   make                  the library, the program and the test guests
#   make demo             two guests ring each other; prints round-trip percentiles
#   make check            lint and every test; installs what is missing (as root)
#   make test             the tests alone: unit, peers, guests, command line, Linux guests
#   make check-lab        all tests with Linux guests; `test` has the quick part
#   make linux            a Debian kernel and what configs/linux*.yaml need with it
#   make lint             layers, headers, symbols, formatting, shell scripts
#   make abi              is the library's interface the one of the last release? (abidiff)
#   make soak             the server under load, killed and upgraded, for minutes
#   make bench            speed and memory as ratios against the floor and others
#   make parity           the guest tests on QEMU and belfry, check by check
#   make qemu-tools       QEMU's ivshmem-server and -client, for `bench` and the tests
#   make fuzz             libFuzzer targets, FUZZ_SECONDS each (default 60)
#   make deb              Debian packages, into O/deb; check-packages tries them, too
#   make man              the manual pages (needs scdoc)
#   make tidy             clang-tidy over the C sources
#   make stats            the longest functions and files
#   make examples         what embeds the library, against the one just built
#   make install          DESTDIR= prefix=/usr/local bindir= libdir= includedir= mandir= unitdir=
#                         SHARED=1: a program that needs the shared library
#   make uninstall        with the same
#
#   SANITIZE=1            address and undefined-behaviour sanitizers, own build folder
#   SANITIZE=thread       thread sanitizer, own build folder
#   SYSTEMD=n             belfry serve without libsystemd, though it is there
#   COVERAGE=1            gcov, own build folder
#   WERROR=1 V=1 CC=clang O=dir CFLAGS=...
#
# One Makefile, one dependency graph: every folder lists its objects in build.mk.

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

VERSION := 0.1.0
SOVERSION := 0

CC ?= cc
ifeq ($(origin CC),default)
CC := cc
endif
AR ?= ar
ifeq ($(origin AR),default)
AR := ar
endif
PKG_CONFIG ?= pkg-config
PROVE ?= prove
CFLAGS ?= -O2 -g

HOST_ARCH := $(shell uname -m)
ARCH ?= $(HOST_ARCH)
IS_$(ARCH) := y

# Variants never mix: each has a folder of its own.
VARIANT-$(if $(filter 1,$(SANITIZE)),y) := -asan
VARIANT-$(if $(filter thread,$(SANITIZE)),y) := -tsan
VARIANT-$(if $(COVERAGE),y) := -cov
O ?= build/$(ARCH)
override O := $(O)$(VARIANT-y)
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

prefix ?= /usr/local
bindir ?= $(prefix)/bin
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man
unitdir ?= $(prefix)/lib/systemd/system

sanitize-1 := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
sanitize-thread := -fsanitize=thread
EXTRA := $(sanitize-$(SANITIZE)) $(if $(COVERAGE),--coverage) $(if $(WERROR),-Werror)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
	-Wformat=2 -Wimplicit-fallthrough -Wno-unused-parameter -Wno-missing-field-initializers
OUR_CFLAGS := -std=gnu11 $(WARN) -fvisibility=hidden -fPIC -pthread -D_GNU_SOURCE \
	-DBELFRY_VERSION='"$(VERSION)"' -I. -Iinclude $(EXTRA)
LIBS = $(shell $(PKG_CONFIG) --libs liburing yaml-0.1 2>/dev/null || echo -luring -lyaml) \
	-pthread

lib-y :=
cli-y :=
tests-y :=
vm-tests-y :=
programs-y :=
include $(wildcard */build.mk)
include $(wildcard arch/$(ARCH)/build.mk)

objs = $(addprefix $(O)/,$(1))

# --- the library, the program ---------------------------------------------------------

LIB_A := $(O)/libbelfry.a
LIB_SO := $(O)/libbelfry.so.$(VERSION)
PROGRAM := $(O)/belfry
PROGRAM_SHARED := $(O)/shared/belfry

.PHONY: all
all: $(LIB_A) $(LIB_SO) $(if $(cli-y),$(PROGRAM) $(PROGRAM_SHARED)) programs guests

# What happens at each of a guest's exits is compiled for speed, the rest of the library for
# size: it is 40 kB smaller so. gcc has -Oz since version 12.
FAST := base/event.o vmm/bus.o vmm/vcpu.o
SMALL := $(if $(filter -O2,$(CFLAGS)),$(shell $(CC) -Oz -E -xc /dev/null >/dev/null 2>&1 && echo -Oz || echo -Os))
$(call objs,$(filter-out $(FAST),$(lib-y))): private OUR_CFLAGS += $(SMALL) -ffunction-sections

$(LIB_A): $(call objs,$(lib-y))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(LIB_SO): $(call objs,$(lib-y)) belfry.map
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(OUR_CFLAGS) -shared -Wl,-soname,libbelfry.so.$(SOVERSION) \
		-Wl,--version-script=belfry.map -Wl,-z,pack-relative-relocs \
		-Wl,-Bsymbolic-functions -Wl,--gc-sections $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIBS)
	$(Q)ln -sf $(notdir $@) $(O)/libbelfry.so.$(SOVERSION)
	$(Q)ln -sf $(notdir $@) $(O)/libbelfry.so

# With the library inside, one file that runs anywhere; and by the shared library, which has
# public calls alone. bench/ has leaf helpers of base/ of its own.
$(PROGRAM) $(PROGRAM_SHARED): $(call objs,$(cli-y) base/err.o base/number.o base/text.o)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(OUR_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(cli-lib) $(cli-libs-y)
$(PROGRAM): $(LIB_A)
$(PROGRAM): private cli-lib = $(LIB_A) $(LIBS)
$(PROGRAM_SHARED): $(LIB_SO)
$(PROGRAM_SHARED): private cli-lib = -L$(O) -lbelfry -pthread

$(O)/%.o: %.c Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(OUR_CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

# --- helper programs: name-prog-y lists the objects -------------------------------------

define program
programs: $(O)/$(1)
$(O)/$(1): $$(call objs,$$($(1)-prog-y))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(CFLAGS) $$(OUR_CFLAGS) $$(LDFLAGS) -o $$@ $$^ $$($(1)-libs) -pthread
deps += $$($(1)-prog-y)
endef
.PHONY: programs guests
programs guests:
$(foreach p,$(programs-y),$(eval $(call program,$(p))))

# --- unit and peer tests: name-test-y lists the objects a test is linked with ------------

define unit_test
unit-tests: $(O)/tests/$(1).t
$(O)/tests/$(1).t: $$(call objs,$$($(1)-test-y))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS) $$(OUR_CFLAGS) $$(LDFLAGS) -o $$@ $$^ -lcmocka $$($(1)-test-libs) $$(LIBS)
deps += $$($(1)-test-y)
endef
.PHONY: unit-tests
unit-tests:
$(foreach t,$(tests-y) $(vm-tests-y),$(eval $(call unit_test,$(t))))

-include $(patsubst %.o,$(O)/%.d,$(lib-y) $(cli-y) $(sort $(deps)))

# --- tests ------------------------------------------------------------------------------

# Test programs speak TAP; guest and command-line tests are scripts that do, too.
# EXPECT_ALL=1 makes a skipped test a failure.
SCRIPTS := $(sort $(wildcard tests/guest/*.t tests/cli/*.t tests/interop/*.t) \
	$(if $(VARIANT-y),,$(wildcard tests/install/*.t)))
NO_VM := $(addprefix tests/,cli/bench_reports.t cli/check.t cli/failures.t cli/peer.t cli/serve.t \
	cli/serve_again.t cli/systemd.t install/abi.t install/install.t interop/qemu_tools.t)
test-programs = $(addprefix $(O)/tests/,$(addsuffix .t,$(1)))

# Without KVM, what needs VMs runs in an emulated machine that has it (tests/lab/): each test
# has one of its own, and a second try. That is too slow for the sanitizers.
VM_TESTS = $(call test-programs,$(vm-tests-y)) $(filter-out $(NO_VM),$(SCRIPTS))
ifeq ($(wildcard /dev/kvm),)
MACHINE := tests/lab/machine --again
NO_VM_TESTS := $(if $(VARIANT-y),y)
endif
LINUX_TESTS := $(if $(VARIANT-y)$(if $(IS_x86_64),,other),,$(sort $(wildcard tests/linux/*.t)))
TEST_ENV = BELFRY_BUILD=$(O) BELFRY_EXPECT_ALL=$(EXPECT_ALL) CC="$(CC)" \
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1 \
	TSAN_OPTIONS=halt_on_error=1:atexit_sleep_ms=10:suppressions=$(CURDIR)/tests/tsan.supp
prove = $(Q)rm -rf $(O)/tap; $(TEST_ENV) PERL_TEST_HARNESS_DUMP_TAP=$(O)/tap \
	$(PROVE) -j2 --merge --timer $(1) || { tests/failures $(O)/tap; false; }

.PHONY: test
test: all unit-tests examples $(if $(LINUX_TESTS),try-linux)
	@rm -f $(FIRST_TRIES)
	$(call prove,$(call test-programs,$(tests-y)) $(filter $(NO_VM),$(SCRIPTS)))
	$(if $(LINUX_TESTS),$(call prove,$(LINUX_TESTS)))
	$(if $(NO_VM_TESTS),@echo 'No /dev/kvm: tests of VMs run without sanitizers alone.',\
		$(call prove,$(if $(MACHINE),--exec '$(MACHINE)') $(VM_TESTS)))
	@[ ! -s $(FIRST_TRIES) ] || { echo 'What failed in the emulated machine, and had a second try:' \
		&& cat $(FIRST_TRIES); }

# --- Linux guests -----------------------------------------------------------------------

# Where KVM has no hardware support these tests run in an emulated machine (tests/lab/),
# and in there nothing is gained by the sanitizers, which the other tests run with.
LAB := $(abspath $(or $(BELFRY_LAB),build/lab))
FIRST_TRIES := $(LAB)/first-tries.log
LINUX_O := $(abspath $(O))/linux
LINUX_GUEST := $(MAKE) --no-print-directory -C guest O=$(LINUX_O) STATIC=1

# Debian's kernel, guest/ built for it, and initrds with that.
.PHONY: linux try-linux check-lab bench-linux
linux:
	$(Q)tests/lab/fetch
	$(Q)$(LINUX_GUEST) all tests
	$(Q)$(LINUX_GUEST) module KDIR=$(LAB)/cloud/headers
	$(Q)tools/linux-initrd $(LINUX_INITRD) $(LINUX_O)/shell.cpio
	$(Q)tools/linux-initrd $(LINUX_INITRD) -s configs/linux-pair.sh $(LINUX_O)/pair.cpio
LINUX_INITRD = -k $(LAB)/root:$$(cat $(LAB)/cloud/version) -m button -m evdev \
	-m $(LINUX_O)/module/ivshmem.ko $(addprefix -f $(LINUX_O)/,pingpong ring nodriver)

# Without a network there are no kernels, and the tests are skipped, if they may be.
try-linux: | all
	$(Q)$(MAKE) --no-print-directory linux || test -z "$(EXPECT_ALL)"

check-lab: export BELFRY_THOROUGH = 1
check-lab:
	$(Q)tools/deps check
	$(Q)$(MAKE) --no-print-directory all linux
	$(call prove,$(LINUX_TESTS))

bench-linux: all linux
	$(Q)bench/linux $(O)

.PHONY: lint
lint: $(LIB_A) $(LIB_SO) $(PROGRAM) $(PROGRAM_SHARED)
	$(Q)tests/checks/layers
	$(Q)CC="$(CC)" tests/checks/headers
	$(Q)tests/checks/symbols $(LIB_A) $(LIB_SO)
	$(Q)tests/checks/format
	$(Q)tests/checks/man_keys $(PROGRAM)
	$(Q)tests/checks/man_calls $(LIB_SO)
	$(Q)tests/checks/abi $(LIB_SO) >$(O)/abi.log || { cat $(O)/abi.log; false; }
	$(Q)shellcheck $(shell git ls-files tools .ci tests bench configs guest | \
		xargs awk '/^#!\/bin\/(ba)?sh/ { print FILENAME } { nextfile }')

# Do programs built against the last release still run?
.PHONY: abi abi-baseline
abi: $(LIB_SO)
	$(Q)tests/checks/abi $<
abi-baseline: $(LIB_SO)
	$(Q)tests/checks/abi --baseline $< > tests/abi/libbelfry.abi

# Debian packages, from a copy of the tree.
.PHONY: deb check-packages
deb:
	$(Q)tools/deps packages
	$(Q)tools/deb $(O)/deb
check-packages: $(PROGRAM) guests
	$(Q)tools/deps packages
	$(call prove,tests/packages/*.t)

.PHONY: deps check demo
deps:
	$(Q)tools/deps check

# A fresh make, so that it sees what deps has installed.
check:
	$(Q)tools/deps check
	$(Q)$(MAKE) --no-print-directory lint
	$(Q)$(MAKE) --no-print-directory test
	$(Q)$(MAKE) --no-print-directory SANITIZE=1 test
	$(Q)$(MAKE) --no-print-directory SANITIZE=thread test

demo:
	$(Q)tools/deps $(if $(MACHINE),check,build)
	$(Q)$(MAKE) --no-print-directory all
	$(if $(MACHINE),@echo 'No /dev/kvm: in an emulated machine. Its figures mean nothing.')
	$(Q)$(MACHINE) bench/demo $(O) $(if $(MACHINE),rounds=2000)

# --- the rest ---------------------------------------------------------------------------

FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz:
	$(Q)tests/fuzz/run $(O)-fuzz $(FUZZ_SECONDS)

# Below ten minutes.
.PHONY: soak
soak: export BELFRY_SOAK = 1
soak: all
	$(call prove,tests/cli/serve_again.t tests/soak/*.t)

.PHONY: bench
bench: all
	$(Q)$(O)/belfry bench
	$(Q)bench/overhead $(O) || [ $$? -eq 11 ]
	$(Q)bench/clients_ratio $(O)
	$(Q)bench/memory $(O)
	$(Q)bench/library $(O)

.PHONY: qemu-tools
qemu-tools:
	$(Q)tests/interop/qemu_tools $(O)/qemu-tools

# Every check of the guest tests on QEMU and on belfry, side by side.
.PHONY: parity
parity: all
	$(Q)tests/interop/parity --build $(O)

.PHONY: tidy
tidy:
	$(Q)clang-tidy --quiet $(filter-out bench/payloads.c,$(patsubst %.o,%.c,$(lib-y) $(cli-y))) -- $(OUR_CFLAGS)

.PHONY: stats
stats:
	$(Q)tools/stats

# What is installed where; `uninstall` removes just that.
UNITS := belfry-serve@.service belfry-serve@.socket
installed = $(bindir)/belfry $(libdir)/libbelfry.a $(libdir)/libbelfry.so \
	$(libdir)/libbelfry.so.$(SOVERSION) $(libdir)/libbelfry.so.$(VERSION) \
	$(libdir)/pkgconfig/belfry.pc $(addprefix $(includedir)/,$(notdir $(wildcard include/*.h))) \
	$(addprefix $(unitdir)/,$(UNITS)) $(foreach p,$(MAN_PAGES),$(call man_place,$(p)))
man_place = $(mandir)/man$(subst .,,$(suffix $(1)))/$(notdir $(1))

# With ldconfig where the loader looks, or nobody finds the library.
.PHONY: install uninstall
install: $(LIB_A) $(LIB_SO) $(PROGRAM) $(PROGRAM_SHARED) $(if $(shell command -v scdoc),man)
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(includedir)
	install $(if $(SHARED),$(PROGRAM_SHARED),$(PROGRAM)) $(DESTDIR)$(bindir)
	install -m 644 $(LIB_A) $(LIB_SO) $(DESTDIR)$(libdir)
	ln -sf $(notdir $(LIB_SO)) $(DESTDIR)$(libdir)/libbelfry.so.$(SOVERSION)
	ln -sf libbelfry.so.$(SOVERSION) $(DESTDIR)$(libdir)/libbelfry.so
	install -m 644 include/*.h $(DESTDIR)$(includedir)
	$(call pc,$(prefix),$(libdir),$(includedir)) > $(DESTDIR)$(libdir)/pkgconfig/belfry.pc
	install -d $(DESTDIR)$(unitdir)
	sed -e 's|@bindir@|$(bindir)|' systemd/belfry-serve@.service.in \
		> $(DESTDIR)$(unitdir)/belfry-serve@.service
	install -m 644 systemd/belfry-serve@.socket $(DESTDIR)$(unitdir)
	$(foreach p,$(MAN_PAGES),$(if $(shell command -v scdoc),$(call install_page,$(p))))
	$(if $(DESTDIR)$(filter-out /usr/%,$(libdir)),,[ "$$(id -u)" != 0 ] || ldconfig)

define install_page
install -D -m 644 $(1) $(DESTDIR)$(call man_place,$(1))

endef

uninstall:
	rm -f $(addprefix $(DESTDIR),$(installed))

.PHONY: clean
clean:
	rm -rf build

.PHONY: help
help:
	@sed -n '/^#/!q; s/^# \{0,1\}//; p' Makefile
