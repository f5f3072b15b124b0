"""Drivers of other BitTorrent clients (Debian 12): Transmission 3.00, aria2 1.36, qBittorrent 4.5.2 and, from
libtorrent_driver.py, libtorrent 2.0.8. client.py says how they are used; here is what is special to each."""
import base64
import json
import os
import random
import socket
import urllib.parse

from client import Client, Progress, bencode, compact
from harness import Failure, check
from libtorrent_driver import Libtorrent
from places import http_call


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Transmission(Client):
    """v1 alone. Hybrids it refuses too, as .torrent and by magnet link: its reader of bencode fails at the empty key
    that every file tree has (the empty string is its quark for "no key yet", get_node() in variant-benc.c).

    Its DHT neither looks up nor announces before 4 nodes have answered and more than 8 are known (getstatus() in
    tr-dht.c), so dht_node() wants 9 nodes or more; at its start it asks them one by one, 1 to 3 s apart. It looks up
    and announces once within 20 s of adding, every 5 to 10 s as long as it cannot, and then every 25 minutes.

    It takes no peer from its control port. A peer by hand goes into the resume file, which it reads when a torrent is
    added: connect() adds the torrent once more."""

    KIND, PROGRAM, PACKAGE = "transmission", "transmission-daemon", "transmission-daemon"
    FORMS = ("v1",)
    MAKES_EMPTY = False

    def _launch(self):
        options, address = self.options, self.address
        settings = {
            "rpc-enabled": True, "rpc-bind-address": self.place.rpc_address, "rpc-port": self.control_port,
            "rpc-whitelist-enabled": False, "rpc-host-whitelist-enabled": False, "rpc-authentication-required": False,
            "bind-address-ipv4": address, "peer-port": self.port, "peer-port-random-on-start": False,
            "port-forwarding-enabled": False, "lpd-enabled": False, "utp-enabled": options.utp,
            "dht-enabled": options.dht, "pex-enabled": options.pex,
            "encryption": {"off": 0, "prefer": 1, "require": 2}[options.encryption],
            "speed-limit-up-enabled": options.up > 0, "speed-limit-up": -(-options.up // 1000),
            "speed-limit-down-enabled": options.down > 0, "speed-limit-down": -(-options.down // 1000),
            "download-queue-enabled": False, "seed-queue-enabled": False, "blocklist-enabled": False,
            "cache-size-mb": 0,  # what it calls complete is in the files, for others to read
            "scrape-paused-torrents-enabled": False, "message-level": 3, "umask": 18,
        }
        with open(os.path.join(self.folder, "settings.json"), "w", encoding="ascii") as file:
            json.dump(settings, file)
        # Without saved nodes it looks up dht.transmissionbt.com, in vain here.
        with open(os.path.join(self.folder, "dht.dat"), "wb") as file:
            file.write(bencode({"id": random.randbytes(20), "nodes": compact(self.nodes)}))
        self.session, self.added = "", {}
        self.run_program(self.PROGRAM, "--foreground", "--config-dir", self.folder)

    def call(self, method, **arguments):
        body = json.dumps({"method": method, "arguments": arguments})
        for _ in range(2):
            status, headers, answer = http_call(self.place, self.control_port, "POST", "/transmission/rpc", body,
                                                {"X-Transmission-Session-Id": self.session})
            if status != 409:
                break
            self.session = headers["X-Transmission-Session-Id"]  # it wants its own word in each request
        check(status == 200, f"{self.name}: {method}: HTTP {status}: {answer[:200]!r}")
        answer = json.loads(answer)
        check(answer["result"] == "success", f"{self.name}: {method}: {answer['result']}")
        return answer["arguments"]

    def _answers(self):
        return self.call("session-get")

    def _add(self, what, folder, seed):
        where = {"filename": what} if what.startswith("magnet:") else {
            "metainfo": base64.b64encode(read(what)).decode()}
        added = self.call("torrent-add", **{"download-dir": os.path.abspath(folder), "paused": False, **where})
        key = added.get("torrent-added", added.get("torrent-duplicate"))["hashString"]
        self.added[key] = (what, folder, seed)
        return key

    def _connect(self, key, host, port):
        self.call("torrent-remove", **{"ids": [key], "delete-local-data": False})
        # An array of its struct tr_pex, as its compiler laid it out: type (0: IPv4), 16 bytes of address, port,
        # flags (16: reachable), one byte of padding.
        peer = (0).to_bytes(4, "little") + socket.inet_aton(host) + bytes(12) + port.to_bytes(2, "big") + b"\x10\0"
        os.makedirs(os.path.join(self.folder, "resume"), exist_ok=True)
        with open(os.path.join(self.folder, "resume", key + ".resume"), "wb") as file:
            file.write(bencode({"peers2": peer}))
        self._add(*self.added[key])

    def progress(self, key=None):
        fields = ["status", "leftUntilDone", "sizeWhenDone", "metadataPercentComplete", "peersConnected", "errorString"]
        found = self.call("torrent-get", ids=[self.key(key)], fields=fields)["torrents"]
        check(found, f"{self.name} has no torrent {self.key(key)}")
        one = found[0]
        check(not one["errorString"], f"{self.name}: {one['errorString']}")
        total = one["sizeWhenDone"] if one["metadataPercentComplete"] == 1 else 0
        state = ["stopped", "check wait", "check", "download wait", "download", "seed wait", "seed"][one["status"]]
        whole = total > 0 and one["leftUntilDone"] == 0
        return Progress(total - one["leftUntilDone"] if total else 0, total, whole, state == "seed" and whole,
                        one["peersConnected"], state)


class Aria2(Client):
    """v1 alone. Its reader drops the empty keys of a file tree, and it hashes the info dictionary as written anew: so a
    hybrid has another hash there than everywhere else, and it meets nobody; by magnet link it fetches the metadata
    and is lost after that.

    It cannot be told of a peer (no call, no x.pe in magnet links): the other side connects. It knows one DHT entry
    point, given on the command line, asks it only once a torrent is added, and repeats a look-up that found too few
    peers after 5 s, ten times, then after a minute or more. Encryption cannot be off: it dials with MSE and falls
    back to clear, and accepts both."""

    KIND, PROGRAM, PACKAGE = "aria2", "aria2c", "aria2"
    FORMS = ("v1",)
    CONNECTS = False

    def _launch(self):
        options = self.options
        flags = {
            "enable-rpc": "true", "rpc-listen-all": "false", "rpc-listen-port": self.control_port,
            "rpc-max-request-size": "64M", "listen-port": self.port, "dht-listen-port": self.port,
            "enable-dht": str(options.dht).lower(), "enable-dht6": "false", "disable-ipv6": "true",
            "dht-file-path": os.path.join(self.folder, "dht.dat"), "dht-message-timeout": 3,
            "rpc-save-upload-metadata": "false",  # or else it writes a .torrent beside the content
            "bt-enable-lpd": "false", "enable-peer-exchange": str(options.pex).lower(),
            "bt-exclude-tracker": "*", "async-dns": "false", "follow-torrent": "true",
            "bt-require-crypto": str(options.encryption == "require").lower(),
            "bt-min-crypto-level": "arc4" if options.encryption == "require" else "plain",
            "max-overall-upload-limit": options.up, "max-overall-download-limit": options.down,
            "seed-ratio": "0.0",  # for ever
            "disk-cache": 0, "file-allocation": "none", "allow-overwrite": "true", "auto-file-renaming": "false",
            "max-concurrent-downloads": 10_000, "summary-interval": 0, "show-console-readout": "false",
            "console-log-level": "notice",
        }
        if options.dht and self.nodes:
            flags["dht-entry-point"] = "%s:%d" % self.nodes[0]
        self.run_program(self.PROGRAM, "--no-conf", *[f"--{name}={value}" for name, value in flags.items()])

    def call(self, method, *arguments):
        body = json.dumps({"jsonrpc": "2.0", "id": "1", "method": "aria2." + method, "params": arguments})
        place = self.place if self.place.namespace else type(self.place)(None, "127.0.0.1")  # it binds to this one
        _, _, answer = http_call(place, self.control_port, "POST", "/jsonrpc", body)
        answer = json.loads(answer)
        check("error" not in answer, f"{self.name}: {method}: {answer.get('error')}")
        return answer["result"]

    def _answers(self):
        return self.call("getVersion")

    def _add(self, what, folder, seed):
        options = {"dir": os.path.abspath(folder), "check-integrity": str(seed).lower(), "bt-hash-check-seed": "true"}
        if what.startswith("magnet:"):
            return self.call("addUri", [what], options)
        return self.call("addTorrent", base64.b64encode(read(what)).decode(), [], options)

    def progress(self, key=None):
        fields = ["status", "totalLength", "completedLength", "connections", "seeder", "followedBy", "errorMessage",
                  "verifiedLength", "verifyIntegrityPending", "infoHash"]
        one = self.call("tellStatus", self.key(key), fields)
        if one.get("followedBy"):  # the download of the metadata became that of the content
            return self.progress(one["followedBy"][0])
        check(one["status"] != "error", f"{self.name}: {one.get('errorMessage')}")
        checking = "verifiedLength" in one or "verifyIntegrityPending" in one
        content = one.get("seeder") is not None
        done, total = int(one["completedLength"]), int(one["totalLength"]) if content else 0
        # While it fetches metadata it reports the metadata's length; it is no seeder of that.
        whole = one.get("seeder") == "true" and not checking and done == total
        return Progress(done, total, whole, whole and one["status"] == "active", int(one.get("connections", 0)),
                        one["status"] + (" checking" if checking else ""))


class QBittorrent(Client):
    """libtorrent 2.0.8 with settings of its own: v1, hybrid and v2.

    Its bootstrap names are built in. The names do not resolve here; instead dht_node() goes in as the `nodes` of a
    torrent that is added paused, at any time."""

    KIND, PROGRAM, PACKAGE = "qbittorrent", "qbittorrent-nox", "qbittorrent-nox"
    FORMS = ("v1", "hybrid", "v2")

    def _launch(self):
        options = self.options
        session = {
            "Port": self.port, "UseRandomPort": "false", "InterfaceAddress": self.address,
            "DHTEnabled": options.dht, "PeXEnabled": options.pex, "LSDEnabled": False,
            "Encryption": {"prefer": 0, "require": 1, "off": 2}[options.encryption],
            "GlobalUPSpeedLimit": -(-options.up // 1024), "GlobalDLSpeedLimit": -(-options.down // 1024),
            "IgnoreLimitsOnLAN": False, "BTProtocol": "Both" if options.utp else "TCP",
            "QueueingSystemEnabled": False, "MultiConnectionsPerIp": True, "AddTrackersEnabled": False,
            "Preallocation": False, "TempPathEnabled": False, "AddExtensionToIncompleteFiles": False,
        }
        preferences = {
            "WebUI\\Enabled": True, "WebUI\\Address": self.place.rpc_address, "WebUI\\Port": self.control_port,
            "WebUI\\LocalHostAuth": False, "WebUI\\CSRFProtection": False, "WebUI\\HostHeaderValidation": False,
            "WebUI\\UseUPnP": False, "Connection\\ResolvePeerCountries": False, "General\\Locale": "en",
        }
        sections = {"BitTorrent": {f"Session\\{key}": value for key, value in session.items()},
                    "Preferences": preferences, "LegalNotice": {"Accepted": True},
                    "Network": {"PortForwardingEnabled": False}, "RSS": {"Session\\EnableProcessing": False},
                    "Application": {"FileLogger\\Enabled": False}}
        config = os.path.join(self.folder, "qBittorrent", "config")
        os.makedirs(config, exist_ok=True)
        with open(os.path.join(config, "qBittorrent.conf"), "w", encoding="ascii") as file:
            for section, values in sections.items():
                file.write(f"[{section}]\n")
                for key, value in values.items():
                    file.write(f"{key}={str(value).lower() if isinstance(value, bool) else value}\n")
        self.tags = 0
        self.run_program(self.PROGRAM, f"--profile={self.folder}")

    def start(self):
        started = self.process is not None
        super().start()
        if not started and self.options.dht:
            for node in self.nodes:
                self._tell(*node)
        return self

    def dht_node(self, host, port):
        if self.process is None:
            self.nodes.append((host, port))
        else:
            self._tell(host, port)

    def _tell(self, host, port):
        info = {"name": f"nodes of {host} {port}", "length": 1, "piece length": 16384, "pieces": bytes(20)}
        self._post_torrent(bencode({"info": info, "nodes": [[host, port]]}), paused="true", savepath=self.folder)

    def call(self, path, body=None, headers=None):
        status, _, answer = http_call(self.place, self.control_port, "POST" if body is not None else "GET",
                                      "/api/v2/" + path, body, headers)
        check(status == 200, f"{self.name}: {path}: HTTP {status}: {answer[:200]!r}")
        return answer

    def _form(self, path, **fields):
        return self.call(path, urllib.parse.urlencode(fields), {"Content-Type": "application/x-www-form-urlencoded"})

    def _post_torrent(self, torrent, **fields):
        border = "-" * 20 + random.randbytes(8).hex()
        parts = [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode()
                 for key, value in fields.items()]
        parts.append(b'Content-Disposition: form-data; name="torrents"; filename="a.torrent"\r\n'
                     b"Content-Type: application/x-bittorrent\r\n\r\n" + torrent)
        body = b"".join(b"--%s\r\n%s\r\n" % (border.encode(), part) for part in parts) + f"--{border}--\r\n".encode()
        answer = self.call("torrents/add", body, {"Content-Type": f"multipart/form-data; boundary={border}"})
        check(answer == b"Ok.", f"{self.name}: torrents/add: {answer!r}")

    def _answers(self):
        return self.call("app/version")

    def _add(self, what, folder, seed):
        # A tag finds the torrent again, whatever its id is and becomes once metadata are there.
        self.tags += 1
        tag = f"t{self.tags}"
        fields = {"savepath": os.path.abspath(folder), "paused": "false", "autoTMM": "false", "tags": tag,
                  "contentLayout": "Original"}
        if what.startswith("magnet:"):
            check(self._form("torrents/add", urls=what, **fields) == b"Ok.", f"{self.name} refuses {what}")
        else:
            self._post_torrent(read(what), **fields)
        self.until(lambda: self._info(tag), "the torrent to be added")
        return tag

    def _info(self, tag):
        found = json.loads(self.call("torrents/info?tag=" + tag))
        return found[0] if found else None

    def _connect(self, key, host, port):
        self._form("torrents/addPeers", hashes=self._info(key)["hash"], peers=f"{host}:{port}")

    def progress(self, key=None):
        one = self._info(self.key(key))
        check(one, f"{self.name} has no torrent {self.key(key)}")
        state = one["state"]
        if state in ("error", "missingFiles"):
            raise Failure(f"{self.name}: {state}")
        total = one["size"] if state != "metaDL" and one["size"] > 0 else 0
        seeding = state in ("uploading", "stalledUP", "forcedUP")
        return Progress(total - one["amount_left"] if total else 0, total, seeding, seeding,
                        one["num_seeds"] + one["num_leechs"], state)

    def dht_size(self):
        return json.loads(self.call("transfer/info"))["dht_nodes"]


KINDS = {kind.KIND: kind for kind in (Transmission, Aria2, QBittorrent, Libtorrent)}
