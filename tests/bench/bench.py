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

from sides import GIB, MIB, Bench, check, main, run, write_random  # first: it finds the others' modules
from on_disk import Create, CreateSmall, Verify
from over_loopback import Confined, Crash, Crowd, Sparse, Transfer
from scale import Asked, Many

CASES = {"P1": Create, "P1-small": CreateSmall, "P2-P5": Transfer, "P5": Sparse, "P6": Crowd, "P7": Many, "P8": Asked,
         "P9": Verify, "P10": Crash, "confined": Confined}


def show(case, options):
    """Prints a case; gives the number of targets that were missed."""
    goals, kind = list(case.goals()), type(case).__name__
    if options.json:
        for record in [*case.records(), *[{"goal": g.sentence, "got": g.got, "met": g.met} for g in goals]]:
            print(json.dumps({"case": kind, **record}), flush=True)
    else:
        print(f"\n{case.__doc__}", *case.table(), *[goal.line() for goal in goals], sep="\n", flush=True)
    return sum(not goal.met for goal in goals)


def body(world, options):
    if options.smoke:
        options.rounds = 1
    bench = Bench(world, options.programs)
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
    parser.add_argument("programs", help="the folder of tests/bench's own programs")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=float, default=2, help="GiB of the large content")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", action="store_true")


if __name__ == "__main__":
    main(body, add_arguments=arguments)
