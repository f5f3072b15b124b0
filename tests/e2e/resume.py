"""kill -9, again and again: of a download, of who is downloaded from, of who announces.

Shows: after 20 SIGKILLs at random moments of one download the result is identical; no kill costs more than one commit
window, counted in payload bytes; from a restart of a 2 GiB file to the first new block it takes less than 2 s;
committed bytes never get fewer; every piece that the catalog claims lies right on the disk, as this script itself
compares them. A sharer killed in the middle gives again within 2 s of its restart (one of three times, where this
machine has other things to do), the same link, and its getters go on. One killed while it announces is announced again,
with a sequence that never falls, and found.

About 75 s (the seed of the moments is printed; --seed N repeats it). --full: 1,000 kills, 400 of a download of 4 GiB, 300 of
its sharer, 300 of an announcer; about 20 min. --only get, seed or announce: one of them, --kills N: so many of it.
"""
import contextlib
import os
import random
import re
import shutil
import sqlite3
import statistics
import tempfile
import time

from harness import GIB, KIB, MIB, check, link_without, main, same, say

COMMIT_SECONDS = 2.0  # DESIGN 9; and 0.5 s of burst, 0.5 s for the commit itself
WINDOW_SECONDS = COMMIT_SECONDS + 1.0
RESTART_SECONDS = 2.0  # to the first block


@contextlib.contextmanager
def catalog(world, state):
    """A copy as the kill has left it, so that looking changes nothing. It opens, and is sound."""
    with tempfile.TemporaryDirectory(dir=world.root) as copy:
        for name in os.listdir(world.path("state-" + state)):
            if name in ("catalog.sqlite", "catalog.sqlite-wal"):
                shutil.copy(world.path("state-" + state, name), copy)
        with contextlib.closing(sqlite3.connect(os.path.join(copy, "catalog.sqlite"))) as database:
            check(database.execute("PRAGMA integrity_check").fetchone() == ("ok",), f"the catalog of {state} is damaged")
            yield database


def made(database, table):
    """The kill may have come before that."""
    return database.execute("SELECT count(*) FROM sqlite_master WHERE name=?", (table,)).fetchone()[0]


class Claims:
    """What a catalog claims of a content of one file, against the file that was shared."""

    def __init__(self, world, original, state, folder, source):
        self.world, self.original, self.state, self.folder, self.source = world, original, state, folder, source
        self.seen = set()

    def check(self):
        with catalog(self.world, self.state) as database:
            if not made(database, "infos"):
                return
            found = database.execute("SELECT number, pieces, info FROM contents JOIN infos ON content=number").fetchone()
            if found is None:
                return
            number, pieces, info = found
            bits = b"".join(row[0] for row in
                            database.execute("SELECT bits FROM have WHERE content=? ORDER BY page", (number,)))
        length = int(re.search(rb"12:piece lengthi(\d+)e", info)[1])
        have = {i for i in range(min(pieces, 8 * len(bits))) if bits[i // 8] >> (7 - i % 8) & 1}
        check(self.seen <= have, f"{len(self.seen - have)} committed pieces are lost")
        # What was compared before is compared again now and then.
        doubted = (have - self.seen) | set(self.source.sample(sorted(self.seen), min(32, len(self.seen))))
        name, = os.listdir(self.folder)
        with open(self.original, "rb") as expected, open(os.path.join(self.folder, name), "rb") as found:
            for piece in sorted(doubted):
                expected.seek(piece * length)
                found.seek(piece * length)
                check(expected.read(length) == found.read(length), f"piece {piece} is claimed and wrong")
        self.seen = have


def downloading(world, kills, full, source):
    rate, size = (7 * MIB, 4 * GIB) if full else (30 * MIB, 2 * GIB)
    path = world.file("big.bin", size=size)
    sharer = world.peer("sharer", "share", path)
    link = sharer.event("link", within=300)["link"]
    claims = Claims(world, path, "getter", world.folder("out"), source)

    def get(number, *more):
        return world.peer(f"get{number}", "get", link, "-o", world.folder("out"), *more, state="getter")

    committed, done, losses, waits = 0, 0, [], []

    def account(getter):
        """What the kill before this run has cost: what had been done then, less what this run begins with."""
        nonlocal committed, done
        fetching = [e for e in getter.of("progress") if e["phase"] in ("fetching", "seeding")]
        if fetching:
            # Blocks of unfinished pieces count as received and not yet as done, so a loss is rather overstated.
            losses.append(max(0, done - (fetching[0]["bytes_done"] - fetching[0]["received"])))
            check(losses[-1] <= WINDOW_SECONDS * rate,
                  f"before {getter.name} {losses[-1]} bytes were lost, more than a commit window")
            done = max(e["bytes_done"] for e in fetching)
        attached = getter.of("attached")
        if attached:
            check(attached[0]["have_bytes"] >= committed,
                  f"{getter.name} starts with {attached[0]['have_bytes']} bytes, {committed} had been committed")
        committed = max(committed, getter.last("progress", "bytes_committed"))
        waits.extend(e["seen"] - getter.started for e in getter.of("receiving"))

    for number in range(kills):
        getter = get(number, "--down", str(rate))
        # Half of the kills hit the start (in the long form most), the others a run with several commits.
        early = number % (5 if full else 2) != 0
        alive = getter.runs_for(source.uniform(0.02, 1.2) if early else source.uniform(1.5, 5.0))
        check(alive, f"the download ended before kill {number}: the content is too small")
        getter.kill()
        account(getter)
        check(not os.path.exists(world.path("out", "big.bin")), "an unfinished file has its final name")
        claims.check()
    say(f"{kills} kills of a download: {committed / MIB:.0f} of {size / MIB:.0f} MiB are committed, "
        f"{len(claims.seen)} pieces claimed, none falsely")
    last = get(kills)
    last.event("complete", within=300)
    last.exit(0)
    account(last)
    same(path, world.path("out", "big.bin"))
    check(os.listdir(world.path("out")) == ["big.bin"], f"left over: {os.listdir(world.path('out'))}")
    sent = sharer.stop() or sharer.last("progress", "sent")
    say(f"lost by a kill: worst {max(losses) / MIB:.1f} MiB, all {sum(losses) / MIB:.1f} MiB in {len(losses)} kills that "
        f"hit a running download (a window has {WINDOW_SECONDS * rate / MIB:.0f}); the sharer sent {sent / MIB:.0f} MiB")
    # The kernel's buffers at both ends die with a process, too.
    check(sent - size <= kills * (WINDOW_SECONDS * rate + 8 * MIB), f"the sharer sent {sent} bytes for {size}")
    waits.sort()
    say(f"start to first new block: median {statistics.median(waits):.2f} s, worst {waits[-1]:.2f} s of {len(waits)}")
    check(waits[-1] < RESTART_SECONDS, "a restart took 2 s or more to its first new block")


def listening(port):
    return ["--local", "--no-lsd", "--listen", f"127.0.0.1:{port}"]


def seeding(world, kills, source):
    """The sharer is killed; whoever asks it next gets the same content, and who had begun goes on by itself."""
    path = world.file("seeded.bin", size=24 * MIB)
    sharer = world.peer("seed", "share", path)
    port, link = sharer.port, sharer.link
    patient = world.peer("patient", "get", link, "-o", world.folder("patient"), "--down", str(48 * KIB))
    patient.event("receiving")
    waits = []

    def restart(number, whole):
        """Seconds to a getter's first block."""
        nonlocal sharer
        check(sharer.runs_for(source.uniform(0.01, 0.6)), "the sharer ended by itself")
        sharer.kill()
        sharer = world.peer(f"seed{number}", "share", path, state="seed", net=listening(port))
        again = sharer.link
        check(again.partition("?")[0] == link.partition("?")[0], f"another link after kill {number}")
        getter = world.peer(f"ask{number}", "get", again, "-o", world.folder(f"ask{number}"))
        took = getter.event("receiving")["seen"] - sharer.started
        if whole:
            getter.exit(0)
            same(path, world.path(f"ask{number}", "seeded.bin"))
        elif getter.process.poll() is None:
            getter.kill()
        for folder in (f"ask{number}", f"state-ask{number}"):
            shutil.rmtree(world.path(folder))
        return took

    for number in range(kills):
        # Two processes start in that time: what is late once may be this machine's, what is late each time is ours.
        tries = [restart(number, number % 10 == 0)]
        while tries[-1] >= RESTART_SECONDS and len(tries) < 3:
            tries.append(restart(f"{number}.{len(tries)}", False))
        waits.append(min(tries))
    had = patient.last("progress", "bytes_done")
    patient.event("progress", lambda e: e["bytes_done"] > had + 128 * KIB, since=len(patient.events), within=200)
    patient.stop(3)
    world.peer("patient again", "get", sharer.link, "-o", world.path("patient"), state="patient").exit(0)
    same(path, world.path("patient", "seeded.bin"))
    sharer.stop()
    waits.sort()
    say(f"{kills} kills of a sharer: restart to a getter's first block: median {statistics.median(waits):.2f} s, worst "
        f"{waits[-1]:.2f} s; those who had begun went on")
    check(waits[-1] < RESTART_SECONDS, "a sharer took 2 s or more to give again")


def announcing(world, kills, source):
    """It is killed while it announces itself to a small network."""
    nodes = [world.peer("node0", "node")]
    for i in range(1, 6):
        nodes.append(world.peer(f"node{i}", "node", "--bootstrap", f"127.0.0.1:{nodes[0].port}"))
    for node in nodes:
        node.event("contacts", lambda e: e["contacts"] >= 4)
    path = world.file("announced.bin", size=300 * KIB)
    highest, published = 0, 0

    def sequence():
        with catalog(world, "announcer") as database:
            return made(database, "sequences") and database.execute("SELECT max(sequence) FROM sequences").fetchone()[0] or 0

    def announce(number):
        told = ["--bootstrap", f"127.0.0.1:{nodes[0].port}"] if number == 0 else []
        return world.peer(f"announcer{number}", "share", path, *told, state="announcer")

    for number in range(kills):
        announcer = announce(number)
        if number % 3 == 0:  # just after the nodes have taken it
            announcer.event("published", lambda e: e["nodes"] >= 3)
            published += 1
        else:
            announcer.runs_for(source.uniform(0.0, 0.8))
        announcer.kill()
        now = sequence()
        check(now >= highest, f"the sequence fell from {highest} to {now} at kill {number}")
        highest = now
    last = announce(kills)
    last.event("published", lambda e: e["nodes"] >= 3)
    link = link_without(last.link, "at")
    getter = world.peer("finder", "get", link, "-o", world.folder("found"), "--bootstrap", f"127.0.0.1:{nodes[3].port}")
    getter.exit(0)
    same(path, world.path("found", "announced.bin"))
    last.stop()
    check(sequence() > highest, "what was announced last has no newer sequence")
    say(f"{kills} kills of an announcer: {published} times just as the nodes had its record; its sequence never fell, and "
        "it is found by its record")


def body(world, options):
    source = random.Random(options.seed)
    say(f"seed {options.seed}")
    begun = time.monotonic()
    kills = {"get": 400, "seed": 300, "announce": 300} if options.full else {"get": 20, "seed": 8, "announce": 9}
    if options.kills:
        kills = dict.fromkeys(kills, options.kills)
    if options.only in ("", "get"):
        downloading(world, kills["get"], options.full, source)
    if options.only in ("", "seed"):
        seeding(world, kills["seed"], source)
    if options.only in ("", "announce"):
        announcing(world, kills["announce"], source)
    say(f"{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    def arguments(parser):
        parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
        parser.add_argument("--kills", type=int, default=0)
        parser.add_argument("--only", choices=["", "get", "seed", "announce"], default="")

    main(body, add_arguments=arguments)
