"""shoal as a client like the others (client.py): one process a torrent, each with a state and a port of its own.

What lies in a folder already is adopted as the README has it, by `verify` and then `share --public`."""
import os

from client import Client, Progress
from harness import check


class Shoal(Client):
    KIND = "shoal"
    FORMS = ("v1", "hybrid", "v2")

    def __init__(self, world, name, place, *options, arguments=()):
        super().__init__(world, name, place, *options)
        self.arguments = list(arguments)
        self.known = {}  # by key: command, argument, state, port
        self.running = {}  # by key: its process

    def start(self):
        return self  # with its first torrent

    def _launch_torrent(self, key, *more):
        command, what, state, port = self.known[key]
        options = self.options
        common = ["--state", state, "--listen", f"{self.address}:{port}", "--no-lsd", "--mse", options.encryption]
        for host, number in self.nodes if options.dht else [("127.0.0.1", 9)]:  # a name for `nobody`
            common += ["--bootstrap", f"{host}:{number}"]
        for flag, rate in (("--up", options.up), ("--down", options.down)):
            common += [flag, str(rate)] if rate else []
        self.running[key] = self.world.start(f"{self.name} {key}", *command, what, *common, *self.arguments, *more,
                                             "--json", namespace=self.place.namespace)
        self.process = self.running[key]
        return self.process

    def _add(self, what, folder, seed):
        key = f"t{len(self.known) + 1}"
        state, port = os.path.join(self.folder, key), self.port + len(self.known)
        if seed:
            name = self._adopt(what, folder, state)
            self.known[key] = (["share", "--public"], os.path.join(folder, name), state, port)
        else:
            self.known[key] = (["get", "-o", folder, "--seed", "forever", "--wait", "0"], what, state, port)
        if seed or self.options.dht:
            process = self._launch_torrent(key)
            if seed:
                process.event("link")
                process.message("nothing to hash")  # it had verified that
        return key

    def _adopt(self, torrent, folder, state):
        process = self.world.start(f"{self.name} verify", "verify", torrent, folder, "--state", state, "--json")
        process.exit(0)
        info = self.world.start(f"{self.name} info", "info", torrent, "--json")
        info.exit(0)
        return info.event("info")["name"]

    def port_of(self, key=None):
        return self.known[self.key(key)][3]

    def _connect(self, key, host, port):
        """Peers are named at the start, so it begins again."""
        if key in self.running:
            self.running[key].stop(None)
        self._launch_torrent(key, "--peer", f"{host}:{port}")

    def progress(self, key=None):
        process = self.running.get(self.key(key))
        if process is None:
            return Progress(0, 0, False, False, 0, "waits for a peer to be named")
        check(process.process.poll() is None, f"{self.name} ended: {process.messages[-300:]}")
        events = process.of("progress")
        if not events:
            return Progress(0, 0, False, False, 0, "starts")
        now = events[-1]
        whole = now["bytes_wanted"] > 0 and bool(process.of("complete"))
        return Progress(now["bytes_committed"], now["bytes_wanted"], whole, whole, now["peers"], now["phase"])

    def stop(self):
        for process in self.running.values():
            if process.process.poll() is None:
                process.stop(None)
