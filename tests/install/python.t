#!/usr/bin/env python3
"""tests/install/python.t - python/belfry.py: the examples, and the library's words as Python's"""
import ctypes
import errno
import gc
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
BUILD = os.path.abspath(os.environ.get("BELFRY_BUILD", "build/x86_64"))
os.environ["BELFRY_LIBRARY"] = f"{BUILD}/libbelfry.so.0"
os.environ["PYTHONPATH"] = f"{HERE}/python"
sys.dont_write_bytecode = True
sys.path.insert(0, f"{HERE}/python")

import belfry  # noqa: E402

LIMIT = 30
# What is started begins as at a shell, whatever this was told to ignore, as by nohup and &.
signal.signal(signal.SIGINT, signal.default_int_handler)


def guest(name):
    return f"{BUILD}/guests/{name}.elf"


def one_vm(name, cmdline=""):
    config = belfry.Config()
    config.set("vms.vm.kernel", guest(name))
    config.set("vms.vm.cmdline", cmdline)
    config.set("vms.vm.memory", "32M")
    return config


def descriptors():
    return len(os.listdir("/proc/self/fd"))


class Examples(unittest.TestCase):
    def run_example(self, name, *args):
        done = subprocess.run([sys.executable, "-B", f"{HERE}/examples/{name}", *args],
                              capture_output=True, text=True, timeout=2 * LIMIT, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_the_smallest_vm_runs(self):
        out = self.run_example("smallest.py", guest("hello"), "hi")
        self.assertIn("command line: hi\n", out)
        self.assertIn("<Stop.DEBUG_EXIT: 4>", out)

    def test_a_pair_starts_and_rings(self):
        out = self.run_example("pair.py", guest("pingpong"),
                               "role=a rounds=100 poll_rounds=100 warmup=10", "role=b")
        self.assertIn("b| answered 222 doorbells\n", out)

    def test_the_host_talks_to_its_guest(self):
        self.assertEqual(self.run_example("host_peer.py", guest("echo")),
                         "answer 1\nanswer 2\nanswer 3\n")

    def test_without_arguments_they_say_what_they_take(self):
        for name in ("smallest.py", "pair.py", "host_peer.py"):
            done = subprocess.run([sys.executable, "-B", f"{HERE}/examples/{name}"],
                                  capture_output=True, text=True, timeout=LIMIT, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, rf"\Ausage: {name} KERNEL.*\n\Z")


class Configurations(unittest.TestCase):
    def test_values_are_given_and_read_back(self):
        config = belfry.Config("vms: { a: { kernel: x }, b: { kernel: y } }")
        config.set("vms.a.memory", "64M")
        config.set("vms.a.prefault", True)
        self.assertEqual(config.get("vms.a.memory"), "64M")
        self.assertEqual(config.get("vms.a.prefault"), "true")
        self.assertTrue(config.has("vms.b.kernel"))
        self.assertFalse(config.has("vms.b.initrd"))
        self.assertEqual(config.vms, ["a", "b"])
        config.remove("vms.a")
        self.assertEqual(config.vms, ["b"])
        self.assertIn('  b:\n    kernel: "y"\n', config.text())

    def test_an_error_has_errno_and_message(self):
        with self.assertRaises(belfry.Error) as caught:
            belfry.Config().set("vms.a.memroy", 1)
        self.assertEqual(caught.exception.errno, 22)
        self.assertIn("did you mean 'memory'?", str(caught.exception))

    def test_a_name_in_a_message_may_be_any_bytes(self):
        with self.assertRaisesRegex(belfry.Error, "No such file"):
            belfry.Config(file=b"/nowhere/\xff\xfe")

    def test_every_mistake_is_shown(self):
        config = belfry.Config("vms: { a: { memory: 32M }, b: { cpus: 1 } }")
        mistakes = config.mistakes()
        self.assertEqual(len(mistakes), 2)
        self.assertTrue(all("kernel is missing" in mistake for mistake in mistakes))
        with self.assertRaises(belfry.Error):
            config.validate()

    def test_what_is_closed_cannot_be_used(self):
        with belfry.Config() as config:
            pass
        config.close()
        with self.assertRaisesRegex(ValueError, "this Config is closed"):
            config.text()


class Life(unittest.TestCase):
    def test_callbacks_get_console_and_events(self):
        console, events = bytearray(), []
        with belfry.VM(one_vm("hello", "greetings=yes"), "vm", on_console=console.extend,
                       on_event=events.append) as vm:
            self.assertEqual(vm.state, belfry.State.CREATED)
            vm.start()
            result = vm.wait(LIMIT)
        self.assertEqual((result.reason, result.status), (belfry.Stop.DEBUG_EXIT, 0))
        self.assertIn(b"greetings=yes", console)
        self.assertEqual([event.type for event in events],
                         [belfry.EventType.STARTED, belfry.EventType.STOPPED])
        self.assertEqual(events[1].result.reason, belfry.Stop.DEBUG_EXIT)

    def test_a_callback_cannot_close_its_vm(self):
        refused = []

        def close(*_):
            try:
                vm.close()
            except belfry.Error as error:
                refused.append(error.errno)
        for kind in ("on_event", "on_console"):
            vm = belfry.VM(one_vm("hello"), "vm", **{kind: close})
            vm.start()
            vm.wait(LIMIT)
            vm.close()
            self.assertEqual(set(refused), {errno.EDEADLK})
            refused.clear()

    def test_each_vm_keeps_the_log_it_was_made_with(self):
        logs = [], []
        config = one_vm("idle")
        config.set_log(lambda level, line: logs[0].append(line))
        with belfry.VM(config, "vm") as vm:
            vm.start()
            config.set_log(lambda level, line: logs[1].append(line))
            gc.collect()
            spare = [belfry._LogFn(lambda *_: os._exit(9)) for _ in range(64)]
            vm.stop()
            vm.wait(LIMIT)
        self.assertIn("stopped", logs[0][-1])
        self.assertEqual((logs[1], len(spare)), ([], 64))

    def test_a_callback_may_drop_the_last_reference(self):
        config, before = one_vm("idle"), descriptors()

        def run(kind):
            held, last, dropped = [], threading.Event(), threading.Event()

            def drop(*told):
                if "stopped" in str(told).lower():
                    last.wait(LIMIT)
                    held.clear()
                    gc.collect()
                    dropped.set()
            if kind == "log":
                config.set_log(drop)
                held.append(belfry.VM(config, "vm"))
            else:
                held.append(belfry.VM(config, "vm", on_event=drop))
            held[0].start()
            held[0].stop()
            last.set()
            self.assertTrue(dropped.wait(LIMIT))
            config.set_log(print, belfry.LogLevel.ERROR)

        for kind in ("event", "log"):
            run(kind)
            deadline = time.monotonic() + LIMIT
            while descriptors() > before and time.monotonic() < deadline:
                time.sleep(0.01)
            self.assertEqual(descriptors(), before)

    def test_a_wait_has_a_limit(self):
        with belfry.VM(one_vm("idle"), "vm") as vm:
            vm.start()
            with self.assertRaises(TimeoutError):
                vm.wait(0.3)
            vm.pause()
            self.assertEqual(vm.state, belfry.State.PAUSED)
            vm.resume()
            vm.reset()
            self.assertGreater(vm.stats().exits, 0)
            vm.stop()
            self.assertEqual(vm.wait(LIMIT).reason, belfry.Stop.REQUESTED)

    def test_ctrl_c_ends_a_wait(self):
        code = ("import belfry, sys\n"
                f"config = belfry.Config('vms: {{ vm: {{ kernel: {guest('idle')} }} }}')\n"
                "vm = belfry.VM(config, 'vm'); vm.start()\n"
                "try:\n    print('waiting', flush=True); vm.wait()\n"
                "except KeyboardInterrupt:\n    vm.close(); print('interrupted')\n")
        with subprocess.Popen([sys.executable, "-B", "-c", code], stdout=subprocess.PIPE,
                              text=True) as child:
            self.assertEqual(child.stdout.readline(), "waiting\n")
            try:
                child.send_signal(2)
                self.assertEqual(child.communicate(timeout=LIMIT)[0], "interrupted\n")
            finally:
                child.kill()
            self.assertEqual(child.returncode, 0)

    def test_the_power_button_and_console_input_arrive(self):
        listening, console = threading.Event(), bytearray()

        def on_console(data):
            console.extend(data)
            if b"listening\n" in console:
                listening.set()

        with belfry.VM(one_vm("button"), "vm", on_console=on_console) as vm:
            vm.start()
            self.assertTrue(listening.wait(LIMIT))
            self.assertEqual(vm.console_input(b""), 0)
            self.assertTrue(vm.power_button())
            self.assertEqual(vm.wait(LIMIT).reason, belfry.Stop.POWEROFF)

    def test_the_caller_may_own_the_loop(self):
        events = []
        with belfry.VM(one_vm("hello"), "vm", on_event=events.append, own_loop=True) as vm:
            poll = select.poll()
            poll.register(vm, select.POLLIN)
            vm.start()
            while not events or events[-1].type != belfry.EventType.STOPPED:
                self.assertTrue(poll.poll(LIMIT * 1000))
                vm.process()
        self.assertEqual(events[-1].result.status, 0)

    def test_nothing_is_left_behind(self):
        before = descriptors()
        config = one_vm("idle")
        for _ in range(5):
            vm = belfry.VM(config, "vm", on_event=print)
            del vm
        config.close()
        self.assertEqual(descriptors(), before)

    def test_a_missing_kernel_is_named(self):
        config = one_vm("hello")
        config.set("vms.vm.kernel", "/nowhere/vmlinux")
        with self.assertRaisesRegex(belfry.Error, "/nowhere/vmlinux: No such file"):
            belfry.VM(config, "vm")


class Linked(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = f"{self.folder.name}/ring.sock"
        config = belfry.Config(f"servers: {{ ring: {{ path: {self.path}, size: 1M, vectors: 2 }} }}")
        self.server = belfry.Server(config, "ring")
        self.server.start()

    def tearDown(self):
        self.server.close()
        self.folder.cleanup()

    def test_peers_ring_each_other_and_share_memory(self):
        joined = []
        with belfry.Peer(self.path, vectors=2, joined=joined.append) as a, \
                belfry.Peer(self.path, vectors=2) as b:
            self.assertEqual(a.id, 0)
            with self.assertRaises(TimeoutError):
                a.wait(timeout=0.1)
            self.assertEqual(joined, [b.id])
            self.assertEqual((a.peers, b.peers), ([1], [0]))
            b.ring(0, 1)
            b.ring(0, 1)
            ring = a.wait(timeout=LIMIT)
            self.assertEqual((ring.vector, ring.count), (1, 2))
            self.assertEqual(b.ring_all(), 2)
            a.map()[7] = 42
            self.assertEqual(b.map(read_only=True)[7], 42)
            a.write(6, b"\0h\xff")
            self.assertEqual(b.read(5, 5), b"\0\0h\xff\0")
            with self.assertRaises(belfry.Error) as caught:
                b.read((1 << 20) - 1, 2)
            self.assertEqual(caught.exception.errno, errno.ERANGE)
            with self.assertRaises(belfry.Error) as caught:
                a.write(1 << 20, b"x")
            self.assertEqual(caught.exception.errno, errno.ERANGE)
            self.assertEqual(b.info().rings, 4)
            self.assertEqual(a.info().state, belfry.PeerState.JOINED)
            with self.assertRaises(belfry.Error):
                a.ring(5)
        self.assertIn("peers", self.server.status())
        self.assertEqual(self.server.stats().joined, 2)

    def test_a_guest_and_its_host_are_peers(self):
        with belfry.Peer(self.path, vectors=1) as peer:
            config = one_vm("echo", "rounds=2")
            config.set("vms.vm.devices.0.ivshmem.socket", self.path)
            words = memoryview(peer.map()).cast("I")
            words[1] = peer.id
            with belfry.VM(config, "vm") as vm:
                vm.start()
                deadline = time.monotonic() + LIMIT
                while words[0] == 0 and time.monotonic() < deadline:
                    time.sleep(0.001)
                peer.process()  # hears that the guest has joined
                self.assertEqual({each.id for each in vm.peers()}, {peer.id, words[0] - 1})
                for i in (1, 2):
                    peer.ring(words[0] - 1)
                    peer.wait(timeout=LIMIT)
                    self.assertEqual(words[2], i)
                self.assertEqual(vm.wait(LIMIT).status, 0)
                self.assertEqual(vm.ivshmem_stats().id, words[0] - 1)

    def test_a_server_that_goes_is_told(self):
        lost = []
        with belfry.Peer(self.path, vectors=1, reconnect=False, server_lost=lost.append) as peer:
            self.server.close()
            self.assertTrue(select.select([peer], [], [], LIMIT)[0])
            peer.process()
        self.assertEqual(len(lost), 1)

    def test_words_that_are_no_callback_are_refused(self):
        with self.assertRaisesRegex(TypeError, "no callback 'jioned'"):
            belfry.Peer(self.path, jioned=print)


class Binding(unittest.TestCase):
    def test_structs_are_those_of_the_headers(self):
        structs = {"belfry_error": belfry._Error, "belfry_result": belfry._Result,
                   "belfry_event": belfry._Event, "belfry_stats": belfry._Stats,
                   "belfry_ivshmem_stats": belfry._IvshmemStats,
                   "belfry_peer_stats": belfry._PeerStats, "belfry_ring": belfry._Ring,
                   "belfry_peer_info": belfry._PeerInfo, "belfry_peer_events": belfry._PeerEvents,
                   "belfry_peer_options": belfry._PeerOptions,
                   "belfry_server_stats": belfry._ServerStats}
        lines = ["#include <belfry-peer.h>", "#include <belfry-server.h>"]
        for name, kind in structs.items():
            lines.append(f'_Static_assert(sizeof(struct {name}) == {ctypes.sizeof(kind)}, "{name}");')
            for field, _ in kind._fields_:
                at, size = getattr(kind, field).offset, getattr(kind, field).size
                lines.append(f"_Static_assert(__builtin_offsetof(struct {name}, {field}) == {at} && "
                             f'sizeof(((struct {name} *)0)->{field}) == {size}, "{name}.{field}");')
        for enum, prefix in ((belfry.Stop, "STOP"), (belfry.State, "STATE"),
                             (belfry.EventType, "EVENT"), (belfry.LogLevel, "LOG"),
                             (belfry.PeerState, "PEER")):
            for each in enum:
                lines.append(f'_Static_assert(BELFRY_{prefix}_{each.name} == {each.value}, "{each}");')
        done = subprocess.run(["cc", f"-I{HERE}/include", "-fsyntax-only", "-x", "c", "-"],
                              input="\n".join(lines), text=True, capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_calls_take_as_many_arguments_as_in_the_headers(self):
        text = "".join(open(f"{HERE}/include/{name}", encoding="utf-8").read()
                       for name in ("belfry.h", "belfry-peer.h", "belfry-server.h"))
        for name, (_, *takes) in belfry._CALLS.items():
            found = re.search(rf"^BELFRY_API [^(;]*\bbelfry_{name}\(([^;]*)\);", text, re.M)
            self.assertIsNotNone(found, name)
            arguments = found.group(1)
            self.assertEqual(len(takes), 0 if arguments == "void" else arguments.count(",") + 1, name)

    def test_the_version_is_the_library_s(self):
        self.assertRegex(belfry.version(), r"^\d+\.\d+\.\d+$")


class Tap(unittest.TestResult):
    def say(self, verdict, test, details=""):
        print(f"{verdict} {self.testsRun} - {test.id().removeprefix('__main__.')}", flush=True)
        for line in details.splitlines():
            print(f"# {line}")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.say("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say("not ok", test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.say("not ok", test, self.errors[-1][1])


suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
print(f"1..{suite.countTestCases()}", flush=True)
sys.exit(not suite.run(Tap()).wasSuccessful())
