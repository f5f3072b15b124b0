"""Two people and nobody else: one shares, the other has the link and nothing more.

Shows: the link alone on stdout and the line to paste on stderr; `get` with the link (as argument, from stdin, from
SHOAL_LINK) gives an identical tree, again nothing to do, and the same link again for unchanged files; links that
leave the share and pipes are skipped; --once ends after one copy; of hundreds shared with --each every one is given,
whatever becomes of others; kill -9 in the middle of a download loses at most
one commit window and the same command goes on.

About 20 s. --full: 1 GiB instead of 96 MiB in the part with the kill, about 2 min.
"""
import os

from harness import GIB, MIB, check, main, make_tree, same, say


def link_alone(world, tree):
    plain = world.peer("plain sharer", "share", tree, state="sharer", json_events=False)
    link = plain.line()
    check(link.startswith("shoal:"), f"the first line is no link: {link!r}")
    plain.message(r"shoal get '" + link.replace("?", r"\?") + "'")
    plain.stop()
    check(plain.lines == [link], f"stdout holds more than the link: {plain.lines}")
    check("listening on port" in plain.messages, "stderr does not tell how others reach it")
    return link


def transfer(world, tree, link):
    sharer = world.peer("sharer", "share", tree)
    again = sharer.link
    check(again.split("?")[0] == link.split("?")[0], "unchanged files gave another link")
    check(f"at=127.0.0.1:{sharer.port}" in again or f"at=127.0.0.1%3A{sharer.port}" in again,
          f"the link does not say where the sharer is: {again}")

    getter = world.peer("getter", "get", again, "-o", world.folder("out"))
    metadata = getter.event("metadata")
    complete = getter.event("complete")
    getter.exit(0)
    same(tree, world.path("out", "tree"))
    check(os.listdir(world.path("out")) == ["tree"], f"more is there than the content: {os.listdir(world.path('out'))}")
    check(metadata["bytes"] == complete["bytes"], "sizes in metadata and complete differ")
    check(getter.of("stopped")[-1]["exit"] == 0, "stopped names another exit")
    wasted = getter.last("progress", "wasted")
    check(complete["received"] <= complete["bytes"] + wasted, "more was received than the content and waste")
    say(f"{complete['bytes'] / MIB:.1f} MiB, {metadata['files']} files: {getter.events[-1]['seen'] - getter.started:.2f} s")

    once_more = world.peer("getter once more", "get", again, "-o", world.path("out"), state="getter")
    once_more.event("complete")
    once_more.exit(0)
    check(once_more.last("complete", "received") == 0, "a finished content was fetched again")

    for name, arguments, how in (
            ("stdin", ["-"], {"stdin": (again + "\n").encode()}),
            ("environment", [], {"environment": {"SHOAL_LINK": again}}),
    ):
        other = world.peer(name, "get", *arguments, "-o", world.folder("out-" + name), json_events=False, **how)
        other.exit(0)
        check(other.lines == [], f"get wrote to stdout: {other.lines}")
        same(tree, world.path("out-" + name, "tree"))
    sharer.stop()
    say("link from argument, stdin and SHOAL_LINK")


def skipped(world):
    """What is not carried over: a link that leaves the share, a pipe."""
    folder = world.folder("odd")
    world.file("odd", "kept", size=5000)
    os.symlink("/etc/passwd", world.path("odd", "leaves"))
    os.symlink("../../up", world.path("odd", "climbs"))
    os.mkfifo(world.path("odd", "pipe"))
    sharer = world.peer("once", "share", folder, "--once")
    getter = world.peer("odd getter", "get", sharer.link, "-o", world.folder("out-odd"))
    getter.exit(0)
    check(sorted(os.listdir(world.path("out-odd", "odd"))) == ["kept"], "a link that leaves or a pipe was carried over")
    sharer.event("copy_out")
    sharer.exit(0)
    say("links that leave are skipped, --once ends by itself")


def each(world):
    """Hundreds of contents, a link a line: shared again they cost no hashing, and one that is gone harms no other."""
    world.folder("each")
    paths = [world.file("each", f"file {number}", size=number * 100) for number in range(1, 301)]
    first = world.peer("each first", "share", "--each", *paths, state="each", json_events=False)
    first.line(len(paths) - 1)
    first.stop()
    sharer = world.peer("each", "share", "--each", *paths, state="each", json_events=False)
    sharer.line(len(paths) - 1)
    links = sharer.lines
    check([link.split("?")[0] for link in links] == [link.split("?")[0] for link in first.lines], "other links")
    os.remove(paths[7])
    waiting = world.peer("each, what is gone", "get", links[7], "-o", world.folder("out-gone"))
    for number in (0, 150, 299):
        getter = world.peer(f"each {number}", "get", links[number], "-o", world.folder(f"out-each-{number}"))
        getter.exit(0)
        same(paths[number], world.path(f"out-each-{number}", os.path.basename(paths[number])))
    waiting.kill()
    sharer.stop()
    check(sharer.messages.count("unchanged") == len(paths), "unchanged files were hashed again")
    check(len(sharer.lines) == len(paths), "links were told twice")
    say(f"{len(paths)} contents with --each")


def kill_and_resume(world, size):
    rate = size // 12
    path = world.file("big.bin", size=size)
    sharer = world.peer("big sharer", "share", path)
    arguments = ["get", sharer.link, "-o", world.folder("out-big")]
    getter = world.peer("killed", *arguments, "--down", str(rate), state="big")
    getter.event("progress", lambda e: e["bytes_committed"] >= size // 4, within=180)
    before = getter.last("progress", "bytes_committed")
    received = getter.last("progress", "received")
    getter.kill()
    check(os.path.exists(world.path("out-big", "big.bin.part")), "the unfinished file is not where it belongs")
    check(not os.path.exists(world.path("out-big", "big.bin")), "an unfinished file has its final name")
    resumed = world.peer("resumed", *arguments, state="big")
    attached = resumed.event("attached")
    complete = resumed.event("complete")
    resumed.exit(0)
    same(path, world.path("out-big", "big.bin"))
    check(os.listdir(world.path("out-big")) == ["big.bin"], "the unfinished file is still there")
    check(attached["have_bytes"] >= before, "committed bytes were lost")
    check(complete["received"] <= size - before, f"committed bytes were fetched again: {complete['received']}, {before}")
    again = received + complete["received"] - size
    # A commit every 2 s, 0.5 s of burst, 1 s between progress events.
    check(again <= 3.5 * rate, f"{again} bytes were fetched again")
    say(f"kill -9 at {received / size:.0%}: {max(0, again) / MIB:.1f} MiB of {size / MIB:.0f} fetched again")
    sharer.stop()


def other_folders(world):
    """What was begun, or is whole, in one folder and is asked for in another comes there; nothing else is touched."""
    path = world.file("moved.bin", size=8 * MIB)
    sharer = world.peer("moved sharer", "share", path)
    one, two, three = (world.folder(f"out-moved-{number}") for number in range(3))
    begun = world.peer("begun", "get", sharer.link, "-o", one, "--down", "1M", state="moved")
    begun.event("progress", lambda e: e["bytes_committed"] > 0, within=60)
    begun.kill()
    for folder in (two, three):
        getter = world.peer(f"moved to {folder}", "get", sharer.link, "-o", folder, state="moved")
        getter.exit(0)
        check(getter.last("complete", "received") >= 8 * MIB, "it was not fetched anew")
        same(path, os.path.join(folder, "moved.bin"))
    check(os.listdir(one) == ["moved.bin.part"] and os.listdir(two) == ["moved.bin"], "another folder was touched")
    again = world.path("out-moved-again")
    os.symlink(three, again)
    getter = world.peer("by another name", "get", sharer.link, "-o", again, state="moved")
    getter.exit(0)
    check(getter.last("complete", "received") == 0, "the same folder was taken for another")
    sharer.stop()
    say("another folder is another download")


def body(world, options):
    tree = world.path("tree")
    make_tree(tree, files=300, bytes_total=24 * MIB)
    link = link_alone(world, tree)
    transfer(world, tree, link)
    skipped(world)
    other_folders(world)
    each(world)
    kill_and_resume(world, GIB if options.full else 96 * MIB)


if __name__ == "__main__":
    main(body)
