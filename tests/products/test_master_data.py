"""What is wrong in master data of products is listed with what a person needs to mend it."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest
from pyspark.sql import DataFrame, SparkSession

from tillhouse.products.rules import ChannelPrices, ProductRules, ReusedNumbers
from tillhouse.silver import products

LINEAGE = "source STRING, version_at TIMESTAMP, _file STRING, _row BIGINT"
MAY, JUNE, JULY = date(2025, 5, 1), date(2025, 6, 1), date(2025, 7, 1)


def told(found: DataFrame) -> dict[str, tuple[str, str | None]]:
    """Rule and value of what was found, by record."""
    return {row["record_key"]: (row["rule"], json.loads(row["context"]).get("value")) for row in found.collect()}


@pytest.mark.parametrize(
    ("parents", "expected", "circling"),
    [
        ({"S": "SHIRT", "M": "SHIRT"}, {"S": "SHIRT", "M": "SHIRT"}, set()),
        ({"RED S": "RED", "RED": "SHIRT"}, {"RED S": "SHIRT", "RED": "SHIRT"}, set()),
        ({"RED": "SHIRT", "RED S": "RED"}, {"RED S": "SHIRT", "RED": "SHIRT"}, set()),
        ({"A": "B", "B": "A"}, {"A": "A", "B": "B"}, {"A", "B"}),
        ({"X": "A", "A": "B", "B": "A", "S": "SHIRT"}, {"X": "X", "A": "A", "B": "B", "S": "SHIRT"}, {"X", "A", "B"}),
        ({"B": "A", "A": "B", "X": "A"}, {"X": "X", "A": "A", "B": "B"}, {"X", "A", "B"}),
    ],
)
def test_variants_have_one_product_at_their_top(parents: dict[str, str], expected: dict[str, str], circling: set[str]) -> None:
    assert products.tops(parents) == (expected, circling)


def test_variants_that_lead_nowhere_or_in_a_circle_are_told(spark: SparkSession) -> None:
    rows = [
        ("SHIRT", None), ("S", "SHIRT"), ("SELF", "SELF"), ("LOST", "NOWHERE"), ("A", "B"), ("B", "A")
    ]  # fmt: skip
    given = [(name, parent, name, "erp", None, "f.csv", 2) for name, parent in rows]
    frame = spark.createDataFrame(given, f"product_id STRING, variant_of STRING, parent_product_id STRING, {LINEAGE}")
    topped, wrong = products.with_parents(frame)
    assert {row["product_id"]: row["parent_product_id"] for row in topped.collect()} == {
        "SHIRT": "SHIRT", "S": "SHIRT", "SELF": "SELF", "LOST": "NOWHERE", "A": "A", "B": "B",
    }  # fmt: skip
    assert told(wrong) == {
        "LOST": ("variant_parent_unknown", "NOWHERE"), "A": ("variant_circle", "B"), "B": ("variant_circle", "A"),
    }  # fmt: skip


def test_p20_a_number_that_another_article_took_over_is_told_with_old_and_new(spark: SparkSession) -> None:
    versions: dict[str, list[tuple[str | None, str | None, str | None]]] = {
        "reused": [("Gouda jung 48 %", "CHEESE", "9.90"), ("LED-Lampe E27", "LIGHT", "9.90")],
        "reused at another price": [("Gouda jung 48 %", "CHEESE", "9.90"), ("Brie de Meaux", "CHEESE", "19.90")],
        "renamed": [("Gouda jung 48 %", "CHEESE", "9.90"), ("Gouda, jung, 48%", "DELI", "9.90")],
        "repriced": [("Gouda jung 48 %", "CHEESE", "9.90"), ("Gouda jung 48 %", "CHEESE", "29.90")],
        "another name alone": [("Gouda jung 48 %", "CHEESE", "9.90"), ("Käse", "CHEESE", "9.90")],
        "new": [("Gouda jung 48 %", "CHEESE", "9.90")],
        "named now": [(None, None, None), ("LED-Lampe E27", "LIGHT", "9.90")],
    }
    rows = [
        (number, name, group, None, price and Decimal(price), False, "erp", f"2025-0{month}-01 05:00:00", f"{month}.csv", 2)
        for number, of_number in versions.items()
        for month, (name, group, price) in enumerate(of_number, start=1)
    ]
    named = "product_id STRING, product_name STRING, category_l1 STRING, category_ref STRING"
    schema = f"{named}, list_price DECIMAL(18,5), _is_rejected BOOLEAN"
    for given in (rows, rows[::-1]):
        frame = spark.createDataFrame(given, f"{schema}, source STRING, at STRING, _file STRING, _row BIGINT")
        found = products.of_reused_numbers(frame.selectExpr("*", "CAST(at AS TIMESTAMP) AS version_at"), ReusedNumbers())
        assert told(found) == {
            "reused since 2025-02-01 05:00:00": (
                "product_number_reused", "Gouda jung 48 %, CHEESE, 9.90000 -> LED-Lampe E27, LIGHT, 9.90000"
            ),
            "reused at another price since 2025-02-01 05:00:00": (
                "product_number_reused", "Gouda jung 48 %, CHEESE, 9.90000 -> Brie de Meaux, CHEESE, 19.90000"
            ),
        }  # fmt: skip


def test_prices_that_differ_between_channels_at_the_same_time_are_told_with_the_difference(spark: SparkSession) -> None:
    rows = [
        ("differs", None, "store", "4.99", None, None), ("differs", None, "web", "5.49", None, None),
        ("same", None, "store", "4.99", None, None), ("same", None, "web", "4.99", None, None),
        ("mended", None, "store", "4.99", None, None), ("mended", None, "web", "5.49", None, None),
        ("mended", None, "web", "4.99", JUNE, None),
        ("never at once", None, "store", "4.99", MAY, date(2025, 5, 31)), ("never at once", None, "web", "5.49", JUNE, None),
        ("of a branch", "B1", "store", "4.49", None, None), ("of a branch", None, "web", "4.99", None, None),
        ("of two branches", "B1", "store", "4.49", None, None), ("of two branches", "B2", "web", "4.99", None, None),
        ("a little", None, "store", "4.99", None, None), ("a little", None, "web", "5.00", None, None),
    ]  # fmt: skip
    given = [
        (product, branch, channel, Decimal(price), "EUR", None, first, last, "erp", None, "p.csv", 2)
        for product, branch, channel, price, first, last in rows
    ]
    schema = "product_id STRING, branch_id STRING, channel STRING, price DECIMAL(18,5), currency STRING, includes_tax BOOLEAN"
    prices = spark.createDataFrame(given, f"{schema}, valid_from DATE, valid_until DATE, {LINEAGE}")
    found = products.of_prices(prices, ChannelPrices(above_amount=Decimal("0.01")))
    assert {row["record_key"]: (str(row["amount"]), row["branch_id"], row["_scope"]) for row in found.collect()} == {
        "differs/all branches/store/web": ("0.50", None, "differs"),
        "of a branch/B1/store/web": ("0.50", "B1", "of a branch"),
    }
    found = products.of_prices(prices, ChannelPrices(above_share=Decimal("0.11")))
    assert {row["record_key"].split("/")[0] for row in found.collect()} == {"of a branch"}


def test_categories_stand_for_product_groups_and_unknown_ones_are_told(spark: SparkSession) -> None:
    rules = ProductRules(systems={"shop_items": "shop", "shop_orders": "shop"})
    groups = "category_ref STRING, category_l1 STRING, category_l2 STRING, category_l3 STRING"
    categories = spark.createDataFrame([("shop", "17", "FOOD", "DAIRY", None)], f"system STRING, {groups}")
    rows = [("A", "17", None), ("B", "18", "OWN"), ("C", None, "OWN")]
    given = [(name, ref, group, None, None, "shop_items", None, "p.csv", 2) for name, ref, group in rows]
    known = spark.createDataFrame(given, f"product_id STRING, {groups}, {LINEAGE}")
    grouped, wrong = products.with_product_groups(known, categories, rules)
    assert {row["product_id"]: (row["category_l1"], row["category_l2"]) for row in grouped.collect()} == {
        "A": ("FOOD", "DAIRY"), "B": ("OWN", None), "C": ("OWN", None),
    }  # fmt: skip
    assert told(wrong) == {"B": ("category_unknown", "18")}
    sold = [
        ("17", None, "CATEGORY", "10.00", "shop_orders"), ("18", None, "CATEGORY", "5.00", "shop_orders"),
        ("18", None, "ITEM", "2.50", "shop_orders"), ("18", "A", "ITEM", "9.99", "shop_orders"),
        ("17", None, "CATEGORY", "1.00", "other"),
    ]  # fmt: skip
    lines = spark.createDataFrame(
        [(ref, product, kind, Decimal(amount), "EUR", source, None, "r.csv", 2) for ref, product, kind, amount, source in sold],
        f"category_ref STRING, product_ref STRING, line_type STRING, gross_amount DECIMAL(18,2), currency STRING, {LINEAGE}",
    )
    found = products.of_categories(lines, categories, rules).collect()
    assert {row["record_key"]: str(row["amount"]) for row in found} == {"shop_orders:18": "7.50", "other:17": "1.00"}
