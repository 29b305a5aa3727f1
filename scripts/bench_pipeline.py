#!/usr/bin/env python3
"""Benchmark: the pipeline beside a bare Spark script and DuckDB, on the plain demo chain and on a quarter of it.

Each contender is a process of its own, they take turns, and what they wrote is compared with the truth. CPU seconds are those
of all descendants (spark-submit starts a JVM, and that starts Python workers); memory is the sum of their proportional shares,
sampled. Both need Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
from deltalake import DeltaTable
from demo import ROOT, run_pipeline, spark_submit
from make_demo_exports import make_exports, positive

SIZES: dict[str, int | None] = {"quarter": 13, "all": None}
CONTENDERS = ("pipeline", "bare Spark", "DuckDB")
TARGET = 3
QUIET = 0.1  # more than this share of the machine for others, and wall seconds mean little
SAMPLE_SECONDS = 0.2
SAMPLE_SHARE = 0.05  # of the time at most, because asking for a large process's memory takes the kernel long
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a contender took. ``others``: the share of all processors that other processes took meanwhile."""

    wall: float
    cpu: float
    memory: float
    others: float


@dataclass(frozen=True, slots=True)
class Steps:
    """Where a run of the pipeline spent its time."""

    seconds: dict[str, float]
    statuses: frozenset[str]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench pipeline", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "pipeline", help="folder to work in (.bench/pipeline)")
    parser.add_argument("--runs", type=positive, default=3, help="runs of each contender and size (3)")
    given = parser.parse_args()
    out: Path = given.out.resolve()
    adopt_orphans()
    for size, weeks in SIZES.items():
        make_exports(out / size, weeks, None, plain=True)

    costs: dict[tuple[str, str], list[Cost]] = {}
    steps: dict[str, list[Steps]] = {"all": [], "idle": []}
    say(f"{os.cpu_count()} processors, {given.runs} runs of each contender")
    for run in range(1, given.runs + 1):
        for size in SIZES:
            folder = out / size
            for name, work in contenders(folder):
                cost = measure(work)
                check(name, folder)
                costs.setdefault((name, size), []).append(cost)
                say(f"run {run}, {size}: {name} {describe(cost)}, figures right")
                if (name, size) == ("pipeline", "all"):
                    steps["all"].append(last_steps(folder))
        idle = measure(lambda: run_pipeline(out / "all"))
        steps["idle"].append(last_steps(out / "all"))
        if steps["idle"][-1].statuses != {"unchanged"}:
            raise SystemExit(f"the second run on the unchanged lake did something: {', '.join(steps['idle'][-1].statuses)}")
        costs.setdefault(("pipeline", "idle"), []).append(idle)
        say(f"run {run}, all: pipeline again {describe(idle)}, nothing new")

    medians = {key: middle(values) for key, values in costs.items()}
    report(medians, {size: read_truth(out / size)["lines"] for size in SIZES})
    report_steps("where the pipeline's time goes (all)", medians["pipeline", "all"].wall, steps["all"])
    report_steps("the second run on the unchanged lake", medians["pipeline", "idle"].wall, steps["idle"])
    ours, bare = medians["pipeline", "all"], medians["bare Spark", "all"]
    ratio = ours.wall / bare.wall
    verdict = "met" if ratio <= TARGET else "MISSED"
    say(f"\nthe pipeline took {ratio:.2f} times as long as the bare script; target {TARGET}: {verdict}")
    if (others := max(cost.others for cost in medians.values())) > QUIET:
        say(f"other processes took up to {others:.0%} of the machine: measure again when it is quiet;")
        say(f"the CPU seconds, which suffer less, are {ours.cpu / bare.cpu:.2f} times those of the bare script")
    return 0


def describe(cost: Cost) -> str:
    return f"{cost.wall:.1f} s, CPU {cost.cpu:.1f} s, {cost.memory:,.0f} MiB, others took {cost.others:.0%} of the machine"


def contenders(folder: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """Each contender with what starts it, on an empty lake."""
    for name in ("lake", "vault", "bare", "duckdb"):
        shutil.rmtree(folder / name, ignore_errors=True)
    scripts, landing = ROOT / "scripts", str(folder / "landing")
    yield "pipeline", lambda: run_pipeline(folder)
    yield "bare Spark", lambda: start(spark_submit(scripts / "bench_bare_spark.py", landing, str(folder / "bare")), folder)
    yield "DuckDB", lambda: start([sys.executable, str(scripts / "bench_duckdb.py"), landing, str(folder / "duckdb")], folder)


def start(command: Sequence[str], folder: Path) -> int:
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    with (folder / "run.log").open("ab") as log:
        return subprocess.run(command, env=environment, stdout=log, stderr=log, check=False).returncode


def adopt_orphans() -> None:
    """Descendants whose parent has ended become children of this process, so that their CPU time can be asked for."""
    if sys.platform != "linux":
        raise SystemExit("benchmarks count the CPU time and memory of all descendants of a process; that needs Linux")
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def measure(work: Callable[[], int]) -> Cost:
    """Do work in child processes and tell what they and all their descendants took. Call ``adopt_orphans`` before.

    Raises:
        SystemExit: the work failed.
    """
    started, before, machine_before = time.monotonic(), children_cpu(), machine_cpu()
    with sampled_memory() as peak:
        code = work()
        wall = time.monotonic() - started
    wait_for_orphans()
    if code:
        raise SystemExit(f"a contender ended with exit code {code}; see run.log beside its landing/")
    cpu, machine = children_cpu() - before, machine_cpu() - machine_before
    return Cost(wall, cpu, peak(), max(0.0, machine - cpu) / (wall * (os.cpu_count() or 1)))


def children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def machine_cpu() -> float:
    """Seconds that all processors have worked, for whomever."""
    user, nice, system, _idle, _waiting, *interrupts_and_stolen = (
        int(field) for field in Path("/proc/stat").read_text("utf-8").splitlines()[0].split()[1:9]
    )
    return (user + nice + system + sum(interrupts_and_stolen)) / os.sysconf("SC_CLK_TCK")


def wait_for_orphans(patience: float = 60) -> None:
    """Only a child that was waited for is counted, with what it has waited for itself."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            time.sleep(0.05)
    raise RuntimeError(f"processes are still running {patience:.0f} s after their contender ended: {descendants(os.getpid())}")


@contextlib.contextmanager
def sampled_memory() -> Iterator[Callable[[], float]]:
    """The highest memory in MiB that all descendants had together."""
    highest, done = 0.0, threading.Event()

    def watch() -> None:
        nonlocal highest
        pause = SAMPLE_SECONDS
        while not done.wait(pause):
            started = time.monotonic()
            highest = max(highest, memory_of(descendants(os.getpid())))
            pause = max(SAMPLE_SECONDS, (time.monotonic() - started) / SAMPLE_SHARE)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: highest
    finally:
        done.set()
        watcher.join()


def descendants(ancestor: int) -> list[int]:
    """Running processes below one."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            pid, _, rest = path.read_text("utf-8", "replace").partition(" ")
            children.setdefault(int(rest.rpartition(")")[2].split()[1]), []).append(int(pid))
    found, below = [], children.get(ancestor, [])
    while below:
        found += below
        below = [pid for parent in below for pid in children.get(parent, [])]
    return found


def memory_of(processes: Iterable[int]) -> float:
    """Memory in MiB; what several processes share is divided among them."""
    total, seen = 0, set()
    for pid in processes:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if command in seen and b"java" in command.split(b"\0")[0]:
                continue  # a child that the JVM is just starting: until it has its own program, it runs in the JVM's memory
            seen.add(command)
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8").splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def middle(costs: Iterable[Cost]) -> Cost:
    rows = list(costs)
    return Cost(
        median(row.wall for row in rows),
        median(row.cpu for row in rows),
        median(row.memory for row in rows),
        median(row.others for row in rows),
    )


def check(name: str, folder: Path) -> None:
    """Compare what a contender wrote with the truth: rows, and each branch and day to the cent.

    Raises:
        SystemExit: it differs.
    """
    con = duckdb.connect()
    for table in ("fct_sale_line", "fct_receipt", "kpi_branch_day"):
        if name == "DuckDB":
            con.read_parquet(str(folder / "duckdb" / f"{table}.parquet")).create_view(table)
        else:
            lake = folder / "lake" / "gold" if name == "pipeline" else folder / "bare"
            con.register(table, DeltaTable(str(lake / table)).to_pyarrow_dataset())
    truth = read_truth(folder)
    found = con.execute("""
        SELECT (SELECT count(*) FROM fct_sale_line), (SELECT count(*) FROM fct_receipt), count(*), sum(revenue),
               sum(baskets)::BIGINT, sum(discount_amount)
        FROM kpi_branch_day""").fetchall()[0]
    wanted = (
        truth["lines"], truth["baskets"], truth["branch_days"], Decimal(truth["revenue"]),
        truth["baskets"], Decimal(truth["discount"]),
    )  # fmt: skip
    days = con.execute("""
        SELECT branch_id, business_date::VARCHAR, revenue::VARCHAR, baskets::VARCHAR FROM kpi_branch_day""").fetchall()
    with (folder / "truth" / "branch_day_revenue.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["branch_id"], row["business_date"], row["revenue"], row["baskets"]) for row in csv.DictReader(file)}
    if found != wanted or set(days) != rows:
        different = f"{found} instead of {wanted}, {len(rows - set(days))} branch days differ"
        raise SystemExit(f"{name}, {folder}: not equal to the truth: {different}")


def read_truth(folder: Path) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((folder / "truth" / "totals.json").read_text("utf-8"))
    return truth


def last_steps(folder: Path) -> Steps:
    """Seconds of each step of the lake's last run, in their order."""
    con = duckdb.connect()
    con.register("run_step", DeltaTable(str(folder / "lake" / "ops" / "run_step")).to_pyarrow_dataset())
    rows = con.execute("""
        SELECT step, seconds, status FROM run_step WHERE run_id = (SELECT max(run_id) FROM run_step) ORDER BY started_at
        """).fetchall()
    return Steps({step: seconds for step, seconds, _ in rows}, frozenset(status for _, _, status in rows))


def report(costs: dict[tuple[str, str], Cost], lines: dict[str, int]) -> None:
    """What each contender took, how the pipeline compares, and how the time grows with the rows."""

    def row(name: str, wall: float, cpu: float, memory: float, digits: int) -> None:
        say(f"  {name:<20} {wall:>9.{digits}f} {cpu:>9.{digits}f} {memory:>9,.{digits if digits == 2 else 0}f}")

    def ratio(name: str, over: Cost, under: Cost) -> None:
        row(name, over.wall / under.wall, over.cpu / under.cpu, over.memory / under.memory, digits=2)

    say(f"\n{'medians':<22} {'wall s':>9} {'CPU s':>9} {'peak MiB':>9}")
    for size in SIZES:
        say(f"{size}: {lines[size]:,} receipt lines")
        for name in CONTENDERS:
            row(name, costs[name, size].wall, costs[name, size].cpu, costs[name, size].memory, digits=1)
        for name in CONTENDERS[1:]:
            ratio(f"pipeline/{name}", costs["pipeline", size], costs[name, size])
    quarter, whole = SIZES
    say(f"growth from {quarter} to {whole}: {lines[whole] / lines[quarter]:.2f} times the lines")
    for name in CONTENDERS:
        ratio(name, costs[name, whole], costs[name, quarter])


def report_steps(title: str, wall: float, runs: Sequence[Steps]) -> None:
    seconds = {step: median(run.seconds[step] for run in runs) for step in runs[0].seconds}
    seconds["session, its start and end"] = wall - sum(seconds.values())
    say(f"\n{title}: {wall:.1f} s")
    for step, value in seconds.items():
        say(f"  {step:<28} {value:>7.1f} s  {value / wall:>4.0%}")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
