# bench: belfry bench, apart from its command line (cli/bench.c)
cli-y += bench/ci.o
cli-y += bench/compare.o
cli-y += bench/crowd.o
cli-y += bench/files.o
cli-y += bench/floor.o
cli-y += bench/floor_load.o
cli-y += bench/floor_run.o
cli-y += bench/format.o
cli-y += bench/host.o
cli-y += bench/host_peer.o
cli-y += bench/html.o
cli-y += bench/json_read.o
cli-y += bench/json_write.o
cli-y += bench/lab.o
cli-y += bench/noise.o
cli-y += bench/payloads.o
cli-y += bench/plan.o
cli-y += bench/record.o
cli-y += bench/result.o
cli-y += bench/scenario.o
cli-y += bench/session.o
cli-y += bench/stats.o
cli-y += bench/table.o
cli-y += bench/trial.o
cli-y += bench/trial_host.o
cli-y += bench/trial_start.o
cli-y += bench/vmm_belfry.o
cli-y += bench/vmm_floor.o
cli-y += bench/vmm_qemu.o
cli-libs-y += $(shell $(PKG_CONFIG) --libs jansson 2>/dev/null || echo -ljansson) -lm

# The guests, and the page with its charting library, are parts of the program. Chart.js
# comes from libjs-chart.js; without it there is no --html.
CHART_JS ?= $(wildcard /usr/share/javascript/chart.js/chart.min.js)
payloads := $(O)/guests/bench.elf $(O)/guests/hello.elf bench/page.html bench/page.js \
	bench/result.schema.json
$(O)/bench/payloads.o: bench/payloads.S Makefile bench/build.mk $(payloads) $(CHART_JS)
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -DGUEST_ELF='"$(O)/guests/bench.elf"' -DHELLO_ELF='"$(O)/guests/hello.elf"' \
		-DCHART_JS='$(if $(CHART_JS),"$(CHART_JS)")' -c -o $@ $<

programs-y += clients
clients-prog-y :=
clients-prog-y += bench/clients.o

# for bench/library: a program like any that embeds the library
programs-y += vms
vms-prog-y := bench/vms.o
vms-libs = $(O)/libbelfry.a $(LIBS)
$(O)/vms: $(O)/libbelfry.a
