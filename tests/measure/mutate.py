#!/usr/bin/env python3
"""Mutation testing: breaks one place of a decoder, of crypto, of path safety or of the commit code at a time, and sees
whether a test notices.

  tests/measure/mutate.py               200 mutants by lot: hours
  tests/measure/mutate.py --mutants N --seed S --only PART --quick

Each mutant is built in a copy of the checkout's last commit (build/mutants) and shown to the test programs that stand
near it (parts.py). It is noticed if a test fails or crashes, or if the program takes three times as long. Mutants that do
not compile are drawn again. Those that live are printed as a diff: each is a missing test, or the same program in other
words. CMAKE_BUILD_PARALLEL_LEVEL=N bounds its compilers. Exit: 0 if at least 85 % were noticed, 1 if not."""
import argparse
import collections
import contextlib
import difflib
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time

import parts

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COPY = "build/mutants"
BUILD = "build/debug"
WANTED = 0.85
MOMENT = 0.3  # seconds
LONGER, LEAST = 3, 10  # times what it takes unbroken, and seconds: then a test program does not end
SLOW = 10  # times as long for the slow tests
ASLEEP = 10  # of wall time, as many times: other programs may want the processors too
MEMORY = 4 << 30  # bytes that can be written: a mutant may well allocate without end
# What is broken may be what keeps paths inside a folder: nothing can be written but a /tmp of its own.
CONFINED = ["unshare", "--mount", "--propagation", "private", *([] if os.geteuid() == 0 else ["--map-root-user"]),
            "sh", "-c", 'mount --bind tmp /tmp && mount -o remount,bind,ro / && exec "$@"', "sh"]
ENVIRONMENT = {**os.environ, "CCACHE_BASEDIR": os.path.join(ROOT, COPY), "CCACHE_NOHASHDIR": "1"}

# What is broken: a pattern of code, and by what it is replaced.
OPERATORS = [
    ("border", re.compile(r"(?<![<>=!\-])<=(?!>)"), "<"),
    ("border", re.compile(r"(?<![<>=!\-])>=(?!=)"), ">"),
    ("border", re.compile(r"(?<= )<(?= )"), "<="),
    ("border", re.compile(r"(?<= )>(?= )"), ">="),
    ("negation", re.compile(r"(?<= )==(?= )"), "!="),
    ("negation", re.compile(r"(?<= )!=(?= )"), "=="),
    ("negation", re.compile(r"\bif \((?!const|auto|\w+[\w:<>]* \w+ =)(.+)\) return\b"), r"if (!(\1)) return"),
    ("logic", re.compile(r" && "), " || "),
    ("logic", re.compile(r" \|\| "), " && "),
    ("arithmetic", re.compile(r"(?<=\w) \+ (?=\w)"), " - "),
    ("arithmetic", re.compile(r"(?<=\w) - (?=\w)"), " + "),
    ("arithmetic", re.compile(r"(?<= )\+= "), "-= "),
    ("constant", re.compile(r"\btrue\b"), "false"),
    ("constant", re.compile(r"\bfalse\b"), "true"),
    ("constant", re.compile(r"(?<![\w.'])([1-9]\d*)(?![\w.'])"), lambda found: str(int(found[1]) + 1)),
    ("omission", re.compile(r"^(\s+)(?!return|const|auto|case|default|else|using|break|continue)[\w.>\-\[\]]+\(.*\);$"),
     r"\1;"),
    ("omission", re.compile(r"^(\s+)(?!return|const|auto|using)[\w.>\-\[\]]+ [|+\-&^]?= .*;$"), r"\1;"),
    ("omission", re.compile(r"^(\s+)if \(.*\) (return|continue|break)\b.*;$"), r"\1;"),
]
# Not code, or code whose absence cannot show: what ends the process, what takes memory beforehand, messages.
SKIPPED = re.compile(r"^\s*(//|#|static_assert|using |template|namespace|struct |class |\[\[|return fail\()|SHOAL_CHECK|reserve"
                     r"|// unreachable")


def places(path):
    """Every mutant of a file: (line, kind, changed text)."""
    with open(f"{COPY}/{path}", encoding="utf-8") as text:
        lines = text.read().split("\n")
    out = []
    for number, line in enumerate(lines):
        if SKIPPED.search(line):
            continue
        code = re.split(r"\s*// ", line, maxsplit=1)[0]
        quoted = [found.span() for found in re.finditer(r'"(?:[^"\\]|\\.)*"', code)]
        for kind, pattern, new in OPERATORS:
            for found in pattern.finditer(code):
                if any(start < found.end() and found.start() < end for start, end in quoted):
                    continue
                changed = code[:found.start()] + (found.expand(new) if isinstance(new, str) else new(found)) + \
                    code[found.end():]
                if changed != code:
                    out.append((number, kind, changed))
    return lines, out


def draw(generator, candidates):
    """One mutant: a part, a kind and then a place of it, so that no part or kind crowds out the others."""
    part = generator.choice(sorted(candidates))
    kind = generator.choice(sorted(candidates[part]))
    found = candidates[part][kind]
    mutant = found.pop(generator.randrange(len(found)))
    if not found:
        del candidates[part][kind]
        if not candidates[part]:
            del candidates[part]
    return part, kind, mutant


class Program:
    """A test program of the copy. `slow`: its tests that took longer than a moment; they run after the others, since most
    mutants are noticed at once."""

    def __init__(self, name):
        self.name = name
        self.patience = None  # seconds of a processor
        if not self.builds():
            sys.exit(f"{name} does not build")
        report = f"{COPY}/tmp/{name}.json"  # how long each test takes: asked once
        if not os.path.exists(report) and (found := self.complaint(f"--gtest_output=json:/tmp/{name}.json")):
            sys.exit(f"{name} {found} on what was not broken")
        with open(report, encoding="utf-8") as text:
            suites = json.load(text)["testsuites"]
        self.slow = ":".join(f"{suite['name']}.{test['name']}" for suite in suites for test in suite["testsuite"]
                             if float(test["time"].rstrip("s")) > MOMENT)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        if found := self.complaint(f"--gtest_filter=-{self.slow}"):
            sys.exit(f"{name} {found} on what was not broken")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.patience = int(LEAST + LONGER * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))

    def builds(self):
        return subprocess.run(["cmake", "--build", BUILD, "--target", self.name], cwd=COPY, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, env=ENVIRONMENT, check=False).returncode == 0

    def complaint(self, *options, patience=None):
        """What is wrong with it, None if nothing. It may sleep in vain as well."""
        patience = patience or self.patience

        def bound():
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            if patience:
                resource.setrlimit(resource.RLIMIT_CPU, (patience, patience))

        with subprocess.Popen([*CONFINED, f"{BUILD}/tests/{self.name}", "--gtest_brief=1", *options], cwd=COPY,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=True, preexec_fn=bound) as process:
            try:
                code = process.wait(timeout=ASLEEP * patience if patience else None)
            except subprocess.TimeoutExpired:
                return "hangs"
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # and what it may have forked
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            return "runs on"
        return None if code == 0 else "crashes" if code < 0 else "fails"

    def notices(self, quick):
        found = self.complaint("--gtest_fail_fast", f"--gtest_filter=-{self.slow}")
        if not found and self.slow and not quick:
            found = self.complaint("--gtest_fail_fast", f"--gtest_filter={self.slow}", patience=SLOW * self.patience)
        return found


def prepare():
    """The copy, of the last commit; it is kept for the next run."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    if not os.path.exists(f"{COPY}/.git"):
        subprocess.run(["git", "worktree", "prune"], check=True)
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", COPY], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--force", "--detach", commit], cwd=COPY, check=True)
    os.makedirs(f"{COPY}/tmp", exist_ok=True)
    subprocess.run(["cmake", "--preset", "debug"], cwd=COPY, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)


def verdict(programs, path, lines, number, changed, quick):
    """Which program noticed; None: none did. False: it does not compile."""
    with open(f"{COPY}/{path}", "w", encoding="utf-8") as text:
        text.write("\n".join([*lines[:number], changed, *lines[number + 1:]]))
    try:
        for name in parts.tests_of(path):
            if not programs[name].builds():
                return False
            if found := programs[name].notices(quick):
                return f"{name} {found}"
        return None
    finally:
        with open(f"{COPY}/{path}", "w", encoding="utf-8") as text:
            text.write("\n".join(lines))


def main():
    os.chdir(ROOT)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(parts.PARTS))
    parser.add_argument("--quick", action="store_true", help="without the slow tests: finds fewer, never more")
    options = parser.parse_args()
    prepare()
    candidates = collections.defaultdict(lambda: collections.defaultdict(list))
    texts = {}
    for path, part in parts.sources().items():
        if part is None or options.only not in (None, part):
            continue
        texts[path], found = places(path)
        for number, kind, changed in found:
            candidates[part][kind].append((path, number, changed))
    generator = random.Random(options.seed)
    programs = {name: Program(name) for name in sorted({name for path in texts for name in parts.tests_of(path)})}
    noticed = collections.Counter()
    drawn = collections.Counter()
    begun = time.monotonic()
    while sum(drawn.values()) < options.mutants and candidates:
        part, kind, (path, number, changed) = draw(generator, candidates)
        result = verdict(programs, path, texts[path], number, changed, options.quick)
        if result is False:
            continue
        drawn[part] += 1
        noticed[part] += result is not None
        print(f"{sum(drawn.values()):4} {part:9} {kind:10} {path}:{number + 1}: {result or 'LIVES'}", flush=True)
        if result is None:
            print("\n".join(list(difflib.unified_diff([texts[path][number]], [changed], lineterm="", n=0))[3:]), flush=True)
    total, found = sum(drawn.values()), sum(noticed.values())
    for part in drawn:
        print(f"{part:9} {noticed[part]} of {drawn[part]}")
    print(f"{found} of {total} noticed ({100 * found / max(1, total):.1f} %), {time.monotonic() - begun:.0f} s")
    return 0 if found >= WANTED * total else 1


if __name__ == "__main__":
    sys.exit(main())
