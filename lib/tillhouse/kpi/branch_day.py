"""gold.kpi_branch_day: the metric view's measures for each branch and trading day, with the exceptions that touch them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.kpi.ask import ask
from tillhouse.store import Since, Store, on_days
from tillhouse.tables import gold, ops, silver
from tillhouse.tables.gold import KPI_BRANCH_DAY

NO_CURRENCY = "XXX"  # ISO 4217: no currency is known
GRAIN = ("branch_id", "business_date", "currency")
MEASURES = (
    "sales_before_returns", "return_amount", "revenue", "revenue_excl_tax", "receipts", "baskets", "items", "average_basket",
    "items_per_basket", "customers", "new_customers", "returning_customers", "identified_revenue", "revenue_per_customer",
    "identified_share", "unclear_amount", "lines_revenue", "lines_share", "discount_amount", "return_rate",
)  # fmt: skip


def measure(store: Store, dates: Sequence[date] | None) -> DataFrame:
    """The branch figures of these days, or of all; ``open_view`` comes first."""
    measured = ask(store, MEASURES, GRAIN, None if dates is None else on_days(dates, KPI_BRANCH_DAY))
    deliveries = store.read(ops.DELIVERY).where("true" if dates is None else on_days(dates, ops.DELIVERY))
    return to_kpi_branch_day(measured, store.read(silver.EXCEPTION), deliveries, store.read(gold.DIM_BRANCH))


def touched_dates(store: Store, since: Since) -> list[date]:
    """Days with other receipts, other exceptions, or other customers who bought for the first time."""
    changed = []
    if since.again:
        changed += [
            store.read(table).where(since.again).select("business_date") for table in (gold.FCT_RECEIPT, gold.KPI_BRANCH_DAY)
        ]
    if store.has_news(gold.FCT_RECEIPT, since):
        told = [name for name in gold.FCT_RECEIPT.column_names if name != "return_status"]  # no figure of the day depends on it
        changed.append(store.touched(gold.FCT_RECEIPT, since, ["business_date"], told))
    if store.has_news(silver.EXCEPTION, since):
        told = ["exception_id", *GRAIN, "severity", "status", "amount"]
        changed.append(store.touched(silver.EXCEPTION, since, ["business_date"], told))
    if store.has_news(ops.DELIVERY, since):
        told = ["source", "branch_id", "business_date", "status"]
        changed.append(store.touched(ops.DELIVERY, since, ["business_date"], told))
    if store.has_news(gold.DIM_CUSTOMER, since):
        first = ["customer_id", "first_purchase_date", "first_purchase_receipt_key"]
        now = store.touched(gold.DIM_CUSTOMER, since, first, first, where="is_current")
        changed.append(now.select("first_purchase_date"))
    if not changed:
        return []
    days = union([days.toDF("day") for days in changed]).where("day IS NOT NULL").distinct()
    return sorted(row["day"] for row in days.collect())


def to_kpi_branch_day(measured: DataFrame, exceptions: DataFrame, deliveries: DataFrame, branches: DataFrame) -> DataFrame:
    """One row per branch, day and currency; a missing delivery is a row without figures, not a day without revenue.

    ``measured``: MEASURES by GRAIN; ``exceptions``: silver.exception; ``deliveries``: ops.delivery; ``branches``: dim_branch.
    """
    worst = F.min(
        F.when(F.col("status") == "missing", 1).when(F.col("status") == "partial", 2).when(F.col("status") == "late", 3)
    )
    status = F.when(worst == 1, "missing").when(worst == 2, "partial").when(worst == 3, "late").otherwise("on_time")
    delivered = deliveries.groupBy("branch_id", "business_date").agg(status.alias("delivery_status"))
    usual = measured.groupBy("branch_id", "business_date").agg(F.min("currency").alias("_usual"))
    absent = (
        delivered.where("delivery_status = 'missing'")
        .join(usual, on=["branch_id", "business_date"], how="left_anti")
        .join(branches.where("is_current").select("branch_id", "currency"), on="branch_id", how="left")
        .select("branch_id", "business_date", F.coalesce("currency", F.lit(NO_CURRENCY)).alias("currency"))
    )
    rows = measured.unionByName(absent, allowMissingColumns=True)
    touching = exceptions.where("status = 'open' AND branch_id IS NOT NULL AND business_date IS NOT NULL")
    excluded = F.sum(F.when(F.col("severity") == "error", F.col("amount")))
    all_usual = rows.groupBy("branch_id", "business_date").agg(F.min("currency").alias("_usual"))
    priced = touching.join(all_usual, on=["branch_id", "business_date"], how="inner").withColumn(
        "currency", F.coalesce("currency", "_usual")
    )
    counted = priced.groupBy(*GRAIN).agg(F.count("*").alias("open_exceptions"), excluded.alias("excluded_amount"))
    joined = (
        rows.join(counted, on=list(GRAIN), how="left")
        .join(delivered, on=["branch_id", "business_date"], how="left")
        .withColumns(
            {
                "open_exceptions": F.coalesce("open_exceptions", F.lit(0)),
                "excluded_amount": F.coalesce("excluded_amount", F.lit(0)),
            }
        )
    )
    return KPI_BRANCH_DAY.conform(
        joined.select(*(F.col(field.name).cast(field.dataType).alias(field.name) for field in KPI_BRANCH_DAY.struct))
    )
