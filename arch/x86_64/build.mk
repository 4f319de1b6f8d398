# arch/x86_64: what makes the machine a PC
lib-y += arch/x86_64/arch.o
lib-y += arch/x86_64/cpuid.o
lib-y += arch/x86_64/platform.o
lib-y += arch/x86_64/vcpu.o
