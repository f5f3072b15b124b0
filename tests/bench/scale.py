"""P8: how many questions a DHT node answers."""
import json

from cases import Figures, Goal
from sides import LOOPBACK, cpu_of, run


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
