"""shoal beside the other clients, on this machine, in one run: tests/bench/run calls this with the programs it has built.

All sides of a case take turns, round after round, in folders in memory; a figure is the median of the rounds, a ratio
the median of the rounds' ratios. Machines differ and are noisy: ratios count. The limits are measured in the same
rounds (limits.cpp).

    --only P1,P3   these cases      --rounds N   5 by default      --smoke   one round, small: that the bench works
    --json         one object a figure, on stdout, in place of the table
"""
import json
import os
import random
import shutil
import statistics
import sys

from sides import GIB, KIB, MIB, Bench, Sample, check, command, limit
from harness import main, run, write_random

MKTORRENT = ["mktorrent", "-t", "2"]


class Case:
    """One row of targets: sides that give Samples, and ratios to be held."""

    def __init__(self, bench, options):
        self.bench, self.options, self.samples, self.bytes = bench, options, {}, bench.size

    def sides(self):
        """Name -> function that gives a Sample."""
        raise NotImplementedError

    def goals(self):
        """(sentence, got, wanted, 'min' or 'max') each."""
        return []

    def run(self):
        sides = self.sides()
        for turn in range(self.options.rounds):
            for name, side in sides.items():
                sample = side()
                self.samples.setdefault(name, []).append(sample)
                note(f"{type(self).__name__} {turn + 1}/{self.options.rounds} {name}: {sample.seconds:.2f} s")

    def median(self, name, field="seconds"):
        return statistics.median(getattr(s, field) for s in self.samples[name])

    def ratio(self, numerator, denominator, field="seconds"):
        """Median over the rounds of one side's figure by the other's."""
        return statistics.median(getattr(a, field) / getattr(b, field) for a, b in
                                 zip(self.samples[numerator], self.samples[denominator]))

    def fastest(self, names):
        return min((name for name in names if name in self.samples), key=self.median)


def note(sentence):
    print(f"  {sentence}", file=sys.stderr, flush=True)


class Create(Case):
    """P1: making a .torrent of one large file, or of many small ones."""

    SMALL = False
    TARGETS = {"v1": 3, "v2": 5, "hybrid": 6}

    def sides(self):
        bench, path = self.bench, self.source()
        out = bench.world.path("made.torrent")

        def made(*arguments, cwd=None):
            if os.path.exists(out):
                os.remove(out)
            return command(*arguments, cwd=cwd)

        sides = {}
        for form in ("v1", "v2", "hybrid"):
            sides[f"shoal {form}"] = lambda form=form: made(
                bench.world.program, "create", path, f"--{form}", "-o", out, "--quiet", "--state", bench.world.path("s"))
            sides[f"libtorrent {form}"] = lambda form=form: made(bench.libtorrent_create, form, path, out)
            if not self.SMALL:
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
            limits = f"limit {form}" in self.samples
            share = self.ratio(f"limit {form}", f"shoal {form}") if limits else None
            yield (f"shoal {form} is x times as fast as {best}" + (f" (or reaches 0.85 of the limit: {share:.2f})"
                   if limits else ""), self.ratio(best, f"shoal {form}"), factor, "min", (share or 0) >= 0.85)


class CreateSmall(Create):
    """P1: 20,000 files of 4 to 64 KiB."""

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


class Transfer(Case):
    """P2, P3, P4: one seed, one getter, over loopback."""

    def sides(self):
        bench, path = self.bench, self.bench.big
        torrents = {form: bench.torrent(path, form) for form in ("v1", "v2")}

        def bare(kind):
            target = os.path.join(bench.fresh("limit"), "out.bin")
            found = limit(bench.limits, "transfer", kind, path, target)
            shutil.rmtree(os.path.dirname(target))
            return Sample(found["seconds"], found["cpu_leech"] * gib, found["cpu_seed"] * gib)

        gib = os.path.getsize(path) / GIB
        plain = ["--no-native", "--mse", "off"]
        return {
            "shoal": lambda: bench.shoal_to_shoal(path),
            "libtorrent v1": lambda: bench.libtorrent_to_libtorrent(path, torrents["v1"]),
            "libtorrent v2": lambda: bench.libtorrent_to_libtorrent(path, torrents["v2"]),
            "limit aes": lambda: bare("aes"),
            "limit plain": lambda: bare("plain"),
            "shoal, mainline": lambda: bench.shoal_to_shoal(path, *plain, public=True),
            "shoal to libtorrent v1": lambda: bench.shoal_to_libtorrent(path, torrents["v1"]),
            "libtorrent to shoal v1": lambda: bench.libtorrent_to_shoal(path, torrents["v1"]),
        }

    def goals(self):
        yield "P2: shoal is x times as fast as libtorrent v1 in the clear", self.ratio("libtorrent v1", "shoal"), 2, "min"
        yield "P2: and as libtorrent v2", self.ratio("libtorrent v2", "shoal"), 3.3, "min"
        yield "P2: CPU of the seed by that of libtorrent's (v1)", self.ratio("shoal", "libtorrent v1", "cpu_seed"), 0.45, "max"
        yield "P2: CPU of the getter", self.ratio("shoal", "libtorrent v1", "cpu"), 0.7, "max"
        yield "P3: shoal in the clear by libtorrent v1", self.ratio("libtorrent v1", "shoal, mainline"), 2.2, "min"
        yield "P3: shoal seeds for libtorrent", self.ratio("libtorrent v1", "shoal to libtorrent v1"), 1, "min"
        yield "P3: libtorrent seeds for shoal", self.ratio("libtorrent v1", "libtorrent to shoal v1"), 1, "min"
        yield "P4: share of the limit (AES-GCM)", self.ratio("limit aes", "shoal"), 0.85, "min"
        yield "P5: peak memory of a side, MiB", max(self.median("shoal", f) for f in ("memory", "memory_seed")) / MIB, 48, "max"


CASES = {"P1": Create, "P1-small": CreateSmall, "P2-P5": Transfer}


def show(case, options):
    size = case.bytes
    if options.json:
        for name, samples in case.samples.items():
            print(json.dumps({"case": type(case).__name__, "side": name, "seconds": [s.seconds for s in samples],
                              **{field: case.median(name, field) for field in
                                 ("cpu", "cpu_seed", "memory", "memory_seed")
                                 if getattr(samples[0], field) is not None}}))
    else:
        print(f"\n{case.__doc__}\n{'':28}{'median s':>10}{'MB/s':>8}{'CPU s/GiB':>11}{'of seed':>9}{'MiB':>8}{'of seed':>9}")
        for name, samples in case.samples.items():
            row = [f"{case.median(name):10.3f}", f"{size / case.median(name) / 1e6:8.0f}"]
            for field, unit, width in (("cpu", size / GIB, 11), ("cpu_seed", size / GIB, 9), ("memory", MIB, 8),
                                       ("memory_seed", MIB, 9)):
                known = getattr(samples[0], field) is not None
                row.append(f"{case.median(name, field) / unit:{width}.2f}" if known else " " * width)
            print(f"{name:28}" + "".join(row))
    missed = 0
    for sentence, got, wanted, way, *other in case.goals():
        good = (got >= wanted if way == "min" else got <= wanted) or any(other)
        missed += not good
        if options.json:
            print(json.dumps({"case": type(case).__name__, "goal": sentence, "got": got, "wanted": wanted, "met": good}))
        else:
            print(f"{'met   ' if good else 'MISSED'} {sentence}: {got:.2f} ({way} {wanted})")
    sys.stdout.flush()
    return missed


def body(world, options):
    if options.smoke:
        options.rounds = 1
    bench = Bench(world, os.path.abspath(options.limits), os.path.abspath(options.libtorrent_create))
    world.tmpfs("mem", size="14g")
    bench.size = 16 * MIB if options.smoke else int(options.size * GIB)
    bench.big = world.path("mem", "source", "big.bin")
    os.makedirs(os.path.dirname(bench.big))
    write_random(bench.big, bench.size, random.Random(1))
    if not options.json:
        print("primitives, GB/s on one core:", run(bench.limits, "primitives").strip())
    missed = 0
    for name, kind in CASES.items():
        if options.only and name not in options.only.split(","):
            continue
        case = kind(bench, options)
        case.run()
        missed += show(case, options)
    check(options.smoke or missed == 0, f"{missed} targets were missed")


def arguments(parser):
    parser.add_argument("limits")
    parser.add_argument("libtorrent_create")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=float, default=2, help="GiB of the large content")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", action="store_true")


if __name__ == "__main__":
    main(body, add_arguments=arguments)
