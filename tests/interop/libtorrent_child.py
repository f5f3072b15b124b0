#!/usr/bin/python3
"""libtorrent as a process of its own: peers and DHT nodes that do what lines of JSON on stdin say.

A line {"id": 3, "call": "NAME", ...} is answered on stdout by {"event": "answer", "id": 3, "result": ...} or
{..., "error": TEXT}; what happens by itself comes as other events. All lines have the form of shoal's --json (v, ts,
event), so that the same code reads them. The process ends when stdin does.

It runs under /usr/bin/python3, for which Debian builds the bindings, whatever python3 runs the tests. The calls are
the methods of Child without an underscore; libtorrent_driver.py wraps them.
"""
import base64
import hashlib
import json
import os
import select
import socket
import sys
import time
import warnings

warnings.simplefilter("ignore")  # the bindings call their own sha1 attributes deprecated
import libtorrent as lt  # noqa: E402

# No packet may go where the tests did not send it, and no protection against strangers may hit a test network, where
# few hosts play many: libtorrent counts nodes by address and prefix, blocks a host that sends 50 datagrams in 10 s,
# ignores networks that once were the military's, and by default limits no rate towards private addresses.
SETTINGS = {
    "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False, "dht_bootstrap_nodes": "",
    "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False, "dht_ignore_dark_internet": False,
    "dht_enforce_node_id": False, "dht_prefer_verified_node_ids": False, "dht_block_ratelimit": 1_000_000,
    "dht_upload_rate_limit": 100_000_000, "allow_multiple_connections_per_ip": True, "min_reconnect_time": 1,
    "ignore_limits_on_local_network": False, "user_agent": f"libtorrent/{lt.__version__}",
    "active_limit": 100_000, "active_downloads": -1, "active_seeds": -1, "alert_queue_size": 1_000_000,
}
ALERTS = lt.alert.category_t.status_notification | lt.alert.category_t.error_notification \
    | lt.alert.category_t.storage_notification | lt.alert.category_t.dht_notification \
    | lt.alert.category_t.dht_operation_notification
FORMS = {"v1": lt.create_torrent.v1_only, "hybrid": 0, "v2": lt.create_torrent.v2_only}


def emit(event, **fields):
    line = {"v": 1, "ts": int(time.time() * 1000), "event": event, **fields}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def hashes_of(info_hashes):
    return {"btih": str(info_hashes.v1) if info_hashes.has_v1() else None,
            "btmh": str(info_hashes.v2) if info_hashes.has_v2() else None}


def node_id(host):
    """A DHT node id that suits the address (BEP 42). Left to itself libtorrent takes a random one and changes it once
    others tell it its public address; they then know it under both for a while, and look-ups wait for the first."""
    last = os.urandom(1)[0]
    masked = bytes(a & b for a, b in zip(map(int, host.split(".")), b"\x03\x0f\x3f\xff"))
    crc = 0xFFFFFFFF  # CRC32-C
    for byte in bytes([masked[0] | (last & 7) << 5]) + masked[1:]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return bytes([crc >> 24, crc >> 16 & 255, crc >> 8 & 0xF8 | os.urandom(1)[0] & 7]) + os.urandom(16) + bytes([last])


def ed25519(seed):
    """libtorrent's form of a key pair: the expanded secret (RFC 8032, 5.1.5) and the public key."""
    p = 2**255 - 19
    d = -121665 * pow(121666, p - 2, p) % p

    def add(a, b):  # in extended coordinates
        m, n = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0])
        k, z = 2 * a[3] * b[3] * d, 2 * a[2] * b[2]
        e, f, g, h = n - m, z - k, z + k, n + m
        return e * f % p, g * h % p, f * g % p, e * h % p

    y = 4 * pow(5, p - 2, p) % p
    xx = (y * y - 1) * pow(d * y * y + 1, p - 2, p)
    x = pow(xx, (p + 3) // 8, p)
    if (x * x - xx) % p:
        x = x * pow(2, (p - 1) // 4, p) % p
    x = p - x if x % 2 else x
    expanded = bytearray(hashlib.sha512(seed).digest())
    expanded[0] &= 248
    expanded[31] = expanded[31] & 63 | 64
    scalar, point, power = int.from_bytes(expanded[:32], "little"), (0, 1, 1, 0), (x, y, 1, x * y % p)
    while scalar:
        if scalar & 1:
            point = add(point, power)
        power, scalar = add(power, power), scalar >> 1
    inverse = pow(point[2], p - 2, p)
    x, y = point[0] * inverse % p, point[1] * inverse % p
    return bytes(expanded), (y | (x & 1) << 255).to_bytes(32, "little")


class Child:
    def __init__(self):
        self.sessions, self.torrents = [], []
        self.asked = {}  # when who asked for which peers
        self.alarm, self.bell = os.pipe()  # libtorrent writes a byte when alerts wait
        os.set_blocking(self.alarm, False)
        os.set_blocking(self.bell, False)

    # ---- sessions

    def session(self, listen, settings=None, log=False):
        """A peer or DHT node of its own; `log` reports its peers' messages and its DHT packets as events."""
        mask = ALERTS
        if log:
            mask |= lt.alert.category_t.peer_log_notification | lt.alert.category_t.dht_log_notification
        settings = {**SETTINGS, "listen_interfaces": listen, "alert_mask": mask, **(settings or {})}
        session = lt.session({**settings, "enable_dht": False})
        if settings.get("enable_dht", True):
            host = listen.partition(":")[0]
            session.load_state({b"dht state": {b"node-id": [node_id(host) + socket.inet_aton(host)]}})
            session.apply_settings({"enable_dht": True})
        session.set_alert_fd(self.bell)
        self.sessions.append(session)
        return len(self.sessions) - 1

    def settings(self, session, **changes):
        self.sessions[session].apply_settings(changes)

    # ---- the DHT

    def dht_node(self, session, host, port):
        self.sessions[session].add_dht_node((host, port))

    def dht_state(self, session):
        """Own ids (id and address) at once; the table itself follows as an event `live_nodes`."""
        state = self.sessions[session].dht_state()
        own = [entry[:20] for entry in state.get(b"node-id", [])]
        for node in own:
            self.sessions[session].dht_live_nodes(lt.sha1_hash(node))
        return {"ids": [node.hex() for node in own], "nodes": self.sessions[session].status().dht_nodes}

    def dht_get_peers(self, session, info_hash):
        """Each answer comes as an event `peers`, `ms` after the question."""
        self.asked[session, info_hash] = time.monotonic()
        self.sessions[session].dht_get_peers(lt.sha1_hash(bytes.fromhex(info_hash)))

    def put_immutable(self, session, value):
        """`value` is base64 of a byte string, here and below. An event `put` follows when it is stored."""
        return {"target": str(self.sessions[session].dht_put_immutable_item(base64.b64decode(value)))}

    def get_immutable(self, session, target):
        """An event `item` follows, here and in get_mutable."""
        self.sessions[session].dht_get_immutable_item(lt.sha1_hash(bytes.fromhex(target)))

    def put_mutable(self, session, secret, value, salt=""):
        """`secret` is the 32-byte seed in hex; libtorrent picks the sequence number: one above what it finds."""
        expanded, public = ed25519(bytes.fromhex(secret))
        self.sessions[session].dht_put_mutable_item(expanded, public, base64.b64decode(value), base64.b64decode(salt))
        return {"public": public.hex()}

    def get_mutable(self, session, public, salt=""):
        self.sessions[session].dht_get_mutable_item(bytes.fromhex(public), base64.b64decode(salt))

    # ---- torrents

    def create(self, path, out, form, piece_length=0, nodes=()):
        """Writes a .torrent: v1, hybrid or v2."""
        files = lt.file_storage()
        lt.add_files(files, path)
        maker = lt.create_torrent(files, piece_length, FORMS[form])
        for host, port in nodes:
            maker.add_node(host, port)
        lt.set_piece_hashes(maker, os.path.dirname(os.path.abspath(path)))
        torrent = maker.generate()
        with open(out, "wb") as file:
            file.write(lt.bencode(torrent))
        return self.describe(out)

    def describe(self, path):
        info = lt.torrent_info(path)
        files = info.files()
        return {**hashes_of(info.info_hashes()), "name": info.name(), "piece_length": info.piece_length(),
                "pieces": info.num_pieces(), "magnet": lt.make_magnet_uri(info),
                "files": [{"path": files.file_path(i), "size": files.file_size(i),
                           "pad": bool(files.file_flags(i) & lt.file_storage.flag_pad_file)}
                          for i in range(files.num_files())]}

    def add(self, session, folder, torrent=None, magnet=None, peers=(), pex=True):
        if magnet:
            what = lt.parse_magnet_uri(magnet)
        else:
            what = lt.add_torrent_params()
            what.ti = lt.torrent_info(torrent)
        what.save_path = folder
        what.trackers = []
        what.peers = [tuple(peer) for peer in peers]
        what.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        if not pex:
            what.flags |= lt.torrent_flags.disable_pex
        self.torrents.append(self.sessions[session].add_torrent(what))
        return len(self.torrents) - 1

    def connect(self, torrent, host, port):
        self.torrents[torrent].connect_peer((host, port))

    def remove(self, torrent):
        handle = self.torrents[torrent]
        for session in self.sessions:
            if any(handle == other for other in session.get_torrents()):
                session.remove_torrent(handle)

    def limits(self, torrent, up=0, down=0):
        self.torrents[torrent].set_upload_limit(up)
        self.torrents[torrent].set_download_limit(down)

    def announce(self, torrent):
        """Tells the DHT again, now."""
        self.torrents[torrent].force_dht_announce()

    def status(self, torrent):
        status = self.torrents[torrent].status()
        return {**hashes_of(self.torrents[torrent].info_hashes()), "state": str(status.state),
                "done": status.total_wanted_done, "total": status.total_wanted, "metadata": status.has_metadata,
                "seeding": status.is_seeding, "finished": status.is_finished, "peers": status.num_peers,
                "up": status.upload_payload_rate, "down": status.download_payload_rate,
                "sent": status.total_payload_upload, "received": status.total_payload_download,
                "wasted": status.total_failed_bytes + status.total_redundant_bytes, "error": status.errc.message()
                if status.errc.value() else ""}

    def peers(self, torrent):
        flags = {"rc4": lt.peer_info.rc4_encrypted, "plaintext_mse": lt.peer_info.plaintext_encrypted,
                 "outgoing": lt.peer_info.local_connection, "extended": lt.peer_info.supports_extensions,
                 "seed": lt.peer_info.seed, "connecting": lt.peer_info.connecting, "handshake": lt.peer_info.handshake,
                 "interesting": lt.peer_info.interesting, "choked_by": lt.peer_info.remote_choked}
        return [{"host": peer.ip[0], "port": peer.ip[1], "client": peer.client.decode("utf-8", "replace"),
                 "id": str(peer.pid), "sent": peer.total_upload, "received": peer.total_download,
                 **{name: bool(peer.flags & flag) for name, flag in flags.items()}}
                for peer in self.torrents[torrent].get_peer_info()]

    # ---- the loop

    def _alerts(self):
        try:
            while os.read(self.alarm, 4096):
                pass
        except BlockingIOError:
            pass
        for number, session in enumerate(self.sessions):
            for alert in session.pop_alerts():
                self._alert(number, alert)

    def _alert(self, number, alert):
        if isinstance(alert, lt.dht_get_peers_reply_alert):
            name = str(alert.info_hash)
            emit("peers", session=number, info_hash=name, peers=alert.peers(),
                 ms=1000 * (time.monotonic() - self.asked[number, name]))
        elif isinstance(alert, lt.dht_live_nodes_alert):
            emit("live_nodes", session=number, id=str(alert.node_id),
                 nodes=[[str(node["nid"]), *node["endpoint"]] for node in alert.nodes])
        elif isinstance(alert, lt.dht_put_alert):
            emit("put", session=number, target=str(alert.target), public=bytes(alert.public_key).hex(), seq=alert.seq,
                 stored=alert.num_success)
        elif isinstance(alert, (lt.dht_immutable_item_alert, lt.dht_mutable_item_alert)):
            self._item(number, alert)
        elif isinstance(alert, lt.torrent_finished_alert):
            emit("finished", session=number, torrent=self.torrents.index(alert.handle))
        elif isinstance(alert, lt.peer_log_alert):
            emit("peer_log", session=number, host=alert.endpoint[0], port=alert.endpoint[1], text=alert.message())
        elif isinstance(alert, lt.dht_pkt_alert):
            emit("dht_packet", session=number, text=alert.message(), packet=base64.b64encode(alert.pkt_buf).decode())
        elif isinstance(alert, (lt.dht_log_alert, lt.log_alert, lt.torrent_log_alert)):
            pass  # thousands of lines that no test reads
        elif alert.category() & lt.alert.category_t.error_notification:
            emit("trouble", session=number, kind=alert.what(), text=alert.message())

    def _item(self, number, alert):
        try:
            item = alert.item
        except RuntimeError:  # a value that is not a byte string; the bindings cannot show it
            item = {"value": b"", "odd": True}
        if isinstance(alert, lt.dht_mutable_item_alert):
            emit("item", session=number, public=bytes(alert.key).hex(), seq=alert.seq,
                 authoritative=alert.authoritative, salt=base64.b64encode(bytes(item.get("salt", b""))).decode(),
                 value=base64.b64encode(item["value"]).decode())
        else:
            emit("item", session=number, target=str(alert.target), value=base64.b64encode(item["value"]).decode())

    def _command(self, line):
        command = json.loads(line)
        number, call = command.pop("id"), command.pop("call")
        try:
            if call.startswith("_"):
                raise AttributeError(call)
            emit("answer", id=number, result=getattr(self, call)(**command))
        except Exception as error:  # whatever it was, the driver must hear of it
            emit("answer", id=number, error=f"{call}: {type(error).__name__}: {error}")

    def run(self):
        emit("ready", libtorrent=lt.__version__)
        rest = b""
        while True:
            ready, _, _ = select.select([0, self.alarm], [], [])
            if self.alarm in ready:
                self._alerts()
            if 0 in ready:
                data = os.read(0, 1 << 16)
                if not data:
                    os._exit(0)  # not by way of the destructors, which wait for trackers and ports
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._command(line)


if __name__ == "__main__":
    Child().run()
