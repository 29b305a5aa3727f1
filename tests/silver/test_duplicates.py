"""Which receipts are suspected to have been made twice."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tillhouse.silver import duplicates

RECEIPT = """receipt_key STRING, receipt_id STRING, register_id STRING, at STRING, line_count INT, transaction_type STRING,
             operator_token STRING, business_date STRING"""


def receipts(spark: SparkSession, rows: Sequence[tuple[str, str, str]], kind: str = "SALE") -> DataFrame:
    """Receipts of 5.00 with two lines: key, register and time."""
    data = [(key, f"id-{key}", till, at, 2, kind, "op", "2026-03-03") for key, till, at in rows]
    frame = spark.createDataFrame(data, RECEIPT).withColumn("gross_amount", F.lit(5).cast("DECIMAL(18,2)"))
    return frame.withColumns(
        {
            "started_at": F.to_timestamp("at"), "ended_at": F.lit(None).cast("timestamp"), "branch_id": F.lit("B"),
            "currency": F.lit("EUR"), "party_key": F.lit(None).cast("string"), "status": F.lit("FINAL"),
            "detail_level": F.lit("lines"), "is_time_ambiguous": F.col("receipt_key") == "twice",
        }
    )  # fmt: skip


def lines(spark: SparkSession, articles: dict[str, Sequence[str]]) -> DataFrame:
    rows = [(key, "ITEM", article) for key, named in articles.items() for article in named]
    frame = spark.createDataFrame(rows, "receipt_key STRING, line_type STRING, product_ref STRING")
    return frame.selectExpr(
        "*", "CAST(NULL AS STRING) AS gtin", "CAST(NULL AS STRING) AS category_ref", "CAST(1 AS DECIMAL(18,3)) AS quantity",
        "CAST(2.5 AS DECIMAL(18,2)) AS gross_amount", "CAST(0 AS DECIMAL(18,2)) AS discount_amount",
    )  # fmt: skip


def test_the_same_lines_in_any_order_within_ten_seconds_at_one_till_are_suspected(spark: SparkSession) -> None:
    given = [
        ("a", "1", "2026-03-03 10:00:00"),
        ("x", "1", "2026-03-03 10:00:04"),  # other articles of the same amount
        ("b", "1", "2026-03-03 10:00:07"),
        ("c", "1", "2026-03-03 10:00:18"),  # the next customer
        ("d", "2", "2026-03-03 10:00:07"),  # another till
        ("twice", "1", "2026-03-03 10:00:01"),  # an hour that comes twice
    ]
    made = receipts(spark, given)
    sold = lines(spark, {"a": ["A", "B"], "b": ["B", "A"], "x": ["A", "A"], "c": ["A", "B"], "d": ["A", "B"]})
    close = duplicates.only_close(made)
    assert {row["receipt_key"] for row in close.collect()} == {"a", "x", "b"}
    found = duplicates.only_same_content(close, sold).collect()
    assert {row["receipt_key"]: (row["_other"], row["_seconds"]) for row in found} == {"a": ("id-b", 7), "b": ("id-a", 7)}


def test_documents_that_are_no_sale_are_not_suspected(spark: SparkSession) -> None:
    given = [("a", "1", "2026-03-03 10:00:00"), ("b", "1", "2026-03-03 10:00:00")]
    assert duplicates.only_close(receipts(spark, given, kind="TRAINING")).count() == 0
    assert duplicates.only_close(receipts(spark, given, kind="RETURN")).count() == 2
