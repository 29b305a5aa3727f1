"""What is bought together, counted by hand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from tests.kpi.star import filled
from tillhouse.insight import affinity
from tillhouse.insight.affinity import to_product_affinity
from tillhouse.insight.rules import Affinity
from tillhouse.tables import gold

AS_OF = date(2026, 3, 1)
FIRST = AS_OF - timedelta(days=30)
RULES = Affinity(window_days=30, minimum_baskets=2, minimum_pairs=2)
PRODUCTS = [("k1", "p1", "Drinks"), ("k2", "p2", "Snacks"), ("k3", "p3", None), ("k4", "p4", "Snacks")]


def star(spark: SparkSession, baskets: dict[str, str], **days: date) -> tuple[DataFrame, DataFrame, DataFrame]:
    """Purchases by their products, such as p1 p2; a sign tells what of it does not count."""
    receipts, lines = [], []
    for key, products in baskets.items():
        on = days.get(key, FIRST)
        receipts.append({"receipt_key": key, "business_date": on, "is_basket": not products.startswith("return")})
        for number, word in enumerate(products.removeprefix("return").split()):
            product = word.strip("-*v")
            lines.append(
                {
                    "receipt_key": key, "line_number": number, "business_date": on, "product_id": product, "line_type": "ITEM",
                    "product_key": product.replace("p", "k"), "is_return": "-" in word, "is_voided": "v" in word,
                    "bundle_role": "component" if "*" in word else None,
                }
            )  # fmt: skip
    products_known = spark.createDataFrame(PRODUCTS, "product_key STRING, product_id STRING, category_l2 STRING")
    return filled(spark, gold.FCT_RECEIPT, receipts), filled(spark, gold.FCT_SALE_LINE, lines), products_known


def pairs(spark: SparkSession, baskets: dict[str, str], rules: Affinity = RULES, **days: date) -> dict[tuple[str, str], Any]:
    rows = to_product_affinity(*star(spark, baskets, **days), rules, as_of=AS_OF).collect()
    return {(row["product_a"], row["product_b"]): row for row in rows}


def number(text: str) -> Decimal:
    return Decimal(text).quantize(Decimal("1e-12"))


def test_a_pair_is_told_with_support_confidence_and_lift(spark: SparkSession) -> None:
    """Twice the same product is once; returned, voided and components do not count; the window is [as_of - 30, as_of)."""
    baskets = {
        "one": "p2 p1 p1",
        "two": "p1 p2 p3 p4*",
        "three": "p1 p3- p4v",
        "without_lines": "",
        "four": "return p1 p2-",
        "before": "p1 p2",
        "after": "p1 p2",
    }
    found = pairs(spark, baskets, before=FIRST - timedelta(days=1), after=AS_OF)
    assert set(found) == {("p1", "p2")}
    row = found["p1", "p2"]
    assert (row["receipts_a"], row["receipts_b"], row["receipts_both"], row["receipts_all"]) == (3, 2, 2, 4)
    shares = (row["support"], row["confidence"], row["confidence_back"], row["lift"])
    assert shares == (number("0.5"), number("0.666666666667"), number("1"), number("1.333333333333"))


def test_groups_are_told_instead_of_products_where_conf_says_so(spark: SparkSession) -> None:
    rules = RULES.model_copy(update={"level": "category_l2"})
    found = pairs(spark, {"one": "p1 p2", "two": "p1 p4 p2", "three": "p3 p1"}, rules)
    assert {key: (row["receipts_a"], row["receipts_both"], row["level"]) for key, row in found.items()} == {
        ("Drinks", "Snacks"): (3, 2, "category_l2")
    }


def test_of_a_huge_purchase_only_the_commonest_products_make_pairs(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """p4 is the rarest; p1, p2 and p3 are as frequent as each other, and the first by name come first."""
    monkeypatch.setattr(affinity, "MOST_PRODUCTS", 2)
    huge = {"one": "p1 p2 p3 p4", "two": "p1 p2 p3 p4", "three": "p1 p3", "four": "p2"}
    found = pairs(spark, huge)
    assert {key: row["receipts_both"] for key, row in found.items()} == {("p1", "p2"): 2}


def test_without_purchases_there_are_no_pairs(spark: SparkSession) -> None:
    assert pairs(spark, {}) == {}
