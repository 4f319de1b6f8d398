#!/usr/bin/env python3
"""tests/interop/ivshmem_server.py - an ivshmem server, written from the protocol alone

    tests/interop/ivshmem_server.py [-S SOCKET] [-l SIZE] [-n VECTORS]

It shares no code with belfry: what a client makes of it is evidence. Tests use class Server,
which serves on a thread of its own.

The protocol, version 0: a message is 8 bytes, little-endian and signed, with a descriptor
or without. A newcomer is sent the version, its ID, -1 with the memory, then for each peer
in the order they came, itself last, the peer's ID with an eventfd, once for each vector.
The others are sent the newcomer's messages before that. An ID without a descriptor says
that this peer has left. Clients send nothing; a byte from one, or its end, is its departure.

Every message waits in a queue of its client: a burst is longer than a socket's buffer, and
a message that gets lost would shift all later vectors. A client that takes nothing for
SLOW_S seconds is dropped.
"""
import argparse
import collections
import errno
import os
import selectors
import signal
import socket
import struct
import sys
import threading
import time

VERSION = 0
MEMORY = -1
IDS = 65536
SLOW_S = 10
IDLE_S = 60
RETRY_S = 0.01  # after ETOOMANYREFS, which no poll tells the end of


class Descriptor:
    """A file descriptor that closes when nobody, and no queue, needs it any more."""

    def __init__(self, fd):
        self.fd = fd

    def __del__(self):
        os.close(self.fd)


class Client:
    def __init__(self, sock, number, vectors):
        self.sock = sock
        self.id = number
        self.events = [Descriptor(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
                       for _ in range(vectors)]
        self.queue = collections.deque()  # of (bytes, Descriptor or None)
        self.progress = time.monotonic()

    def say(self, value, descriptor=None):
        if not self.queue:
            self.progress = time.monotonic()
        self.queue.append((struct.pack("<q", value), descriptor))

    def say_who(self, other):
        for event in other.events:
            self.say(other.id, event)

    def send(self):
        """Send what the socket takes. Return: whether it has to be tried again by time."""
        while self.queue:
            data, descriptor = self.queue[0]
            fds = [descriptor.fd] if descriptor else []
            try:
                sent = socket.send_fds(self.sock, [data], fds, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return False
            except OSError as e:
                if e.errno == errno.ETOOMANYREFS:
                    return True
                raise
            self.progress = time.monotonic()
            self.queue.popleft()
            if sent < len(data):  # the descriptor went with the first byte
                self.queue.appendleft((data[sent:], None))
        return False


class Server:
    """Serves @path from start(), or entering a with block, until stop()."""

    def __init__(self, path, size=4 << 20, vectors=1):
        self.vectors = vectors
        self.path = path
        self.clients = []  # in the order they came
        self.next_id = 0
        self.joined = self.dropped = self.bytes_from_clients = 0
        self.memory = Descriptor(os.memfd_create("ivshmem-interop"))
        os.ftruncate(self.memory.fd, size)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.setblocking(False)
        self.listener.bind(path)
        self.listener.listen(64)
        self.wake_read, self.wake_write = os.pipe()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(self.wake_read, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        if not self.thread.is_alive():
            return
        os.write(self.wake_write, b"x")
        self.thread.join()
        for client in self.clients:
            client.sock.close()
        self.clients.clear()
        self.listener.close()
        self.selector.close()
        os.close(self.wake_read)
        os.close(self.wake_write)
        os.unlink(self.path)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _free_id(self):
        """IDs count up; one is not used again before all others have been."""
        taken = {client.id for client in self.clients}
        for _ in range(IDS):
            number = self.next_id
            self.next_id = (number + 1) % IDS
            if number not in taken:
                return number
        return None

    def _accept(self):
        sock, _ = self.listener.accept()
        sock.setblocking(False)
        number = self._free_id()
        if number is None:
            sock.close()
            return
        new = Client(sock, number, self.vectors)
        for client in self.clients:
            client.say_who(new)
        self.clients.append(new)
        self.joined += 1
        new.say(VERSION)
        new.say(new.id)
        new.say(MEMORY, self.memory)
        for client in self.clients:
            new.say_who(client)
        self.selector.register(sock, selectors.EVENT_READ, new)

    def _remove(self, client):
        self.selector.unregister(client.sock)
        client.sock.close()
        self.clients.remove(client)
        for other in self.clients:
            other.say(client.id)

    def _heard(self, client):
        """A client has sent something, or left."""
        try:
            data = client.sock.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.bytes_from_clients += len(data)
        self._remove(client)

    def _send_all(self):
        """Return: how long to wait for the next event, in seconds."""
        wait = IDLE_S
        for client in list(self.clients):
            try:
                retry = client.send()
            except OSError:
                self._remove(client)
                wait = 0  # the others have something to be told
                continue
            events = selectors.EVENT_READ
            if client.queue:
                if time.monotonic() - client.progress > SLOW_S:
                    self.dropped += 1
                    self._remove(client)
                    wait = 0
                    continue
                wait = min(wait, RETRY_S if retry else SLOW_S)
                if not retry:
                    events |= selectors.EVENT_WRITE
            self.selector.modify(client.sock, events, client)
        return wait

    def _serve(self):
        wait = IDLE_S
        while True:
            for key, _ in self.selector.select(wait):
                if key.fd == self.wake_read:
                    return
                if key.fileobj is self.listener:
                    self._accept()
                elif key.data in self.clients:
                    self._heard(key.data)
            wait = self._send_all()


def size_of(text):
    """Bytes, or with K, M, G: binary multiples."""
    shift = {"K": 10, "M": 20, "G": 30}.get(text[-1:].upper(), 0)
    return int(text[:-1] if shift else text, 0) << shift


def main():
    parser = argparse.ArgumentParser(description="ivshmem server, for tests")
    parser.add_argument("-S", metavar="SOCKET", default="/tmp/ivshmem_socket")
    parser.add_argument("-l", metavar="SIZE", type=size_of, default=4 << 20)
    parser.add_argument("-n", metavar="VECTORS", type=int, default=1)
    options = parser.parse_args()
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with Server(options.S, options.l, options.n):
        print(f"{options.S}: {options.l} bytes, {options.n} vectors", flush=True)
        signal.sigwait(ends)
    return 0


if __name__ == "__main__":
    sys.exit(main())
