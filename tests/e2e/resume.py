"""kill -9, again and again, in one download.

Shows: after 20 SIGKILLs at random moments of one download the result is identical; no kill costs more than one commit
window, counted in payload bytes; from a restart of a 2 GiB file to the first new block it takes less than 2 s (as told by the progress
of each second); committed bytes never get fewer.

About 60 s (the seed of the moments is printed; --seed N repeats it). --full: 200 kills, 4 GiB; about 12 min.
"""
import os
import random
import statistics

from harness import GIB, MIB, check, main, same, say

COMMIT_SECONDS = 2.0  # DESIGN 9; and 0.5 s of burst, 0.5 s for the commit itself
WINDOW_SECONDS = COMMIT_SECONDS + 1.0


def body(world, options):
    kills, rate, size = (200, 8 * MIB, 4 * GIB) if options.full else (20, 30 * MIB, 2 * GIB)
    source = random.Random(options.seed)
    say(f"seed {options.seed}")
    path = world.file("big.bin", size=size)
    sharer = world.peer("sharer", "share", path)
    link = sharer.event("link", within=300)["link"]

    def get(number, *more):
        return world.peer(f"get{number}", "get", link, "-o", world.folder("out"), *more, state="getter")

    committed, done, losses, waits = 0, 0, [], []

    def account(getter):
        """What the kill before this run has cost: what had been done then, less what this run begins with."""
        nonlocal committed, done
        fetching = [e for e in getter.of("progress") if e["phase"] in ("fetching", "seeding")]
        if fetching:
            # Blocks of unfinished pieces count as received and not yet as done, so a loss is rather overstated.
            losses.append(max(0, done - (fetching[0]["bytes_done"] - fetching[0]["received"])))
            check(losses[-1] <= WINDOW_SECONDS * rate,
                  f"before {getter.name} {losses[-1]} bytes were lost, more than a commit window")
            done = max(e["bytes_done"] for e in fetching)
        attached = getter.of("attached")
        if attached:
            check(attached[0]["have_bytes"] >= committed,
                  f"{getter.name} starts with {attached[0]['have_bytes']} bytes, {committed} had been committed")
        committed = max(committed, getter.last("progress", "bytes_committed"))
        first = [e for e in getter.of("progress") if e["received"] > 0]
        if first:
            waits.append(first[0]["seen"] - getter.started)

    for number in range(kills):
        getter = get(number, "--down", str(rate))
        # Half of the kills hit the start, half a run with several commits.
        alive = getter.runs_for(source.uniform(0.02, 1.2) if number % 2 else source.uniform(1.5, 5.0))
        check(alive, f"the download ended before kill {number}: the content is too small")
        getter.kill()
        account(getter)
        check(not os.path.exists(world.path("out", "big.bin")), "an unfinished file has its final name")
    say(f"{kills} kills: {committed / MIB:.0f} of {size / MIB:.0f} MiB are committed")
    last = get(kills)
    last.event("complete", within=300)
    last.exit(0)
    account(last)
    same(path, world.path("out", "big.bin"))
    check(os.listdir(world.path("out")) == ["big.bin"], f"left over: {os.listdir(world.path('out'))}")
    sent = sharer.stop() or sharer.last("progress", "sent")
    say(f"lost by a kill: worst {max(losses) / MIB:.1f} MiB, all {sum(losses) / MIB:.1f} MiB in {len(losses)} kills that "
        f"hit a running download (a window has {WINDOW_SECONDS * rate / MIB:.0f}); the sharer sent {sent / MIB:.0f} MiB")
    # The kernel's buffers at both ends die with a process, too.
    check(sent - size <= kills * (WINDOW_SECONDS * rate + 8 * MIB), f"the sharer sent {sent} bytes for {size}")
    waits.sort()
    say(f"start to first new block: median {statistics.median(waits):.2f} s, worst {waits[-1]:.2f} s of {len(waits)}")
    check(waits[-1] < 2.0, "a restart took 2 s or more to its first new block")


if __name__ == "__main__":
    main(body, add_arguments=lambda p: p.add_argument("--seed", type=int, default=random.randrange(1 << 30)))
