"""A31: junk in the place of greetings costs little.

From 10,000 addresses, each in a network of its own, streams are opened that begin with noise, as many a second as this
machine can; 100,000 are wanted. A sealed share computes nothing for them but a look-up. Where a public content is open,
the noise may be an obfuscated greeting, for some of which a key agreement is computed. How many streams a second are
opened is a matter of the machine; so what one may take is bounded: to accept it, to read it and to close it costs, with
the system's part, about half a key agreement, and together with one it would be more than one and a half. (Which part
is the system's is told as well, but it is counted by the ticks of a clock: some systems are far off.) A getter that
comes meanwhile is served.

About 15 s; --full: half a minute of each.
"""
import os
import time

from hostile import V4_CROWD, Flood, Meter, battlefield
from harness import MIB, check, main, same, say

CROWD, RATE = 10_000, 100_000  # addresses; streams a second
COST = 1.25  # key agreements a stream, of what this machine computes meanwhile
NOISE = 112  # bytes, as a first flight of the native dialect has; of an obfuscated one 96 are enough
PATIENCE = 30  # seconds, for the getter


def flood(world, places, kind, more, seconds, wrong):
    path = world.file(kind, "content.bin", size=4 * MIB)
    sharer = world.peer(f"{kind} sharer", "share", path, *more, "--no-lsd", net=[], namespace=places["sharer"].namespace)
    link = sharer.link
    attack = Flood(world, places["attacker"], "dial_flood", f"{places['sharer'].address}:{sharer.port}", V4_CROWD, CROWD,
                   NOISE, RATE, seconds)
    time.sleep(0.5)  # past what it may have at once
    meter = Meter(sharer)
    out = world.folder(f"out {kind}")
    getter = world.peer(f"{kind} getter", "get", link, "-o", out, "--no-lsd", net=[], namespace=places["getter"].namespace)
    done = getter.event("complete", within=PATIENCE)["seen"] - getter.started
    meanwhile = attack.process.poll() is None
    told = attack.result()
    own, system = meter.shares()
    getter.exit(0)
    same(path, os.path.join(out, "content.bin"))
    rate = told["spoke"] / told["seconds"]
    cost = 1e6 * (own + system) / rate / told["agreement_us"]
    what = (f"{kind} share: {rate:.0f} streams of noise a second: {100 * own:.1f} % of a core, and {100 * system:.1f} % in "
            f"the system: {1e6 * (own + system) / rate:.0f} us a stream, {cost:.2f} of a key agreement")
    say(f"{what}; a getter had its 4 MiB after {done:.2f} s")
    check(told["spoke"] > 1000, f"only {told['spoke']} streams were opened: this test sees nothing")
    if cost >= COST:
        wrong.append(what)
    if not meanwhile:
        wrong.append(f"{kind}: the getter was served after the flood alone, {done:.2f} s")
    if kind == "sealed" and told["heard_bytes"] > 0:
        wrong.append(f"{told['heard_bytes']} bytes came back")
    sharer.stop()


def body(world, options):
    places = battlefield(world, "attacker", "sharer", "getter")
    seconds, wrong = 30 if options.full else 6, []
    flood(world, places, "sealed", ["--no-mainline"], seconds, wrong)
    flood(world, places, "public", ["--public"], seconds, wrong)
    check(not wrong, "; ".join(wrong))


if __name__ == "__main__":
    main(body)
