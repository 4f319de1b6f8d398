# guest-tests/build.mk - freestanding guests: $(O)/guests/NAME.elf from guest-tests/NAME.c
#
# A guest NAME is listed in guests-y; NAME-guest-y names more objects of its own. All of
# them are linked with the library, of which the linker keeps what the guest uses.

guests-y :=
guests-$(IS_x86_64) += hello
guests-$(IS_x86_64) += idle
guests-$(IS_x86_64) += own_doorbell
guests-$(IS_x86_64) += pingpong
guests-$(IS_x86_64) += smp
guests-$(IS_x86_64) += echo
guests-$(IS_x86_64) += ends
guests-$(IS_x86_64) += acpi
guests-$(IS_x86_64) += button
guests-$(IS_x86_64) += input
guests-$(IS_x86_64) += machine
guests-$(IS_x86_64) += ivshmem_regs
guests-$(IS_x86_64) += msix
guests-$(IS_x86_64) += memory
guests-$(IS_x86_64) += reboot
guests-$(IS_x86_64) += toggle
guests-$(IS_x86_64) += reboot_pair
guests-$(IS_x86_64) += sweep
guests-$(IS_x86_64) += bars
guests-$(IS_x86_64) += window
guests-$(IS_x86_64) += window_pair
guests-$(IS_x86_64) += bells
guests-$(IS_x86_64) += intx
guests-$(IS_x86_64) += several
guests-$(IS_x86_64) += touch
guests-$(IS_x86_64) += widths
guests-$(IS_x86_64) += spare
guests-$(IS_x86_64) += config_space
guests-$(IS_x86_64) += bench
bench-guest-y := guest-tests/bench_bells.o guest-tests/bench_crowd.o guest-tests/bench_memory.o
machine-guest-y := guest-tests/machine_irqs.o

guest-lib-y :=
guest-lib-y += guest-tests/lib/access.o
guest-lib-y += guest-tests/lib/apic.o
guest-lib-y += guest-tests/lib/args.o
guest-lib-y += guest-tests/lib/check.o
guest-lib-y += guest-tests/lib/cksum.o
guest-lib-y += guest-tests/lib/clock.o
guest-lib-y += guest-tests/lib/console.o
guest-lib-y += guest-tests/lib/intx.o
guest-lib-y += guest-tests/lib/ivshmem.o
guest-lib-y += guest-tests/lib/link.o
guest-lib-y += guest-tests/lib/map.o
guest-lib-y += guest-tests/lib/msix.o
guest-lib-y += guest-tests/lib/own_bell.o
guest-lib-y += guest-tests/lib/pair.o
guest-lib-y += guest-tests/lib/pci.o
guest-lib-y += guest-tests/lib/ring0.o
guest-lib-y += guest-tests/lib/samples.o
guest-lib-y += guest-tests/lib/smp.o
guest-lib-y += guest-tests/lib/smp_trampoline_x86_64.o
guest-lib-y += guest-tests/lib/start.o
guest-lib-y += guest-tests/lib/string.o
guest-lib-y += guest-tests/lib/traps_x86_64.o
guest-lib-y += guest-tests/lib/window.o

# General registers only: where KVM emulates ring 0, it knows no others. No sanitizers.
GUEST_WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
GUEST_CFLAGS := -std=gnu11 -O2 $(GUEST_WARN) $(if $(WERROR),-Werror) -I. -m64 \
	-ffreestanding -mgeneral-regs-only -mno-red-zone -fno-pic -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fcf-protection=none -ffunction-sections \
	-fdata-sections
GUEST_LDFLAGS := -m64 -static -nostdlib -Wl,--build-id=none -Wl,--gc-sections \
	-Wl,-z,max-page-size=4096 -Wl,-z,noexecstack

guest-objs = $(addprefix $(O)/,$(1))

$(O)/guest-tests/%.o: guest-tests/%.c Makefile guest-tests/build.mk
	$(call say,GUEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/guest-tests/%.o: guest-tests/%.S Makefile guest-tests/build.mk
	$(call say,GUEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

define guest
guests: $(O)/guests/$(1).elf
$(O)/guests/$(1).elf: $(call guest-objs,guest-tests/start_x86_64.o guest-tests/$(1).o \
		$($(1)-guest-y) $(guest-lib-y)) guest-tests/guest.ld guest-tests/tables.ld
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(GUEST_LDFLAGS) -Wl,-T,guest-tests/guest.ld -o $$@ $$(filter %.o,$$^)
endef
$(foreach g,$(guests-y),$(eval $(call guest,$(g))))

# --- the same for bz.c, as a bzImage --------------------------------------------------

bz-guest-y := guest-tests/bz_x86_64.o guest-tests/bz.o guest-tests/start_x86_64.o

ifdef IS_x86_64
guests: $(O)/guests/bz.bzImage
endif
$(O)/guests/bz.bzImage: $(call guest-objs,$(bz-guest-y) $(guest-lib-y)) \
		guest-tests/bz.ld guest-tests/tables.ld
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_LDFLAGS) -Wl,-T,guest-tests/bz.ld -o $@ $(filter %.o,$^)

-include $(wildcard $(O)/guest-tests/*.d $(O)/guest-tests/lib/*.d)
