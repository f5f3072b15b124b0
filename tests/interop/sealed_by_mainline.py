"""Two shoal peers between whom stand libtorrent's DHT nodes alone.

The sharer and the getter each know one of twelve DHT nodes of libtorrent 2.0.8 and nobody else: the link names no
address, and there is no local discovery. They find each other through sealed records that travel as items of BEP 44,
and transfer over the native channel. All packets of the nodes are recorded meanwhile: no id, no name and no byte of
the content is among them, and no value that is put there holds an endpoint or address of the two.

About 20 s; it has no longer form.
"""
import base64
import os
import re
import socket

from client import PORT
from libtorrent_driver import DhtNodes
from places import lan
from harness import MIB, check, link_without, main, same, say
from recorder import Recorder

SIZE = 8 * MIB


def values_put(payloads):
    """The values of `put` queries: bencoded strings under `v`, which stands last among the arguments."""
    for payload in payloads:
        if b"1:q3:put" not in payload:
            continue
        for found in re.finditer(rb"1:v(\d+):", payload):
            length = int(found.group(1))
            if length > 100:  # a client's version stands under `v`, too
                yield payload[found.end():found.end() + length]


def body(world, options):
    nodes_at, a, b = lan(world, ["nodes", "a", "b"])
    recorder = Recorder("port1")  # all that the nodes send and get
    nodes = DhtNodes(world, "nodes", nodes_at)
    nodes.start()
    path = world.file("secret-plans.bin", size=SIZE)

    def peer(name, command, argument, number, place, *more):
        node = f"{nodes.addresses[number]}:{PORT}"
        return world.peer(name, command, argument, *more, "--bootstrap", node, "--no-lsd", net=[],
                          namespace=place.namespace)

    sharer = peer("sharer", "share", path, 0, a)
    link = sharer.link
    sharer.event("published", lambda event: event["nodes"] > 0)
    bare = link_without(link, "at")
    getter = peer("getter", "get", bare, 7, b, "-o", world.folder("out"))
    getter.exit(0)
    same(path, world.path("out", "secret-plans.bin"))
    say(f"found through twelve nodes of libtorrent and fetched: {getter.events[-1]['seen'] - getter.started:.2f} s")
    sharer.stop()
    recorder.stop()

    everything = b"".join(frame for _, frame in recorder.frames)
    digits = bare.split(":")[1].split("?")[0]
    content = base64.b32decode(digits.upper() + "====")
    with open(path, "rb") as file:
        file.seek(SIZE // 2)
        secrets = {"the id": content, "a part of the id": content[:8], "the id in hex": content.hex().encode(),
                   "the id in base32": digits.encode(), "the name": b"secret-plans", "the content": file.read(16)}
    for what, secret in secrets.items():
        check(secret not in everything, f"{what} went to the DHT nodes")
    values = list(values_put(payload for *_, payload in recorder.udp()))
    check(len(values) >= 8, f"only {len(values)} values were put")
    for value in values:
        for place in (a, b):
            check(socket.inet_aton(place.address) not in value, "a stored value holds an address")
    say(f"{len(recorder.frames)} packets and {len(values)} stored values show nothing")
    nodes.stop()


if __name__ == "__main__":
    main(body)
