from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from tests.kpi.star import filled
from tillhouse.insight.reorder import to_purchase_days, to_reorder_signals, to_reorder_state
from tillhouse.insight.rules import Reorder
from tillhouse.tables.gold import DIM_PRODUCT, FCT_RECEIPT, FCT_SALE_LINE

START = date(2026, 1, 1)
CUSTOMERS = "as_of DATE, customer_id STRING, customer_type STRING, home_branch_id STRING"
PURCHASES = (
    "customer_id STRING, product_line STRING, days ARRAY<STRUCT<day: DATE, quantity: DECIMAL(18,3)>>, "
    "firsts ARRAY<STRUCT<product_line: STRING, day: DATE>>"
)


def day(number: int) -> date:
    return START + timedelta(days=number)


def purchases(spark: SparkSession, given: Mapping[str, Sequence[tuple[int, int]]]) -> DataFrame:
    """Customers by the numbers of the days on which they bought, and the quantities."""
    rows: list[tuple[object, ...]] = [
        (name, None, [(day(n), Decimal(quantity)) for n, quantity in days], []) for name, days in given.items()
    ]
    return spark.createDataFrame(rows, PURCHASES)


def customers(spark: SparkSession, as_ofs: Sequence[int], *names: str) -> DataFrame:
    return spark.createDataFrame([(day(n), name, "B2B", "A") for n in as_ofs for name in names], CUSTOMERS)


def signals(rows: DataFrame, rules: Reorder) -> dict[tuple[str, date, str], Any]:
    found = to_reorder_signals(rows, rules).collect()
    return {(row["customer_id"], row["as_of"], row["signal"]): row for row in found}


def weekly(count: int) -> list[tuple[int, int]]:
    return [(7 * number, 10) for number in range(count)]


def test_silence_is_conspicuous_only_above_the_limit_and_with_enough_gaps(spark: SparkSession) -> None:
    bought = {
        "steady": weekly(7),  # six gaps of 7 days, MAD 0 counts as 1: limit 7 + 3 x 1.4826 = 11.4478
        "short": weekly(6),  # five gaps
        "uneven": [(n, 1) for n in (0, 5, 15, 18, 28, 35, 42)],  # gaps 5 10 3 10 7 7: m 7, deviations 2 3 4 3 0 0: MAD 2.5
    }
    rules = Reorder(population="all")
    state = to_reorder_state(customers(spark, [42, 53, 54, 60, 61], "steady", "short", "uneven"), purchases(spark, bought), rules)
    found = {(row["customer_id"], row["as_of"]): row for row in state.collect()}
    assert {name for name, _ in found} == {"steady", "uneven"}
    assert min(as_of for _, as_of in found) == day(53), "as of day 42 the purchase of that day has not happened: five gaps"
    silent = sorted(key for key, row in found.items() if row["is_silent"])
    assert silent == [("steady", day(54)), ("steady", day(60)), ("steady", day(61)), ("uneven", day(61))]
    uneven = found["uneven", day(60)]
    assert (uneven["median_gap_days"], uneven["mad_days"]) == (Decimal(7), Decimal("2.50"))
    assert uneven["limit_days"] == 7 + 3 * Decimal("1.4826") * Decimal("2.5")
    assert (uneven["silence_days"], uneven["simple_rule"], found["steady", day(53)]["simple_rule"]) == (18, True, False)
    assert signals(state, rules)["steady", day(54), "silence"]["evidence"] == (
        "Last purchase on 2026-02-12, 12 days ago. Usual: every 7.0 days, over 6 gaps; unusual from more than 11.4 days on."
    )


def test_an_early_order_and_a_small_one_are_judged_by_what_was_usual_before(spark: SparkSession) -> None:
    usual = weekly(7)
    bought = {
        "early": [*usual, (44, 10)],  # after 2 days: less than 7 - 4.4478
        "nearly": [*usual, (45, 10)],
        "small": [*usual, (49, 4)],
        "half": [*usual, (49, 5)],
        "varied": [*((7 * n, quantity) for n, quantity in enumerate((10, 2, 30, 10, 1, 20, 10))), (49, 1)],
        "only six": [*usual[:6], (37, 1)],
        "future": [*usual, (60, 1)],
    }
    rules = Reorder(population="B2B")
    found = signals(to_reorder_state(customers(spark, [50, 59], *bought), purchases(spark, bought), rules), rules)
    at_50 = {(name, signal) for name, as_of, signal in found if as_of == day(50)}
    assert at_50 == {("early", "early_order"), ("small", "quantity_drop"), ("only six", "silence")}
    later = {signal for _, as_of, signal in found if as_of == day(59)}
    assert later <= {"silence"}, "what is no news any more is not told again"
    early, small = found["early", day(50), "early_order"], found["small", day(50), "quantity_drop"]
    assert (early["median_gap_days"], early["limit_days"], early["gap_count"]) == (Decimal(7), Decimal("2.5522"), 6)
    assert early["last_gap_days"] == 2
    assert (small["usual_quantity"], small["last_quantity"]) == (Decimal(10), Decimal(4))
    assert small["evidence"] == "Bought on 2026-02-19 a quantity of 4.000. Usual: 10.000."


def test_a_first_purchase_in_a_new_line_counts_for_those_whose_rhythm_is_known(spark: SparkSession) -> None:
    keys = {"cola": ("Drinks", None), "pen": (None, "Office"), "nothing": (None, None)}
    products = filled(
        spark, DIM_PRODUCT,
        [{"product_key": key, "product_line": line, "category_l1": group} for key, (line, group) in keys.items()],
    )  # fmt: skip
    bought = [(f"r{n}", day(7 * n), ["cola"]) for n in range(7)] + [("r7", day(49), ["cola", "pen", "nothing"])]
    other = [("o1", day(49), ["pen"]), ("anonymous", day(49), ["pen"])]
    usual = {"sold_item_count": Decimal(2), "is_basket": True}
    receipts = filled(
        spark, FCT_RECEIPT,
        [{**usual, "receipt_key": key, "business_date": when, "customer_id": "c"} for key, when, _ in bought]
        + [{**usual, "receipt_key": "again", "business_date": day(49), "customer_id": "c"}]  # one purchase day, one gap
        + [{**usual, "receipt_key": "back", "business_date": day(52), "customer_id": "c", "is_basket": False}]
        + [{**usual, "receipt_key": "o1", "business_date": day(49), "customer_id": "new"}]
        + [{**usual, "receipt_key": "anonymous", "business_date": day(49)}],
    )  # fmt: skip
    line = {"line_type": "ITEM", "is_revenue": True, "item_count": Decimal(1)}
    lines = filled(
        spark, FCT_SALE_LINE,
        [{**line, "receipt_key": key, "product_key": product} for key, _, names in bought + other for product in names]
        + [{**line, "receipt_key": "r0", "product_key": "pen", "is_return": True}],
    )  # fmt: skip
    rules = Reorder(population="all", by_product_line=True)
    every = to_purchase_days(receipts, lines, products, by_product_line=True)
    stored = {(row["customer_id"], row["product_line"]): row for row in every.collect()}
    assert set(stored) == {("c", None), ("c", "Drinks"), ("c", "Office"), ("new", None), ("new", "Office")}
    assert [one["quantity"] for one in stored["c", None]["days"]] == [2, 2, 2, 2, 2, 2, 2, 4]
    assert [tuple(one) for one in stored["c", None]["firsts"]] == [("Drinks", day(0)), ("Office", day(49))]
    assert [one["quantity"] for one in stored["c", "Drinks"]["days"]] == [1] * 8
    state = to_reorder_state(customers(spark, [49, 50, 56, 57, 70], "c", "new"), every, rules)
    found = {(row["as_of"], row["signal"], row["product_line"]) for row in to_reorder_signals(state, rules).collect()}
    assert {(as_of, line) for as_of, signal, line in found if signal == "new_product_line"} == {
        (day(50), "Office"), (day(56), "Office"),
    }  # fmt: skip
    assert {(as_of, line) for as_of, signal, line in found if signal == "silence"} == {(day(70), None), (day(70), "Drinks")}


def test_random_customers_are_judged_as_an_independent_computation_says(spark: SparkSession) -> None:
    drawn = random.Random(21)
    given: dict[str, Sequence[tuple[int, int]]] = {
        f"c{number}": [(n, 1) for n in sorted(drawn.sample(range(200), drawn.randrange(1, 40)))] for number in range(60)
    }
    as_ofs = [60, 120, 200, 230]
    expected = {}
    for name, bought in given.items():
        for as_of in as_ofs:
            days = [n for n, _ in bought if n < as_of]
            gaps = [b - a for a, b in pairwise(days)]
            if len(gaps) < 6:
                continue
            middle = Fraction(median(map(Fraction, gaps)))
            mad = Fraction(median(abs(gap - middle) for gap in gaps))
            limit = middle + 3 * Fraction("1.4826") * max(mad, Fraction(1))
            silence = as_of - days[-1]
            expected[name, day(as_of)] = (len(gaps), middle, mad, limit, silence, silence > limit, silence > 2 * middle)
    rules = Reorder(population="all")
    state = to_reorder_state(customers(spark, as_ofs, *given), purchases(spark, given), rules).collect()
    names = ("gap_count", "median_gap_days", "mad_days", "limit_days", "silence_days", "is_silent", "simple_rule")
    assert {(row["customer_id"], row["as_of"]): tuple(row[name] for name in names) for row in state} == expected
    assert {row["is_silent"] for row in state} == {row["simple_rule"] for row in state} == {True, False}


def test_the_population_is_an_argument_and_without_purchases_there_is_no_signal(spark: SparkSession) -> None:
    known = spark.createDataFrame([(day(90), "firm", "B2B", "A"), (day(90), "person", "B2C", None)], CUSTOMERS)
    bought = purchases(spark, {"firm": weekly(8), "person": weekly(8)})
    told = {
        population: {row["customer_id"] for row in to_reorder_state(known, bought, Reorder(population=population)).collect()}
        for population in ("B2B", "B2C", "all")
    }
    assert told == {"B2B": {"firm"}, "B2C": {"person"}, "all": {"firm", "person"}}
    rules = Reorder()
    assert signals(to_reorder_state(known, bought.limit(0), rules), rules) == {}
