"""What all cases of the bench have in common: sides that take turns, medians, targets."""
import statistics
import sys

from sides import GIB, MIB


def note(sentence):
    print(f"  {sentence}", file=sys.stderr, flush=True)


class Goal:
    """One target: a sentence, what was found, what is wanted, and whether that is the least or the most. `other`: it
    is met another way, too."""

    def __init__(self, sentence, got, least=None, most=None, other=False):
        self.sentence, self.got, self.least, self.most = sentence, got, least, most
        self.met = other or (got >= least if least is not None else got <= most)

    def line(self):
        wanted = f"at least {self.least}" if self.least is not None else f"at most {self.most}"
        return f"{'met   ' if self.met else 'MISSED'} {self.sentence}: {self.got:.3g} ({wanted})"


class Case:
    """One row of targets. run() collects, table() gives lines for people, records() objects, goals() Goals."""

    def __init__(self, bench, options):
        self.bench, self.options = bench, options

    def run(self):
        raise NotImplementedError

    def table(self):
        raise NotImplementedError

    def records(self):
        raise NotImplementedError

    def goals(self):
        raise NotImplementedError


class Race(Case):
    """Sides that do the same work, in turn, round after round; each run is a Sample."""

    def __init__(self, bench, options):
        super().__init__(bench, options)
        self.samples, self.bytes = {}, bench.size

    def sides(self):
        """Name -> function that gives a Sample."""
        raise NotImplementedError

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

    def known(self, name, field):
        return getattr(self.samples[name][0], field) is not None

    def table(self):
        yield f"{'':28}{'median s':>10}{'MB/s':>8}{'CPU s/GiB':>11}{'of seed':>9}{'MiB':>8}{'of seed':>9}"
        for name in self.samples:
            row = [f"{self.median(name):10.3f}", f"{self.bytes / self.median(name) / 1e6:8.0f}"]
            for field, unit, width in (("cpu", self.bytes / GIB, 11), ("cpu_seed", self.bytes / GIB, 9),
                                       ("memory", MIB, 8), ("memory_seed", MIB, 9)):
                shown = f"{self.median(name, field) / unit:{width}.2f}" if self.known(name, field) else " " * width
                row.append(shown)
            yield f"{name:28}" + "".join(row)

    def records(self):
        for name, samples in self.samples.items():
            fields = [f for f in ("cpu", "cpu_seed", "memory", "memory_seed") if self.known(name, f)]
            yield {"side": name, "seconds": [s.seconds for s in samples], "bytes": self.bytes,
                   **{field: self.median(name, field) for field in fields}}


class Figures(Case):
    """shoal alone: each round gives the same named figures."""

    def __init__(self, bench, options):
        super().__init__(bench, options)
        self.found = {}

    def measure(self):
        """Name -> number, of one round."""
        raise NotImplementedError

    def run(self):
        for turn in range(self.options.rounds):
            for name, value in self.measure().items():
                self.found.setdefault(name, []).append(value)
                note(f"{type(self).__name__} {turn + 1}/{self.options.rounds} {name}: {value:.4g}")

    def median(self, name):
        return statistics.median(self.found[name])

    def table(self):
        for name, values in self.found.items():
            yield f"{name:60}{self.median(name):10.4g}   {min(values):.4g} to {max(values):.4g}"

    def records(self):
        for name, values in self.found.items():
            yield {"figure": name, "values": values, "median": self.median(name)}
