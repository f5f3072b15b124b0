"""The textbook's bound for distributing a file among peers, met by real processes; and the simulator's word on it.

With a file of F bytes, a sharer that uploads us and N peers that upload u each, nobody can have all N copies out
before max(F / us, N F / (us + N u)) (Kurose and Ross, "P2P file distribution"). Client and server would need
N F / us. Times count from the last getter's start to the last durable finish; whoever has finished stays.

By --up, us = 20 MiB/s and u = 2 MiB/s, every byte on sockets counting: the last copy within 1.05 of the bound. A time
below the bound, counted from the first getter's start, says that the measurement is broken, and fails: limiters start
with nothing saved, and the getters follow the sharer at once.

In network namespaces, the uplink of each shaped by htb: as long as `shoal simulate textbook` takes with the same
lines, within 10 %. As in the simulator, an uplink is shared among its destinations by turns: a class each. htb counts
whole Ethernet frames and the simulator no headers, so the simulator is told the part of the rate that full frames
carry. Acknowledgements, which the simulator has for nothing, are left to the 10 %.

The CI form has 48 MiB for 8 peers (bound 10.7 s), where one round of choking (10 s) is as long as the whole: 1.6; and
36 MiB for 5 peers on lines of 5 and 1 MiB/s (bound 19 s), simulated within 25 %. About 50 s.
--full: 256 MiB for 1, 2, 5, 8 and 30 peers, and for 8 peers in namespaces: about 7 min. --n 30: that number alone.
"""
import shutil
from dataclasses import dataclass
from statistics import mean

from harness import MIB, check, main, run, same, say

SHARER_UP, PEER_UP = 20 * MIB, 2 * MIB
COUNTS = (1, 2, 5, 8, 30)
FULL_FRAME = 1448 / 1514  # TCP payload in an Ethernet frame of full length, with timestamps
QUEUE = 64  # frames to one destination: 96 KiB
ROUND_TRIP = 0.2  # ms, between two namespaces without load
SEEDS = (1, 2, 3)  # simulations; one run may be 5 % off another


@dataclass(frozen=True)
class Case:
    """Bytes, and bytes a second."""

    peers: int
    size: int
    sharer_up: float
    peer_up: float

    @property
    def bound(self):
        return max(self.size / self.sharer_up,
                   self.peers * self.size / (self.sharer_up + self.peers * self.peer_up))

    @property
    def rates(self):
        """Of the sharer, then of the getters."""
        return [self.sharer_up] + [self.peer_up] * self.peers


@dataclass(frozen=True)
class Outcome:
    times: list  # of the getters, in order
    starting: float  # from the first getter's start to the last one's
    sent: list  # bytes: the sharer, then the getters
    wasted: int

    @property
    def last(self):
        return self.times[-1]


def distribute(world, case, name, lines):
    """Real processes, the sharer first; `lines` has the arguments and keywords of peer() for each of them."""
    path = world.file("big.bin", size=case.size)
    (more, how), *others = lines
    sharer = world.peer(f"{name} sharer", "share", path, *more, **how)
    link = sharer.link
    outs = [world.folder("out", str(i)) for i in range(case.peers)]
    getters = [world.peer(f"{name} peer {i}", "get", link, "-o", out, "--seed", "forever", *more, **how)
               for i, (out, (more, how)) in enumerate(zip(outs, others))]
    start = getters[-1].started
    ends = [getter.event("complete", within=5 * case.bound + 60)["seen"] for getter in getters]
    for out in outs:
        same(path, out + "/big.bin")
    for process in [*getters, sharer]:
        process.stop()
    shutil.rmtree(world.path("out"))
    return Outcome(times=sorted(end - start for end in ends), starting=start - getters[0].started,
                   sent=[p.last("progress", "sent") for p in [sharer, *getters]],
                   wasted=sum(getter.last("progress", "wasted") for getter in getters))


def by_limit(world, case, most):
    """Lines that the processes themselves keep to. Gives what is wrong."""
    outcome = distribute(world, case, f"{case.peers}:", [(["--up", str(rate)], {}) for rate in case.rates])
    ratio = outcome.last / case.bound
    say(f"{case.peers:3} peers: bound {case.bound:6.2f} s, time {outcome.last:6.2f} s, ratio {ratio:.3f}; first "
        f"{outcome.times[0]:6.2f} s, mean {mean(outcome.times):6.2f} s; wasted {outcome.wasted} bytes; sharer sent "
        f"{outcome.sent[0] / MIB:.0f} MiB, peers {min(outcome.sent[1:]) / MIB:.0f} to {max(outcome.sent[1:]) / MIB:.0f}; "
        f"all started within {outcome.starting:.2f} s")
    # The first to start have begun before the clock did.
    check(outcome.last + outcome.starting >= case.bound,
          f"{case.peers} peers: {ratio:.3f} of the bound, faster than can be: measured wrongly")
    return [] if ratio <= most else [f"{case.peers} peers: the last copy came at {ratio:.3f} of the bound, not {most}"]


def shape(place, rate, addresses):
    """An uplink of that rate, shared by turns among those who are sent something."""
    lines = ["qdisc add dev eth0 root handle 1: htb",
             f"class add dev eth0 parent 1: classid 1:ffff htb rate {rate}bps burst 32kb cburst 32kb"]
    for number, address in enumerate(addresses, 1):
        lines += [f"class add dev eth0 parent 1:ffff classid 1:{number:x} htb rate {rate // len(addresses)}bps "
                  f"ceil {rate}bps burst 2kb cburst 2kb quantum 3028",
                  f"qdisc add dev eth0 parent 1:{number:x} pfifo limit {QUEUE}",
                  f"filter add dev eth0 parent 1: protocol ip u32 match ip dst {address}/32 flowid 1:{number:x}"]
    run("tc", "-n", place, "-batch", "-", input="\n".join(lines).encode())


def by_shaper(world, case, most):
    """Lines that the kernel shapes, with the case's rates for frames; the simulator has the same. Gives what is wrong."""
    places = world.lan(["sharer"] + [f"peer{i}" for i in range(case.peers)])
    for place, rate in zip(places, case.rates):
        shape(place, rate, [f"192.168.77.{number}" for number in range(1, len(places) + 1)])
    net = ["--local", "--no-lsd", "--listen", "0.0.0.0:6881"]
    outcome = distribute(world, case, "shaped", [([], {"namespace": place, "net": net}) for place in places])
    real = outcome.last
    payload = Case(case.peers, case.size, case.sharer_up * FULL_FRAME, case.peer_up * FULL_FRAME)
    virtual = [simulate(world, payload, seed) for seed in SEEDS]
    difference = real / mean(virtual) - 1
    say(f"{case.peers:3} peers in namespaces: bound {payload.bound:6.2f} s, time {real:6.2f} s, ratio "
        f"{real / payload.bound:.3f}, simulated {', '.join(f'{time:.2f}' for time in virtual)} s: real "
        f"{100 * difference:+.1f} %")
    check(real + outcome.starting >= payload.bound, "in namespaces: faster than can be: measured wrongly")
    return [] if abs(difference) <= most else [f"in namespaces the time is {100 * difference:+.1f} % off the simulated"]


def simulate(world, case, seed):
    """Seconds."""
    parameters = {"bytes": case.size / MIB, "hours": case.size / case.peer_up / 3600,
                  "seed-up": case.sharer_up / case.peer_up, "rtt": ROUND_TRIP, "nodes": case.peers, "seed": seed}
    process = world.start(f"simulation {seed}", "simulate", "textbook", "--json",
                          *[text for name, value in parameters.items() for text in (f"--{name}", str(value))])
    process.exit(within=600)
    return process.event("textbook")["time_s"]


def body(world, options):
    if options.n or options.full:
        wrong = [sentence for n in ([options.n] if options.n else COUNTS)
                 for sentence in by_limit(world, Case(n, 256 * MIB, SHARER_UP, PEER_UP), 1.05)]
        if not options.n:
            wrong += by_shaper(world, Case(8, 256 * MIB, SHARER_UP, PEER_UP), 0.10)
    else:
        wrong = by_limit(world, Case(8, 48 * MIB, SHARER_UP, PEER_UP), 1.6)
        wrong += by_shaper(world, Case(5, 36 * MIB, 5 * MIB, MIB), 0.25)
    check(not wrong, "; ".join(wrong))


if __name__ == "__main__":
    main(body, add_arguments=lambda parser: parser.add_argument("--n", type=int, help="that many peers alone, 256 MiB"))
