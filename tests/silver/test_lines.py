"""Signs of lines: how a till writes returns and voids, and what becomes of it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from tests.sources.mappings import CSV, source
from tests.sources.test_mapping import bronze
from tillhouse.silver import lines

BRANCHES = "branch_id STRING, time_zone STRING, currency STRING, day_start STRING, opened_on DATE, closed_on DATE"
VOIDS = """
locale: {decimal: "."}
columns:
  product_ref: {aliases: [Artikel]}
  quantity: {aliases: [Menge]}
  tax_amount: {aliases: [MwSt]}
  transaction_type: {aliases: [Vorgang]}
  line_type: {aliases: [Art]}
  is_void: {cases: [{when: [{aliases: [Storno], is_given: true}], value: "true"}]}
  gross_amount: {aliases: [Betrag], cases: [{when: [{aliases: [Storno], is_given: true}], aliases: [Storno]}]}
"""
ITEM, BACK = ("ITEM", "SALE"), ("ITEM", "RETURN")


@pytest.mark.parametrize(
    ("sign_rule", "rows", "expected"),
    [
        (
            "signed",
            [
                ("A", "1", "3.49", None, "0.23", *ITEM),
                ("A", "1", None, "3.49", "0.23", *ITEM),
                ("B", "2", "7.00", None, "0.46", *ITEM),
            ],
            [("3.49", "0.23", "1", True), ("-3.49", "-0.23", "-1", True), ("7.00", "0.46", "2", False)],
        ),
        (
            "signed",
            [
                ("A", "1", "10.00", None, None, *ITEM),
                (None, None, "1.20", None, None, "DISCOUNT", "SALE"),
                (None, None, None, "1.20", None, "DISCOUNT", "SALE"),
            ],
            [("10.00", None, "1", False), ("-1.20", None, None, False), ("1.20", None, None, True)],
        ),
        (
            "by_type",
            [("A", "1", "5.00", None, "0.33", *BACK), ("A", "1", None, "5.00", "0.33", *BACK)],
            [("-5.00", "-0.33", "-1", True), ("5.00", "0.33", "1", True)],
        ),
        (
            "by_quantity",
            [("A", "-1", "5.00", None, "0.33", *ITEM), ("A", "-1", None, "5.00", "0.33", *ITEM)],
            [("-5.00", "-0.33", "-1", True), ("5.00", "0.33", "1", True)],
        ),
    ],
    ids=["of a sale", "of a discount", "of a return by its type", "of a return by its quantity"],
)
def test_a_void_in_a_column_of_its_own_takes_back_what_it_repeats(
    spark: SparkSession,
    sign_rule: str,
    rows: list[tuple[str | None, ...]],
    expected: list[tuple[str, str | None, str | None, bool]],
) -> None:
    mapped = source(CSV, f"sign_rule: {sign_rule}\nvoid_rule: as_original\n{VOIDS}")
    names = "Filiale Bonnr Datum Artikel Menge Betrag Storno MwSt Art Vorgang"
    data = bronze(spark, names, [("F1", "1", "31.01.2026", *row) for row in rows])
    branches = spark.createDataFrame([("F1", "UTC", "EUR", "00:00", None, None)], BRANCHES)
    judged = lines.with_marks(lines.to_lines(data, mapped, branches))
    found = lines.settle(lines.accepted(judged)).orderBy("line_number").collect()

    def read(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    assert [(row["gross_amount"], row["tax_amount"], row["quantity"], row["is_voided"]) for row in found] == [
        (read(gross), read(tax), read(quantity), is_voided) for gross, tax, quantity, is_voided in expected
    ]
