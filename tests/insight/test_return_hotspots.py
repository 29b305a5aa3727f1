from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tests.kpi.star import filled
from tillhouse.insight.returns import to_kpi_return, to_return_cells
from tillhouse.insight.rules import ReturnHotspots
from tillhouse.insight.statistics import binomial_tail, median, with_mann_kendall, with_q_value
from tillhouse.tables.gold import DIM_PRODUCT, FCT_RETURN, FCT_SALE_LINE

MONDAY = date(2026, 1, 5)
WEEK = timedelta(days=7)
CELLS = (
    "branch_id STRING, category_l1 STRING, product_line STRING, currency STRING, starts_on DATE, sold_lines BIGINT, "
    "returned_lines BIGINT, returned_receipts BIGINT, sales_amount DECIMAL(18,2), return_amount DECIMAL(18,2), "
    "main_product_id STRING, "
    "reasons ARRAY<STRUCT<reason: STRING, lines: BIGINT, amount: DECIMAL(18,2)>>, reason STRING, receipt_keys ARRAY<STRING>"
)
Counts = tuple[str, str | None, int, int, int]  # branch, product group, week, sold and returned lines


def cells(spark: SparkSession, rows: Sequence[Counts]) -> DataFrame:
    """Cells whose lines cost 10.00 each."""
    complete: list[tuple[object, ...]] = [
        (
            branch, group, None, "EUR", MONDAY + week * WEEK, sold, back, back, Decimal(10 * sold), Decimal(10 * back), None,
            [], "damaged" if back else None, [],
        )
        for branch, group, week, sold, back in rows
    ]  # fmt: skip
    return spark.createDataFrame(complete, CELLS)


def by_cell(rows: DataFrame) -> dict[tuple[str, str | None, int], Any]:
    return {
        (row["branch_id"], row["category_l1"], (row["starts_on"] - MONDAY).days // 7): row for row in rows.collect()
    }  # fmt: skip


def exact_tail(successes: int, trials: int, share: Fraction) -> Fraction:
    return sum(
        (math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(successes, trials + 1)), Fraction(0)
    )  # fmt: skip


def test_the_binomial_tail_is_that_of_exact_fractions_and_one_where_nothing_is_above_the_mean(spark: SparkSession) -> None:
    above = [(1, 1, "1/1000"), (3, 3, "1/3"), (4, 12, "1/100"), (6, 40, "1/10"), (30, 250, "1/20"), (21, 25, "1/2")]
    above += [(200, 900, "1/5"), (60, 1400, "1/90"), (700, 1400, "1/3"), (29, 2000, "1/2000")]
    below = [(0, 5, "1/2"), (2, 4, "1/2"), (1, 1000, "1/2"), (0, 0, "1/2")]
    rows = [(k, n, text, float(Fraction(text))) for k, n, text in above + below]
    given = spark.createDataFrame(rows, "k BIGINT, n BIGINT, text STRING, share DOUBLE")
    found = given.withColumn("p", binomial_tail(F.col("k"), F.col("n"), F.col("share"))).collect()
    assert len(found) == len(rows)
    for row in found:
        is_above = row["k"] > row["n"] * Fraction(row["text"])
        expected = float(exact_tail(row["k"], row["n"], Fraction(row["text"]))) if is_above else 1.0
        assert row["p"] == pytest.approx(expected, rel=1e-9), row


def test_false_discoveries_are_limited_in_each_report_as_benjamini_and_hochberg_say(spark: SparkSession) -> None:
    # The example of their paper of 1995, section 3.2: at 5 percent the first four of fifteen are found.
    paper = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    rows = [("paper", p) for p in paper] + [("ties", 0.02), ("ties", 0.02), ("ties", None), ("ties", 0.5), ("none", None)]
    found = with_q_value(spark.createDataFrame(rows, "report STRING, p DOUBLE"), "p", ["report"]).collect()
    q_of = {(row["report"], row["p"]): row["q_value"] for row in found}
    assert [p for p in paper if q_of["paper", p] <= 0.05] == paper[:4]
    assert q_of["paper", 0.0095] == pytest.approx(0.0095 * 15 / 4)
    assert q_of["paper", 0.0278] == pytest.approx(0.0298 * 15 / 7), "the least of those after it"
    assert [q_of["ties", p] for p in (0.02, 0.5, None)] == [pytest.approx(0.03), pytest.approx(0.5), None]
    assert q_of["none", None] is None


def test_a_trend_is_told_by_mann_kendall_and_sized_by_sen(spark: SparkSession) -> None:
    series = {
        "rising": [1, 2, 3, 4, 5, 6, 7, 8],  # S 28, var 65.333: Z = 27 / 8.0829
        "falling": [8, 7, 7, 5, 4, 3, 2, 0],  # S -27, one tie: var 64.333
        "wavering": [1, 3, 2, 4, 3, 5, 2, 1],
        "level": [2, 2, 2, 2, 2],
        "short": [1, 2, 3],
    }
    rows: list[tuple[str, list[tuple[int, Decimal]] | None]] = [
        (name, [(week, Decimal(rate)) for week, rate in enumerate(rates)]) for name, rates in series.items()
    ]
    rows += [("gap", [(0, Decimal(0)), (1, Decimal(1)), (3, Decimal(3)), (7, Decimal(7)), (9, Decimal(9))]), ("untold", None)]
    given = spark.createDataFrame(rows, "name STRING, series ARRAY<STRUCT<week: INT, rate: DECIMAL(28,12)>>")
    found = {row["name"]: row for row in with_mann_kendall(given, "series").collect()}
    told = {name: row["trend"] for name, row in found.items()}
    assert told == {
        "rising": "up", "falling": "down", "wavering": "none", "level": "none", "short": "none", "gap": "up", "untold": "none",
    }  # fmt: skip
    assert float(found["rising"]["trend_score"]) == pytest.approx(27 / math.sqrt(8 * 7 * 21 / 18))
    assert float(found["falling"]["trend_score"]) == pytest.approx(-26 / math.sqrt((8 * 7 * 21 - 2 * 1 * 9) / 18))
    assert [found[name]["trend_slope"] for name in ("rising", "gap", "level", "short")] == [1, 1, 0, None]
    assert found["level"]["trend_score"] == 0
    assert found["untold"]["trend_score"] is None


def test_the_median_of_an_even_number_is_in_the_middle_of_two(spark: SparkSession) -> None:
    given = spark.createDataFrame([([3, 1, 2],), ([4, 1],), ([7],), ([],)], "gaps ARRAY<INT>")
    found = given.select(median(F.col("gaps"), "DECIMAL(9,1)").alias("m")).collect()
    assert [row["m"] for row in found] == [Decimal(2), Decimal("2.5"), Decimal(7), None]


def test_returns_count_for_the_branch_that_sold_and_in_the_week_in_which_they_came_back(spark: SparkSession) -> None:
    products = filled(
        spark,
        DIM_PRODUCT,
        [{"product_key": key, "category_l1": group} for key, group in (("k1", "Shoes"), ("k2", "Shoes"), ("k3", "Bags"))],
    )
    sale = {"business_date": MONDAY, "currency": "EUR", "branch_id": "A", "line_type": "ITEM", "is_revenue": True}
    shoe = {**sale, "product_key": "k1", "product_id": "p1", "gross_amount": Decimal("50.00")}
    lines = filled(
        spark,
        FCT_SALE_LINE,
        [
            {**shoe, "receipt_key": "s1"},
            {**shoe, "receipt_key": "s2", "product_key": "k2", "product_id": "p2", "bundle_role": "component"},
            {**shoe, "receipt_key": "s2", "is_revenue": False, "bundle_role": "set"},  # its components count
            {**shoe, "receipt_key": "s3", "line_type": "CATEGORY", "product_id": None},  # in the amount, one line for many
            {**shoe, "receipt_key": "s4", "line_type": "DEPOSIT", "is_revenue": False},
            {**shoe, "receipt_key": "s5", "is_return": True, "gross_amount": Decimal("-50.00")},
            {**shoe, "receipt_key": "s6", "business_date": MONDAY + WEEK},  # not before as_of
            {**sale, "receipt_key": "s7", "line_type": "TOTAL", "gross_amount": Decimal("9.00")},
        ],
    )
    back = {"branch_id": "B", "business_date": MONDAY + timedelta(days=6), "currency": "EUR"}
    shoe_back = {**back, "product_key": "k1", "product_id": "p1", "original_branch_id": "A", "gross_amount": Decimal("-50.00")}
    returns = filled(
        spark,
        FCT_RETURN,
        [
            {**shoe_back, "receipt_key": "r3", "reason": "size"},
            {**shoe_back, "receipt_key": "r2", "reason": "size", "product_key": "k2", "product_id": "p2"},
            {**shoe_back, "receipt_key": "r1", "reason": "damaged", "gross_amount": Decimal("-60.00")},
            {**shoe_back, "receipt_key": "r4", "reason": "damaged", "gross_amount": Decimal("-10.00"), "product_id": None},
            {**shoe_back, "receipt_key": "r5", "reason": None},
            {**shoe_back, "receipt_key": "r5", "line_number": 2, "reason": None, "gross_amount": Decimal("-1.00")},  # came once
            {**back, "receipt_key": "r6", "product_key": "k3", "product_id": "p3", "gross_amount": Decimal("-7.00")},
            {**shoe_back, "receipt_key": "r7", "business_date": MONDAY + WEEK},
        ],
    )
    found = {(row["branch_id"], row["category_l1"]): row for row in to_return_cells(
        lines, returns, products, as_of=MONDAY + WEEK
    ).collect()}  # fmt: skip
    assert set(found) == {("A", "Shoes"), ("A", None), ("B", "Bags")}
    shoes, bags, rest = found["A", "Shoes"], found["B", "Bags"], found["A", None]
    assert (shoes["sold_lines"], shoes["sales_amount"]) == (2, Decimal("150.00"))
    assert (shoes["returned_lines"], shoes["returned_receipts"], shoes["return_amount"]) == (5, 4, Decimal("221.00"))
    told = [(one["reason"], one["lines"], one["amount"]) for one in shoes["reasons"]]
    assert told == [("size", 2, Decimal(100)), (None, 2, Decimal(51)), ("damaged", 1, Decimal(70))]
    assert (shoes["reason"], shoes["main_product_id"], shoes["receipt_keys"]) == ("size", "p1", ["r1", "r2", "r3", "r5", "r4"])
    assert (bags["sold_lines"], bags["returned_lines"], bags["return_amount"]) == (0, 1, Decimal("7.00"))
    assert (bags["reason"], [one["lines"] for one in bags["reasons"]]) == (None, [1])
    assert (rest["sold_lines"], rest["sales_amount"], rest["returned_lines"], rest["reasons"]) == (0, Decimal("9.00"), 0, [])


def test_what_is_expected_comes_from_the_other_branches_and_groups_so_that_a_hotspot_does_not_hide_itself(
    spark: SparkSession,
) -> None:
    rows: list[Counts] = [
        ("A", "Shoes", 0, 100, 90),
        ("A", "Bags", 0, 100, 12),
        ("B", "Shoes", 0, 400, 20),
        ("B", "Bags", 0, 100, 4),
        ("C", "Shoes", 0, 600, 30),
        ("C", None, 0, 10, 0),
    ]
    found = by_cell(to_kpi_return(cells(spark, rows), ReturnHotspots()))
    shoes = found["A", "Shoes", 0]
    # Shoes elsewhere 50 of 1000; the other group of A: 12 came back where 4 of 100 are usual: (12 + 10) / (4 + 10).
    rate = Fraction(50, 1000) * Fraction(22, 14)
    assert abs(Fraction(shoes["expected_receipt_rate"]) - rate) < Fraction(1, 10**9)
    assert abs(Fraction(shoes["expected_receipts"]) - 100 * rate) < Fraction(1, 10**7)
    assert abs(Fraction(shoes["expected_rate"]) - rate) < Fraction(1, 10**9)
    weight = 100 * Fraction(22, 14)
    p = 2 * exact_tail(90, 140, weight / (weight + 1000))  # two windows are looked at
    assert float(shoes["p_value"]) == pytest.approx(float(p), abs=1e-12)
    assert (shoes["is_hotspot"], shoes["is_simple_hotspot"], shoes["window_weeks"]) == (True, True, 1)
    assert shoes["evidence"] == (
        "In this week 90 receipts brought goods back while 100 lines were sold; 7.86 were to be expected. "
        "This week: 90 lines of 100, 900.00 EUR. "
        "Reason most often told: damaged."
    )
    assert (shoes["return_rate"], shoes["returned_line_rate"]) == (Decimal("0.9"), Decimal("0.9"))
    assert (shoes["iso_year"], shoes["iso_week"]) == (2026, 2)
    alone = found["C", None, 0]  # no other branch sells it: nothing to compare with
    assert (alone["expected_receipt_rate"], alone["p_value"], alone["is_hotspot"]) == (None, None, False)
    assert sum(row["is_hotspot"] for row in found.values()) == 1


def test_a_slow_hotspot_is_seen_over_four_weeks_a_small_one_never_and_no_later_week_changes_it(spark: SparkSession) -> None:
    rows: list[Counts] = []
    for week in range(8):
        rows += [("B", "Shoes", week, 3000, 10), ("A", "Shoes", week, 60, 2 if week in {3, 4, 5, 6} else 0)]
        rows += [("C", "Shoes", week, 4, 1 if week < 5 else 0)]  # a quarter comes back, of too few
        rows += [("D", "Shoes", week, 60, 2 if week == 7 else 0)]  # two lines are no pattern
    rows.remove(("A", "Shoes", 5, 60, 2))  # a week without a row is a week like any other
    rules = ReturnHotspots(minimum_sold_lines=20)
    found = by_cell(to_kpi_return(cells(spark, rows), rules))
    flagged = sorted(key for key, row in found.items() if row["is_hotspot"])
    assert flagged == [("A", "Shoes", 6)], "the weeks before have too little yet, week 7 has nothing of its own"
    assert found["A", "Shoes", 6]["window_weeks"] == 4
    assert found["A", "Shoes", 6]["window_returned_receipts"] == 6
    assert found["A", "Shoes", 6]["window_sold_lines"] == 180
    assert (found["C", "Shoes", 4]["p_value"], found["C", "Shoes", 4]["is_hotspot"]) == (None, False)
    before = by_cell(to_kpi_return(cells(spark, [row for row in rows if row[2] < 5]), rules))
    assert {key: row for key, row in found.items() if key[2] < 5} == before


def test_without_rows_there_are_none(spark: SparkSession) -> None:
    assert to_kpi_return(cells(spark, []), ReturnHotspots()).collect() == []
