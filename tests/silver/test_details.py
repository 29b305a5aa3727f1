"""What belongs to receipts beside their lines: cents, signs and keys, over rows by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from tillhouse.keys import surrogate_key
from tillhouse.silver import details

DAY = date(2026, 3, 2)


def rows_of(spark: SparkSession, ddl: str, *rows: tuple[Any, ...]) -> DataFrame:
    """Amounts are written as text."""
    kinds = [part.rsplit(" ", 1) for part in ddl.split(", ")]
    typed = [
        tuple(
            Decimal(value) if isinstance(value, str) and kind.startswith("DECIMAL") else value
            for value, (_, kind) in zip(row, kinds, strict=True)
        )
        for row in rows
    ]
    return spark.createDataFrame(typed, ddl)


def receipts(spark: SparkSession, *gross: tuple[str, str]) -> DataFrame:
    ddl = "receipt_key STRING, _file_id STRING, business_date DATE, currency STRING, gross_amount DECIMAL(18,2)"
    return rows_of(spark, ddl, *((key, "f", DAY, "EUR", amount) for key, amount in gross))


def lines(spark: SparkSession, *rows: tuple[str, int, str, str | None, str]) -> DataFrame:
    """Receipt, number, amount with VAT, VAT, amount as delivered."""
    ddl = "receipt_key STRING, line_number INT, gross_amount DECIMAL(18,2), tax_amount DECIMAL(18,2), _amount_read DECIMAL(18,5)"
    return rows_of(spark, ddl, *rows)


def taxes(spark: SparkSession, *rows: tuple[str, int | None, int, bool, str | None, str, str | None]) -> DataFrame:
    """Receipt, line, number, whether it lies in a line; without VAT, VAT, with VAT."""
    ddl = (
        "receipt_key STRING, line_number INT, _number INT, _is_of_line BOOLEAN, net_amount DECIMAL(18,5), "
        "tax_amount DECIMAL(18,5), gross_amount DECIMAL(18,5), _file_id STRING, source STRING, branch_id STRING, "
        "tax_code STRING, tax_rate DECIMAL(18,5), tax_percent DECIMAL(18,5), _is_signed BOOLEAN"
    )
    return rows_of(spark, ddl, *((*row, "f", "till", "1", "A", None, "19", False) for row in rows))


def test_taxes_of_a_line_get_its_sign_and_add_up_to_its_cents(spark: SparkSession) -> None:
    given = taxes(
        spark,
        ("menu", 1, 1, True, "4.19328", "0.79672", "4.99"),
        ("menu", 1, 2, True, "4.66355", "0.32645", None),
        ("back", 1, 1, True, None, "0.206", "1.29"),
        ("far", 1, 1, True, None, "0.19", "1.20"),
        ("gone", 9, 1, True, None, "0.19", "1.20"),
        ("whole", None, 1, False, None, "0.38", "2.38"),
    )
    sold = lines(
        spark,
        ("menu", 1, "9.98", "1.12", "9.98"),
        ("back", 1, "-1.29", None, "1.29"),
        ("far", 1, "1.19", "0.19", "1.19"),
    )
    documents = receipts(spark, ("menu", "9.98"), ("back", "-1.29"), ("far", "1.19"), ("gone", "5.00"), ("whole", "-2.38"))
    found = details.to_taxes(given, documents, sold).orderBy("receipt_key", "tax_number").collect()
    assert [(row["receipt_key"], row["line_number"], str(row["net_amount"]), str(row["tax_amount"])) for row in found] == [
        ("back", 1, "-1.08", "-0.21"),
        ("far", 1, "1.01", "0.19"),  # differs from its line: stays as delivered
        ("menu", 1, "4.19", "0.80"),
        ("menu", 1, "4.67", "0.32"),
        ("whole", 0, "-2.00", "-0.38"),
    ]
    assert {str(row["tax_rate"]) for row in found} == {"0.19000"}


def test_a_reference_names_a_receipt_as_far_as_its_parts_are_told(spark: SparkSession) -> None:
    ddl = (
        "receipt_key STRING, ref_type STRING, ref_branch_id STRING, ref_register_id STRING, ref_closing_id STRING, "
        "ref_receipt_id STRING, _is_named_ref_branch_id BOOLEAN, _number INT, _file_id STRING, source STRING, branch_id STRING, "
        "register_id STRING, closing_id STRING, receipt_id STRING, line_number INT, ref_line_number INT, ref_date DATE, "
        "external_ref STRING, _is_named_ref_register_id BOOLEAN, _is_named_ref_closing_id BOOLEAN"
    )
    rest = (1, "f", "till", "1", "K1", "Z1", "R9", None, None, None, None, False, False)
    cases = [
        ("full", "RETURN_OF", "2", "K7", "Z3", "R1", True),
        ("same branch", "RETURN_OF", None, None, "Z3", "R1", False),
        ("no closing", "VOID_OF", "2", "K7", None, "R1", True),
        ("unknown branch", "RETURN_OF", None, "K7", "Z3", "R1", True),
        ("outside", "EXTERNAL", None, None, None, None, False),
    ]
    given = spark.createDataFrame([(*case, *rest) for case in cases], ddl)
    documents = receipts(spark, *((case[0], "1.00") for case in cases))
    rows = {row["receipt_key"]: row for row in details.to_references(given, documents, documents).collect()}
    keys = spark.createDataFrame(
        [("till", "2", "K7", "Z3", "R1"), ("till", "1", "K1", "Z3", "R1")], "a STRING, b STRING, c STRING, d STRING, e STRING"
    )
    full, same = (row[0] for row in keys.select(surrogate_key("a", "b", "c", "d", "e")).collect())
    assert {key: row["ref_receipt_key"] for key, row in rows.items()} == {
        "full": full, "same branch": same, "no closing": None, "unknown branch": None, "outside": None,
    }  # fmt: skip
    assert (rows["same branch"]["ref_branch_id"], rows["unknown branch"]["ref_branch_id"]) == ("1", None)


def test_an_adjustment_lowers_what_is_sold_and_raises_what_comes_back_less(spark: SparkSession) -> None:
    ddl = (
        "receipt_key STRING, line_number INT, adjustment_type STRING, adjustment_amount DECIMAL(18,5), _number INT, "
        "_is_of_line BOOLEAN, _file_id STRING, source STRING, branch_id STRING, reason STRING, promotion_id STRING"
    )
    rest = (1, False, "f", "till", "1", None, None)
    given = rows_of(
        spark,
        ddl,
        ("sold", 1, "DISCOUNT", "0.5", *rest),
        ("sold", None, "SURCHARGE", "-0.30", *rest),
        ("back", 1, "COUPON", "-0.5", *rest),
        ("back", None, "ROUNDING", "0.02", *rest),
    )
    documents = receipts(spark, ("sold", "4.00"), ("back", "-4.00"))
    found = details.to_adjustments(
        given, documents, lines(spark, ("sold", 1, "4.00", None, "4.00"), ("back", 1, "-4.00", None, "-4"))
    )
    assert {(row["adjustment_type"], row["level"]): str(row["amount"]) for row in found.collect()} == {
        ("DISCOUNT", "line"): "-0.50", ("SURCHARGE", "receipt"): "0.30",
        ("COUPON", "line"): "0.50", ("ROUNDING", "receipt"): "0.02",
    }  # fmt: skip


def test_payments_less_tips_have_to_add_up_to_the_receipt(spark: SparkSession) -> None:
    parts = "source STRING, branch_id STRING, register_id STRING, closing_id STRING, receipt_id STRING, _file STRING, _row BIGINT"
    ddl = f"receipt_key STRING, transaction_type STRING, gross_amount DECIMAL(18,2), business_date DATE, currency STRING, {parts}"
    rest = (DAY, "EUR", "till", "1", None, None)
    cases = [("tipped", "SALE", "10.00"), ("short", "SALE", "10.00"), ("order", "ORDER", "10.00")]
    documents = rows_of(spark, ddl, *((*case, *rest, case[0], "file", 1) for case in cases))
    paid = rows_of(
        spark,
        "receipt_key STRING, amount DECIMAL(18,2), tip_amount DECIMAL(18,2)",
        ("tipped", "12.00", "2.00"),
        ("short", "4.00", None),
        ("short", "5.00", None),
        ("order", "1.00", None),
    )
    [found] = details.of_payments(documents, paid).collect()
    assert (found["record_key"], str(found["amount"])) == ("1/-/-/short", "-1.00")
