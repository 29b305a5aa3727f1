"""The repurchase rate of a branch's week (KPI 11, with the week as its window)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.kpi.branch_week import days_of, weeks_of
from tillhouse.store import on_days
from tillhouse.tables.gold import FCT_RECEIPT


def to_week_repurchase(receipts: DataFrame, dates: Sequence[date] | None) -> DataFrame:
    """Customers with two purchases in a branch and ISO week / those with one at least (branch_id, currency, starts_on).

    ``receipts``: gold.fct_receipt; ``dates``: only the whole weeks in which they lie, None: all. Purchases of anonymous and
    unclear receipts have no customer; a week without an identified one has no row.
    """
    bought = receipts.where("is_basket AND customer_status = 'identified' AND customer_id IS NOT NULL")
    if dates is not None:
        bought = bought.where(on_days(days_of(weeks_of(dates)), FCT_RECEIPT))
    monday = F.date_sub("business_date", F.weekday("business_date")).alias("starts_on")
    counted = bought.groupBy("branch_id", "currency", monday, "customer_id").agg(F.count("*").alias("_purchases"))
    repeat, buyers = F.count_if(F.col("_purchases") > 1).cast("DECIMAL(24,3)"), F.count("*")
    rate = F.try_divide(repeat, buyers).cast("DECIMAL(28,12)")
    return counted.groupBy("branch_id", "currency", "starts_on").agg(rate.alias("repurchase_rate"))
