"""The Internet in small: public networks of their own, routers that masquerade, no --local anywhere.

    public node 20.0.1.2 ----+
    reachable    20.0.2.2 ---+-- core (the script's namespace routes) --+-- router 20.0.3.2 | 192.168.1.0/24: behind
    reachable 2  20.0.4.2 ---+                                          +-- router 20.0.5.2 | 192.168.2.0/24: behind 2

Shows: a sharer behind a NAT that nobody can dial is found through one public node and dials the reachable getter; a
getter behind a NAT fetches from a reachable sharer; a getter behind the second NAT has the content of the NATed
sharer from the reachable peer that got it before; who is reachable and who is not is told, with the outer address.

About 40 s; it has no longer form.
"""
import re

from harness import MIB, check, forward, ip, link_without, main, nft, same, say

MASQUERADE = """
table ip nat {
  chain out { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
}
table inet filter {
  chain in { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
  }
}
"""


def network(world):
    forward()

    def public(number, name, far="wan"):
        place = world.namespace(name)
        world.cable(None, f"core{number}", place, far)
        ip("addr", "add", f"20.0.{number}.1/24", "dev", f"core{number}")
        ip("addr", "add", f"20.0.{number}.2/24", "dev", far, at=place)
        ip("route", "add", "default", "via", f"20.0.{number}.1", at=place)
        return place

    def behind(router, number, name):
        place = world.namespace(name)
        world.cable(router, "lan", place, "eth0")
        ip("addr", "add", f"192.168.{number}.1/24", "dev", "lan", at=router)
        ip("addr", "add", f"192.168.{number}.2/24", "dev", "eth0", at=place)
        ip("route", "add", "default", "via", f"192.168.{number}.1", at=place)
        forward(at=router)
        nft(MASQUERADE, at=router)
        return place

    places = {"node": public(1, "node"), "reachable": public(2, "reachable"), "reachable2": public(4, "reachable2")}
    places["behind"] = behind(public(3, "router"), 1, "behind")
    places["behind2"] = behind(public(5, "router2"), 2, "behind2")
    return places


def body(world, options):
    places = network(world)
    node = world.peer("public node", "node", net=["--listen", "0.0.0.0:6881"], namespace=places["node"])
    node.event("listening")
    told = ["--bootstrap", "20.0.1.2:6881"]

    def share(name, place, path):
        sharer = world.peer(name, "share", path, *told, net=[], namespace=places[place])
        link = sharer.link
        published = sharer.event("published", lambda e: e["nodes"] >= 1)
        say(f"{name}: published at another node after {published['seen'] - sharer.started:.1f} s")
        return sharer, link

    def get(name, place, link, path, *more):
        getter = world.peer(name, "get", link, "-o", world.folder("out-" + name), *told, *more, net=[],
                            namespace=places[place])
        getter.event("complete", within=90)
        same(path, world.path("out-" + name, path.rpartition("/")[2]))
        say(f"{name}: identical after {getter.events[-1]['seen'] - getter.started:.1f} s")
        return getter

    path = world.file("from behind.bin", size=4 * MIB)
    natted, link = share("NATed sharer", "behind", path)
    check("at=192.168.1.2" in link, f"the link lacks the address for its own LAN: {link}")
    bare = link_without(link, "at")

    # The reachable one cannot dial 20.0.3.2, but the sharer sees its record and dials it.
    first = get("reachable getter", "reachable", bare, path, "--seed", "forever")
    # Neither of two NATed peers can dial the other; the reachable one serves both.
    get("NATed getter", "behind2", bare, path).exit(0)

    other = world.file("from outside.bin", size=4 * MIB, seed=2)
    open_sharer, open_link = share("reachable sharer", "reachable2", other)
    check(re.search(r"at=20\.0\.4\.2", open_link), f"the link lacks the public address: {open_link}")
    get("NATed getter 2", "behind", open_link, other).exit(0)
    get("reachable getter 2", "reachable", link_without(open_link, "at"), other).exit(0)

    # Only a stranger's ping proves it; when the first getter came, the two NATed peers were strangers still.
    told_reachable = first.event("reachable", within=60)
    check(told_reachable["endpoint"] == f"20.0.2.2:{first.port}", f"{told_reachable}")
    check(not natted.of("reachable"), f"a NATed peer believes to be reachable: {natted.of('reachable')}")
    for process in (natted, first, open_sharer, node):
        process.stop()


if __name__ == "__main__":
    main(body)
