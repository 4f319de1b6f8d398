/* SPDX-License-Identifier: MIT */
/*
 * examples/host_peer.c - this process talks to its guest: a link, served by itself, with
 * a virtual machine and the process on it
 *
 *	host_peer KERNEL [COMMAND-LINE]
 *
 * The guest is one that answers each ring with a ring, such as guest-tests/echo.c: word 0
 * of the memory becomes its ID + 1 when it listens, word 1 is whom to answer, and in word
 * 2 it counts.
 */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <belfry-peer.h>
#include <belfry-server.h>
#include <belfry.h>

#define RINGS     3
#define ANSWER_NS 10000000000ULL
#define LISTEN_MS 10000
#define LISTENER  0 /* words of the memory */
#define WHO_RINGS 1
#define ANSWERED  2

static const char config[] = "servers:\n"
			     "  ring: { path: unused, size: 1M, vectors: 1 }\n"
			     "vms:\n"
			     "  guest:\n"
			     "    memory: 32M\n";

/* Here a failure ends the program: the process's end releases all there is. */
static int must(int result, const struct belfry_error *err)
{
	if (result >= 0)
		return result;
	fprintf(stderr, "host_peer: %s\n", err->msg);
	exit(1);
}

/* A place on the link. Nobody has to find it by a path. */
static int join(struct belfry_server *server)
{
	struct belfry_error err;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		perror("socketpair");
		exit(1);
	}
	must(belfry_server_add(server, pair[0], &err), &err);
	return pair[1];
}

static struct belfry_config *configure(char **args)
{
	struct belfry_config *cfg;
	struct belfry_error err;

	must(belfry_config_create(&cfg, &err), &err);
	must(belfry_config_load_string(cfg, "host_peer", config, &err), &err);
	must(belfry_config_set(cfg, "vms.guest.kernel", args[1], &err), &err);
	if (args[2])
		must(belfry_config_set(cfg, "vms.guest.cmdline", args[2], &err), &err);
	return cfg;
}

static struct belfry_vm *start_guest(struct belfry_config *cfg,
				     struct belfry_server *server)
{
	struct belfry_error err;
	struct belfry_vm *vm;
	int sock = join(server);

	must(belfry_config_set_fd(cfg, "vms.guest.devices.0.ivshmem.socket", sock, &err),
	     &err);
	close(sock);
	must(belfry_vm_create(cfg, "guest", &vm, &err), &err);
	must(belfry_vm_start(vm, &err), &err);
	return vm;
}

static void talk(struct belfry_peer *peer, const _Atomic uint32_t *words)
{
	struct belfry_error err;
	int guest = belfry_peer_next(peer, 0);

	printf("we are %d, the guest is %d\n", belfry_peer_id(peer), guest);
	for (int i = 0; i < RINGS; i++) {
		must(belfry_peer_ring(peer, guest, 0, &err), &err);
		must(belfry_peer_wait(peer, BELFRY_ALL, ANSWER_NS, NULL, &err), &err);
		printf("answer %u\n", words[ANSWERED]);
	}
}

int main(int argc, char **argv)
{
	struct belfry_server *server;
	struct belfry_config *cfg;
	_Atomic uint32_t *words;
	struct belfry_peer *peer;
	struct belfry_error err;
	struct belfry_vm *vm;
	uint64_t size;
	void *map;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: host_peer KERNEL [COMMAND-LINE]\n");
		return 2;
	}
	cfg = configure(argv);
	must(belfry_server_create(cfg, "ring", &server, &err), &err);
	must(belfry_server_start(server, &err), &err);

	must(belfry_peer_create_fd(&peer, join(server), NULL, &err), &err);
	must(belfry_peer_map(peer, 0, &map, &size, &err), &err);
	words = map;
	words[WHO_RINGS] = belfry_peer_id(peer);

	vm = start_guest(cfg, server);
	for (int ms = 0; ms < LISTEN_MS && words[LISTENER] == 0; ms++)
		belfry_peer_wait(peer, BELFRY_ALL, 1000000, NULL, NULL);
	talk(peer, words);

	belfry_vm_destroy(vm);
	belfry_peer_destroy(peer);
	belfry_server_destroy(server);
	belfry_config_destroy(cfg);
	munmap(map, size);
	return 0;
}
