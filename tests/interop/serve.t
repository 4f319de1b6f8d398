#!/usr/bin/env python3
"""tests/interop/serve.t - VMs of QEMU and of belfry ring each other on belfry's server

Guests of guest-tests/ with role=a and role=b, on two QEMUs and on one of each kind. While
they run, the server is upgraded (SIGUSR2). A belfry VM on a server that is not ours is in
tests/cli/server.t and tests/interop/parity.
"""
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmms import QEMU, Belfry, Machine, Qemu, default_build  # noqa: E402

LIMIT_S = 60
GUESTS = [  # name, guest, command line, size, vectors
    ("pingpong", "pingpong", "rounds=2000 poll_rounds=2000 warmup=100", "1M", 2),
    ("memory", "memory", "size=1M", "1M", 1),
]
PAIRS = [(Qemu, Qemu), (Qemu, Belfry), (Belfry, Qemu)]


class BelfryServer:
    def __init__(self, machine, size, vectors):
        self.program = os.path.join(machine.build, "belfry")
        self.path = os.path.join(machine.folder, "socket")
        self.errors = open(os.path.join(machine.folder, "server.err"), "w+b")
        self.process = subprocess.Popen(
            [self.program, "serve", "-S", self.path, "-l", size, "-n", str(vectors)],
            stderr=self.errors)
        self.wait(lambda: os.path.exists(self.path + ".control"))

    @staticmethod
    def wait(condition):
        give_up = time.monotonic() + LIMIT_S
        while not condition():
            if time.monotonic() > give_up:
                return False
            time.sleep(0.01)
        return True

    def counters(self):
        out = subprocess.run([self.program, "serve", "--status", self.path],
                             capture_output=True, check=False).stdout
        return json.loads(out)["counters"] if out else {}

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def upgrade(self):
        """When both are there, so that the two are known to the next."""
        if not self.wait(lambda: self.counters().get("peers") == 2):
            return False
        self.process.send_signal(signal.SIGUSR2)
        return self.wait(lambda: "2 clients are there" in self.said())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Tap:
    def __init__(self):
        self.n = 0
        self.failed = False

    def ok(self, good, sentence, *why):
        self.n += 1
        print(f"{'ok' if good else 'not ok'} {self.n} - {sentence}")
        for text in why if not good else ():
            print("\n".join("# " + line for line in text.splitlines()))
        self.failed |= not good


def run_pair(tap, machine, guest, vmms):
    name, kernel, cmdline, size, vectors = guest
    title = f"{name}, {vmms[0].__name__} and {vmms[1].__name__}"
    server = BelfryServer(machine, size, vectors)
    runs = [vmm(machine, kernel, f"role={role} {cmdline}",
                vmm.served(server.path, vectors, "on"))
            for vmm, role in zip(vmms, "ab")]
    upgraded = server.upgrade()
    deadline = time.monotonic() + LIMIT_S
    for run in runs:
        run.finish(deadline)
    for role, run in zip("ab", runs):
        tap.ok(run.status() == 0 and "not ok" not in run.out,
               f"{title}: guest {role} finds all as it should be", run.out, run.err)
    tap.ok(upgraded, f"{title}: the server is upgraded meanwhile", server.said())
    server.wait(lambda: server.counters().get("peers") == 0)
    counters = server.counters()
    tap.ok((counters.get("peers"), counters.get("dropped")) == (0, 0),
           f"{title}: both have left in peace", str(counters), server.said())
    tap.ok(server.stop() == 0, f"{title}: the server ends well", server.said())


def unable():
    if platform.machine() != "x86_64":
        return "these guests are for x86_64"
    if not os.access("/dev/kvm", os.W_OK):
        return "/dev/kvm is not there or may not be used"
    return None if shutil.which(QEMU) else f"{QEMU} is not installed"


def main():
    why = unable()
    if why:
        print(f"1..0 # SKIP {why}")
        return 1 if os.environ.get("BELFRY_EXPECT_ALL") else 0
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(default_build(), folder)
        for guest in GUESTS:
            for vmms in PAIRS:
                run_pair(tap, machine, guest, vmms)
    print(f"1..{tap.n}")
    return tap.failed


if __name__ == "__main__":
    sys.exit(main())
