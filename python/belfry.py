# SPDX-License-Identifier: MIT
"""belfry.py - libbelfry for Python: virtual machines that share memory and doorbells

One file, without dependencies: copy it into a program, or put it on $PYTHONPATH. It loads
libbelfry.so.0, or what $BELFRY_LIBRARY names.

    import os
    import belfry

    with belfry.Config() as config:
        config.set("vms.vm.kernel", "vmlinux")
        with belfry.VM(config, "vm", on_console=lambda data: os.write(1, data)) as vm:
            vm.start()
            print(vm.wait(timeout=10))

Classes are the handles of the C interface, and methods its calls: belfry.h, belfry-peer.h,
belfry-server.h and their manual pages, libbelfry(3), say what they do. What is different:

- Left out are belfry_config_schema() and what moves a server to another process:
  belfry_server_handover(), _resume(), _key(), _peers() and _set_store().
- A call that fails raises belfry.Error, an OSError with the library's message; one that
  runs out of time raises TimeoutError.
- Times are seconds, and None is no limit. Ctrl-C ends a wait.
- close(), the end of `with`, or the garbage collector destroys a handle. What has been
  closed raises ValueError. A handle's own callback cannot close it (EDEADLK);
  if the last reference goes in a callback, another thread closes it.
- Callbacks come on threads of the library, one at a time for each handle; exceptions they
  raise are printed and go no further.
"""
import ctypes
import enum
import errno
import json
import mmap
import os
import threading
import time
import types

__all__ = ["ALL", "Config", "Error", "EventType", "Links", "LogLevel", "Peer", "PeerState", "Server",
           "State", "Stop", "VM", "version"]

ALL = 0xffffffff  # every peer, every vector, or any
_FOREVER = 0xffffffffffffffff
_SLICE_NS = 200_000_000  # how often a wait looks for Ctrl-C


class LogLevel(enum.IntEnum):
    ERROR = 0
    WARNING = 1
    INFO = 2
    DEBUG = 3


class Stop(enum.IntEnum):
    """Why a VM stopped."""
    POWEROFF = 1
    RESET = 2
    CRASH = 3
    DEBUG_EXIT = 4
    REQUESTED = 5
    HOST_ERROR = 6


class State(enum.IntEnum):
    CREATED = 1
    RUNNING = 2
    PAUSED = 3
    STOPPED = 4


class EventType(enum.IntEnum):
    STARTED = 1
    STOPPED = 2
    RESET = 3
    PANICKED = 4
    PEER_JOINED = 5
    PEER_LEFT = 6
    SERVER_LOST = 7
    SERVER_BACK = 8
    SERVER_CHANGED = 9


class PeerState(enum.IntEnum):
    JOINED = 1
    LOST = 2
    CHANGED = 3


class Error(OSError):
    """A call failed: errno and the library's message."""


# --- structs, as in the headers ---

_u32, _u64 = ctypes.c_uint32, ctypes.c_uint64


def _words(text):
    """What the library says, for people: names of files need not be UTF-8."""
    return text.decode(errors="replace")


class _Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("msg", ctypes.c_char * 252)]


class _Sized(ctypes.Structure):
    """A struct that begins with its size."""

    def __init__(self, **fields):
        super().__init__(size=ctypes.sizeof(self), **fields)

    def plain(self):
        names = (name for name, _ in self._fields_ if name not in ("size", "reserved"))
        return types.SimpleNamespace(**{name: getattr(self, name) for name in names})


class _Result(_Sized):
    _fields_ = [("size", ctypes.c_size_t), ("reason", ctypes.c_int), ("status", ctypes.c_uint),
                ("detail", ctypes.c_char * 120)]

    def plain(self):
        return types.SimpleNamespace(reason=Stop(self.reason), status=self.status,
                                     detail=_words(self.detail))


class _Event(_Sized):
    _fields_ = [("size", ctypes.c_size_t), ("type", ctypes.c_int), ("device", _u32), ("peer", _u32),
                ("result", ctypes.POINTER(_Result)), ("why", ctypes.POINTER(_Error))]

    def plain(self):
        return types.SimpleNamespace(
            type=EventType(self.type), device=self.device, peer=self.peer,
            result=self.result.contents.plain() if self.result else None,
            why=_words(self.why.contents.msg) if self.why else None)


class _Stats(_Sized):
    _fields_ = [("size", ctypes.c_size_t), ("exits", _u64), ("doorbell_exits", _u64),
                ("resets", _u64), ("panics", _u64)]


class _IvshmemStats(_Sized):
    _fields_ = [("size", ctypes.c_size_t), ("slow_rings", _u64), ("ignored_rings", _u64),
                ("promotions", _u64), ("refusals", _u64), ("waiting_events", _u64),
                ("servers_lost", _u64), ("reconnects", _u64), ("peers", _u32), ("id", _u32),
                ("tries", _u64), ("bad_messages", _u64), ("unheld", _u32), ("reserved", _u32)]


class _PeerStats(_Sized):
    _fields_ = [("size", ctypes.c_size_t), ("id", _u32), ("vectors", _u32), ("slow_rings", _u64)]


class _Ring(_Sized):
    _fields_ = [("size", ctypes.c_size_t), ("vector", _u32), ("count", _u64)]


class _PeerInfo(_Sized):
    _fields_ = [("size", ctypes.c_size_t), ("state", ctypes.c_int), ("id", _u32), ("vectors", _u32),
                ("peers", _u32), ("unheld", _u32), ("memory_size", _u64), ("rings", _u64),
                ("heard", _u64), ("bad_messages", _u64), ("servers_lost", _u64), ("tries", _u64),
                ("reconnects", _u64)]


class _ServerStats(_Sized):
    _fields_ = [("size", ctypes.c_size_t), ("peers", _u64), ("vectors", _u64), ("queued", _u64),
                ("stalled", _u64), ("joined", _u64), ("left", _u64), ("dropped", _u64),
                ("refused", _u64), ("messages", _u64), ("stalls", _u64)]


_void, _int, _handle, _str = None, ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p

_LogFn = ctypes.CFUNCTYPE(_void, _handle, _int, _str)
_MistakeFn = ctypes.CFUNCTYPE(_void, _handle, ctypes.POINTER(_Error))
_EventFn = ctypes.CFUNCTYPE(_void, _handle, _handle, ctypes.POINTER(_Event))
_ConsoleFn = ctypes.CFUNCTYPE(_void, _handle, _handle, ctypes.c_void_p, ctypes.c_size_t)
_IdFn = ctypes.CFUNCTYPE(_void, _handle, _u32)
_VectorFn = ctypes.CFUNCTYPE(_void, _handle, _u32, _u32)
_RungFn = ctypes.CFUNCTYPE(_void, _handle, _u32, _u64)
_WhyFn = ctypes.CFUNCTYPE(_void, _handle, ctypes.POINTER(_Error))
_UserFn = ctypes.CFUNCTYPE(_void, _handle)


class _PeerEvents(_Sized):
    _fields_ = [("size", ctypes.c_size_t), ("joined", _IdFn), ("vector_added", _VectorFn),
                ("left", _IdFn), ("rung", _RungFn), ("server_lost", _WhyFn),
                ("server_back", _UserFn), ("server_changed", _WhyFn)]


class _PeerOptions(_Sized):
    _fields_ = [("size", ctypes.c_size_t), ("vectors", _u32), ("no_reconnect", _u32),
                ("timeout_ns", _u64), ("events", ctypes.POINTER(_PeerEvents)), ("user", _handle),
                ("log", _LogFn), ("log_user", _handle), ("log_max", _int), ("reserved", _u32)]


# --- calls ---

_out = ctypes.POINTER(_handle)
_err = ctypes.POINTER(_Error)


def _struct(kind):
    return ctypes.POINTER(kind)


# name: what it returns, what it takes. Those that end with _err raise Error.
_CALLS = {
    "version": (_str,),
    "config_create": (_int, _out, _err),
    "config_destroy": (_void, _handle),
    "config_load_file": (_int, _handle, _str, _err),
    "config_load_string": (_int, _handle, _str, _str, _err),
    "config_set": (_int, _handle, _str, _str, _err),
    "config_set_fd": (_int, _handle, _str, _int, _err),
    "config_has": (_int, _handle, _str),
    "config_get": (_int, _handle, _str, _out, _err),
    "config_remove": (_int, _handle, _str, _err),
    "config_validate": (_int, _handle, _err),
    "config_set_mistakes": (_void, _handle, _MistakeFn, _handle),
    "config_vm_name": (_str, _handle, ctypes.c_size_t),
    "config_server_name": (_str, _handle, ctypes.c_size_t),
    "config_text": (_int, _handle, _out, _err),
    "config_set_log": (_void, _handle, _LogFn, _handle, _int),
    "links_create": (_int, _handle, _out, _err),
    "links_join": (_int, _handle, _handle, _str, _err),
    "links_start": (_int, _handle, _err),
    "links_destroy": (_void, _handle),
    "vm_create": (_int, _handle, _str, _out, _err),
    "vm_set_events": (_int, _handle, _EventFn, _handle, _err),
    "vm_own_loop": (_int, _handle, _err),
    "vm_process": (_int, _handle, _err),
    "vm_set_console": (_int, _handle, _ConsoleFn, _handle, _err),
    "vm_console_input": (_int, _handle, _str, ctypes.c_size_t, _err),
    "vm_start": (_int, _handle, _err),
    "vm_wait": (_int, _handle, _u64, _struct(_Result)),
    "vm_fd": (_int, _handle),
    "vm_stop": (_void, _handle),
    "vm_power_button": (_int, _handle, _err),
    "vm_pause": (_int, _handle, _err),
    "vm_resume": (_int, _handle, _err),
    "vm_reset": (_int, _handle, _err),
    "vm_state": (_int, _handle),
    "vm_stats": (_int, _handle, _struct(_Stats)),
    "vm_ivshmem_stats": (_int, _handle, ctypes.c_uint, _struct(_IvshmemStats)),
    "vm_peers": (_int, _handle, ctypes.c_uint, _struct(_PeerStats), ctypes.c_uint),
    "vm_add_doorbell": (_int, _handle, ctypes.c_uint, _u32, _u32, _int, _err),
    "vm_remove_peer": (_int, _handle, ctypes.c_uint, _u32, _err),
    "vm_destroy": (_void, _handle),
    "peer_create": (_int, _out, _str, _struct(_PeerOptions), _err),
    "peer_create_fd": (_int, _out, _int, _struct(_PeerOptions), _err),
    "peer_destroy": (_void, _handle),
    "peer_id": (_int, _handle),
    "peer_next": (_int, _handle, _u32),
    "peer_vectors": (_int, _handle, _u32),
    "peer_get_info": (_int, _handle, _struct(_PeerInfo)),
    "peer_ring": (_int, _handle, _u32, _u32, _err),
    "peer_ring_all": (_int, _handle, _u32, _u32, _err),
    "peer_wait": (_int, _handle, _u32, _u64, _struct(_Ring), _err),
    "peer_eventfd": (_int, _handle, _u32, _u32),
    "peer_fd": (_int, _handle),
    "peer_process": (_int, _handle, _err),
    "peer_memory_fd": (_int, _handle),
    "peer_read": (_int, _handle, _u64, ctypes.c_void_p, ctypes.c_size_t, _err),
    "peer_write": (_int, _handle, _u64, ctypes.c_void_p, ctypes.c_size_t, _err),
    "server_create": (_int, _handle, _str, _out, _err),
    "server_destroy": (_void, _handle),
    "server_fd": (_int, _handle),
    "server_process": (_int, _handle, _err),
    "server_start": (_int, _handle, _err),
    "server_add": (_int, _handle, _int, _err),
    "server_drop": (_int, _handle, _u32, _str, _err),
    "server_memory": (_int, _handle),
    "server_stats": (_int, _handle, _struct(_ServerStats)),
    "server_status": (_int, _handle, _int, _out, _err),
    "server_capacity": (ctypes.c_uint, _handle),
    "server_reload": (_int, _handle, _handle, _str, _err),
}


def _bind(library, name, returns, *takes):
    function = getattr(library, "belfry_" + name)
    function.restype, function.argtypes = returns, takes
    if not takes or takes[-1] is not _err:
        return function

    def call(*args):
        error = _Error()
        result = function(*args, error)
        if result < 0:
            _fail(result, _words(error.msg) or os.strerror(-result))
        return result
    return call


def _fail(result, message=None):
    kind = TimeoutError if result == -errno.ETIMEDOUT else Error
    raise kind(-result, message or os.strerror(-result))


def _check(result):
    return result if result >= 0 else _fail(result)


_library = ctypes.CDLL(os.environ.get("BELFRY_LIBRARY", "libbelfry.so.0"))
_lib = types.SimpleNamespace(**{name: _bind(_library, name, *types_)
                                for name, types_ in _CALLS.items()})
_free = ctypes.CDLL(None).free
_free.argtypes, _free.restype = [ctypes.c_void_p], None


def version():
    return _words(_lib.version())


def _take_text(pointer):
    """A string that the library has allocated for us."""
    try:
        return _words(ctypes.string_at(pointer.value))
    finally:
        _free(pointer)


def _wait(timeout, look):
    """Call look(nanoseconds) until it does not time out, at most @timeout seconds in all."""
    deadline = None if timeout is None else time.monotonic_ns() + int(timeout * 1e9)
    while True:
        left = _SLICE_NS if deadline is None else max(0, deadline - time.monotonic_ns())
        try:
            return look(min(left, _SLICE_NS))
        except TimeoutError:
            if left <= _SLICE_NS and deadline is not None:
                raise


_thread = threading.local()


def _callers():
    """Of which handles this thread is in a callback, by id()."""
    return getattr(_thread, "callers", ())


class _Handle:
    """What the library has made, until close()."""
    _destroy = None

    def __init__(self, create, *args):
        self._pointer = _handle()
        create(*args, self._pointer)

    @property
    def _h(self):
        if not getattr(self, "_pointer", None):
            raise ValueError(f"this {type(self).__name__} is closed")
        return self._pointer

    def _calls(self, function):
        """@function, of which close() knows while it runs."""
        handle = id(self)

        def call(*args):
            callers = _callers()
            _thread.callers = (*callers, handle)
            try:
                function(*args)
            finally:
                _thread.callers = callers
        return call

    def close(self):
        if id(self) in _callers():
            _fail(-errno.EDEADLK, f"a {type(self).__name__} cannot be closed by its callback")
        pointer, self._pointer = getattr(self, "_pointer", None), None
        if pointer:
            self._destroy(pointer)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __del__(self):
        if _callers():  # it may be its own: let another thread wait for that to return
            threading.Thread(target=self.close).start()
        else:
            self.close()


class Config(_Handle):
    """Links, servers and VMs, by the keys of belfry.yaml(5)."""
    _destroy = staticmethod(_lib.config_destroy)

    def __init__(self, text=None, file=None):
        self._logs = []
        super().__init__(_lib.config_create)
        if text is not None:
            self.load_string(text)
        if file is not None:
            self.load_file(file)

    def load_file(self, path):
        _lib.config_load_file(self._h, os.fsencode(path))

    def load_string(self, text, name="text"):
        _lib.config_load_string(self._h, name.encode(), text.encode())

    def set(self, path, value):
        text = str(value).lower() if isinstance(value, bool) else os.fspath(value) \
            if isinstance(value, os.PathLike) else str(value)
        _lib.config_set(self._h, path.encode(), os.fsencode(text))

    def set_fd(self, path, fd):
        """@fd: a descriptor, or a file or socket; duplicated."""
        _lib.config_set_fd(self._h, path.encode(), _fileno(fd))

    def has(self, path):
        return bool(_check(_lib.config_has(self._h, path.encode())))

    def get(self, path):
        out = _handle()
        _lib.config_get(self._h, path.encode(), out)
        return _take_text(out)

    def remove(self, path):
        _lib.config_remove(self._h, path.encode())

    def mistakes(self):
        """Everything that belfry_config_validate() finds, a line each."""
        found = []
        collect = _MistakeFn(lambda user, error: found.append(_words(error.contents.msg)))
        _lib.config_set_mistakes(self._h, collect, None)
        try:
            _lib.config_validate(self._h)
        except Error:
            pass
        finally:
            _lib.config_set_mistakes(self._h, _MistakeFn(), None)
        return found

    def validate(self):
        _lib.config_validate(self._h)

    def text(self):
        out = _handle()
        _lib.config_text(self._h, out)
        return _take_text(out)

    def _names(self, call):
        names = []
        while (name := call(self._h, len(names))) is not None:
            names.append(_words(name))
        return names

    @property
    def vms(self):
        return self._names(_lib.config_vm_name)

    @property
    def servers(self):
        return self._names(_lib.config_server_name)

    def set_log(self, function, level=LogLevel.INFO):
        """function(level, line), for what is made from this from now on."""
        log = _LogFn(self._calls(
            lambda user, level, line: function(LogLevel(level), _words(line))))
        self._logs.append(log)  # what has been made by now goes on calling the one before
        _lib.config_set_log(self._h, log, None, level)


class Links(_Handle):
    """The links of a configuration, hosted by this process: join() each VM, then start()."""
    _destroy = staticmethod(_lib.links_destroy)

    def __init__(self, config):
        self._config = config  # its log callback is ours
        super().__init__(_lib.links_create, config._h)

    def join(self, vm):
        _lib.links_join(self._h, self._config._h, vm.encode())

    def start(self):
        _lib.links_start(self._h)


class VM(_Handle):
    """A virtual machine. on_event(event) and on_console(bytes) are callbacks."""
    _destroy = staticmethod(_lib.vm_destroy)

    def __init__(self, config, name, on_event=None, on_console=None, own_loop=False):
        self._config = config
        super().__init__(_lib.vm_create, config._h, name.encode())
        if own_loop:
            _lib.vm_own_loop(self._h)
        if on_event:
            self._on_event = _EventFn(self._calls(
                lambda user, vm, event: on_event(event.contents.plain())))
            _lib.vm_set_events(self._h, self._on_event, None)
        if on_console:
            self._on_console = _ConsoleFn(self._calls(
                lambda user, vm, data, size: on_console(ctypes.string_at(data, size))))
            _lib.vm_set_console(self._h, self._on_console, None)

    def start(self):
        _lib.vm_start(self._h)

    def wait(self, timeout=None):
        """Until it has stopped. Return: reason, status and detail."""
        result = _Result()
        _wait(timeout, lambda ns: _check(_lib.vm_wait(self._h, ns, result)))
        return result.plain()

    def fileno(self):
        return _lib.vm_fd(self._h)

    def process(self):
        _lib.vm_process(self._h)

    def console_input(self, data):
        """Return: how many bytes were taken."""
        return _lib.vm_console_input(self._h, bytes(data), len(data))

    def stop(self):
        _lib.vm_stop(self._h)

    def power_button(self):
        """Return: whether the guest listens."""
        return _lib.vm_power_button(self._h) == 0

    def pause(self):
        _lib.vm_pause(self._h)

    def resume(self):
        _lib.vm_resume(self._h)

    def reset(self):
        _lib.vm_reset(self._h)

    @property
    def state(self):
        return State(_check(_lib.vm_state(self._h)))

    def stats(self):
        stats = _Stats()
        _check(_lib.vm_stats(self._h, stats))
        return stats.plain()

    def ivshmem_stats(self, device=0):
        stats = _IvshmemStats()
        _check(_lib.vm_ivshmem_stats(self._h, device, stats))
        return stats.plain()

    def peers(self, device=0):
        """Who is on the link of a device, this VM included."""
        room = _check(_lib.vm_peers(self._h, device, None, 0)) + 8
        peers = (_PeerStats * room)()
        peers[0].size = ctypes.sizeof(_PeerStats)
        count = _check(_lib.vm_peers(self._h, device, peers, room))
        return [peer.plain() for peer in peers[:min(count, room)]]

    def add_doorbell(self, peer, vector, eventfd, device=0):
        _lib.vm_add_doorbell(self._h, device, peer, vector, _fileno(eventfd))

    def remove_peer(self, peer, device=0):
        _lib.vm_remove_peer(self._h, device, peer)


def _fileno(file):
    return file if isinstance(file, int) else file.fileno()


class Peer(_Handle):
    """This process, on the link of the server at a path, or behind a connected socket.

    Callbacks by name, as in struct belfry_peer_events: joined(id), vector_added(id, vector),
    left(id), rung(vector, count), server_lost(why), server_back(), server_changed(why).

    What the server says is read by process() and wait() alone: until then `peers` are those
    of the start. To look at who is there now:

        peer.process()
        print(peer.peers)
    """
    _destroy = staticmethod(_lib.peer_destroy)

    def __init__(self, path=None, sock=None, vectors=0, reconnect=True, timeout=0, **callbacks):
        self._events = _PeerEvents()
        kinds = dict(_PeerEvents._fields_[1:])
        for name, function in callbacks.items():
            if name not in kinds:
                raise TypeError(f"Peer has no callback '{name}'; there are {', '.join(kinds)}")
            setattr(self._events, name, kinds[name](self._calls(_without_user(function))))
        options = _PeerOptions(vectors=vectors, no_reconnect=not reconnect,
                               timeout_ns=int(timeout * 1e9),
                               events=ctypes.pointer(self._events))
        if (path is None) == (sock is None):
            raise TypeError("Peer needs a path or a sock")
        self._pointer = _handle()
        if path is not None:
            _lib.peer_create(self._pointer, os.fsencode(path), options)
        else:
            _lib.peer_create_fd(self._pointer, os.dup(_fileno(sock)), options)

    @property
    def id(self):
        return _check(_lib.peer_id(self._h))

    @property
    def peers(self):
        """The IDs of the others."""
        ids, next_ = [], 0
        while (id_ := _lib.peer_next(self._h, next_)) >= 0:
            ids.append(id_)
            next_ = id_ + 1
        return ids

    def vectors(self, peer):
        return _check(_lib.peer_vectors(self._h, peer))

    def info(self):
        info = _PeerInfo()
        _check(_lib.peer_get_info(self._h, info))
        plain = info.plain()
        plain.state = PeerState(plain.state)
        return plain

    def ring(self, peer, vector=0):
        _lib.peer_ring(self._h, peer, vector)

    def ring_all(self, peer=ALL, vector=ALL):
        """Return: how many were rung."""
        return _lib.peer_ring_all(self._h, peer, vector)

    def wait(self, vector=ALL, timeout=None):
        """Until a vector of ours is rung. Return: vector and count."""
        ring = _Ring()
        _wait(timeout, lambda ns: _lib.peer_wait(self._h, vector, ns, ring))
        return ring.plain()

    def eventfd(self, peer, vector=0):
        return _check(_lib.peer_eventfd(self._h, peer, vector))

    def fileno(self):
        return _lib.peer_fd(self._h)

    def process(self):
        _lib.peer_process(self._h)

    def read(self, offset, size):
        """Copy out of the shared memory. Return: bytes."""
        buffer = ctypes.create_string_buffer(size)
        _lib.peer_read(self._h, offset, buffer, size)
        return buffer.raw

    def write(self, offset, data):
        """Copy into the shared memory."""
        data = bytes(data)
        _lib.peer_write(self._h, offset, data, len(data))

    def map(self, read_only=False):
        """The shared memory. Return: an mmap.mmap, which outlives the peer."""
        fd = _check(_lib.peer_memory_fd(self._h))
        return mmap.mmap(fd, os.fstat(fd).st_size, mmap.MAP_SHARED,
                         mmap.PROT_READ if read_only else mmap.PROT_READ | mmap.PROT_WRITE)


def _without_user(function):
    def call(user, *args):
        function(*(_words(arg.contents.msg) if isinstance(arg, ctypes.POINTER(_Error)) else arg
                   for arg in args))
    return call


class Server(_Handle):
    """An ivshmem server inside this process: start() it, or process() when it is readable."""
    _destroy = staticmethod(_lib.server_destroy)

    def __init__(self, config, name):
        self._config = config
        super().__init__(_lib.server_create, config._h, name.encode())

    def start(self):
        _lib.server_start(self._h)

    def fileno(self):
        return _lib.server_fd(self._h)

    def process(self):
        _lib.server_process(self._h)

    def add(self, sock):
        """Let in who is at the other end of @sock, which is duplicated. Return: its ID."""
        return _lib.server_add(self._h, os.dup(_fileno(sock)))

    def drop(self, peer, why):
        _lib.server_drop(self._h, peer, why.encode())

    def memory(self):
        """The shared memory's descriptor, which is the server's."""
        return _check(_lib.server_memory(self._h))

    def stats(self):
        stats = _ServerStats()
        _check(_lib.server_stats(self._h, stats))
        return stats.plain()

    def status(self):
        """Counters and clients, as belfry serve --status prints them."""
        out = _handle()
        _lib.server_status(self._h, 0, out)
        return json.loads(_take_text(out))

    def capacity(self):
        return _lib.server_capacity(self._h)

    def reload(self, config, name):
        _lib.server_reload(self._h, config._h, name.encode())
