"""Two machines on one private network, no Internet, no --local.

Shows: a link with the sharer's address works; without any address, LAN discovery finds the sharer; not found where
--no-lsd forbids it (exit 8 or 4 after --wait). All packets on the wire are recorded meanwhile: neither the content
id, nor the name, nor a byte string of the files is among them, and multicast is sent at most once in 5 s a peer.

About 20 s; it has no longer form.
"""
import base64
import re
import socket

from harness import MIB, check, link_without, main, same, say
from recorder import Recorder

GROUP = bytes([239, 192, 83, 76])


def body(world, options):
    a, b = world.lan("ab")
    recorder = Recorder("to-a")  # all that `a` sends and gets, and the groups that `b` sends to
    path = world.file("secret-plans.bin", size=8 * MIB)
    sharer = world.peer("sharer", "share", path, net=[], namespace=a)
    link = sharer.link
    check(re.search(r"at=192\.168\.77\.1(:|%3A)" + str(sharer.port), link), f"the link lacks the LAN address: {link}")
    check("127.0.0.1" not in link, f"the link names the loopback: {link}")

    def get(name, what, *more, expected=0):
        getter = world.peer(name, "get", what, "-o", world.folder("out-" + name), *more, net=[], namespace=b)
        code = getter.exit(expected)
        if code == 0:
            same(path, world.path("out-" + name, "secret-plans.bin"))
            say(f"{name}: identical after {getter.events[-1]['seen'] - getter.started:.2f} s")
        return code

    get("by-address", link)
    bare = link_without(link, "at")
    get("by-discovery", bare)
    code = get("without-discovery", bare, "--no-lsd", "--wait", "3", expected=None)
    check(code in (4, 8), f"--no-lsd: exit {code}, not 4 or 8")
    sharer.stop()

    recorder.stop()
    everything = b"".join(frame for _, frame in recorder.frames)
    check(len(everything) > 16 * MIB, f"the recorder saw {len(everything)} bytes only")
    text = link.partition(":")[2].partition("?")[0]
    content_id = base64.b32decode(text.upper() + "====")
    with open(path, "rb") as file:
        payload = file.read()
    needles = {"the content id": content_id, "half of the content id": content_id[:16], "the link": text.encode(),
               "the name": b"secret-plans"}
    for at in range(0, len(payload), len(payload) // 64):
        needles[f"byte {at} of the file"] = payload[at:at + 16]
    for what, needle in needles.items():
        check(needle not in everything, f"{what} was on the wire in clear")
    say(f"{len(recorder.frames)} frames hold neither the id nor the name nor the content")

    for source in ("192.168.77.1", "192.168.77.2"):
        # Ethernet 14 bytes; IPv4 source at 12, destination at 16; UDP source port after it: one port is one peer.
        sent = {}
        for seen, frame in recorder.frames:
            if frame[12:14] == b"\x08\x00" and frame[30:34] == GROUP and frame[23] == 17 \
                    and frame[26:30] == socket.inet_aton(source):
                sent.setdefault(frame[34:36], []).append(seen)
        check(source.endswith(".2") or sent, f"{source} sent nothing to the group: this test sees nothing")
        for times in sent.values():
            gaps = [after - before for before, after in zip(times, times[1:])]
            check(all(gap > 4.9 for gap in gaps), f"{source} sent to the group after {min(gaps or [0]):.2f} s again")
    say("multicast at most once in 5 s")


if __name__ == "__main__":
    main(body)
