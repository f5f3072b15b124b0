"""A12: a swarm is not to be aimed at a stranger.

A hostile peer names a victim that never answers, under many ports: to one getter by peer exchange, to another as a
node of BitTorrent's DHT, as peers and as nodes. All that reaches the victim is counted: of each getter at most 3
packets of TCP and UDP in 10 minutes, and the first of a stream is not longer than 150 bytes. (Where it was one more, all
is measured again: hanging up before the system repeats itself is a matter of 100 ms.)

32 s of these ten minutes; --full: all ten.
"""
import time

from hostile import FalseNode, Stranger, battlefield, listening_at
from harness import KIB, check, main, nft, say
from recorder import TCP, Recorder

MOST = 3  # packets
FIRST_MOST = 150  # bytes
PORTS = range(7000, 7050)
TURNS = 3  # a getter that this machine keeps from hanging up in time lets its system say once more what it said


def body(world, options):
    names = ["attacker", "victim", "by-exchange", "by-dht"]
    places = battlefield(world, *names)
    victim = places["victim"]
    # Silent, as a host behind a filter is; ARP goes on, so that packets are sent.
    nft("""table inet silence {
             chain heard { type filter hook input priority 0; policy drop; }
             chain said { type filter hook output priority 0; policy drop; }
           }""", at=victim.namespace)
    content = world.file("content.bin", size=256 * KIB)
    torrent = world.path("content.torrent")
    world.start("create", "create", content, "-o", torrent, "--state", world.path("state-create")).exit(0)
    information = world.start("info", "info", torrent, "--json")
    information.exit(0)
    info_hash = bytes.fromhex(information.of("info")[0]["v1"])
    hearsay = [(victim.address, port) for port in PORTS]

    FalseNode(places["attacker"], hearsay, hearsay)

    for turn in range(1, TURNS + 1):
        most = 0
        for name, sent in packets_of(world, places, turn, torrent, info_hash, hearsay, 600 if options.full else 32):
            check(sent, f"{name} sent nothing to the victim: this test sees nothing")
            longest = max(len(packet.payload) for packet in sent)
            check(longest <= FIRST_MOST, f"{name} sent {longest} bytes at once")
            check(len(sent) <= MOST + (turn < TURNS), f"{name} sent {len(sent)} packets, more than {MOST}")
            most = max(most, len(sent))
        if most <= MOST:
            return


def packets_of(world, places, turn, torrent, info_hash, hearsay, seconds):
    """[(getter, what of it reached the victim)], with getters that are new each turn."""
    recorder = Recorder("port2")

    def get(name, *more):
        place = places[name]
        return world.peer(f"{name} {turn}", "get", torrent, "-o", world.folder(f"out-{name} {turn}"), "--no-lsd", "--wait",
                          "0", "--listen", f"{place.address}:6881", *more, net=[], namespace=place.namespace)

    by_dht = get("by-dht", "--bootstrap", f"{places['attacker'].address}:6881")
    by_exchange = get("by-exchange", "--bootstrap", "127.0.0.1:9")
    by_exchange.event("attached")
    stranger = Stranger(places["attacker"], listening_at(places["by-exchange"], by_exchange), info_hash)
    number = stranger.exchange_peers(hearsay)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:  # not for a condition: it is the time that is counted in
        check(by_dht.runs_for(min(left, 60)), "the getter ended")
        stranger.say_pex(number, hearsay)  # peer exchange is taken once a minute
    recorder.stop()
    by_dht.stop(3)
    by_exchange.stop(3)

    found = []
    for name in ("by-exchange", "by-dht"):
        sent = [packet for packet in recorder.packets()
                if packet.source == bytes(map(int, places[name].address.split("."))) and packet.protocol is not None
                and packet.target == bytes(map(int, places["victim"].address.split(".")))]
        streams = [packet for packet in sent if packet.protocol == TCP]
        first = sent[0].seen if sent else 0
        say(f"{name}: {len(sent)} packets at the victim, {len(streams)} of them of TCP, to "
            f"{len({packet.target_port for packet in sent})} ports, after "
            f"{', '.join(f'{packet.seen - first:.1f}' for packet in sent[:20])} s")
        found.append((name, sent))
    return found


if __name__ == "__main__":
    main(body)
