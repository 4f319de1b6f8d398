# boot: putting a kernel into RAM
lib-y += boot/boot.o
lib-$(IS_x86_64) += boot/acpi.o
lib-$(IS_x86_64) += boot/bzimage.o
lib-$(IS_x86_64) += boot/dsdt.o
lib-$(IS_x86_64) += boot/pvh.o
lib-$(IS_x86_64) += boot/x86.o

# boot/dsdt.asl, by way of the C preprocessor, iasl (acpica-tools) and .incbin
$(O)/boot/dsdt.i: boot/dsdt.asl arch/x86_64/pc_regs.h boot/build.mk
	@mkdir -p $(@D)
	$(Q)$(CC) -E -P -x assembler-with-cpp -I. -o $@ $<

$(O)/boot/dsdt.aml: $(O)/boot/dsdt.i
	$(call say,IASL,boot/dsdt.asl)
	$(Q)iasl -we -p $(@:.aml=) $< > $@.log || { cat $@.log; exit 1; }

$(O)/boot/dsdt.o: boot/dsdt.S $(O)/boot/dsdt.aml Makefile
	$(call say,AS,$<)
	$(Q)$(CC) -fPIC -I$(@D) -c -o $@ $<
