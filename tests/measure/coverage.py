#!/usr/bin/env python3
"""Branch coverage of the engines by unit tests and scenarios.

  tests/measure/coverage.py               builds, runs, prints a table
  tests/measure/coverage.py --show PART   lists the branches of a part (or file) that no test takes
  tests/measure/coverage.py --again       does not build or run: prints from the last run

Clang counts a branch for each condition, whether it was ever true and ever false. Branches that end the process because
the program itself is wrong (SHOAL_CHECK), the default that a switch over an enumeration has not, and lines that say
"// unreachable: why" are left out. Exit: 0, or 1 where a build or a test fails."""
import argparse
import collections
import json
import os
import re
import subprocess
import sys

import parts

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = "build/coverage"
PROGRAMS = ["base_tests", "dht_tests", "storage_tests", "swarm_tests", "cli_tests", "thread_tests",
            "scenario_tests"]
UNREACHABLE = re.compile(r"\b(SHOAL_CHECK|check)\(|// unreachable|^\s*switch \(")


def run(*command, **more):
    return subprocess.run(command, check=True, **more)


def measure():
    run("cli/install_packages", "coverage")
    os.makedirs("build", exist_ok=True)
    with open("build/coverage.log", "w", encoding="utf-8") as log:
        run("cmake", "--preset", "coverage", stdout=log, stderr=log)
        run("cmake", "--build", BUILD, "--target", *PROGRAMS, stdout=log, stderr=log)
    profiles = []
    waiting = list(PROGRAMS)
    running = []
    while waiting or running:
        while waiting and len(running) < os.cpu_count():
            program = waiting.pop()
            profiles.append(f"{BUILD}/{program}.profraw")
            running.append((program, subprocess.Popen([f"{BUILD}/tests/{program}", "--gtest_brief=1"],
                                                      env={**os.environ, "LLVM_PROFILE_FILE": profiles[-1]})))
        program, process = running.pop(0)
        if process.wait() != 0:
            sys.exit(f"{program} failed: coverage of tests that fail says nothing")
    run("llvm-profdata-19", "merge", "-sparse", "-o", f"{BUILD}/all.profdata", *profiles)
    objects = [word for program in PROGRAMS[1:] for word in ("-object", f"{BUILD}/tests/{program}")]
    with open(f"{BUILD}/coverage.json", "w", encoding="utf-8") as out:
        run("llvm-cov-19", "export", f"-instr-profile={BUILD}/all.profdata", f"{BUILD}/tests/{PROGRAMS[0]}", *objects,
            "-skip-expansions", stdout=out)


def branches():
    """{source: {(line, column, side): taken}}; instances of a template are one branch."""
    with open(f"{BUILD}/coverage.json", encoding="utf-8") as text:
        data = json.load(text)["data"][0]
    out = collections.defaultdict(dict)
    for file in data["files"]:
        path = os.path.relpath(file["filename"], ROOT)
        if path not in SOURCES:
            continue
        with open(path, encoding="utf-8") as text:
            lines = text.read().split("\n")
        for line, column, _, _, taken, skipped, *_ in file["branches"]:
            if UNREACHABLE.search(lines[line - 1]):
                continue
            for side, count in (("true", taken), ("false", skipped)):
                key = (line, column, side)
                out[path][key] = out[path].get(key, False) or count > 0
    return out


def show(of, wanted):
    for path in sorted(of):
        if wanted not in (path, SOURCES[path] or "rest"):
            continue
        with open(path, encoding="utf-8") as text:
            lines = text.read().split("\n")
        for (line, column, side), taken in sorted(of[path].items()):
            if not taken:
                print(f"{path}:{line}:{column}: never {side}: {lines[line - 1].strip()}")


def table(of):
    print(f"{'part':10} {'branches':>9} {'taken':>9} {'share':>8}")
    for part in [*parts.PARTS, "rest"]:
        seen = [taken for path, found in of.items() if (SOURCES[path] or "rest") == part for taken in found.values()]
        print(f"{part:10} {len(seen):9} {sum(seen):9} {100 * sum(seen) / max(1, len(seen)):7.2f}%")


if __name__ == "__main__":
    os.chdir(ROOT)
    SOURCES = parts.sources()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", metavar="PART")
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    if not options.again:
        measure()
    found = branches()
    if options.show:
        show(found, options.show)
    table(found)
