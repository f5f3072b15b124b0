"""A35: what calls into the local network give away, and how many they are.

One machine with a sealed share and a public one, another that fetches both by what it hears; IPv4 and IPv6. Of all
frames: every multicast packet has a TTL or hop limit of 1, no peer sends two to a group within 5 s, and none of them,
sent to a group or to one peer, holds the id of the sealed content, whole or half, in bytes, hexadecimal or base32. The
public content is called by its name, in BEP 14's groups alone.

About 9 s; --full: six minutes, for calls are repeated after five.
"""
import base64
import socket
import time

from hostile import name_of
from harness import MIB, check, ip, link_without, main, same, say
from recorder import UDP, Recorder

GAP = 4.9  # seconds: 5, less what reading a packet may lag
OWN = {"239.192.83.76", "ff05::5348:1"}
BEP14 = {"239.192.152.143", "ff15::efc0:988f"}


def text(address):
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def multicast(packet):
    return packet.target[0] & 0xF0 == 0xE0 if len(packet.target) == 4 else packet.target[0] == 0xFF


def spellings(raw):
    return [raw, raw[:len(raw) // 2], raw[len(raw) // 2:], raw.hex().encode(), raw.hex().upper().encode(),
            base64.b32encode(raw).rstrip(b"="), base64.b32encode(raw).rstrip(b"=").lower()]


def judge(packets, name):
    """The calls: hops, gaps, and where the public content is named; gives how often one peer called a group."""
    last, counts = {}, dict.fromkeys(sorted(OWN | BEP14), 0)
    for packet in packets:
        group = text(packet.target)
        check(packet.hops == 1, f"a packet to {group} may go {packet.hops} hops")
        check(group in counts, f"a packet to {group}, which is no group of ours")
        counts[group] += 1
        # The port is the peer's own; an address of each family is the same peer.
        sender = (packet.source, packet.source_port, group)
        gap = packet.seen - last.get(sender, packet.seen - 60)
        check(gap > GAP, f"{text(packet.source)} sent to {group} after {gap:.2f} s again")
        last[sender] = packet.seen
        named = name.hex().encode() in packet.payload.lower() or name in packet.payload
        check(named == (group in BEP14), f"{group} was told {packet.payload!r}")
    say(", ".join(f"{count} to {group}" for group, count in counts.items()))
    check(all(counts.values()), "a group was sent nothing: this test sees nothing")
    return max(sum(1 for packet in packets if (packet.source, packet.source_port, text(packet.target)) == sender)
               for sender in last)


def body(world, options):
    a, b = world.lan("ab")
    for number, place in enumerate((a, b), 1):
        ip("-6", "addr", "add", f"fd77::{number}/64", "dev", "eth0", "nodad", at=place)
    recorder = Recorder("to-a")  # all that `a` sends and gets, and what `b` sends to the groups
    begun = time.monotonic()
    paths = {kind: world.file(kind, "content.bin", size=2 * MIB, seed=kind) for kind in ("sealed", "public")}

    def share(kind, *more):
        return world.peer(f"{kind} sharer", "share", *more, paths[kind], net=[], namespace=a)

    sealed, public = share("sealed"), share("public", "--public")
    link, magnet = sealed.link, public.link

    def get(kind, link):
        getter = world.peer(f"{kind} getter", "get", link, "-o", world.folder("out " + kind), net=[], namespace=b)
        getter.exit(0)
        same(paths[kind], world.path("out " + kind, "content.bin"))
        say(f"found the {kind} content by its call: {getter.events[-1]['seen'] - getter.started:.2f} s")

    get("sealed", link_without(link, "at"))
    get("public", link_without(magnet, "x.pe"))
    check(sealed.runs_for(max(0.0, begun + (360 if options.full else 8) - time.monotonic())), "the sharer ended")
    recorder.stop()
    sealed.stop()
    public.stop()

    packets = list(recorder.packets())
    calls = [packet for packet in packets if packet.protocol == UDP and multicast(packet)]
    most = judge(calls, name_of(magnet))
    check(not options.full or most >= 2, "nobody called twice: this test sees nothing")
    everything = b"".join(frame for _, frame in recorder.frames)
    check(len(everything) > 4 * MIB, f"the recorder saw {len(everything)} bytes only")
    for needle in spellings(base64.b32decode(link.partition(":")[2].partition("?")[0].upper() + "====")):
        check(needle not in everything, f"{needle!r} of the sealed content was on the wire")
    say(f"{len(recorder.frames)} frames hold no id of the sealed content")


if __name__ == "__main__":
    main(body)
