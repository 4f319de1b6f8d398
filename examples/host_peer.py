#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/host_peer.py - this process talks to its guest: a link, served by itself, with
a virtual machine and the process on it

    host_peer.py KERNEL

The guest is one that answers each ring with a ring, such as guest-tests/echo.c: word 0 of
the memory becomes its ID + 1 when it listens, word 1 is whom to answer, and in word 2 it
counts.
"""
import socket
import sys
import time

import belfry

CONFIG = """
servers:
  ring: { path: unused, size: 1M, vectors: 1 }
vms:
  guest: { kernel: KERNEL, memory: 32M }
"""


def join(server):
    """A place on the link. Nobody has to find it by a path."""
    ours, theirs = socket.socketpair()
    server.add(theirs)
    theirs.close()
    return ours


def main(kernel):
    config = belfry.Config(CONFIG)
    config.set("vms.guest.kernel", kernel)
    with belfry.Server(config, "ring") as server:
        server.start()
        with join(server) as ours, join(server) as its:
            peer = belfry.Peer(sock=ours)
            config.set_fd("vms.guest.devices.0.ivshmem.socket", its)
        with peer, belfry.VM(config, "guest") as vm, memoryview(peer.map()).cast("I") as words:
            words[1] = peer.id
            vm.start()
            while words[0] == 0 and vm.state == belfry.State.RUNNING:
                time.sleep(0.001)
            for _ in range(3):
                peer.ring(words[0] - 1)
                peer.wait(timeout=10)
                print("answer", words[2])


if len(sys.argv) != 2:
    print("usage: host_peer.py KERNEL", file=sys.stderr)
    sys.exit(2)
main(*sys.argv[1:])
