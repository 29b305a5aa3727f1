"""What is owed for vouchers: every sale, redemption and refund, and what is left of each, over rows by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from pyspark.sql import DataFrame, SparkSession

from tillhouse.gold import vouchers

FIRST, SECOND, THIRD = (date(2017, 6, day) for day in (1, 2, 3))
RECEIPTS = "receipt_key STRING, branch_id STRING, business_date DATE, status STRING, transaction_type STRING"
LINES = (
    "receipt_key STRING, line_number INT, line_type STRING, gross_amount DECIMAL(18,2), voucher_token STRING, is_void BOOLEAN, "
    "currency STRING"
)
PAYMENTS = "receipt_key STRING, payment_number INT, tender_type STRING, amount DECIMAL(18,2), currency STRING"


def receipts(spark: SparkSession, *rows: tuple[str, str, date], status: str = "FINAL", kind: str = "SALE") -> DataFrame:
    return spark.createDataFrame([(*row, status, kind) for row in rows], RECEIPTS)


def lines(spark: SparkSession, *rows: tuple[str, int, str, str, str | None]) -> DataFrame:
    made = [(key, number, kind, Decimal(amount), token, False, "EUR") for key, number, kind, amount, token in rows]
    return spark.createDataFrame(made, LINES)


def payments(spark: SparkSession, *rows: tuple[str, int, str, str]) -> DataFrame:
    return spark.createDataFrame([(key, number, kind, Decimal(amount), "EUR") for key, number, kind, amount in rows], PAYMENTS)


def test_what_is_owed_rises_by_sales_and_refunds_and_falls_by_lines_and_payments(spark: SparkSession) -> None:
    found = vouchers.to_vouchers(
        receipts(spark, ("sold", "1", FIRST), ("both", "2", SECOND), ("back", "1", SECOND)),
        lines(
            spark, ("sold", 1, "GIFTCARD_SALE", "50.00", None), ("sold", 2, "ITEM", "9.00", None),
            ("both", 1, "ITEM", "40.00", None), ("both", 2, "GIFTCARD_REDEEM", "-15.00", None),
            ("sold", 3, "SPV_SALE", "20.00", None),
        ),
        payments(spark, ("sold", 1, "CASH", "79.00"), ("both", 1, "GIFT_CARD", "25.00"), ("back", 1, "GIFT_CARD", "-8.00")),
    )  # fmt: skip
    assert {(row.receipt_key, row.told_by, row.position): (row.movement, str(row.change_amount)) for row in found.collect()} == {
        ("sold", "line", 1): ("sold", "50.00"),
        ("sold", "line", 3): ("sold", "20.00"),
        ("both", "line", 2): ("redeemed", "-15.00"),
        ("both", "payment", 1): ("redeemed", "-25.00"),  # the payments make up what the line leaves to pay
        ("back", "payment", 1): ("refunded", "8.00"),
    }
    liabilities = vouchers.to_liabilities(found)
    assert {
        (row.branch_id, row.business_date, row.voucher_type): tuple(map(str, row[4:])) for row in liabilities.collect()
    } == {
        ("1", FIRST, "multi_purpose"): ("50.00", "0.00", "0.00", "50.00"),
        ("1", FIRST, "single_purpose"): ("20.00", "0.00", "0.00", "20.00"),
        ("2", SECOND, "multi_purpose"): ("0.00", "40.00", "0.00", "-40.00"),
        ("1", SECOND, "multi_purpose"): ("0.00", "0.00", "8.00", "8.00"),
    }  # fmt: skip
    balances = vouchers.to_balances(liabilities).collect()
    assert {(row.voucher_type, row.business_date): str(row.balance_amount) for row in balances} == {
        ("multi_purpose", FIRST): "50.00", ("multi_purpose", SECOND): "18.00", ("single_purpose", FIRST): "20.00",
    }  # fmt: skip


def test_only_valid_receipts_count_and_a_void_takes_back_what_it_voids(spark: SparkSession) -> None:
    valid = receipts(spark, ("voids", "1", FIRST))
    others = receipts(spark, ("gone", "1", FIRST), status="VOIDED").union(receipts(spark, ("test", "1", FIRST), kind="TRAINING"))
    sold = lines(
        spark, ("voids", 1, "GIFTCARD_REDEEM", "-10.00", None), ("voids", 2, "GIFTCARD_REDEEM", "10.00", None),
        ("gone", 1, "GIFTCARD_SALE", "10.00", None), ("test", 1, "GIFTCARD_SALE", "10.00", None),
    ).selectExpr("* EXCEPT (is_void)", "receipt_key = 'voids' AND line_number = 2 AS is_void")  # fmt: skip
    found = vouchers.to_vouchers(valid.union(others), sold, payments(spark))
    assert [row.movement for row in found.collect()] == ["redeemed", "redeemed"]
    [row] = vouchers.to_liabilities(found).collect()
    assert (row.redeemed_amount, row.refunded_amount, row.change_amount) == (0, 0, 0)


def test_a_voucher_with_a_number_is_open_spent_overdrawn_or_of_unknown_sale(spark: SparkSession) -> None:
    found = vouchers.to_vouchers(
        receipts(spark, ("1", "1", FIRST), ("2", "2", SECOND), ("3", "1", THIRD)),
        lines(
            spark,
            ("1", 1, "GIFTCARD_SALE", "50.00", "open"), ("2", 1, "GIFTCARD_REDEEM", "-20.00", "open"),
            ("1", 2, "GIFTCARD_SALE", "25.00", "spent"), ("3", 1, "GIFTCARD_REDEEM", "-25.00", "spent"),
            ("1", 3, "GIFTCARD_SALE", "10.00", "over"), ("2", 2, "GIFTCARD_REDEEM", "-10.00", "over"),
            ("3", 2, "GIFTCARD_REDEEM", "-4.00", "over"),
            ("2", 3, "GIFTCARD_REDEEM", "-30.00", "old"), ("2", 4, "GIFTCARD_REDEEM", "-5.00", None),
        ),
        payments(spark),
    )  # fmt: skip
    left = vouchers.to_balances_of_vouchers(found).collect()
    assert {
        row.voucher_token: (row.status, str(row.change_amount), row.first_sold_on, row.last_used_on) for row in left
    } == {
        "open": ("open", "30.00", FIRST, SECOND),
        "spent": ("spent", "0.00", FIRST, THIRD),
        "over": ("overdrawn", "-4.00", FIRST, THIRD),
        "old": ("sale_unknown", "-30.00", None, SECOND),
    }  # fmt: skip
