from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from tests.insight.test_reorder import customers, day, purchases, weekly
from tests.kpi.star import filled
from tillhouse.insight.backtest import to_flag_backtest, to_judged_customers, to_judged_hotspots, to_judged_weeks
from tillhouse.insight.reorder import to_reorder_state
from tillhouse.insight.rules import Reorder
from tillhouse.tables.gold import KPI_BRANCH_WEEK
from tillhouse.tables.gold_flags import KPI_RETURN

MONDAY = date(2026, 1, 5)
WEEK = timedelta(days=7)
LIMIT = Decimal("3.5")
STEADY = [100, 101, 100, 102, 100, 101, 100, 102, 100, 101]  # nine changes, their MAD is about 0.01


def weeks(spark: SparkSession, revenues: dict[str, Sequence[int]]) -> DataFrame:
    rows: list[dict[str, object]] = []
    for branch, amounts in revenues.items():
        for number, amount in enumerate(amounts):
            change = Decimal(amount) / Decimal(amounts[number - 1]) - 1 if number else None
            rows.append(
                {
                    "branch_id": branch, "currency": "EUR", "starts_on": MONDAY + number * WEEK, "revenue": Decimal(amount),
                    "change": None if change is None else round(change, 12), "is_full_week": True,
                }
            )  # fmt: skip
    return filled(spark, KPI_BRANCH_WEEK, rows)


def returns(spark: SparkSession, cells: Sequence[tuple[str, int, int, bool, str | None]]) -> DataFrame:
    """Cells of which 1.5 returned lines are expected: branch, week, returned lines, flag and reason."""
    rows = [
        {
            "branch_id": branch, "category_l1": "Shoes", "currency": "EUR", "starts_on": MONDAY + week * WEEK,
            "returned_lines": back,
            "returned_receipts": back, "expected_receipts": Decimal("1.5"), "p_value": Decimal("0.5"), "is_hotspot": flag,
            "is_simple_hotspot": back > 3, "reason": reason,
        }
        for branch, week, back, flag, reason in cells
    ]  # fmt: skip
    return filled(spark, KPI_RETURN, rows)


def test_a_week_is_right_when_the_branch_was_back_to_usual_and_only_what_was_known_flags_it(spark: SparkSession) -> None:
    given = weeks(
        spark,
        {
            "passing": [*STEADY, 200, 120],  # 100 away from the level of 101, then 19
            "lasting": [*STEADY, 200, 190],
            "small": [*STEADY, 120, 101],  # not by the simple rule
            "last": [*STEADY, 200],  # the week after is not known
            "young": [100, 101, 200, 100],
            "later wild": [*STEADY, 130, 400, 20, 700, 10],  # by all its changes week 10 would be nothing special
        },
    )
    as_of = MONDAY + 12 * WEEK
    found = to_judged_weeks(given, as_of=as_of, score_above=LIMIT).where(f"known_on = DATE'{MONDAY + 11 * WEEK}'").collect()
    told = sorted((row["ours"], row["simple"], row["is_right"]) for row in found if row["is_right"] is not None)
    assert told == [(True, False, False), (True, False, True), (True, True, False), (True, True, True)]
    assert [(row["ours"], row["is_right"]) for row in found if row["is_right"] is None] == [(True, None)]


def test_a_hotspot_is_right_when_more_than_expected_comes_back_after_it(spark: SparkSession) -> None:
    given = returns(
        spark,
        [
            ("A", 0, 9, True, "damaged"), ("A", 1, 0, False, None), ("A", 2, 4, False, "size"),  # 4 > 3
            ("B", 0, 9, True, "damaged"), ("B", 1, 1, False, "damaged"), ("B", 2, 1, False, None),  # the reason again
            ("C", 0, 9, True, "damaged"), ("C", 1, 2, False, "size"), ("C", 2, 1, False, None),  # 3 is not above 3
            ("D", 0, 9, True, None), ("D", 1, 0, False, None), ("D", 3, 9, False, None),  # too late
            ("E", 0, 9, True, None), ("E", 3, 9, False, None),  # nothing known of the two weeks
        ],
    )  # fmt: skip
    first = to_judged_hotspots(given, as_of=MONDAY + 4 * WEEK).where(f"known_on = DATE'{MONDAY + WEEK}'").collect()
    told = sorted((str(row["is_right"]), row["ours"], row["simple"]) for row in first)
    assert told == [("False", True, True)] * 2 + [("None", True, True)] + [("True", True, True)] * 2
    early = to_judged_hotspots(given, as_of=MONDAY + 2 * WEEK).collect()
    assert {row["is_right"] for row in early} == {None}, "two weeks after it have to be over"


def test_right_flags_of_silence_are_counted_beside_those_who_were_not_flagged(spark: SparkSession) -> None:
    bought = {
        "lost": weekly(8),  # until day 49; silent from day 61 on
        "late": [*weekly(8), (80, 1)],
        "there": weekly(20),
        "gone long ago": [(7 * n - 200, 1) for n in range(8)],
        "few": weekly(4),
    }
    rules = Reorder(population="all", horizon_days=28)
    days = purchases(spark, bought)
    state = to_reorder_state(customers(spark, [63, 120], *bought), days, rules)
    judged = to_judged_customers(state, days, rules, as_of=day(140))
    nothing = weeks(spark, {}), returns(spark, [])
    table = to_flag_backtest(*nothing, judged, rules, as_of=day(140), every="quarter", score_above=LIMIT)
    rows = {(row["rule"], row["as_of"]): row for row in table.collect()}
    # Day 63: lost and late have been silent for 14 days, which is no more than twice 7. Of the others there came again.
    ours, simple = rows["ours", day(63)], rows["simple", day(63)]
    assert counts(ours) == (2, 2, 1, 1, 0)
    assert (ours["right_share"], ours["base_share"]) == (Decimal("0.5"), Decimal(0))
    assert counts(simple) == (0, 0, 0, 3, 1)
    assert (simple["right_share"], ours["horizon_days"]) == (None, 28)
    # Day 120: what is not silent for long is there alone, and what comes until day 148 is not known on day 140.
    assert counts(rows["ours", day(120)])[:3] == (0, 0, 0)


def counts(row: Any) -> tuple[int, ...]:  # noqa: ANN401 - a row of Spark
    return tuple(row[name] for name in ("flagged", "judged", "right", "base_judged", "base_right"))


def test_flags_are_counted_in_the_period_in_which_they_became_known(spark: SparkSession) -> None:
    given = weeks(spark, {"A": [*STEADY, 200, 120, 101]})  # known on March 16th, 23rd, 30th and April 6th
    cells = returns(spark, [("A", week, 9 if week in {10, 11} else 1, week in {10, 11}, None) for week in range(10, 14)])
    state = to_reorder_state(customers(spark, [], "x"), purchases(spark, {}), Reorder())
    judged = to_judged_customers(state, purchases(spark, {}), Reorder(), as_of=day(100))
    as_of = MONDAY + 14 * WEEK  # April 13th
    table = to_flag_backtest(given, cells, judged, Reorder(), as_of=as_of, every="quarter", score_above=LIMIT)
    found = {(row["flag"], row["rule"], row["as_of"]): counts(row) for row in table.collect()}
    april = date(2026, 4, 1)
    # Weeks 8 and 9 (usual), 10 (200, then 120), 11 (120, a fall by 40 percent, then 101); week 12 became known in April.
    assert found["week_anomaly", "ours", april] == (2, 2, 2, 2, found["week_anomaly", "ours", april][4])
    assert found["week_anomaly", "simple", april][:3] == (1, 1, 1)
    assert found["week_anomaly", "ours", as_of][:2] == (1, 0)
    assert found["return_hotspot", "ours", april] == (2, 2, 1, 0, 0), "after week 11 two lines came back, three were expected"
    assert set(found) == {(flag, rule, end) for flag in ("week_anomaly", "return_hotspot") for rule in ("ours", "simple")
                          for end in (april, as_of)}  # fmt: skip
