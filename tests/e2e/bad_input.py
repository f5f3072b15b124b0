"""What people and machines do wrong: every mistake has its exit code and one sentence that names it.

Shows, all as an ordinary user (an administrator may read everything): links and .torrent files malformed, truncated,
not canonical (11); paths missing, unreadable, unwritable, in the way, links in the destination, nothing written
through them (7); ports in use, the same content in two commands (10), different contents in two commands (fine); no
bootstrap (8), no sharer (4); catalogs truncated, foreign, newer, left as they were (7); wrong usage (2); names with
control characters never reach a screen raw; the state is closed to other users; verify finds a flipped bit (5).

About 30 s; it has no longer form. A full disk has a script of its own, file_system.py.
"""
import hashlib
import os
import random
import socket
import sqlite3
import subprocess

from harness import LOOPBACK, MIB, check, main, same, say

ID = "a" * 52  # 52 characters of base32, spare bits zero


class Cases:
    def __init__(self, world):
        self.world, self.number = world, 0

    def refused(self, arguments, codes, *words, json_error=False, data=False, **how):
        """Runs to its end: one of these exit codes, no data on stdout, one sentence with all the words."""
        self.number += 1
        codes = codes if isinstance(codes, tuple) else (codes,)
        name = f"case {self.number}: {' '.join(map(str, arguments))[:80]}"
        process = self.world.start(name, *arguments, *(["--json"] if json_error else []), ordinary=True, **how)
        code = process.exit(None, within=60)
        check(code in codes, f"{name}: exit {code}, not {codes}")
        if json_error:
            error = process.of("error")
            check(len(error) == 1 and error[0]["exit"] == code and error[0]["message"], f"{name}: {error}")
            check(process.events[-1]["event"] == "stopped" and process.events[-1]["exit"] == code, f"{name}: stopped?")
            return error[0]
        check(data or process.lines == [], f"{name}: stdout holds {process.lines}")
        text = process.messages + "".join(process.lines)
        said = [line for line in process.messages.splitlines() if line.strip()]
        check(1 <= len(said), f"{name}: nothing was said")
        check(code == 2 or len(said[-1]) < 400, f"{name}: no short sentence: {said[-1]}")
        for bad in ("terminate called", "what():", "Assertion", "basic_string", "std::", "\x1b", "\x07"):
            check(bad not in text, f"{name}: {bad!r} in {text!r}")
        for word in words:
            check(word.lower() in text.lower(), f"{name}: {word!r} is not named in {text!r}")
        return text

    def state(self, name=None):
        return ["--state", self.world.path(name or f"state-of-case-{self.number + 1}"), *LOOPBACK]


def links(world, cases):
    long = "shoal:" + ID + "?" + "&".join("at=127.0.0.1:1" for _ in range(2000))
    for link in ("shoal:", "shoal:" + ID[:51], "shoal:" + ID + "a", "shoal:" + "a" * 51 + "b", "shoal:" + "1" * 52,
                 "shoal:" + "\u00e9" * 26, "shoal:" + ID + "?at=host", "shoal:" + ID + "?at=host:70000",
                 "shoal:" + ID + "?at=host:0", "shoal:" + ID + "?at=[::1:1", "shoal:" + ID + "?dn=%zz",
                 "shoal:" + ID + "?dn=%4", "shoal:" + ID + "?dn=a&dn=b", "shoal:" + ID + "#x", "shoal:" + ID + "\n",
                 "shoal:" + ID + " ", "shoal://" + ID, long, "sh\u00f6al:" + ID, "http://example.org/x", "\x1b[31m", ""):
        if link == "":
            cases.refused(["get", "", *cases.state()], (2, 11))
        elif link.strip() != link:
            continue  # what a clipboard adds may be forgiven
        else:
            cases.refused(["get", link, *cases.state()], 11)
        if link.startswith("shoal:"):
            cases.refused(["info", link], 11)
    cases.refused(["get", "-", *cases.state()], 11, stdin=b"no link\n")
    cases.refused(["get", "-", *cases.state()], (2, 11), stdin=b"\n")
    cases.refused(["get", *cases.state()], (2, 11), environment={"SHOAL_LINK": "shoal:short"})
    cases.refused(["get", *cases.state()], 2)
    error = cases.refused(["get", "shoal:nonsense", *cases.state()], 11, json_error=True)
    check("nonsense" not in error["message"] or len(error["message"]) < 300, f"{error}")
    say("links")


def torrents(world, cases):
    world.folder("torrents")
    source = world.file("torrents", "content.bin", size=MIB)
    good = world.path("torrents", "good.torrent")
    world.start("create", "create", source, "-o", good, "--v2", "--state", world.path("state-create")).exit(0)
    with open(good, "rb") as file:
        data = file.read()
    bad = {
        "garbage": random.Random(1).randbytes(5000), "empty": b"", "truncated": data[:len(data) // 2],
        "last byte": data[:-1], "trailing": data + b"x", "list": b"le", "deep": b"l" * 100_000,
        "long string": b"d4:info99999999999999999999:x", "negative": b"d4:infod6:lengthi-1eee", "text": b"hello\n" * 9,
        "no info": b"d8:announce3:urle",
    }
    for name, content in bad.items():
        path = world.path("torrents", name + ".torrent")
        with open(path, "wb") as file:
            file.write(content)
        cases.refused(["get", path, "-o", world.folder("out"), *cases.state()], 11, name)
        cases.refused(["info", path], 11, name)
    sparse = world.path("torrents", "sparse.torrent")
    with open(sparse, "wb") as file:
        file.truncate(1 << 40)
    cases.refused(["info", sparse], 11, "sparse")
    cases.refused(["info", "/dev/zero"], (7, 11), "/dev/zero")
    cases.refused(["info", world.path("torrents")], (7, 11), "torrents")
    cases.refused(["info", world.path("torrents", "none.torrent")], (7, 11), "none.torrent")
    os.chmod(good, 0)
    cases.refused(["info", good], (7, 11), "good.torrent")
    os.chmod(good, 0o644)

    check(world.start("verify", "verify", good, world.path("torrents"), ordinary=True).exit(0) == 0, "")
    with open(source, "r+b") as file:
        file.seek(500_000)
        byte = file.read(1)
        file.seek(500_000)
        file.write(bytes([byte[0] ^ 1]))
    cases.refused(["verify", good, world.path("torrents")], 5, "content.bin", data=True)
    os.truncate(source, 400_000)
    cases.refused(["verify", good, world.path("torrents")], 5, "content.bin", data=True)
    os.remove(source)
    cases.refused(["verify", good, world.path("torrents")], (5, 7), "content.bin", data=True)
    say(".torrent files, verify")


def sources(world, cases):
    """Paths given to share."""
    world.folder("sources")
    cases.refused(["share", world.path("sources", "missing"), *cases.state()], 7, "missing")
    cases.refused(["share", world.path("sources", "wi\x1b[31mth\u202e"), *cases.state()], 7, "\\x1b[31mth")
    secret = world.file("sources", "secret", size=100)
    os.chmod(secret, 0)
    cases.refused(["share", secret, *cases.state()], 7, "secret")
    hidden = world.file("sources", "half", "readable", size=100) and world.file("sources", "half", "hidden", size=100)
    os.chmod(hidden, 0)
    cases.refused(["share", world.path("sources", "half"), *cases.state()], 7, "hidden")
    world.file("sources", "closed", "inside", "file", size=100)
    os.chmod(world.path("sources", "closed", "inside"), 0)
    cases.refused(["share", world.path("sources", "closed"), *cases.state()], 7, "inside")
    os.chmod(world.path("sources", "closed", "inside"), 0o755)
    os.mkfifo(world.path("sources", "pipe"))
    cases.refused(["share", world.path("sources", "pipe"), *cases.state()], 7, "pipe")
    one, two = world.file("sources", "x", "same", size=10), world.file("sources", "y", "same", size=10)
    cases.refused(["share", one, two, *cases.state()], 7, "same")
    cases.refused(["share", "", *cases.state()], (2, 7))
    cases.refused(["share", *cases.state()], 2)
    error = cases.refused(["share", world.path("sources", "missing"), *cases.state()], 7, json_error=True)
    check(error.get("path", "").endswith("missing"), f"the path is not in the event: {error}")
    say("what cannot be shared")


def destinations(world, cases):
    """Where get is to put things. Nothing may be written where it should not."""
    world.file("content", "sub", "file", size=50_000)
    world.file("content", "top", size=20_000)
    single = world.file("single.bin", size=100_000)
    folder = world.peer("sharer of a folder", "share", world.path("content"))
    file = world.peer("sharer of a file", "share", single)

    def get(link, out):
        return ["get", link, "-o", out, *cases.state()]

    closed = world.folder("closed")
    os.chmod(closed, 0o555)
    cases.refused(get(file.link, closed), 7, "closed")
    cases.refused(get(file.link, os.path.join(closed, "below")), 7, "closed")
    cases.refused(get(file.link, single), 7, "single.bin")  # a file in the folder's place

    treasure = world.folder("treasure")
    before = sorted(os.listdir(treasure))
    for name, target in (("link to folder", treasure), ("dangling link", os.path.join(treasure, "new"))):
        out = world.folder("out " + name)
        os.symlink(target, os.path.join(out, "single.bin"))
        cases.refused(get(file.link, out), 7, "single.bin")
        os.symlink(target, os.path.join(out, "content"))
        cases.refused(get(folder.link, out), 7, "content")
    out = world.folder("out inner link")
    os.makedirs(os.path.join(out, "content"))
    os.chmod(os.path.join(out, "content"), 0o777)
    os.symlink(treasure, os.path.join(out, "content", "sub"))
    cases.refused(get(folder.link, out), 7, "sub")
    check(sorted(os.listdir(treasure)) == before, f"something was written through a link: {os.listdir(treasure)}")

    out = world.folder("out folder in the way")
    os.makedirs(os.path.join(out, "single.bin"))
    cases.refused(get(file.link, out), 7, "single.bin")
    out = world.folder("out file in the way")
    other = world.file("out file in the way", "single.bin", size=77)
    os.chmod(other, 0o666)
    with open(other, "rb") as kept:
        old = kept.read()
    cases.refused(get(file.link, out), 7, "single.bin")
    with open(other, "rb") as kept:
        check(kept.read() == old, "a file that was there was overwritten")
    with open(os.path.join(world.folder("out file for folder"), "content"), "wb"):
        pass
    cases.refused(get(folder.link, world.path("out file for folder")), 7, "content")

    os.symlink(world.folder("out true"), world.path("out by link"))  # the user's own -o may be a link
    world.peer("by link", "get", file.link, "-o", world.path("out by link"), ordinary=True).exit(0)
    same(single, world.path("out true", "single.bin"))
    say("destinations")

    # A file that changes under a share is never passed on as it is.
    with open(single, "r+b") as changed:
        changed.write(b"other bytes")
    getter = world.peer("of a changed file", "get", file.link, "-o", world.folder("out changed"), ordinary=True)
    file.event("file_changed")
    getter.stop(3)
    check(not os.path.exists(world.path("out changed", "single.bin")), "a changed file was passed on")
    check("again" in getter.messages, "an interrupted get does not say how to go on")
    folder.stop()
    file.stop()
    say("a file changed while it is shared; an interrupted get")


def ports_and_locks(world, cases):
    for kind, what in ((socket.SOCK_DGRAM, "UDP"), (socket.SOCK_STREAM, "TCP")):
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            port = taken.getsockname()[1]
            own = ["--state", world.path("state-port" + what), "--local", "--listen", f"127.0.0.1:{port}"]
            cases.refused(["node", *own], 10, str(port))
    cases.refused(["node", "--state", world.path("state-foreign"), "--listen", "203.0.113.7:4000"], (2, 7, 10),
                  "203.0.113.7")

    path, other = world.file("twice", "one.bin", size=3 * MIB), world.file("twice", "two.bin", size=3 * MIB)
    sharer = world.peer("first", "share", path, ordinary=True, state="both")
    link = sharer.link
    shared_state = ["--state", world.path("state-both"), *LOOPBACK]
    cases.refused(["share", path, *shared_state], 10)
    second = world.peer("second", "share", other, ordinary=True, state="both")
    check(second.port != sharer.port, "two commands have one port")
    second_link = second.link
    slow = world.peer("slow get", "get", link, "-o", world.folder("out-twice"), "--down", "100K", ordinary=True,
                      state="gets")
    slow.event("attached")
    cases.refused(["get", link, "-o", world.folder("out-thrice"), "--state", world.path("state-gets"), *LOOPBACK], 10)
    world.peer("another get", "get", second_link, "-o", world.path("out-twice"), ordinary=True, state="gets").exit(0)
    same(other, world.path("out-twice", "two.bin"))
    slow.stop(3)
    sharer.stop()
    second.stop()
    again = world.peer("first again", "share", path, ordinary=True, state="both")
    check(again.link.partition("?")[0] == link.partition("?")[0], "another link for the same file")
    again.stop()
    say("ports, two commands on one state")


def nobody_there(world, cases):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{silent.getsockname()[1]}"
        wait = ["-o", world.folder("out-nobody"), "--wait", "3"]
        cases.refused(["get", "shoal:" + ID, *wait, *cases.state()], 8)
        cases.refused(["get", "shoal:" + ID, *wait, "--bootstrap", dead, *cases.state()], 8)
        cases.refused(["get", "shoal:" + ID + "?at=" + dead, *wait, *cases.state()], 8)
        cases.refused(["get", "shoal:" + ID, *wait, "--bootstrap", "no-such-host.invalid:6881", *cases.state()], 8,
                      "no-such-host.invalid")
        cases.refused(["dht", "ping", dead, *cases.state()], 8, dead)
        node = world.peer("node", "node")
        cases.refused(["get", "shoal:" + ID, *wait, "--bootstrap", f"127.0.0.1:{node.port}", *cases.state()], 4)
        world.start("ping", "dht", "ping", f"127.0.0.1:{node.port}", *cases.state("state-ping"), ordinary=True).exit(0)
        node.stop()
    say("nobody there")


def catalogs(world, cases):
    path = world.file("for the catalog.bin", size=200_000)
    sharer = world.peer("catalog maker", "share", path, ordinary=True, state="catalog")
    sharer.event("link")
    sharer.stop()
    with open(world.path("state-catalog", "catalog.sqlite"), "rb") as file:
        good = file.read()

    def newer(where):
        with sqlite3.connect(where) as database:
            database.execute("PRAGMA user_version=9999")
        database.close()

    def foreign(where):
        os.remove(where)
        with sqlite3.connect(where) as database:
            database.execute("CREATE TABLE cookies(name TEXT)")
        database.close()
        os.chmod(where, 0o666)

    def write(data):
        def write_it(where):
            with open(where, "wb") as file:
                file.write(data)
        return write_it

    kinds = {"truncated": write(good[:len(good) // 2 + 100]), "header only": write(good[:100]),
             "text": write(b"my diary\n" * 1000), "noise": write(random.Random(3).randbytes(40_000)),
             "overwritten": write(good[:100] + bytes(len(good) - 100)), "newer": newer, "foreign": foreign}
    for name, spoil in kinds.items():
        where = os.path.join(world.folder("state " + name), "catalog.sqlite")
        write(good)(where)
        os.chmod(where, 0o666)
        spoil(where)
        if not world.in_user_namespace:
            os.chown(where, 65534, 65534)
        with open(where, "rb") as file:
            before = hashlib.sha256(file.read()).digest()
        for command in (["share", path], ["get", "shoal:" + ID, "--wait", "1"], ["node"]):
            cases.refused([*command, *cases.state("state " + name)], 7, "catalog.sqlite")
        with open(where, "rb") as file:
            check(hashlib.sha256(file.read()).digest() == before, f"the {name} catalog was changed")

    place = world.folder("state folder")
    os.mkdir(os.path.join(place, "catalog.sqlite"))
    cases.refused(["node", *cases.state("state folder")], 7, "catalog.sqlite")
    os.symlink("/etc/passwd", os.path.join(world.folder("state link"), "catalog.sqlite"))
    cases.refused(["node", *cases.state("state link")], 7, "catalog.sqlite")
    os.chmod(world.folder("state closed"), 0o555)
    cases.refused(["node", *cases.state("state closed")], 7, "state closed")
    world.file("state file", size=10)
    cases.refused(["node", *cases.state("state file")], 7, "state file")
    say("catalogs")


def usage(world, cases):
    for arguments in ([], ["nonsense"], ["node", "--nonsense"], ["node", "--up", "5X"], ["node", "--up", "-1"],
                      ["node", "--up", "99999999999999G"], ["node", "--listen", "nonsense"],
                      ["node", "--listen", "127.0.0.1:70000"], ["node", "--bootstrap", "host"],
                      ["get", "shoal:" + ID, "--seed", "ratio=x"], ["get", "shoal:" + ID, "--seed", "sometimes"],
                      ["get", "shoal:" + ID, "--wait", "-1"], ["get", "shoal:" + ID, "shoal:" + ID, "shoal:" + ID],
                      ["node", "--peer", "127.0.0.1"], ["node", "--mse", "maybe"], ["info"], ["verify", "x"],
                      ["dht"], ["dht", "nonsense"], ["create", "/etc/hostname"]):
        cases.refused(arguments, 2)
    cases.refused(["node", *cases.state()], 2, environment={"SHOAL_UP": "fast"})
    cases.refused(["create", "/etc/hostname", "-o", world.path("h.torrent"), "--v1", "--v2"], 2)
    for arguments in (["--help"], ["get", "--help"], ["--version"]):
        process = world.start("help", *arguments, ordinary=True)
        process.exit(0)
        check(process.lines and not process.messages, f"{arguments}: nothing on stdout, or something on stderr")
    say("usage")


def screens(world, cases):
    """No name of a stranger reaches a screen raw."""
    hostile = b"\x1b]0;owned\x07\x1b[31m\xe2\x80\xaetxt.exe\xff"
    path = os.path.join(os.fsencode(world.folder("hostile")), hostile)
    with open(path, "wb") as file:
        file.write(b"x" * 300_000)
    sharer = world.peer("hostile sharer", "share", path)
    link = sharer.link
    for name, command in (("info", ["info", link]), ("get", ["get", link, "-o", world.folder("out-hostile")])):
        process = world.start("screen " + name, *command, *cases.state("state-screens"), ordinary=True)
        process.exit(0)
        shown = "\n".join(process.lines) + process.messages
        for raw in ("\x1b", "\x07", "\u202e"):
            check(raw not in shown, f"{name} shows {raw!r}: {shown!r}")
    for event in sharer.events:
        check("\x1b" not in str(event), f"an event holds an escape character: {event}")
    same(path, os.path.join(os.fsencode(world.path("out-hostile")), hostile))
    sharer.stop()

    node = world.start("open umask", "node", "--json", "--state", world.path("deep", "er", "state"), *LOOPBACK, umask=0)
    node.event("listening")
    node.stop()
    for parts, mode in ((("deep", "er", "state"), 0o700), (("deep", "er", "state", "catalog.sqlite"), 0o600)):
        found = os.stat(world.path(*parts)).st_mode & 0o777
        check(found == mode, f"{parts[-1]} has mode {found:o}")
    if not world.in_user_namespace:
        other = subprocess.run(["setpriv", *world.drop_privileges, "cat", world.path("deep", "er", "state",
                               "catalog.sqlite")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        check(other.returncode != 0 and other.stdout == b"", "another user reads the catalog")
    xdg = world.folder("xdg")
    node = world.start("xdg", "node", "--json", *LOOPBACK, ordinary=True, environment={"XDG_STATE_HOME": xdg})
    node.event("listening")
    node.stop()
    check(os.path.isfile(os.path.join(xdg, "shoal", "catalog.sqlite")), "XDG_STATE_HOME is not honoured")
    say("screens, modes, XDG")


def body(world, options):
    cases = Cases(world)
    for part in (usage, links, sources, screens, catalogs, torrents, ports_and_locks, destinations, nobody_there):
        part(world, cases)
    say(f"{cases.number} mistakes, each with its code and its sentence")


if __name__ == "__main__":
    main(body)
