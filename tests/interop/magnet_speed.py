"""From a magnet link, through the DHT alone, to the first bytes of a file: shoal and the other clients in turn.

Twelve DHT nodes of libtorrent, and a libtorrent that seeds a file of 60 KiB for each round and client, as hybrids
(v1 for who knows no other). The other clients run and have a warm DHT; shoal is started for each link, as people do,
with the contacts that earlier runs saved. Taken is the time to the first bytes: of shoal those received, of the others
those that they show as there; from giving the link, for shoal from starting the process and, since the others run
already, from when it listens. libtorrent dials in the clear, shoal obfuscated, for which libtorrent as the seed takes
some milliseconds to agree on a key; so both run both ways.

    python3 tests/interop/magnet_speed.py PROGRAM [--full]

3 rounds, about 1 min; --full makes 11. shoal's median is to be 1.0 s at most from starting the process, and with
--full, from listening, no more in the clear than that of the fastest of the others, and obfuscated no more than that
of libtorrent obfuscated.
"""
import os
import statistics
import time

from client import Options
from clients import KINDS
from libtorrent_driver import DhtNodes, Libtorrent, Maker
from places import lan
import harness
from harness import KIB, check, main, same, say

MOST = 1.0  # seconds
POLL = 0.005
HIDDEN = "libtorrent obfuscated"
SHOALS = {"shoal": [], "shoal in the clear": ["--mse", "off"]}


def kind_of(name):
    return KINDS[name.removesuffix(" obfuscated")]


def body(world, options):
    rounds = 11 if options.full else 3
    others = [kind for kind in KINDS if kind != "transmission"]  # it looks up once in minutes (clients.py)
    options_of = {kind: Options() for kind in others}
    options_of[HIDDEN] = Options(encryption="require")
    others.append(HIDDEN)
    names = ["nodes", "seed", "shoal", *others]
    places = dict(zip(names, lan(world, [name.replace(" ", "-") for name in names])))
    maker = Maker(world, "maker", places["nodes"])
    nodes = DhtNodes(world, "nodes", places["nodes"]).start()
    seed = Libtorrent(world, "seed", places["seed"], Options())
    clients = {kind: kind_of(kind)(world, kind, places[kind], options_of[kind]) for kind in others}
    for client in [seed, *clients.values()]:
        for host, port in nodes.endpoints:
            client.dht_node(host, port)
        client.start()
    made = {}
    for turn in range(rounds + 1):  # the first is for warming up
        for kind in [*others, *SHOALS]:
            name = f"{kind}-{turn}.bin"
            path = world.file("source", name, size=60 * KIB, seed=name)
            form = "hybrid" if kind in SHOALS or "hybrid" in kind_of(kind).FORMS else "v1"
            made[kind, turn] = maker.create(path, world.path(name + ".torrent"), form, 16 * KIB)
            seed.seed(world.path(name + ".torrent"), world.path("source"), wait=False)
    for torrent in made.values():
        nodes.wait_announced(torrent["btih"], seed.address, seed.port, 2 * harness.DEADLINE)
    say(f"{len(made)} contents are announced")
    took = {kind: [] for kind in [*others, *SHOALS, *(f"{kind}, once it listens" for kind in SHOALS)]}
    for turn in range(rounds + 1):
        for kind in [*others, *SHOALS]:
            times = took[kind]
            out, link = world.folder(f"out-{kind}-{turn}"), made[kind, turn]["magnet"]
            begun = time.monotonic()
            if kind in SHOALS:
                node = "{}:{}".format(*nodes.endpoints[3])
                process = world.start(f"{kind} {turn}", "get", link, "-o", out, "--state", world.path("state"), "--listen",
                                      f"{places['shoal'].address}:6881", "--bootstrap", node, "--no-lsd", "--json",
                                      *SHOALS[kind], namespace=places["shoal"].namespace)
                process.exit(0)
                first = process.event("receiving")["seen"]
                took[f"{kind}, once it listens"].append(first - process.event("listening")["seen"])
            else:
                key = clients[kind].get(link, out)
                first = 0
                while not (progress := clients[kind].progress(key)).complete:
                    first = first or (time.monotonic() if progress.done > 0 else 0)
                    check(time.monotonic() < begun + 3 * harness.DEADLINE, f"{kind} did not complete")
                    time.sleep(POLL)
                first = first or time.monotonic()
            times.append(first - begun)
            same(world.path("source", f"{kind}-{turn}.bin"), os.path.join(out, f"{kind}-{turn}.bin"))
    medians = {kind: statistics.median(times[1:]) for kind, times in took.items()}
    for kind, times in took.items():
        say(f"{kind}: median {medians[kind]:.3f} s of " + " ".join(f"{each:.3f}" for each in times[1:]))
    check(all(medians[kind] <= MOST for kind in SHOALS), f"more than {MOST} s")
    for ours, theirs in (("shoal in the clear", [kind for kind in others if kind != HIDDEN]), ("shoal", [HIDDEN])):
        fastest = min(medians[kind] for kind in theirs)
        check(not options.full or medians[f"{ours}, once it listens"] <= fastest,
              f"{ours} is slower than the fastest of the others, {fastest:.3f} s")


if __name__ == "__main__":
    main(body)
