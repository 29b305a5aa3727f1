"""Z reports: which version of them counts, and what differs from what has come, over rows by hand."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tillhouse.quality.rules import REJECTED
from tillhouse.silver import closings
from tillhouse.store import Store
from tillhouse.tables.contract import MONTH
from tillhouse.tables.silver import CLOSING_TOTAL

TOTALS = (
    "closing_key STRING, total_kind STRING, line_type STRING, tender_type STRING, gross_amount DECIMAL(18,2), currency STRING, "
    "source STRING, branch_id STRING, register_id STRING, closing_id STRING, business_date DATE, _file STRING, _row BIGINT"
)


def totals(spark: SparkSession, *rows: tuple[str, str, str | None, str | None, str, str]) -> DataFrame:
    rest = ("till", "1", "K1")
    place = (date(2026, 3, 2), "z.zip", 1)
    return spark.createDataFrame([(*row[:4], Decimal(row[4]), row[5], *rest, row[0], *place) for row in rows], TOTALS)


def lines(spark: SparkSession, *rows: tuple[str, str, str]) -> DataFrame:
    made = [(key, kind, Decimal(amount)) for key, kind, amount in rows]
    return spark.createDataFrame(made, "closing_key STRING, line_type STRING, gross_amount DECIMAL(18,2)")


def payments(spark: SparkSession, *rows: tuple[str, str, str, str | None, str | None]) -> DataFrame:
    made = [(*row[:2], Decimal(row[2]), "EUR", row[3], row[4] and Decimal(row[4])) for row in rows]
    ddl = (
        "closing_key STRING, tender_type STRING, amount DECIMAL(18,2), currency STRING, foreign_currency STRING, "
        "foreign_amount DECIMAL(18,2)"
    )
    return spark.createDataFrame(made, ddl)


def test_a_closing_differs_by_type_of_line_tender_and_cash_in_a_currency(spark: SparkSession) -> None:
    stated = totals(
        spark,
        ("Z1", "BUSINESS_CASE", "ITEM", None, "10.00", "EUR"),
        ("Z1", "BUSINESS_CASE", "ITEM", None, "5.00", "EUR"),  # another tax key
        ("Z1", "BUSINESS_CASE", "DEPOSIT", None, "0.25", "EUR"),
        ("Z1", "PAYMENT", None, "CASH", "15.00", "EUR"),
        ("Z1", "CURRENCY", None, None, "6.00", "EUR"),
        ("Z1", "CURRENCY", None, None, "8.50", "CHF"),
        ("Z2", "BUSINESS_CASE", None, None, "7.00", "EUR"),
    )
    come = lines(spark, ("Z1", "ITEM", "15.00"), ("Z1", "SURCHARGE", "1.00"), ("Z2", "ITEM", "8.00"), ("Z2", "DISCOUNT", "-1.00"))
    paid = payments(
        spark, ("Z1", "CASH", "6.00", None, None), ("Z1", "CASH", "9.00", "CHF", "8.50"), ("Z2", "DEBIT", "7.00", None, None)
    )
    found = closings.of_closings(stated, come, paid).collect()
    assert {row["record_key"]: str(row["amount"]) for row in found} == {
        "1/K1/Z1/BUSINESS_CASE/DEPOSIT": "0.25",  # stated and not come
        "1/K1/Z1/BUSINESS_CASE/SURCHARGE": "-1.00",  # come and not stated
    }
    assert {json.loads(row["context"])["value"] for row in found} == {"0.25 instead of 0.00", "0.00 instead of 1.00"}


def test_the_newest_report_of_a_closing_counts_whatever_came_first(spark: SparkSession) -> None:
    ddl = "closing_key STRING, total_number INT, _file_id STRING, version_at TIMESTAMP"
    first, second = (datetime.fromisoformat(at) for at in ("2026-03-02T20:00", "2026-03-03T09:00"))
    rows = [("Z1", 1, "a", first), ("Z1", 2, "a", first), ("Z1", 1, "b", second), ("Z2", 1, "b", second), ("Z2", 1, "c", second)]
    loaded = "file_id STRING, loaded_at TIMESTAMP, path STRING, status STRING"
    files = spark.createDataFrame([(name, first, f"{name}.zip", "loaded") for name in "abc"], loaded)

    def winners(new: str, old: str) -> set[tuple[str, str, int]]:
        found = spark.createDataFrame([row for row in rows if row[2] in new], ddl)
        stored = spark.createDataFrame([row for row in rows if row[2] in old], ddl) if old else None
        kept = closings.latest(found, stored, files).collect()
        return {(row["closing_key"], row["_file_id"], row["total_number"]) for row in kept}

    expected = {("Z1", "b", 1), ("Z2", "b", 1)}
    assert winners("abc", "") == expected
    assert winners("bc", "a") == winners("ac", "b") == expected


def test_the_report_of_a_later_night_stands_beside_those_that_are_there(spark: SparkSession, tmp_path: Path) -> None:
    store = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    store.create_missing([CLOSING_TOTAL])
    fields = [field for field in CLOSING_TOTAL.struct if field.name != MONTH]
    files = spark.createDataFrame(
        [(name, datetime(2026, 3, 4), f"{name}.zip", "loaded") for name in "ab"],  # noqa: DTZ001
        "file_id STRING, loaded_at TIMESTAMP, path STRING, status STRING",
    )
    for name, day in (("a", date(2026, 2, 28)), ("b", date(2026, 3, 1))):
        told = {
            "closing_key": f"Z{name}",
            "total_number": 1,
            "business_date": day,
            "gross_amount": Decimal(1),
            "_file_id": name,
            "_row": 1,
        }
        row = [told.get(field.name, None if field.nullable else "x") for field in fields]
        found = spark.createDataFrame([row], ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in fields))
        closings._replace(store, found.withColumn(REJECTED, F.lit(False)), files)
    kept = store.read(CLOSING_TOTAL).select("closing_key", MONTH).collect()
    assert {tuple(row) for row in kept} == {("Za", "2026-02"), ("Zb", "2026-03")}
