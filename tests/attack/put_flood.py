"""A14, A15: floods of puts from 10,000 addresses, each in a network of its own, against a real node over a cable.

A15: 50,000 puts a second with tokens that were never given, or as many as this machine sends, cost the node's own code
less than a tenth of a core, from one address and from all, in either dialect; and with what the system needs to hand
them over, which a datagram costs any program, less than a third. (The first is judged by --full alone: in the shorter
run few ticks of a clock tell the two apart.) Puts with good tokens, of which its guard lets in no
more than it can afford, cost less than three tenths in all.

A14: the memory of a node that is put to from all these addresses grows by at most 48 MiB, all its stores together:
records of shoal's dialect, peers and items of BitTorrent's, over IPv4 and IPv6. What was stored before by honest nodes
is there still: 90 of 100.

80,000 puts, about 40 s; --full: 10^6, about 10 minutes.
"""
import time

from hostile import V4_CROWD, V6_CROWD, V6_OF, Flood, Meter, battlefield, slower
from harness import MIB, check, main, say

CROWD = 10_000
FLOOD = 50_000  # a second
QUESTIONS = 2000  # a second, for tokens: with the puts that follow, more than its guard lets in
# Of a core of a machine that is not slower() than ours; the first is the figure of THREATS A15.
FORGED_OWN, FORGED_SHARE, GOOD_SHARE = 0.10, 0.33, 0.30
TRIES = 3  # what is the machine's passes, what is the node's is there each time
GROWTH = 48 * MIB
HONEST, HONEST_KEPT = 100, 90
STORES = ("records", "peers", "items")
HONEST_V4 = "24.0.0.1"


class Node:
    def __init__(self, world, places, name):
        self.world, self.attacker = world, places["attacker"]
        victim = places["victim"]
        self.process = world.peer(name, "node", "--bootstrap", "127.0.0.1:9", "--no-lsd", net=[],
                                  namespace=victim.namespace)
        self.v4 = f"{victim.address}:{self.process.port}"
        self.v6 = f"[{V6_OF.format(2)}]:{self.process.port}"

    def start(self, to, first, sources, manner, store, rate, puts, seconds):
        return Flood(self.world, self.attacker, "dht_flood", to, first, sources, manner, store, rate, puts, seconds)


def share(node, seconds, store, manner, sources, rate):
    """Of a core while it is flooded, the node's own and the system's, and what the flood tells."""
    attack = node.start(node.v4, V4_CROWD, sources, manner, store, rate, 10**9, seconds)
    attack.begun()
    time.sleep(0.5)  # past the burst that everybody may have
    meter = Meter(node.process)
    told = attack.result()
    return *meter.shares(), told


def processor(world, places, full, wrong):
    seconds = 10 if full else 2
    node = Node(world, places, "node for a15")
    for store, sources in (("records", 1), ("records", CROWD), ("items", CROWD)):
        for _ in range(TRIES):
            own, system, told = share(node, seconds, store, "forged", sources, FLOOD)
            what = (f"{told['puts'] / told['seconds']:.0f} forged puts of {store} a second from {sources} addresses: "
                    f"{100 * own:.1f} % of a core, and {100 * system:.1f} % in the system; "
                    f"a key agreement takes {told['agreement_us']:.0f} us")
            say(what)
            check(told["refused"] > 0, "nothing was answered: this test sees nothing")
            if told["accepted"] > 0:
                wrong.append(f"A15: {told['accepted']} forged puts of {store} were accepted")
            if own + system < FORGED_SHARE * slower(told) and not (full and own >= FORGED_OWN * slower(told)):
                break
        else:
            wrong.append(f"A15: {what}")
    for store in STORES:
        for _ in range(TRIES):
            own, system, told = share(node, seconds, store, "put", CROWD, QUESTIONS)
            say(f"{told['puts'] / told['seconds']:.0f} puts of {store} a second with good tokens among "
                f"{told['asked'] / told['seconds']:.0f} questions: {100 * own:.1f} % of a core, and "
                f"{100 * system:.1f} % in the system; {told['accepted']} accepted")
            check(told["accepted"] > 0, f"no put of {store} was accepted: this test sees nothing")
            if own + system < GOOD_SHARE * slower(told):
                break
        else:
            wrong.append(f"A15: good {store} took {100 * (own + system):.1f} % of a core")
    node.process.stop()


def memory(world, places, puts, wrong):
    """`puts` to each store, over both families at once."""
    node = Node(world, places, "node for a14")
    stored = node.start(node.v4, HONEST_V4, HONEST, "put", "records", 100, 4 * HONEST, 30).result()
    check(stored["accepted"] > HONEST, f"what is honest was not stored: {stored}")
    before = node.process.memory("VmRSS")
    sent = 0
    for store in STORES:
        attacks = [node.start(to, first, CROWD, "put", store, QUESTIONS if store == "items" else QUESTIONS // 3,
                              puts[store] // 2, 600) for to, first in ((node.v4, V4_CROWD), (node.v6, V6_CROWD))]
        for attack in attacks:
            told = attack.result()
            sent += told["puts"]
            say(f"{told['puts']} puts of {store} in {told['seconds']:.1f} s, {told['accepted']} accepted")
    grown = node.process.memory("VmRSS") - before
    say(f"{sent} puts from {CROWD} addresses of each family: {grown / MIB:.1f} MiB more, of {before / MIB:.1f}")
    if grown > GROWTH:
        wrong.append(f"A14: memory grew by {grown / MIB:.1f} MiB")
    time.sleep(1)
    kept = node.start(node.v4, HONEST_V4, HONEST, "look", "records", 50, HONEST, 30).result()["found"]
    say(f"{kept} of {HONEST} honest keys are kept")
    if kept < HONEST_KEPT:
        wrong.append(f"A14: {kept} of {HONEST} honest keys are kept")
    node.process.stop()


def body(world, options):
    places = battlefield(world, "attacker", "victim")
    wrong = []
    processor(world, places, options.full, wrong)
    # Items are the longest, and one token serves one of them: they fill memory fastest.
    memory(world, places, {"records": 400_000, "peers": 400_000, "items": 200_000} if options.full else
           {"records": 15_000, "peers": 15_000, "items": 50_000}, wrong)
    check(not wrong, "; ".join(wrong))


if __name__ == "__main__":
    main(body)
