"""History of master data: what was told when, in whatever order it came, without what says nothing new."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tests.conftest import time_zone
from tests.sources.mappings import source
from tests.sources.test_mapping import ZONES, bronze
from tillhouse.keys import BEGINNING
from tillhouse.quality.rules import REJECTED, VIOLATIONS
from tillhouse.silver import master

RECORD = (
    "branch_id STRING, source STRING, version_at TIMESTAMP, _begins_on DATE, region STRING, location STRING, "
    f"{REJECTED} BOOLEAN, _file STRING, _file_id STRING, _row BIGINT"
)
JAN, FEB, MAR, APR = (datetime(2025, month, 10, 5, tzinfo=UTC) for month in (1, 2, 3, 4))
EVER = BEGINNING
Told = tuple[str, datetime | None, str | None]


def day(at: datetime) -> date:
    return at.date()


def erp(at: datetime | None, region: str | None) -> Told:
    return "erp", at, region


def old(at: datetime | None, region: str | None) -> Told:
    return "old", at, region


# branch: what was told of it -> its versions: first day, region
CASES: dict[str, tuple[Sequence[Told], Sequence[tuple[date, str | None]]]] = {
    "the first version holds since ever": ([erp(JAN, "N")], [(EVER, "N")]),
    "a change begins on its day": ([erp(JAN, "N"), erp(MAR, "S")], [(EVER, "N"), (day(MAR), "S")]),
    "what says nothing new is no version": ([erp(JAN, "N"), erp(FEB, "N"), erp(MAR, "N")], [(EVER, "N")]),
    "what comes back is a version": (
        [erp(JAN, "N"), erp(FEB, "S"), erp(MAR, "N")],
        [(EVER, "N"), (day(FEB), "S"), (day(MAR), "N")],
    ),
    "a value that is left out is a change": ([erp(JAN, "N"), erp(MAR, None)], [(EVER, "N"), (day(MAR), None)]),
    "a value that is told for the first time is a change": ([erp(JAN, None), erp(MAR, "S")], [(EVER, None), (day(MAR), "S")]),
    "two without a value are the same": ([erp(JAN, None), erp(MAR, None)], [(EVER, None)]),
    "empty is not missing": ([erp(JAN, None), erp(MAR, "")], [(EVER, None), (day(MAR), "")]),
    "of one day the newest counts": (
        [erp(JAN, "N"), erp(MAR, "X"), erp(MAR.replace(hour=9), "S")],
        [(EVER, "N"), (day(MAR), "S")],
    ),
    "what a day takes back was never so": ([erp(JAN, "N"), erp(MAR, "X"), erp(MAR.replace(hour=9), "N")], [(EVER, "N")]),
    "without any mark the newest is the only one": ([erp(None, "N"), erp(None, "S")], [(EVER, "N")]),
    "a record without mark makes no history": ([erp(None, "X"), erp(JAN, "N"), erp(FEB, "S")], [(EVER, "N"), (day(FEB), "S")]),
    "a list that replaces another goes on with its history": (
        [old(JAN, "N"), old(FEB, "S"), erp(MAR, "W"), erp(APR, "W")],
        [(EVER, "N"), (day(FEB), "S"), (day(MAR), "W")],
    ),
    "two lists side by side do not take turns": (
        [erp(JAN, "N"), old(JAN.replace(day=20), "X"), erp(FEB, "N"), old(FEB.replace(day=20), "X"), erp(MAR, "N")],
        [(EVER, "N")],
    ),
    "of two lists the one that told last tells from its first day on": (
        [old(JAN, "X"), old(MAR, "Y"), erp(FEB, "N"), erp(APR, "S")],
        [(EVER, "X"), (day(FEB), "N"), (day(APR), "S")],
    ),
}  # fmt: skip


def records(spark: SparkSession, seed: int | None = None) -> DataFrame:
    """All that was told, in some order; the same statement is always the same row of the same file."""
    rows = [
        (branch, name, at, at and day(at), region, "L", False, f"{number}.csv", f"f{number}", 2)
        for branch, (told, _) in CASES.items()
        for number, (name, at, region) in enumerate(told)
    ]
    if seed is not None:
        random.Random(seed).shuffle(rows)
    rest = {name: F.lit(None).cast("STRING") for name in ("branch_name", "format", "currency")}
    days = {name: F.lit(None).cast("DATE") for name in ("opened_on", "closed_on")}
    given = {"time_zone": F.lit("UTC"), "day_start": F.lit("00:00"), VIOLATIONS: F.array()}
    return spark.createDataFrame(rows, RECORD).withColumns({**rest, **days, **given})


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_versions_follow_from_what_was_told_in_whatever_order(spark: SparkSession, seed: int | None) -> None:
    versions = master.to_branch_versions(master.to_branch_statements(records(spark, seed)))
    found: dict[str, list[tuple[date, str | None]]] = {branch: [] for branch in CASES}
    for row in versions.orderBy("branch_id", "valid_from").collect():
        found[row["branch_id"]].append((row["valid_from"], row["region"]))
    assert found == {branch: list(expected) for branch, (_, expected) in CASES.items()}


def test_the_last_version_is_the_branch_as_last_delivered(spark: SparkSession) -> None:
    statements = master.to_branch_statements(records(spark, 3))
    now = {row["branch_id"]: row["region"] for row in master.to_branches(statements).collect()}
    assert now == {branch: expected[-1][1] for branch, (_, expected) in CASES.items()}


def test_rejected_records_make_no_history(spark: SparkSession) -> None:
    wrong = records(spark).withColumn(REJECTED, F.col("region").eqNullSafe("S"))
    versions = master.to_branch_versions(master.to_branch_statements(wrong)).where("branch_id = 'a change begins on its day'")
    assert [(row["valid_from"], row["region"]) for row in versions.collect()] == [(EVER, "N")]


PRODUCTS = """
source: erp
entity: product
line_number: null
date_formats: [iso]
columns: {branch_id: null, receipt_id: null, business_date: null, gross_amount: null, product_id: {aliases: [id]}}
"""


def beginnings(spark: SparkSession, changes: str, *rows: tuple[str | None, ...]) -> dict[str, date | None]:
    given = source(changes=PRODUCTS + changes)
    found = master.to_product_records(bronze(spark, "id at ab", rows), given)
    return {row["product_id"]: row["_begins_on"] for row in found.collect()}


VERSION_ORDER = "version_order: {aliases: [at], date_formats: [iso], timezone: Europe/Berlin}"


@pytest.mark.parametrize("zone", ZONES)
def test_a_version_begins_on_the_day_that_its_source_writes(spark: SparkSession, zone: str) -> None:
    """In January Berlin is an hour ahead of UTC; a time with an offset is the same instant on that clock."""
    with time_zone(spark, zone):
        assert beginnings(
            spark, VERSION_ORDER, ("just after midnight", "2025-01-10T00:30:00", None),
            ("just before", "2025-01-09T23:59:59", None), ("in UTC", "2025-01-09T23:30:00Z", None), ("unmarked", None, None),
        ) == {
            "just after midnight": date(2025, 1, 10), "just before": date(2025, 1, 9), "in UTC": date(2025, 1, 10),
            "unmarked": None,
        }  # fmt: skip


def test_where_a_source_tells_a_beginning_that_counts_and_none_is_since_ever(spark: SparkSession) -> None:
    told = PRODUCTS.replace("product_id: {aliases: [id]}", "product_id: {aliases: [id]}, valid_from: {aliases: [ab]}")
    found = master.to_product_records(
        bronze(spark, "id at ab", [("P1", "2025-03-01T05:00:00", "2025-02-01"), ("P2", "2025-03-01T05:00:00", None)]),
        source(changes=told + VERSION_ORDER),
    )
    assert {row["product_id"]: row["_begins_on"] for row in found.collect()} == {"P1": date(2025, 2, 1), "P2": EVER}


PRODUCT = (
    "product_id STRING, version_at TIMESTAMP, _begins_on DATE, product_name STRING, category_l1 STRING, category_ref STRING, "
    "variant_of STRING, list_price DECIMAL(18,5)"
)


def test_a_product_has_versions_of_what_changes_slowly_and_the_variants_top_of_today(spark: SparkSession) -> None:
    rows = [
        ("S", JAN, day(JAN), "Shirt S", "TEXTILES", None, None, None),
        ("S", FEB, day(FEB), "Shirt S", "TEXTILES", None, None, None),  # another price, say: no version
        ("S", MAR, day(MAR), "Shirt S", "FASHION", None, "SHIRT", None),
    ]
    others = {
        name: F.lit(None).cast("STRING") for name in ("gtin", "category_l2", "category_l3", "product_line", "brand", "price_tier")
    }
    place = {"source": F.lit("erp"), "_file": F.lit("f.csv"), "_file_id": F.lit("f"), "_row": F.lit(2).cast("BIGINT")}
    judged = {REJECTED: F.lit(False), VIOLATIONS: F.array(), "is_bundle": F.lit(False), "valid_from": F.lit(None).cast("DATE")}
    given = spark.createDataFrame(rows, PRODUCT).withColumns({**others, **place, **judged})
    statements = master.to_product_statements(given, are_several=False)
    known = master.to_products(statements).withColumn("parent_product_id", F.lit("SHIRT"))
    versions = master.to_product_versions(statements, known).orderBy("valid_from").collect()
    assert [(row["valid_from"], row["category_l1"], row["variant_of"], row["parent_product_id"]) for row in versions] == [
        (EVER, "TEXTILES", None, "SHIRT"),
        (day(MAR), "FASHION", "SHIRT", "SHIRT"),
    ]
