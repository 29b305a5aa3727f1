"""What the trial on a cluster reads from logs: when to kill a worker, and what its loss has cost."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from try_cluster import Executors, is_in_step, pack, read_events


def task(executor: str, finished: int, reason: str = "Success") -> dict[str, object]:
    info = {"Executor ID": executor, "Finish Time": finished}
    return {"Event": "SparkListenerTaskEnd", "Task End Reason": {"Reason": reason}, "Task Info": info}


def stage(attempt: int) -> dict[str, object]:
    return {"Event": "SparkListenerStageSubmitted", "Stage Info": {"Stage ID": 3, "Stage Attempt ID": attempt}}


def block(executor: str, name: str, copies: int) -> dict[str, object]:
    info = {"Block Manager ID": {"Executor ID": executor}, "Block ID": name, "Storage Level": {"Replication": copies}}
    return {"Event": "SparkListenerBlockUpdated", "Block Updated Info": info}


EVENTS: tuple[dict[str, object], ...] = (
    {"Event": "SparkListenerExecutorAdded", "Executor ID": "0"},
    {"Event": "SparkListenerExecutorAdded", "Executor ID": "1"},
    stage(0),
    task("0", 100),
    task("1", 110),
    block("0", "rdd_7_0", 2),
    block("1", "rdd_7_0", 1),
    block("1", "rdd_8_0", 1),
    block("0", "rdd_9_0", 2),
    {"Event": "SparkListenerUnpersistRDD", "RDD ID": 9},
    block("1", "broadcast_2", 1),
    {"Event": "SparkListenerExecutorRemoved", "Executor ID": "0"},
    task("0", 120, "ExecutorLostFailure"),
    stage(1),
    task("1", 130),
)


def write_events(folder: Path, rest: str = "") -> Path:
    (folder / "app-1.inprogress").write_text(
        "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in EVENTS) + rest, "utf-8"
    )
    return folder


def test_executors_and_their_tasks_are_counted(tmp_path: Path) -> None:
    found = read_events(write_events(tmp_path))
    held = {"0": {"rdd_7_0", "rdd_9_0"}, "1": {"rdd_7_0", "rdd_8_0"}}
    assert found == Executors(2, lost=1, done=found.done, held=held, twice={"rdd_7_0"}, failed=1, repeated_stages=1)
    assert found.done == {"0": 1, "1": 2}


def test_a_line_that_is_just_being_written_is_left_for_later(tmp_path: Path) -> None:
    assert read_events(write_events(tmp_path, '{"Event": "SparkListenerTas')) == read_events(write_events(tmp_path))


def test_tasks_of_an_earlier_step_do_not_count_for_this_one(tmp_path: Path) -> None:
    assert read_events(write_events(tmp_path), since=110).done == {"1": 2}


def test_a_run_is_in_the_step_that_has_started_last() -> None:
    begun = '{"time": "t", "level": "INFO", "message": "step starts", "run_id": "r", "step": "bronze", "reason": "looks"}\n'
    silver = begun.replace("bronze", "silver")
    assert not is_in_step("", "bronze")
    assert is_in_step(begun, "bronze")
    assert not is_in_step(begun, "silver")
    assert is_in_step(begun + silver, "silver")
    assert not is_in_step(begun + silver, "bronze")


def test_the_packed_package_is_found_by_its_name(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "shop"
    (package / "rooms").mkdir(parents=True)
    for name in ("__init__.py", "rooms/__init__.py"):
        (package / name).write_text("", "utf-8")
    pack(package, tmp_path / "shop.zip")
    assert zipfile.ZipFile(tmp_path / "shop.zip").namelist() == ["shop/__init__.py", "shop/rooms/__init__.py"]
