"""The textbook's bound for distributing a file among peers, met by real processes.

With a file of F bytes, a sharer that uploads u_s and N peers that upload u each, nobody can have all N copies out
before max(F / u_s, N F / (u_s + N u)) (Kurose and Ross, "P2P file distribution"). Client and server would need
N F / u_s.

Shows: 8 peers at 2 MiB/s up and a sharer at 20 MiB/s up, rates counting every byte on sockets, are done within 1.20
of the bound, counted from the start of the first process to the last verified copy.

The CI form has 48 MiB (bound 10.7 s), where one round of choking (10 s) is as long as the whole: it must stay below
1.6. --full: 256 MiB (bound 56.9 s), about 75 s: below 1.20.
"""
from harness import MIB, check, main, same, say

PEERS, SHARER_UP, PEER_UP = 8, 20 * MIB, 2 * MIB


def body(world, options):
    size, limit = (256 * MIB, 1.20) if options.full else (48 * MIB, 1.60)
    bound = max(size / SHARER_UP, PEERS * size / (SHARER_UP + PEERS * PEER_UP))
    path = world.file("big.bin", size=size)
    sharer = world.peer("sharer", "share", path, "--up", "20M")
    link = sharer.link
    getters = [world.peer(f"peer{i}", "get", link, "-o", world.folder(f"out{i}"), "--up", "2M", "--seed", "forever")
               for i in range(PEERS)]
    start = min(getter.started for getter in getters)
    times = sorted(getter.event("complete", within=5 * bound + 60)["seen"] - start for getter in getters)
    for i in range(PEERS):
        same(path, world.path(f"out{i}", "big.bin"))
    sent = {p.name: p.last("progress", "sent") / MIB for p in [sharer, *getters]}
    wasted = sum(g.last("progress", "wasted") for g in getters) / MIB
    say(f"bound {bound:.1f} s (client and server: {PEERS * size / SHARER_UP:.1f} s); first {times[0]:.1f} s, last "
        f"{times[-1]:.1f} s: ratio {times[-1] / bound:.2f}")
    say(f"sharer sent {sent['sharer']:.0f} MiB, peers {min(list(sent.values())[1:]):.0f} to "
        f"{max(list(sent.values())[1:]):.0f} MiB each, wasted {wasted:.1f} MiB")
    for process in [*getters, sharer]:
        process.stop()
    check(times[-1] <= limit * bound, f"the last copy came at {times[-1] / bound:.2f} of the bound, not {limit}")


if __name__ == "__main__":
    main(body)
