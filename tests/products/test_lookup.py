"""Lines find their product by number, SKU, vendor id or GTIN, as the cross-reference held on their day; never by name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest
from pyspark.sql import DataFrame, SparkSession

from tillhouse.products import lookup
from tillhouse.products.rules import ProductRules

RULES = ProductRules(
    systems={"till_1": "cloud", "till_2": "cloud"},
    lookup={"cloud": ("sku", "gtin"), "shop": ("gtin", "product_id"), "vendor_till": ("vendor_id",)},
)
LINE = "n INT, source STRING, product_ref STRING, gtin STRING, business_date DATE, quantity DECIMAL(18,3), unit STRING"
REFERENCE = (
    "system STRING, kind STRING, value STRING, product_id STRING, pack_factor DECIMAL(18,3), valid_from DATE, valid_until DATE, "
    "version_at TIMESTAMP"
)
PRODUCTS = (("P1", "4006381333931"), ("P2", None), ("P3", "96385074"), ("P4", "96385074"), ("42", None))
MAY, JUNE, JULY = date(2025, 5, 1), date(2025, 6, 1), date(2025, 7, 1)
REFERENCES = (
    ("cloud", "sku", "A", "P1", None, None, None, None),
    ("cloud", "sku", "A", "P2", None, JUNE, None, None),  # from June on the SKU is another article
    ("cloud", "sku", "B", "P1", None, None, date(2025, 5, 31), None),  # ends on 31 May, nothing follows
    ("cloud", "sku", "C", "P1", None, None, None, None),
    ("cloud", "sku", "C", "P2", None, None, None, None),  # two products at once
    ("other", "sku", "D", "P1", None, None, None, None),  # of another system
    (None, "gtin", "614141000036", "P2", Decimal(6), None, None, None),  # a carton of six
    ("vendor_till", "vendor_id", "42", "P1", None, None, None, None),
)
# line: source, product_ref, gtin, day -> product, how the lookup ended
LINES: dict[str, tuple[tuple[str, str | None, str | None, date], tuple[str | None, str | None]]] = {
    "a SKU is of its product": (("till_1", "A", None, MAY), ("P1", "found")),
    "the sources of one system share its names": (("till_2", "A", None, MAY), ("P1", "found")),
    "a reference holds from its beginning": (("till_1", "A", None, JUNE), ("P2", "found")),
    "on the day before that the one before it holds": (("till_1", "A", None, date(2025, 5, 31)), ("P1", "found")),
    "the stated last day is the last": (("till_1", "B", None, date(2025, 5, 31)), ("P1", "found")),
    "after its last day a reference holds no longer": (("till_1", "B", None, JUNE), ("till_1:B", "unknown")),
    "several products are ambiguous": (("till_1", "C", None, MAY), ("till_1:C", "ambiguous")),
    "an ambiguous name is not looked up further": (("till_1", "C", "4006381333931", MAY), ("till_1:C", "ambiguous")),
    "names of other systems do not count": (("till_1", "D", None, MAY), ("till_1:D", "unknown")),
    "what the first lookup does not find the next one may": (("till_1", "D", "4006381333931", MAY), ("P1", "found")),
    "the first lookup goes first": (("till_1", "A", "614141000036", MAY), ("P1", "found")),
    "a GTIN with more zeros in front is the same": (("till_1", None, "04006381333931", MAY), ("P1", "found")),
    "a GTIN of two products is ambiguous": (("till_1", None, "96385074", MAY), ("till_1:96385074", "ambiguous")),
    "a number of the till is none of the chain": (("vendor_till", "P2", None, MAY), ("vendor_till:P2", "unknown")),
    "a number of the vendor is that of its product": (("vendor_till", "42", None, MAY), ("P1", "found")),
    "the chain's own number, where it is asked for": (("shop", "42", None, MAY), ("42", "found")),
    "an unknown own number stays what it is": (("shop", "43", None, MAY), ("43", "unknown")),
    "without lookups the article number is the chain's": (("erp", "43", "96385074", MAY), ("43", None)),
    "a line without any name has no product": (("till_1", None, None, MAY), (None, None)),
    "a carton is found": (("till_1", None, "0614141000036", MAY), ("P2", "found")),
}  # fmt: skip


def resolved(spark: SparkSession, references: Sequence[tuple[object, ...]]) -> DataFrame:
    lines = [(n, *line, Decimal(2), "carton") for n, (line, _) in enumerate(LINES.values())]
    products = spark.createDataFrame(PRODUCTS, "product_id STRING, gtin STRING")
    return lookup.with_products(spark.createDataFrame(lines, LINE), spark.createDataFrame(references, REFERENCE), products, RULES)


def test_lines_find_their_products_whatever_the_order_of_the_references(spark: SparkSession) -> None:
    for references in (REFERENCES, REFERENCES[::-1]):
        rows = {row["n"]: row for row in resolved(spark, references).collect()}
        found = {case: (rows[n]["product_id"], rows[n]["_lookup"]) for n, case in enumerate(LINES)}
        assert found == {case: expected for case, (_, expected) in LINES.items()}
    pieces = {row["n"]: row for row in lookup.in_units_of_product(resolved(spark, REFERENCES)).collect()}
    carton = pieces[list(LINES).index("a carton is found")]
    assert (carton["product_ref"], str(carton["quantity"]), carton["unit"]) == ("P2", "12.000", None)
    single = pieces[list(LINES).index("a SKU is of its product")]
    assert (single["product_ref"], str(single["quantity"]), single["unit"]) == ("P1", "2.000", "carton")


def test_the_newest_delivery_of_a_beginning_counts(spark: SparkSession) -> None:
    rows = [
        ("old", "k", None, None, "2025-01-01 00:00:00"), ("new", "k", None, None, "2025-02-01 00:00:00"),
        ("next", "k", JUNE, None, "2025-01-01 00:00:00"), ("over", "l", MAY, JULY, None), ("after", "l", JUNE, None, None),
    ]  # fmt: skip
    schema = "name STRING, key STRING, valid_from DATE, valid_until DATE, at STRING"
    records = spark.createDataFrame(rows, schema).selectExpr("*", "CAST(at AS TIMESTAMP) AS version_at")
    found = {row["name"]: (row["_from"], row["_to"]) for row in lookup.in_force(records, ["key"]).collect()}
    assert found == {"new": (None, JUNE), "next": (JUNE, None), "over": (MAY, JUNE), "after": (JUNE, None)}


def test_lines_of_changed_references_are_those_that_could_use_them(spark: SparkSession) -> None:
    lines = spark.createDataFrame([(n, *line, None, None) for n, (line, _) in enumerate(LINES.values())], LINE)
    values = spark.createDataFrame([("sku", "A"), ("gtin", "4006381333931")], "kind STRING, value STRING")
    touched = {row["n"] for row in lookup.lines_of_values(lines, values, RULES).collect()}
    assert touched == {
        n for n, (line, _) in enumerate(LINES.values()) if line[1] == "A" or (line[2] or "").endswith("4006381333931")
    }


@pytest.mark.parametrize(
    ("data", "told"), [({"lookup": {"till": []}}, "name each lookup once"), ({"lookup": {"till": ["sku", "sku"]}}, "lookup.till")]
)
def test_an_order_of_lookups_names_each_once(data: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ProductRules.model_validate(data)
