# boot: putting a kernel into RAM
lib-y += boot/boot.o
lib-$(IS_x86_64) += boot/bzimage.o
lib-$(IS_x86_64) += boot/pvh.o
lib-$(IS_x86_64) += boot/x86.o
