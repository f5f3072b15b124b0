"""A29: another user of the machine.

A sharer and a getter at work, of one user, with umask 0. Another user can neither list nor read nor write what they keep:
the state folder has mode 0700, every file in it 0600, the logs of the catalog and the locks among them, and so has what
is being fetched. Nor is there anything by which to command them: their only sockets are those of the port that peers
use, none of which is local (AF_UNIX), and they follow no signal of the other user's.

About 3 s; it has no longer form. In a user namespace, which has no second user, the modes alone are looked at.
"""
import os
import re
import stat
import subprocess

from hostile import battlefield
from harness import MIB, ORDINARY, Failure, check, main, say

OTHER = ORDINARY - 1


def as_other(*command):
    return subprocess.run(["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", *command],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def sockets(process):
    """The (table, local port) of each socket that the process holds; of the local ones, the path. One that it closes
    between two of these lists is in one of them alone: then they are read again."""
    for last in (False, False, True):
        try:
            return sockets_now(process)
        except (Failure, OSError):
            if last:
                raise


def sockets_now(process):
    held = set()
    for number in os.listdir(f"/proc/{process.pid}/fd"):
        found = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{process.pid}/fd/{number}"))
        if found:
            held.add(found[1])
    out = []
    for table, inode, name in (("tcp", 9, 1), ("tcp6", 9, 1), ("udp", 9, 1), ("udp6", 9, 1), ("unix", 6, 7),
                               ("raw", 9, 1), ("raw6", 9, 1), ("netlink", 9, 0), ("packet", 8, 0)):
        with open(f"/proc/{process.pid}/net/{table}", encoding="ascii", errors="replace") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if len(fields) > inode and fields[inode] in held:
                    held.discard(fields[inode])
                    local = (fields[name:] or ["unnamed"])[0]
                    out.append((table, int(local.rpartition(":")[2], 16) if ":" in local else local))
    check(not held, f"{process.name} holds sockets of another kind: {held}")
    return out


def modes(root):
    for folder, _, names in os.walk(root):
        yield folder, stat.S_IMODE(os.lstat(folder).st_mode)
        for name in names:
            yield os.path.join(folder, name), stat.S_IMODE(os.lstat(os.path.join(folder, name)).st_mode)


def body(world, options):
    places = battlefield(world, "attacker", "sharer", "getter")
    path = world.file("content.bin", size=32 * MIB)

    def peer(name, command, *arguments):
        # Below a folder that is open to everybody, as a home folder may be.
        world.folder("open")
        return world.peer(name, command, *arguments, "--no-lsd", state=f"of-{name}", net=[], ordinary=True, umask=0,
                          namespace=places[name].namespace)

    sharer = peer("sharer", "share", path)
    out = world.folder("out")
    getter = peer("getter", "get", sharer.link, "-o", out, "--down", "2M")
    getter.event("progress", lambda event: event["bytes_committed"] > 0)

    count = 0
    for name in ("sharer", "getter"):
        root = world.path(f"state-of-{name}")
        found = list(modes(root))
        check(any(path.endswith("catalog.sqlite-wal") for path, _ in found), f"no log of a catalog in {root}: {found}")
        for path, mode in found:
            wanted = 0o700 if os.path.isdir(path) else 0o600
            check(mode == wanted, f"{path} has mode {mode:o}, not {wanted:o}")
            count += 1
            if world.in_user_namespace:
                continue
            tried = ([["ls", path], ["touch", os.path.join(path, "new")]] if os.path.isdir(path) else
                     [["cat", path], ["sh", "-c", 'echo x >> "$1"', "sh", path]])
            for command in tried:
                refused = as_other(*command)
                check(refused.returncode != 0 and b"ermission denied" in refused.stdout,
                      f"another user could {command}: {refused.stdout!r}")
    fetched = [(path, mode) for path, mode in modes(out) if os.path.isfile(path)]
    check(fetched and all(mode == 0o600 for _, mode in fetched), f"what is being fetched: {fetched}")
    say(f"{count} files and folders of two running peers are closed to others, and so is what is being fetched")

    for process in (sharer, getter):
        held = sockets(process)
        check(("tcp", process.port) in held and ("udp", process.port) in held, f"{process.name} holds only {held}")
        for table, place in held:
            # A stream of ours has a port of its own, or that of the listener.
            check(table in ("tcp", "tcp6", "udp", "udp6"), f"{process.name} has a socket of kind {table}: {place}")
            check(not table.startswith("udp") or place == process.port, f"{process.name} hears at {place} of {table}")
        listening = [line for line in open(f"/proc/{process.pid}/net/tcp", encoding="ascii") if line.split()[3] == "0A"]
        check(len(listening) == 1, f"{process.name} listens at {listening}")
        if not world.in_user_namespace:
            check(as_other("kill", "-INT", str(process.pid)).returncode != 0, f"{process.name} took another's signal")
    say("nothing but the peers' port to speak to")
    getter.stop(3)
    sharer.stop()


if __name__ == "__main__":
    main(body)
