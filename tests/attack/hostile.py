"""Peers that mean ill, for the scripts of this folder: BitTorrent's wire, a false node of its DHT, crowds of sockets.

They stand in a namespace of their own that owns whole networks of addresses: 21/8, 24/8 and 2a10::/16.
"""
import contextlib
import json
import os
import random
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
from places import inside, lan  # noqa: E402  (it finds tests/e2e)
from bencode import bdecoded, bencoded  # noqa: E402
from harness import Failure, check, cpu_times, ip  # noqa: E402

PROTOCOL = b"\x13BitTorrent protocol"
CHOKE, UNCHOKE, INTERESTED, HAVE, BITFIELD, REQUEST, PIECE, EXTENDED = 0, 1, 2, 4, 5, 6, 7, 20
HASH_REQUEST = 21  # BEP 52
RESERVED = bytes([0, 0, 0, 0, 0, 0x10, 0, 0x04])  # extensions (BEP 10), fast (BEP 6)
OUR_PEX = 1  # what our extension handshake calls it
BLOCK = 16384

V4_CROWD, V6_CROWD = "21.0.0.1", "2a10::1"
NETWORKS_V4 = ("21.0.0.0/8", "24.0.0.0/8")
V6_OF = "2a01:0:{}::1"  # of the place of that number


# ---- places


def battlefield(world, *names):
    """Places for the names, and the crowd's networks routed to the one that is called `attacker`."""
    places = dict(zip(names, lan(world, names)))
    for number, (name, place) in enumerate(places.items(), 1):
        ip("-6", "addr", "add", V6_OF.format(number) + "/32", "dev", "eth0", "nodad", at=place.namespace)
        if name == "attacker":
            at4, at6 = place.address, V6_OF.format(number)
            for network in NETWORKS_V4:
                ip("route", "add", "local", network, "dev", "lo", at=place.namespace)
            ip("-6", "route", "add", "local", "2a10::/16", "dev", "lo", at=place.namespace)
    for name, place in places.items():
        if name != "attacker":
            for network in NETWORKS_V4:
                ip("route", "add", network, "via", at4, at=place.namespace)
            ip("-6", "route", "add", "2a10::/16", "via", at6, "dev", "eth0", at=place.namespace)
    return places


def crowd_address(number):
    """The number-th address of the crowd, in a /24 of its own."""
    return f"21.{number >> 8 & 255}.{number & 255}.1"


def listening_at(place, process):
    return place.address, process.port


class Flood:
    """One of this folder's C++ programs, running in a namespace."""

    def __init__(self, world, place, name, *arguments):
        program = os.path.join(os.path.dirname(world.program), "tests", "attack", name)
        check(os.access(program, os.X_OK), f"{program} is not built")
        self.name = name
        self.process = subprocess.Popen(["ip", "netns", "exec", place.namespace, "setpriv", "--pdeathsig", "KILL",
                                         program, *map(str, arguments)], stdout=subprocess.PIPE)

    def begun(self):
        """Waits until all is made ready and the flood begins."""
        check(self.process.stdout.readline() == b"ready\n", f"{self.name} does not begin")

    def result(self):
        output = self.process.communicate()[0]
        check(self.process.returncode == 0, f"{self.name} gave exit {self.process.returncode}")
        return json.loads(output.removeprefix(b"ready\n"))


# ---- BitTorrent's wire


def name_of(magnet):
    """The v1 info-hash that a magnet link names, or the first 20 bytes of the v2 one."""
    for part in magnet.partition("?")[2].split("&"):
        if part.startswith("xt=urn:btih:"):
            return bytes.fromhex(part.removeprefix("xt=urn:btih:"))
        if part.startswith("xt=urn:btmh:1220"):
            return bytes.fromhex(part.removeprefix("xt=urn:btmh:1220"))[:20]
    raise Failure(f"{magnet} names nothing")


def greeting(info_hash):
    return PROTOCOL + RESERVED + info_hash + b"-ZZ0000-" + random.randbytes(12)


def message(kind, payload=b""):
    return struct.pack("!IB", 1 + len(payload), kind) + payload


def request(piece, begin=0, length=BLOCK):
    return message(REQUEST, struct.pack("!III", piece, begin, length))


def dial(place, target, source=None, within=10):
    """A connected stream, from any address that is local there."""
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    with inside(place.namespace):
        stream = socket.socket(family, socket.SOCK_STREAM)
    stream.settimeout(within)
    if source:
        stream.bind((source, 0))
    stream.connect(target)
    return stream


def answer(stream, within):
    """All that comes until the other end closes or the time is over, and whether it closed."""
    end, heard = time.monotonic() + within, b""
    while (left := end - time.monotonic()) > 0:
        stream.settimeout(left)
        try:
            part = stream.recv(65536)
        except TimeoutError:
            break
        except ConnectionResetError:
            return heard, True
        if not part:
            return heard, True
        heard += part
    return heard, False


class Stranger:
    """A BitTorrent connection that has greeted."""

    def __init__(self, place, target, info_hash, source=None):
        self.stream = dial(place, target, source)
        self.stream.sendall(greeting(info_hash))
        self.buffer = b""
        theirs = self._take(68)
        check(theirs[28:48] == info_hash, f"greeted with {theirs!r}")

    def _take(self, count):
        while len(self.buffer) < count:
            part = self.stream.recv(65536)
            if not part:
                raise ConnectionResetError("closed")
            self.buffer += part
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def say(self, kind, payload=b""):
        self.stream.sendall(message(kind, payload))

    def hear(self, wanted, within=10):
        """The payload of the next message of that kind; others are passed over."""
        self.stream.settimeout(within)
        while True:
            length = struct.unpack("!I", self._take(4))[0]
            body = self._take(length)
            if body[:1] == bytes([wanted]):
                return body[1:]

    def exchange_peers(self, endpoints):
        """Names these (address, port) to it by BEP 11, as soon as it has said how."""
        self.say(EXTENDED, b"\0" + bencoded({b"m": {b"ut_pex": OUR_PEX}, b"p": 6881, b"reqq": 250}))
        theirs = b""
        while not theirs.startswith(b"\0"):
            theirs = self.hear(EXTENDED)
        number = bdecoded(theirs[1:])[b"m"][b"ut_pex"]
        self.say_pex(number, endpoints)
        return number

    def say_pex(self, number, endpoints):
        added = b"".join(map(compact, endpoints))
        self.say(EXTENDED, bytes([number]) + bencoded({b"added": added, b"added.f": b"\x10" * len(endpoints)}))

    def close(self):
        self.stream.close()


def compact(endpoint):
    return socket.inet_aton(endpoint[0]) + struct.pack("!H", endpoint[1])


# ---- mainline's DHT


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def node_id(address):
    """One that BEP 42 lets a node at that IPv4 address have."""
    out = bytearray(random.randbytes(20))
    masked = bytes(a & b for a, b in zip(socket.inet_aton(address), b"\x03\x0f\x3f\xff"))
    crc = crc32c(bytes([masked[0] | (out[19] & 7) << 5]) + masked[1:])
    out[0], out[1], out[2] = crc >> 24, crc >> 16 & 255, crc >> 8 & 0xF8 | out[2] & 7
    return bytes(out)


class FalseNode:
    """Answers every query: find_node and get_peers with `nodes`, get_peers with `values` as well, both endpoints."""

    def __init__(self, place, nodes, values, port=6881):
        with inside(place.namespace):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((place.address, port))
        self.id, self.nodes, self.values = node_id(place.address), nodes, values
        self.asked = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                data, source = self.socket.recvfrom(65536)
                query = bdecoded(data)
                if query[b"y"] != b"q":
                    continue
                self.socket.sendto(bencoded({b"t": query[b"t"], b"y": b"r", b"r": self._answer(query)}), source)
                self.asked += 1
            except (ValueError, IndexError, KeyError, TypeError):
                continue  # no KRPC
            except OSError:
                return  # closed

    def _answer(self, query):
        out = {b"id": self.id, b"token": b"token"}
        asked = random.sample(self.nodes, 8)
        out[b"nodes"] = b"".join(node_id(endpoint[0]) + compact(endpoint) for endpoint in asked)
        if query[b"q"] == b"get_peers":
            out[b"values"] = [compact(endpoint) for endpoint in self.values]
        return out

    def close(self):
        self.socket.close()


# ---- crowds


class Crowd:
    """`count` sockets of `sources` addresses, each of which begins with opening() and then says a byte of drip() a
    period, in turn for ever. Whose stream is closed comes again after `again` seconds."""

    def __init__(self, place, target, count, sources, opening=bytes, drip=bytes, period=1.0, again=1.0):
        self.place, self.target, self.count, self.sources = place, target, count, sources
        self.opening, self.drip, self.period, self.again = opening, drip, period, again
        self.dialled = self.heard = self.peak = self.open = 0
        self.stopping = threading.Event()
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def established(self, count, within=30):
        """Waits until so many have been connected, one time or another."""
        end = time.monotonic() + within
        with self.changed:
            while self.dialled < count:
                check(self.changed.wait(end - time.monotonic()), f"only {self.dialled} of {count} sockets connected")

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def _run(self):
        with inside(self.place.namespace), selectors.DefaultSelector() as ready:
            due = [(0.0, number) for number in range(self.count)]  # to be dialled: when, who
            drips = []  # (when, socket); in order, for all have one period
            while not self.stopping.is_set():
                now = time.monotonic()
                while due and due[0][0] <= now:
                    self._dial(ready, due.pop(0)[1])
                while drips and drips[0][0] <= now:
                    member = drips.pop(0)[1]
                    if member.fileno() >= 0:
                        with contextlib.suppress(OSError):
                            member.send(self.drip())
                        drips.append((now + self.period, member))
                for key, events in ready.select(0.02):
                    self._handle(ready, key, events, now, due, drips)
            for key in list(ready.get_map().values()):
                key.fileobj.close()

    def _dial(self, ready, number):
        member = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        member.setblocking(False)
        member.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        member.bind((crowd_address(number % self.sources), 0))
        member.connect_ex(self.target)
        ready.register(member, selectors.EVENT_WRITE, number)

    def _handle(self, ready, key, events, now, due, drips):
        member, number = key.fileobj, key.data
        try:
            if events & selectors.EVENT_WRITE:
                error = member.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    raise OSError(error, "not connected")
                member.send(self.opening())
                ready.modify(member, selectors.EVENT_READ, number)
                drips.append((now + self.period, member))
                with self.changed:
                    self.dialled += 1
                    self.open += 1
                    self.peak = max(self.peak, self.open)
                    self.changed.notify_all()
                return
            part = member.recv(65536)
            self.heard += len(part)
            if part:
                return
            raise OSError("closed")
        except BlockingIOError:
            return
        except OSError:
            self.open -= 1 if ready.get_key(member).events == selectors.EVENT_READ else 0
            ready.unregister(member)
            member.close()
            due.append((now + self.again, number))


# ---- what a process uses


class Meter:
    """Which share of a core a process takes, from now on."""

    def __init__(self, process):
        self.process, self.before, self.begun = process, cpu_times(process.pid), time.monotonic()

    def shares(self):
        """In its own code; and in the system's, on its behalf. Their sum is exact; the ticks of a clock part it."""
        took = time.monotonic() - self.begun
        return [(after - before) / took for before, after in zip(self.before, cpu_times(self.process.pid))]


AGREEMENT = 55  # microseconds that X25519 takes on the machine whose figures the limits are


def slower(told):
    """How many times slower than that one this machine computed during a flood, by what the flood tells: at least once."""
    return max(1, told["agreement_us"] / AGREEMENT)


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def forget_peak(process):
    """VmHWM counts from now on."""
    with open(f"/proc/{process.pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
