"""P1 and P9: making torrents, verifying, sharing again."""
import os
import random

from cases import Goal, Race
from sides import KIB, Sample, command, limit

MKTORRENT = ["mktorrent", "-t", "2"]


class Create(Race):
    """P1: making a .torrent of one large file."""

    SMALL = False
    TARGETS = {"v1": 3, "v2": 5, "hybrid": 6}

    def sides(self):
        bench, path = self.bench, self.source()
        out = bench.world.path("made.torrent")

        def made(*arguments):
            if os.path.exists(out):
                os.remove(out)
            return command(*arguments)

        sides = {}
        for form in ("v1", "v2", "hybrid"):
            sides[f"shoal {form}"] = lambda form=form: made(
                bench.world.program, "create", path, f"--{form}", "-o", out, "--quiet", "--state", bench.world.path("s"))
            sides[f"libtorrent {form}"] = lambda form=form: made(bench.libtorrent_create, form, path, out)
            sides[f"limit {form}"] = lambda form=form: Sample(limit(bench.limits, "hash", form, path)["seconds"])
        sides["mktorrent v1"] = lambda: made(*MKTORRENT, "-o", out, path)
        if not self.SMALL:
            sides["Transmission v1"] = lambda: made("transmission-create", "-o", out, path)
        return sides

    def source(self):
        return self.bench.big

    def goals(self):
        for form, factor in self.TARGETS.items():
            others = [name for name in self.samples if name.endswith(" " + form) and name.split()[0] in
                      ("libtorrent", "mktorrent", "Transmission")]
            best = self.fastest(others)
            share = self.ratio(f"limit {form}", f"shoal {form}")
            yield Goal(f"shoal {form} is x times as fast as {best} (or reaches 0.85 of the limit: {share:.2f})",
                       self.ratio(best, f"shoal {form}"), least=factor, other=share >= 0.85)


class CreateSmall(Create):
    """P1: making a .torrent of 20,000 files of 4 to 64 KiB."""

    SMALL = True
    TARGETS = {"v1": 2, "v2": 4, "hybrid": 15}

    def source(self):
        source = random.Random(2)
        self.bytes = 0
        root = self.bench.world.folder("mem", "small")
        for i in range(100 if self.options.smoke else 20_000):
            folder = os.path.join(root, f"{i // 500:03}")
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, f"{i:05}.bin"), "wb") as file:
                self.bytes += file.write(source.randbytes(source.randrange(4 * KIB, 64 * KIB)))
        return root


class Verify(Race):
    """P9: is what lies here what the torrent says; and sharing again what has not changed."""

    def sides(self):
        bench, path = self.bench, self.bench.big
        torrents = {form: bench.torrent(path, form) for form in ("v1", "v2")}
        state = bench.fresh("shared")
        bench.share_once(path, state)
        return {
            "shoal v1": lambda: bench.shoal_verifies(path, torrents["v1"]),
            "shoal v2": lambda: bench.shoal_verifies(path, torrents["v2"]),
            "libtorrent v1": lambda: bench.libtorrent_verifies(path, torrents["v1"]),
            "libtorrent v2": lambda: bench.libtorrent_verifies(path, torrents["v2"]),
            "Transmission v1": lambda: bench.transmission_verifies(path, torrents["v1"]),
            "limit v1": lambda: Sample(limit(bench.limits, "hash", "v1", path)["seconds"]),
            "limit v2": lambda: Sample(limit(bench.limits, "hash", "v2", path)["seconds"]),
            "shoal shares again": lambda: bench.share_once(path, state),
        }

    def goals(self):
        for form, others in (("v1", ["libtorrent v1", "Transmission v1"]), ("v2", ["libtorrent v2"])):
            share = self.ratio(f"limit {form}", f"shoal {form}")
            for other in others:
                yield Goal(f"shoal verifies {form} x times as fast as {other} ({share:.2f} of the limit)",
                           self.ratio(other, f"shoal {form}"), least=4)
        yield Goal("seconds to share again what has not changed", self.median("shoal shares again"), most=0.3)
