"""A22: a crowd of slow sockets keeps nobody out.

2,000 sockets from 500 addresses, each in a network of its own, hold on to a public share, and whose socket is closed
comes again. They say nothing; or a byte a second of noise, of BitTorrent's greeting or of an obfuscated one; or they
greet as BitTorrent's peers do, and then send nothing but keep-alives, byte by byte, and have all places that there are.
A getter that comes meanwhile, the sharer's uplink being limited, is done at most 10 % later than alone, and the
sharer's descriptors stay few.

What the machine does beside can only make a getter later. So one that is too late is compared with one alone right after
it as well, and tried again: a crowd that is in the way is so each time.

The first two of these manners, about 20 s; --full: all of them three times, with 64 MiB.
"""
import itertools
import os
import random
import shutil

from hostile import Crowd, battlefield, descriptors, greeting, listening_at, name_of
from harness import MIB, check, main, same, say

SOCKETS, SOURCES = 2000, 500
UP = 8 * MIB
SLOWED = 1.10
TRIES = 4
DESCRIPTORS = 300  # 64 that wait at the door, 80 peers, those being closed, and the process's own
BOUNDED = ("silent", "dripping noise")
PLACES = 60  # of the crowd's that have greeted: near all that there are
DOOR = 64  # so many are held before the first is sent away


def dripping(make):
    """Says the bytes of make() one by one, each in its turn."""
    source = itertools.chain.from_iterable(iter(make, None))
    return lambda: bytes([next(source)])


def manners(info_hash):
    # Who comes again at once takes the places of its own like before they are held.
    keepalives = dripping(lambda: bytes(4))
    return {
        "silent": {},
        "dripping noise": {"drip": lambda: random.randbytes(1)},
        "dripping BitTorrent's greeting": {"opening": lambda: greeting(info_hash)[:random.randrange(1, 60)],
                                           "drip": lambda: b"\0"},
        "dripping an obfuscated greeting": {"opening": lambda: random.randbytes(100), "drip": lambda: random.randbytes(1)},
        "greeted, dripping keep-alives": {"opening": lambda: greeting(info_hash), "drip": keepalives, "again": 5},
    }


class Field:
    def __init__(self, world, size):
        self.world, self.places = world, battlefield(world, "attacker", "sharer", "getter")
        self.path = world.file("content.bin", size=size)
        self.sharer = world.peer("sharer", "share", "--public", self.path, "--up", str(UP), "--no-lsd", net=[],
                                 namespace=self.places["sharer"].namespace)
        self.link, self.runs = self.sharer.link, 0
        self.alone = min(self.seconds() for _ in range(2))
        say(f"alone: {self.alone:.2f} s")

    def seconds(self):
        """Until a getter that starts now is done."""
        self.runs += 1
        out = self.world.folder(f"out{self.runs}")
        getter = self.world.peer(f"getter{self.runs}", "get", self.link, "-o", out, "--no-lsd", net=[],
                                 namespace=self.places["getter"].namespace)
        done = getter.event("complete", within=60)["seen"]
        getter.exit(0)
        same(self.path, os.path.join(out, "content.bin"))
        shutil.rmtree(out)
        return done - getter.started

    def crowded(self, name, manner, wrong):
        for _ in range(TRIES):
            took, most = self.seconds_among(name, manner)
            if most > DESCRIPTORS:
                wrong.append(f"{name}: {most} descriptors")
            # Who is too late is compared with who comes right after it, too: the machine may have become slower.
            if took <= SLOWED * self.alone or took <= SLOWED * (alone := self.seconds()):
                return
        wrong.append(f"{name}: {took:.2f} s instead of {alone:.2f}, the last of {TRIES} times")

    def seconds_among(self, name, manner):
        """With that crowd around, and the most descriptors that the sharer had."""
        crowd = Crowd(self.places["attacker"], listening_at(self.places["sharer"], self.sharer), SOCKETS, SOURCES, **manner)
        crowd.established(SOCKETS)
        if name.startswith("greeted"):
            known = len(self.sharer.events)
            self.sharer.event("progress", lambda event: event["peers"] >= PLACES, since=known, within=60)
        took, most = self.seconds(), descriptors(self.sharer)
        crowd.stop()
        say(f"{name}: {took:.2f} s, {100 * (took / self.alone - 1):+.1f} %; {crowd.dialled} streams, {crowd.peak} open at "
            f"once, told {crowd.heard} bytes; {most} descriptors")
        check(crowd.peak >= DOOR, "the crowd held no places: this test sees nothing")
        return took, most


def body(world, options):
    field, wrong = Field(world, (64 if options.full else 36) * MIB), []
    all_of = manners(name_of(field.link))
    for name in [*all_of] * 3 if options.full else BOUNDED:
        field.crowded(name, all_of[name], wrong)
    field.sharer.stop()
    check(not wrong, "; ".join(wrong))


if __name__ == "__main__":
    main(body)
