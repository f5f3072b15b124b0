"""The peers that the bench compares: how each is started, told of the other, and measured.

A measured process gives wall seconds, CPU seconds and peak resident memory. All run on loopback in a network namespace
of their own, in memory-backed folders; every client's trackers, bootstrap, UPnP and local discovery are off."""
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "e2e"), os.path.join(HERE, "..", "interop")]
from client import Options  # noqa: E402
from clients import Transmission  # noqa: E402
from harness import GIB, KIB, LOOPBACK, MIB, check, cpu_times, main, run, write_random  # noqa: E402, F401
from libtorrent_driver import Libtorrent  # noqa: E402

PATIENCE = 120  # seconds

# The best of what was tried with libtorrent: more in flight, larger buffers, as many hashing threads as cores.
LIBTORRENT = {
    "aio_threads": 2, "hashing_threads": 2, "max_queued_disk_bytes": 64 * MIB, "send_buffer_watermark": 4 * MIB,
    "send_buffer_low_watermark": MIB, "send_buffer_watermark_factor": 150, "max_out_request_queue": 2000,
    "max_allowed_in_request_queue": 4000, "request_queue_time": 10, "recv_socket_buffer_size": 4 * MIB,
    "send_socket_buffer_size": 4 * MIB, "unchoke_slots_limit": 100,
}


@dataclass
class Sample:
    """One run. Times in seconds, memory in bytes; None where it was not measured."""

    seconds: float
    cpu: float | None = None  # of the process that hashed, or that fetched
    cpu_seed: float | None = None
    memory: int | None = None
    memory_seed: int | None = None


def cpu_of(pid):
    return sum(cpu_times(pid))


def peak_of(process):
    return process.memory("VmHWM")


def command(*arguments):
    """Runs a program to its end; exit 0 or it fails. Its peak memory is not told: what wait4 says of a child begins
    with what this process itself had."""
    begun = time.monotonic()
    child = subprocess.Popen([os.fspath(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    took = time.monotonic() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    check(child.returncode == 0, f"{arguments[0]} gave exit {child.returncode}: {output[-500:]!r}")
    return Sample(took, usage.ru_utime + usage.ru_stime)


def limit(program, *arguments):
    """What tests/bench/limits.cpp prints."""
    return json.loads(run(program, *arguments))


class Bench:
    """What all cases share: the world, the programs, fresh folders in memory."""

    def __init__(self, world, programs):
        self.world, self.programs = world, os.path.abspath(programs)
        self.limits, self.libtorrent_create = self.program("limits"), self.program("libtorrent_create")
        self.count = 0

    def program(self, name):
        """One of those that tests/bench builds."""
        return os.path.join(self.programs, name)

    def fresh(self, name):
        self.count += 1
        return self.world.folder("mem", f"{name}-{self.count}")

    def unique(self, name):
        self.count += 1
        return f"{name}-{self.count}"

    def torrent(self, path, form):
        """A .torrent of the path, made once."""
        out = self.world.path(f"{os.path.basename(path)}.{form}.torrent")
        if not os.path.exists(out):
            command(self.libtorrent_create, form, path, out)
        return out

    def warm(self, size):
        """Takes so much memory and gives it back. A virtual machine's host takes free pages away, and to touch them
        again costs seconds a GiB, which would count for whoever comes first."""
        run(self.limits, "warm", str(size))

    # ---- transfers: each gives a Sample; the getter is started, or told of the torrent, when the clock starts

    def shoal_seed(self, path, *arguments, torrent=None):
        """A sharer that serves the path; of a torrent, what it describes is verified first. Gives the process and
        what to give to a getter."""
        state = self.fresh("state")
        if torrent:
            command(self.world.program, "verify", torrent, os.path.dirname(path), "--state", state, "--quiet")
            seed = self.shoal("seed", "get", torrent, "-o", os.path.dirname(path), "--seed", "forever", "--state", state,
                              *arguments)
            seed.event("complete", within=PATIENCE)
            return seed, torrent
        seed = self.shoal("seed", "share", path, "--state", state, *arguments)
        return seed, seed.event("link", within=PATIENCE)["link"]

    def shoal(self, name, *arguments):
        return self.world.start(self.unique("shoal-" + name), *arguments, *LOOPBACK, "--json")

    def shoal_to_shoal(self, path, *arguments, public=False, torrent=None, getters=1):
        """`torrent`: of that one, else as `share` makes it. With several getters the time is the last one's."""
        self.warm((getters + 1) * os.path.getsize(path))
        seed, what = self.shoal_seed(path, *arguments, *(["--public"] if public else []), torrent=torrent)
        before, outs = cpu_of(seed.pid), [self.fresh("out") for _ in range(getters)]
        all_of = [self.shoal("get", "get", what, "-o", out, "--state", self.fresh("state"), "--seed", "forever",
                             "--peer", f"127.0.0.1:{seed.port}", *arguments) for out in outs]
        done = max(getter.event("complete", within=PATIENCE)["seen"] for getter in all_of)
        sample = Sample(done - all_of[0].started, sum(cpu_of(g.pid) for g in all_of), cpu_of(seed.pid) - before,
                        max(peak_of(g) for g in all_of), peak_of(seed))
        self.finish([*all_of, seed], path, outs)
        return sample

    def finish(self, processes, path, outs):
        for out in outs:
            found = os.path.join(out, os.path.basename(path))
            check(os.path.getsize(found) == os.path.getsize(path), f"{found} has another size")
        for process in processes:
            self.end(process)
        for out in outs:
            shutil.rmtree(out)

    def end(self, process):
        process.kill()
        self.world.processes.remove(process)

    def libtorrent(self, name, encryption="off", **settings):
        client = Libtorrent(self.world, self.unique(name), "127.0.0.1",
                            Options(encryption=encryption, dht=False, pex=False), settings={**LIBTORRENT, **settings})
        return client.start()

    def libtorrent_to_libtorrent(self, path, torrent, getters=1):
        self.warm((getters + 1) * os.path.getsize(path))
        seed, all_of = self.libtorrent("lt-seed"), [self.libtorrent("lt-get") for _ in range(getters)]
        seed.seed(torrent, os.path.dirname(path))
        outs, before = [self.fresh("out") for _ in all_of], [cpu_of(c.process.pid) for c in (seed, *all_of)]
        begun = time.monotonic()
        keys = [getter.get(torrent, out) for getter, out in zip(all_of, outs)]
        for number, (getter, key) in enumerate(zip(all_of, keys)):
            for other in (seed, *all_of[:number]):
                getter.connect("127.0.0.1", other.port, key)
        done = max(self.finished(getter, key) for getter, key in zip(all_of, keys))
        cpu = [cpu_of(c.process.pid) - b for c, b in zip((seed, *all_of), before)]
        sample = Sample(done - begun, sum(cpu[1:]), cpu[0], max(peak_of(c.process) for c in all_of),
                        peak_of(seed.process))
        self.finish([*[c.process for c in all_of], seed.process], path, outs)
        return sample

    def finished(self, client, key):
        return client.event("finished", lambda event: event["torrent"] == key, within=PATIENCE)["seen"]

    def shoal_to_libtorrent(self, path, torrent):
        self.warm(2 * os.path.getsize(path))
        seed, _ = self.shoal_seed(path, "--no-native", "--mse", "off", torrent=torrent)
        getter = self.libtorrent("lt-get")
        out, before = self.fresh("out"), cpu_of(seed.pid)
        begun = time.monotonic()
        key = getter.get(torrent, out)
        getter.connect("127.0.0.1", seed.port, key)
        sample = Sample(self.finished(getter, key) - begun, None, cpu_of(seed.pid) - before, None, peak_of(seed))
        self.finish([getter.process, seed], path, [out])
        return sample

    def libtorrent_to_shoal(self, path, torrent):
        self.warm(2 * os.path.getsize(path))
        seed = self.libtorrent("lt-seed")
        seed.seed(torrent, os.path.dirname(path))
        out = self.fresh("out")
        getter = self.shoal("get", "get", torrent, "-o", out, "--state", self.fresh("state"), "--seed", "forever",
                            "--peer", f"127.0.0.1:{seed.port}", "--no-native", "--mse", "off")
        done = getter.event("complete", within=PATIENCE)["seen"]
        sample = Sample(done - getter.started, cpu_of(getter.pid), None, peak_of(getter), None)
        self.finish([getter, seed.process], path, [out])
        return sample

    # ---- what lies on the disk

    def share_once(self, path, state):
        """From the start of `share` to its link."""
        process = self.shoal("share", "share", path, "--state", state)
        done = process.event("link", within=PATIENCE)["seen"]
        process.kill()
        return Sample(done - process.started)

    def shoal_verifies(self, path, torrent):
        """What lies there was unknown before."""
        return command(self.world.program, "verify", torrent, os.path.dirname(path), "--state", self.fresh("state"),
                       "--quiet")

    def libtorrent_verifies(self, path, torrent):
        client = self.libtorrent("lt-verify")
        begun = time.monotonic()
        key = client.get(torrent, os.path.dirname(path))
        sample = Sample(self.finished(client, key) - begun)
        client.stop()
        return sample

    def transmission_verifies(self, path, torrent):
        client = Transmission(self.world, self.unique("transmission"), "127.0.0.1", Options(dht=False, pex=False))
        client.start()
        begun = time.monotonic()
        client.seed(torrent, os.path.dirname(path))
        sample = Sample(time.monotonic() - begun)
        client.stop()
        return sample

    # ---- a crash

    def shoal_crashes(self, path, rate):
        """kill -9 of a getter at half of the content; then it runs again."""
        size = os.path.getsize(path)
        self.warm(2 * size)
        seed, link = self.shoal_seed(path)
        out, state = self.fresh("out"), self.fresh("state")
        again = ["get", link, "-o", out, "--state", state, "--seed", "forever", "--peer", f"127.0.0.1:{seed.port}",
                 "--down", str(rate)]
        first = self.shoal("get", *again)
        first.event("progress", lambda e: e["bytes_done"] >= size // 2, within=PATIENCE)
        first.kill()
        second = self.shoal("get", *again)
        attached = second.event("attached", within=PATIENCE)
        receiving = second.event("receiving", within=PATIENCE)
        done = second.event("complete", within=PATIENCE)["seen"]
        sent = seed.event("progress", lambda e: e["seen"] > done + 1.1, within=PATIENCE)["sent"]
        self.finish([second, seed], path, [out])
        return {"seconds to go on": receiving["seen"] - second.started,
                "MiB that counted": attached["have_bytes"] / MIB,
                "MiB fetched twice": (sent - size) / MIB}
