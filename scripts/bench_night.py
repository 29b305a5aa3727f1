#!/usr/bin/env python3
"""Benchmark: what a night costs on the whole plain demo: nothing new, one week, one late receipt, one changed region.

Each beside the full run in the same session; then the same week after 13, 26 and 52 weeks of history. Beside the week stands
what its commits alone would cost, and a script without checks. CPU seconds are those of this process and all its descendants.
Needs Linux.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import bare_night
from bench_pipeline import descendants, say
from demo import ROOT
from make_demo_exports import make_exports
from pyspark.sql import SparkSession

from tillhouse import pipeline
from tillhouse.config import Config, load_config
from tillhouse.ops.runs import Run, new_run_id, utc_now
from tillhouse.session import open_session
from tillhouse.store import Store
from tillhouse.tables.lake import tables_of

HISTORIES = (13, 26, 52)
SHARE = 0.05  # of the full run's CPU that a week may cost beyond a run without news
GROWTH = 1.2
LATE = "20300101T0000"


@dataclass(frozen=True, slots=True)
class Cost:
    wall: float
    cpu: float
    commits: Sequence[str]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench night", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "night", help="folder to work in (.bench/night)")
    parser.add_argument("--weeks", type=int, help="only the first N weeks (all 53)")
    parser.add_argument("--histories", type=int, nargs="+", default=HISTORIES, help="weeks before the new one (13 26 52)")
    given = parser.parse_args()
    out: Path = given.out.resolve()
    os.environ.setdefault("TILLHOUSE_TOKEN_KEY", secrets.token_hex(32))
    make_exports(out, given.weeks, None, plain=True)
    files = sorted(path for path in (out / "landing").rglob("*") if path.is_file())
    master = [path for path in files if "sales" not in path.parts]
    weeks = sorted({path.name.split("_")[1] for path in files if path not in master})
    last = [path for path in files if f"_{weeks[-1]}_" in path.name]
    spark = open_session("bench night")
    say(f"{len(weeks)} weeks, {os.cpu_count()} processors")

    growth: dict[int, Cost] = {}
    for history in sorted({min(weeks_before, len(weeks) - 1) for weeks_before in given.histories}):
        folder = out / f"after_{history}"
        for name in ("lake", "vault", "landing"):
            shutil.rmtree(folder / name, ignore_errors=True)
        before = [path for path in files if any(f"_{week}_" in path.name for week in weeks[-1 - history : -1])]

        def night(folder: Path = folder) -> list[str]:
            commits = list[str]()
            run_chain(spark, folder, commits.append)
            return commits

        put(out, folder, [*master, *before])
        costs = {f"all of {history} weeks": measure(night)}
        costs["nothing new"] = measure(night)
        put(out, folder, last)
        costs["one new week"] = growth[history] = measure(night)
        costs["only its commits, of one row each"] = commits_alone(spark, folder, costs["one new week"].commits)
        costs["a bare script's week"] = bare_week(spark, out, folder, [*master, *before], last)
        if history == max(given.histories) or history == len(weeks) - 1:
            late_receipt(folder)
            costs["one late receipt, nine months back"] = measure(night)
            changed_region(folder)
            costs["a changed region of a branch"] = measure(night)
        costs["nothing new again"] = measure(night)
        report(costs)
    ratio = growth[max(growth)].cpu / growth[min(growth)].cpu
    say(f"the same week after {max(growth)} weeks costs {ratio:.2f} of its CPU after {min(growth)}; target {GROWTH}")
    return 0


def put(out: Path, folder: Path, files: Iterable[Path]) -> None:
    for path in files:
        target = folder / path.relative_to(out)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)


def late_receipt(folder: Path) -> None:
    """One line of an early receipt, as a receipt of its own that comes now."""
    deliveries = sorted((folder / "landing/erp/sales").iterdir())
    early = deliveries[len(deliveries) // 4]
    header, line = early.read_text("cp1252").splitlines()[:2]
    cells = dict(zip(header.split(";"), line.split(";"), strict=True)) | {"Bonnr": "late-1"}
    week = early.name.split("_")[1]
    late = early.with_name(f"kassenbons_{week}_{LATE}.csv")
    late.write_text(f"{header}\n{';'.join(cells.values())}\n", "cp1252")


def changed_region(folder: Path) -> None:
    branches = next((folder / "landing/erp/branches").iterdir())
    header, line = branches.read_text("cp1252").splitlines()[:2]
    cells = dict(zip(header.split(";"), line.split(";"), strict=True)) | {"Region": "Elsewhere"}
    branches.with_name(f"filialen_{LATE}.csv").write_text(f"{header}\n{';'.join(cells.values())}\n", "cp1252")


def conf_of(folder: Path, conf: Path = ROOT / "conf") -> Config:
    return load_config(conf, *(str(folder / name) for name in ("lake", "vault", "landing")))


def run_chain(
    spark: SparkSession,
    folder: Path,
    before_commit: Callable[[str], None] = lambda table: None,
    *,
    conf: Path = ROOT / "conf",
    as_of: date | None = None,
) -> Store:
    """One run of the chain in a folder; its audit must agree."""
    store, now = Store(spark, str(folder / "lake"), str(folder / "vault")), utc_now()
    store.before_commit = before_commit
    run = Run(store, conf_of(folder, conf), new_run_id(now), now, as_of)
    pipeline.run(run)
    pipeline.check_audit(run)
    return store


def commits_alone(spark: SparkSession, folder: Path, commits: Sequence[str]) -> Cost:
    """What the commits of a night would cost if nothing had to be computed: a row appended to a new table for each of them."""
    lake, scratch = (Store(spark, *(str(place / name) for name in ("lake", "vault"))) for place in (folder, folder / "scratch"))
    tables = {table.full_name: table for table in tables_of(conf_of(folder).sources) if table.full_name in commits}
    scratch.create_missing(tables.values())
    rows = {name: lake.keep(lake.read(table).limit(1)) for name, table in tables.items()}

    def commit() -> Sequence[str]:
        for name in commits:
            scratch.append(tables[name], rows[name])
        return commits

    scratch.expect(1)
    try:
        commit()  # once before, so that it is measured warm
        return measure(commit)
    finally:
        scratch.expect(None)


def bare_week(spark: SparkSession, out: Path, folder: Path, before: Sequence[Path], last: Sequence[Path]) -> Cost:
    """What the week would cost without anything that makes a night safe: how near the target anyone could come."""
    lake = folder / "bare"
    shutil.rmtree(lake, ignore_errors=True)
    bare_night.load(spark, lake, out / "landing", before, is_first=True)
    return measure(lambda: bare_night.load(spark, lake, out / "landing", last))


def measure(work: Callable[[], Sequence[str]]) -> Cost:
    cpu, wall = used_cpu(), time.monotonic()
    commits = work()
    return Cost(time.monotonic() - wall, used_cpu() - cpu, commits)


def used_cpu(ancestor: int | None = None) -> float:
    """CPU seconds of a process (this one) and its descendants so far, those that have ended included."""
    ancestor = ancestor or os.getpid()
    ticks = 0
    for process in (ancestor, *descendants(ancestor)):
        try:
            fields = Path(f"/proc/{process}/stat").read_text("ascii").rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def report(costs: dict[str, Cost]) -> None:
    full, empty = next(iter(costs.values())), costs["nothing new"]
    say(f"\n{'':<36} {'wall s':>8} {'CPU s':>8} {'of all':>7} {'beyond nothing':>15} {'commits':>8}")
    for name, cost in costs.items():
        beyond = (cost.cpu - empty.cpu) / full.cpu
        say(f"{name:<36} {cost.wall:8.1f} {cost.cpu:8.1f} {cost.cpu / full.cpu:7.1%} {beyond:15.1%} {len(cost.commits):8}")
    share = (costs["one new week"].cpu - empty.cpu) / full.cpu
    say(f"a week costs a run without news and {share:.1%} of the full run's CPU; target {SHARE:.0%}")


if __name__ == "__main__":
    raise SystemExit(main())
