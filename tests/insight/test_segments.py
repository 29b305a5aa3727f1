"""Segments: who is in which, how great they are, who moves, what comes of it, and what a changed rule changes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from tests.insight.test_segment_rules import rule_set, rules_of
from tillhouse.insight.segment_explain import explain
from tillhouse.insight.segment_history import Kept, changed, to_history, windows_of_changes, with_earlier
from tillhouse.insight.segment_rules import OF_CATEGORY, Definition, of_window, windows_of
from tillhouse.insight.segments import (
    Period,
    periods_of,
    to_changes,
    to_effects,
    to_members,
    to_memberships,
    to_moves,
    to_sizes,
)
from tillhouse.tables.gold_customers import FIELDS as COLUMNS
from tillhouse.tables.gold_segments import SEGMENT_CHANGE

APRIL, JULY, OCTOBER = date(2017, 4, 1), date(2017, 7, 1), date(2017, 10, 1)
DAYS = (APRIL, JULY, OCTOBER)
FIELDS = (
    "as_of DATE, customer_id STRING, customer_type STRING, home_branch_id STRING, home_region STRING, currency STRING, "
    "purchase_count BIGINT, revenue_total DECIMAL(18,2), return_rate DECIMAL(28,12)"
)
CATEGORIES = (
    "as_of DATE, customer_id STRING, currency STRING, category_l1 STRING, category_revenue DECIMAL(18,2), "
    "category_share DECIMAL(28,12), category_purchase_count BIGINT"
)
MEMBERSHIPS = (
    "as_of DATE, customer_id STRING, branch_id STRING, currency STRING, revenue DECIMAL(18,2), rule_set STRING, "
    "definition_version STRING, segment STRING"
)


def customer(name: str, revenue: str, day: date = APRIL, **more: object) -> tuple[Any, ...]:
    given = {"type": "B2C", "branch": "1", "region": "Nord", "currency": "EUR", "purchases": 2, "return_rate": None, **more}
    kind, branch, region, currency, purchases, return_rate = given.values()
    return (day, name, kind, branch, region, currency, purchases, Decimal(revenue), return_rate)


def segments(*rules: tuple[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "meaning": name, "when": when} for name, when in rules]


def spend(*rules: tuple[str, str], **more: object) -> dict[str, Any]:
    return {"name": "spend", "kind": "exclusive", "segments": segments(*rules), **more}


def marks(*rules: tuple[str, str], **more: object) -> dict[str, Any]:
    return {"name": "marks", "kind": "overlapping", "segments": segments(*rules), **more}


def found(rows: DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row[name] for name in names) for row in rows.collect()), key=repr)


def memberships(spark: SparkSession, one: Definition, said: Iterable[tuple[date, str, str]]) -> DataFrame:
    rows = [(day, name, "1", "EUR", Decimal(1), one.rule_set, one.version, segment) for day, name, segment in said]
    return spark.createDataFrame(rows, MEMBERSHIPS)


def test_the_first_rule_that_is_true_counts_or_each_and_a_missing_value_makes_none_true(spark: SparkSession) -> None:
    rules = rules_of(
        spend(("big", "revenue_total >= minimum"), ("some", "revenue_total >= 10"), other="small"),
        marks(("brings back", "return_rate >= 0.5"), ("keeps", "NOT return_rate >= 0.5"), ("10", "revenue_total >= 10")),
        minimum={"default": 100, "regions": {"Nord": 80}, "branches": {"7": 60}, "customer_types": {"B2B": 500}},
    )  # fmt: skip
    fields = spark.createDataFrame(
        [
            customer("by branch", "60", branch="7"),
            customer("by region", "80", type="B2B"),
            customer("by type", "499", type="B2B", region="Süd"),
            customer("by default", "100", region=None, branch=None, return_rate=Decimal("0.6")),
            customer("below", "99", region="Süd", return_rate=Decimal("0.1")),
            customer("refunded", "-5"),
            customer("only asked", "0", purchases=0),
        ],
        FIELDS,
    )
    members = to_members(to_memberships(fields, rules.definitions))
    assert found(members, "rule_set", "customer_id", "segment") == [
        ("marks", "below", "10"), ("marks", "below", "keeps"), ("marks", "by branch", "10"), ("marks", "by default", "10"),
        ("marks", "by default", "brings back"), ("marks", "by region", "10"), ("marks", "by type", "10"),
        ("spend", "below", "some"), ("spend", "by branch", "big"), ("spend", "by default", "big"),
        ("spend", "by region", "big"), ("spend", "by type", "some"), ("spend", "refunded", "small"),
    ]  # fmt: skip
    without_home = [row for row in members.collect() if row["customer_id"] == "by default"]
    assert {row["branch_id"] for row in without_home} == {"unknown"}
    assert {row["definition_version"] for row in members.collect()} == {one.version for one in rules.definitions}


def test_product_groups_are_asked_one_by_one_in_the_currency_of_the_customer(spark: SparkSession) -> None:
    given = {
        "name": "buyer",
        "kind": "overlapping",
        "for_each": "category_l1",
        "segments": segments(("buyer", "category_share >= minimum AND purchase_count >= 5 AND category_l1 <> 'GROCERY'")),
    }
    rules = rules_of(given, spend(("big", "revenue_total >= 100")), minimum={"default": 0.3, "customer_types": {"B2B": 0.6}})
    fields = spark.createDataFrame(
        [customer("a", "100", purchases=5), customer("b", "100", purchases=4), customer("c", "50", purchases=9, type="B2B")],
        FIELDS,
    )
    shares = [
        ("a", "EUR", "MEAT", "0.3"), ("a", "EUR", "GROCERY", "0.4"), ("a", "EUR", "PASTRY", "0.29"), ("a", "EUR", None, "1"),
        ("a", "USD", "FUEL", "0.9"), ("b", "EUR", "MEAT", "0.9"), ("c", "EUR", "MEAT", "0.5"), ("c", "EUR", "DELI", "0.6"),
    ]  # fmt: skip
    rows = [(APRIL, name, money, group, Decimal(9), Decimal(share), 3) for name, money, group, share in shares]
    members = to_memberships(fields, rules.definitions, spark.createDataFrame(rows, CATEGORIES))
    assert found(members, "customer_id", "segment", "revenue") == [
        ("a", "big", Decimal("100.00")), ("a", "buyer: MEAT", Decimal("100.00")), ("b", "big", Decimal("100.00")),
        ("c", "buyer: DELI", Decimal("50.00")), ("c", "other", Decimal("50.00")),
    ]  # fmt: skip


def test_sizes_are_told_by_home_branch_and_shares_of_exclusive_segments_sum_to_one(spark: SparkSession) -> None:
    rules = rules_of(
        spend(("big", "revenue_total >= 50")),
        marks(("big", "revenue_total >= 50"), ("50", "revenue_total = 50")),
        spend(("any", "true"), name="recent", window_months=3),
    )  # fmt: skip
    assert windows_of(rules.definitions) == [None, 3]
    fields = spark.createDataFrame(
        [
            customer("a", "50"), customer("b", "30", branch="2"), customer("c", "60", branch=None),
            customer("d", "-40", branch="2"), customer("e", "7", currency="CHF"), customer("f", "5", currency="SEK"),
            customer("g", "-5", currency="SEK"), customer("h", "0", purchases=0),
        ],
        FIELDS,
    )  # fmt: skip
    whole = of_window(rules.definitions, None)
    sizes = to_sizes(to_memberships(fields, whole), fields)
    assert found(sizes, "currency", "rule_set", "segment", "branch_id", "customers", "revenue", "revenue_share") == [
        ("CHF", "spend", "other", "1", 1, Decimal("7.00"), Decimal("1.000000000000")),
        ("EUR", "marks", "50", "1", 1, Decimal("50.00"), Decimal("0.500000000000")),
        ("EUR", "marks", "big", "1", 1, Decimal("50.00"), Decimal("0.500000000000")),
        ("EUR", "marks", "big", "unknown", 1, Decimal("60.00"), Decimal("0.600000000000")),
        ("EUR", "spend", "big", "1", 1, Decimal("50.00"), Decimal("0.500000000000")),
        ("EUR", "spend", "big", "unknown", 1, Decimal("60.00"), Decimal("0.600000000000")),
        ("EUR", "spend", "other", "2", 2, Decimal("-10.00"), Decimal("-0.100000000000")),
        ("SEK", "spend", "other", "1", 2, Decimal("0.00"), None),
    ]


def test_the_matrix_of_moves_is_full_and_each_row_sums_to_the_segment_it_starts_from(spark: SparkSession) -> None:
    rules = rules_of(
        spend(("big", "revenue_total >= 50"), other="small"),
        spend(("any", "true"), name="recent", window_months=3),
        marks(("all", "true")),
    )
    whole, recent, marked = rules.definitions
    fields = spark.createDataFrame(
        [
            *(customer("stays", "60", day) for day in DAYS),
            *(customer("rises", amount, day) for day, amount in zip(DAYS, ("10", "70", "80"), strict=True)),
            *(customer("comes", "20", day) for day in DAYS[1:]),
            customer("comes late", "90", OCTOBER),
            *(customer("never", "0", day, purchases=0) for day in DAYS),
        ],
        FIELDS,
    )
    recently = [(APRIL, "stays", "any"), (APRIL, "rises", "any"), (JULY, "comes", "any"), (OCTOBER, "stays", "any"),
                (OCTOBER, "comes late", "any")]  # fmt: skip
    said = to_memberships(fields, [whole, marked]).unionByName(memberships(spark, recent, recently))
    rows = to_moves(said, fields, rules.definitions, DAYS).collect()
    matrix = {(row["rule_set"], row["from_as_of"], row["from_segment"], row["to_segment"]): row["customers"] for row in rows}
    assert len(matrix) == len(rows) == 2 * (3 * 3 + 3 * 3)  # two pairs of days; two or one segments, other and none
    assert {key: count for key, count in matrix.items() if count} == {
        ("spend", APRIL, "big", "big"): 1, ("spend", APRIL, "small", "big"): 1, ("spend", APRIL, "none", "small"): 1,
        ("spend", JULY, "big", "big"): 2, ("spend", JULY, "small", "small"): 1, ("spend", JULY, "none", "big"): 1,
        ("recent", APRIL, "any", "none"): 2, ("recent", APRIL, "none", "any"): 1,
        ("recent", JULY, "any", "none"): 1, ("recent", JULY, "none", "any"): 2, ("recent", JULY, "none", "none"): 1,
    }  # fmt: skip
    shares = {
        (row["rule_set"], row["from_segment"], row["to_segment"]): row["move_share"] for row in rows if row["from_as_of"] == JULY
    }
    assert shares["recent", "none", "any"] == Decimal("0.666666666667")
    assert shares["recent", "other", "any"] is None
    assert {(row["to_as_of"], row["definition_version"]) for row in rows if row["rule_set"] == "recent"} == {
        (JULY, recent.version), (OCTOBER, recent.version),
    }  # fmt: skip
    assert to_moves(said, fields, rules.definitions, [APRIL]).collect() == []


@pytest.mark.parametrize("seed", range(2))
def test_moves_conserve_people(spark: SparkSession, seed: int) -> None:
    """Counted again without Spark, on random memberships."""
    draw = random.Random(seed)
    [definition] = rules_of(spend(("a", "true"), ("b", "true"))).definitions
    known_from = {f"c{number}": draw.randrange(len(DAYS)) for number in range(draw.randrange(1, 30))}
    buyers = [(day, name) for name, first in known_from.items() for day in DAYS[first:]]
    said = [(day, name, draw.choice(["a", "b", "other"])) for day, name in buyers if draw.random() < 0.7]
    fields = spark.createDataFrame([customer(name, "1", day) for day, name in buyers], FIELDS)
    rows = to_moves(memberships(spark, definition, said), fields, [definition], DAYS).collect()
    at = {(day, name): segment for day, name, segment in said}
    for first, until in pairwise(DAYS):
        known = [name for day, name in buyers if day == until]
        counted = Counter((at.get((first, name), "none"), at.get((until, name), "none")) for name in known)
        of_pair = {(row["from_segment"], row["to_segment"]): row["customers"] for row in rows if row["from_as_of"] == first}
        assert {cell: count for cell, count in of_pair.items() if count} == counted
        assert sum(of_pair.values()) == len(known)
        for segment in ("a", "b", "other", "none"):
            here = sum(count for (start, _), count in of_pair.items() if start == segment)
            assert here == sum(at.get((first, name), "none") == segment for name in known)


def test_periods_are_compared_with_as_many_months_or_days_and_not_with_what_is_not_known() -> None:
    assert periods_of(date(2017, 1, 1), [APRIL, JULY, date(2017, 7, 11)]) == [
        Period(date(2017, 1, 1), APRIL, JULY), Period(date(2017, 6, 21), JULY, date(2017, 7, 11)),
    ]  # fmt: skip
    assert periods_of(date(2017, 1, 2), [APRIL, JULY])[0].before is None
    assert periods_of(date(2016, 1, 1), [date(2017, 1, 1), date(2017, 2, 1)])[0].before == date(2016, 12, 1)
    assert periods_of(date(2017, 1, 1), [APRIL]) == []


def test_the_effect_is_what_the_customers_of_a_segment_did_next_and_before(spark: SparkSession) -> None:
    one, other = rules_of(spend(("a", "true")), spend(("a", "true"), name="again")).definitions
    said = memberships(spark, one, [(APRIL, "x", "a"), (APRIL, "y", "a"), (APRIL, "z", "other"), (JULY, "x", "a")])
    said = said.unionByName(memberships(spark, other, [(APRIL, "x", "a")]))
    receipts = spark.createDataFrame(
        [
            ("x", date(2017, 1, 1), "EUR", Decimal("10.00"), True),
            ("x", date(2016, 12, 31), "EUR", Decimal("900.00"), True),
            ("x", date(2017, 3, 31), "EUR", Decimal("30.00"), True),
            ("x", APRIL, "EUR", Decimal("50.00"), True),
            ("x", date(2017, 6, 30), "EUR", Decimal("-20.00"), False),
            ("x", JULY, "EUR", Decimal("5.00"), True),
            ("y", date(2017, 5, 1), "USD", Decimal("70.00"), True),
            ("z", date(2017, 5, 1), "EUR", Decimal("-8.00"), False),
            ("z", OCTOBER, "EUR", Decimal("800.00"), True),
            (None, APRIL, "EUR", Decimal("1000.00"), True),
        ],
        "customer_id STRING, business_date DATE, currency STRING, revenue_amount DECIMAL(18,2), is_basket BOOLEAN",
    )
    names = ("rule_set", "segment", "from_as_of", "customers", "active_customers", "retention", "revenue_before", "revenue_after",
             "revenue_change")  # fmt: skip
    none, all_of = Decimal("0.000000000000"), Decimal("1.000000000000")
    quarter = Decimal("-0.250000000000")
    assert found(to_effects(said, receipts, periods_of(date(2017, 1, 1), DAYS)), *names) == [
        ("again", "a", APRIL, 1, 1, all_of, Decimal("40.00"), Decimal("30.00"), quarter),
        ("spend", "a", APRIL, 2, 2, all_of, Decimal("40.00"), Decimal("30.00"), quarter),
        ("spend", "a", JULY, 1, 1, all_of, Decimal("30.00"), Decimal("5.00"), Decimal("-0.833333333333")),
        ("spend", "other", APRIL, 1, 0, none, Decimal("0.00"), Decimal("-8.00"), None),
    ]
    unknown = to_effects(said, receipts, [Period(None, APRIL, JULY)])
    assert {(row["revenue_before"], row["before_as_of"], row["revenue_change"]) for row in unknown.collect()} == {
        (None, None, None)
    }


def test_another_definition_is_a_change_of_the_same_customers_on_the_same_day(spark: SparkSession) -> None:
    tens = marks(("ten", "revenue_total >= ten"))
    still = spend(("any", "true"), name="still")
    before = rules_of(spend(("big", "revenue_total >= 50")), tens, still, ten={"default": 10})
    after = rules_of(spend(("big", "revenue_total >= 30"), other="small"), tens, still, ten={"default": 40})
    fields = spark.createDataFrame([customer(f"c{amount}", str(amount)) for amount in (5, 10, 30, 40, 60)], FIELDS)
    kept = to_history([], before.definitions, APRIL)
    empty = spark.createDataFrame([], f"{COLUMNS}, {OF_CATEGORY}")
    pairs = changed(kept, after.definitions, empty)
    assert [new.rule_set for _, new in pairs] == ["marks", "spend"]
    assert changed(kept, before.definitions, empty) == []
    assert windows_of_changes(pairs) == {None}
    sides = [to_memberships(fields, [pair[side] for pair in pairs]) for side in (0, 1)]
    changes = to_changes(sides[0], sides[1], pairs)
    assert found(changes, "rule_set", "from_segment", "to_segment", "customers") == [
        ("marks", "ten", "none", 2), ("marks", "ten", "ten", 2),
        ("spend", "big", "big", 1), ("spend", "other", "big", 2), ("spend", "other", "small", 2),
    ]  # fmt: skip
    versions = {(old.rule_set, old.version, new.version, APRIL) for old, new in pairs}
    assert set(found(changes, "rule_set", "from_version", "to_version", "as_of")) == versions
    moves = to_moves(to_memberships(fields, after.definitions), fields, after.definitions, [APRIL, JULY])
    assert {row["definition_version"] for row in moves.collect()} == {
        one.version for one in after.definitions if one.kind == "exclusive"
    }

    earlier = spark.createDataFrame([("spend", "x", "y", APRIL, "a", "b", 1)], SEGMENT_CHANGE.struct)
    assert with_earlier(changes, with_earlier(changes, earlier)).count() == 6

    history = to_history(kept, after.definitions, JULY)
    assert [(row.rule_set, row.first_as_of, row.is_current) for row in history] == [
        ("marks", APRIL, False), ("marks", JULY, True), ("spend", APRIL, False), ("spend", JULY, True), ("still", APRIL, True),
    ]  # fmt: skip
    assert to_history(history, after.definitions, OCTOBER) == history
    back = to_history(history, before.definitions, OCTOBER)
    assert [row.is_current for row in back] == [True, False, True, False, True]
    assert not any(row.is_current for row in to_history(back, (), OCTOBER))


def test_a_definition_of_an_older_release_that_cannot_be_asked_any_more_is_left_out(spark: SparkSession) -> None:
    [definition] = rules_of(rule_set("revenue_total > 1")).definitions
    gone = definition.as_json.replace("revenue_total", "turnover")
    empty = spark.createDataFrame([], f"{COLUMNS}, {OF_CATEGORY}")
    for text in (gone, "{}", "no JSON"):
        assert changed([Kept("spend", "old", text, APRIL, is_current=True)], [definition], empty) == []


def rules_asked(fields: DataFrame, definitions: Sequence[Definition], categories: DataFrame | None = None) -> list[Any]:
    told = explain(fields, definitions, categories)
    return [(one.rule_set, one.segments, [(rule.segment, rule.holds, dict(rule.values)) for rule in one.rules]) for one in told]


def test_an_explanation_tells_each_rule_that_was_asked_with_the_values_that_it_names(spark: SparkSession) -> None:
    rules = rules_of(
        spend(("returns", "return_rate > 0.5"), ("big", "revenue_total >= minimum"), ("any", "true")),
        marks(("big", "revenue_total >= 500"), ("B2B", "customer_type = 'B2B'")),
        marks(("buyer", "category_share >= 0.3"), name="buyer", for_each="category_l1"),
        minimum={"default": 100, "regions": {"Nord": 80}},
    )  # fmt: skip
    fields = spark.createDataFrame([customer("a", "90")], FIELDS)
    bought = [("MEAT", "10", "0.1"), ("DELI", "50", "0.5")]
    categories = spark.createDataFrame(
        [(APRIL, "a", "EUR", group, Decimal(revenue), Decimal(share), 3) for group, revenue, share in bought], CATEGORIES
    )
    assert rules_asked(fields, rules.definitions, categories) == [
        ("spend", ("big",), [
            ("returns", None, {"return_rate": None}),
            ("big", True, {"revenue_total": Decimal("90.00"), "minimum": Decimal("80.000000")}),
        ]),
        ("marks", ("none",), [("B2B", False, {"customer_type": "B2C"}), ("big", False, {"revenue_total": Decimal("90.00")})]),
        ("buyer", ("buyer: DELI",), [
            ("buyer: DELI", True, {"category_share": Decimal("0.500000000000")}),
            ("buyer: MEAT", False, {"category_share": Decimal("0.100000000000")}),
        ]),
    ]  # fmt: skip
    [nothing, *_] = explain(fields.limit(0), rules.definitions, categories)
    assert (nothing.segments, nothing.rules, nothing.reason) == (("none",), (), "no purchase before this day")
