"""Where the other clients live: network namespaces on one bridge, a public-looking address each.

Not 127/8: Transmission dials no such address and takes none for a DHT node, whatever is set (isMartianAddr() in
net.c, is_martian() in dht.c); it does let them connect. Private ranges (10/8, 172.16/12, 192.168/16) work in all four
as well, but there libtorrent, and so qBittorrent, checks no node id against its address (BEP 42) and may lift its rate
limits. So the default is 20/8, flat: every host lies in a /16 of its own, since libtorrent's DHT, as qBittorrent runs
it, enters no two nodes of one /24 in a bucket and asks no two in one search. libtorrent also drops DHT packets from 3,
6, 7, 9, 11, 19, 21, 22, 25, 26, 28, 29, 30, 33, 34, 48 and 56/8 (dht_ignore_dark_internet); 20/8 is none of these.

No namespace has a default route or a name server: nothing leaves, and looking up a built-in bootstrap name fails.
"""
import contextlib
import ctypes
import http.client
import os
import sys
import time
from dataclasses import dataclass

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import check, ip  # noqa: E402

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Place:
    """A host: its namespace (None: the script's own) and the address its sockets are bound to."""

    namespace: str | None
    address: str

    @property
    def rpc_address(self):
        """Where a client's control port listens: in a namespace on its loopback, seen on no wire."""
        return "127.0.0.1" if self.namespace else self.address


def lan(world, names, network=20):
    """A Place for each name: NETWORK.1.0.1, NETWORK.2.0.1 and so on, in /8, as ports of one bridge."""
    ip("link", "add", "bridge", "type", "bridge", "mcast_snooping", "0")
    ip("link", "set", "bridge", "up")
    places = []
    for number, name in enumerate(names, 1):
        namespace = world.namespace(name)
        world.cable(None, f"port{number}", namespace, "eth0")
        ip("link", "set", f"port{number}", "master", "bridge")
        places.append(Place(namespace, f"{network}.{number}.0.1"))
        ip("addr", "add", f"{places[-1].address}/8", "dev", "eth0", at=namespace)
    return places


def more_addresses(place, count):
    """Further addresses of the same host, each in a /24 of its own; the first is the one it has."""
    first, second, _, last = place.address.split(".")
    addresses = [f"{first}.{second}.{number}.{last}" for number in range(count)]
    for address in addresses[1:] if place.namespace else []:  # all of 127/8 is there without asking
        ip("addr", "replace", f"{address}/8", "dev", "eth0", at=place.namespace)
    return addresses


@contextlib.contextmanager
def inside(namespace):
    """Sockets that this thread opens meanwhile belong to that namespace, for as long as they live."""
    if namespace is None:
        yield
        return
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        check(LIBC.setns(there, CLONE_NEWNET) == 0, f"cannot enter {namespace}: {os.strerror(ctypes.get_errno())}")
        yield
    finally:
        if LIBC.setns(own, CLONE_NEWNET) != 0:
            os.abort()  # everything after this would happen in the wrong network
        os.close(there)
        os.close(own)


def http_call(place, port, method, path, body=None, headers=None, within=30):
    """One request to a control port; gives status, headers and body. OSError or HTTPException where nobody answers.
    A port that takes no stream is dialled again, for a second: nothing was asked yet."""
    connection = http.client.HTTPConnection(place.rpc_address, port, timeout=within)
    with inside(place.namespace):
        for left in range(9, -1, -1):
            try:
                connection.connect()
                break
            except OSError:
                if left == 0:
                    raise
                time.sleep(0.1)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()
