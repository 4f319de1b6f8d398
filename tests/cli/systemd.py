#!/usr/bin/env python3
"""tests/cli/systemd.py - runs a service as systemd does, as far as it matters to belfry

    tests/cli/systemd.py [--socket PATH] [--kill-ms MS] [--kills N] [--lose NAME] COMMAND...

Gives it $NOTIFY_SOCKET, and holds what it asks to have stored (FDSTORE=1, FDNAME=, FDPOLL=0,
FDSTOREREMOVE=1). When it is killed by a signal, it is started again with all that is stored,
by $LISTEN_FDS. Prints a line for each message and each end. SIGTERM is passed on; then its
exit status is ours.

--socket PATH  a listening socket, as of a .socket unit; may be given again
--kill-ms MS   kill it (SIGKILL) every so often, --kills times at most
--lose NAME    forget what is stored under that name when it is killed
"""
import argparse
import os
import selectors
import signal
import socket
import sys
import tempfile
import time

START = 3  # SD_LISTEN_FDS_START
FDS_MAX = 253


def say(text):
    print(text, flush=True)


class Store:
    def __init__(self):
        self.held = []  # of (name, descriptor)

    def take(self, message, fds):
        lines = dict(line.split("=", 1) for line in message.split("\n") if "=" in line)
        name = lines.get("FDNAME", "stored")
        if lines.get("FDSTORE") == "1":
            if name.startswith("p") and lines.get("FDPOLL") != "0":
                say(f"error: {name} would be dropped at once")  # its other end is closed
            self.held += [(name, fd) for fd in fds]
            return f"store {name}"
        for fd in fds:
            os.close(fd)
        if lines.get("FDSTOREREMOVE") == "1":
            self.drop(name)
            return f"remove {name}"
        return "notify " + message.replace("\n", " ")

    def drop(self, name):
        for held in [h for h in self.held if h[0] == name]:
            os.close(held[1])
            self.held.remove(held)


def listener(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(path)
    sock.listen(4096)
    return sock


class Service:
    def __init__(self, options):
        self.options = options
        self.store = Store()
        self.folder = tempfile.mkdtemp()
        self.path = os.path.join(self.folder, "notify")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.path)
        self.notify.setblocking(False)
        self.listeners = [listener(path) for path in options.socket]
        self.ending = False
        self.kills = 0
        self.child = None

    def start(self):
        named = list(self.store.held)
        named += [("belfry-serve@test.socket", sock.fileno()) for sock in self.listeners]
        self.child = os.fork()
        if self.child:
            say(f"start {self.child} with {len(named)}")
            return
        try:
            high = [os.dup2(fd, START + len(named) + 1000 + i, inheritable=False)
                    for i, (_, fd) in enumerate(named)]
            for i, fd in enumerate(high):
                os.dup2(fd, START + i, inheritable=True)
            os.environ["NOTIFY_SOCKET"] = self.path
            if named:
                os.environ["LISTEN_PID"] = str(os.getpid())
                os.environ["LISTEN_FDS"] = str(len(named))
                os.environ["LISTEN_FDNAMES"] = ":".join(name for name, _ in named)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            os.execvp(self.options.command[0], self.options.command)
        finally:
            os._exit(127)

    def read_messages(self):
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.notify, 65536, FDS_MAX)
            except BlockingIOError:
                return
            for fd in fds:
                os.set_inheritable(fd, False)
            say(self.store.take(data.decode(), fds))

    def ended(self):
        """Whether the child has; if it was killed, there is a new one."""
        pid, status = os.waitpid(self.child, os.WNOHANG)
        if pid == 0:
            return None
        self.read_messages()
        if not os.WIFSIGNALED(status):
            say(f"exit {os.WEXITSTATUS(status)}, {len(self.store.held)} stored")
            return os.WEXITSTATUS(status)
        say(f"killed by {os.WTERMSIG(status)}")
        if self.ending:
            return 128 + os.WTERMSIG(status)
        if self.options.lose:
            self.store.drop(self.options.lose)
        self.start()
        return None

    def run(self):
        poll = selectors.DefaultSelector()
        poll.register(self.notify, selectors.EVENT_READ)
        signal.signal(signal.SIGTERM, self.terminate)
        next_kill = time.monotonic() + self.options.kill_ms / 1000
        self.start()
        while True:
            poll.select(0.005)
            self.read_messages()
            status = self.ended()
            if status is not None:
                return status
            if (not self.ending and self.kills < self.options.kills and
                    time.monotonic() > next_kill):
                self.kills += 1
                next_kill = time.monotonic() + self.options.kill_ms / 1000
                os.kill(self.child, signal.SIGKILL)

    def terminate(self, *_):
        self.ending = True
        os.kill(self.child, signal.SIGTERM)

    def clean(self):
        os.unlink(self.path)
        os.rmdir(self.folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", action="append", default=[])
    parser.add_argument("--kill-ms", type=int, default=0)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--lose")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    service = Service(parser.parse_args())
    try:
        return service.run()
    finally:
        service.clean()


if __name__ == "__main__":
    sys.exit(main())
