"""The disk is full, before or in the middle; then there is room again.

Shows: `get` onto a file system too small for the content pauses, says so, and gives exit 6 when it is stopped then;
the same command again pauses again, and goes on by itself once there is room; a disk that fills up in the middle
pauses the download, nothing is corrupt, and it goes on by itself; `create` on a full disk is exit 6.

About 30 s; it has no longer form.
"""
import os
import subprocess

from harness import KIB, MIB, check, main, run, same, say


def fill(path):
    """Takes all the room there is."""
    with open(path, "wb", buffering=0) as file:
        for size in (MIB, 4 * KIB):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                pass


def body(world, options):
    size = 48 * MIB
    path = world.file("big.bin", size=size)
    sharer = world.peer("sharer", "share", path)
    link = sharer.link

    small = world.tmpfs("small", size="24m")
    arguments = ["get", link, "-o", small]
    getter = world.peer("too large", *arguments, state="small", ordinary=True)
    paused = getter.event("paused")
    check("space" in str(paused["reason"]), f"the reason is {paused['reason']!r}")
    getter.stop(6)
    check("small" in getter.messages or "room" in getter.messages or "space" in getter.messages,
          f"the full disk is not named: {getter.messages!r}")
    getter = world.peer("room comes", *arguments, state="small", ordinary=True)
    getter.event("paused")
    run("mount", "-o", "remount,size=96m", small)
    getter.event("resumed", within=120)
    getter.event("complete", within=120)
    getter.exit(0)
    same(path, os.path.join(small, "big.bin"))
    say("too small: paused, exit 6; with room again it went on by itself")

    middle = world.tmpfs("middle", size="80m")
    getter = world.peer("filled", "get", link, "-o", middle, "--down", "8M", ordinary=True)
    getter.event("progress", lambda e: e["bytes_done"] >= 8 * MIB)
    fill(os.path.join(middle, "filler"))
    getter.event("paused")
    check(not os.path.exists(os.path.join(middle, "big.bin")), "an unfinished file has its final name")
    os.remove(os.path.join(middle, "filler"))
    getter.event("resumed", within=120)
    getter.event("complete", within=120)
    getter.exit(0)
    same(path, os.path.join(middle, "big.bin"))
    say("full in the middle: paused, and went on by itself")

    full = world.tmpfs("full", size="1m")
    fill(os.path.join(full, "filler"))
    create = world.start("create", "create", path, "-o", os.path.join(full, "x.torrent"), "--v2", "--state",
                         world.path("state-create"), ordinary=True)
    create.exit(6)
    check("x.torrent" in create.messages, f"the file is not named: {create.messages!r}")
    state = subprocess.run(["mkdir", os.path.join(full, "state")], stderr=subprocess.DEVNULL, check=False)
    node = world.start("state on a full disk", "node", "--state", os.path.join(full, "state"), "--local", "--listen",
                       "127.0.0.1:0")
    check(node.exit(None) in (6, 7), f"state on a full disk: exit {node.process.returncode} (mkdir {state.returncode})")
    sharer.stop()
    say("create and state on a full disk")


if __name__ == "__main__":
    main(body)
