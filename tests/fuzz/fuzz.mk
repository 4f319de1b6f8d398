# tests/fuzz/fuzz.mk - the libFuzzer targets; read behind the Makefile, by tests/fuzz/run
#
# NAME_fuzz.c is linked with the objects that NAME-fuzz-y lists, beside those of the tests.

# What others need to be listed for; see tests/*.mk for the rest.
wire-fuzz-y ?= tests/fuzz/wire_fuzz.o ivshmem/member.o ivshmem/table.o ivshmem/wire.o \
	base/err.o base/event.o base/file.o base/log.o

FUZZERS := $(patsubst tests/fuzz/%_fuzz.c,%,$(sort $(wildcard tests/fuzz/*_fuzz.c)))

define fuzzer
$(if $($(1)-fuzz-y),,$(error tests/fuzz/$(1)_fuzz.c: no $(1)-fuzz-y in tests/*.mk))
fuzzers: $(O)/$(1)_fuzz
$(O)/$(1)_fuzz: $(call objs,$($(1)-fuzz-y))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(CFLAGS) $$(OUR_CFLAGS) $$(LDFLAGS) -fsanitize=fuzzer -o $$@ $$^ $$($(1)-fuzz-libs) $$(LIBS)
fuzz-deps += $($(1)-fuzz-y)
endef

.PHONY: fuzzers
fuzzers:
$(foreach f,$(FUZZERS),$(eval $(call fuzzer,$(f))))

-include $(patsubst %.o,$(O)/%.d,$(sort $(fuzz-deps)))
