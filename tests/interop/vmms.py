"""tests/interop/vmms.py - starts a guest of guest-tests/ on QEMU or on belfry, and waits"""
import os
import platform
import select
import subprocess
import tempfile
import time

QEMU = "qemu-system-x86_64"
MEMORY = "64M"
PART = 4096


class Machine:
    """What to run and where: the same for every VMM."""

    def __init__(self, build, folder):
        self.build = build    # with belfry and the guests
        self.folder = folder  # for files of ours

    def kernel(self, guest):
        return os.path.join(self.build, "guests", guest + ".elf")


def default_build():
    return os.environ.get("BELFRY_BUILD", f"build/{platform.machine()}")


class Run:
    """A VMM that runs a guest. finish() it, whatever happens."""

    def __init__(self, argv, folder):
        self.errors = tempfile.TemporaryFile(dir=folder)
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.errors)
        self.first = b""
        self.out = self.err = ""
        self.end = None  # "by itself", "crash" or "time limit"

    def wait_for_output(self, deadline):
        """Until it has printed something, or has closed its output."""
        out = self.process.stdout
        if select.select([out], [], [], max(0, deadline - time.monotonic()))[0]:
            self.first = os.read(out.fileno(), PART)

    def finish(self, deadline):
        """Wait until @deadline of time.monotonic(), then kill it."""
        try:
            rest, _ = self.process.communicate(
                timeout=max(0, deadline - time.monotonic()))
            self.end = "crash" if self.status() is None else "by itself"
        except subprocess.TimeoutExpired:
            self.process.kill()
            rest, _ = self.process.communicate()
            self.end = "time limit"
        finally:
            self.process.kill()  # does nothing to one that has ended
        self.out = (self.first + rest).decode(errors="replace")
        self.errors.seek(0)
        self.err = self.errors.read().decode(errors="replace")
        self.errors.close()

    def status(self):
        """What the guest has ended with; None if it has not."""
        raise NotImplementedError


class Qemu(Run):
    def __init__(self, machine, guest, cmdline, device, cpus=1, resets=False):
        super().__init__(
            [QEMU, "-M", "pc", "-bios", "qboot.rom", "-accel", "kvm",
             "-cpu", "host,-arch-capabilities", "-m", MEMORY, "-smp", str(cpus),
             "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
             *([] if resets else ["-no-reboot"]),
             "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
             "-kernel", machine.kernel(guest), "-append", cmdline, *device],
            machine.folder)

    def status(self):
        code = self.process.returncode  # twice the guest's, plus 1
        return code >> 1 if code > 0 and code & 1 else None

    @staticmethod
    def served(path, vectors, ioeventfd):
        return ["-chardev", f"socket,path={path},id=c", "-device",
                f"ivshmem-doorbell,vectors={vectors},ioeventfd={ioeventfd},chardev=c"]

    @staticmethod
    def file(path, size):
        return ["-object",
                f"memory-backend-file,id=m,share=on,mem-path={path},size={size}",
                "-device", "ivshmem-plain,memdev=m"]


class Belfry(Run):
    STATUS = 64  # of `belfry run` when the guest's is 0, but for 0 itself

    def __init__(self, machine, guest, cmdline, device, cpus=1, resets=False):
        keys, links = device
        fd, path = tempfile.mkstemp(suffix=".yaml", dir=machine.folder)
        with open(fd, "w") as config:
            config.write(f"{links}vms:\n  vm:\n    kernel: {machine.kernel(guest)}\n"
                         f"    memory: {MEMORY}\n    cpus: {cpus}\n"
                         f"{'    on_reset: restart' if resets else ''}\n"
                         f"    cmdline: '{cmdline}'\n"
                         f"    devices:\n      - ivshmem: {{ {keys} }}\n")
        super().__init__([os.path.join(machine.build, "belfry"), "run", path],
                         machine.folder)

    def status(self):
        code = self.process.returncode
        if code == 0:
            return 0
        return code - self.STATUS if code >= self.STATUS else None

    @staticmethod
    def served(path, vectors, ioeventfd):
        return f"socket: {path}, vectors: {vectors}, ioeventfd: {ioeventfd}", ""

    @staticmethod
    def link(size, served, vectors, ioeventfd):
        return (f"link: ring, vectors: {vectors}, ioeventfd: {ioeventfd}",
                f"links:\n  ring: {{ size: {size}, vectors: {served} }}\n")

    @staticmethod
    def file(path, size):
        return f"file: {path}, size: {size}", ""

    @staticmethod
    def shm(name, size):
        return f"shm: {name}, size: {size}", ""
