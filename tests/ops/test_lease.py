from __future__ import annotations

import errno
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tillhouse import cli, pipeline
from tillhouse.config import load_config
from tillhouse.errors import LeaseError
from tillhouse.ops import lease as lease_module
from tillhouse.ops.lease import KEPT_FILES, Chain, Entry, Lease, Process, this_process
from tillhouse.ops.runs import Run, utc_now
from tillhouse.store import Store

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def at(minutes: float) -> Callable[[], datetime]:
    """A clock that stands still, so many minutes after noon."""
    return lambda: NOON + timedelta(minutes=minutes)


class Clock:
    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def store(spark: SparkSession, tmp_path: Path) -> Store:
    return Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))


def files_of(store: Store) -> list[Path]:
    return sorted(Path(store.lake, "ops", "_lease").glob("*.json"))


def newest(store: Store) -> Entry:
    return Entry(**json.loads(files_of(store)[-1].read_text("utf-8")))


def leave(store: Store, process: Process, clock: Callable[[], datetime] = utc_now) -> None:
    """A lease whose holder was killed: nobody releases or renews it."""
    held = Lease.take(store, "killed", clock=clock)
    held._ended.set()
    text = json.dumps(asdict(replace(newest(store), **asdict(process))))
    files_of(store)[-1].write_text(text, "utf-8")


def test_a_second_run_is_refused_with_holder_age_and_remedy(store: Store) -> None:
    with Lease.take(store, "first", clock=at(0)):
        with pytest.raises(LeaseError) as refused:
            Lease.take(store, "second", clock=at(3))
        text = str(refused.value)
        process = this_process(store)
        for part in ("run first", process.holder, f"pid {process.pid}", "for 3 min", "12:10:00", "--wait MINUTES", store.lake):
            assert part in text
        assert newest(store).run_id == "first"


def test_a_released_lease_is_free(store: Store) -> None:
    Lease.take(store, "first").release()
    assert newest(store).released
    with Lease.take(store, "second"):
        assert newest(store).run_id == "second"


def test_a_second_run_that_waits_gets_the_lease_when_it_is_released(store: Store) -> None:
    first = Lease.take(store, "first")
    threading.Timer(0.5, first.release).start()
    with Lease.take(store, "second", wait_seconds=20, poll_seconds=0.1) as second:
        second.check()
        assert newest(store).run_id == "second"
    with pytest.raises(LeaseError, match="released"):
        first.check()


def test_a_wait_has_an_end(store: Store) -> None:
    with Lease.take(store, "first"):
        start = time.monotonic()
        with pytest.raises(LeaseError):
            Lease.take(store, "second", wait_seconds=0.3, poll_seconds=0.1)
        assert 0.3 <= time.monotonic() - start < 5


def test_an_expired_lease_is_taken_over_and_its_release_does_not_free_the_new_one(store: Store) -> None:
    first = Lease.take(store, "first", clock=at(0))
    with pytest.raises(LeaseError):
        Lease.take(store, "early", clock=at(9.9))
    with Lease.take(store, "second", clock=at(10)) as second:
        first.release()
        assert newest(store).run_id == "second"
        assert not newest(store).released
        second.check()
        with pytest.raises(LeaseError, match=r"run first has lost the lease .* run second"):
            first.check()


def test_a_renewed_lease_does_not_expire(store: Store) -> None:
    with Lease.take(store, "first", seconds=1.8) as first:
        time.sleep(2.2)
        first.check()
        with pytest.raises(LeaseError, match="run first"):
            Lease.take(store, "second")
        assert len(files_of(store)) > 3


def test_a_renewal_that_finds_another_holder_loses_the_lease(store: Store) -> None:
    first = Lease.take(store, "first", seconds=1.5)
    number, held = Chain(store).newest()
    assert held
    while not Chain(store).put(number + 1, json.dumps(asdict(replace(held, run_id="second", token="other")))):
        number += 1
    for _ in range(50):
        if first._lost:
            break
        time.sleep(0.1)
    with pytest.raises(LeaseError, match=r"run second .* took it over"):
        first.check()


def test_a_lease_that_cannot_be_renewed_is_lost_when_it_expires(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    def fails(*_: object) -> bool:
        raise OSError("no such store")

    first = Lease.take(store, "first", seconds=0.3, clock=clock)
    monkeypatch.setattr(first._chain, "put", fails)
    first.check()
    time.sleep(0.3)
    first.check()
    clock.time += timedelta(seconds=1)
    with pytest.raises(LeaseError, match="expired"):
        first.check()
    first.release()


def test_the_lease_of_a_killed_process_of_this_machine_is_taken_over_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, object]] = []
    monkeypatch.setattr(lease_module, "tell", lambda message, **facts: told.append((message, facts.get("held_by"))))
    ended = subprocess.Popen(["true"])
    ended.wait()
    leave(store, replace(this_process(store), pid=ended.pid, jvm_pid=ended.pid))
    with Lease.take(store, "second"):
        assert newest(store).run_id == "second"
    assert told == [("takes over the lake", "killed")]


def test_a_killed_process_that_its_parent_has_not_looked_after_is_dead_too(store: Store) -> None:
    child = subprocess.Popen(["true"])
    started = lease_module._state_and_start(child.pid)[1]
    for _ in range(50):
        if lease_module._state_and_start(child.pid)[0] == "Z":
            break
        time.sleep(0.1)
    process = replace(this_process(store), pid=child.pid, pid_started=started, jvm_pid=child.pid, jvm_started=started)
    assert process.is_dead()
    child.wait()


def test_a_number_that_another_process_has_now_is_not_taken_for_the_dead_one(store: Store) -> None:
    leave(store, replace(this_process(store), pid_started="1", jvm_started="1"))
    with Lease.take(store, "second"):
        assert newest(store).run_id == "second"


@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"machine": "another container with the same host name"}])
def test_nothing_is_known_of_the_processes_of_another_machine(store: Store, elsewhere: dict[str, str]) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    leave(store, replace(this_process(store), pid=ended.pid, jvm_pid=ended.pid, **elsewhere), clock=at(0))
    with pytest.raises(LeaseError):
        Lease.take(store, "second", clock=at(5))
    with Lease.take(store, "second", clock=at(11)):
        assert newest(store).run_id == "second"


def test_on_an_object_store_the_lease_is_written_by_the_log_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module._Folder, "is_local", False)
    monkeypatch.setattr(lease_module, "_create", None)
    with Lease.take(store, "first"):
        assert not Chain(store).put(1, "{}")
        with pytest.raises(LeaseError, match="run first"):
            Lease.take(store, "second")
    for turn in range(5):
        Lease.take(store, str(turn)).release()
    assert newest(store).run_id == "4"
    assert len(files_of(store)) <= KEPT_FILES + 2


@pytest.mark.parametrize("has_links", [True, False], ids=["with links", "without links"])
def test_of_two_that_race_for_a_free_lease_one_gets_it(store: Store, has_links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_links:
        monkeypatch.setattr(lease_module, "_create", lease_module._create_without_link)
    barrier = threading.Barrier(2)

    def race(name: str) -> Lease | None:
        barrier.wait()
        try:
            return Lease.take(store, name)
        except LeaseError:
            return None

    with ThreadPoolExecutor(2) as pool:
        for turn in range(20):
            got = [lease for lease in pool.map(race, (f"{turn} a", f"{turn} b")) if lease]
            assert len(got) == 1
            assert newest(store).token == got[0]._entry.token
            got[0].release()


@pytest.mark.parametrize("create", [lease_module._create, lease_module._create_without_link])
def test_of_many_writers_of_one_file_one_succeeds(create: Callable[[Path, str], bool], tmp_path: Path) -> None:
    barrier = threading.Barrier(4)

    def race(which: int) -> list[bool]:
        barrier.wait()
        return [create(tmp_path / f"{number}.json", f"{which}") for number in range(500)]

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(race, range(4)))
    assert [sum(turn) for turn in zip(*won, strict=True)] == [1] * 500


def test_a_mount_without_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuses)
    assert lease_module._create(tmp_path / "1.json", "first")
    assert not lease_module._create(tmp_path / "1.json", "second")
    assert [path.name for path in tmp_path.iterdir()] == ["1.json"]
    assert (tmp_path / "1.json").read_text("utf-8") == "first"


def test_a_writer_that_fills_a_gap_of_deleted_files_has_nothing(store: Store) -> None:
    sleeper = Lease(store, "sleeper", 600, utc_now)
    for turn in range(5):
        Lease.take(store, str(turn)).release()
    assert files_of(store)[0].name > f"{1:020d}.json"
    with Lease.take(store, "working"):
        assert not sleeper._write(1, replace(sleeper._entry, acquired_at=NOON.isoformat()), utc_now())
        assert newest(store).run_id == "working"


def test_only_the_last_files_are_kept(store: Store) -> None:
    for turn in range(10):
        Lease.take(store, str(turn)).release()
    assert len(files_of(store)) <= KEPT_FILES + 2
    assert files_of(store)[-1].name == f"{20:020d}.json"
    assert [path for path in files_of(store)[0].parent.iterdir() if path.suffix != ".json"] == []


def test_a_file_that_says_nothing_is_named(store: Store) -> None:
    Lease.take(store, "first").release()
    files_of(store)[-1].write_text("", "utf-8")
    with pytest.raises(LeaseError, match=f"{2:020d}.json does not say who"):
        Lease.take(store, "second")


def test_every_commit_calls_the_hook_that_was_there_and_checks_the_lease(store: Store) -> None:
    seen: list[str] = []
    store.before_commit = seen.append
    with Lease.take(store, "first") as first:
        store.before_commit("ops.run_step")
        first._lost = "for a test"
        with pytest.raises(LeaseError):
            store.before_commit("ops.watermark")
    store.before_commit("after")
    assert seen == ["ops.run_step", "ops.watermark", "after"]


def test_a_refused_run_writes_nothing(store: Store, tmp_path: Path) -> None:
    conf = Path(__file__).resolve().parents[2] / "conf"
    config = load_config(conf, store.lake, store.vault, str(tmp_path / "landing"))
    with Lease.take(store, "first"):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(LeaseError, match="run first"):
            pipeline.run(Run(store, config, "second", utc_now()))
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("text", ["soon", "-1", "inf", "nan"])
def test_a_wait_is_a_number_of_minutes(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["run", "--wait", text])
    assert "is not a number of minutes" in capsys.readouterr().err


def test_this_process_lives(store: Store) -> None:
    process = this_process(store)
    assert process.pid == os.getpid()
    assert process.jvm_pid != process.pid
    assert not process.is_dead()


def test_a_run_whose_jvm_still_works_is_not_dead(store: Store) -> None:
    """Killing Python leaves its JVM a moment, in which it may commit."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert not replace(this_process(store), pid=ended.pid).is_dead()
