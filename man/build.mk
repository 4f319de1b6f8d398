# man: the manual pages, made by scdoc; those of section 3 out of the headers

pages-3 := libbelfry belfry_config belfry_links belfry_vm belfry_events belfry_console \
	belfry_stats belfry_peer belfry_server
# Each call has a page that refers to one of these.
calls := $(shell sed -n 's/^BELFRY_API [a-z0-9_ *]*\<\(belfry_[a-z_]*\)\>.*/\1/p' include/*.h)

MAN_PAGES := $(patsubst man/%.scd,$(O)/man/%,$(wildcard man/*.scd)) \
	$(patsubst %,$(O)/man/%.3,$(pages-3) $(calls))

.PHONY: man
man: $(MAN_PAGES)

$(O)/man/%: man/%.scd
	$(call say,MAN,$@)
	@mkdir -p $(@D)
	$(Q)scdoc < $< > $@

$(patsubst %,$(O)/man/%.3.scd,$(pages-3)) $(patsubst %,$(O)/man/%.3,$(calls)) &: \
		$(wildcard include/*.h) man/libbelfry.3.in examples/smallest.c tools/headers-to-man
	$(call say,MAN,'$(O)/man: section 3')
	$(Q)tools/headers-to-man $(O)/man

$(patsubst %,$(O)/man/%.3,$(pages-3)): %: %.scd
	$(Q)scdoc < $< > $@
