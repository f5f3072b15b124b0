"""The n-th call of the system fails, whichever it is, in real processes: failing_calls.c is preloaded into them.

Shows, for get, share (with somebody who gets from it), verify and create, and for every kind of call (open, read, write,
sync, resize, rename, make a folder, unlink, stat) with each error that it can give (EIO, ENOSPC, EDQUOT, EMFILE, EINTR, and
half of the bytes with no error at all), once and for good: no signal ends the process; it goes on, or gives a documented
exit and one sentence that names the cause; then the same command succeeds, and every byte is right. A signal or a short
read or write is never told of at all, and descriptors that run out while streams are accepted keep nobody out for good.

About 15 s: cases by lot (the seed is printed; --seed N repeats it). --full: every call; about 20 min.
"""
import concurrent.futures
import errno
import itertools
import os
import random
import re
import shutil
import signal
import threading
import time

from harness import KIB, LOOPBACK, MIB, Failure, check, main, run, same, say

FOR_GOOD = 0
SHORT = 0  # instead of an error number
ERRORS = {
    "open": ["EIO", "ENOSPC", "EDQUOT", "EMFILE", "EINTR"],
    "read": ["EIO", "EINTR", "SHORT"],
    "write": ["EIO", "ENOSPC", "EDQUOT", "EINTR", "SHORT"],
    "sync": ["EIO", "ENOSPC", "EDQUOT", "EINTR"],
    "resize": ["EIO", "ENOSPC", "EINTR"],
    "rename": ["EIO", "ENOSPC", "EDQUOT"],
    "folder": ["EIO", "ENOSPC", "EDQUOT"],
    "unlink": ["EIO"],
    "stat": ["EIO"],
}
NAMED = {  # what the sentence about it holds, if it does not name the catalog
    None: "", "ENOSPC": "room|full|No space left", "EDQUOT": "room|quota", "EMFILE": "too many files are open|Too many open files",
    "EIO": "disk|Input", "EINTR": "", "SHORT": "",
}
RETRY = 5  # seconds until a full disk is tried again (swarm/limits.hpp)
EXITS = {0, 5, 6, 7, 11}  # 11: of the torrent
CASES = 120  # by lot


REACHING = {"SHOAL_UNCONFINED": "1"}  # what is preloaded writes outside of a confined peer's own folders


class Sweep:
    def __init__(self, world, library):
        self.world, self.library = world, library
        self.tree = world.path("set")
        for name, size in (("a", 150 * KIB), ("d/b", 40 * KIB), ("d/e", 0), ("d/tool", 700)):
            world.file("set", *name.split("/"), size=size)
        os.chmod(world.path("set", "d", "tool"), 0o755)
        self.torrent = world.path("set.torrent")
        world.start("torrent", "create", self.tree, "-o", self.torrent, "--hybrid").exit(0)
        self.link = world.peer("sharer", "share", self.tree).link
        self.numbers = itertools.count(1)
        self.tally = {"passed": 0, "told": 0}
        self.lock = threading.Lock()

    def place(self):
        """A case's name, and a folder of its own."""
        name = f"case{next(self.numbers)}"
        return name, self.world.folder(name)

    def environment(self, folder, kind, nth, error, times):
        return {"LD_PRELOAD": self.library, "FAIL_KIND": kind, "FAIL_NTH": str(nth), "FAIL_TIMES": str(times),
                "FAIL_ERRNO": str(getattr(errno, error, SHORT)), "FAIL_BENEATH": self.world.root,
                "FAIL_MARK": os.path.join(folder, "mark"), **REACHING}

    def peer(self, name, folder, which, command, *arguments, own="own", **how):
        return self.world.start(f"{name} {which}", command, *arguments, "--state", os.path.join(folder, own), *LOOPBACK,
                                "--json", **how)

    def counts(self, scenario):
        """How many calls of each kind it takes."""
        name, folder = self.place()
        path = os.path.join(folder, "counts")
        scenario(self, name, folder,
                 {"LD_PRELOAD": self.library, "FAIL_COUNTS": path, "FAIL_BENEATH": self.world.root, **REACHING},
                 None)
        with open(path, encoding="ascii") as file:
            found = dict(line.split() for line in file)
        self.clean(name, folder)
        return {kind: int(found[kind]) for kind in ERRORS}

    def clean(self, name, folder):
        own = [process for process in list(self.world.processes) if process.name.startswith(name + " ")]
        for process in own:
            process.kill()
            self.world.processes.remove(process)
            shutil.rmtree(self.world.path("home-" + process.name), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)

    def case(self, scenario, kind, nth, error, times):
        """True: there was such a call."""
        name, folder = self.place()
        what = (f"{scenario.__name__}: {kind} number {nth} gives {error} "
                f"{'for good' if times == FOR_GOOD else f'{times} times'}")
        try:
            told = scenario(self, name, folder, self.environment(folder, kind, nth, error, times), error)
        except Failure as failure:
            raise Failure(f"{what}: {failure}") from None
        struck = os.path.exists(os.path.join(folder, "mark"))
        check(struck or not told, f"{what}: it gave up, and nothing had failed")
        with self.lock:
            self.tally["told" if told else "passed"] += struck
        self.clean(name, folder)
        return struck


def judge(process, error):
    """Whether it gave up; if so, as it must."""
    code, text = process.exit(None), process.messages
    check(code in EXITS, f"exit {code}: {text!r}")
    if code == 0:
        return False
    check("shoal: " in text or code == 6, f"exit {code}, and no sentence: {text!r}")
    check(re.search(NAMED[error], text) or "catalog" in text, f"the cause is not named: {text!r}")
    # SQLite takes an interrupted sync for a failed one.
    check(error != "SHORT" and (error != "EINTR" or "catalog" in text), f"it gave up: {text!r}")
    return True


def stop_if_paused(process, patience):
    """Waits for its end. One that waits for room so many seconds is stopped."""
    paused = None
    with process.changed:
        while process.open_pipes > 0:
            process.changed.wait(0.5)
            if paused is None and process.of("paused"):
                paused = time.monotonic()
            if paused and not process.of("resumed") and time.monotonic() > paused + patience:
                process.process.send_signal(signal.SIGINT)
                paused = float("inf")


def get(sweep, name, folder, environment, error):
    out = os.path.join(folder, "out")

    def once(which, **how):
        return sweep.peer(name, folder, which, "get", sweep.link, "-o", out, **how)

    getter = once("get", environment=environment)
    stop_if_paused(getter, 1 if environment.get("FAIL_TIMES") == str(FOR_GOOD) else 3 * RETRY)
    told = judge(getter, error)
    if told:
        once("again").exit(0)
    same(sweep.tree, os.path.join(out, "set"))
    return told


def share(sweep, name, folder, environment, error):
    out = os.path.join(folder, "out")

    def once(which, **how):
        return sweep.peer(name, folder, which, "share", sweep.tree, **how)

    def fetch(which, link):
        return sweep.peer(name, folder, which, "get", link, "-o", out, own="getter")

    sharer = once("share", environment=environment)
    with sharer.changed:
        while sharer.open_pipes > 0 and not sharer.of("link"):
            check(sharer.changed.wait(60), "neither a link nor an end")
    fetched = False
    link = sharer.link if sharer.of("link") else None
    if link:
        getter = fetch("get", link)
        # Until one of both has ended, or what is shared cannot be read.
        end = time.monotonic() + 30
        with getter.changed:
            while getter.open_pipes > 0 and sharer.open_pipes > 0 and time.monotonic() < end:
                getter.changed.wait(0.1)
                if sharer.of("file_changed"):
                    end = min(end, time.monotonic() + 3)
        fetched = (getter.exit(None) if getter.open_pipes == 0 else getter.kill()) == 0
        sharer.process.send_signal(signal.SIGINT)
    told = judge(sharer, error)
    changed = sharer.of("file_changed")
    if changed:
        check(re.search(NAMED[error], changed[0]["reason"]), f"the cause is not named: {changed[0]}")
    elif link and not fetched and not told:
        check(sharer.of("paused"), "nobody could get it, and nothing was said")
        check(re.search(NAMED[error], sharer.messages), f"the cause is not named: {sharer.messages!r}")
    if told or not fetched:
        again = once("again")
        check(link is None or again.link.split("?")[0] == link.split("?")[0], "another link for the same files")
        fetch("get again", again.link).exit(0)
        again.stop()
    same(sweep.tree, os.path.join(out, "set"))
    return told or bool(changed or sharer.of("paused"))


def verify(sweep, name, folder, environment, error):
    def once(which, **how):
        return sweep.world.start(f"{name} {which}", "verify", sweep.torrent, sweep.world.root, "--state",
                                 os.path.join(folder, "state"), **how)

    process = once("verify", environment=environment)
    told = judge(process, error)
    once("again").exit(0)
    return told


def create(sweep, name, folder, environment, error):
    path = os.path.join(folder, "made.torrent")

    def once(which, **how):
        return sweep.world.start(f"{name} {which}", "create", sweep.tree, "-o", path, "--hybrid", **how)

    process = once("create", environment=environment)
    told = judge(process, error)
    check(not told or os.listdir(folder) in ([], ["mark"]), f"left over: {os.listdir(folder)}")
    if told:
        once("again").exit(0)
    with open(path, "rb") as made, open(sweep.torrent, "rb") as expected:
        check(made.read() == expected.read(), "another torrent of the same files")
    return told


def short_of_descriptors(sweep):
    """accept fails with EMFILE for a while: whoever waits is let in afterwards."""
    path = sweep.world.file("large", size=4 * MIB)
    _, folder = sweep.place()
    sharer = sweep.world.peer("short of descriptors", "share", path,
                              environment=sweep.environment(folder, "accept", 1, "EMFILE", 3))
    sweep.world.peer("patient", "get", sharer.link, "-o", sweep.world.folder("patient")).exit(0)
    same(path, sweep.world.path("patient", "large"))
    check(os.path.exists(os.path.join(folder, "mark")), "accept never failed")
    sharer.stop()


def body(world, options):
    source = random.Random(options.seed)
    library = world.path("failing_calls.so")
    here = os.path.dirname(os.path.abspath(__file__))
    run("cc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library,
        os.path.join(here, "failing_calls.c"))
    sweep = Sweep(world, library)
    short_of_descriptors(sweep)
    say("accept without descriptors: let in afterwards")

    groups = []
    for scenario in (get, share, verify, create):
        counts = sweep.counts(scenario)
        say(f"{scenario.__name__}: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
        groups += [(scenario, kind, counts[kind], error, times) for kind in ERRORS if counts[kind] > 0
                   for error in ERRORS[kind] for times in (1, FOR_GOOD) if (error, times) != ("EINTR", FOR_GOOD)]
    if options.only:
        groups = [g for g in groups if options.only in f"{g[0].__name__} {g[1]} {g[3]} {g[4]}"]

    def every(group):
        scenario, kind, _, error, times = group
        nth = 1
        while sweep.case(scenario, kind, nth, error, times):
            nth += 1

    def some(group):
        scenario, kind, count, error, times = group
        sweep.case(scenario, kind, source.randrange(count) + 1, error, times)

    if not options.full and not options.only:
        say(f"seed {options.seed}")
        groups = source.sample(groups, min(len(groups), CASES))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        failures = []
        for done in concurrent.futures.as_completed(
                [pool.submit(every if options.full or options.only else some, group) for group in groups]):
            try:
                done.result()
            except Failure as failure:
                failures.append(str(failure))
                print(f"FAILED: {failure}", flush=True)
    say(f"{sum(sweep.tally.values())} calls failed: {sweep.tally['passed']} times the command went on and succeeded, "
        f"{sweep.tally['told']} times it said why it could not, and then succeeded")
    check(not failures, f"{len(failures)} of these")


if __name__ == "__main__":
    def arguments(parser):
        parser.add_argument("--seed", type=int, default=809133677, help="of the lot, where not all are run")
        parser.add_argument("--jobs", type=int, default=6, help="cases at once")
        parser.add_argument("--only", default="", help="all calls of what matches, such as 'get sync EIO 0'")

    main(body, add_arguments=arguments)
