"""A network of nodes in which nobody is special.

Shows: 24 `shoal node`, each told of one other, become one DHT; links without any address are found in it; three gets
at once, each told of one node that is not the sharer, fetch a tree of awkward names; the sharer is stopped once a
full copy is out and a fourth get has it from the others; the first node, of which all others were told, is killed,
and restarted nodes return through their saved tables, told of nobody; a fifth get, told of one of these only, works.
All results are identical byte for byte.

About 45 s: 2,000 files and 64 MiB. --full: 20,000 files and 2 GiB, and /usr/share/doc as a share of its own; about
10 min.
"""
import os

from harness import GIB, MIB, check, link_without, main, make_tree, same, say

NODES = 24


def start_nodes(world):
    """Node i is told of node i // 3: a tree, so that most know nobody near the top."""
    nodes = []
    for i in range(NODES):
        told = ["--bootstrap", f"127.0.0.1:{nodes[i // 3].port}"] if i > 0 else []
        nodes.append(world.peer(f"node{i}", "node", *told))
    for node in nodes:
        node.event("contacts", lambda e: e["contacts"] >= 8)
    say(f"{NODES} nodes know 8 others or more each")
    return nodes


def told_of(node):
    return ["--bootstrap", f"127.0.0.1:{node.port}"]


def body(world, options):
    world.folder("sources")
    tree = world.path("sources", "tree of names")
    make_tree(tree, files=20_000 if options.full else 2_000, bytes_total=2 * GIB if options.full else 64 * MIB)
    single = world.file("sources", "single file.bin", size=3 * MIB + 1)
    empty = world.file("sources", "empty", size=0)
    shares = [tree, single, empty] + (["/usr/share/doc"] if options.full else [])
    patience = 900 if options.full else 120
    nodes = start_nodes(world)

    sharers = [world.peer(f"sharer {os.path.basename(path)}", "share", path, *told_of(nodes[5 + i]))
               for i, path in enumerate(shares)]
    links = []
    for sharer in sharers:
        link = sharer.event("link", within=patience)["link"]
        sharer.event("published", lambda e: e["nodes"] >= 3)
        links.append(link_without(link, "at"))
        check("127.0.0.1" not in links[-1], f"an address is left in {links[-1]}")
    say(f"{len(shares)} shares are published")

    def get(name, link, node, *more):
        return world.peer(name, "get", link, "-o", world.folder("out " + name), *told_of(node), *more)

    def finished(getter, path):
        complete = getter.event("complete", within=patience)
        same(path, world.path("out " + getter.name, os.path.basename(path)))
        say(f"{getter.name}: {complete['bytes'] / MIB:.0f} MiB in {complete['seconds']:.1f} s, identical")

    three = [get(f"get{i}", links[0], nodes[10 + i], "--seed", "forever") for i in (1, 2, 3)]
    others = [get(f"small{i}", link, nodes[20]) for i, link in enumerate(links[1:], 1)]
    for getter, path in zip(others, shares[1:]):
        finished(getter, path)
        getter.exit(0)

    sharers[0].event("copy_out", within=patience)
    sharers[0].stop()
    say("the sharer is gone")
    for getter in three:
        finished(getter, tree)

    fourth = get("get4", links[0], nodes[15])
    finished(fourth, tree)
    fourth.exit(0)

    nodes[0].kill()
    returned = []
    for i in (7, 8, 9):
        nodes[i].kill() if i == 7 else nodes[i].stop()
        returned.append(world.peer(f"node{i} again", "node", state=f"node{i}"))
    for node in returned:
        node.event("contacts", lambda e: e["contacts"] >= 4)
    say("the first node is dead; three restarted nodes returned, told of nobody")
    fifth = get("get5", links[0], returned[0])
    finished(fifth, tree)
    fifth.exit(0)

    for process in three + sharers[1:] + nodes[1:7] + nodes[10:] + returned:
        process.process.terminate()
    for process in three + sharers[1:] + nodes[1:7] + nodes[10:] + returned:
        process.exit(0)
    say("all stopped in order")


if __name__ == "__main__":
    main(body)
