"""Real file systems: full, read only, gone in the middle, and one whose disk fails.

Shows: `get` onto a file system too small for the content pauses, says so, and gives exit 6 when it is stopped then;
the same command again pauses again, and goes on by itself once there is room; a disk that fills up in the middle
pauses the download, nothing is corrupt, and it goes on by itself; `create` on a full disk is exit 6. A read-only file
system is shared from and verified, and refused for all else by name, exit 7. A file system that is unmounted beneath a
download, or whose disk fails (ext4 shut down, with all that it had not written lost; needs root), with the catalog
elsewhere or on it: no signal ends the process, the cause is named, and once it is back the same command completes, right
in every byte; a sharer says that it cannot read.

About 40 s; it has no longer form.
"""
import fcntl
import os
import re
import struct
import subprocess

from harness import KIB, LOOPBACK, MIB, check, main, run, same, say


def fill(path):
    """Takes all the room there is."""
    with open(path, "wb", buffering=0) as file:
        for size in (MIB, 4 * KIB):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                pass


def full(world, path, link):
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
    say("create and state on a full disk")


def read_only(world, path, link):
    place = world.tmpfs("read only", size="96m")
    tree = os.path.join(place, "shared.bin")
    run("cp", path, tree)
    run("mount", "-o", "remount,ro", place)
    sharer = world.peer("from read only", "share", tree, ordinary=True)
    getter = world.peer("of read only", "get", sharer.link, "-o", world.folder("of read only"), ordinary=True)
    getter.exit(0)
    same(tree, world.path("of read only", "shared.bin"))
    sharer.stop()
    torrent = world.path("read only.torrent")
    world.start("torrent", "create", tree, "-o", torrent, "--v2").exit(0)
    world.start("verify", "verify", torrent, place, "--state", world.path("state-verify")).exit(0)
    for name, arguments in (("get", ["get", link, "-o", place]), ("get into", ["get", link, "-o", f"{place}/new"]),
                            ("create", ["create", path, "-o", f"{place}/x.torrent"]),
                            ("state", ["node", "--state", f"{place}/state"])):
        own = [] if name in ("create", "state") else ["--state", world.path(f"state-ro-{name}")]
        refused = world.start(name, *arguments, *own, *(LOOPBACK if name != "create" else []))
        refused.exit(7)
        check(re.search("read.only", refused.messages.partition("shoal: ")[2].lower().replace(place.lower(), "")),
              f"{name}: the cause is not named: {refused.messages!r}")
    say("read only: shared and verified from there, all else refused by name")


def unmounted(world, path, link):
    """Its root is held open: what was begun goes on out of sight, and counts for nothing afterwards."""
    place = world.tmpfs("unmounted", size="96m")
    arguments = ["get", link, "-o", place]
    getter = world.peer("unmounted", *arguments, "--down", "8M")
    getter.event("progress", lambda e: e["bytes_committed"] >= 4 * MIB)
    run("umount", "--lazy", place)
    world.mounts.remove(place)
    code = getter.exit(None)
    check(code in (0, 7), f"exit {code}: {getter.messages!r}")
    check(os.listdir(place) == [], "something was written beside it")
    world.tmpfs("unmounted", size="96m")
    world.peer("mounted again", *arguments, state="unmounted").exit(0)
    same(path, os.path.join(place, "big.bin"))
    say("unmounted in the middle: fetched again once there is a file system")


class Disk:
    """An ext4 of its own on a loop device, whose disk can fail."""

    SHUTDOWN, LOSE_THE_LOG = 0x8004587D, struct.pack("I", 2)  # EXT4_IOC_SHUTDOWN

    def __init__(self, world, name, size):
        self.image, self.place, self.world = world.path(name + ".img"), world.folder(name), world
        with open(self.image, "wb") as file:
            file.truncate(size)
        run("mkfs.ext4", "-q", self.image)
        self.mount()

    def mount(self):
        run("mount", "-o", "loop", self.image, self.place)
        self.world.mounts.append(self.place)
        os.chmod(self.place, 0o777)

    def fail(self):
        fd = os.open(self.place, os.O_RDONLY)
        fcntl.ioctl(fd, self.SHUTDOWN, self.LOSE_THE_LOG)
        os.close(fd)

    def mend(self):
        run("umount", self.place)
        self.world.mounts.remove(self.place)
        self.mount()


def failing(world, path, link):
    disk = Disk(world, "failing", 256 * MIB)
    for name in ("catalog elsewhere", "catalog too"):
        out = os.path.join(disk.place, name)
        state = os.path.join(disk.place, "state") if name == "catalog too" else world.path("state-elsewhere")
        arguments = ["get", link, "-o", out, "--state", state, *LOOPBACK, "--json"]
        getter = world.start(name, *arguments, "--down", "2M")
        getter.event("progress", lambda e: e["bytes_committed"] > 0)
        disk.fail()
        getter.exit(7, within=60)
        check(re.search("Input/output error|the disk or its driver failed|catalog", getter.messages),
              f"{name}: the cause is not named: {getter.messages!r}")
        disk.mend()
        again = world.start(name + " again", *arguments)
        kept = again.event("attached")["have_bytes"]
        committed = getter.last("progress", "bytes_committed")
        check(kept >= committed, f"{name}: {committed} bytes were committed, {kept} are left")
        again.exit(0)
        same(path, os.path.join(out, "big.bin"))
        say(f"the disk fails, {name}: named; with {kept / MIB:.0f} MiB kept the same command completed")

    shared = os.path.join(disk.place, "shared.bin")
    run("cp", path, shared)
    run("sync", "-f", disk.place)
    sharer = world.peer("from failing", "share", shared)
    getter = world.peer("of failing", "get", sharer.link, "-o", world.folder("of failing"), "--down", "4M")
    getter.event("receiving")
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as caches:
        caches.write("1")  # what is in memory is still read
    disk.fail()
    changed = sharer.event("file_changed")
    check("disk" in changed["reason"], f"the cause is not named: {changed}")
    code = sharer.stop(None)
    check(code in (0, 7), f"the sharer gave exit {code}")
    getter.kill()
    disk.mend()
    sharer = world.peer("from mended", "share", shared, state="from failing")
    world.peer("of mended", "get", sharer.link, "-o", world.path("of failing"), state="of failing").exit(0)
    same(path, world.path("of failing", "shared.bin"))
    sharer.stop()
    say("the disk fails beneath a sharer: named, and it gives again when mended")


def body(world, options):
    path = world.file("big.bin", size=48 * MIB)
    sharer = world.peer("sharer", "share", path)
    link = sharer.link
    full(world, path, link)
    read_only(world, path, link)
    unmounted(world, path, link)
    if world.in_user_namespace:
        say("a disk that fails: not shown, it needs root")
    else:
        failing(world, path, link)
    sharer.stop()


if __name__ == "__main__":
    main(body)
