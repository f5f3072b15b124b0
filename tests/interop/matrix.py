"""shoal and every other client, each way: {qBittorrent, Transmission, aria2, libtorrent} x {they seed and shoal gets,
shoal seeds and they get} x {.torrent and a peer named by hand, with MSE preferred, required and off; magnet link
through the DHT alone} x {v1, hybrid, v2, where the other knows it} x {a folder of many files, a single file}. The
cells are those of oracles.py, where contents, names and limits are described, and are judged as there.

    python3 tests/interop/matrix.py PROGRAM [--only REGEX] [--full]

Without --full: MSE preferred, all cells; required and off for single v1 files; and Transmission, which unchokes after
10 to 25 s and looks up once in minutes, with MSE preferred alone. About 1 min. --full: everything, five times, about 14 min. Exit 1 if a cell failed.
"""
import re

import oracles
from oracles import Cell, by_dht, by_peer, check_quiet, print_table
from client import Options
from clients import KINDS
from libtorrent_driver import Maker
from places import lan
from shoal_driver import Shoal
from recorder import Recorder
from harness import check, main, say

OTHERS = dict(KINDS)
KINDS["shoal"] = Shoal


def cells_of(way, forms=oracles.FORMS, contents=oracles.CONTENTS):
    pairs = [(seed, getter) for other in OTHERS for seed, getter in ((other, "shoal"), ("shoal", other))]
    return [Cell(way, seed, getter, form, content) for seed, getter in pairs for form in forms
            if form in KINDS[seed].FORMS and form in KINDS[getter].FORMS for content in contents]


def once(world, maker, places, options, turn):
    def peers(encryption):
        return Options(dht=False, encryption=encryption)

    one = (oracles.FORMS, oracles.CONTENTS) if options.full else (["v1"], ["file"])
    plan = [("peer", cells_of("peer"), peers("prefer")), ("mse", cells_of("mse", *one), peers("require")),
            ("clear", cells_of("clear", *one), peers("off")), ("dht", cells_of("dht"), None)]
    ran = []
    for way, cells, how in plan:
        cells = [cell for cell in cells if re.search(options.only, cell.name)]
        if not options.full and way != "peer":
            cells = [cell for cell in cells if "transmission" not in (cell.seed, cell.getter)]
        for cell in cells:
            cell.way = way if options.turns == 1 else f"{way}{turn}"
        ran += cells
        if cells and how is None:
            by_dht(world, maker, places, cells)
        elif cells:
            by_peer(world, maker, places, cells, how, how)
    return ran


def body(world, options):
    options.turns = 5 if options.full else 1
    roles = [f"{role} {kind}" for role in ("seed", "getter") for kind in KINDS] + ["dht"]
    places = dict(zip(roles, lan(world, [role.replace(" ", "-") for role in roles])))
    recorder = Recorder("bridge")
    maker = Maker(world, "maker", places["dht"])
    ran = []
    for turn in range(1, options.turns + 1):
        cells = once(world, maker, places, options, turn)
        ran += cells
        print_table(cells)
    check(ran, f"no cell matches {options.only}")
    check_quiet(recorder)
    failed = [cell.name for cell in ran if cell.failure]
    say(f"{len(ran) - len(failed)} of {len(ran)} cells passed")
    check(not failed, f"{len(failed)} cells failed: {', '.join(failed)}")


def add_arguments(parser):
    parser.add_argument("--only", default="", help="cells whose name, `WAY SEED GETTER FORM CONTENT`, matches")


if __name__ == "__main__":
    main(body, add_arguments=add_arguments)
