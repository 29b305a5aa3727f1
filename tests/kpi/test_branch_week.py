"""Weeks beside the week before, last year, their peers and their plan; the flags are those of an independent computation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from statistics import median
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tests.conftest import time_zone
from tillhouse.kpi import branch_week
from tillhouse.kpi.branch_day import MEASURES
from tillhouse.kpi.branch_week import LAST_YEARS, MEASURED, to_kpi_branch_week, to_last_years, to_measured_weeks
from tillhouse.kpi.rules import KpiRules, WeekAnomaly
from tillhouse.tables.gold import KPI_BRANCH_DAY, KPI_BRANCH_WEEK

MONDAY = date(2026, 1, 5)
WEEK = timedelta(days=7)
Week = tuple[str, date, Decimal | None, bool]


def weeks(spark: SparkSession, rows: Sequence[Week]) -> DataFrame:
    """Measured weeks of which only branch, Monday, revenue and fullness matter."""
    given = spark.createDataFrame(
        rows, "branch_id STRING, starts_on DATE, revenue DECIMAL(18,2), is_full_week BOOLEAN"
    ).withColumns(
        {
            "currency": F.lit("EUR"),
            "excluded_amount": F.lit(Decimal("0.00")).cast("DECIMAL(18,2)"),
            "open_exceptions": F.lit(0).cast("bigint"),
            "days_delivered": F.when(F.col("is_full_week"), 7).otherwise(6),
            "iso_year": F.year(F.date_add("starts_on", 3)),
            "iso_week": F.weekofyear("starts_on"),
        }
    )
    others = [field for field in KPI_BRANCH_WEEK.struct if field.name in {*MEASURES, "repurchase_rate"} - {"revenue"}]
    return given.select("*", *(F.lit(None).cast(field.dataType).alias(field.name) for field in others)).select(*MEASURED)


def branches(spark: SparkSession, *rows: tuple[str, str | None, str | None]) -> DataFrame:
    named = [(*row, "EUR", True) for row in rows] + [("A", "Nirgends", "Kiosk", "EUR", False)]
    return spark.createDataFrame(named, "branch_id STRING, region STRING, format STRING, currency STRING, is_current BOOLEAN")


def last_years(spark: SparkSession, mondays: Sequence[date], holidays: dict[str, dict[str, list[date]]]) -> DataFrame:
    return spark.createDataFrame(to_last_years(mondays, holidays), LAST_YEARS)


def compared(spark: SparkSession, rows: Sequence[Week], rules: KpiRules | None = None) -> dict[tuple[str, date], Any]:
    names = sorted({row[0] for row in rows})
    calendar = last_years(spark, sorted({row[1] for row in rows}), {})
    members = branches(spark, *((name, "Nord", "City") for name in names))
    found = to_kpi_branch_week(weeks(spark, rows), members, calendar, rules or KpiRules())
    return {(row["branch_id"], row["starts_on"]): row for row in found.collect()}


def expected_scores(rows: Sequence[Week]) -> dict[tuple[str, date], tuple[Fraction | None, str | None]]:
    """KPI 20 in exact fractions: score and flag of each week that has any."""
    revenue = {(branch, start): Fraction(amount) for branch, start, amount, is_full in rows if is_full and amount is not None}
    found: dict[tuple[str, date], tuple[Fraction | None, str | None]] = {}
    for branch in {row[0] for row in rows}:
        pairs = {
            start: (amount, revenue[branch, start - WEEK])
            for (name, start), amount in revenue.items()
            if name == branch and (branch, start - WEEK) in revenue
        }
        changes = {start: new / old - 1 for start, (new, old) in pairs.items() if old > 0}
        found |= {(branch, start): (None, "previous_not_positive") for start, (_, old) in pairs.items() if old <= 0}
        if changes:
            middle = median(changes.values())
            mad = median(abs(change - middle) for change in changes.values())
            for start, change in changes.items():
                score = Fraction("0.6745") * (change - middle) / mad if mad else None
                reason = "no_spread" if score is None else "deviation" if abs(score) > Fraction("3.5") else None
                found[branch, start] = (score, reason)
    return found


def random_weeks(seed: int) -> list[Week]:
    """Branches of all kinds: usual ones with gaps, nearly constant and constant ones, one of two weeks, one that returns much."""
    lot = random.Random(seed)
    rows: list[Week] = []
    for number in range(40):
        start = MONDAY + number * WEEK
        for branch, usual in (("A", 20_000), ("B", 700), ("C", 31)):
            jump = lot.choice((1, 1, 1, 1, 1, 1, 3))
            if lot.random() > 0.05:
                rows.append((branch, start, Decimal(round(usual * jump * lot.uniform(80, 120))) / 100, lot.random() > 0.1))
        rows.append(("steady", start, Decimal("123456.78") + Decimal(lot.randrange(3)) / 100, True))
        rows.append(("constant", start, Decimal("50.00") if number != 20 else Decimal("75.00"), True))
        rows.append(("returns", start, Decimal(lot.randrange(-300, 900)) / 100, True))
        if number in (5, 6):
            rows.append(("short", start, Decimal(number), True))
    rows.append(("empty", MONDAY, None, False))
    lot.shuffle(rows)
    return rows


@pytest.mark.parametrize(("seed", "zone"), [(1, "UTC"), (2, "Asia/Tokyo"), (3, "America/New_York")])
def test_scores_and_flags_are_those_of_exact_fractions(spark: SparkSession, seed: int, zone: str) -> None:
    rows = random_weeks(seed)
    expected = expected_scores(rows)
    with time_zone(spark, zone):
        found = compared(spark, rows)
    assert len(found) == len(rows)
    for key, row in found.items():
        score, reason = expected.get(key, (None, None))
        assert (row["anomaly_reason"], row["is_anomaly"]) == (reason, reason == "deviation"), key
        assert (row["deviation_score"] is None) == (score is None), key
        if score is not None:
            assert abs(Fraction(row["deviation_score"]) - score) < Fraction(1, 10**9), key
    reasons = {reason for _, reason in expected.values()}
    assert reasons == {None, "deviation", "no_spread", "previous_not_positive"}


def test_a_change_needs_two_full_weeks_side_by_side(spark: SparkSession) -> None:
    amounts = [("100", True), ("110", True), ("50", False), ("120", True), ("90", True)]
    rows: list[Week] = [("A", MONDAY + number * WEEK, Decimal(amount), full) for number, (amount, full) in enumerate(amounts)]
    rows.append(("A", MONDAY + 6 * WEEK, Decimal(90), True))
    found = compared(spark, rows)
    told = [(row["previous_week_revenue"], row["change"]) for _, row in sorted(found.items())]
    assert told == [
        (None, None), (Decimal(100), Decimal("0.1")), (Decimal(110), None), (Decimal(50), None), (Decimal(120), Decimal("-0.25")),
        (None, None),
    ]  # fmt: skip


def test_the_simple_rule_flags_by_the_change_alone(spark: SparkSession) -> None:
    rows: list[Week] = [("A", MONDAY + n * WEEK, Decimal(a), True) for n, a in enumerate(("100", "130", "90.99", "91", "10"))]
    rules = KpiRules(week_anomaly=WeekAnomaly(rule="change", change_above=Decimal("0.3")))
    found = compared(spark, rows, rules)
    flags = [(row["is_anomaly"], row["anomaly_reason"]) for _, row in sorted(found.items())]
    assert flags == [(False, None), (False, None), (True, "change"), (False, None), (True, "change")]


def test_peers_are_the_other_branches_of_the_same_format(spark: SparkSession) -> None:
    changes = {"A": "150", "B": "110", "C": "120", "D": "70", "E": "200"}
    rows: list[Week] = [(name, MONDAY, Decimal(100), True) for name in changes]
    rows += [(name, MONDAY + WEEK, Decimal(amount), True) for name, amount in changes.items()]
    formats = {"A": "City", "B": "City", "C": "City", "D": "Markt", "E": None}
    members = branches(spark, *((name, "Nord", formats[name]) for name in changes))
    calendar = last_years(spark, [MONDAY, MONDAY + WEEK], {})
    found = to_kpi_branch_week(weeks(spark, rows), members, calendar, KpiRules()).where(F.col("starts_on") == MONDAY + WEEK)
    assert {row["branch_id"]: row["peer_change"] for row in found.collect()} == {
        "A": Decimal("0.15"), "B": Decimal("0.35"), "C": Decimal("0.3"), "D": None, "E": None,
    }  # fmt: skip
    by_region = to_kpi_branch_week(weeks(spark, rows), members, calendar, KpiRules(peers="region"))
    [of_d] = by_region.where("branch_id = 'D' AND change IS NOT NULL").collect()
    assert of_d["peer_change"] == Decimal("0.35")


def test_last_year_is_aligned_by_the_holidays_of_the_branchs_region(spark: SparkSession) -> None:
    easter, usual = date.fromisocalendar(2017, 15, 1), date.fromisocalendar(2017, 13, 1)
    this = date.fromisocalendar(2018, 13, 1)
    rows: list[Week] = [
        (branch, start, Decimal(amount), start != usual)
        for branch in ("A", "B")
        for start, amount in ((easter, "200"), (usual, "80"), (this, "100"))
    ]
    members = branches(spark, ("A", "Süd", "City"), ("B", "Übersee", "City"))
    holidays = {"Süd": {"Karfreitag": [date(2017, 4, 14), date(2018, 3, 30)]}}
    calendar = last_years(spark, [easter, usual, this], holidays)
    found = to_kpi_branch_week(weeks(spark, rows), members, calendar, KpiRules()).where("iso_year = 2018").orderBy("branch_id")
    told = [
        tuple(row[f"last_year_{name}"] for name in ("iso_year", "iso_week", "holiday", "revenue", "change"))
        for row in found.collect()
    ]
    assert told == [
        (2017, 15, "Karfreitag", Decimal(200), Decimal("-0.5")),
        (2017, 13, None, Decimal(80), None),  # one day of it was not delivered: there is no like with like
    ]


def test_the_plan_of_a_month_is_spread_over_its_days_and_a_finer_plan_goes_first(spark: SparkSession) -> None:
    plans = spark.createDataFrame(
        [
            ("A", date(2026, 1, 1), "month", None, Decimal("100.00"), None),
            ("A", date(2026, 1, 1), "month", "Food", Decimal("77.00"), None),
            ("A", date(2026, 2, 1), "month", None, Decimal("280.00"), "EUR"),
            ("A", date(2026, 2, 2), "week", "Food", Decimal("30.00"), "EUR"),
            ("A", date(2026, 2, 2), "week", "Drinks", Decimal("40.01"), "EUR"),
        ],
        "branch_id STRING, starts_on DATE, period STRING, category_l1 STRING, revenue_amount DECIMAL(18,2), currency STRING",
    )
    known = branches(spark, ("A", None, None)).where("is_current").withColumnRenamed("currency", "_branch_currency")
    planned = branch_week.to_planned_weeks(plans, known).orderBy("starts_on").collect()
    amounts = {row["starts_on"]: row["plan_amount"] for row in planned}
    assert amounts[date(2026, 2, 2)] == Decimal("70.01")
    assert amounts[date(2026, 2, 9)] == Decimal("70.00")
    assert amounts[date(2026, 1, 5)] == Decimal("22.58")
    assert sum(amounts.values()) == Decimal("100.00") + Decimal("280.00") - Decimal("70.00") + Decimal("70.01")
    assert {row["currency"] for row in planned} == {"EUR"}


def day(branch: str, number: int, revenue: str | None, status: str | None = None) -> tuple[object, ...]:
    return (branch, MONDAY + timedelta(days=number), "EUR", None if revenue is None else Decimal(revenue), status)


def measured_weeks(spark: SparkSession, days: Sequence[tuple[object, ...]], rules: KpiRules) -> dict[tuple[str, date], Any]:
    given = spark.createDataFrame(
        days, "branch_id STRING, business_date DATE, currency STRING, revenue DECIMAL(18,2), delivery_status STRING"
    ).withColumns({"excluded_amount": F.lit(Decimal("1.50")).cast("DECIMAL(18,2)"), "open_exceptions": F.lit(2)})
    week = F.concat(F.year("business_date"), F.lit("-W"), F.lpad(F.weekofyear("business_date").cast("string"), 2, "0"))
    measured = given.groupBy("branch_id", week.alias("week"), "currency").agg(F.sum("revenue").alias("revenue"))
    others = [field for field in KPI_BRANCH_DAY.struct if field.name in set(MEASURES) - {"revenue"}]
    figures = measured.select("*", *(F.lit(None).cast(field.dataType).alias(field.name) for field in others))
    found = to_measured_weeks(figures.where("revenue IS NOT NULL"), given, rules).collect()
    return {(row["branch_id"], row["starts_on"]): row for row in found}


def test_a_week_is_full_when_the_chain_has_traded_each_day_and_no_delivery_of_the_branch_is_missing(spark: SparkSession) -> None:
    whole = [day("A", number, "10.00") for number in range(7)]
    days = [
        *whole,
        day("B", 2, "5.00"),  # a small branch: delivered on all days, and sold on one
        *(day("C", number, "5.00") for number in range(6)),
        day("C", 6, None, "missing"),
        *(day("A", number, "10.00") for number in range(7, 13)),  # on the last day nobody has sold
        day("B", 13, None, "missing"),
    ]
    found = measured_weeks(spark, days, KpiRules())
    told = {key: (row["days_delivered"], row["is_full_week"], row["revenue"]) for key, row in found.items()}
    assert told == {
        ("A", MONDAY): (7, True, Decimal(70)),
        ("B", MONDAY): (7, True, Decimal(5)),
        ("C", MONDAY): (6, False, Decimal(30)),
        ("A", MONDAY + WEEK): (6, False, Decimal(60)),
        ("B", MONDAY + WEEK): (6, False, None),
    }
    week = found["A", MONDAY]
    assert (week["iso_year"], week["iso_week"], week["excluded_amount"], week["open_exceptions"]) == (
        2026,
        2,
        Decimal("10.50"),
        14,
    )


def test_weekdays_on_which_the_chain_never_trades_are_not_asked_for(spark: SparkSession) -> None:
    days = [day("A", number, "10.00") for number in range(6)]
    assert not measured_weeks(spark, days, KpiRules())["A", MONDAY]["is_full_week"]
    closed = KpiRules(closed_weekdays=("sunday",))
    assert measured_weeks(spark, days, closed)["A", MONDAY]["is_full_week"]
    assert not measured_weeks(spark, days[:-1], closed)["A", MONDAY]["is_full_week"]
    a_sunday_as_well = [*days, day("A", 6, "1.00")]
    assert measured_weeks(spark, a_sunday_as_well, closed)["A", MONDAY]["is_full_week"]
