/* SPDX-License-Identifier: MIT */
/* tests/cli/crowd.c - crowd PEERS SOCKET: peers that join a link when its guest asks */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/crowd.h"

int main(int argc, char **argv)
{
	struct crowd_config cfg = {
		.vectors = 1, .size = 1 << 20, .late = true, .cpu = -1
	};
	struct belfry_error why;
	struct crowd *crowd;

	if (argc != 3)
		errx(2, "usage: crowd PEERS SOCKET");
	cfg.peers = strtoul(argv[1], NULL, 10);
	if (crowd_create(&crowd, &cfg, &why) < 0 ||
	    crowd_listen(crowd, argv[2], &why) < 0)
		errx(1, "%s", why.msg);
	printf("%u peers: %s\n", cfg.peers, argv[2]);
	fflush(stdout);
	for (;;)
		pause();
}
