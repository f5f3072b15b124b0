"""What the drivers of all other clients have in common.

    client = Transmission(world, "t1", place, Options(encryption="require"))
    client.dht_node("20.9.0.1", 6881)          # before the first torrent: most clients read it at their start alone
    client.seed("x.torrent", "/folder/with/x")   # checks what is there, and serves
    client.get("magnet:?xt=..." or "y.torrent", "/downloads")
    client.connect("20.3.0.1", 6881)           # a peer by hand, for the torrent added last
    client.wait_complete()
    client.stop()

A client starts with its first torrent or with start(). It keeps several torrents; seed() and get() give a key, and
the calls that concern one torrent take it, or else the one added last.
"""
import copy
import http.client
import itertools
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass

from places import Place
import harness
from harness import Process, check

PORT = 6881  # of peers and DHT: each client has an address of its own
NUMBERS = itertools.count(1)
NO_ANSWER = (OSError, http.client.HTTPException, ValueError)  # of a control port that is busy; the last is json's
POLL = 0.1  # seconds between two questions to a control port


@dataclass(frozen=True)
class Options:
    """Trackers, UPnP, NAT-PMP, local discovery and built-in bootstrap nodes are always off.

    encryption: off, prefer or require MSE. What `off` means differs: libtorrent and qBittorrent refuse MSE;
      Transmission dials in clear and accepts both; aria2 knows no `off`, it always offers MSE first.
    up, down: bytes a second, 0 for no limit; qBittorrent counts in KiB, Transmission in kB.
    utp: Transmission, libtorrent and qBittorrent; aria2 has none."""

    encryption: str = "prefer"
    dht: bool = True
    pex: bool = True
    utp: bool = False
    up: int = 0
    down: int = 0


@dataclass(frozen=True)
class Progress:
    done: int  # bytes that are wanted, there and verified
    total: int  # 0 as long as a magnet link has no metadata
    complete: bool
    seeding: bool  # complete and serving: no check is under way any more
    peers: int
    state: str  # the client's own word


class Client:
    KIND = PROGRAM = PACKAGE = ""
    FORMS = ()  # of torrents it understands: v1, hybrid, v2
    CONNECTS = True  # whether it can be told of a peer by hand
    MAKES_EMPTY = True  # whether a getter creates the empty files of a content
    STOP_SECONDS = 20

    def __init__(self, world, name, place, options=Options()):
        self.world, self.name, self.options = world, name, options
        self.place = place if isinstance(place, Place) else Place(None, place)
        self.folder = world.folder("client-" + name)
        # Clients that share a namespace, on loopback addresses, need ports of their own: aria2 binds to no address.
        offset = 0 if self.place.namespace else next(NUMBERS)
        self.port, self.control_port = PORT + offset, 9091 + offset
        self.process, self.nodes, self.torrents = None, [], []
        self.stopped = False

    # ---- what each client does in its own way

    def _launch(self):
        """Writes the configuration and starts the process."""
        raise NotImplementedError

    def _answers(self):
        """Whether the control port works."""
        raise NotImplementedError

    def _add(self, what, folder, seed):
        """Adds a .torrent or magnet link; gives its key."""
        raise NotImplementedError

    def _connect(self, key, host, port):
        raise NotImplementedError

    def progress(self, key=None):
        raise NotImplementedError

    def dht_size(self):
        """How many nodes its table has; None where the client does not tell."""
        return None

    # ---- the common part

    @property
    def address(self):
        return self.place.address

    def port_of(self, key=None):
        """Where peers of that torrent are met."""
        return self.port

    def dht_node(self, host, port):
        check(self.process is None, f"{self.name}: DHT nodes are told before the start")
        self.nodes.append((host, port))

    def start(self):
        if self.process is None:
            check(shutil.which(self.PROGRAM), f"{self.PROGRAM} is missing: apt-get install {self.PACKAGE}")
            self._launch()
            self.until(self._answers, "its control port to answer")
        return self

    def seed(self, torrent, folder, wait=True):
        """Serves the content that lies in `folder` under the torrent's name."""
        key = self._added(torrent, folder, True)
        if wait:
            self.wait_seeding(key)
        return key

    def get(self, what, folder):
        return self._added(what, folder, False)

    def _added(self, what, folder, seed):
        self.start()
        self.torrents.append(self._add(str(what), folder, seed))
        return self.torrents[-1]

    def key(self, key=None):
        return self.torrents[-1] if key is None else key

    def connect(self, host, port=PORT, key=None):
        check(self.CONNECTS, f"{self.KIND} cannot be told of a peer: let the other one connect")
        self._connect(self.key(key), host, port)

    def wait_seeding(self, key=None, within=None):
        self.until(lambda: self.progress(key).seeding, "to have checked the content and to seed", within)

    def wait_complete(self, within=None, key=None):
        """Gives the seconds it took from here."""
        start = time.monotonic()
        self.until(lambda: self.progress(key).complete, lambda: f"to complete ({self.progress(key)})", within)
        return time.monotonic() - start

    def wait_dht(self, nodes=1, within=None):
        self.until(lambda: (self.dht_size() or 0) >= nodes, lambda: f"{nodes} DHT nodes ({self.dht_size()})", within)

    def until(self, condition, what, within=None):
        """Asks until it holds. A control port that does not answer yet is no failure; a client that ended is."""
        end = time.monotonic() + (within or harness.DEADLINE)
        while True:
            try:
                if condition():
                    return
            except NO_ANSWER:
                pass
            check(self.process.process.poll() is None, f"{self.name} ended by itself")
            if time.monotonic() > end:
                raise harness.Failure(f"{self.name}: awaited in vain: {what() if callable(what) else what}")
            time.sleep(POLL)

    def stop(self):
        """In order, or, where that takes too long, not; only the process that start() started."""
        if self.process and not self.stopped:
            self.stopped = True
            self.process.process.send_signal(signal.SIGTERM)
            try:
                self.process.process.wait(self.STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.process.kill()
                self.process.process.wait()

    def run_program(self, program, *arguments, environment=None):
        """As the harness starts shoal: dies with the script, its messages are kept and shown if the script fails."""
        world = copy.copy(self.world)
        world.program = shutil.which(program)
        self.process = Process(world, self.name, [str(a) for a in arguments], namespace=self.place.namespace,
                               environment=environment)
        self.world.processes.append(self.process)


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, (list, tuple)):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    pairs = sorted((key.encode() if isinstance(key, str) else key, item) for key, item in value.items())
    return b"d" + b"".join(bencode(key) + bencode(item) for key, item in pairs) + b"e"


def compact(nodes):
    """Addresses as BEP 5 has them: 4 bytes and 2."""
    return b"".join(socket.inet_aton(host) + port.to_bytes(2, "big") for host, port in nodes)
