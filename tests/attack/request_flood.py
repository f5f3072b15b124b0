"""A23, and Transmission's #9082: what one connection may ask, and how long its messages may claim to be.

A23: peers of a public share ask for 100,000 blocks within a second, each on a connection of its own: choked or not,
reading the answers or not, within what there is or beyond it. Each is left within a second. So many requests for hashes
may be left unanswered instead. The sharer's memory grows by at most 256 KiB a peer.

#9082: 200 peers announce a message of up to 4 GiB and go on sending. Each is left, and the sharer's memory is what
it was.

About 10 s; --full: eight times as many.
"""
import contextlib
import os
import random
import select
import socket
import struct
import threading
import time
from typing import NamedTuple

from hostile import (HASH_REQUEST, INTERESTED, UNCHOKE, Stranger, battlefield, crowd_address, forget_peak, listening_at, message,
                     name_of, request)
from harness import KIB, MIB, check, main, same, say

REQUESTS = 100_000
A_PEER = 256 * KIB
SECOND, PATIENCE = 1.0, 3.0
TCP_CLOSE, TCP_CLOSE_WAIT = 7, 8  # of the kernel's tcp_info
CLAIMS, AT_ONCE = 200, 40
CLAIMED = ((1 << 32) - 1, 1 << 31, (1 << 31) - 1, 1 << 24, (1 << 20) + 100)  # bytes
CLAIMED_KINDS = (5, 7, 20, 21, 255)
CLAIM_GROWTH = 4 * MIB  # of all 200: what the sockets' and peers' own records take, and not what was claimed
PIECES = 64
MOST_UNCHOKED = 4  # at once, for certain


class Manner(NamedTuple):
    name: str
    data: bytes  # of 100,000 requests
    unchoked: bool = False
    reads: bool = True
    leaves: bool = True  # is it to be left at once


def manners():
    all_blocks = b"".join(request(i % PIECES) for i in range(REQUESTS))
    hashes = message(HASH_REQUEST, bytes(32) + struct.pack("!IIII", 0, 0, 2, 0)) * REQUESTS
    return [Manner("for all blocks in turn", all_blocks), Manner("for all blocks in turn", all_blocks, reads=False),
            Manner("for all blocks in turn", all_blocks, unchoked=True),
            Manner("for all blocks in turn", all_blocks, unchoked=True, reads=False),
            Manner("for one block", request(0) * REQUESTS, unchoked=True),
            Manner("beyond the content", request(PIECES) * REQUESTS),
            Manner("for too much", request(0, 0, 1 << 17) * REQUESTS),
            # Of one that is answered no faster than it reads nothing piles up.
            Manner("for hashes of no file", hashes, leaves=False),
            Manner("for hashes of no file", hashes, reads=False, leaves=False)]


def left_by(stream):
    """Whether the other end has closed, whatever lies unread."""
    return stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in (TCP_CLOSE, TCP_CLOSE_WAIT)


class Flooder(threading.Thread):
    """Says all of it as fast as it is taken; notes when it was left."""

    def __init__(self, stranger, manner):
        super().__init__(daemon=True)
        self.stranger, self.manner, self.took = stranger, manner, None

    def run(self):
        stream, data, at = self.stranger.stream, self.manner.data, 0
        stream.setblocking(False)
        begun = time.monotonic()
        while time.monotonic() < begun + (PATIENCE if self.manner.leaves else SECOND):
            try:
                if left_by(stream):
                    break
                select.select([stream] if self.manner.reads else [], [stream] if at < len(data) else [], [], 0.01)
                with contextlib.suppress(BlockingIOError):
                    while self.manner.reads and stream.recv(1 << 20):
                        pass
                with contextlib.suppress(BlockingIOError):
                    at += stream.send(data[at:at + (1 << 18)])
            except OSError:
                break
        else:
            return
        self.took = time.monotonic() - begun


class Field:
    def __init__(self, world):
        self.world, self.places, self.dialled = world, battlefield(world, "attacker", "sharer", "getter"), 0
        self.path = world.file("content.bin", size=PIECES * 32 * KIB)
        self.sharer = world.peer("sharer", "share", "--public", self.path, "--no-lsd", net=[],
                                 namespace=self.places["sharer"].namespace)
        self.info_hash, self.wrong = name_of(self.sharer.link), []

    def stranger(self):
        self.dialled += 1
        return Stranger(self.places["attacker"], listening_at(self.places["sharer"], self.sharer), self.info_hash,
                        crowd_address(self.dialled))

    def get(self, name):
        out = self.world.folder("out " + name)
        self.world.peer(name, "get", self.sharer.link, "-o", out, "--no-lsd", net=[],
                        namespace=self.places["getter"].namespace).exit(0)
        same(self.path, os.path.join(out, "content.bin"))

    def growth(self, attack):
        """Of resident memory, at its peak while attack() runs."""
        before = self.sharer.memory("VmRSS")
        forget_peak(self.sharer)
        attack()
        return self.sharer.memory("VmHWM") - before

    def flood(self, manner, count):
        strangers = [self.stranger() for _ in range(count)]
        if manner.unchoked:
            for stranger in strangers:
                stranger.say(INTERESTED)
            for stranger in strangers:
                stranger.hear(UNCHOKE, within=30)
        check(not any(left_by(stranger.stream) for stranger in strangers), f"left before they asked {manner.name}")
        flooders = [Flooder(stranger, manner) for stranger in strangers]

        def attack():
            for flooder in flooders:
                flooder.start()
            for flooder in flooders:
                flooder.join()

        grown = self.growth(attack)
        took = [flooder.took for flooder in flooders]
        left = [each for each in took if each is not None]
        how = f"{manner.name}, {'un' * manner.unchoked}choked, {'' if manner.reads else 'not '}reading"
        say(f"{count} peers ask {how}: {grown / count / KIB:.0f} KiB a peer; left {len(left)} of {count}"
            + (f" after {max(left):.3f} s at most" if left else ""))
        if grown > A_PEER * count:
            self.wrong.append(f"{how}: {grown / count / KIB:.0f} KiB a peer")
        if manner.leaves and (len(left) < count or max(left) > SECOND):
            self.wrong.append(f"{how}: {len(left)} of {count} were left, after {max(left, default=0):.2f} s at most")
        for stranger in strangers:
            stranger.close()

    def claims(self):
        """Transmission's #9082."""
        waited = []

        def claim(length):
            stranger = self.stranger()
            try:
                stranger.stream.sendall(struct.pack("!IB", length, random.choice(CLAIMED_KINDS)))
                for _ in range(64):
                    stranger.stream.sendall(bytes(16 * KIB))
                while stranger.stream.recv(65536):
                    pass
            except ConnectionError:
                pass
            except TimeoutError:
                waited.append(length)
            stranger.close()

        def attack():
            for _ in range(0, CLAIMS, AT_ONCE):
                threads = [threading.Thread(target=claim, args=(random.choice(CLAIMED),)) for _ in range(AT_ONCE)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

        grown = self.growth(attack)
        say(f"{CLAIMS} peers claim messages of up to 4 GiB: {grown / KIB:.0f} KiB more in all")
        if grown > CLAIM_GROWTH:
            self.wrong.append(f"#9082: {grown / MIB:.1f} MiB more")
        if waited:
            self.wrong.append(f"#9082: messages of {waited} bytes were waited for")


def body(world, options):
    field = Field(world)
    field.get("before")
    # Each manner once by one peer: what the first costs once and for all is no growth.
    for count in [1] + [12] * (8 if options.full else 1):
        for manner in manners():
            field.flood(manner, min(count, MOST_UNCHOKED) if manner.unchoked else count)
        if count == 1:
            field.wrong.clear()
    field.claims()
    field.get("after")
    field.sharer.stop()
    check(not field.wrong, "; ".join(field.wrong))


if __name__ == "__main__":
    main(body)
