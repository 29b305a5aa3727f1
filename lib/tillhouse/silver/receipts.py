"""Receipts: header, kind of document and totals, from their settled lines."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.keys import surrogate_key
from tillhouse.silver.identifiers import one_form
from tillhouse.sources.fields import GOODS, NO_SALES
from tillhouse.tables.silver import PARTY, RECEIPT, RECEIPT_LINE

CARD_NUMBER = "card_number"
_HEADER = (
    "source", "branch_id", "register_id", "closing_id", "receipt_id", "receipt_number", "transaction_type", "status",
    "started_at", "ended_at", "is_time_ambiguous", "local_hour", "business_date", "operator", "team", "channel", "fulfilment",
    "currency", CARD_NUMBER, "stated_gross_amount", "detail_level", "is_day_total", "_file",
)  # fmt: skip


def to_receipt_lines(settled: DataFrame) -> DataFrame:
    """The lines as a table: one row per line in the receipt's winning version."""
    money = ["gross_amount", "net_amount", "tax_amount", "discount_amount", "promotion_amount", "coupon_amount"]
    amounts = {name: F.col(name).cast("DECIMAL(18,2)") for name in money}
    return RECEIPT_LINE.conform(settled.withColumns(amounts).withColumnRenamed("amount_read", "_amount_read"))


def to_headers(lines: DataFrame) -> DataFrame:
    """One row per receipt with the fields that its lines repeat; the first line of the file speaks for the receipt."""
    first = F.min(F.struct("_row", "line_number", *_HEADER)).alias("_first")
    grouped = lines.groupBy("receipt_key", "_file_id").agg(first)
    header = grouped.select("receipt_key", "_file_id", "_first._row", *(f"_first.{name}" for name in _HEADER))
    # In the one form of all cards, so that a receipt's card and a member's card are the same.
    return header.withColumn(CARD_NUMBER, one_form(F.col(CARD_NUMBER), "card", F.lit(None)))


def to_totals(lines: DataFrame) -> DataFrame:
    """What the lines of each receipt add up to, and what kinds of lines it has. ``lines``: silver.receipt_line."""
    is_goods = F.col("line_type").isin(*GOODS) & ~F.col("is_voided") & ~F.col("is_void")
    is_back = F.when(F.col("gross_amount") != 0, F.col("gross_amount") < 0).otherwise(
        F.coalesce(F.col("quantity") < 0, F.lit(False))
    )
    every = F.count("*")
    return lines.groupBy("receipt_key").agg(
        F.sum("gross_amount").cast("DECIMAL(18,2)").alias("gross_amount"),
        F.when(F.count("net_amount") == every, F.sum("net_amount")).cast("DECIMAL(18,2)").alias("net_amount"),
        F.when(F.count("tax_amount") == every, F.sum("tax_amount")).cast("DECIMAL(18,2)").alias("tax_amount"),
        F.sum(
            F.when(F.col("line_type") == "DISCOUNT", -F.col("gross_amount")).otherwise(F.col("discount_amount"))
        ).cast("DECIMAL(18,2)").alias("discount_amount"),
        every.cast("INT").alias("line_count"),
        F.max(is_goods & ~is_back).alias("_has_sold"),
        F.max(is_goods & is_back).alias("_has_returned"),
        F.min(F.col("line_type") == "CASH_MOVE").alias("_is_cash_only"),
    )  # fmt: skip


def to_receipts(headers: DataFrame, totals: DataFrame) -> DataFrame:
    """One row per receipt. ``headers`` carries tokens instead of clear text.

    The kind of document: what the source says for documents that are no sale; else only cash movements make CASH, and the
    remaining goods decide between SALE, RETURN and EXCHANGE.
    """
    sold, returned = F.col("_has_sold"), F.col("_has_returned")
    kind = (
        F.when(F.col("transaction_type").isin(*NO_SALES), F.col("transaction_type"))
        .when(F.col("_is_cash_only"), "CASH")
        .when(sold & returned, "EXCHANGE")
        .when(returned, "RETURN")
        .otherwise("SALE")
    )
    joined = headers.join(totals, on="receipt_key", how="inner")
    return RECEIPT.conform(
        joined.withColumns(
            {
                "transaction_type": kind,
                "operator_token": F.col("operator_token"),
                "stated_gross_amount": F.col("stated_gross_amount").cast("DECIMAL(18,2)"),
                "party_key": F.when(F.col("card_number_token").isNotNull(), surrogate_key("source", "card_number_token")),
            }
        )
    )


def to_parties(headers: DataFrame) -> DataFrame:
    """One row per card and source seen on receipts, with the clear number: a card alone is an incomplete party."""
    cards = headers.where("card_number_token IS NOT NULL").select("source", CARD_NUMBER, "card_number_token").distinct()
    return cards.select(
        surrogate_key("source", "card_number_token").alias("party_key"),
        "source",
        F.col("card_number_token").alias("source_id"),
        F.lit("person").alias("party_type"),
        F.col("card_number_token").alias("card_token"),
        F.lit(False).alias("is_complete"),
        CARD_NUMBER,
    )


def to_silver_parties(parties: DataFrame) -> DataFrame:
    return PARTY.conform(PARTY.filled(parties))
