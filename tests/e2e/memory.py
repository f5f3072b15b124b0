"""Memory is bounded, whatever the size of the content.

Shows: the peak resident memory of `get` and `share` stays below 96 MiB, of an idle `node` that knows others below
32 MiB.

About 15 s with 512 MiB. --full: 2 GiB, about 1 min.
"""
from harness import GIB, MIB, check, main, same, say

GET_LIMIT, SHARE_LIMIT, NODE_LIMIT = 96 * MIB, 96 * MIB, 32 * MIB


def body(world, options):
    size = 2 * GIB if options.full else 512 * MIB
    path = world.file("big.bin", size=size)
    first = world.peer("node", "node")
    idle = world.peer("idle node", "node", "--bootstrap", f"127.0.0.1:{first.port}")
    sharer = world.peer("sharer", "share", path, "--bootstrap", f"127.0.0.1:{first.port}")
    getter = world.peer("getter", "get", sharer.event("link", within=120)["link"], "-o", world.folder("out"), "--seed",
                        "forever")
    complete = getter.event("complete", within=300)
    say(f"{size / MIB:.0f} MiB in {complete['seconds']:.1f} s, {size / MIB / complete['seconds']:.0f} MiB/s")
    idle.event("contacts", lambda e: e["contacts"] >= 2)
    figures = []
    for process, limit in ((getter, GET_LIMIT), (sharer, SHARE_LIMIT), (idle, NODE_LIMIT)):
        peak = process.memory("VmHWM")
        figures.append((process.name, peak, limit))
        say(f"{process.name}: peak {peak / MIB:.1f} MiB, now {process.memory('VmRSS') / MIB:.1f} MiB, of it "
            f"{process.memory('RssAnon') / MIB:.1f} MiB its own")
    same(path, world.path("out", "big.bin"))
    for name, peak, limit in figures:
        check(peak < limit, f"{name} took {peak / MIB:.1f} MiB, more than {limit / MIB:.0f}")
    for process in (getter, sharer, idle, first):
        process.stop()


if __name__ == "__main__":
    main(body)
