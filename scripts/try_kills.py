#!/usr/bin/env python3
"""Kill runs at random moments, start them again, and compare gold with that of a lake that was never disturbed.

A run is a process group of its own and is killed with SIGKILL, like a machine that loses power. Moments are counted in CPU
seconds, so that they fall over all steps on a busy machine too. Needs Linux.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from bench_night import put, used_cpu
from bench_pipeline import say
from compare_lakes import COMPARED, compare
from demo import ROOT
from make_demo_exports import make_exports
from try_orders import by_week

START = 8  # CPU seconds until a run has a session


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "kills", help="folder to work in (.bench/kills)")
    parser.add_argument("--kills", type=int, default=20, help="kills in all (20)")
    parser.add_argument("--weeks", type=int, default=4, help="weeks of the chain, each delivered by itself (4)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (1)")
    given = parser.parse_args()
    out: Path = given.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    os.environ.setdefault("TILLHOUSE_TOKEN_KEY", secrets.token_hex(32))
    make_exports(out, given.weeks, 4, plain=True)
    files = sorted(path for path in (out / "landing").rglob("*") if path.is_file())
    weeks = by_week(files)
    quiet, disturbed = out / "quiet", out / "disturbed"
    put(out, quiet, files)
    usual = finish(quiet)
    say(f"undisturbed, all at once: {usual:.0f} CPU s")

    moments = random.Random(given.seed)  # noqa: S311 - no secret
    kills, torn, by_step = 0, 0, dict[str, int]()
    for number, deliveries in enumerate(weeks):
        put(out, disturbed, deliveries)
        while kills < given.kills * (number + 1) // len(weeks):
            before = orphans(disturbed)
            step = kill_after(disturbed, moments.uniform(START, usual))
            if step is None:  # done before its moment; the next week gives the moments that are left
                break
            kills += 1
            by_step[step] = by_step.get(step, 0) + 1
            torn += bool(orphans(disturbed) - before)
        usual = finish(disturbed)
        say(f"week {number + 1}: {kills} kills so far, {torn} in the middle of a write; then done in {usual:.0f} CPU s")
    differing = [table.full_name for table in COMPARED if compare(quiet / "lake", disturbed / "lake", table).differing]
    steps = ", ".join(f"{name} {count}" for name, count in sorted(by_step.items()))
    say(f"{kills} kills, {torn} in the middle of a write; during: {steps}")
    say(f"tables that differ from the undisturbed lake: {', '.join(differing) or 'none'}")
    return 1 if differing else 0


def command(folder: Path) -> list[str]:
    places = [part for name in ("lake", "vault", "landing") for part in (f"--{name}", str(folder / name))]
    return [str(Path(sys.executable).parent / "tillhouse"), "run", "--conf-dir", str(ROOT / "conf"), *places]


def finish(folder: Path) -> float:
    """Let a run end; returns its CPU seconds.

    Raises:
        SystemExit: the run has failed.
    """
    with (folder / "run.log").open("a", encoding="utf-8") as log:
        run = subprocess.Popen(command(folder), stdout=log, stderr=log)
        used = watch(run, None)
    if run.returncode:
        raise SystemExit(f"a run ended with exit code {run.returncode}; see {folder / 'run.log'}")
    return used


def watch(run: subprocess.Popen[bytes], at_most: float | None) -> float:
    """Wait until a run has ended, or has used that many CPU seconds; returns how many it has used."""
    used = 0.0
    while run.poll() is None and (at_most is None or used < at_most):
        used = max(used, used_cpu(run.pid))
        time.sleep(0.05)
    return used


def kill_after(folder: Path, seconds: float) -> str | None:
    """Kill a run that has used so many CPU seconds; returns the step that it was in, None if it had ended before."""
    log = folder / "killed.log"
    with log.open("w", encoding="utf-8") as stream:
        run = subprocess.Popen(command(folder), stdout=stream, stderr=stream, start_new_session=True)
        watch(run, seconds)
        if run.poll() is not None:
            return None
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    started = [line for line in log.read_text("utf-8").splitlines() if '"step starts"' in line]
    return started[-1].split('"step": "')[1].split('"')[0] if started else "start"


def orphans(folder: Path) -> set[Path]:
    """Data files that no version of a table names: what a killed write leaves behind."""
    found = set()
    for root in (folder / "lake", folder / "vault"):
        for log in root.glob("*/*/_delta_log"):
            named = "".join(path.read_text("utf-8") for path in log.glob("*.json"))
            found |= {path for path in log.parent.rglob("*.parquet") if "_delta_log" not in path.parts and path.name not in named}
    return found


if __name__ == "__main__":
    raise SystemExit(main())
