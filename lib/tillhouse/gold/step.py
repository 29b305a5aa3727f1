"""The gold step: the star schema from silver, checked before it is published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.config import ProductRules
from tillhouse.gold import dimensions, facts
from tillhouse.quality import expectations
from tillhouse.quality.expectations import Identity
from tillhouse.sources.fields import REVENUE_LINE_TYPES
from tillhouse.store import Store
from tillhouse.tables import Table, gold, silver


def run(store: Store, rules: ProductRules, as_of: date | None) -> dict[str, int]:
    """Publish dimensions and facts; receipts from ``as_of`` on are left out.

    Raises:
        QualityError: a cross-table identity does not hold; nothing of the step is published then.
    """
    until = F.lit(True) if as_of is None else F.col("business_date") < F.lit(as_of)
    receipts = store.read(silver.RECEIPT).where(until)
    lines = store.read(silver.RECEIPT_LINE).where(until)
    branches = dimensions.to_dim_branch(store.read(silver.BRANCH))
    products = store.keep(dimensions.to_dim_product(store.read(silver.PRODUCT), lines))
    sale_lines = store.keep(facts.to_sale_lines(lines, receipts, products, rules))
    fct_receipts = store.keep(
        facts.to_fct_receipts(
            receipts, sale_lines, store.read(silver.RECEIPT_PAYMENT).where(until), store.read(silver.PARTY_CUSTOMER)
        )
    )
    customers = store.keep(dimensions.to_dim_customer(fct_receipts))

    published = {
        gold.DIM_BRANCH: branches,
        gold.DIM_PRODUCT: products,
        gold.DIM_CUSTOMER: customers,
        gold.FCT_SALE_LINE: sale_lines,
        gold.FCT_RECEIPT: fct_receipts,
    }
    first_day, last_day, count, revenue = _check(lines, receipts.where(facts.VALID), published)
    if first_day is not None and last_day is not None:
        store.overwrite(gold.DIM_DATE, dimensions.to_dim_date(store.spark, first_day, last_day))
    for table, rows in published.items():
        store.overwrite(table, rows)
    return {"receipts": count, "revenue_cents": int((revenue or Decimal(0)) * 100)}


def _check(
    lines: DataFrame, valid: DataFrame, published: Mapping[Table, DataFrame]
) -> tuple[date | None, date | None, int, Decimal | None]:
    """Facts agree with silver and with each other; returns first and last trading day, receipts and revenue.

    ``lines``, ``valid``: silver, valid receipts only in the latter; ``published``: what is about to be published.
    """
    receipts, sale_lines, branches = published[gold.FCT_RECEIPT], published[gold.FCT_SALE_LINE], published[gold.DIM_BRANCH]
    is_orphan = F.expr("product_id IS NOT NULL AND product_key IS NULL")
    revenue = F.when(F.col("is_revenue"), F.col("gross_amount"))
    receipt = receipts.agg(
        F.count("*").alias("rows"),
        F.sum("gross_amount").alias("gross"),
        F.sum("revenue_amount").alias("revenue"),
        F.min("business_date").alias("first_day"),
        F.max("business_date").alias("last_day"),
    ).collect()[0]
    line = sale_lines.agg(
        F.count("*").alias("rows"),
        F.sum(revenue).alias("revenue"),
        F.count(F.when(is_orphan, 1)).alias("orphans"),
    ).collect()[0]
    given = valid.agg(F.count("*").alias("rows"), F.sum("gross_amount").alias("gross"), F.sum("line_count").alias("lines"))
    delivered = given.collect()[0]
    revenue_lines = lines.where(F.col("line_type").isin(*REVENUE_LINE_TYPES))
    delivered_revenue = revenue_lines.join(valid.select("receipt_key"), on="receipt_key", how="left_semi")
    expectations.expect(
        receipts.sparkSession,
        "gold",
        [
            *(expectations.key_of(table, rows) for table, rows in published.items()),
            Identity("fct_receipt: a row for each valid receipt of silver", delivered["rows"], receipt["rows"]),
            Identity("fct_receipt: amounts of silver", delivered["gross"], receipt["gross"]),
            Identity(
                "fct_receipt: no receipt without branch", 0, receipts.join(branches, on="branch_key", how="left_anti").count()
            ),
            Identity("fct_sale_line: a row for each line of a valid receipt", delivered["lines"], line["rows"]),
            Identity(
                "fct_sale_line: revenue of silver", delivered_revenue.agg(F.sum("gross_amount")).collect()[0][0], line["revenue"]
            ),
            Identity("fct_sale_line: revenue of fct_receipt", receipt["revenue"], line["revenue"]),
            Identity("fct_sale_line: no product without member", 0, line["orphans"]),
        ],
    )
    return receipt["first_day"], receipt["last_day"], receipt["rows"], receipt["revenue"]
