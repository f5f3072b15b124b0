"""What the end-to-end scripts share: real shoal processes, their --json events, networks of namespaces, trees to compare.

Every script runs alone (`python3 tests/e2e/NAME.py build/release/shoal [--full]`), in a network namespace and a mount
namespace of its own: its peers meet nobody else, and whatever becomes of the script, the kernel takes its networks
and mounts away with it. An ordinary user gets the same through a user namespace. Nothing waits by sleeping: scripts
wait for an event, an exit or a condition, each with a generous deadline.

E2E_KEEP=1 keeps the files of a script that failed, E2E_SLOWNESS=5 stretches its deadlines five times.

Exit: 0 passed, 1 failed (the events and messages of every process follow), also where network namespaces are forbidden.
"""
import argparse
import fcntl
import json
import os
import pty
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
DEADLINE = 60 * float(os.environ.get("E2E_SLOWNESS", "1"))  # seconds; a sanitizer's build wants more
ORDINARY = 65534  # the user `nobody`
SHOWN = 20  # processes that a failed script reports, the newest
LOOPBACK = ["--local", "--no-lsd", "--listen", "127.0.0.1:0"]


class Failure(Exception):
    """What a script found wrong; one sentence."""


def check(condition, sentence):
    if not condition:
        raise Failure(sentence)


def escaped(text):
    """As a log can hold it, whatever bytes a name has."""
    return text.encode("utf-8", "backslashreplace").decode()


def say(sentence):
    print(f"[{time.monotonic() - START:6.1f} s] {sentence}", flush=True)


START = time.monotonic()
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_times(pid):
    """Seconds of processor time that a process has used, all its threads: in its own code, and in the system's for it."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def link_without(link, *keys):
    """The link without these parameters, such as `at`."""
    head, _, tail = link.partition("?")
    kept = [p for p in tail.split("&") if p and p.partition("=")[0] not in keys]
    return head + ("?" + "&".join(kept) if kept else "")


class Process:
    """A shoal process. With --json its events are read as they come; its messages (stderr) are kept.

    Each is read by a thread of its own: what was said before an event may be read after it. While the process runs,
    wait for messages by message(); all of them are there after exit()."""

    def __init__(self, world, name, arguments, *, namespace=None, ordinary=False, environment=None, stdin=b"",
                 umask=None, columns=None):
        self.name, self.world = name, world
        self.json = "--json" in arguments
        self.events, self.lines, self.messages = [], [], ""
        self.changed = threading.Condition()
        self.open_pipes = 2
        command = []
        if namespace:
            command += ["ip", "netns", "exec", namespace]
        # Dies with the script, whatever kills that.
        command += ["setpriv", "--pdeathsig", "KILL"] + (world.drop_privileges if ordinary else [])
        command += [world.program, *arguments]
        env = {k: v for k, v in os.environ.items() if not k.startswith("SHOAL_")}
        env.update({"HOME": str(world.folder("home-" + name)), "TERM": "dumb"}, **(environment or {}))
        for key in [k for k in env if k.startswith("XDG_")]:
            if key not in (environment or {}):
                del env[key]
        self.started = time.monotonic()
        old = os.umask(umask) if umask is not None else None
        screen = None
        if columns:  # stderr is a terminal of that width
            self.terminal, screen = pty.openpty()
            fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=screen or subprocess.PIPE, env=env,
                                        cwd=world.folder("cwd"))
        if columns:
            os.close(screen)
        if old is not None:
            os.umask(old)
        self.pid = self.process.pid
        for read in (self._read_stdout, self._read_stderr):
            threading.Thread(target=read, daemon=True).start()
        if stdin:
            self.process.stdin.write(stdin)
            self.process.stdin.close()

    def _read_stdout(self):
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "surrogateescape").rstrip("\n")
            event = None
            if self.json:
                try:
                    event = json.loads(raw)
                    if not (event["v"] == 1 and isinstance(event["ts"], int) and isinstance(event["event"], str)):
                        raise ValueError("v, ts or event is missing")
                except (ValueError, KeyError, TypeError) as error:
                    event = {"v": 1, "ts": 0, "event": "not json", "line": line, "why": str(error)}
                event["seen"] = time.monotonic()
            with self.changed:
                self.lines.append(line)
                if event:
                    self.events.append(event)
                self.changed.notify_all()
        self._closed()

    def _read_stderr(self):
        for raw in iter(self._read_screen if self.process.stderr is None else
                        lambda: self.process.stderr.read1(65536), b""):
            with self.changed:
                self.messages += raw.decode("utf-8", "surrogateescape")
                self.changed.notify_all()
        self._closed()

    def _read_screen(self):
        try:
            return os.read(self.terminal, 65536)
        except OSError:  # how Linux tells that nobody holds the other side
            os.close(self.terminal)
            return b""

    def _closed(self):
        with self.changed:
            self.open_pipes -= 1
            self.changed.notify_all()

    def _until(self, find, what, within):
        end = time.monotonic() + (within or DEADLINE)
        with self.changed:
            while True:
                found = find()
                if found is not None:
                    return found
                for event in self.events:
                    check(event["event"] != "not json", f"{self.name} wrote a line that is no event: {event}")
                check(self.open_pipes > 0, f"{self.name} ended while it was awaited: {what}")
                left = end - time.monotonic()
                check(left > 0, f"{self.name}: not within {within or DEADLINE:.0f} s: {what}")
                self.changed.wait(left)

    def event(self, kind, where=None, *, since=0, within=None):
        """The first event of that kind (and for which `where` holds) from number `since` on; waits for it."""

        def find():
            for event in self.events[since:]:
                if event["event"] == kind and (where is None or where(event)):
                    return event
            return None

        return self._until(find, f"event {kind}", within)

    def message(self, pattern, within=None):
        """Waits until the messages match."""
        return self._until(lambda: re.search(pattern, self.messages), f"message {pattern!r}", within)

    def line(self, number=0, within=None):
        """Waits for a line of stdout."""
        return self._until(lambda: self.lines[number] if len(self.lines) > number else None, "a line", within)

    def of(self, kind):
        with self.changed:
            return [e for e in self.events if e["event"] == kind]

    def last(self, kind, field, default=0):
        events = self.of(kind)
        return events[-1][field] if events else default

    def exit(self, expected=0, within=None):
        """Waits for the end; None expects nothing. Gives the code."""
        try:
            code = self.process.wait(within or DEADLINE)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} still runs after {within or DEADLINE:.0f} s") from None
        with self.changed:
            while self.open_pipes > 0:
                check(self.changed.wait(10), f"{self.name} ended and left its output open")
        for pipe in (self.process.stdout, self.process.stderr):  # a script may run thousands
            if pipe:
                pipe.close()
        check(expected is None or code == expected, f"{self.name} gave exit {code}, not {expected}")
        return code

    def runs_for(self, seconds):
        """True if it still runs after that time: the random moment of a kill, never a way to wait for something."""
        try:
            self.process.wait(seconds)
            return False
        except subprocess.TimeoutExpired:
            return True

    def stop(self, expected=0, signal_number=signal.SIGINT, within=None):
        self.process.send_signal(signal_number)
        return self.exit(expected, within)

    def kill(self):
        self.process.kill()
        return self.exit(None)

    @property
    def port(self):
        return self.event("listening")["port"]

    @property
    def link(self):
        return self.event("link")["link"]

    def memory(self, field):
        """A line of /proc/PID/status, in bytes: VmRSS, VmHWM, RssAnon."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(rf"^{field}:\s+(\d+) kB", status.read(), re.M)[1]) * KIB

    def report(self):
        code = self.process.poll()
        text = [f"---- {self.name}: {' '.join(map(repr, self.process.args))}",
                "     still running" if code is None else f"     exit {code}"]
        lines = self.lines if len(self.lines) < 16 else self.lines[:5] + ["..."] + self.lines[-10:]
        text += ["  > " + line[:200] for line in lines]
        text += ["  ! " + line[:200] for line in self.messages.splitlines()[-15:]]
        return escaped("\n".join(text))


class World:
    """A temporary folder and all that runs or is mounted for one script; leaving it takes everything away."""

    def __init__(self, program, in_user_namespace):
        self.program = os.path.abspath(program)
        self.root = tempfile.mkdtemp(prefix="shoal-e2e-")
        os.chmod(self.root, 0o1777)
        self.processes, self.mounts, self.namespaces = [], [], []
        # In a user namespace we are that ordinary user already, but for the capabilities.
        self.drop_privileges = (["--bounding-set=-all", "--inh-caps=-all"] if in_user_namespace else
                                [f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups"])
        self.in_user_namespace = in_user_namespace

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and kind is not SystemExit:
            # The cause is told before the reports as well as after them: who reads a part of a long log sees it.
            print(escaped(f"FAILED: {error}; the last {SHOWN} processes:"), file=sys.stderr)
            for process in self.processes[-SHOWN:]:
                print(process.report(), file=sys.stderr)
        for process in self.processes:
            if process.process.poll() is None:
                process.process.kill()
        for process in self.processes:
            process.process.wait()
        for mount in reversed(self.mounts):
            subprocess.run(["umount", mount], check=False)
        for namespace in self.namespaces:
            subprocess.run(["ip", "netns", "del", namespace], check=False)
        if kind is not None and "E2E_KEEP" in os.environ:
            print(f"kept, since E2E_KEEP is set: {self.root}", file=sys.stderr)
        else:
            shutil.rmtree(self.root, ignore_errors=True)
        return False

    # ---- folders and files

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def folder(self, *parts, owner=None):
        path = self.path(*parts)
        if not os.path.isdir(path):
            os.makedirs(path)
            os.chmod(path, 0o777)  # processes of an ordinary user write here as well
        if owner is not None and not self.in_user_namespace:
            os.chown(path, owner, owner)
        return path

    def file(self, *parts, size, seed=1):
        path = self.path(*parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_random(path, size, random.Random(f"{seed} {parts}"))
        return path

    def tmpfs(self, *parts, size):
        path = self.folder(*parts)
        run("mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "tmpfs", path)
        self.mounts.append(path)
        return path

    # ---- processes

    def start(self, name, *arguments, **how):
        process = Process(self, name, [os.fspath(a) for a in arguments], **how)
        self.processes.append(process)
        return process

    def peer(self, name, command, *arguments, state=None, net=None, json_events=True, **how):
        """A command with a state of its own; by default on the loopback network."""
        own = ["--state", self.path("state-" + (state or name))] + (LOOPBACK if net is None else net)
        return self.start(name, command, *arguments, *own, *(["--json"] if json_events else []), **how)

    # ---- networks

    def namespace(self, name):
        full = f"e2e-{os.getpid()}-{name}"
        run("ip", "netns", "add", full)
        self.namespaces.append(full)
        ip("link", "set", "lo", "up", at=full)
        return full

    def cable(self, here, near, there, far):
        """Two interfaces, `near` in namespace `here` and `far` in `there` (None: the script's own), both up."""
        ip("link", "add", near, *(["netns", here] if here else []), "type", "veth", "peer", "name", far,
           *(["netns", there] if there else []))
        ip("link", "set", near, "up", at=here)
        ip("link", "set", far, "up", at=there)

    def lan(self, names):
        """A namespace for each name, 192.168.77.1 and on at its eth0, to-NAME outside: ports of a bridge that stands
        in the script's own namespace."""
        ip("link", "add", "bridge", "type", "bridge", "mcast_snooping", "0")
        ip("link", "set", "bridge", "up")
        places = []
        for number, name in enumerate(names, 1):
            place = self.namespace(name)
            self.cable(None, f"to-{name}", place, "eth0")
            ip("link", "set", f"to-{name}", "master", "bridge")
            ip("addr", "add", f"192.168.77.{number}/24", "dev", "eth0", at=place)
            places.append(place)
        return places


def run(*command, **how):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **how)
    output = done.stdout.decode(errors="backslashreplace")
    check(done.returncode == 0, f"{' '.join(map(os.fsdecode, command))}: exit {done.returncode}: {output[:2000]}")
    return output


def ip(*arguments, at=None):
    return run("ip", *(["-n", at] if at else []), *arguments)


def nft(rules, at=None):
    return run(*(["ip", "netns", "exec", at] if at else []), "nft", "-f", "-", input=rules.encode())


def forward(at=None):
    run(*(["ip", "netns", "exec", at] if at else []), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


# ---- contents


def write_random(path, size, source):
    with open(path, "wb") as out:
        left = size
        while left > 0:
            chunk = source.randbytes(min(left, 4 * MIB))
            out.write(chunk)
            left -= len(chunk)


AWKWARD = [  # names a file may have on Linux and that someone, somewhere, gets wrong
    b" ", b" leading", b"trailing ", b"trailing.", b"-rf", b"--help", b"...", b".hidden", b"~", b"$HOME", b"%41", b"%",
    b"a", b"A", b"a.part", b"a.part.part", b"x", b"x.part", b"CON", b"nul.txt", b"back\\slash", b"co:lon", b"st*r", b"que?",
    b"\"quotes\"", b"'single'", b"semi;colon", b"am&per=sand#", b"new\nline", b"tab\there", b"cr\rhere", b"bell\x07",
    b"\x1b[31mred\x1b[0m", b"\x1b]8;;http://example.org\x1b\\link", b"\x7f", b"\xff\xfe not utf-8", b"\xc3", b"\xc0\xaf",
    "e\u0301 decomposed".encode(), "\u00e9 composed".encode(), "\u202egnp.exe".encode(), "\u2066iso\u2069".encode(),
    "\u65e5\u672c\u8a9e".encode(), "\U0001f41f\U0001f41f".encode(), "\ufeffbom".encode(), "\u200bzero".encode(),
    b"n" * 255, b"n" * 254 + b"m", b"<script>alert(1)</script>", b"attr", b"pieces root", b"info", b"name",
    b"1234567890:bencode", b".part", b"~.part",
]
SIZES = [0, 1, 2, 16383, 16384, 16385, 32768, 49153, 65535, 65536, 65537, 131072, 250001]


def make_tree(root, *, files, bytes_total, seed=1):
    """A folder of awkward names, many small files, sizes at the edges of blocks and pieces, one large file, a deep
    path, an empty folder, an executable file and a link that stays inside."""
    source = random.Random(seed)
    root = os.fsencode(root)
    os.makedirs(root)
    written = 0

    def write(path, size):
        nonlocal written
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_random(path, size, source)
        written += size

    for i, name in enumerate(AWKWARD):
        write(os.path.join(root, b"names", name), SIZES[i % len(SIZES)])
    for i, name in enumerate(AWKWARD):
        if len(name) < 200:
            write(os.path.join(root, b"folders", name, b"inside"), 10 + i)
    write(os.path.join(root, *[b"deep"] * 60, b"bottom"), 12345)
    os.makedirs(os.path.join(root, b"empty", b"emptier"))
    tool = os.path.join(root, b"tool")
    write(tool, 700)
    os.chmod(tool, 0o755)
    os.symlink(b"../tool", os.path.join(root, b"names", b"link to tool"))
    for i in range(max(0, files - 2 * len(AWKWARD) - 4)):
        write(os.path.join(root, b"many", b"%03d" % (i // 200), b"file %d.txt" % i), source.randrange(4000))
    write(os.path.join(root, b"large.bin"), max(0, bytes_total - written))
    return root


def same(expected, found):
    """Two files or trees are equal, as diff and sha256sum see it, and in the executable bits.

    Symbolic links that leave the tree are not shared, as documented: they alone may be missing."""
    expected, found = os.fsencode(expected), os.fsencode(found)
    check(os.path.lexists(found), f"{found!r} is missing")
    diff = subprocess.run(["diff", "-r", "--no-dereference", expected, found], capture_output=True, check=False)
    lines = diff.stdout.split(b"\n")[:-1]
    for line in lines:
        folder, _, name = line.removeprefix(b"Only in ").partition(b": ")
        check(line.startswith(b"Only in " + expected) and leaves(expected, os.path.join(folder, name)),
              f"diff -r {expected!r} {found!r}: {line!r}")
    check(diff.returncode == (1 if lines else 0), f"diff -r: {diff.stderr!r}")
    sums = [run("sh", "-c", "cd \"$1\" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum", "sh", path)
            if os.path.isdir(path) else run("sh", "-c", "sha256sum < \"$1\"", "sh", path) for path in (expected, found)]
    check(sums[0] == sums[1], f"{found!r} has another SHA-256 than {expected!r}")
    check(modes(expected) == modes(found), f"executable bits of {found!r} differ")


def leaves(root, path):
    """Whether the path is a symbolic link whose text leads out of the tree."""
    if not os.path.islink(path):
        return False
    text = os.readlink(path)
    target = os.path.normpath(os.path.join(os.path.dirname(path), text))
    return os.path.isabs(text) or not (target + b"/").startswith(os.path.abspath(root) + b"/")


def modes(root):
    if os.path.isfile(root):
        return {b"": bool(os.stat(root).st_mode & 0o100)}
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                found[os.path.relpath(path, root)] = bool(os.stat(path).st_mode & 0o100)
    return found


# ---- start of a script


def main(body, *, add_arguments=None, isolated=True):
    """Runs body(world, options) in namespaces of its own and exits."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="path of shoal")
    parser.add_argument("--full", action="store_true", help="the long form")
    if add_arguments:
        add_arguments(parser)
    options = parser.parse_args()
    if not os.access(options.program, os.X_OK):
        parser.error(f"{options.program} is no program")
    in_user_namespace = os.environ.get("E2E_ISOLATED") == "user"
    if isolated and "E2E_ISOLATED" not in os.environ:
        _isolate()
    if isolated:
        # ip-netns keeps its names here, and in this mount namespace nobody else sees them.
        run("mount", "-t", "tmpfs", "tmpfs", "/run")
        ip("link", "set", "lo", "up")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # leaves by the way that cleans up
    try:
        with World(options.program, in_user_namespace) as world:
            body(world, options)
    except Failure as failure:
        print(escaped(f"FAILED: {failure}"), file=sys.stderr)
        sys.exit(1)
    say("passed")
    sys.exit(0)


def _isolate():
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    spaces = ["unshare", *user, "--net", "--mount"]
    if subprocess.run([*spaces, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                      check=False).returncode != 0:
        print("this machine permits no network namespaces (unshare --net): run as root or allow user namespaces")
        sys.exit(1)
    os.environ["E2E_ISOLATED"] = "user" if user else "root"
    sys.stdout.flush()
    os.execvp(spaces[0], [*spaces, sys.executable, *sys.argv])
