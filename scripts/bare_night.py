"""The floor of a night: a new week by plain Spark and Delta, without anything that makes a night safe.

No ledger, no rules, no versions, no exceptions, no tokens, no gate, no audit, no watermark: what is delivered replaces the days
that it names, and a night that is started again appends its files to bronze once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import bench_bare_spark as bare
from pyspark.sql import DataFrame, SparkSession

TABLES = ("line", "receipt", "fct_sale_line", "fct_receipt", "kpi_branch_day")
CHARSETS = "spark.sql.legacy.javaCharsets"  # Spark reads only a few charsets by itself; cp1252 is among Java's


def load(spark: SparkSession, lake: Path, landing: Path, files: Sequence[Path], is_first: bool = False) -> list[str]:
    """Bring delivered files up to the figures of their days; the tables that were committed to."""
    commits = list[str]()

    def write(table: str, rows: DataFrame, days: str | None = None) -> None:
        writer = rows.write.format("delta").mode("overwrite" if days else "append")
        if table in TABLES:
            writer = writer.partitionBy("business_date")
        if days and not is_first:
            writer = writer.option("replaceWhere", days)
        writer.save(f"{lake}/{table}")
        commits.append(table)

    def read(table: str, days: str = "true") -> DataFrame:
        return spark.read.format("delta").load(f"{lake}/{table}").where(days)

    def delivered(folder: str) -> list[str]:
        return [str(path) for path in files if path.is_relative_to(landing / folder)]

    def read_erp(folder: str) -> DataFrame:
        return spark.read.csv(delivered(folder), sep=";", header=True, encoding="cp1252")

    with java_charsets(spark):
        if is_first:
            write("dim_branch", bare.to_branches(read_erp("erp/branches")))
            write("dim_product", bare.to_products(read_erp("erp/products")))
        branches, products = read("dim_branch"), read("dim_product")
        erp, cloud = read_erp("erp/sales"), spark.read.schema(bare.CLOUD_RECEIPT).json(delivered("cloud_till/sales"))
        write("bronze_erp", erp)
        write("bronze_cloud", cloud)
        lines = bare.to_erp_lines(erp, branches).unionByName(bare.to_cloud_lines(cloud, branches))
        first, last = lines.selectExpr("min(business_date)", "max(business_date)").collect()[0]
        days = f"business_date >= DATE'{first}' AND business_date <= DATE'{last}'"  # Delta cannot replace where BETWEEN holds
        write("line", lines, days)
        write("receipt", bare.to_receipts(read("line", days)), days)
        write("fct_sale_line", bare.to_sale_lines(read("line", days), products), days)
        write("fct_receipt", bare.to_fct_receipts(read("receipt", days), read("fct_sale_line", days)), days)
        # Who is new is told by all receipts, the figures are those of the week.
        write("kpi_branch_day", bare.to_branch_days(read("fct_receipt")).where(days), days)
    return commits


@contextmanager
def java_charsets(spark: SparkSession) -> Iterator[None]:
    spark.conf.set(CHARSETS, "true")
    try:
        yield
    finally:
        spark.conf.unset(CHARSETS)
