#!/usr/bin/env python3
"""Kill runs at random moments, start them again, and compare gold with that of a lake that was never disturbed.

A run is a process group of its own and is killed with SIGKILL, like a machine that loses power. A step is drawn by lot, and so
many CPU seconds of what it takes in a week, so that the moments fall over all steps on a busy machine too. Needs Linux.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench_night import put, used_cpu
from bench_pipeline import say
from compare_lakes import COMPARED, compare
from demo import ROOT
from make_demo_exports import make_exports
from try_orders import by_week


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
    spans = usual.spans()
    say(f"undisturbed, all at once: {usual.used:.0f} CPU s; " + ", ".join(f"{step} {span:.0f}" for step, span in spans.items()))

    lot = random.Random(given.seed)  # noqa: S311 - no secret
    kills, torn, by_step = 0, 0, dict[str, int]()
    for number, deliveries in enumerate(weeks):
        put(out, disturbed, deliveries)
        while kills < given.kills * (number + 1) // len(weeks):
            before = orphans(disturbed)
            aimed = lot.choice(list(spans))
            step = kill_in(disturbed, aimed, lot.uniform(0, spans[aimed] / len(weeks)))
            if step is None:  # done before its moment; the next week gives the moments that are left
                break
            kills += 1
            by_step[step] = by_step.get(step, 0) + 1
            torn += bool(orphans(disturbed) - before)
        used = finish(disturbed).used
        say(f"week {number + 1}: {kills} kills so far, {torn} in the middle of a write; then done in {used:.0f} CPU s")
    differing = [table.full_name for table in COMPARED if compare(quiet / "lake", disturbed / "lake", table).differing]
    steps = ", ".join(f"{name} {count}" for name, count in sorted(by_step.items()))
    say(f"{kills} kills, {torn} in the middle of a write; during: {steps}")
    say(f"tables that differ from the undisturbed lake: {', '.join(differing) or 'none'}")
    return 1 if differing else 0


def command(folder: Path) -> list[str]:
    places = [part for name in ("lake", "vault", "landing") for part in (f"--{name}", str(folder / name))]
    return [str(Path(sys.executable).parent / "tillhouse"), "run", "--conf-dir", str(ROOT / "conf"), *places]


@dataclass
class Progress:
    """How many CPU seconds a run has used, in all and when each of its steps began."""

    used: float = 0.0
    started: dict[str, float] = field(default_factory=dict)

    def spans(self) -> dict[str, float]:
        ends = [*list(self.started.values())[1:], self.used]
        return {step: end - start for (step, start), end in zip(self.started.items(), ends, strict=True)}


def finish(folder: Path) -> Progress:
    """Let a run end.

    Raises:
        SystemExit: the run has failed.
    """
    run, progress = watch(folder, lambda _: False)
    if run.returncode:
        raise SystemExit(f"a run ended with exit code {run.returncode}; see {folder / 'run.log'}")
    return progress


def kill_in(folder: Path, step: str, seconds: float) -> str | None:
    """Kill a run so many CPU seconds after a step began; returns the step that it was in, None if it had ended before."""
    run, progress = watch(folder, lambda so_far: step in so_far.started and so_far.used - so_far.started[step] >= seconds)
    if run.poll() is not None:
        return None
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    return list(progress.started)[-1]


def watch(folder: Path, is_moment: Callable[[Progress], bool]) -> tuple[subprocess.Popen[bytes], Progress]:
    """Start a run and wait until it has ended, or until the moment has come."""
    progress, log = Progress(), folder / "run.log"
    with log.open("w", encoding="utf-8") as stream:
        run = subprocess.Popen(command(folder), stdout=stream, stderr=stream, start_new_session=True)
    while run.poll() is None and not is_moment(progress):
        time.sleep(0.05)
        progress.used = max(progress.used, used_cpu(run.pid))
        for step in re.findall(r'"message": "step starts".*?"step": "(\w+)"', log.read_text("utf-8")):
            progress.started.setdefault(step, progress.used)
    return run, progress


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
