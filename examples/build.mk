# examples: programs that embed the library, built as others would build them (Makefile)

pc = sed -e 's|@prefix@|$(1)|; s|@libdir@|$(2)|; s|@includedir@|$(3)|; s|@version@|$(VERSION)|' \
	belfry.pc.in

# The library as it is here, not installed.
$(O)/pkgconfig/belfry.pc: belfry.pc.in examples/build.mk Makefile
	@mkdir -p $(@D)
	$(Q)$(call pc,$(CURDIR),$(abspath $(O)),$(CURDIR)/include) > $@

.PHONY: examples
examples: $(O)/libbelfry.so.$(VERSION) $(O)/pkgconfig/belfry.pc
	$(Q)PKG_CONFIG_PATH="$(abspath $(O))/pkgconfig:$$PKG_CONFIG_PATH" \
		$(MAKE) --no-print-directory -C examples O="$(abspath $(O))/examples" \
		CC="$(CC)" CFLAGS="$(CFLAGS) $(EXTRA)" LIBRARY="$(abspath $<)" \
		LDFLAGS="$(LDFLAGS) -Wl,-rpath,$(abspath $(O))"
