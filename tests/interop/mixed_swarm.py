"""One seed and eight getters of five kinds (2 shoal, 2 libtorrent, 2 qBittorrent, Transmission, aria2), v1, who find
each other through DHT nodes of libtorrent alone. Everybody's upload is limited. The swarm runs seeded by shoal and
seeded by libtorrent, in turn: all must complete, and the last getter, taken as the median over the rounds, no later
with shoal's seed.

    python3 tests/interop/mixed_swarm.py PROGRAM [--full]

One round takes about 2 min; --full makes five. Prints the seconds of each getter, and the bound of Kurose and Ross.
"""
import os
import shutil
import statistics
import time

from client import Options
from clients import Aria2, QBittorrent, Transmission
from libtorrent_driver import DhtNodes, Libtorrent, Maker
from places import lan
from shoal_driver import Shoal
import harness
from harness import KIB, MIB, check, main, same, say

SIZE, SEED_UP, UP = 16 * MIB, 1 * MIB, 512 * KIB
GETTERS = [Shoal, Shoal, Libtorrent, Libtorrent, QBittorrent, QBittorrent, Transmission, Aria2]
SLACK = 1.1  # of the medians: getters' unchoking rounds of 10 s make single runs differ by more


def bound():
    return max(SIZE / SEED_UP, len(GETTERS) * SIZE / (SEED_UP + len(GETTERS) * UP))


def one_swarm(world, maker, places, nodes, kind, turn):
    name = f"{kind.KIND} {turn}"
    path = world.file("source " + name, "film.bin", size=SIZE, seed=name)
    served = world.folder("served " + name)
    shutil.copy(path, served)
    torrent = world.path(name + ".torrent")
    made = maker.create(path, torrent, "v1", 256 * KIB)

    def client(kind, role, place, up):
        made_client = kind(world, f"{name} {role}", place, Options(up=up))
        for host, port in nodes.endpoints:
            made_client.dht_node(host, port)
        return made_client.start()

    seed = client(kind, "seed", places[0], SEED_UP)
    key = seed.seed(torrent, served)
    nodes.wait_announced(made["btih"], seed.address, seed.port_of(key), 2 * harness.DEADLINE)
    getters = [client(each, f"getter {number}", place, UP)
               for number, (each, place) in enumerate(zip(GETTERS, places[1:]))]
    for getter in getters:
        if getter.dht_size() is not None:
            getter.wait_dht(4)
    begun, keys, took = time.monotonic(), [], {}
    for number, getter in enumerate(getters):
        keys.append(getter.get(torrent, world.folder(f"out {name} {number}")))
    end = begun + 4 * harness.DEADLINE
    while len(took) < len(getters):
        check(time.monotonic() < end, f"{name}: only {len(took)} completed: " + ", ".join(
            f"{GETTERS[n].KIND} {getters[n].progress(keys[n])}" for n in range(len(getters)) if n not in took))
        for number, getter in enumerate(getters):
            if number not in took and getter.progress(keys[number]).complete:
                took[number] = time.monotonic() - begun
        time.sleep(0.1)
    for number in range(len(getters)):
        same(path, world.path(f"out {name} {number}", "film.bin"))
    for each in [seed, *getters]:
        each.stop()
    say(f"seeded by {kind.KIND}: last {max(took.values()):.1f} s, bound {bound():.1f} s; " + ", ".join(
        f"{GETTERS[n].KIND} {took[n]:.1f}" for n in sorted(took)))
    for number in range(len(getters)):
        shutil.rmtree(world.path(f"out {name} {number}"))
    return max(took.values())


def body(world, options):
    names = ["nodes", "seed"] + [f"g{n}" for n in range(len(GETTERS))]
    places = lan(world, names)
    maker = Maker(world, "maker", places[0])
    nodes = DhtNodes(world, "nodes", places[0]).start()
    last = {Shoal: [], Libtorrent: []}
    for turn in range(5 if options.full else 1):
        for kind in last:
            last[kind].append(one_swarm(world, maker, places[1:], nodes, kind, turn))
    ours, theirs = (statistics.median(last[kind]) for kind in (Shoal, Libtorrent))
    say(f"median of the last: {ours:.1f} s seeded by shoal, {theirs:.1f} s by libtorrent ({ours / theirs:.2f})")
    check(ours <= SLACK * theirs, "a swarm seeded by shoal is slower")


if __name__ == "__main__":
    main(body)
