"""What is told beside receipts and lines is read from wherever an export tells it."""

from __future__ import annotations

from decimal import Decimal

from pyspark.sql import Row, SparkSession

from tests.sources.mappings import CSV, JSON, source
from tests.sources.test_mapping import branches, bronze
from tillhouse.quality.rules import VIOLATIONS, with_violations
from tillhouse.sources.details import map_details
from tillhouse.sources.model import Source

Rows = list[tuple[str | None, ...]]


def details(spark: SparkSession, kind: str, mapped: Source, columns: str, rows: Rows) -> list[Row]:
    data = bronze(spark, columns, rows)
    found = [map_details(data, mapped, branches(spark), kind, item) for item in mapped.details[kind]]
    return [row for records, problems in found for row in with_violations(records, (), problems).orderBy("_row").collect()]


def test_a_column_for_each_means_of_payment_tells_one_payment_each(spark: SparkSession) -> None:
    changes = """
locale: {decimal: "."}
payments:
  - {columns: {tender_type: {value: CASH}, payment_amount: {aliases: [Bar]}}}
  - columns: {tender_type: {value: DEBIT}, payment_amount: {aliases: [Karte]}}
    only: [{when: [{aliases: [Karte], sign: positive}]}]
"""
    rows: Rows = [("1", "5.00", "0.00"), ("2", None, "7.00"), ("3", "2.00", "4.00")]
    found = details(spark, "payments", source(CSV, changes), "Bonnr Bar Karte", rows)
    assert [(row["receipt_id"], row["tender_type"], row["payment_amount"]) for row in found] == [
        ("1", "CASH", Decimal("5")), ("3", "CASH", Decimal("2")), ("2", "DEBIT", Decimal("7")), ("3", "DEBIT", Decimal("4")),
    ]  # fmt: skip


def test_a_tax_in_a_row_belongs_to_the_line_that_the_row_is(spark: SparkSession) -> None:
    changes = "{locale: {decimal: '.'}, taxes: {level: line, columns: {tax_amount: {aliases: [MwSt]}}}}"
    rows: Rows = [("F1", "1", None), ("F1", "1", "0.19"), ("F1", "2", "0.07")]
    found = details(spark, "taxes", source(CSV, changes), "Filiale Bonnr MwSt", rows)
    assert [(row["receipt_id"], row["line_number"], row["tax_amount"]) for row in found] == [
        ("1", 2, Decimal("0.19")), ("2", 1, Decimal("0.07")),
    ]  # fmt: skip


def test_a_list_in_a_line_has_the_number_of_the_line_and_conditions_may_look_at_the_receipt(spark: SparkSession) -> None:
    changes = """
locale: {decimal: "."}
taxes:
  level: line
  path: vat
  columns:
    tax_code: {aliases: [key], cases: [{when: [{aliases: [../abroad], one_of: ["yes"]}], value: EXPORT}]}
    tax_amount: {aliases: [sum]}
"""
    items = '[{"line":"7","amount":"1","vat":[{"key":"A","sum":"0.10"},{"key":"B","sum":"x"}]},{"line":"8","amount":"1"}]'
    torn = '[{"line":"7","amount":"1","vat":[1]}]'
    rows: Rows = [("1", items, None), ("2", items, "yes"), ("3", torn, None), ("4", None, None)]
    found = details(spark, "taxes", source(JSON, changes), "id items abroad", rows)
    told = [(row["receipt_id"], row["line_number"], row["tax_code"], row["tax_amount"]) for row in found]
    assert told == [
        ("1", 7, "A", Decimal("0.1")), ("1", 7, "B", None),
        ("2", 7, "EXPORT", Decimal("0.1")), ("2", 7, "EXPORT", None),
        ("3", 7, None, None),
    ]  # fmt: skip
    assert [tuple(violation) for violation in found[1][VIOLATIONS]] == [("field_unreadable", "error", "tax_amount", "x")]
    assert ("field_unreadable", "error", "vat", None) in [tuple(violation) for violation in found[4][VIOLATIONS]]
