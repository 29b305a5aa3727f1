"""The gold step: the star schema from silver, checked before it is published."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from pyspark.sql import functions as F

from tillhouse.config import ProductRules
from tillhouse.gold import dimensions, facts
from tillhouse.quality import expectations
from tillhouse.quality.expectations import Identity
from tillhouse.store import Store
from tillhouse.tables import gold, silver


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
    sale_lines = store.keep(
        facts.to_sale_lines(lines, receipts, products, rules.counted_by_line, rules.piece_units)
    )
    fct_receipts = store.keep(
        facts.to_fct_receipts(
            receipts, sale_lines, store.read(silver.RECEIPT_PAYMENT).where(until), store.read(silver.PARTY_CUSTOMER)
        )
    )
    customers = dimensions.to_dim_customer(fct_receipts)

    valid = receipts.where(facts.VALID)
    counted = fct_receipts.agg(
        F.count("*").alias("receipts"), F.sum("revenue_amount"), F.sum("gross_amount"), F.count_distinct("receipt_key"),
        F.min("business_date").alias("first"), F.max("business_date").alias("last"),
    ).first()  # fmt: skip
    line_sums = sale_lines.agg(
        F.count("*"), F.count_distinct("receipt_key", "line_number"),
        F.sum(F.when(F.col("is_revenue"), F.col("gross_amount"))), F.count(F.when(F.expr("product_id IS NOT NULL AND product_key IS NULL"), 1)),
    ).first()  # fmt: skip
    silver_sums = valid.agg(F.count("*"), F.sum("gross_amount"), F.sum("line_count")).first()
    silver_revenue = (
        lines.join(valid.select("receipt_key"), on="receipt_key", how="left_semi")
        .where(F.col("line_type").isin(*facts.REVENUE_LINE_TYPES)).agg(F.sum("gross_amount")).first()
    )  # fmt: skip
    branchless = fct_receipts.join(branches, on="branch_key", how="left_anti").count()
    assert counted and line_sums and silver_sums and silver_revenue
    expectations.expect(
        store.spark,
        "gold",
        [
            Identity("fct_receipt: a row for each valid receipt of silver", silver_sums[0], counted[0]),
            Identity("fct_receipt: receipt_key is unique", counted[0], counted[3]),
            Identity("fct_receipt: amounts of silver", silver_sums[1], counted[2]),
            Identity("fct_receipt: no receipt without branch", 0, branchless),
            Identity("fct_sale_line: a row for each line of a valid receipt", silver_sums[2], line_sums[0]),
            Identity("fct_sale_line: receipt_key and line_number are unique", line_sums[0], line_sums[1]),
            Identity("fct_sale_line: revenue of silver", silver_revenue[0], line_sums[2]),
            Identity("fct_sale_line: revenue of fct_receipt", counted[1], line_sums[2]),
            Identity("fct_sale_line: no product without member", 0, line_sums[3]),
        ],
    )
    store.overwrite(gold.DIM_BRANCH, branches)
    store.overwrite(gold.DIM_PRODUCT, products)
    store.overwrite(gold.DIM_CUSTOMER, customers)
    if counted["first"] is not None:
        store.overwrite(gold.DIM_DATE, dimensions.to_dim_date(store.spark, counted["first"], counted["last"]))
    store.overwrite(gold.FCT_SALE_LINE, sale_lines)
    store.overwrite(gold.FCT_RECEIPT, fct_receipts)
    store.release()
    return {"receipts": counted[0], "lines": line_sums[0], "revenue_cents": int((counted[1] or Decimal(0)) * 100)}
