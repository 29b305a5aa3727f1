"""How receipts were paid, what VAT is in them and what lowered their prices, over rows by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from tillhouse.gold.receipt_facts import to_fct_discounts, to_fct_payments, to_fct_taxes

DAY, NEXT_DAY = date(2026, 3, 2), date(2026, 3, 3)


def rows_of(spark: SparkSession, ddl: str, *rows: tuple[Any, ...]) -> DataFrame:
    """Amounts are written as text."""
    kinds = [part.rsplit(" ", 1)[1] for part in ddl.split(", ")]
    typed = [
        tuple(
            Decimal(value) if value is not None and kind.startswith("DECIMAL") else value
            for value, kind in zip(row, kinds, strict=True)
        )
        for row in rows
    ]
    return spark.createDataFrame(typed, ddl)


@pytest.fixture(scope="module")
def receipts(spark: SparkSession) -> DataFrame:
    """Three valid receipts and one that was voided."""
    ddl = "receipt_key STRING, branch_id STRING, business_date DATE, currency STRING, status STRING, transaction_type STRING"
    return rows_of(
        spark,
        ddl,
        ("sale", "B1", DAY, "EUR", "FINAL", "SALE"),
        ("back", "B1", DAY, "EUR", "FINAL", "RETURN"),
        ("other", "B2", NEXT_DAY, "CHF", "FINAL", "EXCHANGE"),
        ("voided", "B1", DAY, "EUR", "VOIDED", "SALE"),
    )


def lines(spark: SparkSession, *rows: tuple[str, int, str, int | None, str, str | None, str | None, str]) -> DataFrame:
    """Receipt, line, type, parent; with VAT, without, VAT, discount contained."""
    ddl = (
        "receipt_key STRING, line_number INT, line_type STRING, parent_line_number INT, gross_amount DECIMAL(18,2), "
        "net_amount DECIMAL(18,2), tax_amount DECIMAL(18,2), discount_amount DECIMAL(18,2)"
    )
    return rows_of(spark, ddl, *rows)


def payments(spark: SparkSession, *rows: tuple[str, str, int, str, str]) -> DataFrame:
    """Receipt that is paid, document that tells it, number, means, amount."""
    ddl = (
        "receipt_key STRING, _document_key STRING, payment_number INT, tender_type STRING, amount DECIMAL(18,2), source STRING, "
        "branch_id STRING, business_date DATE, currency STRING, tendered_amount DECIMAL(18,2), change_amount DECIMAL(18,2), "
        "tip_amount DECIMAL(18,2), foreign_currency STRING, foreign_amount DECIMAL(18,2), tender_name STRING, _month STRING"
    )
    of_document = ("till", "B9", NEXT_DAY, "USD", None, None, None, None, None, "note of a person", "2026-03")
    return rows_of(spark, ddl, *((*row, *of_document) for row in rows))


def taxes(spark: SparkSession, *rows: tuple[str, int, str, str, str | None, str, str | None]) -> DataFrame:
    """Receipt, line (0: the whole receipt), code, rate; without VAT, VAT, with VAT."""
    ddl = (
        "receipt_key STRING, line_number INT, tax_code STRING, tax_rate DECIMAL(9,5), net_amount DECIMAL(18,2), "
        "tax_amount DECIMAL(18,2), gross_amount DECIMAL(18,2)"
    )
    return rows_of(spark, ddl, *rows)


def adjustments(spark: SparkSession, *rows: tuple[str, int, int | None, str, str]) -> DataFrame:
    """Receipt, number, line (None: the whole receipt), kind, change of the price."""
    ddl = (
        "receipt_key STRING, adjustment_number INT, line_number INT, adjustment_type STRING, amount DECIMAL(18,2), level STRING, "
        "reason STRING, promotion_id STRING, branch_id STRING, business_date DATE, currency STRING, _month STRING"
    )
    told = [(*row, "receipt" if row[2] is None else "line", "loyal", "P7", "B1", DAY, "EUR", "2026-03") for row in rows]
    return rows_of(spark, ddl, *told)


def found(rows: DataFrame, *names: str) -> list[tuple[Any, ...]]:
    """Values of these columns, money as text."""
    return sorted(
        (tuple(str(value) if isinstance(value, Decimal) else value for value in row) for row in rows.select(*names).collect()),
        key=str,
    )


def test_a_payment_lies_on_the_branch_and_day_of_its_receipt_and_of_voided_receipts_there_is_none(
    spark: SparkSession, receipts: DataFrame
) -> None:
    given = payments(spark, ("sale", "sale", 1, "CASH", "10.00"), ("voided", "voided", 1, "CASH", "9.00"))
    fact = to_fct_payments(given, receipts)
    names = ("receipt_key", "branch_id", "business_date", "paid_on", "currency", "_month", "tender_type", "amount")
    assert found(fact, *names) == [("sale", "B1", DAY, NEXT_DAY, "EUR", "2026-03", "CASH", "10.00")]
    assert not {"customer_id", "tender_name"} & set(fact.columns)


def test_payments_of_a_receipt_that_two_documents_tell_are_all_kept_and_numbered(
    spark: SparkSession, receipts: DataFrame
) -> None:
    given = payments(
        spark,
        ("sale", "paper", 1, "CREDIT", "4.00"),
        ("sale", "sale", 1, "CASH", "6.00"),
        ("sale", "sale", 1, "CASH", "6.00"),
        ("back", "back", 7, "CASH", "-5.00"),
    )
    assert found(to_fct_payments(given, receipts), "receipt_key", "payment_number", "amount") == [
        ("back", 1, "-5.00"), ("sale", 1, "4.00"), ("sale", 2, "6.00"), ("sale", 3, "6.00"),
    ]  # fmt: skip


TAX = ("receipt_key", "tax_number", "told_by", "tax_code", "tax_rate", "net_amount", "tax_amount", "gross_amount")


def test_taxes_add_up_by_code_and_rate_and_lines_without_one_count_with_their_own_vat(
    spark: SparkSession, receipts: DataFrame
) -> None:
    of_lines = lines(
        spark,
        ("sale", 1, "ITEM", None, "11.90", "10.00", "1.90", "0"),
        ("sale", 2, "ITEM", None, "2.38", "2.00", "0.38", "0"),
        ("sale", 3, "ITEM", None, "1.07", "1.00", "0.07", "0"),
        ("sale", 4, "DEPOSIT", None, "0.25", None, None, "0"),
        ("sale", 5, "COMPONENT", 1, "0.00", "0.00", "0.00", "0"),
        ("sale", 6, "ITEM", None, "2.14", None, "0.14", "0"),
        ("voided", 1, "ITEM", None, "11.90", "10.00", "1.90", "0"),
    )
    told = taxes(
        spark, ("sale", 1, "A", "0.19", "10.00", "1.90", "11.90"), ("sale", 2, "A", "0.19", "2.00", "0.38", "2.38")
    )  # fmt: skip
    assert found(to_fct_taxes(of_lines, receipts, told), *TAX) == [
        ("sale", 1, "tax", "A", "0.19000", "12.00", "2.28", "14.28"),
        ("sale", 2, "nothing", None, None, None, None, "0.25"),
        ("sale", 3, "line", None, None, "3.00", "0.21", "3.21"),
    ]


def test_taxes_of_the_whole_receipt_stand_for_all_its_lines_and_a_net_amount_that_is_not_told_is_not_made_up(
    spark: SparkSession, receipts: DataFrame
) -> None:
    of_lines = lines(
        spark,
        ("back", 1, "ITEM", None, "-11.90", None, None, "0"),
        ("back", 2, "ITEM", None, "-1.07", "-1.00", "-0.07", "0"),
        ("other", 1, "ITEM", None, "5.00", "4.20", "0.80", "0"),
    )
    told = taxes(
        spark,
        ("back", 0, "A", "0.19", None, "-1.90", None),
        ("back", 0, "A", "0.19", "-1.00", "-0.19", "-1.19"),
        ("back", 0, "B", "0.07", "-1.00", "-0.07", "-1.07"),
    )
    assert found(to_fct_taxes(of_lines, receipts, told), *TAX) == [
        ("back", 1, "tax", "A", "0.19000", None, "-2.09", None),
        ("back", 2, "tax", "B", "0.07000", "-1.00", "-0.07", "-1.07"),
        ("other", 1, "line", None, None, "4.20", "0.80", "5.00"),
    ]
    assert found(to_fct_taxes(of_lines, receipts), "receipt_key", "told_by", "gross_amount") == [
        ("back", "line", "-1.07"), ("back", "nothing", "-11.90"), ("other", "line", "5.00"),
    ]  # fmt: skip


DISCOUNT = ("told_by", "discount_number", "level", "line_number", "discount_amount", "receipt_discount_amount")


def test_without_adjustments_every_discount_that_lines_contain_is_a_row(spark: SparkSession, receipts: DataFrame) -> None:
    of_lines = lines(
        spark,
        ("sale", 1, "ITEM", None, "8.00", None, None, "2.00"),
        ("sale", 2, "DISCOUNT", 1, "-0.50", None, None, "0"),
        ("sale", 3, "DISCOUNT", None, "-1.00", None, None, "0"),
        ("sale", 4, "DEPOSIT", None, "0.25", None, None, "0.10"),
        ("voided", 1, "DISCOUNT", None, "-1.00", None, None, "0"),
    )
    assert found(to_fct_discounts(of_lines, receipts), *DISCOUNT) == [
        ("line", 1, "line", 1, "2.00", "2.00"),
        ("line", 2, "line", 1, "0.50", "0.50"),
        ("line", 3, "receipt", None, "1.00", "1.00"),
    ]


CASES: dict[str, tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], list[tuple[Any, ...]]]] = {
    "adjustments stand for the discount of their line where they explain it": (
        [(1, "ITEM", None, "8.00", "2.00"), (2, "ITEM", None, "9.00", "1.00")],
        [(1, 1, "PROMOTION", "-1.50"), (2, 1, "COUPON", "-0.50")],
        [
            ("adjustment", 1, "line", 1, "1.50", "1.50"), ("adjustment", 2, "line", 1, "0.50", "0.50"),
            ("line", 2, "line", 2, "1.00", "1.00"),
        ],
    ),
    "what adjustments leave unexplained is a row of its own": (
        [(1, "ITEM", None, "8.00", "2.00")],
        [(1, 1, "PROMOTION", "-1.50")],
        [("adjustment", 1, "line", 1, "1.50", "1.50"), ("line", 1, "line", 1, "0.50", "0.50")],
    ),
    "an adjustment of a line that contains no discount is none of the receipt's discount": (
        [(1, "ITEM", None, "8.00", "0")],
        [(1, 1, "PRICE_OVERRIDE", "-2.00")],
        [("adjustment", 1, "line", 1, "2.00", "0.00")],
    ),
    "an adjustment explains the discount lines below its line, also when told in one of them": (
        [(1, "ITEM", None, "10.00", "0"), (2, "DISCOUNT", 1, "-1.00", "0"), (3, "DISCOUNT", 1, "-0.50", "0")],
        [(1, 2, "PROMOTION", "-1.00"), (2, 1, "REWARD", "-0.50")],
        [("adjustment", 1, "line", 2, "1.00", "1.00"), ("adjustment", 2, "line", 1, "0.50", "0.50")],
    ),
    "adjustments of the whole receipt explain its own discount lines before those of lines": (
        [(1, "ITEM", None, "8.00", "2.00"), (2, "DISCOUNT", None, "-3.00", "0")],
        [(1, None, "REWARD", "-1.00"), (2, None, "REWARD", "-2.00")],
        [
            ("adjustment", 1, "receipt", None, "1.00", "1.00"), ("adjustment", 2, "receipt", None, "2.00", "2.00"),
            ("line", 1, "line", 1, "2.00", "2.00"),
        ],
    ),
    "a discount of the whole receipt that is contained in its lines is not counted again with them": (
        [(1, "ITEM", None, "9.00", "1.00"), (2, "ITEM", None, "18.00", "2.05"), (3, "ITEM", None, "4.00", "1.00")],
        [(1, None, "PROMOTION", "-3.00"), (2, 3, "COUPON", "-1.00")],
        [
            ("adjustment", 1, "receipt", None, "3.00", "3.00"), ("adjustment", 2, "line", 3, "1.00", "1.00"),
            ("line", 1, "receipt", None, "0.05", "0.05"),
        ],
    ),
    "surcharges and roundings explain no discount": (
        [(1, "ITEM", None, "8.00", "2.00")],
        [(1, 1, "SURCHARGE", "0.30"), (2, None, "ROUNDING", "-0.02")],
        [
            ("adjustment", 1, "line", 1, "-0.30", "0.00"), ("adjustment", 2, "receipt", None, "0.02", "0.00"),
            ("line", 1, "line", 1, "2.00", "2.00"),
        ],
    ),
    "a discount on what comes back is negative": (
        [(1, "ITEM", None, "-8.00", "-2.00")],
        [(1, 1, "PROMOTION", "2.00")],
        [("adjustment", 1, "line", 1, "-2.00", "-2.00")],
    ),
}  # fmt: skip


def test_each_discount_counts_once_whoever_tells_it(spark: SparkSession) -> None:
    """One receipt for each case."""
    of_lines, told = [], []
    for name, (given, adjusting, _) in CASES.items():
        of_lines += [(name, *line[:3], line[3], None, None, line[4]) for line in given]
        told += [(name, *adjustment) for adjustment in adjusting]
    valid = rows_of(
        spark,
        "receipt_key STRING, branch_id STRING, business_date DATE, currency STRING, status STRING, transaction_type STRING",
        *((name, "B1", DAY, "EUR", "FINAL", "SALE") for name in CASES),
    )
    fact = to_fct_discounts(lines(spark, *of_lines), valid, adjustments(spark, *told))
    rows = found(fact, "receipt_key", *DISCOUNT)
    assert {name: [row[1:] for row in rows if row[0] == name] for name in CASES} == {
        name: sorted(wanted, key=str) for name, (_, _, wanted) in CASES.items()
    }
    assert fact.select("receipt_key", "told_by", "discount_number").distinct().count() == len(rows)
