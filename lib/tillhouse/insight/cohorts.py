"""gold.kpi_cohort: of the customers of a month, how many still buy in the months after it (KPI 13)."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.insight.figures import MONEY, day, ratio
from tillhouse.tables.gold_repurchase import KPI_COHORT

_SERIES = ["dimension", "member", "currency"]
_CELL = [*_SERIES, "cohort_month", "month_number"]


def to_kpi_cohort(visits: DataFrame, buyers: DataFrame, *, as_of: date) -> DataFrame:
    """One cell per cohort and month after it; what begins on ``as_of`` or later is NULL, a month without activity is 0.

    ``visits``, ``buyers``: see ``insight/buyers.py``, of the same ``as_of``. A customer is in the cohort of the first purchase's
    month and in one currency, that of the most purchases. All cohorts of a member have the cells of its oldest one.
    """
    cells = to_cells(to_months(visits, buyers), buyers)
    sizes = cells.where("month_number = 0").withColumn("cohort_size", F.col("active_customers"))
    oldest = F.min("cohort_month").over(Window.partitionBy(*_SERIES))
    last = _months_since(day(as_of - timedelta(days=1)), oldest)
    numbers = F.explode(F.sequence(F.lit(0), F.col("_last"))).alias("month_number")
    grid = sizes.withColumn("_last", last).select(*_SERIES, "cohort_month", "cohort_size", numbers)
    begins = F.add_months("cohort_month", F.col("month_number"))
    is_observed, ends = begins < day(as_of), F.add_months("cohort_month", F.col("month_number") + 1)

    def observed(name: str, kind: str) -> Column:
        return F.when(is_observed, F.coalesce(F.col(name), F.lit(0).cast(kind)))

    rows = grid.join(cells, on=_CELL, how="left").withColumns(
        {
            "as_of": day(as_of),
            "active_customers": observed("active_customers", "bigint"),
            "revenue": observed("revenue", MONEY),
            "is_partial": is_observed & (ends > day(as_of)),
        }
    )
    return KPI_COHORT.conform(rows.withColumn("retention", ratio("active_customers", "cohort_size")))


def to_months(visits: DataFrame, buyers: DataFrame) -> DataFrame:
    """One row per customer and month with a receipt: whether anything was bought, and revenue in the customer's currency."""
    own = buyers.select("customer_id", F.col("currency").alias("_own"))
    revenue = F.when(F.col("currency") == F.col("_own"), F.col("revenue_amount"))
    joined = visits.join(own, on="customer_id", how="inner")
    return joined.groupBy("customer_id", F.trunc("business_date", "month").alias("month")).agg(
        F.bool_or("is_basket").alias("is_active"), F.sum(revenue).cast(MONEY).alias("revenue")
    )


def to_cells(months: DataFrame, buyers: DataFrame) -> DataFrame:
    """The cells with a receipt. A return before the first purchase is in none."""
    cohort = F.trunc("first_date", "month").alias("cohort_month")
    told = buyers.select("customer_id", "currency", cohort, "members")
    rows = months.join(told, on="customer_id", how="inner").where("month >= cohort_month")
    number = _months_since(F.col("month"), F.col("cohort_month")).alias("month_number")
    figures = rows.select("currency", "cohort_month", number, "is_active", "revenue", F.inline("members"))
    return figures.groupBy(*_CELL).agg(
        F.count_if("is_active").alias("active_customers"), F.sum("revenue").cast(MONEY).alias("revenue")
    )


def _months_since(later: Column, earlier: Column) -> Column:
    return (F.year(later) - F.year(earlier)) * 12 + F.month(later) - F.month(earlier)
