"""Two runs started together: one result. The second is refused and told who works, or waits and finds nothing left to do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, Chain
from tests.faults.conftest import NIGHT, arguments, assert_same, fresh_copy_of
from tillhouse import pipeline
from tillhouse.ops.runs import Run, utc_now
from tillhouse.store import Store
from tillhouse.tables import ops


def start(folder: Path, name: str, *command: str) -> subprocess.Popen[bytes]:
    """Another process, with a session of its own."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYSPARK_", "SPARK_"))}
    environment |= {"PYTHONPATH": str(ROOT / "lib"), "SPARK_LOCAL_IP": "127.0.0.1"}
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen([sys.executable, *command], stdout=log, stderr=log, env=environment, cwd=folder)


def said_by(folder: Path, name: str) -> str:
    return (folder / f"{name}.log").read_text("utf-8")


@pytest.mark.long
def test_of_two_runs_started_together_one_works_and_the_other_is_refused_or_waits(readme_lake: Chain, tmp_path: Path) -> None:
    chain = fresh_copy_of(readme_lake, tmp_path / "chain")
    tillhouse = str(Path(sys.executable).parent / "tillhouse")
    waiting = start(tmp_path, "waiting", tillhouse, *NIGHT, *arguments(chain), "--wait", "5", "--run-id", "waiting")
    refused = start(tmp_path, "refused", str(ROOT / "jobs" / "pipeline.py"), *arguments(chain), "--run-id", "refused")
    store = Store(chain.spark, str(chain.lake), str(chain.vault))
    deadline = time.monotonic() + 300

    def until_both_have_come(table: str) -> None:
        while table == ops.FILE_LEDGER.full_name:
            has_waited = "waits for the lake" in said_by(tmp_path, "waiting")
            if has_waited and refused.poll() is not None:
                return
            assert time.monotonic() < deadline, said_by(tmp_path, "waiting") + said_by(tmp_path, "refused")
            assert waiting.poll() is None, said_by(tmp_path, "waiting")
            time.sleep(0.1)

    store.before_commit = until_both_have_come
    try:
        pipeline.run(Run(store, chain.config, "working", utc_now()), pipeline.select(to_step="kpi"))
        assert refused.wait() == 1
        assert waiting.wait(300) == 0, said_by(tmp_path, "waiting")
    finally:
        for process in (waiting, refused):
            process.kill()
            process.wait()
    assert f"LeaseError: run working of {os.uname().nodename} (pid {os.getpid()})" in said_by(tmp_path, "refused")
    assert "nothing new: no table outside ops was written" in said_by(tmp_path, "waiting")
    assert_same(chain, readme_lake)
    steps = {(row["run_id"], row["status"]) for row in store.read(ops.RUN_STEP).collect()}
    assert {status for run, status in steps if run == "waiting"} == {"unchanged"}
    assert "refused" not in {run for run, _ in steps}
