"""Downloads that began from other clients' torrents, killed again and again; and files that another client fetched.

libtorrent seeds a folder as v1, as hybrid and as v2, at a limited rate. `shoal get x.torrent` is killed (SIGKILL) while
it downloads and started again, until it has been killed so often; then it completes, identical, having received little
more than the size, and at each start goes on from what was committed. Then libtorrent fetches a file;
`shoal verify` finds it whole, `shoal share --public` takes it from there without hashing, and a second libtorrent gets
it from shoal.

    python3 tests/interop/resume_foreign.py PROGRAM [--full]

3 kills a form, about 40 s; --full: 20 kills.
"""
import os
import random
import time

from client import PORT, Options
from libtorrent_driver import Libtorrent, Maker
from places import lan
from shoal_driver import Shoal
from harness import KIB, MIB, check, main, same, say

SIZES = {"big.bin": 24 * MIB + 5, "sub/small.bin": 300_001, "sub/empty": 0}
RATE = 6 * MIB  # bytes a second, of the seed


def killed_often(world, maker, seed, place, form, kills):
    name = f"{form} folder"
    for path, size in SIZES.items():
        world.file("source", name, path, size=size, seed=name)
    torrent = world.path(name + ".torrent")
    maker.create(world.path("source", name), torrent, form, 64 * KIB)
    seed.seed(torrent, world.path("source"))
    out, total, received, committed = world.folder("out " + form), sum(SIZES.values()), 0, 0
    arguments = ("get", torrent, "-o", out, "--state", world.path("state " + form), "--peer", f"{seed.address}:{seed.port}",
                 "--listen", f"{place.address}:{PORT}", "--bootstrap", "127.0.0.1:9", "--no-lsd", "--json")
    for number in range(kills):
        process = world.start(f"{form} {number}", *arguments, namespace=place.namespace)
        had = process.event("attached")["have_bytes"]
        check(had >= committed, f"{form}: {committed} bytes were committed and only {had} are there")
        process.event("receiving")
        process.runs_for(random.uniform(0.3, 0.9) if kills < 10 else random.uniform(0.1, 0.4))
        check(process.process.poll() is None, f"{form}: it ended before it was killed {kills} times")
        process.process.kill()
        process.exit(None)
        committed = max(committed, process.last("progress", "bytes_committed"))
        received += process.last("progress", "received")
    process = world.start(f"{form} last", *arguments, namespace=place.namespace)
    process.exit(0)
    received += process.last("progress", "received")
    same(world.path("source", name), os.path.join(out, name))
    say(f"{form}: identical after {kills} kills; {received / total:.2f} of its size is known to have come")


def adopted(world, maker, seed, places):
    path = world.file("foreign", "film.bin", size=8 * MIB + 3, seed="foreign")
    torrent = world.path("foreign.torrent")
    maker.create(path, torrent, "hybrid", 64 * KIB)
    seed.seed(torrent, world.path("foreign"))
    first = Libtorrent(world, "fetches", places["fetches"], Options(dht=False))
    key = first.get(torrent, world.folder("fetched"))
    first.connect(seed.address, seed.port, key)
    first.wait_complete(key=key)
    first.stop()
    shoal = Shoal(world, "adopts", places["shoal"], Options(dht=False))
    begun = time.monotonic()
    key = shoal.seed(torrent, world.path("fetched"))  # verify, then share: which must say that nothing was hashed
    second = Libtorrent(world, "gets", places["gets"], Options(dht=False))
    got = second.get(torrent, world.folder("second"))
    second.connect(shoal.address, shoal.port_of(key), got)
    second.wait_complete(key=got)
    same(path, world.path("second", "film.bin"))
    say(f"what libtorrent fetched is verified, shared and fetched again: {time.monotonic() - begun:.1f} s")
    shoal.stop()
    # What is shared from one folder may be fetched into another: with the same state, from the same swarm.
    state = shoal.known[key][2]
    again = world.start("elsewhere", "get", torrent, "-o", world.folder("elsewhere"), "--state", state, "--peer",
                        f"{second.address}:{second.port}", "--listen", f"{shoal.address}:0", "--bootstrap", "127.0.0.1:9",
                        "--no-lsd", "--json", namespace=places["shoal"].namespace)
    again.exit(0)
    same(path, world.path("elsewhere", "film.bin"))
    same(path, world.path("fetched", "film.bin"))
    second.stop()


def body(world, options):
    names = ["seed", "shoal", "fetches", "gets"]
    places = dict(zip(names, lan(world, names)))
    maker = Maker(world, "maker", places["seed"])
    seed = Libtorrent(world, "seed", places["seed"], Options(dht=False, up=RATE)).start()
    for form in ("v1", "hybrid", "v2"):
        killed_often(world, maker, seed, places["shoal"], form, 20 if options.full else 3)
    adopted(world, maker, seed, places)
    seed.stop()


if __name__ == "__main__":
    main(body)
