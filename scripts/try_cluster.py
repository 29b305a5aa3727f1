#!/usr/bin/env python3
"""Run the whole path on a standalone cluster of two workers, and again while one is killed; compare with one machine.

The same job is submitted each time, into a lake of its own. A worker is killed with SIGKILL, and with it its executor and the
Python processes of that, in the middle of a step: the run has to end as if nothing were, without being started again.
Every run has a new cluster, on ports that are free on the loopback interface. Needs Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyspark
from bench_pipeline import adopt_orphans, descendants, say
from compare_lakes import COMPARED, compare
from demo import ROOT, spark_submit
from make_demo_exports import make_exports, positive

from tillhouse.pipeline import STEPS

HOST = "127.0.0.1"
WORKERS = 2
START_SECONDS = 60.0
POLL_SECONDS = 0.5
SPARK_HOME = Path(pyspark.__file__).parent
WORKER_MEMORY = "2g"
PACKAGE = "tillhouse.zip"
TOLD = re.compile('{"Event":"SparkListener(ExecutorAdded|ExecutorRemoved|TaskEnd|StageSubmitted|BlockUpdated|UnpersistRDD)"')


@dataclass(slots=True)
class Executors:
    """What the event log of a run tells of its executors: tasks that each has done, blocks of rows that each holds, what failed.

    ``twice`` are the blocks that are to be held twice. Delta keeps blocks of its own, which are made again when they are lost.
    """

    started: int = 0
    lost: int = 0
    done: Counter[str] = field(default_factory=Counter)
    held: dict[str, set[str]] = field(default_factory=dict)
    twice: set[str] = field(default_factory=set)
    failed: int = 0
    repeated_stages: int = 0

    def __str__(self) -> str:
        done = ", ".join(f"{name}: {count:,}" for name, count in sorted(self.done.items()))
        again = f"{self.failed} tasks failed, {self.repeated_stages} stages were repeated"
        return f"executors {self.started}, lost {self.lost}; tasks of each {done}; {again}"


@dataclass(frozen=True, slots=True)
class Worker:
    process: subprocess.Popen[bytes]
    folder: Path

    def kill(self) -> int:
        """Kill it with all that it has started; returns how many processes there were."""
        victims = [self.process.pid, *descendants(self.process.pid)]
        for pid in victims:  # itself first, or it would start another executor
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        return len(victims)

    def executors(self) -> set[str]:
        """Ids of the executors that it has started, each with a folder of its own."""
        return {path.name for path in self.folder.glob("app-*/*")}


@dataclass(slots=True)
class Killer:
    """Kills a worker as soon as its executor has done a number of tasks in a step."""

    step: str
    tasks: int
    log: Path
    events: Path
    workers: Sequence[Worker]
    started: int | None = None
    killed: str | None = None

    def look(self) -> None:
        if self.killed is not None or not is_in_step(self.log.read_text("utf-8"), self.step):
            return
        self.started = self.started or int(time.time() * 1000)
        found = read_events(self.events, since=self.started)
        for worker in self.workers:
            names = worker.executors()
            if (done := sum(found.done[name] for name in names)) >= self.tasks:
                kept = {block for name in names for block in found.held.get(name, ())} & found.twice
                elsewhere = {block for name, held in found.held.items() if name not in names for block in held}
                self.killed = (
                    f"killed {worker.kill()} processes of a worker that had done {done} tasks in {self.step} "
                    f"and held {len(kept)} blocks of kept rows, {len(kept - elsewhere)} of them alone"
                )
                return


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/try-cluster", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "cluster", help="folder to work in (.bench/cluster)")
    parser.add_argument("--weeks", type=positive, default=4, help="weeks of the chain (4)")
    steps = [step.name for step in STEPS]
    parser.add_argument(
        "--step", nargs="+", choices=steps, default=["silver"], help="a run with a kill in each of these (silver)"
    )
    parser.add_argument("--tasks", type=positive, default=40, help="the worker has done so many tasks in the step (40)")
    given = parser.parse_args()
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    os.environ.setdefault("TILLHOUSE_TOKEN_KEY", secrets.token_hex(32))
    out: Path = given.out.resolve()
    make_exports(out, given.weeks, None, plain=True)
    pack(ROOT / "lib" / "tillhouse", out / PACKAGE)

    say(f"{given.weeks} weeks, {os.cpu_count()} processors, {WORKERS} workers with a core each")
    with processes() as start:
        if run_job(start, out / "local"):
            return 1
    wrong = False
    for step in (None, *given.step):
        folder = out / (f"killed_in_{step}" if step else "cluster")
        with processes() as start:
            is_done = run_on_cluster(start, folder, step, given.tasks)
        wrong |= not is_done or differs(out / "local", folder)
    return 1 if wrong else 0


def pack(package: Path, target: Path) -> None:
    """The package as executors import it."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(package.rglob("*.py")):
            archive.write(path, path.relative_to(package.parent))


Start = Callable[..., "subprocess.Popen[bytes]"]


@contextlib.contextmanager
def processes() -> Iterator[Start]:
    """Starts processes, each as a group of its own with its output in a file; none of them outlives the block."""
    started: list[subprocess.Popen[bytes]] = []

    def start(command: Sequence[str], log: Path, **variables: str) -> subprocess.Popen[bytes]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_", "PYTHON"))}
        environment = inherited | {"SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": HOST} | variables
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            started.append(subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, start_new_session=True))
        return started[-1]

    try:
        yield start
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        for pid in descendants(os.getpid()):  # orphans have come here, so these are all that is left
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def run_on_cluster(start: Start, folder: Path, step: str | None, tasks: int) -> bool:
    """One run on a new cluster; where a step is named, a worker is killed in it. Returns whether all went as it should."""
    address, workers = start_cluster(start, folder)
    if step is None:
        return run_job(start, folder, address) == 0
    killer = Killer(step, tasks, folder / "run.log", folder / "events", workers)
    code = run_job(start, folder, address, killer.look)
    say(f"  {killer.killed or f'the run has ended before a worker could be killed in {step}'}")
    return code == 0 and killer.killed is not None


def start_cluster(start: Start, folder: Path) -> tuple[str, list[Worker]]:
    shutil.rmtree(folder, ignore_errors=True)
    common = {"SPARK_DAEMON_MEMORY": "512m", "SPARK_LOCAL_DIRS": str(folder / "local"), "SPARK_LOG_DIR": str(folder)}
    server = [str(SPARK_HOME / "bin" / "spark-class"), "", "--host", HOST, "--port", "0", "--webui-port", "0"]
    server[1] = "org.apache.spark.deploy.master.Master"
    master = start(server, folder / "master.log", **common)
    address = wait_for(r"Starting Spark master at (spark://\S+)", folder / "master.log", master)
    server[1] = "org.apache.spark.deploy.worker.Worker"
    workers = []
    for number in range(1, WORKERS + 1):
        work = folder / f"worker_{number}"
        command = [*server, "--cores", "1", "--memory", WORKER_MEMORY, "--work-dir", str(work), address]
        workers.append(Worker(start(command, folder / f"worker_{number}.log", **common), work))
    for worker in workers:
        wait_for("(Successfully registered with master)", worker.folder.with_suffix(".log"), worker.process)
    pids = ", ".join(str(worker.process.pid) for worker in workers)
    say(f"cluster {address}: process {master.pid}, workers {pids}")
    return address, workers


def wait_for(pattern: str, log: Path, process: subprocess.Popen[bytes]) -> str:
    """The group of a pattern, once a line of the log has it.

    Raises:
        SystemExit: the process has ended, or takes too long.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(pattern, log.read_text("utf-8", "replace")):
            return found[1]
        time.sleep(POLL_SECONDS)
    raise SystemExit(f"{log}: no line with {pattern}, exit code {process.poll()}")


def run_job(start: Start, folder: Path, master: str | None = None, look: Callable[[], None] = lambda: None) -> int:
    """Submit the job and tell how it went; ``look`` is called again and again meanwhile. Returns its exit code."""
    log, events = folder / "run.log", folder / "events"
    for place in ("lake", "vault", "events"):
        shutil.rmtree(folder / place, ignore_errors=True)
    events.mkdir(parents=True)
    log.write_bytes(b"")
    options = ["--py-files", str(folder.parent / PACKAGE)]
    options += ["--master", master, "--executor-memory", WORKER_MEMORY, "--total-executor-cores", str(WORKERS)] if master else []
    for setting, value in {
        "spark.driver.host": HOST,
        "spark.driver.bindAddress": HOST,
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
        "spark.eventLog.logBlockUpdates.enabled": "true",
    }.items():
        options += ["--conf", f"{setting}={value}"]
    places = [f"--lake={folder / 'lake'}", f"--vault={folder / 'vault'}", f"--landing={folder.parent / 'landing'}"]
    command = spark_submit(ROOT / "jobs" / "pipeline.py", "--conf-dir", str(ROOT / "conf"), *places, options=options)
    began = time.monotonic()
    process = start(command, log, SPARK_LOCAL_DIRS=str(folder / "local"), PYSPARK_PYTHON=sys.executable)
    while process.poll() is None:
        look()
        time.sleep(POLL_SECONDS)
    say(f"{folder.name}: exit code {process.returncode} after {time.monotonic() - began:.0f} s; {read_events(events)}")
    if process.returncode:
        say(f"  see {log}")
    return process.returncode


def is_in_step(log: str, step: str) -> bool:
    """Whether the last step that has started is this one."""
    started = re.findall(r'"message": "step starts".*"step": "(\w+)"', log)
    return bool(started) and started[-1] == step


def read_events(folder: Path, since: int = 0) -> Executors:
    """What the event log in a folder tells so far; tasks are counted that ended after ``since`` (milliseconds)."""
    found = Executors()
    for line in (line for path in folder.iterdir() for line in path.read_text("utf-8").split("\n")):
        if not TOLD.match(line):
            continue  # most of the log are plans of queries
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue  # it is just being written
        match event["Event"].removeprefix("SparkListener"):
            case "ExecutorAdded":
                found.started += 1
            case "ExecutorRemoved":
                found.lost += 1
            case "TaskEnd" if event["Task End Reason"]["Reason"] != "Success":
                found.failed += 1
            case "TaskEnd" if event["Task Info"]["Finish Time"] >= since:
                found.done[event["Task Info"]["Executor ID"]] += 1
            case "StageSubmitted":
                found.repeated_stages += event["Stage Info"]["Stage Attempt ID"] > 0
            case "BlockUpdated":
                block = event["Block Updated Info"]
                if block["Block ID"].startswith("rdd_"):
                    found.held.setdefault(block["Block Manager ID"]["Executor ID"], set()).add(block["Block ID"])
                if block["Storage Level"]["Replication"] > 1:
                    found.twice.add(block["Block ID"])
            case "UnpersistRDD":
                found.twice = {name for name in found.twice if not name.startswith(f"rdd_{event['RDD ID']}_")}
    return found


def differs(one: Path, other: Path) -> bool:
    """Tell for each table whether it is the same in the lakes of two runs."""
    wrong = False
    for table in COMPARED:
        found = compare(one / "lake", other / "lake", table)
        wrong |= found.differing > 0
        verdict = f"{found.differing:,} rows DIFFER" if found.differing else "equal"
        say(f"  {table.full_name:<24} {found.rows:>9,} rows  {verdict}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
