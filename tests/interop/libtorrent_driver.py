"""libtorrent 2.0.8 through libtorrent_child.py: as a client like the others, as a set of DHT nodes, as the maker of
.torrent files."""
import base64
import json
import os
import random
import shlex

from client import PORT, Client, Progress
from harness import Failure, check
from places import more_addresses

PYTHON = "/usr/bin/python3"  # Debian's: the bindings are built for no other
CHILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libtorrent_child.py")


class Children(Client):
    """A process of libtorrent_child.py. Its stdin is a named pipe, so that the harness can start it like any other."""

    PROGRAM, PACKAGE = PYTHON, "python3-libtorrent"

    def _launch(self):
        pipe = os.path.join(self.folder, "commands")
        os.mkfifo(pipe)
        self.commands = os.open(pipe, os.O_RDWR)  # for reading as well, or else this would wait for the child
        self.calls, self.seen = 0, 0
        script = f"exec {PYTHON} -B {shlex.quote(CHILD)} < {shlex.quote(pipe)}"
        self.run_program("/bin/sh", "-c", script, "--json")
        self.process.event("ready")

    def _answers(self):
        return True

    def call(self, name, **fields):
        """Asks the child and waits for its answer."""
        self.start()
        self.calls += 1
        number = self.calls
        line = json.dumps({"id": number, "call": name, **fields}).encode() + b"\n"
        while line:
            line = line[os.write(self.commands, line):]
        answer = self.process.event("answer", lambda event: event["id"] == number, since=self.seen)
        self.seen = self.process.events.index(answer, self.seen)
        if "error" in answer:
            raise Failure(f"{self.name}: {answer['error']}")
        return answer["result"]

    def event(self, kind, where=None, since=0, within=None):
        return self.process.event(kind, where, since=since, within=within)

    def stop(self):
        if self.process and not self.stopped:
            os.close(self.commands)
        super().stop()


class Libtorrent(Children):
    """v1, hybrid and v2. With `log` all messages of its peers are events `peer_log`."""

    KIND = "libtorrent"
    FORMS = ("v1", "hybrid", "v2")

    def __init__(self, world, name, place, *options, log=False, settings=None):
        super().__init__(world, name, place, *options)
        self.log, self.more_settings = log, settings or {}

    def _launch(self):
        super()._launch()
        options = self.options
        policy = {"prefer": 1, "require": 0, "off": 2}[options.encryption]  # pe_enabled, pe_forced, pe_disabled
        settings = {
            "enable_dht": options.dht, "in_enc_policy": policy, "out_enc_policy": policy, "prefer_rc4": True,
            "allowed_enc_level": 2 if options.encryption == "require" else 3,  # RC4 alone, or clear as well
            "upload_rate_limit": options.up, "download_rate_limit": options.down,
            "enable_incoming_utp": options.utp, "enable_outgoing_utp": options.utp, **self.more_settings,
        }
        self.session = self.call("session", listen=f"{self.address}:{self.port}", settings=settings, log=self.log)
        for host, port in self.nodes:
            self.call("dht_node", session=self.session, host=host, port=port)

    def dht_node(self, host, port):
        self.nodes.append((host, port))
        if self.process:
            self.call("dht_node", session=self.session, host=host, port=port)

    def _add(self, what, folder, seed):
        where = {"magnet": what} if what.startswith("magnet:") else {"torrent": os.path.abspath(what)}
        return self.call("add", session=self.session, folder=os.path.abspath(folder), pex=self.options.pex, **where)

    def _connect(self, key, host, port):
        self.call("connect", torrent=key, host=host, port=port)

    def status(self, key=None):
        return self.call("status", torrent=self.key(key))

    def peers(self, key=None):
        """Its connections: client, rc4, sent, received and so on."""
        return self.call("peers", torrent=self.key(key))

    def progress(self, key=None):
        one = self.status(key)
        check(not one["error"], f"{self.name}: {one['error']}")
        total = one["total"] if one["metadata"] else 0
        whole = one["metadata"] and one["finished"] and one["state"] in ("seeding", "finished")
        return Progress(one["done"], total, whole, whole and one["seeding"], one["peers"], one["state"])

    def dht_size(self):
        return self.call("dht_state", session=self.session)["nodes"]

    def limit(self, up=0, down=0, key=None):
        """Bytes a second for one torrent, from now on."""
        self.call("limits", torrent=self.key(key), up=up, down=down)

    def announce(self, key=None):
        """Tells the DHT now; by itself it does so when a torrent is added, and every 15 minutes."""
        self.call("announce", torrent=self.key(key))

    def remove(self, key=None):
        self.call("remove", torrent=self.key(key))


class DhtNodes(Children):
    """Plain DHT nodes, one a session, all in one process; each has an address of its own at the same place."""

    KIND = "libtorrent DHT"

    def __init__(self, world, name, place, count=12):
        super().__init__(world, name, place)
        self.addresses = more_addresses(self.place, count)

    @property
    def endpoints(self):
        return [(address, PORT) for address in self.addresses]

    def _launch(self):
        super()._launch()
        self.sessions = [self.call("session", listen=f"{address}:{PORT}") for address in self.addresses]
        source = random.Random(1)
        for session in self.sessions:  # told of one alone, they would need a minute to meet
            for address in source.sample(self.addresses, min(len(self.addresses), 16)):
                self.call("dht_node", session=session, host=address, port=PORT)
        for host, port in self.nodes:
            self.call("dht_node", session=self.sessions[0], host=host, port=port)
        # Each should know most of the others: a look-up of a client that knows one of them must end at the closest.
        for session in self.sessions:
            self.until(lambda: self.call("dht_state", session=session)["nodes"] >= min(8, len(self.sessions) - 1),
                       "the nodes to know each other", within=60)

    def table(self, number=0):
        """The routing table of one node: [id, host, port] each."""
        since = len(self.process.events)
        self.call("dht_state", session=self.sessions[number])
        return self.event("live_nodes", lambda event: event["session"] == self.sessions[number], since)["nodes"]

    def peers_of(self, info_hash, number=0, within=10):
        """Who is announced under that hash, by a look-up of one of the nodes: the first answer that names anybody."""
        return self.timed_peers_of(info_hash, number, within)[0]

    def timed_peers_of(self, info_hash, number=0, within=10):
        """The same, and how long it took, in ms."""
        since = len(self.process.events)
        self.call("dht_get_peers", session=self.sessions[number], info_hash=info_hash)
        try:
            answer = self.event("peers", lambda event: event["info_hash"] == info_hash and event["peers"], since, within)
        except Failure:
            return [], 1000 * within
        return [tuple(peer) for peer in answer["peers"]], answer["ms"]

    def announce(self, info_hash, number=0):
        """As a peer of a content of that name (the bindings cannot call dht_announce), at its own address and PORT."""
        self.call("add", session=self.sessions[number], folder=self.folder, magnet=f"magnet:?xt=urn:btih:{info_hash}")

    def wait_announced(self, info_hash, host, port=PORT, within=None):
        self.until(lambda: (host, port) in self.peers_of(info_hash, within=2), f"{host}:{port} announced under {info_hash}",
                   within)

    # BEP 44; values are bytes

    def put(self, value, number=0):
        """Stores an immutable item; gives its target once nodes have it."""
        since = len(self.process.events)
        target = self.call("put_immutable", session=self.sessions[number],
                           value=base64.b64encode(value).decode())["target"]
        self.event("put", lambda event: event["target"] == target, since)
        return target

    def fetch(self, target, number=0):
        since = len(self.process.events)
        self.call("get_immutable", session=self.sessions[number], target=target)
        return base64.b64decode(self.event("item", lambda event: event.get("target") == target, since)["value"])

    def put_signed(self, secret, value, salt=b"", number=0):
        """Stores an item under the key pair of that seed (32 bytes); gives (public key, sequence number)."""
        since = len(self.process.events)
        public = self.call("put_mutable", session=self.sessions[number], secret=secret.hex(),
                           value=base64.b64encode(value).decode(), salt=base64.b64encode(salt).decode())["public"]
        return public, self.event("put", lambda event: event["public"] == public, since)["seq"]

    def fetch_signed(self, public, salt=b"", number=0, wanted=None):
        """Gives (value, sequence number) when the look-up has ended; an item nobody has is (b"", 0). `wanted`: or as
        soon as that number is there, for a look-up waits 15 s for a node that is gone."""
        since = len(self.process.events)
        self.call("get_mutable", session=self.sessions[number], public=public, salt=base64.b64encode(salt).decode())
        item = self.event("item", lambda event: event.get("public") == public and
                          (event["authoritative"] or event["seq"] == wanted), since)
        return base64.b64decode(item["value"]), item["seq"]


class Maker(Children):
    """Writes and reads .torrent files; takes no part in any network."""

    KIND = "maker"

    def create(self, path, out, form, piece_length=0, nodes=()):
        """form: v1, hybrid or v2. Gives btih, btmh, magnet, files and more (Child.create)."""
        return self.call("create", path=os.path.abspath(path), out=out, form=form, piece_length=piece_length,
                         nodes=list(nodes))

    def describe(self, torrent):
        return self.call("describe", path=torrent)
