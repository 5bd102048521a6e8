"""`make bench`: livchat.setup beside hand-written shell scripts that do the same work on the same kind of server.

    python -m tests.bench [one|two] [--rounds N]
    python -m tests.bench api

`one` measures setup, first installation and a redeploy without changes on one server; `two` what two servers take side
by side, created, set up and given n8n; without a word both. Rounds alternate in who goes first; the medians count.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench import api
from tests.bench.scripted import ScriptedServer
from tests.bench.spent import remote_calls, slowest_steps
from tests.e2e.story import Story
from tests.lab import config
from tests.lab.config import LabConfig

REDEPLOYS = 3
Timings = dict[str, float]


def timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


class Bench:
    def __init__(self, lab: LabConfig, folder: Path) -> None:
        self._lab = lab
        self._folder = folder
        self.story = Story(lab, folder / "home")
        self.story.init()

    # --- one server
    def ours(self, name: str) -> Timings:
        story = self.story
        timings = {"create": timed(lambda: story.create(name))}
        try:
            timings["setup"] = timed(lambda: story.setup(name))
            say("\n".join(["setup of ours:", *slowest_steps(story.home)]))
            timings["install n8n"] = timed(lambda: story.install(name, "n8n"))
            say("\n".join(["installation of ours:", *slowest_steps(story.home)]))
            timings["redeploy"] = statistics.median(timed(lambda: story.install(name, "n8n")) for _ in range(REDEPLOYS))
            say(f"remote calls of a redeploy without changes: {remote_calls(story, name)}")
        finally:
            story.run("server", "destroy", name, "--yes")
        return timings

    def scripted(self, name: str) -> Timings:
        server = ScriptedServer(self._lab, name, self._folder)
        timings = {"create": timed(server.create)}
        try:
            timings["setup"] = timed(lambda: server.run("setup"))
            timings["install n8n"] = timed(lambda: server.run("install"))
            timings["redeploy"] = statistics.median(timed(lambda: server.run("redeploy")) for _ in range(REDEPLOYS))
        finally:
            server.destroy()
        return timings

    # --- two, side by side
    def ours_twice(self, names: list[str]) -> Timings:
        try:
            return {"two servers": timed(lambda: self.story.run("launch", *names, "--app", "n8n"))}
        finally:
            for name in names:
                self.story.run("server", "destroy", name, "--yes")

    def scripted_twice(self, names: list[str]) -> Timings:
        servers = [ScriptedServer(self._lab, name, self._folder) for name in names]

        def whole(server: ScriptedServer) -> None:
            server.create()
            server.run("setup")
            server.run("install")

        try:
            with ThreadPoolExecutor() as pool:
                return {"two servers": timed(lambda: list(pool.map(whole, servers)))}
        finally:
            for server in servers:
                server.destroy()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(bench: Bench, wanted: set[str], rounds: int) -> tuple[list[Timings], list[Timings]]:
    ours: list[Timings] = []
    scripted: list[Timings] = []
    for number in range(rounds):
        runs: list[Callable[[], None]] = []
        if "one" in wanted:
            runs += [
                lambda: scripted.append(bench.scripted("bench-script")),
                lambda: ours.append(bench.ours("bench-ours")),
            ]
        if "two" in wanted:
            runs += [
                lambda: scripted.append(bench.scripted_twice(["bench-script1", "bench-script2"])),
                lambda: ours.append(bench.ours_twice(["bench-ours1", "bench-ours2"])),
            ]
        for run in reversed(runs) if number % 2 else runs:
            run()
            say(f"script {scripted[-1:]}  ours {ours[-1:]}")
    return ours, scripted


def table(ours: list[Timings], scripted: list[Timings]) -> str:
    lines = [f"{'':<14}{'livchat.setup':>14}{'script':>10}{'ratio':>8}"]
    for phase in dict.fromkeys(phase for one in ours for phase in one):
        mine, theirs = (statistics.median(one[phase] for one in side if phase in one) for side in (ours, scripted))
        lines.append(f"{phase:<14}{mine:>12.1f} s{theirs:>8.1f} s{mine / theirs:>8.2f}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["one", "two", "api"])
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    if given.what == "api":
        try:
            for line in api.report():
                print(line, flush=True)
        except api.MissedError:
            return 1
        return 0
    lab = config.load()
    folder = lab.folder / "bench"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        bench = Bench(lab, folder)
        print(table(*measure(bench, {given.what} if given.what else {"one", "two"}, given.rounds)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
