"""Closed periods: which days they are, where figures are no longer those that were published, and why."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructField, StructType

from tillhouse.errors import ConfigError
from tillhouse.kpi import branch_day, restatement
from tillhouse.kpi.closed import Closing, Period, only_closed, to_closed, to_closings
from tillhouse.tables import Table, gold
from tillhouse.tables.gold_closing import ADDITIVE, FROZEN, RATIOS

FIRST, SECOND, JULY = date(2017, 6, 1), date(2017, 6, 2), date(2017, 7, 1)
LOADED, LATER, LAST = (datetime(2017, 7, day, 4, tzinfo=UTC) for day in (1, 5, 9))
JUNE = Period("2017-06", FIRST, date(2017, 6, 30))
COUNTS = ("receipts", "baskets", "customers", "new_customers", "returning_customers")


def rows(spark: SparkSession, table: Table, *values: dict[str, Any]) -> DataFrame:
    struct = StructType([StructField(field.name, field.dataType) for field in table.struct])
    return spark.createDataFrame([tuple(value.get(name) for name in struct.names) for value in values], struct)


def day(branch: str, on: date, revenue: str | None, **others: object) -> dict[str, Any]:
    """A row of gold.kpi_branch_day; a figure that is not told is 0, without revenue NULL."""
    nothing = {} if revenue is None else {name: 0 if name in COUNTS else Decimal(0) for name in ADDITIVE}
    named = {"branch_id": branch, "business_date": on, "currency": "EUR", "excluded_amount": Decimal(0), "open_exceptions": 0}
    return nothing | named | {"revenue": revenue and Decimal(revenue)} | others


def closed(spark: SparkSession, *days: dict[str, Any], period: Period = JUNE, number: int = 1) -> DataFrame:
    files = spark.createDataFrame([("loaded", LOADED), ("held", LATER)], "status STRING, loaded_at TIMESTAMP")
    closing = Closing(period, number, "anna", LAST, "run-7")
    return to_closed(rows(spark, gold.KPI_BRANCH_DAY, *days), files, closing)


def differences(frozen: DataFrame, live: DataFrame) -> dict[tuple[str, ...], tuple[str | None, ...]]:
    found = restatement.to_differences(frozen, live).collect()
    numbers = {
        (row.period, row.branch_id, f"{row.business_date:%d}", row.measure): (row.published, row.now, row.difference)
        for row in found
    }
    return {
        key: tuple(None if value is None else f"{value:f}".rstrip("0").rstrip(".") for value in of) for key, of in numbers.items()
    }


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2017-06", "2017-06-01", "2017-06-30"),
        ("2017-12", "2017-12-01", "2017-12-31"),
        ("2016-02", "2016-02-01", "2016-02-29"),
        ("2017-W23", "2017-06-05", "2017-06-11"),
        ("2015-W53", "2015-12-28", "2016-01-03"),
        ("2017-06-30", "2017-06-30", "2017-06-30"),
    ],
)
def test_a_period_is_a_month_an_iso_week_or_a_day(text: str, first: str, last: str) -> None:
    assert Period.parse(text) == Period(text, date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize("text", ["2017", "2017-13", "2017-W54", "June", "2017-06-31", "2017-6"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no period; write a month"):
        Period.parse(text)


def test_every_measure_of_a_branch_day_is_frozen() -> None:
    """A new one: add it to tables/gold_closing.py, and raise the version of gold.closed_period."""
    assert {*branch_day.MEASURES, *branch_day.GRAIN} <= set(FROZEN)
    assert {*ADDITIVE, *RATIOS} - {"excluded_amount"} == set(branch_day.MEASURES)


def test_the_days_of_a_period_are_kept_with_what_was_loaded_until_then(spark: SparkSession) -> None:
    kept = closed(spark, day("1", FIRST, "10.00"), day("1", JULY, "99.00"), day("2", SECOND, None)).collect()
    assert {(row.branch_id, row.business_date, row.revenue) for row in kept} == {
        ("1", FIRST, Decimal("10.00")), ("2", SECOND, None),
    }  # fmt: skip
    of_closing = {(row.period, row.closing_number, row.closed_by, row.loaded_at, row._run_id) for row in kept}
    assert of_closing == {("2017-06", 1, "anna", LOADED.replace(tzinfo=None), "run-7")}


def test_figures_differ_by_day_and_measure_and_a_day_without_figures_counts_nothing(spark: SparkSession) -> None:
    frozen = closed(
        spark,
        day("1", FIRST, "10.00", receipts=2, revenue_excl_tax=Decimal("8.40")),
        day("2", FIRST, "5.00"),
        day("3", FIRST, None, delivery_status="missing"),
        day("4", FIRST, "7.00"),
        day("5", FIRST, None, delivery_status="missing"),
    )
    live = rows(
        spark, gold.KPI_BRANCH_DAY,
        day("1", FIRST, "12.50", receipts=3, revenue_excl_tax=None),
        day("2", FIRST, "5.00", open_exceptions=3, delivery_status="late"),
        day("3", FIRST, "4.00"),
        day("6", SECOND, "1.00"),
        day("1", JULY, "99.00"),
    )  # fmt: skip
    assert differences(frozen, live) == {
        ("2017-06", "1", "01", "revenue"): ("10", "12.5", "2.5"),
        ("2017-06", "1", "01", "receipts"): ("2", "3", "1"),
        ("2017-06", "1", "01", "revenue_excl_tax"): ("8.4", None, None),  # no longer known for every receipt
        ("2017-06", "3", "01", "revenue"): (None, "4", "4"),
        ("2017-06", "4", "01", "revenue"): ("7", None, "-7"),
        ("2017-06", "6", "02", "revenue"): (None, "1", "1"),
    }


def test_a_day_is_compared_with_every_period_that_was_closed_with_it_and_not_with_one_opened_again(spark: SparkSession) -> None:
    week = closed(spark, day("1", FIRST, "10.00"), period=Period("2017-W22", date(2017, 5, 29), date(2017, 6, 4)))
    month = closed(spark, day("1", FIRST, "11.00"))
    found = differences(week.union(month), rows(spark, gold.KPI_BRANCH_DAY, day("1", FIRST, "12.00")))
    assert {key[0]: of[2] for key, of in found.items()} == {"2017-W22": "2", "2017-06": "1"}
    reopened = only_closed(month.selectExpr("* EXCEPT (reopened_at)", "closed_at AS reopened_at"))
    assert differences(reopened, rows(spark, gold.KPI_BRANCH_DAY, day("1", FIRST, "12.00"))) == {}


VERSIONS = "receipt_key STRING, branch_id STRING, business_date DATE, status STRING, loaded_at TIMESTAMP"


def causes(
    spark: SparkSession, *versions: tuple[Any, ...], voided: tuple[str, ...] = ()
) -> dict[tuple[str, str], tuple[Any, ...]]:
    found = restatement.to_changed_receipts(
        spark.createDataFrame(versions, VERSIONS),
        spark.createDataFrame([(key,) for key in voided], "receipt_key STRING"),
        to_closings(closed(spark, day("1", FIRST, "10.00"))),
    )
    return {(row.branch_id, f"{row.business_date:%d}"): (row._cause, *row.receipt_keys) for row in found.collect()}


def test_what_was_loaded_after_the_closing_tells_the_cause(spark: SparkSession) -> None:
    found = causes(
        spark,
        ("known", "1", FIRST, "current", LOADED),
        ("late", "2", FIRST, "current", LATER),
        ("corrected", "3", FIRST, "superseded", LOADED), ("corrected", "3", FIRST, "current", LATER),
        ("back", "4", FIRST, "superseded", LOADED), ("back", "4", FIRST, "deleted", LATER),
        ("void", "5", FIRST, "superseded", LOADED), ("void", "5", FIRST, "current", LATER),
        ("again", "6", FIRST, "current", LOADED), ("again", "6", FIRST, "duplicate", LATER),
        ("old", "7", FIRST, "current", LOADED), ("old", "7", FIRST, "superseded", LATER),
        ("july", "8", JULY, "current", LATER),
        voided=("void",),
    )  # fmt: skip
    assert found == {
        ("2", "01"): ("late_receipt", "late"),
        ("3", "01"): ("correction", "corrected"),
        ("4", "01"): ("void", "back"),
        ("5", "01"): ("void", "void"),
    }


def test_a_receipt_that_lies_on_another_day_now_is_a_correction_of_both_and_several_causes_stand_together(
    spark: SparkSession,
) -> None:
    found = causes(
        spark,
        ("moved", "1", FIRST, "superseded", LOADED), ("moved", "1", SECOND, "current", LATER),
        ("late", "1", SECOND, "current", LATER),
        ("twice", "2", FIRST, "superseded", LATER), ("twice", "2", SECOND, "current", LAST),
    )  # fmt: skip
    assert found == {
        ("1", "01"): ("correction", "moved"),
        ("1", "02"): ("correction+late_receipt", "late", "moved"),
        ("2", "02"): ("late_receipt", "twice"),
    }


def test_without_a_receipt_the_figures_tell_the_cause_and_what_is_as_before_keeps_its_run(spark: SparkSession) -> None:
    changed: dict[str, dict[str, Any]] = {
        "1": {"revenue": Decimal("11.00")},
        "2": {"revenue": Decimal("11.00"), "excluded_amount": Decimal(1)},
        "3": {"customers": 1, "new_customers": 1},
        "4": {"new_customers": 1},
        "5": {"revenue": Decimal("11.00")},
    }
    frozen = closed(spark, *(day(branch, FIRST, "10.00") for branch in changed))
    live = rows(spark, gold.KPI_BRANCH_DAY, *(day(branch, FIRST, "10.00") | of for branch, of in changed.items()))
    receipts = spark.createDataFrame(
        [("2017-06", "5", FIRST, "late_receipt", 1, ["r"])],
        "period STRING, branch_id STRING, business_date DATE, _cause STRING, receipt_count BIGINT, receipt_keys ARRAY<STRING>",
    )
    nothing = rows(spark, gold.RESTATEMENT)
    told = restatement.to_differences(frozen, live)
    found = restatement.to_restatements(told, receipts, nothing, "run-8")
    assert {(row.branch_id, row.measure): (row.cause, row.receipt_count) for row in found.collect()} == {
        ("1", "revenue"): ("rules", 0),
        ("2", "revenue"): ("exception", 0),
        ("2", "excluded_amount"): ("exception", 0),
        ("3", "customers"): ("identity", 0),
        ("3", "new_customers"): ("identity", 0),
        ("4", "new_customers"): ("first_purchase", 0),
        ("5", "revenue"): ("late_receipt", 1),
    }
    again = restatement.to_restatements(told, receipts.where("false"), found, "run-9").collect()
    assert {row.branch_id: row._run_id for row in again} == {**dict.fromkeys("1234", "run-8"), "5": "run-9"}
