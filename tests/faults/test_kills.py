"""A run that is killed at any point between two commits and started again ends with the gold of one that nothing disturbed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from make_demo_exports import make_exports
from pyspark.sql import SparkSession

from tests.conftest import ROOT, Chain
from tests.faults.conftest import assert_same, copy_of
from tillhouse import pipeline
from tillhouse.ops.runs import Run, new_run_id, utc_now
from tillhouse.pipeline import STEPS
from tillhouse.store import Store
from tillhouse.tables import ops

OF_THE_RUN = {table.full_name for table in (ops.RUN_STEP, ops.RUN_AUDIT, ops.WATERMARK)}


@pytest.fixture(scope="module")
def weekend(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Chain:
    """Two branches of the demo, one on each till system, after the first week. What has come since concerns every table:

    the second week, a corrected receipt, one that moves into another year, another region of a branch, other products.
    """
    chain = Chain(tmp_path_factory.mktemp("weekend"), ROOT / "conf", spark)
    made = tmp_path_factory.mktemp("made")
    make_exports(made, weeks=2, branches=2, plain=True)
    files = sorted(path.relative_to(made / "landing") for path in (made / "landing").rglob("*") if path.is_file())
    weeks = sorted({path.name.split("_")[1] for path in files if "sales" in path.parts})

    def deliver(path: Path, name: str | None = None, content: bytes | None = None) -> None:
        text = (made / "landing" / path).read_bytes()
        chain.deliver(str(path.with_name(name or path.name)), text if content is None else content)

    for path in files:
        if f"_{weeks[1]}_" not in path.name:
            deliver(path)
    chain.run()
    for path in files:
        text = (made / "landing" / path).read_bytes()
        if f"_{weeks[1]}_" in path.name:
            deliver(path)
        elif "branches" in path.parts or "products" in path.parts:
            lines = text.splitlines(keepends=True)
            changed = lines[1].replace(b";", b" new;", 2).replace(b" new;", b";", 1)  # the name, not the number before it
            deliver(path, f"{path.stem.split('_')[0]}_20300101T0000{path.suffix}", b"".join([lines[0], changed, *lines[2:-1]]))
        elif path.suffix == ".jsonl":
            corrected, moved = (json.loads(line) for line in text.splitlines()[:2])
            corrected["items"][0]["amount"] = "77.77"
            moved["completed_at"] = "2018" + moved["completed_at"][4:]
            name = f"{path.stem.rsplit('_', 1)[0]}_20300101T0000{path.suffix}"
            deliver(path, name, "\n".join(json.dumps(record) for record in (corrected, moved)).encode())
    return chain


@pytest.fixture(scope="module")
def moments(weekend: Chain, tmp_path_factory: pytest.TempPathFactory) -> tuple[Chain, list[tuple[str, Chain]]]:
    """A run that nothing disturbs, and what lay on disk before each of its commits: what a kill at that moment leaves."""
    folder = tmp_path_factory.mktemp("moments")
    chain = copy_of(weekend, folder / "quiet")
    store = Store(chain.spark, str(chain.lake), str(chain.vault))
    found: list[tuple[str, Chain]] = []

    def keep(table: str) -> None:
        then = copy_of(chain, folder / f"{len(found)}")
        shutil.rmtree(then.lake / "ops" / "_lease")  # that of a killed process is free, but this one lives
        found.append((table, then))

    store.before_commit = keep
    started_at = utc_now()
    run = Run(store, chain.config, new_run_id(started_at), started_at)
    pipeline.run(run)
    pipeline.check_audit(run)
    return chain, found


def test_the_run_commits_to_every_table(moments: tuple[Chain, list[tuple[str, Chain]]]) -> None:
    quiet, found = moments
    every = {table.full_name for step in STEPS for table in step.writes(quiet.config)} | OF_THE_RUN
    assert {table for table, _ in found} == every


def test_killed_before_any_of_its_commits_and_started_again_a_run_ends_as_if_never_disturbed(
    moments: tuple[Chain, list[tuple[str, Chain]]],
) -> None:
    quiet, found = moments
    for number, (table, chain) in enumerate(found):
        chain.run()
        try:
            assert_same(chain, quiet)
        except AssertionError as error:
            error.add_note(f"killed before commit {number}, to {table}")
            raise
        shutil.rmtree(chain.folder)
