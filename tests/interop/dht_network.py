"""One mainline network of 100 libtorrent nodes and 20 of shoal.

Announcements and look-ups cross both ways: what 20 `shoal share --public` announce is looked up by libtorrent's nodes,
what libtorrent's nodes announce is looked up by `shoal dht peers`; each side looks up the other's and its own, and the
times to the first peer are compared. Items of BEP 44, immutable and mutable, put by one are read by the other. All
packets of the shoal nodes are recorded: no answer is longer than three times its question before the asker has
answered a question itself, which proves its address; nor to askers who never do.

40 announcements a side; --full: 200, and the times decide as well. About 40 s and two minutes.
"""
import os
import random
import re
import socket
import statistics

from client import PORT
from libtorrent_driver import DhtNodes
from places import inside, lan, more_addresses
from bencode import bencoded
from harness import check, main, say
from recorder import Recorder

NODES, SHARERS = 100, 20
AMPLIFICATION = 3
NO_PEER = 4  # exit code: nobody was found
AGAIN_MOST = 2  # of all look-ups of a kind: on a busy machine a node of the hundred may answer too late


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def figures(values):
    return f"median {statistics.median(values):.1f} ms, p99 {percentile(values, 0.99):.1f} ms ({len(values)})"


class Shoal:
    """`shoal dht` from one of the host's addresses, through some of the nodes."""

    def __init__(self, world, place, addresses, nodes):
        self.world, self.place, self.addresses, self.nodes, self.runs = world, place, addresses, nodes, 0

    def ask(self, *arguments, state=None):
        """The finished process; each run is another node."""
        self.runs += 1
        address = self.addresses[self.runs % len(self.addresses)]
        starts = [part for node in random.sample(self.nodes, 2) for part in ("--bootstrap", f"{node}:{PORT}")]
        return self.world.peer(f"ask{self.runs}", "dht", *arguments, "--listen", f"{address}:0", *starts, "--no-native",
                               "--no-lsd", net=[], namespace=self.place.namespace, state=state)


def names_of(magnet):
    """Both names that a hybrid is announced by."""
    v1, v2 = re.search(r"btih:([0-9a-f]{40})", magnet)[1], re.search(r"btmh:1220([0-9a-f]{64})", magnet)[1]
    return [v1, v2[:40]]


def cross(world, nodes, shoal, sharers, count):
    source = random.Random(7)
    announced = []  # by shoal: (name, endpoint)
    for peer, address in sharers:
        for link in [event["link"] for event in peer.of("link")]:
            announced += [(name, (address, PORT)) for name in names_of(link)]
    source.shuffle(announced)
    check(len(announced) >= count, f"only {len(announced)} announcements of shoal's")
    by_shoal = announced[:count]
    by_libtorrent = []
    for each in range(count):
        name, number = source.randbytes(20).hex(), each % NODES
        nodes.announce(name, number)
        by_libtorrent.append((name, (nodes.addresses[number], PORT)))

    # Until one of the others sees it: the announcing node has a copy of its own.
    for each, (name, (host, port)) in enumerate(by_libtorrent):
        nodes.until(lambda: (host, port) in nodes.peers_of(name, (each + NODES // 2) % NODES, 2), f"{name} to be announced")
    for name, (host, port) in by_shoal:
        nodes.until(lambda: (host, port) in nodes.peers_of(name, source.randrange(NODES), 2), f"{name} to be announced")

    both = by_shoal + by_libtorrent
    theirs, again = [], []
    for name, endpoint in both:
        peers, ms = nodes.timed_peers_of(name, source.randrange(NODES))
        theirs.append(ms)
        if endpoint not in peers:
            again.append((name, endpoint))
    say(f"libtorrent finds {len(both) - len(again)} of {len(both)}, {count} of them announced by shoal: {figures(theirs)}")
    check(len(again) <= AGAIN_MOST, f"libtorrent did not find {len(again)}")
    for name, endpoint in again:
        nodes.until(lambda: endpoint in nodes.peers_of(name, source.randrange(NODES)), f"libtorrent to find {name}")

    ours, whole = [], []

    def missed(part):
        """Those that shoal does not find."""
        asked = shoal.ask("peers", *[name for name, _ in part])
        code = asked.exit(None)
        check(code in (0, NO_PEER), f"exit {code}")
        out = []
        for (name, (host, port)), event in zip(part, asked.of("peers"), strict=True):
            check(event["name"] == name, "answers come in the order of the questions")
            if f"{host}:{port}" not in event["peers"]:
                out.append((name, (host, port)))
            ours.append(event["first_ms"])
            whole.append(event["ms"])
        return out

    again = [each for start in range(0, len(both), 20) for each in missed(both[start:start + 20])]
    say(f"shoal finds {len(both) - len(again)} of {len(both)}, {count} of them announced by libtorrent: {figures(ours)}; to "
        f"the end of the search: {figures(whole)}")
    check(len(again) <= AGAIN_MOST and not (again and missed(again)), f"shoal did not find {len(again)}")
    return theirs, ours


def salt_of(each):
    return b"" if each % 2 else b"salt %d" % each


def salted(each):
    return ["--salt", salt_of(each).decode()] if salt_of(each) else []


def items(nodes, shoal, count):
    """`count` of each kind and direction."""
    source = random.Random(8)

    asked_again = 0

    def read(expected, key, *more):
        nonlocal asked_again
        while True:
            asked = shoal.ask("get", key, *more)
            code, found = asked.exit(None), asked.of("item")
            if code == 0 and found[0]["encoded"] == (b"%d:%s" % (len(expected), expected)).hex():
                return found[0]
            asked_again += 1
            check(code in (0, NO_PEER) and asked_again <= AGAIN_MOST, f"exit {code}, {found}: not {expected!r}")

    for each in range(count):
        value = source.randbytes(each * 100)
        read(value, nodes.put(value, each))
        secret = source.randbytes(32)
        for _ in range(2):  # the second over the first
            value = source.randbytes(40)
            public, number = nodes.put_signed(secret, value, salt_of(each), each)
            check(read(value, public, *salted(each))["sequence"] == number, "the number differs")
    # libtorrent enters whoever puts into its table, even who says that it is read-only (BEP 43), and then waits for it
    # when it is gone: so all that shoal puts comes last.
    for each in range(count):
        put = shoal.ask("put", f"from shoal {each}")
        put.exit(0)
        check(nodes.fetch(put.of("stored")[0]["key"], each + 20) == b"from shoal %d" % each, "the value differs")
        for sequence in (1, 2):
            put = shoal.ask("put", f"signed {each}.{sequence}", "--mutable", *salted(each), state=f"author{each}")
            put.exit(0)
            stored = put.of("stored")[0]
            check(stored["sequence"] == sequence, f"{stored} is not the item {sequence}")
            found = nodes.fetch_signed(stored["key"], salt_of(each), each + 40, sequence)
            check(found == (b"signed %d.%d" % (each, sequence), sequence), f"libtorrent read {found}")
    say(f"items: {count} immutable ones and {2 * count} states of mutable ones each way, half of them with a salt")


def stranger(place, target, names):
    """Small questions of every kind from sockets that answer nothing; gives the worst ratio of lengths."""
    own, worst, answers = os.urandom(20), 0, 0
    both = [b"n4", b"n6"]
    name = bytes.fromhex(names[0])
    questions = [(b"ping", {}), (b"find_node", {b"target": own, b"want": both}),
                 (b"get_peers", {b"info_hash": name, b"want": both}),
                 (b"get_peers", {b"info_hash": name, b"scrape": 1}), (b"get", {b"target": name, b"want": both}),
                 (b"sample_infohashes", {b"target": own, b"want": both})]
    for kind, arguments in questions:
        with inside(place.namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.bind((place.address, 0))
            asker.settimeout(10)
            question = bencoded({b"t": b"x", b"y": b"q", b"q": kind, b"a": {b"id": own, **arguments}})
            asker.sendto(question, target)
            try:
                while True:  # all that comes, questions in return as well
                    length = len(asker.recv(65536))
                    answers += 1
                    worst = max(worst, length / len(question))
                    asker.settimeout(0.2)
            except TimeoutError:
                pass
    check(answers >= len(questions), f"only {answers} datagrams came back")
    return worst


def kind_and_transaction(payload):
    """By the end of a KRPC message, which has t, perhaps v, and y in this order; None for anything else."""
    found = re.search(rb"1:t(\d):", payload)
    if not payload.startswith(b"d") or not found:
        return None
    length = int(found[1])
    kind = re.search(rb"1:y1:([qre])e$", payload)
    return (kind[1], payload[found.end():found.end() + length]) if kind else None


def amplification(datagrams, addresses):
    """The worst ratio of an answer of ours to its question, of askers who had answered nothing before."""
    ours = {socket.inet_aton(address) for address in addresses}
    proven, questions = set(), {}
    worst, counted, longest = 0, 0, None
    for source, source_port, target, target_port, payload in datagrams:
        message = kind_and_transaction(payload)
        if message is None or (source in ours) == (target in ours):
            continue
        kind, transaction = message
        if target in ours:
            conversation = (source, source_port, target, target_port)
            if kind == b"q":
                questions[*conversation, transaction] = len(payload)
            else:
                proven.add(conversation)
        elif kind != b"q":
            conversation = (target, target_port, source, source_port)
            question = questions.get((*conversation, transaction))
            check(question is not None, "an answer of ours has no question")
            if conversation not in proven:
                counted += 1
                if len(payload) > worst * question:
                    worst, longest = len(payload) / question, (question, payload)
    check(worst <= AMPLIFICATION, f"an answer is {worst:.2f} x its question: {longest}")
    return worst, counted


def body(world, options):
    count = 200 if options.full else 40
    nodes_at, shoal_at, stranger_at = lan(world, ["nodes", "shoal", "stranger"])
    recorder = Recorder("port2")  # all that shoal's nodes send and get
    nodes = DhtNodes(world, "nodes", nodes_at, NODES)
    nodes.start()
    addresses = more_addresses(shoal_at, SHARERS + 20)
    each = -(-count // (2 * SHARERS))  # contents of a sharer, of two names each
    sharers = []
    for number, address in enumerate(addresses[:SHARERS]):
        paths = [world.file(f"shared{number}", f"file{name}", size=1000 + name, seed=number) for name in range(each)]
        peer = world.peer(f"sharer{number}", "share", "--public", "--each", *paths, "--listen", f"{address}:{PORT}",
                          "--bootstrap", f"{nodes.addresses[number * 5]}:{PORT}", "--no-lsd", net=[],
                          namespace=shoal_at.namespace)
        sharers.append((peer, address))
    for peer, _ in sharers:
        for number in range(each):
            peer.event("published", lambda event: event["nodes"] > 0)
    say(f"{NODES} nodes of libtorrent and {SHARERS} of shoal, which share {each} contents each")

    shoal = Shoal(world, shoal_at, addresses[SHARERS:], nodes.addresses)
    theirs, ours = cross(world, nodes, shoal, sharers, count)
    items(nodes, shoal, 8 if options.full else 4)
    asked = max(stranger(stranger_at, (address, PORT), names_of(peer.link)) for peer, address in sharers[:5])
    recorder.stop()
    seen, counted = amplification(recorder.udp(), addresses)
    say(f"{len(recorder.frames)} packets; {counted} answers to the unproven, the longest {seen:.2f} x its question; "
        f"{asked:.2f} x to strangers who never answer")
    check(counted >= 50 and asked <= AMPLIFICATION, "an answer to a stranger is too long")
    if options.full:  # alone on the machine; the bounded form runs beside other tests
        check(statistics.median(ours) <= statistics.median(theirs), "shoal's look-ups are slower")
        check(percentile(ours, 0.99) <= percentile(theirs, 0.99), "shoal's slowest look-ups are slower")
    for peer, _ in sharers:
        peer.stop()
    nodes.stop()


if __name__ == "__main__":
    main(body)
