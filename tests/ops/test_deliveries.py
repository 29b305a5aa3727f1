"""What should have been delivered: late, missing, partial, closed, and how an arrival closes what was missing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.conftest import Chain
from tests.integration.test_kpi_cases import BRANCHES
from tests.sources.mappings import source
from tillhouse.ops import deliveries
from tillhouse.store import Since, Store
from tillhouse.tables import gold, ops, silver

TILL = """
source: till
entity: receipt
description: a file for each branch and day
owner: till-team
due_days: 2
format: csv
file_pattern: till/{branch}_{day}_{exported}.csv
date_formats: ["yyyy-MM-dd HH:mm"]
timezone: UTC
line_number: ordinal
version_order: {from_path: exported, date_formats: ["yyyyMMdd'T'HHmm"]}
delivery:
  period: day
  from_path: day
  branch_from_path: branch
  due_days: 1
  due_time: "12:00"
  closed: [{weekdays: [sunday]}, {days: [2025-03-07], branches: [B2]}]
  numbered: {receipt_number: register}
columns:
  branch_id: {aliases: [branch]}
  register_id: {aliases: [register]}
  receipt_id: {aliases: [number]}
  receipt_number: {aliases: [number]}
  ended_at: {aliases: [at]}
  gross_amount: {aliases: [amount]}
"""

SHOP = """
source: shop
entity: receipt
description: a file of all branches for each day
owner: shop-team
format: csv
file_pattern: shop/{day}_{exported}.csv
date_formats: ["yyyy-MM-dd HH:mm"]
timezone: UTC
line_number: ordinal
version_order: {from_path: exported, date_formats: ["yyyyMMdd'T'HHmm"]}
delivery: {period: day, from_path: day}
columns:
  branch_id: {aliases: [branch]}
  receipt_id: {aliases: [number]}
  ended_at: {aliases: [at]}
  gross_amount: {aliases: [amount]}
"""
COMPARED = (ops.DELIVERY, ops.SOURCE_BRANCH, gold.KPI_BRANCH_DAY)
THURSDAY, TUESDAY = date(2025, 3, 6), date(2025, 3, 11)
Rows = list[tuple[str, ...]]


def till(branch: str, day: int, numbers: list[int], exported: str | None = None) -> tuple[str, str]:
    """A branch's file of a day of March 2025, exported that night unless said otherwise."""
    lines = [f"{branch},1,{number},2025-03-{day:02d} 10:{number:02d},{number}.00" for number in numbers]
    path = f"till/{branch}_202503{day:02d}_{exported or f'202503{day:02d}T2200'}.csv"
    return path, "\n".join(["branch,register,number,at,amount", *lines]) + "\n"


def shop(day: int) -> tuple[str, str]:
    lines = [f"{branch},S{day},2025-03-{day:02d} 11:00,5.00" for branch in ("B1", "B2")]
    return f"shop/202503{day:02d}_202503{day:02d}T2300.csv", "\n".join(["branch,number,at,amount", *lines]) + "\n"


FIRST = [
    ("branches/all.csv", "branch,zone,currency\nB1,UTC,EUR\nB2,UTC,EUR\n"),
    till("B1", 3, [1, 2]), till("B1", 4, [3, 4]), till("B1", 5, [6]),
    till("B2", 3, [1]), till("B2", 5, [3], exported="20250307T0100"),
    shop(3), shop(5),
]  # fmt: skip
SECOND = [till("B1", 5, [5, 6], exported="20250306T0500"), till("B2", 4, [2], exported="20250308T0100"), shop(4)]


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conf")
    (folder / "sources").mkdir()
    for name, text in (("till", TILL), ("shop", SHOP), ("branches", BRANCHES)):
        (folder / "sources" / f"{name}.yml").write_text(text, "utf-8")
    (folder / "lake.yml").write_text("lake: x\nvault: y\nlanding: z\n", "utf-8")
    (folder / "products.yml").write_text("{}\n", "utf-8")
    return folder


@dataclass(frozen=True)
class First:
    """A chain after its second run, and what the first run found: statuses, exceptions, and what the branch days show."""

    chain: Chain
    statuses: Rows
    exceptions: Rows
    days: dict[tuple[str, str], tuple[object, ...]]


@pytest.fixture(scope="module")
def first(conf: Path, tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> First:
    """A chain after a first run with gaps, then after a second one that brings what was missing; the first run's findings."""
    chain = Chain(tmp_path_factory.mktemp("chain"), conf, spark)
    for file in FIRST:
        chain.deliver(*file)
    chain.run(as_of=THURSDAY)
    days: dict[tuple[str, str], tuple[object, ...]] = {
        (row["branch_id"], f"{row['business_date']:%d}"): (row["delivery_status"], row["revenue"], row["receipts"])
        for row in chain.store.read(gold.KPI_BRANCH_DAY).collect()
    }
    found, told = statuses(chain), exceptions(chain)
    for file in SECOND:
        chain.deliver(*file)
    chain.run(as_of=THURSDAY)
    return First(chain, found, told, days)


def statuses(chain: Chain) -> Rows:
    rows = chain.store.read(ops.DELIVERY).collect()
    return sorted((row["source"], row["branch_id"], f"{row['business_date']:%d}", row["status"]) for row in rows)


def exceptions(chain: Chain) -> Rows:
    rows = chain.store.read(silver.EXCEPTION).where("entity = 'delivery'").collect()
    return sorted((row["source"], row["record_key"], row["rule"], row["status"], row["owner"]) for row in rows)


def content(chain: Chain) -> list[list[tuple[object, ...]]]:
    return [sorted((tuple(row) for row in chain.store.read(table).drop("_month").collect()), key=str) for table in COMPARED]


def test_each_expected_branch_and_day_is_on_time_late_missing_or_partial(first: First) -> None:
    found = first.statuses
    assert found == [
        ("shop", "B1", "03", "on_time"), ("shop", "B1", "04", "missing"), ("shop", "B1", "05", "on_time"),
        ("shop", "B2", "03", "on_time"), ("shop", "B2", "04", "missing"), ("shop", "B2", "05", "on_time"),
        ("till", "B1", "03", "on_time"), ("till", "B1", "04", "on_time"), ("till", "B1", "05", "partial"),
        ("till", "B2", "03", "on_time"), ("till", "B2", "04", "missing"), ("till", "B2", "05", "partial"),
    ]  # fmt: skip


def test_a_missing_file_is_one_exception_with_its_owner(first: First) -> None:
    chain, found = first.chain, first.exceptions
    assert found == [
        ("shop", "all branches/2025-03-04", "delivery_missing", "open", "shop-team"),
        ("till", "B1/2025-03-05", "delivery_partial", "open", "till-team"),
        ("till", "B2/2025-03-04", "delivery_missing", "open", "till-team"),
        ("till", "B2/2025-03-05", "delivery_partial", "open", "till-team"),
    ]
    row = chain.store.read(silver.EXCEPTION).where("rule = 'delivery_partial' AND branch_id = 'B1'").collect()[0]
    assert json.loads(row["context"])["value"] == "receipt_number of register 1: 5 to 5"
    assert row["due_at"] is not None


def test_an_arrival_closes_the_exception_and_is_late_if_exported_after_the_due_time(first: First) -> None:
    chain = first.chain
    assert {row[3] for row in exceptions(chain)} == {"resolved"}
    now = {row[:3]: row[3] for row in statuses(chain)}
    assert now["till", "B2", "04"] == "late"
    assert now["till", "B1", "05"] == "on_time"
    assert now["till", "B2", "05"] == "late"
    assert now["shop", "B1", "04"] == "on_time"


def test_a_missing_day_is_marked_without_figures_and_not_a_day_without_revenue(first: First) -> None:
    rows = first.days
    assert rows["B2", "04"] == ("missing", None, None)
    assert rows["B1", "04"][0] == "missing"  # the shop's part of it
    assert rows["B1", "04"][2] == 2
    assert rows["B1", "05"][0] == "partial"


@pytest.mark.long
def test_batches_as_of_dates_and_a_full_run_give_the_same(first: First, tmp_path: Path) -> None:
    chain = first.chain
    at_once = chain.in_folder(tmp_path)
    for file in [*SECOND, *FIRST]:
        at_once.deliver(*file)
    at_once.run(as_of=TUESDAY)
    later = content(at_once)
    assert {row for row in statuses(at_once) if row[0] == "till" and row[2] > "05"} == {
        ("till", "B1", "06", "missing"),
        ("till", "B1", "07", "missing"),
        ("till", "B1", "08", "missing"),
        ("till", "B2", "06", "missing"),
        ("till", "B2", "08", "missing"),
    }  # fmt: skip - the 7th is closed for B2, the 9th a Sunday, the 10th not due before Tuesday noon
    at_once.run(as_of=THURSDAY)
    assert content(at_once) == content(chain)
    chain.run(as_of=TUESDAY)
    assert content(chain) == later
    assert {step.step: step.status for step in chain.run(as_of=TUESDAY)}["delivery"] == "unchanged"


def test_what_is_judged_again_is_whole_deliveries(spark: SparkSession, tmp_path: Path) -> None:
    """Or else a missing week would be told again with some of its days."""
    weekly = source(changes="delivery: {period: week, from_path: week, due_days: 1}")
    store = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    store.create_missing([ops.DELIVERY, ops.FILE_LEDGER, silver.RECEIPT_VERSION])
    since = Since({table.full_name: store.version(table)[1] for table in (ops.FILE_LEDGER, silver.RECEIPT_VERSION)}, frozenset())
    days = deliveries._touched_days(store, [weekly], since, date(2025, 3, 13), ({}, {}))["till"]
    assert min(days) == date(2025, 3, 3)  # the Monday of the earliest week that was not due long before
    assert len(days) % 7 == 0


def test_numbers_that_start_anew_leave_no_gap_and_days_are_compared_in_order(spark: SparkSession) -> None:
    plan = source(
        changes="columns: {register_id: {aliases: [r]}, closing_id: {aliases: [z]}, receipt_number: {aliases: [n]}}\n"
        "delivery: {period: day, numbered: {closing_id: register, receipt_number: closing}}"
    )
    receipts = spark.createDataFrame(
        [
            ("till", "B1", "1", "7", "1", date(2025, 1, 1)), ("till", "B1", "1", "7", "2", date(2025, 1, 1)),
            ("till", "B1", "1", "8", "1", date(2025, 1, 2)), ("till", "B1", "1", "8", "4", date(2025, 1, 2)),
            ("till", "B1", "1", "10", "1", date(2025, 1, 4)), ("till", "B1", "2", "1", "9", date(2025, 1, 4)),
            ("till", "B1", "1", "1", "x", date(2025, 1, 5)),
        ],
        "source STRING, branch_id STRING, register_id STRING, closing_id STRING, receipt_number STRING, business_date DATE",
    )  # fmt: skip
    rows = deliveries.to_gaps(receipts, [plan]).collect()
    assert {(row["business_date"].day, row["missing_numbers"], row["gaps"]) for row in rows} == {
        (2, 2, "receipt_number of register 1: 2 to 3"),
        (4, 1, "closing_id of register 1: 9 to 9"),
    }
