"""The quality score: points at their edges, exact sums, groups, colours, selections, objections and what other rules change."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tests.conftest import time_zone
from tests.insight.test_score_rules import BANDS, criterion, rules_of
from tests.kpi.star import filled
from tillhouse.insight import score
from tillhouse.insight.score_rules import ScoreRules, read
from tillhouse.tables.gold_customers import CUSTOMER_STATE
from tillhouse.tables.gold_scores import QUALITY_GROUP, QUALITY_SCORE

JULY, AUGUST = date(2026, 7, 1), date(2026, 8, 1)
CENT = Decimal("0.01")
PER_CAP = {"linear": {"per": 3, "points": 1}, "cap": {"minimum": -1, "maximum": 2}}


def fields(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    """Customers c0, c1, .. with a purchase, as of July if nothing else is said."""
    usual = {"as_of": JULY, "purchase_count": 1, "currency": "EUR", "first_purchase_date": date(2026, 1, 1)}
    numbered = [
        {**usual, "customer_id": f"c{number}", "smallest_receipt_key": f"r{number}", **row} for number, row in enumerate(rows)
    ]
    return filled(spark, CUSTOMER_STATE, numbered)


def scored(spark: SparkSession, text: str) -> DataFrame:
    """Rows of gold.quality_score of which only some columns matter: as_of, customer, score, currency, revenue."""
    rows = [line.split() for line in text.strip().splitlines()]
    plain = [
        {
            "as_of": date.fromisoformat(day), "customer_id": name, "score": Decimal(points), "currency": currency,
            "revenue_total": Decimal(revenue), "points": {"a": Decimal(points)},
            "points_from": Decimal(floor(Decimal(points) / 10) * 10),
        }
        for day, name, points, currency, revenue in rows
    ]  # fmt: skip
    return filled(spark, QUALITY_SCORE, plain)


def test_points_at_the_edges_of_bands_and_caps_and_for_what_is_missing(spark: SparkSession) -> None:
    rules = rules_of(
        criterion(name="bands", value="median_gap_days", bands=[{"from": -1, "points": 1}, {"from": 2.5, "points": 7}], below=-4),
        criterion(name="flag", value="channels = 'both'", flag=2.5, missing=-0.5),
        criterion(name="linear", value="return_rate", **PER_CAP, missing=9),
    )
    asked = [  # median_gap_days, channels, return_rate, and the points that they give
        ("-1.1", "both", "1", ("-4.00", "2.50", "0.33")),
        ("-1.0", "store", "2", ("1.00", "0.00", "0.67")),
        ("2.4", None, "0.015", ("1.00", "-0.50", "0.01")),  # a third of it is half a cent, which is rounded up
        ("2.5", "both", "-0.015", ("7.00", "2.50", "-0.01")),
        ("99.9", "online", "0.014999999999", ("7.00", "0.00", "0.00")),
        (None, "store", "6", ("0.00", "0.00", "2.00")),
        (None, "store", "5999999999999999", ("0.00", "0.00", "2.00")),
        (None, "store", "-4", ("0.00", "0.00", "-1.00")),
        (None, "store", None, ("0.00", "0.00", "9.00")),
    ]
    rows = [
        {
            "median_gap_days": gap and Decimal(gap), "channels": channels, "return_rate": rate and Decimal(rate),
        }
        for gap, channels, rate, _ in asked
    ]  # fmt: skip
    found = fields(spark, *rows).select("customer_id", *(score.points_of(item).alias(item.name) for item in rules.criteria))
    given = {row.customer_id: tuple(map(str, row[1:])) for row in found.collect()}
    assert given == {f"c{number}": points for number, (*_, points) in enumerate(asked)}


def half_up(value: Fraction) -> Decimal:
    cents = floor(abs(value) * 100 + Fraction(1, 2))
    return Decimal(cents if value >= 0 else -cents) * CENT


def points_by_hand(rules: ScoreRules, row: dict[str, Any]) -> dict[str, Decimal]:
    """The points of a customer as docs/score.md says it, for criteria whose value is a column."""
    points = {}
    for item in rules.criteria:
        value = row[item.value]
        if value is None:
            points[item.name] = item.missing
        elif item.bands is not None:
            reached = [band.points for band in item.bands if value >= band.start]
            points[item.name] = reached[-1] if reached else item.below or Decimal(0)
        else:
            assert item.linear is not None
            assert item.cap is not None
            units = (Fraction(value) - Fraction(item.linear.offset)) / Fraction(item.linear.per)
            exact = half_up(units * Fraction(item.linear.points))
            points[item.name] = min(max(exact, item.cap.minimum), item.cap.maximum)
    total = sum(points.values(), Decimal(0))
    assert rules.minimum is not None
    assert rules.maximum is not None
    return {**points, "cap": min(max(total, rules.minimum), rules.maximum) - total}


def test_the_parts_of_every_customer_sum_to_the_score_to_the_cent(spark: SparkSession) -> None:
    rules = rules_of(
        criterion(name="revenue", value="revenue_total", linear={"per": 7, "points": 0.13, "offset": -50.5},
                  cap={"minimum": -20, "maximum": 41.07}),
        criterion(name="rate", value="return_rate", linear={"per": 0.03, "points": -1.11}, cap={"minimum": -30, "maximum": 0},
                  missing=-0.01),
        criterion(name="gap", value="mean_gap_days", linear={"per": 999.99, "points": 17.77},
                  cap={"minimum": 0, "maximum": 12.34}, missing=3.33),
        criterion(name="purchases", value="purchase_count", bands=[{"from": 3, "points": 1.01}, {"from": 6, "points": -7.07}],
                  below=0.1),
        minimum=-25, maximum=40, group_spacing=0.7,
    )  # fmt: skip
    chance = random.Random(25)
    rows = [
        {
            "revenue_total": chance.randint(-200_000, 500_000) * CENT,
            "return_rate": chance.choice([None, chance.randint(0, 10**12) * Decimal("1e-12")]),
            "mean_gap_days": chance.choice([None, chance.randint(0, 10**15) * Decimal("1e-12")]),
            "purchase_count": chance.randint(1, 9),
        }
        for _ in range(400)
    ]
    scores = score.to_scores(fields(spark, *rows), rules).withColumn("names", F.map_keys("points"))
    found = {row.customer_id: row for row in scores.collect()}
    assert len(found) == len(rows)
    expected = [points_by_hand(rules, row) for row in rows]
    assert len({points["cap"] for points in expected}) > 2  # the cap is met from both sides
    for number, points in enumerate(expected):
        row = found[f"c{number}"]
        assert row.points == points
        assert row.names == rules.part_names
        assert row.score == sum(row.points.values())
        assert -25 <= row.score <= 40
        assert row.points_from <= row.score < row.points_from + Decimal("0.7")
        assert row.points_from % Decimal("0.7") == 0


def test_a_score_has_its_rank_place_group_and_colour_and_an_objection_leaves_none(spark: SparkSession) -> None:
    rules = rules_of(
        criterion(bands=BANDS), minimum=0, group_spacing=2,
        colours=[{"from": 0, "colour": "red", "hex": "#FF0000"}, {"from": 1, "colour": "green", "hex": "#00FF00"}],
    )  # fmt: skip
    early = date(2025, 12, 31)
    rows = fields(
        spark,
        {"purchase_count": 2, "home_branch_id": "B1", "revenue_total": Decimal("-3.50")},
        {"purchase_count": 5},
        {"purchase_count": 0},
        {"purchase_count": 9},
        {"purchase_count": 4, "first_purchase_date": early, "smallest_receipt_key": "z"},
        {"purchase_count": 1},
        {"purchase_count": 5, "customer_id": "c0", "as_of": AUGUST},
    )
    consents = spark.createDataFrame(
        [
            ("c3", "any", "scoring", "denied"), ("c3", "email", "scoring", "granted"), ("c1", "any", "marketing", "denied"),
            ("c4", "any", "scoring", "unknown"),
        ],
        "customer_id STRING, channel STRING, purpose STRING, state STRING",
    )  # fmt: skip
    with time_zone(spark, "Asia/Tokyo"):
        found = score.to_scores(rows, rules, score.to_objections(consents)).orderBy("as_of", "position").collect()
    told = [
        (row.as_of, row.customer_id, str(row.score), row.colour, str(row.points_from), row["rank"], row.position) for row in found
    ]
    assert told == [
        (JULY, "c1", "3.00", "green", "2.00", 1, 1),
        (JULY, "c4", "1.00", "green", "0.00", 2, 2),
        (JULY, "c0", "1.00", "green", "0.00", 2, 3),
        (JULY, "c5", "0.00", "red", "0.00", 4, 4),
        (AUGUST, "c0", "3.00", "green", "2.00", 1, 1),
    ]
    third = found[2]
    assert (third.branch_id, third.revenue_total, third.currency) == ("B1", Decimal("-3.50"), "EUR")
    assert (third.colour_hex, third.definition_version) == ("#00FF00", rules.definition_version)


def test_the_shipped_rules_score_a_good_and_a_bad_customer_as_the_page_says(
    spark: SparkSession, request: pytest.FixtureRequest
) -> None:
    rules = read(request.config.rootpath / "conf" / "score.yml")
    good = {
        "revenue_total": Decimal("2500.00"), "purchase_count": 50, "inactivity_days": 30, "tenure_days": 365 * 5,
        "invoice_count": 11, "late_invoice_count": 1, "channels": "both", "return_count": 1, "return_rate": Decimal("0.5"),
        "ticket_count": 9,
    }  # fmt: skip
    bad = {
        "revenue_total": Decimal("49.99"), "purchase_count": 2, "inactivity_days": 400, "tenure_days": 400, "invoice_count": 2,
        "late_invoice_count": 1, "channels": "store", "return_count": 2, "return_rate": Decimal("0.4"), "dunning_count": 5,
        "ticket_count": 10, "complaint_count": 1,
    }  # fmt: skip
    best, worst = score.to_scores(fields(spark, good, bad), rules).orderBy("rank").collect()
    assert (best.score, best.colour) == (Decimal("95.00"), "green")
    assert {name: str(points) for name, points in worst.points.items()} == {
        "revenue": "0.00", "purchases": "4.00", "returns": "-10.00", "dunning": "-20.00", "payment": "-10.00",
        "last_purchase": "0.00", "tenure": "3.29", "support_cases": "-2.00", "complaints": "-3.00", "both_channels": "0.00",
        "cap": "37.71",
    }  # fmt: skip
    assert (worst.score, worst.colour) == (Decimal(0), "red")


def test_groups_between_the_lowest_and_the_highest_are_all_there_with_what_reaches_them(spark: SparkSession) -> None:
    rows = scored(
        spark,
        """
        2026-07-01 a  -0.01 EUR  10.00
        2026-07-01 b  20.00 EUR  20.00
        2026-07-01 c  29.99 EUR  10.00
        2026-08-01 a  10.00 EUR   5.00
        2026-08-01 b  10.00 CHF   5.00
        2026-09-01 a   0.00 EUR  -5.00
        """,
    )
    found = score.to_groups(rows, rules_of()).orderBy("as_of", F.desc("points_from")).collect()
    told = [
        (row.as_of.month, int(row.points_from), int(row.points_below), row.customers, row.customers_cumulative,
         row.revenue and str(row.revenue), row.currency)
        for row in found
    ]  # fmt: skip
    assert told == [
        (7, 20, 30, 2, 2, "30.00", "EUR"),
        (7, 10, 20, 0, 2, Decimal("0.00"), "EUR"),
        (7, 0, 10, 0, 2, Decimal("0.00"), "EUR"),
        (7, -10, 0, 1, 3, "10.00", "EUR"),
        (8, 10, 20, 2, 2, None, None),
        (9, 0, 10, 1, 1, "-5.00", "EUR"),
    ]
    shares = [(row.customer_share, row.cumulative_share, row.revenue_share) for row in found]
    two_thirds = Decimal("0.666666666667")
    assert shares[:2] == [(two_thirds, two_thirds, Decimal("0.75")), (0, two_thirds, 0)]
    assert shares[3:] == [(1 - two_thirds, 1, Decimal("0.25")), (1, 1, None), (1, 1, None)]


def test_top_100_are_all_down_to_the_group_that_holds_rank_100_which_may_be_137(spark: SparkSession) -> None:
    points = F.when(F.col("id") < 90, 95).when(F.col("id") < 137, 80 + F.col("id") % 10).otherwise(F.col("id") % 80)
    rows = spark.range(300).select(
        F.lit(JULY).alias("as_of"), F.col("id").cast("string").alias("customer_id"), points.cast("decimal(12,2)").alias("score")
    )
    few = rows.limit(3).withColumn("as_of", F.lit(AUGUST))
    columns = (
        "*",
        "score - pmod(score, 10) AS points_from",
        "rank() OVER (PARTITION BY as_of ORDER BY score DESC) AS rank",
    )
    scores = rows.unionByName(few).selectExpr(*columns).localCheckpoint()

    def chosen(minimum: Decimal | None = None, rank: int | None = None) -> list[tuple[Any, ...]]:
        found = score.select_from(scores, minimum=minimum, rank=rank)
        return [tuple(row) for row in found.groupBy("as_of").agg(F.count("*"), F.min("score")).orderBy("as_of").collect()]

    assert chosen(rank=100) == [(JULY, 137, 80), (AUGUST, 3, 95)]
    assert chosen(rank=90)[0] == (JULY, 90, 95)
    assert chosen(rank=1)[0] == (JULY, 90, 95)
    assert chosen(rank=300)[0][1] == 300
    assert chosen(minimum=Decimal("89")) == [(JULY, 94, 89), (AUGUST, 3, 95)]
    assert chosen(minimum=Decimal("90"), rank=100)[0] == (JULY, 90, 95)


def test_a_colour_begins_at_its_score(spark: SparkSession) -> None:
    steps: Sequence[tuple[str, str]] = (("-5", "red"), ("0", "yellow"), ("2.5", "green"))
    rules = rules_of(
        criterion(bands=BANDS, below=-5), colours=[{"from": at, "colour": name, "hex": "#00000" + at[-1]} for at, name in steps]
    )
    rows = spark.sql("SELECT explode(array(-5.00, -0.01, 0.00, 2.49, 2.50, 99.00)) AS score")
    found = [(row.colour, row.colour_hex[-1]) for row in score.with_colour(rows, rules).collect()]
    assert found == [("red", "5"), ("red", "5"), ("yellow", "0"), ("yellow", "0"), ("green", "5"), ("green", "5")]


def test_moves_tell_who_changes_and_who_gains_or_loses_most(spark: SparkSession) -> None:
    before = scored(
        spark,
        """
        2026-07-01 stays  10.00 EUR 0
        2026-07-01 gains  10.00 EUR 0
        2026-07-01 more   10.00 EUR 0
        2026-07-01 loses  30.00 EUR 0
        2026-07-01 leaves 30.00 EUR 0
        """,
    )
    after = scored(
        spark,
        """
        2026-07-01 stays  10.00 EUR 0
        2026-07-01 gains  10.50 EUR 0
        2026-07-01 more   25.00 EUR 0
        2026-07-01 loses   0.00 EUR 0
        2026-07-01 comes  40.00 EUR 0
        """,
    )
    colour = F.when(F.col("score") >= 25, "green").otherwise("red")
    moves = score.to_moves(*(rows.withColumn("colour", colour) for rows in (before, after))).localCheckpoint()
    colours = {(row.before, row.after): row.customers for row in score.count_moves(moves, "colour").collect()}
    assert colours == {
        ("red", "red"): 2, ("red", "green"): 1, ("green", "red"): 1, ("green", "none"): 1, ("none", "green"): 1,
    }  # fmt: skip
    groups = {(row.before, row.after): row.customers for row in score.count_moves(moves, "points_from").collect()}
    assert groups == {(10, 10): 2, (10, 20): 1, (30, 0): 1, (30, None): 1, (None, 40): 1}
    movers = score.top_movers(moves, 1).collect()
    assert {row.direction: (row.customer_id, str(row.change)) for row in movers} == {
        "gains": ("more", "15.00"), "loses": ("loses", "-30.00"),
    }  # fmt: skip


def test_the_tables_hold_what_readers_rely_on() -> None:
    assert {"as_of", "customer_id", "score", "colour", "points"} <= set(QUALITY_SCORE.column_names)
    assert {"as_of", "points_from", "customers", "customers_cumulative"} <= set(QUALITY_GROUP.column_names)
