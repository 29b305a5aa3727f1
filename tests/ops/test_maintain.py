"""Upkeep: fewer files with the same rows, past versions as promised, and nothing that the next run takes for news."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.conftest import ROOT, Chain
from tillhouse import pipeline
from tillhouse.config import load_config
from tillhouse.errors import LeaseError, TillhouseError
from tillhouse.ops import maintain
from tillhouse.ops.lease import Lease
from tillhouse.ops.maintain import Upkeep
from tillhouse.ops.runs import Run, utc_now
from tillhouse.store import Store
from tillhouse.tables import Table, gold, ops, silver
from tillhouse.tables.lake import tables_of

FACT = Table(
    "gold", "fact", "one row", "id INT NOT NULL, _month STRING NOT NULL", ("id",), partition_by=("_month",), change_feed=True
)
DIMENSION = Table("gold", "dimension", "one row", "id INT NOT NULL", ("id",))
MONTHS = ("2025-01", "it's odd")


@pytest.fixture
def run(tmp_path: Path, spark: SparkSession) -> Run:
    """Five small files in each of two months, two in a third; a dimension that was replaced; tables of operation."""
    store = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    store.create_missing([*ops.TABLES, FACT, DIMENSION])
    for number in range(5):
        months = [*MONTHS, "2025-03"] if number < 2 else MONTHS
        store.append(FACT, spark.createDataFrame([(number, month) for month in months], FACT.struct))
    store.overwrite(DIMENSION, spark.createDataFrame([(1,)], DIMENSION.struct).coalesce(1))
    store.overwrite(DIMENSION, spark.createDataFrame([(2,)], DIMENSION.struct).coalesce(1))
    return Run(store, load_config(ROOT / "conf"), "upkeep", utc_now())


def ids(store: Store, version: int | None = None) -> list[tuple[int, str]]:
    options = {} if version is None else {"versionAsOf": version}
    rows = store.spark.read.format("delta").options(**options).load(store.path(FACT)).collect()
    return sorted((row["id"], row["_month"]) for row in rows)


def data_files(store: Store, table: Table) -> set[str]:
    return {str(path) for path in Path(store.path(table)).rglob("*.parquet") if "_delta_log" not in path.parts}


def test_small_files_are_joined_and_past_versions_stay(run: Run) -> None:
    store = run.store
    rows, before = ids(store), data_files(store, FACT)
    version = store.version(FACT)[1]
    done = maintain.maintain(run, [FACT, DIMENSION])
    assert done == {"gold.fact": Upkeep(12, 4, 0, True), "gold.dimension": Upkeep(1, 1, 0, True)}
    assert ids(store) == rows
    for past in range(1, version + 1):
        assert len(ids(store, past)) == min(past, 2) * 3 + max(past - 2, 0) * 2
    assert before < data_files(store, FACT)
    stored = store.stored(FACT)
    assert stored is not None
    for name in ("delta.logRetentionDuration", "delta.deletedFileRetentionDuration"):
        assert stored.properties[name] == "interval 30 days"


def test_a_second_upkeep_commits_nothing_but_its_record(run: Run) -> None:
    store = run.store
    maintain.maintain(run, [FACT, DIMENSION])
    versions = [store.version(table) for table in (FACT, DIMENSION, ops.WATERMARK)]
    done = maintain.maintain(replace(run, run_id="again"), [FACT, DIMENSION])
    assert not any(item.is_changed for item in done.values())
    assert [store.version(table) for table in (FACT, DIMENSION, ops.WATERMARK)] == versions
    recorded = {row["run_id"]: row for row in store.read(ops.RUN_STEP).collect()}
    assert [(recorded[name]["step"], recorded[name]["status"]) for name in ("upkeep", "again")] == [
        ("maintain", "done"), ("maintain", "unchanged"),
    ]  # fmt: skip
    figures = recorded["upkeep"]["figures"]
    assert (figures["tables"], figures["files_before"], figures["files_after"]) == (2, 13, 5)
    assert (figures["gold.fact files_before"], figures["gold.fact files_after"]) == (12, 4)
    assert recorded["again"]["figures"] == {"tables": 2, "files_before": 5, "files_after": 5, "files_removed": 0}


def test_files_that_a_killed_writer_left_are_deleted_when_they_are_old(run: Run) -> None:
    store = run.store
    folder = Path(store.path(FACT)) / "_month=2025-01"
    old, new = folder / "part-killed-old.parquet", folder / "part-killed-new.parquet"
    for file in (old, new):
        file.write_bytes(b"half a file")
    month_ago = time.time() - 31 * 86_400
    for path in Path(store.path(FACT)).rglob("*.parquet"):
        if path != new:
            os.utime(path, (month_ago, month_ago))
    assert maintain.maintain(run, [FACT])["gold.fact"].files_removed == 1
    assert (old.exists(), new.exists()) == (False, True)
    assert len(ids(store, 1)) == 3


def test_what_is_older_than_promised_is_deleted(run: Run) -> None:
    store = run.store
    rows = ids(store)
    store.spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    try:
        done = maintain.maintain(replace(run, config=replace(run.config, time_travel_days=0)), [FACT, DIMENSION])
    finally:
        store.spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")
    assert done == {"gold.fact": Upkeep(12, 4, 10, True), "gold.dimension": Upkeep(1, 1, 1, True)}
    assert len(data_files(store, FACT)) == 4
    assert len(data_files(store, DIMENSION)) == 1
    assert ids(store) == rows


def test_a_step_that_has_not_run_for_longer_than_promised_begins_anew(run: Run) -> None:
    store = run.store
    marks = [("silver", "silver.exception", "ops.file_ledger", "x", 0, ""), ("kpi", "gold.x", "ops.file_column", "x", 0, "")]
    store.append(ops.WATERMARK, store.spark.createDataFrame(marks, ops.WATERMARK.struct))
    store.set_properties(ops.FILE_LEDGER, {"test.news": "yes"})
    assert maintain.forget_unreadable(store, run.config, 30) == []
    month_ago = time.time() - timedelta(days=31).total_seconds()
    os.utime(Path(store.path(ops.FILE_LEDGER)) / "_delta_log" / f"{1:020d}.json", (month_ago, month_ago))
    maintain.maintain(run, [FACT])
    assert [row["step"] for row in store.read(ops.WATERMARK).collect()] == ["kpi"]
    [recorded] = store.read(ops.RUN_STEP).collect()
    assert recorded["reason"] == "time_travel_days 30; to be made anew: silver"


def test_upkeep_waits_for_nobody_and_disturbs_nobody(run: Run) -> None:
    versions = run.store.version(FACT)
    with Lease.take(run.store, "night"), pytest.raises(LeaseError, match="night"):
        maintain.maintain(run, [FACT])
    assert run.store.version(FACT) == versions
    maintain.maintain(run, [FACT])
    assert run.store.version(FACT) != versions


def test_where_there_is_no_lake_there_is_nothing_to_maintain(tmp_path: Path, spark: SparkSession) -> None:
    store = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    with pytest.raises(TillhouseError, match="holds no lake yet"):
        maintain.maintain(Run(store, load_config(ROOT / "conf"), "upkeep", utc_now()))
    assert not (tmp_path / "lake").exists()


def test_another_layout_of_files_is_no_news_to_the_next_run(readme_copy: Chain) -> None:
    chain, store = readme_copy, readme_copy.store
    tables = tables_of(chain.config.sources)
    scattered = [table for table in tables if table.name in ("corner_till", "receipt_line", "fct_sale_line")]
    assert len(scattered) == 3
    for table in scattered:
        rows = store.read(table).repartition(5).write.format("delta").mode("overwrite")
        rows.option("dataChange", "false").save(store.path(table))
    done = maintain.maintain(Run(store, chain.config, "upkeep", utc_now()))
    assert set(done) == {table.full_name for table in tables}
    assert {name: (done[name].files_before, done[name].files_after) for name in (table.full_name for table in scattered)} == {
        table.full_name: (5, 1) for table in scattered
    }
    of_runs = (ops.RUN_STEP, ops.RUN_AUDIT, ops.WATERMARK)
    versions = {table.full_name: store.version(table) for table in tables if table not in of_runs}
    looked = {result.step for result in chain.run() if result.status == "done"}
    assert {"silver", "gold"} <= looked
    assert {table.full_name: store.version(table) for table in tables if table not in of_runs} == versions
    assert [result.status for result in chain.run()] == ["unchanged"] * len(pipeline.select(to_step="kpi"))
    assert store.read(silver.RECEIPT_LINE).count() == store.read(gold.FCT_SALE_LINE).count() == 5
