"""Z reports beside what has come of their closings, over rows by hand: to the cent, by type of line, tender and tax key."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from pyspark.sql import DataFrame, SparkSession

from tillhouse.gold import tie_out

MONDAY, TUESDAY, LONG_AFTER = date(2026, 3, 2), date(2026, 3, 3), date(2026, 6, 3)
CLOSING = "closing_key STRING, source STRING, branch_id STRING, register_id STRING, closing_id STRING, business_date DATE"
TOTALS = (
    f"{CLOSING}, total_kind STRING, line_type STRING, tender_type STRING, tax_code STRING, gross_amount DECIMAL(18,2), "
    "net_amount DECIMAL(18,2), tax_amount DECIMAL(18,2), currency STRING"
)
RECEIPTS = (
    "receipt_key STRING, closing_key STRING, source STRING, branch_id STRING, register_id STRING, closing_id STRING, "
    "business_date DATE, status STRING, transaction_type STRING"
)
OF_RECEIPT = "receipt_key STRING, source STRING, branch_id STRING, business_date DATE, currency STRING"
LINES = f"{OF_RECEIPT}, line_type STRING, gross_amount DECIMAL(18,2)"
PAYMENTS = f"{OF_RECEIPT}, tender_type STRING, amount DECIMAL(18,2), foreign_currency STRING, foreign_amount DECIMAL(18,2)"
TAXES = f"{OF_RECEIPT}, tax_code STRING, tax_rate DECIMAL(9,5), net_amount DECIMAL(18,2), tax_amount DECIMAL(18,2)"
TOLD = tie_out.Told(("till",), ("till",), ("till",))


def money(amount: str | None) -> Decimal | None:
    return None if amount is None else Decimal(amount)


def total(closing: str, kind: str, member: str | None, gross: str, **others: str) -> tuple[object, ...]:
    place = (closing, "till", "1", "K1", closing, date.fromisoformat(others.get("day", str(MONDAY))))
    types = {"BUSINESS_CASE": (member, None), "PAYMENT": (None, member), "CURRENCY": (None, None)}[kind]
    amounts = (money(gross), money(others.get("net")), money(others.get("tax")))
    return (*place, kind, *types, others.get("code"), *amounts, others.get("currency", "EUR"))


def receipt(key: str, closing: str, day: date = MONDAY, status: str = "FINAL", kind: str = "SALE") -> tuple[object, ...]:
    return (key, closing, "till", "1", "K1", closing, day, status, kind)


def tied(
    spark: SparkSession,
    totals: list[tuple[object, ...]],
    receipts: list[tuple[object, ...]],
    told: tie_out.Told = TOLD,
    **come: list[tuple[object, ...]],
) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """By closing, kind and member: stated, actual and difference, and the status."""
    reports = spark.createDataFrame(totals, TOTALS)
    ddls = {"lines": LINES, "payments": PAYMENTS, "taxes": TAXES}
    frames: dict[str, DataFrame] = {
        name: spark.createDataFrame([(row[0], "till", "1", MONDAY, "EUR", *row[1:]) for row in come.get(name, [])], ddl)
        for name, ddl in ddls.items()
    }
    placed = tie_out.to_placed(spark.createDataFrame(receipts, RECEIPTS), reports)
    found = tie_out.to_tie_out(reports, placed, told, **frames)
    return {
        (row.closing_key, row.kind, row.member): (
            str(row.stated_amount), str(row.actual_amount), str(row.difference_amount), row.status
        )
        for row in found.collect()
    }  # fmt: skip


def test_a_report_is_compared_by_type_of_line_tender_currency_and_tax_key(spark: SparkSession) -> None:
    found = tied(
        spark,
        [
            total("Z1", "BUSINESS_CASE", "ITEM", "119.00", code="1", net="100.00", tax="19.00"),
            total("Z1", "BUSINESS_CASE", "ITEM", "10.70", code="2", net="10.00", tax="0.70"),
            total("Z1", "BUSINESS_CASE", "DEPOSIT", "0.25"),
            total("Z1", "PAYMENT", "CASH", "29.95"),
            total("Z1", "PAYMENT", "DEBIT", "100.00"),
            total("Z1", "CURRENCY", None, "9.95"),
            total("Z1", "CURRENCY", None, "21.00", currency="CHF"),
        ],
        [
            receipt("a", "Z1"), receipt("b", "Z1", TUESDAY), receipt("v", "Z1", status="VOIDED"),
            receipt("t", "Z1", kind="TRAINING"),
        ],
        lines=[
            ("a", "ITEM", Decimal("119.00")), ("b", "ITEM", Decimal("10.70")), ("b", "SURCHARGE", Decimal("1.00")),
            ("v", "ITEM", Decimal("99.00")), ("t", "ITEM", Decimal("99.00")),
        ],
        payments=[
            ("a", "DEBIT", Decimal("100.00"), None, None), ("a", "CASH", Decimal("19.00"), "CHF", Decimal("21.00")),
            ("b", "CASH", Decimal("10.95"), None, None),
        ],
        taxes=[
            ("a", "1", Decimal("0.19"), Decimal("50.00"), Decimal("9.50")),
            ("a", "1", Decimal("0.19"), Decimal("50.00"), Decimal("9.49")),
            ("b", "2", Decimal("0.07"), Decimal("10.00"), Decimal("0.72")),
        ],
    )  # fmt: skip
    assert found == {
        ("Z1", "BUSINESS_CASE", "ITEM"): ("129.70", "129.70", "0.00", "agrees"),
        ("Z1", "BUSINESS_CASE", "DEPOSIT"): ("0.25", "0.00", "0.25", "differs"),
        ("Z1", "BUSINESS_CASE", "SURCHARGE"): ("0.00", "1.00", "-1.00", "differs"),
        ("Z1", "PAYMENT", "CASH"): ("29.95", "29.95", "0.00", "agrees"),
        ("Z1", "PAYMENT", "DEBIT"): ("100.00", "100.00", "0.00", "agrees"),
        ("Z1", "CURRENCY", "EUR"): ("9.95", "10.95", "-1.00", "differs"),
        ("Z1", "CURRENCY", "CHF"): ("21.00", "21.00", "0.00", "agrees"),
        ("Z1", "NET", "1"): ("100.00", "100.00", "0.00", "agrees"),
        ("Z1", "NET", "2"): ("10.00", "10.00", "0.00", "agrees"),
        ("Z1", "TAX", "1"): ("19.00", "18.99", "0.01", "agrees"),  # what rounding two taxes to cents explains
        ("Z1", "TAX", "2"): ("0.70", "0.72", "-0.02", "differs"),
    }


def test_reports_without_receipts_receipts_without_reports_and_kinds_that_are_not_told(spark: SparkSession) -> None:
    found = tied(
        spark,
        [
            total("Z1", "BUSINESS_CASE", None, "10.00"),
            total("Z2", "BUSINESS_CASE", "ITEM", "5.00"),
            total("Z3", "BUSINESS_CASE", "ITEM", "0.00"),
            total("Z5", "BUSINESS_CASE", "ITEM", "3.00"),
        ],
        [receipt("a", "Z1"), receipt("b", "Z4", TUESDAY), receipt("c", "Z5", LONG_AFTER)],
        lines=[
            ("a", "ITEM", Decimal("12.00")), ("a", "DISCOUNT", Decimal("-2.00")), ("b", "ITEM", Decimal("7.00")),
            ("c", "ITEM", Decimal("3.00")),
        ],
        payments=[("a", "CASH", Decimal("10.00"), None, None), ("b", "CASH", Decimal("7.00"), None, None)],
    )  # fmt: skip
    assert {key: of for key, of in found.items() if key[0] != "Z5"} == {
        ("Z1", "BUSINESS_CASE", "all"): ("10.00", "10.00", "0.00", "agrees"),  # the report names no types, and no payments
        ("Z2", "BUSINESS_CASE", "ITEM"): ("5.00", "0.00", "5.00", "no_receipts"),
        ("Z3", "BUSINESS_CASE", "ITEM"): ("0.00", "0.00", "0.00", "agrees"),
        ("Z4", "BUSINESS_CASE", "ITEM"): ("None", "7.00", "None", "no_report"),
        ("Z4", "PAYMENT", "CASH"): ("None", "7.00", "None", "no_report"),
    }


def test_a_receipt_months_after_the_closing_of_its_number_is_not_of_it(spark: SparkSession) -> None:
    reports = spark.createDataFrame([total("Z5", "BUSINESS_CASE", "ITEM", "3.00")], TOTALS)
    sold = [receipt("near", "Z5", TUESDAY), receipt("far", "Z5", LONG_AFTER)]
    placed = tie_out.to_placed(spark.createDataFrame(sold, RECEIPTS), reports).collect()
    assert {row.receipt_key: (row.business_date, row._has_report) for row in placed} == {
        "near": (MONDAY, True), "far": (LONG_AFTER, False),
    }  # fmt: skip


def test_what_receipts_do_not_come_with_is_not_compared(spark: SparkSession) -> None:
    found = tied(
        spark,
        [total("Z1", "BUSINESS_CASE", "ITEM", "11.90", code="1", tax="1.90"), total("Z1", "PAYMENT", "CASH", "11.90")],
        [receipt("a", "Z1")],
        tie_out.Told(("till",), (), ()),
        lines=[("a", "ITEM", Decimal("11.90"))],
    )
    assert found == {("Z1", "BUSINESS_CASE", "ITEM"): ("11.90", "11.90", "0.00", "agrees")}
