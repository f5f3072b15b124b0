"""P7: thousands of small contents in one process. P8: how many questions a DHT node answers."""
import collections
import json
import os
import random
import time

from cases import Figures, Goal
from sides import KIB, LOOPBACK, PATIENCE, cpu_of, run, write_random


class Many(Figures):
    """P7: `share --each` of thousands of small files that were shared before."""

    NODES = 24  # that the contents are announced to

    def measure(self):
        self.count, self.watched = (200, 2) if self.options.smoke else (10_000, 30)
        paths = self.files()
        state = self.bench.fresh("state")
        self.bench.end(self.share(paths, state)[0])  # hashed once
        one, _ = self.share(paths[:1], self.bench.fresh("state"))
        base = one.memory("VmRSS")
        self.bench.end(one)
        sharer, took = self.share(paths, state)
        found = {"seconds until all links are there": took, **self.idle(sharer),
                 "KiB a content": (sharer.memory("VmRSS") - base) / KIB / self.count}
        self.bench.end(sharer)
        return {**found, **self.announcing(paths, state)}

    def files(self):
        folder, rng, paths = self.bench.fresh("many"), random.Random(7), []
        for number in range(self.count):
            paths.append(os.path.join(folder, f"{number:05}"))
            write_random(paths[-1], rng.randrange(KIB, 16 * KIB), rng)
        return paths

    def share(self, paths, state, *arguments):
        """The process, once it has told all links, and the seconds until then."""
        process = self.bench.world.start(self.bench.unique("many"), "share", "--each", *paths, "--state", state,
                                         *LOOPBACK, *arguments)
        process.line(len(paths) - 1, within=PATIENCE)
        return process, time.monotonic() - process.started

    def cpu(self, process):
        before, begun = cpu_of(process.pid), time.monotonic()
        time.sleep(self.watched)  # what is measured is what happens while nothing happens
        return (cpu_of(process.pid) - before) / (time.monotonic() - begun)

    def idle(self, process):
        return {"cores used with nobody there": self.cpu(process)}

    def announcing(self, paths, state):
        nodes = []
        for _ in range(self.NODES):
            known = ["--bootstrap", f"127.0.0.1:{nodes[0].port}"] if nodes else []
            nodes.append(self.bench.world.start(self.bench.unique("node"), "node", "--state", self.bench.fresh("state"),
                                                *LOOPBACK, "--json", *known))
        sharer, _ = self.share(paths, state, "--bootstrap", f"127.0.0.1:{nodes[0].port}", "--json")
        sharer.event("published", within=PATIENCE)
        begun = time.monotonic()
        cores = self.cpu(sharer)
        ended = time.monotonic()
        slices = collections.Counter(int(e["seen"] - begun) for e in sharer.of("published") if begun < e["seen"] < ended)
        counts = [slices[second] for second in range(2, self.watched)] or [0]  # the first come together
        for process in (sharer, *nodes):
            self.bench.end(process)
        return {"cores used announcing": cores, "publications a second (two of each content: native, mainline)": sum(counts) / len(counts),
                "busiest second by the mean": max(counts) * len(counts) / max(sum(counts), 1)}

    def goals(self):
        yield Goal("P7: KiB a content", self.median("KiB a content"), most=3.5)
        yield Goal("P7: cores used with nobody there", self.median("cores used with nobody there"), most=0.005)
        yield Goal("P7: cores used announcing", self.median("cores used announcing"), most=0.05)
        yield Goal("P7: seconds until all links are there", self.median("seconds until all links are there"), most=2)


class Asked(Figures):
    """P8: a DHT node is asked, in-process and over loopback."""

    DIALECTS = ("native", "mainline")

    def measure(self):
        return {**self.in_process(), **self.over_loopback()}

    def in_process(self):
        report = self.bench.world.path("micro.json")
        run(self.bench.program("micro_bench"), "--benchmark_filter=node_answers", f"--benchmark_out={report}",
            "--benchmark_out_format=json")
        with open(report, encoding="utf-8") as file:
            return {f"answers/s in-process, {one['name'].split('/')[1]}": one["items_per_second"]
                    for one in json.load(file)["benchmarks"]}

    def over_loopback(self):
        seconds = 0.2 if self.options.smoke else 3
        node = self.bench.world.start(self.bench.unique("node"), "node", "--state", self.bench.fresh("state"), *LOOPBACK,
                                      "--json")
        found = {}
        for dialect in self.DIALECTS:
            before = cpu_of(node.pid)
            answers = json.loads(run(self.bench.program("dht_load"), str(node.port), str(seconds), dialect))
            found[f"answers/s over loopback, {dialect}"] = answers["answers_per_s"]
            found[f"cores used by the node, {dialect}"] = (cpu_of(node.pid) - before) / seconds
        self.bench.end(node)
        return found

    def goals(self):
        for dialect in self.DIALECTS:
            yield Goal(f"P8: answers/s in-process, {dialect}", self.median(f"answers/s in-process, {dialect}"),
                       least=100_000)
            yield Goal(f"P8: answers/s over loopback, {dialect}", self.median(f"answers/s over loopback, {dialect}"),
                       least=40_000)
