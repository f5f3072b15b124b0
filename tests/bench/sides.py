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
from harness import GIB, KIB, LOOPBACK, MIB, check, run  # noqa: E402, F401
from libtorrent_driver import Libtorrent  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 600  # seconds

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
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_of(process):
    return process.memory("VmHWM")


def command(*arguments, cwd=None):
    """Runs a program to its end; exit 0 or it fails."""
    begun = time.monotonic()
    child = subprocess.Popen([os.fspath(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             cwd=cwd)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    took = time.monotonic() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    check(child.returncode == 0, f"{arguments[0]} gave exit {child.returncode}: {output[-500:]!r}")
    return Sample(took, usage.ru_utime + usage.ru_stime, None, usage.ru_maxrss * KIB)


def limit(program, *arguments):
    """What tests/bench/limits.cpp prints."""
    return json.loads(run(program, *arguments))


class Bench:
    """What all cases share: the world, the programs, fresh folders in memory."""

    def __init__(self, world, limits, libtorrent_create):
        self.world, self.limits, self.libtorrent_create = world, limits, libtorrent_create
        self.count = 0

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

    # ---- transfers: each gives a Sample; the getter is started, or told of the torrent, when the clock starts

    def shoal_to_shoal(self, path, *arguments, public=False):
        name = self.unique("shoal")
        common = [*LOOPBACK, "--json", *arguments]
        seed = self.world.start(name + "-seed", "share", path, "--state", self.fresh("state"), *common,
                                *(["--public"] if public else []))
        link = seed.event("link", within=PATIENCE)["link"]
        out, before = self.fresh("out"), cpu_of(seed.pid)
        getter = self.world.start(name + "-get", "get", link, "-o", out, "--state", self.fresh("state"), "--seed",
                                  "forever", "--peer", f"127.0.0.1:{seed.port}", *common)
        begun = getter.started
        done = getter.event("complete", within=PATIENCE)["seen"]
        sample = Sample(done - begun, cpu_of(getter.pid), cpu_of(seed.pid) - before, peak_of(getter), peak_of(seed))
        self.finish([getter, seed], path, out)
        return sample

    def finish(self, processes, path, out):
        found = os.path.join(out, os.path.basename(path))
        check(os.path.getsize(found) == os.path.getsize(path), f"{found} has another size")
        for process in processes:
            process.kill()
            self.world.processes.remove(process)
        shutil.rmtree(out)

    def libtorrent(self, name, encryption="off", **settings):
        client = Libtorrent(self.world, self.unique(name), "127.0.0.1",
                            Options(encryption=encryption, dht=False, pex=False), settings={**LIBTORRENT, **settings})
        return client.start()

    def libtorrent_to_libtorrent(self, path, torrent, **options):
        seed, getter = self.libtorrent("lt-seed", **options), self.libtorrent("lt-get", **options)
        seed.seed(torrent, os.path.dirname(path))
        out, before = self.fresh("out"), [cpu_of(c.process.pid) for c in (getter, seed)]
        begun = time.monotonic()
        key = getter.get(torrent, out)
        getter.connect("127.0.0.1", seed.port, key)
        done = getter.event("finished", lambda event: event["torrent"] == key, within=PATIENCE)["seen"]
        cpu = [cpu_of(c.process.pid) - b for c, b in zip((getter, seed), before)]
        sample = Sample(done - begun, *cpu, *[peak_of(c.process) for c in (getter, seed)])
        self.finish([getter.process, seed.process], path, out)
        return sample

    def shoal_to_libtorrent(self, path, torrent):
        """shoal seeds what it has verified, in the clear."""
        state = self.fresh("state")
        self.adopt(path, torrent, state)
        seed = self.world.start(self.unique("shoal-seed"), "share", "--public", path, "--state", state, *LOOPBACK,
                                "--json", "--no-native", "--mse", "off")
        seed.event("link", within=PATIENCE)
        getter = self.libtorrent("lt-get")
        out, before = self.fresh("out"), cpu_of(seed.pid)
        begun = time.monotonic()
        key = getter.get(torrent, out)
        getter.connect("127.0.0.1", seed.port, key)
        done = getter.event("finished", lambda event: event["torrent"] == key, within=PATIENCE)["seen"]
        sample = Sample(done - begun, None, cpu_of(seed.pid) - before, None, peak_of(seed))
        self.finish([getter.process, seed], path, out)
        return sample

    def libtorrent_to_shoal(self, path, torrent):
        seed = self.libtorrent("lt-seed")
        seed.seed(torrent, os.path.dirname(path))
        out = self.fresh("out")
        getter = self.world.start(self.unique("shoal-get"), "get", torrent, "-o", out, "--state", self.fresh("state"),
                                  "--seed", "forever", "--peer", f"127.0.0.1:{seed.port}", *LOOPBACK, "--json",
                                  "--no-native", "--mse", "off")
        done = getter.event("complete", within=PATIENCE)["seen"]
        sample = Sample(done - getter.started, cpu_of(getter.pid), None, peak_of(getter), None)
        self.finish([getter, seed.process], path, out)
        return sample

    def adopt(self, path, torrent, state):
        """What lies there already becomes known to that state, as the README has it."""
        command(self.world.program, "verify", torrent, os.path.dirname(path), "--state", state, "--quiet")
