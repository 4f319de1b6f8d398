# cli: the program
cli-y += cli/bench.o
cli-y += cli/check.o
cli-y += cli/common.o
cli-y += cli/handover.o
cli-y += cli/main.o
cli-y += cli/peer.o
cli-y += cli/peer_commands.o
cli-y += cli/peer_input.o
cli-y += cli/peer_link.o
cli-y += cli/peer_memory.o
cli-y += cli/peer_session.o
cli-y += cli/peer_words.o
cli-y += cli/run.o
cli-y += cli/run_vm.o
cli-y += cli/serve.o
cli-y += cli/serve_log.o
cli-y += cli/serve_options.o
cli-y += cli/serve_socket.o
cli-y += cli/serve_status.o
cli-y += cli/signals.o
cli-y += cli/terminal.o

# libedit edits lines at the prompt of `belfry peer`. Without it they are read as they are.
HAVE_LIBEDIT := $(shell $(PKG_CONFIG) --exists libedit 2>/dev/null && echo y)
cli-y += cli/peer_$(if $(HAVE_LIBEDIT),,no_)edit.o
cli-libs-$(HAVE_LIBEDIT) += $(shell $(PKG_CONFIG) --libs libedit)

# libsystemd tells the service manager, which may hand descriptors to `belfry serve`. Without
# it there is none. SYSTEMD=n: as if it was not there.
HAVE_LIBSYSTEMD := $(if $(filter n,$(SYSTEMD)),,$(shell $(PKG_CONFIG) --exists libsystemd 2>/dev/null && echo y))
cli-y += cli/$(if $(HAVE_LIBSYSTEMD),,no_)systemd.o
cli-libs-$(HAVE_LIBSYSTEMD) += $(shell $(PKG_CONFIG) --libs libsystemd)
