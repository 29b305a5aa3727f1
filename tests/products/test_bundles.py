"""Sets are divided to the cent, or stay as they are; revenue is counted once."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tillhouse.gold.bundles import with_bundles_exploded
from tillhouse.products.bundles import not_divided, to_shares
from tillhouse.products.rules import Bundles

LINE = (
    "receipt_key STRING, line_number INT, line_type STRING, product_ref STRING, business_date DATE, quantity DECIMAL(18,3), "
    "unit STRING, gross_amount DECIMAL(18,2), net_amount DECIMAL(18,2), tax_amount DECIMAL(18,2), discount_amount DECIMAL(18,2), "
    "is_revenue BOOLEAN, is_return BOOLEAN, is_voided BOOLEAN, parent_line_number INT"
)
PRODUCTS = (
    # product, group, list price, is it a set
    ("MENU", "MEALS", None, True), ("BURGER", "FOOD", "8.00", False), ("COLA", "DRINKS", "4.00", False),
    ("TRIO", "MEALS", None, False), ("A", "FOOD", None, False), ("B", "FOOD", "1.00", False), ("C", "FOOD", "2.00", False),
    ("BOX", "TOYS", None, True), ("HALF", "MEALS", None, True),
)  # fmt: skip
COMPONENTS = (
    ("MENU", "BURGER", None, None, None), ("MENU", "COLA", None, None, None),
    ("TRIO", "A", "1", None, None), ("TRIO", "B", "1", None, None), ("TRIO", "C", "1", None, None),  # A has no price
    ("BOX", "A", "2", None, None),
    ("HALF", "COLA", None, None, None), ("HALF", "NOBODY KNOWS", None, None, None),
)  # fmt: skip
DAY = date(2025, 5, 1)


def products(spark: SparkSession) -> DataFrame:
    rows = [(name, group, price and Decimal(price), is_bundle) for name, group, price, is_bundle in PRODUCTS]
    return spark.createDataFrame(rows, "product_id STRING, category_l1 STRING, list_price DECIMAL(18,5), is_bundle BOOLEAN")


def components(spark: SparkSession) -> DataFrame:
    rows = [
        (bundle, product, count and Decimal(count), first, last, None, None) for bundle, product, count, first, last in COMPONENTS
    ]
    schema = (
        "bundle_id STRING, product_id STRING, quantity DECIMAL(18,3), valid_from DATE, valid_until DATE, "
        "list_price DECIMAL(18,5), version_at TIMESTAMP"
    )
    return spark.createDataFrame(rows, schema)


def line(
    number: int, product: str, amount: str, tax: str | None = None, count: str = "1", **others: object
) -> tuple[object, ...]:
    gross = Decimal(amount)
    told = {"receipt": "r", "type": "ITEM", "discount": Decimal(0), "revenue": True, "voided": False, "parent": None} | others
    vat = None if tax is None else Decimal(tax)
    net = None if vat is None else gross - vat
    return (
        told["receipt"], number, told["type"], product, DAY, Decimal(count), "Stk", gross, net, vat, told["discount"],
        told["revenue"], gross < 0, told["voided"], told["parent"],
    )  # fmt: skip


MEALS = Bundles(explode={"category_l1": ("MEALS",)})


def exploded(spark: SparkSession, *lines: tuple[object, ...], rules: Bundles = MEALS) -> list[tuple[object, ...]]:
    shares = to_shares(components(spark), products(spark), rules)
    once = {name: F.lit(Decimal("0.10")).cast("DECIMAL(18,2)") for name in ("promotion_amount", "coupon_amount")}
    given_lines = spark.createDataFrame(list(lines), LINE).withColumns(once)
    rows = with_bundles_exploded(given_lines, shares).orderBy("receipt_key", "line_number").collect()
    for amount in once:  # told on the set's own line, and not again on its components
        assert sum(row[amount] or Decimal(0) for row in rows) == len(lines) * Decimal("0.10")
    delivered = given_lines.where("is_revenue").collect()
    for amount in ("gross_amount", "tax_amount", "discount_amount"):
        given = sum((row[amount] or Decimal(0) for row in delivered), Decimal(0))
        assert sum((row[amount] or Decimal(0) for row in rows if row["is_revenue"]), Decimal(0)) == given
    return [
        (
            row["line_number"], row["product_ref"], str(row["gross_amount"]), row["tax_amount"] and str(row["tax_amount"]),
            str(row["quantity"]), row["parent_line_number"], row["bundle_role"],
        )
        for row in rows
    ]  # fmt: skip


def test_sets_become_lines_of_their_components_and_no_cent_is_lost(spark: SparkSession) -> None:
    """By list prices; by quantities where one has no price. A discount on a set is divided too, a voided set is not."""
    found = exploded(
        spark,
        line(1, "MENU", "9.98", "1.12", receipt="a"),
        line(2, "COLA", "4.00", "0.64", receipt="a"),
        line(1, "TRIO", "-1.00", count="-1", receipt="b"),
        line(1, "MENU", "12.00", count="2", receipt="c"),
        line(2, "MENU", "-1.20", type="DISCOUNT", discount=Decimal("1.20"), parent=1, receipt="c"),
        line(3, "MENU", "9.98", voided=True, receipt="c"),
        line(1, "MENU", "9.98", voided=True, receipt="d"),
    )
    assert found == [
        (1, "MENU", "9.98", "1.12", "1.000", None, "set"),
        (2, "COLA", "4.00", "0.64", "1.000", None, None),
        (3, "BURGER", "6.65", "0.75", "1.000", 1, "component"),
        (4, "COLA", "3.33", "0.37", "1.000", 1, "component"),
        (1, "TRIO", "-1.00", None, "-1.000", None, "set"),
        (2, "A", "-0.33", None, "-1.000", 1, "component"),
        (3, "B", "-0.33", None, "-1.000", 1, "component"),
        (4, "C", "-0.34", None, "-1.000", 1, "component"),
        (1, "MENU", "12.00", None, "2.000", None, "set"),
        (2, "MENU", "-1.20", None, "1.000", 1, "set"),
        (3, "MENU", "9.98", None, "1.000", None, None),
        (4, "BURGER", "8.00", None, "2.000", 1, "component"),
        (5, "COLA", "4.00", None, "2.000", 1, "component"),
        (6, "BURGER", "-0.80", None, "1.000", 2, "component"),
        (7, "COLA", "-0.40", None, "1.000", 2, "component"),
        (1, "MENU", "9.98", None, "1.000", None, None),
    ]


def test_sets_are_divided_as_the_rules_say_and_one_that_cannot_be_is_told(spark: SparkSession) -> None:
    cases = {
        "a product group": (MEALS, {"MENU", "TRIO"}, {"HALF"}),
        "all but one": (Bundles(rule="explode", keep={"product_id": ("MENU",)}), {"TRIO", "BOX"}, {"HALF"}),
        "none": (Bundles(), set(), set()),
    }
    found = []
    for case, (rules, _, _) in cases.items():
        shares = to_shares(components(spark), products(spark), rules).selectExpr(f"'{case}'", "'divided'", "bundle_id")
        missing = not_divided(components(spark), products(spark), rules).selectExpr(f"'{case}'", "'missing'", "product_id")
        found += [shares, missing]
    told = {tuple(row) for row in reduce(DataFrame.union, found).collect()}
    assert told == {
        (case, kind, name)
        for case, (_, divided, missing) in cases.items()
        for kind, names in (("divided", divided), ("missing", missing))
        for name in names
    }
