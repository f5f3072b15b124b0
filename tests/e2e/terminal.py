"""What a person sees.

Shows: on a terminal one live line that stays within the width, repainted in place, with the amount, the rate and the
time left; NO_COLOR leaves no colour and TERM=dumb no escape sequence; away from a terminal a plain line every 10 s;
--quiet says nothing; stdout holds data alone in every case.

About 20 s; it has no longer form.
"""
import re

from harness import MIB, check, main, same, say

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def body(world, options):
    path = world.file("a file with quite a long name that does not fit beside all the figures.bin", size=24 * MIB)
    sharer = world.peer("sharer", "share", path)
    link = sharer.link

    def get(name, down, *more, **how):
        return world.peer(name, "get", link, "-o", world.folder("out-" + name), "--down", down, *more,
                          json_events=False, **how)

    plain = get("plain", "1M")  # goes on while the others run
    for width in (40, 80):
        for name, environment in (("colour", {"TERM": "xterm-256color"}), ("no-colour", {"TERM": "xterm-256color",
                                  "NO_COLOR": "1"}), ("dumb", {"TERM": "dumb"})):
            getter = get(f"{name}-{width}", "12M", columns=width, environment={"COLUMNS": str(width), **environment})
            getter.exit(0)
            shown = getter.messages
            check(getter.lines == [], f"{name}: stdout holds {getter.lines}")
            if name == "dumb":
                check("\x1b" not in shown, f"an escape sequence on a dumb terminal: {shown!r}")
                continue
            check(not (name == "no-colour" and re.search(r"\x1b\[[0-9;]*m", shown)), f"colour: {shown!r}")
            check("\r" in shown.replace("\r\n", "") or "\x1b[" in shown, f"nothing was repainted in place: {shown!r}")
            painted = [p for p in re.split(r"[\r\n]+", ESCAPES.sub("", shown)) if p.strip()]
            live = [p for p in painted if "%" in p]
            check(len(live) >= 2, f"{name}: no live line: {painted}")
            check(all(len(p) <= width for p in live), f"{name}: wider than {width}: {max(live, key=len)!r}")
            check(width < 60 or any("/s" in p for p in live), f"{name}: no rate: {live}")
    say(f"live line, such as: {live[-1].strip()}")

    quiet = get("quiet", "12M", "--quiet")
    quiet.exit(0)
    check(quiet.messages == "" and quiet.lines == [], f"--quiet said {quiet.messages!r}")

    plain.exit(0)
    check("\r" not in plain.messages and "\x1b" not in plain.messages, f"a log is no terminal: {plain.messages!r}")
    lines = [line for line in plain.messages.splitlines() if "/s" in line]
    check(2 <= len(lines) <= 4, f"about one line in 10 s is wanted: {plain.messages!r}")
    same(path, world.path("out-plain", path.rpartition("/")[2]))
    say(f"plain line, such as: {lines[-1].strip()}")
    sharer.stop()


if __name__ == "__main__":
    main(body)
