#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/smallest.py - one virtual machine, from its kernel to its end

    smallest.py KERNEL [COMMAND-LINE]
"""
import sys

import belfry


def main(kernel, cmdline=""):
    with belfry.Config() as config:
        config.set("vms.vm.kernel", kernel)
        config.set("vms.vm.cmdline", cmdline)
        config.set_fd("vms.vm.console", sys.stdout)
        with belfry.VM(config, "vm") as vm:
            vm.start()
            print("stopped:", vm.wait())


if len(sys.argv) not in (2, 3):
    print("usage: smallest.py KERNEL [COMMAND-LINE]", file=sys.stderr)
    sys.exit(2)
main(*sys.argv[1:])
