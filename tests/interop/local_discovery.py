"""Local discovery (BEP 14) with libtorrent, on a private network, each way: no DHT, no address, no tracker.

shoal shares a file in public and libtorrent finds it; libtorrent seeds another and shoal finds that. With --no-lsd
shoal sends nothing to the group.

About 5 s; it has no longer form.
"""
import os
import time

from client import Options
from libtorrent_driver import Libtorrent, Maker
from places import lan
from harness import MIB, check, main, same, say
from recorder import Recorder

GROUP = bytes([239, 192, 152, 143])


def calls(recorder):
    """Frames to BEP 14's group, of IPv4 and IPv6."""
    return [frame for _, frame in recorder.frames if frame[30:34] == GROUP or frame[38:42] == b"\xff\x15\x00\x00"]


def body(world, options):
    names = ["a", "b"]
    places = dict(zip(names, lan(world, names, network=10)))
    maker = Maker(world, "maker", places["a"])
    recorder = Recorder("port1")  # all that `a` sends and gets
    ours, theirs = (world.file("source", f"{name}.bin", size=4 * MIB, seed=name) for name in ("ours", "theirs"))
    nobody = ("--bootstrap", "127.0.0.1:9")

    def shoal(name, *arguments):
        return world.start(name, *arguments, "--state", world.path("state " + name), "--listen",
                           f"{places['a'].address}:0", *nobody, "--json", namespace=places["a"].namespace)

    quiet = shoal("quiet", "share", "--public", ours, "--no-lsd")
    quiet.event("link")
    quiet.runs_for(2)
    quiet.stop()
    check(not calls(recorder), "--no-lsd called all the same")

    other = Libtorrent(world, "other", places["b"], Options(dht=False), settings={"enable_lsd": True}).start()
    sharer = shoal("sharer", "share", "--public", ours)
    link = sharer.event("link")["link"]
    bare = "&".join(part for part in link.split("&") if not part.startswith("x.pe"))
    begun = time.monotonic()
    key = other.get(bare, world.folder("out other"))
    other.wait_complete(key=key)
    same(ours, world.path("out other", "ours.bin"))
    say(f"libtorrent found shoal's share: {time.monotonic() - begun:.1f} s")
    sharer.stop()

    torrent = world.path("theirs.torrent")
    maker.create(theirs, torrent, "hybrid", 64 * 1024)
    other.seed(torrent, world.path("source"))
    begun = time.monotonic()
    getter = shoal("getter", "get", torrent, "-o", world.folder("out"))
    getter.exit(0)
    same(theirs, os.path.join(world.path("out"), "theirs.bin"))
    say(f"shoal found libtorrent's: {time.monotonic() - begun:.1f} s")
    recorder.stop()
    check(calls(recorder), "nobody called")
    other.stop()


if __name__ == "__main__":
    main(body)
