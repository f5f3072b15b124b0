"""P2 to P6 and P10: from one peer to another, to many, and after a crash."""
import os
import random
import shutil

from cases import Figures, Goal, Race
from sides import GIB, MIB, Sample, limit, write_random

PLAIN = ["--no-native", "--mse", "off"]


class Transfer(Race):
    """P2 to P5: one seed, one getter."""

    def sides(self):
        bench, path = self.bench, self.bench.big
        torrents = {form: bench.torrent(path, form) for form in ("v1", "v2")}
        gib = os.path.getsize(path) / GIB

        def bare(kind):
            bench.warm(2 * self.bytes)
            target = os.path.join(bench.fresh("limit"), "out.bin")
            found = limit(bench.limits, "transfer", kind, path, target)
            shutil.rmtree(os.path.dirname(target))
            return Sample(found["seconds"], found["cpu_leech"] * gib, found["cpu_seed"] * gib)

        return {
            "shoal": lambda: bench.shoal_to_shoal(path),
            "libtorrent v1": lambda: bench.libtorrent_to_libtorrent(path, torrents["v1"]),
            "libtorrent v2": lambda: bench.libtorrent_to_libtorrent(path, torrents["v2"]),
            "limit aes": lambda: bare("aes"),
            "limit plain": lambda: bare("plain"),
            "shoal, v1 in the clear": lambda: bench.shoal_to_shoal(path, *PLAIN, torrent=torrents["v1"]),
            "shoal, hybrid in the clear": lambda: bench.shoal_to_shoal(path, *PLAIN, public=True),
            "shoal to libtorrent v1": lambda: bench.shoal_to_libtorrent(path, torrents["v1"]),
            "libtorrent to shoal v1": lambda: bench.libtorrent_to_shoal(path, torrents["v1"]),
        }

    def goals(self):
        other = "libtorrent v1"
        yield Goal("P2: shoal is x times as fast as libtorrent v1 in the clear", self.ratio(other, "shoal"), least=2)
        yield Goal("P2: and as libtorrent v2", self.ratio("libtorrent v2", "shoal"), least=3.3)
        yield Goal("P2: CPU of the seed by that of libtorrent's (v1)", self.ratio("shoal", other, "cpu_seed"), most=0.45)
        yield Goal("P2: CPU of the getter", self.ratio("shoal", other, "cpu"), most=0.7)
        yield Goal("P3: shoal, v1 in the clear, by libtorrent v1", self.ratio(other, "shoal, v1 in the clear"), least=2.2)
        yield Goal("P3: shoal seeds for libtorrent", self.ratio(other, "shoal to libtorrent v1"), least=1)
        yield Goal("P3: libtorrent seeds for shoal", self.ratio(other, "libtorrent to shoal v1"), least=1)
        yield Goal("P4: share of the limit (AES-GCM)", self.ratio("limit aes", "shoal"), least=0.85)
        memory = max(self.median("shoal", field) for field in ("memory", "memory_seed"))
        yield Goal("P5: peak memory of a side, MiB", memory / MIB, most=48)


class Sparse(Figures):
    """P5: memory does not grow with the content: 8 GiB of holes."""

    def measure(self):
        path = self.bench.world.path("mem", "sparse", "sparse.bin")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.truncate(64 * MIB if self.options.smoke else 8 * GIB)
        sample = self.bench.shoal_to_shoal(path)
        os.remove(path)
        return {"peak memory of the getter, MiB": sample.memory / MIB,
                "peak memory of the seed, MiB": sample.memory_seed / MIB}

    def goals(self):
        for name in self.found:
            yield Goal(f"P5: 8 GiB: {name}", self.median(name), most=48)


class Confined(Race):
    """What it costs a transfer that its peers are confined (Landlock, seccomp)."""

    def sides(self):
        path = self.bench.big
        return {"shoal": lambda: self.bench.shoal_to_shoal(path),
                "shoal, unconfined": lambda: self.bench.shoal_to_shoal(path, "--unconfined")}

    def goals(self):
        for what, field in (("seconds", "seconds"), ("CPU of the seed", "cpu_seed"), ("CPU of the getter", "cpu")):
            yield Goal(f"confined by unconfined: {what}", self.ratio("shoal", "shoal, unconfined", field), most=1.01)


class Crowd(Race):
    """P6: one seed, 8 getters that all know each other."""

    def sides(self):
        bench = self.bench
        path = bench.world.path("mem", "crowd", "half.bin")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.bytes = bench.size // 4
        write_random(path, self.bytes, random.Random(3))
        self.bytes *= 8
        torrent = bench.torrent(path, "v1")
        return {"shoal": lambda: bench.shoal_to_shoal(path, getters=8),
                "libtorrent v1": lambda: bench.libtorrent_to_libtorrent(path, torrent, getters=8)}

    def goals(self):
        yield Goal("P6: shoal's aggregate by libtorrent's", self.ratio("libtorrent v1", "shoal"), least=2)


class Crash(Figures):
    """P10: kill -9 at half of it, at 150 MB/s, and run again."""

    RATE = 150_000_000
    WINDOW = 1.0  # seconds of transfer between two commits, and as much under way (storage/limits)

    def measure(self):
        return self.bench.shoal_crashes(self.bench.big, min(self.RATE, self.bench.size // 4))

    def goals(self):
        yield Goal("P10: seconds from running again to the first new block", self.median("seconds to go on"), most=0.5)
        yield Goal("P10: MiB fetched twice, by the commit window (150 MB/s for 1 s)",
                   self.median("MiB fetched twice"), most=self.RATE * self.WINDOW / MIB)
