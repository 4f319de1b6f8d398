#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/pair.py - two virtual machines on a link that this process hosts

    pair.py KERNEL COMMAND-LINE-A COMMAND-LINE-B
"""
import sys

import belfry

PAIR = """
links:
  ring: { size: 16M, vectors: 2 }
vms:
  a: { kernel: KERNEL, memory: 32M, console_prefix: 'a| ', devices: [ { ivshmem: { link: ring } } ] }
  b: { kernel: KERNEL, memory: 32M, console_prefix: 'b| ', devices: [ { ivshmem: { link: ring } } ] }
"""


def main(kernel, *cmdlines):
    config = belfry.Config(PAIR)
    links = belfry.Links(config)
    for name, cmdline in zip("ab", cmdlines):
        config.set(f"vms.{name}.kernel", kernel)
        config.set(f"vms.{name}.cmdline", cmdline)
        config.set_fd(f"vms.{name}.console", sys.stdout)
        links.join(name)
    links.start()
    vms = [belfry.VM(config, name) for name in "ab"]
    for vm in vms:
        vm.start()
    for vm in vms:
        print("stopped:", vm.wait())
        vm.close()


if len(sys.argv) != 4:
    print("usage: pair.py KERNEL COMMAND-LINE-A COMMAND-LINE-B", file=sys.stderr)
    sys.exit(2)
main(*sys.argv[1:])
