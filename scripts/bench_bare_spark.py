"""The yardstick: the same figures from the same files with plain Spark, as one would write it in an afternoon.

No ledger, no rules, no versions, no tokens, no audit. ``bench_pipeline.py`` starts it with spark-submit.
"""

from __future__ import annotations

import sys

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.session import open_session

CLOUD_RECEIPT = """
    receipt_id STRING, location STRING, register STRING, completed_at STRING, currency STRING, loyalty_card STRING, total STRING,
    items ARRAY<STRUCT<line: STRING, sku: STRING, quantity: STRING, amount: STRING, discount: STRING,
                       promotion_discount: STRING, manufacturer_coupon: STRING>>
"""


def main(landing: str, lake: str) -> None:
    # Spark reads only a few charsets by itself; cp1252 is among Java's.
    spark = open_session("bare", {"spark.sql.legacy.javaCharsets": "true"})

    def read(table: str) -> DataFrame:
        return spark.read.format("delta").load(f"{lake}/{table}")

    def write(table: str, rows: DataFrame) -> None:
        rows.write.format("delta").mode("overwrite").save(f"{lake}/{table}")

    def read_erp(folder: str) -> DataFrame:
        files = spark.read.csv(f"{landing}/erp/{folder}", sep=";", header=True, encoding="cp1252")
        return files.withColumn("_file", F.col("_metadata.file_path"))

    write("bronze_branches", read_erp("branches"))
    write("bronze_products", read_erp("products"))
    write("bronze_erp", read_erp("sales"))
    cloud = spark.read.schema(CLOUD_RECEIPT).json(f"{landing}/cloud_till/sales")
    write("bronze_cloud", cloud.withColumn("_file", F.col("_metadata.file_path")))

    write("dim_branch", to_branches(read("bronze_branches")))
    write("dim_product", to_products(read("bronze_products")))
    branches, products = read("dim_branch"), read("dim_product")
    lines = to_erp_lines(read("bronze_erp"), branches).unionByName(to_cloud_lines(read("bronze_cloud"), branches))
    write("line", lines)
    write("receipt", to_receipts(read("line")))
    write("fct_sale_line", to_sale_lines(read("line"), products))
    write("fct_receipt", to_fct_receipts(read("receipt"), read("fct_sale_line")))
    write("kpi_branch_day", to_branch_days(read("fct_receipt")))


def to_branches(bronze: DataFrame) -> DataFrame:
    return bronze.select(
        F.col("Filiale").alias("branch_id"),
        F.col("Bezeichnung").alias("branch_name"),
        F.col("Region").alias("region"),
        F.col("Zeitzone").alias("time_zone"),
        F.col("Waehrung").alias("currency"),
    )


def to_products(bronze: DataFrame) -> DataFrame:
    return bronze.select(
        F.col("ArtNr").alias("product_id"),
        F.col("Bezeichnung").alias("product_name"),
        F.col("Warengruppe1").alias("category_l1"),
        F.col("Warengruppe2").alias("category_l2"),
        F.col("Warengruppe3").alias("category_l3"),
    )


def to_erp_lines(bronze: DataFrame, branches: DataFrame) -> DataFrame:
    def money(name: str) -> str:
        return f"CAST(replace({name}, ',', '.') AS DECIMAL(18,2))"

    local_at = "to_timestamp(concat(Datum, ' ', Uhrzeit), 'dd.MM.yyyy HH:mm:ss')"
    return (
        bronze.join(F.broadcast(branches), bronze["Filiale"] == branches["branch_id"], how="inner")
        .withColumn("local_at", F.expr(local_at))
        .selectExpr(
            "'erp' AS source", "branch_id", "Kasse AS register_id", "Bonnr AS receipt_id", "CAST(Position AS INT) AS line_number",
            "to_utc_timestamp(local_at, time_zone) AS started_at", "hour(local_at) AS local_hour",
            "CAST(local_at AS DATE) AS business_date", "Kundenkarte AS card_number", "currency", "ArtNr AS product_id",
            "CAST(replace(Menge, ',', '.') AS DECIMAL(18,3)) AS quantity", f"{money('Betrag')} AS amount",
            f"CAST({money('Rabatt')} + {money('Aktionsrabatt')} AS DECIMAL(18,2)) AS discount",
            f"{money('Herstellercoupon')} AS coupon",
        )
    )  # fmt: skip


def to_cloud_lines(bronze: DataFrame, branches: DataFrame) -> DataFrame:
    def money(name: str) -> str:
        return f"CAST(item.{name} AS DECIMAL(18,2))"

    return (
        bronze.withColumn("item", F.explode("items"))
        .drop("currency")
        .join(F.broadcast(branches), bronze["location"] == branches["branch_id"], how="inner")
        .withColumn("started_at", F.expr("CAST(completed_at AS TIMESTAMP)"))
        .withColumn("local_at", F.expr("from_utc_timestamp(started_at, time_zone)"))
        .selectExpr(
            "'cloud_till' AS source", "branch_id", "register AS register_id", "receipt_id",
            "CAST(item.line AS INT) AS line_number", "started_at", "hour(local_at) AS local_hour",
            "CAST(local_at AS DATE) AS business_date", "loyalty_card AS card_number", "currency", "item.sku AS product_id",
            "CAST(item.quantity AS DECIMAL(18,3)) AS quantity", f"{money('amount')} AS amount",
            f"CAST({money('discount')} + {money('promotion_discount')} AS DECIMAL(18,2)) AS discount",
            f"{money('manufacturer_coupon')} AS coupon",
        )
    )  # fmt: skip


def to_receipts(lines: DataFrame) -> DataFrame:
    return lines.groupBy("source", "branch_id", "register_id", "receipt_id").agg(
        F.min("started_at").alias("started_at"),
        F.min("local_hour").alias("local_hour"),
        F.min("business_date").alias("business_date"),
        F.min("card_number").alias("card_number"),
        F.min("currency").alias("currency"),
        F.sum("amount").cast("DECIMAL(18,2)").alias("gross_amount"),
        F.count("*").alias("line_count"),
    )


def to_sale_lines(lines: DataFrame, products: DataFrame) -> DataFrame:
    groups = products.select("product_id", "category_l1", "category_l3")
    by_line = F.expr("coalesce(category_l1 = 'FUEL' OR category_l3 = 'GASOLINE-REG UNLEADED', false)")
    is_return = F.expr("amount < 0 OR (amount = 0 AND quantity < 0)")
    item_count = F.when(by_line, F.when(is_return, -1).otherwise(1)).otherwise(F.col("quantity"))
    return (
        lines.join(F.broadcast(groups), on="product_id", how="left")
        .withColumns({"is_return": is_return, "item_count": item_count.cast("DECIMAL(18,3)")})
        .select("source", "branch_id", "register_id", "receipt_id", "line_number", "business_date", "product_id", "category_l1",
                "is_return", "quantity", "item_count", "amount", "discount")
    )  # fmt: skip


def to_fct_receipts(receipts: DataFrame, sale_lines: DataFrame) -> DataFrame:
    sold = ~F.col("is_return")
    sums = sale_lines.groupBy("source", "branch_id", "register_id", "receipt_id").agg(
        F.sum("amount").cast("DECIMAL(18,2)").alias("revenue_amount"),
        F.sum(F.when(F.col("is_return"), -F.col("amount")).otherwise(0)).cast("DECIMAL(18,2)").alias("return_amount"),
        F.sum("discount").cast("DECIMAL(18,2)").alias("discount_amount"),
        F.sum(F.when(sold, F.col("item_count")).otherwise(0)).cast("DECIMAL(18,3)").alias("sold_item_count"),
        F.max(sold).alias("is_basket"),
    )
    return receipts.join(sums, on=["source", "branch_id", "register_id", "receipt_id"], how="inner")


def to_branch_days(receipts: DataFrame) -> DataFrame:
    first = (
        receipts.where("is_basket AND card_number IS NOT NULL")
        .groupBy("card_number")
        .agg(F.min_by("receipt_id", F.struct("started_at", "receipt_id")).alias("first_receipt_id"))
    )
    customer = F.when(F.col("is_basket"), F.col("card_number"))
    new_customer = F.when(F.col("receipt_id") == F.col("first_receipt_id"), F.col("card_number"))
    measured = (
        receipts.join(first, on="card_number", how="left")
        .groupBy("branch_id", "business_date", "currency")
        .agg(
            F.sum("revenue_amount").cast("DECIMAL(18,2)").alias("revenue"),
            F.sum("return_amount").cast("DECIMAL(18,2)").alias("return_amount"),
            F.sum("discount_amount").cast("DECIMAL(18,2)").alias("discount_amount"),
            F.count("*").alias("receipts"),
            F.count(F.when(F.col("is_basket"), 1)).alias("baskets"),
            F.sum("sold_item_count").cast("DECIMAL(18,3)").alias("items"),
            F.count_distinct(customer).alias("customers"),
            F.count_distinct(new_customer).alias("new_customers"),
        )
    )
    return measured.selectExpr(
        "*", "revenue + return_amount AS sales_before_returns",
        "(revenue + return_amount) / nullif(baskets, 0) AS average_basket", "items / nullif(baskets, 0) AS items_per_basket",
        "customers - new_customers AS returning_customers",
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
