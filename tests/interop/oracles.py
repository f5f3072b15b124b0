"""The other clients among themselves: proves their drivers (clients.py) before shoal is measured by them.

Every pair of different clients exchanges a folder (several files, an empty one, a name outside ASCII) and a single
file, as v1, hybrid and v2 where both understand it: by .torrent and a peer told by hand (peer), the same with MSE
required on both sides (mse), and by magnet link through the DHT alone (dht). Each cell has a content of its own, so
that nobody but its seed can have served it; contents are compared byte for byte. Nobody may send to a multicast group.
--full also shows that limits limit: by the seed's upload (up), by the getter's download (down); and that a seed which
requires MSE serves nobody who refuses it (refused).

    cli/install_packages interop
    python3 tests/interop/oracles.py PROGRAM [--only REGEX] [--full]

PROGRAM is shoal, as for all such scripts, and not used. About 3 min, --full 5.5; --only '^peer' or 'aria2.*v1' runs a
part. Prints a table of seconds from adding to completion; exit 1 if a cell failed. All cells of a way run at once.

What cannot be: Transmission 3.00 and aria2 1.36 know v1 alone. They cannot join a hybrid's swarm either, since neither
reads the empty keys of its file tree rightly (clients.py). Transmission creates no empty files.
"""
import os
import re
import shutil
import time
from dataclasses import dataclass, field

from places import lan
from client import NO_ANSWER, Options
from clients import KINDS
from libtorrent_driver import DhtNodes, Maker
import harness
from recorder import Recorder
from harness import Failure, check, main, same, say

FORMS, CONTENTS = ("v1", "hybrid", "v2"), ("folder", "file")
PIECE = 64 * harness.KIB
FILES = {"a.bin": 40_000, "deep/er/blocks": 2 * PIECE, "empty": 0, "na\u00efve \u65e5\u672c.txt": 70_001, "tiny": 5,
         "large.bin": 1_200_003}
FILE_SIZE = 3 * harness.MIB + 1
LIMIT = 256 * harness.KIB  # bytes a second
LIMITED_SIZE = 12 * LIMIT
SHOWN_REFUSED = 25  # seconds; longer than anybody chokes a new peer


@dataclass
class Cell:
    way: str
    seed: str
    getter: str
    form: str
    content: str
    torrent: dict = field(default_factory=dict)
    started: float = 0
    seconds: float = 0
    moving: tuple = ()  # (time, bytes) when something was first seen to be there
    failure: str = ""
    key: object = None

    @property
    def name(self):
        return f"{self.way} {self.seed} {self.getter} {self.form} {self.content}"

    @property
    def column(self):
        return f"{self.way} {self.form} {self.content}"


def cells_of(way, forms=FORMS, contents=CONTENTS):
    return [Cell(way, seed, getter, form, content) for seed in KINDS for getter in KINDS if seed != getter
            for form in forms if form in KINDS[seed].FORMS and form in KINDS[getter].FORMS for content in contents]


def prepare(world, maker, cell, size=FILE_SIZE):
    """The content, a copy for the seed, and the .torrent."""
    source, served = world.folder("source " + cell.name), world.folder("served " + cell.name)
    name = "tree" if cell.content == "folder" else "single.bin"
    if cell.content == "folder":
        for path, length in FILES.items():
            world.file("source " + cell.name, name, path, size=length, seed=cell.name)
        shutil.copytree(os.path.join(source, name), os.path.join(served, name))
    else:
        shutil.copy(world.file("source " + cell.name, name, size=size, seed=cell.name), served)
    out = world.path(cell.name + ".torrent")
    cell.torrent = {**maker.create(os.path.join(source, name), out, cell.form, PIECE), "file": out, "served": served,
                    "source": os.path.join(source, name), "out": world.folder("out " + cell.name)}


def compare(cell):
    found = os.path.join(cell.torrent["out"], cell.torrent["name"])
    if cell.content == "folder" and not KINDS[cell.getter].MAKES_EMPTY:
        check(not os.path.exists(os.path.join(found, "empty")), f"{cell.getter} does create empty files")
        open(os.path.join(found, "empty"), "xb").close()
    same(cell.torrent["source"], found)


def look(cell, getter):
    """True once the cell is done."""
    progress, now = getter.progress(cell.key), time.monotonic()
    if progress.done > 0 and not cell.moving:
        cell.moving = (now, progress.done)
    if cell.way == "refused":
        check(not cell.moving, "was served by a seed that requires MSE")
        return now - cell.started > SHOWN_REFUSED
    if not progress.complete:
        return False
    cell.seconds = now - cell.started
    if cell.way in ("up", "down"):
        seconds = now - cell.moving[0]
        moved = progress.done - cell.moving[1]
        check(moved <= 1.3 * LIMIT * seconds and seconds > 1, f"{moved} bytes took {seconds:.1f} s only")
    compare(cell)
    return True


def finish(cells, getters, patience):
    """Waits until each cell is done or has failed."""
    left, end = list(cells), time.monotonic() + patience * harness.DEADLINE
    while left and time.monotonic() < end:
        for cell in list(left):
            try:
                if look(cell, getters[cell.getter]):
                    left.remove(cell)
            except NO_ANSWER:
                pass
            except Failure as failure:
                cell.failure = str(failure)
                left.remove(cell)
        time.sleep(0.1)
    for cell in left:
        cell.failure = "not complete in time"
    say(f"{cells[0].way}: {sum(not cell.failure for cell in cells)} of {len(cells)} cells passed")
    for cell in cells:
        if cell.failure:
            say(f"FAILED {cell.name}: {cell.failure}")


def start_all(world, places, way, options, wanted, nodes=()):
    """A seed and a getter of each kind that is wanted."""
    seeds, getters = {}, {}
    for role, group in (("seed", seeds), ("getter", getters)):
        for kind in sorted({getattr(cell, role) for cell in wanted}):
            client = KINDS[kind](world, f"{way} {role} {kind}", places[f"{role} {kind}"], options[role])
            for host, port in nodes:
                client.dht_node(host, port)
            group[kind] = client.start()
    return seeds, getters


def seed_all(world, maker, cells, seeds, size=FILE_SIZE):
    for cell in cells:
        prepare(world, maker, cell, size)
        cell.torrent["key"] = seeds[cell.seed].seed(cell.torrent["file"], cell.torrent["served"], wait=False)
    for cell in cells:
        seeds[cell.seed].wait_seeding(cell.torrent["key"], within=2 * harness.DEADLINE)
    say(f"{cells[0].way}: {len(cells)} contents are seeded")


def stop_all(*groups):
    for group in groups:
        for client in group.values():
            client.process.process.terminate()
    for group in groups:
        for client in group.values():
            client.stop()


def by_peer(world, maker, places, cells, seed_options, getter_options, size=FILE_SIZE):
    options = {"seed": seed_options, "getter": getter_options}
    seeds, getters = start_all(world, places, cells[0].way, options, cells)
    seed_all(world, maker, cells, seeds, size)
    for cell in cells:
        seed, getter = seeds[cell.seed], getters[cell.getter]
        cell.key = getter.get(cell.torrent["file"], cell.torrent["out"])
        cell.started = time.monotonic()
        if getter.CONNECTS:
            getter.connect(seed.address, seed.port_of(cell.torrent["key"]), cell.key)
        else:
            seed.connect(getter.address, getter.port_of(cell.key), cell.torrent["key"])
    finish(cells, getters, 3)
    stop_all(seeds, getters)


def by_dht(world, maker, places, cells):
    way = cells[0].way
    dht = DhtNodes(world, f"{way} nodes", places["dht"]).start()
    public, _ = dht.put_signed(bytes(32), b"signed", b"salt")
    dht.until(lambda: dht.fetch_signed(public, b"salt", 5) == (b"signed", 1), "a signed item to be found again")
    check(dht.fetch(dht.put(b"plain"), 7) == b"plain", "an immutable item is not found again")
    say(f"{len(dht.addresses)} DHT nodes are up, with {len(dht.table())} in a table, and keep items")
    options = {"seed": Options(), "getter": Options()}
    seeds, getters = start_all(world, places, way, options, cells, dht.endpoints)
    for client in [*seeds.values(), *getters.values()]:
        if client.dht_size() is not None:
            client.wait_dht(4)
    seed_all(world, maker, cells, seeds)
    for cell in cells:
        seed = seeds[cell.seed]
        for info_hash in filter(None, (cell.torrent["btih"], (cell.torrent["btmh"] or "")[:40])):
            dht.wait_announced(info_hash, seed.address, seed.port_of(cell.torrent["key"]), 2 * harness.DEADLINE)
    say(f"{way}: {len(cells)} contents are announced")
    for cell in cells:
        cell.key = getters[cell.getter].get(cell.torrent["magnet"], cell.torrent["out"])
        cell.started = time.monotonic()
    finish(cells, getters, 4)
    stop_all(seeds, getters, {"dht": dht})


def check_quiet(recorder):
    """The bridge's own interface gets what is sent to everybody: local discovery (port 6771) and UPnP (1900) would
    be there, in IPv4 or IPv6. To other networks nobody has a route."""
    recorder.stop()
    for _, frame in recorder.frames:
        kind, group = frame[12:14], frame[0] & 1
        check(not (kind == b"\x08\x00" and group), f"somebody sent to an IPv4 group: {frame.hex()}")
        udp = kind == b"\x86\xdd" and frame[20] == 17
        check(not (udp and group), f"somebody sent UDP to an IPv6 group: {frame.hex()}")
    say(f"{len(recorder.frames)} frames to everybody, and neither discovery nor UPnP among them")


def print_table(cells):
    columns = list(dict.fromkeys(cell.column for cell in cells))
    rows = list(dict.fromkeys((cell.seed, cell.getter) for cell in cells))
    found = {(cell.seed, cell.getter, cell.column): cell for cell in cells}
    print("\nseconds from adding to completion; `-`: not tried, one of the two does not know the form or the option")
    print(f"{'seed':<13}{'getter':<13}" + "".join(f"{column.split()[0]:>8}" for column in columns))
    for part in (1, 2):
        print(" " * 26 + "".join(f"{column.split()[part]:>8}" for column in columns))
    for seed, getter in rows:
        line = f"{seed:<13}{getter:<13}"
        for column in columns:
            cell = found.get((seed, getter, column))
            word = "-" if cell is None else "FAILED" if cell.failure else f"{cell.seconds:.1f}"
            line += f"{'yes' if column.startswith('refused') and word == '0.0' else word:>8}"
        print(line)
    print(f"{sum(not cell.failure for cell in cells)} of {len(cells)} passed", flush=True)


def body(world, options):
    roles = [f"{role} {kind}" for role in ("seed", "getter") for kind in KINDS] + ["dht"]
    places = dict(zip(roles, lan(world, [role.replace(" ", "-") for role in roles], options.network)))
    recorder = Recorder("bridge")
    maker = Maker(world, "maker", places["dht"])
    plain, secret = Options(dht=False), Options(dht=False, encryption="require")
    clear = Options(dht=False, encryption="off")
    refusers = ("qbittorrent", "libtorrent")  # for which `off` means off
    one = (["v1"], ["file"])
    plan = [("peer", cells_of("peer"), (plain, plain)), ("mse", cells_of("mse", *one), (secret, secret)),
            ("dht", cells_of("dht"), None)]
    if options.full:
        plan += [("up", cells_of("up", *one), (Options(dht=False, up=LIMIT), plain, LIMITED_SIZE)),
                 ("down", cells_of("down", *one), (plain, Options(dht=False, down=LIMIT), LIMITED_SIZE)),
                 ("refused", [c for c in cells_of("refused", *one) if c.getter in refusers], (secret, clear))]
    ran = []
    for way, cells, how in plan:
        cells = [cell for cell in cells if re.search(options.only, cell.name)]
        ran += cells
        if cells and way == "dht":
            by_dht(world, maker, places, cells)
        elif cells:
            by_peer(world, maker, places, cells, *how)
    check(ran, f"no cell matches {options.only}")
    print_table(ran)
    check_quiet(recorder)
    failed = [cell.name for cell in ran if cell.failure]
    check(not failed, f"{len(failed)} cells failed: {', '.join(failed)}")


def add_arguments(parser):
    parser.add_argument("--only", default="", help="cells whose name, `WAY SEED GETTER FORM CONTENT`, matches")
    parser.add_argument("--network", type=int, default=20, help="first number of all addresses (20; 10 is private)")


if __name__ == "__main__":
    main(body, add_arguments=add_arguments)
