"""A32: who probes the port hears nothing.

Against a sealed share: what scanners and censors send, noise of every length, BitTorrent's greeting, its obfuscated
one, and a first flight of the share's own dialect, as recorded on the wire: again as it was, cut, changed, and with
more behind it. Not one byte comes back, and an honest peer is served afterwards.

460 probes, about 25 s; --full: 5,440, five minutes.
"""
import random
import threading

from hostile import answer, battlefield, crowd_address, dial, greeting, listening_at
from harness import MIB, check, main, same, say
from recorder import TCP, Recorder

TAG = 16  # bytes by which a first flight is known
TLS_HELLO = bytes.fromhex(
    "16030100f8010000f40303000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20e0e1e2e3e4e5e6e7e8e9eaeb"
    "ecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000813021303130100ff010000a3000000180016000013") + bytes(170)
AT_ONCE = 230  # more than a peer lets wait: the oldest go
WITHIN = 30  # seconds: much longer than a peer waits for the rest of a greeting, 10


def first_flight(recorder, port):
    """What the dialler of the share said before it had an answer."""
    for packet in recorder.packets():
        if packet.protocol == TCP and packet.target_port == port and packet.payload:
            return packet.payload
    return b""


def kinds(flight):
    """Makers of probes by name; each call gives another one."""
    noise = random.randbytes
    return {
        "TLS": lambda: TLS_HELLO,
        "HTTP": lambda: b"GET / HTTP/1.1\r\nHost: %d.example\r\n\r\n" % random.randrange(1000),
        "SSH": lambda: b"SSH-2.0-OpenSSH_9.2\r\n",
        "a SOCKS greeting": lambda: b"\5\1\0" + noise(40),
        "noise": lambda: noise(random.randrange(TAG, 3000)),
        "short noise": lambda: noise(random.randrange(TAG)),
        "nothing": lambda: b"",
        "zeros": lambda: bytes(random.randrange(TAG, 3000)),
        "BitTorrent's greeting": lambda: greeting(noise(20)),
        "the beginning of it": lambda: greeting(noise(20))[:random.randrange(1, 48)],
        "an obfuscated greeting": lambda: noise(96 + random.randrange(512)),
        "the flight again": lambda: flight,
        "the flight and more": lambda: flight + noise(200),
        "the flight, cut": lambda: flight[:random.randrange(TAG, len(flight))],
        "the flight, a bit flipped": lambda: flipped(flight),
        "the flight's tag alone": lambda: flight[:TAG] + noise(len(flight) - TAG),
        "DHT over TCP": lambda: b"d1:ad2:id20:" + noise(20) + b"e1:q4:ping1:t2:aa1:y1:qe",
    }


def flipped(flight):
    at = random.randrange(len(flight))
    return flight[:at] + bytes([flight[at] ^ 1 << random.randrange(8)]) + flight[at + 1:]


class Prober:
    def __init__(self, place, target):
        self.place, self.target, self.sent, self.heard, self.wrong = place, target, 0, 0, []

    def probe(self, name, data):
        self.sent += 1
        source = crowd_address(self.sent)
        stream = dial(self.place, self.target, source)
        stream.sendall(data)
        heard, closed = answer(stream, WITHIN)
        stream.close()
        self.heard += len(heard)
        if heard:
            self.wrong.append(f"{name} was answered by {heard[:40]!r}")
        elif not closed:
            self.wrong.append(f"{name} was left open for {WITHIN} s")

    def all_of(self, probes):
        for start in range(0, len(probes), AT_ONCE):
            threads = [threading.Thread(target=self.probe, args=probe) for probe in probes[start:start + AT_ONCE]]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()


def body(world, options):
    places = battlefield(world, "attacker", "sharer", "getter")
    recorder = Recorder("port2")
    path = world.file("content.bin", size=MIB)
    sharer = world.peer("sharer", "share", path, "--no-mainline", "--no-lsd", net=[], namespace=places["sharer"].namespace)
    link = sharer.link

    def get(name):
        world.peer(name, "get", link, "-o", world.folder("out " + name), "--no-mainline", "--no-lsd", net=[],
                   namespace=places["getter"].namespace).exit(0)
        same(path, world.path("out " + name, "content.bin"))

    get("before")
    recorder.stop()
    flight = first_flight(recorder, sharer.port)
    check(TAG < len(flight) <= 150, f"the first flight has {len(flight)} bytes")
    prober = Prober(places["attacker"], listening_at(places["sharer"], sharer))
    makers = kinds(flight)
    count = 320 if options.full else 27
    probes = [(name, make()) for name, make in makers.items() for _ in range(count)]
    random.shuffle(probes)
    prober.all_of(probes)
    say(f"{prober.sent} probes of {len(makers)} kinds: {prober.heard} bytes came back")
    check(not prober.wrong, "; ".join(prober.wrong[:5]))
    get("after")
    sharer.stop()


if __name__ == "__main__":
    main(body)
