"""However deliveries are batched, in whatever order they come, and wherever a run is killed: gold is the same."""

from __future__ import annotations

import csv
import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from compare_lakes import compare
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from try_orders import by_week, disturb, later  # a script, not a package

from tests.conftest import ROOT, Chain, time_zone
from tillhouse import pipeline
from tillhouse.ops.runs import Run, new_run_id, utc_now
from tillhouse.store import Store
from tillhouse.tables import gold, ops, silver
from tillhouse.tables.lake import tables_of

COMPARED = (
    *gold.TABLES,
    ops.DELIVERY,
    ops.SOURCE_BRANCH,
    silver.RECEIPT,
    silver.RECEIPT_LINE,
    silver.RECEIPT_VERSION,
    silver.BRANCH,
    silver.BRANCH_VERSION,
    silver.PRODUCT,
    silver.PRODUCT_VERSION,
)

KILLED_BEFORE = ("silver.receipt", "gold.fct_receipt")


class Killed(BaseException):
    """Stops a run as a kill does: no handler of the pipeline takes it for a failure."""


@pytest.fixture(scope="module")
def deliveries(demo_exports: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small chain's files, and beside them files that are sent again, overlap, correct and come late."""
    folder = tmp_path_factory.mktemp("deliveries")
    shutil.copytree(demo_exports / "landing", folder, dirs_exist_ok=True)
    disturb(folder)
    return folder


@pytest.fixture(scope="module")
def deliver(
    deliveries: Path, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Sequence[Sequence[Path]]], Chain]:
    """Brings files in batches, each by a run, into a lake whose tables are there: to make them takes as long as some runs."""
    empty = Chain(tmp_path_factory.mktemp("empty"), ROOT / "conf", spark)
    empty.store.create_missing(tables_of(empty.config.sources))

    def in_batches(batches: Sequence[Sequence[Path]]) -> Chain:
        chain = empty.in_folder(tmp_path_factory.mktemp("lake"))
        shutil.copytree(empty.folder, chain.folder, dirs_exist_ok=True)
        for batch in batches:
            put(chain, deliveries, batch)
            chain.run()
        return chain

    return in_batches


def put(chain: Chain, deliveries: Path, batch: Sequence[Path]) -> None:
    for path in batch:
        target = chain.landing / path.relative_to(deliveries)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)


def all_files(deliveries: Path) -> list[Path]:
    return sorted(path for path in deliveries.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def at_once(deliveries: Path, deliver: Callable[[Sequence[Sequence[Path]]], Chain]) -> Chain:
    return deliver([all_files(deliveries)])


def assert_same(one: Chain, other: Chain) -> None:
    """Every row of both lakes, customers up to renaming, and what is wrong with which amount."""
    assert [table.full_name for table in COMPARED if compare(one.lake, other.lake, table).differing] == []
    found, expected = (
        {(row["rule"], row["record_key"], row["amount"]) for row in open_exceptions(chain).collect()} for chain in (other, one)
    )
    assert "product_unknown" in {rule for rule, _, _ in expected}
    assert found == expected


def open_exceptions(chain: Chain) -> DataFrame:
    return chain.store.read(silver.EXCEPTION).where("status = 'open'")


def commits_of_a_run(chain: Chain, kill_before: str | None = None, again: str | None = None) -> list[str]:
    """The tables that a run commits to; it is killed before the first commit to ``kill_before``, and commits nothing more."""
    started_at = utc_now()
    store, commits = Store(chain.spark, str(chain.lake), str(chain.vault)), list[str]()

    def note(table: str) -> None:
        commits.append(table)
        if kill_before in commits:
            raise Killed(table)

    store.before_commit = note
    run = Run(store, chain.config, new_run_id(started_at), started_at, again=again)
    pipeline.run(run, pipeline.select(to_step="kpi"))
    return commits


def test_corrections_win_and_what_is_sent_again_counts_once(at_once: Chain, deliveries: Path) -> None:
    corrected = at_once.store.read(silver.RECEIPT_LINE).where("gross_amount = 77.77").collect()
    assert len(corrected) == 1
    statuses = {row["status"] for row in at_once.store.read(silver.RECEIPT_VERSION).select("status").distinct().collect()}
    assert statuses == {"current", "deleted", "duplicate", "superseded"}
    written = 0
    for path in (deliveries / "erp/sales").iterdir():
        with path.open(encoding="cp1252", newline="") as file:
            written += sum(1 for _ in csv.reader(file)) - 1
    lines = at_once.store.read(silver.RECEIPT_LINE).where("source = 'erp_sales'").count()
    assert 0 < lines < written


@pytest.mark.long
def test_week_by_week_gives_the_same_gold(
    at_once: Chain, deliveries: Path, deliver: Callable[[Sequence[Sequence[Path]]], Chain]
) -> None:
    files = all_files(deliveries)
    batches = by_week(files)
    assert_same(at_once, deliver([batches[0] + batches[1], *batches[2:]]))


@pytest.mark.long
@pytest.mark.parametrize(("seed", "zone"), [(5, "America/New_York"), (6, "Asia/Tokyo")])
def test_a_shuffled_order_in_a_session_of_any_time_zone_gives_the_same_gold(
    at_once: Chain, deliveries: Path, deliver: Callable[[Sequence[Sequence[Path]]], Chain], seed: int, zone: str
) -> None:
    files = random.Random(seed).sample(all_files(deliveries), len(all_files(deliveries)))
    half = len(files) // 2
    with time_zone(at_once.spark, zone):
        shuffled = deliver([files[:half], files[half:]])
    assert_same(at_once, shuffled)


def test_a_third_shuffled_order_with_kills_between_commits_gives_the_same_gold(
    at_once: Chain,
    deliveries: Path,
    deliver: Callable[[Sequence[Sequence[Path]]], Chain],
    pytestconfig: pytest.Config,
) -> None:
    """Killed in silver and gold; with ``--long`` also before, between and after."""
    files = all_files(deliveries)
    random.Random(4).shuffle(files)
    half = len(files) // 2
    chain = deliver([files[:half]])
    put(chain, deliveries, files[half:])
    is_long = pytestconfig.getoption("--long")
    for table in ("ops.file_column", "ops.file_ledger", *KILLED_BEFORE, "ops.watermark") if is_long else KILLED_BEFORE:
        with pytest.raises(Killed):
            commits_of_a_run(chain, kill_before=table)
    chain.run()
    assert_same(at_once, chain)


def test_days_and_branches_can_be_recomputed_from_bronze(at_once: Chain, tmp_path: Path) -> None:
    shutil.copytree(at_once.folder, tmp_path / "copy")
    chain = at_once.in_folder(tmp_path / "copy")
    receipts = chain.store.read(silver.RECEIPT).orderBy("business_date", "branch_id")
    [(branch, day)] = receipts.select("branch_id", "business_date").limit(1).collect()
    lines = chain.store.read(silver.RECEIPT_LINE)
    here = (F.col("branch_id") == branch) & (F.col("business_date") == day)
    damaged = lines.withColumn("unit", F.when(here, "damaged").otherwise(F.col("unit")))
    chain.store.overwrite(silver.RECEIPT_LINE, damaged)
    assert commits_of_a_run(chain)
    with pytest.raises(AssertionError):
        assert_same(at_once, chain)
    commits = commits_of_a_run(chain, again=f"business_date = DATE'{day}' AND branch_id = '{branch}'")
    facts = {"gold.fct_sale_line", "gold.fct_receipt", "gold.kpi_branch_day", "gold.kpi_branch_week"}
    assert (
        {"silver.receipt_line"} < {table for table in commits if not table.startswith("ops.")} <= {"silver.receipt_line"} | facts
    )
    assert_same(at_once, chain)


def test_nothing_new_or_the_same_file_touched_commits_nothing_outside_ops(at_once: Chain) -> None:
    assert set(commits_of_a_run(at_once)) == {"ops.run_step"}
    one = next(path for path in at_once.landing.rglob("*.csv") if "sales" in path.parts)
    os.utime(one, (1_900_000_000, 1_900_000_000))
    assert {table.split(".")[0] for table in commits_of_a_run(at_once)} == {"ops"}


def test_a_changed_region_touches_the_branch_and_the_receipts_since_then(at_once: Chain) -> None:
    """From 2030 on there is none. Told late, the region that a branch once had is that of its receipts of these days alone."""
    branches = sorted((at_once.landing / "erp/branches").iterdir())[-1]
    names, row, *_ = (line.split(";") for line in branches.read_text("cp1252").splitlines())

    def moved(exported: str, region: str) -> set[str]:
        row[names.index("Region")] = region
        later(branches, exported).write_text("\n".join([";".join(names), ";".join(row)]) + "\n", "cp1252")
        commits = {table for table in commits_of_a_run(at_once) if not table.startswith(("ops.", "bronze."))}
        return commits - {"gold.kpi_branch_week"}  # the branches of a region are peers

    of_branch = {"silver.branch_version", "gold.dim_branch"}
    assert moved("20300105T0000", "Elsewhere") == of_branch | {"silver.branch"}
    assert moved("20170119T0000", "For a while") == of_branch | {"gold.fct_receipt"}
    store = at_once.store
    receipts = store.read(gold.FCT_RECEIPT).where(F.col("branch_id") == row[0])
    days = (
        receipts.join(store.read(gold.DIM_BRANCH), on="branch_key").groupBy("region").agg(F.min("business_date").alias("first"))
    )
    regions = {found["region"]: str(found["first"]) for found in days.collect()}
    assert regions["For a while"] == "2017-01-19"
    assert "Elsewhere" not in regions
    [now] = store.read(gold.DIM_BRANCH).where(F.col("branch_id") == row[0]).where("is_current").select("region").collect()
    assert now["region"] == "Elsewhere"
    before = {table: store.version(table) for table in gold.TABLES}
    at_once.run(full=True)
    assert {table: store.version(table) for table in gold.TABLES} == before
